//! `quarantine-lifted`

use event::Event;

use super::credentials_quarantined::is_quarantine;
use crate::config::Settings;
use crate::request::{named, text};
use crate::text::{clip, last_part};
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "quarantine-lifted",
    title: "Credentials Quarantine Lifted",
    severity: Severity::High,
    attempted_severity: Some(Severity::Medium),
    techniques: &["T1098"],
    triggers: Triggers::Calls(&[Calls {
        service: "iam",
        names: &["DetachUserPolicy", "DetachRolePolicy", "DetachGroupPolicy"],
    }]),
    action_required: "Make sure that the leaked credentials are revoked before their quarantine ends.",
    docs: Docs {
        summary: "Finds a policy `AWSCompromisedKeyQuarantine` (any version) being detached again.",
        why: "The policy is what keeps leaked credentials from the actions that are abused most. An intruder who holds \
              them, or others in the same account, takes it off first.",
        false_positives: "A responder who has replaced the credentials and cleans up, as AWS asks for.",
        what_to_do: "Check that the credentials that leaked are deactivated or deleted. If they are not, or nobody \
                     knows of the change: attach the policy again, deactivate them, and follow the caller's trail.",
        references: &[
            "https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSCompromisedKeyQuarantineV3.html",
            "https://repost.aws/knowledge-center/potential-account-compromise",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

fn check(event: &Event<'_>, _: &Settings) -> Option<Deed> {
    let policy = text(event, "policyArn").known().filter(|policy| is_quarantine(policy))?;
    let from = match event.name() {
        "DetachRolePolicy" => named(event, "role", &["roleName"]),
        "DetachGroupPolicy" => named(event, "group", &["groupName"]),
        _ => named(event, "IAM user", &["userName"]),
    };
    let deed = Deed::new("lifted the quarantine of", "lift the quarantine of", from);
    Some(deed.note(format!("The policy was {}", clip(last_part(policy)))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::event;

    use crate::registry::tests::Examples;

    pub(super) fn examples() -> Examples {
        let request = json!({"userName": "bob", "policyArn": "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV2"});
        let detach = event("DetachUserPolicy").request(request.clone());
        Examples {
            fires: vec![detach.clone()],
            attempts: vec![detach.error("AccessDenied")],
            quiet: vec![
                event("AttachUserPolicy").request(request),
                event("DetachUserPolicy").request(json!({"policyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"})),
                event("DetachUserPolicy"),
            ],
        }
    }
}

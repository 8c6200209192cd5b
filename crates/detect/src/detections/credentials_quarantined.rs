//! `credentials-quarantined`

use event::Event;

use crate::config::Settings;
use crate::request::{named, text};
use crate::text::{clip, last_part};
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "credentials-quarantined",
    title: "Credentials Quarantined By AWS",
    severity: Severity::Critical,
    attempted_severity: Some(Severity::Low),
    techniques: &["T1552", "T1078.004"],
    triggers: Triggers::Calls(&[Calls {
        service: "iam",
        names: &["AttachUserPolicy", "AttachRolePolicy", "AttachGroupPolicy"],
    }]),
    action_required: "Treat the credentials as leaked: revoke them and look at everything done with them.",
    docs: Docs {
        summary: "Finds a policy `AWSCompromisedKeyQuarantine` (also V2, V3 and later) being attached to a user, role or group.",
        why: "AWS attaches it when it has seen the credentials in public, such as in a repository, or in the hands of an \
              attacker. It denies only the actions that are abused most; the credentials go on working for the rest.",
        false_positives: "Hardly any: somebody who attaches the policy by hand, as responders do and as exercises show. \
                          The sentence tells who did.",
        what_to_do: "Make new credentials for what depends on them, deactivate the leaked ones, look at all they did \
                     since they leaked, answer the support case of AWS, and only then detach the policy.",
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
    // Nobody hides this one, so an unreadable request is no reason to fire.
    let policy = text(event, "policyArn").known().filter(|policy| is_quarantine(policy))?;
    let quarantined = match event.name() {
        "AttachRolePolicy" => named(event, "role", &["roleName"]),
        "AttachGroupPolicy" => named(event, "group", &["groupName"]),
        _ => named(event, "IAM user", &["userName"]),
    };
    let deed = Deed::new("quarantined the credentials of", "quarantine the credentials of", quarantined);
    Some(deed.note(format!("The policy is {}", clip(last_part(policy)))))
}

/// Whether this is one of the policies AWS puts on leaked credentials.
pub(super) fn is_quarantine(policy: &str) -> bool {
    last_part(policy).starts_with("AWSCompromisedKeyQuarantine")
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::event;

    use crate::registry::tests::Examples;

    pub(super) fn examples() -> Examples {
        let attach = |version: &str| {
            let arn = format!("arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantine{version}");
            event("AttachUserPolicy").request(json!({"userName": "bob", "policyArn": arn})).invoked_by("AWS Internal")
        };
        let role = json!({"roleName": "ci", "policyArn": "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"});
        Examples {
            fires: vec![attach(""), attach("V2"), attach("V3"), event("AttachRolePolicy").request(role)],
            attempts: vec![attach("V2").error("AccessDenied")],
            quiet: vec![
                event("AttachUserPolicy").request(json!({"policyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"})),
                event("AttachUserPolicy"),
                event("DetachUserPolicy")
                    .request(json!({"policyArn": "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV2"})),
            ],
        }
    }
}

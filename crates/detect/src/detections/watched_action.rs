//! `watched-action`

use event::Event;

use crate::config::Settings;
use crate::detection::service;
use crate::text::clip;
use crate::{Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "watched-action",
    title: "Watched Action",
    severity: Severity::Informational,
    attempted_severity: Some(Severity::Informational),
    techniques: &["T1078.004"],
    triggers: Triggers::Otherwise,
    action_required: "None by itself: you asked to be told of this action.",
    docs: Docs {
        summary: "Finds the actions listed in `detect.watched_actions` (patterns `service:Action` such as `iam:*`), where \
                  no other detection fires for the event. The service is the event source up to its first dot, so \
                  CloudWatch's is `monitoring`.",
        why: "Some actions matter in one organization and not in another: a key scheduled for deletion, a secret read, \
              any change in IAM at all.",
        false_positives: "Whatever the patterns take in. The list is empty unless you fill it.",
        what_to_do: "Decide why you watch the action, and narrow the pattern where it tells you too much.",
        references: &[
            "https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

fn check(event: &Event<'_>, settings: &Settings) -> Option<Deed> {
    if !settings.is_watched(event) {
        return None;
    }
    let action = format!("{}:{}", clip(service(event)), clip(event.name()));
    let deed = Deed::new("called", "call", action);
    Some(match event.target() {
        Some(target) => deed.note(format!("Target: {}", clip(target))),
        None => deed,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::event;

    use crate::registry::tests::Examples;

    // The examples are judged by a registry that watches `kms:*`.
    pub(super) fn examples() -> Examples {
        let delete = event("ScheduleKeyDeletion").source("kms").request(json!({"keyId": "k-1"}));
        Examples {
            fires: vec![delete.clone(), event("ListKeys").source("kms")],
            attempts: vec![delete.clone().error("AccessDenied")],
            quiet: vec![
                event("DeleteUser"),
                event("Decrypt").source("kmsx"),
                // Another detection fires for this one.
                delete.root(),
            ],
        }
    }
}

//! `iam-user-created`

use event::Event;

use crate::config::Settings;
use crate::request::named;
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "iam-user-created",
    title: "IAM User Created",
    severity: Severity::High,
    attempted_severity: Some(Severity::Low),
    techniques: &["T1136.003"],
    triggers: Triggers::Calls(&[Calls { service: "iam", names: &["CreateUser"] }]),
    action_required: "Verify that the new user was requested, and watch for keys, passwords and policies given to it.",
    docs: Docs {
        summary: "Finds a new IAM user.",
        why: "A user of one's own is the simplest way to stay: it survives the password change and the revoked session \
              of the account that was broken into. Most organizations hardly create any since Identity Center.",
        false_positives: "Planned users for software that cannot take a role, and infrastructure as code that makes them.",
        what_to_do: "Ask whoever created it. If nobody knows the user: deactivate its access keys, delete its login \
                     profile, then follow what it and its creator did.",
        references: &[
            "https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateUser.html",
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

fn check(event: &Event<'_>, _: &Settings) -> Option<Deed> {
    Some(Deed::new("created", "create", named(event, "IAM user", &["userName"])))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::event;

    use crate::Registry;
    use crate::registry::tests::Examples;

    pub(super) fn examples() -> Examples {
        let create = event("CreateUser").request(json!({"userName": "bob"}));
        Examples {
            fires: vec![create.clone(), event("CreateUser")],
            attempts: vec![
                create.clone().error("AccessDenied"),
                create.clone().error("EntityAlreadyExists"),
                create.clone().error("Client.DryRunOperation"),
            ],
            quiet: vec![
                // Users of Identity Center and of databases are created by calls of the same name.
                create.clone().source("identitystore"),
                create.source("elasticache"),
                event("GetUser"),
            ],
        }
    }

    #[test]
    fn the_deed_and_the_attempt_are_worded_apart() {
        let create = event("CreateUser").request(json!({"userName": "bob"}));
        let summary = |event: testkit::EventBuilder| Registry::default().findings(&event.to_event())[0].summary.clone();
        assert_eq!(summary(create.clone()), "alice created the IAM user bob.");
        assert_eq!(
            summary(create.clone().role_session("Admin", "carol").error("AccessDenied")),
            "carol (session of role Admin) tried to create the IAM user bob, but the call failed (AccessDenied)."
        );
        assert_eq!(
            summary(create.error("Client.DryRunOperation")),
            "alice tried to create the IAM user bob, but it was a dry run."
        );
        assert_eq!(summary(event("CreateUser")), "alice created an IAM user.");
    }
}

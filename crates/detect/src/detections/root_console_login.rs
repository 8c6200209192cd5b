//! `root-console-login`

use event::Event;

use crate::actor::{is_federated_root, is_root};
use crate::config::Settings;
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "root-console-login",
    title: "Root Account Login",
    severity: Severity::Critical,
    attempted_severity: None,
    techniques: &["T1078.004"],
    triggers: Triggers::Calls(&[Calls { service: "signin", names: &["ConsoleLogin"] }]),
    action_required: "Confirm with the holders of the root credentials that this was one of them.",
    docs: Docs {
        summary: "Finds a successful console sign-in of an account's root user, also through a federation session that \
                  root made.",
        why: "The root user can do everything, no policy but an organization's binds it, and it can close the account. \
              Nobody needs it for daily work, so each use is either a planned exception or an intruder's.",
        false_positives: "The few tasks that need the root user, such as changing the account's support plan or \
                          restoring a policy that locked everybody out. New accounts, until their first administrator is set up.",
        what_to_do: "Ask those who hold the credentials. If it was none of them: change the root password, sign out \
                     all sessions, delete root access keys, check the account's e-mail address and MFA devices, and \
                     look at everything the root user did since.",
        references: &[
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/root-user-best-practices.html",
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/root-user-tasks.html",
            "https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-aws-console-sign-in-events.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

fn check(event: &Event<'_>, _: &Settings) -> Option<Deed> {
    if !is_root(event) || event.failed() {
        return None;
    }
    let deed = Deed::new("signed in to", "sign in to", "the console");
    if is_federated_root(event) {
        // CloudTrail says of every such sign-in that no MFA was used.
        return Some(deed.note("It was through a federation session of its own"));
    }
    Some(match event.mfa_authenticated {
        Some(true) => deed.note("MFA was used"),
        Some(false) => deed.note("No MFA was used"),
        None => deed,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::{EventBuilder, console_login};

    use crate::Registry;
    use crate::registry::tests::Examples;

    /// A sign-in through a federation session, made by the root user or by an IAM user.
    fn federated(issuer: &str) -> EventBuilder {
        console_login("Success").mfa_used(false).identity(json!({
            "type": "FederatedUser",
            "arn": "arn:aws:sts::111122223333:federated-user/eve",
            "sessionContext": {"sessionIssuer": {"type": issuer, "principalId": "111122223333"}},
        }))
    }

    pub(super) fn examples() -> Examples {
        Examples {
            fires: vec![
                console_login("Success").root(),
                console_login("Success").root().mfa_used(false),
                console_login("Success").root().error("").response(json!({"ConsoleLogin": "Success"})),
                federated("Root"),
            ],
            attempts: vec![],
            quiet: vec![
                console_login("Failure").root(),
                console_login("Success").iam_user("root"),
                federated("IAMUser"),
                console_login("Success").role_session("Admin", "root"),
                testkit::event("ConsoleLogin").source("example").root(),
            ],
        }
    }

    #[test]
    fn the_sentence_tells_of_mfa() {
        let finding = &Registry::default().findings(&console_login("Success").root().mfa_used(false).to_event())[0];
        assert_eq!(finding.title, "Root Account Login");
        assert_eq!(finding.summary, "The root user signed in to the console. No MFA was used.");
    }

    #[test]
    fn a_federation_session_of_root_is_a_root_login_and_says_nothing_of_mfa() {
        let findings = Registry::default().findings(&federated("Root").to_event());
        let ids: Vec<&str> = findings.iter().map(|finding| finding.detection.id).collect();
        assert_eq!(ids, ["root-console-login"]);
        assert_eq!(
            findings[0].summary,
            "The root user signed in to the console. It was through a federation session of its own."
        );
    }
}

//! `root-console-login-failed`

use event::Event;

use crate::actor::is_root;
use crate::config::Settings;
use crate::text::clip;
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "root-console-login-failed",
    title: "Failed Root Login",
    severity: Severity::Critical,
    attempted_severity: None,
    techniques: &["T1110", "T1078.004"],
    triggers: Triggers::Calls(&[Calls { service: "signin", names: &["ConsoleLogin"] }]),
    action_required: "Find out who tries to sign in as root, and check that root has MFA.",
    docs: Docs {
        summary: "Finds a console sign-in of an account's root user that failed. It stays critical although it failed: \
                  whoever tries knows the account's e-mail address.",
        why: "Hardly anybody signs in as root, so even one failure stands out. Several in a row, or one from an unknown \
              address, are somebody guessing or trying a leaked password.",
        false_positives: "A holder of the credentials who mistypes the password or the MFA code; a successful sign-in \
                          from the same address follows within minutes.",
        what_to_do: "Ask those who hold the credentials. If it was none of them: make sure that the password is unique \
                     and MFA is on, secure the mailbox of the root user's address, and watch for a success.",
        references: &[
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/root-user-best-practices.html",
            "https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-aws-console-sign-in-events.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

fn check(event: &Event<'_>, _: &Settings) -> Option<Deed> {
    if !is_root(event) || !event.failed() {
        return None;
    }
    let deed = Deed::new("failed to sign in to", "sign in to", "the console");
    let says = |text: &&str| !text.is_empty();
    Some(match event.error_message().filter(says).or_else(|| event.error_code().filter(says)) {
        Some(reason) => deed.note(format!("Reason given: {}", clip(reason))),
        None => deed,
    })
}

#[cfg(test)]
mod tests {
    use testkit::console_login;

    use crate::registry::tests::Examples;
    use crate::{Registry, Severity};

    pub(super) fn examples() -> Examples {
        Examples {
            fires: vec![console_login("Failure").root(), console_login("Failure").root().without("errorMessage")],
            attempts: vec![],
            quiet: vec![
                console_login("Success").root(),
                console_login("Failure").iam_user("alice"),
                // Exports write a field that the record lacks as nothing.
                console_login("Success").root().field("errorCode", "").error_message(""),
            ],
        }
    }

    #[test]
    fn a_failed_root_login_stays_critical_under_its_own_title() {
        let finding = &Registry::default().findings(&console_login("Failure").root().to_event())[0];
        assert_eq!((finding.title.as_str(), finding.severity), ("Failed Root Login", Severity::Critical));
        assert!(finding.attempted);
        assert_eq!(
            finding.summary,
            "The root user failed to sign in to the console. Reason given: Failed authentication."
        );
    }
}

//! `root-console-login`

use event::Event;

use crate::actor::is_root;
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
        summary: "Finds a successful console sign-in of an account's root user.",
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
    Some(match event.mfa_authenticated {
        Some(true) => deed.note("MFA was used"),
        Some(false) => deed.note("No MFA was used"),
        None => deed,
    })
}

#[cfg(test)]
mod tests {
    use testkit::console_login;

    use crate::Registry;
    use crate::registry::tests::Examples;

    pub(super) fn examples() -> Examples {
        Examples {
            fires: vec![console_login("Success").root(), console_login("Success").root().mfa_used(false)],
            attempts: vec![],
            quiet: vec![
                console_login("Failure").root(),
                console_login("Success").iam_user("root"),
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
}

//! `console-login-without-mfa`

use event::Event;

use crate::actor::{is_federated_root, is_iam_user, is_root};
use crate::config::Settings;
use crate::request::omitted;
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "console-login-without-mfa",
    title: "Console Login Without MFA",
    severity: Severity::Medium,
    attempted_severity: None,
    techniques: &["T1078.004"],
    triggers: Triggers::Calls(&[Calls { service: "signin", names: &["ConsoleLogin"] }]),
    action_required: "Confirm the sign-in with the user and have them set up MFA.",
    docs: Docs {
        summary: "Finds a successful console sign-in of an IAM user or the root user with nothing but a password. \
                  Federated and Identity Center sign-ins are left out: CloudTrail says `MFAUsed: No` for every one of \
                  them, whatever their identity provider asked for.",
        why: "A password alone can be guessed, reused or phished. Most intrusions through the console begin with one.",
        false_positives: "Users for whom nobody has required MFA yet. Where that is policy, suppress them by name and \
                          let the suppression end.",
        what_to_do: "Ask the user whether it was them, and look at the address. Then require MFA by policy \
                     (`aws:MultiFactorAuthPresent`), or move the person to Identity Center.",
        references: &[
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_mfa.html",
            "https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-aws-console-sign-in-events.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

fn check(event: &Event<'_>, _: &Settings) -> Option<Deed> {
    let signs_in_to_aws_itself = is_iam_user(event) || (is_root(event) && !is_federated_root(event));
    if !signs_in_to_aws_itself || event.failed() {
        return None;
    }
    let deed = || Deed::new("signed in to", "sign in to", "the console with a password only");
    match event.mfa_authenticated {
        Some(true) => None,
        Some(false) => Some(deed()),
        // `additionalEventData` repeats the address that was opened, so a caller can make it too long to be kept.
        None => omitted(event.additional()).then(|| deed().unreadable()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::console_login;

    use crate::registry::tests::Examples;

    pub(super) fn examples() -> Examples {
        Examples {
            fires: vec![
                console_login("Success").iam_user("alice").mfa_used(false),
                console_login("Success").root().mfa_used(false),
                console_login("Success").additional(json!({"omitted": true, "originalSize": 30_000})),
            ],
            attempts: vec![],
            quiet: vec![
                console_login("Success").iam_user("alice"),
                console_login("Failure").iam_user("alice").mfa_used(false),
                console_login("Success").role_session("AWSReservedSSO_Admin_0123456789abcdef", "alice").mfa_used(false),
                console_login("Success").identity(json!({"type": "SAMLUser", "userName": "alice"})).mfa_used(false),
                console_login("Success").identity_center("94482488-3041-7076").mfa_used(false),
            ],
        }
    }
}

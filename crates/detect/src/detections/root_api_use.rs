//! `root-api-use`

use event::Event;

use crate::actor::{is_aws_internal, is_federated_root, is_root};
use crate::config::Settings;
use crate::detection::service;
use crate::text::clip;
use crate::{Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "root-api-use",
    title: "Root API Use",
    severity: Severity::High,
    attempted_severity: Some(Severity::Low),
    techniques: &["T1078.004"],
    triggers: Triggers::EveryEvent,
    action_required: "Confirm that this use of the root user was planned, and remove root access keys.",
    docs: Docs {
        summary: "Finds every call that an account's root user makes, in the console, with an access key, in a session \
                  of AssumeRoot or in a federation session that root made. Signing in has detections of its own. Calls that an AWS service makes in root's name \
                  (`invokedBy`, `AwsServiceEvent`) are left out, as in the CIS benchmark's root-use control; not \
                  so the console, which older records name there.",
        why: "Only an organization's policies bind the root user. Each call is power that nobody needs in daily work, and \
              what root does shows what an intruder is after.",
        false_positives: "Tasks that need the root user. One visit to the console makes dozens of reading calls, each of \
                          them a finding; suppress root for the hour of planned work rather than the detection for good.",
        what_to_do: "Ask those who hold the credentials. If it was planned, give the task to a role. If not, proceed as \
                     for a root login: change the password, delete access keys, and undo what was done.",
        references: &[
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/root-user-best-practices.html",
            "https://docs.aws.amazon.com/securityhub/latest/userguide/cloudwatch-controls.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

/// Events of the sign-in itself. Recovering or changing the password and the e-mail address are no mere signing in.
const SIGNING_IN: &[&str] = &[
    "ConsoleLogin",
    "CheckMfa",
    "CredentialChallenge",
    "CredentialVerification",
    "GetSigninToken",
    "UserAuthentication",
];

fn check(event: &Event<'_>, _: &Settings) -> Option<Deed> {
    if !is_root(event) || is_aws_internal(event) {
        return None;
    }
    if service(event) == "signin" && SIGNING_IN.contains(&event.name()) {
        return None;
    }
    let call = format!("{}:{}", clip(service(event)), clip(event.name()));
    let deed = Deed::new("called", "call", call);
    if is_federated_root(event) {
        let name = event.session_name().map_or(String::new(), |name| format!(" called {}", clip(name)));
        return Some(deed.note(format!("This was a federation session{name}")));
    }
    Some(if in_assumed_root_session(event) { deed.note("This was a session of AssumeRoot") } else { deed })
}

/// Whether an administrator of the organization acts as root of a member account.
fn in_assumed_root_session(event: &Event<'_>) -> bool {
    let assumed = &event.identity()["sessionContext"]["assumedRoot"];
    assumed.as_bool().unwrap_or_else(|| assumed.as_str() == Some("true"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::{console_login, event};

    use crate::Registry;
    use crate::registry::tests::Examples;

    /// A federation session (`GetFederationToken`), made by the root user or by an IAM user.
    fn federated(issuer: &str) -> testkit::EventBuilder {
        event("DeleteBucket").source("s3").identity(json!({
            "type": "FederatedUser",
            "principalId": "111122223333:eve",
            "arn": "arn:aws:sts::111122223333:federated-user/eve",
            "accountId": "111122223333",
            "sessionContext": {"sessionIssuer": {"type": issuer, "principalId": "111122223333"}},
        }))
    }

    pub(super) fn examples() -> Examples {
        Examples {
            fires: vec![
                event("DescribeInstances").source("ec2").root(),
                event("CreateAccessKey").root(),
                event("PasswordRecoveryCompleted").source("signin").root(),
                event("DeleteBucket").source("s3").root().invoked_by("signin.amazonaws.com"),
                federated("Root"),
            ],
            attempts: vec![event("DeleteBucket").source("s3").root().error("AccessDenied")],
            quiet: vec![
                console_login("Success").root(),
                event("CredentialChallenge").source("signin").root(),
                event("Decrypt").source("kms").root().invoked_by("cloudtrail.amazonaws.com"),
                event("RotateKey").source("kms").root().field("eventType", "AwsServiceEvent"),
                event("CreateAccessKey").iam_user("root"),
                federated("IAMUser"),
                federated("Root").invoked_by("cloudtrail.amazonaws.com"),
            ],
        }
    }

    #[test]
    fn a_session_of_assume_root_is_told_apart() {
        let call = event("DeleteBucketPolicy").source("s3").root();
        let session = call.identity_field("sessionContext", json!({"assumedRoot": "true"}));
        let findings = Registry::default().findings(&session.to_event());
        assert_eq!(
            findings[0].summary,
            "The root user called s3:DeleteBucketPolicy. This was a session of AssumeRoot."
        );
        let findings = Registry::default().findings(&federated("Root").to_event());
        assert_eq!(
            findings[0].summary,
            "The root user called s3:DeleteBucket. This was a federation session called eve."
        );
    }
}

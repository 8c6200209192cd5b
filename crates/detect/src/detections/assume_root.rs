//! `assume-root`

use event::Event;

use crate::config::Settings;
use crate::request::{first_text, named};
use crate::text::{clip, last_part};
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "assume-root",
    title: "Root Session Assumed",
    severity: Severity::High,
    attempted_severity: Some(Severity::Medium),
    techniques: &["T1548.005", "T1078.004"],
    triggers: Triggers::Calls(&[Calls { service: "sts", names: &["AssumeRoot"] }]),
    action_required: "Confirm that central root access to this member account was planned, and look at what was done with it.",
    docs: Docs {
        summary: "Finds `sts:AssumeRoot`: the organization's management account, or its delegate for IAM, takes a short \
                  root session in a member account.",
        why: "Such a session deletes root credentials, lets root set a password again, or unlocks bucket and queue \
              policies. In the wrong hands it takes over any member account of the organization.",
        false_positives: "Central root access management in use: cleaning up root credentials of member accounts, \
                          unlocking a policy. The task policy in the sentence tells which.",
        what_to_do: "Ask the caller for the reason. Then look at the calls of the session in the member account: they \
                     are made by the root user, with the access key that this call returned.",
        references: &[
            "https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoot.html",
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/cloudtrail-track-privileged-tasks.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

fn check(event: &Event<'_>, _: &Settings) -> Option<Deed> {
    let account = match first_text(event, &["targetPrincipal"]) {
        Some(account) => format!("the root user of account {}", clip(account)),
        None => named(event, "member account's root user", &[]),
    };
    let deed = Deed::new("took a session as", "take a session as", account);
    Some(match first_text(event, &["taskPolicyArn.arn", "taskPolicyArn"]) {
        Some(task) => deed.note(format!("Task policy: {}", clip(last_part(task)))),
        None => deed,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::event;

    use crate::Registry;
    use crate::registry::tests::Examples;

    fn assume_root() -> testkit::EventBuilder {
        // The shape in the IAM User Guide, "Track privileged tasks in AWS CloudTrail".
        event("AssumeRoot").source("sts").role_session("Admin", "john").request(json!({
            "targetPrincipal": "222222222222",
            "taskPolicyArn": {"arn": "arn:aws:iam::aws:policy/root-task/S3UnlockBucketPolicy"},
        }))
    }

    pub(super) fn examples() -> Examples {
        Examples {
            fires: vec![assume_root(), event("AssumeRoot").source("sts")],
            attempts: vec![assume_root().error("AccessDenied")],
            quiet: vec![event("AssumeRole").source("sts"), event("AssumeRoot").source("example")],
        }
    }

    #[test]
    fn the_sentence_names_the_account_and_the_task() {
        let findings = Registry::default().findings(&assume_root().to_event());
        assert_eq!(
            findings[0].summary,
            "john (session of role Admin) took a session as the root user of account 222222222222. \
             Task policy: S3UnlockBucketPolicy."
        );
    }
}

//! `admin-policy-attached`

use event::Event;

use crate::config::Settings;
use crate::request::{Read, named, text};
use crate::text::{clip, last_part};
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "admin-policy-attached",
    title: "Admin Policy Attached",
    severity: Severity::Critical,
    attempted_severity: Some(Severity::Medium),
    techniques: &["T1098.003"],
    triggers: Triggers::Calls(&[Calls {
        service: "iam",
        names: &["AttachUserPolicy", "AttachGroupPolicy", "AttachRolePolicy"],
    }]),
    action_required: "Verify that this principal is meant to be an administrator; if not, detach the policy.",
    docs: Docs {
        summary: "Finds an administrator policy attached to a user, a group or a role: AdministratorAccess, IAMFullAccess, \
                  PowerUserAccess, AWSSSOMasterAccountAdministrator, AWSSSOMemberAccountAdministrator, \
                  AWSIdentityCenterFullAccess, and those of `detect.admin_policies`. A policy of one's own with such a \
                  name counts as well.",
        why: "It makes the principal an administrator, or able to become one. Intruders attach it to the user or role \
              they hold, or to one that nobody watches.",
        false_positives: "Setting up accounts and administrators, by hand, by infrastructure as code or by Identity \
                          Center (roles `AWSReservedSSO_…`, where the permission set was changed before). The content \
                          of a policy of one's own is not in the event: `admin-policy-granted-inline` judges it when it \
                          is written.",
        what_to_do: "Ask the caller. If it was not meant: detach the policy, end the principal's sessions, and look at \
                     what the principal did as an administrator.",
        references: &[
            "https://docs.aws.amazon.com/IAM/latest/APIReference/API_AttachUserPolicy.html",
            "https://docs.aws.amazon.com/IAM/latest/APIReference/API_AttachGroupPolicy.html",
            "https://docs.aws.amazon.com/IAM/latest/APIReference/API_AttachRolePolicy.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

fn check(event: &Event<'_>, settings: &Settings) -> Option<Deed> {
    let attached = |policy: &str| Deed::new("attached", "attach", format!("{policy} to {}", holder(event)));
    let policy = match text(event, "policyArn") {
        Read::Known(policy) if settings.is_admin_policy(policy) => policy,
        Read::Known(_) => return None,
        Read::Absent | Read::Unreadable => return Some(attached("a policy").unreadable()),
    };
    let deed = attached(&clip(last_part(policy)));
    let is_aws_managed = policy.contains(":iam::aws:policy/");
    Some(if is_aws_managed { deed } else { deed.note(format!("The policy is not AWS's: {}", clip(policy))) })
}

/// Who gets the policy.
fn holder(event: &Event<'_>) -> String {
    match event.name() {
        "AttachUserPolicy" => named(event, "IAM user", &["userName"]),
        "AttachGroupPolicy" => named(event, "group", &["groupName"]),
        _ => named(event, "role", &["roleName"]),
    }
}

#[cfg(test)]
mod tests {
    use event::policy::ADMIN_POLICIES;
    use serde_json::{Value, json};
    use testkit::{EventBuilder, event};

    use crate::registry::tests::Examples;
    use crate::{DetectConfig, Registry};

    fn attach(policy: &str) -> EventBuilder {
        event("AttachRolePolicy").request(json!({"roleName": "ci", "policyArn": policy}))
    }

    fn aws(policy: &str) -> String {
        format!("arn:aws:iam::aws:policy/{policy}")
    }

    pub(super) fn examples() -> Examples {
        let mut fires: Vec<_> = ADMIN_POLICIES.iter().map(|policy| attach(&aws(policy))).collect();
        let user = json!({"userName": "bob", "policyArn": aws("AdministratorAccess")});
        let group = json!({"groupName": "ops", "policyArn": aws("IAMFullAccess")});
        fires.extend([
            event("AttachUserPolicy").request(user),
            event("AttachGroupPolicy").request(group),
            attach("arn:aws-us-gov:iam::aws:policy/AdministratorAccess"),
            attach("arn:aws:iam::111122223333:policy/AdministratorAccess"),
            attach(&aws("job-function/PowerUserAccess")),
            event("AttachUserPolicy").request(Value::Null),
            event("AttachUserPolicy").request(json!({"omitted": true})),
        ]);
        Examples {
            fires,
            attempts: vec![
                attach(&aws("AdministratorAccess")).error("AccessDenied"),
                event("AttachUserPolicy").error("AccessDenied"),
            ],
            quiet: vec![
                attach(&aws("ReadOnlyAccess")),
                attach(&aws("AdministratorAccess-Amplify")),
                attach(&aws("AdministratorAccess")).source("example"),
                event("DetachRolePolicy").request(json!({"roleName": "ci", "policyArn": aws("AdministratorAccess")})),
            ],
        }
    }

    #[test]
    fn the_sentence_names_policy_and_principal_and_whose_policy_it_is() {
        let summary = |event: EventBuilder| Registry::default().findings(&event.to_event())[0].summary.clone();
        assert_eq!(summary(attach(&aws("AdministratorAccess"))), "alice attached AdministratorAccess to the role ci.");
        let own = "arn:aws:iam::111122223333:policy/AdministratorAccess";
        assert!(summary(attach(own)).ends_with(&format!("The policy is not AWS's: {own}.")));
        assert!(summary(event("AttachUserPolicy")).contains("could not be judged"));
    }

    #[test]
    fn the_list_can_be_extended() {
        let config = DetectConfig { admin_policies: vec!["CompanyAdmin".to_owned()], ..DetectConfig::default() };
        let event = attach("arn:aws:iam::111122223333:policy/CompanyAdmin").to_event();
        assert_eq!(Registry::new(&config).expect("valid").findings(&event).len(), 1);
        assert!(Registry::default().findings(&event).is_empty());
    }
}

//! `account-assignment-created`

use event::Event;

use crate::config::Settings;
use crate::request::{first_text, named};
use crate::text::{clip, last_part};
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "account-assignment-created",
    title: "Account Assignment Created",
    severity: Severity::Critical,
    attempted_severity: Some(Severity::Medium),
    techniques: &["T1098.003"],
    triggers: Triggers::Calls(&[Calls { service: "sso", names: &["CreateAccountAssignment", "AssociateProfile"] }]),
    action_required: "Verify that this user or group is to have this permission set in this account.",
    docs: Docs {
        summary: "Finds a user or group of Identity Center that is given a permission set in an account, also by the \
                  console's own call (`AssociateProfile`; a profile is a permission set in one account).",
        why: "It opens an account to somebody: from that moment they can take a session with all rights of the \
              permission set, and no IAM user, key or policy in the account shows it.",
        false_positives: "Everyday access management. `AssociateProfile` assigns people to applications as well, and the \
                          record does not show which it is. Where requests for access are granted by a tool, suppress the \
                          tool's role rather than the detection.",
        what_to_do: "Ask the caller. If it was not meant: delete the assignment, revoke the active sessions, and look at \
                     what was done in the account with the permission set's role.",
        references: &[
            "https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_CreateAccountAssignment.html",
            "https://docs.aws.amazon.com/singlesignon/latest/userguide/assignusers.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

fn check(event: &Event<'_>, _: &Settings) -> Option<Deed> {
    let kind = match first_text(event, &["principalType", "accessorType"]) {
        Some(kind) if kind.eq_ignore_ascii_case("group") => "Identity Center group",
        _ => "Identity Center user",
    };
    let principal = named(event, kind, &["principalId", "accessorId"]);
    if event.name() == "AssociateProfile" {
        let profile = named(event, "profile", &["profileId"]);
        let deed = Deed::new("assigned", "assign", format!("{principal} to {profile}"));
        return Some(deed.note("A profile is a permission set in an account, or an application"));
    }
    let account = named(event, "account", &["targetId"]);
    let set = match first_text(event, &["permissionSetArn"]) {
        Some(arn) => format!("the permission set {}", clip(last_part(arn))),
        None => "a permission set".to_owned(),
    };
    Some(Deed::new("assigned", "assign", format!("{principal} to {account} with {set}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::event;

    use crate::Registry;
    use crate::registry::tests::Examples;

    fn assign() -> testkit::EventBuilder {
        event("CreateAccountAssignment").source("sso").request(json!({
            "instanceArn": "arn:aws:sso:::instance/ssoins-1",
            "targetId": "444455556666",
            "targetType": "AWS_ACCOUNT",
            "permissionSetArn": "arn:aws:sso:::permissionSet/ssoins-1/ps-0123456789abcdef",
            "principalType": "GROUP",
            "principalId": "a4c8-e0f2",
        }))
    }

    fn associate() -> testkit::EventBuilder {
        event("AssociateProfile").source("sso").request(json!({
            "instanceId": "ins-1",
            "profileId": "p-1",
            "accessorId": "a4c8-e0f2",
            "accessorType": "USER",
            "directoryId": "d-1",
            "directoryType": "UserPool",
        }))
    }

    pub(super) fn examples() -> Examples {
        Examples {
            fires: vec![assign(), event("CreateAccountAssignment").source("sso"), associate()],
            attempts: vec![assign().error("AccessDeniedException"), associate().error("AccessDenied")],
            quiet: vec![
                assign().source("iam"),
                associate().source("servicecatalog"),
                event("DisassociateProfile").source("sso"),
                event("DeleteAccountAssignment").source("sso"),
                event("ListAccountAssignments").source("sso"),
            ],
        }
    }

    #[test]
    fn the_sentence_tells_who_may_do_what_where() {
        assert_eq!(
            Registry::default().findings(&assign().to_event())[0].summary,
            "alice assigned the Identity Center group a4c8-e0f2 to the account 444455556666 \
             with the permission set ps-0123456789abcdef."
        );
        assert_eq!(
            Registry::default().findings(&associate().to_event())[0].summary,
            "alice assigned the Identity Center user a4c8-e0f2 to the profile p-1. \
             A profile is a permission set in an account, or an application."
        );
    }
}

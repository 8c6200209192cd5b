//! `user-added-to-admin-group`

use event::Event;

use crate::config::Settings;
use crate::detection::service;
use crate::request::{Read, named, text};
use crate::text::clip;
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "user-added-to-admin-group",
    title: "User Added To Admin Group",
    severity: Severity::High,
    attempted_severity: Some(Severity::Medium),
    techniques: &["T1098.007", "T1098.003"],
    triggers: Triggers::Calls(&[
        Calls { service: "iam", names: &["AddUserToGroup"] },
        Calls { service: "identitystore", names: &["CreateGroupMembership", "AddMemberToGroup"] },
        Calls { service: "sso-directory", names: &["AddMemberToGroup"] },
    ]),
    action_required: "Verify that this user is meant to be an administrator.",
    docs: Docs {
        summary: "Finds a user added to a group whose name sounds like administrators' (`detect.admin_groups`, such as \
                  `*admin*`). Groups of Identity Center are known by their ids only: put the ids of yours into the setting.",
        why: "Membership gives all the group's rights at once, and is easier to overlook than a policy.",
        false_positives: "A group that is called so but may do little, and new administrators. A single event does not \
                          know the group's policies, so a powerful group with a harmless name is not found: add it to \
                          the setting.",
        what_to_do: "Ask the caller and the group's owner. If it was not meant: remove the user, and look at what the \
                     user did as a member.",
        references: &[
            "https://docs.aws.amazon.com/IAM/latest/APIReference/API_AddUserToGroup.html",
            "https://docs.aws.amazon.com/singlesignon/latest/IdentityStoreAPIReference/API_CreateGroupMembership.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

fn check(event: &Event<'_>, settings: &Settings) -> Option<Deed> {
    let is_iam = service(event) == "iam";
    let parameter = if is_iam { "groupName" } else { "groupId" };
    let added_to = |group: &str| {
        let user = named(event, "user", &["userName", "memberId.userId", "memberId"]);
        Deed::new("added", "add", format!("{user} to {group}"))
    };
    match text(event, parameter) {
        Read::Known(group) if settings.is_admin_group(group) => Some(added_to(&format!("the group {}", clip(group)))),
        Read::Known(_) => None,
        // Ids tell nothing unless they were configured, so without one there is nothing to suspect.
        Read::Absent | Read::Unreadable if !is_iam => None,
        Read::Absent | Read::Unreadable => Some(added_to("a group").unreadable()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::{EventBuilder, event};

    use crate::registry::tests::Examples;
    use crate::{DetectConfig, Registry};

    fn add(group: &str) -> EventBuilder {
        event("AddUserToGroup").request(json!({"userName": "bob", "groupName": group}))
    }

    pub(super) fn examples() -> Examples {
        Examples {
            fires: vec![add("Administrators"), add("db-admins"), add("PowerUsers"), event("AddUserToGroup")],
            attempts: vec![add("admins").error("AccessDenied"), add("admins").error("NoSuchEntity")],
            quiet: vec![
                add("developers"),
                add("admins").source("example"),
                event("RemoveUserFromGroup").request(json!({"userName": "bob", "groupName": "admins"})),
                event("CreateGroupMembership").source("identitystore").request(json!({"groupId": "a-1"})),
                event("CreateGroupMembership").source("identitystore"),
            ],
        }
    }

    #[test]
    fn groups_are_configurable_and_those_of_identity_center_are_known_by_id() {
        let config = DetectConfig { admin_groups: vec!["a4c8-*".to_owned()], ..DetectConfig::default() };
        let registry = Registry::new(&config).expect("valid");
        assert!(registry.findings(&add("Administrators").to_event()).is_empty(), "the setting replaces the default");
        let request = json!({"groupId": "A4C8-e0f2", "memberId": {"userId": "9448-2488"}});
        let membership = event("CreateGroupMembership").source("identitystore").request(request).to_event();
        assert_eq!(registry.findings(&membership)[0].summary, "alice added the user 9448-2488 to the group A4C8-e0f2.");
        for service in ["sso-directory", "identitystore"] {
            let add = |group: &str| event("AddMemberToGroup").source(service).request(json!({"groupId": group}));
            assert_eq!(registry.findings(&add("a4c8-e0f2").to_event()).len(), 1, "{service}");
            assert!(registry.findings(&add("b5d9-e0f2").to_event()).is_empty(), "{service}");
        }
    }
}

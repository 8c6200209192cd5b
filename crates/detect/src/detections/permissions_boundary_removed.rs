//! `permissions-boundary-removed`

use event::Event;

use crate::config::Settings;
use crate::request::{Read, named, text};
use crate::text::{clip, last_part};
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "permissions-boundary-removed",
    title: "Permissions Boundary Removed",
    severity: Severity::High,
    attempted_severity: Some(Severity::Medium),
    techniques: &["T1098.003", "T1484"],
    triggers: Triggers::Calls(&[
        Calls {
            service: "iam",
            names: &[
                "DeleteUserPermissionsBoundary",
                "DeleteRolePermissionsBoundary",
                "PutUserPermissionsBoundary",
                "PutRolePermissionsBoundary",
            ],
        },
        Calls {
            service: "sso",
            names: &["DeletePermissionsBoundaryFromPermissionSet", "PutPermissionsBoundaryToPermissionSet"],
        },
    ]),
    action_required: "Verify that this principal may have its full permissions; if not, set the boundary again.",
    docs: Docs {
        summary: "Finds the permissions boundary of a user, a role or a permission set that is removed, or replaced by an \
                  administrator policy, which bounds next to nothing.",
        why: "A boundary caps what a principal can do whatever its policies say. Teams that may make their own roles are \
              held by it; without it, all that their policies say counts.",
        false_positives: "Moving to another design of delegation. A boundary replaced by one that is weaker but no \
                          administrator policy is not found: the content of the policy is not in the event.",
        what_to_do: "Ask the caller. If it was not meant: set the boundary again, end the principal's sessions, and look \
                     at what it did without.",
        references: &[
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html",
            "https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRolePermissionsBoundary.html",
            "https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_DeletePermissionsBoundaryFromPermissionSet.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

fn check(event: &Event<'_>, settings: &Settings) -> Option<Deed> {
    if event.name().starts_with("Delete") {
        return Some(Deed::new("removed", "remove", boundary(event)));
    }
    let replaced = |by: &str| Deed::new("replaced", "replace", format!("{} by {by}", boundary(event)));
    match new_boundary(event) {
        Read::Known(policy) if settings.is_admin_policy(policy) => {
            Some(replaced(&clip(last_part(policy))).note("It bounds next to nothing"))
        }
        Read::Known(_) => None,
        Read::Absent | Read::Unreadable => Some(replaced("another").unreadable()),
    }
}

/// Whose boundary it is about.
fn boundary(event: &Event<'_>) -> String {
    let owner = match event.name() {
        name if name.contains("User") => named(event, "IAM user", &["userName"]),
        name if name.contains("Role") => named(event, "role", &["roleName"]),
        _ => named(event, "permission set", &["permissionSetArn"]),
    };
    format!("the permissions boundary of {owner}")
}

/// The policy that becomes the boundary, by ARN or name.
fn new_boundary<'e>(event: &'e Event<'_>) -> Read<&'e str> {
    const PARAMETERS: [&str; 3] = [
        "permissionsBoundary",
        "permissionsBoundary.managedPolicyArn",
        "permissionsBoundary.customerManagedPolicyReference.name",
    ];
    let known = PARAMETERS.iter().map(|parameter| text(event, parameter)).find(|read| matches!(read, Read::Known(_)));
    known.unwrap_or(Read::Unreadable)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::{EventBuilder, event};

    use crate::Registry;
    use crate::registry::tests::Examples;

    fn put(policy: &str) -> EventBuilder {
        event("PutRolePermissionsBoundary").request(json!({"roleName": "ci", "permissionsBoundary": policy}))
    }

    fn put_to_set(boundary: serde_json::Value) -> EventBuilder {
        event("PutPermissionsBoundaryToPermissionSet").source("sso").request(
            json!({"permissionSetArn": "arn:aws:sso:::permissionSet/ssoins-1/ps-1", "permissionsBoundary": boundary}),
        )
    }

    pub(super) fn examples() -> Examples {
        let admin = "arn:aws:iam::aws:policy/AdministratorAccess";
        let delete = event("DeleteUserPermissionsBoundary").request(json!({"userName": "bob"}));
        Examples {
            fires: vec![
                delete.clone(),
                event("DeleteRolePermissionsBoundary").request(json!({"roleName": "ci"})),
                event("DeletePermissionsBoundaryFromPermissionSet").source("sso"),
                put(admin),
                put_to_set(json!({"managedPolicyArn": admin})),
                put_to_set(json!({"customerManagedPolicyReference": {"name": "AdministratorAccess", "path": "/"}})),
                event("PutUserPermissionsBoundary"),
            ],
            attempts: vec![delete.clone().error("NoSuchEntity"), put(admin).error("AccessDenied")],
            quiet: vec![
                put("arn:aws:iam::111122223333:policy/TeamBoundary"),
                put_to_set(json!({"customerManagedPolicyReference": {"name": "TeamBoundary"}})),
                delete.source("example"),
                event("DeleteRolePolicy").request(json!({"roleName": "ci"})),
            ],
        }
    }

    #[test]
    fn the_sentence_tells_whose_boundary_it_was() {
        let summary = |event: EventBuilder| Registry::default().findings(&event.to_event())[0].summary.clone();
        assert_eq!(
            summary(put("arn:aws:iam::aws:policy/AdministratorAccess")),
            "alice replaced the permissions boundary of the role ci by AdministratorAccess. It bounds next to nothing."
        );
    }
}

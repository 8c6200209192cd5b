//! `permission-set-created`

use event::Event;

use crate::config::Settings;
use crate::request::{Read, named, text};
use crate::text::clip;
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "permission-set-created",
    title: "Permission Set Created",
    severity: Severity::Critical,
    attempted_severity: Some(Severity::Medium),
    techniques: &["T1098.003"],
    triggers: Triggers::Calls(&[Calls { service: "sso", names: &["CreatePermissionSet", "CreateProfile"] }]),
    action_required: "Verify that the permission set was planned, and watch what is attached and assigned.",
    docs: Docs {
        summary: "Finds a new permission set in Identity Center, and a new profile that puts one into an account \
                  (`CreateProfile`, a call of the console's own).",
        why: "A permission set becomes a role in every account it is assigned to. A new one is the first of three steps \
              (create, attach a policy, assign) to rights in all accounts of an organization at once.",
        false_positives: "New teams and duties; infrastructure as code that manages Identity Center.",
        what_to_do: "Ask the caller. If it was not planned: look for policies attached and accounts assigned to it \
                     since, remove the assignments, delete it, and follow the caller's trail.",
        references: &[
            "https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_CreatePermissionSet.html",
            "https://docs.aws.amazon.com/singlesignon/latest/userguide/permissionsetsconcept.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

fn check(event: &Event<'_>, _: &Settings) -> Option<Deed> {
    if event.name() == "CreatePermissionSet" {
        return Some(Deed::new("created", "create", named(event, "permission set", &["name"])));
    }
    let profile = named(event, "profile", &["name", "profileName"]);
    let created = |what: String| Deed::new("created", "create", what).title("Permission Set Profile Created");
    match text(event, "permissionSetId") {
        Read::Known(set) => Some(created(format!("{profile} of the permission set {}", clip(set)))),
        // The profile of an application.
        Read::Absent => None,
        Read::Unreadable => Some(created(profile).unreadable()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use testkit::event;

    use crate::Registry;
    use crate::registry::tests::Examples;

    pub(super) fn examples() -> Examples {
        let request = json!({"name": "Auditors", "instanceArn": "arn:aws:sso:::instance/ssoins-1"});
        let create = event("CreatePermissionSet").source("sso").request(request);
        let profile = |request: Value| event("CreateProfile").source("sso").request(request);
        let of_a_set = profile(json!({"permissionSetId": "ps-1", "name": "Admin", "instanceId": "ins-1"}));
        Examples {
            fires: vec![
                create.clone(),
                create.clone().identity_center("94482488-3041-7076"),
                of_a_set.clone(),
                profile(Value::Null),
            ],
            attempts: vec![create.clone().error("ConflictException"), of_a_set.clone().error("AccessDenied")],
            quiet: vec![
                create.source("iam"),
                event("DescribePermissionSet").source("sso"),
                profile(json!({"name": "Default", "instanceId": "ins-1"})),
                of_a_set.source("rolesanywhere"),
            ],
        }
    }

    #[test]
    fn a_profile_is_told_apart_from_a_permission_set() {
        let request = json!({"permissionSetId": "ps-1", "name": "Admin"});
        let profile = event("CreateProfile").source("sso").request(request).to_event();
        let finding = &Registry::default().findings(&profile)[0];
        assert_eq!(finding.title, "Permission Set Profile Created");
        assert_eq!(finding.summary, "alice created the profile Admin of the permission set ps-1.");
    }
}

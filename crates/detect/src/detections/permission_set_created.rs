//! `permission-set-created`

use event::Event;

use crate::config::Settings;
use crate::request::named;
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "permission-set-created",
    title: "Permission Set Created",
    severity: Severity::Critical,
    attempted_severity: Some(Severity::Medium),
    techniques: &["T1098.003"],
    triggers: Triggers::Calls(&[Calls { service: "sso", names: &["CreatePermissionSet"] }]),
    action_required: "Verify that the permission set was planned, and watch what is attached and assigned.",
    docs: Docs {
        summary: "Finds a new permission set in Identity Center.",
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
    Some(Deed::new("created", "create", named(event, "permission set", &["name"])))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::event;

    use crate::registry::tests::Examples;

    pub(super) fn examples() -> Examples {
        let request = json!({"name": "Auditors", "instanceArn": "arn:aws:sso:::instance/ssoins-1"});
        let create = event("CreatePermissionSet").source("sso").request(request);
        Examples {
            fires: vec![create.clone(), create.clone().identity_center("94482488-3041-7076")],
            attempts: vec![create.clone().error("ConflictException")],
            quiet: vec![create.source("iam"), event("DescribePermissionSet").source("sso")],
        }
    }
}

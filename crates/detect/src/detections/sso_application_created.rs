//! `sso-application-created`

use event::Event;

use crate::config::Settings;
use crate::request::named;
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "sso-application-created",
    title: "SSO Application Created",
    severity: Severity::High,
    attempted_severity: Some(Severity::Low),
    techniques: &["T1098", "T1199"],
    triggers: Triggers::Calls(&[Calls {
        service: "sso",
        names: &["CreateManagedApplicationInstance", "CreateApplicationInstance", "CreateApplication"],
    }]),
    action_required: "Verify that the application was planned, and who is assigned to it.",
    docs: Docs {
        summary: "Finds a new application in Identity Center, of AWS or of a customer's own.",
        why: "Users sign in to an application with their company identity, and it learns who they are. One that an \
              intruder adds can collect sign-ins, or act for the users who trust it.",
        false_positives: "Services such as QuickSight, Managed Grafana or Amazon Q that add their application when they \
                          are switched on, and new single sign-on set-ups.",
        what_to_do: "Ask the caller. If nobody planned it: disable the application, look at who was assigned to it and \
                     signed in, and follow the caller's trail.",
        references: &[
            "https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_CreateApplication.html",
            "https://docs.aws.amazon.com/singlesignon/latest/userguide/manage-your-applications.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

fn check(event: &Event<'_>, _: &Settings) -> Option<Deed> {
    let application = named(event, "application", &["name", "applicationName", "displayName", "instanceName"]);
    Some(Deed::new("created", "create", format!("{application} in Identity Center")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::event;

    use crate::Registry;
    use crate::registry::tests::Examples;

    pub(super) fn examples() -> Examples {
        let create = event("CreateApplication").source("sso").request(json!({"name": "wiki"}));
        Examples {
            fires: vec![
                create.clone(),
                event("CreateManagedApplicationInstance").source("sso"),
                event("CreateApplicationInstance").source("sso"),
            ],
            attempts: vec![create.clone().error("AccessDeniedException")],
            quiet: vec![
                // Many services have a call of this name.
                create.source("elasticbeanstalk"),
                event("ListApplications").source("sso"),
                event("DeleteApplication").source("sso"),
            ],
        }
    }

    #[test]
    fn a_hidden_name_is_not_repeated() {
        let hidden = json!({"name": "HIDDEN_DUE_TO_SECURITY_REASONS"});
        let event = event("CreateApplication").source("sso").request(hidden).to_event();
        let summary = &Registry::default().findings(&event)[0].summary;
        assert_eq!(summary, "alice created an application in Identity Center.");
    }
}

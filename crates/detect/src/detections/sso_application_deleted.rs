//! `sso-application-deleted`

use event::Event;

use crate::config::Settings;
use crate::request::named;
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "sso-application-deleted",
    title: "SSO Application Deleted",
    severity: Severity::High,
    attempted_severity: Some(Severity::Low),
    techniques: &["T1531"],
    triggers: Triggers::Calls(&[Calls {
        service: "sso",
        names: &["DeleteManagedApplicationInstance", "DeleteApplicationInstance", "DeleteApplication"],
    }]),
    action_required: "Verify that the application was to go; its users cannot sign in any more.",
    docs: Docs {
        summary: "Finds an application deleted from Identity Center, with its assignments.",
        why: "All its users lose access at once, and the assignments that say who had it are gone: sabotage, or the \
              tidying up after an application of the intruder's own.",
        false_positives: "Applications that are retired, and services that remove theirs when they are switched off.",
        what_to_do: "Ask the caller. If it was not meant: create the application and its assignments again, and look at \
                     what the caller did before.",
        references: &[
            "https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_DeleteApplication.html",
            "https://docs.aws.amazon.com/singlesignon/latest/userguide/manage-your-applications.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

fn check(event: &Event<'_>, _: &Settings) -> Option<Deed> {
    let parameters = ["applicationArn", "managedApplicationInstanceId", "applicationInstanceId", "instanceId"];
    let application = named(event, "application", &parameters);
    Some(Deed::new("deleted", "delete", format!("{application} from Identity Center")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::event;

    use crate::registry::tests::Examples;

    pub(super) fn examples() -> Examples {
        let arn = "arn:aws:sso::111122223333:application/ssoins-1/apl-1";
        let delete = event("DeleteApplication").source("sso").request(json!({"applicationArn": arn}));
        Examples {
            fires: vec![delete.clone(), event("DeleteManagedApplicationInstance").source("sso")],
            attempts: vec![delete.clone().error("ResourceNotFoundException")],
            quiet: vec![delete.source("elasticbeanstalk"), event("CreateApplication").source("sso")],
        }
    }
}

//! `permission-set-updated`

use event::Event;

use crate::config::Settings;
use crate::request::{Read, first_text, named, text};
use crate::text::clip;
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "permission-set-updated",
    title: "Permission Set Updated",
    severity: Severity::Critical,
    attempted_severity: Some(Severity::Medium),
    techniques: &["T1098.003"],
    triggers: Triggers::Calls(&[Calls { service: "sso", names: &["UpdatePermissionSet", "UpdateProfile"] }]),
    action_required: "Verify the change, above all a longer session.",
    docs: Docs {
        summary: "Finds a change of a permission set's own properties in Identity Center: its description, the length of \
                  its sessions, where its users land. Also a profile, the permission set's place in one account, that is \
                  given another permission set (`UpdateProfile`, a call of the console's own).",
        why: "A longer session keeps stolen credentials alive, up to twelve hours, and what is changed holds in every \
              account the permission set is assigned to.",
        false_positives: "Maintenance; infrastructure as code that manages Identity Center. Policies are attached by \
                          other calls (`permission-set-admin-policy`).",
        what_to_do: "Ask the caller. If it was not planned: set the properties back, and look at the permission set's \
                     policies and assignments for changes at the same time.",
        references: &[
            "https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_UpdatePermissionSet.html",
            "https://docs.aws.amazon.com/singlesignon/latest/userguide/howtosessionduration.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

fn check(event: &Event<'_>, _: &Settings) -> Option<Deed> {
    if event.name() == "UpdateProfile" {
        return profile_updated(event);
    }
    let deed = Deed::new("changed", "change", named(event, "permission set", &["permissionSetArn", "name"]));
    Some(match first_text(event, &["sessionDuration"]) {
        Some(duration) => deed.note(format!("Its sessions last {}", clip(duration))),
        None => deed,
    })
}

fn profile_updated(event: &Event<'_>) -> Option<Deed> {
    let profile = named(event, "profile", &["profileId", "name"]);
    let changed = |what: String| Deed::new("changed", "change", what).title("Permission Set Profile Updated");
    match text(event, "permissionSetId") {
        Read::Known(set) => Some(changed(format!("{profile} of the permission set {}", clip(set)))),
        // The profile of an application, or one that keeps its permission set.
        Read::Absent => None,
        Read::Unreadable => Some(changed(profile).unreadable()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use testkit::event;

    use crate::Registry;
    use crate::registry::tests::Examples;

    fn update() -> testkit::EventBuilder {
        event("UpdatePermissionSet").source("sso").request(json!({
            "permissionSetArn": "arn:aws:sso:::permissionSet/ssoins-1/ps-1",
            "sessionDuration": "PT12H",
        }))
    }

    fn profile(request: Value) -> testkit::EventBuilder {
        event("UpdateProfile").source("sso").request(request)
    }

    pub(super) fn examples() -> Examples {
        Examples {
            fires: vec![
                update(),
                event("UpdatePermissionSet").source("sso"),
                profile(json!({"profileId": "p-1", "permissionSetId": "ps-1"})),
                profile(json!({"omitted": true})),
            ],
            attempts: vec![update().error("AccessDenied"), profile(Value::Null).error("AccessDenied")],
            quiet: vec![
                update().source("iam"),
                event("ListPermissionSets").source("sso"),
                profile(json!({"profileId": "p-1", "name": "Default"})),
                profile(json!({"profileId": "p-1", "permissionSetId": "ps-1"})).source("rolesanywhere"),
            ],
        }
    }

    #[test]
    fn the_sentence_tells_the_length_of_sessions() {
        let summary = &Registry::default().findings(&update().to_event())[0].summary;
        assert!(summary.ends_with("Its sessions last PT12H."), "{summary}");
    }
}

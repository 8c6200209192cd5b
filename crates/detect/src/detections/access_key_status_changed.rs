//! `access-key-status-changed`

use event::Event;

use crate::config::Settings;
use crate::request::{first_text, named};
use crate::text::clip;
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "access-key-status-changed",
    title: "Access Key Status Changed",
    severity: Severity::High,
    attempted_severity: Some(Severity::Low),
    techniques: &["T1098.001", "T1531"],
    triggers: Triggers::Calls(&[Calls { service: "iam", names: &["UpdateAccessKey"] }]),
    action_required: "Verify the change; a key that was switched on again deserves the attention of a new one.",
    docs: Docs {
        summary: "Finds an access key that is activated or deactivated.",
        why: "Activating an old key brings back a credential that somebody had reason to switch off, without the notice \
              that a new key causes. Deactivating keys locks out people and software.",
        false_positives: "Key rotation and offboarding, which deactivate keys. Deleting a key is part of the same \
                          routine and leaves nothing to come back to, so it is no finding; watch `iam:DeleteAccessKey` \
                          if you want to be told.",
        what_to_do: "Ask the caller and the key's owner. After an activation nobody wanted: deactivate the key again \
                     and look at what was done with it since.",
        references: &[
            "https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccessKey.html",
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

fn check(event: &Event<'_>, _: &Settings) -> Option<Deed> {
    let (done, infinitive) = match first_text(event, &["status"]) {
        Some(status) if status.eq_ignore_ascii_case("active") => ("activated", "activate"),
        Some(status) if status.eq_ignore_ascii_case("inactive") => ("deactivated", "deactivate"),
        _ => ("changed the status of", "change the status of"),
    };
    let key = named(event, "access key", &["accessKeyId"]);
    let object = match first_text(event, &["userName"]) {
        Some(user) => format!("{key} of the IAM user {}", clip(user)),
        None => key,
    };
    Some(Deed::new(done, infinitive, object))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::event;

    use crate::Registry;
    use crate::registry::tests::Examples;

    fn update(status: &str) -> testkit::EventBuilder {
        event("UpdateAccessKey")
            .request(json!({"userName": "bob", "accessKeyId": "AKIAI44QH8DHBEXAMPLE", "status": status}))
    }

    pub(super) fn examples() -> Examples {
        Examples {
            fires: vec![update("Active"), update("Inactive"), event("UpdateAccessKey")],
            attempts: vec![update("Active").error("NoSuchEntity")],
            quiet: vec![event("DeleteAccessKey"), event("GetAccessKeyLastUsed"), update("Active").source("example")],
        }
    }

    #[test]
    fn the_sentence_tells_the_direction() {
        let summary = |status| Registry::default().findings(&update(status).to_event())[0].summary.clone();
        assert_eq!(summary("Active"), "alice activated the access key AKIAI44QH8DHBEXAMPLE of the IAM user bob.");
        assert!(summary("Inactive").starts_with("alice deactivated the access key"));
    }
}

//! `access-key-created`

use event::Event;
use serde_json::Value;

use crate::actor::{is_root, own_user_name};
use crate::config::Settings;
use crate::request::first_text;
use crate::text::clip;
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "access-key-created",
    title: "Access Key Created",
    severity: Severity::Critical,
    attempted_severity: Some(Severity::Medium),
    techniques: &["T1098.001"],
    triggers: Triggers::Calls(&[Calls { service: "iam", names: &["CreateAccessKey"] }]),
    action_required: "Verify that the key was wanted; if not, deactivate it now.",
    docs: Docs {
        summary: "Finds a new long-term access key, for the caller or for another user, or for the root user.",
        why: "A long-term key works from anywhere until somebody deletes it, mostly without MFA. Making a second one is \
              what intruders do first, so as to keep a way in when the first is revoked; making one for another user \
              also hands them that user's rights.",
        false_positives: "Key rotation, and users for software that cannot take a role. The sentence tells whether the \
                          key is the caller's own.",
        what_to_do: "Ask the user. If nobody wanted it: deactivate the key, then look at what was done with it (search \
                     events by the access key) and with the credentials that made it.",
        references: &[
            "https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateAccessKey.html",
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

fn check(event: &Event<'_>, _: &Settings) -> Option<Deed> {
    let answered = &event.response()["accessKey"];
    let deed = Deed::new("created", "create", format!("an access key for {}", owner(event, answered)));
    Some(match answered["accessKeyId"].as_str() {
        Some(key) => deed.note(format!("The new key is {}", clip(key))),
        None => deed,
    })
}

/// Whose key it is.
fn owner(event: &Event<'_>, answered: &Value) -> String {
    let own = own_user_name(event);
    let named_user = first_text(event, &["userName"]).or_else(|| answered["userName"].as_str());
    match named_user.or(own) {
        // Without a name the key is the caller's; but the record of a denied call often leaves names out.
        _ if named_user.is_none() && event.failed() => "an IAM user".to_owned(),
        None if is_root(event) => "the root user".to_owned(),
        None => "an IAM user".to_owned(),
        Some(user) if own.is_some_and(|own| own.eq_ignore_ascii_case(user)) => {
            format!("their own IAM user {}", clip(user))
        }
        Some(user) => format!("the IAM user {}", clip(user)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use testkit::event;

    use crate::Registry;
    use crate::registry::tests::Examples;

    pub(super) fn examples() -> Examples {
        let create = event("CreateAccessKey").request(json!({"userName": "bob"}));
        Examples {
            fires: vec![create.clone(), create.clone().iam_user("bob"), event("CreateAccessKey").request(Value::Null)],
            attempts: vec![create.clone().error("LimitExceeded"), event("CreateAccessKey").error("AccessDenied")],
            quiet: vec![create.source("example"), event("ListAccessKeys"), event("DeleteAccessKey")],
        }
    }

    #[test]
    fn the_sentence_tells_whose_key_it_is() {
        let summary = |event: testkit::EventBuilder| Registry::default().findings(&event.to_event())[0].summary.clone();
        let create = event("CreateAccessKey").request(json!({"userName": "bob"}));
        let answered = create.clone().response(json!({"accessKey": {"accessKeyId": "AKIAI44QH8DHBEXAMPLE"}}));
        assert_eq!(
            summary(answered),
            "alice created an access key for the IAM user bob. The new key is AKIAI44QH8DHBEXAMPLE."
        );
        assert_eq!(
            summary(create.clone().iam_user("Bob")),
            "Bob created an access key for their own IAM user bob.",
            "names that differ in case are one user's"
        );
        assert_eq!(summary(create.iam_user("bob")), "bob created an access key for their own IAM user bob.");
        assert_eq!(summary(event("CreateAccessKey")), "alice created an access key for their own IAM user alice.");
        let denied = summary(event("CreateAccessKey").error("AccessDenied"));
        assert_eq!(denied, "alice tried to create an access key for an IAM user, but the call failed (AccessDenied).");
        assert_eq!(summary(event("CreateAccessKey").root()), "The root user created an access key for the root user.");
    }
}

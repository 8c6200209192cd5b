//! `login-profile-changed-for-other`

use event::Event;

use crate::actor::{is_root, own_user_name};
use crate::config::Settings;
use crate::detection::service;
use crate::request::{Read, named, text};
use crate::text::clip;
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "login-profile-changed-for-other",
    title: "Login Profile Changed For Another User",
    severity: Severity::High,
    attempted_severity: Some(Severity::Medium),
    techniques: &["T1098.001", "T1098"],
    triggers: Triggers::Calls(&[
        Calls { service: "iam", names: &["CreateLoginProfile", "UpdateLoginProfile"] },
        Calls { service: "sso-directory", names: &["UpdatePassword"] },
        Calls { service: "identitystore", names: &["UpdatePassword"] },
    ]),
    action_required: "Ask the user whether they wanted a console password set; if not, delete the login profile.",
    docs: Docs {
        summary: "Finds a console password that somebody sets or changes for another IAM user, gives back to a member \
                  account's root user, or resets for a user of Identity Center.",
        why: "Whoever may set another user's password can sign in as that user: a way to more rights, and one that \
              looks like the victim afterwards.",
        false_positives: "An administrator who makes users or resets a forgotten password. Setting one's own password \
                          (also `ChangePassword`, which is only ever one's own) is left out.",
        what_to_do: "Ask the user. If they did not want it: delete the login profile, revoke the user's sessions, and \
                     look at the sign-ins that followed and at the rest of what the caller did.",
        references: &[
            "https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateLoginProfile.html",
            "https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateLoginProfile.html",
            "https://docs.aws.amazon.com/singlesignon/latest/userguide/resetpassword-accessportal.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

fn check(event: &Event<'_>, _: &Settings) -> Option<Deed> {
    if service(event) != "iam" {
        let user = named(event, "Identity Center user", &["userId"]);
        return Some(Deed::new("reset the password of", "reset the password of", user));
    }
    let (done, infinitive) = match event.name() {
        "CreateLoginProfile" => ("gave a console password to", "give a console password to"),
        _ => ("changed the console password of", "change the console password of"),
    };
    let deed = |whose: String| Deed::new(done, infinitive, whose);
    match text(event, "userName") {
        // IAM tells no two users apart by the case of their names.
        Read::Known(user) if own_user_name(event).is_some_and(|own| own.eq_ignore_ascii_case(user)) => None,
        Read::Known(user) => Some(deed(format!("the IAM user {}", clip(user)))),
        // Without a name the call is about the caller: harmless for a user, but root gets a password back this way.
        Read::Absent if is_root(event) => Some(deed("the root user".to_owned())),
        Read::Absent => None,
        Read::Unreadable => Some(deed(named(event, "IAM user", &[])).unreadable()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use testkit::event;

    use crate::registry::tests::Examples;

    pub(super) fn examples() -> Examples {
        let update = event("UpdateLoginProfile").request(json!({"userName": "bob", "passwordResetRequired": false}));
        Examples {
            fires: vec![
                update.clone(),
                event("CreateLoginProfile").request(json!({"userName": "bob"})),
                // A role is nobody's own user, whatever its session is called.
                update.clone().role_session("Admin", "bob"),
                event("CreateLoginProfile").root().request(json!({})),
                event("CreateLoginProfile").request(Value::Null),
                event("UpdatePassword").source("sso-directory").request(json!({"userId": "94482488-3041-7076"})),
                event("UpdatePassword").source("identitystore").request(json!({"userId": "94482488-3041-7076"})),
            ],
            attempts: vec![update.clone().error("NoSuchEntity"), event("UpdateLoginProfile").error("AccessDenied")],
            quiet: vec![
                update.clone().iam_user("bob"),
                update.iam_user("Bob"),
                event("CreateLoginProfile").request(json!({})),
                event("ChangePassword"),
                event("DeleteLoginProfile").request(json!({"userName": "bob"})),
            ],
        }
    }
}

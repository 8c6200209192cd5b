//! `service-credential-created`

use event::Event;

use crate::config::Settings;
use crate::request::{first_text, named};
use crate::text::clip;
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "service-credential-created",
    title: "Service Credential Created",
    severity: Severity::High,
    attempted_severity: Some(Severity::Low),
    techniques: &["T1098.001"],
    triggers: Triggers::Calls(&[Calls {
        service: "iam",
        names: &["CreateServiceSpecificCredential", "ResetServiceSpecificCredential"],
    }]),
    action_required: "Verify that the credential was wanted; if not, deactivate it now.",
    docs: Docs {
        summary: "Finds a long-term credential of an IAM user for one service: an API key of Amazon Bedrock, a password \
                  for CodeCommit or Amazon Keyspaces.",
        why: "It works from anywhere like an access key, but shows in no list of access keys. Keys of Bedrock are sought \
              after: others' models are run at the account's cost.",
        false_positives: "Developers who try out Bedrock (the console makes a user of its own, `BedrockAPIKey-…`), and Git \
                          over HTTPS. Short-term keys of Bedrock are made without any call, so they are not found.",
        what_to_do: "Ask the user. If nobody wanted it: deactivate the credential, look at the calls made with it, and \
                     deny `iam:CreateServiceSpecificCredential` where nobody needs it.",
        references: &[
            "https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateServiceSpecificCredential.html",
            "https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

fn check(event: &Event<'_>, _: &Settings) -> Option<Deed> {
    if event.name() == "ResetServiceSpecificCredential" {
        let credential = named(event, "service credential", &["serviceSpecificCredentialId"]);
        return Some(Deed::new("made a new secret for", "make a new secret for", credential));
    }
    let user = named(event, "IAM user", &["userName"]);
    let object = match first_text(event, &["serviceName"]) {
        Some(service) => format!("a credential for {} for {user}", clip(service)),
        None => format!("a service credential for {user}"),
    };
    Some(Deed::new("created", "create", object))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::event;

    use crate::Registry;
    use crate::registry::tests::Examples;

    fn create() -> testkit::EventBuilder {
        event("CreateServiceSpecificCredential")
            .request(json!({"userName": "BedrockAPIKey-1234", "serviceName": "bedrock.amazonaws.com"}))
    }

    pub(super) fn examples() -> Examples {
        Examples {
            fires: vec![create(), event("ResetServiceSpecificCredential"), event("CreateServiceSpecificCredential")],
            attempts: vec![create().error("AccessDenied")],
            quiet: vec![create().source("example"), event("ListServiceSpecificCredentials")],
        }
    }

    #[test]
    fn the_sentence_names_the_service() {
        assert_eq!(
            Registry::default().findings(&create().to_event())[0].summary,
            "alice created a credential for bedrock.amazonaws.com for the IAM user BedrockAPIKey-1234."
        );
    }
}

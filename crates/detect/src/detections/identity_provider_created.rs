//! `identity-provider-created`

use event::Event;

use crate::config::Settings;
use crate::detection::service;
use crate::request::named;
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "identity-provider-created",
    title: "Identity Provider Created",
    severity: Severity::High,
    attempted_severity: Some(Severity::Medium),
    techniques: &["T1484.002", "T1556.007"],
    triggers: Triggers::Calls(&[
        Calls {
            service: "iam",
            names: &[
                "CreateSAMLProvider",
                "CreateOpenIDConnectProvider",
                "UpdateSAMLProvider",
                "UpdateOpenIDConnectProviderThumbprint",
                "AddClientIDToOpenIDConnectProvider",
            ],
        },
        Calls { service: "sso", names: IDENTITY_CENTER },
        Calls { service: "sso-directory", names: IDENTITY_CENTER },
    ]),
    action_required: "Verify that this identity provider is yours and that the change was planned.",
    docs: Docs {
        summary: "Finds a SAML or OpenID Connect provider that is created or changed (its metadata and certificates, \
                  thumbprints, client ids), and a change of where Identity Center takes its users from (external \
                  identity provider, directory, trusted token issuer).",
        why: "An identity provider says who somebody is. Whoever controls one, or its signing certificate, can sign in \
              as any user of it, without a password that anybody could change.",
        false_positives: "New single sign-on or CI set-ups, and the yearly renewal of a provider's certificate. The \
                          record does not show which certificate was set.",
        what_to_do: "Ask the caller and the owner of the single sign-on. If it was not planned: remove the provider or \
                     restore its metadata, then look at AssumeRoleWithSAML, AssumeRoleWithWebIdentity and sign-ins since.",
        references: &[
            "https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateSAMLProvider.html",
            "https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html",
            "https://docs.aws.amazon.com/singlesignon/latest/userguide/manage-your-identity-source.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

/// Calls that change where Identity Center takes its users from. Seen from either of its two services.
const IDENTITY_CENTER: &[&str] = &[
    "AssociateDirectory",
    "CreateExternalIdPConfigurationForDirectory",
    "UpdateExternalIdPConfigurationForDirectory",
    "EnableExternalIdPConfigurationForDirectory",
    "CreateTrustedTokenIssuer",
    "UpdateTrustedTokenIssuer",
];

fn check(event: &Event<'_>, _: &Settings) -> Option<Deed> {
    if service(event) == "iam" {
        let provider = match event.name() {
            "CreateSAMLProvider" | "UpdateSAMLProvider" => {
                named(event, "SAML provider", &["name", "sAMLProviderArn", "samlProviderArn"])
            }
            _ => named(event, "OpenID Connect provider", &["url", "openIDConnectProviderArn"]),
        };
        return Some(match event.name() {
            "CreateSAMLProvider" | "CreateOpenIDConnectProvider" => Deed::new("created", "create", provider),
            _ => Deed::new("changed", "change", provider).title("Identity Provider Changed"),
        });
    }
    let source = match event.name() {
        "CreateTrustedTokenIssuer" | "UpdateTrustedTokenIssuer" => {
            named(event, "trusted token issuer", &["name", "trustedTokenIssuerArn"])
        }
        "AssociateDirectory" => named(event, "directory", &["directoryId"]),
        _ => "the external identity provider".to_owned(),
    };
    let object = format!("{source} of Identity Center");
    Some(match event.name() {
        name if name.starts_with("Create") => Deed::new("created", "create", object),
        name if name.starts_with("Update") => Deed::new("changed", "change", object).title("Identity Provider Changed"),
        _ => Deed::new("connected", "connect", object).title("Identity Provider Changed"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::event;

    use crate::Registry;
    use crate::registry::tests::Examples;

    pub(super) fn examples() -> Examples {
        let saml = event("CreateSAMLProvider").request(json!({"name": "corp", "sAMLMetadataDocument": "<xml/>"}));
        Examples {
            fires: vec![
                saml.clone(),
                event("CreateOpenIDConnectProvider").request(json!({"url": "https://idp.example.com"})),
                event("UpdateSAMLProvider")
                    .request(json!({"sAMLProviderArn": "arn:aws:iam::111122223333:saml-provider/corp"})),
                event("AddClientIDToOpenIDConnectProvider"),
                event("EnableExternalIdPConfigurationForDirectory").source("sso-directory"),
                event("AssociateDirectory").source("sso"),
                event("CreateTrustedTokenIssuer").source("sso"),
            ],
            attempts: vec![
                saml.clone().error("EntityAlreadyExists"),
                event("UpdateSAMLProvider").error("AccessDenied"),
            ],
            quiet: vec![
                saml.source("example"),
                event("ListSAMLProviders"),
                event("DeleteSAMLProvider"),
                event("AssociateDirectory").source("ds"),
            ],
        }
    }

    #[test]
    fn a_change_is_not_called_a_creation() {
        let event = event("UpdateSAMLProvider").to_event();
        let finding = &Registry::default().findings(&event)[0];
        assert_eq!(finding.title, "Identity Provider Changed");
        assert_eq!(finding.summary, "alice changed a SAML provider.");
    }
}

//! `identity-provider-created`

use event::Event;

use crate::actor::is_identity_center;
use crate::config::Settings;
use crate::detection::service;
use crate::request::{first_text, named};
use crate::text::last_part;
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
        Calls { service: "identitystore", names: IDENTITY_CENTER },
    ]),
    action_required: "Verify that this identity provider is yours and that the change was planned.",
    docs: Docs {
        summary: "Finds a SAML or OpenID Connect provider that is created or changed (its metadata and certificates, \
                  thumbprints, client ids), and a change of where Identity Center takes its users from (external \
                  identity provider and its certificates, directory, trusted token issuer).",
        why: "An identity provider says who somebody is. Whoever controls one, or its signing certificate, can sign in \
              as any user of it, without a password that anybody could change.",
        false_positives: "New single sign-on or CI set-ups, and the yearly renewal of a provider's certificate. The \
                          record does not show which certificate was set. What Identity Center does itself (in a session of \
                          its service-linked role) with its own SAML providers, `AWSSSO_…_DO_NOT_DELETE`, is left out.",
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

/// Calls that change where Identity Center takes its users from. Seen from each of its services.
const IDENTITY_CENTER: &[&str] = &[
    "AssociateDirectory",
    "DisassociateDirectory",
    "UpdateDirectoryAssociation",
    "CreateExternalIdPConfigurationForDirectory",
    "UpdateExternalIdPConfigurationForDirectory",
    "EnableExternalIdPConfigurationForDirectory",
    "DisableExternalIdPConfigurationForDirectory",
    "ImportExternalIdPCertificate",
    "CreateTrustedTokenIssuer",
    "UpdateTrustedTokenIssuer",
];

fn check(event: &Event<'_>, _: &Settings) -> Option<Deed> {
    if service(event) == "iam" {
        if is_identity_center(event) && is_identity_centers_provider(event) {
            return None;
        }
        let provider = match event.name() {
            "CreateSAMLProvider" | "UpdateSAMLProvider" => named(event, "SAML provider", SAML_PROVIDER),
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
        "AssociateDirectory" | "DisassociateDirectory" | "UpdateDirectoryAssociation" => {
            named(event, "directory", &["directoryId"])
        }
        _ => "the external identity provider".to_owned(),
    };
    let object = format!("{source} of Identity Center");
    let (done, infinitive) = match event.name() {
        name if name.starts_with("Create") => return Some(Deed::new("created", "create", object)),
        name if name.starts_with("Update") => ("changed", "change"),
        name if name.starts_with("Dis") => ("disconnected", "disconnect"),
        "ImportExternalIdPCertificate" => ("imported a certificate for", "import a certificate for"),
        _ => ("connected", "connect"),
    };
    Some(Deed::new(done, infinitive, object).title("Identity Provider Changed"))
}

/// Where a request names a SAML provider.
const SAML_PROVIDER: &[&str] = &["name", "sAMLProviderArn", "samlProviderArn"];

/// Whether the SAML provider is one of those that Identity Center makes in every account. Anybody can choose such a name.
fn is_identity_centers_provider(event: &Event<'_>) -> bool {
    let name = first_text(event, SAML_PROVIDER).map(last_part);
    name.is_some_and(|name| name.starts_with("AWSSSO_") && name.ends_with("_DO_NOT_DELETE"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::event;

    use crate::Registry;
    use crate::registry::tests::Examples;

    const IDENTITY_CENTER_ROLE: &str = "aws-service-role/sso.amazonaws.com/AWSServiceRoleForSSO";

    pub(super) fn examples() -> Examples {
        let own_name = json!({"name": "AWSSSO_0123456789abcdef_DO_NOT_DELETE"});
        let own =
            json!({"sAMLProviderArn": "arn:aws:iam::111122223333:saml-provider/AWSSSO_0123456789abcdef_DO_NOT_DELETE"});
        let create_own = event("CreateSAMLProvider").request(own_name);
        let update_own = event("UpdateSAMLProvider").request(own);
        let saml = event("CreateSAMLProvider").request(json!({"name": "corp", "sAMLMetadataDocument": "<xml/>"}));
        Examples {
            fires: vec![
                saml.clone(),
                event("CreateOpenIDConnectProvider").request(json!({"url": "https://idp.example.com"})),
                event("UpdateSAMLProvider")
                    .request(json!({"sAMLProviderArn": "arn:aws:iam::111122223333:saml-provider/corp"})),
                event("AddClientIDToOpenIDConnectProvider"),
                event("EnableExternalIdPConfigurationForDirectory").source("sso-directory"),
                event("ImportExternalIdPCertificate").source("sso-directory").request(json!({"directoryId": "d-1"})),
                event("ImportExternalIdPCertificate").source("identitystore"),
                event("DisableExternalIdPConfigurationForDirectory").source("sso-directory"),
                event("AssociateDirectory").source("sso"),
                event("UpdateDirectoryAssociation").source("sso").request(json!({"directoryId": "d-1"})),
                event("DisassociateDirectory").source("sso").request(json!({"directoryId": "d-1"})),
                event("CreateTrustedTokenIssuer").source("sso"),
                // A name proves nothing, nor does a role that is called like Identity Center's.
                create_own.clone(),
                update_own.clone().role_session("AWSServiceRoleForSSO", "AWS-SSO"),
                update_own
                    .clone()
                    .role_session("mine/aws-service-role/sso.amazonaws.com/AWSServiceRoleForSSO", "AWS-SSO"),
                saml.clone().role_session(IDENTITY_CENTER_ROLE, "AWS-SSO"),
                event("UpdateSAMLProvider").role_session(IDENTITY_CENTER_ROLE, "AWS-SSO"),
            ],
            attempts: vec![
                saml.clone().error("EntityAlreadyExists"),
                event("UpdateSAMLProvider").error("AccessDenied"),
            ],
            quiet: vec![
                create_own.role_session(IDENTITY_CENTER_ROLE, "AWS-SSO").invoked_by("sso.amazonaws.com"),
                update_own.role_session(IDENTITY_CENTER_ROLE, "AWS-SSO"),
                event("ListExternalIdPCertificates").source("sso-directory"),
                event("UpdateDirectoryAssociation").source("ds"),
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

    #[test]
    fn each_change_of_identity_centers_source_has_its_sentence() {
        let summary = |name: &str| {
            let call = event(name).source("sso").request(json!({"directoryId": "d-1"})).to_event();
            let [finding] = &Registry::default().findings(&call)[..] else { panic!("one finding of {name}") };
            finding.summary.clone()
        };
        for (name, expected) in [
            ("DisassociateDirectory", "alice disconnected the directory d-1 of Identity Center."),
            ("UpdateDirectoryAssociation", "alice changed the directory d-1 of Identity Center."),
            (
                "ImportExternalIdPCertificate",
                "alice imported a certificate for the external identity provider of Identity Center.",
            ),
            (
                "DisableExternalIdPConfigurationForDirectory",
                "alice disconnected the external identity provider of Identity Center.",
            ),
        ] {
            assert_eq!(summary(name), expected);
        }
    }
}

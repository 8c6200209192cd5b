//! Event sources: which belong to identity, which have no region, and what the event history never shows of them.

/// Identity sources that are recorded in the partition's global region alone.
pub(crate) const GLOBAL_IDENTITY: &[&str] = &["iam.amazonaws.com", "organizations.amazonaws.com"];

/// Identity sources that are recorded in every region.
pub(crate) const REGIONAL_IDENTITY: &[&str] = &["signin.amazonaws.com", "sts.amazonaws.com"];

/// What Identity Center is recorded as, in its home region and, for a part, in the global one.
pub const IDENTITY_CENTER: &[&str] =
    &["sso.amazonaws.com", "sso-directory.amazonaws.com", "identitystore.amazonaws.com", "sso-oauth.amazonaws.com"];

/// Services without a region, whose events are recorded in the global one.
const GLOBAL: &[&str] = &[
    "iam.amazonaws.com",
    "organizations.amazonaws.com",
    "account.amazonaws.com",
    "billingconsole.amazonaws.com",
    "ce.amazonaws.com",
    "cloudfront.amazonaws.com",
    "globalaccelerator.amazonaws.com",
    "route53.amazonaws.com",
    "route53domains.amazonaws.com",
    "shield.amazonaws.com",
    "support.amazonaws.com",
    "trustedadvisor.amazonaws.com",
    "waf.amazonaws.com",
];

/// Names that stand for several sources.
pub const PRESETS: &[(&str, &[&str])] = &[(
    "ai",
    &[
        "bedrock.amazonaws.com",
        "bedrock-agentcore.amazonaws.com",
        "sagemaker.amazonaws.com",
        "q.amazonaws.com",
        "qbusiness.amazonaws.com",
    ],
)];

/// What LookupEvents can never show, because it is recorded as data events, which only a trail delivers.
const DATA_EVENTS: &[(&str, &str)] = &[
    ("bedrock.amazonaws.com", "calls of agents, flows and knowledge bases (InvokeAgent, InvokeFlow, Retrieve, …)"),
    ("bedrock-agentcore.amazonaws.com", "calls of runtimes, gateways, memories and tools (InvokeAgentRuntime, …)"),
    ("sagemaker.amazonaws.com", "calls of endpoints and of the feature store (InvokeEndpoint, PutRecord, …)"),
    ("q.amazonaws.com", "conversations"),
    ("qbusiness.amazonaws.com", "conversations and documents (ChatSync, BatchPutDocument, …)"),
    ("s3.amazonaws.com", "calls on objects (GetObject, PutObject, …)"),
    ("lambda.amazonaws.com", "invocations of functions (Invoke)"),
    ("dynamodb.amazonaws.com", "calls on items (GetItem, PutItem, …)"),
    ("sns.amazonaws.com", "publishing (Publish, PublishBatch)"),
    ("sqs.amazonaws.com", "messages (SendMessage, ReceiveMessage, …)"),
    ("kinesis.amazonaws.com", "records of streams (PutRecord, GetRecords, …)"),
    ("cognito-identity.amazonaws.com", "identities handed to users (GetId, GetCredentialsForIdentity, …)"),
];

/// The sources a name stands for: those of a preset, or the one whose prefix (`kms`) or whole name it is.
#[must_use]
pub fn expand(name: &str) -> Vec<String> {
    let name = name.trim().to_ascii_lowercase();
    match PRESETS.iter().find(|(preset, _)| *preset == name) {
        Some((_, sources)) => sources.iter().map(|source| (*source).to_owned()).collect(),
        None if name.is_empty() => Vec::new(),
        None if name.contains('.') => vec![name],
        None => vec![format!("{name}.amazonaws.com")],
    }
}

/// Whether the service has no region.
#[must_use]
pub fn is_global(source: &str) -> bool {
    GLOBAL.contains(&source)
}

/// What of a source only a trail can show, for people to read; `None` where the event history shows everything, or where
/// we do not know better.
#[must_use]
pub fn only_in_a_trail(source: &str) -> Option<&'static str> {
    DATA_EVENTS.iter().find(|(known, _)| *known == source).map(|(_, what)| *what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_its_sources() {
        assert_eq!(expand("kms"), ["kms.amazonaws.com"]);
        assert_eq!(expand(" KMS.amazonaws.com"), ["kms.amazonaws.com"]);
        assert_eq!(expand("ai").len(), 5);
        assert!(expand("").is_empty());
    }

    #[test]
    fn what_a_preset_cannot_show_is_known() {
        for source in expand("ai") {
            assert!(only_in_a_trail(&source).is_some(), "{source}");
        }
        assert_eq!(only_in_a_trail("iam.amazonaws.com"), None);
    }
}

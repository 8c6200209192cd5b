//! Which conditions of a trust policy really narrow who gets in.
//!
//! Only an operator that demands equality counts (`StringEquals`, `StringLike`, `ArnLike`, `IpAddress` and their like). The
//! negated ones exclude a few of all; `…IfExists` and `ForAllValues:` hold for whoever leaves the key out; `Null`, dates and
//! MFA do not say who. And only values that not everybody meets: `repo:*` is every repository on GitHub.

use super::document::Condition;
use super::pattern::has_wildcard;

/// What the token of an OpenID Connect issuer must say for the trust to be narrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Issuer {
    /// Serves everybody, and the audience does not tell its users apart. The subject must name an owner behind one of these.
    Shared { owner_after: &'static [&'static str] },
    /// Gives every application an audience of its own (Cognito, Google, Facebook, Amazon, or somebody's own provider).
    PerAudience,
}

/// Claims that name the owner in a subject, for issuers that serve everybody.
const SHARED_ISSUERS: [(&str, &[&str]); 6] = [
    (
        "token.actions.githubusercontent.com",
        &[
            "repo:",
            "repository:",
            "repository_id:",
            "repository_owner:",
            "repository_owner_id:",
            "job_workflow_ref:",
            "enterprise:",
            "enterprise_id:",
        ],
    ),
    ("gitlab.com", &["project_path:", "namespace_path:", "project_id:", "namespace_id:"]),
    ("app.terraform.io", &["organization:"]),
    ("agent.buildkite.com", &["organization:"]),
    ("oidc.circleci.com", &["org/"]),
    // A cluster's own issuer, but every service account of the cluster has a token.
    ("oidc.eks.", &["system:serviceaccount:"]),
];

/// Claims other than the subject that name an owner by themselves; AWS has keys for them for some issuers.
const OWNER_CLAIMS: [&str; 8] = [
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "job_workflow_ref",
    "enterprise",
    "enterprise_id",
    "project_path",
];

/// Audiences that every user of an issuer may ask for.
const COMMON_AUDIENCES: [&str; 4] =
    ["sts.amazonaws.com", "sts.amazonaws.com.cn", "aws.workload.identity", "https://gitlab.com"];

/// Keys (lower case) that tell who calls or on whose behalf. Tags of the principal count as well.
const CALLER_KEYS: [&str; 19] = [
    "sts:externalid",
    "sts:sourceidentity",
    "aws:sourcearn",
    "aws:sourceaccount",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "aws:sourceip",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:sourcevpcarn",
    "aws:vpcsourceip",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:userid",
    "aws:username",
    "aws:federatedprovider",
    "aws:sourceidentity",
];

impl Issuer {
    /// The rules for an issuer, known by its host and path.
    pub(super) fn of(issuer: &str) -> Self {
        let issuer = issuer.to_ascii_lowercase();
        let host = issuer.split('/').next().unwrap_or_default();
        for (name, owner_after) in SHARED_ISSUERS {
            if host == name || (name.ends_with('.') && host.starts_with(name)) {
                return Self::Shared { owner_after };
            }
        }
        Self::PerAudience
    }
}

/// Does this condition narrow who calls?
pub(super) fn restricts_caller(condition: &Condition) -> bool {
    let Some(operator) = Operator::of(condition) else { return false };
    let key = condition.key.to_ascii_lowercase();
    let tells_who = CALLER_KEYS.contains(&key.as_str())
        || key.starts_with("aws:principaltag/")
        || (key.starts_with("saml:") && key != "saml:aud");
    let restricts = |value: &String| match key.as_str() {
        "aws:sourceip" | "aws:vpcsourceip" => narrows_network(value),
        "aws:principalarn" => names_account(value, operator),
        "aws:principalorgid" | "aws:sourceorgid" | "aws:principalorgpaths" | "aws:sourceorgpaths" => {
            narrows(value.strip_prefix("o-").unwrap_or(value), operator)
        }
        _ => narrows(value, operator),
    };
    tells_who && !condition.values.is_empty() && condition.values.iter().all(restricts)
}

/// Does this condition narrow whose token of an issuer is taken?
pub(super) fn restricts_subject(condition: &Condition, issuer: &Issuer) -> bool {
    let Some(operator) = Operator::of(condition) else { return false };
    let key = condition.key.to_ascii_lowercase();
    let Some((_, claim)) = key.rsplit_once(':') else { return false };
    if key.starts_with("aws:") || key.starts_with("sts:") {
        return restricts_caller(condition);
    }
    let restricts = |value: &String| match (claim, issuer) {
        ("sub", Issuer::Shared { owner_after }) => names_owner(value, owner_after, operator),
        ("sub", Issuer::PerAudience) => narrows(value, operator),
        ("aud" | "app_id" | "azp" | "oaud", Issuer::PerAudience) => {
            narrows(value, operator) && !COMMON_AUDIENCES.contains(&value.as_str())
        }
        ("aud" | "app_id" | "azp" | "oaud", Issuer::Shared { .. }) => false,
        // `amr` tells whether Cognito knows the user at all, not which one.
        ("amr" | "iss", _) => false,
        (claim, Issuer::Shared { .. }) => OWNER_CLAIMS.contains(&claim) && names_first_part(value, operator),
        (_, Issuer::PerAudience) => narrows(value, operator),
    };
    !condition.values.is_empty() && condition.values.iter().all(restricts)
}

/// The operators that demand something of the caller.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    /// The value as it is.
    Equals,
    /// The value may hold wildcards.
    Like,
}

impl Operator {
    fn of(condition: &Condition) -> Option<Self> {
        let operator = condition.operator.to_ascii_lowercase();
        match operator.strip_prefix("foranyvalue:").unwrap_or(&operator) {
            "stringequals" | "stringequalsignorecase" | "ipaddress" | "numericequals" => Some(Self::Equals),
            "stringlike" | "arnlike" | "arnequals" => Some(Self::Like),
            _ => None,
        }
    }
}

/// Is this more than wildcards?
fn narrows(value: &str, operator: Operator) -> bool {
    match operator {
        Operator::Equals => !value.is_empty(),
        Operator::Like => value.bytes().any(|byte| byte.is_ascii_alphanumeric()),
    }
}

/// Does this pattern of ARNs fix the account? A role's name alone can be had in any account.
fn names_account(value: &str, operator: Operator) -> bool {
    let account = value.split(':').nth(4).unwrap_or_default();
    operator == Operator::Equals || (!account.is_empty() && !has_wildcard(account))
}

/// Is this a network smaller than the better part of the internet?
fn narrows_network(value: &str) -> bool {
    let Some((address, bits)) = value.split_once('/') else { return !has_wildcard(value) && !value.is_empty() };
    let least = if address.contains(':') { 16 } else { 8 };
    bits.parse::<u8>().is_ok_and(|bits| bits >= least)
}

/// Does the subject, before any wildcard, name an owner (`repo:owner/…`)? Behind a wildcard a stranger can write the same, for
/// instance in a branch's name.
fn names_owner(value: &str, owner_after: &[&str], operator: Operator) -> bool {
    let literal = match operator {
        Operator::Equals => value,
        Operator::Like => value.split(['*', '?']).next().unwrap_or_default(),
    };
    owner_after.iter().any(|claim| {
        let starts = literal.match_indices(claim).map(|(at, _)| at);
        let begins_claim = |&at: &usize| at == 0 || literal.as_bytes()[at - 1] == b':';
        starts.filter(begins_claim).any(|at| names_first_part(&value[at + claim.len()..], operator))
    })
}

/// Is the first part of a value (up to `/` or `:`) given in full?
fn names_first_part(value: &str, operator: Operator) -> bool {
    let part = value.split(['/', ':']).next().unwrap_or_default();
    !part.is_empty() && (operator == Operator::Equals || !has_wildcard(part))
}

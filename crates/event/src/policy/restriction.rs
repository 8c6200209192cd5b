//! Which conditions of a trust policy really narrow who gets in.
//!
//! Only an operator that demands equality counts (`StringEquals`, `StringLike`, `ArnLike`, `IpAddress` and their like). The
//! negated ones exclude a few of all; `…IfExists` and `ForAllValues:` hold for whoever leaves the key out; `Null`, dates and
//! MFA do not say who. And only values that not everybody meets: `repo:*` is every repository on GitHub, and a policy
//! variable (`${aws:username}`) is whatever the caller is. Where the principal is anyone, what everybody can choose in an
//! account of their own (a user's name, tags) narrows nothing.

use super::document::Condition;
use super::pattern::has_wildcard;
use crate::arn::is_account_id;

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

/// Keys (lower case) whose values everybody can choose at will in an account or a network of their own. Tags of the principal
/// as well.
const CHOSEN_KEYS: [&str; 4] = ["sts:sourceidentity", "aws:sourceidentity", "aws:username", "aws:vpcsourceip"];

/// Whom a statement lets in where no condition holds it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// Any principal of any account.
    Anyone,
    /// Somebody whom it names: an account, a role, a provider.
    Named,
}

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
pub(super) fn restricts_caller(condition: &Condition, caller: Caller) -> bool {
    let Some(operator) = Operator::of(condition) else { return false };
    let key = condition.key.to_ascii_lowercase();
    let is_tag = key.starts_with("aws:principaltag/");
    let tells_who = CALLER_KEYS.contains(&key.as_str()) || is_tag || (key.starts_with("saml:") && key != "saml:aud");
    let is_chosen = is_tag || CHOSEN_KEYS.contains(&key.as_str());
    if !tells_who || (is_chosen && caller == Caller::Anyone) {
        return false;
    }

    if matches!(key.as_str(), "aws:sourceip" | "aws:vpcsourceip") {
        return narrow_networks(&condition.values);
    }
    let restricts = |value: &String| match key.as_str() {
        "aws:principalaccount" | "aws:sourceaccount" => is_account_id(value) || is_resource_variable(value),
        "aws:principalarn" | "aws:sourcevpcarn" => names_account(value, operator),
        "aws:sourcearn" => names_source(value, operator),
        "aws:federatedprovider" if caller == Caller::Anyone => names_account(value, Operator::Like),
        "aws:principalorgid" | "aws:sourceorgid" | "aws:principalorgpaths" | "aws:sourceorgpaths" => {
            names_first_part(value, operator)
        }
        // A unique id, and behind it a session's name that everybody can choose.
        "aws:userid" => names_first_part(value, operator),
        "aws:sourcevpc" => narrows(value.strip_prefix("vpc-").unwrap_or(value), operator),
        "aws:sourcevpce" => narrows(value.strip_prefix("vpce-").unwrap_or(value), operator),
        _ => narrows(value, operator),
    };
    all_hold(condition, restricts)
}

/// Does this condition leave only callers of the policy's own account?
pub(super) fn leaves_only_own_account(condition: &Condition, own_account: Option<&str>) -> bool {
    let Some(operator) = Operator::of(condition) else { return false };
    let is_own = |account: &str| own_account == Some(account) || is_resource_variable(account);
    let leaves_own = |value: &String| match condition.key.to_ascii_lowercase().as_str() {
        "aws:principalaccount" => is_own(value),
        // Before the account no wildcard: the path of a stranger's user may hold `:111122223333:`.
        "aws:principalarn" => match value.splitn(6, ':').collect::<Vec<_>>()[..] {
            ["arn", partition, service, region, account, _] => {
                let before = [partition, service, region];
                is_own(account) && (operator == Operator::Equals || !before.iter().any(|part| has_wildcard(part)))
            }
            _ => false,
        },
        _ => false,
    };
    all_hold(condition, leaves_own)
}

/// Are there values, of which none is the caller's own and each is one that restricts?
fn all_hold(condition: &Condition, restricts: impl Fn(&String) -> bool) -> bool {
    let holds = |value: &String| !is_callers_own(value) && restricts(value);
    !condition.values.is_empty() && condition.values.iter().all(holds)
}

/// Does this condition narrow whose token of an issuer is taken?
pub(super) fn restricts_subject(condition: &Condition, issuer: &Issuer) -> bool {
    let Some(operator) = Operator::of(condition) else { return false };
    let key = condition.key.to_ascii_lowercase();
    let Some((_, claim)) = key.rsplit_once(':') else { return false };
    if key.starts_with("aws:") || key.starts_with("sts:") {
        return restricts_caller(condition, Caller::Named);
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
    all_hold(condition, restricts)
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

/// Does this pattern of ARNs fix the account, or where the ARN has none (S3), the resource?
fn names_source(value: &str, operator: Operator) -> bool {
    let mut fields = value.splitn(6, ':').skip(4);
    let is_without_account = fields.next() == Some("");
    names_account(value, operator)
        || (is_without_account && fields.next().is_some_and(|resource| names_first_part(resource, operator)))
}

/// Does the value hold a policy variable that the caller fills in (`${aws:username}`), so that every caller meets it? Those of
/// the resource (`${aws:ResourceOrgID}`), which is the role itself, and escaped characters (`${*}`) are not the caller's.
fn is_callers_own(value: &str) -> bool {
    value.split("${").skip(1).any(|variable| {
        let starts = |with: &str| variable.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with));
        !["aws:Resource", "*}", "?}", "$}"].into_iter().any(starts)
    })
}

fn is_resource_variable(value: &str) -> bool {
    value.eq_ignore_ascii_case("${aws:ResourceAccount}")
}

/// Do these networks, added up, come to less than the better part of the internet?
fn narrow_networks(values: &[String]) -> bool {
    const LEAST_BITS_V4: u32 = 8;
    const LEAST_BITS_V6: u32 = 16;
    // The largest network allowed counts this much, and sixteen of these may stand together.
    const LARGEST: u64 = 1 << 40;
    const MOST: u64 = 16 * LARGEST;

    let (mut v4, mut v6) = (0_u64, 0_u64);
    for value in values {
        let (address, bits) = match value.split_once('/') {
            Some((address, bits)) => (address, bits.parse().ok()),
            None => (value.as_str(), Some(128)),
        };
        let Some(bits) = bits.filter(|_| !address.is_empty() && !has_wildcard(address)) else { return false };
        let (least_bits, sum) = if address.contains(':') { (LEAST_BITS_V6, &mut v6) } else { (LEAST_BITS_V4, &mut v4) };
        let Some(smaller_by) = u32::checked_sub(bits, least_bits) else { return false };
        *sum += LARGEST.checked_shr(smaller_by).unwrap_or(0);
    }
    !values.is_empty() && v4 <= MOST && v6 <= MOST
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

//! Whom a role's trust policy lets in from outside its own account.
//!
//! Looks at `Allow` statements whose actions include a way to assume the role (`sts:AssumeRole`, `…WithSAML`,
//! `…WithWebIdentity`). AWS services are no outsiders. Unique ids (`AROA…`, `AIDA…`) are: IAM leaves them behind when a
//! principal is deleted, but takes one in a new policy only while its principal lives, in whatever account. A `Deny` is not
//! subtracted.

use std::sync::Arc;

use super::document::{Effect, Policy, Principal, PrincipalKind, Statement};
use super::pattern::has_wildcard;
use super::restriction::{Caller, Issuer, leaves_only_own_account, restricts_caller, restricts_subject};
use crate::arn::{Arn, is_account_id};

/// Somebody from outside whom a trust policy lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustFinding {
    /// Who.
    pub outsider: Outsider,
    /// The principal as it stands in the policy.
    pub principal: String,
    /// Does a condition narrow it to callers that somebody else cannot become at will (`sts:ExternalId`, `aws:SourceArn`,
    /// `aws:PrincipalOrgID`, a token's subject, …)? A condition that everybody meets does not count.
    pub restricted: bool,
    /// Does a condition leave only callers of the policy's own account (`aws:PrincipalAccount`, `aws:PrincipalArn`)?
    pub own_account_only: bool,
    /// The keys of all conditions of the statement, in their order; shared by the statement's findings.
    pub condition_keys: Arc<[String]>,
}

/// Kinds of outsiders, the most open first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outsider {
    /// Any principal of any account: `*`, a wildcard for the account, any service.
    Anyone,
    /// Anyone but some: `NotPrincipal` in an `Allow`.
    AnyoneExcept,
    /// Everybody whom an OpenID Connect issuer gives a token, since no condition narrows it: for
    /// `token.actions.githubusercontent.com` that is every repository on GitHub.
    AnyoneBehindOidc {
        /// The issuer's host and path.
        issuer: String,
    },
    /// Another account.
    Account {
        /// Its id.
        account: String,
        /// Is it the account as a whole (its id or root), not one of its users, roles or sessions?
        whole: bool,
    },
    /// A user or role by its unique id (`AIDA…`, `AROA…`): of any account, perhaps one's own. The id does not tell.
    UniqueId,
    /// An S3 canonical user id: another account, not told which.
    CanonicalUser,
    /// Those whom a SAML provider vouches for.
    Saml,
    /// Those whom an OpenID Connect issuer (also Cognito, Google, Facebook, Amazon) vouches for and a condition narrows.
    Oidc {
        /// The issuer's host and path.
        issuer: String,
    },
    /// A principal of a form that AWS does not document.
    Unrecognised,
}

/// Tells whom a trust policy lets in from outside. Without `own_account` every account is another one.
pub fn trust(policy: &Policy, own_account: Option<&str>) -> Vec<TrustFinding> {
    let mut findings = Vec::new();
    let lets_in = |statement: &&Statement| statement.effect == Effect::Allow && lets_assume(statement);
    for statement in policy.statements.iter().filter(lets_in) {
        let mut restrictions = Restrictions::of(statement);
        let own_account_only =
            statement.conditions.iter().any(|condition| leaves_only_own_account(condition, own_account));
        let condition_keys: Arc<[String]> =
            statement.conditions.iter().map(|condition| condition.key.clone()).collect();
        let mut report = |outsider, principal: &Principal, restricted| {
            let condition_keys = Arc::clone(&condition_keys);
            let principal = principal.id.clone();
            findings.push(TrustFinding { outsider, principal, restricted, own_account_only, condition_keys });
        };

        if let Some(spared) = statement.not_principals.first() {
            report(Outsider::AnyoneExcept, spared, restrictions.anyone);
        }
        for principal in &statement.principals {
            let Some(outsider) = outsider(principal, own_account) else { continue };
            match outsider {
                Outsider::Oidc { issuer } if restrictions.subject(&issuer) => {
                    report(Outsider::Oidc { issuer }, principal, true);
                }
                Outsider::Oidc { issuer } => report(Outsider::AnyoneBehindOidc { issuer }, principal, false),
                Outsider::Anyone => report(Outsider::Anyone, principal, restrictions.anyone),
                outsider => report(outsider, principal, restrictions.caller),
            }
        }
    }
    findings
}

/// What a statement's conditions come to; worked out once for all of its principals.
struct Restrictions<'a> {
    statement: &'a Statement,
    /// Do they narrow who calls, of an outsider who is named?
    caller: bool,
    /// And of anyone?
    anyone: bool,
    subject: Vec<(Issuer, bool)>,
}

impl<'a> Restrictions<'a> {
    fn of(statement: &'a Statement) -> Self {
        let restricts =
            |caller: Caller| statement.conditions.iter().any(|condition| restricts_caller(condition, caller));
        Self { statement, caller: restricts(Caller::Named), anyone: restricts(Caller::Anyone), subject: Vec::new() }
    }

    /// Do the conditions narrow whose token of this issuer is taken?
    fn subject(&mut self, issuer: &str) -> bool {
        let issuer = Issuer::of(issuer);
        if let Some((_, restricted)) = self.subject.iter().find(|(known, _)| *known == issuer) {
            return *restricted;
        }
        let restricted = self.statement.conditions.iter().any(|condition| restricts_subject(condition, &issuer));
        self.subject.push((issuer, restricted));
        restricted
    }
}

fn lets_assume(statement: &Statement) -> bool {
    const WAYS_IN: [&str; 3] = ["sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"];
    statement.actions.is_absent() || WAYS_IN.iter().any(|action| statement.actions.selects_action(action))
}

/// Who this is. Whether an OpenID Connect issuer is narrowed by a condition is not looked at here.
fn outsider(principal: &Principal, own_account: Option<&str>) -> Option<Outsider> {
    let id = principal.id.as_str();
    let only_wildcards = !id.is_empty() && id.bytes().all(|byte| byte == b'*' || byte == b'?');
    if only_wildcards {
        return Some(Outsider::Anyone);
    }
    match principal.kind {
        PrincipalKind::Aws => aws_principal(id, own_account),
        PrincipalKind::Service => has_wildcard(id).then_some(Outsider::Anyone),
        PrincipalKind::Federated => Some(federated(id)),
        PrincipalKind::CanonicalUser => Some(Outsider::CanonicalUser),
        PrincipalKind::Unknown => Some(Outsider::Unrecognised),
    }
}

fn aws_principal(id: &str, own_account: Option<&str>) -> Option<Outsider> {
    let is_other = |account: &str| own_account != Some(account);
    if is_account_id(id) {
        return is_other(id).then(|| Outsider::Account { account: id.to_owned(), whole: true });
    }
    if is_unique_id(id) {
        return Some(Outsider::UniqueId);
    }
    let Some(arn) = Arn::parse(id) else {
        return Some(if has_wildcard(id) { Outsider::Anyone } else { Outsider::Unrecognised });
    };
    if has_wildcard(arn.account) {
        return Some(Outsider::Anyone);
    }
    let Some(account) = arn.account_id() else { return Some(Outsider::Unrecognised) };
    let whole = arn.is_root() || arn.resource.starts_with('*');
    is_other(account).then(|| Outsider::Account { account: account.to_owned(), whole })
}

/// Is this the unique id of a user or role?
fn is_unique_id(id: &str) -> bool {
    const PREFIXES: [&str; 2] = ["AROA", "AIDA"];
    let capitals_and_digits = id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    (16..=128).contains(&id.len()) && capitals_and_digits && PREFIXES.iter().any(|prefix| id.starts_with(prefix))
}

fn federated(id: &str) -> Outsider {
    let resource = Arn::parse(id).map(|arn| (arn.resource_type(), arn.resource_id()));
    match resource {
        Some((Some("saml-provider"), _)) => Outsider::Saml,
        Some((Some("oidc-provider"), issuer)) => Outsider::Oidc { issuer: issuer.to_owned() },
        _ => Outsider::Oidc { issuer: id.to_owned() },
    }
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;

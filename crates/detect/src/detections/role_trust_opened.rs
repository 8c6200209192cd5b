//! `role-trust-opened`

use event::Event;
use event::policy::{Outsider, TrustFinding, trust};

use crate::actor::{is_aws_internal, is_identity_center};
use crate::config::Settings;
use crate::document::document;
use crate::request::{Read, first_text, named};
use crate::text::{clip, list};
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "role-trust-opened",
    title: "Role Trust Opened",
    severity: Severity::Critical,
    attempted_severity: Some(Severity::Medium),
    techniques: &["T1098.003", "T1199"],
    triggers: Triggers::Calls(&[Calls { service: "iam", names: &["CreateRole", "UpdateAssumeRolePolicy"] }]),
    action_required: "Verify that the outsider is to assume this role; if not, put the trust policy back.",
    docs: Docs {
        summary: "Finds a role whose trust policy lets in somebody from outside the account: any principal, another \
                  account (id, root, user, role or session), a user or role by its unique id, a SAML or OpenID Connect \
                  provider, everybody whom an OpenID Connect issuer vouches for. It is high where a condition leaves only \
                  some of those a provider vouches for (a token's subject), or of any principal only those of the role's \
                  own account; else critical. Any principal and another account are critical under every other condition: \
                  whoever opens a role writes the condition too.",
        why: "Whoever is let in has the role's rights from then on, with credentials that nobody in the account can \
              revoke. It is a backdoor that no list of users and keys shows.",
        false_positives: "Roles for vendors, other accounts of the same organization, CI systems (OpenID Connect) and \
                          single sign-on. A unique id (`AROA…`, `AIDA…`) does not show its account, which may be \
                          one's own. AWS services as principals are no outsiders; neither are the roles that Identity \
                          Center makes for itself.",
        what_to_do: "Ask the caller who the outsider is. If nobody knows: restore the trust policy, revoke the role's \
                     sessions, and look at every session of the role since.",
        references: &[
            "https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAssumeRolePolicy.html",
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html",
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-idp_oidc.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

/// The path of Identity Center's own roles; IAM lets nobody else use it.
const IDENTITY_CENTER_PATH: &str = "/aws-reserved/sso.amazonaws.com/";

fn check(event: &Event<'_>, _: &Settings) -> Option<Deed> {
    let policy = match document(event, &["assumeRolePolicyDocument", "policyDocument"]) {
        Read::Known(policy) => policy,
        Read::Absent | Read::Unreadable => return Some(opened(event, None).unreadable()),
    };
    let mut outsiders = trust(&policy, event.account_id());
    if outsiders.is_empty() || by_identity_center(event) {
        return None;
    }
    // The most open one is what to tell first.
    outsiders.sort_by(|left, right| (left.restricted, &left.outsider).cmp(&(right.restricted, &right.outsider)));
    let who: Vec<String> = outsiders.iter().map(outsider).collect();
    let deed = opened(event, Some(&list(who.iter().map(String::as_str))));
    Some(if outsiders.iter().all(is_narrowed) { deed.severity(Severity::High) } else { deed })
}

/// Whether a condition narrows whom the principal names to some whom its account knows. Whoever opens a role to any
/// principal or to an account of their own writes the condition too, so an external id, an organization or a network of
/// theirs narrows nothing.
fn is_narrowed(found: &TrustFinding) -> bool {
    match found.outsider {
        Outsider::Anyone | Outsider::AnyoneExcept => found.own_account_only,
        Outsider::AnyoneBehindOidc { .. } | Outsider::Saml | Outsider::Oidc { .. } => found.restricted,
        Outsider::Account { .. } | Outsider::UniqueId | Outsider::CanonicalUser | Outsider::Unrecognised => false,
    }
}

/// Whether Identity Center provisions a role of its own. Only `CreateRole` shows the role's path.
fn by_identity_center(event: &Event<'_>) -> bool {
    if event.name() == "CreateRole" {
        let path = first_text(event, &["path"]);
        return is_aws_internal(event) && path.is_some_and(|path| path.starts_with(IDENTITY_CENTER_PATH));
    }
    let role = first_text(event, &["roleName"]);
    is_identity_center(event) && role.is_some_and(|role| role.starts_with("AWSReservedSSO_"))
}

fn opened(event: &Event<'_>, to: Option<&str>) -> Deed {
    let role = named(event, "role", &["roleName"]);
    let is_new = event.name() == "CreateRole";
    match to {
        Some(to) if is_new => Deed::new("created", "create", format!("{role}, which lets in {to}")),
        Some(to) => Deed::new("opened", "open", format!("{role} to {to}")),
        None if is_new => Deed::new("created", "create", role),
        None => Deed::new("changed the trust of", "change the trust of", role),
    }
}

/// Somebody a trust policy lets in, in words.
fn outsider(found: &TrustFinding) -> String {
    let who = match &found.outsider {
        Outsider::Anyone => "anyone".to_owned(),
        Outsider::AnyoneExcept => format!("anyone but {}", clip(&found.principal)),
        Outsider::AnyoneBehindOidc { issuer } => format!("everybody with a token of {}", clip(issuer)),
        Outsider::Account { account, whole: true } => format!("account {}", clip(account)),
        Outsider::Account { account, whole: false } => {
            format!("{} of account {}", clip(&found.principal), clip(account))
        }
        Outsider::UniqueId => {
            format!(
                "the principal with the id {}, whose account is not shown and may be one's own",
                clip(&found.principal)
            )
        }
        Outsider::CanonicalUser => format!("the canonical user {}", clip(&found.principal)),
        Outsider::Saml => format!("the SAML provider {}", clip(&found.principal)),
        Outsider::Oidc { issuer } => format!("some with a token of {}", clip(issuer)),
        Outsider::Unrecognised => format!("the unknown principal {}", clip(&found.principal)),
    };
    match (&found.outsider, found.restricted) {
        (Outsider::Oidc { .. }, _) | (_, false) => who,
        (_, true) => format!("{who} under a condition ({})", list(found.condition_keys.iter().map(String::as_str))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use testkit::{EventBuilder, event};

    use crate::registry::tests::Examples;
    use crate::{Registry, Severity};

    fn document(statement: Value) -> String {
        json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
    }

    fn update(statement: Value) -> EventBuilder {
        event("UpdateAssumeRolePolicy").request(json!({"roleName": "ci", "policyDocument": document(statement)}))
    }

    fn allow(principal: Value) -> Value {
        json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})
    }

    fn github(condition: Value) -> Value {
        json!({
            "Effect": "Allow",
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"},
            "Condition": condition,
        })
    }

    fn reserved_role() -> Value {
        json!({
            "roleName": "AWSReservedSSO_Admin_0123456789abcdef",
            "path": "/aws-reserved/sso.amazonaws.com/",
            "assumeRolePolicyDocument": document(json!({
                "Effect": "Allow",
                "Action": ["sts:AssumeRoleWithSAML", "sts:TagSession"],
                "Principal": {"Federated": "arn:aws:iam::111122223333:saml-provider/AWSSSO_0123456789abcdef_DO_NOT_DELETE"},
                "Condition": {"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}},
            })),
        })
    }

    pub(super) fn examples() -> Examples {
        let create = |statement: Value| {
            let request = json!({"roleName": "ci", "assumeRolePolicyDocument": document(statement)});
            event("CreateRole").request(request)
        };
        let center = "aws-service-role/sso.amazonaws.com/AWSServiceRoleForSSO";
        let mut reserved = reserved_role();
        reserved["policyDocument"] = reserved["assumeRolePolicyDocument"].take();
        let update_reserved = event("UpdateAssumeRolePolicy").request(reserved);
        Examples {
            fires: vec![
                update_reserved.clone(),
                update_reserved.clone().invoked_by("sso.amazonaws.com"),
                update_reserved.clone().role_session("AWSServiceRoleForSSO", "AWS-SSO"),
                update(allow(json!("*"))).role_session(center, "AWS-SSO"),
                update(allow(json!("*"))),
                update(allow(json!({"AWS": "*"}))),
                update(allow(json!({"AWS": "444455556666"}))),
                create(allow(json!({"AWS": "arn:aws:iam::444455556666:root"}))),
                create(allow(json!({"AWS": ["arn:aws:iam::111122223333:root", "arn:aws:iam::444455556666:user/eve"]}))),
                create(allow(json!({"AWS": "arn:aws:iam::444455556666:role/r"}))),
                update(allow(json!({"AWS": "AROAJMD24IEMKTX6BABJI"}))),
                narrowed(json!("*"), json!({"StringEquals": {"aws:PrincipalAccount": "444455556666"}})),
                create(github(json!({}))),
                create(github(json!({"StringLike": {"token.actions.githubusercontent.com:sub": "*"}}))),
                create(github(json!({"StringEquals": {"token.actions.githubusercontent.com:sub": "repo:o/r:ref:x"}}))),
                update(json!({"Effect": "Allow", "NotPrincipal": {"AWS": "111122223333"}, "Action": "sts:*"})),
                event("UpdateAssumeRolePolicy").request(json!({"roleName": "ci", "policyDocument": "{"})),
                event("CreateRole").request(json!({"omitted": true})),
                event("CreateRole").request(reserved_role()),
            ],
            attempts: vec![
                update(allow(json!("*"))).error("MalformedPolicyDocument"),
                event("CreateRole").error("AccessDenied"),
            ],
            quiet: vec![
                update(allow(json!({"Service": "ec2.amazonaws.com"}))),
                update(allow(json!({"AWS": "arn:aws:iam::111122223333:role/deploy"}))),
                create(allow(json!({"AWS": "111122223333"}))),
                update(json!({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"})),
                update(allow(json!("*"))).source("example"),
                event("CreateRole").request(reserved_role()).invoked_by("sso.amazonaws.com"),
                update_reserved.role_session(center, "AWS-SSO").invoked_by("sso.amazonaws.com"),
            ],
        }
    }

    fn narrowed(principal: Value, condition: Value) -> EventBuilder {
        update(json!({
            "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal,
            "Condition": condition,
        }))
    }

    fn severity(event: &EventBuilder) -> Severity {
        Registry::default().findings(&event.to_event())[0].severity
    }

    #[test]
    fn what_leaves_only_ones_own_lowers_the_severity() {
        let subject = json!({"StringEquals": {"token.actions.githubusercontent.com:sub": "repo:o/r:ref:x"}});
        assert_eq!(severity(&update(github(subject))), Severity::High);
        for own in [
            json!({"StringEquals": {"aws:PrincipalAccount": "111122223333"}}),
            json!({"StringEquals": {"aws:PrincipalAccount": "${aws:ResourceAccount}"}}),
            json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/*"}}),
        ] {
            assert_eq!(severity(&narrowed(json!("*"), own.clone())), Severity::High, "{own}");
        }
    }

    #[test]
    fn a_condition_that_whoever_opens_the_role_can_meet_lowers_nothing() {
        for theirs in [
            json!({"StringEquals": {"aws:PrincipalAccount": "444455556666"}}),
            json!({"StringEquals": {"sts:ExternalId": "5e1f"}}),
            json!({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::444455556666:role/r"}}),
            json!({"IpAddress": {"aws:SourceIp": "203.0.113.7"}}),
            json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}),
            json!({"StringEquals": {"aws:PrincipalAccount": ["111122223333", "444455556666"]}}),
        ] {
            for anyone in [json!("*"), json!({"AWS": "arn:aws:iam::*:root"}), json!({"AWS": "444455556666"})] {
                assert_eq!(
                    severity(&narrowed(anyone.clone(), theirs.clone())),
                    Severity::Critical,
                    "{anyone} {theirs}"
                );
            }
            let except = json!({"Effect": "Allow", "NotPrincipal": {"AWS": "111122223333"}, "Action": "sts:*",
                                "Condition": theirs});
            assert_eq!(severity(&update(except.clone())), Severity::Critical, "{except}");
        }
        let account = narrowed(json!({"AWS": "444455556666"}), json!({"StringEquals": {"sts:ExternalId": "5e1f"}}));
        assert_eq!(
            Registry::default().findings(&account.to_event())[0].summary,
            "alice opened the role ci to account 444455556666 under a condition (sts:ExternalId)."
        );
    }

    #[test]
    fn a_unique_id_is_critical_and_its_account_is_not_known() {
        let unique_id = update(allow(json!({"AWS": "AROAJMD24IEMKTX6BABJI"})));
        let finding = &Registry::default().findings(&unique_id.to_event())[0];
        assert_eq!(finding.severity, Severity::Critical);
        assert_eq!(
            finding.summary,
            "alice opened the role ci to the principal with the id AROAJMD24IEMKTX6BABJI, whose account is not shown and \
             may be one's own."
        );
    }
}

//! The doors the intruder leaves open: in IAM on the first night, in the Identity Center on the second.

use super::Teller;
use super::calls::*;
use super::intrusion::{COLLEAGUE, IAM};
use crate::identity::Caller;
use crate::organisation::{HOME, MANAGEMENT, PRODUCTION};
use crate::record::quoted;

/// An account outside the organisation.
const FOREIGN_ACCOUNT: &str = "998877665544";
const BACKDOOR: &str = "aws-support-agent";

/// Users, keys, policies, trust and providers in IAM.
pub(super) fn in_iam(story: &mut Teller<'_>, stolen: &Caller) {
    let home = &story.org.accounts[MANAGEMENT];
    let (second_key, backdoor_key) =
        (story.chance.iam_id("AKIA", home.number), story.chance.iam_id("AKIA", home.number));
    let user_id = story.chance.iam_id("AIDA", home.number);
    story.step(
        IAM,
        stolen,
        &CREATE_ACCESS_KEY,
        &[("name", "backup-reports"), ("new_key", &second_key)],
        "A second key is made for a service user.",
        &["access-key-created"],
    );
    story.step(
        IAM,
        stolen,
        &CREATE_LOGIN_PROFILE,
        &[("name", "backup-reports"), ("reset", "false")],
        "The same service user gets a console password.",
        &["login-profile-changed-for-other"],
    );
    story.step(
        IAM,
        stolen,
        &CREATE_USER,
        &[("name", BACKDOOR), ("user_id", &user_id)],
        "A user is created whose name looks like AWS support.",
        &["iam-user-created"],
    );
    story.step(
        IAM,
        stolen,
        &CREATE_ACCESS_KEY,
        &[("name", BACKDOOR), ("new_key", &backdoor_key)],
        "The new user gets an access key.",
        &["access-key-created"],
    );
    // The policy's own JSON spells the asterisks as escapes, so that a search of the text for "*" finds nothing.
    let star = "\\u002a";
    let document = format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Sid":"ReadMetrics","Effect":"Allow","Action":["cloudwatch:GetMetricData","{star}"],"Resource":"{star}"}}}}"#
    );
    story.step(
        IAM,
        stolen,
        &PUT_USER_POLICY,
        &[("name", BACKDOOR), ("policy_name", "read-metrics"), ("document", &quoted(&document))],
        "An inline policy called read-metrics grants everything, its asterisk written as an escape.",
        &["admin-policy-granted-inline"],
    );
    story.step(
        IAM,
        stolen,
        &ADD_USER_TO_GROUP,
        &[("group", "Administrators"), ("name", BACKDOOR)],
        "The new user joins the administrators.",
        &["user-added-to-admin-group"],
    );
    let trust = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"Service":"ec2.amazonaws.com","AWS":"arn:aws:iam::{FOREIGN_ACCOUNT}:root"}},"Action":"sts:AssumeRole"}}]}}"#
    );
    story.step(
        IAM,
        stolen,
        &UPDATE_TRUST,
        &[("role_name", "bastion"), ("document", &quoted(&trust))],
        "The bastion's role may now be assumed from an account outside the organisation.",
        &["role-trust-opened"],
    );
    story.step(
        IAM,
        stolen,
        &DELETE_BOUNDARY,
        &[("role_name", "bastion")],
        "The role's permissions boundary is removed.",
        &["permissions-boundary-removed"],
    );
    story.step(
        IAM,
        stolen,
        &WEAK_PASSWORDS,
        &[],
        "The account's password policy is weakened to six characters.",
        &["password-policy-weakened"],
    );
    story.step(
        IAM,
        stolen,
        &CREATE_OIDC_PROVIDER,
        &[("issuer", "login.fernhill-sso.example")],
        "An OpenID Connect provider of the intruder's own is trusted.",
        &["identity-provider-created"],
    );
    story.step(
        IAM,
        stolen,
        &CREATE_SAML_PROVIDER,
        &[("issuer", "login.fernhill-sso.example"), ("name", "FernhillSSO")],
        "A SAML provider of the intruder's own is trusted.",
        &["identity-provider-created"],
    );
}

/// A permission set, an assignment and an application in the Identity Center.
pub(super) fn in_identity_center(story: &mut Teller<'_>, stolen: &Caller) {
    let org = story.org;
    let place = (MANAGEMENT, HOME);
    let sso = ("sso", org.sso_instance.as_str());
    let (set_id, instance_id) = (story.chance.hex("ps-", 16), story.chance.hex("mins-", 16));
    let old_instance = story.chance.hex("mins-", 16);
    let set = ("set", set_id.as_str());
    story.step(
        place,
        stolen,
        &CREATE_PERMISSION_SET,
        &[sso, set, ("name", "BillingAuditor"), ("description", "Quarterly billing audit"), ("duration", "PT1H")],
        "A permission set with a harmless name is created.",
        &["permission-set-created"],
    );
    story.step(
        place,
        stolen,
        &ATTACH_TO_PERMISSION_SET,
        &[sso, set, ("policy_name", "AdministratorAccess")],
        "It is given AdministratorAccess.",
        &["permission-set-admin-policy"],
    );
    let document =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":"aws-portal:*","Resource":"*"}]}"#;
    story.step(
        place,
        stolen,
        &INLINE_POLICY_OF_PERMISSION_SET,
        &[sso, set, ("document", &quoted(document))],
        "An inline policy of it grants everything but one service.",
        &["permission-set-admin-policy"],
    );
    story.step(
        place,
        stolen,
        &UPDATE_PERMISSION_SET,
        &[sso, set, ("duration", "PT12H")],
        "Its sessions are made to last twelve hours.",
        &["permission-set-updated"],
    );
    let (target, person) = (org.accounts[PRODUCTION].id.as_str(), org.person(COLLEAGUE).user_id.as_str());
    story.step(
        place,
        stolen,
        &CREATE_ASSIGNMENT,
        &[sso, set, ("target", target), ("person", person)],
        "The colleague whose account was taken is assigned to production with it.",
        &["account-assignment-created"],
    );
    story.step(
        place,
        stolen,
        &CREATE_MANAGED_APPLICATION,
        &[("name", "fernhill-metrics"), ("instance_id", &instance_id)],
        "An application of the intruder's own is connected to the Identity Center.",
        &["sso-application-created"],
    );
    story.step(
        place,
        stolen,
        &DELETE_MANAGED_APPLICATION,
        &[("instance_id", &old_instance)],
        "The security team's application is removed from it.",
        &["sso-application-deleted"],
    );
}

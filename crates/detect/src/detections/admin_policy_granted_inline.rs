//! `admin-policy-granted-inline`

use event::Event;

use crate::config::Settings;
use crate::document::{admin_grants, document};
use crate::request::{Read, first_text, named};
use crate::text::{clip, last_part};
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "admin-policy-granted-inline",
    title: "Admin Permissions Granted",
    severity: Severity::Critical,
    attempted_severity: Some(Severity::Medium),
    techniques: &["T1098.003"],
    triggers: Triggers::Calls(&[Calls {
        service: "iam",
        names: &["PutUserPolicy", "PutGroupPolicy", "PutRolePolicy", "CreatePolicy", "CreatePolicyVersion"],
    }]),
    action_required: "Verify that these permissions were meant; if not, take the policy away.",
    docs: Docs {
        summary: "Finds a policy, inline or managed, that grants every action, all of IAM or all of STS on all resources, \
                  or as good as that: by wildcards, any case, `NotAction`, lists of actions that add up, several \
                  statements. A wildcard or `NotAction` that takes in an action of IAM of which one call makes an \
                  administrator (`iam:Put*`, `iam:*AccessKey*`) amounts to all of IAM; nearly all services but IAM and STS \
                  amount to nearly everything, as PowerUserAccess does. The document is evaluated, not searched for \
                  words.",
        why: "It makes its holder an administrator, or able to become one, without any of the policies that are known by \
              name. A new version of a managed policy changes the rights of all who have it.",
        false_positives: "Administrators' own policies when they are set up or changed. Conditions are taken as met; the \
                          sentence says where there is one. Rights on a part of the resources, and few dangerous actions \
                          that are named in full, are not found here; nor is `SetDefaultPolicyVersion`, which goes back \
                          to a version that was judged when it was written.",
        what_to_do: "Ask the caller. If it was not meant: delete the policy or the version, end the sessions of those \
                     who have it, and look at what they did with it.",
        references: &[
            "https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutUserPolicy.html",
            "https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicyVersion.html",
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notaction.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

fn check(event: &Event<'_>, _: &Settings) -> Option<Deed> {
    let grants = match document(event, &["policyDocument"]) {
        Read::Known(policy) => Some(admin_grants(&policy)?),
        Read::Absent | Read::Unreadable => None,
    };
    let name = first_text(event, &["policyName", "policyArn"]).map(|name| clip(last_part(name)));
    let policy = name.map_or("a policy".to_owned(), |name| format!("the policy {name}"));
    let (done, infinitive, object) = match event.name() {
        "PutUserPolicy" => ("gave", "give", format!("{} {policy}", named(event, "IAM user", &["userName"]))),
        "PutGroupPolicy" => ("gave", "give", format!("{} {policy}", named(event, "group", &["groupName"]))),
        "PutRolePolicy" => ("gave", "give", format!("{} {policy}", named(event, "role", &["roleName"]))),
        "CreatePolicy" => ("created", "create", policy),
        _ => ("wrote", "write", format!("a new version of {policy}")),
    };
    Some(match grants {
        Some(grants) => Deed::new(done, infinitive, format!("{object}, which grants {grants}")),
        None => Deed::new(done, infinitive, object).unreadable(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use testkit::{EventBuilder, event};

    use crate::Registry;
    use crate::registry::tests::Examples;

    fn put(statement: Value) -> EventBuilder {
        let document = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
        put_text(&document)
    }

    fn put_text(document: &str) -> EventBuilder {
        event("PutUserPolicy").request(json!({"userName": "bob", "policyName": "p", "policyDocument": document}))
    }

    fn allow(action: Value) -> Value {
        json!({"Effect": "Allow", "Action": action, "Resource": "*"})
    }

    pub(super) fn examples() -> Examples {
        let admin = || json!({"Statement": allow(json!("*"))}).to_string();
        let encoded = "%7B%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22%2A%22%2C%22Resource%22%3A%22%2A%22%7D%5D%7D";
        let of = |name: &str, request: Value| event(name).request(request);
        Examples {
            fires: vec![
                put(allow(json!("*"))),
                put(json!([allow(json!(["s3:GetObject", "IAM:*"]))])),
                put(allow(json!("sts:*"))),
                put(allow(json!("i?m:*"))),
                put(json!({"Effect": "Allow", "NotAction": "s3:DeleteBucket", "Resource": "*"})),
                put(json!([allow(json!("iam:[A-Z]*")), allow(json!(["iam:*e*", "iam:*a*", "iam:*o*"]))])),
                put(allow(json!(["iam:Put*", "iam:Attach*"]))),
                put(json!({"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "sts:*"], "Resource": "*"})),
                put(json!({
                    "Effect": "Allow",
                    "Action": "iam:*",
                    "Resource": ["arn:aws:iam::111122223333:user/*", "arn:aws:iam::111122223333:role/*"],
                })),
                put(
                    json!({"Effect": "Allow", "Action": "iam:*", "Resource": "arn:aws:iam::${aws:PrincipalAccount}:*"}),
                ),
                put_text(encoded),
                of("PutGroupPolicy", json!({"groupName": "g", "policyName": "p", "policyDocument": admin()})),
                of("PutRolePolicy", json!({"roleName": "r", "policyName": "p", "policyDocument": admin()})),
                of("CreatePolicy", json!({"policyName": "p", "policyDocument": admin()})),
                of(
                    "CreatePolicyVersion",
                    json!({"policyArn": "arn:aws:iam::111122223333:policy/p", "policyDocument": admin()}),
                ),
                // A document as an object, and what cannot be read.
                of("CreatePolicy", json!({"policyName": "p", "policyDocument": {"Statement": allow(json!("*"))}})),
                put_text("{\"Statement\": [{\"Effect\": \"All"),
                of("CreatePolicy", json!({"omitted": true, "originalSize": 200_000})),
                event("PutUserPolicy"),
            ],
            attempts: vec![put(allow(json!("*"))).error("AccessDenied"), event("CreatePolicy").error("AccessDenied")],
            quiet: vec![
                put(allow(json!("s3:*"))),
                put(allow(json!(["iam:GetUser", "iam:ListUsers"]))),
                put(allow(json!(["iam:PassRole", "iam:Tag*", "iam:PutRolePolicy"]))),
                put(json!({
                    "Effect": "Allow",
                    "Action": ["iam:*AccessKey*", "iam:*LoginProfile"],
                    "Resource": "arn:aws:iam::${aws:PrincipalAccount}:user/${aws:username}",
                })),
                put(json!({"Effect": "Deny", "Action": "*", "Resource": "*"})),
                put(json!({"Effect": "Allow", "Action": "iam:*", "Resource": "arn:aws:iam::111122223333:user/bob"})),
                put(allow(json!("*"))).source("example"),
                event("DeleteUserPolicy").request(json!({"policyDocument": admin()})),
            ],
        }
    }

    #[test]
    fn the_sentence_tells_what_is_granted_to_whom() {
        let summary = |event: EventBuilder| Registry::default().findings(&event.to_event())[0].summary.clone();
        assert_eq!(summary(put(allow(json!("*")))), "alice gave the IAM user bob the policy p, which grants *.");
        assert_eq!(
            summary(put(allow(json!("*"))).error("AccessDenied")),
            "alice tried to give the IAM user bob the policy p, which grants *, but the call failed (AccessDenied)."
        );
        assert!(summary(put_text("{")).contains("could not be judged"));
    }
}

//! Grants on policies as people (and intruders) write them.

use serde_json::{Value, json};

use super::*;

#[path = "grants_properties.rs"]
mod properties;

fn granted(policy: &Value) -> Vec<(Class, Extent, bool)> {
    let policy = Policy::from_value(policy).expect("the policy parses");
    grants(&policy).into_iter().map(|grant| (grant.class, grant.extent, grant.conditional)).collect()
}

fn allow(action: impl Into<Value>) -> Value {
    json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": action.into(), "Resource": "*"}})
}

fn statements(list: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": list})
}

const EVERYTHING: (Class, Extent, bool) = (Class::Everything, Extent::Full, false);
const IAM_IN_FULL: (Class, Extent, bool) = (Class::Iam, Extent::Full, false);
const IAM_IN_EFFECT: (Class, Extent, bool) = (Class::Iam, Extent::Equivalent, false);
const NEARLY_EVERYTHING: (Class, Extent, bool) = (Class::Everything, Extent::Nearly, false);
const STS_IN_FULL: (Class, Extent, bool) = (Class::Sts, Extent::Full, false);

#[test]
fn the_table_is_well_formed() {
    for (at, kind) in Kind::ALL.into_iter().enumerate() {
        assert_eq!(kind as usize, at, "`Kind::ALL` follows the enum, whose values index it");
    }
    for (list, service) in [(IAM, "iam:"), (STS, "sts:")] {
        assert!(list.iter().all(|action| action.name.starts_with(service)));
        assert!(list.is_sorted_by(|a, b| a.name < b.name), "{service} sorted, nothing twice");
    }
    assert!(OTHER.iter().all(|action| !action.name.starts_with("iam:") && !action.name.starts_with("sts:")));
    assert!(OTHER.is_sorted_by(|a, b| a.name < b.name));
    assert_eq!((action(0).name, action(COUNT - 1).name), (IAM[0].name, OTHER[OTHER.len() - 1].name));
    assert_eq!(action(IAM.len()).name, STS[0].name);
}

#[test]
fn stars_in_any_form_grant_everything() {
    for all in ["*", "**", "*:*", "?*", "*?*", "?*:*"] {
        assert_eq!(granted(&allow(all)), [EVERYTHING], "{all}");
        assert_eq!(granted(&allow(vec!["s3:GetObject", all])), [EVERYTHING], "{all} in a list");
    }
}

#[test]
fn iam_and_sts_in_any_form() {
    for all in ["iam:*", "IAM:*", "i?m:*", "iam:**", "iAm:?*", "iam*", "i*m:*"] {
        assert_eq!(granted(&allow(all)), [IAM_IN_FULL], "{all}");
    }
    for all in ["sts:*", "STS:*", "s?s:*", "sts:???*"] {
        assert_eq!(granted(&allow(all)), [STS_IN_FULL], "{all}");
    }
    assert_eq!(granted(&allow(vec!["iam:*", "sts:*"])), [IAM_IN_FULL, STS_IN_FULL]);
}

#[test]
fn parts_add_up_over_statements() {
    let letters =
        |range: std::ops::RangeInclusive<char>| -> Vec<String> { range.map(|c| format!("iam:{c}*")).collect() };
    let split = statements(json!([
        {"Effect": "Allow", "Action": letters('A'..='K'), "Resource": "*"},
        {"Effect": "Allow", "Action": letters('L'..='Z'), "Resource": ["arn:aws:iam::*:*"]},
    ]));
    assert_eq!(granted(&split), [IAM_IN_FULL]);
    let half = statements(json!([{"Effect": "Allow", "Action": letters('A'..='K'), "Resource": "*"}]));
    assert_eq!(granted(&half), [IAM_IN_EFFECT], "`iam:A*` attaches any policy to anybody");
    let verbs = [
        "Create",
        "Delete",
        "Put",
        "Attach",
        "Detach",
        "Update",
        "Add",
        "Remove",
        "Set",
        "Pass",
        "Deactivate",
        "Reset",
    ];
    let verbs: Vec<String> = verbs.iter().map(|verb| format!("iam:{verb}*")).collect();
    assert_eq!(granted(&allow(verbs)), [IAM_IN_EFFECT]);
}

#[test]
fn not_action_grants_what_it_does_not_name() {
    let but = |except: Value| statements(json!({"Effect": "Allow", "NotAction": except, "Resource": "*"}));
    assert_eq!(granted(&but(json!("s3:GetObject"))), [(Class::Everything, Extent::Equivalent, false)]);
    assert_eq!(granted(&but(json!("a4b:*"))), [EVERYTHING], "a service that is not known");
    assert_eq!(granted(&but(json!([]))), [EVERYTHING]);
    assert_eq!(granted(&but(json!(["iam:*", "organizations:*", "account:*"]))), [NEARLY_EVERYTHING], "PowerUserAccess");
    assert_eq!(granted(&but(json!(["iam:*", "organizations:*", "account:*", "sts:*"]))), [NEARLY_EVERYTHING]);
    assert_eq!(granted(&but(json!(["iam:C*", "iam:T*", "iam:U*", "sts:*"]))), [NEARLY_EVERYTHING]);
    let harmless = json!(["iam:*Tag*", "iam:*Group*", "sts:AssumeRoot", "sts:Tag*"]);
    assert_eq!(granted(&but(harmless)), [NEARLY_EVERYTHING]);
    assert_eq!(granted(&but(json!(["*"]))), []);
    assert_eq!(granted(&but(json!(["s3:*", "ec2:*", "lambda:*", "d*", "e*", "c*"]))), [IAM_IN_FULL, STS_IN_FULL]);
}

#[test]
fn a_deny_takes_away_only_what_it_takes_away_for_certain() {
    let but = |deny: Value| statements(json!([{"Effect": "Allow", "Action": "iam:*", "Resource": "*"}, deny]));
    let gone = [
        json!({"Effect": "Deny", "Action": "iam:*", "Resource": "*"}),
        json!({"Effect": "Deny", "Action": "I*", "Resource": ["arn:aws:iam::*:*"]}),
        json!({"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"}),
    ];
    for deny in gone {
        assert_eq!(granted(&but(deny.clone())), [], "{deny}");
    }
    let stays = [
        json!({"Effect": "Deny", "Action": "iam:*", "Resource": "arn:aws:iam::111122223333:user/alice"}),
        json!({"Effect": "Deny", "Action": "iam:*", "Resource": "arn:aws:iam::111122223333:*"}),
        json!({"Effect": "Deny", "Action": "iam:*", "NotResource": "arn:aws:iam::111122223333:user/eve"}),
        json!({"Effect": "Deny", "Action": "iam:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}),
        json!({"Effect": "Deny", "Action": "s3:*", "Resource": "*"}),
    ];
    for deny in stays {
        assert_eq!(granted(&but(deny.clone())), [IAM_IN_FULL], "{deny}");
    }
    let without = |action: &str| granted(&but(json!({"Effect": "Deny", "Action": action, "Resource": "*"})));
    assert_eq!(without("iam:List*"), [IAM_IN_EFFECT]);
    assert_eq!(without("iam:UntagUser"), [IAM_IN_EFFECT]);
    assert_eq!(without("iam:*PermissionsBoundary"), [IAM_IN_EFFECT]);
    assert_eq!(without("iam:*Policy*"), [IAM_IN_EFFECT], "it can still make keys for an administrator");
    let takes_over: Vec<_> = IAM.iter().filter(|action| action.access == Access::TakeOver).collect();
    let names: Vec<_> = takes_over.iter().map(|action| action.name).collect();
    let deny = |actions: &[&str]| json!({"Effect": "Deny", "Action": actions, "Resource": "*"});
    assert_eq!(granted(&but(deny(&names))), []);
    assert_eq!(granted(&but(deny(&names[1..]))), [IAM_IN_EFFECT], "one of them is enough");
}

#[test]
fn who_has_the_rest_of_aws_has_nearly_everything() {
    let but = |deny: Value| {
        let deny = json!({"Effect": "Deny", "Action": deny, "Resource": "*"});
        granted(&statements(json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}, deny])))
    };
    let harmless = json!(["iam:*Tag*", "iam:*AccessKey*", "iam:*LoginProfile", "sts:AssumeRoot", "sts:Tag*"]);
    assert_eq!(but(harmless), [NEARLY_EVERYTHING]);
    assert_eq!(but(json!(["iam:*", "sts:*"])), [NEARLY_EVERYTHING]);
    assert_eq!(but(json!(["ec2:*", "s3:*", "lambda:*", "dynamodb:*", "iam:*", "sts:*"])), [NEARLY_EVERYTHING]);
    assert_eq!(but(json!(["c*", "d*", "e*", "iam:*", "sts:*"])), []);

    let letters = |without: &str| -> Vec<String> {
        ('a'..='z').filter(|&letter| !without.contains(letter)).map(|letter| format!("{letter}*:*")).collect()
    };
    assert_eq!(granted(&allow(letters("i"))), [NEARLY_EVERYTHING]);
    let few_of_s = [letters("is"), vec!["s3:*".to_owned(), "ssm:*".to_owned()]].concat();
    assert_eq!(granted(&allow(few_of_s)), [NEARLY_EVERYTHING]);
    assert_eq!(granted(&allow(letters("ices"))), []);
}

#[test]
fn a_wildcard_that_makes_an_administrator_in_one_step_amounts_to_all_of_iam() {
    for broad in [
        json!(["iam:Put*", "iam:Attach*"]),
        json!("iam:*Policy*"),
        json!(["iam:P*", "iam:A*", "iam:C*", "iam:U*"]),
        json!("iam:*AccessKey*"),
        json!("iam:*LoginProfile"),
        json!("iam:add*"),
        json!("iam:SetDefaultPolicyVersio?"),
        json!("*:CreatePolicyVersion"),
        json!(["iam:PutUserPolicy", "iam:PutUser*"]),
    ] {
        assert_eq!(granted(&allow(broad.clone())), [IAM_IN_EFFECT], "{broad}");
    }
    for narrow in [
        json!("iam:Pass*"),
        json!(["iam:Get*", "iam:List*", "iam:Simulate*", "iam:Generate*", "iam:Tag*"]),
        json!(["iam:*InstanceProfile*", "iam:*ServerCertificate*", "iam:*MFADevice*", "iam:*ServiceLinkedRole"]),
        json!(["iam:PutUserPolicy", "IAM:AttachRolePolicy", "iam:CreateAccessKey"]),
    ] {
        assert_eq!(granted(&allow(narrow.clone())), [], "{narrow}");
    }

    let on = |action: &str, resource: Value| {
        granted(&statements(json!({"Effect": "Allow", "Action": action, "Resource": resource})))
    };
    let own = |kind: &str| format!("arn:aws:iam::111122223333:{kind}");
    for kind in ["user/*", "role/*", "group/*", "policy/*", "r*"] {
        assert_eq!(on("iam:*", json!(own(kind))), [IAM_IN_EFFECT], "{kind}");
    }
    assert_eq!(on("iam:*", json!([own("user/*"), own("role/*")])), [IAM_IN_EFFECT]);
    for kind in ["mfa/*", "instance-profile/*", "user/${aws:username}", "role/app-*", "user/team/*", "role"] {
        assert_eq!(on("iam:*", json!(own(kind))), [], "{kind}");
    }
    assert_eq!(on("iam:*AccessKey*", json!(own("role/*"))), [], "roles have no keys");
    assert_eq!(on("iam:*AccessKey*", json!("arn:aws:iam::*:user/${aws:username}")), [], "one's own keys");

    let condition = json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}});
    let with_mfa = json!({"Effect": "Allow", "Action": "iam:Put*", "Resource": "*", "Condition": condition});
    assert_eq!(granted(&statements(with_mfa.clone())), [(Class::Iam, Extent::Equivalent, true)]);
    let by_name = json!({"Effect": "Allow", "Action": "iam:PutUserPolicy", "Resource": "*"});
    let both = granted(&statements(json!([with_mfa, by_name])));
    assert_eq!(both, [(Class::Iam, Extent::Equivalent, true)], "by name is no class, so it hangs on the condition");
}

#[test]
fn partitions_and_variables_that_are_the_callers_own() {
    let on = |resource: &str| granted(&statements(json!({"Effect": "Allow", "Action": "iam:*", "Resource": resource})));
    for own in [
        "arn:aws:iam::${aws:PrincipalAccount}:*",
        "arn:aws:iam::${AWS:principalaccount}:*",
        "arn:aws:iam::${aws:PrincipalAccount, '111122223333'}:*",
        "arn:aws:iam::${aws:ResourceAccount}:*",
        "arn:${aws:PrincipalPartition}:iam::${aws:PrincipalAccount}:*",
        "arn:aws:iam:${aws:RequestedRegion}:*:*",
        "arn:aws-eusc:iam::111122223333:*",
        "arn:aws-iso:iam::111122223333:*",
        "arn:aws-iso-b:iam::*:*",
        "arn:aws-new-cloud:iam::111122223333:*",
        "arn:aws-i*:iam::*:*",
        "arn:aws-cn:iam",
        "arn:aws-us-gov:*",
        "arn:aws:iam::111122223333",
        "arn:aws:iam::111122223333*",
    ] {
        assert_eq!(on(own), [IAM_IN_FULL], "{own}");
    }
    for narrow in [
        "arn:aws:iam::${aws:username}:*",
        "arn:aws:iam::${aws:PrincipalTag/account}:*",
        "arn:aws:iam::${aws:PrincipalAccount}:user/${aws:username}",
        "arn:aws:iam::*:role/${aws:PrincipalAccount}",
        "arn:aws:iam::${aws:PrincipalAccount:*",
        "arn:aws:iam::${*}:*",
        "arn:${aws:PrincipalTag/partition}:iam::*:*",
        "arn:aws-:iam::*:*",
        "arn:bws:iam::*:*",
        "arn:aws:s3",
        "arn:aws:iam::11112222333",
        "*x",
    ] {
        assert_eq!(on(narrow), [], "{narrow}");
    }
    let everything =
        |resources: Value| granted(&statements(json!({"Effect": "Allow", "Action": "*", "Resource": resources})));
    assert_eq!(everything(json!(["arn:aws:*:*:${aws:PrincipalAccount}:*", "arn:aws:s3:::*"])), [EVERYTHING]);
    assert_eq!(everything(json!("arn:aws:*:${aws:RequestedRegion}:${aws:PrincipalAccount}:*")), [EVERYTHING]);
    assert_eq!(everything(json!("arn:aws:s3:::${aws:PrincipalAccount}/*")), []);
}

#[test]
fn resources_must_be_all_of_them() {
    let on = |resource: Value| statements(json!({"Effect": "Allow", "Action": "iam:*", "Resource": resource}));
    let all = [
        json!("*"),
        json!("**"),
        json!("arn:*"),
        json!("arn:aws:iam::*:*"),
        json!("arn:aws:iam::111122223333:*"),
        json!("arn:aws-us-gov:iam::111122223333:*"),
        json!("arn:aws*:iam::1111????????:*"),
        json!("arn:*:iam:*"),
        json!(["arn:aws:s3:::x", "arn:aws:iam::*:*"]),
    ];
    for resource in all {
        assert_eq!(granted(&on(resource.clone())), [IAM_IN_FULL], "{resource}");
    }
    let narrow = [
        json!("arn:aws:iam::111122223333:user/alice"),
        json!("arn:aws:iam::*:user/${aws:username}"),
        json!("arn:aws:iam::*:mfa/*"),
        json!("arn:aws:s3:::*"),
        json!(["arn:aws:iam::*:role/app-*", "arn:aws:iam::*:user/app-*"]),
    ];
    for resource in narrow {
        assert_eq!(granted(&on(resource.clone())), [], "{resource}");
    }
    let by_kind = ["user", "role", "group", "policy", "instance-profile", "saml-provider", "oidc-provider"];
    let by_kind: Vec<String> = by_kind.iter().map(|kind| format!("arn:aws:iam::*:{kind}/*")).collect();
    assert_eq!(granted(&on(json!(by_kind))), [IAM_IN_EFFECT]);
    let not = |resource: Value| statements(json!({"Effect": "Allow", "Action": "iam:*", "NotResource": resource}));
    assert_eq!(granted(&not(json!("arn:aws:iam::111122223333:user/alice"))), [IAM_IN_FULL]);
    assert_eq!(granted(&not(json!("arn:aws:iam::*:*"))), []);
}

#[test]
fn a_condition_marks_the_grant() {
    let condition = json!({"StringLike": {"aws:username": "*"}});
    let statement = json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition});
    assert_eq!(granted(&statements(statement.clone())), [(Class::Everything, Extent::Full, true)]);
    let iam = json!({"Effect": "Allow", "Action": "iam:*", "Resource": "*"});
    assert_eq!(granted(&statements(json!([statement, iam]))), [(Class::Everything, Extent::Full, true)]);
    let empty = json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {}});
    assert_eq!(granted(&statements(empty)), [EVERYTHING]);
}

#[test]
fn ordinary_policies_grant_no_class() {
    for ordinary in [
        json!(["s3:GetObject", "s3:ListBucket"]),
        json!(["iam:Get*", "iam:List*"]),
        json!(["iam:PassRole"]),
        json!(["sts:AssumeRole", "sts:TagSession"]),
        json!(["ec2:*", "s3:*", "logs:*"]),
        json!(["iam:ChangePassword", "iam:CreateAccessKey", "iam:*MFADevice*"]),
        json!(["notiam:*", "iam", "iam:", ":*"]),
    ] {
        assert_eq!(granted(&allow(ordinary.clone())), [], "{ordinary}");
    }
    assert_eq!(granted(&statements(json!([]))), []);
    assert_eq!(granted(&allow("sts:Assume*")), [(Class::Sts, Extent::Equivalent, false)]);
}

#[test]
fn counts_and_names_what_is_left_out() {
    let policy = json!([
        {"Effect": "Allow", "Action": "iam:*", "Resource": "*"},
        {"Effect": "Deny", "Action": ["iam:GetUser", "iam:GetRole"], "Resource": "*"},
    ]);
    let policy = Policy::from_value(&statements(policy)).expect("the policy parses");
    let grant = grants(&policy).remove(0);
    assert_eq!(grant.left_out, ["iam:GetRole", "iam:GetUser"]);
    assert_eq!((grant.covered, grant.total), (IAM.len() - 2, IAM.len()));
}

#[test]
fn escalating_actions_are_told_without_a_class() {
    let policy = Policy::from_value(&allow(vec!["iam:Put*Policy", "s3:*", "iam:Get*"])).expect("the policy parses");
    assert_eq!(escalating_actions(&policy), ["iam:PutGroupPolicy", "iam:PutRolePolicy", "iam:PutUserPolicy"]);
}

#[test]
fn the_largest_hostile_document_is_bounded() {
    let hostile: Vec<String> = (0..2_000).map(|n| format!("i*m:*{}*{n}", "e*e*a*".repeat(10))).collect();
    let stars = vec!["*".repeat(500_000) + "x"];
    let on = |resource: String| statements(json!({"Effect": "Allow", "Action": "iam:*", "Resource": resource}));
    let variables = [on("${".repeat(500_000)), on("${:".repeat(300_000) + "}"), on("arn:${aws:a}".repeat(80_000))];
    let [open, late, many] = variables;
    let policies = [allow(hostile), allow(stars), open, late, many]
        .map(|policy| Policy::from_value(&policy).expect("the policy parses"));
    let start = std::time::Instant::now();
    for policy in &policies {
        assert_eq!(grants(policy), []);
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(20), "{:?}", start.elapsed());
}

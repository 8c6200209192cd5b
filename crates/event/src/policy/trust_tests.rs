//! Trust policies as they stand in real accounts, open ones and narrowed ones.

use serde_json::{Value, json};

use super::*;

const OWN: &str = "111122223333";
const GITHUB: &str = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";

fn findings(statement: Value) -> Vec<TrustFinding> {
    let policy =
        Policy::from_value(&json!({"Version": "2012-10-17", "Statement": statement})).expect("the policy parses");
    trust(&policy, Some(OWN))
}

fn principal(principal: Value) -> Vec<Outsider> {
    let statement = json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"});
    findings(statement).into_iter().map(|finding| finding.outsider).collect()
}

fn restricted(principal: Value, condition: Value) -> bool {
    let statement = json!({"Effect": "Allow", "Principal": principal, "Action": "sts:Assume*", "Condition": condition});
    let findings = findings(statement);
    assert_eq!(findings.len(), 1, "{condition}");
    findings[0].restricted
}

fn account(whole: bool) -> Outsider {
    Outsider::Account { account: "999988887777".to_owned(), whole }
}

#[test]
fn anyone() {
    for open in [
        json!("*"),
        json!(["*"]),
        json!({"AWS": "*"}),
        json!({"aws": ["*"]}),
        json!({"AWS": "**"}),
        json!({"AWS": "arn:aws:iam::*:root"}),
        json!({"AWS": "arn:aws:iam::*:role/deploy"}),
        json!({"AWS": "arn:aws:iam::9999????7777:root"}),
        json!({"AWS": "arn:*"}),
        json!({"Federated": "*"}),
        json!({"Service": "*"}),
        json!({"Service": "*.amazonaws.com"}),
    ] {
        assert_eq!(principal(open.clone()), [Outsider::Anyone], "{open}");
    }
    let except = json!({"Effect": "Allow", "NotPrincipal": {"AWS": [OWN, "999988887777"]}, "Action": "sts:AssumeRole"});
    assert_eq!(findings(except)[0].outsider, Outsider::AnyoneExcept);
}

#[test]
fn another_account_in_every_form() {
    for whole in [
        "999988887777",
        "arn:aws:iam::999988887777:root",
        "arn:aws-us-gov:iam::999988887777:root",
        "arn:aws-cn:iam::999988887777:*",
    ] {
        assert_eq!(principal(json!({"AWS": whole})), [account(true)], "{whole}");
    }
    for part in [
        "arn:aws:iam::999988887777:user/eve",
        "arn:aws:iam::999988887777:role/path/deploy",
        "arn:aws:sts::999988887777:assumed-role/Deploy/session",
        "arn:aws:sts::999988887777:federated-user/eve",
    ] {
        assert_eq!(principal(json!({"AWS": part})), [account(false)], "{part}");
    }
    assert_eq!(principal(json!({"AWS": 999_988_887_777_u64})), [account(true)], "a number for the id");
    assert_eq!(principal(json!({"CanonicalUser": "79a59df900b949e55d96a1e698fbaced"})), [Outsider::CanonicalUser]);
    assert_eq!(principal(json!({"AWS": "who knows"})), [Outsider::Unrecognised]);
    let list = json!({"AWS": ["arn:aws:iam::111122223333:root", "999988887777", "*"], "Service": "ec2.amazonaws.com"});
    assert_eq!(principal(list), [account(true), Outsider::Anyone]);
}

#[test]
fn a_unique_id_is_somebody_of_any_account() {
    for id in ["AROAJMD24IEMKTX6BABJI", "AIDAEXAMPLEEXAMPLE123"] {
        assert_eq!(principal(json!({"AWS": id})), [Outsider::UniqueId], "{id}");
    }
    let list = json!({"AWS": ["arn:aws:iam::111122223333:root", "AROAJMD24IEMKTX6BABJI"]});
    assert_eq!(principal(list), [Outsider::UniqueId]);
    for other in ["aroajmd24iemktx6babji", "AROA", "AGPAJMD24IEMKTX6BABJI", "AROAJMD24IEMKTX6BABJI:eve"] {
        assert_eq!(principal(json!({"AWS": other})), [Outsider::Unrecognised], "{other}");
    }
    assert!(restricted(json!({"AWS": "AROAJMD24IEMKTX6BABJI"}), json!({"StringEquals": {"sts:ExternalId": "6a1f"}})));
    assert!(!restricted(json!({"AWS": "AROAJMD24IEMKTX6BABJI"}), json!({})));
}

#[test]
fn ones_own_account_and_services_are_no_outsiders() {
    for inside in [
        json!({"AWS": OWN}),
        json!({"AWS": "arn:aws:iam::111122223333:root"}),
        json!({"AWS": ["arn:aws:iam::111122223333:user/alice", "arn:aws:sts::111122223333:assumed-role/A/b"]}),
        json!({"Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"]}),
        json!({}),
    ] {
        assert_eq!(principal(inside.clone()), [], "{inside}");
    }
    let policy = json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": OWN}, "Action": "sts:AssumeRole"}});
    let policy = Policy::from_value(&policy).expect("the policy parses");
    assert_eq!(trust(&policy, None).len(), 1, "without an account of one's own, every account is another");
}

#[test]
fn only_allowed_ways_in_count() {
    let statement = |effect: &str, element: &str, action: Value| {
        findings(json!({"Effect": effect, "Principal": "*", element: action})).len()
    };
    for action in ["sts:AssumeRole", "STS:assumerole", "sts:*", "*", "sts:AssumeRoleWith*", "s?s:Assume*"] {
        assert_eq!(statement("Allow", "Action", json!(action)), 1, "{action}");
        assert_eq!(statement("Deny", "Action", json!(action)), 0, "{action} denied");
    }
    assert_eq!(statement("Allow", "NotAction", json!("sts:TagSession")), 1);
    assert_eq!(statement("Allow", "NotAction", json!("sts:*")), 0);
    assert_eq!(statement("Allow", "Action", json!(["sts:TagSession", "sts:SetSourceIdentity"])), 0);
}

#[test]
fn conditions_that_narrow_an_account_or_anyone() {
    let other = || json!({"AWS": "999988887777"});
    for narrow in [
        json!({"StringEquals": {"sts:ExternalId": "6a1f"}}),
        json!({"StringLike": {"STS:ExternalID": ["a*", "b*"]}}),
        json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::bucket"}}),
        json!({"ForAnyValue:StringEquals": {"aws:PrincipalOrgPaths": "o-a1b2c3d4e5/*"}}),
        json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}),
        json!({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::999988887777:role/*"}}),
        json!({"StringEquals": {"aws:PrincipalOrgID": "${aws:ResourceOrgID}"}}),
        json!({"StringEquals": {"aws:PrincipalAccount": "${aws:ResourceAccount}"}}),
        json!({"StringLike": {"aws:PrincipalAccount": "999988887777"}}),
        json!({"StringLike": {"aws:userid": "AROAEXAMPLEEXAMPLE123:*"}}),
        json!({"StringEquals": {"aws:userid": "AIDAEXAMPLEEXAMPLE123"}}),
        json!({"StringLike": {"aws:SourceVpce": "vpce-0a1b*"}}),
        json!({"ArnLike": {"aws:SourceArn": "arn:aws:lambda:*:111122223333:function:*"}}),
        json!({"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "2001:db8::/32"]}}),
        json!({"Bool": {"aws:MultiFactorAuthPresent": true}, "StringEquals": {"sts:ExternalId": "x"}}),
    ] {
        assert!(restricted(other(), narrow.clone()), "{narrow}");
        assert!(restricted(json!("*"), narrow.clone()), "{narrow}");
    }
    for open in [
        json!({}),
        json!({"StringLike": {"sts:ExternalId": "*"}}),
        json!({"StringLike": {"sts:ExternalId": ["6a1f", "*"]}}),
        json!({"StringEquals": {"sts:ExternalId": []}}),
        json!({"StringEqualsIfExists": {"sts:ExternalId": "6a1f"}}),
        json!({"ForAllValues:StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}),
        json!({"StringNotEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}),
        json!({"StringLike": {"aws:PrincipalOrgID": "o-*"}}),
        json!({"StringLike": {"aws:PrincipalOrgID": ["o-a*", "o-b*"]}}),
        json!({"StringEquals": {"aws:PrincipalOrgID": "${aws:PrincipalOrgID}"}}),
        json!({"StringEquals": {"sts:ExternalId": "${sts:ExternalId}"}}),
        json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::${aws:PrincipalAccount}:role/admin"}}),
        json!({"StringLike": {"aws:PrincipalAccount": ["0*", "1*", "2*", "3*", "4*", "5*", "6*", "7*", "8*", "9*"]}}),
        json!({"StringLike": {"aws:PrincipalAccount": "99998888777?"}}),
        json!({"StringLike": {"aws:userid": "A*"}}),
        json!({"StringLike": {"aws:userid": "AROA*:session"}}),
        json!({"StringLike": {"aws:userid": "*:session"}}),
        json!({"StringLike": {"aws:SourceVpc": "vpc-*"}}),
        json!({"StringLike": {"aws:SourceVpce": ["vpce-*"]}}),
        json!({"ArnLike": {"aws:SourceArn": "arn:*"}}),
        json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}}),
        json!({"ArnLike": {"aws:SourceArn": "arn:aws:lambda:*:*:function:ours"}}),
        json!({"Null": {"sts:ExternalId": "false"}}),
        json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/admin"}}),
        json!({"StringLike": {"aws:PrincipalArn": "*"}}),
        json!({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}),
        json!({"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "::/0"]}}),
        json!({"DateGreaterThan": {"aws:CurrentTime": "2024-01-01T00:00:00Z"}}),
        json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}}),
    ] {
        assert!(!restricted(other(), open.clone()), "{open}");
    }
}

#[test]
fn what_everybody_can_choose_narrows_only_those_who_are_named() {
    for chosen in [
        json!({"StringEquals": {"aws:PrincipalTag/team": "blue"}}),
        json!({"StringEquals": {"aws:username": "alice"}}),
        json!({"StringEquals": {"STS:SourceIdentity": "alice"}}),
        json!({"StringLike": {"aws:SourceIdentity": "alice@*"}}),
        json!({"IpAddress": {"aws:VpcSourceIp": "10.1.0.0/16"}}),
        json!({"StringEquals": {"aws:FederatedProvider": "accounts.google.com"}}),
    ] {
        assert!(restricted(json!({"AWS": "999988887777"}), chosen.clone()), "{chosen}");
        assert!(!restricted(json!("*"), chosen.clone()), "{chosen}");
        assert!(!restricted(json!({"AWS": "arn:aws:iam::*:root"}), chosen.clone()), "{chosen}");
        let except = json!({"Effect": "Allow", "NotPrincipal": {"AWS": OWN}, "Action": "*", "Condition": chosen});
        assert!(!findings(except.clone())[0].restricted, "{except}");
    }
    let own = json!({"StringEquals": {"aws:username": "${aws:username}"}});
    assert!(!restricted(json!({"AWS": "999988887777"}), own), "every caller has the caller's name");
    let both = json!({"StringEquals": {"aws:username": "alice", "aws:PrincipalAccount": "999988887777"}});
    assert!(restricted(json!("*"), both), "one condition that narrows is enough");
    let provider = "arn:aws:iam::999988887777:saml-provider/okta";
    assert!(restricted(json!("*"), json!({"StringEquals": {"aws:FederatedProvider": provider}})));
}

#[test]
fn only_ones_own_account_is_told_from_everybody_elses() {
    let own_only = |principal: Value, condition: Value| {
        let statement = json!({"Effect": "Allow", "Principal": principal, "Action": "sts:*", "Condition": condition});
        findings(statement)[0].own_account_only
    };
    for own in [
        json!({"StringEquals": {"aws:PrincipalAccount": OWN}}),
        json!({"StringLike": {"AWS:principalaccount": [OWN]}}),
        json!({"StringEquals": {"aws:PrincipalAccount": "${aws:ResourceAccount}"}}),
        json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/aws-reserved/*"}}),
        json!({"StringEquals": {"aws:PrincipalAccount": OWN, "sts:ExternalId": "x"}}),
        json!({"Bool": {"aws:MultiFactorAuthPresent": true}, "StringEquals": {"aws:PrincipalAccount": OWN}}),
    ] {
        assert!(own_only(json!("*"), own.clone()), "{own}");
        let except = json!({"Effect": "Allow", "NotPrincipal": {"AWS": OWN}, "Action": "*", "Condition": own});
        assert!(findings(except.clone())[0].own_account_only, "{except}");
    }
    for anybodys in [
        json!({}),
        json!({"StringEquals": {"aws:PrincipalAccount": "999988887777"}}),
        json!({"StringEquals": {"aws:PrincipalAccount": [OWN, "999988887777"]}}),
        json!({"StringEquals": {"aws:PrincipalAccount": []}}),
        json!({"StringEquals": {"aws:PrincipalAccount": "${aws:PrincipalAccount}"}}),
        json!({"StringEqualsIfExists": {"aws:PrincipalAccount": OWN}}),
        json!({"StringNotEquals": {"aws:PrincipalAccount": OWN}}),
        json!({"ForAllValues:StringEquals": {"aws:PrincipalAccount": OWN}}),
        json!({"StringLike": {"aws:PrincipalAccount": "*"}}),
        json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::999988887777:role/*"}}),
        json!({"StringLike": {"aws:PrincipalArn": "arn:*:*:*:111122223333:role/x"}}),
        json!({"StringLike": {"aws:PrincipalArn": "*:111122223333:*"}}),
        json!({"StringEquals": {"aws:PrincipalOrgID": "${aws:ResourceOrgID}"}}),
        json!({"StringEquals": {"aws:SourceAccount": OWN}}),
        json!({"StringEquals": {"sts:ExternalId": OWN}}),
        json!({"IpAddress": {"aws:SourceIp": "203.0.113.7"}}),
    ] {
        assert!(!own_only(json!("*"), anybodys.clone()), "{anybodys}");
    }
    let policy = json!({"Statement": {
        "Effect": "Allow", "Principal": "*", "Action": "*",
        "Condition": {"StringEquals": {"aws:PrincipalAccount": OWN}},
    }});
    let policy = Policy::from_value(&policy).expect("the policy parses");
    assert!(!trust(&policy, None)[0].own_account_only, "without an account of one's own, every account is another");
}

#[test]
fn networks_are_added_up() {
    let narrowed = |networks: Vec<String>| restricted(json!("*"), json!({"IpAddress": {"aws:SourceIp": networks}}));
    let eights = |count: u8| (0..count).map(|first| format!("{first}.0.0.0/8")).collect::<Vec<_>>();
    assert!(!narrowed(eights(255)));
    assert!(!narrowed(eights(17)));
    assert!(narrowed(eights(16)));
    assert!(narrowed((0..200).map(|third| format!("20.0.{third}.0/24")).collect()), "an office's and a cloud's");
    assert!(!narrowed((0..64).map(|n| format!("{:x}::/16", 0x2000 + n)).collect()));
    assert!(narrowed((0..64).map(|n| format!("2001:db8:{n:x}::/48")).collect()));
    assert!(narrowed(vec!["203.0.113.7".to_owned(), "2001:db8::1".to_owned(), "2001:db8::/128".to_owned()]));
    for open in ["1*", "", "/8", "20.0.0.0/", "20.0.0.0/7", "20.0.0.0/-1", "2000::/3", "0.0.0.0/255.0.0.0"] {
        assert!(!narrowed(vec!["203.0.113.0/24".to_owned(), open.to_owned()]), "{open}");
    }
}

#[test]
fn federated_providers_are_told_apart() {
    let kind = |provider: &str| {
        let narrow = json!({"StringEquals": {format!("{provider}:aud"): "client-1"}});
        let statement =
            json!({"Effect": "Allow", "Principal": {"Federated": provider}, "Action": "sts:*", "Condition": narrow});
        findings(statement).remove(0).outsider
    };
    assert_eq!(kind("arn:aws:iam::111122223333:saml-provider/okta"), Outsider::Saml);
    for issuer in ["cognito-identity.amazonaws.com", "accounts.google.com", "graph.facebook.com", "www.amazon.com"] {
        assert_eq!(kind(issuer), Outsider::Oidc { issuer: issuer.to_owned() });
    }
    let own = "arn:aws:iam::111122223333:oidc-provider/login.example.com/tenant";
    assert_eq!(kind(own), Outsider::Oidc { issuer: "login.example.com/tenant".to_owned() });

    let saml = || json!({"Federated": "arn:aws:iam::111122223333:saml-provider/okta"});
    assert!(!restricted(saml(), json!({"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}})));
    assert!(restricted(saml(), json!({"StringEquals": {"SAML:sub": "alice"}})));
}

#[test]
fn github_subjects_that_let_in_everybody() {
    let github = |condition: Value| restricted(json!({"Federated": GITHUB}), condition);
    let sub = |operator: &str, sub: Value| {
        github(json!({
            "StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"},
            operator: {"token.actions.githubusercontent.com:sub": sub},
        }))
    };
    assert!(!github(json!({})), "no condition at all");
    assert!(!github(json!({"StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"}})));
    for open in [
        "*",
        "repo:*",
        "repo:*/*",
        "repo:*/app:*",
        "repo:my-*/app:*",
        "repo:my-org*",
        "*:ref:refs/heads/main",
        "*repo:my-org/app:*",
        "repo:*:repo:my-org/app",
        "ref:refs/heads/main",
        "environment:production:*",
        "",
    ] {
        assert!(!sub("StringLike", json!(open)), "{open}");
    }
    assert!(!sub("StringLike", json!(["repo:my-org/app:*", "repo:*"])), "one open value opens all");
    assert!(!sub("StringNotLike", json!("repo:my-org/app:*")));
    assert!(!sub("ForAllValues:StringLike", json!("repo:my-org/app:*")));
    for narrow in [
        "repo:my-org/*",
        "repo:my-org/app:*",
        "repo:my-org/app:ref:refs/heads/main",
        "repository_owner:my-org:*",
        "environment:production:repo:my-org/*",
        "repository_id:123:ref:*",
    ] {
        assert!(sub("StringLike", json!(narrow)), "{narrow}");
        assert!(sub("ForAnyValue:StringLike", json!(narrow)), "{narrow}");
    }
    assert!(sub("StringEquals", json!("repo:my-org/app:ref:refs/heads/main")));
    assert!(github(json!({"StringEquals": {"token.actions.githubusercontent.com:repository_owner": "my-org"}})));
    assert!(!github(json!({"StringEquals": {"token.actions.githubusercontent.com:ref": "refs/heads/main"}})));

    let open =
        json!({"Effect": "Allow", "Principal": {"Federated": GITHUB}, "Action": "sts:AssumeRoleWithWebIdentity"});
    let issuer = "token.actions.githubusercontent.com".to_owned();
    assert_eq!(findings(open)[0].outsider, Outsider::AnyoneBehindOidc { issuer });
}

#[test]
fn other_issuers_have_rules_of_their_own() {
    let narrowed = |issuer: &str, claim: &str, value: &str| {
        let provider = json!({"Federated": format!("arn:aws:iam::111122223333:oidc-provider/{issuer}")});
        restricted(provider, json!({"StringLike": {format!("{issuer}:{claim}"): value}}))
    };
    let eks = "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B716D3041E";
    assert!(narrowed(eks, "sub", "system:serviceaccount:kube-system:aws-node"));
    assert!(narrowed(eks, "sub", "system:serviceaccount:team:*"));
    assert!(!narrowed(eks, "sub", "system:serviceaccount:*"));
    assert!(!narrowed(eks, "aud", "sts.amazonaws.com"));
    assert!(narrowed("gitlab.com", "sub", "project_path:group/app:*"));
    assert!(!narrowed("gitlab.com", "sub", "project_path:*"));
    assert!(!narrowed("gitlab.com", "aud", "https://gitlab.com"));
    assert!(narrowed("app.terraform.io", "sub", "organization:acme:project:*"));
    assert!(!narrowed("app.terraform.io", "aud", "aws.workload.identity"));
    assert!(narrowed("login.example.com", "aud", "client-1"));
    assert!(!narrowed("login.example.com", "aud", "sts.amazonaws.com"));
    assert!(!narrowed("login.example.com", "aud", "*"));
    assert!(narrowed("login.example.com", "sub", "user-7"));

    let cognito = || json!({"Federated": "cognito-identity.amazonaws.com"});
    let amr = json!({"ForAnyValue:StringLike": {"cognito-identity.amazonaws.com:amr": "authenticated"}});
    assert!(!restricted(cognito(), amr), "any identity pool of anybody");
    assert!(restricted(cognito(), json!({"StringEquals": {"cognito-identity.amazonaws.com:aud": "eu-west-1:0a1b"}})));
    let own = json!({"StringEquals": {"cognito-identity.amazonaws.com:aud": "${cognito-identity.amazonaws.com:aud}"}});
    assert!(!restricted(cognito(), own), "every token has the audience that it has");
}

#[test]
fn many_principals_share_the_work_and_the_keys() {
    let ids: Vec<String> = (0..1_900).map(|n| format!("arn:aws:iam::111122223333:oidc-provider/i{n}")).collect();
    let huge_key = "k".repeat(300_000);
    let subjects = vec!["repo:".repeat(10); 1_900];
    let condition = json!({"StringLike": {huge_key: "x", "token.actions.githubusercontent.com:sub": subjects}});
    let start = std::time::Instant::now();
    let statement = json!({"Effect": "Allow", "Principal": {"Federated": ids}, "Action": "*", "Condition": condition});
    assert_eq!(findings(statement).len(), 1_900);
    assert!(start.elapsed() < std::time::Duration::from_secs(10), "{:?}", start.elapsed());
}

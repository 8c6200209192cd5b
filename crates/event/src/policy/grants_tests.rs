//! Grants on policies as people (and intruders) write them, and against brute force.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::pattern::tests::matches_slowly;
use super::*;

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
    assert_eq!(granted(&half), []);
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
    assert_eq!(granted(&allow(verbs)), [(Class::Iam, Extent::Equivalent, false)]);
}

#[test]
fn not_action_grants_what_it_does_not_name() {
    let but = |except: Value| statements(json!({"Effect": "Allow", "NotAction": except, "Resource": "*"}));
    assert_eq!(granted(&but(json!("s3:GetObject"))), [(Class::Everything, Extent::Equivalent, false)]);
    assert_eq!(granted(&but(json!("a4b:*"))), [EVERYTHING], "a service that is not known");
    assert_eq!(granted(&but(json!([]))), [EVERYTHING]);
    assert_eq!(granted(&but(json!(["iam:*", "organizations:*", "account:*"]))), [STS_IN_FULL], "PowerUserAccess");
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
    assert_eq!(without("iam:List*"), [(Class::Iam, Extent::Equivalent, false)]);
    assert_eq!(without("iam:UntagUser"), [(Class::Iam, Extent::Equivalent, false)]);
    assert_eq!(without("iam:*PermissionsBoundary"), [(Class::Iam, Extent::Nearly, false)]);
    assert_eq!(without("iam:*Policy*"), []);
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
        json!("arn:aws:iam::*:user/*"),
        json!("arn:aws:iam::*:user/${aws:username}"),
        json!("arn:aws:s3:::*"),
        json!(["arn:aws:iam::*:role/app-*", "arn:aws:iam::*:user/app-*"]),
    ];
    for resource in narrow {
        assert_eq!(granted(&on(resource.clone())), [], "{resource}");
    }
    let by_kind = ["user", "role", "group", "policy", "instance-profile", "saml-provider", "oidc-provider"];
    let by_kind: Vec<String> = by_kind.iter().map(|kind| format!("arn:aws:iam::*:{kind}/*")).collect();
    assert_eq!(granted(&on(json!(by_kind))), [(Class::Iam, Extent::Equivalent, false)]);
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
    let policies = [allow(hostile), allow(stars)].map(|policy| Policy::from_value(&policy).expect("the policy parses"));
    let start = std::time::Instant::now();
    for policy in &policies {
        assert_eq!(grants(policy), []);
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(20), "{:?}", start.elapsed());
}

// -- against brute force ------------------------------------------------------------------------------------------------

/// Resource patterns with the kinds that they cover, by hand: for an `Allow`, and for an exception or a `Deny`.
const RESOURCES: [(&str, &[Kind], &[Kind]); 8] = [
    ("*", &Kind::ALL, &Kind::ALL),
    ("arn:*", &Kind::ALL, &Kind::ALL),
    ("arn:aws:iam::*:user/*", &[Kind::User], &[Kind::User]),
    ("arn:aws:iam::*:r*", &[Kind::Role, Kind::Root], &[Kind::Role, Kind::Root]),
    ("arn:aws:iam::111122223333:policy/*", &[Kind::Policy], &[]),
    ("arn:aws-cn:iam::*:group/*", &[Kind::Group], &[]),
    ("arn:aws:iam::*:user/alice", &[], &[]),
    ("arn:aws:s3:::*", &[], &[]),
];

#[derive(Debug, Clone)]
struct Model {
    allow: bool,
    not_action: bool,
    actions: Vec<String>,
    not_resource: bool,
    resources: Vec<usize>,
    conditional: bool,
}

impl Model {
    fn json(&self) -> Value {
        let one_or_many = |mut list: Vec<Value>| if list.len() == 1 { list.remove(0) } else { Value::Array(list) };
        let resources = self.resources.iter().map(|&at| RESOURCES[at].0.into()).collect();
        let mut statement = json!({
            "Effect": if self.allow { "Allow" } else { "Deny" },
            (if self.not_action { "NotAction" } else { "Action" }):
                one_or_many(self.actions.iter().map(|action| action.as_str().into()).collect()),
            (if self.not_resource { "NotResource" } else { "Resource" }): one_or_many(resources),
        });
        if self.conditional {
            statement["Condition"] = json!({"Bool": {"aws:MultiFactorAuthPresent": true}});
        }
        statement
    }

    /// Does this statement speak of the action on every resource of its kind?
    fn reaches(&self, action: &Action) -> bool {
        let name = action.name.to_lowercase();
        let named =
            self.actions.iter().any(|pattern| matches_slowly(pattern.to_lowercase().as_bytes(), name.as_bytes()));
        let as_allow = self.allow && !self.not_resource;
        let kinds = |&at: &usize| if as_allow { RESOURCES[at].1 } else { RESOURCES[at].2 };
        let on_all = self.resources.iter().any(|at| kinds(at).contains(&action.kind));
        named != self.not_action && on_all != self.not_resource
    }
}

fn brute_force(models: &[Model], with_conditions: bool) -> Vec<&'static str> {
    let all = IAM.iter().chain(STS).chain(OTHER);
    let is_covered = |action: &&Action| {
        let allowed =
            models.iter().any(|model| model.allow && (with_conditions || !model.conditional) && model.reaches(action));
        let denied = models
            .iter()
            .any(|model| !model.allow && !model.conditional && !model.not_resource && model.reaches(action));
        allowed && !denied
    };
    all.filter(is_covered).map(|action| action.name).collect()
}

fn brute_extent(covered: &[&str], class: Class) -> Option<Extent> {
    let of = |list: &[Action]| {
        let have = |wanted: &dyn Fn(&&Action) -> bool| {
            let wanted: Vec<_> = list.iter().filter(wanted).collect();
            let covered = wanted.iter().filter(|action| covered.contains(&action.name)).count();
            (covered, wanted.len())
        };
        let (all, escalating) = (have(&|_| true), have(&|action| action.access == Access::Escalate));
        let changing = have(&|action| action.access != Access::Read);
        let escalating = if escalating.1 == 0 { changing } else { escalating };
        let share = |(part, whole): (usize, usize)| part as f64 / whole as f64;
        match () {
            () if all.0 == all.1 => Some(Extent::Full),
            () if escalating.0 == escalating.1 => Some(Extent::Equivalent),
            () if share(changing) >= 0.9 || share(escalating) >= 0.9 => Some(Extent::Nearly),
            () => None,
        }
    };
    match class {
        Class::Everything => of(IAM).min(of(STS)).min(of(OTHER)),
        Class::Iam => of(IAM),
        Class::Sts => of(STS),
    }
}

/// An action pattern: a real action or a well-known wildcard, cut, starred, question-marked and case-flipped.
fn action_pattern() -> impl Strategy<Value = String> {
    let real = (0..COUNT, 0..40_usize, any::<bool>()).prop_map(|(at, cut, star)| {
        let name = action(at).name;
        if star { format!("{}*", &name[..cut.min(name.len())]) } else { name.to_owned() }
    });
    let known = prop::sample::select(vec![
        "*",
        "*:*",
        "iam:*",
        "sts:*",
        "i?m:**",
        "iam:*Policy*",
        "s*",
        "iam:[x]",
        "sts:Assume*",
    ]);
    let start = prop_oneof![2 => real, 3 => known.prop_map(str::to_owned)];
    (start, prop::option::of(0..30_usize), any::<u64>()).prop_map(|(pattern, question, flips)| {
        let change = |(at, c): (usize, char)| match c {
            _ if question == Some(at) && c != '*' => '?',
            _ if flips >> (at % 64) & 1 == 1 => c.to_ascii_uppercase(),
            _ => c,
        };
        pattern.chars().enumerate().map(change).collect()
    })
}

fn model() -> impl Strategy<Value = Model> {
    let actions = prop::collection::vec(action_pattern(), 1..5);
    let resources = prop::collection::vec(prop_oneof![4 => Just(0), 3 => 0..RESOURCES.len()], 1..3);
    let flags =
        (prop::bool::weighted(0.7), prop::bool::weighted(0.25), prop::bool::weighted(0.15), prop::bool::weighted(0.2));
    (actions, resources, flags).prop_map(|(actions, resources, (allow, not_action, not_resource, conditional))| Model {
        allow,
        not_action,
        actions,
        not_resource,
        resources,
        conditional,
    })
}

fn percent_encode(text: &str) -> String {
    let encode =
        |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 300 } else { 20_000 }))]

    /// The evaluator covers exactly the actions that brute force over statements and actions covers, from every encoding of
    /// the document, and draws the same conclusion from them.
    #[test]
    fn agrees_with_brute_force(models in prop::collection::vec(model(), 1..5)) {
        let mut statement: Vec<Value> = models.iter().map(Model::json).collect();
        let document = statements(if statement.len() == 1 { statement.remove(0) } else { statement.into() });
        let policy = Policy::from_value(&document).expect("the policy parses");
        prop_assert_eq!(&policy, &Policy::parse(&document.to_string()).expect("as text"));
        prop_assert_eq!(&policy, &Policy::parse(&percent_encode(&document.to_string())).expect("percent-encoded"));

        let expected = brute_force(&models, true);
        let expected_unconditionally = brute_force(&models, false);
        let covered = covered(&policy, |_| true);
        let names: Vec<_> = (0..COUNT).filter(|&at| covered[at]).map(|at| action(at).name).collect();
        prop_assert_eq!(&names, &expected);

        let found = grants(&policy);
        for class in [Class::Everything, Class::Iam, Class::Sts] {
            let grant = found.iter().find(|grant| grant.class == class);
            let implied = class != Class::Everything && found.first().is_some_and(|first| first.class == Class::Everything);
            if implied {
                prop_assert!(grant.is_none());
                continue;
            }
            let extent = brute_extent(&expected, class);
            prop_assert_eq!(grant.map(|grant| grant.extent), extent);
            if let Some(grant) = grant {
                prop_assert_eq!(grant.conditional, brute_extent(&expected_unconditionally, class) < extent);
                prop_assert_eq!(grant.covered + grant.left_out.len(), grant.total);
            }
        }
    }

    /// A statement more that allows never takes anything away; one that denies never adds anything.
    #[test]
    fn allowing_adds_and_denying_takes(models in prop::collection::vec(model(), 1..4), more in model()) {
        let policy = |models: &[Model]| {
            let list: Vec<Value> = models.iter().map(Model::json).collect();
            Policy::from_value(&statements(list.into())).expect("the policy parses")
        };
        let before = covered(&policy(&models), |_| true);
        let after = covered(&policy(&[models.as_slice(), std::slice::from_ref(&more)].concat()), |_| true);
        for at in 0..COUNT {
            let right_way = if more.allow { before[at] <= after[at] } else { before[at] >= after[at] };
            prop_assert!(right_way, "{}", action(at).name);
        }
    }
}

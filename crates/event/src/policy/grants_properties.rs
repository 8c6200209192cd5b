//! Grants against brute force.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::super::pattern::tests::matches_slowly;
use super::super::*;
use super::statements;

/// Resource patterns with the kinds that they cover, by hand: for an `Allow`, and for an exception or a `Deny`.
const RESOURCES: [(&str, &[Kind], &[Kind]); 13] = [
    ("*", &Kind::ALL, &Kind::ALL),
    ("arn:*", &Kind::ALL, &Kind::ALL),
    ("arn:aws:iam::*:user/*", &[Kind::User], &[Kind::User]),
    ("arn:aws:iam::*:r*", &[Kind::Role, Kind::Root], &[Kind::Role, Kind::Root]),
    ("arn:aws:iam::111122223333:policy/*", &[Kind::Policy], &[]),
    ("arn:aws-cn:iam::*:group/*", &[Kind::Group], &[]),
    ("arn:aws-eusc:iam::*:policy/*", &[Kind::Policy], &[]),
    ("arn:aws:iam::${aws:PrincipalAccount}:user/*", &[Kind::User], &[]),
    ("arn:aws:iam::${aws:PrincipalAccount}:user/${aws:username}", &[], &[]),
    ("arn:aws-iso:*", &Kind::ALL, &[]),
    ("arn:aws:iam::*:role/${aws:PrincipalAccount}", &[], &[]),
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

    /// Does this statement speak of the action on every resource of its kind? With `broadly`, otherwise than by its name?
    fn reaches(&self, action: &Action, broadly: bool) -> bool {
        let name = action.name.to_lowercase();
        let counts = |pattern: &&String| self.not_action || !broadly || pattern.contains(['*', '?']);
        let named = self
            .actions
            .iter()
            .filter(counts)
            .any(|pattern| matches_slowly(pattern.to_lowercase().as_bytes(), name.as_bytes()));
        let as_allow = self.allow && !self.not_resource;
        let kinds = |&at: &usize| if as_allow { RESOURCES[at].1 } else { RESOURCES[at].2 };
        let on_all = self.resources.iter().any(|at| kinds(at).contains(&action.kind));
        named != self.not_action && on_all != self.not_resource
    }
}

/// The actions that are covered, and those of them that are so otherwise than by their names.
fn brute_force(models: &[Model], with_conditions: bool) -> [Vec<&'static str>; 2] {
    [false, true].map(|broadly| {
        let all = IAM.iter().chain(STS).chain(OTHER);
        let is_covered = |action: &&Action| {
            let allowed = models
                .iter()
                .any(|model| model.allow && (with_conditions || !model.conditional) && model.reaches(action, broadly));
            let denied = models
                .iter()
                .any(|model| !model.allow && !model.conditional && !model.not_resource && model.reaches(action, false));
            allowed && !denied
        };
        all.filter(is_covered).map(|action| action.name).collect()
    })
}

/// What makes an administrator in a single call, once more and apart from the table.
const ONE_STEP: [&str; 13] = [
    "iam:AddUserToGroup",
    "iam:AttachGroupPolicy",
    "iam:AttachRolePolicy",
    "iam:AttachUserPolicy",
    "iam:CreateAccessKey",
    "iam:CreateLoginProfile",
    "iam:CreatePolicyVersion",
    "iam:PutGroupPolicy",
    "iam:PutRolePolicy",
    "iam:PutUserPolicy",
    "iam:SetDefaultPolicyVersion",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateLoginProfile",
];

fn brute_extent([covered, broadly]: &[Vec<&str>; 2], class: Class) -> Option<Extent> {
    let of = |list: &[Action], enough: f64| {
        let have = |wanted: &dyn Fn(&&Action) -> bool| {
            let wanted: Vec<_> = list.iter().filter(wanted).collect();
            let covered = wanted.iter().filter(|action| covered.contains(&action.name)).count();
            (covered, wanted.len())
        };
        let escalates = |access| matches!(access, Access::Escalate | Access::TakeOver);
        let (all, escalating) = (have(&|_| true), have(&|action| escalates(action.access)));
        let changing = have(&|action| action.access != Access::Read);
        let escalating = if escalating.1 == 0 { changing } else { escalating };
        let share = |(part, whole): (usize, usize)| part as f64 / whole as f64;
        let in_one_step = list.iter().any(|action| ONE_STEP.contains(&action.name) && broadly.contains(&action.name));
        match () {
            () if all.0 == all.1 => Some(Extent::Full),
            () if escalating.0 == escalating.1 || in_one_step => Some(Extent::Equivalent),
            () if share(changing) >= enough || share(escalating) >= enough => Some(Extent::Nearly),
            () => None,
        }
    };
    let (iam, sts, rest) = (of(IAM, 0.9), of(STS, 0.9), of(OTHER, 0.8));
    match class {
        Class::Everything if rest.is_some() && iam.min(sts).is_none() => Some(Extent::Nearly),
        Class::Everything => iam.min(sts).min(rest),
        Class::Iam => iam,
        Class::Sts => sts,
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
        "iam:Put*",
        "iam:*AccessKey*",
        "organizations:*",
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
        let at_least = |least: Covered| -> Vec<_> {
            (0..COUNT).filter(|&at| covered[at] >= least).map(|at| action(at).name).collect()
        };
        prop_assert_eq!(&[at_least(Covered::ByName), at_least(Covered::Broadly)], &expected);

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

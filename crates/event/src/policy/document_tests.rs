//! Every form in which a document arrives, and every way in which it can be none.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const DOCUMENT: &str = r#"{"Version":"2012-10-17","Id":"x","Statement":[{"Sid":"A","Effect":"Allow","Action":["iam:Get*","s3:*"],
    "Resource":"*"},{"Effect":"Deny","NotAction":"iam:*","NotResource":["a","b"],"Principal":{"AWS":["1","2"],"Service":"s"},
    "Condition":{"Bool":{"m":false},"StringEquals":{"k":"v","l":["w",1,true]}}}]}"#;

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[test]
fn reads_every_element() {
    let policy = Policy::parse(DOCUMENT).expect("the document parses");
    assert_eq!(policy.version.as_deref(), Some("2012-10-17"));
    let [allow, deny] = &policy.statements[..] else { panic!("two statements") };
    assert_eq!((allow.effect, allow.sid.as_deref()), (Effect::Allow, Some("A")));
    assert_eq!(allow.actions.named, ["iam:Get*", "s3:*"]);
    assert!(allow.actions.selects_action("IAM:getuser") && !allow.actions.selects_action("iam:PutUserPolicy"));
    assert_eq!(deny.actions.except.as_deref(), Some(&["iam:*".to_owned()][..]));
    assert!(deny.actions.selects_action("s3:GetObject") && !deny.actions.selects_action("iam:GetUser"));
    assert!(deny.resources.selects_resource("c") && !deny.resources.selects_resource("a"));
    let principals: Vec<_> = deny.principals.iter().map(|principal| (principal.kind, principal.id.as_str())).collect();
    assert_eq!(principals, [(PrincipalKind::Aws, "1"), (PrincipalKind::Aws, "2"), (PrincipalKind::Service, "s")]);
    let conditions: Vec<_> = deny
        .conditions
        .iter()
        .map(|condition| (&*condition.operator, &*condition.key, condition.values.join(",")))
        .collect();
    let expected = [("Bool", "m", "false"), ("StringEquals", "k", "v"), ("StringEquals", "l", "w,1,true")];
    assert_eq!(conditions, expected.map(|(operator, key, values)| (operator, key, values.to_owned())));
}

#[test]
fn one_policy_in_every_wrapping() {
    let policy = Policy::parse(DOCUMENT).expect("the document parses");
    let string = serde_json::to_string(DOCUMENT).expect("a string is JSON");
    let value: Value = serde_json::from_str(DOCUMENT).expect("the document is JSON");
    let forms = [
        encoded(DOCUMENT),
        encoded(&string),
        string.clone(),
        encoded(&encoded(DOCUMENT)),
        format!("\u{feff} {DOCUMENT}\n"),
    ];
    for form in forms {
        assert_eq!(Policy::parse(&form).as_ref(), Ok(&policy), "{form:.60}");
        assert_eq!(Policy::from_value(&Value::String(form)).as_ref(), Ok(&policy));
    }
    assert_eq!(Policy::from_value(&value).as_ref(), Ok(&policy));
    let partly = r#"%7B"Statement"%3A%7B"Effect":"Allow","Action":"a+b"%7D%7D"#;
    let partly = Policy::parse(partly).expect("percent-encoded in part");
    assert_eq!(partly.statements[0].actions.named, ["a+b"], "a plus stays a plus");
}

#[test]
fn repeated_and_oddly_written_elements_add_up() {
    let odd =
        r#"{"statement":{"EFFECT":"allow","action":"iam:Get*","Action":["sts:*"],"Action":"s3:*","Resource":null}}"#;
    let policy = Policy::parse(odd).expect("the document parses");
    assert_eq!(policy.statements[0].actions.named, ["iam:Get*", "sts:*", "s3:*"]);
    assert!(policy.statements[0].resources.is_absent());
    let twice = r#"{"Statement":{"Effect":"Deny"},"Statement":[{"Effect":"Allow"}]}"#;
    assert_eq!(Policy::parse(twice).expect("the document parses").statements.len(), 2);
}

#[test]
fn tells_why_it_is_no_policy() {
    let error = |text: &str| Policy::parse(text).expect_err("no policy");
    let malformed = |line, column| PolicyError::Malformed { line, column };
    let wrong = |element| PolicyError::WrongType { index: 0, element };
    let statement = |body: &str| error(&format!(r#"{{"Statement":[{body}]}}"#));
    assert_eq!(error(""), PolicyError::NotAnObject);
    assert_eq!(error("[]"), PolicyError::NotAnObject);
    assert_eq!(error("\"\""), PolicyError::NotAnObject);
    assert_eq!(error("HIDDEN_DUE_TO_SECURITY_REASONS"), malformed(1, 1));
    assert_eq!(error("{\n\"Statement\":"), malformed(2, 12));
    assert_eq!(error("{\"Statement\":[]} x"), malformed(1, 18));
    assert_eq!(error("{}"), PolicyError::NoStatement);
    assert_eq!(error("%7B%7"), PolicyError::PercentEncoding);
    assert_eq!(error("%7B%zz"), PolicyError::PercentEncoding);
    assert_eq!(error("%+1"), PolicyError::PercentEncoding);
    assert_eq!(error("%é"), PolicyError::PercentEncoding);
    assert_eq!(error("%ff%fe"), PolicyError::PercentEncoding);
    assert_eq!(statement("{}"), PolicyError::NoEffect { index: 0 });
    assert_eq!(statement(r#"{"Effect":"Allow"},{"Effect":"Maybe"}"#), PolicyError::NoEffect { index: 1 });
    assert_eq!(statement("7"), wrong("Statement"));
    assert_eq!(statement(r#"{"Effect":"Allow","Action":{"a":1}}"#), wrong("Action"));
    assert_eq!(statement(r#"{"Effect":"Allow","Resource":[["*"]]}"#), wrong("Resource"));
    assert_eq!(statement(r#"{"Effect":"Allow","Principal":{"AWS":{}}}"#), wrong("Principal"));
    assert_eq!(statement(r#"{"Effect":"Allow","Condition":{"Bool":"x"}}"#), wrong("Condition"));
    assert_eq!(Policy::from_value(&json!(null)), Err(PolicyError::NotAnObject));
    assert_eq!(error("{}").to_string(), "policy document has no statement");
}

#[test]
fn size_nesting_and_wrapping_are_bounded() {
    let large = format!("{{\"Statement\":[]}}{}", " ".repeat(MAX_DOCUMENT_BYTES));
    assert_eq!(Policy::parse(&large), Err(PolicyError::TooLarge { bytes: large.len() }));
    let deep = format!("{{\"Statement\":{}", "[".repeat(500_000));
    assert!(matches!(Policy::parse(&deep), Err(PolicyError::Malformed { .. })));
    let many = json!({"Statement": {"Effect": "Allow", "Action": vec!["a"; MAX_PATTERNS]}});
    assert_eq!(Policy::from_value(&many), Err(PolicyError::TooManyPatterns));
    let mut wrapped = DOCUMENT.to_owned();
    for _ in 0..MAX_WRAPPINGS {
        wrapped = serde_json::to_string(&wrapped).expect("a string is JSON");
    }
    assert_eq!(Policy::parse(&wrapped), Err(PolicyError::NotAnObject));
    let shared_operator = json!({"Statement": {"Effect": "Allow", "Condition": {"o".repeat(300_000): vec![0; 0]}}});
    assert!(Policy::from_value(&shared_operator).is_err());
}

proptest! {
    /// No text makes the parser panic, and text and value give the same policy.
    #[test]
    fn any_text_is_handled(text in "\\PC{0,80}|[{}\\[\\]\":,a-z%0-9 ]{0,80}") {
        let _ = Policy::parse(&text);
        let document = format!(r#"{{"Statement":{{"Effect":"Allow","Action":{}}}}}"#, json!(text));
        let value: Value = serde_json::from_str(&document).expect("the document is JSON");
        let policy = Policy::parse(&document).expect("the document parses");
        prop_assert_eq!(&policy.statements[0].actions.named[0], &text);
        prop_assert_eq!(&Policy::from_value(&value).expect("the value parses"), &policy);
    }
}

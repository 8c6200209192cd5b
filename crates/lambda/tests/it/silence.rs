//! What is suppressed: recorded, counted, and not told, by either function; and told where suppressions cannot be read.

use event::Timestamp;
use pipeline::pattern::Pattern;
use pipeline::suppress::{Conditions, Removal, Suppression, SuppressionRequest};
use serde_json::{Value, json};

use crate::stage::{Stage, batch, record};

/// Of alice's access keys.
fn suppression() -> Suppression {
    let pattern = |text| Some(Pattern::new(text).unwrap());
    let time = |text| Timestamp::parse(text).unwrap();
    let request = SuppressionRequest {
        conditions: Conditions {
            detection: pattern("access-key-created"),
            principal: pattern("alice"),
            ..Conditions::default()
        },
        reason: "key rotation".to_owned(),
        from: None,
        until: time("2099-01-01T00:00:00Z"),
        by: "bob".to_owned(),
    };
    Suppression::new(request, time("2026-01-01T00:00:00Z")).unwrap()
}

/// Puts suppressions into the control table, as `suppress --store` does.
fn put(stage: &mut Stage, suppressions: &Value) {
    let item = json!({"region": {"S": "#suppressions"}, "suppressions": {"S": suppressions.to_string()}});
    stage.deployment.put("trail-control", &item);
}

fn suppressed_by(stage: &mut Stage, event: &str) -> Value {
    let alerts = stage.alerts();
    alerts[&(event.to_owned(), "CRITICAL#access-key-created".to_owned())]["suppressed_by"]["S"].clone()
}

fn key(id: &str) -> Value {
    record("CreateAccessKey", "iam", "us-east-1", 20, id)
}

#[test]
fn what_is_suppressed_is_recorded_and_counted_and_not_told() {
    let Some(mut stage) = Stage::open(&[record("ListKeys", "kms", "us-east-1", 4000, "own")]) else { return };
    // A pass before: what comes now is news.
    let tracker = stage.function("tracker", &[]);
    tracker.invoke(&json!({})).unwrap();
    let silent = suppression();
    put(&mut stage, &json!([silent]));

    let alerter = stage.function("alerter", &[]);
    let user = record("CreateUser", "iam", "us-east-1", 5, "u");
    assert_eq!(alerter.invoke(&batch(&[key("a"), user])).unwrap(), json!({"batchItemFailures": []}));
    assert_eq!(stage.told(), ["iam-user-created CreateUser"]);
    assert_eq!(suppressed_by(&mut stage, "CreateAccessKey-a"), silent.id.as_str());

    stage.add("1.json", &[key("a"), key("t")]);
    let answer = tracker.invoke(&json!({})).unwrap();
    assert_eq!((&answer["stored"], &answer["alerts_sent"]), (&json!(2), &json!(0)), "{answer}");
    // The one of the two that the alerter has not recorded before.
    assert_eq!((&answer["alerts"]["suppressed"], &answer["alerts"]["known"]), (&json!(1), &json!(1)), "{answer}");
    assert!(stage.told().is_empty());
    assert_eq!(suppressed_by(&mut stage, "CreateAccessKey-t"), silent.id.as_str());

    // Taken back: what comes now is told, and what was silent stays so.
    let by = Removal { at: Timestamp::parse("2026-01-02T00:00:00Z").unwrap(), by: "bob".to_owned() };
    put(&mut stage, &json!([Suppression { removed: Some(by), ..silent }]));
    let another = stage.function("alerter", &[]);
    another.invoke(&batch(&[key("a"), key("b")])).unwrap();
    assert_eq!(stage.told(), ["access-key-created CreateAccessKey"]);
    tracker.invoke(&json!({})).unwrap();
    assert!(stage.told().is_empty());
    // It is not read before every message.
    assert_eq!(alerter.invoke(&batch(&[key("c")])).unwrap(), json!({"batchItemFailures": []}));
    assert!(stage.told().is_empty());
}

#[test]
fn where_suppressions_cannot_be_read_everything_is_told() {
    let Some(mut stage) = Stage::open(&[record("ListKeys", "kms", "us-east-1", 4000, "own")]) else { return };
    let tracker = stage.function("tracker", &[]);
    tracker.invoke(&json!({})).unwrap();
    put(&mut stage, &json!([suppression()]));
    stage.function("alerter", &[]).invoke(&batch(&[key("silent")])).unwrap();

    // One that covers everything, which nobody can ask for: with it the whole item is refused.
    let mut everything = json!([suppression()]);
    everything[0]["principal"] = json!("*");
    everything[0]["detection"] = Value::Null;
    put(&mut stage, &everything);
    let alerter = stage.function("alerter", &[]);
    assert_eq!(alerter.invoke(&batch(&[key("a")])).unwrap(), json!({"batchItemFailures": []}));
    assert_eq!(stage.told(), ["access-key-created CreateAccessKey"]);
    assert_eq!(stage.metric("alerter", "Errors"), [0.0, 1.0]);
    stage.add("1.json", &[key("silent"), key("a"), key("t")]);
    let failed = tracker.invoke(&json!({})).unwrap_err();
    assert_eq!(failed["errorType"], "Incomplete", "{failed}");
    let summary: Value = serde_json::from_str(failed["errorMessage"].as_str().unwrap()).unwrap();
    assert_eq!((&summary["stored"], &summary["alerts_sent"]), (&json!(3), &json!(1)), "{summary}");
    let reason = summary["errors"][0].as_str().unwrap();
    assert!(reason.starts_with("no suppression was applied: dynamodb://trail-control/#suppressions"), "{reason}");
    // What was silenced while it could be read is not told by whoever cannot.
    assert_eq!(stage.told(), ["access-key-created CreateAccessKey"]);
    // Collection itself goes on.
    assert_eq!(stage.metric("tracker", "LastSuccessAge"), [0.0, 0.0]);

    // No table, or no permission for it.
    let alone = stage.function("alerter", &[("CONTROL_TABLE_NAME", "none")]);
    assert_eq!(alone.invoke(&batch(&[key("b")])).unwrap(), json!({"batchItemFailures": []}));
    assert_eq!(stage.told(), ["access-key-created CreateAccessKey"]);

    // Readable again, it is read again.
    put(&mut stage, &json!([suppression()]));
    alerter.invoke(&batch(&[key("c")])).unwrap();
    assert!(stage.told().is_empty());
}

//! What the status of a stack calls missing.

use super::*;

const NOW: &str = "2026-04-01T12:00:00Z";
const BEGINS: &str = "2026-01-01T12:00:01Z";
const STREAM: &str = "111122223333/us-east-1/iam.amazonaws.com";

/// A stack with a schedule and one stream, which has come so far; without alerts, and so without forwarders.
fn cloud(schedule: &str, stream: Option<(&[[&str; 2]], Value)>) -> Cloud {
    let cloud = Cloud::new();
    cloud.has("trailhound", "CREATE_COMPLETE", &[("EnableSecurityAlerts", "false"), ("ScheduleExpression", schedule)]);
    let scope = json!({"streams": [STREAM], "unknown": []}).to_string();
    let mut items = vec![json!({"region": {"S": "#scope"}, "scope": {"S": scope}})];
    items.extend(stream.map(|(coverage, walks)| {
        json!({
            "region": {"S": "us-east-1-iam"},
            "stream": {"S": STREAM},
            "since": {"S": "2026-03-01T00:00:00Z"},
            "coverage": {"S": json!(coverage).to_string()},
            "walks": {"S": walks.to_string()},
        })
    }));
    let key = |item: &Value| item["region"]["S"].as_str().unwrap().to_owned();
    cloud.state.lock().unwrap().control = items.into_iter().map(|item| (key(&item), item)).collect();
    cloud
}

fn missing(cloud: &Cloud, code: i32) -> Value {
    let status = cloud.run(&["status", "--now", NOW, "--format", "json"]).code(code).json();
    assert_eq!(status["streams"][0]["stream"], STREAM);
    assert_eq!(status["streams"][0]["gaps"].as_array().unwrap().len(), usize::from(code != 0), "{status}");
    status["missing"].clone()
}

#[test]
fn a_first_load_under_way_is_not_complete() {
    let walk = json!([{
        "from": BEGINS, "to": NOW, "begun": NOW, "asked_to": NOW, "token": null, "reached": null, "missed": "[]",
        "tries": 0, "empty": 0,
    }]);
    let loading = cloud("rate(1 hour)", Some((&[], walk)));
    let gap = format!("not covered: {STREAM} from {BEGINS} to 2026-04-01T10:30:00Z: ");
    assert_eq!(missing(&loading, 4), json!([format!("{gap}being read")]));
    let text = Ran(loading.trailhound(&["status", "--store", "dynamodb://trailhound", "--now", NOW]).output().unwrap());
    let text = text.code(4).stdout();
    assert!(text.contains("\nstreams    1 stream, 0 events; nothing is covered yet\n"), "{text}");
    assert!(text.contains(&format!("\nmissing    {gap}being read\n")), "{text}");
    // Nor is it one that the tracker has not come to.
    assert_eq!(missing(&cloud("rate(1 hour)", None), 4), json!([format!("{gap}not read yet")]));
}

#[test]
fn a_schedule_that_was_switched_off_leaves_a_gap() {
    let until = "2026-03-29T11:45:00Z";
    let still = cloud("rate(1 hour)", Some((&[[BEGINS, until]], json!([]))));
    let gap = format!("{STREAM} from {until} to 2026-04-01T10:30:00Z: not read yet");
    assert_eq!(missing(&still, 4), json!([format!("not covered: {gap}")]));
}

#[test]
fn what_waits_for_the_next_scheduled_run_is_no_gap() {
    for (schedule, until, late) in [
        // Between two runs, the second of which is at its end: 15 minutes settle, 15 minutes are a run's.
        ("rate(1 hour)", "2026-04-01T10:30:00Z", "2026-04-01T10:29:00Z"),
        ("rate(1 day)", "2026-03-31T11:30:00Z", "2026-03-31T11:29:00Z"),
        ("whenever", "2026-04-01T10:30:00Z", "2026-04-01T10:29:00Z"),
    ] {
        let cloud = |until| cloud(schedule, Some((&[[BEGINS, until]], json!([]))));
        assert_eq!(missing(&cloud(until), 0), json!([]), "{schedule}");
        missing(&cloud(late), 4);
    }
}

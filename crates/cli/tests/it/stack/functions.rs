//! What becomes of invocations: answered, killed, lost.

use super::*;

/// What Lambda says of a function that it ended, and of one whose process ended.
const TIMED_OUT: &str = "2026-01-31T12:00:00.000Z 0e8c7c1f Task timed out after 900.00 seconds";
const KILLED: &str = "RequestId: 0e8c7c1f Error: Runtime exited with error: signal: killed\u{1b}[2J";

fn timed_out() -> (u16, Value) {
    (200, json!({"errorMessage": TIMED_OUT}))
}

fn killed() -> (u16, Value) {
    (200, json!({"errorType": "Runtime.ExitError", "errorMessage": KILLED}))
}

fn lost() -> (u16, Value) {
    (500, json!({"Type": "Service", "Message": "internal"}))
}

/// A stack whose functions answer like this before they work.
fn answering(answers: &[(u16, Value)]) -> Cloud {
    let cloud = Cloud::new();
    cloud.has("trailhound", "CREATE_COMPLETE", &[]);
    cloud.state.lock().unwrap().answers = answers.iter().cloned().collect();
    cloud
}

#[test]
fn init_goes_on_after_an_invocation_that_was_ended_or_whose_answer_was_lost() {
    let filled = answering(&[timed_out(), lost()]).run(&["init"]).code(0);
    assert_eq!(filled.stdout(), "what CloudTrail's event history holds is collected\n");
    let told = filled.stderr();
    assert!(told.contains(&format!("tracker: {TIMED_OUT}\n")), "{told}");
    assert!(
        told.contains("trailhound-tracker cannot be invoked: no proper answer from the service: HTTP 500"),
        "{told}"
    );
    assert!(told.contains("tracker: 3 events stored, complete\n"), "{told}");
}

#[test]
fn init_gives_up_a_function_that_is_ended_every_time() {
    let cloud = answering(&[killed(), killed(), killed()]);
    let told = cloud.run(&["init"]).code(4).stderr();
    let killed =
        r"tracker: Runtime.ExitError: RequestId: 0e8c7c1f Error: Runtime exited with error: signal: killed\u{1b}[2J";
    assert_eq!(told.matches(killed).count(), 3, "{told}");
    assert!(told.contains("tracker: it does not come further; the next scheduled run tries again"), "{told}");
}

#[test]
fn what_is_not_allowed_is_not_tried_again() {
    let denied = (403, json!({"Message": "no", "__type": "AccessDeniedException"}));
    let told = answering(&[denied]).run(&["init"]).code(1).stderr();
    assert!(told.contains("access denied: lambda:InvokeFunction is not allowed"), "{told}");
}

#[test]
fn an_export_goes_on_after_an_invocation_that_was_ended_or_whose_answer_was_lost() {
    let days = ["export", "--from", "2026-01-01", "--to", "2026-01-31"];
    let done = answering(&[killed(), lost()]).run(&days).code(0);
    assert_eq!(done.stdout(), "5 events are new in the lake\n");
    assert!(done.stderr().contains("exporter: Runtime.ExitError: RequestId: "), "{}", done.stderr());
    let next = (200, json!({"events_read": 9, "events_stored": 4, "next": "2026-01-17"}));
    let ended = answering(&[next, timed_out(), timed_out(), timed_out()]).run(&days).code(1);
    assert_eq!(ended.stdout(), "4 events are new in the lake\n");
    let told = ended.stderr();
    assert!(told.contains("the exporter does not come further than 2026-01-17: `trailhound aws logs"), "{told}");
}

#[test]
fn a_test_alert_goes_through_the_queue() {
    let cloud = Cloud::new();
    cloud.has("trailhound", "CREATE_COMPLETE", &[]);
    {
        let mut state = cloud.state.lock().unwrap();
        state.stacks.get_mut("trailhound").unwrap().outputs = pairs(&[
            ("SecurityAlertsTopicArn", "arn:aws:sns:us-east-1:111122223333:trailhound-alerts"),
            ("AlertsQueueUrl", "https://sqs.us-east-1.amazonaws.com/111122223333/trailhound-alerts-queue"),
        ]);
        state.alerts = vec![json!({"alert_type": {"S": "high#access-key-created"}, "delivery": {"S": "sent"}})];
    }
    let sent = cloud.run(&["test-alerts"]).code(0).stdout();
    assert!(sent.starts_with("access-key-created: sent\nthe topic arn:aws:sns:"), "{sent}");
    let asked = cloud.script.asked();
    let [put] = &asked.iter().filter(|asked| asked.target == "AmazonSQS.SendMessage").collect::<Vec<_>>()[..] else {
        panic!("{asked:?}")
    };
    let put: Value = serde_json::from_str(&put.body).unwrap();
    assert!(put["QueueUrl"].as_str().unwrap().ends_with("/trailhound-alerts-queue"));
    let event: Value = serde_json::from_str(put["MessageBody"].as_str().unwrap()).unwrap();
    assert_eq!(event["detail"]["eventName"], "CreateAccessKey");
    let looked = asked.iter().find(|asked| asked.target.ends_with(".Query")).unwrap();
    assert!(looked.body.contains(event["detail"]["eventID"].as_str().unwrap()), "{}", looked.body);
    assert!(!asked.iter().any(|asked| asked.call.ends_with("/invocations")), "the queue calls the alerter");

    cloud.state.lock().unwrap().alerts = vec![json!({"alert_type": {"S": "high#access-key-created"}})];
    let silenced = cloud.run(&["test-alerts"]).code(4);
    assert_eq!(silenced.stdout(), "access-key-created: not to be sent\n");
    cloud.state.lock().unwrap().denied = vec!["SendMessage"];
    let denied = cloud.run(&["test-alerts"]).code(1).stderr();
    assert!(denied.contains("sqs:SendMessage is not allowed"), "{denied}");
}

#[test]
fn a_test_alert_says_that_alerts_are_off() {
    let cloud = Cloud::new();
    cloud.has("trailhound", "CREATE_COMPLETE", &[("EnableSecurityAlerts", "false")]);
    let told = cloud.run(&["test-alerts"]).code(4).stderr();
    assert!(told.contains("no alert was sent: EnableSecurityAlerts is off"), "{told}");
}

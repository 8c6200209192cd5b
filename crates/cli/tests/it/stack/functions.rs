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

//! What stands in the way of a pass, and is no more there at the next.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use testkit::http::script::Script;

use crate::stage::{ACCOUNT, Stage, record};

#[test]
fn a_record_that_is_no_event_fails_the_invocation_and_stands_whole_in_the_log() {
    let Some(mut stage) = Stage::open(&[]) else { return };
    #[expect(clippy::disallowed_methods, reason = "the binary lives in the real time")]
    let time = jiff::Timestamp::now().as_second() - 4000;
    let sound = record("CreateUser", "iam", "us-east-1", 4000, "sound").to_string();
    let history = Script::open(move |asked| {
        let one = |record: &str| json!({"EventTime": time, "CloudTrailEvent": record});
        let is_read = asked.body.contains("\"iam.amazonaws.com\"");
        let events = if is_read { vec![one(&sound), one("no record")] } else { Vec::new() };
        (200, json!({ "Events": events }).to_string())
    });
    let environment = [("AWS_ENDPOINT_URL_CLOUDTRAIL", history.endpoint.as_str()), ("REGIONS", "us-east-1")];
    let failure = stage.function("tracker", &environment).invoke(&json!({})).unwrap_err();
    assert_eq!(failure["errorType"], "Incomplete", "{failure}");
    let answer: Value = serde_json::from_str(failure["errorMessage"].as_str().unwrap()).unwrap();
    assert_eq!((&answer["rejected"], &answer["stored"]), (&json!(1), &json!(1)), "{answer}");
    assert!(answer["errors"].to_string().contains("1 records are no events"), "{answer}");
    assert_eq!(stage.stored().len(), 1);
}

#[test]
fn what_could_not_be_opened_is_opened_by_the_next_invocation() {
    let Some(mut stage) = Stage::open(&[record("CreateUser", "iam", "us-east-1", 4000, "a")]) else { return };
    // Who we are is asked of STS, which refuses until it has been asked a few times.
    let asked = AtomicUsize::new(0);
    let identity = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{ACCOUNT}:user/tester</Arn><UserId>AIDAEXAMPLE</UserId><Account>{ACCOUNT}</Account>\
         </GetCallerIdentityResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>\
         </GetCallerIdentityResponse>"
    );
    let denied = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error>\
                  <RequestId>1</RequestId></ErrorResponse>";
    let sts = Script::open(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => (403, denied.to_owned()),
        _ => (200, identity.clone()),
    });
    let tracker = stage.function("tracker", &[("AWS_ENDPOINT_URL_STS", &sts.endpoint)]);
    // Once at its start, once more by the first invocation.
    let failure = tracker.invoke(&json!({})).unwrap_err();
    assert_eq!(failure["errorType"], "Access", "{failure}");
    let answer = tracker.invoke(&json!({})).unwrap();
    assert_eq!((&answer["stored"], &answer["complete"]), (&json!(1), &json!(true)), "{answer}");
    assert_eq!(stage.stored().len(), 1);
}

#[test]
fn a_stream_that_was_paused_by_hand_before_it_was_ever_read_is_not_read() {
    let Some(mut stage) = Stage::open(&[record("CreateUser", "iam", "us-east-1", 4000, "a")]) else { return };
    let item = json!({"region": {"S": "us-east-1-iam"}, "processing_status": {"S": "paused"}});
    stage.deployment.put("trail-control", &item);
    let bedrock = json!({"region": {"S": "us-east-1-bedrock"}, "processing_status": {"S": "paused"}});
    stage.deployment.put("trail-control", &bedrock);
    let tracker = stage.function("tracker", &[("EXTRA_SOURCES", "bedrock"), ("AWS_ACCOUNT_ID", ACCOUNT)]);
    let answer = tracker.invoke(&json!({})).unwrap();
    assert_eq!((&answer["stored"], &answer["complete"]), (&json!(0), &json!(true)), "{answer}");
    let status: BTreeMap<String, Value> = ["us-east-1-iam", "us-east-1-bedrock", "us-east-1-sts"]
        .map(|key| (key.to_owned(), stage.control(key)["processing_status"]["S"].clone()))
        .into();
    assert_eq!(status["us-east-1-iam"], "paused");
    assert_eq!(status["us-east-1-bedrock"], "paused");
    assert_eq!(status["us-east-1-sts"], "active");
    assert!(stage.control("us-east-1-bedrock").get("last_execution_time").is_none(), "nobody asked for it");
}

#[test]
fn a_source_that_is_asked_for_by_name_is_read_though_its_switch_is_off() {
    let organizations = record("CreateAccount", "organizations", "us-east-1", 4000, "o");
    let Some(mut stage) = Stage::open(&[organizations, record("CreateUser", "iam", "us-east-1", 4000, "i")]) else {
        return;
    };
    let environment = [("PROCESS_IAM_EVENTS", "false"), ("EXTRA_SOURCES", "organizations")];
    let answer = stage.function("tracker", &environment).invoke(&json!({})).unwrap();
    assert_eq!((&answer["stored"], &answer["complete"]), (&json!(1), &json!(true)), "{answer}");
    assert_eq!(stage.stored().keys().collect::<Vec<_>>(), ["CreateAccount-o"]);
}

#[test]
fn what_is_old_when_it_is_read_is_kept_until_it_was_exported() {
    const DAY: i64 = 86_400;
    let history =
        [("CreateUser", 30), ("CreateRole", 2)].map(|(name, days)| record(name, "iam", "us-east-1", days * DAY, "x"));
    let Some(mut stage) = Stage::open(&history) else { return };
    stage.function("tracker", &[("RETENTION_DAYS", "20")]).invoke(&json!({})).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the binary lives in the real time")]
    let now = jiff::Timestamp::now().as_second();
    let days = |item: &Value| (item["ttl"]["N"].as_str().unwrap().parse::<i64>().unwrap() - now + DAY / 2) / DAY;
    let stored = stage.stored();
    // One would have gone before any export came to it.
    assert_eq!((days(&stored["CreateUser-x"]), days(&stored["CreateRole-x"])), (14, 18));
    let alerts = stage.alerts();
    assert!(!alerts.is_empty() && alerts.values().all(|alert| days(alert) == 100), "{alerts:?}");
}

#[test]
fn the_switch_of_identity_center_is_for_all_of_it() {
    let sources = ["sso", "sso-directory", "identitystore", "sts"];
    let history = sources.map(|source| record("CreateGroup", source, "us-east-1", 4000, source));
    let Some(mut stage) = Stage::open(&history) else { return };
    let answer = stage.function("tracker", &[("PROCESS_SSO_EVENTS", "false")]).invoke(&json!({})).unwrap();
    assert_eq!((&answer["stored"], &answer["complete"]), (&json!(1), &json!(true)), "{answer}");
    assert_eq!(stage.stored().keys().collect::<Vec<_>>(), ["CreateGroup-sts"]);
}

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::stage::{Stage, batch, record};

#[test]
fn the_tracker_stores_every_event_once_and_tells_what_is_new() {
    let mut history: Vec<Value> =
        (0..130).map(|n| record("CreateUser", "iam", "us-east-1", 3600 + n * 600, &n.to_string())).collect();
    history.push(record("AssumeRole", "sts", "eu-west-1", 90, "r"));
    let Some(mut stage) = Stage::open(&history) else { return };
    let tracker = stage.function("tracker", &[("RETENTION_DAYS", "90")]);
    let answer = tracker.invoke(&json!({})).unwrap();
    assert_eq!((&answer["statusCode"], &answer["total_events_processed"]), (&json!(200), &json!(131)), "{answer}");
    assert_eq!((&answer["stored"], &answer["complete"], &answer["errors"]), (&json!(131), &json!(true), &json!([])));
    assert!(answer["execution_time_seconds"].is_number() && answer["total_events_filtered"] == 0, "{answer}");
    let stored = stage.stored();
    assert_eq!(stored.len(), 131);
    assert!(stored.values().all(|item| item["ttl"]["N"].is_string()));
    // What was there before it began is recorded and nobody is told.
    assert_eq!((stage.alerts().len(), stage.told().len()), (130, 0));
    let streams = stage.deployment.items("trail-control");
    let iam = streams.iter().find(|item| item["region"]["S"] == "us-east-1-iam").unwrap();
    assert_eq!(
        (&iam["processing_status"]["S"], &iam["events_processed_count"]["N"]),
        (&json!("active"), &json!("130"))
    );

    stage.add("1.json", &[record("CreateAccessKey", "iam", "us-east-1", 20, "new")]);
    let answer = tracker.invoke(&json!({})).unwrap();
    assert_eq!((&answer["stored"], &answer["alerts_sent"]), (&json!(1), &json!(1)), "{answer}");
    assert_eq!(stage.told(), ["access-key-created CreateAccessKey"]);
    // Its newest minutes are read again, by another instance; nothing is stored, and nobody is told, twice.
    let again = stage.function("tracker", &[("RETENTION_DAYS", "90")]).invoke(&json!({})).unwrap();
    assert_eq!((&again["stored"], &again["alerts_sent"]), (&json!(0), &json!(0)), "{again}");
    assert!(again["duplicates"].as_u64().unwrap() >= 1);
    assert!(stage.told().is_empty());
    assert_eq!(stage.metric("tracker", "LastSuccessAge"), [0.0, 0.0, 0.0]);
    // All of the history is covered, up to the newest minutes.
    assert!(stage.metric("tracker", "CoverageGapHours").iter().all(|hours| *hours < 0.1));
}

/// What the functions say at this level.
const OURS: [&str; 7] = [
    "a page was read",
    "a stream was read",
    "items were written",
    "an alert was decided on",
    "an alert waits",
    "the day is due",
    "the day counts as exported",
];

/// Lambda drops lines by their level, and takes one without a level for INFO, as metrics are.
#[test]
fn debug_tells_what_is_done_and_nothing_that_an_event_says() {
    let key = || record("CreateAccessKey", "iam", "us-east-1", 3600, "said-by-somebody");
    let Some(mut stage) = Stage::open(&[key()]) else { return };
    let lines = |stage: &Stage, function: &str| {
        let log = stage.log(function);
        assert!(log.iter().all(|line| line["timestamp"].is_string() && line["level"].is_string()), "{log:?}");
        let debug = log.into_iter().filter(|line| line["level"] == "DEBUG");
        debug.map(|line| (line["message"].as_str().unwrap_or_default().to_owned(), line)).collect::<Vec<_>>()
    };
    stage.function("tracker", &[]).invoke(&json!({})).unwrap();
    assert_eq!(lines(&stage, "tracker"), []);

    stage.add("1.json", &[record("CreateAccessKey", "iam", "us-east-1", 20, "said-by-another")]);
    stage.function("tracker", &[("LOG_LEVEL", "DEBUG")]).invoke(&json!({})).unwrap();
    stage.function("exporter", &[("LOG_LEVEL", "DEBUG")]).invoke(&json!({})).unwrap();
    for (function, wanted) in [
        ("tracker", &["a page was read", "a stream was read", "items were written", "an alert was decided on"][..]),
        ("exporter", &["the day is due", "the day counts as exported"][..]),
    ] {
        let lines = lines(&stage, function);
        for message in wanted {
            assert!(lines.iter().any(|(said, _)| said == message), "{function} does not say {message:?}: {lines:?}");
        }
        for (message, line) in lines {
            // Libraries say other things, and the AWS SDK whole requests.
            assert!(OURS.contains(&&*message), "{function}: {line}");
            assert!(!line.to_string().contains("said-by") && !line.to_string().contains("CreateAccessKey"), "{line}");
        }
    }
    assert_eq!(stage.metric("tracker", "LastSuccessAge"), [0.0, 0.0]);
    assert_eq!(stage.told().len(), 1);
}

#[test]
fn the_alerter_tells_at_once_and_the_tracker_does_not_tell_again() {
    let root = testkit::console_login("Success").root().mfa_used(false).id("root").build();
    let key = record("CreateAccessKey", "iam", "us-east-1", 30, "k");
    let Some(mut stage) = Stage::open(&[record("ListKeys", "kms", "us-east-1", 4000, "own")]) else { return };
    // A pass before: what comes now is news.
    let tracker = stage.function("tracker", &[]);
    tracker.invoke(&json!({})).unwrap();
    let alerter = stage.function("alerter", &[("WATCHED_ACTIONS", "iam:DeleteUser,TagUser")]);
    let quiet = record("ListUsers", "iam", "us-east-1", 5, "q");
    let watched = record("TagUser", "iam", "us-east-1", 5, "w");
    let answer = alerter.invoke(&batch(&[key.clone(), quiet, json!("no JSON {"), root.clone(), watched, json!("{}")]));
    assert_eq!(
        answer.unwrap(),
        json!({"batchItemFailures": [{"itemIdentifier": "m2"}, {"itemIdentifier": "m5"}]}),
        "what cannot be read comes again, and ends in the dead-letter queue"
    );
    let told = stage.told();
    assert!(told.contains(&"access-key-created CreateAccessKey".to_owned()), "{told:?}");
    assert!(told.contains(&"watched-action TagUser".to_owned()), "{told:?}");
    assert!(told.contains(&"root-console-login ConsoleLogin".to_owned()), "{told:?}");

    // The same once more, and from the tracker.
    assert_eq!(alerter.invoke(&batch(&[root, key.clone()])).unwrap(), json!({"batchItemFailures": []}));
    stage.add("1.json", &[key]);
    let answer = tracker.invoke(&json!({})).unwrap();
    assert_eq!((&answer["stored"], &answer["alerts_sent"]), (&json!(1), &json!(0)), "{answer}");
    assert!(stage.told().is_empty());

    // An event by itself, as EventBridge invokes a function without a queue.
    let event = batch(&[record("DeleteUser", "iam", "us-east-1", 5, "d")])["Records"][0]["body"].clone();
    let event: Value = serde_json::from_str(event.as_str().unwrap()).unwrap();
    assert_eq!(alerter.invoke(&event).unwrap(), json!({"statusCode": 200}));
    assert_eq!(stage.told(), ["watched-action DeleteUser"]);
    assert_eq!(alerter.invoke(&json!({"x": 1})).unwrap_err()["errorType"], "NotDone");
}

#[test]
fn a_tracker_whose_time_is_up_goes_on_where_it_was() {
    let history: Vec<Value> =
        (0..1500).map(|n| record("CreateRole", "iam", "us-east-1", 3600 + n * 60, &n.to_string())).collect();
    let Some(mut stage) = Stage::open(&history) else { return };
    // Two calls a second: thirty pages take longer than an invocation may.
    let slow = stage.function("tracker", &[("CALLS_PER_SECOND", "2")]);
    let first = slow.invoke_for(&json!({}), Duration::from_secs(10)).unwrap().unwrap();
    let age = stage.metric("tracker", "LastSuccessAge")[0];
    assert!((1.0..60.0).contains(&age), "since it was first asked: {age}");
    assert!(stage.metric("tracker", "CoverageGapHours")[0] > 24.0);
    assert_eq!((&first["complete"], &first["statusCode"]), (&json!(false), &json!(200)), "{first}");
    let stored = stage.stored().len() as u64;
    assert_eq!(first["stored"].as_u64(), Some(stored));
    assert!(stored > 0 && stored < 1500, "{stored}");
    let second = stage.function("tracker", &[]).invoke(&json!({})).unwrap();
    assert_eq!(second["complete"], json!(true), "{second}");
    assert_eq!(stage.stored().len(), 1500);
    // It went on behind what was read, and did not read it all again.
    assert!(second["duplicates"].as_u64().unwrap() < stored, "{second}");
}

#[test]
fn a_tracker_with_more_to_tell_than_time_is_alive_and_goes_on() {
    let Some(mut stage) = Stage::open(&[record("ListKeys", "kms", "us-east-1", 4000, "own")]) else { return };
    // A pass before: what comes now is news.
    let tracker = stage.function("tracker", &[]);
    tracker.invoke(&json!({})).unwrap();
    let news: Vec<Value> =
        (0..60).map(|n| record("CreateAccessKey", "iam", "us-east-1", 10 + n, &n.to_string())).collect();
    stage.add("1.json", &news);
    let slow = stage.function("tracker", &[("FAILPOINTS", "lambda::after-message=sleep(500)")]);
    let (limit, begun) = (Duration::from_secs(20), Instant::now());
    let answer = slow.invoke_for(&json!({}), limit).unwrap().unwrap();
    assert!(begun.elapsed() < limit, "{answer}");
    assert_eq!(stage.metric("tracker", "LastSuccessAge"), [0.0, 0.0]);
    let mut told = stage.told();
    assert_eq!(answer["alerts_sent"], json!(told.len()));
    assert!((1..60).contains(&told.len()), "{answer}");
    let rest = tracker.invoke(&json!({})).unwrap();
    assert_eq!(rest["alerts_sent"], json!(60 - told.len()), "{rest}");
    told.extend(stage.told());
    assert_eq!(told.len(), 60);
}

#[test]
fn what_cannot_be_read_fails_the_invocation_and_keeps_the_rest() {
    let history =
        [record("CreateUser", "iam", "us-east-1", 4000, "u"), record("AssumeRole", "sts", "eu-west-1", 90, "r")];
    let Some(mut stage) = Stage::open(&history) else { return };
    let environment = [("MEMBER_ROLE_NAME", "no role"), ("MEMBER_ACCOUNTS", "44445555666")];
    let failed = stage.function("tracker", &environment).invoke(&json!({})).unwrap_err();
    assert_eq!(failed["errorType"], "Incomplete", "{failed}");
    let summary: Value = serde_json::from_str(failed["errorMessage"].as_str().unwrap()).unwrap();
    assert_eq!((&summary["stored"], &summary["complete"]), (&json!(2), &json!(false)), "{summary}");
    assert!(summary["errors"][0].as_str().unwrap().contains("is no ARN of a role"), "{summary}");
    assert_eq!(stage.stored().len(), 2);

    let failed = stage.function("tracker", &[("MAX_WORKERS", "many")]).invoke(&json!({})).unwrap_err();
    assert_eq!(failed["errorType"], "Configuration");
    assert!(failed["errorMessage"].as_str().unwrap().starts_with("MAX_WORKERS=\"many\": "), "{failed}");
    let failed = stage.function("tracker", &[("EVENTS_TABLE_NAME", "none")]).invoke(&json!({})).unwrap_err();
    assert!(failed["errorMessage"].as_str().unwrap().contains("ResourceNotFoundException"), "{failed}");
    // Also a pass that failed says how long ago the last success was.
    assert_eq!(stage.metric("tracker", "LastSuccessAge").len(), 2);
}

#[test]
fn sources_and_filters_are_the_classic_variables() {
    let service = testkit::event("AssumeRole").source("sts").aws_service("lambda.amazonaws.com");
    let service =
        service.request(json!({"roleArn": "arn:aws:iam::111122223333:role/aws-service-role/x/AWSServiceRoleForX"}));
    let history = [
        record("CreateUser", "iam", "us-east-1", 4000, "u"),
        record("AssumeRole", "sts", "eu-west-1", 90, "r"),
        service.at(record("x", "x", "x", 300, "x")["eventTime"].as_str().unwrap()).id("service").build(),
    ];
    let Some(mut stage) = Stage::open(&history) else { return };
    let answer = stage.function("tracker", &[("PROCESS_IAM_EVENTS", "false")]).invoke(&json!({})).unwrap();
    assert_eq!((&answer["stored"], &answer["total_events_filtered"]), (&json!(1), &json!(1)), "{answer}");
    let all = [("FILTER_AWS_SERVICE_EVENTS", "false")];
    let answer = stage.function("tracker", &all).invoke(&json!({})).unwrap();
    assert!(stage.stored().contains_key("CreateUser-u"), "{answer}");
}

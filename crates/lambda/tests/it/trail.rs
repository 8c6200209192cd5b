//! Days straight from the trail's files.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use testkit::deployment::Deployment;
use testkit::http::HttpFaults;
use testkit::http::proxy::Proxy;

use crate::exports::{exported, history};
use crate::stage::{ACCOUNT, Stage, are_the_calls, record};

/// Records of a day, each with its id.
fn records(day: &str, region: &str, sources: &[&str], number: usize) -> Vec<Value> {
    let record = |n: usize| {
        let source = sources[n % sources.len()];
        let event = testkit::event("CreateUser").source(source).region(region).account(ACCOUNT);
        event.at(&format!("{day}T12:00:{:02}Z", n % 60)).id(&format!("{day}-{region}-{n}")).build()
    };
    (0..number).map(record).collect()
}

/// A log file of them, as CloudTrail calls it.
fn log(stage: &mut Stage, day: &str, region: &str, name: &str, records: &[Value]) {
    let folder = day.replace('-', "/");
    let compact = day.replace('-', "");
    let key = format!(
        "AWSLogs/{ACCOUNT}/CloudTrail/{region}/{folder}/{ACCOUNT}_CloudTrail_{region}_{compact}T1200Z_{name}.json.gz"
    );
    stage.deployment.log(&key, &json!({ "Records": records }));
}

const LOGS: (&str, &str) = ("LOGS_BUCKET_NAME", Deployment::LOGS);

fn counts(answer: &Value) -> [u64; 4] {
    ["events_read", "events_stored", "duplicates", "filtered"].map(|name| answer[name].as_u64().unwrap())
}

#[test]
fn days_of_the_trails_files_are_in_the_lake_once() {
    let Some(mut stage) = Stage::open(&[]) else { return };
    for (day, region) in [("2025-03-01", "us-east-1"), ("2025-03-01", "eu-west-1"), ("2025-03-03", "us-east-1")] {
        let found = records(day, region, &["iam", "s3", "sts"], 30);
        // The second file repeats some of the first.
        log(&mut stage, day, region, "a", &found[..20]);
        log(&mut stage, day, region, "b", &found[15..]);
    }
    log(&mut stage, "2025-03-04", "us-east-1", "later", &records("2025-03-04", "us-east-1", &["iam"], 5));
    let exporter = stage.function("exporter", &[LOGS, ("PROCESS_STS_EVENTS", "false")]);
    let asked = json!({"trail": {"from": "2025-03-01", "to": "2025-03-03"}});
    let answer = exporter.invoke(&asked).unwrap();
    assert_eq!(
        (&answer["statusCode"], &answer["complete"], &answer["next"]),
        (&json!(200), &json!(true), &Value::Null)
    );
    // Of thirty events in three files of the trail ten are IAM's; five records come twice, of which some are.
    let [read, stored, duplicates, filtered] = counts(&answer);
    assert_eq!((read, stored, read - stored - duplicates), (105, 30, filtered), "{answer}");
    assert_eq!((&answer["days"], &answer["files"]), (&json!(3), &json!(6)));
    assert!(stage.deployment.objects().keys().all(|key| key.starts_with("lake/")));

    let again = stage.function("exporter", &[LOGS, ("PROCESS_STS_EVENTS", "false")]).invoke(&asked).unwrap();
    assert_eq!(counts(&again)[1], 0, "{again}");
    let more = json!({"trail": {"from": "2025-03-02", "to": "2025-03-04"}});
    let more = stage.function("exporter", &[LOGS]).invoke(&more).unwrap();
    assert_eq!(counts(&more)[1], 10 + 5, "{more}");
    assert!(stage.alerts().is_empty(), "the past alerts nobody");
}

#[test]
fn of_some_regions_that_is_exported_which_the_tracker_would_have_collected() {
    let Some(mut stage) = Stage::open(&[]) else { return };
    let day = "2025-03-01";
    for region in ["us-east-1", "eu-west-1", "eu-central-1", "ap-south-1"] {
        log(&mut stage, day, region, "a", &records(day, region, &["iam", "sso", "sts", "s3"], 40));
    }
    let regions = [LOGS, ("REGIONS", "eu-west-1"), ("SSO_REGION", "eu-central-1")];
    let exporter = stage.function("exporter", &regions);
    let answer = exporter.invoke(&json!({"trail": {"from": day, "to": day}})).unwrap();
    // All but those of S3 in two regions, the global one included, and those of Identity Center in its home.
    assert_eq!(counts(&answer), [120, 30 + 30 + 10, 0, 10 + 10 + 30], "{answer}");
    assert_eq!((&answer["days"], &answer["files"], &answer["complete"]), (&json!(1), &json!(3), &json!(true)));
}

#[test]
fn failures_and_cut_answers_lose_nothing_of_the_trails_files() {
    let history = history(&[1, 2, 3]);
    let mut faults: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 0..3 {
        let Some(mut stage) = Stage::open(&history) else { return };
        // The table has what the lake is to have.
        stage.function("tracker", &[]).invoke(&json!({})).unwrap();
        let mut files: BTreeMap<(String, String), Vec<Value>> = BTreeMap::new();
        for record in &history {
            let text = |name: &str| record[name].as_str().unwrap().to_owned();
            files.entry((text("eventTime")[..10].to_owned(), text("awsRegion"))).or_default().push(record.clone());
        }
        for ((day, region), records) in &files {
            for (place, records) in records.chunks(5).enumerate() {
                log(&mut stage, day, region, &place.to_string(), records);
            }
        }
        // What is told to be throttled is not asked for again within an invocation.
        let buckets = HttpFaults { throttled: 0.01, unavailable: 0.12, cut: 0.04, token_lost: 0.0, seed };
        let buckets = Proxy::open(&stage.deployment.endpoint, buckets, 0.0);
        let exporter = stage.function("exporter", &[LOGS, ("AWS_ENDPOINT_URL_S3", buckets.endpoint.as_str())]);
        let days: BTreeSet<&String> = files.keys().map(|(day, _)| day).collect();
        for day in days {
            // The files of a day that were read before a failure are not read again.
            let asked = json!({"trail": {"from": day, "to": day}});
            let mut answers: Vec<Result<Value, Value>> = Vec::new();
            while answers.last().is_none_or(|answer| !answer.as_ref().is_ok_and(|answer| answer["complete"] == true)) {
                assert!(answers.len() < 40, "seed {seed}: {answers:?} {:?}", buckets.counts());
                answers.push(exporter.invoke(&asked));
            }
        }
        for (operation, (_, wrong)) in buckets.counts() {
            *faults.entry(operation).or_default() += wrong;
        }
        assert_eq!(exported(&stage, "delta").len(), 120, "seed {seed}");
    }
    assert!(["GET", "PUT"].iter().all(|operation| faults[*operation] > 0), "{faults:?}");
}

#[test]
fn what_cannot_be_read_fails_its_day_and_no_other() {
    let Some(mut stage) = Stage::open(&[]) else { return };
    log(&mut stage, "2025-03-01", "us-east-1", "a", &records("2025-03-01", "us-east-1", &["iam"], 10));
    log(&mut stage, "2025-03-02", "us-east-1", "a", &records("2025-03-02", "us-east-1", &["iam"], 10));
    let folder = format!("AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/2025/03/01/");
    stage.deployment.log(&format!("{folder}{ACCOUNT}_CloudTrail_us-east-1_20250301T1300Z_b.json.gz"), &json!("none"));
    let exporter = stage.function("exporter", &[LOGS]);
    let asked = json!({"trail": {"from": "2025-03-01", "to": "2025-03-02"}});
    let failed = exporter.invoke(&asked).unwrap_err();
    let summary: Value = serde_json::from_str(failed["errorMessage"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&summary["days"], &summary["events_stored"], &summary["complete"]),
        (&json!(1), &json!(20), &json!(false))
    );
    let error = summary["errors"][0].as_str().unwrap();
    assert!(error.starts_with("2025-03-01: ") && error.contains("T1300Z_b.json.gz"), "{error}");

    for (asked, said) in [
        (json!({"from": "2025-03-02", "to": "2025-03-01"}), "\"from\" and \"to\""),
        (json!({"from": "2025-03-02"}), "\"from\" and \"to\""),
        (json!({"from": "yesterday", "to": "2025-03-01"}), "\"from\" and \"to\""),
    ] {
        let refused = exporter.invoke(&json!({ "trail": asked })).unwrap_err();
        assert!(refused["errorMessage"].as_str().unwrap().contains(said), "{refused}");
    }
    let none = stage.function("exporter", &[]).invoke(&asked).unwrap_err();
    assert!(none["errorMessage"].as_str().unwrap().contains("LOGS_BUCKET_NAME is not set"), "{none}");
}

/// Every way in which it reads and writes: the trail's files and the table, into either layout.
#[test]
fn of_buckets_it_calls_what_its_role_allows() {
    let Some(mut stage) = Stage::open(&[record("CreateUser", "iam", "us-east-1", 2 * 86_400, "a")]) else { return };
    stage.function("tracker", &[]).invoke(&json!({})).unwrap();
    log(&mut stage, "2025-03-01", "us-east-1", "a", &records("2025-03-01", "us-east-1", &["iam"], 10));
    let calm = HttpFaults { throttled: 0.0, unavailable: 0.0, cut: 0.0, token_lost: 0.0, seed: 0 };
    let buckets = Proxy::open(&stage.deployment.endpoint, calm, 0.0);
    let delta = [LOGS, ("AWS_ENDPOINT_URL_S3", buckets.endpoint.as_str())];
    let classic = [("EXPORT_LAYOUT", "classic"), ("AWS_ENDPOINT_URL_S3", buckets.endpoint.as_str())];
    let days = json!({"trail": {"from": "2025-03-01", "to": "2025-03-01"}});
    let read = stage.function("exporter", &delta).invoke(&days).unwrap();
    assert_eq!(counts(&read)[1], 10, "{read}");
    // What an earlier version of a day wrote is read and listed the second time.
    for environment in [&delta, &classic, &delta, &classic] {
        stage.function("exporter", environment).invoke(&json!({})).unwrap();
    }
    are_the_calls("exporter of buckets", &buckets.calls());
}

//! The exporter: what is in the table is in the bucket, once, whatever happens on the way.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::http::HttpFaults;
use testkit::http::proxy::Proxy;

use crate::stage::{Stage, are_the_calls, record};

const DAY: i64 = 86_400;

/// How old something is that happened so many days ago, in the minutes after six o'clock.
fn ago(days: i64, minute: i64) -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the binary lives in the real time")]
    let of_day = jiff::Timestamp::now().as_second().rem_euclid(DAY);
    of_day + days * DAY - 6 * 3600 - minute * 60
}

/// Forty events of each of some days, of two services and regions.
pub(crate) fn history(days: &[i64]) -> Vec<Value> {
    let mut records = Vec::new();
    for &day in days {
        for n in 0..30 {
            records.push(record("CreateUser", "iam", "us-east-1", ago(day, n), &format!("{day}-{n}")));
        }
        for n in 0..10 {
            records.push(record("AssumeRole", "sts", "eu-west-1", ago(day, 40 + n), &format!("{day}-{n}")));
        }
    }
    records
}

/// What others read of the export, by reader, and the `table`; `delta` or `classic`.
#[track_caller]
fn read(stage: &Stage, layout: &str) -> BTreeMap<String, BTreeMap<String, Value>> {
    let python = std::env::var_os("TRAILHOUND_PYTHON").unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exported.py");
    let output = Command::new(python).arg(script).args([&stage.deployment.endpoint, layout]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What others read of the export, who must agree with the table.
#[track_caller]
pub(crate) fn exported(stage: &Stage, layout: &str) -> BTreeMap<String, Value> {
    let mut found = read(stage, layout);
    let table = found.remove("table").unwrap();
    assert!(!found.is_empty());
    for (reader, rows) in found {
        assert_eq!(rows, table, "{reader}");
    }
    table
}

fn number(answer: &Value, name: &str) -> u64 {
    answer[name].as_u64().unwrap_or_else(|| panic!("{name}: {answer}"))
}

#[test]
fn a_day_is_exported_once_and_others_read_it() {
    let mut records = history(&[1, 2, 5]);
    // What is too long for one item, and what happened today.
    let mut state = 7u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'0' + (state >> 33) as u8 % 75)
    };
    let noise: String = (0..1_200_000).map(|_| next()).collect();
    let mut long = record("PutRolePolicy", "iam", "us-east-1", ago(1, 31), "long");
    long["requestParameters"] = json!({"policyDocument": noise});
    records.push(long);
    let Some(mut stage) = Stage::open(&records) else { return };
    stage.function("tracker", &[("PROCESS_STS_EVENTS", "false")]).invoke(&json!({})).unwrap();
    let exporter = stage.function("exporter", &[]);
    let answer = exporter.invoke(&json!({})).unwrap();
    assert_eq!((&answer["statusCode"], &answer["complete"], &answer["days"]), (&json!(200), &json!(true), &json!(3)));
    let count =
        |answer: &Value| (number(answer, "events_read"), number(answer, "events_stored"), number(answer, "duplicates"));
    assert_eq!(count(&answer), (91, 91, 0), "{answer}");
    assert!(number(&answer, "bytes") > 0 && answer["execution_time_seconds"].is_number(), "{answer}");
    assert_eq!(exported(&stage, "delta").len(), 91);

    // Again, by another instance: nothing changes.
    let before = stage.deployment.objects();
    assert!(before.keys().all(|key| key.starts_with("lake/")), "{before:?}");
    let again = stage.function("exporter", &[]).invoke(&json!({"days": 30})).unwrap();
    assert_eq!((count(&again).1, &again["complete"]), (0, &json!(true)), "{again}");
    assert_eq!(stage.deployment.objects(), before);

    // Events of days that were exported, long after: a stream that was not read before.
    stage.function("tracker", &[]).invoke(&json!({})).unwrap();
    let late = exporter.invoke(&json!({})).unwrap();
    assert_eq!((count(&late).1, &late["complete"]), (30, &json!(true)), "{late}");
    let found = exported(&stage, "delta");
    assert_eq!((found.len(), found["AssumeRole-5-3"][2].as_str()), (121, Some("eu-west-1")));
    assert_eq!(stage.metric("exporter", "ExportedEvents"), [91.0, 0.0, 30.0]);
    assert_eq!(stage.metric("exporter", "ExportFailures"), [0.0, 0.0, 0.0]);
}

#[test]
fn the_classic_layout_has_one_object_a_day_and_region() {
    let Some(mut stage) = Stage::open(&history(&[1, 3])) else { return };
    let only_iam = [("PROCESS_STS_EVENTS", "false")];
    stage.function("tracker", &only_iam).invoke(&json!({})).unwrap();
    let classic = [("EXPORT_LAYOUT", "classic"), ("EXPORT_COMPRESSION", "snappy")];
    let exporter = stage.function("exporter", &classic);
    let answer = exporter.invoke(&json!({})).unwrap();
    assert_eq!((number(&answer, "events_stored"), &answer["complete"]), (60, &json!(true)), "{answer}");
    assert_eq!(exported(&stage, "classic").len(), 60);
    let before = stage.deployment.objects();
    assert_eq!(before.len(), 2);
    assert_eq!(number(&exporter.invoke(&json!({})).unwrap(), "bytes"), 0, "the same bytes are not written again");
    assert_eq!(stage.deployment.objects(), before);
    stage.function("tracker", &[]).invoke(&json!({})).unwrap();
    exporter.invoke(&json!({})).unwrap();
    let objects = stage.deployment.objects();
    assert_eq!(exported(&stage, "classic").len(), 80);
    assert!(before.iter().all(|(key, tag)| objects.get(key) == Some(tag)), "other regions stay as they are");
    let is_named = |key: &String| {
        let parts: Vec<&str> = key.split('/').collect();
        let [top, year, month, day, region, "events.parquet"] = parts[..] else { return false };
        let plain = |part: &str, name: &str| {
            part.strip_prefix(name).is_some_and(|number| !number.starts_with('0') && number.parse::<u32>().is_ok())
        };
        top == "iam-events"
            && plain(year, "year=")
            && plain(month, "month=")
            && plain(day, "day=")
            && ["region=us-east-1", "region=eu-west-1"].contains(&region)
    };
    assert!(objects.len() == 4 && objects.keys().all(is_named), "{objects:?}");
}

/// A day of the past whose items expired, and a stream of it that is read later: fewer events than were exported, or more.
#[test]
fn the_classic_layout_keeps_what_has_expired() {
    for late in [5, 50] {
        let mut records = history(&[60]);
        records.retain(|record| record["eventName"] == "CreateUser");
        records.extend((0..late).map(|n| record("AssumeRole", "sts", "us-east-1", ago(60, n), &n.to_string())));
        let Some(mut stage) = Stage::open(&records) else { return };
        stage.function("tracker", &[("PROCESS_STS_EVENTS", "false")]).invoke(&json!({})).unwrap();
        let exporter = stage.function("exporter", &[("EXPORT_LAYOUT", "classic")]);
        exporter.invoke(&json!({})).unwrap();
        let mut expected = exported(&stage, "classic");
        assert_eq!(expected.len(), 30);
        for item in stage.deployment.items("trail-events") {
            let key = json!({"event_date": item["event_date"], "event_id": item["event_id"]});
            stage.deployment.delete("trail-events", &key);
        }
        stage.function("tracker", &[]).invoke(&json!({})).unwrap();
        let answer = exporter.invoke(&json!({})).unwrap();
        assert_eq!((number(&answer, "events_read"), &answer["complete"]), (late as u64, &json!(true)), "{answer}");
        let mut found = read(&stage, "classic");
        expected.append(&mut found.remove("table").unwrap());
        assert_eq!(found["polars"], expected);
        assert_eq!(expected.len(), 30 + late as usize);
        assert_eq!(number(&exporter.invoke(&json!({})).unwrap(), "bytes"), 0, "the same bytes are not written again");
    }
}

/// The files of one form stay beside those of the other: the role cannot delete them, and readers would take both.
#[test]
fn the_classic_layout_has_one_form() {
    let Some(mut stage) = Stage::open(&history(&[1, 3])) else { return };
    stage.function("tracker", &[]).invoke(&json!({})).unwrap();
    let regions = [("EXPORT_LAYOUT", "classic")];
    let days = [("EXPORT_LAYOUT", "classic"), ("PARTITION_BY_REGION", "false")];
    stage.function("exporter", &regions).invoke(&json!({})).unwrap();
    let before = stage.deployment.objects();
    let refused = |stage: &Stage, environment: &[(&str, &str)], file: &str| {
        let failed = stage.function("exporter", environment).invoke(&json!({})).unwrap_err();
        let said = failed["errorMessage"].as_str().unwrap();
        assert!(said.contains("Set PartitionByRegion back") && said.contains(file), "{failed}");
    };
    refused(&stage, &days, "/region=");
    // Nor by way of the other layout, after which nothing is known of these files but that they are there.
    stage.function("exporter", &[]).invoke(&json!({})).unwrap();
    refused(&stage, &days, "/region=");
    let mut objects = stage.deployment.objects();
    objects.retain(|key, _| key.starts_with("iam-events/"));
    assert_eq!(objects, before);
    let back = stage.function("exporter", &regions).invoke(&json!({})).unwrap();
    assert_eq!((&back["complete"], &back["bytes"]), (&json!(true), &json!(0)), "{back}");
    assert_eq!(stage.metric("exporter", "ExportFailures"), [0.0, 1.0, 0.0, 1.0, 0.0]);

    // In a bucket of its own, or where the others were moved away, it has all that the table has.
    let Some(stage) = Stage::open(&history(&[1, 3])) else { return };
    stage.function("tracker", &[]).invoke(&json!({})).unwrap();
    let whole = stage.function("exporter", &days).invoke(&json!({})).unwrap();
    assert_eq!((number(&whole, "events_stored"), &whole["complete"]), (80, &json!(true)), "{whole}");
    assert_eq!(exported(&stage, "classic").len(), 80);
    refused(&stage, &regions, "/events.parquet");
}

#[test]
fn two_at_once_leave_each_event_once() {
    let Some(stage) = Stage::open(&history(&[1, 2, 3, 4])) else { return };
    stage.function("tracker", &[]).invoke(&json!({})).unwrap();
    let exporters: Vec<_> = (0..2).map(|_| stage.function("exporter", &[])).collect();
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let running: Vec<_> = exporters.iter().map(|one| scope.spawn(|| one.invoke(&json!({})).unwrap())).collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().map(|answer| number(answer, "events_stored")).sum::<u64>(), 160, "{answers:?}");
    assert_eq!(exported(&stage, "delta").len(), 160);
}

/// An exporter that Lambda kills anywhere, and the next invocation.
#[test]
fn an_exporter_that_is_killed_loses_nothing() {
    let points = [
        "lake::create::before-log",
        "lake::create::after-log",
        "lake::stage::before-put",
        "lake::stage::after-put",
        "lake::commit::before-lock",
        "lake::commit::before",
        "lake::commit::after",
    ];
    let history = history(&[1, 2]);
    for point in points {
        let Some(stage) = Stage::open(&history) else { return };
        stage.function("tracker", &[]).invoke(&json!({})).unwrap();
        let setting = format!("{point}=return");
        let mut dying = stage.function("exporter", &[("FAILPOINTS", setting.as_str())]);
        assert!(dying.dies(&json!({})), "{point} was not met");
        let answer = stage.function("exporter", &[]).invoke(&json!({})).unwrap();
        assert_eq!(answer["complete"], json!(true), "{point}: {answer}");
        assert_eq!(exported(&stage, "delta").len(), 80, "{point}");
    }
}

#[test]
fn what_does_not_fit_into_an_invocation_goes_on_at_the_next() {
    // A day of more than a page, and some others.
    let mut records = history(&[2, 3]);
    let padding = "x".repeat(600);
    for n in 0..900 {
        let mut record = record("CreateRole", "iam", "us-east-1", ago(1, n), &n.to_string());
        // Not to be compressed away: the table's pages are of a megabyte.
        let noise: String =
            (0..300).map(|k| format!("{:x}", (n * 7919 + k * 104_729) * 2_654_435_761u64 as i64)).collect();
        record["requestParameters"] = json!({"description": padding, "noise": noise});
        records.push(record);
    }
    let Some(mut stage) = Stage::open(&records) else { return };
    // The search for days, which takes its time in a table of moto's that has many items.
    let nothing = stage.function("exporter", &[]).invoke(&json!({})).unwrap();
    assert_eq!((number(&nothing, "events_read"), &nothing["complete"]), (0, &json!(true)), "{nothing}");
    assert_eq!(stage.function("tracker", &[]).invoke(&json!({})).unwrap()["complete"], json!(true));
    // Time is up after the first page of the first day.
    let slow = stage.function("exporter", &[("FAILPOINTS", "lambda::after-page=sleep(30000)")]);
    let first = slow.invoke_for(&json!({}), Duration::from_secs(30)).unwrap().unwrap();
    let read = number(&first, "events_read");
    assert_eq!((&first["statusCode"], &first["complete"]), (&json!(200), &json!(false)), "{first}");
    assert_eq!((number(&first, "days"), number(&first, "days_left")), (0, 3), "{first}");
    assert!((1..900).contains(&read), "{first}");
    let export = stage.control("#export");
    assert_eq!(export["position_events"]["N"], read.to_string());
    assert!(export["position_began"]["S"].is_string(), "{export}");
    let second = stage.function("exporter", &[]).invoke(&json!({})).unwrap();
    assert_eq!(
        (number(&second, "events_read"), &second["complete"]),
        (980 - read, &json!(true)),
        "behind the first page"
    );
    assert_eq!(exported(&stage, "delta").len(), 980);
}

/// A day that was begun hours ago, and written to since.
#[test]
fn what_is_written_behind_a_position_is_exported_later() {
    let Some(mut stage) = Stage::open(&history(&[3])) else { return };
    stage.function("tracker", &[]).invoke(&json!({})).unwrap();
    let exporter = stage.function("exporter", &[]);
    assert_eq!(number(&exporter.invoke(&json!({})).unwrap(), "events_stored"), 40);
    // It stopped at an event, and then one came that lies before it.
    let late = record("AddUserToGroup", "iam", "us-east-1", ago(3, 0), "late");
    let day = late["eventTime"].as_str().unwrap()[..10].to_owned();
    let text = json!({"S": late.to_string()});
    let item = json!({"event_date": {"S": day}, "event_id": {"S": late["eventID"]}, "record": text});
    stage.deployment.put("trail-events", &item);
    let hours = |hours: i64| {
        #[expect(clippy::disallowed_methods, reason = "the binary lives in the real time")]
        let now = jiff::Timestamp::now().as_second();
        json!({"S": jiff::Timestamp::from_second(now - hours * 3600).unwrap().to_string()})
    };
    let mut export = stage.control("#export");
    export["position"] = json!({"S": format!("{day} CreateUser-3-10")});
    export["position_events"] = json!({"N": "12"});
    export["position_began"] = hours(3);
    stage.deployment.put("trail-control", &export);
    let noted = json!({"region": {"S": "#changed"}, &*day: hours(2)});
    stage.deployment.put("trail-control", &noted);

    let rest = exporter.invoke(&json!({})).unwrap();
    assert_eq!((number(&rest, "events_stored"), &rest["complete"]), (0, &json!(true)), "{rest}");
    assert_eq!(stage.control("#changed"), noted, "it was begun before it was written to");
    let whole = exporter.invoke(&json!({})).unwrap();
    assert_eq!((number(&whole, "events_read"), number(&whole, "events_stored")), (41, 1), "{whole}");
    assert_eq!(exported(&stage, "delta").len(), 41);
    assert_eq!(stage.control("#changed"), json!({"region": {"S": "#changed"}}));
}

#[test]
fn a_page_without_events_does_not_end_a_day() {
    let Some(mut stage) = Stage::open(&[]) else { return };
    let put = |stage: &mut Stage, id: &str| {
        let record = record("CreateUser", "iam", "us-east-1", ago(1, 0), id);
        let day = &record["eventTime"].as_str().unwrap()[..10];
        let mut item = json!({"event_date": {"S": day}, "event_id": {"S": id}, "record": {"S": record.to_string()}});
        if id.contains('#') {
            item["part_of"] = json!({"S": "m"});
            item["record"] = json!({"S": "x".repeat(380_000)});
        }
        stage.deployment.put("trail-events", &item);
    };
    // A page is a megabyte: the second one holds nothing but parts.
    let parts: Vec<String> = (2..10).map(|part| format!("m#{part}")).collect();
    ["a", "m", "z"].into_iter().chain(parts.iter().map(String::as_str)).for_each(|id| put(&mut stage, id));
    let slow = stage.function("exporter", &[("FAILPOINTS", "lambda::after-page=1*off->1*sleep(9000)")]);
    let first = slow.invoke_for(&json!({}), Duration::from_secs(10)).unwrap().unwrap();
    assert_eq!((number(&first, "events_read"), &first["complete"]), (3, &json!(false)), "{first}");
    assert_eq!(stage.function("exporter", &[]).invoke(&json!({})).unwrap()["complete"], json!(true));
    assert_eq!(exported(&stage, "delta").len(), 3);
}

#[test]
fn throttling_failures_and_cut_answers_change_nothing() {
    // An answer that is cut may be that of an entry of the log that was put.
    let buckets = HttpFaults { throttled: 0.0, unavailable: 0.15, cut: 0.07, token_lost: 0.0, seed: 0 };
    let faults = export_with_faults("delta", buckets, &[&[]]);
    for operation in ["Query", "GetItem", "UpdateItem", "GET", "HEAD", "PUT"] {
        assert!(faults.get(operation).is_none_or(|faults| *faults > 0), "{operation}: {faults:?}");
    }
}

/// What of the classic layout is there is read and replaced the second time.
#[test]
fn throttling_failures_and_cut_answers_change_nothing_of_the_classic_layout() {
    // What is told to be throttled is not asked for again within an invocation.
    let buckets = HttpFaults { throttled: 0.1, unavailable: 0.2, cut: 0.1, token_lost: 0.0, seed: 0 };
    let faults = export_with_faults("classic", buckets, &[&[("PROCESS_STS_EVENTS", "false")], &[]]);
    for operation in ["Query", "GetItem", "UpdateItem", "GET", "PUT"] {
        assert!(faults.get(operation).is_none_or(|faults| *faults > 0), "{operation}: {faults:?}");
    }
}

/// Exports after each pass of the tracker until all is exported, and returns how often something went wrong with each
/// operation; nothing where there is no Python.
fn export_with_faults(layout: &str, buckets: HttpFaults, passes: &[&[(&str, &str)]]) -> BTreeMap<String, u64> {
    let history = history(&[1, 2, 3]);
    let mut faults: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 0..3 {
        let Some(stage) = Stage::open(&history) else { return faults };
        let tables = HttpFaults { throttled: 0.1, unavailable: 0.1, cut: 0.0, token_lost: 0.0, seed };
        let tables = Proxy::open(&stage.deployment.endpoint, tables, 0.0);
        let bucket = Proxy::open(&stage.deployment.endpoint, HttpFaults { seed, ..buckets }, 0.0);
        let environment = [
            ("EXPORT_LAYOUT", layout),
            ("AWS_ENDPOINT_URL_DYNAMODB", tables.endpoint.as_str()),
            ("AWS_ENDPOINT_URL_S3", bucket.endpoint.as_str()),
        ];
        let exporter = stage.function("exporter", &environment);
        for pass in passes {
            stage.function("tracker", pass).invoke(&json!({})).unwrap();
            let mut answers: Vec<Result<Value, Value>> = Vec::new();
            while answers.last().is_none_or(|answer| !answer.as_ref().is_ok_and(|answer| answer["complete"] == true)) {
                assert!(answers.len() < 40, "seed {seed}: {answers:?} {:?} {:?}", tables.counts(), bucket.counts());
                answers.push(exporter.invoke(&json!({})));
            }
        }
        for (operation, (_, wrong)) in tables.counts().into_iter().chain(bucket.counts()) {
            *faults.entry(operation).or_default() += wrong;
        }
        are_the_calls("exporter", &tables.calls());
        assert_eq!(exported(&stage, layout).len(), 120, "seed {seed}");
    }
    faults
}

#[test]
fn what_cannot_be_exported_fails_the_invocation() {
    let Some(mut stage) = Stage::open(&history(&[1, 2])) else { return };
    stage.function("tracker", &[]).invoke(&json!({})).unwrap();
    // Items that are no events, that do not inflate, or have lost a part: the others are exported.
    let day = stage.stored().values().next().unwrap()["event_date"]["S"].clone();
    let mut put = |id: &str, record: Value, parts: Value| {
        let mut item = json!({"event_date": {"S": day}, "event_id": {"S": id}, "record": record});
        item.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
        stage.deployment.put("trail-events", &item);
    };
    put("broken", json!({"S": "no JSON {"}), json!({}));
    put("damaged", json!({"B": "bm8gemxpYg=="}), json!({}));
    put("torn", json!({"B": "eA=="}), json!({"parts": {"N": "2"}}));
    let failed = stage.function("exporter", &[]).invoke(&json!({})).unwrap_err();
    assert_eq!(failed["errorType"], "Incomplete", "{failed}");
    let summary: Value = serde_json::from_str(failed["errorMessage"].as_str().unwrap()).unwrap();
    assert_eq!((number(&summary, "events_stored"), number(&summary, "rejected")), (80, 3), "{summary}");
    assert_eq!(summary["statusCode"], 500);

    let nowhere = [("ANALYTICS_BUCKET_NAME", "no-such-bucket")];
    let failed = stage.function("exporter", &nowhere).invoke(&json!({})).unwrap_err();
    assert!(failed["errorMessage"].as_str().unwrap().contains("NoSuchBucket"), "{failed}");
    let failed = stage.function("exporter", &[]).invoke(&json!({"days": "many"})).unwrap_err();
    assert_eq!(failed["errorType"], "Event");
    let failed = stage.function("exporter", &[("EXPORT_LAYOUT", "iceberg")]).invoke(&json!({})).unwrap_err();
    assert_eq!(failed["errorMessage"], "EXPORT_LAYOUT=\"iceberg\": it is neither delta nor classic");
    assert_eq!(stage.metric("exporter", "ExportFailures"), [1.0, 1.0]);
}

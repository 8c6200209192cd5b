//! What people do every day, and what they are told.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Ran, World, small_trail};

#[test]
fn the_demo_finds_every_planted_step_and_the_logs_can_be_read_again() {
    let world = World::new();
    let folder = world.path("demo");
    let demo = world.run(["demo", "--events", "8000", "--keep", folder.to_str().unwrap()]).code(0);
    let text = demo.stdout();
    assert!(!text.contains("MISSED"), "{text}");
    assert!(text.contains("critical: Root Account Login"), "{text}");
    let truth = std::fs::read_to_string(folder.join("logs/truth.jsonl")).unwrap();
    assert!(truth.lines().count() > 20);
    for line in truth.lines() {
        let step: Value = serde_json::from_str(line).unwrap();
        assert!(text.contains(step["event_name"].as_str().unwrap()), "{step}");
    }
    // Every planted step raised what it should, and nothing else.
    let mut export = world.command_of(Path::new(env!("CARGO_BIN_EXE_trailhound")), &folder.join("home"));
    let alerts = Ran(export.args(["alerts", "export", "--acked", "--suppressed"]).output().unwrap()).code(0);
    let mut raised: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in alerts.stdout().lines() {
        let alert: Value = serde_json::from_str(line).unwrap();
        let text = |field: &str| alert[field].as_str().unwrap().to_owned();
        raised.entry(text("event_id")).or_default().insert(text("detection"));
    }
    for file in ["truth.jsonl", "benign.jsonl"] {
        let steps = std::fs::read_to_string(folder.join("logs").join(file)).unwrap();
        for line in steps.lines() {
            let step: Value = serde_json::from_str(line).unwrap();
            let expected: BTreeSet<String> =
                step["detections"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
            let found = raised.get(step["event_id"].as_str().unwrap()).cloned().unwrap_or_default();
            assert_eq!(found, expected, "{file}: {step}");
        }
    }
    // The same folder again is refused rather than mixed.
    world.run(["demo", "--keep", folder.to_str().unwrap()]).code(2);
    // Commands it prints work as they stand.
    let next = text.lines().find(|line| line.contains(" alerts show ")).unwrap();
    let command = next.split('#').next().unwrap();
    let shown = std::process::Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(shown.status.success() && String::from_utf8(shown.stdout).unwrap().contains("What to do"));
}

#[test]
fn the_same_logs_twice_change_nothing() {
    let world = World::new();
    let logs = small_trail(&world.path("logs"));
    let first = world.ingest(&logs).code(0).json();
    let stored = crate::support::Stored::of(&world);
    let second = world.ingest(&logs).code(0).json();
    assert_eq!(second["stored"], 0);
    assert_eq!(second["duplicates"], first["read"]);
    assert_eq!(second["alerts"]["new"]["critical"], 0);
    assert!(second["alerts"]["known"].as_u64() > Some(0));
    crate::support::Stored::of(&world).assert_same(&stored, "read twice");
}

#[test]
fn events_are_found_by_everything_the_help_names() {
    let world = World::new();
    let event = |number: u32| {
        testkit::event("CreateUser")
            .iam_user("alice")
            .id(&format!("00000000-0000-4000-8000-{number:012}"))
            .at("2026-01-30T10:00:00Z")
    };
    let mut one = event(1).request(json!({"userName": "mallory"})).build();
    one["sourceIPAddress"] = json!("198.51.100.7");
    one["userIdentity"]["accessKeyId"] = json!("AKIAI44QH8DHBEXAMPLE");
    one["awsRegion"] = json!("us-east-1");
    one["recipientAccountId"] = json!("111122223333");
    let mut other = event(2).request(json!({"userName": "carol"})).error("AccessDenied").build();
    other["userIdentity"]["userName"] = json!("bob");
    other["eventName"] = json!("GetObject");
    other["eventSource"] = json!("s3.amazonaws.com");
    other["eventTime"] = json!("2026-01-29T10:00:00Z");
    other["awsRegion"] = json!("eu-west-1");
    other["recipientAccountId"] = json!("444455556666");
    other["sourceIPAddress"] = json!("203.0.113.9");
    world.file("logs.json", json!([one, other]).to_string());
    world.ingest(&world.path("logs.json")).code(0);
    let found = |arguments: &[&str]| {
        let mut all = vec!["events", "--format", "json"];
        all.extend(arguments);
        let rows = world.run(all).code(0).json();
        rows.as_array()
            .unwrap()
            .iter()
            .map(|row| row["event_id"].as_str().unwrap()[35..].to_owned())
            .collect::<String>()
    };
    assert_eq!(found(&[]), "12", "the newest first");
    for (arguments, expected) in [
        (["--user", "alice"], "1"),
        (["--user", "b?b"], "2"),
        (["--name", "Create*"], "1"),
        (["--source", "s3"], "2"),
        (["--source", "iam.amazonaws.com"], "1"),
        (["--ip", "198.51.100.7"], "1"),
        (["--key", "AKIAI44QH8DHBEXAMPLE"], "1"),
        (["--account", "444455556666"], "2"),
        (["--region", "us-east-1"], "1"),
        (["--target", "mal*"], "1"),
        (["--from", "2026-01-30"], "1"),
        (["--to", "2026-01-30"], "2"),
        (["--from", "-2d"], "1"),
        (["--limit", "1"], "1"),
        (["--id", "00000000-0000-4000-8000-000000000002"], "2"),
    ] {
        assert_eq!(found(&arguments), expected, "{arguments:?}");
    }
    assert_eq!(found(&["--failed"]), "2");
    assert_eq!(found(&["--user", "alice", "--failed"]), "");
    world.run(["events", "--from", "2026-01-30", "--to", "2026-01-29"]).code(2);
}

#[test]
fn an_alert_is_shown_acknowledged_suppressed_and_exported() {
    let world = World::new();
    let logs = small_trail(&world.path("logs"));
    world.ingest(&logs).code(0);
    let open = |arguments: &[&str]| {
        let mut all = vec!["alerts", "list", "--limit", "0", "--format", "json"];
        all.extend(arguments);
        world.run(all).code(0).json().as_array().unwrap().clone()
    };
    let all = open(&[]);
    assert!(all.len() > 20);
    let id = all[0]["id"].as_str().unwrap().to_owned();
    world.run(["alerts", "ack", &id, "--note", "planned"]).code(0);
    assert_eq!(open(&[]).len(), all.len() - 1);
    let acked = open(&["--acked"]);
    let mine = acked.iter().find(|alert| alert["id"] == id.as_str()).unwrap();
    assert_eq!(
        (&mine["state"], &mine["note"], &mine["acknowledged_by"]),
        (&json!("acknowledged"), &json!("planned"), &json!("tester"))
    );
    world.run(["alerts", "ack", &id, "--undo"]).code(0);
    assert_eq!(open(&[]).len(), all.len());

    let keys = open(&["--detection", "access-key-created"]).len();
    assert!(keys > 0);
    let added = world
        .run(["suppress", "add", "--detection", "access-key-created", "--reason", "rotation", "--until", "+30d"])
        .code(0);
    assert!(added.stdout().contains(&format!("{keys} open alert")), "{}", added.stdout());
    assert_eq!(open(&[]).len(), all.len() - keys);
    let list = world.run(["suppress", "list", "--format", "json"]).code(0).json();
    assert_eq!(list[0]["silenced"], json!(keys));
    world.run(["suppress", "remove", list[0]["id"].as_str().unwrap()]).code(0);
    // Reading again raises nothing that was silenced.
    world.ingest(&logs).code(0);
    assert_eq!(open(&[]).len(), all.len() - keys);

    assert_eq!(world.run(["alerts", "export"]).code(0).stdout().lines().count(), all.len() - keys);
    world.run(["alerts", "list", "--fail-on", "critical"]).code(4);
    world.run(["alerts", "show", "ffffffff"]).code(1);
}

#[test]
fn mistakes_are_told_with_what_was_meant() {
    let world = World::new();
    for (arguments, expected) in [
        (vec!["detections", "show", "root-consol-login"], "did you mean \"root-console-login\"?"),
        (vec!["events"], "read some with `trailhound ingest PATH`"),
        (
            vec!["suppress", "add", "--detection", "nope", "--reason", "x", "--until", "+1d"],
            "there is no detection \"nope\"",
        ),
        (vec!["suppress", "add", "--reason", "x", "--until", "+1d"], ""),
        (vec!["events", "--from", "soon"], "is no time"),
        (vec!["ingst"], "ingest"),
        (vec!["lake", "expire", "--older-than", "long"], "is no age"),
    ] {
        let ran = world.run(&arguments).code(2);
        assert!(ran.stderr().contains(expected), "{arguments:?}: {}", ran.stderr());
    }
    world.file("home/trailhound.toml", "[filter]\nservice_event = true\n");
    let ran = world.run(["status"]).code(2);
    assert!(ran.stderr().contains("did you mean \"filter.service_events\"?"), "{}", ran.stderr());
}

#[test]
fn filters_keep_events_out_of_the_store_but_never_from_the_detections() {
    let plain = World::new();
    let logs = small_trail(&plain.path("logs"));
    let all = plain.ingest(&logs).code(0).json();
    let filtered = World::new();
    filtered.file("home/trailhound.toml", "[filter]\nsources = ['sts']\nservice_events = true\n");
    let some = filtered.ingest(&logs).code(0).json();
    assert_eq!(some["alerts"], all["alerts"]);
    assert_eq!(some["read"], all["read"]);
    let left_out: u64 = some["filtered"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    let kept = some["stored"].as_u64().unwrap() + some["duplicates"].as_u64().unwrap();
    assert_eq!(Some(left_out + kept), some["read"].as_u64());
    assert!(left_out > 0 && kept > 0);
    let sources = filtered.run(["events", "--limit", "0", "--format", "jsonl"]).code(0).stdout();
    assert!(sources.lines().all(|line| line.contains(r#""event_source":"sts.amazonaws.com""#)));
}

#[test]
fn the_lake_is_compacted_expired_and_exported() {
    let world = World::new();
    let logs = small_trail(&world.path("logs"));
    world.ingest(&logs).code(0);
    let before = crate::support::Stored::of(&world);
    world.run(["lake", "compact"]).code(0);
    crate::support::Stored::of(&world).assert_same(&before, "compacted");

    let out = world.path("out");
    let export = || {
        world.run(["export", "--layout", "classic", "--output", out.to_str().unwrap()]).code(0);
        let mut files: Vec<(String, Vec<u8>)> = walkdir::WalkDir::new(&out)
            .into_iter()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| (entry.path().display().to_string(), std::fs::read(entry.path()).unwrap()))
            .collect();
        files.sort();
        files
    };
    let first = export();
    assert!(first.iter().any(|(name, _)| name.contains("year=2026/month=1/day=30/region=us-east-1/")), "{first:?}");
    assert_eq!(export().len(), first.len());
    assert!(export() == first, "exporting again changes nothing");

    // --now is the end of the trail: everything before its last two days goes.
    let dry = world.run(["lake", "expire", "--older-than", "2d", "--dry-run"]).code(0).stdout();
    crate::support::Stored::of(&world).assert_same(&before, "a dry run");
    world.run(["lake", "expire", "--older-than", "2d"]).code(0);
    let left = world.run(["events", "--limit", "0", "--format", "jsonl"]).code(0).stdout();
    assert!(!left.is_empty() && left.lines().count() < before.records.len(), "{dry}");
    assert!(left.lines().all(|line| line.contains("\"2026-01-29") || line.contains("\"2026-01-3")), "whole days only");
    world.run(["lake", "verify"]).code(0);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let world = World::new();
    world.ingest(&small_trail(&world.path("logs"))).code(0);
    let all = "SELECT * FROM events";
    for arguments in [
        &["events", "--limit", "0", "--format", "csv"][..],
        &["events", "--limit", "0", "--format", "json"],
        &["events", "--limit", "0", "--raw"],
        &["sql", all, "--format", "csv"],
        &["sql", all, "--format", "json"],
        &["sql", all, "--format", "jsonl"],
    ] {
        let mut child = world.command().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Much more than a pipe holds is still to come.
        let mut first = [0; 64];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!((ended.status.code(), said.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

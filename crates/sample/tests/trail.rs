//! The generated trail, read back from disk as a stranger would read it.

#![expect(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use jiff::Timestamp;
use libdeflater::Decompressor;
use sample::{Plan, Progress, SampleError, Step, Summary};
use serde_json::Value;
use tempfile::TempDir;

/// A record, where it stood and its own text.
struct Found {
    file: PathBuf,
    text: String,
    record: Value,
}

struct Trail {
    _folder: TempDir,
    plan: Plan,
    summary: Summary,
    records: Vec<Found>,
    progress: Vec<Progress>,
}

fn plan() -> Plan {
    let now: Timestamp = "2026-07-15T13:37:12Z".parse().expect("a time");
    Plan { days: 10, events: 12_000, files: 700, duplicates: 0.05, ..Plan::demo(now) }
}

static TRAIL: LazyLock<Trail> = LazyLock::new(|| {
    let (folder, plan) = (tempfile::tempdir().expect("a folder"), plan());
    let mut progress = Vec::new();
    let summary = plan.write(folder.path(), |done| progress.push(done)).expect("a trail");
    let mut records = Vec::new();
    for file in files(&summary.trail) {
        let json = gunzip(&fs::read(&file).expect("a file"));
        #[derive(serde::Deserialize)]
        struct Envelope<'a> {
            #[serde(rename = "Records", borrow)]
            records: Vec<&'a serde_json::value::RawValue>,
        }
        let envelope: Envelope<'_> = serde_json::from_str(&json).expect("an envelope of records");
        for raw in envelope.records {
            let record = serde_json::from_str(raw.get()).expect("a record");
            records.push(Found { file: file.clone(), text: raw.get().to_owned(), record });
        }
    }
    Trail { _folder: folder, plan, summary, records, progress }
});

fn gunzip(gz: &[u8]) -> String {
    let size = u32::from_le_bytes(gz[gz.len() - 4..].try_into().unwrap()) as usize;
    let mut json = vec![0; size];
    let length = Decompressor::new().gzip_decompress(gz, &mut json).expect("one gzip member");
    assert_eq!(length, size);
    String::from_utf8(json).expect("UTF-8")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

fn text<'a>(record: &'a Value, key: &str) -> &'a str {
    record[key].as_str().unwrap_or_else(|| panic!("{key} is missing in {record}"))
}

fn time(record: &Value) -> Timestamp {
    text(record, "eventTime").parse().expect("a time")
}

/// Path and content of everything a plan writes.
fn everything(plan: &Plan) -> BTreeMap<PathBuf, Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    plan.write(folder.path(), |_| ()).expect("a trail");
    let read = |path: PathBuf| {
        let content = fs::read(&path).expect("a file");
        (path.strip_prefix(folder.path()).expect("within the folder").to_owned(), content)
    };
    files(folder.path()).into_iter().map(read).collect()
}

#[test]
fn the_same_plan_gives_the_same_bytes_on_any_number_of_threads_and_another_seed_does_not() {
    let plan = Plan { events: 3_000, files: 300, ..plan() };
    let one = everything(&Plan { threads: NonZero::new(1), ..plan.clone() });
    let many = everything(&Plan { threads: NonZero::new(3), ..plan.clone() });
    assert!(one == many, "the number of threads shows in the files");
    let other = everything(&Plan { seed: plan.seed + 1, ..plan });
    assert!(one.keys().all(|path| !path.starts_with("AWSLogs") || !other.contains_key(path)));
}

#[test]
fn the_summary_is_what_lies_on_disk() {
    let Trail { plan, summary, records, progress, .. } = &*TRAIL;
    let on_disk = files(&summary.trail);
    let gz: u64 = on_disk.iter().map(|path| fs::metadata(path).expect("a file").len()).sum();
    let json: u64 = on_disk.iter().map(|path| gunzip(&fs::read(path).expect("a file")).len() as u64).sum();
    let ids: HashSet<&str> = records.iter().map(|found| text(&found.record, "eventID")).collect();
    assert_eq!(summary.events, plan.events);
    assert_eq!(summary.events, ids.len() as u64);
    assert_eq!(summary.events + summary.duplicates, records.len() as u64);
    assert_eq!((summary.files, summary.bytes_gz, summary.bytes_json), (on_disk.len() as u64, gz, json));
    let last = progress.last().expect("progress was told");
    assert_eq!((last.events, last.files, last.bytes_json), (summary.events, summary.files, summary.bytes_json));
    let off = summary.files as f64 / plan.files as f64;
    assert!((0.85..1.25).contains(&off), "{} files where about {} were asked for", summary.files, plan.files);
}

#[test]
fn every_record_has_its_mandatory_fields_and_lies_in_the_file_it_belongs_to() {
    let now = TRAIL.plan.now;
    for Found { file, record, .. } in &TRAIL.records {
        for key in
            ["eventVersion", "eventSource", "eventName", "sourceIPAddress", "eventID", "eventType", "eventCategory"]
        {
            assert!(!text(record, key).is_empty(), "{key} is empty in {record}");
        }
        assert!(record["userIdentity"].is_object() && record["readOnly"].is_boolean(), "{record}");
        assert!(record.get("requestParameters").is_some() && record.get("responseElements").is_some(), "{record}");
        assert_eq!(
            record["managementEvent"].as_bool(),
            Some(text(record, "eventCategory") == "Management"),
            "{record}"
        );

        let path = file.strip_prefix(&TRAIL.summary.trail).expect("within the trail").to_str().expect("text");
        let parts: Vec<&str> = path.split('/').collect();
        let [organisation, account, kind, region, year, month, day, name] = parts[..] else { panic!("{path}") };
        assert!(organisation.starts_with("o-") && kind == "CloudTrail", "{path}");
        assert_eq!((account, region), (text(record, "recipientAccountId"), text(record, "awsRegion")));
        let name =
            name.strip_prefix(&format!("{account}_CloudTrail_{region}_{year}{month}{day}T")).expect("a file name");
        let random = name[4..].strip_prefix("Z_").and_then(|rest| rest.strip_suffix(".json.gz")).expect("a file name");
        assert!(random.len() == 16 && random.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{path}");
        let delivered: Timestamp =
            format!("{year}-{month}-{day}T{}:{}:00Z", &name[..2], &name[2..4]).parse().expect("a delivery time");
        assert!(time(record) < delivered && delivered <= now, "{path} holds an event of {}", time(record));
    }
}

#[test]
fn the_trail_covers_its_days_and_ends_just_before_now() {
    let times = TRAIL.records.iter().map(|found| time(&found.record).as_second());
    let (first, last) = (times.clone().min().expect("events"), times.max().expect("events"));
    let now = TRAIL.plan.now.as_second();
    let age = |time: i64| now - time;
    assert!(age(last) > 0 && age(last) < 15 * 60, "the newest event is {} s old", age(last));
    let days = i64::from(TRAIL.plan.days);
    assert!(
        age(first) <= days * 86_400 && age(first) > (days - 1) * 86_400,
        "the oldest event is {} s old",
        age(first)
    );
}

#[test]
fn an_event_delivered_twice_is_the_same_bytes_in_another_file_and_records_are_out_of_order() {
    let mut seen: HashMap<&str, Vec<&Found>> = HashMap::new();
    for found in &TRAIL.records {
        seen.entry(text(&found.record, "eventID")).or_default().push(found);
    }
    let twice: Vec<_> = seen.values().filter(|copies| copies.len() > 1).collect();
    assert_eq!(twice.len() as u64, TRAIL.summary.duplicates);
    let share = twice.len() as f64 / TRAIL.plan.events as f64;
    assert!((0.04..0.06).contains(&share), "a share of {share} where 0.05 was asked for");
    for copies in twice {
        assert_eq!(copies.len(), 2);
        assert_eq!(copies[0].text, copies[1].text);
        assert_ne!(copies[0].file, copies[1].file);
    }
    let backwards = TRAIL
        .records
        .windows(2)
        .filter(|pair| pair[0].file == pair[1].file && time(&pair[0].record) > time(&pair[1].record));
    assert!(backwards.count() > TRAIL.records.len() / 10);
}

#[test]
fn all_twelve_kinds_of_identity_occur() {
    let kinds: HashSet<&str> =
        TRAIL.records.iter().filter_map(|found| found.record["userIdentity"]["type"].as_str()).collect();
    let documented = [
        "Root",
        "IAMUser",
        "AssumedRole",
        "Role",
        "FederatedUser",
        "Directory",
        "AWSAccount",
        "AWSService",
        "IdentityCenterUser",
        "SAMLUser",
        "WebIdentityUser",
        "Unknown",
    ];
    assert_eq!(kinds, HashSet::from(documented));
}

#[test]
fn the_traffic_is_that_of_an_ordinary_organisation() {
    let share = |matches: &dyn Fn(&Value) -> bool| {
        TRAIL.records.iter().filter(|found| matches(&found.record)).count() as f64 / TRAIL.records.len() as f64
    };
    let errors = share(&|record| record.get("errorCode").is_some());
    assert!((0.01..0.05).contains(&errors), "{errors} of the events are errors");
    let reads = share(&|record| record["readOnly"] == true);
    assert!(reads > 0.6, "{reads} of the events are reads");
    let of =
        |key: &str| TRAIL.records.iter().map(|found| text(&found.record, key).to_owned()).collect::<HashSet<_>>().len();
    assert_eq!(of("recipientAccountId"), 6);
    assert!(of("awsRegion") >= 17 && of("eventSource") >= 25 && of("eventName") >= 120);
    let versions: HashSet<&str> = TRAIL.records.iter().map(|found| text(&found.record, "eventVersion")).collect();
    assert_eq!(versions, HashSet::from(["1.08", "1.09", "1.10", "1.11"]));
}

#[test]
fn a_role_session_begins_with_the_event_that_issued_its_key() {
    let planted: HashSet<&str> = steps().map(|step| step.event_id.as_str()).collect();
    let mut issued: HashMap<&str, Timestamp> = HashMap::new();
    for Found { record, .. } in &TRAIL.records {
        if let Some(key) = record["responseElements"]["credentials"]["accessKeyId"].as_str() {
            issued.insert(key, time(record));
        }
    }
    let mut used = 0;
    for Found { record, .. } in &TRAIL.records {
        let identity = &record["userIdentity"];
        if identity["type"] != "AssumedRole" || planted.contains(text(record, "eventID")) {
            continue;
        }
        let key = text(identity, "accessKeyId");
        let since = issued.get(key).unwrap_or_else(|| panic!("nothing issued {key} of {record}"));
        assert!(*since <= time(record), "{key} was used before it was issued");
        used += 1;
    }
    assert!(used > TRAIL.records.len() / 2);
}

#[test]
fn both_accounts_have_their_copy_of_a_call_across_accounts() {
    let mut copies: HashMap<&str, Vec<&Value>> = HashMap::new();
    let mut ids = HashSet::new();
    for Found { record, .. } in &TRAIL.records {
        let first_delivery = ids.insert(text(record, "eventID"));
        if let Some(shared) = record["sharedEventID"].as_str().filter(|_| first_delivery) {
            copies.entry(shared).or_default().push(record);
        }
    }
    let pairs: Vec<_> = copies.values().filter(|copies| copies.len() > 1).collect();
    assert!(pairs.len() > 3);
    for pair in pairs {
        assert_eq!(pair.len(), 2);
        assert_ne!(pair[0]["recipientAccountId"], pair[1]["recipientAccountId"]);
        assert_eq!(pair[0]["requestID"], pair[1]["requestID"]);
        assert!(pair.iter().any(|copy| copy["userIdentity"]["type"] == "AWSAccount"));
    }
}

fn steps() -> impl Iterator<Item = &'static Step> {
    TRAIL.summary.intrusion.iter().chain(&TRAIL.summary.legitimate)
}

#[test]
fn every_step_of_the_truth_stands_in_the_trail_once_and_as_told() {
    for (path, steps) in
        [(&TRAIL.summary.truth, &TRAIL.summary.intrusion), (&TRAIL.summary.benign, &TRAIL.summary.legitimate)]
    {
        let lines = fs::read_to_string(path).expect("the truth");
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
        assert_eq!(lines.len(), steps.len());
        for (number, (line, step)) in lines.iter().zip(steps).enumerate() {
            assert_eq!(line["step"], number + 1);
            assert_eq!(line["event_id"], step.event_id.as_str());
            assert_eq!(line["detections"], Value::from(step.detections.clone()));
            let standing: Vec<&Found> =
                TRAIL.records.iter().filter(|found| found.record["eventID"] == step.event_id.as_str()).collect();
            assert_eq!(standing.len(), 1, "step {} stands {} times", step.step, standing.len());
            let record = &standing[0].record;
            for (told, key) in [
                ("time", "eventTime"),
                ("account", "recipientAccountId"),
                ("region", "awsRegion"),
                ("event_name", "eventName"),
            ] {
                assert_eq!(line[told], record[key], "{told} of step {}", step.step);
            }
        }
        let times: Vec<&str> = steps.iter().map(|step| step.time.as_str()).collect();
        assert!(times.is_sorted(), "the steps are not in order");
    }
}

#[test]
fn the_intrusion_raises_each_of_these_detections_and_the_good_month_stays_short() {
    let expected = [
        "root-console-login",
        "root-console-login-failed",
        "root-api-use",
        "iam-user-created",
        "admin-policy-attached",
        "admin-policy-granted-inline",
        "access-key-created",
        "role-trust-opened",
        "access-key-status-changed",
        "mfa-device-removed",
        "permission-set-created",
        "permission-set-updated",
        "permission-set-admin-policy",
        "account-assignment-created",
        "sso-application-created",
        "sso-application-deleted",
        "login-profile-changed-for-other",
        "user-added-to-admin-group",
        "permissions-boundary-removed",
        "password-policy-weakened",
        "cloudtrail-tampered",
        "console-login-without-mfa",
        "assume-root",
        "identity-provider-created",
        "credentials-quarantined",
    ];
    let planted: HashSet<&str> =
        TRAIL.summary.intrusion.iter().flat_map(|step| step.detections.iter().copied()).collect();
    assert_eq!(planted, HashSet::from(expected));
    let alerts = steps().map(|step| step.detections.len()).sum::<usize>();
    assert!((30..80).contains(&alerts), "{alerts} alerts");
    // Root acts where the stories say and nowhere else.
    let told: HashSet<&str> = steps().map(|step| step.event_id.as_str()).collect();
    let roots = TRAIL.records.iter().filter(|found| found.record["userIdentity"]["type"] == "Root");
    assert!(roots.into_iter().all(|found| told.contains(text(&found.record, "eventID"))));
}

#[test]
fn the_leaked_key_is_used_by_its_owner_before_and_by_nobody_once_it_is_switched_off() {
    let of = |step: &Step| TRAIL.records.iter().find(|found| found.record["eventID"] == step.event_id.as_str());
    let first = &of(&TRAIL.summary.intrusion[0]).expect("the first step").record;
    let key = text(&first["userIdentity"], "accessKeyId");
    let is_end = |step: &&Step| step.event_name == "UpdateAccessKey" && step.what.contains("leaked");
    let end = TRAIL.summary.legitimate.iter().find(is_end).expect("the response");
    assert_eq!(of(end).expect("the response").record["requestParameters"]["accessKeyId"], key);
    let uses = TRAIL.records.iter().filter(|found| found.record["userIdentity"]["accessKeyId"] == key);
    let uses: Vec<(Timestamp, &str)> =
        uses.map(|found| (time(&found.record), text(&found.record, "sourceIPAddress"))).collect();
    assert!(uses.iter().any(|(_, address)| *address == "203.0.113.10"), "the owner works with it, at the office");
    assert!(uses.iter().all(|(at, _)| *at <= end.time.parse().expect("a time")));
}

#[test]
fn a_trail_without_stories_has_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let summary =
        Plan { stories: false, events: 1_000, files: 100, ..plan() }.write(folder.path(), |_| ()).expect("a trail");
    assert!(summary.intrusion.is_empty() && summary.legitimate.is_empty());
    assert_eq!(summary.events, 1_000);
    assert_eq!(fs::read_to_string(&summary.truth).expect("the truth"), "");
}

#[test]
fn the_smallest_plan_works_whatever_the_hour() {
    for now in ["2026-03-01T00:00:00Z", "2024-02-29T23:59:59Z", "2026-01-01T00:07:30Z"] {
        let folder = tempfile::tempdir().expect("a folder");
        let now: Timestamp = now.parse().expect("a time");
        let plan = Plan { now, days: 7, events: 700, files: 0, ..plan() };
        let summary = plan.write(folder.path(), |_| ()).expect("a trail");
        assert_eq!(summary.events, 700, "at {now}");
    }
}

#[test]
fn a_plan_that_cannot_be_kept_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |plan: Plan| plan.write(folder.path(), |_| ());
    assert!(matches!(write(Plan { days: 6, ..plan() }), Err(SampleError::TooShort { days: 6, least: 7 })));
    assert!(matches!(write(Plan { events: 999, ..plan() }), Err(SampleError::TooSmall { events: 999, least: 1000 })));
    write(Plan { events: 1_000, files: 50, ..plan() }).expect("a trail");
    assert!(matches!(write(plan()), Err(SampleError::Occupied { .. })));
}

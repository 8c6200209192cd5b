//! Real logs, where there are some: nothing is lost, nothing is doubled, and every record comes back as it was.
//!
//! `TRAILHOUND_DATA` names a folder with a folder for each data set; without it the test says so and passes. What the files
//! hold is found out here in the slow and simple way, with none of the decoder's code.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::World;

/// The records of a data set as their own files have them.
#[derive(Default)]
struct Truth {
    /// How many there are.
    records: u64,
    /// Them, each once.
    values: BTreeSet<String>,
    /// How many event ids they have.
    ids: BTreeSet<String>,
    /// Files that are no JSON.
    broken: Vec<PathBuf>,
}

impl Truth {
    fn of(folder: &Path) -> Truth {
        let mut truth = Truth::default();
        for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
            let path = entry.unwrap().into_path();
            let Some(bytes) = bytes(&path) else { continue };
            let Ok(document) = serde_json::from_slice::<Value>(&bytes) else {
                truth.broken.push(path);
                continue;
            };
            let records = match document {
                Value::Array(records) => records,
                Value::Object(mut object) => match object.remove("Records") {
                    Some(Value::Array(records)) => records,
                    _ if object.contains_key("eventName") => vec![Value::Object(object)],
                    _ => Vec::new(),
                },
                _ => Vec::new(),
            };
            // Insights are counted and left.
            for record in records.into_iter().filter(|record| record["eventCategory"] != "Insight") {
                truth.records += 1;
                truth.ids.insert(record["eventID"].to_string());
                truth.values.insert(canonical(record));
            }
        }
        truth
    }
}

/// What a log file holds; nothing of other files.
fn bytes(path: &Path) -> Option<Vec<u8>> {
    let name = path.file_name()?.to_str()?;
    if !path.is_file() || !(name.ends_with(".json") || name.ends_with(".json.gz")) {
        return None;
    }
    let bytes = std::fs::read(path).unwrap();
    if !name.ends_with(".gz") {
        return Some(bytes);
    }
    let mut inflated = Vec::new();
    flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut inflated).unwrap();
    Some(inflated)
}

/// A JSON value as text that is the same for the same value.
fn canonical(mut value: Value) -> String {
    value.sort_all_objects();
    value.to_string()
}

fn lines(text: &str) -> impl Iterator<Item = Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}

#[test]
fn every_record_of_real_logs_is_kept_once_as_it_was() {
    let Some(data) = std::env::var_os("TRAILHOUND_DATA").filter(|path| !path.is_empty()) else {
        eprintln!("skipped: TRAILHOUND_DATA is not set");
        return;
    };
    let folders = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = folders.filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(!folders.is_empty(), "{} has no data sets", Path::new(&data).display());
    for folder in folders {
        let name = folder.display();
        let truth = Truth::of(&folder);
        let world = World::new();
        let expected_code = if truth.broken.is_empty() { 0 } else { 3 };
        let first = world.ingest(&folder).code(expected_code);
        for broken in &truth.broken {
            let file = broken.file_name().unwrap().to_str().unwrap();
            assert!(first.stderr().contains(file), "{file} is not named: {}", first.stderr());
        }
        let report = first.json();
        let count = |report: &Value, field: &str| report[field].as_u64().unwrap();
        let rejected = count(&report, "rejected");
        assert!(rejected <= truth.broken.len() as u64, "{name}: {report}");
        assert_eq!(count(&report, "read"), truth.records + rejected + count(&report, "insights"), "{name}: {report}");
        let fates: u64 =
            ["stored", "duplicates", "variants", "rejected", "insights"].iter().map(|fate| count(&report, fate)).sum();
        assert_eq!(count(&report, "read"), fates, "{name}: {report}");
        assert_eq!(count(&report, "stored"), truth.ids.len() as u64, "{name}: an event is lost or doubled");

        let raw = || world.run(["events", "--raw", "--limit", "0"]).code(0).stdout();
        let raw_text = raw();
        assert_eq!(raw_text.lines().count(), truth.ids.len(), "{name}");
        let mut kept: BTreeSet<String> = lines(&raw_text).map(canonical).collect();
        // The same event told in two ways: the second way stands beside the lake.
        let variants = std::fs::read_to_string(world.home().join("variants.jsonl")).unwrap_or_default();
        kept.extend(lines(&variants).map(|mut line| canonical(line["record"].take())));
        let (lost, added) = (truth.values.difference(&kept).count(), kept.difference(&truth.values).count());
        assert_eq!((lost, added), (0, 0), "{name}: records lost, and records that no file has");

        let again = world.ingest(&folder).code(expected_code).json();
        assert_eq!((count(&again, "read"), count(&again, "stored")), (count(&report, "read"), 0), "{name}: {again}");
        let again_kept = count(&again, "duplicates") + count(&again, "variants");
        assert_eq!(again_kept, truth.records, "{name}: {again}");
        assert_eq!(raw().lines().count(), truth.ids.len(), "{name}: the same twice");
        world.run(["lake", "verify"]).code(0);
        eprintln!(
            "{name}: {} read, {} stored, {} duplicates, {} variants, {rejected} rejected, {} files that are no JSON; the same twice",
            count(&report, "read"),
            count(&report, "stored"),
            count(&report, "duplicates"),
            count(&report, "variants"),
            truth.broken.len(),
        );
    }
}

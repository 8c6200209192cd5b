//! Other programs read the lake and agree with us: Polars, Python's `deltalake`, and DuckDB over the active files.
//!
//! `TRAILHOUND_PYTHON` names an interpreter with `tests/requirements.txt` installed; without it the test says so and
//! passes.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use event::{Column, Timestamp};
use lake::{CompactOptions, Lake, Scan, WriterOptions};
use serde_json::Value;

use crate::corpus::{append, records};

fn ask(python: &OsStr, lake: &Path) -> Value {
    let output = Command::new(python)
        .arg("tests/readers.py")
        .arg(lake)
        .output()
        .expect("TRAILHOUND_PYTHON names an interpreter");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Every reader finds the same rows, and as many as we do.
fn assert_agreement(python: &OsStr, lake: &Lake, folder: &Path, at: &str) {
    let answer = ask(python, folder);
    assert_eq!(
        (answer["id"].as_str(), answer["version"].as_u64()),
        (Some(&*lake.id()), Some(lake.version().expect("version")))
    );
    let names: Vec<&str> = lake::columns().into_iter().map(|(name, _, _)| name).collect();
    let theirs: Vec<&str> = answer["columns"].as_array().expect("list").iter().filter_map(Value::as_str).collect();
    assert_eq!(theirs, names);
    let ours = lake.scan(&Scan::default()).expect("scan").count() as u64;
    let polars = &answer["found"]["polars"];
    assert_eq!(polars["rows"].as_u64(), Some(ours), "{at}");
    for reader in ["deltalake", "duckdb"] {
        assert_eq!(&answer["found"][reader], polars, "{reader} and polars, {at}");
    }
    let day = |text| Timestamp::parse(text);
    let scan = Scan { from: day("2024-03-02T00:00:00Z"), until: day("2024-03-03T00:00:00Z"), ..Scan::default() };
    let matching = lake.scan(&scan.any_of(Column::UserName, ["ada"])).expect("scan").count() as u64;
    for reader in ["polars", "deltalake", "duckdb"] {
        assert_eq!(answer["questions"][reader].as_u64(), Some(matching), "{reader}, {at}");
    }
}

#[test]
fn other_readers_agree() {
    let Some(python) = std::env::var_os("TRAILHOUND_PYTHON") else {
        eprintln!("skipped: TRAILHOUND_PYTHON is not set");
        return;
    };
    let folder = tempfile::tempdir().expect("folder");
    let lake = Lake::open_or_create(folder.path()).expect("lake");
    assert_agreement(&python, &lake, folder.path(), "an empty lake");
    let options = WriterOptions { file_rows: 60, checkpoint_every: 3, compacts: false, ..WriterOptions::default() };
    let writer = lake.writer(options).expect("writer");
    for start in (0..500).step_by(125) {
        append(&writer, &records(start..start + 125));
        writer.commit().expect("commit");
    }
    assert_agreement(&python, &lake, folder.path(), "as written");
    lake.compact(&CompactOptions::default()).expect("compact");
    assert!(lake.status().expect("status").unused_files > 0);
    assert_agreement(&python, &lake, folder.path(), "compacted and not vacuumed");
    append(&writer, &records(500..520));
    writer.commit().expect("commit");
    lake.expire(event::Day::parse("2024-03-02").expect("a day")).expect("expire");
    lake.vacuum(Duration::from_nanos(1)).expect("vacuum");
    assert_agreement(&python, &lake, folder.path(), "expired and vacuumed");
}

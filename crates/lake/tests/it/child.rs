//! This test binary as another process: it runs one of the scripts below on a folder.

use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, Stdio};
use std::time::Duration;

use event::Day;
use lake::{CompactOptions, ExportOptions, Lake, LakeError, WriterOptions};

use crate::corpus::{append, expected, records, stored};

const FOLDER: &str = "LAKE_CHILD_FOLDER";
const SCRIPT: &str = "LAKE_CHILD_SCRIPT";

/// A process to be.
pub(crate) struct Child(Command);

impl Child {
    pub(crate) fn new(script: &str, folder: &Path) -> Child {
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command.args(["child::entry", "--exact", "--ignored", "--nocapture"]);
        command.env(SCRIPT, script).env(FOLDER, folder).env_remove("FAILPOINTS");
        command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
        Child(command)
    }

    pub(crate) fn var(mut self, name: &str, value: &str) -> Child {
        self.0.env(name, value);
        self
    }

    pub(crate) fn spawn(mut self) -> Process {
        self.0.spawn().expect("a process")
    }

    /// Whether it came to its end.
    pub(crate) fn succeeds(mut self) -> bool {
        self.0.status().expect("a process").success()
    }
}

/// Not a test of its own: what a child process runs.
#[test]
#[ignore = "the other process of other tests"]
fn entry() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let _scenario = fail::FailScenario::setup();
    match std::env::var(SCRIPT).as_deref() {
        Ok("append") => append_range(&folder),
        Ok("life") => life(&folder),
        Ok("full-disk") => full_disk(&folder),
        other => panic!("no such script: {other:?}"),
    }
}

fn append_range(folder: &Path) {
    let range = std::env::var("LAKE_RANGE").expect("a range");
    let (from, to) = range.split_once("..").expect("a range");
    let (from, to): (u64, u64) = (from.parse().expect("a number"), to.parse().expect("a number"));
    let lake = Lake::open_or_create(folder).expect("lake");
    let writer = lake.writer(WriterOptions { file_rows: 90, ..WriterOptions::default() }).expect("writer");
    for start in (from..to).step_by(50) {
        append(&writer, &records(start..(start + 50).min(to)));
        writer.commit().expect("commit");
    }
}

/// The first day that the life of a lake keeps.
pub(crate) fn kept_from() -> Day {
    Day::parse("2024-03-02").expect("a day")
}

/// Everything a lake goes through, each step harmless when done again.
fn life(folder: &Path) {
    let lake = Lake::open_or_create(&folder.join("lake")).expect("lake");
    let options = WriterOptions { file_rows: 60, checkpoint_every: 2, compacts: false, ..WriterOptions::default() };
    let (one, two) = (lake.writer(options.clone()).expect("writer"), lake.writer(options).expect("writer"));
    append(&one, &records(0..200));
    append(&two, &records(150..350));
    one.commit().expect("commit");
    // Overlaps with what the first committed, so its files are written again.
    two.commit().expect("commit");
    append(&one, &records(300..400));
    one.commit().expect("commit");
    lake.compact(&CompactOptions { file_rows: 1000, ..CompactOptions::default() }).expect("compact");
    lake.expire(kept_from()).expect("expire");
    lake.vacuum(Duration::from_nanos(1)).expect("vacuum");
    lake.export_classic(&folder.join("export"), &ExportOptions::default()).expect("export");
}

/// A full disk at every write in turn: an error that names it, and nothing lost once there is room again.
fn full_disk(folder: &Path) {
    let lake = Lake::open_or_create(folder).expect("lake");
    let writer = lake.writer(WriterOptions { file_rows: 100, ..WriterOptions::default() }).expect("writer");
    append(&writer, &records(0..50));
    fail::cfg(lake::PUT_FULL, "return").expect("failpoint");
    assert!(matches!(writer.commit(), Err(LakeError::DiskFull { .. })));
    // The file is written now, and the log's entry is what does not fit.
    fail::cfg(lake::PUT_FULL, "off").expect("failpoint");
    append(&writer, &records(50..60));
    fail::cfg(lake::PUT_FULL, "6*off->return").expect("failpoint");
    let failed = writer.commit();
    assert!(matches!(failed, Err(LakeError::DiskFull { .. }) | Ok(_)), "{failed:?}");
    fail::cfg(lake::PUT_FULL, "return").expect("failpoint");
    append(&writer, &records(60..70));
    assert!(matches!(writer.commit(), Err(LakeError::DiskFull { .. })));
    fail::cfg(lake::PUT_FULL, "off").expect("failpoint");
    append(&writer, &records(0..80));
    writer.commit().expect("commit");
    assert_eq!(stored(&lake), expected(0..80));
    assert_eq!(lake.verify().expect("verify").problems, []);
}

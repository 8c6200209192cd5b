//! A lake that an earlier version wrote is read by this one.

use std::fs;
use std::path::{Path, PathBuf};

use lake::{CompactOptions, Lake, WriterOptions};

use crate::corpus::{append, expected, records, stored};

fn golden() -> PathBuf {
    PathBuf::from("tests/golden/format-1")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("folder");
    for entry in fs::read_dir(from).expect("folder") {
        let path = entry.expect("entry").path();
        let target = to.join(path.file_name().expect("name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).expect("copy");
        }
    }
}

/// Writes the golden lake. Run it by hand, and only for a new format: the old ones stay.
#[test]
#[ignore = "writes the golden files"]
fn write() {
    assert!(!golden().exists(), "a golden lake is never written again");
    let lake = Lake::open_or_create(&golden()).expect("lake");
    let options = WriterOptions { file_rows: 8, checkpoint_every: 2, compacts: false, ..WriterOptions::default() };
    let writer = lake.writer(options).expect("writer");
    for start in [0, 10, 20] {
        append(&writer, &records(start..start + 10));
        writer.commit().expect("commit");
    }
    lake.compact(&CompactOptions::default()).expect("compact");
    append(&writer, &records(30..35));
    writer.commit().expect("commit");
    lake.vacuum(std::time::Duration::from_nanos(1)).expect("vacuum");
}

#[test]
fn the_first_format_is_read_and_written_on() {
    let folder = tempfile::tempdir().expect("folder");
    copy(&golden(), folder.path());
    let lake = Lake::open(folder.path()).expect("lake");
    assert_eq!(lake.version().expect("version"), 7);
    assert_eq!(stored(&lake), expected(0..35));
    assert_eq!(lake.verify().expect("verify").problems, []);
    let writer = lake.writer(WriterOptions::default()).expect("writer");
    assert_eq!(append(&writer, &records(0..40)), (5, 35, 0), "ids and hashes mean what they meant");
    writer.commit().expect("commit");
    assert_eq!(stored(&lake), expected(0..40));
}

//! Appending, committing and reading back in one process.

use std::path::Path;

use lake::{Lake, LakeError, WriterOptions};
use serde_json::Value;

use crate::corpus::{altered, append, events, expected, id, now, record, records, reordered, stored};

fn small_files() -> WriterOptions {
    WriterOptions { file_rows: 300, compacts: false, ..WriterOptions::default() }
}

fn lake(path: &Path) -> Lake {
    Lake::open_or_create(path).expect("lake")
}

#[test]
fn an_absent_lake_is_told_from_an_empty_one() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("lake");
    assert!(matches!(Lake::open(&path), Err(LakeError::NotFound { .. })));
    std::fs::create_dir_all(path.join("_delta_log")).expect("folder");
    assert!(
        matches!(Lake::open(&path), Err(LakeError::NotFound { .. })),
        "a creation that died before its first entry"
    );
    let made = lake(&path);
    assert_eq!(made.version().expect("version"), 0);
    assert_eq!(Lake::open(&path).expect("open").id(), made.id());
    assert_eq!(stored(&made), []);
}

#[test]
fn what_is_committed_comes_back_exactly() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = lake(folder.path());
    let writer = lake.writer(small_files()).expect("writer");
    assert_eq!(append(&writer, &records(0..1000)), (1000, 0, 0));
    assert_eq!(stored(&lake), [], "nothing is in the table before the commit");
    let committed = writer.commit().expect("commit");
    assert_eq!((committed.version, committed.rows), (Some(1), 1000));
    assert!(committed.files >= 3, "three days at least: {committed:?}");
    assert_eq!(stored(&lake), expected(0..1000));
    assert_eq!(stored(&Lake::open(folder.path()).expect("open")), expected(0..1000));
    assert_eq!(writer.commit().expect("commit").version, None, "nothing new, so no entry");
    assert_eq!(lake.version().expect("version"), 1);
}

#[test]
fn long_texts_that_repeat_come_back() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = lake(folder.path());
    let writer = lake.writer(WriterOptions::default()).expect("writer");
    let long = ["x".repeat(150_000), "y".repeat(150_000)];
    let records: Vec<String> = (0..600)
        .map(|number| {
            let mut value: Value = serde_json::from_str(&record(number)).expect("a record");
            value["requestParameters"]["note"] = long[number as usize % 2].clone().into();
            value.to_string()
        })
        .collect();
    assert_eq!(append(&writer, &records), (600, 0, 0));
    writer.commit().expect("commit");
    let mut expected: Vec<Value> = records.iter().map(|record| serde_json::from_str(record).expect("JSON")).collect();
    expected.sort_by_key(|record| record["eventID"].as_str().map(str::to_owned));
    assert!(stored(&lake).into_iter().map(|(_, record)| record).eq(expected));
}

#[test]
fn an_event_is_stored_once_within_and_between_commits_and_writers() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = lake(folder.path());
    let writer = lake.writer(small_files()).expect("writer");
    assert_eq!(append(&writer, &records((0..500).chain(200..600))), (600, 300, 0), "buffered and staged rows count");
    writer.commit().expect("commit");
    assert_eq!(append(&writer, &records(0..700)), (100, 600, 0), "so do committed ones");
    writer.commit().expect("commit");
    drop(writer);
    let writer = Lake::open(folder.path()).expect("open").writer(small_files()).expect("writer");
    assert_eq!(append(&writer, &records(0..700)), (0, 700, 0), "and those of another process");
    assert_eq!(writer.commit().expect("commit").version, None);
    assert_eq!(stored(&lake), expected(0..700));
}

#[test]
fn a_duplicate_is_told_from_a_variant_by_value() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = lake(folder.path());
    let writer = lake.writer(small_files()).expect("writer");
    let original = record(7);
    let (same, other) = (reordered(&original), altered(&original));
    assert_ne!(same, original);
    let ask = |records: &[String]| writer.append(&events(records), "b.json.gz", now()).expect("append");
    // Against the buffer, then against a staged file, then against the table.
    for stage in ["buffered", "staged", "committed"] {
        let appended = ask(&[original.clone(), same.clone(), other.clone()]);
        assert_eq!(appended.stored, u64::from(stage == "buffered"), "{stage}");
        assert_eq!(appended.stored + appended.duplicates, 2, "{stage}");
        let [variant] = &appended.variants[..] else { panic!("{stage}: {appended:?}") };
        assert_eq!((variant.event_id.as_str(), variant.source_object.as_str()), (id(7).as_str(), "b.json.gz"));
        assert!(variant.record.contains("something else"), "{variant:?}");
        match stage {
            "buffered" => drop(append(&writer, &records(1000..3000))),
            _ => drop(writer.commit().expect("commit")),
        }
    }
    assert_eq!(stored(&lake), expected((1000..3000).chain([7])));
}

#[test]
fn memory_limits_change_no_result() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = lake(folder.path());
    // Ids of one day at most, and hardly any buffer: every batch evicts and flushes.
    let options = WriterOptions { known_ids: 10, buffered_bytes: 100_000, compacts: false, ..WriterOptions::default() };
    let writer = lake.writer(options).expect("writer");
    let first = append(&writer, &records(0..600));
    let again = append(&writer, &records(0..600));
    assert_eq!((first, again), ((600, 0, 0), (0, 600, 0)));
    writer.commit().expect("commit");
    assert_eq!(append(&writer, &records(0..601)), (1, 600, 0));
    writer.commit().expect("commit");
    assert_eq!(stored(&lake), expected(0..601));
}

#[test]
fn threads_that_append_at_once_equal_one_that_does() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = lake(folder.path());
    let writer = lake.writer(WriterOptions { file_rows: 100, ..small_files() }).expect("writer");
    let sums: Vec<(u64, u64, u64)> = std::thread::scope(|scope| {
        // Overlapping shares: each event is offered twice, by different threads.
        let workers: Vec<_> = (0..4u64)
            .map(|worker| {
                let writer = &writer;
                scope.spawn(move || {
                    let sums = append(writer, &records((worker * 250)..(worker * 250 + 500)));
                    writer.commit().expect("commit");
                    sums
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("worker")).collect()
    });
    assert_eq!(sums.iter().map(|sums| sums.0).sum::<u64>(), 1250);
    assert_eq!(sums.iter().map(|sums| sums.1).sum::<u64>(), 750);
    assert_eq!(stored(&lake), expected(0..1250));
}

#[test]
fn what_is_never_committed_leaves_no_file() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = lake(folder.path());
    let writer = lake.writer(WriterOptions { file_rows: 50, ..small_files() }).expect("writer");
    append(&writer, &records(0..500));
    let data_files = || {
        let days = std::fs::read_dir(folder.path()).expect("folder").map(|entry| entry.expect("entry").path());
        let days =
            days.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("event_date=")));
        days.map(|day| std::fs::read_dir(day).expect("day").count()).sum::<usize>()
    };
    assert!(data_files() > 0, "full buffers were written");
    drop(writer);
    assert_eq!(data_files(), 0);
    assert_eq!(stored(&lake), []);
}

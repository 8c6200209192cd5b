//! Several writers at one table: every event once, however they interleave.

use std::path::Path;

use lake::{Committed, Lake, WriterOptions};

use crate::child::Child;
use crate::corpus::{altered, append, events, expected, id, now, record, records, reordered, stored};

fn options() -> WriterOptions {
    WriterOptions { file_rows: 120, ..WriterOptions::default() }
}

fn open(path: &Path, locked: bool) -> Lake {
    Lake::open_or_create(path).expect("lake");
    if locked { Lake::open(path).expect("lake") } else { Lake::open_without_lock(path).expect("lake") }
}

fn assert_sound(lake: &Lake) {
    assert_eq!(lake.verify().expect("verify").problems, []);
}

/// Two writers take the same events before either commits: the second one's rows are found at its commit.
fn the_second_yields(locked: bool) {
    let folder = tempfile::tempdir().expect("folder");
    let (one, two) = (open(folder.path(), locked), open(folder.path(), locked));
    let (first, second) = (one.writer(options()).expect("writer"), two.writer(options()).expect("writer"));
    assert_eq!(append(&first, &records(0..300)).0, 300);
    assert_eq!(append(&second, &records(200..500)).0, 300, "not committed yet, so new for the second");
    assert_eq!(first.commit().expect("commit").rows, 300);
    // More rows of the second after the first's commit: they meet the loaded, older ids.
    assert_eq!(append(&second, &records(0..100)).0, 100);
    let committed = second.commit().expect("commit");
    assert_eq!((committed.rows, committed.late_duplicates), (200, 200), "{committed:?}");
    assert_eq!(committed.late_variants, []);
    assert_eq!(append(&second, &records(0..500)), (0, 500, 0), "it knows the other's events now");
    assert_eq!(append(&first, &records(0..500)).0, 200, "the first has not looked yet");
    assert_eq!(first.commit().expect("commit"), Committed { late_duplicates: 200, ..Committed::default() });
    assert_eq!(stored(&one), expected(0..500));
    assert_sound(&two);
}

#[test]
fn the_second_of_two_writers_yields_with_the_lock() {
    the_second_yields(true);
}

#[test]
fn the_second_of_two_writers_yields_without_the_lock() {
    the_second_yields(false);
}

#[test]
fn a_late_variant_is_told_from_a_late_duplicate() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = open(folder.path(), true);
    let (first, second) = (lake.writer(options()).expect("writer"), lake.writer(options()).expect("writer"));
    append(&first, &records(0..10));
    let mut theirs = records(0..10);
    theirs[3] = altered(&record(3));
    theirs[4] = reordered(&record(4));
    let appended = second.append(&events(&theirs), "second.json", now()).expect("append");
    assert_eq!(appended.stored, 10);
    first.commit().expect("commit");
    let committed = second.commit().expect("commit");
    assert_eq!((committed.version, committed.late_duplicates), (None, 9));
    let [variant] = &committed.late_variants[..] else { panic!("{committed:?}") };
    assert_eq!((variant.event_id.as_str(), variant.source_object.as_str()), (id(3).as_str(), "second.json"));
    assert_eq!(stored(&lake), expected(0..10), "the first stays");
}

/// Writers in threads that commit as fast as they can, each offering half of what its neighbour offers.
fn a_crowd(locked: bool) {
    let folder = tempfile::tempdir().expect("folder");
    open(folder.path(), locked);
    let sums: Vec<u64> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4u64)
            .map(|worker| {
                let path = folder.path();
                scope.spawn(move || {
                    let lake = open(path, locked);
                    let writer = lake.writer(options()).expect("writer");
                    let mut sum = 0;
                    for step in 0..6u64 {
                        let start = step * 100 + worker * 40;
                        let (new, _, variants) = append(&writer, &records(start..start + 80));
                        let committed = writer.commit().expect("commit");
                        assert_eq!((variants, &committed.late_variants[..]), (0, &[][..]));
                        assert_eq!(new, committed.rows + committed.late_duplicates, "counts reconcile");
                        sum += committed.rows;
                    }
                    sum
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("worker")).collect()
    });
    let lake = open(folder.path(), true);
    assert_eq!(stored(&lake), expected(0..700));
    assert_eq!(sums.iter().sum::<u64>(), 700, "each event was stored by one writer");
    assert_sound(&lake);
}

#[test]
fn a_crowd_stores_each_event_once_with_the_lock() {
    a_crowd(true);
}

#[test]
fn a_crowd_stores_each_event_once_without_the_lock() {
    a_crowd(false);
}

#[test]
fn two_processes_store_each_event_once() {
    let folder = tempfile::tempdir().expect("folder");
    let mut children: Vec<_> = ["0..400", "200..600", "400..800"]
        .map(|range| Child::new("append", folder.path()).var("LAKE_RANGE", range).spawn())
        .into();
    for child in &mut children {
        assert!(child.wait().expect("child").success());
    }
    let lake = Lake::open(folder.path()).expect("lake");
    assert_eq!(stored(&lake), expected(0..800));
    assert_sound(&lake);
}

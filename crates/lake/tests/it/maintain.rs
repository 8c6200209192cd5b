//! Compaction, expiry, vacuum, verification, status and the classic export.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use event::Day;
use lake::{CompactOptions, ExportOptions, Lake, LakeError, Scan, WriterOptions};
use serde_json::Value;

use crate::corpus::{append, events, expected, now, records, stored};

fn many_small_files() -> WriterOptions {
    WriterOptions { file_rows: 40, compacts: false, ..WriterOptions::default() }
}

/// A lake with 600 events in many files.
fn lake(folder: &Path) -> Lake {
    let lake = Lake::open_or_create(folder).expect("lake");
    let writer = lake.writer(many_small_files()).expect("writer");
    for start in (0..600).step_by(150) {
        append(&writer, &records(start..start + 150));
        writer.commit().expect("commit");
    }
    lake
}

fn data_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for day in fs::read_dir(folder).expect("folder").map(|entry| entry.expect("entry").path()) {
        if day.file_name().is_some_and(|name| name.to_string_lossy().starts_with("event_date=")) {
            found.extend(fs::read_dir(day).expect("day").map(|entry| entry.expect("entry").path()));
        }
    }
    found.sort();
    found
}

const LONG: Duration = Duration::from_secs(3600);
const NONE: Duration = Duration::from_nanos(1);

#[test]
fn compaction_keeps_every_row_and_is_done_once() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = lake(folder.path());
    let before = lake.status().expect("status");
    assert!(before.files == 12 && before.uncompacted_days == 3 && before.small_files == before.files, "{before:?}");
    let report = lake.compact(&CompactOptions::default()).expect("compact");
    assert_eq!((report.days, report.files_before, report.files_after, report.rows), (3, before.files, 3, 600));
    assert_eq!(report.duplicates, 0);
    let after = lake.status().expect("status");
    assert_eq!((after.files, after.rows, after.small_files, after.uncompacted_days), (3, 600, 0, 0));
    assert_eq!(after.unused_files, before.files, "replaced files stay until a vacuum");
    assert_eq!(stored(&lake), expected(0..600));
    assert_eq!(lake.verify().expect("verify").problems, []);
    assert_eq!(lake.compact(&CompactOptions::default()).expect("compact"), Default::default(), "nothing is left to do");
    let writer = lake.writer(many_small_files()).expect("writer");
    assert_eq!(append(&writer, &records(0..600)), (0, 600, 0), "the ids are read from the merged files");
}

#[test]
fn two_compactions_at_once_do_the_work_once() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = lake(folder.path());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let other = Lake::open_without_lock(folder.path()).expect("lake");
            scope.spawn(move || other.compact(&CompactOptions::default()).expect("compact"));
        }
        // A writer goes on meanwhile.
        let writer = lake.writer(many_small_files()).expect("writer");
        for start in (500..800).step_by(50) {
            append(&writer, &records(start..start + 50));
            writer.commit().expect("commit");
        }
    });
    assert_eq!(stored(&lake), expected(0..800));
    assert_eq!(lake.verify().expect("verify").problems, []);
}

#[test]
fn a_stream_of_small_commits_compacts_itself() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = Lake::open_or_create(folder.path()).expect("lake");
    let writer = lake.writer(WriterOptions { checkpoint_every: 20, ..WriterOptions::default() }).expect("writer");
    for start in 0..60 {
        append(&writer, &records(start * 5..start * 5 + 5));
        writer.commit().expect("commit");
    }
    let status = lake.status().expect("status");
    assert!(status.files <= 3 * 15, "60 commits to three days left {} files", status.files);
    assert_eq!(stored(&lake), expected(0..300));
    let checkpoints = fs::read_dir(folder.path().join("_delta_log")).expect("log");
    let is_checkpoint = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().contains(".checkpoint.");
    assert!(checkpoints.map(|entry| entry.expect("entry")).filter(is_checkpoint).count() >= 2);
    assert_eq!(stored(&Lake::open(folder.path()).expect("open")), expected(0..300), "read from a checkpoint");
}

#[test]
fn expiry_takes_whole_days() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = lake(folder.path());
    let second = Day::parse("2024-03-02").expect("a day");
    let is_kept = |(_, record): &(String, Value)| record["eventTime"].as_str().is_some_and(|time| time >= "2024-03-02");
    let report = lake.expire(second).expect("expire");
    let kept: Vec<_> = expected(0..600).into_iter().filter(is_kept).collect();
    assert_eq!((report.days, report.rows), (1, 600 - kept.len() as u64));
    assert_eq!(stored(&lake), kept);
    assert_eq!(lake.expire(second).expect("expire"), Default::default(), "once");
    let status = lake.status().expect("status");
    assert_eq!((status.first_day, status.days), (Some(second), 2));
}

#[test]
fn vacuum_takes_what_is_old_enough_and_unused_and_nothing_else() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = lake(folder.path());
    assert!(matches!(lake.vacuum(Duration::ZERO), Err(LakeError::ZeroRetention)));
    let replaced = data_files(folder.path());
    // Made long ago, but replaced just now: a reader may be in them.
    let made = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).expect("time");
    let just_now = made(&replaced[0]);
    let old = just_now - 10 * LONG;
    for path in &replaced {
        fs::File::options().write(true).open(path).expect("file").set_modified(old).expect("time");
    }
    let mut reader = lake.scan(&Scan::default()).expect("scan");
    let first = reader.next().expect("an event").expect("row");
    lake.compact(&CompactOptions::default()).expect("compact");
    // What killed writers leave: object_store's, ours, and a file that was never committed.
    let day = replaced[0].parent().expect("a day");
    let leftovers = [
        (day.join("part-0.parquet#1"), old),
        (day.join(".part-1.parquet.0123.tmp"), old),
        (day.join("part-2.zstd.parquet"), old),
        (folder.path().join("_delta_log/.00000000000000000099.json.4567.tmp"), old),
        (day.join("part-3.zstd.parquet"), just_now),
    ];
    for (path, time) in &leftovers {
        fs::write(path, "x").expect("write");
        fs::File::options().write(true).open(path).expect("file").set_modified(*time).expect("time");
    }
    let mine = folder.path().join("event_date=2024-03-01/notes.txt");
    fs::write(&mine, "not the lake's").expect("write");

    let report = lake.vacuum(LONG).expect("vacuum");
    assert_eq!((report.files, report.temporary), (1, 3), "{report:?}");
    assert_eq!(report.kept, replaced.len() as u64 + 1);
    assert!(leftovers[..4].iter().all(|(path, _)| !path.exists()) && leftovers[4].0.exists() && mine.exists());
    let rest: Result<Vec<_>, _> = reader.collect();
    assert_eq!(rest.expect("a reader in the middle goes on").len(), 599);
    assert!(!first.id().is_empty());

    let report = lake.vacuum(NONE).expect("vacuum");
    assert_eq!((report.files, report.kept), (replaced.len() as u64 + 1, 0));
    assert_eq!(lake.status().expect("status").unused_bytes, 0);
    assert_eq!(stored(&lake), expected(0..600));
    assert!(mine.exists());
}

/// Makes a file as old as if it had been written so long ago.
fn age(path: &Path, by: Duration) {
    let old = fs::metadata(path).and_then(|metadata| metadata.modified()).expect("time") - by;
    fs::File::options().write(true).open(path).expect("file").set_modified(old).expect("time");
}

#[test]
fn once_a_day_what_was_replaced_a_day_ago_is_deleted() {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let folder = tempfile::tempdir().expect("folder");
    let lake = lake(folder.path());
    assert_eq!(lake.status().expect("status").last_vacuum, None);
    let replaced = data_files(folder.path());
    lake.compact(&CompactOptions::default()).expect("compact");
    let report = lake.vacuum_daily().expect("vacuum").expect("there was none yet");
    assert_eq!((report.files, report.kept), (0, replaced.len() as u64), "a reader may be in them");

    // A day and an hour later.
    let before = lake.status().expect("status").last_vacuum.expect("it is written down");
    assert_eq!((before.files, before.bytes), (0, 0));
    for path in &replaced {
        age(path, DAY + LONG);
    }
    for entry in fs::read_dir(folder.path().join("_delta_log")).expect("log").map(|entry| entry.expect("entry").path())
    {
        let text = fs::read_to_string(&entry).unwrap_or_default();
        let Some(at) = text.find("\"deletionTimestamp\":").map(|at| at + "\"deletionTimestamp\":".len()) else {
            continue;
        };
        let millis: i64 = text[at..at + 13].parse().expect("milliseconds");
        let earlier = (millis - i64::try_from((DAY + LONG).as_millis()).expect("small")).to_string();
        fs::write(&entry, text.replace(&text[at..at + 10], &earlier[..10])).expect("write");
    }
    let lake = Lake::open(folder.path()).expect("lake");
    assert_eq!(lake.vacuum_daily().expect("vacuum"), None, "not twice a day");
    assert!(replaced.iter().all(|path| path.exists()));
    let note = folder.path().join("_trailhound.vacuum");
    let written = fs::read_to_string(&note).expect("the note");
    let yesterday = before.at.micros() / 1_000 - i64::try_from(DAY.as_millis()).expect("small");
    fs::write(&note, written.replace(&(before.at.micros() / 1_000).to_string(), &yesterday.to_string()))
        .expect("write");
    let report = lake.vacuum_daily().expect("vacuum").expect("it is due");
    assert_eq!((report.files, report.kept), (replaced.len() as u64, 0));
    assert!(!replaced.iter().any(|path| path.exists()));
    let status = lake.status().expect("status");
    let last = status.last_vacuum.expect("it is written down");
    assert_eq!((last.files, last.bytes, status.unused_files), (report.files, report.bytes, 0));
    assert_eq!(stored(&lake), expected(0..600));

    // A note that is damaged, or from the future by a clock that was set back, puts nothing off.
    for bad in ["{", "{\"at\":9999999999999,\"files\":0,\"bytes\":0}", "{\"at\":4000000000000,\"files\":0,\"bytes\":0}"]
    {
        fs::write(&note, bad).expect("write");
        assert!(lake.vacuum_daily().expect("vacuum").is_some(), "{bad}");
        assert_eq!(lake.vacuum_daily().expect("vacuum"), None);
    }
}

#[test]
fn a_vacuum_under_a_writer_is_an_error_and_no_loss() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = Lake::open_or_create(folder.path()).expect("lake");
    let writer = lake.writer(many_small_files()).expect("writer");
    append(&writer, &records(0..200));
    // Far too short a retention: it takes what is staged.
    lake.vacuum(NONE).expect("vacuum");
    assert!(matches!(writer.commit(), Err(LakeError::Vanished { .. })));
    assert_eq!(stored(&lake), [], "no entry names a file that is gone");
    drop(writer);
    let writer = lake.writer(many_small_files()).expect("writer");
    append(&writer, &records(0..200));
    writer.commit().expect("commit");
    assert_eq!(stored(&lake), expected(0..200));
}

#[test]
fn verification_names_what_is_wrong() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = lake(folder.path());
    let sound = lake.verify().expect("verify");
    assert_eq!((sound.rows, &sound.problems[..]), (600, &[][..]));
    let files = data_files(folder.path());
    fs::remove_file(&files[0]).expect("remove");
    let cut = fs::read(&files[1]).expect("read");
    fs::write(&files[1], &cut[..cut.len() - 7]).expect("write");
    // Same length, other content: two files of one size would do, so bytes in the middle are turned over.
    let mut turned = fs::read(&files[2]).expect("read");
    let middle = turned.len() / 3;
    turned[middle..middle + 40].iter_mut().for_each(|byte| *byte = !*byte);
    fs::write(&files[2], turned).expect("write");
    let problems = lake.verify().expect("verify").problems;
    let of = |path: &Path| -> Vec<&str> {
        let name = path.file_name().expect("name").to_string_lossy();
        problems.iter().filter(|problem| problem.file.ends_with(&*name)).map(|problem| problem.what.as_str()).collect()
    };
    assert_eq!(of(&files[0]), ["the file is missing"]);
    assert!(of(&files[1])[0].contains("bytes where the log says"), "{problems:?}");
    assert!(!of(&files[2]).is_empty(), "{problems:?}");
    assert!(of(&files[3]).is_empty());
}

fn tree(folder: &Path) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let modified = fs::metadata(&path).and_then(|metadata| metadata.modified()).expect("time");
            let name = path.strip_prefix(folder).expect("below").to_string_lossy().into_owned();
            found.insert(name, (fs::read(&path).expect("read"), modified));
        }
    }
    found
}

#[test]
fn the_classic_export_is_the_same_until_events_change() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = lake(&folder.path().join("lake"));
    let target = folder.path().join("classic");
    let all = ExportOptions::default();
    let first = lake.export_classic(&target, &all).expect("export");
    assert_eq!((first.written, first.unchanged, first.rows), (9, 0, 600), "three days of three regions");
    let before = tree(&target);
    let name = "year=2024/month=3/day=1/region=us-east-1/events.parquet";
    assert!(before.contains_key(name), "{:?}", before.keys());
    let again = lake.export_classic(&target, &all).expect("export");
    assert_eq!((again.written, again.unchanged), (0, 9));
    lake.compact(&CompactOptions::default()).expect("compact");
    let compacted = lake.export_classic(&target, &all).expect("export");
    assert_eq!((compacted.written, compacted.unchanged), (0, 9), "the lake's files do not show");
    assert_eq!(tree(&target), before, "not even a time changed");
    // A late event of the first day, whose region is a stranger's text.
    let late = serde_json::json!({
        "eventID": "late", "eventName": "X", "eventSource": "x.amazonaws.com", "awsRegion": "../../../x",
        "eventTime": "2024-03-01T05:00:00Z",
    });
    let writer = lake.writer(many_small_files()).expect("writer");
    writer.append(&events(&[late.to_string()]), "late", now()).expect("append");
    writer.commit().expect("commit");
    let third = lake.export_classic(&target, &all).expect("export");
    assert_eq!((third.written, third.unchanged, third.rows), (1, 9, 601));
    let names: Vec<String> = tree(&target).into_keys().filter(|name| !before.contains_key(name)).collect();
    assert_eq!(names, ["year=2024/month=3/day=1/region=unknown/events.parquet"]);
    let one_day = ExportOptions { from: Day::parse("2024-03-02"), to: Day::parse("2024-03-02") };
    assert_eq!(lake.export_classic(&folder.path().join("one"), &one_day).expect("export").written, 3);
}

#[test]
fn another_delta_table_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    drop(lake(folder.path()));
    let entry = folder.path().join("_delta_log/00000000000000000000.json");
    let text = fs::read_to_string(&entry).expect("entry");
    for (from, to, reason) in [
        ("\"trailhound.format\":\"1\"", "\"trailhound.format\":\"2\"", "its format is 2"),
        ("trailhound.format", "something.else", "without the property"),
        ("\\\"name\\\":\\\"event_name\\\"", "\\\"name\\\":\\\"other\\\"", "no column event_name"),
    ] {
        assert!(text.contains(from), "{from}");
        fs::write(&entry, text.replace(from, to)).expect("write");
        match Lake::open(folder.path()) {
            Err(LakeError::NotALake { reason: found, .. }) => assert!(found.contains(reason), "{found}"),
            other => panic!("{other:?}"),
        }
    }
}

//! Files that the lake no longer needs are deleted by themselves, once a day.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use crate::daemon::eventually;
use crate::live::{Live, record};
use crate::support::World;

fn note(world: &World) -> PathBuf {
    world.home().join("lake/_trailhound.vacuum")
}

/// A lake with a file that nothing refers to and that was written a day and an hour ago, and the logs that made it.
fn with_leftover(world: &World) -> (PathBuf, PathBuf) {
    let event = testkit::event("CreateUser").iam_user("alice").at("2026-01-30T10:00:00Z").build();
    let logs = world.file("logs.json", json!({ "Records": [event] }).to_string());
    world.ingest(&logs).code(0);
    let leftover = world.file("home/lake/event_date=2026-01-30/part-left.zstd.parquet", "x");
    let written = std::fs::metadata(&leftover).and_then(|metadata| metadata.modified()).unwrap();
    let file = std::fs::File::options().write(true).open(&leftover).unwrap();
    file.set_modified(written - Duration::from_secs(25 * 3600)).unwrap();
    (logs, leftover)
}

#[test]
fn ingest_deletes_once_a_day_and_says_where_that_fails() {
    let world = World::new();
    let (logs, leftover) = with_leftover(&world);
    let status = || world.run(["lake", "status", "--format", "json"]).code(0).json();
    assert_eq!(status()["replaced_files"], 1);
    world.ingest(&logs).code(0);
    assert!(leftover.exists(), "not twice a day");

    std::fs::remove_file(note(&world)).unwrap();
    assert!(world.run(["lake", "status"]).code(0).stdout().contains("cleaned up    never"));
    assert_eq!(world.ingest(&logs).code(0).stderr(), "");
    assert!(!leftover.exists());
    let after = status();
    assert_eq!((&after["replaced_files"], &after["last_vacuum"]["files"]), (&json!(0), &json!(1)));
    assert_eq!(after["last_vacuum"]["bytes"], 1);
    let shown = world.run(["lake", "status"]).code(0).stdout();
    assert!(shown.contains("Z: 1 file (1 B) deleted"), "{shown}");

    // What was read is stored all the same.
    std::fs::remove_file(note(&world)).unwrap();
    std::fs::create_dir(note(&world)).unwrap();
    let told = world.ingest(&logs).code(0).stderr();
    assert!(told.contains("note: files that the lake no longer needs were not deleted: "), "{told}");
    assert!(told.contains("_trailhound.vacuum"), "{told}");
}

#[test]
fn collect_deletes_them_too() {
    let live = Live::with(|_| (), &[record("CreateUser", "iam", "us-east-1", 4000, "a")]);
    let (_, leftover) = with_leftover(&live.world);
    live.collect().code(0);
    assert!(leftover.exists(), "not twice a day");
    std::fs::remove_file(note(&live.world)).unwrap();
    live.collect().code(0);
    assert!(!leftover.exists());
}

#[cfg(unix)]
#[test]
fn the_daemon_deletes_them_while_it_runs() {
    let live = Live::new(|_| ());
    live.configure("[run]\nevery_seconds = 1\n");
    let (_, leftover) = with_leftover(&live.world);
    let _daemon = live.daemon();
    eventually("a pass", || live.log().contains("serving http://").then_some(()));
    std::thread::sleep(Duration::from_secs(2));
    assert!(leftover.exists(), "not twice a day");
    std::fs::remove_file(note(&live.world)).unwrap();
    eventually("the file is gone", || (!leftover.exists()).then_some(()));
}

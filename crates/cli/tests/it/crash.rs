//! A crash anywhere, then the same command again, equals no crash.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Stored, World, small_trail};

/// A trail and, beside it, a file that has something for `rejected.jsonl` and `variants.jsonl`.
fn logs(world: &World) -> std::path::PathBuf {
    let folder = small_trail(&world.path("logs"));
    let event = |name: &str| {
        testkit::event(name)
            .iam_user("alice")
            .id("00000000-0000-4000-8000-000000000001")
            .at("2026-01-30T10:00:00Z")
            .build()
    };
    let records = format!("{}\n{}\n{{\"eventName\":\"NoTime\"}}\n", event("CreateUser"), event("DeleteUser"));
    world.file("logs/AWSLogs/extra.json", records);
    folder
}

fn undisturbed(world: &World, logs: &Path) -> Stored {
    world.ingest(logs).code(3);
    let stored = Stored::of(world);
    assert_eq!((stored.rejected.len(), stored.variants.len()), (1, 1));
    assert!(stored.records.len() > 1_500 && stored.alerts.len() > 20);
    stored
}

#[test]
fn every_failpoint_of_ingest_then_again_equals_no_crash() {
    let calm = World::new();
    let logs = logs(&calm);
    let expected = undisturbed(&calm, &logs);

    let points = lake::FAILPOINTS
        .iter()
        .chain(local::state::FAILPOINTS)
        .chain(local::aside::FAILPOINTS)
        .chain(pipeline::ingest::FAILPOINTS);
    let mut hit = Vec::new();
    let mut never = Vec::new();
    for point in points {
        let world = World::new();
        let crashed = world
            .command()
            .args(["ingest", "--summary", "json"])
            .arg(&logs)
            .env("FAILPOINTS", format!("{point}=return"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        match crashed.signal() {
            Some(6) => hit.push(*point),
            _ => {
                // Points of other commands; they have tests of their own.
                assert_eq!(crashed.code(), Some(3), "{point}");
                never.push(*point);
                continue;
            }
        }
        world.ingest(&logs).code(3);
        Stored::of(&world).assert_same(&expected, point);
    }
    // The points that no ingest passes: compaction, expiry, vacuum and export, and what only later commands write.
    assert!(hit.len() >= 8, "hit only {hit:?}; never {never:?}");
    assert!(pipeline::ingest::FAILPOINTS.iter().all(|point| hit.contains(point)), "never hit: {never:?}");
}

#[test]
fn a_hundred_kills_at_random_moments_then_again_equal_no_kill() {
    let calm = World::new();
    let logs = logs(&calm);
    let started = Instant::now();
    let expected = undisturbed(&calm, &logs);
    let whole = started.elapsed();

    let mut random = fastrand::Rng::with_seed(0x7ea1);
    let mut killed = 0;
    while killed < 100 {
        let world = World::new();
        // Some homes see one kill, some many.
        for _ in 0..random.u32(1..=12) {
            let mut child = world
                .command()
                .args(["ingest", "--summary", "json"])
                .arg(&logs)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_millis(random.u64(0..=whole.as_millis() as u64)));
            child.kill().unwrap();
            if child.wait().unwrap().signal() == Some(9) {
                killed += 1;
            }
        }
        world.ingest(&logs).code(3);
        Stored::of(&world).assert_same(&expected, &format!("after {killed} kills"));
    }
}

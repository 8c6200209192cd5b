//! A crash anywhere, then the same command again, equals no crash.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Stored, World, small_trail};

/// The points of the lake that an ingest of files into an empty home does not meet: of races, of a log or days that have grown,
/// and of other commands. They have tests of their own.
const NOT_OF_INGEST: [&str; 14] = [
    "lake::rewrite::before-put",
    "lake::rewrite::after-put",
    "lake::checkpoint::before",
    "lake::checkpoint::after",
    "lake::checkpoint::after-cleanup",
    "lake::compact::before-put",
    "lake::compact::after-put",
    "lake::compact::before-commit",
    "lake::compact::after-commit",
    "lake::expire::before-commit",
    "lake::expire::after-commit",
    "lake::vacuum::between-deletes",
    "lake::export::before-write",
    "lake::export::after-write",
];

/// The transactions of the state that it does not need.
const TRANSACTIONS_NOT_OF_INGEST: [&str; 15] = [
    "acknowledge",
    "unacknowledge",
    "suppress-alerts",
    "expire-alerts",
    "claim",
    "settle",
    "add-suppression",
    "remove-suppression",
    "mark-objects",
    "save-streams",
    "save-scope",
    "pause-stream",
    "add-evidence",
    "prove",
    "failures-told",
];

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
                assert_eq!(crashed.code(), Some(3), "{point}");
                never.push(*point);
                continue;
            }
        }
        world.ingest(&logs).code(3);
        Stored::of(&world).assert_same(&expected, point);
    }
    let transactions = TRANSACTIONS_NOT_OF_INGEST
        .iter()
        .flat_map(|name| ["before", "before-commit", "after-commit"].map(|point| format!("state::{name}::{point}")));
    let expected: Vec<String> = NOT_OF_INGEST.map(str::to_owned).into_iter().chain(transactions).collect();
    assert_eq!(never, expected, "hit: {hit:?}");
}

#[test]
fn a_hundred_kills_at_random_moments_also_of_racing_processes_then_again_equal_no_kill() {
    let calm = World::new();
    let logs = logs(&calm);
    let started = Instant::now();
    let expected = undisturbed(&calm, &logs);
    let whole = started.elapsed();

    let mut random = fastrand::Rng::with_seed(0x7ea1);
    let (mut rounds, mut killed, mut killed_racing) = (0, 0, 0);
    while killed < 100 {
        let world = World::new();
        let start = || {
            let mut command = world.command();
            command.args(["ingest", "--summary", "json"]).arg(&logs);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        };
        // Some homes see one kill, some many.
        for _ in 0..random.u32(1..=12) {
            rounds += 1;
            let is_race = rounds % 3 == 0;
            let mut racers = vec![start()];
            if is_race {
                racers.push(start());
            }
            std::thread::sleep(Duration::from_millis(random.u64(0..=whole.as_millis() as u64)));
            let mut survivor = (is_race && random.bool()).then(|| racers.remove(random.usize(0..2)));
            for mut racer in racers {
                racer.kill().unwrap();
                if racer.wait().unwrap().signal() == Some(9) {
                    killed += 1;
                    killed_racing += u32::from(is_race);
                }
            }
            // Who is left finishes the work of both, and there is nothing more to kill in this home.
            if let Some(survivor) = &mut survivor {
                assert_eq!(survivor.wait().unwrap().code(), Some(3), "after {killed} kills");
                break;
            }
        }
        world.ingest(&logs).code(3);
        Stored::of(&world).assert_same(&expected, &format!("after {killed} kills"));
    }
    assert!(killed_racing >= 20, "only {killed_racing} were killed in a race");
}

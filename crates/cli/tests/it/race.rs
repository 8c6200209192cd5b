//! Two processes at once store every event once.

use std::process::Stdio;

use serde_json::Value;

use crate::support::{Stored, World, small_trail};

#[test]
fn two_processes_reading_the_same_logs_store_each_event_once() {
    let calm = World::new();
    let logs = small_trail(&calm.path("logs"));
    let alone = calm.ingest(&logs).code(0).json();
    let expected = Stored::of(&calm);

    let world = World::new();
    let start = || {
        world
            .command()
            .args(["ingest", "--summary", "json"])
            .arg(&logs)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let racers = [start(), start()];
    let mut stored = 0;
    for racer in racers {
        let output = racer.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["read"], alone["read"]);
        stored += report["stored"].as_u64().unwrap();
    }
    assert_eq!(Some(stored), alone["stored"].as_u64(), "the two together store what one stores alone");
    Stored::of(&world).assert_same(&expected, "raced");
}

#[test]
fn threads_change_nothing() {
    let one = World::new();
    let logs = small_trail(&one.path("logs"));
    let single = one.run(["ingest", "--threads", "1", "--summary", "json", logs.to_str().unwrap()]).code(0).json();
    let many = World::new();
    let eight = many.run(["ingest", "--threads", "8", "--summary", "json", logs.to_str().unwrap()]).code(0).json();
    for count in ["items", "read", "stored", "duplicates", "variants", "rejected", "inflated", "alerts"] {
        assert_eq!(single[count], eight[count], "{count}");
    }
    Stored::of(&many).assert_same(&Stored::of(&one), "8 threads");
}

//! The adapters for trails against an emulator of S3, SQS, SNS and EventBridge that runs on this machine.
//!
//! `TRAILHOUND_PYTHON` names an interpreter with the pinned requirements; without it the test says so and ends.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]
#![expect(clippy::print_stderr, reason = "a test says what it did not do, and what it measured")]

mod emulator;
mod scenes;

use std::net::TcpListener;
use std::process::Command;

use emulator::Emulator;

/// Names the scene to the process that plays it.
const SCENE: &str = "TRAILHOUND_TEST_SCENE";

/// Plays a scene in a process of its own: credentials and endpoints come from the environment, which a process cannot
/// change for itself.
fn play(scene: &str) {
    let Some(python) = std::env::var_os(emulator::PYTHON).filter(|python| !python.is_empty()) else {
        eprintln!("skipped: {} is not set", emulator::PYTHON);
        return;
    };
    // Free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["scene", "--exact", "--ignored", "--nocapture"])
        .env(SCENE, scene)
        .env(emulator::PYTHON, python)
        .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))
        .envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_REGION", "us-east-1")])
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env_remove("AWS_PROFILE")
        .env_remove("AWS_ENDPOINT_URL_S3")
        .status()
        .unwrap();
    assert!(ended.success(), "{scene}");
}

#[test]
fn a_bucket_is_listed_and_read() {
    play("bucket");
}

#[test]
fn a_queue_gives_keeps_and_forgets() {
    play("queue");
}

#[test]
fn what_s3_sns_and_eventbridge_tell_is_read_once() {
    play("consumer");
}

#[test]
fn an_alert_is_recorded_before_a_person_would_notice() {
    play("latency");
}

/// The scene that the environment names, in the process that was started for it.
#[test]
#[ignore = "started by the other tests, with an environment of its own"]
fn scene() {
    let Ok(name) = std::env::var(SCENE) else { return };
    let emulator = Emulator::start(&std::env::var("AWS_ENDPOINT_URL").unwrap());
    match name.as_str() {
        "bucket" => scenes::bucket(&emulator),
        "queue" => scenes::queue(&emulator),
        "consumer" => scenes::consumer(&emulator),
        "latency" => scenes::latency(&emulator),
        other => panic!("no scene {other:?}"),
    }
}

//! Every output format, as it is.

use serde_json::json;

use crate::support::World;

/// Two events whose every shown field is known.
fn world() -> World {
    let world = World::new();
    let mut root = testkit::event("ConsoleLogin")
        .source("signin")
        .root()
        .id("11111111-1111-4111-8111-111111111111")
        .at("2026-01-30T09:00:00Z")
        .response(json!({"ConsoleLogin": "Success"}))
        .build();
    root["sourceIPAddress"] = json!("198.51.100.7");
    root["awsRegion"] = json!("us-east-1");
    root["userAgent"] = json!("Mozilla/5.0");
    let mut denied = testkit::event("CreateUser")
        .iam_user("alice")
        .id("22222222-2222-4222-8222-222222222222")
        .at("2026-01-30T10:00:00Z")
        .request(json!({"userName": "mallory, \"the\" second"}))
        .error("AccessDenied")
        .build();
    denied["sourceIPAddress"] = json!("203.0.113.9");
    denied["awsRegion"] = json!("us-east-1");
    denied["userAgent"] = json!("aws-cli/2.15.0");
    world.file("logs.json", json!({"Records": [root, denied]}).to_string());
    world.ingest(&world.path("logs.json")).code(0);
    world
}

fn snapshot(name: &str, text: &str) {
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn events_in_every_format() {
    let world = world();
    for format in ["table", "json", "jsonl", "csv"] {
        snapshot(&format!("events_{format}"), &world.run(["events", "--format", format]).code(0).stdout());
    }
    snapshot("events_raw", &world.run(["events", "--raw"]).code(0).stdout());
}

#[test]
fn alerts_in_every_format() {
    let world = world();
    // When the alert was first seen is the clock's.
    let still = |text: String| {
        let mut text = text;
        while let Some(place) = text.find(&chrono_now()) {
            let end = text[place..].find('Z').unwrap() + place + 1;
            text.replace_range(place..end, "[clock]");
        }
        text
    };
    for format in ["table", "json", "csv"] {
        snapshot(&format!("alerts_{format}"), &still(world.run(["alerts", "--format", format]).code(0).stdout()));
    }
    snapshot("alerts_export", &still(world.run(["alerts", "export"]).code(0).stdout()));
    let list = world.run(["alerts", "--format", "json"]).code(0).json();
    let id = list[1]["id"].as_str().unwrap();
    snapshot("alert_show", &still(world.run(["alerts", "show", id]).code(0).stdout()));
    snapshot("alert_message", &still(world.run(["alerts", "show", id, "--message"]).code(0).stdout()));
}

/// The day of the clock, as the ledger writes it.
fn chrono_now() -> String {
    #[expect(clippy::disallowed_methods, reason = "the binary under test reads the clock")]
    let now = jiff::Timestamp::now();
    now.strftime("%Y-%m-%dT").to_string()
}

#[test]
fn help_and_lists() {
    let world = World::new();
    snapshot("help", &world.run(["--help"]).code(0).stdout());
    for command in [
        "demo",
        "ingest",
        "events",
        "alerts",
        "suppress",
        "detections",
        "lake",
        "export",
        "config",
        "status",
        "completions",
    ] {
        let help = world.run([command, "--help"]).code(0).stdout();
        assert!(help.contains("Examples:"), "{command} has no examples");
    }
    snapshot("detections_list", &world.run(["detections", "list"]).code(0).stdout());
    snapshot("detections_show", &world.run(["detections", "show", "access-key-created"]).code(0).stdout());
    let shown = world.run(["config", "show"]).code(0).stdout();
    snapshot("config_show", &shown);
}

#[test]
fn completions_for_every_shell() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(world.run(["completions", shell]).code(0).stdout().contains("trailhound"), "{shell}");
    }
}

#[test]
fn config_init_writes_a_file_that_is_read_and_never_overwritten() {
    let world = World::new();
    world.run(["config", "init"]).code(0);
    world.run(["config", "show"]).code(0);
    world.run(["config", "init"]).code(2);
}

//! Every output format, as it is.

use serde_json::json;

use crate::support::World;

/// Two events whose every shown field is known.
pub(crate) fn world() -> World {
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

pub(crate) fn snapshot(name: &str, text: &str) {
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

/// The text without the times of the clock.
fn still(text: String) -> String {
    let mut text = text;
    while let Some(place) = text.find(&chrono_now()) {
        let end = text[place..].find('Z').unwrap() + place + 1;
        text.replace_range(place..end, "[clock]");
    }
    text
}

/// The text without this machine's folders, and without what a run takes or a lake is called by chance.
fn anywhere(world: &World, text: &str) -> String {
    let text = text.replace(&world.home().display().to_string(), "[home]");
    let text = still(text.replace(&world.path("").display().to_string(), "[world]/"));
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for line in &mut lines {
        for (before, after) in [
            (" inflated) in ", ""),
            ("\"seconds\": ", ","),
            ("\"id\": \"", "\","),
            ("\"bytes\": ", ","),
            ("lake          ", " in "),
        ] {
            let Some(start) = line.find(before).map(|place| place + before.len()) else { continue };
            let end =
                if after.is_empty() { Some(line.len()) } else { line[start..].find(after).map(|end| start + end) };
            line.replace_range(start..end.unwrap_or(line.len()), "[measured]");
        }
    }
    lines.join("\n")
}

#[test]
fn what_runs_and_lakes_say_of_themselves() {
    let world = World::new();
    let rejected = json!({"Records": [{"eventName": "GetUser"}, {"note": "no record"}]}).to_string();
    let event = testkit::event("StopLogging")
        .source("cloudtrail")
        .iam_user("alice")
        .id("33333333-3333-4333-8333-333333333333")
        .at("2025-12-01T10:00:00Z")
        .request(json!({"name": "trail"}))
        .build();
    world.file("logs/good.json", json!({"Records": [event.clone(), event]}).to_string());
    world.file("logs/odd.json", rejected);
    world.file("logs/cut.json", r#"{"Records":[{"eventName":"#);
    world.file("logs/README.md", "not a log");
    let logs = world.path("logs");
    let logs = logs.to_str().unwrap();
    snapshot("ingest_text", &anywhere(&world, &world.run(["ingest", "--threads", "1", logs]).code(3).stderr()));
    let again = world.run(["ingest", "--threads", "1", "--summary", "json", "--fail-on", "high", logs]).code(3);
    snapshot("ingest_json", &anywhere(&world, &again.stdout()));
    for arguments in [
        vec!["status"],
        vec!["status", "--format", "json"],
        vec!["lake", "status"],
        vec!["lake", "status", "--format", "json"],
        vec!["lake", "verify"],
        vec!["lake", "compact"],
        vec!["lake", "expire", "--older-than", "3y", "--dry-run"],
        vec!["config", "path"],
    ] {
        let name = arguments.iter().map(|word| word.trim_start_matches('-')).collect::<Vec<_>>().join("_");
        snapshot(&name, &anywhere(&world, &world.run(&arguments).code(0).stdout()));
    }
    let reason = ["--reason", "maintenance", "--until", "2099-01-01", "--by", "bob"];
    let mut add = vec!["suppress", "add", "--detection", "cloudtrail-tampered", "--principal", "alice"];
    add.extend(reason);
    snapshot("suppress_add", &world.run(&add).code(0).stdout());
    for format in ["table", "json", "jsonl", "csv"] {
        let listed = world.run(["suppress", "list", "--format", format]).code(0).stdout();
        snapshot(&format!("suppress_list_{format}"), &still(listed));
    }
    let expired = world.run(["lake", "expire", "--older-than", "30d"]).code(0).stdout();
    snapshot("lake_expire", &anywhere(&world, &expired));
    assert_eq!(world.run(["alerts", "--suppressed", "--format", "json"]).code(0).json(), json!([]));
}

#[test]
fn what_a_deployment_would_cost_is_reckoned_without_aws() {
    let world = World::new();
    let cost = |more: &[&str]| world.run([&["aws", "cost", "--events-per-month", "100000000"], more].concat());
    let ran = cost(&["--parameter", "EnableSecurityAlerts=false"]).code(0);
    snapshot("aws_cost", &format!("{}\n{}", ran.stdout(), ran.stderr()));
    assert!(cost(&["--parameter", "EnableAnalytics=no"]).code(2).stderr().contains("it is one of true, false"));
    assert!(cost(&["--parameter", "MemberAccounts=organization"]).code(0).stderr().contains("one account is counted"));
    assert!(!cost(&["--parameter", "CreateTrail=false"]).code(0).stderr().contains("beside another trail"));
}

#[test]
fn a_narrow_terminal_breaks_no_id() {
    let world = world();
    for width in ["60", "80", "100", "160"] {
        let table = world.command().args(["alerts"]).env("COLUMNS", width).output().unwrap();
        let table = String::from_utf8(table.stdout).unwrap();
        assert!(table.lines().all(|line| line.chars().count() <= width.parse().unwrap()), "{table}");
        assert!(
            table.lines().any(|line| line.trim_start().starts_with("9714dba5a9  2026-01-30T09:00:00Z  ")),
            "{table}"
        );
    }
}

#[test]
fn alerts_in_every_format() {
    let world = world();
    for format in ["table", "json", "jsonl", "csv"] {
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

#[test]
fn a_mistake_in_the_configuration_names_its_place_and_its_key() {
    let world = World::new();
    world.file("home/trailhound.toml", "[limits]\nmax_inflated = \"1GB\"\n");
    let told = world.run(["config", "show"]).code(2).stderr();
    assert!(told.contains("trailhound.toml: limits.max_inflated: "), "{told}");
    let world = World::new();
    let told = world.command().args(["config", "show"]).env("TRAILHOUND_LIMITS_MAX_INFLATED", "-5").output().unwrap();
    let told = String::from_utf8(told.stderr).unwrap();
    assert!(
        told.contains("TRAILHOUND_LIMITS_MAX_INFLATED: limits.max_inflated: ") && !told.contains(".toml"),
        "{told}"
    );
}

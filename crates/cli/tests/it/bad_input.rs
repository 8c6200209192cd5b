//! Whatever a stranger's file holds: one clear line, the rest kept, nothing doubled, the right exit code.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::support::{Ran, World};

fn event(number: u32) -> Value {
    testkit::event("CreateUser")
        .iam_user("alice")
        .id(&format!("00000000-0000-4000-8000-{number:012}"))
        .at("2026-01-30T10:00:00Z")
        .request(json!({"userName": format!("user-{number}")}))
        .build()
}

fn trail(numbers: std::ops::Range<u32>) -> String {
    json!({"Records": numbers.map(event).collect::<Vec<_>>()}).to_string()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Ingests one bad file beside a good one, twice; checks what is kept and that the file is named with its reason.
#[track_caller]
fn check(name: &str, content: &[u8], kept: u64, reason: &str) {
    let world = World::new();
    world.file("logs/good.json", trail(900..903));
    world.file(&format!("logs/{name}"), content);
    let first = world.ingest(&world.path("logs")).code(3);
    let report = first.json();
    assert_eq!(report["stored"], kept + 3, "{report}");
    let stderr = first.stderr();
    let lines: Vec<&str> = stderr.lines().filter(|line| line.contains(name)).collect();
    assert_eq!(lines.len(), 1, "one line names the file: {stderr}");
    assert!(lines[0].contains(reason), "{stderr}");
    assert!(stderr.len() < 2_000, "a short message: {stderr}");

    let rejected = std::fs::read_to_string(world.home().join("rejected.jsonl")).unwrap_or_default();
    let again = world.ingest(&world.path("logs")).code(3).json();
    assert_eq!((&again["stored"], &again["duplicates"]), (&json!(0), &json!(kept + 3)));
    let after = std::fs::read_to_string(world.home().join("rejected.jsonl")).unwrap_or_default();
    assert_eq!(rejected, after, "rejected records are kept once");
    world.run(["lake", "verify"]).code(0);
}

#[test]
fn a_cut_off_gzip_keeps_what_came_before() {
    let whole = gzip(&trail(0..2000));
    let world = World::new();
    world.file("cut.json.gz", &whole[..whole.len() / 2]);
    let ran = world.ingest(&world.path("cut.json.gz")).code(3);
    let report = ran.json();
    let stored = report["stored"].as_u64().unwrap();
    assert!(stored > 500 && stored < 2000, "{report}");
    assert_eq!(report["damaged"], 1);
    assert!(ran.stderr().contains("cut.json.gz: the gzip data is cut off"), "{}", ran.stderr());
}

#[test]
fn trailing_bytes_are_told() {
    let mut bytes = gzip(&trail(0..5));
    bytes.extend_from_slice(b"something else");
    check("trailing.json.gz", &bytes, 5, "no gzip member");
}

#[test]
fn a_flipped_byte_is_told() {
    let mut bytes = gzip(&trail(0..5));
    let middle = bytes.len() - 5;
    bytes[middle] ^= 0xff;
    // The checksum does not fit; every record came out whole before that was known.
    check("flipped.json.gz", &bytes, 5, "damaged");
}

#[test]
fn a_bomb_is_stopped_at_the_cap() {
    let world = World::new();
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(br#"{"Records":["#).unwrap();
    bomb.write_all(event(1).to_string().as_bytes()).unwrap();
    let blank = vec![b' '; 1 << 20];
    for _ in 0..64 {
        bomb.write_all(&blank).unwrap();
    }
    world.file("bomb.json.gz", bomb.finish().unwrap());
    world.file("home/trailhound.toml", "[limits]\nmax_inflated = 10000000\n");
    let ran = world.ingest(&world.path("bomb.json.gz")).code(3);
    assert_eq!(ran.json()["stored"], 1);
    assert!(ran.stderr().contains("more than the limit of 10000000 bytes (limits.max_inflated)"), "{}", ran.stderr());
}

#[test]
fn invalid_utf_8_costs_one_record() {
    let text = trail(0..3).replace("user-1", "user-\u{fffd}");
    let mut bytes = text.into_bytes();
    let place = bytes.windows(3).position(|window| window == "\u{fffd}".as_bytes()).unwrap();
    bytes[place] = 0xff;
    check("latin.json", &bytes, 2, "invalid UTF-8");
}

#[test]
fn deep_nesting_costs_one_record() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let mut bad = event(1).to_string();
    bad.insert_str(1, &format!("\"deep\":{deep},"));
    let text = format!(r#"{{"Records":[{},{bad},{}]}}"#, event(0), event(2));
    check("deep.json", text.as_bytes(), 2, "nested deeper than 100 levels");
}

#[test]
fn json_of_another_kind_is_no_event() {
    check("package.json", br#"{"name": "thing", "version": "1.0.0"}"#, 0, "neither eventName nor eventSource");
}

#[test]
fn text_is_no_json() {
    check("notes.txt.json", b"these are my notes\n", 0, "not JSON");
}

#[test]
fn a_record_with_a_bad_time_is_rejected_and_one_without() {
    let mut bad = event(1);
    bad["eventTime"] = json!("yesterday");
    check("bad-time.json", json!({"Records": [event(0), bad]}).to_string().as_bytes(), 1, "eventTime is not a time");
    let mut none = event(1);
    none.as_object_mut().unwrap().remove("eventTime");
    check(
        "no-time.json",
        json!({"Records": [event(0), none]}).to_string().as_bytes(),
        1,
        "the record has no eventTime",
    );
}

#[test]
fn a_broken_line_costs_one_record() {
    let lines = format!("{}\n{{\"eventName\": broken}}\n{}\n", event(0), event(1));
    check("lines.jsonl", lines.as_bytes(), 2, "not valid JSON");
}

/// The binary as somebody whom permissions hold back, in a world that is open to everybody: root reads everything.
fn as_nobody(world: &World) -> Command {
    const NOBODY: u32 = 65_534;
    let folder = world.path("");
    if std::fs::metadata(&folder).unwrap().uid() != 0 {
        return world.command();
    }
    // Its own folder may be open to root alone.
    let binary = world.path("trailhound");
    let built = env!("CARGO_BIN_EXE_trailhound");
    std::fs::hard_link(built, &binary).or_else(|_| std::fs::copy(built, &binary).map(drop)).unwrap();
    std::fs::create_dir_all(world.home()).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::chown(world.home(), Some(NOBODY), Some(NOBODY)).unwrap();
    let mut command = world.command_of(&binary, &world.home());
    command.uid(NOBODY).gid(NOBODY);
    command
}

#[test]
fn a_missing_path_and_an_unreadable_folder_do_not_stop_the_rest() {
    let world = World::new();
    world.file("logs/good.json", trail(0..3));
    world.file("closed/hidden.json", trail(3..6));
    std::fs::set_permissions(world.path("closed"), std::fs::Permissions::from_mode(0o000)).unwrap();
    std::os::unix::fs::symlink("nothing", world.path("dangling")).unwrap();
    let arguments = ["ingest", "--summary", "json"]
        .map(str::to_owned)
        .into_iter()
        .chain(["nowhere", "closed", "dangling", "logs"].map(|name| world.path(name).display().to_string()));
    let ran = Ran(as_nobody(&world).args(arguments).output().unwrap()).code(3);
    std::fs::set_permissions(world.path("closed"), std::fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["nowhere: ", "dangling: ", "closed: "] {
        assert_eq!(ran.stderr().lines().filter(|line| line.contains(name)).count(), 1, "{name}{}", ran.stderr());
    }
    assert_eq!((&ran.json()["stored"], &ran.json()["unreadable"]), (&json!(3), &json!(3)));
    // What was not read stays on record.
    let aside = std::fs::read_to_string(world.home().join("rejected.jsonl")).unwrap();
    assert_eq!(aside.lines().count(), 3, "{aside}");
    let status = world.run(["status", "--format", "json"]).code(0).json();
    assert_eq!(status["runs"][0]["end"]["unread"], 3);
}

#[test]
fn a_strangers_text_reaches_no_terminal_path_or_formula() {
    let world = World::new();
    let mut nasty = event(1);
    nasty["userAgent"] = json!("\u{1b}]0;owned\u{7}\u{1b}[31mred\u{202e}");
    nasty["awsRegion"] = json!("../../../escaped");
    nasty["recipientAccountId"] = json!("../x");
    nasty["userIdentity"]["userName"] = json!("=HYPERLINK(\"http://x\")");
    nasty["sourceIPAddress"] = json!("@SUM(1)\r\nforged\u{9b}2J");
    world.file(
        "logs/nasty\u{1b}[2J\nforged: all is well.json",
        json!({"Records": [nasty, {"eventName": "\u{1b}[2J"}]}).to_string(),
    );
    let ran = world.ingest(&world.path("logs")).code(3);
    let mut shown = vec![ran.stderr(), ran.stdout()];
    for arguments in [
        vec!["events"],
        vec!["events", "--format", "csv"],
        vec!["events", "--format", "json"],
        vec!["events", "--raw"],
        vec!["alerts"],
        vec!["alerts", "export"],
        vec!["alerts", "--format", "csv"],
        vec!["status"],
    ] {
        let ran = world.run(&arguments).code(0);
        shown.extend([ran.stdout(), ran.stderr()]);
    }
    let list = world.run(["alerts", "--format", "json"]).code(0).json();
    let id = list[0]["id"].as_str().unwrap();
    shown.push(world.run(["alerts", "show", id]).code(0).stdout());
    shown.push(world.run(["alerts", "show", id, "--message"]).code(0).stdout());
    for text in &shown {
        let bad = text.chars().find(|&character| {
            (character.is_control() && character != '\n') || matches!(character, '\u{202a}'..='\u{202e}')
        });
        assert_eq!(bad, None, "in {text:?}");
        // Neither a file's name nor a field begins a line of its own.
        assert!(!text.lines().any(|line| line.starts_with("forged")), "{text:?}");
    }
    let csv = world.run(["events", "--format", "csv"]).code(0).stdout();
    assert!(csv.contains("'=HYPERLINK"), "{csv}");
    assert!(!world.path("escaped").exists() && !world.home().join("x").exists());
    world.run(["export", "--output", world.path("out/deep/er").to_str().unwrap()]).code(0);
    let outside: Vec<_> = walkdir::WalkDir::new(world.path("."))
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.to_string_lossy().contains("escaped"))
        .collect();
    assert!(outside.is_empty(), "{outside:?}");
}

#[test]
fn a_large_file_streams_and_memory_stays_flat() {
    let world = World::new();
    let mut file = std::io::BufWriter::new(std::fs::File::create(world.path("large.json")).unwrap());
    file.write_all(br#"{"Records":["#).unwrap();
    let mut template = event(0);
    template["requestParameters"] = json!({"blob": "x".repeat(20_000)});
    let template = template.to_string();
    let mut written = 0usize;
    let mut number = 0;
    while written < 200 << 20 {
        if number > 0 {
            file.write_all(b",").unwrap();
        }
        let text = template.replace("000000000000", &format!("{number:012}"));
        written += text.len();
        number += 1;
        file.write_all(text.as_bytes()).unwrap();
    }
    file.write_all(b"]}").unwrap();
    file.into_inner().unwrap().sync_all().unwrap();
    let mut child = world
        .command()
        .args(["ingest", "--summary", "json"])
        .arg(world.path("large.json"))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        if let Some(line) = text.lines().find(|line| line.starts_with("VmHWM:")) {
            peak = line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["stored"], number);
    assert!(peak > 0 && peak < 300 << 10, "{peak} KiB at the peak");
}

#[test]
fn an_interrupted_run_keeps_what_it_read_and_says_so() {
    let world = World::new();
    let logs = crate::support::small_trail(&world.path("logs"));
    // A pipe that stays open: the run is certainly still going when the signal comes.
    let mut child = world
        .command()
        .args(["ingest", "--threads", "2", "--summary", "json", "-"])
        .arg(&logs)
        .env("TRAILHOUND_INGEST_COMMIT_SECONDS", "1")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(trail(0..50).as_bytes()).unwrap();
    pipe.flush().unwrap();
    let stored = || match world.home().join("lake").exists() {
        true => {
            Ran(world.command().args(["events", "--raw", "--limit", "0"]).output().unwrap()).stdout().lines().count()
        }
        false => 0,
    };
    let started = std::time::Instant::now();
    while stored() == 0 {
        assert!(started.elapsed().as_secs() < 60, "nothing is stored while the run goes on");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    std::thread::sleep(std::time::Duration::from_millis(200));
    drop(pipe);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["interrupted"], true);
    world.run(["lake", "verify"]).code(0);
    let kept = report["stored"].as_u64().unwrap();
    assert!(kept > 0, "{report}");
    assert_eq!(kept, stored() as u64, "what it says is what is there");
    // The same again, what came through the pipe too, finds all of that.
    world.file("piped.json", trail(0..50));
    let paths = [world.path("piped.json"), logs].map(|path| path.display().to_string());
    let again = world.run(["ingest", "--summary", "json"].map(str::to_owned).into_iter().chain(paths)).code(0).json();
    let duplicates = again["duplicates"].as_u64().unwrap();
    assert!(duplicates >= kept, "{kept} kept, {duplicates} found again");
    assert_eq!(stored() as u64, kept + again["stored"].as_u64().unwrap());
}

#[test]
fn a_full_disk_fails_clearly_and_loses_nothing() {
    let world = World::new();
    let logs = crate::support::small_trail(&world.path("logs"));
    world.file("good.json", trail(0..10));
    world.ingest(&world.path("good.json")).code(0);
    let ran = Ran(world
        .command()
        .args(["ingest", "--summary", "json"])
        .arg(&logs)
        .env("FAILPOINTS", format!("{}=return", lake::PUT_FULL))
        .output()
        .unwrap())
    .code(1);
    let lake = world.home().join("lake").canonicalize().unwrap();
    let expected = format!("error: failed to store events: the disk is full: {}/", lake.display());
    assert!(ran.stderr().starts_with(&expected), "{}", ran.stderr());
    assert_eq!(world.run(["events", "--raw"]).code(0).stdout().lines().count(), 10);
    world.run(["lake", "verify"]).code(0);
    world.ingest(&logs).code(0);
}

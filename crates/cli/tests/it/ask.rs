//! Questions through the real command line: the catalogue and SQL.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::formats::{snapshot, world};
use crate::support::{Ran, World, small_trail};

/// What is said after an answer, without what was measured.
fn without_measures(text: &str) -> String {
    let line = |line: &str| match line.split_once(" in ") {
        Some((rows, _)) if rows.ends_with(" row") || rows.ends_with(" rows") => format!("{rows} in [measured]"),
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

const QUESTION: &str = "SELECT event_time, event_name, user_name, error_code, read_only, request_parameters, \
                        CAST(NULL AS varchar) AS nothing, 1.5e0 AS number FROM events ORDER BY event_time";

#[test]
fn an_answer_in_every_format() {
    let world = world();
    for format in ["table", "json", "jsonl", "csv"] {
        let ran = world.run(["sql", QUESTION, "--format", format]).code(0);
        snapshot(&format!("sql_{format}"), &ran.stdout());
        assert!(without_measures(&ran.stderr()).ends_with("2 rows in [measured]"), "{}", ran.stderr());
    }
    // What is quiet says nothing but the answer.
    assert_eq!(world.run(["sql", QUESTION, "--quiet"]).code(0).stderr(), "");
}

#[test]
fn a_query_of_the_catalogue_in_a_table_and_as_json() {
    let world = world();
    let table = world.run(["query", "run", "root_usage"]).code(0);
    snapshot("query_run_table", &table.stdout());
    let rows = world.run(["query", "run", "root_usage", "--format", "json"]).code(0).json();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 1);
    // A table shows what a person reads, the other formats have every column.
    assert!(rows[0].as_object().unwrap().len() > table.stdout().lines().next().unwrap().split_whitespace().count());
    assert_eq!(rows[0]["event_name"], "ConsoleLogin");
}

#[test]
fn a_parquet_file_holds_the_answer_and_appears_whole() {
    let world = world();
    let file = world.path("answer.parquet");
    let ran = world.run(["sql", QUESTION, "--format", "parquet", "--output", file.to_str().unwrap()]).code(0);
    assert_eq!(ran.stdout(), "");
    assert!(ran.stderr().contains("2 rows in ") && ran.stderr().contains("answer.parquet"), "{}", ran.stderr());
    let bytes = std::fs::read(&file).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    let ran = world.run(["sql", QUESTION, "--format", "parquet"]).code(2);
    assert!(ran.stderr().contains("--format parquet needs --output FILE"), "{}", ran.stderr());
    // A question that fails in the middle leaves the file as it was.
    let failing = "SELECT from_iso8601_timestamp(event_name) FROM events";
    world.run(["sql", failing, "--format", "csv", "--output", file.to_str().unwrap()]).code(1);
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    let left: Vec<String> = std::fs::read_dir(world.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert!(!left.iter().any(|name| name.ends_with(".tmp")), "{left:?}");
}

#[test]
fn rows_stop_where_they_are_told_to() {
    let world = world();
    let numbers = "SELECT n FROM unnest(sequence(1, 5000)) AS t(n)";
    let ran = world.run(["sql", numbers]).code(0);
    assert_eq!(ran.stdout().lines().count(), 1_001);
    assert!(ran.stderr().contains("there are more rows: raise --max-rows"), "{}", ran.stderr());
    assert_eq!(world.run(["sql", numbers, "--max-rows", "0"]).code(0).stdout().lines().count(), 5_001);
    assert_eq!(world.run(["sql", numbers, "--format", "jsonl"]).code(0).stdout().lines().count(), 5_000);
    assert_eq!(world.run(["sql", numbers, "--format", "csv", "--max-rows", "7"]).code(0).stdout().lines().count(), 8);
}

#[test]
fn a_cell_of_csv_is_no_formula_and_a_number_stays_one() {
    let sql = "SELECT -5 AS number, -0.5e0 AS part, '-5' AS text, '=1' AS formula, CAST(NULL AS varchar) AS nothing";
    let ran = world().run(["sql", sql, "--format", "csv"]).code(0);
    assert_eq!(ran.stdout(), "number,part,text,formula,nothing\n-5,-0.5,'-5,'=1,\n");
}

/// Ten million rows pass through without being kept: memory is at its peak as soon as the first of them are out.
#[test]
#[cfg(target_os = "linux")]
fn ten_million_rows_take_no_memory() {
    use std::io::{BufRead, BufReader};

    const ROWS: u64 = 10_000_000;
    let world = World::new();
    let numbers = "SELECT a.x, b.y FROM unnest(sequence(1, 5000)) AS a(x) CROSS JOIN unnest(sequence(1, 2000)) AS b(y)";
    let mut command = world.command();
    command.args(["sql", numbers, "--format", "csv"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut asked = command.spawn().unwrap();
    let status = format!("/proc/{}/status", asked.id());
    let peak = || {
        let status = std::fs::read_to_string(&status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
    };
    let mut lines = BufReader::with_capacity(1 << 20, asked.stdout.take().unwrap());
    let (mut line, mut rows, mut first, mut last) = (Vec::new(), 0, 0, 0);
    lines.read_until(b'\n', &mut line).unwrap();
    while rows < ROWS && lines.read_until(b'\n', &mut line).unwrap() > 0 {
        line.clear();
        rows += 1;
        match rows {
            100_000 => first = peak(),
            // The program is still there: its last rows are on their way.
            _ if rows % 100_000 == 0 && rows < ROWS => last = peak(),
            _ => {}
        }
    }
    assert_eq!(rows, ROWS);
    assert_eq!(lines.read_until(b'\n', &mut line).unwrap(), 0, "more rows than there are");
    assert!(asked.wait().unwrap().success());
    assert!(last < first + 32, "{first} MiB, then {last} MiB");
}

#[test]
fn a_statement_comes_from_standard_input_too() {
    let world = world();
    for arguments in [["sql", "-"].as_slice(), ["sql"].as_slice()] {
        let mut child = world
            .command()
            .args(arguments)
            .args(["--format", "jsonl"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"SELECT count(*) AS n\nFROM events;\n").unwrap();
        let ran = Ran(child.wait_with_output().unwrap()).code(0);
        assert_eq!(ran.stdout(), "{\"n\":2}\n");
    }
}

#[test]
fn mistakes_end_with_the_exit_code_of_mistakes() {
    let world = world();
    for (arguments, expected) in [
        (["query", "run", "root_usge"].as_slice(), "did you mean \"root_usage\"?"),
        (&["query", "run", "access_key_activity"], "needs --set key="),
        (&["query", "run", "root_usage", "--set", "who=x"], "there is no parameter \"who\""),
        (&["query", "run", "root_usage", "--set", "who"], "write --set name=value"),
        (&["query", "run", "root_usage", "--from", "2026-01-01T12:00:00Z"], "whole UTC days"),
        (&["query", "run", "root_usage", "--from", "2026-02-02", "--to", "2026-02-01"], "does not lie before"),
        (&["query", "run", "hourly_activity", "--limit", "3"], "takes no --limit"),
        (&["sql", "SELECT 1 FROM )"], "syntax error at line 1, column 15"),
        (&["sql", "SELEC 1"], "only queries are allowed, not SELEC"),
        (&["sql", "SELECT evnt_name FROM events"], "did you mean"),
        (&["sql", "DROP TABLE events"], "only queries are allowed"),
        (&["sql", "SELECT * FROM '/etc/passwd'"], ""),
    ] {
        let ran = world.run(arguments).code(2);
        assert!(ran.stderr().contains(expected), "{arguments:?}: {}", ran.stderr());
        assert_eq!(ran.stdout(), "");
    }
}

#[test]
fn an_empty_home_says_how_to_fill_it() {
    let world = World::new();
    let ran = world.run(["query", "run", "root_usage"]).code(2);
    assert!(ran.stderr().contains("read some with `trailhound ingest PATH`"), "{}", ran.stderr());
    let ran = world.run(["sql", "SELECT count(*) AS n FROM events", "--format", "jsonl"]).code(0);
    assert_eq!(ran.stdout(), "{\"n\":0}\n");
    assert!(ran.stderr().contains("read some with `trailhound ingest PATH`"), "{}", ran.stderr());
    // Asking makes nothing.
    assert!(!world.home().exists());
}

/// A lake that is there and has nothing in it is as empty as one that is not there.
#[test]
fn a_lake_without_events_says_how_to_fill_it() {
    let world = World::new();
    world.file("logs.json", json!({ "Records": [] }).to_string());
    world.ingest(&world.path("logs.json")).code(0);
    assert!(world.home().join("lake/_delta_log").is_dir());
    let ran = world.run(["query", "run", "root_usage"]).code(2);
    assert!(ran.stderr().contains("read some with `trailhound ingest PATH`"), "{}", ran.stderr());
    let ran = world.run(["sql", "SELECT event_name FROM events", "--format", "jsonl"]).code(0);
    assert_eq!(ran.stdout(), "");
    assert!(ran.stderr().contains("read some with `trailhound ingest PATH`"), "{}", ran.stderr());
    assert!(ran.stderr().contains("0 rows in ") && ran.stderr().contains("; 0 files, 0 B read"), "{}", ran.stderr());
}

#[test]
fn an_answer_tells_what_it_read() {
    let world = world();
    let asked = |sql: &str| world.run(["sql", sql, "--format", "jsonl"]).code(0).stderr();
    let read = asked("SELECT event_name FROM events");
    let measured = read.split_once("; ").expect("a measure").1.trim_end();
    assert!(measured.starts_with("1 file, ") && measured.ends_with(" read") && !measured.contains(" 0 B"), "{read}");
    // A day without a file costs nothing.
    let read = asked("SELECT event_name FROM events WHERE event_date = DATE '2026-01-29'");
    assert!(read.trim_end().ends_with("; 0 files, 0 B read"), "{read}");
}

#[test]
fn a_question_is_explained_without_being_asked() {
    let world = world();
    for arguments in [
        ["sql", "SELECT event_name FROM events WHERE user_name = 'alice'", "--explain"].as_slice(),
        &["query", "run", "root_usage", "--explain"],
    ] {
        let ran = world.run(arguments).code(0);
        let plan = ran.stdout();
        assert!(plan.contains("TableScan: events") && plan.contains("DataSourceExec"), "{plan}");
        // The condition is answered where rows are read.
        assert!(plan.contains("predicate="), "{plan}");
        assert!(!plan.contains("2026-01-30T") && ran.stderr().is_empty(), "{plan}{}", ran.stderr());
    }
}

#[test]
fn own_queries_join_the_catalogue_and_broken_ones_are_named() {
    let world = world();
    world.file(
        "home/queries/who-failed.sql",
        "-- title: Who failed\n-- param: code text 'AccessDenied': The error.\n--\n-- My own.\n\
         SELECT user_name, count(*) AS n FROM events\n\
         WHERE event_date BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date) AND error_code = :code\n\
         GROUP BY user_name ORDER BY n DESC, user_name LIMIT :limit;\n",
    );
    let rows = world.run(["query", "run", "who_failed", "--format", "json"]).code(0).json();
    assert_eq!(rows, json!([{ "user_name": "alice", "n": 1 }]));
    let none =
        world.run(["query", "run", "who-failed", "--set", "code=x' OR '1'='1", "--format", "json"]).code(0).json();
    assert_eq!(none, json!([]));
    world.file("home/queries/broken.sql", "-- titel: x\nSELECT 1");
    let ran = world.run(["query", "list", "--format", "json"]).code(3);
    assert!(ran.stderr().contains("line 1: unknown key \"titel\"; did you mean \"title\"?"), "{}", ran.stderr());
    let names: Vec<Value> = ran.json().as_array().unwrap().iter().map(|query| query["name"].clone()).collect();
    assert!(names.contains(&json!("who_failed")) && !names.contains(&json!("broken")));
}

/// The built-in names are the detections' own; those of the configuration join them in every query.
#[test]
fn the_configured_admin_policies_are_the_queries_too() {
    let world = World::new();
    let attach = |number: u32, policy: &str| {
        testkit::event("AttachManagedPolicyToPermissionSet")
            .source("sso")
            .iam_user("alice")
            .id(&format!("00000000-0000-4000-8000-{number:012}"))
            .at("2026-01-30T10:00:00Z")
            .request(json!({"permissionSetArn": format!("arn:aws:sso:::permissionSet/i/ps-{number}"),
                            "managedPolicyArn": policy}))
            .build()
    };
    let own = "arn:aws:iam::111122223333:policy/ops/Deployer";
    let mut policies: Vec<String> =
        event::policy::ADMIN_POLICIES.iter().map(|policy| format!("arn:aws:iam::aws:policy/{policy}")).collect();
    policies.extend(["arn:aws:iam::aws:policy/CompanyAdmin".to_owned(), own.to_owned()]);
    policies.extend(
        ["arn:aws:iam::444455556666:policy/ops/Deployer", "arn:aws:iam::aws:policy/ReadOnlyAccess"].map(str::to_owned),
    );
    let records: Vec<Value> = (0..).zip(&policies).map(|(number, policy)| attach(number, policy)).collect();
    world.file("logs.json", json!({ "Records": records }).to_string());
    world.ingest(&world.path("logs.json")).code(0);
    let critical = || -> usize {
        let rows = world.run(["query", "run", "sso_admin_policies", "--format", "json"]).code(0).json();
        rows.as_array().unwrap().iter().filter(|row| row["risk_level"] == "CRITICAL").count()
    };
    let granted = || -> u64 {
        let rows = world.run(["query", "run", "privilege_changes_by_target", "--format", "json"]).code(0).json();
        rows.as_array().unwrap().iter().map(|row| row["admin_grants"].as_u64().unwrap()).sum()
    };
    let built_in = event::policy::ADMIN_POLICIES.len();
    assert_eq!((critical(), granted()), (built_in, built_in as u64));

    world.file("home/trailhound.toml", format!("[detect]\nadmin_policies = [\"CompanyAdmin\", \"{own}\"]\n"));
    assert_eq!((critical(), granted()), (built_in + 2, built_in as u64 + 2));
    // What is pasted into Athena's console has them, too.
    let show = ["query", "show", "sso_admin_policies", "--engine", "athena"];
    for text in
        [world.run(show).code(0).stdout(), world.run(["query", "export", "--engine", "athena"]).code(0).stdout()]
    {
        assert!(text.contains(&format!("'companyadmin', '{}')", own.to_lowercase())), "{text}");
        assert!(text.contains("'administratoraccess', ") && !text.contains(":admin_policies"), "{text}");
    }
    let only = world.run([
        "query",
        "run",
        "sso_admin_policies",
        "--set",
        "admin_policies=readonlyaccess, x",
        "--format",
        "json",
    ]);
    let only = only.code(0).json();
    let only: Vec<&Value> = only.as_array().unwrap().iter().filter(|row| row["risk_level"] == "CRITICAL").collect();
    assert!(only.len() == 1 && only[0]["policy"] == "ReadOnlyAccess", "{only:?}");
}

#[test]
fn the_catalogue_is_shown_and_exported() {
    let world = World::new();
    snapshot("query_list", &world.run(["query", "list"]).code(0).stdout());
    snapshot("query_show", &world.run(["query", "show", "off_hours"]).code(0).stdout());
    let athena = world.run(["query", "show", "off_hours", "--engine", "athena", "--tz", "it's"]).code(0).stdout();
    assert!(athena.contains("AT TIME ZONE 'it''s'") && !athena.contains(":tz"), "{athena}");
    assert!(athena.contains("event_date BETWEEN '2025-11-02' AND '2026-01-31'"), "{athena}");
    let exported = world.run(["query", "export", "--engine", "athena"]).code(0).stdout();
    let statements = exported.matches(";\n").count();
    let listed = world.run(["query", "list", "--format", "json"]).code(0).json().as_array().unwrap().len();
    assert_eq!(statements, listed);
}

/// A number that has to be given has no name to stand for it; the other queries are exported all the same.
#[test]
fn a_query_that_needs_a_number_is_exported() {
    let world = World::new();
    world.file(
        "home/queries/busy.sql",
        "-- title: Busy\n-- param: least integer required: How many calls.\n\
         SELECT user_name FROM events WHERE event_date >= CAST(:from_date AS date)\n\
         GROUP BY user_name HAVING count(*) >= :least ORDER BY user_name;\n",
    );
    let exported = world.run(["query", "export", "--engine", "athena"]).code(0).stdout();
    assert!(
        exported.contains("-- busy: Busy\n-- least stands here as 0, to be put in: How many calls.\n"),
        "{exported}"
    );
    assert!(exported.contains("HAVING count(*) >= 0 ORDER BY user_name;\n"), "{exported}");
    assert!(exported.contains("-- root_usage: "), "{exported}");
}

#[test]
fn the_small_tables_tell_what_the_commands_tell() {
    let world = World::new();
    let trail = small_trail(&world.path("logs"));
    world.ingest(&trail).code(0);
    let count = |sql: &str| world.run(["sql", sql, "--format", "jsonl"]).code(0).json()["n"].as_u64().unwrap();
    let alerts = world.run(["alerts", "export", "--acked", "--suppressed"]).code(0).stdout().lines().count() as u64;
    assert!(alerts > 10);
    assert_eq!(count("SELECT count(*) AS n FROM alerts"), alerts);
    // Every alert's event is there, and every detection has a name.
    assert_eq!(count("SELECT count(*) AS n FROM alerts a JOIN events e ON a.event_id = e.event_id"), alerts);
    assert_eq!(count("SELECT count(*) AS n FROM alerts a JOIN detections d ON a.detection = d.detection"), alerts);
    assert_eq!(count("SELECT sum(stored) AS n FROM runs"), count("SELECT count(*) AS n FROM events"));
    // Another folder's lake is asked by its path; nothing of this home comes with it.
    let lake = world.home().join("lake").display().to_string();
    let other = World::new();
    let ran = other.run(["sql", "SELECT count(*) AS n FROM events", "--format", "jsonl", "--lake", &lake]).code(0);
    assert_eq!(ran.json()["n"].as_u64().unwrap(), count("SELECT count(*) AS n FROM events"));
    let ran = other.run(["sql", "SELECT 1", "--lake", "/no/such/lake"]).code(1);
    assert!(ran.stderr().contains("/no/such/lake"), "{}", ran.stderr());
}

/// What an event's author wrote reaches neither a terminal nor a spreadsheet as more than text.
#[test]
fn a_strangers_text_stays_text() {
    let world = World::new();
    let mut record = testkit::event("CreateUser").iam_user("alice").at("2026-01-30T10:00:00Z").build();
    record["userAgent"] = json!("\u{1b}[31mred\u{7} =cmd()");
    record["errorMessage"] = json!("=1+1");
    world.file("logs.json", json!({ "Records": [record] }).to_string());
    world.ingest(&world.path("logs.json")).code(0);
    for format in ["table", "csv", "json", "jsonl"] {
        let text =
            world.run(["sql", "SELECT user_agent, error_message FROM events", "--format", format]).code(0).stdout();
        assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{format}: {text:?}");
        if format == "csv" {
            assert!(text.contains("'=1+1"), "{text}");
        }
    }
    let ran = world.run(["sql", "SELECT '\u{1b}[31m' FROM nowhere"]).code(2);
    assert!(!ran.stderr().contains('\u{1b}'), "{:?}", ran.stderr());
}

/// A join that takes days and never comes up for air: ctrl-C ends it all the same.
#[test]
#[cfg(unix)]
fn an_interrupt_ends_whatever_is_worked_out() {
    use std::process::Command;
    use std::time::{Duration, Instant};

    let world = world();
    let numbers = "unnest(sequence(1, 5000))";
    let endless =
        format!("SELECT count(*) FROM {numbers} AS a(x), {numbers} AS b(y), {numbers} AS c(z) WHERE x * y * z % 7 < x");
    let mut child =
        world.command().args(["sql", &endless]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(3));
    assert!(child.try_wait().unwrap().is_none(), "it is no endless question");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let asked = Instant::now();
    let ended = loop {
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        if asked.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            panic!("the interrupt was not heard");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(ended.code(), Some(130));
}

/// A lake in a bucket is asked as one in a folder is, files left alone included.
#[test]
fn a_lake_in_a_bucket_answers_as_one_in_a_folder() {
    use std::io::{BufRead, BufReader};

    let Some(python) = std::env::var_os("TRAILHOUND_PYTHON") else {
        eprintln!("skipped: TRAILHOUND_PYTHON is not set");
        return;
    };
    let world = World::new();
    world.ingest(&small_trail(&world.path("trail"))).code(0);
    let mut bucket = std::process::Command::new(python)
        .args(["tests/bucket.py", world.home().join("lake").to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut port = String::new();
    BufReader::new(bucket.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let asked = |place: &[&str], sql: &str| {
        let mut command = world.command();
        command
            .args(["sql", "--format", "csv"])
            .args(place)
            .arg(sql)
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", port.trim()))
            .envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_REGION", "us-east-1")])
            .env("AWS_ALLOW_HTTP", "true");
        Ran(command.output().unwrap())
    };
    for sql in [
        "SELECT event_type, count(*) AS n, max(event_time) AS last FROM events GROUP BY event_type ORDER BY 1",
        "SELECT event_id FROM iam_events WHERE user_name = 'root' ORDER BY 1",
    ] {
        let in_bucket = asked(&["--lake", "s3://evidence/copies/lake"], sql).code(0);
        let in_folder = asked(&[], sql).code(0);
        assert!(in_folder.stdout().lines().count() > 1);
        assert_eq!(in_bucket.stdout(), in_folder.stdout());
    }
    let nowhere = asked(&["--lake", "s3://evidence/elsewhere"], "SELECT count(*) FROM events").code(1);
    assert!(nowhere.stderr().contains("s3://evidence/elsewhere"), "{}", nowhere.stderr());
    drop(bucket.stdin.take());
    assert!(bucket.wait().unwrap().success());
}

//! Athena through the real command line: `athena setup`, then the whole catalogue and SQL, against Athena, Glue and S3 on
//! this machine. The same text, the same rows as the embedded engine, by the same lake's log.
//!
//! `TRAILHOUND_EMULATOR` names an interpreter with the emulator installed; without it these tests say so and pass.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use sample::Plan;
use serde_json::{Value, json};
use testkit::http::HttpFaults;
use testkit::http::proxy::Proxy;

use crate::support::{Ran, World, small_trail};

/// When the catalogue's cases are asked.
const NOW: &str = "2026-11-20T12:00:00Z";
const SETUP: [&str; 6] =
    ["athena", "setup", "--location", "s3://lake/events", "--output-location", "s3://results/athena"];

/// The interpreter that has the emulator.
fn python() -> Option<OsString> {
    let python = std::env::var_os("TRAILHOUND_EMULATOR").filter(|path| !path.is_empty());
    if python.is_none() {
        #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
        {
            eprintln!("skipped: TRAILHOUND_EMULATOR is not set (`cargo xtask test` sets it)");
        }
    }
    python
}

/// A home with a lake, and the services.
struct Cloud {
    world: World,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    port: String,
}

impl Cloud {
    /// `None` where there is no emulator.
    fn open(world: World) -> Option<Cloud> {
        let mut command = Command::new(python()?);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
            command.env_remove(name);
        }
        command.arg("tests/athena.py").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut cloud = Cloud { world, child, input, output, port: String::new() };
        cloud.port = cloud.line();
        assert!(!cloud.port.is_empty(), "the emulator has not started");
        Some(cloud)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn ask(&mut self, command: &str) -> String {
        writeln!(self.input.as_ref().unwrap(), "{command}").unwrap();
        self.line()
    }

    /// Copies the home's lake to the bucket, beside what lies there.
    fn upload(&mut self) {
        let lake = self.world.home().join("lake");
        assert_eq!(self.ask(&format!("put {} lake events", lake.display())), "done");
    }

    fn queries(&mut self) -> Vec<String> {
        serde_json::from_str(&self.ask("queries")).unwrap()
    }

    /// The binary at a time, with the services and nothing else of the environment's.
    fn command(&self, now: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trailhound"));
        for (name, _) in std::env::vars_os() {
            if ["TRAILHOUND_", "AWS_", "ATHENA_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command
            .envs([("NO_COLOR", "1"), ("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_REGION", "us-east-1")])
            .envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")])
            .env("AWS_CONFIG_FILE", self.world.path("no-config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", self.world.path("no-credentials"))
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port))
            .arg("--home")
            .arg(self.world.home())
            .args(["--now", now]);
        command
    }

    fn run<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        Ran(self.command(NOW).args(arguments).output().unwrap())
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// A small lake of a week, in the bucket, and what Athena has to know of it.
fn small() -> Option<Cloud> {
    let mut cloud = Cloud::open(World::new())?;
    cloud.world.ingest(&small_trail(&cloud.world.path("trail"))).code(0);
    cloud.upload();
    cloud.run(SETUP).code(0);
    Some(cloud)
}

fn cases() -> PathBuf {
    PathBuf::from("../query/tests/cases")
}

/// The records of every case. Several cases use the same ids: each gets its own.
fn planted() -> Vec<String> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(cases()).unwrap().map(|case| case.unwrap().path().join("records.jsonl")).collect();
    files.sort();
    let records = files.iter().enumerate().flat_map(|(number, file)| {
        let text = std::fs::read_to_string(file).unwrap();
        let of_case = move |line: &str| {
            let mut record: Value = serde_json::from_str(line).unwrap();
            if let Some(id) = record["eventID"].as_str() {
                record["eventID"] = format!("{number:08x}{}", &id[8..]).into();
            }
            record.to_string()
        };
        text.lines().filter(|line| !line.is_empty()).map(of_case).collect::<Vec<String>>()
    });
    records.collect()
}

/// What a case of the catalogue asks for, as flags; and when.
pub(crate) fn flags(query: &str) -> (Vec<String>, String) {
    let (mut flags, mut now) = (Vec::new(), NOW.to_owned());
    let text = std::fs::read_to_string(cases().join(query).join("params.txt")).unwrap_or_default();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, value) = line.split_once('=').unwrap();
        match name {
            "now" => now = value.to_owned(),
            "days" | "account" | "region" | "user" | "limit" => flags.extend([format!("--{name}"), value.to_owned()]),
            _ => flags.extend(["--set".to_owned(), line.to_owned()]),
        }
    }
    (flags, now)
}

/// Whether two values are the same: numbers as numbers, whichever type an engine counts in.
fn is_same(ours: &Value, theirs: &Value) -> bool {
    let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok());
    ours == theirs
        || matches!((number(ours), number(theirs)), (Some(ours), Some(theirs)) if (ours - theirs).abs() < 1e-6)
}

/// What differs between two answers in JSON.
pub(crate) fn difference(ours: &Value, theirs: &Value) -> Option<String> {
    let (ours, theirs) = (ours.as_array().unwrap(), theirs.as_array().unwrap());
    let is_same_row = |(ours, theirs): (&Value, &Value)| {
        let (ours, theirs) = (ours.as_object().unwrap(), theirs.as_object().unwrap());
        ours.len() == theirs.len()
            && ours.iter().zip(theirs).all(|((ours, left), (theirs, right))| ours == theirs && is_same(left, right))
    };
    let place = ours.iter().zip(theirs).position(|rows| !is_same_row(rows));
    if ours.len() == theirs.len() && place.is_none() {
        return None;
    }
    let place = place.unwrap_or(ours.len().min(theirs.len()));
    let (left, right) = (ours.get(place), theirs.get(place));
    Some(format!("{} rows, Athena {}; row {place}: {left:?}, Athena {right:?}", ours.len(), theirs.len()))
}

/// A query on both engines.
fn compare(cloud: &Cloud, query: &str, problems: &mut Vec<String>) -> usize {
    let (flags, now) = flags(query);
    let asked = |engine: &str| {
        let mut command = cloud.command(&now);
        command.args(["query", "run", query, "--format", "json", "--engine", engine]).args(&flags);
        Ran(command.output().unwrap()).code(0).json()
    };
    let (ours, theirs) = (asked("embedded"), asked("athena"));
    problems.extend(difference(&ours, &theirs).map(|difference| format!("{query}: {difference}")));
    ours.as_array().unwrap().len()
}

fn parquet_files(folder: &Path) -> usize {
    let files = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap);
    files.filter(|file| file.path().extension().is_some_and(|extension| extension == "parquet")).count()
}

/// A month of believable traffic with an intrusion in it, and every planted case of the catalogue.
#[test]
fn athena_gives_the_same_rows_for_every_query_before_and_after_a_compaction() {
    let Some(mut cloud) = Cloud::open(World::new()) else { return };
    let trail = cloud.world.path("trail");
    let plan = Plan { events: 12_000, files: 200, ..Plan::demo(NOW.parse().unwrap()) };
    let trail = plan.write(&trail, |_| {}).unwrap().trail;
    cloud.run(["ingest".as_ref(), trail.as_os_str()]).code(0);
    // Several commits, so that there is something to compact.
    for (number, some) in planted().chunks(100).enumerate() {
        let file = cloud.world.file(&format!("planted/{number}.jsonl"), some.join("\n"));
        cloud.run(["ingest".as_ref(), file.as_os_str()]).code(0);
    }
    cloud.upload();
    let made = cloud.run(SETUP.into_iter().chain(["--format", "json"])).code(0).json();
    let count = |sql: &str| cloud.run(["sql", sql, "--format", "json"]).code(0).json()[0]["n"].clone();
    assert_eq!(made["events"], count("SELECT count(*) AS n FROM events"));
    assert_eq!(made["users"], count("SELECT count(DISTINCT user_name) AS n FROM events"));
    assert_eq!(made["actions"], count("SELECT count(DISTINCT event_name) AS n FROM events"));
    assert_eq!(made["errors"], count("SELECT count(*) AS n FROM events WHERE error_code <> ''"));
    assert_eq!(made["first_day"], count("SELECT CAST(min(event_date) AS varchar) AS n FROM events"));

    let queries = cloud.run(["query", "list", "--format", "json"]).code(0).json();
    let queries: Vec<&str> = queries.as_array().unwrap().iter().map(|query| query["name"].as_str().unwrap()).collect();
    let (mut problems, mut some) = (Vec::new(), 0);
    for query in &queries {
        some += usize::from(compare(&cloud, query, &mut problems) > 0);
    }
    assert!(problems.is_empty(), "{} of {} differ\n{}", problems.len(), queries.len(), problems.join("\n"));
    assert_eq!(some, queries.len(), "queries that found something to compare");

    // The replaced files stay, in the folder and in the bucket: only the log tells which count.
    let status = || cloud.run(["lake", "status", "--format", "json"]).code(0).json();
    let active_before = status()["files"].as_u64().unwrap();
    cloud.run(["lake", "compact", "--vacuum", "7d"]).code(0);
    let active = status()["files"].as_u64().unwrap();
    let files = parquet_files(&cloud.world.home().join("lake"));
    assert!(active < active_before && files > usize::try_from(active).unwrap(), "{active_before}, {active}, {files}");
    cloud.upload();
    for query in ["daily_summary", "user_lookup", "ai_usage", "access_key_inventory"] {
        compare(&cloud, query, &mut problems);
    }
    let again = cloud.run(SETUP.into_iter().chain(["--format", "json"])).code(0).json();
    assert_eq!(again, made);
    assert!(problems.is_empty(), "after the compaction\n{}", problems.join("\n"));
}

#[test]
fn setup_makes_what_is_missing_and_leaves_what_fits() {
    let Some(mut cloud) = small() else { return };
    let before = cloud.queries();
    assert!(
        before[1].starts_with("CREATE EXTERNAL TABLE `trailhound`.`events` LOCATION 's3://lake/events/'"),
        "{before:?}"
    );
    let ran = cloud.run(SETUP).code(0);
    assert!(
        ran.stderr().contains("workgroup  trailhound-workgroup: a query scans 100.0 GB at most"),
        "{}",
        ran.stderr()
    );
    assert!(ran.stderr().contains("(estimate)"), "{}", ran.stderr());
    for line in ["events ", "users ", "actions ", "errors "] {
        assert!(ran.stdout().contains(line), "{}", ran.stdout());
    }
    let after = cloud.queries();
    let again: Vec<&str> = after[before.len()..].iter().map(|query| query.split(' ').next().unwrap()).collect();
    assert_eq!(again, ["CREATE", "CREATE", "CREATE", "CREATE", "SELECT"], "the database and three views");
    assert!(!after[before.len()..].iter().any(|query| query.contains("EXTERNAL TABLE")));

    // A table of its own name, and the one that the queries know.
    let flags = ["--database", "other", "--table", "ours", "--workgroup", "analysts", "--scan-limit", "5"];
    let ran = cloud.run(SETUP.into_iter().chain(flags)).code(0);
    assert!(ran.stderr().contains("workgroup  analysts: a query scans 5.0 GB at most"), "{}", ran.stderr());
    let flags = ["--engine", "athena", "--database", "other", "--workgroup", "analysts", "--format", "json"];
    let theirs = cloud.run(["query", "run", "daily_summary", "--days", "400"].into_iter().chain(flags)).code(0).json();
    let ours = cloud.run(["query", "run", "daily_summary", "--days", "400", "--format", "json"]).code(0).json();
    assert_eq!(difference(&ours, &theirs), None);
}

#[test]
fn setup_says_what_stands_in_its_way_and_makes_nothing() {
    let Some(mut cloud) = small() else { return };
    let before = cloud.queries().len();
    let results = ["--output-location", "s3://results"];
    for (arguments, expected) in [
        (["--location", "s3://lake/elsewhere"].as_slice(), "there is no lake at s3://lake/elsewhere/"),
        (&["--location", "./lake"], "no place in S3"),
        (&["--location", "s3://lake/events", "--table", "iam_events"], "is the name of a view"),
        (&["--location", "s3://lake/events", "--table", "a;b"], "is no name of a table"),
        (
            &["--location", "s3://lake/events", "--database", "new", "--workgroup", "new"],
            "--output-location s3://BUCKET",
        ),
    ] {
        let ran = cloud.run(["athena", "setup"].into_iter().chain(arguments.iter().copied())).code(2);
        assert!(ran.stderr().contains(expected), "{arguments:?}: {}", ran.stderr());
    }
    let ran = cloud.run(["athena", "setup", "--location", "s3://nobodys/lake"].into_iter().chain(results)).code(1);
    assert!(ran.stderr().contains("s3://nobodys/lake/ cannot be read: there is no bucket nobodys"), "{}", ran.stderr());
    // Another lake, and a table that is there.
    let lake = cloud.world.home().join("lake");
    assert_eq!(cloud.ask(&format!("put {} lake copy", lake.display())), "done");
    let ran = cloud.run(["athena", "setup", "--location", "s3://lake/copy"].into_iter().chain(results)).code(2);
    let said = "trailhound.events is there already, over \"s3://lake/events/\": name another with --table";
    assert!(ran.stderr().contains(said), "{}", ran.stderr());
    assert_eq!(cloud.queries().len(), before);
}

#[test]
fn an_answer_of_athenas_is_written_as_any_other() {
    let Some(mut cloud) = small() else { return };
    let question = "SELECT event_time, event_date, event_name, error_code, read_only, request_parameters, \
                    CAST(NULL AS varchar) AS nothing, 1.5e0 AS number, '=1' AS formula FROM events \
                    ORDER BY event_time, event_id LIMIT 1200";
    for format in ["table", "json", "jsonl", "csv"] {
        let asked = |engine: &str| cloud.run(["sql", question, "--format", format, "--engine", engine]).code(0);
        let (ours, theirs) = (asked("embedded"), asked("athena"));
        assert_eq!(theirs.stdout(), ours.stdout(), "{format}");
        let (limited, said) = (format == "table", theirs.stderr());
        assert_eq!(said.contains("there are more rows: raise --max-rows"), limited, "{said}");
        assert!(said.contains(if limited { "1,000 rows in " } else { "1,200 rows in " }), "{said}");
        assert!(said.contains("; Athena scanned ") && said.contains("USD 0.0001 (estimate)"), "{said}");
    }
    let file = cloud.world.path("answer.csv");
    let ran = cloud.run([
        "sql",
        "SELECT 1 AS one",
        "--engine",
        "athena",
        "--format",
        "csv",
        "--output",
        file.to_str().unwrap(),
    ]);
    assert_eq!(ran.code(0).stdout(), "");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "one\n1\n");
    // CloudTrail Lake's columns, structs and maps, and the table of Athena's documentation.
    for question in [
        "SELECT useridentity.type AS kind, useridentity.principalid AS principal, useridentity.sessioncontext.sessionissuer.username AS role, \
         useridentity.sessioncontext.attributes.mfaauthenticated AS mfa, element_at(requestparameters, 'roleArn') AS arn, \
         eventname, eventtime, managementevent, cardinality(resources) AS n, tlsdetails.tlsversion AS tls \
         FROM cloudtrail ORDER BY eventtime, eventid LIMIT 300",
        "SELECT useridentity.arn AS arn, eventtime, readonly, requestparameters, month, day, timestamp, resources[1].arn AS first \
         FROM cloudtrail_logs WHERE resources IS NOT NULL AND cardinality(resources) > 0 ORDER BY eventtime, eventid",
        "SELECT * FROM iam_events ORDER BY event_time, event_id",
    ] {
        let asked = |engine: &str| cloud.run(["sql", question, "--format", "json", "--engine", engine]).code(0).json();
        let (ours, theirs) = (asked("embedded"), asked("athena"));
        assert!(ours.as_array().unwrap().len() > 10);
        assert_eq!(difference(&ours, &theirs), None, "{question}");
    }
    let plan = cloud.run(["query", "run", "root_usage", "--engine", "athena", "--explain"]).code(0).stdout();
    assert!(plan.lines().count() > 3, "{plan}");
    assert!(cloud.queries().last().unwrap().starts_with("EXPLAIN SELECT"));
    let tables = cloud.run(["sql", "SHOW TABLES", "--engine", "athena", "--format", "csv"]).code(0).stdout();
    assert_eq!(tables, "tab_name\ncloudtrail\ncloudtrail_logs\nevents\niam_events\n");
}

#[test]
fn where_athena_is_asked_is_said_by_flag_variable_or_file() {
    let Some(cloud) = small() else { return };
    let ask = ["sql", "SELECT count(*) AS n FROM events", "--engine", "athena", "--format", "csv"];
    let n = cloud.run(ask).code(0).stdout();
    cloud.world.file("home/trailhound.toml", "[athena]\ndatabase = 'nowhere'\noutput_location = 's3://results'\n");
    let ran = cloud.run(ask).code(2);
    assert!(
        ran.stderr().contains("TABLE_NOT_FOUND") && ran.stderr().contains("`trailhound athena setup`"),
        "{}",
        ran.stderr()
    );
    let classic = [("ATHENA_DATABASE", "trailhound"), ("ATHENA_WORKGROUP", "other")];
    let with = |more: &[&str]| Ran(cloud.command(NOW).envs(classic).args(ask).args(more).output().unwrap());
    assert_eq!(with(&[]).code(0).stdout(), n);
    assert!(with(&["--database", "nowhere"]).code(2).stderr().contains("nowhere.events"));
    let shown = Ran(cloud.command(NOW).envs(classic).args(["config", "show"]).output().unwrap()).code(0).stdout();
    assert!(shown.contains("$ATHENA_DATABASE") && shown.contains("$ATHENA_WORKGROUP"), "{shown}");
    // A workgroup without a place for results.
    cloud.world.file("home/trailhound.toml", "");
    let ran = cloud.run(ask.into_iter().chain(["--workgroup", "primary"])).code(1);
    assert!(ran.stderr().contains("say where results are written: --output-location"), "{}", ran.stderr());
}

#[test]
fn only_queries_are_sent_to_athena() {
    let Some(mut cloud) = small() else { return };
    let before = cloud.queries().len();
    for (arguments, expected) in [
        (["sql", "DROP TABLE events"].as_slice(), "only queries are allowed, not DROP"),
        (&["sql", "INSERT INTO events SELECT * FROM events"], "not INSERT"),
        (&["sql", "UNLOAD (SELECT 1) TO 's3://results/x' WITH (format = 'PARQUET')"], "not UNLOAD"),
        (&["sql", "/* /* */ INSERT INTO events -- */\nSELECT 1"], "a comment inside a comment"),
        (&["sql", "SELECT 1; DROP TABLE events"], "one statement at a time"),
        (&["sql", "SELECT 1", "--lake", "s3://lake/events"], "--lake is the embedded engine's"),
        (&["sql", "SELECT 1", "--format", "parquet", "--output", "x"], "--format parquet is the embedded engine's"),
        (&["sql", "--serve", "127.0.0.1:0"], "--serve is the embedded engine's"),
        (&["query", "run", "root_usage", "--reuse-minutes", "10081"], "10081"),
    ] {
        let ran = cloud.run(arguments.iter().copied().chain(["--engine", "athena"])).code(2);
        assert!(ran.stderr().contains(expected), "{arguments:?}: {}", ran.stderr());
        assert_eq!(ran.stdout(), "");
    }
    assert_eq!(cloud.queries().len(), before);
    // A value that would be more than a value stays one.
    let quoted =
        cloud.run(["query", "run", "user_lookup", "--engine", "athena", "--user", "x' OR '1'='1", "--format", "json"]);
    assert_eq!(quoted.code(0).json(), json!([]));
    assert!(cloud.queries().last().unwrap().contains("user_name = 'x'' OR ''1''=''1'"));
    // What is wrong with the statement itself is a mistake, and said in Athena's words.
    let ran = cloud.run(["sql", "SELECT evnt_name FROM events", "--engine", "athena"]).code(2);
    assert!(ran.stderr().contains("COLUMN_NOT_FOUND"), "{}", ran.stderr());
}

#[test]
fn ctrl_c_stops_the_query_over_there() {
    let Some(mut cloud) = small() else { return };
    let proxy = Proxy::open(&format!("http://127.0.0.1:{}", cloud.port), HttpFaults::default(), 0.0);
    let mut command = cloud.command(NOW);
    command.env("AWS_ENDPOINT_URL", &proxy.endpoint);
    command.args(["sql", "SELECT 'never' AS n", "--engine", "athena"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    while !cloud.queries().last().is_some_and(|query| query.contains("never")) {
        assert!(begun.elapsed() < Duration::from_secs(30), "it was never asked");
        std::thread::sleep(Duration::from_millis(50));
    }
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
    assert_eq!(cloud.ask("stopped"), "1");

    // With what else a question calls, this is what the stack's policy for analysts has to allow.
    let mut command = cloud.command(NOW);
    command.env("AWS_ENDPOINT_URL", &proxy.endpoint).args(["query", "run", "root_usage", "--engine", "athena"]);
    Ran(command.output().unwrap()).code(0);
    let known: Value = serde_json::from_str(include_str!("../../../lambda/tests/calls.json")).unwrap();
    assert_eq!(json!(proxy.calls()), known["analyst"]);
}

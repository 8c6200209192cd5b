//! A deployment from nothing to nothing through the real command line: the shipped templates, the real functions.
//!
//! `TRAILHOUND_EMULATOR` names an interpreter with the emulator installed; without it this test says so and passes. Of the
//! template, only the trail is switched off: the emulator has none (and no Detective, which is off by default).

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::athena;
use crate::live::{Live, record};
use crate::support::Ran;

/// The account that the emulator plays.
const ACCOUNT: &str = "000000000000";
/// The access key of whoever deploys, and of whoever asks.
const DEPLOYER: &str = "AKIADEPLOYEREXAMPLE0";
const ANALYST: &str = "AKIAANALYSTEXAMPLE00";

struct Account {
    live: Live,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    endpoint: String,
}

impl Account {
    fn open(records: &[Value]) -> Option<Account> {
        let Some(python) = std::env::var_os("TRAILHOUND_EMULATOR").filter(|path| !path.is_empty()) else {
            #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
            {
                eprintln!("skipped: TRAILHOUND_EMULATOR is not set (`cargo xtask test` sets it)");
            }
            return None;
        };
        let live = Live::with(|_| (), &records.iter().cloned().map(of_account).collect::<Vec<_>>());
        let mut command = Command::new(python);
        command.args(["tests/account.py", &live.endpoint, DEPLOYER]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut account = Account { live, child, input, output, endpoint: String::new() };
        account.endpoint = account.line();
        assert!(account.endpoint.starts_with("http://"), "the emulator has not started");
        Some(account)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn ask(&mut self, command: &str) -> Value {
        writeln!(self.input.as_ref().unwrap(), "{command}").unwrap();
        serde_json::from_str(&self.line()).unwrap()
    }

    /// Zip files of functions that are never invoked.
    fn empty_functions(&self) -> String {
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
        for name in ["tracker", "alerter", "exporter"] {
            let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
            zip.start_file("bootstrap", SimpleFileOptions::default()).unwrap();
            let file = format!("functions/{name}-{architecture}-test.zip");
            self.live.world.file(&file, zip.finish().unwrap().into_inner());
        }
        self.live.world.path("functions").to_str().unwrap().to_owned()
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_as(DEPLOYER, &[&["aws"], arguments].concat())
    }

    fn trailhound(&self, arguments: &[&str]) -> Ran {
        self.run_as(ANALYST, arguments)
    }

    fn run_as(&self, key: &str, arguments: &[&str]) -> Ran {
        let mut command = self.live.command();
        command
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_ENDPOINT_URL_ACCOUNT", &self.live.endpoint)
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", key)
            .args(arguments);
        Ran(command.output().unwrap())
    }

    /// Asks the whole catalogue of Athena and of the engine on this machine, over the lake that the exporter wrote.
    fn assert_both_engines_agree(&self) {
        let lake = format!("s3://trailhound-analytics-{ACCOUNT}/lake");
        let queries = self.trailhound(&["query", "list", "--format", "json"]).code(0).json();
        let (mut problems, mut with_rows) = (Vec::new(), 0);
        for query in queries.as_array().unwrap() {
            let query = query["name"].as_str().unwrap();
            let (flags, _) = athena::flags(query);
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            let asked = |engine: &[&str]| {
                let run = ["query", "run", query, "--format", "json"];
                self.trailhound(&[&run[..], engine, &flags].concat()).code(0).json()
            };
            let (ours, theirs) = (asked(&["--lake", &lake]), asked(&["--engine", "athena"]));
            problems.extend(athena::difference(&ours, &theirs).map(|difference| format!("{query}: {difference}")));
            with_rows += usize::from(!ours.as_array().unwrap().is_empty());
        }
        assert!(problems.is_empty(), "{}", problems.join("\n"));
        assert!(with_rows > 5, "only {with_rows} queries found something to compare");
    }

    /// Whatever the commands have called so far the deployer's policy allows.
    fn assert_calls_are_allowed(&mut self) {
        let page = include_str!("../../../../docs/deploy.md");
        let block = page.split_once("<!-- deployer -->").unwrap().1.split_once("<!-- end of deployer -->").unwrap().0;
        let json = block.trim().trim_start_matches("```json").trim_end_matches("```");
        let policy: Value = serde_json::from_str(json).unwrap();
        let statements = policy["Statement"].as_array().unwrap().iter();
        let allowed: Vec<&str> = statements
            .flat_map(|statement| {
                statement["Action"].as_str().map_or_else(|| texts(&statement["Action"]), |one| vec![one])
            })
            .collect();
        let is_allowed = |call: &&str| {
            allowed
                .iter()
                .any(|action| action.strip_suffix('*').map_or(action == call, |start| call.starts_with(start)))
        };
        let calls = self.ask("calls");
        let (allowed, others): (Vec<&str>, Vec<&str>) = texts(&calls).into_iter().partition(is_allowed);
        assert!(others.is_empty(), "docs/deploy.md does not allow the deployer {others:?}");
        // Of every way in which services name their operations there is one among them.
        for call in
            ["cloudformation:CreateChangeSet", "lambda:InvokeFunction", "s3:DeleteObjectVersion", "dynamodb:GetItem"]
        {
            assert!(allowed.contains(&call), "{call} is not called: {calls}");
        }
    }

    /// What arrived at the topic's queue, once there is this much of it.
    fn told(&mut self, number: usize) -> Vec<Value> {
        let until = Instant::now() + Duration::from_secs(60);
        let mut told = Vec::new();
        while told.len() < number && Instant::now() < until {
            told.extend(self.ask("told").as_array().unwrap().clone());
            std::thread::sleep(Duration::from_millis(200));
        }
        told.sort_by_key(Value::to_string);
        told
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        drop(self.input.take());
        // Nothing more is wanted of it, whatever state it is in.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The same record, of the account that the emulator plays.
fn of_account(record: Value) -> Value {
    serde_json::from_str(&record.to_string().replace("111122223333", ACCOUNT)).unwrap()
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// Zip files of the functions that were built with this program.
fn functions(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    for name in ["tracker", "alerter", "exporter"] {
        let binary: PathBuf = Path::new(env!("CARGO_BIN_EXE_trailhound")).with_file_name(name);
        assert!(binary.is_file(), "{} is not there: build the whole workspace", binary.display());
        let file = std::fs::File::create(folder.join(format!("{name}-{architecture}-test.zip"))).unwrap();
        let mut zip = ZipWriter::new(file);
        let options = SimpleFileOptions::default().unix_permissions(0o755).compression_level(Some(1)).large_file(true);
        zip.start_file("bootstrap", options).unwrap();
        std::io::copy(&mut std::fs::File::open(binary).unwrap(), &mut zip).unwrap();
        zip.finish().unwrap();
    }
}

#[test]
fn a_name_that_is_taken_is_named_and_the_rest_can_be_removed() {
    let Some(mut account) = Account::open(&[]) else { return };
    let folder = account.empty_functions();
    // Such as what an earlier stack left behind.
    let taken = format!("trailhound-analytics-{ACCOUNT}");
    account.ask(&format!("bucket {taken}"));
    let deploy = ["deploy", "--functions", &folder, "--forward-from", "none", "--yes", "--quiet"];
    let failed = account.run(&[&deploy[..], &["--parameter", "CreateTrail=false"]].concat()).code(1).stderr();
    assert!(failed.contains("AnalyticsBucket (AWS::S3::Bucket) failed: ") && failed.contains(&taken), "{failed}");
    assert!(failed.contains("what to do: something of that name is there"), "{failed}");
    let again = account.run(&deploy).code(1).stderr();
    assert!(again.contains("`trailhound aws destroy --stack trailhound` removes it"), "{again}");

    let gone = account.run(&["destroy", "--delete-data", "--yes", "--quiet"]).code(0).stdout();
    assert!(!gone.contains(&taken), "a bucket that the stack did not make is none of its: {gone}");
    for (kind, left) in account.ask("left").as_object().unwrap() {
        let wanted = if kind == "buckets" { json!([taken]) } else { json!([]) };
        assert_eq!(left, &wanted, "{kind}");
    }
    // Nor is it where the stack is gone.
    let gone = account.run(&["destroy", "--delete-data", "--yes"]).code(0).stdout();
    assert_eq!(gone, "there is no stack trailhound in eu-central-1\n");
    assert_eq!(account.ask(&format!("objects {taken} l")), json!(["letter"]));
}

#[test]
fn a_bucket_outlives_its_switch_and_its_stack_and_is_taken_up_again() {
    let Some(mut account) = Account::open(&[]) else { return };
    let folder = account.empty_functions();
    let deploy = ["deploy", "--functions", &folder, "--forward-from", "none", "--yes", "--quiet"];
    let deploy = |account: &Account, more: &[&str]| account.run(&[&deploy[..], more].concat()).code(0).stdout();
    let off = ["--parameter", "EnableAnalytics=false"];
    let lake = format!("trailhound-analytics-{ACCOUNT}");
    deploy(&account, &["--parameter", "CreateTrail=false"]);
    account.ask(&format!("put {lake} letter"));

    let said = account.run(&["destroy", "--yes", "--quiet"]).code(0).stdout();
    assert!(said.contains(&format!("stays: AWS::S3::Bucket {lake}: `deploy` takes it up again")), "{said}");
    assert_eq!(account.ask("left")["buckets"], json!([lake]), "empty ones go, and that of the functions");
    let said = deploy(&account, &["--parameter", "CreateTrail=false"]);
    assert!(said.contains(&format!("{lake} is taken up again, with all that is in it\n")), "{said}");
    assert!(deploy(&account, &[]).starts_with("nothing changes in the stack trailhound\n"));
    assert_eq!(account.ask(&format!("objects {lake} l")), json!(["letter"]));

    // What is switched off stays, too, and goes where no stack speaks of it any more. (That it is taken up again when it
    // is switched on, the emulator does not play: its change sets know no conditions.)
    let said = deploy(&account, &off);
    assert!(said.contains(&format!("stays: AWS::S3::Bucket {lake}, which is taken up again")), "{said}");
    account.run(&["destroy", "--yes", "--quiet"]).code(0);
    assert_eq!(account.ask("left")["buckets"], json!([lake]));
    account.run(&["destroy", "--yes", "--delete-data", "--quiet"]).code(0);
    for (kind, left) in account.ask("left").as_object().unwrap() {
        assert_eq!(left, &json!([]), "{kind}");
    }
}

#[test]
fn from_nothing_to_the_first_alert_and_back() {
    let history: Vec<Value> =
        (0..120).map(|n| record("CreateUser", "iam", "us-east-1", 4000 + n * 900, &n.to_string())).collect();
    let Some(mut account) = Account::open(&history) else { return };
    let folder = account.live.world.path("functions");
    functions(&folder);
    let folder = folder.to_str().unwrap().to_owned();
    let deploy = ["deploy", "--functions", &folder, "--forward-from", "us-east-1", "--yes"];

    account.run(&["status"]).code(2);
    account.run(&["deploy", "--functions", &folder]).code(2);
    let first = account.run(&[&deploy[..], &["--parameter", "CreateTrail=false", "--quiet"]].concat()).code(0);
    assert!(first.stdout().contains("EventsTableName              trailhound-events"), "{}", first.stdout());
    assert!(first.stdout().contains("events of us-east-1 are forwarded"));
    assert!(first.stdout().contains(&format!("AnalyticsBucketName          trailhound-analytics-{ACCOUNT}")));
    let again = account.run(&deploy).code(0);
    assert!(again.stdout().starts_with("nothing changes in the stack trailhound\n"), "{}", again.stdout());
    let wrong = account.run(&[&deploy[..], &["--parameter", "Nothing=1"]].concat()).code(2);
    assert!(wrong.stderr().contains("--parameter Nothing: there is no such parameter; there are AlertSources"));

    account.ask("functions trailhound");
    account.ask(&format!("subscribe arn:aws:sns:eu-central-1:{ACCOUNT}:trailhound-alerts"));
    let filled = account.run(&["init"]).code(0);
    // Whole days are exported: those before today.
    let exported = filled.stderr().lines().find_map(|line| line.strip_prefix("exporter: ").map(str::to_owned)).unwrap();
    assert!(exported.ends_with(" events stored, complete") && !exported.starts_with("0 "), "{exported}");
    // Athena answers with what was exported.
    assert!(filled.stderr().contains("workgroup  trailhound-workgroup: a query scans"), "{}", filled.stderr());
    let number: u64 = exported.split(' ').next().unwrap().parse().unwrap();
    let ask = ["sql", "SELECT count(*) AS n FROM iam_events", "--engine", "athena", "--format", "json"];
    assert_eq!(account.trailhound(&ask).code(0).json()[0]["n"], json!(number));
    account.assert_both_engines_agree();
    let log = account.ask(&format!("objects trailhound-analytics-{ACCOUNT} lake/_delta_log/"));
    assert!(log.as_array().unwrap().len() > 1, "{log}");
    assert_eq!(account.ask("scan trailhound-events").as_array().unwrap().len(), 120);
    let status = account.run(&["status", "--format", "json"]).code(4).json();
    assert_eq!(
        (&status["status"], &status["forwarders"]["us-east-1"]),
        (&json!("CREATE_COMPLETE"), &json!("CREATE_COMPLETE"))
    );
    assert!(status["missing"][0].as_str().unwrap().starts_with("eu-west-1: its events reach"), "{status}");
    assert!(account.told(0).is_empty(), "what was there before is told to nobody");

    // A user is created and deleted: both notify, through rule, queue, function and topic.
    for name in ["CreateUser", "DeleteUser"] {
        let call = of_account(record(name, "iam", "eu-central-1", 2, "first"));
        assert_eq!(account.ask(&format!("emit eu-central-1 {call}")), 0);
    }
    let told = account.told(2);
    assert_eq!(told, [json!(["iam-user-created", "CreateUser"]), json!(["watched-action", "DeleteUser"])]);
    // IAM's own events arrive in another region: its forwarder sends them here, with its role.
    let call = of_account(record("CreateUser", "iam", "us-east-1", 2, "forwarded"));
    assert_eq!(account.ask(&format!("emit us-east-1 {call}")), 0);
    assert_eq!(account.told(1), [json!(["iam-user-created", "CreateUser"])]);
    let sent = account.run(&["test-alerts"]).code(0);
    assert!(sent.stdout().starts_with("access-key-created: sent\n"), "{}", sent.stdout());
    assert_eq!(account.told(1), [json!(["access-key-created", "CreateAccessKey"])]);

    // The schedule finds what EventBridge did not deliver, and tells nothing twice.
    let late =
        [record("CreateUser", "iam", "us-east-1", 30, "first"), record("CreateAccessKey", "iam", "us-east-1", 30, "l")];
    account.live.add("late.json", &late.map(of_account));
    std::thread::sleep(Duration::from_secs(1));
    account.ask("later 3700");
    assert_eq!(account.told(1), [json!(["access-key-created", "CreateAccessKey"])]);
    let answer = account.run(&["invoke", "tracker"]).code(0).json();
    assert_eq!((&answer["statusCode"], &answer["alerts_sent"]), (&json!(200), &json!(0)), "{answer}");
    assert_eq!(account.ask("scan trailhound-events").as_array().unwrap().len(), 122);

    // The tables answer as the lake does: by user, by action, and day by day.
    let events = |more: &[&str]| {
        let all = [&["events", "--store", "dynamodb://trailhound", "--format", "json", "--limit", "0"], more].concat();
        account.trailhound(&all).code(0).json().as_array().unwrap().clone()
    };
    assert_eq!(events(&["--user", "alice", "--from", "-30d"]).len(), 122);
    assert_eq!(events(&["--name", "CreateAccessKey"]).len(), 1);
    let days = events(&["--from", "-30d", "--ip", "198.51.100.7"]);
    assert_eq!((days.len(), &days[0]["event_name"]), (122, &json!("CreateAccessKey")));
    assert!(days.is_sorted_by(|one, two| one["time"].as_str() >= two["time"].as_str()));
    assert!(events(&["--name", "Nothing"]).is_empty());
    let list = [
        "alerts",
        "list",
        "--store",
        "dynamodb://trailhound",
        "--severity",
        "high",
        "--format",
        "json",
        "--limit",
        "0",
    ];
    let alerts = account.trailhound(&list).code(0).json();
    assert!(alerts.as_array().unwrap().iter().any(|alert| alert["event_name"] == "CreateUser"), "{alerts}");
    account.trailhound(&["events", "--store", "trailhound"]).code(2);

    // What is known is silenced by both functions, and listed where it is asked for.
    let store = ["--store", "dynamodb://trailhound"];
    let add = ["suppress", "add", "--detection", "access-key-created", "--reason", "rotation", "--until", "+1d"];
    let silenced = account.trailhound(&[&add[..], &store].concat()).code(0).stdout();
    assert!(silenced.ends_with("; 2 open alerts silenced\n"), "{silenced}");
    let known = record("CreateAccessKey", "iam", "us-east-1", 20, "known");
    account.live.add("known.json", &[of_account(known)]);
    std::thread::sleep(Duration::from_secs(1));
    let answer = account.run(&["invoke", "tracker"]).code(0).json();
    assert_eq!(
        (&answer["stored"], &answer["alerts"]["suppressed"], &answer["alerts_sent"]),
        (&json!(1), &json!(1), &json!(0)),
        "{answer}"
    );
    let status = ["status", "--store", "dynamodb://trailhound"];
    assert!(account.trailhound(&status).code(4).stdout().starts_with("stack      trailhound in eu-central-1"));
    let cost = account.run(&["cost", "--events-per-month", "1000000"]).code(0).stdout();
    assert!(cost.contains(" USD  DynamoDB, writes       "), "{cost}");
    let cost = account.run(&["cost"]).code(0).stdout();
    assert!(cost.contains(" events a month, as measured over 90 days; "), "{cost}");
    let control = account.ask("scan trailhound-control");
    let streams = control.as_array().unwrap().iter().filter(|item| !item["stream"].is_null()).count();
    assert!(cost.contains(&format!("; {streams} streams\n")), "{cost}");

    // What these call is all that matters here: not every answer of the emulator's is one that AWS's client can read.
    account.run(&["logs", "--since", "1h"]).code(0);
    account.run(&["cost"]);

    // Whoever looks for what is left must be able to see what there was, in either region.
    let there = account.ask("left");
    for (kind, names) in there.as_object().unwrap() {
        let is_none_of_ours = ["schedule groups", "keys", "aliases"].contains(&kind.as_str());
        assert_eq!(names == &json!([]), is_none_of_ours, "{kind}: {there}");
    }
    for (kind, name) in [("stacks", ""), ("rules", "-changes"), ("queues", "-dlq")] {
        let is_of_forwarder = |there: &Value| {
            let there = there.as_str().unwrap();
            there.starts_with("us-east-1 ") && there.ends_with(&format!("trailhound-forwarder{name}"))
        };
        assert!(there[kind].as_array().unwrap().iter().any(is_of_forwarder), "{kind}: {there}");
    }
    let gone = account.run(&["destroy", "--delete-data", "--yes", "--quiet"]).code(0);
    assert!(gone.stdout().contains("  lost: table trailhound-events\n"), "{}", gone.stdout());
    let emptied = gone.stdout().lines().filter(|line| line.ends_with(" versions of objects deleted")).count();
    assert_eq!(emptied, 3, "lake, results and functions: {}", gone.stdout());
    for (kind, left) in account.ask("left").as_object().unwrap() {
        assert_eq!(left, &json!([]), "{kind}");
    }
    assert!(account.run(&["destroy", "--yes"]).code(0).stdout().starts_with("there is no stack trailhound"));
    account.assert_calls_are_allowed();
}

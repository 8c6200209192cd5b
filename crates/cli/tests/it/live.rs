//! Collecting live: the real binary and the real SDK against the testkit's CloudTrail over HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::http::{HttpFaults, Setup, serve};

use crate::support::{Ran, World};

const ACCOUNT: &str = "111122223333";
/// Streams of one account in the service's three regions, without a home region of Identity Center.
const STREAMS: u64 = 12;

/// A home, a folder of logs and the service that answers from it.
struct Live {
    world: World,
    endpoint: String,
}

impl Live {
    fn new(setup: impl FnOnce(&mut Setup)) -> Live {
        Live::with(setup, &[])
    }

    /// With these records in the history when it begins.
    fn with(setup: impl FnOnce(&mut Setup), records: &[Value]) -> Live {
        let world = World::new();
        let mut with = Setup { data: world.path("history"), unlimited: true, ..Setup::default() };
        setup(&mut with);
        let live = Live { world, endpoint: String::new() };
        // The first account there is a record of is the credentials' own.
        live.add("own.json", &[record("ListKeys", "kms", "us-east-1", 4000, "own")]);
        live.add("0.json", records);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        // It ends with the test program.
        std::thread::spawn(move || serve(&listener, with, || ()));
        Live { endpoint, ..live }
    }

    fn add(&self, name: &str, records: &[Value]) {
        // Renamed into its place: the service must not see half of a file.
        let text = serde_json::json!({ "Records": records }).to_string();
        let beside = self.world.file("beside.json", text);
        let path = self.world.path("history").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::rename(beside, path).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trailhound"));
        for (name, _) in std::env::vars_os() {
            if ["TRAILHOUND_", "AWS_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command
            .env_remove("FAILPOINTS")
            .envs([("USER", "tester"), ("NO_COLOR", "1"), ("AWS_EC2_METADATA_DISABLED", "true")])
            .envs([("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")])
            .env("AWS_CONFIG_FILE", self.world.path("no-config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", self.world.path("no-credentials"))
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("TRAILHOUND_COLLECT_CALLS_PER_SECOND", "0")
            .arg("--home")
            .arg(self.world.home());
        command
    }

    fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Ran {
        Ran(self.command().args(arguments).output().unwrap())
    }

    fn collect(&self) -> Ran {
        self.run(["collect", "--summary", "json"])
    }

    /// What is stored, by id.
    fn ids(&self) -> BTreeSet<String> {
        let raw = self.run(["events", "--raw", "--limit", "0"]).code(0).stdout();
        let ids: BTreeSet<String> = raw.lines().map(|line| id(&serde_json::from_str(line).unwrap())).collect();
        assert_eq!(ids.len(), raw.lines().count(), "an event is stored twice");
        ids
    }
}

fn id(record: &Value) -> String {
    record["eventID"].as_str().unwrap().to_owned()
}

/// A record so many seconds old.
fn record(name: &str, source: &str, region: &str, age: i64, id: &str) -> Value {
    #[expect(clippy::disallowed_methods, reason = "the binary lives in the real time")]
    let now = jiff::Timestamp::now().as_second();
    let time = jiff::Timestamp::from_second(now - age).unwrap().to_string();
    let event = testkit::event(name).source(source).region(region).account(ACCOUNT).at(&time).iam_user("alice");
    event.id(&format!("{name}-{id}")).build()
}

/// The identity streams that have records here, with as many as chance says.
fn history(random: &mut fastrand::Rng) -> Vec<Value> {
    let mut records = Vec::new();
    let streams = [
        ("CreateUser", "iam", "us-east-1"),
        ("AssumeRole", "sts", "us-east-1"),
        ("AssumeRole", "sts", "eu-west-1"),
        ("ConsoleLogin", "signin", "eu-west-1"),
        ("CreateAccount", "organizations", "us-east-1"),
    ];
    for (name, source, region) in streams {
        // Nothing, a few, exactly a page, or a burst within one second that goes over pages.
        let (number, burst) = match random.u8(0..8) {
            0..2 => (0, false),
            2..5 => (random.i64(1..40), false),
            5 => (50, false),
            _ => (random.i64(51..220), random.bool()),
        };
        let together = random.i64(20..80 * 86_400);
        for place in 0..number {
            let age = if burst { together } else { random.i64(20..80 * 86_400) };
            records.push(record(name, source, region, age, &format!("{region}-{place}")));
        }
    }
    records
}

/// The fewest calls that read these records: a page for every 50, and one for every stream without any.
fn fewest_calls(records: &[Value]) -> u64 {
    let mut streams: BTreeMap<(String, String), u64> = BTreeMap::new();
    for record in records {
        let part = |key: &str| record[key].as_str().unwrap().to_owned();
        *streams.entry((part("awsRegion"), part("eventSource"))).or_default() += 1;
    }
    let empty = STREAMS - streams.len() as u64;
    empty + streams.values().map(|number| number.div_ceil(50)).sum::<u64>()
}

fn sum(report: &Value, field: &str) -> u64 {
    report["streams"].as_array().unwrap().iter().map(|stream| stream[field].as_u64().unwrap()).sum()
}

/// One world: faults and a kill by chance, then quiet. The store must equal the truth.
fn survive(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let records = history(&mut random);
    let is_calm = seed.is_multiple_of(4);
    let live = Live::with(
        |setup| {
            if !is_calm {
                setup.faults = HttpFaults {
                    throttled: [0.0, 0.2, 0.6][random.usize(0..3)],
                    unavailable: [0.0, 0.1][random.usize(0..2)],
                    cut: [0.0, 0.1][random.usize(0..2)],
                    token_lost: [0.0, 0.1][random.usize(0..2)],
                    seed,
                };
            }
        },
        &records,
    );
    if !is_calm && random.bool() {
        let mut child = live.command().arg("collect").stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(random.u64(50..1500)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let mut rounds = 0;
    let report = loop {
        let ran = live.collect();
        match ran.0.status.code() {
            Some(0) => break ran.json(),
            Some(4) if rounds < 8 => rounds += 1,
            code => panic!("seed {seed}: ended with {code:?}: {}", ran.stderr()),
        }
    };
    let expected: BTreeSet<String> = records.iter().map(id).collect();
    let found = live.ids();
    let (lost, added) = (expected.difference(&found).count(), found.difference(&expected).count());
    assert!(lost == 0 && added == 0, "seed {seed}: {lost} lost, {added} added");
    if is_calm {
        assert_eq!(sum(&report, "calls"), fewest_calls(&records), "seed {seed}");
        assert_eq!(sum(&report, "failed_calls"), 0, "seed {seed}");
    }
    let status = live.run(["status", "--format", "json"]).code(0).json();
    assert!(
        status["collecting"]["verdict"].as_str().unwrap().starts_with("all 12 streams are covered up to"),
        "{status}"
    );
}

#[test]
fn whatever_goes_wrong_on_the_way_everything_arrives() {
    // The seeds are shared out among threads that mostly wait.
    let worlds = std::env::var("TRAILHOUND_TEST_WORLDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let next = Mutex::new(0..worlds);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(seed) = { next.lock().unwrap().next() } {
                    survive(seed);
                }
            });
        }
    });
}

#[test]
fn a_second_pass_costs_a_call_for_each_stream() {
    let records =
        [record("CreateUser", "iam", "us-east-1", 7200, "1"), record("AssumeRole", "sts", "eu-west-1", 60, "2")];
    let live = Live::with(|_| (), &records);
    let first = live.collect().code(0).json();
    assert_eq!((sum(&first, "calls"), sum(&first, "stored")), (STREAMS, 2));
    let second = live.collect().code(0).json();
    assert_eq!((sum(&second, "calls"), sum(&second, "stored"), sum(&second, "duplicates")), (STREAMS, 0, 1));
    live.add("1.json", &[record("DeleteUser", "iam", "us-east-1", 30, "3")]);
    std::thread::sleep(Duration::from_millis(1100));
    let third = live.run(["collect"]).code(0).stderr();
    assert!(third.contains("12 of 12 streams read to their end"), "{third}");
    assert!(third.contains("= 1 stored"), "{third}");
    assert_eq!(live.ids().len(), 3);
}

#[test]
fn a_region_that_is_denied_is_named_and_stops_no_other() {
    let records =
        [record("AssumeRole", "sts", "us-east-1", 60, "1"), record("AssumeRole", "sts", "eu-west-1", 60, "2")];
    let live = Live::with(|setup| setup.denied.push("eu-west-1".to_owned()), &records);
    let ran = live.run(["collect"]).code(4);
    let told = ran.stderr();
    assert!(told.contains("111122223333/eu-west-1/signin.amazonaws.com and 1 more stream: access denied: cloudtrail:LookupEvents is not allowed"), "{told}");
    assert!(told.contains("allow the action"), "{told}");
    assert_eq!(live.ids().len(), 1);
    let status = live.run(["status"]).code(4).stdout();
    assert!(status.contains("2 of 12 streams have gaps"), "{status}");
    assert!(status.contains("access-denied"), "{status}");
}

#[test]
fn a_paused_stream_is_not_read_until_it_is_resumed() {
    let live = Live::with(|_| (), &[record("AssumeRole", "sts", "eu-west-1", 60, "1")]);
    let stream = "111122223333/eu-west-1/sts.amazonaws.com";
    live.run(["collect", "pause", "111122223333/eu-west-1/sts", "--reason", "load test"]).code(0);
    let first = live.collect().code(0).json();
    assert_eq!((sum(&first, "calls"), sum(&first, "stored")), (STREAMS - 1, 0));
    let status = live.run(["status"]).code(4).stdout();
    assert!(status.contains("paused by tester: load test; resume the stream"), "{status}");
    let told = live.run(["collect", "resume", "*/eu-west-1/*"]).code(0).stdout();
    assert!(told.contains(&format!("resumed {stream}")) && told.contains("1 stream was not paused"), "{told}");
    assert_eq!(sum(&live.collect().code(0).json(), "stored"), 1);
    let unknown = live.run(["collect", "pause", "*/mars-1/*"]).code(2).stderr();
    assert!(unknown.contains("no stream is called"), "{unknown}");
}

#[test]
fn wrong_credentials_and_a_service_that_is_away_are_told_as_such() {
    let live = Live::new(|_| ());
    let none =
        live.command().env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").arg("collect").output();
    let told = Ran(none.unwrap()).code(1).stderr();
    assert!(told.contains("the credentials are not accepted: none were found: set AWS_PROFILE"), "{told}");
    let away = live.command().env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").arg("collect").output();
    let told = Ran(away.unwrap()).code(1).stderr();
    assert!(told.contains("no proper answer from the service"), "{told}");
    let status = live.run(["status"]).code(4).stdout();
    assert!(status.contains("not known since"), "{status}");
}

#[test]
fn accounts_are_read_by_their_roles_and_one_that_fails_stops_no_other() {
    let other = "444455556666";
    let mut record = record("CreateUser", "iam", "us-east-1", 60, "other");
    record["recipientAccountId"] = other.into();
    record["userIdentity"]["accountId"] = other.into();
    let live = Live::with(|_| (), &[record]);
    live.world.file(
        "home/trailhound.toml",
        format!("[[accounts]]\nrole = 'arn:aws:iam::{other}:role/trailhound'\nexternal_id = {{ env = 'THEIR_ID' }}\n\n[[accounts]]\nrole = 'nonsense'\n"),
    );
    let missing = live.collect().code(2).stderr();
    assert!(missing.contains("external_id: the environment variable THEIR_ID is not set"), "{missing}");
    let ran = Ran(live.command().env("THEIR_ID", "hush-hush").args(["collect"]).output().unwrap()).code(4);
    assert!(ran.stderr().contains("\"nonsense\" is no ARN of a role"), "{}", ran.stderr());
    assert!(!ran.stderr().contains("hush-hush"));
    assert_eq!(live.ids(), BTreeSet::from(["CreateUser-other".to_owned()]));
    let shown =
        Ran(live.command().env("THEIR_ID", "hush-hush").args(["config", "show"]).output().unwrap()).code(0).stdout();
    assert!(!shown.contains("hush-hush"), "{shown}");
}

#[test]
fn every_account_of_the_organisation_is_read_through_its_role() {
    let accounts = [ACCOUNT, "444455556666", "777788889999"];
    let records: Vec<Value> = accounts
        .iter()
        .map(|account| {
            let mut record = record("CreateUser", "iam", "us-east-1", 60, account);
            record["recipientAccountId"] = (*account).into();
            record
        })
        .collect();
    let live = Live::with(|_| (), &records);
    live.configure("[collect]\nregions = ['us-east-1']\n[[accounts]]\norganization_role = 'audit/trailhound'\n");
    let report = live.collect().code(0).json();
    assert_eq!(report["streams"].as_array().unwrap().len(), accounts.len() * 8);
    assert_eq!(live.ids(), records.iter().map(id).collect());
    let covered = live.run(["sql", "SELECT DISTINCT account_id FROM coverage ORDER BY 1", "--format", "csv"]).code(0);
    assert_eq!(covered.stdout(), format!("account_id\n{}\n", accounts.join("\n")));
}

/// Somewhere alerts are sent to: every body that came, in order.
struct Receiver {
    url: String,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bodies);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let mut reader = BufReader::new(connection.unwrap());
                let mut length = 0;
                let mut line = String::new();
                while reader.read_line(&mut line).unwrap_or(0) > 2 {
                    if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = text.trim().parse().unwrap();
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                if reader.read_exact(&mut body).is_ok() {
                    kept.lock().unwrap().push(String::from_utf8(body).unwrap());
                    let _ = reader
                        .get_mut()
                        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                }
            }
        });
        Receiver { url, bodies }
    }
}

/// A daemon, ended with the test whatever happens.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Live {
    fn daemon(&self) -> Daemon {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.world.path("log")).unwrap();
        Daemon(self.command().args(["run", "--listen", "127.0.0.1:0"]).stderr(log).spawn().unwrap())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.world.path("log")).unwrap_or_default()
    }

    fn configure(&self, text: &str) -> PathBuf {
        self.world.file("home/trailhound.toml", text)
    }
}

#[cfg(unix)]
fn signal(daemon: &Daemon, signal: &str) {
    let sent = Command::new("kill").args([signal, &daemon.0.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

fn get(address: &str, path: &str) -> String {
    let mut connection = std::net::TcpStream::connect(address).unwrap();
    write!(connection, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

#[cfg(unix)]
#[test]
fn the_daemon_tells_people_and_can_be_looked_at_reloaded_and_ended() {
    let live = Live::new(|_| ());
    let hook = Receiver::start();
    let alerts = live.world.path("alerts.jsonl");
    let channels =
        format!("[run]\nevery_seconds = 1\n[[notify]]\nname = 'hook'\nkind = 'webhook'\nurl = '{}'\n", hook.url);
    live.configure(&channels);
    let mut daemon = live.daemon();
    let address = eventually("the address", || {
        let log = live.log();
        let (_, rest) = log.split_once("serving http://")?;
        Some(rest.split('/').next()?.to_owned())
    });
    let metric = |name: &str| -> Option<f64> {
        let page = get(&address, "/metrics");
        page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    };
    eventually("a pass", || metric("trailhound_passes_total").filter(|passes| *passes >= 1.0));
    // What is older than the first pass is backfill, of which nobody is told.
    std::thread::sleep(Duration::from_secs(3));
    live.add("1.json", &[record("CreateAccessKey", "iam", "us-east-1", 1, "new")]);
    let body = eventually("the alert", || hook.bodies.lock().unwrap().first().cloned());
    assert!(body.contains("access-key-created"), "{body}");
    assert!(get(&address, "/healthz").ends_with("ok\n"));
    eventually("the count", || metric("trailhound_records_total{fate=\"stored\"}").filter(|stored| *stored >= 1.0));
    assert_eq!(metric("trailhound_notifications{channel=\"hook\",state=\"sent\"}"), Some(1.0));

    // A mistake in the file changes nothing; a right one does.
    live.configure("[run]\nevery_second = 1\n");
    signal(&daemon, "-HUP");
    eventually("the complaint", || live.log().contains("the configuration stays as it was").then_some(()));
    live.configure(&format!("{channels}[[notify]]\nname = 'file'\nkind = 'file'\npath = '{}'\n", alerts.display()));
    signal(&daemon, "-HUP");
    eventually("the reload", || live.log().contains("the configuration was read again").then_some(()));
    live.add(
        "2.json",
        &[
            record("DeleteTrail", "cloudtrail", "us-east-1", 1, "x"),
            record("CreateAccessKey", "iam", "us-east-1", 1, "second"),
        ],
    );
    eventually("the file", || std::fs::read_to_string(&alerts).ok().filter(|text| text.contains("second")));

    signal(&daemon, "-TERM");
    let status = eventually("the end", || daemon.0.try_wait().unwrap());
    assert_eq!(status.code(), Some(0), "{}", live.log());
    assert_eq!(live.ids().len(), 2);
    let status = live.run(["status"]).code(0).stdout();
    assert!(status.contains("hook") && status.contains("covered up to"), "{status}");
}

#[cfg(unix)]
#[test]
fn fifty_kills_of_the_daemon_lose_nothing_and_tell_nothing_twice() {
    let live = Live::new(|_| ());
    let hook = Receiver::start();
    live.configure(&format!(
        "[run]\nevery_seconds = 1\n[[notify]]\nname = 'hook'\nkind = 'webhook'\nurl = '{}'\nrate_limit = {{ messages = 0 }}\n",
        hook.url
    ));
    // The first pass is over before anything happens: what is then found is news.
    live.collect().code(0);
    std::thread::sleep(Duration::from_secs(3));
    let mut random = fastrand::Rng::with_seed(50);
    let mut expected = BTreeSet::new();
    for round in 0..50 {
        let daemon = live.daemon();
        let records: Vec<Value> = (0..random.usize(1..4))
            .map(|place| record("CreateAccessKey", "iam", "us-east-1", random.i64(0..2), &format!("{round}-{place}")))
            .collect();
        expected.extend(records.iter().map(id));
        live.add(&format!("{round}.json"), &records);
        std::thread::sleep(Duration::from_millis(random.u64(100..2500)));
        drop(daemon);
    }
    let mut daemon = live.daemon();
    let told = || -> Vec<String> {
        let bodies = hook.bodies.lock().unwrap();
        let events = bodies.iter().map(|body| serde_json::from_str::<Value>(body).unwrap());
        events.flat_map(|body| ids_in(&body)).collect()
    };
    eventually("every alert", || expected.is_subset(&told().into_iter().collect()).then_some(()));
    signal(&daemon, "-TERM");
    eventually("the end", || daemon.0.try_wait().unwrap());
    assert_eq!(live.ids(), expected);
    // Between the answer and its being written down a kill leaves one in doubt: it is told again, under the same key.
    let told = told();
    let sent = live.run(["status", "--format", "json"]).json();
    let sent = sent["channels"][0]["sent"].as_u64().unwrap();
    assert_eq!(sent, expected.len() as u64);
    let twice = told.len() - expected.len();
    assert!(twice <= 3, "{twice} of {} were told twice", expected.len());
}

/// The ids of events that a message of the webhook tells of.
fn ids_in(body: &Value) -> Vec<String> {
    let alerts = body["alerts"].as_array().cloned().unwrap_or_else(|| vec![body["alert"].clone()]);
    alerts.iter().map(|alert| alert["event_id"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn watching_shows_what_is_stored_as_it_is() {
    let live = Live::new(|_| ());
    let mut child = live.command().args(["watch", "--format", "jsonl"]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = Arc::new(Mutex::new(Vec::<Value>::new()));
    let output = BufReader::new(child.stdout.take().unwrap());
    let kept = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in output.lines() {
            kept.lock().unwrap().push(serde_json::from_str(&line.unwrap()).unwrap());
        }
    });
    let daemon = Daemon(child);
    std::thread::sleep(Duration::from_millis(500));
    live.add("1.json", &[record("CreateAccessKey", "iam", "us-east-1", 5, "new")]);
    std::thread::sleep(Duration::from_millis(1100));
    live.collect().code(0);
    eventually("both lines", || (lines.lock().unwrap().len() == 2).then_some(()));
    let lines = lines.lock().unwrap();
    assert!(lines.iter().any(|line| line["event"]["eventID"] == "CreateAccessKey-new"));
    assert!(lines.iter().any(|line| line["alert"]["detection"] == "access-key-created"));
    drop(daemon);
}

#[test]
fn channels_can_be_tried_without_showing_their_secrets() {
    let live = Live::new(|_| ());
    let hook = Receiver::start();
    live.configure(&format!(
        "[[notify]]\nname = 'hook'\nkind = 'webhook'\nurl = '{}'\n[[notify]]\nname = 'away'\nkind = 'webhook'\nurl = 'http://127.0.0.1:9/very-secret-path'\n",
        hook.url
    ));
    let dry = live.run(["alerts", "test", "--dry-run", "--all-detections"]).code(0).stdout();
    assert!(dry.contains("hook would be sent of root-console-login"), "{dry}");
    assert!(!dry.contains("very-secret-path") && hook.bodies.lock().unwrap().is_empty());
    let sent = live.run(["alerts", "test"]).code(4).stdout();
    assert!(sent.contains("hook: sent ") && sent.contains("away: "), "{sent}");
    assert!(!sent.contains("very-secret-path"), "{sent}");
    assert_eq!(hook.bodies.lock().unwrap().len(), 1);
    let unknown = live.run(["alerts", "test", "--channel", "hok"]).code(2).stderr();
    assert!(unknown.contains("there is no channel \"hok\""), "{unknown}");
}

/// A bucket and a queue in the emulator.
struct Emulator {
    child: Child,
    input: std::process::ChildStdin,
    output: BufReader<std::process::ChildStdout>,
    about: Value,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Emulator {
    /// `None` where the tests' Python is not set up: `cargo xtask test` does that.
    fn start() -> Option<Emulator> {
        let python = std::env::var_os("TRAILHOUND_PYTHON")?;
        let mut command = Command::new(python);
        command.arg("tests/trail.py").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut emulator = Emulator { child, input, output, about: Value::Null };
        emulator.about = serde_json::from_str(&emulator.line()).unwrap();
        Some(emulator)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    /// Puts a log file into the bucket, and tells the queue. Returns when that was, in seconds.
    fn put(&mut self, live: &Live, name: &str, records: &[Value]) -> f64 {
        let file = live.world.file(name, serde_json::json!({ "Records": records }).to_string());
        writeln!(self.input, "{}", file.display()).unwrap();
        self.line().trim().parse().unwrap()
    }
}

#[cfg(unix)]
#[test]
fn a_trail_is_read_by_listing_and_by_its_queue() {
    let Some(mut emulator) = Emulator::start() else { return };
    let mut live = Live::new(|_| ());
    live.endpoint = emulator.about["endpoint"].as_str().unwrap().to_owned();
    let trail = "[collect]\nown_account = false\n[[trails]]\nbucket = 'our-trail'\nprefix = 'logs'\n";
    live.configure(trail);
    let key = |name: &str| record("CreateAccessKey", "iam", "us-east-1", 1, name);
    emulator.put(&live, "1.json", &[key("1"), record("GetObject", "s3", "us-east-1", 5, "data")]);
    let first = live.collect().code(0).json();
    assert_eq!(first["trails"][0]["found"]["to_read"], 1);
    assert_eq!(first["trails"][0]["totals"]["stored"], 2);
    // A second pass finds the object in the ledger.
    let second = live.run(["collect"]).code(0).stderr();
    assert!(second.contains("our-trail: 0 new objects of 1 in "), "{second}");

    let alerts = live.world.path("alerts.jsonl");
    let queue = emulator.about["queue"].as_str().unwrap();
    live.configure(&format!(
        "{trail}queue = '{queue}'\n[[notify]]\nname = 'file'\nkind = 'file'\npath = '{}'\n",
        alerts.display()
    ));
    let mut daemon = live.daemon();
    let told = || std::fs::read_to_string(&alerts).unwrap_or_default();
    let mut waits = Vec::new();
    for number in 2..12 {
        let name = number.to_string();
        let sent = emulator.put(&live, &format!("{name}.json"), &[key(&name)]);
        eventually(&name, || told().contains(&format!("CreateAccessKey-{name}")).then_some(()));
        #[expect(clippy::disallowed_methods, reason = "the binary lives in the real time")]
        let now = jiff::Timestamp::now().as_microsecond() as f64 / 1e6;
        waits.push(now - sent);
    }
    // What is stored and acknowledged by then, or comes again.
    signal(&daemon, "-TERM");
    eventually("the end", || daemon.0.try_wait().unwrap());
    live.collect().code(0);
    assert_eq!(live.ids().len(), 12);
    let status = live.run(["status"]).stdout();
    assert!(status.contains("our-trail-told") && status.contains("our-trail "), "{status}");
    // Shown where somebody looks (--no-capture); a figure is no test.
    println!("seconds from the message to the channel: {waits:.3?}");
}

#[test]
fn a_bucket_that_is_not_there_is_told_and_stops_nothing_else() {
    let live = Live::with(|_| (), &[record("CreateUser", "iam", "us-east-1", 60, "1")]);
    live.configure("[[trails]]\nbucket = 'no-such-trail'\n");
    let ran = live.run(["collect"]).code(4);
    assert!(ran.stderr().contains("no-such-trail"), "{}", ran.stderr());
    assert_eq!(live.ids().len(), 1);
    let wrong = live.configure("[[trails]]\nprefix = 'x'\n");
    let told = live.run(["collect"]).code(2).stderr();
    assert!(told.contains("each needs a bucket or a queue"), "{} {told}", wrong.display());
}

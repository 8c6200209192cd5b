//! The daemon, trails and watching: what goes on for a while, and is ended in every way.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::live::{Live, id, record};

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
pub(crate) struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
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
    pub(crate) fn daemon(&self) -> Daemon {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.world.path("log")).unwrap();
        Daemon(self.command().args(["run", "--listen", "127.0.0.1:0"]).stderr(log).spawn().unwrap())
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.world.path("log")).unwrap_or_default()
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
    // A filter holds for events and for alerts.
    for (user, expected) in [("alice", 2), ("somebody-else", 0)] {
        let watch = ["watch", "--format", "jsonl", "--last", "10", "--user", user];
        let output = live.world.path(user);
        let mut command = live.command();
        command.args(watch).stdout(std::fs::File::create(&output).unwrap());
        let watching = Daemon(command.spawn().unwrap());
        std::thread::sleep(Duration::from_secs(2));
        drop(watching);
        assert_eq!(std::fs::read_to_string(output).unwrap().lines().count(), expected, "{user}");
    }
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

#[test]
fn a_second_daemon_leaves_the_home_to_the_first() {
    let live = Live::with(|_| (), &[record("CreateUser", "iam", "us-east-1", 60, "1")]);
    let serving = || live.log().matches("serving http://").count();
    let first = live.daemon();
    eventually("the first daemon", || (serving() == 1).then_some(()));
    let mut second = live.daemon();
    let ended = eventually("the second daemon's end", || second.0.try_wait().unwrap());
    assert_eq!(ended.code(), Some(1));
    let message = format!("already: process {}", first.0.id());
    assert!(live.log().contains(&message), "{}", live.log());
    // Its lock goes with it, even where it was killed.
    drop(first);
    let _third = live.daemon();
    eventually("the third daemon", || (serving() == 2).then_some(()));
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
    // What the configuration names now, not what it named before.
    assert!(status.contains("our-trail-told") && !status.contains("our-trail "), "{status}");
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

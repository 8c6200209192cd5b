//! The daemon, trails and watching: what goes on for a while, and is ended in every way.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use event::Timestamp;
use local::state::SqliteState;
use pipeline::collect::{StreamChange, StreamStore};
use pipeline::coverage::Coverage;
use pipeline::outbox::{Delivery, Outbox, Route, Routes};
use pipeline::state::{Ledger, StateStore};
use serde_json::Value;

use crate::live::{ACCOUNT, Live, id, record};

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

pub(crate) fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(60, what, look)
}

fn within<T>(seconds: u64, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "{what}: not within {seconds} s");
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Live {
    pub(crate) fn daemon(&self) -> Daemon {
        self.daemon_of(self.command().args(["run", "--listen", "127.0.0.1:0"]))
    }

    fn daemon_of(&self, command: &mut Command) -> Daemon {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.world.path("log")).unwrap();
        Daemon(command.stderr(log).spawn().unwrap())
    }

    /// Where the last daemon, or the last turn of it that began to, serves its figures.
    fn address(&self) -> String {
        eventually("the address", || {
            let log = self.log();
            let (_, rest) = log.rsplit_once("serving http://127.0.0.1:")?;
            let (port, _) = rest.split_once("/metrics")?;
            Some(format!("127.0.0.1:{}", port.split('/').next()?))
        })
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

pub(crate) fn get(address: &str, path: &str) -> String {
    let mut connection = std::net::TcpStream::connect(address).unwrap();
    write!(connection, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

fn metric(address: &str, name: &str) -> Option<f64> {
    let page = get(address, "/metrics");
    page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
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
    let address = live.address();
    let metric = |name: &str| metric(&address, name);
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
    let mut settled: Vec<(usize, BTreeSet<String>)> = Vec::new();
    for round in 0..50 {
        let daemon = live.daemon();
        let records: Vec<Value> = (0..random.usize(1..4))
            .map(|place| record("CreateAccessKey", "iam", "us-east-1", random.i64(0..2), &format!("{round}-{place}")))
            .collect();
        expected.extend(records.iter().map(id));
        live.add(&format!("{round}.json"), &records);
        std::thread::sleep(Duration::from_millis(random.u64(100..2500)));
        drop(daemon);
        // What is written down as sent must not be told by whoever comes next.
        let state = SqliteState::open(&live.world.home().join("state.db")).unwrap();
        let sent: BTreeSet<String> =
            state.outbox(Delivery::Sent, 10_000).unwrap().into_iter().map(|row| row.alert.to_string()).collect();
        settled.push((hook.bodies.lock().unwrap().len(), sent));
    }
    let mut daemon = live.daemon();
    let told = || -> Vec<String> {
        let bodies = hook.bodies.lock().unwrap();
        let events = bodies.iter().map(|body| serde_json::from_str::<Value>(body).unwrap());
        events.flat_map(|body| ids_in(&body)).collect()
    };
    eventually("every alert", || expected.is_subset(&told().into_iter().collect()).then_some(()));
    // What a killed one recorded is told before a pass has stored it.
    eventually("every event", || (live.ids() == expected).then_some(()));
    signal(&daemon, "-TERM");
    eventually("the end", || daemon.0.try_wait().unwrap());
    assert_eq!(live.ids(), expected);
    let told = told();
    let sent = live.run(["status", "--format", "json"]).json();
    let sent = sent["channels"][0]["sent"].as_u64().unwrap();
    assert_eq!(sent, expected.len() as u64);
    let bodies: Vec<Value> =
        hook.bodies.lock().unwrap().iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    for (round, (before, sent)) in settled.iter().enumerate() {
        let again = bodies[*before..].iter().flat_map(|body| alerts_in(body, "id")).find(|id| sent.contains(id));
        assert_eq!(again, None, "told again after it was settled, round {round}");
    }
    assert!(settled.iter().any(|(_, sent)| !sent.is_empty()));
    // Between the answer and its being written down a kill leaves one in doubt: it is told again, under the same key.
    let twice = told.len() - expected.len();
    assert!(twice <= settled.len(), "{twice} of {} were told twice", expected.len());
}

/// The ids of events that a message of the webhook tells of.
fn ids_in(body: &Value) -> Vec<String> {
    alerts_in(body, "event_id")
}

/// A part of each of the alerts that a message of the webhook tells of.
fn alerts_in(body: &Value, part: &str) -> Vec<String> {
    let alerts = body["alerts"].as_array().cloned().unwrap_or_else(|| vec![body["alert"].clone()]);
    alerts.iter().map(|alert| alert[part].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn what_a_killed_daemon_was_about_to_tell_is_told_as_soon_as_there_is_another() {
    let live = Live::new(|_| ());
    let hook = Receiver::start();
    live.configure(&webhook(&hook));
    live.collect().code(0);
    let state = SqliteState::open(&live.world.home().join("state.db")).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the binary lives in the real time")]
    let now = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond()).unwrap();
    let alert = pipeline::notify::trouble("pager", "HTTP 500", now);
    let routes = Routes { channels: vec![Route::new("hook", detect::Severity::Low)], backfill: false };
    state.record_alerts(&[alert], &routes).unwrap();
    let lease = Timestamp::from_micros(now.micros() + 900_000_000).unwrap();
    assert_eq!(state.claim("hook", now, lease, 10).unwrap().len(), 1);
    // One that ended by itself has told what it had claimed.
    let mut command = live.command();
    let mut daemon = live.daemon_of(command.args(["run", "--listen", "127.0.0.1:0"]));
    live.address();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(hook.about("alerting-failed/pager"), None, "another process may be about to tell it");
    daemon.0.kill().unwrap();
    daemon.0.wait().unwrap();
    let _next = live.daemon();
    eventually("the alert", || hook.about("alerting-failed/pager"));
}

/// A channel that everything is sent to.
fn webhook(hook: &Receiver) -> String {
    format!("[[notify]]\nname = 'hook'\nkind = 'webhook'\nurl = '{}'\nrate_limit = {{ messages = 0 }}\n", hook.url)
}

impl Receiver {
    /// The first message about something whose id begins so.
    fn about(&self, id: &str) -> Option<String> {
        let bodies = self.bodies.lock().unwrap();
        let is_about =
            |body: &&String| ids_in(&serde_json::from_str(body).unwrap()).iter().any(|event| event.starts_with(id));
        bodies.iter().find(is_about).cloned()
    }
}

#[test]
fn people_are_told_when_a_stream_that_used_to_speak_is_silent() {
    const DAY: i64 = 86_400;
    let records: Vec<Value> = (0..3_000)
        .map(|number| record("GetUser", "iam", "us-east-1", 3 * DAY + number * 2_200, &number.to_string()))
        .collect();
    let live = Live::with(|_| (), &records);
    let hook = Receiver::start();
    live.configure(&format!("[run]\nevery_seconds = 1\n{}", webhook(&hook)));
    let _daemon = live.daemon();
    let told = eventually("the silence", || hook.about("trail-silent/silent/111122223333/us-east-1/iam"));
    assert!(told.contains("was its logging turned off?"), "{told}");
    assert_eq!(live.ids().len(), records.len());
}

#[test]
fn people_are_told_when_access_is_lost() {
    let live = Live::with(|setup| setup.denied.push("eu-west-1".to_owned()), &[]);
    let hook = Receiver::start();
    live.configure(&format!("[run]\nevery_seconds = 1\n{}", webhook(&hook)));
    live.collect().code(4);
    // An hour goes by, before which all was well.
    let state = SqliteState::open(&live.world.home().join("state.db")).unwrap();
    let (stream, mut health) = state
        .streams()
        .unwrap()
        .into_iter()
        .find(|state| state.stream.to_string() == "111122223333/eu-west-1/sts.amazonaws.com")
        .map(|state| (state.stream, state.health))
        .unwrap();
    let hours_ago = |now: Timestamp, hours: i64| Timestamp::from_micros(now.micros() - hours * 3_600_000_000);
    let trouble = health.trouble.as_mut().unwrap();
    health.last_success = hours_ago(trouble.last, 2);
    trouble.since = hours_ago(trouble.last, 1).unwrap();
    let (covered, walks) = (Coverage::default(), Vec::new());
    state.save_streams(&[StreamChange { stream, since: None, covered, walks, health }]).unwrap();
    drop(state);
    let _daemon = live.daemon();
    let lost = "trail-silent/access-lost/access-denied/111122223333/eu-west-1/sts";
    let told = eventually("the loss", || hook.about(lost));
    assert!(told.contains("cloudtrail:LookupEvents") && told.contains("allow the action"), "{told}");
    // The others were never readable, and the status says so.
    assert_eq!(hook.about("trail-silent/access-lost/access-denied/111122223333/eu-west-1/signin"), None);
}

#[test]
fn people_are_told_when_no_pass_comes_to_its_end() {
    let live = Live::new(|_| ());
    let hook = Receiver::start();
    live.configure(&format!("[run]\nevery_seconds = 1\npass_within_minutes = 1\n{}", webhook(&hook)));
    let mut command = live.command();
    let _daemon =
        live.daemon_of(command.args(["run", "--listen", "127.0.0.1:0"]).env("AWS_ENDPOINT_URL", "http://127.0.0.1:9"));
    let address = live.address();
    let started = Instant::now();
    assert!(get(&address, "/healthz").ends_with("ok\n"));
    within(120, "the silence", || hook.about("trail-silent/no-pass"));
    assert!(started.elapsed() > Duration::from_secs(45), "a daemon that has just been started is given its time");
    let ill = get(&address, "/healthz");
    assert!(ill.starts_with("HTTP/1.1 503") && ill.contains("no pass has come to its end for 1 minutes"), "{ill}");
}

#[test]
fn a_pass_in_which_nobody_answers_is_none_whatever_is_paused() {
    let live = Live::new(|setup| {
        setup.denied.extend(["us-east-1", "eu-west-1", "eu-central-1", "us-west-2"].map(str::to_owned));
    });
    live.configure("[run]\nevery_seconds = 1\n");
    live.collect().code(4);
    live.run(["collect", "pause", "*/us-east-1/sts"]).code(0);
    let _daemon = live.daemon();
    let address = live.address();
    eventually("two passes", || {
        let status = live.run(["status", "--format", "json"]).code(4).json();
        let passes = status["runs"].as_array().unwrap().iter().filter(|run| run["command"] == "run");
        (passes.filter(|run| !run["end"].is_null()).count() >= 2).then_some(())
    });
    assert_eq!(metric(&address, "trailhound_passes_total"), Some(0.0));
    // Where everything is paused there is nobody to answer.
    live.run(["collect", "pause", "*"]).code(0);
    eventually("a pass", || metric(&address, "trailhound_passes_total").filter(|passes| *passes >= 1.0));
}

#[test]
fn a_daemon_that_has_nobody_to_tell_goes_about_its_work() {
    let live = Live::new(|_| ());
    let _daemon = live.daemon();
    let address = live.address();
    eventually("a pass", || metric(&address, "trailhound_passes_total").filter(|passes| *passes >= 1.0));
    std::thread::sleep(Duration::from_secs(1));
    let log = live.log();
    assert!(!log.contains("read again") && !log.contains("begins anew"), "{log}");
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn the_daemons_threads_share_two_arenas_unless_somebody_says_otherwise() {
    let live = Live::new(|_| ());
    let arenas = |daemon: &Daemon| {
        live.address();
        let environment = std::fs::read(format!("/proc/{}/environ", daemon.0.id())).unwrap();
        let text = String::from_utf8(environment).unwrap();
        text.split('\0').find_map(|pair| pair.strip_prefix("MALLOC_ARENA_MAX=")).map(str::to_owned)
    };
    let daemon = live.daemon();
    assert_eq!(arenas(&daemon).as_deref(), Some("2"));
    drop(daemon);
    std::fs::remove_file(live.world.path("log")).unwrap();
    let mut command = live.command();
    let told = command.args(["run", "--listen", "127.0.0.1:0"]).env("MALLOC_ARENA_MAX", "4");
    assert_eq!(arenas(&live.daemon_of(told)).as_deref(), Some("4"));
}

#[cfg(unix)]
#[test]
fn a_reload_moves_what_is_served() {
    let live = Live::new(|_| ());
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (first, second) = (free(), free());
    let listen = |text: &str| live.configure(&format!("[run]\nlisten = '{text}'\n"));
    listen(&first.to_string());
    let daemon = live.daemon_of(live.command().arg("run"));
    eventually("the first address", || std::net::TcpStream::connect(first).ok());
    listen(&second.to_string());
    signal(&daemon, "-HUP");
    eventually("the second address", || std::net::TcpStream::connect(second).ok());
    assert!(get(&second.to_string(), "/healthz").ends_with("ok\n"));
    eventually("the end of the first", || std::net::TcpStream::connect(first).err());
    // One that cannot be had changes nothing.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    listen(&taken.local_addr().unwrap().to_string());
    signal(&daemon, "-HUP");
    eventually("the complaint", || live.log().contains("run.listen stays as it was: ").then_some(()));
    assert!(get(&second.to_string(), "/healthz").ends_with("ok\n"));
}

#[test]
fn what_aws_does_not_give_a_channel_stops_neither_the_daemon_nor_the_other_channels() {
    let live = Live::new(|_| ());
    live.collect().code(0);
    let hook = Receiver::start();
    live.configure(&format!(
        "[run]\nevery_seconds = 1\n{}\n[[notify]]\nname = 'hub'\nkind = 'security-hub'\n\
         [[notify]]\nname = 'chat'\nkind = 'slack'\n\
         webhook = {{ aws = 'arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:slack-AbCdEf' }}\n",
        webhook(&hook)
    ));
    let mut command = live.command();
    let away = command.args(["run", "--listen", "127.0.0.1:0"]).env("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9");
    let mut daemon = live.daemon_of(away);
    for channel in ["hub", "chat"] {
        let told = eventually(channel, || hook.about(&format!("alerting-failed/{channel}/")));
        assert!(told.contains("does not take alerts"), "{told}");
        assert!(live.log().contains(&format!("the channel {channel} waits: ")), "{}", live.log());
    }
    assert!(daemon.0.try_wait().unwrap().is_none());
    // The status says so in its verdict, and what helps.
    let status = eventually("the verdict", || {
        let status = live.run(["status"]).stdout();
        status.contains("2 channels do not take alerts").then_some(status)
    });
    assert!(status.contains("channel chat: ") && status.contains("trailhound alerts test --channel chat"), "{status}");
    drop(daemon);
    // A mistake in the configuration is another matter.
    live.configure("[[notify]]\nname = 'chat'\nkind = 'slack'\nwebhook = { aws = 'slack' }\n");
    let wrong = live.run(["run"]).code(2).stderr();
    assert!(wrong.contains("no ARN"), "{wrong}");
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
    assert!(status.contains("our-trail-told") && status.contains("our-trail.logs"), "{status}");
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

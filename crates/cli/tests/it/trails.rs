//! Trails, by a bucket and a queue on this machine: what is covered, and what keeps one from being read.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};

use local::state::SqliteState;
use pipeline::collect::{Health, Stream, StreamChange, StreamStore, Trouble, TroubleKind};
use serde_json::{Value, json};
use testkit::http::script::Script;

use crate::daemon::{eventually, get};
use crate::live::{Live, record};
use crate::support::Ran;

const BUCKET: &str = "our-trail";
/// Nothing is listed.
const EMPTY: &str = "<ListBucketResult><Name>our-trail</Name><IsTruncated>false</IsTruncated></ListBucketResult>";

/// A service for the account, a bucket and a queue beside it.
struct Trails {
    live: Live,
    bucket: String,
    queue: String,
}

impl Trails {
    /// A bucket with one file of today under `logs/`, and a queue that tells nothing.
    fn new() -> Trails {
        let live = Live::new(|_| ());
        let today = today();
        let key = format!("bucket/logs/AWSLogs/111122223333/CloudTrail/us-east-1/{today}/1.json");
        let records = json!({ "Records": [record("CreateUser", "iam", "us-east-1", 5, "1")] });
        live.world.file(&key, records.to_string());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let bucket = format!("http://{}", listener.local_addr().unwrap());
        let folder = live.world.path("bucket");
        // It ends with the test program.
        std::thread::spawn(move || testkit::http::s3::serve(&listener, &folder, BUCKET, || ()));
        let queue = Script::open(|_| (200, "{}".to_owned())).endpoint;
        Trails { live, bucket, queue }
    }

    fn configure(&self, trails: &str) {
        self.live.configure(&format!("[collect]\nown_account = false\n{trails}"));
    }

    fn command(&self) -> std::process::Command {
        let mut command = self.live.command();
        command.env("AWS_ENDPOINT_URL_S3", &self.bucket).env("AWS_ENDPOINT_URL_SQS", &self.queue);
        command
    }

    fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Ran {
        Ran(self.command().args(arguments).output().unwrap())
    }

    fn collect(&self) -> Ran {
        self.run(["collect", "--summary", "json"])
    }

    fn status(&self) -> Value {
        self.run(["status", "--format", "json"]).json()
    }
}

fn today() -> String {
    record("X", "iam", "us-east-1", 0, "")["eventTime"].as_str().unwrap()[..10].replace('-', "/")
}

fn told(key: &str) -> String {
    json!({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "awsRegion": "us-east-1",
        "s3": {"bucket": {"name": BUCKET}, "object": {"key": key, "size": 1}}}]})
    .to_string()
}

#[test]
fn a_queue_whose_objects_are_denied_is_no_trail_that_is_read() {
    let mut trails = Trails::new();
    let is_told = AtomicBool::new(false);
    let services = Script::open(move |asked| match asked.target.rsplit('.').next() {
        Some("ReceiveMessage") if !is_told.swap(true, Ordering::SeqCst) => {
            let message = json!({"MessageId": "m", "ReceiptHandle": "r", "Body": told("AWSLogs/x.json.gz")});
            (200, json!({ "Messages": [message] }).to_string())
        }
        _ if asked.call.starts_with("GET /our-trail/") => {
            (403, "<Error><Code>AccessDenied</Code><Message>not yours</Message></Error>".to_owned())
        }
        _ if asked.call.starts_with("GET /our-trail") => (200, EMPTY.to_owned()),
        _ => (200, "{}".to_owned()),
    });
    (trails.bucket, trails.queue) = (services.endpoint.clone(), services.endpoint.clone());
    trails.configure(&format!("[[trails]]\nbucket = 'our-trail'\nqueue = '{}/111122223333/told'\n", services.endpoint));
    let report = trails.collect().code(4).json();
    assert_eq!(report["trails"][0]["queue"]["messages"]["failed"], 1, "{report}");
    let queue = &trails.status()["trails"][0];
    assert_eq!((&queue["trail"], &queue["provable"]), (&json!("trail/-/told"), &json!(false)));
    assert_eq!(
        (&queue["health"]["trouble"]["kind"], &queue["health"]["last_success"]),
        (&json!("access-denied"), &json!(null))
    );
    let status = trails.run(["status"]).code(4).stdout();
    assert!(status.contains("s3:GetObject is not allowed") && status.contains("allow the action"), "{status}");
}

#[test]
fn what_was_listed_and_read_is_covered() {
    let trails = Trails::new();
    trails.configure("[[trails]]\nbucket = 'our-trail'\nprefix = 'logs'\n");
    let never = trails.status();
    assert_eq!(never["trails"][0]["gaps"][0]["reason"], "not read yet", "{never}");
    trails.collect().code(0);
    let status = trails.run(["status", "--format", "json"]).code(0).json();
    let trail = &status["trails"][0];
    assert_eq!((&trail["trail"], &trail["gaps"]), (&json!("trail/-/our-trail.logs"), &json!([])));
    assert!(trail["covered_from"].as_str().unwrap().ends_with("T00:00:00Z"), "{trail}");
    // Files come minutes after what they tell of: the newest half hour is claimed by no listing.
    let lag = trail["lag_seconds"].as_u64().unwrap();
    assert!((1800..1900).contains(&lag), "{lag}");
    assert_eq!(trail["health"]["events"], 1);
    assert!(trail["health"]["last_event"].is_string(), "{trail}");
    let verdict = status["verdict"].as_str().unwrap();
    assert!(verdict.contains("1 trail is read, what was listed up to"), "{verdict}");

    // Where there are no files at all, nobody knows whether there is a trail.
    trails.configure("[[trails]]\nbucket = 'our-trail'\nprefix = 'elsewhere'\n");
    trails.collect().code(4);
    let status = trails.run(["status"]).code(4).stdout();
    assert!(status.contains("s3://our-trail/elsewhere/AWSLogs/: no account has log files there; find out"), "{status}");
    let twice = "[[trails]]\nbucket = 'our-trail'\n".repeat(2);
    trails.configure(&twice);
    assert!(trails.collect().code(2).stderr().contains("our-trail is named twice"));
}

#[test]
fn a_bucket_beside_a_queue_is_listed_once_a_day() {
    let trails = Trails::new();
    let queue = format!("{}/111122223333/told", trails.queue);
    trails.configure(&format!("[[trails]]\nbucket = 'our-trail'\nprefix = 'logs'\nqueue = '{queue}'\n"));
    let first = trails.collect().code(0).json();
    assert_eq!(first["trails"][1]["totals"]["stored"], 1, "{first}");
    let second = trails.collect().code(0).json();
    assert_eq!(second["trails"].as_array().unwrap().len(), 1, "{second}");
    let status = trails.run(["status"]).code(0).stdout();
    assert!(status.contains("not provable") && status.contains("our-trail.logs"), "{status}");
    assert!(status.contains("2 trails are read, what was listed up to"), "{status}");
}

#[test]
fn a_bucket_that_was_renamed_is_named_with_what_to_do() {
    let trails = Trails::new();
    trails.configure("[[trails]]\nbucket = 'their-trail'\n");
    let told = trails.run(["collect"]).code(4).stderr();
    assert!(told.contains("there is no bucket their-trail"), "{told}");
    assert!(told.contains("find out whether it was renamed"), "{told}");
    let status = trails.run(["status"]).code(4).stdout();
    assert!(status.contains("not-found") && status.contains("find out whether it was renamed"), "{status}");
}

#[test]
fn a_trail_that_fails_neither_stops_nor_is_hidden_by_another() {
    let trails = Trails::new();
    trails.configure("[[trails]]\nqueue = 'nowhere'\n[[trails]]\nbucket = 'our-trail'\nprefix = 'logs'\n");
    let report = trails.collect().code(4).json();
    assert_eq!(report["trails"][1]["totals"]["stored"], 1, "{report}");
    let status = trails.status();
    assert_eq!(status["trails"][0]["health"]["trouble"]["kind"], "refused", "{status}");
    let runs = trails.run(["sql", "SELECT command FROM runs ORDER BY 1", "--format", "csv"]).code(0).stdout();
    assert_eq!(runs, "command\ncollect\ntrail nowhere\ntrail our-trail.logs\n");
    let failures: Vec<&Value> = status["failures"].as_array().unwrap().iter().map(|run| &run["command"]).collect();
    assert_eq!(failures, ["trail nowhere"]);
    // What is no longer configured is nobody's failure.
    trails.configure("[[trails]]\nbucket = 'our-trail'\nprefix = 'logs'\n");
    assert_eq!(trails.run(["status", "--format", "json"]).code(0).json()["failures"], json!([]));
}

#[test]
fn a_trail_is_paused_and_resumed_as_a_stream_is() {
    let trails = Trails::new();
    trails.configure("[[trails]]\nbucket = 'our-trail'\nprefix = 'logs'\n");
    let paused = trails.run(["collect", "pause", "trail/-/our-trail.logs", "--reason", "too loud"]).code(0);
    assert!(!paused.stderr().contains("never collected"), "{}", paused.stderr());
    let told = trails.run(["collect"]).code(0).stderr();
    assert!(told.contains("our-trail: paused"), "{told}");
    let status = trails.run(["status"]).code(4).stdout();
    assert!(status.contains("by tester: too loud; resume the stream"), "{status}");
    trails.run(["collect", "resume", "trail/*"]).code(0);
    assert_eq!(trails.collect().code(0).json()["trails"][0]["totals"]["stored"], 1);
}

#[test]
fn the_dead_man_switch_and_the_figures_know_trails() {
    let trails = Trails::new();
    let alerts = trails.live.world.path("alerts.jsonl");
    trails.configure(&format!(
        "[[trails]]\nbucket = 'their-trail'\n[[notify]]\nname = 'file'\nkind = 'file'\npath = '{}'\n",
        alerts.display()
    ));
    trails.collect().code(4);
    // It could be read once, and has not been for two hours.
    let stream = Stream::new("trail", "-", "their-trail");
    let ago = |hours: i64| {
        let text = record("X", "iam", "us-east-1", hours * 3600, "")["eventTime"].as_str().unwrap().to_owned();
        event::Timestamp::parse(&text).unwrap()
    };
    let (message, since) = ("there is no bucket their-trail".to_owned(), ago(2));
    let trouble = Some(Trouble { kind: TroubleKind::NotFound, message, since, last: since });
    let health = Health { last_success: Some(ago(3)), trouble, ..Health::default() };
    let change = StreamChange { stream, since: None, covered: Default::default(), walks: Vec::new(), health };
    SqliteState::open(&trails.live.world.home().join("state.db")).unwrap().save_streams(&[change]).unwrap();
    let mut command = trails.command();
    let log = std::fs::File::create(trails.live.world.path("log")).unwrap();
    let mut daemon = command.args(["run", "--listen", "127.0.0.1:0"]).stderr(log).spawn().unwrap();
    let told = eventually("the alert", || {
        let told = std::fs::read_to_string(&alerts).unwrap_or_default();
        told.contains("trail/-/their-trail").then_some(told)
    });
    assert!(told.contains("trail-silent") && told.contains("cannot be read since"), "{told}");
    let address = eventually("the address", || {
        let log = trails.live.log();
        let (_, rest) = log.split_once("serving http://")?;
        Some(rest.split('/').next()?.to_owned())
    });
    let page = get(&address, "/metrics");
    let trouble = "trailhound_stream_trouble{account=\"trail\",region=\"-\",source=\"their-trail\"} 1";
    assert!(page.contains(trouble), "{page}");
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

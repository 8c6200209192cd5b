//! What is tried with the emulator.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws::{Access, Account, Aws, TrailBucket, TrailQueue};
use detect::Registry;
use event::decode::Limits;
use event::{Day, Timestamp};
use pipeline::alert::{Alert, Arrival, News, Occasion};
use pipeline::collect::Timer;
use pipeline::filter::{FilterConfig, Filters};
use pipeline::ingest::{Ingest, Progress};
use pipeline::outbox::Routes;
use pipeline::report::Report;
use pipeline::service::CallError;
use pipeline::source::Content;
use pipeline::state::{Ledger, Recorded, StateError};
use pipeline::store::Clock;
use pipeline::suppress::Suppressions;
use pipeline::trail::queue::Options;
use pipeline::trail::{Bucket, BucketSource, Consumer, Days, Queue, QueueReport, Trail, bucket};
use serde_json::json;
use testkit::memory::{Disk, Process};

use crate::emulator::Emulator;

const DAY: &str = "my/AWSLogs/111122223333/CloudTrail/us-east-1/2026/04/01";

fn account() -> Account {
    Aws::open(&Access::default(), None).unwrap().own().unwrap()
}

/// Time that passes for real, from a day of the test's own on.
struct RealTime(Instant);

impl RealTime {
    fn start() -> RealTime {
        RealTime(Instant::now())
    }
}

impl Clock for RealTime {
    fn now(&self) -> Timestamp {
        Timestamp::parse("2026-04-01T12:00:00Z").unwrap()
    }
}

impl Timer for RealTime {
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

fn record(name: &str, id: &str) -> String {
    testkit::event(name).id(id).at("2026-04-01T11:00:00Z").to_json()
}

/// A trail file as CloudTrail delivers it.
fn file(ids: &[&str]) -> Vec<u8> {
    let records: Vec<String> = ids.iter().map(|id| record("CreateUser", id)).collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(format!(r#"{{"Records":[{}]}}"#, records.join(",")).as_bytes()).unwrap();
    gzip.finish().unwrap()
}

fn stored(disk: &Disk) -> BTreeSet<String> {
    disk.events.lock().unwrap().keys().cloned().collect()
}

fn ids<const N: usize>(ids: [&str; N]) -> BTreeSet<String> {
    ids.into_iter().map(str::to_owned).collect()
}

fn registry() -> Registry {
    Registry::new(&detect::DetectConfig::default()).unwrap()
}

/// Reads what is new in the bucket.
fn read_bucket(bucket: &Arc<TrailBucket>, disk: &Arc<Disk>) -> Report {
    let process = Process::new(Arc::clone(disk), -1, false);
    let day = |text: &str| Day::parse(text).unwrap();
    let days = Days { first: day("2026-03-20"), last: day("2026-04-01") };
    let trail = Trail { prefix: "my".to_owned(), ..Trail::default() };
    let mut source =
        BucketSource::new(Arc::clone(bucket) as Arc<dyn Bucket>, &process, trail, days, bucket::Options::default());
    let time = RealTime::start();
    let report = Ingest {
        store: &process,
        ledger: &process,
        aside: &process,
        clock: &time,
        registry: &registry(),
        filters: &Filters::new(&FilterConfig::default()).unwrap(),
        suppressions: &Suppressions::default(),
        routes: &Routes::default(),
        proving: None,
        occasion: Occasion { now: time.now(), arrival: Arrival::Live, run: None },
        limits: Limits::default(),
        threads: 3,
        commit_every: Duration::from_secs(10),
        progress: &Progress::default(),
        on_problem: &|problem| panic!("{problem:?}"),
        stop: &AtomicBool::new(false),
    }
    .run(&mut source);
    assert!(source.found().is_complete(), "{:?}", source.found());
    report.unwrap()
}

pub(crate) fn bucket(emulator: &Emulator) {
    emulator.call("s3", "create_bucket", json!({"Bucket": "trail"}));
    let keys: Vec<String> = (0..5).map(|number| format!("{DAY}/a b+é{number}.json.gz")).collect();
    for (number, key) in keys.iter().enumerate() {
        emulator.put("trail", key, &file(&[&format!("e{number}"), "shared"]));
    }
    emulator.put(
        "trail",
        "my/AWSLogs/o-exampleorgid/444455556666/CloudTrail/eu-west-1/2026/03/21/x.json.gz",
        &file(&["org"]),
    );
    emulator.put("trail", "my/AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/04/01/d.json.gz", b"{}");
    let account = account();
    let bucket = Arc::new(TrailBucket::new(&account, "trail", &TrailBucket::region_of(&account)).unwrap());

    let page = bucket.list(&format!("{DAY}/"), None).unwrap();
    assert_eq!(page.objects.iter().map(|object| object.key.clone()).collect::<Vec<_>>(), keys);
    assert!(!page.more);
    let behind = bucket.list(&format!("{DAY}/"), Some(&keys[2])).unwrap();
    assert_eq!(behind.objects, page.objects[3..]);
    assert_eq!(bucket.folders("my/AWSLogs/").unwrap(), ["111122223333", "o-exampleorgid"]);
    assert_eq!(bucket.folders("my/AWSLogs/111122223333/").unwrap(), ["CloudTrail", "CloudTrail-Digest"]);
    assert_eq!(bucket.folders("nothing/").unwrap(), [""; 0]);

    let object = bucket.get(&keys[0], 1 << 20).unwrap();
    assert_eq!((&object.etag, object.size), (&page.objects[0].etag, page.objects[0].size));
    let Content::Bytes(bytes) = object.content else { panic!("small content is read whole") };
    assert_eq!(bytes, file(&["e0", "shared"]));
    assert_eq!(bucket.get(&keys[0], 10).err(), Some(CallError::TooLarge { size: object.size, limit: 10 }));
    assert_eq!(bucket.get("gone", 10).err(), Some(CallError::NotFound("object s3://trail/gone".to_owned())));
    let gone = TrailBucket::new(&account, "gone", "us-east-1").unwrap();
    assert_eq!(gone.list("x/", None), Err(CallError::NotFound("bucket gone".to_owned())));

    // More than one page, and an object that streams.
    let large = vec![b' '; 33 << 20];
    emulator.put("trail", "large", &large);
    let Content::Reader(mut reader) = bucket.get("large", 1 << 30).unwrap().content else { panic!("it streams") };
    let mut read = Vec::new();
    reader.read_to_end(&mut read).unwrap();
    assert!(read == large);

    let disk = Arc::<Disk>::default();
    let report = read_bucket(&bucket, &disk);
    assert_eq!(stored(&disk), ids(["e0", "e1", "e2", "e3", "e4", "org", "shared"]));
    assert_eq!((report.items, report.stored, report.duplicates), (6, 7, 4));
    // What is delivered late has a key before those that were read.
    emulator.put("trail", &format!("{DAY}/0.json.gz"), &file(&["late"]));
    let report = read_bucket(&bucket, &disk);
    assert_eq!((report.items, report.stored), (1, 1));
}

fn queue_of(url: &str) -> TrailQueue {
    TrailQueue::new(&account(), url, Some("us-east-1")).unwrap()
}

pub(crate) fn queue(emulator: &Emulator) {
    let (url, _) = emulator.queue("trail");
    let queue = queue_of(&url);
    assert_eq!(queue.name(), "sqs://123456789012/trail");
    let (now, long) = (Duration::ZERO, Duration::from_secs(60));
    assert_eq!(queue.receive(now, long).unwrap(), []);
    (0..3).for_each(|number| emulator.send(&url, &format!("body {number}")));
    let messages = queue.receive(Duration::from_secs(1), long).unwrap();
    assert_eq!(messages.len(), 3);
    assert!(messages.iter().all(|message| message.receives == 1 && message.sent.is_some()));
    assert_eq!(queue.receive(now, long).unwrap(), [], "others see them not");

    // One is given back, and comes again with another receipt.
    assert_eq!(queue.extend(&[&messages[0].receipt], now).unwrap(), []);
    let again = queue.receive(now, long).unwrap();
    assert_eq!((again.len(), &again[0].id, again[0].receives), (1, &messages[0].id, 2));
    assert_ne!(again[0].receipt, messages[0].receipt);

    let undone = queue.delete(&[&messages[1].receipt, "no receipt", &messages[2].receipt]).unwrap();
    assert_eq!(undone.iter().map(|undone| undone.place).collect::<Vec<_>>(), [1], "{undone:?}");
    let undone = queue.extend(&["no receipt", &again[0].receipt], long).unwrap();
    assert_eq!(undone.iter().map(|undone| undone.place).collect::<Vec<_>>(), [0], "{undone:?}");
    assert_eq!(emulator.waiting(&url), 1);

    let gone = queue_of(&url.replace("trail", "gone"));
    assert!(matches!(gone.receive(now, long), Err(CallError::NotFound(_))), "{:?}", gone.receive(now, long));
}

/// Works the queue off until it is empty.
fn work_off(queue: &TrailQueue, ledger: &dyn Ledger, process: &Process, options: &Options) -> QueueReport {
    let account = account();
    let trail: Arc<dyn Bucket> = Arc::new(TrailBucket::new(&account, "trail", "us-east-1").unwrap());
    let consumer = Consumer {
        queue,
        buckets: &[trail],
        objects: process,
        timer: &RealTime::start(),
        store: process,
        ledger,
        aside: process,
        registry: &registry(),
        filters: &Filters::new(&FilterConfig::default()).unwrap(),
        suppressions: &Suppressions::default(),
        routes: &Routes::default(),
        proving: None,
        run: None,
        news: News { since: Timestamp::MIN, late: Duration::from_secs(7200) },
        options,
        progress: &Progress::default(),
        on_problem: &|_| (),
        stop: &AtomicBool::new(false),
    };
    consumer.run().unwrap()
}

/// A bucket that tells a queue directly, another through a topic, and EventBridge that hands on what it is given.
pub(crate) fn consumer(emulator: &Emulator) {
    let (url, arn) = emulator.queue("trail");
    let topic = emulator.call("sns", "create_topic", json!({"Name": "trail"}));
    let topic = topic["TopicArn"].as_str().unwrap();
    emulator.call("sns", "subscribe", json!({"TopicArn": topic, "Protocol": "sqs", "Endpoint": arn}));
    emulator.call("events", "put_rule", json!({"Name": "trail", "EventPattern": r#"{"source": ["aws.s3", "mine"]}"#}));
    emulator.call("events", "put_targets", json!({"Rule": "trail", "Targets": [{"Id": "queue", "Arn": arn}]}));
    emulator.call("s3", "create_bucket", json!({"Bucket": "trail"}));
    emulator.call("s3", "create_bucket", json!({"Bucket": "other"}));
    let created = ["s3:ObjectCreated:*"];
    let direct = json!({"QueueConfigurations": [{"QueueArn": arn, "Events": created}]});
    let through_topic = json!({"TopicConfigurations": [{"TopicArn": topic, "Events": created}]});
    let through_bridge = json!({"EventBridgeConfiguration": {}});
    let notify = |bucket: &str, configuration: &serde_json::Value| {
        let arguments = json!({"Bucket": bucket, "NotificationConfiguration": configuration});
        emulator.call("s3", "put_bucket_notification_configuration", arguments);
    };
    notify("trail", &direct);
    emulator.put("trail", &format!("{DAY}/direct é+.json.gz"), &file(&["a", "b"]));
    notify("trail", &through_topic);
    emulator.put("trail", &format!("{DAY}/topic.json.gz"), &file(&["b", "c"]));
    notify("trail", &through_bridge);
    emulator.put("trail", &format!("{DAY}/bridge.json.gz"), &file(&["d"]));
    notify("other", &direct);
    emulator.put("other", "x.json.gz", &file(&["not ours"]));
    let record = record("CreateUser", "bridged");
    let entry = json!({"Source": "mine", "DetailType": "AWS API Call via CloudTrail", "Detail": record});
    emulator.call("events", "put_events", json!({"Entries": [entry]}));
    emulator.send(&url, "hello");

    let disk = Arc::<Disk>::default();
    let visibility = Duration::from_secs(2);
    let options =
        Options { until_empty: true, poll: Duration::from_secs(1), max_receives: 2, visibility, ..Options::default() };
    let queue = queue_of(&url);
    let run = || {
        let process = Process::new(Arc::clone(&disk), -1, false);
        work_off(&queue, &process, &process, &options)
    };
    let report = run();
    let expected = ids(["a", "b", "bridged", "c", "d"]);
    assert_eq!(stored(&disk), expected, "{report:?}");
    assert_eq!(report.totals.duplicates, 1, "{report:?}");
    assert!(report.messages.tests >= 1 && report.messages.records == 1 && report.objects.read == 3, "{report:?}");
    // What could not be read is there for another time, and then set aside.
    std::thread::sleep(visibility);
    run();
    assert_eq!(emulator.waiting(&url), 0);
    let reasons: Vec<String> = disk.rejected.lock().unwrap().iter().map(|(_, _, reason)| reason.clone()).collect();
    assert!(reasons.iter().any(|reason| reason.contains(r#"the bucket "other" is none of those"#)), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("no message we know")), "{reasons:?}");

    // Everything is told once more: nothing is read again.
    notify("trail", &direct);
    emulator.put("trail", &format!("{DAY}/direct é+.json.gz"), &file(&["a", "b"]));
    let body = json!({"s3Bucket": "trail", "s3ObjectKey": [format!("{DAY}/topic.json.gz")]}).to_string();
    emulator.call("sns", "publish", json!({"TopicArn": topic, "Message": body}));
    let report = run();
    assert_eq!((report.objects.known, report.totals.stored), (1, 0), "{report:?}");
    assert_eq!((stored(&disk), emulator.waiting(&url)), (expected, 0));
}

/// An alert ledger that takes down when it was told.
struct Stopwatch<'p> {
    process: &'p Process,
    told: Mutex<Vec<Instant>>,
}

impl Ledger for Stopwatch<'_> {
    fn record_alerts(&self, alerts: &[Alert], routes: &Routes) -> Result<Recorded, StateError> {
        self.told.lock().unwrap().push(Instant::now());
        self.process.record_alerts(alerts, routes)
    }
}

/// From a message being sent to its alert being recorded, with the emulator's own time in between.
pub(crate) fn latency(emulator: &Emulator) {
    let (url, _) = emulator.queue("trail");
    let queue = queue_of(&url);
    let process = Process::new(Arc::default(), -1, false);
    let stopwatch = Stopwatch { process: &process, told: Mutex::default() };
    let options = Options { until_empty: true, poll: Duration::from_secs(3), ..Options::default() };
    let mut sent = Vec::new();
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| work_off(&queue, &stopwatch, &process, &options));
        for number in 0..10 {
            std::thread::sleep(Duration::from_millis(200));
            let record = record("CreateUser", &format!("e{number}"));
            let body = format!(r#"{{"detail-type":"AWS API Call via CloudTrail","detail":{record}}}"#);
            sent.push(Instant::now());
            emulator.send(&url, &body);
        }
        let report = worker.join().unwrap();
        assert_eq!(report.totals.alerts.at_least(detect::Severity::Informational), 10);
    });
    let told = stopwatch.told.into_inner().unwrap();
    let mut waits: Vec<Duration> =
        sent.iter().zip(&told).map(|(sent, told)| told.saturating_duration_since(*sent)).collect();
    waits.sort();
    eprintln!("an alert is recorded {:?} (median), {:?} (longest) after its message was sent", waits[5], waits[9]);
    // Most of it is the emulator's own.
    assert!(waits[5] < Duration::from_millis(100), "{waits:?}");
}

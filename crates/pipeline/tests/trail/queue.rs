//! One world with a queue, several processes one after the other, and the checks behind each of them.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use detect::Registry;
use event::{Event, Timestamp};
use pipeline::alert::{Arrival, News};
use pipeline::collect::TroubleKind;
use pipeline::filter::{FilterConfig, Filters};
use pipeline::ingest::{IngestError, Progress};
use pipeline::outbox::Routes;
use pipeline::service::CallError;
use pipeline::store::{Appended, Committed, EventStore, StoreError};
use pipeline::suppress::Suppressions;
use pipeline::trail::queue::{Options, Turn};
use pipeline::trail::{Bucket, Consumer, Message, Queue, QueueReport, Session, Undone};
use serde_json::json;
use testkit::memory::{Disk, Process};

use crate::world::{ACCOUNT, BUCKET, Faults, PATIENCE, QUEUE, SECOND, START, SeenBy, Truth, World};

const HOUR: i64 = 3600 * SECOND;

pub(crate) static REGISTRY: LazyLock<Registry> =
    LazyLock::new(|| Registry::new(&detect::DetectConfig::default()).unwrap());

/// What keeps the events.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    /// One that keeps what it commits.
    Ours,
    /// One that does not: the checks must see it.
    ForgetsCommits,
}

struct Forgetful<'p>(&'p Process);

impl EventStore for Forgetful<'_> {
    fn append(&self, events: &[Event<'_>], source_object: &str, at: Timestamp) -> Result<Appended, StoreError> {
        self.0.append(events, source_object, at)
    }

    fn commit(&self) -> Result<Committed, StoreError> {
        Ok(Committed::default())
    }
}

pub(crate) fn time(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).unwrap()
}

/// A record, and what is to come of it.
pub(crate) fn record(chance: &mut fastrand::Rng, number: usize) -> (String, Truth) {
    let is_found = chance.u32(0..8) == 0;
    let name = if is_found { "CreateUser" } else { "GetUser" };
    let id = format!("e{number}");
    let at = time(START - chance.i64(0..20) * HOUR).to_string();
    let record = testkit::event(name).id(&id).at(&at).request(json!({"userName": "bob"})).to_json();
    (record, Truth { id, is_found })
}

/// A trail file of some records.
pub(crate) fn file(records: &[String]) -> String {
    format!(r#"{{"Records":[{}]}}"#, records.join(","))
}

fn notification(keys: &[(&str, u64, String)], way: u32) -> String {
    let encoded = |key: &str| key.replace('+', "%2B").replace(' ', "+");
    let direct = |keys: &[(&str, u64, String)]| {
        let record = |(key, size, etag): &(&str, u64, String)| {
            json!({"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": BUCKET},
                "object": {"key": encoded(key), "size": size, "eTag": etag}}})
        };
        json!({"Records": keys.iter().map(record).collect::<Vec<_>>()}).to_string()
    };
    let topic = |message: String| json!({"Type": "Notification", "Message": message}).to_string();
    match (way, keys) {
        (0, _) => direct(keys),
        (1, _) => topic(direct(keys)),
        (2, [(key, size, etag)]) => json!({"source": "aws.s3", "detail-type": "Object Created", "detail":
            {"bucket": {"name": BUCKET}, "object": {"key": key, "size": size, "etag": etag}}})
        .to_string(),
        _ => {
            let names: Vec<&str> = keys.iter().map(|(key, ..)| *key).collect();
            topic(json!({"s3Bucket": BUCKET, "s3ObjectKey": names}).to_string())
        }
    }
}

struct Scenario {
    world: World,
    disk: Arc<Disk>,
    truth: Vec<Truth>,
    poison: usize,
    options: Options,
    store: Store,
}

impl Scenario {
    fn new(seed: u64, chance: &mut fastrand::Rng, store: Store) -> Scenario {
        let options = Options {
            pollers: 1,
            workers: if seed % 8 == 7 { 4 } else { 1 },
            commit_every: Duration::from_secs(*chance.choice(&[0, 5, 15]).unwrap()),
            max_held: *chance.choice(&[5, 2000]).unwrap(),
            max_receives: PATIENCE,
            ..Options::default()
        };
        let world = World::new(seed);
        let mut scenario = Scenario { world, disk: Arc::default(), truth: Vec::new(), poison: 0, options, store };
        for number in 0..chance.usize(1..30) {
            scenario.happen(chance, number);
        }
        scenario
    }

    /// Something happens that the queue tells of.
    fn happen(&mut self, chance: &mut fastrand::Rng, number: usize) {
        match chance.u32(0..10) {
            0..5 => {
                let keys: Vec<String> = (0..chance.usize(1..4)).map(|part| self.object(chance, number, part)).collect();
                let told: Vec<(&str, u64, String)> = keys
                    .iter()
                    .map(|key| {
                        let (size, etag) = self.world.version(key);
                        (key.as_str(), size, etag)
                    })
                    .collect();
                let body = notification(&told, chance.u32(0..4));
                let brings: Vec<String> =
                    self.truth.iter().rev().take_while(|truth| truth.id.starts_with(&prefix(number))).map(id).collect();
                // S3 tells more than once, too.
                for _ in 0..chance.usize(1..3) {
                    self.world.send(body.clone(), Some(brings.clone()));
                }
            }
            5..8 => {
                let (record, truth) = record(chance, number);
                let kind =
                    *chance.choice(&["AWS API Call via CloudTrail", "AWS Console Sign In via CloudTrail"]).unwrap();
                let body = format!(r#"{{"source":"aws.iam","detail-type":"{kind}","detail":{record}}}"#);
                self.world.send(body, Some(vec![truth.id.clone()]));
                self.truth.push(truth);
            }
            8 => self.world.send(r#"{"Event":"s3:TestEvent"}"#.to_owned(), Some(Vec::new())),
            _ => {
                let gone = notification(&[("gone", 7, "e".to_owned())], 0);
                let others = json!({"s3Bucket": "other", "s3ObjectKey": ["x"]}).to_string();
                let body = [gone, others, "hello".to_owned(), "{}".to_owned()];
                self.world.send(chance.choice(&body).unwrap().clone(), None);
                self.poison += 1;
            }
        }
    }

    fn object(&mut self, chance: &mut fastrand::Rng, number: usize, part: usize) -> String {
        let mut records = Vec::new();
        for place in 0..chance.usize(0..6) {
            let (record, truth) = record(chance, number);
            let id = format!("{}{part}-{place}", prefix(number));
            records.push(record.replace(&format!("\"{}\"", truth.id), &format!("\"{id}\"")));
            self.truth.push(Truth { id, ..truth });
        }
        let key = format!("AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/2026/04/01/a b+{number}-{part}.json.gz");
        self.world.put(&key, file(&records));
        key
    }

    /// Runs something as one process.
    fn with<T>(&self, process: &Process, body: impl FnOnce(&Consumer<'_>) -> T) -> T {
        let queue = SeenBy { world: self.world.clone(), process, disk: Arc::clone(&self.disk) };
        let forgetful = Forgetful(process);
        let buckets: [Arc<dyn Bucket>; 1] = [Arc::new(self.world.clone())];
        body(&Consumer {
            queue: &queue,
            buckets: &buckets,
            objects: process,
            timer: &self.world,
            store: if self.store == Store::Ours { process } else { &forgetful },
            ledger: process,
            aside: process,
            registry: &REGISTRY,
            filters: &Filters::new(&FilterConfig::default()).unwrap(),
            suppressions: &Suppressions::default(),
            routes: &Routes::default(),
            proving: None,
            run: None,
            news: News { since: time(START - 10 * HOUR), late: Duration::from_secs(1800) },
            options: &self.options,
            progress: &Progress::default(),
            on_problem: &|_| (),
            stop: &AtomicBool::new(false),
        })
    }

    /// What the ledger of objects calls read is stored.
    fn check(&self) -> Result<(), String> {
        if let Some(crime) = self.world.crimes().first() {
            return Err(crime.clone());
        }
        let stored = self.disk.events.lock().unwrap();
        for key in self.world.known(&self.disk) {
            let (number, part) = key.rsplit_once('+').and_then(|(_, name)| name.split_once('-')).unwrap();
            let start = format!("o{number}-{}-", part.trim_end_matches(".json.gz"));
            if let Some(truth) =
                self.truth.iter().find(|truth| truth.id.starts_with(&start) && !stored.contains_key(&truth.id))
            {
                return Err(format!("{key} counts as read and {} is not stored", truth.id));
            }
        }
        Ok(())
    }

    fn check_truth(&self) -> Result<(), String> {
        let stored: BTreeSet<String> = self.disk.events.lock().unwrap().keys().cloned().collect();
        let happened: BTreeSet<String> = self.truth.iter().map(id).collect();
        if stored != happened {
            let missing = happened.difference(&stored).next();
            return Err(format!("{} stored, {} happened; {missing:?} was not read", stored.len(), happened.len()));
        }
        let alerts = self.disk.alerts.lock().unwrap();
        let found = self.truth.iter().filter(|truth| truth.is_found).count();
        if alerts.len() != found {
            return Err(format!("{} alerts, {found} to be found", alerts.len()));
        }
        if let Some(alert) = alerts
            .values()
            .find(|alert| (alert.event_time < time(START - 10 * HOUR)) != (alert.arrival == Arrival::Backfill))
        {
            return Err(format!("an event at {} arrived as {}", alert.event_time, alert.arrival));
        }
        let aside = self.disk.rejected.lock().unwrap();
        let poison = aside.iter().filter(|(item, ..)| item.starts_with(QUEUE)).count();
        if poison != self.poison {
            return Err(format!("{poison} messages set aside, {} sent: {aside:?}", self.poison));
        }
        Ok(())
    }
}

fn prefix(number: usize) -> String {
    format!("o{number}-")
}

fn id(truth: &Truth) -> String {
    truth.id.clone()
}

fn faults(chance: &mut fastrand::Rng) -> Faults {
    let mut some = |share: f64| if chance.u32(0..3) == 0 { share } else { 0.0 };
    Faults { call: some(0.3), cut: some(0.3), doubled: some(0.4), partial: some(0.4) }
}

/// Some turns of one process, which dies in between, is killed, or ends as it should.
fn live(
    scenario: &Scenario,
    process: &Process,
    chance: &mut fastrand::Rng,
) -> Result<Option<QueueReport>, IngestError> {
    scenario.with(process, |consumer| {
        let session = Session::new(consumer);
        for _ in 0..chance.usize(1..12) {
            session.turn()?;
            if chance.bool() {
                session.keep()?;
            }
            scenario.world.pass_time(chance.i64(0..60 * SECOND));
        }
        if chance.bool() { session.end(None).map(Some) } else { Ok(None) }
    })
}

/// A world with everything that can go wrong.
pub(crate) fn run(seed: u64, store: Store) -> Result<(), String> {
    let mut chance = fastrand::Rng::with_seed(seed ^ 0x5eed);
    let scenario = Scenario::new(seed, &mut chance, store);
    for _ in 0..chance.u32(1..8) {
        scenario.world.set_faults(faults(&mut chance));
        let dies_at = if chance.u32(0..2) == 0 { chance.i64(0..80) } else { -1 };
        let process = Process::new(Arc::clone(&scenario.disk), dies_at, chance.bool());
        let outcome = live(&scenario, &process, &mut chance);
        scenario.check()?;
        match outcome {
            Err(error) if !process.is_dead() => return Err(format!("it failed: {error}")),
            Err(_) | Ok(_) => {}
        }
        scenario.world.pass_time(chance.i64(0..300 * SECOND));
    }
    scenario.world.set_faults(Faults::default());
    let mut tries = 0;
    while scenario.world.waiting() > 0 {
        let process = Process::new(Arc::clone(&scenario.disk), -1, false);
        let report = scenario.with(&process, |consumer| {
            let session = Session::new(consumer);
            while session.turn()? == Turn::Worked {
                session.keep()?;
            }
            session.end(None)
        });
        report.map_err(|error| error.to_string())?;
        scenario.check()?;
        scenario.world.pass_time(121 * SECOND);
        tries += 1;
        if tries > 20 {
            return Err(format!("{} messages are never settled", scenario.world.waiting()));
        }
    }
    scenario.check_truth()
}

/// Time that passes for real.
struct RealTime(std::time::Instant);

impl pipeline::store::Clock for RealTime {
    fn now(&self) -> Timestamp {
        time(START)
    }
}

impl pipeline::collect::Timer for RealTime {
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration.min(Duration::from_millis(10)));
    }
}

/// A queue that gives one message at a time and takes note of what is done with it.
#[derive(Default)]
struct Notebook {
    messages: Mutex<Vec<Message>>,
    lines: Mutex<Vec<&'static str>>,
    answer: Option<CallError>,
}

impl Notebook {
    fn note(&self, line: &'static str) -> Result<Vec<Undone>, CallError> {
        self.lines.lock().unwrap().push(line);
        Ok(Vec::new())
    }
}

impl Queue for Notebook {
    fn name(&self) -> &str {
        QUEUE
    }

    fn receive(&self, _: Duration, _: Duration) -> Result<Vec<Message>, CallError> {
        match &self.answer {
            Some(error) => Err(error.clone()),
            None => Ok(self.messages.lock().unwrap().pop().into_iter().collect()),
        }
    }

    fn extend(&self, _: &[&str], _: Duration) -> Result<Vec<Undone>, CallError> {
        self.note("extend")
    }

    fn delete(&self, _: &[&str]) -> Result<Vec<Undone>, CallError> {
        self.note("delete")
    }
}

/// A bucket that takes its time.
struct Slow(World);

impl Bucket for Slow {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn list(&self, prefix: &str, after: Option<&str>) -> Result<pipeline::trail::ListedPage, CallError> {
        self.0.list(prefix, after)
    }

    fn folders(&self, prefix: &str) -> Result<Vec<String>, CallError> {
        self.0.folders(prefix)
    }

    fn get(&self, key: &str, limit: u64) -> Result<pipeline::trail::Object, CallError> {
        std::thread::sleep(Duration::from_millis(300));
        self.0.get(key, limit)
    }
}

/// Works a queue off with threads, on real time.
fn work_off(queue: &Notebook, bucket: Slow, options: &Options) -> (Arc<Disk>, QueueReport) {
    with(queue, bucket, options, |consumer| consumer.run().unwrap())
}

fn with<T>(queue: &Notebook, bucket: Slow, options: &Options, body: impl FnOnce(&Consumer<'_>) -> T) -> (Arc<Disk>, T) {
    let disk = Arc::<Disk>::default();
    let process = Process::new(Arc::clone(&disk), -1, false);
    let buckets: [Arc<dyn Bucket>; 1] = [Arc::new(bucket)];
    let outcome = body(&Consumer {
        queue,
        buckets: &buckets,
        objects: &process,
        timer: &RealTime(std::time::Instant::now()),
        store: &process,
        ledger: &process,
        aside: &process,
        registry: &REGISTRY,
        filters: &Filters::new(&FilterConfig::default()).unwrap(),
        suppressions: &Suppressions::default(),
        routes: &Routes::default(),
        proving: None,
        run: None,
        news: News { since: time(START), late: Duration::from_secs(1800) },
        options,
        progress: &Progress::default(),
        on_problem: &|_| (),
        stop: &AtomicBool::new(false),
    });
    (disk, outcome)
}

fn message() -> Message {
    Message {
        id: "m".to_owned(),
        receipt: "r".to_owned(),
        body: json!({"s3Bucket": BUCKET, "s3ObjectKey": ["key"]}).to_string(),
        receives: 1,
        sent: None,
    }
}

pub(crate) fn slow_object() {
    let world = World::new(0);
    let (record, _) = record(&mut fastrand::Rng::with_seed(0), 0);
    world.put("key", file(&[record]));
    let queue = Notebook { messages: Mutex::new(vec![message()]), ..Notebook::default() };
    let visibility = Duration::from_millis(100);
    let options = Options { visibility, pollers: 1, until_empty: true, ..Options::default() };
    let (disk, report) = work_off(&queue, Slow(world), &options);
    assert_eq!(disk.events.lock().unwrap().len(), 1);
    let lines = queue.lines.into_inner().unwrap();
    assert!(lines.len() >= 3 && lines[..2] == ["extend", "extend"] && lines.last() == Some(&"delete"), "{lines:?}");
    assert_eq!((report.messages.received, report.messages.acknowledged, report.objects.read), (1, 1, 1));
    assert!(report.messages.extended >= 2 && report.trouble.is_none());
}

pub(crate) fn refused() {
    let denied = CallError::AccessDenied { action: "sqs:ReceiveMessage".to_owned(), message: "no".to_owned() };
    let queue = Notebook { answer: Some(denied), ..Notebook::default() };
    let (_, report) = work_off(&queue, Slow(World::new(0)), &Options::default());
    let trouble = report.trouble.unwrap();
    assert_eq!(trouble.message, "access denied: sqs:ReceiveMessage is not allowed (no)");
    assert_eq!((report.calls, report.messages.received), (0, 0));
}

/// A bucket that denies every object.
struct Denied(World);

impl Bucket for Denied {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn list(&self, prefix: &str, after: Option<&str>) -> Result<pipeline::trail::ListedPage, CallError> {
        self.0.list(prefix, after)
    }

    fn folders(&self, prefix: &str) -> Result<Vec<String>, CallError> {
        self.0.folders(prefix)
    }

    fn get(&self, _: &str, _: u64) -> Result<pipeline::trail::Object, CallError> {
        Err(CallError::AccessDenied { action: "s3:GetObject".to_owned(), message: "no".to_owned() })
    }
}

pub(crate) fn denied_objects() {
    let queue = Notebook { messages: Mutex::new(vec![message()]), ..Notebook::default() };
    let buckets: [Arc<dyn Bucket>; 1] = [Arc::new(Denied(World::new(0)))];
    let (_, report) = with(&queue, Slow(World::new(0)), &Options::default(), |consumer| {
        let consumer = Consumer { buckets: &buckets, ..*consumer };
        let session = Session::new(&consumer);
        session.turn().unwrap();
        session.end(None).unwrap()
    });
    assert_eq!((report.messages.failed, report.objects.failed, report.messages.acknowledged), (1, 1, 0));
    assert_eq!(report.trouble, None);
    let unread = report.unread.unwrap();
    assert_eq!(unread.kind, TroubleKind::AccessDenied);
    assert!(unread.message.contains("s3:GetObject is not allowed"), "{}", unread.message);
}

pub(crate) fn stopped() {
    let queue = Notebook { messages: Mutex::new(vec![message()]), ..Notebook::default() };
    let stop = AtomicBool::new(true);
    let (disk, report) = with(&queue, Slow(World::new(0)), &Options::default(), |consumer| {
        let consumer = Consumer { stop: &stop, ..*consumer };
        let session = Session::new(&consumer);
        assert_eq!(session.turn().unwrap(), Turn::Worked);
        session.end(None).unwrap()
    });
    assert_eq!(queue.lines.into_inner().unwrap(), ["extend"]);
    assert_eq!((report.messages.returned, report.messages.failed, report.totals.interrupted), (1, 0, true));
    assert!(disk.events.lock().unwrap().is_empty());
}

/// A store whose first commit takes until a number of alerts is recorded, if they ever are.
struct Waiting<'p> {
    process: &'p Process,
    disk: Arc<Disk>,
    alerts: usize,
    in_vain: AtomicBool,
}

impl EventStore for Waiting<'_> {
    fn append(&self, events: &[Event<'_>], source_object: &str, at: Timestamp) -> Result<Appended, StoreError> {
        self.process.append(events, source_object, at)
    }

    fn commit(&self) -> Result<Committed, StoreError> {
        let began = std::time::Instant::now();
        while self.disk.alerts.lock().unwrap().len() < self.alerts {
            if began.elapsed() > Duration::from_secs(5) {
                self.in_vain.store(true, std::sync::atomic::Ordering::Relaxed);
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.process.commit()
    }
}

pub(crate) fn slow_commit() {
    let found = |number: usize| {
        let record = testkit::event("CreateUser").id(&format!("e{number}")).to_json();
        let body = format!(r#"{{"detail-type":"AWS API Call via CloudTrail","detail":{record}}}"#);
        Message { id: format!("m{number}"), receipt: format!("r{number}"), body, ..message() }
    };
    let queue = Notebook { messages: Mutex::new(vec![found(1), found(0)]), ..Notebook::default() };
    let disk = Arc::<Disk>::default();
    let process = Process::new(Arc::clone(&disk), -1, false);
    let store = Waiting { process: &process, disk, alerts: 2, in_vain: AtomicBool::new(false) };
    let (_, outcome) = with(&queue, Slow(World::new(0)), &Options::default(), |consumer| {
        let consumer = Consumer { store: &store, ledger: &process, ..*consumer };
        let session = Session::new(&consumer);
        session.turn().unwrap();
        std::thread::scope(|scope| {
            let committing = scope.spawn(|| session.commit());
            // The second message is not received before the commit of the first has begun.
            std::thread::sleep(Duration::from_millis(100));
            session.turn().unwrap();
            committing.join().unwrap()
        })
    });
    outcome.unwrap();
    assert!(!store.in_vain.into_inner(), "an alert waited for a commit");
}

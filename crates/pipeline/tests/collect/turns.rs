//! Long backlogs and the time that a pass has.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use detect::{DetectConfig, Registry};
use event::Timestamp;
use pipeline::collect::{
    Collect, Lookup, LookupError, LookupEvent, LookupPage, LookupRequest, Options, PassReport, Regions, Stream,
    StreamState, Timer,
};
use pipeline::coverage::{Coverage, Interval};
use pipeline::filter::{FilterConfig, Filters};
use pipeline::ingest::Progress;
use pipeline::outbox::Routes;
use pipeline::store::Clock;
use pipeline::suppress::Suppressions;
use testkit::memory::{Disk, Process};

const FIRST: &str = "us-east-1";
const SECOND: &str = "eu-west-1";

/// A world in which `sts` of the first region has a long backlog, and somebody stops the pass after so many calls.
struct Backlog {
    calls: Mutex<Vec<String>>,
    patience: usize,
    stop: AtomicBool,
}

const BACKLOG: usize = 10;

impl Lookup for Backlog {
    fn page(&self, request: &LookupRequest<'_>) -> Result<LookupPage, LookupError> {
        let Stream { region, source, .. } = request.stream;
        let mut calls = self.calls.lock().unwrap();
        calls.push(format!("{region}/{}", source.split('.').next().unwrap_or_default()));
        self.stop.store(calls.len() >= self.patience, Ordering::Relaxed);
        let at = Timestamp::parse("2026-04-01T12:00:00Z");
        let time = Timestamp::parse("2026-04-01T10:00:00Z");
        if !time.is_some_and(|time| request.window.contains(time)) {
            return Ok(LookupPage { at, ..LookupPage::default() });
        }
        let page: usize = request.token.map_or(0, |token| token.parse().unwrap());
        let has_more = region == FIRST && source.starts_with("sts") && page + 1 < BACKLOG;
        let id = format!("{region}-{source}-{page}");
        let record = testkit::event("ListUsers").region(region).id(&id).at("2026-04-01T10:00:00Z").build().to_string();
        let next = has_more.then(|| (page + 1).to_string());
        Ok(LookupPage {
            events: vec![LookupEvent { time, record }],
            next,
            at: Timestamp::parse("2026-04-01T12:00:00Z"),
        })
    }
}

impl Clock for Backlog {
    fn now(&self) -> Timestamp {
        Timestamp::parse("2026-04-01T12:00:00Z").unwrap()
    }
}

impl Timer for Backlog {
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) {}
}

/// A world in which a stream has three pages for every quarter of an hour, and a call takes a minute.
struct Busy {
    calls: AtomicUsize,
    /// Set where it asks for ever.
    stop: AtomicBool,
}

impl Lookup for Busy {
    fn page(&self, request: &LookupRequest<'_>) -> Result<LookupPage, LookupError> {
        let page: i64 = request.token.map_or(0, |token| token.parse().unwrap());
        let to = request.window.to.micros() - page * 300_000_000;
        let time = Timestamp::from_micros(to - 1_000_000);
        let record = testkit::event("ListUsers").id(&to.to_string()).at(&time.unwrap().to_string()).build().to_string();
        let has_more = to - 300_000_000 > request.window.from.micros();
        self.stop.store(self.calls.fetch_add(1, Ordering::Relaxed) > 1000, Ordering::Relaxed);
        let next = has_more.then(|| (page + 1).to_string());
        Ok(LookupPage { events: vec![LookupEvent { time, record }], next, at: Some(self.now()) })
    }
}

impl Clock for Busy {
    fn now(&self) -> Timestamp {
        let began = Timestamp::parse("2026-04-01T12:00:00Z").unwrap().micros();
        Timestamp::from_micros(began + self.calls.load(Ordering::Relaxed) as i64 * 60_000_000).unwrap()
    }
}

impl Timer for Busy {
    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.calls.load(Ordering::Relaxed) as u64 * 60)
    }

    fn sleep(&self, _: Duration) {}
}

/// Reads these streams on a disk as others left it.
fn read<W: Lookup + Timer>(world: &W, disk: &Arc<Disk>, streams: &[Stream], stop: &AtomicBool) -> PassReport {
    let process = Process::new(Arc::clone(disk), -1, false);
    let options = Options { max_workers: 1, max_pages: Some(2), rate: None, ..Options::default() };
    let collect = Collect {
        lookup: world,
        streams: &process,
        timer: world,
        regions: &Regions::default(),
        store: &process,
        ledger: &process,
        aside: &process,
        registry: &Registry::new(&DetectConfig::default()).unwrap(),
        filters: &Filters::new(&FilterConfig::default()).unwrap(),
        suppressions: &Suppressions::default(),
        routes: &Routes::default(),
        run: None,
        options: &options,
        progress: &Progress::default(),
        on_trouble: &|_, _| (),
        stop,
    };
    collect.turns(streams).unwrap()
}

/// What is called until somebody stops it, and what was read then.
fn turns(disk: &Arc<Disk>, patience: usize) -> (Vec<String>, PassReport) {
    let world = Backlog { calls: Mutex::default(), patience, stop: AtomicBool::new(false) };
    let streams = [(FIRST, "sts"), (FIRST, "sso"), (SECOND, "iam")]
        .map(|(region, source)| Stream::new("111122223333", region, &format!("{source}.amazonaws.com")));
    let report = read(&world, disk, &streams, &world.stop);
    (world.calls.into_inner().unwrap(), report)
}

#[test]
fn a_stream_that_gives_more_than_a_turn_reads_comes_to_its_end() {
    let (disk, world) = (Arc::<Disk>::default(), Busy { calls: AtomicUsize::new(0), stop: AtomicBool::new(false) });
    // What was read before: everything up to three hours ago.
    let stream = Stream::new("111122223333", FIRST, "sts.amazonaws.com");
    let covered = Interval::new(Timestamp::MIN, Timestamp::parse("2026-04-01T09:00:00Z").unwrap());
    let state = StreamState { coverage: Coverage::from_iter([covered]), ..StreamState::new(stream.clone()) };
    disk.streams.lock().unwrap().insert(stream.clone(), state);
    let report = read(&world, &disk, std::slice::from_ref(&stream), &world.stop);
    assert!(report.is_complete());
    // Three hours, and nothing twice.
    assert_eq!((report.totals.read, report.totals.duplicates), (37, 0));
    let states = disk.streams.lock().unwrap();
    assert_eq!(states[&stream].coverage.span().unwrap().to, Timestamp::parse("2026-04-01T11:46:00Z").unwrap());
}

#[test]
fn a_backlog_is_read_in_turns_with_the_others() {
    let (calls, report) = turns(&Arc::default(), usize::MAX);
    assert_eq!(calls[..4], ["us-east-1/sts", "us-east-1/sts", "us-east-1/sso", "eu-west-1/iam"]);
    assert!(report.is_complete());
    assert_eq!(calls.iter().filter(|call| *call != "us-east-1/sts").count(), 2, "what is read is not asked again");
    let read: Vec<u64> = report.streams.iter().map(|stream| stream.stored).collect();
    assert_eq!(read, [BACKLOG as u64, 1, 1]);
    assert_eq!((report.totals.read, report.totals.stored), (BACKLOG as u64 + 2, BACKLOG as u64 + 2));
}

#[test]
fn what_happens_while_a_stream_waits_for_its_first_turn_is_news() {
    let disk: Arc<Disk> = Arc::default();
    let (calls, report) = turns(&disk, 3);
    assert_eq!(calls, ["us-east-1/sts", "us-east-1/sts", "us-east-1/sso"]);
    assert!(!report.is_complete());
    let since = |region: &str| {
        let streams = disk.streams.lock().unwrap();
        streams.values().find(|state| state.stream.region == region).and_then(|state| state.since)
    };
    assert_eq!(since(SECOND), Timestamp::parse("2026-04-01T12:00:00Z"));
    // Who waited for longest comes first then.
    assert_eq!(turns(&disk, 1).0, ["eu-west-1/iam"]);
    // Within a region, too: the first has had its turn.
    let disk: Arc<Disk> = Arc::default();
    assert_eq!(turns(&disk, 1).0, ["us-east-1/sts"]);
    assert_eq!(turns(&disk, 1).0, ["eu-west-1/iam"]);
    assert_eq!(turns(&disk, 1).0, ["us-east-1/sso"]);
}

//! Long backlogs and the time that a pass has.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use detect::{DetectConfig, Registry};
use event::Timestamp;
use pipeline::collect::{
    Collect, Lookup, LookupError, LookupEvent, LookupPage, LookupRequest, Options, PassReport, Regions, Stream, Timer,
};
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

/// What is called until somebody stops it, and what was read then, on a disk as others left it.
fn turns(disk: &Arc<Disk>, patience: usize) -> (Vec<String>, PassReport) {
    let world = Backlog { calls: Mutex::default(), patience, stop: AtomicBool::new(false) };
    let process = Process::new(Arc::clone(disk), -1, false);
    let options = Options { max_workers: 1, max_pages: Some(2), rate: None, ..Options::default() };
    let collect = Collect {
        lookup: &world,
        streams: &process,
        timer: &world,
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
        stop: &world.stop,
    };
    let streams = [(FIRST, "sts"), (FIRST, "sso"), (SECOND, "iam")]
        .map(|(region, source)| Stream::new("111122223333", region, &format!("{source}.amazonaws.com")));
    let report = collect.turns(&streams).unwrap();
    (world.calls.into_inner().unwrap(), report)
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
}

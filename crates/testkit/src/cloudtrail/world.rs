//! A small world on virtual time: accounts in which things happen, a history that shows them late, and everything that
//! can go wrong between us and it. Two worlds of one seed are the same.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event::Timestamp;
use pipeline::collect::{Lookup, LookupError, LookupEvent, LookupPage, LookupRequest, Stream, Timer};
use pipeline::coverage::Interval;
use pipeline::store::Clock;

use super::history::{Entry, EventHistory, Query, Refusal, SECOND};

/// What goes wrong, as shares of calls.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Throttled for no reason of ours.
    pub throttled: f64,
    /// Answered with a 5xx.
    pub unavailable: f64,
    /// Cut off after the service has done its work.
    pub cut: f64,
    /// Told that the token is not valid.
    pub token_lost: f64,
    /// A region in which nothing is allowed.
    pub denied: Option<String>,
    /// A region that never answers.
    pub away: Option<String>,
}

/// What the world has seen of us.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// Pages that reached us.
    pub pages: u64,
    /// Those of them that were first pages.
    pub first_pages: u64,
    /// Pages that losing tokens made necessary.
    pub forced: u64,
    /// Calls without an answer.
    pub failed: u64,
}

/// The world.
pub struct World {
    /// The true time, in microseconds.
    now: AtomicI64,
    origin: i64,
    /// How far our clock is ahead of the truth, in microseconds.
    skew: AtomicI64,
    inner: Mutex<Inner>,
}

struct Inner {
    history: EventHistory,
    faults: Faults,
    chance: fastrand::Rng,
    calls: Calls,
    /// Visibility as it was at this time, where it stands still.
    frozen: Option<i64>,
    tells_time: bool,
    latency: (i64, i64),
}

/// What happens in a world.
#[derive(Debug, Clone)]
pub struct Plot {
    /// The streams.
    pub streams: Vec<Stream>,
    /// Events a stream, about.
    pub events: usize,
    /// The most events in one second.
    pub burst: usize,
    /// From when to when.
    pub span: (i64, i64),
    /// How late events appear at the most, in microseconds.
    pub latest: i64,
    /// The share of events that are in the history twice.
    pub duplicates: f64,
}

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// `eventID`.
    pub id: String,
    /// Where it is recorded.
    pub stream: Stream,
    /// When it happens.
    pub time: Timestamp,
    /// Whether a detection finds it.
    pub is_found: bool,
}

/// The name of the event that a detection always finds.
pub const FOUND: &str = "CreateUser";

impl World {
    /// A world in which the plot happens, and whose time is `now`.
    #[must_use]
    pub fn new(seed: u64, plot: &Plot, now: i64) -> World {
        let mut chance = fastrand::Rng::with_seed(seed);
        let mut history = EventHistory::default();
        for (number, stream) in plot.streams.iter().enumerate() {
            let entries = happen(&mut chance, plot, stream, number);
            history.add_all(&stream.account, &stream.region, &stream.source, entries);
        }
        let inner = Inner {
            history,
            faults: Faults::default(),
            chance,
            calls: Calls::default(),
            frozen: None,
            tells_time: true,
            latency: (30_000, 30_000),
        };
        World { now: AtomicI64::new(now), origin: now, skew: AtomicI64::new(0), inner: Mutex::new(inner) }
    }

    /// The true time.
    #[must_use]
    pub fn true_now(&self) -> i64 {
        self.now.load(Ordering::Relaxed)
    }

    /// Lets time pass.
    pub fn pass_time(&self, micros: i64) {
        self.now.fetch_add(micros, Ordering::Relaxed);
    }

    /// Sets our clock wrong, in microseconds.
    pub fn set_skew(&self, micros: i64) {
        self.skew.store(micros, Ordering::Relaxed);
    }

    /// Changes what goes wrong.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// Whether answers carry the service's time, and how long they take.
    pub fn set_answers(&self, tells_time: bool, latency: (i64, i64)) {
        let mut inner = self.lock();
        inner.tells_time = tells_time;
        inner.latency = latency;
    }

    /// How long tokens are taken.
    pub fn set_token_life(&self, micros: i64) {
        self.lock().history.token_life = micros;
    }

    /// Lets nothing appear from now on, or lets it appear again.
    pub fn freeze(&self, is_frozen: bool) {
        let now = self.true_now();
        self.lock().frozen = is_frozen.then_some(now);
    }

    /// What the world has seen of us.
    #[must_use]
    pub fn calls(&self) -> Calls {
        self.lock().calls
    }

    /// Everything that happened or will, each event once.
    #[must_use]
    pub fn truth(&self) -> Vec<Happening> {
        let inner = self.lock();
        let mut truth = Vec::new();
        let mut seen = HashSet::new();
        for ((account, region, source), entries) in inner.history.streams() {
            let stream = Stream::new(account, region, source);
            for Entry { id, time, name, .. } in entries.filter(|entry| seen.insert(entry.id.clone())) {
                let is_found = name == FOUND;
                let time = Timestamp::from_micros(*time).unwrap_or(Timestamp::MIN);
                truth.push(Happening { id: id.clone(), stream: stream.clone(), time, is_found });
            }
        }
        truth
    }

    /// The least number of pages for what a walk still has to show now.
    #[must_use]
    pub fn least_pages(&self, stream: &Stream, window: Interval, token: Option<&str>) -> u64 {
        let now = self.true_now();
        let inner = self.lock();
        let now = inner.frozen.unwrap_or(now);
        let events = inner.history.remaining(&query(stream, window), token, now) as u64;
        events.div_ceil(super::history::PAGE as u64).max(1)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a stream has to show, the bursts included.
fn happen(chance: &mut fastrand::Rng, plot: &Plot, stream: &Stream, number: usize) -> Vec<Entry> {
    let mut entries = Vec::new();
    let seconds = (plot.span.1 - plot.span.0) / SECOND;
    while entries.len() < plot.events {
        let time = (plot.span.0 / SECOND + chance.i64(0..seconds)) * SECOND;
        let is_burst = chance.u32(0..20) == 0;
        let count = if is_burst { chance.usize(1..=plot.burst.max(1)) } else { 1 };
        for _ in 0..count {
            let entry = entry(chance, plot, stream, time, &format!("{number}-{}", entries.len()));
            let is_twice = chance.f64() < plot.duplicates;
            if is_twice {
                entries.push(Entry { visible: time + chance.i64(0..=plot.latest), ..entry.clone() });
            }
            entries.push(entry);
        }
    }
    entries
}

fn entry(chance: &mut fastrand::Rng, plot: &Plot, stream: &Stream, time: i64, id: &str) -> Entry {
    let Stream { account, region, source } = stream;
    let name = if chance.u32(0..40) == 0 && source == "iam.amazonaws.com" { FOUND } else { "GetCallerIdentity" };
    let shown = Timestamp::from_micros(time).map(|time| time.to_string()).unwrap_or_default();
    let record = format!(
        r#"{{"eventVersion":"1.11","userIdentity":{{"type":"IAMUser","accountId":"{account}","userName":"alice"}},"eventTime":"{shown}","eventSource":"{source}","eventName":"{name}","awsRegion":"{region}","requestParameters":{{"userName":"u"}},"eventID":"{id}","recipientAccountId":"{account}"}}"#
    );
    Entry {
        time,
        visible: time + chance.i64(0..=plot.latest),
        id: id.to_owned(),
        name: name.to_owned(),
        user: Some("alice".to_owned()),
        access_key: None,
        read_only: name != FOUND,
        record,
    }
}

fn query(stream: &Stream, window: Interval) -> Query {
    Query {
        account: stream.account.clone(),
        region: stream.region.clone(),
        attribute: Some(("EventSource".to_owned(), stream.source.clone())),
        start: Some(window.from.micros()),
        end: Some(window.to.micros() - 1000),
        max: None,
    }
}

impl Lookup for World {
    fn page(&self, request: &LookupRequest<'_>) -> Result<LookupPage, LookupError> {
        let mut inner = self.lock();
        let Inner { history, faults, chance, calls, frozen, tells_time, latency } = &mut *inner;
        self.pass_time(chance.i64(latency.0..=latency.1));
        let now = self.true_now();
        let Stream { account, region, .. } = request.stream;
        let mut hits = |share: f64| share > 0.0 && chance.f64() < share;
        if faults.denied.as_deref() == Some(region) {
            calls.failed += 1;
            let action = "cloudtrail:LookupEvents".to_owned();
            return Err(LookupError::AccessDenied { action, message: "no policy allows it".to_owned() });
        }
        if faults.away.as_deref() == Some(region) {
            calls.failed += 1;
            return Err(LookupError::Unavailable("no answer in time".to_owned()));
        }
        if hits(faults.throttled) || history.admit(account, region, now).is_err() {
            calls.failed += 1;
            return Err(LookupError::Throttled);
        }
        if hits(faults.unavailable) {
            calls.failed += 1;
            return Err(LookupError::Unavailable("503".to_owned()));
        }
        if let Some(token) = request.token
            && hits(faults.token_lost)
        {
            calls.failed += 1;
            calls.forced += forced(history, token, now);
            return Err(LookupError::TokenExpired);
        }
        let was_cut = hits(faults.cut);
        let query = query(request.stream, request.window);
        let answer = match history.page(&query, request.token, frozen.unwrap_or(now)) {
            Ok(answer) => answer,
            Err(refusal) => {
                calls.failed += 1;
                if let Some(token) = request.token {
                    calls.forced += forced(history, token, now);
                }
                return Err(refused(refusal));
            }
        };
        let events = answer
            .events
            .iter()
            .map(|(_, entry)| LookupEvent { time: Timestamp::from_micros(entry.time), record: entry.record.clone() });
        let at = Timestamp::from_micros(now).map(Timestamp::whole_second).filter(|_| *tells_time);
        let page = LookupPage { events: events.collect(), next: answer.next, at };
        if was_cut {
            calls.failed += 1;
            return Err(LookupError::Unavailable("connection reset".to_owned()));
        }
        calls.pages += 1;
        calls.first_pages += u64::from(request.token.is_none());
        Ok(page)
    }
}

/// The pages that have to be read again because a token is lost, and the one that may begin elsewhere now.
fn forced(history: &EventHistory, token: &str, now: i64) -> u64 {
    (history.shown_in_last_second(token, now) as u64).div_ceil(super::history::PAGE as u64) + 1
}

fn refused(refusal: Refusal) -> LookupError {
    match refusal {
        Refusal::Throttled => LookupError::Throttled,
        Refusal::InvalidToken => LookupError::TokenExpired,
        Refusal::InvalidTimeRange => LookupError::InvalidTimeRange("the start lies behind the end".to_owned()),
        Refusal::InvalidMaxResults | Refusal::InvalidAttribute => LookupError::Refused(format!("{refusal:?}")),
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        let ours = self.true_now() + self.skew.load(Ordering::Relaxed);
        Timestamp::from_micros(ours).unwrap_or(Timestamp::MIN)
    }
}

impl Timer for World {
    fn monotonic(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.true_now() - self.origin).unwrap_or_default())
    }

    fn sleep(&self, duration: Duration) {
        // Never shorter than asked for: a sleeper that wakes early sleeps again.
        self.pass_time(i64::try_from(duration.as_nanos().div_ceil(1000)).unwrap_or_default());
    }
}

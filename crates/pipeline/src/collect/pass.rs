//! One pass over all streams.
//!
//! Threads take one account and region at a time; its streams share one quota and are read one after the other. What a
//! stream meets becomes its trouble and stops no other; only a failure of our own store, state or disk ends the pass.
//!
//! **Invariant:** what is written of a stream (its coverage, the position of its walks) is noted while its page is handed
//! over, and written by the checkpoint that commits that page: alerts, events, coverage last.

mod calls;
mod reader;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use detect::Registry;
use event::Timestamp;
use event::decode::Limits;

use self::reader::Reader;
use super::plan::Rules;
use super::port::{Lookup, Timer};
use super::region::Regions;
use super::report::{PassReport, StreamReport};
use super::state::{StreamChange, StreamState, StreamStore, Trouble};
use super::stream::Stream;
use crate::aside::Aside;
use crate::coverage::Coverage;
use crate::filter::Filters;
use crate::history::RunId;
use crate::ingest::{IngestError, Progress};
use crate::intake::{Intake, Parts, Recording, lock};
use crate::outbox::Routes;
use crate::state::Ledger;
use crate::store::EventStore;
use crate::suppress::Suppressions;

/// The point where a test can end the process, beside those of [`ingest`](crate::ingest::FAILPOINTS).
pub const FAILPOINTS: &[&str] = &["pipeline::after-coverage"];

/// How a pass goes.
#[derive(Debug, Clone)]
pub struct Options {
    /// The rules of time.
    pub rules: Rules,
    /// How many accounts and regions are read at once.
    pub max_workers: usize,
    /// Requests a second for one account in one region; `None` for no limit.
    pub rate: Option<f64>,
    /// How long a call that is throttled or not answered is tried again before its stream is left for the next pass.
    pub patience: Duration,
    /// How long that is where the last pass had no answer either: a region that is away must not hold up the others.
    pub less_patience: Duration,
    /// How long events may wait for a commit.
    pub commit_every: Duration,
    /// How many pages of one walk are read in a pass before the others' turn comes; the rest is read by the next pass,
    /// behind what is new then. `None` reads to the end.
    pub max_pages: Option<u64>,
    /// What a stranger's record may cost.
    pub limits: Limits,
    /// What the waits between attempts are drawn from.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            rules: Rules::default(),
            max_workers: 8,
            rate: Some(2.0),
            patience: Duration::from_secs(300),
            less_patience: Duration::from_secs(10),
            commit_every: Duration::from_secs(15),
            max_pages: None,
            limits: Limits::default(),
            seed: 0,
        }
    }
}

/// Everything a pass works with.
pub struct Collect<'a> {
    /// The event history.
    pub lookup: &'a dyn Lookup,
    /// What is remembered of streams.
    pub streams: &'a dyn StreamStore,
    /// The time.
    pub timer: &'a dyn Timer,
    /// The pace of accounts and regions; keep it from one pass to the next.
    pub regions: &'a Regions,
    /// Keeps the events.
    pub store: &'a dyn EventStore,
    /// Keeps the alerts.
    pub ledger: &'a dyn Ledger,
    /// Keeps what is not stored.
    pub aside: &'a dyn Aside,
    /// The detections.
    pub registry: &'a Registry,
    /// What is left out of the store.
    pub filters: &'a Filters,
    /// What is known and silenced.
    pub suppressions: &'a Suppressions,
    /// Which alerts are sent where.
    pub routes: &'a Routes,
    /// The run that alerts name.
    pub run: Option<RunId>,
    /// How it goes.
    pub options: &'a Options,
    /// What the run counts as it goes; items are pages.
    pub progress: &'a Progress,
    /// Told of every stream that cannot be read, as it is found, from any thread.
    pub on_trouble: &'a (dyn Fn(&Stream, &Trouble) + Sync),
    /// Set from outside to end the pass early; what was read so far is committed.
    pub stop: &'a AtomicBool,
}

/// What the threads of a pass share.
struct Shared<'s> {
    intake: Intake<'s>,
    groups: Mutex<std::vec::IntoIter<Vec<StreamState>>>,
    /// What the turn before left open is read, and nothing is begun: what is new then is for the next pass. A stream that
    /// gives more while a turn lasts than a turn reads would never come to its end.
    goes_on: bool,
    /// What the next checkpoint writes down of streams.
    noted: Mutex<BTreeMap<Stream, StreamChange>>,
    /// When the last checkpoint was, by the clock that never jumps.
    committed: Mutex<Duration>,
    /// Held from the beginning of a checkpoint until its failure, if it has one, is known to all.
    checkpoint: Mutex<()>,
    reports: Mutex<BTreeMap<Stream, StreamReport>>,
    failure: Mutex<Option<IngestError>>,
}

impl Collect<'_> {
    /// Reads everything there is to read of these streams when it begins, in turns where [`Options::max_pages`] bounds what a
    /// pass reads of one: no backlog keeps another stream waiting until it is at its end.
    ///
    /// # Errors
    /// The store, the state or the disk failed; everything committed before is kept.
    pub fn turns(&self, streams: &[Stream]) -> Result<PassReport, IngestError> {
        let mut report = self.turn(streams, false)?;
        while !self.stop.load(Ordering::Relaxed) {
            let left: Vec<Stream> = report.unfinished().cloned().collect();
            if left.is_empty() {
                break;
            }
            let turn = self.turn(&left, true)?;
            let has_read = turn.streams.iter().any(|stream| stream.calls > 0);
            report.go_on(turn);
            if !has_read {
                break;
            }
        }
        Ok(report)
    }

    /// Reads what there is to read of these streams.
    ///
    /// # Errors
    /// The store, the state or the disk failed; everything committed before is kept.
    pub fn pass(&self, streams: &[Stream]) -> Result<PassReport, IngestError> {
        self.turn(streams, false)
    }

    fn turn(&self, streams: &[Stream], goes_on: bool) -> Result<PassReport, IngestError> {
        let started = self.timer.now();
        let groups = self.groups(streams)?;
        let unasked: Vec<StreamState> =
            groups.iter().flatten().filter(|state| state.since.is_none()).cloned().collect();
        let workers = self.options.max_workers.clamp(1, groups.len().max(1));
        let shared = Shared {
            intake: self.intake(),
            groups: Mutex::new(groups.into_iter()),
            goes_on,
            noted: Mutex::default(),
            committed: Mutex::new(self.timer.monotonic()),
            checkpoint: Mutex::default(),
            reports: Mutex::default(),
            failure: Mutex::new(None),
        };
        if workers == 1 {
            self.work(&shared);
        } else {
            std::thread::scope(|scope| {
                for _ in 0..workers {
                    scope.spawn(|| self.work(&shared));
                }
            });
        }
        Self::note_waiting(&shared, unasked, started);
        self.checkpoint(&shared);
        if let Some(failure) = lock(&shared.failure).take() {
            return Err(failure);
        }
        let mut reports = std::mem::take(&mut *lock(&shared.reports));
        let mut totals = shared.intake.into_report()?;
        totals.interrupted = self.stop.load(Ordering::Relaxed);
        totals.reconcile().map_err(IngestError::Unreconciled)?;
        // A stream that nobody came to is as it was.
        let report = |stream: &Stream| reports.remove(stream).unwrap_or_else(|| StreamReport::new(stream.clone()));
        let streams = streams.iter().map(report).collect();
        Ok(PassReport { started, ended: self.timer.now(), streams, totals })
    }

    /// Takes note of streams that were never asked for, and that nobody came to, that they wait: what happens from now on is
    /// news, whenever it is read.
    fn note_waiting(shared: &Shared<'_>, unasked: Vec<StreamState>, now: Timestamp) {
        let (reports, mut noted) = (lock(&shared.reports), lock(&shared.noted));
        for StreamState { stream, walks, health, .. } in unasked {
            if !reports.contains_key(&stream) {
                let covered = Coverage::default();
                noted.insert(stream.clone(), StreamChange { stream, since: Some(now), covered, walks, health });
            }
        }
    }

    /// The streams with what is remembered of them, by account and region: everywhere those first that wait for longest.
    fn groups(&self, streams: &[Stream]) -> Result<Vec<Vec<StreamState>>, IngestError> {
        let remembered = self.streams.streams()?;
        let mut known: BTreeMap<Stream, StreamState> =
            remembered.into_iter().map(|state| (state.stream.clone(), state)).collect();
        let mut groups: Vec<Vec<StreamState>> = Vec::new();
        let mut places: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for stream in streams {
            let state = known.remove(stream).unwrap_or_else(|| StreamState::new(stream.clone()));
            let place = *places.entry((&stream.account, &stream.region)).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[place].push(state);
        }
        groups.iter_mut().for_each(|group| group.sort_by_key(|state| state.health.last_run));
        groups.sort_by_key(|group| group.iter().map(|state| state.health.last_run).max());
        Ok(groups)
    }

    fn intake(&self) -> Intake<'_> {
        let parts = Parts {
            store: self.store,
            ledger: self.ledger,
            aside: self.aside,
            clock: self.timer,
            registry: self.registry,
            filters: self.filters,
            suppressions: self.suppressions,
            routes: self.routes,
            progress: self.progress,
            proving: None,
        };
        Intake::new(parts, Recording::AtOnce)
    }

    fn work(&self, shared: &Shared<'_>) {
        let next = || lock(&shared.groups).next();
        while !self.is_halted(shared)
            && let Some(group) = next()
        {
            if let Err(error) = self.group(shared, group) {
                // The first failure is the one to tell; those after it follow from it.
                lock(&shared.failure).get_or_insert(error);
            }
        }
    }

    fn is_halted(&self, shared: &Shared<'_>) -> bool {
        self.stop.load(Ordering::Relaxed) || lock(&shared.failure).is_some()
    }

    /// Reads the streams of one account in one region.
    fn group(&self, shared: &Shared<'_>, group: Vec<StreamState>) -> Result<(), IngestError> {
        // What keeps us from one of them keeps us from all.
        let mut barred: Option<Trouble> = None;
        for state in group {
            let mut reader = Reader::new(self, shared, state);
            match &barred {
                Some(trouble) => reader.bar(trouble),
                None => barred = reader.read()?,
            }
            let report = reader.finish();
            if let Some(trouble) = &report.trouble {
                (self.on_trouble)(&report.stream, trouble);
            }
            lock(&shared.reports).insert(report.stream.clone(), report);
            if self.is_halted(shared) {
                break;
            }
        }
        Ok(())
    }

    /// Commits what was handed over, where that was long enough ago and no other thread is at it.
    fn checkpoint_if_due(&self, shared: &Shared<'_>) {
        let now = self.timer.monotonic();
        {
            let mut committed = lock(&shared.committed);
            if now.saturating_sub(*committed) < self.options.commit_every {
                return;
            }
            *committed = now;
        }
        self.checkpoint(shared);
    }

    /// Commits what was handed over, unless something failed before: nobody knows what a store has lost that failed.
    fn checkpoint(&self, shared: &Shared<'_>) {
        let _alone = lock(&shared.checkpoint);
        if lock(&shared.failure).is_some() {
            return;
        }
        let written = shared.intake.checkpoint(|| {
            let changes: Vec<StreamChange> = std::mem::take(&mut *lock(&shared.noted)).into_values().collect();
            if changes.is_empty() {
                return Ok(());
            }
            self.streams.save_streams(&changes)?;
            fail::fail_point!("pipeline::after-coverage", |_| std::process::abort());
            Ok(())
        });
        if let Err(error) = written {
            lock(&shared.failure).get_or_insert(error);
        }
    }
}

#[cfg(test)]
mod tests;

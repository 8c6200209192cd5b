//! The run loop: items in, events stored, alerts recorded, counts reconciled.
//!
//! Worker threads take one item at a time, decode it, run the detections on every event, drop what the filters leave
//! out, and hand the rest to the store. What has to be durable is made so in one order, at every checkpoint: alerts, then
//! what is kept aside, then events, then what they prove. A crash anywhere, followed by reading the same items again, ends as if there had been
//! no crash: alerts and events are known by their ids.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use detect::Registry;
use event::Event;
use event::decode::{Decoder, Limits};

use crate::alert::{News, Occasion};
use crate::aside::Aside;
use crate::filter::Filters;
use crate::intake::item::Reading;
use crate::intake::{Intake, Parts, Recording, lock};
use crate::outbox::Routes;
use crate::proof::Proving;
use crate::report::{Problem, Report};
use crate::source::{Item, Source};
use crate::state::{Ledger, StateError};
use crate::store::{Clock, EventStore, StoreError};
use crate::suppress::Suppressions;

/// Everything a run works with.
pub struct Ingest<'a> {
    /// Keeps the events.
    pub store: &'a dyn EventStore,
    /// Keeps the alerts.
    pub ledger: &'a dyn Ledger,
    /// Keeps what is not stored.
    pub aside: &'a dyn Aside,
    /// Tells when an event was ingested.
    pub clock: &'a dyn Clock,
    /// The detections.
    pub registry: &'a Registry,
    /// What is left out of the store.
    pub filters: &'a Filters,
    /// What is known and silenced.
    pub suppressions: &'a Suppressions,
    /// Which alerts are sent where.
    pub routes: &'a Routes,
    /// How what is read is proven, where it is.
    pub proving: Option<Proving<'a>>,
    /// How, when and in which run alerts arose.
    pub occasion: Occasion,
    /// What a stranger's file may cost.
    pub limits: Limits,
    /// How many threads decode.
    pub threads: usize,
    /// How long events may wait for a commit.
    pub commit_every: Duration,
    /// What the run counts as it goes.
    pub progress: &'a Progress,
    /// Told of every problem as it is found, from any thread.
    pub on_problem: &'a (dyn Fn(&Problem) + Sync),
    /// Set from outside to end the run early; what was read so far is committed.
    pub stop: &'a AtomicBool,
}

/// What a run has done so far, for a progress bar.
#[derive(Debug, Default)]
pub struct Progress {
    /// Items read to their end.
    pub items: AtomicU64,
    /// Bytes of them, as stored.
    pub bytes: AtomicU64,
    /// Bytes of them, inflated.
    pub inflated: AtomicU64,
    /// Records read.
    pub records: AtomicU64,
    /// Alerts found.
    pub alerts: AtomicU64,
}

/// Why a run failed. What was committed before stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    /// The events' store.
    #[error("failed to store events: {0}")]
    Store(#[from] StoreError),
    /// The state.
    #[error("failed to record alerts: {0}")]
    State(#[from] StateError),
    /// The files of rejected records and variants.
    #[error("failed to keep a rejected record or a variant: {0}")]
    Aside(#[from] std::io::Error),
    /// The counts do not add up: a defect of this program, never of its input.
    #[error("the counts do not reconcile: {0}")]
    Unreconciled(String),
}

/// What the workers share.
struct Shared<'s> {
    news: Option<News>,
    source: Mutex<&'s mut dyn Source>,
    intake: Intake<'s>,
    failure: Mutex<Option<IngestError>>,
    finished: AtomicBool,
}

impl Ingest<'_> {
    /// Reads the source to its end, or until told to stop.
    ///
    /// # Errors
    /// The store, the state or the disk failed; everything committed before is kept.
    pub fn run(&self, source: &mut dyn Source) -> Result<Report, IngestError> {
        let shared = Shared {
            news: source.news(),
            source: Mutex::new(source),
            intake: self.intake(),
            failure: Mutex::new(None),
            finished: AtomicBool::new(false),
        };
        self.or_fail(&shared, shared.intake.prove_late());
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.threads.max(1)).map(|_| scope.spawn(|| self.work(&shared))).collect();
            let committer = scope.spawn(|| self.commit_now_and_then(&shared));
            for worker in workers {
                if let Err(panic) = worker.join() {
                    shared.finished.store(true, Ordering::Relaxed);
                    std::panic::resume_unwind(panic);
                }
            }
            shared.finished.store(true, Ordering::Relaxed);
            committer.thread().unpark();
        });
        if lock(&shared.failure).is_none() {
            self.or_fail(&shared, self.checkpoint(&shared));
        }
        if let Some(failure) = lock(&shared.failure).take() {
            return Err(failure);
        }
        let mut report = shared.intake.into_report()?;
        report.interrupted = self.stop.load(Ordering::Relaxed);
        report.reconcile().map_err(IngestError::Unreconciled)?;
        Ok(report)
    }

    fn intake(&self) -> Intake<'_> {
        let parts = Parts {
            store: self.store,
            ledger: self.ledger,
            aside: self.aside,
            clock: self.clock,
            registry: self.registry,
            filters: self.filters,
            suppressions: self.suppressions,
            routes: self.routes,
            progress: self.progress,
            proving: self.proving,
        };
        Intake::new(parts, Recording::InHeaps)
    }

    fn commit_now_and_then(&self, shared: &Shared<'_>) {
        let mut due = std::time::Instant::now() + self.commit_every;
        while !shared.finished.load(Ordering::Relaxed) {
            std::thread::park_timeout(due.saturating_duration_since(std::time::Instant::now()));
            if !shared.finished.load(Ordering::Relaxed) && std::time::Instant::now() >= due {
                self.or_fail(shared, self.checkpoint(shared));
                due = std::time::Instant::now() + self.commit_every;
            }
        }
    }

    fn checkpoint(&self, shared: &Shared<'_>) -> Result<(), IngestError> {
        // Whoever holds the source waits for nobody here.
        shared.intake.checkpoint(|| Ok(lock(&shared.source).settle(self.clock.now())?))
    }

    fn work(&self, shared: &Shared<'_>) {
        let mut decoder = Decoder::new(self.limits);
        while !self.halted(shared) {
            let next = lock(&shared.source).next_item();
            match next {
                None => return,
                Some(Err(unreadable)) => {
                    shared.intake.report().unreadable += 1;
                    let problem = Problem { name: unreadable.name, reason: unreadable.reason };
                    self.or_fail(shared, shared.intake.unread(problem, self.on_problem));
                }
                Some(Ok(item)) => self.or_fail(shared, self.item(shared, &mut decoder, item)),
            }
        }
    }

    fn halted(&self, shared: &Shared<'_>) -> bool {
        self.stop.load(Ordering::Relaxed) || lock(&shared.failure).is_some()
    }

    fn or_fail(&self, shared: &Shared<'_>, outcome: Result<(), IngestError>) {
        if let Err(error) = outcome {
            // The first failure is the one to tell; those after it follow from it.
            lock(&shared.failure).get_or_insert(error);
        }
    }

    fn item(&self, shared: &Shared<'_>, decoder: &mut Decoder, mut item: Item) -> Result<(), IngestError> {
        let name = item.name.clone();
        let size = item.size;
        let receipt = item.take_receipt();
        let metadata = item.take_metadata();
        let mut content = match item.open() {
            Ok(content) => content,
            Err(error) => {
                shared.intake.report().unreadable += 1;
                let problem = Problem { name, reason: format!("cannot be read: {error}") };
                return shared.intake.unread(problem, self.on_problem);
            }
        };
        let occasion = |event: &Event<'_>| {
            let arrival = shared.news.map(|news| news.arrival(event.event_time, self.clock.now()));
            Occasion { arrival: arrival.unwrap_or(self.occasion.arrival), ..self.occasion }
        };
        let metadata = metadata.map(|metadata| metadata()).unwrap_or_default();
        let reading = Reading {
            name: &name,
            size,
            occasion: &occasion,
            metadata: &metadata,
            stop: self.stop,
            on_problem: self.on_problem,
        };
        let read = shared.intake.read(&reading, &mut content, decoder)?;
        if read.to_its_end {
            shared.intake.note(|| {
                let is_read = receipt.is_none_or(|receipt| receipt());
                shared.intake.add_evidence(read.evidence.filter(|_| is_read));
            });
        }
        Ok(())
    }
}

/// The points where a test can end the process.
pub const FAILPOINTS: &[&str] = &["pipeline::after-alerts", "pipeline::after-aside", "pipeline::after-events"];

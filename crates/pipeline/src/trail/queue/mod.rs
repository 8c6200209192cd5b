//! Working off a queue: receive, read, hand over, commit, acknowledge.
//!
//! Alerts are recorded as events are read; events are committed every few seconds. Messages wait for their commit and are
//! kept from everybody else meanwhile. What could not be read is left to come again; what never can be is set aside with
//! its reason after a number of deliveries.
//!
//! **Invariant:** a message is acknowledged only behind the commit of everything it brought.
//!
//! Read in this order: [`report`], `held` (what became of a message so far), `reading` (one message), [`session`].

mod held;
mod reading;
pub mod report;
pub mod session;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use detect::Registry;
use event::decode::Limits;

pub use self::report::{MessageCounts, ObjectCounts, QueueReport};
pub use self::session::{Session, Turn};
use super::port::{Bucket, Queue};
use crate::alert::News;
use crate::aside::Aside;
use crate::collect::port::Timer;
use crate::filter::Filters;
use crate::history::RunId;
use crate::ingest::{IngestError, Progress};
use crate::intake::lock;
use crate::outbox::Routes;
use crate::proof::Proving;
use crate::report::Problem;
use crate::service::CallError;
use crate::state::{Ledger, ObjectLedger};
use crate::store::EventStore;
use crate::suppress::Suppressions;

/// The first wait after a call that was not answered; it doubles up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// Waits are cut into pieces of this length, so that a stop is heard and visibility is extended in time.
const PIECE: Duration = Duration::from_millis(200);

/// How a queue is worked off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many receive at once, each up to ten messages.
    pub pollers: usize,
    /// How many messages of one call are read at once.
    pub workers: usize,
    /// How long to wait for the first message; a stop is heard only behind it.
    pub poll: Duration,
    /// How long a message is kept from everybody else before that is extended.
    pub visibility: Duration,
    /// How long events may wait for a commit.
    pub commit_every: Duration,
    /// How many messages may wait for a commit before there is one at once.
    pub max_held: usize,
    /// At which delivery a message that cannot be read is set aside.
    pub max_receives: u32,
    /// The most bytes that an object may have as stored.
    pub max_object: u64,
    /// What a stranger's record may cost.
    pub limits: Limits,
    /// How long a queue that does not answer is tried again.
    pub patience: Duration,
    /// Whether to end when there is nothing to receive.
    pub until_empty: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            pollers: 2,
            workers: 4,
            poll: Duration::from_secs(5),
            visibility: Duration::from_secs(120),
            commit_every: Duration::from_secs(15),
            max_held: 2000,
            max_receives: 5,
            max_object: 1 << 30,
            limits: Limits::default(),
            patience: Duration::from_secs(300),
            until_empty: false,
        }
    }
}

/// Everything a queue is worked off with.
pub struct Consumer<'a> {
    /// The queue.
    pub queue: &'a dyn Queue,
    /// The buckets whose objects are read: a message that names another one is refused.
    pub buckets: &'a [Arc<dyn Bucket>],
    /// Which objects were read.
    pub objects: &'a dyn ObjectLedger,
    /// The time.
    pub timer: &'a dyn Timer,
    /// Keeps the events.
    pub store: &'a dyn EventStore,
    /// Keeps the alerts.
    pub ledger: &'a dyn Ledger,
    /// Keeps what is not stored, poison messages too.
    pub aside: &'a dyn Aside,
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
    /// The run that alerts name.
    pub run: Option<RunId>,
    /// From when on events are news.
    pub news: News,
    /// How it goes.
    pub options: &'a Options,
    /// What the run counts as it goes; items are objects and records of EventBridge.
    pub progress: &'a Progress,
    /// Told of every problem as it is found, from any thread.
    pub on_problem: &'a (dyn Fn(&Problem) + Sync),
    /// Set from outside to end; what was read so far is committed and acknowledged.
    pub stop: &'a AtomicBool,
}

/// What the threads of a run share.
struct Shared<'s> {
    session: Session<'s>,
    failure: Mutex<Option<IngestError>>,
    trouble: Mutex<Option<CallError>>,
    finished: AtomicBool,
}

impl Consumer<'_> {
    /// Works the queue off until told to stop, until it is empty (where that is asked for), or until it cannot be read
    /// any longer: the report says so, and it is for the caller to try again later.
    ///
    /// # Errors
    /// The store, the state or the disk failed. Nothing of what was not committed is acknowledged.
    pub fn run(&self) -> Result<QueueReport, IngestError> {
        let session = Session::new(self);
        session.intake.prove_late()?;
        let shared =
            Shared { session, failure: Mutex::new(None), trouble: Mutex::new(None), finished: AtomicBool::new(false) };
        std::thread::scope(|scope| {
            let pollers: Vec<_> =
                (0..self.options.pollers.max(1)).map(|_| scope.spawn(|| self.poll(&shared))).collect();
            scope.spawn(|| self.keep(&shared));
            for poller in pollers {
                if let Err(panic) = poller.join() {
                    shared.finished.store(true, Ordering::Relaxed);
                    std::panic::resume_unwind(panic);
                }
            }
            shared.finished.store(true, Ordering::Relaxed);
        });
        let Shared { session, failure, trouble, .. } = shared;
        if let Some(failure) = failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
            return Err(failure);
        }
        session.end(trouble.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn is_halted(&self, shared: &Shared<'_>) -> bool {
        self.stop.load(Ordering::Relaxed) || lock(&shared.failure).is_some() || lock(&shared.trouble).is_some()
    }

    fn poll(&self, shared: &Shared<'_>) {
        let mut unanswered = 0;
        let mut last_answer = self.timer.monotonic();
        while !self.is_halted(shared) {
            match shared.session.turn() {
                Err(error) => {
                    // The first failure is the one to tell; those after it follow from it.
                    lock(&shared.failure).get_or_insert(error);
                }
                Ok(Turn::Empty) if self.options.until_empty => return,
                Ok(Turn::Empty | Turn::Worked) => {
                    unanswered = 0;
                    last_answer = self.timer.monotonic();
                }
                Ok(Turn::Failed(error)) => {
                    let silence = self.timer.monotonic().saturating_sub(last_answer);
                    if !error.may_pass() || silence >= self.options.patience {
                        lock(&shared.trouble).get_or_insert(error);
                        return;
                    }
                    self.wait(shared, (SHORTEST * 2u32.saturating_pow(unanswered)).min(LONGEST));
                    unanswered += 1;
                }
            }
        }
    }

    /// Extends, commits and acknowledges while the others receive and read.
    fn keep(&self, shared: &Shared<'_>) {
        while !shared.finished.load(Ordering::Relaxed) {
            self.timer.sleep(PIECE);
            if lock(&shared.failure).is_none()
                && let Err(error) = shared.session.keep()
            {
                lock(&shared.failure).get_or_insert(error);
            }
        }
    }

    fn wait(&self, shared: &Shared<'_>, duration: Duration) {
        let until = self.timer.monotonic() + duration;
        while !self.is_halted(shared) {
            let left = until.saturating_sub(self.timer.monotonic());
            if left.is_zero() {
                return;
            }
            self.timer.sleep(left.min(PIECE));
        }
    }
}

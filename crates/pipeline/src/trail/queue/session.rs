//! A run over a queue, step by step: whoever drives it says when to receive and when to keep.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use event::Timestamp;
use event::decode::Decoder;

use super::Consumer;
use super::held::{Group, HeldMessages, Place};
use super::report::{MessageCounts, ObjectCounts, QueueReport};
use crate::collect::{Trouble, TroubleKind};
use crate::ingest::IngestError;
use crate::intake::{Intake, Parts, Recording, lock};
use crate::proof::Evidence;
use crate::report::Report;
use crate::service::CallError;
use crate::state::ObjectVersion;
use crate::trail::parallel;
use crate::trail::port::{Message, Undone};

/// How a turn went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// There was nothing to receive.
    Empty,
    /// Messages were received and read.
    Worked,
    /// The queue did not answer.
    Failed(CallError),
}

/// What is counted beside the records.
#[derive(Debug, Default)]
pub(super) struct Counts {
    calls: u64,
    failed_calls: u64,
    pub(super) messages: MessageCounts,
    pub(super) objects: ObjectCounts,
}

/// The last commit.
#[derive(Debug, Clone, Copy)]
struct LastCommit {
    /// When it was, by the clock that never jumps.
    at: Duration,
    /// How many messages had been received by then.
    received: u64,
}

/// A run over a queue.
///
/// [`Consumer::run`] drives it with threads. [`turn`](Session::turn) and [`keep`](Session::keep) may be called from
/// several.
pub struct Session<'c> {
    pub(super) consumer: &'c Consumer<'c>,
    pub(super) intake: Intake<'c>,
    started: Timestamp,
    held: Mutex<HeldMessages>,
    /// Objects whose records were handed over since the last commit.
    read: Mutex<Vec<ObjectVersion>>,
    last_commit: Mutex<LastCommit>,
    /// What first kept something from being read that may be read another time.
    unread: Mutex<Option<Trouble>>,
    counts: Mutex<Counts>,
}

impl<'c> Session<'c> {
    /// A run that has received nothing yet.
    #[must_use]
    pub fn new(consumer: &'c Consumer<'c>) -> Session<'c> {
        let parts = Parts {
            store: consumer.store,
            ledger: consumer.ledger,
            aside: consumer.aside,
            clock: consumer.timer,
            registry: consumer.registry,
            filters: consumer.filters,
            suppressions: consumer.suppressions,
            routes: consumer.routes,
            progress: consumer.progress,
            proving: consumer.proving,
        };
        Session {
            consumer,
            intake: Intake::new(parts, Recording::AtOnce),
            started: consumer.timer.now(),
            held: Mutex::default(),
            read: Mutex::default(),
            last_commit: Mutex::new(LastCommit { at: consumer.timer.monotonic(), received: 0 }),
            unread: Mutex::default(),
            counts: Mutex::default(),
        }
    }

    /// Receives some messages and reads what they bring.
    ///
    /// # Errors
    /// The store, the state or the disk failed; the session is not to be used any longer.
    pub fn turn(&self) -> Result<Turn, IngestError> {
        let Consumer { queue, timer, options, .. } = self.consumer;
        if lock(&self.held).len() >= options.max_held {
            self.commit()?;
        }
        let messages = match queue.receive(options.poll, options.visibility) {
            Ok(messages) => messages,
            Err(error) => {
                self.counts().failed_calls += 1;
                return Ok(Turn::Failed(error));
            }
        };
        self.counts().calls += 1;
        if messages.is_empty() {
            return Ok(Turn::Empty);
        }
        self.counts().messages.received += messages.len() as u64;
        let visible = timer.monotonic() + options.visibility;
        let work: Vec<(Place, Message)> = {
            let mut held = lock(&self.held);
            messages.into_iter().map(|message| (held.add(message.receipt.clone(), visible), message)).collect()
        };
        let outcomes = parallel::each(options.workers, work, |(place, message)| {
            if self.consumer.stop.load(Ordering::Relaxed) {
                self.give_back_at_once(place);
                return Ok(());
            }
            self.message(place, &message, &mut Decoder::new(options.limits))
        });
        outcomes.into_iter().collect::<Result<(), IngestError>>()?;
        Ok(Turn::Worked)
    }

    /// Does what is due: keeps messages from others for longer, commits, acknowledges.
    ///
    /// # Errors
    /// The store, the state or the disk failed; the session is not to be used any longer.
    pub fn keep(&self) -> Result<(), IngestError> {
        self.extend();
        let LastCommit { at, received } = *lock(&self.last_commit);
        let is_due = self.consumer.timer.monotonic().saturating_sub(at) >= self.consumer.options.commit_every;
        // A message that was not read to its end may have brought something, too.
        let has_news = self.counts().messages.received > received || lock(&self.held).wait_for_a_commit();
        if is_due && has_news {
            return self.commit();
        }
        self.acknowledge();
        Ok(())
    }

    /// Commits what was handed over, and acknowledges it.
    ///
    /// # Errors
    /// The store, the state or the disk failed; the session is not to be used any longer.
    pub fn commit(&self) -> Result<(), IngestError> {
        let Consumer { timer, objects, .. } = self.consumer;
        let received = self.counts().messages.received;
        self.intake.checkpoint(|| {
            let read = std::mem::take(&mut *lock(&self.read));
            if !read.is_empty() {
                objects.mark_objects(&read, timer.now())?;
                fail::fail_point!("pipeline::after-objects", |_| std::process::abort());
            }
            lock(&self.held).committed();
            Ok(())
        })?;
        *lock(&self.last_commit) = LastCommit { at: timer.monotonic(), received };
        self.acknowledge();
        Ok(())
    }

    /// Commits, acknowledges, gives back what was not read, and counts.
    ///
    /// # Errors
    /// The store, the state or the disk failed.
    pub fn end(self, trouble: Option<CallError>) -> Result<QueueReport, IngestError> {
        self.commit()?;
        // What could not be deleted at first is tried again, and then given up.
        while !lock(&self.held).to_delete().is_empty() {
            self.acknowledge();
        }
        let rest = lock(&self.held).len() as u64;
        self.counts().messages.returned += rest;
        let Consumer { timer, queue, stop, .. } = self.consumer;
        let ended = timer.now();
        let Counts { calls, failed_calls, messages, objects } = std::mem::take(&mut *self.counts());
        let mut totals: Report = self.intake.into_report()?;
        totals.interrupted = stop.load(Ordering::Relaxed);
        let trouble = trouble.map(|error| Trouble {
            kind: TroubleKind::of(&error),
            message: error.to_string(),
            since: ended,
            last: ended,
        });
        let queue = queue.name().to_owned();
        let (started, unread) = (self.started, lock(&self.unread).take());
        let mut report =
            QueueReport { queue, started, ended, calls, failed_calls, messages, objects, totals, trouble, unread };
        report.reconcile().map_err(IngestError::Unreconciled)?;
        Ok(report)
    }

    /// Takes note that something could not be read this time; the first of many is kept.
    pub(super) fn note_unread(&self, kind: TroubleKind, message: &str) {
        let now = self.consumer.timer.now();
        lock(&self.unread).get_or_insert_with(|| Trouble { kind, message: message.to_owned(), since: now, last: now });
    }

    pub(super) fn counts(&self) -> MutexGuard<'_, Counts> {
        lock(&self.counts)
    }

    /// Takes note that all of a message was handed over: the next commit is its own.
    pub(super) fn hand_over(&self, place: Place) {
        self.intake.note(|| lock(&self.held).handed_over(place));
    }

    /// Takes note that all of an object was handed over.
    pub(super) fn note_object(&self, version: ObjectVersion, evidence: Option<Evidence>) {
        self.intake.note(|| {
            lock(&self.read).push(version);
            self.intake.add_evidence(evidence);
        });
    }

    /// Lets a message go. It comes again when its time is over: at once would make a loop of what fails at once.
    pub(super) fn give_back(&self, place: Place) -> Option<String> {
        let receipt = lock(&self.held).forget(place)?;
        self.counts().messages.returned += 1;
        Some(receipt)
    }

    /// Lets a message go that nobody has failed with: whoever comes next has it without waiting.
    pub(super) fn give_back_at_once(&self, place: Place) {
        let Some(receipt) = self.give_back(place) else { return };
        if self.consumer.queue.extend(&[&receipt], Duration::ZERO).is_err() {
            self.counts().failed_calls += 1;
        }
    }

    /// Keeps from others what they would see before long.
    fn extend(&self) {
        let Consumer { queue, timer, options, .. } = self.consumer;
        let half_over = timer.monotonic() + options.visibility / 2;
        let groups = lock(&self.held).visible_before(half_over);
        for group in groups {
            let outcome = queue.extend(&receipts(&group), options.visibility);
            let lost = match outcome {
                Ok(undone) => undone.len() as u64,
                Err(_) => {
                    self.counts().failed_calls += 1;
                    continue;
                }
            };
            let mut counts = self.counts();
            counts.messages.extended += (group.len() as u64).saturating_sub(lost);
            counts.messages.lost += lost;
            drop(counts);
            // Those that were lost are not tried again: they come again.
            let visible = timer.monotonic() + options.visibility;
            lock(&self.held).extended(group.into_iter().map(|(place, _)| place), visible);
        }
    }

    /// Deletes what is committed.
    fn acknowledge(&self) {
        let groups = lock(&self.held).to_delete();
        for group in groups {
            let undone: Vec<usize> = match self.consumer.queue.delete(&receipts(&group)) {
                Ok(undone) => undone.iter().map(|Undone { place, .. }| *place).collect(),
                Err(_) => {
                    self.counts().failed_calls += 1;
                    (0..group.len()).collect()
                }
            };
            let mut held = lock(&self.held);
            let mut counts = self.counts();
            for (index, (place, _)) in group.iter().enumerate() {
                if !undone.contains(&index) {
                    counts.messages.acknowledged += u64::from(held.forget(*place).is_some());
                } else if held.not_deleted(*place) {
                    counts.messages.unacknowledged += 1;
                }
            }
        }
    }
}

fn receipts(group: &Group) -> Vec<&str> {
    group.iter().map(|(_, receipt)| receipt.as_str()).collect()
}

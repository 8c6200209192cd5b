//! Stores and states in memory, for tests: what they hold outlives the "process" that wrote it, and a process can be made
//! to die at any call.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event::{Event, Timestamp};
use pipeline::alert::{Alert, AlertId};
use pipeline::aside::{Aside, Rejection, VariantCopy};
use pipeline::collect::{Pause, Scope, Stream, StreamChange, StreamState, StreamStore};
use pipeline::outbox::Routes;
use pipeline::state::{Ledger, ObjectLedger, ObjectVersion, Recorded, StateError};
use pipeline::store::{Appended, Committed, EventStore, StoreError, Variant};

/// What is on the disk: it outlives every process.
#[derive(Debug, Default)]
pub struct Disk {
    /// Committed events: id to a hash of what the event says and the item it came in.
    pub events: Mutex<BTreeMap<String, (u64, String)>>,
    /// Recorded alerts.
    pub alerts: Mutex<BTreeMap<AlertId, Alert>>,
    /// What is known of streams.
    pub streams: Mutex<BTreeMap<Stream, StreamState>>,
    /// What is to be collected.
    pub scope: Mutex<Scope>,
    /// Objects that were read, by where they lie: entity tag and size.
    pub objects: Mutex<BTreeMap<String, (String, u64)>>,
    /// What was set aside: the item, its place there and the reason.
    pub rejected: Mutex<BTreeSet<(String, u64, String)>>,
}

/// A process that works on a disk, and may die: from a certain call on every call fails, and what was not on the disk is
/// gone.
#[derive(Debug)]
pub struct Process {
    disk: Arc<Disk>,
    pending: Mutex<BTreeMap<String, (u64, String)>>,
    pending_rejected: Mutex<BTreeSet<(String, u64, String)>>,
    calls_left: AtomicI64,
    /// Whether the call at which it dies still takes effect.
    dies_after: bool,
}

/// The process is dead.
#[derive(Debug, thiserror::Error)]
#[error("the process has died")]
pub struct Died;

impl Process {
    /// A process that dies at its `dies_at`th call (from 0), before or after the call took effect; never if negative.
    #[must_use]
    pub fn new(disk: Arc<Disk>, dies_at: i64, dies_after: bool) -> Process {
        let calls_left = if dies_at < 0 { i64::MAX } else { dies_at };
        Process {
            disk,
            pending: Mutex::default(),
            pending_rejected: Mutex::default(),
            calls_left: AtomicI64::new(calls_left),
            dies_after,
        }
    }

    /// Whether it has died.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.calls_left.load(Ordering::Relaxed) < 0
    }

    /// Runs a step that happens wholly or not at all, unless the process dies at it or is dead.
    ///
    /// # Errors
    /// [`Died`].
    pub fn step<T>(&self, body: impl FnOnce() -> T) -> Result<T, Died> {
        match self.calls_left.fetch_sub(1, Ordering::Relaxed) {
            left if left > 0 => Ok(body()),
            0 if self.dies_after => {
                body();
                Err(Died)
            }
            _ => Err(Died),
        }
    }

    fn state_step<T>(&self, body: impl FnOnce() -> T) -> Result<T, StateError> {
        self.step(body).map_err(|died| StateError::Storage { path: "memory".to_owned(), source: Box::new(died) })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl EventStore for Process {
    fn append(&self, events: &[Event<'_>], source_object: &str, _: Timestamp) -> Result<Appended, StoreError> {
        let mut appended = Appended::default();
        let taken = self.step(|| {
            let disk = lock(&self.disk.events);
            let mut pending = lock(&self.pending);
            for event in events {
                let hash = event.content_hash();
                match disk.get(event.id()).or_else(|| pending.get(event.id())) {
                    Some((known, _)) if *known == hash => appended.duplicates += 1,
                    Some(_) => appended.variants.push(Variant {
                        event_id: event.id().to_owned(),
                        record: event.to_json(),
                        source_object: source_object.to_owned(),
                    }),
                    None => {
                        pending.insert(event.id().to_owned(), (hash, source_object.to_owned()));
                        appended.stored += 1;
                    }
                }
            }
        });
        taken.map_err(|died| StoreError(Box::new(died)))?;
        Ok(appended)
    }

    fn commit(&self) -> Result<Committed, StoreError> {
        let done = self.step(|| lock(&self.disk.events).append(&mut lock(&self.pending)));
        done.map_err(|died| StoreError(Box::new(died)))?;
        Ok(Committed::default())
    }
}

impl Aside for Process {
    fn rejected(&self, rejection: &Rejection<'_>) -> io::Result<bool> {
        let Rejection { source_object, number, reason, .. } = *rejection;
        let line = (source_object.to_owned(), number, reason.to_owned());
        self.step(|| lock(&self.pending_rejected).insert(line)).map_err(io::Error::other)
    }

    fn variant(&self, _: &VariantCopy<'_>) -> io::Result<bool> {
        self.step(|| true).map_err(io::Error::other)
    }

    fn sync(&self) -> io::Result<()> {
        let write = || lock(&self.disk.rejected).append(&mut lock(&self.pending_rejected));
        self.step(write).map_err(io::Error::other)
    }
}

impl ObjectLedger for Process {
    fn seen_objects(&self, objects: &[ObjectVersion]) -> Result<Vec<bool>, StateError> {
        self.state_step(|| {
            let known = lock(&self.disk.objects);
            let is_known = |ObjectVersion { location, etag, size }: &ObjectVersion| {
                known.get(location).is_some_and(|known| (&known.0, known.1) == (etag, *size))
            };
            objects.iter().map(is_known).collect()
        })
    }

    fn mark_objects(&self, objects: &[ObjectVersion], _: Timestamp) -> Result<(), StateError> {
        self.state_step(|| {
            let versions = objects.iter().cloned();
            lock(&self.disk.objects)
                .extend(versions.map(|ObjectVersion { location, etag, size }| (location, (etag, size))));
        })
    }
}

impl StreamStore for Process {
    fn streams(&self) -> Result<Vec<StreamState>, StateError> {
        self.state_step(|| lock(&self.disk.streams).values().cloned().collect())
    }

    fn save_streams(&self, changes: &[StreamChange]) -> Result<(), StateError> {
        self.state_step(|| {
            let mut streams = lock(&self.disk.streams);
            for StreamChange { stream, since, covered, walks, health } in changes {
                let state = streams.entry(stream.clone()).or_insert_with(|| StreamState::new(stream.clone()));
                state.since = [state.since, *since].into_iter().flatten().min();
                state.coverage.union(covered);
                state.walks.clone_from(walks);
                state.health.clone_from(health);
            }
        })
    }

    fn scope(&self) -> Result<Scope, StateError> {
        self.state_step(|| lock(&self.disk.scope).clone())
    }

    fn save_scope(&self, scope: &Scope) -> Result<(), StateError> {
        self.state_step(|| lock(&self.disk.scope).clone_from(scope))
    }

    fn pause_stream(&self, stream: &Stream, pause: Option<&Pause>) -> Result<bool, StateError> {
        self.state_step(|| {
            let mut streams = lock(&self.disk.streams);
            let state = streams.entry(stream.clone()).or_insert_with(|| StreamState::new(stream.clone()));
            let changed = state.pause.is_some() != pause.is_some();
            state.pause = pause.cloned();
            changed
        })
    }
}

impl Ledger for Process {
    fn record_alerts(&self, alerts: &[Alert], _: &Routes) -> Result<Recorded, StateError> {
        self.state_step(|| {
            let mut known = lock(&self.disk.alerts);
            let mut recorded = Recorded::default();
            for (place, alert) in alerts.iter().enumerate() {
                if let Some(known) = known.get_mut(&alert.id) {
                    known.arrival = known.arrival.min(alert.arrival);
                    continue;
                }
                known.insert(alert.id.clone(), alert.clone());
                recorded.note(place, alert);
            }
            recorded
        })
    }
}

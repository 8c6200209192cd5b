//! The state of this machine: one SQLite database, `state.db`.
//!
//! **Invariant:** every method of the port is one transaction, synced to the disk before it returns. A daemon and command
//! lines use the database at the same time: readers never wait, writers wait for each other.
//!
//! Read in this order: `schema` (what is kept), `alerts` and `outbox` (the ledger), the rest as needed.

mod alerts;
mod error;
mod failpoint;
mod objects;
mod outbox;
mod proofs;
mod row;
mod runs;
mod schema;
mod scope;
mod streams;
mod suppressions;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event::Timestamp;
use pipeline::alert::{Acknowledgement, Alert, AlertId};
use pipeline::collect::{Pause, Scope, Stream, StreamChange, StreamState, StreamStore};
use pipeline::history::{PastRun, RunEnd, RunId};
use pipeline::notify::ChannelHealth;
use pipeline::outbox::{Delivery, Notification, Outbox, OutboxRow, Outcome, Routes};
use pipeline::proof::{ContentRead, Evidence, Failure as ProofFailure, ProofCounts, ProofStore, Provable};
use pipeline::state::{
    AlertCounts, AlertFilter, LakeFit, Ledger, ObjectLedger, ObjectVersion, Page, Recorded, StateError, StateStore,
    SuppressionStore,
};
use pipeline::suppress::{Removal, Suppression, SuppressionId};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use self::error::{Failure, state_error};
pub use self::failpoint::FAILPOINTS;
use self::failpoint::{Operation, failpoint, full_while};

/// How long a writer waits for another process: longer than any transaction of ours takes, on a slow disk too.
const PATIENCE: Duration = Duration::from_secs(30);

/// The state kept in a SQLite database.
#[derive(Debug)]
pub struct SqliteState {
    path: String,
    connection: Mutex<Connection>,
}

impl SqliteState {
    /// Opens the database, and creates it or brings it to the current format where needed.
    ///
    /// # Errors
    /// [`StateError`]: it cannot be opened, is damaged, is somebody else's, or was written by a newer version.
    pub fn open(path: &Path) -> Result<SqliteState, StateError> {
        let shown = path.display().to_string();
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)
            .map_err(|source| StateError::Open { path: shown.clone(), source: Box::new(source) })?;
        SqliteState::with_connection(connection, shown)
    }

    /// A state that is gone when it is dropped.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn in_memory() -> Result<SqliteState, StateError> {
        let path = ":memory:".to_owned();
        match Connection::open_in_memory() {
            Ok(connection) => SqliteState::with_connection(connection, path),
            Err(source) => Err(StateError::Open { path, source: Box::new(source) }),
        }
    }

    fn with_connection(mut connection: Connection, path: String) -> Result<SqliteState, StateError> {
        schema::prepare(&mut connection).map_err(|failure| state_error(&path, failure))?;
        Ok(SqliteState { path, connection: Mutex::new(connection) })
    }

    /// Reads the whole database for damage: every page, index and reference. Returns what is wrong, nothing if all is
    /// well.
    ///
    /// # Errors
    /// [`StateError`] if it is too damaged to be looked at.
    pub fn verify(&self) -> Result<Vec<String>, StateError> {
        self.read(schema::verify)
    }

    /// Runs one transaction that only reads: all its statements see the same state.
    fn read<T>(&self, body: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>) -> Result<T, StateError> {
        let mut connection = self.lock();
        let outcome = connection
            .transaction_with_behavior(TransactionBehavior::Deferred)
            .map_err(Failure::from)
            .and_then(|transaction| body(&transaction));
        outcome.map_err(|failure| state_error(&self.path, failure))
    }

    /// Runs one transaction that writes. It takes the write lock at once: one that began as a reader could not be
    /// repeated by SQLite once another process has written.
    fn write<T>(
        &self,
        operation: Operation,
        body: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>,
    ) -> Result<T, StateError> {
        let mut connection = self.lock();
        failpoint!(operation.before);
        full_while!(operation.full, self.folder().is_some_and(|home| crate::Ballast::of(home).is_laid()), &self.path);
        let attempt = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = body(&transaction)?;
            failpoint!(operation.before_commit);
            transaction.commit()?;
            failpoint!(operation.after_commit);
            Ok(value)
        };
        attempt().map_err(|failure| state_error(&self.path, failure))
    }

    /// Where the database lies; `None` for one in memory.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        Path::new(&self.path).parent().filter(|folder| !folder.as_os_str().is_empty())
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic rolled its transaction back.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger for SqliteState {
    fn record_alerts(&self, alerts: &[Alert], routes: &Routes) -> Result<Recorded, StateError> {
        if alerts.is_empty() {
            return Ok(Recorded::default());
        }
        self.write(failpoint::RECORD_ALERTS, |transaction| alerts::record(transaction, alerts, routes))
    }
}

impl Outbox for SqliteState {
    fn claim(
        &self,
        channel: &str,
        now: Timestamp,
        lease: Timestamp,
        limit: usize,
    ) -> Result<Vec<Notification>, StateError> {
        // Couriers look every second; only one that finds something waits for the write lock.
        if !self.read(|transaction| outbox::is_due(transaction, channel, now))? {
            return Ok(Vec::new());
        }
        self.write(failpoint::CLAIM, |transaction| outbox::claim(transaction, channel, now, lease, limit))
    }

    fn settle(&self, channel: &str, outcomes: &[(AlertId, Outcome)]) -> Result<(), StateError> {
        self.write(failpoint::SETTLE, |transaction| outbox::settle(transaction, channel, outcomes))
    }

    fn hold(&self, channel: &str, alerts: &[AlertId], until: Timestamp) -> Result<(), StateError> {
        self.write(failpoint::CLAIM, |transaction| outbox::hold(transaction, channel, alerts, until))
    }

    fn recall(&self, channel: &str, beyond: Timestamp, now: Timestamp) -> Result<(), StateError> {
        if !self.read(|transaction| outbox::waits_beyond(transaction, channel, beyond))? {
            return Ok(());
        }
        self.write(failpoint::CLAIM, |transaction| outbox::recall(transaction, channel, beyond, now))
    }
}

impl ObjectLedger for SqliteState {
    fn seen_objects(&self, objects: &[ObjectVersion]) -> Result<Vec<bool>, StateError> {
        self.read(|transaction| objects::seen(transaction, objects))
    }

    fn mark_objects(&self, objects: &[ObjectVersion], at: Timestamp) -> Result<(), StateError> {
        self.write(failpoint::MARK_OBJECTS, |transaction| objects::mark(transaction, objects, at))
    }
}

impl SuppressionStore for SqliteState {
    fn add_suppression(&self, suppression: &Suppression) -> Result<bool, StateError> {
        self.write(failpoint::ADD_SUPPRESSION, |transaction| suppressions::add(transaction, suppression))
    }

    fn suppressions(&self) -> Result<Vec<Suppression>, StateError> {
        self.read(suppressions::list)
    }

    fn remove_suppression(&self, id: &SuppressionId, removal: &Removal) -> Result<bool, StateError> {
        self.write(failpoint::REMOVE_SUPPRESSION, |transaction| suppressions::remove(transaction, id, removal))
    }
}

impl StateStore for SqliteState {
    fn alerts(&self, filter: &AlertFilter, page: &Page) -> Result<Vec<Alert>, StateError> {
        self.read(|transaction| alerts::list(transaction, filter, page))
    }

    fn count_alerts(&self, filter: &AlertFilter) -> Result<AlertCounts, StateError> {
        self.read(|transaction| alerts::count(transaction, filter))
    }

    fn alert(&self, id: &AlertId) -> Result<Option<Alert>, StateError> {
        self.read(|transaction| alerts::get(transaction, id))
    }

    fn alert_ids(&self, prefix: &str, limit: usize) -> Result<Vec<AlertId>, StateError> {
        self.read(|transaction| alerts::ids(transaction, prefix, limit))
    }

    fn acknowledge(&self, ids: &[AlertId], acknowledgement: &Acknowledgement) -> Result<u64, StateError> {
        self.write(failpoint::ACKNOWLEDGE, |transaction| alerts::acknowledge(transaction, ids, acknowledgement))
    }

    fn unacknowledge(&self, ids: &[AlertId]) -> Result<u64, StateError> {
        self.write(failpoint::UNACKNOWLEDGE, |transaction| alerts::unacknowledge(transaction, ids))
    }

    fn suppress_alerts(&self, ids: &[AlertId], by: &SuppressionId) -> Result<u64, StateError> {
        self.write(failpoint::SUPPRESS_ALERTS, |transaction| alerts::suppress(transaction, ids, by))
    }

    fn expire_alerts(&self, before: Timestamp) -> Result<u64, StateError> {
        self.write(failpoint::EXPIRE_ALERTS, |transaction| alerts::expire(transaction, before))
    }

    fn channels(&self) -> Result<Vec<ChannelHealth>, StateError> {
        self.read(outbox::channels)
    }

    fn outbox(&self, state: Delivery, limit: usize) -> Result<Vec<OutboxRow>, StateError> {
        self.read(|transaction| outbox::list(transaction, state, limit))
    }

    fn begin_run(&self, command: &str, at: Timestamp) -> Result<RunId, StateError> {
        self.write(failpoint::BEGIN_RUN, |transaction| runs::begin(transaction, command, at))
    }

    fn end_run(&self, id: RunId, end: &RunEnd) -> Result<(), StateError> {
        self.write(failpoint::END_RUN, |transaction| runs::end(transaction, id, end))
    }

    fn runs(&self, limit: usize) -> Result<Vec<PastRun>, StateError> {
        self.read(|transaction| runs::list(transaction, limit))
    }

    fn fit_lake(&self, id: &str, version: &dyn Fn() -> Result<i64, StateError>) -> Result<LakeFit, StateError> {
        self.write(failpoint::FIT_LAKE, |transaction| objects::fit_lake(transaction, id, version()?))
    }
}

impl ProofStore for SqliteState {
    fn add_evidence(&self, evidence: &[Evidence], at: Timestamp) -> Result<Vec<ProofFailure>, StateError> {
        self.write(failpoint::ADD_EVIDENCE, |transaction| proofs::add(transaction, evidence, at))
    }

    fn provable(&self, behind: Option<&Provable>) -> Result<Vec<Provable>, StateError> {
        self.read(|transaction| proofs::provable(transaction, behind))
    }

    fn prove(&self, digests: &[i64]) -> Result<Vec<ProofFailure>, StateError> {
        self.write(failpoint::PROVE, |transaction| proofs::prove(transaction, digests))
    }

    fn failures_told(&self, failures: &[ProofFailure]) -> Result<(), StateError> {
        self.write(failpoint::FAILURES_TOLD, |transaction| proofs::told(transaction, failures))
    }

    fn count_proofs(&self) -> Result<ProofCounts, StateError> {
        self.read(proofs::count)
    }

    fn contents_read(&self, folder: &str, from: Timestamp, to: Timestamp) -> Result<Vec<ContentRead>, StateError> {
        self.read(|transaction| proofs::contents_read(transaction, folder, from, to))
    }
}

impl StreamStore for SqliteState {
    fn streams(&self) -> Result<Vec<StreamState>, StateError> {
        self.read(streams::list)
    }

    fn save_streams(&self, changes: &[StreamChange]) -> Result<(), StateError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.write(failpoint::SAVE_STREAMS, |transaction| streams::save(transaction, changes))
    }

    fn scope(&self) -> Result<Scope, StateError> {
        self.read(scope::read)
    }

    fn save_scope(&self, scope: &Scope) -> Result<(), StateError> {
        self.write(failpoint::SAVE_SCOPE, |transaction| scope::save(transaction, scope))
    }

    fn pause_stream(&self, stream: &Stream, pause: Option<&Pause>) -> Result<bool, StateError> {
        self.write(failpoint::PAUSE_STREAM, |transaction| streams::pause(transaction, stream, pause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_leaves_what_was_there() {
        let state = SqliteState::in_memory().unwrap();
        let object = |number| ObjectVersion { location: format!("s3://b/{number}"), etag: String::new(), size: 0 };
        let known = [object(0)];
        state.mark_objects(&known, Timestamp::MIN).unwrap();
        // A bound on the number of pages is met like the end of a disk.
        state.lock().pragma_update(None, "max_page_count", 40).unwrap();
        let many: Vec<ObjectVersion> = (1..10_000).map(object).collect();
        let error = state.mark_objects(&many, Timestamp::MIN).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the disk is full: :memory: could not be written; make room: nothing stored before is lost, and the next run goes on"
        );
        assert_eq!(state.seen_objects(&known).unwrap(), [true]);
        assert_eq!(state.seen_objects(&many[..1]).unwrap(), [false]);
        state.mark_objects(&many[..1], Timestamp::MIN).unwrap();
        assert_eq!(state.seen_objects(&many[..1]).unwrap(), [true]);
    }

    #[test]
    fn what_was_told_is_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let state = SqliteState::open(&folder.path().join("state.db")).unwrap();
        let pragma = |name: &str| -> String {
            let query = format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}");
            state.lock().query_row(&query, [], |row| row.get(0)).unwrap()
        };
        // 2 is FULL: a commit is synced, not only the end of a log.
        assert_eq!((pragma("synchronous"), pragma("journal_mode")), ("2".to_owned(), "wal".to_owned()));
        assert_eq!(pragma("foreign_keys"), "1");
    }
}

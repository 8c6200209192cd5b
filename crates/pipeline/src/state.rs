//! The port to what the program remembers beside the events: the alert ledger, the outbox, suppressions, the history of
//! runs, and which objects of a bucket were read.
//!
//! Every method is one step: it happens wholly or not at all, also where the process ends in the middle, and several
//! processes may use one store at once.

use std::error::Error;

use detect::Severity;
use event::Timestamp;
use serde::Serialize;

use crate::alert::{Acknowledgement, Alert, AlertId};
use crate::history::{PastRun, RunEnd, RunId, SeverityCounts};
use crate::notify::ChannelHealth;
use crate::outbox::{Delivery, OutboxRow, Routes};
use crate::pattern::Pattern;
use crate::suppress::{Removal, Suppression, SuppressionId};

/// Why the state could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The store cannot be opened at all.
    #[error("{path} could not be opened: {source}")]
    Open {
        /// Where it should be.
        path: String,
        /// What the adapter said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// What is there is not this program's state.
    #[error("{path} is no state of this program: {reason}")]
    Foreign {
        /// Where it lies.
        path: String,
        /// What does not fit.
        reason: String,
    },
    /// The store was written by a newer version of the program.
    #[error("{path} was written by a newer version (format {found}, this one knows {known}); update the program")]
    Newer {
        /// Where it lies.
        path: String,
        /// Its format.
        found: i64,
        /// The newest format this version knows.
        known: i64,
    },
    /// The store is damaged.
    #[error("{path} is damaged ({reason}); restore it from a backup, or move it away and read the logs again")]
    Damaged {
        /// Where it lies.
        path: String,
        /// What was found.
        reason: String,
    },
    /// Another process held the store for longer than we wait.
    #[error("{path} is in use by another process")]
    Busy {
        /// Where it lies.
        path: String,
    },
    /// There is no room for what was to be written. What was there is unharmed.
    #[error(
        "the disk is full: {path} could not be written; make room: nothing stored before is lost, and the next run goes on"
    )]
    Full {
        /// Where it lies.
        path: String,
    },
    /// There is no room for more in what holds it, which is bounded. What was there is unharmed.
    #[error("{path} is full: {reason}")]
    Bounded {
        /// Where it lies.
        path: String,
        /// What is too much, and what to do.
        reason: String,
    },
    /// The adapter failed otherwise.
    #[error("{path}: {source}")]
    Storage {
        /// Where the store lies.
        path: String,
        /// What the adapter said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Nothing goes by that id.
    #[error("there is no {what} {reference:?}")]
    Unknown {
        /// `alert` or `suppression`.
        what: &'static str,
        /// What was asked for.
        reference: String,
    },
    /// Several things go by that id.
    #[error("{what} {reference:?} could be any of {}", matches.join(", "))]
    Ambiguous {
        /// `alert` or `suppression`.
        what: &'static str,
        /// What was asked for.
        reference: String,
        /// The first few ids that begin so.
        matches: Vec<String>,
    },
    /// The text cannot be an alert's id.
    #[error("{0:?} names no alert: give at least {MIN_PREFIX} hexadecimal digits of an id, or EVENT-ID/DETECTION-ID")]
    NoReference(String),
}

/// How many digits of an alert's id have to be given.
pub const MIN_PREFIX: usize = 4;

/// Whether things of a kind are among what is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Include {
    /// They are left out.
    Without,
    /// They are among the others.
    #[default]
    With,
    /// They alone are asked for.
    Only,
}

impl Include {
    /// Whether something is asked for, given whether it is of the kind.
    #[must_use]
    pub fn admits(self, is_of_the_kind: bool) -> bool {
        match self {
            Include::Without => !is_of_the_kind,
            Include::With => true,
            Include::Only => is_of_the_kind,
        }
    }
}

/// Which alerts are asked for. The default asks for all.
#[derive(Debug, Clone, Default)]
pub struct AlertFilter {
    /// Events at this time or later.
    pub since: Option<Timestamp>,
    /// Events before this time.
    pub until: Option<Timestamp>,
    /// Recorded at this time or later.
    pub recorded_since: Option<Timestamp>,
    /// This severity or a more serious one.
    pub at_least: Option<Severity>,
    /// Detections, by id.
    pub detection: Option<Pattern>,
    /// The account the event was recorded for.
    pub account: Option<String>,
    /// Who is behind the event: its user, session, ARN or role.
    pub principal: Option<Pattern>,
    /// The event.
    pub event_id: Option<String>,
    /// The run that found it.
    pub run: Option<RunId>,
    /// Suppressed alerts.
    pub suppressed: Include,
    /// Acknowledged alerts.
    pub acknowledged: Include,
}

impl AlertFilter {
    /// Asks for the alerts that still wait for somebody.
    #[must_use]
    pub fn open() -> AlertFilter {
        AlertFilter { suppressed: Include::Without, acknowledged: Include::Without, ..AlertFilter::default() }
    }

    /// Whether the alert is asked for: the definition that every adapter's own way must agree with.
    #[must_use]
    pub fn admits(&self, alert: &Alert) -> bool {
        let is = |wanted: &Option<String>, text: Option<&str>| wanted.is_none() || wanted.as_deref() == text;
        self.since.is_none_or(|since| since <= alert.event_time)
            && self.until.is_none_or(|until| alert.event_time < until)
            && self.recorded_since.is_none_or(|since| since <= alert.first_seen)
            && self.at_least.is_none_or(|least| least <= alert.severity)
            && is(&self.account, alert.account.as_deref())
            && is(&self.event_id, Some(&alert.event_id))
            && self.run.is_none_or(|run| alert.run == Some(run))
            && self.suppressed.admits(alert.suppressed_by.is_some())
            && self.acknowledged.admits(alert.acknowledged.is_some())
            && self.detection.as_ref().is_none_or(|pattern| pattern.matches(&alert.detection))
            && self.principal.as_ref().is_none_or(|pattern| {
                let mut names = [&alert.user, &alert.session, &alert.actor_arn, &alert.role_arn].into_iter().flatten();
                names.any(|name| pattern.matches(name))
            })
    }
}

/// Which part of the alerts asked for is wanted: the newest events come first, and alerts of one time by id.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// At most so many.
    pub limit: Option<usize>,
    /// Those that come after this one.
    pub after: Option<Cursor>,
}

/// A place in the order of alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The event's time.
    pub event_time: Timestamp,
    /// The alert.
    pub id: AlertId,
}

impl Cursor {
    /// The place of an alert.
    #[must_use]
    pub fn at(alert: &Alert) -> Cursor {
        Cursor { event_time: alert.event_time, id: alert.id.clone() }
    }
}

/// What was new among the alerts that were recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Their places in the slice that was given, in order.
    pub new: Vec<usize>,
    /// Those that are not suppressed, by severity.
    pub alerts: SeverityCounts,
    /// How many are suppressed.
    pub suppressed: u64,
}

impl Recorded {
    /// Counts an alert as new.
    pub fn note(&mut self, place: usize, alert: &Alert) {
        self.new.push(place);
        match alert.suppressed_by {
            Some(_) => self.suppressed += 1,
            None => self.alerts.add(alert.severity, 1),
        }
    }
}

/// How many alerts there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct AlertCounts {
    /// Neither suppressed nor acknowledged.
    pub open: SeverityCounts,
    /// Acknowledged and not suppressed.
    pub acknowledged: SeverityCounts,
    /// Suppressed.
    pub suppressed: SeverityCounts,
}

impl AlertCounts {
    /// Counts so many alerts of a kind.
    pub fn add(&mut self, severity: Severity, is_suppressed: bool, is_acknowledged: bool, more: u64) {
        let counts = match (is_suppressed, is_acknowledged) {
            (true, _) => &mut self.suppressed,
            (false, true) => &mut self.acknowledged,
            (false, false) => &mut self.open,
        };
        counts.add(severity, more);
    }
}

/// One version of an object in a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectVersion {
    /// Where it lies, bucket included: `s3://bucket/key`.
    pub location: String,
    /// Its entity tag.
    pub etag: String,
    /// Its size in bytes.
    pub size: u64,
}

/// How the lake that is there fits the one that the state remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LakeFit {
    /// No lake was remembered.
    First,
    /// It is the same, at the remembered version or a later one.
    Same,
    /// It is another lake, or an older copy: one of the two was restored without the other. What was known of objects
    /// and stretches of time that had been read is forgotten, so that they are read again.
    Restored {
        /// How many objects that were.
        forgotten: u64,
    },
}

/// The alert ledger: all that is needed of the state by whoever finds something dangerous.
pub trait Ledger: Send + Sync {
    /// Records alerts, and with each of them its rows in the outbox.
    ///
    /// An alert that is there already stays as it is, with two exceptions: it takes the more urgent [`Arrival`](crate::alert::Arrival) of the
    /// two, and where it is open and was never given to a channel that `routes` now names for it, it is given to that
    /// channel. So an `ingest` that happened to read an event first does not keep a live stream from sending it.
    ///
    /// # Errors
    /// [`StateError`].
    fn record_alerts(&self, alerts: &[Alert], routes: &Routes) -> Result<Recorded, StateError>;
}

/// Which objects of buckets were read.
pub trait ObjectLedger: Send + Sync {
    /// Which of the objects were read before in this very version, in the order given.
    ///
    /// # Errors
    /// [`StateError`].
    fn seen_objects(&self, objects: &[ObjectVersion]) -> Result<Vec<bool>, StateError>;

    /// Writes down that objects were read and their events committed.
    ///
    /// # Errors
    /// [`StateError`].
    fn mark_objects(&self, objects: &[ObjectVersion], at: Timestamp) -> Result<(), StateError>;
}

/// The suppressions.
pub trait SuppressionStore: Send + Sync {
    /// Adds a suppression. One with the same id that is in force stays as it is; one that was taken back comes back.
    /// Returns whether anything changed.
    ///
    /// # Errors
    /// [`StateError`].
    fn add_suppression(&self, suppression: &Suppression) -> Result<bool, StateError>;

    /// Every suppression, the oldest first, those that were taken back included.
    ///
    /// # Errors
    /// [`StateError`].
    fn suppressions(&self) -> Result<Vec<Suppression>, StateError>;

    /// Takes a suppression back. The alerts it silenced stay silent and keep its id. Returns whether it was in force.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if there is none.
    fn remove_suppression(&self, id: &SuppressionId, removal: &Removal) -> Result<bool, StateError>;
}

/// What the program remembers beside the events.
pub trait StateStore: Ledger + ObjectLedger + SuppressionStore {
    /// The alerts asked for, newest event first.
    ///
    /// # Errors
    /// [`StateError`].
    fn alerts(&self, filter: &AlertFilter, page: &Page) -> Result<Vec<Alert>, StateError>;

    /// Counts the alerts asked for.
    ///
    /// # Errors
    /// [`StateError`].
    fn count_alerts(&self, filter: &AlertFilter) -> Result<AlertCounts, StateError>;

    /// The alert with this id.
    ///
    /// # Errors
    /// [`StateError`].
    fn alert(&self, id: &AlertId) -> Result<Option<Alert>, StateError>;

    /// The ids that begin with these hexadecimal digits in lower case, at most `limit` of them.
    ///
    /// # Errors
    /// [`StateError`].
    fn alert_ids(&self, prefix: &str, limit: usize) -> Result<Vec<AlertId>, StateError>;

    /// Marks alerts as seen to. One that was acknowledged before stays so, by whom it was. Returns how many were not.
    ///
    /// # Errors
    /// [`StateError`].
    fn acknowledge(&self, ids: &[AlertId], acknowledgement: &Acknowledgement) -> Result<u64, StateError>;

    /// Takes acknowledgements back. Returns how many alerts had one.
    ///
    /// # Errors
    /// [`StateError`].
    fn unacknowledge(&self, ids: &[AlertId]) -> Result<u64, StateError>;

    /// Marks recorded alerts as suppressed, and lets go of what the outbox still holds of them. One that is suppressed
    /// stays as it is. Returns how many were not.
    ///
    /// # Errors
    /// [`StateError`].
    fn suppress_alerts(&self, ids: &[AlertId], by: &SuppressionId) -> Result<u64, StateError>;

    /// Removes the alerts of events before this time, and what the outbox holds of them: alerts live as long as the
    /// events. Returns how many there were.
    ///
    /// # Errors
    /// [`StateError`].
    fn expire_alerts(&self, before: Timestamp) -> Result<u64, StateError>;

    /// How the channels are that the outbox knows: counted where they lie, for the outbox may be long.
    ///
    /// # Errors
    /// [`StateError`].
    fn channels(&self) -> Result<Vec<ChannelHealth>, StateError>;

    /// The rows of the outbox in a state, oldest first, at most `limit`. What was acknowledged while it waited is not among
    /// those that wait.
    ///
    /// # Errors
    /// [`StateError`].
    fn outbox(&self, state: Delivery, limit: usize) -> Result<Vec<OutboxRow>, StateError>;

    /// Writes down that a run has begun.
    ///
    /// # Errors
    /// [`StateError`].
    fn begin_run(&self, command: &str, at: Timestamp) -> Result<RunId, StateError>;

    /// Writes down how a run ended.
    ///
    /// # Errors
    /// [`StateError`].
    fn end_run(&self, id: RunId, end: &RunEnd) -> Result<(), StateError>;

    /// The runs, the latest first, at most `limit`.
    ///
    /// # Errors
    /// [`StateError`].
    fn runs(&self, limit: usize) -> Result<Vec<PastRun>, StateError>;

    /// Compares the lake with the one remembered, forgets the objects read and what is covered of streams where they do
    /// not fit, and remembers it. Asks for the lake's version when nobody else can remember one any more: read before, it
    /// might be older than what another process has remembered meanwhile.
    ///
    /// # Errors
    /// [`StateError`], or the version's own.
    fn fit_lake(&self, id: &str, version: &dyn Fn() -> Result<i64, StateError>) -> Result<LakeFit, StateError>;
}

//! What is remembered of streams, and the port to it.

use event::Timestamp;
use serde::Serialize;

use super::port::LookupError;
use super::scope::Scope;
use super::stream::Stream;
use super::walk::Walk;
use crate::alert::as_text;
use crate::coverage::Coverage;
use crate::state::StateError;

/// Keeps what is known of streams.
///
/// Every method is one step, as with [`StateStore`](crate::state::StateStore).
pub trait StreamStore: Send + Sync {
    /// Every stream that was ever read or paused, by id.
    ///
    /// # Errors
    /// [`StateError`].
    fn streams(&self) -> Result<Vec<StreamState>, StateError>;

    /// Writes down how far streams have come, each wholly or not at all. Streams that are not known yet are added.
    ///
    /// # Errors
    /// [`StateError`].
    fn save_streams(&self, changes: &[StreamChange]) -> Result<(), StateError>;

    /// What was to be collected last.
    ///
    /// # Errors
    /// [`StateError`].
    fn scope(&self) -> Result<Scope, StateError>;

    /// Writes down what is to be collected, in the place of what was.
    ///
    /// # Errors
    /// [`StateError`].
    fn save_scope(&self, scope: &Scope) -> Result<(), StateError>;

    /// Pauses a stream, known or not, or lets it go on. Returns whether that changed anything.
    ///
    /// # Errors
    /// [`StateError`].
    fn pause_stream(&self, stream: &Stream, pause: Option<&Pause>) -> Result<bool, StateError>;
}

/// What is remembered of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamState {
    /// Which one.
    pub stream: Stream,
    /// When it was first asked for: events before are backfill.
    pub since: Option<Timestamp>,
    /// What was read completely and is committed.
    pub coverage: Coverage,
    /// Walks that have not come to their end, in the order they were begun.
    pub walks: Vec<Walk>,
    /// How it goes.
    pub health: Health,
    /// That somebody paused it.
    pub pause: Option<Pause>,
}

impl StreamState {
    /// A stream nothing is known of.
    #[must_use]
    pub fn new(stream: Stream) -> StreamState {
        StreamState {
            stream,
            since: None,
            coverage: Coverage::default(),
            walks: Vec::new(),
            health: Health::default(),
            pause: None,
        }
    }
}

/// How far a stream has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamChange {
    /// Which one.
    pub stream: Stream,
    /// When it was first asked for; the earliest one that is written stays.
    pub since: Option<Timestamp>,
    /// What is covered in addition. Added to what the store has, never put in its place: two processes may collect.
    pub covered: Coverage,
    /// The walks that are open now, in the place of those that were.
    pub walks: Vec<Walk>,
    /// How it goes, in the place of what was.
    pub health: Health,
}

/// How a stream goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// When it was last tried.
    #[serde(serialize_with = "maybe_text")]
    pub last_run: Option<Timestamp>,
    /// When it was last read to the end.
    #[serde(serialize_with = "maybe_text")]
    pub last_success: Option<Timestamp>,
    /// The newest event it ever gave.
    #[serde(serialize_with = "maybe_text")]
    pub last_event: Option<Timestamp>,
    /// Records it gave that were new, ever.
    pub events: u64,
    /// Calls that were answered, ever.
    pub calls: u64,
    /// Why it cannot be read, since its last success.
    pub trouble: Option<Trouble>,
}

/// That a stream cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// Of what kind.
    pub kind: TroubleKind,
    /// What happened last, for people.
    pub message: String,
    /// Since when.
    #[serde(serialize_with = "as_text")]
    pub since: Timestamp,
    /// When it happened last.
    #[serde(serialize_with = "as_text")]
    pub last: Timestamp,
}

impl Trouble {
    /// The same trouble, as long as the one before it lasts: of what kind it is may change on the way. A second that was
    /// too dense kept nobody from reading the rest.
    #[must_use]
    pub fn continued(self, before: Option<&Trouble>) -> Trouble {
        let before = before.filter(|before| before.kind != TroubleKind::TooDense || self.kind == TroubleKind::TooDense);
        Trouble { since: before.map_or(self.since, |before| before.since.min(self.since)), ..self }
    }

    /// What happened and what helps, in one line.
    #[must_use]
    pub fn with_advice(&self) -> String {
        match self.kind.advice() {
            Some(advice) => format!("{}; {advice}", self.message),
            None => self.message.clone(),
        }
    }
}

/// Kinds of trouble, by what helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TroubleKind {
    /// A permission is missing.
    AccessDenied,
    /// The credentials are missing, wrong or expired.
    Credentials,
    /// Others use up the requests there are.
    Throttled,
    /// The service cannot be reached, or fails.
    Unavailable,
    /// What is to be read is not there: a bucket, a queue.
    NotFound,
    /// The service refused for another reason.
    Refused,
    /// One second holds more events than can be read before the page token expires.
    TooDense,
    /// This machine's clock and the service's differ.
    Clock,
}

impl TroubleKind {
    /// What somebody can do about it; `None` where the message says all.
    #[must_use]
    pub const fn advice(self) -> Option<&'static str> {
        Some(match self {
            TroubleKind::Refused => return None,
            TroubleKind::AccessDenied => "allow the action to the role or user that collects",
            TroubleKind::Credentials => "renew the credentials",
            TroubleKind::Throttled => "find out who else calls LookupEvents in that account and region",
            TroubleKind::Unavailable => "check the network; it is tried again by itself",
            TroubleKind::NotFound => {
                "find out whether it was renamed or deleted, and name what is there now in [[trails]]"
            }
            TroubleKind::TooDense => "ingest the trail's files of that second, if there is a trail",
            TroubleKind::Clock => "set this machine's clock",
        })
    }

    /// Every kind.
    pub const ALL: [TroubleKind; 8] = [
        TroubleKind::AccessDenied,
        TroubleKind::Credentials,
        TroubleKind::Throttled,
        TroubleKind::Unavailable,
        TroubleKind::NotFound,
        TroubleKind::Refused,
        TroubleKind::TooDense,
        TroubleKind::Clock,
    ];

    /// The name, as it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            TroubleKind::AccessDenied => "access-denied",
            TroubleKind::Credentials => "credentials",
            TroubleKind::Throttled => "throttled",
            TroubleKind::Unavailable => "unavailable",
            TroubleKind::NotFound => "not-found",
            TroubleKind::Refused => "refused",
            TroubleKind::TooDense => "too-dense",
            TroubleKind::Clock => "clock",
        }
    }

    /// The kind of an error that ended a stream's pass.
    #[must_use]
    pub fn of(error: &LookupError) -> TroubleKind {
        match error {
            LookupError::AccessDenied { .. } => TroubleKind::AccessDenied,
            LookupError::Credentials(_) => TroubleKind::Credentials,
            LookupError::Throttled => TroubleKind::Throttled,
            LookupError::Unavailable(_) => TroubleKind::Unavailable,
            LookupError::TokenExpired => TroubleKind::TooDense,
            LookupError::InvalidTimeRange(_) => TroubleKind::Clock,
            LookupError::NotFound(_) => TroubleKind::NotFound,
            LookupError::TooLarge { .. } | LookupError::Refused(_) => TroubleKind::Refused,
        }
    }
}

/// That somebody paused a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pause {
    /// When.
    #[serde(serialize_with = "as_text")]
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// Why; may be empty.
    pub reason: String,
}

pub(crate) fn maybe_text<S: serde::Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

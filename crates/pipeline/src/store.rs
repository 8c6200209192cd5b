//! The port events are kept behind.

use event::{Event, Timestamp};

/// Keeps events, each once.
///
/// `append` takes what several threads bring and may hold it in memory; nothing of it counts before `commit`.
pub trait EventStore: Send + Sync {
    /// Takes events of one item and says of each whether it is new.
    ///
    /// # Errors
    /// The store cannot take more, for example because the disk is full; nothing committed before is lost.
    fn append(&self, events: &[Event<'_>], source_object: &str, ingested_at: Timestamp)
    -> Result<Appended, StoreError>;

    /// Makes everything appended so far durable, all or nothing.
    ///
    /// # Errors
    /// Nothing appended since the last commit is stored.
    fn commit(&self) -> Result<Committed, StoreError>;
}

/// What became of appended events: `stored + duplicates + variants.len()` is their number.
#[derive(Debug, Default)]
pub struct Appended {
    /// New events.
    pub stored: u64,
    /// Events that stand in the store already, the same.
    pub duplicates: u64,
    /// Events that stand in the store with other content; the stored one stays.
    pub variants: Vec<Variant>,
}

/// What a commit did.
#[derive(Debug, Default)]
pub struct Committed {
    /// The store's version after the commit, where it has one and something was new.
    pub version: Option<i64>,
    /// Appended as new, but stored meanwhile by another process: duplicates after all.
    pub late_duplicates: u64,
    /// The same, with other content.
    pub late_variants: Vec<Variant>,
}

/// A copy of a stored event that says something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// The id both share.
    pub event_id: String,
    /// What the copy says, as JSON.
    pub record: String,
    /// The item the copy stood in.
    pub source_object: String,
}

/// A store that failed. What it says is the store's own.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct StoreError(#[from] pub Box<dyn std::error::Error + Send + Sync>);

/// The time, so that tests can choose it.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

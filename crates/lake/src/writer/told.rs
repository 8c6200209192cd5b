//! What a writer tells of what it was given.

use deltalake_core::kernel::Version;
use event::Day;

/// Another record under the id of an event that is stored already. The stored one stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// The id both have.
    pub event_id: String,
    /// The day both are in.
    pub day: Day,
    /// The hash of the record that was not stored.
    pub content_hash: u64,
    /// The record that was not stored, as JSON.
    pub record: String,
    /// Where it was read from.
    pub source_object: String,
}

/// What became of appended events: each is counted once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Appended {
    /// New ones, durable with the next commit.
    pub stored: u64,
    /// Ones the lake or this writer had already.
    pub duplicates: u64,
    /// Ones that say something else than the stored event of their id.
    pub variants: Vec<Variant>,
}

/// What a commit made durable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// The version that holds it, `None` if there was nothing new.
    pub version: Option<Version>,
    /// Rows added.
    pub rows: u64,
    /// Files added.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
    /// Rows that were counted as stored when they were appended, but that another writer committed first.
    pub late_duplicates: u64,
    /// The same, where the other writer's record says something else.
    pub late_variants: Vec<Variant>,
}

//! The ports: where objects lie, and where a verification keeps what it found so far.

use std::io::{self, Read};

use event::Timestamp;

use crate::lane::LaneState;
use crate::layout::Lane;
use crate::report::Record;

/// Why something could not be looked at. None of these says that it is sound, or that it is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// It is not there.
    #[error("it is not there")]
    NotFound,
    /// We may not.
    #[error("access denied: {0}")]
    Denied(String),
    /// It lies in an archive tier and would have to be restored first.
    #[error("it lies in an archive tier and has to be restored first ({0})")]
    Archived(String),
    /// It is larger than what is read.
    #[error("it has {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The most bytes it may have.
        limit: u64,
    },
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// A bucket, or a copy of one. Calls may block and come from several threads.
pub trait Evidence: Send + Sync {
    /// Whether what S3 keeps beside an object's bytes is there for every object. A copy may have lost it.
    fn keeps_metadata(&self) -> bool;

    /// What lies right under `prefix`, which is empty or ends with `/`.
    ///
    /// # Errors
    /// [`Trouble`]. A prefix under which nothing lies has an empty level.
    fn level(&self, prefix: &str) -> Result<Level, Trouble>;

    /// Hands every object whose key begins with `prefix` (which ends with `/`) to `each`, in any order.
    ///
    /// # Errors
    /// [`Trouble`]. A prefix under which nothing lies has no objects.
    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed)) -> Result<(), Trouble>;

    /// Opens an object. The key may be a stranger's: an adapter to a file system sees that it leads nowhere else.
    ///
    /// # Errors
    /// [`Trouble`].
    fn read(&self, key: &str, limit: u64) -> Result<Object, Trouble>;
}

/// One level of folders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Level {
    /// The names that follow the prefix up to the next `/`, sorted.
    pub folders: Vec<String>,
    /// The keys of objects that stand beside them.
    pub objects: Vec<String>,
}

/// An object, as a listing names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its size in bytes, as stored.
    pub size: u64,
}

/// An object that is being read.
pub struct Object {
    /// Its size in bytes, as stored.
    pub size: u64,
    /// What stands beside its bytes.
    pub metadata: Metadata,
    /// Its bytes, as stored.
    pub content: Box<dyn Read + Send>,
}

/// What CloudTrail writes beside a digest's bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// `signature`: the digest's own, in hexadecimal digits.
    pub signature: Option<String>,
    /// `signature-algorithm`.
    pub algorithm: Option<String>,
    /// `backfill-generation-timestamp`: when a backfill digest was signed.
    pub generated: Option<String>,
}

impl Metadata {
    /// Takes one value of an object's metadata, by its name without `x-amz-meta-`.
    pub fn take(&mut self, name: &str, value: &str) {
        let place = match name.to_ascii_lowercase().as_str() {
            "signature" => &mut self.signature,
            "signature-algorithm" => &mut self.algorithm,
            "backfill-generation-timestamp" => &mut self.generated,
            _ => return,
        };
        *place = Some(value.to_owned());
    }

    /// When a backfill digest was signed.
    #[must_use]
    pub fn generated_at(&self) -> Option<Timestamp> {
        self.generated.as_deref().and_then(Timestamp::parse)
    }
}

/// Where a verification writes what it finds, and how far it came: a run that is killed goes on from there.
pub trait Journal: Send + Sync {
    /// How far a lane came; none where it was not begun. What was written behind that is forgotten.
    ///
    /// # Errors
    /// The journal cannot be read.
    fn resume(&self, lane: &Lane) -> io::Result<Option<LaneState>>;

    /// Writes records of a lane.
    ///
    /// # Errors
    /// The journal cannot be written.
    fn write(&self, lane: &Lane, records: &[Record]) -> io::Result<()>;

    /// Whether enough was done since the last checkpoint of this lane to make another.
    fn is_due(&self, lane: &Lane) -> bool;

    /// Makes a checkpoint behind the records that were written.
    ///
    /// # Errors
    /// The journal cannot be written.
    fn checkpoint(&self, lane: &Lane, state: &LaneState) -> io::Result<()>;

    /// Hands on everything that was written of a lane, in order.
    ///
    /// # Errors
    /// The journal cannot be read.
    fn replay(&self, lane: &Lane, each: &mut dyn FnMut(Record)) -> io::Result<()>;
}

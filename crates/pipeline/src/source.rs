//! The port records come in by.

use std::fmt;
use std::io::{self, Cursor, Read};

use event::Timestamp;

use crate::alert::News;
use crate::proof::Metadata;
use crate::state::StateError;

/// What is read into memory as a whole; anything larger streams.
pub const SMALL: u64 = 32 << 20;

/// Where files, objects or messages come from, one at a time.
pub trait Source: Send {
    /// The next item; `None` at the end. What cannot even be named as an item (a folder that cannot be listed) comes as
    /// an [`Unreadable`], and the source goes on behind it.
    fn next_item(&mut self) -> Option<Result<Item, Unreadable>>;

    /// How many items and bytes are to come in all, as far as that is known: for progress only.
    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }

    /// From when on its events are news; `None` where the run says how they came to us.
    fn news(&self) -> Option<News> {
        None
    }

    /// Writes down which items were read (their receipts say so), behind every commit.
    ///
    /// # Errors
    /// The state cannot be written; the items are read again another time.
    fn settle(&mut self, at: Timestamp) -> Result<(), StateError> {
        let _ = at;
        Ok(())
    }
}

/// How much a source holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SizeHint {
    /// Files, objects or messages.
    pub items: Option<u64>,
    /// Bytes as stored (compressed).
    pub bytes: Option<u64>,
}

/// One file, object or message, not yet read.
pub struct Item {
    /// What it is called where it lies: the `source_object` of its events.
    pub name: String,
    /// Its size as stored, where known.
    pub size: Option<u64>,
    open: Box<dyn FnOnce() -> io::Result<Content> + Send>,
    receipt: Option<Receipt>,
    metadata: Option<Beside>,
}

/// What is run when all of an item was read and handed over: the next commit makes it durable. Says whether it counts as
/// read: its bytes may have been cut off on their way.
pub type Receipt = Box<dyn FnOnce() -> bool + Send>;

/// What stands beside an item's bytes, once it was opened.
pub type Beside = Box<dyn FnOnce() -> Metadata + Send>;

impl Item {
    /// An item that `open` reads when its turn comes.
    pub fn new(name: String, size: Option<u64>, open: impl FnOnce() -> io::Result<Content> + Send + 'static) -> Item {
        Item { name, size, open: Box::new(open), receipt: None, metadata: None }
    }

    /// Asks to be told when all of it was read.
    #[must_use]
    pub fn with_receipt(self, receipt: impl FnOnce() -> bool + Send + 'static) -> Item {
        Item { receipt: Some(Box::new(receipt)), ..self }
    }

    /// Brings what stands beside its bytes.
    #[must_use]
    pub fn with_metadata(self, metadata: impl FnOnce() -> Metadata + Send + 'static) -> Item {
        Item { metadata: Some(Box::new(metadata)), ..self }
    }

    /// What stands beside its bytes, to be asked for once it is open.
    pub(crate) fn take_metadata(&mut self) -> Option<Beside> {
        self.metadata.take()
    }

    /// The receipt, for whoever reads the item to its end.
    pub(crate) fn take_receipt(&mut self) -> Option<Receipt> {
        self.receipt.take()
    }

    /// Opens the item.
    ///
    /// # Errors
    /// The operating system's reason.
    pub fn open(self) -> io::Result<Content> {
        (self.open)()
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Item").field("name", &self.name).field("size", &self.size).finish_non_exhaustive()
    }
}

/// What an item holds.
pub enum Content {
    /// All of it: small enough to hold in memory (a few dozen MiB at most).
    Bytes(Vec<u8>),
    /// As it comes: large files, pipes.
    Reader(Box<dyn Read + Send>),
}

impl Content {
    /// Reads all of a small content; hands a larger one on with its start before it.
    ///
    /// A content that fails on its way is handed on to the place of the failure, so that the records before it are kept.
    pub fn of(reader: impl Read + Send + 'static, expected: Option<u64>) -> Content {
        let capacity = expected.unwrap_or_default().min(SMALL) as usize;
        // One byte more, so that the end of the file is met without growing.
        let mut start = Vec::with_capacity(capacity + 1);
        let mut reader = reader.take(SMALL + 1);
        match reader.read_to_end(&mut start) {
            Ok(_) if start.len() as u64 <= SMALL => Content::Bytes(start),
            Ok(_) => Content::Reader(Box::new(Cursor::new(start).chain(reader.into_inner()))),
            Err(error) => Content::Reader(Box::new(Cursor::new(start).chain(Failing(Some(error))))),
        }
    }
}

/// Gives an error once.
pub struct Failing(pub Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// Something that should have been read and could not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// What it is called.
    pub name: String,
    /// Why.
    pub reason: String,
}

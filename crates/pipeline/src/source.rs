//! The port records come in by.

use std::fmt;
use std::io::{self, Read};

/// Where files, objects or messages come from, one at a time.
pub trait Source: Send {
    /// The next item; `None` at the end. What cannot even be named as an item (a folder that cannot be listed) comes as
    /// an [`Unreadable`], and the source goes on behind it.
    fn next_item(&mut self) -> Option<Result<Item, Unreadable>>;

    /// How many items and bytes are to come in all, as far as that is known: for progress only.
    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
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
}

impl Item {
    /// An item that `open` reads when its turn comes.
    pub fn new(name: String, size: Option<u64>, open: impl FnOnce() -> io::Result<Content> + Send + 'static) -> Item {
        Item { name, size, open: Box::new(open) }
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

/// Something that should have been read and could not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// What it is called.
    pub name: String,
    /// Why.
    pub reason: String,
}

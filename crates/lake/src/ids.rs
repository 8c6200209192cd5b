//! Which events a day already has.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use event::{Event, EventKey};
use foldhash::fast::RandomState;

/// What the lake keeps of a record's hash: enough to tell a duplicate without reading the stored record.
///
/// Thirty-two bits, because a hash is the one column that no encoding makes smaller. It is only ever compared between
/// records of one id: of four billion pairs that differ, one would be taken for a duplicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContentHash(u32);

impl ContentHash {
    /// The hash of an event.
    pub(crate) fn of(event: &Event<'_>) -> ContentHash {
        ContentHash(event.content_hash() as u32)
    }

    /// The column's value.
    pub(crate) fn stored(self) -> i64 {
        i64::from(self.0)
    }

    /// The hash of a column's value; what no version of this program stored is no hash.
    pub(crate) fn from_stored(value: i64) -> Option<ContentHash> {
        u32::try_from(value).ok().map(ContentHash)
    }
}

/// The identities of one day's events, each with the hash of its record.
///
/// The 128 bits are kept as four words: a `u128` would be aligned to 16 bytes and cost half as much again.
#[derive(Debug, Default)]
pub(crate) struct Ids(HashMap<[u32; 4], ContentHash, RandomState>);

/// What a day knows of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing: it is new, and noted now.
    New,
    /// The same record.
    Same,
    /// The same id with another hash.
    Differs,
}

fn words(key: EventKey) -> [u32; 4] {
    let bits = key.bits();
    [(bits >> 96) as u32, (bits >> 64) as u32, (bits >> 32) as u32, bits as u32]
}

impl Ids {
    pub(crate) fn with_capacity(rows: usize) -> Ids {
        Ids(HashMap::with_capacity_and_hasher(rows, RandomState::default()))
    }

    /// Looks an event up and notes it if it is new.
    pub(crate) fn note(&mut self, key: EventKey, hash: ContentHash) -> Known {
        match self.0.entry(words(key)) {
            Entry::Vacant(place) => {
                place.insert(hash);
                Known::New
            }
            Entry::Occupied(known) if *known.get() == hash => Known::Same,
            Entry::Occupied(_) => Known::Differs,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

//! Which events a day already has.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use event::EventKey;
use foldhash::fast::RandomState;

/// The identities of one day's events, each with the hash of its record.
///
/// The 128 bits are kept as two words: a `u128` would be aligned to 16 bytes and cost a third more.
#[derive(Debug, Default)]
pub(crate) struct Ids(HashMap<[u64; 2], u64, RandomState>);

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

fn words(key: EventKey) -> [u64; 2] {
    let bits = key.bits();
    [(bits >> 64) as u64, bits as u64]
}

impl Ids {
    pub(crate) fn with_capacity(rows: usize) -> Ids {
        Ids(HashMap::with_capacity_and_hasher(rows, RandomState::default()))
    }

    /// Looks an event up and notes it if it is new.
    pub(crate) fn note(&mut self, key: EventKey, hash: u64) -> Known {
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

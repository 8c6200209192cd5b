//! Rows on their way into a file: the columns of one day's new events, in memory.
//!
//! A row's texts are [`Cell`]s that point into shared text. CloudTrail repeats itself (one session's identity stands in
//! each of its thousand events), so a text that was just seen in its column is not stored again: a small table of
//! recent texts per column finds it. That keeps four to five times as many rows in the same memory, and makes
//! sorting a matter of moving eight bytes.

use event::{Column, Event, EventKey, Timestamp};

use crate::ids::ContentHash;

/// The text columns of a row: the event's own and `source_object`.
pub(crate) const TEXTS: usize = Column::COUNT + 1;
/// Where `source_object` stands among them.
pub(crate) const SOURCE_OBJECT: usize = Column::COUNT;

/// Texts are kept in chunks of at most this size; a longer text has a chunk of its own.
const CHUNK: usize = 1 << CHUNK_BITS;
const CHUNK_BITS: u32 = 20;
const FIRST_CHUNK: usize = 16 << 10;
const MOST_CHUNKS: usize = 1 << (32 - CHUNK_BITS);
/// How many recent texts a column remembers: few while the buffer is small, because a thousand days may be open; and
/// never so many that the tables of all columns outgrow the processor's caches.
const RECENT_FEW: usize = 64;
const RECENT_MANY: usize = 512;
const MANY_ROWS: usize = 1024;

/// Where a text is, or that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Cell {
    start: u32,
    length: u32,
}

impl Cell {
    const NULL: Cell = Cell { start: u32::MAX, length: u32::MAX };
}

/// A text that was seen lately. The tag tells most other texts from it without a look at the text, which has left the
/// processor's caches by then.
#[derive(Debug, Clone, Copy)]
struct Recent {
    tag: u32,
    cell: Cell,
}

impl Recent {
    const NONE: Recent = Recent { tag: 0, cell: Cell::NULL };
}

/// The new rows of one day.
#[derive(Debug)]
pub(crate) struct Buffer {
    chunks: Vec<String>,
    cells: Vec<Vec<Cell>>,
    recent: Vec<Vec<Recent>>,
    times: Vec<i64>,
    ingested: Vec<i64>,
    hashes: Vec<ContentHash>,
    keys: Vec<EventKey>,
    flags: Vec<Flags>,
    text_bytes: usize,
}

/// The booleans of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flags {
    pub(crate) read_only: Option<bool>,
    pub(crate) mfa_authenticated: Option<bool>,
    pub(crate) id_derived: bool,
}

/// A row's bytes beside its texts: the cells, times, hash, key and flags.
const ROW: usize = TEXTS * size_of::<Cell>() + 2 * 8 + size_of::<ContentHash>() + 16 + size_of::<Flags>();

/// Columns whose texts hardly ever repeat, so that looking for repetitions is in vain: ids, and the details that hold
/// more ids.
pub(crate) const UNREPEATED: [Column; 4] =
    [Column::EventId, Column::RequestId, Column::SharedEventId, Column::AdditionalEventData];

/// Whether it is one of these.
pub(crate) fn is_unrepeated(column: usize) -> bool {
    UNREPEATED.iter().any(|&unrepeated| unrepeated as usize == column)
}

impl Buffer {
    pub(crate) fn new() -> Buffer {
        Buffer {
            chunks: Vec::new(),
            cells: vec![Vec::new(); TEXTS],
            recent: (0..TEXTS)
                .map(|column| if is_unrepeated(column) { Vec::new() } else { vec![Recent::NONE; RECENT_FEW] })
                .collect(),
            times: Vec::new(),
            ingested: Vec::new(),
            hashes: Vec::new(),
            keys: Vec::new(),
            flags: Vec::new(),
            text_bytes: 0,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.times.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// The memory the rows take, about.
    pub(crate) fn bytes(&self) -> usize {
        let recent: usize = self.recent.iter().map(|recent| recent.len() * size_of::<Recent>()).sum();
        self.text_bytes + self.rows() * ROW + recent
    }

    /// Whether no more text can be addressed.
    pub(crate) fn is_full(&self) -> bool {
        // One row adds at most one chunk per column.
        self.chunks.len() + TEXTS >= MOST_CHUNKS
    }

    pub(crate) fn push(
        &mut self,
        event: &Event<'_>,
        source_object: &str,
        ingested_at: Timestamp,
        hash: ContentHash,
        key: EventKey,
    ) {
        if self.rows() == MANY_ROWS {
            self.remember_more();
        }
        for &column in Column::ALL {
            self.push_text(column as usize, event.get(column));
        }
        self.push_text(SOURCE_OBJECT, Some(source_object));
        self.times.push(event.event_time.micros());
        self.ingested.push(ingested_at.micros());
        self.hashes.push(hash);
        self.keys.push(key);
        self.flags.push(Flags {
            read_only: event.read_only,
            mfa_authenticated: event.mfa_authenticated,
            id_derived: event.id_derived,
        });
    }

    fn push_text(&mut self, column: usize, text: Option<&str>) {
        let cell = match text {
            None => Cell::NULL,
            Some(text) if self.recent[column].is_empty() => self.store(text),
            Some(text) => self.find_or_store(column, text),
        };
        self.cells[column].push(cell);
    }

    fn find_or_store(&mut self, column: usize, text: &str) -> Cell {
        let is_same = |cell: Cell| cell.length as usize == text.len() && self.text(cell) == Some(text);
        // Most often it is what the row before said.
        if let Some(&last) = self.cells[column].last()
            && is_same(last)
        {
            return last;
        }
        let (slot, tag) = slot(text, self.recent[column].len());
        let seen = self.recent[column][slot];
        if seen.tag == tag && is_same(seen.cell) {
            return seen.cell;
        }
        let cell = self.store(text);
        self.recent[column][slot] = Recent { tag, cell };
        cell
    }

    fn store(&mut self, text: &str) -> Cell {
        let fits =
            self.chunks.last().is_some_and(|chunk| chunk.capacity() - chunk.len() >= text.len() && chunk.len() < CHUNK);
        if !fits {
            let size = self.chunks.last().map_or(FIRST_CHUNK, |chunk| (chunk.capacity() * 2).min(CHUNK));
            self.text_bytes += size.max(text.len());
            self.chunks.push(String::with_capacity(size.max(text.len())));
        }
        let place = self.chunks.len() - 1;
        let chunk = &mut self.chunks[place];
        // In bounds: `is_full` keeps the number of chunks, and a chunk takes no text beyond its size.
        let start = ((place as u32) << CHUNK_BITS) | chunk.len() as u32;
        chunk.push_str(text);
        Cell { start, length: text.len() as u32 }
    }

    /// The text of a cell.
    pub(crate) fn text(&self, cell: Cell) -> Option<&str> {
        if cell == Cell::NULL {
            return None;
        }
        let start = (cell.start & (CHUNK as u32 - 1)) as usize;
        self.chunks.get((cell.start >> CHUNK_BITS) as usize)?.get(start..start + cell.length as usize)
    }

    fn remember_more(&mut self) {
        for column in 0..TEXTS {
            if is_unrepeated(column) {
                continue;
            }
            let old = std::mem::replace(&mut self.recent[column], vec![Recent::NONE; RECENT_MANY]);
            for Recent { cell, .. } in old {
                if let Some((slot, tag)) = self.text(cell).map(|text| slot(text, RECENT_MANY)) {
                    self.recent[column][slot] = Recent { tag, cell };
                }
            }
        }
    }

    /// The text of a row in one of the [`TEXTS`].
    pub(crate) fn get(&self, column: usize, row: u32) -> Option<&str> {
        self.text(self.cells[column][row as usize])
    }

    /// The length of a row's text, without a look at the text.
    pub(crate) fn length(&self, column: usize, row: u32) -> usize {
        match self.cells[column][row as usize] {
            Cell::NULL => 0,
            cell => cell.length as usize,
        }
    }

    pub(crate) fn cell(&self, column: usize, row: u32) -> Cell {
        self.cells[column][row as usize]
    }

    pub(crate) fn time(&self, row: u32) -> i64 {
        self.times[row as usize]
    }

    pub(crate) fn ingested(&self, row: u32) -> i64 {
        self.ingested[row as usize]
    }

    pub(crate) fn hash(&self, row: u32) -> ContentHash {
        self.hashes[row as usize]
    }

    pub(crate) fn key(&self, row: u32) -> EventKey {
        self.keys[row as usize]
    }

    pub(crate) fn flags(&self, row: u32) -> Flags {
        self.flags[row as usize]
    }

    /// The row of a key.
    pub(crate) fn find(&self, key: EventKey) -> Option<u32> {
        self.keys.iter().position(|&other| other == key).map(|row| row as u32)
    }

    /// A row as the event it was.
    pub(crate) fn event(&self, row: u32) -> Event<'_> {
        // The time was an event's, so it is in bounds.
        let time = Timestamp::from_micros(self.time(row)).unwrap_or(Timestamp::MIN);
        let mut event = Event::new(time);
        let flags = self.flags(row);
        event.read_only = flags.read_only;
        event.mfa_authenticated = flags.mfa_authenticated;
        event.id_derived = flags.id_derived;
        for &column in Column::ALL {
            event.set(column, self.get(column as usize, row).map(std::borrow::Cow::Borrowed));
        }
        event
    }
}

/// The place of a text in a table of recent texts, and its tag. A few words of it are enough: a wrong guess only costs
/// memory.
fn slot(text: &str, slots: usize) -> (usize, u32) {
    let bytes = text.as_bytes();
    let mut mixed = bytes.len() as u64;
    let mut mix = |word: u64| mixed = (mixed ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    if bytes.len() <= 8 {
        mix(bytes.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)));
    } else {
        // The ends, and sixteen words spread between them: texts of one shape differ in a field in the middle.
        let step = ((bytes.len() - 8) / 16).max(8);
        for chunk in bytes.chunks(step) {
            if let Some(word) = chunk.first_chunk::<8>() {
                mix(u64::from_le_bytes(*word));
            }
        }
        if let Some(word) = bytes.last_chunk::<8>() {
            mix(u64::from_le_bytes(*word));
        }
    }
    debug_assert!(slots.is_power_of_two(), "a mask finds the place");
    ((mixed >> 32) as usize & (slots - 1), mixed as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::borrow::Cow;

    fn event(texts: &[Option<String>]) -> Event<'_> {
        let mut event = Event::new(Timestamp::from_seconds(1_700_000_000).expect("in bounds"));
        for (&column, text) in Column::ALL.iter().zip(texts.iter().cycle()) {
            event.set(column, text.as_deref().map(Cow::Borrowed));
        }
        event
    }

    proptest! {
        /// What was pushed comes back, through repetitions, chunk boundaries and texts longer than a chunk.
        #[test]
        fn texts_come_back(rows in proptest::collection::vec(proptest::collection::vec(proptest::option::of("\\PC{0,40}"), 1..5), 1..60)) {
            let mut buffer = Buffer::new();
            for texts in &rows {
                let event = event(texts);
                buffer.push(&event, "a.json.gz", event.event_time, ContentHash::of(&event), event.key());
            }
            for (row, texts) in rows.iter().enumerate() {
                let (expected, found) = (event(texts), buffer.event(row as u32));
                for &column in Column::ALL {
                    prop_assert_eq!(found.get(column), expected.get(column));
                }
                prop_assert_eq!(buffer.get(SOURCE_OBJECT, row as u32), Some("a.json.gz"));
            }
        }
    }

    #[test]
    fn a_long_text_and_many_rows_come_back() {
        let mut buffer = Buffer::new();
        let long = "x".repeat(3 * CHUNK);
        for row in 0..5000 {
            let texts = [Some(format!("row {row}")), Some("the same".into()), (row % 1000 == 0).then(|| long.clone())];
            let event = event(&texts);
            buffer.push(&event, "b", event.event_time, ContentHash::of(&event), event.key());
        }
        assert_eq!(buffer.get(Column::EventId as usize, 4321), Some("row 4321"));
        assert_eq!(buffer.get(Column::EventName as usize, 4999), Some("the same"));
        assert_eq!(buffer.get(2, 3000).map(str::len), Some(long.len()));
        assert_eq!(buffer.get(2, 3001), None);
    }
}

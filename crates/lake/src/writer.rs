//! Appending events: dedupe, staging, and the commit that makes them durable.
//!
//! [`Writer::append`] notes each event's id in its day and puts new ones into the day's buffer. A full buffer is
//! sorted, encoded and written by the thread that filled it, outside of every lock; the file is *staged*: durable, but
//! no part of the table. [`Writer::commit`] adds all staged files in one entry of the log.
//!
//! Locks are taken in this order: `committing`, a day, `shared`. None is held while a buffer is encoded.

mod options;
mod others;
mod told;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use deltalake_core::kernel::Version;
use event::{Day, Event, EventKey, Timestamp, same_record};

use crate::buffer::Buffer;
use crate::encode::{Encoded, encode};
use crate::failpoint::failpoint;
use crate::ids::{ContentHash, Ids, Known};
use crate::reader::{each_id, find_events};
use crate::stats::LoggedStats;
use crate::storage::{Storage, now_millis};
use crate::table::{Added, DataFile, Table};
use crate::{Lake, LakeError};

pub use self::options::WriterOptions;
pub use self::told::{Appended, Committed, Variant};

/// Events handled under one hold of a day's lock.
const STEP: usize = 2048;

/// Appends events to a lake. Share it between threads by reference.
///
/// If a call fails, the events it had taken stay with the writer and go out with the next commit that succeeds.
/// Events that were appended and never committed are not in the lake; dropping the writer removes their files.
#[derive(Debug)]
pub struct Writer {
    pub(crate) lake: Lake,
    pub(crate) options: WriterOptions,
    days: Mutex<HashMap<Day, Arc<DaySlot>>>,
    pub(crate) shared: Mutex<Shared>,
    pub(crate) committing: Mutex<()>,
    buffered: AtomicUsize,
    known: AtomicUsize,
    clock: AtomicU64,
    /// Set while it is unknown whether an entry landed: the staged files may be part of the table.
    pub(crate) uncertain: AtomicBool,
}

/// What all days share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) table: Table,
    pub(crate) staged: Vec<Staged>,
    /// Files with new rows that other writers added, kept until every day and staged file has been compared with them.
    pub(crate) foreign: Vec<Added>,
    /// Files of ours that turned out to be committed although the commit was reported as failed.
    pub(crate) landed: Vec<Arc<DataFile>>,
    /// For each buffer that is being encoded, the version its rows were compared with.
    encoding: Vec<Version>,
}

/// A file that is written but not committed.
#[derive(Debug, Clone)]
pub(crate) struct Staged {
    pub(crate) file: Arc<DataFile>,
    /// The version of the table in which none of the rows exists.
    pub(crate) checked: Version,
}

#[derive(Debug)]
pub(crate) struct DaySlot {
    state: Mutex<OpenDay>,
    /// Signalled when a buffer has been encoded.
    idle: Condvar,
    bytes: AtomicUsize,
    ids: AtomicUsize,
    used: AtomicU64,
}

#[derive(Debug)]
struct OpenDay {
    ids: Option<Ids>,
    /// The version of the table whose ids are all in `ids`.
    version: Version,
    buffer: Buffer,
    /// Buffers that could not be written, kept for the next try.
    stuck: Vec<Taken>,
    encoding: usize,
}

/// A buffer on its way into a file.
#[derive(Debug)]
struct Taken {
    buffer: Buffer,
    checked: Version,
}

/// A lock whose holder never leaves it half-changed on purpose; a panic elsewhere must not take the lake along.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Writer {
    pub(crate) fn new(lake: Lake, table: Table, options: WriterOptions) -> Writer {
        Writer {
            lake,
            options,
            days: Mutex::default(),
            shared: Mutex::new(Shared {
                table,
                staged: Vec::new(),
                foreign: Vec::new(),
                landed: Vec::new(),
                encoding: Vec::new(),
            }),
            committing: Mutex::default(),
            buffered: AtomicUsize::new(0),
            known: AtomicUsize::new(0),
            clock: AtomicU64::new(0),
            uncertain: AtomicBool::new(false),
        }
    }

    pub(crate) fn storage(&self) -> &Storage {
        self.lake.storage()
    }

    /// Takes events in. They are durable after the next [`Writer::commit`].
    ///
    /// `source_object` names the file or object they were read from, `ingested_at` is the time to note.
    ///
    /// # Errors
    ///
    /// If the lake cannot be read, or a full buffer cannot be written.
    pub fn append(
        &self,
        events: &[Event<'_>],
        source_object: &str,
        ingested_at: Timestamp,
    ) -> Result<Appended, LakeError> {
        let mut rows: Vec<Row<'_>> = events
            .iter()
            .map(|event| Row { event, day: event.day(), key: event.key(), hash: ContentHash::of(event) })
            .collect();
        // Stable: of two records with one id the first stays.
        rows.sort_by_key(|row| row.day);
        let mut appended = Appended::default();
        let origin = Origin { source_object, ingested_at };
        for rows in rows.chunk_by(|left, right| left.day == right.day) {
            for rows in rows.chunks(STEP) {
                self.append_to_day(rows, origin, &mut appended)?;
            }
        }
        self.keep_within_memory()?;
        Ok(appended)
    }

    fn slot(&self, day: Day) -> Arc<DaySlot> {
        let new = || {
            Arc::new(DaySlot {
                state: Mutex::new(OpenDay {
                    ids: None,
                    version: 0,
                    buffer: Buffer::new(),
                    stuck: Vec::new(),
                    encoding: 0,
                }),
                idle: Condvar::new(),
                bytes: AtomicUsize::new(0),
                ids: AtomicUsize::new(0),
                used: AtomicU64::new(0),
            })
        };
        Arc::clone(lock(&self.days).entry(day).or_insert_with(new))
    }

    fn append_to_day(&self, rows: &[Row<'_>], origin: Origin<'_>, appended: &mut Appended) -> Result<(), LakeError> {
        let Some(day) = rows.first().map(|row| row.day) else { return Ok(()) };
        let slot = self.slot(day);
        let mut open = lock(&slot.state);
        slot.used.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        self.load_ids(day, &mut open)?;
        let OpenDay { ids: Some(ids), buffer, .. } = &mut *open else { return Ok(()) };
        let mut suspects = Vec::new();
        for row in rows {
            match ids.note(row.key, row.hash) {
                Known::New => {
                    buffer.push(row.event, origin.source_object, origin.ingested_at, row.hash, row.key);
                    appended.stored += 1;
                }
                Known::Same => appended.duplicates += 1,
                Known::Differs => suspects.push(row),
            }
        }
        if !suspects.is_empty() {
            open = self.judge(&slot, open, &suspects, origin, appended)?;
        }
        let full = open.buffer.rows() >= self.options.file_rows
            || open.buffer.bytes() >= self.options.file_bytes
            || open.buffer.is_full();
        let taken = full.then(|| self.take(&mut open));
        self.account(&slot, &open);
        drop(open);
        match taken {
            Some(taken) => self.stage(day, &slot, taken),
            None => Ok(()),
        }
    }

    /// Tells a duplicate from a variant where the hashes differ: a nested object's keys may stand in another order.
    fn judge<'s>(
        &self,
        slot: &'s DaySlot,
        mut open: MutexGuard<'s, OpenDay>,
        suspects: &[&Row<'_>],
        origin: Origin<'_>,
        appended: &mut Appended,
    ) -> Result<MutexGuard<'s, OpenDay>, LakeError> {
        // A row in a buffer that is being encoded can be read again once its file is staged.
        while open.encoding > 0 {
            open = slot.idle.wait(open).unwrap_or_else(PoisonError::into_inner);
        }
        let mut stored: HashMap<EventKey, String> = HashMap::new();
        let mut elsewhere: HashSet<EventKey> = HashSet::new();
        for row in suspects {
            let mut buffers = std::iter::once(&open.buffer).chain(open.stuck.iter().map(|taken| &taken.buffer));
            match buffers.find_map(|buffer| buffer.find(row.key).map(|found| buffer.event(found).to_json())) {
                Some(record) => drop(stored.insert(row.key, record)),
                None => drop(elsewhere.insert(row.key)),
            }
        }
        if let (false, Some(first)) = (elsewhere.is_empty(), suspects.first()) {
            let files = self.files_of(first.day)?;
            let found = find_events(self.storage(), &files, &elsewhere)?;
            stored.extend(found.into_iter().map(|(key, event)| (key, event.to_json())));
        }
        for row in suspects {
            let record = row.event.to_json();
            if stored.get(&row.key).is_some_and(|stored| same_record(stored, &record)) {
                appended.duplicates += 1;
                continue;
            }
            appended.variants.push(Variant {
                event_id: row.event.id().to_owned(),
                day: row.day,
                content_hash: row.event.content_hash(),
                record,
                source_object: origin.source_object.to_owned(),
            });
        }
        Ok(open)
    }

    /// The files that hold a day's rows: the table's, and ours that are not committed.
    fn files_of(&self, day: Day) -> Result<Vec<Arc<DataFile>>, LakeError> {
        let mut shared = lock(&self.shared);
        shared.refresh()?;
        Ok(shared.files_of(day))
    }

    fn load_ids(&self, day: Day, open: &mut OpenDay) -> Result<(), LakeError> {
        if open.ids.is_some() {
            return Ok(());
        }
        let (files, version) = {
            let mut shared = lock(&self.shared);
            shared.refresh()?;
            (shared.files_of(day), shared.table.version())
        };
        let rows: u64 = files.iter().map(|file| file.rows()).sum();
        let mut ids = Ids::with_capacity(usize::try_from(rows).unwrap_or(0));
        for file in &files {
            each_id(self.storage(), file, |key, hash| _ = ids.note(key, hash))?;
        }
        open.ids = Some(ids);
        open.version = version;
        Ok(())
    }

    /// Brings the sums over all days up to date with one of them.
    fn account(&self, slot: &DaySlot, open: &OpenDay) {
        let change = |slot: &AtomicUsize, sum: &AtomicUsize, now: usize| {
            let before = slot.swap(now, Ordering::Relaxed);
            // Wrapping: a sum never falls below one of its parts.
            sum.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
        };
        let stuck: usize = open.stuck.iter().map(|taken| taken.buffer.bytes()).sum();
        change(&slot.bytes, &self.buffered, stuck + if open.buffer.is_empty() { 0 } else { open.buffer.bytes() });
        change(&slot.ids, &self.known, open.ids.as_ref().map_or(0, Ids::len));
    }

    /// Takes a day's buffer for encoding.
    fn take(&self, open: &mut OpenDay) -> Taken {
        open.encoding += 1;
        lock(&self.shared).encoding.push(open.version);
        Taken { buffer: std::mem::replace(&mut open.buffer, Buffer::new()), checked: open.version }
    }

    /// Writes a taken buffer to a file and stages it; called without any lock.
    fn stage(&self, day: Day, slot: &DaySlot, taken: Taken) -> Result<(), LakeError> {
        let written = self.write_buffer(day, &taken.buffer);
        let checked = taken.checked;
        let mut open = lock(&slot.state);
        let mut shared = lock(&self.shared);
        open.encoding -= 1;
        if let Some(place) = shared.encoding.iter().position(|&version| version == checked) {
            shared.encoding.swap_remove(place);
        }
        let result = match written {
            Ok(file) => {
                shared.staged.push(Staged { file: Arc::new(file), checked });
                Ok(())
            }
            Err(error) => {
                open.stuck.push(taken);
                Err(error)
            }
        };
        drop(shared);
        self.account(slot, &open);
        slot.idle.notify_all();
        result
    }

    /// Writes everything a day holds in memory, and goes on as long as others append to it.
    fn flush(&self, day: Day, slot: &DaySlot) -> Result<(), LakeError> {
        while self.flush_one(day, slot)? {}
        Ok(())
    }

    /// Writes one buffer of a day; `false` if there was none. What others append meanwhile is left to grow.
    fn flush_one(&self, day: Day, slot: &DaySlot) -> Result<bool, LakeError> {
        let mut open = lock(&slot.state);
        let taken = match open.stuck.pop() {
            Some(taken) => {
                open.encoding += 1;
                lock(&self.shared).encoding.push(taken.checked);
                taken
            }
            None if open.buffer.is_empty() => return Ok(false),
            None => self.take(&mut open),
        };
        self.account(slot, &open);
        drop(open);
        self.stage(day, slot, taken)?;
        Ok(true)
    }

    /// Encodes a buffer and writes it durably.
    fn write_buffer(&self, day: Day, buffer: &Buffer) -> Result<DataFile, LakeError> {
        let path = self.options.codec.new_path(day);
        let encoded = encode(buffer, self.options.row_group_rows, self.options.codec)
            .map_err(|source| LakeError::parquet(self.storage().full(&path), source))?;
        failpoint!("lake::stage::before-put");
        self.put(path, day, encoded)
    }

    /// Writes an encoded file durably.
    pub(crate) fn put(&self, path: String, day: Day, encoded: Encoded) -> Result<DataFile, LakeError> {
        let size = encoded.bytes.len() as u64;
        self.storage().put(&path, encoded.bytes)?;
        failpoint!("lake::stage::after-put");
        let stats = LoggedStats::new(Some(encoded.stats.to_json()));
        Ok(DataFile { path, day, size, stats, modified_millis: now_millis() })
    }

    fn slots(&self) -> Vec<(Day, Arc<DaySlot>)> {
        let mut slots: Vec<_> = lock(&self.days).iter().map(|(&day, slot)| (day, Arc::clone(slot))).collect();
        slots.sort_by_key(|(day, _)| *day);
        slots
    }

    fn keep_within_memory(&self) -> Result<(), LakeError> {
        while self.buffered.load(Ordering::Relaxed) > self.options.buffered_bytes {
            let slots = self.slots();
            let largest = slots.iter().max_by_key(|(_, slot)| slot.bytes.load(Ordering::Relaxed));
            let Some((day, slot)) = largest.filter(|(_, slot)| slot.bytes.load(Ordering::Relaxed) > 0) else { break };
            self.flush_one(*day, slot)?;
        }
        if self.known.load(Ordering::Relaxed) <= self.options.known_ids {
            return Ok(());
        }
        let mut slots = self.slots();
        slots.sort_by_key(|(_, slot)| slot.used.load(Ordering::Relaxed));
        // The day used last stays, however large it is.
        slots.pop();
        for (day, slot) in slots {
            if self.known.load(Ordering::Relaxed) <= self.options.known_ids {
                break;
            }
            self.flush_one(day, &slot)?;
            let mut open = lock(&slot.state);
            // Rows that are nowhere to be read yet are known by these ids alone.
            if open.encoding == 0 && open.buffer.is_empty() && open.stuck.is_empty() {
                open.ids = None;
                self.account(&slot, &open);
            }
        }
        Ok(())
    }

    /// Writes what every day holds in memory, on all cores.
    pub(crate) fn flush_all(&self) -> Result<(), LakeError> {
        let slots: Vec<_> =
            self.slots().into_iter().filter(|(_, slot)| slot.bytes.load(Ordering::Relaxed) > 0).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            let mut result = Ok(());
            while let Some((day, slot)) = slots.get(next.fetch_add(1, Ordering::Relaxed)) {
                result = result.and(self.flush(*day, slot));
            }
            result
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(slots.len());
        if threads <= 1 {
            return work();
        }
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let mut result = Ok(());
            for worker in workers {
                // A panic of a worker is a defect; it goes on here.
                result = result.and(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            result
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if *self.uncertain.get_mut() {
            return;
        }
        let shared = self.shared.get_mut().unwrap_or_else(PoisonError::into_inner);
        for staged in shared.staged.drain(..) {
            // Best effort: vacuum takes what is left.
            let _ = self.lake.storage().delete(&staged.file.path);
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Row<'a> {
    event: &'a Event<'a>,
    day: Day,
    key: EventKey,
    hash: ContentHash,
}

#[derive(Debug, Clone, Copy)]
struct Origin<'a> {
    source_object: &'a str,
    ingested_at: Timestamp,
}

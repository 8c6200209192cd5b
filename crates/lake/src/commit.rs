//! The commit protocol: one entry of the log for everything staged, and no row twice however many writers there are.
//!
//! An entry is written only if every staged file has been compared with all files that other writers added to its day
//! since its rows were checked. Where another writer stored the same event first, our file is written again without
//! it. The lock file is held across the last check and the entry alone; it saves writers of one machine the lost
//! races. The protocol is right without it, because an entry of the log can be written only once.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use deltalake_core::protocol::{DeltaOperation, SaveMode};
use event::{Day, EventKey, same_record};
use uuid::Uuid;

use crate::LakeError;
use crate::buffer::Buffer;
use crate::compact::{CompactReport, tier};
use crate::encode::encode;
use crate::failpoint::failpoint;
use crate::files::TableLock;
use crate::ids::ContentHash;
use crate::reader::{FileReader, each_id, find_events};
use crate::schema::FILE;
use crate::table::{Added, Attempt, DataFile};
use crate::writer::{Committed, Staged, Variant, Writer, lock};

/// How often a commit is tried. Losing this often takes a dozen writers that commit without a pause.
pub(crate) const ATTEMPTS: u32 = 40;
/// After this many lost races the lock is held while files are compared and rewritten, so that nobody gets between.
const POLITE_ATTEMPTS: u32 = 3;

impl Writer {
    /// Makes everything that was appended before this call durable, in one entry of the log.
    ///
    /// # Errors
    ///
    /// If files cannot be written or the log cannot be read or written. Nothing is lost then: the next call tries
    /// again. [`LakeError::Contended`] says that other writers won every race.
    pub fn commit(&self) -> Result<Committed, LakeError> {
        let _one_at_a_time = lock(&self.committing);
        self.flush_all()?;
        let mut committed = Committed::default();
        let mut days = BTreeSet::new();
        for attempt in 0..ATTEMPTS {
            let held = if attempt < POLITE_ATTEMPTS { None } else { self.storage().lock()? };
            self.meet_others()?;
            self.resolve(&mut committed)?;
            if self.try_commit(held, &mut committed, &mut days)? {
                self.forget_foreign();
                if !days.is_empty() {
                    self.after_commit(&committed, &days);
                }
                return Ok(committed);
            }
            std::thread::sleep(jitter(attempt));
        }
        Err(LakeError::Contended { table: self.storage().name(), attempts: ATTEMPTS })
    }

    /// Writes the entry, unless files have to be compared first or somebody else was quicker.
    fn try_commit(
        &self,
        held: Option<TableLock>,
        committed: &mut Committed,
        days: &mut BTreeSet<Day>,
    ) -> Result<bool, LakeError> {
        let staged = lock(&self.shared).staged.clone();
        for staged in &staged {
            self.check_present(staged)?;
        }
        failpoint!("lake::commit::before-lock");
        let _held = match held {
            Some(held) => Some(held),
            None if staged.is_empty() => None,
            None => self.storage().lock()?,
        };
        let mut shared = lock(&self.shared);
        shared.refresh()?;
        for file in std::mem::take(&mut shared.landed) {
            committed.version = Some(shared.table.version());
            count(committed, &file);
            days.insert(file.day);
        }
        // What other threads staged in the meantime goes along if it can, or waits for the next commit.
        let (ready, waiting): (Vec<Staged>, Vec<Staged>) =
            shared.staged.iter().cloned().partition(|staged| shared.unmet(staged).is_empty());
        let is_ours = |staged: &Staged| ready.iter().any(|ready| ready.file.path == staged.file.path);
        let landed = |staged: &Staged| !shared.staged.iter().any(|other| other.file.path == staged.file.path);
        if !staged.iter().all(|staged| is_ours(staged) || landed(staged)) {
            return Ok(false);
        }
        if ready.is_empty() {
            return Ok(true);
        }
        let actions = ready.iter().map(|staged| staged.file.add(true)).collect();
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: Some(vec!["event_date".into()]),
            predicate: None,
        };
        self.uncertain.store(true, Ordering::Relaxed);
        match shared.table.commit(actions, operation)? {
            // It stays uncertain until the log was read again: a store that tries again by itself what was not answered
            // reports an entry of ours as somebody else's.
            Attempt::Lost => Ok(false),
            Attempt::Committed(version) => {
                self.uncertain.store(false, Ordering::Relaxed);
                shared.staged = waiting;
                committed.version = Some(version);
                for staged in &ready {
                    count(committed, &staged.file);
                    days.insert(staged.file.day);
                }
                Ok(true)
            }
        }
    }

    /// A vacuum with too short a retention may have taken a file that waited for its commit.
    fn check_present(&self, staged: &Staged) -> Result<(), LakeError> {
        let file = &staged.file;
        match self.storage().size(&file.path)? {
            Some(size) if size == file.size => Ok(()),
            Some(size) => {
                let reason = format!("{size} bytes were found where {} were written", file.size);
                Err(LakeError::damaged(self.storage().full(&file.path), reason))
            }
            // It may be that it landed and was compacted and vacuumed since: then it is no longer staged after a refresh.
            None => {
                let mut shared = lock(&self.shared);
                shared.refresh()?;
                if !shared.staged.iter().any(|other| other.file.path == file.path) {
                    return Ok(());
                }
                // Its rows are gone, and the next attempt must not stumble over it.
                shared.staged.retain(|other| other.file.path != file.path);
                Err(LakeError::Vanished { file: self.storage().full(&file.path) })
            }
        }
    }

    /// Compares staged files with what others added since, and rewrites those that overlap.
    fn resolve(&self, committed: &mut Committed) -> Result<(), LakeError> {
        let (version, unmet) = {
            let shared = lock(&self.shared);
            let unmet: Vec<(Staged, Vec<Added>)> = shared
                .staged
                .iter()
                .map(|staged| (staged.clone(), shared.unmet(staged)))
                .filter(|(_, foreign)| !foreign.is_empty())
                .collect();
            (shared.table.version(), unmet)
        };
        let mut ids = ForeignIds::default();
        for (staged, foreign) in unmet {
            let overlap = self.overlap(&staged, &foreign, &mut ids)?;
            let replacement = if overlap.is_empty() {
                Some(Arc::clone(&staged.file))
            } else {
                self.judge_overlap(&staged, &foreign, &overlap, committed)?;
                self.without(&staged.file, &overlap)?.map(Arc::new)
            };
            let mut shared = lock(&self.shared);
            shared.staged.retain(|other| other.file.path != staged.file.path);
            if let Some(file) = replacement {
                shared.staged.push(Staged { file, checked: version });
            }
            drop(shared);
            if !overlap.is_empty() {
                self.storage().delete(&staged.file.path)?;
            }
        }
        Ok(())
    }

    /// The events of a staged file that others stored, each with whether its hash is the same.
    fn overlap(
        &self,
        staged: &Staged,
        foreign: &[Added],
        ids: &mut ForeignIds,
    ) -> Result<HashMap<EventKey, bool>, LakeError> {
        let mut theirs = Vec::with_capacity(foreign.len());
        for added in foreign {
            theirs.push(ids.of(self, &added.file)?);
        }
        let mut overlap = HashMap::new();
        each_id(self.storage(), &staged.file, |key, hash| {
            if let Some(their_hash) = theirs.iter().find_map(|ids| ids.get(&key)) {
                overlap.insert(key, *their_hash == hash);
            }
        })?;
        Ok(overlap)
    }

    /// Counts each overlapping event as a late duplicate or a late variant.
    fn judge_overlap(
        &self,
        staged: &Staged,
        foreign: &[Added],
        overlap: &HashMap<EventKey, bool>,
        committed: &mut Committed,
    ) -> Result<(), LakeError> {
        let differing: HashSet<EventKey> = overlap.iter().filter(|(_, same)| !**same).map(|(&key, _)| key).collect();
        committed.late_duplicates += (overlap.len() - differing.len()) as u64;
        if differing.is_empty() {
            return Ok(());
        }
        let files: Vec<Arc<DataFile>> = foreign.iter().map(|added| Arc::clone(&added.file)).collect();
        let theirs = find_events(self.storage(), &files, &differing)?;
        let reader = FileReader::open(self.storage(), &staged.file)?;
        for batch in reader.read(FILE.iter().copied())? {
            let batch = batch?;
            for (row, ours) in batch.events().enumerate() {
                let key = ours.key();
                if !differing.contains(&key) {
                    continue;
                }
                let record = ours.to_json();
                if theirs.get(&key).is_some_and(|theirs| same_record(&theirs.to_json(), &record)) {
                    committed.late_duplicates += 1;
                    continue;
                }
                committed.late_variants.push(Variant {
                    event_id: ours.id().to_owned(),
                    day: staged.file.day,
                    content_hash: ours.content_hash(),
                    record,
                    source_object: batch.source_object(row).unwrap_or_default().to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Writes a staged file again without some of its rows. `None` if none is left.
    fn without(&self, file: &Arc<DataFile>, rows: &HashMap<EventKey, bool>) -> Result<Option<DataFile>, LakeError> {
        let mut buffer = Buffer::new();
        for batch in FileReader::open(self.storage(), file)?.read(FILE.iter().copied())? {
            let batch = batch?;
            for (row, event) in batch.events().enumerate() {
                let key = event.key();
                if rows.contains_key(&key) {
                    continue;
                }
                let source = batch.source_object(row).unwrap_or_default();
                let ingested = batch.ingested_at(row).unwrap_or(event.event_time);
                buffer.push(&event, source, ingested, batch.hash(row).unwrap_or_else(|| ContentHash::of(&event)), key);
            }
        }
        if buffer.is_empty() {
            return Ok(None);
        }
        let path = self.options.codec.new_path(file.day);
        let encoded = encode(&buffer, self.options.row_group_rows, self.options.codec)
            .map_err(|source| LakeError::parquet(self.storage().full(&path), source))?;
        failpoint!("lake::rewrite::before-put");
        let written = self.put(path, file.day, encoded)?;
        failpoint!("lake::rewrite::after-put");
        Ok(Some(written))
    }

    /// What is good to do now and then. The commit stands whatever comes of it, so failures are only told to the log.
    fn after_commit(&self, committed: &Committed, days: &BTreeSet<Day>) {
        if self.options.compacts
            && let Err(error) = self.compact_days(days)
        {
            tracing::warn!(%error, "the lake's small files were not merged");
        }
        if committed.version.is_some_and(|version| version % self.options.checkpoint_every.max(1) == 0) {
            let table = lock(&self.shared).table.clone();
            if let Err(error) = table.checkpoint() {
                tracing::warn!(%error, "the lake's log was not checkpointed");
            }
        }
    }

    /// Merges files of the days that a commit added to, where many of one size have come together. At most two merges
    /// a commit, so that none takes long.
    fn compact_days(&self, days: &BTreeSet<Day>) -> Result<(), LakeError> {
        let mut left = 2;
        for &day in days {
            let files = lock(&self.shared).table.files_of(day);
            if let Some(files) = tier(&files).filter(|_| left > 0) {
                self.lake.merge(day, &files, &mut CompactReport::default())?;
                left -= 1;
            }
        }
        Ok(())
    }
}

fn count(committed: &mut Committed, file: &DataFile) {
    committed.rows += file.rows();
    committed.files += 1;
    committed.bytes += file.size;
}

/// A pause that grows with the attempts and differs between writers.
pub(crate) fn jitter(attempt: u32) -> Duration {
    let random = u64::from(u16::from_le_bytes([Uuid::new_v4().as_bytes()[0], Uuid::new_v4().as_bytes()[1]]));
    let ceiling = 4u64 << attempt.min(6);
    Duration::from_millis(random % ceiling)
}

/// The ids of files that others added, read once for all staged files of a day.
#[derive(Debug, Default)]
struct ForeignIds(HashMap<String, Arc<HashMap<EventKey, ContentHash>>>);

impl ForeignIds {
    fn of(&mut self, writer: &Writer, file: &Arc<DataFile>) -> Result<Arc<HashMap<EventKey, ContentHash>>, LakeError> {
        if let Some(ids) = self.0.get(&file.path) {
            return Ok(Arc::clone(ids));
        }
        let mut ids = HashMap::new();
        each_id(writer.storage(), file, |key, hash| _ = ids.insert(key, hash))?;
        let ids = Arc::new(ids);
        self.0.insert(file.path.clone(), Arc::clone(&ids));
        Ok(ids)
    }
}

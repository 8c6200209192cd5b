//! Many small files of a day into few sorted ones.
//!
//! A merge reads files of one day, writes one file with their rows and replaces them in one entry of the log. Rows are
//! only rearranged, so writers that compare ids need not look at the result. If another writer took one of the files
//! away in the meantime, the merge is given up and its file deleted.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use deltalake_core::kernel::Version;
use deltalake_core::protocol::DeltaOperation;
use event::{Column, Day};

use crate::commit::{ATTEMPTS, jitter};
use crate::encode::{Effort, ROW_GROUP, write_file};
use crate::failpoint::failpoint;
use crate::merge::Merge;
use crate::schema::{BOUNDED, TableColumn};
use crate::stats::{FileStats, LoggedStats};
use crate::storage::now_millis;
use crate::table::{Attempt, DataFile};
use crate::{Codec, Lake, LakeError};

/// What a compaction aims at.
#[derive(Debug, Clone)]
pub struct CompactOptions {
    /// Rows of a file that is made; a file with at least half of them is left alone.
    pub file_rows: u64,
    /// The first day to look at.
    pub from: Option<Day>,
    /// The last day to look at.
    pub to: Option<Day>,
}

impl Default for CompactOptions {
    fn default() -> CompactOptions {
        CompactOptions { file_rows: 512 << 10, from: None, to: None }
    }
}

/// What a compaction did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompactReport {
    /// The last version it wrote, `None` if there was nothing to do.
    pub version: Option<Version>,
    /// Days with files that were merged.
    pub days: u64,
    /// Files that were replaced.
    pub files_before: u64,
    /// Files that replace them.
    pub files_after: u64,
    /// Bytes of the replaced files. They stay on disk until a vacuum.
    pub bytes_before: u64,
    /// Bytes of the new files.
    pub bytes_after: u64,
    /// Rows in the new files.
    pub rows: u64,
    /// Rows left out because their event stood in another row; 0 unless something else wrote to the table.
    pub duplicates: u64,
}

/// How many files of about one size are merged while events stream in.
const FAN_IN: usize = 8;
/// The most rows a merge makes while events stream in; what is larger is left for a compaction by hand.
const STREAM_ROWS: u64 = 256 << 10;

/// Files a compaction by hand would merge, group by group.
pub(crate) fn groups(files: &[Arc<DataFile>], file_rows: u64) -> Vec<Vec<Arc<DataFile>>> {
    let mut small: Vec<Arc<DataFile>> =
        files.iter().filter(|file| file.rows() < file_rows.div_ceil(2)).cloned().collect();
    small.sort_by_key(|file| (file.rows(), file.path.clone()));
    let mut groups: Vec<Vec<Arc<DataFile>>> = Vec::new();
    let mut rows = 0;
    for file in small {
        match groups.last_mut() {
            Some(group) if rows + file.rows() <= file_rows => group.push(Arc::clone(&file)),
            _ => {
                groups.push(vec![Arc::clone(&file)]);
                rows = 0;
            }
        }
        rows += file.rows();
    }
    groups.retain(|group| group.len() > 1);
    groups
}

/// The files to merge while events stream in: [`FAN_IN`] or more whose sizes differ by less than a factor of eight.
///
/// So each row is merged about once for each factor of eight that the day grows, however many commits there are.
pub(crate) fn tier(files: &[Arc<DataFile>]) -> Option<Vec<Arc<DataFile>>> {
    let tier_of = |file: &DataFile| (file.rows() / 64 + 1).ilog2() / 3;
    let mut tiers: Vec<Vec<Arc<DataFile>>> = Vec::new();
    for file in files.iter().filter(|file| file.rows() < STREAM_ROWS / 2) {
        let tier = tier_of(file) as usize;
        if tiers.len() <= tier {
            tiers.resize(tier + 1, Vec::new());
        }
        tiers[tier].push(Arc::clone(file));
    }
    let mut merged = tiers.into_iter().find(|files| files.len() >= FAN_IN)?;
    let mut rows = 0;
    merged.retain(|file| {
        rows += file.rows();
        rows <= STREAM_ROWS
    });
    (merged.len() > 1).then_some(merged)
}

impl Lake {
    /// Merges small files, day by day. Readers and writers may go on meanwhile; doing it again changes nothing.
    ///
    /// # Errors
    ///
    /// If files or the log cannot be read or written. What was merged before stays merged.
    pub fn compact(&self, options: &CompactOptions) -> Result<CompactReport, LakeError> {
        let mut report = CompactReport::default();
        let table = self.table()?;
        let within = |day: Day| options.from.is_none_or(|from| from <= day) && options.to.is_none_or(|to| day <= to);
        for (day, _) in table.days().filter(|(day, _)| within(*day)) {
            let before = report.files_before;
            for group in groups(&table.files_of(day), options.file_rows) {
                self.merge(day, &group, &mut report)?;
            }
            report.days += u64::from(report.files_before > before);
        }
        Ok(report)
    }

    /// Merges files of one day into one, unless another writer is at them.
    pub(crate) fn merge(&self, day: Day, files: &[Arc<DataFile>], report: &mut CompactReport) -> Result<(), LakeError> {
        let written = match self.write_merged(day, files) {
            // Another writer merged them first, and they were vacuumed: there is nothing left to do.
            Err(_) if !self.all_active(files)? => return Ok(()),
            written => written?,
        };
        let rows_before: u64 = files.iter().map(|file| file.rows()).sum();
        let duplicates = rows_before.saturating_sub(written.rows());
        let Some(version) = self.replace(files, &written, duplicates > 0)? else {
            return self.storage().delete(&written.path);
        };
        report.version = Some(version);
        report.files_before += files.len() as u64;
        report.files_after += 1;
        report.bytes_before += files.iter().map(|file| file.size).sum::<u64>();
        report.bytes_after += written.size;
        report.rows += written.rows();
        report.duplicates += duplicates;
        Ok(())
    }

    fn all_active(&self, files: &[Arc<DataFile>]) -> Result<bool, LakeError> {
        let table = self.table()?;
        Ok(files.iter().all(|file| table.contains(&file.path)))
    }

    fn write_merged(&self, day: Day, files: &[Arc<DataFile>]) -> Result<DataFile, LakeError> {
        let codec = files.first().map_or(Codec::default(), |file| Codec::of_path(&file.path));
        let path = codec.new_path(day);
        let merge = Merge::open(self.storage(), files)?;
        let picks = merge.places()?.in_file_order(day);
        let groups: Vec<_> = picks.chunks(ROW_GROUP).collect();
        let mut stats = FileStats { rows: picks.len() as u64, ..FileStats::default() };
        let bytes = write_file(Effort::Thorough, codec, groups.len(), |group, column| {
            let arrays = merge.column(column, groups[group])?;
            arrays.iter().for_each(|array| observe(&mut stats, column, array.as_ref()));
            Ok(arrays)
        })
        .map_err(|source| LakeError::parquet(self.storage().full(&path), source))?;
        let size = bytes.len() as u64;
        failpoint!("lake::compact::before-put");
        self.storage().put(&path, bytes)?;
        failpoint!("lake::compact::after-put");
        let stats = LoggedStats::new(Some(stats.to_json()));
        Ok(DataFile { path, day, size, stats, modified_millis: now_millis() })
    }

    /// Puts one file in the place of others. `None` if one of them is no longer part of the table.
    fn replace(&self, old: &[Arc<DataFile>], new: &DataFile, data_change: bool) -> Result<Option<Version>, LakeError> {
        for attempt in 0..ATTEMPTS {
            let held = self.storage().lock()?;
            let mut table = self.table()?;
            // Reported as lost and ours all the same: a store tries again by itself what was not answered.
            if table.contains(&new.path) {
                return Ok(Some(table.version()));
            }
            if !old.iter().all(|file| table.contains(&file.path)) {
                return Ok(None);
            }
            let mut actions = vec![new.add(data_change)];
            actions.extend(old.iter().map(|file| file.remove(data_change)));
            failpoint!("lake::compact::before-commit");
            let target_size = i64::try_from(new.size).unwrap_or(i64::MAX);
            match table.commit(actions, DeltaOperation::Optimize { predicate: None, target_size })? {
                Attempt::Committed(version) => {
                    failpoint!("lake::compact::after-commit");
                    return Ok(Some(version));
                }
                Attempt::Lost => drop(held),
            }
            std::thread::sleep(jitter(attempt));
        }
        Err(LakeError::Contended { table: self.storage().name(), attempts: ATTEMPTS })
    }
}

/// Takes a column's values into the statistics.
fn observe(stats: &mut FileStats, column: TableColumn, array: &dyn arrow_array::Array) {
    match column {
        TableColumn::EventTime => {
            let times = array.as_primitive::<arrow_array::types::TimestampMicrosecondType>();
            times.values().iter().for_each(|&micros| stats.widen_time(micros));
        }
        TableColumn::Text(text) => {
            if let Some(place) = BOUNDED.iter().position(|&bounded: &Column| bounded == text) {
                array.as_string::<i32>().iter().for_each(|text| stats.widen(place, text));
            }
        }
        _ => {}
    }
}

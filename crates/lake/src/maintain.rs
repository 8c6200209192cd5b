//! The state of the lake, and taking away what is old: whole days, and files that nobody needs any more.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use deltalake_core::kernel::Version;
use deltalake_core::protocol::DeltaOperation;
use event::{Day, Timestamp};
use futures::TryStreamExt;
use serde_json::{Value, json};

use crate::commit::{ATTEMPTS, jitter};
use crate::compact::{CompactOptions, groups};
use crate::failpoint::failpoint;
use crate::files::is_temporary;
use crate::storage::{Found, Storage, now, now_millis, wait};
use crate::table::{Attempt, Table, load_delta};
use crate::{Lake, LakeError};

/// How long files that were replaced stay where nobody says otherwise: no reader takes so long.
pub const RETENTION: Duration = Duration::from_secs(24 * 3600);
/// How long after a vacuum the next one is due.
const VACUUM_EVERY: Duration = Duration::from_secs(24 * 3600);

/// What the lake holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The table's id.
    pub id: String,
    /// The newest version.
    pub version: Version,
    /// Files that are the table.
    pub files: u64,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many days there are.
    pub days: u64,
    /// The first day.
    pub first_day: Option<Day>,
    /// The last day.
    pub last_day: Option<Day>,
    /// Files that a compaction would merge.
    pub small_files: u64,
    /// Days in which it would.
    pub uncompacted_days: u64,
    /// Data files on disk that are no longer (or not yet) part of the table.
    pub unused_files: u64,
    /// Their bytes, and those of files that a killed writer left half-written.
    pub unused_bytes: u64,
    /// The last vacuum; `None` if there was none, and in a bucket, where it is not written down.
    pub last_vacuum: Option<LastVacuum>,
}

/// When a vacuum last came to its end, and what it deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastVacuum {
    /// When.
    pub at: Timestamp,
    /// How many files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What an expiry took out of the table. The files stay on disk until a vacuum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExpireReport {
    /// The version that no longer has them, `None` if nothing was old enough.
    pub version: Option<Version>,
    /// Days taken out.
    pub days: u64,
    /// Files taken out.
    pub files: u64,
    /// Rows taken out.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What a vacuum deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VacuumReport {
    /// Data files that were replaced, expired or never committed.
    pub files: u64,
    /// Half-written files of killed writers.
    pub temporary: u64,
    /// The bytes of all of them.
    pub bytes: u64,
    /// Unused files that are younger than the retention.
    pub kept: u64,
}

/// A file on disk that the table does not need.
#[derive(Debug)]
struct Leftover {
    bytes: u64,
    modified: SystemTime,
    temporary: bool,
    /// Relative to the table, as the log names files.
    name: String,
}

impl Lake {
    /// Looks at the newest version and at the folder.
    ///
    /// # Errors
    ///
    /// If the log or the folder cannot be read.
    pub fn status(&self) -> Result<Status, LakeError> {
        let table = self.table()?;
        let file_rows = CompactOptions::default().file_rows;
        let mut status = Status {
            id: table.id().to_owned(),
            version: table.version(),
            files: 0,
            rows: 0,
            bytes: 0,
            days: 0,
            first_day: table.days().next().map(|(day, _)| day),
            last_day: table.days().next_back().map(|(day, _)| day),
            small_files: 0,
            uncompacted_days: 0,
            unused_files: 0,
            unused_bytes: 0,
            last_vacuum: last_vacuum(self.storage()),
        };
        for file in table.files() {
            status.files += 1;
            status.rows += file.rows();
            status.bytes += file.size;
        }
        for (day, _) in table.days() {
            let small: usize = groups(&table.files_of(day), file_rows).iter().map(Vec::len).sum();
            status.days += 1;
            status.small_files += small as u64;
            status.uncompacted_days += u64::from(small > 0);
        }
        for leftover in leftovers(self.storage(), &table)? {
            status.unused_files += u64::from(!leftover.temporary);
            status.unused_bytes += leftover.bytes;
        }
        Ok(status)
    }

    /// Takes every day before `before` out of the table, in one entry of the log.
    ///
    /// A writer that is open meanwhile may know the expired events still and count them as duplicates until it is
    /// opened again.
    ///
    /// # Errors
    ///
    /// If the log cannot be read or written.
    pub fn expire(&self, before: Day) -> Result<ExpireReport, LakeError> {
        for attempt in 0..ATTEMPTS {
            let held = self.storage().lock()?;
            let mut table = self.table()?;
            let mut report = ExpireReport::default();
            let mut actions = Vec::new();
            for (day, _) in table.days().filter(|(day, _)| *day < before) {
                report.days += 1;
                for file in table.files_of(day) {
                    report.files += 1;
                    report.rows += file.rows();
                    report.bytes += file.size;
                    actions.push(file.remove(true));
                }
            }
            if actions.is_empty() {
                return Ok(report);
            }
            failpoint!("lake::expire::before-commit");
            let predicate = Some(format!("event_date < '{before}'"));
            if let Attempt::Committed(version) = table.commit(actions, DeltaOperation::Delete { predicate })? {
                failpoint!("lake::expire::after-commit");
                report.version = Some(version);
                return Ok(report);
            }
            drop(held);
            std::thread::sleep(jitter(attempt));
        }
        Err(LakeError::Contended { table: self.storage().name(), attempts: ATTEMPTS })
    }

    /// Deletes files that have not been part of the table for longer than `retention`: replaced and expired ones, ones
    /// that were never committed, and what killed writers left half-written.
    ///
    /// The log remembers for seven days when a file was replaced; a longer retention is no longer kept exactly. A
    /// reader that began earlier than `retention` ago may find its files gone.
    ///
    /// # Errors
    ///
    /// [`LakeError::ZeroRetention`], and if the log or the folder cannot be read or a file cannot be deleted.
    pub fn vacuum(&self, retention: Duration) -> Result<VacuumReport, LakeError> {
        if retention.is_zero() {
            return Err(LakeError::ZeroRetention);
        }
        // No commit may take up a file between the look at the log and its deletion.
        let _held = self.storage().lock()?;
        let table = self.table()?;
        let replaced = replaced_at(self.storage())?;
        let now = now();
        let mut report = VacuumReport::default();
        failpoint!("lake::vacuum::before-delete");
        for leftover in leftovers(self.storage(), &table)? {
            let unused_since =
                replaced.get(&leftover.name).copied().map_or(leftover.modified, |at| at.max(leftover.modified));
            // A file from the future, by a clock that was set back, is as young as can be.
            if now.duration_since(unused_since).unwrap_or(Duration::ZERO) < retention {
                report.kept += 1;
                continue;
            }
            self.storage().sweep(&leftover.name)?;
            failpoint!("lake::vacuum::between-deletes");
            report.bytes += leftover.bytes;
            if leftover.temporary {
                report.temporary += 1;
            } else {
                report.files += 1;
            }
        }
        failpoint!("lake::vacuum::after-delete");
        let note = json!({ "at": now_millis(), "files": report.files + report.temporary, "bytes": report.bytes });
        self.storage().note_vacuum(&note.to_string())?;
        Ok(report)
    }

    /// Does a vacuum with [`RETENTION`], unless there was one within the last day; `None` if so.
    ///
    /// # Errors
    ///
    /// As [`Lake::vacuum`].
    pub fn vacuum_daily(&self) -> Result<Option<VacuumReport>, LakeError> {
        let day = i64::try_from(VACUUM_EVERY.as_micros()).unwrap_or(i64::MAX);
        // One from the future, by a clock that was set back, puts nothing off.
        let is_recent = |last: LastVacuum| (0..day).contains(&(now_millis() * 1_000 - last.at.micros()));
        if last_vacuum(self.storage()).is_some_and(is_recent) {
            return Ok(None);
        }
        self.vacuum(RETENTION).map(Some)
    }
}

/// The last vacuum, as far as it is written down. A note that cannot be read costs a vacuum that was not due.
fn last_vacuum(storage: &Storage) -> Option<LastVacuum> {
    let note: Value = serde_json::from_str(&storage.vacuum_note()?).ok()?;
    let at = Timestamp::from_micros(note["at"].as_i64()?.checked_mul(1_000)?)?;
    Some(LastVacuum { at, files: note["files"].as_u64()?, bytes: note["bytes"].as_u64()? })
}

/// When files were taken out of the table, as far as the log remembers.
fn replaced_at(storage: &Storage) -> Result<HashMap<String, SystemTime>, LakeError> {
    let delta = load_delta(storage)?;
    let failed = |source| LakeError::log(storage.name(), source);
    let state = delta.snapshot().map_err(failed)?;
    // The library looks for the runtime when the stream is made.
    let tombstones = async { state.all_tombstones(storage.log().as_ref()).try_collect::<Vec<_>>().await };
    let tombstones = wait(tombstones).map_err(failed)?;
    let at = |millis: i64| SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    Ok(tombstones
        .iter()
        .filter_map(|tombstone| Some((tombstone.path().into_owned(), at(tombstone.deletion_timestamp()?))))
        .collect())
}

/// The files that the table does not need: data files it does not name, and half-written ones.
fn leftovers(storage: &Storage, table: &Table) -> Result<Vec<Leftover>, LakeError> {
    let mut leftovers = Vec::new();
    for Found { name, bytes, modified } in storage.found()? {
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", &name));
        let temporary = is_temporary(file);
        let unused = folder != "_delta_log" && file.ends_with(".parquet") && !table.contains(&name);
        if temporary || unused {
            leftovers.push(Leftover { bytes, modified, temporary, name });
        }
    }
    Ok(leftovers)
}

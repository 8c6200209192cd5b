//! What a run did, in counts that add up.

use std::collections::BTreeMap;

use detect::Severity;
use event::Timestamp;
use serde::Serialize;

use crate::history::{RecordCounts, SeverityCounts};
use crate::proof::ProofCounts;
use crate::state::Recorded;

/// Something that could not be read, or not to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file or object. A stranger's text: escape it for where it is shown.
    pub name: String,
    /// What is wrong with it. May quote a stranger's text.
    pub reason: String,
}

/// The counts of a run.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Files, objects or messages read.
    pub items: u64,
    /// Those of them that held no record.
    pub empty: u64,
    /// Those of them that are damaged; the records before the damage count.
    pub damaged: u64,
    /// Files, objects or folders that could not be read at all.
    pub unreadable: u64,
    /// Bytes as stored.
    pub bytes: u64,
    /// Bytes inflated.
    pub inflated: u64,
    /// Records read: the sum of the six counts below it, duplicates found late being counted as duplicates.
    pub read: u64,
    /// Records that are new in the store.
    pub stored: u64,
    /// Records that stood in the store already.
    pub duplicates: u64,
    /// Records whose id stands in the store with other content.
    pub variants: u64,
    /// Records left out, by filter.
    pub filtered: BTreeMap<&'static str, u64>,
    /// Records that are no events.
    pub rejected: u64,
    /// Insight records, left for their own command.
    pub insights: u64,
    /// Digest documents, left for their own command; they hold no records.
    pub digests: u64,
    /// Alerts.
    pub alerts: AlertCounts,
    /// Problems told.
    pub problems: u64,
    /// The store's version after the run, where something was stored.
    pub version: Option<i64>,
    /// Whether the run was ended early.
    pub interrupted: bool,
    /// What is known of all log files after the run, where it proved what it read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proofs: Option<ProofCounts>,
    /// Log files of this run, read or named, that are not what CloudTrail wrote.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed_objects: u64,
    /// The newest event that was read and lies in no future.
    #[serde(skip)]
    pub newest: Option<Timestamp>,
    #[serde(skip)]
    pub(crate) late_duplicates: u64,
    #[serde(skip)]
    pub(crate) late_variants: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Alerts of a run.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct AlertCounts {
    /// New ones that want attention.
    pub new: SeverityCounts,
    /// New ones that a suppression silences.
    pub suppressed: u64,
    /// Found again: they stood in the ledger before.
    pub known: u64,
}

impl AlertCounts {
    /// How many new alerts of this severity and above want attention.
    #[must_use]
    pub fn at_least(&self, least: Severity) -> u64 {
        self.new.iter().filter(|(severity, _)| *severity >= least).map(|(_, count)| count).sum()
    }

    /// Adds all of the other's numbers.
    pub(crate) fn merge(&mut self, other: &AlertCounts) {
        self.new.merge(&other.new);
        self.suppressed += other.suppressed;
        self.known += other.known;
    }

    /// Counts alerts of which the ledger says which are new.
    pub(crate) fn add(&mut self, given: usize, recorded: &Recorded) {
        self.new.merge(&recorded.alerts);
        self.suppressed += recorded.suppressed;
        self.known += given.saturating_sub(recorded.new.len()) as u64;
    }
}

impl Report {
    /// Records left out by all filters.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.filtered.values().sum()
    }

    /// Whether some input was rejected: exit code 3.
    #[must_use]
    pub fn has_rejections(&self) -> bool {
        self.rejected > 0 || self.unread() > 0
    }

    /// Files and folders of which not everything was read.
    #[must_use]
    pub fn unread(&self) -> u64 {
        self.damaged + self.unreadable
    }

    /// The counts as the run history keeps them.
    #[must_use]
    pub fn records(&self) -> RecordCounts {
        RecordCounts {
            read: self.read,
            stored: self.stored,
            duplicate: self.duplicates,
            variant: self.variants,
            filtered: self.left_out(),
            rejected: self.rejected,
            insight: self.insights,
        }
    }

    /// Adds the counts of one item.
    pub(crate) fn add(&mut self, other: &Report) {
        self.items += other.items;
        self.empty += other.empty;
        self.damaged += other.damaged;
        self.unreadable += other.unreadable;
        self.bytes += other.bytes;
        self.inflated += other.inflated;
        self.read += other.read;
        self.stored += other.stored;
        self.duplicates += other.duplicates;
        self.variants += other.variants;
        for (reason, count) in &other.filtered {
            *self.filtered.entry(reason).or_default() += count;
        }
        self.rejected += other.rejected;
        self.insights += other.insights;
        self.digests += other.digests;
        self.problems += other.problems;
        self.newest = self.newest.max(other.newest);
    }

    /// Records of the six fates, as far as they are known yet.
    pub(crate) fn fates(&self) -> u64 {
        self.stored + self.duplicates + self.variants + self.left_out() + self.rejected + self.insights
    }

    /// Takes what commits found late into account, and checks that every record read has exactly one fate.
    pub(crate) fn reconcile(&mut self) -> Result<(), String> {
        let late = std::mem::take(&mut self.late_duplicates);
        let late_variants = std::mem::take(&mut self.late_variants);
        self.stored = self
            .stored
            .checked_sub(late + late_variants)
            .ok_or_else(|| format!("{} stored, but {late} of them found to be duplicates late", self.stored))?;
        self.duplicates += late;
        self.variants += late_variants;
        let fates = self.fates();
        if fates == self.read {
            return Ok(());
        }
        Err(format!(
            "read {} but stored {} + duplicate {} + variant {} + filtered {} + rejected {} + insight {} = {fates}",
            self.read,
            self.stored,
            self.duplicates,
            self.variants,
            self.left_out(),
            self.rejected,
            self.insights,
        ))
    }
}

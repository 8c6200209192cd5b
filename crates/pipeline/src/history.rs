//! The history of runs: what each one read, kept and found.

use std::fmt;

use detect::Severity;
use event::Timestamp;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::alert::as_text;

/// The number of a run, as the ledger counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub i64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many records a run read and what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RecordCounts {
    /// Records read.
    pub read: u64,
    /// Records stored as new events.
    pub stored: u64,
    /// Records that were stored already, with the same content.
    pub duplicate: u64,
    /// Records whose event was stored already with other content.
    pub variant: u64,
    /// Records that a filter kept out of the store.
    pub filtered: u64,
    /// Records that could not be taken, kept aside with the reason.
    pub rejected: u64,
    /// Insight records, left for their own command.
    pub insight: u64,
}

impl RecordCounts {
    /// Whether every record read is accounted for.
    #[must_use]
    pub fn reconcile(&self) -> bool {
        self.read == self.stored + self.duplicate + self.variant + self.filtered + self.rejected + self.insight
    }
}

/// A number for each severity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeverityCounts([u64; SEVERITIES.len()]);

/// Every severity, the most serious first.
pub const SEVERITIES: [Severity; 5] =
    [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Informational];

impl SeverityCounts {
    /// The number for a severity.
    #[must_use]
    pub fn get(&self, severity: Severity) -> u64 {
        self.0[place(severity)]
    }

    /// Adds to the number for a severity.
    pub fn add(&mut self, severity: Severity, more: u64) {
        self.0[place(severity)] += more;
    }

    /// Adds all of the other's numbers.
    pub fn merge(&mut self, other: &SeverityCounts) {
        for severity in SEVERITIES {
            self.add(severity, other.get(severity));
        }
    }

    /// The sum.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Every severity with its number, the most serious first.
    pub fn iter(&self) -> impl Iterator<Item = (Severity, u64)> + '_ {
        SEVERITIES.into_iter().map(|severity| (severity, self.get(severity)))
    }
}

fn place(severity: Severity) -> usize {
    match severity {
        Severity::Critical => 0,
        Severity::High => 1,
        Severity::Medium => 2,
        Severity::Low => 3,
        Severity::Informational => 4,
    }
}

impl FromIterator<Severity> for SeverityCounts {
    fn from_iter<I: IntoIterator<Item = Severity>>(severities: I) -> SeverityCounts {
        let mut counts = SeverityCounts::default();
        severities.into_iter().for_each(|severity| counts.add(severity, 1));
        counts
    }
}

impl Serialize for SeverityCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(SEVERITIES.len()))?;
        for (severity, count) in self.iter() {
            map.serialize_entry(&severity, &count)?;
        }
        map.end()
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunEnd {
    /// When.
    #[serde(serialize_with = "as_text")]
    pub at: Timestamp,
    /// The exit code of the program.
    pub exit_code: i32,
    /// What became of the records.
    pub records: RecordCounts,
    /// Files and folders that are damaged or could not be read.
    pub unread: u64,
    /// The alerts that were new, suppressed ones left out.
    pub alerts: SeverityCounts,
    /// The alerts that were new and suppressed.
    pub suppressed: u64,
    /// Why it could not go on to its end, if it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A run in the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PastRun {
    /// Its number.
    pub id: RunId,
    /// The command, such as `ingest`.
    pub command: String,
    /// When it began.
    #[serde(serialize_with = "as_text")]
    pub started: Timestamp,
    /// How it ended; without one it is running, or was cut off.
    pub end: Option<RunEnd>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_kept_apart_and_written_the_most_serious_first() {
        let mut counts = [Severity::Low, Severity::Critical, Severity::Low].into_iter().collect::<SeverityCounts>();
        counts.merge(&SeverityCounts::from_iter([Severity::High]));
        assert_eq!(counts.total(), 4);
        assert_eq!(counts.get(Severity::Low), 2);
        let json = serde_json::to_string(&counts).expect("a map of numbers");
        assert_eq!(json, r#"{"critical":1,"high":1,"medium":0,"low":2,"informational":0}"#);
    }

    #[test]
    fn a_record_that_is_not_accounted_for_shows() {
        let counts =
            RecordCounts { read: 21, stored: 1, duplicate: 2, variant: 3, filtered: 4, rejected: 5, insight: 6 };
        assert!(counts.reconcile());
        assert!(!RecordCounts { read: 22, ..counts }.reconcile());
    }
}

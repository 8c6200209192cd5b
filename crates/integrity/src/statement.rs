//! The statement: for each account, region and hour what the digests list, what stands in the bucket, and what was
//! ingested of it; and where there is no trail, whether the event history was read completely.

use std::collections::BTreeMap;

use event::Timestamp;
use serde::{Deserialize, Serialize};

use crate::report::{Hour, Status, hour_of};

/// What can be said of an hour, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Its digests are sound, every log file they name is what CloudTrail wrote, and every one was ingested.
    Attested,
    /// There is no trail of it, but the event history was read completely.
    Collected,
    /// Its digests are still to come.
    NotDue,
    /// All is what CloudTrail wrote, but not all of it was ingested.
    NotIngested,
    /// No digest was made of it, and the event history was not read completely either.
    Unproven,
    /// It could not be judged.
    Unjudged,
    /// Something was changed, is missing, or was put among the logs.
    Wrong,
}

impl Verdict {
    /// Every verdict, the best first.
    pub const ALL: [Verdict; 7] = [
        Verdict::Attested,
        Verdict::Collected,
        Verdict::NotDue,
        Verdict::NotIngested,
        Verdict::Unproven,
        Verdict::Unjudged,
        Verdict::Wrong,
    ];

    /// Its name in every output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Attested => "attested",
            Verdict::Collected => "collected",
            Verdict::NotDue => "not_due",
            Verdict::NotIngested => "not_ingested",
            Verdict::Unproven => "unproven",
            Verdict::Unjudged => "unjudged",
            Verdict::Wrong => "wrong",
        }
    }

    /// What an hour comes to.
    #[must_use]
    pub fn of(status: Status, named: Named, is_covered: bool) -> Verdict {
        match status {
            Status::Tampered | Status::Missing | Status::Injected => Verdict::Wrong,
            Status::Unjudged => Verdict::Unjudged,
            Status::NotDue => Verdict::NotDue,
            Status::Unsigned if is_covered => Verdict::Collected,
            Status::Unsigned => Verdict::Unproven,
            Status::Verified if named.ingested == named.files => Verdict::Attested,
            Status::Verified => Verdict::NotIngested,
        }
    }
}

/// The log files that digests name in an hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// How many there are.
    pub files: u64,
    /// How many of them were ingested.
    pub ingested: u64,
    /// The records that are stored from them.
    pub records: u64,
}

/// The log files that the digests of an account in a region name, by the hour they were delivered in.
#[derive(Debug, Clone, Default)]
pub struct NamedByHour(BTreeMap<Timestamp, Named>);

impl NamedByHour {
    /// Counts one: when it was delivered, and how many records are stored from it if it was ingested.
    pub fn add(&mut self, delivered: Timestamp, ingested: Option<u64>) {
        let named = self.0.entry(hour_of(delivered)).or_default();
        named.files += 1;
        if let Some(records) = ingested {
            named.ingested += 1;
            named.records += records;
        }
    }

    /// Those of an hour.
    #[must_use]
    pub fn of(&self, hour: Timestamp) -> Named {
        self.0.get(&hour).copied().unwrap_or_default()
    }
}

/// A line of the statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// The first second of the hour.
    pub hour: Timestamp,
    /// What it comes to.
    pub verdict: Verdict,
    /// What the digests and the bucket say.
    pub status: Status,
    /// Digests of the hour that are sound.
    pub digests: u64,
    /// Log files that stand in the bucket.
    pub listed: u64,
    /// Log files that digests name.
    pub named: Named,
    /// Whether the event history of the hour was read completely.
    pub is_covered: bool,
}

impl Line {
    /// The names of a line's fields in CSV.
    pub const COLUMNS: [&str; 11] = [
        "account", "region", "hour", "verdict", "trail", "digests", "named", "listed", "ingested", "records", "covered",
    ];

    /// The line of an hour.
    #[must_use]
    pub fn of(account: &str, region: &str, hour: &Hour, named: Named, is_covered: bool) -> Line {
        Line {
            account: account.to_owned(),
            region: region.to_owned(),
            hour: hour.start,
            verdict: Verdict::of(hour.status, named, is_covered),
            status: hour.status,
            digests: hour.counts.digests.verified,
            listed: hour.counts.listed_logs,
            named,
            is_covered,
        }
    }

    /// Its fields as text, in the order of [`Line::COLUMNS`].
    #[must_use]
    pub fn fields(&self) -> [String; 11] {
        [
            self.account.clone(),
            self.region.clone(),
            self.hour.to_string(),
            self.verdict.as_str().to_owned(),
            self.status.as_str().to_owned(),
            self.digests.to_string(),
            self.named.files.to_string(),
            self.listed.to_string(),
            self.named.ingested.to_string(),
            self.named.records.to_string(),
            self.is_covered.to_string(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Named = Named { files: 2, ingested: 2, records: 9 };

    #[test]
    fn an_hour_is_attested_where_all_three_sides_agree() {
        let some = Named { ingested: 1, ..ALL };
        assert_eq!(Verdict::of(Status::Verified, ALL, false), Verdict::Attested);
        assert_eq!(Verdict::of(Status::Verified, Named::default(), false), Verdict::Attested, "nothing happened");
        assert_eq!(Verdict::of(Status::Verified, some, true), Verdict::NotIngested);
        for status in [Status::Tampered, Status::Missing, Status::Injected] {
            assert_eq!(Verdict::of(status, ALL, true), Verdict::Wrong);
        }
        assert_eq!(Verdict::of(Status::Unjudged, ALL, true), Verdict::Unjudged);
        assert_eq!(Verdict::of(Status::NotDue, ALL, true), Verdict::NotDue);
        // The event history says nothing of a changed file, but stands in where there is no trail.
        assert_eq!(Verdict::of(Status::Unsigned, Named::default(), true), Verdict::Collected);
        assert_eq!(Verdict::of(Status::Unsigned, Named::default(), false), Verdict::Unproven);
    }

    #[test]
    fn files_count_for_the_hour_they_were_delivered_in() {
        let time = |text: &str| Timestamp::parse(text).unwrap();
        let mut named = NamedByHour::default();
        named.add(time("2026-01-15T10:00:00Z"), Some(4));
        named.add(time("2026-01-15T10:59:59Z"), None);
        named.add(time("2026-01-15T11:00:00Z"), Some(0));
        assert_eq!(named.of(time("2026-01-15T10:00:00Z")), Named { files: 2, ingested: 1, records: 4 });
        assert_eq!(named.of(time("2026-01-15T11:00:00Z")), Named { files: 1, ingested: 1, records: 0 });
        assert_eq!(named.of(time("2026-01-15T12:00:00Z")), Named::default());
    }
}

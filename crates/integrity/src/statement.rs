//! The statement: for each account, region and hour what the digests list, what stands in the bucket, and what was
//! ingested of it; and where there is no trail, whether the event history was read completely.

use std::collections::BTreeMap;
use std::ops::AddAssign;

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

impl AddAssign for Named {
    fn add_assign(&mut self, other: Named) {
        self.files += other.files;
        self.ingested += other.ingested;
        self.records += other.records;
    }
}

/// The log files that the digests of an account in a region name, by the hour they were delivered in.
#[derive(Debug, Clone, Default)]
pub struct NamedByHour(BTreeMap<Timestamp, ByProof>);

#[derive(Debug, Clone, Copy, Default)]
struct ByProof {
    /// Those that digests name which CloudTrail signed.
    proven: Named,
    others: Named,
}

impl NamedByHour {
    /// Counts one: when it was delivered, how many records are stored from it if it was ingested, and whether CloudTrail
    /// signed the digest that names it.
    pub fn add(&mut self, delivered: Timestamp, ingested: Option<u64>, is_proven: bool) {
        let ByProof { proven, others } = self.0.entry(hour_of(delivered)).or_default();
        let records = ingested.unwrap_or_default();
        *(if is_proven { proven } else { others }) += Named { files: 1, ingested: ingested.is_some().into(), records };
    }

    /// Those of an hour. Where its digests are sound, what others say of it is nobody's word.
    #[must_use]
    pub fn of(&self, hour: &Hour) -> Named {
        let ByProof { proven: mut named, others } = self.0.get(&hour.start).copied().unwrap_or_default();
        if hour.status != Status::Verified {
            named += others;
        }
        named
    }
}

/// A line of the statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The folder that the account's folder stands in, as CloudTrail wrote it: two trails may tell of one account. Empty
    /// where there is no trail.
    pub folder: String,
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
    pub const COLUMNS: [&str; 12] = [
        "account", "region", "hour", "verdict", "trail", "digests", "named", "listed", "ingested", "records",
        "covered", "folder",
    ];

    /// The line of an hour.
    #[must_use]
    pub fn of(folder: &str, (account, region): (&str, &str), hour: &Hour, named: Named, is_covered: bool) -> Line {
        Line {
            folder: folder.to_owned(),
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
    pub fn fields(&self) -> [String; 12] {
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
            self.folder.clone(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Counts;

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
        named.add(time("2026-01-15T10:00:00Z"), Some(4), true);
        named.add(time("2026-01-15T10:59:59Z"), None, true);
        named.add(time("2026-01-15T11:00:00Z"), Some(0), true);
        let of = |start: &str, status| named.of(&Hour { start: time(start), status, counts: Counts::default() });
        let verified = |start: &str| of(start, Status::Verified);
        assert_eq!(verified("2026-01-15T10:00:00Z"), Named { files: 2, ingested: 1, records: 4 });
        assert_eq!(verified("2026-01-15T11:00:00Z"), Named { files: 1, ingested: 1, records: 0 });
        assert_eq!(verified("2026-01-15T12:00:00Z"), Named::default());
    }

    #[test]
    fn what_an_unsigned_digest_names_counts_only_where_nothing_is_sound() {
        let start = Timestamp::parse("2026-01-15T10:00:00Z").unwrap();
        let mut named = NamedByHour::default();
        named.add(start, Some(4), true);
        named.add(start, None, false);
        let of = |status| named.of(&Hour { start, status, counts: Counts::default() });
        assert_eq!(of(Status::Verified), Named { files: 1, ingested: 1, records: 4 });
        assert_eq!(of(Status::Unjudged), Named { files: 2, ingested: 1, records: 4 });
    }
}

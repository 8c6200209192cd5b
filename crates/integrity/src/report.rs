//! What is found: of every object one thing, of every hour the worst of it.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use event::Timestamp;
use serde::{Deserialize, Serialize};

/// What is known of an object or an hour, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is what CloudTrail wrote.
    Verified,
    /// The digest that names it is still to come.
    NotDue,
    /// No digest was made of its time: validation or the trail was off, or digests are gone.
    Unsigned,
    /// It could not be judged.
    Unjudged,
    /// It lies in a time of which there are digests, and none names it.
    Injected,
    /// A digest names it, and it is not there.
    Missing,
    /// It is not what CloudTrail wrote.
    Tampered,
}

impl Status {
    /// Every status, the best first.
    pub const ALL: [Status; 7] = [
        Status::Verified,
        Status::NotDue,
        Status::Unsigned,
        Status::Unjudged,
        Status::Injected,
        Status::Missing,
        Status::Tampered,
    ];

    /// Its name in every output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Verified => "verified",
            Status::NotDue => "not_due",
            Status::Unsigned => "unsigned",
            Status::Unjudged => "unjudged",
            Status::Injected => "injected",
            Status::Missing => "missing",
            Status::Tampered => "tampered",
        }
    }

    /// Whether something is wrong, rather than unknown.
    #[must_use]
    pub fn is_wrong(self) -> bool {
        self >= Status::Injected
    }
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A digest file.
    Digest,
    /// A log file.
    Log,
    /// A time of which a chain has no digests although it should.
    Gap,
    /// An object among the digests that is none.
    Foreign,
    /// A folder that could not be listed.
    Folder,
}

impl Kind {
    /// Its name in every output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Digest => "digest",
            Kind::Log => "log",
            Kind::Gap => "gap",
            Kind::Foreign => "foreign",
            Kind::Folder => "folder",
        }
    }
}

/// Something to be told of one object, or of one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is about.
    pub kind: Kind,
    /// What is known of it.
    pub status: Status,
    /// The time it belongs to.
    pub from: Timestamp,
    /// The end of that time, where it is longer than an hour.
    pub to: Option<Timestamp>,
    /// The trail, where it is known.
    pub trail: Option<String>,
    /// The object's key, as CloudTrail wrote it.
    pub key: Option<String>,
    /// What differs, or why it could not be judged.
    pub detail: String,
}

/// Objects by what is known of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Digests by status.
    pub digests: ByStatus,
    /// Log files by status.
    pub logs: ByStatus,
    /// Backfill digests, among the digests.
    pub backfills: u64,
    /// Digests without log files.
    pub quiet: u64,
    /// Verified digests whose signature was found in the digest after them.
    pub by_successor: u64,
    /// Times without digests in the middle of a chain.
    pub gaps: u64,
    /// Times of which there are no digests, and nothing says that there should be.
    pub unsigned_periods: u64,
    /// Objects among the digests that are none.
    pub foreign: u64,
    /// Folders that could not be listed.
    pub unlisted: u64,
    /// Digests that the store lists.
    pub listed_digests: u64,
    /// Log files that the store lists.
    pub listed_logs: u64,
    /// Log files that the store lists and a digest names.
    pub named_logs: u64,
    /// Log files that a digest names, that are there, and that were not among those listed.
    pub named_elsewhere: u64,
}

/// Numbers of objects, by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ByStatus {
    /// What CloudTrail wrote.
    pub verified: u64,
    /// To be named by a digest that is still to come.
    pub not_due: u64,
    /// Of a time of which no digest was made.
    pub unsigned: u64,
    /// Could not be judged.
    pub unjudged: u64,
    /// Named by no digest.
    pub injected: u64,
    /// Not there.
    pub missing: u64,
    /// Not what CloudTrail wrote.
    pub tampered: u64,
}

impl ByStatus {
    /// The number of one status.
    #[must_use]
    pub fn of(&self, status: Status) -> u64 {
        match status {
            Status::Verified => self.verified,
            Status::NotDue => self.not_due,
            Status::Unsigned => self.unsigned,
            Status::Unjudged => self.unjudged,
            Status::Injected => self.injected,
            Status::Missing => self.missing,
            Status::Tampered => self.tampered,
        }
    }

    /// Counts one more.
    pub fn add(&mut self, status: Status) {
        let number = match status {
            Status::Verified => &mut self.verified,
            Status::NotDue => &mut self.not_due,
            Status::Unsigned => &mut self.unsigned,
            Status::Unjudged => &mut self.unjudged,
            Status::Injected => &mut self.injected,
            Status::Missing => &mut self.missing,
            Status::Tampered => &mut self.tampered,
        };
        *number += 1;
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        Status::ALL.iter().map(|&status| self.of(status)).sum()
    }

    fn worst(&self) -> Option<Status> {
        Status::ALL.into_iter().rev().find(|&status| self.of(status) > 0)
    }
}

impl AddAssign for ByStatus {
    fn add_assign(&mut self, other: ByStatus) {
        self.verified += other.verified;
        self.not_due += other.not_due;
        self.unsigned += other.unsigned;
        self.unjudged += other.unjudged;
        self.injected += other.injected;
        self.missing += other.missing;
        self.tampered += other.tampered;
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.digests += other.digests;
        self.logs += other.logs;
        self.backfills += other.backfills;
        self.quiet += other.quiet;
        self.by_successor += other.by_successor;
        self.gaps += other.gaps;
        self.unsigned_periods += other.unsigned_periods;
        self.foreign += other.foreign;
        self.unlisted += other.unlisted;
        self.listed_digests += other.listed_digests;
        self.listed_logs += other.listed_logs;
        self.named_logs += other.named_logs;
        self.named_elsewhere += other.named_elsewhere;
    }
}

impl Counts {
    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Counts::default()
    }

    /// The worst of all that was counted.
    #[must_use]
    pub fn worst(&self) -> Option<Status> {
        let gaps = (self.gaps > 0).then_some(Status::Missing);
        let unjudged = (self.foreign + self.unlisted > 0).then_some(Status::Unjudged);
        let unsigned = (self.unsigned_periods > 0).then_some(Status::Unsigned);
        [self.digests.worst(), self.logs.worst(), gaps, unjudged, unsigned].into_iter().flatten().max()
    }

    /// What does not add up; nothing where every object is counted once.
    #[must_use]
    pub fn imbalance(&self) -> Option<String> {
        let ByStatus { verified, not_due, unsigned, unjudged, injected, missing: _, tampered } = self.logs;
        let logs = verified + not_due + unsigned + unjudged + injected + tampered;
        if logs != self.listed_logs + self.named_elsewhere {
            return Some(format!(
                "{logs} log files were judged, {} were listed and {} named elsewhere",
                self.listed_logs, self.named_elsewhere
            ));
        }
        let digests = self.digests.total() - self.digests.missing;
        if digests != self.listed_digests {
            return Some(format!("{digests} digests were judged, {} were listed", self.listed_digests));
        }
        let (named, by_digests) = (self.named_logs + self.named_elsewhere, verified + tampered);
        (named < by_digests).then(|| format!("{named} log files were named, {by_digests} were judged by their digests"))
    }
}

/// A time and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// From when on.
    pub from: Timestamp,
    /// Until when, that moment not included.
    pub to: Timestamp,
    /// Verified: there are digests of it; unjudged: there should be, but they are not sound; unsigned; not due.
    pub status: Status,
}

/// A chain of digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainSummary {
    /// The trail.
    pub trail: String,
    /// The region the trail was made in.
    pub home_region: String,
    /// Whether it names log files that were delivered late.
    pub is_backfill: bool,
    /// The start of its first digest that was read.
    pub from: Timestamp,
    /// The end of its last one.
    pub to: Timestamp,
    /// How many were read.
    pub digests: u64,
}

/// One thing that was found out about a lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// Something to be told.
    Finding(Finding),
    /// What is to be added to the counts of some hours, by their first second.
    Hours(Vec<(Timestamp, Counts)>),
    /// A time; together they cover everything between the first and the last.
    Period(Period),
    /// A chain that was followed.
    Chain(ChainSummary),
}

/// The hours of a lane, put together from its records.
#[derive(Debug, Clone, Default)]
pub struct Hours {
    counts: BTreeMap<Timestamp, Counts>,
    periods: Vec<Period>,
}

/// One hour of a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hour {
    /// Its first second.
    pub start: Timestamp,
    /// The worst that is known of it.
    pub status: Status,
    /// What belongs to it.
    pub counts: Counts,
}

/// An hour, in microseconds.
pub const HOUR: i64 = 3_600_000_000;

/// The first second of the hour a time lies in.
#[must_use]
pub fn hour_of(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(time.micros() - time.micros().rem_euclid(HOUR)).unwrap_or(time)
}

impl Hours {
    /// Takes a record in.
    pub fn take(&mut self, record: &Record) {
        match record {
            Record::Hours(hours) => {
                for (hour, counts) in hours {
                    *self.counts.entry(*hour).or_default() += *counts;
                }
            }
            Record::Period(period) => self.periods.push(period.clone()),
            Record::Finding(_) | Record::Chain(_) => {}
        }
    }

    /// Every hour of which something is known, in order.
    pub fn hours(&self) -> impl Iterator<Item = Hour> + '_ {
        let starts = self.counts.keys().copied().chain(self.periods.iter().map(|period| hour_of(period.from)));
        let ends = self.counts.keys().copied().chain(
            self.periods.iter().filter_map(|period| Timestamp::from_micros(period.to.micros() - 1)).map(hour_of),
        );
        let (first, last) = (starts.min(), ends.max());
        let range = first.zip(last).map(|(first, last)| (first.micros()..=last.micros()).step_by(HOUR as usize));
        let mut periods = self.periods.iter().peekable();
        range.into_iter().flatten().filter_map(Timestamp::from_micros).filter_map(move |start| {
            let end = start.micros() + HOUR;
            let counts = self.counts.get(&start).copied().unwrap_or_default();
            let mut worst = counts.worst();
            while let Some(period) = periods.peek() {
                if period.from.micros() >= end {
                    break;
                }
                worst = worst.max(Some(period.status));
                // It may reach into the next hour.
                if period.to.micros() > end {
                    break;
                }
                periods.next();
            }
            worst.map(|status| Hour { start, status, counts })
        })
    }
}

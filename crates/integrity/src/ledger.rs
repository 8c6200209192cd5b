//! What is known of a lane so far: its hours, the times that digests cover, and files that wait for a digest to name them.
//!
//! **Invariant:** its size does not grow with the lane's length, but for a few bytes an hour: files that wait are those of
//! two days, and beyond [`WAITING`] of them those that no digest names are told at once.

use std::collections::{BTreeMap, BTreeSet};

use event::{Day, Timestamp};
use serde::{Deserialize, Serialize};

use crate::chain::Logs;
use crate::hash::Sha256;
use crate::report::{ByStatus, Counts, Finding, HOUR, Kind, Period, Record, Status, hour_of};

/// How long after the end of its hour a digest may come.
pub const DUE: i64 = 2 * HOUR;
/// A file that was delivered so shortly before the end of a digest may be named by the next one.
const EDGE: i64 = 10 * 60_000_000;
/// How many files of older days wait for a digest that names them late.
const WAITING: usize = 20_000;
/// Ends and starts that are no farther apart than this belong together.
const SEAM: i64 = 60_000_000;

/// What is known of a lane so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    signed: Spans,
    doubtful: Spans,
    /// Times of which a backfilled digest is not sound, or is missing: it may have named what no other one names.
    #[serde(default)]
    excused: Spans,
    /// Listed, and named by no digest so far: by the half of the hash of their keys.
    unnamed: BTreeMap<u128, (Timestamp, String)>,
    /// Named, and not listed so far: of this day and of the day before.
    named: [BTreeSet<u128>; 2],
    /// Named and listed: of this day and of the day before.
    seen: [BTreeSet<u128>; 2],
    /// Listed and not named, of hours of which there is no sound digest so far.
    uncovered: BTreeMap<Timestamp, u64>,
    hours: BTreeMap<Timestamp, Counts>,
    #[serde(skip)]
    records: Vec<Record>,
    /// All that was counted.
    pub(crate) totals: Counts,
}

/// Times from and to, apart from each other and in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Spans(Vec<(Timestamp, Timestamp)>);

impl Spans {
    fn add(&mut self, from: Timestamp, to: Timestamp) {
        if from >= to {
            return;
        }
        let (mut from, mut to) = (from, to);
        let first = self.0.partition_point(|span| span.1.micros() + SEAM < from.micros());
        let behind = self.0.partition_point(|span| span.0.micros() <= to.micros() + SEAM);
        for span in &self.0[first..behind.max(first)] {
            from = from.min(span.0);
            to = to.max(span.1);
        }
        self.0.splice(first..behind.max(first), [(from, to)]);
    }

    fn containing(&self, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let behind = self.0.partition_point(|span| span.0 <= at);
        self.0[..behind].last().copied().filter(|span| at < span.1)
    }
}

impl Ledger {
    /// Counts something at some time.
    pub(crate) fn add(&mut self, at: Timestamp, counts: Counts) {
        *self.hours.entry(hour_of(at)).or_default() += counts;
        self.totals += counts;
    }

    fn log(&mut self, at: Timestamp, status: Status, number: u64, listed: u64) {
        let mut logs = ByStatus::default();
        logs.add(status);
        for _ in 1..number {
            logs.add(status);
        }
        self.add(at, Counts { logs, listed_logs: listed, ..Counts::default() });
    }

    /// Notes something to be told.
    pub(crate) fn tell(&mut self, finding: Finding) {
        self.records.push(Record::Finding(finding));
    }

    /// Notes anything else.
    pub(crate) fn record(&mut self, record: Record) {
        self.records.push(record);
    }

    /// Notes that there is a digest of a time, or that there should be a sound one.
    pub(crate) fn cover(&mut self, from: Timestamp, to: Timestamp, is_sound: bool) {
        if is_sound { &mut self.signed } else { &mut self.doubtful }.add(from, to);
    }

    /// Notes that a backfilled digest of a time is not sound, or is not there.
    pub(crate) fn excuse(&mut self, from: Timestamp, to: Timestamp) {
        self.excused.add(from, to);
    }

    /// Takes in what a sound digest says of its log files. One that another digest of these days named is not counted
    /// again.
    pub(crate) fn name(&mut self, logs: Logs, trail: Option<String>) {
        for (name, at, status) in logs.named {
            let is_known = self.named.iter().chain(&self.seen).any(|names| names.contains(&name));
            if is_known {
                continue;
            }
            self.log(at, status, 1, 0);
            if self.unnamed.remove(&name).is_some() {
                self.seen[0].insert(name);
                self.add(at, Counts { listed_logs: 1, named_logs: 1, ..Counts::default() });
            } else {
                self.named[0].insert(name);
            }
        }
        for at in logs.missing {
            self.log(at, Status::Missing, 1, 0);
        }
        for finding in logs.findings {
            self.tell(Finding { trail: trail.clone(), ..finding });
        }
    }

    /// Takes in a log file that is there.
    pub(crate) fn listed(&mut self, original: String, at: Timestamp) {
        let name = name_of(&original);
        if self.named.iter_mut().any(|names| names.remove(&name)) {
            self.seen[0].insert(name);
            self.add(at, Counts { listed_logs: 1, named_logs: 1, ..Counts::default() });
        } else {
            self.unnamed.insert(name, (at, original));
        }
    }

    /// Ends a day: forgets what can matter no more. What the digests of some times name is still to come.
    pub(crate) fn end_day(&mut self, day: Day, waiting: &[(Timestamp, Timestamp)]) {
        let [today, yesterday] = &mut self.named;
        let elsewhere = std::mem::replace(yesterday, std::mem::take(today)).len() as u64;
        let [today, yesterday] = &mut self.seen;
        *yesterday = std::mem::take(today);
        self.totals.named_elsewhere += elsewhere;
        let settled = Day::from_days(day.days() - 1).start().unwrap_or(Timestamp::MIN);
        let is_settled = |at: Timestamp| at < settled && !waiting.iter().any(|(from, to)| (*from..*to).contains(&at));
        let is_covered = |at: &Timestamp| self.signed.containing(*at).is_some();
        let old = self.unnamed.iter().filter(|(_, (at, _))| is_settled(*at));
        let uncovered: Vec<u128> = old.filter(|(_, (at, _))| !is_covered(at)).map(|(&name, _)| name).collect();
        for name in uncovered {
            if let Some((at, _)) = self.unnamed.remove(&name) {
                *self.uncovered.entry(hour_of(at)).or_default() += 1;
            }
        }
        let old: Vec<u128> = self.unnamed.iter().filter(|(_, (at, _))| *at < settled).map(|(&name, _)| name).collect();
        if old.len() > WAITING {
            let waiting = old.iter().filter_map(|name| self.unnamed.remove(name)).collect();
            self.decide(waiting, settled, false);
        }
    }

    /// Says what is known of files that no digest names.
    fn decide(&mut self, mut waiting: Vec<(Timestamp, String)>, until: Timestamp, is_end: bool) {
        waiting.sort();
        for (at, key) in waiting {
            let status = self.status_of(at, until, is_end);
            self.log(at, status, 1, 1);
            if status == Status::Injected {
                let detail = "no digest names it, although there are digests of its time".to_owned();
                let (kind, trail) = (Kind::Log, None);
                self.tell(Finding { kind, status, from: at, to: None, trail, key: Some(key), detail });
            }
        }
    }

    /// What is known of a file that was delivered at some time and that no digest names.
    fn status_of(&self, at: Timestamp, until: Timestamp, is_end: bool) -> Status {
        let newest = self.newest();
        let is_awaited = until.micros() - newest.map_or(0, Timestamp::micros).max(at.micros() - EDGE) <= DUE;
        if [&self.doubtful, &self.excused].iter().any(|spans| spans.containing(at).is_some()) {
            return Status::Unjudged;
        }
        match self.signed.containing(at) {
            Some((_, to)) if !is_end || at.micros() + EDGE < to.micros() => Status::Injected,
            _ if is_awaited && newest.is_none_or(|newest| at.micros() + EDGE >= newest.micros()) => Status::NotDue,
            _ => Status::Unsigned,
        }
    }

    /// The end of the newest time that digests cover.
    fn newest(&self) -> Option<Timestamp> {
        [&self.signed, &self.doubtful].into_iter().filter_map(|spans| Some(spans.0.last()?.1)).max()
    }

    /// Ends the lane: nothing comes any more.
    pub(crate) fn finish(&mut self, until: Timestamp) {
        for names in &mut self.named {
            self.totals.named_elsewhere += std::mem::take(names).len() as u64;
        }
        let first_uncovered = self.uncovered.keys().next().copied();
        let first_unnamed = self.unnamed.values().map(|(at, _)| hour_of(*at)).min();
        let waiting = std::mem::take(&mut self.unnamed).into_values().collect();
        self.decide(waiting, until, true);
        for (hour, number) in std::mem::take(&mut self.uncovered) {
            // The middle of the hour stands for all of it.
            let middle = Timestamp::from_micros(hour.micros() + HOUR / 2).unwrap_or(hour);
            let end = Timestamp::from_micros(hour.micros() + HOUR).unwrap_or(hour);
            let is_whole = self.signed.containing(hour).is_some_and(|(_, to)| end <= to);
            let status = match self.status_of(middle, until, true) {
                // Digests that end within the hour, as where a trail is stopped, say nothing of the rest of it.
                Status::Injected if !is_whole => Status::Unsigned,
                status => status,
            };
            self.log(hour, status, number, number);
            if status == Status::Injected {
                let files = if number == 1 { "a log file".to_owned() } else { format!("{number} log files") };
                let detail = format!("{files} that no digest names, in an hour whose digests came late");
                let (kind, trail, key) = (Kind::Log, None, None);
                self.tell(Finding { kind, status, from: hour, to: None, trail, key, detail });
            }
        }
        let first_log = [first_uncovered, first_unnamed].into_iter().flatten().min();
        for period in self.periods(first_log, until) {
            self.totals.unsigned_periods += u64::from(period.status == Status::Unsigned);
            self.records.push(Record::Period(period));
        }
        self.flush_hours();
    }

    /// The whole time, cut where what is known of it changes.
    fn periods(&self, first_log: Option<Timestamp>, until: Timestamp) -> Vec<Period> {
        let spans = || self.signed.0.iter().chain(&self.doubtful.0);
        let first_span = spans().map(|span| span.0).min();
        let Some(first) = [first_span, first_log].into_iter().flatten().min() else { return Vec::new() };
        let newest = self.newest();
        let end = newest.map_or(until, |newest| newest.max(until)).max(first);
        let mut cuts: BTreeSet<Timestamp> = spans().flat_map(|&(from, to)| [from, to]).collect();
        cuts.extend([first, end]);
        let is_awaited = until.micros() - newest.map_or(0, Timestamp::micros) <= DUE;
        let mut periods: Vec<Period> = Vec::new();
        for (&from, &to) in cuts.iter().zip(cuts.iter().skip(1)) {
            let is_short = to.micros() - from.micros() < SEAM;
            let status = if self.doubtful.containing(from).is_some() {
                Status::Unjudged
            } else if self.signed.containing(from).is_some() {
                Status::Verified
            } else if is_awaited && newest.is_some_and(|newest| from >= newest) {
                Status::NotDue
            } else {
                Status::Unsigned
            };
            match periods.last_mut() {
                // A few seconds between two digests are no time without digests.
                Some(last) if last.status == status || (is_short && status == Status::Unsigned) => last.to = to,
                _ => periods.push(Period { from, to, status }),
            }
        }
        periods
    }

    fn flush_hours(&mut self) {
        if !self.hours.is_empty() {
            let hours = std::mem::take(&mut self.hours).into_iter().collect();
            self.records.push(Record::Hours(hours));
        }
    }

    /// Hands over what was found since the last time.
    pub(crate) fn take_records(&mut self) -> Vec<Record> {
        self.flush_hours();
        std::mem::take(&mut self.records)
    }
}

/// What a key goes by.
pub(crate) fn name_of(original: &str) -> u128 {
    Sha256::of(original.as_bytes()).half()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn spans_grow_together_in_any_order() {
        let minute = |minute: i64| Timestamp::from_micros(at("2026-01-01T00:00:00Z").micros() + minute * SEAM).unwrap();
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..200 {
            let mut spans = Spans::default();
            let mut minutes = [false; 200];
            for _ in 0..random.usize(1..30) {
                let from = random.usize(0..190);
                let to = from + random.usize(1..10);
                spans.add(minute(from as i64 * 3), minute(to as i64 * 3));
                minutes[from..to].fill(true);
            }
            for (place, covered) in minutes.iter().enumerate() {
                assert_eq!(spans.containing(minute(place as i64 * 3)).is_some(), *covered);
            }
            assert!(spans.0.windows(2).all(|pair| pair[0].1 < pair[1].0));
        }
    }

    #[test]
    fn a_ledger_is_read_back_as_it_was_written() {
        let mut ledger = Ledger::default();
        ledger.cover(at("2026-01-01T00:00:00Z"), at("2026-01-01T01:00:00Z"), true);
        ledger.listed("some/key".to_owned(), at("2026-01-01T00:10:00Z"));
        ledger.name(
            Logs { named: vec![(u128::MAX, at("2026-01-01T00:20:00Z"), Status::Verified)], ..Logs::default() },
            None,
        );
        ledger.take_records();
        let text = serde_json::to_string(&ledger).unwrap();
        assert_eq!(serde_json::from_str::<Ledger>(&text).unwrap(), ledger);
    }
}

//! An account in a region, from its first day to its last: its digests by their chains, then the files that lie there.

use std::collections::BTreeSet;
use std::io;

use event::{Day, Timestamp};
use serde::{Deserialize, Serialize};

use crate::chain::{Chain, Follow, Link, Signable};
use crate::digest::LogFile;
use crate::evidence::{Evidence, Journal, Level, Listed, Trouble};
use crate::judge::{self, DigestTask, Judge, LogTask};
use crate::layout::{ChainName, DigestName, Lane, day_path, delivered, delivered_on};
use crate::ledger::Ledger;
use crate::pool::Pool;
use crate::report::{Counts, Finding, HOUR, Kind, Record, Status, hour_of};
use crate::verify::{Only, Scope, VerifyError};

/// How many log files are judged before what came of them is noted.
const BATCH: usize = 1024;
/// How many digests are judged at once, and how many bytes of them as stored: the large ones alone.
const DIGESTS: usize = 64;
const DIGEST_BYTES: u64 = 1 << 20;
/// The most objects of one day's folder of digests that are looked at.
const DIGESTS_OF_A_DAY: usize = 200_000;

/// How far a lane came, and what is known of it so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneState {
    /// The day that is being looked at.
    day: Option<String>,
    /// The last digest of that day that was followed.
    after: Option<(ChainName, Timestamp)>,
    is_done: bool,
    chains: Vec<Chain>,
    ledger: Ledger,
}

impl LaneState {
    /// Whether the lane came to its end.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// All that was counted.
    #[must_use]
    pub fn totals(&self) -> Counts {
        self.ledger.totals
    }

    fn day(&self) -> Option<Day> {
        self.day.as_deref().and_then(Day::parse)
    }
}

/// A lane that is being looked at.
pub(crate) struct Sweep<'s> {
    pub(crate) lane: Lane,
    pub(crate) judge: Judge<'s>,
    pub(crate) scope: &'s Scope,
    pub(crate) journal: &'s dyn Journal,
    pub(crate) pool: Pool<'s>,
    pub(crate) is_stopped: &'s (dyn Fn() -> bool + Sync),
}

impl<'s> Sweep<'s> {
    /// Looks at the whole lane. Returns its totals; none where it was stopped on its way.
    pub(crate) fn run(&self) -> Result<Option<Counts>, VerifyError> {
        let mut state = self.journal.resume(&self.lane).map_err(VerifyError::Journal)?.unwrap_or_default();
        if state.is_done {
            return Ok(Some(state.totals()));
        }
        let first_day = state.day();
        for day in self.days(first_day.is_none(), &mut state) {
            if first_day.is_some_and(|first| day < first) {
                continue;
            }
            if state.day() != Some(day) {
                state.day = Some(day.to_string());
                state.after = None;
            }
            if !self.digests_of(day, &mut state)? {
                return Ok(None);
            }
            self.logs_of(day, &mut state);
            let waiting: Vec<_> = state.chains.iter().filter_map(Chain::waiting).collect();
            state.ledger.end_day(day, &waiting);
            // The next day is the one that is begun: a checkpoint here says that this one is over.
            state.day = Some(Day::from_days(day.days() + 1).to_string());
            state.after = None;
            self.save(&mut state)?;
        }
        self.finish(&mut state)?;
        Ok(Some(state.totals()))
    }

    /// The days that have folders, and are to be looked at. What lies beside them is told the first time.
    fn days(&self, is_first_time: bool, state: &mut LaneState) -> Vec<Day> {
        let first = self.scope.from.map_or(Day::from_days(i32::MIN), Timestamp::day);
        // The last hour's digest may have been written on the next day.
        let last = Timestamp::from_micros(self.scope.until.micros() + 2 * HOUR).unwrap_or(Timestamp::MAX).day();
        let mut days = BTreeSet::new();
        for root in [self.lane.digests(), self.lane.logs()] {
            let mut found = Days {
                within: (first, last),
                is_open_ended: self.scope.is_open_ended,
                days: BTreeSet::new(),
                strays: Vec::new(),
                objects: Vec::new(),
            };
            let outcome = found.walk(self.judge.evidence, &root);
            days.append(&mut found.days);
            if !is_first_time || self.scope.only.is_some() {
                continue;
            }
            if let Err((folder, trouble)) = outcome {
                self.unlisted(&folder, &trouble, state);
            }
            for folder in found.strays {
                let outcome = self.judge.evidence.list(&folder, &mut |listed| found.objects.push(listed.key));
                if let Err(trouble) = outcome {
                    self.unlisted(&folder, &trouble, state);
                }
            }
            let at = self.scope.from.unwrap_or(self.scope.until).day();
            self.tell_foreign(at, found.objects, state);
        }
        days.into_iter().collect()
    }

    fn unlisted(&self, folder: &str, trouble: &Trouble, state: &mut LaneState) {
        let at = state.day().and_then(Day::start).or(self.scope.from).unwrap_or(self.scope.until);
        state.ledger.add(at, Counts { unlisted: 1, ..Counts::default() });
        state.ledger.tell(Finding {
            kind: Kind::Folder,
            status: Status::Unjudged,
            from: hour_of(at),
            to: None,
            trail: None,
            key: Some(self.judge.place.original(folder)),
            detail: format!("cannot be listed: {trouble}"),
        });
    }

    /// Follows the digests of a day. Returns whether it came to their end.
    fn digests_of(&self, day: Day, state: &mut LaneState) -> Result<bool, VerifyError> {
        let folder = format!("{}{}/", self.lane.digests(), day_path(day));
        let mut digests: Vec<(DigestName, Listed)> = Vec::new();
        let mut foreign = Vec::new();
        let mut beyond = 0u64;
        let listed = self.judge.evidence.list(&folder, &mut |listed| {
            if digests.len() + foreign.len() >= DIGESTS_OF_A_DAY {
                beyond += 1;
            } else if let Some(name) = self.lane.digest_name(&listed.key) {
                digests.push((name, listed));
            } else {
                foreign.push(listed.key);
            }
        });
        if let Err(trouble) = listed {
            self.unlisted(&folder, &trouble, state);
        }
        if beyond > 0 {
            let trouble = Trouble::Failed(format!("{beyond} objects beyond the first {DIGESTS_OF_A_DAY} of this day"));
            self.unlisted(&folder, &trouble, state);
        }
        if state.after.is_none() {
            self.tell_foreign(day, foreign, state);
        }
        digests.retain(|(name, _)| self.scope.wants_digest(name));
        digests.sort_by(|(left, _), (right, _)| (&left.chain, left.end).cmp(&(&right.chain, right.end)));
        if let Some(after) = &state.after {
            digests.retain(|(name, _)| (&name.chain, name.end) > (&after.0, after.1));
        }
        let mut digests = digests.into_iter().peekable();
        while digests.peek().is_some() {
            if (self.is_stopped)() {
                self.write(state)?;
                self.journal.checkpoint(&self.lane, state).map_err(VerifyError::Journal)?;
                return Ok(false);
            }
            let mut tasks = Vec::new();
            let mut bytes = 0;
            while let Some((_, listed)) = digests.peek()
                && (tasks.is_empty() || (tasks.len() < DIGESTS && bytes + listed.size <= DIGEST_BYTES))
            {
                bytes += listed.size;
                tasks.extend(digests.next());
            }
            self.follow(tasks, state);
            self.save(state)?;
        }
        Ok(true)
    }

    fn tell_foreign(&self, day: Day, mut foreign: Vec<String>, state: &mut LaneState) {
        foreign.sort();
        for key in foreign.into_iter().filter(|key| !key.ends_with('/')) {
            let from = delivered(&key).or_else(|| day.start()).unwrap_or(self.scope.until);
            state.ledger.add(from, Counts { foreign: 1, ..Counts::default() });
            state.ledger.tell(Finding {
                kind: Kind::Foreign,
                status: Status::Unjudged,
                from,
                to: None,
                trail: None,
                key: Some(self.judge.place.original(&key)),
                detail: "it lies where CloudTrail writes nothing of this name".to_owned(),
            });
        }
    }

    /// Judges some digests and the log files they name, and follows their chains.
    fn follow(&self, digests: Vec<(DigestName, Listed)>, state: &mut LaneState) {
        let names: Vec<DigestName> = digests.iter().map(|(name, _)| name.clone()).collect();
        let tasks = digests.into_iter().map(|(name, listed)| DigestTask { lane: self.lane.clone(), name, listed });
        let judged = self.pool.each(self.judge, tasks.collect(), judge::digest);
        let (mut links, mut files) = (Vec::new(), Vec::new());
        for (place, (name, (link, log_files))) in names.iter().zip(judged).enumerate() {
            if !self.scope.is_witness(name) && self.scope.wants_logs_of(&link.key) {
                let is_wanted = |file: &LogFile| self.judge.only.is_none_or(|only| *only == *file.key);
                files.extend(log_files.into_iter().filter(is_wanted).map(|file| (place, file)));
            }
            links.push(link);
        }
        self.judge_logs(&mut links, files);
        for (name, link) in names.into_iter().zip(links) {
            let is_witness = self.scope.is_witness(&name);
            let lane = &self.lane;
            let home_region = name.chain.home_region.clone();
            let prove =
                |signable: &Signable, signature: &str| self.judge.proves(lane, &home_region, signable, signature);
            let how = self.how(&prove);
            let chains = &mut state.chains;
            let place = chains.iter().position(|chain| chain.name == name.chain).unwrap_or_else(|| {
                chains.push(Chain::new(name.chain.clone()));
                chains.len() - 1
            });
            match is_witness {
                true => chains[place].witness(link, how, &mut state.ledger),
                false => chains[place].follow(link, how, &mut state.ledger),
            }
            state.after = Some((name.chain, name.end));
        }
    }

    fn how<'f>(&'f self, prove: &'f dyn Fn(&Signable, &str) -> bool) -> Follow<'f> {
        Follow {
            lane: &self.lane,
            place: self.judge.place,
            prove,
            keeps_metadata: self.judge.evidence.keeps_metadata(),
            from: self.scope.from,
            focus: self.scope.only.as_ref().map(Only::key),
        }
    }

    /// Judges the log files that some digests name, all of them at once: one digest names a few, and nobody waits for them.
    /// Each comes with the place of its digest, in their order.
    fn judge_logs(&self, links: &mut [Link], files: Vec<(usize, LogFile)>) {
        let mut known = BTreeSet::new();
        let mut files = files.into_iter().peekable();
        while files.peek().is_some() {
            let task = |(place, file): (usize, LogFile)| {
                let Link { key, start, .. } = &links[place];
                let digest = key.rsplit('/').next().unwrap_or(key).to_owned();
                (place, LogTask { lane: self.lane.clone(), digest, start: *start, file })
            };
            let (places, batch): (Vec<usize>, Vec<LogTask>) = files.by_ref().take(BATCH).map(task).unzip();
            for (place, verdict) in places.into_iter().zip(self.pool.each(self.judge, batch, judge::log)) {
                // One that a digest names twice is one file.
                if !known.insert((place, verdict.name)) {
                    continue;
                }
                let logs = &mut links[place].logs;
                match verdict.status {
                    Status::Missing => logs.missing.push(verdict.at),
                    status => logs.named.push((verdict.name, verdict.at, status)),
                }
                logs.findings.extend(verdict.finding);
            }
        }
    }

    /// Compares the log files of a day with those that digests name.
    fn logs_of(&self, day: Day, state: &mut LaneState) {
        let folder = format!("{}{}/", self.lane.logs(), day_path(day));
        let (ledger, mut listed) = (&mut state.ledger, 0);
        let outcome = self.judge.evidence.list(&folder, &mut |object| {
            // What only marks a folder is no file.
            if object.key.ends_with('/') && object.size == 0 {
                return;
            }
            let original = self.judge.place.original(&object.key);
            let at = delivered_on(&object.key, day).unwrap_or(self.scope.until);
            if self.scope.wants_log(&original, at) {
                ledger.listed(original, at);
                listed += 1;
            }
        });
        self.judge.progress.count_listed(listed);
        if let Err(trouble) = outcome {
            self.unlisted(&folder, &trouble, state);
        }
    }

    fn finish(&self, state: &mut LaneState) -> Result<(), VerifyError> {
        let mut chains = std::mem::take(&mut state.chains);
        for chain in &mut chains {
            let home_region = chain.name.home_region.clone();
            let prove =
                |signable: &Signable, signature: &str| self.judge.proves(&self.lane, &home_region, signable, signature);
            if let Some(summary) = chain.end(self.how(&prove), &mut state.ledger) {
                state.ledger.record(Record::Chain(summary));
            }
        }
        state.ledger.finish(self.scope.until);
        state.is_done = true;
        if let Some(imbalance) = state.totals().imbalance() {
            return Err(VerifyError::Imbalance { lane: self.lane.to_string(), imbalance });
        }
        self.write(state)?;
        self.journal.checkpoint(&self.lane, state).map_err(VerifyError::Journal)
    }

    fn write(&self, state: &mut LaneState) -> Result<(), VerifyError> {
        let records = state.ledger.take_records();
        if records.is_empty() { Ok(()) } else { self.journal.write(&self.lane, &records).map_err(VerifyError::Journal) }
    }

    fn save(&self, state: &mut LaneState) -> Result<(), VerifyError> {
        self.write(state)?;
        let is_due = self.journal.is_due(&self.lane);
        let saved: io::Result<()> = if is_due { self.journal.checkpoint(&self.lane, state) } else { Ok(()) };
        saved.map_err(VerifyError::Journal)
    }
}

/// The days below a folder of years, and what lies beside them.
struct Days {
    within: (Day, Day),
    /// Whether there is nothing behind the last day: what claims to be is odd.
    is_open_ended: bool,
    days: BTreeSet<Day>,
    /// Folders that are none of a year, a month or a day.
    strays: Vec<String>,
    /// Objects that lie in no day's folder.
    objects: Vec<String>,
}

impl Days {
    /// Walks down from the folder of years.
    fn walk(&mut self, evidence: &dyn Evidence, root: &str) -> Result<(), (String, Trouble)> {
        let (first, last) = self.within;
        for year in self.level(evidence, root, 4)? {
            let year_folder = format!("{root}{year}/");
            let start = Day::parse(&format!("{year}-01-01")).filter(|day| day.start().is_some());
            let Some(start) = start.filter(|start| !self.is_open_ended || *start <= last) else {
                self.strays.push(year_folder);
                continue;
            };
            if start > last || start.days() + 366 < first.days() {
                continue;
            }
            for month in self.level(evidence, &year_folder, 2)? {
                let month_folder = format!("{year_folder}{month}/");
                let start = Day::parse(&format!("{year}-{month}-01"));
                let Some(start) = start.filter(|start| !self.is_open_ended || *start <= last) else {
                    self.strays.push(month_folder);
                    continue;
                };
                if start > last || start.days() + 31 < first.days() {
                    continue;
                }
                for name in self.level(evidence, &month_folder, 2)? {
                    match Day::parse(&format!("{year}-{month}-{name}")) {
                        Some(day) if (first..=last).contains(&day) => {
                            self.days.insert(day);
                        }
                        Some(day) if day < first || !self.is_open_ended => {}
                        _ => self.strays.push(format!("{month_folder}{name}/")),
                    }
                }
            }
        }
        Ok(())
    }

    /// The folders of a level whose names are numbers.
    fn level(
        &mut self,
        evidence: &dyn Evidence,
        folder: &str,
        digits: usize,
    ) -> Result<Vec<String>, (String, Trouble)> {
        let Level { folders, objects } = evidence.level(folder).map_err(|trouble| (folder.to_owned(), trouble))?;
        self.objects.extend(objects);
        let is_number = |name: &String| name.len() == digits && name.bytes().all(|byte| byte.is_ascii_digit());
        let (numbers, others): (Vec<String>, Vec<String>) = folders.into_iter().partition(is_number);
        self.strays.extend(others.into_iter().map(|name| format!("{folder}{name}/")));
        Ok(numbers)
    }
}

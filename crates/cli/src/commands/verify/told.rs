//! What is told of a run, whatever the format: stretches of hours, and the summary that people know from the AWS CLI.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;

use event::Timestamp;
use integrity::evidence::Journal;
use integrity::layout::{Lane, Place};
use integrity::report::{ByStatus, ChainSummary, Counts, Finding, HOUR, Hour, Hours, Period, Record, Status};
use integrity::verify::Scope;
use local::journal::FolderJournal;
use serde_json::{Value, json};

use super::why;
use crate::output::{count, plural};

/// What was asked.
pub(crate) struct Question {
    pub(crate) path: String,
    pub(crate) scope: Scope,
    pub(crate) lanes: Vec<(Lane, Place)>,
    /// What could not be listed or read at all, and why.
    pub(crate) unread: Vec<(String, String)>,
}

/// What is told.
pub(super) struct Told<'t> {
    pub(super) question: &'t Question,
    pub(super) journal: &'t FolderJournal,
    pub(super) totals: Counts,
    pub(super) why: &'t why::Events,
    /// The first and the last time of the digests of each lane that was told.
    pub(super) covered: RefCell<BTreeMap<Lane, Option<(Timestamp, Timestamp)>>>,
}

/// What was found out about an account in a region.
pub(crate) struct LaneTold {
    pub(super) chains: Vec<ChainSummary>,
    /// Times without digests, as a whole.
    unsigned: Vec<Period>,
    hours: Hours,
    /// The end of what was asked for.
    until: Timestamp,
}

/// Hours that follow one another and of which the same is known.
pub(super) struct Stretch {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) status: Status,
    pub(super) hours: u64,
    pub(super) counts: Counts,
}

/// Takes findings as they come.
pub(crate) type Each<'e> = &'e mut dyn FnMut(&Finding) -> io::Result<()>;

/// Reads what was found out about a lane.
pub(super) fn lane(journal: &FolderJournal, question: &Question, lane: &Lane, each: Each<'_>) -> io::Result<LaneTold> {
    let until = question.scope.until.whole_second();
    let mut told = LaneTold { chains: Vec::new(), unsigned: Vec::new(), hours: Hours::default(), until };
    let mut outcome = Ok(());
    journal.replay(lane, &mut |record| {
        told.hours.take(&record);
        match record {
            Record::Finding(finding) if outcome.is_ok() => outcome = each(&finding),
            Record::Chain(chain) => told.chains.push(chain),
            Record::Period(period) if period.status == Status::Unsigned => told.unsigned.push(period),
            _ => {}
        }
    })?;
    outcome?;
    // One object alone has no hours of its own.
    if question.scope.only.is_some() {
        told.hours = Hours::default();
    }
    Ok(told)
}

/// A time that has both in it.
fn widened(one: (Timestamp, Timestamp), other: (Timestamp, Timestamp)) -> (Timestamp, Timestamp) {
    (one.0.min(other.0), one.1.max(other.1))
}

impl Told<'_> {
    /// Reads what was found out about a lane. Findings are handed on as they come: they may be many.
    pub(super) fn lane(&self, lane: &Lane, each: Each<'_>) -> io::Result<LaneTold> {
        let told = self::lane(self.journal, self.question, lane, each)?;
        let covered = told.chains.iter().map(|chain| (chain.from, chain.to)).reduce(widened);
        self.covered.borrow_mut().insert(lane.clone(), covered);
        Ok(told)
    }

    /// The first and the last time that digests were found of.
    pub(super) fn found(&self) -> io::Result<Option<(Timestamp, Timestamp)>> {
        for (lane, _) in &self.question.lanes {
            if !self.covered.borrow().contains_key(lane) {
                self.lane(lane, &mut |_| Ok(()))?;
            }
        }
        let found = self.covered.borrow().values().copied().flatten().reduce(widened);
        let Scope { from, until, .. } = self.question.scope;
        Ok(found.map(|(first, last)| (from.map_or(first, |from| from.max(first)), last.min(until))))
    }

    /// The summary, as people read it.
    pub(super) fn lines(&self) -> io::Result<Vec<String>> {
        let Scope { from, until, .. } = &self.question.scope;
        let from = from.map_or("the beginning".to_owned(), |from| from.whole_second().to_string());
        let mut lines = vec![format!("Results requested for {from} to {}", until.whole_second())];
        match self.found()? {
            Some((from, to)) => {
                lines.push(format!("Results found for {} to {}:", from.whole_second(), to.whole_second()));
            }
            None => lines.push("No digests found".to_owned()),
        }
        lines.push(String::new());
        let Counts { digests, logs, backfills, quiet, by_successor, gaps, foreign, unlisted, .. } = self.totals;
        lines.extend(ratio(&digests, "digest"));
        lines.extend(ratio(&logs, "log"));
        let mut also = |number: u64, one: &str, many: &str| {
            if number > 0 {
                lines.push(plural(number, one, many));
            }
        };
        also(digests.missing, "digest file missing", "digest files missing");
        also(
            gaps,
            "time without digest files in the middle of a chain",
            "times without digest files in the middle of a chain",
        );
        also(logs.missing, "log file missing", "log files missing");
        also(logs.injected, "log file injected: no digest names it", "log files injected: no digest names them");
        also(
            logs.unsigned,
            "log file unsigned: no digest was made of its time",
            "log files unsigned: no digest was made of their time",
        );
        let periods = self.totals.unsigned_periods;
        also(
            periods,
            "time without digests: validation or the trail was off",
            "times without digests: validation or the trail was off",
        );
        also(digests.unjudged, "digest file not judged", "digest files not judged");
        also(logs.unjudged, "log file not judged", "log files not judged");
        also(foreign, "other object among them", "other objects among them");
        also(unlisted, "folder or file that could not be read", "folders or files that could not be read");
        also(logs.not_due, "log file whose digest is not yet due", "log files whose digest is not yet due");
        also(backfills, "backfill digest file", "backfill digest files");
        also(quiet, "hour without activity", "hours without activity");
        also(
            by_successor,
            "digest file proven by the signature that the next one carries",
            "digest files proven by the signatures that the next ones carry",
        );
        Ok(lines)
    }

    /// The summary, for programs.
    pub(super) fn summary(&self) -> io::Result<Value> {
        let Scope { from, until, .. } = &self.question.scope;
        let time = |time: Timestamp| time.whole_second().to_string();
        let found = self.found()?;
        Ok(json!({
            "kind": "summary",
            "status": self.totals.worst().unwrap_or(Status::Verified).as_str(),
            "path": self.question.path,
            "from": from.map(time),
            "to": time(*until),
            "found_from": found.map(|(from, _)| time(from)),
            "found_to": found.map(|(_, to)| time(to)),
            "counts": serde_json::to_value(self.totals)?,
        }))
    }
}

/// `3/5 log files valid, 1/5 log files INVALID`, as the AWS CLI says it; those that are missing are invalid there.
fn ratio(objects: &ByStatus, name: &str) -> Option<String> {
    let invalid = objects.tampered + objects.missing;
    let total = objects.verified + invalid;
    if total == 0 {
        return None;
    }
    let (valid, total) = (count(objects.verified), count(total));
    let mut line = format!("{valid}/{total} {name} files valid");
    if invalid > 0 {
        line.push_str(&format!(", {}/{total} {name} files INVALID", count(invalid)));
    }
    Some(line)
}

impl LaneTold {
    /// Why there are no digests of a stretch of hours, where that is known.
    pub(super) fn why(&self, lane: &Lane, stretch: &Stretch, events: &why::Events) -> Option<String> {
        let mut periods = self.unsigned.iter().filter(|_| stretch.status == Status::Unsigned);
        let period = periods.find(|period| period.from < stretch.to && stretch.from < period.to)?;
        events.explain(lane, period.from, period.to)
    }

    /// The hours that were asked about. Digests reach into the next one, whose log files were not looked at.
    pub(crate) fn hours(&self) -> impl Iterator<Item = Hour> + '_ {
        self.hours.hours().take_while(|hour| hour.start < self.until)
    }

    pub(super) fn stretches(&self) -> Vec<Stretch> {
        let mut stretches: Vec<Stretch> = Vec::new();
        for hour in self.hours() {
            let to = Timestamp::from_micros(hour.start.micros() + HOUR).unwrap_or(Timestamp::MAX);
            match stretches.last_mut() {
                Some(last) if last.status == hour.status => {
                    last.to = to;
                    last.hours += 1;
                    last.counts += hour.counts;
                }
                _ => {
                    let Hour { start: from, status, counts } = hour;
                    stretches.push(Stretch { from, to, status, hours: 1, counts });
                }
            }
        }
        stretches
    }
}

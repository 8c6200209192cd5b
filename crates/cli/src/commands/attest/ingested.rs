//! Which log files were ingested: those that were read to be proven, by their content, and else those that events are
//! stored from.

use std::collections::HashMap;

use event::{Day, Timestamp};
use integrity::digest::LogFile;
use integrity::hash::Sha256;
use integrity::layout::{Lane, Place, split_root};
use integrity::report::{HOUR, hour_of};
use local::state::SqliteState;
use pipeline::proof::ProofStore;

use crate::ask::Asker;
use crate::session::Session;

/// An event is delivered within hours, a backfilled one within days.
const DAYS: i32 = 7;

/// Log files of one account in one region at a time, by what follows the prefix in their names.
pub(super) struct Ingested {
    from: Option<Timestamp>,
    until: Timestamp,
    state: Option<SqliteState>,
    /// What they were read as, with the records in each content.
    read: HashMap<String, HashMap<String, u64>>,
    /// How many events are stored from each log file of any account, by the half of the hash of its name: they may be
    /// many. Counted once one is asked for that was not read to be proven.
    stored: Option<HashMap<u128, u64>>,
}

impl Ingested {
    pub(super) fn open(session: &Session, from: Option<Timestamp>, until: Timestamp) -> anyhow::Result<Ingested> {
        let path = session.state_path();
        let state = path.exists().then(|| SqliteState::open(&path)).transpose()?;
        Ok(Ingested { from, until, state, read: HashMap::new(), stored: None })
    }

    /// Goes on to an account in a region.
    pub(super) fn begin(&mut self, lane: &Lane, place: &Place) -> anyhow::Result<()> {
        self.read = HashMap::new();
        let folder = place.original(&lane.logs());
        let (Some(state), Some((_, folder))) = (&self.state, split_root(&folder)) else { return Ok(()) };
        // Whole hours: those are told of.
        let from = self.from.map_or(Timestamp::MIN, hour_of);
        let until = Timestamp::from_micros(hour_of(self.until).micros() + HOUR).unwrap_or(Timestamp::MAX);
        for content in state.contents_read(folder, from, until)? {
            self.read.entry(content.key).or_default().insert(content.hash, content.records);
        }
        Ok(())
    }

    /// How many records came from a file that a digest names, if it was ingested as the digest has it.
    pub(super) fn of_file(&mut self, session: &Session, file: &LogFile) -> anyhow::Result<Option<u64>> {
        let Some((_, rest)) = split_root(&file.key) else { return Ok(None) };
        if let Some(contents) = self.read.get(rest) {
            return Ok(file.hash.and_then(|hash| contents.get(&hash.to_string()).copied()));
        }
        let stored = match &mut self.stored {
            Some(stored) => stored,
            none => none.insert(stored(session, self.from, self.until)?),
        };
        Ok(stored.get(&name_of(rest)).copied())
    }
}

fn name_of(rest: &str) -> u128 {
    Sha256::of(rest.as_bytes()).half()
}

fn stored(session: &Session, from: Option<Timestamp>, until: Timestamp) -> anyhow::Result<HashMap<u128, u64>> {
    let mut stored = HashMap::new();
    let asker = Asker::open(session, None)?;
    if asker.empty.is_some() {
        return Ok(stored);
    }
    let first = from.map_or(0, |from| from.day().days() - DAYS);
    let (first, last) = (Day::from_days(first), until.day());
    let sql = format!(
        "SELECT source_object, count(*) AS records FROM events \
         WHERE event_date BETWEEN DATE '{first}' AND DATE '{last}' GROUP BY source_object"
    );
    let conversation = asker.session()?;
    let interrupted = || anyhow::anyhow!("interrupted");
    let mut answer = asker.wait(conversation.ask(&sql))?.ok_or_else(interrupted)?;
    while let Some(block) = asker.wait(answer.next())?.ok_or_else(interrupted)? {
        for row in 0..block.len() {
            let row = block.row(row);
            let (Some(name), Some(records)) = (row[0].as_str(), row[1].as_u64()) else { continue };
            if let Some((_, rest)) = split_root(name) {
                // Two copies of one file are one file.
                *stored.entry(name_of(rest)).or_default() += records;
            }
        }
    }
    Ok(stored)
}

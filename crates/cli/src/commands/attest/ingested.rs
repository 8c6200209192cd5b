//! Which log files were ingested: those that were read to be proven, by their content, and else those that events are
//! stored from.

use std::collections::HashMap;

use event::{Day, Timestamp};
use integrity::digest::LogFile;
use integrity::layout::split_root;
use local::state::SqliteState;
use pipeline::proof::ProofStore;

use crate::ask::Asker;
use crate::session::Session;

/// An event is delivered within hours, a backfilled one within days.
const DAYS: i32 = 7;

/// Log files by what follows `AWSLogs/` in their names.
pub(super) struct Ingested {
    /// What they were read as, with the records in each content.
    read: HashMap<String, HashMap<String, u64>>,
    /// How many events are stored from each.
    stored: HashMap<String, u64>,
}

impl Ingested {
    pub(super) fn of(session: &Session, from: Option<Timestamp>, until: Timestamp) -> anyhow::Result<Ingested> {
        let mut read: HashMap<String, HashMap<String, u64>> = HashMap::new();
        if session.state_path().exists() {
            let state = SqliteState::open(&session.state_path())?;
            for content in state.contents_read(from.unwrap_or(Timestamp::MIN), until)? {
                if let Some((_, rest)) = split_root(&content.key) {
                    read.entry(rest.to_owned()).or_default().insert(content.hash, content.records);
                }
            }
        }
        Ok(Ingested { read, stored: stored(session, from, until)? })
    }

    /// How many records came from a file that a digest names, if it was ingested as the digest has it.
    pub(super) fn of_file(&self, file: &LogFile) -> Option<u64> {
        let (_, rest) = split_root(&file.key)?;
        match self.read.get(rest) {
            Some(contents) => contents.get(&file.hash?.to_string()).copied(),
            None => self.stored.get(rest).copied(),
        }
    }
}

fn stored(session: &Session, from: Option<Timestamp>, until: Timestamp) -> anyhow::Result<HashMap<String, u64>> {
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
                *stored.entry(rest.to_owned()).or_default() += records;
            }
        }
    }
    Ok(stored)
}

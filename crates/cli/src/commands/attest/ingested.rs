//! Which log files were ingested, by the events that are stored from them.

use std::collections::HashMap;

use event::{Day, Timestamp};
use integrity::layout::split_root;

use crate::ask::Asker;
use crate::session::Session;

/// Log files of which events are stored, by what follows `AWSLogs/` in their names, with how many.
pub(super) struct Ingested(HashMap<String, u64>);

/// An event is delivered within hours, a backfilled one within days.
const DAYS: i32 = 7;

impl Ingested {
    pub(super) fn of(session: &Session, from: Option<Timestamp>, until: Timestamp) -> anyhow::Result<Ingested> {
        let mut ingested = HashMap::new();
        let asker = Asker::open(session, None)?;
        if asker.empty.is_some() {
            return Ok(Ingested(ingested));
        }
        let first = from.map_or(0, |from| from.day().days() - DAYS);
        let (first, last) = (Day::from_days(first), until.day());
        let sql = format!(
            "SELECT source_object, count(*) AS records FROM events \
             WHERE event_date BETWEEN DATE '{first}' AND DATE '{last}' GROUP BY source_object"
        );
        let conversation = asker.session()?;
        let Some(mut answer) = asker.wait(conversation.ask(&sql))? else { return Ok(Ingested(ingested)) };
        while let Some(Some(block)) = asker.wait(answer.next())? {
            for row in 0..block.len() {
                let row = block.row(row);
                let (Some(name), Some(records)) = (row[0].as_str(), row[1].as_u64()) else { continue };
                if let Some((_, rest)) = split_root(name) {
                    // Two copies of one file are one file.
                    *ingested.entry(rest.to_owned()).or_default() += records;
                }
            }
        }
        Ok(Ingested(ingested))
    }

    /// How many records are stored from a file, if any are.
    pub(super) fn of_key(&self, key: &str) -> Option<u64> {
        self.0.get(split_root(key)?.1).copied()
    }
}

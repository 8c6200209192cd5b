//! Values as the database holds them, checked on their way back.

use detect::Severity;
use event::Timestamp;
use pipeline::alert::{Acknowledgement, Alert, AlertId, Arrival};
use pipeline::history::RunId;
use pipeline::pattern::Pattern;
use pipeline::suppress::SuppressionId;
use rusqlite::Row;

use super::error::Failure;

/// The columns of `alerts` in the order in which [`alert`] reads them; `record` is the last one.
pub(super) const ALERT_COLUMNS: &str = "alerts.id, event_id, detection, severity, attempted, event_time, arrival, \
     first_seen, run, suppressed_by, acknowledged_at, acknowledged_by, acknowledged_note, account, region, user, \
     session, actor_arn, role_arn, source_ip, user_agent, event_name, event_source, title, summary, action_required, \
     techniques, record";

/// The place of `record` in [`ALERT_COLUMNS`].
const RECORD: usize = 27;

/// An alert, its record left out.
pub(super) fn alert_without_record(row: &Row<'_>) -> Result<Alert, Failure> {
    let techniques: String = row.get(26)?;
    let acknowledged = match row.get::<_, Option<i64>>(10)? {
        None => None,
        Some(at) => Some(Acknowledgement { at: time(at)?, by: row.get(11)?, note: row.get(12)? }),
    };
    Ok(Alert {
        id: AlertId::from_stored(row.get(0)?),
        event_id: row.get(1)?,
        detection: row.get(2)?,
        severity: severity(row.get(3)?)?,
        attempted: row.get(4)?,
        event_time: time(row.get(5)?)?,
        arrival: arrival(row.get(6)?)?,
        first_seen: time(row.get(7)?)?,
        run: row.get::<_, Option<i64>>(8)?.map(RunId),
        suppressed_by: row.get::<_, Option<String>>(9)?.map(SuppressionId::from_stored),
        acknowledged,
        account: row.get(13)?,
        region: row.get(14)?,
        user: row.get(15)?,
        session: row.get(16)?,
        actor_arn: row.get(17)?,
        role_arn: row.get(18)?,
        source_ip: row.get(19)?,
        user_agent: row.get(20)?,
        event_name: row.get(21)?,
        event_source: row.get(22)?,
        title: row.get(23)?,
        summary: row.get(24)?,
        action_required: row.get(25)?,
        techniques: serde_json::from_str(&techniques)
            .map_err(|error| Failure::Damaged(format!("techniques {techniques:?}: {error}")))?,
        record: String::new(),
    })
}

/// The record of an alert.
pub(super) fn record(row: &Row<'_>) -> Result<String, Failure> {
    Ok(row.get(RECORD)?)
}

/// An alert, whole.
pub(super) fn alert(row: &Row<'_>) -> Result<Alert, Failure> {
    Ok(Alert { record: record(row)?, ..alert_without_record(row)? })
}

/// A time.
pub(super) fn time(micros: i64) -> Result<Timestamp, Failure> {
    Timestamp::from_micros(micros).ok_or_else(|| Failure::Damaged(format!("{micros} is no time")))
}

const SEVERITIES: [Severity; 5] =
    [Severity::Informational, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

/// The number that stands for a severity.
pub(super) fn severity_rank(severity: Severity) -> i64 {
    match severity {
        Severity::Informational => 0,
        Severity::Low => 1,
        Severity::Medium => 2,
        Severity::High => 3,
        Severity::Critical => 4,
    }
}

/// The severity a number stands for.
pub(super) fn severity(rank: i64) -> Result<Severity, Failure> {
    let severity = usize::try_from(rank).ok().and_then(|rank| SEVERITIES.get(rank));
    severity.copied().ok_or_else(|| Failure::Damaged(format!("{rank} is no severity")))
}

/// The number that stands for an arrival, the most urgent the least.
pub(super) fn arrival_rank(arrival: Arrival) -> i64 {
    match arrival {
        Arrival::Live => 0,
        Arrival::Late => 1,
        Arrival::Backfill => 2,
    }
}

fn arrival(rank: i64) -> Result<Arrival, Failure> {
    let arrival = usize::try_from(rank).ok().and_then(|rank| Arrival::ALL.get(rank));
    arrival.copied().ok_or_else(|| Failure::Damaged(format!("{rank} is no arrival")))
}

/// A pattern.
pub(super) fn pattern(text: Option<String>) -> Result<Option<Pattern>, Failure> {
    text.map(|text| Pattern::new(&text)).transpose().map_err(|error| Failure::Damaged(error.to_string()))
}

/// A count for the database. None comes near the bound.
pub(super) fn stored_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A limit for the database: SQLite takes a negative one for none.
pub(super) fn stored_limit(limit: Option<usize>) -> i64 {
    limit.and_then(|limit| i64::try_from(limit).ok()).unwrap_or(-1)
}

/// A count from the database.
pub(super) fn count(stored: i64) -> Result<u64, Failure> {
    u64::try_from(stored).map_err(|_| Failure::Damaged(format!("{stored} is no count")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_is_the_last_column() {
        let columns: Vec<&str> = ALERT_COLUMNS.split(',').map(str::trim).collect();
        assert_eq!(columns.iter().position(|&column| column == "record"), Some(RECORD));
        assert_eq!(columns.len(), RECORD + 1);
    }

    #[test]
    fn a_rank_stands_for_what_it_was_made_from() {
        for known in SEVERITIES {
            assert_eq!(severity(severity_rank(known)).ok(), Some(known));
        }
        for known in Arrival::ALL {
            assert_eq!(arrival(arrival_rank(known)).ok(), Some(known));
        }
        assert!(SEVERITIES.is_sorted());
        assert!(severity(5).is_err() && arrival(-1).is_err());
    }
}

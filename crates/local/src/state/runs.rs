//! The history of runs.

use event::Timestamp;
use pipeline::history::{PastRun, RecordCounts, RunEnd, RunId, SEVERITIES, SeverityCounts};
use pipeline::state::StateError;
use rusqlite::{Row, Transaction, params};

use super::error::Failure;
use super::row::{count, stored_count, stored_limit, time};

/// How many of a daemon's latest runs are kept even if they found nothing.
const KEPT: i64 = 1_000;

/// Writes down that a run has begun.
pub(super) fn begin(transaction: &Transaction<'_>, command: &str, at: Timestamp) -> Result<RunId, Failure> {
    transaction.execute("INSERT INTO runs (command, started) VALUES (?1, ?2)", params![command, at.micros()])?;
    Ok(RunId(transaction.last_insert_rowid()))
}

/// Writes down how a run ended.
pub(super) fn end(transaction: &Transaction<'_>, id: RunId, end: &RunEnd) -> Result<(), Failure> {
    let RunEnd { at, exit_code, records, unread, alerts, suppressed, error } = end;
    let [critical, high, medium, low, informational] = SEVERITIES.map(|severity| stored_count(alerts.get(severity)));
    let changed = transaction.execute(
        "UPDATE runs SET ended = ?2, exit_code = ?3, read = ?4, stored = ?5, duplicate = ?6, variant = ?7,
            filtered = ?8, rejected = ?9, critical = ?10, high = ?11, medium = ?12, low = ?13, informational = ?14,
            suppressed = ?15, insight = ?16, unread = ?17, error = ?18
         WHERE id = ?1",
        params![
            id.0,
            at.micros(),
            exit_code,
            stored_count(records.read),
            stored_count(records.stored),
            stored_count(records.duplicate),
            stored_count(records.variant),
            stored_count(records.filtered),
            stored_count(records.rejected),
            critical,
            high,
            medium,
            low,
            informational,
            stored_count(*suppressed),
            stored_count(records.insight),
            stored_count(*unread),
            error,
        ],
    )?;
    if changed == 0 {
        return Err(StateError::Unknown { what: "run", reference: id.to_string() }.into());
    }
    // A daemon makes a run a minute: of those that found nothing new, the latest are enough.
    transaction.execute(
        "DELETE FROM runs WHERE command IN ('run', 'trail') AND id < ?1 AND ended IS NOT NULL AND stored = 0
            AND NOT EXISTS (SELECT 1 FROM alerts WHERE alerts.run = runs.id)",
        [id.0 - KEPT],
    )?;
    Ok(())
}

/// The latest runs first.
pub(super) fn list(transaction: &Transaction<'_>, limit: usize) -> Result<Vec<PastRun>, Failure> {
    let mut statement = transaction.prepare(
        "SELECT id, command, started, ended, exit_code, read, stored, duplicate, variant, filtered, rejected, critical,
            high, medium, low, informational, suppressed, insight, unread, error
         FROM runs ORDER BY id DESC LIMIT ?1",
    )?;
    let mut rows = statement.query([stored_limit(Some(limit))])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(run(row)?);
    }
    Ok(found)
}

fn run(row: &Row<'_>) -> Result<PastRun, Failure> {
    let number = |column: usize| count(row.get(column)?);
    let end = match row.get::<_, Option<i64>>(3)? {
        None => None,
        Some(at) => {
            let mut alerts = SeverityCounts::default();
            for (place, severity) in SEVERITIES.into_iter().enumerate() {
                alerts.add(severity, number(11 + place)?);
            }
            let records = RecordCounts {
                read: number(5)?,
                stored: number(6)?,
                duplicate: number(7)?,
                variant: number(8)?,
                filtered: number(9)?,
                rejected: number(10)?,
                insight: number(17)?,
            };
            let (suppressed, unread) = (number(16)?, number(18)?);
            let (exit_code, error) = (row.get(4)?, row.get(19)?);
            Some(RunEnd { at: time(at)?, exit_code, records, unread, alerts, suppressed, error })
        }
    };
    Ok(PastRun { id: RunId(row.get(0)?), command: row.get(1)?, started: time(row.get(2)?)?, end })
}

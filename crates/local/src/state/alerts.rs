//! The alert ledger.

use event::Timestamp;
use pipeline::alert::{Acknowledgement, Alert, AlertId};
use pipeline::history::RunId;
use pipeline::outbox::{Delivery, Routes};
use pipeline::state::{AlertCounts, AlertFilter, Include, Page, Recorded};
use pipeline::suppress::SuppressionId;
use rusqlite::types::Value;
use rusqlite::{Statement, Transaction, params, params_from_iter};

use super::error::Failure;
use super::failpoint::{BEFORE_OUTBOX, failpoint};
use super::row::{
    ALERT_COLUMNS, alert, alert_without_record, arrival_rank, count as read_count, record as record_of, severity,
    severity_rank, stored_limit,
};

/// Records alerts and what the outbox is to send of them.
pub(super) fn record(transaction: &Transaction<'_>, alerts: &[Alert], routes: &Routes) -> Result<Recorded, Failure> {
    const INSERT: &str = "INSERT INTO alerts (id, event_id, detection, severity, attempted, event_time, arrival,
            first_seen, run, suppressed_by, acknowledged_at, acknowledged_by, acknowledged_note, account, region, user,
            session, actor_arn, role_arn, source_ip, user_agent, event_name, event_source, title, summary,
            action_required, techniques, record)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
            ?23, ?24, ?25, ?26, ?27, ?28)
        ON CONFLICT (id) DO NOTHING";
    let mut insert = transaction.prepare(INSERT)?;
    let mut hasten = transaction.prepare("UPDATE alerts SET arrival = ?2 WHERE id = ?1 AND arrival > ?2")?;
    let mut is_open =
        transaction.prepare("SELECT suppressed_by IS NULL AND acknowledged_at IS NULL FROM alerts WHERE id = ?1")?;
    let mut enqueue = transaction.prepare(
        "INSERT INTO outbox (alert, channel, state, attempts, at) VALUES (?1, ?2, ?3, 0, ?4)
         ON CONFLICT (alert, channel) DO NOTHING",
    )?;

    let mut recorded = Recorded::default();
    for (place, alert) in alerts.iter().enumerate() {
        let is_new = insert_one(&mut insert, alert)?;
        if is_new {
            recorded.note(place, alert);
        } else {
            hasten.execute(params![alert.id.as_str(), arrival_rank(alert.arrival)])?;
        }
        failpoint!(BEFORE_OUTBOX);
        let mut channels = routes.channels_for(alert).peekable();
        // Somebody may have seen to it, or silenced it, since it was recorded.
        if channels.peek().is_none() || !is_open.query_row([alert.id.as_str()], |row| row.get::<_, bool>(0))? {
            continue;
        }
        for channel in channels {
            let due = alert.first_seen.micros();
            enqueue.execute(params![alert.id.as_str(), channel, Delivery::Pending.as_str(), due])?;
        }
    }
    Ok(recorded)
}

/// Whether the alert was not there before.
fn insert_one(insert: &mut Statement<'_>, alert: &Alert) -> Result<bool, Failure> {
    let techniques = serde_json::Value::from(alert.techniques.clone()).to_string();
    let acknowledged = alert.acknowledged.as_ref();
    let inserted = insert.execute(params![
        alert.id.as_str(),
        alert.event_id,
        alert.detection,
        severity_rank(alert.severity),
        alert.attempted,
        alert.event_time.micros(),
        arrival_rank(alert.arrival),
        alert.first_seen.micros(),
        alert.run.map(|RunId(run)| run),
        alert.suppressed_by.as_ref().map(SuppressionId::as_str),
        acknowledged.map(|acknowledged| acknowledged.at.micros()),
        acknowledged.map(|acknowledged| &acknowledged.by),
        acknowledged.map(|acknowledged| &acknowledged.note),
        alert.account,
        alert.region,
        alert.user,
        alert.session,
        alert.actor_arn,
        alert.role_arn,
        alert.source_ip,
        alert.user_agent,
        alert.event_name,
        alert.event_source,
        alert.title,
        alert.summary,
        alert.action_required,
        techniques,
        alert.record,
    ])?;
    Ok(inserted == 1)
}

/// The part of a filter that SQL decides, as a condition and its parameters. Patterns are left to
/// [`AlertFilter::admits`].
fn condition(filter: &AlertFilter, page: &Page) -> (String, Vec<Value>) {
    let mut condition = "TRUE".to_owned();
    let mut values = Vec::new();
    let mut and = |clause: &str, parameters: Vec<Value>| {
        condition.push_str(" AND ");
        condition.push_str(clause);
        values.extend(parameters);
    };
    if let Some(since) = filter.since {
        and("event_time >= ?", vec![since.micros().into()]);
    }
    if let Some(until) = filter.until {
        and("event_time < ?", vec![until.micros().into()]);
    }
    if let Some(since) = filter.recorded_since {
        and("first_seen >= ?", vec![since.micros().into()]);
    }
    if let Some(least) = filter.at_least {
        and("severity >= ?", vec![severity_rank(least).into()]);
    }
    if let Some(account) = &filter.account {
        and("account = ?", vec![account.clone().into()]);
    }
    if let Some(event_id) = &filter.event_id {
        and("event_id = ?", vec![event_id.clone().into()]);
    }
    if let Some(RunId(run)) = filter.run {
        and("run = ?", vec![run.into()]);
    }
    match filter.suppressed {
        Include::Without => and("suppressed_by IS NULL", vec![]),
        Include::With => {}
        Include::Only => and("suppressed_by IS NOT NULL", vec![]),
    }
    match filter.acknowledged {
        Include::Without => and("acknowledged_at IS NULL", vec![]),
        Include::With => {}
        Include::Only => and("acknowledged_at IS NOT NULL", vec![]),
    }
    if let Some(cursor) = &page.after {
        let (time, id) = (cursor.event_time.micros(), cursor.id.as_str().to_owned());
        // The first half is what the index is entered by.
        and("event_time <= ? AND (event_time < ? OR id > ?)", vec![time.into(), time.into(), id.into()]);
    }
    (condition, values)
}

/// The alerts asked for, newest event first.
pub(super) fn list(transaction: &Transaction<'_>, filter: &AlertFilter, page: &Page) -> Result<Vec<Alert>, Failure> {
    let (condition, values) = condition(filter, page);
    let select = format!("SELECT {ALERT_COLUMNS} FROM alerts WHERE {condition} ORDER BY event_time DESC, id");
    let limit = page.limit.unwrap_or(usize::MAX);
    let mut statement = transaction.prepare(&select)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(row) = rows.next()?
    {
        // The record is long and stands elsewhere: only those that are wanted are read.
        let alert = alert_without_record(row)?;
        if filter.admits(&alert) {
            found.push(Alert { record: record_of(row)?, ..alert });
        }
    }
    Ok(found)
}

/// How many alerts are asked for.
pub(super) fn count(transaction: &Transaction<'_>, filter: &AlertFilter) -> Result<AlertCounts, Failure> {
    let (condition, values) = condition(filter, &Page::default());
    let mut counts = AlertCounts::default();
    if filter.detection.is_none() && filter.principal.is_none() {
        // Without patterns the condition is the whole filter, and SQL can count.
        let mut statement = transaction.prepare(&format!(
            "SELECT severity, suppressed_by IS NOT NULL, acknowledged_at IS NOT NULL, count(*)
             FROM alerts WHERE {condition} GROUP BY 1, 2, 3"
        ))?;
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            counts.add(severity(row.get(0)?)?, row.get(1)?, row.get(2)?, read_count(row.get(3)?)?);
        }
        return Ok(counts);
    }
    let mut statement = transaction.prepare(&format!("SELECT {ALERT_COLUMNS} FROM alerts WHERE {condition}"))?;
    let mut rows = statement.query(params_from_iter(values))?;
    while let Some(row) = rows.next()? {
        let alert = alert_without_record(row)?;
        if filter.admits(&alert) {
            counts.add(alert.severity, alert.suppressed_by.is_some(), alert.acknowledged.is_some(), 1);
        }
    }
    Ok(counts)
}

/// The alert with this id.
pub(super) fn get(transaction: &Transaction<'_>, id: &AlertId) -> Result<Option<Alert>, Failure> {
    let mut statement = transaction.prepare(&format!("SELECT {ALERT_COLUMNS} FROM alerts WHERE id = ?"))?;
    let mut rows = statement.query([id.as_str()])?;
    rows.next()?.map(alert).transpose()
}

/// The ids that begin so.
pub(super) fn ids(transaction: &Transaction<'_>, prefix: &str, limit: usize) -> Result<Vec<AlertId>, Failure> {
    // Ids are of 0-9 and a-f, so that everything that begins with the prefix lies before the prefix and a `g`.
    let mut statement =
        transaction.prepare("SELECT id FROM alerts WHERE id >= ?1 AND id < ?1 || 'g' ORDER BY id LIMIT ?2")?;
    let found = statement.query_map(params![prefix, stored_limit(Some(limit))], |row| row.get(0))?;
    Ok(found.map(|id| id.map(AlertId::from_stored)).collect::<Result<_, _>>()?)
}

/// Marks alerts as seen to.
pub(super) fn acknowledge(
    transaction: &Transaction<'_>,
    ids: &[AlertId],
    acknowledgement: &Acknowledgement,
) -> Result<u64, Failure> {
    let Acknowledgement { at, by, note } = acknowledgement;
    let mut update = transaction.prepare(
        "UPDATE alerts SET acknowledged_at = ?2, acknowledged_by = ?3, acknowledged_note = ?4
         WHERE id = ?1 AND acknowledged_at IS NULL",
    )?;
    let mut changed = 0;
    for id in ids {
        changed += update.execute(params![id.as_str(), at.micros(), by, note])?;
    }
    Ok(changed as u64)
}

/// Takes acknowledgements back.
pub(super) fn unacknowledge(transaction: &Transaction<'_>, ids: &[AlertId]) -> Result<u64, Failure> {
    let mut update = transaction.prepare(
        "UPDATE alerts SET acknowledged_at = NULL, acknowledged_by = NULL, acknowledged_note = NULL
         WHERE id = ?1 AND acknowledged_at IS NOT NULL",
    )?;
    let mut changed = 0;
    for id in ids {
        changed += update.execute([id.as_str()])?;
    }
    Ok(changed as u64)
}

/// Silences alerts that are recorded already, and takes back what was not sent of them yet.
pub(super) fn suppress(transaction: &Transaction<'_>, ids: &[AlertId], by: &SuppressionId) -> Result<u64, Failure> {
    super::suppressions::require(transaction, by)?;
    let mut update =
        transaction.prepare("UPDATE alerts SET suppressed_by = ?2 WHERE id = ?1 AND suppressed_by IS NULL")?;
    let mut take_back = transaction.prepare("DELETE FROM outbox WHERE alert = ?1 AND state = ?2")?;
    let mut changed = 0;
    for id in ids {
        let silenced = update.execute([id.as_str(), by.as_str()])?;
        if silenced > 0 {
            take_back.execute([id.as_str(), Delivery::Pending.as_str()])?;
        }
        changed += silenced;
    }
    Ok(changed as u64)
}

/// Removes the alerts of events before this time, and what the outbox holds of them.
pub(super) fn expire(transaction: &Transaction<'_>, before: Timestamp) -> Result<u64, Failure> {
    let before = before.micros();
    transaction.execute("DELETE FROM outbox WHERE alert IN (SELECT id FROM alerts WHERE event_time < ?1)", [before])?;
    Ok(transaction.execute("DELETE FROM alerts WHERE event_time < ?1", [before])? as u64)
}

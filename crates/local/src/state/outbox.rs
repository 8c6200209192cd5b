//! The outbox.

use event::Timestamp;
use pipeline::alert::AlertId;
use pipeline::notify::ChannelHealth;
use pipeline::outbox::{Delivery, Notification, OutboxRow, Outcome};
use rusqlite::{OptionalExtension, Transaction, params};

use super::error::Failure;
use super::row::{ALERT_COLUMNS, alert, count, stored_limit, time};

/// What nobody has seen to: an alert that was acknowledged while it waited need not be sent, unless that is taken back.
const OPEN: &str = "alerts.acknowledged_at IS NULL";

/// Whether anything of a channel's is due.
pub(super) fn is_due(transaction: &Transaction<'_>, channel: &str, now: Timestamp) -> Result<bool, Failure> {
    let select = format!(
        "SELECT EXISTS (SELECT 1 FROM outbox JOIN alerts ON alerts.id = outbox.alert
         WHERE outbox.state = ?1 AND outbox.at <= ?2 AND outbox.channel = ?3 AND {OPEN})"
    );
    Ok(transaction.query_row(&select, params![Delivery::Pending.as_str(), now.micros(), channel], |row| row.get(0))?)
}

/// Hands out what is due of one channel, and puts it off until the lease ends.
pub(super) fn claim(
    transaction: &Transaction<'_>,
    channel: &str,
    now: Timestamp,
    lease: Timestamp,
    limit: usize,
) -> Result<Vec<Notification>, Failure> {
    let select = format!(
        "SELECT {ALERT_COLUMNS}, outbox.attempts
         FROM outbox JOIN alerts ON alerts.id = outbox.alert
         WHERE outbox.state = ?1 AND outbox.at <= ?2 AND outbox.channel = ?3 AND {OPEN}
         ORDER BY severity DESC, outbox.at, alerts.id
         LIMIT ?4"
    );
    let mut statement = transaction.prepare(&select)?;
    let limit = stored_limit(Some(limit));
    let mut rows = statement.query(params![Delivery::Pending.as_str(), now.micros(), channel, limit])?;
    let mut claimed = Vec::new();
    while let Some(row) = rows.next()? {
        claimed.push(Notification { alert: alert(row)?, channel: channel.to_owned(), attempts: row.get("attempts")? });
    }
    let alerts: Vec<AlertId> = claimed.iter().map(|notification| notification.alert.id.clone()).collect();
    hold(transaction, channel, &alerts, lease)?;
    Ok(claimed)
}

/// Puts off what waits, without counting an attempt.
pub(super) fn hold(
    transaction: &Transaction<'_>,
    channel: &str,
    alerts: &[AlertId],
    until: Timestamp,
) -> Result<(), Failure> {
    let mut put_off =
        transaction.prepare("UPDATE outbox SET at = ?4 WHERE alert = ?1 AND channel = ?2 AND state = ?3")?;
    for alert in alerts {
        put_off.execute(params![alert.as_str(), channel, Delivery::Pending.as_str(), until.micros()])?;
    }
    Ok(())
}

/// Whether anything of a channel's waits for a time after this.
pub(super) fn waits_beyond(transaction: &Transaction<'_>, channel: &str, beyond: Timestamp) -> Result<bool, Failure> {
    let select = "SELECT EXISTS (SELECT 1 FROM outbox WHERE state = ?1 AND at > ?2 AND channel = ?3)";
    Ok(transaction
        .query_row(select, params![Delivery::Pending.as_str(), beyond.micros(), channel], |row| row.get(0))?)
}

/// Makes due what waits for a time after this.
pub(super) fn recall(
    transaction: &Transaction<'_>,
    channel: &str,
    beyond: Timestamp,
    now: Timestamp,
) -> Result<(), Failure> {
    transaction.execute(
        "UPDATE outbox SET at = ?4 WHERE state = ?1 AND at > ?2 AND channel = ?3",
        params![Delivery::Pending.as_str(), beyond.micros(), channel, now.micros()],
    )?;
    Ok(())
}

/// Writes down how attempts ended. What is no longer there was silenced or has expired meanwhile.
pub(super) fn settle(
    transaction: &Transaction<'_>,
    channel: &str,
    outcomes: &[(AlertId, Outcome)],
) -> Result<(), Failure> {
    let mut settle = transaction.prepare(
        "UPDATE outbox SET state = ?3, attempts = attempts + 1, at = ?4, error = ?5 WHERE alert = ?1 AND channel = ?2",
    )?;
    for (alert, outcome) in outcomes {
        let (state, at, error) = match outcome {
            Outcome::Sent { at, .. } => (Delivery::Sent, at, None),
            Outcome::Retry { after, error } => (Delivery::Pending, after, Some(error)),
            Outcome::Failed { at, error } => (Delivery::Failed, at, Some(error)),
        };
        settle.execute(params![alert.as_str(), channel, state.as_str(), at.micros(), error])?;
    }
    Ok(())
}

/// The rows in a state, oldest first. What was acknowledged waits for nothing.
pub(super) fn list(transaction: &Transaction<'_>, state: Delivery, limit: usize) -> Result<Vec<OutboxRow>, Failure> {
    let mut statement = transaction.prepare(&format!(
        "SELECT alert, channel, attempts, at, error FROM outbox JOIN alerts ON alerts.id = outbox.alert
         WHERE state = ?1 AND (state <> ?3 OR {OPEN})
         ORDER BY at, alert, channel LIMIT ?2"
    ))?;
    let waits = Delivery::Pending.as_str();
    let mut rows = statement.query(params![state.as_str(), stored_limit(Some(limit)), waits])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(OutboxRow {
            alert: AlertId::from_stored(row.get(0)?),
            channel: row.get(1)?,
            state,
            attempts: row.get(2)?,
            at: time(row.get(3)?)?,
            error: row.get(4)?,
        });
    }
    Ok(found)
}

/// How each channel is.
pub(super) fn channels(transaction: &Transaction<'_>) -> Result<Vec<ChannelHealth>, Failure> {
    let mut statement = transaction.prepare(&format!(
        "SELECT channel, count(*) FILTER (WHERE state = ?1 AND attempts = 0 AND {OPEN}),
            count(*) FILTER (WHERE state = ?1 AND attempts > 0 AND {OPEN}),
            count(*) FILTER (WHERE state = ?2), count(*) FILTER (WHERE state = ?3), max(at) FILTER (WHERE state = ?3)
         FROM outbox JOIN alerts ON alerts.id = outbox.alert
         GROUP BY channel ORDER BY channel"
    ))?;
    let [pending, failed, sent] = [Delivery::Pending, Delivery::Failed, Delivery::Sent].map(Delivery::as_str);
    let mut rows = statement.query([pending, failed, sent])?;
    let mut last_error = transaction.prepare(&format!(
        "SELECT error FROM outbox JOIN alerts ON alerts.id = outbox.alert
         WHERE channel = ?1 AND state <> ?2 AND error IS NOT NULL AND (state <> ?3 OR {OPEN})
         ORDER BY at DESC, alert LIMIT 1"
    ))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let channel: String = row.get(0)?;
        let error = last_error.query_row([&channel, sent, pending], |row| row.get(0)).optional()?;
        found.push(ChannelHealth {
            channel,
            configured: false,
            waiting: count(row.get(1)?)?,
            retrying: count(row.get(2)?)?,
            failed: count(row.get(3)?)?,
            sent: count(row.get(4)?)?,
            last_sent: row.get::<_, Option<i64>>(5)?.map(time).transpose()?,
            last_error: error,
        });
    }
    Ok(found)
}

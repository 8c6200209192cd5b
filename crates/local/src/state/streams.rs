//! Streams of the event history: what is covered, and how far their walks have come.

use event::Timestamp;
use pipeline::collect::{Health, Pause, Stream, StreamChange, StreamState, Trouble, TroubleKind, Walk};
use pipeline::coverage::{Coverage, Interval};
use rusqlite::{Row, Transaction, params};

use super::error::Failure;
use super::row::{count, stored_count, time};

/// Every stream, by id.
pub(super) fn list(transaction: &Transaction<'_>) -> Result<Vec<StreamState>, Failure> {
    let mut statement = transaction.prepare(
        "SELECT id, since, last_run, last_success, last_event, events, calls, trouble, trouble_message, trouble_since,
            trouble_last, paused_at, paused_by, paused_reason
         FROM streams ORDER BY id",
    )?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let mut state = stream(row)?;
        let id = state.stream.to_string();
        state.coverage = coverage(transaction, &id)?;
        state.walks = walks(transaction, &id)?;
        found.push(state);
    }
    Ok(found)
}

/// Writes down how far streams have come.
pub(super) fn save(transaction: &Transaction<'_>, changes: &[StreamChange]) -> Result<(), Failure> {
    let mut upsert = transaction.prepare(
        "INSERT INTO streams (id, since, last_run, last_success, last_event, events, calls, trouble, trouble_message,
            trouble_since, trouble_last)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (id) DO UPDATE SET
            since = min(coalesce(since, excluded.since), coalesce(excluded.since, since)), last_run = excluded.last_run,
            last_success = excluded.last_success, last_event = excluded.last_event, events = excluded.events,
            calls = excluded.calls, trouble = excluded.trouble, trouble_message = excluded.trouble_message,
            trouble_since = excluded.trouble_since, trouble_last = excluded.trouble_last",
    )?;
    for StreamChange { stream, since, covered, walks, health } in changes {
        let id = stream.to_string();
        let trouble = health.trouble.as_ref();
        upsert.execute(params![
            id,
            since.map(Timestamp::micros),
            health.last_run.map(Timestamp::micros),
            health.last_success.map(Timestamp::micros),
            health.last_event.map(Timestamp::micros),
            stored_count(health.events),
            stored_count(health.calls),
            trouble.map(|trouble| trouble.kind.as_str()),
            trouble.map(|trouble| &trouble.message),
            trouble.map(|trouble| trouble.since.micros()),
            trouble.map(|trouble| trouble.last.micros()),
        ])?;
        cover(transaction, &id, covered)?;
        replace_walks(transaction, &id, walks)?;
    }
    Ok(())
}

/// Pauses a stream or lets it go on. Returns whether that changed anything.
pub(super) fn pause(transaction: &Transaction<'_>, stream: &Stream, pause: Option<&Pause>) -> Result<bool, Failure> {
    let id = stream.to_string();
    let Some(Pause { at, by, reason }) = pause else {
        let changed = transaction.execute(
            "UPDATE streams SET paused_at = NULL, paused_by = NULL, paused_reason = NULL
             WHERE id = ?1 AND paused_at IS NOT NULL",
            [id],
        )?;
        return Ok(changed > 0);
    };
    transaction.execute("INSERT INTO streams (id) VALUES (?1) ON CONFLICT (id) DO NOTHING", [&id])?;
    let changed = transaction.execute(
        "UPDATE streams SET paused_at = ?2, paused_by = ?3, paused_reason = ?4 WHERE id = ?1 AND paused_at IS NULL",
        params![id, at.micros(), by, reason],
    )?;
    Ok(changed > 0)
}

/// Forgets what was read: the lake that holds it is not there.
pub(super) fn forget(transaction: &Transaction<'_>) -> Result<(), Failure> {
    transaction.execute("DELETE FROM coverage", [])?;
    transaction.execute("DELETE FROM walks", [])?;
    Ok(())
}

/// Adds to what is covered: another process may have added to it, too.
fn cover(transaction: &Transaction<'_>, id: &str, covered: &Coverage) -> Result<(), Failure> {
    let known = coverage(transaction, id)?;
    let mut all = known.clone();
    all.union(covered);
    if all == known {
        return Ok(());
    }
    transaction.execute("DELETE FROM coverage WHERE stream = ?1", [id])?;
    let mut insert =
        transaction.prepare("INSERT INTO coverage (stream, covered_from, covered_to) VALUES (?1, ?2, ?3)")?;
    for interval in all.intervals() {
        insert.execute(params![id, interval.from.micros(), interval.to.micros()])?;
    }
    Ok(())
}

fn coverage(transaction: &Transaction<'_>, id: &str) -> Result<Coverage, Failure> {
    let mut statement =
        transaction.prepare("SELECT covered_from, covered_to FROM coverage WHERE stream = ?1 ORDER BY covered_from")?;
    let mut rows = statement.query([id])?;
    let mut coverage = Coverage::default();
    while let Some(row) = rows.next()? {
        coverage.add(Interval::new(time(row.get(0)?)?, time(row.get(1)?)?));
    }
    Ok(coverage)
}

fn replace_walks(transaction: &Transaction<'_>, id: &str, walks: &[Walk]) -> Result<(), Failure> {
    transaction.execute("DELETE FROM walks WHERE stream = ?1", [id])?;
    let mut insert = transaction.prepare(
        "INSERT INTO walks (stream, place, window_from, window_to, begun, asked_to, token, reached, missed, tries, empty)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    for (place, walk) in walks.iter().enumerate() {
        let missed: Vec<[i64; 2]> =
            walk.missed.intervals().iter().map(|interval| [interval.from.micros(), interval.to.micros()]).collect();
        insert.execute(params![
            id,
            stored_count(place as u64),
            walk.window.from.micros(),
            walk.window.to.micros(),
            walk.begun.micros(),
            walk.asked_to.micros(),
            walk.token,
            walk.reached.map(Timestamp::micros),
            serde_json::json!(missed).to_string(),
            walk.tries,
            walk.empty,
        ])?;
    }
    Ok(())
}

fn walks(transaction: &Transaction<'_>, id: &str) -> Result<Vec<Walk>, Failure> {
    let mut statement = transaction.prepare(
        "SELECT window_from, window_to, begun, asked_to, token, reached, missed, tries, empty
         FROM walks WHERE stream = ?1 ORDER BY place",
    )?;
    let mut rows = statement.query([id])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(walk(row)?);
    }
    Ok(found)
}

fn walk(row: &Row<'_>) -> Result<Walk, Failure> {
    let text: String = row.get(6)?;
    let pairs: Vec<[i64; 2]> = serde_json::from_str(&text)
        .map_err(|error| Failure::Damaged(format!("seconds passed over {text:?}: {error}")))?;
    let mut missed = Coverage::default();
    for [from, to] in pairs {
        missed.add(Interval::new(time(from)?, time(to)?));
    }
    Ok(Walk {
        window: Interval::new(time(row.get(0)?)?, time(row.get(1)?)?),
        begun: time(row.get(2)?)?,
        asked_to: time(row.get(3)?)?,
        token: row.get(4)?,
        reached: maybe_time(row, 5)?,
        missed,
        tries: row.get(7)?,
        empty: row.get(8)?,
    })
}

fn stream(row: &Row<'_>) -> Result<StreamState, Failure> {
    let id: String = row.get(0)?;
    let stream: Stream = id.parse().map_err(|_| Failure::Damaged(format!("{id:?} names no stream")))?;
    let trouble = match row.get::<_, Option<String>>(7)? {
        None => None,
        Some(kind) => Some(Trouble {
            kind: trouble_kind(&kind)?,
            message: row.get(8)?,
            since: time(row.get(9)?)?,
            last: time(row.get(10)?)?,
        }),
    };
    let pause = match maybe_time(row, 11)? {
        None => None,
        Some(at) => Some(Pause { at, by: row.get(12)?, reason: row.get(13)? }),
    };
    let health = Health {
        last_run: maybe_time(row, 2)?,
        last_success: maybe_time(row, 3)?,
        last_event: maybe_time(row, 4)?,
        events: count(row.get(5)?)?,
        calls: count(row.get(6)?)?,
        trouble,
    };
    Ok(StreamState { since: maybe_time(row, 1)?, health, pause, ..StreamState::new(stream) })
}

fn maybe_time(row: &Row<'_>, column: usize) -> Result<Option<Timestamp>, Failure> {
    row.get::<_, Option<i64>>(column)?.map(time).transpose()
}

pub(super) fn trouble_kind(name: &str) -> Result<TroubleKind, Failure> {
    let kind = TroubleKind::ALL.into_iter().find(|kind| kind.as_str() == name);
    kind.ok_or_else(|| Failure::Damaged(format!("{name:?} is no kind of trouble")))
}

//! What is to be collected.

use pipeline::collect::{Scope, Stream, Trouble, Unknown};
use rusqlite::{Transaction, params};

use super::error::Failure;
use super::row::{stored_count, time};
use super::streams::trouble_kind;

pub(super) fn read(transaction: &Transaction<'_>) -> Result<Scope, Failure> {
    let mut scope = Scope::default();
    let mut statement = transaction.prepare("SELECT stream FROM wanted ORDER BY place")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        let stream: Stream = id.parse().map_err(|_| Failure::Damaged(format!("{id:?} names no stream")))?;
        scope.streams.push(stream);
    }
    let mut statement =
        transaction.prepare("SELECT subject, trouble, message, since, last FROM unknown ORDER BY subject")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let kind = trouble_kind(&row.get::<_, String>(1)?)?;
        let trouble = Trouble { kind, message: row.get(2)?, since: time(row.get(3)?)?, last: time(row.get(4)?)? };
        scope.unknown.push(Unknown { subject: row.get(0)?, trouble });
    }
    Ok(scope)
}

pub(super) fn save(transaction: &Transaction<'_>, scope: &Scope) -> Result<(), Failure> {
    transaction.execute_batch("DELETE FROM wanted; DELETE FROM unknown;")?;
    let mut insert = transaction.prepare("INSERT OR IGNORE INTO wanted (place, stream) VALUES (?1, ?2)")?;
    for (place, stream) in scope.streams.iter().enumerate() {
        insert.execute(params![stored_count(place as u64), stream.to_string()])?;
    }
    let mut insert = transaction.prepare(
        "INSERT OR REPLACE INTO unknown (subject, trouble, message, since, last) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for Unknown { subject, trouble } in &scope.unknown {
        let Trouble { kind, message, since, last } = trouble;
        insert.execute(params![subject, kind.as_str(), message, since.micros(), last.micros()])?;
    }
    Ok(())
}

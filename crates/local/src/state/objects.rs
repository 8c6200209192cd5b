//! Which objects were read, and into which lake.

use event::Timestamp;
use pipeline::state::{LakeFit, ObjectVersion};
use rusqlite::{OptionalExtension, Transaction, params};

use super::error::Failure;
use super::row::stored_count;
use super::{proofs, streams};

/// Which of the objects were read in this very version.
pub(super) fn seen(transaction: &Transaction<'_>, objects: &[ObjectVersion]) -> Result<Vec<bool>, Failure> {
    let mut look =
        transaction.prepare("SELECT EXISTS (SELECT 1 FROM objects WHERE location = ?1 AND etag = ?2 AND size = ?3)")?;
    let mut found = Vec::with_capacity(objects.len());
    for ObjectVersion { location, etag, size } in objects {
        found.push(look.query_row(params![location, etag, stored_count(*size)], |row| row.get(0))?);
    }
    Ok(found)
}

/// Writes down that objects were read.
pub(super) fn mark(transaction: &Transaction<'_>, objects: &[ObjectVersion], at: Timestamp) -> Result<(), Failure> {
    let mut insert = transaction.prepare(
        "INSERT INTO objects (location, etag, size, read_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (location) DO UPDATE SET etag = excluded.etag, size = excluded.size, read_at = excluded.read_at",
    )?;
    for ObjectVersion { location, etag, size } in objects {
        insert.execute(params![location, etag, stored_count(*size), at.micros()])?;
    }
    Ok(())
}

/// Compares the lake with the one remembered, and remembers it.
pub(super) fn fit_lake(transaction: &Transaction<'_>, id: &str, version: i64) -> Result<LakeFit, Failure> {
    let remembered: Option<(String, i64)> =
        transaction.query_row("SELECT id, version FROM lake", [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let fit = match remembered {
        None => LakeFit::First,
        Some((known, last)) if known == id && last <= version => LakeFit::Same,
        Some(_) => {
            let forgotten = transaction.execute("DELETE FROM objects", [])?;
            streams::forget(transaction)?;
            proofs::forget(transaction)?;
            LakeFit::Restored { forgotten: forgotten as u64 }
        }
    };
    transaction.execute(
        "INSERT INTO lake (only, id, version) VALUES (0, ?1, ?2)
         ON CONFLICT (only) DO UPDATE SET id = excluded.id, version = excluded.version",
        params![id, version],
    )?;
    Ok(fit)
}

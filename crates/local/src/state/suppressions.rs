//! Suppressions.

use pipeline::state::StateError;
use pipeline::suppress::{AddressRange, Conditions, Removal, Suppression, SuppressionId};
use rusqlite::{Row, Transaction, params};

use super::error::Failure;
use super::row::{pattern, time};

/// Adds a suppression, or brings one back that was removed.
pub(super) fn add(transaction: &Transaction<'_>, suppression: &Suppression) -> Result<bool, Failure> {
    let Suppression { id, conditions, reason, from, until, created_at, created_by, removed } = suppression;
    let changed = transaction.execute(
        "INSERT INTO suppressions (id, detection, principal, account, source_ip, reason, covers_from, covers_until,
            created_at, created_by, removed_at, removed_by)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (id) DO UPDATE SET created_at = excluded.created_at, created_by = excluded.created_by,
            removed_at = NULL, removed_by = NULL
         WHERE removed_at IS NOT NULL",
        params![
            id.as_str(),
            conditions.detection.as_ref().map(|pattern| pattern.as_str()),
            conditions.principal.as_ref().map(|pattern| pattern.as_str()),
            conditions.account,
            conditions.source_ip.map(|range| range.to_string()),
            reason,
            from.map(|time| time.micros()),
            until.micros(),
            created_at.micros(),
            created_by,
            removed.as_ref().map(|removal| removal.at.micros()),
            removed.as_ref().map(|removal| &removal.by),
        ],
    )?;
    Ok(changed == 1)
}

/// Every suppression, the oldest first.
pub(super) fn list(transaction: &Transaction<'_>) -> Result<Vec<Suppression>, Failure> {
    let mut statement = transaction.prepare(
        "SELECT id, detection, principal, account, source_ip, reason, covers_from, covers_until, created_at,
            created_by, removed_at, removed_by
         FROM suppressions ORDER BY created_at, id",
    )?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(suppression(row)?);
    }
    Ok(found)
}

fn suppression(row: &Row<'_>) -> Result<Suppression, Failure> {
    let source_ip = row.get::<_, Option<String>>(4)?.map(|range| range.parse::<AddressRange>()).transpose();
    let conditions = Conditions {
        detection: pattern(row.get(1)?)?,
        principal: pattern(row.get(2)?)?,
        account: row.get(3)?,
        source_ip: source_ip.map_err(|error| Failure::Damaged(error.to_string()))?,
    };
    let removed = match row.get::<_, Option<i64>>(10)? {
        None => None,
        Some(at) => Some(Removal { at: time(at)?, by: row.get(11)? }),
    };
    Ok(Suppression {
        id: SuppressionId::from_stored(row.get(0)?),
        conditions,
        reason: row.get(5)?,
        from: row.get::<_, Option<i64>>(6)?.map(time).transpose()?,
        until: time(row.get(7)?)?,
        created_at: time(row.get(8)?)?,
        created_by: row.get(9)?,
        removed,
    })
}

/// Takes a suppression back.
pub(super) fn remove(transaction: &Transaction<'_>, id: &SuppressionId, removal: &Removal) -> Result<bool, Failure> {
    require(transaction, id)?;
    let changed = transaction.execute(
        "UPDATE suppressions SET removed_at = ?2, removed_by = ?3 WHERE id = ?1 AND removed_at IS NULL",
        params![id.as_str(), removal.at.micros(), removal.by],
    )?;
    Ok(changed == 1)
}

/// Makes sure that there is such a suppression.
pub(super) fn require(transaction: &Transaction<'_>, id: &SuppressionId) -> Result<(), Failure> {
    let is_there: bool =
        transaction
            .query_row("SELECT EXISTS (SELECT 1 FROM suppressions WHERE id = ?1)", [id.as_str()], |row| row.get(0))?;
    if is_there {
        return Ok(());
    }
    Err(StateError::Unknown { what: "suppression", reference: id.to_string() }.into())
}

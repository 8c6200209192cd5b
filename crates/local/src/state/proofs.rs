//! What was read of trails, what digests say of it, and what follows.

use std::collections::BTreeSet;

use event::Timestamp;
use pipeline::proof::{
    ContentRead, Digest, Evidence, Failure as ProofFailure, Named, Place, ProofCounts, ReadLog, Signature, Standing,
};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::error::Failure;
use super::row::{count as stored, stored_count, time};

/// [`Standing::of`] in SQL, a row for each key: of those that were read, and of those that are only named.
const STANDINGS: &str = "
    SELECT account, region, delivered, records,
        CASE WHEN NOT is_named THEN 'pending' WHEN good = reads THEN 'proven' ELSE 'failed' END AS standing
    FROM (
        SELECT key, min(account) AS account, min(region) AS region, min(delivered) AS delivered,
            sum(records) AS records, count(*) AS reads,
            sum(hash <> '' AND NOT EXISTS (SELECT 1 FROM log_names AS n JOIN digests AS d ON d.id = n.digest
                WHERE n.key = log_reads.key AND n.hash <> log_reads.hash AND d.proven)) AS good,
            EXISTS (SELECT 1 FROM log_names AS n JOIN digests AS d ON d.id = n.digest
                WHERE n.key = log_reads.key AND d.proven) AS is_named
        FROM log_reads GROUP BY key)
    UNION ALL
    SELECT min(account), min(region), min(delivered), 0, 'missing'
    FROM log_names JOIN digests ON digests.id = log_names.digest
    WHERE digests.proven AND NOT EXISTS (SELECT 1 FROM log_reads WHERE log_reads.key = log_names.key)
    GROUP BY log_names.key";

/// Writes down what was read, and finds the log files it speaks of that stand failed.
pub(super) fn add(
    transaction: &Transaction<'_>,
    evidence: &[Evidence],
    at: Timestamp,
) -> Result<Vec<ProofFailure>, Failure> {
    let mut touched = BTreeSet::new();
    for piece in evidence {
        match piece {
            Evidence::Log(log) => {
                add_log(transaction, log, at)?;
                touched.insert(log.place.key.clone());
            }
            Evidence::Digest(digest) => {
                add_digest(transaction, digest, at)?;
                // Also where it was proven before: its alerts may not have been recorded.
                touched.extend(digest.names.iter().map(|named| named.place.key.clone()));
                vouch(transaction, digest, &mut touched)?;
            }
        }
    }
    let mut untold = transaction.prepare("SELECT key FROM log_failures WHERE NOT told")?;
    let mut rows = untold.query([])?;
    while let Some(row) = rows.next()? {
        touched.insert(row.get(0)?);
    }
    let mut failures = Vec::new();
    let mut insert =
        transaction.prepare("INSERT INTO log_failures (key, told) VALUES (?1, 0) ON CONFLICT DO NOTHING")?;
    for key in &touched {
        if let Some(failure) = failure(transaction, key)? {
            insert.execute([key])?;
            failures.push(failure);
        }
    }
    Ok(failures)
}

/// Writes down that the ledger has their alerts.
pub(super) fn told(transaction: &Transaction<'_>, failures: &[ProofFailure]) -> Result<(), Failure> {
    let mut update = transaction.prepare("UPDATE log_failures SET told = 1 WHERE key = ?1 AND NOT told")?;
    for failure in failures {
        update.execute([&failure.key])?;
    }
    Ok(())
}

fn add_log(transaction: &Transaction<'_>, log: &ReadLog, at: Timestamp) -> Result<(), Failure> {
    let ReadLog { place, name, hash, records } = log;
    let Place { key, account, region, delivered, .. } = place;
    let mut insert = transaction.prepare(
        "INSERT INTO log_reads (key, hash, name, account, region, delivered, records, read_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (key, hash) DO UPDATE SET records = max(records, excluded.records)",
    )?;
    let (hash, delivered) = (hash.as_deref().unwrap_or_default(), delivered.map(Timestamp::micros));
    insert.execute(params![key, hash, name, account, region, delivered, stored_count(*records), at.micros()])?;
    Ok(())
}

fn add_digest(transaction: &Transaction<'_>, digest: &Digest, at: Timestamp) -> Result<(), Failure> {
    let Digest { key, hash, signature, previous, names } = digest;
    let (proven, reason) = match signature {
        Signature::Good => (true, None),
        Signature::Unchecked(reason) | Signature::Forged(reason) => (false, Some(reason)),
    };
    let (previous_key, previous_hash) = previous.as_ref().map(|(key, hash)| (key, hash)).unzip();
    // The same text with its signature beside it, read from elsewhere, proves what could not be proven before.
    transaction
        .prepare(
            "INSERT INTO digests (key, hash, proven, reason, previous_key, previous_hash, read_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (key, hash) DO UPDATE SET proven = 1, reason = NULL WHERE excluded.proven AND NOT proven",
        )?
        .execute(params![key, hash, proven, reason, previous_key, previous_hash, at.micros()])?;
    let id: i64 = transaction
        .prepare("SELECT id FROM digests WHERE key = ?1 AND hash = ?2")?
        .query_row([key, hash], |row| row.get(0))?;
    let mut insert = transaction.prepare(
        "INSERT INTO log_names (key, digest, hash, account, region, delivered) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO NOTHING",
    )?;
    for Named { place, hash } in names {
        let Place { key, account, region, delivered, .. } = place;
        let (hash, delivered) = (hash.as_deref().unwrap_or_default(), delivered.map(Timestamp::micros));
        insert.execute(params![key, id, hash, account, region, delivered])?;
    }
    Ok(())
}

/// Lets a digest be proven by the one after it, and those before it by it, as far as they follow one another.
fn vouch(transaction: &Transaction<'_>, digest: &Digest, touched: &mut BTreeSet<String>) -> Result<(), Failure> {
    let mut is_proven = transaction.prepare(
        "SELECT proven OR EXISTS (SELECT 1 FROM digests AS later
            WHERE later.previous_key = digests.key AND later.previous_hash = digests.hash AND later.proven)
         FROM digests WHERE key = ?1 AND hash = ?2",
    )?;
    let mut prove = transaction
        .prepare("UPDATE digests SET proven = 1, reason = NULL WHERE key = ?1 AND hash = ?2 AND NOT proven")?;
    let mut look = transaction.prepare(
        "SELECT previous_key, previous_hash FROM digests WHERE key = ?1 AND hash = ?2 AND previous_hash IS NOT NULL",
    )?;
    let mut names = transaction.prepare(
        "SELECT log_names.key FROM log_names JOIN digests ON digests.id = log_names.digest
         WHERE digests.key = ?1 AND digests.hash = ?2",
    )?;
    let (mut key, mut hash) = (digest.key.clone(), digest.hash.clone());
    if !is_proven.query_row([&key, &hash], |row| row.get(0))? {
        return Ok(());
    }
    prove.execute([&key, &hash])?;
    loop {
        let before: Option<(String, String)> =
            look.query_row([&key, &hash], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some(before) = before else { return Ok(()) };
        (key, hash) = before;
        // One that is not there, or was proven before, ends it.
        if prove.execute([&key, &hash])? == 0 {
            return Ok(());
        }
        let mut rows = names.query([&key, &hash])?;
        while let Some(row) = rows.next()? {
            touched.insert(row.get(0)?);
        }
    }
}

/// What is wrong with a log file, where it stands failed.
fn failure(transaction: &Transaction<'_>, key: &str) -> Result<Option<ProofFailure>, Failure> {
    // Of the pairs that differ the first: the same one every time.
    let mut look = transaction.prepare(
        "SELECT r.key, r.name, r.account, r.region, r.delivered, r.hash, n.hash, d.key
         FROM log_reads AS r JOIN log_names AS n ON n.key = r.key JOIN digests AS d ON d.id = n.digest AND d.proven
         WHERE r.key = ?1 AND (r.hash = '' OR n.hash <> r.hash)
         ORDER BY r.hash, d.key, d.hash LIMIT 1",
    )?;
    let mut rows = look.query([key])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let hash = |column: usize| -> Result<Option<String>, Failure> {
        Ok(Some(row.get::<_, String>(column)?).filter(|hash| !hash.is_empty()))
    };
    Ok(Some(ProofFailure {
        key: row.get(0)?,
        name: row.get(1)?,
        account: row.get(2)?,
        region: row.get(3)?,
        delivered: row.get::<_, Option<i64>>(4)?.map(time).transpose()?,
        read: hash(5)?,
        named: hash(6)?,
        digest: row.get(7)?,
    }))
}

/// What is known of all log files and digests.
pub(super) fn count(transaction: &Transaction<'_>) -> Result<ProofCounts, Failure> {
    let mut counts = ProofCounts::default();
    let mut select = transaction.prepare(&format!("SELECT standing, count(*) FROM ({STANDINGS}) GROUP BY standing"))?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        counts.add(standing(row, 0)?, stored(row.get(1)?)?);
    }
    let (proven, others): (i64, i64) = transaction.query_row(
        "SELECT count(*) FILTER (WHERE proven), count(*) FILTER (WHERE NOT proven) FROM digests",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(ProofCounts { digests: stored(proven)?, unproven_digests: stored(others)?, ..counts })
}

/// The contents of log files of a folder that were read, of those delivered in a time.
pub(super) fn contents_read(
    transaction: &Transaction<'_>,
    folder: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<ContentRead>, Failure> {
    let mut select = transaction.prepare(
        "SELECT key, hash, records FROM log_reads
         WHERE key >= ?1 AND key < ?2 AND delivered >= ?3 AND delivered < ?4 ORDER BY key, hash",
    )?;
    // What comes after a slash.
    let behind = format!("{}0", folder.trim_end_matches('/'));
    let mut rows = select.query(params![folder, behind, from.micros(), to.micros()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(ContentRead { key: row.get(0)?, hash: row.get(1)?, records: stored(row.get(2)?)? });
    }
    Ok(found)
}

/// Forgets what was read: the lake does not hold it any longer. What digests say stays true.
pub(super) fn forget(transaction: &Transaction<'_>) -> Result<(), Failure> {
    transaction.execute("DELETE FROM log_reads", [])?;
    Ok(())
}

fn standing(row: &Row<'_>, column: usize) -> Result<Standing, Failure> {
    let text: String = row.get(column)?;
    let known = Standing::ALL.into_iter().find(|standing| standing.to_string() == text);
    known.ok_or_else(|| Failure::Damaged(format!("a log file's standing is {text:?}")))
}

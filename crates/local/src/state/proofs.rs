//! What was read of trails, what digests say of it, and what follows.

use std::collections::BTreeSet;

use event::Timestamp;
use pipeline::proof::{
    ContentRead, Digest, Evidence, Failure as ProofFailure, Named, Place, Previous, ProofCounts, Provable, ReadLog,
    Signable, Signature, Standing,
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
    failures(transaction, touched)
}

/// Those of the log files that stand failed, and those whose alerts are not known to be recorded.
fn failures(transaction: &Transaction<'_>, mut touched: BTreeSet<String>) -> Result<Vec<ProofFailure>, Failure> {
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
    let Digest { key, hash, signature, signable, previous, names } = digest;
    let (proven, reason) = match signature {
        Signature::Good => (true, None),
        Signature::Unchecked(reason) | Signature::Forged(reason) => (false, Some(reason)),
    };
    let (previous_key, previous_hash) = previous.as_ref().map(|Previous { key, hash, .. }| (key, hash)).unzip();
    let signable = signable.as_ref().filter(|_| !proven);
    let (text, fingerprint) = signable.map(|Signable { text, fingerprint, .. }| (text, fingerprint)).unzip();
    let signed = signable.map(|signable| signable.signed.micros());
    // The same text with its signature beside it, read from elsewhere, proves what could not be proven before.
    transaction
        .prepare(
            "INSERT INTO digests (key, hash, proven, reason, previous_key, previous_hash, read_at, signable, fingerprint,
                signed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (key, hash) DO UPDATE SET
            proven = excluded.proven,
            reason = CASE WHEN excluded.proven THEN NULL ELSE reason END,
            signable = CASE WHEN excluded.proven THEN NULL ELSE coalesce(excluded.signable, signable) END,
            fingerprint = CASE WHEN excluded.proven THEN NULL ELSE coalesce(excluded.fingerprint, fingerprint) END,
            signed = CASE WHEN excluded.proven THEN NULL ELSE coalesce(max(excluded.signed, signed), excluded.signed) END
         WHERE NOT proven",
        )?
        .execute(params![
            key,
            hash,
            proven,
            reason,
            previous_key,
            previous_hash,
            at.micros(),
            text,
            fingerprint,
            signed
        ])?;
    // A proven one vouches for the one before it by its hash.
    let own = signable.and_then(|signable| signable.signature.as_ref()).map(|own| (key, own));
    let carried = previous.as_ref().filter(|_| !proven);
    let carried = carried.and_then(|previous| Some((&previous.key, previous.signature.as_ref()?)));
    let mut insert = transaction.prepare(
        "INSERT INTO digest_signatures (key, signature)
         SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM digests WHERE key = ?1 AND proven) ON CONFLICT DO NOTHING",
    )?;
    for (key, signature) in own.into_iter().chain(carried) {
        insert.execute([key, signature])?;
    }
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

/// Lets a digest be proven by the one after it, and those before it by it.
fn vouch(transaction: &Transaction<'_>, digest: &Digest, touched: &mut BTreeSet<String>) -> Result<(), Failure> {
    let mut is_proven = transaction.prepare(
        "SELECT proven OR EXISTS (SELECT 1 FROM digests AS later
            WHERE later.previous_key = digests.key AND later.previous_hash = digests.hash AND later.proven)
         FROM digests WHERE key = ?1 AND hash = ?2",
    )?;
    match is_proven.query_row([&digest.key, &digest.hash], |row| row.get(0))? {
        true => prove_from(transaction, (digest.key.clone(), digest.hash.clone()), touched),
        false => Ok(()),
    }
}

/// Takes a digest for proven, and those before it as far as they follow one another.
fn prove_from(
    transaction: &Transaction<'_>,
    (mut key, mut hash): (String, String),
    touched: &mut BTreeSet<String>,
) -> Result<(), Failure> {
    let mut prove = transaction.prepare(
        "UPDATE digests SET proven = 1, reason = NULL, signable = NULL, fingerprint = NULL, signed = NULL
         WHERE key = ?1 AND hash = ?2 AND NOT proven",
    )?;
    // One content is CloudTrail's: no other one of that name waits for them.
    let mut forget = transaction.prepare("DELETE FROM digest_signatures WHERE key = ?1")?;
    let mut look = transaction.prepare(
        "SELECT previous_key, previous_hash FROM digests WHERE key = ?1 AND hash = ?2 AND previous_hash IS NOT NULL",
    )?;
    let mut names = transaction.prepare(
        "SELECT log_names.key FROM log_names JOIN digests ON digests.id = log_names.digest
         WHERE digests.key = ?1 AND digests.hash = ?2",
    )?;
    let mut is_first = true;
    loop {
        // One that is not there, or was proven before, ends it; the first was just read.
        let is_news = prove.execute([&key, &hash])? > 0;
        if !is_news && !is_first {
            return Ok(());
        }
        forget.execute([&key])?;
        let mut rows = names.query([&key, &hash])?;
        while let Some(row) = rows.next()?.filter(|_| is_news) {
            touched.insert(row.get(0)?);
        }
        let before: Option<(String, String)> =
            look.query_row([&key, &hash], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some(before) = before else { return Ok(()) };
        (key, hash) = before;
        is_first = false;
    }
}

/// How many signatures are tried at once.
const TRIED: i64 = 512;

/// Digests that are not proven, with the signatures that may be theirs.
pub(super) fn provable(transaction: &Transaction<'_>, behind: Option<&Provable>) -> Result<Vec<Provable>, Failure> {
    let mut select = transaction.prepare(
        "SELECT d.id, d.key, d.signable, d.fingerprint, d.signed, s.signature
         FROM digests AS d JOIN digest_signatures AS s ON s.key = d.key
         WHERE NOT d.proven AND d.signable IS NOT NULL
            AND d.key >= ?1 AND (d.key, d.id, s.signature) > (?1, ?2, ?3)
         ORDER BY d.key, d.id, s.signature LIMIT ?4",
    )?;
    let (key, id, signature) =
        behind.map_or(("", 0, ""), |behind| (behind.key.as_str(), behind.id, behind.signature.as_str()));
    let mut rows = select.query(params![key, id, signature, TRIED])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Provable {
            id: row.get(0)?,
            key: row.get(1)?,
            text: row.get(2)?,
            fingerprint: row.get(3)?,
            signed: time(row.get(4)?)?,
            signature: row.get(5)?,
        });
    }
    Ok(found)
}

/// Takes digests for proven by their signatures, and those before them.
pub(super) fn prove(transaction: &Transaction<'_>, digests: &[i64]) -> Result<Vec<ProofFailure>, Failure> {
    let mut touched = BTreeSet::new();
    let mut look = transaction.prepare("SELECT key, hash FROM digests WHERE id = ?1")?;
    for id in digests {
        let digest = look.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        if let Some(digest) = digest {
            prove_from(transaction, digest, &mut touched)?;
        }
    }
    failures(transaction, touched)
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

//! The format of the database and how it grows.
//!
//! Every step from one format to the next is a file of SQL that never changes once released; the number of steps taken
//! stands in the database's `user_version`.

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use super::PATIENCE;
use super::error::Failure;
use super::failpoint::{MIGRATE, failpoint};

/// Marks a SQLite database as ours: `TRHD`.
const APPLICATION_ID: i64 = 0x5452_4844;

/// The steps, the first of which creates the tables.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
    include_str!("migrations/0006.sql"),
    include_str!("migrations/0007.sql"),
];

/// The format this version writes.
const FORMAT: i64 = MIGRATIONS.len() as i64;

/// Sets a fresh connection up, and brings the database to the current format.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), Failure> {
    connection.busy_timeout(PATIENCE)?;
    // Looked at before anything is written: a file that is not ours stays as it is.
    let is_current = format(connection)? == FORMAT;
    write_ahead(connection)?;
    // FULL: what the ledger has told is on the disk. `fullfsync` is what that takes on macOS.
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA fullfsync = ON;
         PRAGMA foreign_keys = ON;
         PRAGMA trusted_schema = OFF;
         PRAGMA cell_size_check = ON;",
    )?;
    if is_current { Ok(()) } else { migrate(connection) }
}

/// Switches to a write-ahead log, so that readers do not wait for writers. It stays so, and where a file system cannot
/// share memory SQLite keeps its rollback journal, which is as safe.
fn write_ahead(connection: &Connection) -> Result<(), Failure> {
    const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);
    let mut tries = PATIENCE.as_millis() / PAUSE.as_millis();
    loop {
        let switched = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0));
        match switched {
            Ok(_) => return Ok(()),
            // Where two processes switch at once SQLite refuses one of them without waiting.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && tries > 0 => {
                tries -= 1;
                std::thread::sleep(PAUSE);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The format of the database: 0 for one without anything in it.
fn format(connection: &Connection) -> Result<i64, Failure> {
    // One statement, so that a process that is just creating the tables is seen before or after, not in between.
    let (application, format, tables): (i64, i64, i64) = connection.query_row(
        "SELECT (SELECT application_id FROM pragma_application_id),
                (SELECT user_version FROM pragma_user_version),
                (SELECT count(*) FROM sqlite_schema)",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    if application == 0 && format == 0 && tables == 0 {
        return Ok(0);
    }
    if application != APPLICATION_ID {
        return Err(Failure::Foreign("it is another program's SQLite database".to_owned()));
    }
    if format > FORMAT {
        return Err(Failure::Newer { found: format, known: FORMAT });
    }
    if format < 1 {
        return Err(Failure::Damaged(format!("its format is {format}")));
    }
    Ok(format)
}

fn migrate(connection: &mut Connection) -> Result<(), Failure> {
    failpoint!(MIGRATE.before);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been quicker.
    let found = format(&transaction)?;
    let taken = usize::try_from(found).unwrap_or_default();
    for step in &MIGRATIONS[taken..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    failpoint!(MIGRATE.before_commit);
    transaction.commit()?;
    failpoint!(MIGRATE.after_commit);
    Ok(())
}

/// What is wrong with the database, as SQLite sees it.
pub(super) fn verify(transaction: &Transaction<'_>) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    let mut check = transaction.prepare("PRAGMA integrity_check")?;
    let mut lines = check.query([])?;
    while let Some(row) = lines.next()? {
        found.push(row.get::<_, String>(0)?);
    }
    found.retain(|line| line != "ok");
    let mut check = transaction.prepare("PRAGMA foreign_key_check")?;
    let mut rows = check.query([])?;
    while let Some(row) = rows.next()? {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        found.push(format!("a row of {table} names a row of {parent} that is not there"));
    }
    Ok(found)
}

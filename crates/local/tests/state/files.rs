//! Files that are no state, are damaged, or come from the future: each gives one clear error and stays as it is.

use std::fs;
use std::path::Path;

use local::state::SqliteState;
use pipeline::outbox::Routes;
use pipeline::state::{AlertFilter, Ledger, Page, StateError, StateStore};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::{alerts, open};

fn refused(path: &Path) -> StateError {
    let before = fs::read(path).unwrap();
    let error = SqliteState::open(path).expect_err("it is refused");
    assert_eq!(fs::read(path).unwrap(), before, "it was changed");
    error
}

#[test]
fn a_file_of_another_kind() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state.db");
    fs::write(&path, "these are my notes and no database at all\n".repeat(100)).unwrap();
    let error = refused(&path);
    assert_eq!(error.to_string(), format!("{} is no state of this program: it is no SQLite database", path.display()));
}

#[test]
fn a_database_of_another_program() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
    assert!(matches!(refused(&path), StateError::Foreign { .. }));
}

#[test]
fn a_database_of_a_newer_version() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state.db");
    drop(open(folder.path()));
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = refused(&path);
    assert!(matches!(error, StateError::Newer { found: 99, known: 7, .. }), "{error}");
    assert!(
        error.to_string().ends_with("was written by a newer version (format 99, this one knows 7); update the program")
    );
}

#[test]
fn a_damaged_database() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state.db");
    open(folder.path()).record_alerts(&alerts(0..500), &Routes::default()).unwrap();
    let whole = fs::read(&path).unwrap();
    assert_eq!(open(folder.path()).verify().unwrap(), Vec::<String>::new());

    // Cut off, and overwritten behind its first pages.
    let cut = whole[..whole.len() / 2].to_vec();
    let mut overwritten = whole;
    overwritten[8192..].fill(0xa5);
    for damaged in [cut, overwritten] {
        fs::write(&path, damaged).unwrap();
        let outcome = SqliteState::open(&path)
            .and_then(|state| state.alerts(&AlertFilter::default(), &Page::default()).map(drop));
        match outcome {
            Err(error @ StateError::Damaged { .. }) => assert!(error.to_string().contains("restore it from a backup")),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_value_that_this_program_never_wrote() {
    let folder = TempDir::new().unwrap();
    let state = open(folder.path());
    state.record_alerts(&alerts(0..1), &Routes::default()).unwrap();
    let raw = Connection::open(folder.path().join("state.db")).unwrap();
    for (set, named) in [("event_time = -1", "-1 is no time"), ("techniques = '{'", "techniques")] {
        raw.execute_batch(&format!("BEGIN; UPDATE alerts SET {set}; COMMIT")).unwrap();
        let error = state.alerts(&AlertFilter::default(), &Page::default()).unwrap_err();
        assert!(matches!(error, StateError::Damaged { .. }) && error.to_string().contains(named), "{error}");
        raw.execute_batch("UPDATE alerts SET event_time = 1767225600000000, techniques = '[]'").unwrap();
    }
    // A row that names one that is not there, as a careless hand leaves it.
    raw.execute_batch("PRAGMA foreign_keys = OFF; UPDATE alerts SET run = 99").unwrap();
    assert_eq!(state.verify().unwrap(), ["a row of alerts names a row of runs that is not there"]);
}

#[test]
fn a_folder_that_is_not_there() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("missing/state.db");
    let error = SqliteState::open(&path).expect_err("there is no folder");
    assert!(matches!(error, StateError::Open { .. }));
    assert!(error.to_string().starts_with(&format!("{} could not be opened: ", path.display())), "{error}");
}

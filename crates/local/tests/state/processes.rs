//! Several connections, threads and processes on one database.

use std::process::{Child, Command};
use std::thread;

use local::state::SqliteState;
use pipeline::outbox::{Delivery, Outbox, Routes};
use pipeline::state::{AlertFilter, Ledger, Page, StateStore};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::{alerts, listed, mail, open};

/// Names the folder to a child process.
pub(crate) const FOLDER: &str = "STATE_TEST_FOLDER";

/// Starts one of this file's ignored tests in a process of its own.
pub(crate) fn start(test: &str, folder: &TempDir, settings: &[(&str, &str)]) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored", "--quiet"]).env(FOLDER, folder.path()).env_remove("FAILPOINTS");
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    command.envs(settings.iter().copied()).spawn().unwrap()
}

pub(crate) fn state_of_this_process() -> SqliteState {
    open(std::env::var_os(FOLDER).expect("a parent").as_ref())
}

#[test]
#[ignore = "a process that another test starts"]
fn record_a_thousand() {
    let state = state_of_this_process();
    for start in (0..1000).step_by(20) {
        state.record_alerts(&alerts(start..start + 20), &mail(true)).unwrap();
    }
}

#[test]
fn processes_that_create_and_write_at_once_lose_and_double_nothing() {
    let folder = TempDir::new().unwrap();
    let children: Vec<Child> = (0..4).map(|_| start("processes::record_a_thousand", &folder, &[])).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let state = open(folder.path());
    assert_eq!(state.alerts(&AlertFilter::default(), &Page::default()).unwrap(), listed(alerts(0..1000)));
    assert_eq!(state.outbox(Delivery::Pending, 2000).unwrap().len(), 1000);
    assert_eq!(state.verify().unwrap(), Vec::<String>::new());
}

#[test]
fn of_many_that_record_the_same_exactly_one_is_told_that_it_is_new() {
    let folder = TempDir::new().unwrap();
    let new: usize = thread::scope(|scope| {
        let record = || {
            let state = open(folder.path());
            let batches = (0..200).step_by(10).map(|start| alerts(start..start + 10));
            batches.map(|batch| state.record_alerts(&batch, &Routes::default()).unwrap().new.len()).sum::<usize>()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(record)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(new, 200);
}

#[test]
fn of_many_senders_exactly_one_gets_each_notification() {
    let folder = TempDir::new().unwrap();
    open(folder.path()).record_alerts(&alerts(0..100), &mail(true)).unwrap();
    let (now, lease) = (crate::time("2026-02-01T00:00:00Z"), crate::time("2026-02-01T00:10:00Z"));
    let mut claimed: Vec<_> = thread::scope(|scope| {
        let claim = || {
            let state = open(folder.path());
            let mut mine = Vec::new();
            loop {
                let batch = state.claim("mail", now, lease, 7).unwrap();
                if batch.is_empty() || mine.len() > 100 {
                    return mine;
                }
                mine.extend(batch.into_iter().map(|notification| notification.alert.id));
            }
        };
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(claim)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    claimed.sort();
    let mut expected: Vec<_> = alerts(0..100).into_iter().map(|alert| alert.id).collect();
    expected.sort();
    assert_eq!(claimed, expected);
}

#[test]
fn a_reader_does_not_wait_for_a_writer() {
    let folder = TempDir::new().unwrap();
    let state = open(folder.path());
    state.record_alerts(&alerts(0..3), &Routes::default()).unwrap();
    let writer = Connection::open(folder.path().join("state.db")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE; DELETE FROM alerts").unwrap();
    // With the patience of half a minute this would show.
    assert_eq!(state.alerts(&AlertFilter::default(), &Page::default()).unwrap().len(), 3);
    assert_eq!(open(folder.path()).alerts(&AlertFilter::default(), &Page::default()).unwrap().len(), 3);
}

//! A crash at every write boundary, and kills at any moment: run again, and all is as if nothing had happened.

use std::thread;
use std::time::Duration;

use fail::FailScenario;
use local::state::{FAILPOINTS, SqliteState};
use pipeline::alert::{Acknowledgement, Alert};
use pipeline::collect::{Scope, StreamState, StreamStore};
use pipeline::history::{RecordCounts, RunEnd, SeverityCounts};
use pipeline::outbox::{Delivery, Outbox, OutboxRow, Outcome};
use pipeline::proof::{ProofCounts, ProofStore};
use pipeline::state::{AlertFilter, LakeFit, Ledger, ObjectLedger, ObjectVersion, Page, StateStore, SuppressionStore};
use pipeline::suppress::{Removal, Suppression};
use tempfile::TempDir;

use crate::processes::{start, state_of_this_process};
use crate::proofs::some_evidence;
use crate::streams::{paused, scope, stream_change};
use crate::{alert, alerts, listed, mail, open, suppression, time};

fn object() -> ObjectVersion {
    ObjectVersion { location: "s3://b/1".to_owned(), etag: "a".to_owned(), size: 1 }
}

/// Does everything that writes, such that doing it twice, or a part of it and then all of it, is doing it once.
fn do_everything(state: &SqliteState) {
    let now = time("2026-02-01T00:00:00Z");
    let by = "bob".to_owned();
    let run = state.begin_run("ingest", now).unwrap();
    state.fit_lake("lake", &|| Ok(1)).unwrap();
    let (kept, removed) = (suppression("alice"), suppression("carol"));
    state.add_suppression(&kept).unwrap();
    state.add_suppression(&removed).unwrap();
    state.remove_suppression(&removed.id, &Removal { at: now, by: by.clone() }).unwrap();
    state.record_alerts(&alerts(0..6), &mail(true)).unwrap();
    let ids: Vec<_> = alerts(0..3).into_iter().map(|alert| alert.id).collect();
    state.acknowledge(&ids, &Acknowledgement { at: now, by, note: String::new() }).unwrap();
    state.unacknowledge(&ids[..1]).unwrap();
    state.suppress_alerts(&ids[2..], &kept.id).unwrap();
    state.claim("mail", now, time("2026-02-01T00:05:00Z"), 100).unwrap();
    state.settle("mail", &[(alert(5).id, Outcome::Sent { at: now, receipt: None })]).unwrap();
    state.record_alerts(&[Alert { event_time: time("2020-01-01T00:00:00Z"), ..alert(9) }], &mail(true)).unwrap();
    state.expire_alerts(time("2020-01-02T00:00:00Z")).unwrap();
    state.mark_objects(&[object()], now).unwrap();
    state.save_streams(&[stream_change()]).unwrap();
    state.pause_stream(&stream_change().stream, Some(&paused())).unwrap();
    state.save_scope(&scope()).unwrap();
    state.failures_told(&state.add_evidence(&some_evidence(), now).unwrap()).unwrap();
    let signed: Vec<i64> = state.provable(None).unwrap().iter().map(|provable| provable.id).collect();
    state.failures_told(&state.prove(&signed).unwrap()).unwrap();
    let (records, alerts) = (RecordCounts::default(), SeverityCounts::default());
    state
        .end_run(run, &RunEnd { at: now, exit_code: 0, records, unread: 0, alerts, suppressed: 0, error: None })
        .unwrap();
}

/// All that can be seen of a state, the runs before the last one left out: a run that was cut off stays on record.
#[derive(Debug, PartialEq)]
struct Seen {
    alerts: Vec<Alert>,
    outbox: Vec<Vec<OutboxRow>>,
    suppressions: Vec<Suppression>,
    last_run_ended: bool,
    objects: Vec<bool>,
    lake: LakeFit,
    streams: Vec<StreamState>,
    scope: Scope,
    proofs: ProofCounts,
}

fn see(state: &SqliteState) -> Seen {
    // Only the number of attempts tells how often a notification was tried.
    let row = |row: OutboxRow| OutboxRow { attempts: 0, ..row };
    let rows = |delivery| state.outbox(delivery, 100).unwrap().into_iter().map(row).collect();
    Seen {
        alerts: state.alerts(&AlertFilter::default(), &Page::default()).unwrap(),
        outbox: Delivery::ALL.into_iter().map(rows).collect(),
        suppressions: state.suppressions().unwrap(),
        last_run_ended: state.runs(1).unwrap()[0].end.is_some(),
        objects: state.seen_objects(&[object()]).unwrap(),
        lake: state.fit_lake("lake", &|| Ok(1)).unwrap(),
        scope: state.scope().unwrap(),
        proofs: state.count_proofs().unwrap(),
        streams: state.streams().unwrap(),
    }
}

#[test]
#[ignore = "a process that another test starts"]
fn everything_in_a_process() {
    let scenario = FailScenario::setup();
    do_everything(&state_of_this_process());
    scenario.teardown();
}

#[test]
fn a_crash_at_any_write_boundary_changes_nothing_in_the_end() {
    let undisturbed = TempDir::new().unwrap();
    assert!(start("crashes::everything_in_a_process", &undisturbed, &[]).wait().unwrap().success());
    let expected = see(&open(undisturbed.path()));
    assert!(expected.last_run_ended && expected.outbox.iter().any(|rows| !rows.is_empty()));

    for &point in FAILPOINTS {
        let folder = TempDir::new().unwrap();
        let crash = format!("{point}=return");
        let mut crashed = start("crashes::everything_in_a_process", &folder, &[("FAILPOINTS", &crash)]);
        assert!(!crashed.wait().unwrap().success(), "{point} was not met");
        let state = open(folder.path());
        assert_eq!(state.verify().unwrap(), Vec::<String>::new(), "{point}");
        // An alert that nobody has seen to is never there without what is to be sent of it.
        let sent = Delivery::ALL.into_iter().map(|delivery| state.outbox(delivery, 100).unwrap().len()).sum::<usize>();
        let recorded = state.alerts(&AlertFilter::default(), &Page::default()).unwrap();
        let open = recorded.iter().filter(|alert| alert.is_open()).count();
        assert_eq!(sent, open, "{point}");

        do_everything(&state);
        assert_eq!(see(&state), expected, "{point}");
    }
}

#[test]
#[ignore = "a process that another test starts"]
fn record_until_killed() {
    let state = state_of_this_process();
    for start in (0..100_000).step_by(10) {
        state.record_alerts(&alerts(start..start + 10), &mail(true)).unwrap();
    }
}

#[test]
fn kills_at_any_moment_leave_whole_batches_and_what_was_told_is_there() {
    let folder = TempDir::new().unwrap();
    let mut recorded = 0;
    for kill in 0..12 {
        let mut child = start("crashes::record_until_killed", &folder, &[]);
        thread::sleep(Duration::from_millis(30 + 23 * kill));
        child.kill().unwrap();
        child.wait().unwrap();
        let state = open(folder.path());
        let found = state.alerts(&AlertFilter::default(), &Page::default()).unwrap();
        let count = u32::try_from(found.len()).unwrap();
        assert!(count.is_multiple_of(10) && count >= recorded, "{count} after {recorded}");
        assert_eq!(found, listed(alerts(0..count)));
        assert_eq!(state.outbox(Delivery::Pending, 1_000_000).unwrap().len(), found.len());
        assert_eq!(state.verify().unwrap(), Vec::<String>::new());
        recorded = count;
    }
    assert!(recorded > 0, "no process lived long enough to write");
}

//! Suppressions, runs, objects and the lake.

use std::sync::atomic::{AtomicI64, Ordering};

use detect::Severity;
use event::Timestamp;
use local::state::SqliteState;
use pipeline::history::{PastRun, RecordCounts, RunEnd, RunId, SeverityCounts};
use pipeline::lookup::find_suppression;
use pipeline::pattern::Pattern;
use pipeline::state::{LakeFit, ObjectLedger, ObjectVersion, StateError, StateStore, SuppressionStore};
use pipeline::suppress::{Conditions, Removal, Suppression, SuppressionRequest};

use tempfile::TempDir;

use crate::{open, suppression, time};

fn now() -> Timestamp {
    time("2026-02-01T00:00:00Z")
}

#[test]
fn a_suppression_comes_back_as_it_was_added() {
    let state = SqliteState::in_memory().unwrap();
    let request = SuppressionRequest {
        conditions: Conditions {
            detection: Some(Pattern::new("user-*").unwrap()),
            principal: None,
            account: Some("111122223333".to_owned()),
            source_ip: Some("2001:db8::/32".parse().unwrap()),
        },
        reason: "a reason; with 'quotes'".to_owned(),
        from: Some(time("2026-01-01T00:00:00Z")),
        until: time("2026-03-01T00:00:00Z"),
        by: "bob".to_owned(),
    };
    let whole = Suppression::new(request, now()).unwrap();
    let later = Suppression { created_at: time("2026-02-02T00:00:00Z"), ..suppression("alice") };
    for one in [&later, &whole] {
        assert!(state.add_suppression(one).unwrap());
        assert!(!state.add_suppression(one).unwrap(), "it is there");
    }
    assert_eq!(state.suppressions().unwrap(), [whole.clone(), later]);
    assert_eq!(find_suppression(&state, &whole.id.as_str()[..4]).unwrap(), whole);
    for none in ["", "x"] {
        assert!(matches!(find_suppression(&state, none), Err(StateError::Unknown { .. })), "{none:?}");
    }
}

#[test]
fn a_suppression_taken_back_stays_on_record_and_can_come_back() {
    let state = SqliteState::in_memory().unwrap();
    let one = suppression("alice");
    let removal = Removal { at: time("2026-02-03T00:00:00Z"), by: "carol".to_owned() };
    let unknown = state.remove_suppression(&one.id, &removal);
    assert!(matches!(unknown, Err(StateError::Unknown { what: "suppression", .. })));
    state.add_suppression(&one).unwrap();
    assert!(state.remove_suppression(&one.id, &removal).unwrap());
    assert!(!state.remove_suppression(&one.id, &removal).unwrap());
    assert_eq!(state.suppressions().unwrap(), [Suppression { removed: Some(removal), ..one.clone() }]);

    let again = Suppression { created_at: time("2026-02-04T00:00:00Z"), created_by: "dave".to_owned(), ..one };
    assert!(state.add_suppression(&again).unwrap());
    assert_eq!(state.suppressions().unwrap(), [again]);
}

#[test]
fn runs_are_numbered_and_told_the_latest_first() {
    let state = SqliteState::in_memory().unwrap();
    let first = state.begin_run("ingest", now()).unwrap();
    let second = state.begin_run("collect", now()).unwrap();
    assert!(first < second);
    let end = RunEnd {
        at: time("2026-02-01T00:01:00Z"),
        exit_code: 3,
        records: RecordCounts { read: 27, stored: 1, duplicate: 2, variant: 3, filtered: 4, rejected: 11, insight: 6 },
        unread: 7,
        alerts: SeverityCounts::from_iter([Severity::Low, Severity::Critical, Severity::Low]),
        suppressed: 5,
        error: Some("the disk is full".to_owned()),
    };
    state.end_run(first, &end).unwrap();
    let expected = [
        PastRun { id: second, command: "collect".to_owned(), started: now(), end: None },
        PastRun { id: first, command: "ingest".to_owned(), started: now(), end: Some(end.clone()) },
    ];
    assert_eq!(state.runs(9).unwrap(), expected);
    assert_eq!(state.runs(1).unwrap(), expected[..1]);
    assert!(matches!(state.end_run(RunId(99), &end), Err(StateError::Unknown { what: "run", .. })));
}

#[test]
fn an_object_is_known_in_the_version_that_was_read() {
    let state = SqliteState::in_memory().unwrap();
    let object =
        |location: &str, etag: &str, size| ObjectVersion { location: location.to_owned(), etag: etag.to_owned(), size };
    let read = [object("s3://b/1", "a", 10), object("s3://b/2", "b", 20)];
    state.mark_objects(&read, now()).unwrap();
    let asked = [
        object("s3://b/1", "a", 10),
        object("s3://b/1", "z", 10),
        object("s3://b/1", "a", 11),
        object("s3://other/1", "a", 10),
        object("s3://b/2", "b", 20),
    ];
    assert_eq!(state.seen_objects(&asked).unwrap(), [true, false, false, false, true]);
    state.mark_objects(&[object("s3://b/1", "z", 10)], now()).unwrap();
    assert_eq!(state.seen_objects(&asked[..2]).unwrap(), [false, true], "it was replaced");
}

#[test]
fn objects_are_forgotten_where_the_lake_is_another_or_an_older_one() {
    let object = [ObjectVersion { location: "s3://b/1".to_owned(), etag: "a".to_owned(), size: 1 }];
    for (id, version, fit) in [
        ("lake-1", 7, LakeFit::Same),
        ("lake-1", 8, LakeFit::Same),
        ("lake-1", 6, LakeFit::Restored { forgotten: 1 }),
        ("lake-2", 9, LakeFit::Restored { forgotten: 1 }),
    ] {
        let state = SqliteState::in_memory().unwrap();
        assert_eq!(state.fit_lake("lake-1", &|| Ok(7)).unwrap(), LakeFit::First);
        state.mark_objects(&object, now()).unwrap();
        assert_eq!(state.fit_lake(id, &|| Ok(version)).unwrap(), fit);
        assert_eq!(state.seen_objects(&object).unwrap(), [fit == LakeFit::Same]);
        assert_eq!(state.fit_lake(id, &|| Ok(version)).unwrap(), LakeFit::Same, "it is remembered");
    }
}

#[test]
fn processes_that_commit_at_once_seem_no_restored_lake() {
    let folder = TempDir::new().unwrap();
    open(folder.path());
    let version = AtomicI64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let state = open(folder.path());
                for _ in 0..50 {
                    version.fetch_add(1, Ordering::SeqCst);
                    let fit = state.fit_lake("lake", &|| Ok(version.load(Ordering::SeqCst))).unwrap();
                    assert!(matches!(fit, LakeFit::First | LakeFit::Same), "{fit:?}");
                }
            });
        }
    });
}

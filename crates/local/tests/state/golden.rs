//! The formats on the disk, pinned: `tests/golden/state-vN.sql` is a database of format N, written out.
//!
//! What they hold must be read by every later version. When the format changes, [`FORMAT`] grows, the old files stay,
//! and the file of the new format is written by running this test with `TRAILHOUND_BLESS=1`.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use local::state::SqliteState;
use pipeline::alert::{Acknowledgement, Alert, Arrival};
use pipeline::collect::{Scope, StreamStore};
use pipeline::history::{RecordCounts, RunEnd, SeverityCounts};
use pipeline::outbox::{Delivery, Outbox, Outcome};
use pipeline::pattern::Pattern;
use pipeline::proof::{ProofCounts, ProofStore};
use pipeline::state::{AlertFilter, LakeFit, Ledger, ObjectLedger, ObjectVersion, Page, StateStore, SuppressionStore};
use pipeline::suppress::{Conditions, Removal, Suppression, SuppressionRequest};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use tempfile::TempDir;

use crate::proofs::{proofs_of_some, some_evidence};
use crate::streams::{paused, read_state, scope, stream_change};
use crate::{alert, listed, mail, open, suppression, time};

/// The format that is written.
const FORMAT: u32 = 7;

fn golden(format: u32) -> PathBuf {
    PathBuf::from(format!("tests/golden/state-v{format}.sql"))
}

fn object() -> ObjectVersion {
    ObjectVersion { location: "s3://trail/AWSLogs/1.json.gz".to_owned(), etag: "\"e1\"".to_owned(), size: 4096 }
}

fn bounded() -> Suppression {
    let request = SuppressionRequest {
        conditions: Conditions {
            detection: Some(Pattern::new("user-*").unwrap()),
            principal: None,
            account: Some("111122223333".to_owned()),
            source_ip: Some("203.0.113.0/24".parse().unwrap()),
        },
        reason: "the migration".to_owned(),
        from: Some(time("2026-01-01T00:00:00Z")),
        until: time("2026-03-01T00:00:00Z"),
        by: "bob".to_owned(),
    };
    Suppression::new(request, time("2026-01-31T00:00:00Z")).unwrap()
}

fn removal() -> Removal {
    Removal { at: time("2026-02-05T00:00:00Z"), by: "carol".to_owned() }
}

fn acknowledgement() -> Acknowledgement {
    Acknowledgement { at: time("2026-02-02T00:00:00Z"), by: "carol".to_owned(), note: "it's fine".to_owned() }
}

/// The end of the run in a database of this format.
fn run_end(format: u32) -> RunEnd {
    // The first format knew neither insight records nor what was left unread; why a run failed is known since the fifth.
    let (insight, unread) = if format == 1 { (0, 0) } else { (5, 2) };
    RunEnd {
        at: time("2026-02-01T00:01:00Z"),
        exit_code: 3,
        records: RecordCounts { read: 21, stored: 1, duplicate: 2, variant: 3, filtered: 4, rejected: 11, insight },
        unread,
        alerts: SeverityCounts::from_iter([detect::Severity::High, detect::Severity::Critical]),
        suppressed: 1,
        error: (format >= 5).then(|| "the disk is full".to_owned()),
    }
}

/// Writes something into every column there is.
fn fill(state: &SqliteState) {
    let now = time("2026-02-01T00:00:00Z");
    let run = state.begin_run("ingest", now).unwrap();
    state.fit_lake("0d4e0d34-0d4e-4d34-8d4e-0d4e0d340d4e", &|| Ok(7)).unwrap();
    state.add_suppression(&bounded()).unwrap();
    state.add_suppression(&suppression("alice")).unwrap();
    state.remove_suppression(&suppression("alice").id, &removal()).unwrap();
    let recorded = [
        Alert { run: Some(run), arrival: Arrival::Live, ..alert(1) },
        Alert { suppressed_by: Some(bounded().id), ..alert(2) },
        Alert { user: None, session: None, arrival: Arrival::Late, ..alert(3) },
    ];
    state.record_alerts(&recorded, &mail(false)).unwrap();
    state.acknowledge(&[alert(1).id], &acknowledgement()).unwrap();
    let failed = Outcome::Failed { at: now, error: "no such topic".to_owned() };
    state.settle("mail", &[(alert(3).id, failed)]).unwrap();
    state.mark_objects(&[object()], now).unwrap();
    state.end_run(run, &run_end(FORMAT)).unwrap();
    state.begin_run("collect", now).unwrap();
    let change = stream_change();
    state.save_streams(std::slice::from_ref(&change)).unwrap();
    state.pause_stream(&change.stream, Some(&paused())).unwrap();
    state.save_scope(&scope()).unwrap();
    state.failures_told(&state.add_evidence(&some_evidence(), now).unwrap()).unwrap();
}

/// Reads what [`fill`] wrote.
fn check(state: &SqliteState, format: u32) {
    let runs = state.runs(9).unwrap();
    assert_eq!(runs.iter().map(|run| run.command.as_str()).collect::<Vec<_>>(), ["collect", "ingest"]);
    assert_eq!(runs[1].end, Some(run_end(format)));
    let expected = vec![
        Alert { run: Some(runs[1].id), arrival: Arrival::Live, acknowledged: Some(acknowledgement()), ..alert(1) },
        Alert { suppressed_by: Some(bounded().id), ..alert(2) },
        Alert { user: None, session: None, arrival: Arrival::Late, ..alert(3) },
    ];
    assert_eq!(state.alerts(&AlertFilter::default(), &Page::default()).unwrap(), listed(expected));
    let removed = Suppression { removed: Some(removal()), ..suppression("alice") };
    assert_eq!(state.suppressions().unwrap(), [bounded(), removed]);
    assert_eq!(state.outbox(Delivery::Pending, 9).unwrap(), [], "the one that waits was acknowledged");
    assert_eq!(state.outbox(Delivery::Failed, 9).unwrap()[0].error.as_deref(), Some("no such topic"));
    assert_eq!(state.seen_objects(&[object()]).unwrap(), [true]);
    assert_eq!(state.fit_lake("0d4e0d34-0d4e-4d34-8d4e-0d4e0d340d4e", &|| Ok(7)).unwrap(), LakeFit::Same);
    // The first two formats knew no streams.
    let streams = if format < 3 { vec![] } else { vec![read_state()] };
    assert_eq!(state.streams().unwrap(), streams);
    let known = if format < 4 { Scope::default() } else { scope() };
    assert_eq!(state.scope().unwrap(), known);
    let proofs = match format {
        ..6 => ProofCounts::default(),
        // The signatures that wait to be proven are new with the seventh format.
        6 => ProofCounts { unproven_digests: 1, ..proofs_of_some() },
        _ => proofs_of_some(),
    };
    assert_eq!(state.count_proofs().unwrap(), proofs);
    assert_eq!(state.verify().unwrap(), Vec::<String>::new());
}

/// A database as SQL: its pragmas, its tables as they were created, and their rows.
fn dump(path: &Path) -> String {
    let connection = Connection::open(path).unwrap();
    let mut sql = String::new();
    for pragma in ["application_id", "user_version"] {
        let value: i64 = connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).unwrap();
        writeln!(sql, "PRAGMA {pragma} = {value};").unwrap();
    }
    let mut schema = connection
        .prepare("SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY rowid")
        .unwrap();
    let entries = schema.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let entries: Vec<(String, String, String)> = entries.map(Result::unwrap).collect();
    for (_, _, create) in &entries {
        writeln!(sql, "{create};").unwrap();
    }
    for (_, table, _) in entries.iter().filter(|(kind, _, _)| kind == "table") {
        let mut select = connection.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2")).unwrap();
        let columns = select.column_count();
        let mut rows = select.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values: Vec<String> = (0..columns).map(|column| literal(row.get_ref(column).unwrap())).collect();
            writeln!(sql, "INSERT INTO {table} VALUES ({});", values.join(", ")).unwrap();
        }
    }
    sql
}

fn literal(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Text(text) => format!("'{}'", std::str::from_utf8(text).unwrap().replace('\'', "''")),
        other => panic!("no column holds {other:?}"),
    }
}

#[test]
fn every_format_is_read() {
    for format in 1..=FORMAT {
        let folder = TempDir::new().unwrap();
        let sql = fs::read_to_string(golden(format)).unwrap();
        Connection::open(folder.path().join("state.db")).unwrap().execute_batch(&sql).unwrap();
        check(&open(folder.path()), format);
    }
}

#[test]
fn the_format_that_is_written_is_the_one_on_record() {
    let folder = TempDir::new().unwrap();
    let state = open(folder.path());
    fill(&state);
    check(&state, FORMAT);
    drop(state);
    let written = dump(&folder.path().join("state.db"));
    if std::env::var_os("TRAILHOUND_BLESS").is_some() {
        fs::write(golden(FORMAT), &written).unwrap();
    }
    assert_eq!(
        written,
        fs::read_to_string(golden(FORMAT)).unwrap(),
        "a format on record never changes: add a migration"
    );
}

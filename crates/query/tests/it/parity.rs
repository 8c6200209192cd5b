//! The catalogue on DuckDB: the same text, translated from Athena's dialect by sqlglot, over the same files.

use std::ffi::OsString;
use std::io::Write;
use std::process::{Command, Stdio};

use query::catalogue::{Catalogue, Query};
use serde_json::{Value, json};

use crate::cases::{folder, parameters};
use crate::world::{NOW, ask, block, cell, engine, lake, time};

/// The interpreter that has DuckDB and sqlglot; without it the test says so and is skipped.
pub(crate) fn python() -> Option<OsString> {
    let python = std::env::var_os("TRAILHOUND_PYTHON").filter(|path| !path.is_empty());
    if python.is_none() {
        #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
        {
            eprintln!("skipped: TRAILHOUND_PYTHON is not set (`cargo xtask test` sets it)");
        }
    }
    python
}

/// The rows that DuckDB gives to each statement, cells as text.
fn duckdb(python: &OsString, lake: &std::path::Path, statements: &Value) -> Value {
    let mut child = Command::new(python)
        .arg("tests/parity.py")
        .arg(lake)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("TRAILHOUND_PYTHON names an interpreter");
    child.stdin.take().expect("a pipe").write_all(statements.to_string().as_bytes()).expect("written");
    let output = child.wait_with_output().expect("an answer");
    assert!(output.status.success(), "DuckDB failed");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Every query as its case asks it, rendered.
fn statements() -> serde_json::Map<String, Value> {
    let render = |query: &Query| {
        let (asked, _) = parameters(query, &folder().join(&query.name));
        let statement = query.statement(&asked, time(NOW).day()).expect("a statement");
        (query.name.clone(), json!(statement))
    };
    Catalogue::built_in().iter().map(render).collect()
}

/// A month of believable traffic with an intrusion in it, and every planted case: two engines, one text, the same rows.
#[test]
fn duckdb_gives_the_same_rows_for_every_query() {
    let Some(python) = python() else { return };
    let folder_of_lake = tempfile::tempdir().expect("a folder");
    let mut records = crate::world::month(NOW);
    for query in Catalogue::built_in().iter() {
        records.extend(crate::cases::records(&folder().join(&query.name)));
    }
    let engine = engine(Some(lake(folder_of_lake.path(), &records)), NOW);
    let statements = statements();
    let theirs = duckdb(&python, folder_of_lake.path(), &Value::Object(statements.clone()));
    let (mut problems, mut some) = (Vec::new(), 0);
    block(async {
        let session = engine.session().await.expect("a session");
        for (name, statement) in &statements {
            let (columns, rows) = match ask(&session, statement.as_str().expect("text")).await {
                Ok(found) => found,
                Err(error) => {
                    problems.push(format!("{name}: {error}"));
                    continue;
                }
            };
            let ours: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(cell).collect()).collect();
            let their_rows: Vec<Vec<String>> =
                serde_json::from_value(theirs[name]["rows"].clone()).expect("rows of text");
            let their_columns: Vec<String> = serde_json::from_value(theirs[name]["columns"].clone()).expect("names");
            some += usize::from(!ours.is_empty());
            if columns != their_columns {
                problems.push(format!("{name}: columns {columns:?}, DuckDB {their_columns:?}"));
            }
            let number = |text: &str| text.parse::<f64>().ok();
            let same = |(left, right): (&String, &String)| {
                left == right
                    || matches!((number(left), number(right)), (Some(left), Some(right)) if (left - right).abs() < 1e-6)
            };
            let different = ours.iter().zip(&their_rows).position(|(ours, theirs)| !ours.iter().zip(theirs).all(same));
            if ours.len() != their_rows.len() || different.is_some() {
                let row = different.unwrap_or(ours.len().min(their_rows.len()));
                problems.push(format!(
                    "{name}: {} rows, DuckDB {}; row {row}: {:?}, DuckDB {:?}",
                    ours.len(),
                    their_rows.len(),
                    ours.get(row),
                    their_rows.get(row)
                ));
            }
        }
    });
    assert!(problems.is_empty(), "{} differ\n{}", problems.len(), problems.join("\n"));
    assert_eq!(some, statements.len(), "queries that found something to compare");
}

/// Athena's own parser is not to be had; sqlglot's dialect is the next best.
#[test]
fn the_exported_catalogue_parses_as_athena() {
    let Some(python) = python() else { return };
    let mut child = Command::new(&python)
        .args(["-c", "import json, sys, sqlglot\nfor name, sql in json.load(sys.stdin).items():\n  parsed = sqlglot.parse(sql, read='athena')\n  assert len(parsed) == 1 and parsed[0].key in ('select', 'with', 'union'), (name, parsed[0].key)"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("an interpreter");
    child.stdin.take().expect("a pipe").write_all(Value::Object(statements()).to_string().as_bytes()).expect("written");
    assert!(child.wait().expect("an answer").success());
}

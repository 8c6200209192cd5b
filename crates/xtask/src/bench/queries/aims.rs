//! What no other engine is compared with: look-ups and start-up against the clock, and memory against the length of an
//! answer.

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};

use super::{measure, median};
use crate::workspace::run_for_output;

/// A look-up of one day is to take no longer, in seconds.
const LOOK_UP: f64 = 0.050;
/// A query of the catalogue on a small lake is to take no longer, in seconds.
const START_UP: f64 = 0.100;

/// How often a question with an aim is asked at least: each is over in a moment, in which much else may happen.
const RUNS: u32 = 15;

/// What people look up a day by.
const LOOKED_UP: [&str; 3] = ["user_name", "access_key_id", "source_ip"];

/// A question with an aim.
struct Timed {
    question: String,
    rows: u64,
    seconds: f64,
    aim: f64,
}

/// Memory at its peak while all rows of a condition are written.
struct Streamed {
    what: &'static str,
    rows: u64,
    peak_memory: u64,
}

/// Measures, and returns what to print: `large` asks the benchmark's lake, `small` one of a few events.
pub(super) fn report(large: &dyn Fn() -> Command, small: &dyn Fn() -> Command, runs: u32) -> anyhow::Result<String> {
    let day = cell(large, "SELECT CAST(max(event_date) AS varchar) FROM events")?;
    let mut timed = Vec::new();
    for column in LOOKED_UP {
        eprintln!("a day by {column}");
        let condition = format!("event_date = DATE '{day}' AND {column}");
        // Neither the busiest nor the quietest.
        let values = cells(
            large,
            &format!("SELECT {column} FROM events WHERE {condition} IS NOT NULL GROUP BY 1 ORDER BY count(*), 1"),
        )?;
        let value = values.get(values.len() / 2).with_context(|| format!("{day} has no {column}"))?;
        let sql = format!("SELECT * FROM events WHERE {condition} = '{}'", value.replace('\'', "''"));
        let question = format!("a day by {column}");
        timed.push(time(question, large, &["sql", &sql], runs, LOOK_UP)?);
    }
    eprintln!("start-up");
    let question = "`query run root_usage`, a small lake".to_owned();
    timed.push(time(question, small, &["query", "run", "root_usage"], runs, START_UP)?);
    let mut streamed = Vec::new();
    for (what, condition) in [("a day", format!("event_date = DATE '{day}'")), ("all days", "true".to_owned())] {
        eprintln!("{what} as JSON lines");
        let rows = cell(large, &format!("SELECT count(*) FROM events WHERE {condition}"))?;
        let rows = rows.parse().with_context(|| format!("{rows:?} is no count"))?;
        ensure!(rows > 0, "{what}: no rows to write");
        let mut command = large();
        command.args(["sql", &format!("SELECT * FROM events WHERE {condition}"), "--format", "jsonl"]);
        streamed.push(Streamed { what, rows, peak_memory: measure::run(&mut command, &[0])?.peak_memory });
    }
    Ok(table(&timed, &streamed))
}

/// Times a question from its start to its end; one without rows shows nothing.
fn time(
    question: String,
    command: &dyn Fn() -> Command,
    arguments: &[&str],
    runs: u32,
    aim: f64,
) -> anyhow::Result<Timed> {
    let rows = super::rows(command().args(arguments))?;
    ensure!(rows > 0, "{question}: no rows");
    let mut times = Vec::new();
    for _ in 0..runs.max(RUNS) {
        let mut asked = command();
        asked.args(arguments).args(["--quiet", "--format", "csv"]);
        asked.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let begun = Instant::now();
        let status = asked.status().context("failed to start the program")?;
        times.push(begun.elapsed().as_secs_f64());
        ensure!(status.success(), "{question} ended with {status}");
    }
    Ok(Timed { question, rows, seconds: median(times), aim })
}

/// The only column of an answer.
fn cells(command: &dyn Fn() -> Command, sql: &str) -> anyhow::Result<Vec<String>> {
    let text = run_for_output(command().args(["sql", sql, "--quiet", "--format", "csv"]))?;
    Ok(text.lines().skip(1).map(str::to_owned).collect())
}

fn cell(command: &dyn Fn() -> Command, sql: &str) -> anyhow::Result<String> {
    cells(command, sql)?.pop().with_context(|| format!("no answer to {sql}"))
}

fn table(timed: &[Timed], streamed: &[Streamed]) -> String {
    let mut table = String::from("\n| question | rows | trailhound | aim |\n|---|--:|--:|--:|\n");
    // Writing to a string cannot fail.
    for Timed { question, rows, seconds, aim } in timed {
        let _ = writeln!(table, "| {question} | {rows} | {seconds:.3} s | {aim:.3} s |");
    }
    table.push_str("\n| as JSON lines | rows | peak memory |\n|---|--:|--:|\n");
    for Streamed { what, rows, peak_memory } in streamed {
        let _ = writeln!(table, "| {what} | {rows} | {:.0} MB |", *peak_memory as f64 / 1e6);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aims_stand_beside_what_was_measured() {
        let timed = Timed { question: "a day by user_name".to_owned(), rows: 7, seconds: 0.0421, aim: LOOK_UP };
        let streamed = Streamed { what: "all days", rows: 10_000_000, peak_memory: 210_400_000 };
        let text = table(&[timed], &[streamed]);
        assert!(text.contains("| a day by user_name | 7 | 0.042 s | 0.050 s |\n"), "{text}");
        assert!(text.ends_with("| all days | 10000000 | 210 MB |\n"), "{text}");
    }
}

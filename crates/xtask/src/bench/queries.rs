//! `cargo xtask bench-queries`: the catalogue on our engine and on DuckDB, over the same files of the same lake.
//!
//! Both answer in a process that is up already: DuckDB in one that knows the files, ours behind its door, which looks for
//! new files at each question. What a person waits for who asks ours by a command of its own, from the process's start to
//! its end, is given beside. All have the pages of the files in memory.

mod aims;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::measure;
use crate::workspace::{Workspace, run_for_output, run_to_end};
use crate::{corpus, python};

/// Arguments of `cargo xtask bench-queries`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Different events of the generated lake
    #[arg(long, default_value_t = 10_000_000, value_name = "N")]
    events: u64,
    /// Ask this home folder instead of a generated one; its last day is "now"
    #[arg(long, value_name = "DIR", requires = "now")]
    home: Option<PathBuf>,
    /// What "now" is for the queries
    #[arg(long, value_name = "TIME")]
    now: Option<String>,
    /// Runs of each query on each side; the median counts
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Measure this binary instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Only these queries
    #[arg(value_name = "QUERY")]
    names: Vec<String>,
}

/// The generated corpus ends here.
const END: &str = "2026-01-31T00:00:00Z";
/// Events of a small lake, on which starting up is what takes time.
const SMALL: u64 = 5_000;
/// What the queries that need a parameter are asked for: somebody whom the generated organisation has. The key is one with
/// which others are made.
const REQUIRED: [(&str, &str); 4] = [
    ("key", "AKIAXRL5YM7YXHGNF7CU"),
    ("role", "github-deploy"),
    ("principal", "github-deploy"),
    ("ip", "203.0.113.10"),
];

/// Measures both sides and prints a table in Markdown.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let interpreter = python::interpreter(workspace, python::READERS)?;
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => {
            run_to_end(workspace.cargo().args(["build", "--release", "--locked", "--package", "cli"]))?;
            workspace.target().join("release/trailhound")
        }
    };
    let home = match &options.home {
        Some(home) => home.clone(),
        None => lake(workspace, &binary, options.events)?,
    };
    let small = options.names.is_empty().then(|| lake(workspace, &binary, SMALL)).transpose()?;
    let now = options.now.as_deref().unwrap_or(END);
    let asking = |home: &Path, now: &str| {
        let mut command = Command::new(&binary);
        command.arg("--home").arg(home).args(["--now", now]);
        command
    };
    let command = || asking(&home, now);
    let listed = run_for_output(command().args(["query", "list", "--format", "json"]))?;
    let listed: Vec<Value> = serde_json::from_str(&listed).context("the list of queries is JSON")?;
    let mut questions = Vec::new();
    for query in &listed {
        let name = query["name"].as_str().context("a query has a name")?.to_owned();
        if !options.names.is_empty() && !options.names.contains(&name) {
            continue;
        }
        let needed = query["parameters"].as_array().into_iter().flatten().filter(|known| known["default"].is_null());
        let set: Vec<String> = needed
            .filter_map(|known| REQUIRED.iter().find(|(name, _)| known["name"] == *name))
            .map(|(name, value)| format!("--set={name}={value}"))
            .collect();
        let statement = run_for_output(command().args(["query", "show", "--engine", "athena"]).arg(&name).args(&set))?;
        questions.push((name, set, statement));
    }
    let statements: BTreeMap<&str, &str> =
        questions.iter().map(|(name, _, statement)| (name.as_str(), statement.as_str())).collect();
    let script = workspace.root().join("crates/query/tests/parity.py");
    let asking_script = || {
        let mut command = Command::new(&interpreter);
        command.arg(&script).arg(home.join("lake")).arg(options.runs.to_string());
        command
    };
    let statements = json!(statements);
    eprintln!("DuckDB");
    let theirs = times(&mut asking_script(), &statements)?;
    eprintln!("the door");
    let door = Door::open(&mut command())?;
    let served = times(asking_script().arg(&door.port).env("DOOR_PASSWORD", &door.password), &statements)?;
    drop(door);
    let mut rows = Vec::new();
    for (name, set, _) in &questions {
        eprintln!("{name}");
        // This run brings pages into memory.
        let found = self::rows(command().args(["query", "run", name]).args(set))?;
        ensure!(found > 0 || set.is_empty(), "{name} finds nothing for {set:?}: ask for what the lake has");
        let mut runs = Vec::new();
        for _ in 0..options.runs {
            let mut ours = command();
            ours.args(["query", "run", name, "--quiet", "--format", "csv"]).args(set);
            runs.push(measure::run(&mut ours, &[0])?.wall.as_secs_f64());
        }
        let of = |times: &Value| times[name].as_f64().with_context(|| format!("there is no time for {name}"));
        rows.push(Row { name: name.clone(), found, duckdb: of(&theirs)?, ours: of(&served)?, command: median(runs) });
    }
    print!("{}", table(&rows));
    if let Some(small) = small {
        print!("{}", aims::report(&command, &|| asking(&small, END), options.runs)?);
    }
    Ok(())
}

/// How many rows a question finds.
fn rows(command: &mut Command) -> anyhow::Result<u64> {
    let text = run_for_output(command.args(["--quiet", "--format", "jsonl"]))?;
    Ok(text.lines().count() as u64)
}

struct Row {
    name: String,
    found: u64,
    duckdb: f64,
    ours: f64,
    command: f64,
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn table(rows: &[Row]) -> String {
    let head = "| query | rows | DuckDB | trailhound | ratio | as a command |\n|---|--:|--:|--:|--:|--:|\n";
    let mut table = String::from(head);
    for row in rows {
        let Row { name, found, duckdb, ours, command } = row;
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "| {name} | {found} | {duckdb:.3} s | {ours:.3} s | {:.2} | {command:.3} s |",
            ours / duckdb
        );
    }
    let of = |seconds: fn(&Row) -> f64| {
        let ratios = || rows.iter().map(|row| seconds(row) / row.duckdb);
        let logs: f64 = ratios().map(f64::ln).sum();
        let mean = (logs / rows.len().max(1) as f64).exp();
        (mean, ratios().fold(0.0, f64::max))
    };
    let (mean, worst) = of(|row| row.ours);
    let _ = writeln!(table, "\nGeometric mean of the ratios {mean:.2}, the largest {worst:.2}.");
    let (mean, worst) = of(|row| row.command);
    let _ = writeln!(table, "As a command of its own, its start included: {mean:.2}, the largest {worst:.2}.");
    table
}

/// A home folder whose lake holds the generated corpus, compacted; made once.
fn lake(workspace: &Workspace, binary: &Path, events: u64) -> anyhow::Result<PathBuf> {
    let size = corpus::Size::of(events);
    let trail = corpus::cached(workspace, size)?;
    let home = trail.with_extension("home");
    if home.is_dir() {
        return Ok(home);
    }
    let partial = trail.with_extension(format!("home.{}.partial", std::process::id()));
    let command = || {
        let mut command = Command::new(binary);
        command.arg("--home").arg(&partial).arg("--quiet");
        command
    };
    eprintln!("reading {events} events into a lake");
    // What lies beside the logs tells what is in them.
    run_to_end(command().arg("ingest").arg(trail.join("AWSLogs")))?;
    run_to_end(command().args(["lake", "compact"]))?;
    fs::rename(&partial, &home).with_context(|| format!("failed to move {} into place", partial.display()))?;
    Ok(home)
}

/// The median seconds for each statement, as the script measures them.
fn times(script: &mut Command, statements: &Value) -> anyhow::Result<Value> {
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("failed to start Python")?;
    let mut input = child.stdin.take().context("a pipe was asked for")?;
    std::io::Write::write_all(&mut input, statements.to_string().as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "the script failed");
    serde_json::from_slice(&output.stdout).context("the times are JSON")
}

/// The engine behind its door, and who may come in.
struct Door {
    process: Child,
    port: String,
    password: String,
}

impl Door {
    fn open(command: &mut Command) -> anyhow::Result<Door> {
        let serve = command.args(["sql", "--serve", "127.0.0.1:0"]).stdout(Stdio::piped());
        let mut process = serve.spawn().context("failed to open the door")?;
        let output = process.stdout.take().context("a pipe was asked for")?;
        let mut door = Door { process, port: String::new(), password: String::new() };
        let mut lines = BufReader::new(output).lines();
        let mut after = |word: &str| -> anyhow::Result<String> {
            let line = lines.next().context("the door says nothing")??;
            let (_, rest) = line.split_once(word).with_context(|| format!("the door says {line}"))?;
            Ok(rest.split(',').next().unwrap_or(rest).to_owned())
        };
        door.port = after("127.0.0.1:")?;
        door.password = after("password ")?;
        Ok(door)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // It has nothing to lose.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_gives_ratios_and_their_geometric_mean() {
        let row = |name: &str, ours, duckdb| Row { name: name.to_owned(), found: 3, duckdb, ours, command: 4.0 * ours };
        let text = table(&[row("a", 0.5, 1.0), row("b", 2.0, 1.0)]);
        assert!(text.contains("| a | 3 | 1.000 s | 0.500 s | 0.50 | 2.000 s |"), "{text}");
        assert!(text.contains("\nGeometric mean of the ratios 1.00, the largest 2.00.\n"), "{text}");
        assert!(text.ends_with("\nAs a command of its own, its start included: 4.00, the largest 8.00.\n"), "{text}");
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
    }
}

//! `cargo xtask bench`: `trailhound ingest` against the floor, on the same files, in turns, measured the same way.
//!
//! The floor ([`floor`]) is what nobody who reads these files can avoid: gunzip and a typed parse of every record.
//! Both sides are release builds run as processes of their own ([`measure`]), after one pass that brings the files
//! into the page cache. The table gives the median run.

pub(crate) mod collect;
pub(crate) mod floor;
pub(crate) mod functions;
mod measure;
pub(crate) mod queries;
pub(crate) mod verify;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};

use self::floor::Volume;
use self::measure::Usage;
use crate::corpus;
use crate::workspace::{Workspace, run_for_output, run_to_end};

/// Arguments of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    size: corpus::Size,
    /// Measure on this folder of logs instead of the generated corpus
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Runs of each side
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Threads of the floor
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    threads: u32,
    /// Measure this binary instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// Measures both sides and prints a table in Markdown.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    ensure!(cfg!(target_os = "linux"), "the benchmark reads /proc: it runs on Linux only");
    let data = match &options.data {
        Some(folder) => folder.clone(),
        None => corpus::cached(workspace, options.size)?,
    };
    let release = workspace.target().join("release");
    run_to_end(workspace.cargo().args(["build", "--release", "--locked", "--package", "xtask"]))?;
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => {
            run_to_end(workspace.cargo().args(["build", "--release", "--locked", "--package", "cli"]))?;
            release.join("trailhound")
        }
    };

    let floor_command = || {
        let mut command = Command::new(release.join("xtask"));
        command.arg("floor").arg(&data).arg("--threads").arg(options.threads.to_string());
        command
    };
    // This run counts, and warms the page cache for those that are measured.
    let volume: Volume = serde_json::from_str(&run_for_output(&mut floor_command())?)
        .context("failed to read what the floor printed")?;
    ensure!(volume.events > 0, "no trail files under {}", data.display());

    let home = workspace.cache().join(format!("bench-home-{}", std::process::id()));
    let mut floors = Vec::new();
    let mut ours = Vec::new();
    let mut lake_bytes = 0;
    for number in 1..=options.runs {
        eprintln!("run {number} of {}", options.runs);
        floors.push(measure::run(&mut floor_command(), &[0])?);
        let mut ingest = Command::new(&binary);
        ingest.arg("--home").arg(&home).arg("ingest").arg(&data);
        // 3: done, but some input was rejected, which a folder of real logs may well have.
        ours.push(measure::run(&mut ingest, &[0, 3])?);
        lake_bytes = bytes_below(&home.join("lake"))?;
        remove_home(&home)?;
    }

    let result = Outcome {
        source: options.data.as_ref().map_or("the generated corpus", |_| "a folder of logs"),
        volume,
        lake_bytes,
        runs: options.runs,
        threads: options.threads,
        floor: median(floors),
        ours: median(ours),
    };
    print!("{}", result.table());
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the folder is named after this process, in the project's own cache")]
fn remove_home(home: &Path) -> anyhow::Result<()> {
    fs::remove_dir_all(home).with_context(|| format!("failed to remove {}", home.display()))
}

fn bytes_below(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).with_context(|| format!("failed to read {}", folder.display()))? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { bytes_below(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

/// The run in the middle by wall time.
fn median(mut runs: Vec<Usage>) -> Usage {
    runs.sort_by_key(|usage| usage.wall);
    runs[runs.len() / 2]
}

struct Outcome {
    source: &'static str,
    volume: Volume,
    lake_bytes: u64,
    runs: u32,
    threads: u32,
    floor: Usage,
    ours: Usage,
}

impl Outcome {
    fn table(&self) -> String {
        let Self { volume, floor, ours, .. } = self;
        let json = volume.json_bytes as f64;
        let events = volume.events as f64;
        let mut table = format!(
            "{} events in {} files of {}: {} of JSON, {} as they lie there. Median of {}, warm page cache, floor on {} threads.\n\n",
            volume.events,
            volume.files,
            self.source,
            megabytes(volume.json_bytes),
            megabytes(volume.file_bytes),
            if self.runs == 1 { "1 run".to_owned() } else { format!("{} runs", self.runs) },
            self.threads,
        );
        let mut row = |name: &str, floor: String, ours: String, ratio: f64| {
            // Writing to a string cannot fail.
            let _ = writeln!(table, "| {name} | {floor} | {ours} | {ratio:.2} |");
        };
        row("", "floor: gunzip + typed parse".to_owned(), "trailhound ingest".to_owned(), f64::NAN);
        row("wall time", seconds(floor.wall), seconds(ours.wall), ratio(ours.wall, floor.wall));
        row("CPU time", seconds(floor.cpu), seconds(ours.cpu), ratio(ours.cpu, floor.cpu));
        let per_second = |amount: f64, usage: &Usage| amount / usage.wall.as_secs_f64();
        let speed = |usage: &Usage| format!("{:.0} MB/s", per_second(json, usage) / 1e6);
        row("JSON", speed(floor), speed(ours), ratio(floor.wall, ours.wall));
        let rate = |usage: &Usage| format!("{:.0} /s", per_second(events, usage));
        row("events", rate(floor), rate(ours), ratio(floor.wall, ours.wall));
        let memory = |usage: &Usage| megabytes(usage.peak_memory);
        row("peak memory", memory(floor), memory(ours), ours.peak_memory as f64 / floor.peak_memory as f64);
        let stored = self.lake_bytes as f64 / volume.file_bytes as f64;
        row("on disk", megabytes(volume.file_bytes), megabytes(self.lake_bytes), stored);
        // The head of the table is a row like the others, but for its last cell.
        table.replacen("| NaN |\n", "| ratio |\n|---|--:|--:|--:|\n", 1)
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

fn ratio(numerator: Duration, denominator: Duration) -> f64 {
    numerator.as_secs_f64() / denominator.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(wall: u64) -> Usage {
        Usage { wall: Duration::from_secs(wall), cpu: Duration::from_secs(2 * wall), peak_memory: 50_000_000 * wall }
    }

    #[test]
    fn median_is_the_run_in_the_middle() {
        assert_eq!(median(vec![usage(9), usage(1), usage(3)]).wall, Duration::from_secs(3));
    }

    #[test]
    fn table_gives_both_sides_and_their_ratio() {
        let volume = Volume {
            events: 1_000_000,
            files: 5000,
            other_files: 0,
            json_bytes: 1_400_000_000,
            file_bytes: 100_000_000,
        };
        let outcome = Outcome {
            source: "the generated corpus",
            volume,
            lake_bytes: 40_000_000,
            runs: 3,
            threads: 2,
            floor: usage(2),
            ours: usage(5),
        };
        let expected = "\
1000000 events in 5000 files of the generated corpus: 1400.0 MB of JSON, 100.0 MB as they lie there. Median of 3 runs, warm page cache, floor on 2 threads.

|  | floor: gunzip + typed parse | trailhound ingest | ratio |
|---|--:|--:|--:|
| wall time | 2.00 s | 5.00 s | 2.50 |
| CPU time | 4.00 s | 10.00 s | 2.50 |
| JSON | 700 MB/s | 280 MB/s | 0.40 |
| events | 500000 /s | 200000 /s | 0.40 |
| peak memory | 100.0 MB | 250.0 MB | 2.50 |
| on disk | 100.0 MB | 40.0 MB | 0.40 |
";
        assert_eq!(outcome.table(), expected);
    }
}

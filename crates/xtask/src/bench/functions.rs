//! `cargo xtask bench-functions`: what the functions of a deployment cost, as they are shipped: release, stripped, zipped.
//!
//! The services that they call are on this machine, so no network is waited for. The measuring itself stands with the
//! functions' tests (`crates/lambda/tests/it/speed.rs`), which have what it takes to invoke them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::workspace::{Workspace, run_to_end};
use crate::{package, python};

/// Arguments of `cargo xtask bench-functions`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Events of the 90 days that are collected; what plays DynamoDB keeps no state, so they must fit into one turn
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1000..=150_000))]
    events: u32,
    /// Events of the day that is exported
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1000..))]
    day_events: u32,
    /// Measure these only: starts, alerter, tracker, exporter
    #[arg(long, value_name = "FIGURE", value_parser = ["starts", "alerter", "tracker", "exporter"])]
    only: Option<String>,
    /// Measure the binaries of this folder instead of building them
    #[arg(long, value_name = "DIR")]
    binaries: Option<PathBuf>,
}

/// Measures them and prints a table in Markdown.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    ensure!(cfg!(target_os = "linux"), "the benchmark reads /proc: it runs on Linux only");
    let interpreter = python::interpreter(workspace, python::READERS)?;
    let built = match &options.binaries {
        Some(folder) => folder.clone(),
        None => {
            run_to_end(workspace.cargo().args(["build", "--release", "--locked", "--package", "lambda"]))?;
            workspace.target().join("release")
        }
    };
    let stripped = workspace.target().join("bench-functions");
    fs::create_dir_all(&stripped).with_context(|| format!("failed to create {}", stripped.display()))?;
    for name in package::FUNCTIONS {
        let binary = stripped.join(name);
        run_to_end(Command::new("strip").arg("-o").arg(&binary).arg(built.join(name)))?;
        println!("{name}: a zip file of {:.1} MB", package::zipped(&binary)? as f64 / 1e6);
    }
    println!("| function | figure | measured | aim |\n|---|---|---|---|");
    let figures = options.only.as_ref().map_or("speed::".to_owned(), |figure| format!("speed::{figure}"));
    let mut measure = workspace.cargo();
    measure.args(["test", "--locked", "--package", "lambda", "--test", "it", "--", &figures]);
    // One after the other: none takes the processors from another.
    measure.args(["--ignored", "--nocapture", "--test-threads", "1"]);
    measure.env(python::READERS.variable, interpreter).env("TRAILHOUND_FUNCTIONS", &stripped);
    measure.env("TRAILHOUND_EVENTS", options.events.to_string());
    run_to_end(measure.env("TRAILHOUND_DAY_EVENTS", options.day_events.to_string()))
}

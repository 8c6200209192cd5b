//! `cargo xtask test`: every test of the workspace, with whatever they need set up first.

use std::process::Command;

use crate::workspace::{Workspace, run_to_end, works};
use crate::{psql, python};

/// Arguments of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Handed to the test runner as they are, e.g. `-- -p event`; without them the whole workspace is tested
    #[arg(last = true)]
    runner_arguments: Vec<String>,
}

/// Runs the unit and integration tests, then the documentation tests.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let environments = [python::READERS, python::EMULATOR];
    let interpreters =
        environments.map(|environment| Ok((environment.variable, python::interpreter(workspace, environment)?)));
    let interpreters = interpreters.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    psql::install()?;
    let prepare = |mut command: Command| {
        command.envs(interpreters.iter().map(|(variable, python)| (variable, python)));
        command
    };

    let has_nextest = works(workspace.cargo().args(["nextest", "--version"]));
    let mut tests = prepare(workspace.cargo());
    if has_nextest {
        tests.args(["nextest", "run", "--no-fail-fast"]);
    } else {
        // Building nextest from source takes longer than it saves on one run.
        eprintln!("cargo-nextest is not installed: using `cargo test`, which is slower");
        tests.args(["test", "--no-fail-fast", "--all-targets"]);
    }
    if options.runner_arguments.is_empty() {
        return run_all(tests, prepare(workspace.cargo()));
    }
    run_to_end(tests.args(&options.runner_arguments))
}

fn run_all(mut tests: Command, mut documentation: Command) -> anyhow::Result<()> {
    run_to_end(tests.arg("--workspace"))?;
    run_to_end(documentation.args(["test", "--workspace", "--doc", "--quiet"]))
}

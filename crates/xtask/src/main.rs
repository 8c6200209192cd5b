//! The project's own tasks: `cargo xtask test`, `docs`, `corpus`, `bench`, `package`.
//!
//! Owns everything that is run on the source rather than shipped: setting up what the tests need, the
//! generated reference pages, the benchmark against the floor, packaging. Nothing of it is part of the product.
//!
//! Reading order: [`workspace`] (where things are, how cargo is called), [`mod@test`] and [`python`] (the test
//! run), [`docs`], [`corpus`], [`mod@bench`] and [`package`]. The walls between the crates are checked by `tests/walls`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a task talks to the terminal: results on stdout, progress on stderr"
)]

mod bench;
mod corpus;
mod docs;
mod package;
mod psql;
mod python;
mod sbom;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::{TaskFailed, Workspace};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tasks of the Trailhound workspace")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Set up whatever the tests need and run all of them
    Test(test::Options),
    /// Write the generated pages under docs/, or check that they are up to date
    Docs(docs::Options),
    /// Write a benchmark corpus: a believable trail of any size
    Corpus(corpus::Options),
    /// Measure `trailhound ingest` against the cost of gunzip and parsing alone
    Bench(bench::Options),
    /// Measure the query catalogue against DuckDB, on the same files
    BenchQueries(bench::queries::Options),
    /// Measure `trailhound verify` against the AWS CLI's validate-logs, on the same bucket
    BenchVerify(bench::verify::Options),
    /// Measure the functions of a deployment as they are shipped: size, start, time, memory, what they write
    BenchFunctions(bench::functions::Options),
    /// Measure collecting live, from the testkit's CloudTrail and a queue on this machine
    BenchCollect(bench::collect::Options),
    /// Package what is shipped: the zip files of Lambda functions, an image for containers
    Package(package::Options),
    /// One side of the benchmark: gunzip and parse a folder, and nothing else
    #[command(hide = true)]
    Floor(bench::floor::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            // A tool that failed has said why, and its exit code is the answer to the caller's question.
            let code = error.downcast_ref::<TaskFailed>().and_then(TaskFailed::code);
            ExitCode::from(code.unwrap_or(1))
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    match task {
        Task::Test(options) => test::run(&workspace, &options),
        Task::Docs(options) => docs::run(&workspace, &options),
        Task::Corpus(options) => corpus::run(&options),
        Task::Bench(options) => bench::run(&workspace, &options),
        Task::BenchQueries(options) => bench::queries::run(&workspace, &options),
        Task::BenchVerify(options) => bench::verify::run(&workspace, &options),
        Task::BenchFunctions(options) => bench::functions::run(&workspace, &options),
        Task::BenchCollect(options) => bench::collect::run(&workspace, &options),
        Task::Package(options) => package::run(&workspace, &options),
        Task::Floor(options) => bench::floor::run(&options),
    }
}

//! The binary `trailhound`: arguments, configuration, commands, output.
//!
//! It holds no logic that another front would need. Read in this order: [`args`] (what can be asked), [`session`] (what
//! a command works with), [`commands`] (one file each), [`output`] (how results are written).

mod args;
mod ask;
mod commands;
mod config;
mod exit;
mod hot;
mod live;
mod output;
mod progress;
mod proving;
mod session;
mod tables;
mod tell;
mod times;
mod trails;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use pipeline::escape;

use crate::args::{Cli, Command};
use crate::exit::{Exit, FAILED, USAGE, Usage};
use crate::session::Session;

fn main() -> ExitCode {
    // Reads the crash points that tests set; compiled out of every build but theirs.
    let _points = fail::FailScenario::setup();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output and are no failure; clap knows which is which.
            let code = if error.use_stderr() { USAGE } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let log = tracing_subscriber::EnvFilter::try_from_env("TRAILHOUND_LOG")
        .unwrap_or_else(|_| "warn,aws_config=error".into());
    tracing_subscriber::fmt()
        .with_env_filter(log)
        .with_writer(std::io::stderr)
        .with_ansi(output::colored(cli.global.color, std::io::stderr().is_terminal()))
        .init();
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {}", chain(&error)));
            ExitCode::from(if error.downcast_ref::<Usage>().is_some() { USAGE } else { FAILED })
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<Exit> {
    if let Command::Completions(arguments) = &cli.command {
        return commands::completions::run(arguments);
    }
    let mut session = Session::open(cli.global)?;
    let exit = match cli.command {
        Command::Demo(arguments) => commands::demo::run(&mut session, &arguments),
        Command::Ingest(arguments) => commands::ingest::run(&mut session, &arguments),
        Command::Collect(arguments) => commands::collect::run(&mut session, &arguments),
        Command::Run(arguments) => commands::run::run(&mut session, &arguments),
        Command::Watch(arguments) => commands::watch::run(&mut session, &arguments),
        Command::Events(arguments) => commands::events::run(&mut session, &arguments),
        Command::Query(arguments) => commands::query::run(&mut session, arguments.command),
        Command::Sql(arguments) => commands::sql::run(&mut session, &arguments),
        Command::Athena(arguments) => commands::athena::run(&mut session, &arguments.command),
        Command::Alerts(arguments) => commands::alerts::run(&mut session, arguments),
        Command::Suppress(arguments) => commands::suppress::run(&mut session, arguments),
        Command::Detections(arguments) => commands::detections::run(&mut session, &arguments.command),
        Command::Lake(arguments) => commands::lake::run(&mut session, &arguments.command),
        Command::Aws(arguments) => commands::aws::run(&mut session, &arguments.command),
        Command::Attest(arguments) => commands::attest::run(&mut session, &arguments),
        Command::Verify(arguments) => commands::verify::run(&mut session, &arguments),
        Command::Export(arguments) => commands::export::run(&mut session, &arguments),
        Command::Config(arguments) => commands::config::run(&mut session, &arguments.command),
        Command::Status(arguments) => commands::status::run(&mut session, &arguments),
        Command::Completions(_) => unreachable!("handled before a session is opened"),
    }?;
    session.out.flush()?;
    Ok(exit)
}

/// Whether the reader of our output went away, as `head` does: no failure of ours.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(is_pipe)
}

/// An error of CSV does not name its cause, and wraps and is wrapped by errors of input and output.
fn is_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<std::io::Error>() {
        let inner = error.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static));
        return error.kind() == std::io::ErrorKind::BrokenPipe || inner.is_some_and(is_pipe);
    }
    error.downcast_ref::<csv::Error>().is_some_and(|error| match error.kind() {
        csv::ErrorKind::Io(error) => is_pipe(error),
        _ => false,
    })
}

/// An error and its causes in one line, each said once.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

/// Says what is wrong with a file, in one line whatever its name is.
fn complain_of(name: &str, reason: &str) {
    complain(&format!("{}: {}", escape::terminal(name), escape::terminal(reason)));
}

/// Says something on standard error. What a stranger wrote in it cannot reach the terminal.
fn complain(text: &str) {
    let mut stderr = std::io::stderr().lock();
    for line in text.lines() {
        // Nobody is left to tell where standard error is closed.
        let _ = writeln!(stderr, "{}", escape::terminal(line));
    }
}

/// Ends the program at the user's second request.
#[expect(clippy::exit, reason = "nothing may be waited for any more")]
fn give_up() -> ! {
    std::process::exit(130)
}

/// Says something worth knowing that is no failure.
fn note(text: &str) {
    complain(&format!("note: {text}"));
}

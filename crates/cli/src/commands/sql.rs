//! `trailhound sql`: questions in SQL.

mod prompt;
mod serve;

use std::io::{IsTerminal, Read};

use anyhow::Context;

use crate::args::{SqlArgs, SqlEngine};
use crate::ask::{self, Asker, Manner};
use crate::exit::{Exit, usage};
use crate::session::Session;

/// A statement on standard input is no longer than this.
const LONGEST: u64 = 1 << 20;

pub(crate) fn run(session: &mut Session, arguments: &SqlArgs) -> anyhow::Result<Exit> {
    if arguments.answer.engine == SqlEngine::Athena {
        return ask_athena(session, arguments);
    }
    let asker = Asker::open(session, arguments.answer.lake.as_deref())?;
    if let Some(problem) = &asker.empty {
        crate::note(problem);
    }
    if let Some(address) = &arguments.serve {
        return serve::run(session, &asker, address, arguments);
    }
    let conversation = asker.session()?;
    let statement = match arguments.statement.as_deref() {
        Some("-") => standard_input()?,
        Some(statement) => statement.to_owned(),
        None if !std::io::stdin().is_terminal() => standard_input()?,
        None => return prompt::run(session, &asker, &conversation, &arguments.answer),
    };
    let manner = Manner { arguments: &arguments.answer, shown: &[] };
    ask::answer(session, &asker, &conversation, &statement, &manner)
}

fn ask_athena(session: &mut Session, arguments: &SqlArgs) -> anyhow::Result<Exit> {
    if arguments.serve.is_some() {
        return Err(usage("--serve is the embedded engine's: Athena has JDBC and ODBC drivers of its own"));
    }
    let statement = match arguments.statement.as_deref() {
        Some("-") => standard_input()?,
        Some(statement) => statement.to_owned(),
        None if !std::io::stdin().is_terminal() => standard_input()?,
        None => {
            return Err(usage("the prompt is the embedded engine's: give Athena a statement, or - for standard input"));
        }
    };
    ask::athena::answer(session, &statement, &Manner { arguments: &arguments.answer, shown: &[] })
}

fn standard_input() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().take(LONGEST + 1).read_to_string(&mut text).context("failed to read the statement")?;
    Ok(text)
}

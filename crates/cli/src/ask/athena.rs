//! Asking Athena, and writing its answer as the embedded engine's is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aws::athena::{Athena, AthenaError, Execution, Place, Scan};
use aws::{Account, Aws};
use query::dialect;
use serde_json::Value;

use super::writer::{Sink, Target, Writer};
use super::{Manner, Reading, Summary};
use crate::args::{AnswerArgs, AnswerFormat, AthenaPlace};
use crate::commands::ingest::stop_on_interrupt_saying;
use crate::exit::{Exit, usage};
use crate::output::bytes;
use crate::session::Session;

/// Athena, and where it is asked.
pub(crate) struct AthenaAsker {
    pub(crate) account: Account,
    pub(crate) athena: Athena,
    pub(crate) place: Place,
    stop: Arc<AtomicBool>,
}

impl AthenaAsker {
    pub(crate) fn open(session: &Session, place: &AthenaPlace) -> anyhow::Result<AthenaAsker> {
        let stop = stop_on_interrupt_saying(Some("stopping the query (ctrl-C again to end at once)"))?;
        let account = Aws::open(&session.access(), Some(Arc::clone(&stop)))?.unnamed();
        let athena = account.athena(None);
        let config = &session.config().athena;
        let of = |flag: &Option<String>, configured: &str| {
            let text = flag.clone().unwrap_or_else(|| configured.to_owned());
            Some(text).filter(|text| !text.is_empty())
        };
        let place = Place {
            database: of(&place.database, &config.database),
            workgroup: of(&place.workgroup, &config.workgroup),
            // Athena puts a result's name right behind it.
            output_location: of(&place.output_location, &config.output_location)
                .map(|location| if location.ends_with('/') { location } else { format!("{location}/") }),
            reuse_minutes: config.reuse_minutes,
        };
        Ok(AthenaAsker { account, athena, place, stop })
    }

    /// Runs a statement as it is; `None` if the user wants it to stop.
    pub(crate) fn run(&self, statement: &str, place: &Place) -> anyhow::Result<Option<Execution>> {
        self.unless_stopped(self.athena.run(statement, place))
    }

    /// What was waited for; `None` if the user wants it to stop.
    pub(crate) fn unless_stopped<T>(&self, outcome: Result<T, AthenaError>) -> anyhow::Result<Option<T>> {
        match outcome {
            Ok(done) => Ok(Some(done)),
            Err(AthenaError::Interrupted { unstopped: None, .. }) => Ok(None),
            // A query that goes on is told of, whoever wanted it to stop.
            Err(error @ AthenaError::Interrupted { .. }) => {
                crate::complain(&error.to_string());
                Ok(None)
            }
            Err(error @ AthenaError::OutOfSight { unstopped: Some(_), .. }) => Err(advised(&error)),
            Err(_) if self.is_stopped() => Ok(None),
            Err(error) => Err(advised(&error)),
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Asks Athena, and writes the answer. Only queries are sent.
pub(crate) fn answer(session: &mut Session, statement: &str, manner: &Manner<'_>) -> anyhow::Result<Exit> {
    let begun = Instant::now();
    let arguments = manner.arguments;
    check(arguments)?;
    let statement = dialect::for_athena(statement).map_err(|error| usage(error.to_string()))?;
    let statement = if arguments.explain { format!("EXPLAIN {statement}") } else { statement.to_owned() };
    let asker = AthenaAsker::open(session, &arguments.athena)?;
    let mut place = asker.place.clone();
    place.reuse_minutes = arguments.reuse_minutes.unwrap_or(place.reuse_minutes);
    let Some(execution) = asker.run(&statement, &place)? else { return Ok(Exit::Interrupted) };
    let Some(mut rows) = asker.unless_stopped(asker.athena.rows(&execution))? else { return Ok(Exit::Interrupted) };
    let mut target = Target::open(arguments, None)?;
    let columns = rows.columns().iter().map(|column| column.name.clone()).collect();
    let mut writer = Writer::new(arguments.format, columns, manner.shown);
    let limit = super::limit(arguments);
    let (mut written, mut more) = (0, false);
    while !more {
        let Some(page) = asker.unless_stopped(rows.next_page())?.filter(|_| !asker.is_stopped()) else {
            session.out.flush()?;
            return Ok(Exit::Interrupted);
        };
        let Some(mut page) = page else { break };
        let room = usize::try_from(limit - written).unwrap_or(usize::MAX);
        more = page.len() > room;
        page.truncate(room);
        written += page.len() as u64;
        if arguments.explain {
            page.iter().try_for_each(|row| super::show_plan(session, row))?;
        } else if let Sink::Text(out) = target.get(session) {
            writer.rows(page.into_iter(), out)?;
        }
    }
    if arguments.explain {
        return Ok(Exit::Done);
    }
    writer.finish(target.get(session))?;
    let file = target.finish(session)?;
    session.out.flush()?;
    if !session.global.quiet {
        let cost = Reading::Athena(execution.scan, execution.engine);
        Summary { written, more, took: begun.elapsed(), cost, file }.say(arguments);
    }
    Ok(Exit::Done)
}

/// Refuses what only the embedded engine has.
fn check(arguments: &AnswerArgs) -> anyhow::Result<()> {
    if arguments.lake.is_some() {
        return Err(usage("--lake is the embedded engine's: Athena asks the table of its --database"));
    }
    if arguments.format == AnswerFormat::Parquet {
        return Err(usage("--format parquet is the embedded engine's: ask Athena for csv, json or jsonl"));
    }
    Ok(())
}

/// What a statement scanned, and about what that costs.
pub(crate) fn scanned(scan: &Scan, took: Duration) -> String {
    if scan.is_reused {
        return "an earlier result of Athena's, reused: nothing scanned".to_owned();
    }
    let usd = scan.estimated_usd();
    let usd = match usd {
        0.0 => "no charge".to_owned(),
        _ if usd < 0.000_1 => "under USD 0.0001".to_owned(),
        _ => format!("about USD {usd:.4}"),
    };
    format!("Athena scanned {} in {:.2} s, {usd} (estimate)", bytes(scan.bytes), took.as_secs_f64())
}

/// The error, with what to do about it where that is known.
pub(crate) fn advised(error: &AthenaError) -> anyhow::Error {
    let said = error.to_string();
    let has = |words: &str| said.to_ascii_lowercase().contains(words);
    let advice = match error {
        _ if has("output location") || has("outputlocation") => {
            "say where results are written: --output-location, ATHENA_OUTPUT_LOCATION, or in the workgroup"
        }
        _ if has("workgroup") && has("not found") => {
            "`trailhound athena setup` makes it; or name another with --workgroup"
        }
        _ if has("table_not_found") || has("schema_not_found") => {
            "`trailhound athena setup` makes the database, the table and the views; or name another --database"
        }
        AthenaError::Denied { .. } => "allow it to these credentials: Athena reads and writes with their permissions",
        AthenaError::Cancelled { .. } if has("scanned limit") => {
            "ask for fewer days or columns, or raise the limit of the workgroup"
        }
        _ => "",
    };
    let told = if advice.is_empty() { said } else { format!("{said}; {advice}") };
    match error {
        AthenaError::Failed { is_mistake: true, .. } => usage(told),
        _ => anyhow::Error::msg(told),
    }
}

/// The one row of an answer, by its columns' names.
pub(crate) fn only_row(
    asker: &AthenaAsker,
    execution: &Execution,
) -> anyhow::Result<Option<serde_json::Map<String, Value>>> {
    let Some(mut rows) = asker.unless_stopped(asker.athena.rows(execution))? else { return Ok(None) };
    let names: Vec<String> = rows.columns().iter().map(|column| column.name.clone()).collect();
    let Some(page) = asker.unless_stopped(rows.next_page())? else { return Ok(None) };
    let row = page.unwrap_or_default().pop().unwrap_or_default();
    Ok(Some(names.into_iter().zip(row).collect()))
}

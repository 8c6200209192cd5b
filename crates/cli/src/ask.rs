//! Asking a question and writing its answer, whichever command asks.

pub(crate) mod athena;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use aws::athena::Scan;
use lake::Lake;
use local::SystemClock;
use pipeline::escape;
use pipeline::store::Clock;
use query::{Answer, Cost, Engine, EngineOptions, Now, QueryError, RowTable, Source};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use self::writer::{Target, Writer};
use crate::args::{AnswerArgs, AnswerFormat};
use crate::exit::{Exit, usage};
use crate::output::{bytes, plural};
use crate::session::Session;
use crate::tables::{Alerts, Covered, Detections, Runs};

/// Rows of a table where no number was given.
const TABLE_ROWS: u64 = 1_000;

/// The engine, and the runtime it works on.
pub(crate) struct Asker {
    pub(crate) engine: Arc<Engine>,
    runtime: Option<Runtime>,
    /// The first conversation, which is prepared while the lake is opened.
    prepared: Mutex<Option<JoinHandle<Result<query::Session, QueryError>>>>,
    /// What to say where there are no events.
    pub(crate) empty: Option<String>,
    /// Told of every ctrl-C, also of one that comes while rows are written and nothing is waited for.
    stop: Arc<Notify>,
}

/// Has glibc keep what is freed for what is asked for next, up to 62 MiB in each of its arenas.
///
/// It gives larger blocks back to the system, which clears them before it gives them out again: a question that reads many
/// pages of files spent a fifth of its time on that. A block that is freed raises both of glibc's thresholds to its own
/// size, which no page has to be touched for. Other allocators lose nothing by it.
fn keep_freed_memory() {
    // glibc learns from blocks of up to 32 MiB with their header.
    const LARGEST: usize = 31 << 20;
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGEST)));
}

impl Asker {
    pub(crate) fn open(session: &Session, lake: Option<&str>) -> anyhow::Result<Asker> {
        let config = &session.loaded.config;
        let detections: Arc<dyn RowTable> = Arc::new(Detections(config.detect.clone()));
        let (source, tables, place) = match lake {
            Some(place) => (Source::lake(open_elsewhere(place)?), vec![detections], place.to_owned()),
            None => {
                let state = session.state_path();
                let tables: Vec<Arc<dyn RowTable>> = vec![
                    Arc::new(Alerts(state.clone())),
                    detections,
                    Arc::new(Runs(state.clone())),
                    Arc::new(Covered(state)),
                ];
                (Source::folder(session.lake_path()), tables, session.home.display().to_string())
            }
        };
        let threads = match config.query.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => usize::from(threads),
        };
        let memory = usize::try_from(config.query.memory).unwrap_or(usize::MAX);
        let options = EngineOptions { now: now(session), memory, spill: None, threads };
        keep_freed_memory();
        let engine = Arc::new(Engine::new(source, tables, options)?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("query")
            .enable_all()
            .build()
            .context("failed to start the threads that answer")?;
        let preparing = Arc::clone(&engine);
        let prepared = runtime.spawn(async move { preparing.session().await });
        let is_empty = engine.is_empty()?;
        let empty =
            is_empty.then(|| format!("there are no events in {place} yet: read some with `trailhound ingest PATH`"));
        let stop = Arc::new(Notify::new());
        let told = Arc::clone(&stop);
        runtime.spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                told.notify_one();
            }
        });
        Ok(Asker { engine, runtime: Some(runtime), prepared: Mutex::new(Some(prepared)), empty, stop })
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it is taken where the asker is dropped")
    }

    /// A conversation.
    pub(crate) fn session(&self) -> anyhow::Result<query::Session> {
        let prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.runtime().block_on(async {
            let session = match prepared {
                Some(prepared) => prepared.await.context("the first conversation was not prepared")?,
                None => self.engine.session().await,
            };
            Ok(session?)
        })
    }

    /// Forgets a ctrl-C that came after the answer it was meant for.
    pub(crate) fn forget_stop(&self) {
        self.runtime().block_on(async {
            tokio::select! {
                biased;
                () = self.stop.notified() => {}
                () = std::future::ready(()) => {}
            }
        });
    }

    /// Waits for the engine; `None` if the user wants it to stop.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = Result<T, QueryError>>) -> anyhow::Result<Option<T>> {
        self.runtime().block_on(async {
            tokio::select! {
                done = work => done.map(Some).map_err(mistake),
                () = self.stop.notified() => Ok(None),
            }
        })
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        // A step of an answer that nobody wants any more is not waited for.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The time that was given; without one the clock, because a prompt or a door may be open for days.
fn now(session: &Session) -> Now {
    match session.global.now {
        Some(_) => Now::Fixed(session.now),
        None => Now::Clock(|| SystemClock.now()),
    }
}

/// A lake that is not the home folder's.
fn open_elsewhere(place: &str) -> anyhow::Result<Lake> {
    if place.contains("://") {
        return Ok(Lake::open_url(place)?);
    }
    Ok(Lake::open(Path::new(place))?)
}

/// What the user wrote wrong is the user's mistake; the rest is a failure.
fn mistake(error: QueryError) -> anyhow::Error {
    if error.is_mistake() { usage(error.to_string()) } else { error.into() }
}

/// How an answer is to be written.
pub(crate) struct Manner<'a> {
    pub(crate) arguments: &'a AnswerArgs,
    /// The columns of a table; all where there are none.
    pub(crate) shown: &'a [String],
}

/// Asks, and writes the answer.
pub(crate) fn answer(
    session: &mut Session,
    asker: &Asker,
    conversation: &query::Session,
    sql: &str,
    manner: &Manner<'_>,
) -> anyhow::Result<Exit> {
    let begun = Instant::now();
    let arguments = manner.arguments;
    let sql = if arguments.explain { format!("EXPLAIN {sql}") } else { sql.to_owned() };
    let Some(mut answer) = asker.wait(conversation.ask(&sql))? else { return Ok(Exit::Interrupted) };
    if arguments.explain {
        return explain(session, asker, answer);
    }
    let mut target = Target::open(arguments, Some(&answer))?;
    let limit = limit(arguments);
    let columns = answer.columns();
    let mut writer = Writer::new(arguments.format, columns, manner.shown);
    let (mut written, mut more) = (0, false);
    loop {
        let Some(next) = asker.wait(answer.next())? else {
            // What is half written is no answer: a file is left as it was.
            session.out.flush()?;
            return Ok(Exit::Interrupted);
        };
        let Some(block) = next else { break };
        let room = limit - written;
        let taken = u64::try_from(block.len()).unwrap_or(u64::MAX).min(room);
        writer.write(&block.head(usize::try_from(taken).unwrap_or(usize::MAX)), target.get(session))?;
        written += taken;
        if taken < block.len() as u64 {
            more = true;
            break;
        }
    }
    writer.finish(target.get(session))?;
    let file = target.finish(session)?;
    session.out.flush()?;
    if !session.global.quiet {
        let summary = Summary { written, more, took: begun.elapsed(), cost: Reading::Embedded(answer.cost()), file };
        summary.say(arguments);
    }
    Ok(Exit::Done)
}

/// How many rows are written at most.
fn limit(arguments: &AnswerArgs) -> u64 {
    match arguments.max_rows {
        Some(0) => u64::MAX,
        Some(limit) => limit,
        None if arguments.format == AnswerFormat::Table => TABLE_ROWS,
        None => u64::MAX,
    }
}

/// What an answer was read from.
enum Reading {
    /// Files of the lake.
    Embedded(Cost),
    /// What Athena scanned, and how long it took.
    Athena(Scan, Duration),
}

/// What is said after an answer.
struct Summary {
    written: u64,
    more: bool,
    took: Duration,
    cost: Reading,
    file: Option<PathBuf>,
}

impl Summary {
    /// On standard error, below a table that stands on the terminal.
    fn say(&self, arguments: &AnswerArgs) {
        let gap = if arguments.format == AnswerFormat::Table && arguments.output.is_none() { "\n" } else { "" };
        crate::complain(&format!("{gap}{self}"));
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} in {:.2} s", plural(self.written, "row", "rows"), self.took.as_secs_f64())?;
        if let Some(file) = &self.file {
            write!(f, " written to {}", file.display())?;
        }
        match &self.cost {
            Reading::Embedded(cost) => {
                write!(f, "; {}, {} read", plural(cost.files, "file", "files"), bytes(cost.bytes))?;
                if cost.spilled > 0 {
                    write!(f, ", {} through the disk", bytes(cost.spilled))?;
                }
            }
            Reading::Athena(scan, took) => write!(f, "; {}", athena::scanned(scan, *took))?,
        }
        if self.more {
            write!(f, "; there are more rows: raise --max-rows (0 for all)")?;
        }
        Ok(())
    }
}

/// Shows a plan as it is laid out.
fn explain(session: &mut Session, asker: &Asker, mut answer: Answer) -> anyhow::Result<Exit> {
    loop {
        let Some(next) = asker.wait(answer.next())? else { return Ok(Exit::Interrupted) };
        let Some(block) = next else { return Ok(Exit::Done) };
        for row in 0..block.len() {
            show_plan(session, &block.row(row))?;
        }
    }
}

/// Shows a row of a plan.
fn show_plan(session: &mut Session, row: &[Value]) -> anyhow::Result<()> {
    for line in row.iter().filter_map(Value::as_str).flat_map(str::lines) {
        session.out.line(&escape::terminal(line))?;
    }
    Ok(())
}

//! `trailhound ingest`: files in, events and alerts kept, counts that add up.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context;
use detect::{Registry, Severity};
use lake::WriterOptions;
use local::aside::JsonlAside;
use local::files::{FileSource, Options, Skipped};
use local::{LakeStore, SystemClock};
use pipeline::alert::{Arrival, Occasion};
use pipeline::escape;
use pipeline::filter::Filters;
use pipeline::history::RunEnd;
use pipeline::ingest::{Ingest, Progress};
use pipeline::outbox::Routes;
use pipeline::proof::{ProofCounts, Proving};
use pipeline::report::{Problem, Report};
use pipeline::source::Source;
use pipeline::state::{StateStore, SuppressionStore};
use pipeline::store::Clock;
use pipeline::suppress::Suppressions;
use serde_json::json;

use crate::args::{IngestArgs, SummaryFormat};
use crate::exit::{Exit, usage};
use crate::output::{bytes, count, plural};
use crate::progress::Bar;
use crate::proving::Keys;
use crate::session::{Session, tidy};
use crate::tell::Tell;

pub(crate) fn run(session: &mut Session, arguments: &IngestArgs) -> anyhow::Result<Exit> {
    let keys = match arguments.verify {
        true => Some(Keys::open(session, "--keys", arguments.keys.as_deref())?),
        false => None,
    };
    let reading = Reading {
        command: "ingest",
        threads: arguments.threads,
        fail_on: arguments.fail_on,
        notify: arguments.notify,
        keys: keys.as_ref(),
    };
    let done = read(session, &reading, &arguments.paths)?;
    match arguments.summary {
        SummaryFormat::Json => session.out.json(&done.to_json())?,
        SummaryFormat::Text if !session.global.quiet => {
            for line in done.lines() {
                crate::complain(&line);
            }
        }
        SummaryFormat::Text => {}
    }
    Ok(done.exit)
}

/// How a run ended, the most pressing first.
fn exit(report: &Report, fail_on: Option<Severity>) -> Exit {
    if report.interrupted {
        Exit::Interrupted
    } else if report.failed_objects > 0 || fail_on.is_some_and(|severity| report.alerts.at_least(severity) > 0) {
        Exit::Found
    } else if report.has_rejections() {
        Exit::Rejected
    } else {
        Exit::Done
    }
}

/// How to read.
pub(crate) struct Reading<'a> {
    /// The command, as the history names it.
    pub(crate) command: &'a str,
    pub(crate) threads: Option<u16>,
    /// The severity from which on a new alert decides the exit code.
    pub(crate) fail_on: Option<Severity>,
    /// Whether people are told of what is past.
    pub(crate) notify: bool,
    /// What digests are judged with, where what is read is to be proven.
    pub(crate) keys: Option<&'a Keys>,
}

/// A run that came to its end.
pub(crate) struct Done {
    pub(crate) exit: Exit,
    pub(crate) report: Report,
    pub(crate) took: Duration,
    skipped: Skipped,
    home: PathBuf,
}

/// Reads paths into the home folder's lake and state.
pub(crate) fn read(session: &Session, reading: &Reading<'_>, paths: &[PathBuf]) -> anyhow::Result<Done> {
    let config = session.config();
    let registry = Registry::new(&config.detect).map_err(|error| usage(format!("[detect]: {error}")))?;
    let filters = Filters::new(&config.filter).map_err(|error| usage(error.to_string()))?;
    let state = session.open_state()?;
    let lake = session.open_or_create_lake()?;
    session.fit(&state, &lake)?;
    let store = LakeStore::new(&lake, WriterOptions::default())?;
    let aside = JsonlAside::open(&session.home)
        .with_context(|| format!("failed to open the files of rejected records in {}", session.home.display()))?;
    let suppressions = Suppressions::new(state.suppressions()?);
    let tell = if reading.notify { Some(Tell::build(session)?) } else { None };
    let routes = tell.as_ref().map(|tell| Routes { backfill: true, ..tell.routes.clone() }).unwrap_or_default();

    let clock = SystemClock;
    let started = Instant::now();
    let run = state.begin_run(reading.command, clock.now())?;
    let stop = stop_on_interrupt()?;
    let progress = Arc::new(Progress::default());
    let mut source = FileSource::new(paths, Options { inflated: config.limits.max_inflated, ..Options::default() });
    let bar = Bar::start(&progress, source.size_hint(), "files", bar_wanted(session));
    let on_problem = |problem: &Problem| bar.suspend(|| crate::complain_of(&problem.name, &problem.reason));
    let threads = reading
        .threads
        .or(Some(config.ingest.threads).filter(|&threads| threads > 0))
        .map_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get), usize::from);
    let examiner = reading.keys.map(Keys::examiner);
    let proving = examiner.as_ref().map(|examiner| Proving { examiner, store: &state });
    let outcome = Ingest {
        store: &store,
        ledger: &state,
        aside: &aside,
        clock: &clock,
        registry: &registry,
        filters: &filters,
        suppressions: &suppressions,
        routes: &routes,
        proving,
        occasion: Occasion { now: clock.now(), arrival: Arrival::Backfill, run: Some(run) },
        limits: config.limits.limits(),
        threads,
        commit_every: Duration::from_secs(u64::from(config.ingest.commit_seconds.max(1))),
        progress: &progress,
        on_problem: &on_problem,
        stop: &stop,
    }
    .run(&mut source);
    bar.finish();

    let at = clock.now();
    let report = match outcome {
        Ok(report) => report,
        Err(error) => {
            let error = error.into();
            crate::live::run_failed(&state, run, &error);
            return Err(error);
        }
    };
    session.fit(&state, &lake)?;
    if let Some(tell) = &tell {
        tell.send_now(&state, &stop);
    }
    let exit = exit(&report, reading.fail_on);
    let end = RunEnd {
        at,
        exit_code: i32::from(exit.code()),
        records: report.records(),
        unread: report.unread(),
        alerts: report.alerts.new,
        suppressed: report.alerts.suppressed,
        error: None,
    };
    state.end_run(run, &end)?;
    if !report.interrupted {
        tidy(&lake).into_iter().for_each(|problem| crate::note(&problem));
    }
    Ok(Done { exit, report, took: started.elapsed(), skipped: source.skipped().clone(), home: session.home.clone() })
}

fn bar_wanted(session: &Session) -> bool {
    !session.global.quiet && std::io::stderr().is_terminal()
}

/// Set at the first ctrl-C; the second ends the program at once, which loses nothing that was committed.
pub(crate) fn stop_on_interrupt() -> anyhow::Result<Arc<AtomicBool>> {
    stop_on_interrupt_saying(Some("stopping: keeping what was read so far (ctrl-C again to end at once)"))
}

/// The same, with other words or none.
pub(crate) fn stop_on_interrupt_saying(words: Option<&'static str>) -> anyhow::Result<Arc<AtomicBool>> {
    // A command that does several things in turn, as the demo does, is interrupted as a whole.
    static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    if let Some(stop) = STOP.get() {
        return Ok(Arc::clone(stop));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::Relaxed) {
            crate::give_up();
        }
        words.into_iter().for_each(crate::complain);
    })
    .context("failed to listen for ctrl-C")?;
    Ok(Arc::clone(STOP.get_or_init(|| stop)))
}

/// What became of the records, in one line that adds up.
pub(crate) fn fates(report: &Report) -> String {
    let mut fates = vec![format!("{} stored", count(report.stored))];
    let mut fate = |number: u64, what: &str| {
        if number > 0 {
            fates.push(format!("{} {what}", count(number)));
        }
    };
    fate(report.duplicates, "duplicate");
    fate(report.variants, "variant");
    for (reason, number) in &report.filtered {
        fate(*number, &format!("filtered ({reason})"));
    }
    fate(report.rejected, "rejected");
    fate(report.insights, "insight");
    format!("{} = {}", plural(report.read, "record", "records"), fates.join(" + "))
}

/// The alerts of a run, in one line.
pub(crate) fn new_alerts(report: &Report) -> String {
    let new = report.alerts.new.iter().filter(|(_, number)| *number > 0);
    let mut alerts: Vec<String> = new.map(|(severity, number)| format!("{} {severity}", count(number))).collect();
    if alerts.is_empty() {
        alerts.push("none new".to_owned());
    }
    for (number, what) in [(report.alerts.suppressed, "suppressed"), (report.alerts.known, "known before")] {
        if number > 0 {
            alerts.push(format!("{} {what}", count(number)));
        }
    }
    format!("alerts: {}", alerts.join(", "))
}

/// What is known of log files, in one line.
pub(crate) fn proofs(proofs: &ProofCounts) -> String {
    let mut parts = vec![format!("{} proven", count(proofs.proven))];
    for (number, what) in [(proofs.pending, "pending"), (proofs.failed, "failed"), (proofs.missing, "missing")] {
        if number > 0 {
            parts.push(format!("{} {what}", count(number)));
        }
    }
    let digests = plural(proofs.digests, "digest", "digests");
    let unproven = match proofs.unproven_digests {
        0 => String::new(),
        number => format!(" and {} that proves nothing", count(number)),
    };
    format!("proofs: {}, by {digests}{unproven}", parts.join(", "))
}

impl Done {
    /// The summary, as people read it.
    pub(crate) fn lines(&self) -> Vec<String> {
        let report = &self.report;
        let seconds = self.took.as_secs_f64().max(0.001);
        let mut lines = vec![format!(
            "{} read ({} inflated) in {:.1} s: {}/s, {} events/s",
            plural(report.items, "file", "files"),
            bytes(report.inflated),
            seconds,
            bytes((report.inflated as f64 / seconds) as u64),
            count((report.read as f64 / seconds) as u64),
        )];
        lines.push(fates(report));
        lines.push(new_alerts(report));
        lines.extend(report.proofs.as_ref().map(proofs));
        let digests = if report.proofs.is_some() { 0 } else { report.digests };
        let mut left = Vec::new();
        for (number, one, many) in [
            (report.unreadable, "unreadable path", "unreadable paths"),
            (report.damaged, "damaged file", "damaged files"),
            (report.empty, "file without records", "files without records"),
            (digests, "digest file left for later", "digest files left for later"),
        ] {
            if number > 0 {
                left.push(plural(number, one, many));
            }
        }
        if !left.is_empty() {
            lines.push(left.join(", "));
        }
        if self.skipped.files > 0 {
            let names: Vec<_> = self.skipped.names.iter().take(5).map(|name| escape::terminal(name)).collect();
            let more = if self.skipped.files > names.len() as u64 { ", …" } else { "" };
            let files = plural(self.skipped.files, "file", "files");
            lines.push(format!("{files} passed over by name, as no log is called so: {}{more}", names.join(", ")));
        }
        if report.has_rejections() {
            lines.push(format!("what was rejected is kept in {}", self.home.join("rejected.jsonl").display()));
        }
        if report.variants > 0 {
            lines.push(format!("variants are kept in {}", self.home.join("variants.jsonl").display()));
        }
        if report.interrupted {
            lines.push("interrupted: run the same command again to read the rest".to_owned());
        }
        lines
    }

    fn to_json(&self) -> serde_json::Value {
        let mut value = json!(self.report);
        value["seconds"] = json!(self.took.as_secs_f64());
        value["passed_over"] = json!(self.skipped.files);
        value
    }
}

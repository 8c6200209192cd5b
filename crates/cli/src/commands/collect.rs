//! `trailhound collect`: one pass over the event history.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use event::Timestamp;
use lake::WriterOptions;
use local::SystemClock;
use local::state::SqliteState;
use pipeline::alert::Arrival;
use pipeline::collect::{PassReport, Pause, Scope, Stream, StreamStore};
use pipeline::ingest::Progress;
use pipeline::lookup::each_alert;
use pipeline::pattern::Pattern;
use pipeline::source::SizeHint;
use pipeline::state::AlertFilter;
use pipeline::store::Clock;
use serde_json::json;

use crate::args::{CollectArgs, CollectCommand, CollectPassArgs, SummaryFormat};
use crate::commands::ingest::{fates, new_alerts, stop_on_interrupt};
use crate::exit::{Exit, usage};
use crate::live::{Base, Live, Overrides, Pass};
use crate::output::{count, plural};
use crate::progress::Bar;
use crate::session::{Session, tidy};
use crate::tell::Tell;
use crate::trails::{Reader, TrailReport, is_trail, streams};

/// What event sources end with.
const SUFFIX: &str = ".amazonaws.com";

pub(crate) fn run(session: &mut Session, arguments: &CollectArgs) -> anyhow::Result<Exit> {
    match &arguments.command {
        None => pass(session, &arguments.pass),
        Some(CollectCommand::Pause { streams, reason, by }) => {
            let (at, by) = (SystemClock.now(), Session::person(by.as_ref()));
            pause(session, streams, Some(&Pause { at, by, reason: reason.clone() }))
        }
        Some(CollectCommand::Resume { streams }) => pause(session, streams, None),
    }
}

fn pass(session: &mut Session, arguments: &CollectPassArgs) -> anyhow::Result<Exit> {
    session.profile.clone_from(&arguments.profile);
    let overrides = Overrides { regions: arguments.regions.clone(), sources: arguments.sources.clone() };
    let state = session.open_state()?;
    let tell = Tell::build(session)?;
    let stop = stop_on_interrupt()?;
    let base = Base::open(session, &state)?;
    let mut live = Live::open(session, &base, &state, &overrides, WriterOptions::default(), &stop)?;
    live.discover(&state, &stop)?;
    let trails = &session.config().trails;
    if live.scope.streams.is_empty() && trails.is_empty() {
        if stop.load(Ordering::Relaxed) {
            return Ok(Exit::Interrupted);
        }
        match live.scope.unknown.first() {
            Some(unknown) => anyhow::bail!("{}", unknown.trouble.with_advice()),
            None => {
                let nothing = "there is nothing to collect: collect.own_account is false, and there are no [[accounts]] or [[trails]]";
                return Err(usage(nothing));
            }
        }
    }
    let began = SystemClock.now();
    let progress = Arc::new(Progress::default());
    let wanted = !session.global.quiet && std::io::stderr().is_terminal();
    let bar = Bar::start(&progress, SizeHint::default(), "pages", wanted);
    let outcome = live.pass(&Pass {
        command: "collect",
        base: &base,
        state: &state,
        ledger: &state,
        routes: &tell.routes,
        progress: &progress,
        stop: &stop,
    });
    let reader = Reader {
        config: session.config(),
        aws: live.aws(),
        access: session.access(),
        base: &base,
        state: &state,
        ledger: &state,
        routes: &tell.routes,
        progress: &progress,
        stop: &stop,
    };
    let outcome = outcome.and_then(|report| Ok((report, reader.read_all(trails)?)));
    bar.finish();
    // What was found before a failure is told of, too.
    tell.send_now(&state, &stop);
    let ((report, took), read) = outcome?;
    session.fit(&state, &base.lake)?;
    if !stop.load(Ordering::Relaxed) {
        tidy(&base.lake).into_iter().for_each(|problem| crate::note(&problem));
    }
    let untold = backfilled(&state, began, !tell.channels.is_empty())?;
    for line in problems(&report, &live.scope) {
        crate::complain(&line);
    }
    for line in read.iter().flat_map(|trail| &trail.problems) {
        crate::complain(line);
    }
    match arguments.summary {
        SummaryFormat::Json => {
            let mut document = json!(report);
            document["unknown"] = json!(live.scope.unknown);
            document["seconds"] = json!(took.as_secs_f64());
            document["trails"] = json!(read);
            session.out.json(&document)?;
        }
        SummaryFormat::Text if !session.global.quiet => {
            for line in lines(&report, took, untold) {
                crate::complain(&line);
            }
            for line in read.iter().flat_map(TrailReport::lines) {
                crate::complain(&line);
            }
        }
        SummaryFormat::Text => {}
    }
    let is_complete =
        report.is_complete() && live.scope.unknown.is_empty() && read.iter().all(|trail| trail.trouble.is_none());
    let totals = || read.iter().map(|trail| &trail.totals).chain([&report.totals]);
    let is_serious = |severity| totals().any(|totals| totals.alerts.at_least(severity) > 0);
    Ok(if stop.load(Ordering::Relaxed) {
        Exit::Interrupted
    } else if !is_complete
        || totals().any(|totals| totals.failed_objects > 0)
        || arguments.fail_on.is_some_and(is_serious)
    {
        Exit::Found
    } else if totals().any(pipeline::report::Report::has_rejections) {
        Exit::Rejected
    } else {
        Exit::Done
    })
}

/// What could not be read or found out, each cause once, with what helps.
pub(crate) fn problems(report: &PassReport, scope: &Scope) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for unknown in &scope.unknown {
        lines.push(format!("{}: {}", unknown.subject, unknown.trouble.with_advice()));
    }
    let mut causes: BTreeMap<String, Vec<&Stream>> = BTreeMap::new();
    for (stream, trouble) in report.troubles() {
        causes.entry(trouble.with_advice()).or_default().push(stream);
    }
    for (cause, streams) in causes {
        let first = streams[0];
        let more = match streams.len() - 1 {
            0 => String::new(),
            more => format!(" and {}", plural(more as u64, "more stream", "more streams")),
        };
        lines.push(format!("{first}{more}: {cause}"));
    }
    lines
}

/// That alerts of what happened before a stream was first read were sent to nobody, where somebody could have been told.
pub(crate) fn backfilled(state: &SqliteState, since: Timestamp, has_channels: bool) -> anyhow::Result<Option<String>> {
    if !has_channels {
        return Ok(None);
    }
    let mut number = 0;
    let filter = AlertFilter { recorded_since: Some(since), ..AlertFilter::open() };
    each_alert(state, &filter, |alert| {
        number += u64::from(alert.arrival == Arrival::Backfill);
        Ok::<(), anyhow::Error>(())
    })?;
    let alerts = plural(number, "alert tells", "alerts tell");
    Ok((number > 0).then(|| {
        format!("{alerts} of what happened before the first pass, and went to no channel: `trailhound alerts`")
    }))
}

/// The summary, as people read it.
fn lines(report: &PassReport, took: Duration, untold: Option<String>) -> Vec<String> {
    let sum = |part: fn(&pipeline::collect::StreamReport) -> u64| report.streams.iter().map(part).sum::<u64>();
    let (calls, failed) = (sum(|stream| stream.calls), sum(|stream| stream.failed_calls));
    let failed = if failed > 0 { format!(" and {} that failed", count(failed)) } else { String::new() };
    let complete = report.streams.iter().filter(|stream| stream.complete).count() as u64;
    let paused = report.streams.iter().filter(|stream| stream.paused).count() as u64;
    let mut streams =
        format!("{complete} of {} read to their end", plural(report.streams.len() as u64, "stream", "streams"));
    if paused > 0 {
        streams.push_str(&format!(", {} paused", count(paused)));
    }
    let mut lines = vec![
        format!("{streams} in {:.1} s: {}{failed}", took.as_secs_f64(), plural(calls, "call", "calls")),
        fates(&report.totals),
        new_alerts(&report.totals),
    ];
    lines.extend(untold);
    if report.totals.interrupted {
        lines.push("interrupted: run the same command again to read the rest".to_owned());
    }
    lines
}

/// Pauses streams, or lets them go on.
fn pause(session: &mut Session, patterns: &[String], pause: Option<&Pause>) -> anyhow::Result<Exit> {
    let state = session.open_state()?;
    let scope = state.scope()?;
    let remembered = state.streams()?;
    let trails = streams(&session.config().trails)?;
    let known = scope.streams.iter().chain(&trails).chain(remembered.iter().map(|state| &state.stream));
    let known: std::collections::BTreeSet<&Stream> = known.collect();
    let mut chosen: Vec<Stream> = Vec::new();
    for text in patterns {
        if text.contains(['*', '?']) {
            let pattern = Pattern::new(text).map_err(|error| usage(format!("{text}: {error}")))?;
            // As `status` shows them, too.
            let is_meant = |stream: &&&Stream| {
                let name = stream.to_string();
                pattern.matches(&name) || pattern.matches(name.trim_end_matches(SUFFIX))
            };
            let before = chosen.len();
            chosen.extend(known.iter().filter(is_meant).map(|&stream| stream.clone()));
            if chosen.len() == before {
                return Err(usage(format!("no stream is called {text:?}; `trailhound status` lists them")));
            }
        } else {
            let mut stream: Stream =
                text.parse().map_err(|error: pipeline::collect::stream::NoStream| usage(error.to_string()))?;
            if !stream.source.contains('.') && !is_trail(&stream) {
                stream.source.push_str(SUFFIX);
            }
            chosen.push(stream);
        }
    }
    let (done, already) = match pause {
        Some(_) => ("paused", "paused already"),
        None => ("resumed", "not paused"),
    };
    let mut unchanged = 0;
    for stream in &chosen {
        if state.pause_stream(stream, pause)? {
            session.out.line(&format!("{done} {stream}"))?;
        } else {
            unchanged += 1;
        }
        if !known.contains(stream) {
            crate::note(&format!("{stream} was never collected; is it spelt right?"));
        }
    }
    if unchanged > 0 {
        session.out.line(&format!("{} {already}", plural(unchanged, "stream was", "streams were")))?;
    }
    Ok(Exit::Done)
}

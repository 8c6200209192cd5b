//! `trailhound status`: what is stored, what the last runs did, what is open.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use event::Timestamp;
use local::state::SqliteState;
use pipeline::collect::{Pause, Stream, StreamStore};
use pipeline::escape;
use pipeline::history::{PastRun, SEVERITIES};
use pipeline::notify::{ChannelHealth, health};
use pipeline::proof::ProofStore;
use pipeline::state::{AlertFilter, StateStore, SuppressionStore};
use pipeline::status::trails::{TrailStatus, Trails};
use pipeline::status::{Gap, Status, StreamStatus};
use serde_json::json;

use crate::args::{DocumentFormat, Format, SideArgs, StackArgs, StatusArgs};
use crate::commands::aws;
use crate::commands::ingest::proofs;
use crate::exit::Exit;
use crate::hot::stack_of;
use crate::live::expectation;
use crate::output::{Rows, count, plural};
use crate::session::Session;
use crate::trails::{expected, is_command};

/// How many past runs are shown.
const RUNS: usize = 5;
/// Among how many they are looked for.
const LOOK_BACK: usize = 1_000;
/// How many streams are shown.
const STREAMS: usize = 60;

pub(crate) fn run(session: &mut Session, arguments: &StatusArgs) -> anyhow::Result<Exit> {
    if let Some(address) = &arguments.store {
        let stack = stack_of(address)?.to_owned();
        return aws::status::run(session, &StackArgs { stack, side: SideArgs::default() }, arguments.format);
    }
    let lake = session.find_lake()?.map(|lake| lake.status()).transpose()?;
    let state = session.open_state()?;
    // A daemon makes a run a minute, most of which tell nothing.
    let latest = state.runs(LOOK_BACK)?;
    let is_idle = |run: &PastRun| {
        let is_daemons = run.command == "run" || is_command(&run.command, None);
        is_daemons && run.end.as_ref().is_some_and(|end| end.exit_code == 0 && end.records.stored == 0)
    };
    let runs: Vec<&PastRun> = latest
        .iter()
        .enumerate()
        .filter(|(place, run)| *place == 0 || !is_idle(run))
        .map(|(_, run)| run)
        .take(RUNS)
        .collect();
    let alerts = state.count_alerts(&AlertFilter::default())?;
    let in_force = state
        .suppressions()?
        .into_iter()
        .filter(|suppression| suppression.removed.is_none() && !suppression.is_over(session.now))
        .count();
    let proven = state.count_proofs()?;
    let rejected = lines_of(&session.home.join("rejected.jsonl"))?;
    let variants = lines_of(&session.home.join("variants.jsonl"))?;
    let scope = state.scope()?;
    let known = state.streams()?;
    let trails = Trails::new(&expected(session.config(), &known)?, session.now);
    let streams_of_trails: Vec<Stream> = trails.trails.iter().map(|trail| trail.trail.clone()).collect();
    let coverage = Status::new(&scope, &known, &expectation(session.config()), session.now);
    let is_collecting = !scope.streams.is_empty() || !scope.unknown.is_empty();
    let channels = channels(&state, session.config().notify.iter().map(|channel| channel.name.as_str()))?;
    let failures = failures(&latest, &streams_of_trails);
    let is_well = (!is_collecting || coverage.is_covered())
        && failures.iter().all(|run| run.command == "ingest")
        && trails.is_well();
    let exit = if is_well { Exit::Done } else { Exit::Found };
    // A run that was cut off is over when a later one of its kind has come to its end.
    let is_made_up =
        |place: usize| runs[..place].iter().any(|later| later.end.is_some() && later.command == runs[place].command);
    let unfinished = (0..runs.len()).filter(|&place| runs[place].end.is_none() && !is_made_up(place)).count();

    let none = "no events yet: read some with `trailhound ingest PATH` or `trailhound collect`";
    let verdict = match &lake {
        None => none.to_owned(),
        Some(status) if status.rows == 0 => none.to_owned(),
        Some(status) => {
            let open = alerts.open.total();
            let worst = SEVERITIES.iter().find(|&&severity| alerts.open.get(severity) > 0);
            let open = match worst {
                Some(worst) => format!("{}, the worst {worst}", plural(open, "open alert", "open alerts")),
                None => "no open alerts".to_owned(),
            };
            format!("{} stored, {open}", plural(status.rows, "event", "events"))
        }
    };
    let verdict = if is_collecting { format!("{verdict}; {}", coverage.verdict) } else { verdict };
    let verdict = if trails.trails.is_empty() { verdict } else { format!("{verdict}; {}", trails.verdict) };
    let verdict = match failures.first() {
        Some(failure) => format!("{verdict}; the last {} failed", of_kind(&failure.command)),
        None => verdict,
    };
    let down: Vec<&str> =
        channels.iter().filter(|channel| channel.is_down()).map(|channel| channel.channel.as_str()).collect();
    let verdict = match down.len() {
        0 => verdict,
        1 => format!("{verdict}; the channel {} does not take alerts", down[0]),
        number => format!("{verdict}; {number} channels do not take alerts, the first {}", down[0]),
    };
    if arguments.format == DocumentFormat::Json {
        let document = json!({
            "verdict": verdict,
            "home": session.home.display().to_string(),
            "lake": lake.as_ref().map(crate::commands::lake::status_json),
            "alerts": alerts,
            "suppressions_in_force": in_force,
            "rejections": rejected,
            "variants": variants,
            "runs": runs,
            "failures": failures,
            "collecting": is_collecting.then_some(&coverage),
            "channels": channels,
            "proofs": (!proven.is_empty()).then_some(proven),
            "trails": trails.trails,
        });
        session.out.json(&document)?;
        return Ok(exit);
    }
    let bold = session.out.bold(&escape::terminal(&verdict));
    let mut lines = vec![bold, String::new(), format!("home          {}", session.home.display())];
    if let Some(status) = &lake {
        lines.extend(crate::commands::lake::status_lines(status));
    }
    let by_severity = |counts: pipeline::history::SeverityCounts| {
        let parts: Vec<String> = counts
            .iter()
            .filter(|(_, number)| *number > 0)
            .map(|(severity, number)| format!("{} {severity}", count(number)))
            .collect();
        if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
    };
    lines.push(format!("open alerts   {}", by_severity(alerts.open)));
    if !proven.is_empty() {
        lines.push(proofs(&proven).replacen("proofs: ", "proofs        ", 1));
    }
    lines.push(format!("acknowledged  {}", by_severity(alerts.acknowledged)));
    lines.push(format!(
        "suppressed    {} ({} in force)",
        by_severity(alerts.suppressed),
        plural(in_force as u64, "suppression", "suppressions")
    ));
    lines.push(format!(
        "kept aside    {}, {}",
        plural(rejected, "rejection", "rejections"),
        plural(variants, "variant", "variants")
    ));
    if unfinished > 0 {
        lines.push(format!(
            "unfinished    {} running, or cut off: run it again",
            plural(unfinished as u64, "run is", "runs are")
        ));
    }
    for run in &failures {
        let error = run.end.as_ref().and_then(|end| end.error.as_deref()).unwrap_or_default();
        let what = format!("run {} ({}, {}): {error}", run.id.0, run.command, run.started.whole_second());
        lines.push(format!("failed        {}", escape::terminal(&what)));
    }
    for line in lines {
        session.out.line(&line)?;
    }
    if !runs.is_empty() {
        session.out.line("")?;
        let mut rows = Rows::new(&[
            "run",
            "command",
            "started",
            "exit",
            "read",
            "stored",
            "duplicate",
            "variant",
            "filtered",
            "rejected",
            "insight",
            "unread",
            "alerts",
        ]);
        for run in runs {
            let records = run.end.as_ref().map(|end| end.records).unwrap_or_default();
            rows.push(vec![
                run.id.0.into(),
                run.command.clone().into(),
                run.started.whole_second().to_string().into(),
                json!(run.end.as_ref().map(|end| end.exit_code)),
                records.read.into(),
                records.stored.into(),
                records.duplicate.into(),
                records.variant.into(),
                records.filtered.into(),
                records.rejected.into(),
                records.insight.into(),
                json!(run.end.as_ref().map(|end| end.unread)),
                json!(run.end.as_ref().map(|end| end.alerts.total())),
            ]);
        }
        rows.write(Format::Table, 13, &mut session.out)?;
    }
    if !channels.is_empty() {
        session.out.line("")?;
        tell_channels(&channels, session)?;
    }
    if !trails.trails.is_empty() {
        tell_trails(&trails.trails, session)?;
    }
    if is_collecting {
        streams(session, &coverage, arguments.all)?;
    }
    Ok(exit)
}

/// What a run of a command is one of: a pass of the daemon makes up for one of `collect`.
fn of_kind(command: &str) -> &str {
    match command {
        "run" | "collect" => "pass",
        other => other,
    }
}

/// Of each kind the latest run that came to an end, where that was a failure: each trail is a kind of its own, those that
/// are no longer read are none. The latest runs come first.
fn failures<'r>(latest: &'r [PastRun], trails: &[Stream]) -> Vec<&'r PastRun> {
    let mut kinds = BTreeSet::new();
    let ended = latest.iter().filter_map(|run| Some((run, run.end.as_ref()?)));
    ended
        .filter(|(run, _)| !is_command(&run.command, None) || is_command(&run.command, Some(trails)))
        .filter(|(run, _)| kinds.insert(of_kind(&run.command)))
        .filter(|(_, end)| end.error.is_some())
        .map(|(run, _)| run)
        .collect()
}

/// How the channels are: those of the configuration, and those that something waits for.
pub(crate) fn channels<'c>(
    state: &SqliteState,
    configured: impl IntoIterator<Item = &'c str>,
) -> anyhow::Result<Vec<ChannelHealth>> {
    Ok(health(configured, state.channels()?))
}

/// Each stream: what is covered of it, and how it goes.
fn streams(session: &mut Session, coverage: &Status, all: bool) -> anyhow::Result<()> {
    for line in missing(coverage) {
        session.out.line(&escape::terminal(&line))?;
    }
    let time = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), |time| time.whole_second().to_string());
    let ago = |at: Option<Timestamp>| match at {
        None => "never".to_owned(),
        Some(at) => {
            let seconds = session.now.micros().saturating_sub(at.micros()) / 1_000_000;
            format!("{} ago", lasting(u64::try_from(seconds).unwrap_or(0)))
        }
    };
    // What has to fit the terminal comes first.
    let columns = ["account", "region", "source", "state", "lag", "gaps", "events", "last run", "covered from", "to"];
    let mut rows = Rows::new(&columns);
    let mut shown: Vec<&StreamStatus> = coverage.streams.iter().collect();
    let left_out = if all { 0 } else { shown.len().saturating_sub(STREAMS) };
    if left_out > 0 {
        shown.sort_by_key(|stream| stream.is_covered());
        shown.truncate(STREAMS);
    }
    for stream in shown {
        let name = &stream.stream;
        let state = match (&stream.pause, &stream.health.trouble) {
            (Some(_), _) => "paused",
            (None, Some(trouble)) => trouble.kind.as_str(),
            (None, None) if stream.is_covered() => "covered",
            (None, None) => "behind",
        };
        rows.push(vec![
            name.account.clone().into(),
            name.region.clone().into(),
            name.source.trim_end_matches(".amazonaws.com").into(),
            state.into(),
            stream.lag_seconds.map_or_else(|| "-".to_owned(), lasting).into(),
            stream.gaps.len().into(),
            stream.health.events.into(),
            ago(stream.health.last_run).into(),
            time(stream.covered_from).into(),
            time(stream.covered_to).into(),
        ]);
    }
    session.out.line("")?;
    rows.write(Format::Table, columns.len(), &mut session.out)?;
    if left_out > 0 {
        session
            .out
            .line(&format!("and {}: --all shows every one", plural(left_out as u64, "more stream", "more streams")))?;
    }
    Ok(())
}

/// What is missing and why, each reason once with what helps.
fn missing(coverage: &Status) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for unknown in &coverage.unknown {
        let trouble = &unknown.trouble;
        lines.push(format!(
            "not known since {}: {}: {}",
            trouble.since.whole_second(),
            unknown.subject,
            trouble.with_advice()
        ));
    }
    lines.extend(gaps(coverage).into_iter().map(|gap| format!("gap: {gap}")));
    for stream in coverage.streams.iter().filter(|stream| stream.is_covered()) {
        if let Some(pause) = &stream.pause {
            let reason = if pause.reason.is_empty() { String::new() } else { format!(": {}", pause.reason) };
            lines.push(format!("paused: {} since {} by {}{reason}", stream.stream, pause.at.whole_second(), pause.by));
        }
    }
    let sources: BTreeMap<&str, &str> = coverage
        .streams
        .iter()
        .filter_map(|stream| Some((stream.stream.source.as_str(), stream.only_in_a_trail?)))
        .collect();
    for (source, what) in sources {
        lines.push(format!("{source}: {what} are data events, which only a trail delivers"));
    }
    if !lines.is_empty() {
        lines.insert(0, String::new());
    }
    lines
}

/// The gaps, each reason once with what helps.
pub(crate) fn gaps(coverage: &Status) -> Vec<String> {
    let mut reasons: BTreeMap<String, Vec<(&StreamStatus, &Gap)>> = BTreeMap::new();
    for stream in &coverage.streams {
        for gap in &stream.gaps {
            reasons.entry(gap.reason.to_string()).or_default().push((stream, gap));
        }
    }
    let line = |(reason, gaps): (String, Vec<(&StreamStatus, &Gap)>)| {
        let (stream, gap) = gaps[0];
        let more = match gaps.len() - 1 {
            0 => String::new(),
            more => format!(" and {}", plural(more as u64, "more gap", "more gaps")),
        };
        let advice = gap.reason.advice().map(|advice| format!("; {advice}")).unwrap_or_default();
        format!("{} from {} to {}{more}: {reason}{advice}", stream.stream, gap.from, gap.to)
    };
    reasons.into_iter().map(line).collect()
}

/// What is wrong with a channel, and what helps.
fn ailment(channel: &ChannelHealth) -> Option<String> {
    let ChannelHealth { channel: name, configured, waiting, retrying, failed, last_error, .. } = channel;
    let error = last_error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
    let waits = |number: u64| plural(number, "alert waits", "alerts wait");
    let what = match (configured, waiting + retrying, *retrying, *failed) {
        (false, 1.., ..) => {
            format!(
                "{}, and the configuration has no such channel; add it, or acknowledge them",
                waits(waiting + retrying)
            )
        }
        (_, _, 1.., _) => format!(
            "{}{error}; it is tried again for a day: mend that, and see with `trailhound alerts test --channel {name}`",
            waits(*retrying)
        ),
        (_, _, _, 1..) => {
            let given_up = plural(*failed, "alert was given up", "alerts were given up");
            format!("{given_up}{error}; `trailhound alerts` has them")
        }
        _ => return None,
    };
    Some(format!("channel {name}: {what}"))
}

fn tell_channels(channels: &[ChannelHealth], session: &mut Session) -> anyhow::Result<()> {
    for line in channels.iter().filter_map(ailment) {
        session.out.line(&escape::terminal(&line))?;
    }
    let mut rows = Rows::new(&["channel", "sent", "waiting", "retrying", "failed", "last sent", "last error"]);
    for channel in channels {
        let name = if channel.configured { channel.channel.clone() } else { format!("{} (gone)", channel.channel) };
        rows.push(vec![
            name.into(),
            channel.sent.into(),
            channel.waiting.into(),
            channel.retrying.into(),
            channel.failed.into(),
            json!(channel.last_sent.map(|at| at.whole_second().to_string())),
            json!(channel.last_error),
        ]);
    }
    Ok(rows.write(Format::Table, 7, &mut session.out)?)
}

fn tell_trails(trails: &[TrailStatus], session: &mut Session) -> anyhow::Result<()> {
    session.out.line("")?;
    for TrailStatus { trail, health, gaps, pause, .. } in trails {
        if let Some(trouble) = &health.trouble {
            session.out.line(&escape::terminal(&format!("{}: {}", trail.source, trouble.with_advice())))?;
        }
        // What a trouble or a pause keeps from being read is told with it.
        let untold = gaps.iter().filter(|gap| health.trouble.is_none() && pause.is_none() && gap.from < gap.to);
        for Gap { from, to, reason } in untold {
            session.out.line(&escape::terminal(&format!("gap: {} from {from} to {to}: {reason}", trail.source)))?;
        }
        if let Some(Pause { at, by, reason }) = pause {
            let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            let line = format!("paused: {trail} since {} by {by}{reason}; resume the stream", at.whole_second());
            session.out.line(&escape::terminal(&line))?;
        }
    }
    let time = |at: Option<Timestamp>| json!(at.map(|at| at.whole_second().to_string()));
    let columns =
        ["trail", "region", "state", "covered from", "covered to", "gaps", "events", "last run", "last success"];
    let mut rows = Rows::new(&columns);
    for TrailStatus { trail, provable, covered_from, covered_to, gaps, health, pause, .. } in trails {
        // A queue does not say what it never told.
        let covered_to = if *provable { time(*covered_to) } else { "not provable".into() };
        rows.push(vec![
            trail.source.clone().into(),
            trail.region.clone().into(),
            match (&health.trouble, pause) {
                (_, Some(_)) => "paused",
                (Some(trouble), None) => trouble.kind.as_str(),
                (None, None) if health.last_success.is_none() => "not read yet",
                (None, None) => "read",
            }
            .into(),
            time(*covered_from),
            covered_to,
            gaps.len().into(),
            health.events.into(),
            time(health.last_run),
            time(health.last_success),
        ]);
    }
    Ok(rows.write(Format::Table, columns.len(), &mut session.out)?)
}

/// A length of time, as people say it.
fn lasting(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// How many lines a file has; none where it is not there.
fn lines_of(path: &Path) -> anyhow::Result<u64> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(anyhow::Error::new(error).context(format!("failed to read {}", path.display()))),
    };
    let mut reader = std::io::BufReader::with_capacity(1 << 16, file);
    let mut lines = 0;
    loop {
        let buffer = std::io::BufRead::fill_buf(&mut reader)?;
        if buffer.is_empty() {
            return Ok(lines);
        }
        lines += buffer.iter().filter(|&&byte| byte == b'\n').count() as u64;
        let length = buffer.len();
        std::io::BufRead::consume(&mut reader, length);
    }
}

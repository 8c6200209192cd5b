//! `trailhound aws invoke`, `init`, `export` and `test-alerts`: the functions, now.

mod test_alerts;

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, bail};
use aws::Stack;
use event::Day;
use local::SystemTimer;
use pipeline::collect::Timer;
use pipeline::escape::terminal;
use pipeline::service::CallError;
use serde_json::{Value, json};

use super::Place;
use crate::args::{AthenaPlace, AthenaSetupArgs, DocumentFormat, FunctionName, StackArgs};
use crate::commands;
use crate::exit::{Exit, usage};
use crate::output::{count, plural};
use crate::session::Session;

pub(super) use test_alerts::test_alerts;

/// Invocations without any progress after which `init` gives up, and the pause between them.
const PATIENCE: usize = 3;
const PAUSE: Duration = Duration::from_secs(5);
/// How many pauses a function that is at work is waited for: a quarter of an hour, and a little.
const BUSY: usize = 200;

pub(super) fn invoke(
    session: &mut Session,
    function: FunctionName,
    payload: &str,
    arguments: &StackArgs,
) -> anyhow::Result<Exit> {
    let event: Value = serde_json::from_str(payload).map_err(|error| usage(format!("--payload: {error}")))?;
    let place = Place::open(session, arguments)?;
    place.stack()?;
    let answer = call(&place, function, &event)?;
    session.out.json(&answer)?;
    Ok(if answer.get("errorType").is_some() { Exit::Failed } else { Exit::Done })
}

/// Invokes a function, and waits while another invocation of it has the only place there is.
fn call(place: &Place, function: FunctionName, event: &Value) -> anyhow::Result<Value> {
    let name = format!("{}-{}", place.name, function.as_str());
    let timer = SystemTimer::new(std::sync::Arc::clone(&place.stop));
    for wait in 0..BUSY {
        match place.account.functions(None).invoke(&name, event) {
            Err(CallError::Throttled) if !place.stop.load(Ordering::Relaxed) => {
                if wait == 0 {
                    crate::complain(&format!("{name} is at work already; waiting until it is done"));
                }
                timer.sleep(PAUSE);
            }
            outcome => return outcome.with_context(|| format!("{name} cannot be invoked")),
        }
    }
    bail!("{name} is at work for longer than an invocation may take: `trailhound aws logs` says at what")
}

pub(super) fn init(session: &mut Session, arguments: &StackArgs) -> anyhow::Result<Exit> {
    let place = Place::open(session, arguments)?;
    let stack = place.stack()?;
    fill(session, &place, &stack)
}

/// Collects what the event history holds, exports it and sets Athena up, over as many invocations as that takes.
pub(super) fn fill(session: &mut Session, place: &Place, stack: &Stack) -> anyhow::Result<Exit> {
    let mut exit = until_complete(place, FunctionName::Tracker, &json!({}))?;
    // What could be collected is exported, whatever could not.
    let goes_on = |exit: Exit| matches!(exit, Exit::Done | Exit::Found);
    if goes_on(exit) && stack.output("ExporterFunctionName").is_some() {
        exit = exit.max(until_complete(place, FunctionName::Exporter, &json!({"days": 90}))?);
        if goes_on(exit) {
            exit = exit.max(athena(session, stack)?);
        }
    }
    if exit == Exit::Done {
        session.out.line("what CloudTrail's event history holds is collected")?;
    }
    Ok(exit)
}

/// Exports days straight from the trail's files, over as many invocations as that takes.
pub(super) fn export(session: &mut Session, from: &str, to: &str, arguments: &StackArgs) -> anyhow::Result<Exit> {
    let day = |flag: &str, text: &str| {
        Day::parse(text).ok_or_else(|| usage(format!("{flag} {text:?} is no day, such as 2026-01-31")))
    };
    let (first, last) = (day("--from", from)?, day("--to", to)?);
    if first > last {
        return Err(usage("--from lies behind --to"));
    }
    let place = Place::open(session, arguments)?;
    place.stack()?;
    let timer = SystemTimer::new(std::sync::Arc::clone(&place.stop));
    let (mut from, mut stored, mut vain, mut exit) = (first.to_string(), 0, 0, Exit::Done);
    loop {
        if place.stop.load(Ordering::Relaxed) {
            return Ok(Exit::Interrupted);
        }
        let event = json!({"trail": {"from": from, "to": last.to_string()}});
        let summary = match turn(&place, FunctionName::Exporter, &event)? {
            Ok(summary) => summary,
            Err(reason) => {
                crate::complain(&terminal(&reason));
                vain += 1;
                if vain >= PATIENCE {
                    crate::complain(&format!(
                        "the exporter does not come further than {from}: `trailhound aws logs --function exporter` says why"
                    ));
                    exit = Exit::Failed;
                    break;
                }
                timer.sleep(PAUSE);
                continue;
            }
        };
        stored += summary["events_stored"].as_u64().unwrap_or(0);
        for error in errors(&summary) {
            crate::complain(&terminal(error));
            exit = Exit::Rejected;
        }
        let next = summary["next"].as_str().map(str::to_owned);
        let until = next.as_ref().map(|next| format!(", goes on with {next}")).unwrap_or_default();
        let number = |name: &str| summary[name].as_u64().unwrap_or(0);
        crate::complain(&format!(
            "{} read, {} of them new{until}",
            plural(number("events_read"), "event", "events"),
            count(number("events_stored"))
        ));
        let Some(next) = next else { break };
        // A day that does not fit into one invocation goes on where it was, for as long as the function remembers it.
        let has_progress = next != from || number("events_stored") > 0;
        vain = if has_progress { 0 } else { vain + 1 };
        if vain >= PATIENCE {
            crate::complain(&format!(
                "{next} does not fit into an invocation: give the exporter more memory (ExporterMemory)"
            ));
            exit = Exit::Failed;
            break;
        }
        from = next;
    }
    session.out.line(&format!("{} are new in the lake", plural(stored, "event", "events")))?;
    Ok(exit)
}

/// Sets Athena up over the lake of a stack.
fn athena(session: &mut Session, stack: &Stack) -> anyhow::Result<Exit> {
    if stack.parameter("ExportLayout") == Some("classic") {
        crate::note("the classic layout has no table of ours: the query engine of your choice reads its Parquet files");
        return Ok(Exit::Done);
    }
    let output = |name: &str| stack.output(name).map(str::to_owned);
    let Some(bucket) = output("AnalyticsBucketName") else { return Ok(Exit::Done) };
    let place = AthenaPlace {
        database: output("GlueDatabaseName"),
        workgroup: output("AthenaWorkGroupName"),
        output_location: None,
    };
    let setup = AthenaSetupArgs {
        location: format!("s3://{bucket}/lake"),
        place,
        table: query::athena::EVENTS.to_owned(),
        scan_limit: 100,
        format: DocumentFormat::Table,
    };
    commands::athena::setup(session, &setup).context("Athena is not set up")
}

/// Invokes a function until it says that nothing is left to do.
fn until_complete(place: &Place, function: FunctionName, event: &Value) -> anyhow::Result<Exit> {
    let timer = SystemTimer::new(std::sync::Arc::clone(&place.stop));
    let (mut stored, mut vain, mut left) = (0, 0, u64::MAX);
    let mut told = String::new();
    loop {
        if place.stop.load(Ordering::Relaxed) {
            return Ok(Exit::Interrupted);
        }
        let summary = match turn(place, function, event)? {
            Ok(summary) => summary,
            Err(reason) => {
                crate::complain(&terminal(&reason));
                Value::Null
            }
        };
        stored += summary["stored"].as_u64().or_else(|| summary["events_stored"].as_u64()).unwrap_or(0);
        let is_complete = summary["complete"] == true;
        let state = if is_complete { "complete" } else { "goes on" };
        crate::complain(&format!("{}: {} events stored, {state}", function.as_str(), count(stored)));
        let said = errors(&summary).collect::<Vec<_>>().join("\n");
        if said != told {
            said.lines().for_each(|line| crate::complain(&terminal(line)));
            told = said;
        }
        if is_complete {
            return Ok(Exit::Done);
        }
        // The tracker goes on where its time ended; the exporter has fewer days left, or goes on within one. Whatever else
        // is not complete has failed, and would fail again and again.
        let days_left = summary["days_left"].as_u64();
        let is_within_a_day = told.is_empty() && summary["events_read"].as_u64() > Some(0);
        let has_progress = summary["cut_off"] == true || is_within_a_day || days_left.is_some_and(|days| days < left);
        left = days_left.unwrap_or(left);
        vain = if has_progress { 0 } else { vain + 1 };
        if vain >= PATIENCE {
            crate::complain(&format!(
                "{}: it does not come further; the next scheduled run tries again, `trailhound aws status` shows what is missing",
                function.as_str()
            ));
            return Ok(Exit::Found);
        }
        if !has_progress {
            timer.sleep(PAUSE);
        }
    }
}

/// Invokes a function: what it says of its work, or why it says nothing. It may have been ended before its time, or its
/// answer be lost; the next invocation goes on where it was.
fn turn(place: &Place, function: FunctionName, event: &Value) -> anyhow::Result<Result<Value, String>> {
    match call(place, function, event) {
        Ok(answer) => Ok(summary(function, answer)),
        Err(error) if matches!(error.downcast_ref(), Some(CallError::Unavailable(_))) => Ok(Err(format!("{error:#}"))),
        Err(error) => Err(error),
    }
}

/// What a function says of its work. A failure in part carries the same summary; in the words of others, such as
/// `Task timed out after 900.00 seconds`, there is none.
fn summary(function: FunctionName, answer: Value) -> Result<Value, String> {
    let Some(message) = answer["errorMessage"].as_str() else { return Ok(answer) };
    let said = serde_json::from_str::<Value>(message).ok().filter(Value::is_object);
    said.ok_or_else(|| {
        let kind = answer["errorType"].as_str().map(|kind| format!("{kind}: ")).unwrap_or_default();
        format!("{}: {kind}{message}", function.as_str())
    })
}

fn errors(summary: &Value) -> impl Iterator<Item = &str> {
    summary["errors"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

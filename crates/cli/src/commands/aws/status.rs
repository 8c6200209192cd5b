//! `trailhound aws status`.

use std::collections::BTreeMap;
use std::time::Duration;

use aws::{Stack, TableNames, Tables};
use pipeline::collect::{Rules, Stream, StreamState, StreamStore};
use pipeline::escape::terminal;
use pipeline::status::{Expectation, Reason, Status, StreamStatus};
use serde_json::json;

use super::{Place, deploy, detective};
use crate::args::{DocumentFormat, StackArgs};
use crate::commands::status::gaps;
use crate::exit::Exit;
use crate::output::{count, plural};
use crate::session::Session;

/// How often the tracker runs where the stack does not say: as the template has it by default.
const HOUR: Duration = Duration::from_secs(3600);
/// How long one run of it may take.
const RUN: Duration = Duration::from_secs(15 * 60);

pub(crate) fn run(session: &mut Session, arguments: &StackArgs, format: DocumentFormat) -> anyhow::Result<Exit> {
    let place = Place::open(session, arguments)?;
    let stack = place.stack()?;
    let control = Tables::new(&place.account, TableNames::of_stack(&place.name), None).control();
    let mut missing = Vec::new();
    if !stack.is_sound() {
        let reason = stack.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        missing.push(format!("the stack is {}{reason}", stack.status));
    }
    let mut states = control.streams()?;
    let scope = control.scope()?;
    let coverage = Status::new(&scope, &states, &expectation(&stack), session.now);
    // Of these nothing is known but that they are to be read.
    let never = scope.streams.iter().filter(|stream| states.iter().all(|state| state.stream != **stream));
    states.extend(never.cloned().map(StreamState::new).collect::<Vec<_>>());
    for unknown in &scope.unknown {
        missing.push(format!("{}: {}", unknown.subject, unknown.trouble.with_advice()));
    }
    if scope.streams.is_empty() {
        missing.push("nothing was collected yet: `trailhound aws init`".to_owned());
    }
    missing.extend(gaps(&coverage).into_iter().map(|gap| format!("not covered: {gap}")));
    for StreamStatus { stream, gaps, health, pause, .. } in &coverage.streams {
        // What keeps a stream from being read is told with what it keeps from being read.
        if gaps.iter().any(|gap| matches!(gap.reason, Reason::Paused { .. } | Reason::Trouble { .. })) {
            continue;
        }
        if let Some(trouble) = &health.trouble {
            missing.push(format!("{stream}: {}", trouble.with_advice()));
        }
        if let Some(pause) = pause {
            missing.push(format!("{stream}: paused by {} since {}", pause.by, pause.at));
        }
    }
    let mut forwarders = Vec::new();
    // Without an alerter nothing would listen to them.
    let has_alerts = deploy::has_alerts(&stack);
    let regions = if has_alerts { deploy::forward_from(&place, &[])? } else { Vec::new() };
    for region in regions {
        // A region that cannot be asked says nothing of the others.
        let (status, is_sound) = match place.account.stacks(Some(&region)).find(&place.forwarder_stack()) {
            Ok(None) => ("none".to_owned(), false),
            Ok(Some(stack)) => (stack.status.clone(), stack.is_sound()),
            Err(error) => (error.to_string(), false),
        };
        if !is_sound {
            missing.push(format!("{region}: its events reach the alerter only by the schedule (forwarder: {status})"));
        }
        forwarders.push((region, status, is_sound));
    }
    let members = match stack.output("DetectiveGraphArn") {
        Some(graph) => detective::members(&place, graph, &mut missing),
        None => Vec::new(),
    };
    let events: u64 = states.iter().map(|state| state.health.events).sum();
    let gaps_of = |stream: &Stream| {
        let found = coverage.streams.iter().find(|status| status.stream == *stream);
        found.map_or(&[][..], |status| status.gaps.as_slice())
    };
    if format == DocumentFormat::Json {
        session.out.json(&json!({
            "stack": place.name,
            "account": place.account.id,
            "region": place.region,
            "status": stack.status,
            "verdict": coverage.verdict,
            "outputs": stack.outputs.iter().cloned().collect::<BTreeMap<_, _>>(),
            "streams": states.iter().map(|state| json!({
                "stream": state.stream,
                "covered": state.coverage.intervals().iter().map(|interval| [interval.from.to_string(), interval.to.to_string()]).collect::<Vec<_>>(),
                "gaps": gaps_of(&state.stream),
                "health": state.health,
                "pause": state.pause,
            })).collect::<Vec<_>>(),
            "forwarders": forwarders.iter().map(|(region, status, _)| (region, status)).collect::<BTreeMap<_, _>>(),
            "detective": members.iter().map(|member| json!({
                "account": member.account_id,
                "status": member.status,
                "disabled_reason": member.disabled_reason,
            })).collect::<Vec<_>>(),
            "missing": missing,
        }))?;
    } else {
        session.out.line(&format!(
            "stack      {} in {} of account {}: {}",
            place.name, place.region, place.account.id, stack.status
        ))?;
        let verdict = if scope.streams.is_empty() { String::new() } else { format!("; {}", coverage.verdict) };
        let streams = plural(states.len() as u64, "stream", "streams");
        session.out.line(&terminal(&format!("streams    {streams}, {} events{verdict}", count(events))))?;
        let forwarding = forwarders.iter().filter(|(_, _, is_sound)| *is_sound).count();
        let forwarding = match has_alerts {
            true => format!("{forwarding} of {}", plural(forwarders.len() as u64, "region", "regions")),
            false => "none, because EnableSecurityAlerts is off".to_owned(),
        };
        session.out.line(&format!("forwarders {forwarding}"))?;
        if !members.is_empty() {
            let enabled = members.iter().filter(|member| member.is_enabled()).count();
            let invited = plural(members.len() as u64, "member", "members");
            session.out.line(&format!("detective  {enabled} of {invited}"))?;
        }
        for line in &missing {
            session.out.line(&format!("missing    {}", terminal(line)))?;
        }
    }
    Ok(if missing.is_empty() { Exit::Done } else { Exit::Found })
}

/// What is expected of the streams of a stack: what came to pass since its schedule last ran, or while it runs, is no gap.
fn expectation(stack: &Stack) -> Expectation {
    let interval = stack.parameter("ScheduleExpression").and_then(interval).unwrap_or(HOUR);
    Expectation { rules: Rules::default(), every: interval + RUN }
}

/// The time between two runs by a rate such as `rate(6 hours)`.
fn interval(rate: &str) -> Option<Duration> {
    let (number, unit) = rate.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
    let seconds = match unit.trim_end_matches('s') {
        "minute" => 60,
        "hour" => 3600,
        "day" => 86_400,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_says_how_long_it_waits() {
        for (rate, hours) in [("rate(1 hour)", 1), ("rate(6 hours)", 6), ("rate(1 day)", 24), ("rate(60 minutes)", 1)] {
            assert_eq!(interval(rate), Some(HOUR * hours), "{rate}");
        }
        for none in ["cron(0 12 * * ? *)", "rate(1)", "rate(x hours)", "rate(18446744073709551615 days)", ""] {
            assert_eq!(interval(none), None, "{none}");
        }
    }
}

//! `trailhound aws status`.

use std::collections::BTreeMap;

use aws::{TableNames, Tables};
use pipeline::collect::StreamStore;
use serde_json::json;

use super::{Place, deploy, detective};
use crate::args::{DocumentFormat, StackArgs};
use crate::exit::Exit;
use crate::output::{count, plural};
use crate::session::Session;

pub(crate) fn run(session: &mut Session, arguments: &StackArgs, format: DocumentFormat) -> anyhow::Result<Exit> {
    let place = Place::open(session, arguments)?;
    let stack = place.stack()?;
    let control = Tables::new(&place.account, TableNames::of_stack(&place.name), None).control();
    let mut missing = Vec::new();
    if !stack.is_sound() {
        let reason = stack.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        missing.push(format!("the stack is {}{reason}", stack.status));
    }
    let states = control.streams()?;
    let scope = control.scope()?;
    for unknown in &scope.unknown {
        missing.push(format!("{}: {}", unknown.subject, unknown.trouble.with_advice()));
    }
    if scope.streams.is_empty() {
        missing.push("nothing was collected yet: `trailhound aws init`".to_owned());
    }
    for stream in &scope.streams {
        match states.iter().find(|state| state.stream == *stream) {
            None => missing.push(format!("{stream}: never read")),
            Some(state) => {
                if let Some(trouble) = &state.health.trouble {
                    missing.push(format!("{stream}: {}", trouble.with_advice()));
                }
                if let Some(pause) = &state.pause {
                    missing.push(format!("{stream}: paused by {} since {}", pause.by, pause.at));
                }
                for gap in
                    state.coverage.span().map(|span| state.coverage.gaps(span)).iter().flat_map(|gaps| gaps.intervals())
                {
                    missing.push(format!("{stream}: not covered from {} to {}", gap.from, gap.to));
                }
            }
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
    let newest = states.iter().filter_map(|state| state.coverage.span()).map(|span| span.to).min();
    if format == DocumentFormat::Json {
        session.out.json(&json!({
            "stack": place.name,
            "account": place.account.id,
            "region": place.region,
            "status": stack.status,
            "outputs": stack.outputs.iter().cloned().collect::<BTreeMap<_, _>>(),
            "streams": states.iter().map(|state| json!({
                "stream": state.stream,
                "covered": state.coverage.intervals().iter().map(|interval| [interval.from.to_string(), interval.to.to_string()]).collect::<Vec<_>>(),
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
        let until = newest.map(|newest| format!(", all covered until {newest}")).unwrap_or_default();
        session.out.line(&format!(
            "streams    {}, {} events{until}",
            plural(states.len() as u64, "stream", "streams"),
            count(events)
        ))?;
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
            session.out.line(&format!("missing    {}", pipeline::escape::terminal(line)))?;
        }
    }
    Ok(if missing.is_empty() { Exit::Done } else { Exit::Found })
}

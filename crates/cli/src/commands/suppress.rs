//! `trailhound suppress`.

use local::SystemClock;
use pipeline::escape;
use pipeline::lookup::{each_alert, find_suppression};
use pipeline::pattern::Pattern;
use pipeline::state::{AlertFilter, Include, StateStore, SuppressionStore};
use pipeline::store::Clock;
use pipeline::suppress::{Conditions, Removal, Suppression, SuppressionRequest};
use serde_json::{Value, json};

use crate::args::{Format, SuppressAddArgs, SuppressCommand};
use crate::commands::detections;
use crate::exit::{Exit, usage};
use crate::output::{Rows, plural};
use crate::session::Session;
use crate::times;

pub(crate) fn run(session: &mut Session, command: SuppressCommand) -> anyhow::Result<Exit> {
    match command {
        SuppressCommand::Add(arguments) => add(session, &arguments),
        SuppressCommand::List { format } => list(session, format),
        SuppressCommand::Remove { ids } => remove(session, &ids),
    }
}

fn add(session: &mut Session, arguments: &SuppressAddArgs) -> anyhow::Result<Exit> {
    let pattern = |flag: &str, text: &Option<String>| {
        text.as_deref().map(|text| Pattern::new(text).map_err(|error| usage(format!("{flag}: {error}")))).transpose()
    };
    let source_ip =
        arguments.source_ip.as_deref().map(|text| text.parse().map_err(|error| usage(format!("--source-ip: {error}"))));
    let request = SuppressionRequest {
        conditions: Conditions {
            detection: detections::pattern(arguments.detection.as_deref())?,
            principal: pattern("--principal", &arguments.principal)?,
            account: arguments.account.clone(),
            source_ip: source_ip.transpose()?,
        },
        reason: arguments.reason.clone(),
        from: None,
        until: times::instant("--until", &arguments.until, session.now)?,
        by: Session::person(arguments.by.as_ref()),
    };
    let suppression = Suppression::new(request, session.now).map_err(|error| usage(error.to_string()))?;
    let state = session.open_state()?;
    let added = state.add_suppression(&suppression)?;
    // What is open already and falls under it is silenced as well: that is why it is being added.
    let mut covered = Vec::new();
    let open = AlertFilter::open();
    each_alert(&state, &open, |alert| -> anyhow::Result<()> {
        if suppression.covers(&alert) {
            covered.push(alert.id);
        }
        Ok(())
    })?;
    let silenced = state.suppress_alerts(&covered, &suppression.id)?;
    let what = if added { "added" } else { "was there already" };
    let line = format!(
        "suppression {} {what}, until {}; {} silenced",
        suppression.id,
        suppression.until.whole_second(),
        plural(silenced, "open alert", "open alerts")
    );
    session.out.line(&line)?;
    Ok(Exit::Done)
}

fn list(session: &mut Session, format: Format) -> anyhow::Result<Exit> {
    let state = session.open_state()?;
    let suppressions = state.suppressions()?;
    if suppressions.is_empty() && format == Format::Table {
        crate::complain("no suppressions");
        return Ok(Exit::Done);
    }
    let mut silenced = std::collections::BTreeMap::<String, u64>::new();
    let suppressed = AlertFilter { suppressed: Include::Only, ..AlertFilter::default() };
    each_alert(&state, &suppressed, |alert| -> anyhow::Result<()> {
        if let Some(id) = alert.suppressed_by {
            *silenced.entry(id.to_string()).or_default() += 1;
        }
        Ok(())
    })?;
    let mut rows = Rows::new(&[
        "id",
        "state",
        "detection",
        "principal",
        "account",
        "source_ip",
        "until",
        "silenced",
        "reason",
        "by",
        "created_at",
    ]);
    for suppression in suppressions {
        let conditions = &suppression.conditions;
        let state = match &suppression.removed {
            Some(_) => "removed",
            None if suppression.is_over(session.now) => "over",
            None => "in force",
        };
        let id = suppression.id.to_string();
        rows.push(vec![
            id.clone().into(),
            state.into(),
            json!(conditions.detection.as_ref().map(Pattern::as_str)),
            json!(conditions.principal.as_ref().map(Pattern::as_str)),
            json!(conditions.account),
            json!(conditions.source_ip.map(|range| range.to_string())),
            suppression.until.whole_second().to_string().into(),
            Value::from(silenced.get(&id).copied().unwrap_or_default()),
            suppression.reason.clone().into(),
            suppression.created_by.clone().into(),
            suppression.created_at.to_string().into(),
        ]);
    }
    rows.write(format, 10, &mut session.out)?;
    Ok(Exit::Done)
}

fn remove(session: &mut Session, ids: &[String]) -> anyhow::Result<Exit> {
    let state = session.open_state()?;
    let found = ids.iter().map(|id| find_suppression(&state, id)).collect::<Result<Vec<_>, _>>()?;
    let removal = Removal { at: SystemClock.now(), by: Session::person(std::env::var("USER").ok().as_ref()) };
    for suppression in found {
        let in_force = state.remove_suppression(&suppression.id, &removal)?;
        let what = if in_force { "removed; what it silenced stays silenced" } else { "was removed before" };
        let line = format!("suppression {} {what}", escape::terminal(suppression.id.as_str()));
        session.out.line(&line)?;
    }
    Ok(Exit::Done)
}

//! `trailhound alerts`.

use std::io::Write;

use anyhow::Context;
use detect::Severity;
use event::Timestamp;
use local::SystemClock;
use pipeline::alert::{Acknowledgement, Alert};
use pipeline::escape;
use pipeline::history::SEVERITIES;
use pipeline::lookup::{each_alert, find_alert};
use pipeline::message::Message;
use pipeline::notify::{Channel, Parcel, Verdict};
use pipeline::pattern::Pattern;
use pipeline::state::{self, AlertCounts, Include, Page, StateStore};
use pipeline::store::Clock;
use serde_json::{Value, json};

use crate::args::{
    AlertFilter, AlertsAckArgs, AlertsArgs, AlertsCommand, AlertsExportArgs, AlertsListArgs, AlertsShowArgs,
    AlertsTestArgs, Format,
};
use crate::commands::detections::{self, wrapped};
use crate::exit::{Exit, usage};
use crate::hot::HotStore;
use crate::output::{Rows, plural};
use crate::session::Session;
use crate::tell::Tell;
use crate::times::Between;

pub(crate) fn run(session: &mut Session, arguments: AlertsArgs) -> anyhow::Result<Exit> {
    match arguments.command.unwrap_or(AlertsCommand::List(arguments.list)) {
        AlertsCommand::List(arguments) => list(session, &arguments),
        AlertsCommand::Show(arguments) => show(session, &arguments),
        AlertsCommand::Ack(arguments) => ack(session, &arguments),
        AlertsCommand::Export(arguments) => export(session, &arguments),
        AlertsCommand::Test(arguments) => test(session, &arguments),
    }
}

const COLUMNS: &[&str] = &[
    "id",
    "time",
    "severity",
    "title",
    "who",
    "state",
    "account",
    "region",
    "source_ip",
    "detection",
    "summary",
    "event_id",
    "event_name",
    "user",
    "session",
    "actor_arn",
    "user_agent",
    "attempted",
    "techniques",
    "action_required",
    "arrival",
    "first_seen",
    "suppressed_by",
    "acknowledged_by",
    "note",
];
/// The columns of a table; the other formats have all.
const SHOWN: usize = 9;

fn row(alert: &Alert) -> Vec<Value> {
    let acknowledged = alert.acknowledged.as_ref();
    vec![
        alert.id.short().into(),
        alert.event_time.to_string().into(),
        alert.severity.as_str().into(),
        alert.title.clone().into(),
        json!(alert.who()),
        state_of(alert).into(),
        json!(alert.account),
        json!(alert.region),
        json!(alert.source_ip),
        alert.detection.clone().into(),
        alert.summary.clone().into(),
        alert.event_id.clone().into(),
        json!(alert.event_name),
        json!(alert.user),
        json!(alert.session),
        json!(alert.actor_arn),
        json!(alert.user_agent),
        alert.attempted.into(),
        alert.techniques.join(" ").into(),
        alert.action_required.clone().into(),
        alert.arrival.as_str().into(),
        alert.first_seen.to_string().into(),
        json!(alert.suppressed_by.as_ref().map(ToString::to_string)),
        json!(acknowledged.map(|acknowledgement| &acknowledgement.by)),
        json!(acknowledged.map(|acknowledgement| &acknowledgement.note)),
    ]
}

fn state_of(alert: &Alert) -> &'static str {
    match (&alert.suppressed_by, &alert.acknowledged) {
        (Some(_), _) => "suppressed",
        (None, Some(_)) => "acknowledged",
        (None, None) => "open",
    }
}

pub(crate) fn filter(arguments: &AlertFilter, now: Timestamp) -> anyhow::Result<state::AlertFilter> {
    let between = Between::of(&arguments.window, now)?;
    let pattern = |flag: &str, text: &Option<String>| {
        text.as_deref().map(|text| Pattern::new(text).map_err(|error| usage(format!("{flag}: {error}")))).transpose()
    };
    let include = |given| if given { Include::With } else { Include::Without };
    Ok(state::AlertFilter {
        recorded_since: None,
        since: between.from,
        until: between.to,
        at_least: arguments.severity,
        detection: detections::pattern(arguments.detection.as_deref())?,
        account: arguments.account.clone(),
        principal: pattern("--user", &arguments.user)?,
        event_id: None,
        run: None,
        suppressed: include(arguments.suppressed),
        acknowledged: include(arguments.acked),
    })
}

fn list(session: &mut Session, arguments: &AlertsListArgs) -> anyhow::Result<Exit> {
    let filter = filter(&arguments.filter, session.now)?;
    let limit = Some(arguments.limit).filter(|&limit| limit > 0);
    let (alerts, counts) = match &arguments.store {
        None => {
            let state = session.open_state()?;
            (state.alerts(&filter, &Page { limit, after: None })?, state.count_alerts(&filter)?)
        }
        Some(address) => {
            let mut alerts = HotStore::open(session, address)?.alerts(&filter)?;
            let mut counts = AlertCounts::default();
            for alert in &alerts {
                counts.add(alert.severity, alert.suppressed_by.is_some(), alert.acknowledged.is_some(), 1);
            }
            alerts.truncate(limit.unwrap_or(usize::MAX));
            (alerts, counts)
        }
    };
    let all = [&counts.open, &counts.acknowledged, &counts.suppressed].iter().map(|counts| counts.total()).sum::<u64>();
    let found = |least: Severity| {
        [&counts.open, &counts.acknowledged, &counts.suppressed]
            .iter()
            .any(|counts| counts.iter().any(|(severity, number)| severity >= least && number > 0))
    };
    let exit = if arguments.fail_on.is_some_and(found) { Exit::Found } else { Exit::Done };
    let listed = alerts.len() as u64;
    if alerts.is_empty() && arguments.format == Format::Table {
        crate::complain("no alerts");
        return Ok(exit);
    }
    let mut rows = Rows::new(COLUMNS);
    alerts.iter().for_each(|alert| rows.push(row(alert)));
    rows.write(arguments.format, SHOWN, &mut session.out)?;
    session.out.flush()?;
    if !session.global.quiet && arguments.format == Format::Table {
        let by_severity: Vec<String> = SEVERITIES
            .iter()
            .map(|&severity| (severity, counts.open.get(severity)))
            .filter(|(_, number)| *number > 0)
            .map(|(severity, number)| format!("{number} {severity}"))
            .collect();
        let open =
            if by_severity.is_empty() { "none open".to_owned() } else { format!("open: {}", by_severity.join(", ")) };
        let more = if all > listed { format!(" (of {all}; --limit 0 lists all)") } else { String::new() };
        crate::complain(&format!(
            "\n{}{more}; {open}. One in full: trailhound alerts show ID",
            plural(listed, "alert", "alerts")
        ));
    }
    Ok(exit)
}

fn show(session: &mut Session, arguments: &AlertsShowArgs) -> anyhow::Result<Exit> {
    let alert = match &arguments.store {
        None => find_alert(&session.open_state()?, &arguments.id)?,
        Some(address) => {
            let found = HotStore::open(session, address)?.find_alerts(std::slice::from_ref(&arguments.id))?;
            found.into_iter().next().context("the alert is gone")?
        }
    };
    let out = &mut session.out;
    if arguments.json {
        out.json(&json!(alert))?;
        return Ok(Exit::Done);
    }
    if arguments.message {
        let message = Message::of(&alert);
        out.line(&format!("Subject: {}\n", message.subject))?;
        out.line(message.body.trim_end())?;
        return Ok(Exit::Done);
    }
    let line = |text: &str| escape::single_line(text, 2000).into_owned();
    let heading = format!("{}  {}", out.severity(alert.severity), out.bold(&line(&alert.title)));
    out.line(&heading)?;
    for text in wrapped(&line(&alert.summary), 96) {
        out.line(&text)?;
    }
    out.line("")?;
    let acknowledged = alert.acknowledged.as_ref().map(|a| format!("{} by {}: {}", a.at.whole_second(), a.by, a.note));
    let mut fields: Vec<(&str, Option<String>)> = vec![
        ("alert", Some(alert.id.short().to_owned())),
        ("detection", Some(alert.detection.clone())),
        ("time", Some(alert.event_time.to_string())),
        (
            "event",
            alert.event_name.as_ref().map(|name| match &alert.event_source {
                Some(source) => format!("{name} ({source})"),
                None => name.clone(),
            }),
        ),
        ("event id", Some(alert.event_id.clone())),
        ("account", alert.account.clone()),
        ("region", alert.region.clone()),
        ("user", alert.user.clone()),
        ("session", alert.session.clone()),
        ("actor", alert.actor_arn.clone()),
        ("source ip", alert.source_ip.clone()),
        ("user agent", alert.user_agent.clone()),
        ("ATT&CK", Some(alert.techniques.join(", "))),
        ("arrival", Some(format!("{}, first seen {}", alert.arrival, alert.first_seen.whole_second()))),
        ("suppressed", alert.suppressed_by.as_ref().map(|id| format!("by {id}"))),
        ("acknowledged", acknowledged),
    ];
    fields.retain(|(_, value)| value.as_deref().is_some_and(|value| !value.is_empty()));
    for (name, value) in fields {
        out.line(&format!("{name:<13}{}", line(&value.unwrap_or_default())))?;
    }
    out.line("")?;
    let title = out.bold("Action required");
    out.line(&title)?;
    for text in wrapped(&alert.action_required, 96) {
        out.line(&text)?;
    }
    if let Some(detection) = detect::find(&alert.detection) {
        out.line("")?;
        let title = out.bold("What to do");
        out.line(&title)?;
        for text in wrapped(detection.docs.what_to_do, 96) {
            out.line(&text)?;
        }
    }
    out.line("")?;
    let title = out.bold("Record");
    out.line(&title)?;
    match serde_json::from_str::<Value>(&alert.record) {
        Ok(record) => out.json(&record)?,
        Err(_) => out.line(&escape::json(&alert.record))?,
    }
    Ok(Exit::Done)
}

fn ack(session: &mut Session, arguments: &AlertsAckArgs) -> anyhow::Result<Exit> {
    let acknowledgement = Acknowledgement {
        at: SystemClock.now(),
        by: Session::person(arguments.by.as_ref()),
        note: arguments.note.clone(),
    };
    // All are looked up before any is marked: a mistyped id changes nothing.
    let changed = match &arguments.store {
        None => {
            let state = session.open_state()?;
            let ids = arguments.ids.iter().map(|id| find_alert(&state, id).map(|alert| alert.id));
            let ids = ids.collect::<Result<Vec<_>, _>>()?;
            if arguments.undo { state.unacknowledge(&ids)? } else { state.acknowledge(&ids, &acknowledgement)? }
        }
        Some(address) => {
            let store = HotStore::open(session, address)?;
            let (alerts, table) = (store.find_alerts(&arguments.ids)?, store.alert_table());
            if arguments.undo { table.unacknowledge(&alerts)? } else { table.acknowledge(&alerts, &acknowledgement)? }
        }
    };
    let what = if arguments.undo { "opened again" } else { "acknowledged" };
    let line = format!("{} {what}", plural(changed, "alert", "alerts"));
    session.out.line(&line)?;
    Ok(Exit::Done)
}

fn export(session: &mut Session, arguments: &AlertsExportArgs) -> anyhow::Result<Exit> {
    let filter = filter(&arguments.filter, session.now)?;
    let state = session.open_state()?;
    match arguments.format {
        Format::Jsonl => {
            let out = &mut session.out;
            each_alert(&state, &filter, |alert| -> anyhow::Result<()> {
                Ok(out.line(&escape::json(&serde_json::to_string(&alert)?))?)
            })?;
        }
        Format::Json => {
            let alerts = state.alerts(&filter, &Page::default())?;
            session.out.json(&json!(alerts))?;
        }
        Format::Csv | Format::Table => {
            let mut rows = Rows::new(COLUMNS);
            each_alert(&state, &filter, |alert| -> anyhow::Result<()> {
                rows.push(row(&alert));
                Ok(())
            })?;
            rows.write(arguments.format, SHOWN, &mut session.out)?;
        }
    }
    std::io::stdout().flush()?;
    Ok(Exit::Done)
}

/// Sends samples past the ledger and the outbox, straight to the channels.
fn test(session: &mut Session, arguments: &AlertsTestArgs) -> anyhow::Result<Exit> {
    let tell = Tell::build(session)?;
    let channels: Vec<&Channel> = tell
        .channels
        .iter()
        .filter(|channel| arguments.channel.as_ref().is_none_or(|name| *name == channel.name))
        .collect();
    if channels.is_empty() {
        let names: Vec<&str> = tell.channels.iter().map(|channel| channel.name.as_str()).collect();
        return Err(usage(match &arguments.channel {
            Some(name) if !names.is_empty() => format!("there is no channel {name:?}, but {}", names.join(", ")),
            _ => format!("there are no channels: add [[notify]] to {}", session.config_file.display()),
        }));
    }
    let mut samples = notify::samples(SystemClock.now());
    if !arguments.all_detections {
        samples.sort_by_key(|alert| std::cmp::Reverse(alert.severity));
        samples.truncate(1);
    }
    let mut failed = false;
    for channel in channels {
        for sample in &samples {
            if arguments.dry_run {
                let text = notify::preview(channel, sample.clone());
                session.out.line(&format!("{} would be sent of {}:", channel.name, sample.detection))?;
                for line in text.lines() {
                    session.out.line(&escape::terminal(line))?;
                }
                continue;
            }
            let line = match channel.notifier.send(&Parcel::one(sample.clone())) {
                Verdict::Delivered => format!("{}: sent {}", channel.name, sample.detection),
                Verdict::Retry { reason, .. } | Verdict::Refused { reason } => {
                    failed = true;
                    format!("{}: {} was not taken: {reason}", channel.name, sample.detection)
                }
            };
            session.out.line(&escape::terminal(&line))?;
            session.out.flush()?;
        }
    }
    Ok(if failed { Exit::Found } else { Exit::Done })
}

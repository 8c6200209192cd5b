//! `trailhound suppress`: on this machine, or in a deployment.

use aws::ControlTable;
use local::SystemClock;
use local::state::SqliteState;
use pipeline::alert::Alert;
use pipeline::escape;
use pipeline::lookup::{each_alert, find_suppression};
use pipeline::pattern::Pattern;
use pipeline::state::{AlertFilter, Include, StateStore, SuppressionStore};
use pipeline::store::Clock;
use pipeline::suppress::{Conditions, Removal, Suppression, SuppressionRequest};
use serde_json::{Value, json};

use crate::args::{Format, SuppressAddArgs, SuppressArgs, SuppressCommand};
use crate::commands::detections;
use crate::exit::{Exit, usage};
use crate::hot::HotStore;
use crate::output::{Rows, plural};
use crate::session::Session;
use crate::times;

pub(crate) fn run(session: &mut Session, arguments: SuppressArgs) -> anyhow::Result<Exit> {
    let store = arguments.store.as_deref();
    match arguments.command {
        SuppressCommand::Add(arguments) => add(session, store, &arguments),
        SuppressCommand::List { format } => list(session, store, format),
        SuppressCommand::Remove { ids } => remove(session, store, &ids),
    }
}

/// Where suppressions are, and the alerts that they silence.
enum Store {
    Machine(SqliteState),
    Deployment { alerts: HotStore, suppressions: ControlTable },
}

impl Store {
    fn open(session: &Session, address: Option<&str>) -> anyhow::Result<Store> {
        let Some(address) = address else { return Ok(Store::Machine(session.open_state()?)) };
        let alerts = HotStore::open(session, address)?;
        Ok(Store::Deployment { suppressions: alerts.suppressions(), alerts })
    }

    fn suppressions(&self) -> &dyn SuppressionStore {
        match self {
            Store::Machine(state) => state,
            Store::Deployment { suppressions, .. } => suppressions,
        }
    }

    /// Visits the alerts asked for.
    fn each_alert(&self, filter: &AlertFilter, mut visit: impl FnMut(Alert)) -> anyhow::Result<()> {
        match self {
            Store::Machine(state) => each_alert(state, filter, |alert| -> anyhow::Result<()> {
                visit(alert);
                Ok(())
            }),
            Store::Deployment { alerts, .. } => {
                alerts.alerts(filter)?.into_iter().for_each(visit);
                Ok(())
            }
        }
    }

    /// Silences what is open already and falls under a suppression. Returns how many alerts that were.
    fn silence(&self, suppression: &Suppression) -> anyhow::Result<u64> {
        let mut covered = Vec::new();
        self.each_alert(&AlertFilter::open(), |alert| {
            if suppression.covers(&alert) {
                // What it tells of is not needed any more, and may be long.
                covered.push(Alert { record: String::new(), ..alert });
            }
        })?;
        match self {
            Store::Machine(state) => {
                let ids: Vec<_> = covered.into_iter().map(|alert| alert.id).collect();
                Ok(state.suppress_alerts(&ids, &suppression.id)?)
            }
            Store::Deployment { alerts, .. } => Ok(alerts.alert_table().suppress(&covered, &suppression.id)?),
        }
    }
}

fn add(session: &mut Session, store: Option<&str>, arguments: &SuppressAddArgs) -> anyhow::Result<Exit> {
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
    let store = Store::open(session, store)?;
    let added = store.suppressions().add_suppression(&suppression)?;
    // That is why it is being added.
    let silenced = store.silence(&suppression)?;
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

fn list(session: &mut Session, store: Option<&str>, format: Format) -> anyhow::Result<Exit> {
    let store = Store::open(session, store)?;
    let suppressions = store.suppressions().suppressions()?;
    if suppressions.is_empty() && format == Format::Table {
        crate::complain("no suppressions");
        return Ok(Exit::Done);
    }
    let mut silenced = std::collections::BTreeMap::<String, u64>::new();
    let suppressed = AlertFilter { suppressed: Include::Only, ..AlertFilter::default() };
    store.each_alert(&suppressed, |alert| {
        if let Some(id) = alert.suppressed_by {
            *silenced.entry(id.to_string()).or_default() += 1;
        }
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

fn remove(session: &mut Session, store: Option<&str>, ids: &[String]) -> anyhow::Result<Exit> {
    let store = Store::open(session, store)?;
    let suppressions = store.suppressions();
    let found = ids.iter().map(|id| find_suppression(suppressions, id)).collect::<Result<Vec<_>, _>>()?;
    let removal = Removal { at: SystemClock.now(), by: Session::person(std::env::var("USER").ok().as_ref()) };
    for suppression in found {
        let in_force = suppressions.remove_suppression(&suppression.id, &removal)?;
        let what = if in_force { "removed; what it silenced stays silenced" } else { "was removed before" };
        let line = format!("suppression {} {what}", escape::terminal(suppression.id.as_str()));
        session.out.line(&line)?;
    }
    Ok(Exit::Done)
}

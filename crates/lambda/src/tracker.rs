//! `tracker`: one pass over the event history of every stream, on a schedule.
//!
//! It stops before its time is up and goes on at the next invocation where it was. What it could not read is a failed
//! invocation, so that an alarm hears of it; what it could is stored.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws::{
    Access, AlertTable, Aws, ControlTable, EventHistory, EventTable, MemberRole, Role, TableNames, Tables, Wanted,
};
use detect::Registry;
use local::{SystemClock, SystemTimer};
use pipeline::collect::sources::{IDENTITY_CENTER, expand};
use pipeline::collect::{Collect, Options, PassReport, Regions, Rules, Scope, StreamStore};
use pipeline::filter::Filters;
use pipeline::ingest::Progress;
use pipeline::notify::Round;
use pipeline::state::{StateError, SuppressionStore};
use pipeline::store::Clock;
use pipeline::suppress::Suppressions;
use serde_json::{Value, json};

use crate::aside::LogAside;
use crate::metrics;
use crate::runtime::{Failure, Function, Time};
use crate::settings::Settings;
use crate::standing::Standing;
use crate::topic::{InTime, Topic};

/// How long events may wait for a commit: what waits is in memory.
const COMMIT_EVERY: Duration = Duration::from_secs(5);
/// How long one account and region is asked again that throttles or does not answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pages of one walk in one turn: no backlog keeps the other streams of its region waiting for hours.
const PAGES: u64 = 100;
/// What stands for every account of the organisation in `MEMBER_ACCOUNTS`.
const ORGANIZATION: &str = "organization";

/// The function, as it stays from one invocation to the next.
pub struct Tracker {
    settings: Settings,
    aws: Aws,
    wanted: Wanted,
    events: EventTable,
    control: ControlTable,
    alerts: AlertTable,
    topic: Topic,
    registry: Registry,
    filters: Filters,
    regions: Regions,
    history: Mutex<EventHistory>,
}

impl Tracker {
    /// Sets everything up by the environment.
    ///
    /// # Errors
    /// [`Failure`]: a variable says what it cannot mean, or there are no credentials.
    pub fn open(stop: &Arc<AtomicBool>) -> Result<Tracker, Failure> {
        let settings = Settings::read().map_err(|error| Failure::new("Configuration", error))?;
        let aws =
            Aws::open(&Access::default(), Some(Arc::clone(stop))).map_err(|error| Failure::new("Access", error))?;
        let tables = tables(&settings, &aws)?;
        let filters = Filters::new(&settings.filter).map_err(|error| Failure::new("Configuration", error))?;
        let registry = Registry::new(&settings.detect).map_err(|error| Failure::new("Configuration", error))?;
        Ok(Tracker {
            wanted: wanted(&settings),
            events: tables.events(settings.retention),
            control: tables.control(),
            alerts: tables.alerts(settings.retention),
            topic: Topic::new(&aws, settings.topic.as_deref()),
            registry,
            filters,
            regions: Regions::default(),
            history: Mutex::default(),
            aws,
            settings,
        })
    }

    /// The suppressions in force. Where they cannot be read none is, and the reason is said: silence never comes from an
    /// error.
    fn suppressions(&self) -> (Suppressions, Option<String>) {
        match self.control.suppressions() {
            Ok(suppressions) => (Suppressions::new(suppressions), None),
            Err(error) => {
                tracing::error!(%error, "suppressions cannot be read: none is applied");
                (Suppressions::default(), Some(format!("no suppression was applied: {error}")))
            }
        }
    }

    fn pass(
        &self,
        history: &mut EventHistory,
        suppressions: &Suppressions,
        stop: &Arc<AtomicBool>,
    ) -> Result<(PassReport, Scope), Failure> {
        let state = |error: StateError| Failure::new("State", error);
        let before = self.control.scope().map_err(state)?;
        let now = SystemClock.now();
        let Some(mut found) = self.aws.discover(&self.wanted, &before, now, stop) else {
            return Err(Failure::new("Timeout", "the time was up before it was known what there is to read"));
        };
        let left_out = left_out(&self.settings);
        found.scope.streams.retain(|stream| !left_out.contains(&stream.source));
        if found.scope != before {
            self.control.save_scope(&found.scope).map_err(state)?;
        }
        history.renew(found.accounts, &found.scope);
        let timer = SystemTimer::new(Arc::clone(stop));
        let options = Options {
            max_workers: self.settings.workers,
            rate: self.settings.calls_per_second,
            patience: PATIENCE,
            commit_every: COMMIT_EVERY,
            max_pages: Some(PAGES),
            seed: now.micros().unsigned_abs(),
            ..Options::default()
        };
        let pass = Collect {
            lookup: history,
            streams: &self.control,
            timer: &timer,
            regions: &self.regions,
            store: &self.events,
            ledger: &self.alerts,
            aside: &LogAside,
            registry: &self.registry,
            filters: &self.filters,
            suppressions,
            routes: &self.topic.routes,
            run: None,
            options: &options,
            progress: &Progress::default(),
            on_trouble: &|stream, trouble| tracing::warn!(%stream, reason = trouble.message, "cannot be read"),
            stop,
        };
        let report = pass.turns(&found.scope.streams).map_err(|error| Failure::new("Store", error))?;
        Ok((report, found.scope))
    }

    /// Says where collection stands, whatever became of this pass: an alarm takes silence for death.
    fn tell_standing(&self, pass: Option<&(PassReport, Scope)>) {
        let read = || -> Result<Standing, StateError> {
            let (scope, states) = (self.control.scope()?, self.control.streams()?);
            Ok(Standing::of(&scope, &states, &Rules::default(), SystemClock.now()))
        };
        let standing = match read() {
            Ok(standing) => standing,
            Err(error) => return tracing::error!(%error, "where collection stands cannot be read"),
        };
        let is_success = pass.is_some_and(|(report, scope)| {
            report.is_complete() && report.troubles().next().is_none() && scope.unknown.is_empty()
        });
        let age = if is_success { 0.0 } else { standing.last_success_age.as_secs_f64().round() };
        let gap = (standing.longest_gap.as_secs_f64() / 36.0).round() / 100.0;
        let metrics = [("LastSuccessAge", "Seconds", age), ("CoverageGapHours", "None", gap)];
        metrics::put(&self.settings.stack, SystemClock.now(), &metrics);
    }
}

impl Function for Tracker {
    fn invoke(&self, _: Value, time: &Time) -> Result<Value, Failure> {
        let started = Instant::now();
        let (suppressions, unapplied) = self.suppressions();
        let outcome =
            self.pass(&mut self.history.lock().unwrap_or_else(PoisonError::into_inner), &suppressions, &time.stop);
        // First: who ends over its messages is not dead.
        self.tell_standing(outcome.as_ref().ok());
        // What was found before a failure is told of, too; and what an earlier invocation could not send.
        let sent = self.topic.send(&InTime::new(&self.alerts, time.silence));
        let (report, scope) = outcome?;
        let sent = sent.map_err(|error| Failure::new("State", error))?;
        let took = started.elapsed().as_secs_f64();
        let errors: Vec<String> = errors(&report, &scope, &sent).into_iter().chain(unapplied).collect();
        let summary = summary(&report, &sent, took, &errors, time.stop.load(Ordering::Relaxed));
        let totals = &report.totals;
        let count = |number: u64| number as f64;
        metrics::put(
            &self.settings.stack,
            report.ended,
            &[
                ("EventsProcessed", "Count", count(totals.read)),
                ("EventsFiltered", "Count", count(totals.left_out())),
                ("EventsStored", "Count", count(totals.stored)),
                ("Duplicates", "Count", count(totals.duplicates)),
                ("AlertsSent", "Count", sent.sent as f64),
                ("AlertsFailed", "Count", (sent.failed + sent.retried) as f64),
                ("Errors", "Count", errors.len() as f64),
            ],
        );
        tracing::info!(summary = %summary, "done");
        if errors.is_empty() { Ok(summary) } else { Err(Failure::new("Incomplete", summary)) }
    }
}

/// The tables that the environment names, in the account that keys need not name.
pub(crate) fn tables(settings: &Settings, aws: &Aws) -> Result<Tables, Failure> {
    let account = match &settings.account {
        Some(id) => aws.named(id),
        None => aws.own().map_err(|error| Failure::new("Access", error))?,
    };
    let names = TableNames {
        events: settings.events_table.clone(),
        control: settings.control_table.clone(),
        alerts: settings.alerts_table.clone(),
    };
    Ok(Tables::new(&account, names, None))
}

/// What is to be read.
fn wanted(settings: &Settings) -> Wanted {
    let mut wanted = Wanted {
        own: true,
        regions: settings.regions.clone(),
        sso_region: settings.sso_region.clone(),
        sources: settings.extra_sources.clone(),
        ..Wanted::default()
    };
    let external_id = settings.member_external_id.clone();
    let Some(role) = settings.member_role.as_deref() else { return wanted };
    if settings.member_accounts.iter().any(|account| account == ORGANIZATION) {
        wanted.organization = Some(MemberRole { name: role.to_owned(), external_id });
        return wanted;
    }
    let arn = |account: &String| format!("arn:{}:iam::{account}:role/{role}", partition());
    let roles =
        settings.member_accounts.iter().map(|account| Role { arn: arn(account), external_id: external_id.clone() });
    wanted.roles = roles.collect();
    wanted
}

/// The partition that this function runs in, by its region.
fn partition() -> &'static str {
    let region = std::env::var("AWS_REGION").unwrap_or_default();
    pipeline::collect::Partition::of_region(&region).as_str()
}

/// The event sources that are switched off, but for those that somebody asks for by name.
fn left_out(settings: &Settings) -> Vec<String> {
    let asked_for: Vec<String> = settings.extra_sources.iter().flat_map(|source| expand(source)).collect();
    let switched_off = settings.left_out.iter().flat_map(|switch| sources_of(switch));
    switched_off.filter(|source| !asked_for.contains(source)).collect()
}

/// The event sources that a switch stands for.
fn sources_of(switch: &str) -> Vec<String> {
    match switch {
        "iam" => vec!["iam.amazonaws.com".to_owned(), "organizations.amazonaws.com".to_owned()],
        "sso" => IDENTITY_CENTER.iter().map(|source| (*source).to_owned()).collect(),
        other => expand(other),
    }
}

/// What went wrong, each cause once.
fn errors(report: &PassReport, scope: &Scope, sent: &Round) -> Vec<String> {
    let unknown = scope.unknown.iter().map(|unknown| format!("{}: {}", unknown.subject, unknown.trouble.with_advice()));
    let streams = report.troubles().map(|(stream, trouble)| format!("{stream}: {}", trouble.with_advice()));
    let untold = sent.retried + sent.failed;
    let untold = (untold > 0).then(|| {
        let why = sent.problems.first().map(String::as_str).unwrap_or_default();
        format!("{untold} alerts were not delivered: {why}")
    });
    let rejected = report.totals.rejected;
    let rejected = (rejected > 0)
        .then(|| format!("{rejected} records are no events and were not stored: the log has them and says why"));
    unknown.chain(streams).chain(untold).chain(rejected).collect()
}

/// The answer: the fields of the classic tracker, and what else there is to know.
fn summary(report: &PassReport, sent: &Round, seconds: f64, errors: &[String], is_cut_off: bool) -> Value {
    let totals = &report.totals;
    json!({
        "statusCode": if errors.is_empty() { 200 } else { 500 },
        "total_events_processed": totals.read,
        "total_events_filtered": totals.left_out(),
        "execution_time_seconds": (seconds * 1000.0).round() / 1000.0,
        "errors": errors,
        "stored": totals.stored,
        "duplicates": totals.duplicates,
        "variants": totals.variants,
        "rejected": totals.rejected,
        "alerts": totals.alerts,
        "alerts_sent": sent.sent,
        "streams": report.streams.len(),
        "cut_off": is_cut_off,
        "complete": !is_cut_off && errors.is_empty() && report.is_complete(),
    })
}

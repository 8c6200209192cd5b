//! What collecting works with: AWS, the streams, the stores. `collect` and `run` differ in how often.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::Context;
use aws::{Aws, EventHistory, MemberRole, Role, Wanted};
use detect::Registry;
use lake::{Lake, WriterOptions};
use local::aside::JsonlAside;
use local::state::SqliteState;
use local::{LakeStore, SystemClock, SystemTimer};
use notify::{SecretSource, SecretStore};
use pipeline::collect::sources::expand;
use pipeline::collect::{Collect, Options, PassReport, Regions, Rules, Scope, Stream, StreamStore};
use pipeline::filter::Filters;
use pipeline::history::{RunEnd, RunId};
use pipeline::ingest::Progress;
use pipeline::outbox::Routes;
use pipeline::state::{Ledger, StateStore, SuppressionStore};
use pipeline::status::Expectation;
use pipeline::store::Clock;
use pipeline::suppress::Suppressions;

use crate::config::Config;
use crate::exit::usage;
use crate::proving::Keys;
use crate::session::Session;
use crate::tell::Secrets;
use crate::trails;

/// What the flags of a command say besides the configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overrides {
    pub(crate) regions: Vec<String>,
    pub(crate) sources: Vec<String>,
}

/// What everything that collects has in common.
pub(crate) struct Base {
    pub(crate) lake: Lake,
    pub(crate) aside: JsonlAside,
    pub(crate) registry: Registry,
    pub(crate) filters: Filters,
    /// What digests are judged with, where what trails bring is to be proven.
    pub(crate) keys: Option<Keys>,
}

impl Base {
    pub(crate) fn open(session: &Session, state: &SqliteState) -> anyhow::Result<Base> {
        let config = session.config();
        let registry = Registry::new(&config.detect).map_err(|error| usage(format!("[detect]: {error}")))?;
        let filters = Filters::new(&config.filter).map_err(|error| usage(error.to_string()))?;
        trails::check(&config.trails)?;
        let file = Some(config.collect.verify_keys.as_str()).filter(|file| !file.is_empty()).map(Path::new);
        let keys = match config.collect.verify {
            true => Some(Keys::open(session, "collect.verify_keys", file)?),
            false => None,
        };
        let lake = session.open_or_create_lake()?;
        session.fit(state, &lake)?;
        let aside = JsonlAside::open(&session.home)
            .with_context(|| format!("failed to open the files of rejected records in {}", session.home.display()))?;
        Ok(Base { lake, aside, registry, filters, keys })
    }
}

/// Everything a pass over the event history needs that stays from one to the next.
pub(crate) struct Live {
    store: LakeStore,
    aws: Aws,
    wanted: Wanted,
    regions: Regions,
    options: Options,
    history: EventHistory,
    pub(crate) scope: Scope,
    /// Whether what is collected is what the configuration says, and no flag says otherwise.
    is_configured: bool,
}

/// What one pass is given.
pub(crate) struct Pass<'a> {
    /// The command, as the history of runs names it.
    pub(crate) command: &'a str,
    pub(crate) base: &'a Base,
    pub(crate) state: &'a SqliteState,
    /// The state, or something that hears of what is recorded there.
    pub(crate) ledger: &'a dyn Ledger,
    pub(crate) routes: &'a Routes,
    pub(crate) progress: &'a Progress,
    pub(crate) stop: &'a Arc<AtomicBool>,
}

impl Live {
    /// Sets everything up; asks AWS nothing yet.
    ///
    /// Calls that wait are given up once `stop` is set.
    pub(crate) fn open(
        session: &Session,
        base: &Base,
        state: &SqliteState,
        overrides: &Overrides,
        writer: WriterOptions,
        stop: &Arc<AtomicBool>,
    ) -> anyhow::Result<Live> {
        let config = session.config();
        let store = LakeStore::new(&base.lake, writer)?;
        let aws = Aws::open(&session.access(), Some(Arc::clone(stop)))?;
        Ok(Live {
            store,
            aws,
            wanted: wanted(config, overrides, &Secrets::new(session))?,
            regions: Regions::default(),
            options: options(config),
            history: EventHistory::default(),
            scope: state.scope()?,
            is_configured: overrides.regions.is_empty() && overrides.sources.is_empty(),
        })
    }

    /// Reads at most so many pages of one walk in a pass.
    pub(crate) fn with_max_pages(mut self, pages: u64) -> Live {
        self.options.max_pages = Some(pages);
        self
    }

    /// Finds out what there is to read, and writes it down. What a flag narrows or widens holds for this run alone.
    pub(crate) fn discover(&mut self, state: &SqliteState, stop: &AtomicBool) -> anyhow::Result<()> {
        let Some(found) = self.aws.discover(&self.wanted, &self.scope, SystemClock.now(), stop) else {
            return Ok(());
        };
        if self.is_configured {
            state.save_scope(&found.scope)?;
        }
        self.history.renew(found.accounts, &found.scope);
        self.scope = found.scope;
        Ok(())
    }

    /// AWS, as it is reached.
    pub(crate) fn aws(&self) -> Aws {
        self.aws.clone()
    }

    /// Whether there is anybody to ask.
    pub(crate) fn has_accounts(&self) -> bool {
        !self.history.is_empty()
    }

    /// Reads what there is to read of every stream, once.
    pub(crate) fn pass(&self, pass: &Pass<'_>) -> anyhow::Result<(PassReport, Duration)> {
        let Pass { command, base, state, ledger, routes, progress, stop } = *pass;
        let started = Instant::now();
        let suppressions = Suppressions::new(state.suppressions()?);
        let timer = SystemTimer::new(Arc::clone(stop));
        let run = state.begin_run(command, timer.now())?;
        let options = Options { seed: seed(timer.now()), ..self.options.clone() };
        let outcome = Collect {
            lookup: &self.history,
            streams: state,
            timer: &timer,
            regions: &self.regions,
            store: &self.store,
            ledger,
            aside: &base.aside,
            registry: &base.registry,
            filters: &base.filters,
            suppressions: &suppressions,
            routes,
            run: Some(run),
            options: &options,
            progress,
            on_trouble: &|stream, trouble| tracing::info!(%stream, message = trouble.message, "cannot be read"),
            stop,
        }
        .pass(&self.scope.streams);
        let report = match outcome {
            Ok(report) => report,
            Err(error) => {
                let error = error.into();
                run_failed(state, run, &error);
                return Err(error);
            }
        };
        let unread = report.streams.iter().filter(|stream| !stream.complete && !stream.paused).count();
        let end = RunEnd {
            at: timer.now(),
            exit_code: match report.totals.interrupted {
                true => 130,
                false if report.is_complete() && self.scope.unknown.is_empty() => 0,
                false => 4,
            },
            records: report.totals.records(),
            unread: unread as u64,
            alerts: report.totals.alerts.new,
            suppressed: report.totals.alerts.suppressed,
            error: None,
        };
        state.end_run(run, &end)?;
        Ok((report, started.elapsed()))
    }
}

/// Writes down that a run failed, as far as that can be.
pub(crate) fn run_failed(state: &SqliteState, run: RunId, error: &anyhow::Error) {
    let (records, alerts) = Default::default();
    let error = Some(crate::chain(error));
    let end = RunEnd { at: SystemClock.now(), exit_code: 1, records, unread: 0, alerts, suppressed: 0, error };
    // The failure itself is what to tell; the history may be on the same full disk.
    let _ = state.end_run(run, &end);
}

/// How a daemon writes: in less memory than a first load at full speed is given, for it stays.
pub(crate) fn frugal() -> WriterOptions {
    WriterOptions { buffered_bytes: 12 << 20, file_bytes: 8 << 20, known_ids: 250_000, ..WriterOptions::default() }
}

/// What is to be collected, by the configuration and the flags.
fn wanted(config: &Config, overrides: &Overrides, secrets: &dyn SecretStore) -> anyhow::Result<Wanted> {
    let collect = &config.collect;
    let mut wanted = Wanted {
        own: collect.own_account,
        regions: if overrides.regions.is_empty() { collect.regions.clone() } else { overrides.regions.clone() },
        sso_region: Some(collect.sso_region.clone()).filter(|region| !region.is_empty()),
        sources: collect.sources.iter().chain(&overrides.sources).cloned().collect(),
        ..Wanted::default()
    };
    let is_name = |text: &String| Stream::new("0", text, text).to_string().parse::<Stream>().is_ok();
    if let Some(region) = wanted.regions.iter().chain(&wanted.sso_region).find(|region| !is_name(region)) {
        return Err(usage(format!("{region:?} is no region, such as \"eu-central-1\"")));
    }
    if let Some(source) = wanted.sources.iter().find(|source| !expand(source).iter().all(is_name)) {
        return Err(usage(format!("{source:?} is no event source, such as \"kms\"")));
    }
    let secret = |source: &Option<SecretSource>| match source {
        None => Ok(None),
        Some(source) => source
            .resolve(secrets)
            .map(|secret| Some(secret.expose().to_owned()))
            .map_err(|error| usage(format!("[[accounts]] external_id: {error}"))),
    };
    for account in &config.accounts {
        let external_id = secret(&account.external_id)?;
        match (&account.role, &account.organization_role) {
            (Some(arn), None) => wanted.roles.push(Role { arn: arn.clone(), external_id }),
            (None, Some(name)) if wanted.organization.is_none() => {
                wanted.organization = Some(MemberRole { name: name.clone(), external_id });
            }
            (None, Some(_)) => return Err(usage("[[accounts]]: organization_role can be given once")),
            _ => return Err(usage("[[accounts]]: each needs either a role or an organization_role")),
        }
    }
    Ok(wanted)
}

pub(crate) fn rules(config: &Config) -> Rules {
    let minutes = |minutes: u16| Duration::from_secs(u64::from(minutes) * 60);
    let collect = &config.collect;
    Rules { settle: minutes(collect.settle_minutes), late: minutes(collect.late_minutes), ..Rules::default() }
}

fn options(config: &Config) -> Options {
    Options {
        rules: rules(config),
        max_workers: usize::from(config.collect.max_workers.max(1)),
        rate: Some(f64::from(config.collect.calls_per_second)).filter(|&rate| rate > 0.0),
        commit_every: Duration::from_secs(u64::from(config.ingest.commit_seconds.max(1))),
        limits: config.limits.limits(),
        ..Options::default()
    }
}

/// What `status` expects of streams.
pub(crate) fn expectation(config: &Config) -> Expectation {
    // The next pass may be about to begin, and takes a while.
    let every = Duration::from_secs(u64::from(config.run.every_seconds) * 2).max(Duration::from_secs(300));
    Expectation { rules: rules(config), every }
}

/// Two processes that wait must not wait alike.
fn seed(now: event::Timestamp) -> u64 {
    now.micros().unsigned_abs() ^ (u64::from(std::process::id()) << 40)
}

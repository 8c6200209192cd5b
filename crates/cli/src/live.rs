//! What collecting works with: AWS, the streams, the stores. `collect` and `run` differ in how often.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::Context;
use aws::{Aws, EventHistory, MemberRole, Role, Wanted};
use detect::Registry;
use event::Timestamp;
use lake::{Lake, WriterOptions};
use local::aside::JsonlAside;
use local::state::SqliteState;
use local::{Ballast, LakeStore, SystemClock, SystemTimer};
use notify::{NoSecretStore, SecretError, SecretStore};
use pipeline::collect::sources::expand;
use pipeline::collect::{Collect, Options, PassReport, Regions, Rules, Scope, Stream, StreamStore, Unknown};
use pipeline::filter::Filters;
use pipeline::history::{RunEnd, RunId};
use pipeline::ingest::Progress;
use pipeline::outbox::Routes;
use pipeline::service::CallError;
use pipeline::state::{Ledger, StateError, StateStore, SuppressionStore};
use pipeline::status::Expectation;
use pipeline::status::full::disk_full;
use pipeline::store::Clock;
use pipeline::suppress::Suppressions;

use crate::config::{AccountConfig, Config};
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
        lay_ballast(state);
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
    /// What is wanted besides the accounts below.
    wanted: Wanted,
    accounts: Vec<AccountConfig>,
    secrets: Secrets,
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
            wanted: wanted(config, overrides)?,
            accounts: checked(&config.accounts)?,
            secrets: Secrets::new(session),
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
        let now = SystemClock.now();
        let mut wanted = self.wanted.clone();
        for account in &self.accounts {
            add(&mut wanted, account, &self.secrets, now);
        }
        let Some(found) = self.aws.discover(&wanted, &self.scope, now, stop) else {
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
        let Pass { command, state, ledger, routes, .. } = *pass;
        let outcome = match state.begin_run(command, SystemClock.now()) {
            Ok(run) => self.attempt(pass, run).inspect_err(|error| run_failed(state, run, error)),
            Err(error) => {
                let error = error.into();
                let run = make_room(state, &error).then(|| state.begin_run(command, SystemClock.now()).ok()).flatten();
                if let Some(run) = run {
                    run_failed(state, run, &error);
                }
                Err(error)
            }
        };
        match &outcome {
            Ok(_) => lay_ballast(state),
            Err(error) if is_full(error) => {
                let alert = disk_full(&crate::chain(error), SystemClock.now());
                if let Err(error) = ledger.record_alerts(&[alert], routes) {
                    crate::complain(&format!("nobody is told that the disk is full: {error}"));
                }
            }
            Err(_) => {}
        }
        outcome
    }

    fn attempt(&self, pass: &Pass<'_>, run: RunId) -> anyhow::Result<(PassReport, Duration)> {
        let Pass { base, state, ledger, routes, progress, stop, .. } = *pass;
        let started = Instant::now();
        let suppressions = Suppressions::new(state.suppressions()?);
        let timer = SystemTimer::new(Arc::clone(stop));
        let options = Options { seed: seed(timer.now()), ..self.options.clone() };
        let report = Collect {
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
        .pass(&self.scope.streams)?;
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
    make_room(state, error);
    let (records, alerts) = Default::default();
    let said = Some(crate::chain(error));
    let end = RunEnd { at: SystemClock.now(), exit_code: 1, records, unread: 0, alerts, suppressed: 0, error: said };
    if let Err(unwritten) = state.end_run(run, &end) {
        crate::complain(&format!("`trailhound status` will not tell of this failure: {unwritten}"));
    }
}

/// Throws the ballast away where the disk is full. Returns whether that made room.
fn make_room(state: &SqliteState, error: &anyhow::Error) -> bool {
    is_full(error) && state.folder().is_some_and(|home| Ballast::of(home).drop())
}

/// Lays ballast where there is none and room for it; without it, less can be told of a full disk.
pub(crate) fn lay_ballast(state: &SqliteState) {
    if let Some(Err(error)) = state.folder().map(|home| Ballast::of(home).lay()) {
        tracing::warn!(%error, "no room is kept for telling of a full disk");
    }
}

/// Whether it failed because a disk or a quota is full.
fn is_full(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        matches!(kind, Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
            || matches!(cause.downcast_ref::<StateError>(), Some(StateError::Full { .. }))
    })
}

/// How a daemon writes: in less memory than a first load at full speed is given, for it stays.
pub(crate) fn frugal() -> WriterOptions {
    WriterOptions { buffered_bytes: 12 << 20, file_bytes: 8 << 20, known_ids: 250_000, ..WriterOptions::default() }
}

/// What is to be collected, by the configuration and the flags, but for `[[accounts]]`.
fn wanted(config: &Config, overrides: &Overrides) -> anyhow::Result<Wanted> {
    let collect = &config.collect;
    let wanted = Wanted {
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
    Ok(wanted)
}

/// The accounts of the configuration, without mistakes that can be found without AWS.
fn checked(accounts: &[AccountConfig]) -> anyhow::Result<Vec<AccountConfig>> {
    for account in accounts {
        match (&account.role, &account.organization_role) {
            (Some(_), None) | (None, Some(_)) => {}
            _ => return Err(usage("[[accounts]]: each needs either a role or an organization_role")),
        }
        // Whether AWS gives one is found out when it is needed: it says nothing about the others.
        let found = account.external_id.as_ref().map(|source| source.resolve(&NoSecretStore));
        if let Some(Err(error)) = found.filter(|found| !matches!(found, Err(SecretError::Aws { .. }))) {
            return Err(usage(format!("[[accounts]] external_id: {error}")));
        }
    }
    if accounts.iter().filter(|account| account.organization_role.is_some()).count() > 1 {
        return Err(usage("[[accounts]]: organization_role can be given once"));
    }
    Ok(accounts.to_vec())
}

/// Adds an account, or what keeps us from it.
fn add(wanted: &mut Wanted, account: &AccountConfig, secrets: &dyn SecretStore, now: Timestamp) {
    let subject = account.role.as_deref().unwrap_or("organization");
    let external_id = match account.external_id.as_ref().map(|source| source.resolve(secrets)).transpose() {
        Ok(secret) => secret.map(|secret| secret.expose().to_owned()),
        Err(error) => {
            let what = format!("external_id of [[accounts]]: {error}");
            let cause = match error {
                SecretError::Aws { source, .. } => source,
                _ => CallError::Refused(error.to_string()),
            };
            let mut unknown = Unknown::new(subject, "", &cause, now);
            unknown.trouble.message = what;
            wanted.unknown.push(unknown);
            return;
        }
    };
    match (&account.role, &account.organization_role) {
        (Some(arn), _) => wanted.roles.push(Role { arn: arn.clone(), external_id }),
        (None, Some(name)) => wanted.organization = Some(MemberRole { name: name.clone(), external_id }),
        (None, None) => {}
    }
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

//! `trailhound run`: the daemon.
//!
//! A turn is what lasts as long as the configuration does: the stores, the channels, a pass every so often on this
//! thread, couriers and the dead-man switch on others. SIGHUP ends a turn and begins the next.

mod alone;
mod arenas;
mod endpoint;
mod signals;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use event::Timestamp;
use local::state::SqliteState;
use local::{SystemClock, SystemTimer};
use pipeline::alert::Alert;
use pipeline::collect::{PassReport, Scope, Stream, StreamStore, Timer};
use pipeline::ingest::Progress;
use pipeline::notify::{Bell, deliver};
use pipeline::outbox::{Outbox, Routes};
use pipeline::state::{Ledger, Recorded, StateError, StateStore};
use pipeline::status::deadman::{DeadManRules, silences};
use pipeline::store::Clock;

use self::alone::Alone;
use self::endpoint::{Endpoint, Vitals};
use self::signals::{Ending, Signals};
use crate::args::RunArgs;
use crate::commands::collect::{backfilled, problems};
use crate::commands::ingest::{fates, new_alerts};
use crate::exit::{Exit, usage};
use crate::live::{Base, Live, Overrides, Pass, frugal};
use crate::session::{Session, tidy};
use crate::tell::{Tell, told};
use crate::trails::{Reader, follow, streams};

/// Pages of one walk in one pass: what is new comes before the rest of a long first load.
const PAGES: u64 = 200;
/// How often the dead-man switch looks; more often where passes are made more often.
const WATCH: Duration = Duration::from_secs(30);
/// How soon a turn begins that follows one that ended by itself.
const AGAIN: Duration = Duration::from_secs(5);
/// How soon regions and accounts are looked up again where that failed.
const DISCOVER_AGAIN: Duration = Duration::from_secs(300);

pub(crate) fn run(session: &mut Session, arguments: &RunArgs) -> anyhow::Result<Exit> {
    arenas::limit();
    let signals = Signals::listen()?;
    let state = session.open_state()?;
    let alone = Alone::hold(&session.home)?;
    let vitals = Arc::new(Vitals::new(last_pass(&state)?));
    session.profile.clone_from(&arguments.profile);
    let overrides = Overrides::default();
    // A mistake in the configuration ends the program when it starts, and is only told of later.
    let mut turn = Turn::open(session, &state, &overrides, &signals.stop)?;
    if alone.follows_a_crash {
        // Nobody will come back to what that one had claimed.
        let now = SystemClock.now();
        turn.tell.channels.iter().try_for_each(|channel| state.recall(&channel.name, now, now))?;
    }
    let mut listen = address(session, arguments)?;
    let mut _endpoint = listen.map(|address| Endpoint::start(address, session, &vitals)).transpose()?;
    loop {
        vitals.configure(session);
        match turn.serve(session, &state, &vitals, &signals)? {
            Ending::Stop => return Ok(Exit::Done),
            Ending::Reload => {}
            Ending::Unasked => {
                crate::complain("a part of the daemon has ended by itself; it begins anew");
                SystemTimer::new(Arc::clone(&signals.end)).sleep(AGAIN);
            }
        }
        signals.begin();
        let before = session.loaded.clone();
        let read_again = |session: &mut Session| -> anyhow::Result<(Turn, Option<SocketAddr>)> {
            session.reload()?;
            let wanted = address(session, arguments)?;
            Ok((Turn::open(session, &state, &overrides, &signals.stop)?, wanted))
        };
        match read_again(session) {
            Ok((next, wanted)) => {
                turn = next;
                if wanted != listen {
                    match wanted.map(|address| Endpoint::start(address, session, &vitals)).transpose() {
                        Ok(started) => (_endpoint, listen) = (started, wanted),
                        Err(error) => crate::complain(&format!("run.listen stays as it was: {}", crate::chain(&error))),
                    }
                }
                crate::note("the configuration was read again");
            }
            Err(error) => {
                crate::complain(&format!("the configuration stays as it was: {}", crate::chain(&error)));
                session.loaded = before;
            }
        }
    }
}

/// Where the health check and the figures are served.
fn address(session: &Session, arguments: &RunArgs) -> anyhow::Result<Option<SocketAddr>> {
    match (arguments.listen, session.config().run.listen.as_str()) {
        (Some(address), _) => Ok(Some(address)),
        (None, "") => Ok(None),
        (None, text) => {
            Ok(Some(text.parse().map_err(|_| usage(format!("run.listen: {text:?} is no address and port")))?))
        }
    }
}

/// When a pass last came to its end, in this process or another.
fn last_pass(state: &SqliteState) -> anyhow::Result<Option<Timestamp>> {
    let runs = state.runs(100)?;
    let passes = runs.iter().filter(|run| matches!(run.command.as_str(), "run" | "collect"));
    Ok(passes.filter_map(|run| run.end.as_ref()).filter(|end| end.exit_code != 1).map(|end| end.at).max())
}

/// What lasts as long as the configuration does.
struct Turn {
    base: Base,
    live: Live,
    tell: Tell,
    overrides: Overrides,
    every: Duration,
    discover_every: Duration,
    deadman: DeadManRules,
}

/// Ends a turn when it is dropped.
struct Ends<'a> {
    stop: &'a AtomicBool,
    bell: &'a Bell,
}

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.bell.ring();
    }
}

/// The state, whose alerts call the couriers at once.
struct Ringing<'a> {
    state: &'a SqliteState,
    bell: &'a Bell,
}

impl Ledger for Ringing<'_> {
    fn record_alerts(&self, alerts: &[Alert], routes: &Routes) -> Result<Recorded, StateError> {
        let recorded = self.state.record_alerts(alerts, routes)?;
        if !recorded.new.is_empty() {
            self.bell.ring();
        }
        Ok(recorded)
    }
}

impl Turn {
    fn open(
        session: &Session,
        state: &SqliteState,
        overrides: &Overrides,
        stop: &Arc<AtomicBool>,
    ) -> anyhow::Result<Turn> {
        let config = &session.config().run;
        let base = Base::open(session, state)?;
        let minutes = |minutes: u32| Duration::from_secs(u64::from(minutes.max(1)) * 60);
        Ok(Turn {
            tell: Tell::build(session)?,
            live: Live::open(session, &base, state, overrides, frugal(), stop)?.with_max_pages(PAGES),
            base,
            overrides: overrides.clone(),
            every: Duration::from_secs(u64::from(config.every_seconds.max(1))),
            discover_every: minutes(config.discover_minutes),
            deadman: DeadManRules { pass_within: minutes(config.pass_within_minutes), ..DeadManRules::default() },
        })
    }

    /// Works until a signal ends the turn.
    fn serve(
        &mut self,
        session: &Session,
        state: &SqliteState,
        vitals: &Vitals,
        signals: &Signals,
    ) -> anyhow::Result<Ending> {
        let bell = Bell::default();
        let ringing = Ringing { state, bell: &bell };
        let config = session.config();
        let stop = &signals.stop;
        let Turn { base, live, tell, overrides, every, discover_every, deadman } = self;
        let (base, tell, deadman, every) = (&*base, &*tell, &*deadman, *every);
        tell.check(&ringing);
        let trails = &streams(&config.trails)?;
        let outcome = std::thread::scope(|scope| {
            // Whatever ends one of the threads, a panic too, ends them all: half of a daemon is worse than none.
            let _ends = Ends { stop, bell: &bell };
            scope.spawn(|| {
                let _ends = Ends { stop, bell: &bell };
                deliver(tell.couriers(state), &bell, stop, &told);
            });
            scope.spawn(|| {
                let _ends = Ends { stop, bell: &bell };
                watch_over(&ringing, vitals, &tell.routes, deadman, trails, every, stop);
            });
            for trail in &config.trails {
                let ledger = &ringing;
                let (aws, access, bell) = (live.aws(), session.access(), &bell);
                scope.spawn(move || {
                    let _ends = Ends { stop, bell };
                    let progress = Progress::default();
                    let reader = Reader {
                        config,
                        aws,
                        access,
                        base,
                        state,
                        ledger,
                        routes: &tell.routes,
                        progress: &progress,
                        stop,
                    };
                    follow(&reader, trail, every);
                });
            }
            let mut passes = Passes {
                session,
                base,
                state,
                ledger: &ringing,
                tell,
                live,
                overrides,
                every,
                discover_every: *discover_every,
                discovered: None,
                told: Vec::new(),
                vitals,
            };
            passes.go_on(stop)
        });
        outcome?;
        Ok(signals.ending())
    }
}

/// A pass every so often.
struct Passes<'a> {
    session: &'a Session,
    base: &'a Base,
    state: &'a SqliteState,
    ledger: &'a dyn Ledger,
    tell: &'a Tell,
    live: &'a mut Live,
    overrides: &'a Overrides,
    every: Duration,
    discover_every: Duration,
    discovered: Option<Instant>,
    /// The problems of the last pass: each is told when it begins and when it ends.
    told: Vec<String>,
    vitals: &'a Vitals,
}

impl Passes<'_> {
    fn go_on(&mut self, stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
        let timer = SystemTimer::new(Arc::clone(stop));
        while !stop.load(Ordering::Relaxed) {
            let started = timer.monotonic();
            if let Err(error) = self.once(stop) {
                // A full disk, a state that is locked: it is tried again, with stores that know nothing of this pass.
                self.vitals.failed();
                self.tell_of(vec![format!("a pass failed: {}", crate::chain(&error))]);
                timer.sleep(self.every.min(Duration::from_secs(10)));
                match Live::open(self.session, self.base, self.state, self.overrides, frugal(), stop) {
                    Ok(live) => {
                        *self.live = live.with_max_pages(PAGES);
                        self.discovered = None;
                    }
                    Err(error) => self.tell_of(vec![format!("a pass failed: {}", crate::chain(&error))]),
                }
            }
            let took = timer.monotonic().saturating_sub(started);
            timer.sleep(jittered(self.every, timer.now()).saturating_sub(took));
        }
        Ok(())
    }

    fn once(&mut self, stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
        let again = match self.live.scope.unknown.is_empty() {
            true => self.discover_every,
            false if self.live.has_accounts() => DISCOVER_AGAIN.min(self.discover_every),
            false => Duration::ZERO,
        };
        if self.discovered.is_none_or(|at| at.elapsed() >= again) {
            self.live.discover(self.state, stop)?;
            self.discovered = Some(Instant::now());
        }
        let began = SystemClock.now();
        let progress = Progress::default();
        let (report, took) = self.live.pass(&Pass {
            command: "run",
            base: self.base,
            state: self.state,
            ledger: self.ledger,
            routes: &self.tell.routes,
            progress: &progress,
            stop,
        })?;
        self.session.fit(self.state, &self.base.lake)?;
        if !report.totals.interrupted && is_pass(&report, &self.live.scope) {
            self.vitals.passed(&report, took.as_secs_f64());
        }
        let mut problems = problems(&report, &self.live.scope);
        problems.extend(tidy(&self.base.lake));
        self.tell_of(problems);
        if report.totals.alerts.new.total() > 0
            && let Some(untold) = backfilled(self.state, began, !self.tell.channels.is_empty())?
        {
            crate::note(&untold);
        }
        if report.totals.stored > 0 && !self.session.global.quiet {
            crate::complain(&format!(
                "{}  {}; {}",
                report.ended.whole_second(),
                fates(&report.totals),
                new_alerts(&report.totals)
            ));
        }
        Ok(())
    }

    /// Says what is new among the problems, and what is over.
    fn tell_of(&mut self, problems: Vec<String>) {
        for problem in problems.iter().filter(|problem| !self.told.contains(problem)) {
            crate::complain(problem);
        }
        for over in self.told.iter().filter(|told| !problems.contains(told)) {
            crate::note(&format!("over: {over}"));
        }
        self.told = problems;
    }
}

/// Whether a pass was one: not where nobody answered. Where there is nobody to ask, as with trails alone or where all
/// streams are paused, it is.
fn is_pass(report: &PassReport, scope: &Scope) -> bool {
    *scope == Scope::default()
        || report.streams.iter().any(|stream| stream.calls > 0)
        || (!report.streams.is_empty() && report.is_complete())
}

/// The dead-man switch, on a thread of its own: a pass that hangs cannot say so itself.
fn watch_over(
    ringing: &Ringing<'_>,
    vitals: &Vitals,
    routes: &Routes,
    rules: &DeadManRules,
    trails: &[Stream],
    every: Duration,
    stop: &Arc<AtomicBool>,
) {
    let timer = SystemTimer::new(Arc::clone(stop));
    while !stop.load(Ordering::Relaxed) {
        let look = || -> Result<(), StateError> {
            let now = timer.now();
            let mut scope = ringing.state.scope()?;
            scope.streams.extend_from_slice(trails);
            let found = silences(&scope, &ringing.state.streams()?, vitals.pulse(), now, rules);
            let alerts: Vec<Alert> = found.iter().map(|silence| silence.alert(now)).collect();
            if !alerts.is_empty() {
                for place in ringing.record_alerts(&alerts, routes)?.new {
                    crate::complain(&alerts[place].summary);
                }
            }
            Ok(())
        };
        if let Err(error) = look() {
            tracing::warn!(%error, "the dead-man switch cannot look");
        }
        timer.sleep(WATCH.min(every));
    }
}

/// The time to the next pass, give or take a tenth: many daemons must not call all at once.
fn jittered(every: Duration, now: Timestamp) -> Duration {
    let share = (now.micros().rem_euclid(1_000)) as f64 / 1_000.0;
    every.mul_f64(0.9 + 0.2 * share)
}

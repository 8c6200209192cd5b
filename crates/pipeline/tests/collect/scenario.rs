//! One world, several processes one after the other, and the checks behind each of them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use detect::Registry;
use event::Timestamp;
use pipeline::alert::Arrival;
use pipeline::collect::{
    Collect, Options, PassReport, Pause, Regions, Rules, Scope, Stream, StreamChange, StreamState, StreamStore,
    TroubleKind,
};
use pipeline::coverage::{Coverage, Interval};
use pipeline::filter::{FilterConfig, Filters};
use pipeline::ingest::{IngestError, Progress};
use pipeline::outbox::Routes;
use pipeline::state::StateError;
use pipeline::suppress::Suppressions;
use testkit::cloudtrail::history::SECOND;
use testkit::cloudtrail::world::{Faults, Happening, Plot, World};
use testkit::memory::{Disk, Process};

const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// 2026-04-01T12:00:00Z
const START: i64 = 1_775_044_800 * SECOND;

/// What writes the coverage down.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ledger {
    /// What ships.
    Ours,
    /// The usual mistake: everything up to the newest event seen counts as read.
    NewestEvent,
}

/// A ledger with the usual mistake.
struct NewestEvent<'a>(&'a Process);

impl StreamStore for NewestEvent<'_> {
    fn streams(&self) -> Result<Vec<StreamState>, StateError> {
        self.0.streams()
    }

    fn save_streams(&self, changes: &[StreamChange]) -> Result<(), StateError> {
        let mut changes = changes.to_vec();
        for change in &mut changes {
            if let (Some(newest), Some(span)) = (change.health.last_event, change.covered.span()) {
                change.covered.add(Interval::new(span.from, newest));
            }
        }
        self.0.save_streams(&changes)
    }

    fn scope(&self) -> Result<Scope, StateError> {
        self.0.scope()
    }

    fn save_scope(&self, scope: &Scope) -> Result<(), StateError> {
        self.0.save_scope(scope)
    }

    fn pause_stream(&self, stream: &Stream, pause: Option<&Pause>) -> Result<bool, StateError> {
        self.0.pause_stream(stream, pause)
    }
}

struct Scenario {
    world: World,
    disk: Arc<Disk>,
    streams: Vec<Stream>,
    truth: Vec<Happening>,
    registry: &'static Registry,
    ledger: Ledger,
    options: Options,
    /// The true time by which a stream had first been answered.
    asked: RefCell<BTreeMap<Stream, Timestamp>>,
}

fn time(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).unwrap()
}

fn streams(chance: &mut fastrand::Rng) -> Vec<Stream> {
    let sources = ["iam.amazonaws.com", "sts.amazonaws.com", "signin.amazonaws.com"];
    let mut streams = Vec::new();
    for account in 0..chance.u32(1..=2) {
        for region in ["us-east-1", "eu-west-1"].iter().take(chance.usize(1..=2)) {
            for source in sources.iter().take(chance.usize(1..=3)) {
                streams.push(Stream::new(&format!("{:012}", account + 1), region, source));
            }
        }
    }
    streams
}

impl Scenario {
    fn new(seed: u64, chance: &mut fastrand::Rng, ledger: Ledger) -> Scenario {
        let streams = streams(chance);
        // Most worlds are small; some have seconds with thousands of events.
        let is_large = chance.u32(0..100) == 0;
        let (events, burst) = if is_large { (2000, 3000) } else { (chance.usize(0..70), 150) };
        let long = if chance.bool() { 80 * DAY } else { HOUR };
        let span = (START - long, START + 8 * HOUR);
        let plot = Plot {
            streams: streams.clone(),
            events: if is_large { events / streams.len() } else { events },
            burst,
            span,
            latest: 15 * MINUTE,
            duplicates: if chance.bool() { 0.02 } else { 0.0 },
        };
        let options = Options {
            max_workers: if seed % 8 == 7 { 4 } else { 1 },
            commit_every: Duration::from_secs(*chance.choice(&[0, 0, 5, 30]).unwrap()),
            max_pages: if chance.u32(0..5) == 0 { Some(chance.u64(1..30)) } else { None },
            seed,
            ..Options::default()
        };
        let world = World::new(seed, &plot, START);
        static REGISTRY: LazyLock<Registry> =
            LazyLock::new(|| Registry::new(&detect::DetectConfig::default()).unwrap());
        let truth = world.truth();
        let (disk, asked) = (Arc::default(), RefCell::default());
        Scenario { world, disk, streams, truth, registry: &REGISTRY, ledger, options, asked }
    }

    fn pass(&self, process: &Process, regions: &Regions) -> Result<PassReport, IngestError> {
        let broken = NewestEvent(process);
        let streams: &dyn StreamStore = if self.ledger == Ledger::Ours { process } else { &broken };
        let report = Collect {
            lookup: &self.world,
            streams,
            timer: &self.world,
            regions,
            store: process,
            ledger: process,
            aside: process,
            registry: self.registry,
            filters: &Filters::new(&FilterConfig::default()).unwrap(),
            suppressions: &Suppressions::default(),
            routes: &Routes::default(),
            run: None,
            options: &self.options,
            progress: &Progress::default(),
            on_trouble: &|_, _| (),
            stop: &AtomicBool::new(false),
        }
        .pass(&self.streams)?;
        let now = time(self.world.true_now());
        for answered in report.streams.iter().filter(|stream| stream.calls > 0) {
            self.asked.borrow_mut().entry(answered.stream.clone()).or_insert(now);
        }
        Ok(report)
    }

    /// The pages that cannot be saved, as things stand on the disk: `now` is what the collector takes for it.
    fn least_pages(&self, before: &[StreamState], now: Timestamp) -> u64 {
        let mut pages = 0;
        for stream in &self.streams {
            let state = before.iter().find(|state| state.stream == *stream).cloned();
            let state = state.unwrap_or_else(|| StreamState::new(stream.clone()));
            for walk in self.options.rules.walks(&state, now) {
                let (window, token) = walk.request();
                pages += self.world.least_pages(stream, window, token);
            }
        }
        pages
    }

    fn states(&self) -> Vec<StreamState> {
        self.disk.streams.lock().unwrap().values().cloned().collect()
    }

    /// What is claimed was read, and nothing of the future is claimed.
    fn check_ledger(&self) -> Result<(), String> {
        let events = self.disk.events.lock().unwrap();
        let now = time(self.world.true_now());
        for state in self.states() {
            if let Some(span) = state.coverage.span()
                && span.to > now
            {
                return Err(format!("{} claims the future: {span} at {now}", state.stream));
            }
        }
        let coverage: BTreeMap<Stream, Coverage> =
            self.states().into_iter().map(|state| (state.stream, state.coverage)).collect();
        for Happening { id, stream, time, .. } in &self.truth {
            let is_claimed = coverage.get(stream).is_some_and(|coverage| coverage.contains(*time));
            if is_claimed && !events.contains_key(id) {
                return Err(format!("{stream} claims {time} and {id} was not read"));
            }
        }
        Ok(())
    }

    /// Everything that happened is stored, covered and found, and nothing else is.
    fn check_truth(&self) -> Result<(), String> {
        let truth = &self.truth;
        let events = self.disk.events.lock().unwrap();
        if let Some(happening) = truth.iter().find(|happening| !events.contains_key(&happening.id)) {
            return Err(format!("{happening:?} was not read"));
        }
        if events.len() != truth.len() {
            return Err(format!("{} events stored, {} happened", events.len(), truth.len()));
        }
        // Everything has been visible since the world went quiet.
        let all = Interval::new(time(self.world.true_now() - 89 * DAY), time(START + 8 * HOUR));
        for state in self.states() {
            let gaps = state.coverage.gaps(all);
            if !gaps.is_empty() {
                return Err(format!("{} has gaps: {gaps:?}", state.stream));
            }
            if let Some(trouble) = state.health.trouble {
                return Err(format!("{} still has trouble: {trouble:?}", state.stream));
            }
        }
        let alerts = self.disk.alerts.lock().unwrap();
        let found = truth.iter().filter(|happening| happening.is_found).count();
        if alerts.len() != found {
            return Err(format!("{} alerts, {found} to be found", alerts.len()));
        }
        // The latest time at which a stream of a region was first asked for: what happened later is news.
        let mut sinces: BTreeMap<String, Timestamp> = BTreeMap::new();
        for state in self.states() {
            let since = state.since.ok_or_else(|| format!("{} was never asked for", state.stream))?;
            // What happened behind it is news, whatever our clock said then.
            let asked = self.asked.borrow().get(&state.stream).copied();
            if asked.is_none_or(|asked| since > asked) {
                return Err(format!("{} was first asked for at {asked:?}, and remembers {since}", state.stream));
            }
            let latest = sinces.entry(state.stream.region.clone()).or_insert(since);
            *latest = since.max(*latest);
        }
        for alert in alerts.values() {
            let (_, since) =
                sinces.iter().find(|(region, _)| Some(region.as_str()) == alert.region.as_deref()).unwrap();
            let is_old = alert.event_time < time(START - 2 * DAY);
            let is_backfill = alert.arrival == Arrival::Backfill;
            if is_old != is_backfill && (is_old || alert.event_time >= *since) {
                return Err(format!("an event at {} arrived as {}", alert.event_time, alert.arrival));
            }
        }
        Ok(())
    }
}

fn faults(chance: &mut fastrand::Rng) -> Faults {
    let mut some = |share: f64| if chance.u32(0..3) == 0 { share } else { 0.0 };
    let (throttled, unavailable, cut, token_lost) = (some(0.6), some(0.2), some(0.1), some(0.02));
    let denied = (chance.u32(0..6) == 0).then(|| "eu-west-1".to_owned());
    Faults { throttled, unavailable, cut, token_lost, denied, away: None }
}

/// A world with everything that can go wrong.
pub(crate) fn run(seed: u64, ledger: Ledger) -> Result<(), String> {
    let mut chance = fastrand::Rng::with_seed(seed ^ 0x5eed);
    let scenario = Scenario::new(seed, &mut chance, ledger);
    let world = &scenario.world;
    if chance.bool() {
        world.set_answers(true, (5_000, 400_000));
    }
    let may_skew = chance.u32(0..3) == 0;
    if chance.u32(0..4) == 0 {
        world.set_token_life(chance.i64(30..600) * SECOND);
    }
    let mut regions = Regions::default();
    let (mut pages, mut least) = (0, 0);
    let mut story = Vec::new();
    for _ in 0..chance.u32(2..8) {
        world.set_faults(faults(&mut chance));
        if may_skew {
            world.set_skew(
                *chance.choice(&[0, 3 * SECOND, -20 * SECOND, 10 * MINUTE, -10 * MINUTE, DAY, -DAY]).unwrap(),
            );
        }
        let dies_at = if chance.u32(0..3) == 0 { chance.i64(0..60) } else { -1 };
        let process = Process::new(Arc::clone(&scenario.disk), dies_at, chance.bool());
        let (before, calls) = (scenario.states(), world.calls());
        let from = world.true_now();
        let at_start = scenario.least_pages(&before, time(from));
        let outcome = scenario.pass(&process, &regions);
        scenario.check_ledger()?;
        match outcome {
            Err(error) if !process.is_dead() => return Err(format!("the pass failed: {error}")),
            // What the dead had read and not written down is read again: it counts for nobody.
            Err(_) => regions = Regions::default(),
            Ok(report) => {
                let after = world.calls();
                let (read, forced) = (after.pages - calls.pages, after.forced - calls.forced);
                let at_end = scenario.least_pages(&before, time(world.true_now()));
                pages += read;
                least += at_start.max(at_end) + forced;
                story.push(format!("{read} read, {at_start} to {at_end} needed, {forced} forced"));
                // A clock that turns out to be wrong costs a stream's first call.
                least += if may_skew { report.streams.len() as u64 } else { 0 };
            }
        }
        world.pass_time(chance.i64(MINUTE..2 * HOUR));
    }
    // The world goes quiet.
    world.set_faults(Faults::default());
    world.set_skew(0);
    world.set_token_life(HOUR);
    let end = START + 8 * HOUR + 17 * MINUTE;
    world.pass_time((end - world.true_now()).max(17 * MINUTE));
    let mut passes = 0;
    loop {
        let process = Process::new(Arc::clone(&scenario.disk), -1, false);
        let report = scenario.pass(&process, &regions).map_err(|error| error.to_string())?;
        scenario.check_ledger()?;
        passes += 1;
        if report.is_complete() {
            break;
        }
        if passes > 1000 {
            return Err("it never comes to an end".to_owned());
        }
    }
    scenario.check_truth()?;
    if pages * 10 > least * 11 {
        return Err(format!("{pages} pages read where {least} were needed: {}", story.join("; ")));
    }
    Ok(())
}

/// A world in which nothing goes wrong: every page is needed.
pub(crate) fn undisturbed(seed: u64) -> Result<(), String> {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut scenario = Scenario::new(seed, &mut chance, Ledger::Ours);
    scenario.options.max_pages = None;
    scenario.options.max_workers = 1;
    let world = &scenario.world;
    let regions = Regions::default();
    let rules = Rules::default();
    for _ in 0..4 {
        world.freeze(true);
        let (before, now) = (world.calls(), world.true_now());
        // Counted without the planner: from the end of what is covered to now, 50 a page, one page at least.
        let mut least = 0;
        for stream in &scenario.streams {
            let state = scenario.states().into_iter().find(|state| state.stream == *stream);
            let covered = state.and_then(|state| state.coverage.span());
            let from = covered.map_or(rules.history_begins(time(now)), |span| span.to);
            least += world.least_pages(stream, Interval::new(from, time(now + SECOND)), None);
        }
        let process = Process::new(Arc::clone(&scenario.disk), -1, false);
        let report = scenario.pass(&process, &regions).map_err(|error| error.to_string())?;
        let after = world.calls();
        if after.pages - before.pages != least || after.failed > 0 {
            return Err(format!("{} pages, {least} needed, {} failed", after.pages - before.pages, after.failed));
        }
        if after.first_pages - before.first_pages != scenario.streams.len() as u64 || !report.is_complete() {
            return Err(format!("{} walks", after.first_pages - before.first_pages));
        }
        scenario.check_ledger()?;
        world.freeze(false);
        world.pass_time(chance.i64(MINUTE..3 * HOUR));
    }
    Ok(())
}

/// One region denies, one stream is paused: the others are read, and the report says which were not and why.
pub(crate) fn barred() -> Result<(), String> {
    let mut chance = fastrand::Rng::with_seed(1);
    let mut scenario = Scenario::new(1, &mut chance, Ledger::Ours);
    scenario.options.max_workers = 1;
    scenario.streams = ["us-east-1/iam", "us-east-1/sts", "eu-west-1/iam", "eu-west-1/sts"]
        .map(|text| format!("000000000001/{text}.amazonaws.com").parse().unwrap())
        .to_vec();
    scenario.world.set_faults(Faults { denied: Some("eu-west-1".to_owned()), ..Faults::default() });
    let process = Process::new(Arc::clone(&scenario.disk), -1, false);
    let pause = Pause { at: time(START), by: "bob".to_owned(), reason: String::new() };
    process.pause_stream(&scenario.streams[1], Some(&pause)).unwrap();
    let report = scenario.pass(&process, &Regions::default()).map_err(|error| error.to_string())?;
    let shown: Vec<(bool, bool, u64, Option<&str>)> = report
        .streams
        .iter()
        .map(|stream| {
            let trouble = stream.trouble.as_ref().map(|trouble| trouble.message.as_str());
            (stream.complete, stream.paused, stream.failed_calls, trouble)
        })
        .collect();
    let denied = Some("access denied: cloudtrail:LookupEvents is not allowed (no policy allows it)");
    // The second stream of the region is not even tried.
    let expected =
        [(true, false, 0, None), (false, true, 0, None), (false, false, 1, denied), (false, false, 0, denied)];
    if shown != expected || report.is_complete() {
        return Err(format!("{shown:?}"));
    }
    let trouble = scenario.states().into_iter().filter(|state| state.health.trouble.is_some()).count();
    if trouble == 2 { Ok(()) } else { Err(format!("{trouble} streams remember their trouble")) }
}

/// A region that is away holds up the first pass for as long as patience lasts, and those behind it hardly. Since when it
/// cannot be read stays what it was, whatever hinders meanwhile.
pub(crate) fn away() -> Result<(), String> {
    let mut chance = fastrand::Rng::with_seed(1);
    let mut scenario = Scenario::new(1, &mut chance, Ledger::Ours);
    (scenario.options.max_workers, scenario.options.max_pages) = (1, None);
    scenario.streams = ["us-east-1/iam", "eu-west-1/iam", "eu-west-1/sts"]
        .map(|text| format!("000000000001/{text}.amazonaws.com").parse().unwrap())
        .to_vec();
    let (world, regions) = (&scenario.world, Regions::default());
    let away = Faults { away: Some("eu-west-1".to_owned()), ..Faults::default() };
    let denied = Faults { denied: Some("eu-west-1".to_owned()), ..Faults::default() };
    let mut seen = Vec::new();
    for faults in [away.clone(), denied, away.clone(), away, Faults::default()] {
        world.set_faults(faults);
        let began = world.true_now();
        let process = Process::new(Arc::clone(&scenario.disk), -1, false);
        let report = scenario.pass(&process, &regions).map_err(|error| error.to_string())?;
        let took = (world.true_now() - began) / SECOND;
        let trouble = report.streams[2].trouble.as_ref();
        seen.push((took, trouble.map(|trouble| (trouble.kind, trouble.since)), report.is_complete()));
        world.pass_time(MINUTE);
    }
    let [first, denied, second, third, last] = &seen[..] else { return Err(format!("{seen:?}")) };
    let since = first.1.map(|(_, since)| since);
    let kinds = [first, denied, second, third].map(|pass| pass.1.map(|(kind, _)| kind));
    let expected =
        [TroubleKind::Unavailable, TroubleKind::AccessDenied, TroubleKind::Unavailable, TroubleKind::Unavailable];
    let is_kept = [denied, second, third].iter().all(|pass| pass.1.map(|(_, since)| since) == since);
    // Where the last pass was answered, if only by a refusal, the next one is patient.
    let is_quick = first.0 >= 300 && second.0 >= 300 && third.0 <= 30;
    if kinds != expected.map(Some) || !is_kept || !is_quick || last.1.is_some() || !last.2 {
        return Err(format!("{seen:?}"));
    }
    Ok(())
}

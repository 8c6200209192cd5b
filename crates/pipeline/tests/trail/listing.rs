//! One world with a bucket that fills while it is read, several processes one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use event::decode::Limits;
use event::{Day, Timestamp};
use pipeline::alert::{Arrival, News, Occasion};
use pipeline::collect::TroubleKind;
use pipeline::coverage::{Coverage, Interval};
use pipeline::filter::{FilterConfig, Filters};
use pipeline::ingest::{Ingest, IngestError, Progress};
use pipeline::outbox::Routes;
use pipeline::report::Report;
use pipeline::source::Source;
use pipeline::state::{ObjectLedger, ObjectVersion, StateError};
use pipeline::suppress::Suppressions;
use pipeline::trail::bucket::Options;
use pipeline::trail::{BucketSource, Days, Found, Trail};
use testkit::memory::{Disk, Process};

use crate::queue::{REGISTRY, file, record, time};
use crate::world::{Faults, SECOND, START, Truth, World};

/// What remembers which objects were read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ledger {
    /// What ships.
    Ours,
    /// The usual mistake: everything up to the last key of a folder counts as read.
    LastKey,
}

struct LastKey<'p> {
    process: &'p Process,
    disk: Arc<Disk>,
}

impl ObjectLedger for LastKey<'_> {
    fn seen_objects(&self, objects: &[ObjectVersion]) -> Result<Vec<bool>, StateError> {
        let known = self.disk.objects.lock().unwrap();
        let folder = |location: &str| location.rsplit_once('/').unwrap().0.to_owned();
        let is_seen = |object: &ObjectVersion| {
            let last = known.keys().rfind(|known| folder(known) == folder(&object.location));
            last.is_some_and(|last| object.location <= *last)
        };
        Ok(objects.iter().map(is_seen).collect())
    }

    fn mark_objects(&self, objects: &[ObjectVersion], at: Timestamp) -> Result<(), StateError> {
        self.process.mark_objects(objects, at)
    }
}

struct Scenario {
    world: World,
    disk: Arc<Disk>,
    /// What lies in the bucket, by key.
    truth: BTreeMap<String, Vec<Truth>>,
    ledger: Ledger,
}

impl Scenario {
    /// CloudTrail delivers: out of order, sometimes the same event twice.
    fn deliver(&mut self, chance: &mut fastrand::Rng) {
        let kind = *chance.choice(&["CloudTrail", "CloudTrail", "CloudTrail", "CloudTrail-Digest"]).unwrap();
        let (account, region) = (chance.u32(1..3), *chance.choice(&["us-east-1", "eu-west-1"]).unwrap());
        let organization = if account == 2 { "o-exampleorgid/" } else { "" };
        let (day, name) = (chance.u32(25..32), chance.u32(0..100_000));
        let key = format!(
            "my/AWSLogs/{organization}{account:012}/{kind}/{region}/2026/03/{day}/{account:012}_{name:05}.json.gz"
        );
        let mut records = Vec::new();
        let mut truths = Vec::new();
        for _ in 0..chance.usize(0..5) {
            let number = chance.usize(0..500);
            // The same number is the same event.
            let (record, truth) = record(&mut fastrand::Rng::with_seed(number as u64), number);
            records.push(record);
            truths.push(truth);
        }
        self.world.put(&key, file(&records));
        if kind == "CloudTrail" {
            self.truth.insert(key, truths);
        }
    }

    fn pass(&self, process: &Process, threads: usize) -> Result<(Report, Found, Coverage), IngestError> {
        let last_key = LastKey { process, disk: Arc::clone(&self.disk) };
        let ledger: &dyn ObjectLedger = if self.ledger == Ledger::Ours { process } else { &last_key };
        let day = |text: &str| Day::parse(text).unwrap();
        let days = Days { first: day("2026-03-20"), last: day("2026-04-01") };
        let news = News { since: time(START - 10 * 3600 * SECOND), late: Duration::from_secs(1800) };
        let options = Options { news: Some(news), listers: threads, ..Options::default() };
        let trail = Trail { prefix: "my".to_owned(), ..Trail::default() };
        let mut source = BucketSource::new(Arc::new(self.world.clone()), ledger, trail, days, options);
        let report = Ingest {
            store: process,
            ledger: process,
            aside: process,
            clock: &self.world,
            registry: &REGISTRY,
            filters: &Filters::new(&FilterConfig::default()).unwrap(),
            suppressions: &Suppressions::default(),
            routes: &Routes::default(),
            proving: None,
            occasion: Occasion { now: time(START), arrival: Arrival::Live, run: None },
            limits: Limits::default(),
            threads,
            commit_every: if threads == 1 { Duration::from_secs(3600) } else { Duration::from_millis(1) },
            progress: &Progress::default(),
            on_problem: &|_| (),
            stop: &AtomicBool::new(false),
        }
        .run(&mut source)?;
        Ok((report, source.found().clone(), source.covered(time(START))))
    }

    /// What is claimed to be covered was read: every file that lies in the bucket.
    fn check_claim(&self, covered: &Coverage) -> Result<(), String> {
        let known = self.world.known(&self.disk);
        match self.truth.keys().find(|key| !known.contains(*key)) {
            Some(key) if !covered.is_empty() => Err(format!("{covered:?} is claimed, and {key} was not read")),
            _ => Ok(()),
        }
    }

    /// What counts as read is stored.
    fn check(&self) -> Result<(), String> {
        let stored = self.disk.events.lock().unwrap();
        for key in self.world.known(&self.disk) {
            if let Some(truth) = self.truth[&key].iter().find(|truth| !stored.contains_key(&truth.id)) {
                return Err(format!("{key} counts as read and {} is not stored", truth.id));
            }
        }
        Ok(())
    }
}

/// A world with everything that can go wrong.
pub(crate) fn run(seed: u64, ledger: Ledger) -> Result<(), String> {
    let mut chance = fastrand::Rng::with_seed(seed ^ 0xb0c4e7);
    let world = World::new(seed);
    let mut scenario = Scenario { world, disk: Arc::default(), truth: BTreeMap::new(), ledger };
    let threads = if seed % 8 == 7 { 3 } else { 1 };
    for _ in 0..chance.u32(1..6) {
        for _ in 0..chance.u32(0..12) {
            scenario.deliver(&mut chance);
        }
        let mut some = |share: f64| if chance.u32(0..3) == 0 { share } else { 0.0 };
        scenario.world.set_faults(Faults { call: some(0.2), cut: some(0.3), ..Faults::default() });
        let dies_at = if chance.u32(0..2) == 0 { chance.i64(0..60) } else { -1 };
        let process = Process::new(Arc::clone(&scenario.disk), dies_at, chance.bool());
        let outcome = scenario.pass(&process, threads);
        scenario.check()?;
        match outcome {
            Err(error) if !process.is_dead() => return Err(format!("the pass failed: {error}")),
            Err(_) => {}
            Ok((_, found, _)) if found.objects != found.known + found.left + found.to_read => {
                return Err(format!("counts do not add up: {found:?}"));
            }
            Ok((_, _, covered)) => scenario.check_claim(&covered)?,
        }
    }
    scenario.world.set_faults(Faults::default());
    let process = Process::new(Arc::clone(&scenario.disk), -1, false);
    let (_, found, covered) = scenario.pass(&process, threads).map_err(|error| error.to_string())?;
    scenario.check()?;
    scenario.check_claim(&covered)?;
    let all = Interval::new(Day::parse("2026-03-20").unwrap().start().unwrap(), time(START));
    // Without any log file nobody knows whether there is a trail.
    let expected: &[Interval] = if scenario.truth.is_empty() { &[] } else { &[all] };
    if covered.intervals() != expected {
        return Err(format!("{covered:?} is claimed of {} files", scenario.truth.len()));
    }
    let happened: BTreeMap<&str, bool> =
        scenario.truth.values().flatten().map(|truth| (truth.id.as_str(), truth.is_found)).collect();
    let stored: BTreeSet<String> = scenario.disk.events.lock().unwrap().keys().cloned().collect();
    if let Some(missing) = happened.keys().find(|id| !stored.contains(**id)) {
        return Err(format!("{missing} was not read"));
    }
    let alerts = scenario.disk.alerts.lock().unwrap();
    let found_events = happened.values().filter(|is_found| **is_found).count();
    if stored.len() != happened.len() || alerts.len() != found_events {
        return Err(format!("{} stored, {} happened, {} alerts", stored.len(), happened.len(), alerts.len()));
    }
    if !found.is_complete() || found.objects != scenario.truth.len() as u64 {
        return Err(format!("{found:?} of {} objects", scenario.truth.len()));
    }
    drop(alerts);
    // Once more: nothing is opened again.
    let reads = scenario.world.reads();
    let (report, found, _) = scenario.pass(&process, threads).map_err(|error| error.to_string())?;
    if scenario.world.reads() != reads || report.items != 0 || found.known != found.objects {
        return Err(format!("read again: {found:?}"));
    }
    Ok(())
}

/// What stands beside the log files is counted, and a bucket that cannot be listed is said to be so.
pub(crate) fn folders() {
    let world = World::new(0);
    for key in [
        "AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/30/a.json",
        "AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/30/",
        "AWSLogs/111122223333/CloudTrail/us-east-1/2026/02/28/too-old.json",
        "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/03/30/not-wanted.json",
        "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/03/30/d.json.gz",
        "AWSLogs/111122223333/CloudTrail-Insight/us-east-1/2026/03/30/i.json.gz",
        "AWSLogs/111122223333/Config/us-east-1/2026/3/30/c.json.gz",
        "AWSLogs/o-exampleorgid/444455556666/CloudTrail/us-east-1/2026/03/31/b.json",
        "AWSLogs/readme/x.txt",
    ] {
        world.put(key, file(&[]));
    }
    let day = |text: &str| Day::parse(text).unwrap();
    let trail = Trail { regions: ["us-east-1".to_owned()].into(), ..Trail::default() };
    let disk = Arc::<Disk>::default();
    let process = Process::new(disk, -1, false);
    for first in ["2026-03-01", "2026-03-30"] {
        let days = Days { first: day(first), last: day("2026-03-31") };
        let bucket = Arc::new(world.clone());
        let mut source = BucketSource::new(bucket, &process, trail.clone(), days, Options::default());
        let items = std::iter::from_fn(|| source.next_item()).map(|item| item.unwrap().name);
        let expected = [
            "s3://trail/AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/30/a.json",
            "s3://trail/AWSLogs/o-exampleorgid/444455556666/CloudTrail/us-east-1/2026/03/31/b.json",
        ];
        assert_eq!(items.collect::<Vec<_>>(), expected);
        let Found { accounts, regions, digests, insights, foreign, objects, left, failed, .. } = *source.found();
        assert_eq!((accounts, regions, digests, insights, foreign), (2, 2, 1, 1, 1));
        assert_eq!((objects, left, failed), (3, 1, 0));
    }
    world.set_faults(Faults { call: 1.0, ..Faults::default() });
    let days = Days { first: day("2026-03-30"), last: day("2026-03-31") };
    let mut source = BucketSource::new(Arc::new(world), &process, trail, days, Options::default());
    let unreadable = source.next_item().unwrap().unwrap_err();
    assert_eq!(unreadable.name, "s3://trail/AWSLogs/");
    assert!(source.next_item().is_none() && !source.found().is_complete());
    let kind = source.failure().unwrap().kind;
    assert!(matches!(kind, TroubleKind::Throttled | TroubleKind::Unavailable), "{kind:?}");
    assert!(source.covered(time(START)).is_empty());
}

//! Trails: their files as they lie in a bucket, or as a queue tells of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aws::{Access, Account, Aws, Role, TrailBucket, TrailQueue};
use event::{Day, Timestamp};
use local::state::SqliteState;
use local::{LakeStore, SystemTimer};
use pipeline::alert::{Arrival, News, Occasion};
use pipeline::collect::{Stream, StreamChange, StreamState, StreamStore, Timer, Trouble, TroubleKind};
use pipeline::history::{RunEnd, RunId};
use pipeline::ingest::{Ingest, Progress};
use pipeline::outbox::Routes;
use pipeline::proof::Proving;
use pipeline::report::{Problem, Report};
use pipeline::service::CallError;
use pipeline::state::{Ledger, StateStore, SuppressionStore};
use pipeline::store::Clock;
use pipeline::suppress::Suppressions;
use pipeline::trail::{Bucket, BucketSource, Consumer, Days, Found, QueueReport, Trail, bucket, queue};
use serde::Serialize;

use crate::commands::ingest::{fates, new_alerts, proofs};
use crate::config::{Config, TrailConfig};
use crate::exit::usage;
use crate::live::{Base, frugal, rules};
use crate::output::{count, plural};
use crate::proving::Keys;
use crate::tell::Secrets;

/// What stands in the place of an account where a trail is remembered among the streams.
const ACCOUNT: &str = "trail";
/// How often all days of a bucket are listed; the last two are at every pass.
const ALL_DAYS: Duration = Duration::from_secs(24 * 3600);
/// How long a queue is followed before what is remembered of it is renewed.
const FOLLOW: Duration = Duration::from_secs(300);
/// How soon a trail that failed is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// What a trail is remembered as, among the streams.
pub(crate) fn stream_of(trail: &TrailConfig) -> anyhow::Result<Stream> {
    Ok(Stream::new(ACCOUNT, trail.region.as_deref().unwrap_or("-"), &name_of(trail)?))
}

/// What trails are read with.
pub(crate) struct Reader<'a> {
    pub(crate) config: &'a Config,
    pub(crate) aws: Aws,
    /// How the secrets of AWS are reached.
    pub(crate) access: Access,
    pub(crate) base: &'a Base,
    pub(crate) state: &'a SqliteState,
    pub(crate) ledger: &'a dyn Ledger,
    pub(crate) routes: &'a Routes,
    pub(crate) progress: &'a Progress,
    pub(crate) stop: &'a Arc<AtomicBool>,
}

/// How far a trail is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// All days of a bucket; a queue until it is empty.
    Once,
    /// The last two days of a bucket.
    Recent,
    /// A queue for a while, so that what is remembered of it is never old, or until the program is to end.
    Follow,
}

/// What was read of a trail.
#[derive(Debug, Serialize)]
pub(crate) struct TrailReport {
    /// The bucket or the queue.
    pub(crate) name: String,
    /// What was found in the bucket.
    found: Option<Found>,
    /// What was done with the queue.
    queue: Option<QueueReport>,
    /// What became of all records.
    pub(crate) totals: Report,
    /// What could not be read or is damaged, and why; the first of many.
    pub(crate) problems: Vec<String>,
    /// Why not everything that there is was read, where it was not.
    pub(crate) trouble: Option<Trouble>,
}

impl TrailReport {
    /// The summary, as people read it.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut first = format!("{}: ", self.name);
        if let Some(found) = &self.found {
            let new = plural(found.to_read, "new object", "new objects");
            first.push_str(&format!(
                "{new} of {} in {}",
                count(found.objects),
                plural(found.days, "folder", "folders")
            ));
        }
        if let Some(queue) = &self.queue {
            let messages = &queue.messages;
            let received = plural(messages.received, "message", "messages");
            first.push_str(&format!("{received}, {} acknowledged", count(messages.acknowledged)));
            for (number, what) in [(messages.returned, "left to come again"), (messages.poison, "set aside")] {
                if number > 0 {
                    first.push_str(&format!(", {} {what}", count(number)));
                }
            }
        }
        let mut lines = vec![first, fates(&self.totals), new_alerts(&self.totals)];
        lines.extend(self.totals.proofs.as_ref().map(proofs));
        lines
    }
}

impl Reader<'_> {
    /// Reads what is new of a trail.
    pub(crate) fn read(&self, trail: &TrailConfig, how: How) -> anyhow::Result<TrailReport> {
        let name = name_of(trail)?;
        let timer = SystemTimer::new(Arc::clone(self.stop));
        let started = timer.now();
        let account = match self.account(trail) {
            Ok(account) => account,
            Err(error) => return self.unreachable(trail, name, started, &error),
        };
        let region = trail.region.clone().unwrap_or_else(|| TrailBucket::region_of(&account));
        let before = self.before(&stream_of(trail)?)?;
        let rules = rules(self.config);
        // A file comes minutes after what it tells of: nobody could have seen that before.
        let since = before.since.unwrap_or(started).micros() - i64::try_from(rules.settle.as_micros()).unwrap_or(0);
        let news = News { since: Timestamp::from_micros(since).unwrap_or(Timestamp::MIN), late: rules.late };
        let run = self.state.begin_run("trail", started)?;
        let outcome = match &trail.queue {
            Some(url) => self.queue(trail, &account, &region, url, how, news, run),
            None => self.bucket(trail, &account, &region, how, news, run),
        };
        let report = match outcome {
            Ok(report) => report,
            Err(error) => {
                crate::live::run_failed(self.state, run, &error);
                return Err(error);
            }
        };
        let end = RunEnd {
            at: timer.now(),
            exit_code: match &report.trouble {
                Some(_) => 4,
                None if report.totals.failed_objects > 0 => 4,
                None => i32::from(report.totals.has_rejections()) * 3,
            },
            records: report.totals.records(),
            unread: report.totals.unread(),
            alerts: report.totals.alerts.new,
            suppressed: report.totals.alerts.suppressed,
            error: None,
        };
        self.state.end_run(run, &end)?;
        self.remember(before, started, timer.now(), report.totals.stored, report.trouble.clone())?;
        Ok(report)
    }

    /// Whose credentials read it.
    fn account(&self, trail: &TrailConfig) -> anyhow::Result<Account> {
        let Some(arn) = &trail.role else { return Ok(self.aws.own()?) };
        let external_id = match &trail.external_id {
            None => None,
            Some(source) => {
                let secret = source.resolve(&Secrets::of(self.access.clone()));
                Some(secret.map_err(|error| usage(format!("[[trails]] external_id: {error}")))?.expose().to_owned())
            }
        };
        Ok(self.aws.assume(&Role { arn: arn.clone(), external_id })?)
    }

    fn store(&self) -> anyhow::Result<LakeStore> {
        Ok(LakeStore::new(&self.base.lake, frugal())?)
    }

    fn bucket(
        &self,
        trail: &TrailConfig,
        account: &Account,
        region: &str,
        how: How,
        news: News,
        run: RunId,
    ) -> anyhow::Result<TrailReport> {
        let name = trail.bucket.clone().unwrap_or_default();
        let timer = SystemTimer::new(Arc::clone(self.stop));
        let bucket: Arc<dyn Bucket> = Arc::new(TrailBucket::new(account, &name, region)?);
        let today = timer.now().day();
        let back = if how == How::Recent { 1 } else { i32::from(trail.days) };
        let days = Days { first: Day::from_days(today.days() - back), last: today };
        let layout = Trail {
            prefix: trail.prefix.clone(),
            accounts: trail.accounts.iter().cloned().collect::<BTreeSet<_>>(),
            regions: trail.regions.iter().cloned().collect(),
        };
        let examiner = self.base.keys.as_ref().map(Keys::examiner);
        let proving = examiner.as_ref().map(|examiner| Proving { examiner, store: self.state });
        let options = bucket::Options { digests: proving.is_some(), news: Some(news), ..bucket::Options::default() };
        let mut source = BucketSource::new(bucket, self.state, layout, days, options);
        let problems = std::sync::Mutex::new(Vec::new());
        let store = self.store()?;
        let suppressions = Suppressions::new(self.state.suppressions()?);
        let totals = Ingest {
            store: &store,
            ledger: self.ledger,
            aside: &self.base.aside,
            clock: &timer,
            registry: &self.base.registry,
            filters: &self.base.filters,
            suppressions: &suppressions,
            routes: self.routes,
            proving,
            occasion: Occasion { now: timer.now(), arrival: Arrival::Backfill, run: Some(run) },
            limits: self.config.limits.limits(),
            threads: usize::from(self.config.collect.max_workers.max(1)),
            commit_every: Duration::from_secs(u64::from(self.config.ingest.commit_seconds.max(1))),
            progress: self.progress,
            on_problem: &|problem: &Problem| keep(&problems, problem),
            stop: self.stop,
        }
        .run(&mut source)?;
        let found = source.found().clone();
        let mut problems = problems.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_read = found.is_complete() && totals.unreadable == 0;
        if !is_read && problems.is_empty() {
            problems.push(format!("{name}: {} could not be listed", plural(found.failed, "folder", "folders")));
        }
        // What kind of trouble it is stands in the words alone.
        let trouble =
            problems.first().filter(|_| !is_read).map(|problem| trouble(TroubleKind::Refused, problem, timer.now()));
        Ok(TrailReport { name, found: Some(found), queue: None, totals, problems, trouble })
    }

    #[expect(clippy::too_many_arguments, reason = "what one trail is read with")]
    fn queue(
        &self,
        trail: &TrailConfig,
        account: &Account,
        region: &str,
        url: &str,
        how: How,
        news: News,
        run: RunId,
    ) -> anyhow::Result<TrailReport> {
        let queue = TrailQueue::new(account, url, None)?;
        let mut buckets: Vec<Arc<dyn Bucket>> = Vec::new();
        if let Some(name) = &trail.bucket {
            buckets.push(Arc::new(TrailBucket::new(account, name, region)?));
        }
        let timer = SystemTimer::new(Arc::clone(self.stop));
        let problems = std::sync::Mutex::new(Vec::new());
        let store = self.store()?;
        let suppressions = Suppressions::new(self.state.suppressions()?);
        let options = queue::Options {
            commit_every: Duration::from_secs(u64::from(self.config.ingest.commit_seconds.max(1))),
            limits: self.config.limits.limits(),
            until_empty: how != How::Follow,
            ..queue::Options::default()
        };
        let examiner = self.base.keys.as_ref().map(Keys::examiner);
        let proving = examiner.as_ref().map(|examiner| Proving { examiner, store: self.state });
        let (over, done) = (AtomicBool::new(false), AtomicBool::new(false));
        let consumer = Consumer {
            queue: &queue,
            buckets: &buckets,
            objects: self.state,
            timer: &timer,
            store: &store,
            ledger: self.ledger,
            aside: &self.base.aside,
            registry: &self.base.registry,
            filters: &self.base.filters,
            suppressions: &suppressions,
            routes: self.routes,
            proving,
            run: Some(run),
            news,
            options: &options,
            progress: self.progress,
            on_problem: &|problem: &Problem| {
                if how == How::Follow {
                    crate::complain_of(&problem.name, &problem.reason);
                } else {
                    keep(&problems, problem);
                }
            },
            stop: &over,
        };
        let report = std::thread::scope(|scope| {
            scope.spawn(|| {
                let started = Instant::now();
                let is_over =
                    || self.stop.load(Ordering::Relaxed) || (how == How::Follow && started.elapsed() >= FOLLOW);
                while !done.load(Ordering::Relaxed) && !is_over() {
                    std::thread::sleep(Duration::from_millis(50));
                }
                over.store(true, Ordering::Relaxed);
            });
            let report = consumer.run();
            done.store(true, Ordering::Relaxed);
            report
        })?;
        let mut problems = problems.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(trouble) = &report.trouble {
            problems.push(format!("{}: {}", report.queue, trouble.with_advice()));
        }
        let (totals, trouble) = (report.totals.clone(), report.trouble.clone());
        Ok(TrailReport { name: name_of(trail)?, found: None, queue: Some(report), totals, problems, trouble })
    }

    /// What is remembered of a trail.
    fn before(&self, stream: &Stream) -> anyhow::Result<StreamState> {
        let known = self.state.streams()?.into_iter().find(|state| state.stream == *stream);
        Ok(known.unwrap_or_else(|| StreamState::new(stream.clone())))
    }

    fn remember(
        &self,
        before: StreamState,
        started: Timestamp,
        ended: Timestamp,
        stored: u64,
        trouble: Option<Trouble>,
    ) -> anyhow::Result<()> {
        let mut health = before.health;
        health.last_run = Some(started);
        health.events += stored;
        if trouble.is_none() {
            health.last_success = Some(ended);
        }
        let since = health.trouble.as_ref().map(|trouble| trouble.since);
        health.trouble = trouble.map(|trouble| Trouble { since: since.unwrap_or(trouble.since), ..trouble });
        let StreamState { stream, walks, .. } = before;
        let change = StreamChange { stream, since: Some(started), covered: Default::default(), walks, health };
        Ok(self.state.save_streams(&[change])?)
    }

    /// A trail that nobody's credentials reach: it is told and remembered, and stops nothing else.
    fn unreachable(
        &self,
        trail: &TrailConfig,
        name: String,
        started: Timestamp,
        error: &anyhow::Error,
    ) -> anyhow::Result<TrailReport> {
        let before = self.before(&stream_of(trail)?)?;
        let kind = match error.downcast_ref::<aws::AwsError>() {
            Some(aws::AwsError::Call { source, .. }) => TroubleKind::of(source),
            _ => TroubleKind::of(&CallError::Refused(String::new())),
        };
        let trouble = trouble(kind, &crate::chain(error), started);
        let problems = vec![format!("{name}: {}", trouble.with_advice())];
        self.remember(before, started, started, 0, Some(trouble.clone()))?;
        Ok(TrailReport { name, found: None, queue: None, totals: Report::default(), problems, trouble: Some(trouble) })
    }
}

/// Finds mistakes in the configuration of trails.
pub(crate) fn check(trails: &[TrailConfig]) -> anyhow::Result<()> {
    trails.iter().try_for_each(|trail| name_of(trail).map(|_| ()))
}

/// What a trail is called: the bucket that is listed, or the queue.
fn name_of(trail: &TrailConfig) -> anyhow::Result<String> {
    let name = match (&trail.queue, &trail.bucket) {
        (Some(url), _) => url.rsplit('/').next().unwrap_or_default(),
        (None, Some(bucket)) => bucket,
        (None, None) => return Err(usage("[[trails]]: each needs a bucket or a queue")),
    };
    let region = trail.region.as_deref().unwrap_or("-");
    match Stream::new(ACCOUNT, region, name).to_string().parse::<Stream>() {
        Ok(_) => Ok(name.to_owned()),
        Err(_) => Err(usage(format!("[[trails]]: {name:?} in {region:?} is no bucket and no queue"))),
    }
}

fn trouble(kind: TroubleKind, message: &str, now: Timestamp) -> Trouble {
    Trouble { kind, message: message.to_owned(), since: now, last: now }
}

/// The most problems that are kept for the end.
const PROBLEMS: usize = 20;

fn keep(problems: &std::sync::Mutex<Vec<String>>, problem: &Problem) {
    let mut problems = problems.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if problems.len() < PROBLEMS {
        problems.push(format!("{}: {}", problem.name, problem.reason));
    }
}

/// Reads a trail again and again, until the program is to end.
pub(crate) fn follow(reader: &Reader<'_>, trail: &TrailConfig, every: Duration) {
    let timer = SystemTimer::new(Arc::clone(reader.stop));
    let mut all_days: Option<Instant> = None;
    while !reader.stop.load(Ordering::Relaxed) {
        let how = match &trail.queue {
            Some(_) => How::Follow,
            None if all_days.is_none_or(|at| at.elapsed() >= ALL_DAYS) => How::Once,
            None => How::Recent,
        };
        let pause = match reader.read(trail, how) {
            Ok(report) => {
                if how == How::Once && report.trouble.is_none() {
                    all_days = Some(Instant::now());
                }
                for problem in &report.problems {
                    crate::complain(problem);
                }
                if report.totals.stored > 0 {
                    for line in report.lines() {
                        crate::complain(&line);
                    }
                }
                match (report.trouble.is_none(), how) {
                    (true, How::Follow) => Duration::ZERO,
                    (true, _) => every,
                    (false, _) => every.max(AGAIN),
                }
            }
            Err(error) => {
                crate::complain(&format!("a trail could not be read: {}", crate::chain(&error)));
                AGAIN
            }
        };
        timer.sleep(pause);
    }
}

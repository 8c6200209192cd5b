//! Trails: their files as they lie in a bucket, or as a queue tells of them.
//!
//! Read in this order: [`part`] (what is read of a trail, and what it is remembered as), [`Reader`] (once), [`follow()`]
//! (again and again).

mod follow;
mod part;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aws::{Access, Account, Aws, Role, TrailBucket, TrailQueue};
use event::{Day, Timestamp};
use local::state::SqliteState;
use local::{LakeStore, SystemTimer};
use pipeline::alert::{Arrival, News, Occasion};
use pipeline::collect::{Stream, StreamChange, StreamState, StreamStore, Trouble, TroubleKind};
use pipeline::coverage::{Coverage, Interval};
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

pub(crate) use self::follow::follow;
use self::part::{Part, Way, command_of, parts};
pub(crate) use self::part::{check, expected, is_command, is_trail, streams};

/// What stands in the place of an account where a trail is remembered among the streams.
const ACCOUNT: &str = "trail";
/// How often all days of a bucket are listed; the last two are at every pass.
const ALL_DAYS: Duration = Duration::from_secs(24 * 3600);
/// How long CloudTrail may take to deliver a file, at the most; about five minutes are usual.
const DELIVERY: Duration = Duration::from_secs(30 * 60);
/// How long a queue is followed before what is remembered of it is renewed.
const FOLLOW: Duration = Duration::from_secs(300);
/// How often it is looked whether somebody has paused a queue that is followed.
const LOOK: Duration = Duration::from_secs(5);

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
enum How {
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
    /// Whether somebody paused it, and so nothing was asked.
    pub(crate) paused: bool,
}

/// What was read of a trail, and what that covers.
struct Outcome {
    report: TrailReport,
    covered: Coverage,
    /// Whether nobody ended it before its end.
    to_its_end: bool,
}

impl TrailReport {
    /// Whether there is no use in asking again at once: what a queue brings may be read while some of it is not.
    fn is_barred(&self) -> bool {
        match &self.queue {
            Some(queue) => queue.trouble.is_some(),
            None => self.trouble.is_some(),
        }
    }

    /// The summary, as people read it.
    pub(crate) fn lines(&self) -> Vec<String> {
        if self.paused {
            return vec![format!("{}: paused", self.name)];
        }
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
    /// Reads what is new of all trails once: queues until they are empty, buckets whose listing is due.
    pub(crate) fn read_all(&self, trails: &[TrailConfig]) -> anyhow::Result<Vec<TrailReport>> {
        let mut reports = Vec::new();
        for part in parts(trails)? {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            if part.way != Way::DailyListing || self.is_listing_due(&part)? {
                reports.push(self.read(&part, How::Once)?);
            }
        }
        Ok(reports)
    }

    /// Whether the last complete listing was begun a day ago.
    fn is_listing_due(&self, part: &Part<'_>) -> anyhow::Result<bool> {
        let listed = self.before(&part.stream)?.coverage.span();
        let now = SystemTimer::new(Arc::clone(self.stop)).now();
        Ok(listed.is_none_or(|listed| Interval::new(listed.to, now).duration() >= ALL_DAYS + DELIVERY))
    }

    /// Reads what is new of a part of a trail.
    fn read(&self, part: &Part<'_>, how: How) -> anyhow::Result<TrailReport> {
        let Part { trail, stream, .. } = part;
        let name = part.name().to_owned();
        let timer = SystemTimer::new(Arc::clone(self.stop));
        let started = timer.now();
        let before = self.before(stream)?;
        if before.pause.is_some() {
            let totals = Report::default();
            let (problems, trouble) = (Vec::new(), None);
            return Ok(TrailReport { name, found: None, queue: None, totals, problems, trouble, paused: true });
        }
        let account = match self.account(trail) {
            Ok(account) => account,
            Err(error) => return self.unreachable(before, name, started, &error),
        };
        let region = trail.region.clone().unwrap_or_else(|| TrailBucket::region_of(&account));
        let rules = rules(self.config);
        // A clock that was ahead the first time must not make backfill of what is news. And a file comes minutes after what
        // it tells of: nobody could have seen that before.
        let since = before.since.map_or(started, |since| since.min(started));
        let since = since.micros() - i64::try_from(rules.settle.as_micros()).unwrap_or(0);
        let news = News { since: Timestamp::from_micros(since).unwrap_or(Timestamp::MIN), late: rules.late };
        // By its name: a trail that is read must not hide that another is not.
        let run = self.state.begin_run(&command_of(stream), started)?;
        let outcome = match (&trail.queue, part.way) {
            (Some(url), Way::Queue) => self.queue(part, &account, &region, url, how, news, run),
            _ => self.bucket(trail, &account, &region, how, news, run, started),
        };
        let Outcome { report, covered, to_its_end } = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                crate::live::run_failed(self.state, run, &error);
                // A name that is none is this trail's trouble; a store that fails is everybody's.
                return match error.downcast_ref::<aws::AwsError>() {
                    Some(_) => self.unreachable(before, name, started, &error),
                    None => Err(error),
                };
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
        let ended = Some(timer.now()).filter(|_| to_its_end && report.trouble.is_none());
        self.remember(before, started, ended, covered, &report.totals, report.trouble.clone())?;
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

    #[expect(clippy::too_many_arguments, reason = "what one trail is read with")]
    fn bucket(
        &self,
        trail: &TrailConfig,
        account: &Account,
        region: &str,
        how: How,
        news: News,
        run: RunId,
        started: Timestamp,
    ) -> anyhow::Result<Outcome> {
        let name = trail.bucket.clone().unwrap_or_default();
        let timer = SystemTimer::new(Arc::clone(self.stop));
        let bucket: Arc<dyn Bucket> = Arc::new(TrailBucket::new(account, &name, region)?);
        let today = started.day();
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
        let trouble = source.failure().map(|failure| trouble(failure.kind, &failure.message, timer.now()));
        if let Some(trouble) = &trouble
            && let Some(advice) = trouble.kind.advice()
        {
            problems.push(format!("{name}: {advice}"));
        }
        let delivered = started.micros() - i64::try_from(DELIVERY.as_micros()).unwrap_or(i64::MAX);
        let covered = source.covered(Timestamp::from_micros(delivered).unwrap_or(Timestamp::MIN));
        let to_its_end = !totals.interrupted;
        let report = TrailReport { name, found: Some(found), queue: None, totals, problems, trouble, paused: false };
        Ok(Outcome { report, covered, to_its_end })
    }

    #[expect(clippy::too_many_arguments, reason = "what one trail is read with")]
    fn queue(
        &self,
        part: &Part<'_>,
        account: &Account,
        region: &str,
        url: &str,
        how: How,
        news: News,
        run: RunId,
    ) -> anyhow::Result<Outcome> {
        let queue = TrailQueue::new(account, url, None)?;
        let mut buckets: Vec<Arc<dyn Bucket>> = Vec::new();
        if let Some(name) = &part.trail.bucket {
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
                let mut looked = started;
                let is_over =
                    || self.stop.load(Ordering::Relaxed) || (how == How::Follow && started.elapsed() >= FOLLOW);
                while !done.load(Ordering::Relaxed) && !is_over() {
                    std::thread::sleep(Duration::from_millis(50));
                    if looked.elapsed() >= LOOK {
                        looked = Instant::now();
                        if self.before(&part.stream).is_ok_and(|state| state.pause.is_some()) {
                            break;
                        }
                    }
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
        // A queue that is read and brings nothing that can be read is no trail that is read.
        let (totals, trouble) = (report.totals.clone(), report.trouble.clone().or_else(|| report.unread.clone()));
        let name = part.name().to_owned();
        let report = TrailReport { name, found: None, queue: Some(report), totals, problems, trouble, paused: false };
        // A queue has no end.
        Ok(Outcome { report, covered: Coverage::default(), to_its_end: true })
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
        ended: Option<Timestamp>,
        covered: Coverage,
        totals: &Report,
        trouble: Option<Trouble>,
    ) -> anyhow::Result<()> {
        let mut health = before.health;
        health.last_run = Some(started);
        health.events += totals.stored;
        health.last_event = health.last_event.max(totals.newest);
        health.last_success = ended.or(health.last_success);
        health.trouble = trouble.map(|trouble| trouble.continued(health.trouble.as_ref()));
        let StreamState { stream, walks, .. } = before;
        let change = StreamChange { stream, since: Some(started), covered, walks, health };
        Ok(self.state.save_streams(&[change])?)
    }

    /// A trail that nobody's credentials reach: it is told and remembered, and stops nothing else.
    fn unreachable(
        &self,
        before: StreamState,
        name: String,
        started: Timestamp,
        error: &anyhow::Error,
    ) -> anyhow::Result<TrailReport> {
        let kind = match error.downcast_ref::<aws::AwsError>() {
            Some(aws::AwsError::Call { source, .. }) => TroubleKind::of(source),
            _ => TroubleKind::of(&CallError::Refused(String::new())),
        };
        let trouble = trouble(kind, &crate::chain(error), started);
        let problems = vec![format!("{name}: {}", trouble.with_advice())];
        let totals = Report::default();
        self.remember(before, started, None, Coverage::default(), &totals, Some(trouble.clone()))?;
        let trouble = Some(trouble);
        Ok(TrailReport { name, found: None, queue: None, totals, problems, trouble, paused: false })
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

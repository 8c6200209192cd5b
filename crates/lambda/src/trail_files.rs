//! Days straight from the trail's files to the lake: where the event history is too slow, or does not reach back to.
//!
//! A day is read from its folders, in every account and in the regions that the tracker reads, and what is no identity event
//! is left out, as the tracker leaves it out. The lake drops what it has, so a day that is read again changes nothing; no
//! alert comes of it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws::{Aws, TrailBucket};
use detect::{DetectConfig, Registry};
use event::decode::Limits;
use event::{Day, Timestamp};
use lake::{Codec, Lake, LakeError, Place, WriterOptions};
use local::{LakeStore, SystemClock};
use pipeline::alert::{Alert, Arrival, Occasion};
use pipeline::collect::Partition;
use pipeline::filter::Filters;
use pipeline::ingest::{Ingest, IngestError, Progress};
use pipeline::outbox::Routes;
use pipeline::report::{Problem, Report};
use pipeline::state::{Ledger, ObjectLedger, ObjectVersion, Recorded, StateError};
use pipeline::store::Clock;
use pipeline::suppress::Suppressions;
use pipeline::trail::bucket::Options;
use pipeline::trail::{Bucket, BucketSource, Days, Trail};

use serde_json::{Value, json};

use crate::aside::LogAside;
use crate::runtime::Failure;
use crate::settings::{Settings, TrailPart};

/// How long events may wait for a commit: what waits is in memory, and each commit is a file a day.
const COMMIT_EVERY: Duration = Duration::from_secs(120);
/// Files that are read at once: most of the time is spent waiting for S3.
const THREADS: usize = 8;
/// What one file may cost. CloudTrail's are of some megabytes at most.
const LIMITS: Limits = Limits { inflated: 256 << 20, record: 4 << 20, depth: 100 };
/// The most days that an invocation may ask for.
const MOST_DAYS: i64 = 3660;
/// The most problems that an answer names.
const NAMED_MAX: usize = 20;

/// The bucket of a trail.
pub(crate) struct TrailFiles {
    bucket: Arc<dyn Bucket>,
    /// What of it is read, and what of that is kept.
    parts: Vec<(Trail, Filters)>,
    codec: Codec,
    read: Read,
}

/// What became of a day.
struct TrailDay {
    sum: Sum,
    interrupted: bool,
    /// What could not be read; not more than are worth naming.
    problems: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
enum TrailError {
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error(transparent)]
    Ingest(#[from] IngestError),
}

impl TrailFiles {
    /// The bucket that the environment names, if it names one.
    pub(crate) fn open(settings: &Settings, aws: &Aws) -> Result<Option<TrailFiles>, Failure> {
        let Some(name) = settings.export.logs_bucket.as_deref() else { return Ok(None) };
        let configuration = |error: &dyn std::fmt::Display| Failure::new("Configuration", error);
        let global = Partition::of_region(&std::env::var("AWS_REGION").unwrap_or_default()).global_region();
        let mut parts = Vec::new();
        for TrailPart { regions, filter } in settings.trail_parts(global).map_err(|error| configuration(&error))? {
            let filters = Filters::new(&filter).map_err(|error| configuration(&error))?;
            parts.push((Trail { regions, ..Trail::default() }, filters));
        }
        let account = aws.unnamed();
        let bucket = TrailBucket::new(&account, name, &TrailBucket::region_of(&account));
        let bucket: Arc<dyn Bucket> = Arc::new(bucket.map_err(|error| Failure::new("Access", error))?);
        Ok(Some(TrailFiles { bucket, parts, codec: settings.export.codec, read: Read::default() }))
    }

    /// Exports the days of `{"from": DAY, "to": DAY}`. Where the time is up before, the answer says which day is `next`.
    pub(crate) fn run(&self, place: &Place, asked: &Value, stop: &AtomicBool) -> Result<Value, Failure> {
        let started = Instant::now();
        let days = days_of(asked).ok_or_else(|| {
            let wanted = "are no days, one behind the other";
            Failure::new("Event", format!("\"from\" and \"to\" {wanted}, {MOST_DAYS} at most: {asked}"))
        })?;
        let lake = Lake::open_or_create(place).map_err(|error| Failure::new("Export", error))?;
        let (mut sum, mut errors) = (Sum::default(), Vec::new());
        let mut next = None;
        for day in days.iter() {
            // A day that was begun is the next one, too.
            let is_over = stop.load(Ordering::Relaxed)
                || match self.export(&lake, day, stop) {
                    Ok(TrailDay { sum: found, interrupted, problems }) => {
                        tracing::info!(%day, files = found.files, events = found.read, stored = found.stored, "exported");
                        sum.days += u64::from(problems.is_empty() && !interrupted);
                        sum.add(&found);
                        errors.extend(problems.iter().map(|problem| format!("{day}: {problem}")));
                        if found.rejected > 0 {
                            errors.push(format!("{day}: {} records are no events: the log says why", found.rejected));
                        }
                        interrupted
                    }
                    Err(error) => {
                        tracing::error!(%day, %error, "the day was not exported");
                        errors.push(format!("{day}: {error}"));
                        false
                    }
                };
            if is_over {
                next = Some(day.to_string());
                break;
            }
        }
        let summary = json!({
            "statusCode": if errors.is_empty() { 200 } else { 500 },
            "days": sum.days,
            "files": sum.files,
            "events_read": sum.read,
            "events_stored": sum.stored,
            "duplicates": sum.duplicates,
            "variants": sum.variants,
            "filtered": sum.filtered,
            "rejected": sum.rejected,
            "execution_time_seconds": (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
            "errors": errors,
            "next": next,
            "complete": next.is_none() && errors.is_empty(),
        });
        tracing::info!(summary = %summary, "done");
        if errors.is_empty() { Ok(summary) } else { Err(Failure::new("Incomplete", summary)) }
    }

    /// Brings what the files of a day hold to the lake, as far as there is time. What was read by then is not read again,
    /// as long as the function stays.
    fn export(&self, lake: &Lake, day: Day, stop: &AtomicBool) -> Result<TrailDay, TrailError> {
        self.read.begin(day);
        let mut found = TrailDay { sum: Sum::default(), interrupted: false, problems: Vec::new() };
        for (trail, filters) in &self.parts {
            let problems = &mut found.problems;
            let report = self.export_part(lake, day, trail, filters, problems, stop)?;
            found.sum.add(&Sum::of(&report));
            found.interrupted = report.interrupted;
            if report.interrupted {
                break;
            }
        }
        Ok(found)
    }

    fn export_part(
        &self,
        lake: &Lake,
        day: Day,
        trail: &Trail,
        filters: &Filters,
        problems: &mut Vec<String>,
        stop: &AtomicBool,
    ) -> Result<Report, TrailError> {
        let store = LakeStore::new(lake, WriterOptions { codec: self.codec, ..WriterOptions::default() })?;
        let problems = Mutex::new(problems);
        let ingest = Ingest {
            store: &store,
            ledger: &self.read,
            aside: &LogAside,
            clock: &SystemClock,
            registry: &nothing(),
            filters,
            suppressions: &Suppressions::default(),
            routes: &Routes::default(),
            proving: None,
            occasion: Occasion { now: SystemClock.now(), arrival: Arrival::Backfill, run: None },
            limits: LIMITS,
            threads: THREADS,
            commit_every: COMMIT_EVERY,
            progress: &Progress::default(),
            on_problem: &|Problem { name, reason }| {
                tracing::warn!(object = name, reason, "cannot be read");
                let mut problems = problems.lock().unwrap_or_else(PoisonError::into_inner);
                if problems.len() < NAMED_MAX {
                    problems.push(format!("{name}: {reason}"));
                }
            },
            stop,
        };
        let (bucket, days) = (Arc::clone(&self.bucket), Days { first: day, last: day });
        let mut source = BucketSource::new(bucket, &self.read, trail.clone(), days, Options::default());
        Ok(ingest.run(&mut source)?)
    }
}

/// The first and the last day that are asked for.
fn days_of(asked: &Value) -> Option<Days> {
    let day = |name: &str| Day::parse(asked[name].as_str()?);
    let days = Days { first: day("from")?, last: day("to")? };
    let number = i64::from(days.last.days()) - i64::from(days.first.days()) + 1;
    (1..=MOST_DAYS).contains(&number).then_some(days)
}

/// What became of all days.
#[derive(Debug, Default)]
struct Sum {
    /// Those that were read to their end.
    days: u64,
    files: u64,
    /// The sum of the five below.
    read: u64,
    stored: u64,
    duplicates: u64,
    variants: u64,
    filtered: u64,
    rejected: u64,
}

impl Sum {
    fn of(report: &Report) -> Sum {
        Sum {
            days: 0,
            files: report.items,
            read: report.read,
            stored: report.stored,
            duplicates: report.duplicates,
            variants: report.variants,
            filtered: report.left_out(),
            rejected: report.rejected,
        }
    }

    fn add(&mut self, other: &Sum) {
        self.days += other.days;
        self.files += other.files;
        self.read += other.read;
        self.stored += other.stored;
        self.duplicates += other.duplicates;
        self.variants += other.variants;
        self.filtered += other.filtered;
        self.rejected += other.rejected;
    }
}

/// No detection at all: what the trail's files hold was judged when it happened.
fn nothing() -> Registry {
    let disabled = detect::all().iter().map(|detection| detection.id.to_owned()).collect();
    Registry::new(&DetectConfig { disabled, ..DetectConfig::default() }).unwrap_or_default()
}

/// The objects of the day that is being read.
#[derive(Debug, Default)]
struct Read(Mutex<(Option<Day>, HashSet<ObjectVersion>)>);

impl Read {
    /// Forgets the objects of other days.
    fn begin(&self, day: Day) {
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if read.0 != Some(day) {
            *read = (Some(day), HashSet::new());
        }
    }
}

impl ObjectLedger for Read {
    fn seen_objects(&self, objects: &[ObjectVersion]) -> Result<Vec<bool>, StateError> {
        let read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(objects.iter().map(|object| read.1.contains(object)).collect())
    }

    fn mark_objects(&self, objects: &[ObjectVersion], _: Timestamp) -> Result<(), StateError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.extend(objects.iter().cloned());
        Ok(())
    }
}

impl Ledger for Read {
    fn record_alerts(&self, _: &[Alert], _: &Routes) -> Result<Recorded, StateError> {
        Ok(Recorded::default())
    }
}

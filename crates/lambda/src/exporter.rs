//! `exporter`: whole days from the table of events to the lake on S3, or to plain Parquet in the classic layout.
//!
//! Which days: those that the table of exports says were written to and not exported since, however old; the last few in any
//! case; and, where nothing was exported to this place yet, every day that has an event. Exporting a day again changes
//! nothing: the lake drops what it has, and a file of the classic layout with the same events has the same bytes. What was
//! exported stays when its items' time is over: the lake has it, and a file of the classic layout keeps its rows.
//!
//! It reads page by page and stops before its time is up; the next invocation goes on within the day. A day that cannot be
//! exported fails the invocation, with the others exported.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aws::{Access, Aws, EventTable, ExportTable, Exported, Position, Stored};
use event::{Day, Event, Timestamp};
use lake::{ClassicFormat, ExportOptions, Lake, LakeError, Place, Variant, Writer, WriterOptions};
use local::SystemClock;
use pipeline::aside::{Aside, Rejection, VariantCopy};
use pipeline::service::CallError;
use pipeline::state::StateError;
use pipeline::store::Clock;
use serde_json::{Value, json};

use crate::aside::LogAside;
use crate::metrics;
use crate::runtime::{Failure, Function, Time};
use crate::settings::{Layout, Settings};
use crate::tracker::tables;
use crate::trail_files::TrailFiles;

/// Where the lake and the classic files lie in the bucket. The function's role may write nowhere else.
const LAKE: &str = "lake";
const CLASSIC: &str = "iam-events";
/// How long after a day was noted as written to its events are all there to be read: no function lives longer, and a read may
/// be a moment behind.
const SETTLED: Duration = Duration::from_secs(20 * 60);
/// Where nothing was exported yet, days are looked for until so many in a row have no event, and no further back than this.
const EMPTY_DAYS: i32 = 100;
const OLDEST: i32 = 3660;
/// How many days that were found are noted at once.
const NOTED: usize = 50;
/// The most days that an invocation may ask for.
const MOST_DAYS: u64 = 3660;
/// After so many days in a row that cannot be exported the others are not tried.
const FAILURES: usize = 3;
/// How long files of the lake that were replaced stay for those who are reading them.
const KEPT: Duration = Duration::from_secs(7 * 86_400);

/// The function, as it stays from one invocation to the next.
pub struct Exporter {
    settings: Settings,
    events: EventTable,
    exports: ExportTable,
    target: Target,
    /// The trail's bucket, where there is one.
    trail: Option<TrailFiles>,
}

/// Where it exports to.
enum Target {
    Lake(Place),
    Classic(Place),
}

/// What is known of an export: what was read, and what became of it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Tally {
    days: u64,
    /// The sum of the next four.
    read: u64,
    stored: u64,
    duplicates: u64,
    variants: u64,
    rejected: u64,
    /// Bytes that were written.
    bytes: u64,
}

/// What became of a day.
struct Exporting {
    tally: Tally,
    /// The event that was read last, where the time was up before the day's end.
    stopped: Option<String>,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Read(#[from] CallError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error("{0} events were read and {1} are accounted for")]
    Counts(u64, u64),
    #[error("it does not fit into one invocation: give the function more memory, or export to a lake")]
    TooLong,
    #[error(
        "PARTITION_BY_REGION has changed, and {file} is of the other form: who reads {place} would count each event twice. \
         Set PartitionByRegion back, or move the files that are there to another place first"
    )]
    OtherForm { file: String, place: String },
}

impl Exporter {
    /// Sets everything up by the environment.
    ///
    /// # Errors
    /// [`Failure`]: a variable says what it cannot mean, or there are no credentials.
    pub fn open(stop: &Arc<AtomicBool>) -> Result<Exporter, Failure> {
        let configuration = |error: &dyn std::fmt::Display| Failure::new("Configuration", error);
        let settings = Settings::read().map_err(|error| configuration(&error))?;
        let bucket = settings.export.bucket.as_deref();
        let bucket = bucket.ok_or_else(|| configuration(&"ANALYTICS_BUCKET_NAME is not set"))?;
        let access = |error: &dyn std::fmt::Display| Failure::new("Access", error);
        let aws = Aws::open(&Access::default(), Some(Arc::clone(stop))).map_err(|error| access(&error))?;
        let tables = tables(&settings, &aws)?;
        let store = aws.unnamed().object_store(bucket, None).map_err(|error| access(&error))?;
        let place = |prefix| Place::bucket(store, &format!("s3://{bucket}"), prefix);
        let target = match settings.export.layout {
            Layout::Delta => Target::Lake(place(LAKE)),
            Layout::Classic => Target::Classic(place(CLASSIC)),
        };
        let trail = TrailFiles::open(&settings, &aws)?;
        Ok(Exporter { events: tables.events(None), exports: tables.exports(), target, trail, settings })
    }

    /// The lake, and what the table of exports calls the place that is exported to.
    fn destination(&self) -> Result<(Option<Lake>, String), Error> {
        match &self.target {
            Target::Lake(place) => {
                let lake = Lake::open_or_create(place)?;
                let name = format!("delta {}", lake.id());
                Ok((Some(lake), name))
            }
            Target::Classic(place) => {
                let parts = if self.settings.export.by_region { "regions" } else { "days" };
                Ok((None, format!("classic {parts} {}", place.name())))
            }
        }
    }

    /// What was exported to this place. To one that nothing was exported to yet goes every day that has an event; the search
    /// for them, too, goes on at the next invocation where the time was up.
    fn known(&self, destination: &str, now: Timestamp, stop: &AtomicBool) -> Result<Exported, Error> {
        let today = now.day().days();
        let mut known = self.exports.read()?;
        if known.lake.as_deref() != Some(destination) {
            if let Target::Classic(place) = &self.target
                && let Some(file) = self.classic_format().other_form(place)?
            {
                return Err(Error::OtherForm { file, place: place.name() });
            }
            self.exports.begin(destination, &known, Day::from_days(today - 1))?;
            known = self.exports.read()?;
        }
        let Some(mut next) = known.search else { return Ok(known) };
        let settled = Timestamp::from_micros(now.micros() - 2 * SETTLED.as_micros() as i64).unwrap_or(now);
        let (mut found, mut empty) = (Vec::new(), 0);
        while empty < EMPTY_DAYS && today - next.days() <= OLDEST && !stop.load(Ordering::Relaxed) {
            if self.events.has_any(next)? {
                empty = 0;
                found.extend((!known.changed.contains_key(&next)).then_some((next, settled)));
            } else {
                empty += 1;
            }
            next = Day::from_days(next.days() - 1);
            if found.len() == NOTED {
                self.exports.searched(&found, Some(next))?;
                found.clear();
            }
        }
        let is_over = empty == EMPTY_DAYS || today - next.days() > OLDEST;
        self.exports.searched(&found, Some(next).filter(|_| !is_over))?;
        Ok(self.exports.read()?)
    }

    /// Brings a day's events to the lake, as far as there is time. What was read before a failure is not counted.
    fn export(&self, lake: &Lake, day: Day, from: Option<&str>, stop: &AtomicBool) -> Result<Exporting, Error> {
        // One for each day: its ids are not needed any more when it is done, and what a failure left in it is not either.
        let writer = lake.writer(WriterOptions { codec: self.settings.export.codec, ..WriterOptions::default() })?;
        let (mut tally, mut stopped) = (Tally { days: 1, ..Tally::default() }, None);
        self.events.of_day_after(day, from, &mut |events| -> Result<_, Error> {
            append(&writer, &events, &mut tally)?;
            fail::fail_point!("lambda::after-page");
            // A page may have no events, only parts of records: the day goes on behind it.
            if let (true, Some(last)) = (stop.load(Ordering::Relaxed), events.last()) {
                stopped = Some(last.id.clone());
                return Ok(ControlFlow::Break(()));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let committed = writer.commit()?;
        let late = committed.late_duplicates + committed.late_variants.len() as u64;
        tally.stored -= late;
        tally.duplicates += committed.late_duplicates;
        tally.variants += committed.late_variants.len() as u64;
        tell(&committed.late_variants);
        tally.bytes = committed.bytes;
        let counted = tally.stored + tally.duplicates + tally.variants + tally.rejected;
        if counted != tally.read {
            return Err(Error::Counts(tally.read, counted));
        }
        Ok(Exporting { tally, stopped })
    }

    /// Writes a day's files of the classic layout, by way of a lake of that day alone on this machine: so the files are made
    /// by the same code, in the same order, and need as little memory.
    fn export_classic(&self, place: &Place, day: Day, stop: &AtomicBool) -> Result<Exporting, Error> {
        let scratch = Scratch::new(day);
        let lake = Lake::open_or_create(&scratch.0)?;
        let mut exporting = self.export(&lake, day, None, stop)?;
        if exporting.stopped.is_some() {
            return Ok(exporting);
        }
        let written = lake.export_classic_as(place, &ExportOptions::default(), self.classic_format())?;
        exporting.tally.bytes = written.bytes_written;
        if written.kept > 0 {
            tracing::info!(%day, events = written.kept, "the files keep events that the table no longer has");
        }
        Ok(exporting)
    }

    /// An item's time may be over: a file keeps the rows whose events the table no longer has.
    fn classic_format(&self) -> ClassicFormat {
        let settings = &self.settings.export;
        ClassicFormat { by_region: settings.by_region, codec: settings.codec, keeps_rows: true }
    }

    fn day(&self, lake: Option<&Lake>, day: Day, from: Option<&str>, stop: &AtomicBool) -> Result<Exporting, Error> {
        match (&self.target, lake) {
            (Target::Classic(place), _) => self.export_classic(place, day, stop),
            (Target::Lake(_), Some(lake)) => self.export(lake, day, from, stop),
            (Target::Lake(place), None) => Err(LakeError::NotFound { path: place.name() }.into()),
        }
    }

    /// Exports what there is to export. Returns what was done, what failed, and how many days are left.
    fn run(&self, asked: usize, stop: &AtomicBool) -> Result<(Tally, Vec<String>, usize), Error> {
        let now = SystemClock.now();
        let (lake, destination) = self.destination()?;
        let (mut sum, mut errors) = (Tally::default(), Vec::new());
        let known = self.known(&destination, now, stop)?;
        let days = plan(&known, now.day(), self.settings.export.days_back, asked);
        // A search that is not over counts as one: nobody knows yet.
        let mut left = days.len() + usize::from(known.search.is_some());
        let mut in_a_row = 0;
        for day in days {
            if stop.load(Ordering::Relaxed) || in_a_row == FAILURES {
                break;
            }
            let position = known.position.as_ref().filter(|position| position.day == day && lake.is_some());
            let (changed, events) = (known.changed.contains_key(&day), known.days.get(&day));
            tracing::debug!(%day, changed, events, goes_on = position.is_some(), "the day is due");
            // What was written since may lie before the position that an earlier invocation came to.
            let began = position.map_or_else(|| Some(SystemClock.now()), |position| position.began);
            let exported = self.day(lake.as_ref(), day, position.map(|position| position.id.as_str()), stop);
            let before = position.map_or(0, |position| position.events);
            let remembered = exported.and_then(|Exporting { tally, stopped }| {
                let events = before + tally.read;
                match stopped {
                    None => {
                        let noted = known.changed.get(&day).copied();
                        let noted = noted.filter(|noted| began.is_some_and(|began| is_settled(*noted, began)));
                        self.exports.exported(day, events, noted)?;
                        Ok((tally, true))
                    }
                    Some(id) if lake.is_some() => {
                        self.exports.stopped(&Position { day, id, events, began })?;
                        Ok((tally, false))
                    }
                    // It began with this invocation and did not come to its end: neither will it next time.
                    Some(_) if sum.days == 0 => Err(Error::TooLong),
                    Some(_) => Ok((Tally::default(), false)),
                }
            });
            match remembered {
                Ok((tally, is_done)) => {
                    tracing::info!(%day, events = tally.read, stored = tally.stored, bytes = tally.bytes, is_done, "exported");
                    sum.add(&tally, is_done);
                    left -= usize::from(is_done);
                    in_a_row = 0;
                }
                Err(error) => {
                    tracing::error!(%day, %error, "the day was not exported");
                    errors.push(format!("{day}: {error}"));
                    in_a_row += 1;
                }
            }
        }
        if sum.rejected > 0 {
            errors.push(format!("{} items of the table are no events: the log says why", sum.rejected));
        }
        if let (Some(lake), true) = (&lake, left == 0 && sum.stored > 0)
            && let Err(error) = lake.vacuum(KEPT)
        {
            tracing::warn!(%error, "files that the lake no longer needs were not deleted");
        }
        Ok((sum, errors, left))
    }
}

impl Function for Exporter {
    fn invoke(&self, event: Value, Time { stop, .. }: &Time) -> Result<Value, Failure> {
        if !event["trail"].is_null() {
            let Target::Lake(place) = &self.target else {
                return Err(Failure::new("Configuration", "EXPORT_LAYOUT=classic has no exports of a trail's files"));
            };
            let trail = self.trail.as_ref();
            let trail = trail.ok_or_else(|| Failure::new("Configuration", "LOGS_BUCKET_NAME is not set"))?;
            return trail.run(place, &event["trail"], stop);
        }
        let started = Instant::now();
        let asked = match &event["days"] {
            Value::Null => 0,
            days => days
                .as_u64()
                .filter(|days| (1..=MOST_DAYS).contains(days))
                .ok_or_else(|| Failure::new("Event", format!("\"days\" is no number from 1 to {MOST_DAYS}: {days}")))?,
        };
        let outcome = self.run(usize::try_from(asked).unwrap_or(0), stop);
        let (stored, failures) = match &outcome {
            Ok((sum, errors, _)) => (sum.stored, errors.len()),
            Err(_) => (0, 1),
        };
        metrics::put(
            &self.settings.stack,
            SystemClock.now(),
            &[("ExportedEvents", "Count", stored as f64), ("ExportFailures", "Count", failures as f64)],
        );
        let (sum, errors, left) = outcome.map_err(|error| Failure::new("Export", error))?;
        let summary = json!({
            "statusCode": if errors.is_empty() { 200 } else { 500 },
            "days": sum.days,
            "days_left": left,
            "events_read": sum.read,
            "events_stored": sum.stored,
            "duplicates": sum.duplicates,
            "variants": sum.variants,
            "rejected": sum.rejected,
            "bytes": sum.bytes,
            "execution_time_seconds": (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
            "errors": errors,
            "complete": left == 0 && errors.is_empty(),
        });
        tracing::info!(summary = %summary, "done");
        if errors.is_empty() { Ok(summary) } else { Err(Failure::new("Incomplete", summary)) }
    }
}

impl Tally {
    fn add(&mut self, day: &Tally, is_done: bool) {
        self.days += u64::from(is_done);
        self.read += day.read;
        self.stored += day.stored;
        self.duplicates += day.duplicates;
        self.variants += day.variants;
        self.rejected += day.rejected;
        self.bytes += day.bytes;
    }
}

/// The days to export, in this order: where the last invocation stopped, what was written to or never exported, the newest
/// first, and the last few in any case. Today is not over.
fn plan(known: &Exported, today: Day, days_back: usize, asked: usize) -> Vec<Day> {
    let last = |days: usize| {
        let days = i32::try_from(days).unwrap_or(i32::MAX);
        (1..=days).map(move |back| Day::from_days(today.days() - back))
    };
    let never = last(asked.max(days_back)).filter(|day| !known.days.contains_key(day));
    let mut due: Vec<Day> = known.changed.keys().copied().filter(|day| *day < today).chain(never).collect();
    due.sort_unstable_by(|left, right| right.cmp(left));
    let stopped = known.position.iter().map(|position| position.day).filter(|day| *day < today);
    let mut seen = BTreeSet::new();
    stopped.chain(due).chain(last(days_back)).filter(|day| seen.insert(*day)).collect()
}

/// Whether everything that a day was noted for could be read by who began at a time.
fn is_settled(noted: Timestamp, began: Timestamp) -> bool {
    began.micros() - noted.micros() >= SETTLED.as_micros() as i64
}

/// Hands a page on, by where and when its events were read: the lake keeps both.
fn append(writer: &Writer, page: &[Stored], tally: &mut Tally) -> Result<(), Error> {
    let now = SystemClock.now();
    let mut events: Vec<(&str, Timestamp, Event<'_>)> = Vec::with_capacity(page.len());
    for stored in page {
        tally.read += 1;
        let source = stored.source_object.as_deref().unwrap_or_default();
        match stored.to_event() {
            Ok(event) => events.push((source, stored.ingested_at.unwrap_or(now), event)),
            Err(reason) => {
                tally.rejected += 1;
                let text = if let Ok(Some(record)) = &stored.record { record } else { &stored.id };
                // A line of the log is not told from another that says the same.
                let _ =
                    LogAside.rejected(&Rejection { source_object: source, number: tally.read, reason: &reason, text });
            }
        }
    }
    events.sort_by(|left, right| (left.0, left.1).cmp(&(right.0, right.1)));
    let mut events = events.into_iter().peekable();
    while let Some((source, ingested_at, first)) = events.next() {
        let mut batch = vec![first];
        while let Some((_, _, next)) = events.next_if(|next| (next.0, next.1) == (source, ingested_at)) {
            batch.push(next);
        }
        let appended = writer.append(&batch, source, ingested_at)?;
        tally.stored += appended.stored;
        tally.duplicates += appended.duplicates;
        tally.variants += appended.variants.len() as u64;
        tell(&appended.variants);
    }
    Ok(())
}

fn tell(variants: &[Variant]) {
    for Variant { event_id, record, source_object, .. } in variants {
        // As above.
        let _ = LogAside.variant(&VariantCopy { event_id, source_object, record });
    }
}

/// A folder of its own that is gone when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(day: Day) -> Scratch {
        #[expect(
            clippy::disallowed_methods,
            reason = "a function may write nowhere else, and nothing in it is to last"
        )]
        let folder = std::env::temp_dir().join(format!("trailhound-export-{}-{day}", std::process::id()));
        let scratch = Scratch(folder);
        scratch.clear();
        scratch
    }

    fn clear(&self) {
        #[expect(clippy::disallowed_methods, reason = "the name is made of this process and a day")]
        // Most often it is not there.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn texts(days: &[Day]) -> Vec<String> {
        days.iter().map(|day| day.to_string()[8..].to_owned()).collect()
    }

    #[test]
    fn what_was_written_to_is_exported_however_old() {
        let today = day("2026-01-31");
        let mut known = Exported::default();
        assert_eq!(texts(&plan(&known, today, 2, 0)), ["30", "29"]);
        assert_eq!(texts(&plan(&known, today, 1, 3)), ["30", "29", "28"]);
        known.days = ["2026-01-30", "2026-01-29", "2026-01-28"].map(|date| (day(date), 7)).into();
        // What was exported is not asked for again, but the last few are looked at.
        assert_eq!(texts(&plan(&known, today, 1, 5)), ["27", "26", "30"]);
        let at = time("2026-01-31T10:00:00Z");
        known.changed = ["2026-01-31", "2026-01-30", "2026-01-03", "2026-01-28"].map(|date| (day(date), at)).into();
        assert_eq!(texts(&plan(&known, today, 2, 0)), ["30", "28", "03", "29"]);
        // Where it stopped it goes on.
        known.position = Some(Position { day: day("2026-01-03"), id: "x".to_owned(), events: 9, began: Some(at) });
        assert_eq!(texts(&plan(&known, today, 2, 0)), ["03", "30", "28", "29"]);
        assert!(plan(&known, day("2026-01-02"), 1, 0).iter().all(|planned| *planned < day("2026-01-02")));
    }

    #[test]
    fn a_day_is_settled_when_no_writer_can_be_at_it() {
        let noted = time("2026-01-31T10:00:00Z");
        assert!(!is_settled(noted, time("2026-01-31T10:19:59Z")));
        assert!(is_settled(noted, time("2026-01-31T10:20:00Z")));
        // A clock that was put back.
        assert!(!is_settled(noted, time("2026-01-31T09:00:00Z")));
    }
}

//! What to generate, and the generation itself: days in parallel, each into its own files.

use std::fs;
use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use jiff::Timestamp;

use crate::calendar::{DAY, WINDOW, activity};
use crate::chance::Chance;
use crate::day::{Day, Quota};
use crate::delivery::Totals;
use crate::digest::{Signed, Signing};
use crate::organisation::Organisation;
use crate::story;
use crate::truth::{Planted, Step};

/// What to generate. Fill in the fields; [`Plan::demo`] and [`Plan::corpus`] give sensible ones.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides every random choice: the same plan with the same seed gives the same bytes.
    pub seed: u64,
    /// The end of the trail: the newest event lies a few minutes before it, as in a trail just listed.
    pub now: Timestamp,
    /// How many days before `now` the trail begins, at least 7.
    pub days: u32,
    /// How many different events (`eventID`s) to make, planted ones included; at least 100 a day.
    pub events: u64,
    /// About how many files to spread them over; never fewer than some twenty a day.
    pub files: u64,
    /// The share of events that stand in a second file as well, byte for byte: CloudTrail delivers at least once.
    pub duplicates: f64,
    /// Whether to plant the intrusion and the legitimate but sensitive actions.
    pub stories: bool,
    /// Whether the files are signed, and how; the time in which the intrusion has validation off is added.
    pub signing: Option<Signing>,
    /// How many threads to use; `None` means as many as the machine offers. The output does not depend on it.
    pub threads: Option<NonZero<usize>>,
}

/// How far the generation has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Different events written so far.
    pub events: u64,
    /// Files written so far.
    pub files: u64,
    /// Bytes of JSON written so far, before compression.
    pub bytes_json: u64,
}

/// What was generated.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The folder that holds the trail's files, and nothing else: the one to ingest.
    pub trail: PathBuf,
    /// `truth.jsonl`: the intrusion, one step a line.
    pub truth: PathBuf,
    /// `benign.jsonl`: legitimate actions that are sensitive all the same, in the same form.
    pub benign: PathBuf,
    /// Different events (`eventID`s).
    pub events: u64,
    /// Records that stand in a second file; the files hold `events + duplicates` records.
    pub duplicates: u64,
    /// Files of the trail.
    pub files: u64,
    /// Size of the trail before compression.
    pub bytes_json: u64,
    /// Size of the trail's files.
    pub bytes_gz: u64,
    /// The digest files, where the plan asks for them.
    pub signed: Option<Signed>,
    /// The steps of the intrusion, in order.
    pub intrusion: Vec<Step>,
    /// The legitimate sensitive actions, in order.
    pub legitimate: Vec<Step>,
}

/// Why a trail could not be generated.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// The plan asks for fewer days than its stories take.
    #[error("plan a trail of {days} days: it takes at least {least}")]
    TooShort {
        /// Days asked for.
        days: u32,
        /// Days needed.
        least: u32,
    },
    /// The plan asks for too few events to be believable.
    #[error("plan a trail of {events} events: it takes at least {least}")]
    TooSmall {
        /// Events asked for.
        events: u64,
        /// Events needed.
        least: u64,
    },
    /// The folder already holds a trail, which must not be mixed with another.
    #[error("write a trail to {}: it already holds one", path.display())]
    Occupied {
        /// The trail's folder.
        path: PathBuf,
    },
    /// A file could not be read.
    #[error("read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Plan {
    /// The month that `trailhound demo` shows: 120,000 events in some 4,000 files.
    pub fn demo(now: Timestamp) -> Self {
        Self {
            seed: 7,
            now,
            days: 30,
            events: 120_000,
            files: 4_000,
            duplicates: 0.001,
            stories: true,
            signing: None,
            threads: None,
        }
    }

    /// The benchmark's corpus: 1,000,000 events (about 1.6 GB of JSON) of the same organisation in some 5,000 files.
    pub fn corpus(now: Timestamp) -> Self {
        Self { events: 1_000_000, files: 5_000, ..Self::demo(now) }
    }

    /// Writes the trail under `dir`, in CloudTrail's own layout (`AWSLogs/…`), and the truth beside it; what signing adds
    /// is told in [`Signing`].
    ///
    /// `on_progress` is called on this thread as days are finished.
    ///
    /// # Errors
    ///
    /// A plan that is too small, a folder that already holds a trail, and files that cannot be written.
    pub fn write(&self, dir: &Path, mut on_progress: impl FnMut(Progress)) -> Result<Summary, SampleError> {
        self.check()?;
        let trail = dir.join("AWSLogs");
        if trail.exists() {
            return Err(SampleError::Occupied { path: trail });
        }
        let org = Organisation::new(self.seed);
        let end = self.now.as_second();
        let (intrusion, legitimate) =
            if self.stories { story::plant(&org, self.seed, end, i64::from(self.days)) } else { Default::default() };
        let planted: Vec<&Planted> = intrusion.iter().chain(&legitimate).collect();
        let quotas = self.quotas(&planted);
        let totals = self.generate(&org, &quotas, &planted, dir, &mut on_progress)?;
        let off = story::without_validation(&intrusion, &legitimate).map(|(off, on)| second(off)..second(on));
        let sign = |signing: &Signing| {
            let off = signing.off.clone().or(off);
            Signing { off, threads: signing.threads.or(self.threads), ..signing.clone() }.sign(dir)
        };
        let signed = self.signing.as_ref().map(sign).transpose()?;
        let steps = |planted: Vec<Planted>| planted.into_iter().map(|planted| planted.step).collect::<Vec<Step>>();
        let summary = Summary {
            trail,
            truth: dir.join("truth.jsonl"),
            benign: dir.join("benign.jsonl"),
            events: totals.events,
            duplicates: totals.duplicates,
            files: totals.files,
            bytes_json: totals.bytes_json,
            bytes_gz: totals.bytes_gz,
            signed,
            intrusion: steps(intrusion),
            legitimate: steps(legitimate),
        };
        write_steps(&summary.truth, &summary.intrusion)?;
        write_steps(&summary.benign, &summary.legitimate)?;
        Ok(summary)
    }

    fn check(&self) -> Result<(), SampleError> {
        let least = 7;
        if self.days < least {
            return Err(SampleError::TooShort { days: self.days, least });
        }
        let least = 100 * u64::from(self.days);
        if self.events < least {
            return Err(SampleError::TooSmall { events: self.events, least });
        }
        Ok(())
    }

    /// Shares events and files out among the UTC days by how busy each is; the first and the last are partial ones.
    fn quotas(&self, planted: &[&Planted]) -> Vec<Quota> {
        // Delivery takes a window more, and nothing is delivered after `now`.
        let end = self.now.as_second() - WINDOW;
        let start = self.now.as_second() - i64::from(self.days) * DAY;
        let mut days = Vec::new();
        let mut from = start;
        while from < end {
            let until = (from.div_euclid(DAY) * DAY + DAY).min(end);
            let first_window = from.div_euclid(WINDOW) * WINDOW;
            let windows = (first_window..until).step_by(WINDOW as usize);
            let windows = windows.filter(|window| *window >= from && window + WINDOW <= until);
            let weight: f64 = windows.map(activity).sum();
            if weight > 0.0 {
                days.push((from, until, weight));
            }
            from = until;
        }
        let key_off = planted.iter().find(|planted| planted.step.what == story::KEY_OFF);
        let key_off = key_off.map_or(i64::MAX, |planted| planted.time);
        let total: f64 = days.iter().map(|(_, _, weight)| weight).sum();
        let ordinary = (self.events - planted.len() as u64) as f64;
        let (mut passed, mut events_given, mut files_given) = (0.0, 0, 0);
        let count = days.len();
        let quotas = days.into_iter().enumerate().map(|(number, (start, end, weight))| {
            passed += weight;
            let newest = number + 1 == count;
            // The last day takes what is left, whatever rounding says.
            let share = if newest { 1.0 } else { passed / total };
            let (events, files) = ((ordinary * share).round() as usize, (self.files as f64 * share).round() as usize);
            let quota =
                Quota { start, end, events: events - events_given, files: files - files_given, newest, key_off };
            (events_given, files_given) = (events, files);
            quota
        });
        quotas.collect()
    }

    fn generate(
        &self,
        org: &Organisation,
        quotas: &[Quota],
        planted: &[&Planted],
        dir: &Path,
        on_progress: &mut impl FnMut(Progress),
    ) -> Result<Totals, SampleError> {
        let threads = self.threads.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZero::get);
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (sender, receiver) = mpsc::sync_channel(threads);
        thread::scope(|scope| {
            for _ in 0..threads.min(quotas.len()) {
                let sender = sender.clone();
                scope.spawn(|| {
                    let sender = sender;
                    while !failed.load(Ordering::Relaxed) {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let Some(quota) = quotas.get(number) else { break };
                        let done = self.day(org, number, quota, planted, dir);
                        failed.fetch_or(done.is_err(), Ordering::Relaxed);
                        if sender.send(done).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            let mut totals = Totals::default();
            for day in receiver {
                totals.add(day?);
                on_progress(Progress { events: totals.events, files: totals.files, bytes_json: totals.bytes_json });
            }
            Ok(totals)
        })
    }

    fn day(
        &self,
        org: &Organisation,
        number: usize,
        quota: &Quota,
        planted: &[&Planted],
        dir: &Path,
    ) -> Result<Totals, SampleError> {
        let chance = Chance::lane(self.seed, 1000 + number as u64);
        let mut day = Day::new(org, quota, chance);
        day.fill();
        let today = planted.iter().filter(|planted| (quota.start..quota.end).contains(&planted.time));
        for planted in today {
            let start = day.batch.text.len();
            day.batch.text.push_str(&planted.record);
            let delivered = planted.time.div_euclid(WINDOW) * WINDOW + 2 * WINDOW;
            day.batch.note_once(planted.account, planted.region, delivered, start);
        }
        day.batch.deliver(org, dir, self.duplicates, self.now.as_second(), &mut day.chance)
    }
}

fn second(time: i64) -> Timestamp {
    Timestamp::from_second(time).expect("planted times lie within jiff's range")
}

fn write_steps(path: &Path, steps: &[Step]) -> Result<(), SampleError> {
    let lines: String = steps.iter().map(|step| step.to_json() + "\n").collect();
    fs::write(path, lines).map_err(|source| SampleError::Write { path: path.to_owned(), source })
}

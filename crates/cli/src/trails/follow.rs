//! Reading trails again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use local::SystemTimer;
use pipeline::collect::Timer;

use super::part::{LIST_AGAIN, Part, Way};
use super::{ALL_DAYS, How, Reader, TrailReport};
use crate::config::TrailConfig;

/// How soon a trail that failed is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// Ends a turn of the daemon when it is dropped: half of a trail is worse than none.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Reads a trail again and again, until the program is to end.
pub(crate) fn follow(reader: &Reader<'_>, trail: &TrailConfig, every: Duration) {
    let parts = match Part::of(trail) {
        Ok(parts) => parts,
        Err(error) => return crate::complain(&crate::chain(&error)),
    };
    std::thread::scope(|scope| {
        for part in &parts {
            scope.spawn(|| {
                let _ends = Ends(reader.stop);
                match part.way {
                    Way::DailyListing => list_daily(reader, part, every),
                    Way::Listing | Way::Queue => follow_part(reader, part, every),
                }
            });
        }
    });
}

fn follow_part(reader: &Reader<'_>, part: &Part<'_>, every: Duration) {
    let timer = SystemTimer::new(Arc::clone(reader.stop));
    let mut all_days: Option<Instant> = None;
    while !reader.stop.load(Ordering::Relaxed) {
        let how = match part.way {
            Way::Queue => How::Follow,
            _ if all_days.is_none_or(|at| at.elapsed() >= ALL_DAYS) => How::Once,
            _ => How::Recent,
        };
        let pause = match reader.read(part, how) {
            Ok(report) => {
                if how == How::Once && report.trouble.is_none() && !report.paused {
                    all_days = Some(Instant::now());
                }
                tell(&report);
                match (!report.is_barred(), how) {
                    (true, How::Follow) if !report.paused => Duration::ZERO,
                    (true, _) => every,
                    (false, _) => every.max(AGAIN),
                }
            }
            Err(error) => failed(&error),
        };
        timer.sleep(pause);
    }
}

/// Lists a bucket once a day, beside its queue.
fn list_daily(reader: &Reader<'_>, part: &Part<'_>, every: Duration) {
    let timer = SystemTimer::new(Arc::clone(reader.stop));
    while !reader.stop.load(Ordering::Relaxed) {
        let read = reader.is_listing_due(part).and_then(|is_due| match is_due {
            true => reader.read(part, How::Once).map(Some),
            false => Ok(None),
        });
        let pause = match read {
            Ok(None) => every,
            Ok(Some(report)) => {
                tell(&report);
                if report.trouble.is_some() { LIST_AGAIN } else { every }
            }
            Err(error) => failed(&error),
        };
        timer.sleep(pause);
    }
}

fn tell(report: &TrailReport) {
    for problem in &report.problems {
        crate::complain(problem);
    }
    if report.totals.stored > 0 {
        for line in report.lines() {
            crate::complain(&line);
        }
    }
}

/// Says why a trail could not be read, and how soon it is tried again.
fn failed(error: &anyhow::Error) -> Duration {
    crate::complain(&format!("a trail could not be read: {}", crate::chain(error)));
    AGAIN
}

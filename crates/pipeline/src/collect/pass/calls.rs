//! One call, tried until it is answered, refused, or not worth trying any longer.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Collect;
use crate::collect::port::{LookupError, LookupPage, LookupRequest};
use crate::collect::report::StreamReport;

/// The first wait after a call that was not answered; it doubles up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// Waits are cut into pieces of this length, so that a stop is heard.
const PIECE: Duration = Duration::from_millis(500);

/// How a call went in the end.
pub(super) enum Called {
    Page(LookupPage),
    Failed(LookupError),
    /// The pass is to end.
    Stopped,
}

impl Collect<'_> {
    /// Makes a call, within the region's pace, and tries it again for as long as `patience` lasts.
    pub(super) fn call(
        &self,
        request: &LookupRequest<'_>,
        patience: Duration,
        chance: &mut fastrand::Rng,
        report: &mut StreamReport,
    ) -> Called {
        let given_up = self.timer.monotonic() + patience;
        let mut unanswered = 0;
        loop {
            if !self.wait_for_turn(request) {
                return Called::Stopped;
            }
            let outcome = self.lookup.page(request);
            let error = match outcome {
                Ok(page) => {
                    report.calls += 1;
                    self.bucket(request, |bucket, _| bucket.answered());
                    return Called::Page(page);
                }
                Err(error) => error,
            };
            report.failed_calls += 1;
            match error {
                LookupError::Throttled => self.bucket(request, |bucket, _| bucket.throttled()),
                LookupError::Unavailable(_) => {
                    let longest = (SHORTEST * 2u32.saturating_pow(unanswered)).min(LONGEST);
                    unanswered += 1;
                    // At least half of it, so that the next call is never at once.
                    if !self.wait(longest.mul_f64(0.5 + 0.5 * chance.f64())) {
                        return Called::Stopped;
                    }
                }
                _ => return Called::Failed(error),
            }
            if self.timer.monotonic() >= given_up {
                return Called::Failed(error);
            }
        }
    }

    fn bucket<T>(
        &self,
        request: &LookupRequest<'_>,
        body: impl FnOnce(&mut crate::collect::bucket::Bucket, Duration) -> T,
    ) -> T {
        let now = self.timer.monotonic();
        self.regions.bucket(request.stream, self.options.rate, now, |bucket| body(bucket, now))
    }

    fn wait_for_turn(&self, request: &LookupRequest<'_>) -> bool {
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return false;
            }
            match self.bucket(request, |bucket, now| bucket.take(now)) {
                Ok(()) => return true,
                Err(wait) => {
                    if !self.wait(wait) {
                        return false;
                    }
                }
            }
        }
    }

    /// Waits, unless the pass is to end. Returns whether it goes on.
    fn wait(&self, duration: Duration) -> bool {
        let until = self.timer.monotonic() + duration;
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return false;
            }
            let left = until.saturating_sub(self.timer.monotonic());
            if left.is_zero() {
                return true;
            }
            self.timer.sleep(left.min(PIECE));
        }
    }
}

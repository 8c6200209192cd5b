//! How fast one account may be asked in one region.

use std::time::Duration;

/// The least requests a second that throttling slows us down to.
const SLOWEST: f64 = 0.5;
/// What one throttled request leaves of the rate.
const SLOW_DOWN: f64 = 0.8;
/// What one answered request gives back, in requests a second.
const RECOVERY: f64 = 0.1;
/// Requests that may follow each other at once.
const BURST: f64 = 2.0;

/// A token bucket that slows down where it is throttled, because others use the same quota, and recovers.
///
/// Times are those of a clock that never jumps.
#[derive(Debug, Clone)]
pub struct Bucket {
    limit: f64,
    rate: f64,
    tokens: f64,
    filled: Duration,
}

impl Bucket {
    /// A full bucket for so many requests a second; `None` for as many as one likes.
    #[must_use]
    pub fn new(limit: Option<f64>, now: Duration) -> Bucket {
        let limit = limit.unwrap_or(f64::INFINITY).max(SLOWEST);
        Bucket { limit, rate: limit, tokens: BURST, filled: now }
    }

    /// Takes leave for one request, or says how long to wait before asking again.
    ///
    /// # Errors
    /// How long to wait.
    pub fn take(&mut self, now: Duration) -> Result<(), Duration> {
        if self.rate.is_infinite() {
            return Ok(());
        }
        let passed = now.saturating_sub(self.filled).as_secs_f64();
        self.filled = self.filled.max(now);
        self.tokens = (self.tokens + passed * self.rate).min(BURST);
        // A microsecond is what rounding may cost.
        if self.tokens >= 1.0 - 1e-6 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.tokens) / self.rate).max(Duration::from_micros(1)))
    }

    /// Takes note that a request was answered.
    pub fn answered(&mut self) {
        self.rate = (self.rate + RECOVERY).min(self.limit);
    }

    /// Takes note that a request was throttled.
    pub fn throttled(&mut self) {
        let from = if self.rate.is_infinite() { 20.0 } else { self.rate };
        self.rate = (from * SLOW_DOWN).max(SLOWEST);
        self.tokens = 0.0;
    }

    /// Requests a second as things are.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many requests are made in so many seconds.
    fn requests(bucket: &mut Bucket, now: &mut Duration, seconds: u64) -> u64 {
        let end = *now + Duration::from_secs(seconds);
        let mut made = 0;
        while *now < end {
            match bucket.take(*now) {
                Ok(()) => made += 1,
                Err(wait) => *now += wait,
            }
        }
        made
    }

    #[test]
    fn no_more_than_two_a_second() {
        let mut now = Duration::ZERO;
        let mut bucket = Bucket::new(Some(2.0), now);
        assert_eq!(requests(&mut bucket, &mut now, 100), 2 + 199);
    }

    #[test]
    fn throttling_slows_down_and_answers_speed_up() {
        let mut now = Duration::ZERO;
        let mut bucket = Bucket::new(Some(2.0), now);
        (0..50).for_each(|_| bucket.throttled());
        assert!((bucket.rate() - SLOWEST).abs() < 1e-9);
        assert!(requests(&mut bucket, &mut now, 100) <= 51);
        (0..50).for_each(|_| bucket.answered());
        assert!((bucket.rate() - 2.0).abs() < 1e-9);
    }

    #[test]
    fn without_a_limit_nobody_waits_until_somebody_throttles() {
        let mut bucket = Bucket::new(None, Duration::ZERO);
        assert!((0..1000).all(|_| bucket.take(Duration::ZERO).is_ok()));
        bucket.throttled();
        assert!(bucket.take(Duration::ZERO).is_err());
    }
}

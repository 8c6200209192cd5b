//! One account in one region: what its streams share.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use event::Timestamp;

use super::bucket::Bucket;
use super::stream::Stream;
use super::walk::shifted;
use crate::intake::lock;

/// How far the clocks may differ before it matters, in microseconds.
const TOLERANCE: i64 = 60 * 1_000_000;

/// The pace of every account and region, from one pass to the next.
#[derive(Debug, Default)]
pub struct Regions {
    known: Mutex<HashMap<(String, String), Region>>,
}

#[derive(Debug, Clone)]
struct Region {
    bucket: Bucket,
    /// How far the service's clock is ahead of ours, where that is more than a little.
    ahead: i64,
}

impl Regions {
    /// Runs something on the region of a stream.
    fn with<T>(&self, stream: &Stream, rate: Option<f64>, now: Duration, body: impl FnOnce(&mut Region) -> T) -> T {
        let mut known = lock(&self.known);
        let key = (stream.account.clone(), stream.region.clone());
        let region = known.entry(key).or_insert_with(|| Region { bucket: Bucket::new(rate, now), ahead: 0 });
        body(region)
    }

    /// Runs something on the bucket that a stream shares.
    pub(crate) fn bucket<T>(
        &self,
        stream: &Stream,
        rate: Option<f64>,
        now: Duration,
        body: impl FnOnce(&mut Bucket) -> T,
    ) -> T {
        self.with(stream, rate, now, |region| body(&mut region.bucket))
    }

    /// Our clock's time, corrected by what is known of the service's.
    pub(crate) fn corrected(&self, stream: &Stream, rate: Option<f64>, now: Duration, ours: Timestamp) -> Timestamp {
        self.with(stream, rate, now, |region| shifted(ours, region.ahead))
    }

    /// Takes note of the service's clock. Returns whether it is not what was assumed so far.
    pub(crate) fn note_clock(
        &self,
        stream: &Stream,
        rate: Option<f64>,
        now: Duration,
        ours: Timestamp,
        theirs: Timestamp,
    ) -> bool {
        let ahead = theirs.micros() - ours.micros();
        self.with(stream, rate, now, |region| {
            let is_news = (ahead - region.ahead).abs() > TOLERANCE;
            if is_news {
                region.ahead = if ahead.abs() > TOLERANCE { ahead } else { 0 };
            }
            is_news
        })
    }
}

//! The machine's time, to wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use event::Timestamp;
use pipeline::collect::Timer;
use pipeline::store::Clock;

use crate::SystemClock;

/// How long one look at whether to stop may be away from the next.
const LOOK: Duration = Duration::from_millis(50);

/// The machine's clock, whose waits end when the program is to end.
#[derive(Debug, Clone)]
pub struct SystemTimer {
    started: Instant,
    stop: Arc<AtomicBool>,
}

impl SystemTimer {
    /// A timer that waits for nothing any more once `stop` is set.
    #[must_use]
    pub fn new(stop: Arc<AtomicBool>) -> SystemTimer {
        SystemTimer { started: Instant::now(), stop }
    }
}

impl Clock for SystemTimer {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }
}

impl Timer for SystemTimer {
    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        let until = Instant::now() + duration;
        while !self.stop.load(Ordering::Relaxed) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::sleep(left.min(LOOK));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_ends_waits_for_nothing() {
        let stop = Arc::new(AtomicBool::new(true));
        let timer = SystemTimer::new(Arc::clone(&stop));
        timer.sleep(Duration::from_secs(3600));
        stop.store(false, Ordering::Relaxed);
        let before = timer.monotonic();
        timer.sleep(Duration::from_millis(20));
        assert!(timer.monotonic() - before >= Duration::from_millis(20));
    }
}

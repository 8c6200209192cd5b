//! The threads that couriers go about in.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::notify::{Courier, Round};
use crate::state::StateError;

/// How often a courier looks without being called: something may have become due, or another process may have recorded
/// an alert.
const LOOK: Duration = Duration::from_secs(1);

/// Calls the couriers as soon as alerts are recorded, so that they need not wait for the next look.
#[derive(Debug, Default)]
pub struct Bell {
    rung: Mutex<u64>,
    heard: Condvar,
}

impl Bell {
    /// Calls.
    pub fn ring(&self) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        *rung = rung.wrapping_add(1);
        self.heard.notify_all();
    }

    /// Waits for a call that came after the `seen`th, or for so long. Returns how many there were.
    fn wait(&self, seen: u64, at_most: Duration) -> u64 {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.heard.wait_timeout_while(rung, at_most, |rung| *rung == seen);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Sends what is due, a thread for each courier, until `stop` is set and the bell is rung, also where there is no courier.
/// `told` hears of every round that did or failed to do something.
pub fn deliver(
    couriers: Vec<Courier<'_>>,
    bell: &Bell,
    stop: &AtomicBool,
    told: &(dyn Fn(&str, Result<Round, StateError>) + Sync),
) {
    if couriers.is_empty() {
        let mut seen = 0;
        while !stop.load(Ordering::Relaxed) {
            seen = bell.wait(seen, LOOK);
        }
    }
    thread::scope(|scope| {
        for mut courier in couriers {
            scope.spawn(move || {
                let mut seen = bell.wait(u64::MAX, Duration::ZERO);
                while !stop.load(Ordering::Relaxed) {
                    let round = courier.round(stop);
                    let has_more = round.as_ref().is_ok_and(|round| round.sent > 0 || round.failed > 0);
                    if round.as_ref().map_or(true, |round| *round != Round::default()) {
                        told(courier.channel(), round);
                    }
                    if !has_more {
                        seen = bell.wait(seen, LOOK);
                    }
                }
            });
        }
    });
}

/// Sends what is due now, a thread for each courier, and returns when nothing is left that can be sent now.
pub fn flush(couriers: Vec<Courier<'_>>, stop: &AtomicBool, told: &(dyn Fn(&str, Result<Round, StateError>) + Sync)) {
    thread::scope(|scope| {
        for mut courier in couriers {
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let round = courier.round(stop);
                    let is_done = round.as_ref().map_or(true, |round| round.claimed == 0);
                    if round.as_ref().map_or(true, |round| *round != Round::default()) {
                        told(courier.channel(), round);
                    }
                    if is_done {
                        break;
                    }
                }
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_any_courier_it_goes_on_until_it_is_stopped() {
        let (bell, stop) = (Bell::default(), AtomicBool::new(false));
        thread::scope(|scope| {
            let delivering = scope.spawn(|| deliver(Vec::new(), &bell, &stop, &|_, _| ()));
            thread::sleep(Duration::from_millis(50));
            assert!(!delivering.is_finished());
            stop.store(true, Ordering::Relaxed);
            bell.ring();
        });
    }
}

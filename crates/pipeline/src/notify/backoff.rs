//! When to try again, and when to give up.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::alert::AlertId;

/// Exponential waiting between attempts, for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first attempt; each one after it is twice as long.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// For how long attempts are made: a day.
    pub total: Duration,
    /// After how long people are told that a channel does not work.
    pub alarm: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        Backoff { first: Duration::from_secs(5), longest: minutes(10), total: minutes(24 * 60), alarm: minutes(60) }
    }
}

impl Backoff {
    /// The longest that a channel may ask to be left alone.
    pub(super) const ASKED_MAX: Duration = Duration::from_secs(6 * 3600);

    /// How long to wait after a failed attempt, `attempts` having been made before it; `None` to give up.
    ///
    /// Waits are between half and all of the nominal time, so that what failed together does not come back together.
    /// The jitter follows from the notification and needs no source of randomness.
    #[must_use]
    pub fn wait(&self, alert: &AlertId, attempts: u32, asked: Option<Duration>) -> Option<Duration> {
        if self.spent(attempts) >= self.total {
            return None;
        }
        let nominal = self.nominal(attempts);
        let jittered = nominal.mul_f64(0.5 + 0.5 * fraction(alert, attempts));
        Some(jittered.max(asked.unwrap_or_default().min(Self::ASKED_MAX)))
    }

    /// Whether it is with this attempt, `attempts` having been made before it, that people are to be told.
    #[must_use]
    pub fn is_alarming(&self, attempts: u32) -> bool {
        self.spent(attempts) >= self.alarm && attempts.checked_sub(1).is_none_or(|one| self.spent(one) < self.alarm)
    }

    fn nominal(&self, attempts: u32) -> Duration {
        self.first.saturating_mul(2u32.saturating_pow(attempts)).min(self.longest)
    }

    /// The waits that so many attempts had between them.
    fn spent(&self, attempts: u32) -> Duration {
        // Once the longest wait is reached, the others are as long.
        let growing = (0..attempts).map(|attempt| self.nominal(attempt)).take_while(|wait| *wait < self.longest);
        let (count, sum) = growing.fold((0, Duration::ZERO), |(count, sum), wait| (count + 1, sum + wait));
        sum.saturating_add(self.longest.saturating_mul(attempts - count))
    }
}

/// A number from 0 to 1 that looks random and is the same in every run.
fn fraction(alert: &AlertId, attempts: u32) -> f64 {
    let digest = Sha256::new().chain_update(alert.as_str()).chain_update(attempts.to_le_bytes()).finalize();
    f64::from(u16::from_le_bytes([digest[0], digest[1]])) / f64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_end_after_a_day() {
        let (backoff, alert) = (Backoff::default(), AlertId::of("e", "d"));
        let mut waits = Vec::new();
        while let Some(wait) = backoff.wait(&alert, waits.len() as u32, None) {
            waits.push(wait);
        }
        for (attempt, nominal) in [(0, 5), (1, 10), (2, 20), (6, 320), (7, 600), (100, 600)] {
            let range = Duration::from_secs(nominal).div_f64(2.0)..=Duration::from_secs(nominal);
            assert!(range.contains(&waits[attempt]), "{attempt}: {:?}", waits[attempt]);
        }
        let nominal = backoff.spent(waits.len() as u32);
        assert!((backoff.total..backoff.total + backoff.longest).contains(&nominal), "{nominal:?}");
        assert!((100..200).contains(&waits.len()), "{}", waits.len());
        // Far beyond, nothing overflows.
        assert_eq!(backoff.wait(&alert, u32::MAX, None), None);
    }

    #[test]
    fn different_notifications_do_not_come_back_together() {
        let wait = |event: &str| Backoff::default().wait(&AlertId::of(event, "d"), 5, None).unwrap();
        assert_ne!(wait("a"), wait("b"));
        assert_eq!(wait("a"), wait("a"));
    }

    #[test]
    fn a_channel_may_ask_for_more_time_but_not_for_ever() {
        let wait =
            |asked| Backoff::default().wait(&AlertId::of("e", "d"), 0, Some(Duration::from_secs(asked))).unwrap();
        assert_eq!(wait(30), Duration::from_secs(30));
        assert!(wait(1) < Duration::from_secs(6));
        assert_eq!(wait(u64::MAX), Backoff::ASKED_MAX);
    }

    #[test]
    fn people_are_told_once_within_a_day() {
        let backoff = Backoff::default();
        let told: Vec<u32> = (0..300).filter(|attempts| backoff.is_alarming(*attempts)).collect();
        assert_eq!(told.len(), 1);
        assert!(backoff.spent(told[0]) >= backoff.alarm);
    }
}

//! Which stretches of time a stream was read in: a set of half-open intervals.
//!
//! **Invariant:** the intervals of a [`Coverage`] are not empty, lie in order and do not touch: two sets are equal where
//! they hold the same instants.

use std::fmt;

use event::Timestamp;

/// The time from one instant up to another, which is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval {
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant behind it.
    pub to: Timestamp,
}

impl Interval {
    /// The time from `from` up to `to`.
    #[must_use]
    pub fn new(from: Timestamp, to: Timestamp) -> Interval {
        Interval { from, to }
    }

    /// Whether it holds no instant.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.from >= self.to
    }

    /// Whether it holds an instant.
    #[must_use]
    pub fn contains(&self, time: Timestamp) -> bool {
        self.from <= time && time < self.to
    }

    /// How long it is.
    #[must_use]
    pub fn duration(&self) -> std::time::Duration {
        std::time::Duration::from_micros(u64::try_from(self.to.micros() - self.from.micros()).unwrap_or_default())
    }

    /// What both hold; empty where they share nothing.
    #[must_use]
    pub fn intersect(&self, other: &Interval) -> Interval {
        Interval { from: self.from.max(other.from), to: self.to.min(other.to) }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from, self.to)
    }
}

/// A set of instants, as intervals.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage(Vec<Interval>);

impl Coverage {
    /// The intervals, the oldest first.
    #[must_use]
    pub fn intervals(&self) -> &[Interval] {
        &self.0
    }

    /// Whether it holds no instant.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it holds an instant.
    #[must_use]
    pub fn contains(&self, time: Timestamp) -> bool {
        let at = self.0.partition_point(|interval| interval.to <= time);
        self.0.get(at).is_some_and(|interval| interval.contains(time))
    }

    /// From the first instant to the last one, gaps included.
    #[must_use]
    pub fn span(&self) -> Option<Interval> {
        Some(Interval::new(self.0.first()?.from, self.0.last()?.to))
    }

    /// Adds an interval.
    pub fn add(&mut self, interval: Interval) {
        if interval.is_empty() {
            return;
        }
        // Those that overlap or touch become one with it.
        let start = self.0.partition_point(|known| known.to < interval.from);
        let end = self.0.partition_point(|known| known.from <= interval.to);
        let mut merged = interval;
        for known in &self.0[start..end] {
            merged = Interval::new(merged.from.min(known.from), merged.to.max(known.to));
        }
        self.0.splice(start..end, [merged]);
    }

    /// Adds everything the other holds.
    pub fn union(&mut self, other: &Coverage) {
        other.0.iter().for_each(|interval| self.add(*interval));
    }

    /// Takes an interval out.
    pub fn remove(&mut self, interval: Interval) {
        if interval.is_empty() {
            return;
        }
        let start = self.0.partition_point(|known| known.to <= interval.from);
        let end = self.0.partition_point(|known| known.from < interval.to);
        if start >= end {
            return;
        }
        let before = Interval::new(self.0[start].from, interval.from);
        let after = Interval::new(interval.to, self.0[end - 1].to);
        let left = [before, after].into_iter().filter(|rest| !rest.is_empty());
        self.0.splice(start..end, left);
    }

    /// Takes everything out that the other holds.
    pub fn subtract(&mut self, other: &Coverage) {
        other.0.iter().for_each(|interval| self.remove(*interval));
    }

    /// What of a window it does not hold.
    #[must_use]
    pub fn gaps(&self, window: Interval) -> Coverage {
        let mut gaps = Coverage::from_iter([window]);
        gaps.subtract(self);
        gaps
    }
}

impl FromIterator<Interval> for Coverage {
    fn from_iter<I: IntoIterator<Item = Interval>>(intervals: I) -> Coverage {
        let mut coverage = Coverage::default();
        intervals.into_iter().for_each(|interval| coverage.add(interval));
        coverage
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// How many instants the slow way knows.
    const INSTANTS: i64 = 40;

    fn at(instant: i64) -> Timestamp {
        Timestamp::from_micros(Timestamp::MIN.micros() + instant).expect("near the first instant")
    }

    fn interval(from: i64, to: i64) -> Interval {
        Interval::new(at(from), at(to))
    }

    /// What a set holds, instant by instant.
    fn bitmap(coverage: &Coverage) -> Vec<bool> {
        (0..INSTANTS).map(|instant| coverage.contains(at(instant))).collect()
    }

    fn assert_well_formed(coverage: &Coverage) {
        assert!(coverage.0.iter().all(|interval| !interval.is_empty()), "{coverage:?}");
        assert!(coverage.0.windows(2).all(|pair| pair[0].to < pair[1].from), "{coverage:?}");
    }

    #[test]
    fn neighbours_become_one_and_gaps_stay() {
        let mut coverage = Coverage::from_iter([interval(0, 10), interval(20, 30)]);
        assert_eq!(coverage.gaps(interval(5, 40)).intervals(), [interval(10, 20), interval(30, 40)]);
        coverage.add(interval(10, 20));
        assert_eq!(coverage.intervals(), [interval(0, 30)]);
        coverage.remove(interval(12, 13));
        assert_eq!(coverage.intervals(), [interval(0, 12), interval(13, 30)]);
        assert_eq!(coverage.span(), Some(interval(0, 30)));
    }

    proptest! {
        #[test]
        fn a_set_of_intervals_is_a_bitmap(
            steps in prop::collection::vec((any::<bool>(), 0..INSTANTS, 0..INSTANTS), 0..30),
            window in (0..INSTANTS, 0..INSTANTS),
        ) {
            let mut coverage = Coverage::default();
            let mut slow = vec![false; INSTANTS as usize];
            for (adds, from, to) in steps {
                if adds {
                    coverage.add(interval(from, to));
                } else {
                    coverage.remove(interval(from, to));
                }
                (from..to).for_each(|instant| slow[instant as usize] = adds);
                assert_well_formed(&coverage);
                prop_assert_eq!(bitmap(&coverage), slow.clone());
            }
            let gaps = coverage.gaps(interval(window.0, window.1));
            assert_well_formed(&gaps);
            for instant in 0..INSTANTS {
                let is_gap = (window.0..window.1).contains(&instant) && !slow[instant as usize];
                prop_assert_eq!(gaps.contains(at(instant)), is_gap);
            }
            let mut whole = coverage.clone();
            whole.union(&gaps);
            whole.subtract(&coverage);
            prop_assert_eq!(whole, gaps);
        }
    }
}

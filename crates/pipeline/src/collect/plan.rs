//! What to ask a stream for next: what is not covered, and no more.

use std::time::Duration;

use event::Timestamp;

use super::state::StreamState;
use super::walk::{SECOND, Walk, earlier, later, shifted};
use crate::alert::{Arrival, News};
use crate::coverage::{Coverage, Interval};

/// How many walks of a stream are open before it begins no more.
const MAX_WALKS: usize = 8;

/// The rules of time that planning follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How long after an event its record may appear: the newest stretch of this length stays open and is read again.
    pub settle: Duration,
    /// How far back the event history goes.
    pub horizon: Duration,
    /// From which age on an event counts as late.
    pub late: Duration,
}

impl Default for Rules {
    /// 15 minutes, 90 days, 30 minutes.
    fn default() -> Rules {
        Rules {
            settle: Duration::from_secs(15 * 60),
            horizon: Duration::from_secs(90 * 86_400),
            late: Duration::from_secs(30 * 60),
        }
    }
}

impl Rules {
    /// Where the event history begins at this time.
    #[must_use]
    pub fn history_begins(&self, now: Timestamp) -> Timestamp {
        shifted(earlier(now, self.horizon).whole_second(), SECOND)
    }

    /// The walks to take, those that are to be begun first, the newest first, then those that were begun before.
    ///
    /// A stream that is up to date has one, from the end of its coverage to now: it costs one call for 50 events, and one
    /// where there is none.
    #[must_use]
    pub fn walks(&self, state: &StreamState, now: Timestamp) -> Vec<Walk> {
        let mut known = state.coverage.clone();
        state.walks.iter().for_each(|walk| known.add(walk.claimable(self.settle)));
        let fresh = known.gaps(self.window(&state.coverage, now));
        let places = MAX_WALKS.saturating_sub(state.walks.len());
        let fresh = fresh.intervals().iter().rev().take(places).map(|gap| Walk::new(*gap, now));
        fresh.chain(state.walks.iter().rev().cloned()).collect()
    }

    /// Everything that could be asked for now.
    fn window(&self, coverage: &Coverage, now: Timestamp) -> Interval {
        // A clock that was put back must not keep the newest from being read: what is covered has been, by the
        // service's own clock.
        let known = coverage.span().map_or(now, |span| later(span.to, self.settle));
        let end = now.max(known).whole_second();
        Interval::new(self.history_begins(end), shifted(end, SECOND))
    }

    /// How an event came to us, given when its stream was first asked for. What happened just before that may not have
    /// been there to be seen by anybody, and is news.
    #[must_use]
    pub fn arrival(&self, event_time: Timestamp, since: Timestamp, now: Timestamp) -> Arrival {
        News { since: earlier(since, self.settle), late: self.late }.arrival(event_time, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::stream::Stream;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    fn state(covered: &[(&str, &str)]) -> StreamState {
        let coverage = covered.iter().map(|(from, to)| Interval::new(time(from), time(to))).collect();
        StreamState { coverage, ..StreamState::new(Stream::new("1", "us-east-1", "iam.amazonaws.com")) }
    }

    fn windows(state: &StreamState, now: &str) -> Vec<String> {
        Rules::default().walks(state, time(now)).iter().map(|walk| walk.window.to_string()).collect()
    }

    #[test]
    fn the_first_load_is_the_whole_history_in_one_walk() {
        let windows = windows(&state(&[]), "2026-04-01T12:00:00Z");
        assert_eq!(windows, ["2026-01-01T12:00:01Z to 2026-04-01T12:00:01Z"]);
    }

    #[test]
    fn only_the_open_end_is_asked_for() {
        let state = state(&[("2026-01-01T00:00:00Z", "2026-04-01T11:45:00Z")]);
        assert_eq!(windows(&state, "2026-04-01T12:01:00Z"), ["2026-04-01T11:45:00Z to 2026-04-01T12:01:01Z"]);
        // A clock put back by a day.
        assert_eq!(windows(&state, "2026-03-31T12:01:00Z"), ["2026-04-01T11:45:00Z to 2026-04-01T12:00:01Z"]);
    }

    #[test]
    fn gaps_come_after_the_newest_and_what_was_begun_comes_last() {
        let mut state = state(&[
            ("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
            ("2026-03-02T00:00:00Z", "2026-04-01T11:45:00Z"),
        ]);
        let begun = Interval::new(time("2026-01-01T12:05:01Z"), time("2026-02-01T00:00:00Z"));
        state.walks.push(Walk::new(begun, time("2026-04-01T12:00:00Z")));
        let expected = [
            "2026-04-01T11:45:00Z to 2026-04-01T12:05:01Z",
            "2026-03-01T00:00:00Z to 2026-03-02T00:00:00Z",
            "2026-01-01T12:05:01Z to 2026-02-01T00:00:00Z",
        ];
        assert_eq!(windows(&state, "2026-04-01T12:05:00Z"), expected);
    }

    #[test]
    fn the_open_end_of_a_walk_is_read_again_before_it_ends() {
        let mut state = state(&[]);
        let begun = time("2026-04-01T12:00:00Z");
        let walks = Rules::default().walks(&state, begun);
        state.walks = walks;
        let expected = ["2026-04-01T11:45:00Z to 2026-04-01T13:00:01Z", "2026-01-01T12:00:01Z to 2026-04-01T12:00:01Z"];
        assert_eq!(windows(&state, "2026-04-01T13:00:00Z"), expected);
    }

    #[test]
    fn what_happened_before_a_stream_was_known_is_backfill() {
        let rules = Rules::default();
        let (since, now) = (time("2026-04-01T12:00:00Z"), time("2026-04-02T12:00:00Z"));
        assert_eq!(rules.arrival(time("2026-04-01T11:44:59Z"), since, now), Arrival::Backfill);
        // Nobody could have seen it before it appeared.
        assert_eq!(rules.arrival(time("2026-04-01T11:45:00Z"), since, now), Arrival::Late);
        assert_eq!(rules.arrival(since, since, now), Arrival::Late);
        assert_eq!(rules.arrival(time("2026-04-02T11:50:00Z"), since, now), Arrival::Live);
    }
}

//! Where collection stands as a whole: what the dead-man switch and the alarm for gaps look at.

use std::collections::BTreeMap;
use std::time::Duration;

use event::Timestamp;
use pipeline::collect::{Rules, Scope, Stream, StreamState};
use pipeline::coverage::{Coverage, Interval};

/// Where collection stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Standing {
    /// How long ago every stream had last been read to its end: the age of the one that waits longest.
    pub(crate) last_success_age: Duration,
    /// The longest stretch that is not covered of any stream, up to the newest minutes, which are open by design.
    pub(crate) longest_gap: Duration,
}

impl Standing {
    /// Of the streams that there are; who is paused, or no longer there, is not asked. A stream that was never read waits
    /// since it was first asked for; one that was never asked for since any was, or for as long as there is a history.
    pub(crate) fn of(scope: &Scope, states: &[StreamState], rules: &Rules, now: Timestamp) -> Standing {
        let before = |length: Duration| {
            let micros = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
            Timestamp::from_micros(now.micros().saturating_sub(micros)).unwrap_or(Timestamp::MIN)
        };
        let window = Interval::new(rules.history_begins(now), before(rules.settle));
        let age = |time: Timestamp| Interval::new(time.min(now), now).duration();
        if scope.streams.is_empty() {
            // It is not even known what there is to read.
            return Standing { last_success_age: age(window.from), longest_gap: window.duration() };
        }
        let began = states.iter().filter_map(|state| state.since).min().unwrap_or(window.from);
        let states: BTreeMap<&Stream, &StreamState> = states.iter().map(|state| (&state.stream, state)).collect();
        let mut standing = Standing { last_success_age: Duration::ZERO, longest_gap: Duration::ZERO };
        for stream in &scope.streams {
            let state = states.get(stream);
            if state.is_some_and(|state| state.pause.is_some()) {
                continue;
            }
            let nothing = Coverage::default();
            let gaps = state.map_or(&nothing, |state| &state.coverage).gaps(window);
            let longest = gaps.intervals().iter().map(Interval::duration).max().unwrap_or_default();
            standing.longest_gap = standing.longest_gap.max(longest);
            let last = state.and_then(|state| state.health.last_success.or(state.since)).unwrap_or(began);
            standing.last_success_age = standing.last_success_age.max(age(last));
        }
        standing
    }
}

#[cfg(test)]
mod tests {
    use pipeline::collect::{Health, Pause};

    use super::*;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn state(region: &str, covered: &[(&str, &str)], last_success: Option<&str>) -> StreamState {
        let stream = Stream::new("111122223333", region, "sts.amazonaws.com");
        let coverage = covered.iter().map(|(from, to)| Interval::new(time(from), time(to))).collect();
        let health = Health { last_success: last_success.map(time), ..Health::default() };
        StreamState { coverage, health, ..StreamState::new(stream) }
    }

    fn standing(states: &[StreamState], scope: &[&StreamState]) -> (u64, u64) {
        let scope = Scope { streams: scope.iter().map(|state| state.stream.clone()).collect(), ..Scope::default() };
        let found = Standing::of(&scope, states, &Rules::default(), time("2026-04-01T12:00:00Z"));
        (found.last_success_age.as_secs(), found.longest_gap.as_secs() / 60)
    }

    #[test]
    fn the_stream_that_waits_longest_counts() {
        let whole = ("2025-12-01T00:00:00Z", "2026-04-01T11:40:00Z");
        let well = state("us-east-1", &[whole], Some("2026-04-01T12:00:00Z"));
        assert_eq!(standing(std::slice::from_ref(&well), &[&well]), (0, 5), "the newest quarter of an hour is open");
        let parts =
            [("2025-12-01T00:00:00Z", "2026-03-31T02:00:00Z"), ("2026-03-31T07:00:00Z", "2026-04-01T11:40:00Z")];
        let late = state("eu-west-1", &parts, Some("2026-04-01T09:00:00Z"));
        let mut states = vec![well.clone(), late.clone()];
        assert_eq!(standing(&states, &[&well, &late]), (10_800, 300));
        // One that is no longer there, or paused, makes no alarm.
        assert_eq!(standing(&states, &[&well]), (0, 5));
        let at = time("2026-04-01T09:00:00Z");
        states[1].pause = Some(Pause { at, by: "bob".to_owned(), reason: String::new() });
        assert_eq!(standing(&states, &[&well, &late]), (0, 5));
        // One that nothing is known of.
        let new = state("ap-south-1", &[], None);
        assert_eq!(standing(&states, &[&well, &new]), (90 * 86_400 - 1, 90 * 24 * 60 - 16));
        states.push(StreamState { since: Some(time("2026-04-01T11:00:00Z")), ..new.clone() });
        assert_eq!(standing(&states, &[&well, &new]).0, 3600);
        // The first load has not come to one yet.
        let next = state("sa-east-1", &[], None);
        assert_eq!(standing(&states, &[&well, &new, &next]).0, 3600);
        assert_eq!(standing(&states, &[]), (90 * 86_400 - 1, 90 * 24 * 60 - 16));
    }
}

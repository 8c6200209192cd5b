//! What is covered of trails: a bucket that is listed can prove that it was read, a queue cannot.

use event::Timestamp;
use serde::Serialize;

use super::{Expectation, Gap, Reason, StreamStatus, of_stream, push, why};
use crate::collect::state::{Health, Pause, StreamState, maybe_text};
use crate::collect::stream::Stream;
use crate::collect::walk::earlier;
use crate::coverage::Interval;

/// A trail, as what is remembered of it and what is expected.
#[derive(Debug, Clone)]
pub struct Trail {
    /// What is remembered.
    pub state: StreamState,
    /// What is expected of a bucket that is listed, whose horizon is the days that are; nothing of a queue, which does not
    /// say what it never told.
    pub expectation: Option<Expectation>,
}

/// What is covered of all trails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trails {
    /// One line that says it all.
    pub verdict: String,
    /// Each trail.
    pub trails: Vec<TrailStatus>,
}

/// What is covered of a trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrailStatus {
    /// What it is remembered as.
    pub trail: Stream,
    /// Whether it can be proven that all of it was read: by listing, never by a queue.
    pub provable: bool,
    /// From when.
    #[serde(serialize_with = "maybe_text")]
    pub covered_from: Option<Timestamp>,
    /// Up to when.
    #[serde(serialize_with = "maybe_text")]
    pub covered_to: Option<Timestamp>,
    /// How long ago that is, in seconds.
    pub lag_seconds: Option<u64>,
    /// What is missing in between, and at the end.
    pub gaps: Vec<Gap>,
    /// How it goes.
    pub health: Health,
    /// That somebody paused it.
    pub pause: Option<Pause>,
}

impl TrailStatus {
    fn new(trail: &Trail, now: Timestamp) -> TrailStatus {
        let Trail { state, expectation } = trail;
        let span = state.coverage.span().filter(|_| expectation.is_some());
        TrailStatus {
            trail: state.stream.clone(),
            provable: expectation.is_some(),
            covered_from: span.map(|span| span.from),
            covered_to: span.map(|span| span.to),
            lag_seconds: span.map(|span| Interval::new(span.to, now).duration().as_secs()),
            gaps: expectation.as_ref().map(|expected| gaps(state, expected, now)).unwrap_or_default(),
            health: state.health.clone(),
            pause: state.pause.clone(),
        }
    }

    /// Whether everything that can be known to be read is.
    #[must_use]
    pub fn is_well(&self) -> bool {
        let is_read = self.health.last_success.is_some() && self.pause.is_none();
        self.gaps.is_empty() && self.health.trouble.is_none() && (self.provable || is_read)
    }

    /// What is wrong with it, in one line.
    fn ailment(&self) -> String {
        if let Some(trouble) = &self.health.trouble {
            return trouble.message.clone();
        }
        match (self.gaps.last(), &self.pause) {
            (Some(gap), _) => gap.reason.to_string(),
            (None, Some(Pause { by, .. })) => format!("paused by {by}"),
            (None, None) => Reason::NotReadYet.to_string(),
        }
    }
}

impl Trails {
    /// The status of trails, in their order.
    #[must_use]
    pub fn new(trails: &[Trail], now: Timestamp) -> Trails {
        let trails: Vec<TrailStatus> = trails.iter().map(|trail| TrailStatus::new(trail, now)).collect();
        Trails { verdict: verdict(&trails), trails }
    }

    /// Whether everything that can be known to be read is: otherwise the exit code is 4.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.trails.iter().all(TrailStatus::is_well)
    }
}

/// The same of a trail as of a stream, for what measures both.
#[must_use]
pub fn as_stream(trail: &Trail, now: Timestamp) -> StreamStatus {
    let TrailStatus { gaps, covered_from, covered_to, lag_seconds, .. } = TrailStatus::new(trail, now);
    let expectation = trail.expectation.unwrap_or_default();
    StreamStatus { gaps, covered_from, covered_to, lag_seconds, ..of_stream(&trail.state, &expectation, now) }
}

/// What of the days that are listed is missing. What lies before them was not asked for.
fn gaps(state: &StreamState, expectation: &Expectation, now: Timestamp) -> Vec<Gap> {
    let rules = expectation.rules;
    let due = earlier(earlier(now, rules.settle), expectation.every);
    let missing = state.coverage.gaps(Interval::new(rules.history_begins(now), due));
    let mut gaps = Vec::new();
    for gap in missing.intervals() {
        push(&mut gaps, *gap, why(state).unwrap_or(Reason::NotReadYet));
    }
    gaps
}

fn verdict(trails: &[TrailStatus]) -> String {
    let all = trails.len();
    let (noun, are) = if all == 1 { ("trail", "is") } else { ("trails", "are") };
    let mut unwell = trails.iter().filter(|trail| !trail.is_well());
    if let Some(first) = unwell.next() {
        let number = unwell.count() + 1;
        return format!(
            "{number} of {all} {noun} cannot be shown to be read, the first {}: {}",
            first.trail,
            first.ailment()
        );
    }
    let behind = trails.iter().filter(|trail| trail.provable).filter_map(|trail| trail.covered_to).min();
    match behind {
        None => format!("{all} {noun} {are} read, which a queue cannot prove"),
        Some(behind) => format!("{all} {noun} {are} read, what was listed up to {}", behind.whole_second()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::collect::plan::Rules;
    use crate::collect::state::{Trouble, TroubleKind};
    use crate::coverage::Coverage;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    /// A bucket of which ten days are listed.
    fn listed(covered: &[(&str, &str)]) -> Trail {
        let coverage = covered.iter().map(|(from, to)| Interval::new(time(from), time(to))).collect();
        let (settle, horizon) = (Duration::from_secs(1800), Duration::from_secs(10 * 86_400));
        let rules = Rules { settle, horizon, ..Rules::default() };
        let expectation = Some(Expectation { rules, every: Duration::from_secs(300) });
        Trail { state: StreamState { coverage, ..StreamState::new(Stream::new("trail", "-", "logs")) }, expectation }
    }

    fn gaps_of(trail: &Trail, now: &str) -> Vec<String> {
        let status = TrailStatus::new(trail, time(now));
        status.gaps.iter().map(|gap| format!("{} to {}: {}", gap.from, gap.to, gap.reason)).collect()
    }

    #[test]
    fn what_was_listed_and_read_is_covered_and_all_else_is_a_gap() {
        let trail = listed(&[("2026-03-20T00:00:00Z", "2026-04-01T11:30:00Z")]);
        assert_eq!(gaps_of(&trail, "2026-04-01T12:05:00Z"), [""; 0]);
        let stale = ["2026-04-01T11:30:00Z to 2026-04-02T11:25:00Z: not read yet"];
        assert_eq!(gaps_of(&trail, "2026-04-02T12:00:00Z"), stale);
        let never = ["2026-03-22T12:00:01Z to 2026-04-01T11:25:00Z: not read yet"];
        assert_eq!(gaps_of(&listed(&[]), "2026-04-01T12:00:00Z"), never);
        // More days are listed than before; those before them are nobody's gap.
        let later = listed(&[
            ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
            ("2026-03-30T00:00:00Z", "2026-04-01T11:30:00Z"),
        ]);
        assert_eq!(
            gaps_of(&later, "2026-04-01T12:00:00Z"),
            ["2026-03-22T12:00:01Z to 2026-03-30T00:00:00Z: not read yet"]
        );
    }

    #[test]
    fn a_gap_of_a_trail_says_why() {
        let mut trail = listed(&[("2026-03-20T00:00:00Z", "2026-04-01T11:30:00Z")]);
        let (message, since) = ("there is no bucket logs".to_owned(), time("2026-04-01T12:30:00Z"));
        trail.state.health.trouble = Some(Trouble { kind: TroubleKind::NotFound, message, since, last: since });
        let status = Trails::new(&[trail.clone()], time("2026-04-01T13:00:00Z"));
        let gap = &status.trails[0].gaps[0];
        assert!(gap.reason.advice().unwrap().contains("renamed"), "{:?}", gap.reason);
        let verdict = "1 of 1 trail cannot be shown to be read, the first trail/-/logs: there is no bucket logs";
        assert_eq!((status.verdict.as_str(), status.is_well()), (verdict, false));
        let measured = as_stream(&trail, time("2026-04-01T13:00:00Z"));
        assert_eq!((measured.gaps.len(), measured.lag_seconds), (1, Some(90 * 60)));
    }

    #[test]
    fn a_queue_proves_nothing_and_is_well_as_long_as_it_is_read() {
        let mut queue = Trail { expectation: None, ..listed(&[]) };
        queue.state.coverage = Coverage::default();
        let now = time("2026-04-01T12:00:00Z");
        let verdict = |trails: &[Trail]| {
            let status = Trails::new(trails, now);
            (status.verdict.clone(), status.is_well())
        };
        let never = "1 of 1 trail cannot be shown to be read, the first trail/-/logs: not read yet";
        assert_eq!(verdict(std::slice::from_ref(&queue)), (never.to_owned(), false));
        queue.state.health.last_success = Some(now);
        let read = "1 trail is read, which a queue cannot prove";
        assert_eq!(verdict(std::slice::from_ref(&queue)), (read.to_owned(), true));
        let bucket = listed(&[("2026-03-20T00:00:00Z", "2026-04-01T11:30:00Z")]);
        let both = "2 trails are read, what was listed up to 2026-04-01T11:30:00Z";
        assert_eq!(verdict(&[queue.clone(), bucket]), (both.to_owned(), true));
        queue.state.pause = Some(Pause { at: now, by: "bob".to_owned(), reason: String::new() });
        assert!(!verdict(&[queue]).1);
    }
}

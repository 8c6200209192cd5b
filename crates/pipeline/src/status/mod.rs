//! What is covered and what is not, as data: the model behind `trailhound status`, and the dead-man switch.
//!
//! Plain functions of what is remembered of streams and the time. **Invariant:** a stretch of time counts as covered only
//! if the ledger says so; everything else that should be there is a gap with a reason.

pub mod deadman;
pub mod full;
pub mod metrics;
pub mod trails;

use std::fmt;
use std::time::Duration;

use event::Timestamp;
use serde::{Serialize, Serializer};

use crate::alert::as_text;
use crate::collect::plan::Rules;
use crate::collect::scope::{Scope, Unknown};
use crate::collect::sources;
use crate::collect::state::{Health, Pause, StreamState, TroubleKind, maybe_text};
use crate::collect::stream::Stream;
use crate::collect::walk::earlier;
use crate::coverage::{Coverage, Interval};

/// What is expected of streams.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expectation {
    /// The rules they are collected by.
    pub rules: Rules,
    /// How long after the last pass the next one may end: so much may be open beside the newest minutes.
    pub every: Duration,
}

/// What is covered of all streams.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// One line that says it all.
    pub verdict: String,
    /// Each stream.
    pub streams: Vec<StreamStatus>,
    /// What could not be found out: where else there may be something to read.
    pub unknown: Vec<Unknown>,
}

/// What is covered of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamStatus {
    /// Which one.
    pub stream: Stream,
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
    /// What of this source the event history never shows, whatever is covered.
    pub only_in_a_trail: Option<&'static str>,
}

/// A stretch of time that is not covered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Its first instant.
    #[serde(serialize_with = "as_text")]
    pub from: Timestamp,
    /// The first instant behind it.
    #[serde(serialize_with = "as_text")]
    pub to: Timestamp,
    /// Why.
    #[serde(serialize_with = "reason_text")]
    pub reason: Reason,
}

/// Why a stretch of time is not covered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A walk is on its way through it.
    BeingRead,
    /// Nobody has asked yet; the next pass does.
    NotReadYet,
    /// Somebody paused the stream.
    Paused {
        /// Who.
        by: String,
        /// Why; may be empty.
        reason: String,
    },
    /// It cannot be read.
    Trouble {
        /// Of what kind.
        kind: TroubleKind,
        /// What happened.
        message: String,
    },
    /// It has left the event history before it was read. Only a trail's files can fill it.
    Lost,
}

impl Reason {
    /// What somebody can do about it; `None` where waiting is enough.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Reason::BeingRead | Reason::NotReadYet => None,
            Reason::Paused { .. } => Some("resume the stream"),
            Reason::Lost => Some("ingest the trail's files of that time, if there is a trail"),
            Reason::Trouble { kind, .. } => kind.advice(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::BeingRead => f.write_str("being read"),
            Reason::NotReadYet => f.write_str("not read yet"),
            Reason::Paused { by, reason } if reason.is_empty() => write!(f, "paused by {by}"),
            Reason::Paused { by, reason } => write!(f, "paused by {by}: {reason}"),
            Reason::Trouble { message, .. } => f.write_str(message),
            Reason::Lost => f.write_str("no longer in the event history"),
        }
    }
}

fn reason_text<S: Serializer>(reason: &Reason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(reason)
}

impl StreamStatus {
    /// Whether everything that should be read is.
    #[must_use]
    pub fn is_covered(&self) -> bool {
        self.gaps.is_empty()
    }
}

impl Status {
    /// The status of the streams that are to be collected, in their order; what is remembered of others is left out.
    #[must_use]
    pub fn new(scope: &Scope, known: &[StreamState], expectation: &Expectation, now: Timestamp) -> Status {
        let status = |stream: &Stream| {
            let state = known.iter().find(|state| state.stream == *stream).cloned();
            of_stream(&state.unwrap_or_else(|| StreamState::new(stream.clone())), expectation, now)
        };
        let streams: Vec<StreamStatus> = scope.streams.iter().map(status).collect();
        Status { verdict: verdict(&streams, &scope.unknown), streams, unknown: scope.unknown.clone() }
    }

    /// Whether everything that should be read is: otherwise the exit code is 4.
    #[must_use]
    pub fn is_covered(&self) -> bool {
        self.unknown.is_empty() && self.streams.iter().all(StreamStatus::is_covered)
    }
}

fn of_stream(state: &StreamState, expectation: &Expectation, now: Timestamp) -> StreamStatus {
    let span = state.coverage.span();
    let lag = span.map(|span| Interval::new(span.to, now).duration().as_secs());
    StreamStatus {
        stream: state.stream.clone(),
        covered_from: span.map(|span| span.from),
        covered_to: span.map(|span| span.to),
        lag_seconds: lag,
        gaps: gaps(state, expectation, now),
        health: state.health.clone(),
        pause: state.pause.clone(),
        only_in_a_trail: sources::only_in_a_trail(&state.stream.source),
    }
}

/// What is missing, the oldest first.
fn gaps(state: &StreamState, expectation: &Expectation, now: Timestamp) -> Vec<Gap> {
    let rules = expectation.rules;
    let history_begins = rules.history_begins(now);
    // What is first covered is where the history began when it was first read; older walks may still be on their way.
    let begun = state.walks.iter().map(|walk| walk.window.from);
    let covered = state.coverage.span().map(|span| span.from);
    let from = begun.chain(covered).min().unwrap_or(history_begins);
    let due = earlier(earlier(now, rules.settle), expectation.every);
    let missing = state.coverage.gaps(Interval::new(from, due));
    let walks: Coverage = state.walks.iter().map(|walk| walk.claimable(rules.settle)).collect();

    let mut gaps = Vec::new();
    for gap in missing.intervals() {
        let lost = Interval::new(gap.from, gap.to.min(history_begins));
        let rest = Interval::new(gap.from.max(history_begins), gap.to);
        push(&mut gaps, lost, Reason::Lost);
        let open = walks.gaps(rest);
        let mut being_read = Coverage::from_iter([rest].into_iter().filter(|rest| !rest.is_empty()));
        being_read.subtract(&open);
        let why = why(state);
        for interval in being_read.intervals() {
            let reason = why.clone().unwrap_or(Reason::BeingRead);
            push(&mut gaps, *interval, reason);
        }
        for interval in open.intervals() {
            push(&mut gaps, *interval, why.clone().unwrap_or(Reason::NotReadYet));
        }
    }
    gaps.sort_by_key(|gap| gap.from);
    gaps
}

fn push(gaps: &mut Vec<Gap>, interval: Interval, reason: Reason) {
    if !interval.is_empty() {
        gaps.push(Gap { from: interval.from, to: interval.to, reason });
    }
}

/// What keeps the stream from being read, if anything does.
fn why(state: &StreamState) -> Option<Reason> {
    if let Some(Pause { by, reason, .. }) = &state.pause {
        return Some(Reason::Paused { by: by.clone(), reason: reason.clone() });
    }
    let trouble = state.health.trouble.as_ref()?;
    Some(Reason::Trouble { kind: trouble.kind, message: trouble.message.clone() })
}

fn verdict(streams: &[StreamStatus], unknown: &[Unknown]) -> String {
    let of_streams = verdict_of(streams);
    match unknown.first() {
        None => of_streams,
        Some(Unknown { subject, trouble }) if streams.is_empty() => {
            format!("what should be collected is not known, {subject}: {}", trouble.message)
        }
        Some(Unknown { subject, trouble }) => {
            format!("not all that should be collected is known, {subject}: {}; {of_streams}", trouble.message)
        }
    }
}

fn verdict_of(streams: &[StreamStatus]) -> String {
    let Some(behind) = streams.iter().filter_map(|stream| stream.covered_to).min() else {
        return match streams.len() {
            0 => "no streams are configured".to_owned(),
            _ => "nothing is covered yet".to_owned(),
        };
    };
    let missing: Vec<&StreamStatus> = streams.iter().filter(|stream| !stream.is_covered()).collect();
    let all = streams.len();
    let streams = if all == 1 { "stream" } else { "streams" };
    let Some(first) = missing.first() else {
        return format!("all {all} {streams} are covered up to {}", behind.whole_second());
    };
    // Of the gaps of the first one, the newest is what is wrong now.
    let reason = first.gaps.last().map(|gap| gap.reason.to_string()).unwrap_or_default();
    format!("{} of {all} {streams} have gaps, the first {}: {reason}", missing.len(), first.stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::port::LookupError;
    use crate::collect::state::Trouble;
    use crate::collect::walk::Walk;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    fn stream() -> Stream {
        Stream::new("123456789012", "us-east-1", "iam.amazonaws.com")
    }

    fn state(covered: &[(&str, &str)]) -> StreamState {
        let coverage = covered.iter().map(|(from, to)| Interval::new(time(from), time(to))).collect();
        StreamState { coverage, since: Some(time("2026-04-01T12:00:00Z")), ..StreamState::new(stream()) }
    }

    fn status(state: StreamState, now: &str) -> Status {
        let expectation = Expectation { rules: Rules::default(), every: Duration::from_secs(300) };
        let scope = Scope { streams: vec![stream()], ..Scope::default() };
        Status::new(&scope, &[state], &expectation, time(now))
    }

    fn gaps(status: &Status) -> Vec<String> {
        status.streams[0].gaps.iter().map(|gap| format!("{} to {}: {}", gap.from, gap.to, gap.reason)).collect()
    }

    #[test]
    fn the_open_minutes_are_no_gap() {
        let covered = state(&[("2026-01-01T12:00:01Z", "2026-04-01T11:45:00Z")]);
        let fresh = status(covered.clone(), "2026-04-01T12:05:00Z");
        assert_eq!(fresh.verdict, "all 1 stream are covered up to 2026-04-01T11:45:00Z");
        assert!(fresh.is_covered());
        assert_eq!(fresh.streams[0].lag_seconds, Some(20 * 60));
        let stale = status(covered, "2026-04-01T13:00:00Z");
        assert_eq!(gaps(&stale), ["2026-04-01T11:45:00Z to 2026-04-01T12:40:00Z: not read yet"]);
    }

    #[test]
    fn a_gap_says_why() {
        let mut paused = state(&[("2026-01-01T12:00:01Z", "2026-04-01T11:45:00Z")]);
        paused.health.trouble = Some(Trouble {
            kind: TroubleKind::AccessDenied,
            message: "access denied: cloudtrail:LookupEvents is not allowed".to_owned(),
            since: time("2026-04-01T12:00:00Z"),
            last: time("2026-04-01T12:00:00Z"),
        });
        let denied = status(paused.clone(), "2026-04-01T13:00:00Z");
        assert_eq!(
            denied.verdict,
            "1 of 1 stream have gaps, the first 123456789012/us-east-1/iam.amazonaws.com: access denied: \
             cloudtrail:LookupEvents is not allowed"
        );
        assert!(denied.streams[0].gaps[0].reason.advice().unwrap().starts_with("allow the action"));
        paused.pause =
            Some(Pause { at: time("2026-04-01T12:00:00Z"), by: "bob".to_owned(), reason: "too loud".to_owned() });
        let gaps = gaps(&status(paused, "2026-08-01T00:00:00Z"));
        assert_eq!(
            gaps,
            [
                "2026-04-01T11:45:00Z to 2026-05-03T00:00:01Z: no longer in the event history",
                "2026-05-03T00:00:01Z to 2026-07-31T23:40:00Z: paused by bob: too loud",
            ]
        );
    }

    #[test]
    fn a_walk_on_its_way_is_named() {
        let mut state = state(&[("2026-04-01T11:45:00Z", "2026-04-01T12:45:00Z")]);
        let window = Interval::new(time("2026-01-01T13:30:00Z"), time("2026-04-01T12:00:01Z"));
        state.walks.push(Walk::new(window, time("2026-04-01T12:00:00Z")));
        assert_eq!(
            gaps(&status(state, "2026-04-01T13:00:00Z")),
            ["2026-01-01T13:30:00Z to 2026-04-01T11:45:00Z: being read"]
        );
    }

    #[test]
    fn a_stream_that_was_never_read_is_a_gap() {
        let expectation = Expectation { rules: Rules::default(), every: Duration::ZERO };
        let scope = Scope { streams: vec![stream()], ..Scope::default() };
        let never = Status::new(&scope, &[], &expectation, time("2026-04-01T13:00:00Z"));
        assert_eq!((never.verdict.as_str(), never.is_covered()), ("nothing is covered yet", false));
    }

    #[test]
    fn what_could_not_be_found_out_is_not_covered() {
        let now = time("2026-04-01T12:05:00Z");
        let denied = LookupError::AccessDenied { action: "account:ListRegions".to_owned(), message: String::new() };
        let scope = Scope {
            streams: vec![stream()],
            unknown: vec![Unknown::new("123456789012", "account:ListRegions", &denied, now)],
        };
        let covered = state(&[("2026-01-01T12:00:01Z", "2026-04-01T11:45:00Z")]);
        let expectation = Expectation { rules: Rules::default(), every: Duration::from_secs(300) };
        let status = Status::new(&scope, &[covered], &expectation, now);
        assert!(!status.is_covered());
        assert!(status.verdict.starts_with("not all that should be collected is known, 123456789012: "));
    }
}

//! Streams: coverage only grows, positions are what was written last, and a pause is nobody else's.

use local::state::SqliteState;
use pipeline::collect::{
    Health, LookupError, Pause, Scope, Stream, StreamChange, StreamState, StreamStore, Trouble, TroubleKind, Unknown,
    Walk,
};
use pipeline::coverage::{Coverage, Interval};
use pipeline::state::{LakeFit, StateStore};

use crate::time;

fn interval(from: &str, to: &str) -> Interval {
    Interval::new(time(from), time(to))
}

/// What is to be collected: one stream, and something that could not be found out.
pub(crate) fn scope() -> Scope {
    let error = LookupError::Refused("not today".to_owned());
    let unknown = Unknown::new("organization", "organizations:ListAccounts", &error, time("2026-02-02T00:00:00Z"));
    Scope { streams: vec![stream_change().stream], unknown: vec![unknown] }
}

/// A change that sets everything there is.
pub(crate) fn stream_change() -> StreamChange {
    let walk = Walk {
        window: interval("2025-11-03T00:00:01Z", "2026-02-01T00:00:01Z"),
        begun: time("2026-02-01T00:00:00Z"),
        asked_to: time("2026-01-20T00:00:01Z"),
        token: Some("a token".to_owned()),
        reached: Some(time("2026-01-10T00:00:00Z")),
        missed: Coverage::from_iter([interval("2026-01-15T00:00:00Z", "2026-01-15T00:00:01Z")]),
        tries: 1,
        empty: 2,
    };
    StreamChange {
        stream: Stream::new("123456789012", "us-east-1", "iam.amazonaws.com"),
        since: Some(time("2026-02-01T00:00:00Z")),
        covered: Coverage::from_iter([interval("2026-02-01T00:00:00Z", "2026-02-02T00:00:00Z")]),
        walks: vec![walk.clone(), Walk { token: None, reached: None, ..walk }],
        health: Health {
            last_run: Some(time("2026-02-02T00:15:00Z")),
            last_success: Some(time("2026-02-02T00:10:00Z")),
            last_event: Some(time("2026-02-01T23:00:00Z")),
            events: 7,
            calls: 9,
            trouble: Some(Trouble {
                kind: TroubleKind::AccessDenied,
                message: "access denied: cloudtrail:LookupEvents is not allowed (it isn't)".to_owned(),
                since: time("2026-02-02T00:12:00Z"),
                last: time("2026-02-02T00:15:00Z"),
            }),
        },
    }
}

pub(crate) fn paused() -> Pause {
    Pause { at: time("2026-02-02T01:00:00Z"), by: "carol".to_owned(), reason: "too loud".to_owned() }
}

/// What is read after [`stream_change`] and [`paused`].
pub(crate) fn read_state() -> StreamState {
    let StreamChange { stream, since, covered, walks, health } = stream_change();
    StreamState { stream, since, coverage: covered, walks, health, pause: Some(paused()) }
}

fn only(state: &SqliteState) -> StreamState {
    let streams = state.streams().unwrap();
    assert_eq!(streams.len(), 1);
    streams.into_iter().next().unwrap()
}

#[test]
fn coverage_only_grows_and_the_rest_is_what_was_written_last() {
    let state = SqliteState::in_memory().unwrap();
    state.save_streams(&[stream_change()]).unwrap();
    let later = StreamChange {
        since: Some(time("2026-03-01T00:00:00Z")),
        covered: Coverage::from_iter([interval("2026-02-02T00:00:00Z", "2026-02-03T00:00:00Z")]),
        walks: vec![],
        health: Health::default(),
        ..stream_change()
    };
    state.save_streams(&[later]).unwrap();
    let read = only(&state);
    assert_eq!(read.since, stream_change().since);
    assert_eq!(read.coverage.intervals(), [interval("2026-02-01T00:00:00Z", "2026-02-03T00:00:00Z")]);
    assert_eq!((read.walks, read.health), (vec![], Health::default()));
}

#[test]
fn a_stream_was_first_asked_for_at_the_earliest_time_written() {
    let state = SqliteState::in_memory().unwrap();
    let written = |since: Option<&str>| {
        state.save_streams(&[StreamChange { since: since.map(time), ..stream_change() }]).unwrap();
        only(&state).since
    };
    assert_eq!(written(None), None);
    // A clock that was a day ahead, and then set right.
    assert_eq!(written(Some("2026-02-02T00:00:00Z")), Some(time("2026-02-02T00:00:00Z")));
    assert_eq!(written(Some("2026-02-01T00:00:00Z")), Some(time("2026-02-01T00:00:00Z")));
    assert_eq!(written(None), Some(time("2026-02-01T00:00:00Z")));
    assert_eq!(written(Some("2026-03-01T00:00:00Z")), Some(time("2026-02-01T00:00:00Z")));
}

#[test]
fn a_pause_outlives_what_a_running_pass_writes() {
    let state = SqliteState::in_memory().unwrap();
    let stream = stream_change().stream;
    assert!(!state.pause_stream(&stream, None).unwrap());
    assert!(state.pause_stream(&stream, Some(&paused())).unwrap());
    assert!(!state.pause_stream(&stream, Some(&paused())).unwrap());
    state.save_streams(&[stream_change()]).unwrap();
    assert_eq!(only(&state), read_state());
    assert!(state.pause_stream(&stream, None).unwrap());
    assert_eq!(only(&state).pause, None);
}

#[test]
fn another_lake_is_covered_by_nothing() {
    let state = SqliteState::in_memory().unwrap();
    state.fit_lake("one", &|| Ok(5)).unwrap();
    state.save_streams(&[stream_change()]).unwrap();
    assert_eq!(state.fit_lake("one", &|| Ok(5)).unwrap(), LakeFit::Same);
    assert!(!only(&state).coverage.is_empty());
    assert_eq!(state.fit_lake("one", &|| Ok(4)).unwrap(), LakeFit::Restored { forgotten: 0 });
    let read = only(&state);
    assert!(read.coverage.is_empty() && read.walks.is_empty());
    assert_eq!(read.since, stream_change().since);
}

#[test]
fn what_is_to_be_collected_is_replaced_as_a_whole() {
    let state = SqliteState::in_memory().unwrap();
    assert_eq!(state.scope().unwrap(), Scope::default());
    let (second, first) = (stream_change().stream, Stream::new("1", "us-east-1", "sts.amazonaws.com"));
    let both = Scope { streams: vec![second.clone(), first], ..scope() };
    state.save_scope(&both).unwrap();
    assert_eq!(state.scope().unwrap(), both);
    let one = Scope { streams: vec![second], ..Scope::default() };
    state.save_scope(&one).unwrap();
    assert_eq!(state.scope().unwrap(), one);
}

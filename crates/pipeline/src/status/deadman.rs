//! The dead-man switch: what is wrong when nothing is heard.

use std::fmt;
use std::time::Duration;

use event::Timestamp;

use crate::alert::{Alert, OurOwn};
use crate::collect::scope::{Scope, Unknown};
use crate::collect::state::{StreamState, Trouble, TroubleKind};
use crate::collect::stream::Stream;
use crate::collect::walk::{earlier, later};
use crate::coverage::{Coverage, Interval};

/// When silence is worth an alert.
#[derive(Debug, Clone, Copy)]
pub struct DeadManRules {
    /// A pass over all streams must have come to its end within this time.
    pub pass_within: Duration,
    /// A stream must be unreadable for so long.
    pub patience: Duration,
    /// No stream counts as silent before so much time without an event.
    pub least_silence: Duration,
    /// A stream counts as silent after so many times the usual time between two of its events.
    pub silence: u32,
    /// Streams with fewer events have no usual time yet.
    pub least_events: u64,
}

impl Default for DeadManRules {
    /// An hour, 30 minutes, a day, 50 times, 20 events.
    fn default() -> DeadManRules {
        DeadManRules {
            pass_within: Duration::from_secs(3600),
            patience: Duration::from_secs(1800),
            least_silence: Duration::from_secs(86_400),
            silence: 50,
            least_events: 20,
        }
    }
}

/// How passes go, at one instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pulse {
    /// When one last came to its end, in this process or another.
    pub last: Option<Timestamp>,
    /// For how long none has, since the watch began, by a clock that never jumps: when a machine's clock is set, nothing
    /// falls silent, and nothing is heard again.
    pub silent_for: Duration,
}

/// Something that should be heard and is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Silence {
    /// No pass has come to its end in time.
    NoPass {
        /// When the last one did.
        last: Option<Timestamp>,
    },
    /// A stream that could be read no longer can.
    AccessLost {
        /// Which one.
        stream: Stream,
        /// Why.
        trouble: Trouble,
    },
    /// It cannot be found out what is to be collected: accounts or regions may be missing.
    Unknown {
        /// What cannot be found out, and why.
        unknown: Unknown,
    },
    /// A stream that used to speak is read and gives nothing.
    Silent {
        /// Which one.
        stream: Stream,
        /// Its newest event.
        last_event: Timestamp,
        /// The usual time between two of its events.
        usual: Duration,
    },
}

impl Silence {
    /// What it is about: the same text for the same thing, so that it is told once.
    #[must_use]
    pub fn subject(&self) -> String {
        match self {
            Silence::NoPass { .. } => "no-pass".to_owned(),
            Silence::AccessLost { stream, trouble } => format!("access-lost/{}/{stream}", trouble.kind.as_str()),
            Silence::Unknown { unknown } => format!("unknown/{}", unknown.subject),
            Silence::Silent { stream, .. } => format!("silent/{stream}"),
        }
    }
}

/// What stands in the place of a detection's id in alerts of the dead-man switch.
pub const SILENCE: &str = "trail-silent";

impl Silence {
    /// The alert: one for each subject and day, however often it is found.
    #[must_use]
    pub fn alert(&self, now: Timestamp) -> Alert {
        let subject = self.subject();
        let record =
            serde_json::json!({"alert": SILENCE, "subject": subject, "says": self.to_string(), "at": now.to_string()});
        let (title, action_required) = match self {
            Silence::NoPass { .. } => {
                ("Collecting Has Stopped", "Look at the daemon's log and at `trailhound status`.")
            }
            Silence::AccessLost { trouble, .. } => (
                "A Stream Can No Longer Be Read",
                trouble.kind.advice().unwrap_or("Look at what the service says, and at `trailhound status`."),
            ),
            Silence::Unknown { unknown } => (
                "Accounts Or Regions May Be Missing",
                unknown.trouble.kind.advice().unwrap_or("Look at what the service says, and at `trailhound status`."),
            ),
            Silence::Silent { .. } => {
                ("A Stream Has Fallen Silent", "Find out whether somebody stopped the logging or the activity.")
            }
        };
        Alert::our_own(OurOwn {
            detection: SILENCE,
            event_id: format!("{SILENCE}/{subject}/{}", now.day()),
            title,
            summary: format!("{self}."),
            action_required,
            record: record.to_string(),
            now,
        })
    }
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Silence::NoPass { last: None } => f.write_str("no pass over the streams has ever come to its end"),
            Silence::NoPass { last: Some(last) } => {
                write!(f, "no pass over the streams has come to its end since {last}")
            }
            Silence::AccessLost { stream, trouble } => {
                write!(f, "{stream} cannot be read since {}: {}", trouble.since, trouble.message)
            }
            Silence::Unknown { unknown: Unknown { subject, trouble } } => {
                write!(
                    f,
                    "not all that should be collected is known since {}, {subject}: {}",
                    trouble.since, trouble.message
                )
            }
            Silence::Silent { stream, last_event, .. } => {
                write!(f, "{stream} has given nothing since {last_event}; was its logging turned off?")
            }
        }
    }
}

/// What should be heard and is not, of the streams that are to be collected.
#[must_use]
pub fn silences(
    scope: &Scope,
    streams: &[StreamState],
    pulse: Pulse,
    now: Timestamp,
    rules: &DeadManRules,
) -> Vec<Silence> {
    let mut found = Vec::new();
    if pulse.silent_for > rules.pass_within {
        found.push(Silence::NoPass { last: pulse.last });
    }
    let is_old = |unknown: &&Unknown| is_old(&unknown.trouble, now, rules);
    found.extend(scope.unknown.iter().filter(is_old).map(|unknown| Silence::Unknown { unknown: unknown.clone() }));
    // Whoever paused a stream knows that it says nothing.
    let is_wanted = |state: &&StreamState| state.pause.is_none() && scope.streams.contains(&state.stream);
    for state in streams.iter().filter(is_wanted) {
        found.extend(access_lost(state, now, rules));
        found.extend(silent(state, rules));
    }
    found
}

fn access_lost(state: &StreamState, now: Timestamp, rules: &DeadManRules) -> Option<Silence> {
    let trouble = state.health.trouble.as_ref()?;
    let could_be_read = state.health.last_success.is_some();
    // A second that was too dense, or a clock that is off, keeps nobody from reading the rest.
    let is_lost = !matches!(trouble.kind, TroubleKind::TooDense | TroubleKind::Clock);
    let stream = state.stream.clone();
    (could_be_read && is_lost && is_old(trouble, now, rules))
        .then(|| Silence::AccessLost { stream, trouble: trouble.clone() })
}

/// Whether a trouble has lasted for so long that it is worth an alert.
fn is_old(trouble: &Trouble, now: Timestamp, rules: &DeadManRules) -> bool {
    // One that is yet to begin began before the clock was set back; nobody knows how long ago.
    trouble.since <= earlier(now, rules.patience) || trouble.since > later(now, rules.patience)
}

fn silent(state: &StreamState, rules: &DeadManRules) -> Option<Silence> {
    let last_event = state.health.last_event?;
    if state.health.events < rules.least_events {
        return None;
    }
    // What was not read cannot be silent: only what is covered counts. A queue covers nothing, and was asked all along.
    let asked = || Some(Coverage::from_iter([Interval::new(state.since?, state.health.last_success?)]));
    let covered = if state.coverage.is_empty() { asked()? } else { state.coverage.clone() };
    let read_to = covered.span()?.to;
    let speaking = covered.intervals().iter().filter(|interval| interval.from <= last_event);
    let spoken: Duration = speaking.map(|interval| interval.duration()).sum();
    let usual = spoken / u32::try_from(state.health.events).unwrap_or(u32::MAX);
    let bound = (usual * rules.silence).max(rules.least_silence);
    let is_silent = later(last_event, bound) < read_to;
    is_silent.then(|| Silence::Silent { stream: state.stream.clone(), last_event, usual })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::LookupError;
    use crate::collect::state::{Health, Pause};

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    /// A stream that gave an event an hour in January.
    fn state(read_to: &str) -> StreamState {
        let coverage = Coverage::from_iter([Interval::new(time("2026-01-01T00:00:00Z"), time(read_to))]);
        let health = Health {
            last_event: Some(time("2026-01-31T00:00:00Z")),
            last_success: Some(time(read_to)),
            events: 720,
            ..Health::default()
        };
        let stream = Stream::new("123456789012", "us-east-1", "iam.amazonaws.com");
        StreamState { coverage, health, ..StreamState::new(stream) }
    }

    fn found(state: StreamState, now: &str) -> Vec<String> {
        let scope = Scope { streams: vec![state.stream.clone()], ..Scope::default() };
        let found = silences(&scope, &[state], Pulse::default(), time(now), &DeadManRules::default());
        found.iter().map(Silence::subject).collect()
    }

    #[test]
    fn a_stream_that_used_to_speak_is_missed() {
        let silent = ["silent/123456789012/us-east-1/iam.amazonaws.com"];
        assert_eq!(found(state("2026-02-01T00:00:00Z"), "2026-02-01T00:15:00Z"), [""; 0]);
        assert_eq!(found(state("2026-02-04T00:00:00Z"), "2026-02-04T00:15:00Z"), silent);
        // What was not read cannot be silent.
        assert_eq!(found(state("2026-01-31T01:00:00Z"), "2026-02-09T00:00:00Z"), [""; 0]);
        let pause = Some(Pause { at: time("2026-02-01T00:00:00Z"), by: "bob".to_owned(), reason: String::new() });
        assert_eq!(found(StreamState { pause, ..state("2026-02-04T00:00:00Z") }, "2026-02-04T00:15:00Z"), [""; 0]);
    }

    #[test]
    fn a_queue_that_used_to_tell_is_missed() {
        let of_queue = |read_to: &str| StreamState {
            coverage: Coverage::default(),
            since: Some(time("2026-01-01T00:00:00Z")),
            ..state(read_to)
        };
        let silent = ["silent/123456789012/us-east-1/iam.amazonaws.com"];
        assert_eq!(found(of_queue("2026-02-01T00:00:00Z"), "2026-02-01T00:15:00Z"), [""; 0]);
        assert_eq!(found(of_queue("2026-02-04T00:00:00Z"), "2026-02-04T00:15:00Z"), silent);
    }

    #[test]
    fn access_that_was_there_is_missed_after_a_while() {
        let mut state = state("2026-01-31T12:00:00Z");
        state.health.trouble = Some(Trouble {
            kind: TroubleKind::AccessDenied,
            message: "access denied".to_owned(),
            since: time("2026-01-31T12:00:00Z"),
            last: time("2026-01-31T12:20:00Z"),
        });
        assert_eq!(found(state.clone(), "2026-01-31T12:20:00Z"), [""; 0]);
        let lost = ["access-lost/access-denied/123456789012/us-east-1/iam.amazonaws.com"];
        assert_eq!(found(state.clone(), "2026-01-31T12:30:00Z"), lost);
        // Since then the clock was set back: by a little it changes nothing, by hours nobody knows.
        assert_eq!(found(state.clone(), "2026-01-31T11:59:00Z"), [""; 0]);
        assert_eq!(found(state.clone(), "2026-01-31T08:00:00Z"), lost);
        // It was never there: the status says so.
        state.health.last_success = None;
        assert_eq!(found(state, "2026-01-31T12:30:00Z"), [""; 0]);
    }

    #[test]
    fn what_cannot_be_found_out_for_a_while_is_missed() {
        let (since, now) = (time("2026-01-01T00:00:00Z"), time("2026-01-01T00:30:00Z"));
        let error = LookupError::Unavailable("cut".to_owned());
        let scope = Scope { unknown: vec![Unknown::new("organization", "x:Y", &error, since)], ..Scope::default() };
        let found = |now| silences(&scope, &[], Pulse::default(), now, &DeadManRules::default());
        assert_eq!(found(now).iter().map(Silence::subject).collect::<Vec<_>>(), ["unknown/organization"]);
        assert_eq!(found(since), []);
    }

    #[test]
    fn a_silence_is_told_once_a_day() {
        let silence = Silence::NoPass { last: None };
        let at = |text: &str| silence.alert(time(text)).id;
        assert_eq!(at("2026-01-15T00:00:00Z"), at("2026-01-15T23:59:59Z"));
        assert_ne!(at("2026-01-15T00:00:00Z"), at("2026-01-16T00:00:00Z"));
        assert_eq!(detect::find(SILENCE), None, "no detection has its id");
    }

    #[test]
    fn a_pass_that_does_not_end_is_missed_whatever_the_clock_says() {
        let last = Some(time("2026-01-01T00:00:00Z"));
        let found = |seconds, now: &str| {
            let pulse = Pulse { last, silent_for: Duration::from_secs(seconds) };
            silences(&Scope::default(), &[], pulse, time(now), &DeadManRules::default())
        };
        let missed = [Silence::NoPass { last }];
        assert_eq!(found(3600, "2026-01-01T01:00:00Z"), []);
        assert_eq!(found(3601, "2026-01-01T01:00:01Z"), missed);
        // The clock was set: by a year forward, and back to before the last pass.
        assert_eq!(found(1, "2027-01-01T00:00:00Z"), []);
        assert_eq!(found(3601, "2025-12-31T00:00:00Z"), missed);
    }
}

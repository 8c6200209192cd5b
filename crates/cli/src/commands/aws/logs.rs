//! `trailhound aws logs`.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws::LogLine;
use event::Timestamp;
use local::SystemTimer;
use pipeline::collect::Timer;
use pipeline::escape;
use pipeline::service::CallError;

use super::Place;
use crate::args::{FunctionName, LogsArgs};
use crate::exit::Exit;
use crate::session::Session;
use crate::times;

/// How often there is a look for new lines.
const LOOK: Duration = Duration::from_secs(2);
/// How long a line may take until it is found.
const LATE: Duration = Duration::from_secs(60);

/// What of a function's log was shown, and from when on it is asked for.
struct Tail {
    from: Timestamp,
    shown: BTreeSet<(Timestamp, String)>,
}

pub(super) fn run(session: &mut Session, arguments: &LogsArgs) -> anyhow::Result<Exit> {
    let since = times::instant("--since", &format!("-{}", arguments.since.trim_start_matches('-')), session.now)?;
    let place = Place::open(session, &arguments.stack)?;
    place.stack()?;
    let functions =
        if arguments.functions.is_empty() { FunctionName::ALL.to_vec() } else { arguments.functions.clone() };
    let client = place.account.functions(None);
    let timer = SystemTimer::new(std::sync::Arc::clone(&place.stop));
    let mut tails: Vec<Tail> = functions.iter().map(|_| Tail::new(since)).collect();
    loop {
        let mut lines = Vec::new();
        for (function, tail) in functions.iter().zip(&mut tails) {
            let group = format!("/aws/lambda/{}-{}", place.name, function.as_str());
            let mut token: Option<String> = None;
            loop {
                let (page, next) = match client.log(&group, tail.from, token.as_deref()) {
                    Ok(page) => page,
                    // A function that never ran, or is not part of this stack, has no log.
                    Err(CallError::Refused(said)) if said.contains("ResourceNotFound") => break,
                    Err(error) => return Err(error.into()),
                };
                for line in page {
                    if tail.is_new(&line) {
                        lines.push((line.at, function.as_str(), line.text));
                    }
                }
                token = next;
                if token.is_none() {
                    break;
                }
            }
            tail.go_on();
        }
        lines.sort();
        for (at, function, text) in &lines {
            session.out.line(&format!("{at} {function:<8} {}", escape::terminal(text)))?;
        }
        session.out.flush()?;
        if !arguments.follow {
            return Ok(Exit::Done);
        }
        timer.sleep(LOOK);
        if place.stop.load(Ordering::Relaxed) {
            return Ok(Exit::Interrupted);
        }
    }
}

impl Tail {
    fn new(from: Timestamp) -> Tail {
        Tail { from, shown: BTreeSet::new() }
    }

    /// Whether a line was not shown yet. It counts as shown from here on.
    fn is_new(&mut self, line: &LogLine) -> bool {
        self.shown.insert((line.at, line.id.clone()))
    }

    /// Moves on to the newest line, but for the time in which others may still come, and forgets what lies before.
    fn go_on(&mut self) {
        let Some((newest, _)) = self.shown.last() else { return };
        let late = i64::try_from(LATE.as_micros()).unwrap_or(i64::MAX);
        let from = Timestamp::from_micros(newest.micros().saturating_sub(late)).unwrap_or(self.from);
        // The service takes whole milliseconds: where it is still asked from the beginning, it may tell of lines before it.
        if from > self.from {
            self.from = from;
            self.shown = self.shown.split_off(&(from, String::new()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str, at: &str) -> LogLine {
        LogLine { id: id.to_owned(), at: Timestamp::parse(at).unwrap(), text: String::new() }
    }

    #[test]
    fn a_line_is_shown_once_and_a_late_one_too() {
        let since = Timestamp::parse("2026-01-15T12:00:00.0005Z").unwrap();
        let mut tail = Tail::new(since);
        tail.go_on();
        assert_eq!(tail.from, since, "nothing came yet");

        // Within the first minute it is asked from the same time again, rounded down to a millisecond.
        let (rounded, first) = (line("a", "2026-01-15T12:00:00Z"), line("b", "2026-01-15T12:00:40Z"));
        assert!(tail.is_new(&rounded) && tail.is_new(&first) && !tail.is_new(&first));
        tail.go_on();
        assert_eq!(tail.from, since);
        assert!(!tail.is_new(&rounded));

        let (newest, same) = (line("c", "2026-01-15T12:01:40Z"), line("d", "2026-01-15T12:01:40Z"));
        assert!(tail.is_new(&newest));
        tail.go_on();
        assert_eq!(tail.from, first.at, "a minute before the newest");
        assert_eq!(tail.shown.len(), 2, "what is not asked for again is forgotten");
        assert!(!tail.is_new(&first) && !tail.is_new(&newest) && tail.is_new(&same));

        // A late line does not move it back.
        assert!(tail.is_new(&line("e", "2026-01-15T12:00:50Z")));
        tail.go_on();
        assert_eq!((tail.from, tail.shown.len()), (first.at, 4));
    }
}

//! `trailhound aws logs`.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

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
/// How many lines are remembered as shown.
const MANY: usize = 50_000;

pub(super) fn run(session: &mut Session, arguments: &LogsArgs) -> anyhow::Result<Exit> {
    let since = times::instant("--since", &format!("-{}", arguments.since.trim_start_matches('-')), session.now)?;
    let place = Place::open(session, &arguments.stack)?;
    place.stack()?;
    let functions =
        if arguments.functions.is_empty() { FunctionName::ALL.to_vec() } else { arguments.functions.clone() };
    let client = place.account.functions(None);
    let timer = SystemTimer::new(std::sync::Arc::clone(&place.stop));
    let mut from: Vec<(Timestamp, BTreeSet<String>)> = functions.iter().map(|_| (since, BTreeSet::new())).collect();
    loop {
        let mut lines = Vec::new();
        for (function, (from, shown)) in functions.iter().zip(&mut from) {
            let group = format!("/aws/lambda/{}-{}", place.name, function.as_str());
            let mut token: Option<String> = None;
            loop {
                let (page, next) = match client.log(&group, *from, token.as_deref()) {
                    Ok(page) => page,
                    // A function that never ran, or is not part of this stack, has no log.
                    Err(CallError::Refused(said)) if said.contains("ResourceNotFound") => break,
                    Err(error) => return Err(error.into()),
                };
                for line in page {
                    if shown.insert(line.id.clone()) {
                        lines.push((line.at, function.as_str(), line.text));
                    }
                }
                token = next;
                if token.is_none() {
                    break;
                }
            }
        }
        lines.sort();
        // Lines may come a little late. What was shown is remembered, and what is asked for does not grow.
        for (from, shown) in &mut from {
            if shown.len() > MANY
                && let Some((at, ..)) = lines.last()
            {
                *from = *at;
                shown.clear();
            }
        }
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

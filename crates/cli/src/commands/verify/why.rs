//! Who turned validation off: the events of the store that explain times without digests.

use event::{Column, Event, Timestamp};
use integrity::layout::Lane;
use integrity::report::HOUR;
use lake::{Order, Scan};
use serde_json::Value;

use super::told::Question;
use crate::session::Session;

/// Events that end a chain of digests.
const NAMES: [&str; 3] = ["StopLogging", "UpdateTrail", "DeleteTrail"];
/// The most of them that are kept.
const KEPT: usize = 10_000;
/// How many of them are told of one time.
const TOLD: usize = 3;
/// How long before the last digest's end a trail may have been stopped.
const BEFORE: i64 = 2 * HOUR;

/// The events of the store that turned a trail or its validation off.
pub(super) struct Events(Vec<Off>);

struct Off {
    time: Timestamp,
    account: String,
    region: String,
    said: String,
}

impl Events {
    /// Those of the time that is asked about. None where there is no store.
    pub(super) fn of(session: &Session, question: &Question) -> anyhow::Result<Events> {
        let Some(lake) = session.find_lake()? else { return Ok(Events(Vec::new())) };
        let from = question.scope.from.and_then(|from| Timestamp::from_micros(from.micros() - BEFORE));
        let scan = Scan { from, until: Some(question.scope.until), order: Order::Stored, ..Scan::default() };
        let scan = scan.any_of(Column::EventName, NAMES).any_of(Column::EventSource, ["cloudtrail.amazonaws.com"]);
        let mut events = Vec::new();
        for event in lake.scan(&scan)? {
            let event = event?;
            if events.len() < KEPT && turns_off(&event) {
                events.push(Off {
                    time: event.event_time,
                    account: event.get(Column::AccountId).unwrap_or_default().to_owned(),
                    region: event.get(Column::AwsRegion).unwrap_or_default().to_owned(),
                    said: said(&event),
                });
            }
        }
        events.sort_by_key(|event| event.time);
        Ok(Events(events))
    }

    /// What explains a time without digests: the events shortly before it or in it that fit best, the first first.
    pub(super) fn explain(&self, lane: &Lane, from: Timestamp, to: Timestamp) -> Option<String> {
        let earliest = from.micros() - BEFORE;
        let near = || self.0.iter().filter(|event| event.time.micros() >= earliest && event.time < to);
        // A trail of all regions is stopped in its home region, that of an organisation in another account.
        let fit = |event: &Off| (event.account == lane.account, event.region == lane.region);
        let best = near().map(fit).max()?;
        let told = near().filter(|event| fit(event) == best).take(TOLD).map(|event| event.said.as_str());
        Some(told.collect::<Vec<_>>().join("; "))
    }
}

fn turns_off(event: &Event<'_>) -> bool {
    if event.failed() {
        return false;
    }
    // An update may be of anything else.
    event.name() != "UpdateTrail" || event.request().get("enableLogFileValidation") == Some(&Value::Bool(false))
}

fn said(event: &Event<'_>) -> String {
    let trail = event.request().get("name").and_then(Value::as_str).unwrap_or("a trail");
    format!(
        "{} of {trail} at {} by {} (event {})",
        event.name(),
        event.event_time.whole_second(),
        event.who().unwrap_or("somebody unknown"),
        event.id()
    )
}

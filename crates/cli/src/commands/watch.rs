//! `trailhound watch`: events and alerts as they are stored.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use event::{Event, Timestamp};
use lake::{Lake, Scan};
use local::state::SqliteState;
use local::{SystemClock, SystemTimer};
use pipeline::alert::Alert;
use pipeline::collect::Timer;
use pipeline::escape;
use pipeline::lookup::each_alert;
use pipeline::state::AlertFilter;
use pipeline::store::Clock;
use serde_json::json;

use crate::args::{WatchArgs, WatchFormat, Watched};
use crate::commands::events::Asked;
use crate::commands::ingest::stop_on_interrupt_saying;
use crate::exit::Exit;
use crate::session::Session;

/// How often is looked.
const EVERY: Duration = Duration::from_millis(500);
/// How long after its first event a commit may come: so far back what was shown is remembered.
const REACH: i64 = 10 * 60 * 1_000_000;

/// A clock that goes back by more than this was set: in microseconds.
const SLIP: i64 = 1_000_000;

/// What is new, and how it is shown.
struct Watch<'a> {
    arguments: &'a WatchArgs,
    asked: Asked,
    /// What was stored before is not shown.
    begun: Timestamp,
    /// Alerts that were recorded before are not looked at any more.
    alerts_from: Timestamp,
    /// The lake's version that was last looked at, and when.
    seen: Option<(u64, Timestamp)>,
    /// When the last look was.
    looked: Timestamp,
    /// What was shown, by when it was stored.
    events: BTreeMap<(Timestamp, String), ()>,
    alerts: BTreeMap<(Timestamp, String), ()>,
}

pub(crate) fn run(session: &mut Session, arguments: &WatchArgs) -> anyhow::Result<Exit> {
    let state = session.open_state()?;
    let stop = stop_on_interrupt_saying(None)?;
    let timer = SystemTimer::new(std::sync::Arc::clone(&stop));
    let begun = back(timer.now(), i64::from(arguments.last) * 60_000_000);
    let asked = Asked::of(&arguments.filter)?;
    let mut watch = Watch {
        arguments,
        asked,
        begun,
        alerts_from: begun,
        seen: None,
        looked: begun,
        events: BTreeMap::new(),
        alerts: BTreeMap::new(),
    };
    let mut lake: Option<Lake> = None;
    if !session.global.quiet && arguments.format == WatchFormat::Text {
        crate::complain("waiting for what is stored (ctrl-C to end)");
    }
    while !stop.load(Ordering::Relaxed) {
        if lake.is_none() {
            lake = session.find_lake()?;
        }
        watch.mind_the_clock(timer.now());
        let mut lines: Vec<(Timestamp, String)> = Vec::new();
        if let Some(lake) = lake.as_ref().filter(|_| arguments.only != Watched::Alerts) {
            watch.events(lake, &mut lines)?;
        }
        if arguments.only != Watched::Events {
            watch.alerts(&state, session, &mut lines)?;
        }
        lines.sort_by_key(|(time, _)| *time);
        for (_, line) in lines {
            session.out.line(&line)?;
        }
        session.out.flush()?;
        timer.sleep(EVERY);
    }
    Ok(Exit::Done)
}

impl Watch<'_> {
    /// Where the clock was set back, looks from there: what is stored now must not wait until it has caught up.
    fn mind_the_clock(&mut self, now: Timestamp) {
        if now < back(self.looked, SLIP) {
            self.begun = self.begun.min(now);
            self.alerts_from = self.alerts_from.min(now);
            self.seen = self.seen.map(|(version, at)| (version, at.min(now)));
        }
        self.looked = now;
    }

    fn events(&mut self, lake: &Lake, lines: &mut Vec<(Timestamp, String)>) -> anyhow::Result<()> {
        let version = lake.version()?;
        let now = SystemClock.now();
        let since = match self.seen {
            Some((seen, _)) if seen == version => return Ok(()),
            // A file is written when it is full and committed later.
            Some((_, at)) => back(at, REACH),
            None => self.begun,
        };
        self.seen = Some((version, now));
        let scan = Scan { written_since: Some(since), ..self.asked.scan.clone() };
        let (asked, begun, format) = (&self.asked, self.begun, self.arguments.format);
        let shown = &mut self.events;
        lake.scan_batches(&scan, |batch| {
            for row in 0..batch.len() {
                let Some(stored) = batch.ingested_at(row).filter(|stored| *stored >= begun) else { continue };
                let event = batch.event(row);
                if asked.accepts(&event) && shown.insert((stored, event.id().to_owned()), ()).is_none() {
                    lines.push((event.event_time, of_event(&event, format)));
                }
            }
            ControlFlow::Continue(())
        })?;
        forget(shown, &mut self.begun, now);
        Ok(())
    }

    fn alerts(
        &mut self,
        state: &SqliteState,
        session: &Session,
        lines: &mut Vec<(Timestamp, String)>,
    ) -> anyhow::Result<()> {
        let filter = AlertFilter {
            recorded_since: Some(self.alerts_from),
            at_least: self.arguments.severity,
            account: self.arguments.filter.account.clone(),
            ..AlertFilter::open()
        };
        let (asked, shown, format) = (&self.asked, &mut self.alerts, self.arguments.format);
        each_alert(state, &filter, |alert| {
            // The record is the event's; an alert about ourselves has none, and is always shown.
            if event::decode::record(&alert.record).is_ok_and(|event| !asked.finds(&event)) {
                return Ok(());
            }
            let key = (alert.first_seen, alert.id.to_string());
            if shown.insert(key, ()).is_none() {
                lines.push((alert.event_time, of_alert(&alert, session, format)));
            }
            Ok::<(), anyhow::Error>(())
        })?;
        forget(shown, &mut self.alerts_from, self.looked);
        Ok(())
    }
}

/// Forgets what lies so far back that it is not looked at any more. What the clock has yet to come to, after it was set
/// back, is remembered and counts for nothing.
fn forget(shown: &mut BTreeMap<(Timestamp, String), ()>, begun: &mut Timestamp, now: Timestamp) {
    let until_now = ..(back(now, -SLIP), String::new());
    let Some(((newest, _), ())) = shown.range(until_now).next_back() else { return };
    let from = back(*newest, REACH);
    if from > *begun {
        *begun = from;
        *shown = shown.split_off(&(from, String::new()));
    }
}

fn of_event(event: &Event<'_>, format: WatchFormat) -> String {
    if format == WatchFormat::Jsonl {
        let record: serde_json::Value = serde_json::from_str(&event.to_json()).unwrap_or_default();
        return escape::json(&json!({ "event": record }).to_string()).into_owned();
    }
    let text = |part: Option<&str>| escape::terminal(part.unwrap_or("-")).into_owned();
    let mut line = format!(
        "{}  {}  {}  {}  {}  {}",
        event.event_time,
        text(event.account_id()),
        text(event.aws_region()),
        text(event.event_name()),
        text(event.who()),
        text(event.source_ip()),
    );
    for (label, part) in [("→ ", event.target()), ("✗ ", event.error_code())] {
        if let Some(part) = part {
            line.push_str("  ");
            line.push_str(label);
            line.push_str(&escape::terminal(part));
        }
    }
    line
}

fn of_alert(alert: &Alert, session: &Session, format: WatchFormat) -> String {
    if format == WatchFormat::Jsonl {
        return escape::json(&json!({ "alert": alert }).to_string()).into_owned();
    }
    format!(
        "{}  {} {}: {}  ({})",
        alert.event_time,
        session.out.severity(alert.severity),
        escape::terminal(&alert.title),
        escape::terminal(&alert.summary),
        alert.id.short(),
    )
}

fn back(time: Timestamp, micros: i64) -> Timestamp {
    Timestamp::from_micros(time.micros() - micros).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forgotten_is_behind_what_is_shown_and_never_ahead_of_the_clock() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let mut shown: BTreeMap<(Timestamp, String), ()> = BTreeMap::new();
        let mut begun = at("2026-01-15T11:00:00Z");
        for time in ["2026-01-15T11:30:00Z", "2026-01-15T12:00:00Z"] {
            shown.insert((at(time), time.to_owned()), ());
        }
        forget(&mut shown, &mut begun, at("2026-01-15T12:00:00Z"));
        assert_eq!((shown.len(), begun), (1, at("2026-01-15T11:50:00Z")));

        // The clock was set back by an hour, and something new is stored.
        begun = at("2026-01-15T11:00:00Z");
        shown.insert((at("2026-01-15T11:00:01Z"), "new".to_owned()), ());
        forget(&mut shown, &mut begun, at("2026-01-15T11:00:02Z"));
        assert_eq!((shown.len(), begun), (2, at("2026-01-15T11:00:00Z")), "what comes next is not missed");
    }
}

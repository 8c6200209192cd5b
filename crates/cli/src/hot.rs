//! The tables of a deployment, asked as the lake and the state are asked: `--store dynamodb://STACK`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

use aws::{AlertTable, Aws, ControlTable, Stored, TableNames, Tables};
use event::{Column, Day, Event, Timestamp};
use pipeline::alert::{Alert, AlertId};
use pipeline::lookup::AlertReference;
use pipeline::service::CallError;
use pipeline::state::{AlertFilter, StateError};

use crate::commands::events::Asked;
use crate::exit::usage;
use crate::output::plural;
use crate::session::Session;

/// How far back is looked where no beginning is given: a day of the table is a query of its own.
const DAYS: i32 = 7;

/// A deployment's tables.
pub(crate) struct HotStore {
    tables: Tables,
    stack: String,
}

/// What was found of the events asked for.
pub(crate) struct Found {
    /// The newest first.
    pub(crate) events: Vec<Event<'static>>,
    /// Whether there are more than were to be shown.
    pub(crate) more: bool,
    /// How many items could not be read.
    pub(crate) unread: u64,
}

/// The newest events of those read, one more than are to be shown, and what could not be read.
struct Newest {
    limit: Option<usize>,
    events: BTreeMap<(Reverse<Timestamp>, String), Event<'static>>,
    unread: u64,
    /// What is wrong with the first that could not be read.
    reason: Option<String>,
}

impl HotStore {
    pub(crate) fn open(session: &Session, address: &str) -> anyhow::Result<HotStore> {
        let stack = stack_of(address)?;
        let account = Aws::open(&session.access(), None)?.own()?;
        Ok(HotStore { tables: Tables::new(&account, TableNames::of_stack(stack), None), stack: stack.to_owned() })
    }

    /// The events asked for, at most `limit`. Items that cannot be read are told.
    pub(crate) fn events(&self, asked: &Asked, limit: Option<usize>, now: Timestamp) -> anyhow::Result<Found> {
        let table = self.tables.events(None);
        let until = asked.scan.until.unwrap_or(now);
        let to = Timestamp::from_micros(until.micros() - 1).unwrap_or(until).day();
        let from = asked.scan.from.map_or_else(|| Day::from_days(to.days() - DAYS + 1), Timestamp::day);
        if asked.scan.from.is_none() {
            crate::note(&format!("looking at the last {DAYS} days: say --from for more"));
        }
        let finds = |event: &Event<'_>| asked.finds(event);
        let mut newest = Newest::new(limit);
        // A user or an action has an index; anything else is looked for day by day.
        if let Some((column, value)) = indexed(asked) {
            table.of::<CallError>(column, &value, (from, to), &mut |page| {
                newest.take(&page, &finds);
                let day = page.iter().map(|stored| stored.day).min();
                let is_over = day.is_some_and(|day| newest.is_full_before(day));
                Ok(if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?;
        } else {
            for day in (from.days()..=to.days()).rev().map(Day::from_days) {
                if newest.is_full_before(day) {
                    break;
                }
                table.of_day::<CallError>(day, &mut |page| {
                    newest.take(&page, &finds);
                    Ok(())
                })?;
            }
        }
        if let Some(reason) = &newest.reason {
            let items = plural(newest.unread, "item", "items");
            crate::complain_of(&format!("dynamodb://{}", self.stack), &format!("{items} cannot be read: {reason}"));
        }
        Ok(newest.found())
    }

    /// The alerts asked for, the newest event first.
    pub(crate) fn alerts(&self, filter: &AlertFilter) -> anyhow::Result<Vec<Alert>> {
        self.alerts_that(&|alert| filter.admits(alert))
    }

    /// The alerts that somebody means, in the order of their references.
    pub(crate) fn find_alerts(&self, references: &[String]) -> anyhow::Result<Vec<Alert>> {
        let references = references.iter().map(|text| AlertReference::new(text)).collect::<Result<Vec<_>, _>>()?;
        let found = self.alerts_that(&|alert| references.iter().any(|reference| reference.admits(&alert.id)))?;
        let meant = references.iter().map(|reference| {
            let ids: Vec<&AlertId> = found.iter().map(|alert| &alert.id).filter(|id| reference.admits(id)).collect();
            let id = reference.only(&ids)?;
            Ok(found.iter().filter(|alert| alert.id == *id).cloned())
        });
        Ok(meant.collect::<Result<Vec<_>, StateError>>()?.into_iter().flatten().collect())
    }

    /// The table of alerts, to say what was done about them.
    pub(crate) fn alert_table(&self) -> AlertTable {
        self.tables.alerts(None)
    }

    /// Where its suppressions are.
    pub(crate) fn suppressions(&self) -> ControlTable {
        self.tables.control()
    }

    fn alerts_that(&self, are_meant: &dyn Fn(&Alert) -> bool) -> anyhow::Result<Vec<Alert>> {
        let mut found = Vec::new();
        self.alert_table().each::<StateError>(&mut |alert| {
            if are_meant(&alert) {
                found.push(alert);
            }
            Ok(())
        })?;
        found.sort_by(|one, two| two.event_time.cmp(&one.event_time).then_with(|| one.id.cmp(&two.id)));
        Ok(found)
    }
}

/// The stack that an address names.
pub(crate) fn stack_of(address: &str) -> anyhow::Result<&str> {
    let stack = address.strip_prefix("dynamodb://").filter(|stack| !stack.is_empty() && !stack.contains('/'));
    stack.ok_or_else(|| usage(format!("--store {address}: it is dynamodb://STACK, the stack's name")))
}

/// What an index can be asked for.
fn indexed(asked: &Asked) -> Option<(Column, String)> {
    if let [user] = &asked.scan.who[..] {
        crate::note("looked up by the user's name; sessions of a role are found by a pattern, such as --user 'alice*'");
        return Some((Column::UserName, user.clone()));
    }
    asked.scan.any_of.iter().find_map(|(column, values)| match (column, &values[..]) {
        (Column::EventName, [name]) => Some((Column::EventName, name.clone())),
        _ => None,
    })
}

impl Newest {
    fn new(limit: Option<usize>) -> Newest {
        Newest { limit, events: BTreeMap::new(), unread: 0, reason: None }
    }

    /// Takes what is asked for out of a page.
    fn take(&mut self, page: &[Stored], finds: &dyn Fn(&Event<'_>) -> bool) {
        for stored in page {
            match stored.to_event() {
                Ok(event) if finds(&event) => {
                    self.events.insert((Reverse(event.event_time), stored.id.clone()), event.into_owned());
                }
                Ok(_) => {}
                Err(reason) => {
                    self.unread += 1;
                    self.reason.get_or_insert_with(|| format!("event {} of {}: {reason}", stored.id, stored.day));
                }
            }
            if self.limit.is_some_and(|limit| self.events.len() > limit.saturating_add(1)) {
                self.events.pop_last();
            }
        }
    }

    /// Whether nothing of this day, or of one before it, is wanted any more.
    fn is_full_before(&self, day: Day) -> bool {
        let is_full = self.limit.is_some_and(|limit| self.events.len() > limit);
        is_full && self.events.last_key_value().is_some_and(|((Reverse(oldest), _), _)| oldest.day() > day)
    }

    fn found(self) -> Found {
        let limit = self.limit.unwrap_or(usize::MAX);
        let more = self.events.len() > limit;
        Found { events: self.events.into_values().take(limit).collect(), more, unread: self.unread }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(id: &str, time: &str, columns: &[(&str, &str)]) -> Stored {
        let always = [("event_id", id), ("event_time", time)];
        Stored {
            day: Day::parse(&time[..10]).unwrap(),
            id: id.to_owned(),
            record: Ok(None),
            columns: always.iter().chain(columns).map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
            source_object: None,
            ingested_at: None,
        }
    }

    fn ids(found: &Found) -> Vec<&str> {
        found.events.iter().map(Event::id).collect()
    }

    #[test]
    fn reading_ends_with_a_whole_day_beyond_the_limit() {
        // The days from the newest on, each by its ids.
        let days = [
            vec![stored("a", "2026-01-16T08:00:00Z", &[]), stored("b", "2026-01-16T09:00:00Z", &[])],
            vec![stored("c", "2026-01-15T08:00:00Z", &[]), stored("d", "2026-01-15T09:00:00Z", &[])],
        ];
        for (limit, expected, more) in [
            (Some(1), vec!["b"], true),
            (Some(3), vec!["b", "a", "d"], true),
            (Some(4), vec!["b", "a", "d", "c"], false),
        ] {
            let mut newest = Newest::new(limit);
            for page in days.iter().flat_map(|day| day.chunks(1)) {
                newest.take(page, &|_| true);
            }
            let found = newest.found();
            assert_eq!((ids(&found), found.more), (expected, more), "{limit:?}");
        }

        let (first, second) = (Day::parse("2026-01-16").unwrap(), Day::parse("2026-01-15").unwrap());
        let mut newest = Newest::new(Some(1));
        newest.take(&days[0], &|_| true);
        assert!(!newest.is_full_before(first), "the rest of the day may be newer");
        assert!(newest.is_full_before(second));
        let mut all = Newest::new(None);
        all.take(&days.concat(), &|event| event.id() != "a");
        assert!(!all.is_full_before(second));
        assert_eq!(ids(&all.found()), ["b", "d", "c"]);
    }

    #[test]
    fn an_item_that_is_no_event_is_counted_and_the_others_are_sound() {
        let time = "2026-01-15T08:00:00Z";
        let broken = Stored { record: Ok(Some("{".to_owned())), ..stored("broken", time, &[]) };
        let timeless = Stored { columns: BTreeMap::new(), ..stored("timeless", time, &[]) };
        let empty = stored("empty", time, &[("request_parameters", ""), ("user_name", "")]);
        let text = stored("text", time, &[("request_parameters", "userName=bob")]);
        let mut newest = Newest::new(None);
        newest.take(&[broken, timeless, empty, text], &|_| true);
        assert!(newest.reason.as_ref().unwrap().starts_with("event broken of 2026-01-15: "), "{:?}", newest.reason);
        let found = newest.found();
        assert_eq!((ids(&found), found.unread, found.more), (vec!["empty", "text"], 2, false));
        for event in &found.events {
            let record: serde_json::Value = serde_json::from_str(&event.to_json()).unwrap();
            assert_eq!(record["eventID"], event.id());
        }
        assert_eq!(found.events[0].user_name(), None);
    }
}

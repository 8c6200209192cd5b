//! The tables of a deployment, asked as the lake and the state are asked: `--store dynamodb://STACK`.

use std::collections::BTreeMap;

use aws::{Aws, EventTable, Stored, TableNames, Tables};
use event::{Column, Day, Event, Timestamp};
use pipeline::alert::Alert;
use pipeline::service::CallError;
use pipeline::state::{AlertFilter, StateError};

use crate::commands::events::Asked;
use crate::exit::usage;
use crate::session::Session;

/// How far back is looked where no beginning is given: a day of the table is a query of its own.
const DAYS: i32 = 7;
/// The most keys that an index is asked for.
const KEYS: usize = 100_000;

/// A deployment's tables.
pub(crate) struct HotStore {
    tables: Tables,
    stack: String,
}

impl HotStore {
    pub(crate) fn open(session: &Session, address: &str) -> anyhow::Result<HotStore> {
        let stack = stack_of(address)?;
        let account = Aws::open(&session.access(), None)?.own()?;
        Ok(HotStore { tables: Tables::new(&account, TableNames::of_stack(stack), None), stack: stack.to_owned() })
    }

    /// The events asked for, the newest first, at most `limit`, and whether there are more.
    pub(crate) fn events(
        &self,
        asked: &Asked,
        limit: Option<usize>,
        now: Timestamp,
    ) -> anyhow::Result<(Vec<Event<'static>>, bool)> {
        let table = self.tables.events(None);
        let until = asked.scan.until.unwrap_or(now);
        let to = Timestamp::from_micros(until.micros() - 1).unwrap_or(until).day();
        let from = asked.scan.from.map_or_else(|| Day::from_days(to.days() - DAYS + 1), Timestamp::day);
        if asked.scan.from.is_none() {
            crate::note(&format!("looking at the last {DAYS} days: say --from for more"));
        }
        let mut found = Vec::new();
        let take = |stored: Vec<Stored>, found: &mut Vec<Event<'static>>| -> anyhow::Result<()> {
            for stored in stored {
                let event = event(&stored, &self.stack)?;
                if asked.finds(&event) {
                    found.push(event);
                }
            }
            Ok(())
        };
        // A user or an action has an index; anything else is looked for day by day.
        if let Some((column, value)) = indexed(asked) {
            take(table.of(column, &value, (from, to), KEYS)?, &mut found)?;
        } else {
            for day in (from.days()..=to.days()).rev().map(Day::from_days) {
                of_day(&table, day, &mut |stored| take(stored, &mut found))?;
                if limit.is_some_and(|limit| found.len() > limit) {
                    break;
                }
            }
        }
        found.sort_by(|one, two| two.event_time.cmp(&one.event_time).then_with(|| one.id().cmp(two.id())));
        let more = limit.is_some_and(|limit| found.len() > limit);
        found.truncate(limit.unwrap_or(usize::MAX));
        Ok((found, more))
    }

    /// The alerts asked for, the newest event first.
    pub(crate) fn alerts(&self, filter: &AlertFilter) -> anyhow::Result<Vec<Alert>> {
        let mut found = Vec::new();
        self.tables.alerts(None).each::<StateError>(&mut |alert| {
            if filter.admits(&alert) {
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

fn of_day(table: &EventTable, day: Day, take: &mut dyn FnMut(Vec<Stored>) -> anyhow::Result<()>) -> anyhow::Result<()> {
    struct Failed(anyhow::Error);
    impl From<CallError> for Failed {
        fn from(error: CallError) -> Failed {
            Failed(error.into())
        }
    }
    table.of_day::<Failed>(day, &mut |events| take(events).map_err(Failed)).map_err(|Failed(error)| error)
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

/// The event of an item; of one that keeps no record, what stands in its attributes.
fn event(stored: &Stored, stack: &str) -> anyhow::Result<Event<'static>> {
    match stored.event() {
        Some(event) => match event {
            Ok(event) => Ok(event.into_owned()),
            Err(reason) => anyhow::bail!("dynamodb://{stack}: event {} of {}: {reason}", stored.id, stored.day),
        },
        None => Ok(of_attributes(stored.day, &stored.columns)),
    }
}

fn of_attributes(day: Day, columns: &BTreeMap<String, String>) -> Event<'static> {
    let time = columns.get("event_time").and_then(|text| Timestamp::parse(text)).or_else(|| day.start());
    let mut event = Event::new(time.unwrap_or(Timestamp::MIN));
    for &column in Column::ALL {
        if let Some(value) = columns.get(column.name()) {
            event.set(column, Some(value.clone().into()));
        }
    }
    event
}

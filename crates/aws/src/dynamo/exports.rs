//! What was exported, and which days changed since: two items of the control table.
//!
//! `#changed` has an attribute for each day to which events were written, with the time of the last write; it is noted
//! **before** events are written, and taken away by who exported the day, if nobody noted it again meanwhile. So a day that an
//! outage brings events to months later is found without reading any other day, and a writer that dies leaves a day that is
//! exported once too often and never one that is forgotten. A count of every day would say the same and cost as much as reading
//! all of them.
//!
//! `#export` has how many events of each day were exported, to which lake, and where an export stands that ran out of time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use event::{Day, Timestamp};
use pipeline::service::CallError;
use pipeline::state::StateError;

use super::item::{Attributes, Item, number, text};
use super::{Tables, storage};
use crate::error::classify;

const CHANGED: &str = "#changed";
const EXPORT: &str = "#export";
/// How long a day is not noted again by who noted it last.
const NOTED: i64 = 60 * 1_000_000;
/// How many days one call says something of: an expression has 4 KB.
const DAYS: usize = 80;

/// Notes which days change.
#[derive(Debug)]
pub(super) struct Changes {
    tables: Tables,
    noted: Mutex<BTreeMap<Day, Timestamp>>,
}

impl Changes {
    pub(super) fn new(tables: Tables) -> Changes {
        Changes { tables, noted: Mutex::default() }
    }

    /// Notes that events of these days are about to be written.
    pub(super) fn note(&self, days: BTreeSet<Day>, now: Timestamp) -> Result<(), CallError> {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = |day: &Day| is_due(noted.get(day).copied(), now);
        let new: Vec<(Day, Timestamp)> = days.into_iter().filter(is_due).map(|day| (day, now)).collect();
        note(&self.tables, &new, |place| format!(":t{place}"))?;
        noted.extend(new);
        Ok(())
    }
}

/// Whether a day is to be noted again.
fn is_due(last: Option<Timestamp>, now: Timestamp) -> bool {
    last.is_none_or(|last| !(0..NOTED).contains(&(now.micros() - last.micros())))
}

fn note(tables: &Tables, days: &[(Day, Timestamp)], value: fn(usize) -> String) -> Result<(), CallError> {
    for days in days.chunks(DAYS) {
        let places: Vec<String> = (0..days.len()).map(|place| format!("#d{place} = {}", value(place))).collect();
        let mut call = update(tables, CHANGED).update_expression(format!("SET {}", places.join(", ")));
        for (place, (day, at)) in days.iter().enumerate() {
            call = call
                .expression_attribute_names(format!("#d{place}"), day.to_string())
                .expression_attribute_values(format!(":t{place}"), text(at.to_string()));
        }
        tables.call("dynamodb:UpdateItem", call.send())?;
    }
    Ok(())
}

fn update(tables: &Tables, key: &str) -> UpdateItemFluentBuilder {
    tables.client.update_item().table_name(&tables.names.control).key("region", text(key))
}

/// What was exported, and what changed since.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    /// What it was exported to.
    pub lake: Option<String>,
    /// The days that were exported, with how many events each had.
    pub days: BTreeMap<Day, u64>,
    /// The days to which events were written that may not have been exported, with the time of the last write.
    pub changed: BTreeMap<Day, Timestamp>,
    /// Where an export stands that ran out of time.
    pub position: Option<Position>,
    /// Where the search for days stands that have events and were never noted, if it has not come to its end: the next day
    /// to look at.
    pub search: Option<Day>,
}

/// Where an export stands that ran out of time within a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The day.
    pub day: Day,
    /// The event that was exported last, in the order of the table.
    pub id: String,
    /// How many were.
    pub events: u64,
    /// When the day was begun: what was written later may lie before that event. An earlier program kept none.
    pub began: Option<Timestamp>,
}

/// What is known of exports.
#[derive(Debug)]
pub struct ExportTable {
    tables: Tables,
}

impl ExportTable {
    pub(super) fn new(tables: Tables) -> ExportTable {
        ExportTable { tables }
    }

    fn failed(&self, error: CallError) -> StateError {
        storage(&self.tables.names.control, error)
    }

    fn get(&self, key: &str) -> Result<Item, StateError> {
        let call = self.tables.client.get_item().table_name(&self.tables.names.control);
        let call = call.key("region", text(key)).consistent_read(true);
        let answer = self.tables.call("dynamodb:GetItem", call.send()).map_err(|error| self.failed(error))?;
        Ok(answer.item.unwrap_or_default())
    }

    /// What is known.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn read(&self) -> Result<Exported, StateError> {
        // In this order: a day that is exported in between is exported once more.
        let (changed, export) = (self.get(CHANGED)?, self.get(EXPORT)?);
        let days =
            |item: &Item| item.keys().filter_map(|name| Some((Day::parse(name)?, name.clone()))).collect::<Vec<_>>();
        let counted =
            days(&export).into_iter().filter_map(|(day, name)| Some((day, u64::try_from(export.number(&name)?).ok()?)));
        let noted = days(&changed).into_iter().filter_map(|(day, name)| Some((day, changed.time(&name)?)));
        let position = || {
            let (day, id) = export.text("position")?.split_once(' ')?;
            let events = u64::try_from(export.number("position_events")?).ok()?;
            Some(Position { day: Day::parse(day)?, id: id.to_owned(), events, began: export.time("position_began") })
        };
        Ok(Exported {
            lake: export.text("lake").map(str::to_owned),
            days: counted.collect(),
            changed: noted.collect(),
            position: position(),
            search: export.text("search").and_then(Day::parse),
        })
    }

    /// Begins with another lake: nothing was exported to it, and days are to be searched for from this one back.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn begin(&self, lake: &str, before: &Exported, search: Day) -> Result<(), StateError> {
        let failed = |error| self.failed(error);
        let forgotten: Vec<Day> = before.days.keys().copied().collect();
        for days in forgotten.chunks(DAYS) {
            let places: Vec<String> = (0..days.len()).map(|place| format!("#d{place}")).collect();
            let mut call = update(&self.tables, EXPORT).update_expression(format!("REMOVE {}", places.join(", ")));
            for (place, day) in days.iter().enumerate() {
                call = call.expression_attribute_names(format!("#d{place}"), day.to_string());
            }
            self.tables.call("dynamodb:UpdateItem", call.send()).map_err(failed)?;
        }
        // Last: who dies before begins again.
        let call = update(&self.tables, EXPORT)
            .update_expression("SET lake = :lake, #search = :search REMOVE #position, position_events, position_began")
            .expression_attribute_names("#position", "position")
            .expression_attribute_names("#search", "search")
            .expression_attribute_values(":lake", text(lake))
            .expression_attribute_values(":search", text(search.to_string()));
        self.tables.call("dynamodb:UpdateItem", call.send()).map_err(failed)?;
        Ok(())
    }

    /// Notes days that the search found, as if they had been written to at these times, unless they were noted meanwhile; and
    /// where it goes on, if it does.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn searched(&self, found: &[(Day, Timestamp)], next: Option<Day>) -> Result<(), StateError> {
        let failed = |error| self.failed(error);
        note(&self.tables, found, |place| format!("if_not_exists(#d{place}, :t{place})")).map_err(failed)?;
        let call = update(&self.tables, EXPORT).expression_attribute_names("#search", "search");
        let call = match next {
            None => call.update_expression("REMOVE #search"),
            Some(day) => call
                .update_expression("SET #search = :search")
                .expression_attribute_values(":search", text(day.to_string())),
        };
        self.tables.call("dynamodb:UpdateItem", call.send()).map_err(failed)?;
        Ok(())
    }

    /// Remembers that a day was exported, with so many events. `settled` is the note of its last change, if no event that it
    /// was made for can have been missed.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn exported(&self, day: Day, events: u64, settled: Option<Timestamp>) -> Result<(), StateError> {
        let call = update(&self.tables, EXPORT)
            .update_expression("SET #day = :events REMOVE #position, position_events, position_began")
            .expression_attribute_names("#day", day.to_string())
            .expression_attribute_names("#position", "position")
            .expression_attribute_values(":events", number(events));
        self.tables.call("dynamodb:UpdateItem", call.send()).map_err(|error| self.failed(error))?;
        tracing::debug!(%day, events, is_settled = settled.is_some(), "the day counts as exported");
        let Some(noted) = settled else { return Ok(()) };
        let call = update(&self.tables, CHANGED)
            .update_expression("REMOVE #day")
            .condition_expression("#day = :noted")
            .expression_attribute_names("#day", day.to_string())
            .expression_attribute_values(":noted", text(noted.to_string()));
        let call = async {
            match call.send().await {
                Ok(_) => Ok(()),
                Err(error) => match error.as_service_error() {
                    // It was noted again, or another export took it.
                    Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(()),
                    _ => Err(classify("dynamodb:UpdateItem", &error)),
                },
            }
        };
        self.tables.edge.run(call).map_err(|error| self.failed(error))
    }

    /// Remembers where an export stands that ran out of time.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn stopped(&self, position: &Position) -> Result<(), StateError> {
        tracing::debug!(day = %position.day, events = position.events, "the day goes on in the next run");
        let call = update(&self.tables, EXPORT)
            .expression_attribute_names("#position", "position")
            .expression_attribute_values(":position", text(format!("{} {}", position.day, position.id)))
            .expression_attribute_values(":events", number(position.events));
        let set = "SET #position = :position, position_events = :events";
        let call = match position.began {
            None => call.update_expression(format!("{set} REMOVE position_began")),
            Some(began) => call
                .update_expression(format!("{set}, position_began = :began"))
                .expression_attribute_values(":began", text(began.to_string())),
        };
        self.tables.call("dynamodb:UpdateItem", call.send()).map_err(|error| self.failed(error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_noted_again_after_a_minute() {
        let time = |text| Timestamp::parse(text).unwrap();
        let noted = Some(time("2026-01-15T12:00:00Z"));
        assert!(is_due(None, time("2026-01-15T12:00:00Z")));
        assert!(!is_due(noted, time("2026-01-15T12:00:59Z")));
        assert!(is_due(noted, time("2026-01-15T12:01:00Z")));
        // A clock that was put back.
        assert!(is_due(noted, time("2026-01-15T11:59:59Z")));
    }
}

//! One record as JSON gives it, and how it becomes an [`Event`].
//!
//! A record is parsed once, into the raw texts of its fields. Strings are borrowed where they hold no escape; inner
//! documents are kept as text. A field leaves `rest` only if its column renders it back exactly.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::Event;
use crate::column::{Column, Origin};
use crate::identity::Identity;
use crate::render::{ObjectWriter, compact};
use crate::time::Timestamp;

/// The key of `rest` that lists fields which the record does not have although their column has a value.
pub(crate) const ABSENT: &str = "-";
/// What stands before a record's own field in `rest` whose name starts with it.
pub(crate) const ESCAPE: &str = "-";

/// Why a record cannot become an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Neither an action nor a service: some other JSON object.
    #[error("not a CloudTrail record: it has neither eventName nor eventSource")]
    NotARecord,
    /// The record does not say when it happened.
    #[error("the record has no eventTime")]
    NoTime,
    /// The time is no time, or lies outside the years 2000 to 2099.
    #[error("eventTime is not a time between 2000 and 2099: {0}")]
    BadTime(String),
    /// The record is nested deeper than any reader should follow.
    #[error("nested deeper than {0} levels")]
    TooDeep(usize),
}

/// A JSON object's fields in order, each value as its text.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// The value of a field; of several with one name the last, as every JSON reader takes it.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(field, _)| field == name).map(|(_, value)| *value)
    }

    /// The value of a field if it is a string.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name).and_then(text)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), *value))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(28);
                while let Some(Key(name)) = map.next_key()? {
                    fields.push((name, map.next_value()?));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// An object's key, borrowed where it holds no escape.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// The text of a raw value that is a string, borrowed where it holds no escape.
pub(crate) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(raw.get()).ok().map(Cow::Owned)
}

/// Makes an event of a record's fields.
///
/// `known_time` is the time an envelope gave beside the record (LookupEvents' `EventTime`), for a record without one.
pub(crate) fn event<'a>(fields: &Fields<'a>, known_time: Option<Timestamp>) -> Result<Event<'a>, RecordError> {
    let mut time_text = None;
    let mut values: [Option<&'a RawValue>; Column::COUNT] = [None; Column::COUNT];
    let mut read_only = None;
    let mut left: Vec<(&str, &'a RawValue)> = Vec::new();
    for (name, value) in fields.iter() {
        if let Some(column) = Column::of_field(name) {
            values[column as usize] = Some(value);
        } else if name == "eventTime" {
            time_text = Some(value);
        } else if name == "readOnly" {
            read_only = Some(value);
        } else {
            left.push((name, value));
        }
    }
    if values[Column::EventName as usize].is_none() && values[Column::EventSource as usize].is_none() {
        return Err(RecordError::NotARecord);
    }

    let mut rest = ObjectWriter::new();
    let mut absent: Vec<&str> = Vec::new();
    let event_time = time(time_text, known_time)?;
    let mut event = Event::new(event_time);
    match time_text {
        None => absent.push("eventTime"),
        Some(raw) if text(raw).is_some_and(|text| text == event_time.to_string()) => {}
        Some(raw) => rest.json("eventTime", raw.get()),
    }
    match read_only.map(RawValue::get) {
        None => {}
        Some("true") => event.read_only = Some(true),
        Some("false") => event.read_only = Some(false),
        Some(other) => {
            // Exports write booleans as strings.
            event.read_only = match other {
                "\"true\"" => Some(true),
                "\"false\"" => Some(false),
                _ => None,
            };
            rest.json("readOnly", other);
        }
    }
    for &column in Column::ALL {
        let Some(raw) = values[column as usize] else { continue };
        match column.origin() {
            Origin::Text(field) => match text(raw) {
                // An id that says nothing gives way to a derived one.
                Some(text) if column == Column::EventId && text.is_empty() => rest.json(field, raw.get()),
                Some(text) => event.set(column, text),
                None => rest.json(field, &compact(raw)),
            },
            Origin::Json(field) => match raw.get() {
                // SQL's NULL reads better than the text `null`; what tells the two apart stays in `rest`.
                "null" => rest.json(field, "null"),
                _ => event.set(column, compact(raw)),
            },
            Origin::Rest | Origin::Derived => {}
        }
    }
    for (name, value) in left {
        if name.starts_with(ESCAPE) {
            rest.json(&format!("{ESCAPE}{name}"), &compact(value));
        } else {
            rest.json(name, &compact(value));
        }
    }

    let identity = Identity::resolve(values[Column::UserIdentity as usize].map(RawValue::get), &event);
    identity.into_columns(&mut event);
    if values[Column::AccountId as usize].is_none()
        && let Some(account) = event.actor_account_id().map(str::to_owned)
    {
        event.set(Column::AccountId, Cow::Owned(account));
        absent.push("recipientAccountId");
    }
    if !absent.is_empty() {
        // A list of fixed names, none of which needs escaping.
        rest.json(ABSENT, &format!("[\"{}\"]", absent.join("\",\"")));
    }
    if !rest.is_empty() {
        event.set(Column::Rest, Cow::Owned(rest.finish()));
    }
    crate::target::derive(&mut event);
    if event.event_id().is_none() {
        event.id_derived = true;
        let id = crate::id::derive_id(&event.to_json());
        event.set(Column::EventId, Cow::Owned(id));
    }
    Ok(event)
}

fn time(raw: Option<&RawValue>, known: Option<Timestamp>) -> Result<Timestamp, RecordError> {
    let Some(raw) = raw else {
        return known.ok_or(RecordError::NoTime);
    };
    let parsed = match text(raw) {
        Some(text) => Timestamp::parse(&text),
        // Seconds since the epoch, as some exporters write times.
        None => raw.get().parse::<i64>().ok().and_then(Timestamp::from_seconds),
    };
    parsed.ok_or_else(|| {
        // A stranger's text of any length: enough of it to recognise.
        RecordError::BadTime(raw.get().chars().take(40).collect())
    })
}

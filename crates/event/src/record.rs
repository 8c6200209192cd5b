//! One record as JSON gives it, and how it becomes an [`Event`].
//!
//! A record is parsed once, into the raw texts of its fields. Strings are borrowed where they hold no escape; inner
//! documents are kept as text. A field leaves `rest` only if its column renders it back exactly.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::Event;
use crate::column::{Column, Origin};
use crate::identity::Identities;
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

/// A JSON object's fields in the places where a record has them.
///
/// Of several fields with one name the last counts, as every JSON reader takes it.
pub(crate) struct Parts<'a> {
    /// The fields that have a column, by column.
    columns: [Option<&'a RawValue>; Column::COUNT],
    time: Option<&'a RawValue>,
    read_only: Option<&'a RawValue>,
    /// All others, in order.
    left: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Parts<'a> {
    /// Whether the object is a record: it names an action or a service.
    pub(crate) fn is_record(&self) -> bool {
        self.column(Column::EventName).is_some() || self.column(Column::EventSource).is_some()
    }

    pub(crate) fn column(&self, column: Column) -> Option<&'a RawValue> {
        self.columns[column as usize]
    }

    /// A field that records do not have, or that has no column.
    pub(crate) fn other(&self, name: &str) -> Option<&'a RawValue> {
        self.left.iter().rev().find(|(field, _)| field == name).map(|(_, value)| *value)
    }

    /// Every field under its name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        let columns = Column::ALL.iter().filter_map(|&column| match column.origin() {
            Origin::Text(field) | Origin::Json(field) => Some((field, self.column(column)?)),
            Origin::Rest | Origin::Derived => None,
        });
        let named = [("eventTime", self.time), ("readOnly", self.read_only)];
        let named = named.into_iter().filter_map(|(name, value)| Some((name, value?)));
        columns.chain(named).chain(self.left.iter().map(|(name, value)| (name.as_ref(), *value)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Parts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PartsVisitor;
        impl<'de> Visitor<'de> for PartsVisitor {
            type Value = Parts<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut parts =
                    Parts { columns: [None; Column::COUNT], time: None, read_only: None, left: Vec::with_capacity(8) };
                while let Some(Key(name)) = map.next_key()? {
                    let value = map.next_value()?;
                    if let Some(column) = Column::of_field(&name) {
                        parts.columns[column as usize] = Some(value);
                    } else if name == "eventTime" {
                        parts.time = Some(value);
                    } else if name == "readOnly" {
                        parts.read_only = Some(value);
                    } else {
                        parts.left.push((name, value));
                    }
                }
                Ok(parts)
            }
        }
        deserializer.deserialize_map(PartsVisitor)
    }
}

/// An object's key, borrowed where it holds no escape.
pub(crate) struct Key<'a>(pub(crate) Cow<'a, str>);

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
pub(crate) fn event<'a>(
    parts: &Parts<'a>,
    known_time: Option<Timestamp>,
    identities: &mut Identities<'a>,
) -> Result<Event<'a>, RecordError> {
    if !parts.is_record() {
        return Err(RecordError::NotARecord);
    }
    let mut rest = ObjectWriter::new();
    let mut absent: Vec<&str> = Vec::new();
    let event_time = time(parts.time, known_time)?;
    let mut event = Event::new(event_time);
    match parts.time {
        None => absent.push("eventTime"),
        Some(raw) if is_canonical(raw, event_time) => {}
        Some(raw) => rest.json("eventTime", raw.get()),
    }
    match parts.read_only.map(|raw| (raw, raw.get())) {
        None => {}
        Some((_, "true")) => event.read_only = Some(true),
        Some((_, "false")) => event.read_only = Some(false),
        Some((raw, other)) => {
            // Exports write booleans as strings.
            event.read_only = match other {
                "\"true\"" => Some(true),
                "\"false\"" => Some(false),
                _ => None,
            };
            rest.json("readOnly", &compact(raw));
        }
    }
    for &column in Column::ALL {
        let Some(raw) = parts.column(column) else { continue };
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
    for (name, value) in &parts.left {
        if name.starts_with(ESCAPE) {
            rest.json(&format!("{ESCAPE}{name}"), &compact(value));
        } else {
            rest.json(name, &compact(value));
        }
    }

    let user_identity = parts.column(Column::UserIdentity).map(RawValue::get);
    identities.of(user_identity.unwrap_or_default()).into_columns(&mut event);
    if parts.column(Column::AccountId).is_none()
        && let Some(account) = event.cow(Column::ActorAccountId).cloned()
    {
        event.set(Column::AccountId, account);
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

/// Whether the text of a time is the one that renders from it.
fn is_canonical(raw: &RawValue, time: Timestamp) -> bool {
    let Some(text) = text(raw) else { return false };
    Timestamp::parse_canonical(&text).is_some() || text == time.to_string()
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

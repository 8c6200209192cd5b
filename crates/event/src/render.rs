//! Columns back to the record: the inverse of [`crate::record`].

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::Event;
use crate::column::{Column, Origin};
use crate::record::{ABSENT, ESCAPE, Fields};

/// Writes the record of an event as one line of JSON, equal as a JSON value to what CloudTrail gave.
///
/// The order is CloudTrail's usual one for the fields with a column, then the rest as it came.
pub(crate) fn record(event: &Event<'_>) -> String {
    let rest = event.rest().and_then(|rest| serde_json::from_str::<Fields<'_>>(rest).ok()).unwrap_or_default();
    let absent: Vec<Cow<'_, str>> = match rest.get(ABSENT) {
        Some(list) => serde_json::from_str(list.get()).unwrap_or_default(),
        None => Vec::new(),
    };
    let mut out = ObjectWriter::new();
    for &column in ORDER {
        let (field, is_json) = match column.origin() {
            Origin::Text(field) => (field, false),
            Origin::Json(field) => (field, true),
            Origin::Rest | Origin::Derived => continue,
        };
        let hidden = absent.iter().any(|name| name == field) || (column == Column::EventId && event.id_derived);
        if let Some(text) = event.get(column).filter(|_| !hidden) {
            if is_json { out.json(field, text) } else { out.text(field, text) }
        }
        if column == Column::UserIdentity
            && rest.get("eventTime").is_none()
            && !absent.iter().any(|name| name == "eventTime")
        {
            out.text("eventTime", &event.event_time.to_string());
        }
    }
    if let Some(read_only) = event.read_only
        && rest.get("readOnly").is_none()
    {
        out.json("readOnly", if read_only { "true" } else { "false" });
    }
    for (name, value) in rest.iter() {
        if name == ABSENT {
            continue;
        }
        out.json(name.strip_prefix(ESCAPE).unwrap_or(name), value.get());
    }
    out.finish()
}

/// CloudTrail's usual order of the fields that have a column.
const ORDER: &[Column] = &[
    Column::EventVersion,
    Column::UserIdentity,
    Column::EventSource,
    Column::EventName,
    Column::AwsRegion,
    Column::SourceIp,
    Column::UserAgent,
    Column::ErrorCode,
    Column::ErrorMessage,
    Column::RequestParameters,
    Column::ResponseElements,
    Column::AdditionalEventData,
    Column::RequestId,
    Column::EventId,
    Column::Resources,
    Column::AwsEventType,
    Column::AccountId,
    Column::SharedEventId,
    Column::VpcEndpointId,
    Column::EventCategory,
];

/// Writes one JSON object, field by field.
pub(crate) struct ObjectWriter(String);

impl ObjectWriter {
    pub(crate) fn new() -> ObjectWriter {
        ObjectWriter(String::new())
    }

    fn name(&mut self, name: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.string(name);
        self.0.push(':');
    }

    fn string(&mut self, text: &str) {
        if text.bytes().any(|byte| matches!(byte, b'"' | b'\\') || byte < 0x20) {
            // Serialising a string cannot fail: it does no I/O and a str is always valid UTF-8.
            self.0.push_str(&serde_json::to_string(text).expect("a string is always JSON"));
        } else {
            self.0.push('"');
            self.0.push_str(text);
            self.0.push('"');
        }
    }

    /// A field whose value is JSON text already.
    pub(crate) fn json(&mut self, name: &str, json: &str) {
        if self.0.is_empty() {
            // Most records leave a few flags and `tlsDetails`.
            self.0.reserve(512);
        }
        self.name(name);
        self.0.push_str(json);
    }

    /// A field whose value is a string.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.string(text);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn finish(mut self) -> String {
        if self.0.is_empty() {
            self.0.push('{');
        }
        self.0.push('}');
        self.0
    }
}

/// A raw value's text without insignificant white space, where its start shows that there is some; never more than a
/// line.
///
/// CloudTrail writes compact JSON; other tools put a space behind each colon and comma, or break lines.
pub(crate) fn compact(raw: &RawValue) -> Cow<'_, str> {
    let text = raw.get();
    // A line break never stands in a string as it is.
    if !is_spaced(text.as_bytes()) && memchr::memchr2(b'\n', b'\r', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut in_string = false;
    let mut escaped = false;
    for character in text.chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
            out.push(character);
        } else if !matches!(character, ' ' | '\n' | '\r' | '\t') {
            in_string = character == '"';
            out.push(character);
        }
    }
    Cow::Owned(out)
}

/// Whether white space stands behind the first bracket, the first name's colon, or the first value.
fn is_spaced(json: &[u8]) -> bool {
    let is_space = |at: usize| matches!(json.get(at), Some(b' ' | b'\n' | b'\r' | b'\t'));
    let mut at = 0;
    while matches!(json.get(at), Some(b'{' | b'[')) {
        at += 1;
        if is_space(at) {
            return true;
        }
    }
    if at == 0 {
        return false;
    }
    // Behind the first name, or the first value of an array, as far as they hold no escape.
    let end = if json.get(at) == Some(&b'"') {
        memchr::memchr(b'"', &json[at + 1..]).map(|length| at + length + 2)
    } else {
        memchr::memchr(b',', &json[at..]).map(|length| at + length)
    };
    end.is_some_and(|end| is_space(end) || matches!(json.get(end), Some(b':' | b',')) && is_space(end + 1))
}

//! An alert as JSON, for machines.

use pipeline::alert::Alert;
use pipeline::notify::{Kind, Parcel};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The most characters of one text.
const TEXT_MAX: usize = 4096;
/// The most bytes of a record.
const RECORD_MAX: usize = 256 * 1024;

/// An alert as it is listed, every text bounded.
#[derive(Serialize)]
pub(crate) struct Document<'a> {
    #[serde(flatten)]
    fields: Map<String, Value>,
    /// The whole record, number for number; absent where it is not wanted, or is too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<&'a RawValue>,
}

impl<'a> Document<'a> {
    pub(crate) fn of(alert: &'a Alert, with_record: bool) -> Document<'a> {
        // Without its record an alert is small, and always an object.
        let bare = Alert { record: "null".to_owned(), ..alert.clone() };
        let mut fields = match serde_json::to_value(&bare) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        fields.remove("record");
        fields.values_mut().for_each(bound);
        let record = Some(&alert.record).filter(|record| with_record && record.len() <= RECORD_MAX);
        Document { fields, record: record.and_then(|record| serde_json::from_str(record).ok()) }
    }

    pub(crate) fn line(&self) -> String {
        visible(&serde_json::to_string(self).unwrap_or_default())
    }
}

/// A parcel for a machine.
#[derive(Serialize)]
pub(crate) struct ParcelDocument<'a> {
    /// The version of this format.
    version: u32,
    /// Tells a repetition.
    key: String,
    kind: &'static str,
    severity: &'static str,
    subject: String,
    count: usize,
    alerts: Vec<Document<'a>>,
}

impl<'a> ParcelDocument<'a> {
    pub(crate) fn of(parcel: &'a Parcel, with_record: bool) -> ParcelDocument<'a> {
        let kind = match parcel.kind() {
            Kind::One => "alert",
            Kind::Alike => "alike",
            Kind::Digest => "digest",
        };
        ParcelDocument {
            version: 1,
            key: parcel.key(),
            kind,
            severity: parcel.severity().as_str(),
            subject: pipeline::message::Message::of_parcel(parcel).subject,
            count: parcel.count(),
            alerts: parcel.alerts().map(|alert| Document::of(alert, with_record)).collect(),
        }
    }

    pub(crate) fn text(&self) -> String {
        visible(&serde_json::to_string(self).unwrap_or_default())
    }
}

/// The same value, with nothing hidden in its text: somebody will look at it in a terminal.
fn visible(document: &str) -> String {
    pipeline::escape::json(document).into_owned()
}

fn bound(value: &mut Value) {
    if let Value::String(text) = value
        && let Some((end, _)) = text.char_indices().nth(TEXT_MAX)
    {
        text.truncate(end);
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_given_back_byte_for_byte_and_texts_are_bounded() {
        let mut alert = crate::sample::sample(detect::all()[0], event::Timestamp::MIN);
        alert.record = r#"{"a": 1.0, "b": 12345678901234567890123}"#.to_owned();
        alert.user_agent = Some("x".repeat(10_000));
        let line = Document::of(&alert, true).line();
        assert!(line.ends_with(&format!("\"record\":{}}}", alert.record)), "{line}");
        assert!(line.len() < 8000);
        assert!(!Document::of(&alert, false).line().contains("12345678901234567890123"));
        alert.record = format!("\"{}\"", "x".repeat(RECORD_MAX));
        assert!(Document::of(&alert, true).line().len() < 8000);
    }
}

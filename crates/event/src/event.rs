//! The normalised event: one CloudTrail record in the columns of the `events` table.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::Value;
use twox_hash::XxHash3_64;

use crate::column::{Column, Origin};
use crate::id::EventKey;
use crate::lenient;
use crate::time::{Day, Timestamp};

/// One CloudTrail record, borrowed from the text it was decoded from where that is possible.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    /// When the call was made.
    pub event_time: Timestamp,
    /// Whether the call only read.
    pub read_only: Option<bool>,
    /// Whether the session (or the sign-in) used multi-factor authentication.
    pub mfa_authenticated: Option<bool>,
    /// Whether `event_id` was derived from the content because the record had none.
    pub id_derived: bool,
    text: [Option<Cow<'a, str>>; Column::COUNT],
    request: OnceCell<Box<Value>>,
    response: OnceCell<Box<Value>>,
    additional: OnceCell<Box<Value>>,
    identity: OnceCell<Box<Value>>,
}

impl<'a> Event<'a> {
    /// An event with a time and nothing else.
    #[must_use]
    pub fn new(event_time: Timestamp) -> Event<'a> {
        Event {
            event_time,
            read_only: None,
            mfa_authenticated: None,
            id_derived: false,
            text: [const { None }; Column::COUNT],
            request: OnceCell::new(),
            response: OnceCell::new(),
            additional: OnceCell::new(),
            identity: OnceCell::new(),
        }
    }

    /// The text of a column.
    #[must_use]
    pub fn get(&self, column: Column) -> Option<&str> {
        self.text[column as usize].as_deref()
    }

    /// The text of a column as it is held, for a part of it to be borrowed as long.
    pub(crate) fn cow(&self, column: Column) -> Option<&Cow<'a, str>> {
        self.text[column as usize].as_ref()
    }

    /// Sets the text of a column.
    pub fn set(&mut self, column: Column, text: impl Into<Option<Cow<'a, str>>>) {
        self.text[column as usize] = text.into();
    }

    /// The event's id, `""` only before one was given.
    #[must_use]
    pub fn id(&self) -> &str {
        self.get(Column::EventId).unwrap_or_default()
    }

    /// The action, `""` where the record names none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.get(Column::EventName).unwrap_or_default()
    }

    /// The service, such as `iam.amazonaws.com`, `""` where the record names none.
    #[must_use]
    pub fn source(&self) -> &str {
        self.get(Column::EventSource).unwrap_or_default()
    }

    /// The person or principal behind the event: the session's name where there is one, else the user's.
    #[must_use]
    pub fn who(&self) -> Option<&str> {
        self.session_name().or_else(|| self.user_name())
    }

    /// Whether the call was denied or failed: it has an error code, or is a sign-in with another outcome than success.
    ///
    /// An empty code is none: exports write one where the record has no such field.
    #[must_use]
    pub fn failed(&self) -> bool {
        let says = |text: Option<&str>| text.is_some_and(|text| !text.is_empty());
        if says(self.error_code()) {
            return true;
        }
        if self.event_type() != Some("signin") {
            return false;
        }
        // A sign-in tells its outcome in `responseElements`, keyed by its own name (`ConsoleLogin`, `SwitchRole` …).
        let outcome = self.response().get(self.name()).and_then(Value::as_str);
        match outcome {
            Some(outcome) => outcome.eq_ignore_ascii_case("failure"),
            None => says(self.error_message()),
        }
    }

    /// The UTC day the event belongs to.
    #[must_use]
    pub fn day(&self) -> Day {
        self.event_time.day()
    }

    /// The identity of the event within its day.
    #[must_use]
    pub fn key(&self) -> EventKey {
        EventKey::of(self.id())
    }

    /// `requestParameters`, parsed at the first call; `Null` where absent or not to be parsed.
    #[must_use]
    pub fn request(&self) -> &Value {
        self.parsed(&self.request, Column::RequestParameters)
    }

    /// `responseElements`, parsed at the first call; `Null` where absent or not to be parsed.
    #[must_use]
    pub fn response(&self) -> &Value {
        self.parsed(&self.response, Column::ResponseElements)
    }

    /// `additionalEventData`, parsed at the first call; `Null` where absent or not to be parsed.
    #[must_use]
    pub fn additional(&self) -> &Value {
        self.parsed(&self.additional, Column::AdditionalEventData)
    }

    /// `userIdentity`, parsed at the first call; `Null` where absent or not to be parsed.
    #[must_use]
    pub fn identity(&self) -> &Value {
        self.parsed(&self.identity, Column::UserIdentity)
    }

    fn parsed<'s>(&'s self, cell: &'s OnceCell<Box<Value>>, column: Column) -> &'s Value {
        cell.get_or_init(|| Box::new(self.get(column).and_then(lenient::parse).unwrap_or(Value::Null)))
    }

    /// A hash of everything the record says, the same for two copies whose columns are the same.
    ///
    /// Derived columns stay out of it: a better identity resolution must not turn stored events into variants. Equal
    /// hashes mean equal records; different ones mean that the records have to be compared as JSON values, because a
    /// nested object's keys may stand in another order.
    #[must_use]
    pub fn content_hash(&self) -> u64 {
        // Hashed in one go: that is three times as fast as handing the columns over one by one.
        let mut said = Vec::with_capacity(4096);
        said.extend_from_slice(&self.event_time.micros().to_le_bytes());
        said.push(match self.read_only {
            None => 0,
            Some(false) => 1,
            Some(true) => 2,
        });
        for &column in Column::ALL {
            if column.origin() == Origin::Derived || (column == Column::EventId && self.id_derived) {
                continue;
            }
            if let Some(text) = self.get(column) {
                said.push(column as u8);
                said.extend_from_slice(&(text.len() as u64).to_le_bytes());
                said.extend_from_slice(text.as_bytes());
            }
        }
        XxHash3_64::oneshot(&said)
    }

    /// The record as the JSON text CloudTrail gave, equal as a JSON value.
    #[must_use]
    pub fn to_json(&self) -> String {
        crate::render::record(self)
    }

    /// The same event, borrowing nothing.
    #[must_use]
    pub fn into_owned(self) -> Event<'static> {
        Event {
            event_time: self.event_time,
            read_only: self.read_only,
            mfa_authenticated: self.mfa_authenticated,
            id_derived: self.id_derived,
            text: self.text.map(|text| text.map(|text| Cow::Owned(text.into_owned()))),
            request: self.request,
            response: self.response,
            additional: self.additional,
            identity: self.identity,
        }
    }
}

/// Whether two records are the same JSON value: what decides between a duplicate and a variant.
///
/// Texts that are no JSON compare as texts.
#[must_use]
pub fn same_record(left: &str, right: &str) -> bool {
    match (serde_json::from_str::<Value>(left), serde_json::from_str::<Value>(right)) {
        (Ok(left), Ok(right)) => left == right,
        _ => left == right,
    }
}

//! One JSON object to an event: a record, or an envelope around one.

use std::borrow::Cow;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::scan::nesting_exceeds;
use super::{Limits, walk};
use crate::identity::Identities;
use crate::record::{self, Fields, Parts, text};
use crate::time::Timestamp;
use crate::{Column, Event, RecordError};

/// What an object turned out to be.
#[expect(clippy::large_enum_variant, reason = "it lives for one call and is an event almost always")]
pub(super) enum Element<'a> {
    Event(Event<'a>),
    Insight,
    Digest,
    Rejected {
        reason: String,
        /// The record's text, where it is not the whole object.
        text: Option<String>,
    },
}

impl Element<'_> {
    fn rejected(reason: impl ToString) -> Self {
        Element::Rejected { reason: reason.to_string(), text: None }
    }
}

/// Reads an object, and calls `found` once for each record in it.
pub(super) fn read<'a>(
    parts: &Parts<'a>,
    limits: &Limits,
    identities: &mut Identities<'a>,
    found: &mut dyn FnMut(Element<'a>),
) {
    found(if parts.is_record() && is_row_of_export(parts) {
        exported(parts.iter().map(|(name, value)| (name, Cow::Borrowed(value.get()))), limits)
    } else if parts.is_record() || is_insight(parts) {
        record(parts, None, identities)
    } else if let Some(record) = parts.other("CloudTrailEvent").and_then(text) {
        // A LookupEvents event: the record is a string in it.
        let time = parts.other("EventTime").and_then(lookup_time);
        embedded(&record, time, limits)
    } else if let Some(detail) = parts.other("detail") {
        event_bridge(detail, identities)
    } else if let Some(record) = parts.other("eventJson").or_else(|| parts.other("eventjson")).and_then(text) {
        // CloudTrail Lake's column with the whole record.
        embedded(&record, None, limits)
    } else if let Some(rows) = parts.other("QueryResultRows") {
        return query_rows(rows, limits, found);
    } else if parts.other("digestS3Object").is_some() && parts.other("digestStartTime").is_some() {
        Element::Digest
    } else if parts.iter().any(|(name, _)| is_export_of_record(name)) {
        exported(parts.iter().map(|(name, value)| (name, Cow::Borrowed(value.get()))), limits)
    } else {
        Element::rejected(RecordError::NotARecord)
    });
}

/// Whether documents stand in the record as text, `"{type=Root, …}"`: a row of CloudTrail Lake under the record's own names.
fn is_row_of_export(parts: &Parts<'_>) -> bool {
    let documents = [Column::UserIdentity, Column::RequestParameters];
    documents.iter().any(|&column| parts.column(column).is_some_and(|value| value.get().starts_with("\"{")))
}

fn is_export_of_record(name: &str) -> bool {
    // LookupEvents' own fields are spelled `EventName`; an export's are all in lower case.
    matches!(name, "eventname" | "eventsource")
}

/// Whether it is an Insight record; it names its action inside `insightDetails` only.
fn is_insight(parts: &Parts<'_>) -> bool {
    parts.other("insightDetails").is_some()
        || parts.column(Column::EventCategory).is_some_and(|value| value.get() == "\"Insight\"")
}

fn record<'a>(parts: &Parts<'a>, known_time: Option<Timestamp>, identities: &mut Identities<'a>) -> Element<'a> {
    if is_insight(parts) {
        return Element::Insight;
    }
    match record::event(parts, known_time, identities) {
        Ok(event) => Element::Event(event),
        Err(error) => Element::rejected(error),
    }
}

/// A record inside a string: it is parsed from a copy, so the event owns its text.
pub(super) fn embedded<'a>(text: &str, known_time: Option<Timestamp>, limits: &Limits) -> Element<'a> {
    let rejected = |reason: String| Element::Rejected { reason, text: Some(text.to_owned()) };
    if text.len() > limits.record {
        return rejected(walk::too_large(limits));
    }
    // The brackets inside a string were not counted with those around it.
    if nesting_exceeds(text.as_bytes(), limits.depth) {
        return rejected(RecordError::TooDeep(limits.depth).to_string());
    }
    let Ok(parts) = serde_json::from_str::<Parts<'_>>(text) else {
        return rejected("the record inside the envelope is not valid JSON".to_owned());
    };
    match record(&parts, known_time, &mut Identities::default()) {
        Element::Event(event) => Element::Event(event.into_owned()),
        Element::Insight => Element::Insight,
        Element::Digest => Element::Digest,
        Element::Rejected { reason, .. } => rejected(reason),
    }
}

fn event_bridge<'a>(detail: &'a RawValue, identities: &mut Identities<'a>) -> Element<'a> {
    match serde_json::from_str::<Parts<'a>>(detail.get()) {
        Ok(parts) if parts.is_record() || is_insight(&parts) => record(&parts, None, identities),
        _ => Element::rejected("an EventBridge event that is not CloudTrail's"),
    }
}

/// Epoch seconds, as the API gives them, or the text that the AWS CLI prints.
fn lookup_time(raw: &RawValue) -> Option<Timestamp> {
    match text(raw) {
        Some(text) => Timestamp::parse(&text),
        None => {
            let seconds: f64 = raw.get().parse().ok()?;
            Timestamp::from_seconds(seconds as i64)
        }
    }
}

/// The answer of CloudTrail Lake's GetQueryResults: rows of single-column objects.
fn query_rows<'a>(rows: &RawValue, limits: &Limits, found: &mut dyn FnMut(Element<'a>)) {
    let Ok(rows) = serde_json::from_str::<Vec<Vec<Fields<'_>>>>(rows.get()) else {
        return found(Element::rejected("QueryResultRows is not a list of rows"));
    };
    for row in rows {
        let json = row.iter().flat_map(Fields::iter).find(|(name, _)| name.eq_ignore_ascii_case("eventjson"));
        found(match json.and_then(|(_, value)| text(value)) {
            Some(record) => embedded(&record, None, limits),
            None => exported(
                row.iter().flat_map(Fields::iter).map(|(name, value)| (name, Cow::Borrowed(value.get()))),
                limits,
            ),
        });
    }
}

/// The record's own fields, by their names in lower case: exports lose the case, and nesting becomes text.
const FIELDS: &[&str] = &[
    "eventVersion",
    "userIdentity",
    "eventTime",
    "eventSource",
    "eventName",
    "awsRegion",
    "sourceIPAddress",
    "userAgent",
    "errorCode",
    "errorMessage",
    "requestParameters",
    "responseElements",
    "additionalEventData",
    "requestID",
    "eventID",
    "eventType",
    "apiVersion",
    "readOnly",
    "resources",
    "recipientAccountId",
    "serviceEventDetails",
    "sharedEventID",
    "vpcEndpointId",
    "vpcEndpointAccountId",
    "eventCategory",
    "managementEvent",
    "tlsDetails",
    "addendum",
    "sessionCredentialFromConsole",
    "edgeDeviceDetails",
];

/// The fields that hold a document or a boolean, which exports write as text.
const DOCUMENTS: &[&str] = &[
    "userIdentity",
    "requestParameters",
    "responseElements",
    "additionalEventData",
    "readOnly",
    "resources",
    "serviceEventDetails",
    "managementEvent",
    "tlsDetails",
    "addendum",
    "sessionCredentialFromConsole",
    "edgeDeviceDetails",
];

/// The names inside `userIdentity`, for the same reason.
const IDENTITY: &[&str] = &[
    "principalId",
    "accountId",
    "accessKeyId",
    "userName",
    "sessionContext",
    "sessionIssuer",
    "creationDate",
    "mfaAuthenticated",
    "invokedBy",
    "identityProvider",
    "sourceIdentity",
    "webIdFederationData",
    "federatedProvider",
    "ec2RoleDelivery",
    "onBehalfOf",
    "userId",
    "identityStoreArn",
    "credentialId",
    "inScopeOf",
];

/// Makes a record of an export's row: names in CloudTrail's spelling, documents as documents.
pub(super) fn exported<'f, 'a>(row: impl Iterator<Item = (&'f str, Cow<'f, str>)>, limits: &Limits) -> Element<'a> {
    let mut record = Map::new();
    for (name, json) in row {
        let Ok(value) = serde_json::from_str::<Value>(&json) else {
            return Element::rejected(format!("the field {name:?} of the export is not valid JSON"));
        };
        let name = spelled(name, FIELDS);
        // An export writes a field that the record lacks as null or as nothing.
        if value.is_null() || value.as_str().is_some_and(str::is_empty) {
            continue;
        }
        let value = if DOCUMENTS.contains(&name) { document(value) } else { value };
        let value = if name == "userIdentity" { respelled(value, 0) } else { value };
        record.insert(name.to_owned(), value);
    }
    let text = Value::Object(record).to_string();
    embedded(&text, None, limits)
}

fn spelled<'n>(name: &'n str, known: &[&'static str]) -> &'n str {
    known.iter().find(|spelling| spelling.eq_ignore_ascii_case(name)).copied().unwrap_or(name)
}

fn document(value: Value) -> Value {
    let Value::String(text) = value else { return value };
    match serde_json::from_str(&text) {
        Ok(document) => document,
        Err(_) => super::table::row_text(&text).unwrap_or(Value::String(text)),
    }
}

fn respelled(value: Value, depth: usize) -> Value {
    match value {
        Value::Object(map) if depth < 8 => map
            .into_iter()
            .map(|(name, value)| (spelled(&name, IDENTITY).to_owned(), respelled(value, depth + 1)))
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn only(content: &Value) -> Event<'static> {
        let mut events = Vec::new();
        let bytes = content.to_string();
        super::super::Decoder::default().decode(super::super::Content::Bytes(bytes.as_bytes()), &mut |batch| {
            assert!(batch.rejected.is_empty(), "{:?}", batch.rejected);
            events.extend(batch.events.into_iter().map(Event::into_owned));
            std::ops::ControlFlow::Continue(())
        });
        events.pop().expect("an event")
    }

    #[test]
    fn a_row_of_cloudtrail_lake_under_the_records_own_names() {
        let row = json!({
            "eventVersion": "1.11",
            "userIdentity": "{type=Root, principalid=111122223333, arn=arn:aws:iam::111122223333:root, accountid=111122223333}",
            "eventTime": "2026-01-05 10:00:00.000",
            "eventSource": "signin.amazonaws.com",
            "eventName": "ConsoleLogin",
            "errorCode": "",
            "additionalEventData": "{LoginTo=https://console.aws.amazon.com/?a=b&c=d, MobileVersion=No, MFAUsed=No}",
            "responseElements": "{ConsoleLogin=Success}",
            "readOnly": "false",
            "eventID": "id-1",
        });
        let event = only(&json!([row]));
        assert_eq!((event.actor_type(), event.actor_account_id()), (Some("Root"), Some("111122223333")));
        assert_eq!(event.response()["ConsoleLogin"], "Success");
        assert_eq!((event.read_only, event.mfa_authenticated), (Some(false), Some(false)));
        assert_eq!((event.error_code(), event.failed()), (None, false));

        let mut nested = row;
        nested["userIdentity"] = json!({"type": "IAMUser", "userName": "alice"});
        nested["requestParameters"] = json!(r#"{userName=bob, policyDocument={"Statement": []}}"#);
        assert_eq!(only(&nested).request(), &json!({"userName": "bob", "policyDocument": {"Statement": []}}));
    }

    #[test]
    fn a_record_whose_parameters_are_another_text_is_left_as_it_is() {
        let record = json!({
            "eventTime": "2026-01-05T10:00:00Z",
            "eventName": "CreateUser",
            "errorCode": "",
            "userIdentity": {"type": "IAMUser", "userName": "{alice}"},
            "requestParameters": "text",
        });
        let event = only(&record);
        assert_eq!(serde_json::from_str::<Value>(&event.to_json()).expect("JSON"), record);
    }

    #[test]
    fn an_empty_error_code_or_message_is_no_failure() {
        let record = |code: &str, message: &str| {
            let content = json!({
                "eventTime": "2026-01-05T10:00:00Z",
                "eventSource": "signin.amazonaws.com",
                "eventName": "ConsoleLogin",
                "eventType": "AwsConsoleSignIn",
                "errorCode": code,
                "errorMessage": message,
            });
            only(&content).failed()
        };
        assert!(!record("", ""));
        assert!(record("AccessDenied", ""));
        assert!(record("", "Failed authentication"));
    }
}

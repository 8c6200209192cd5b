//! Decoding keeps the whole record: what is rendered from an event is the JSON value it was decoded from.

use event::decode::record;
use event::{Column, same_record};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// The fields that mean something to the decoder, and names that could be taken for its own marks.
const FIELDS: &[&str] = &[
    "eventVersion",
    "userIdentity",
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
    "sharedEventID",
    "vpcEndpointId",
    "eventCategory",
    "managementEvent",
    "tlsDetails",
    "addendum",
    "-",
    "--",
    "-eventTime",
    "",
    "\"",
    "EventName",
    "futureField",
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(json!(1.0)),
        Just(json!("true")),
        Just(json!("")),
        Just(json!("2026-01-15T12:00:00Z")),
        "\\PC{0,12}".prop_map(Value::from),
        "[\\x00-\\x20\"\\\\,: {}\\[\\]é\u{2028}\u{1f600}]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec(("[a-z\"-]{0,4}", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn any_time() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => Just(json!("2026-01-15T12:00:00Z")),
        1 => Just(json!("2026-01-15T12:00:00.120Z")),
        1 => Just(json!("2026-01-15T13:00:00+01:00")),
        1 => Just(json!("2026-01-15 12:00:00")),
        1 => Just(json!(1_768_478_400)),
    ]
}

/// A record with any of the fields, each holding what it should or anything at all.
fn any_record() -> impl Strategy<Value = Value> {
    let field = (proptest::sample::select(FIELDS), any_json());
    (proptest::collection::vec(field, 0..14), any_time(), any::<bool>()).prop_map(|(fields, time, by_name)| {
        let mut record: Map<String, Value> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        record.insert("eventTime".to_owned(), time);
        // What makes it a record.
        record.entry(if by_name { "eventName" } else { "eventSource" }).or_insert(json!("x.amazonaws.com"));
        Value::Object(record)
    })
}

fn value(json: &str) -> Value {
    serde_json::from_str(json).expect("what is rendered is JSON")
}

/// All that an event holds.
fn columns(event: &event::Event<'_>) -> (Vec<Option<String>>, i64, Option<bool>, Option<bool>, bool) {
    let texts = Column::ALL.iter().map(|&column| event.get(column).map(str::to_owned)).collect();
    (texts, event.event_time.micros(), event.read_only, event.mfa_authenticated, event.id_derived)
}

#[track_caller]
fn assert_kept(text: &str) {
    let original = value(text);
    let event = record(text).expect("a record");
    let rendered = event.to_json();
    assert_eq!(value(&rendered), original);
    assert!(!rendered.contains('\n'), "one record is one line");
    let again = record(&rendered).expect("a rendered record is a record");
    assert_eq!(columns(&again), columns(&event), "decoding what was rendered changes nothing");
    assert_eq!(again.content_hash(), event.content_hash());
    assert_eq!(again.to_json(), rendered);
    assert!(same_record(text, &rendered));
    assert!(!event.id().is_empty(), "every event has an id");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_record_comes_back_as_it_was(record in any_record(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&record).expect("JSON") } else { record.to_string() };
        assert_kept(&text);
    }

    #[test]
    fn the_same_record_written_otherwise_has_the_same_id(record in any_record()) {
        let id = |text: &str| event::decode::record(text).expect("a record").id().to_owned();
        let pretty = serde_json::to_string_pretty(&record).expect("JSON");
        prop_assert_eq!(id(&pretty), id(&record.to_string()));
    }
}

#[test]
fn records_with_odd_fields_come_back_as_they_were() {
    for odd in [
        r#""eventID":"""#,
        r#""eventID":null"#,
        r#""eventID":7"#,
        r#""readOnly":"true""#,
        r#""readOnly":null"#,
        r#""readOnly":1"#,
        "\"readOnly\":[1,\n2],\"x\":[[],\r\n{}],\"requestParameters\":{\"\\\"a\":\n1}",
        r#""recipientAccountId":null,"userIdentity":{"accountId":"111122223333"}"#,
        r#""userIdentity":{"accountId":"111122223333"}"#,
        r#""userIdentity":{"type":"AssumedRole","sessionContext":{"sessionIssuer":[1,{"a":2}],"attributes":"x"}}"#,
        r#""userIdentity":"text","requestParameters":"text","resources":{},"responseElements":false"#,
        r#""requestParameters":null,"responseElements":null,"resources":null,"userIdentity":null"#,
        r#""requestParameters":{},"resources":[]"#,
        r#""-":["eventTime"],"--":1,"-x":null"#,
        r#""a":1,"b":1.0,"c":1e3,"d":-0,"e":0.1,"f":18446744073709551615"#,
        r#""text":"\u00e9\ud83d\ude00\u0000\n\t\/","sp ace":" , \": \" ","errorMessage":"line\nbreak \"quoted\" \\""#,
        r#""eventVersion":1.08,"eventSource":["x"],"awsRegion":{}"#,
    ] {
        assert_kept(&format!(r#"{{"eventName":"X","eventTime":"2026-01-15T12:00:00Z",{odd}}}"#));
        assert_kept(&format!("{{ \"eventName\" : \"X\",\n  \"eventTime\" : \"2026-01-15T12:00:00Z\" ,\n {odd} }}"));
    }
}

#[test]
fn numbers_keep_the_form_they_were_written_in() {
    let text = r#"{"eventName":"X","eventTime":"2026-01-15T12:00:00Z","requestParameters":{"a":1.0,"b":1,"c":1e400,"d":123456789012345678901234567890},"n":1.50}"#;
    let rendered = record(text).expect("a record").to_json();
    for number in [r#""a":1.0,"#, r#""b":1,"#, r#""c":1e400,"#, r#""d":123456789012345678901234567890}"#, r#""n":1.50"#]
    {
        assert!(rendered.contains(number), "{number}: {rendered}");
    }
}

#[test]
fn a_record_without_an_id_has_a_stable_one() {
    // Golden: the ids of stored events must never change.
    let text = r#"{"eventTime":"2026-01-15T12:00:00Z","eventName":"CreateUser","eventSource":"iam.amazonaws.com"}"#;
    let event = record(text).expect("a record");
    assert!(event.id_derived);
    assert_eq!(event.id(), "2ff2b63f-518e-8e68-b28e-6284f99473c4");
    let other = text.replace("CreateUser", "DeleteUser");
    assert_ne!(record(&other).expect("a record").id(), event.id());
}

//! What a message of a queue means.
//!
//! S3 tells of new objects directly, through an SNS topic or through EventBridge; CloudTrail tells of them through a topic
//! of its own; EventBridge hands on CloudTrail's records themselves. Everything in a message is a stranger's text: whoever
//! may send to the queue has written it.

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The largest message that is looked at. A queue takes 1 MiB at most.
const LARGEST: usize = 4 << 20;
/// The longest key that S3 allows.
const LONGEST_KEY: usize = 1024;

/// What a message means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// There are new objects.
    Objects {
        /// Which ones.
        objects: Vec<NewObject>,
        /// What else it tells of objects that brings nothing to read: deletions, restored copies.
        others: u64,
    },
    /// A record itself, as JSON text.
    Record(String),
    /// S3 tries whether the queue takes messages, once, when it is set up.
    Test,
}

/// An object that somebody says is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewObject {
    /// The bucket that is named.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Its entity tag, where it is told.
    pub etag: Option<String>,
    /// Its size in bytes, where it is told.
    pub size: Option<u64>,
}

/// Every field of every kind of message that tells what it means.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Envelope<'m> {
    // S3, directly.
    #[serde(rename = "Records", borrow)]
    records: Option<Vec<&'m RawValue>>,
    #[serde(rename = "Event")]
    event: Option<String>,
    // An SNS topic.
    #[serde(rename = "Type")]
    kind: Option<String>,
    #[serde(rename = "Message")]
    message: Option<String>,
    // EventBridge.
    source: Option<String>,
    #[serde(rename = "detail-type")]
    detail_type: Option<String>,
    #[serde(borrow)]
    detail: Option<&'m RawValue>,
    // CloudTrail's own topic.
    #[serde(rename = "s3Bucket")]
    bucket: Option<String>,
    #[serde(rename = "s3ObjectKey")]
    keys: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct S3Record {
    #[serde(rename = "eventName")]
    event_name: String,
    s3: S3Entity,
}

#[derive(Deserialize)]
struct S3Entity {
    bucket: S3Bucket,
    object: S3Object,
}

#[derive(Deserialize)]
struct S3Bucket {
    name: String,
}

#[derive(Deserialize)]
struct S3Object {
    key: String,
    #[serde(rename = "eTag", alias = "etag", default)]
    etag: Option<String>,
    #[serde(default)]
    size: Option<u64>,
}

/// Reads a message.
///
/// # Errors
/// Says why it means nothing that is known: a poison message.
pub fn read(body: &str) -> Result<Meaning, String> {
    read_within(body, true)
}

fn read_within(body: &str, may_be_topic: bool) -> Result<Meaning, String> {
    if body.len() > LARGEST {
        return Err(format!("larger than {LARGEST} bytes"));
    }
    // However deep it is: what is not looked at is passed over without recursion, and a record's depth is the decoder's.
    let envelope: Envelope<'_> = serde_json::from_str(body).map_err(|error| format!("no message we know: {error}"))?;
    if envelope.kind.as_deref() == Some("Notification") && may_be_topic {
        let inner = envelope.message.ok_or("an SNS notification without a Message")?;
        return read_within(&inner, false);
    }
    if envelope.event.as_deref() == Some("s3:TestEvent") {
        return Ok(Meaning::Test);
    }
    if let Some(records) = envelope.records {
        return s3_records(&records);
    }
    if let Some(bucket) = envelope.bucket {
        let keys = envelope.keys.ok_or("a notification of CloudTrail's without s3ObjectKey")?;
        let objects = keys.into_iter().map(|key| object(bucket.clone(), key, None, None));
        return Ok(Meaning::Objects { objects: objects.collect::<Result<_, _>>()?, others: 0 });
    }
    let (Some(detail_type), Some(detail)) = (envelope.detail_type, envelope.detail) else {
        return Err("no message we know: neither of S3, SNS, EventBridge nor CloudTrail".to_owned());
    };
    // Sign-ins are documented as `AWS Console Signin via CloudTrail` and seen as `AWS Console Sign In via CloudTrail`.
    if detail_type.ends_with(" via CloudTrail") {
        return Ok(Meaning::Record(detail.get().to_owned()));
    }
    match (envelope.source.as_deref(), &*detail_type) {
        (Some("aws.s3"), "Object Created") => {
            let S3Entity { bucket, object: S3Object { key, etag, size } } = serde_json::from_str(detail.get())
                .map_err(|error| format!("an Object Created we cannot read: {error}"))?;
            Ok(Meaning::Objects { objects: vec![object(bucket.name, key, etag, size)?], others: 0 })
        }
        (Some("aws.s3"), other) if other.starts_with("Object ") => {
            Ok(Meaning::Objects { objects: Vec::new(), others: 1 })
        }
        (_, other) => Err(format!("an event of EventBridge that is no record of CloudTrail: {}", shortened(other))),
    }
}

fn s3_records(records: &[&RawValue]) -> Result<Meaning, String> {
    let (mut objects, mut others) = (Vec::new(), 0);
    for record in records {
        let S3Record { event_name, s3 } =
            serde_json::from_str(record.get()).map_err(|error| format!("Records we cannot read: {error}"))?;
        // `s3:ObjectCreated:Put` where it comes from a topic's filter, `ObjectCreated:Put` in the message itself.
        if !event_name.trim_start_matches("s3:").starts_with("ObjectCreated:") {
            others += 1;
            continue;
        }
        let S3Object { key, etag, size } = s3.object;
        // Encoded like a form: a space is a plus.
        let key = key.replace('+', " ");
        let key = percent_decode_str(&key).decode_utf8().map_err(|_| "a key that is no UTF-8")?.into_owned();
        objects.push(object(s3.bucket.name, key, etag, size)?);
    }
    Ok(Meaning::Objects { objects, others })
}

fn object(bucket: String, key: String, etag: Option<String>, size: Option<u64>) -> Result<NewObject, String> {
    if key.is_empty() || key.len() > LONGEST_KEY {
        return Err(format!("a key of {} bytes", key.len()));
    }
    let etag = etag.map(|etag| etag.trim_matches('"').to_owned());
    Ok(NewObject { bucket, key, etag, size })
}

/// A stranger's words, cut where they are long.
pub(crate) fn shortened(text: &str) -> String {
    const LONGEST: usize = 200;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn new(bucket: &str, key: &str) -> NewObject {
        NewObject { bucket: bucket.to_owned(), key: key.to_owned(), etag: None, size: None }
    }

    fn s3(name: &str, key: &str) -> serde_json::Value {
        json!({"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": name,
            "s3": {"bucket": {"name": "b", "arn": "arn:aws:s3:::b"}, "object": {"key": key, "size": 7, "eTag": "e"}}})
    }

    fn sns(message: &str) -> String {
        json!({"Type": "Notification", "MessageId": "1", "TopicArn": "arn", "Message": message}).to_string()
    }

    #[test]
    fn objects_are_told_of_in_every_way() {
        let known = NewObject { etag: Some("e".to_owned()), size: Some(7), ..new("b", "a b/ü+.gz") };
        let direct = json!({"Records": [s3("ObjectCreated:Put", "a+b/%C3%BC%2B.gz")]}).to_string();
        let bridge = json!({"version": "0", "source": "aws.s3", "detail-type": "Object Created", "detail":
            {"bucket": {"name": "b"}, "object": {"key": "a b/ü+.gz", "size": 7, "etag": "e"}}})
        .to_string();
        let expected = Meaning::Objects { objects: vec![known], others: 0 };
        for body in [&direct, &bridge, &sns(&direct), &sns(&bridge)] {
            assert_eq!(read(body).as_ref(), Ok(&expected), "{body}");
        }
        let own = json!({"s3Bucket": "b", "s3ObjectKey": ["x", "y"]}).to_string();
        let expected = Meaning::Objects { objects: vec![new("b", "x"), new("b", "y")], others: 0 };
        assert_eq!(read(&own).as_ref(), Ok(&expected));
        assert_eq!(read(&sns(&own)).as_ref(), Ok(&expected));
    }

    #[test]
    fn a_deletion_brings_nothing_and_hides_nothing() {
        let body = json!({"Records": [s3("ObjectRemoved:Delete", "x"), s3("ObjectCreated:Copy", "y")]}).to_string();
        let Meaning::Objects { objects, others } = read(&body).unwrap() else { panic!("objects") };
        assert_eq!((objects[0].key.as_str(), objects.len(), others), ("y", 1, 1));
        let body = json!({"source": "aws.s3", "detail-type": "Object Deleted", "detail": {}}).to_string();
        assert_eq!(read(&body), Ok(Meaning::Objects { objects: Vec::new(), others: 1 }));
    }

    #[test]
    fn a_record_is_taken_as_it_stands() {
        let record = testkit::event("CreateUser").to_json();
        for kind in ["AWS API Call via CloudTrail", "AWS Console Sign In via CloudTrail"] {
            let body = format!(r#"{{"source":"aws.iam","detail-type":"{kind}","detail":{record}}}"#);
            assert_eq!(read(&body), Ok(Meaning::Record(record.clone())));
            assert_eq!(read(&sns(&body)), Ok(Meaning::Record(record.clone())));
        }
    }

    #[test]
    fn s3s_test_is_known() {
        let body = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-01-15T00:00:00Z","Bucket":"b"}"#;
        assert_eq!(read(body), Ok(Meaning::Test));
        assert_eq!(read(&sns(body)), Ok(Meaning::Test));
    }

    #[test]
    fn anything_else_is_poison() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let key = json!({"s3Bucket": "b", "s3ObjectKey": ["x".repeat(2000)]}).to_string();
        let utf8 = json!({"Records": [s3("ObjectCreated:Put", "%ff")]}).to_string();
        let other = r#"{"source":"aws.ec2","detail-type":"EC2 Instance State-change Notification","detail":{}}"#;
        let twice = sns(&sns(r#"{"Event":"s3:TestEvent"}"#));
        for body in ["", "hello", "[]", "{}", "null", r#"{"Records":[{}]}"#, r#"{"Records":7}"#] {
            assert!(read(body).is_err(), "{body}");
        }
        for body in [&deep, &key, &utf8, other, &twice, &" ".repeat(LARGEST + 1)] {
            assert!(read(body).is_err(), "{}", shortened(body));
        }
    }
}

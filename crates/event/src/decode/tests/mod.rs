//! Every envelope, every damage, and the two ways of reading that must agree.

mod damage;
mod envelopes;
mod generated;

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::*;

/// All that decoding gave, in a form that can be compared.
#[derive(Debug, Default, PartialEq, Eq)]
struct Decoded {
    records: Vec<String>,
    rejected: Vec<Rejected>,
    summary: Summary,
}

impl Decoded {
    /// The names of the events in order: enough to tell the records of these tests apart.
    fn names(&self) -> Vec<String> {
        let name = |json: &String| {
            let value: Value = serde_json::from_str(json).expect("a rendered record is JSON");
            value["eventName"].as_str().unwrap_or_default().to_owned()
        };
        self.records.iter().map(name).collect()
    }

    fn reasons(&self) -> Vec<&str> {
        self.rejected.iter().map(|rejected| rejected.reason.as_str()).collect()
    }

    fn damage(&self) -> &str {
        self.summary.damage.as_deref().unwrap_or_default()
    }
}

fn run(mut decoder: Decoder, content: Content<'_>) -> Decoded {
    let mut decoded = Decoded::default();
    decoded.summary = decoder.decode(content, &mut |batch| {
        decoded.records.extend(batch.events.iter().map(Event::to_json));
        decoded.rejected.extend(batch.rejected);
        ControlFlow::Continue(())
    });
    assert_eq!(decoded.summary.events, decoded.records.len() as u64, "the counts reconcile");
    assert_eq!(decoded.summary.rejected, decoded.rejected.len() as u64, "the counts reconcile");
    decoded
}

fn streamed(bytes: &[u8], limits: Limits, window: usize, pieces: &[usize]) -> Decoded {
    let mut decoder = Decoder::new(limits);
    decoder.window = window;
    let mut reader = Pieces { bytes, sizes: pieces.iter().copied().cycle() };
    run(decoder, Content::Reader(&mut reader))
}

/// Decodes as a whole and as a stream in odd pieces through a small window, which must agree.
fn decode_with(bytes: &[u8], limits: Limits) -> Decoded {
    let whole = run(Decoder::new(limits), Content::Bytes(bytes));
    for (window, pieces) in [(64, &[1, 7, 2][..]), (1000, &[333]), (WINDOW, &[1 << 20])] {
        let stream = streamed(bytes, limits, window, pieces);
        assert_eq!(stream, whole, "as a stream through a window of {window} bytes");
    }
    whole
}

fn decode(bytes: impl AsRef<[u8]>) -> Decoded {
    decode_with(bytes.as_ref(), Limits::default())
}

const WINDOW: usize = walk::WINDOW;

/// A reader that gives a few bytes at a time.
struct Pieces<'a, I> {
    bytes: &'a [u8],
    sizes: I,
}

impl<I: Iterator<Item = usize>> Read for Pieces<'_, I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.sizes.next().unwrap_or(1).min(buffer.len());
        (&mut self.bytes).take(size as u64).read(&mut buffer[..size])
    }
}

fn gz(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes.as_ref()).expect("into memory");
    encoder.finish().expect("into memory")
}

/// A record that can be told by its name.
fn rec(name: &str) -> Value {
    json!({
        "eventVersion": "1.11",
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice", "userName": "alice"},
        "eventTime": "2026-01-15T12:00:00Z",
        "eventSource": "iam.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-east-1",
        "sourceIPAddress": "198.51.100.7",
        "requestParameters": {"userName": "bób \"x\" \\ {["},
        "responseElements": null,
        "eventID": format!("id-{name}"),
        "readOnly": false,
        "recipientAccountId": "111122223333",
    })
}

fn recs(names: &[&str]) -> Value {
    Value::Array(names.iter().map(|name| rec(name)).collect())
}

fn lookup_page(names: &[&str], time: &Value) -> Value {
    let event = |name: &&str| {
        json!({
            "EventId": format!("id-{name}"),
            "EventName": name,
            "ReadOnly": "false",
            "EventTime": time,
            "EventSource": "iam.amazonaws.com",
            "Username": "alice",
            "Resources": [{"ResourceType": "AWS::IAM::User", "ResourceName": "bob"}],
            "CloudTrailEvent": rec(name).to_string(),
        })
    };
    json!({"Events": names.iter().map(event).collect::<Vec<_>>(), "NextToken": "eyJ0b2tlbiI6"})
}

fn event_bridge(name: &str) -> Value {
    json!({
        "version": "0",
        "id": "4e1c4dd0-0000-4a8b-8fa3-4f9d1b0b7c5b",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.iam",
        "account": "111122223333",
        "time": "2026-01-15T12:00:01Z",
        "region": "us-east-1",
        "resources": [],
        "detail": rec(name),
    })
}

//! Any bytes as a file: nothing panics, the counts reconcile, reading whole and in a stream give the same records, and each
//! event renders to a record that decodes to the same event.

#![no_main]

use std::io::Cursor;
use std::ops::ControlFlow;

use event::decode::{Content, Decoder, Limits, Summary, record};
use event::{RecordError, same_record};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { inflated: 1 << 20, record: 1 << 18, depth: 60 };

/// The records of a file as JSON, the number of rejected ones, and what the decoder says about it.
fn decode(content: Content<'_>) -> (Vec<String>, u64, Summary) {
    let (mut records, mut rejected) = (Vec::new(), 0);
    let summary = Decoder::new(LIMITS).decode(content, &mut |batch| {
        for event in &batch.events {
            // What detections look into.
            let _ = (event.request(), event.response(), event.additional(), event.identity());
            records.push(event.to_json());
        }
        rejected += batch.rejected.len() as u64;
        ControlFlow::Continue(())
    });
    (records, rejected, summary)
}

fuzz_target!(|data: &[u8]| {
    let (records, rejected, summary) = decode(Content::Bytes(data));
    assert_eq!((records.len() as u64, rejected), (summary.events, summary.rejected), "the counts reconcile");

    for json in &records {
        let again = match record(json) {
            Ok(again) => again.to_json(),
            // It was its envelope that told the time.
            Err(RecordError::NoTime) => continue,
            Err(error) => panic!("a rendered record is a record: {error}: {json}"),
        };
        assert!(same_record(json, &again), "{json}\n{again}");
    }

    let mut stream = Cursor::new(data);
    let (streamed, streamed_rejected, _) = decode(Content::Reader(&mut stream));
    assert_eq!((records, rejected), (streamed, streamed_rejected), "whole = stream");
});

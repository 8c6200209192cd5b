//! Bytes to events: gunzip, every envelope CloudTrail records come in, and a place for what cannot be read.
//!
//! [`Decoder::decode`] takes the content of one file (or object, or message) and hands out [`Batch`]es of events that
//! borrow from it. Content is recognised by what it holds, never by its name: trail files (`{"Records":[…]}`),
//! LookupEvents pages (`{"Events":[{"CloudTrailEvent":"…"}]}`), EventBridge envelopes (`{"detail":{…}}`), arrays, JSON
//! lines, single records, exports of CloudTrail Lake and Athena (JSON lines or CSV that carry the record's fields), each
//! plain or in one or more gzip members. Digest and Insight files are recognised and counted, not decoded.
//!
//! Small content is inflated whole; large content streams through a window, so memory stays flat. Damage ends a file,
//! not a run: the complete records before it are kept, and [`Summary::damage`] says what was found.
//!
//! Read in this order: `inflate` (gzip), `incoming` (content as it comes), `window` and `walk` (the state machine over
//! it), `scan` (where broken JSON ends), `element` (one JSON object to an event), `table` (CSV exports).

mod element;
mod incoming;
mod inflate;
mod scan;
mod table;
#[cfg(test)]
mod tests;
mod walk;
mod window;

use std::io::Read;
use std::ops::ControlFlow;

use crate::identity::Identities;
use crate::{Event, RecordError, record};

pub use inflate::{Content, Sealing, Whole};

/// What a stranger's file may cost at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Inflated bytes of one file.
    pub inflated: u64,
    /// Bytes of one record.
    pub record: usize,
    /// Levels of nesting in one record.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { inflated: 1 << 30, record: 16 << 20, depth: 100 }
    }
}

/// Some of a file's records, in the file's order.
#[derive(Debug, Default)]
pub struct Batch<'a> {
    /// The records that became events.
    pub events: Vec<Event<'a>>,
    /// The records that did not.
    pub rejected: Vec<Rejected>,
}

impl Batch<'_> {
    /// Events handed out at a time.
    const EVENTS: usize = 256;
    /// Bytes of rejected text handed out at a time.
    const REJECTED_TEXT: usize = 4 << 20;

    fn is_empty(&self) -> bool {
        self.events.is_empty() && self.rejected.is_empty()
    }

    /// Whether it is time to hand the batch out: a file of nothing but rubbish must not pile up either.
    fn is_full(&self) -> bool {
        self.events.len() + self.rejected.len() >= Self::EVENTS
            || self.rejected.iter().map(|rejected| rejected.text.len()).sum::<usize>() >= Self::REJECTED_TEXT
    }
}

/// A record that could not become an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The record's place among the file's records, from 1.
    pub number: u64,
    /// Why.
    pub reason: String,
    /// The record's text, as far as it is kept ([`Rejected::KEPT`] bytes), invalid UTF-8 replaced.
    pub text: String,
}

impl Rejected {
    /// How many bytes of a rejected record's text are kept.
    pub const KEPT: usize = 256 << 10;

    fn new(number: u64, reason: String, text: &[u8]) -> Rejected {
        let kept = text[..text.len().min(Self::KEPT)].trim_ascii_end();
        Rejected { number, reason, text: String::from_utf8_lossy(kept).into_owned() }
    }
}

/// What a file turned out to hold.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Records that became events.
    pub events: u64,
    /// Records that did not.
    pub rejected: u64,
    /// Insight records: counted and left for their own command.
    pub insights: u64,
    /// Digest documents: counted and left for their own command.
    pub digests: u64,
    /// Bytes after gunzip.
    pub inflated: u64,
    /// What ended the file before its end.
    pub damage: Option<String>,
    /// Whether the sink asked to stop.
    pub stopped: bool,
    /// What the gzip around it is worth to whoever compares the content with a hash.
    pub sealing: Sealing,
}

impl Summary {
    /// All records the file held, of whatever fate.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.events + self.rejected + self.insights
    }
}

/// Is shown inflated content, piece by piece.
pub type Watch<'w> = dyn FnMut(&[u8]) + 'w;

/// Receives batches; breaks to stop the decoding.
pub type Sink<'s> = dyn FnMut(Batch<'_>) -> ControlFlow<()> + 's;

/// Decodes file after file, reusing its buffers. One for each thread.
pub struct Decoder {
    limits: Limits,
    whole: Whole,
    /// The bytes of content that a stream holds at a time, as long as no record is larger.
    window: usize,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder::new(Limits::default())
    }
}

impl Decoder {
    /// A decoder with these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Decoder {
        Decoder { limits, whole: Whole::default(), window: walk::WINDOW }
    }

    /// Decodes the content of one file.
    pub fn decode(&mut self, content: Content<'_>, sink: &mut Sink<'_>) -> Summary {
        self.decode_watched(content, &mut |_| (), sink)
    }

    /// Decodes the content of one file, and shows `watch` every inflated byte on its way, in order. Where
    /// [`Summary::sealing`] is [`Sealing::Single`], it has seen all of them.
    pub fn decode_watched(&mut self, content: Content<'_>, watch: &mut Watch<'_>, sink: &mut Sink<'_>) -> Summary {
        let Decoder { limits, whole, window } = self;
        let stream = |reader: &mut dyn Read, sink: &mut Sink<'_>| walk::stream(reader, *window, limits, sink);
        match content {
            Content::Bytes(bytes) if inflate::is_gzip(bytes) => match whole.inflate(bytes, limits.inflated) {
                Some(inflated) => {
                    watch(inflated);
                    Summary { sealing: Sealing::Single, ..walk::whole(inflated, limits, sink) }
                }
                // Large, of several members, or damaged: slower, but it says what is wrong and where.
                None => inflate::with_gunzip(&mut &*bytes, watch, |reader: &mut dyn Read| stream(reader, sink)),
            },
            Content::Bytes(bytes) if bytes.len() as u64 <= limits.inflated => {
                Summary { sealing: Sealing::Broken, ..walk::whole(bytes, limits, sink) }
            }
            Content::Bytes(mut bytes) => Summary { sealing: Sealing::Broken, ..stream(&mut bytes, sink) },
            Content::Reader(reader) => inflate::with_gunzip(reader, watch, |reader| stream(reader, sink)),
        }
    }
}

/// Makes an event of the JSON text of one record.
///
/// # Errors
/// Says why the text is no CloudTrail record.
pub fn record(text: &str) -> Result<Event<'_>, RecordError> {
    let parts: record::Parts<'_> = serde_json::from_str(text).map_err(|_| RecordError::NotARecord)?;
    record::event(&parts, None, &mut Identities::default())
}

/// Makes an event of the JSON text of one record that came inside an envelope, within limits.
///
/// # Errors
/// Says why the text is no CloudTrail record, or costs too much.
pub fn record_within<'a>(text: &'a str, limits: &Limits) -> Result<Event<'a>, String> {
    if text.len() > limits.record {
        return Err(walk::too_large(limits));
    }
    if scan::nesting_exceeds(text.as_bytes(), limits.depth) {
        return Err(RecordError::TooDeep(limits.depth).to_string());
    }
    record(text).map_err(|error| error.to_string())
}

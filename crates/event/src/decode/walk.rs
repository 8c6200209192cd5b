//! The state machine that walks JSON documents and finds the records in them.
//!
//! It sees a window of the content at a time. Each record is parsed where it stands; only what no parser accepts, or
//! what is too large to be held, is scanned byte by byte, to find where to go on.

use std::io::Read;
use std::ops::ControlFlow;

use super::element::{self, Element};
use super::incoming::Incoming;
use super::scan::{Scan, nesting_exceeds};
use super::window::{Stop, Window, next_field, plain, skip_space, skip_value};
use super::{Batch, Limits, Rejected, Sink, Summary, table};
use crate::identity::Identities;
use crate::record::Parts;

/// The bytes of content that a stream holds at a time, as long as no record is larger.
pub(super) const WINDOW: usize = 4 << 20;
const BOM: &[u8] = b"\xef\xbb\xbf";
/// How deep arrays and envelopes may stand in each other around records.
const LEVELS: usize = 8;
/// How far a line that is no JSON is followed to find the next.
const LINE: usize = 64 << 10;
/// How much is shown of what is no JSON.
const EXCERPT: usize = 24;

/// Where in the documents the walk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// Inside an array of records or envelopes.
    Array,
    /// Inside an envelope's object, behind an array of records.
    Envelope,
}

/// Why a walk over a window pauses.
enum Step {
    /// The batch is full.
    Full,
    /// The rest of the window is the start of something.
    More,
    /// The window's UTF-8 must be checked anew from here.
    Recheck,
    /// Nothing is left.
    End,
}

/// What became of a value: walked over (go on), or a reason to pause, or the damage that ends the content.
type Walked = Result<Option<Step>, String>;

/// What a walk brings, and what it remembers while the window stands.
#[derive(Default)]
struct Out<'w> {
    batch: Batch<'w>,
    identities: Identities<'w>,
}

struct Walk<'l> {
    limits: &'l Limits,
    levels: Vec<Level>,
    summary: Summary,
}

/// Walks content that is in memory as a whole.
pub(super) fn whole(bytes: &[u8], limits: &Limits, sink: &mut Sink<'_>) -> Summary {
    let text = bytes.strip_prefix(BOM).unwrap_or(bytes);
    if table::is_table(text) {
        let mut nothing = std::io::empty();
        let mut incoming = Incoming::new(&mut nothing, limits.inflated);
        incoming.inflated = bytes.len() as u64;
        return table::decode(text, &mut incoming, limits, sink);
    }
    let mut walk = Walk::new(limits);
    walk.summary.inflated = bytes.len() as u64;
    match walk.buffer(text, true, sink) {
        Ok(_) => {}
        Err(damage) => walk.summary.damage = Some(damage),
    }
    walk.summary
}

/// Walks content as it comes, `window` bytes at a time.
pub(super) fn stream(reader: &mut dyn Read, window: usize, limits: &Limits, sink: &mut Sink<'_>) -> Summary {
    let mut incoming = Incoming::new(reader, limits.inflated);
    let mut buffer: Vec<u8> = Vec::new();
    // A header of a table must be seen as a whole.
    incoming.fill(&mut buffer, window.max(8 << 10));
    if buffer.starts_with(BOM) {
        buffer.drain(..BOM.len());
    }
    if table::is_table(&buffer) {
        return table::decode(&buffer, &mut incoming, limits, sink);
    }
    let mut walk = Walk::new(limits);
    let damage = walk.incoming(&mut incoming, buffer, window, sink).err();
    if damage.is_some() {
        incoming.drain();
    }
    walk.summary.inflated = incoming.inflated;
    walk.summary.damage = incoming.failure.or(damage);
    if walk.summary.stopped {
        walk.summary.damage = None;
    }
    walk.summary
}

impl<'l> Walk<'l> {
    fn new(limits: &'l Limits) -> Walk<'l> {
        Walk { limits, levels: Vec::new(), summary: Summary::default() }
    }

    fn incoming(
        &mut self,
        incoming: &mut Incoming<'_>,
        mut buffer: Vec<u8>,
        window: usize,
        sink: &mut Sink<'_>,
    ) -> Result<(), String> {
        let mut want = window;
        loop {
            incoming.fill(&mut buffer, want);
            let used = self.buffer(&buffer, incoming.ended, sink)?;
            if self.summary.stopped || incoming.ended || incoming.failure.is_some() {
                return Ok(());
            }
            buffer.drain(..used);
            let is_object = buffer.first() == Some(&b'{') && self.levels.last() != Some(&Level::Envelope);
            if is_object && buffer.len() > self.limits.record {
                self.skip_large(incoming, &mut buffer, window, sink)?;
            } else if buffer.len() > self.longest_stray() {
                return Err(self.too_large());
            }
            // Something larger than the window: let it grow, as far as a record may.
            want = if buffer.len() * 2 > want { want * 2 } else { want.max(window) };
        }
    }

    /// Walks over what is in the buffer; gives the place of what is still the start of something.
    fn buffer(&mut self, buffer: &[u8], last: bool, sink: &mut Sink<'_>) -> Result<usize, String> {
        let mut start = 0;
        let mut window = Window::new(buffer, last);
        let mut at = 0;
        let mut out = Out { batch: Batch::default(), identities: Identities::remembered() };
        loop {
            let step = self.window(window, &mut at, &mut out);
            if self.hand_out(std::mem::take(&mut out.batch), sink).is_break() {
                return Ok(start + at);
            }
            match step? {
                Step::Full => {}
                Step::Recheck => {
                    start += at;
                    at = 0;
                    window = Window::new(&buffer[start..], last);
                }
                Step::More | Step::End => return Ok(start + at),
            }
        }
    }

    fn hand_out(&mut self, batch: Batch<'_>, sink: &mut Sink<'_>) -> ControlFlow<()> {
        if batch.is_empty() {
            return ControlFlow::Continue(());
        }
        let flow = sink(batch);
        self.summary.stopped = flow.is_break();
        flow
    }

    /// Walks on from `at` until the batch is full, the window used up, or the documents are at an end.
    fn window<'w>(&mut self, window: Window<'w>, at: &mut usize, out: &mut Out<'w>) -> Result<Step, String> {
        loop {
            if out.batch.is_full() {
                return Ok(Step::Full);
            }
            *at = skip_space(window.bytes, *at);
            let Some(&byte) = window.bytes.get(*at) else {
                return if !window.last {
                    Ok(Step::More)
                } else if self.levels.is_empty() {
                    Ok(Step::End)
                } else {
                    Err(self.cut_off())
                };
            };
            if *at > window.text.len() {
                return Ok(Step::Recheck);
            }
            let step = match (self.levels.last(), byte) {
                (Some(Level::Array), b']') | (Some(Level::Envelope), b'}') => {
                    self.levels.pop();
                    *at += 1;
                    None
                }
                (Some(_), b',') => {
                    *at += 1;
                    None
                }
                (Some(Level::Envelope), b'"') => self.envelope_field(window, at, out)?,
                (Some(Level::Envelope), _) => self.not_json(window, *at)?,
                (_, b'[') if self.levels.len() < LEVELS => {
                    self.levels.push(Level::Array);
                    *at += 1;
                    None
                }
                (_, b'{') => self.object(window, at, out)?,
                (_, _) => self.stray(window, at, out)?,
            };
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    /// An object: an envelope to walk into, or an element.
    fn object<'w>(&mut self, window: Window<'w>, at: &mut usize, out: &mut Out<'w>) -> Walked {
        let mut place = *at + 1;
        let may_hold_records = self.levels.len() + 2 <= LEVELS;
        // What stops this loop early is an element, or is found to be none when it is read as one.
        while let Ok(field) = next_field(window, &mut place)
            && may_hold_records
        {
            if field.opens_records {
                self.levels.extend([Level::Envelope, Level::Array]);
                *at = place;
                return Ok(None);
            }
            if field.is_of_element || skip_value(window, &mut place).is_err() || place - *at > self.limits.record {
                break;
            }
            place = skip_space(window.bytes, place);
            if window.bytes.get(place) != Some(&b',') {
                break;
            }
            place += 1;
        }
        self.element(window, at, out)
    }

    /// A field of an envelope behind its records, such as `NextToken`.
    fn envelope_field<'w>(&mut self, window: Window<'w>, at: &mut usize, out: &mut Out<'w>) -> Walked {
        let mut place = *at;
        let field = match next_field(window, &mut place) {
            Ok(field) => field,
            Err(stop) => return self.stopped(&stop, window, *at),
        };
        if field.opens_records {
            self.levels.push(Level::Array);
        } else if let Err(stop) = skip_value(window, &mut place) {
            return self.stopped(&stop, window, *at);
        } else if place - *at > self.longest_stray() {
            return Err(self.too_large());
        } else if field.makes_a_record {
            // No envelope has a field of this name: a record stands here that was taken for one.
            self.reject("a record with records in it".to_owned(), &window.bytes[*at..place], out);
        }
        *at = place;
        Ok(None)
    }

    /// For what does not parse as it stands: wait for more of it, if more can come.
    fn stopped(&self, stop: &Stop, window: Window<'_>, at: usize) -> Walked {
        match stop {
            Stop::RanOut if window.may_go_on() => Ok(Some(Step::More)),
            Stop::RanOut if window.is_text && window.text.len() - at > self.longest_stray() => Err(self.too_large()),
            Stop::RanOut | Stop::Broken => self.not_json(window, at),
        }
    }

    /// One JSON object that is no envelope of many.
    fn element<'w>(&mut self, window: Window<'w>, at: &mut usize, out: &mut Out<'w>) -> Walked {
        let text = &window.text[*at..];
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Parts<'w>>();
        match values.next() {
            Some(Ok(parts)) => {
                let length = values.byte_offset();
                *at += length;
                self.take(&parts, &text[..length], out);
                Ok(None)
            }
            Some(Err(error)) if error.is_eof() && window.may_go_on() => Ok(Some(Step::More)),
            Some(Err(error)) if error.is_eof() && window.is_text => self.torn(window, at, out),
            Some(Err(error)) => self.broken(&error, window, at, out),
            // An iterator over a text that starts with a brace has an element.
            None => self.not_json(window, *at),
        }
    }

    fn take<'w>(&mut self, parts: &Parts<'w>, text: &'w str, out: &mut Out<'w>) {
        let limits = self.limits;
        if text.len() > limits.record {
            return self.reject(too_large(limits), text.as_bytes(), out);
        }
        if nesting_exceeds(text.as_bytes(), limits.depth) {
            return self.reject(crate::RecordError::TooDeep(limits.depth).to_string(), text.as_bytes(), out);
        }
        element::read(parts, limits, &mut out.identities, &mut |element| match element {
            Element::Event(event) => {
                self.summary.events += 1;
                out.batch.events.push(event);
            }
            Element::Insight => self.summary.insights += 1,
            Element::Digest => self.summary.digests += 1,
            Element::Rejected { reason, text: of_record } => {
                self.summary.rejected += 1;
                let kept = of_record.as_deref().unwrap_or(text);
                out.batch.rejected.push(Rejected::new(self.summary.records(), reason, kept.as_bytes()));
            }
        });
    }

    fn reject(&mut self, reason: String, bytes: &[u8], out: &mut Out<'_>) {
        self.summary.rejected += 1;
        out.batch.rejected.push(Rejected::new(self.summary.records(), reason, bytes));
    }

    /// An object that does not parse: reject it and go on behind it, or give the content up.
    fn broken<'w>(
        &mut self,
        error: &serde_json::Error,
        window: Window<'w>,
        at: &mut usize,
        out: &mut Out<'w>,
    ) -> Walked {
        let bytes = &window.bytes[*at..];
        let reason =
            if error.is_eof() { "invalid UTF-8".to_owned() } else { format!("not valid JSON: {}", plain(error)) };
        match self.scan(bytes).feed(bytes, window.last) {
            Some(end) => {
                let reason = if end > self.limits.record { too_large(self.limits) } else { reason };
                self.reject(reason, &bytes[..end], out);
                *at += end;
                Ok(None)
            }
            None if !window.last => Ok(Some(Step::More)),
            None if bytes.len() > self.limits.record => Err(self.too_large()),
            None => Err(format!("{reason}{}", self.behind())),
        }
    }

    /// An object that the content ends in the middle of.
    fn torn<'w>(&mut self, window: Window<'w>, at: &mut usize, out: &mut Out<'w>) -> Walked {
        let bytes = &window.bytes[*at..];
        if bytes.len() > self.limits.record {
            return Err(self.too_large());
        }
        if self.levels.is_empty() && self.summary.records() > 0 {
            // The last of JSON lines: one record that was not written to its end.
            self.reject("the line ends in the middle of a record".to_owned(), bytes, out);
            *at = window.bytes.len();
            return Ok(None);
        }
        Err(self.cut_off())
    }

    /// Something that is no object where an object should stand.
    fn stray<'w>(&mut self, window: Window<'w>, at: &mut usize, out: &mut Out<'w>) -> Walked {
        let mut place = *at;
        match skip_value(window, &mut place) {
            Ok(()) if place - *at > self.limits.record => return Err(self.too_large()),
            Ok(()) => {
                self.reject("not a JSON object".to_owned(), &window.bytes[*at..place], out);
                *at = place;
                return Ok(None);
            }
            Err(Stop::RanOut) if window.may_go_on() => return Ok(Some(Step::More)),
            Err(Stop::RanOut) if window.is_text && window.text.len() - *at > self.longest_stray() => {
                return Err(self.too_large());
            }
            Err(Stop::RanOut | Stop::Broken) => {}
        }
        // Among JSON lines, one that is none.
        let bytes = &window.bytes[*at..];
        let look = &bytes[..bytes.len().min(LINE)];
        if !window.last && look.len() < LINE {
            return Ok(Some(Step::More));
        }
        if self.levels.is_empty()
            && let Some(line) = memchr::memchr(b'\n', look)
            && matches!(look.get(skip_space(look, line)), None | Some(b'{' | b'['))
        {
            self.reject("not JSON".to_owned(), &bytes[..line], out);
            *at += line;
            return Ok(None);
        }
        self.not_json(window, *at)
    }

    /// Follows the object that these bytes begin with. What is wrong with it counts only where it is seen before the object
    /// is too large to be held: then its end is the same however much of it is in sight.
    fn scan(&self, bytes: &[u8]) -> Scan {
        let seen = Window::new(&bytes[..bytes.len().min(self.limits.record)], false);
        let is_broken = match serde_json::from_str::<Parts<'_>>(seen.text) {
            Err(error) if error.is_eof() => !seen.is_text,
            Err(_) => true,
            Ok(_) => false,
        };
        Scan::new(self.levels.is_empty(), is_broken)
    }

    /// Passes over an object that is too large to be held, and rejects it with its start.
    fn skip_large(
        &mut self,
        incoming: &mut Incoming<'_>,
        buffer: &mut Vec<u8>,
        window: usize,
        sink: &mut Sink<'_>,
    ) -> Result<(), String> {
        let mut scan = self.scan(buffer);
        let mut kept = Vec::new();
        loop {
            let end = scan.feed(buffer, incoming.ended);
            let of_object = end.unwrap_or(buffer.len());
            kept.extend_from_slice(&buffer[..of_object.min(Rejected::KEPT - kept.len())]);
            buffer.drain(..of_object);
            if end.is_some() {
                let mut out = Out::default();
                self.reject(too_large(self.limits), &kept, &mut out);
                // Whether the sink breaks is seen by the caller.
                let _ = self.hand_out(out.batch, sink);
                return Ok(());
            }
            if incoming.ended || incoming.failure.is_some() {
                return Err(self.too_large());
            }
            incoming.fill(buffer, window);
        }
    }

    /// How much of what is no object is held to find its end.
    fn longest_stray(&self) -> usize {
        self.limits.record.max(LINE)
    }

    fn too_large(&self) -> String {
        format!("{}{}", too_large(self.limits), self.behind())
    }

    fn cut_off(&self) -> String {
        format!("the JSON is cut off{}", self.behind())
    }

    /// The end of the content as text that can be read, once enough of it is in sight to be shown.
    fn not_json(&self, window: Window<'_>, at: usize) -> Walked {
        let bytes = &window.bytes[at..];
        if !window.last && bytes.len() < EXCERPT {
            return Ok(Some(Step::More));
        }
        if self.summary.records() == 0 && (bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")) {
            return Err("text in UTF-16, which is not read: write it as UTF-8".to_owned());
        }
        let excerpt = String::from_utf8_lossy(&bytes[..bytes.len().min(EXCERPT)]).into_owned();
        Err(format!("not JSON at {excerpt:?}{}", self.behind()))
    }

    fn behind(&self) -> String {
        match self.summary.records() {
            0 => String::new(),
            1 => ", behind 1 complete record".to_owned(),
            records => format!(", behind {records} complete records"),
        }
    }
}

pub(super) fn too_large(limits: &Limits) -> String {
    format!("a record is larger than {} bytes (limits.max_record)", limits.record)
}

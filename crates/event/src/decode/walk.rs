//! The state machine that walks JSON documents and finds the records in them.
//!
//! It sees a window of the content at a time. Each record is parsed where it stands; only what no parser accepts is
//! scanned byte by byte, to find where to go on.

use std::io::Read;
use std::ops::ControlFlow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::element::{self, Element};
use super::{Batch, Limits, Rejected, Sink, Summary, inflate, table};
use crate::record::{self, Fields};

/// Events handed out at a time.
const BATCH: usize = 1024;
/// The bytes of content that a stream holds at a time, as long as no record is larger.
const WINDOW: usize = 4 << 20;

/// Where in the documents the walk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// Inside an array of records or envelopes.
    Array,
    /// Inside an envelope's object, behind an array of records.
    Envelope,
}

/// How a walk over one window ended.
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

/// A part of the content, checked as UTF-8 as far as it is valid.
#[derive(Clone, Copy)]
struct Window<'w> {
    bytes: &'w [u8],
    text: &'w str,
    last: bool,
}

impl<'w> Window<'w> {
    fn new(bytes: &'w [u8], last: bool) -> Window<'w> {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            // Valid as far as `valid_up_to`: the second check cannot fail.
            Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
        };
        Window { bytes, text, last }
    }
}

struct Walk<'l> {
    limits: &'l Limits,
    levels: Vec<Level>,
    summary: Summary,
}

/// Walks content that is in memory as a whole.
pub(super) fn whole(bytes: &[u8], limits: &Limits, sink: &mut Sink<'_>) -> Summary {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if table::is_table(bytes) {
        return table::decode(bytes, limits, sink);
    }
    let mut walk = Walk::new(limits);
    walk.summary.inflated = bytes.len() as u64;
    let mut window = Window::new(bytes, true);
    let mut at = 0;
    loop {
        let mut batch = Batch::default();
        let step = walk.window(window, &mut at, &mut batch);
        if walk.hand_out(batch, sink).is_break() {
            break;
        }
        match step {
            Ok(Step::Full) => {}
            Ok(Step::Recheck) => {
                window = Window::new(&window.bytes[at..], true);
                at = 0;
            }
            Ok(Step::More | Step::End) => break,
            Err(damage) => {
                walk.summary.damage = Some(damage);
                break;
            }
        }
    }
    walk.summary
}

/// Walks content as it comes.
pub(super) fn stream(reader: &mut dyn Read, limits: &Limits, sink: &mut Sink<'_>) -> Summary {
    let mut walk = Walk::new(limits);
    let mut buffer: Vec<u8> = Vec::with_capacity(WINDOW);
    let mut want = WINDOW;
    let mut failure: Option<String> = None;
    let mut ended = false;
    loop {
        while !ended && failure.is_none() && buffer.len() < want {
            let room = (want - buffer.len()) as u64;
            let left = limits.inflated.saturating_sub(walk.summary.inflated);
            match reader.take(room.min(left + 1)).read_to_end(&mut buffer) {
                Ok(0) => ended = true,
                Ok(read) => {
                    walk.summary.inflated += read as u64;
                    if read as u64 > left {
                        failure = Some(inflate::over_limit(limits));
                    }
                }
                Err(error) => {
                    // What was inflated before the error stands in the buffer.
                    failure = Some(inflate::describe(&error, walk.summary.inflated + buffer.len() as u64));
                }
            }
        }
        if walk.summary.records() == 0 && walk.levels.is_empty() && table::is_table(&buffer) {
            let rest = std::io::Cursor::new(buffer).chain(reader);
            return table::decode(rest.take(limits.inflated), limits, sink);
        }
        let mut start = if walk.summary.inflated == buffer.len() as u64 && buffer.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let mut window = Window::new(&buffer[start..], ended);
        let mut at = 0;
        let finished = loop {
            let mut batch = Batch::default();
            let step = walk.window(window, &mut at, &mut batch);
            if walk.hand_out(batch, sink).is_break() {
                return walk.summary;
            }
            match step {
                Ok(Step::Full) => {}
                Ok(Step::Recheck) => {
                    start += at;
                    window = Window::new(&buffer[start..], ended);
                    at = 0;
                }
                Ok(Step::More) => break false,
                Ok(Step::End) => break ended || failure.is_some(),
                Err(damage) => {
                    walk.summary.damage = Some(failure.unwrap_or(damage));
                    return walk.summary;
                }
            }
        };
        start += at;
        if finished || failure.is_some() || (ended && start == 0) {
            walk.summary.damage = failure;
            return walk.summary;
        }
        buffer.drain(..start);
        // Something larger than the window: let it grow, as far as a record may.
        want = if buffer.len() * 2 > want { want * 2 } else { want.max(WINDOW) };
        if buffer.len() > limits.record.max(WINDOW) {
            walk.summary.damage = Some(format!("a record is larger than {} bytes (limits.max_record)", limits.record));
            return walk.summary;
        }
    }
}

impl<'l> Walk<'l> {
    fn new(limits: &'l Limits) -> Walk<'l> {
        Walk { limits, levels: Vec::new(), summary: Summary::default() }
    }

    fn hand_out(&mut self, batch: Batch<'_>, sink: &mut Sink<'_>) -> ControlFlow<()> {
        if batch.events.is_empty() && batch.rejected.is_empty() {
            return ControlFlow::Continue(());
        }
        let flow = sink(batch);
        self.summary.stopped = flow.is_break();
        flow
    }

    /// Walks on from `at` until the batch is full, the window used up, or the documents are at an end.
    fn window<'w>(&mut self, window: Window<'w>, at: &mut usize, batch: &mut Batch<'w>) -> Result<Step, String> {
        loop {
            if batch.events.len() >= BATCH {
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
                (Some(Level::Envelope), b'"') => self.envelope_field(window, at)?,
                (Some(Level::Envelope), _) => return Err(self.not_json(window, *at)),
                (None, b'[') => {
                    self.levels.push(Level::Array);
                    *at += 1;
                    None
                }
                (_, b'{') => self.object(window, at, batch)?,
                (_, _) => self.stray(window, at, batch)?,
            };
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    /// An object: an envelope to walk into, or an element.
    fn object<'w>(&mut self, window: Window<'w>, at: &mut usize, batch: &mut Batch<'w>) -> Result<Option<Step>, String> {
        let mut place = *at + 1;
        // Envelopes are no deeper than an array of pages.
        let may_hold_records = self.levels.len() < 3;
        while may_hold_records {
            let Some(field) = next_field(window, &mut place) else { break };
            if field.opens_records {
                self.levels.extend([Level::Envelope, Level::Array]);
                *at = place;
                return Ok(None);
            }
            if field.is_of_record || !skip_value(window, &mut place) {
                break;
            }
            place = skip_space(window.bytes, place);
            if window.bytes.get(place) != Some(&b',') {
                break;
            }
            place += 1;
        }
        self.element(window, at, batch)
    }

    /// A field of an envelope behind its records, such as `NextToken`.
    fn envelope_field(&mut self, window: Window<'_>, at: &mut usize) -> Result<Option<Step>, String> {
        let mut place = *at;
        let Some(field) = next_field(window, &mut place) else { return self.wait(window, *at) };
        if field.opens_records {
            self.levels.push(Level::Array);
        } else if !skip_value(window, &mut place) {
            return self.wait(window, *at);
        }
        *at = place;
        Ok(None)
    }

    /// For what does not parse as it stands: wait for more of it, if more can come.
    fn wait(&self, window: Window<'_>, at: usize) -> Result<Option<Step>, String> {
        if window.last { Err(self.not_json(window, at)) } else { Ok(Some(Step::More)) }
    }

    /// One JSON object that is no envelope of many.
    fn element<'w>(&mut self, window: Window<'w>, at: &mut usize, batch: &mut Batch<'w>) -> Result<Option<Step>, String> {
        let text = &window.text[*at..];
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Fields<'w>>();
        let parsed = values.next();
        match parsed {
            Some(Ok(fields)) => {
                let length = values.byte_offset();
                *at += length;
                self.take(&fields, &text[..length], batch);
                Ok(None)
            }
            Some(Err(error)) => self.broken(&error, window, at, batch),
            None => Ok(Some(Step::More)),
        }
    }

    fn take<'w>(&mut self, fields: &Fields<'w>, text: &'w str, batch: &mut Batch<'w>) {
        let limits = self.limits;
        if text.len() > limits.record {
            let reason = format!("a record is larger than {} bytes (limits.max_record)", limits.record);
            return self.reject(reason, text.as_bytes(), batch);
        }
        if nesting_exceeds(text.as_bytes(), limits.depth) {
            return self.reject(crate::RecordError::TooDeep(limits.depth).to_string(), text.as_bytes(), batch);
        }
        element::read(fields, &mut |element| match element {
            Element::Event(event) => {
                self.summary.events += 1;
                batch.events.push(event);
            }
            Element::Insight => self.summary.insights += 1,
            Element::Digest => self.summary.digests += 1,
            Element::Rejected(reason) => {
                self.summary.rejected += 1;
                batch.rejected.push(rejected(self.summary.records(), reason, text.as_bytes()));
            }
        });
    }

    fn reject(&mut self, reason: String, bytes: &[u8], batch: &mut Batch<'_>) {
        self.summary.rejected += 1;
        batch.rejected.push(rejected(self.summary.records(), reason, bytes));
    }

    /// An object that does not parse: wait for its end, or reject it and go on behind it, or give the file up.
    fn broken<'w>(&mut self, error: &serde_json::Error, window: Window<'w>, at: &mut usize, batch: &mut Batch<'w>) -> Result<Option<Step>, String> {
        let bytes = &window.bytes[*at..];
        let bad_utf8 = window.text.len() < window.bytes.len();
        if error.is_eof() && !bad_utf8 {
            return if window.last { self.torn(window, at, batch) } else { Ok(Some(Step::More)) };
        }
        // A character cut by the window's end is no bad character.
        let only_cut = bad_utf8 && !window.last && window.bytes.len() - window.text.len() < 4;
        if error.is_eof() && only_cut {
            return Ok(Some(Step::More));
        }
        let reason = if error.is_eof() { "invalid UTF-8".to_owned() } else { format!("not valid JSON: {}", plain(error)) };
        match object_end(bytes) {
            // A line that ends before the object does: the rest of the object belongs to other lines.
            Some(end) if !(self.levels.is_empty() && next_line_starts_a_value(&bytes[..end])) => {
                self.reject(reason, &bytes[..end], batch);
                *at += end;
                Ok(Some(Step::Recheck))
            }
            None if !window.last => Ok(Some(Step::More)),
            _ if self.levels.is_empty() && next_line_starts_a_value(bytes) => {
                let line = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
                self.reject(reason, &bytes[..line], batch);
                *at += line;
                Ok(Some(Step::Recheck))
            }
            _ => Err(format!("{reason}; {} complete records before it", self.summary.records())),
        }
    }

    /// An object that the content ends in the middle of.
    fn torn<'w>(&mut self, window: Window<'w>, at: &mut usize, batch: &mut Batch<'w>) -> Result<Option<Step>, String> {
        if self.levels.is_empty() && self.summary.records() > 0 {
            // The last of JSON lines: one record that was not written to its end.
            self.reject("the line ends in the middle of a record".to_owned(), &window.bytes[*at..], batch);
            *at = window.bytes.len();
            return Ok(None);
        }
        Err(self.cut_off())
    }

    fn cut_off(&self) -> String {
        format!("the JSON is cut off behind {} complete records", self.summary.records())
    }

    fn not_json(&self, window: Window<'_>, at: usize) -> String {
        format!("not JSON at {:?} behind {} complete records", excerpt(&window.bytes[at..]), self.summary.records())
    }

    /// Something that is no object where an object should stand.
    fn stray<'w>(&mut self, window: Window<'w>, at: &mut usize, batch: &mut Batch<'w>) -> Result<Option<Step>, String> {
        let mut place = *at;
        if skip_value(window, &mut place) {
            if place == window.text.len() && !window.last {
                return Ok(Some(Step::More));
            }
            self.reject("not a JSON object".to_owned(), &window.bytes[*at..place], batch);
            *at = place;
            return Ok(None);
        }
        if !window.last && window.bytes.len() - *at < 64 {
            return Ok(Some(Step::More));
        }
        Err(self.not_json(window, *at))
    }
}

fn rejected(number: u64, reason: String, bytes: &[u8]) -> Rejected {
    let kept = &bytes[..bytes.len().min(Rejected::KEPT)];
    Rejected { number, reason, text: String::from_utf8_lossy(kept).into_owned() }
}

struct Field {
    /// It is an array of records: `place` stands behind its bracket.
    opens_records: bool,
    /// It is a field of a record or of a single-event envelope, so the object is an element.
    is_of_record: bool,
}

/// Reads a field's name and colon; `None` where there is none, or not yet.
fn next_field(window: Window<'_>, place: &mut usize) -> Option<Field> {
    *place = skip_space(window.bytes, *place);
    if window.bytes.get(*place) != Some(&b'"') {
        return None;
    }
    let name = value_at::<std::borrow::Cow<'_, str>>(window, place)?;
    *place = skip_space(window.bytes, *place);
    if window.bytes.get(*place) != Some(&b':') {
        return None;
    }
    *place = skip_space(window.bytes, *place + 1);
    let opens_array = *window.bytes.get(*place)? == b'[';
    let opens_records = opens_array && matches!(name.as_ref(), "Records" | "Events");
    if opens_records {
        *place += 1;
    }
    let is_of_record = crate::Column::of_field(&name).is_some() || matches!(name.as_ref(), "eventTime" | "version" | "detail-type");
    Some(Field { opens_records, is_of_record })
}

fn skip_value(window: Window<'_>, place: &mut usize) -> bool {
    value_at::<&RawValue>(window, place).is_some()
}

fn value_at<'w, T: Deserialize<'w>>(window: Window<'w>, place: &mut usize) -> Option<T> {
    let mut values = serde_json::Deserializer::from_str(window.text.get(*place..)?).into_iter::<T>();
    let value = values.next()?.ok()?;
    *place += values.byte_offset();
    Some(value)
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// Where the object that starts the bytes ends, by brackets and strings alone.
fn object_end(bytes: &[u8]) -> Option<usize> {
    let mut depth = 0usize;
    let mut in_string = false;
    let mut escaped = false;
    for (place, &byte) in bytes.iter().enumerate() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(place + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// Whether a line break stands in the bytes with the start of a JSON value (or nothing) behind it.
fn next_line_starts_a_value(bytes: &[u8]) -> bool {
    memchr::memchr(b'\n', bytes).is_some_and(|line| {
        let next = skip_space(bytes, line);
        matches!(bytes.get(next), None | Some(b'{' | b'['))
    })
}

/// Whether the text nests deeper than `depth`; a count of the brackets settles it for almost every record.
fn nesting_exceeds(bytes: &[u8], depth: usize) -> bool {
    let brackets = bytes.iter().filter(|&&byte| byte == b'{' || byte == b'[').count();
    if brackets <= depth {
        return false;
    }
    let (mut level, mut in_string, mut escaped) = (0usize, false, false);
    for &byte in bytes {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                level += 1;
                if level > depth {
                    return true;
                }
            }
            b'}' | b']' => level = level.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// The parser's words without its place, which counts from the record and not from the file.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(24)]).into_owned()
}

/// Used by the element reader for records inside strings.
pub(super) fn parse_fields(text: &str) -> Option<Fields<'_>> {
    serde_json::from_str::<record::Fields<'_>>(text).ok()
}

//! CSV exports of Athena and CloudTrail Lake: a header with the record's fields, a row for each record.

use std::borrow::Cow;
use std::io::Read;

use serde_json::{Map, Value};

use super::element::{Element, embedded, exported};
use super::incoming::Incoming;
use super::{Batch, Limits, Rejected, Sink, Summary};

/// Nesting of `{a={b=c}}` that is followed.
const DEPTH: usize = 16;
/// Values of one row that look like JSON and are none, before no more are tried: each may be read to the row's end.
const BROKEN_JSON: usize = 16;

/// Whether the content starts with a header line that names the fields of a record.
pub(super) fn is_table(bytes: &[u8]) -> bool {
    if matches!(bytes.first(), None | Some(b'{' | b'[')) {
        return false;
    }
    let line = &bytes[..memchr::memchr(b'\n', bytes).unwrap_or(bytes.len()).min(4096)];
    let names: Vec<String> = line
        .split(|&byte| byte == b',')
        .map(|name| String::from_utf8_lossy(name).trim().trim_matches('"').to_ascii_lowercase())
        .collect();
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    has("eventjson") || (has("eventtime") && (has("eventname") || has("eventsource")))
}

/// Decodes the rows of a content whose first bytes are `start`.
pub(super) fn decode(start: &[u8], incoming: &mut Incoming<'_>, limits: &Limits, sink: &mut Sink<'_>) -> Summary {
    let mut table = Table { limits, names: Vec::new(), summary: Summary::default() };
    let rows = Rows { start, incoming, given: 0, of_rows: 0, limit: limits.record as u64, is_full: false, last: b'\n' };
    let mut rows = csv::ReaderBuilder::new().flexible(true).has_headers(false).from_reader(rows);
    let mut batch = Batch::default();
    let (mut row, mut next) = (csv::ByteRecord::new(), csv::ByteRecord::new());
    let read = |rows: &mut csv::Reader<Rows<'_, '_>>, row: &mut csv::ByteRecord| {
        // The reader gives no errors: what ends the content is remembered by `incoming`.
        let is_row = rows.read_byte_record(row).unwrap_or(false);
        let end = rows.position().byte();
        let reader = rows.get_mut();
        let length = end - std::mem::replace(&mut reader.of_rows, end);
        // How much of it came at a time makes no difference.
        reader.is_full |= length > reader.limit;
        is_row && !reader.is_full
    };
    let mut more = read(&mut rows, &mut row);
    while more && !table.summary.stopped {
        // A row counts as soon as there is another behind it, or the content is sound to its end: a row that damage
        // cut off in its last cell looks like any other.
        more = read(&mut rows, &mut next);
        let reader = rows.get_ref();
        let is_torn = !more && reader.last != b'\n' && !reader.is_full && reader.incoming.failure.is_some();
        if !is_torn {
            table.row(&row, &mut batch);
        }
        std::mem::swap(&mut row, &mut next);
        if batch.is_full() {
            table.summary.stopped = sink(std::mem::take(&mut batch)).is_break();
        }
    }
    if !table.summary.stopped && !batch.is_empty() {
        table.summary.stopped = sink(batch).is_break();
    }
    let Rows { incoming, is_full: too_large, .. } = rows.into_inner();
    if too_large {
        incoming.drain();
    }
    table.summary.inflated = incoming.inflated;
    table.summary.damage = incoming.failure.take().or(too_large.then(|| super::walk::too_large(limits)));
    table.summary
}

struct Table<'l> {
    limits: &'l Limits,
    /// The cells of the header.
    names: Vec<String>,
    summary: Summary,
}

impl Table<'_> {
    fn row(&mut self, row: &csv::ByteRecord, batch: &mut Batch<'_>) {
        let cells = match csv::StringRecord::from_byte_record(row.clone()) {
            Ok(cells) => cells,
            Err(_) => return self.reject("invalid UTF-8".to_owned(), row, batch),
        };
        if self.names.is_empty() {
            self.names = cells.iter().map(|name| name.trim().to_owned()).collect();
            return;
        }
        // Tables written one behind another: the header comes again.
        if cells.iter().eq(self.names.iter()) {
            return;
        }
        if cells.len() != self.names.len() {
            let reason = format!("a row of {} cells in a table of {} columns", cells.len(), self.names.len());
            return self.reject(reason, row, batch);
        }
        match element(&self.names, &cells, self.limits) {
            Element::Event(event) => {
                self.summary.events += 1;
                batch.events.push(event);
            }
            Element::Insight => self.summary.insights += 1,
            Element::Digest => self.summary.digests += 1,
            Element::Rejected { reason, .. } => self.reject(reason, row, batch),
        }
    }

    fn reject(&mut self, reason: String, row: &csv::ByteRecord, batch: &mut Batch<'_>) {
        self.summary.rejected += 1;
        let text = row.iter().collect::<Vec<_>>().join(&b',');
        batch.rejected.push(Rejected::new(self.summary.records(), reason, &text));
    }
}

fn element(names: &[String], row: &csv::StringRecord, limits: &Limits) -> Element<'static> {
    let cells = names.iter().zip(row.iter());
    if let Some((_, record)) = cells.clone().find(|(name, _)| name.eq_ignore_ascii_case("eventjson")) {
        return embedded(record, None, limits);
    }
    let cells = cells.map(|(name, cell)| (name.as_str(), Cow::Owned(Value::String(cell.to_owned()).to_string())));
    exported(cells, limits)
}

/// The content for the CSV reader, as long as no row is larger than a record may be.
struct Rows<'c, 'r> {
    start: &'c [u8],
    incoming: &'c mut Incoming<'r>,
    /// The bytes handed out.
    given: u64,
    /// Those of them that belong to rows read to their end.
    of_rows: u64,
    limit: u64,
    /// A row has become too large.
    is_full: bool,
    /// The last byte that was handed out.
    last: u8,
}

impl Read for Rows<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.is_full |= self.given - self.of_rows > self.limit;
        if self.is_full {
            return Ok(0);
        }
        let read = if self.start.is_empty() { self.incoming.read(buffer)? } else { self.start.read(buffer)? };
        self.given += read as u64;
        if let Some(&last) = buffer[..read].last() {
            self.last = last;
        }
        Ok(read)
    }
}

/// Reads a row as Athena and Lake print it, `{type=Root, sessioncontext={attributes=null}}`, as an object.
///
/// The form has no quoting: a value with `, name=` in it cannot be told from two fields. It is what the export holds.
/// Only what a map nests is JSON: `{userName=bob, policyDocument={"Version": "2012-10-17"}}`.
pub(super) fn row_text(text: &str) -> Option<Value> {
    let mut rest = text.trim();
    let value = braced(&mut rest, 0, &mut 0)?;
    rest.is_empty().then_some(value)
}

fn braced(rest: &mut &str, depth: usize, broken: &mut usize) -> Option<Value> {
    if depth > DEPTH {
        return None;
    }
    *rest = rest.strip_prefix('{')?;
    let mut object = Map::new();
    loop {
        if let Some(behind) = rest.strip_prefix('}') {
            *rest = behind;
            return Some(Value::Object(object));
        }
        let (name, behind) = rest.split_once('=')?;
        *rest = behind;
        let value = if let Some(value) = json(rest, broken) {
            value
        } else if rest.starts_with('{') {
            braced(rest, depth + 1, broken)?
        } else {
            let end = value_end(rest);
            let (value, behind) = rest.split_at(end);
            *rest = behind;
            Value::String(value.to_owned())
        };
        if value != "null" {
            object.insert(name.trim().to_owned(), value);
        }
        *rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
}

/// Reads a value that is JSON as a whole, up to the next field or the closing brace.
fn json(rest: &mut &str, broken: &mut usize) -> Option<Value> {
    let looks_like_json = rest.starts_with("{\"") || rest.starts_with('[');
    if !looks_like_json || *broken >= BROKEN_JSON {
        return None;
    }
    // How deep it nests is limited by serde_json.
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
    let value = values.next().and_then(Result::ok);
    let behind = rest[values.byte_offset()..].trim_start();
    match value {
        Some(value) if behind.starts_with([',', '}']) => {
            *rest = behind;
            Some(value)
        }
        _ => {
            *broken += 1;
            None
        }
    }
}

/// Where a bare value ends: before `, name=` or the closing brace.
fn value_end(text: &str) -> usize {
    for (place, character) in text.char_indices() {
        if character == '}' {
            return place;
        }
        if character == ',' {
            let next = text[place + 1..].trim_start();
            let name = next.split(['=', ',', '}']).next().unwrap_or_default();
            let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if is_name && next[name.len()..].starts_with('=') {
                return place;
            }
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_map_nests_is_read_as_json() {
        let cases = [
            (
                r#"{userName=bob, policyDocument={"Version": "2012-10-17", "Statement": [{"Action": "a=b, c=}"}]}, x=y}"#,
                json!({
                    "userName": "bob",
                    "policyDocument": {"Version": "2012-10-17", "Statement": [{"Action": "a=b, c=}"}]},
                    "x": "y",
                }),
            ),
            (
                r#"{a=[{"includeManagementEvents":false}], b={c=[1, 2]}}"#,
                json!({"a": [{"includeManagementEvents": false}], "b": {"c": [1, 2]}}),
            ),
            (r"{a=[], b={}}", json!({"a": [], "b": {}})),
        ];
        for (text, expected) in cases {
            assert_eq!(row_text(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_json_is_read_as_before() {
        let cases = [
            ("{a=[b, c], d=e}", json!({"a": "[b, c]", "d": "e"})),
            ("{a=[1] and more, d=e}", json!({"a": "[1] and more", "d": "e"})),
            ("{a=[admin] bob, b={c=d}}", json!({"a": "[admin] bob", "b": {"c": "d"}})),
            (r#"{a=["open, d=e}"#, json!({"a": "[\"open", "d": "e"})),
            (r#"{a={"b"=c}}"#, json!({"a": {"\"b\"": "c"}})),
        ];
        for (text, expected) in cases {
            assert_eq!(row_text(text), Some(expected), "{text}");
        }
        assert_eq!(row_text(r#"{a={"b":1"#), None);
    }

    #[test]
    fn broken_json_is_not_tried_without_end() {
        let fields: Vec<String> = (0..BROKEN_JSON + 1).map(|number| format!("f{number}=[b")).collect();
        let text = format!("{{{}, last=[1]}}", fields.join(", "));
        assert_eq!(row_text(&text).expect("a row")["last"], "[1]");
        // Deeper than any reader should follow.
        let deep = format!("{{a={}{}, b=c}}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(row_text(&deep).expect("a row")["b"], "c");
    }
}

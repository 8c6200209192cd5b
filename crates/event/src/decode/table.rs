//! CSV exports of Athena and CloudTrail Lake: a header with the record's fields, a row for each record.

use std::borrow::Cow;
use std::io::Read;

use serde_json::{Map, Value};

use super::element::{Element, exported};
use super::{Batch, Limits, Rejected, Sink, Summary, inflate};

const BATCH: usize = 1024;
/// Nesting of `{a={b=c}}` that is followed.
const DEPTH: usize = 16;

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

/// Decodes the rows.
pub(super) fn decode(reader: impl Read, limits: &Limits, sink: &mut Sink<'_>) -> Summary {
    let mut summary = Summary::default();
    let mut rows = csv::ReaderBuilder::new().flexible(true).from_reader(Counted { inner: reader, read: 0 });
    let names: Vec<String> = match rows.headers() {
        Ok(names) => names.iter().map(str::to_owned).collect(),
        Err(error) => {
            summary.damage = Some(format!("the header is not CSV: {error}"));
            return summary;
        }
    };
    let mut batch = Batch::default();
    let mut row = csv::StringRecord::new();
    loop {
        match rows.read_record(&mut row) {
            Ok(false) => break,
            Ok(true) => match element(&names, &row) {
                Element::Event(event) => {
                    summary.events += 1;
                    batch.events.push(event);
                }
                Element::Insight => summary.insights += 1,
                Element::Digest => summary.digests += 1,
                Element::Rejected(reason) => reject(reason, &row, &mut summary, &mut batch),
            },
            Err(error) if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) => {
                reject("invalid UTF-8".to_owned(), &row, &mut summary, &mut batch);
            }
            Err(error) => {
                summary.damage = Some(match error.into_kind() {
                    csv::ErrorKind::Io(error) => inflate::describe(&error, 0),
                    other => format!("not CSV: {other:?}"),
                });
                break;
            }
        }
        if batch.events.len() >= BATCH && sink(std::mem::take(&mut batch)).is_break() {
            summary.stopped = true;
            return summary;
        }
    }
    if !(batch.events.is_empty() && batch.rejected.is_empty()) {
        summary.stopped = sink(batch).is_break();
    }
    summary.inflated = rows.into_inner().read;
    if summary.inflated >= limits.inflated {
        summary.damage.get_or_insert_with(|| inflate::over_limit(limits));
    }
    summary
}

fn reject(reason: String, row: &csv::StringRecord, summary: &mut Summary, batch: &mut Batch<'_>) {
    summary.rejected += 1;
    let mut text = row.iter().collect::<Vec<_>>().join(",");
    text.truncate(text.floor_char_boundary(Rejected::KEPT));
    batch.rejected.push(Rejected { number: summary.records(), reason, text });
}

fn element(names: &[String], row: &csv::StringRecord) -> Element<'static> {
    let cells = names.iter().zip(row.iter());
    if let Some((_, record)) = cells.clone().find(|(name, _)| name.eq_ignore_ascii_case("eventjson")) {
        return match crate::decode::record(record) {
            Ok(event) => Element::Event(event.into_owned()),
            Err(error) => Element::Rejected(error.to_string()),
        };
    }
    exported(cells.map(|(name, cell)| (name.as_str(), Cow::Owned(Value::String(cell.to_owned()).to_string()))))
}

/// Reads a row as Athena and Lake print it, `{type=Root, sessioncontext={attributes=null}}`, as an object.
///
/// The form has no quoting: a value with `, name=` in it cannot be told from two fields. It is what the export holds.
pub(super) fn row_text(text: &str) -> Option<Value> {
    let mut rest = text.trim();
    let value = braced(&mut rest, 0)?;
    rest.is_empty().then_some(value)
}

fn braced(rest: &mut &str, depth: usize) -> Option<Value> {
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
        let value = if rest.starts_with('{') {
            braced(rest, depth + 1)?
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

struct Counted<R> {
    inner: R,
    read: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read += read as u64;
        Ok(read)
    }
}

//! A window of the content, and how names and values are read in it.

use serde::Deserialize;
use serde_json::value::RawValue;

/// A part of the content, checked as UTF-8 as far as it is valid.
#[derive(Clone, Copy)]
pub(super) struct Window<'w> {
    pub(super) bytes: &'w [u8],
    pub(super) text: &'w str,
    /// The text ends where the bytes do, but for a character that they end in the middle of.
    pub(super) is_text: bool,
    pub(super) last: bool,
}

impl<'w> Window<'w> {
    pub(super) fn new(bytes: &'w [u8], last: bool) -> Window<'w> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Window { bytes, text, is_text: true, last },
            Err(error) => {
                // Valid as far as `valid_up_to`: the second check cannot fail.
                let text = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
                Window { bytes, text, is_text: error.error_len().is_none(), last }
            }
        }
    }

    /// Whether what stops at the window's end may go on behind it.
    pub(super) fn may_go_on(&self) -> bool {
        !self.last && self.is_text
    }
}

/// A field's name, as far as it tells what the object around it is.
pub(super) struct Field {
    /// It is an array of records: `place` stands behind its bracket.
    pub(super) opens_records: bool,
    /// It is a field of a record or of a single-event envelope, so the object is an element.
    pub(super) is_of_element: bool,
    /// It is one of the two fields that make an object a record.
    pub(super) makes_a_record: bool,
}

/// Why a value could not be read.
pub(super) enum Stop {
    /// The text ends in the middle of it.
    RanOut,
    Broken,
}

/// Reads a field's name and colon.
pub(super) fn next_field(window: Window<'_>, place: &mut usize) -> Result<Field, Stop> {
    expect(window, place, b'"')?;
    *place -= 1;
    let name = value_at::<std::borrow::Cow<'_, str>>(window, place)?;
    expect(window, place, b':')?;
    *place = skip_space(window.bytes, *place);
    let opens_array = match window.bytes.get(*place) {
        Some(&byte) => byte == b'[',
        None => return Err(Stop::RanOut),
    };
    let opens_records = opens_array && matches!(name.as_ref(), "Records" | "Events");
    if opens_records {
        *place += 1;
    }
    let is_of_event_bridge = matches!(name.as_ref(), "version" | "detail-type");
    let is_of_lookup = matches!(name.as_ref(), "EventId" | "EventName" | "CloudTrailEvent");
    let is_of_element =
        is_of_event_bridge || is_of_lookup || name == "eventTime" || crate::Column::of_field(&name).is_some();
    let makes_a_record = matches!(name.as_ref(), "eventName" | "eventSource");
    Ok(Field { opens_records, is_of_element, makes_a_record })
}

/// Moves behind white space and this byte.
fn expect(window: Window<'_>, place: &mut usize, wanted: u8) -> Result<(), Stop> {
    *place = skip_space(window.bytes, *place);
    match window.bytes.get(*place) {
        Some(&byte) if byte == wanted => {
            *place += 1;
            Ok(())
        }
        Some(_) => Err(Stop::Broken),
        None => Err(Stop::RanOut),
    }
}

pub(super) fn skip_value(window: Window<'_>, place: &mut usize) -> Result<(), Stop> {
    value_at::<&RawValue>(window, place)?;
    // A number goes on behind the window as long as digits do.
    if *place == window.text.len() && window.may_go_on() { Err(Stop::RanOut) } else { Ok(()) }
}

fn value_at<'w, T: Deserialize<'w>>(window: Window<'w>, place: &mut usize) -> Result<T, Stop> {
    let text = window.text.get(*place..).ok_or(Stop::Broken)?;
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<T>();
    match values.next() {
        Some(Ok(value)) => {
            *place += values.byte_offset();
            Ok(value)
        }
        Some(Err(error)) if !error.is_eof() => Err(Stop::Broken),
        Some(Err(_)) | None => Err(Stop::RanOut),
    }
}

pub(super) fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// The parser's words without its place, which counts from the record and not from the file.
pub(super) fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

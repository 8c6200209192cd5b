//! What stands in an item, and how long texts are kept in it.

use std::collections::HashMap;
use std::io::{Read, Write};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use event::Timestamp;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

/// The attributes of an item.
pub(super) type Item = HashMap<String, AttributeValue>;

/// From this length on a text is compressed: below it an item stays in its first kilobyte, the unit that is paid for, or
/// gains too little.
const WORTH_IT: usize = 700;
/// The most bytes that a compressed text is read back as: more than any record has.
const LONGEST: u64 = 64 << 20;

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A text as it is, or compressed where that is worth it (zlib, RFC 1950).
pub(super) fn long_text(value: &str) -> AttributeValue {
    if value.len() >= WORTH_IT {
        let bytes = compressed(value);
        if bytes.len() < value.len() {
            return AttributeValue::B(Blob::new(bytes));
        }
    }
    text(value)
}

fn compressed(value: &str) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(value.len() / 3), Compression::default());
    // Writing to memory does not fail.
    let written = encoder.write_all(value.as_bytes()).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

/// The bytes that such a text takes.
pub(super) fn stored_bytes(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::N(number) => number.len(),
        _ => 1,
    }
}

/// A text that [`long_text`] made, back. None where it is none.
pub(super) fn read_long_text(value: &AttributeValue) -> Option<String> {
    match value {
        AttributeValue::S(text) => Some(text.clone()),
        AttributeValue::B(bytes) => inflated(bytes.as_ref()),
        _ => None,
    }
}

/// What compressed bytes hold.
pub(super) fn inflated(bytes: &[u8]) -> Option<String> {
    let mut text = String::new();
    let read = ZlibDecoder::new(bytes).take(LONGEST + 1).read_to_string(&mut text).ok()?;
    (read as u64 <= LONGEST).then_some(text)
}

/// Reads an item's attributes.
pub(super) trait Attributes {
    fn text(&self, name: &str) -> Option<&str>;
    fn number(&self, name: &str) -> Option<i64>;
    fn time(&self, name: &str) -> Option<Timestamp>;
    fn long(&self, name: &str) -> Option<String>;
}

impl Attributes for Item {
    fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_s().ok().map(String::as_str)
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.as_n().ok()?.parse().ok()
    }

    /// A time as text, in any of the forms that were ever written.
    fn time(&self, name: &str) -> Option<Timestamp> {
        Timestamp::parse(self.text(name)?)
    }

    fn long(&self, name: &str) -> Option<String> {
        read_long_text(self.get(name)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_comes_back_and_a_bomb_does_not() {
        for value in ["", "short", &"long and repetitive ".repeat(500)] {
            let kept = long_text(value);
            assert_eq!(read_long_text(&kept).as_deref(), Some(value));
            assert_eq!(matches!(kept, AttributeValue::B(_)), value.len() >= WORTH_IT);
        }
        let bomb = compressed(&" ".repeat(usize::try_from(LONGEST).unwrap() + 1));
        assert_eq!(inflated(&bomb), None);
        assert_eq!(inflated(b"no zlib"), None);
    }
}

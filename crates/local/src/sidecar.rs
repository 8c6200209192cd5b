//! What S3 keeps beside an object's bytes, where a copy has it in files of its own.
//!
//! It stands in `metadata.jsonl` next to the folder `AWSLogs` (a line an object: `{"Key": …, "Metadata": {"signature": …}}`),
//! or in a file for each object, `KEY.metadata.json` (what `aws s3api head-object` prints) or `KEY.sig` (the signature alone).

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read};

use integrity::evidence::Metadata;
use integrity::hash::Sha256;
use integrity::layout::split_root;
use serde::Deserialize;
use serde_json::{Map, Value};

/// What `aws s3api head-object` prints.
pub(crate) const METADATA: &str = ".metadata.json";
/// The signature alone.
pub(crate) const SIGNATURE: &str = ".sig";
/// A line an object, next to the folder `AWSLogs`.
pub(crate) const LINES: &str = "metadata.jsonl";
/// The longest line, and the largest file, that is read.
const LONGEST: u64 = 64 << 10;

/// Where the lines stand, by the halves of the hashes of keys. Thirty-two bytes an object, where the lines themselves would
/// be seven hundred.
#[derive(Debug, Default)]
pub(crate) struct Lines(HashMap<u128, u64>);

#[derive(Deserialize)]
struct Line {
    #[serde(alias = "Key")]
    key: String,
    #[serde(alias = "Metadata")]
    metadata: Map<String, Value>,
}

impl Lines {
    /// Finds the lines of a file.
    pub(crate) fn read(content: impl Read) -> io::Result<Lines> {
        let mut reader = BufReader::with_capacity(1 << 20, content);
        let (mut places, mut at, mut line) = (HashMap::new(), 0, Vec::new());
        loop {
            line.clear();
            let length = (&mut reader).take(LONGEST).read_until(b'\n', &mut line)? as u64;
            if length == 0 {
                return Ok(Lines(places));
            }
            // What is no such line says nothing of any object.
            if let Ok(line) = serde_json::from_slice::<Line>(&line) {
                places.insert(name_of(&line.key), at);
            }
            at += length;
        }
    }

    /// Where the line of an object begins.
    pub(crate) fn place_of(&self, key: &str) -> Option<u64> {
        self.0.get(&name_of(key)).copied()
    }
}

fn name_of(key: &str) -> u128 {
    // Whatever stands before `AWSLogs` here or stood there.
    Sha256::of(split_root(key).map_or(key, |(_, rest)| rest).as_bytes()).half()
}

/// Takes in the line that `content` begins with.
pub(crate) fn take_line(metadata: &mut Metadata, content: impl Read) -> io::Result<()> {
    let mut line = Vec::new();
    BufReader::with_capacity(4 << 10, content.take(LONGEST)).read_until(b'\n', &mut line)?;
    if let Ok(line) = serde_json::from_slice::<Line>(&line) {
        take(metadata, &line.metadata);
    }
    Ok(())
}

/// Takes in what `aws s3api head-object` printed.
pub(crate) fn take_head(metadata: &mut Metadata, content: impl Read) -> io::Result<()> {
    if let Ok(Value::Object(head)) = serde_json::from_slice(&small(content)?)
        && let Some(Value::Object(values)) = head.get("Metadata")
    {
        take(metadata, values);
    }
    Ok(())
}

/// Takes in a signature alone. What is no text is none.
pub(crate) fn take_signature(metadata: &mut Metadata, content: impl Read) -> io::Result<()> {
    if let Ok(text) = String::from_utf8(small(content)?) {
        metadata.take("signature", text.trim());
    }
    Ok(())
}

fn small(content: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    content.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn take(metadata: &mut Metadata, values: &Map<String, Value>) {
    for (name, value) in values {
        if let Value::String(value) = value {
            metadata.take(name, value);
        }
    }
}

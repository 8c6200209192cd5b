//! What S3 keeps beside an object's bytes, where a copy has it in files of its own.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read};

use integrity::evidence::{Metadata, Trouble};
use integrity::hash::Sha256;
use integrity::layout::split_root;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::BucketCopy;

/// What `aws s3api head-object` prints.
const METADATA: &str = ".metadata.json";
/// The signature alone.
const SIGNATURE: &str = ".sig";
/// A line an object, next to the folder `AWSLogs`.
const LINES: &str = "metadata.jsonl";
/// The longest line, and the largest file, that is read.
const LONGEST: u64 = 64 << 10;

/// Whether a file only stands beside an object.
pub(super) fn is_beside(key: &str, exists: impl Fn(&str) -> bool) -> bool {
    [METADATA, SIGNATURE].iter().any(|end| key.strip_suffix(end).is_some_and(&exists))
}

/// Where the lines stand: the file's key, and the places of lines by the halves of the hashes of keys. Thirty-two bytes an
/// object, where the lines themselves would be seven hundred.
#[derive(Default)]
pub(super) struct Sidecars {
    files: Vec<(String, HashMap<u128, u64>)>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(alias = "Key")]
    key: String,
    #[serde(alias = "Metadata")]
    metadata: Map<String, Value>,
}

fn name_of(key: &str) -> u128 {
    // Whatever stands before `AWSLogs` here or stood there.
    Sha256::of(split_root(key).map_or(key, |(_, rest)| rest).as_bytes()).half()
}

impl Sidecars {
    pub(super) fn find(copy: &BucketCopy) -> io::Result<Sidecars> {
        let mut files = Vec::new();
        for prefix in copy.prefixes() {
            let key = format!("{prefix}{LINES}");
            let Ok((_, content)) = copy.open_file(&key) else { continue };
            let mut reader = BufReader::with_capacity(1 << 20, content);
            let (mut places, mut at, mut line) = (HashMap::new(), 0, Vec::new());
            loop {
                line.clear();
                let length = (&mut reader).take(LONGEST).read_until(b'\n', &mut line)? as u64;
                if length == 0 {
                    break;
                }
                // What is no such line says nothing of any object.
                if let Ok(line) = serde_json::from_slice::<Line>(&line) {
                    places.insert(name_of(&line.key), at);
                }
                at += length;
            }
            files.push((key, places));
        }
        Ok(Sidecars { files })
    }

    /// What is known of an object.
    pub(super) fn of(&self, copy: &BucketCopy, key: &str) -> Result<Metadata, Trouble> {
        let mut metadata = Metadata::default();
        for (file, places) in &self.files {
            if let Some(&at) = places.get(&name_of(key))
                && let Some(line) = copy.line_at(file, at)?
            {
                take(&mut metadata, &line.metadata);
            }
        }
        if let Some(text) = copy.text_of(&format!("{key}{METADATA}"))?
            && let Ok(Value::Object(head)) = serde_json::from_str(&text)
            && let Some(Value::Object(values)) = head.get("Metadata")
        {
            take(&mut metadata, values);
        }
        if let Some(text) = copy.text_of(&format!("{key}{SIGNATURE}"))? {
            metadata.take("signature", text.trim());
        }
        Ok(metadata)
    }
}

fn take(metadata: &mut Metadata, values: &Map<String, Value>) {
    for (name, value) in values {
        if let Value::String(value) = value {
            metadata.take(name, value);
        }
    }
}

impl BucketCopy {
    fn line_at(&self, key: &str, at: u64) -> Result<Option<Line>, Trouble> {
        let failed = |error: io::Error| Trouble::Failed(format!("{LINES} cannot be read: {error}"));
        let mut line = Vec::new();
        let reader = self.open_at(key, at)?;
        BufReader::with_capacity(4 << 10, reader.take(LONGEST)).read_until(b'\n', &mut line).map_err(failed)?;
        Ok(serde_json::from_slice(&line).ok())
    }

    fn text_of(&self, key: &str) -> Result<Option<String>, Trouble> {
        if !self.exists(key) {
            return Ok(None);
        }
        let (_, content) = self.open_file(key)?;
        let mut text = String::new();
        // What is no text is no signature.
        let read = content.take(LONGEST).read_to_string(&mut text);
        Ok(read.is_ok().then_some(text))
    }
}

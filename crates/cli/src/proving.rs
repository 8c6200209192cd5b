//! What proves what is read: CloudTrail's public keys.

use std::io::Read;
use std::path::Path;

use anyhow::Context;
use event::Timestamp;
use integrity::keys::{KeyFile, parse};
use local::proof::DigestExaminer;

use crate::exit::usage;

/// A key has half a kilobyte: the keys of all regions of many years.
const LARGEST: u64 = 64 << 20;

/// Public keys that digests are judged with.
pub(crate) struct Keys(KeyFile);

impl Keys {
    /// Reads a file of keys; `setting` is what names it.
    pub(crate) fn read(setting: &str, path: &Path) -> anyhow::Result<Keys> {
        let wrong = |reason: String| usage(format!("{setting} {}: {reason}", path.display()));
        let file = std::fs::File::open(path).with_context(|| format!("failed to read {}", path.display()))?;
        let mut text = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut text).with_context(|| format!("failed to read {}", path.display()))?;
        if text.len() as u64 > LARGEST {
            return Err(wrong(format!("more than {LARGEST} bytes are too many for a file of keys")));
        }
        Ok(Keys(KeyFile::new(parse(&text).map_err(|error| wrong(error.to_string()))?)))
    }

    /// Judges digests with them.
    pub(crate) fn examiner(&self) -> DigestExaminer<'_> {
        // A file has whatever keys it has.
        DigestExaminer::new(&self.0, Timestamp::MIN, Timestamp::MAX)
    }
}

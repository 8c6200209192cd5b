//! What digests are judged with: CloudTrail's public keys, from a file or from ListPublicKeys.

use std::io::Read;
use std::path::Path;

use anyhow::Context;
use aws::{Aws, PublicKeys};
use event::Timestamp;
use integrity::keys::{KeyFile, KeySource, parse};
use local::SystemClock;
use local::proof::DigestExaminer;
use pipeline::store::Clock;

use crate::exit::usage;
use crate::session::Session;

/// A key has half a kilobyte: the keys of all regions of many years.
const LARGEST: u64 = 64 << 20;

/// The day since which logs can be validated.
pub(crate) fn validation_began() -> Timestamp {
    Timestamp::parse("2015-10-01T00:00:00Z").unwrap_or(Timestamp::MIN)
}

/// Public keys that digests are judged with as they are read.
pub(crate) struct Keys {
    source: Box<dyn KeySource>,
    from: Timestamp,
    to: Timestamp,
}

impl Keys {
    /// Those of a file, which `setting` names; without one ListPublicKeys is asked as soon as there is a digest.
    pub(crate) fn open(session: &Session, setting: &str, file: Option<&Path>) -> anyhow::Result<Keys> {
        Ok(match file {
            // A file has whatever keys it has.
            Some(path) => Keys { source: Box::new(key_file(setting, path)?), from: Timestamp::MIN, to: Timestamp::MAX },
            None => {
                let account = Aws::open(&session.access(), None)?.unnamed();
                let source = Box::new(PublicKeys::new(account));
                Keys { source, from: validation_began(), to: SystemClock.now() }
            }
        })
    }

    /// Judges digests with them.
    pub(crate) fn examiner(&self) -> DigestExaminer<'_> {
        DigestExaminer::new(&*self.source, self.from, self.to)
    }
}

/// Reads a file of keys; `setting` is what names it.
pub(crate) fn key_file(setting: &str, path: &Path) -> anyhow::Result<KeyFile> {
    let wrong = |reason: String| usage(format!("{setting} {}: {reason}", path.display()));
    let failed = || format!("failed to read {}", path.display());
    let file = std::fs::File::open(path).with_context(failed)?;
    let mut text = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut text).with_context(failed)?;
    if text.len() as u64 > LARGEST {
        return Err(wrong(format!("more than {LARGEST} bytes are too many for a file of keys")));
    }
    Ok(KeyFile::new(parse(&text).map_err(|error| wrong(error.to_string()))?))
}

//! What stands beside the objects of a copy of a bucket.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, PoisonError};

use integrity::evidence::{Metadata, Trouble};

use super::BucketCopy;
use crate::files::content::Backing;
use crate::sidecar::{LINES, Lines, METADATA, SIGNATURE, take_head, take_line, take_signature};

/// Whether a file only stands beside an object.
pub(super) fn is_beside(key: &str, exists: impl Fn(&str) -> bool) -> bool {
    [METADATA, SIGNATURE].iter().any(|end| key.strip_suffix(end).is_some_and(&exists))
}

/// How many folders are remembered.
const FOLDERS: usize = 64;

/// The keys of the files with a line an object, and where their lines stand.
#[derive(Default)]
pub(super) struct Sidecars {
    files: Vec<LinesFile>,
    /// Whether a folder has files that stand beside objects. Most have none, and each would be looked for.
    folders: Mutex<HashMap<String, bool>>,
}

struct LinesFile {
    key: String,
    lines: Lines,
    /// The file, open: every digest has a line in it. None where it lies in an archive, which is open itself.
    file: Option<Backing>,
}

impl Sidecars {
    pub(super) fn find(copy: &BucketCopy) -> io::Result<Sidecars> {
        let mut files = Vec::new();
        for prefix in copy.prefixes() {
            let key = format!("{prefix}{LINES}");
            let Ok((_, content)) = copy.open_file(&key) else { continue };
            let (lines, file) = (Lines::read(content)?, copy.keep_open(&key));
            files.push(LinesFile { key, lines, file });
        }
        Ok(Sidecars { files, folders: Mutex::default() })
    }

    fn may_stand_beside(&self, copy: &BucketCopy, key: &str) -> bool {
        let Some((folder, _)) = key.rsplit_once('/') else { return true };
        let known = || self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&known) = known().get(folder) {
            return known;
        }
        let found = copy.names(&format!("{folder}/"), |name| name.ends_with(METADATA) || name.ends_with(SIGNATURE));
        let mut known = known();
        if known.len() >= FOLDERS {
            known.clear();
        }
        known.insert(folder.to_owned(), found);
        found
    }

    /// What is known of an object.
    pub(super) fn of(&self, copy: &BucketCopy, key: &str) -> Result<Metadata, Trouble> {
        let failed = |error: io::Error| Trouble::Failed(format!("what stands beside it cannot be read: {error}"));
        let mut metadata = Metadata::default();
        for LinesFile { key: lines_key, lines, file } in &self.files {
            let Some(at) = lines.place_of(key) else { continue };
            let taken = match file {
                Some(file) => take_line(&mut metadata, file.reader_at(at)),
                None => take_line(&mut metadata, copy.open_at(lines_key, at)?),
            };
            taken.map_err(failed)?;
        }
        if !self.may_stand_beside(copy, key) {
            return Ok(metadata);
        }
        let head = format!("{key}{METADATA}");
        if copy.exists(&head) {
            take_head(&mut metadata, copy.open_file(&head)?.1).map_err(failed)?;
        }
        let signature = format!("{key}{SIGNATURE}");
        if copy.exists(&signature) {
            take_signature(&mut metadata, copy.open_file(&signature)?.1).map_err(failed)?;
        }
        Ok(metadata)
    }
}

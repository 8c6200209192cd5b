//! What stands beside the objects of a copy of a bucket.

use std::io;

use integrity::evidence::{Metadata, Trouble};

use super::BucketCopy;
use crate::files::content::Backing;
use crate::sidecar::{LINES, Lines, METADATA, SIGNATURE, take_head, take_line, take_signature};

/// Whether a file only stands beside an object.
pub(super) fn is_beside(key: &str, exists: impl Fn(&str) -> bool) -> bool {
    [METADATA, SIGNATURE].iter().any(|end| key.strip_suffix(end).is_some_and(&exists))
}

/// The keys of the files with a line an object, and where their lines stand.
#[derive(Default)]
pub(super) struct Sidecars {
    files: Vec<LinesFile>,
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
        Ok(Sidecars { files })
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

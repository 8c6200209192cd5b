//! A copy of a trail's bucket on this machine: a folder, or an archive of one.
//!
//! What S3 keeps beside an object's bytes is lost where they are copied. It is looked for beside the copy, as
//! `crate::sidecar` says.

mod archive;
mod folder;
mod sidecar;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use integrity::evidence::{Evidence, Level, Listed, Object, Trouble};
use integrity::layout::ROOT;

use archive::Archive;
use folder::Folder;
use sidecar::Sidecars;

use crate::files::content::Backing;

/// How deep below the given folder `AWSLogs` is looked for.
const DEPTH: usize = 8;

/// A copy of a bucket.
pub struct BucketCopy {
    files: Files,
    sidecars: Sidecars,
    below: String,
}

enum Files {
    Folder(Folder),
    Archive(Archive),
}

impl BucketCopy {
    /// Opens a folder or an archive (`.zip`, `.tar`, `.tar.gz`). An archive is unpacked into one file without a name in
    /// `spool`; no name in it chooses a path.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(path: &Path, spool: &Path) -> io::Result<BucketCopy> {
        let (files, below) = if std::fs::metadata(path)?.is_dir() {
            let (root, below) = split(&path.canonicalize()?);
            (Files::Folder(Folder::new(root)), below)
        } else {
            (Files::Archive(Archive::open(path, spool)?), String::new())
        };
        let mut copy = BucketCopy { files, sidecars: Sidecars::default(), below };
        copy.sidecars = Sidecars::find(&copy)?;
        Ok(copy)
    }

    /// The part of the copy that was named, where the path led into `AWSLogs`: only what lies below it is meant.
    #[must_use]
    pub fn below(&self) -> &str {
        &self.below
    }

    /// What could not be read of an archive: names and why.
    #[must_use]
    pub fn unreadable(&self) -> &[(String, String)] {
        match &self.files {
            Files::Folder(_) => &[],
            Files::Archive(archive) => archive.unreadable(),
        }
    }

    /// What stands before each `AWSLogs/` of the copy: empty, or with a slash at its end.
    #[must_use]
    pub fn prefixes(&self) -> Vec<String> {
        let mut prefixes = Vec::new();
        let mut level = vec![String::new()];
        for _ in 0..DEPTH {
            let mut next = Vec::new();
            for prefix in level {
                // What cannot be listed has none.
                for name in self.level(&prefix).map(|level| level.folders).unwrap_or_default() {
                    if name == ROOT.trim_end_matches('/') {
                        prefixes.push(prefix.clone());
                    } else {
                        next.push(format!("{prefix}{name}/"));
                    }
                }
            }
            level = next;
        }
        prefixes.sort();
        prefixes
    }
}

/// Splits a path that leads into `AWSLogs` in front of that folder.
fn split(path: &Path) -> (PathBuf, String) {
    let parts: Vec<Component<'_>> = path.components().collect();
    let root = ROOT.trim_end_matches('/');
    match parts.iter().position(|part| part.as_os_str() == root) {
        None => (path.to_owned(), String::new()),
        Some(place) => {
            let below = parts[place..].iter().map(|part| format!("{}/", part.as_os_str().to_string_lossy())).collect();
            (parts[..place].iter().collect(), below)
        }
    }
}

impl Evidence for BucketCopy {
    fn keeps_metadata(&self) -> bool {
        false
    }

    fn level(&self, prefix: &str) -> Result<Level, Trouble> {
        let mut level = match &self.files {
            Files::Folder(folder) => folder.level(prefix)?,
            Files::Archive(archive) => archive.level(prefix),
        };
        level.objects.retain(|key| !sidecar::is_beside(key, |key| self.exists(key)));
        Ok(level)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed)) -> Result<(), Trouble> {
        let mut keep = |listed: Listed| {
            if !sidecar::is_beside(&listed.key, |key| self.exists(key)) {
                each(listed);
            }
        };
        match &self.files {
            Files::Folder(folder) => folder.list(prefix, &mut keep),
            Files::Archive(archive) => {
                archive.list(prefix, &mut keep);
                Ok(())
            }
        }
    }

    fn read(&self, key: &str, limit: u64) -> Result<Object, Trouble> {
        let (size, content) = self.open_file(key)?;
        if size > limit {
            return Err(Trouble::TooLarge { size, limit });
        }
        // Only digests have a signature; looking for it costs a look at the disk.
        let metadata =
            if key.contains("/CloudTrail-Digest/") { self.sidecars.of(self, key)? } else { Default::default() };
        Ok(Object { size, metadata, content })
    }
}

impl BucketCopy {
    fn exists(&self, key: &str) -> bool {
        match &self.files {
            Files::Folder(folder) => folder.exists(key),
            Files::Archive(archive) => archive.exists(key),
        }
    }

    /// Whether a folder has a name such as this. Where that cannot be told it may.
    fn names(&self, prefix: &str, is_such: impl Fn(&str) -> bool) -> bool {
        match &self.files {
            Files::Folder(folder) => folder.names(prefix, is_such),
            // What it holds is known already.
            Files::Archive(_) => true,
        }
    }

    fn open_file(&self, key: &str) -> Result<(u64, Box<dyn io::Read + Send>), Trouble> {
        match &self.files {
            Files::Folder(folder) => folder.open(key),
            Files::Archive(archive) => archive.open_at(key, 0),
        }
    }

    fn open_at(&self, key: &str, at: u64) -> Result<Box<dyn io::Read + Send>, Trouble> {
        match &self.files {
            Files::Folder(folder) => folder.open_at(key, at),
            Files::Archive(archive) => archive.open_at(key, at).map(|(_, content)| content),
        }
    }

    /// A file that is read again and again; none where it can only be opened each time.
    fn keep_open(&self, key: &str) -> Option<Backing> {
        match &self.files {
            Files::Folder(folder) => folder.file(key).ok().map(|file| Backing::File(Arc::new(file))),
            Files::Archive(_) => None,
        }
    }
}

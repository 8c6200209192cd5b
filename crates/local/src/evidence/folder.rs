//! A folder as a bucket: keys are paths below it.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use integrity::evidence::{Level, Listed, Trouble};

/// How deep folders are followed below a prefix.
const DEPTH: usize = 32;

pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn new(root: PathBuf) -> Folder {
        Folder { root }
    }

    /// Where a key lies; none for one that leads elsewhere.
    fn path(&self, key: &str) -> Option<PathBuf> {
        let key = key.trim_end_matches('/');
        if key.is_empty() {
            return Some(self.root.clone());
        }
        // A colon stands in no key of CloudTrail's, and names drives and streams on Windows.
        let is_plain = |part: &str| !part.bytes().any(|byte| matches!(byte, b'\\' | b':' | b'\0'));
        let is_name = |part: &str| !["", ".", ".."].contains(&part) && is_plain(part);
        key.split('/').all(is_name).then(|| self.root.join(key))
    }

    pub(super) fn level(&self, prefix: &str) -> Result<Level, Trouble> {
        let mut level = Level::default();
        for (name, metadata) in self.entries(prefix)? {
            if metadata.is_dir() {
                level.folders.push(name);
            } else {
                level.objects.push(format!("{prefix}{name}"));
            }
        }
        level.folders.sort();
        level.objects.sort();
        Ok(level)
    }

    pub(super) fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed)) -> Result<(), Trouble> {
        self.list_below(prefix, 0, each)
    }

    fn list_below(&self, prefix: &str, depth: usize, each: &mut dyn FnMut(Listed)) -> Result<(), Trouble> {
        for (name, metadata) in self.entries(prefix)? {
            let key = format!("{prefix}{name}");
            if metadata.is_dir() && depth < DEPTH {
                self.list_below(&format!("{key}/"), depth + 1, each)?;
            } else {
                each(Listed { key, size: metadata.len() });
            }
        }
        Ok(())
    }

    /// The names in a folder. Links count as what they lead to; one that leads nowhere is a file that cannot be read.
    fn entries(&self, prefix: &str) -> Result<Vec<(String, fs::Metadata)>, Trouble> {
        let Some(path) = self.path(prefix) else { return Ok(Vec::new()) };
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(trouble(&error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| trouble(&error))?;
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            let led_to = if is_link { fs::metadata(entry.path()).ok() } else { None };
            let metadata = led_to.map_or_else(|| entry.metadata(), Ok).map_err(|error| trouble(&error))?;
            found.push((entry.file_name().to_string_lossy().into_owned(), metadata));
        }
        Ok(found)
    }

    /// Whether a folder has a name such as this; true where it cannot be read.
    pub(super) fn names(&self, prefix: &str, is_such: impl Fn(&str) -> bool) -> bool {
        let Some(entries) = self.path(prefix).and_then(|path| fs::read_dir(path).ok()) else { return true };
        entries.into_iter().any(|entry| entry.map_or(true, |entry| is_such(&entry.file_name().to_string_lossy())))
    }

    pub(super) fn exists(&self, key: &str) -> bool {
        self.path(key).is_some_and(|path| path.is_file())
    }

    pub(super) fn open(&self, key: &str) -> Result<(u64, Box<dyn Read + Send>), Trouble> {
        let file = self.file(key)?;
        let size = file.metadata().map_err(|error| trouble(&error))?.len();
        Ok((size, Box::new(file)))
    }

    pub(super) fn file(&self, key: &str) -> Result<File, Trouble> {
        let path = self.path(key).ok_or(Trouble::NotFound)?;
        open_regular(&path).map_err(|error| trouble(&error))
    }

    /// A file from one of its bytes on.
    pub(super) fn open_at(&self, key: &str, from: u64) -> Result<Box<dyn Read + Send>, Trouble> {
        let mut file = self.file(key)?;
        file.seek(SeekFrom::Start(from)).map_err(|error| trouble(&error))?;
        Ok(Box::new(file))
    }
}

/// Opens a file, and nothing that would wait or has no end.
fn open_regular(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    File::open(path)
}

pub(super) fn trouble(error: &io::Error) -> Trouble {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Trouble::NotFound,
        io::ErrorKind::PermissionDenied => Trouble::Denied(error.to_string()),
        _ => Trouble::Failed(format!("cannot be read: {error}")),
    }
}

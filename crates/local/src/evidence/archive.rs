//! An archive as a bucket. It is read once from its start to its end, into one file, and its entries are found there by
//! their names: an entry costs some two hundred bytes of memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use integrity::evidence::{Level, Listed, Trouble};
use pipeline::source::{Content, Source};

use super::folder::trouble;
use crate::files::content::Backing;
use crate::files::{FileSource, Options};

pub(super) struct Archive {
    /// Where each entry stands in the file, and how long it is.
    entries: BTreeMap<String, (u64, u64)>,
    content: Backing,
    unreadable: Vec<(String, String)>,
}

impl Archive {
    pub(super) fn open(path: &Path, spool: &Path) -> io::Result<Archive> {
        let mut source = FileSource::new(&[path], Options { inflated: u64::MAX, as_it_stands: true });
        let mut file = BufWriter::with_capacity(1 << 20, tempfile::tempfile_in(spool)?);
        let mut entries = BTreeMap::new();
        let mut unreadable = Vec::new();
        let mut at = 0;
        // The archive's own path may have the mark that stands before its entries' names, too.
        let marks = path.to_string_lossy().matches('!').count();
        while let Some(item) = source.next_item() {
            let item = match item {
                Ok(item) => item,
                Err(found) => {
                    unreadable.push((found.name, found.reason));
                    continue;
                }
            };
            let name = item.name.clone();
            let Some(key) = name.splitn(marks + 2, '!').nth(marks + 1).map(|entry| entry.trim_start_matches("./"))
            else {
                return Err(io::Error::other("neither a folder nor an archive"));
            };
            let copied = item.open().and_then(|content| copy(content, &mut file));
            match copied {
                Ok(length) => {
                    entries.insert(key.to_owned(), (at, length));
                    at += length;
                }
                Err(error) => {
                    unreadable.push((key.to_owned(), error.to_string()));
                    // What was written of it stands behind the last entry and belongs to none.
                    at = file.stream_position()?;
                }
            }
        }
        let file: File = file.into_inner().map_err(|error| error.into_error())?;
        Ok(Archive { entries, content: Backing::File(Arc::new(file)), unreadable })
    }

    pub(super) fn unreadable(&self) -> &[(String, String)] {
        &self.unreadable
    }

    fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a String, &'a (u64, u64))> {
        self.entries.range(prefix.to_owned()..).take_while(move |(key, _)| key.starts_with(prefix))
    }

    pub(super) fn level(&self, prefix: &str) -> Level {
        let mut level = Level::default();
        let mut from = prefix.to_owned();
        // From folder to folder, whatever they hold.
        while let Some((key, _)) = self.entries.range(from.clone()..).next().filter(|(key, _)| key.starts_with(prefix))
        {
            match key[prefix.len()..].split_once('/') {
                Some((folder, _)) => {
                    level.folders.push(folder.to_owned());
                    // The next character behind the slash.
                    from = format!("{prefix}{folder}0");
                }
                None => {
                    level.objects.push(key.clone());
                    from = format!("{key}\0");
                }
            }
        }
        // Keys have a slash behind a folder's name, which comes after a hyphen.
        level.folders.sort();
        level
    }

    pub(super) fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed)) {
        for (key, &(_, size)) in self.below(prefix) {
            each(Listed { key: key.clone(), size });
        }
    }

    pub(super) fn exists(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// An entry from one of its bytes on.
    pub(super) fn open_at(&self, key: &str, from: u64) -> Result<(u64, Box<dyn Read + Send>), Trouble> {
        let &(at, size) = self.entries.get(key).ok_or(Trouble::NotFound)?;
        let mut reader = self.content.reader();
        reader.seek(SeekFrom::Start(at + from)).map_err(|error| trouble(&error))?;
        Ok((size, Box::new(reader.take(size.saturating_sub(from)))))
    }
}

fn copy(content: Content, file: &mut impl Write) -> io::Result<u64> {
    match content {
        Content::Bytes(bytes) => file.write_all(&bytes).map(|()| bytes.len() as u64),
        Content::Reader(mut reader) => io::copy(&mut reader, file),
    }
}

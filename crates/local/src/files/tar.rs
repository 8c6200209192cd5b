//! The entries of a tar file, gzipped or not, in the order in which they stand.
//!
//! A tar file can only be read from its start to its end, and its reader lends each entry. So a thread of its own
//! reads it, one entry ahead.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use pipeline::source::{Item, Unreadable};
use tar::{Archive, Entry, EntryType};

use super::archive::{self, Found, Opened, entry_name, may_be_archive, without_content};
use super::content::{self, Backing};
use super::{Options, name};

/// A tar file's entries.
pub(super) struct TarEntries {
    name: String,
    entries: Receiver<Found>,
    reader: Option<JoinHandle<()>>,
}

impl TarEntries {
    pub(super) fn open(
        name: &str,
        stream: Box<dyn Read + Send>,
        gzipped: bool,
        options: Options,
    ) -> Result<TarEntries, String> {
        let consumed = Arc::new(AtomicU64::new(0));
        let counted = Counted { inner: stream, consumed: Arc::clone(&consumed) };
        let stream = if gzipped { archive::gunzip(counted) } else { Box::new(counted) };
        let (found, entries) = sync_channel(1);
        let walk = Walk { name: name.to_owned(), options, consumed, found };
        let reader = thread::Builder::new()
            .name("tar".to_owned())
            .spawn(move || walk.run(Archive::new(stream)))
            .map_err(|error| format!("no thread to read it: {error}"))?;
        Ok(TarEntries { name: name.to_owned(), entries, reader: Some(reader) })
    }

    pub(super) fn next_entry(&mut self) -> Option<Found> {
        if let Ok(found) = self.entries.recv() {
            return Some(found);
        }
        // The thread has ended. A panic in it must not look like the archive's end.
        let ended = self.reader.take()?.join();
        ended.err().map(|_| {
            let reason = "the reader of the archive failed".to_owned();
            Found::Unreadable(Unreadable { name: self.name.clone(), reason })
        })
    }
}

/// Reads an archive to its end, or until nobody waits for its entries.
struct Walk {
    name: String,
    options: Options,
    consumed: Arc<AtomicU64>,
    found: SyncSender<Found>,
}

impl Walk {
    fn run(&self, mut archive: Archive<Box<dyn Read + Send>>) {
        let mut number = 0u64;
        let mut before = 0;
        let outcome = archive.entries().and_then(|entries| {
            for entry in entries {
                let mut entry = entry?;
                number += 1;
                let found = self.entry(&mut entry, &mut before)?;
                if found.is_some_and(|found| self.found.send(found).is_err()) {
                    return Ok(());
                }
            }
            Ok(())
        });
        if let Err(error) = outcome {
            let reason = format!("the archive cannot be read behind its entry {number}: {error}");
            // Nobody waits: then nobody misses it.
            let _ = self.found.send(Found::Unreadable(Unreadable { name: self.name.clone(), reason }));
        }
    }

    /// One entry; nothing for a folder. Damage to the archive itself is an error.
    fn entry(&self, entry: &mut Entry<'_, Box<dyn Read + Send>>, before: &mut u64) -> io::Result<Option<Found>> {
        let raw_name = entry.path_bytes().into_owned();
        let name = entry_name(&self.name, &raw_name);
        let raw_name = String::from_utf8_lossy(&raw_name);
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {}
            EntryType::Directory | EntryType::XGlobalHeader => return Ok(None),
            // A link's content stands under another name, or outside; a device has none.
            _ => return Ok(Some(without_content(name, self.options))),
        }
        if !self.options.as_it_stands && name::is_clutter_entry(&raw_name) {
            return Ok(Some(Found::Skipped(name)));
        }
        let (size, limit) = (entry.size(), self.options.inflated);
        if size > limit {
            let reason = content::over_limit(limit);
            return Ok(Some(Found::Unreadable(Unreadable { name, reason })));
        }
        let (backing, failure) = Backing::spool(&mut entry.take(size), limit)?;
        let mut reader = backing.reader();
        if may_be_archive(&raw_name, self.options)
            && let Some(kind) = archive::kind(&archive::head(&mut reader)?)
        {
            return Ok(Some(Found::Archive(kind, name, Opened::Backing(backing))));
        }
        // The entry's share of what was read of the archive as it is stored.
        let consumed = self.consumed.load(Ordering::Relaxed);
        let stored = consumed - std::mem::replace(before, consumed);
        Ok(Some(Found::Item(Item::new(name, Some(stored), move || Ok(backing.into_content(failure))))))
    }
}

/// Counts the bytes read of an archive.
struct Counted {
    inner: Box<dyn Read + Send>,
    consumed: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.consumed.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

//! The entries of a zip file, inflated when their turn comes.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use flate2::Crc;
use flate2::read::DeflateDecoder;
use pipeline::source::{Content, Item, Unreadable};
use zip::{CompressionMethod, ZipArchive};

use super::archive::{self, Found, Opened, capped, entry_name, may_be_archive, without_content};
use super::content::{Backing, Positioned};
use super::{Options, name};

/// A zip file's entries, in the order of delivery.
pub(super) struct ZipEntries {
    name: String,
    backing: Backing,
    archive: ZipArchive<BufReader<Positioned>>,
    /// The indexes of the entries, the first to be read last.
    order: Vec<usize>,
    /// What the archive lists and cannot be reached.
    hidden: Option<Unreadable>,
    options: Options,
}

impl ZipEntries {
    pub(super) fn open(name: &str, backing: Backing, options: Options) -> Result<ZipEntries, String> {
        let damaged = |error: zip::result::ZipError| format!("not a sound zip archive: {error}");
        let mut archive = ZipArchive::new(BufReader::new(backing.reader())).map_err(damaged)?;
        // The same bytes under many names: a few megabytes would inflate to terabytes.
        if archive.has_overlapping_files().map_err(damaged)? {
            return Err("a zip archive whose entries overlap (a bomb)".to_owned());
        }
        // Entries are reached by their names: of several with one name, only the last.
        let listed =
            listed_entries(&mut backing.reader()).map_err(|error| format!("not a sound zip archive: {error}"))?;
        let hidden = listed.and_then(|listed| listed.checked_sub(archive.len() as u64)).filter(|&hidden| hidden > 0);
        let hidden = hidden.map(|hidden| Unreadable {
            name: name.to_owned(),
            reason: format!("{hidden} of its entries cannot be reached: later ones have the same names"),
        });
        let mut order: Vec<(u32, String, usize)> = (0..archive.len())
            .map(|index| {
                let entry = archive.name_for_index(index).and_then(Result::ok).unwrap_or_default().into_owned();
                (name::delivered(name::last_part(&entry)), entry, index)
            })
            .collect();
        order.sort_unstable_by(|left, right| right.cmp(left));
        let order = order.into_iter().map(|(_, _, index)| index).collect();
        Ok(ZipEntries { name: name.to_owned(), backing, archive, order, hidden, options })
    }

    pub(super) fn next_entry(&mut self) -> Option<Found> {
        if let Some(hidden) = self.hidden.take() {
            return Some(Found::Unreadable(hidden));
        }
        loop {
            let index = self.order.pop()?;
            let found = match self.entry(index) {
                Ok(found) => found,
                Err((name, reason)) => Some(Found::Unreadable(Unreadable { name, reason })),
            };
            if found.is_some() {
                return found;
            }
        }
    }

    /// One entry; nothing for a folder.
    fn entry(&mut self, index: usize) -> Result<Option<Found>, (String, String)> {
        let entry = self.archive.by_index_raw(index).map_err(|error| {
            (format!("{}!entry {}", self.name, index + 1), format!("not a sound zip entry: {error}"))
        })?;
        let raw_name = entry.name().map_or_else(|_| String::from_utf8_lossy(entry.name_raw()).into_owned(), Into::into);
        let name = entry_name(&self.name, raw_name.as_bytes());
        if entry.is_dir() {
            return Ok(None);
        }
        if entry.is_symlink() {
            return Ok(Some(without_content(name, self.options)));
        }
        if !self.options.as_it_stands && name::is_clutter_entry(&raw_name) {
            return Ok(Some(Found::Skipped(name)));
        }
        if entry.encrypted() {
            return Err((name, "the zip entry is encrypted".to_owned()));
        }
        let deflated = match entry.compression() {
            CompressionMethod::Stored => false,
            CompressionMethod::Deflated => true,
            other => return Err((name, format!("the zip entry is compressed by a method that is not read: {other}"))),
        };
        let Some(start) = entry.data_start() else {
            return Err((name, "not a sound zip entry: it has no data".to_owned()));
        };
        let (stored, size) = (entry.compressed_size(), entry.size());
        let place = Place { backing: self.backing.clone(), start, stored, size, crc: entry.crc32(), deflated };
        drop(entry);
        let limit = self.options.inflated;
        if may_be_archive(&raw_name, self.options) {
            let open = || place.reader().map(|reader| capped(reader, limit));
            let kind = open().and_then(|mut reader| archive::head(&mut reader).map(|head| archive::kind(&head)));
            // Damage at its very start: what reads the item says so.
            if let Ok(Some(kind)) = kind {
                let stream = open().map_err(|error| (name.clone(), error.to_string()))?;
                return Ok(Some(Found::Archive(kind, name, Opened::Stream(stream))));
            }
        }
        Ok(Some(Found::Item(Item::new(name, Some(stored), move || {
            Ok(Content::of(capped(place.reader()?, limit), Some(size)))
        }))))
    }
}

/// How many entries the end of an archive says there are; `None` where it does not say.
fn listed_entries(reader: &mut (impl Read + Seek)) -> io::Result<Option<u64>> {
    /// A comment of the greatest length, the record before it, and the two records of a large archive before that.
    const TAIL: u64 = 0xffff + 22 + 20 + 56;
    let length = reader.seek(SeekFrom::End(0))?;
    reader.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    reader.take(TAIL).read_to_end(&mut tail)?;
    let field = |signature: &[u8; 4], at: usize| {
        let record = memchr::memmem::rfind(&tail, signature)?;
        tail[record..].get(at..)
    };
    let entries =
        field(b"PK\x05\x06", 10).and_then(|field| field.first_chunk()).map(|&field| u16::from_le_bytes(field));
    Ok(match entries {
        Some(u16::MAX) => {
            field(b"PK\x06\x06", 32).and_then(|field| field.first_chunk()).map(|&field| u64::from_le_bytes(field))
        }
        entries => entries.map(u64::from),
    })
}

/// Where an entry's data stands and what it should come to.
struct Place {
    backing: Backing,
    start: u64,
    stored: u64,
    size: u64,
    crc: u32,
    deflated: bool,
}

impl Place {
    fn reader(&self) -> io::Result<impl Read + Send + use<>> {
        let mut positioned = self.backing.reader();
        positioned.seek(SeekFrom::Start(self.start))?;
        let stored = BufReader::with_capacity(64 << 10, positioned.take(self.stored));
        let inflated: Box<dyn Read + Send> =
            if self.deflated { Box::new(DeflateDecoder::new(stored)) } else { Box::new(stored) };
        Ok(Checked { inner: inflated, crc: Crc::new(), expected: (self.size, self.crc), ended: false })
    }
}

/// Sees at the end of an entry that it is what the archive says it is.
struct Checked<R> {
    inner: R,
    crc: Crc,
    /// Its size and its CRC-32.
    expected: (u64, u32),
    ended: bool,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended || buffer.is_empty() {
            return Ok(0);
        }
        let read =
            self.inner.read(buffer).map_err(|error| io::Error::other(format!("the zip entry is damaged: {error}")))?;
        self.crc.update(&buffer[..read]);
        self.ended = read == 0;
        // The CRC counts its bytes modulo 2³².
        let is_whole = self.crc.amount() == self.expected.0 as u32 && self.crc.sum() == self.expected.1;
        if self.ended && !is_whole {
            return Err(io::Error::other("the zip entry is damaged: its checksum does not fit"));
        }
        Ok(read)
    }
}

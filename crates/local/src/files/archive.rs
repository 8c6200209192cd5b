//! Archives of logs: told by their content, opened where they stand, one inside another.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use flate2::read::{GzDecoder, MultiGzDecoder};
use pipeline::source::{Item, Unreadable};

use super::content::{Backing, Capped};
use super::tar::TarEntries;
use super::zip::ZipEntries;
use super::{Options, name};

/// How deep archives may stand in archives.
const DEPTH: usize = 2;
/// The bytes that tell what a content is: enough of a gzip stream to hold the first block of a tar file.
const HEAD: u64 = 2048;
const TAR_BLOCK: usize = 512;

/// The archives that are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Zip,
    Tar,
    TarGz,
}

/// An archive's content.
pub(super) enum Opened {
    File(File),
    Backing(Backing),
    Stream(Box<dyn Read + Send>),
}

/// What stands in an archive.
pub(super) enum Found {
    Item(Item),
    Unreadable(Unreadable),
    Skipped(String),
    Archive(Kind, String, Opened),
}

/// An archive that is being read.
pub(super) enum Archive {
    Zip(ZipEntries),
    Tar(TarEntries),
}

impl Archive {
    /// Opens an archive that stands in `depth` others.
    pub(super) fn open(
        kind: Kind,
        name: &str,
        opened: Opened,
        depth: usize,
        options: Options,
    ) -> Result<Archive, String> {
        if depth >= DEPTH {
            return Err(format!("archives nested deeper than {DEPTH} levels are not opened"));
        }
        match kind {
            Kind::Zip => {
                let backing = match opened {
                    Opened::File(file) => Backing::File(Arc::new(file)),
                    Opened::Backing(backing) => backing,
                    // A zip file is read from its end.
                    Opened::Stream(mut stream) => match Backing::spool(&mut stream, options.inflated) {
                        Ok((backing, None)) => backing,
                        Ok((_, Some(error))) | Err(error) => return Err(format!("cannot be read: {error}")),
                    },
                };
                ZipEntries::open(name, backing, options).map(Archive::Zip)
            }
            Kind::Tar | Kind::TarGz => {
                let stream: Box<dyn Read + Send> = match opened {
                    Opened::File(file) => Box::new(file),
                    Opened::Backing(backing) => Box::new(backing.reader()),
                    Opened::Stream(stream) => stream,
                };
                TarEntries::open(name, stream, kind == Kind::TarGz, options).map(Archive::Tar)
            }
        }
    }

    /// The next entry; `None` at the end.
    pub(super) fn next_entry(&mut self) -> Option<Found> {
        match self {
            Archive::Zip(zip) => zip.next_entry(),
            Archive::Tar(tar) => tar.next_entry(),
        }
    }
}

/// The first bytes of a content, as many as tell what it is.
pub(super) fn head(reader: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    reader.take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}

/// Which archive starts with these bytes.
pub(super) fn kind(head: &[u8]) -> Option<Kind> {
    // A local file header, or the end record of an empty archive.
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return Some(Kind::Zip);
    }
    if head.starts_with(&[0x1f, 0x8b, 0x08]) {
        let mut block = Vec::with_capacity(TAR_BLOCK);
        // An error only says that the head ends before the stream does.
        let _ = GzDecoder::new(head).take(TAR_BLOCK as u64).read_to_end(&mut block);
        return starts_tar(&block).then_some(Kind::TarGz);
    }
    starts_tar(head).then_some(Kind::Tar)
}

/// Whether the first block is the header of a tar entry: its checksum, in octal digits, fits.
fn starts_tar(block: &[u8]) -> bool {
    const CHECKSUM: std::ops::Range<usize> = 148..156;
    let Some(block) = block.get(..TAR_BLOCK) else { return false };
    let digits = String::from_utf8_lossy(&block[CHECKSUM]);
    let digits = digits.trim_matches(['\0', ' ']);
    let Ok(expected) = u32::from_str_radix(digits, 8) else { return false };
    let outside: u32 = block[..CHECKSUM.start].iter().chain(&block[CHECKSUM.end..]).map(|&byte| u32::from(byte)).sum();
    expected == outside + 8 * u32::from(b' ')
}

/// Gunzips an archive, each entry's share of which is capped where it is read.
pub(super) fn gunzip(reader: impl Read + Send + 'static) -> Box<dyn Read + Send> {
    Box::new(MultiGzDecoder::new(io::BufReader::with_capacity(256 << 10, reader)))
}

/// An entry as it is called: `archive.zip!folder/entry.json`.
pub(super) fn entry_name(archive: &str, entry: &[u8]) -> String {
    name::bounded(&format!("{archive}!{}", String::from_utf8_lossy(entry)))
}

/// Whether an entry's content must be looked at: CloudTrail's own files are no archives.
pub(super) fn may_be_archive(entry: &str, options: Options) -> bool {
    !options.as_it_stands && name::delivered(name::last_part(entry)) == name::NEVER
}

/// An entry that has no content of its own, such as a link: nothing of a log is lost with it, but an object of a bucket.
pub(super) fn without_content(name: String, options: Options) -> Found {
    match options.as_it_stands {
        true => Found::Unreadable(Unreadable { name, reason: "it is a link or a device, not a file".to_owned() }),
        false => Found::Skipped(name),
    }
}

/// A reader that ends with an error where an entry inflates to more than a file may.
pub(super) fn capped(reader: impl Read + Send + 'static, limit: u64) -> Box<dyn Read + Send> {
    Box::new(Capped::new(reader, limit))
}

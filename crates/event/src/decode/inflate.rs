//! Gunzip: whole and fast where a file is one small, sound member, else streaming.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use libdeflater::{Crc, Decompressor};

use super::{Limits, Summary};

/// Content that inflates to more than this streams.
const WHOLE: usize = 32 << 20;
const MAGIC: [u8; 3] = [0x1f, 0x8b, 0x08];

/// A file's content, gzipped or not.
pub enum Content<'a> {
    /// All of it.
    Bytes(&'a [u8]),
    /// As it comes, for large files and pipes.
    Reader(&'a mut dyn Read),
}

pub(super) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

pub(super) fn over_limit(limits: &Limits) -> String {
    format!("inflates to more than the limit of {} bytes (limits.max_inflated)", limits.inflated)
}

/// Inflates whole files into one buffer that is used again.
pub(super) struct Inflater {
    decompressor: Decompressor,
    buffer: Vec<u8>,
}

impl Default for Inflater {
    fn default() -> Inflater {
        Inflater { decompressor: Decompressor::new(), buffer: Vec::new() }
    }
}

impl Inflater {
    /// The inflated content of a file that is one sound gzip member, not too large; `None` for any other.
    pub(super) fn whole(&mut self, bytes: &[u8], limits: &Limits) -> Option<&[u8]> {
        let (crc, size) = trailer(bytes)?;
        if size > WHOLE || size as u64 > limits.inflated || holds_another_member(bytes) {
            return None;
        }
        if self.buffer.len() < size {
            self.buffer.resize(size.next_power_of_two(), 0);
        }
        let written = self.decompressor.gzip_decompress(bytes, &mut self.buffer[..size]).ok()?;
        let inflated = &self.buffer[..written];
        // The trailer at the very end belongs to this member: nothing stands behind it.
        let mut actual = Crc::new();
        actual.update(inflated);
        (written == size && actual.sum() == crc).then_some(inflated)
    }
}

/// The CRC-32 and the size that the last eight bytes give.
fn trailer(bytes: &[u8]) -> Option<(u32, usize)> {
    let (_, tail) = bytes.split_last_chunk::<8>()?;
    let crc = u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]);
    let size = u32::from_le_bytes([tail[4], tail[5], tail[6], tail[7]]);
    Some((crc, size as usize))
}

/// Whether something that looks like the header of a second member stands in the bytes. Where it is compressed data
/// that only looks so, the slow path gives the same result.
fn holds_another_member(bytes: &[u8]) -> bool {
    memchr::memmem::find_iter(&bytes[MAGIC.len()..], &MAGIC).any(|at| {
        // Reserved flag bits are zero in every header.
        bytes.get(at + 2 * MAGIC.len()).is_some_and(|flags| flags & 0xe0 == 0)
    })
}

/// A reader over the inflated content of all members.
pub(super) fn gunzip(bytes: &[u8]) -> impl Read + '_ {
    MultiGzDecoder::new(bytes)
}

/// Calls `read` with a reader over the plain content, gunzipped where it begins like gzip.
pub(super) fn with_gunzip(reader: &mut dyn Read, read: impl FnOnce(&mut dyn Read) -> Summary) -> Summary {
    let mut buffered = BufReader::with_capacity(1 << 20, reader);
    let start = match fill(&mut buffered) {
        Ok(start) => start,
        Err(error) => {
            return Summary { damage: Some(format!("cannot be read: {error}")), ..Summary::default() };
        }
    };
    if is_gzip(start) { read(&mut MultiGzDecoder::new(buffered)) } else { read(&mut buffered) }
}

fn fill<R: Read>(reader: &mut BufReader<R>) -> io::Result<&[u8]> {
    // One read of a pipe may bring fewer bytes than the magic; files bring all.
    reader.fill_buf()
}

/// What a reading error says to the person who has the file.
pub(super) fn describe(error: &io::Error, inflated: u64) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => format!("the gzip data is cut off after {inflated} inflated bytes"),
        io::ErrorKind::InvalidInput if inflated > 0 => {
            format!("there are bytes that are no gzip member behind the first {inflated} inflated bytes")
        }
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            format!("the gzip data is damaged after {inflated} inflated bytes: {error}")
        }
        _ => format!("cannot be read: {error}"),
    }
}

//! Gunzip: whole and fast where a file is one small, sound member, else streaming.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::{Decompress, FlushDecompress, Status};
use libdeflater::{Crc, Decompressor};

use super::{Summary, Watch};

/// Content that inflates to more than this streams.
const WHOLE: usize = 32 << 20;
const MAGIC: [u8; 3] = [0x1f, 0x8b, 0x08];
/// The size of a stored name or comment in a header that is read.
const HEADER_TEXT: usize = 64 << 10;

/// A file's content, gzipped or not.
pub enum Content<'a> {
    /// All of it.
    Bytes(&'a [u8]),
    /// As it comes, for large files and pipes.
    Reader(&'a mut dyn Read),
}

/// Whether content is what one gzip member holds, all of it, and nothing else: only then has it one hash.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Sealing {
    /// It was not read to its end: reading failed, the limit was met, or somebody stopped.
    #[default]
    Unknown,
    /// It is one sound gzip member.
    Single,
    /// It is no gzip, is damaged, or something stands behind the first member.
    Broken,
}

pub(super) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

pub(super) fn over_limit(limit: u64) -> String {
    format!("inflates to more than the limit of {limit} bytes (limits.max_inflated)")
}

/// Inflates whole files into one buffer that is used again, by the fastest library.
pub struct Whole {
    decompressor: Decompressor,
    buffer: Vec<u8>,
}

impl Default for Whole {
    fn default() -> Whole {
        Whole { decompressor: Decompressor::new(), buffer: Vec::new() }
    }
}

impl Whole {
    /// The inflated content of a file that is one sound gzip member with nothing behind it, and that inflates to no more
    /// than `limit` bytes. `None` for any other, and for some that are: a reader of streams says what they are.
    pub fn inflate(&mut self, bytes: &[u8], limit: u64) -> Option<&[u8]> {
        let (_, trailer) = bytes.split_last_chunk::<8>()?;
        let [c0, c1, c2, c3, size @ ..] = *trailer;
        let size = u32::from_le_bytes(size) as usize;
        if size > WHOLE || size as u64 > limit {
            return None;
        }
        if self.buffer.len() < size {
            self.buffer.resize(size.next_power_of_two(), 0);
        }
        // The library compares the trailer behind the first member with what it inflated, and passes over the rest.
        let written = self.decompressor.gzip_decompress(bytes, &mut self.buffer[..size]).ok()?;
        let mut crc = Crc::new();
        crc.update(&self.buffer[..written]);
        let is_its_own = written == size && crc.sum() == u32::from_le_bytes([c0, c1, c2, c3]);
        // So these eight bytes stand where the member ends. Where they stand nowhere but at the end, nothing is behind it.
        let is_whole = is_its_own && memchr::memmem::find(bytes, trailer) == Some(bytes.len() - trailer.len());
        is_whole.then(|| &self.buffer[..written])
    }
}

/// Reads the inflated content of all members of a gzip stream.
///
/// Every byte that was inflated before some damage is handed out before the error: flate2's own reader drops what it
/// inflated in the call that meets the damage, which for a small file is all of it.
pub(super) struct Gunzip<R> {
    input: R,
    inflate: Decompress,
    crc: Crc,
    place: Place,
    /// Sound members that came to their ends.
    members: u64,
}

enum Place {
    Header { first: bool },
    Body,
    End,
    Damaged(io::ErrorKind, &'static str),
}

impl<R: BufRead> Gunzip<R> {
    pub(super) fn new(input: R) -> Gunzip<R> {
        Gunzip {
            input,
            inflate: Decompress::new(false),
            crc: Crc::new(),
            place: Place::Header { first: true },
            members: 0,
        }
    }

    /// What all of it is, once it was read as far as it goes.
    fn sealing(&self) -> Sealing {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        match self.place {
            Place::End if self.members == 1 => Sealing::Single,
            Place::End | Place::Damaged(InvalidData | InvalidInput | UnexpectedEof, _) => Sealing::Broken,
            _ => Sealing::Unknown,
        }
    }

    /// Reads a member's header; false where there is none because the stream is at its end.
    fn header(&mut self, first: bool) -> io::Result<bool> {
        if !first && self.input.fill_buf()?.is_empty() {
            return Ok(false);
        }
        let mut fixed = [0; 10];
        self.input.read_exact(&mut fixed[..2])?;
        if fixed[..2] != MAGIC[..2] {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no gzip member"));
        }
        self.input.read_exact(&mut fixed[2..])?;
        let flags = fixed[3];
        if fixed[2] != MAGIC[2] || flags & 0xe0 != 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an unknown gzip header"));
        }
        if flags & 0x04 != 0 {
            let mut length = [0; 2];
            self.input.read_exact(&mut length)?;
            io::copy(&mut (&mut self.input).take(u16::from_le_bytes(length).into()), &mut io::sink())?;
        }
        for _ in 0..(flags >> 3 & 1) + (flags >> 4 & 1) {
            let mut text = Vec::new();
            (&mut self.input).take(HEADER_TEXT as u64).read_until(0, &mut text)?;
            if text.len() == HEADER_TEXT {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "an endless name in the gzip header"));
            }
        }
        if flags & 0x02 != 0 {
            self.input.read_exact(&mut [0; 2])?;
        }
        Ok(true)
    }

    /// Compares a member's trailer with what was inflated.
    fn trailer(&mut self) -> io::Result<()> {
        let mut trailer = [0; 8];
        self.input.read_exact(&mut trailer)?;
        let size = (self.inflate.total_out() as u32).to_le_bytes();
        if trailer[..4] != self.crc.sum().to_le_bytes() || trailer[4..] != size {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the checksum does not fit"));
        }
        Ok(())
    }

    /// Inflates some of a member's body; 0 at its end.
    fn body(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let input = self.input.fill_buf()?;
            let at_end = input.is_empty();
            let (taken, given) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(input, buffer, FlushDecompress::None);
            self.input.consume((self.inflate.total_in() - taken) as usize);
            let written = (self.inflate.total_out() - given) as usize;
            self.crc.update(&buffer[..written]);
            match status {
                // What was inflated first, its end or damage at the next call.
                _ if written > 0 => return Ok(written),
                Ok(Status::StreamEnd) => return Ok(0),
                Ok(_) if at_end => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(_) => return Err(io::Error::new(io::ErrorKind::InvalidData, "the deflate stream is corrupt")),
            }
        }
    }

    fn step(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.place {
                Place::Header { first } => {
                    self.place = if self.header(first)? { Place::Body } else { Place::End };
                    self.inflate.reset(false);
                    self.crc = Crc::new();
                }
                Place::Body => {
                    let read = self.body(buffer)?;
                    if read > 0 {
                        return Ok(read);
                    }
                    self.trailer()?;
                    self.members += 1;
                    self.place = Place::Header { first: false };
                }
                Place::End => return Ok(0),
                Place::Damaged(kind, what) => return Err(io::Error::new(kind, what)),
            }
        }
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.step(buffer).inspect_err(|error| {
            // Behind damage there is nothing to be read, and no end either.
            self.place = Place::Damaged(error.kind(), "behind damage");
        })
    }
}

/// Calls `read` with a reader over the plain content, gunzipped where it begins like gzip, and shows `watch` what it reads.
pub(super) fn with_gunzip(
    reader: &mut dyn Read,
    watch: &mut Watch<'_>,
    read: impl FnOnce(&mut dyn Read) -> Summary,
) -> Summary {
    let mut start = Vec::with_capacity(MAGIC.len());
    if let Err(error) = reader.take(MAGIC.len() as u64).read_to_end(&mut start) {
        return Summary { damage: Some(describe(&error, 0)), ..Summary::default() };
    }
    let gzipped = is_gzip(&start);
    let mut whole = Cursor::new(start).chain(reader);
    if !gzipped {
        return Summary { sealing: Sealing::Broken, ..read(&mut whole) };
    }
    let mut gunzip = Gunzip::new(BufReader::with_capacity(1 << 20, whole));
    let summary = read(&mut Watched { reader: &mut gunzip, watch });
    Summary { sealing: gunzip.sealing(), ..summary }
}

/// Shows what is read.
struct Watched<'r, 'w> {
    reader: &'r mut dyn Read,
    watch: &'r mut Watch<'w>,
}

impl Read for Watched<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        (self.watch)(&buffer[..read]);
        Ok(read)
    }
}

/// What a reading error says to the person who has the file.
pub(super) fn describe(error: &io::Error, inflated: u64) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => format!("the gzip data is cut off after {inflated} inflated bytes"),
        io::ErrorKind::InvalidInput => {
            format!("there are bytes that are no gzip member behind the first {inflated} inflated bytes")
        }
        io::ErrorKind::InvalidData => format!("the gzip data is damaged after {inflated} inflated bytes: {error}"),
        _ => format!("cannot be read: {error}"),
    }
}

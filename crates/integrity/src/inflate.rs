//! Gunzip of exactly one member.
//!
//! A gzip file may have several members, and readers differ in what they make of bytes behind the first one: whoever
//! appends to a file whose hash is taken over its first member would be believed. So anything behind it is refused.
//!
//! A small file is inflated at once, by the fastest library; a large one, and one in which anything is odd, as a stream.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use event::decode::Whole;
use flate2::{Crc, Decompress, FlushDecompress, Status};

/// Why something could not be inflated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InflateError {
    /// It does not begin as gzip does.
    #[error("it is not gzip")]
    NotGzip,
    /// Its compressed bytes make no sense, or not what their checksum says.
    #[error("its gzip data is damaged ({0})")]
    Damaged(&'static str),
    /// It ends before its gzip data does.
    #[error("it is cut off")]
    CutOff,
    /// Something stands behind the first gzip member.
    #[error("there is data behind the end of its compressed stream")]
    Trailing,
    /// It inflates to more than is read.
    #[error("it inflates to more than the limit of {limit} bytes")]
    TooLarge {
        /// The most bytes it may inflate to.
        limit: u64,
    },
    /// Its bytes could not be read.
    #[error("it cannot be read: {0}")]
    Read(io::Error),
}

/// Compressed files up to this size are inflated at once, unless they inflate to more than that: threads that wait for S3
/// are many, and each has room for one.
const SMALL: usize = 256 << 10;
const SMALL_INFLATED: u64 = 2 << 20;
/// The compressed bytes that are read at once.
const INPUT: usize = 64 << 10;
/// The inflated bytes that are handed on at once.
const OUTPUT: usize = 128 << 10;
/// The longest name or comment in a header.
const HEADER_TEXT: u64 = 64 << 10;

/// Inflates one file after the other with the same buffers.
pub struct Inflater {
    whole: Whole,
    small: Vec<u8>,
    inflate: Decompress,
    output: Vec<u8>,
}

impl Default for Inflater {
    fn default() -> Inflater {
        Inflater { whole: Whole::default(), small: Vec::new(), inflate: Decompress::new(false), output: Vec::new() }
    }
}

impl Inflater {
    /// Hands the inflated bytes of the one member to `each`, piece by piece. Until this returns, nothing says that they
    /// are sound. Returns how many they are.
    ///
    /// # Errors
    /// [`InflateError`].
    pub fn member(
        &mut self,
        reader: &mut dyn Read,
        limit: u64,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<u64, InflateError> {
        self.small.clear();
        let more = SMALL as u64 + 1;
        reader.take(more).read_to_end(&mut self.small).map_err(InflateError::Read)?;
        if self.small.len() <= SMALL
            && let Some(content) = self.whole.inflate(&self.small, limit.min(SMALL_INFLATED))
        {
            each(content);
            return Ok(content.len() as u64);
        }
        let small = std::mem::take(&mut self.small);
        let inflated = self.stream(&mut Cursor::new(&small).chain(reader), limit, each);
        self.small = small;
        inflated
    }

    fn stream(&mut self, reader: &mut dyn Read, limit: u64, each: &mut dyn FnMut(&[u8])) -> Result<u64, InflateError> {
        let mut input = BufReader::with_capacity(INPUT, reader);
        header(&mut input)?;
        self.output.resize(OUTPUT, 0);
        self.inflate.reset(false);
        let mut crc = Crc::new();
        loop {
            let bytes = fill(&mut input)?;
            let at_end = bytes.is_empty();
            let (taken, given) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self
                .inflate
                .decompress(bytes, &mut self.output, FlushDecompress::None)
                .map_err(|_| InflateError::Damaged("the deflate stream is corrupt"))?;
            input.consume((self.inflate.total_in() - taken) as usize);
            let written = (self.inflate.total_out() - given) as usize;
            if self.inflate.total_out() > limit {
                return Err(InflateError::TooLarge { limit });
            }
            crc.update(&self.output[..written]);
            each(&self.output[..written]);
            match status {
                Status::StreamEnd => break,
                _ if at_end && written == 0 => return Err(InflateError::CutOff),
                _ => {}
            }
        }
        let mut trailer = [0; 8];
        exactly(&mut input, &mut trailer)?;
        let inflated = self.inflate.total_out();
        // The size is kept modulo 2³².
        if trailer[..4] != crc.sum().to_le_bytes() || trailer[4..] != (inflated as u32).to_le_bytes() {
            return Err(InflateError::Damaged("its checksum does not fit"));
        }
        if fill(&mut input)?.is_empty() { Ok(inflated) } else { Err(InflateError::Trailing) }
    }
}

/// Reads a member's header.
fn header(input: &mut impl BufRead) -> Result<(), InflateError> {
    let mut fixed = [0; 10];
    exactly(input, &mut fixed[..3])?;
    if fixed[..3] != [0x1f, 0x8b, 8] {
        return Err(InflateError::NotGzip);
    }
    exactly(input, &mut fixed[3..])?;
    let flags = fixed[3];
    if flags & 0xe0 != 0 {
        return Err(InflateError::Damaged("its header has unknown flags"));
    }
    if flags & 0x04 != 0 {
        let mut length = [0; 2];
        exactly(input, &mut length)?;
        let mut extra = vec![0; usize::from(u16::from_le_bytes(length))];
        exactly(input, &mut extra)?;
    }
    for _ in 0..(flags >> 3 & 1) + (flags >> 4 & 1) {
        let mut text = Vec::new();
        input.take(HEADER_TEXT).read_until(0, &mut text).map_err(InflateError::Read)?;
        if text.last() != Some(&0) {
            return Err(InflateError::Damaged("a name in its header does not end"));
        }
    }
    if flags & 0x02 != 0 {
        exactly(input, &mut [0; 2])?;
    }
    Ok(())
}

fn fill(input: &mut impl BufRead) -> Result<&[u8], InflateError> {
    // Asked twice: the borrow of a first answer would last.
    while let Err(error) = input.fill_buf() {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(InflateError::Read(error));
        }
    }
    input.fill_buf().map_err(InflateError::Read)
}

fn exactly(input: &mut impl Read, buffer: &mut [u8]) -> Result<(), InflateError> {
    input.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => InflateError::CutOff,
        _ => InflateError::Read(error),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::write::GzEncoder;
    use flate2::{Compression, GzBuilder};
    use proptest::prelude::*;

    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn inflate(mut bytes: &[u8], limit: u64) -> Result<Vec<u8>, InflateError> {
        let mut content = Vec::new();
        let length = Inflater::default().member(&mut bytes, limit, &mut |piece| content.extend_from_slice(piece))?;
        assert_eq!(length, content.len() as u64);
        Ok(content)
    }

    #[test]
    fn one_member_is_inflated_whatever_its_size() {
        let large = SMALL_INFLATED as usize;
        for size in [0, 1, 1000, OUTPUT - 1, OUTPUT, OUTPUT + 1, 3 * OUTPUT, large, large + 1] {
            let content: Vec<u8> = (0..size).map(|place| (place * place / 7) as u8).collect();
            assert_eq!(inflate(&gzip(&content), size as u64).unwrap(), content, "{size}");
            // What cannot be compressed is a large file sooner.
            let content: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(size).collect();
            assert_eq!(inflate(&gzip(&content), size as u64).unwrap(), content, "{size}");
        }
        let named =
            GzBuilder::new().filename("a.json").comment("b").extra([1, 2, 3]).write(Vec::new(), Compression::fast());
        let mut named = named;
        named.write_all(b"content").unwrap();
        assert_eq!(inflate(&named.finish().unwrap(), 7).unwrap(), b"content");
    }

    #[test]
    fn what_stands_behind_the_first_member_is_refused() {
        let member = gzip(b"content");
        let trailer = &member[member.len() - 8..];
        let mut nearly = trailer.to_vec();
        nearly[0] ^= 1;
        let hidden = [b"hidden", trailer].concat();
        for tail in [&[0][..], b"x", &member, trailer, &nearly, &[0; 512], &hidden] {
            let bytes = [&member, tail].concat();
            assert!(matches!(inflate(&bytes, 100), Err(InflateError::Trailing)), "{tail:?}");
        }
        let (stream, trailer) = member.split_at(member.len() - 8);
        let between = [stream, b"hidden", trailer].concat();
        assert!(matches!(inflate(&between, 100), Err(InflateError::Damaged(_))));
        let nothing = gzip(b"");
        assert!(matches!(inflate(&[&nothing[..], &[0; 8]].concat(), 100), Err(InflateError::Trailing)));
    }

    proptest! {
        /// What is inflated at once is what the stream gives, and what the stream refuses is refused.
        #[test]
        fn at_once_is_as_a_stream(
            content in prop::collection::vec(0u8..12, 0..2_000),
            edits in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8, 0u8..4), 0..3),
        ) {
            let mut bytes = gzip(&content);
            let trailer = bytes[bytes.len() - 8..].to_vec();
            for (place, bit, edit) in edits {
                let place = place.index(bytes.len());
                match edit {
                    0 => bytes[place] ^= 1 << bit,
                    1 => bytes.truncate(place.max(1)),
                    2 => bytes.extend_from_slice(&trailer),
                    _ => bytes.insert(place, bit),
                }
            }
            let (mut at_once, mut streamed) = (Vec::new(), Vec::new());
            let mut inflater = Inflater::default();
            let one = inflater.member(&mut &bytes[..], 4_000, &mut |piece| at_once.extend_from_slice(piece));
            let other = inflater.stream(&mut &bytes[..], 4_000, &mut |piece| streamed.extend_from_slice(piece));
            prop_assert_eq!(one.map_err(|error| error.to_string()), other.map_err(|error| error.to_string()));
            prop_assert_eq!(at_once, streamed);
        }
    }

    #[test]
    fn what_is_cut_off_damaged_or_too_large_is_said() {
        let member = gzip(b"some content that is inflated");
        for end in 0..member.len() {
            assert!(matches!(inflate(&member[..end], 100), Err(InflateError::CutOff)), "cut at {end}");
        }
        assert!(matches!(inflate(b"{\"Records\":[]}", 100), Err(InflateError::NotGzip)));
        assert!(matches!(inflate(&member, 28), Err(InflateError::TooLarge { limit: 28 })));
        let mut damaged = member;
        let place = damaged.len() - 1;
        damaged[place] ^= 1;
        assert!(matches!(inflate(&damaged, 100), Err(InflateError::Damaged(_))));
        // A bomb costs no more than the limit.
        let bomb = gzip(&vec![0; 50 << 20]);
        let mut handed_on = 0;
        let outcome = Inflater::default().member(&mut &bomb[..], 1 << 20, &mut |piece| handed_on += piece.len());
        assert!(matches!(outcome, Err(InflateError::TooLarge { .. })) && handed_on <= 1 << 20);
    }

    #[test]
    fn an_endless_name_in_the_header_is_given_up() {
        let mut bytes = vec![0x1f, 0x8b, 8, 0x08, 0, 0, 0, 0, 0, 0];
        bytes.resize(1 << 20, b'x');
        assert!(matches!(inflate(&bytes, 100), Err(InflateError::Damaged(_))));
    }
}

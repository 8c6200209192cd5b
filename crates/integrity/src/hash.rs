//! SHA-256, as digests write it: lower-case hexadecimal.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256, digest};
use serde::{Deserialize, Serialize};

/// A SHA-256 hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// The hash of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Sha256 {
        Sha256(array(digest(&SHA256, bytes).as_ref()))
    }

    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Sha256> {
        unhex(text)?.try_into().ok().map(Sha256)
    }

    /// Its first half: enough to tell names apart that somebody chose to look alike.
    #[must_use]
    pub fn half(self) -> u128 {
        let mut half = [0; 16];
        half.copy_from_slice(&self.0[..16]);
        u128::from_be_bytes(half)
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Sha256> for String {
    fn from(hash: Sha256) -> String {
        hash.to_string()
    }
}

impl TryFrom<String> for Sha256 {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Sha256, &'static str> {
        Sha256::parse(&text).ok_or("no SHA-256 hash")
    }
}

/// A hash in the making, piece by piece.
pub struct Hashing(Context);

impl Default for Hashing {
    fn default() -> Hashing {
        Hashing(Context::new(&SHA256))
    }
}

impl Hashing {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all of them.
    #[must_use]
    pub fn finish(self) -> Sha256 {
        Sha256(array(self.0.finish().as_ref()))
    }
}

fn array(hash: &[u8]) -> [u8; 32] {
    hash.try_into().expect("SHA-256 has 32 bytes")
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// The bytes that hexadecimal digits of either case stand for.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes = pairs.iter().map(|&[high, low]| Some((digit(high)? << 4 | digit(low)?) as u8));
    if rest.is_empty() { bytes.collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_nothing_is_the_known_one() {
        let known = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Sha256::of(b"").to_string(), known);
        assert_eq!(Hashing::default().finish(), Sha256::parse(known).unwrap());
        assert_eq!(Sha256::parse(&known.to_uppercase()), Sha256::parse(known));
        let mut hashing = Hashing::default();
        hashing.update(b"ab");
        hashing.update(b"c");
        assert_eq!(hashing.finish(), Sha256::of(b"abc"));
    }

    #[test]
    fn what_is_no_hash_is_none() {
        let known = Sha256::of(b"").to_string();
        for wrong in ["", "e3", &known[1..], &format!("{known}00"), &known.replace('e', "g"), "é"] {
            assert_eq!(Sha256::parse(wrong), None, "{wrong}");
        }
    }
}

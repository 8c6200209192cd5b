//! The identity of an event: its `eventID`, as 128 bits.

use sha2::{Digest, Sha256};

/// An event id as 128 bits: a UUID's own, or the start of a SHA-256 for an id of another form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey(u128);

impl EventKey {
    /// The key of an event id.
    #[must_use]
    pub fn of(id: &str) -> EventKey {
        EventKey(parse_uuid(id).unwrap_or_else(|| start_of_sha256(id.as_bytes())))
    }

    /// The 128 bits.
    #[must_use]
    pub fn bits(self) -> u128 {
        self.0
    }
}

/// A stable id for a record that has none, in the form of a UUID of version 8 ("custom", RFC 9562).
#[must_use]
pub(crate) fn derive_id(content: &str) -> String {
    let bits = start_of_sha256(content.as_bytes());
    let bits = (bits & !(0xf << 76) & !(0b11 << 62)) | (8 << 76) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn start_of_sha256(bytes: &[u8]) -> u128 {
    let digest = Sha256::digest(bytes);
    digest.iter().take(16).fold(0, |bits, &byte| bits << 8 | u128::from(byte))
}

/// The bits of a UUID in its canonical form: lower case, dashes in their places. Any other form has a key of its own,
/// so that two different texts never share one by spelling.
fn parse_uuid(id: &str) -> Option<u128> {
    let bytes: &[u8; 36] = id.as_bytes().try_into().ok()?;
    if [8, 13, 18, 23].iter().any(|&dash| bytes[dash] != b'-') {
        return None;
    }
    let mut bits = 0u128;
    let mut invalid = 0;
    for start in [0, 4, 9, 14, 19, 24, 28, 32] {
        let digits = bytes[start..start + 4].iter().map(|&byte| DIGITS[usize::from(byte)]);
        let (group, wrong) =
            digits.fold((0u16, 0), |(group, wrong), digit| (group << 4 | u16::from(digit & 0xf), wrong | digit));
        bits = bits << 16 | u128::from(group);
        invalid |= wrong;
    }
    (invalid < 16).then_some(bits)
}

/// The value of each byte as a hexadecimal digit in lower case; over 15 for any other byte.
const DIGITS: [u8; 256] = {
    let mut digits = [0xf0; 256];
    let mut digit = 0;
    while digit < 16 {
        digits[b"0123456789abcdef"[digit as usize] as usize] = digit;
        digit += 1;
    }
    digits
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_uuid_is_its_bits_and_a_wrong_byte_makes_it_none(bits: u128, place in 0usize..36, byte in 0u8..128) {
            let hex = format!("{bits:032x}");
            let mut id = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
            prop_assert_eq!(parse_uuid(&id), Some(bits));
            let byte = char::from(byte);
            let right = if id.as_bytes()[place] == b'-' { byte == '-' } else { matches!(byte, '0'..='9' | 'a'..='f') };
            id.replace_range(place..=place, byte.encode_utf8(&mut [0; 4]));
            prop_assert_eq!(parse_uuid(&id).is_some(), right);
        }
    }

    #[test]
    fn a_uuid_is_its_own_key() {
        assert_eq!(EventKey::of("00000000-0000-0000-0000-0000000000ff").bits(), 255);
    }

    #[test]
    fn other_spellings_are_other_ids() {
        let canonical = EventKey::of("7ec7f858-0775-423c-8eeb-d866ca706aaa");
        for other in ["7EC7F858-0775-423C-8EEB-D866CA706AAA", "7ec7f8580775423c8eebd866ca706aaa", "", "é"] {
            assert_ne!(EventKey::of(other), canonical, "{other}");
        }
    }

    #[test]
    fn a_derived_id_is_stable_and_a_uuid() {
        // Golden: ids of stored events must never change.
        assert_eq!(derive_id("{}"), "44136fa3-55b3-878a-9146-ad16f7e8649e");
        assert!(parse_uuid(&derive_id("x")).is_some());
    }
}

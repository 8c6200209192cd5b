//! Seeded randomness: independent lanes of one seed, and the identifiers that AWS makes up.

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const HEX: &[u8; 16] = b"0123456789abcdef";

/// A stream of random choices, the same for the same seed and lane.
pub(crate) struct Chance {
    rng: fastrand::Rng,
}

impl Chance {
    /// Opens one lane of a seed: lanes of one seed are independent of each other.
    pub(crate) fn lane(seed: u64, lane: u64) -> Self {
        Self { rng: fastrand::Rng::with_seed(scramble(scramble(seed) ^ lane)) }
    }

    /// A number below `end`, which is at least 1.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.rng.usize(..end)
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        self.rng.i64(low..=high)
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.rng.usize(..n) == 0
    }

    /// A number from 0 up to 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        self.rng.f64()
    }

    /// One of the items.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.rng.usize(..items.len())]
    }

    /// Shuffles the items.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        self.rng.shuffle(items);
    }

    /// Appends a random (version 4) UUID.
    pub(crate) fn push_uuid(&mut self, out: &mut String) {
        let random = self.rng.u128(..);
        let bits = (random & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
        for digit in 0..32 {
            if matches!(digit, 8 | 12 | 16 | 20) {
                out.push('-');
            }
            let nibble = (bits >> (124 - 4 * digit)) & 0xf;
            out.push(char::from(HEX[nibble as usize]));
        }
    }

    /// A random (version 4) UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let mut out = String::with_capacity(36);
        self.push_uuid(&mut out);
        out
    }

    /// Appends `length` lower-case hexadecimal digits.
    pub(crate) fn push_hex(&mut self, length: usize, out: &mut String) {
        self.push_from(HEX, length, out);
    }

    /// A prefix followed by `length` lower-case hexadecimal digits, such as `i-0af3…`.
    pub(crate) fn hex(&mut self, prefix: &str, length: usize) -> String {
        let mut out = String::from(prefix);
        self.push_hex(length, &mut out);
        out
    }

    /// Appends `length` characters of base 64.
    pub(crate) fn push_base64(&mut self, length: usize, out: &mut String) {
        self.push_from(BASE64, length, out);
    }

    /// Appends `length` letters and digits.
    pub(crate) fn push_base62(&mut self, length: usize, out: &mut String) {
        self.push_from(BASE62, length, out);
    }

    /// Appends `length` upper-case letters and digits, as in the request ids of S3 and DynamoDB.
    pub(crate) fn push_upper(&mut self, length: usize, out: &mut String) {
        self.push_from(&BASE62[..36], length, out);
    }

    /// Makes up an IAM unique id or access key id of an account: a prefix such as `AKIA` and sixteen characters of base 32
    /// that carry the account id (as real ones do) and 39 random bits; principals (`AIDA`, `AROA`) have one character more.
    pub(crate) fn iam_id(&mut self, prefix: &str, account_id: u64) -> String {
        let bits: u128 = (1 << 79) | (u128::from(account_id) << 39) | u128::from(self.rng.u64(..1 << 39));
        let mut out = String::with_capacity(21);
        out.push_str(prefix);
        for place in (0..16).rev() {
            out.push(char::from(BASE32[(bits >> (5 * place)) as usize & 31]));
        }
        if matches!(prefix, "AIDA" | "AROA" | "ANPA" | "AGPA") {
            out.push(char::from(*self.pick(BASE32)));
        }
        out
    }

    fn push_from(&mut self, alphabet: &[u8], length: usize, out: &mut String) {
        for _ in 0..length {
            out.push(char::from(alphabet[self.rng.usize(..alphabet.len())]));
        }
    }
}

/// The finaliser of SplitMix64: neighbouring inputs give unrelated outputs.
fn scramble(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_the_form_of_version_4() {
        let id = Chance::lane(1, 2).uuid();
        assert_eq!(id.len(), 36);
        assert_eq!(id.as_bytes()[14], b'4');
        assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{id}");
        assert!([8, 13, 18, 23].iter().all(|&at| id.as_bytes()[at] == b'-'), "{id}");
    }

    #[test]
    fn a_key_id_carries_its_account() {
        let key = Chance::lane(1, 2).iam_id("AKIA", 123_456_789_012);
        assert_eq!(key.len(), 20);
        let bits = key[4..].bytes().fold(0_u128, |bits, byte| {
            let digit = BASE32.iter().position(|&b| b == byte).expect("a base 32 digit");
            bits << 5 | digit as u128
        });
        assert_eq!((bits >> 39) & ((1 << 40) - 1), 123_456_789_012);
        assert_eq!(Chance::lane(1, 2).iam_id("AROA", 1).len(), 21);
    }

    #[test]
    fn lanes_differ_and_repeat() {
        let draw = |seed, lane| Chance::lane(seed, lane).uuid();
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }
}

//! The sample's own keys, and when each of them signs. They stand in the source and protect nothing.

use std::fmt::Write as _;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::hex;
use crate::calendar::{DAY, iso};
use crate::record::quoted;

/// A private key, and the MD5 of its public key's DER, by which a digest names it.
type Source = (&'static [u8], &'static str);

/// How many keys sign one after the other within a trail, so that every chain crosses a change of keys.
const TURNS: i64 = 3;

/// CloudTrail has other keys in each region; here those of the Americas have these, and all others the next.
const SOURCES: [[Source; TURNS as usize]; 2] = [
    [
        (include_bytes!("../../keys/sample-1.der"), "0edd3eb2179dadf88f5e2ae830063ecc"),
        (include_bytes!("../../keys/sample-2.der"), "d6dc7a329b5034975a92cbd73f4849dc"),
        (include_bytes!("../../keys/sample-3.der"), "33bfbf1d9d8be28769d59aac14c3c3cb"),
    ],
    [
        (include_bytes!("../../keys/sample-4.der"), "18d887972188a47d0401dd12891af237"),
        (include_bytes!("../../keys/sample-5.der"), "6faeb28158a18a7dcf08de05816ca870"),
        (include_bytes!("../../keys/sample-6.der"), "af9036e60e64dc8f38518ef0df9963ef"),
    ],
];

/// One key of the sample's.
pub(super) struct Key {
    pair: KeyPair,
    pub(super) fingerprint: &'static str,
    /// First second and last second of its validity, which is longer than it signs, as AWS's are.
    validity: (i64, i64),
}

impl Key {
    /// The signature of a text as `x-amz-meta-signature` has it.
    pub(super) fn sign(&self, text: &str) -> String {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        // PKCS#1 v1.5 draws no randomness: the same text has the same signature.
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .expect("a key of 2048 bits signs any text");
        hex(&signature)
    }
}

/// The keys of a trail between two times.
pub(super) struct Keys {
    from: i64,
    turn: i64,
    keys: [[Key; TURNS as usize]; 2],
}

impl Keys {
    pub(super) fn new(from: i64, until: i64) -> Keys {
        let turn = (until - from) / TURNS + 1;
        let key = |(der, fingerprint): Source, number: i64| {
            let start = from + number * turn - DAY;
            let pair = KeyPair::from_der(der).expect("the sample's keys are valid");
            Key { pair, fingerprint, validity: (start, start + DAY + turn + turn / 2) }
        };
        let group = |[one, two, three]: [Source; 3]| [key(one, 0), key(two, 1), key(three, 2)];
        Keys { from, turn, keys: SOURCES.map(group) }
    }

    fn group(&self, region: &str) -> &[Key] {
        let is_american = ["us-", "ca-", "sa-", "mx-"].iter().any(|start| region.starts_with(start));
        &self.keys[usize::from(!is_american)]
    }

    /// The key that signs in a region at a time.
    pub(super) fn at(&self, region: &str, time: i64) -> &Key {
        let number = ((time - self.from) / self.turn).clamp(0, TURNS - 1);
        &self.group(region)[number as usize]
    }

    /// The public keys of some regions as `aws cloudtrail list-public-keys` prints them, each with its region beside.
    pub(super) fn list<'a>(&self, regions: impl Iterator<Item = &'a str>) -> String {
        let mut out = String::from("{\"PublicKeyList\":[");
        for (number, (region, key)) in
            regions.flat_map(|region| self.group(region).iter().map(move |key| (region, key))).enumerate()
        {
            let comma = if number > 0 { "," } else { "" };
            let value = BASE64_STANDARD.encode(key.pair.public_key().as_ref());
            let (start, end) = key.validity;
            write!(
                out,
                "{comma}\n{{\"Region\":{},\"Value\":\"{value}\",\"ValidityStartTime\":\"{}\",\"ValidityEndTime\":\"{}\",\"Fingerprint\":\"{}\"}}",
                quoted(region),
                iso(start),
                iso(end),
                key.fingerprint,
            )
            .expect("a string takes any text");
        }
        out.push_str("\n]}\n");
        out
    }
}

#[cfg(test)]
mod tests {
    use md5::{Digest as _, Md5};

    use super::*;

    #[test]
    fn a_fingerprint_is_the_md5_of_the_public_key() {
        for key in Keys::new(0, 30 * DAY).keys.iter().flatten() {
            assert_eq!(hex(&Md5::digest(key.pair.public_key().as_ref())), key.fingerprint);
        }
    }

    #[test]
    fn a_key_signs_only_while_it_is_valid_and_regions_have_others() {
        let keys = Keys::new(1000, 1000 + 30 * DAY);
        let mut seen = std::collections::BTreeSet::new();
        for time in (1000..=1000 + 30 * DAY).step_by(3600) {
            let (one, other) = (keys.at("us-east-1", time), keys.at("eu-west-1", time));
            assert!((one.validity.0..=one.validity.1).contains(&time));
            assert_ne!(one.fingerprint, other.fingerprint);
            seen.insert(one.fingerprint);
        }
        assert_eq!(seen.len(), 3);
    }
}

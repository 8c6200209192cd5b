//! What CloudTrail signs, and whether it did.

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};

use crate::digest::Digest;
use crate::hash::{Sha256, unhex};
use crate::keys::PublicKey;

/// The text that is signed: `digestEndTime`, bucket and key, the hash of the inflated file, the signature before it.
#[must_use]
pub fn string_to_sign(digest: &Digest, content: Sha256) -> String {
    let Digest { end_text, bucket, key, previous_signature, .. } = digest;
    let previous = previous_signature.as_deref().unwrap_or("null");
    format!("{end_text}\n{bucket}/{key}\n{content}\n{previous}")
}

/// A key that is ready for many signatures: reading it takes as long as checking one.
pub struct Verifier(Option<ParsedPublicKey>);

impl Verifier {
    /// Reads a key. What is none has signed nothing.
    #[must_use]
    pub fn new(key: &PublicKey) -> Verifier {
        Verifier(ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &key.der).ok())
    }

    /// Whether the key's owner signed the text: RSA PKCS#1 v1.5 with SHA-256, the signature in hexadecimal digits.
    #[must_use]
    pub fn is_signed(&self, text: &str, signature: &str) -> bool {
        let Some(signature) = unhex(signature) else { return false };
        self.0.as_ref().is_some_and(|key| key.verify_sig(text.as_bytes(), &signature).is_ok())
    }
}

/// Whether the key's owner signed the text, for one signature.
#[must_use]
pub fn is_signed(key: &PublicKey, text: &str, signature: &str) -> bool {
    Verifier::new(key).is_signed(text, signature)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};

    use super::*;
    use crate::hash::hex;

    fn public(der: &[u8]) -> PublicKey {
        PublicKey { fingerprint: "f".to_owned(), der: der.to_vec(), from: None, to: None, region: None }
    }

    #[test]
    fn a_signature_holds_for_its_text_and_its_key_alone() {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let key = public(pair.public_key().as_ref());
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), b"text", &mut signature).unwrap();
        let signature = hex(&signature);
        assert!(is_signed(&key, "text", &signature));
        assert!(is_signed(&key, "text", &signature.to_uppercase()));
        assert!(!is_signed(&key, "texts", &signature));
        let other = KeyPair::generate(KeySize::Rsa2048).unwrap();
        assert!(!is_signed(&public(other.public_key().as_ref()), "text", &signature));
        for wrong in ["", "00", "no hex", &signature[2..], &format!("{signature}00")] {
            assert!(!is_signed(&key, "text", wrong), "{wrong}");
        }
        // ListPublicKeys gives PKCS#1; the same key wrapped as X.509 does is taken, too.
        let wrapped = AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap();
        assert!(is_signed(&public(wrapped.as_ref()), "text", &signature));
        assert!(!is_signed(&public(b"no key"), "text", &signature));
    }
}

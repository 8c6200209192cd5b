//! Public keys as OpenSSL reads them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// `SEQUENCE { OID rsaEncryption, NULL }`.
const RSA: [u8; 15] = [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";
/// The longest file of a key that is read.
const LONGEST: usize = 16 << 10;

/// A PKCS#1 key as a PEM file (X.509's SubjectPublicKeyInfo).
#[must_use]
pub fn write(pkcs1: &[u8]) -> String {
    let mut bits = vec![0];
    bits.extend_from_slice(pkcs1);
    let mut inner = RSA.to_vec();
    inner.extend(tagged(0x03, &bits));
    let text = STANDARD.encode(tagged(0x30, &inner));
    let mut pem = format!("{BEGIN}\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str(END);
    pem.push('\n');
    pem
}

/// The DER that stands in a PEM file, which signatures are checked with as it is.
#[must_use]
pub fn read(pem: &str) -> Option<Vec<u8>> {
    if pem.len() > LONGEST {
        return None;
    }
    let text: String = pem.trim().strip_prefix(BEGIN)?.strip_suffix(END)?.split_ascii_whitespace().collect();
    STANDARD.decode(text).ok()
}

/// Tag, length, content.
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    match content.len() {
        0..128 => out.push(content.len() as u8),
        _ => {
            out.push(0x80 | significant.len() as u8);
            out.extend_from_slice(significant);
        }
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::KeyPair as _;

    use super::*;

    #[test]
    fn a_key_is_wrapped_as_the_library_does() {
        for size in [KeySize::Rsa2048, KeySize::Rsa4096] {
            let pair = KeyPair::generate(size).unwrap();
            let expected: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
            let pem = write(pair.public_key().as_ref());
            assert_eq!(read(&pem).unwrap(), expected.as_ref());
            assert!(pem.lines().all(|line| line.len() <= 64));
        }
        assert_eq!(read("no key"), None);
        assert_eq!(read(&format!("{BEGIN}\n!\n{END}")), None);
    }
}

//! The digests of an account in a region, each with the signature that proves it: what is handed to others.

use std::collections::HashMap;

use event::{Day, Timestamp};

use crate::digest::Digest;
use crate::evidence::{Evidence, Trouble};
use crate::hash::Sha256;
use crate::inflate::Inflater;
use crate::layout::{DigestName, Lane, Place, day_path};
use crate::report::HOUR;
use crate::signature::string_to_sign;
use crate::verify::{Limits, Scope};

/// A digest and what proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Testimony {
    /// Its key, as CloudTrail wrote it.
    pub key: String,
    /// Its bytes, inflated.
    pub text: Vec<u8>,
    /// The hash of its bytes.
    pub hash: Sha256,
    /// What it says.
    pub digest: Digest,
    /// What is signed.
    pub signed: String,
    /// The signature, in hexadecimal digits: the object's own, else the one that the digest after it carries.
    pub signature: Option<String>,
}

const DAY: i64 = 24 * HOUR;

/// Hands on every digest of the scope that can be read, of each chain the newest first. Returns how many could not be:
/// a verification tells which, and why.
///
/// # Errors
/// A folder cannot be listed, or `each` failed.
pub fn testimonies<E: From<Trouble>>(
    evidence: &dyn Evidence,
    (lane, place): (&Lane, &Place),
    scope: &Scope,
    limits: Limits,
    each: &mut dyn FnMut(Testimony) -> Result<(), E>,
) -> Result<u64, E> {
    let mut found: Vec<(DigestName, String)> = Vec::new();
    for folder in folders(lane, scope) {
        evidence.list(&folder, &mut |listed| {
            let name = lane.digest_name(&listed.key);
            found.extend(name.filter(|name| scope.wants_digest(name)).map(|name| (name, listed.key)));
        })?;
    }
    found.sort_by(|(left, _), (right, _)| left.chain.cmp(&right.chain).then(right.end.cmp(&left.end)));
    let mut inflater = Inflater::default();
    // What the digests that were read say of those before them.
    let mut carried: HashMap<String, String> = HashMap::new();
    let mut unread = 0;
    for (_, here) in found {
        let key = place.original(&here);
        let mut text = Vec::new();
        let Ok(mut object) = evidence.read(&here, limits.stored_digest) else {
            unread += 1;
            continue;
        };
        let read = inflater.member(&mut *object.content, limits.inflated_digest, &mut |piece| {
            text.extend_from_slice(piece);
        });
        let Some(digest) = read.ok().and_then(|_| Digest::parse(&text).ok()) else {
            unread += 1;
            continue;
        };
        let signature = object.metadata.signature.or_else(|| carried.remove(&key));
        if let (Some(previous), Some(signature)) = (&digest.previous, &digest.previous_signature) {
            carried.insert(previous.key.clone(), signature.clone());
        }
        let hash = Sha256::of(&text);
        let signed = string_to_sign(&digest, hash);
        each(Testimony { key, text, hash, digest, signed, signature })?;
    }
    Ok(unread)
}

/// The folders that the digests of a scope lie in.
fn folders(lane: &Lane, scope: &Scope) -> Vec<String> {
    let days = |from: Timestamp| {
        let until = Timestamp::from_micros(scope.until.micros().saturating_add(DAY)).unwrap_or(scope.until);
        from.day().days()..=until.day().days()
    };
    match scope.from {
        // Year by year: a bucket lists a thousand keys at a time, whatever the folder.
        None => vec![lane.digests()],
        Some(from) => days(from).map(|day| format!("{}{}/", lane.digests(), day_path(Day::from_days(day)))).collect(),
    }
}

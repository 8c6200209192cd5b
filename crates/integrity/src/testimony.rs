//! The digests of an account in a region, each with the signature that proves it: what is handed to others.

use std::collections::HashMap;

use event::{Day, Timestamp};

use crate::digest::Digest;
use crate::evidence::{Evidence, Metadata, Trouble};
use crate::hash::Sha256;
use crate::inflate::Inflater;
use crate::keys::PublicKey;
use crate::layout::{DigestName, Lane, Place, day_path};
use crate::report::HOUR;
use crate::signature::{is_signed, string_to_sign};
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
    /// When it was signed, where its object says so: a backfilled one comes long after its hour.
    pub generated: Option<Timestamp>,
    /// The object's own signature, in hexadecimal digits.
    pub own: Option<String>,
    /// The signature that the digest after it carries.
    pub carried: Option<String>,
}

impl Testimony {
    /// The signature that proves it: its own, else the one that the digest after it carries.
    #[must_use]
    pub fn proof(&self, key: &PublicKey) -> Option<&str> {
        self.signatures().find(|signature| is_signed(key, &self.signed, signature))
    }

    /// A signature that is at hand, whether or not it proves anything.
    #[must_use]
    pub fn at_hand(&self) -> Option<&str> {
        self.signatures().next()
    }

    fn signatures(&self) -> impl Iterator<Item = &str> {
        [&self.own, &self.carried].into_iter().filter_map(|signature| signature.as_deref())
    }
}

const DAY: i64 = 24 * HOUR;

/// Hands on every digest of the scope that can be read, of each chain the newest first. Returns the keys of those that
/// cannot be, as CloudTrail wrote them. Those that a verification reads only for what they say of the one before them are
/// not handed on, for it looks at nothing that they name.
///
/// # Errors
/// A folder cannot be listed, or `each` failed.
pub fn testimonies<E: From<Trouble>>(
    evidence: &dyn Evidence,
    (lane, place): (&Lane, &Place),
    scope: &Scope,
    limits: Limits,
    each: &mut dyn FnMut(Testimony) -> Result<(), E>,
) -> Result<Vec<String>, E> {
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
    let mut unread = Vec::new();
    for (name, here) in found {
        let key = place.original(&here);
        let Some(Read { text, digest, metadata }) = read(evidence, &mut inflater, &here, limits) else {
            unread.extend((!scope.is_witness(&name)).then_some(key));
            continue;
        };
        let by_successor = carried.remove(&key);
        if let (Some(previous), Some(signature)) = (&digest.previous, &digest.previous_signature) {
            carried.insert(previous.key.clone(), signature.clone());
        }
        if scope.is_witness(&name) {
            continue;
        }
        let hash = Sha256::of(&text);
        let signed = string_to_sign(&digest, hash);
        let (generated, own) = (metadata.generated_at(), metadata.signature);
        each(Testimony { key, text, hash, digest, signed, generated, own, carried: by_successor })?;
    }
    Ok(unread)
}

/// A digest that was read.
struct Read {
    text: Vec<u8>,
    digest: Digest,
    metadata: Metadata,
}

fn read(evidence: &dyn Evidence, inflater: &mut Inflater, here: &str, limits: Limits) -> Option<Read> {
    let mut object = evidence.read(here, limits.stored_digest).ok()?;
    let mut text = Vec::new();
    let mut take = |piece: &[u8]| text.extend_from_slice(piece);
    inflater.member(&mut *object.content, limits.inflated_digest, &mut take).ok()?;
    let digest = Digest::parse(&text).ok()?;
    Some(Read { text, digest, metadata: object.metadata })
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

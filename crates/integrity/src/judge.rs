//! One object: is it what CloudTrail wrote?

use std::sync::Arc;

use event::Timestamp;

use crate::chain::{Back, Link, Proof, Signable};
use crate::digest::{Digest, DigestError, LogFile, SIGNATURE_ALGORITHM};
use crate::evidence::{Evidence, Listed, Metadata, Trouble};
use crate::hash::{Hashing, Sha256};
use crate::inflate::{InflateError, Inflater};
use crate::keys::KeyRing;
use crate::layout::{DigestName, Lane, Place, delivered};
use crate::ledger::name_of;
use crate::report::{Finding, HOUR, Kind, Status};
use crate::signature::{Verifier, string_to_sign};
use crate::verify::{Limits, Progress};

/// What is needed to judge an object.
#[derive(Clone, Copy)]
pub(crate) struct Judge<'j> {
    pub(crate) evidence: &'j dyn Evidence,
    pub(crate) keys: &'j KeyRing<'j>,
    pub(crate) place: &'j Place,
    pub(crate) limits: Limits,
    pub(crate) progress: &'j Progress,
    /// The one log file that is to be looked at, as CloudTrail wrote its key.
    pub(crate) only: Option<&'j str>,
}

/// A digest to be judged.
pub(crate) struct DigestTask {
    pub(crate) lane: Lane,
    pub(crate) name: DigestName,
    pub(crate) listed: Listed,
}

/// A log file to be judged.
pub(crate) struct LogTask {
    pub(crate) lane: Lane,
    /// The name of the digest that names it.
    pub(crate) digest: String,
    /// The start of the digest, for files whose names say no time.
    pub(crate) start: Timestamp,
    pub(crate) file: LogFile,
}

/// What is known of a log file.
pub(crate) struct LogVerdict {
    pub(crate) name: u128,
    pub(crate) at: Timestamp,
    pub(crate) status: Status,
    pub(crate) finding: Option<Finding>,
}

/// Judges a digest by itself. Its log files come with it, where what it says may turn out to be CloudTrail's word.
pub(crate) fn digest(judge: Judge<'_>, inflater: &mut Inflater, task: DigestTask) -> (Link, Vec<LogFile>) {
    let DigestTask { lane, name, listed } = task;
    let original = judge.place.original(&listed.key);
    // Until it says more itself, a digest is of the hour before its end.
    let start = Timestamp::from_micros(name.end.micros() - HOUR).unwrap_or(name.end);
    let mut link = Link::new(original.clone(), start, name.end, Proof::Absent);
    let read = read_whole(judge, inflater, &listed.key);
    judge.progress.count_digest(listed.size);
    let (text, metadata) = match read {
        Ok(read) => read,
        Err(Unread::Trouble(trouble)) => return (unjudged(link, &trouble.to_string()), Vec::new()),
        Err(Unread::Damaged(error)) => return (bad(link, &format!("invalid format: {error}")), Vec::new()),
    };
    let content = Sha256::of(&text);
    link.content = Some(content);
    link.signature = metadata.signature.clone();
    let digest = match Digest::parse(&text) {
        Ok(digest) => digest,
        Err(error @ DigestError::Version { .. }) => return (unjudged(link, &error.to_string()), Vec::new()),
        Err(error) => return (bad(link, &format!("invalid format: {error}")), Vec::new()),
    };
    if digest.bucket != judge.place.bucket || digest.key != original {
        let why = format!("has been moved from its original location s3://{}/{}", digest.bucket, digest.key);
        return (bad(link, &why), Vec::new());
    }
    if digest.account != lane.account || digest.end != name.end {
        return (bad(link, "invalid format: its account or its time is not that of its name"), Vec::new());
    }
    link.starts(digest.start);
    let generated = metadata.generated_at();
    let signable =
        Signable { text: string_to_sign(&digest, content), fingerprint: digest.fingerprint.clone(), generated };
    link.back = digest.previous.as_ref().map(|previous| Back {
        key: (previous.bucket == judge.place.bucket && judge.place.here(&previous.key).is_some())
            .then(|| previous.key.clone()),
        hash: previous.hash,
        signature: digest.previous_signature.clone(),
    });
    link.proof = match judge.prove(&lane, &name, &signable, &metadata) {
        Ok(proof) => proof,
        Err(no_key) => {
            // Its successor may still say that it was changed.
            link.signable = Some(signable);
            return (unjudged(link, &no_key), Vec::new());
        }
    };
    if name.chain.is_backfill && generated.is_none() && judge.evidence.keeps_metadata() {
        link.blame = Some("invalid format: its metadata has no backfill-generation-timestamp".to_owned());
    }
    link.signable = Some(signable);
    (link, digest.log_files)
}

impl Judge<'_> {
    /// What a digest's own signature says.
    fn prove(self, lane: &Lane, name: &DigestName, signable: &Signable, metadata: &Metadata) -> Result<Proof, String> {
        let key = self.key(lane, &name.chain.home_region, signable)?;
        let Some(signature) = &metadata.signature else { return Ok(Proof::Absent) };
        match metadata.algorithm.as_deref() {
            Some(SIGNATURE_ALGORITHM) => {}
            None if !self.evidence.keeps_metadata() => {}
            None => return Ok(Proof::Forged("its metadata has no signature-algorithm".to_owned())),
            Some(other) => {
                let other: String = other.chars().take(40).collect();
                return Ok(Proof::Forged(format!("its metadata names another signature-algorithm, {other:?}")));
            }
        }
        Ok(match key.is_signed(&signable.text, signature) {
            true => Proof::Signed,
            false => Proof::Forged("signature verification failed".to_owned()),
        })
    }

    /// Keys are a region's own; that a trail was made in another one is no reason not to look there, too.
    fn key(self, lane: &Lane, home_region: &str, signable: &Signable) -> Result<Arc<Verifier>, String> {
        let find = |region: &str| self.keys.verifier(region, &signable.fingerprint, signable.generated);
        find(&lane.region).or_else(|error| match home_region == lane.region {
            true => Err(error.to_string()),
            false => find(home_region).map_err(|_| error.to_string()),
        })
    }

    /// Whether a signature that another digest carries is CloudTrail's.
    pub(crate) fn proves(self, lane: &Lane, home_region: &str, signable: &Signable, signature: &str) -> bool {
        let key = self.key(lane, home_region, signable);
        key.is_ok_and(|key| key.is_signed(&signable.text, signature))
    }
}

/// Judges a log file by the hash that its digest gives.
pub(crate) fn log(judge: Judge<'_>, inflater: &mut Inflater, task: LogTask) -> LogVerdict {
    let LogTask { lane, digest, start, file } = task;
    let key = file.key.to_string();
    let at = delivered(&key).unwrap_or(start);
    let name = name_of(&key);
    let of = |status: Status, detail: String| {
        let is_told = status != Status::Verified || judge.only.is_some();
        let kind = Kind::Log;
        let finding = Finding { kind, status, from: at, to: None, trail: None, key: Some(key.clone()), detail };
        LogVerdict { name, at, status, finding: is_told.then_some(finding) }
    };
    if let Some(bucket) = &file.elsewhere {
        return of(Status::Unjudged, format!("it lies in another bucket, {bucket:?}, which was not looked at"));
    }
    // What a digest names chooses no place but the account's own.
    let here = judge.place.here(&file.key).filter(|here| {
        here.strip_prefix(&lane.above)
            .and_then(|rest| rest.strip_prefix(&lane.account))
            .is_some_and(|rest| rest.starts_with('/'))
    });
    let Some(here) = here else {
        return of(Status::Unjudged, "it lies outside of the account's folder, and was not looked at".to_owned());
    };
    let mut hashing = Hashing::default();
    let read = judge.evidence.read(&here, judge.limits.stored).map_err(Unread::Trouble).and_then(|mut object| {
        judge.progress.count_log(object.size);
        let inflated = inflater.member(&mut *object.content, judge.limits.inflated, &mut |piece| hashing.update(piece));
        inflated.map_err(Unread::of)
    });
    match read {
        Err(Unread::Trouble(Trouble::NotFound)) => of(Status::Missing, format!("not found; {digest} names it")),
        Err(Unread::Trouble(trouble)) => of(Status::Unjudged, trouble.to_string()),
        Err(Unread::Damaged(error)) => of(Status::Tampered, format!("invalid format: {error}")),
        Ok(inflated) => {
            judge.progress.count_inflated(inflated);
            let actual = hashing.finish();
            match file.hash {
                Some(expected) if expected == actual => of(Status::Verified, format!("valid; {digest} names it")),
                Some(expected) => of(
                    Status::Tampered,
                    format!("hash value doesn't match: SHA-256 of its content is {actual}, {digest} says {expected}"),
                ),
                None => of(Status::Tampered, format!("{digest} has no hash for it")),
            }
        }
    }
}

/// Why an object was not read to its end.
enum Unread {
    Trouble(Trouble),
    Damaged(InflateError),
}

impl Unread {
    fn of(error: InflateError) -> Unread {
        match error {
            InflateError::Read(error) => Unread::Trouble(Trouble::Failed(format!("cannot be read: {error}"))),
            InflateError::TooLarge { .. } => Unread::Trouble(Trouble::Failed(error.to_string())),
            damage => Unread::Damaged(damage),
        }
    }
}

fn read_whole(judge: Judge<'_>, inflater: &mut Inflater, key: &str) -> Result<(Vec<u8>, Metadata), Unread> {
    let mut object = judge.evidence.read(key, judge.limits.stored_digest).map_err(Unread::Trouble)?;
    let mut text = Vec::new();
    inflater
        .member(&mut *object.content, judge.limits.inflated_digest, &mut |piece| text.extend_from_slice(piece))
        .map_err(Unread::of)?;
    Ok((text, object.metadata))
}

fn bad(mut link: Link, why: &str) -> Link {
    link.proof = Proof::Bad(why.to_owned());
    link
}

fn unjudged(mut link: Link, why: &str) -> Link {
    link.proof = Proof::Unjudged(why.to_owned());
    link
}

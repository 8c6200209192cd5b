//! Proof: is what was read what CloudTrail wrote? A log file's hash is compared with the one that a signed digest gives,
//! whichever of the two comes first.
//!
//! What was read and what digests name are only ever added, never replaced: what is known of an object follows from all of
//! it, in whatever order it came, and however often. An object of which other bytes were read once stays failed, for its
//! events are in the store.
//!
//! **Invariant:** what was read is written down behind the commit of its events, and before the object counts as read; the
//! alerts of what failed in between. So a crash anywhere and reading again equal no crash.

use std::collections::BTreeMap;
use std::fmt;

use detect::Severity;
use event::Timestamp;
use event::decode::Sealing;
use serde::Serialize;

use crate::alert::{Alert, OurOwn};
use crate::collect::state::maybe_text;
use crate::state::StateError;

/// The points where a test can end the process, beside those of [`ingest`](crate::ingest::FAILPOINTS).
pub const FAILPOINTS: &[&str] = &[
    "pipeline::before-proofs",
    "pipeline::after-proofs",
    "pipeline::after-late-proofs",
    "pipeline::after-proof-alerts",
];

/// What stands in the place of a detection's id in alerts of files that are not what CloudTrail wrote.
pub const TAMPERED: &str = "log-file-tampered";

/// How many digests are written down as proven at once.
const AT_ONCE: usize = 256;

/// The most bytes of a digest that are held.
pub const LARGEST_DIGEST: usize = 128 << 20;

/// Where an object belongs, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its key from `AWSLogs/` on: the same in the trail's bucket and in every copy.
    pub key: String,
    /// Whether it lies among the digests.
    pub is_digest: bool,
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// When it was delivered, by its name.
    pub delivered: Option<Timestamp>,
}

/// A hash in the making.
pub trait Hashing {
    /// Takes the next bytes.
    fn update(&mut self, bytes: &[u8]);

    /// SHA-256 of all of them, in lower-case hexadecimal digits.
    fn finish(self: Box<Self>) -> String;
}

/// What stands beside an object's bytes: names without `x-amz-meta-`, and values.
pub type Metadata = Vec<(String, String)>;

/// Knows digests. Calls may block and come from several threads.
pub trait Examiner: Send + Sync {
    /// Where an object belongs; none where it is neither a trail's log file nor a digest.
    fn place(&self, name: &str) -> Option<Place>;

    /// A hash of nothing.
    fn hashing(&self) -> Box<dyn Hashing>;

    /// Judges a digest by its inflated text and what stands beside it. `name` is what it was read as.
    fn examine(&self, place: &Place, name: &str, text: &[u8], metadata: &Metadata) -> Digest;

    /// Whether a signature that came from elsewhere is CloudTrail's, as far as its keys are at hand.
    fn holds(&self, provable: &Provable) -> bool;
}

/// A digest that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// Its key from `AWSLogs/` on.
    pub key: String,
    /// SHA-256 of its text.
    pub hash: String,
    /// What its own signature says.
    pub signature: Signature,
    /// What is signed of it; none where it is proven already, or never can be.
    pub signable: Option<Signable>,
    /// The digest before it.
    pub previous: Option<Previous>,
    /// The log files that it names.
    pub names: Vec<Named>,
}

/// What is known of a digest by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signature {
    /// One of CloudTrail's keys signed it.
    Good,
    /// It has none, or none that could be checked, and why: it proves nothing until a proven one vouches for it, or a
    /// signature is found to be CloudTrail's later.
    Unchecked(String),
    /// It is not what CloudTrail wrote, and why: it proves nothing.
    Forged(String),
}

/// What is signed of a digest, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signable {
    /// The text.
    pub text: String,
    /// The key's fingerprint.
    pub fingerprint: String,
    /// When it was signed, or about when.
    pub signed: Timestamp,
    /// The signature that stood beside it and could not be checked.
    pub signature: Option<String>,
}

/// The digest before another, as that one names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Previous {
    /// Its key from `AWSLogs/` on.
    pub key: String,
    /// SHA-256 of its text: who names it vouches for it, if proven itself.
    pub hash: String,
    /// Its signature, which proves itself whoever carries it.
    pub signature: Option<String>,
}

/// A digest that is not proven, and a signature that may be its.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provable {
    /// What the store calls it by.
    pub id: i64,
    /// Its key from `AWSLogs/` on.
    pub key: String,
    /// What is signed.
    pub text: String,
    /// The key's fingerprint.
    pub fingerprint: String,
    /// When it was signed, or about when.
    pub signed: Timestamp,
    /// The signature.
    pub signature: String,
}

/// A log file that a digest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Where it belongs.
    pub place: Place,
    /// SHA-256 of its content; none where the digest gives none.
    pub hash: Option<String>,
}

/// A log file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadLog {
    /// Where it belongs.
    pub place: Place,
    /// What it was read as.
    pub name: String,
    /// SHA-256 of its inflated content; none where it is not one sound gzip member, so that no digest can have named it.
    pub hash: Option<String>,
    /// The records in it, whatever became of them.
    pub records: u64,
}

/// What reading an object brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// A log file.
    Log(ReadLog),
    /// A digest.
    Digest(Digest),
}

/// What is known of a log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It was read, and the proven digests that name it have its hash.
    Proven,
    /// It was read, and no proven digest has named it yet.
    Pending,
    /// What was read is not what a proven digest names.
    Failed,
    /// A proven digest names it, and it was not read.
    Missing,
}

impl Standing {
    /// Every standing.
    pub const ALL: [Standing; 4] = [Standing::Proven, Standing::Pending, Standing::Failed, Standing::Missing];

    /// The rule. `read` are the hashes of all contents that were read under the name (none for what can have no hash),
    /// `named` those that proven digests give: a log file has one content, so all are the same, or it stands failed. None where
    /// nothing is known. What has failed stays so, whatever comes.
    #[must_use]
    pub fn of(read: &[Option<String>], named: &[Option<String>]) -> Option<Standing> {
        let is_named = |hash: &Option<String>| hash.is_some() && named.iter().all(|name| name == hash);
        match (read.is_empty(), named.is_empty()) {
            (true, true) => None,
            (true, false) => Some(Standing::Missing),
            (false, true) => Some(Standing::Pending),
            (false, false) if read.iter().all(is_named) => Some(Standing::Proven),
            (false, false) => Some(Standing::Failed),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Standing::Proven => "proven",
            Standing::Pending => "pending",
            Standing::Failed => "failed",
            Standing::Missing => "missing",
        })
    }
}

/// A log file that is not what a proven digest names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Its key from `AWSLogs/` on.
    pub key: String,
    /// What it was read as.
    pub name: String,
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// When it was delivered.
    #[serde(serialize_with = "maybe_text")]
    pub delivered: Option<Timestamp>,
    /// SHA-256 of what was read; none where it is not one sound gzip member.
    pub read: Option<String>,
    /// SHA-256 that the digest gives; none where it gives none.
    pub named: Option<String>,
    /// The digest, by its key from `AWSLogs/` on.
    pub digest: String,
}

impl Failure {
    /// What differs.
    #[must_use]
    pub fn detail(&self) -> String {
        let Failure { name, read, named, digest, .. } = self;
        match (read, named) {
            (_, None) => format!("{digest} names {name} without a hash"),
            (None, Some(_)) => format!("{name} is not one sound gzip member, as {digest} says it is"),
            (Some(read), Some(named)) => {
                format!("SHA-256 of the content of {name} is {read}, and {digest} says {named}")
            }
        }
    }

    /// The alert: one for each object, however often it is found.
    #[must_use]
    pub fn alert(&self, now: Timestamp) -> Alert {
        let record = serde_json::json!({"alert": TAMPERED, "object": self, "says": self.detail()});
        let alert = Alert::our_own(OurOwn {
            detection: TAMPERED,
            event_id: format!("{TAMPERED}/{}", self.key),
            title: "A Log File Is Not What CloudTrail Wrote",
            summary: format!("{}.", self.detail()),
            action_required: "Keep the file as it is, restore it from a version or a copy that verifies, find out from the \
                bucket's data events who wrote it, and take none of its events for proof.",
            record: record.to_string(),
            now,
        });
        Alert {
            severity: Severity::Critical,
            event_time: self.delivered.unwrap_or(now),
            account: Some(self.account.clone()),
            region: Some(self.region.clone()),
            ..alert
        }
    }
}

/// Log files by what is known of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ProofCounts {
    /// Read, and a proven digest has their hash.
    pub proven: u64,
    /// Read, and named by no proven digest yet.
    pub pending: u64,
    /// Read, and not what a proven digest names.
    pub failed: u64,
    /// Named by a proven digest, and not read.
    pub missing: u64,
    /// Digests that are proven.
    pub digests: u64,
    /// Digests that prove nothing.
    pub unproven_digests: u64,
}

impl ProofCounts {
    /// Whether anything is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == ProofCounts::default()
    }

    /// Counts so many log files.
    pub fn add(&mut self, standing: Standing, more: u64) {
        *match standing {
            Standing::Proven => &mut self.proven,
            Standing::Pending => &mut self.pending,
            Standing::Failed => &mut self.failed,
            Standing::Missing => &mut self.missing,
        } += more;
    }
}

/// What a log file was read as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentRead {
    /// Its key from `AWSLogs/` on.
    pub key: String,
    /// SHA-256 of its inflated content; empty where it is not one sound gzip member.
    pub hash: String,
    /// The records in it.
    pub records: u64,
}

/// What is remembered of proofs.
pub trait ProofStore: Send + Sync {
    /// Writes down what was read, and returns which of the log files it speaks of stand failed, with those whose alerts are
    /// not known to be recorded.
    ///
    /// # Errors
    /// [`StateError`].
    fn add_evidence(&self, evidence: &[Evidence], at: Timestamp) -> Result<Vec<Failure>, StateError>;

    /// The digests that are not proven, with each of the signatures that may be theirs: the next few behind one of these,
    /// in an order of the store's own.
    ///
    /// # Errors
    /// [`StateError`].
    fn provable(&self, behind: Option<&Provable>) -> Result<Vec<Provable>, StateError>;

    /// Writes down that signatures of these digests are CloudTrail's. Returns what [`add_evidence`](Self::add_evidence) does.
    ///
    /// # Errors
    /// [`StateError`].
    fn prove(&self, digests: &[i64]) -> Result<Vec<Failure>, StateError>;

    /// Writes down that the alerts of these are recorded.
    ///
    /// # Errors
    /// [`StateError`].
    fn failures_told(&self, failures: &[Failure]) -> Result<(), StateError>;

    /// What is known of all log files and digests.
    ///
    /// # Errors
    /// [`StateError`].
    fn count_proofs(&self) -> Result<ProofCounts, StateError>;

    /// The log files below a folder (`AWSLogs/…/`) that were read and were delivered in a time, each content once.
    ///
    /// # Errors
    /// [`StateError`].
    fn contents_read(&self, folder: &str, from: Timestamp, to: Timestamp) -> Result<Vec<ContentRead>, StateError>;
}

/// How a run proves what it reads.
#[derive(Clone, Copy)]
pub struct Proving<'a> {
    /// Knows digests.
    pub examiner: &'a dyn Examiner,
    /// Remembers.
    pub store: &'a dyn ProofStore,
}

impl Proving<'_> {
    /// Tries the signatures of digests that were read before and are not proven: a digest of a copy has its signature in the
    /// one after it, and keys that could not be had may be had now. Returns what [`ProofStore::add_evidence`] does.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn prove_late(self) -> Result<Vec<Failure>, StateError> {
        let Proving { examiner, store } = self;
        let mut behind = None;
        let mut proven = Vec::new();
        let mut failures = BTreeMap::new();
        loop {
            let provable = store.provable(behind.as_ref())?;
            proven.extend(provable.iter().filter(|provable| examiner.holds(provable)).map(|provable| provable.id));
            behind = provable.into_iter().last();
            if behind.is_none() {
                break;
            }
            if proven.len() >= AT_ONCE {
                failures.extend(by_key(store.prove(&std::mem::take(&mut proven))?));
            }
        }
        // Also where none is: a process may have died before it told what was proven last.
        failures.extend(by_key(store.prove(&proven)?));
        Ok(failures.into_values().collect())
    }
}

fn by_key(failures: Vec<Failure>) -> impl Iterator<Item = (String, Failure)> {
    failures.into_iter().map(|failure| (failure.key.clone(), failure))
}

/// An object whose content is looked at on its way.
pub(crate) struct Watching<'a> {
    examiner: &'a dyn Examiner,
    place: Place,
    kept: Kept,
}

enum Kept {
    Hash(Box<dyn Hashing>),
    /// None where it is too large to be held.
    Text(Option<Vec<u8>>),
}

impl<'a> Watching<'a> {
    /// Looks at an object, where there is something to prove of it.
    pub(crate) fn new(proving: Option<Proving<'a>>, name: &str) -> Option<Watching<'a>> {
        let Proving { examiner, .. } = proving?;
        let place = examiner.place(name)?;
        let kept = if place.is_digest { Kept::Text(Some(Vec::new())) } else { Kept::Hash(examiner.hashing()) };
        Some(Watching { examiner, place, kept })
    }

    pub(crate) fn see(&mut self, bytes: &[u8]) {
        match &mut self.kept {
            Kept::Hash(hashing) => hashing.update(bytes),
            Kept::Text(text) => match text {
                Some(held) if held.len() + bytes.len() <= LARGEST_DIGEST => held.extend_from_slice(bytes),
                _ => *text = None,
            },
        }
    }

    /// What it turned out to be; none where it was not read to its end.
    pub(crate) fn end(self, name: &str, sealing: Sealing, records: u64, metadata: &Metadata) -> Option<Evidence> {
        let Watching { examiner, place, kept } = self;
        match (kept, sealing) {
            (_, Sealing::Unknown) => None,
            (Kept::Hash(hashing), Sealing::Single) => {
                let hash = Some(hashing.finish());
                Some(Evidence::Log(ReadLog { place, name: name.to_owned(), hash, records }))
            }
            (Kept::Hash(_), Sealing::Broken) => {
                Some(Evidence::Log(ReadLog { place, name: name.to_owned(), hash: None, records }))
            }
            (Kept::Text(Some(text)), Sealing::Single) => {
                Some(Evidence::Digest(examiner.examine(&place, name, &text, metadata)))
            }
            (Kept::Text(text), _) => {
                let why = if text.is_none() { "it is too large" } else { "it is not one sound gzip member" };
                let mut hashing = examiner.hashing();
                hashing.update(text.as_deref().unwrap_or_default());
                let (hash, signature) = (hashing.finish(), Signature::Forged(why.to_owned()));
                let (signable, previous, names) = (None, None, Vec::new());
                Some(Evidence::Digest(Digest { key: place.key, hash, signature, signable, previous, names }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|text| Some((*text).to_owned()).filter(|text| !text.is_empty())).collect()
    }

    #[test]
    fn the_rule() {
        let of = |read: &[&str], named: &[&str]| Standing::of(&hashes(read), &hashes(named));
        assert_eq!(of(&[], &[]), None);
        assert_eq!(of(&["a"], &[]), Some(Standing::Pending));
        assert_eq!(of(&[""], &[]), Some(Standing::Pending));
        assert_eq!(of(&[], &["a"]), Some(Standing::Missing));
        assert_eq!(of(&["a"], &["a"]), Some(Standing::Proven));
        assert_eq!(of(&["a"], &["b"]), Some(Standing::Failed));
        // What has no hash equals nothing, and least of all a digest that gives none.
        for (read, named) in [("", "a"), ("a", ""), ("", "")] {
            assert_eq!(of(&[read], &[named]), Some(Standing::Failed));
        }
        // The events of other bytes are in the store, whatever was read before or after.
        assert_eq!(of(&["a", "b"], &["a"]), Some(Standing::Failed));
        assert_eq!(of(&["b", "a"], &["a"]), Some(Standing::Failed));
        // Nor are two digests right that say two things.
        assert_eq!(of(&["a"], &["a", "b"]), Some(Standing::Failed));
        assert_eq!(of(&["a"], &["a", "a"]), Some(Standing::Proven));
    }

    #[test]
    fn an_object_has_one_alert_and_it_is_critical() {
        let failure = Failure {
            key: "AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/30/x.json.gz".to_owned(),
            name: "s3://b/x".to_owned(),
            account: "111122223333".to_owned(),
            region: "us-east-1".to_owned(),
            delivered: Timestamp::parse("2026-01-30T10:05:00Z"),
            read: Some("a".to_owned()),
            named: Some("b".to_owned()),
            digest: "d".to_owned(),
        };
        let now = Timestamp::parse("2026-01-31T00:00:00Z").unwrap();
        let alert = failure.alert(now);
        assert_eq!(
            (alert.severity, alert.event_time.to_string().as_str()),
            (Severity::Critical, "2026-01-30T10:05:00Z")
        );
        assert!(alert.summary.contains("is a, and d says b"), "{}", alert.summary);
        let again = Failure { read: None, ..failure }.alert(Timestamp::MIN);
        assert_eq!(again.id, alert.id);
        assert!(again.summary.contains("one sound gzip member"), "{}", again.summary);
    }
}

//! Digests behind the pipeline's port: `integrity` judges them, one at a time.
//!
//! What S3 keeps beside a digest's bytes comes with it from a bucket; for a copy it is looked for on this machine.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use event::Timestamp;
use integrity::digest::{Digest as Text, SIGNATURE_ALGORITHM};
use integrity::evidence::Metadata as Beside;
use integrity::hash::{Hashing as Sha256Hashing, Sha256};
use integrity::keys::{KeyRing, KeySource, NoKey};
use integrity::layout::{ROOT, delivered, is_account, is_organization, split_root};
use integrity::signature::{Verifier, string_to_sign};
use pipeline::proof::{Digest, Examiner, Hashing, Metadata, Named, Place, Previous, Provable, Signable, Signature};

use crate::files::content::Backing;
use crate::sidecar::{LINES, Lines, METADATA, SIGNATURE, take_head, take_line, take_signature};

const LOGS: &str = "CloudTrail";
const DIGESTS: &str = "CloudTrail-Digest";
/// What the names of objects that were read from S3 begin with.
const S3: &str = "s3://";
/// The longest signature that is kept to be tried later: an RSA key has at most 8192 bits.
const LONGEST_SIGNATURE: usize = 2048;
/// The longest text whose signature is: it has the name of an object and the signature before it.
const LONGEST_SIGNABLE: usize = 8 << 10;

/// Judges digests with some keys.
pub struct DigestExaminer<'k> {
    keys: KeyRing<'k>,
    sidecars: Sidecars,
}

impl<'k> DigestExaminer<'k> {
    /// With the keys of a source, and what stands beside files on this machine.
    #[must_use]
    pub fn new(keys: &'k dyn KeySource, from: Timestamp, to: Timestamp) -> DigestExaminer<'k> {
        DigestExaminer { keys: KeyRing::new(keys, from, to), sidecars: Sidecars::default() }
    }

    /// What stands beside a digest.
    fn beside(&self, name: &str, metadata: &Metadata) -> io::Result<Beside> {
        let mut beside = Beside::default();
        metadata.iter().for_each(|(name, value)| beside.take(name, value));
        if is_copy(name) {
            self.sidecars.take(name, &mut beside)?;
        }
        Ok(beside)
    }

    fn signature(&self, place: &Place, name: &str, signable: &Signable, beside: &Beside) -> Signature {
        let Some(signature) = &beside.signature else {
            return Signature::Unchecked("nothing beside it has its signature".to_owned());
        };
        match beside.algorithm.as_deref() {
            Some(SIGNATURE_ALGORITHM) => {}
            // A file with the signature alone names none.
            None if is_copy(name) => {}
            None => return Signature::Forged("its metadata has no signature-algorithm".to_owned()),
            Some(_) => return Signature::Forged("its metadata names another signature-algorithm".to_owned()),
        }
        match self.key(place, &signable.fingerprint, signable.signed) {
            Err(no_key) => Signature::Unchecked(no_key.to_string()),
            Ok(key) if key.is_signed(&signable.text, signature) => Signature::Good,
            Ok(_) => Signature::Forged("signature verification failed".to_owned()),
        }
    }

    fn key(&self, place: &Place, fingerprint: &str, signed: Timestamp) -> Result<Arc<Verifier>, NoKey> {
        let find = |region: &str| self.keys.verifier(region, fingerprint, Some(signed));
        let home = home_region(&place.key).filter(|home| *home != place.region);
        find(&place.region).or_else(|error| home.and_then(|home| find(home).ok()).ok_or(error))
    }
}

/// Whether something was read from a copy, which may have lost what S3 keeps beside its bytes.
fn is_copy(name: &str) -> bool {
    !name.starts_with(S3)
}

impl Examiner for DigestExaminer<'_> {
    fn place(&self, name: &str) -> Option<Place> {
        place(name)
    }

    fn hashing(&self) -> Box<dyn Hashing> {
        Box::new(InTheMaking(Sha256Hashing::default()))
    }

    fn examine(&self, place: &Place, name: &str, text: &[u8], metadata: &Metadata) -> Digest {
        let hash = Sha256::of(text);
        let empty = Digest {
            key: place.key.clone(),
            hash: hash.to_string(),
            signature: Signature::Good,
            signable: None,
            previous: None,
            names: Vec::new(),
        };
        let digest = match Text::parse(text) {
            Ok(digest) => digest,
            Err(error) => return Digest { signature: Signature::Forged(error.to_string()), ..empty },
        };
        if !is_from(name, place, &digest) || digest.account != place.account {
            let why = "it has been moved from its original location".to_owned();
            return Digest { signature: Signature::Forged(why), ..empty };
        }
        let previous = digest.previous.as_ref().filter(|previous| previous.bucket == digest.bucket);
        let previous = previous.and_then(|previous| {
            let (key, hash) = (root_of(&previous.key)?.to_owned(), previous.hash?.to_string());
            let signature = digest.previous_signature.clone().filter(|signature| may_be_signature(signature));
            Some(Previous { key, hash, signature })
        });
        // What a digest names proves nothing but the account's own files in its region.
        let is_own = |named: &Place| !named.is_digest && named.account == place.account && named.region == place.region;
        let named = |file: &integrity::digest::LogFile| {
            let here = file.elsewhere.is_none().then(|| self::place(&file.key))??;
            is_own(&here).then(|| Named { place: here, hash: file.hash.map(|hash| hash.to_string()) })
        };
        let names = digest.log_files.iter().filter_map(named).collect();
        let beside = self.beside(name, metadata);
        let signed = beside.as_ref().ok().and_then(Beside::generated_at).unwrap_or(digest.end);
        let (text, fingerprint) = (string_to_sign(&digest, hash), digest.fingerprint.clone());
        let mut signable = Signable { text, fingerprint, signed, signature: None };
        let signature = match &beside {
            Ok(beside) => self.signature(place, name, &signable, beside),
            Err(error) => Signature::Unchecked(format!("what stands beside it cannot be read: {error}")),
        };
        if let Signature::Unchecked(_) = signature {
            signable.signature = beside.ok().and_then(|beside| beside.signature).filter(|own| may_be_signature(own));
        }
        let may_be_proven = signature != Signature::Good && signable.text.len() <= LONGEST_SIGNABLE;
        Digest { signature, signable: may_be_proven.then_some(signable), previous, names, ..empty }
    }

    fn holds(&self, provable: &Provable) -> bool {
        let Provable { key, text, fingerprint, signed, signature, .. } = provable;
        let key = place(key).and_then(|place| self.key(&place, fingerprint, *signed).ok());
        key.is_some_and(|key| key.is_signed(text, signature))
    }
}

/// Where an object belongs, by its name: `…AWSLogs/[o-ORG/]ACCOUNT/CloudTrail[-Digest]/REGION/…/x.json.gz`.
fn place(name: &str) -> Option<Place> {
    // An entry of an archive is called `ARCHIVE!ENTRY`; some systems write other slashes.
    let entry = name.rsplit('!').next().unwrap_or(name).replace('\\', "/");
    let key = root_of(&entry)?;
    let mut parts = key[ROOT.len()..].split('/');
    let mut account = parts.next()?;
    if is_organization(account) {
        account = parts.next()?;
    }
    let (service, region) = (parts.next()?, parts.next()?);
    let is_digest = service == DIGESTS;
    let is_file = parts.next().is_some() && key.ends_with(".json.gz");
    (is_account(account) && is_file && (is_digest || service == LOGS)).then(|| Place {
        key: key.to_owned(),
        is_digest,
        account: account.to_owned(),
        region: region.to_owned(),
        delivered: delivered(key),
    })
}

/// Whether a digest lies where it says that CloudTrail wrote it. Of an object in S3 the bucket and the whole key are known,
/// of a copy only what it is called from `AWSLogs/` on.
fn is_from(name: &str, place: &Place, digest: &Text) -> bool {
    match name.strip_prefix(S3) {
        Some(address) => address.split_once('/') == Some((&*digest.bucket, &*digest.key)),
        None => root_of(&digest.key) == Some(&place.key),
    }
}

/// A key from `AWSLogs/` on.
fn root_of(key: &str) -> Option<&str> {
    split_root(key).map(|(_, root)| root)
}

/// Whether a stranger's text has the form of a signature.
fn may_be_signature(text: &str) -> bool {
    text.len() <= LONGEST_SIGNATURE && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The region that a digest's trail was made in: `…_TRAIL_HOMEREGION_TIME[_backfill].json.gz`.
fn home_region(key: &str) -> Option<&str> {
    let name = key.strip_suffix(".json.gz")?;
    let name = name.strip_suffix("_backfill").unwrap_or(name);
    name.rsplit('_').nth(1)
}

struct InTheMaking(Sha256Hashing);

impl Hashing for InTheMaking {
    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(self: Box<Self>) -> String {
        self.0.finish().to_string()
    }
}

/// The files with a line an object that were met.
#[derive(Default)]
struct Sidecars {
    files: Mutex<HashMap<PathBuf, Option<Arc<LinesFile>>>>,
}

/// It stays open: every digest has a line in it.
struct LinesFile {
    lines: Lines,
    file: Backing,
}

impl Sidecars {
    /// Takes what stands beside a file.
    fn take(&self, name: &str, beside: &mut Beside) -> io::Result<()> {
        let Some((before, key)) = split_root(name) else { return Ok(()) };
        if let Some(LinesFile { lines, file }) = self.lines(&Path::new(before).join(LINES))?.as_deref()
            && let Some(at) = lines.place_of(key)
        {
            take_line(beside, file.reader_at(at))?;
        }
        if let Some(head) = open(Path::new(&format!("{name}{METADATA}")))? {
            take_head(beside, head)?;
        }
        if let Some(signature) = open(Path::new(&format!("{name}{SIGNATURE}")))? {
            take_signature(beside, signature)?;
        }
        Ok(())
    }

    /// What stands in a file; none where there is no such file.
    fn lines(&self, path: &Path) -> io::Result<Option<Arc<LinesFile>>> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = files.get(path) {
            return Ok(known.clone());
        }
        let read = |file: File| -> io::Result<Arc<LinesFile>> {
            let file = Backing::File(Arc::new(file));
            Ok(Arc::new(LinesFile { lines: Lines::read(file.reader())?, file }))
        };
        let lines = open(path)?.map(read).transpose()?;
        files.insert(path.to_owned(), lines.clone());
        Ok(lines)
    }
}

/// A file; none where it is not there.
fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        opened => opened.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_known_wherever_it_lies() {
        let key = "AWSLogs/o-exampleorgid/111122223333/CloudTrail/us-east-1/2026/01/30/\
                   111122223333_CloudTrail_us-east-1_20260130T1005Z_x.json.gz";
        let expected = place(key).expect("a log file");
        assert_eq!((expected.key.as_str(), expected.is_digest), (key, false));
        assert_eq!((expected.account.as_str(), expected.region.as_str()), ("111122223333", "us-east-1"));
        assert_eq!(expected.delivered.map(|time| time.to_string()).as_deref(), Some("2026-01-30T10:05:00Z"));
        for before in ["s3://bucket/my/trail/", "/home/me/copy/", "./", "copy.zip!", "a.tar!b.zip!x/"] {
            assert_eq!(place(&format!("{before}{key}")).as_ref(), Some(&expected), "{before}");
        }
        assert_eq!(place(&key.replace('/', "\\")).as_ref(), Some(&expected));
        assert!(place(&key.replace("/CloudTrail/", "/CloudTrail-Digest/")).is_some_and(|place| place.is_digest));
        for other in
            ["x.json.gz", &key.replace(".gz", ""), &key.replace("/CloudTrail/", "/Config/"), "AWSLogs/1/x.json.gz"]
        {
            assert_eq!(place(other), None, "{other}");
        }
    }

    #[test]
    fn a_digests_name_says_its_home_region() {
        let name = "AWSLogs/1/CloudTrail-Digest/us-east-1/2026/01/30/1_CloudTrail-Digest_us-east-1_my_trail_eu-west-1_20260130T100500Z";
        assert_eq!(home_region(&format!("{name}.json.gz")), Some("eu-west-1"));
        assert_eq!(home_region(&format!("{name}_backfill.json.gz")), Some("eu-west-1"));
    }
}

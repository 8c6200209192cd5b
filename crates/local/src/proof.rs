//! Digests behind the pipeline's port: `integrity` judges them, one at a time.
//!
//! What S3 keeps beside a digest's bytes comes with it from a bucket; for a copy it is looked for on this machine.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use event::Timestamp;
use integrity::digest::{Digest as Text, SIGNATURE_ALGORITHM};
use integrity::evidence::Metadata as Beside;
use integrity::hash::{Hashing as Sha256Hashing, Sha256};
use integrity::keys::{KeyRing, KeySource};
use integrity::layout::{ROOT, delivered, is_account, is_organization, split_root};
use integrity::signature::{is_signed, string_to_sign};
use pipeline::proof::{Digest, Examiner, Hashing, Metadata, Named, Place, Signature};

use crate::sidecar::{LINES, Lines, METADATA, SIGNATURE, take_head, take_line, take_signature};

const LOGS: &str = "CloudTrail";
const DIGESTS: &str = "CloudTrail-Digest";
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

    fn signature(&self, place: &Place, name: &str, digest: &Text, hash: Sha256, metadata: &Metadata) -> Signature {
        let mut beside = Beside::default();
        metadata.iter().for_each(|(name, value)| beside.take(name, value));
        let is_copy = !name.starts_with("s3://");
        if is_copy && let Err(error) = self.sidecars.take(name, &mut beside) {
            return Signature::Unchecked(format!("what stands beside it cannot be read: {error}"));
        }
        let Some(signature) = &beside.signature else {
            return Signature::Unchecked("nothing beside it has its signature".to_owned());
        };
        match beside.algorithm.as_deref() {
            Some(SIGNATURE_ALGORITHM) => {}
            // A file with the signature alone names none.
            None if is_copy => {}
            None => return Signature::Forged("its metadata has no signature-algorithm".to_owned()),
            Some(_) => return Signature::Forged("its metadata names another signature-algorithm".to_owned()),
        }
        let signed = beside.generated_at().unwrap_or(digest.end);
        let find = |region: &str| self.keys.find(region, &digest.fingerprint, Some(signed));
        let home = home_region(&place.key).filter(|home| *home != place.region);
        let key = find(&place.region).or_else(|error| home.and_then(|home| find(home).ok()).ok_or(error));
        match key {
            Err(no_key) => Signature::Unchecked(no_key.to_string()),
            Ok(key) if is_signed(&key, &string_to_sign(digest, hash), signature) => Signature::Good,
            Ok(_) => Signature::Forged("signature verification failed".to_owned()),
        }
    }
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
            previous: None,
            names: Vec::new(),
        };
        let digest = match Text::parse(text) {
            Ok(digest) => digest,
            Err(error) => return Digest { signature: Signature::Forged(error.to_string()), ..empty },
        };
        if root_of(&digest.key) != Some(&place.key) || digest.account != place.account {
            let why = "it has been moved from its original location".to_owned();
            return Digest { signature: Signature::Forged(why), ..empty };
        }
        let previous = digest.previous.as_ref().filter(|previous| previous.bucket == digest.bucket);
        let previous =
            previous.and_then(|previous| Some((root_of(&previous.key)?.to_owned(), previous.hash?.to_string())));
        // What a digest names proves nothing but the account's own files in its region.
        let is_own = |named: &Place| !named.is_digest && named.account == place.account && named.region == place.region;
        let named = |file: &integrity::digest::LogFile| {
            let here = file.elsewhere.is_none().then(|| self::place(&file.key))??;
            is_own(&here).then(|| Named { place: here, hash: file.hash.map(|hash| hash.to_string()) })
        };
        let names = digest.log_files.iter().filter_map(named).collect();
        Digest { signature: self.signature(place, name, &digest, hash, metadata), previous, names, ..empty }
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

/// A key from `AWSLogs/` on.
fn root_of(key: &str) -> Option<&str> {
    split_root(key).map(|(_, root)| root)
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
    files: Mutex<HashMap<PathBuf, Arc<Lines>>>,
}

impl Sidecars {
    /// Takes what stands beside a file.
    fn take(&self, name: &str, beside: &mut Beside) -> io::Result<()> {
        let Some((before, key)) = split_root(name) else { return Ok(()) };
        let file = Path::new(before).join(LINES);
        if let Some(at) = self.lines(&file)?.place_of(key)
            && let Some(mut content) = open(&file)?
        {
            content.seek(SeekFrom::Start(at))?;
            take_line(beside, content)?;
        }
        if let Some(head) = open(Path::new(&format!("{name}{METADATA}")))? {
            take_head(beside, head)?;
        }
        if let Some(signature) = open(Path::new(&format!("{name}{SIGNATURE}")))? {
            take_signature(beside, signature)?;
        }
        Ok(())
    }

    fn lines(&self, file: &Path) -> io::Result<Arc<Lines>> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = files.get(file) {
            return Ok(Arc::clone(known));
        }
        let lines = Arc::new(open(file)?.map(Lines::read).transpose()?.unwrap_or_default());
        files.insert(file.to_owned(), Arc::clone(&lines));
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

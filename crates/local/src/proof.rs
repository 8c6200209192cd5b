//! Digests behind the pipeline's port: `integrity` judges them, one at a time.
//!
//! What S3 keeps beside a digest's bytes comes with it from a bucket. Beside a copy it is looked for in `metadata.jsonl`,
//! next to the folder `AWSLogs` (a line an object: `{"Key": …, "Metadata": {"signature": …}}`), and in a file for each
//! object, `KEY.metadata.json` (what `aws s3api head-object` prints) or `KEY.sig` (the signature alone).

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
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
use serde::Deserialize;
use serde_json::{Map, Value};

const LOGS: &str = "CloudTrail";
const DIGESTS: &str = "CloudTrail-Digest";
/// A line an object, next to the folder `AWSLogs`.
const LINES: &str = "metadata.jsonl";
/// The longest line, and the largest file beside an object, that is read.
const LONGEST: u64 = 64 << 10;

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

/// Where the lines of each `metadata.jsonl` stand that was met, by the halves of the hashes of keys.
#[derive(Default)]
struct Sidecars {
    files: Mutex<HashMap<PathBuf, Arc<HashMap<u128, u64>>>>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(alias = "Key")]
    key: String,
    #[serde(alias = "Metadata")]
    metadata: Map<String, Value>,
}

impl Sidecars {
    /// Takes what stands beside a file.
    fn take(&self, name: &str, beside: &mut Beside) -> io::Result<()> {
        let Some((before, key)) = split_root(name) else { return Ok(()) };
        let lines = Path::new(before).join(LINES);
        if let Some(&at) = self.places(&lines)?.get(&half(key)) {
            let mut file = File::open(&lines)?;
            file.seek(SeekFrom::Start(at))?;
            let mut text = Vec::new();
            BufReader::with_capacity(4 << 10, file.take(LONGEST)).read_until(b'\n', &mut text)?;
            if let Ok(line) = serde_json::from_slice::<Line>(&text) {
                take(beside, &line.metadata);
            }
        }
        if let Some(text) = small_file(&format!("{name}.metadata.json"))?
            && let Ok(Value::Object(head)) = serde_json::from_str(&text)
            && let Some(Value::Object(values)) = head.get("Metadata")
        {
            take(beside, values);
        }
        if let Some(text) = small_file(&format!("{name}.sig"))? {
            beside.take("signature", text.trim());
        }
        Ok(())
    }

    fn places(&self, file: &Path) -> io::Result<Arc<HashMap<u128, u64>>> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = files.get(file) {
            return Ok(Arc::clone(known));
        }
        let mut places = HashMap::new();
        match File::open(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(opened) => {
                let (mut reader, mut at) = (BufReader::with_capacity(1 << 20, opened), 0);
                let mut text = Vec::new();
                loop {
                    text.clear();
                    let length = (&mut reader).take(LONGEST).read_until(b'\n', &mut text)? as u64;
                    if length == 0 {
                        break;
                    }
                    // What is no such line says nothing of any object.
                    if let Ok(line) = serde_json::from_slice::<Line>(&text) {
                        places.insert(half(root_of(&line.key).unwrap_or(&line.key)), at);
                    }
                    at += length;
                }
            }
        }
        let places = Arc::new(places);
        files.insert(file.to_owned(), Arc::clone(&places));
        Ok(places)
    }
}

fn half(key: &str) -> u128 {
    Sha256::of(key.as_bytes()).half()
}

fn take(beside: &mut Beside, values: &Map<String, Value>) {
    for (name, value) in values {
        if let Value::String(value) = value {
            beside.take(name, value);
        }
    }
}

/// A small text file; none where it is not there.
fn small_file(path: &str) -> io::Result<Option<String>> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(file) => {
            let mut text = Vec::new();
            file.take(LONGEST).read_to_end(&mut text)?;
            Ok(String::from_utf8(text).ok())
        }
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

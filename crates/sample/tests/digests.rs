//! The digests of a generated trail, read back from disk and checked against AWS's description of them.

#![expect(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use jiff::Timestamp;
use libdeflater::Decompressor;
use sample::{Plan, Signing};
use serde_json::Value;
use tempfile::TempDir;

const NOW: &str = "2026-07-15T13:37:12Z";

fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

fn plan() -> Plan {
    let signing = Signing::organisation(now());
    Plan { days: 7, events: 1_500, files: 160, signing: Some(signing), ..Plan::demo(now()) }
}

/// Signed in its last days only, which is quicker.
fn lately() -> Signing {
    Signing { from: Some(now() - jiff::SignedDuration::from_hours(40)), ..Signing::organisation(now()) }
}

fn gunzip(gz: &[u8]) -> Vec<u8> {
    let size = u32::from_le_bytes(gz[gz.len() - 4..].try_into().unwrap()) as usize;
    let mut inflated = vec![0; size];
    Decompressor::new().gzip_decompress(gz, &mut inflated).expect("one gzip member");
    inflated
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal")).collect()
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a folder") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let key = path.strip_prefix(folder).expect("within").to_str().expect("UTF-8").to_owned();
                found.insert(key, fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

/// Key, text and metadata.
type Digest = (String, Value, Value);

struct Trail {
    _folder: TempDir,
    files: BTreeMap<String, Vec<u8>>,
    /// By account, region and whether they came late, in the order of their ends.
    chains: BTreeMap<(String, String, bool), Vec<Digest>>,
}

impl Trail {
    fn new(plan: &Plan) -> Trail {
        let folder = tempfile::tempdir().expect("a folder");
        plan.write(folder.path(), |_| ()).expect("a trail");
        Trail::read(folder)
    }

    fn read(folder: TempDir) -> Trail {
        let files = files(folder.path());
        let metadata: BTreeMap<String, Value> = str::from_utf8(&files["metadata.jsonl"])
            .expect("UTF-8")
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
            .map(|line| (line["Key"].as_str().expect("a key").to_owned(), line["Metadata"].clone()))
            .collect();
        let mut chains: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (key, gz) in files.iter().filter(|(key, _)| key.contains("/CloudTrail-Digest/")) {
            let text: Value = serde_json::from_slice(&gunzip(gz)).expect("JSON");
            let parts: Vec<&str> = key.split('/').collect();
            let digests = parts.iter().position(|part| *part == "CloudTrail-Digest").expect("a digest");
            let chain = (parts[digests - 1].to_owned(), parts[digests + 1].to_owned(), key.contains("_backfill"));
            chains.entry(chain).or_default().push((key.clone(), text, metadata[key].clone()));
        }
        assert_eq!(metadata.len(), chains.values().map(Vec::len).sum::<usize>(), "each digest has its metadata");
        Trail { _folder: folder, files, chains }
    }

    fn public_keys(&self) -> Vec<Value> {
        let keys: Value = serde_json::from_slice(&self.files["public-keys.json"]).expect("JSON");
        keys["PublicKeyList"].as_array().expect("a list").clone()
    }

    /// Log files that a digest names.
    fn named(&self) -> BTreeMap<String, String> {
        let texts = self.chains.values().flatten().map(|(_, text, _)| text);
        let logs: Vec<&Value> = texts.flat_map(|text| text["logFiles"].as_array().expect("a list")).collect();
        let named: BTreeMap<String, String> =
            logs.iter().map(|log| (text(log, "s3Object"), text(log, "hashValue"))).collect();
        assert_eq!(named.len(), logs.len(), "a log file is named once");
        named
    }

    fn logs(&self) -> BTreeSet<String> {
        self.files.keys().filter(|key| key.contains("/CloudTrail/")).cloned().collect()
    }
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("{key} is missing in {value}")).to_owned()
}

fn time(value: &Value, key: &str) -> Timestamp {
    text(value, key).parse().expect("a time")
}

#[test]
fn every_digest_is_signed_and_linked() {
    let trail = Trail::new(&plan());
    let keys = trail.public_keys();
    let (mut starts, mut quiet, mut fingerprints) = (0, 0, BTreeSet::new());
    for ((account, region, _), chain) in &trail.chains {
        let mut before: Option<&Digest> = None;
        for digest in chain {
            let (key, told, metadata) = digest;
            assert_eq!(told["digestS3Object"], *key.as_str());
            assert_eq!(told["awsAccountId"], *account.as_str());
            let inflated = gunzip(&trail.files[key]);
            let previous = told["previousDigestSignature"].as_str().unwrap_or("null");
            let to_sign = format!(
                "{}\n{}/{key}\n{}\n{previous}",
                text(told, "digestEndTime"),
                text(told, "digestS3Bucket"),
                sha256(&inflated)
            );
            let end = time(told, "digestEndTime");
            let signer = keys.iter().find(|known| {
                known["Fingerprint"] == told["digestPublicKeyFingerprint"] && known["Region"] == *region.as_str()
            });
            let signer = signer.expect("the region's key is listed");
            assert!((time(signer, "ValidityStartTime")..=time(signer, "ValidityEndTime")).contains(&end));
            let public = BASE64_STANDARD.decode(text(signer, "Value")).expect("base 64");
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public)
                .verify(to_sign.as_bytes(), &unhex(&text(metadata, "signature")))
                .expect("a valid signature");
            assert_eq!(metadata["signature-algorithm"], "SHA256withRSA");
            fingerprints.insert(text(told, "digestPublicKeyFingerprint"));

            let links = ["S3Bucket", "S3Object", "HashValue", "HashAlgorithm", "Signature"];
            let link = links.map(|part| told[format!("previousDigest{part}")].clone());
            let starts_here = match before {
                Some((last_key, last, last_metadata)) if last["digestEndTime"] == told["digestStartTime"] => {
                    let hash = sha256(&gunzip(&trail.files[last_key]));
                    let bucket = text(last, "digestS3Bucket");
                    let expected: [Value; 5] = [
                        bucket.into(),
                        last_key.as_str().into(),
                        hash.into(),
                        "SHA-256".into(),
                        last_metadata["signature"].clone(),
                    ];
                    assert_eq!(link, expected);
                    false
                }
                _ => true,
            };
            if starts_here {
                assert!(link.iter().all(Value::is_null), "{link:?}");
                starts += 1;
            }
            let logs = told["logFiles"].as_array().expect("a list");
            if logs.is_empty() {
                assert!(told["newestEventTime"].is_null() && told["oldestEventTime"].is_null());
                quiet += 1;
            } else {
                let most = |key: &str| logs.iter().map(|log| text(log, key)).collect::<BTreeSet<String>>();
                assert_eq!(Some(&text(told, "newestEventTime")), most("newestEventTime").last());
                assert_eq!(Some(&text(told, "oldestEventTime")), most("oldestEventTime").first());
            }
            before = Some(digest);
        }
    }
    // The intrusion turns validation off once, which every chain shows.
    assert_eq!(starts, 2 * trail.chains.len());
    assert!(quiet > 0, "hours in which nothing happened have a digest, too");
    assert_eq!(fingerprints.len(), 6, "every key signs");
}

#[test]
fn a_digest_names_every_log_file_but_those_of_hours_without_validation_and_of_the_running_one() {
    let trail = Trail::new(&plan());
    let named = trail.named();
    for (key, hash) in &named {
        assert_eq!(&sha256(&gunzip(&trail.files[key])), hash);
    }
    let logs = trail.logs();
    let unnamed: Vec<&String> = logs.iter().filter(|key| !named.contains_key(*key)).collect();
    assert!(named.len() + unnamed.len() == logs.len() && !unnamed.is_empty());
    for key in unnamed {
        let (_, name) = key.rsplit_once('/').expect("a name");
        let delivered = name.split('_').nth(3).expect("a time");
        let (account, region) = (name.split('_').next().unwrap(), name.split('_').nth(2).unwrap());
        let chain = &trail.chains[&(account.to_owned(), region.to_owned(), false)];
        let compact = |end: &str| end.replace(['-', ':'], "")[..13].to_owned() + "Z";
        let covering = chain.iter().find(|(_, told, _)| {
            compact(&text(told, "digestStartTime")).as_str() < delivered
                && delivered < compact(&text(told, "digestEndTime")).as_str()
        });
        assert!(covering.is_none(), "{key} is left out of {covering:?}");
    }
}

#[test]
fn what_comes_late_is_named_by_a_chain_of_its_own() {
    let signing = Signing { late_every: NonZero::new(5), ..lately() };
    let trail = Trail::new(&Plan { signing: Some(signing), ..plan() });
    let all = Trail::new(&Plan { signing: Some(lately()), ..plan() });
    assert_eq!(trail.named(), all.named(), "the same files are named, by whichever digest");
    let late: Vec<_> = trail.chains.iter().filter(|((_, _, late), _)| *late).flat_map(|(_, chain)| chain).collect();
    assert!(!late.is_empty());
    for (key, told, metadata) in late {
        assert!(key.ends_with("Z_backfill.json.gz"));
        let made: Timestamp = text(metadata, "backfill-generation-timestamp").parse().expect("a time");
        assert!(made > time(told, "digestEndTime") && made <= now());
        let previous = told["previousDigestS3Object"].as_str();
        assert!(previous.is_none_or(|previous| previous.contains("_backfill")));
    }
}

#[test]
fn the_same_plan_is_signed_the_same_on_any_number_of_threads() {
    let plan = Plan { signing: Some(lately()), ..plan() };
    let one = Trail::new(&Plan { threads: NonZero::new(1), ..plan.clone() });
    let many = Trail::new(&Plan { threads: NonZero::new(3), ..plan });
    assert!(one.files == many.files);
}

#[test]
fn any_folder_of_log_files_can_be_signed() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = "some/prefix/AWSLogs/111122223333/CloudTrail/eu-west-1/2026/07/15/111122223333_CloudTrail_eu-west-1_20260715T1005Z_abcdefghijklmnop.json.gz";
    let path = folder.path().join(key);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    let json = br#"{"Records":[]}"#;
    let mut gz = vec![0; 100];
    let length = libdeflater::Compressor::new(libdeflater::CompressionLvl::default()).gzip_compress(json, &mut gz);
    fs::write(&path, &gz[..length.expect("room")]).expect("a file");
    let signing = Signing { quiet_regions: vec!["us-east-1".to_owned()], ..Signing::organisation(now()) };
    let signed = signing.sign(folder.path()).expect("digests");
    assert_eq!((signed.chains, signed.logs), (2, 1));
    let trail = Trail::read(folder);
    assert_eq!(trail.named(), BTreeMap::from([(key.to_owned(), sha256(json))]));
    let keys = trail.files.keys().filter(|key| key.contains("CloudTrail-Digest"));
    assert!(keys.clone().all(|key| key.starts_with("some/prefix/AWSLogs/111122223333/CloudTrail-Digest/")));
    assert_eq!(keys.count() as u64, signed.digests);
}

//! A bucket in memory, and somebody who signs as CloudTrail does.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::sync::LazyLock;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use event::Timestamp;
use integrity::LaneState;
use integrity::evidence::{Evidence, Journal, Level, Listed, Metadata, Object, Trouble};
use integrity::hash::{Sha256, hex};
use integrity::inflate::Inflater;
use integrity::keys::{KeyFile, KeyRing, KeySource, PublicKey};
use integrity::layout::{Lane, Place, day_path};
use integrity::report::{ChainSummary, Counts, Finding, Hour, Hours, Kind, Period, Record, Status};
use integrity::verify::{self, Limits, Outcome, Plan, Progress, Scope, VerifyError};
use libdeflater::{CompressionLvl, Compressor};
use serde_json::{Value, json};

pub(crate) const BUCKET: &str = "trail-bucket";
pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const REGION: &str = "us-east-1";

/// Keys take a second to make; tests share them.
pub(crate) static KEYS: LazyLock<[Signer; 2]> = LazyLock::new(|| [Signer::new("one"), Signer::new("two")]);

pub(crate) struct Signer {
    pair: KeyPair,
    pub(crate) fingerprint: String,
}

impl Signer {
    fn new(name: &str) -> Signer {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        Signer { pair, fingerprint: hex(name.as_bytes()) }
    }

    pub(crate) fn sign(&self, text: &str) -> String {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
        hex(&signature)
    }

    pub(crate) fn public(&self) -> PublicKey {
        let der = self.pair.public_key().as_ref().to_vec();
        PublicKey { fingerprint: self.fingerprint.clone(), der, from: None, to: None, region: None }
    }
}

pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

pub(crate) fn plus(time: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_micros(time.micros() + seconds * 1_000_000).unwrap()
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut compressor = Compressor::new(CompressionLvl::new(4).unwrap());
    let mut bytes = vec![0; compressor.gzip_compress_bound(content.len())];
    let length = compressor.gzip_compress(content, &mut bytes).unwrap();
    bytes.truncate(length);
    bytes
}

pub(crate) fn gunzip(bytes: &[u8]) -> Option<Vec<u8>> {
    static INFLATER: LazyLock<Mutex<Inflater>> = LazyLock::new(Mutex::default);
    let mut content = Vec::new();
    let mut inflater = INFLATER.lock().unwrap();
    let read = inflater.member(&mut &*bytes, 1 << 30, &mut |piece| content.extend_from_slice(piece));
    read.ok().map(|_| content)
}

pub(crate) fn compact(time: Timestamp) -> String {
    time.to_string().replace(['-', ':'], "")
}

/// A stored object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored {
    pub(crate) bytes: Vec<u8>,
    pub(crate) metadata: Metadata,
    pub(crate) trouble: Option<Trouble>,
}

/// A bucket.
pub(crate) struct World {
    pub(crate) objects: BTreeMap<String, Stored>,
    pub(crate) keeps_metadata: bool,
    pub(crate) keys: Box<dyn KeySource>,
    pub(crate) place: Place,
    pub(crate) scope: Scope,
    pub(crate) threads: usize,
    /// How many objects may be read before the run is stopped.
    pub(crate) patience: AtomicUsize,
    pub(crate) unlisted: BTreeSet<String>,
    pub(crate) limits: Limits,
}

/// Somebody who writes a trail's files of one account in one region.
pub(crate) struct Writer {
    pub(crate) lane: Lane,
    pub(crate) trail: String,
    pub(crate) bucket: String,
    pub(crate) key: usize,
    pub(crate) is_backfill: bool,
    /// The end of the last digest.
    pub(crate) time: Timestamp,
    /// The last digest: its key, the hash of its content, its signature.
    pub(crate) last: Option<(String, Sha256, String)>,
    pub(crate) number: u64,
}

impl Writer {
    pub(crate) fn new(start: &str) -> Writer {
        Writer {
            lane: Lane { above: "AWSLogs/".to_owned(), account: ACCOUNT.to_owned(), region: REGION.to_owned() },
            trail: "main".to_owned(),
            bucket: BUCKET.to_owned(),
            key: 0,
            is_backfill: false,
            time: at(start),
            last: None,
            number: 0,
        }
    }

    pub(crate) fn digest_key(&self, end: Timestamp) -> String {
        let Lane { account, region, .. } = &self.lane;
        format!(
            "{}{}/{account}_CloudTrail-Digest_{region}_{}_us-east-1_{}{}.json.gz",
            self.lane.digests(),
            day_path(end.day()),
            self.trail,
            compact(end),
            if self.is_backfill { "_backfill" } else { "" }
        )
    }

    /// Writes a log file. Returns its key.
    pub(crate) fn log(&mut self, world: &mut World, time: Timestamp, content: &[u8]) -> String {
        self.number += 1;
        let Lane { account, region, .. } = &self.lane;
        let minute = compact(time).replace("00Z", "Z");
        let minute = format!("{}Z", &minute[..13]);
        let key = format!(
            "{}{}/{account}_CloudTrail_{region}_{minute}_{:016}.json.gz",
            self.lane.logs(),
            day_path(time.day()),
            self.number
        );
        world.objects.insert(key.clone(), Stored { bytes: gzip(content), ..Stored::default() });
        key
    }

    /// Lets an hour pass with some log files, and writes its digest. Returns the keys of the files and of the digest.
    pub(crate) fn hour(&mut self, world: &mut World, files: usize) -> (Vec<String>, String) {
        let start = self.time;
        let keys = (0..files).map(|number| {
            let time = plus(start, 3600 * number as i64 / files as i64 + 60);
            let content = json!({"Records": [{"eventTime": time.to_string(), "eventName": "GetUser", "n": number}]});
            self.log(world, time, content.to_string().as_bytes())
        });
        let keys: Vec<String> = keys.collect();
        let digest = self.digest(world, &keys);
        (keys, digest)
    }

    pub(crate) fn digest(&mut self, world: &mut World, keys: &[String]) -> String {
        self.digest_with(world, keys, |_| {})
    }

    /// Writes a digest that says something else than it should, signed all the same.
    pub(crate) fn digest_with(&mut self, world: &mut World, keys: &[String], change: impl Fn(&mut Value)) -> String {
        let (start, end) = (self.time, plus(self.time, 3600));
        let key = self.digest_key(end);
        let files: Vec<Value> = keys
            .iter()
            .map(|key| {
                let content = gunzip(&world.objects[key].bytes).unwrap();
                json!({"s3Bucket": self.bucket, "s3Object": key, "hashValue": Sha256::of(&content).to_string(),
                       "hashAlgorithm": "SHA-256", "newestEventTime": start.to_string(), "oldestEventTime": start.to_string()})
            })
            .collect();
        let signer = &KEYS[self.key];
        let previous = |of: &dyn Fn(&(String, Sha256, String)) -> String| self.last.as_ref().map(of);
        let mut digest = json!({
            "awsAccountId": self.lane.account,
            "digestStartTime": start.to_string(),
            "digestEndTime": end.to_string(),
            "digestS3Bucket": self.bucket,
            "digestS3Object": key,
            "digestPublicKeyFingerprint": signer.fingerprint,
            "digestSignatureAlgorithm": "SHA256withRSA",
            "newestEventTime": (!keys.is_empty()).then(|| start.to_string()),
            "oldestEventTime": (!keys.is_empty()).then(|| start.to_string()),
            "previousDigestS3Bucket": previous(&|_| self.bucket.clone()),
            "previousDigestS3Object": previous(&|last| last.0.clone()),
            "previousDigestHashValue": previous(&|last| last.1.to_string()),
            "previousDigestHashAlgorithm": previous(&|_| "SHA-256".to_owned()),
            "previousDigestSignature": previous(&|last| last.2.clone()),
            "logFiles": files,
        });
        change(&mut digest);
        let text = digest.to_string();
        let content = Sha256::of(text.as_bytes());
        let field = |name: &str| digest[name].as_str().unwrap_or("null").to_owned();
        let to_sign = format!(
            "{}\n{}/{}\n{content}\n{}",
            field("digestEndTime"),
            field("digestS3Bucket"),
            field("digestS3Object"),
            field("previousDigestSignature")
        );
        let signature = signer.sign(&to_sign);
        let metadata = Metadata {
            signature: Some(signature.clone()),
            algorithm: Some("SHA256withRSA".to_owned()),
            generated: self.is_backfill.then(|| plus(end, 86_400).to_string()),
        };
        world.objects.insert(key.clone(), Stored { bytes: gzip(text.as_bytes()), metadata, trouble: None });
        self.last = Some((key.clone(), content, signature));
        self.time = end;
        key
    }
}

impl World {
    pub(crate) fn new(until: &str) -> World {
        World {
            objects: BTreeMap::new(),
            keeps_metadata: true,
            keys: Box::new(KeyFile::new(KEYS.iter().map(Signer::public).collect())),
            place: Place { bucket: BUCKET.to_owned(), prefix: String::new(), here: String::new() },
            scope: Scope { from: None, until: at(until), is_open_ended: true, only: None },
            threads: 2,
            patience: AtomicUsize::new(usize::MAX),
            unlisted: BTreeSet::new(),
            limits: Limits::default(),
        }
    }

    /// Looks at all of it.
    pub(crate) fn verify(&self) -> Report {
        let journal = MemoryJournal::default();
        let outcome = self.verify_with(&journal).unwrap();
        assert!(outcome.is_complete);
        let report = journal.report(self);
        let mut totals = Counts::default();
        for lane in report.lanes.values() {
            totals += lane.0.totals();
        }
        assert_eq!(totals, outcome.totals);
        assert_eq!(totals.imbalance(), None);
        Report { totals, ..report }
    }

    pub(crate) fn lanes(&self) -> Vec<(Lane, Place)> {
        let found = verify::discover(self, &self.place.here, &BTreeSet::new(), &BTreeSet::new());
        assert!(found.unlisted.is_empty() && found.foreign.is_empty(), "{found:?}");
        found.lanes.into_iter().map(|lane| (lane, self.place.clone())).collect()
    }

    pub(crate) fn verify_with(&self, journal: &MemoryJournal) -> Result<Outcome, VerifyError> {
        let ring = KeyRing::new(&*self.keys, at("2015-01-01T00:00:00Z"), plus(self.scope.until, 7200));
        let is_stopped = || self.patience.load(Ordering::Relaxed) == 0;
        verify::run(&Plan {
            evidence: self,
            keys: &ring,
            journal,
            lanes: &self.lanes(),
            scope: &self.scope,
            limits: self.limits,
            threads: self.threads,
            lanes_at_once: self.threads,
            progress: &Progress::default(),
            is_stopped: &is_stopped,
        })
    }
}

impl Evidence for World {
    fn keeps_metadata(&self) -> bool {
        self.keeps_metadata
    }

    fn level(&self, prefix: &str) -> Result<Level, Trouble> {
        let mut level = Level::default();
        let below = self.objects.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        for (key, _) in below {
            match key[prefix.len()..].split_once('/') {
                Some((folder, _)) if level.folders.last().is_none_or(|last| last != folder) => {
                    level.folders.push(folder.to_owned());
                }
                Some(_) => {}
                None => level.objects.push(key.clone()),
            }
        }
        Ok(level)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed)) -> Result<(), Trouble> {
        if self.unlisted.contains(prefix) {
            return Err(Trouble::Denied("s3:ListBucket".to_owned()));
        }
        let below = self.objects.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        // In no order that anybody could rely on.
        for (key, stored) in below.collect::<Vec<_>>().into_iter().rev() {
            each(Listed { key: key.clone(), size: stored.bytes.len() as u64 });
        }
        Ok(())
    }

    fn read(&self, key: &str, limit: u64) -> Result<Object, Trouble> {
        let _ = self.patience.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        let stored = self.objects.get(key).ok_or(Trouble::NotFound)?;
        if let Some(trouble) = &stored.trouble {
            return Err(trouble.clone());
        }
        let size = stored.bytes.len() as u64;
        if size > limit {
            return Err(Trouble::TooLarge { size, limit });
        }
        let metadata = if self.keeps_metadata { stored.metadata.clone() } else { Metadata::default() };
        Ok(Object { size, metadata, content: Box::new(Cursor::new(stored.bytes.clone())) })
    }
}

/// What was said of a bucket.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) totals: Counts,
    pub(crate) findings: Vec<Finding>,
    pub(crate) periods: Vec<Period>,
    pub(crate) chains: Vec<ChainSummary>,
    pub(crate) hours: Vec<Hour>,
    pub(crate) lanes: BTreeMap<Lane, (LaneState,)>,
}

impl Report {
    /// What was found, in short.
    pub(crate) fn told(&self) -> Vec<(Status, Kind, &str)> {
        self.findings
            .iter()
            .map(|finding| (finding.status, finding.kind, finding.key.as_deref().unwrap_or("")))
            .collect()
    }

    #[track_caller]
    pub(crate) fn assert_told(&self, mut expected: Vec<(Status, Kind, &str)>) {
        let mut told = self.told();
        told.sort();
        expected.sort();
        assert_eq!(told, expected, "{:#?}", self.findings);
    }

    #[track_caller]
    pub(crate) fn assert_clean(&self) {
        assert_eq!(self.findings, []);
        assert!(self.totals.worst().is_none_or(|worst| worst <= Status::NotDue), "{:?}", self.totals);
    }

    pub(crate) fn hour(&self, start: &str) -> Status {
        self.hours.iter().find(|hour| hour.start == at(start)).expect("an hour of the report").status
    }
}

/// Keeps what is written in memory, and forgets what is not behind a checkpoint, as a kill does.
#[derive(Default)]
pub(crate) struct MemoryJournal {
    lanes: Mutex<BTreeMap<Lane, Kept>>,
    pub(crate) is_eager: AtomicBool,
    /// The largest checkpoint, in bytes.
    pub(crate) largest: AtomicUsize,
}

#[derive(Default)]
struct Kept {
    lines: Vec<String>,
    checkpoint: Option<(usize, String)>,
}

impl Journal for MemoryJournal {
    fn resume(&self, lane: &Lane) -> std::io::Result<Option<LaneState>> {
        let mut lanes = self.lanes.lock().unwrap();
        let kept = lanes.entry(lane.clone()).or_default();
        let Some((lines, state)) = &kept.checkpoint else {
            kept.lines.clear();
            return Ok(None);
        };
        kept.lines.truncate(*lines);
        Ok(Some(serde_json::from_str(state).unwrap()))
    }

    fn write(&self, lane: &Lane, records: &[Record]) -> std::io::Result<()> {
        let mut lanes = self.lanes.lock().unwrap();
        let kept = lanes.entry(lane.clone()).or_default();
        kept.lines.extend(records.iter().map(|record| serde_json::to_string(record).unwrap()));
        Ok(())
    }

    fn is_due(&self, _: &Lane) -> bool {
        self.is_eager.load(Ordering::Relaxed)
    }

    fn checkpoint(&self, lane: &Lane, state: &LaneState) -> std::io::Result<()> {
        let mut lanes = self.lanes.lock().unwrap();
        let kept = lanes.entry(lane.clone()).or_default();
        let text = serde_json::to_string(state).unwrap();
        self.largest.fetch_max(text.len(), Ordering::Relaxed);
        kept.checkpoint = Some((kept.lines.len(), text));
        Ok(())
    }

    fn replay(&self, lane: &Lane, each: &mut dyn FnMut(Record)) -> std::io::Result<()> {
        let lanes = self.lanes.lock().unwrap();
        for line in &lanes[lane].lines {
            each(serde_json::from_str(line).unwrap());
        }
        Ok(())
    }
}

impl MemoryJournal {
    pub(crate) fn report(&self, world: &World) -> Report {
        let mut report = Report::default();
        for (lane, _) in world.lanes() {
            let mut hours = Hours::default();
            self.replay(&lane, &mut |record| {
                hours.take(&record);
                match record {
                    Record::Finding(finding) => report.findings.push(finding),
                    Record::Period(period) => report.periods.push(period),
                    Record::Chain(chain) => report.chains.push(chain),
                    Record::Hours(_) => {}
                }
            })
            .unwrap();
            report.hours.extend(hours.hours());
            let state = self.resume(&lane).unwrap().expect("a lane that came to its end");
            report.totals += state.totals();
            report.lanes.insert(lane, (state,));
        }
        report
    }
}

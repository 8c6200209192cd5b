//! The digests of one account and region, each linked to the one before.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use libdeflater::{CompressionLvl, Compressor, Decompressor};

use super::keys::Keys;
use super::logs::{self, Content, Log};
use super::{Signing, hex};
use crate::calendar::{civil, iso, push_date};
use crate::plan::SampleError;
use crate::record::quoted;

/// Seconds of the time a digest speaks of.
const HOUR: i64 = 3600;
/// How long after its hour a digest comes that names what came late.
const LATE: i64 = 6 * HOUR;

/// What all chains of a trail have in common.
pub(super) struct Trail<'a> {
    pub(super) root: &'a Path,
    pub(super) signing: &'a Signing,
    pub(super) keys: &'a Keys,
    /// First second and the second after the last.
    pub(super) span: (i64, i64),
}

/// The digests of one account and region.
pub(super) struct Chain<'a> {
    trail: &'a Trail<'a>,
    home: &'a str,
    region: &'a str,
    compressor: Compressor,
    decompressor: Decompressor,
    /// The digest before, and the one before that came late: those are a chain of their own.
    before: [Option<Link>; 2],
    pub(super) done: Written,
}

/// What was written.
#[derive(Default)]
pub(super) struct Written {
    pub(super) digests: u64,
    pub(super) logs: u64,
    /// Lines of `metadata.jsonl`.
    pub(super) metadata: String,
}

/// A digest as the next one speaks of it.
struct Link {
    key: String,
    hash: String,
    signature: String,
}

/// A digest to be written.
struct Sheet<'a> {
    hour: (i64, i64),
    /// When it was made, if that was late.
    late: Option<i64>,
    logs: &'a [(&'a Log, Content)],
}

impl<'a> Chain<'a> {
    pub(super) fn new(trail: &'a Trail<'a>, home: &'a str, region: &'a str) -> Self {
        Self {
            trail,
            home,
            region,
            compressor: Compressor::new(CompressionLvl::default()),
            decompressor: Decompressor::new(),
            before: [None, None],
            done: Written::default(),
        }
    }

    /// Writes all digests. The log files stand in the order of delivery.
    pub(super) fn write(&mut self, logs: &[Log]) -> Result<(), SampleError> {
        let (from, until) = self.trail.span;
        let offset = offset(self.home, self.region);
        for stretch in stretches(from, until, self.trail.signing.off_seconds(), offset) {
            self.before = [None, None];
            for hour in hours(stretch, offset) {
                self.hour(hour, logs)?;
            }
        }
        Ok(())
    }

    /// Writes the digest of an hour, and that of what came late.
    fn hour(&mut self, hour: (i64, i64), logs: &[Log]) -> Result<(), SampleError> {
        let first = logs.partition_point(|log| log.delivered < hour.0);
        let count = logs[first..].partition_point(|log| log.delivered < hour.1);
        let (mut named, mut late) = (Vec::new(), Vec::new());
        let comes_late = hour.1 + LATE;
        for (number, log) in (first..).zip(&logs[first..first + count]) {
            let content = logs::read(&self.trail.root.join(&log.key), &mut self.decompressor)?;
            let every = self.trail.signing.late_every.map_or(usize::MAX, |every| every.get() as usize);
            let is_late = number % every == every - 1 && comes_late <= self.trail.span.1;
            if is_late { late.push((log, content)) } else { named.push((log, content)) }
        }
        self.done.logs += count as u64;
        self.digest(&Sheet { hour, late: None, logs: &named })?;
        if late.is_empty() { Ok(()) } else { self.digest(&Sheet { hour, late: Some(comes_late), logs: &late }) }
    }

    /// Writes a digest, signed and linked to the one before.
    fn digest(&mut self, sheet: &Sheet<'_>) -> Result<(), SampleError> {
        let made = sheet.late.unwrap_or(sheet.hour.1);
        let signer = self.trail.keys.at(self.region, made);
        let key = self.key(sheet);
        let before = &mut self.before[usize::from(sheet.late.is_some())];
        let json = self.trail.json(self.home, &key, signer.fingerprint, sheet, before.as_ref());
        let hash = hex(digest(&SHA256, json.as_bytes()).as_ref());
        let previous = before.as_ref().map_or("null", |link| &link.signature);
        let bucket = &self.trail.signing.bucket;
        let signature = signer.sign(&format!("{}\n{bucket}/{key}\n{hash}\n{previous}", iso(sheet.hour.1)));
        let mut gz = vec![0; self.compressor.gzip_compress_bound(json.len())];
        let length = self.compressor.gzip_compress(json.as_bytes(), &mut gz).expect("the bound holds any input");
        write_file(self.trail.root.join(&key), &gz[..length])?;

        let late = sheet.late.map(|made| format!(r#","backfill-generation-timestamp":"{}""#, iso(made)));
        writeln!(
            self.done.metadata,
            r#"{{"Key":{},"Metadata":{{"signature":"{signature}","signature-algorithm":"SHA256withRSA"{}}}}}"#,
            quoted(&key),
            late.unwrap_or_default(),
        )
        .expect("a string takes any text");
        self.done.digests += 1;
        *before = Some(Link { key, hash, signature });
        Ok(())
    }

    /// `…/CloudTrail-Digest/REGION/YYYY/MM/DD/ACCOUNT_CloudTrail-Digest_REGION_TRAIL_HOME_YYYYMMDDTHHMMSSZ.json.gz`, by the
    /// end of its hour.
    fn key(&self, sheet: &Sheet<'_>) -> String {
        let (home, region, Signing { trail, home_region, .. }) = (self.home, self.region, self.trail.signing);
        let account = account(home);
        let end = iso(sheet.hour.1).replace(['-', ':'], "");
        let mut day = String::with_capacity(10);
        push_date(civil(sheet.hour.1), '/', &mut day);
        let late = if sheet.late.is_some() { "_backfill" } else { "" };
        format!(
            "{home}/CloudTrail-Digest/{region}/{day}/{account}_CloudTrail-Digest_{region}_{trail}_{home_region}_{end}{late}.json.gz"
        )
    }
}

impl Trail<'_> {
    /// The digest's text, its members in the order in which AWS documents them.
    fn json(&self, home: &str, key: &str, fingerprint: &str, sheet: &Sheet<'_>, before: Option<&Link>) -> String {
        let bucket = quoted(&self.signing.bucket);
        let or_null = |text: Option<&str>| text.map_or_else(|| "null".to_owned(), quoted);
        let contents = || sheet.logs.iter().map(|(_, content)| content);
        let newest = contents().filter_map(|content| content.newest.as_deref()).max();
        let oldest = contents().filter_map(|content| content.oldest.as_deref()).min();
        let mut out = format!(
            r#"{{"awsAccountId":"{}","digestStartTime":"{}","digestEndTime":"{}","digestS3Bucket":{bucket},"digestS3Object":{},"digestPublicKeyFingerprint":"{fingerprint}","digestSignatureAlgorithm":"SHA256withRSA","newestEventTime":{},"oldestEventTime":{},"#,
            account(home),
            iso(sheet.hour.0),
            iso(sheet.hour.1),
            quoted(key),
            or_null(newest),
            or_null(oldest),
        );
        let written = match before {
            Some(link) => write!(
                out,
                r#""previousDigestS3Bucket":{bucket},"previousDigestS3Object":{},"previousDigestHashValue":"{}","previousDigestHashAlgorithm":"SHA-256","previousDigestSignature":"{}","#,
                quoted(&link.key),
                link.hash,
                link.signature,
            ),
            // The first of a chain.
            None => out.write_str(
                r#""previousDigestS3Bucket":null,"previousDigestS3Object":null,"previousDigestHashValue":null,"previousDigestHashAlgorithm":null,"previousDigestSignature":null,"#,
            ),
        };
        written.expect("a string takes any text");
        out.push_str(r#""logFiles":["#);
        for (number, (log, content)) in sheet.logs.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            write!(
                out,
                r#"{comma}{{"s3Bucket":{bucket},"s3Object":{},"hashValue":"{}","hashAlgorithm":"SHA-256","newestEventTime":{},"oldestEventTime":{}}}"#,
                quoted(&log.key),
                content.hash,
                or_null(content.newest.as_deref()),
                or_null(content.oldest.as_deref()),
            )
            .expect("a string takes any text");
        }
        out.push_str("]}");
        out
    }
}

/// The account of its folder.
fn account(home: &str) -> &str {
    home.rsplit('/').next().unwrap_or(home)
}

/// When within the hour the digests of an account and region end: each has its own second (by FNV-1a of its name).
fn offset(home: &str, region: &str) -> i64 {
    let hash = home
        .bytes()
        .chain(region.bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    (hash % HOUR as u64) as i64
}

/// The stretches of time with a chain each. Validation that is turned off ends a chain with the hour that runs.
fn stretches(from: i64, until: i64, off: Option<(i64, i64)>, offset: i64) -> Vec<(i64, i64)> {
    let Some((off, on)) = off else { return vec![(from, until)] };
    let last = (off - 1 - offset).div_euclid(HOUR) * HOUR + offset + HOUR;
    vec![(from, last.min(on)), (on, until)]
}

/// The hours of a stretch: the first begins with it, and the others at the chain's own second. One that is not over has no digest.
fn hours((from, until): (i64, i64), offset: i64) -> impl Iterator<Item = (i64, i64)> {
    let mut start = from;
    std::iter::from_fn(move || {
        let next = (start - offset).div_euclid(HOUR) * HOUR + offset + HOUR;
        let hour = (start, next);
        start = next;
        (next <= until).then_some(hour)
    })
}

pub(super) fn write_file(path: PathBuf, bytes: &[u8]) -> Result<(), SampleError> {
    let written = fs::write(&path, bytes).or_else(|error: io::Error| {
        // The folder is missing once a day: cheaper than asking before each file.
        fs::create_dir_all(path.parent().ok_or(error)?)?;
        fs::write(&path, bytes)
    });
    written.map_err(|source| SampleError::Write { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_follow_each_other_and_the_running_one_has_no_digest() {
        let hours: Vec<_> = hours((1000, 12_000), 100).collect();
        assert_eq!(hours, [(1000, 3700), (3700, 7300), (7300, 10_900)]);
    }

    #[test]
    fn a_chain_ends_with_the_hour_in_which_validation_goes_off() {
        assert_eq!(stretches(0, 90_000, None, 100), [(0, 90_000)]);
        assert_eq!(stretches(0, 90_000, Some((5000, 20_000)), 100), [(0, 7300), (20_000, 90_000)]);
        assert_eq!(stretches(0, 90_000, Some((5000, 6000)), 100), [(0, 6000), (6000, 90_000)]);
    }
}

//! Signed digest files for the log files of a folder, as CloudTrail writes them into the bucket of a trail with log file
//! validation: one an hour for each account and region, also when nothing happened, each linked to the one before.
//!
//! Source: "CloudTrail digest file structure", AWS CloudTrail User Guide.
//!
//! What stands beside `AWSLogs` afterwards:
//!
//! - `metadata.jsonl`: the metadata of the digests' objects, which a folder cannot keep, one line an object:
//!   `{"Key":"AWSLogs/…_20260131T101530Z.json.gz","Metadata":{"signature":"9f2c…","signature-algorithm":"SHA256withRSA"}}`.
//!   That is what `aws s3api head-object` shows as `Metadata`, with the key beside it: who uploads the folder gives each
//!   object these (`x-amz-meta-signature`, …). A backfilled digest has `backfill-generation-timestamp` as well.
//! - `public-keys.json`: `{"PublicKeyList":[{"Region":…,"Value":…,"ValidityStartTime":…,"ValidityEndTime":…,"Fingerprint":…},…]}`,
//!   as `aws cloudtrail list-public-keys` prints them, with the region that knows the key beside.

mod chain;
mod keys;
mod logs;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use jiff::Timestamp;

use self::chain::{Chain, Trail, Written};
use self::keys::Keys;
use self::logs::Log;
use crate::calendar::DAY;
use crate::plan::SampleError;

/// The file with the metadata of the digests' objects.
const METADATA: &str = "metadata.jsonl";
/// The file with the public keys.
const PUBLIC_KEYS: &str = "public-keys.json";

/// How the digests of a trail are written. [`Signing::organisation`] gives those of the sample's own trail.
#[derive(Clone, Debug)]
pub struct Signing {
    /// The bucket the trail writes to.
    pub bucket: String,
    /// The trail's name.
    pub trail: String,
    /// The trail's home region.
    pub home_region: String,
    /// When validation was turned on; `None` means at the start of the hour before the first log file.
    pub from: Option<Timestamp>,
    /// No digest is written after this.
    pub until: Timestamp,
    /// A time in which validation, or the whole trail, is off: it ends the chains, and new ones begin behind it. The
    /// log files of that time stay where they are, named by no digest.
    pub off: Option<Range<Timestamp>>,
    /// Every so many-th log file of a chain comes late: a backfilled digest, six hours later, names it.
    pub late_every: Option<NonZero<u32>>,
    /// Regions with digests in every account although nothing was delivered there, beside those with log files.
    pub quiet_regions: Vec<String>,
    /// How many threads to use; `None` means as many as the machine offers. The output does not depend on it.
    pub threads: Option<NonZero<usize>>,
}

/// What was signed.
#[derive(Clone, Debug)]
pub struct Signed {
    /// Digest files.
    pub digests: u64,
    /// Accounts × regions with digests.
    pub chains: u64,
    /// Log files that a digest names.
    pub logs: u64,
    /// `metadata.jsonl`.
    pub metadata: PathBuf,
    /// `public-keys.json`.
    pub public_keys: PathBuf,
}

impl Signing {
    /// The organisation's own trail, with digests in the regions that have log files.
    #[must_use]
    pub fn organisation(until: Timestamp) -> Self {
        Self {
            bucket: format!("{}-org-trail", crate::organisation::NAME),
            trail: "org-trail".to_owned(),
            home_region: crate::organisation::REGIONS[crate::organisation::GLOBAL].to_owned(),
            from: None,
            until,
            off: None,
            late_every: None,
            quiet_regions: Vec::new(),
            threads: None,
        }
    }

    /// Writes digests for the log files below a folder that holds `[prefix/]AWSLogs/…`.
    ///
    /// # Errors
    ///
    /// Files that cannot be read, inflated or written.
    pub fn sign(&self, root: &Path) -> Result<Signed, SampleError> {
        let mut found = logs::find(root)?;
        let homes: BTreeSet<String> = found.keys().map(|(home, _)| home.clone()).collect();
        for home in &homes {
            for region in &self.quiet_regions {
                found.entry((home.clone(), region.clone())).or_default();
            }
        }
        let until = self.until.as_second();
        let first = found.values().filter_map(|logs| logs.first()).map(|log| log.delivered).min();
        let before_first = first.unwrap_or(until - DAY).div_euclid(3600) * 3600 - 3600;
        let from = self.from.map_or(before_first, Timestamp::as_second);
        let keys = Keys::new(from, until);
        let trail = Trail { root, signing: self, keys: &keys, span: (from, until) };

        let signed = Signed {
            digests: 0,
            chains: found.len() as u64,
            logs: 0,
            metadata: root.join(METADATA),
            public_keys: root.join(PUBLIC_KEYS),
        };
        let regions: BTreeSet<&str> = found.keys().map(|(_, region)| region.as_str()).collect();
        chain::write_file(signed.public_keys.clone(), keys.list(regions.into_iter()).as_bytes())?;
        let chains: Vec<_> = found.iter().collect();
        let written = self.chains(&trail, &chains)?;
        let mut metadata = String::new();
        let signed = written.into_values().fold(signed, |mut signed, chain| {
            signed.digests += chain.digests;
            signed.logs += chain.logs;
            metadata.push_str(&chain.metadata);
            signed
        });
        chain::write_file(signed.metadata.clone(), metadata.as_bytes())?;
        Ok(signed)
    }

    /// Writes the chains in parallel; what came of each, by its number.
    fn chains(
        &self,
        trail: &Trail<'_>,
        chains: &[(&(String, String), &Vec<Log>)],
    ) -> Result<BTreeMap<usize, Written>, SampleError> {
        let threads = self.threads.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZero::get);
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (sender, receiver) = mpsc::sync_channel(threads);
        thread::scope(|scope| {
            for _ in 0..threads.min(chains.len()) {
                let sender = sender.clone();
                scope.spawn(|| {
                    let sender = sender;
                    while !failed.load(Ordering::Relaxed) {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let Some(((home, region), logs)) = chains.get(number) else { break };
                        let mut chain = Chain::new(trail, home, region);
                        let done = chain.write(logs).map(|()| (number, chain.done));
                        failed.fetch_or(done.is_err(), Ordering::Relaxed);
                        if sender.send(done).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            receiver.into_iter().collect()
        })
    }

    fn off_seconds(&self) -> Option<(i64, i64)> {
        self.off.as_ref().map(|off| (off.start.as_second(), off.end.as_second()))
    }
}

/// Lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

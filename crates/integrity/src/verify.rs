//! A run over all accounts and regions of a bucket, or of a copy of one.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use event::{Day, Timestamp};

use crate::digest::Digest;
use crate::evidence::{Evidence, Journal, Level, Trouble};
use crate::inflate::Inflater;
use crate::judge::Judge;
use crate::keys::KeyRing;
use crate::lane::Sweep;
use crate::layout::{DigestName, Lane, Place, ROOT, delivered, delivered_on, is_account, is_organization, split_root};
use crate::pool::Pool;
use crate::report::{Counts, HOUR};

/// Why a verification could not be made. What is wrong with the logs is no error: it is what is reported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// What was found cannot be written down.
    #[error("the progress cannot be kept: {0}")]
    Journal(#[source] io::Error),
    /// Our own counts contradict each other.
    #[error("the counts of {lane} do not add up: {imbalance}")]
    Imbalance {
        /// The account and the region.
        lane: String,
        /// What does not add up.
        imbalance: String,
    },
}

/// What is read at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of a log file, in bytes as stored.
    pub stored: u64,
    /// Of a log file, in bytes as inflated.
    pub inflated: u64,
    /// Of a digest, in bytes as stored.
    pub stored_digest: u64,
    /// Of a digest, in bytes as inflated: it is held in memory.
    pub inflated_digest: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { stored: 1 << 30, inflated: 4 << 30, stored_digest: 64 << 20, inflated_digest: 128 << 20 }
    }
}

/// One object that is to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Only {
    /// A digest and the log files it names, by its key as CloudTrail wrote it.
    Digest(String),
    /// A log file and the digest that names it, by its key as CloudTrail wrote it.
    Log(String),
}

impl Only {
    /// Its key.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Only::Digest(key) | Only::Log(key) => key,
        }
    }
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// From when on, if not from the beginning.
    pub from: Option<Timestamp>,
    /// Until when: what is newer is not looked at, and no digest is expected of it.
    pub until: Timestamp,
    /// Whether nothing lies behind that: what claims to is told.
    pub is_open_ended: bool,
    /// One object alone.
    pub only: Option<Only>,
}

impl Scope {
    /// Whether a digest may name files of this time. The next one may, too: files are delivered around its start. The one
    /// after that has the signature of the last of them.
    pub(crate) fn wants_digest(&self, name: &DigestName) -> bool {
        self.from.is_none_or(|from| name.end > from) && name.end.micros() - 3 * HOUR < self.until.micros()
    }

    /// Whether a digest is read only for what it says of the one before it.
    pub(crate) fn is_witness(&self, name: &DigestName) -> bool {
        name.end.micros() - 2 * HOUR >= self.until.micros()
    }

    pub(crate) fn wants_log(&self, original: &str, at: Timestamp) -> bool {
        let is_wanted = match &self.only {
            None => true,
            Some(Only::Log(key)) => key == original,
            Some(Only::Digest(_)) => false,
        };
        is_wanted && self.from.is_none_or(|from| at >= from) && at < self.until
    }

    pub(crate) fn wants_logs_of(&self, digest: &str) -> bool {
        !matches!(&self.only, Some(Only::Digest(key)) if key != digest)
    }

    /// The scope of one object: the digests around it.
    #[must_use]
    pub fn around(self, only: Only, lane: &Lane, place: &Place) -> Scope {
        let shifted = |time: Timestamp, hours: i64| Timestamp::from_micros(time.micros() + hours * HOUR);
        let here = place.here(only.key());
        let (from, until) = match &only {
            Only::Digest(_) => {
                let end = here.and_then(|here| lane.digest_name(&here)).map(|name| name.end);
                (end.and_then(|end| shifted(end, -1)), end)
            }
            Only::Log(key) => {
                let at = delivered(key);
                (at, at.and_then(|at| shifted(at, 1)))
            }
        };
        let until = until.map_or(self.until, |until| until.min(self.until));
        Scope { from, until, is_open_ended: false, only: Some(only) }
    }
}

/// How far a run came; for whoever shows it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Lanes that were looked at.
    pub lanes: AtomicU64,
    /// Digests that were read.
    pub digests: AtomicU64,
    /// Log files that were read.
    pub logs: AtomicU64,
    /// Log files that were listed.
    pub listed: AtomicU64,
    /// Bytes that were read, as stored.
    pub stored: AtomicU64,
    /// Bytes that were hashed.
    pub inflated: AtomicU64,
}

impl Progress {
    pub(crate) fn count_digest(&self, size: u64) {
        self.digests.fetch_add(1, Ordering::Relaxed);
        self.stored.fetch_add(size, Ordering::Relaxed);
    }

    pub(crate) fn count_log(&self, size: u64) {
        self.logs.fetch_add(1, Ordering::Relaxed);
        self.stored.fetch_add(size, Ordering::Relaxed);
    }

    pub(crate) fn count_inflated(&self, size: u64) {
        self.inflated.fetch_add(size, Ordering::Relaxed);
    }

    pub(crate) fn count_listed(&self, number: u64) {
        self.listed.fetch_add(number, Ordering::Relaxed);
    }
}

/// What there is to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discovery {
    /// Accounts in regions, in order.
    pub lanes: Vec<Lane>,
    /// Objects that lie above the folders of regions, where CloudTrail writes none.
    pub foreign: Vec<String>,
    /// Folders that could not be listed, and why.
    pub unlisted: Vec<(String, Trouble)>,
}

/// Whether an object that stands beside the folders of accounts or services may be a log by its name. Other services write
/// there, too.
fn may_be_log(key: &str) -> bool {
    [".gz", ".json", ".jsonl"].iter().any(|end| key.ends_with(end))
}

/// Finds the accounts and regions below a prefix, which is empty or ends with `/`. None of those that are wanted means all.
#[must_use]
pub fn discover(
    evidence: &dyn Evidence,
    prefix: &str,
    accounts: &BTreeSet<String>,
    regions: &BTreeSet<String>,
) -> Discovery {
    let mut lanes = BTreeSet::new();
    let mut unlisted = Vec::new();
    let mut foreign = Vec::new();
    let mut folders = |prefix: &str, is_foreign: fn(&str) -> bool| match evidence.level(prefix) {
        Ok(Level { folders, objects }) => {
            // What only marks a folder is no object.
            foreign.extend(objects.into_iter().filter(|key| !key.ends_with('/') && is_foreign(key)));
            folders
        }
        Err(trouble) => {
            unlisted.push((prefix.to_owned(), trouble));
            Vec::new()
        }
    };
    let root = format!("{prefix}{ROOT}");
    let wants = |wanted: &BTreeSet<String>, name: &str| wanted.is_empty() || wanted.contains(name);
    let mut above = Vec::new();
    // Whoever asks about some accounts is told nothing of what is no account's.
    let above_accounts = if accounts.is_empty() { may_be_log } else { |_: &str| false };
    for name in folders(&root, above_accounts) {
        if is_account(&name) {
            above.push((root.clone(), name));
        } else if is_organization(&name) {
            let organization = format!("{root}{name}/");
            let members = folders(&organization, above_accounts).into_iter().filter(|name| is_account(name));
            above.extend(members.map(|account| (organization.clone(), account)));
        }
    }
    for (above, account) in above.into_iter().filter(|(_, account)| wants(accounts, account)) {
        folders(&format!("{above}{account}/"), may_be_log);
        for kind in ["CloudTrail-Digest", "CloudTrail"] {
            for region in folders(&format!("{above}{account}/{kind}/"), |_| true) {
                if wants(regions, &region) {
                    lanes.insert(Lane { above: above.clone(), account: account.clone(), region });
                }
            }
        }
    }
    Discovery { lanes: lanes.into_iter().collect(), foreign, unlisted }
}

/// The newest digest of a lane, and the time of the newest of its files.
#[must_use]
pub fn newest(evidence: &dyn Evidence, lane: &Lane) -> (Option<String>, Option<Timestamp>) {
    let mut digest: Option<(Timestamp, String)> = None;
    if let Some((folder, _)) = newest_day(evidence, &lane.digests()) {
        // What cannot be listed is told when it is looked at.
        let _ = evidence.list(&folder, &mut |listed| {
            let end = lane.digest_name(&listed.key).map(|name| name.end);
            if let Some(end) = end.filter(|end| digest.as_ref().is_none_or(|(newest, _)| end > newest)) {
                digest = Some((end, listed.key));
            }
        });
    }
    let mut time = digest.as_ref().map(|(end, _)| *end);
    if let Some((folder, day)) = newest_day(evidence, &lane.logs()) {
        let _ = evidence.list(&folder, &mut |listed| time = time.max(delivered_on(&listed.key, day)));
    }
    (digest.map(|(_, key)| key), time)
}

/// The folder of the newest day below a folder of years.
fn newest_day(evidence: &dyn Evidence, root: &str) -> Option<(String, Day)> {
    let mut folder = root.to_owned();
    let mut date = Vec::new();
    for digits in [4, 2, 2] {
        let names = evidence.level(&folder).ok()?.folders;
        let is_number = |name: &&String| name.len() == digits && name.bytes().all(|byte| byte.is_ascii_digit());
        let name = names.iter().rfind(is_number)?;
        folder = format!("{folder}{name}/");
        date.push(name.clone());
    }
    Some((folder, Day::parse(&date.join("-"))?))
}

/// Says where the files of a copy lay when they were written: what most of these digests say. None of them is judged.
#[must_use]
pub fn infer_place(evidence: &dyn Evidence, digests: &[String], limits: Limits) -> Option<Place> {
    let mut inflater = Inflater::default();
    let mut said: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    for key in digests {
        let Ok(mut object) = evidence.read(key, limits.stored_digest) else { continue };
        let mut text = Vec::new();
        let read = inflater.member(&mut *object.content, limits.inflated_digest, &mut |piece| {
            text.extend_from_slice(piece);
        });
        let Some(digest) = read.ok().and_then(|_| Digest::parse(&text).ok()) else { continue };
        let (Some((here, rest)), Some((prefix, original))) = (split_root(key), split_root(&digest.key)) else {
            continue;
        };
        if rest == original {
            *said.entry((digest.bucket, prefix.to_owned(), here.to_owned())).or_default() += 1;
        }
    }
    let most = said.into_iter().max_by_key(|(_, number)| *number);
    most.map(|((bucket, prefix, here), _)| Place { bucket, prefix, here })
}

/// What is needed for a run.
pub struct Plan<'p> {
    /// Where the objects lie.
    pub evidence: &'p dyn Evidence,
    /// CloudTrail's keys.
    pub keys: &'p KeyRing<'p>,
    /// Where what is found is written down.
    pub journal: &'p dyn Journal,
    /// The accounts in regions, each with where its files lay.
    pub lanes: &'p [(Lane, Place)],
    /// What is looked at of them.
    pub scope: &'p Scope,
    /// What is read at most.
    pub limits: Limits,
    /// How many threads read, inflate and hash.
    pub threads: usize,
    /// How many lanes are looked at at once.
    pub lanes_at_once: usize,
    /// How far it came.
    pub progress: &'p Progress,
    /// Whether to stop, keeping what was done.
    pub is_stopped: &'p (dyn Fn() -> bool + Sync),
}

/// What a run came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// All that was counted.
    pub totals: Counts,
    /// Whether it came to its end.
    pub is_complete: bool,
}

/// Looks at all lanes. What it finds is in the journal, lane by lane.
///
/// # Errors
/// [`VerifyError`].
pub fn run(plan: &Plan<'_>) -> Result<Outcome, VerifyError> {
    let next = AtomicU64::new(0);
    let outcome = Mutex::new(Ok(Outcome { totals: Counts::default(), is_complete: true }));
    let lock = || outcome.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::scope(|scope| {
        let pool = Pool::start(scope, plan.threads);
        for _ in 0..plan.lanes_at_once.clamp(1, plan.lanes.len().max(1)) {
            let (pool, next, lock) = (pool.clone(), &next, &lock);
            scope.spawn(move || {
                while let Some((lane, place)) = plan.lanes.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    let looked = sweep(plan, lane, place, pool.clone()).run();
                    plan.progress.lanes.fetch_add(1, Ordering::Relaxed);
                    let mut outcome = lock();
                    match (&mut *outcome, looked) {
                        (Ok(outcome), Ok(Some(totals))) => outcome.totals += totals,
                        (Ok(outcome), Ok(None)) => outcome.is_complete = false,
                        (Ok(_), Err(error)) => *outcome = Err(error),
                        (Err(_), _) => {}
                    }
                    if outcome.as_ref().map_or(true, |outcome| !outcome.is_complete) {
                        return;
                    }
                }
            });
        }
    });
    outcome.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn sweep<'p>(plan: &'p Plan<'p>, lane: &Lane, place: &'p Place, pool: Pool<'p>) -> Sweep<'p> {
    let Plan { evidence, keys, limits, progress, scope, journal, is_stopped, .. } = *plan;
    let only = match &scope.only {
        Some(Only::Log(key)) => Some(key.as_str()),
        _ => None,
    };
    let judge = Judge { evidence, keys, place, limits, progress, only };
    Sweep { lane: lane.clone(), judge, scope, journal, pool, is_stopped }
}

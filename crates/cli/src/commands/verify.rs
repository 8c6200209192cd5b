//! `trailhound verify`: are these the logs that CloudTrail wrote, all of them, unchanged?

mod keys;
mod page;
mod rows;
mod told;
mod why;

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context;
use aws::{Account, Aws, PublicKeys, TrailBucket};
use event::Timestamp;
use integrity::evidence::{Evidence, Trouble};
use integrity::keys::{KeyRing, KeySource};
use integrity::layout::{Lane, Place, split_root};
use integrity::report::{Counts, Kind, Status};
use integrity::verify::{Limits, Only, Outcome, Plan, Progress, Scope, discover, infer_place, newest, run as verify};
use local::SystemClock;
use local::evidence::BucketCopy;
use local::journal::FolderJournal;
use pipeline::store::Clock;

use crate::args::{VerifyArgs, VerifyCommand, VerifyRunArgs};
use crate::commands::ingest::stop_on_interrupt_saying;
use crate::exit::{Exit, usage};
use crate::progress::Verifying;
use crate::proving::{key_file, validation_began};
use crate::session::Session;
use crate::times::Between;

pub(crate) use self::rows::Writer;
use self::told::Told;
pub(crate) use self::told::{Each, LaneTold, Question};

/// How many threads wait for S3; they hold some hundred kilobytes each.
const WAITING: usize = 32;
/// How many accounts in regions are looked at at once.
const LANES: usize = 8;
/// How many lanes' newest digests say where a copy comes from.
const SAMPLED: usize = 16;
const MINUTE: i64 = 60_000_000;

pub(crate) fn run(session: &mut Session, arguments: &VerifyArgs) -> anyhow::Result<Exit> {
    match &arguments.command {
        Some(VerifyCommand::Keys(arguments)) => keys::run(session, &arguments.command),
        None => look(session, &arguments.run),
    }
}

/// What is looked at: a bucket, or a copy of one.
pub(crate) enum Source {
    Bucket(Box<Remote>),
    Copy(BucketCopy),
}

/// A bucket, or a part of it.
pub(crate) struct Remote {
    bucket: TrailBucket,
    account: Account,
    prefix: String,
    below: String,
}

impl Source {
    fn open(session: &Session, arguments: &VerifyRunArgs) -> anyhow::Result<Source> {
        let path = arguments.path.as_deref().unwrap_or_default();
        let Some(address) = path.strip_prefix("s3://") else {
            let spool = session.verify_folder()?;
            let copy = BucketCopy::open(Path::new(path), &spool).with_context(|| format!("failed to read {path}"))?;
            return Ok(Source::Copy(copy));
        };
        let (name, prefix) = address.split_once('/').unwrap_or((address, ""));
        let prefix = if prefix.is_empty() || prefix.ends_with('/') { prefix.to_owned() } else { format!("{prefix}/") };
        let (prefix, below) = match split_root(&prefix) {
            Some((prefix, below)) => (prefix.to_owned(), below.to_owned()),
            None => (prefix, String::new()),
        };
        let account = Aws::open(&session.access(), None)?.unnamed();
        let region = arguments.bucket_region.clone().unwrap_or_else(|| TrailBucket::region_of(&account));
        let bucket = TrailBucket::new(&account, name, &region)?;
        Ok(Source::Bucket(Box::new(Remote { bucket, account, prefix, below })))
    }

    pub(crate) fn evidence(&self) -> &dyn Evidence {
        match self {
            Source::Bucket(remote) => &remote.bucket,
            Source::Copy(copy) => copy,
        }
    }

    /// What stands before each `AWSLogs/`.
    fn prefixes(&self) -> Vec<String> {
        match self {
            Source::Bucket(remote) => vec![remote.prefix.clone()],
            Source::Copy(copy) => copy.prefixes(),
        }
    }

    /// Only what lies below this is meant, behind the prefix.
    fn below(&self) -> &str {
        match self {
            Source::Bucket(remote) => &remote.below,
            Source::Copy(copy) => copy.below(),
        }
    }

    /// Where the keys come from, if not from a file.
    fn keys(&self, session: &Session) -> anyhow::Result<Box<dyn KeySource>> {
        let account = match self {
            Source::Bucket(remote) => remote.account.clone(),
            Source::Copy(_) => Aws::open(&session.access(), None)?.unnamed(),
        };
        Ok(Box::new(PublicKeys::new(account)))
    }
}

/// What there is, and where it comes from.
struct Ground {
    lanes: Vec<(Lane, Place)>,
    unlisted: Vec<(String, Trouble)>,
    /// Objects where CloudTrail writes none, above the folders of regions.
    foreign: Vec<String>,
    /// The newest of the files of a copy.
    newest: Option<Timestamp>,
}

fn survey(source: &Source, arguments: &VerifyRunArgs) -> anyhow::Result<Ground> {
    let evidence = source.evidence();
    let set = |names: &[String]| names.iter().cloned().collect::<BTreeSet<String>>();
    let (accounts, regions) = (set(&arguments.accounts), set(&arguments.regions));
    let mut ground = Ground { lanes: Vec::new(), unlisted: Vec::new(), foreign: Vec::new(), newest: None };
    for prefix in source.prefixes() {
        let mut found = discover(evidence, &prefix, &accounts, &regions);
        let below = format!("{prefix}{}", source.below());
        found.lanes.retain(|lane| lane.is_below(&below));
        ground.unlisted.append(&mut found.unlisted);
        found.foreign.retain(|key| key.starts_with(&below));
        let place = match source {
            Source::Bucket(remote) => Place {
                bucket: arguments.bucket_name.clone().unwrap_or_else(|| bucket_name(&remote.bucket).to_owned()),
                prefix: arguments.prefix.as_deref().map_or_else(|| prefix.clone(), slashed),
                here: prefix.clone(),
            },
            Source::Copy(_) => {
                let mut digests = Vec::new();
                for (number, lane) in found.lanes.iter().enumerate() {
                    let (digest, time) = newest(evidence, lane);
                    ground.newest = ground.newest.max(time);
                    digests.extend(digest.filter(|_| number < SAMPLED || digests.is_empty()));
                }
                let said = infer_place(evidence, &digests, Limits::default());
                let said =
                    said.unwrap_or(Place { bucket: String::new(), prefix: prefix.clone(), here: prefix.clone() });
                Place {
                    bucket: arguments.bucket_name.clone().unwrap_or(said.bucket),
                    prefix: arguments.prefix.as_deref().map_or(said.prefix, slashed),
                    here: prefix.clone(),
                }
            }
        };
        ground.foreign.extend(found.foreign.iter().map(|key| place.original(key)));
        ground.lanes.extend(found.lanes.into_iter().map(|lane| (lane, place.clone())));
    }
    Ok(ground)
}

fn bucket_name(bucket: &TrailBucket) -> &str {
    pipeline::trail::Bucket::name(bucket)
}

/// A prefix as keys have it.
fn slashed(prefix: &str) -> String {
    let prefix = prefix.trim_matches('/');
    if prefix.is_empty() { String::new() } else { format!("{prefix}/") }
}

/// What was looked at, and what was found out.
pub(crate) struct Looked {
    pub(crate) source: Source,
    pub(crate) question: Question,
    pub(crate) totals: Counts,
    /// The keys that digests were judged with.
    pub(crate) keys: KeyRing<'static>,
    journal: FolderJournal,
}

impl Looked {
    /// What was found out about an account in a region.
    pub(crate) fn lane(&self, lane: &Lane, each: Each<'_>) -> std::io::Result<LaneTold> {
        told::lane(&self.journal, &self.question, lane, each)
    }

    /// Forgets how far it came: all of it was told.
    pub(crate) fn close(self) -> anyhow::Result<()> {
        self.journal.close().context("failed to remove the progress")
    }
}

fn look(session: &mut Session, arguments: &VerifyRunArgs) -> anyhow::Result<Exit> {
    let Some(looked) = examine(session, arguments)? else { return Ok(Exit::Interrupted) };
    let Looked { question, totals, journal, .. } = &looked;
    let why = why::Events::of(session, question)?;
    let told = Told { question, journal, totals: *totals, why: &why, covered: Default::default() };
    if let Some(file) = &arguments.report {
        page::write(file, &told).with_context(|| format!("failed to write {}", file.display()))?;
    }
    rows::write(session, arguments.format, &told)?;
    session.out.flush()?;
    let exit = exit(totals);
    looked.close()?;
    Ok(exit)
}

/// Looks at a trail; `None` where it was interrupted. What it finds is kept until it is closed.
pub(crate) fn examine(session: &mut Session, arguments: &VerifyRunArgs) -> anyhow::Result<Option<Looked>> {
    session.profile.clone_from(&arguments.profile);
    let between = Between::of(&arguments.window, session.now)?;
    let stop = stop_on_interrupt_saying(Some(
        "stopping: what was done is kept for the same command (ctrl-C again to end at once)",
    ))?;
    let source = Source::open(session, arguments)?;
    let mut ground = survey(&source, arguments)?;
    let path = arguments.path.clone().unwrap_or_default();
    if ground.lanes.is_empty() && ground.unlisted.is_empty() {
        return Err(usage(format!(
            "{path}: there are no log files of CloudTrail (no AWSLogs/ACCOUNT/CloudTrail/REGION)"
        )));
    }
    // A copy says nothing of what came after it was made.
    let end = match (&source, ground.newest) {
        (Source::Copy(_), Some(newest)) => Timestamp::from_micros(newest.micros() + MINUTE).unwrap_or(newest),
        _ => session.now,
    };
    let mut scope = Scope {
        from: between.from,
        until: between.to.map_or(end, |to| to.min(end)),
        is_open_ended: between.to.is_none(),
        only: None,
    };
    if let Some(key) = &arguments.only {
        let (lane, place, key) = find(&mut ground, key)?;
        let name = place.here(&key).and_then(|here| lane.digest_name(&here));
        let only = if name.is_some() { Only::Digest(key) } else { Only::Log(key) };
        scope = scope.around(only, &lane, &place);
    }
    if let Some(key) = &arguments.from_digest {
        let (lane, place, key) = find(&mut ground, key)?;
        let name = place.here(&key).and_then(|here| lane.digest_name(&here));
        let name = name.ok_or_else(|| usage(format!("--from-digest {key}: that is no key of a digest")))?;
        scope.from = Timestamp::from_micros(name.end.micros() - 60 * MINUTE);
    }
    let file = arguments.keys.as_deref().map(|path| key_file("--keys", path)).transpose()?;
    let file = file.map(|keys| Box::new(keys) as Box<dyn KeySource>);
    let key_source = file.map_or_else(|| source.keys(session), Ok)?;
    // A digest is signed within two hours.
    let oldest = scope.from.unwrap_or_else(validation_began);
    let newest = Timestamp::from_micros(scope.until.micros() + integrity::DUE).unwrap_or(Timestamp::MAX);
    let ring = KeyRing::new(key_source, oldest, newest);

    let question = question(arguments, &ground, &scope);
    // By the clock, whatever --now says: a run goes on or does not.
    let journal = FolderJournal::open(&session.home, &question, SystemClock.now(), arguments.fresh)
        .context("failed to open the folder for the progress")?;
    if let Some(started) = journal.resumed().filter(|_| !session.global.quiet) {
        crate::note(&format!("going on with the run of {}; --fresh begins anew", started.whole_second()));
    }
    let progress = Arc::new(Progress::default());
    let wants_bar = !session.global.quiet && std::io::stderr().is_terminal();
    let bar = Verifying::start(&progress, ground.lanes.len() as u64, wants_bar);
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let (threads, lanes_at_once) = match &source {
        Source::Bucket(_) => (WAITING, LANES),
        Source::Copy(_) => (processors, processors + 1),
    };
    let outcome = verify(&Plan {
        evidence: source.evidence(),
        keys: &ring,
        journal: &journal,
        lanes: &ground.lanes,
        scope: &scope,
        limits: Limits::default(),
        threads: arguments.threads.map_or(threads, usize::from),
        lanes_at_once,
        progress: &progress,
        is_stopped: &|| stop.load(Ordering::Relaxed),
    });
    bar.finish();
    let Outcome { mut totals, is_complete } = outcome?;
    if !is_complete {
        return Ok(None);
    }
    let mut unread = unread(&source, &ground);
    totals.unlisted += unread.len() as u64;
    // Whoever asks about one object is told nothing of others.
    if scope.only.is_none() {
        totals.foreign += ground.foreign.len() as u64;
        let why = "it lies where CloudTrail writes nothing, and would be read with the logs";
        unread.extend(ground.foreign.iter().map(|key| (key.clone(), why.to_owned())));
    }
    let question = Question { path, scope, lanes: ground.lanes, unread };
    Ok(Some(Looked { source, question, totals, keys: ring, journal }))
}

/// What a run is told from others by.
fn question(arguments: &VerifyRunArgs, ground: &Ground, scope: &Scope) -> String {
    let VerifyRunArgs { path, window, accounts, regions, keys, from_digest, only, .. } = arguments;
    let path = path.as_deref().unwrap_or_default();
    let path = std::path::absolute(path).map_or(path.to_owned(), |path| path.display().to_string());
    let places: BTreeSet<String> = ground.lanes.iter().map(|(_, place)| format!("{place:?}")).collect();
    // As the times were given: those that count from now would be others a moment later.
    let scope = window.to.as_ref().map(|_| scope.until.to_string());
    format!("{path:?} {window:?} {scope:?} {accounts:?} {regions:?} {keys:?} {from_digest:?} {only:?} {places:?}")
}

/// The lane that a key lies in; all others are left out.
fn find(ground: &mut Ground, key: &str) -> anyhow::Result<(Lane, Place, String)> {
    let key = match key.strip_prefix("s3://") {
        Some(address) => address.split_once('/').map_or(address, |(_, key)| key),
        None => key,
    };
    let found = ground.lanes.iter().find_map(|(lane, place)| {
        // As it is called here, or as CloudTrail called it.
        let original = if Lane::of_key(key).as_ref() == Some(lane) { place.original(key) } else { key.to_owned() };
        let here = place.here(&original)?;
        (Lane::of_key(&here).as_ref() == Some(lane)).then(|| (lane.clone(), place.clone(), original))
    });
    let found = found.ok_or_else(|| usage(format!("{key}: no account and region of that key was found")))?;
    ground.lanes.retain(|(lane, _)| *lane == found.0);
    Ok(found)
}

/// What could not even be listed, or read out of an archive.
fn unread(source: &Source, ground: &Ground) -> Vec<(String, String)> {
    let mut unread: Vec<(String, String)> = ground
        .unlisted
        .iter()
        .map(|(folder, trouble)| (folder.clone(), format!("cannot be listed: {trouble}")))
        .collect();
    if let Source::Copy(copy) = source {
        unread.extend(copy.unreadable().iter().cloned());
    }
    unread
}

/// How a run ended, the most pressing first.
fn exit(totals: &Counts) -> Exit {
    match totals.worst() {
        Some(worst) if worst.is_wrong() => Exit::Found,
        Some(Status::Unsigned | Status::Unjudged) => Exit::Rejected,
        _ => Exit::Done,
    }
}

/// What a finding is about, as people read it.
fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::Digest => "digest file",
        Kind::Log => "log file",
        Kind::Gap => "digest files",
        Kind::Foreign => "other object",
        Kind::Folder => "folder",
    }
}

/// A status, as people read it.
fn words(status: Status) -> &'static str {
    match status {
        Status::NotDue => "not yet due",
        Status::Unjudged => "not judged",
        other => other.as_str(),
    }
}

/// Reads a time for the keys' window.
fn window(session: &Session, window: &crate::args::Window) -> anyhow::Result<(Timestamp, Timestamp)> {
    let between = Between::of(window, session.now)?;
    Ok((between.from.unwrap_or_else(validation_began), between.to.unwrap_or(session.now)))
}

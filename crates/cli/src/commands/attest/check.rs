//! `trailhound attest check`: is this evidence what it says it is? Offline, and with nothing but the bundle and, where
//! there are some, CloudTrail's keys.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, bail};
use event::Timestamp;
use integrity::digest::Digest;
use integrity::hash::{Hashing, Sha256, hex};
use integrity::keys::{KeySource, PublicKey};
use integrity::pem;
use integrity::report::{HOUR, Kind, Status, hour_of};
use integrity::signature::{is_signed, string_to_sign};
use integrity::statement::{Line, Verdict};
use pipeline::escape;
use serde_json::Value;
use zip::ZipArchive;
use zip::read::ZipFile;
use zip::result::ZipError;

use super::bundle::{DIGESTS, FINDINGS, LOGS, MANIFEST, STATEMENT, SUMMARY, hexadecimal, one_line};
use super::cover::{Cover, lane_of, lies_at};
use crate::args::AttestCheckArgs;
use crate::exit::{Exit, usage};
use crate::output::{count, plural};
use crate::proving::key_file;
use crate::session::Session;

/// The longest part that is held in memory: a digest, a manifest.
const LONGEST: u64 = 256 << 20;
/// Problems that are told one by one.
const SHOWN: usize = 100;

type Archive = ZipArchive<BufReader<File>>;

/// A folder, an account in it, and a region. Bundles of before there were folders in a statement have one for all.
type Place = (String, String, String);

/// What the digests prove.
type Covers = BTreeMap<Place, Cover>;

#[derive(Default)]
struct Found {
    parts: u64,
    digests: u64,
    /// Digests whose signature the bundle does not have.
    unsigned: u64,
    /// Digests whose signature proves nothing.
    doubtful: u64,
    logs: u64,
    /// From when to when was asked for.
    window: (Option<Timestamp>, Option<Timestamp>),
    hours: BTreeMap<String, u64>,
    /// The regions of every account that is told of.
    accounts: BTreeMap<String, BTreeSet<String>>,
    problems: Vec<String>,
}

pub(super) fn run(session: &mut Session, arguments: &AttestCheckArgs) -> anyhow::Result<Exit> {
    let path = &arguments.bundle;
    let mut keys = Keys::open(arguments.keys.as_deref())?;
    let mut archive = open(path)?;
    let mut found = Found::default();
    let manifest = manifest(&mut archive, &mut found)?;
    let covers = digests(path, &mut archive, &mut keys, &mut found)?;
    statement(&mut archive, covers, &mut found)?;
    session.out.line(&format!("manifest   {} ({})", manifest, plural(found.parts, "part", "parts")))?;
    let some = |number: u64, what: &str| if number > 0 { format!(", {} {what}", count(number)) } else { String::new() };
    session.out.line(&format!(
        "digests    {}{}{}",
        plural(found.digests, "digest", "digests"),
        some(found.unsigned, "without a signature at hand"),
        some(found.doubtful, "whose signature proves nothing"),
    ))?;
    session.out.line(&format!("keys       {}", keys.told()))?;
    session.out.line(&format!("log files  {} named by digests", count(found.logs)))?;
    let time = |time: Option<Timestamp>, none: &str| time.map_or(none.to_owned(), |time| time.to_string());
    let (from, to) = found.window;
    session.out.line(&format!("time       {} to {}", time(from, "the beginning"), time(to, "the end")))?;
    let hours: Vec<String> =
        found.hours.iter().map(|(verdict, hours)| format!("{} {verdict}", count(*hours))).collect();
    session.out.line(&format!("hours      {}", escape::terminal(&hours.join(", "))))?;
    let places: usize = found.accounts.values().map(BTreeSet::len).sum();
    let accounts = plural(found.accounts.len() as u64, "account", "accounts");
    session
        .out
        .line(&format!("accounts   {accounts}, with {} together", plural(places as u64, "region", "regions")))?;
    for (account, regions) in found.accounts.iter().take(SHOWN) {
        let regions: Vec<&str> = regions.iter().map(String::as_str).collect();
        session.out.line(&escape::terminal(&format!("           {account}: {}", regions.join(", "))))?;
    }
    for problem in found.problems.iter().take(SHOWN) {
        session.out.line(&format!("WRONG: {}", escape::terminal(problem)))?;
    }
    match found.problems.len() {
        0 if keys.are_its_own() => {
            session.out.line(
                "the evidence is what it says it is, if its keys are CloudTrail's: they were taken from the bundle and not \
                 compared with ListPublicKeys\n\
                 `trailhound verify keys export --output keys.json` lists those, and --keys keys.json compares them",
            )?;
            Ok(Exit::Done)
        }
        0 => {
            session.out.line("the evidence is what it says it is")?;
            Ok(Exit::Done)
        }
        problems => {
            session
                .out
                .line(&format!("the evidence does not hold: {}", plural(problems as u64, "problem", "problems")))?;
            Ok(Exit::Found)
        }
    }
}

/// The keys that digests are judged with: the bundle's own, where given compared with those of a file.
struct Keys {
    /// By their fingerprints, as they stand in a PEM file.
    of_file: Option<HashMap<String, Vec<u8>>>,
    /// Those that were looked for, or why they are not to be used.
    known: HashMap<String, Result<PublicKey, String>>,
}

impl Keys {
    fn open(file: Option<&Path>) -> anyhow::Result<Keys> {
        let listed = match file {
            Some(file) => Some(key_file("--keys", file)?.keys("", Timestamp::MIN, Timestamp::MAX)?),
            None => None,
        };
        let as_pem = |key: PublicKey| Some((hexadecimal(&key.fingerprint), pem::read(&pem::write(&key.der))?));
        let of_file = listed.map(|keys| keys.into_iter().filter_map(as_pem).collect());
        Ok(Keys { of_file, known: HashMap::new() })
    }

    /// The key with a fingerprint, or why there is none.
    fn find(&mut self, archive: &mut Archive, fingerprint: &str) -> anyhow::Result<&Result<PublicKey, String>> {
        let name = hexadecimal(fingerprint);
        if !self.known.contains_key(&name) {
            let key = self.look_up(archive, &name)?;
            self.known.insert(name.clone(), key);
        }
        Ok(&self.known[&name])
    }

    fn look_up(&self, archive: &mut Archive, name: &str) -> anyhow::Result<Result<PublicKey, String>> {
        let pem = text(archive, &format!("keys/{name}.pem"))?;
        let der = pem.and_then(|pem| pem::read(&String::from_utf8_lossy(&pem)));
        Ok(match (der, &self.of_file) {
            (None, _) => Err(format!("there is no key {name}")),
            (Some(der), Some(of_file)) if of_file.get(name) != Some(&der) => {
                Err(format!("the bundle's key {name} is not among those of --keys"))
            }
            (Some(der), _) => Ok(PublicKey { fingerprint: name.to_owned(), der, from: None, to: None, region: None }),
        })
    }

    /// Whether nothing but the bundle says whose they are.
    fn are_its_own(&self) -> bool {
        self.of_file.is_none() && !self.known.is_empty()
    }

    fn told(&self) -> String {
        let used = plural(self.known.values().filter(|key| key.is_ok()).count() as u64, "key", "keys");
        match self.of_file {
            Some(_) => format!("{used} of the bundle's, found among those of --keys"),
            None => format!("{used} of the bundle's, compared with nothing"),
        }
    }
}

fn open(path: &Path) -> anyhow::Result<Archive> {
    let file = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
    ZipArchive::new(BufReader::new(file)).map_err(|error| usage(format!("{} is no bundle: {error}", path.display())))
}

/// A part of the bundle, if it is there.
fn part<'a>(archive: &'a mut Archive, name: &str) -> anyhow::Result<Option<ZipFile<'a, BufReader<File>>>> {
    match archive.by_name(name) {
        Ok(part) => Ok(Some(part)),
        Err(ZipError::FileNotFound) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("failed to read {name}")),
    }
}

/// The whole of a part, if it is there.
fn text(archive: &mut Archive, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
    let Some(part) = part(archive, name)? else { return Ok(None) };
    let mut content = Vec::new();
    part.take(LONGEST + 1).read_to_end(&mut content).with_context(|| format!("failed to read {name}"))?;
    if content.len() as u64 > LONGEST {
        bail!("failed to read {name}: it has more than {LONGEST} bytes, which is too much to hold in memory");
    }
    Ok(Some(content))
}

/// Compares every part with the manifest, and returns the manifest's own hash.
fn manifest(archive: &mut Archive, found: &mut Found) -> anyhow::Result<String> {
    let Some(manifest) = text(archive, MANIFEST)? else {
        return Err(usage(format!("it has no {MANIFEST}: it is no bundle of evidence")));
    };
    let listed = String::from_utf8_lossy(&manifest);
    let listed: HashMap<&str, &str> =
        listed.lines().filter_map(|line| line.split_once("  ")).map(|(hash, name)| (name, hash)).collect();
    let mut seen = HashSet::new();
    for place in 0..archive.len() {
        let mut part = archive.by_index(place)?;
        let Ok(name) = part.name().map(std::borrow::Cow::into_owned) else {
            found.problems.push(format!("part {place} has a name that cannot be read"));
            continue;
        };
        if name == MANIFEST {
            continue;
        }
        found.parts += 1;
        if !seen.insert(name.clone()) {
            found.problems.push(format!("{name} is there twice"));
        }
        let mut hashing = Hashing::default();
        let mut buffer = vec![0; 64 << 10];
        let outcome = loop {
            match part.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(read) => hashing.update(&buffer[..read]),
                Err(error) => break Err(error),
            }
        };
        match (outcome, listed.get(name.as_str())) {
            (Err(error), _) => found.problems.push(format!("{name} cannot be read: {error}")),
            (Ok(()), None) => found.problems.push(format!("{name} is not in the manifest")),
            (Ok(()), Some(hash)) if *hash != hashing.finish().to_string() => {
                found.problems.push(format!("{name} is not what the manifest says"));
            }
            (Ok(()), Some(_)) => {}
        }
    }
    found.problems.extend(
        listed
            .keys()
            .filter(|name| !seen.contains(**name))
            .map(|name| format!("{name} is in the manifest, and is not there")),
    );
    Ok(Sha256::of(&manifest).to_string())
}

/// Checks every digest, and that the list of log files says what they say.
fn digests(path: &Path, archive: &mut Archive, keys: &mut Keys, found: &mut Found) -> anyhow::Result<Covers> {
    let has_folders = has_folders(archive)?;
    let rows = text(archive, DIGESTS)?.unwrap_or_default();
    // As long as the trail had log files: read as the digests are.
    let mut beside = open(path)?;
    let logs = part(&mut beside, LOGS)?;
    let mut logs = BufReader::new(logs.map_or(Box::new(io::empty()) as Box<dyn Read + '_>, |part| Box::new(part)));
    let mut is_in_step = true;
    let mut covers = Covers::new();
    // Digests that prove nothing, by their keys: why.
    let mut doubtful: BTreeMap<String, String> = BTreeMap::new();
    let mut reader = csv::Reader::from_reader(&rows[..]);
    for row in reader.records() {
        let row = row.with_context(|| format!("{DIGESTS} is no CSV"))?;
        let field = |place: usize| row.get(place).unwrap_or_default().to_owned();
        let (number, sha256, account, region, key) = (field(0), field(2), field(4), field(5), field(6));
        found.digests += 1;
        let Some(content) = text(archive, &format!("digests/{number}.json"))? else {
            found.problems.push(format!("digest {number} is not there: {key}"));
            continue;
        };
        let hash = Sha256::of(&content);
        if hash.to_string() != sha256 {
            found.problems.push(format!("digest {number} is not the one of {DIGESTS}: {key}"));
        }
        let digest = match Digest::parse(&content) {
            Ok(digest) => digest,
            Err(error) => {
                found.problems.push(format!("digest {number} cannot be read: {error}: {key}"));
                continue;
            }
        };
        let signed = string_to_sign(&digest, hash);
        if text(archive, &format!("digests/{number}.signed"))?.as_deref() != Some(signed.as_bytes()) {
            found.problems.push(format!("what was signed is not digest {number}: {key}"));
        }
        let mut lies_at = lies_at(&digest, &key, &account, &region);
        let why = match text(archive, &format!("digests/{number}.sig"))? {
            None => {
                found.unsigned += 1;
                lies_at = None;
                None
            }
            Some(signature) => match keys.find(archive, &digest.fingerprint)? {
                Err(why) => Some(format!("{why} for digest {number}: {key}")),
                Ok(public) if !is_signed(public, &signed, &hex(&signature)) => {
                    Some(format!("digest {number} is not signed by CloudTrail: {key}"))
                }
                Ok(_) if lies_at.is_none() => Some(format!("digest {number} is not the one that belongs there: {key}")),
                Ok(_) => None,
            },
        };
        if let Some(why) = why {
            found.doubtful += 1;
            lies_at = None;
            doubtful.insert(key.clone(), why);
        }
        for file in &digest.log_files {
            found.logs += 1;
            let Some(hash) = file.hash else { continue };
            let line = format!("{hash}  {}\n", one_line(&file.key));
            if is_in_step && !goes_on(&mut logs, &line).with_context(|| format!("failed to read {LOGS}"))? {
                is_in_step = false;
                found.problems.push(format!("{LOGS} does not say what digest {number} says of {}", file.key));
            }
        }
        let folder = lane_of(&key, &account, &region).filter(|_| has_folders).map(|lane| lane.above);
        covers.entry((folder.unwrap_or_default(), account, region)).or_default().add(&digest, lies_at.as_ref());
    }
    if is_in_step && logs.read(&mut [0]).with_context(|| format!("failed to read {LOGS}"))? > 0 {
        found.problems.push(format!("{LOGS} names files that no digest names"));
    }
    forgive(archive, &mut doubtful)?;
    found.problems.extend(doubtful.into_values());
    Ok(covers)
}

/// Whether a text goes on with a line.
fn goes_on(text: &mut impl Read, line: &str) -> io::Result<bool> {
    let mut said = Vec::new();
    text.take(line.len() as u64).read_to_end(&mut said)?;
    Ok(said == line.as_bytes())
}

/// Takes out the digests that the findings name: the bundle itself says that something is wrong with them.
fn forgive(archive: &mut Archive, doubtful: &mut BTreeMap<String, String>) -> anyhow::Result<()> {
    let Some(findings) = part(archive, FINDINGS)? else { return Ok(()) };
    let mut findings = BufReader::new(findings);
    let mut line = Vec::new();
    while !doubtful.is_empty() {
        line.clear();
        let read = (&mut findings).take(LONGEST).read_until(b'\n', &mut line);
        if read.with_context(|| format!("failed to read {FINDINGS}"))? == 0 {
            break;
        }
        let finding: Value = serde_json::from_slice(&line).unwrap_or_default();
        if let Some(key) = finding["key"].as_str().filter(|_| finding["kind"] == Kind::Digest.as_str()) {
            doubtful.remove(&one_line(key));
        }
    }
    Ok(())
}

/// Whether the statement says which folder each line is of.
fn has_folders(archive: &mut Archive) -> anyhow::Result<bool> {
    let Some(rows) = part(archive, STATEMENT)? else { return Ok(false) };
    let mut reader = csv::Reader::from_reader(rows);
    let columns = reader.headers().with_context(|| format!("{STATEMENT} is no CSV"))?;
    Ok(columns.len() >= Line::COLUMNS.len())
}

/// Checks that the statement says what the digests say, all of it, and claims no more than they prove.
fn statement(archive: &mut Archive, mut covers: Covers, found: &mut Found) -> anyhow::Result<()> {
    let Some(rows) = text(archive, STATEMENT)? else {
        found.problems.push(format!("there is no {STATEMENT}"));
        return Ok(());
    };
    let summary = text(archive, SUMMARY)?.unwrap_or_default();
    let summary: Value = serde_json::from_slice(&summary).unwrap_or_default();
    let time = |name: &str| summary[name].as_str().and_then(Timestamp::parse);
    let (from, to) = (time("from"), time("to"));
    found.window = (from, to);
    covers.values_mut().for_each(|cover| cover.settle(from));
    let mut told: BTreeMap<Place, BTreeSet<Timestamp>> = BTreeMap::new();
    let mut reader = csv::Reader::from_reader(&rows[..]);
    for row in reader.records() {
        let row = row.with_context(|| format!("{STATEMENT} is no CSV"))?;
        let field = |place: usize| row.get(place).unwrap_or_default().to_owned();
        let (account, region, start, verdict) = (field(0), field(1), field(2), field(3));
        let named = format!("{account} {region} {start}");
        *found.hours.entry(verdict.clone()).or_default() += 1;
        found.accounts.entry(account.clone()).or_default().insert(region.clone());
        if !Verdict::ALL.iter().any(|known| known.as_str() == verdict) {
            found.problems.push(format!("{STATEMENT} says {verdict:?} of {named}, which means nothing"));
        }
        let Some(hour) = Timestamp::parse(&start).filter(|start| hour_of(*start) == *start) else {
            found.problems.push(format!("{STATEMENT} says {verdict} of {named}, which is no hour"));
            continue;
        };
        let place = (one_line(&field(11)), account, region);
        let cover = covers.get(&place);
        if !told.entry(place).or_default().insert(hour) {
            found.problems.push(format!("{STATEMENT} has {named} twice"));
        }
        let said: u64 = field(6).parse().unwrap_or(u64::MAX);
        let (proven, all) = cover.map_or((0, 0), |cover| cover.files(hour));
        let is_attested = verdict == Verdict::Attested.as_str();
        let is_sound = is_attested || field(4) == Status::Verified.as_str();
        // What digests say that are not signed is nothing to rely on, and worth telling where nothing else is known.
        if said != proven && (is_sound || said != all) {
            let counted = if is_sound { format!("signed ones name {proven}") } else { format!("they name {all}") };
            found.problems.push(format!("{STATEMENT} says that digests name {said} log files in {named}; {counted}"));
        }
        if is_sound && !cover.is_some_and(|cover| cover.proves(hour, to)) {
            found.problems.push(format!("{STATEMENT} says that {named} is {verdict}; no signed digests prove it"));
        }
        let ingested: u64 = field(8).parse().unwrap_or(u64::MAX);
        if is_attested && ingested != said {
            found
                .problems
                .push(format!("{STATEMENT} attests an hour of which {ingested} of {said} log files were ingested"));
        }
    }
    for (place, cover) in &covers {
        let told = told.get(place);
        let untold = cover.hours(from, to).filter(|hour| told.is_none_or(|told| !told.contains(hour)));
        untold_of(place, untold, &mut found.problems);
    }
    totals(&summary["hours"], found);
    Ok(())
}

/// Tells of hours that a statement leaves out, those that follow one another together.
fn untold_of((_, account, region): &Place, hours: impl Iterator<Item = Timestamp>, problems: &mut Vec<String>) {
    let mut hours = hours.peekable();
    while let Some(first) = hours.next() {
        let (mut last, mut number) = (first, 1);
        while let Some(next) = hours.next_if(|next| next.micros() == last.micros() + HOUR) {
            (last, number) = (next, number + 1);
        }
        let number = plural(number, "hour", "hours");
        problems.push(format!("{STATEMENT} leaves out {number} of {account} {region}, from {first} on"));
    }
}

/// Compares how many hours come to what with what is said of it.
fn totals(said: &Value, found: &mut Found) {
    if !said.is_object() {
        return found.problems.push(format!("there is no {SUMMARY} that says how many hours come to what"));
    }
    for verdict in Verdict::ALL.map(Verdict::as_str) {
        let counted = found.hours.get(verdict).copied().unwrap_or(0);
        let said = said[verdict].as_u64();
        if said != Some(counted) {
            let said = said.map_or("nothing".to_owned(), count);
            found
                .problems
                .push(format!("{SUMMARY} says {said} of hours {verdict}; {STATEMENT} has {}", count(counted)));
        }
    }
}

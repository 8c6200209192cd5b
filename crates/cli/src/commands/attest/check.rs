//! `trailhound attest check`: is this evidence what it says it is? Offline, and with nothing but the bundle.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Context;
use integrity::digest::Digest;
use integrity::hash::{Hashing, Sha256, hex};
use integrity::keys::PublicKey;
use integrity::layout::delivered;
use integrity::pem;
use integrity::report::hour_of;
use integrity::signature::{is_signed, string_to_sign};
use pipeline::escape;
use zip::ZipArchive;

use super::bundle::{DIGESTS, LOGS, MANIFEST, STATEMENT, one_line};
use crate::args::AttestCheckArgs;
use crate::exit::{Exit, usage};
use crate::output::{count, plural};
use crate::session::Session;

/// The longest text that is held in memory: a digest, a manifest.
const LONGEST: u64 = 256 << 20;
/// Problems that are told one by one.
const SHOWN: usize = 100;

type Archive = ZipArchive<BufReader<File>>;

/// Hours by account and region, with how many log files their digests name.
type NamedByHour = HashMap<(String, String, String), u64>;

#[derive(Default)]
struct Found {
    parts: u64,
    digests: u64,
    /// Digests whose signature the bundle does not have.
    unsigned: u64,
    logs: u64,
    hours: BTreeMap<String, u64>,
    problems: Vec<String>,
}

pub(super) fn run(session: &mut Session, arguments: &AttestCheckArgs) -> anyhow::Result<Exit> {
    let path = &arguments.bundle;
    let mut archive = open(path)?;
    let mut found = Found::default();
    let manifest = manifest(&mut archive, &mut found)?;
    digests(&mut archive, &mut found)?;
    session.out.line(&format!("manifest   {} ({})", manifest, plural(found.parts, "part", "parts")))?;
    let without = match found.unsigned {
        0 => String::new(),
        number => format!(", {} without a signature at hand", count(number)),
    };
    session.out.line(&format!("digests    {}{without}", plural(found.digests, "digest", "digests")))?;
    session.out.line(&format!("log files  {} named by digests", count(found.logs)))?;
    let hours: Vec<String> =
        found.hours.iter().map(|(verdict, hours)| format!("{} {verdict}", count(*hours))).collect();
    session.out.line(&format!("hours      {}", escape::terminal(&hours.join(", "))))?;
    for problem in found.problems.iter().take(SHOWN) {
        session.out.line(&format!("WRONG: {}", escape::terminal(problem)))?;
    }
    match found.problems.len() {
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

fn open(path: &Path) -> anyhow::Result<Archive> {
    let file = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
    ZipArchive::new(BufReader::new(file)).map_err(|error| usage(format!("{} is no bundle: {error}", path.display())))
}

fn text(archive: &mut Archive, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
    let Ok(part) = archive.by_name(name) else { return Ok(None) };
    let mut content = Vec::new();
    part.take(LONGEST).read_to_end(&mut content).with_context(|| format!("{name} cannot be read"))?;
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

/// Checks every digest, and that the list of log files and the statement say what the digests say.
fn digests(archive: &mut Archive, found: &mut Found) -> anyhow::Result<()> {
    let rows = text(archive, DIGESTS)?.unwrap_or_default();
    let logs = text(archive, LOGS)?.unwrap_or_default();
    let mut logs = logs.lines();
    let mut keys: HashMap<String, Option<PublicKey>> = HashMap::new();
    let mut named = NamedByHour::new();
    let mut reader = csv::Reader::from_reader(&rows[..]);
    for row in reader.records() {
        let row = row.with_context(|| format!("{DIGESTS} is no CSV"))?;
        let field = |place: usize| row.get(place).unwrap_or_default().to_owned();
        let (number, fingerprint, sha256, account, region, key) =
            (field(0), field(1), field(2), field(4), field(5), field(6));
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
        match text(archive, &format!("digests/{number}.sig"))? {
            None => found.unsigned += 1,
            Some(signature) => {
                if !keys.contains_key(&fingerprint) {
                    let pem = text(archive, &format!("keys/{fingerprint}.pem"))?;
                    let der = pem.and_then(|pem| pem::read(&String::from_utf8_lossy(&pem)));
                    let key =
                        |der| PublicKey { fingerprint: fingerprint.clone(), der, from: None, to: None, region: None };
                    keys.insert(fingerprint.clone(), der.map(key));
                }
                match keys.get(&fingerprint).and_then(Option::as_ref) {
                    None => found.problems.push(format!("there is no key {fingerprint} for digest {number}: {key}")),
                    Some(public) if !is_signed(public, &signed, &hex(&signature)) => {
                        found.problems.push(format!("digest {number} is not signed by CloudTrail: {key}"));
                    }
                    Some(_) => {}
                }
            }
        }
        for file in &digest.log_files {
            found.logs += 1;
            let at = delivered(&file.key).unwrap_or(digest.start);
            *named.entry((account.clone(), region.clone(), hour_of(at).to_string())).or_default() += 1;
            let Some(hash) = file.hash else { continue };
            let said = logs.next().transpose().with_context(|| format!("{LOGS} is no text"))?;
            if said.as_deref() != Some(format!("{hash}  {}", one_line(&file.key)).as_str()) {
                found.problems.push(format!("{LOGS} does not say what digest {number} says of {}", file.key));
            }
        }
    }
    if logs.next().is_some() {
        found.problems.push(format!("{LOGS} names files that no digest names"));
    }
    statement(archive, &named, found)
}

fn statement(archive: &mut Archive, named: &NamedByHour, found: &mut Found) -> anyhow::Result<()> {
    let Some(rows) = text(archive, STATEMENT)? else {
        found.problems.push(format!("there is no {STATEMENT}"));
        return Ok(());
    };
    let mut reader = csv::Reader::from_reader(&rows[..]);
    for row in reader.records() {
        let row = row.with_context(|| format!("{STATEMENT} is no CSV"))?;
        let field = |place: usize| row.get(place).unwrap_or_default().to_owned();
        let hour = (field(0), field(1), field(2));
        *found.hours.entry(field(3)).or_default() += 1;
        let said: u64 = field(6).parse().unwrap_or(u64::MAX);
        let counted = named.get(&hour).copied().unwrap_or(0);
        if said != counted {
            let (account, region, hour) = hour;
            found.problems.push(format!(
                "{STATEMENT} says that digests name {said} log files in {account} {region} {hour}; they name {counted}"
            ));
        }
        let ingested: u64 = field(8).parse().unwrap_or(u64::MAX);
        if field(3) == "attested" && ingested != said {
            found
                .problems
                .push(format!("{STATEMENT} attests an hour of which {ingested} of {said} log files were ingested"));
        }
    }
    Ok(())
}

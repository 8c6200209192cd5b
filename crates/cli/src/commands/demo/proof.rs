//! The end of the demo: the trail is verified and attested, and one log file of a copy is changed in front of the reader.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use integrity::layout::Lane;
use integrity::report::{Kind, Status};
use integrity::statement::Verdict;
use serde_json::Value;

use super::say;
use crate::args::{AttestRunArgs, Format, VerifyRunArgs, Window};
use crate::commands::{attest, verify};
use crate::output::{count, plural};
use crate::session::Session;

/// The most bytes of a log file that is changed.
const LARGEST: u64 = 64 << 20;

/// Verifies and attests the trail, then a copy of which a log file was changed. Whether all came out as it should.
pub(super) fn show(session: &mut Session, folder: &Path, logs: &Path, from: &str) -> anyhow::Result<bool> {
    let heading =
        session.out.bold("\nAre these the logs that CloudTrail wrote, all of them? (`trailhound verify`, `attest`)");
    say(session, &heading)?;
    let keys = logs.join("public-keys.json");
    let Some(looked) = verify::examine(session, &verifying(logs, &keys, Some(from)))? else { return Ok(false) };
    let totals = looked.totals;
    let (digests, files) = (totals.digests.verified, totals.logs.verified);
    let is_sound = digests > 0 && files > 0 && !totals.worst().is_some_and(Status::is_wrong);
    say(
        session,
        &format!(
            "  {} and {} are what CloudTrail wrote",
            plural(digests, "digest file", "digest files"),
            plural(files, "log file", "log files")
        ),
    )?;
    // The lane whose log files are to be changed in a copy: the one with most of them.
    let lane = looked
        .question
        .lanes
        .iter()
        .max_by_key(|(lane, _)| number_of_files(&folder_of(logs, &lane.logs())))
        .map(|(lane, _)| lane.clone());
    looked.close()?;

    let Some(hours) = attest::verdicts(session, &attesting(logs, &keys, from))? else { return Ok(false) };
    let of = |verdict: Verdict| hours.get(&verdict).copied().unwrap_or(0);
    say(
        session,
        &format!(
            "  {} attested: digests sound, log files unchanged, all of them read",
            plural(of(Verdict::Attested), "hour", "hours")
        ),
    )?;
    let off = of(Verdict::Unproven);
    if off > 0 {
        say(
            session,
            &format!(
                "  {} without digests: the intruder had turned validation and the trail off",
                plural(off, "hour", "hours")
            ),
        )?;
    }
    let is_attested = of(Verdict::Attested) > 0 && of(Verdict::Wrong) == 0;

    let Some(lane) = lane else { return Ok(false) };
    let (copy, changed) = tamper(folder, logs, &lane)?;
    say(session, &format!("  Then one record is taken out of {changed}, in a copy ({}):", copy.display()))?;
    let Some(looked) = verify::examine(session, &verifying(&copy, &keys, Some(from)))? else { return Ok(false) };
    let mut told = Vec::new();
    for (lane, _) in &looked.question.lanes {
        looked.lane(lane, &mut |finding| {
            if finding.kind == Kind::Log && finding.status == Status::Tampered {
                let key = finding.key.as_deref().unwrap_or_default();
                told.push((key.ends_with(&changed), format!("{}: {}", name_of(key), finding.detail)));
            }
            Ok(())
        })?;
    }
    let caught = looked.totals.logs.tampered;
    looked.close()?;
    for (_, line) in &told {
        let severity = session.out.severity(detect::Severity::Critical);
        say(session, &format!("      -> {severity}: tampered: {}", pipeline::escape::terminal(line)))?;
    }
    let is_caught = caught == 1 && told.iter().any(|(is_it, _)| *is_it);
    say(session, &format!("  {} of 1 tampered log file was caught", count(caught)))?;
    Ok(is_sound && is_attested && is_caught)
}

fn window(from: Option<&str>) -> Window {
    Window { from: from.map(str::to_owned), to: None }
}

fn verifying(path: &Path, keys: &Path, from: Option<&str>) -> VerifyRunArgs {
    VerifyRunArgs {
        path: Some(path.display().to_string()),
        window: window(from),
        accounts: Vec::new(),
        regions: Vec::new(),
        keys: Some(keys.to_owned()),
        bucket_name: None,
        prefix: None,
        from_digest: None,
        only: None,
        format: Format::Table,
        report: None,
        fresh: true,
        threads: None,
        profile: None,
        bucket_region: None,
    }
}

fn attesting(path: &Path, keys: &Path, from: &str) -> AttestRunArgs {
    AttestRunArgs {
        path: Some(path.display().to_string()),
        window: window(Some(from)),
        accounts: Vec::new(),
        regions: Vec::new(),
        keys: Some(keys.to_owned()),
        bucket_name: None,
        prefix: None,
        format: Format::Table,
        output: None,
        include: Vec::new(),
        fresh: true,
        profile: None,
        bucket_region: None,
    }
}

fn folder_of(logs: &Path, prefix: &str) -> PathBuf {
    prefix.split('/').filter(|part| !part.is_empty()).fold(logs.to_owned(), |path, part| path.join(part))
}

fn name_of(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

/// The files below a folder, in order.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => files.push(path),
            }
        }
    }
    files.sort();
    files
}

fn number_of_files(folder: &Path) -> usize {
    files_below(folder).len()
}

/// Copies an account in a region, and takes a record out of its newest log file but those of the last two days, whose
/// digests are there. Returns the copy, and the name of the file.
fn tamper(folder: &Path, logs: &Path, lane: &Lane) -> anyhow::Result<(PathBuf, String)> {
    let copy = folder.join("tampered");
    for prefix in [lane.logs(), lane.digests()] {
        for file in files_below(&folder_of(logs, &prefix)) {
            let target = copy.join(file.strip_prefix(logs).context("a file lies elsewhere")?);
            fs::create_dir_all(target.parent().context("a file lies nowhere")?)?;
            fs::copy(&file, &target).with_context(|| format!("failed to write {}", target.display()))?;
        }
    }
    fs::copy(logs.join("metadata.jsonl"), copy.join("metadata.jsonl")).context("failed to copy the signatures")?;
    let files = files_below(&folder_of(&copy, &lane.logs()));
    // Named by hour: the last ones wait for their digests.
    let file = files.iter().rev().nth(files.len().min(8).saturating_sub(1)).context("the trail has no log files")?;
    let mut text = Vec::new();
    GzDecoder::new(fs::File::open(file)?).take(LARGEST).read_to_end(&mut text)?;
    let mut document: Value = serde_json::from_slice(&text).context("the log file is no JSON")?;
    document["Records"].as_array_mut().context("the log file has no records")?.pop();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(document.to_string().as_bytes())?;
    fs::write(file, gzip.finish()?)?;
    Ok((copy, file.file_name().unwrap_or_default().to_string_lossy().into_owned()))
}

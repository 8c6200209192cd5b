//! `trailhound attest`: one statement for every account, region and hour, from three sides: what the digests list, what
//! stands in the bucket, and what was ingested; and the coverage of the event history where there is no trail.

mod bundle;
mod check;
mod cover;
mod history;
mod ingested;
mod shown;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use event::Timestamp;
use integrity::evidence::Trouble;
use integrity::keys::{KeyRing, NoKey, PublicKey};
use integrity::layout::{Lane, Place};
use integrity::report::{Counts, Finding, HOUR, Hour, Kind, Status, hour_of};
use integrity::statement::{Line, NamedByHour, Verdict};
use integrity::testimony::{Testimony, testimonies};
use integrity::verify::Limits;
use pipeline::coverage::Coverage;
use serde_json::{Value, json};

use self::bundle::{Bundle, FINDINGS, STATEMENT, SUMMARY};
use self::cover::lies_at;
use self::history::{Histories, is_covered};
use self::ingested::Ingested;
use self::shown::Shown;
use super::verify::{Looked, examine};
use crate::args::{AttestArgs, AttestCommand, AttestRunArgs, Format, VerifyRunArgs};
use crate::ask::Asker;
use crate::exit::{Exit, usage};
use crate::session::Session;
use crate::times::Between;

pub(crate) fn run(session: &mut Session, arguments: &AttestArgs) -> anyhow::Result<Exit> {
    match &arguments.command {
        Some(AttestCommand::Check(arguments)) => check::run(session, arguments),
        None => attest(session, &arguments.run),
    }
}

fn attest(session: &mut Session, arguments: &AttestRunArgs) -> anyhow::Result<Exit> {
    let Some((statement, looked, summary)) = state(session, arguments, Shown::new(arguments.format))? else {
        return Ok(Exit::Interrupted);
    };
    let exit = statement.exit();
    let Statement { bundle, shown, unshown, totals } = statement;
    let manifest = bundle.map(|bundle| finish(session, bundle, arguments, &summary)).transpose()?;
    let written = unshown.map_or_else(|| shown.end(&mut session.out, &totals), Err);
    let written = written.and_then(|()| session.out.flush());
    if written.is_ok() && arguments.format != Format::Table && !session.global.quiet {
        crate::complain(&summary["hours"].to_string());
    }
    if let (Some(file), Some(manifest)) = (&arguments.output, manifest) {
        crate::note(&format!("{} holds the evidence; its manifest's SHA-256 is {manifest}", file.display()));
    }
    written?;
    looked.map_or(Ok(()), Looked::close)?;
    Ok(exit)
}

/// How many hours come to what; `None` where it was interrupted.
pub(crate) fn verdicts(
    session: &mut Session,
    arguments: &AttestRunArgs,
) -> anyhow::Result<Option<BTreeMap<Verdict, u64>>> {
    let Some((statement, looked, _)) = state(session, arguments, Shown::Nowhere)? else { return Ok(None) };
    looked.map_or(Ok(()), Looked::close)?;
    Ok(Some(statement.totals))
}

/// Makes the statement, what it rests on, and its summary.
fn state(
    session: &mut Session,
    arguments: &AttestRunArgs,
    shown: Shown,
) -> anyhow::Result<Option<(Statement, Option<Looked>, Value)>> {
    let trail = match &arguments.path {
        Some(path) => Some(path.clone()),
        None => configured(session)?,
    };
    // A name that is taken is known before hours of work.
    let bundle = arguments.output.as_deref().map(Bundle::create).transpose()?;
    let looked = match trail {
        None => None,
        Some(path) => match examine(session, &of_trail(arguments, path))? {
            Some(looked) => Some(looked),
            None => return Ok(None),
        },
    };
    let between = Between::of(&arguments.window, session.now)?;
    let until = looked.as_ref().map_or(between.to.unwrap_or(session.now), |looked| looked.question.scope.until);
    let mut ingested = Ingested::open(session, between.from, until)?;
    let histories = Histories::of(session, arguments)?;
    let mut statement = Statement { bundle, shown, unshown: None, totals: BTreeMap::new() };
    if let Some(looked) = &looked {
        for (lane, place) in &looked.question.lanes {
            statement.of_lane(session, looked, (lane, place), between.from, &mut ingested, &histories)?;
        }
    }
    let seen: BTreeSet<(&str, &str)> = looked
        .iter()
        .flat_map(|looked| &looked.question.lanes)
        .map(|(lane, _)| (lane.account.as_str(), lane.region.as_str()))
        .collect();
    for ((account, region), coverage) in &histories.0 {
        if !seen.contains(&(account.as_str(), region.as_str())) {
            statement.of_history(session, (account, region), coverage, between.from, until)?;
        }
    }
    if statement.totals.is_empty() {
        return Err(usage("there is nothing to attest: name the trail's bucket, or collect the event history first"));
    }
    let summary = statement.summary(arguments, between.from, until, looked.as_ref());
    Ok(Some((statement, looked, summary)))
}

/// The address of the configuration's trail.
fn configured(session: &Session) -> anyhow::Result<Option<String>> {
    // A queue that EventBridge fills has no bucket.
    let trails = session.config().trails.iter().filter_map(|trail| Some((trail.bucket.as_ref()?, &trail.prefix)));
    match trails.collect::<Vec<_>>().as_slice() {
        [] => Ok(None),
        [(bucket, prefix)] => Ok(Some(format!("s3://{bucket}/{}", prefix.trim_matches('/')))),
        trails => {
            let names: Vec<&str> = trails.iter().map(|(bucket, _)| bucket.as_str()).collect();
            Err(usage(format!("the configuration has several trails: name one of {}", names.join(", "))))
        }
    }
}

fn of_trail(arguments: &AttestRunArgs, path: String) -> VerifyRunArgs {
    VerifyRunArgs {
        path: Some(path),
        window: arguments.window.clone(),
        accounts: arguments.accounts.clone(),
        regions: arguments.regions.clone(),
        keys: arguments.keys.clone(),
        bucket_name: arguments.bucket_name.clone(),
        prefix: arguments.prefix.clone(),
        from_digest: None,
        only: None,
        format: arguments.format,
        report: None,
        fresh: arguments.fresh,
        threads: None,
        profile: arguments.profile.clone(),
        bucket_region: arguments.bucket_region.clone(),
    }
}

/// Why the digests of a lane could not be handed on.
enum Failure {
    Trouble(Trouble),
    Other(anyhow::Error),
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Failure {
        Failure::Trouble(trouble)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::Other(error)
    }
}

/// The statement while it is made.
struct Statement {
    bundle: Option<Bundle>,
    shown: Shown,
    /// Why hours could not be shown any longer: a bundle is made all the same.
    unshown: Option<io::Error>,
    totals: BTreeMap<Verdict, u64>,
}

impl Statement {
    fn of_lane(
        &mut self,
        session: &mut Session,
        looked: &Looked,
        (lane, place): (&Lane, &Place),
        from: Option<Timestamp>,
        ingested: &mut Ingested,
        histories: &Histories,
    ) -> anyhow::Result<()> {
        let mut bundle = self.bundle.as_mut();
        let (mut doubtful, mut is_listed) = (HashSet::new(), true);
        let told = looked.lane(lane, &mut |finding| {
            doubtful.extend(finding.key.clone().filter(|_| finding.kind == Kind::Digest));
            is_listed &= finding.kind != Kind::Folder;
            match &mut bundle {
                Some(bundle) => bundle.line(FINDINGS, &finding_json(lane, finding).to_string()),
                None => Ok(()),
            }
        })?;
        // What was verified a moment ago has to be what is attested and handed on.
        let told_of = |key: &str| match doubtful.contains(key) || !is_listed {
            true => Ok(()),
            false => Err(anyhow!("{key} was verified, and cannot be read or proven again: --fresh looks at it anew")),
        };
        ingested.begin(lane, place)?;
        let mut named = NamedByHour::default();
        let evidence = looked.source.evidence();
        let each = &mut |testimony: Testimony| -> Result<(), Failure> {
            // Where there is none, that is among the findings.
            let key = key_of(&looked.keys, (lane, place), &testimony).ok();
            let proof = key.as_deref().and_then(|key| testimony.proof(key));
            let proof =
                proof.filter(|_| lies_at(&testimony.digest, &testimony.key, &lane.account, &lane.region).is_some());
            if proof.is_none() {
                told_of(&testimony.key)?;
            }
            for file in &testimony.digest.log_files {
                let at = integrity::layout::delivered(&file.key).unwrap_or(testimony.digest.start);
                named.add(at, ingested.of_file(session, file)?, proof.is_some());
            }
            let Some(bundle) = &mut bundle else { return Ok(()) };
            let signature = proof.or_else(|| testimony.at_hand());
            let written = bundle.digest(lane, &testimony, signature).and_then(|()| match &key {
                Some(key) => bundle.key(key),
                None => Ok(()),
            });
            Ok(written.context("failed to write the bundle")?)
        };
        let read = testimonies(evidence, (lane, place), &looked.question.scope, Limits::default(), each);
        let is_whole = read.is_ok();
        match read {
            Ok(unread) => unread.iter().try_for_each(|key| told_of(key))?,
            Err(Failure::Trouble(trouble)) => {
                let detail = format!("its digests cannot be listed: {trouble}");
                let line = json!({"kind": "folder", "status": "unjudged", "account": lane.account, "region": lane.region, "detail": detail});
                crate::complain(&format!("{lane}: {detail}"));
                if let Some(bundle) = &mut self.bundle {
                    bundle.line(FINDINGS, &line.to_string())?;
                }
            }
            Err(Failure::Other(error)) => return Err(error),
        }
        let folder = place.original(&lane.above);
        for mut hour in told.hours().filter(|hour| from.is_none_or(|from| hour.start.micros() + HOUR > from.micros())) {
            if !is_whole && hour.status == Status::Verified {
                hour.status = Status::Unjudged;
            }
            let is_covered = histories.covers(lane, hour.start);
            let line = Line::of(&folder, (&lane.account, &lane.region), &hour, named.of(&hour), is_covered);
            self.take(session, line)?;
        }
        Ok(())
    }

    /// The hours of an account in a region of which there is no trail.
    fn of_history(
        &mut self,
        session: &mut Session,
        (account, region): (&str, &str),
        coverage: &Coverage,
        from: Option<Timestamp>,
        until: Timestamp,
    ) -> anyhow::Result<()> {
        let Some(first) = from.or_else(|| coverage.span().map(|span| span.from)) else { return Ok(()) };
        let mut start = hour_of(first).micros();
        // The hour that is not over yet says nothing.
        while start + HOUR <= until.micros() {
            let Some(hour) = Timestamp::from_micros(start) else { break };
            let known = Hour { start: hour, status: Status::Unsigned, counts: Counts::default() };
            let line = Line::of("", (account, region), &known, Default::default(), is_covered(coverage, hour));
            self.take(session, line)?;
            start += HOUR;
        }
        Ok(())
    }

    fn take(&mut self, session: &mut Session, line: Line) -> anyhow::Result<()> {
        if let Some(bundle) = &mut self.bundle {
            if self.totals.is_empty() {
                bundle.row(STATEMENT, &Line::COLUMNS)?;
            }
            bundle.row(STATEMENT, &line.fields()).context("failed to write the bundle")?;
        }
        *self.totals.entry(line.verdict).or_default() += 1;
        if let Err(error) = self.shown.take(&mut session.out, line) {
            if self.bundle.is_none() {
                return Err(error.into());
            }
            self.shown = Shown::Nowhere;
            self.unshown = Some(error);
        }
        Ok(())
    }

    /// The most pressing first, as everywhere.
    fn exit(&self) -> Exit {
        let any = |verdicts: &[Verdict]| verdicts.iter().any(|verdict| self.totals.contains_key(verdict));
        if any(&[Verdict::Wrong, Verdict::Unproven, Verdict::NotIngested]) {
            Exit::Found
        } else if any(&[Verdict::Unjudged]) {
            Exit::Rejected
        } else {
            Exit::Done
        }
    }

    fn summary(
        &self,
        arguments: &AttestRunArgs,
        from: Option<Timestamp>,
        until: Timestamp,
        looked: Option<&Looked>,
    ) -> Value {
        let hours: serde_json::Map<String, Value> = Verdict::ALL
            .iter()
            .map(|v| (v.as_str().to_owned(), self.totals.get(v).copied().unwrap_or(0).into()))
            .collect();
        json!({
            "path": looked.map(|looked| looked.question.path.clone()),
            "from": from.map(|from| from.whole_second().to_string()),
            "to": until.whole_second().to_string(),
            "accounts": arguments.accounts,
            "regions": arguments.regions,
            "program": format!("trailhound {}", env!("CARGO_PKG_VERSION")),
            "hours": hours,
            "trail": looked.map(|looked| looked.totals),
        })
    }
}

fn finding_json(lane: &Lane, finding: &Finding) -> Value {
    let Finding { kind, status, from, to, trail, key, detail } = finding;
    json!({
        "kind": kind.as_str(),
        "status": status.as_str(),
        "account": lane.account,
        "region": lane.region,
        "trail": trail,
        "from": from.whole_second().to_string(),
        "to": to.map(|to| to.whole_second().to_string()),
        "key": key,
        "detail": detail,
    })
}

/// The key that a digest names. Keys are a region's own; that a trail was made in another one is no reason not to look
/// there, too.
fn key_of(ring: &KeyRing<'_>, (lane, place): (&Lane, &Place), testimony: &Testimony) -> Result<Arc<PublicKey>, NoKey> {
    let find = |region: &str| ring.find(region, &testimony.digest.fingerprint, testimony.generated);
    find(&lane.region).or_else(|error| {
        let name = place.here(&testimony.key).and_then(|here| lane.digest_name(&here));
        let home = name.map(|name| name.chain.home_region).filter(|home| *home != lane.region);
        home.and_then(|home| find(&home).ok()).ok_or(error)
    })
}

/// Adds answers and the summary, and closes the bundle. Returns the hash of its manifest.
fn finish(session: &Session, mut bundle: Bundle, arguments: &AttestRunArgs, summary: &Value) -> anyhow::Result<String> {
    if !arguments.include.is_empty() {
        let asker = Asker::open(session, None)?;
        for (number, sql) in arguments.include.iter().enumerate() {
            let rows = answer(&asker, sql)?;
            bundle.part(&format!("include/{}.sql", number + 1), format!("{sql}\n").as_bytes())?;
            bundle.part(&format!("include/{}.jsonl", number + 1), &rows)?;
        }
    }
    bundle.part(SUMMARY, format!("{summary:#}\n").as_bytes())?;
    bundle.finish()
}

/// The answer of a question, a line of JSON for each row.
fn answer(asker: &Asker, sql: &str) -> anyhow::Result<Vec<u8>> {
    let conversation = asker.session()?;
    let interrupted = || anyhow::anyhow!("interrupted");
    let mut answer = asker.wait(conversation.ask(sql))?.ok_or_else(interrupted)?;
    let columns = answer.columns();
    let mut text = Vec::new();
    while let Some(block) = asker.wait(answer.next())?.ok_or_else(interrupted)? {
        for row in 0..block.len() {
            let object: serde_json::Map<String, Value> = columns.iter().cloned().zip(block.row(row)).collect();
            serde_json::to_writer(&mut text, &object)?;
            text.push(b'\n');
        }
    }
    Ok(text)
}

//! `trailhound attest`: one statement for every account, region and hour, from three sides: what the digests list, what
//! stands in the bucket, and what was ingested; and the coverage of the event history where there is no trail.

mod bundle;
mod check;
mod cover;
mod ingested;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use anyhow::Context;
use event::Timestamp;
use integrity::evidence::Trouble;
use integrity::keys::{KeyRing, NoKey, PublicKey};
use integrity::layout::{Lane, Place};
use integrity::report::{Counts, Finding, HOUR, Hour, Status, hour_of};
use integrity::statement::{Line, NamedByHour, Verdict};
use integrity::testimony::{Testimony, testimonies};
use integrity::verify::Limits;
use local::state::SqliteState;
use pipeline::collect::StreamStore;
use pipeline::coverage::{Coverage, Interval};
use pipeline::escape;
use serde_json::{Value, json};

use self::bundle::{Bundle, FINDINGS, STATEMENT, SUMMARY};
use self::ingested::Ingested;
use super::verify::{Looked, examine};
use crate::args::{AttestArgs, AttestCommand, AttestRunArgs, Format, VerifyRunArgs};
use crate::ask::Asker;
use crate::exit::{Exit, usage};
use crate::output::{Rows, count, plural};
use crate::session::Session;
use crate::times::Between;

/// Stretches of hours that a table shows.
const SHOWN: usize = 1000;

pub(crate) fn run(session: &mut Session, arguments: &AttestArgs) -> anyhow::Result<Exit> {
    match &arguments.command {
        Some(AttestCommand::Check(arguments)) => check::run(session, arguments),
        None => attest(session, &arguments.run),
    }
}

fn attest(session: &mut Session, arguments: &AttestRunArgs) -> anyhow::Result<Exit> {
    let Some((statement, looked, summary)) = state(session, arguments)? else { return Ok(Exit::Interrupted) };
    let exit = statement.exit();
    let mut statement = statement;
    let manifest = match statement.bundle.take() {
        Some(bundle) => Some(finish(session, bundle, arguments, &summary)?),
        None => None,
    };
    statement.write(session, &summary)?;
    if let (Some(file), Some(manifest)) = (&arguments.output, manifest) {
        crate::note(&format!("{} holds the evidence; its manifest's SHA-256 is {manifest}", file.display()));
    }
    session.out.flush()?;
    looked.map_or(Ok(()), Looked::close)?;
    Ok(exit)
}

/// How many hours come to what; `None` where it was interrupted.
pub(crate) fn verdicts(
    session: &mut Session,
    arguments: &AttestRunArgs,
) -> anyhow::Result<Option<BTreeMap<Verdict, u64>>> {
    let Some((statement, looked, _)) = state(session, arguments)? else { return Ok(None) };
    looked.map_or(Ok(()), Looked::close)?;
    Ok(Some(statement.totals))
}

/// Makes the statement, what it rests on, and its summary.
fn state(
    session: &mut Session,
    arguments: &AttestRunArgs,
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
    let ingested = Ingested::of(session, between.from, until)?;
    let histories = Histories::of(session, arguments)?;
    let mut statement = Statement { bundle, lines: Vec::new(), keeps: arguments.format, totals: BTreeMap::new() };
    if let Some(looked) = &looked {
        let (oldest, newest) = looked.validity;
        let ring = KeyRing::new(&*looked.keys, oldest, newest);
        for (lane, place) in &looked.question.lanes {
            statement.of_lane(looked, (lane, place), &ring, between.from, &ingested, &histories)?;
        }
    }
    let seen: BTreeSet<(&str, &str)> = looked
        .iter()
        .flat_map(|looked| &looked.question.lanes)
        .map(|(lane, _)| (lane.account.as_str(), lane.region.as_str()))
        .collect();
    for ((account, region), coverage) in &histories.0 {
        if !seen.contains(&(account.as_str(), region.as_str())) {
            statement.of_history((account, region), coverage, between.from, until)?;
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

/// What was read completely of the event history, by account and region: what all of its streams have in common.
struct Histories(BTreeMap<(String, String), Coverage>);

impl Histories {
    fn of(session: &Session, arguments: &AttestRunArgs) -> anyhow::Result<Histories> {
        let path = session.state_path();
        let mut histories: BTreeMap<(String, String), Coverage> = BTreeMap::new();
        if !path.exists() {
            return Ok(Histories(histories));
        }
        let wants = |wanted: &[String], name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
        for state in SqliteState::open(&path)?.streams()? {
            let stream = &state.stream;
            // A trail's files are a stream of their own kind.
            let is_history = integrity::layout::is_account(&stream.account);
            if !is_history || !wants(&arguments.accounts, &stream.account) || !wants(&arguments.regions, &stream.region)
            {
                continue;
            }
            let key = (stream.account.clone(), stream.region.clone());
            match histories.get_mut(&key) {
                None => _ = histories.insert(key, state.coverage),
                Some(common) => {
                    let Some(span) = common.span() else { continue };
                    common.subtract(&state.coverage.gaps(span));
                }
            }
        }
        Ok(Histories(histories))
    }

    fn covers(&self, lane: &Lane, hour: Timestamp) -> bool {
        let coverage = self.0.get(&(lane.account.clone(), lane.region.clone()));
        coverage.is_some_and(|coverage| is_covered(coverage, hour))
    }
}

fn is_covered(coverage: &Coverage, hour: Timestamp) -> bool {
    let end = Timestamp::from_micros(hour.micros() + HOUR).unwrap_or(Timestamp::MAX);
    coverage.gaps(Interval::new(hour, end)).is_empty()
}

/// Why the digests of a lane could not be handed on.
enum Failure {
    Trouble(Trouble),
    Key(NoKey),
    Write(io::Error),
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Failure {
        Failure::Trouble(trouble)
    }
}

/// Hours of an account in a region that follow one another and come to the same.
struct Stretch {
    first: Line,
    hours: u64,
    named: u64,
    listed: u64,
    ingested: u64,
    records: u64,
}

/// The statement while it is made.
struct Statement {
    bundle: Option<Bundle>,
    lines: Vec<Stretch>,
    keeps: Format,
    totals: BTreeMap<Verdict, u64>,
}

impl Statement {
    fn of_lane(
        &mut self,
        looked: &Looked,
        (lane, place): (&Lane, &Place),
        ring: &KeyRing<'_>,
        from: Option<Timestamp>,
        ingested: &Ingested,
        histories: &Histories,
    ) -> anyhow::Result<()> {
        let mut bundle = self.bundle.as_mut();
        let told = looked.lane(lane, &mut |finding| match &mut bundle {
            Some(bundle) => bundle.line(FINDINGS, &finding_json(lane, finding).to_string()),
            None => Ok(()),
        })?;
        // Then there were keys to judge by.
        let is_judged = told.hours().any(|hour| hour.counts.digests.verified > 0);
        let mut named = NamedByHour::default();
        let evidence = looked.source.evidence();
        let each = &mut |testimony: Testimony| -> Result<(), Failure> {
            for file in &testimony.digest.log_files {
                let at = integrity::layout::delivered(&file.key).unwrap_or(testimony.digest.start);
                named.add(at, ingested.of_file(file));
            }
            let Some(bundle) = &mut bundle else { return Ok(()) };
            bundle.digest(lane, &testimony).map_err(Failure::Write)?;
            match key_of(ring, (lane, place), &testimony) {
                Ok(key) => bundle.key(&key).map_err(Failure::Write),
                Err(error @ NoKey::Unknown(..)) if is_judged => Err(Failure::Key(error)),
                // Told among the findings: the digest could not be judged.
                Err(_) => Ok(()),
            }
        };
        match testimonies(evidence, (lane, place), &looked.question.scope, Limits::default(), each) {
            // What cannot be read is among the findings.
            Ok(_) => {}
            Err(Failure::Trouble(trouble)) => {
                let detail = format!("its digests cannot be listed: {trouble}");
                let line = json!({"kind": "folder", "status": "unjudged", "account": lane.account, "region": lane.region, "detail": detail});
                crate::complain(&format!("{lane}: {detail}"));
                if let Some(bundle) = &mut self.bundle {
                    bundle.line(FINDINGS, &line.to_string())?;
                }
            }
            Err(Failure::Key(error)) => return Err(error).context("failed to put CloudTrail's keys into the bundle"),
            Err(Failure::Write(error)) => return Err(error).context("failed to write the bundle"),
        }
        for hour in told.hours().filter(|hour| from.is_none_or(|from| hour.start.micros() + HOUR > from.micros())) {
            let is_covered = histories.covers(lane, hour.start);
            self.take(Line::of(&lane.account, &lane.region, &hour, named.of(hour.start), is_covered))?;
        }
        Ok(())
    }

    /// The hours of an account in a region of which there is no trail.
    fn of_history(
        &mut self,
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
            self.take(Line::of(account, region, &known, Default::default(), is_covered(coverage, hour)))?;
            start += HOUR;
        }
        Ok(())
    }

    fn take(&mut self, line: Line) -> anyhow::Result<()> {
        if self.totals.is_empty()
            && let Some(bundle) = &mut self.bundle
        {
            bundle.row(STATEMENT, &Line::COLUMNS)?;
        }
        *self.totals.entry(line.verdict).or_default() += 1;
        if let Some(bundle) = &mut self.bundle {
            bundle.row(STATEMENT, &line.fields()).context("failed to write the bundle")?;
        }
        let named = line.named;
        match self.lines.last_mut() {
            Some(last)
                if self.keeps == Format::Table
                    && (&last.first.account, &last.first.region, last.first.verdict, last.first.status)
                        == (&line.account, &line.region, line.verdict, line.status) =>
            {
                last.hours += 1;
                last.named += named.files;
                last.listed += line.listed;
                last.ingested += named.ingested;
                last.records += named.records;
            }
            _ => self.lines.push(Stretch {
                hours: 1,
                named: named.files,
                listed: line.listed,
                ingested: named.ingested,
                records: named.records,
                first: line,
            }),
        }
        Ok(())
    }

    fn exit(&self) -> Exit {
        match self.totals.keys().max() {
            Some(Verdict::Unjudged) => Exit::Rejected,
            Some(Verdict::Wrong | Verdict::Unproven | Verdict::NotIngested) => Exit::Found,
            _ => Exit::Done,
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

    fn write(self, session: &mut Session, summary: &Value) -> anyhow::Result<()> {
        let end = |stretch: &Stretch| {
            let end = stretch.first.hour.micros() + HOUR * i64::try_from(stretch.hours).unwrap_or(0);
            Timestamp::from_micros(end).unwrap_or(Timestamp::MAX).to_string()
        };
        if self.keeps == Format::Table {
            let columns =
                ["verdict", "account", "region", "from", "to", "hours", "named", "listed", "ingested", "records"];
            let mut rows = Rows::new(&columns);
            let left_out = self.lines.len().saturating_sub(SHOWN);
            for stretch in self.lines.iter().take(SHOWN) {
                rows.push(vec![
                    words(stretch.first.verdict).into(),
                    stretch.first.account.as_str().into(),
                    stretch.first.region.as_str().into(),
                    stretch.first.hour.to_string().into(),
                    end(stretch).into(),
                    stretch.hours.into(),
                    stretch.named.into(),
                    stretch.listed.into(),
                    stretch.ingested.into(),
                    stretch.records.into(),
                ]);
            }
            rows.write(Format::Table, columns.len(), &mut session.out)?;
            if left_out > 0 {
                session.out.line(&format!("and {} more; --format csv has every hour", count(left_out as u64)))?;
            }
            let parts: Vec<String> = self
                .totals
                .iter()
                .map(|(verdict, hours)| format!("{} {}", plural(*hours, "hour", "hours"), words(*verdict)))
                .collect();
            return Ok(session.out.line(&format!("\n{}", escape::terminal(&parts.join(", "))))?);
        }
        let mut rows = Rows::new(&Line::COLUMNS);
        for stretch in &self.lines {
            let fields = stretch.first.fields();
            let value = |(place, field): (usize, &String)| match place {
                5..=9 => field.parse::<u64>().map_or(Value::Null, Value::from),
                10 => Value::from(field == "true"),
                _ => Value::from(field.as_str()),
            };
            rows.push(fields.iter().enumerate().map(value).collect());
        }
        rows.write(self.keeps, Line::COLUMNS.len(), &mut session.out)?;
        if !session.global.quiet {
            crate::complain(&summary["hours"].to_string());
        }
        Ok(())
    }
}

/// A verdict, as people read it.
fn words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::NotDue => "not yet due",
        Verdict::NotIngested => "not ingested",
        Verdict::Unjudged => "not judged",
        other => other.as_str(),
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
    let find = |region: &str| ring.find(region, &testimony.digest.fingerprint, None);
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

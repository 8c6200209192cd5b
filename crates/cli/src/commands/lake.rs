//! `trailhound lake`: look after the table of events.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use event::{Column, Timestamp};
use lake::{CompactOptions, LastVacuum, Scan, Status};
use pipeline::state::StateStore;
use serde_json::{Value, json};

use crate::args::{DocumentFormat, Format, LakeCommand};
use crate::exit::{Exit, usage};
use crate::output::{Rows, bytes, count, plural};
use crate::session::Session;
use crate::times;

pub(crate) fn run(session: &mut Session, command: &LakeCommand) -> anyhow::Result<Exit> {
    match command {
        LakeCommand::Status { format } => status(session, *format),
        LakeCommand::Compact { vacuum } => compact(session, vacuum),
        LakeCommand::Expire { older_than, dry_run } => expire(session, older_than, *dry_run),
        LakeCommand::Verify { format } => verify(session, *format),
    }
}

fn status(session: &mut Session, format: DocumentFormat) -> anyhow::Result<Exit> {
    let status = session.open_lake()?.status()?;
    if format == DocumentFormat::Table {
        for line in status_lines(&status).into_iter().chain([last_vacuum(&status)]) {
            session.out.line(&line)?;
        }
        return Ok(Exit::Done);
    }
    session.out.json(&status_json(&status))?;
    Ok(Exit::Done)
}

/// The lake's status, as lines of a table.
pub(crate) fn status_lines(status: &Status) -> Vec<String> {
    let day = |day: Option<event::Day>| day.map_or_else(|| "-".to_owned(), |day| day.to_string());
    let mut lines = vec![
        format!(
            "events        {} on {}, {} to {}",
            count(status.rows),
            plural(status.days, "day", "days"),
            day(status.first_day),
            day(status.last_day)
        ),
        format!(
            "lake          {} in {}, version {}",
            bytes(status.bytes),
            plural(status.files, "file", "files"),
            status.version
        ),
    ];
    if status.uncompacted_days > 0 {
        lines.push(format!(
            "to compact    {} in {}",
            plural(status.small_files, "small file", "small files"),
            plural(status.uncompacted_days, "day", "days")
        ));
    }
    if status.unused_files > 0 {
        lines.push(format!(
            "replaced      {} ({}), deleted after a day",
            plural(status.unused_files, "file", "files"),
            bytes(status.unused_bytes)
        ));
    }
    lines
}

/// When replaced files were last deleted, as a line of a table.
fn last_vacuum(status: &Status) -> String {
    match &status.last_vacuum {
        None => "cleaned up    never".to_owned(),
        Some(LastVacuum { at, files, bytes: size }) => {
            format!(
                "cleaned up    {}: {} ({}) deleted",
                at.whole_second(),
                plural(*files, "file", "files"),
                bytes(*size)
            )
        }
    }
}

/// The lake's status, for programs.
pub(crate) fn status_json(status: &Status) -> Value {
    json!({
        "id": status.id,
        "version": status.version,
        "events": status.rows,
        "days": status.days,
        "first_day": status.first_day.map(|day| day.to_string()),
        "last_day": status.last_day.map(|day| day.to_string()),
        "files": status.files,
        "bytes": status.bytes,
        "small_files": status.small_files,
        "uncompacted_days": status.uncompacted_days,
        "replaced_files": status.unused_files,
        "replaced_bytes": status.unused_bytes,
        "last_vacuum": status.last_vacuum.map(|last| {
            json!({ "at": last.at.whole_second().to_string(), "files": last.files, "bytes": last.bytes })
        }),
    })
}

fn compact(session: &mut Session, vacuum: &str) -> anyhow::Result<Exit> {
    let age = times::age("--vacuum", vacuum)?;
    let retention = Duration::from_micros(u64::try_from(age).unwrap_or_default());
    if retention.is_zero() {
        return Err(usage("--vacuum: at least one second: a reader may be in the middle of a replaced file"));
    }
    let lake = session.open_lake()?;
    let compacted = lake.compact(&CompactOptions::default())?;
    let vacuumed = lake.vacuum(retention)?;
    let lines = [
        format!(
            "compacted {}: {} into {}, {} into {}",
            plural(compacted.days, "day", "days"),
            plural(compacted.files_before, "file", "files"),
            count(compacted.files_after),
            bytes(compacted.bytes_before),
            bytes(compacted.bytes_after)
        ),
        format!(
            "deleted {} ({}) that nothing refers to; {} younger than {vacuum} kept",
            plural(vacuumed.files + vacuumed.temporary, "file", "files"),
            bytes(vacuumed.bytes),
            count(vacuumed.kept)
        ),
    ];
    for line in lines {
        session.out.line(&line)?;
    }
    Ok(Exit::Done)
}

fn expire(session: &mut Session, older_than: &str, dry_run: bool) -> anyhow::Result<Exit> {
    let age = times::age("--older-than", older_than)?;
    if age == 0 {
        return Err(usage("--older-than: at least one day; to be rid of everything, delete the home folder"));
    }
    let limit =
        session.now.micros().checked_sub(age).and_then(Timestamp::from_micros).ok_or_else(|| {
            usage(format!("--older-than {older_than}: that is before the year 2000, and so is no event"))
        })?;
    let before = limit.day();
    let lake = session.open_lake()?;
    let line = if dry_run {
        let scan = Scan { until: before.start(), columns: Some(vec![Column::EventId]), ..Scan::default() };
        let (mut rows, mut days) = (0, BTreeSet::new());
        lake.scan_batches(&scan, |batch| {
            rows += batch.len() as u64;
            days.extend(batch.events().map(|event| event.day()));
            ControlFlow::Continue(())
        })?;
        format!(
            "would remove {} on {} before {before}",
            plural(rows, "event", "events"),
            plural(days.len() as u64, "day", "days")
        )
    } else {
        let expired = lake.expire(before)?;
        // After the events: a crash in between leaves alerts without events, which running it again removes.
        let start = before.start().unwrap_or(Timestamp::MIN);
        let alerts = session.open_state()?.expire_alerts(start)?;
        format!(
            "removed {} on {} before {before} ({}) and {}; the files are deleted after a day",
            plural(expired.rows, "event", "events"),
            plural(expired.days, "day", "days"),
            bytes(expired.bytes),
            plural(alerts, "alert", "alerts"),
        )
    };
    session.out.line(&line)?;
    Ok(Exit::Done)
}

fn verify(session: &mut Session, format: Format) -> anyhow::Result<Exit> {
    let report = session.open_lake()?.verify()?;
    let exit = if report.problems.is_empty() { Exit::Done } else { Exit::Found };
    if format != Format::Table || exit == Exit::Found {
        let mut rows = Rows::new(&["file", "problem"]);
        for problem in report.problems {
            rows.push(vec![problem.file.into(), problem.what.into()]);
        }
        rows.write(format, 2, &mut session.out)?;
    }
    if format == Format::Table {
        let verdict = if exit == Exit::Done { "sound" } else { "NOT sound" };
        let line = format!(
            "version {} is {verdict}: {} in {} on {} checked",
            report.version,
            plural(report.rows, "event", "events"),
            plural(report.files, "file", "files"),
            plural(report.days, "day", "days")
        );
        session.out.line(&line)?;
    }
    Ok(exit)
}

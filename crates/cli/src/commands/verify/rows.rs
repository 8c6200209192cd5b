//! Findings and hours, as rows in every format.

use std::io;

use event::Timestamp;
use integrity::layout::Lane;
use integrity::report::{Finding, HOUR, Status};
use pipeline::escape;
use serde_json::Value;

use super::told::{Stretch, Told};
use super::{noun, words};
use crate::args::Format;
use crate::output::{Output, Rows, count};
use crate::session::Session;

const COLUMNS: &[&str] =
    &["kind", "status", "account", "region", "trail", "from", "to", "key", "detail", "digests", "logs"];
/// The most findings, and the most stretches of hours, that a table shows.
const SHOWN: usize = 1000;

pub(super) fn write(session: &mut Session, format: Format, told: &Told<'_>) -> anyhow::Result<()> {
    if format == Format::Table {
        return table(session, told);
    }
    let mut rows = Writer::begin(&mut session.out, format, COLUMNS)?;
    for (name, reason) in &told.question.unread {
        let row = vec![
            "folder".into(),
            "unjudged".into(),
            Value::Null,
            Value::Null,
            Value::Null,
            Value::Null,
            Value::Null,
            name.as_str().into(),
            reason.as_str().into(),
            Value::Null,
            Value::Null,
        ];
        rows.row(&mut session.out, row)?;
    }
    for (lane, _) in &told.question.lanes {
        let found = told.lane(lane, &mut |finding| rows.row(&mut session.out, of_finding(lane, finding)))?;
        for hour in found.hours() {
            let to = Timestamp::from_micros(hour.start.micros() + HOUR);
            let stretch = Stretch {
                from: hour.start,
                to: to.unwrap_or(Timestamp::MAX),
                status: hour.status,
                hours: 1,
                counts: hour.counts,
            };
            rows.row(&mut session.out, of_hour(lane, &stretch, found.why(lane, &stretch, told.why)))?;
        }
    }
    end(session, rows, told)
}

/// The summary last: for programs in JSON, for people beside CSV.
fn end(session: &mut Session, mut rows: Writer, told: &Told<'_>) -> anyhow::Result<()> {
    if rows.format != Format::Csv {
        rows.object(&mut session.out, &told.summary()?)?;
    }
    rows.end(&mut session.out)?;
    if rows.format == Format::Csv && !session.global.quiet {
        told.lines()?.iter().for_each(|line| crate::complain(line));
    }
    Ok(())
}

fn of_finding(lane: &Lane, finding: &Finding) -> Vec<Value> {
    let Finding { kind, status, from, to, trail, key, detail } = finding;
    vec![
        kind.as_str().into(),
        status.as_str().into(),
        lane.account.as_str().into(),
        lane.region.as_str().into(),
        trail.as_deref().into(),
        from.whole_second().to_string().into(),
        to.map(|to| to.whole_second().to_string()).into(),
        key.as_deref().into(),
        detail.as_str().into(),
        Value::Null,
        Value::Null,
    ]
}

fn of_hour(lane: &Lane, stretch: &Stretch, why: Option<String>) -> Vec<Value> {
    let Stretch { from, to, status, counts, .. } = stretch;
    vec![
        "hour".into(),
        status.as_str().into(),
        lane.account.as_str().into(),
        lane.region.as_str().into(),
        Value::Null,
        from.to_string().into(),
        to.to_string().into(),
        Value::Null,
        why.into(),
        counts.digests.total().into(),
        counts.logs.total().into(),
    ]
}

/// Rows as they come: there may be more than fit into memory.
pub(crate) struct Writer {
    format: Format,
    columns: &'static [&'static str],
    is_first: bool,
}

impl Writer {
    /// Begins rows of any format but a table.
    pub(crate) fn begin(out: &mut Output, format: Format, columns: &'static [&'static str]) -> io::Result<Writer> {
        match format {
            Format::Csv => out.csv_heading(columns)?,
            Format::Json => out.text("[")?,
            Format::Jsonl | Format::Table => {}
        }
        Ok(Writer { format, columns, is_first: true })
    }

    pub(crate) fn row(&mut self, out: &mut Output, row: Vec<Value>) -> io::Result<()> {
        if self.format == Format::Csv {
            return out.csv([row]);
        }
        let object = self.columns.iter().map(|name| (*name).to_owned()).zip(row).collect();
        self.object(out, &Value::Object(object))
    }

    fn object(&mut self, out: &mut Output, object: &Value) -> io::Result<()> {
        let text = object.to_string();
        let text = escape::json(&text);
        let is_first = std::mem::replace(&mut self.is_first, false);
        match self.format {
            Format::Json => out.text(&format!("{}\n{text}", if is_first { "" } else { "," })),
            _ => out.line(&text),
        }
    }

    /// Ends the rows.
    pub(crate) fn end(&self, out: &mut Output) -> io::Result<()> {
        match self.format {
            Format::Json => out.text("\n]\n"),
            _ => out.flush(),
        }
    }
}

fn table(session: &mut Session, told: &Told<'_>) -> anyhow::Result<()> {
    let mut findings = Rows::new(&["status", "what", "account", "region", "time", "file", "detail"]);
    let mut hours = Rows::new(&["status", "account", "region", "from", "to", "hours", "digests", "logs", "why"]);
    let (mut number, mut stretches) = (told.question.unread.len(), 0);
    for (name, reason) in told.question.unread.iter().take(SHOWN) {
        let cells = [words(Status::Unjudged), "folder or file", "", "", "", name, reason];
        findings.push(cells.map(Value::from).to_vec());
    }
    for (lane, _) in &told.question.lanes {
        let found = told.lane(lane, &mut |finding| {
            number += 1;
            if number <= SHOWN {
                let time = finding.from.whole_second().to_string();
                let file = finding.key.as_deref().map_or("", |key| key.rsplit('/').next().unwrap_or(key));
                let what = noun(finding.kind);
                let cells = [words(finding.status), what, &lane.account, &lane.region, &time, file, &finding.detail];
                findings.push(cells.map(Value::from).to_vec());
            }
            Ok(())
        })?;
        for stretch in found.stretches() {
            stretches += 1;
            if stretches > SHOWN {
                continue;
            }
            hours.push(vec![
                words(stretch.status).into(),
                lane.account.as_str().into(),
                lane.region.as_str().into(),
                stretch.from.to_string().into(),
                stretch.to.to_string().into(),
                stretch.hours.into(),
                stretch.counts.digests.total().into(),
                stretch.counts.logs.total().into(),
                found.why(lane, &stretch, told.why).into(),
            ]);
        }
    }
    if !findings.is_empty() {
        findings.write(Format::Table, 7, &mut session.out)?;
        rest(session, number, "findings")?;
        session.out.line("")?;
    }
    if !hours.is_empty() {
        hours.write(Format::Table, 9, &mut session.out)?;
        rest(session, stretches, "stretches of hours")?;
        session.out.line("")?;
    }
    for line in told.lines()? {
        session.out.line(&line)?;
    }
    Ok(())
}

fn rest(session: &mut Session, number: usize, what: &str) -> anyhow::Result<()> {
    if number > SHOWN {
        let more = count((number - SHOWN) as u64);
        session.out.line(&format!("… and {more} more {what}: --format jsonl or csv has all"))?;
    }
    Ok(())
}

//! The statement as it is shown: every hour as it comes, or a table of those that follow one another and come to the same.

use std::collections::BTreeMap;
use std::io;

use event::Timestamp;
use integrity::report::HOUR;
use integrity::statement::{Line, Verdict};
use pipeline::escape;
use serde_json::Value;

use crate::args::Format;
use crate::commands::verify::Writer;
use crate::output::{Output, Rows, count, plural};

/// Stretches of hours that a table shows.
const SHOWN: usize = 1000;

/// Where hours go.
pub(super) enum Shown {
    Nowhere,
    Table(Stretches),
    /// Begun with the first of them.
    Rows(Format, Option<Writer>),
}

impl Shown {
    pub(super) fn new(format: Format) -> Shown {
        match format {
            Format::Table => Shown::Table(Stretches::default()),
            format => Shown::Rows(format, None),
        }
    }

    pub(super) fn take(&mut self, out: &mut Output, line: Line) -> io::Result<()> {
        match self {
            Shown::Nowhere => Ok(()),
            Shown::Table(stretches) => {
                stretches.take(line);
                Ok(())
            }
            Shown::Rows(format, writer) => {
                let writer = match writer {
                    Some(writer) => writer,
                    none => none.insert(Writer::begin(out, *format, &Line::COLUMNS)?),
                };
                writer.row(out, row(&line))
            }
        }
    }

    /// Ends it: a table with how many hours come to what.
    pub(super) fn end(self, out: &mut Output, totals: &BTreeMap<Verdict, u64>) -> io::Result<()> {
        match self {
            Shown::Nowhere => Ok(()),
            Shown::Rows(_, writer) => writer.map_or(Ok(()), |writer| writer.end(out)),
            Shown::Table(stretches) => {
                stretches.write(out)?;
                let parts: Vec<String> = totals
                    .iter()
                    .map(|(verdict, hours)| format!("{} {}", plural(*hours, "hour", "hours"), words(*verdict)))
                    .collect();
                out.line(&format!("\n{}", escape::terminal(&parts.join(", "))))
            }
        }
    }
}

fn row(line: &Line) -> Vec<Value> {
    let fields = line.fields();
    let value = |(name, field): (&&str, &String)| match *name {
        "digests" | "named" | "listed" | "ingested" | "records" => {
            field.parse::<u64>().map_or(Value::Null, Value::from)
        }
        "covered" => Value::from(line.is_covered),
        _ => Value::from(field.as_str()),
    };
    Line::COLUMNS.iter().zip(&fields).map(value).collect()
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

/// Stretches of hours: those that are shown, and the number of all.
#[derive(Default)]
pub(super) struct Stretches {
    shown: Vec<Stretch>,
    last: Option<Stretch>,
    left_out: u64,
}

impl Stretches {
    fn take(&mut self, line: Line) {
        let Line { listed, named, .. } = line;
        if let Some(last) = &mut self.last
            && is_same(&last.first, &line)
        {
            last.hours += 1;
            last.named += named.files;
            last.listed += listed;
            last.ingested += named.ingested;
            last.records += named.records;
            return;
        }
        self.close();
        self.last = Some(Stretch {
            hours: 1,
            named: named.files,
            listed,
            ingested: named.ingested,
            records: named.records,
            first: line,
        });
    }

    fn close(&mut self) {
        let Some(last) = self.last.take() else { return };
        if self.shown.len() < SHOWN { self.shown.push(last) } else { self.left_out += 1 }
    }

    fn write(mut self, out: &mut Output) -> io::Result<()> {
        self.close();
        let columns = ["verdict", "account", "region", "from", "to", "hours", "named", "listed", "ingested", "records"];
        let mut rows = Rows::new(&columns);
        for Stretch { first, hours, named, listed, ingested, records } in self.shown {
            let end = first.hour.micros() + HOUR * i64::try_from(hours).unwrap_or(0);
            let end = Timestamp::from_micros(end).unwrap_or(Timestamp::MAX);
            rows.push(vec![
                words(first.verdict).into(),
                first.account.into(),
                first.region.into(),
                first.hour.to_string().into(),
                end.to_string().into(),
                hours.into(),
                named.into(),
                listed.into(),
                ingested.into(),
                records.into(),
            ]);
        }
        rows.write(Format::Table, columns.len(), out)?;
        if self.left_out > 0 {
            out.line(&format!("and {} more; --format csv has every hour", count(self.left_out)))?;
        }
        Ok(())
    }
}

fn is_same(left: &Line, right: &Line) -> bool {
    let of = |line: &Line| (line.verdict, line.status);
    of(left) == of(right)
        && (&left.folder, &left.account, &left.region) == (&right.folder, &right.account, &right.region)
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

//! An answer's rows in every format, to standard output or to a file.

use std::fs::File;
use std::path::PathBuf;

use anyhow::Context;
use pipeline::escape;
use query::{Answer, Block};
use serde_json::{Map, Value};

use crate::args::{AnswerArgs, AnswerFormat, Format};
use crate::exit::usage;
use crate::output::{Output, Rows};
use crate::session::Session;

/// Where an answer goes: standard output, or a file that appears when it is whole.
pub(super) enum Target {
    Stdout,
    File { path: PathBuf, temporary: PathBuf, out: Output },
    Parquet { path: PathBuf, temporary: PathBuf, file: Option<Box<query::ParquetFile>> },
}

/// What a block is written to.
pub(super) enum Sink<'t> {
    Text(&'t mut Output),
    Parquet(&'t mut Option<Box<query::ParquetFile>>),
}

impl Target {
    /// A file of Parquet takes the types of an answer of the embedded engine.
    pub(super) fn open(arguments: &AnswerArgs, answer: Option<&Answer>) -> anyhow::Result<Target> {
        let Some(path) = arguments.output.clone() else {
            if arguments.format == AnswerFormat::Parquet {
                return Err(usage("--format parquet needs --output FILE"));
            }
            return Ok(Target::Stdout);
        };
        let name = path.file_name().ok_or_else(|| usage(format!("--output {} is no file", path.display())))?;
        let temporary = path.with_file_name(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
        let file = File::create(&temporary).with_context(|| format!("failed to write {}", path.display()))?;
        if let (AnswerFormat::Parquet, Some(answer)) = (arguments.format, answer) {
            return Ok(Target::Parquet { path, temporary, file: Some(Box::new(answer.parquet(file)?)) });
        }
        Ok(Target::File { path, temporary, out: Output::file(file) })
    }

    pub(super) fn get<'t>(&'t mut self, session: &'t mut Session) -> Sink<'t> {
        match self {
            Target::Stdout => Sink::Text(&mut session.out),
            Target::File { out, .. } => Sink::Text(out),
            Target::Parquet { file, .. } => Sink::Parquet(file),
        }
    }

    /// Puts a file in its place, and returns it.
    pub(super) fn finish(&mut self, session: &mut Session) -> anyhow::Result<Option<PathBuf>> {
        let (path, temporary) = match self {
            Target::Stdout => {
                session.out.flush()?;
                return Ok(None);
            }
            Target::File { path, temporary, out } => {
                out.flush()?;
                (path, temporary)
            }
            Target::Parquet { path, temporary, file } => {
                if let Some(file) = file.take() {
                    file.finish()?;
                }
                (path, temporary)
            }
        };
        std::fs::rename(&*temporary, &*path).with_context(|| format!("failed to write {}", path.display()))?;
        Ok(Some(path.clone()))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Target::File { temporary, .. } | Target::Parquet { temporary, .. } = self {
            // There is none where the file is in its place.
            let _ = std::fs::remove_file(temporary);
        }
    }
}

/// Writes blocks in a format, one after the other.
pub(super) struct Writer {
    format: AnswerFormat,
    columns: Vec<String>,
    /// The places of the columns that a table shows.
    shown: Vec<usize>,
    table: Rows,
    rows: u64,
}

impl Writer {
    pub(super) fn new(format: AnswerFormat, columns: Vec<String>, shown: &[String]) -> Writer {
        let all = shown.is_empty() || format != AnswerFormat::Table;
        let places: Vec<usize> = match all {
            true => (0..columns.len()).collect(),
            false => shown.iter().filter_map(|name| columns.iter().position(|column| column == name)).collect(),
        };
        let names: Vec<&String> = places.iter().filter_map(|&place| columns.get(place)).collect();
        let table = Rows::verbatim(&names);
        Writer { format, columns, shown: places, table, rows: 0 }
    }

    /// Writes a block of the embedded engine's.
    pub(super) fn write(&mut self, block: &Block, sink: Sink<'_>) -> anyhow::Result<()> {
        match sink {
            Sink::Parquet(Some(file)) => Ok(file.write(block)?),
            Sink::Parquet(None) => Ok(()),
            Sink::Text(out) => self.rows((0..block.len()).map(|row| block.row(row)), out),
        }
    }

    /// Writes rows as text.
    pub(super) fn rows(&mut self, rows: impl Iterator<Item = Vec<Value>>, out: &mut Output) -> anyhow::Result<()> {
        if self.format == AnswerFormat::Csv {
            let mut rows = rows.peekable();
            if self.rows == 0 && rows.peek().is_some() {
                out.csv_heading(&self.columns)?;
            }
            let count = &mut self.rows;
            return Ok(out.csv(rows.inspect(|_| *count += 1))?);
        }
        for values in rows {
            match self.format {
                AnswerFormat::Table => {
                    let shown = self.shown.iter().map(|&place| values.get(place).cloned().unwrap_or(Value::Null));
                    self.table.push(shown.collect());
                }
                AnswerFormat::Jsonl => out.line(&escape::json(&self.object(values).to_string()))?,
                AnswerFormat::Json => {
                    let comma = if self.rows == 0 { "[" } else { "," };
                    out.text(&format!("{comma}\n  {}", escape::json(&self.object(values).to_string())))?;
                }
                AnswerFormat::Csv => unreachable!("written above"),
                AnswerFormat::Parquet => unreachable!("written by the block"),
            }
            self.rows += 1;
        }
        Ok(())
    }

    fn object(&self, values: Vec<Value>) -> Value {
        Value::Object(self.columns.iter().cloned().zip(values).collect::<Map<_, _>>())
    }

    /// Writes what stands at the end.
    pub(super) fn finish(self, sink: Sink<'_>) -> anyhow::Result<()> {
        let Sink::Text(out) = sink else { return Ok(()) };
        match self.format {
            AnswerFormat::Table => {
                if !self.table.is_empty() {
                    let all = self.shown.len();
                    self.table.write(Format::Table, all, out)?;
                }
            }
            AnswerFormat::Json => out.line(if self.rows == 0 { "[]" } else { "\n]" })?,
            AnswerFormat::Csv if self.rows == 0 => out.csv_heading(&self.columns)?,
            AnswerFormat::Csv | AnswerFormat::Jsonl | AnswerFormat::Parquet => {}
        }
        Ok(())
    }
}

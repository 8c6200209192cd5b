//! Results on standard output, in the format that was asked for.
//!
//! Everything that comes out of an event passes through here, and is escaped for where it goes.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use comfy_table::{Attribute, Cell, CellAlignment, Color as Paint, ColumnConstraint, ContentArrangement, Table};
use pipeline::escape;
use serde_json::{Map, Value};

use crate::args::{Color, Format};

/// Rows of named values.
pub(crate) struct Rows {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
    /// Whether a table's headings are the columns' names as they are written, to be used in the next question.
    verbatim: bool,
}

impl Rows {
    pub(crate) fn new<C: AsRef<str>>(columns: &[C]) -> Rows {
        Rows {
            columns: columns.iter().map(|name| name.as_ref().to_owned()).collect(),
            rows: Vec::new(),
            verbatim: false,
        }
    }

    /// Rows whose columns the user named.
    pub(crate) fn verbatim<C: AsRef<str>>(columns: &[C]) -> Rows {
        Rows { verbatim: true, ..Rows::new(columns) }
    }

    pub(crate) fn push(&mut self, row: Vec<Value>) {
        debug_assert_eq!(row.len(), self.columns.len(), "a row has a value for every column");
        self.rows.push(row);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes the rows. A table shows only the first `shown` columns; every other format has all.
    pub(crate) fn write(self, format: Format, shown: usize, out: &mut Output) -> io::Result<()> {
        match format {
            Format::Table => self.table(shown, out),
            Format::Json => {
                let rows: Vec<Value> = self.objects().collect();
                out.json(&Value::Array(rows))
            }
            Format::Jsonl => {
                for row in self.objects() {
                    out.line(&escape::json(&row.to_string()))?;
                }
                Ok(())
            }
            Format::Csv => self.csv(out),
        }
    }

    fn width(&self, column: usize) -> ColumnWidth {
        let mut width = ColumnWidth { content: self.columns[column].chars().count(), is_one_word: true };
        for text in self.rows.iter().map(|row| plain(&row[column])) {
            width.content = width.content.max(escape::single_line(&text, MAX_CELL).chars().count());
            width.is_one_word &= !text.contains(char::is_whitespace);
        }
        width
    }

    fn objects(self) -> impl Iterator<Item = Value> {
        let columns = self.columns;
        self.rows.into_iter().map(move |row| {
            let object: Map<String, Value> = columns.iter().cloned().zip(row).collect();
            Value::Object(object)
        })
    }

    fn csv(self, out: &mut Output) -> io::Result<()> {
        out.csv_heading(&self.columns)?;
        out.csv(&self.rows)
    }

    fn table(self, shown: usize, out: &mut Output) -> io::Result<()> {
        let columns: Vec<ColumnWidth> = (0..shown.min(self.columns.len())).map(|column| self.width(column)).collect();
        let shown = fitting(&columns, usize::from(out.width));
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(out.width);
        if !out.colored {
            table.force_no_tty();
            table.set_width(out.width);
        } else {
            table.enforce_styling();
        }
        let heading = |name: &String| match self.verbatim {
            true => escape::single_line(name, MAX_CELL).into_owned(),
            false => name.replace('_', " ").to_uppercase(),
        };
        let heading = |name| Cell::new(heading(name)).add_attribute(Attribute::Bold);
        table.set_header(self.columns.iter().take(shown).map(heading));
        for row in &self.rows {
            table.add_row(row.iter().take(shown).map(|value| {
                let text = plain(value);
                let cell = Cell::new(escape::single_line(&text, MAX_CELL));
                let cell = if value.is_number() { cell.set_alignment(CellAlignment::Right) } else { cell };
                match paint(&text) {
                    Some(color) if out.colored => cell.fg(color),
                    _ => cell,
                }
            }));
        }
        for (column, width) in table.column_iter_mut().zip(&columns) {
            if width.is_whole() {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        for line in table.lines() {
            out.line(line.trim_end())?;
        }
        Ok(())
    }
}

/// How much room a column wants.
struct ColumnWidth {
    content: usize,
    is_one_word: bool,
}

impl ColumnWidth {
    /// Whether its cells are never broken: an id, a time or an address is only of use in one piece.
    fn is_whole(&self) -> bool {
        self.is_one_word && self.content <= 40
    }

    /// The least it can do with.
    fn least(&self) -> usize {
        if self.is_whole() { self.content } else { self.content.min(16) }
    }
}

/// How many of the columns fit, the first ones first; at least one.
fn fitting(columns: &[ColumnWidth], room: usize) -> usize {
    const PADDING: usize = 2;
    let mut taken = 0;
    let fit = columns.iter().take_while(|column| {
        taken += column.least() + PADDING;
        taken <= room
    });
    fit.count().max(1)
}

/// A cell of a table is no longer than this; every other format has the whole text.
const MAX_CELL: usize = 200;

/// The colour of a severity.
fn paint(text: &str) -> Option<Paint> {
    match text {
        "critical" => Some(Paint::Red),
        "high" => Some(Paint::Magenta),
        "medium" => Some(Paint::Yellow),
        _ => None,
    }
}

/// A value as text without quotes; null is nothing.
pub(crate) fn plain(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// Where results go: standard output, as wide and as colourful as it is, or a file.
pub(crate) struct Output {
    stream: io::BufWriter<Box<dyn Write>>,
    colored: bool,
    width: u16,
}

/// Bytes that are gathered before they are written.
const BUFFER: usize = 1 << 18;
/// The width of tables that do not go to a terminal.
const PLAIN_WIDTH: u16 = 160;

impl Output {
    pub(crate) fn new(color: Color) -> Output {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        let width = match Table::new().width() {
            Some(width) if terminal => width,
            _ => std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).unwrap_or(PLAIN_WIDTH),
        };
        Output {
            stream: io::BufWriter::with_capacity(BUFFER, Box::new(stdout.lock())),
            colored: colored(color, terminal),
            width: width.max(40),
        }
    }

    /// A file, without colour.
    pub(crate) fn file(file: std::fs::File) -> Output {
        Output { stream: io::BufWriter::with_capacity(BUFFER, Box::new(file)), colored: false, width: PLAIN_WIDTH }
    }

    /// Writes the first line of CSV.
    pub(crate) fn csv_heading<C: AsRef<str>>(&mut self, columns: &[C]) -> io::Result<()> {
        let mut writer = csv::Writer::from_writer(&mut self.stream);
        for column in columns {
            writer.write_field(escape::csv_cell(column.as_ref()).as_bytes())?;
        }
        writer.write_record(None::<&[u8]>)?;
        writer.flush()
    }

    /// Writes rows of CSV, text escaped: a number that begins with `-` is no formula. The stream is flushed once for all.
    pub(crate) fn csv<R: AsRef<[Value]>>(&mut self, rows: impl IntoIterator<Item = R>) -> io::Result<()> {
        let mut writer = csv::Writer::from_writer(&mut self.stream);
        for row in rows {
            for value in row.as_ref() {
                match plain(value) {
                    text if value.is_number() => writer.write_field(text.as_bytes())?,
                    text => writer.write_field(escape::csv_cell(&text).as_bytes())?,
                }
            }
            writer.write_record(None::<&[u8]>)?;
        }
        writer.flush()
    }

    /// Writes text that holds no stranger's, or that was escaped.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(text.as_bytes())
    }

    /// Writes a line that holds no stranger's text, or one that was escaped.
    pub(crate) fn line(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.stream, "{line}")
    }

    /// Writes a JSON document, indented.
    pub(crate) fn json(&mut self, value: &Value) -> io::Result<()> {
        // A `Value` always serialises.
        let text = serde_json::to_string_pretty(value)?;
        self.line(&escape::json(&text))
    }

    /// A text in bold, where there is colour.
    pub(crate) fn bold(&self, text: &str) -> String {
        if self.colored { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// A severity in its colour, where there is colour.
    pub(crate) fn severity(&self, severity: detect::Severity) -> String {
        let code = match severity {
            detect::Severity::Critical => "1;31",
            detect::Severity::High => "1;35",
            detect::Severity::Medium => "33",
            detect::Severity::Low | detect::Severity::Informational => "2",
        };
        let name = severity.as_str();
        if self.colored { format!("\u{1b}[{code}m{name}\u{1b}[0m") } else { name.to_owned() }
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Whether a stream is to be coloured.
pub(crate) fn colored(color: Color, terminal: bool) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        // https://no-color.org: set and not empty.
        Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}

/// A number with thousands set apart, as people read it.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes as people read them, in powers of 1000.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut size = number as f64;
    let mut unit = 0;
    while size >= 1000.0 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{number} B") } else { format!("{size:.1} {}", UNITS[unit]) }
}

/// `1 file`, `2 files`.
pub(crate) fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(30_477_123), "30,477,123");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(44_307_672), "44.3 MB");
    }
}

//! A file's statistics as the Delta log keeps them: what lets a reader leave a file alone.

use std::ops::Deref;
use std::sync::OnceLock;

use event::{Column, Timestamp};
use serde_json::{Map, Value, json};

use crate::schema::BOUNDED;

/// Longer texts are cut in the log; a bound may be wide but never wrong.
const LONGEST: usize = 48;

/// How many rows a file has, and between which values they lie.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FileStats {
    pub(crate) rows: u64,
    /// The first and the last `event_time`, in microseconds.
    pub(crate) time: Option<(i64, i64)>,
    /// The bounds of the columns of [`BOUNDED`]; `None` where unknown or all null.
    pub(crate) texts: [Option<(String, String)>; BOUNDED.len()],
    /// How many values are null, by column of [`BOUNDED`].
    pub(crate) nulls: [u64; BOUNDED.len()],
}

/// A file's statistics as the log has them. Most files of a table are of no interest to a question, so they are read
/// when somebody asks.
#[derive(Debug, Clone)]
pub(crate) struct LoggedStats {
    json: Option<String>,
    read: OnceLock<FileStats>,
}

impl LoggedStats {
    pub(crate) fn new(json: Option<String>) -> LoggedStats {
        LoggedStats { json, read: OnceLock::new() }
    }

    /// What the log has.
    pub(crate) fn json(&self) -> Option<&str> {
        self.json.as_deref()
    }
}

impl Deref for LoggedStats {
    type Target = FileStats;

    fn deref(&self) -> &FileStats {
        self.read.get_or_init(|| self.json().map(FileStats::parse).unwrap_or_default())
    }
}

impl PartialEq for LoggedStats {
    fn eq(&self, other: &Self) -> bool {
        // The library writes the same statistics as another text.
        **self == **other
    }
}

impl Eq for LoggedStats {}

impl FileStats {
    /// Takes one row's value of a bounded column in.
    pub(crate) fn widen(&mut self, place: usize, text: Option<&str>) {
        let Some(text) = text else {
            self.nulls[place] += 1;
            return;
        };
        match &mut self.texts[place] {
            Some((low, high)) => {
                if text < low.as_str() {
                    text.clone_into(low);
                } else if text > high.as_str() {
                    text.clone_into(high);
                }
            }
            bounds => *bounds = Some((text.to_owned(), text.to_owned())),
        }
    }

    /// Takes one row's time in.
    pub(crate) fn widen_time(&mut self, micros: i64) {
        self.time = Some(self.time.map_or((micros, micros), |(low, high)| (low.min(micros), high.max(micros))));
    }

    /// The statistics as the log writes them.
    pub(crate) fn to_json(&self) -> String {
        let (mut low, mut high, mut nulls) = (Map::new(), Map::new(), Map::new());
        nulls.insert("event_id".into(), json!(0));
        nulls.insert("event_time".into(), json!(0));
        if let Some((first, last)) = self.time {
            low.insert("event_time".into(), json!(instant(first)));
            high.insert("event_time".into(), json!(instant(last)));
        }
        for (place, column) in BOUNDED.iter().enumerate() {
            nulls.insert(column.name().into(), json!(self.nulls[place]));
            if let Some((smallest, largest)) = &self.texts[place] {
                low.insert(column.name().into(), json!(cut(smallest)));
                if let Some(largest) = cut_above(largest) {
                    high.insert(column.name().into(), json!(largest));
                }
            }
        }
        json!({ "numRecords": self.rows, "minValues": low, "maxValues": high, "nullCount": nulls }).to_string()
    }

    /// Reads what [`FileStats::to_json`] or another writer wrote; what cannot be understood is unknown.
    pub(crate) fn parse(text: &str) -> FileStats {
        let value: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        let mut stats = FileStats { rows: value["numRecords"].as_u64().unwrap_or(0), ..FileStats::default() };
        let (low, high, nulls) = (&value["minValues"], &value["maxValues"], &value["nullCount"]);
        let micros = |value: &Value| value.as_str().and_then(Timestamp::parse).map(Timestamp::micros);
        stats.time = micros(&low["event_time"]).zip(micros(&high["event_time"]));
        for (place, column) in BOUNDED.iter().enumerate() {
            let text = |value: &Value| value[column.name()].as_str().map(str::to_owned);
            stats.texts[place] = text(low).zip(text(high));
            stats.nulls[place] = nulls[column.name()].as_u64().unwrap_or(0);
        }
        stats
    }

    /// Texts between which the values of a column lie.
    pub(crate) fn bounds(&self, column: Column) -> Option<(&str, &str)> {
        let place = BOUNDED.iter().position(|&bounded| bounded == column)?;
        self.texts[place].as_ref().map(|(low, high)| (low.as_str(), high.as_str()))
    }

    /// Whether a row with this value in the column can be in the file.
    pub(crate) fn may_hold(&self, column: Column, text: &str) -> bool {
        self.bounds(column).is_none_or(|(low, high)| low <= text && text <= high)
    }
}

/// A time as statistics spell it.
fn instant(micros: i64) -> String {
    let text = Timestamp::from_micros(micros).map(|time| time.to_string()).unwrap_or_default();
    // Some readers insist on a fraction.
    match text.strip_suffix('Z') {
        Some(whole) if !whole.contains('.') => format!("{whole}.000Z"),
        _ => text,
    }
}

fn floor(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

/// A lower bound: any prefix is one.
fn cut(text: &str) -> &str {
    if text.len() <= LONGEST { text } else { floor(text) }
}

/// An upper bound: a prefix whose last character is raised. `None` if no character can be.
fn cut_above(text: &str) -> Option<String> {
    if text.len() <= LONGEST {
        return Some(text.to_owned());
    }
    let mut prefix = floor(text).to_owned();
    while let Some(last) = prefix.pop() {
        // Only ASCII is raised: byte order and every reader's order agree on it.
        if last.is_ascii() && last < '~' {
            prefix.push(char::from(last as u8 + 1));
            return Some(prefix);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// A file must never be left alone although it holds what is looked for, however the bounds were cut.
        #[test]
        fn bounds_hold_what_they_were_made_of(texts in proptest::collection::vec("\\PC{0,80}|~{40,60}|[a-z]{47,50}", 1..20)) {
            let mut stats = FileStats::default();
            for text in &texts {
                stats.widen(2, Some(text));
            }
            let read = FileStats::parse(&stats.to_json());
            for text in &texts {
                prop_assert!(read.may_hold(BOUNDED[2], text), "{text} outside {:?}", read.texts[2]);
            }
        }

        #[test]
        fn times_come_back(first in 946_684_800_000_000i64..4_102_444_799_999_999, length in 0i64..1_000_000_000) {
            let last = (first + length).min(4_102_444_799_999_999);
            let mut stats = FileStats { rows: 2, ..FileStats::default() };
            stats.widen_time(last);
            stats.widen_time(first);
            prop_assert_eq!(FileStats::parse(&stats.to_json()).time, Some((first, last)));
        }
    }

    #[test]
    fn what_others_wrote_is_unknown_rather_than_wrong() {
        for text in ["", "{}", "[1]", r#"{"numRecords":"many","minValues":{"event_time":3}}"#] {
            assert_eq!(FileStats::parse(text), FileStats::default(), "{text}");
            assert!(FileStats::parse(text).may_hold(Column::AccountId, "1"));
        }
    }
}

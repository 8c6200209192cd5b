//! Whether the lake is what its log says.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use deltalake_core::kernel::Version;
use event::{Day, EventKey};

use crate::ids::ContentHash;
use crate::reader::OpenFile;
use crate::rows::EventBatch;
use crate::schema::{BOUNDED, FILE, TableColumn};
use crate::storage::Storage;
use crate::table::DataFile;
use crate::{Lake, LakeError};

/// Something about a file that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, relative to the table.
    pub file: String,
    /// What is wrong with it.
    pub what: String,
}

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// The version that was looked at.
    pub version: Version,
    /// Days looked at.
    pub days: u64,
    /// Files looked at.
    pub files: u64,
    /// Rows looked at.
    pub rows: u64,
    /// Everything that is wrong; at most a few lines a file.
    pub problems: Vec<Problem>,
}

/// Problems of one kind are told this often a file.
const TOLD: usize = 3;

impl Lake {
    /// Reads every file of the newest version whole and checks it: that it is there in full length, that each of its
    /// rows is in the right partition and order, within the log's statistics, stored once, and still has the content
    /// its hash was made of.
    ///
    /// # Errors
    ///
    /// If the log cannot be read. What is wrong with files is reported, not returned as an error.
    pub fn verify(&self) -> Result<VerifyReport, LakeError> {
        let table = self.table()?;
        let mut report = VerifyReport { version: table.version(), ..VerifyReport::default() };
        for (day, _) in table.days() {
            report.days += 1;
            let mut ids: HashSet<EventKey> = HashSet::new();
            for file in table.files_of(day) {
                report.files += 1;
                let mut check =
                    Check { file: &file, day, ids: &mut ids, order: Vec::new(), problems: Vec::new(), rows: 0 };
                if let Err(error) = check.whole(self.storage()) {
                    check.problems.push((Kind::Unreadable, error.to_string()));
                }
                report.rows += check.rows;
                let problems = check.problems.into_iter();
                report.problems.extend(problems.map(|(_, what)| Problem { file: file.path.clone(), what }));
            }
        }
        Ok(report)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unreadable,
    Size,
    Columns,
    Rows,
    Partition,
    Statistics,
    Order,
    Twice,
    Content,
}

/// A column that a file is sorted by, and what the row before said in it.
struct Last {
    column: TableColumn,
    text: Option<String>,
    micros: i64,
}

struct Check<'a> {
    file: &'a Arc<DataFile>,
    day: Day,
    ids: &'a mut HashSet<EventKey>,
    /// The columns that the file says it is sorted by.
    order: Vec<Last>,
    problems: Vec<(Kind, String)>,
    rows: u64,
}

impl Check<'_> {
    fn tell(&mut self, kind: Kind, what: impl FnOnce() -> String) {
        if self.problems.iter().filter(|(told, _)| *told == kind).count() < TOLD {
            self.problems.push((kind, what()));
        }
    }

    fn whole(&mut self, storage: &Storage) -> Result<(), LakeError> {
        let size = storage.size(&self.file.path)?;
        let expected = self.file.size;
        match size {
            None => self.tell(Kind::Size, || "the file is missing".into()),
            Some(size) if size != expected => {
                self.tell(Kind::Size, || format!("{size} bytes where the log says {expected}"));
            }
            Some(_) => {}
        }
        if size != Some(expected) {
            return Ok(());
        }
        let open = OpenFile::open(storage, self.file)?;
        for &column in FILE.iter() {
            if open.reader().place(column).is_none() {
                self.tell(Kind::Columns, || format!("it has no column {}", column.name()));
            }
        }
        self.order =
            open.reader().sorted_by().into_iter().map(|column| Last { column, text: None, micros: 0 }).collect();
        for batch in open.reader().read(FILE.iter().copied())? {
            self.batch(&batch?);
        }
        let (found, said) = (self.rows, self.file.rows());
        if found != said {
            self.tell(Kind::Rows, || format!("{found} rows where the log says {said}"));
        }
        Ok(())
    }

    fn batch(&mut self, batch: &EventBatch) {
        let bounds = Arc::clone(self.file);
        for row in 0..batch.len() {
            self.rows += 1;
            let event = batch.event(row);
            let id = || event.id().to_owned();
            let micros = batch.micros(row);
            if event.day() != self.day || event.event_time.micros() != micros {
                self.tell(Kind::Partition, || {
                    format!("event {} of {} is in the wrong partition", id(), event.event_time)
                });
            }
            if !self.ids.insert(event.key()) {
                self.tell(Kind::Twice, || format!("event {} is stored twice", id()));
            }
            if batch.hash(row) != Some(ContentHash::of(&event)) {
                self.tell(Kind::Content, || format!("event {} is not what its hash was made of", id()));
            }
            let in_time = bounds.stats.time.is_none_or(|(first, last)| (first..=last).contains(&micros));
            let outside = BOUNDED
                .iter()
                .find(|&&column| event.get(column).is_some_and(|text| !bounds.stats.may_hold(column, text)));
            if !in_time || outside.is_some() {
                let column = outside.map_or(TableColumn::EventTime.name(), |column| column.name());
                self.tell(Kind::Statistics, || format!("event {} lies outside the log's bounds of {column}", id()));
            }
            self.order(&event, micros);
        }
    }

    fn order(&mut self, event: &event::Event<'_>, micros: i64) {
        let mut place = Ordering::Equal;
        for Last { column, text, micros: last } in &mut self.order {
            let (new, now) = match *column {
                TableColumn::Text(column) => (event.get(column), 0),
                _ => (None, micros),
            };
            place = place.then_with(|| (text.as_deref(), *last).cmp(&(new, now)));
            if text.as_deref() != new {
                *text = new.map(str::to_owned);
            }
            *last = now;
        }
        if self.rows > 1 && place.is_gt() {
            self.tell(Kind::Order, || format!("event {} stands before its place", event.id()));
        }
    }
}

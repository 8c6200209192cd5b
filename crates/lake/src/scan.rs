//! Reading events: what is asked, which files, row groups and rows can answer it, and in which order they come.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use event::{Column, Day, Event, Timestamp};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use crate::encode::filtered_by_bloom;
use crate::reader::{Batches, FileReader};
use crate::rows::EventBatch;
use crate::schema::{FILE, TableColumn};
use crate::storage::Storage;
use crate::table::{DataFile, Table};
use crate::{Lake, LakeError};

/// Matches of one day that are put in order at a time.
const SORTED_AT_ONCE: usize = 16 << 10;

/// In which order events come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Days from old to new, within a day as they are stored: the cheapest way to read everything.
    #[default]
    Stored,
    /// From the newest to the oldest.
    Newest,
    /// From the oldest to the newest.
    Oldest,
}

/// A question to the lake. Every condition must hold.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    /// Events from this time on.
    pub from: Option<Timestamp>,
    /// Events before this time.
    pub until: Option<Timestamp>,
    /// For each column the values of which one must be met exactly.
    pub any_of: Vec<(Column, Vec<String>)>,
    /// Names of which one must be the user's or the session's.
    pub who: Vec<String>,
    /// Only what stands in files written at this time or later. An old event may stand there too: merging writes it again.
    pub written_since: Option<Timestamp>,
    /// The order of the events.
    pub order: Order,
    /// At most so many events.
    pub limit: Option<usize>,
    /// Events of one day that are put in order in memory at a time, 16,384 if `None`. It changes no result.
    pub sort_rows: Option<usize>,
    /// The columns to read, besides `event_id`; all if `None`. An event rendered as JSON needs them all.
    pub columns: Option<Vec<Column>>,
}

impl Scan {
    /// Adds a condition: the column holds one of the values.
    #[must_use]
    pub fn any_of(mut self, column: Column, values: impl IntoIterator<Item = impl Into<String>>) -> Scan {
        self.any_of.push((column, values.into_iter().map(Into::into).collect()));
        self
    }

    /// Whether an event meets every condition: what the lake's shortcuts must agree with.
    #[must_use]
    pub fn accepts(&self, event: &Event<'_>) -> bool {
        self.accepts_time(event.event_time.micros()) && self.accepts_texts(|column| event.get(column))
    }

    fn accepts_time(&self, micros: i64) -> bool {
        self.from.is_none_or(|from| from.micros() <= micros) && self.until.is_none_or(|until| micros < until.micros())
    }

    fn accepts_texts<'a>(&self, get: impl Fn(Column) -> Option<&'a str>) -> bool {
        let is_any = |column: Column, values: &[String]| {
            get(column).is_some_and(|text| values.iter().any(|value| value == text))
        };
        self.any_of.iter().all(|(column, values)| is_any(*column, values))
            && (self.who.is_empty() || is_any(Column::UserName, &self.who) || is_any(Column::SessionName, &self.who))
    }

    /// The columns that the conditions look at.
    fn looked_at(&self) -> Vec<TableColumn> {
        let mut columns: Vec<TableColumn> = self.any_of.iter().map(|(column, _)| TableColumn::Text(*column)).collect();
        if !self.who.is_empty() {
            columns.extend([TableColumn::Text(Column::UserName), TableColumn::Text(Column::SessionName)]);
        }
        columns
    }

    fn wanted(&self) -> Vec<TableColumn> {
        let Some(wanted) = &self.columns else { return FILE.clone() };
        let always = |column| matches!(column, TableColumn::EventTime | TableColumn::Text(Column::EventId));
        let mut columns = FILE.clone();
        columns.retain(|&column| match column {
            TableColumn::Text(text) => always(column) || wanted.contains(&text),
            TableColumn::ContentHash => false,
            _ => true,
        });
        columns
    }

    fn may_hold_day(&self, day: Day) -> bool {
        self.from.is_none_or(|from| from.day() <= day)
            // The end is not included: an event of the day before its first microsecond does not exist.
            && self.until.is_none_or(|until| day.start().is_none_or(|start| start < until))
    }

    fn may_hold_file(&self, file: &DataFile) -> bool {
        let stats = &file.stats;
        let in_time = stats.time.is_none_or(|(first, last)| self.overlaps(first, last));
        let has = |column: Column, values: &[String]| values.iter().any(|value| stats.may_hold(column, value));
        let is_new = self.written_since.is_none_or(|since| since.micros() / 1_000 <= file.modified_millis());
        in_time
            && is_new
            && self.any_of.iter().all(|(column, values)| has(*column, values))
            && (self.who.is_empty() || has(Column::UserName, &self.who) || has(Column::SessionName, &self.who))
    }

    fn overlaps(&self, first: i64, last: i64) -> bool {
        self.from.is_none_or(|from| from.micros() <= last) && self.until.is_none_or(|until| first < until.micros())
    }

    fn may_hold_group(&self, reader: &mut FileReader, group: usize) -> Result<bool, LakeError> {
        let metadata = Arc::clone(reader.metadata());
        let metadata = metadata.row_group(group);
        if let Some((first, last)) = reader.place(TableColumn::EventTime).and_then(|place| time_bounds(metadata, place))
            && !self.overlaps(first, last)
        {
            return Ok(false);
        }
        for (column, values) in &self.any_of {
            if !group_has(reader, metadata, group, *column, values)? {
                return Ok(false);
            }
        }
        Ok(self.who.is_empty()
            || group_has(reader, metadata, group, Column::UserName, &self.who)?
            || group_has(reader, metadata, group, Column::SessionName, &self.who)?)
    }

    /// Opens a file for the rows that answer the question; `None` if no row group can hold one.
    fn open(
        &self,
        storage: &Storage,
        file: &Arc<DataFile>,
        columns: &[TableColumn],
    ) -> Result<Option<Batches>, LakeError> {
        let mut reader = FileReader::open(storage, file)?;
        let mut groups = Vec::new();
        for group in 0..reader.metadata().num_row_groups() {
            if self.may_hold_group(&mut reader, group)? {
                groups.push(group);
            }
        }
        if groups.is_empty() {
            return Ok(None);
        }
        let mut reader = reader.row_groups(groups);
        let mut looked_at = self.looked_at();
        if file.stats.time.is_none_or(|(first, last)| !self.accepts_time(first) || !self.accepts_time(last)) {
            looked_at.push(TableColumn::EventTime);
        }
        if !looked_at.is_empty() {
            let scan = self.clone();
            let timed = looked_at.contains(&TableColumn::EventTime);
            reader = reader.filter(looked_at, move |batch, row| {
                (!timed || scan.accepts_time(batch.micros(row)))
                    && scan.accepts_texts(|column| batch.text(column as usize, row))
            });
        }
        reader.read(columns.iter().copied()).map(Some)
    }
}

fn time_bounds(group: &RowGroupMetaData, place: usize) -> Option<(i64, i64)> {
    match group.column(place).statistics()? {
        Statistics::Int64(bounds) => Some((*bounds.min_opt()?, *bounds.max_opt()?)),
        _ => None,
    }
}

fn group_has(
    reader: &mut FileReader,
    metadata: &RowGroupMetaData,
    group: usize,
    column: Column,
    values: &[String],
) -> Result<bool, LakeError> {
    let column = TableColumn::Text(column);
    let Some(place) = reader.place(column) else { return Ok(true) };
    let bounds = metadata.column(place).statistics();
    let bounds = bounds.and_then(|bounds| Some((bounds.min_bytes_opt()?, bounds.max_bytes_opt()?)));
    let within = |value: &&str| bounds.is_none_or(|(low, high)| low <= value.as_bytes() && value.as_bytes() <= high);
    let values: Vec<&str> = values.iter().map(String::as_str).filter(within).collect();
    if values.is_empty() {
        return Ok(false);
    }
    if !filtered_by_bloom(column) {
        return Ok(true);
    }
    reader.bloom_allows(group, column, &values)
}

/// Events that answer a [`Scan`], read as they are asked for.
#[derive(Debug)]
pub struct Rows {
    storage: Storage,
    scan: Scan,
    columns: Vec<TableColumn>,
    days: VecDeque<Vec<Arc<DataFile>>>,
    /// Stored order: the files of the day that is being read, and the one being read now.
    files: VecDeque<Arc<DataFile>>,
    current: Option<Batches>,
    /// Time orders: the ranges of time of the current day that are still to be read.
    ranges: VecDeque<(i64, i64)>,
    day: Vec<Arc<DataFile>>,
    batches: Vec<EventBatch>,
    ready: VecDeque<(u32, u32)>,
    left: usize,
}

impl Lake {
    /// Reads events from the newest version, which stays the one that is read however long it takes.
    ///
    /// # Errors
    ///
    /// If the log cannot be read.
    pub fn scan(&self, scan: &Scan) -> Result<Rows, LakeError> {
        let table = self.table()?;
        Ok(Rows::new(self.storage().clone(), &table, scan.clone()))
    }

    /// Calls `found` with the events that answer the question, batch by batch, until it breaks off.
    ///
    /// Nothing is copied: an event borrows from its batch. They come in [`Order::Stored`], whatever the scan says.
    ///
    /// # Errors
    ///
    /// If the log or a file cannot be read.
    pub fn scan_batches(
        &self,
        scan: &Scan,
        mut found: impl FnMut(&EventBatch) -> ControlFlow<()>,
    ) -> Result<(), LakeError> {
        let scan = Scan { order: Order::Stored, ..scan.clone() };
        let mut rows = self.scan(&scan)?;
        while let Some(batch) = rows.next_stored_batch()? {
            let batch = if batch.len() > rows.left { batch.head(rows.left) } else { batch };
            rows.left -= batch.len();
            if batch.is_empty() || found(&batch).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Rows {
    fn new(storage: Storage, table: &Table, scan: Scan) -> Rows {
        let mut days: VecDeque<Vec<Arc<DataFile>>> = VecDeque::new();
        for (day, _) in table.days().filter(|(day, _)| scan.may_hold_day(*day)) {
            let mut files = table.files_of(day);
            files.retain(|file| scan.may_hold_file(file));
            if files.is_empty() {
                continue;
            }
            match scan.order {
                Order::Newest => days.push_front(files),
                Order::Stored | Order::Oldest => days.push_back(files),
            }
        }
        Rows {
            storage,
            columns: scan.wanted(),
            left: scan.limit.unwrap_or(usize::MAX),
            scan,
            days,
            files: VecDeque::new(),
            current: None,
            ranges: VecDeque::new(),
            day: Vec::new(),
            batches: Vec::new(),
            ready: VecDeque::new(),
        }
    }

    fn next_stored_batch(&mut self) -> Result<Option<EventBatch>, LakeError> {
        loop {
            if let Some(batches) = &mut self.current {
                match batches.next() {
                    Some(batch) => {
                        let batch = batch?;
                        if !batch.is_empty() {
                            return Ok(Some(batch));
                        }
                        continue;
                    }
                    None => self.current = None,
                }
            }
            let Some(file) = self.files.pop_front() else {
                let Some(files) = self.days.pop_front() else { return Ok(None) };
                self.files.extend(files);
                continue;
            };
            self.current = self.scan.open(&self.storage, &file, &self.columns)?;
        }
    }

    /// Makes more rows ready; false at the end.
    fn advance(&mut self) -> Result<bool, LakeError> {
        self.batches.clear();
        if self.scan.order == Order::Stored {
            let Some(batch) = self.next_stored_batch()? else { return Ok(false) };
            self.ready.extend((0..batch.len() as u32).map(|row| (0, row)));
            self.batches.push(batch);
            return Ok(true);
        }
        loop {
            if let Some((first, last)) = self.ranges.pop_front() {
                self.sort_range(first, last)?;
                if !self.ready.is_empty() {
                    return Ok(true);
                }
                continue;
            }
            let Some(files) = self.days.pop_front() else { return Ok(false) };
            self.day = files;
            self.ranges = self.ranges_of_day()?;
        }
    }

    /// Cuts the current day into ranges of time that each hold few enough matches to be sorted in memory.
    fn ranges_of_day(&self) -> Result<VecDeque<(i64, i64)>, LakeError> {
        let whole = (i64::MIN, i64::MAX);
        let at_once = self.scan.sort_rows.unwrap_or(SORTED_AT_ONCE).max(1);
        let most: u64 = self.day.iter().map(|file| file.rows()).sum();
        if most > 0 && most <= at_once as u64 {
            return Ok(VecDeque::from([whole]));
        }
        let mut times = Vec::new();
        for file in &self.day {
            let Some(batches) = self.scan.open(&self.storage, file, &[TableColumn::EventTime])? else { continue };
            for batch in batches {
                let batch = batch?;
                times.extend((0..batch.len()).map(|row| batch.micros(row)));
            }
        }
        times.sort_unstable();
        let mut ranges = VecDeque::new();
        if self.scan.order == Order::Newest {
            times.reverse();
        }
        // No more than what is still wanted has to be read at all.
        let wanted = times.len().min(self.left);
        let mut start = 0;
        while start < wanted {
            let mut end = (start + at_once.min(wanted - start)).min(times.len());
            // Events of one instant stay together.
            while end < times.len() && times[end] == times[end - 1] {
                end += 1;
            }
            let (first, last) = (times[start].min(times[end - 1]), times[start].max(times[end - 1]));
            ranges.push_back((first, last));
            start = end;
        }
        Ok(ranges)
    }

    fn sort_range(&mut self, first: i64, last: i64) -> Result<(), LakeError> {
        let mut narrowed = self.scan.clone();
        let bound = |micros: i64| Timestamp::from_micros(micros);
        if let Some(first) = bound(first) {
            narrowed.from = Some(narrowed.from.map_or(first, |from| from.max(first)));
        }
        if let Some(end) = last.checked_add(1).and_then(bound) {
            narrowed.until = Some(narrowed.until.map_or(end, |until| until.min(end)));
        }
        let mut rows = Vec::new();
        for file in &self.day {
            if !narrowed.may_hold_file(file) {
                continue;
            }
            let Some(batches) = narrowed.open(&self.storage, file, &self.columns)? else { continue };
            for batch in batches {
                let batch = batch?;
                let place = self.batches.len() as u32;
                rows.extend((0..batch.len() as u32).map(|row| (batch.micros(row as usize), place, row)));
                self.batches.push(batch);
            }
        }
        let id = |&(_, batch, row): &(i64, u32, u32)| {
            self.batches[batch as usize].text(Column::EventId as usize, row as usize)
        };
        rows.sort_by(|left, right| left.0.cmp(&right.0).then_with(|| id(left).cmp(&id(right))));
        if self.scan.order == Order::Newest {
            rows.reverse();
        }
        self.ready = rows.into_iter().map(|(_, batch, row)| (batch, row)).collect();
        Ok(())
    }
}

impl Iterator for Rows {
    type Item = Result<Event<'static>, LakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        while self.ready.is_empty() {
            match self.advance() {
                Ok(true) => {}
                Ok(false) => {
                    self.left = 0;
                    return None;
                }
                Err(error) => {
                    self.left = 0;
                    return Some(Err(error));
                }
            }
        }
        let (batch, row) = self.ready.pop_front()?;
        self.left -= 1;
        Some(Ok(self.batches[batch as usize].event(row as usize).into_owned()))
    }
}

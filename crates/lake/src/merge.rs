//! Several files' rows in one order: what compaction and export have in common.
//!
//! First only the columns that decide the order are read, and every row gets its place. Then the output is made row
//! group by row group and column by column, so that besides the encoded bytes only one column of one row group is in
//! memory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_select::interleave::interleave;
use event::{Column, Day, EventKey};
use parquet::errors::ParquetError;

use crate::LakeError;
use crate::order::{GROUPED_BY, Group, SortKey, ranks, sorted};
use crate::reader::OpenFile;
use crate::schema::TableColumn;
use crate::storage::Storage;
use crate::table::DataFile;

/// Rows of an output array: long texts must not outgrow what an array can address.
const ARRAY_ROWS: usize = 8192;

/// A row of one of the inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pick {
    /// The number of the input.
    pub(crate) file: u32,
    pub(crate) row: u32,
}

/// Files whose rows are put in order.
#[derive(Debug)]
pub(crate) struct Merge {
    inputs: Vec<OpenFile>,
}

/// Where the rows of some files belong.
#[derive(Debug, Default)]
pub(crate) struct Places {
    groups: Vec<[Option<Arc<str>>; GROUPED_BY.len()]>,
    rows: Vec<Place>,
}

/// What decides a row's place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// The number of its group.
    group: u32,
    pub(crate) micros: i64,
    pub(crate) key: EventKey,
    pub(crate) pick: Pick,
}

impl Place {
    /// That of a row of an input beside the files, whose group nobody asks for.
    pub(crate) fn beside(micros: i64, key: EventKey, pick: Pick) -> Place {
        Place { group: u32::MAX, micros, key, pick }
    }
}

impl Places {
    pub(crate) fn rows(&self) -> &[Place] {
        &self.rows
    }

    pub(crate) fn region(&self, place: &Place) -> Option<&str> {
        self.groups[place.group as usize][0].as_deref()
    }

    /// The rows in the order of a data file.
    pub(crate) fn in_file_order(&self, day: Day) -> Vec<Pick> {
        let groups: Vec<Group<'_>> = self.groups.iter().map(|group| group.each_ref().map(Option::as_deref)).collect();
        let ranks = ranks(&groups);
        let midnight = i64::from(day.days()) * 86_400_000_000;
        sorted(self.rows.iter().map(|place| {
            let key = SortKey {
                group: ranks[place.group as usize],
                time_of_day: u64::try_from(place.micros - midnight).unwrap_or(0),
                id: place.key.bits(),
            };
            (key, place.pick)
        }))
    }
}

impl Merge {
    pub(crate) fn open(storage: &Storage, files: &[Arc<DataFile>]) -> Result<Merge, LakeError> {
        let inputs = files.iter().map(|file| OpenFile::open(storage, file)).collect::<Result<_, _>>()?;
        Ok(Merge { inputs })
    }

    /// Reads what decides the rows' places. Of rows with one id only the first, in the order of the files, is given.
    pub(crate) fn places(&self) -> Result<Places, LakeError> {
        let columns = [TableColumn::EventTime, TableColumn::Text(Column::EventId)];
        let columns = || columns.into_iter().chain(GROUPED_BY.map(TableColumn::Text));
        let mut places = Places::default();
        let mut keys = HashSet::new();
        let mut numbers: HashMap<[Option<Arc<str>>; GROUPED_BY.len()], u32> = HashMap::new();
        let mut texts: HashSet<Arc<str>> = HashSet::new();
        let mut shared = |text: Option<&str>| {
            let text = text?;
            if let Some(known) = texts.get(text) {
                return Some(Arc::clone(known));
            }
            let new: Arc<str> = Arc::from(text);
            texts.insert(Arc::clone(&new));
            Some(new)
        };
        for (file, input) in self.inputs.iter().enumerate() {
            let mut at = 0u32;
            for batch in input.reader().read(columns())? {
                let batch = batch?;
                for row in 0..batch.len() {
                    let key = EventKey::of(batch.text(Column::EventId as usize, row).unwrap_or_default());
                    let pick = Pick { file: file as u32, row: at };
                    at += 1;
                    if keys.insert(key) {
                        let group = GROUPED_BY.map(|column| shared(batch.text(column as usize, row)));
                        let group = *numbers.entry(group).or_insert_with_key(|group| {
                            places.groups.push(group.clone());
                            places.groups.len() as u32 - 1
                        });
                        places.rows.push(Place { group, micros: batch.micros(row), key, pick });
                    }
                }
            }
        }
        Ok(places)
    }

    /// How many files there are: the number of an input beside them.
    pub(crate) fn inputs(&self) -> usize {
        self.inputs.len()
    }

    /// The values of a column for some rows of the inputs, in their order.
    pub(crate) fn column(&self, column: TableColumn, picks: &[Pick]) -> Result<Vec<ArrayRef>, ParquetError> {
        gather(self.inputs.len(), picks, |file, rows| self.read(file, column, rows))
    }

    /// The values of a column for some rows of one input, which must be in order.
    pub(crate) fn read(&self, file: usize, column: TableColumn, rows: &[u32]) -> Result<Vec<ArrayRef>, ParquetError> {
        let input = &self.inputs[file];
        let external = |error: LakeError| ParquetError::External(Box::new(error));
        let mut batches = input.reader().rows(rows).read([column]).map_err(external)?;
        let mut arrays = Vec::new();
        while let Some(batch) = batches.next_record_batch() {
            let batch = batch.map_err(external)?;
            let array = batch.column_by_name(column.name()).ok_or_else(|| {
                ParquetError::General(format!("{} has no column {}", input.file().path, column.name()))
            })?;
            arrays.push(Arc::clone(array));
        }
        if arrays.iter().map(|array| array.len()).sum::<usize>() < rows.len() {
            return Err(ParquetError::EOF(format!("{} has fewer rows than it says", input.file().path)));
        }
        Ok(arrays)
    }
}

/// A column's values of rows of several inputs, in the order of the picks. `read` gives those of one input for its rows in
/// their order.
pub(crate) fn gather(
    inputs: usize,
    picks: &[Pick],
    mut read: impl FnMut(usize, &[u32]) -> Result<Vec<ArrayRef>, ParquetError>,
) -> Result<Vec<ArrayRef>, ParquetError> {
    let mut arrays: Vec<ArrayRef> = Vec::new();
    // Where each pick's value is: the array and the place in it.
    let mut indices = vec![(0usize, 0usize); picks.len()];
    for file in 0..inputs {
        let mut wanted: Vec<(u32, usize)> = picks
            .iter()
            .enumerate()
            .filter(|(_, pick)| pick.file as usize == file)
            .map(|(place, pick)| (pick.row, place))
            .collect();
        if wanted.is_empty() {
            continue;
        }
        wanted.sort_unstable();
        let rows: Vec<u32> = wanted.iter().map(|(row, _)| *row).collect();
        let mut wanted = wanted.iter();
        for array in read(file, &rows)? {
            for (at, (_, place)) in (0..array.len()).zip(wanted.by_ref()) {
                indices[*place] = (arrays.len(), at);
            }
            arrays.push(array);
        }
    }
    let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
    indices.chunks(ARRAY_ROWS).map(|indices| interleave(&arrays, indices).map_err(ParquetError::from)).collect()
}

//! Several files' rows in one order: what compaction and export have in common.
//!
//! First only the columns that decide the order are read, and every row gets its place. Then the output is made row
//! group by row group and column by column, so that besides the encoded bytes only one column of one row group is in
//! memory.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_select::interleave::interleave;
use event::{Column, Day, EventKey};
use parquet::errors::ParquetError;

use crate::LakeError;
use crate::order::sorted;
use crate::reader::OpenFile;
use crate::schema::TableColumn;
use crate::storage::Storage;
use crate::table::DataFile;

/// Rows of an output array: long texts must not outgrow what an array can address.
const ARRAY_ROWS: usize = 8192;

/// A row of one of the inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pick {
    file: u32,
    row: u32,
}

/// Files whose rows are put in order.
#[derive(Debug)]
pub(crate) struct Merge {
    inputs: Vec<OpenFile>,
}

/// What decides a row's place.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) region: Option<Arc<str>>,
    account: Option<Arc<str>>,
    pub(crate) micros: i64,
    pub(crate) key: EventKey,
    pub(crate) pick: Pick,
}

impl Merge {
    pub(crate) fn open(storage: &Storage, files: &[Arc<DataFile>]) -> Result<Merge, LakeError> {
        let inputs = files.iter().map(|file| OpenFile::open(storage, file)).collect::<Result<_, _>>()?;
        Ok(Merge { inputs })
    }

    /// Reads what decides the rows' places. Of rows with one id only the first, in the order of the files, is given.
    pub(crate) fn places(&self) -> Result<Vec<Place>, LakeError> {
        let columns = [
            TableColumn::EventTime,
            TableColumn::Text(Column::EventId),
            TableColumn::Text(Column::AwsRegion),
            TableColumn::Text(Column::AccountId),
        ];
        let mut places = Vec::new();
        let mut keys = HashSet::new();
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
            for batch in input.reader().read(columns)? {
                let batch = batch?;
                for row in 0..batch.len() {
                    let key = EventKey::of(batch.text(Column::EventId as usize, row).unwrap_or_default());
                    let pick = Pick { file: file as u32, row: at };
                    at += 1;
                    if keys.insert(key) {
                        let region = shared(batch.text(Column::AwsRegion as usize, row));
                        let account = shared(batch.text(Column::AccountId as usize, row));
                        places.push(Place { region, account, micros: batch.micros(row), key, pick });
                    }
                }
            }
        }
        Ok(places)
    }

    /// The values of a column for some rows of the inputs, in their order.
    pub(crate) fn column(&self, column: TableColumn, picks: &[Pick]) -> Result<Vec<ArrayRef>, ParquetError> {
        let mut arrays: Vec<ArrayRef> = Vec::new();
        // Where each pick's value is: the array and the place in it.
        let mut indices = vec![(0usize, 0usize); picks.len()];
        for (file, input) in self.inputs.iter().enumerate() {
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
            let external = |error: LakeError| ParquetError::External(Box::new(error));
            let mut batches = input.reader().rows(&rows).read([column]).map_err(external)?;
            let mut wanted = wanted.iter();
            while let Some(batch) = batches.next_record_batch() {
                let batch = batch.map_err(external)?;
                let array = batch.column_by_name(column.name()).ok_or_else(|| {
                    ParquetError::General(format!("{} has no column {}", input.file().path, column.name()))
                })?;
                for at in 0..array.len() {
                    if let Some((_, place)) = wanted.next() {
                        indices[*place] = (arrays.len(), at);
                    }
                }
                arrays.push(Arc::clone(array));
            }
            if wanted.next().is_some() {
                return Err(ParquetError::EOF(format!("{} has fewer rows than it says", input.file().path)));
            }
        }
        let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
        indices.chunks(ARRAY_ROWS).map(|indices| interleave(&arrays, indices).map_err(ParquetError::from)).collect()
    }
}

/// Puts rows in the order of a data file: by region, account, time and id.
pub(crate) fn in_file_order(places: &[Place], day: Day) -> Vec<Pick> {
    let ranks = |text: fn(&Place) -> Option<&str>| -> Vec<Option<String>> {
        let texts: BTreeSet<Option<&str>> = places.iter().map(text).collect();
        texts.into_iter().map(|text| text.map(str::to_owned)).collect()
    };
    let regions = ranks(|place| place.region.as_deref());
    let accounts = ranks(|place| place.account.as_deref());
    let rank = |ranks: &[Option<String>], text: Option<&str>| {
        ranks.binary_search_by(|rank| rank.as_deref().cmp(&text)).unwrap_or(ranks.len()) as u32
    };
    let midnight = i64::from(day.days()) * 86_400_000_000;
    let rows = places.iter().map(|place| {
        let region = rank(&regions, place.region.as_deref());
        let account = rank(&accounts, place.account.as_deref());
        let time_of_day = u64::try_from(place.micros - midnight).unwrap_or(0);
        ((region, account, time_of_day, place.key.bits()), place.pick)
    });
    sorted(rows, regions.len().max(accounts.len()))
}

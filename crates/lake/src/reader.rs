//! Data files back to rows: which columns, which row groups, which rows.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{BooleanArray, RecordBatch};
use event::{Column, Event, EventKey};
use futures::StreamExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions, RowFilter, RowSelection,
};
use parquet::arrow::async_reader::{ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};

use crate::LakeError;
use crate::ids::ContentHash;
use crate::object::ObjectReader;
use crate::rows::EventBatch;
use crate::schema::{FILE, TableColumn};
use crate::storage::{Storage, wait};
use crate::table::DataFile;

/// Rows decoded at a time.
const BATCH_ROWS: usize = 4096;

/// A data file whose footer has been read.
#[derive(Debug)]
pub(crate) struct OpenFile {
    storage: Storage,
    file: Arc<DataFile>,
    metadata: ArrowReaderMetadata,
}

impl OpenFile {
    pub(crate) fn open(storage: &Storage, file: &Arc<DataFile>) -> Result<OpenFile, LakeError> {
        let mut reader = ObjectReader::new(storage.store(), &file.path, file.size);
        // The types are taken from the Parquet schema: another writer's hints must not change them.
        let options = ArrowReaderOptions::new()
            .with_skip_arrow_metadata(true)
            .with_offset_index_policy(PageIndexPolicy::Optional);
        let metadata = wait(ArrowReaderMetadata::load_async(&mut reader, options))
            .map_err(|source| LakeError::parquet(storage.full(&file.path), source))?;
        Ok(OpenFile { storage: storage.clone(), file: Arc::clone(file), metadata })
    }

    pub(crate) fn file(&self) -> &Arc<DataFile> {
        &self.file
    }

    /// A reader of the file, which can be had as often as it is needed.
    pub(crate) fn reader(&self) -> FileReader {
        let object = ObjectReader::new(self.storage.store(), &self.file.path, self.file.size);
        FileReader {
            builder: ParquetRecordBatchStreamBuilder::new_with_metadata(object, self.metadata.clone()),
            file: Arc::from(self.file.path.as_str()),
            full: self.storage.full(&self.file.path),
        }
    }
}

/// A data file about to be read.
pub(crate) struct FileReader {
    builder: ParquetRecordBatchStreamBuilder<ObjectReader>,
    file: Arc<str>,
    full: String,
}

impl FileReader {
    pub(crate) fn open(storage: &Storage, file: &Arc<DataFile>) -> Result<FileReader, LakeError> {
        OpenFile::open(storage, file).map(|file| file.reader())
    }

    pub(crate) fn metadata(&self) -> &Arc<ParquetMetaData> {
        self.builder.metadata()
    }

    /// The place of a column among the file's, if it has it.
    pub(crate) fn place(&self, column: TableColumn) -> Option<usize> {
        let schema = self.builder.parquet_schema();
        schema.columns().iter().position(|found| found.path().string() == column.name())
    }

    /// The columns that the file says its rows are sorted by, as far as they are ours.
    pub(crate) fn sorted_by(&self) -> Vec<TableColumn> {
        let metadata = self.builder.metadata();
        let declared = metadata.row_groups().first().and_then(|group| group.sorting_columns());
        let schema = self.builder.parquet_schema();
        let ours = |place: i32| {
            let name = schema.columns().get(usize::try_from(place).ok()?)?.path().string();
            FILE.iter().copied().find(|column| column.name() == name)
        };
        declared.into_iter().flatten().map_while(|sorting| ours(sorting.column_idx)).collect()
    }

    fn mask(&self, columns: impl IntoIterator<Item = TableColumn>) -> ProjectionMask {
        let places = columns.into_iter().filter_map(|column| self.place(column));
        ProjectionMask::leaves(self.builder.parquet_schema(), places)
    }

    /// Whether the bloom filters allow a row group to hold one of the values.
    pub(crate) fn bloom_allows(
        &mut self,
        group: usize,
        column: TableColumn,
        values: &[&str],
    ) -> Result<bool, LakeError> {
        let Some(place) = self.place(column) else { return Ok(true) };
        let filter = wait(self.builder.get_row_group_column_bloom_filter(group, place))
            .map_err(|source| LakeError::parquet(&self.full, source))?;
        Ok(filter.is_none_or(|filter| values.iter().any(|value| filter.check(*value))))
    }

    pub(crate) fn row_groups(mut self, groups: Vec<usize>) -> FileReader {
        self.builder = self.builder.with_row_groups(groups);
        self
    }

    /// Keeps only these rows, which must be in order.
    pub(crate) fn rows(mut self, rows: &[u32]) -> FileReader {
        let selection = selection(rows, self.metadata());
        self.builder = self.builder.with_row_selection(selection);
        self
    }

    /// Keeps only the rows whose values of `columns` the predicate accepts; the others' remaining columns are not
    /// even decoded.
    pub(crate) fn filter(
        mut self,
        columns: impl IntoIterator<Item = TableColumn>,
        mut accepts: impl FnMut(&EventBatch, usize) -> bool + Send + 'static,
    ) -> FileReader {
        let mask = self.mask(columns);
        let file = Arc::clone(&self.file);
        let predicate = ArrowPredicateFn::new(mask, move |batch| {
            let batch = EventBatch::new(&batch, &file)
                .map_err(|error| arrow_schema::ArrowError::ExternalError(Box::new(error)))?;
            Ok(BooleanArray::from_iter((0..batch.len()).map(|row| Some(accepts(&batch, row)))))
        });
        self.builder = self.builder.with_row_filter(RowFilter::new(vec![Box::new(predicate)]));
        self
    }

    /// Reads the rows with these columns.
    pub(crate) fn read(self, columns: impl IntoIterator<Item = TableColumn>) -> Result<Batches, LakeError> {
        let mask = self.mask(columns);
        let stream = self
            .builder
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|source| LakeError::parquet(&self.full, source))?;
        Ok(Batches { stream: Box::pin(stream), file: self.file, full: self.full })
    }
}

/// Some rows of a file, which must be in order.
pub(crate) fn selection(rows: &[u32], metadata: &ParquetMetaData) -> RowSelection {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for &row in rows {
        let row = row as usize;
        match ranges.last_mut() {
            Some(range) if range.end == row => range.end += 1,
            _ => ranges.push(row..row + 1),
        }
    }
    let total = usize::try_from(metadata.file_metadata().num_rows()).unwrap_or(0);
    RowSelection::from_consecutive_ranges(ranges.into_iter(), total)
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the rows of {}", self.full)
    }
}

/// The rows of a file, batch by batch.
pub(crate) struct Batches {
    stream: Pin<Box<ParquetRecordBatchStream<ObjectReader>>>,
    file: Arc<str>,
    full: String,
}

impl Batches {
    /// The next rows as Arrow has them.
    pub(crate) fn next_record_batch(&mut self) -> Option<Result<RecordBatch, LakeError>> {
        wait(self.stream.next()).map(|batch| batch.map_err(|source| LakeError::parquet(&self.full, source)))
    }
}

impl Iterator for Batches {
    type Item = Result<EventBatch, LakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.next_record_batch()?;
        Some(batch.and_then(|batch| EventBatch::new(&batch, &self.file)))
    }
}

/// Calls `found` with the key and the content hash of every row of a file.
pub(crate) fn each_id(
    storage: &Storage,
    file: &Arc<DataFile>,
    mut found: impl FnMut(EventKey, ContentHash),
) -> Result<(), LakeError> {
    let columns = [TableColumn::Text(Column::EventId), TableColumn::ContentHash];
    let mut batches = FileReader::open(storage, file)?.read(columns)?;
    while let Some(batch) = batches.next_record_batch() {
        let batch = batch?;
        let missing = |name: &str| LakeError::damaged(storage.full(&file.path), format!("it has no column {name}"));
        let ids = batch.column_by_name("event_id").and_then(|array| array.as_string_opt::<i32>());
        let ids = ids.ok_or_else(|| missing("event_id"))?;
        let hashes = batch.column_by_name("content_hash").and_then(|array| array.as_primitive_opt());
        let hashes: &arrow_array::Int64Array = hashes.ok_or_else(|| missing("content_hash"))?;
        for (id, &hash) in ids.iter().zip(hashes.values()) {
            let hash = ContentHash::from_stored(hash).ok_or_else(|| missing("content_hash that can be read"))?;
            found(EventKey::of(id.unwrap_or_default()), hash);
        }
    }
    Ok(())
}

/// Reads the events of some keys back, from whichever of the files has them.
pub(crate) fn find_events(
    storage: &Storage,
    files: &[Arc<DataFile>],
    keys: &HashSet<EventKey>,
) -> Result<HashMap<EventKey, Event<'static>>, LakeError> {
    let mut found = HashMap::with_capacity(keys.len());
    for file in files {
        if found.len() == keys.len() {
            break;
        }
        let wanted = keys.clone();
        let id = TableColumn::Text(Column::EventId);
        let reader = FileReader::open(storage, file)?.filter([id], move |batch, row| {
            wanted.contains(&EventKey::of(batch.text(Column::EventId as usize, row).unwrap_or_default()))
        });
        for batch in reader.read(FILE.iter().copied())? {
            let batch = batch?;
            for event in batch.events() {
                found.entry(event.key()).or_insert_with(|| event.into_owned());
            }
        }
    }
    Ok(found)
}

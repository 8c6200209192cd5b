//! A file of the classic layout that is there already: its rows may be all that is left of their events.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow_schema::DataType;
use bytes::Bytes;
use event::{EventKey, Timestamp};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;

use super::{CLASSIC, Classic};
use crate::LakeError;
use crate::reader::selection;

const EVENT_ID: &str = "event_id";
const EVENT_TIME: &str = Classic::EventTime.name();

/// The file.
pub(super) struct Present {
    bytes: Bytes,
    metadata: ArrowReaderMetadata,
    /// Its name in messages.
    name: String,
}

impl Present {
    /// Reads its footer, and refuses what could not be kept: a column that the layout has not, or one that is no text.
    pub(super) fn open(bytes: Bytes, name: String) -> Result<Present, LakeError> {
        // The types are taken from the Parquet schema: another writer's hints must not change them.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = ArrowReaderMetadata::load(&bytes, options);
        let metadata = metadata.map_err(|source| LakeError::parquet(&name, source))?;
        let damaged = |reason| Err(LakeError::damaged(&name, reason));
        for field in metadata.schema().fields() {
            let column = field.name();
            match CLASSIC.iter().find(|known| known.name() == column) {
                None => return damaged(format!("the classic layout has no column {column}")),
                // The folder says it.
                Some(Classic::EventDate) => {}
                Some(_) if matches!(field.data_type(), DataType::Utf8 | DataType::Null) => {}
                Some(_) => return damaged(format!("column {column} is no text")),
            }
        }
        let present = Present { bytes, metadata, name };
        match [EVENT_ID, EVENT_TIME].into_iter().find(|column| !present.has(column)) {
            Some(column) => Err(LakeError::damaged(present.name, format!("it has no column {column}"))),
            None => Ok(present),
        }
    }

    /// When each row happened and what its id is, in the order of the file. A row whose time is none comes first.
    pub(super) fn rows(&self) -> Result<Vec<(i64, EventKey)>, LakeError> {
        let failed = |source| LakeError::parquet(&self.name, source);
        let batches = self.builder(&[EVENT_ID, EVENT_TIME]).build().map_err(failed)?;
        let mut rows = Vec::new();
        for batch in batches {
            let batch = batch.map_err(|error| failed(error.into()))?;
            let (ids, times) = (text(&batch, EVENT_ID).map_err(failed)?, text(&batch, EVENT_TIME).map_err(failed)?);
            for (id, time) in ids.as_string::<i32>().iter().zip(times.as_string::<i32>()) {
                // Rows without one could not be told apart.
                let id = id.filter(|id| !id.is_empty());
                let id = id.ok_or_else(|| LakeError::damaged(&self.name, format!("row {} has no id", rows.len())))?;
                let time = time.and_then(Timestamp::parse);
                rows.push((time.map_or(i64::MIN, Timestamp::micros), EventKey::of(id)));
            }
        }
        Ok(rows)
    }

    /// The values of a column for some rows, which must be in order.
    pub(super) fn column(&self, name: &str, rows: &[u32]) -> Result<Vec<ArrayRef>, ParquetError> {
        if !self.has(name) {
            return Ok(vec![new_null_array(&DataType::Utf8, rows.len())]);
        }
        let selection = selection(rows, self.metadata.metadata());
        let batches = self.builder(&[name]).with_row_selection(selection).build()?;
        let arrays: Vec<ArrayRef> = batches.map(|batch| text(&batch?, name)).collect::<Result<_, _>>()?;
        if arrays.iter().map(|array| array.len()).sum::<usize>() < rows.len() {
            return Err(ParquetError::EOF("it has fewer rows than it says".to_owned()));
        }
        Ok(arrays)
    }

    /// Whether it has a column of texts.
    fn has(&self, column: &str) -> bool {
        self.metadata.schema().field_with_name(column).is_ok_and(|field| *field.data_type() == DataType::Utf8)
    }

    fn builder(&self, columns: &[&str]) -> ParquetRecordBatchReaderBuilder<Bytes> {
        let mask = ProjectionMask::columns(self.metadata.parquet_schema(), columns.iter().copied());
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.bytes.clone(), self.metadata.clone());
        builder.with_projection(mask).with_batch_size(4096)
    }
}

fn text(batch: &RecordBatch, column: &str) -> Result<ArrayRef, ParquetError> {
    let array = batch.column_by_name(column).filter(|array| array.data_type() == &DataType::Utf8);
    array.map(Arc::clone).ok_or_else(|| ParquetError::General(format!("column {column} is no text")))
}

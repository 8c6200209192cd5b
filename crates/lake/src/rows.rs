//! Rows back to events.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use event::{Column, Event, Timestamp};

use crate::LakeError;
use crate::buffer::{SOURCE_OBJECT, TEXTS};
use crate::ids::ContentHash;
use crate::schema::TableColumn;

/// Some rows of one file, with the columns that were asked for.
#[derive(Debug, Clone)]
pub struct EventBatch {
    rows: usize,
    texts: Vec<Option<StringArray>>,
    times: Option<TimestampMicrosecondArray>,
    ingested: Option<TimestampMicrosecondArray>,
    hashes: Option<Int64Array>,
    read_only: Option<BooleanArray>,
    mfa_authenticated: Option<BooleanArray>,
    id_derived: Option<BooleanArray>,
    file: Arc<str>,
}

impl EventBatch {
    pub(crate) fn new(batch: &RecordBatch, file: &Arc<str>) -> Result<EventBatch, LakeError> {
        let wrong =
            |column: TableColumn| LakeError::damaged(&**file, format!("column {} has another type", column.name()));
        let text = |column: TableColumn| match batch.column_by_name(column.name()) {
            None => Ok(None),
            Some(array) => array.as_string_opt::<i32>().cloned().map(Some).ok_or_else(|| wrong(column)),
        };
        let boolean = |column: TableColumn| match batch.column_by_name(column.name()) {
            None => Ok(None),
            Some(array) => array.as_boolean_opt().cloned().map(Some).ok_or_else(|| wrong(column)),
        };
        let instant = |column: TableColumn| match batch.column_by_name(column.name()) {
            None => Ok(None),
            Some(array) => {
                array.as_primitive_opt::<TimestampMicrosecondType>().cloned().map(Some).ok_or_else(|| wrong(column))
            }
        };
        let hashes = match batch.column_by_name(TableColumn::ContentHash.name()) {
            None => None,
            Some(array) => {
                Some(array.as_primitive_opt::<Int64Type>().cloned().ok_or_else(|| wrong(TableColumn::ContentHash))?)
            }
        };
        let mut texts = Vec::with_capacity(TEXTS);
        for &column in Column::ALL {
            texts.push(text(TableColumn::Text(column))?);
        }
        texts.push(text(TableColumn::SourceObject)?);
        Ok(EventBatch {
            rows: batch.num_rows(),
            texts,
            times: instant(TableColumn::EventTime)?,
            ingested: instant(TableColumn::IngestedAt)?,
            hashes,
            read_only: boolean(TableColumn::ReadOnly)?,
            mfa_authenticated: boolean(TableColumn::MfaAuthenticated)?,
            id_derived: boolean(TableColumn::IdDerived)?,
            file: Arc::clone(file),
        })
    }

    /// How many events there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The data file the rows are in, relative to the table.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// An event, borrowed from the batch.
    ///
    /// # Panics
    ///
    /// If `row` is not below [`EventBatch::len`].
    #[must_use]
    pub fn event(&self, row: usize) -> Event<'_> {
        // Another writer may have stored a time that no log can hold.
        let micros = self.micros(row).clamp(Timestamp::MIN.micros(), Timestamp::MAX.micros());
        let mut event = Event::new(Timestamp::from_micros(micros).expect("clamped to the bounds"));
        event.read_only = boolean(self.read_only.as_ref(), row);
        event.mfa_authenticated = boolean(self.mfa_authenticated.as_ref(), row);
        event.id_derived = boolean(self.id_derived.as_ref(), row).unwrap_or(false);
        for &column in Column::ALL {
            if let Some(text) = self.text(column as usize, row) {
                event.set(column, Cow::Borrowed(text));
            }
        }
        event
    }

    /// The events, in the order of the batch.
    pub fn events(&self) -> impl Iterator<Item = Event<'_>> {
        (0..self.rows).map(|row| self.event(row))
    }

    /// The file or object the event was first read from, if that column was asked for.
    #[must_use]
    pub fn source_object(&self, row: usize) -> Option<&str> {
        self.text(SOURCE_OBJECT, row)
    }

    /// When the event was stored, if that column was asked for.
    #[must_use]
    pub fn ingested_at(&self, row: usize) -> Option<Timestamp> {
        self.ingested
            .as_ref()
            .filter(|array| array.is_valid(row))
            .and_then(|array| Timestamp::from_micros(array.value(row)))
    }

    /// The first `rows` of them.
    pub(crate) fn head(mut self, rows: usize) -> EventBatch {
        self.rows = self.rows.min(rows);
        self
    }

    pub(crate) fn micros(&self, row: usize) -> i64 {
        self.times.as_ref().map_or(0, |array| array.value(row))
    }

    pub(crate) fn text(&self, column: usize, row: usize) -> Option<&str> {
        self.texts[column].as_ref().filter(|array| array.is_valid(row)).map(|array| array.value(row))
    }

    pub(crate) fn hash(&self, row: usize) -> Option<ContentHash> {
        let array = self.hashes.as_ref().filter(|array| array.is_valid(row))?;
        ContentHash::from_stored(array.value(row))
    }
}

fn boolean(array: Option<&BooleanArray>, row: usize) -> Option<bool> {
    array.filter(|array| array.is_valid(row)).map(|array| array.value(row))
}

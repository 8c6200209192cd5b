//! A data file's bytes, as the Parquet reader asks for them.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

/// Enough of a file's end to hold most footers.
const FOOTER_BYTES: usize = 64 << 10;
/// A file up to this size is fetched at once: asking forty times costs more than the bytes.
const SMALL: u64 = 256 << 10;

/// One object of a store, read by ranges.
#[derive(Debug)]
pub(crate) struct ObjectReader {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
    whole: Option<Bytes>,
}

impl ObjectReader {
    pub(crate) fn new(store: &Arc<dyn ObjectStore>, path: &str, size: u64) -> ObjectReader {
        ObjectReader { store: Arc::clone(store), path: Path::from(path), size, whole: None }
    }

    /// The whole object, if it is small.
    async fn small(&mut self) -> Result<Option<&Bytes>> {
        if self.size > SMALL {
            return Ok(None);
        }
        if self.whole.is_none() {
            let bytes = self.store.get_range(&self.path, 0..self.size).await.map_err(external)?;
            self.whole = Some(bytes);
        }
        Ok(self.whole.as_ref())
    }
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

fn slice(whole: &Bytes, range: &Range<u64>) -> Result<Bytes> {
    let range = range.start as usize..range.end as usize;
    if range.start > range.end || range.end > whole.len() {
        return Err(ParquetError::EOF(format!("bytes {range:?} of {}", whole.len())));
    }
    Ok(whole.slice(range))
}

impl AsyncFileReader for ObjectReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        async move {
            if let Some(whole) = self.small().await? {
                return slice(whole, &range);
            }
            self.store.get_range(&self.path, range).await.map_err(external)
        }
        .boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        async move {
            if let Some(whole) = self.small().await? {
                return ranges.iter().map(|range| slice(whole, range)).collect();
            }
            self.store.get_ranges(&self.path, &ranges).await.map_err(external)
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        async move {
            let mut reader = ParquetMetaDataReader::new().with_prefetch_hint(Some(FOOTER_BYTES));
            if let Some(options) = options {
                reader = reader
                    .with_metadata_options(Some(options.metadata_options().clone()))
                    .with_column_index_policy(options.column_index_policy())
                    .with_offset_index_policy(options.offset_index_policy());
            }
            let size = self.size;
            reader.load_and_finish(self, size).await.map(Arc::new)
        }
        .boxed()
    }
}

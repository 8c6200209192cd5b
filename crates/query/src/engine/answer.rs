//! An answer: its columns, its rows in blocks as they come, and what it cost.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, SchemaRef, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::LogicalPlan;
use datafusion::object_store::path::Path;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::physical_plan::ExecutionPlan;
use event::{Day, Timestamp};
use futures::StreamExt;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::QueryError;

/// What an answer cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Files of the lake that were opened.
    pub files: u64,
    /// Bytes read from them.
    pub bytes: u64,
    /// Bytes that did not fit into memory and went through the disk.
    pub spilled: u64,
}

/// An answer whose rows come in blocks.
pub struct Answer {
    plan: Arc<dyn ExecutionPlan>,
    columns: SchemaRef,
    batches: mpsc::Receiver<Result<RecordBatch, DataFusionError>>,
    /// Works the answer out on a thread of its own, so that whoever waits for it can stop waiting.
    worker: Option<JoinHandle<()>>,
    rows: u64,
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(worker) = &self.worker {
            worker.abort();
        }
    }
}

/// Batches that are worked out before somebody asks for them.
const AHEAD: usize = 2;

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("columns", &self.columns()).field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Answer {
    pub(crate) async fn begin(session: &SessionContext, plan: LogicalPlan) -> Result<Answer, QueryError> {
        let state = session.state();
        let plan = state.create_physical_plan(&plan).await.map_err(|error| crate::error::of_plan(session, error))?;
        let mut stream = datafusion::physical_plan::execute_stream(Arc::clone(&plan), state.task_ctx())?;
        let columns = stream.schema();
        let (sender, batches) = mpsc::channel(AHEAD);
        let worker = tokio::spawn(async move {
            while let Some(batch) = stream.next().await {
                if sender.send(batch).await.is_err() {
                    break;
                }
            }
        });
        Ok(Answer { plan, columns, batches, worker: Some(worker), rows: 0 })
    }

    /// The columns' names.
    #[must_use]
    pub fn columns(&self) -> Vec<String> {
        self.columns.fields().iter().map(|field| field.name().clone()).collect()
    }

    /// The next rows; `None` after the last.
    ///
    /// # Errors
    ///
    /// [`QueryError`] if the answer cannot be worked out.
    pub async fn next(&mut self) -> Result<Option<Block>, QueryError> {
        match self.batches.recv().await {
            // An end that nobody meant is no end: rows would be missing.
            None => match self.worker.take() {
                None => Ok(None),
                Some(worker) => match worker.await {
                    Ok(()) => Ok(None),
                    Err(error) => Err(DataFusionError::External(Box::new(error)).into()),
                },
            },
            Some(batch) => {
                let batch = batch?;
                self.rows += batch.num_rows() as u64;
                Ok(Some(Block(batch)))
            }
        }
    }

    /// How many rows came so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// What it cost so far.
    #[must_use]
    pub fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        let mut planned: HashSet<&Path> = HashSet::new();
        // The walk ends only where its visitor does.
        let _ = self.plan.apply(|node| {
            let metrics = node.metrics();
            let sum = |name: &str| {
                let sum = metrics.as_ref().and_then(|metrics| metrics.sum_by_name(name));
                sum.map_or(0, |value| value.as_usize() as u64)
            };
            cost.spilled += metrics.as_ref().and_then(|metrics| metrics.spilled_bytes()).unwrap_or(0) as u64;
            cost.bytes += sum("bytes_scanned");
            cost.files += sum("files_opened");
            planned.extend(files(node.as_ref()));
            Ok(TreeNodeRecursion::Continue)
        });
        // A file that two workers read is opened by both.
        cost.files = cost.files.min(planned.len() as u64);
        cost
    }

    /// A Parquet file of this answer's rows.
    ///
    /// # Errors
    ///
    /// If nothing can be written.
    pub fn parquet(&self, file: File) -> Result<ParquetFile, QueryError> {
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(Default::default())).build();
        let writer = ArrowWriter::try_new(file, Arc::clone(&self.columns), Some(properties));
        Ok(ParquetFile(writer.map_err(datafusion::error::DataFusionError::from)?))
    }
}

/// The files that a step of a plan reads.
fn files(step: &dyn ExecutionPlan) -> impl Iterator<Item = &Path> {
    let source = step.downcast_ref::<DataSourceExec>().and_then(|step| step.data_source().downcast_ref());
    let groups = source.map_or(&[][..], |source: &FileScanConfig| &source.file_groups);
    groups.iter().flat_map(FileGroup::iter).map(|file| &file.object_meta.location)
}

/// A Parquet file under construction.
pub struct ParquetFile(ArrowWriter<File>);

impl ParquetFile {
    /// Adds rows.
    ///
    /// # Errors
    ///
    /// If they cannot be written.
    pub fn write(&mut self, block: &Block) -> Result<(), QueryError> {
        Ok(self.0.write(&block.0).map_err(datafusion::error::DataFusionError::from)?)
    }

    /// Writes what is left, to the disk itself.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn finish(self) -> Result<(), QueryError> {
        let mut file = self.0.into_inner().map_err(datafusion::error::DataFusionError::from)?;
        let written = file.flush().and_then(|()| file.sync_all());
        Ok(written.map_err(datafusion::error::DataFusionError::from)?)
    }
}

/// Some rows of an answer.
#[derive(Debug)]
pub struct Block(RecordBatch);

impl Block {
    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.num_rows()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values of a row, times and days as text.
    #[must_use]
    pub fn row(&self, row: usize) -> Vec<Value> {
        self.0.columns().iter().map(|column| value(column.as_ref(), row)).collect()
    }

    /// The first rows.
    #[must_use]
    pub fn head(&self, rows: usize) -> Block {
        Block(self.0.slice(0, rows.min(self.len())))
    }
}

fn value(column: &dyn Array, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    macro_rules! number {
        ($kind:ty) => {
            column.as_primitive::<$kind>().value(row).into()
        };
    }
    let time = |micros: i64| match Timestamp::from_micros(micros) {
        Some(time) => Value::String(time.to_string()),
        None => shown(column, row),
    };
    match column.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => column.as_boolean().value(row).into(),
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float32 => number!(Float32Type),
        DataType::Float64 => number!(Float64Type),
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => column.as_string::<i64>().value(row).into(),
        DataType::Utf8View => column.as_string_view().value(row).into(),
        DataType::Date32 => match Day::from_days(column.as_primitive::<Date32Type>().value(row)) {
            day if day.start().is_some() => Value::String(day.to_string()),
            _ => shown(column, row),
        },
        // A time in another zone is shown as that zone's clock has it.
        DataType::Timestamp(_, Some(zone)) if !is_utc(zone) => shown(column, row),
        DataType::Timestamp(TimeUnit::Second, _) => {
            time(column.as_primitive::<TimestampSecondType>().value(row).saturating_mul(1_000_000))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            time(column.as_primitive::<TimestampMillisecondType>().value(row).saturating_mul(1_000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            time(column.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            time(column.as_primitive::<TimestampNanosecondType>().value(row) / 1_000)
        }
        DataType::Dictionary(_, _) => {
            let dictionary = column.as_any_dictionary();
            value(dictionary.values().as_ref(), dictionary.normalized_keys()[row])
        }
        DataType::List(_) => list(column.as_list::<i32>().value(row).as_ref()),
        DataType::LargeList(_) => list(column.as_list::<i64>().value(row).as_ref()),
        DataType::Struct(fields) => {
            let members = fields.iter().zip(column.as_struct().columns());
            let members = members.map(|(field, column)| (field.name().clone(), value(column.as_ref(), row)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        DataType::Map(_, _) => {
            let entries = column.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let text = |place| match value(keys.as_ref(), place) {
                Value::String(text) => text,
                other => other.to_string(),
            };
            let members = (0..entries.len()).map(|place| (text(place), value(values.as_ref(), place)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        _ => shown(column, row),
    }
}

fn is_utc(zone: &str) -> bool {
    matches!(zone, "UTC" | "utc" | "Z" | "+00:00" | "Etc/UTC")
}

fn list(items: &dyn Array) -> Value {
    (0..items.len()).map(|place| value(items, place)).collect()
}

/// A value of any other type as the engine writes it.
fn shown(column: &dyn Array, row: usize) -> Value {
    array_value_to_string(column, row).map_or(Value::Null, Value::String)
}

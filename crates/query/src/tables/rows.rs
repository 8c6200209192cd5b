//! Small tables whose rows somebody else has: alerts, detections, runs.
//!
//! Their rows are asked for when a question names the table, not before.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanBuilder, Int64Builder, RecordBatch, RecordBatchOptions, StringViewBuilder,
    TimestampMicrosecondBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::MemTable;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use event::Timestamp;
use futures::future::BoxFuture;
use serde_json::Value;

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowType {
    /// Text; a JSON document is its text.
    Text,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// A time, given as text.
    Time,
}

impl RowType {
    fn arrow(self) -> DataType {
        match self {
            RowType::Text => DataType::Utf8View,
            RowType::Integer => DataType::Int64,
            RowType::Boolean => DataType::Boolean,
            RowType::Time => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
        }
    }
}

/// A small table.
pub trait RowTable: Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;
    /// Its columns.
    fn columns(&self) -> &'static [(&'static str, RowType)];
    /// Its rows, each with a value for every column.
    ///
    /// # Errors
    ///
    /// Whatever keeps them from being read.
    fn rows(&self) -> std::result::Result<Vec<Vec<Value>>, Box<dyn std::error::Error + Send + Sync>>;
}

/// A [`RowTable`] as the engine sees it.
pub(crate) struct LazyTable {
    table: Arc<dyn RowTable>,
    schema: SchemaRef,
}

impl LazyTable {
    pub(crate) fn new(table: Arc<dyn RowTable>) -> LazyTable {
        let field = |&(name, kind): &(&str, RowType)| Field::new(name, kind.arrow(), true);
        let schema = Arc::new(Schema::new(table.columns().iter().map(field).collect::<Vec<_>>()));
        LazyTable { table, schema }
    }
}

impl fmt::Debug for LazyTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyTable").field("name", &self.table.name()).finish_non_exhaustive()
    }
}

impl TableProvider for LazyTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn scan<'a, 'b, 'c, 'd, 'f>(
        &'a self,
        session: &'b dyn Session,
        projection: Option<&'c Vec<usize>>,
        conditions: &'d [Expr],
        limit: Option<usize>,
    ) -> BoxFuture<'f, Result<Arc<dyn ExecutionPlan>>>
    where
        'a: 'f,
        'b: 'f,
        'c: 'f,
        'd: 'f,
        Self: 'f,
    {
        scan(self, session, projection, conditions, limit)
    }
}

/// No `async fn` in the implementation, as for the events: such a future is slow to compile there.
fn scan<'a>(
    lazy: &'a LazyTable,
    session: &'a dyn Session,
    projection: Option<&'a Vec<usize>>,
    conditions: &'a [Expr],
    limit: Option<usize>,
) -> BoxFuture<'a, Result<Arc<dyn ExecutionPlan>>> {
    Box::pin(async move {
        let table = Arc::clone(&lazy.table);
        let rows = tokio::task::spawn_blocking(move || table.rows()).await;
        let rows = rows.map_err(|error| DataFusionError::External(Box::new(error)))?;
        let rows = rows.map_err(DataFusionError::External)?;
        let columns = lazy.table.columns().iter().enumerate();
        let arrays = columns.map(|(place, &(_, kind))| array(kind, rows.iter().map(|row| row.get(place))));
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&lazy.schema), arrays.collect(), &options)?;
        let memory = MemTable::try_new(Arc::clone(&lazy.schema), vec![vec![batch]])?;
        memory.scan(session, projection, conditions, limit).await
    })
}

fn array<'v>(kind: RowType, values: impl Iterator<Item = Option<&'v Value>>) -> ArrayRef {
    match kind {
        RowType::Text => {
            let mut texts = StringViewBuilder::new();
            for value in values {
                match value {
                    None | Some(Value::Null) => texts.append_null(),
                    Some(Value::String(text)) => texts.append_value(text),
                    Some(other) => texts.append_value(other.to_string()),
                }
            }
            Arc::new(texts.finish())
        }
        RowType::Integer => {
            let mut numbers = Int64Builder::new();
            values.for_each(|value| numbers.append_option(value.and_then(Value::as_i64)));
            Arc::new(numbers.finish())
        }
        RowType::Boolean => {
            let mut truths = BooleanBuilder::new();
            values.for_each(|value| truths.append_option(value.and_then(Value::as_bool)));
            Arc::new(truths.finish())
        }
        RowType::Time => {
            let mut times = TimestampMicrosecondBuilder::new().with_timezone("UTC");
            for value in values {
                let time = value.and_then(Value::as_str).and_then(Timestamp::parse);
                times.append_option(time.map(Timestamp::micros));
            }
            Arc::new(times.finish())
        }
    }
}

//! The rows of a statement on their way to the client: a batch at a time, never all of them.

use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{DataFrame, SessionContext};
use futures::StreamExt;
use pgwire::messages::PgWireBackendMessage;

use super::cells::Columns;
use super::interrupt::Interrupt;
use super::problem::{Failure, Problem};
use super::wire::Wire;

/// What a statement answers.
pub(super) struct Answer {
    pub(super) schema: SchemaRef,
    /// Gone after the last batch.
    rows: Option<SendableRecordBatchStream>,
    /// The batch that is being sent, and its next row.
    batch: Option<(RecordBatch, usize)>,
}

/// What was sent of an answer.
pub(super) struct Sent {
    pub(super) rows: usize,
    /// Whether the client's limit was reached, so that there may be more.
    pub(super) is_suspended: bool,
}

impl Answer {
    /// Begins to run `plan`.
    pub(super) async fn begin(context: &SessionContext, plan: LogicalPlan) -> Result<Answer, Problem> {
        let schema = Arc::clone(plan.schema().inner());
        let rows = DataFrame::new(context.state(), plan).execute_stream().await?;
        Ok(Answer { schema, rows: Some(rows), batch: None })
    }

    /// Makes an answer of texts, a column at a time.
    pub(super) fn texts(columns: Vec<(&str, Vec<String>)>) -> Result<Answer, Problem> {
        let schema = Arc::new(text_schema(columns.iter().map(|(name, _)| *name)));
        let arrays = columns.into_iter().map(|(_, texts)| Arc::new(StringArray::from(texts)) as _).collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)
            .map_err(|error| Problem::new("XX000", error.to_string()))?;
        Ok(Answer { schema, rows: None, batch: Some((batch, 0)) })
    }

    /// Sends rows until there are no more or `limit` is reached. The client is waited for, so that the engine makes no
    /// more rows than the client takes.
    pub(super) async fn send(
        &mut self,
        wire: &mut Wire,
        interrupt: &mut Interrupt,
        columns: &Columns,
        limit: Option<usize>,
    ) -> Result<Sent, Failure> {
        let limit = limit.unwrap_or(usize::MAX);
        let mut sent = 0;
        while sent < limit {
            let Some((batch, first)) = self.next(interrupt).await? else {
                return Ok(Sent { rows: sent, is_suspended: false });
            };
            let last = batch.num_rows().min(first.saturating_add(limit - sent));
            let mut rows = columns.rows(&batch)?;
            for row in first..last {
                wire.put(PgWireBackendMessage::DataRow(rows.write(row)?))?;
                if wire.is_full() {
                    interrupt.guard(wire.flush()).await??;
                }
            }
            sent += last - first;
            self.batch = (last < batch.num_rows()).then_some((batch, last));
        }
        Ok(Sent { rows: sent, is_suspended: true })
    }

    /// Passes over rows.
    pub(super) async fn skip(&mut self, interrupt: &mut Interrupt, limit: Option<usize>) -> Result<usize, Failure> {
        let limit = limit.unwrap_or(usize::MAX);
        let mut skipped = 0;
        while skipped < limit {
            let Some((batch, first)) = self.next(interrupt).await? else { break };
            let last = batch.num_rows().min(first.saturating_add(limit - skipped));
            skipped += last - first;
            self.batch = (last < batch.num_rows()).then_some((batch, last));
        }
        Ok(skipped)
    }

    async fn next(&mut self, interrupt: &mut Interrupt) -> Result<Option<(RecordBatch, usize)>, Failure> {
        if let Some(batch) = self.batch.take() {
            return Ok(Some(batch));
        }
        let Some(rows) = &mut self.rows else { return Ok(None) };
        match interrupt.guard(rows.next()).await? {
            Some(Ok(batch)) => Ok(Some((batch, 0))),
            Some(Err(error)) => {
                self.rows = None;
                Err(Problem::from(error).into())
            }
            None => {
                self.rows = None;
                Ok(None)
            }
        }
    }
}

/// Returns a schema of texts.
pub(super) fn text_schema<'names>(names: impl Iterator<Item = &'names str>) -> Schema {
    Schema::new(names.map(|name| Field::new(name, DataType::Utf8, true)).collect::<Vec<_>>())
}

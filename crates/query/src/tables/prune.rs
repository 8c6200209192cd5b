//! Which files can hold a row that is asked for, by what the log says of them.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Date32Array, StringArray, UInt64Array};
use datafusion::arrow::array::{RecordBatch, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column as Name, DFSchema, Result, ScalarValue};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use event::Day;
use lake::DataFile;

/// The partition column.
pub(crate) const PARTITION: &str = "event_date";

/// Whether a condition speaks of the day alone, so that the partitions answer it for good.
pub(crate) fn is_of_the_day(condition: &Expr) -> bool {
    let columns = condition.column_refs();
    !columns.is_empty() && columns.iter().all(|column| column.name == PARTITION) && !condition.is_volatile()
}

/// The files among which every row is that meets the conditions.
pub(crate) fn files(
    session: &dyn Session,
    schema: &SchemaRef,
    conditions: &[Expr],
    mut files: Vec<Arc<DataFile>>,
) -> Result<Vec<Arc<DataFile>>> {
    let (of_the_day, others): (Vec<Expr>, Vec<Expr>) = conditions.iter().cloned().partition(is_of_the_day);
    if let Some(condition) = conjunction(of_the_day) {
        let days = days(session, &condition, &files)?;
        files.retain(|file| days.contains(&file.day()));
    }
    if let Some(condition) = conjunction(others) {
        let schema_with_names = DFSchema::try_from(Arc::clone(schema))?;
        // Statistics are a help: a condition that they cannot answer keeps every file.
        let Ok(condition) = session.create_physical_expr(condition, &schema_with_names) else { return Ok(files) };
        let predicate = PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema)).build(condition);
        if let Some(predicate) = predicate
            && let Ok(keep) = predicate.prune(&LogStatistics(&files))
        {
            let mut keep = keep.into_iter();
            files.retain(|_| keep.next().unwrap_or(true));
        }
    }
    Ok(files)
}

/// The days that meet a condition on the day, whatever functions it is made of.
fn days(session: &dyn Session, condition: &Expr, files: &[Arc<DataFile>]) -> Result<HashSet<Day>> {
    let days: Vec<Day> = files.iter().map(|file| file.day()).collect::<BTreeSet<_>>().into_iter().collect();
    let schema = Arc::new(Schema::new(vec![Field::new(PARTITION, DataType::Date32, false)]));
    let names = DFSchema::try_from(Arc::clone(&schema))?;
    let condition = session.create_physical_expr(condition.clone(), &names)?;
    let column: ArrayRef = Arc::new(Date32Array::from_iter_values(days.iter().map(|day| day.days())));
    let batch = RecordBatch::try_new(schema, vec![column])?;
    let answer = condition.evaluate(&batch)?.into_array(batch.num_rows())?;
    let answer: &BooleanArray = answer.as_boolean();
    let holds = |place: &usize| answer.is_valid(*place) && answer.value(*place);
    Ok((0..days.len()).filter(holds).map(|place| days[place]).collect())
}

/// What the log says of files, as the engine asks for it.
struct LogStatistics<'f>(&'f [Arc<DataFile>]);

impl LogStatistics<'_> {
    fn bounds(
        &self,
        column: &Name,
        of: impl Fn((&str, &str)) -> String,
        time: impl Fn((i64, i64)) -> i64,
    ) -> Option<ArrayRef> {
        if column.name == "event_time" {
            let times = self.0.iter().map(|file| file.times().map(&time));
            let times: TimestampMicrosecondArray = times.collect();
            return Some(Arc::new(times.with_timezone("UTC")));
        }
        let column = *lake::BOUNDED.iter().find(|bounded| bounded.name() == column.name)?;
        let texts: StringArray = self.0.iter().map(|file| file.bounds(column).map(&of)).collect();
        datafusion::arrow::compute::cast(&texts, &DataType::Utf8View).ok()
    }
}

impl PruningStatistics for LogStatistics<'_> {
    fn min_values(&self, column: &Name) -> Option<ArrayRef> {
        self.bounds(column, |(low, _)| low.to_owned(), |(first, _)| first)
    }

    fn max_values(&self, column: &Name) -> Option<ArrayRef> {
        self.bounds(column, |(_, high)| high.to_owned(), |(_, last)| last)
    }

    fn num_containers(&self) -> usize {
        self.0.len()
    }

    fn null_counts(&self, _: &Name) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from_iter_values(self.0.iter().map(|file| file.rows()))))
    }

    fn contained(&self, _: &Name, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

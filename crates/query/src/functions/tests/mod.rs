//! What the functions give, as Trino's documentation has it.

mod expressions;
mod failures;
mod lists;
mod written_times;

use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::prelude::{SessionConfig, SessionContext};
use event::Timestamp;

use crate::dialect;

/// The time that is now in tests.
pub(crate) fn now() -> Timestamp {
    Timestamp::parse("2024-03-15T12:34:56Z").expect("a time")
}

/// A session with the functions, set as the engine sets its own.
pub(crate) fn session() -> SessionContext {
    let mut config = SessionConfig::new().with_information_schema(true).with_target_partitions(2);
    config.options_mut().sql_parser.default_null_ordering = "nulls_last".to_owned();
    config.options_mut().execution.time_zone = Some("UTC".to_owned());
    let context = SessionContext::new_with_config(config);
    crate::functions::register(&context).expect("functions");
    context
}

/// The rows of a query, each value as text.
pub(crate) async fn rows(context: &SessionContext, sql: &str) -> Result<Vec<Vec<String>>, String> {
    let prepared = dialect::prepare(sql, now()).map_err(|error| error.to_string())?;
    prepared.check_functions(context).map_err(|error| error.to_string())?;
    let plan = context.state().statement_to_plan(prepared.into_statement()).await.map_err(|error| error.to_string())?;
    let frame = context.execute_logical_plan(plan).await.map_err(|error| error.to_string())?;
    let batches = frame.collect().await.map_err(|error| error.to_string())?;
    let options = FormatOptions::default().with_null("null");
    let mut rows = Vec::new();
    for batch in batches {
        let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|column| column.value(row).to_string()).collect());
        }
    }
    Ok(rows)
}

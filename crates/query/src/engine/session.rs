//! One conversation with the engine: questions, and what there is to ask about.

use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::LogicalPlan;
use event::Timestamp;

use super::Now;
use super::answer::Answer;
use crate::QueryError;
use crate::dialect;
use crate::error::{nearest, of_plan};

/// One conversation with the engine.
pub struct Session {
    context: SessionContext,
    now: Now,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("now", &self.now).finish_non_exhaustive()
    }
}

/// A table's column: its name and its type as SQL names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnInfo {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: String,
}

impl Session {
    pub(super) fn new(context: SessionContext, now: Now) -> Session {
        Session { context, now }
    }

    /// The engine's own session.
    pub(super) fn into_context(self) -> SessionContext {
        self.context
    }

    /// Asks.
    ///
    /// # Errors
    ///
    /// [`QueryError`] if the statement is refused, wrong, or cannot be begun.
    pub async fn ask(&self, sql: &str) -> Result<Answer, QueryError> {
        let plan = plan(&self.context, sql, self.now.read()).await?;
        Answer::begin(&self.context, plan).await
    }

    /// The names of the tables and views.
    #[must_use]
    pub fn tables(&self) -> Vec<String> {
        let mut tables = crate::error::tables(&self.context);
        tables.sort();
        tables
    }

    /// The columns of a table or view.
    ///
    /// # Errors
    ///
    /// [`QueryError::Unknown`], with the nearest name.
    pub async fn columns(&self, table: &str) -> Result<Vec<ColumnInfo>, QueryError> {
        let tables = self.tables();
        let Some(found) = tables.iter().find(|name| name.eq_ignore_ascii_case(table)) else {
            let near = nearest(table, tables.iter().map(String::as_str));
            return Err(QueryError::Unknown { what: "table", name: table.to_owned(), near });
        };
        let table = self.context.table_provider(found.as_str()).await?;
        let schema = table.schema();
        let column = |field: &std::sync::Arc<datafusion::arrow::datatypes::Field>| ColumnInfo {
            name: field.name().clone(),
            kind: kind(field.data_type()),
        };
        Ok(schema.fields().iter().map(column).collect())
    }

    /// The names of the functions, in order.
    #[must_use]
    pub fn functions(&self) -> Vec<String> {
        let state = self.context.state();
        let scalar = state.scalar_functions().keys();
        let mut names: Vec<String> =
            scalar.chain(state.aggregate_functions().keys()).chain(state.window_functions().keys()).cloned().collect();
        names.sort();
        names.dedup();
        names
    }
}

/// Plans a statement: checks that it only asks, and rewrites what Athena calls otherwise.
pub(super) async fn plan(context: &SessionContext, sql: &str, now: Timestamp) -> Result<LogicalPlan, QueryError> {
    let prepared = dialect::prepare(sql, now)?;
    prepared.check_functions(context)?;
    let plan = context.state().statement_to_plan(prepared.into_statement()).await;
    plan.map_err(|error| of_plan(context, error))
}

/// A type as Athena names it.
fn kind(data_type: &datafusion::arrow::datatypes::DataType) -> String {
    use datafusion::arrow::datatypes::DataType;
    match data_type {
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => "varchar".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int32 => "integer".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(_, None) => "timestamp".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone".to_owned(),
        DataType::List(item) => format!("array({})", kind(item.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                format!("map({}, {})", kind(pair[0].data_type()), kind(pair[1].data_type()))
            }
            _ => "map".to_owned(),
        },
        DataType::Struct(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|field| format!("{} {}", field.name(), kind(field.data_type()))).collect();
            format!("row({})", fields.join(", "))
        }
        other => other.to_string(),
    }
}

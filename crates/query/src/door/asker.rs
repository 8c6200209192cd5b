//! The port to whoever answers questions.

use datafusion::arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use futures::future::BoxFuture;

/// What the door asks. The engine implements it.
pub trait Asker: Send + Sync {
    /// Returns a session of its own for one connection, with its tables registered. The door adds the system catalogue
    /// to the session's default catalogue, and functions that clients expect.
    ///
    /// # Errors
    ///
    /// Where the tables cannot be opened: the client is told, and the connection ends.
    fn context(&self) -> BoxFuture<'_, Result<SessionContext, AskError>>;

    /// Plans one statement that the door took for a query, an `EXPLAIN`, a `SHOW` of tables or a `DESCRIBE`: checks it
    /// against its own list, rewrites its dialect, and plans it in `context` against tables as they are now. Parameters
    /// (`$1`) stay in the plan. The door refuses a plan that does anything but read.
    ///
    /// # Errors
    ///
    /// Where the statement is not allowed, not understood or names what is not there.
    fn plan<'a>(&'a self, context: &'a SessionContext, sql: &'a str) -> BoxFuture<'a, Result<LogicalPlan, AskError>>;
}

/// Why a question was not planned, as a client is told.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct AskError {
    /// The message.
    pub message: String,
    /// The five characters of the error's class, as in PostgreSQL's appendix A: `42601` is a syntax error.
    pub sqlstate: String,
    /// Where in the statement, in characters, counted from one.
    pub position: Option<usize>,
}

impl From<DataFusionError> for AskError {
    fn from(error: DataFusionError) -> AskError {
        AskError { sqlstate: sqlstate(&error).to_owned(), message: error.strip_backtrace(), position: None }
    }
}

/// The class of one of the engine's errors.
fn sqlstate(error: &DataFusionError) -> &'static str {
    match error.find_root() {
        DataFusionError::SQL(..) => "42601",
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::AmbiguousReference { .. } => "42702",
            SchemaError::DuplicateQualifiedField { .. } | SchemaError::DuplicateUnqualifiedField { .. } => "42701",
            SchemaError::FieldNotFound { .. } => "42703",
        },
        DataFusionError::Plan(message) if message.contains("table") && message.contains("not found") => "42P01",
        DataFusionError::Plan(message) if message.contains("Invalid function") => "42883",
        DataFusionError::Plan(_) => "42000",
        DataFusionError::NotImplemented(_) => "0A000",
        DataFusionError::ResourcesExhausted(_) => "53200",
        DataFusionError::Execution(_) => "22000",
        DataFusionError::ArrowError(arrow, _) => match arrow.as_ref() {
            ArrowError::DivideByZero => "22012",
            ArrowError::ArithmeticOverflow(_) => "22003",
            ArrowError::CastError(_) | ArrowError::ParseError(_) => "22P02",
            _ => "22000",
        },
        _ => "XX000",
    }
}

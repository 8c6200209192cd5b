//! The engine behind the door.

use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::LogicalPlan;
use futures::future::BoxFuture;

use super::{Engine, session};
use crate::QueryError;
use crate::dialect::{DialectError, Place};
use crate::door::{AskError, Asker};

impl Asker for Engine {
    fn context(&self) -> BoxFuture<'_, Result<SessionContext, AskError>> {
        Box::pin(async move { Ok(self.session().await?.into_context()) })
    }

    fn plan<'a>(&'a self, context: &'a SessionContext, sql: &'a str) -> BoxFuture<'a, Result<LogicalPlan, AskError>> {
        Box::pin(async move { session::plan(context, sql, self.now()).await.map_err(|error| placed(error, sql)) })
    }
}

impl From<QueryError> for AskError {
    fn from(error: QueryError) -> AskError {
        match error {
            QueryError::Engine(error) => AskError::from(*error),
            QueryError::Unknown { what, .. } => {
                let sqlstate = if what == "table" { "42P01" } else { "42703" };
                AskError { message: error.to_string(), sqlstate: sqlstate.to_owned(), position: None }
            }
            QueryError::Dialect(error) => of_dialect(error),
            QueryError::Lake(_) => {
                AskError { message: error.to_string(), sqlstate: "58030".to_owned(), position: None }
            }
        }
    }
}

fn of_dialect(error: DialectError) -> AskError {
    let sqlstate = match &error {
        DialectError::Syntax { .. } | DialectError::Several { .. } | DialectError::Empty => "42601",
        DialectError::NotAQuery { .. } | DialectError::Table { .. } => "42501",
        DialectError::TooLarge { .. } => "54001",
        DialectError::UnknownFunction { .. } | DialectError::Arguments { .. } => "42883",
        DialectError::Unsupported { .. } => "0A000",
        DialectError::UnknownParameter { .. } => "42P02",
        DialectError::Nul { .. } => "22021",
    };
    // A client shows the place by itself, under the statement it sent.
    let message = error.to_string();
    let message = message.lines().next().unwrap_or_default().to_owned();
    AskError { message, sqlstate: sqlstate.to_owned(), position: None }
}

/// The error with its place in the statement, in characters from 1.
fn placed(error: QueryError, sql: &str) -> AskError {
    let position = match &error {
        QueryError::Dialect(DialectError::Syntax { place, .. } | DialectError::Several { place }) => {
            Some(position(sql, place))
        }
        _ => None,
    };
    AskError { position, ..AskError::from(error) }
}

fn position(sql: &str, place: &Place) -> usize {
    let lines = usize::try_from(place.line.saturating_sub(1)).unwrap_or(0);
    let before: usize = sql.split_inclusive('\n').take(lines).map(|line| line.chars().count()).sum();
    before + usize::try_from(place.column).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_counted_in_characters_from_the_start() {
        let sql = "SELECT 'ü'\nFROM )";
        let error = crate::dialect::prepare(sql, event::Timestamp::MIN).expect_err("no SQL");
        let error = placed(error.into(), sql);
        assert_eq!((error.sqlstate.as_str(), error.position), ("42601", Some(17)), "{error}");
    }
}

//! Why a question has no answer.

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionContext;
use lake::LakeError;

use crate::dialect::DialectError;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The lake cannot be read.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The statement is refused, or no SQL.
    #[error(transparent)]
    Dialect(#[from] DialectError),
    /// The statement names what is not there.
    #[error("there is no {what} {name:?}{}", hint(.near))]
    Unknown {
        /// `table` or `column`.
        what: &'static str,
        /// As it was written.
        name: String,
        /// What was probably meant.
        near: Option<String>,
    },
    /// The engine refused or failed.
    #[error("{}", readable(.0))]
    Engine(Box<DataFusionError>),
}

impl QueryError {
    /// Whether whoever wrote the statement can put it right.
    #[must_use]
    pub fn is_mistake(&self) -> bool {
        match self {
            QueryError::Dialect(_) | QueryError::Unknown { .. } => true,
            QueryError::Lake(_) => false,
            QueryError::Engine(error) => matches!(
                error.find_root(),
                DataFusionError::Plan(_)
                    | DataFusionError::SchemaError(_, _)
                    | DataFusionError::SQL(_, _)
                    | DataFusionError::NotImplemented(_)
            ),
        }
    }
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> QueryError {
        QueryError::Engine(Box::new(error))
    }
}

fn hint(near: &Option<String>) -> String {
    near.as_ref().map(|near| format!("; did you mean {near}?")).unwrap_or_default()
}

/// The engine's message, without what speaks of its inside.
fn readable(error: &DataFusionError) -> String {
    let text = error.find_root().strip_backtrace();
    let prefixes =
        ["Error during planning: ", "External error: ", "Execution error: ", "Arrow error: ", "Schema error: "];
    let mut text = text.as_str();
    while let Some(rest) = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        text = rest;
    }
    text.to_owned()
}

/// What keeps a statement from being planned, with what was probably meant.
pub(crate) fn of_plan(session: &SessionContext, error: DataFusionError) -> QueryError {
    match error.find_root() {
        DataFusionError::SchemaError(error, _) => {
            if let SchemaError::FieldNotFound { field, valid_fields } = error.as_ref() {
                let near = nearest(&field.name, valid_fields.iter().map(|field| field.name.as_str()));
                return QueryError::Unknown { what: "column", name: field.name.clone(), near };
            }
        }
        DataFusionError::Plan(text) => {
            let table = text.strip_prefix("table '").and_then(|text| text.split_once("' not found"));
            if let Some((table, _)) = table {
                let name = table.rsplit('.').next().unwrap_or(table).to_owned();
                let tables = tables(session);
                let near = nearest(&name, tables.iter().map(String::as_str));
                return QueryError::Unknown { what: "table", name, near };
            }
        }
        _ => {}
    }
    error.into()
}

/// The names of the tables and views.
pub(crate) fn tables(session: &SessionContext) -> Vec<String> {
    let catalogs = session.catalog_names().into_iter().filter_map(|name| session.catalog(&name));
    let schemas = catalogs.filter_map(|catalog| catalog.schema("public"));
    schemas.flat_map(|schema| schema.table_names()).collect()
}

/// The nearest of some names, if it is near enough to be meant: within half of its length, so that short names do not
/// suggest just anything.
pub fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    let name: String = name.chars().take(64).collect::<String>().to_lowercase();
    let limit = name.chars().count() / 2;
    let distances = names.map(|known| (strsim::damerau_levenshtein(&name, &known.to_lowercase()), known));
    distances.filter(|(distance, _)| *distance <= limit).min().map(|(_, near)| near.to_owned())
}

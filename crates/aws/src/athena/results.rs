//! The rows of a statement, page by page, with the types that Athena says they have.

use event::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Athena, AthenaError, Execution, StatementType, operation};
use crate::signed::Operation;

/// <https://docs.aws.amazon.com/athena/latest/APIReference/API_GetQueryResults.html>
const RESULTS: Operation<'_> = operation!("GetQueryResults");
/// The most rows of a page.
const PAGE: u16 = 1_000;

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Column {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its type, as Athena names it.
    #[serde(rename = "Type", default)]
    pub kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    result_set: ResultSet,
    #[serde(default)]
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ResultSet {
    #[serde(default)]
    rows: Vec<Row>,
    #[serde(default)]
    result_set_metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Metadata {
    column_info: Vec<Column>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    #[serde(default)]
    data: Vec<Cell>,
}

/// A null has no text.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Cell {
    #[serde(default)]
    var_char_value: Option<String>,
}

/// The rows of an answer.
#[derive(Debug)]
pub struct Rows<'a> {
    athena: &'a Athena,
    id: String,
    columns: Vec<Column>,
    first: Option<Vec<Vec<Value>>>,
    token: Option<String>,
}

impl Athena {
    /// The answer of a statement: its columns, and its rows as they are asked for.
    ///
    /// # Errors
    ///
    /// [`AthenaError`] if the first page cannot be read.
    pub fn rows(&self, execution: &Execution) -> Result<Rows<'_>, AthenaError> {
        let mut page = self.page(&execution.id, None)?;
        let columns = page.result_set.result_set_metadata.column_info;
        // A query's first row, and no other statement's, has the columns' names.
        let is_head = |row: &Row| {
            row.data.len() == columns.len()
                && row
                    .data
                    .iter()
                    .zip(&columns)
                    .all(|(cell, column)| cell.var_char_value.as_ref() == Some(&column.name))
        };
        if execution.kind == StatementType::Query && page.result_set.rows.first().is_some_and(is_head) {
            page.result_set.rows.remove(0);
        }
        let first = Some(values(&columns, page.result_set.rows)?);
        Ok(Rows { athena: self, id: execution.id.clone(), columns, first, token: page.next_token })
    }

    fn page(&self, id: &str, token: Option<&str>) -> Result<Page, AthenaError> {
        let mut body = json!({ "QueryExecutionId": id, "MaxResults": PAGE });
        if let Some(token) = token {
            body["NextToken"] = json!(token);
        }
        self.call(&RESULTS, &body)
    }
}

impl Rows<'_> {
    /// The columns.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The rows of the next page, of which there may be none; `None` after the last.
    ///
    /// # Errors
    ///
    /// [`AthenaError`] if it cannot be read.
    pub fn next_page(&mut self) -> Result<Option<Vec<Vec<Value>>>, AthenaError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let Some(token) = self.token.take() else { return Ok(None) };
        let page = self.athena.page(&self.id, Some(&token))?;
        if page.next_token.as_ref() == Some(&token) {
            return Err(AthenaError::Answer("a page names itself as the next one".to_owned()));
        }
        self.token = page.next_token;
        Ok(Some(values(&self.columns, page.result_set.rows)?))
    }
}

fn values(columns: &[Column], rows: Vec<Row>) -> Result<Vec<Vec<Value>>, AthenaError> {
    let of_row = |row: Row| {
        if row.data.len() > columns.len() {
            let (cells, columns) = (row.data.len(), columns.len());
            return Err(AthenaError::Answer(format!("a row has {cells} cells, of {columns} columns")));
        }
        let mut values: Vec<Value> =
            row.data.into_iter().zip(columns).map(|(cell, column)| value(cell.var_char_value, &column.kind)).collect();
        // Nulls at the end of a row may be left out.
        values.resize(columns.len(), Value::Null);
        Ok(values)
    };
    rows.into_iter().map(of_row).collect()
}

/// A cell as the embedded engine gives it: numbers and truth values as such, times and days as text in ISO 8601, UTC.
/// Whatever else there is stays the text that Athena makes of it: decimals, and arrays, maps and rows.
fn value(text: Option<String>, kind: &str) -> Value {
    let Some(text) = text else { return Value::Null };
    let typed = match kind {
        "tinyint" | "smallint" | "integer" | "int" | "bigint" => text.parse::<i64>().ok().map(Value::from),
        "double" | "float" | "real" => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from),
        "boolean" => text.parse::<bool>().ok().map(Value::from),
        "timestamp" => instant(&text),
        "timestamp with time zone" => text.strip_suffix(" UTC").and_then(instant),
        _ => None,
    };
    typed.unwrap_or(Value::String(text))
}

/// `2026-01-31 12:00:00.000` as `2026-01-31T12:00:00Z`.
fn instant(text: &str) -> Option<Value> {
    let (day, time) = text.split_once(' ')?;
    let time = Timestamp::parse(&format!("{day}T{time}Z"))?;
    Some(Value::String(time.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_the_type_of_its_column() {
        let of = |text: &str, kind: &str| value(Some(text.to_owned()), kind);
        assert_eq!(of("42", "bigint"), json!(42));
        assert_eq!(of("42", "varchar"), json!("42"));
        assert_eq!(of("1.5", "double"), json!(1.5));
        assert_eq!(of("NaN", "double"), json!("NaN"));
        assert_eq!(of("1.50", "decimal"), json!("1.50"));
        assert_eq!(of("true", "boolean"), json!(true));
        assert_eq!(of("2026-01-31 12:00:00.000", "timestamp"), json!("2026-01-31T12:00:00Z"));
        assert_eq!(of("2026-01-31 12:00:00.250 UTC", "timestamp with time zone"), json!("2026-01-31T12:00:00.25Z"));
        let berlin = "2026-01-31 13:00:00.000 Europe/Berlin";
        assert_eq!(of(berlin, "timestamp with time zone"), json!(berlin));
        assert_eq!(of("2026-01-31", "date"), json!("2026-01-31"));
        assert_eq!(of("{a=1}", "row"), json!("{a=1}"));
        assert_eq!(value(None, "bigint"), Value::Null);
    }

    #[test]
    fn a_short_row_is_filled_and_a_long_one_refused() {
        let columns = [Column { name: "a".to_owned(), kind: "varchar".to_owned() }];
        let row = |cells: usize| Row { data: (0..cells).map(|_| Cell { var_char_value: None }).collect() };
        assert_eq!(values(&columns, vec![row(0)]).unwrap(), [[Value::Null]]);
        assert!(matches!(values(&columns, vec![row(2)]), Err(AthenaError::Answer(_))));
    }
}

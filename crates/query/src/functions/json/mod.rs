//! JSON in text columns: what `json_extract` and its kin find there.

mod path;
mod scan;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Builder, StringViewBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};

use super::call::{Call, Texts, shown};
use super::function::{self, Arg, Function};
use path::Path;
pub(crate) use scan::{Raw, find};

/// The functions of JSON.
pub(crate) fn functions() -> Vec<Function> {
    vec![
        Function::new("json_extract", &[Arg::Text, Arg::Text], function::text, extract).gives_json().fallible(),
        Function::new("json_extract_scalar", &[Arg::Text, Arg::Text], function::text, extract_scalar).fallible(),
        Function::new("json_array_length", &[Arg::Text], function::int, array_length),
        Function::new("json_array_contains", &[Arg::Text, Arg::Any], function::bool, array_contains),
        Function::new("json_array_get", &[Arg::Text, Arg::Int], function::text, array_get).gives_json(),
        Function::new("json_size", &[Arg::Text, Arg::Text], function::int, size).fallible(),
        Function::new("json_parse", &[Arg::Text], function::text, parse).gives_json().fallible(),
        Function::new("json_format", &[Arg::Text], function::text, format),
        Function::new("is_json_scalar", &[Arg::Text], function::bool, is_scalar),
    ]
}

/// The paths of a call: one that stands in every row is parsed once.
enum Paths<'a> {
    Same(Option<Path>),
    Each(Texts<'a>, HashMap<&'a str, Option<Path>>),
}

impl<'a> Paths<'a> {
    fn of(call: &Call<'a>, index: usize) -> Result<Paths<'a>> {
        let texts = call.text(index)?;
        match texts.same() {
            Some(Some(text)) => Ok(Paths::Same(parse_path(call, text)?)),
            Some(None) => Ok(Paths::Same(None)),
            None => Ok(Paths::Each(texts, HashMap::new())),
        }
    }

    fn get(&mut self, call: &Call<'_>, row: usize) -> Result<Option<&Path>> {
        match self {
            Paths::Same(path) => Ok(path.as_ref()),
            Paths::Each(texts, seen) => {
                let Some(text) = texts.get(row) else { return Ok(None) };
                if !seen.contains_key(text) {
                    seen.insert(text, parse_path(call, text)?);
                }
                Ok(seen.get(text).and_then(Option::as_ref))
            }
        }
    }
}

fn parse_path(call: &Call<'_>, text: &str) -> Result<Option<Path>> {
    match Path::parse(text) {
        Ok(path) => Ok(Some(path)),
        Err(reason) => call.fail(format_args!("invalid JSON path {}: {reason}", shown(text))),
    }
}

/// Runs over the values that the paths lead to.
fn at_paths<'a>(call: &Call<'a>, mut each: impl FnMut(Option<Raw<'a>>)) -> Result<()> {
    let documents = call.text(0)?;
    let mut paths = Paths::of(call, 1)?;
    for row in 0..call.rows() {
        let value = match (documents.get(row), paths.get(call, row)?) {
            (Some(document), Some(path)) => find(document, path.steps()),
            _ => None,
        };
        each(value);
    }
    Ok(())
}

fn extract(call: &Call<'_>) -> Result<ArrayRef> {
    let mut found = StringViewBuilder::with_capacity(call.rows());
    at_paths(call, |value| found.append_option(value.and_then(Raw::compact)))?;
    Ok(Arc::new(found.finish()))
}

fn extract_scalar(call: &Call<'_>) -> Result<ArrayRef> {
    let mut found = StringViewBuilder::with_capacity(call.rows());
    at_paths(call, |value| found.append_option(value.and_then(Raw::scalar)))?;
    Ok(Arc::new(found.finish()))
}

fn size(call: &Call<'_>) -> Result<ArrayRef> {
    let mut sizes = Int64Builder::with_capacity(call.rows());
    // Trino: the members of an object or the elements of an array, 0 for a scalar.
    at_paths(call, |value| {
        let size = value.map(|value| {
            let elements = value.elements().map(|elements| elements.len());
            elements.or_else(|| value.members().map(|members| members.len())).unwrap_or(0)
        });
        sizes.append_option(size.and_then(|size| i64::try_from(size).ok()));
    })?;
    Ok(Arc::new(sizes.finish()))
}

fn roots<'a>(call: &Call<'a>) -> Result<impl Iterator<Item = Option<Raw<'a>>> + use<'a>> {
    let documents = call.text(0)?;
    Ok((0..call.rows()).map(move |row| documents.get(row).and_then(|document| find(document, &[]))))
}

fn array_length(call: &Call<'_>) -> Result<ArrayRef> {
    let lengths = roots(call)?.map(|root| i64::try_from(root?.elements()?.len()).ok());
    let mut column = Int64Builder::with_capacity(call.rows());
    lengths.for_each(|length| column.append_option(length));
    Ok(Arc::new(column.finish()))
}

fn is_scalar(call: &Call<'_>) -> Result<ArrayRef> {
    let scalars = roots(call)?.map(|root| root.map(|root| !root.text().starts_with(['{', '['])));
    Ok(Arc::new(scalars.collect::<BooleanArray>()))
}

fn array_contains(call: &Call<'_>) -> Result<ArrayRef> {
    let wanted = call.column(1)?;
    let is_text = super::types::is_text(wanted.data_type());
    let wanted = datafusion::arrow::compute::cast(&wanted, &DataType::Utf8)?;
    let wanted = wanted.as_string::<i32>();
    let contains = |row: usize, root: Option<Raw<'_>>| {
        let elements = root?.elements()?;
        let wanted = wanted.is_valid(row).then(|| wanted.value(row))?;
        // A string matches a string alone, as in Trino.
        let same_kind = |element: &Raw<'_>| element.text().starts_with('"') == is_text;
        Some(elements.into_iter().filter(same_kind).any(|element| {
            element.scalar().is_some_and(|value| value == wanted || (!is_text && same_number(&value, wanted)))
        }))
    };
    let column: BooleanArray = roots(call)?.enumerate().map(|(row, root)| contains(row, root)).collect();
    Ok(Arc::new(column))
}

fn same_number(left: &str, right: &str) -> bool {
    matches!((left.parse::<f64>(), right.parse::<f64>()), (Ok(left), Ok(right)) if left == right)
}

fn array_get(call: &Call<'_>) -> Result<ArrayRef> {
    let indexes = call.ints(1)?;
    let mut column = StringViewBuilder::with_capacity(call.rows());
    for (row, root) in roots(call)?.enumerate() {
        let element = root.and_then(Raw::elements).filter(|_| indexes.is_valid(row)).and_then(|elements| {
            let index = indexes.value(row);
            let from = if index < 0 { i64::try_from(elements.len()).ok()? } else { 0 };
            elements.get(usize::try_from(from + index).ok()?).copied()
        });
        column.append_option(element.and_then(Raw::compact));
    }
    Ok(Arc::new(column.finish()))
}

fn parse(call: &Call<'_>) -> Result<ArrayRef> {
    let documents = call.text(0)?;
    let mut column = StringViewBuilder::with_capacity(call.rows());
    for row in 0..call.rows() {
        let Some(document) = documents.get(row) else {
            column.append_null();
            continue;
        };
        let valid = serde_json::from_str::<&serde_json::value::RawValue>(document).is_ok();
        let compact = find(document, &[]).filter(|_| valid).and_then(Raw::compact);
        match compact {
            Some(compact) => column.append_value(compact),
            None => column.append_option(call.fail::<&str>(format_args!("{} is no JSON", shown(document)))?),
        }
    }
    Ok(Arc::new(column.finish()))
}

fn format(call: &Call<'_>) -> Result<ArrayRef> {
    let mut column = StringViewBuilder::with_capacity(call.rows());
    roots(call)?.for_each(|root| column.append_option(root.and_then(Raw::compact)));
    Ok(Arc::new(column.finish()))
}

/// A JSON text as its cast to varchar gives it: a string without quotes, null as null; what is no JSON as it is.
pub(crate) fn as_varchar(text: &str) -> Option<Cow<'_, str>> {
    match find(text, &[]) {
        Some(root) if root.text() == "null" => None,
        Some(root) => root.scalar().or(Some(Cow::Borrowed(text))),
        None => Some(Cow::Borrowed(text)),
    }
}

/// A text as a JSON string.
pub(crate) fn quoted(text: &str) -> Result<String> {
    match serde_json::to_string(text) {
        Ok(text) => Ok(text),
        Err(error) => exec_err!("{} cannot be written as JSON: {error}", shown(text)),
    }
}

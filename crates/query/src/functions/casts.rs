//! Casts as Trino means them: of JSON, of times to text, of numbers to whole numbers, to arrays and maps.

use std::borrow::Cow;
use std::sync::Arc;

use chrono::Timelike;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder, StructArray};
use datafusion::arrow::compute::{CastOptions, cast, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, Float64Type};
use datafusion::arrow::util::display::FormatOptions;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{Expr, ExprSchemable, ReturnFieldArgs};

use super::call::{Call, Texts, shown};
use super::function::{self, Arg, Function};
use super::json::{self, Raw};
use super::time::{Kind, Times, offset_name};
use super::types::{is_json, is_text};

/// The functions that casts become.
pub(crate) fn functions() -> Vec<Function> {
    vec![
        Function::new("as_varchar", &[Arg::Any], varchar_type, as_varchar).simplified(same_text),
        Function::new("as_json", &[Arg::Any], function::text, as_json).gives_json(),
        Function::new("plain", &[Arg::Any], plain_type, plain).simplified(same),
        Function::new("whole", &[Arg::Any], plain_type, whole).simplified(same_whole),
        Function::new("cast_nested", &[Arg::Any, Arg::Text], nested_type, cast_nested).fallible(),
    ]
}

fn varchar_type(args: &ReturnFieldArgs<'_>) -> Result<DataType> {
    match args.arg_fields.first() {
        Some(field) if is_text(field.data_type()) && !is_json(field) => Ok(field.data_type().clone()),
        _ => Ok(DataType::Utf8View),
    }
}

/// JSON text loses its mark and its quotes; all else stays.
fn plain_type(args: &ReturnFieldArgs<'_>) -> Result<DataType> {
    match args.arg_fields.first() {
        Some(field) if is_json(field) => Ok(DataType::Utf8View),
        Some(field) => Ok(field.data_type().clone()),
        None => plan_err!("a cast takes a value"),
    }
}

/// Leaves an argument that is no JSON as it is.
fn same(args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
    simplified(args, info, |_| true)
}

fn same_text(args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
    simplified(args, info, is_text)
}

fn same_whole(args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
    simplified(args, info, |data_type| !data_type.is_floating())
}

fn simplified(args: Vec<Expr>, info: &SimplifyContext, is_same: fn(&DataType) -> bool) -> Result<ExprSimplifyResult> {
    let [value] = args.as_slice() else { return Ok(ExprSimplifyResult::Original(args)) };
    let (_, field) = value.to_field(info.schema().as_ref())?;
    if is_json(&field) || !is_same(field.data_type()) {
        return Ok(ExprSimplifyResult::Original(args));
    }
    Ok(ExprSimplifyResult::Simplified(value.clone()))
}

fn unquote(call: &Call<'_>, texts: Texts<'_>) -> ArrayRef {
    let mut column = StringViewBuilder::with_capacity(call.rows());
    for row in 0..call.rows() {
        column.append_option(texts.get(row).and_then(json::as_varchar));
    }
    Arc::new(column.finish())
}

fn plain(call: &Call<'_>) -> Result<ArrayRef> {
    if is_json(call.field(0)) { Ok(unquote(call, call.text(0)?)) } else { call.column(0) }
}

/// Rounds what is to become a whole number, half away from zero.
fn whole(call: &Call<'_>) -> Result<ArrayRef> {
    let column = call.column(0)?;
    match column.data_type() {
        DataType::Float64 | DataType::Float32 => {
            let numbers = cast(&column, &DataType::Float64)?;
            let rounded = numbers.as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::round);
            Ok(cast(&rounded, column.data_type())?)
        }
        _ => plain(call),
    }
}

fn as_varchar(call: &Call<'_>) -> Result<ArrayRef> {
    let field = call.field(0);
    match field.data_type() {
        text if is_text(text) && is_json(field) => Ok(unquote(call, call.text(0)?)),
        text if is_text(text) => call.column(0),
        DataType::Timestamp(_, _) => {
            let times = Times::of_any(call, 0)?;
            let mut column = StringViewBuilder::with_capacity(call.rows());
            for row in 0..call.rows() {
                let text = times.micros(row).zip(times.civil(row)).map(|(micros, civil)| {
                    let digits = if civil.nanosecond() % 1_000_000 == 0 { 3 } else { 6 };
                    let fraction = format!("{:06}", civil.nanosecond() / 1000);
                    let zone = match times.kind() {
                        Kind::Instant(_) => format!(" {}", offset_name(micros, times.kind())),
                        _ => String::new(),
                    };
                    format!("{}.{}{zone}", civil.format("%Y-%m-%d %H:%M:%S"), &fraction[..digits])
                });
                column.append_option(text);
            }
            Ok(Arc::new(column.finish()))
        }
        DataType::Binary => Ok(cast(&cast(&call.column(0)?, &DataType::Utf8)?, &DataType::Utf8View)?),
        DataType::List(_) | DataType::Map(_, _) | DataType::Struct(_) => {
            // Trino refuses these; their JSON is of more use.
            to_json(call)
        }
        _ => Ok(cast(&cast(&call.column(0)?, &DataType::Utf8)?, &DataType::Utf8View)?),
    }
}

fn as_json(call: &Call<'_>) -> Result<ArrayRef> {
    if is_json(call.field(0)) { call.column(0) } else { to_json(call) }
}

fn to_json(call: &Call<'_>) -> Result<ArrayRef> {
    let column = call.column(0)?;
    let mut written = StringViewBuilder::with_capacity(call.rows());
    let mut text = String::new();
    for row in 0..call.rows() {
        if column.is_null(row) {
            written.append_null();
            continue;
        }
        text.clear();
        push_json(&mut text, &column, row)?;
        written.append_value(&text);
    }
    Ok(Arc::new(written.finish()))
}

/// Writes a value as JSON.
fn push_json(text: &mut String, column: &ArrayRef, row: usize) -> Result<()> {
    if column.is_null(row) {
        text.push_str("null");
        return Ok(());
    }
    match column.data_type() {
        DataType::List(_) => {
            let elements = column.as_list::<i32>().value(row);
            text.push('[');
            for at in 0..elements.len() {
                if at > 0 {
                    text.push(',');
                }
                push_json(text, &elements, at)?;
            }
            text.push(']');
        }
        DataType::Map(_, _) => {
            let entries = column.as_map().value(row);
            text.push('{');
            for at in 0..entries.len() {
                if at > 0 {
                    text.push(',');
                }
                text.push_str(&json::quoted(&as_text(entries.column(0), at)?)?);
                text.push(':');
                push_json(text, entries.column(1), at)?;
            }
            text.push('}');
        }
        DataType::Struct(fields) => {
            let row_of = column.as_struct();
            text.push('{');
            for (at, field) in fields.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                text.push_str(&json::quoted(field.name())?);
                text.push(':');
                push_json(text, row_of.column(at), row)?;
            }
            text.push('}');
        }
        number if number.is_numeric() || matches!(number, DataType::Boolean) => text.push_str(&as_text(column, row)?),
        _ => text.push_str(&json::quoted(&as_text(column, row)?)?),
    }
    Ok(())
}

fn as_text(column: &ArrayRef, row: usize) -> Result<String> {
    let text = cast(&column.slice(row, 1), &DataType::Utf8)?;
    Ok(text.as_string::<i32>().value(0).to_owned())
}

/// The type that the second argument names.
fn nested_type(args: &ReturnFieldArgs<'_>) -> Result<DataType> {
    match args.scalar_arguments.get(1) {
        Some(Some(name)) => match name.try_as_str() {
            Some(Some(name)) => super::typename::parse(name),
            _ => plan_err!("a cast names its type"),
        },
        _ => plan_err!("a cast names its type"),
    }
}

fn cast_nested(call: &Call<'_>) -> Result<ArrayRef> {
    let column = call.column(0)?;
    let options = CastOptions { safe: call.lenient(), format_options: FormatOptions::default() };
    if !is_text(column.data_type()) {
        return Ok(cast_with_options(&column, call.gives(), &options)?);
    }
    let texts = call.text(0)?;
    let mut values = Vec::with_capacity(call.rows());
    for row in 0..call.rows() {
        let Some(text) = texts.get(row) else {
            values.push(ScalarValue::try_from(call.gives())?);
            continue;
        };
        let value = match json::find(text, &[]) {
            Some(root) => of_json(root, call.gives()),
            None => exec_err!("it is no JSON"),
        };
        values.push(match value {
            Ok(value) => value,
            Err(error) => {
                let reason =
                    format!("{} is no {}: {}", shown(text), super::types::trino_name(call.gives()), reason(&error));
                call.fail(reason)?.unwrap_or(ScalarValue::try_from(call.gives())?)
            }
        });
    }
    // The same type with the marks of its fields.
    Ok(cast(&ScalarValue::iter_to_array(values)?, call.gives())?)
}

fn reason(error: &datafusion::error::DataFusionError) -> String {
    error.strip_backtrace().trim_start_matches("Execution error: ").to_owned()
}

/// A JSON value as a value of a type.
fn of_json(value: Raw<'_>, data_type: &DataType) -> Result<ScalarValue> {
    if value.text() == "null" {
        return ScalarValue::try_from(data_type);
    }
    match data_type {
        DataType::List(element) => {
            let Some(elements) = value.elements() else { return exec_err!("{} is no array", shown(value.text())) };
            let elements =
                elements.into_iter().map(|value| of_json_field(value, element)).collect::<Result<Vec<_>>>()?;
            Ok(ScalarValue::List(ScalarValue::new_list_nullable(&elements, element.data_type())))
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(fields) = entries.data_type() else { return exec_err!("a map has entries") };
            let Some(members) = value.members() else { return exec_err!("{} is no object", shown(value.text())) };
            let (mut keys, mut values) = (Vec::new(), Vec::new());
            for (key, value) in members {
                keys.push(ScalarValue::Utf8View(Some(key.into_owned())).cast_to(fields[0].data_type())?);
                values.push(of_json_field(value, &fields[1])?);
            }
            super::types::map_value(keys, values, data_type)
        }
        DataType::Struct(fields) => {
            let by_name = value.members();
            let by_place = value.elements();
            let mut columns = Vec::with_capacity(fields.len());
            for (at, field) in fields.iter().enumerate() {
                let member = by_name
                    .as_ref()
                    .and_then(|members| members.iter().find(|(key, _)| key.eq_ignore_ascii_case(field.name())))
                    .map(|(_, value)| *value)
                    .or_else(|| by_place.as_ref().and_then(|elements| elements.get(at).copied()));
                let value = match member {
                    Some(member) => of_json_field(member, field)?,
                    None => ScalarValue::try_from(field.data_type())?,
                };
                columns.push(value.to_array()?);
            }
            if by_name.is_none() && by_place.is_none() {
                return exec_err!("{} is no object", shown(value.text()));
            }
            Ok(ScalarValue::Struct(Arc::new(StructArray::try_new(fields.clone(), columns, None)?)))
        }
        _ => match value.scalar() {
            Some(text) => ScalarValue::Utf8View(Some(text.into_owned())).cast_to(data_type),
            None => exec_err!("{} is no {}", shown(value.text()), super::types::trino_name(data_type)),
        },
    }
}

fn of_json_field(value: Raw<'_>, field: &Field) -> Result<ScalarValue> {
    if is_json(field) {
        return Ok(ScalarValue::Utf8View(value.compact().map(Cow::into_owned)));
    }
    // Trino refuses an object as varchar; its text is of more use.
    if is_text(field.data_type()) && value.text().starts_with(['{', '[']) {
        return ScalarValue::Utf8View(value.compact().map(Cow::into_owned)).cast_to(field.data_type());
    }
    of_json(value, field.data_type())
}

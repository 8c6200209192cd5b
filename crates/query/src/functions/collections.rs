//! Arrays and maps: scalar access, and what DataFusion's functions of the same name mean differently.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, ListArray, StringViewBuilder, UInt64Array, make_comparator,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::{SortOptions, cast, take};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::functions::expr_fn::contains as text_contains;
use datafusion::functions_nested::expr_fn::{array_has, array_sort};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{Expr, ExprSchemable, ReturnFieldArgs, lit};

use super::call::{Call, Texts};
use super::function::{self, Arg, Function};
use super::types::trino_name;

/// The functions of arrays and maps.
pub(crate) fn functions() -> Vec<Function> {
    vec![
        Function::new("element_at", &[Arg::Any, Arg::Any], element_type, element_at).gives_element(),
        Function::new("cardinality", &[Arg::Any], function::int, cardinality),
        Function::new("contains", &[Arg::Any, Arg::Any], function::bool, contains).simplified(contained),
        Function::new("array_join", &[Arg::Any, Arg::Text, Arg::Text], function::text, array_join).optional(1),
        Function::new("array_sort", &[Arg::Any, Arg::Text, Arg::Text], function::as_first, unreachable_form)
            .optional(2)
            .alias("list_sort")
            .simplified(sort),
        Function::new("slice", &[Arg::Any, Arg::Int, Arg::Int], function::as_first, slice),
        Function::new("typeof", &[Arg::Any], function::text, type_of),
    ]
}

/// The type of a list's elements or a map's values.
fn element_type(args: &ReturnFieldArgs<'_>) -> Result<DataType> {
    match args.arg_fields.first().map(|field| field.data_type()) {
        Some(DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _)) => {
            Ok(element.data_type().clone())
        }
        Some(DataType::Map(entries, _)) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => Ok(fields[1].data_type().clone()),
            _ => plan_err!("element_at: a map has keys and values"),
        },
        Some(DataType::Null) | None => Ok(DataType::Null),
        Some(other) => plan_err!("element_at takes an array or a map, not {}", trino_name(other)),
    }
}

fn element_at(call: &Call<'_>) -> Result<ArrayRef> {
    let column = call.column(0)?;
    match column.data_type() {
        DataType::Map(_, _) => map_element(call, &column),
        DataType::Null => Ok(column),
        _ => list_element(call, &column),
    }
}

fn as_list(column: &ArrayRef) -> Result<ListArray> {
    let (DataType::LargeList(element) | DataType::FixedSizeList(element, _)) = column.data_type() else {
        return Ok(column.as_list::<i32>().clone());
    };
    let list = DataType::List(Arc::clone(element));
    Ok(cast(column, &list)?.as_list::<i32>().clone())
}

fn list_element(call: &Call<'_>, column: &ArrayRef) -> Result<ArrayRef> {
    let list = as_list(column)?;
    let indexes = call.ints(1)?;
    let place = |row: usize| {
        let index = (list.is_valid(row) && indexes.is_valid(row)).then(|| indexes.value(row))?;
        let (start, length) = (i64::from(list.value_offsets()[row]), i64::from(list.value_length(row)));
        // Counted from 1, or from the end.
        let at = if index > 0 { index - 1 } else { length + index };
        (index != 0 && (0..length).contains(&at)).then(|| u64::try_from(start + at).ok())?
    };
    let places: UInt64Array = (0..list.len()).map(place).collect();
    Ok(take(list.values(), &places, None)?)
}

fn map_element(call: &Call<'_>, column: &ArrayRef) -> Result<ArrayRef> {
    let map = column.as_map();
    let wanted = cast(&call.column(1)?, map.keys().data_type())?;
    let entries = |row: usize| map.value_offsets()[row] as usize..map.value_offsets()[row + 1] as usize;
    let places: UInt64Array = if super::types::is_text(map.keys().data_type()) {
        let (keys, wanted) = (Texts::of(map.keys())?, Texts::of(&wanted)?);
        let place = |row: usize| {
            let wanted = wanted.get(row).filter(|_| map.is_valid(row))?;
            let at = entries(row).find(|at| keys.get(*at) == Some(wanted))?;
            u64::try_from(at).ok()
        };
        (0..map.len()).map(place).collect()
    } else {
        let compare = make_comparator(map.keys(), &wanted, SortOptions::default())?;
        let place = |row: usize| {
            let at = entries(row).find(|at| wanted.is_valid(row) && map.is_valid(row) && compare(*at, row).is_eq())?;
            u64::try_from(at).ok()
        };
        (0..map.len()).map(place).collect()
    };
    Ok(take(map.values(), &places, None)?)
}

fn cardinality(call: &Call<'_>) -> Result<ArrayRef> {
    let column = call.column(0)?;
    let length: Box<dyn Fn(usize) -> i64> = match column.data_type() {
        DataType::Map(_, _) => {
            let map = column.as_map().clone();
            Box::new(move |row| i64::from(map.value_length(row)))
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _) => {
            let list = as_list(&column)?;
            Box::new(move |row| i64::from(list.value_length(row)))
        }
        DataType::Null => Box::new(|_| 0),
        other => return Err(call.error(format_args!("takes an array or a map, not {}", trino_name(other)))),
    };
    let lengths = (0..column.len())
        .map(|row| (!column.is_null(row) && !matches!(column.data_type(), DataType::Null)).then(|| length(row)));
    Ok(Arc::new(lengths.collect::<Int64Array>()))
}

fn contains(call: &Call<'_>) -> Result<ArrayRef> {
    Err(call.error("takes an array or a text"))
}

/// `contains(array, x)` and `contains(text, part)` as DataFusion's functions for them.
fn contained(args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
    let Ok([whole, part]) = <[Expr; 2]>::try_from(args) else { return plan_err!("contains takes two arguments") };
    match info.get_data_type(&whole)? {
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
            let part = part.cast_to(element.data_type(), info.schema().as_ref())?;
            Ok(ExprSimplifyResult::Simplified(array_has(whole, part)))
        }
        _ => {
            let part = part.cast_to(&DataType::Utf8View, info.schema().as_ref())?;
            let whole = whole.cast_to(&DataType::Utf8View, info.schema().as_ref())?;
            Ok(ExprSimplifyResult::Simplified(text_contains(whole, part)))
        }
    }
}

fn unreachable_form(call: &Call<'_>) -> Result<ArrayRef> {
    Err(call.error("takes an array"))
}

/// Trino sorts nulls last.
fn sort(args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
    let mut args = args.into_iter();
    let Some(array) = args.next() else { return plan_err!("array_sort takes an array") };
    let direction = args.next().unwrap_or_else(|| lit("ASC"));
    let nulls = args.next().unwrap_or_else(|| lit("NULLS LAST"));
    Ok(ExprSimplifyResult::Simplified(array_sort(array, direction, nulls)))
}

fn array_join(call: &Call<'_>) -> Result<ArrayRef> {
    let column = call.column(0)?;
    if matches!(column.data_type(), DataType::Null) {
        return Ok(cast(&column, &DataType::Utf8View)?);
    }
    let list = as_list(&column)?;
    let values = cast(list.values(), &DataType::Utf8View)?;
    let (values, separators) = (Texts::of(&values)?, call.text(1)?);
    let replacements = if call.count() > 2 { call.text(2)? } else { Texts::Same(None) };
    let mut joined = StringViewBuilder::with_capacity(call.rows());
    let mut text = String::new();
    for row in 0..list.len() {
        let Some(separator) = separators.get(row).filter(|_| list.is_valid(row)) else {
            joined.append_null();
            continue;
        };
        text.clear();
        let mut first = true;
        for at in list.value_offsets()[row]..list.value_offsets()[row + 1] {
            // Nulls are left out, or replaced.
            let Some(value) = values.get(at as usize).or(replacements.get(row)) else { continue };
            if !first {
                text.push_str(separator);
            }
            first = false;
            text.push_str(value);
        }
        joined.append_value(&text);
    }
    Ok(Arc::new(joined.finish()))
}

fn slice(call: &Call<'_>) -> Result<ArrayRef> {
    let column = call.column(0)?;
    let DataType::List(element) = column.data_type() else {
        return Err(call.error(format_args!("takes an array, not {}", trino_name(column.data_type()))));
    };
    let list = as_list(&column)?;
    let (starts, lengths) = (call.ints(1)?, call.ints(2)?);
    let (mut offsets, mut places, mut valid) = (vec![0i32], Vec::new(), Vec::with_capacity(list.len()));
    for row in 0..list.len() {
        let is_valid = list.is_valid(row) && starts.is_valid(row) && lengths.is_valid(row);
        valid.push(is_valid);
        if is_valid {
            let (start, wanted) = (starts.value(row), lengths.value(row));
            if start == 0 || wanted < 0 {
                return Err(call.error("an array is counted from 1, and a length is 0 or more"));
            }
            let (first, length) = (i64::from(list.value_offsets()[row]), i64::from(list.value_length(row)));
            let from = if start > 0 { start - 1 } else { length + start };
            if (0..length).contains(&from) {
                places.extend((from..length.min(from.saturating_add(wanted))).map(|at| (first + at) as u64));
            }
        }
        offsets.push(i32::try_from(places.len()).map_err(|_| call.error("the arrays are too large"))?);
    }
    let values = take(list.values(), &UInt64Array::from(places), None)?;
    let nulls = NullBuffer::from(valid);
    Ok(Arc::new(ListArray::try_new(Arc::clone(element), OffsetBuffer::new(offsets.into()), values, Some(nulls))?))
}

fn type_of(call: &Call<'_>) -> Result<ArrayRef> {
    let field = call.field(0);
    let name = if super::types::is_json(field) { "json".to_owned() } else { trino_name(field.data_type()) };
    ScalarValue::Utf8View(Some(name)).to_array_of_size(call.rows())
}

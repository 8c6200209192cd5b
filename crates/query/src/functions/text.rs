//! Text: what Trino's functions give where DataFusion's of the same name give something else, or there are none.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, ListBuilder, StringViewBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::functions_nested::expr_fn::array_concat;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{Expr, ReturnFieldArgs};

use super::call::{Call, Texts, shown};
use super::function::{self, Arg, Function};

/// The longest text that padding and repeating make.
const MAX_LENGTH: usize = 1 << 20;

/// The functions of text.
pub(crate) fn functions() -> Vec<Function> {
    const TWO: &[Arg] = &[Arg::Text, Arg::Text];
    vec![
        Function::new("substr", &[Arg::Text, Arg::Int, Arg::Int], function::text, substr)
            .optional(1)
            .alias("substring"),
        Function::new("lower", &[Arg::Text], function::text, |call| cased(call, str::to_lowercase)),
        Function::new("upper", &[Arg::Text], function::text, |call| cased(call, str::to_uppercase)),
        Function::new("split", &[Arg::Text, Arg::Text, Arg::Int], function::texts, split).optional(1),
        Function::new("split_part", &[Arg::Text, Arg::Text, Arg::Int], function::text, split_part),
        Function::new("split_to_map", &[Arg::Text, Arg::Text, Arg::Text], map_of_text, split_to_map),
        Function::new("strpos", &[Arg::Text, Arg::Text, Arg::Int], function::int, strpos).optional(1),
        Function::new("concat", &[Arg::Any, Arg::Any], concat_type, concat).rest(Arg::Any).simplified(concat_lists),
        Function::new("levenshtein_distance", TWO, function::int, |call| distance(call, strsim::levenshtein)),
        Function::new("hamming_distance", TWO, function::int, hamming),
        Function::new("lpad", &[Arg::Text, Arg::Int, Arg::Text], function::text, |call| pad(call, true)).optional(1),
        Function::new("rpad", &[Arg::Text, Arg::Int, Arg::Text], function::text, |call| pad(call, false)).optional(1),
        Function::new("codepoint", &[Arg::Text], function::int, codepoint),
        Function::new("normalize", &[Arg::Text], function::text, same),
        Function::new("to_utf8", &[Arg::Text], function::bytes, to_utf8),
        Function::new("from_utf8", &[Arg::Bytes], function::text, from_utf8),
        Function::new("to_hex", &[Arg::Bytes], function::text, to_hex),
        Function::new("from_hex", &[Arg::Text], function::bytes, from_hex).fallible(),
    ]
}

/// Writes a text for each row.
fn texts<'a, T: AsRef<str>>(call: &Call<'_>, mut row: impl FnMut(usize) -> Result<Option<T>> + 'a) -> Result<ArrayRef> {
    let mut column = StringViewBuilder::with_capacity(call.rows());
    for index in 0..call.rows() {
        column.append_option(row(index)?);
    }
    Ok(Arc::new(column.finish()))
}

fn cased(call: &Call<'_>, change: fn(&str) -> String) -> Result<ArrayRef> {
    let given = call.text(0)?;
    texts(call, |row| Ok(given.get(row).map(change)))
}

fn substr(call: &Call<'_>) -> Result<ArrayRef> {
    let (texts_in, starts) = (call.text(0)?, call.ints(1)?);
    let lengths = if call.count() > 2 { Some(call.ints(2)?) } else { None };
    texts(call, |row| {
        let length = match &lengths {
            Some(lengths) if lengths.is_null(row) => return Ok(None),
            Some(lengths) => lengths.value(row),
            None => i64::MAX,
        };
        let start = starts.is_valid(row).then(|| starts.value(row));
        Ok(texts_in.get(row).zip(start).map(|(text, start)| part(text, start, length)))
    })
}

/// Characters from a place counted from 1, or from the end where it is negative. Place 0 is nowhere.
fn part(text: &str, start: i64, length: i64) -> &str {
    let offset_of = |characters: i64| match usize::try_from(characters) {
        Ok(characters) if text.is_ascii() => characters.min(text.len()),
        Ok(characters) => text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at),
        Err(_) => 0,
    };
    if start == 0 || length <= 0 {
        return "";
    }
    let first = if start > 0 {
        start - 1
    } else {
        let count = if text.is_ascii() { text.len() } else { text.chars().count() };
        let first = i64::try_from(count).unwrap_or(i64::MAX) + start;
        // Before the beginning there is nothing, as in Trino.
        if first < 0 {
            return "";
        }
        first
    };
    let from = offset_of(first);
    let to = offset_of(first.saturating_add(length));
    text.get(from..to).unwrap_or_default()
}

fn split(call: &Call<'_>) -> Result<ArrayRef> {
    let (texts, separators) = (call.text(0)?, call.text(1)?);
    let limits = if call.count() > 2 { Some(call.ints(2)?) } else { None };
    let mut column = ListBuilder::new(StringViewBuilder::new());
    for row in 0..call.rows() {
        let limit = match &limits {
            Some(limits) if limits.is_null(row) => None,
            Some(limits) => match usize::try_from(limits.value(row)) {
                Ok(limit) if limit > 0 => Some(limit),
                _ => return Err(call.error("the limit is 1 or more")),
            },
            None => Some(usize::MAX),
        };
        let (Some(text), Some(separator), Some(limit)) = (texts.get(row), separators.get(row), limit) else {
            column.append_null();
            continue;
        };
        if separator.is_empty() {
            return Err(call.error("the separator is empty"));
        }
        text.splitn(limit, separator).for_each(|part| column.values().append_value(part));
        column.append(true);
    }
    Ok(Arc::new(column.finish()))
}

fn split_part(call: &Call<'_>) -> Result<ArrayRef> {
    let (texts_in, separators, indexes) = (call.text(0)?, call.text(1)?, call.ints(2)?);
    texts(call, |row| {
        let index = indexes.is_valid(row).then(|| indexes.value(row));
        let (Some(text), Some(separator), Some(index)) = (texts_in.get(row), separators.get(row), index) else {
            return Ok(None);
        };
        let Ok(index @ 1..) = usize::try_from(index) else {
            return Err(call.error("the part is counted from 1"));
        };
        if separator.is_empty() {
            // Trino gives the characters then.
            return Ok(text.char_indices().nth(index - 1).map(|(at, letter)| &text[at..at + letter.len_utf8()]));
        }
        Ok(text.split(separator).nth(index - 1))
    })
}

fn map_of_text(_: &ReturnFieldArgs<'_>) -> Result<DataType> {
    Ok(super::types::map_of_text())
}

fn split_to_map(call: &Call<'_>) -> Result<ArrayRef> {
    let (texts, between, within) = (call.text(0)?, call.text(1)?, call.text(2)?);
    let mut column = super::types::text_map_builder();
    for row in 0..call.rows() {
        let (Some(text), Some(between), Some(within)) = (texts.get(row), between.get(row), within.get(row)) else {
            column.append(false)?;
            continue;
        };
        if between.is_empty() || within.is_empty() {
            return Err(call.error("a separator is empty"));
        }
        for entry in text.split(between).filter(|entry| !entry.is_empty()) {
            let Some((key, value)) = entry.split_once(within) else {
                return Err(call.error(format_args!("{} has no {}", shown(entry), shown(within))));
            };
            column.keys().append_value(key);
            column.values().append_value(value);
        }
        column.append(true)?;
    }
    Ok(Arc::new(column.finish()))
}

fn strpos(call: &Call<'_>) -> Result<ArrayRef> {
    let (texts, parts) = (call.text(0)?, call.text(1)?);
    let instances = if call.count() > 2 { Some(call.ints(2)?) } else { None };
    let place = |row: usize| {
        let instance = match &instances {
            Some(instances) => instances.is_valid(row).then(|| instances.value(row))?,
            None => 1,
        };
        let (text, part) = (texts.get(row)?, parts.get(row)?);
        let nth = usize::try_from(instance.unsigned_abs()).ok()?.checked_sub(1)?;
        let at = if instance > 0 { text.match_indices(part).nth(nth) } else { text.rmatch_indices(part).nth(nth) };
        let characters = at.map(|(at, _)| text[..at].chars().count() + 1);
        i64::try_from(characters.unwrap_or(0)).ok()
    };
    Ok(Arc::new((0..call.rows()).map(place).collect::<Int64Array>()))
}

fn concat_type(args: &ReturnFieldArgs<'_>) -> Result<DataType> {
    let is_list = |data_type: &DataType| matches!(data_type, DataType::List(_) | DataType::LargeList(_));
    match args.arg_fields.iter().find(|field| is_list(field.data_type())) {
        Some(list) => Ok(list.data_type().clone()),
        None if args.arg_fields.iter().all(|field| matches!(field.data_type(), DataType::Binary)) => {
            plan_err!("concat takes text or arrays")
        }
        None => Ok(DataType::Utf8View),
    }
}

/// Joins arrays with DataFusion's function for them.
fn concat_lists(args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
    let is_list =
        |arg: &Expr| Ok::<_, datafusion::error::DataFusionError>(matches!(info.get_data_type(arg)?, DataType::List(_)));
    match args.first().map(is_list).transpose()? {
        Some(true) => Ok(ExprSimplifyResult::Simplified(array_concat(args))),
        _ => Ok(ExprSimplifyResult::Original(args)),
    }
}

fn concat(call: &Call<'_>) -> Result<ArrayRef> {
    if !super::types::is_text(call.gives()) {
        return Err(call.error("arrays are joined with arrays alone"));
    }
    let columns = (0..call.count())
        .map(|index| datafusion::arrow::compute::cast(&call.column(index)?, &DataType::Utf8View).map_err(Into::into));
    let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
    let parts = columns.iter().map(Texts::of).collect::<Result<Vec<_>>>()?;
    let mut whole = String::new();
    let mut column = StringViewBuilder::with_capacity(call.rows());
    for row in 0..call.rows() {
        whole.clear();
        // Any null makes the whole null.
        let complete = parts.iter().all(|part| part.get(row).map(|part| whole.push_str(part)).is_some());
        column.append_option(complete.then_some(whole.as_str()));
    }
    Ok(Arc::new(column.finish()))
}

fn distance(call: &Call<'_>, distance: fn(&str, &str) -> usize) -> Result<ArrayRef> {
    let (left, right) = (call.text(0)?, call.text(1)?);
    let distances = (0..call.rows()).map(|row| i64::try_from(distance(left.get(row)?, right.get(row)?)).ok());
    Ok(Arc::new(distances.collect::<Int64Array>()))
}

fn hamming(call: &Call<'_>) -> Result<ArrayRef> {
    let (left, right) = (call.text(0)?, call.text(1)?);
    let mut distances = Vec::with_capacity(call.rows());
    for row in 0..call.rows() {
        let distance = left.get(row).zip(right.get(row)).map(|(left, right)| strsim::hamming(left, right));
        let distance = distance.transpose().map_err(|_| call.error("the texts differ in length"))?;
        distances.push(distance.and_then(|distance| i64::try_from(distance).ok()));
    }
    Ok(Arc::new(Int64Array::from(distances)))
}

fn pad(call: &Call<'_>, left: bool) -> Result<ArrayRef> {
    let (texts_in, sizes) = (call.text(0)?, call.ints(1)?);
    let fillings = if call.count() > 2 { call.text(2)? } else { Texts::Same(Some(" ")) };
    texts(call, |row| {
        let size = sizes.is_valid(row).then(|| sizes.value(row));
        let (Some(text), Some(size), Some(filling)) = (texts_in.get(row), size, fillings.get(row)) else {
            return Ok(None);
        };
        let size = match usize::try_from(size) {
            Ok(size) if size <= MAX_LENGTH && !filling.is_empty() => size,
            _ => return Err(call.error(format_args!("the length is 0 to {MAX_LENGTH}, the padding not empty"))),
        };
        let count = text.chars().count();
        if count >= size {
            return Ok(Some(text.chars().take(size).collect()));
        }
        let padding: String = filling.chars().cycle().take(size - count).collect();
        Ok(Some(if left { padding + text } else { text.to_owned() + &padding }))
    })
}

fn codepoint(call: &Call<'_>) -> Result<ArrayRef> {
    let texts = call.text(0)?;
    let points = (0..call.rows()).map(|row| texts.get(row)?.chars().next().map(|letter| i64::from(u32::from(letter))));
    Ok(Arc::new(points.collect::<Int64Array>()))
}

fn same(call: &Call<'_>) -> Result<ArrayRef> {
    let texts_in = call.text(0)?;
    texts(call, |row| Ok(texts_in.get(row)))
}

fn to_utf8(call: &Call<'_>) -> Result<ArrayRef> {
    let texts = call.text(0)?;
    Ok(Arc::new((0..call.rows()).map(|row| texts.get(row).map(str::as_bytes)).collect::<BinaryArray>()))
}

fn from_utf8(call: &Call<'_>) -> Result<ArrayRef> {
    let column = call.column(0)?;
    let bytes = column.as_binary::<i32>();
    texts(call, |row| Ok(bytes.is_valid(row).then(|| String::from_utf8_lossy(bytes.value(row)).into_owned())))
}

fn to_hex(call: &Call<'_>) -> Result<ArrayRef> {
    let column = call.column(0)?;
    let bytes = column.as_binary::<i32>();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
    texts(call, |row| Ok(bytes.is_valid(row).then(|| hex(bytes.value(row)))))
}

fn from_hex(call: &Call<'_>) -> Result<ArrayRef> {
    let texts = call.text(0)?;
    let mut column: Vec<Option<Vec<u8>>> = Vec::with_capacity(call.rows());
    for row in 0..call.rows() {
        let Some(text) = texts.get(row) else {
            column.push(None);
            continue;
        };
        let digits: Option<Vec<u8>> =
            text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
        match digits.filter(|digits| digits.len().is_multiple_of(2)) {
            Some(digits) => column.push(Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())),
            None => column.push(call.fail(format_args!("{} is no hexadecimal", shown(text)))?),
        }
    }
    Ok(Arc::new(column.iter().map(Option::as_deref).collect::<BinaryArray>()))
}

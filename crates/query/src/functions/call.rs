//! A call of a function on a batch: its columns as typed values by row, and its way to fail.

use std::borrow::Cow;
use std::fmt::Display;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, LargeStringArray, StringArray, StringViewArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int64Type};
use datafusion::common::{DataFusionError, Result, exec_datafusion_err, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

/// What a failing function shows of the value it failed on.
const SHOWN: usize = 80;

/// One call on one batch.
pub(crate) struct Call<'a> {
    name: &'a str,
    args: &'a ScalarFunctionArgs,
    rows: usize,
    lenient: bool,
}

impl<'a> Call<'a> {
    pub(crate) fn new(name: &'a str, args: &'a ScalarFunctionArgs, rows: usize, lenient: bool) -> Call<'a> {
        Call { name, args, rows, lenient }
    }

    /// How many rows to give.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// How many arguments there are.
    pub(crate) fn count(&self) -> usize {
        self.args.args.len()
    }

    /// The field of an argument.
    pub(crate) fn field(&self, index: usize) -> &Field {
        &self.args.arg_fields[index]
    }

    /// The type the call gives.
    pub(crate) fn gives(&self) -> &DataType {
        self.args.return_field.data_type()
    }

    /// An argument as a column of as many rows as the call has.
    pub(crate) fn column(&self, index: usize) -> Result<ArrayRef> {
        match &self.args.args[index] {
            ColumnarValue::Array(array) => Ok(Arc::clone(array)),
            ColumnarValue::Scalar(scalar) => scalar.to_array_of_size(self.rows),
        }
    }

    /// A text argument.
    pub(crate) fn text(&self, index: usize) -> Result<Texts<'a>> {
        match &self.args.args[index] {
            ColumnarValue::Scalar(scalar) => match scalar.try_as_str() {
                Some(value) => Ok(Texts::Same(value)),
                None if scalar.is_null() => Ok(Texts::Same(None)),
                None => exec_err!("{} takes text", self.name),
            },
            ColumnarValue::Array(array) => Texts::of(array),
        }
    }

    /// An argument of whole numbers.
    pub(crate) fn ints(&self, index: usize) -> Result<Int64Array> {
        Ok(cast(&self.column(index)?, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
    }

    /// An argument of numbers.
    pub(crate) fn numbers(&self, index: usize) -> Result<Float64Array> {
        Ok(cast(&self.column(index)?, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
    }

    /// Nothing where the call is part of a `try(…)`, an error otherwise.
    pub(crate) fn fail<T>(&self, reason: impl Display) -> Result<Option<T>> {
        if self.lenient {
            return Ok(None);
        }
        exec_err!("{}: {reason}", self.name.trim_start_matches(super::function::TRY_PREFIX))
    }

    /// An error whatever happens: the query is wrong, not its data.
    pub(crate) fn error(&self, reason: impl Display) -> DataFusionError {
        exec_datafusion_err!("{}: {reason}", self.name)
    }

    /// Whether failures give null.
    pub(crate) fn lenient(&self) -> bool {
        self.lenient
    }
}

/// A column of text in any of its layouts.
#[derive(Clone, Copy)]
pub(crate) enum Texts<'a> {
    Same(Option<&'a str>),
    Utf8(&'a StringArray),
    Large(&'a LargeStringArray),
    View(&'a StringViewArray),
}

impl<'a> Texts<'a> {
    /// The text of an array.
    pub(crate) fn of(array: &'a ArrayRef) -> Result<Texts<'a>> {
        match array.data_type() {
            DataType::Utf8 => Ok(Texts::Utf8(array.as_string())),
            DataType::LargeUtf8 => Ok(Texts::Large(array.as_string())),
            DataType::Utf8View => Ok(Texts::View(array.as_string_view())),
            DataType::Null => Ok(Texts::Same(None)),
            other => exec_err!("{} is no text", super::types::trino_name(other)),
        }
    }

    /// The text of a row.
    #[inline]
    pub(crate) fn get(&self, row: usize) -> Option<&'a str> {
        match self {
            Texts::Same(value) => *value,
            Texts::Utf8(array) => array.is_valid(row).then(|| array.value(row)),
            Texts::Large(array) => array.is_valid(row).then(|| array.value(row)),
            Texts::View(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }

    /// The text that stands in every row, where one does.
    pub(crate) fn same(&self) -> Option<Option<&'a str>> {
        match self {
            Texts::Same(value) => Some(*value),
            _ => None,
        }
    }
}

/// A stranger's text as an error shows it: quoted, escaped and cut.
pub(crate) fn shown(value: &str) -> String {
    let cut: Cow<'_, str> = match value.char_indices().nth(SHOWN) {
        Some((end, _)) => Cow::Owned(format!("{}…", &value[..end])),
        None => Cow::Borrowed(value),
    };
    format!("'{}'", cut.escape_debug())
}

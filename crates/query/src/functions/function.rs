//! One shape for every scalar function: a name, what it takes, what it gives, and a body over columns.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::call::Call;
use super::once::once;

/// The prefix of the form of a function that gives null where the function itself fails. `try(…)` calls it.
pub(crate) const TRY_PREFIX: &str = "try_";

/// What a function takes at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arg {
    /// Text of any layout; numbers and times are cast to it.
    Text,
    /// A whole number.
    Int,
    /// Any number.
    Number,
    /// A timestamp or a date; text is parsed as a time in UTC.
    Time,
    /// Bytes.
    Bytes,
    /// Anything.
    Any,
}

impl Arg {
    fn coerce(self, function: &str, given: &DataType) -> Result<DataType> {
        let coerced = match self {
            Arg::Any => given.clone(),
            Arg::Text => match given {
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => given.clone(),
                DataType::Dictionary(_, value) => return self.coerce(function, value),
                DataType::List(_) | DataType::LargeList(_) | DataType::Map(_, _) | DataType::Struct(_) => {
                    return plan_err!("{function} takes text here, not {}", super::types::trino_name(given));
                }
                DataType::Null => DataType::Utf8View,
                _ => DataType::Utf8,
            },
            Arg::Int => match given {
                number if number.is_integer() => DataType::Int64,
                DataType::Null => DataType::Int64,
                _ => return plan_err!("{function} takes a whole number here, not {}", super::types::trino_name(given)),
            },
            Arg::Number => match given {
                number if number.is_numeric() => DataType::Float64,
                DataType::Null => DataType::Float64,
                _ => return plan_err!("{function} takes a number here, not {}", super::types::trino_name(given)),
            },
            Arg::Time => match given {
                DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
                DataType::Date32 => DataType::Date32,
                DataType::Date64 => DataType::Timestamp(TimeUnit::Microsecond, None),
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => super::types::utc(),
                _ => return plan_err!("{function} takes a time here, not {}", super::types::trino_name(given)),
            },
            Arg::Bytes => match given {
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary => DataType::Binary,
                DataType::LargeBinary | DataType::BinaryView | DataType::Null => DataType::Binary,
                _ => return plan_err!("{function} takes bytes here, not {}", super::types::trino_name(given)),
            },
        };
        Ok(coerced)
    }
}

/// What a function gives, from what it is given.
pub(crate) type Returns = fn(&ReturnFieldArgs<'_>) -> Result<DataType>;
/// What a function does: as many rows as the call has.
pub(crate) type Body = fn(&Call<'_>) -> Result<ArrayRef>;
/// What a function can be replaced by before it runs.
pub(crate) type Simplify = fn(Vec<Expr>, &SimplifyContext) -> Result<ExprSimplifyResult>;

/// What a function's argument is where the function gives a literal, or lies on either side of it.
pub(crate) type Invert = fn(&[Expr], &Expr, &SimplifyContext) -> Result<PreimageResult>;

/// A scalar function of ours.
#[derive(Clone)]
pub(crate) struct Function {
    name: String,
    aliases: Vec<String>,
    takes: &'static [Arg],
    optional: usize,
    rest: Option<Arg>,
    returns: Returns,
    body: Body,
    simplify: Option<Simplify>,
    invert: Option<Invert>,
    json: bool,
    passes_json: bool,
    fallible: bool,
    lenient: bool,
    signature: Signature,
}

impl Function {
    /// A function that takes exactly `takes`.
    pub(crate) fn new(name: &str, takes: &'static [Arg], returns: Returns, body: Body) -> Function {
        Function {
            name: name.to_owned(),
            aliases: Vec::new(),
            takes,
            optional: 0,
            rest: None,
            returns,
            body,
            simplify: None,
            invert: None,
            json: false,
            passes_json: false,
            fallible: false,
            lenient: false,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    /// The last `count` arguments may be left out.
    pub(crate) fn optional(mut self, count: usize) -> Function {
        self.optional = count;
        self
    }

    /// Any number of `rest` may follow.
    pub(crate) fn rest(mut self, rest: Arg) -> Function {
        self.rest = Some(rest);
        self
    }

    /// Bad data makes it fail, so it has a form that gives null instead.
    pub(crate) fn fallible(mut self) -> Function {
        self.fallible = true;
        self
    }

    /// Its text is JSON: a cast to varchar unquotes it.
    pub(crate) fn gives_json(mut self) -> Function {
        self.json = true;
        self
    }

    /// It gives an element of its first argument: JSON where that holds JSON.
    pub(crate) fn gives_element(mut self) -> Function {
        self.passes_json = true;
        self
    }

    pub(crate) fn alias(mut self, alias: &str) -> Function {
        self.aliases.push(alias.to_owned());
        self
    }

    pub(crate) fn simplified(mut self, simplify: Simplify) -> Function {
        self.simplify = Some(simplify);
        self
    }

    pub(crate) fn inverted(mut self, invert: Invert) -> Function {
        self.invert = Some(invert);
        self
    }

    /// The names that have a form which does not fail.
    pub(crate) fn fallible_names(&self) -> Vec<String> {
        let names = std::iter::once(&self.name).chain(&self.aliases).cloned();
        if self.fallible { names.collect() } else { Vec::new() }
    }

    /// The function as DataFusion registers it, with its form that does not fail where it has one.
    pub(crate) fn into_udfs(self) -> impl Iterator<Item = ScalarUDF> {
        let lenient = self.fallible.then(|| {
            let mut lenient = self.clone();
            lenient.lenient = true;
            lenient.name = format!("{TRY_PREFIX}{}", self.name);
            lenient.aliases.iter_mut().for_each(|alias| *alias = format!("{TRY_PREFIX}{alias}"));
            lenient
        });
        std::iter::once(self).chain(lenient).map(ScalarUDF::from)
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function").field("name", &self.name).finish_non_exhaustive()
    }
}

// A name is registered once, so it tells functions apart.
impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.name == other.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        &self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let (least, most) = (self.takes.len() - self.optional, self.takes.len());
        let too_many = given.len() > most && self.rest.is_none();
        if given.len() < least || too_many {
            let expected = match (least == most, self.rest.is_some()) {
                (_, true) => format!("at least {least}"),
                (true, false) => least.to_string(),
                (false, false) => format!("{least} to {most}"),
            };
            return plan_err!("{} takes {expected} arguments, not {}", self.name, given.len());
        }
        let takes = self.takes.iter().copied().chain(self.rest.into_iter().cycle());
        given.iter().zip(takes).map(|(given, takes)| takes.coerce(&self.name, given)).collect()
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        plan_err!("the type that {} gives depends on what it is given", self.name)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = Field::new(&self.name, (self.returns)(&args)?, true);
        let json = self.json || (self.passes_json && gives_json_element(&args));
        Ok(Arc::new(if json { super::types::mark_json(field) } else { field }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) && !args.args.is_empty();
        let work_out = |args, rows| (self.body)(&Call::new(&self.name, args, rows, self.lenient));
        if constant {
            return Ok(ColumnarValue::Scalar(scalar(&work_out(&args, 1)?)?));
        }
        Ok(ColumnarValue::Array(match once(&args)? {
            Some(once) => take(&work_out(&once.args, once.values)?, &once.rows, None)?,
            None => work_out(&args, args.number_rows)?,
        }))
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        match self.simplify {
            Some(simplify) => simplify(args, info),
            None => Ok(ExprSimplifyResult::Original(args)),
        }
    }

    fn preimage(&self, args: &[Expr], literal: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
        match self.invert {
            Some(invert) => invert(args, literal, info),
            None => Ok(PreimageResult::None),
        }
    }
}

/// A column of one row as a value that keeps its type whole, the marks of its fields included.
fn scalar(column: &ArrayRef) -> Result<ScalarValue> {
    match column.data_type() {
        DataType::List(_) => Ok(ScalarValue::List(Arc::new(column.as_list().clone()))),
        DataType::Map(_, _) => Ok(ScalarValue::Map(Arc::new(column.as_map().clone()))),
        DataType::Struct(_) => Ok(ScalarValue::Struct(Arc::new(column.as_struct().clone()))),
        _ => ScalarValue::try_from_array(column, 0),
    }
}

/// Whether the first argument is a list of JSON, or a map to it.
fn gives_json_element(args: &ReturnFieldArgs<'_>) -> bool {
    match args.arg_fields.first().map(|field| field.data_type()) {
        Some(DataType::List(element)) => super::types::is_json(element),
        Some(DataType::Map(entries, _)) => match entries.data_type() {
            DataType::Struct(fields) => fields.get(1).is_some_and(|value| super::types::is_json(value)),
            _ => false,
        },
        _ => false,
    }
}

/// Gives text.
pub(crate) fn text(_: &ReturnFieldArgs<'_>) -> Result<DataType> {
    Ok(DataType::Utf8View)
}

/// Gives whole numbers.
pub(crate) fn int(_: &ReturnFieldArgs<'_>) -> Result<DataType> {
    Ok(DataType::Int64)
}

/// Gives numbers.
pub(crate) fn double(_: &ReturnFieldArgs<'_>) -> Result<DataType> {
    Ok(DataType::Float64)
}

/// Gives truth values.
pub(crate) fn bool(_: &ReturnFieldArgs<'_>) -> Result<DataType> {
    Ok(DataType::Boolean)
}

/// Gives days.
pub(crate) fn date(_: &ReturnFieldArgs<'_>) -> Result<DataType> {
    Ok(DataType::Date32)
}

/// Gives instants in UTC.
pub(crate) fn instant(_: &ReturnFieldArgs<'_>) -> Result<DataType> {
    Ok(super::types::utc())
}

/// Gives timestamps without a zone.
pub(crate) fn timestamp(_: &ReturnFieldArgs<'_>) -> Result<DataType> {
    Ok(DataType::Timestamp(TimeUnit::Microsecond, None))
}

/// Gives bytes.
pub(crate) fn bytes(_: &ReturnFieldArgs<'_>) -> Result<DataType> {
    Ok(DataType::Binary)
}

/// Gives lists of text.
pub(crate) fn texts(_: &ReturnFieldArgs<'_>) -> Result<DataType> {
    Ok(super::types::list_of(DataType::Utf8View))
}

/// Gives what its first argument is.
pub(crate) fn as_first(args: &ReturnFieldArgs<'_>) -> Result<DataType> {
    match args.arg_fields.first() {
        Some(field) => Ok(field.data_type().clone()),
        None => plan_err!("an argument is missing"),
    }
}

//! The parameters of a prepared statement: their types, and their values as a client bound them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_pg::datatypes::df::deserialize_parameters;
use arrow_pg::datatypes::{PG_OID_ALIAS_KEY, into_pg_type};
use bytes::Bytes;
use datafusion::arrow::datatypes::{DataType, FieldRef, TimeUnit};
use datafusion::common::ParamValues;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::scalar::ScalarValue;
use pgwire::api::Type;
use pgwire::api::portal::Portal;
use pgwire::api::stmt::StoredStatement;
use pgwire::messages::extendedquery::Bind as Message;

use super::problem::Problem;
use super::wire::Bind;

/// The most parameters: what the protocol can count.
const MOST: usize = u16::MAX as usize;

/// The parameters of a statement, in their order.
pub(super) struct Parameters {
    parameters: Vec<Parameter>,
}

struct Parameter {
    /// The type that the client named.
    declared: Option<Type>,
    /// The type that its place in the statement asks for.
    inferred: Option<FieldRef>,
}

impl Parameters {
    /// Finds the parameters of `plan`; `declared` has the types that the client named, zero where it named none.
    pub(super) fn of(plan: &LogicalPlan, declared: &[u32]) -> Result<Parameters, Problem> {
        let mut inferred = plan.get_parameter_fields()?;
        infer_from_casts(plan, &mut inferred)?;
        let mut count = declared.len();
        for name in inferred.keys() {
            match name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok()) {
                Some(number) if (1..=MOST).contains(&number) => count = count.max(number),
                _ => return Err(Problem::new("42P02", format!("there is no parameter {name}"))),
            }
        }
        let parameters = (0..count)
            .map(|place| Parameter {
                declared: declared
                    .get(place)
                    .and_then(|oid| Type::from_oid(*oid))
                    .filter(|kind| *kind != Type::UNKNOWN),
                inferred: inferred.remove(&format!("${}", place + 1)).flatten(),
            })
            .collect();
        Ok(Parameters { parameters })
    }

    /// Returns the types by which a client is to send values.
    pub(super) fn types(&self) -> Vec<Type> {
        self.parameters.iter().map(Parameter::kind).collect()
    }

    /// Returns nothing for each parameter, typed: for the description of a statement before it has values.
    pub(super) fn nothing(&self) -> ParamValues {
        let nothing: Vec<ScalarValue> = self.parameters.iter().map(Parameter::null).collect();
        ParamValues::from(nothing)
    }

    /// Reads the values that a client sent.
    pub(super) fn values(&self, bind: &Bind) -> Result<ParamValues, Problem> {
        let [given, expected] = [bind.values.len(), self.parameters.len()];
        if given != expected {
            let message = format!("{given} parameters are given, the statement has {expected}");
            return Err(Problem::new("08P01", message));
        }
        if bind.formats.len() > 1 && bind.formats.len() != given {
            let message = format!("{} parameter formats for {given} parameters", bind.formats.len());
            return Err(Problem::new("08P01", message));
        }
        let mut values = Vec::with_capacity(given);
        for (place, (value, parameter)) in bind.values.iter().zip(&self.parameters).enumerate() {
            let format = bind.formats.get(place).or(bind.formats.first()).copied().unwrap_or(0);
            let value = match value {
                Some(value) => parameter.value(value, format != 0),
                None => Ok(parameter.null()),
            };
            values.push(value.map_err(|problem| Problem {
                message: format!("parameter ${}: {}", place + 1, problem.message),
                ..problem
            })?);
        }
        Ok(ParamValues::from(values))
    }
}

impl Parameter {
    /// The type of the value on the wire.
    fn kind(&self) -> Type {
        if let Some(declared) = &self.declared {
            return declared.clone();
        }
        let Some(field) = &self.inferred else { return Type::TEXT };
        let is_oid = field.metadata().get(PG_OID_ALIAS_KEY).is_some_and(|alias| alias == "oid");
        if is_oid && *field.data_type() == DataType::Int32 {
            return Type::OID;
        }
        into_pg_type(field.data_type()).unwrap_or(Type::TEXT)
    }

    fn null(&self) -> ScalarValue {
        let kind = match &self.declared {
            Some(declared) => plain(declared),
            None => self.inferred.as_ref().map(|field| field.data_type().clone()),
        };
        let kind = kind.filter(|kind| *kind != DataType::Null).unwrap_or(DataType::Utf8);
        ScalarValue::try_from(&kind).unwrap_or(ScalarValue::Utf8(None))
    }

    fn value(&self, value: &Bytes, is_binary: bool) -> Result<ScalarValue, Problem> {
        let kind = self.kind();
        let is_text = matches!(kind, Type::TEXT | Type::VARCHAR | Type::NAME | Type::BPCHAR | Type::UNKNOWN);
        // A text is read by the engine itself: it knows more ways to write a time than the protocol's crate.
        let target = match &self.inferred {
            _ if is_text => Some(DataType::Utf8),
            Some(field) if self.declared.is_none() && !field.data_type().is_nested() => Some(field.data_type().clone()),
            _ => plain(&kind),
        };
        if is_text || !is_binary && target.is_some() {
            let Ok(text) = std::str::from_utf8(value) else {
                return Err(Problem::new("22021", "text that is not UTF-8"));
            };
            let target = target.unwrap_or(DataType::Utf8);
            // PostgreSQL takes a day of a longer text: JDBC sends "2023-11-14 +00".
            let day = matches!(target, DataType::Date32 | DataType::Date64).then(|| text.split(' ').next()).flatten();
            let text = ScalarValue::Utf8(Some(day.unwrap_or(text).to_owned()));
            return text.cast_to(&target).map_err(|error| Problem::new("22P02", error.strip_backtrace()));
        }
        self.decoded(value, is_binary, kind)
    }

    /// Reads a binary value, or the text of an array.
    fn decoded(&self, value: &Bytes, is_binary: bool, kind: Type) -> Result<ScalarValue, Problem> {
        let is_time = kind == Type::TIMESTAMPTZ;
        let statement = StoredStatement::new(String::new(), (), vec![Some(kind)]);
        let formats = vec![i16::from(is_binary)];
        let message = Message::new(None, None, formats, vec![Some(value.clone())], Vec::new());
        let portal = Portal::try_new(&message, Arc::new(statement))?;
        let ParamValues::List(mut values) = deserialize_parameters(&portal, &[None])? else {
            return Err(Problem::new("XX000", "a parameter without its value"));
        };
        let value = values.pop().map(|value| value.value);
        match value {
            Some(ScalarValue::TimestampMicrosecond(time, None)) if is_time => {
                Ok(ScalarValue::TimestampMicrosecond(time, Some("+00:00".into())))
            }
            Some(value) => Ok(value),
            None => Err(Problem::new("XX000", "a parameter without its value")),
        }
    }
}

/// Returns the engine's type for one of PostgreSQL's that the engine reads from text.
fn plain(kind: &Type) -> Option<DataType> {
    Some(match *kind {
        Type::BOOL => DataType::Boolean,
        Type::INT2 => DataType::Int16,
        Type::INT4 | Type::OID => DataType::Int32,
        Type::INT8 => DataType::Int64,
        Type::FLOAT4 => DataType::Float32,
        Type::FLOAT8 => DataType::Float64,
        Type::DATE => DataType::Date32,
        Type::TIME => DataType::Time64(TimeUnit::Microsecond),
        Type::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        Type::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
        Type::JSON | Type::JSONB | Type::UUID | Type::INET | Type::CIDR | Type::XML => DataType::Utf8,
        Type::TEXT | Type::VARCHAR | Type::NAME | Type::BPCHAR | Type::UNKNOWN => DataType::Utf8,
        _ => return None,
    })
}

/// Adds the types of `CAST($1 AS …)`, which the plan does not tell.
fn infer_from_casts(plan: &LogicalPlan, inferred: &mut HashMap<String, Option<FieldRef>>) -> Result<(), Problem> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                if let Expr::Cast(cast) = part
                    && let Expr::Placeholder(placeholder) = cast.expr.as_ref()
                {
                    let known = inferred.entry(placeholder.id.clone()).or_default();
                    known.get_or_insert_with(|| Arc::clone(&cast.field));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}

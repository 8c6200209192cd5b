//! Casts: to Trino's types, from what they mean in Trino.

use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, CastKind, CharacterLength, DataType, ExactNumberInfo, Expr, TimezoneInfo,
};

use super::super::build;
use super::super::error::DialectError;
use super::take;
use crate::functions::TRY_PREFIX;

/// Arrow's name of an instant.
const INSTANT: &str = "Timestamp(Microsecond, Some(\"UTC\"))";

/// Rewrites a cast.
pub(crate) fn rewrite(expr: &mut Expr) -> Result<(), DialectError> {
    let Expr::Cast { kind, expr: value, data_type, .. } = expr else { return Ok(()) };
    let lenient = matches!(kind, CastKind::TryCast | CastKind::SafeCast);
    let is_literal = matches!(**value, Expr::Value(_));
    let form = |name: &str| if lenient { format!("{TRY_PREFIX}{name}") } else { name.to_owned() };
    match data_type {
        DataType::Varchar(length) | DataType::Char(length) | DataType::CharacterVarying(length) => {
            let length = match length {
                Some(CharacterLength::IntegerLength { length, .. }) => i64::try_from(*length).ok(),
                _ => None,
            };
            let text = build::call("as_varchar", vec![take(value)]);
            *expr = match length {
                Some(length) => build::call("substr", vec![text, build::number(1), build::number(length)]),
                None => text,
            };
        }
        DataType::Text | DataType::String(_) => *expr = build::call("as_varchar", vec![take(value)]),
        DataType::JSON => *expr = build::call("as_json", vec![take(value)]),
        DataType::Array(ArrayElemTypeDef::None) => {
            return Err(DialectError::Arguments {
                name: "CAST".to_owned(),
                reason: "an array's type names its elements: array(varchar)".to_owned(),
            });
        }
        DataType::Array(_) | DataType::Map(_, _) | DataType::Struct(_, _) => {
            let target = data_type.to_string();
            *expr = build::call(&form("cast_nested"), vec![take(value), build::text(target)]);
        }
        DataType::Timestamp(_, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => {
            *expr = to_instant(plain("plain", take(value), is_literal), lenient);
        }
        DataType::Timestamp(precision, _) => {
            *precision = Some(6);
            **value = plain("plain", take(value), is_literal);
        }
        DataType::TinyInt(_)
        | DataType::SmallInt(_)
        | DataType::Int(_)
        | DataType::Integer(_)
        | DataType::BigInt(_) => {
            **value = plain("whole", take(value), is_literal);
        }
        DataType::Varbinary(_) | DataType::Binary(_) => *data_type = DataType::Bytea,
        DataType::Double(precision) => {
            *precision = ExactNumberInfo::None;
            **value = plain("plain", take(value), is_literal);
        }
        DataType::Custom(name, _) if name.to_string().eq_ignore_ascii_case("ipaddress") => {
            *expr = build::call("as_varchar", vec![take(value)]);
        }
        _ => **value = plain("plain", take(value), is_literal),
    }
    Ok(())
}

/// What a cast reads of JSON text; anything else as it is.
fn plain(function: &str, value: Expr, is_literal: bool) -> Expr {
    if is_literal && function == "plain" { value } else { build::call(function, vec![value]) }
}

/// A cast to an instant.
pub(crate) fn to_instant(value: Expr, lenient: bool) -> Expr {
    build::call(if lenient { "arrow_try_cast" } else { "arrow_cast" }, vec![value, build::text(INSTANT)])
}

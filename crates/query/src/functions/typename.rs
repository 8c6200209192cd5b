//! Types by the names that casts give them: `array(map(varchar, bigint))`, `ARRAY<VARCHAR>`, `STRUCT<a BIGINT>`.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::{Result, plan_err};

use super::types::{list_of, map_of, mark_json, utc};

/// How deep a type nests at most.
const MAX_DEPTH: usize = 8;

/// Reads a type's name.
pub(crate) fn parse(name: &str) -> Result<DataType> {
    parse_within(name, 0)
}

fn parse_within(name: &str, depth: usize) -> Result<DataType> {
    let name = name.trim();
    if depth > MAX_DEPTH {
        return plan_err!("a type nests more than {MAX_DEPTH} deep");
    }
    let (head, inside) = match name.find(['(', '<']) {
        Some(open) => (name[..open].trim(), name[open + 1..].trim_end().strip_suffix([')', '>'])),
        None => (name, None),
    };
    let parts: Vec<&str> = inside.map(split).unwrap_or_default();
    let data_type = match (head.to_lowercase().as_str(), parts.as_slice()) {
        ("array", [element]) => match is_json(element) {
            true => DataType::List(Arc::new(mark_json(Field::new_list_field(DataType::Utf8View, true)))),
            false => list_of(parse_within(element, depth + 1)?),
        },
        ("map", [key, value]) => {
            let key = parse_within(key, depth + 1)?;
            let map = map_of(key, parse_within(value, depth + 1)?);
            if is_json(value) { with_json_values(map) } else { map }
        }
        ("row" | "struct", fields) => {
            let fields = fields.iter().enumerate().map(|(at, field)| {
                let (name, data_type) = match field.trim().split_once(char::is_whitespace) {
                    Some((name, data_type)) => (name.trim_matches('"').to_lowercase(), data_type),
                    None => (format!("field{at}"), *field),
                };
                let inner = Field::new(name, parse_within(data_type, depth + 1)?, true);
                Ok(if is_json(data_type) { mark_json(inner) } else { inner })
            });
            DataType::Struct(fields.collect::<Result<Vec<Field>>>()?.into())
        }
        ("varchar" | "char" | "text" | "string" | "json", _) => DataType::Utf8View,
        ("boolean" | "bool", _) => DataType::Boolean,
        ("tinyint", _) => DataType::Int8,
        ("smallint", _) => DataType::Int16,
        ("int" | "integer", _) => DataType::Int32,
        ("bigint", _) => DataType::Int64,
        ("real" | "float", _) => DataType::Float32,
        ("double", _) => DataType::Float64,
        ("date", _) => DataType::Date32,
        ("varbinary", _) => DataType::Binary,
        (timestamp, _) if timestamp.starts_with("timestamp") => {
            let zoned = name.to_lowercase().ends_with("with time zone");
            if zoned { utc() } else { DataType::Timestamp(TimeUnit::Microsecond, None) }
        }
        _ => return plan_err!("there is no type {}", super::call::shown(name)),
    };
    Ok(data_type)
}

fn is_json(name: &str) -> bool {
    name.trim().eq_ignore_ascii_case("json")
}

fn with_json_values(map: DataType) -> DataType {
    let DataType::Map(entries, sorted) = &map else { return map };
    let DataType::Struct(fields) = entries.data_type() else { return map };
    let [key, value] = fields.as_ref() else { return map };
    let value = mark_json(value.as_ref().clone());
    let fields = vec![key.as_ref().clone(), value];
    DataType::Map(Arc::new(Field::new(entries.name(), DataType::Struct(fields.into()), false)), *sorted)
}

/// Splits at the commas that stand in no brackets.
fn split(inside: &str) -> Vec<&str> {
    let (mut depth, mut from, mut parts) = (0usize, 0, Vec::new());
    for (at, letter) in inside.char_indices() {
        match letter {
            '(' | '<' => depth += 1,
            ')' | '>' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&inside[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inside[from..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::super::types::trino_name;
    use super::*;

    #[test]
    fn reads_both_kinds_of_brackets() {
        for (name, expected) in [
            ("ARRAY<VARCHAR>", "array(varchar)"),
            ("array(map(varchar(3), bigint))", "array(map(varchar, bigint))"),
            ("STRUCT<a VARCHAR, b ARRAY<STRUCT<c INT>>>", "row(a varchar, b array(row(c integer)))"),
            ("map(varchar, json)", "map(varchar, varchar)"),
        ] {
            assert_eq!(parse(name).map(|data_type| trino_name(&data_type)).ok().as_deref(), Some(expected), "{name}");
        }
        assert!(parse("array(nothing)").is_err());
        assert!(parse(&"array(".repeat(20)).is_err());
    }
}

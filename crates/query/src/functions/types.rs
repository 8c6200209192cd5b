//! Types: Trino's names for Arrow's, and the mark that tells JSON from other text.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, MapArray, MapBuilder, MapFieldNames, StringBuilder, StructArray, new_empty_array,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::{Result, ScalarValue, exec_err};

/// The mark of Arrow's canonical JSON extension.
const EXTENSION: &str = "ARROW:extension:name";
const JSON: &str = "arrow.json";

/// Marks a field's text as JSON.
pub(crate) fn mark_json(field: Field) -> Field {
    field.with_metadata([(EXTENSION.to_owned(), JSON.to_owned())].into())
}

/// The mark for an expression that gives JSON.
pub(crate) fn json_mark() -> FieldMetadata {
    FieldMetadata::from(BTreeMap::from([(EXTENSION.to_owned(), JSON.to_owned())]))
}

/// Whether a field's text is JSON by its mark.
pub(crate) fn is_json(field: &Field) -> bool {
    field.metadata().get(EXTENSION).is_some_and(|name| name == JSON)
}

/// An instant: microseconds in UTC.
pub(crate) fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// A list of nullable elements.
pub(crate) fn list_of(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(element, true)))
}

/// A map of text to text.
pub(crate) fn map_of_text() -> DataType {
    map_of(DataType::Utf8, DataType::Utf8)
}

/// A map.
pub(crate) fn map_of(key: DataType, value: DataType) -> DataType {
    let fields = vec![Field::new("key", key, false), Field::new("value", value, true)];
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(fields.into()), false)), false)
}

/// A map of keys to values, of a type.
pub(crate) fn map_value(keys: Vec<ScalarValue>, values: Vec<ScalarValue>, data_type: &DataType) -> Result<ScalarValue> {
    let DataType::Map(entries, _) = data_type else { return exec_err!("{} is no map", trino_name(data_type)) };
    let DataType::Struct(fields) = entries.data_type() else { return exec_err!("a map has entries") };
    let count = keys.len();
    let column = |scalars: Vec<ScalarValue>, field: &Field| -> Result<ArrayRef> {
        if scalars.is_empty() { Ok(new_empty_array(field.data_type())) } else { ScalarValue::iter_to_array(scalars) }
    };
    let columns = vec![column(keys, &fields[0])?, column(values, &fields[1])?];
    let rows = StructArray::try_new(fields.clone(), columns, None)?;
    let offsets = OffsetBuffer::from_lengths([count]);
    Ok(ScalarValue::Map(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, rows, None, false)?)))
}

/// Builds maps of text to text, of the type that [`map_of_text`] is.
pub(crate) fn text_map_builder() -> MapBuilder<StringBuilder, StringBuilder> {
    let names = MapFieldNames { entry: "entries".to_owned(), key: "key".to_owned(), value: "value".to_owned() };
    MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new())
}

/// Whether a type is text of any layout.
pub(crate) fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// A type as Trino's `typeof` names it.
pub(crate) fn trino_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "unknown".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 => "tinyint".to_owned(),
        DataType::Int16 | DataType::UInt8 => "smallint".to_owned(),
        DataType::Int32 | DataType::UInt16 => "integer".to_owned(),
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "bigint".to_owned(),
        DataType::Float16 | DataType::Float32 => "real".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Decimal32(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Decimal64(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Decimal256(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "varchar".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "varbinary".to_owned(),
        DataType::FixedSizeBinary(_) => "varbinary".to_owned(),
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "time(3)".to_owned(),
        DataType::Timestamp(_, None) => "timestamp(3)".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamp(3) with time zone".to_owned(),
        DataType::Interval(_) | DataType::Duration(_) => "interval day to second".to_owned(),
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
            format!("array({})", trino_name(element.data_type()))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                format!("map({}, {})", trino_name(fields[0].data_type()), trino_name(fields[1].data_type()))
            }
            _ => "map".to_owned(),
        },
        DataType::Struct(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|field| format!("{} {}", field.name(), trino_name(field.data_type()))).collect();
            format!("row({})", fields.join(", "))
        }
        DataType::Dictionary(_, value) => trino_name(value),
        other => other.to_string(),
    }
}

//! Columns and values as PostgreSQL writes them.

use std::sync::Arc;

use arrow_pg::datatypes::field_into_pg_type;
use arrow_pg::encoder::encode_value;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, GenericListArray, LargeStringArray, OffsetSizeTrait, RecordBatch,
    StringArray, StringViewArray, StructArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Int8Type, Int16Type, Int32Type, Int64Type, Schema};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions as Display};
use pgwire::api::Type;
use pgwire::api::results::{DataRowEncoder, FieldFormat, FieldInfo};
use pgwire::messages::data::{DataRow, FieldDescription, RowDescription};
use pgwire::types::format::FormatOptions;

use super::problem::Problem;

/// What stands where a text has a NUL, which PostgreSQL's texts cannot have.
const NUL: &str = "\u{2400}";

/// The columns of an answer in the formats that a client asked for.
pub(super) struct Columns {
    infos: Arc<Vec<FieldInfo>>,
    fields: Vec<Field>,
}

impl Columns {
    /// Pairs the columns of `schema` with `formats`: none (text), one for all, or one each.
    pub(super) fn new(schema: &Schema, formats: &[i16], style: FormatOptions) -> Result<Columns, Problem> {
        let count = schema.fields().len();
        if formats.len() > 1 && formats.len() != count {
            let message = format!("{} result formats for {count} columns", formats.len());
            return Err(Problem::new("08P01", message));
        }
        let style = Arc::new(style);
        let mut infos = Vec::with_capacity(count);
        let mut fields = Vec::with_capacity(count);
        for (place, field) in schema.fields().iter().enumerate() {
            let format = formats.get(place).or(formats.first()).copied().unwrap_or(0);
            let kind = match has_counterpart(field.data_type()) {
                true => field_into_pg_type(field)?,
                false => Type::TEXT,
            };
            let size = width(&kind);
            let name = field.name().replace('\0', NUL);
            let info = FieldInfo::new(name, None, None, kind, FieldFormat::from(format));
            infos.push(info.with_type_size(size).with_format_options(Arc::clone(&style)));
            fields.push(field.as_ref().clone());
        }
        Ok(Columns { infos: Arc::new(infos), fields })
    }

    /// Describes the columns.
    pub(super) fn description(&self) -> RowDescription {
        RowDescription::new(self.infos.iter().map(FieldDescription::from).collect())
    }

    /// Prepares rows to be written.
    pub(super) fn rows(&self, batch: &RecordBatch) -> Result<Rows, Problem> {
        let mut arrays = Vec::with_capacity(self.fields.len());
        let mut fields = Vec::with_capacity(self.fields.len());
        for (array, field) in batch.columns().iter().zip(&self.fields) {
            let array =
                if has_counterpart(array.data_type()) { without_nul(array) } else { without_nul(&shown(array)?) };
            // The engine may write another kind of text than it planned.
            fields.push(field.clone().with_data_type(array.data_type().clone()));
            arrays.push(array);
        }
        if arrays.len() != self.infos.len() {
            return Err(Problem::new("XX000", "rows with other columns than their description"));
        }
        let encoder = DataRowEncoder::new(Arc::clone(&self.infos));
        Ok(Rows { arrays, fields, infos: Arc::clone(&self.infos), encoder })
    }
}

/// Rows that can be written one at a time.
pub(super) struct Rows {
    arrays: Vec<ArrayRef>,
    fields: Vec<Field>,
    infos: Arc<Vec<FieldInfo>>,
    encoder: DataRowEncoder,
}

impl Rows {
    pub(super) fn write(&mut self, row: usize) -> Result<DataRow, Problem> {
        for ((array, field), info) in self.arrays.iter().zip(&self.fields).zip(self.infos.iter()) {
            if array.is_null(row) {
                self.encoder.encode_field(&None::<&str>)?;
            } else {
                encode_value(&mut self.encoder, array, row, field, info)?;
            }
        }
        Ok(self.encoder.take_row())
    }
}

/// Returns whether PostgreSQL has such a type and `arrow-pg` writes it; the rest goes out as text.
fn has_counterpart(kind: &DataType) -> bool {
    match kind {
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
            !element.data_type().is_nested() && is_plain(element.data_type())
        }
        DataType::Dictionary(_, value) => is_plain(value),
        DataType::Struct(fields) => fields.iter().all(|field| is_plain(field.data_type())),
        plain => is_plain(plain),
    }
}

fn is_plain(kind: &DataType) -> bool {
    match kind {
        DataType::Null
        | DataType::Boolean
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Interval(_)
        | DataType::Float32
        | DataType::Float64 => true,
        DataType::Decimal128(_, scale) => *scale >= 0,
        DataType::Float16 => false,
        kind => kind.is_integer() || kind.is_temporal(),
    }
}

/// Returns how many bytes a type takes, as clients are told: -1 where values differ.
fn width(kind: &Type) -> i16 {
    match *kind {
        Type::BOOL | Type::CHAR => 1,
        Type::INT2 => 2,
        Type::INT4 | Type::FLOAT4 | Type::OID | Type::DATE => 4,
        Type::INT8 | Type::FLOAT8 | Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ => 8,
        Type::INTERVAL => 16,
        _ => -1,
    }
}

/// Writes values as text in the engine's own way.
fn shown(array: &ArrayRef) -> Result<ArrayRef, Problem> {
    let display = Display::default().with_null("null");
    let formatter = ArrayFormatter::try_new(array.as_ref(), &display)
        .map_err(|error| Problem::new("0A000", format!("a value that cannot be shown: {error}")))?;
    let texts: StringArray =
        (0..array.len()).map(|row| array.is_valid(row).then(|| formatter.value(row).to_string())).collect();
    Ok(Arc::new(texts))
}

/// Replaces NULs in every text that `array` holds.
fn without_nul(array: &ArrayRef) -> ArrayRef {
    let clean = |text: Option<&str>| text.map(|text| text.replace('\0', NUL));
    match array.data_type() {
        DataType::Utf8 if array.as_string::<i32>().value_data().contains(&0) => {
            Arc::new(array.as_string::<i32>().iter().map(clean).collect::<StringArray>())
        }
        DataType::LargeUtf8 if array.as_string::<i64>().value_data().contains(&0) => {
            Arc::new(array.as_string::<i64>().iter().map(clean).collect::<LargeStringArray>())
        }
        DataType::Utf8View if array.as_string_view().iter().flatten().any(|text| text.contains('\0')) => {
            Arc::new(array.as_string_view().iter().map(clean).collect::<StringViewArray>())
        }
        DataType::List(_) => clean_list::<i32>(array),
        DataType::LargeList(_) => clean_list::<i64>(array),
        DataType::Struct(fields) => {
            let fields = fields.clone();
            let parts = array.as_struct();
            let columns = parts.columns().iter().map(without_nul).collect();
            StructArray::try_new(fields, columns, parts.nulls().cloned())
                .map_or_else(|_| Arc::clone(array), |cleaned| Arc::new(cleaned))
        }
        DataType::Dictionary(..) => {
            macro_rules! clean_dictionary {
                ($($key:ty),*) => {$(
                    if let Some(dictionary) = array.as_any().downcast_ref::<DictionaryArray<$key>>() {
                        return Arc::new(dictionary.with_values(without_nul(dictionary.values())));
                    }
                )*};
            }
            clean_dictionary!(Int8Type, Int16Type, Int32Type, Int64Type);
            Arc::clone(array)
        }
        _ => Arc::clone(array),
    }
}

fn clean_list<O: OffsetSizeTrait>(array: &ArrayRef) -> ArrayRef {
    let list = array.as_list::<O>();
    let values = without_nul(list.values());
    let (DataType::List(field) | DataType::LargeList(field)) = array.data_type() else { return Arc::clone(array) };
    GenericListArray::<O>::try_new(Arc::clone(field), list.offsets().clone(), values, list.nulls().cloned())
        .map_or_else(|_| Arc::clone(array), |cleaned| Arc::new(cleaned))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{
        ArrayRef, AsArray, DictionaryArray, ListBuilder, MapBuilder, RecordBatch, StringArray, StringBuilder,
        StringViewArray, StructArray,
    };
    use datafusion::arrow::datatypes::{DataType, Field, Int32Type, Schema};
    use pgwire::types::format::FormatOptions;

    use super::{Columns, without_nul};

    #[test]
    fn a_nul_is_shown_wherever_it_stands() {
        let plain: ArrayRef = Arc::new(StringArray::from(vec![Some("a\0b"), None, Some("c")]));
        assert_eq!(without_nul(&plain).as_string::<i32>().value(0), "a␀b");
        assert!(without_nul(&plain).is_null(1));
        let view: ArrayRef = Arc::new(StringViewArray::from(vec!["\0"]));
        assert_eq!(without_nul(&view).as_string_view().value(0), "␀");
        let mut list = ListBuilder::new(StringBuilder::new());
        list.append_value([Some("x"), Some("y\0")]);
        let list: ArrayRef = Arc::new(list.finish());
        assert_eq!(without_nul(&list).as_list::<i32>().value(0).as_string::<i32>().value(1), "y␀");
        let fields = vec![Field::new("a", DataType::Utf8, true)].into();
        let record: ArrayRef = Arc::new(StructArray::new(fields, vec![plain], None));
        assert_eq!(without_nul(&record).as_struct().column(0).as_string::<i32>().value(0), "a␀b");
        let dictionary: ArrayRef = Arc::new(["k\0", "l"].into_iter().collect::<DictionaryArray<Int32Type>>());
        let cleaned = without_nul(&dictionary);
        assert_eq!(cleaned.as_dictionary::<Int32Type>().values().as_string::<i32>().value(0), "k␀");
    }

    #[test]
    fn what_postgresql_has_no_type_for_goes_out_as_text() {
        let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        map.keys().append_value("k");
        map.values().append_value("v\0");
        map.append(true).unwrap();
        map.append(false).unwrap();
        let map: ArrayRef = Arc::new(map.finish());
        let schema = Arc::new(Schema::new(vec![Field::new("m\0", map.data_type().clone(), true)]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![map]).unwrap();
        for formats in [vec![], vec![1]] {
            let columns = Columns::new(&schema, &formats, FormatOptions::default()).unwrap();
            let mut rows = columns.rows(&batch).unwrap();
            let first = rows.write(0).unwrap();
            assert!(String::from_utf8_lossy(&first.data).contains("k: v␀"), "{first:?}");
            assert_eq!(&rows.write(1).unwrap().data[..], [0xff; 4]);
        }
    }

    #[test]
    fn formats_fit_the_columns() {
        let schema = Schema::new(vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Int32, true)]);
        for (formats, is_fine) in [(vec![], true), (vec![1], true), (vec![0, 1], true), (vec![0, 1, 0], false)] {
            assert_eq!(Columns::new(&schema, &formats, FormatOptions::default()).is_ok(), is_fine, "{formats:?}");
        }
    }
}

//! Rows into Parquet: the order of the rows, the encoding of each column, and the statistics on the way.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow_array::builder::{BooleanBuilder, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray};
use arrow_schema::Schema;
use bytes::Bytes;
use event::Column;
use foldhash::fast::RandomState;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::Encoding;
use parquet::errors::ParquetError;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

use crate::Codec;
use crate::buffer::{Buffer, Cell, SOURCE_OBJECT, UNREPEATED, is_unrepeated};
use crate::order::{GROUPED_BY, Group, SortKey, ranks, sorted};
use crate::schema::{BOUNDED, FILE, FILE_SCHEMA, TableColumn};
use crate::stats::FileStats;

/// Rows of a row group: the unit that statistics and bloom filters let a reader leave alone.
pub(crate) const ROW_GROUP: usize = 64 * 1024;

/// Rows of a page at most: what has to be decoded for one row.
const PAGE_ROWS: usize = 16 * 1024;

/// A file's bytes and what the log says of it.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) bytes: Bytes,
    pub(crate) stats: FileStats,
}

/// What is given away for speed: files of an ingest are written once and merged later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// While events stream in.
    Quick,
    /// While files are merged.
    Thorough,
}

fn properties(effort: Effort, codec: Codec) -> WriterProperties {
    let level = match effort {
        Effort::Quick => 1,
        // Levels 2 to 4 cost more than 1 and gain nothing on these columns.
        Effort::Thorough => 6,
    };
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(concat!("trailhound ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(codec.compression(level))
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(false)
        .set_sorting_columns(sorting_columns());
    for &column in FILE.iter() {
        let path = ColumnPath::from(column.name());
        builder = match column {
            // A dictionary would hold every text beside the references to them. Without the lengths between them the
            // digits of random ids take the fewest bits.
            TableColumn::Text(text) if UNREPEATED.contains(&text) => builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path.clone(), Encoding::DELTA_LENGTH_BYTE_ARRAY)
                .set_column_compression(path.clone(), codec.compression(if is_id(text) { 1 } else { level })),
            TableColumn::EventTime | TableColumn::ContentHash => builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED),
            _ => builder.set_column_dictionary_page_size_limit(path.clone(), 4 << 20),
        };
        if prunes(column) {
            builder = builder.set_column_statistics_enabled(path.clone(), EnabledStatistics::Chunk);
        }
        // Rows of one group lie together, so its pages can be told from the others.
        if GROUPED_BY.iter().any(|&grouped| column == TableColumn::Text(grouped)) {
            builder = builder.set_column_statistics_enabled(path.clone(), EnabledStatistics::Page);
        }
        if filtered_by_bloom(column) {
            builder = builder
                .set_column_bloom_filter_enabled(path.clone(), true)
                .set_column_bloom_filter_fpp(path.clone(), 0.02);
        }
        if let Some(names) = names_in_a_row_group(column) {
            builder = builder.set_column_bloom_filter_max_ndv(path, names);
        }
    }
    builder.build()
}

/// No level finds more in random digits than the first.
fn is_id(column: Column) -> bool {
    matches!(column, Column::EventId | Column::RequestId | Column::SharedEventId)
}

/// Columns whose bounds stand in each row group.
fn prunes(column: TableColumn) -> bool {
    match column {
        TableColumn::Text(text) => BOUNDED.contains(&text) || text == Column::SessionName,
        TableColumn::EventTime | TableColumn::IngestedAt => true,
        _ => false,
    }
}

/// Columns that an investigator looks a single value up in, or asks rare values of.
pub(crate) fn filtered_by_bloom(column: TableColumn) -> bool {
    let is_looked_up = matches!(
        column,
        TableColumn::Text(
            Column::EventId | Column::UserName | Column::SessionName | Column::AccessKeyId | Column::SourceIp
        )
    );
    is_looked_up || names_in_a_row_group(column).is_some()
}

/// For columns of names that AWS gives: how many different ones a row group has at most, so that a filter takes a few
/// hundred bytes.
fn names_in_a_row_group(column: TableColumn) -> Option<u64> {
    match column {
        TableColumn::Text(Column::EventName) => Some(512),
        TableColumn::Text(Column::EventSource | Column::ErrorCode) => Some(128),
        _ => None,
    }
}

/// The order within a file, as Parquet names it.
fn sorting_columns() -> Option<Vec<SortingColumn>> {
    let place = |column| FILE.iter().position(|&other| other == column);
    let order = GROUPED_BY.into_iter().map(TableColumn::Text).chain([TableColumn::EventTime]);
    order
        .map(|column| {
            Some(SortingColumn {
                column_idx: i32::try_from(place(column)?).ok()?,
                descending: false,
                nulls_first: true,
            })
        })
        .collect()
}

static PROPERTIES: LazyLock<[[WriterPropertiesPtr; 2]; 2]> = LazyLock::new(|| {
    [Effort::Quick, Effort::Thorough]
        .map(|effort| [Codec::Zstd, Codec::Snappy].map(|codec| Arc::new(properties(effort, codec))))
});

/// Writes a data file column by column, so that besides the encoded bytes only one column of one row group is in memory.
pub(crate) fn write_file(
    effort: Effort,
    codec: Codec,
    row_groups: usize,
    mut column: impl FnMut(usize, TableColumn) -> Result<Vec<ArrayRef>, ParquetError>,
) -> Result<Bytes, ParquetError> {
    let properties = Arc::clone(&PROPERTIES[effort as usize][codec as usize]);
    write_columns(&FILE_SCHEMA, properties, row_groups, |group, place| column(group, FILE[place]))
}

/// Writes a Parquet file of any schema column by column.
pub(crate) fn write_columns(
    schema: &Arc<Schema>,
    properties: WriterPropertiesPtr,
    row_groups: usize,
    mut column: impl FnMut(usize, usize) -> Result<Vec<ArrayRef>, ParquetError>,
) -> Result<Bytes, ParquetError> {
    let parquet_schema = ArrowSchemaConverter::new().convert(schema)?;
    let mut file = SerializedFileWriter::new(Vec::new(), parquet_schema.root_schema_ptr(), properties)?;
    let factory = ArrowRowGroupWriterFactory::new(&file, Arc::clone(schema));
    for group in 0..row_groups {
        let mut writers = factory.create_column_writers(group)?.into_iter();
        let mut row_group = file.next_row_group()?;
        for (place, field) in schema.fields().iter().enumerate() {
            let mut writer = writers.next().ok_or_else(|| ParquetError::General("a column without a writer".into()))?;
            for array in column(group, place)? {
                for leaf in compute_leaves(field, &array)? {
                    writer.write(&leaf)?;
                }
            }
            writer.close()?.append_to_row_group(&mut row_group)?;
        }
        row_group.close()?;
    }
    file.into_inner().map(Bytes::from)
}

/// The rows of a buffer in the order of a file.
fn in_file_order(buffer: &Buffer) -> Vec<u32> {
    const DAY_MICROS: i64 = 86_400_000_000;
    let rows = 0..buffer.rows() as u32;
    let mut numbers: HashMap<[Cell; GROUPED_BY.len()], usize, RandomState> = HashMap::default();
    let mut groups: Vec<Group<'_>> = Vec::new();
    let group_of: Vec<usize> = rows
        .clone()
        .map(|row| {
            let cells = GROUPED_BY.map(|column| buffer.cell(column as usize, row));
            *numbers.entry(cells).or_insert_with(|| {
                groups.push(cells.map(|cell| buffer.text(cell)));
                groups.len() - 1
            })
        })
        .collect();
    let ranks = ranks(&groups);
    sorted(rows.map(|row| {
        let key = SortKey {
            group: ranks[group_of[row as usize]],
            time_of_day: buffer.time(row).rem_euclid(DAY_MICROS) as u64,
            id: buffer.key(row).bits(),
        };
        (key, row)
    }))
}

/// Encodes a buffer's rows in the order of a file.
pub(crate) fn encode(buffer: &Buffer, row_group_rows: usize, codec: Codec) -> Result<Encoded, ParquetError> {
    let rows = in_file_order(buffer);
    let stats = statistics(buffer, &rows);
    let groups: Vec<&[u32]> = rows.chunks(row_group_rows.max(1)).collect();
    let bytes =
        write_file(Effort::Quick, codec, groups.len(), |group, column| Ok(gather(buffer, column, groups[group])))?;
    Ok(Encoded { bytes, stats })
}

fn statistics(buffer: &Buffer, rows: &[u32]) -> FileStats {
    let mut stats = FileStats { rows: rows.len() as u64, ..FileStats::default() };
    for &row in rows {
        stats.widen_time(buffer.time(row));
    }
    for (place, &column) in BOUNDED.iter().enumerate() {
        let mut last = None;
        for &row in rows {
            let cell = buffer.cell(column as usize, row);
            // A run of one cell is one text; its nulls still have to be counted.
            let text = buffer.get(column as usize, row);
            if text.is_none() || last != Some(cell) {
                stats.widen(place, text);
            }
            last = Some(cell);
        }
    }
    stats
}

/// Texts of a column are handed to the encoder in arrays of about this size.
const ARRAY_BYTES: usize = 32 << 20;

/// One column's values of some rows.
fn gather(buffer: &Buffer, column: TableColumn, rows: &[u32]) -> Vec<ArrayRef> {
    let array = match column {
        TableColumn::Text(text) => return gather_text(buffer, text as usize, rows),
        TableColumn::SourceObject => return gather_text(buffer, SOURCE_OBJECT, rows),
        TableColumn::EventTime => times(rows.iter().map(|&row| buffer.time(row))),
        TableColumn::IngestedAt => times(rows.iter().map(|&row| buffer.ingested(row))),
        TableColumn::ReadOnly => booleans(rows.iter().map(|&row| buffer.flags(row).read_only)),
        TableColumn::MfaAuthenticated => booleans(rows.iter().map(|&row| buffer.flags(row).mfa_authenticated)),
        TableColumn::IdDerived => booleans(rows.iter().map(|&row| Some(buffer.flags(row).id_derived))),
        TableColumn::ContentHash => {
            let mut builder = Int64Builder::with_capacity(rows.len());
            for &row in rows {
                builder.append_value(buffer.hash(row).stored());
            }
            Arc::new(builder.finish()) as ArrayRef
        }
        TableColumn::EventDate => unreachable!("the partition is not in the files"),
    };
    vec![array]
}

fn gather_text(buffer: &Buffer, column: usize, rows: &[u32]) -> Vec<ArrayRef> {
    if !is_unrepeated(column)
        && let Some(arrays) = gather_repeated(buffer, column, rows)
    {
        return arrays;
    }
    let length = |row: u32| buffer.length(column, row);
    let mut arrays: Vec<ArrayRef> = Vec::new();
    let mut rest = rows;
    while !rest.is_empty() {
        // Long texts may come to more than an array can address.
        let mut bytes = 0;
        let mut taken = 0;
        while taken < rest.len() && (taken == 0 || bytes + length(rest[taken]) <= ARRAY_BYTES) {
            bytes += length(rest[taken]);
            taken += 1;
        }
        let (rows, after) = rest.split_at(taken);
        let mut builder = StringBuilder::with_capacity(rows.len(), bytes);
        for &row in rows {
            builder.append_option(buffer.get(column, row));
        }
        arrays.push(Arc::new(builder.finish()));
        rest = after;
    }
    arrays
}

/// A column as dictionaries of its different texts, each copied once; `None` if they do not repeat enough for that.
fn gather_repeated(buffer: &Buffer, column: usize, rows: &[u32]) -> Option<Vec<ArrayRef>> {
    /// Different texts that are taken before it matters how often they repeat.
    const PATIENCE: usize = 256;
    let mut arrays: Vec<ArrayRef> = Vec::new();
    let mut rest = rows;
    while !rest.is_empty() {
        let mut places: HashMap<Cell, i32, RandomState> = HashMap::default();
        let mut texts = StringBuilder::new();
        let mut keys = Int32Builder::with_capacity(rest.len());
        let mut last: Option<(Cell, i32)> = None;
        // What the encoder may have to unfold again, at worst into one page.
        let mut unfolded = 0;
        let mut taken = 0;
        while taken < rest.len() && unfolded <= ARRAY_BYTES {
            let cell = buffer.cell(column, rest[taken]);
            unfolded += buffer.length(column, rest[taken]);
            taken += 1;
            if let Some((_, place)) = last.filter(|(seen, _)| *seen == cell) {
                keys.append_value(place);
                continue;
            }
            let Some(text) = buffer.text(cell) else {
                keys.append_null();
                continue;
            };
            let next = places.len() as i32;
            let place = *places.entry(cell).or_insert(next);
            if place == next {
                if places.len() > PATIENCE && places.len() > taken / 2 {
                    return None;
                }
                texts.append_value(text);
            }
            keys.append_value(place);
            last = Some((cell, place));
        }
        rest = &rest[taken..];
        // The keys were counted off the texts.
        let array = DictionaryArray::<Int32Type>::new(keys.finish(), Arc::new(texts.finish()));
        arrays.push(Arc::new(array));
    }
    Some(arrays)
}

fn times(values: impl ExactSizeIterator<Item = i64>) -> ArrayRef {
    let mut builder = TimestampMicrosecondBuilder::with_capacity(values.len()).with_timezone("UTC");
    for value in values {
        builder.append_value(value);
    }
    Arc::new(builder.finish())
}

fn booleans(values: impl ExactSizeIterator<Item = Option<bool>>) -> ArrayRef {
    let mut builder = BooleanBuilder::with_capacity(values.len());
    for value in values {
        builder.append_option(value);
    }
    Arc::new(builder.finish())
}

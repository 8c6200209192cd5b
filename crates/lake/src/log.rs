//! The Delta log as it lies there: one entry, or the checkpoint that stands for all entries up to it.
//!
//! Only what this crate's tables need is read: files, the schema and the protocol. The library that writes the log reads
//! all of it too, for which a question would wait longer than for its rows; [`Table::load`](crate::table::Table::load)
//! falls back on it wherever the log holds what is not known here.

use std::borrow::Cow;
use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch, StructArray};
use bytes::Bytes;
use deltalake_core::kernel::Version;
use deltalake_core::logstore::commit_uri_from_version;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use serde::Deserialize;

use crate::LakeError;
use crate::storage::{Storage, wait};

/// The note of the newest checkpoint.
const LAST_CHECKPOINT: &str = "_delta_log/_last_checkpoint";

/// A file that an entry or a checkpoint names as part of the table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AddedFile {
    #[serde(deserialize_with = "decoded")]
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) partition_values: HashMap<String, Option<String>>,
    pub(crate) size: i64,
    pub(crate) modification_time: i64,
    #[serde(default)]
    pub(crate) data_change: bool,
    pub(crate) stats: Option<String>,
}

/// What a table is: who it is, its columns, and what was set for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    pub(crate) id: String,
    pub(crate) schema_string: String,
    #[serde(default)]
    pub(crate) configuration: HashMap<String, Option<String>>,
}

/// What a program must understand to read and write the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Protocol {
    pub(crate) min_reader_version: i32,
    pub(crate) min_writer_version: i32,
}

/// What one entry of the log says, or a checkpoint.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) added: Vec<AddedFile>,
    pub(crate) removed: Vec<String>,
    pub(crate) metadata: Option<Metadata>,
    pub(crate) protocol: Option<Protocol>,
}

/// A line of an entry. What else it may hold changes no file.
#[derive(Deserialize)]
struct Line {
    add: Option<AddedFile>,
    remove: Option<RemovedFile>,
    #[serde(rename = "metaData")]
    metadata: Option<Metadata>,
    protocol: Option<Protocol>,
}

#[derive(Deserialize)]
struct RemovedFile {
    #[serde(deserialize_with = "decoded")]
    path: String,
}

/// Paths are written as in a URL.
fn decoded<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let path = Cow::<str>::deserialize(deserializer)?;
    let decoded = percent_encoding::percent_decode_str(&path).decode_utf8();
    decoded.map(Cow::into_owned).map_err(serde::de::Error::custom)
}

/// Reads the entry of a version, `None` if there is none.
pub(crate) async fn read(storage: &Storage, version: Version) -> Result<Option<Entry>, LakeError> {
    let found = storage.log().read_commit_entry(version).await;
    let Some(text) = found.map_err(|source| LakeError::log(storage.name(), source))? else { return Ok(None) };
    Entry::parse(storage, version, &text).map(Some)
}

impl Entry {
    /// Reads the text of a version's entry.
    pub(crate) fn parse(storage: &Storage, version: Version, text: &[u8]) -> Result<Entry, LakeError> {
        let mut entry = Entry::default();
        for line in text.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            let line: Line = serde_json::from_slice(line).map_err(|error| {
                let path = commit_uri_from_version(Some(version));
                LakeError::damaged(storage.full(path.as_ref()), error.to_string())
            })?;
            entry.added.extend(line.add);
            entry.removed.extend(line.remove.map(|removed| removed.path));
            entry.metadata = line.metadata.or(entry.metadata);
            entry.protocol = line.protocol.or(entry.protocol);
        }
        Ok(entry)
    }
}

/// What the log says of its newest checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Checkpoint {
    pub(crate) version: Version,
    parts: Option<u64>,
}

/// The newest checkpoint, if there is a note of one.
pub(crate) fn newest_checkpoint(storage: &Storage) -> Option<Checkpoint> {
    serde_json::from_slice(&get(storage, LAST_CHECKPOINT)?).ok()
}

impl Checkpoint {
    /// Reads what it holds. `None` if it is not there, or of a kind that is not known here.
    pub(crate) fn read(self, storage: &Storage) -> Option<Entry> {
        let is_one_file = self.parts.is_none();
        let path = format!("_delta_log/{:020}.checkpoint.parquet", self.version);
        rows_of_checkpoint(is_one_file.then(|| get(storage, &path)).flatten()?)
    }
}

fn get(storage: &Storage, path: &str) -> Option<Bytes> {
    wait(async { storage.store().get(&Path::from(path)).await.ok()?.bytes().await.ok() })
}

/// What a checkpoint's file holds; `None` if anything in it is not as expected.
fn rows_of_checkpoint(file: Bytes) -> Option<Entry> {
    const WANTED: [&str; 10] = [
        "add.path",
        "add.partitionValues.",
        "add.size",
        "add.modificationTime",
        "add.stats",
        "metaData.id",
        "metaData.schemaString",
        "metaData.configuration.",
        "protocol.minReaderVersion",
        "protocol.minWriterVersion",
    ];
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).ok()?;
    let schema = builder.parquet_schema();
    let is_wanted = |wanted: &str, path: &str| path == wanted || wanted.ends_with('.') && path.starts_with(wanted);
    let leaves: Vec<String> = schema.columns().iter().map(|column| column.path().string()).collect();
    // Statistics in columns of their own, and no text of them, are for the library to read.
    if !WANTED.iter().all(|wanted| leaves.iter().any(|path| is_wanted(wanted, path))) {
        return None;
    }
    let places = (0..leaves.len()).filter(|&place| WANTED.iter().any(|wanted| is_wanted(wanted, &leaves[place])));
    let mask = ProjectionMask::leaves(schema, places);
    let mut entry = Entry::default();
    for batch in builder.with_projection(mask).build().ok()? {
        take_rows(&batch.ok()?, &mut entry)?;
    }
    Some(entry)
}

fn take_rows(batch: &RecordBatch, entry: &mut Entry) -> Option<()> {
    let of = |name: &str| batch.column_by_name(name)?.as_struct_opt();
    let (adds, metadata, protocols) = (of("add")?, of("metaData")?, of("protocol")?);
    let add = (Texts::of(adds, "path")?, Texts::of(adds, "stats")?);
    let sizes = adds.column_by_name("size")?.as_primitive_opt::<Int64Type>()?;
    let times = adds.column_by_name("modificationTime")?.as_primitive_opt::<Int64Type>()?;
    let (ids, schemas) = (Texts::of(metadata, "id")?, Texts::of(metadata, "schemaString")?);
    let number = |name: &str, row: usize| {
        let numbers = protocols.column_by_name(name)?.as_primitive_opt::<arrow_array::types::Int32Type>()?;
        Some(numbers.value(row))
    };
    for row in 0..batch.num_rows() {
        if adds.is_valid(row) {
            entry.added.push(AddedFile {
                path: percent_encoding::percent_decode_str(add.0.at(row)?).decode_utf8().ok()?.into_owned(),
                partition_values: pairs(adds, "partitionValues", row)?,
                size: sizes.value(row),
                modification_time: times.value(row),
                data_change: false,
                stats: add.1.at(row).map(str::to_owned),
            });
        }
        if metadata.is_valid(row) {
            entry.metadata = Some(Metadata {
                id: ids.at(row)?.to_owned(),
                schema_string: schemas.at(row)?.to_owned(),
                configuration: pairs(metadata, "configuration", row)?,
            });
        }
        if protocols.is_valid(row) {
            entry.protocol = Some(Protocol {
                min_reader_version: number("minReaderVersion", row)?,
                min_writer_version: number("minWriterVersion", row)?,
            });
        }
    }
    Some(())
}

struct Texts<'a>(&'a arrow_array::StringArray);

impl<'a> Texts<'a> {
    fn of(fields: &'a StructArray, name: &str) -> Option<Texts<'a>> {
        Some(Texts(fields.column_by_name(name)?.as_string_opt::<i32>()?))
    }

    fn at(&self, row: usize) -> Option<&'a str> {
        self.0.is_valid(row).then(|| self.0.value(row))
    }
}

/// The pairs of a row of a map.
fn pairs(fields: &StructArray, name: &str, row: usize) -> Option<HashMap<String, Option<String>>> {
    let pairs = fields.column_by_name(name)?.as_map_opt()?.value(row);
    let keys = pairs.column(0).as_string_opt::<i32>()?;
    let values = pairs.column(1).as_string_opt::<i32>()?;
    let pair =
        |place: usize| (keys.value(place).to_owned(), values.is_valid(place).then(|| values.value(place).to_owned()));
    Some((0..pairs.len()).map(pair).collect())
}

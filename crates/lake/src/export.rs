//! The classic layout: plain Parquet in Hive folders, for tools that know no Delta.
//!
//! One file a day and region, `year=2024/month=1/day=15/region=us-east-1/events.parquet`, with the classic tracker's
//! columns as strings. The rows stand in the order of time and id and nothing of the lake's files shows, so exporting
//! unchanged events again gives the same bytes, and a file whose bytes are the same is left alone.
//!
//! Where the events that are exported do not stay for ever, the rows of a file that is there stay in it: what is written is
//! the union by id, and as everything in it is text, it does not show from which of the two a row came.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path as FilePath;
use std::sync::{Arc, LazyLock};

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use event::{Column, Day, EventKey};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use parquet::errors::ParquetError;
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};

use crate::encode::{ROW_GROUP, write_columns};
use crate::failpoint::failpoint;
use crate::files::is_temporary;
use crate::merge::{Merge, Pick, Place as Row, gather};
use crate::schema::TableColumn;
use crate::storage::{Place, wait};
use crate::{Codec, Lake, LakeError};

mod present;

use present::Present;

/// The file in each folder.
const FILE_NAME: &str = "events.parquet";
/// The folder of events whose region is missing or no name of one.
const NO_REGION: &str = "unknown";

/// What is exported.
#[derive(Debug, Clone, Default)]
pub struct ExportOptions {
    /// The first day.
    pub from: Option<Day>,
    /// The last day.
    pub to: Option<Day>,
}

/// What the files are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassicFormat {
    /// Whether a day has a file for each region, or one.
    pub by_region: bool,
    /// How files are compressed.
    pub codec: Codec,
    /// Keeps the rows of a file that is replaced, beside those that take their place: its events may have gone from where
    /// they are exported from. Of rows with one id the file has the new one.
    pub keeps_rows: bool,
}

impl Default for ClassicFormat {
    fn default() -> ClassicFormat {
        ClassicFormat { by_region: true, codec: Codec::default(), keeps_rows: false }
    }
}

/// What an export did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportReport {
    /// Files that were written or replaced.
    pub written: u64,
    /// Files that held the same bytes already.
    pub unchanged: u64,
    /// Rows of all of them.
    pub rows: u64,
    /// Those of them that only the file had that was there.
    pub kept: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Bytes of those that were written or replaced.
    pub bytes_written: u64,
}

/// A column of the classic layout.
#[derive(Debug, Clone, Copy)]
enum Classic {
    EventDate,
    EventTime,
    Text(Column),
}

const CLASSIC: [Classic; 17] = [
    Classic::EventDate,
    Classic::Text(Column::EventId),
    Classic::EventTime,
    Classic::Text(Column::EventName),
    Classic::Text(Column::EventSource),
    Classic::Text(Column::EventType),
    Classic::Text(Column::UserName),
    Classic::Text(Column::AwsRegion),
    Classic::Text(Column::SourceIp),
    Classic::Text(Column::UserAgent),
    Classic::Text(Column::RequestParameters),
    Classic::Text(Column::ResponseElements),
    Classic::Text(Column::ErrorCode),
    Classic::Text(Column::ErrorMessage),
    Classic::Text(Column::AccountId),
    Classic::Text(Column::SessionName),
    Classic::Text(Column::Target),
];

impl Classic {
    const fn name(self) -> &'static str {
        match self {
            Classic::EventDate => "event_date",
            Classic::EventTime => "event_time",
            Classic::Text(column) => column.name(),
        }
    }
}

static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    let fields = CLASSIC.iter().map(|column| Field::new(column.name(), DataType::Utf8, true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
});

fn properties(codec: Codec) -> WriterPropertiesPtr {
    let builder = WriterProperties::builder()
        // Neither a version nor a time: the same events give the same bytes.
        .set_created_by("trailhound".to_owned())
        .set_compression(codec.compression(3))
        .set_max_row_group_row_count(Some(ROW_GROUP));
    Arc::new(builder.build())
}

impl Lake {
    /// Writes every day's events below a folder or another [`Place`], one file a day and region, each replaced in one step.
    ///
    /// Files of days that are no longer in the lake stay. A region that is none of `[a-z0-9-]{1,32}` goes to
    /// `region=unknown`: it is a stranger's text and must not choose a path.
    ///
    /// # Errors
    ///
    /// If the lake cannot be read or a file cannot be written.
    pub fn export_classic(&self, to: impl Into<Place>, options: &ExportOptions) -> Result<ExportReport, LakeError> {
        self.export_classic_as(to, options, ClassicFormat::default())
    }

    /// The same, in files of another kind.
    ///
    /// # Errors
    ///
    /// As [`Lake::export_classic`].
    pub fn export_classic_as(
        &self,
        to: impl Into<Place>,
        options: &ExportOptions,
        format: ClassicFormat,
    ) -> Result<ExportReport, LakeError> {
        let target = Target::open(to)?;
        let table = self.table()?;
        let mut report = ExportReport::default();
        let within = |day: Day| options.from.is_none_or(|from| from <= day) && options.to.is_none_or(|to| day <= to);
        for (day, _) in table.days().filter(|(day, _)| within(*day)) {
            let merge = Merge::open(self.storage(), &table.files_of(day))?;
            let mut folders: BTreeMap<String, Vec<Row>> = BTreeMap::new();
            let places = merge.places()?;
            for place in places.rows() {
                let folder = match format.by_region {
                    true => format!("{}/region={}", day_folder(day), folder_of(places.region(place))),
                    false => day_folder(day),
                };
                folders.entry(folder).or_default().push(*place);
            }
            for (folder, places) in folders {
                let path = format!("{folder}/{FILE_NAME}");
                let file = target.get(&path)?;
                let present = file.as_ref().filter(|_| format.keeps_rows);
                let present = present.map(|file| Present::open(file.clone(), target.full(&path))).transpose()?;
                let rows = Rows { merge: &merge, present, day };
                let ours = places.len();
                let picks = rows.in_order(places)?;
                let encoded = rows.encode(&picks, format.codec);
                let bytes = encoded.map_err(|source| LakeError::parquet(target.full(&path), source))?;
                report.rows += picks.len() as u64;
                report.kept += (picks.len() - ours) as u64;
                report.bytes += bytes.len() as u64;
                if file.is_some_and(|file| file == bytes) {
                    report.unchanged += 1;
                    continue;
                }
                failpoint!("lake::export::before-write");
                report.bytes_written += bytes.len() as u64;
                target.put(&path, bytes)?;
                failpoint!("lake::export::after-write");
                report.written += 1;
            }
        }
        Ok(report)
    }
}

impl ClassicFormat {
    /// A file below a place that is laid out the other way: by region where these have one a day, or the reverse. Whoever
    /// reads both counts each event twice.
    ///
    /// # Errors
    ///
    /// If the place cannot be listed.
    pub fn other_form(self, at: impl Into<Place>) -> Result<Option<String>, LakeError> {
        let target = Target::open(at)?;
        let mut found = target.store.list(None);
        while let Some(file) = wait(found.try_next()).map_err(|source| LakeError::store(target.place.name(), source))? {
            if is_by_region(file.location.as_ref()).is_some_and(|by_region| by_region != self.by_region) {
                return Ok(Some(target.full(file.location.as_ref())));
            }
        }
        Ok(None)
    }
}

/// Where an export goes.
struct Target {
    place: Place,
    store: Arc<dyn ObjectStore>,
}

impl Target {
    fn open(place: impl Into<Place>) -> Result<Target, LakeError> {
        let place = place.into();
        Ok(Target { store: place.store()?, place })
    }

    fn full(&self, path: &str) -> String {
        match self.place.as_folder() {
            Some(folder) => folder.join(path).display().to_string(),
            None => format!("{}/{path}", self.place.name()),
        }
    }

    /// What stands there now.
    fn get(&self, path: &str) -> Result<Option<Bytes>, LakeError> {
        let path = Path::from(path);
        match wait(async { self.store.get(&path).await?.bytes().await }) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(LakeError::store(self.full(path.as_ref()), source)),
        }
    }

    /// Replaces a file in one step.
    fn put(&self, path: &str, bytes: Bytes) -> Result<(), LakeError> {
        if let Some(folder) = self.place.as_folder() {
            sweep(&folder.join(path));
        }
        let put = wait(self.store.put(&Path::from(path), PutPayload::from_bytes(bytes)));
        put.map(drop).map_err(|source| LakeError::store(self.full(path), source))
    }
}

/// Deletes what an export that was killed left half-written beside a file.
fn sweep(path: &FilePath) {
    let Some(entries) = path.parent().and_then(|folder| fs::read_dir(folder).ok()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if is_temporary(&name.to_string_lossy()) {
            // Best effort: it is in nobody's way.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The folder of a region's events.
fn folder_of(region: Option<&str>) -> &str {
    let is_name = |region: &&str| {
        (1..=32).contains(&region.len())
            && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    region.filter(is_name).unwrap_or(NO_REGION)
}

/// The folder of a day, without leading zeros: what partition projection over integers looks for.
fn day_folder(day: Day) -> String {
    let text = day.to_string();
    let mut parts = text.splitn(3, '-').map(|part| part.trim_start_matches('0'));
    let mut next = || parts.next().unwrap_or_default();
    format!("year={}/month={}/day={}", next(), next(), next())
}

/// Whether a file of the classic layout has the events of a region, or of a day; `None` for any other file.
fn is_by_region(path: &str) -> Option<bool> {
    let (folders, _) = path.strip_suffix(".parquet")?.rsplit_once('/')?;
    let names: Option<Vec<&str>> = folders.split('/').map(|folder| Some(folder.split_once('=')?.0)).collect();
    match names?[..] {
        ["year", "month", "day"] => Some(false),
        ["year", "month", "day", "region"] => Some(true),
        _ => None,
    }
}

/// What a file is made of: rows of the lake's, and those of the file that is there.
///
/// Besides the encoded bytes of both files, one column of one row group is in memory, and some numbers a row.
struct Rows<'a> {
    merge: &'a Merge,
    /// It counts as one input more.
    present: Option<Present>,
    day: Day,
}

impl Rows<'_> {
    /// The rows in the order of time and id: the lake's, and those whose ids only the file has that is there.
    fn in_order(&self, mut places: Vec<Row>) -> Result<Vec<Pick>, LakeError> {
        if let Some(present) = &self.present {
            let mut known: HashSet<EventKey> = places.iter().map(|place| place.key).collect();
            let file = self.merge.inputs() as u32;
            for (row, (micros, key)) in (0u32..).zip(present.rows()?) {
                if known.insert(key) {
                    places.push(Row::beside(micros, key, Pick { file, row }));
                }
            }
        }
        places.sort_unstable_by_key(|place| (place.micros, place.key));
        Ok(places.iter().map(|place| place.pick).collect())
    }

    fn encode(&self, picks: &[Pick], codec: Codec) -> Result<Bytes, ParquetError> {
        let groups: Vec<&[Pick]> = picks.chunks(ROW_GROUP).collect();
        let inputs = self.merge.inputs() + usize::from(self.present.is_some());
        write_columns(&SCHEMA, properties(codec), groups.len(), |group, place| {
            gather(inputs, groups[group], |file, rows| self.read(file, CLASSIC[place], rows))
        })
    }

    /// The values of a column for some rows of one input, which must be in order.
    fn read(&self, file: usize, column: Classic, rows: &[u32]) -> Result<Vec<ArrayRef>, ParquetError> {
        if let Classic::EventDate = column {
            let text = self.day.to_string();
            let mut builder = StringBuilder::with_capacity(rows.len(), rows.len() * text.len());
            rows.iter().for_each(|_| builder.append_value(&text));
            return Ok(vec![Arc::new(builder.finish())]);
        }
        match (&self.present, column) {
            (Some(present), column) if file == self.merge.inputs() => present.column(column.name(), rows),
            (_, Classic::Text(column)) => self.merge.read(file, TableColumn::Text(column), rows),
            (_, _) => {
                let arrays = self.merge.read(file, TableColumn::EventTime, rows)?;
                Ok(arrays.iter().map(|array| Arc::new(times(array.as_ref())) as ArrayRef).collect())
            }
        }
    }
}

/// Times as the classic tracker wrote them: `2025-08-10T18:26:07+00:00`.
fn times(array: &dyn Array) -> arrow_array::StringArray {
    let mut builder = StringBuilder::with_capacity(array.len(), array.len() * 25);
    for micros in array.as_primitive::<TimestampMicrosecondType>().iter() {
        let time = micros.and_then(event::Timestamp::from_micros);
        builder.append_option(time.map(|time| time.to_string().replace('Z', "+00:00")));
    }
    builder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_chooses_no_path() {
        for region in ["us-east-1", "mars-1"] {
            assert_eq!(folder_of(Some(region)), region);
        }
        for region in ["", "../../x", "US-EAST-1", "a/b", "a b", ".", "é", "x23456789012345678901234567890123"] {
            assert_eq!(folder_of(Some(region)), "unknown", "{region}");
        }
        assert_eq!(folder_of(None), "unknown");
    }

    #[test]
    fn a_file_tells_how_it_is_laid_out() {
        assert_eq!(is_by_region("year=2024/month=1/day=5/events.parquet"), Some(false));
        assert_eq!(is_by_region("year=2024/month=1/day=5/region=us-east-1/events.parquet"), Some(true));
        for other in ["events.parquet", "year=2024/month=1/events.parquet", "year=2024/month=1/day=5/notes.txt", "x/y"]
        {
            assert_eq!(is_by_region(other), None, "{other}");
        }
    }

    #[test]
    fn folders_have_no_leading_zeros() {
        assert_eq!(day_folder(Day::parse("2024-01-05").expect("a day")), "year=2024/month=1/day=5");
        assert_eq!(day_folder(Day::parse("2030-10-20").expect("a day")), "year=2030/month=10/day=20");
    }
}

//! The Delta log as this crate uses it: which files are the table, what is new, and one more entry.
//!
//! A [`Table`] is a view of one version. [`Table::refresh`] moves it on, entry by entry, and tells what others added;
//! [`Table::commit`] writes exactly the next entry or reports that somebody else did. It never retries by itself:
//! what a lost race means is for the caller to decide (two appends that both land would double rows).

use std::collections::{BTreeMap, HashMap};
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use deltalake_core::kernel::transaction::{CommitData, TransactionError};
use deltalake_core::kernel::{Action, Add, Remove, Version};
use deltalake_core::logstore::{CommitOrBytes, commit_uri_from_version};
use deltalake_core::protocol::DeltaOperation;
use deltalake_core::{DeltaTable, DeltaTableBuilder};
use event::{Column, Day};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::LakeError;
use crate::failpoint::failpoint;
use crate::log::{self, Entry, Metadata, Protocol};
use crate::schema::{FORMAT, TABLE, delta_schema};
use crate::stats::LoggedStats;
use crate::storage::{Storage, now_millis, wait};

/// The property that marks a table as ours.
const FORMAT_PROPERTY: &str = "trailhound.format";

/// Entries of the log that are fetched at a time when a table is opened.
const ENTRIES_AT_ONCE: usize = 16;

/// A checkpoint is written whenever a version is a multiple of this.
pub(crate) const CHECKPOINT_EVERY: Version = 100;

/// One active file of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Relative to the table.
    pub(crate) path: String,
    pub(crate) day: Day,
    pub(crate) size: u64,
    pub(crate) stats: LoggedStats,
    pub(crate) modified_millis: i64,
}

impl DataFile {
    /// Where it lies, relative to the table.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its partition.
    #[must_use]
    pub fn day(&self) -> Day {
        self.day
    }

    /// Its bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// When it was written, in milliseconds since the epoch.
    #[must_use]
    pub fn modified_millis(&self) -> i64 {
        self.modified_millis
    }

    /// How many rows it holds.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.stats.rows
    }

    /// The first and the last `event_time` in it, in microseconds; `None` where unknown.
    #[must_use]
    pub fn times(&self) -> Option<(i64, i64)> {
        self.stats.time
    }

    /// Texts between which those of a column lie, not always the closest ones; `None` where unknown or all are null.
    #[must_use]
    pub fn bounds(&self, column: Column) -> Option<(&str, &str)> {
        self.stats.bounds(column)
    }

    /// The action that adds the file; `data_change` is false where it only rearranges rows.
    pub(crate) fn add(&self, data_change: bool) -> Action {
        Action::Add(Add {
            path: self.path.clone(),
            partition_values: HashMap::from([("event_date".to_owned(), Some(self.day.to_string()))]),
            size: i64::try_from(self.size).unwrap_or(i64::MAX),
            modification_time: self.modified_millis,
            data_change,
            stats: self.stats.json().map(str::to_owned),
            ..Add::default()
        })
    }

    /// The action that removes the file.
    pub(crate) fn remove(&self, data_change: bool) -> Action {
        Action::Remove(Remove {
            path: self.path.clone(),
            data_change,
            deletion_timestamp: Some(now_millis()),
            extended_file_metadata: Some(true),
            partition_values: Some(HashMap::from([("event_date".to_owned(), Some(self.day.to_string()))])),
            size: i64::try_from(self.size).ok(),
            ..Remove::default()
        })
    }
}

/// A file that a later version added.
#[derive(Debug, Clone)]
pub(crate) struct Added {
    pub(crate) version: Version,
    pub(crate) file: Arc<DataFile>,
}

/// What came of an attempt to commit.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// The entry of this version is ours.
    Committed(Version),
    /// Somebody else wrote the next entry first.
    Lost,
}

/// A view of one version of the table.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    storage: Storage,
    id: Arc<str>,
    version: Version,
    files: BTreeMap<Day, BTreeMap<String, Arc<DataFile>>>,
    days: HashMap<String, Day>,
}

impl Table {
    /// Reads the newest version. `None` if the folder holds no log.
    pub(crate) fn load(storage: &Storage) -> Result<Option<Table>, LakeError> {
        // Whatever is wrong with the log, the library reads it again and has the words for it.
        if let Ok(Some(table)) = Self::replay(storage) {
            return Ok(Some(table));
        }
        if !has_log(storage)? {
            return Ok(None);
        }
        let table = load_delta(storage)?;
        Self::from_delta(storage, &table).map(Some)
    }

    /// Reads the newest checkpoint and the entries after it. `None` if the log cannot be read so.
    fn replay(storage: &Storage) -> Result<Option<Table>, LakeError> {
        let checkpoint = log::newest_checkpoint(storage);
        let mut entries: Vec<(Version, Entry)> = Vec::new();
        if let Some(checkpoint) = checkpoint {
            let Some(entry) = checkpoint.read(storage) else { return Ok(None) };
            entries.push((checkpoint.version, entry));
        }
        let first = checkpoint.map_or(0, |checkpoint| checkpoint.version + 1);
        let read = |version| async move {
            Ok::<_, LakeError>(log::read(storage, version).await?.map(|entry| (version, entry)))
        };
        let later = futures::stream::iter(first..).map(read).buffered(ENTRIES_AT_ONCE);
        wait(later.try_take_while(|found| std::future::ready(Ok(found.is_some()))).try_for_each(|found| {
            entries.extend(found);
            std::future::ready(Ok(()))
        }))?;
        let (mut metadata, mut protocol) = (None, None);
        for (_, entry) in &mut entries {
            metadata = entry.metadata.take().or(metadata);
            protocol = entry.protocol.or(protocol);
        }
        let (Some(&(version, _)), Some(metadata), Some(protocol)) = (entries.last(), metadata, protocol) else {
            return Ok(None);
        };
        check_ours(storage, protocol, &metadata)?;
        let mut table = Table::empty(storage, &metadata.id, version);
        // Entries after an old checkpoint may have been cleaned up, which begins when a newer one is noted: then this is
        // not the newest version.
        if log::newest_checkpoint(storage) != checkpoint || !table.entry_exists(version)? {
            return Ok(None);
        }
        for (_, entry) in entries {
            table.take(entry, |_| {})?;
        }
        Ok(Some(table))
    }

    fn empty(storage: &Storage, id: &str, version: Version) -> Table {
        let storage = storage.clone();
        Table { storage, id: Arc::from(id), version, files: BTreeMap::new(), days: HashMap::new() }
    }

    /// Takes what an entry says in, and tells which files it adds with new rows.
    fn take(&mut self, entry: Entry, mut added: impl FnMut(&Arc<DataFile>)) -> Result<(), LakeError> {
        for path in &entry.removed {
            self.remove(path);
        }
        for add in entry.added {
            let date = add.partition_values.get("event_date").and_then(Option::as_deref);
            let file = data_file(&self.storage, add.path, date, add.size, add.modification_time, add.stats)?;
            let file = self.insert(file);
            if add.data_change {
                added(&file);
            }
        }
        Ok(())
    }

    /// Writes the first entry of a new table. That another process was quicker is no error.
    pub(crate) fn create(storage: &Storage) -> Result<(), LakeError> {
        let metadata = json!({ "metaData": {
            "id": Uuid::new_v4().to_string(),
            "name": "events",
            "description": "CloudTrail events, one row each (event_date, event_id)",
            "format": { "provider": "parquet", "options": {} },
            "schemaString": delta_schema().to_string(),
            "partitionColumns": ["event_date"],
            "createdTime": now_millis(),
            "configuration": {
                FORMAT_PROPERTY: FORMAT,
                "delta.checkpointInterval": CHECKPOINT_EVERY.to_string(),
                // A daemon commits thousands of times a day; nobody travels back in this table.
                "delta.logRetentionDuration": "interval 2 days",
                "delta.deletedFileRetentionDuration": "interval 7 days",
            },
        }});
        let info = json!({ "commitInfo": { "timestamp": now_millis(), "operation": "CREATE TABLE", "operationParameters": {} } });
        let protocol = json!({ "protocol": { "minReaderVersion": 1, "minWriterVersion": 2 } });
        let entry = Bytes::from(format!("{info}\n{protocol}\n{metadata}\n"));
        let _lock = storage.lock()?;
        failpoint!("lake::create::before-log");
        match write_entry(storage, 0, entry) {
            Ok(()) | Err(TransactionError::VersionAlreadyExists(_)) => {
                failpoint!("lake::create::after-log");
                Ok(())
            }
            Err(source) => Err(LakeError::commit(storage.name(), source)),
        }
    }

    fn from_delta(storage: &Storage, delta: &DeltaTable) -> Result<Table, LakeError> {
        let state = delta.snapshot().map_err(|source| LakeError::log(storage.name(), source))?;
        let metadata = state.metadata();
        // Serialised rather than asked: the accessors of the schema belong to the library's inside.
        let known = serde_json::to_value(metadata).and_then(serde_json::from_value::<Metadata>);
        let known = known.map_err(|error| LakeError::damaged(storage.full("_delta_log"), error.to_string()))?;
        let protocol = state.protocol();
        let protocol = Protocol {
            min_reader_version: protocol.min_reader_version(),
            min_writer_version: protocol.min_writer_version(),
        };
        check_ours(storage, protocol, &known)?;
        let mut table = Table::empty(storage, &known.id, state.version());
        for view in state.log_data().iter() {
            let date = view.partition_values_map().remove("event_date").flatten();
            let stats = view.stats();
            table.insert(data_file(
                storage,
                view.path().into_owned(),
                date.as_deref(),
                view.size(),
                view.modification_time(),
                stats,
            )?);
        }
        Ok(table)
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// The active files, by day, then by name (which is the order of their making).
    pub(crate) fn files(&self) -> impl DoubleEndedIterator<Item = &Arc<DataFile>> {
        self.files.values().flat_map(BTreeMap::values)
    }

    pub(crate) fn days(&self) -> impl DoubleEndedIterator<Item = (Day, usize)> {
        self.files.iter().map(|(&day, files)| (day, files.len()))
    }

    pub(crate) fn files_of(&self, day: Day) -> Vec<Arc<DataFile>> {
        self.files.get(&day).map(|files| files.values().cloned().collect()).unwrap_or_default()
    }

    pub(crate) fn contains(&self, path: &str) -> bool {
        self.days.contains_key(path)
    }

    fn insert(&mut self, file: DataFile) -> Arc<DataFile> {
        let file = Arc::new(file);
        self.days.insert(file.path.clone(), file.day);
        self.files.entry(file.day).or_default().insert(file.path.clone(), Arc::clone(&file));
        file
    }

    fn remove(&mut self, path: &str) {
        let Some(day) = self.days.remove(path) else { return };
        if let Some(files) = self.files.get_mut(&day) {
            files.remove(path);
            if files.is_empty() {
                self.files.remove(&day);
            }
        }
    }

    /// Moves the view to the newest version and returns the files that entries since then added with new rows.
    ///
    /// Files added by entries in between count even if a later entry removed them again.
    pub(crate) fn refresh(&mut self) -> Result<Vec<Added>, LakeError> {
        let mut added = Vec::new();
        loop {
            let next = self.version + 1;
            let entry = wait(log::read(&self.storage, next))?;
            match entry {
                Some(entry) => self.apply(next, entry, &mut added)?,
                None if self.entry_exists(self.version)? => return Ok(added),
                // The entry of our own version was cleaned up: so were others after it.
                None => return self.reload(),
            }
        }
    }

    /// Whether the log still has the entry of a version. The newest entry is never cleaned up.
    fn entry_exists(&self, version: Version) -> Result<bool, LakeError> {
        let path = commit_uri_from_version(Some(version));
        match wait(self.storage.store().head(&path)) {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(source) => Err(LakeError::store(self.storage.full(path.as_ref()), source)),
        }
    }

    fn reload(&mut self) -> Result<Vec<Added>, LakeError> {
        let newer = Self::load(&self.storage)?.ok_or_else(|| LakeError::NotFound { path: self.storage.name() })?;
        if newer.id != self.id || newer.version < self.version {
            let reason = "it was replaced by another table while it was in use";
            return Err(LakeError::NotALake { path: self.storage.name(), reason: reason.into() });
        }
        let version = newer.version;
        let is_new = |file: &&Arc<DataFile>| !self.contains(&file.path);
        let added = newer.files().filter(is_new).map(|file| Added { version, file: Arc::clone(file) }).collect();
        *self = newer;
        Ok(added)
    }

    fn apply(&mut self, version: Version, entry: Entry, added: &mut Vec<Added>) -> Result<(), LakeError> {
        if entry.metadata.as_ref().is_some_and(|metadata| metadata.id != *self.id) {
            let reason = "it was replaced by another table while it was in use";
            return Err(LakeError::NotALake { path: self.storage.name(), reason: reason.into() });
        }
        if let Some(protocol) = entry.protocol {
            check_protocol(&self.storage, protocol)?;
        }
        self.take(entry, |file| added.push(Added { version, file: Arc::clone(file) }))?;
        self.version = version;
        Ok(())
    }

    /// Writes the next entry of the log, if nobody else did since this view.
    pub(crate) fn commit(&mut self, actions: Vec<Action>, operation: DeltaOperation) -> Result<Attempt, LakeError> {
        // Were the log cleaned up past our version, the next entry's name would be free and the entry lost.
        if !self.entry_exists(self.version)? {
            return Ok(Attempt::Lost);
        }
        let data = CommitData::new(actions, operation, HashMap::new(), Vec::new());
        let entry = data.get_bytes().map_err(|source| LakeError::commit(self.storage.name(), source))?;
        let version = self.version + 1;
        failpoint!("lake::commit::before");
        match write_entry(&self.storage, version, entry.clone()) {
            Ok(()) => {}
            Err(TransactionError::VersionAlreadyExists(_)) => return Ok(Attempt::Lost),
            Err(source) => return Err(LakeError::commit(self.storage.name(), source)),
        }
        failpoint!("lake::commit::after");
        let entry = Entry::parse(&self.storage, version, &entry)?;
        self.apply(version, entry, &mut Vec::new())?;
        Ok(Attempt::Committed(version))
    }

    /// Writes a checkpoint of this version and takes away log entries that no reader needs any more.
    pub(crate) fn checkpoint(&self) -> Result<(), LakeError> {
        let failed = |source| LakeError::log(self.storage.name(), source);
        failpoint!("lake::checkpoint::before");
        let delta = load_delta(&self.storage)?;
        wait(deltalake_core::checkpoints::create_checkpoint(&delta, None)).map_err(failed)?;
        failpoint!("lake::checkpoint::after");
        wait(deltalake_core::checkpoints::cleanup_metadata(&delta, None)).map_err(failed)?;
        failpoint!("lake::checkpoint::after-cleanup");
        Ok(())
    }
}

/// Loads the table with the Delta library: the newest checkpoint and what came after.
pub(crate) fn load_delta(storage: &Storage) -> Result<DeltaTable, LakeError> {
    let builder = DeltaTableBuilder::from_url(storage.url().clone())
        .map_err(|source| LakeError::log(storage.name(), source))?
        .with_storage_backend(storage.log().root_object_store(None), storage.url().clone());
    wait(builder.load()).map_err(|source| LakeError::log(storage.name(), source))
}

fn write_entry(storage: &Storage, version: Version, entry: Bytes) -> Result<(), TransactionError> {
    wait(storage.log().write_commit_entry(version, CommitOrBytes::LogBytes(entry), Uuid::new_v4()))
}

/// Whether there is a log; a folder that a creation left behind before its first entry holds none.
fn has_log(storage: &Storage) -> Result<bool, LakeError> {
    wait(storage.log().is_delta_table_location()).map_err(|source| LakeError::log(storage.name(), source))
}

fn check_protocol(storage: &Storage, protocol: Protocol) -> Result<(), LakeError> {
    let (reader, writer) = (protocol.min_reader_version, protocol.min_writer_version);
    if reader > 1 || writer > 2 {
        let reason = format!("it asks for Delta reader version {reader} and writer version {writer}");
        return Err(LakeError::NotALake { path: storage.name(), reason });
    }
    Ok(())
}

fn check_ours(storage: &Storage, protocol: Protocol, metadata: &Metadata) -> Result<(), LakeError> {
    check_protocol(storage, protocol)?;
    let refuse = |reason: String| Err(LakeError::NotALake { path: storage.name(), reason });
    match metadata.configuration.get(FORMAT_PROPERTY).and_then(Option::as_deref) {
        Some(FORMAT) => {}
        Some(other) => return refuse(format!("its format is {other}, this program knows {FORMAT}")),
        None => return refuse(format!("it is a Delta table without the property {FORMAT_PROPERTY}")),
    }
    let schema = serde_json::from_str::<Value>(&metadata.schema_string).ok();
    let expected = delta_schema();
    let columns = |schema: &Value| -> Vec<(String, String)> {
        let fields = schema["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        fields.iter().map(|field| (text(&field["name"]), text(&field["type"]))).collect()
    };
    let found = schema.as_ref().map(columns).unwrap_or_default();
    for (place, expected) in columns(&expected).iter().enumerate() {
        if !found.contains(expected) {
            return refuse(format!("it has no column {} of type {}", TABLE[place].name(), expected.1));
        }
    }
    Ok(())
}

fn data_file(
    storage: &Storage,
    path: String,
    date: Option<&str>,
    size: i64,
    modified_millis: i64,
    stats: Option<String>,
) -> Result<DataFile, LakeError> {
    let damaged = |reason: &str| LakeError::damaged(storage.full("_delta_log"), format!("{path}: {reason}"));
    let day = date.and_then(Day::parse).ok_or_else(|| damaged("its event_date is no date"))?;
    let size = u64::try_from(size).map_err(|_| damaged("its size is negative"))?;
    let plain = FilePath::new(&path).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if !plain {
        return Err(damaged("the file lies outside the table"));
    }
    Ok(DataFile { path, day, size, stats: LoggedStats::new(stats), modified_millis })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Lake;
    use crate::stats::FileStats;

    /// A step in a table's life.
    #[derive(Debug, Clone)]
    enum Step {
        /// Files are added, and some of those that are there taken away.
        Commit {
            days: Vec<(i32, bool)>,
            removed: Vec<prop::sample::Index>,
            data_change: bool,
        },
        Checkpoint,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let removed = prop::collection::vec(any::<prop::sample::Index>(), 0..3);
        let days = prop::collection::vec((0..5i32, any::<bool>()), 0..4);
        let commit = (days, removed, any::<bool>());
        let commit = commit.prop_map(|(days, removed, data_change)| Step::Commit { days, removed, data_change });
        prop::collection::vec(prop_oneof![6 => commit, 1 => Just(Step::Checkpoint)], 0..24)
    }

    /// A file that is nowhere but in the log; its name holds what a URL would write otherwise.
    fn file(number: usize, day: i32, has_stats: bool) -> DataFile {
        let day = Day::from_days(20_000 + day);
        let stats = FileStats { rows: number as u64, time: Some((1, 2 + number as i64)), ..FileStats::default() };
        let stats = LoggedStats::new(has_stats.then(|| stats.to_json()));
        let path = format!("event_date={day}/part {number} 100% é.parquet");
        DataFile { path, day, size: 10 * number as u64, stats, modified_millis: number as i64 }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        /// What is read here is what the library reads, and what one who was there all the time knows.
        #[test]
        fn a_table_is_read_as_the_library_reads_it(steps in steps()) {
            let folder = tempfile::tempdir().expect("a folder");
            let lake = Lake::open_or_create(folder.path()).expect("a lake");
            let storage = lake.storage();
            let mut table = lake.table().expect("the newest version");
            for step in steps {
                match step {
                    Step::Commit { days, removed, data_change } => {
                        let there: Vec<Arc<DataFile>> = table.files().cloned().collect();
                        let mut actions = HashMap::new();
                        for index in removed.iter().filter(|_| !there.is_empty()) {
                            let file = index.get(&there);
                            actions.insert(file.path.clone(), file.remove(data_change));
                        }
                        let number = usize::try_from(table.version()).expect("few versions") * 10;
                        for (place, (day, has_stats)) in days.into_iter().enumerate() {
                            let file = file(number + place, day, has_stats);
                            actions.insert(file.path.clone(), file.add(data_change));
                        }
                        let operation = DeltaOperation::Delete { predicate: None };
                        table.commit(actions.into_values().collect(), operation).expect("a commit");
                    }
                    Step::Checkpoint => table.checkpoint().expect("a checkpoint"),
                }
            }
            let library = Table::from_delta(storage, &load_delta(storage).expect("a table")).expect("our table");
            let ours = Table::replay(storage).expect("a log that can be read").expect("nothing unknown in it");
            for other in [&library, &table] {
                prop_assert_eq!(&ours.id, &other.id);
                prop_assert_eq!(ours.version, other.version);
                prop_assert_eq!(&ours.files, &other.files);
                prop_assert_eq!(&ours.days, &other.days);
            }
            let texts = |table: &Table| -> Vec<Option<String>> {
                table.files().map(|file| file.stats.json().map(str::to_owned)).collect()
            };
            prop_assert_eq!(texts(&ours), texts(&table));
        }
    }
}

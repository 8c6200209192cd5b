//! Where a table lives, and the synchronous face of what is asynchronous underneath.

use std::fs;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use deltalake_core::DeltaTableBuilder;
use deltalake_core::logstore::LogStoreRef;
use futures::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use tokio::runtime::{Builder, Runtime};
use url::Url;

use crate::LakeError;
use crate::files::{DurableStore, TableLock};

/// Runs a future of the store or the log to its end on this thread.
///
/// The runtime is shared by every lake of the process and never shut down, so it can be used from any plain thread.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let built = Builder::new_multi_thread().worker_threads(2).thread_name("lake-io").enable_all().build();
        built.expect("the system gives a process two threads")
    });
    runtime.block_on(future)
}

/// Where the last vacuum of a table in a folder is written down. Readers of Delta tables pass over `_` names.
const VACUUM_NOTE: &str = "_trailhound.vacuum";

/// The clock that file systems date files by.
///
/// It is no port: a vacuum compares it with dates that the system gave, and the log's times are for people. No event
/// and no row depends on it.
#[expect(clippy::disallowed_methods, reason = "the ages of files are measured by the clock that dates them")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// Milliseconds since the epoch: when a file was made, as the log writes it.
pub(crate) fn now_millis() -> i64 {
    let elapsed = now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}

/// Where a lake lies, or what is exported goes: a folder, or a part of a bucket.
#[derive(Debug, Clone)]
pub struct Place(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Folder(PathBuf),
    Bucket { store: Arc<dyn ObjectStore>, prefix: Path, name: String },
}

impl Place {
    /// What lies below `prefix` in a bucket, through a store of the caller's, who brings the credentials. `name` is the
    /// bucket's in messages, such as `s3://BUCKET`.
    ///
    /// The store must refuse to create what is there ([`object_store::PutMode::Create`]): the commits rest on it.
    #[must_use]
    pub fn bucket(store: Arc<dyn ObjectStore>, name: &str, prefix: &str) -> Place {
        let prefix = Path::from(prefix);
        let name = if prefix.as_ref().is_empty() { name.to_owned() } else { format!("{name}/{prefix}") };
        Place(Kind::Bucket { store, prefix, name })
    }

    /// `s3://BUCKET/PREFIX`, by the credentials and the endpoint that the environment names.
    pub(crate) fn url(text: &str) -> Result<Place, LakeError> {
        let refuse = |reason: String| LakeError::NotALake { path: text.to_owned(), reason };
        let url = Url::parse(text).map_err(|error| refuse(error.to_string()))?;
        if url.scheme() != "s3" {
            return Err(refuse(format!("{}:// is no store that lakes lie in: write s3://BUCKET/PREFIX", url.scheme())));
        }
        let plain = std::env::var("AWS_ENDPOINT_URL").is_ok_and(|endpoint| endpoint.starts_with("http://"));
        let store = AmazonS3Builder::from_env().with_url(text).with_allow_http(plain).build();
        let store = store.map_err(|source| LakeError::store(text.to_owned(), source))?;
        Ok(Place(Kind::Bucket { store: Arc::new(store), prefix: Path::from(url.path()), name: text.to_owned() }))
    }

    /// The place in messages.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.0 {
            Kind::Folder(folder) => folder.display().to_string(),
            Kind::Bucket { name, .. } => name.clone(),
        }
    }

    /// The folder, if it is one.
    pub(crate) fn as_folder(&self) -> Option<&FilePath> {
        match &self.0 {
            Kind::Folder(folder) => Some(folder),
            Kind::Bucket { .. } => None,
        }
    }

    /// The store whose paths begin at this place.
    pub(crate) fn store(&self) -> Result<Arc<dyn ObjectStore>, LakeError> {
        match &self.0 {
            Kind::Folder(folder) => {
                let path = std::path::absolute(folder).map_err(|source| LakeError::io(self.name(), source))?;
                let prefix =
                    Path::from_absolute_path(path).map_err(|source| LakeError::store(self.name(), source.into()))?;
                Ok(Arc::new(PrefixStore::new(DurableStore::new(), prefix)))
            }
            Kind::Bucket { store, prefix, .. } => Ok(Arc::new(PrefixStore::new(Arc::clone(store), prefix.clone()))),
        }
    }
}

impl From<&FilePath> for Place {
    fn from(folder: &FilePath) -> Place {
        Place(Kind::Folder(folder.to_owned()))
    }
}

impl From<&PathBuf> for Place {
    fn from(folder: &PathBuf) -> Place {
        folder.as_path().into()
    }
}

impl From<&Place> for Place {
    fn from(place: &Place) -> Place {
        place.clone()
    }
}

/// A file that was found where a table lies, whether it is part of the table or not.
#[derive(Debug)]
pub(crate) struct Found {
    /// Relative to the table.
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) modified: SystemTime,
}

/// A table's place, opened.
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    name: Arc<str>,
    /// Where it is a folder.
    folder: Option<Arc<PathBuf>>,
    url: Url,
    store: Arc<dyn ObjectStore>,
    log: LogStoreRef,
    locked: bool,
}

impl Storage {
    /// Opens a place; a folder must exist. Without `locked` a folder's lock file is not used, as on a store that has none.
    pub(crate) fn open(place: &Place, locked: bool) -> Result<Storage, LakeError> {
        let name = place.name();
        let refuse = |reason: &str| LakeError::NotALake { path: name.clone(), reason: reason.to_owned() };
        let (url, store, folder): (Url, Arc<dyn ObjectStore>, _) = match &place.0 {
            Kind::Folder(folder) => {
                let folder = folder.canonicalize().map_err(|source| LakeError::io(&name, source))?;
                let url = Url::from_directory_path(&folder).map_err(|()| refuse("its path is no URL"))?;
                (url, Arc::new(DurableStore::new()), Some(folder))
            }
            Kind::Bucket { .. } => {
                // The log's library asks a table's address for its scheme, of which it knows few, and reads and writes
                // through the store that it is given all the same; an entry of the log is put on the condition that
                // there is none.
                let url = Url::parse("memory:///").map_err(|error| refuse(&error.to_string()))?;
                (url, place.store()?, None)
            }
        };
        let log = DeltaTableBuilder::from_url(url.clone())
            .map(|builder| builder.with_storage_backend(store, url.clone()))
            .and_then(|builder| builder.build_storage())
            .map_err(|source| LakeError::log(&name, source))?;
        let store = log.object_store(None);
        let name = folder.as_ref().map_or(name, |folder: &PathBuf| folder.display().to_string());
        Ok(Storage {
            name: Arc::from(name),
            locked: locked && folder.is_some(),
            folder: folder.map(Arc::new),
            url,
            store,
            log,
        })
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The table's name in messages.
    pub(crate) fn name(&self) -> String {
        self.name.to_string()
    }

    pub(crate) fn log(&self) -> &LogStoreRef {
        &self.log
    }

    pub(crate) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The lock that serialises the commits of this machine's processes, if this table uses one.
    pub(crate) fn lock(&self) -> Result<Option<TableLock>, LakeError> {
        self.folder.as_ref().filter(|_| self.locked).map(|folder| TableLock::take(folder)).transpose()
    }

    /// A file's full name in messages.
    pub(crate) fn full(&self, path: &str) -> String {
        match &self.folder {
            Some(folder) => folder.join(path).display().to_string(),
            None => format!("{}/{path}", self.name),
        }
    }

    /// Every file of the log and of the days, half-written ones included. Nothing else that lies there is looked at.
    pub(crate) fn found(&self) -> Result<Vec<Found>, LakeError> {
        match &self.folder {
            Some(folder) => self.found_in(folder),
            None => {
                let failed = |source| LakeError::store(self.name(), source);
                let mut found: Vec<_> = wait(self.store.list(None).try_collect()).map_err(failed)?;
                found.retain(|meta| is_in_table(meta.location.as_ref()));
                let found = found.into_iter().map(|meta| {
                    let millis = u64::try_from(meta.last_modified.timestamp_millis()).unwrap_or(0);
                    let modified = UNIX_EPOCH + Duration::from_millis(millis);
                    Found { name: meta.location.into(), bytes: meta.size, modified }
                });
                Ok(found.collect())
            }
        }
    }

    /// The same of a folder, where the store does not list what is half-written.
    fn found_in(&self, root: &FilePath) -> Result<Vec<Found>, LakeError> {
        let mut found = Vec::new();
        for folder in read_folder(root)? {
            let folder_name = folder.file_name().to_string_lossy().into_owned();
            if !is_in_table(&folder_name) || !folder.path().is_dir() {
                continue;
            }
            for entry in read_folder(&folder.path())? {
                let name = format!("{folder_name}/{}", entry.file_name().to_string_lossy());
                // It may have been moved into place since the folder was read.
                let Ok(metadata) = entry.metadata() else { continue };
                if metadata.is_file() {
                    let modified = metadata.modified().map_err(|source| LakeError::io(self.full(&name), source))?;
                    found.push(Found { name, bytes: metadata.len(), modified });
                }
            }
        }
        Ok(found)
    }

    /// Deletes a file that was found, whatever it is called; that it is gone already is no error.
    pub(crate) fn sweep(&self, name: &str) -> Result<(), LakeError> {
        let Some(folder) = &self.folder else { return self.delete(name) };
        match fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(LakeError::io(self.full(name), error)),
            _ => Ok(()),
        }
    }

    /// Writes down what a vacuum did, where the table is a folder. A note that is lost costs a vacuum, so it is not synced.
    pub(crate) fn note_vacuum(&self, note: &str) -> Result<(), LakeError> {
        if self.folder.is_none() {
            return Ok(());
        }
        self.put(VACUUM_NOTE, Bytes::from(note.to_owned()))
    }

    /// What was written down of the last vacuum.
    pub(crate) fn vacuum_note(&self) -> Option<String> {
        fs::read_to_string(self.folder.as_ref()?.join(VACUUM_NOTE)).ok()
    }

    pub(crate) fn put(&self, path: &str, bytes: Bytes) -> Result<(), LakeError> {
        wait(self.store.put(&Path::from(path), PutPayload::from_bytes(bytes)))
            .map(drop)
            .map_err(|source| LakeError::store(self.full(path), source))
    }

    /// The size of a file, `None` if there is none.
    pub(crate) fn size(&self, path: &str) -> Result<Option<u64>, LakeError> {
        match wait(self.store.head(&Path::from(path))) {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(LakeError::store(self.full(path), source)),
        }
    }

    /// Deletes a file; that it is gone already is no error.
    pub(crate) fn delete(&self, path: &str) -> Result<(), LakeError> {
        match wait(self.store.delete(&Path::from(path))) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(LakeError::store(self.full(path), source)),
        }
    }
}

/// Whether a path, relative to the table, is one of the table's own folders or in it.
fn is_in_table(path: &str) -> bool {
    path == "_delta_log" || path.starts_with("_delta_log/") || path.starts_with("event_date=")
}

fn read_folder(folder: &FilePath) -> Result<Vec<fs::DirEntry>, LakeError> {
    let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    entries.map_err(|source| LakeError::io(folder.display().to_string(), source))
}

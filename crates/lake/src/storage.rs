//! Where a table lives, and the synchronous face of what is asynchronous underneath.

use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use deltalake_core::DeltaTableBuilder;
use deltalake_core::logstore::LogStoreRef;
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

/// A table's folder.
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    root: Arc<PathBuf>,
    url: Url,
    store: Arc<dyn ObjectStore>,
    log: LogStoreRef,
    locked: bool,
}

impl Storage {
    /// A folder that exists. Without `locked` the lock file is not used, as on a store that has none.
    pub(crate) fn local(root: &FilePath, locked: bool) -> Result<Storage, LakeError> {
        let name = root.display().to_string();
        let root = root.canonicalize().map_err(|source| LakeError::io(&name, source))?;
        let url = Url::from_directory_path(&root)
            .map_err(|()| LakeError::NotALake { path: name.clone(), reason: "its path is no URL".into() })?;
        Self::over(Arc::new(DurableStore::new()), root, url, locked)
    }

    /// A folder of a bucket, `s3://BUCKET/PREFIX`, by the credentials and the endpoint that the environment names.
    pub(crate) fn bucket(text: &str) -> Result<Storage, LakeError> {
        let refuse = |reason: String| LakeError::NotALake { path: text.to_owned(), reason };
        let url = Url::parse(text).map_err(|error| refuse(error.to_string()))?;
        if url.scheme() != "s3" {
            return Err(refuse(format!("{}:// is no store that lakes lie in: write s3://BUCKET/PREFIX", url.scheme())));
        }
        let plain = std::env::var("AWS_ENDPOINT_URL").is_ok_and(|endpoint| endpoint.starts_with("http://"));
        let store = AmazonS3Builder::from_env().with_url(text).with_allow_http(plain).build();
        let store = store.map_err(|source| LakeError::store(text.to_owned(), source))?;
        let store = PrefixStore::new(store, Path::from(url.path()));
        // The log's library asks a table's address for its scheme, of which it knows few, and reads through the store
        // that it is given all the same.
        let url = Url::parse("memory:///").map_err(|error| refuse(error.to_string()))?;
        Self::over(Arc::new(store), PathBuf::from(text), url, false)
    }

    fn over(store: Arc<dyn ObjectStore>, root: PathBuf, url: Url, locked: bool) -> Result<Storage, LakeError> {
        let name = root.display().to_string();
        let log = DeltaTableBuilder::from_url(url.clone())
            .map(|builder| builder.with_storage_backend(store, url.clone()))
            .and_then(|builder| builder.build_storage())
            .map_err(|source| LakeError::log(&name, source))?;
        let store = log.object_store(None);
        Ok(Storage { root: Arc::new(root), url, store, log, locked })
    }

    pub(crate) fn root(&self) -> &FilePath {
        &self.root
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The table's name in messages.
    pub(crate) fn name(&self) -> String {
        self.root.display().to_string()
    }

    pub(crate) fn log(&self) -> &LogStoreRef {
        &self.log
    }

    pub(crate) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The lock that serialises the commits of this machine's processes, if this table uses one.
    pub(crate) fn lock(&self) -> Result<Option<TableLock>, LakeError> {
        if !self.locked {
            return Ok(None);
        }
        TableLock::take(&self.root).map(Some)
    }

    /// A file's full name in messages.
    pub(crate) fn full(&self, path: &str) -> String {
        self.root.join(path).display().to_string()
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

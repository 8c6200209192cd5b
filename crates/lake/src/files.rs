//! Files that survive a power cut: `object_store`'s local store with every write synced, and the lock beside the table.
//!
//! `LocalFileSystem` writes a temporary file and renames or links it, but never syncs: after a power cut a log entry
//! may stand there empty. [`DurableStore`] writes the temporary file, syncs it, moves it into place and syncs the
//! folder, in this order.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    RenameOptions, Result, UploadPart,
};

use crate::LakeError;
use crate::failpoint::failpoint;

/// What the name of a file under construction ends with; sweeping looks for it.
pub(crate) const TEMPORARY: &str = ".tmp";

/// The local file system with durable writes.
#[derive(Debug, Clone)]
pub(crate) struct DurableStore(Arc<LocalFileSystem>);

impl DurableStore {
    pub(crate) fn new() -> DurableStore {
        DurableStore(Arc::new(LocalFileSystem::new()))
    }
}

impl fmt::Display for DurableStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "durable {}", self.0)
    }
}

fn generic(source: io::Error) -> Error {
    Error::Generic { store: "LocalFileSystem", source: Box::new(source) }
}

/// Whether the file is one under construction, ours or `object_store`'s (`x.parquet#1`).
pub(crate) fn is_temporary(name: &str) -> bool {
    let staged_by_object_store = name
        .rsplit_once('#')
        .is_some_and(|(_, tail)| !tail.is_empty() && tail.bytes().all(|byte| byte.is_ascii_digit()));
    staged_by_object_store || (name.starts_with('.') && name.ends_with(TEMPORARY))
}

/// Writes a file durably: all of it or nothing, and with `create` only if there is none of that name.
pub(crate) fn write_durably<'a>(
    path: &FilePath,
    parts: impl IntoIterator<Item = &'a Bytes>,
    create: bool,
) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let name = path.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::InvalidInput)?;
    create_folders(folder)?;
    let temporary = folder.join(format!(".{name}.{}{TEMPORARY}", uuid::Uuid::new_v4().simple()));
    let written = write_then_move(&temporary, path, parts, create);
    if written.is_err() {
        // Best effort: a sweep takes what is left.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    failpoint!("lake::put::after-rename");
    sync_folder(folder)
}

fn write_then_move<'a>(
    temporary: &FilePath,
    path: &FilePath,
    parts: impl IntoIterator<Item = &'a Bytes>,
    create: bool,
) -> io::Result<()> {
    failpoint!("lake::put::before-write");
    fail::fail_point!(crate::PUT_FULL, |_| Err(io::ErrorKind::StorageFull.into()));
    let mut file = OpenOptions::new().write(true).create_new(true).open(temporary)?;
    for part in parts {
        let (first, second) = part.split_at(part.len() / 2);
        file.write_all(first)?;
        failpoint!("lake::put::half-written");
        file.write_all(second)?;
    }
    failpoint!("lake::put::before-sync");
    file.sync_all()?;
    drop(file);
    failpoint!("lake::put::before-rename");
    if create {
        fs::hard_link(temporary, path)?;
        // The content is in place under its name already.
        let _ = fs::remove_file(temporary);
        return Ok(());
    }
    fs::rename(temporary, path)
}

/// Makes a folder and those above it, each new name synced.
pub(crate) fn create_folders(folder: &FilePath) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        // The parent of a single name is the working folder.
        let parent = if parent.as_os_str().is_empty() { FilePath::new(".") } else { parent };
        create_folders(parent)?;
        match fs::create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => sync_folder(parent)?,
        }
    }
    Ok(())
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &FilePath) -> io::Result<()> {
    // Windows cannot open a folder for syncing; its journal orders names by itself.
    if cfg!(windows) {
        return Ok(());
    }
    File::open(folder)?.sync_all()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(source) => Err(Error::JoinError { source }),
    }
}

/// Whether a question asks for bytes and nothing else.
fn is_plain(options: &GetOptions) -> bool {
    matches!(
        options,
        GetOptions {
            range: None | Some(GetRange::Bounded(_)),
            if_match: None,
            if_none_match: None,
            if_modified_since: None,
            if_unmodified_since: None,
            version: None,
            head: false,
            ..
        }
    )
}

/// Files up to this size are read whole on the thread that asks.
const SMALL: u64 = 1 << 20;

/// A file that is read on this thread: it is in the system's memory sooner than another thread is awake, of which a
/// question about a month would wake hundreds.
struct Here {
    file: File,
    metadata: fs::Metadata,
}

impl Here {
    /// `None` where anything is unusual, which `object_store` has the words for.
    fn open(path: &FilePath) -> io::Result<Option<Here>> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        Ok(metadata.is_file().then_some(Here { file, metadata }))
    }

    fn read(&mut self, range: &Range<u64>) -> Option<Bytes> {
        let length = range.end.checked_sub(range.start).filter(|_| range.end <= self.metadata.len())?;
        let mut part = Vec::with_capacity(usize::try_from(length).ok()?);
        self.file.seek(SeekFrom::Start(range.start)).ok()?;
        let read = (&mut self.file).take(length).read_to_end(&mut part).ok()?;
        (read as u64 == length).then(|| Bytes::from(part))
    }

    fn get(&mut self, location: &Path, range: Option<&GetRange>) -> Option<GetResult> {
        let size = self.metadata.len();
        let range = match range {
            None if size <= SMALL => 0..size,
            Some(GetRange::Bounded(range)) => range.clone(),
            _ => return None,
        };
        let bytes = self.read(&range)?;
        let last_modified = self.metadata.modified().ok()?.into();
        let meta = ObjectMeta { location: location.clone(), last_modified, size, e_tag: None, version: None };
        let payload = GetResultPayload::Stream(futures::stream::iter([Ok(bytes)]).boxed());
        Some(GetResult { payload, meta, range, attributes: Attributes::default() })
    }
}

#[async_trait]
impl ObjectStore for DurableStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let create = match opts.mode {
            PutMode::Create => true,
            PutMode::Overwrite => false,
            PutMode::Update(_) => {
                return Err(Error::NotImplemented {
                    operation: "a conditional update".into(),
                    implementer: self.to_string(),
                });
            }
        };
        let path = self.0.path_to_filesystem(location)?;
        blocking(move || match write_durably(&path, payload.iter(), create) {
            Ok(()) => Ok(PutResult { e_tag: None, version: None }),
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {
                Err(Error::AlreadyExists { path: path.display().to_string(), source: Box::new(source) })
            }
            Err(source) => Err(generic(source)),
        })
        .await
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let upload = Upload { store: self.clone(), location: location.clone(), parts: Arc::default(), started: 0 };
        Ok(Box::new(upload))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if is_plain(&options) {
            let path = self.0.path_to_filesystem(location)?;
            match Here::open(&path) {
                Ok(Some(mut here)) => {
                    if let Some(found) = here.get(location, options.range.as_ref()) {
                        return Ok(found);
                    }
                }
                Err(source) if source.kind() == io::ErrorKind::NotFound => {
                    return Err(Error::NotFound { path: path.display().to_string(), source: Box::new(source) });
                }
                Ok(None) | Err(_) => {}
            }
        }
        self.0.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let here = Here::open(&self.0.path_to_filesystem(location)?).ok().flatten();
        match here.and_then(|mut here| ranges.iter().map(|range| here.read(range)).collect()) {
            Some(parts) => Ok(parts),
            None => self.0.get_ranges(location, ranges).await,
        }
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await?;
        self.sync(to).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.0.rename_opts(from, to, options).await?;
        self.sync(to).await
    }
}

impl DurableStore {
    /// Makes a file that another call put in place durable.
    async fn sync(&self, location: &Path) -> Result<()> {
        let path = self.0.path_to_filesystem(location)?;
        blocking(move || {
            let folder = path.parent().unwrap_or(FilePath::new("/"));
            File::open(&path).and_then(|file| file.sync_all()).and_then(|()| sync_folder(folder)).map_err(generic)
        })
        .await
    }
}

/// An upload in parts, held in memory until it is complete: the Delta log uploads nothing large.
#[derive(Debug)]
struct Upload {
    store: DurableStore,
    location: Path,
    parts: Arc<Mutex<Vec<(usize, PutPayload)>>>,
    started: usize,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let place = self.started;
        self.started += 1;
        let parts = Arc::clone(&self.parts);
        Box::pin(async move {
            parts.lock().unwrap_or_else(PoisonError::into_inner).push((place, data));
            Ok(())
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let mut parts = std::mem::take(&mut *self.parts.lock().unwrap_or_else(PoisonError::into_inner));
        parts.sort_by_key(|(place, _)| *place);
        let payload: PutPayload = parts.iter().flat_map(|(_, part)| part.iter().cloned()).collect();
        self.store.put(&self.location, payload).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }
}

/// The lock of a local table, released when dropped (by the system, if the process dies).
#[derive(Debug)]
pub(crate) struct TableLock(#[expect(dead_code, reason = "held for its lock, which ends with the file")] File);

impl TableLock {
    /// Where the lock of a table is.
    pub(crate) fn path(root: &FilePath) -> PathBuf {
        root.join("_trailhound.lock")
    }

    /// Waits for the lock.
    pub(crate) fn take(root: &FilePath) -> Result<TableLock, LakeError> {
        let path = TableLock::path(root);
        let locked = OpenOptions::new().write(true).create(true).truncate(false).open(&path).and_then(|file| {
            file.lock()?;
            Ok(TableLock(file))
        });
        locked.map_err(|source| LakeError::io(path.display().to_string(), source))
    }
}

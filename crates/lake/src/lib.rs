//! The `events` table: a Delta Lake table of Parquet files in a folder or a bucket, written in parallel, crash-safe and
//! without a row twice.
//!
//! **Owns** the table's schema, the Parquet encoding, the commit and dedupe protocol, scanning and maintenance.
//! **Must not** know detections, configuration or SQL.
//!
//! **Invariants.** Every reader goes through the log, never through a folder listing: replaced files stay until vacuum.
//! `(event_date, event_id)` is unique among the active files. A file is durable before the log names it.
//!
//! Everything here is synchronous; a small runtime inside drives the object store. Call it from plain threads, or
//! from a runtime with `spawn_blocking`: on a runtime's own thread it panics.
//!
//! Read in this order: `schema` (the columns), `files` (durable writes), `log` and `table` (which files are the table), `buffer` and `encode` (rows
//! into files), `writer` and `commit` (the protocol), `reader` and `scan` (files into rows).

mod buffer;
mod codec;
mod commit;
mod compact;
mod encode;
mod error;
mod export;
mod failpoint;
mod files;
mod ids;
mod log;
mod maintain;
mod merge;
mod object;
mod order;
mod reader;
mod rows;
mod scan;
mod schema;
mod stats;
mod storage;
mod table;
mod verify;
mod writer;

use std::sync::{Arc, Mutex};

pub use deltalake_core::kernel::Version;
use object_store::ObjectStore;

pub use codec::Codec;
pub use compact::{CompactOptions, CompactReport};
pub use error::LakeError;
pub use export::{ClassicFormat, ExportOptions, ExportReport};
pub use failpoint::{FAILPOINTS, PUT_FULL};
pub use maintain::{ExpireReport, LastVacuum, RETENTION, Status, VacuumReport};
pub use rows::EventBatch;
pub use scan::{Order, Rows, Scan};
pub use schema::{BOUNDED, columns, file_schema};
pub use storage::Place;
pub use table::DataFile;
pub use verify::{Problem, VerifyReport};
pub use writer::{Appended, Committed, Variant, Writer, WriterOptions};

use storage::Storage;
use table::Table;

/// One table in a folder or a bucket. Cheap to clone; clones share their view of the log.
#[derive(Debug, Clone)]
pub struct Lake(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    storage: Storage,
    view: Mutex<Table>,
}

impl Lake {
    /// Opens the lake in a folder, or at another [`Place`].
    ///
    /// # Errors
    ///
    /// [`LakeError::NotFound`] if there is none, [`LakeError::NotALake`] if another Delta table lies there.
    pub fn open(place: impl Into<Place>) -> Result<Lake, LakeError> {
        Self::open_with(&place.into(), true)
    }

    /// Opens the lake at `s3://BUCKET/PREFIX`, by the credentials and the endpoint that the environment names
    /// (`AWS_ACCESS_KEY_ID`, `AWS_REGION`, `AWS_ENDPOINT_URL` …).
    ///
    /// # Errors
    ///
    /// As [`Lake::open`], and if the bucket cannot be reached.
    pub fn open_url(url: &str) -> Result<Lake, LakeError> {
        Self::open_with(&Place::url(url)?, true)
    }

    /// Opens the lake in a folder or at another [`Place`], and makes one if there is none.
    ///
    /// # Errors
    ///
    /// As [`Lake::open`], and if the place cannot be written.
    pub fn open_or_create(place: impl Into<Place>) -> Result<Lake, LakeError> {
        let place = place.into();
        match Self::open_with(&place, true) {
            Err(LakeError::NotFound { .. }) => {}
            opened => return opened,
        }
        if let Some(folder) = place.as_folder() {
            files::create_folders(folder).map_err(|source| LakeError::io(place.name(), source))?;
        }
        Table::create(&Storage::open(&place, true)?)?;
        Self::open_with(&place, true)
    }

    /// Opens a lake whose commits do not take the lock file, as on a store that has none. For tests.
    #[doc(hidden)]
    pub fn open_without_lock(path: &std::path::Path) -> Result<Lake, LakeError> {
        Self::open_with(&path.into(), false)
    }

    fn open_with(place: &Place, locked: bool) -> Result<Lake, LakeError> {
        let missing = || LakeError::NotFound { path: place.name() };
        if place.as_folder().is_some_and(|folder| !folder.is_dir()) {
            return Err(missing());
        }
        let storage = Storage::open(place, locked)?;
        let table = Table::load(&storage)?.ok_or_else(missing)?;
        Ok(Lake(Arc::new(Inner { storage, view: Mutex::new(table) })))
    }

    /// The table's id, which a copy shares and a new table does not.
    #[must_use]
    pub fn id(&self) -> String {
        writer::lock(&self.0.view).id().to_owned()
    }

    /// The newest version.
    ///
    /// # Errors
    ///
    /// If the log cannot be read.
    pub fn version(&self) -> Result<Version, LakeError> {
        Ok(self.table()?.version())
    }

    /// The files that are the newest version, by day, the oldest first. For engines that read Parquet by themselves, from
    /// [`Lake::object_store`].
    ///
    /// # Errors
    ///
    /// If the log cannot be read.
    pub fn active_files(&self) -> Result<Vec<Arc<DataFile>>, LakeError> {
        Ok(self.table()?.files().cloned().collect())
    }

    /// The store that the paths of [`DataFile`]s are relative to.
    #[must_use]
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(self.0.storage.store())
    }

    /// A writer of its own view. Several writers, also of several processes, never store an event twice.
    ///
    /// # Errors
    ///
    /// If the log cannot be read.
    pub fn writer(&self, options: WriterOptions) -> Result<Writer, LakeError> {
        Ok(Writer::new(self.clone(), self.table()?, options))
    }

    pub(crate) fn storage(&self) -> &Storage {
        &self.0.storage
    }

    /// The newest version's view.
    pub(crate) fn table(&self) -> Result<Table, LakeError> {
        let mut view = writer::lock(&self.0.view);
        view.refresh()?;
        Ok(view.clone())
    }
}

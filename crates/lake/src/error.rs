//! What can go wrong with a lake, each with the file it speaks of.

use std::error::Error;
use std::io;

use deltalake_core::DeltaTableError;
use deltalake_core::kernel::transaction::TransactionError;
use parquet::errors::ParquetError;

/// Why the lake could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LakeError {
    /// There is no lake in that folder.
    #[error("there is no lake at {path}")]
    NotFound {
        /// The folder.
        path: String,
    },
    /// There is a table, but none that this program writes or may touch.
    #[error("{path} is not a Trailhound lake: {reason}")]
    NotALake {
        /// The folder.
        path: String,
        /// What does not fit.
        reason: String,
    },
    /// The disk (or the quota) is full. Nothing that was committed is affected.
    #[error(
        "the disk is full: {path} could not be written; make room: nothing stored before is lost, and the next run goes on"
    )]
    DiskFull {
        /// The file that did not fit.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be read or written.
    #[error("{path} could not be read or written: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The object store refused.
    #[error("{path}: {source}")]
    Store {
        /// The object.
        path: String,
        /// What the store said.
        source: object_store::Error,
    },
    /// The Delta log could not be read or written.
    #[error("the log of {table}: {source}")]
    Log {
        /// The table.
        table: String,
        /// What the log reader said.
        source: Box<DeltaTableError>,
    },
    /// A data file cannot be read as Parquet, or could not be encoded.
    #[error("{file}: {source}")]
    Parquet {
        /// The data file.
        file: String,
        /// What the codec said.
        source: ParquetError,
    },
    /// A file does not hold what it should.
    #[error("{file} is damaged: {reason}")]
    Damaged {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// Other writers won every race.
    #[error("{table} changed under every one of {attempts} attempts to commit; nothing was lost, try again")]
    Contended {
        /// The table.
        table: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// A file that was about to be committed is gone: a vacuum with too short a retention took it.
    #[error("{file} was removed before it could be committed; read its sources again")]
    Vanished {
        /// The data file.
        file: String,
    },
    /// A retention of zero would take files from under running readers and writers.
    #[error("the retention must be above zero: running readers and writers need their files")]
    ZeroRetention,
}

impl LakeError {
    pub(crate) fn io(path: impl Into<String>, source: io::Error) -> LakeError {
        let path = path.into();
        if is_full(&source) {
            return LakeError::DiskFull { path, source };
        }
        LakeError::Io { path, source }
    }

    pub(crate) fn store(path: impl Into<String>, source: object_store::Error) -> LakeError {
        let path = path.into();
        match full_disk(&source) {
            Some(source) => LakeError::DiskFull { path, source },
            None => LakeError::Store { path, source },
        }
    }

    pub(crate) fn log(table: impl Into<String>, source: impl Into<DeltaTableError>) -> LakeError {
        let source = source.into();
        let table = table.into();
        match full_disk(&source) {
            Some(source) => LakeError::DiskFull { path: format!("{table}/_delta_log"), source },
            None => LakeError::Log { table, source: Box::new(source) },
        }
    }

    pub(crate) fn commit(table: impl Into<String>, source: TransactionError) -> LakeError {
        LakeError::log(table, DeltaTableError::from(source))
    }

    pub(crate) fn parquet(file: impl Into<String>, source: ParquetError) -> LakeError {
        LakeError::Parquet { file: file.into(), source }
    }

    pub(crate) fn damaged(file: impl Into<String>, reason: impl Into<String>) -> LakeError {
        LakeError::Damaged { file: file.into(), reason: reason.into() }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The full disk behind an error, however deep it is wrapped.
fn full_disk(error: &(dyn Error + 'static)) -> Option<io::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>()
            && is_full(io)
        {
            return Some(io::Error::from(io.kind()));
        }
        cause = error.source();
    }
    None
}

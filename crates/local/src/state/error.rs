//! What SQLite says, in the words of the port.

use pipeline::state::StateError;
use rusqlite::ErrorCode;

/// Why a transaction did not go through.
#[derive(Debug)]
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    /// What is stored cannot be what this program wrote.
    Damaged(String),
    /// Somebody else's database.
    Foreign(String),
    Newer {
        found: i64,
        known: i64,
    },
    /// The port's own error: something is not there.
    State(StateError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Failure {
        Failure::Sqlite(error)
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Failure {
        Failure::State(error)
    }
}

pub(super) fn state_error(path: &str, failure: Failure) -> StateError {
    let path = path.to_owned();
    let error = match failure {
        Failure::Sqlite(error) => error,
        Failure::Damaged(reason) => return StateError::Damaged { path, reason },
        Failure::Foreign(reason) => return StateError::Foreign { path, reason },
        Failure::Newer { found, known } => return StateError::Newer { path, found, known },
        Failure::State(error) => return error,
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StateError::Busy { path },
        Some(ErrorCode::DiskFull) => StateError::Full { path },
        Some(ErrorCode::NotADatabase) => StateError::Foreign { path, reason: "it is no SQLite database".to_owned() },
        Some(ErrorCode::DatabaseCorrupt) => StateError::Damaged { path, reason: error.to_string() },
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            StateError::Open { path, source: Box::new(error) }
        }
        // A column of another type or without a value: the schema forbids both.
        None if is_misread(&error) => StateError::Damaged { path, reason: error.to_string() },
        _ => StateError::Storage { path, source: Box::new(error) },
    }
}

fn is_misread(error: &rusqlite::Error) -> bool {
    use rusqlite::Error;
    matches!(
        error,
        Error::FromSqlConversionFailure(..)
            | Error::InvalidColumnType(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::Utf8Error(..)
    )
}

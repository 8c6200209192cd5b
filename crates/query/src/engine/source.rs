//! Where the lake is.

use std::path::PathBuf;
use std::sync::OnceLock;

use lake::{Lake, LakeError};

/// The lake that is asked, or the folder where it will be.
#[derive(Debug)]
pub struct Source {
    lake: OnceLock<Lake>,
    folder: Option<PathBuf>,
}

impl Source {
    /// A lake that is there.
    #[must_use]
    pub fn lake(lake: Lake) -> Source {
        Source { lake: OnceLock::from(lake), folder: None }
    }

    /// A folder that may hold no lake yet: each question looks again until it does.
    #[must_use]
    pub fn folder(folder: PathBuf) -> Source {
        Source { lake: OnceLock::new(), folder: Some(folder) }
    }

    /// The lake, if there is one by now. Reads the disk.
    pub(crate) fn find(&self) -> Result<Option<&Lake>, LakeError> {
        let (None, Some(folder)) = (self.lake.get(), &self.folder) else { return Ok(self.lake.get()) };
        match Lake::open(folder) {
            Ok(lake) => Ok(Some(self.lake.get_or_init(|| lake))),
            Err(LakeError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

//! One daemon a home: two would ask CloudTrail everything twice, within one limit.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, bail};

/// The file that a daemon holds.
const NAME: &str = "run.lock";

/// Held as long as the daemon lives; the system lets it go, however the process ends.
pub(super) struct Alone {
    _file: File,
}

impl Alone {
    /// Takes the home for this process.
    pub(super) fn hold(home: &Path) -> anyhow::Result<Alone> {
        let path = home.join(NAME);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.with_context(|| format!("failed to open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Only for the message; the number of a process is at most ten characters long.
                let _ = (&file).take(10).read_to_string(&mut holder);
                let holder: String = holder.chars().filter(char::is_ascii_digit).collect();
                bail!("another `trailhound run` works on {} already: process {holder}", home.display());
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("failed to lock {}", path.display()));
            }
        }
        file.set_len(0)?;
        write!(file, "{}", std::process::id())?;
        Ok(Alone { _file: file })
    }
}

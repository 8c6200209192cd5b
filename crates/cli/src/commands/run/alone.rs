//! One daemon a home: two would ask CloudTrail everything twice, within one limit.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use anyhow::{Context, bail};

/// The file that a daemon holds.
const NAME: &str = "run.lock";

/// Held as long as the daemon lives; the system lets it go, however the process ends.
pub(super) struct Alone {
    file: File,
    /// Whether the daemon before this one was killed, or fell.
    pub(super) follows_a_crash: bool,
}

impl Drop for Alone {
    fn drop(&mut self) {
        // Who ends by itself leaves nothing undone. If this fails, the next one looks for it in vain.
        let _ = self.file.set_len(0);
    }
}

impl Alone {
    /// Takes the home for this process.
    pub(super) fn hold(home: &Path) -> anyhow::Result<Alone> {
        let path = home.join(NAME);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.with_context(|| format!("failed to open {}", path.display()))?;
        let locked = file.try_lock();
        let mut holder = String::new();
        // For the message, and for whether there is any; the number of a process is at most ten characters long.
        let _ = (&file).take(10).read_to_string(&mut holder);
        let holder: String = holder.chars().filter(char::is_ascii_digit).collect();
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("another `trailhound run` works on {} already: process {holder}", home.display());
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("failed to lock {}", path.display()));
            }
        }
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "{}", std::process::id())?;
        Ok(Alone { file, follows_a_crash: !holder.is_empty() })
    }
}

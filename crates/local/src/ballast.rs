//! A file that is there to be thrown away: room on a full disk for writing down that it is full.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Its name in the home folder.
const NAME: &str = "ballast";
/// How many bytes it holds: enough for the end of a run, an alert and what becomes of its notifications.
const SIZE: u64 = 1 << 20;
/// How much room there has to be for it to be laid: what it would take from a disk that is almost full is needed more.
const ROOM: u64 = 8 << 20;

/// The ballast of a home folder.
#[derive(Debug, Clone)]
pub struct Ballast {
    path: PathBuf,
}

impl Ballast {
    /// The ballast of this folder, laid or not.
    #[must_use]
    pub fn of(home: &Path) -> Ballast {
        Ballast { path: home.join(NAME) }
    }

    /// Whether it is there.
    #[must_use]
    pub fn is_laid(&self) -> bool {
        self.path.metadata().is_ok_and(|metadata| metadata.len() >= SIZE)
    }

    /// Lays it where it is not there and there is room.
    ///
    /// # Errors
    /// There is no room, or the folder cannot be written to; then it is not there.
    pub fn lay(&self) -> io::Result<()> {
        if self.is_laid() {
            return Ok(());
        }
        let laid = self.write();
        if laid.is_err() {
            let _ = std::fs::remove_file(&self.path);
        }
        laid
    }

    fn write(&self) -> io::Result<()> {
        let mut file = private(&self.path)?;
        // No two blocks are alike: a file system that compresses would keep no room for what says nothing.
        let mut number = 0x9e37_79b9_7f4a_7c15u64;
        let mut block = Vec::with_capacity(1 << 16);
        for _ in 0..ROOM >> 16 {
            block.clear();
            while block.len() < 1 << 16 {
                number ^= number << 13;
                number ^= number >> 7;
                number ^= number << 17;
                block.extend_from_slice(&number.to_le_bytes());
            }
            file.write_all(&block)?;
        }
        // Some file systems find out only now whether there is room.
        file.sync_all()?;
        file.set_len(SIZE)?;
        file.sync_all()
    }

    /// Throws it away. Returns whether that made room.
    pub fn drop(&self) -> bool {
        std::fs::remove_file(&self.path).is_ok()
    }
}

fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_laid_once_and_thrown_away_once() {
        let home = tempfile::tempdir().unwrap();
        let ballast = Ballast::of(home.path());
        assert!(!ballast.is_laid() && !ballast.drop());
        ballast.lay().unwrap();
        assert_eq!(std::fs::metadata(home.path().join(NAME)).unwrap().len(), SIZE);
        // What is there is not written again.
        let mark = |byte| OpenOptions::new().write(true).open(home.path().join(NAME)).unwrap().write_all(&[byte]);
        mark(7).unwrap();
        ballast.lay().unwrap();
        assert_eq!(std::fs::read(home.path().join(NAME)).unwrap()[0], 7);
        assert!(ballast.drop() && !ballast.is_laid());
        assert!(Ballast::of(&home.path().join("gone")).lay().is_err());
    }
}

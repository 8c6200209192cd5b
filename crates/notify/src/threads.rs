//! Which of Slack's threads are whose.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many threads are remembered. Principals are a stranger's to multiply.
const THREADS_MAX: usize = 10_000;
/// The most bytes that are read of a file.
const FILE_MAX: u64 = 32 * 1024 * 1024;

/// The port to the memory of threads. What is forgotten costs no more than a new thread.
pub trait Threads: Send + Sync {
    /// The thread of a principal in a channel.
    fn get(&self, channel: &str, principal: &str) -> Option<String>;

    /// Remembers the thread of a principal in a channel.
    fn put(&self, channel: &str, principal: &str, thread: &str);
}

/// Threads by channel and principal.
type Known = HashMap<(String, String), String>;

/// Threads for as long as the process runs.
#[derive(Debug, Default)]
pub struct MemoryThreads(Mutex<Known>);

impl MemoryThreads {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Threads for MemoryThreads {
    fn get(&self, channel: &str, principal: &str) -> Option<String> {
        self.known().get(&(channel.to_owned(), principal.to_owned())).cloned()
    }

    fn put(&self, channel: &str, principal: &str, thread: &str) {
        let mut known = self.known();
        if known.len() >= THREADS_MAX {
            known.clear();
        }
        known.insert((channel.to_owned(), principal.to_owned()), thread.to_owned());
    }
}

/// Threads in a file, for runs that end.
#[derive(Debug)]
pub struct FileThreads {
    path: PathBuf,
    known: MemoryThreads,
}

impl FileThreads {
    /// Reads the file. One that is not there, or is none of ours, is an empty one.
    #[must_use]
    pub fn open(path: &Path) -> FileThreads {
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(FILE_MAX).read_to_string(&mut text));
        let entries: Vec<(String, String, String)> =
            read.ok().and_then(|_| serde_json::from_str(&text).ok()).unwrap_or_default();
        let known = entries.into_iter().map(|(channel, principal, thread)| ((channel, principal), thread)).collect();
        FileThreads { path: path.to_owned(), known: MemoryThreads(Mutex::new(known)) }
    }

    /// Replaces the file as a whole.
    fn save(&self) -> io::Result<()> {
        let known = self.known.known();
        let entries: Vec<_> = known.iter().map(|((channel, principal), thread)| (channel, principal, thread)).collect();
        let beside = self.path.with_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(serde_json::to_string(&entries)?.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(beside, &self.path)
    }
}

impl Threads for FileThreads {
    fn get(&self, channel: &str, principal: &str) -> Option<String> {
        self.known.get(channel, principal)
    }

    fn put(&self, channel: &str, principal: &str, thread: &str) {
        self.known.put(channel, principal, thread);
        // The message was sent. Where the thread cannot be written down, the next run begins another.
        let _ = self.save();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_run_finds_the_threads_of_an_earlier_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("threads.json");
        let threads = FileThreads::open(&path);
        threads.put("C1", "alice", "1.1");
        threads.put("C1", "bob\n\u{202e}", "2.2");
        let later = FileThreads::open(&path);
        assert_eq!(later.get("C1", "bob\n\u{202e}").as_deref(), Some("2.2"));
        assert_eq!(later.get("C2", "alice"), None);
        std::fs::write(&path, "no JSON").unwrap();
        assert_eq!(FileThreads::open(&path).get("C1", "alice"), None);
    }
}

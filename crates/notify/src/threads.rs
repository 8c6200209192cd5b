//! Which of Slack's threads are whose.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// How many threads are remembered. Principals are a stranger's to multiply.
const THREADS_MAX: usize = 10_000;

/// The port to the memory of threads. What is forgotten costs no more than a new thread.
pub trait Threads: Send + Sync {
    /// The thread of a principal in a channel.
    fn get(&self, channel: &str, principal: &str) -> Option<String>;

    /// Remembers the thread of a principal in a channel.
    fn put(&self, channel: &str, principal: &str, thread: &str);
}

/// Threads for as long as the process runs.
#[derive(Debug, Default)]
pub struct MemoryThreads(Mutex<HashMap<(String, String), String>>);

impl Threads for MemoryThreads {
    fn get(&self, channel: &str, principal: &str) -> Option<String> {
        let threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        threads.get(&(channel.to_owned(), principal.to_owned())).cloned()
    }

    fn put(&self, channel: &str, principal: &str, thread: &str) {
        let mut threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.len() >= THREADS_MAX {
            threads.clear();
        }
        threads.insert((channel.to_owned(), principal.to_owned()), thread.to_owned());
    }
}

//! The asynchronous edge: the SDKs wait here, whoever calls waits outside.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};

/// The threads that the SDKs wait in.
#[derive(Debug)]
pub(crate) struct Edge {
    /// Taken only when it is dropped.
    runtime: Option<Runtime>,
}

impl Edge {
    pub(crate) fn new() -> std::io::Result<Edge> {
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("aws").enable_all().build()?;
        Ok(Edge { runtime: Some(runtime) })
    }

    /// Runs something to its end. Not to be called from inside.
    pub(crate) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        match &self.runtime {
            Some(runtime) => runtime.block_on(work),
            None => unreachable!("nobody calls what is being dropped"),
        }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Does not wait for what hangs, and may be done anywhere.
            runtime.shutdown_background();
        }
    }
}

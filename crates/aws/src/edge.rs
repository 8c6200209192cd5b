//! The asynchronous edge: the SDKs wait here, whoever calls waits outside.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pipeline::service::CallError;
use tokio::runtime::{Builder, Runtime};

/// The threads that the SDKs wait in.
#[derive(Debug)]
pub(crate) struct Edge {
    /// Taken only when it is dropped.
    runtime: Option<Runtime>,
    /// Set when nothing is worth waiting for any more.
    stop: Option<Arc<AtomicBool>>,
}

/// How soon a stop is heard.
const LOOK: Duration = Duration::from_millis(50);

impl Edge {
    pub(crate) fn new(stop: Option<Arc<AtomicBool>>) -> std::io::Result<Edge> {
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("aws").enable_all().build()?;
        Ok(Edge { runtime: Some(runtime), stop })
    }

    /// Runs something to its end. Not to be called from inside.
    pub(crate) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        match &self.runtime {
            Some(runtime) => runtime.block_on(work),
            None => unreachable!("nobody calls what is being dropped"),
        }
    }

    /// Runs something to its end on the edge's own threads: whoever calls is woken only by that. Not to be called from
    /// inside.
    pub(crate) fn run_inside<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let done = self.run(async { tokio::spawn(work).await });
        // It is never aborted while somebody waits; a panic goes on here.
        done.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))
    }

    /// Runs a call to its end, or until the program is to end. Not to be called from inside.
    pub(crate) fn attempt<T>(&self, call: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
        self.run(async {
            tokio::select! {
                outcome = call => outcome,
                () = self.stopped() => Err(CallError::Unavailable("given up before it was answered".to_owned())),
            }
        })
    }

    /// Waits so long; `false` if the program is to end before. Not to be called from inside.
    pub(crate) fn pause(&self, wait: Duration) -> bool {
        self.run(async {
            tokio::select! {
                biased;
                () = self.stopped() => false,
                () = tokio::time::sleep(wait) => true,
            }
        })
    }

    async fn stopped(&self) {
        let Some(stop) = &self.stop else { return std::future::pending().await };
        while !stop.load(Ordering::Relaxed) {
            tokio::time::sleep(LOOK).await;
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

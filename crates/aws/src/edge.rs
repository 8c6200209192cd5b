//! The asynchronous edge: the SDKs wait here, whoever calls waits outside.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pipeline::service::CallError;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

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
        self.finish(self.begin(work))
    }

    /// Begins something on the edge's own threads, for [`Edge::finish`].
    pub(crate) fn begin<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Begun<T> {
        match &self.runtime {
            Some(runtime) => Begun(runtime.spawn(work)),
            None => unreachable!("nobody calls what is being dropped"),
        }
    }

    /// Waits for what was begun. Not to be called from inside.
    pub(crate) fn finish<T>(&self, mut begun: Begun<T>) -> T {
        let done = self.run(&mut begun.0);
        // It is aborted only where nobody waits; a panic goes on here.
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

/// What was begun. Where nobody waits for it any more it is given up.
#[derive(Debug)]
pub(crate) struct Begun<T>(JoinHandle<T>);

impl<T> Drop for Begun<T> {
    fn drop(&mut self) {
        self.0.abort();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn comes_true(flag: &AtomicBool) -> bool {
        for _ in 0..1000 {
            if flag.load(Ordering::Relaxed) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    #[test]
    fn what_was_begun_goes_on_while_nobody_waits_and_ends_where_nobody_will() {
        struct Dropped(Arc<AtomicBool>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let edge = Edge::new(None).expect("a runtime");
        let (done, dropped) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let begun = edge.begin({
            let done = Arc::clone(&done);
            async move {
                done.store(true, Ordering::Relaxed);
                7
            }
        });
        assert!(comes_true(&done));
        assert_eq!(edge.finish(begun), 7);

        let guard = Dropped(Arc::clone(&dropped));
        drop(edge.begin(async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        }));
        assert!(comes_true(&dropped));
    }
}

//! The asynchronous edge: whatever waits for somebody else does so here, and not for longer than its time limit.

use std::future::Future;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// How long after its time limit something is given up that does not even notice.
const GRACE: Duration = Duration::from_secs(1);

/// What channels send with. One serves them all.
pub struct Edge {
    /// Taken only when it is dropped.
    runtime: Option<Runtime>,
    client: reqwest::Client,
}

/// Why the edge could not be made.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// No threads.
    #[error("failed to start the threads that send: {0}")]
    Threads(#[from] std::io::Error),
    /// No TLS.
    #[error("failed to set up HTTPS: {0}")]
    Client(#[from] reqwest::Error),
}

impl Edge {
    /// Starts the threads that send.
    ///
    /// # Errors
    /// [`EdgeError`].
    pub fn new() -> Result<Edge, EdgeError> {
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("notify").enable_all().build()?;
        let agent = concat!("trailhound/", env!("CARGO_PKG_VERSION"));
        // A redirected message would go where nobody has asked for it, secrets included.
        let client =
            reqwest::Client::builder().user_agent(agent).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Edge { runtime: Some(runtime), client })
    }

    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Runs something to its end, or until the limit: then `None`, and it is dropped where it stands.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (tell, told) = sync_channel(1);
        let runtime = self.runtime.as_ref()?;
        runtime.spawn(async move {
            let ended = tokio::time::timeout(limit, work).await.ok();
            // Nobody listens after the grace has passed.
            let _ = tell.send(ended);
        });
        told.recv_timeout(limit + GRACE).ok().flatten()
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

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Edge")
    }
}

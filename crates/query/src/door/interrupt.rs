//! What ends a statement before its last row: the client cancels or goes away, the time is up, the door closes.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::problem::{Failure, Problem};
use super::wire::Presence;

/// Watches over one statement at a time.
pub(super) struct Interrupt {
    cancelled: watch::Receiver<()>,
    stopped: watch::Receiver<bool>,
    presence: Presence,
    deadline: Option<Instant>,
}

impl Interrupt {
    pub(super) fn new(cancelled: watch::Receiver<()>, stopped: watch::Receiver<bool>, presence: Presence) -> Interrupt {
        Interrupt { cancelled, stopped, presence, deadline: None }
    }

    /// Begins a statement: what was cancelled before is over.
    pub(super) fn begin(&mut self, timeout: Option<Duration>) {
        self.cancelled.mark_unchanged();
        self.deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    }

    /// Resolves when the door closes.
    pub(super) async fn stopped(&mut self) -> Problem {
        // An error means that the door is gone altogether.
        let _ = self.stopped.wait_for(|stopped| *stopped).await;
        stopping()
    }

    /// Waits for `work` that belongs to no statement: only the end of the connection ends it.
    pub(super) async fn settle<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::select! {
            biased;
            Ok(_) = self.stopped.wait_for(|stopped| *stopped) => Err(stopping().into()),
            () = self.presence.gone() => Err(Failure::Gone),
            done = work => Ok(done),
        }
    }

    /// Waits for `work`, unless something ends it first: then it is dropped.
    pub(super) async fn guard<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Failure> {
        let Interrupt { cancelled, stopped, presence, deadline } = self;
        let timeout = async {
            match deadline {
                Some(deadline) => sleep_until(*deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Ok(_) = stopped.wait_for(|stopped| *stopped) => Err(stopping().into()),
            Ok(()) = cancelled.changed() => Err(Problem::new("57014", "canceling statement due to user request").into()),
            () = timeout => Err(Problem::new("57014", "canceling statement due to statement timeout").into()),
            () = presence.gone() => Err(Failure::Gone),
            done = work => Ok(done),
        }
    }
}

fn stopping() -> Problem {
    Problem::fatal("57P01", "the server is shutting down")
}

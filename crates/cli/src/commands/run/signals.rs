//! What the system tells the daemon.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

/// Why a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The program is to end.
    Stop,
    /// The configuration is to be read again.
    Reload,
    /// Nobody asked for it: one of the turn's threads has ended.
    Unasked,
}

/// The signals that came.
pub(super) struct Signals {
    /// The turn is to end.
    pub(super) stop: Arc<AtomicBool>,
    /// And the program with it.
    pub(super) end: Arc<AtomicBool>,
    asked: Arc<AtomicBool>,
}

impl Signals {
    /// Begins to listen, on a thread of its own.
    pub(super) fn listen() -> anyhow::Result<Signals> {
        let signals = Signals {
            stop: Arc::new(AtomicBool::new(false)),
            end: Arc::new(AtomicBool::new(false)),
            asked: Arc::new(AtomicBool::new(false)),
        };
        let (stop, end, asked) = (Arc::clone(&signals.stop), Arc::clone(&signals.end), Arc::clone(&signals.asked));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("failed to start the thread that listens for signals")?;
        // Registered before the program goes on: a signal that comes now does not end it.
        let mut listener = runtime.block_on(async { Listener::new() }).context("failed to listen for signals")?;
        std::thread::spawn(move || {
            loop {
                match runtime.block_on(listener.next()) {
                    Ending::Stop if end.swap(true, Ordering::SeqCst) => crate::give_up(),
                    Ending::Stop => crate::complain("stopping: keeping what was read so far (again to end at once)"),
                    Ending::Reload | Ending::Unasked => asked.store(true, Ordering::SeqCst),
                }
                stop.store(true, Ordering::SeqCst);
            }
        });
        Ok(signals)
    }

    /// Why the turn that has just ended did.
    pub(super) fn ending(&self) -> Ending {
        let was_asked = self.asked.swap(false, Ordering::SeqCst);
        match self.end.load(Ordering::SeqCst) {
            true => Ending::Stop,
            false if was_asked => Ending::Reload,
            false => Ending::Unasked,
        }
    }

    /// Begins another turn. What is signalled meanwhile ends that at once.
    pub(super) fn begin(&self) {
        self.stop.store(false, Ordering::SeqCst);
        if self.end.load(Ordering::SeqCst) || self.asked.load(Ordering::SeqCst) {
            self.stop.store(true, Ordering::SeqCst);
        }
    }
}

#[cfg(unix)]
struct Listener {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Listener {
    fn new() -> std::io::Result<Listener> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Listener {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Ending {
        tokio::select! {
            _ = self.interrupt.recv() => Ending::Stop,
            _ = self.terminate.recv() => Ending::Stop,
            _ = self.hang_up.recv() => Ending::Reload,
        }
    }
}

#[cfg(not(unix))]
struct Listener;

#[cfg(not(unix))]
impl Listener {
    fn new() -> std::io::Result<Listener> {
        Ok(Listener)
    }

    async fn next(&mut self) -> Ending {
        // Where even that cannot be listened for, nothing ever comes.
        match tokio::signal::ctrl_c().await {
            Ok(()) => Ending::Stop,
            Err(_) => std::future::pending().await,
        }
    }
}

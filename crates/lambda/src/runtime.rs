//! How a function is invoked, and how it answers.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use local::SystemClock;
use pipeline::store::Clock;
use serde_json::Value;
use tracing_subscriber::EnvFilter;

/// The share of an invocation's time that is kept for writing down what was read, and the most of it.
const KEPT: (u32, Duration) = (5, Duration::from_secs(60));
/// The share of it in which nobody is told anything more, and the most of it: longer than one message may take.
const SILENT: (u32, Duration) = (3, Duration::from_secs(15));
/// The longest that an invocation lasts: a deadline beyond it is none.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// One function.
pub trait Function: Send + Sync + Sized + 'static {
    /// Does what an event asks for, with everything that was read written down before its time is up.
    ///
    /// # Errors
    /// [`Failure`]: the invocation failed, wholly or in part; what could be done is done.
    fn invoke(&self, event: Value, time: &Time) -> Result<Value, Failure>;
}

/// The time that an invocation has.
#[derive(Debug, Clone)]
pub struct Time {
    /// Set when nothing more is to be read: what is in hand is written down.
    pub stop: Arc<AtomicBool>,
    /// From when on nobody is told anything more: what was told is written down.
    pub silence: Instant,
}

/// Why an invocation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Of what kind: what an alarm and a person tell failures by.
    pub kind: &'static str,
    /// What happened; a summary as JSON where a part of it was done.
    pub message: String,
}

impl Failure {
    /// A failure of a kind.
    pub fn new(kind: &'static str, message: impl std::fmt::Display) -> Failure {
        Failure { kind, message: message.to_string() }
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Diagnostic {
        Diagnostic { error_type: failure.kind.to_owned(), error_message: failure.message }
    }
}

/// Sets a function up; it is told by the flag that an invocation's time is nearly up.
type Open<F> = fn(&Arc<AtomicBool>) -> Result<F, Failure>;

/// Opens a function and answers invocations for as long as there are any.
pub fn main<F: Function>(open: Open<F>) -> ExitCode {
    // Reads the crash points that tests set; compiled out of every build but theirs.
    let _points = fail::FailScenario::setup();
    let level = std::env::var("LOG_LEVEL").unwrap_or_else(|_| "info".to_owned()).to_ascii_lowercase();
    // Python's name of it, which the classic tracker was told.
    let level = if level == "warning" { "warn".to_owned() } else { level };
    // With the colons, because a name is a prefix: `aws` would be every library of the SDK, which log whole requests.
    let filter = EnvFilter::try_new(format!("warn,lambda::={level},aws::={level},pipeline::={level}"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_env_filter(filter.unwrap_or_else(|_| "warn,lambda::=info".into()))
        .with_writer(std::io::stderr)
        .init();
    let stop = Arc::new(AtomicBool::new(false));
    let opened = Arc::new(Mutex::new(open(&stop).map(Arc::new)));
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the runtime cannot be started");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| {
        let (opened, stop) = (Arc::clone(&opened), Arc::clone(&stop));
        async move { invoke(open, opened, event, stop).await.map_err(Diagnostic::from) }
    })));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the runtime ended");
            ExitCode::FAILURE
        }
    }
}

/// Lets a function do its work on a thread of its own, and tells it to come to an end before its time is up.
async fn invoke<F: Function>(
    open: Open<F>,
    opened: Arc<Mutex<Result<Arc<F>, Failure>>>,
    event: LambdaEvent<Value>,
    stop: Arc<AtomicBool>,
) -> Result<Value, Failure> {
    stop.store(false, Ordering::Relaxed);
    let started = Instant::now();
    let now = SystemClock.now().micros() / 1000;
    let left = i64::try_from(event.context.deadline).unwrap_or(i64::MAX).saturating_sub(now);
    let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
    let before = |(share, most): (u32, Duration)| left.saturating_sub((left / share).min(most)).min(LONGEST);
    let soon = tokio::time::sleep(before(KEPT));
    let time = Time { stop: Arc::clone(&stop), silence: started + before(SILENT) };
    let mut work = tokio::task::spawn_blocking(move || {
        let function = {
            let mut opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
            // What could not be opened may have been away for a moment.
            if opened.is_err() {
                *opened = open(&time.stop).map(Arc::new);
            }
            opened.clone()?
        };
        function.invoke(event.payload, &time)
    });
    let outcome = tokio::select! {
        outcome = &mut work => outcome,
        () = soon => {
            tracing::warn!("the time is nearly up: what was read is written down, and the next invocation goes on");
            stop.store(true, Ordering::Relaxed);
            work.await
        }
    };
    let outcome = outcome.unwrap_or_else(|error| Err(Failure::new("Panic", error)));
    if let Err(Failure { kind, message }) = &outcome {
        tracing::error!(kind, reason = message, "the invocation failed");
    }
    outcome
}

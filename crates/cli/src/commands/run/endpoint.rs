//! `/healthz` and `/metrics` on loopback.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use event::Timestamp;
use local::SystemClock;
use local::state::SqliteState;
use pipeline::collect::{PassReport, StreamStore};
use pipeline::status::deadman::Pulse;
use pipeline::status::metrics::{Totals, ailment, metrics};
use pipeline::status::trails::as_stream;
use pipeline::status::{Expectation, Status};
use pipeline::store::Clock;

use crate::commands::status::channels;
use crate::config::Config;
use crate::exit::usage;
use crate::live::expectation;
use crate::session::Session;
use crate::trails::expected;

/// How the daemon is.
pub(super) struct Vitals {
    totals: Mutex<Totals>,
    /// When the last pass came to its end, or the daemon began.
    beat: Mutex<Instant>,
    told: Mutex<Option<Told>>,
}

/// What the configuration says of how it should be.
#[derive(Clone)]
struct Told {
    expectation: Expectation,
    pass_within: Duration,
    channels: Vec<String>,
    config: Config,
}

impl Vitals {
    pub(super) fn new(last_pass: Option<Timestamp>) -> Vitals {
        let totals = Totals { last_pass, ..Totals::default() };
        Vitals { totals: Mutex::new(totals), beat: Mutex::new(Instant::now()), told: Mutex::new(None) }
    }

    /// Takes over what a configuration says.
    pub(super) fn configure(&self, session: &Session) {
        let config = session.config();
        let told = Told {
            expectation: expectation(config),
            pass_within: Duration::from_secs(u64::from(config.run.pass_within_minutes.max(1)) * 60),
            channels: config.notify.iter().map(|channel| channel.name.clone()).collect(),
            config: config.clone(),
        };
        *lock(&self.told) = Some(told);
    }

    pub(super) fn passed(&self, report: &PassReport, seconds: f64) {
        lock(&self.totals).add(report, seconds);
        *lock(&self.beat) = Instant::now();
    }

    pub(super) fn failed(&self) {
        lock(&self.totals).failed_passes += 1;
    }

    pub(super) fn pulse(&self) -> Pulse {
        Pulse { last: lock(&self.totals).last_pass, silent_for: lock(&self.beat).elapsed() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The server, for as long as this is kept.
pub(super) struct Endpoint(Option<tokio::runtime::Runtime>);

impl Drop for Endpoint {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// What an answer is made of.
#[derive(Clone)]
struct Shared {
    vitals: Arc<Vitals>,
    state: PathBuf,
}

impl Endpoint {
    /// Begins to serve.
    pub(super) fn start(address: SocketAddr, session: &Session, vitals: &Arc<Vitals>) -> anyhow::Result<Endpoint> {
        if !address.ip().is_loopback() {
            return Err(usage(format!(
                "{address} can be reached from elsewhere, and what is served there has no password: listen on 127.0.0.1"
            )));
        }
        let shared = Shared { vitals: Arc::clone(vitals), state: session.state_path() };
        let router = Router::new().route("/healthz", get(healthz)).route("/metrics", get(page)).with_state(shared);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind(address));
        let listener = listener.with_context(|| {
            format!("failed to listen on {address} (is another `trailhound run` there? --listen names another place)")
        })?;
        let address = listener.local_addr()?;
        runtime.spawn(async move { axum::serve(listener, router).await });
        if !session.global.quiet {
            crate::note(&format!("serving http://{address}/healthz and http://{address}/metrics"));
        }
        Ok(Endpoint(Some(runtime)))
    }
}

async fn healthz(State(shared): State<Shared>) -> Response {
    let told = lock(&shared.vitals.told).clone();
    let within = told.map_or(Duration::from_secs(3600), |told| told.pass_within);
    match ailment(shared.vitals.pulse(), within) {
        None => "ok\n".into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn page(State(shared): State<Shared>) -> Response {
    // The state is a file: its reader may wait.
    let rendered = tokio::task::spawn_blocking(move || render(&shared)).await;
    match rendered.map_err(anyhow::Error::from).and_then(|page| page) {
        Ok(page) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{}\n", crate::chain(&error))).into_response(),
    }
}

fn render(shared: &Shared) -> anyhow::Result<String> {
    let Some(told) = lock(&shared.vitals.told).clone() else { return Ok(String::new()) };
    let state = SqliteState::open(&shared.state)?;
    let (known, now) = (state.streams()?, SystemClock.now());
    let mut status = Status::new(&state.scope()?, &known, &told.expectation, now);
    status.streams.extend(expected(&told.config, &known)?.iter().map(|trail| as_stream(trail, now)));
    let channels = channels(&state, told.channels.iter().map(String::as_str))?;
    let totals = lock(&shared.vitals.totals).clone();
    Ok(metrics(&status, &channels, &totals))
}

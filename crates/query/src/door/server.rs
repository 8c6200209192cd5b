//! Accepting connections, seating those who may come in, and ending them all.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::ErrorResponse;
use pgwire::messages::startup::NegotiateProtocolVersion;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::asker::Asker;
use super::cancel::Register;
use super::catalog::Catalog;
use super::login::Gate;
use super::problem::{Failure, Problem};
use super::session::Session;
use super::wire::{Arrival, ReadError, Wire};
use super::{DoorError, DoorOptions};

/// How many may be on their way in at one time. They take no seat, so that those who never log in keep nobody out for
/// longer than a login may take.
const ARRIVING: usize = 64;

/// How long sessions have to end when the door closes.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long the last message to a client may take.
const LAST_WORD: Duration = Duration::from_secs(1);

/// What every connection shares.
pub(super) struct Door {
    pub(super) asker: Arc<dyn Asker>,
    pub(super) statement_timeout: Option<Duration>,
    pub(super) register: Arc<Register>,
    pub(super) compatibility: PostgresCompatibilityParser,
    pub(super) catalog: Catalog,
    gate: Gate,
    login_timeout: Duration,
    seats: Arc<Semaphore>,
}

/// Accepts connections until `stop` resolves; then ends the open ones.
///
/// # Errors
///
/// Where the operating system gives no random bytes for the password's salt, or the system catalogue cannot be loaded.
pub async fn serve(
    listener: TcpListener,
    asker: Arc<dyn Asker>,
    options: DoorOptions,
    stop: impl Future<Output = ()>,
) -> Result<(), DoorError> {
    let door = Arc::new(Door {
        asker,
        statement_timeout: options.statement_timeout,
        register: Arc::new(Register::default()),
        compatibility: PostgresCompatibilityParser::new(),
        catalog: Catalog::load().map_err(|error| DoorError::Catalog(error.strip_backtrace()))?,
        gate: Gate::new(&options.entrance)?,
        login_timeout: options.login_timeout,
        seats: Arc::new(Semaphore::new(options.max_connections.min(Semaphore::MAX_PERMITS))),
    });
    let arriving = Arc::new(Semaphore::new(ARRIVING));
    let (stopping, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = async {
            // Held until the login is over: further connections wait in the listener's own line.
            let place = Arc::clone(&arriving).acquire_owned().await;
            (place, listener.accept().await)
        };
        tokio::select! {
            biased;
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            (place, accepted) = accepted => match accepted {
                Ok((stream, _)) => {
                    let (door, stopped) = (Arc::clone(&door), stopped.clone());
                    connections.spawn(async move {
                        let arrived = arrive(&door, stream, stopped).await;
                        drop(place);
                        if let Some(mut session) = arrived {
                            session.run().await;
                        }
                    });
                }
                Err(error) => {
                    // Out of file handles, perhaps: some will come back.
                    tracing::warn!(%error, "failed to accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(listener);
    stopping.send_replace(true);
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(FAREWELL, ended).await.is_err() {
        connections.shutdown().await;
    }
    Ok(())
}

/// Takes a connection from its first byte to its session, or to its end.
async fn arrive(door: &Arc<Door>, stream: TcpStream, stopped: watch::Receiver<bool>) -> Option<Session> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "failed to set up a connection");
        return None;
    }
    let mut wire = Wire::new(stream);
    let mut stop = stopped.clone();
    let logged_in = tokio::select! {
        biased;
        _ = stop.wait_for(|stopped| *stopped) => return None,
        logged_in = timeout(door.login_timeout, log_in(door, &mut wire)) => logged_in,
    };
    let user = match logged_in {
        Ok(Ok(Some(user))) => user,
        Ok(Ok(None) | Err(Failure::Gone)) => return None,
        Ok(Err(Failure::Problem(problem))) => {
            last_word(&mut wire, &problem).await;
            return None;
        }
        Err(_) => {
            last_word(&mut wire, &Problem::fatal("57P05", "logging in took too long")).await;
            return None;
        }
    };
    let Ok(seat) = Arc::clone(&door.seats).try_acquire_owned() else {
        last_word(&mut wire, &Problem::fatal("53300", "sorry, too many clients already")).await;
        return None;
    };
    let mut session = match Session::open(door, wire, user, stopped, seat).await {
        Ok(session) => session,
        Err((mut wire, problem)) => {
            last_word(&mut wire, &problem).await;
            return None;
        }
    };
    match session.greet().await {
        Ok(()) => Some(session),
        Err(_) => None,
    }
}

/// Who came in, and what they asked for when they did.
pub(super) struct Guest {
    pub(super) user: String,
    pub(super) parameters: Vec<(String, String)>,
}

/// Returns who came in; nobody where all that was wanted is to cancel a statement.
async fn log_in(door: &Door, wire: &mut Wire) -> Result<Option<Guest>, Failure> {
    // One refusal of TLS and one of GSSAPI, then there is nothing left to ask.
    for _ in 0..3 {
        match wire.arrival().await {
            Ok(Arrival::Encryption) => {
                wire.refuse_encryption();
                wire.flush().await?;
            }
            Ok(Arrival::Cancel { pid, secret }) => {
                door.register.cancel(pid, secret);
                return Ok(None);
            }
            Ok(Arrival::Startup { major, minor, parameters }) => {
                negotiate(wire, major, minor, &parameters)?;
                let user = parameters.iter().find(|(name, _)| name == "user").map(|(_, user)| user.clone());
                let Some(user) = user else {
                    return Err(Problem::fatal("28000", "no user name was given").into());
                };
                door.gate.admit(wire, &user).await?;
                wire.trust();
                return Ok(Some(Guest { user, parameters }));
            }
            Err(ReadError::Gone) => return Err(Failure::Gone),
            Err(ReadError::Protocol(what)) => return Err(Problem::fatal("08P01", what).into()),
        }
    }
    Err(Problem::fatal("08P01", "expected a startup message").into())
}

/// Agrees on version 3.0 of the protocol.
fn negotiate(wire: &mut Wire, major: u16, minor: u16, parameters: &[(String, String)]) -> Result<(), Failure> {
    const VERSION: i32 = 3 << 16;
    if major != 3 {
        let message = format!("unsupported frontend protocol {major}.{minor}: this server knows 3.0");
        return Err(Problem::fatal("0A000", message).into());
    }
    let unknown: Vec<String> =
        parameters.iter().map(|(name, _)| name).filter(|name| name.starts_with("_pq_.")).cloned().collect();
    if minor > 0 || !unknown.is_empty() {
        let answer = NegotiateProtocolVersion::new(VERSION, unknown);
        wire.put(PgWireBackendMessage::NegotiateProtocolVersion(answer))?;
    }
    Ok(())
}

/// Says why the connection ends, without waiting long for somebody who does not listen.
pub(super) async fn last_word(wire: &mut Wire, problem: &Problem) {
    let problem = ErrorResponse::new(problem.fields());
    let said: Result<io::Result<()>, _> = timeout(LAST_WORD, async {
        wire.put(PgWireBackendMessage::ErrorResponse(problem))?;
        wire.flush().await
    })
    .await;
    if !matches!(said, Ok(Ok(()))) {
        tracing::debug!("a client of the door did not hear why its connection ended");
    }
}

//! The door: PostgreSQL's protocol, read-only, for psql, Grafana, Metabase, DBeaver and every driver.
//!
//! **Owns** the protocol: logging in, simple and extended queries, cursors, cancelling, settings, the system catalogue
//! that clients look things up in. **Must not** know what is asked: the tables and the dialect are an [`Asker`]'s.
//!
//! **Invariants.** Nobody is served before SCRAM has accepted them (or the caller chose [`Entrance::Open`]). Only a plan
//! that reads is run: every plan is verified, whoever made it. Rows are never collected. Nothing that an event says
//! reaches a client with a NUL in it, or an error message with a control character.
//!
//! The messages' bytes, SCRAM and the encoding of values are `pgwire`'s and `arrow-pg`'s. Their server loop is not used:
//! it goes on reading messages after a fatal error, and collects a portal's rows before it sends the first.
//!
//! Read in this order: `server` (who comes in), `wire` (messages), `login`, `session` (a connection from its login to its
//! end), `simple`, `extended` and `command` (how it asks), `statement` (what is allowed), `planning` (who plans it), `answer` (rows on their way), `catalog`.

mod answer;
mod asker;
mod cancel;
mod catalog;
mod cells;
mod command;
mod extended;
mod interrupt;
mod login;
mod parameters;
mod password;
mod planning;
mod problem;
mod server;
mod session;
mod settings;
mod simple;
mod statement;
mod wire;
mod words;

use std::net::SocketAddr;
use std::time::Duration;

pub use asker::{AskError, Asker};
pub use password::Password;
pub use server::serve;

/// What the door lets in, and how much of it.
#[derive(Debug)]
pub struct DoorOptions {
    /// Who may come in.
    pub entrance: Entrance,
    /// Sessions at one time; one more is told "too many clients". Default: 32.
    pub max_connections: usize,
    /// The longest that a statement may take, sending its rows included. A client may set a shorter time, not a longer
    /// one. Default: none.
    pub statement_timeout: Option<Duration>,
    /// The longest that logging in may take. Default: 10 seconds.
    pub login_timeout: Duration,
}

impl DoorOptions {
    /// Returns the defaults for `entrance`.
    #[must_use]
    pub fn new(entrance: Entrance) -> DoorOptions {
        DoorOptions { entrance, max_connections: 32, statement_timeout: None, login_timeout: Duration::from_secs(10) }
    }
}

/// Who may come in.
#[derive(Debug)]
pub enum Entrance {
    /// One user with a password, proved by SCRAM-SHA-256: the password itself never crosses the wire.
    User {
        /// The user's name.
        name: String,
        /// The user's password.
        password: Password,
    },
    /// Anybody who can reach the port, under any name.
    Open,
}

/// Why the door could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The operating system gave no random bytes.
    #[error("read random bytes: {0}")]
    Randomness(getrandom::Error),
    /// A password that nobody could type.
    #[error("take the password: it is {0}")]
    Password(&'static str),
    /// The system catalogue could not be loaded.
    #[error("load the system catalogue: {0}")]
    Catalog(String),
}

/// Returns whether only this machine can reach `address`. Results cross the wire as they are, without TLS: a caller
/// refuses another address unless told otherwise.
#[must_use]
pub fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_this_machine_is_loopback() {
        for (address, expected) in [
            ("127.0.0.1:5432", true),
            ("127.8.9.1:5432", true),
            ("[::1]:5432", true),
            ("[::ffff:127.0.0.1]:5432", true),
            ("0.0.0.0:5432", false),
            ("[::]:5432", false),
            ("192.168.1.4:5432", false),
        ] {
            assert_eq!(is_loopback(&address.parse().unwrap()), expected, "{address}");
        }
    }
}

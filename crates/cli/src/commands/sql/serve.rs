//! `trailhound sql --serve`: the PostgreSQL protocol for other tools, until ctrl-C.

use std::sync::Arc;

use anyhow::Context;
use query::door::{DoorOptions, Entrance, Password, is_loopback, serve};
use tokio::net::TcpListener;

use crate::args::SqlArgs;
use crate::ask::Asker;
use crate::exit::{Exit, usage};
use crate::session::Session;

pub(super) fn run(session: &mut Session, asker: &Asker, address: &str, arguments: &SqlArgs) -> anyhow::Result<Exit> {
    let (entrance, shown) = entrance(arguments)?;
    let listener = asker.runtime().block_on(TcpListener::bind(address));
    let listener = listener.with_context(|| format!("failed to listen at {address}"))?;
    let bound = listener.local_addr().context("failed to listen")?;
    if !is_loopback(&bound) && !arguments.serve_beyond_loopback {
        return Err(usage(format!(
            "{bound} is reached from other machines, and the traffic is not encrypted: serve at 127.0.0.1, through an \
             SSH tunnel where need be, or say --serve-beyond-loopback"
        )));
    }
    let user = &arguments.serve_user;
    session.out.line(&format!("serving PostgreSQL's protocol at {bound}, queries only; ctrl-C ends it"))?;
    if let Some(password) = shown {
        session.out.line(&format!("user {user}, password {password}"))?;
    }
    let (host, port) = (bound.ip(), bound.port());
    session.out.line(&format!("try: psql -h {host} -p {port} -U {user} trailhound"))?;
    session.out.flush()?;
    let stop = async {
        // Without a way to hear it, only a signal ends the program.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let engine: Arc<query::Engine> = Arc::clone(&asker.engine);
    asker.runtime().block_on(serve(listener, engine, DoorOptions::new(entrance), stop))?;
    Ok(Exit::Done)
}

/// Who may come in, and the password to show where one was made.
fn entrance(arguments: &SqlArgs) -> anyhow::Result<(Entrance, Option<String>)> {
    if arguments.serve_without_password {
        return Ok((Entrance::Open, None));
    }
    let name = arguments.serve_user.clone();
    if let Some(file) = &arguments.serve_password_file {
        let text = std::fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
        let password =
            Password::given(text.trim_end_matches(['\r', '\n'])).map_err(|error| usage(error.to_string()))?;
        return Ok((Entrance::User { name, password }, None));
    }
    let password = Password::generate()?;
    let shown = password.reveal().to_owned();
    Ok((Entrance::User { name, password }, Some(shown)))
}

//! A connection from its login to its end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::{CommandComplete, ErrorResponse, ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::{Authentication, BackendKeyData, ParameterStatus, SecretKey};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::cancel::Place;
use super::extended::{Portal, Prepared};
use super::interrupt::Interrupt;
use super::planning;
use super::problem::{Failure, Problem};
use super::server::{Door, Guest, last_word};
use super::settings::Settings;
use super::statement::Verb;
use super::wire::{ReadError, Request, Wire};

/// A client that has logged in.
pub(super) struct Session {
    pub(super) door: Arc<Door>,
    pub(super) wire: Wire,
    pub(super) context: SessionContext,
    pub(super) interrupt: Interrupt,
    pub(super) transaction: TransactionStatus,
    pub(super) prepared: HashMap<String, Arc<Prepared>>,
    /// Portals and cursors: PostgreSQL has one name space for both.
    pub(super) portals: HashMap<String, Portal>,
    settings: Arc<Mutex<Settings>>,
    /// Whether messages are passed over until the client synchronises, because one of them failed.
    is_skipping: bool,
    place: Place,
    _seat: OwnedSemaphorePermit,
}

impl Session {
    /// Gives a client who has logged in a session of the engine. Gives the wire back where there is none.
    pub(super) async fn open(
        door: &Arc<Door>,
        wire: Wire,
        guest: Guest,
        stopped: watch::Receiver<bool>,
        seat: OwnedSemaphorePermit,
    ) -> Result<Session, (Wire, Problem)> {
        let mut settings = Settings::new(&guest.user);
        if let Err(problem) = settings.begin(&guest.parameters) {
            return Err((wire, Problem { fatal: true, ..problem }));
        }
        let settings = Arc::new(Mutex::new(settings));
        let context = match door.asker.context().await {
            Ok(context) => context,
            Err(error) => return Err((wire, Problem { fatal: true, ..error.into() })),
        };
        let place = match door.register.enter() {
            Ok(place) => place,
            Err(error) => return Err((wire, Problem::fatal("XX000", error.to_string()))),
        };
        if let Err(error) = door.catalog.add_to(&context, &guest.user, place.pid, &settings) {
            return Err((wire, Problem { fatal: true, ..error.into() }));
        }
        let interrupt = Interrupt::new(place.cancelled.clone(), stopped, wire.presence());
        Ok(Session {
            door: Arc::clone(door),
            wire,
            context,
            interrupt,
            transaction: TransactionStatus::Idle,
            prepared: HashMap::new(),
            portals: HashMap::new(),
            settings,
            is_skipping: false,
            place,
            _seat: seat,
        })
    }

    /// Tells the client that it is in, and what it has to know.
    pub(super) async fn greet(&mut self) -> Result<(), Failure> {
        self.wire.put(PgWireBackendMessage::Authentication(Authentication::Ok))?;
        let reports: Vec<(String, String)> =
            self.settings().greeting().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        self.report(reports)?;
        let key = BackendKeyData::new(self.place.pid, SecretKey::I32(self.place.secret));
        self.wire.put(PgWireBackendMessage::BackendKeyData(key))?;
        self.ready().await
    }

    /// Serves the client until it leaves, or breaks the protocol, or the door closes.
    pub(super) async fn run(&mut self) {
        let farewell = loop {
            let request = tokio::select! {
                biased;
                problem = self.interrupt.stopped() => break problem,
                request = self.wire.request() => request,
            };
            let served = match request {
                Ok(Request::Terminate) | Err(ReadError::Gone) => return,
                Err(ReadError::Protocol(what)) => break Problem::fatal("08P01", what),
                Ok(request) => self.serve(request).await,
            };
            match served {
                Ok(()) => {}
                Err(Failure::Gone) => return,
                Err(Failure::Problem(problem)) => break problem,
            }
        };
        last_word(&mut self.wire, &farewell).await;
    }

    /// Serves one message. An error that comes back ends the connection.
    async fn serve(&mut self, request: Request) -> Result<(), Failure> {
        match request {
            Request::Sync => {
                self.is_skipping = false;
                self.end_statement();
                return self.ready().await;
            }
            Request::Copy | Request::Terminate => {}
            _ if self.is_skipping => {}
            Request::Query(text) => return self.simple(&text).await,
            Request::Flush => return self.flush().await,
            request => match self.extended(request).await {
                Err(Failure::Problem(problem)) if !problem.fatal => {
                    self.is_skipping = true;
                    self.fail(&problem)?;
                    return self.flush().await;
                }
                served => served?,
            },
        }
        if self.wire.is_full() {
            self.flush().await?;
        }
        Ok(())
    }

    /// Tells the client what went wrong; a transaction fails with it.
    pub(super) fn fail(&mut self, problem: &Problem) -> Result<(), Failure> {
        if self.transaction == TransactionStatus::Transaction {
            self.transaction = TransactionStatus::Error;
        }
        let response = ErrorResponse::new(problem.fields());
        Ok(self.wire.put(PgWireBackendMessage::ErrorResponse(response))?)
    }

    /// Tells the client that a statement is done.
    pub(super) fn complete(&mut self, tag: impl Into<String>) -> Result<(), Failure> {
        let complete = CommandComplete::new(tag.into());
        Ok(self.wire.put(PgWireBackendMessage::CommandComplete(complete))?)
    }

    /// Tells the client that it may ask.
    pub(super) async fn ready(&mut self) -> Result<(), Failure> {
        self.wire.put(PgWireBackendMessage::ReadyForQuery(ReadyForQuery::new(self.transaction)))?;
        self.flush().await
    }

    /// Tells the client about settings.
    pub(super) fn report(&mut self, reports: impl IntoIterator<Item = (String, String)>) -> Result<(), Failure> {
        for (name, value) in reports {
            self.wire.put(PgWireBackendMessage::ParameterStatus(ParameterStatus::new(name, value)))?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.interrupt.settle(self.wire.flush()).await??)
    }

    pub(super) fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a statement: its time runs. In a transaction that failed, only its end is allowed.
    pub(super) fn begin_statement(&mut self, verb: &Verb) -> Result<(), Problem> {
        let ends = matches!(verb, Verb::Commit | Verb::Rollback | Verb::RollbackTo);
        if self.transaction == TransactionStatus::Error && !ends {
            let message = "current transaction is aborted, commands ignored until end of transaction block";
            return Err(Problem::new("25P02", message));
        }
        let own = self.settings().statement_timeout();
        let timeout = [own, self.door.statement_timeout].into_iter().flatten().min();
        self.interrupt.begin(timeout);
        Ok(())
    }

    /// Outside of a transaction, what a statement left open is closed.
    pub(super) fn end_statement(&mut self) {
        if self.transaction == TransactionStatus::Idle {
            self.portals.retain(|_, portal| portal.is_held);
        }
    }

    /// Plans a statement that stands after `before` characters of its query's text.
    pub(super) async fn plan(&mut self, sql: &str, before: usize) -> Result<LogicalPlan, Failure> {
        let planned = planning::plan(self.door.asker.as_ref(), &self.door.compatibility, &self.context, sql);
        let plan = self.interrupt.guard(planned).await?;
        Ok(plan.map_err(|problem| problem.after(before))?)
    }
}

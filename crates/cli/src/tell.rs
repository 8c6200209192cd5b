//! Telling people: the channels of the configuration, and what carries alerts to them.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use aws::{Access, Aws, AwsError};
use event::arn::Arn;
use local::SystemClock;
use notify::{Edge, FileThreads, Means, Secret, SecretStore};
use pipeline::notify::{Channel, Courier, Office, Round, flush, trouble};
use pipeline::outbox::{Outbox, Routes};
use pipeline::service::CallError;
use pipeline::state::{Ledger, StateError};
use pipeline::store::Clock;

use crate::exit::usage;
use crate::output::plural;
use crate::session::Session;

/// The channels, and which alerts go where.
pub(crate) struct Tell {
    pub(crate) channels: Vec<Channel>,
    pub(crate) routes: Routes,
}

impl Tell {
    /// Makes the channels of the configuration. AWS is asked only by those that are its services.
    pub(crate) fn build(session: &Session) -> anyhow::Result<Tell> {
        let configs = &session.config().notify;
        if configs.is_empty() {
            return Ok(Tell { channels: Vec::new(), routes: Routes::default() });
        }
        let has = |kind: &str| configs.iter().any(|config| config.common.enabled && config.settings.kind() == kind);
        let mut means = Means {
            edge: Arc::new(Edge::new()?),
            clock: Arc::new(SystemClock),
            secrets: Arc::new(Secrets::new(session)),
            publisher: None,
            importer: None,
            threads: Arc::new(FileThreads::open(&session.home.join("threads.json"))),
        };
        if has("sns") {
            means.publisher = Some(Arc::new(Aws::open(&session.access(), None)?.topics()));
        }
        if has("security-hub") {
            let aws = Aws::open(&session.access(), None)?;
            means.importer = Some(Arc::new(move || match aws.own() {
                Ok(own) => Ok(Arc::new(own.security_hub(None))),
                Err(AwsError::Call { source, .. }) => Err(source),
                Err(error) => Err(CallError::Refused(error.to_string())),
            }));
        }
        let (channels, routes) =
            notify::build(configs, &means).map_err(|error| usage(format!("[[notify]]: {error}")))?;
        Ok(Tell { channels, routes })
    }

    /// A courier for each channel.
    pub(crate) fn couriers<'a>(&'a self, outbox: &'a dyn Outbox) -> Vec<Courier<'a>> {
        let office = Office { outbox, routes: &self.routes, clock: &SystemClock };
        self.channels.iter().map(|channel| Courier::new(channel, office)).collect()
    }

    /// Says which channels cannot be told anything now, here and to the others.
    pub(crate) fn check(&self, ledger: &dyn Ledger) {
        for Channel { name, notifier, .. } in &self.channels {
            let Err(reason) = notifier.ready() else { continue };
            crate::complain(&format!("the channel {name} waits: {reason}"));
            let alert = trouble(name, &reason, SystemClock.now());
            if let Err(error) = ledger.record_alerts(&[alert], &self.routes.without(name)) {
                crate::complain(&format!("{name}: {error}"));
            }
        }
    }

    /// Sends what waits now, and says how that went. What could not be sent stays for the next run.
    pub(crate) fn send_now(&self, outbox: &dyn Outbox, stop: &AtomicBool) {
        self.check(outbox);
        flush(self.couriers(outbox), stop, &told);
    }
}

/// The secrets that AWS has; it is asked for the first of them.
pub(crate) struct Secrets {
    access: Access,
    opened: OnceLock<Result<aws::Secrets, CallError>>,
}

impl Secrets {
    pub(crate) fn of(access: Access) -> Secrets {
        Secrets { access, opened: OnceLock::new() }
    }

    pub(crate) fn new(session: &Session) -> Secrets {
        Secrets::of(session.access())
    }
}

impl SecretStore for Secrets {
    fn get(&self, arn: &Arn<'_>) -> Result<Secret, CallError> {
        let unavailable = |error: AwsError| CallError::Unavailable(error.to_string());
        let open = || Aws::open(&self.access, None).map(|aws| aws.secrets()).map_err(unavailable);
        self.opened.get_or_init(open).as_ref().map_err(Clone::clone)?.get(arn)
    }
}

/// Says how a channel's round went, where something went wrong.
pub(crate) fn told(channel: &str, round: Result<Round, StateError>) {
    match round {
        Ok(round) => {
            tracing::info!(channel, sent = round.sent, messages = round.messages, held = round.held, "told");
            let waits = round.retried + round.failed;
            if waits > 0 {
                let what = plural(waits as u64, "alert was not delivered", "alerts were not delivered");
                let why = round.problems.first().map(String::as_str).unwrap_or_default();
                crate::complain(&format!("{channel}: {what}: {why}"));
            }
        }
        Err(error) => crate::complain(&format!("{channel}: {error}")),
    }
}

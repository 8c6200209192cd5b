//! The one channel of a deployment: its topic.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws::{AlertTable, Aws};
use detect::Severity;
use event::Timestamp;
use local::SystemClock;
use pipeline::alert::{Alert, AlertId};
use pipeline::notify::{Channel, Courier, Office, Policy, Round};
use pipeline::outbox::{Notification, Outbox, Outcome, Route, Routes};
use pipeline::state::{Ledger, Recorded, StateError};

/// The channel's name in the table.
const NAME: &str = "topic";
/// How long one message may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How many rounds are made at most: each takes what is due.
const ROUNDS: usize = 50;

/// The topic, and which alerts go there.
pub(crate) struct Topic {
    channel: Option<Channel>,
    pub(crate) routes: Routes,
}

impl Topic {
    pub(crate) fn new(aws: &Aws, arn: Option<&str>) -> Topic {
        let route = Route::new(NAME, Severity::Informational);
        let channel = arn.map(|arn| Channel {
            name: NAME.to_owned(),
            route: route.clone(),
            policy: Policy::default(),
            notifier: notify::topic(arn, LIMIT, Arc::new(aws.topics())),
        });
        let channels = channel.iter().map(|_| route.clone()).collect();
        Topic { channel, routes: Routes { channels, backfill: false } }
    }

    /// Sends what waits. What cannot be sent now stays for the next invocation.
    pub(crate) fn send(&self, outbox: &InTime<'_>) -> Result<Round, StateError> {
        let mut sum = Round::default();
        let Some(channel) = &self.channel else { return Ok(sum) };
        let office = Office { outbox, routes: &self.routes, clock: &SystemClock };
        let mut courier = Courier::new(channel, office);
        for _ in 0..ROUNDS {
            let round = courier.round(&outbox.is_over)?;
            let is_over = round.sent == 0;
            sum.claimed += round.claimed;
            sum.sent += round.sent;
            sum.messages += round.messages;
            sum.retried += round.retried;
            sum.failed += round.failed;
            sum.held += round.held;
            sum.problems.extend(round.problems);
            if is_over {
                break;
            }
        }
        Ok(sum)
    }
}

/// The table of alerts for one invocation: gives nothing out once there is silence to be kept, and remembers what was settled.
pub(crate) struct InTime<'a> {
    table: &'a AlertTable,
    silence: Instant,
    /// Set when a message was settled behind the beginning of silence.
    is_over: AtomicBool,
    settled: Mutex<BTreeSet<AlertId>>,
}

impl<'a> InTime<'a> {
    pub(crate) fn new(table: &'a AlertTable, silence: Instant) -> InTime<'a> {
        InTime { table, silence, is_over: AtomicBool::new(false), settled: Mutex::default() }
    }

    /// Whether an alert still waits to be sent.
    pub(crate) fn is_pending(&self, alert: &Alert) -> Result<bool, StateError> {
        if self.settled.lock().unwrap_or_else(PoisonError::into_inner).contains(&alert.id) {
            return Ok(false);
        }
        Ok(self.table.delivery(alert)? == Some(pipeline::outbox::Delivery::Pending))
    }
}

impl Ledger for InTime<'_> {
    fn record_alerts(&self, alerts: &[Alert], routes: &Routes) -> Result<Recorded, StateError> {
        self.table.record_alerts(alerts, routes)
    }
}

impl Outbox for InTime<'_> {
    fn claim(
        &self,
        channel: &str,
        now: Timestamp,
        lease: Timestamp,
        limit: usize,
    ) -> Result<Vec<Notification>, StateError> {
        if Instant::now() >= self.silence {
            return Ok(Vec::new());
        }
        self.table.claim(channel, now, lease, limit)
    }

    fn settle(&self, channel: &str, outcomes: &[(AlertId, Outcome)]) -> Result<(), StateError> {
        self.table.settle(channel, outcomes)?;
        fail::fail_point!("lambda::after-message");
        let ended = outcomes.iter().filter(|(_, outcome)| !matches!(outcome, Outcome::Retry { .. }));
        let ended = ended.map(|(alert, _)| alert.clone());
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).extend(ended);
        self.is_over.store(Instant::now() >= self.silence, Ordering::Relaxed);
        Ok(())
    }

    fn hold(&self, channel: &str, alerts: &[AlertId], until: Timestamp) -> Result<(), StateError> {
        self.table.hold(channel, alerts, until)
    }
}

//! One channel's way from the outbox to the other end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use event::Timestamp;

use crate::alert::AlertId;
use crate::notify::policy::Plan;
use crate::notify::windows::Windows;
use crate::notify::{Backoff, Kind, Notifier, Parcel, Policy, Verdict, later, trouble};
use crate::outbox::{Notification, Outbox, Outcome, Route, Routes};
use crate::state::StateError;
use crate::store::Clock;

/// How many notifications are taken at once. Each carries a whole record, so their number bounds memory.
const BATCH: usize = 200;
/// How long they are kept from other senders.
const LEASE: Duration = Duration::from_secs(15 * 60);
/// How long before the end of the lease nothing more is sent: more than any channel's time limit.
const MARGIN: Duration = Duration::from_secs(5 * 60);
/// After how many failures in a row a channel is left alone for a while. More than one, because a single message that
/// the other end cannot take must not keep back those behind it.
const STRIKES: u32 = 3;
/// The longest that a channel is left alone, unless it asks for more.
const REST_MAX: Duration = Duration::from_secs(60);
/// A clock that goes back by more than this was set.
const SLIP: Duration = Duration::from_secs(1);
/// Nothing waits for so long: not for the end of quiet hours, of a digest's while, of a rest or of a lease.
const WAIT_MAX: Duration = Duration::from_secs(2 * 24 * 3600);

/// A place where people are told.
pub struct Channel {
    /// Its name in the configuration.
    pub name: String,
    /// What it wants.
    pub route: Route,
    /// When it wants it.
    pub policy: Policy,
    /// How to get there.
    pub notifier: Box<dyn Notifier>,
}

/// What couriers share.
#[derive(Clone, Copy)]
pub struct Office<'a> {
    /// Where the notifications are.
    pub outbox: &'a dyn Outbox,
    /// Every channel's route: the alert about alerting goes to the others.
    pub routes: &'a Routes,
    /// The time.
    pub clock: &'a dyn Clock,
}

/// Carries one channel's notifications.
pub struct Courier<'a> {
    channel: &'a Channel,
    office: Office<'a>,
    windows: Windows,
    last_digest: Option<Timestamp>,
    /// What is known of attempts and could not be written down: it is, before anything else is sent.
    unsettled: Vec<(AlertId, Outcome)>,
    rest_until: Option<Timestamp>,
    /// The latest time that the clock has shown, since it was last set back.
    latest: Option<Timestamp>,
    /// Rounds in a row that ended with the channel being left alone.
    rests: u32,
}

/// What one round has done. Counts are of notifications, but for `messages`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    /// Taken out of the outbox.
    pub claimed: usize,
    /// Told of.
    pub sent: usize,
    /// In so many messages.
    pub messages: usize,
    /// To be tried again.
    pub retried: usize,
    /// Given up.
    pub failed: usize,
    /// Put off without being tried.
    pub held: usize,
    /// What went wrong, without secrets.
    pub problems: Vec<String>,
}

/// A parcel, and how often each of its notifications was tried before.
struct Consignment {
    parcel: Parcel,
    attempts: Vec<(AlertId, u32)>,
}

impl<'a> Courier<'a> {
    /// The courier of a channel. Nothing but its memory of the last minutes is lost with it.
    #[must_use]
    pub fn new(channel: &'a Channel, office: Office<'a>) -> Courier<'a> {
        Courier {
            channel,
            office,
            windows: Windows::default(),
            last_digest: None,
            unsettled: Vec::new(),
            rest_until: None,
            latest: None,
            rests: 0,
        }
    }

    /// The channel's name.
    #[must_use]
    pub fn channel(&self) -> &'a str {
        &self.channel.name
    }

    /// Takes what is due, sends it, and writes down how it went. Returns after the message in hand once `stop` is set.
    ///
    /// # Errors
    /// [`StateError`]. What was sent and could not be settled is settled by the next round, before it sends anything.
    pub fn round(&mut self, stop: &AtomicBool) -> Result<Round, StateError> {
        self.settle()?;
        let now = self.office.clock.now();
        self.mind_the_clock(now)?;
        if self.rest_until.is_some_and(|until| now < until) {
            return Ok(Round::default());
        }
        let claimed = self.office.outbox.claim(self.channel(), now, later(now, LEASE), BATCH)?;
        let mut round = Round { claimed: claimed.len(), ..Round::default() };
        let (consignments, holds) = self.pack(claimed, now);
        for (until, alerts) in holds {
            self.hold(&alerts, until, &mut round)?;
        }
        let last_start = later(now, LEASE - MARGIN);
        let mut strikes = 0;
        let mut consignments = consignments.into_iter();
        while let Some(consignment) = consignments.next() {
            let verdict = self.send(consignment, &mut round)?;
            let asked = match verdict {
                Verdict::Delivered => {
                    (strikes, self.rests) = (0, 0);
                    None
                }
                Verdict::Retry { after, .. } => {
                    strikes += 1;
                    after
                }
                Verdict::Refused { .. } => None,
            };
            let now = self.office.clock.now();
            let rest = match asked {
                Some(asked) => Some(asked),
                None if strikes >= STRIKES => Some(self.rest()),
                None => None,
            };
            if let Some(rest) = rest {
                self.rest_until = Some(later(now, rest.min(Backoff::ASKED_MAX)));
            }
            if rest.is_some() || now >= last_start || stop.load(Ordering::Relaxed) {
                let left: Vec<AlertId> =
                    consignments.by_ref().flat_map(|left| left.attempts).map(|(id, _)| id).collect();
                self.hold(&left, self.rest_until.filter(|_| rest.is_some()).unwrap_or(now), &mut round)?;
            }
        }
        Ok(round)
    }

    /// Makes due what would wait until the clock has caught up, where it was set back. What has to wait is held again.
    fn mind_the_clock(&mut self, now: Timestamp) -> Result<(), StateError> {
        let beyond = match self.latest {
            // It may have been set back before this courier was made.
            None => Some(later(now, WAIT_MAX)),
            Some(latest) if later(now, SLIP) < latest => Some(now),
            Some(_) => None,
        };
        if let Some(beyond) = beyond {
            self.office.outbox.recall(self.channel(), beyond, now)?;
            self.rest_until = None;
            self.latest = Some(now);
        }
        self.latest = self.latest.max(Some(now));
        Ok(())
    }

    /// Makes parcels of notifications, in their order; the rest is to be held.
    fn pack(
        &mut self,
        claimed: Vec<Notification>,
        now: Timestamp,
    ) -> (Vec<Consignment>, BTreeMap<Timestamp, Vec<AlertId>>) {
        let mut holds: BTreeMap<Timestamp, Vec<AlertId>> = BTreeMap::new();
        let mut gathered = Vec::new();
        let mut at_once = Vec::new();
        for notification in claimed {
            match self.channel.policy.plan(&notification.alert, now, self.last_digest) {
                Plan::Now => at_once.push(notification),
                Plan::Gathered => gathered.push(notification),
                Plan::Hold(until) => holds.entry(until).or_default().push(notification.alert.id),
            }
        }
        let mut consignments = Vec::new();
        match self.channel.policy.rate {
            None => consignments.extend(at_once.into_iter().map(single)),
            Some(limit) => {
                let allotted = self.windows.allot(at_once, limit, now);
                consignments.extend(allotted.messages.into_iter().filter_map(|alike| pack(alike, Parcel::alike)));
                for (until, alert) in allotted.held {
                    holds.entry(until).or_default().push(alert);
                }
            }
        }
        consignments.extend(pack(gathered, Parcel::digest));
        (consignments, holds)
    }

    fn send(&mut self, consignment: Consignment, round: &mut Round) -> Result<Verdict, StateError> {
        let Consignment { parcel, attempts } = consignment;
        let (verdict, receipt) = self.channel.notifier.send_for_receipt(&parcel);
        let now = self.office.clock.now();
        // One set back while the message was under way is found by the next round.
        self.latest = self.latest.max(Some(now));
        let (asked, reason) = match &verdict {
            Verdict::Delivered => (None, None),
            Verdict::Retry { after, reason } => (*after, Some(reason)),
            Verdict::Refused { reason } => (None, Some(reason)),
        };
        let backoff = &self.channel.policy.backoff;
        let wait = |alert: &AlertId, tried: u32| backoff.wait(alert, tried, asked);
        // What was sent together is tried again together: the longest of the waits is everybody's.
        let after = attempts.iter().filter_map(|(alert, tried)| wait(alert, *tried)).max().map(|wait| later(now, wait));
        let outcome = |alert: &AlertId, tried: u32| match (&verdict, reason, after) {
            (_, None, _) => Outcome::Sent { at: now, receipt: receipt.clone() },
            (Verdict::Retry { .. }, Some(error), Some(after)) if wait(alert, tried).is_some() => {
                Outcome::Retry { after, error: error.clone() }
            }
            (_, Some(error), _) => Outcome::Failed { at: now, error: error.clone() },
        };
        let outcomes: Vec<(AlertId, Outcome)> =
            attempts.iter().map(|(alert, tried)| (alert.clone(), outcome(alert, *tried))).collect();
        for (alert, outcome) in &outcomes {
            let (count, decision) = match outcome {
                Outcome::Sent { .. } => (&mut round.sent, "sent"),
                Outcome::Retry { .. } => (&mut round.retried, "to be tried again"),
                Outcome::Failed { .. } => (&mut round.failed, "given up"),
            };
            *count += 1;
            tracing::debug!(channel = self.channel.name, alert = alert.as_str(), decision, "an alert was decided on");
        }
        if let Some(reason) = reason {
            round.problems.push(reason.clone());
            let has_failed = outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Failed { .. }));
            let is_alarming = attempts.iter().any(|(_, tried)| backoff.is_alarming(*tried));
            if has_failed || is_alarming {
                // Before it is settled, so that no crash leaves a failure that nobody is told of.
                let others = self.office.routes.without(self.channel());
                self.office.outbox.record_alerts(&[trouble(self.channel(), reason, now)], &others)?;
            }
        } else {
            round.messages += 1;
            match parcel.kind() {
                Kind::Digest => self.last_digest = Some(now),
                Kind::One | Kind::Alike => self.windows.note(parcel.first()),
            }
        }
        self.unsettled = outcomes;
        self.settle()?;
        Ok(verdict)
    }

    fn settle(&mut self) -> Result<(), StateError> {
        if !self.unsettled.is_empty() {
            self.office.outbox.settle(&self.channel.name, &self.unsettled)?;
            self.unsettled.clear();
        }
        Ok(())
    }

    fn hold(&self, alerts: &[AlertId], until: Timestamp, round: &mut Round) -> Result<(), StateError> {
        if alerts.is_empty() {
            return Ok(());
        }
        round.held += alerts.len();
        for alert in alerts {
            tracing::debug!(channel = self.channel.name, alert = alert.as_str(), %until, "an alert waits");
        }
        self.office.outbox.hold(self.channel(), alerts, until)
    }

    /// How long a channel is left alone that has failed: one second, then two, then four …
    fn rest(&mut self) -> Duration {
        let rest = Duration::from_secs(1).saturating_mul(2u32.saturating_pow(self.rests)).min(REST_MAX);
        self.rests = self.rests.saturating_add(1);
        rest
    }
}

fn single(notification: Notification) -> Consignment {
    let attempts = vec![(notification.alert.id.clone(), notification.attempts)];
    Consignment { parcel: Parcel::one(notification.alert), attempts }
}

fn pack(
    notifications: Vec<Notification>,
    parcel: fn(Vec<crate::alert::Alert>) -> Option<Parcel>,
) -> Option<Consignment> {
    let attempts = notifications.iter().map(|each| (each.alert.id.clone(), each.attempts)).collect();
    let parcel = parcel(notifications.into_iter().map(|each| each.alert).collect())?;
    Some(Consignment { parcel, attempts })
}

#[cfg(test)]
#[path = "courier_tests.rs"]
mod tests;

//! The outbox: which alerts are to be told to whom, and whether they were.
//!
//! A row is written in one step with its alert, so that no crash loses a notification; a sender claims rows for a while,
//! sends, and settles them. A sender that dies between sending and settling sends again: at least once, never not.

use detect::Severity;
use event::Timestamp;
use serde::Serialize;

use crate::alert::{Alert, AlertId, Arrival, as_text};
use crate::pattern::Pattern;
use crate::state::{Ledger, StateError};

/// Where alerts of a run are sent.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    /// The channels.
    pub channels: Vec<Route>,
    /// Whether alerts of a backfill are sent, too (`--notify`).
    pub backfill: bool,
}

/// One channel and what it wants.
#[derive(Debug, Clone)]
pub struct Route {
    /// The channel's name in the configuration.
    pub channel: String,
    /// The least severity it takes.
    pub at_least: Severity,
    /// The detections it takes, by id; none for all.
    pub detections: Vec<Pattern>,
    /// The accounts it takes; none for all. What was recorded for no account concerns everybody.
    pub accounts: Vec<Pattern>,
}

impl Route {
    /// The route to a channel that takes everything from a severity on.
    #[must_use]
    pub fn new(channel: &str, at_least: Severity) -> Route {
        Route { channel: channel.to_owned(), at_least, detections: Vec::new(), accounts: Vec::new() }
    }

    /// Whether the channel wants the alert.
    fn wants(&self, alert: &Alert) -> bool {
        let among = |patterns: &[Pattern], text: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(text))
        };
        alert.severity >= self.at_least
            && among(&self.detections, &alert.detection)
            && alert.account.as_deref().is_none_or(|account| among(&self.accounts, account))
    }
}

impl Routes {
    /// The channels an alert is to be sent to: none if it is suppressed, acknowledged or merely backfilled.
    pub fn channels_for(&self, alert: &Alert) -> impl Iterator<Item = &str> {
        let is_news = alert.arrival != Arrival::Backfill || self.backfill;
        let is_sent = alert.is_open() && is_news;
        let wants = move |route: &&Route| is_sent && route.wants(alert);
        self.channels.iter().filter(wants).map(|route| route.channel.as_str())
    }

    /// The same routes but for one channel.
    #[must_use]
    pub fn without(&self, channel: &str) -> Routes {
        let others = self.channels.iter().filter(|route| route.channel != channel);
        Routes { channels: others.cloned().collect(), backfill: self.backfill }
    }
}

/// Where a notification stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Delivery {
    /// To be sent, or to be tried again.
    Pending,
    /// Sent.
    Sent,
    /// Given up.
    Failed,
}

impl Delivery {
    /// Every state.
    pub const ALL: [Delivery; 3] = [Delivery::Pending, Delivery::Sent, Delivery::Failed];

    /// The name in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Delivery::Pending => "pending",
            Delivery::Sent => "sent",
            Delivery::Failed => "failed",
        }
    }
}

/// A notification that a sender has claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The alert to tell of.
    pub alert: Alert,
    /// The channel to tell it to.
    pub channel: String,
    /// How often it was tried before.
    pub attempts: u32,
}

/// How an attempt to send ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was sent.
    Sent {
        /// When.
        at: Timestamp,
        /// What the other end calls the message, where it says so.
        receipt: Option<String>,
    },
    /// It was not; it is to be tried again.
    Retry {
        /// Not before this time.
        after: Timestamp,
        /// What went wrong.
        error: String,
    },
    /// It never will be.
    Failed {
        /// When it was given up.
        at: Timestamp,
        /// What went wrong.
        error: String,
    },
}

/// The port to the outbox as one channel's sender uses it. Every method is one step: it happens wholly or not at all.
pub trait Outbox: Ledger {
    /// Hands out at most `limit` of the channel's notifications that are due at `now`, the most serious first, then the
    /// one that has been due for longest, and keeps them from other senders until `lease`. What was acknowledged while it
    /// waited is passed over, for as long as that is not taken back.
    ///
    /// # Errors
    /// [`StateError`].
    fn claim(
        &self,
        channel: &str,
        now: Timestamp,
        lease: Timestamp,
        limit: usize,
    ) -> Result<Vec<Notification>, StateError>;

    /// Writes down how attempts to send ended. A notification that is no longer there (its alert was suppressed, or
    /// expired) is passed over.
    ///
    /// # Errors
    /// [`StateError`].
    fn settle(&self, channel: &str, outcomes: &[(AlertId, Outcome)]) -> Result<(), StateError>;

    /// Puts notifications off that were claimed and not tried: no attempt is counted, the last error stays.
    ///
    /// # Errors
    /// [`StateError`].
    fn hold(&self, channel: &str, alerts: &[AlertId], until: Timestamp) -> Result<(), StateError>;

    /// Makes due at `now` whatever of the channel's waits for a time after `beyond`: the clock was set back. Where clocks
    /// are not set there is nothing to do.
    ///
    /// # Errors
    /// [`StateError`].
    fn recall(&self, _channel: &str, _beyond: Timestamp, _now: Timestamp) -> Result<(), StateError> {
        Ok(())
    }
}

/// A row of the outbox, for people to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutboxRow {
    /// The alert.
    pub alert: AlertId,
    /// The channel.
    pub channel: String,
    /// Where it stands.
    pub state: Delivery,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was sent, given up, or is due again.
    #[serde(serialize_with = "as_text")]
    pub at: Timestamp,
    /// What went wrong last.
    pub error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Acknowledgement;
    use crate::alert::tests::alert_on;
    use crate::suppress::SuppressionId;

    fn routes(backfill: bool) -> Routes {
        Routes { channels: vec![Route::new("pager", Severity::Critical), Route::new("mail", Severity::Low)], backfill }
    }

    #[test]
    fn an_alert_goes_to_the_channels_that_want_its_severity() {
        let mut alert = alert_on(&testkit::event("CreateUser").to_event());
        alert.arrival = Arrival::Late;
        assert_eq!(routes(false).channels_for(&alert).collect::<Vec<_>>(), ["pager", "mail"]);
        alert.severity = Severity::High;
        assert_eq!(routes(false).channels_for(&alert).collect::<Vec<_>>(), ["mail"]);
        alert.severity = Severity::Informational;
        assert_eq!(routes(false).channels_for(&alert).count(), 0);
    }

    #[test]
    fn a_channel_can_want_some_detections_and_accounts_alone() {
        let mut alert = alert_on(&testkit::event("CreateUser").to_event());
        alert.arrival = Arrival::Live;
        let wants = |detections: &[&str], accounts: &[&str], alert: &Alert| {
            let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern::new(text).unwrap()).collect();
            let (detections, accounts) = (patterns(detections), patterns(accounts));
            Route { detections, accounts, ..Route::new("c", Severity::Low) }.wants(alert)
        };
        assert!(wants(&["other", "ROOT-*"], &["1111*"], &alert));
        assert!(!wants(&["other"], &[], &alert));
        assert!(!wants(&[], &["2222*"], &alert));
        alert.account = None;
        assert!(wants(&[], &[], &alert));
        assert!(wants(&[], &["2222*"], &alert), "what concerns no account concerns everybody");
    }

    #[test]
    fn a_backfill_is_sent_only_where_asked_for_and_what_is_settled_never() {
        let alert = alert_on(&testkit::event("CreateUser").to_event());
        assert_eq!(alert.arrival, Arrival::Backfill);
        assert_eq!(routes(false).channels_for(&alert).count(), 0);
        assert_eq!(routes(true).channels_for(&alert).count(), 2);

        let suppressed_by = Some(SuppressionId::from_stored("00".to_owned()));
        assert_eq!(routes(true).channels_for(&Alert { suppressed_by, ..alert.clone() }).count(), 0);
        let seen = Acknowledgement { at: Timestamp::MIN, by: "bob".to_owned(), note: String::new() };
        assert_eq!(routes(true).channels_for(&Alert { acknowledged: Some(seen), ..alert }).count(), 0);
    }
}

//! The outbox: which alerts are to be told to whom, and whether they were.
//!
//! A row is written in one step with its alert, so that no crash loses a notification; a sender claims rows for a while,
//! sends, and settles them. A sender that dies between sending and settling sends again: at least once, never not.

use detect::Severity;
use event::Timestamp;
use serde::Serialize;

use crate::alert::{Alert, AlertId, Arrival, as_text};

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
}

impl Routes {
    /// The channels an alert is to be sent to: none if it is suppressed, acknowledged or merely backfilled.
    pub fn channels_for(&self, alert: &Alert) -> impl Iterator<Item = &str> {
        let is_news = alert.arrival != Arrival::Backfill || self.backfill;
        let is_sent = alert.is_open() && is_news;
        let severity = alert.severity;
        let wants = move |route: &&Route| is_sent && severity >= route.at_least;
        self.channels.iter().filter(wants).map(|route| route.channel.as_str())
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
        let route = |channel: &str, at_least| Route { channel: channel.to_owned(), at_least };
        Routes { channels: vec![route("pager", Severity::Critical), route("mail", Severity::Low)], backfill }
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

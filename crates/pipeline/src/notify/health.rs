//! How the channels are, for `status`.

use std::collections::BTreeMap;

use event::Timestamp;
use serde::Serialize;

use crate::alert::as_text;
use crate::outbox::{Delivery, OutboxRow};

/// How one channel is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ChannelHealth {
    /// Its name.
    pub channel: String,
    /// Whether the configuration knows it. What waits for one that it does not know is never sent.
    pub configured: bool,
    /// Notifications that wait for their first attempt.
    pub waiting: u64,
    /// Notifications that failed and are tried again.
    pub retrying: u64,
    /// Notifications that were given up.
    pub failed: u64,
    /// Notifications that were sent.
    pub sent: u64,
    /// When the last one was sent.
    #[serde(serialize_with = "optional_text")]
    pub last_sent: Option<Timestamp>,
    /// What went wrong last, of those that are tried again or were given up.
    pub last_error: Option<String>,
}

impl ChannelHealth {
    /// Whether somebody has to look at it.
    #[must_use]
    pub fn is_ill(&self) -> bool {
        self.retrying > 0 || self.failed > 0 || (!self.configured && self.waiting > 0)
    }
}

/// How the channels are, by rows of the outbox in every state: those that the configuration knows and those that rows
/// name, in the order of their names.
#[must_use]
pub fn health<'c>(configured: impl IntoIterator<Item = &'c str>, rows: &[OutboxRow]) -> Vec<ChannelHealth> {
    let empty =
        |channel: &str, configured| ChannelHealth { channel: channel.to_owned(), configured, ..Default::default() };
    let mut channels: BTreeMap<&str, ChannelHealth> =
        configured.into_iter().map(|channel| (channel, empty(channel, true))).collect();
    let mut errors: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for row in rows {
        let channel = channels.entry(&row.channel).or_insert_with(|| empty(&row.channel, false));
        match row.state {
            Delivery::Pending if row.attempts == 0 => channel.waiting += 1,
            Delivery::Pending => channel.retrying += 1,
            Delivery::Failed => channel.failed += 1,
            Delivery::Sent => {
                channel.sent += 1;
                channel.last_sent = channel.last_sent.max(Some(row.at));
            }
        }
        let is_newer = errors.get(row.channel.as_str()).is_none_or(|at| *at <= row.at);
        if row.state != Delivery::Sent && row.error.is_some() && is_newer {
            errors.insert(&row.channel, row.at);
            channel.last_error.clone_from(&row.error);
        }
    }
    channels.into_values().collect()
}

fn optional_text<S: serde::Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => as_text(time, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::AlertId;

    #[test]
    fn a_channel_is_as_its_rows_are() {
        let row = |channel: &str, state, attempts, minute: i64, error: Option<&str>| OutboxRow {
            alert: AlertId::of(&minute.to_string(), "d"),
            channel: channel.to_owned(),
            state,
            attempts,
            at: Timestamp::from_seconds(1_750_000_000 + 60 * minute).unwrap(),
            error: error.map(str::to_owned),
        };
        let rows = [
            row("mail", Delivery::Sent, 1, 1, None),
            row("mail", Delivery::Sent, 2, 3, Some("old")),
            row("pager", Delivery::Pending, 0, 1, None),
            row("pager", Delivery::Pending, 3, 5, Some("later")),
            row("pager", Delivery::Failed, 1, 2, Some("earlier")),
            row("gone", Delivery::Pending, 0, 1, None),
        ];
        let [gone, mail, pager, quiet] = health(["pager", "mail", "quiet"], &rows).try_into().unwrap();
        assert!(!mail.is_ill() && mail.sent == 2 && mail.last_sent == Some(rows[1].at) && mail.last_error.is_none());
        assert!(pager.is_ill());
        assert_eq!((pager.waiting, pager.retrying, pager.failed), (1, 1, 1));
        assert_eq!(pager.last_error.as_deref(), Some("later"));
        assert!(gone.is_ill() && !gone.configured);
        assert!(!quiet.is_ill() && quiet.configured);
        let written = serde_json::to_value(&quiet).unwrap();
        assert_eq!(written["last_sent"], serde_json::Value::Null);
    }
}

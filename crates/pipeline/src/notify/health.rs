//! How the channels are, for `status`.

use std::collections::BTreeMap;

use event::Timestamp;
use serde::Serialize;

use crate::alert::as_text;

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

    /// Whether it does not take what it is sent, as far as is known: what was given up long ago may be mended since.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.retrying > 0 || (self.failed > 0 && self.last_sent.is_none()) || (!self.configured && self.waiting > 0)
    }
}

/// How the channels are: those that the configuration knows and those that the outbox knows, in the order of their names.
#[must_use]
pub fn health<'c>(configured: impl IntoIterator<Item = &'c str>, known: Vec<ChannelHealth>) -> Vec<ChannelHealth> {
    let mut channels: BTreeMap<String, ChannelHealth> =
        known.into_iter().map(|channel| (channel.channel.clone(), channel)).collect();
    for name in configured {
        let channel = channels.entry(name.to_owned()).or_default();
        name.clone_into(&mut channel.channel);
        channel.configured = true;
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

    #[test]
    fn a_channel_is_known_from_the_configuration_or_the_outbox() {
        let known = |channel: &str, waiting, retrying| ChannelHealth {
            channel: channel.to_owned(),
            waiting,
            retrying,
            ..ChannelHealth::default()
        };
        let channels = health(["pager", "quiet"], vec![known("pager", 1, 1), known("gone", 1, 0), known("old", 0, 0)]);
        let [gone, old, pager, quiet] = channels.try_into().unwrap();
        assert!(gone.is_ill() && gone.is_down() && !gone.configured);
        assert!(!old.is_ill());
        assert!(pager.is_ill() && pager.is_down() && pager.configured);
        let mended = ChannelHealth { failed: 1, last_sent: Some(Timestamp::MIN), ..quiet.clone() };
        assert!(mended.is_ill() && !mended.is_down());
        assert!(!quiet.is_ill() && quiet.configured);
        let written = serde_json::to_value(&quiet).unwrap();
        assert_eq!(written["last_sent"], serde_json::Value::Null);
    }
}

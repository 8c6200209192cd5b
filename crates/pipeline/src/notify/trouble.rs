//! The alert about alerting.

use event::Timestamp;

use crate::alert::{Alert, OurOwn};

/// What stands in the place of a detection's id in the alert about alerting.
pub const TROUBLE: &str = "alerting-failed";

/// The alert that a channel does not work: one for each channel and day, however often it fails.
///
/// It is no event's; it stands in the ledger and goes to the other channels as the rest do.
#[must_use]
pub fn trouble(channel: &str, reason: &str, now: Timestamp) -> Alert {
    let event_id = format!("{TROUBLE}/{channel}/{}", now.day());
    let record = serde_json::json!({"alert": TROUBLE, "channel": channel, "reason": reason, "at": now.to_string()});
    Alert::our_own(OurOwn {
        detection: TROUBLE,
        event_id,
        title: "Alerts Are Not Delivered",
        summary: format!("The channel {channel} does not take alerts: {reason}."),
        action_required: "Look at what the channel says and mend it; the alerts are in the ledger.",
        record: record.to_string(),
        now,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_has_one_a_day() {
        let at = |time: &str| trouble("pager", "HTTP 500", Timestamp::parse(time).unwrap()).id;
        assert_eq!(at("2026-01-15T00:00:00Z"), at("2026-01-15T23:59:59Z"));
        assert_ne!(at("2026-01-15T00:00:00Z"), at("2026-01-16T00:00:00Z"));
        assert_eq!(detect::find(TROUBLE), None, "no detection has its id");
    }
}

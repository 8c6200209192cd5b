//! The alert that nothing more can be stored.

use event::Timestamp;

use crate::alert::{Alert, OurOwn};

/// What stands in the place of a detection's id in the alert that the disk is full.
pub const FULL: &str = "disk-full";

/// The alert that the disk is full: one a day, however often that is found.
#[must_use]
pub fn disk_full(reason: &str, now: Timestamp) -> Alert {
    let record = serde_json::json!({"alert": FULL, "reason": reason, "at": now.to_string()});
    Alert::our_own(OurOwn {
        detection: FULL,
        event_id: format!("{FULL}/{}", now.day()),
        title: "The Disk Is Full",
        summary: format!("Nothing more is stored: {reason}."),
        action_required: "Make room on the disk of the home folder; collecting then goes on where it stopped.",
        record: record.to_string(),
        now,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_once_a_day() {
        let at = |time: &str| disk_full("no room", Timestamp::parse(time).unwrap());
        assert_eq!(at("2026-01-15T00:00:00Z").id, at("2026-01-15T23:59:59Z").id);
        assert_ne!(at("2026-01-15T00:00:00Z").id, at("2026-01-16T00:00:00Z").id);
        assert_eq!(detect::find(FULL), None, "no detection has its id");
    }
}

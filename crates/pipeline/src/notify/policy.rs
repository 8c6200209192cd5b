//! When an alert is told: quiet hours, digests and the limit on messages that are alike.

use std::time::Duration;

use detect::Severity;
use event::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use crate::alert::Alert;
use crate::notify::{Backoff, later};

/// When a channel's alerts are sent.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// When it is not to be disturbed.
    pub quiet: Option<QuietHours>,
    /// What is gathered.
    pub digest: Option<Digest>,
    /// How many messages of a kind it takes.
    pub rate: Option<RateLimit>,
    /// How it is tried again.
    pub backoff: Backoff,
}

/// Hours of the day in which nothing but what is critical is sent; the rest waits for their end.
#[derive(Debug, Clone, PartialEq)]
pub struct QuietHours {
    /// Their start, included.
    pub from: Time,
    /// Their end, not included. Before the start, it is the next day's.
    pub to: Time,
    /// Where the clock hangs.
    pub zone: TimeZone,
}

impl QuietHours {
    /// The end of the quiet hours that `now` lies in.
    #[must_use]
    pub fn end(&self, now: Timestamp) -> Option<Timestamp> {
        let here = jiff::Timestamp::from_microsecond(now.micros()).ok()?.to_zoned(self.zone.clone());
        let (time, today) = (here.time(), here.date());
        let over_midnight = self.to <= self.from;
        let end = match (self.from <= time, time < self.to) {
            (true, true) if !over_midnight => today,
            (true, _) if over_midnight => today.tomorrow().ok()?,
            (_, true) if over_midnight => today,
            _ => return None,
        };
        // An end that a change of clocks leaves out is an hour later; one that it repeats, the first of the two. Where
        // that is past, the hours are over.
        let end = end.to_datetime(self.to).to_zoned(self.zone.clone()).ok()?.timestamp();
        Timestamp::from_micros(end.as_microsecond()).filter(|end| *end > now)
    }
}

/// The less serious alerts of a while as one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    /// The most serious alert that is gathered.
    pub at_most: Severity,
    /// How often a digest is sent: at whole multiples of this since midnight UTC of 1970-01-01.
    pub every: Duration,
}

impl Digest {
    /// The end of the while that the instant lies in.
    #[must_use]
    pub fn end(&self, time: Timestamp) -> Timestamp {
        let every = i64::try_from(self.every.as_micros()).unwrap_or(i64::MAX).max(1);
        let end = time.micros().div_euclid(every).saturating_add(1).saturating_mul(every);
        Timestamp::from_micros(end).unwrap_or(Timestamp::MAX)
    }
}

/// How many messages tell of one detection at one principal's in a while; what is beyond them is one message, "and 41
/// more like this".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// How many messages; at least one.
    pub messages: u32,
    /// In how long.
    pub per: Duration,
}

impl RateLimit {
    /// The end of a while that began at this instant.
    #[must_use]
    pub fn end(&self, start: Timestamp) -> Timestamp {
        later(start, self.per)
    }
}

/// What is to be done with an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    /// Sent at once.
    Now,
    /// Sent at once, with others of its kind.
    Gathered,
    /// Looked at again at this time.
    Hold(Timestamp),
}

impl Policy {
    /// What is to be done with an alert at `now`, the last digest having been sent at `last_digest`.
    pub(super) fn plan(&self, alert: &Alert, now: Timestamp, last_digest: Option<Timestamp>) -> Plan {
        if alert.severity < Severity::Critical
            && let Some(end) = self.quiet.as_ref().and_then(|quiet| quiet.end(now))
        {
            return Plan::Hold(end);
        }
        let Some(digest) = self.digest.filter(|digest| alert.severity <= digest.at_most) else { return Plan::Now };
        // Its own while has to end, and so has the one in which there was a digest.
        let whiles = [Some(alert.first_seen), last_digest];
        let due = whiles.into_iter().flatten().map(|time| digest.end(time)).max().filter(|due| now < *due);
        // A clock that was set back would let it wait for ever.
        due.map_or(Plan::Gathered, |due| Plan::Hold(due.min(digest.end(now))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::tests::alert_on;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn quiet(from: i8, to: i8, zone: &str) -> QuietHours {
        let hour = |hour| Time::constant(hour, 0, 0, 0);
        QuietHours { from: hour(from), to: hour(to), zone: TimeZone::get(zone).unwrap() }
    }

    #[test]
    fn quiet_hours_end_where_the_clock_hangs() {
        let night = quiet(22, 7, "Europe/Berlin");
        for (now, end) in [
            // Winter: an hour before UTC.
            ("2026-01-15T20:59:59Z", None),
            ("2026-01-15T21:00:00Z", Some("2026-01-16T06:00:00Z")),
            ("2026-01-16T05:59:59Z", Some("2026-01-16T06:00:00Z")),
            ("2026-01-16T06:00:00Z", None),
            // Summer: two hours.
            ("2026-07-15T20:00:00Z", Some("2026-07-16T05:00:00Z")),
            // The night in which the clock goes forward is an hour shorter.
            ("2026-03-28T21:00:00Z", Some("2026-03-29T05:00:00Z")),
            ("2026-10-24T20:00:00Z", Some("2026-10-25T06:00:00Z")),
        ] {
            assert_eq!(night.end(time(now)), end.map(time), "{now}");
        }
        let lunch = quiet(12, 13, "UTC");
        assert_eq!(lunch.end(time("2026-01-15T12:30:00Z")), Some(time("2026-01-15T13:00:00Z")));
        assert_eq!(lunch.end(time("2026-01-15T13:00:00Z")), None);
        assert_eq!(lunch.end(time("2026-01-15T11:59:59Z")), None);
    }

    #[test]
    fn an_end_that_the_clock_leaves_out_or_repeats_comes_all_the_same() {
        // 02:00 to 03:00 does not exist on 2026-03-29 in Berlin, and is there twice on 2026-10-25.
        let quiet = QuietHours { to: Time::constant(2, 30, 0, 0), ..quiet(1, 2, "Europe/Berlin") };
        assert_eq!(quiet.end(time("2026-03-29T00:30:00Z")), Some(time("2026-03-29T01:30:00Z")));
        assert_eq!(quiet.end(time("2026-10-25T00:10:00Z")), Some(time("2026-10-25T00:30:00Z")));
        assert_eq!(quiet.end(time("2026-10-25T01:10:00Z")), None);
    }

    #[test]
    fn what_is_critical_goes_through_and_what_is_not_waits() {
        let mut alert = alert_on(&testkit::event("CreateUser").to_event());
        let policy = Policy { quiet: Some(quiet(22, 7, "UTC")), ..Policy::default() };
        let night = time("2026-01-15T23:00:00Z");
        assert_eq!(policy.plan(&alert, night, None), Plan::Now);
        alert.severity = Severity::High;
        assert_eq!(policy.plan(&alert, night, None), Plan::Hold(time("2026-01-16T07:00:00Z")));
        assert_eq!(policy.plan(&alert, time("2026-01-16T07:00:00Z"), None), Plan::Now);
    }

    #[test]
    fn a_digest_comes_once_in_a_while() {
        let digest = Digest { at_most: Severity::Medium, every: Duration::from_secs(3600) };
        let policy = Policy { digest: Some(digest), ..Policy::default() };
        let mut alert = alert_on(&testkit::event("CreateUser").to_event());
        alert.first_seen = time("2026-01-15T12:10:00Z");
        assert_eq!(policy.plan(&alert, time("2026-01-15T12:10:01Z"), None), Plan::Now, "critical");

        alert.severity = Severity::Medium;
        let one = time("2026-01-15T13:00:00Z");
        assert_eq!(policy.plan(&alert, time("2026-01-15T12:10:01Z"), None), Plan::Hold(one));
        assert_eq!(policy.plan(&alert, one, None), Plan::Gathered);
        // One more would be the second of the hour.
        let two = time("2026-01-15T14:00:00Z");
        assert_eq!(policy.plan(&alert, time("2026-01-15T13:00:05Z"), Some(one)), Plan::Hold(two));
        assert_eq!(policy.plan(&alert, two, Some(one)), Plan::Gathered);
        // Of a time yet to come: the clock was set back.
        alert.first_seen = time("2027-01-01T00:00:00Z");
        assert_eq!(policy.plan(&alert, time("2026-01-15T12:30:00Z"), None), Plan::Hold(one));
    }
}

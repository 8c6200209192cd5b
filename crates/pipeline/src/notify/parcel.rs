//! What is sent at once.

use detect::Severity;
use sha2::{Digest, Sha256};

use crate::alert::{Alert, AlertId, hex};

/// What the alerts of a parcel have to do with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It is one alert.
    One,
    /// One detection has found them at one principal's: the first stands for the others, "and 41 more like this".
    Alike,
    /// They have come together in a while.
    Digest,
}

/// One message's worth of alerts: at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    kind: Kind,
    first: Alert,
    others: Vec<Alert>,
}

impl Parcel {
    /// One alert.
    #[must_use]
    pub fn one(alert: Alert) -> Parcel {
        Parcel { kind: Kind::One, first: alert, others: Vec::new() }
    }

    /// Alerts of one detection at one principal; the first of them stands for all. `None` for none.
    #[must_use]
    pub fn alike(alerts: Vec<Alert>) -> Option<Parcel> {
        Parcel::of(Kind::Alike, alerts)
    }

    /// Alerts of a while, the most serious first and the older before the newer. `None` for none.
    #[must_use]
    pub fn digest(mut alerts: Vec<Alert>) -> Option<Parcel> {
        alerts.sort_by(|a, b| {
            b.severity.cmp(&a.severity).then_with(|| (a.event_time, &a.id).cmp(&(b.event_time, &b.id)))
        });
        Parcel::of(Kind::Digest, alerts)
    }

    fn of(kind: Kind, mut alerts: Vec<Alert>) -> Option<Parcel> {
        if alerts.is_empty() {
            return None;
        }
        let first = alerts.remove(0);
        let kind = if alerts.is_empty() && kind == Kind::Alike { Kind::One } else { kind };
        Some(Parcel { kind, first, others: alerts })
    }

    /// What its alerts have to do with each other.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The alert that stands for all.
    #[must_use]
    pub fn first(&self) -> &Alert {
        &self.first
    }

    /// The alerts after the first.
    #[must_use]
    pub fn others(&self) -> &[Alert] {
        &self.others
    }

    /// Every alert.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> + Clone {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// How many alerts there are.
    #[must_use]
    pub fn count(&self) -> usize {
        1 + self.others.len()
    }

    /// The severity of the most serious alert.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.alerts().map(|alert| alert.severity).max().unwrap_or(self.first.severity)
    }

    /// What tells this parcel from others, so that a channel can tell a repetition: the id of the alert where it is one,
    /// else the start of the SHA-256 of all of the ids. 32 hexadecimal digits.
    #[must_use]
    pub fn key(&self) -> String {
        if self.kind == Kind::One {
            return self.first.id.to_string();
        }
        let mut ids: Vec<&AlertId> = self.alerts().map(|alert| &alert.id).collect();
        ids.sort();
        let digest = ids.into_iter().fold(Sha256::new(), |digest, id| digest.chain_update(id.as_str()));
        hex(&digest.finalize()[..16])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::tests::alert_on;

    fn alerts(times: &[&str]) -> Vec<Alert> {
        times.iter().map(|time| alert_on(&testkit::event("CreateUser").at(time).to_event())).collect()
    }

    #[test]
    fn a_digest_begins_with_what_matters_most() {
        let mut alerts = alerts(&["2026-01-15T12:00:02Z", "2026-01-15T12:00:01Z", "2026-01-15T12:00:03Z"]);
        alerts[0].severity = Severity::Low;
        alerts[1].severity = Severity::Low;
        let parcel = Parcel::digest(alerts.clone()).unwrap();
        let order: Vec<_> = parcel.alerts().map(|alert| &alert.id).collect();
        assert_eq!(order, [&alerts[2].id, &alerts[1].id, &alerts[0].id]);
        assert_eq!(parcel.severity(), Severity::Critical);
        assert_eq!(parcel.count(), 3);
    }

    #[test]
    fn a_key_tells_what_is_in_a_parcel_in_whatever_order() {
        let mut alerts = alerts(&["2026-01-15T12:00:02Z", "2026-01-15T12:00:01Z"]);
        let key = |alerts: &[Alert]| Parcel::alike(alerts.to_vec()).unwrap().key();
        assert_eq!(key(&alerts[..1]), alerts[0].id.as_str());
        let both = key(&alerts);
        assert_ne!(both, alerts[0].id.as_str());
        assert_eq!(both.len(), 32);
        alerts.reverse();
        assert_eq!(key(&alerts), both);
    }

    #[test]
    fn there_is_no_empty_parcel_and_one_alert_is_one() {
        assert_eq!(Parcel::alike(Vec::new()), None);
        assert_eq!(Parcel::digest(Vec::new()), None);
        assert_eq!(Parcel::alike(alerts(&["2026-01-15T12:00:00Z"])).unwrap().kind(), Kind::One);
        assert_eq!(Parcel::digest(alerts(&["2026-01-15T12:00:00Z"])).unwrap().kind(), Kind::Digest);
    }
}

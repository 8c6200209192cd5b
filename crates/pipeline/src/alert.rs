//! The alert: one detection's verdict on one event, as the ledger keeps it.

use std::fmt;
use std::time::Duration;

use detect::{Finding, Severity};
use event::{Day, Event, Timestamp};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::history::RunId;
use crate::suppress::SuppressionId;

/// How many characters of an id are shown: 40 bits, so that two of a hundred thousand alerts rarely share them.
const SHORT_ID: usize = 10;

/// The identity of an alert: 128 bits of the SHA-256 of its event's id and its detection's id, in hexadecimal.
///
/// The same event read again gives the same id, so that people can write it down; any prefix that only one alert has
/// stands for it, as with a commit in git.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlertId(String);

impl AlertId {
    /// The id of the alert that a detection gave for an event.
    #[must_use]
    pub fn of(event_id: &str, detection: &str) -> AlertId {
        // Detection ids are ours and have no zero byte, so the last one always tells where the event's id ends.
        let digest = Sha256::new().chain_update(event_id).chain_update([0]).chain_update(detection).finalize();
        AlertId(hex(&digest[..16]))
    }

    /// Takes an id back from where it was stored.
    #[must_use]
    pub fn from_stored(id: String) -> AlertId {
        AlertId(id)
    }

    /// All of it: 32 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first characters, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..SHORT_ID).unwrap_or(&self.0)
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|&byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// How an event came to us, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrival {
    /// From a stream, as it happened.
    Live,
    /// From a stream that caught up after an outage.
    Late,
    /// From `ingest`, or from before a stream's first coverage: recorded and shown, sent only where asked for.
    Backfill,
}

impl Arrival {
    /// Every arrival, the most urgent first.
    pub const ALL: [Arrival; 3] = [Arrival::Live, Arrival::Late, Arrival::Backfill];

    /// The name in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Arrival::Live => "live",
            Arrival::Late => "late",
            Arrival::Backfill => "backfill",
        }
    }
}

impl fmt::Display for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// From when on the events of a live source are news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News {
    /// Events before are backfill: what was there when the source was first asked.
    pub since: Timestamp,
    /// From which age on an event counts as late.
    pub late: Duration,
}

impl News {
    /// How an event came to us that is read now.
    #[must_use]
    pub fn arrival(&self, event_time: Timestamp, now: Timestamp) -> Arrival {
        let age = Duration::from_micros(now.micros().saturating_sub(event_time.micros()).max(0).unsigned_abs());
        if event_time < self.since {
            Arrival::Backfill
        } else if age > self.late {
            Arrival::Late
        } else {
            Arrival::Live
        }
    }
}

/// That somebody has seen to an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Acknowledgement {
    /// When.
    #[serde(serialize_with = "as_text")]
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What they have to say about it; may be empty.
    pub note: String,
}

/// What the run knows of an alert beside its event and its finding.
#[derive(Debug, Clone, Copy)]
pub struct Occasion {
    /// When the ledger first sees the alert: the run's clock.
    pub now: Timestamp,
    /// How the event came to us.
    pub arrival: Arrival,
    /// The run that found it.
    pub run: Option<RunId>,
}

/// One detection's verdict on one event.
///
/// The texts are a stranger's (see [`escape`](crate::escape)) and as long as the record allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// The alert's identity, which follows from `event_id` and `detection`.
    pub id: AlertId,
    /// The event.
    pub event_id: String,
    /// The id of the detection.
    pub detection: String,
    /// How much it matters.
    pub severity: Severity,
    /// The title people know, such as `Root Account Login`.
    pub title: String,
    /// One sentence on who did what to whom.
    pub summary: String,
    /// What the detection asks people to do.
    pub action_required: String,
    /// The ATT&CK techniques.
    pub techniques: Vec<String>,
    /// Whether the call was denied or failed, so that nothing has happened yet.
    pub attempted: bool,
    /// When the call was made.
    #[serde(serialize_with = "as_text")]
    pub event_time: Timestamp,
    /// The action.
    pub event_name: Option<String>,
    /// The service.
    pub event_source: Option<String>,
    /// The account the event was recorded for.
    pub account: Option<String>,
    /// The region it was recorded in.
    pub region: Option<String>,
    /// Who acted: the column `user_name`.
    pub user: Option<String>,
    /// The session's name: the person behind a role.
    pub session: Option<String>,
    /// The caller's ARN.
    pub actor_arn: Option<String>,
    /// The role behind the caller's session.
    pub role_arn: Option<String>,
    /// The source address, or an AWS service's name.
    pub source_ip: Option<String>,
    /// The caller's program, as it calls itself.
    pub user_agent: Option<String>,
    /// How the event came to us.
    pub arrival: Arrival,
    /// When the ledger first saw it.
    #[serde(serialize_with = "as_text")]
    pub first_seen: Timestamp,
    /// The run that found it.
    pub run: Option<RunId>,
    /// The suppression that silenced it.
    pub suppressed_by: Option<SuppressionId>,
    /// Who has seen to it.
    pub acknowledged: Option<Acknowledgement>,
    /// The whole record as JSON: an event that a filter left out of the store stands nowhere else.
    #[serde(serialize_with = "as_json")]
    pub record: String,
}

/// An alert about ourselves, which is no event's.
#[derive(Debug)]
pub(crate) struct OurOwn {
    /// What stands in the place of a detection's id.
    pub(crate) detection: &'static str,
    /// What stands in the place of an event's: the same for what is to be told once.
    pub(crate) event_id: String,
    pub(crate) title: &'static str,
    pub(crate) summary: String,
    pub(crate) action_required: &'static str,
    pub(crate) record: String,
    pub(crate) now: Timestamp,
}

impl Alert {
    /// The alert about ourselves: it stands in the ledger and is sent as the rest are.
    pub(crate) fn our_own(own: OurOwn) -> Alert {
        let OurOwn { detection, event_id, title, summary, action_required, record, now } = own;
        Alert {
            id: AlertId::of(&event_id, detection),
            event_id,
            detection: detection.to_owned(),
            severity: Severity::High,
            title: title.to_owned(),
            summary,
            action_required: action_required.to_owned(),
            techniques: Vec::new(),
            attempted: false,
            event_time: now,
            event_name: None,
            event_source: None,
            account: None,
            region: None,
            user: None,
            session: None,
            actor_arn: None,
            role_arn: None,
            source_ip: None,
            user_agent: None,
            arrival: Arrival::Live,
            first_seen: now,
            run: None,
            suppressed_by: None,
            acknowledged: None,
            record,
        }
    }

    /// The alert that a finding on an event makes. It is not suppressed yet:
    /// see [`Suppressions::apply`](crate::suppress::Suppressions::apply).
    #[must_use]
    pub fn new(event: &Event<'_>, finding: Finding, occasion: Occasion) -> Alert {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let detection = finding.detection;
        Alert {
            id: AlertId::of(event.id(), detection.id),
            event_id: event.id().to_owned(),
            detection: detection.id.to_owned(),
            severity: finding.severity,
            title: finding.title,
            summary: finding.summary,
            action_required: detection.action_required.to_owned(),
            techniques: detection.techniques.iter().map(|&technique| technique.to_owned()).collect(),
            attempted: finding.attempted,
            event_time: event.event_time,
            event_name: owned(event.event_name()),
            event_source: owned(event.event_source()),
            account: owned(event.account_id()),
            region: owned(event.aws_region()),
            user: owned(event.user_name()),
            session: owned(event.session_name()),
            actor_arn: owned(event.actor_arn()),
            role_arn: owned(event.role_arn()),
            source_ip: owned(event.source_ip()),
            user_agent: owned(event.user_agent()),
            arrival: occasion.arrival,
            first_seen: occasion.now,
            run: occasion.run,
            suppressed_by: None,
            acknowledged: None,
            record: event.to_json(),
        }
    }

    /// Takes an alert back from the JSON it serialises as; none where that is not what the text is.
    #[must_use]
    pub fn from_json(text: &str) -> Option<Alert> {
        let written: Written = serde_json::from_str(text).ok()?;
        let acknowledged = match written.acknowledged {
            None => None,
            Some(seen) => Some(Acknowledgement { at: Timestamp::parse(&seen.at)?, by: seen.by, note: seen.note }),
        };
        // A record that is no JSON stands there as a string.
        let record = written.record.get();
        let record = serde_json::from_str::<String>(record).unwrap_or_else(|_| record.to_owned());
        Some(Alert {
            id: written.id,
            event_id: written.event_id,
            detection: written.detection,
            severity: written.severity,
            title: written.title,
            summary: written.summary,
            action_required: written.action_required,
            techniques: written.techniques,
            attempted: written.attempted,
            event_time: Timestamp::parse(&written.event_time)?,
            event_name: written.event_name,
            event_source: written.event_source,
            account: written.account,
            region: written.region,
            user: written.user,
            session: written.session,
            actor_arn: written.actor_arn,
            role_arn: written.role_arn,
            source_ip: written.source_ip,
            user_agent: written.user_agent,
            arrival: written.arrival,
            first_seen: Timestamp::parse(&written.first_seen)?,
            run: written.run.map(RunId),
            suppressed_by: written.suppressed_by.map(SuppressionId::from_stored),
            acknowledged,
            record,
        })
    }

    /// The UTC day of the event: with `event_id`, where the lake keeps it.
    #[must_use]
    pub fn event_day(&self) -> Day {
        self.event_time.day()
    }

    /// The person or principal behind the event: the session's name where there is one, else the user's.
    #[must_use]
    pub fn who(&self) -> Option<&str> {
        self.session.as_deref().or(self.user.as_deref())
    }

    /// Whether it still waits for somebody: neither suppressed nor acknowledged.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.suppressed_by.is_none() && self.acknowledged.is_none()
    }
}

/// An alert as its JSON has it.
#[derive(Deserialize)]
struct Written {
    id: AlertId,
    event_id: String,
    detection: String,
    severity: Severity,
    title: String,
    summary: String,
    action_required: String,
    techniques: Vec<String>,
    attempted: bool,
    event_time: String,
    event_name: Option<String>,
    event_source: Option<String>,
    account: Option<String>,
    region: Option<String>,
    user: Option<String>,
    session: Option<String>,
    actor_arn: Option<String>,
    role_arn: Option<String>,
    source_ip: Option<String>,
    user_agent: Option<String>,
    arrival: Arrival,
    first_seen: String,
    run: Option<i64>,
    suppressed_by: Option<String>,
    acknowledged: Option<Seen>,
    record: Box<RawValue>,
}

#[derive(Deserialize)]
struct Seen {
    at: String,
    by: String,
    note: String,
}

/// Serialises what has a text form as that text.
pub(crate) fn as_text<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Serialises a JSON text as the value it is, byte for byte; a text that is no JSON as a string.
fn as_json<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(value) => value.serialize(serializer),
        Err(_) => serializer.serialize_str(text),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};

    const OCCASION: Occasion = Occasion { now: Timestamp::MIN, arrival: Arrival::Backfill, run: Some(RunId(7)) };

    /// The alert that the first detection there is would give for an event.
    pub(crate) fn alert_on(event: &Event<'_>) -> Alert {
        let finding = Finding {
            detection: detect::all()[0],
            severity: Severity::Critical,
            title: "Root Account Login".to_owned(),
            summary: "The root user signed in.".to_owned(),
            attempted: false,
        };
        Alert::new(event, finding, OCCASION)
    }

    #[test]
    fn an_id_is_stable_and_tells_its_parts_apart() {
        // Golden: people write ids down, and the ledger is keyed by them.
        assert_eq!(AlertId::of("e1", "d1").as_str(), "7ba1231aed9cfb677494764d0400e4c4");
        assert_ne!(AlertId::of("e", "1d"), AlertId::of("e1", "d"));
        // An event's id is a stranger's.
        assert_ne!(AlertId::of("e1\0", "d1"), AlertId::of("e1", "d1"));
        assert_eq!(AlertId::of("e1", "d1").short().len(), SHORT_ID);
    }

    #[test]
    fn an_alert_says_what_its_event_says() {
        let builder = testkit::event("CreateUser").role_session("admins", "mallory").at("2026-01-15T12:00:00Z");
        let alert = alert_on(&builder.to_event());
        assert_eq!(alert.user.as_deref(), Some("admins"));
        assert_eq!(alert.who(), Some("mallory"));
        assert_eq!(alert.actor_arn.as_deref(), Some("arn:aws:sts::111122223333:assumed-role/admins/mallory"));
        assert_eq!(alert.role_arn.as_deref(), Some("arn:aws:iam::111122223333:role/admins"));
        assert_eq!(alert.event_day().to_string(), "2026-01-15");
        assert_eq!(alert.id, AlertId::of(&alert.event_id, &alert.detection));
        assert!(alert.is_open());
    }

    #[test]
    fn the_record_stands_in_the_json_as_the_value_it_is() {
        let builder = testkit::event("CreateUser").field("futureField", json!({"a": [1.0, null]}));
        let alert = alert_on(&builder.to_event());
        let written: Value = serde_json::from_str(&serde_json::to_string(&alert).unwrap()).unwrap();
        assert_eq!(written["record"]["futureField"], json!({"a": [1.0, null]}));
        assert_eq!(written["severity"], "critical");
        assert_eq!(written["event_time"], "2026-01-15T12:00:00Z");
        assert_eq!(written["arrival"], "backfill");

        let odd = Alert { record: "no JSON".to_owned(), ..alert };
        let written: Value = serde_json::from_str(&serde_json::to_string(&odd).unwrap()).unwrap();
        assert_eq!(written["record"], "no JSON");
    }

    #[test]
    fn an_alert_comes_back_from_its_json_byte_for_byte() {
        let builder = testkit::event("CreateUser").role_session("admins", "mallory").field("n", json!([1.0, 1, null]));
        let alert = alert_on(&builder.to_event());
        let seen = Acknowledgement { at: Timestamp::MAX, by: "bob".to_owned(), note: "a\"b".to_owned() };
        let by = SuppressionId::from_stored("0a".to_owned());
        let all = Alert { acknowledged: Some(seen), suppressed_by: Some(by), ..alert.clone() };
        let odd = Alert { record: "no JSON".to_owned(), ..alert.clone() };
        for alert in [alert, all, odd] {
            assert_eq!(Alert::from_json(&serde_json::to_string(&alert).unwrap()), Some(alert));
        }
        assert_eq!(Alert::from_json("{}"), None);
    }

    #[test]
    fn the_most_urgent_arrival_is_the_least() {
        assert!(Arrival::ALL.is_sorted());
        assert_eq!(Arrival::ALL.iter().min(), Some(&Arrival::Live));
    }
}

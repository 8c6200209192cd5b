//! Suppressions: silence that is explicit, explained, bounded in time and counted.
//!
//! A suppression hides no event and stops no detection: the alert is recorded with the id of what silenced it, is not
//! sent, and is left out of lists unless asked for.
//!
//! **Whether a suppression covers an alert depends on the event and not on the clock**: its dates are compared with the
//! event's time. Reading the same logs again next year gives the same answer, and an alert of today is not hidden by a
//! suppression that ended yesterday, however late it is read.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use event::Timestamp;
use ipnet::IpNet;
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::alert::{Alert, as_text, hex};
use crate::pattern::Pattern;

/// The path under which IAM Identity Center keeps the roles of its permission sets. IAM lets nobody else create a role
/// there, and Identity Center alone names their sessions.
const IDENTITY_CENTER_ROLES: &str = ":role/aws-reserved/sso.amazonaws.com/";

/// What is wrong with a suppression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SuppressionError {
    /// It has no condition, or its conditions hold for every alert.
    #[error("a suppression of everything is none; name a detection, a principal, an account or a source address")]
    Everything,
    /// It does not say why.
    #[error("a suppression needs a reason")]
    NoReason,
    /// It ends before it begins.
    #[error("a suppression that ends at {until} covers nothing after its start at {from}")]
    Ended {
        /// Its end.
        until: Timestamp,
        /// Its start, or when it was made.
        from: Timestamp,
    },
    /// The account is none.
    #[error("{0:?} is no account; an account has twelve digits")]
    Account(String),
    /// The source address is none.
    #[error("{0:?} is no address and no range such as 203.0.113.0/24 or 2001:db8::/32")]
    Address(String),
    /// The range's address has bits beyond its length, so it is not clear what was meant.
    #[error("{given} is no range: write {range} for the range, or the address alone")]
    HostBits {
        /// As it was written.
        given: String,
        /// The range it lies in.
        range: String,
    },
    /// What was stored as a time is none.
    #[error("{0:?} is no time")]
    Time(String),
    /// It was stored under an id that is not the one of what it says.
    #[error("{given:?} is not the id of what it says, which is {made}")]
    Identity {
        /// As it was stored.
        given: String,
        /// What its contents make.
        made: SuppressionId,
    },
}

/// An address or a range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange(IpNet);

impl AddressRange {
    /// Whether an event's source is an address within the range. An AWS service's name never is.
    #[must_use]
    pub fn contains(self, source_ip: &str) -> bool {
        source_ip.parse::<IpAddr>().is_ok_and(|address| self.0.contains(&address.to_canonical()))
    }

    fn is_everything(self) -> bool {
        self.0.prefix_len() == 0
    }
}

impl FromStr for AddressRange {
    type Err = SuppressionError;

    fn from_str(text: &str) -> Result<AddressRange, SuppressionError> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(AddressRange(address.to_canonical().into()));
        }
        let range: IpNet = text.parse().map_err(|_| SuppressionError::Address(text.to_owned()))?;
        if range.addr() != range.network() {
            return Err(SuppressionError::HostBits { given: text.to_owned(), range: range.trunc().to_string() });
        }
        Ok(AddressRange(range))
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

impl Serialize for AddressRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The identity of a suppression: the start of the SHA-256 of all it says, so that adding the same one twice is adding
/// it once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SuppressionId(String);

impl SuppressionId {
    /// Takes an id back from where it was stored.
    #[must_use]
    pub fn from_stored(id: String) -> SuppressionId {
        SuppressionId(id)
    }

    /// The id: ten hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SuppressionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a suppression covers: the alerts for which all of its conditions hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Conditions {
    /// Detections, by id.
    pub detection: Option<Pattern>,
    /// Principals, by user name, by the caller's ARN or by its role's ARN.
    ///
    /// A session's bare name counts only where Identity Center gave it. Anybody who may assume a role chooses the
    /// session's name, and must not be able to choose silence with it; name such sessions by their ARN, role included
    /// (`arn:aws:sts::*:assumed-role/deploy/ci-*`).
    pub principal: Option<Pattern>,
    /// The account the event was recorded for.
    pub account: Option<String>,
    /// The source address.
    pub source_ip: Option<AddressRange>,
}

impl Conditions {
    /// Whether all of the conditions hold for the alert, whatever its time.
    #[must_use]
    pub fn hold(&self, alert: &Alert) -> bool {
        let detection = self.detection.as_ref().is_none_or(|pattern| pattern.matches(&alert.detection));
        let account = self.account.as_ref().is_none_or(|account| alert.account.as_ref() == Some(account));
        let address = || match self.source_ip {
            None => true,
            Some(range) => alert.source_ip.as_deref().is_some_and(|source| range.contains(source)),
        };
        let principal = || match &self.principal {
            None => true,
            Some(pattern) => trusted_names(alert).any(|name| pattern.matches(name)),
        };
        detection && account && address() && principal()
    }

    fn hold_always(&self) -> bool {
        self.account.is_none()
            && self.detection.as_ref().is_none_or(Pattern::matches_everything)
            && self.principal.as_ref().is_none_or(Pattern::matches_everything)
            && self.source_ip.is_none_or(AddressRange::is_everything)
    }
}

/// The names of the caller that the caller cannot choose for itself.
fn trusted_names(alert: &Alert) -> impl Iterator<Item = &str> {
    let of_identity_center = alert.role_arn.as_deref().is_some_and(|role| role.contains(IDENTITY_CENTER_ROLES));
    let session = alert.session.as_ref().filter(|_| of_identity_center);
    [&alert.user, &alert.actor_arn, &alert.role_arn].into_iter().flatten().chain(session).map(String::as_str)
}

/// An order to keep certain alerts silent for a while.
///
/// Read back from JSON it is held to all that a new one is, so that no damaged text and no stranger's makes more silence
/// than somebody could have asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Suppression {
    /// Its identity.
    pub id: SuppressionId,
    /// What it covers.
    #[serde(flatten)]
    pub conditions: Conditions,
    /// Why.
    pub reason: String,
    /// Events before this are not covered. Without it, everything up to the end is.
    #[serde(serialize_with = "as_optional_text")]
    pub from: Option<Timestamp>,
    /// Events at this time and later are not covered.
    #[serde(serialize_with = "as_text")]
    pub until: Timestamp,
    /// When it was made.
    #[serde(serialize_with = "as_text")]
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When and by whom it was taken back. It then covers nothing, and stays to explain the alerts it silenced.
    pub removed: Option<Removal>,
}

/// That a suppression was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removal {
    /// When.
    #[serde(serialize_with = "as_text")]
    pub at: Timestamp,
    /// By whom.
    pub by: String,
}

/// What somebody asks for when they make a suppression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuppressionRequest {
    /// What to cover.
    pub conditions: Conditions,
    /// Why.
    pub reason: String,
    /// From when on; without it, from ever.
    pub from: Option<Timestamp>,
    /// Until when.
    pub until: Timestamp,
    /// Who asks.
    pub by: String,
}

impl Suppression {
    /// Makes a suppression.
    ///
    /// # Errors
    /// [`SuppressionError`] if it covers everything, gives no reason, or ends before it begins.
    pub fn new(request: SuppressionRequest, now: Timestamp) -> Result<Suppression, SuppressionError> {
        let SuppressionRequest { conditions, reason, from, until, by } = request;
        let reason = reason.trim().to_owned();
        if conditions.hold_always() {
            return Err(SuppressionError::Everything);
        }
        if reason.is_empty() {
            return Err(SuppressionError::NoReason);
        }
        // One for the past alone is fine: old logs are read too. But it has to say so.
        let start = from.unwrap_or(now);
        if until <= start {
            return Err(SuppressionError::Ended { until, from: start });
        }
        if let Some(account) = &conditions.account {
            let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
            if !is_account {
                return Err(SuppressionError::Account(account.clone()));
            }
        }
        let id = identity(&conditions, &reason, from, until);
        Ok(Suppression { id, conditions, reason, from, until, created_at: now, created_by: by, removed: None })
    }

    /// Whether it covers the alert: it was not taken back, its conditions hold, and the event lies in its time.
    #[must_use]
    pub fn covers(&self, alert: &Alert) -> bool {
        let has_begun = self.from.is_none_or(|from| from <= alert.event_time);
        self.removed.is_none() && has_begun && alert.event_time < self.until && self.conditions.hold(alert)
    }

    /// Whether it can no longer cover an event of now or later.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.removed.is_some() || self.until <= now
    }
}

/// A suppression as its JSON has it. A condition that is not known here would make it cover more than it says: it is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: String,
    detection: Option<Pattern>,
    principal: Option<Pattern>,
    account: Option<String>,
    source_ip: Option<String>,
    reason: String,
    from: Option<String>,
    until: String,
    created_at: String,
    created_by: String,
    removed: Option<WrittenRemoval>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRemoval {
    at: String,
    by: String,
}

impl TryFrom<Written> for Suppression {
    type Error = SuppressionError;

    fn try_from(written: Written) -> Result<Suppression, SuppressionError> {
        let time = |text: String| Timestamp::parse(&text).ok_or(SuppressionError::Time(text));
        let request = SuppressionRequest {
            conditions: Conditions {
                detection: written.detection,
                principal: written.principal,
                account: written.account,
                source_ip: written.source_ip.map(|range| range.parse()).transpose()?,
            },
            reason: written.reason,
            from: written.from.map(time).transpose()?,
            until: time(written.until)?,
            by: written.created_by,
        };
        let suppression = Suppression::new(request, time(written.created_at)?)?;
        if suppression.id.as_str() != written.id {
            return Err(SuppressionError::Identity { given: written.id, made: suppression.id });
        }
        let removed = written.removed.map(|removal| Ok(Removal { at: time(removal.at)?, by: removal.by }));
        Ok(Suppression { removed: removed.transpose()?, ..suppression })
    }
}

fn identity(conditions: &Conditions, reason: &str, from: Option<Timestamp>, until: Timestamp) -> SuppressionId {
    let Conditions { detection, principal, account, source_ip } = conditions;
    let parts = [
        detection.as_ref().map(Pattern::to_string),
        principal.as_ref().map(Pattern::to_string),
        account.clone(),
        source_ip.map(|range| range.to_string()),
        from.map(|time| time.to_string()),
        Some(until.to_string()),
        Some(reason.to_owned()),
    ];
    let mut digest = Sha256::new();
    for part in parts {
        // Absent and present texts of any length are told apart.
        let length = part.as_ref().map_or(u64::MAX, |text| text.len() as u64);
        digest.update(length.to_le_bytes());
        digest.update(part.unwrap_or_default());
    }
    SuppressionId(hex(&digest.finalize()[..5]))
}

/// The suppressions in force, asked for every alert of a run.
#[derive(Debug, Clone, Default)]
pub struct Suppressions(Vec<Suppression>);

impl Suppressions {
    /// Takes the suppressions, in any order.
    #[must_use]
    pub fn new(mut suppressions: Vec<Suppression>) -> Suppressions {
        // Where several cover an alert the oldest is named, in every run.
        suppressions.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Suppressions(suppressions)
    }

    /// The suppression that covers the alert.
    #[must_use]
    pub fn covering(&self, alert: &Alert) -> Option<&Suppression> {
        self.0.iter().find(|suppression| suppression.covers(alert))
    }

    /// Marks the alert with the suppression that covers it.
    pub fn apply(&self, alert: &mut Alert) {
        alert.suppressed_by = self.covering(alert).map(|suppression| suppression.id.clone());
    }
}

fn as_optional_text<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::tests::alert_on;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn pattern(text: &str) -> Option<Pattern> {
        Some(Pattern::new(text).unwrap())
    }

    fn alert() -> Alert {
        let builder = testkit::event("CreateUser").iam_user("alice").ip("203.0.113.9").at("2026-01-15T12:00:00Z");
        alert_on(&builder.to_event())
    }

    fn request(conditions: Conditions) -> SuppressionRequest {
        let until = time("2026-02-01T00:00:00Z");
        SuppressionRequest { conditions, reason: "known".to_owned(), from: None, until, by: "bob".to_owned() }
    }

    fn suppression(conditions: Conditions) -> Suppression {
        Suppression::new(request(conditions), time("2026-01-10T00:00:00Z")).unwrap()
    }

    #[test]
    fn every_condition_must_hold() {
        let alert = alert();
        let all = Conditions {
            detection: pattern(&alert.detection),
            principal: pattern("ALICE"),
            account: Some("111122223333".to_owned()),
            source_ip: Some("203.0.113.0/24".parse().unwrap()),
        };
        assert!(suppression(all.clone()).covers(&alert));
        for one_is_wrong in [
            Conditions { detection: pattern("other-*"), ..all.clone() },
            Conditions { principal: pattern("ali"), ..all.clone() },
            Conditions { account: Some("999999999999".to_owned()), ..all.clone() },
            Conditions { source_ip: Some("203.0.114.0/24".parse().unwrap()), ..all.clone() },
        ] {
            assert!(!suppression(one_is_wrong.clone()).covers(&alert), "{one_is_wrong:?}");
        }
        // A condition on what the record does not say does not hold.
        let silent = Alert { account: None, source_ip: None, ..alert };
        let account = Conditions { account: all.account, ..Conditions::default() };
        let address = Conditions { source_ip: all.source_ip, ..Conditions::default() };
        assert!(!suppression(account).covers(&silent));
        assert!(!suppression(address).covers(&silent));
    }

    #[test]
    fn the_time_of_the_event_decides() {
        let by_name = || Conditions { principal: pattern("alice"), ..Conditions::default() };
        let mut bounded = suppression(by_name());
        bounded.from = Some(time("2026-01-12T00:00:00Z"));
        for (event_time, covered) in [
            ("2026-01-11T23:59:59Z", false),
            ("2026-01-12T00:00:00Z", true),
            ("2026-01-31T23:59:59Z", true),
            ("2026-02-01T00:00:00Z", false),
        ] {
            let alert = Alert { event_time: time(event_time), ..alert() };
            assert_eq!(bounded.covers(&alert), covered, "{event_time}");
        }
        // Without a start it covers what happened before it was made, too.
        let old = Alert { event_time: time("2019-01-01T00:00:00Z"), ..alert() };
        assert!(suppression(by_name()).covers(&old));

        let removed = Some(Removal { at: time("2026-01-11T00:00:00Z"), by: "bob".to_owned() });
        assert!(!Suppression { removed, ..suppression(by_name()) }.covers(&alert()));
    }

    #[test]
    fn nobody_chooses_silence_by_the_name_of_a_session() {
        let by_name = |name| suppression(Conditions { principal: pattern(name), ..Conditions::default() });
        let disguised = alert_on(&testkit::event("CreateUser").role_session("intruder", "terraform").to_event());
        assert!(!by_name("terraform").covers(&disguised));
        assert!(by_name("intruder").covers(&disguised));
        assert!(by_name("*:assumed-role/*/terraform").covers(&disguised));

        // Identity Center names the sessions of its roles itself.
        let arn =
            |path: &str| Some(format!("arn:aws:iam::111122223333:role/{path}AWSReservedSSO_Admin_0123456789abcdef"));
        let mut person = alert_on(&testkit::event("CreateUser").role_session("x", "carol@example.com").to_event());
        person.role_arn = arn("aws-reserved/sso.amazonaws.com/eu-west-1/");
        assert!(by_name("carol@example.com").covers(&person));
        person.role_arn = arn("mine/aws-reserved/sso.amazonaws.com/");
        assert!(!by_name("carol@example.com").covers(&person));
    }

    #[test]
    fn addresses_and_ranges_of_both_families() {
        for (range, address, inside) in [
            ("203.0.113.9", "203.0.113.9", true),
            ("203.0.113.9", "203.0.113.10", false),
            ("203.0.113.0/24", "203.0.113.255", true),
            ("203.0.113.9", "::ffff:203.0.113.9", true),
            ("2001:db8::/32", "2001:DB8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("2001:db8::1", "2001:0db8:0:0:0:0:0:1", true),
            ("10.0.0.0/8", "cloudformation.amazonaws.com", false),
            ("0.0.0.0/0", "2001:db8::1", false),
        ] {
            let parsed: AddressRange = range.parse().unwrap();
            assert_eq!(parsed.contains(address), inside, "{range} {address}");
            assert_eq!(parsed.to_string(), range);
        }
        for text in ["", "10.0.0.0/33", "10.0.0", "example.com"] {
            assert_eq!(text.parse::<AddressRange>(), Err(SuppressionError::Address(text.to_owned())));
        }
        let error = "10.0.0.5/8".parse::<AddressRange>().unwrap_err();
        assert_eq!(error.to_string(), "10.0.0.5/8 is no range: write 10.0.0.0/8 for the range, or the address alone");
    }

    #[test]
    fn silence_is_bounded_and_explained() {
        let now = time("2026-01-10T00:00:00Z");
        let by_name = || Conditions { principal: pattern("alice"), ..Conditions::default() };
        for everything in [
            Conditions::default(),
            Conditions { principal: pattern("*"), detection: pattern("**"), ..Conditions::default() },
            Conditions { source_ip: Some("0.0.0.0/0".parse().unwrap()), ..Conditions::default() },
        ] {
            assert_eq!(Suppression::new(request(everything), now), Err(SuppressionError::Everything));
        }
        let silent = SuppressionRequest { reason: " ".to_owned(), ..request(by_name()) };
        assert_eq!(Suppression::new(silent, now), Err(SuppressionError::NoReason));
        let over = SuppressionRequest { until: now, ..request(by_name()) };
        assert_eq!(Suppression::new(over, now), Err(SuppressionError::Ended { until: now, from: now }));
        let account = Conditions { account: Some("prod".to_owned()), ..Conditions::default() };
        assert_eq!(Suppression::new(request(account), now), Err(SuppressionError::Account("prod".to_owned())));
        // The past is covered only where it is asked for by name.
        let past = SuppressionRequest { from: Some(time("2020-01-01T00:00:00Z")), until: now, ..request(by_name()) };
        assert!(Suppression::new(past, now).unwrap().is_over(now));
    }

    #[test]
    fn the_same_request_is_the_same_suppression() {
        let later = time("2026-01-11T00:00:00Z");
        let by_name = |name| Conditions { principal: pattern(name), ..Conditions::default() };
        let once = suppression(by_name("alice"));
        assert_eq!(Suppression::new(request(by_name("alice")), later).unwrap().id, once.id);
        assert_ne!(suppression(by_name("alicia")).id, once.id);
        // The text of one condition is not that of another.
        let by_detection = Conditions { detection: pattern("alice"), ..Conditions::default() };
        assert_ne!(suppression(by_detection).id, once.id);
    }

    #[test]
    fn what_was_stored_comes_back_only_as_what_could_have_been_asked_for() {
        let conditions = Conditions {
            detection: pattern("access-key-*"),
            source_ip: Some("2001:db8::/32".parse().unwrap()),
            ..Conditions::default()
        };
        let removed = Some(Removal { at: time("2026-01-11T00:00:00.5Z"), by: "carol".to_owned() });
        let whole = SuppressionRequest { from: Some(time("2026-01-01T00:00:00Z")), ..request(conditions) };
        let whole = Suppression { removed, ..Suppression::new(whole, time("2026-01-10T00:00:00.25Z")).unwrap() };
        let written = serde_json::to_value(&whole).unwrap();
        let read = |value: &serde_json::Value| serde_json::from_value::<Suppression>(value.clone());
        assert_eq!(read(&written).unwrap(), whole);

        let everything = suppression(Conditions { principal: pattern("alice"), ..Conditions::default() });
        let mut everything = serde_json::to_value(&everything).unwrap();
        everything["principal"] = "*".into();
        assert_eq!(read(&everything).unwrap_err().to_string(), SuppressionError::Everything.to_string());
        for (name, value, reason) in [
            ("detection", serde_json::json!(" x"), "pattern \" x\" is empty or has blanks around it"),
            ("source_ip", "10.0.0.5/8".into(), "10.0.0.5/8 is no range: write 10.0.0.0/8"),
            ("reason", "".into(), "a suppression needs a reason"),
            ("until", "2027-02-01T00:00:00Z".into(), "is not the id of what it says, which is "),
            ("until", "some day".into(), "\"some day\" is no time"),
            ("region", "eu-west-1".into(), "unknown field `region`"),
        ] {
            let mut wrong = written.clone();
            wrong[name] = value;
            let error = read(&wrong).unwrap_err().to_string();
            assert!(error.contains(reason), "{name}: {error}");
        }
    }

    #[test]
    fn the_oldest_of_several_is_named_in_any_order() {
        let broad = suppression(Conditions { principal: pattern("ali*"), ..Conditions::default() });
        let mut older = suppression(Conditions { principal: pattern("alice"), ..Conditions::default() });
        older.created_at = time("2026-01-01T00:00:00Z");
        for order in [vec![broad.clone(), older.clone()], vec![older.clone(), broad]] {
            let mut alert = alert();
            Suppressions::new(order).apply(&mut alert);
            assert_eq!(alert.suppressed_by.as_ref(), Some(&older.id));
        }
    }
}

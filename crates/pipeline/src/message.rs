//! An alert in words, for those who are told of it.
//!
//! The subject and the first lines are those of the classic tracker, label by label, because people filter their mail on
//! them. What is new stands behind them.

use std::fmt::{self, Write};

use crate::alert::{Alert, Arrival};
use crate::escape::{single_line, subject};
use crate::notify::{Kind, Parcel};

/// The most characters of one foreign text that a message repeats.
const FIELD_MAX: usize = 500;
/// The most characters of a sentence, which may name several.
const SENTENCE_MAX: usize = 2000;

/// The most alerts that a message lists beside the first.
const LISTED_MAX: usize = 50;

/// What stands where the record says nothing.
const ABSENT: &str = "-";

/// A message that tells of one alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// One line of at most 100 printable ASCII characters.
    pub subject: String,
    /// Plain text. No foreign text in it can begin a line or move a cursor.
    pub body: String,
}

impl Message {
    /// The message that tells of an alert.
    #[must_use]
    pub fn of(alert: &Alert) -> Message {
        let severity = alert.severity.as_str().to_ascii_uppercase();
        let mut body = String::with_capacity(1024);
        // Writing to a string never fails.
        let _ = write_body(&mut body, alert, &severity);
        Message { subject: subject(&format!("[{severity}] IAM Alert: {}", alert.title)), body }
    }

    /// The message that tells of a parcel: of one alert as [`Message::of`] does, of several with a list of them.
    #[must_use]
    pub fn of_parcel(parcel: &Parcel) -> Message {
        let first = Message::of(parcel.first());
        let mut body = String::new();
        match parcel.kind() {
            Kind::One => first,
            Kind::Alike => {
                let _ = writeln!(body, "{}\nAnd {} more like this:", first.body, parcel.others().len());
                list(&mut body, parcel.others());
                Message {
                    subject: subject(&tail(&first.subject, &format!(" (and {} more)", parcel.others().len()))),
                    body,
                }
            }
            Kind::Digest => {
                let severity = parcel.severity().as_str().to_ascii_uppercase();
                let title = headline(parcel);
                let _ = writeln!(body, "IAM Activity Alerts: {title}\n\nSeverity: {severity}\n");
                list(&mut body, parcel.alerts());
                Message { subject: subject(&format!("[{severity}] IAM Alerts: {title}")), body }
            }
        }
    }
}

/// What a parcel is about in a few words, on one line.
#[must_use]
pub fn headline(parcel: &Parcel) -> String {
    let title = single_line(&parcel.first().title, FIELD_MAX);
    match (parcel.kind(), parcel.others().len()) {
        (Kind::One, _) | (Kind::Digest, 0) => title.into_owned(),
        (Kind::Alike, others) => format!("{title}, and {others} more like this"),
        (Kind::Digest, others) => format!("{title}, and {others} more"),
    }
}

/// An alert on one line: when, how serious, what and who.
#[must_use]
pub fn line(alert: &Alert) -> String {
    let who = single_line(alert.who().unwrap_or(ABSENT), 100);
    let account = single_line(alert.account.as_deref().unwrap_or(ABSENT), 40);
    let title = single_line(&alert.title, 150);
    let severity = alert.severity.as_str().to_ascii_uppercase();
    format!("{} [{severity}] {title}: {who} in {account} ({})", alert.event_time.whole_second(), alert.id.short())
}

/// One line for each alert, as many as are readable.
fn list<'a>(body: &mut String, alerts: impl IntoIterator<Item = &'a Alert>) {
    let mut alerts = alerts.into_iter();
    for alert in alerts.by_ref().take(LISTED_MAX) {
        let _ = writeln!(body, "- {}", line(alert));
    }
    let rest = alerts.count();
    if rest > 0 {
        let _ = writeln!(body, "- and {rest} more");
    }
}

/// A subject with something behind it that is not cut off.
fn tail(text: &str, tail: &str) -> String {
    let room = crate::escape::SUBJECT_MAX.saturating_sub(tail.len());
    if text.len() <= room {
        return format!("{text}{tail}");
    }
    let kept: String = text.chars().take(room.saturating_sub(3)).collect();
    format!("{}...{tail}", kept.trim_end())
}

fn write_body(body: &mut String, alert: &Alert, severity: &str) -> fmt::Result {
    let field = |text: &Option<String>| match text.as_deref() {
        None | Some("") => ABSENT.to_owned(),
        Some(text) => single_line(text, FIELD_MAX).into_owned(),
    };
    let line = |text: &str| single_line(text, SENTENCE_MAX).into_owned();

    writeln!(body, "IAM Activity Alert: {}", line(&alert.title))?;
    writeln!(body)?;
    writeln!(body, "Severity: {severity}")?;
    writeln!(body, "Time: {}", classic_time(alert))?;
    writeln!(body, "Region: {}", field(&alert.region))?;
    writeln!(body)?;
    writeln!(body, "{}", line(&alert.summary))?;
    writeln!(body)?;
    writeln!(body, "Event Details:")?;
    writeln!(body, "- Event Name: {}", field(&alert.event_name))?;
    writeln!(body, "- User: {}", field(&alert.user))?;
    writeln!(body, "- Source IP: {}", field(&alert.source_ip))?;
    writeln!(body, "- Event ID: {}", single_line(&alert.event_id, FIELD_MAX))?;
    writeln!(body)?;
    writeln!(body, "Action Required: {}", line(&alert.action_required))?;

    writeln!(body)?;
    writeln!(body, "More Details:")?;
    writeln!(body, "- Account: {}", field(&alert.account))?;
    writeln!(body, "- Event Source: {}", field(&alert.event_source))?;
    if alert.session.is_some() {
        writeln!(body, "- Session: {}", field(&alert.session))?;
    }
    if alert.actor_arn.is_some() {
        writeln!(body, "- Principal: {}", field(&alert.actor_arn))?;
    }
    writeln!(body, "- User Agent: {}", field(&alert.user_agent))?;
    if !alert.techniques.is_empty() {
        writeln!(body, "- ATT&CK: {}", alert.techniques.join(", "))?;
    }
    writeln!(body, "- Detection: {}", alert.detection)?;
    writeln!(body, "- Alert ID: {}", alert.id.short())?;
    match alert.arrival {
        Arrival::Live => {}
        Arrival::Late => writeln!(body, "- Late: found while catching up after an outage")?,
        Arrival::Backfill => writeln!(body, "- Backfill: found in old logs")?,
    }
    if let Some(advice) = detect::find(&alert.detection).map(|detection| detection.docs.what_to_do.trim()) {
        writeln!(body)?;
        writeln!(body, "What to do:")?;
        writeln!(body, "{advice}")?;
    }
    Ok(())
}

/// The time as the classic tracker writes it, `2025-08-10T18:26:07+00:00`.
fn classic_time(alert: &Alert) -> String {
    let time = alert.event_time.to_string();
    let mut classic = time.strip_suffix('Z').unwrap_or(&time).to_owned();
    let _ = write!(classic, "+00:00");
    classic
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::tests::alert_on;
    use insta::assert_snapshot;
    use proptest::prelude::*;

    /// The labels that people filter on, in the classic order.
    const CLASSIC_LABELS: [&str; 10] = [
        "IAM Activity Alert: ",
        "Severity: ",
        "Time: ",
        "Region: ",
        "Event Details:",
        "- Event Name: ",
        "- User: ",
        "- Source IP: ",
        "- Event ID: ",
        "Action Required: ",
    ];

    fn root_login() -> Alert {
        let builder = testkit::console_login("Success").root().id("b5636e39-f66f-4ce1-b9f1-2368c72b7fc6");
        let mut alert = alert_on(&builder.at("2026-01-15T12:00:00Z").ip("198.51.100.7").to_event());
        // A snapshot of the message and not of the detection's own words.
        "example".clone_into(&mut alert.detection);
        alert.id = crate::alert::AlertId::of(&alert.event_id, "example");
        "Confirm with the owner.".clone_into(&mut alert.action_required);
        alert.techniques = vec!["T1078.004".to_owned()];
        alert
    }

    #[test]
    fn the_classic_message() {
        let message = Message::of(&root_login());
        assert_snapshot!(message.subject, @"[CRITICAL] IAM Alert: Root Account Login");
        assert_snapshot!(message.body, @r"
        IAM Activity Alert: Root Account Login

        Severity: CRITICAL
        Time: 2026-01-15T12:00:00+00:00
        Region: us-east-1

        The root user signed in.

        Event Details:
        - Event Name: ConsoleLogin
        - User: root
        - Source IP: 198.51.100.7
        - Event ID: b5636e39-f66f-4ce1-b9f1-2368c72b7fc6

        Action Required: Confirm with the owner.

        More Details:
        - Account: 111122223333
        - Event Source: signin.amazonaws.com
        - Principal: arn:aws:iam::111122223333:root
        - User Agent: Mozilla/5.0
        - ATT&CK: T1078.004
        - Detection: example
        - Alert ID: 07cce41ee9
        - Backfill: found in old logs
        ");
    }

    #[test]
    fn what_is_known_beyond_the_classic_message_stands_behind_it() {
        let builder = testkit::event("CreateUser").role_session("admins", "mallory");
        let alert = Alert { arrival: Arrival::Late, ..alert_on(&builder.to_event()) };
        let body = Message::of(&alert).body;
        let (classic, more) = body.split_once("More Details:").unwrap();
        assert!(classic.contains("- User: admins\n"), "{classic}");
        assert!(more.contains("- Session: mallory\n"), "{more}");
        assert!(more.contains("- Late: "), "{more}");
        let advice = detect::find(&alert.detection).unwrap().docs.what_to_do.trim();
        assert!(more.ends_with(&format!("What to do:\n{advice}\n")), "{more}");
    }

    #[test]
    fn what_the_record_does_not_say_is_a_dash() {
        let bare = alert_on(&event::Event::new(event::Timestamp::MIN));
        let body = Message::of(&bare).body;
        assert!(body.contains("- User: -\n- Source IP: -\n"), "{body}");
    }

    #[test]
    fn several_are_one_message_with_a_list() {
        let alert = root_login();
        let alerts = |count: usize| {
            let alert = |each: usize| {
                let id = crate::alert::AlertId::of(&each.to_string(), "example");
                Alert { id, user: Some(format!("user{each}\n- not a line")), ..alert.clone() }
            };
            (0..count).map(alert).collect::<Vec<_>>()
        };
        let alike = Message::of_parcel(&Parcel::alike(alerts(42)).unwrap());
        assert_eq!(alike.subject, "[CRITICAL] IAM Alert: Root Account Login (and 41 more)");
        let (first, list) = alike.body.split_once("\nAnd 41 more like this:\n").unwrap();
        assert!(first.starts_with("IAM Activity Alert: Root Account Login\n"), "{first}");
        assert_eq!(list.lines().count(), 41);
        assert_eq!(
            list.lines().next().unwrap(),
            r"- 2026-01-15T12:00:00Z [CRITICAL] Root Account Login: user1\n- not a line in 111122223333 (efdc03ec2f)"
        );

        let digest = Message::of_parcel(&Parcel::digest(alerts(60)).unwrap());
        assert_eq!(digest.subject, "[CRITICAL] IAM Alerts: Root Account Login, and 59 more");
        assert!(digest.body.ends_with("- and 10 more\n"), "{}", digest.body);

        let long = Alert { title: "x".repeat(200), ..root_login() };
        let long = Message::of_parcel(&Parcel::alike(vec![long.clone(), long]).unwrap());
        assert!(long.subject.len() <= 100 && long.subject.ends_with("... (and 1 more)"), "{}", long.subject);
    }

    proptest! {
        /// Whatever a stranger writes, the message has the same lines, and none of them is theirs.
        #[test]
        fn no_stranger_adds_a_line(text in any::<String>(), long in 0usize..5000) {
            let text = format!("\nSeverity: LOW\r\n{text}\u{85}\u{2028}{}", "x".repeat(long));
            let plain = root_login();
            let field = || Some(text.clone());
            let hostile = Alert {
                title: text.clone(), summary: text.clone(), event_id: text.clone(),
                region: field(), event_name: field(), event_source: field(), account: field(), user: field(),
                actor_arn: field(), source_ip: field(), user_agent: field(),
                ..plain.clone()
            };
            let (plain, hostile) = (Message::of(&plain), Message::of(&hostile));
            let labels = |body: &str| {
                let label = |line: &str| CLASSIC_LABELS.iter().position(|label| line.starts_with(label));
                body.lines().filter_map(label).collect::<Vec<_>>()
            };
            prop_assert_eq!(labels(&hostile.body), (0..CLASSIC_LABELS.len()).collect::<Vec<_>>());
            prop_assert_eq!(hostile.body.split('\n').count(), plain.body.split('\n').count());
            prop_assert!(!hostile.body.contains(|character: char| character.is_control() && character != '\n'));
            prop_assert!(hostile.body.len() < 40_000);
            prop_assert!(hostile.subject.starts_with("[CRITICAL] IAM Alert: "));
            prop_assert!(hostile.subject.len() <= 100 && !hostile.subject.contains(['\n', '\r']));
        }
    }
}

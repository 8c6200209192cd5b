//! The state in SQLite: what the port promises, on real files, with several processes, and through crashes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod crashes;
mod files;
mod golden;
mod ledger;
mod outbox;
mod processes;
mod proofs;
mod remembered;
mod streams;

use std::path::Path;

use detect::Severity;
use event::Timestamp;
use local::state::SqliteState;
use pipeline::alert::{Alert, AlertId, Arrival};
use pipeline::outbox::{Route, Routes};
use pipeline::pattern::Pattern;
use pipeline::suppress::{Conditions, Suppression, SuppressionRequest};

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

fn open(folder: &Path) -> SqliteState {
    SqliteState::open(&folder.join("state.db")).expect("a state")
}

/// An alert of its own for every number, an hour apart, with every field set.
fn alert(number: u32) -> Alert {
    let severities = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Informational];
    let event_id = format!("00000000-0000-4000-8000-{number:012}");
    let detection = if number.is_multiple_of(2) { "user-created" } else { "root-login" };
    let micros = time("2026-01-01T00:00:00Z").micros() + i64::from(number) * 3_600_000_000;
    Alert {
        id: AlertId::of(&event_id, detection),
        record: format!(r#"{{"eventID":"{event_id}"}}"#),
        event_id,
        detection: detection.to_owned(),
        severity: severities[number as usize % severities.len()],
        title: "A Title".to_owned(),
        summary: "Somebody did something.".to_owned(),
        action_required: "Look.".to_owned(),
        techniques: vec!["T1078.004".to_owned(), "T1098".to_owned()],
        attempted: number.is_multiple_of(3),
        event_time: Timestamp::from_micros(micros).expect("a time"),
        event_name: Some("CreateUser".to_owned()),
        event_source: Some("iam.amazonaws.com".to_owned()),
        account: Some(format!("{:012}", number % 3)),
        region: Some("us-east-1".to_owned()),
        user: Some(format!("user-{}", number % 4)),
        session: Some(format!("session-{}", number % 5)),
        actor_arn: Some(format!("arn:aws:sts::111122223333:assumed-role/user-{}/x", number % 4)),
        role_arn: Some(format!("arn:aws:iam::111122223333:role/user-{}", number % 4)),
        source_ip: Some("203.0.113.9".to_owned()),
        user_agent: Some("aws-cli/2".to_owned()),
        arrival: Arrival::Backfill,
        first_seen: time("2026-02-01T00:00:00Z"),
        run: None,
        suppressed_by: None,
        acknowledged: None,
    }
}

fn alerts(numbers: std::ops::Range<u32>) -> Vec<Alert> {
    numbers.map(alert).collect()
}

/// Newest event first, as the port lists them.
fn listed(mut alerts: Vec<Alert>) -> Vec<Alert> {
    alerts.sort_by(|a, b| b.event_time.cmp(&a.event_time).then_with(|| a.id.cmp(&b.id)));
    alerts
}

/// Everything to one channel, backfills only where asked for.
fn mail(backfill: bool) -> Routes {
    Routes { channels: vec![Route::new("mail", Severity::Informational)], backfill }
}

fn suppression(principal: &str) -> Suppression {
    let conditions =
        Conditions { principal: Some(Pattern::new(principal).expect("a pattern")), ..Conditions::default() };
    let request = SuppressionRequest {
        conditions,
        reason: "known".to_owned(),
        from: None,
        until: time("2027-01-01T00:00:00Z"),
        by: "bob".to_owned(),
    };
    Suppression::new(request, time("2026-02-01T00:00:00Z")).expect("a suppression")
}

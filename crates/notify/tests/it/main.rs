//! Channels against real servers on this machine's loopback, and what they send as snapshots.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's set-up fails by panicking")]

mod commands;
mod delivery;
mod formats;
mod mail;
mod schema;
mod server;
mod syslog;
mod webhooks;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use event::Timestamp;
use notify::{ChannelConfig, Edge, ImportFindings, Means, MemoryThreads, NoSecretStore, Publication, Publish};
use pipeline::alert::{Alert, Arrival, Occasion};
use pipeline::notify::{Channel, Parcel, Verdict};
use pipeline::store::Clock;

/// A clock that stands still.
struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::parse("2026-01-15T12:00:05Z").unwrap()
    }
}

/// What AWS was told.
#[derive(Default)]
struct Aws {
    published: Mutex<Vec<Publication>>,
    imported: Mutex<Vec<usize>>,
}

impl Publish for Aws {
    fn publish(&self, publication: &Publication, _: Duration) -> Verdict {
        self.published.lock().unwrap().push(publication.clone());
        Verdict::Delivered
    }
}

impl ImportFindings for Aws {
    fn home(&self) -> (String, String) {
        ("999999999999".to_owned(), "eu-central-1".to_owned())
    }

    fn import(&self, findings: &[serde_json::Value], _: Duration) -> Verdict {
        self.imported.lock().unwrap().push(findings.len());
        Verdict::Delivered
    }
}

fn means_with(aws: &Arc<Aws>) -> Means {
    Means {
        edge: Arc::new(Edge::new().unwrap()),
        clock: Arc::new(Noon),
        secrets: Arc::new(NoSecretStore),
        publisher: Some(Arc::clone(aws) as Arc<dyn Publish>),
        importer: Some(Arc::new({
            let aws = Arc::clone(aws);
            move || Ok(Arc::clone(&aws) as Arc<dyn ImportFindings>)
        })),
        threads: Arc::new(MemoryThreads::default()),
    }
}

fn try_channel(keys: &str) -> Result<Channel, String> {
    let config: ChannelConfig =
        toml::from_str(&format!("name = 'c'\n{keys}")).map_err(|error| error.message().to_owned())?;
    let built = notify::build(&[config], &means_with(&Arc::default())).map_err(|error| error.to_string())?;
    built.0.into_iter().next().ok_or_else(|| "not enabled".to_owned())
}

/// A channel of these keys.
fn channel(keys: &str) -> Channel {
    try_channel(keys).unwrap_or_else(|error| panic!("{keys}: {error}"))
}

/// The alert that the registry's own detection gives for a new access key.
fn alert() -> Alert {
    let event = testkit::event("CreateAccessKey")
        .role_session("ops/deploy", "mallory")
        .request(serde_json::json!({"userName": "bob"}))
        .id("0f3c7a1e-0000-4000-8000-000000000001")
        .to_event();
    let finding = detect::Registry::default().findings(&event).remove(0);
    let now = Timestamp::parse("2026-01-15T12:00:03Z").unwrap();
    Alert::new(&event, finding, Occasion { now, arrival: Arrival::Late, run: None })
}

/// Several alerts, each another event's.
fn alerts(count: usize) -> Vec<Alert> {
    let alert = |each: usize| {
        let base = alert();
        let event_id = format!("0f3c7a1e-0000-4000-8000-{each:012}");
        Alert { id: pipeline::alert::AlertId::of(&event_id, &base.detection), event_id, ..base }
    };
    (0..count).map(alert).collect()
}

/// An alert whose every text is a stranger's, and means harm.
fn hostile() -> Alert {
    let text = "</td><script>alert(1)</script> <!channel> <https://evil.example|aws> *b* {{DATE(2017-02-14T06:00:00Z)}} \
                [x](https://evil.example) \"]\\|= src=1.2.3.4 {{title}}\r\nBcc: all@example.com\r\n\r\n.\r\n\u{1b}[2J\u{202e}";
    let field = || Some(text.to_owned());
    Alert {
        title: text.to_owned(),
        summary: text.to_owned(),
        event_id: text.to_owned(),
        event_name: field(),
        event_source: field(),
        account: field(),
        region: field(),
        user: field(),
        session: field(),
        actor_arn: field(),
        role_arn: None,
        source_ip: field(),
        user_agent: field(),
        ..alert()
    }
}

fn one() -> Parcel {
    Parcel::one(alert())
}

fn reason(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Delivered => "delivered",
        Verdict::Retry { reason, .. } | Verdict::Refused { reason } => reason,
    }
}

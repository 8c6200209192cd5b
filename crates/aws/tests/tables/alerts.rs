use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use aws::{Access, AlertTable, Aws};
use detect::{DetectConfig, Registry, Severity};
use event::{Event, Timestamp};
use pipeline::alert::{Acknowledgement, Alert, Arrival, Occasion};
use pipeline::notify::{Channel, Courier, Digest, Office, Policy};
use pipeline::outbox::{Delivery, Outbox, Outcome, Route, Routes};
use pipeline::state::{Ledger, StateError};
use pipeline::store::Clock;
use serde_json::Value;
use testkit::event;
use testkit::http::HttpFaults;
use testkit::http::proxy::Proxy;

use crate::stage::{Stage, tables, time};

pub(crate) const CHANNEL: &str = "topic";

pub(crate) fn alerts(event: &Event<'_>, arrival: Arrival) -> Vec<Alert> {
    let mut found = Vec::new();
    let occasion = Occasion { now: time("2026-01-15T12:00:05Z"), arrival, run: None };
    Registry::new(&DetectConfig::default())
        .unwrap()
        .check(event, &mut |finding| found.push(Alert::new(event, finding, occasion)));
    found
}

pub(crate) fn routes() -> Routes {
    Routes { channels: vec![Route::new(CHANNEL, Severity::Informational)], backfill: false }
}

pub(crate) fn minute(minute: i64) -> Timestamp {
    Timestamp::from_micros(time("2026-01-15T12:01:00Z").micros() + minute * 60_000_000).unwrap()
}

pub(crate) fn claim(table: &AlertTable, now: i64) -> Vec<Alert> {
    claim_most(table, now, 100)
}

fn claim_most(table: &AlertTable, now: i64, limit: usize) -> Vec<Alert> {
    let claimed = table.claim(CHANNEL, minute(now), minute(now + 10), limit).unwrap();
    claimed.into_iter().map(|notification| notification.alert).collect()
}

pub(crate) fn all(table: &AlertTable) -> Vec<Alert> {
    let mut found = Vec::new();
    table
        .each::<StateError>(&mut |alert| {
            found.push(alert);
            Ok(())
        })
        .unwrap();
    found
}

/// Rows of an earlier program, which told people and then wrote them: read, and never told of again.
#[test]
fn old_rows_are_read_and_count_as_told() {
    let Some(mut stage) = Stage::open() else { return };
    let classic: Value = serde_json::from_str(include_str!("classic.json")).unwrap();
    for item in classic["trail-alerts"].as_array().unwrap() {
        stage.0.put("trail-alerts", item);
    }
    stage.check("alerts::reads_old_items");
}

#[test]
#[ignore = "a process that another test starts"]
fn reads_old_items() {
    let table = tables().alerts(None);
    let mut read = all(&table);
    read.sort_by(|one, two| one.event_id.cmp(&two.event_id));
    let [tracker, keyed, bare] = &read[..] else { panic!("{read:?}") };
    assert_eq!((tracker.severity, &*tracker.title, &*tracker.detection), (Severity::High, "IAM User Created", ""));
    assert_eq!(tracker.event_time, time("2025-08-10T18:30:04.123456Z"), "when it was sent, for want of another time");
    assert_eq!((keyed.severity, &*keyed.detection), (Severity::Critical, "access-key-created"));
    assert_eq!(keyed.event_time, time("2025-08-10T18:31:00Z"));
    assert_eq!((bare.severity, &*bare.title, bare.event_time), (Severity::Medium, "", Timestamp::MIN));

    // The same event, read again by this program.
    let again = alerts(&event("CreateAccessKey").id(&keyed.event_id).to_event(), Arrival::Live);
    let again: Vec<Alert> = again.into_iter().filter(|alert| alert.detection == keyed.detection).collect();
    assert_eq!(again[0].id, keyed.id);
    assert!(table.record_alerts(&again, &routes()).unwrap().new.is_empty());
    assert_eq!(table.delivery(&again[0]).unwrap(), None);

    // What was put into the outbox without an alert keeps nothing back, and is in nobody's way for long.
    let news = alerts(&event("CreateLoginProfile").id("e1").to_event(), Arrival::Live);
    table.record_alerts(&news, &routes()).unwrap();
    let mut claimed = claim(&table, 0);
    claimed.sort_by(|one, two| one.detection.cmp(&two.detection));
    assert_eq!(claimed, news);
    // The classic tracker's rows can be seen to, too.
    let seen = Acknowledgement { at: minute(0), by: "bob".to_owned(), note: "known".to_owned() };
    assert_eq!(table.acknowledge(&read, &seen).unwrap(), 3);
    assert_eq!(all(&table).iter().filter(|alert| alert.acknowledged.as_ref() == Some(&seen)).count(), 3);
    assert_eq!(table.deliveries(&bare.event_id).unwrap(), [(String::new(), Some(Delivery::Sent))]);
}

/// DynamoDB did what it was asked to, and its answer was lost on the way: the SDK asks again.
#[test]
fn a_claim_whose_answer_is_lost_is_the_claimers_own() {
    let Some(stage) = Stage::open() else { return };
    let faults = HttpFaults { cut: 0.3, seed: 7, ..HttpFaults::default() };
    let proxy = Proxy::open(&stage.0.endpoint, faults, 0.0);
    let ended = stage.run("alerts::loses_answers", &[("AWS_ENDPOINT_URL_DYNAMODB", &proxy.endpoint)]);
    let counts = proxy.counts();
    assert!(ended.success && counts["UpdateItem"].1 > 0, "{counts:?}");
}

#[test]
#[ignore = "a process that another test starts"]
fn loses_answers() {
    let (table, other) = (tables().alerts(None), tables().alerts(None));
    let many: Vec<Alert> = (0..20)
        .flat_map(|n| alerts(&event("CreateAccessKey").id(&format!("m{n}")).to_event(), Arrival::Live))
        .collect();
    table.record_alerts(&many, &routes()).unwrap();
    assert_eq!(claim(&table, 0).len(), many.len());
    assert!(claim(&other, 0).is_empty(), "and nobody else's");
}

/// Two alerts in one message, by the topic that moto plays.
#[test]
fn each_alert_keeps_what_its_message_is_called() {
    let Some(mut stage) = Stage::open() else { return };
    let (endpoint, topic) = (stage.0.endpoint.clone(), stage.0.topic.clone());
    let ended = stage.run("alerts::tells", &[("AWS_ENDPOINT_URL_SNS", &endpoint), ("TOPIC", &topic)]);
    assert!(ended.success);
    let [message] = &stage.0.messages()[..] else { panic!("one message") };
    let items = stage.0.items("trail-alerts");
    assert_eq!(items.len(), 2);
    for item in items {
        assert_eq!((&item["delivery"]["S"], &item["message_id"]["S"]), (&"sent".into(), &message["MessageId"]));
        assert!(["pending", "due", "claimed_by"].iter().all(|name| item[name].is_null()), "{item}");
    }
}

/// A clock that stands still.
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        minute(0)
    }
}

#[test]
#[ignore = "a process that another test starts"]
fn tells() {
    let table = tables().alerts(None);
    let found = ["e1", "e2"].map(|id| alerts(&event("CreateAccessKey").id(id).to_event(), Arrival::Live).remove(0));
    table.record_alerts(&found, &routes()).unwrap();
    let topics = Arc::new(Aws::open(&Access::default(), None).unwrap().topics());
    let channel = Channel {
        name: CHANNEL.to_owned(),
        route: Route::new(CHANNEL, Severity::Informational),
        policy: Policy {
            digest: Some(Digest { at_most: Severity::Critical, every: Duration::from_secs(1) }),
            ..Policy::default()
        },
        notifier: notify::topic(&std::env::var("TOPIC").unwrap(), Duration::from_secs(10), topics),
    };
    let routes = routes();
    let mut courier = Courier::new(&channel, Office { outbox: &table, routes: &routes, clock: &Still });
    let round = courier.round(&AtomicBool::new(false)).unwrap();
    assert_eq!((round.sent, round.messages), (2, 1), "{:?}", round.problems);
}

#[test]
#[ignore = "a process that another test starts"]
fn process() {
    let (table, other) = (tables().alerts(None), tables().alerts(None));
    let root = testkit::console_login("Success").root().mfa_used(false).id("e1").to_event();
    let found = alerts(&root, Arrival::Live);
    assert!(found.len() > 1, "several detections of one event");
    let recorded = table.record_alerts(&found, &routes()).unwrap();
    assert_eq!(recorded.new.len(), found.len());
    assert!(other.record_alerts(&found, &routes()).unwrap().new.is_empty());

    // One of the two that know of it sends it, as it was recorded; the other when the lease is over.
    let mut claimed = claim(&table, 0);
    assert!(claimed.is_sorted_by_key(|alert| std::cmp::Reverse(alert.severity)));
    assert!(claim(&other, 0).is_empty() && claim(&other, 9).is_empty());
    claimed.sort_by(|one, two| one.id.cmp(&two.id));
    let mut expected = found.clone();
    expected.sort_by(|one, two| one.id.cmp(&two.id));
    assert_eq!(claimed, expected);
    assert_eq!(claim(&other, 10).len(), found.len(), "found through the index, whoever recorded it");
    let sent = Outcome::Sent { at: minute(10), receipt: None };
    let outcomes: Vec<_> = found.iter().map(|alert| (alert.id.clone(), sent.clone())).collect();
    other.settle(CHANNEL, &outcomes).unwrap();
    // A warm process remembers nothing of what was settled.
    let known = format!("{other:?}");
    assert!(found.iter().all(|alert| !known.contains(alert.id.as_str())), "{known}");
    assert!(claim(&table, 100).is_empty());
    assert_eq!(table.delivery(&found[0]).unwrap(), Some(Delivery::Sent));
    // Recorded again, it is not sent again.
    table.record_alerts(&found, &routes()).unwrap();
    assert!(claim(&table, 100).is_empty());

    // Tried again, held, given up.
    let user = event("CreateAccessKey").id("e2").to_event();
    let found = alerts(&user, Arrival::Late);
    let (id, alert) = (found[0].id.clone(), &found[0]);
    table.record_alerts(&found[..1], &routes()).unwrap();
    assert_eq!(claim(&table, 0).len(), 1);
    let later = Outcome::Retry { after: minute(20), error: "not now".to_owned() };
    table.settle(CHANNEL, &[(id.clone(), later)]).unwrap();
    assert!(claim(&table, 19).is_empty());
    let claimed = table.claim(CHANNEL, minute(20), minute(30), 1).unwrap();
    assert_eq!((claimed.len(), claimed[0].attempts), (1, 1));
    table.hold(CHANNEL, std::slice::from_ref(&id), minute(40)).unwrap();
    assert!(claim(&table, 39).is_empty());
    assert_eq!(table.delivery(alert).unwrap(), Some(Delivery::Pending));
    assert_eq!(claim(&table, 40).len(), 1);
    table.settle(CHANNEL, &[(id, Outcome::Failed { at: minute(41), error: "gone".to_owned() })]).unwrap();
    assert!(claim(&table, 1000).is_empty());
    assert_eq!(table.delivery(alert).unwrap(), Some(Delivery::Failed));

    // A backfill is recorded and sent to nobody, until a stream brings it as news.
    let old = event("DeleteTrail").source("cloudtrail").id("e3").to_event();
    let backfill = alerts(&old, Arrival::Backfill);
    table.record_alerts(&backfill, &routes()).unwrap();
    assert!(claim(&table, 100).is_empty());
    assert_eq!(table.delivery(&backfill[0]).unwrap(), None);
    let late = alerts(&old, Arrival::Late);
    assert!(other.record_alerts(&late, &routes()).unwrap().new.is_empty());
    assert_eq!(claim(&other, 100), late);

    // A process that dies before it sends leaves it to whoever comes next.
    let key = event("CreateLoginProfile").id("e4").to_event();
    let found = alerts(&key, Arrival::Live);
    tables().alerts(None).record_alerts(&found, &routes()).unwrap();
    assert_eq!(claim(&table, 100).len(), found.len());

    // Two that claim at once.
    let many: Vec<Alert> = (0..40)
        .flat_map(|n| alerts(&event("CreateAccessKey").id(&format!("m{n}")).to_event(), Arrival::Live))
        .collect();
    tables().alerts(None).record_alerts(&many, &routes()).unwrap();
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| claim(&table, 200));
        let two = scope.spawn(|| claim(&other, 200));
        (one.join().unwrap(), two.join().unwrap())
    });
    let mut ids: Vec<_> =
        one.iter().chain(&two).filter(|alert| alert.event_id.starts_with('m')).map(|a| &a.id).collect();
    ids.sort();
    let claimed = ids.len();
    ids.dedup();
    assert_eq!((ids.len(), claimed), (many.len(), many.len()));

    // At most as many as are asked for, the most serious first; the rest is there for the next.
    let table = tables().alerts(None);
    let mut many: Vec<Alert> = ["UpdateAccessKey", "CreateAccessKey"]
        .iter()
        .flat_map(|name| (0..10).map(move |n| event(name).id(&format!("{name}{n}")).to_event()))
        .flat_map(|event| alerts(&event, Arrival::Live))
        .collect();
    table.record_alerts(&many, &routes()).unwrap();
    many.sort_by_key(|alert| std::cmp::Reverse(alert.severity));
    assert!(many[0].severity > many[many.len() - 1].severity);
    let mut claimed = claim_most(&table, 1, 7);
    assert_eq!(claimed.len(), 7);
    assert!(claimed.iter().all(|alert| alert.severity == many[0].severity), "{claimed:?}");
    claimed.extend(claim_most(&table, 1, 100));
    let ids = |alerts: &[Alert]| {
        let mut ids: Vec<_> = alerts.iter().map(|alert| alert.id.clone()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&claimed), ids(&many));

    assert!(all(&table).len() >= many.len() + 45);
}

use aws::AlertTable;
use detect::{DetectConfig, Registry, Severity};
use event::{Event, Timestamp};
use pipeline::alert::{Alert, Arrival, Occasion};
use pipeline::outbox::{Delivery, Outbox, Outcome, Route, Routes};
use pipeline::state::Ledger;
use testkit::event;

use crate::stage::{tables, time};

const CHANNEL: &str = "topic";

fn alerts(event: &Event<'_>, arrival: Arrival) -> Vec<Alert> {
    let mut found = Vec::new();
    let occasion = Occasion { now: time("2026-01-15T12:00:05Z"), arrival, run: None };
    Registry::new(&DetectConfig::default())
        .unwrap()
        .check(event, &mut |finding| found.push(Alert::new(event, finding, occasion)));
    found
}

fn routes() -> Routes {
    Routes { channels: vec![Route::new(CHANNEL, Severity::Informational)], backfill: false }
}

fn minute(minute: i64) -> Timestamp {
    Timestamp::from_micros(time("2026-01-15T12:01:00Z").micros() + minute * 60_000_000).unwrap()
}

fn claim(table: &AlertTable, now: i64) -> Vec<Alert> {
    let claimed = table.claim(CHANNEL, minute(now), minute(now + 10), 100).unwrap();
    claimed.into_iter().map(|notification| notification.alert).collect()
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
    let sent = Outcome::Sent { at: minute(10) };
    let outcomes: Vec<_> = found.iter().map(|alert| (alert.id.clone(), sent.clone())).collect();
    other.settle(CHANNEL, &outcomes).unwrap();
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

    let mut all = 0;
    table
        .each::<pipeline::state::StateError>(&mut |_| {
            all += 1;
            Ok(())
        })
        .unwrap();
    assert!(all >= many.len() + 5, "{all}");
}

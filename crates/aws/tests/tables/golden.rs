//! The items that this version of the tables writes, read by every later one: `items.json` holds them as they were written.
//! After a change of what is written `TRAILHOUND_BLESS=1` writes the file of the new version, beside the old ones.

use std::path::Path;

use aws::Position;
use event::{Day, Event};
use pipeline::alert::{Acknowledgement, Alert, Arrival};
use pipeline::collect::{Scope, Stream, StreamStore, Unknown};
use pipeline::coverage::Coverage;
use pipeline::outbox::{Delivery, Outbox, Outcome};
use pipeline::state::{Ledger, SuppressionStore};
use pipeline::store::EventStore;
use serde_json::{Map, Value, json};
use testkit::event;

use crate::alerts::{CHANNEL, alerts, all, claim, minute, routes};
use crate::control::{change, covered, trouble};
use crate::events;
use crate::stage::{Stage, tables, time};
use crate::suppressions::{removal, suppression};

const TABLES: [&str; 3] = ["trail-events", "trail-control", "trail-alerts"];

fn stored() -> [Event<'static>; 3] {
    let statement = json!({"Effect": "Allow", "Action": "*", "Resource": "*"}).to_string();
    let long = json!({"userName": "bob", "policyDocument": statement.repeat(400)});
    [
        event("CreateUser").id("e1").request(json!({"userName": "bob", "path": "/"})).to_event(),
        // Large enough to be compressed.
        event("PutUserPolicy").id("e2").request(long).to_event(),
        event("GetUser").id("e1#2").without("eventName").to_event(),
    ]
}

fn streams() -> [Stream; 2] {
    [
        Stream::new("111122223333", "us-east-1", "iam.amazonaws.com"),
        Stream::new("444455556666", "eu-west-1", "sso-directory.amazonaws.com"),
    ]
}

fn pause() -> pipeline::collect::Pause {
    let (by, reason) = ("bob".to_owned(), "noise".to_owned());
    pipeline::collect::Pause { at: time("2026-01-15T12:00:00Z"), by, reason }
}

fn scope() -> Scope {
    let unknown = vec![Unknown { subject: "organization".to_owned(), trouble: trouble("not allowed") }];
    Scope { streams: streams().to_vec(), unknown }
}

fn known() -> Coverage {
    covered("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")
}

/// One alert each: waiting, sent, given up, seen to, told to nobody.
fn told() -> [Alert; 5] {
    let of = |name: &str, id: &str, arrival| alerts(&event(name).id(id).to_event(), arrival).remove(0);
    [
        of("CreateAccessKey", "a1", Arrival::Live),
        of("CreateAccessKey", "a2", Arrival::Late),
        of("CreateAccessKey", "a3", Arrival::Live),
        of("CreateLoginProfile", "a4", Arrival::Live),
        of("CreateLoginProfile", "a5", Arrival::Backfill),
    ]
}

fn seen() -> Acknowledgement {
    Acknowledgement { at: minute(3), by: "bob".to_owned(), note: "known".to_owned() }
}

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

fn position() -> Position {
    Position { day: day("2026-01-15"), id: "id with # and  spaces".to_owned(), events: 7, began: Some(minute(0)) }
}

#[test]
#[ignore = "a process that another test starts"]
fn writes() {
    let tables = tables();
    let events = tables.events(None);
    assert_eq!(events::append(&events, &stored()), (3, 0, 0));
    events.commit().unwrap();

    let control = tables.control();
    let [ours, theirs] = streams();
    control.save_streams(&[change(&ours, known()), change(&theirs, Coverage::default())]).unwrap();
    assert!(control.pause_stream(&theirs, Some(&pause())).unwrap());
    control.save_scope(&scope()).unwrap();
    assert!(control.add_suppression(&suppression("alice")).unwrap());
    assert!(control.add_suppression(&suppression("eve")).unwrap());
    assert!(control.remove_suppression(&suppression("eve").id, &removal()).unwrap());

    let exports = tables.exports();
    exports.begin("lake one", &exports.read().unwrap(), day("2026-01-14")).unwrap();
    exports.searched(&[(day("2026-01-02"), minute(1))], Some(day("2026-01-01"))).unwrap();
    exports.exported(day("2026-01-03"), 12, None).unwrap();
    exports.stopped(&position()).unwrap();

    let table = tables.alerts(None);
    let [waits, sent, failed, acknowledged, backfill] = told();
    table.record_alerts(&[sent.clone(), failed.clone(), acknowledged.clone(), backfill], &routes()).unwrap();
    assert_eq!(claim(&table, 0).len(), 3);
    let outcomes = [
        (sent.id, Outcome::Sent { at: minute(1), receipt: None }),
        (failed.id, Outcome::Failed { at: minute(2), error: "gone".to_owned() }),
        (acknowledged.id.clone(), Outcome::Sent { at: minute(1), receipt: None }),
    ];
    table.settle(CHANNEL, &outcomes).unwrap();
    assert_eq!(table.acknowledge(&[acknowledged], &seen()).unwrap(), 1);
    table.record_alerts(&[waits], &routes()).unwrap();
}

#[test]
#[ignore = "a process that another test starts"]
fn reads() {
    let tables = tables();
    let events = tables.events(None);
    let found = events::day(&events, "2026-01-15");
    let mut records: Vec<Value> = found.iter().map(events::record).collect();
    let mut expected = stored().map(|event| events::value(&event.to_json())).to_vec();
    for records in [&mut records, &mut expected] {
        records.sort_by_key(|record| record["eventID"].to_string());
    }
    assert_eq!(records, expected);
    assert_eq!(events::append(&events, &stored()), (0, 3, 0), "they are there");

    let control = tables.control();
    let [ours, theirs] = streams();
    let states = control.streams().unwrap();
    let expected = change(&ours, known());
    assert_eq!(states.iter().map(|state| &state.stream).collect::<Vec<_>>(), [&ours, &theirs]);
    assert_eq!((&states[0].walks, &states[0].health), (&expected.walks, &expected.health));
    assert_eq!((&states[0].coverage, states[0].since, &states[0].pause), (&known(), expected.since, &None));
    assert_eq!(states[1].pause, Some(pause()));
    assert_eq!(control.scope().unwrap(), scope());
    let suppressions = control.suppressions().unwrap();
    let by_name = |name: &str| suppressions.iter().find(|known| known.id == suppression(name).id).unwrap().clone();
    assert_eq!((by_name("alice"), by_name("eve").removed), (suppression("alice"), Some(removal())));

    let exported = tables.exports().read().unwrap();
    assert_eq!((exported.lake.as_deref(), exported.search), (Some("lake one"), Some(day("2026-01-01"))));
    assert_eq!(exported.days, [(day("2026-01-03"), 12)].into());
    assert_eq!(exported.position, Some(position()));
    // The day of the events is noted with the time of their writing, the other with the one that was given.
    assert_eq!(exported.changed.keys().copied().collect::<Vec<_>>(), [day("2026-01-02"), day("2026-01-15")]);
    assert_eq!(exported.changed[&day("2026-01-02")], minute(1));

    let table = tables.alerts(None);
    let told = told();
    let mut read = all(&table);
    read.sort_by(|one, two| one.event_id.cmp(&two.event_id));
    let mut expected = told.to_vec();
    expected[3].acknowledged = Some(seen());
    assert_eq!(read, expected);
    let deliveries = told.each_ref().map(|alert| table.delivery(alert).unwrap());
    let sent = Some(Delivery::Sent);
    assert_eq!(deliveries, [Some(Delivery::Pending), sent, Some(Delivery::Failed), sent, None]);
    assert_eq!(claim(&table, 0), told[..1], "what waits is sent, and nothing twice");
}

/// Whoever wrote them: this program, or the one that wrote the file.
#[test]
fn items_of_today_are_read() {
    let Some(mut stage) = Stage::open() else { return };
    stage.check("golden::writes");
    if std::env::var_os("TRAILHOUND_BLESS").is_some() {
        let mut tables = Map::new();
        for table in TABLES {
            let mut items = stage.0.items(table);
            items.sort_by_key(ToString::to_string);
            tables.insert(table.to_owned(), items.into());
        }
        let text = serde_json::to_string_pretty(&Value::from(tables)).unwrap() + "\n";
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables/items.json"), text).unwrap();
    }
    stage.check("golden::reads");
}

#[test]
fn golden_items_are_read() {
    let Some(mut stage) = Stage::open() else { return };
    let golden: Value = serde_json::from_str(include_str!("items.json")).unwrap();
    for table in TABLES {
        golden[table].as_array().unwrap().iter().for_each(|item| stage.0.put(table, item));
    }
    stage.check("golden::reads");
}

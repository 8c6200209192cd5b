use std::ops::ControlFlow;

use aws::{EventTable, Stored};
use event::{Column, Day, Event};
use pipeline::service::CallError;
use pipeline::store::EventStore;
use serde_json::{Value, json};
use testkit::event;

use crate::stage::{Stage, tables, time};

const NOW: &str = "2026-01-15T12:10:00Z";

pub(crate) fn append(table: &EventTable, events: &[Event<'_>]) -> (u64, u64, usize) {
    let appended = table.append(events, "LookupEvents/x", time(NOW)).unwrap();
    (appended.stored, appended.duplicates, appended.variants.len())
}

pub(crate) fn day(table: &EventTable, day: &str) -> Vec<Stored> {
    let mut found = Vec::new();
    table
        .of_day::<CallError>(Day::parse(day).unwrap(), &mut |events| {
            found.extend(events);
            Ok(())
        })
        .unwrap();
    found
}

/// The days and ids that an index has, page by page, at most so many pages.
fn of(table: &EventTable, column: Column, value: &str, most: usize) -> Vec<Vec<(Day, String)>> {
    let days = (Day::parse("2026-01-01").unwrap(), Day::parse("2026-01-31").unwrap());
    let mut pages = Vec::new();
    table
        .of::<CallError>(column, value, days, &mut |events| {
            pages.push(events.into_iter().map(|stored| (stored.day, stored.id)).collect());
            Ok(if pages.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
        .unwrap();
    pages
}

pub(crate) fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

pub(crate) fn record(stored: &Stored) -> Value {
    value(stored.record.as_ref().unwrap().as_ref().unwrap())
}

/// A megabyte that cannot be compressed to less than an item holds.
fn noise() -> String {
    let mut state = 7u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'0' + (state >> 33) as u8 % 75)
    };
    (0..1_200_000).map(|_| next()).collect()
}

#[test]
#[ignore = "a process that another test starts"]
fn process() {
    let table = tables().events(Some(std::time::Duration::from_secs(86_400)));
    let first = event("CreateUser").id("e1").request(json!({"userName": "bob", "path": "/"})).to_event();
    let other = event("DeleteUser").id("e2").to_event();
    let next_day = event("CreateUser").id("e3").at("2026-01-16T00:00:00Z").to_event();
    // Known before its commit, too.
    assert_eq!(append(&table, &[first.clone(), other.clone(), first.clone()]), (2, 1, 0));
    assert_eq!(append(&table, &[first.clone(), next_day]), (1, 1, 0));
    assert!(day(&table, "2026-01-15").is_empty(), "nothing counts before its commit");
    table.commit().unwrap();
    let found = day(&table, "2026-01-15");
    let ids: Vec<&str> = found.iter().map(|stored| stored.id.as_str()).collect();
    assert_eq!(ids, ["e1", "e2"]);
    assert_eq!(record(&found[0]), value(&first.to_json()));
    assert_eq!(found[0].event().unwrap().unwrap().user_name(), Some("alice"));
    assert_eq!(found[0].columns["event_name"], "CreateUser");
    assert_eq!(found[0].source_object.as_deref(), Some("LookupEvents/x"));

    // The same in another order of keys is no variant, in another process neither; something else is.
    let again = tables().events(None);
    let turned = event("CreateUser").id("e1").request(json!({"path": "/", "userName": "bob"})).to_event();
    let changed = event("CreateUser").id("e1").request(json!({"path": "/", "userName": "eve"})).to_event();
    assert_eq!(append(&again, &[turned, changed, other.clone()]), (0, 2, 1));
    again.commit().unwrap();
    assert_eq!(record(&day(&table, "2026-01-15")[0])["requestParameters"]["userName"], "bob");

    // What is too large for an item, and what is no key.
    let large = event("PutRolePolicy").id("large").request(json!({"policyDocument": noise()})).to_event();
    let long_id = event("GetUser").id(&"x".repeat(3000)).iam_user(&"y".repeat(3000)).to_event();
    let odd_id = event("GetUser").id("e1#2").without("eventName").to_event();
    assert_eq!(append(&table, &[large.clone(), long_id.clone(), odd_id.clone()]), (3, 0, 0));
    table.commit().unwrap();
    assert_eq!(append(&tables().events(None), &[large.clone(), long_id.clone(), odd_id.clone()]), (0, 3, 0));
    let found = day(&table, "2026-01-15");
    assert_eq!(found.len(), 5, "the parts of a record are no events");
    let records: Vec<Value> = found.iter().map(record).collect();
    for event in [&large, &long_id, &odd_id] {
        assert!(records.contains(&value(&event.to_json())), "{}", event.id().len());
    }

    let mut created = of(&table, Column::EventName, "CreateUser", 10).concat();
    created.sort();
    assert_eq!(created.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>(), ["e1", "e3"]);
    assert_eq!(of(&table, Column::UserName, "alice", 10).concat().len(), 5);
    assert!(of(&table, Column::UserName, "nobody", 10).concat().is_empty());

    // More than any call takes.
    let many: Vec<Event<'_>> = (0..1500).map(|n| event("ListUsers").id(&format!("m{n}")).to_event()).collect();
    for batch in many.chunks(250) {
        assert_eq!(append(&table, batch), (250, 0, 0));
    }
    table.commit().unwrap();
    assert_eq!(append(&tables().events(None), &many[..300]), (0, 300, 0));
    assert_eq!(day(&table, "2026-01-15").len(), 1505);

    // An index hands them on page by page, the newest day first, and each once.
    let newest = event("ListUsers").id("newest").at("2026-01-16T00:00:00Z").to_event();
    assert_eq!(append(&table, &[newest]), (1, 0, 0));
    table.commit().unwrap();
    let pages = of(&table, Column::EventName, "ListUsers", usize::MAX);
    assert!(pages.len() > 1 && pages.iter().all(|page| page.len() <= 800), "{}", pages.len());
    let newest = (Day::parse("2026-01-16").unwrap(), "newest".to_owned());
    assert!(pages[0].contains(&newest), "the newest day first");
    let mut all = pages.concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 1501);
    assert_eq!(of(&table, Column::EventName, "ListUsers", 1).len(), 1, "no page more than is wanted");
}

#[test]
#[ignore = "a process that another test starts"]
fn large_ones() {
    let table = tables().events(None);
    let large = |n| event("PutRolePolicy").id(&format!("l{n}")).request(json!({"policyDocument": noise()})).to_event();
    for n in 0..6 {
        assert_eq!(append(&table, &[large(n)]), (1, 0, 0));
    }
    assert!(day(&table, "2026-01-15").is_empty(), "few wait for their commit");
    for n in 6..12 {
        assert_eq!(append(&table, &[large(n)]), (1, 0, 0));
    }
    let written = day(&table, "2026-01-15").len();
    assert!((7..12).contains(&written), "{written} are written before: what waits is in memory");
    table.commit().unwrap();
    assert_eq!(day(&table, "2026-01-15").len(), 12);
}

#[test]
#[ignore = "a process that another test starts"]
fn dies() {
    let _scenario = fail::FailScenario::setup();
    let table = tables().events(None);
    append(&table, &[event("PutRolePolicy").id("large").request(json!({"policyDocument": noise()})).to_event()]);
    table.commit().unwrap();
}

#[test]
#[ignore = "a process that another test starts"]
fn goes_on() {
    let table = tables().events(None);
    assert!(day(&table, "2026-01-15").is_empty(), "a part alone is no event");
    let large = event("PutRolePolicy").id("large").request(json!({"policyDocument": noise()})).to_event();
    assert_eq!(append(&table, std::slice::from_ref(&large)), (1, 0, 0));
    table.commit().unwrap();
    let found = day(&table, "2026-01-15");
    assert_eq!(record(&found[0]), value(&large.to_json()));
}

#[test]
#[ignore = "a process that another test starts"]
fn reads_old_items() {
    let table = tables().events(None);
    let found = day(&table, "2025-08-10");
    assert_eq!((found.len(), &found[0].record), (1, &Ok(None)));
    assert_eq!(found[0].columns["request_parameters"], r#"{"userName": "bob"}"#);
    // The event again, with its whole record: it is there, and stays as it is.
    let same = event("CreateUser").id(&found[0].id).at("2025-08-10T18:26:07Z").to_event();
    assert_eq!(append(&table, &[same]), (0, 1, 0));
}

#[test]
fn what_could_not_be_written_waits() {
    Stage::play("events::fails_once");
}

#[test]
#[ignore = "a process that another test starts"]
fn fails_once() {
    let _scenario = fail::FailScenario::setup();
    fail::cfg("aws::between-events", "1*return(throttled)").unwrap();
    let table = tables().events(None);
    let large = event("PutRolePolicy").id("large").request(json!({"policyDocument": noise()})).to_event();
    append(&table, &[event("CreateUser").id("e1").to_event(), large]);
    assert!(table.commit().is_err());
    assert!(day(&table, "2026-01-15").is_empty());
    // It is known, and goes with whatever is committed next, by whomever.
    let appended = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let both = [event("CreateUser").id("e1").to_event(), event("CreateUser").id("e2").to_event()];
            let appended = append(&table, &both);
            table.commit().unwrap();
            appended
        });
        other.join().unwrap()
    });
    assert_eq!(appended, (1, 1, 0));
    let ids: Vec<String> = day(&table, "2026-01-15").into_iter().map(|stored| stored.id).collect();
    assert_eq!(ids, ["e1", "e2", "large"]);
}

#[test]
fn workers_that_bring_the_same_store_it_once() {
    Stage::play("events::together");
}

#[test]
#[ignore = "a process that another test starts"]
fn together() {
    let table = tables().events(None);
    // More than may wait: it is written while others ask for the same.
    let counts = std::thread::scope(|scope| {
        let bring = || {
            let many: Vec<Event<'_>> = (0..4100).map(|n| event("ListUsers").id(&format!("m{n}")).to_event()).collect();
            many.chunks(100).map(|page| append(&table, page)).collect::<Vec<_>>()
        };
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(bring)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    table.commit().unwrap();
    let sum = |count: fn(&(u64, u64, usize)) -> u64| counts.iter().map(count).sum::<u64>();
    assert_eq!((sum(|count| count.0), sum(|count| count.1), sum(|count| count.2 as u64)), (4100, 4100, 0));
    assert_eq!(day(&table, "2026-01-15").len(), 4100);
}

#[test]
fn an_item_that_cannot_be_read_hides_no_other() {
    let Some(mut stage) = Stage::open() else { return };
    stage.check("events::writes");
    let key = |id: &str| json!({"event_date": {"S": "2026-01-15"}, "event_id": {"S": id}});
    let mut damaged = key("damaged");
    damaged["record"] = json!({"B": "bm8gemxpYg=="});
    stage.0.put("trail-events", &damaged);
    // In the place of a part of a long record.
    let mut other = key("large#3");
    other["part_of"] = json!({"S": "large"});
    stage.0.put("trail-events", &other);
    stage.check("events::passes_over");
}

#[test]
#[ignore = "a process that another test starts"]
fn writes() {
    let table = tables().events(None);
    let large = event("PutRolePolicy").id("large").request(json!({"policyDocument": noise()})).to_event();
    append(&table, &[event("CreateUser").id("e1").to_event(), large, event("CreateUser").id("z").to_event()]);
    table.commit().unwrap();
}

#[test]
#[ignore = "a process that another test starts"]
fn passes_over() {
    let table = tables().events(None);
    let found = day(&table, "2026-01-15");
    let said: Vec<(&str, Option<&str>)> =
        found.iter().map(|stored| (stored.id.as_str(), stored.record.as_ref().err().map(String::as_str))).collect();
    let expected = [
        ("damaged", Some("its record cannot be inflated")),
        ("e1", None),
        ("large", Some("a part of its record is lost or damaged")),
        ("z", None),
    ];
    assert_eq!(said, expected);
    assert!(found[2].to_event().is_err());
    // The same again is there. What cannot be compared is kept aside, and stops nobody.
    let again = event("PutRolePolicy").id("large").request(json!({"policyDocument": noise()})).to_event();
    let other = event("PutRolePolicy").id("large").request(json!({"policyDocument": "{}"})).to_event();
    assert_eq!(append(&table, &[again, other]), (0, 1, 1));
}

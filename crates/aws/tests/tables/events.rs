use aws::{EventTable, Stored};
use event::{Column, Day, Event};
use pipeline::service::CallError;
use pipeline::store::EventStore;
use serde_json::{Value, json};
use testkit::event;

use crate::stage::{tables, time};

const NOW: &str = "2026-01-15T12:10:00Z";

fn append(table: &EventTable, events: &[Event<'_>]) -> (u64, u64, usize) {
    let appended = table.append(events, "LookupEvents/x", time(NOW)).unwrap();
    (appended.stored, appended.duplicates, appended.variants.len())
}

fn day(table: &EventTable, day: &str) -> Vec<Stored> {
    let mut found = Vec::new();
    table
        .of_day::<CallError>(Day::parse(day).unwrap(), &mut |events| {
            found.extend(events);
            Ok(())
        })
        .unwrap();
    found
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
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
    assert_eq!(value(found[0].record.as_ref().unwrap()), value(&first.to_json()));
    assert_eq!(found[0].event().unwrap().unwrap().user_name(), Some("alice"));
    assert_eq!(found[0].columns["event_name"], "CreateUser");
    assert_eq!(found[0].source_object.as_deref(), Some("LookupEvents/x"));

    // The same in another order of keys is no variant, in another process neither; something else is.
    let again = tables().events(None);
    let turned = event("CreateUser").id("e1").request(json!({"path": "/", "userName": "bob"})).to_event();
    let changed = event("CreateUser").id("e1").request(json!({"path": "/", "userName": "eve"})).to_event();
    assert_eq!(append(&again, &[turned, changed, other.clone()]), (0, 2, 1));
    again.commit().unwrap();
    assert_eq!(value(day(&table, "2026-01-15")[0].record.as_ref().unwrap())["requestParameters"]["userName"], "bob");

    // What is too large for an item, and what is no key.
    let large = event("PutRolePolicy").id("large").request(json!({"policyDocument": noise()})).to_event();
    let long_id = event("GetUser").id(&"x".repeat(3000)).iam_user(&"y".repeat(3000)).to_event();
    let odd_id = event("GetUser").id("e1#2").without("eventName").to_event();
    assert_eq!(append(&table, &[large.clone(), long_id.clone(), odd_id.clone()]), (3, 0, 0));
    table.commit().unwrap();
    assert_eq!(append(&tables().events(None), &[large.clone(), long_id.clone(), odd_id.clone()]), (0, 3, 0));
    let found = day(&table, "2026-01-15");
    assert_eq!(found.len(), 5, "the parts of a record are no events");
    let records: Vec<Value> = found.iter().map(|stored| value(stored.record.as_ref().unwrap())).collect();
    for event in [&large, &long_id, &odd_id] {
        assert!(records.contains(&value(&event.to_json())), "{}", event.id().len());
    }

    let days = (Day::parse("2026-01-01").unwrap(), Day::parse("2026-01-31").unwrap());
    let of = |column, value: &str, limit| -> Vec<String> {
        let mut found: Vec<String> = table.of(column, value, days, limit).unwrap().into_iter().map(|e| e.id).collect();
        found.sort();
        found
    };
    assert_eq!(of(Column::EventName, "CreateUser", 10), ["e1", "e3"]);
    assert_eq!(of(Column::EventName, "CreateUser", 1), ["e3"], "the newest day first");
    assert_eq!(of(Column::UserName, "alice", 10).len(), 5);
    assert!(of(Column::UserName, "nobody", 10).is_empty());

    // More than any call takes.
    let many: Vec<Event<'_>> = (0..1500).map(|n| event("ListUsers").id(&format!("m{n}")).to_event()).collect();
    for batch in many.chunks(250) {
        assert_eq!(append(&table, batch), (250, 0, 0));
    }
    table.commit().unwrap();
    assert_eq!(append(&tables().events(None), &many[..300]), (0, 300, 0));
    assert_eq!(day(&table, "2026-01-15").len(), 1505);
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
    assert_eq!(value(found[0].record.as_ref().unwrap()), value(&large.to_json()));
}

#[test]
#[ignore = "a process that another test starts"]
fn reads_old_items() {
    let table = tables().events(None);
    let found = day(&table, "2025-08-10");
    assert_eq!((found.len(), found[0].record.as_deref()), (1, None));
    assert_eq!(found[0].columns["request_parameters"], r#"{"userName": "bob"}"#);
    // The event again, with its whole record: it is there, and stays as it is.
    let same = event("CreateUser").id(&found[0].id).at("2025-08-10T18:26:07Z").to_event();
    assert_eq!(append(&table, &[same]), (0, 1, 0));
}

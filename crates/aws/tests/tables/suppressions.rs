use std::net::TcpListener;
use std::time::{Duration, Instant};

use pipeline::alert::{Acknowledgement, Alert, Arrival};
use pipeline::collect::StreamStore;
use pipeline::lookup::find_suppression;
use pipeline::outbox::{Delivery, Outbox, Outcome};
use pipeline::pattern::Pattern;
use pipeline::state::{Ledger, StateError, SuppressionStore};
use pipeline::suppress::{Conditions, Removal, Suppression, SuppressionRequest, Suppressions};
use serde_json::{Value, json};
use testkit::event;

use crate::alerts::{CHANNEL, alerts, all, claim, minute, routes};
use crate::stage::{Stage, tables, time};

pub(crate) fn suppression(principal: &str) -> Suppression {
    let request = SuppressionRequest {
        conditions: Conditions { principal: Some(Pattern::new(principal).unwrap()), ..Conditions::default() },
        reason: "a reason; with \"quotes\" and é".to_owned(),
        from: None,
        until: time("2026-03-01T00:00:00Z"),
        by: "bob".to_owned(),
    };
    Suppression::new(request, time("2026-01-10T00:00:00.25Z")).unwrap()
}

pub(crate) fn removal() -> Removal {
    Removal { at: time("2026-01-12T00:00:00Z"), by: "carol".to_owned() }
}

#[test]
#[ignore = "a process that another test starts"]
fn process() {
    let (table, other) = (tables().control(), tables().control());
    assert_eq!(table.suppressions().unwrap(), []);
    let (one, later) =
        (suppression("alice"), Suppression { created_at: time("2026-01-11T00:00:00Z"), ..suppression("b*") });
    let unknown = table.remove_suppression(&one.id, &removal()).unwrap_err();
    assert!(matches!(unknown, StateError::Unknown { what: "suppression", .. }));
    for one in [&later, &one] {
        assert!(table.add_suppression(one).unwrap());
        assert!(!other.add_suppression(one).unwrap(), "it is there");
    }
    assert_eq!(other.suppressions().unwrap(), [one.clone(), later.clone()]);
    assert_eq!(other.suppressions_within(Duration::from_secs(5)).unwrap(), [one.clone(), later.clone()]);
    assert_eq!(find_suppression(&other, &one.id.as_str()[..4]).unwrap(), one);

    // Taken back it stays on record; added again it comes back.
    assert!(table.remove_suppression(&one.id, &removal()).unwrap());
    assert!(!other.remove_suppression(&one.id, &removal()).unwrap());
    let removed = Suppression { removed: Some(removal()), ..one.clone() };
    assert_eq!(other.suppressions().unwrap(), [removed, later.clone()]);
    let again = Suppression { created_at: time("2026-01-12T00:00:00Z"), created_by: "dave".to_owned(), ..one };
    assert!(table.add_suppression(&again).unwrap());
    assert_eq!(other.suppressions().unwrap(), [later, again]);

    // Two that add at once lose nothing of each other.
    std::thread::scope(|scope| {
        for (table, half) in [(&table, 0), (&other, 1)] {
            scope.spawn(move || {
                (0..8).for_each(|n| assert!(table.add_suppression(&suppression(&format!("user-{half}-{n}"))).unwrap()));
            });
        }
    });
    assert_eq!(table.suppressions().unwrap().len(), 18);
    assert!(table.streams().unwrap().is_empty(), "no stream");

    // More than an item holds.
    let long = Suppression { reason: "r".repeat(360_000), ..suppression("x") };
    let full = table.add_suppression(&long).unwrap_err().to_string();
    assert!(full.starts_with("dynamodb://trail-control/#suppressions is full: those in force would take"), "{full}");
    assert_eq!(table.suppressions().unwrap().len(), 18);
}

/// Puts an item of suppressions.
fn put(stage: &mut Stage, document: &Value) {
    stage.0.put("trail-control", &json!({"region": {"S": "#suppressions"}, "suppressions": document}));
}

/// What an earlier program wrote is read; what nobody could have asked for silences nothing.
#[test]
fn what_stands_there_is_not_trusted() {
    let Some(mut stage) = Stage::open() else { return };
    let golden: Value = serde_json::from_str(include_str!("suppressions.json")).unwrap();
    put(&mut stage, &json!({"S": golden.to_string()}));
    stage.check("suppressions::reads_old_items");
    let mut everything = golden.clone();
    everything[1]["principal"] = json!("*");
    let mut newer = golden.clone();
    newer[0]["region"] = json!("eu-west-1");
    let id = golden[1]["id"].as_str().unwrap();
    for (document, reason) in [
        (json!({"S": everything.to_string()}), &*format!("suppression \"{id}\": a suppression of everything is none")),
        (json!({"S": newer.to_string()}), "unknown field `region`"),
        (json!({"S": "[{"}), "EOF while parsing"),
        (json!({"S": "{}"}), "invalid type: map"),
        (json!({"N": "1"}), "suppressions is no text"),
        (json!({"S": format!("[{}]", " ".repeat(360_000))}), "or longer than it may be"),
    ] {
        put(&mut stage, &document);
        let ended = stage.run("suppressions::refuses", &[("REASON", reason)]);
        assert!(ended.success, "{reason}");
    }
}

#[test]
#[ignore = "a process that another test starts"]
fn reads_old_items() {
    let read = tables().control().suppressions().unwrap();
    let [by_address, by_name] = &read[..] else { panic!("{read:?}") };
    assert_eq!(by_address.conditions.source_ip.unwrap().to_string(), "2001:db8::/32");
    assert_eq!(by_address.from, Some(time("2026-01-01T00:00:00Z")));
    assert_eq!(by_address.removed, Some(removal()));
    assert_eq!((by_name.id.as_str(), &by_name.removed), (suppression("alice").id.as_str(), &None));
}

#[test]
#[ignore = "a process that another test starts"]
fn refuses() {
    let reason = std::env::var("REASON").unwrap();
    let table = tables().control();
    for error in [
        table.suppressions().unwrap_err(),
        table.suppressions_within(Duration::from_secs(5)).unwrap_err(),
        // Nor is anything written over it.
        table.add_suppression(&suppression("carol")).unwrap_err(),
    ] {
        let said = error.to_string();
        assert!(matches!(error, StateError::Damaged { .. }) && said.contains(&reason), "{said}");
        assert!(said.starts_with("dynamodb://trail-control/#suppressions is damaged ("), "{said}");
    }
}

/// Whoever alerts waits for the suppressions, and not for long.
#[test]
fn a_table_that_does_not_answer_is_given_up() {
    let Some(stage) = Stage::open() else { return };
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let ended = stage.run("suppressions::gives_up", &[("AWS_ENDPOINT_URL_DYNAMODB", &endpoint)]);
    assert!(ended.success);
}

#[test]
#[ignore = "a process that another test starts"]
fn gives_up() {
    let begun = Instant::now();
    let error = tables().control().suppressions_within(Duration::from_millis(300)).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(error.to_string().contains("no answer within 300 ms"), "{error}");
}

#[test]
#[ignore = "a process that another test starts"]
fn silences() {
    let (table, other) = (tables().alerts(None), tables().alerts(None));
    let found = |id: &str| alerts(&event("CreateAccessKey").iam_user("alice").id(id).to_event(), Arrival::Live);
    let silent = suppression("alice");
    let suppressed = |alerts: Vec<Alert>| -> Vec<Alert> {
        let known = Suppressions::new(vec![silent.clone()]);
        let each = alerts.into_iter().map(|mut alert| {
            known.apply(&mut alert);
            alert
        });
        each.collect()
    };
    let by_id = |id: &str| all(&other).into_iter().filter(|alert| alert.event_id == id).collect::<Vec<_>>();

    // Whoever finds it first with the suppression silences it for whoever knows nothing of it.
    let one = suppressed(found("e1"));
    assert_eq!(table.record_alerts(&one, &routes()).unwrap().suppressed, one.len() as u64);
    assert!(other.record_alerts(&found("e1"), &routes()).unwrap().new.is_empty());
    assert!(claim(&table, 0).is_empty() && claim(&other, 0).is_empty());
    assert_eq!(by_id("e1"), one);

    // Who finds it first without sends it, and it stands there as told.
    let two = found("e2");
    table.record_alerts(&two, &routes()).unwrap();
    assert!(other.record_alerts(&suppressed(two.clone()), &routes()).unwrap().new.is_empty());
    assert_eq!(claim(&other, 0), two);

    // What is open is silenced, also while somebody is sending it: whatever becomes of that, it is not sent again.
    assert_eq!(other.suppress(&two, &silent.id).unwrap(), two.len() as u64);
    assert_eq!(other.suppress(&two, &silent.id).unwrap(), 0);
    let later = Outcome::Retry { after: minute(1), error: "not now".to_owned() };
    let outcomes: Vec<_> = two.iter().map(|alert| (alert.id.clone(), later.clone())).collect();
    other.settle(CHANNEL, &outcomes).unwrap();
    assert!(claim(&table, 100).is_empty() && claim(&other, 100).is_empty());
    table.record_alerts(&two, &routes()).unwrap();
    assert!(claim(&table, 100).is_empty(), "found again");
    assert_eq!(by_id("e2"), suppressed(two));

    // What was sent stays sent.
    let three = found("e3");
    table.record_alerts(&three, &routes()).unwrap();
    let sent = Outcome::Sent { at: minute(0), receipt: None };
    assert_eq!(claim(&table, 0), three);
    let outcomes: Vec<_> = three.iter().map(|alert| (alert.id.clone(), sent.clone())).collect();
    table.settle(CHANNEL, &outcomes).unwrap();
    table.suppress(&three, &silent.id).unwrap();
    assert_eq!(table.delivery(&three[0]).unwrap(), Some(Delivery::Sent));

    // What is not there any more does not come back as a part of itself.
    assert_eq!(table.suppress(&found("e4"), &silent.id).unwrap(), 0);
    let seen = Acknowledgement { at: minute(5), by: "bob".to_owned(), note: String::new() };
    assert_eq!(table.acknowledge(&found("e4"), &seen).unwrap(), 0);
    assert!(by_id("e4").is_empty());

    // What somebody has seen to is not sent; taken back it is open again.
    let five = found("e5");
    table.record_alerts(&five, &routes()).unwrap();
    assert_eq!(other.acknowledge(&five, &seen).unwrap(), five.len() as u64);
    let another = Acknowledgement { by: "carol".to_owned(), ..seen.clone() };
    assert_eq!(other.acknowledge(&five, &another).unwrap(), 0);
    assert!(claim(&table, 100).is_empty() && claim(&other, 100).is_empty());
    assert!(by_id("e5").iter().all(|alert| alert.acknowledged.as_ref() == Some(&seen)));
    assert_eq!(other.unacknowledge(&five).unwrap(), five.len() as u64);
    assert_eq!(other.unacknowledge(&five).unwrap(), 0);
    assert_eq!(by_id("e5"), five);
}

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use aws::{EventTable, ExportTable, Exported, Position};
use event::{Day, Timestamp};
use pipeline::service::CallError;
use pipeline::store::EventStore;
use testkit::event;

use crate::stage::{tables, time};

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

fn changed(exports: &ExportTable) -> BTreeMap<Day, Timestamp> {
    exports.read().unwrap().changed
}

#[test]
#[ignore = "a process that another test starts"]
fn process() {
    let (events, exports) = (tables().events(None), tables().exports());
    assert_eq!(exports.read().unwrap(), Exported::default());
    let noon = time("2026-01-15T12:00:00Z");
    let write = |events: &EventTable, id: &str, at: &str| {
        events.append(&[event("CreateUser").id(id).at(at).to_event()], "x", noon).unwrap();
        events.commit().unwrap();
    };
    let (first, second) = (day("2026-01-10"), day("2026-01-15"));
    write(&events, "a", "2026-01-10T10:00:00Z");
    write(&events, "b", "2026-01-15T10:00:00Z");
    let noted = changed(&exports);
    assert_eq!(noted.keys().copied().collect::<Vec<_>>(), [first, second]);
    assert!(noted.values().all(|at| *at > noon), "when they were written, not when they were read: {noted:?}");
    // Not again within a minute, but by another process; what is there already changes nothing.
    write(&events, "c", "2026-01-15T11:00:00Z");
    assert_eq!(changed(&exports), noted);
    write(&tables().events(None), "d", "2026-01-15T11:00:00Z");
    write(&tables().events(None), "a", "2026-01-10T10:00:00Z");
    let (earlier, later) = (noted[&second], changed(&exports)[&second]);
    assert!(later > earlier);
    assert_eq!(changed(&exports), [(first, noted[&first]), (second, later)].into());

    let probed = (day("2026-01-02"), noon);
    exports.begin("lake one", &exports.read().unwrap(), day("2026-01-14")).unwrap();
    assert_eq!(exports.read().unwrap().search, Some(day("2026-01-14")));
    // What was noted while the search went on stays.
    exports.searched(&[probed, (second, noon)], Some(day("2026-01-01"))).unwrap();
    assert_eq!(exports.read().unwrap().search, Some(day("2026-01-01")));
    assert_eq!(changed(&exports), [probed, (first, noted[&first]), (second, later)].into());
    exports.searched(&[], None).unwrap();
    assert_eq!(exports.read().unwrap().search, None);
    let position = Position { day: second, id: "id with # and  spaces".to_owned(), events: 7, began: Some(noon) };
    exports.stopped(&position).unwrap();
    let known = exports.read().unwrap();
    assert_eq!((known.lake.as_deref(), known.position.as_ref()), (Some("lake one"), Some(&position)));
    let position = Position { began: None, ..position };
    exports.stopped(&position).unwrap();
    assert_eq!(exports.read().unwrap().position, Some(position));
    // What was noted again meanwhile stays; what was not is settled; what may have been read too early stays.
    exports.exported(second, 3, Some(earlier)).unwrap();
    exports.exported(first, 1, Some(noted[&first])).unwrap();
    exports.exported(probed.0, 0, None).unwrap();
    let known = exports.read().unwrap();
    assert_eq!(known.changed, [(second, later), probed].into());
    assert_eq!(known.days, [(first, 1), (second, 3), (probed.0, 0)].into());
    assert_eq!(known.position, None);
    // Settled twice: another export was quicker.
    exports.exported(first, 1, Some(noted[&first])).unwrap();

    // To another place nothing was exported yet.
    exports.begin("lake two", &known, day("2026-01-14")).unwrap();
    let known = exports.read().unwrap();
    assert_eq!((known.lake.as_deref(), known.days.len(), known.changed.len()), (Some("lake two"), 0, 2));
    // Many days at once, more than one call takes.
    let many: Vec<(Day, Timestamp)> = (0..200).map(|n| (Day::from_days(10_000 + n), noon)).collect();
    exports.searched(&many, None).unwrap();
    assert_eq!(changed(&exports).len(), 202);
    many.iter().for_each(|(day, _)| exports.exported(*day, 1, Some(noon)).unwrap());
    exports.begin("lake three", &exports.read().unwrap(), day("2026-01-14")).unwrap();
    assert_eq!((changed(&exports).len(), exports.read().unwrap().days.len()), (2, 0));

    // Behind an event, and no further than is wanted.
    let after = |id: Option<&str>, most: usize| {
        let mut found = Vec::new();
        let read = events.of_day_after::<CallError>(second, id, &mut |page| {
            found.extend(page.into_iter().map(|stored| stored.id));
            Ok(if found.len() >= most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        read.unwrap();
        found
    };
    assert_eq!(
        (after(None, 9), after(Some("b"), 9), after(Some("bb"), 9)),
        (
            vec!["b".to_owned(), "c".to_owned(), "d".to_owned()],
            vec!["c".to_owned(), "d".to_owned()],
            vec!["c".to_owned(), "d".to_owned()],
        )
    );
    assert!(events.has_any(first).unwrap() && !events.has_any(day("2026-01-11")).unwrap());
}

/// An event of which an earlier program kept no record.
#[test]
#[ignore = "a process that another test starts"]
fn reads_old_items() {
    let events = tables().events(None);
    let mut found = Vec::new();
    events
        .of_day::<CallError>(day("2025-08-10"), &mut |page| {
            found.extend(page);
            Ok(())
        })
        .unwrap();
    let event = found[0].to_event().unwrap();
    assert_eq!(
        (event.id(), event.name(), event.event_time),
        (&*found[0].id, "CreateUser", time("2025-08-10T18:26:07Z"))
    );
    assert_eq!(event.request()["userName"], "bob");
}

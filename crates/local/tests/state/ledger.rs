//! The alert ledger.

use detect::Severity;
use local::state::SqliteState;
use pipeline::alert::{Acknowledgement, Alert, AlertId, Arrival};
use pipeline::history::RunId;
use pipeline::lookup::{each_alert, find_alert};
use pipeline::outbox::{Delivery, Routes};
use pipeline::pattern::Pattern;
use pipeline::state::{AlertFilter, Cursor, Include, Ledger, Page, StateError, StateStore, SuppressionStore};
use proptest::prelude::*;

use crate::{alert, alerts, listed, mail, suppression, time};

fn everything(state: &SqliteState) -> Vec<Alert> {
    state.alerts(&AlertFilter::default(), &Page::default()).unwrap()
}

fn seen_to() -> Acknowledgement {
    Acknowledgement { at: time("2026-02-02T00:00:00Z"), by: "carol".to_owned(), note: "expected".to_owned() }
}

#[test]
fn an_alert_comes_back_as_it_was_recorded() {
    let state = SqliteState::in_memory().unwrap();
    let run = state.begin_run("ingest", time("2026-02-01T00:00:00Z")).unwrap();
    let silenced = suppression("alice");
    state.add_suppression(&silenced).unwrap();
    let whole = Alert {
        arrival: Arrival::Late,
        run: Some(run),
        suppressed_by: Some(silenced.id),
        acknowledged: Some(seen_to()),
        ..alert(1)
    };
    let bare = Alert {
        account: None,
        region: None,
        user: None,
        session: None,
        actor_arn: None,
        role_arn: None,
        source_ip: None,
        user_agent: None,
        event_name: None,
        event_source: None,
        techniques: vec![],
        title: "\u{1b}[2J ' \" \0 漢".to_owned(),
        ..alert(2)
    };
    state.record_alerts(&[whole.clone(), bare.clone()], &Routes::default()).unwrap();
    assert_eq!(everything(&state), listed(vec![whole.clone(), bare]));
    assert_eq!(state.alert(&whole.id).unwrap(), Some(whole));
    assert_eq!(state.alert(&AlertId::of("no", "such")).unwrap(), None);
}

#[test]
fn an_alert_recorded_again_is_not_new_and_stays_as_it_is() {
    let state = SqliteState::in_memory().unwrap();
    let silenced = suppression("alice");
    state.add_suppression(&silenced).unwrap();
    let mut batch = alerts(0..5);
    batch[1].suppressed_by = Some(silenced.id);
    let first = state.record_alerts(&batch, &Routes::default()).unwrap();
    assert_eq!(first.new, [0, 1, 2, 3, 4]);
    assert_eq!(first.alerts.total(), 4);
    assert_eq!(first.alerts.get(Severity::High), 0, "alert 1 is the only high one, and suppressed");
    assert_eq!(first.suppressed, 1);

    // The same ones in other words, a new one, and that one twice.
    let again: Vec<Alert> = alerts(0..6)
        .into_iter()
        .chain([alert(5)])
        .map(|alert| Alert { title: "Other Words".to_owned(), first_seen: time("2027-01-01T00:00:00Z"), ..alert })
        .collect();
    let second = state.record_alerts(&again, &Routes::default()).unwrap();
    assert_eq!(second.new, [5]);
    assert_eq!(second.alerts.total(), 1);
    let titled = |title: &str| everything(&state).iter().filter(|alert| alert.title == title).count();
    assert_eq!((titled("A Title"), titled("Other Words")), (5, 1));
}

#[test]
fn an_alert_takes_the_more_urgent_arrival_whichever_comes_first() {
    for (first, second, kept) in [
        (Arrival::Backfill, Arrival::Live, Arrival::Live),
        (Arrival::Live, Arrival::Backfill, Arrival::Live),
        (Arrival::Late, Arrival::Backfill, Arrival::Late),
    ] {
        let state = SqliteState::in_memory().unwrap();
        for arrival in [first, second] {
            state.record_alerts(&[Alert { arrival, ..alert(1) }], &Routes::default()).unwrap();
        }
        assert_eq!(everything(&state)[0].arrival, kept, "{first} {second}");
    }
}

#[test]
fn an_alert_is_found_by_any_prefix_of_its_own_and_by_what_it_is_about() {
    let state = SqliteState::in_memory().unwrap();
    state.record_alerts(&alerts(0..2000), &Routes::default()).unwrap();
    let wanted = alert(7);
    for reference in [
        wanted.id.to_string(),
        wanted.id.short().to_owned(),
        wanted.id.short().to_ascii_uppercase(),
        format!("{}/{}", wanted.event_id, wanted.detection),
    ] {
        assert_eq!(find_alert(&state, &reference).unwrap(), wanted, "{reference}");
    }
    // Of two thousand ids in hexadecimal, some share four digits.
    let mut ids: Vec<String> = alerts(0..2000).into_iter().map(|alert| alert.id.to_string()).collect();
    ids.sort();
    let shared = ids.windows(2).find(|pair| pair[0][..4] == pair[1][..4]).expect("a shared prefix");
    match find_alert(&state, &shared[0][..4]) {
        Err(StateError::Ambiguous { matches, .. }) => assert!(matches.contains(&shared[0][..10].to_owned())),
        other => panic!("{other:?}"),
    }
    assert!(matches!(find_alert(&state, &"0".repeat(32)), Err(StateError::Unknown { .. })));
    assert!(matches!(find_alert(&state, "event/detection"), Err(StateError::Unknown { .. })));
    for none in ["", "abc", "nothex", "%", "abcd*"] {
        assert!(matches!(find_alert(&state, none), Err(StateError::NoReference(_))), "{none}");
    }
}

#[test]
fn acknowledging_is_done_once_and_can_be_taken_back() {
    let state = SqliteState::in_memory().unwrap();
    state.record_alerts(&alerts(0..3), &Routes::default()).unwrap();
    let ids: Vec<AlertId> = alerts(0..2).into_iter().map(|alert| alert.id).collect();
    assert_eq!(state.acknowledge(&ids, &seen_to()).unwrap(), 2);
    let later = Acknowledgement { by: "dave".to_owned(), ..seen_to() };
    assert_eq!(state.acknowledge(&ids, &later).unwrap(), 0);
    assert_eq!(state.alert(&ids[0]).unwrap().unwrap().acknowledged, Some(seen_to()));

    let counts = state.count_alerts(&AlertFilter::default()).unwrap();
    assert_eq!((counts.open.total(), counts.acknowledged.total()), (1, 2));
    assert_eq!(state.alerts(&AlertFilter::open(), &Page::default()).unwrap(), [alert(2)]);
    // Reading the logs again does not open it again.
    state.record_alerts(&alerts(0..3), &Routes::default()).unwrap();
    assert_eq!(state.count_alerts(&AlertFilter::default()).unwrap(), counts);

    assert_eq!(state.unacknowledge(&ids).unwrap(), 2);
    assert_eq!(state.unacknowledge(&ids).unwrap(), 0);
    assert_eq!(everything(&state), listed(alerts(0..3)));
}

#[test]
fn every_alert_is_visited_once_however_many_there_are() {
    let state = SqliteState::in_memory().unwrap();
    // Many at one time, so that a page ends between them.
    let same_time: Vec<Alert> =
        alerts(0..300).into_iter().map(|alert| Alert { event_time: time("2026-01-01T00:00:00Z"), ..alert }).collect();
    state.record_alerts(&same_time, &Routes::default()).unwrap();
    let mut visited = Vec::new();
    each_alert::<StateError>(&state, &AlertFilter::default(), |alert| {
        visited.push(alert);
        Ok(())
    })
    .unwrap();
    assert_eq!(visited, listed(same_time));

    let stop = each_alert(&state, &AlertFilter::default(), |_| Err(StateError::NoReference("stop".to_owned())));
    assert!(matches!(stop, Err(StateError::NoReference(_))));
}

/// A ledger with alerts of every kind.
fn varied() -> (SqliteState, Vec<Alert>) {
    let state = SqliteState::in_memory().unwrap();
    let run = state.begin_run("ingest", time("2026-02-01T00:00:00Z")).unwrap();
    let silenced = suppression("alice");
    state.add_suppression(&silenced).unwrap();
    let mut all = alerts(0..60);
    for (number, alert) in all.iter_mut().enumerate() {
        alert.run = number.is_multiple_of(2).then_some(run);
        alert.suppressed_by = number.is_multiple_of(5).then(|| silenced.id.clone());
        alert.acknowledged = number.is_multiple_of(7).then(seen_to);
        if number.is_multiple_of(11) {
            (alert.account, alert.user, alert.session) = (None, None, None);
        }
    }
    state.record_alerts(&all, &Routes::default()).unwrap();
    (state, listed(all))
}

fn include() -> impl Strategy<Value = Include> {
    prop_oneof![Just(Include::Without), Just(Include::With), Just(Include::Only)]
}

fn pattern(text: &'static [&'static str]) -> impl Strategy<Value = Option<Pattern>> {
    proptest::option::of(proptest::sample::select(text).prop_map(|text| Pattern::new(text).unwrap()))
}

prop_compose! {
    fn filter()(
        since in proptest::option::of(0u32..60),
        until in proptest::option::of(0u32..60),
        recorded in proptest::option::weighted(0.3, 0u32..60),
        at_least in proptest::option::of(proptest::sample::select(&[Severity::Critical, Severity::Medium, Severity::Low][..])),
        detection in pattern(&["root-*", "user-created", "*"]),
        account in proptest::option::of(0u32..3),
        principal in pattern(&["user-1", "USER-?", "session-2", "*:role/user-3", "nobody"]),
        event in proptest::option::weighted(0.1, 0u32..60),
        run in proptest::option::weighted(0.3, 1i64..3),
        suppressed in include(),
        acknowledged in include(),
    ) -> AlertFilter {
        AlertFilter {
            since: since.map(|number| alert(number).event_time),
            until: until.map(|number| alert(number).event_time),
            recorded_since: recorded.map(|number| alert(number).first_seen),
            at_least,
            detection,
            account: account.map(|number| format!("{number:012}")),
            principal,
            event_id: event.map(|number| alert(number).event_id),
            run: run.map(RunId),
            suppressed,
            acknowledged,
        }
    }
}

proptest! {
    /// The database finds what the definition of a filter admits, in the same order, in one piece or in pages.
    #[test]
    fn what_is_asked_for_is_found(filter in filter(), at_a_time in 1usize..20) {
        thread_local!(static LEDGER: (SqliteState, Vec<Alert>) = varied());
        LEDGER.with(|(state, all)| {
            let expected: Vec<Alert> = all.iter().filter(|alert| filter.admits(alert)).cloned().collect();
            prop_assert_eq!(&state.alerts(&filter, &Page::default()).unwrap(), &expected);

            let mut paged: Vec<Alert> = Vec::new();
            loop {
                let page = Page { limit: Some(at_a_time), after: paged.last().map(Cursor::at) };
                let found = state.alerts(&filter, &page).unwrap();
                prop_assert!(found.len() <= at_a_time && paged.len() <= expected.len());
                if found.is_empty() {
                    break;
                }
                paged.extend(found);
            }
            prop_assert_eq!(&paged, &expected);

            let counts = state.count_alerts(&filter).unwrap();
            let counted = |wanted: fn(&Alert) -> bool| expected.iter().filter(|&alert| wanted(alert)).count() as u64;
            prop_assert_eq!(counts.open.total(), counted(Alert::is_open));
            prop_assert_eq!(counts.suppressed.total(), counted(|alert| alert.suppressed_by.is_some()));
            let critical = counted(|alert| alert.is_open() && alert.severity == Severity::Critical);
            prop_assert_eq!(counts.open.get(Severity::Critical), critical);
            let total = counts.open.total() + counts.acknowledged.total() + counts.suppressed.total();
            prop_assert_eq!(total, expected.len() as u64);
            Ok(())
        })?;
    }
}

#[test]
fn alerts_of_expired_events_go_with_what_is_to_be_sent_of_them() {
    let state = SqliteState::in_memory().unwrap();
    let old = Alert { event_time: time("2020-01-01T23:59:59Z"), ..alert(1) };
    let new = Alert { event_time: time("2020-01-02T00:00:00Z"), ..alert(2) };
    state.record_alerts(&[old, new.clone()], &mail(true)).unwrap();
    assert_eq!(state.expire_alerts(time("2020-01-02T00:00:00Z")).unwrap(), 1);
    assert_eq!(state.alerts(&AlertFilter::default(), &Page::default()).unwrap(), std::slice::from_ref(&new));
    let left: Vec<_> = state.outbox(Delivery::Pending, 9).unwrap().into_iter().map(|row| row.alert).collect();
    assert_eq!(left, [new.id]);
    assert_eq!(state.expire_alerts(time("2020-01-02T00:00:00Z")).unwrap(), 0);
}

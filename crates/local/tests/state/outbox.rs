//! The outbox.

use local::state::SqliteState;
use pipeline::alert::{Acknowledgement, Alert, AlertId, Arrival};
use pipeline::outbox::{Delivery, Notification, Outbox, Outcome, Route, Routes};
use pipeline::state::{Ledger, StateError, StateStore, SuppressionStore};

use crate::{alert, alerts, mail, suppression, time};

fn live(number: u32) -> Alert {
    Alert { arrival: Arrival::Live, ..alert(number) }
}

fn pending(state: &SqliteState) -> Vec<AlertId> {
    state.outbox(Delivery::Pending, 100).unwrap().into_iter().map(|row| row.alert).collect()
}

fn claim(state: &SqliteState, now: &str) -> Vec<Notification> {
    state.claim("mail", time(now), time("2026-02-01T01:00:00Z"), 10).unwrap()
}

#[test]
fn an_alert_is_given_to_a_channel_once() {
    let state = SqliteState::in_memory().unwrap();
    state.record_alerts(&[live(1)], &mail(false)).unwrap();
    state.record_alerts(&[live(1)], &mail(true)).unwrap();
    assert_eq!(pending(&state), [alert(1).id]);
}

#[test]
fn a_backfill_is_given_to_a_channel_once_it_is_asked_for_or_turns_out_to_be_live() {
    let state = SqliteState::in_memory().unwrap();
    state.record_alerts(&alerts(1..3), &mail(false)).unwrap();
    assert_eq!(pending(&state), []);
    // The stream brings the first one; the second is read again with --notify.
    state.record_alerts(&[live(1)], &mail(false)).unwrap();
    assert_eq!(pending(&state), [alert(1).id]);
    state.record_alerts(&[alert(2)], &mail(true)).unwrap();
    assert_eq!(pending(&state).len(), 2);
}

#[test]
fn what_was_silenced_or_seen_to_is_not_sent_when_it_is_read_again() {
    let state = SqliteState::in_memory().unwrap();
    let silenced = suppression("alice");
    state.add_suppression(&silenced).unwrap();
    state.record_alerts(&alerts(1..3), &mail(false)).unwrap();
    state.suppress_alerts(&[alert(1).id], &silenced.id).unwrap();
    let seen = Acknowledgement { at: time("2026-02-02T00:00:00Z"), by: "carol".to_owned(), note: String::new() };
    state.acknowledge(&[alert(2).id], &seen).unwrap();
    state.record_alerts(&[live(1), live(2)], &mail(true)).unwrap();
    assert_eq!(pending(&state), []);
}

#[test]
fn what_is_acknowledged_while_it_waits_is_not_sent_unless_that_is_taken_back() {
    let state = SqliteState::in_memory().unwrap();
    state.record_alerts(&[live(1), live(2)], &mail(false)).unwrap();
    let seen = Acknowledgement { at: time("2026-02-01T00:00:00Z"), by: "carol".to_owned(), note: String::new() };
    assert_eq!(state.acknowledge(&[alert(1).id], &seen).unwrap(), 1);
    assert_eq!(pending(&state), [alert(2).id]);
    let claimed = claim(&state, "2026-02-01T00:00:00Z");
    assert_eq!(claimed.iter().map(|notification| &notification.alert).collect::<Vec<_>>(), [&live(2)]);
    assert_eq!(claim(&state, "2026-02-01T00:00:00Z"), []);

    state.unacknowledge(&[alert(1).id]).unwrap();
    assert_eq!(pending(&state).len(), 2);
    assert_eq!(claim(&state, "2026-02-01T00:00:00Z").len(), 1);
}

#[test]
fn what_waits_for_a_time_far_away_can_be_called_back() {
    let state = SqliteState::in_memory().unwrap();
    state
        .record_alerts(
            &alerts(1..4).into_iter().map(|alert| Alert { arrival: Arrival::Live, ..alert }).collect::<Vec<_>>(),
            &mail(false),
        )
        .unwrap();
    let (soon, far, now) = (time("2026-02-01T00:00:05Z"), time("2027-02-01T00:00:00Z"), time("2026-02-01T00:00:00Z"));
    state.settle("mail", &[(alert(1).id, Outcome::Sent { at: far, receipt: None })]).unwrap();
    state.settle("mail", &[(alert(2).id, Outcome::Retry { after: far, error: "away".to_owned() })]).unwrap();
    state.hold("mail", &[alert(3).id], soon).unwrap();
    state.recall("elsewhere", now, now).unwrap();
    state.recall("mail", soon, now).unwrap();
    let waiting: Vec<_> =
        state.outbox(Delivery::Pending, 10).unwrap().into_iter().map(|row| (row.alert, row.at)).collect();
    assert_eq!(waiting, [(alert(2).id, now), (alert(3).id, soon)]);
    assert_eq!(state.outbox(Delivery::Sent, 10).unwrap()[0].at, far);
    state.recall("mail", now, now).unwrap();
    assert_eq!(claim(&state, "2026-02-01T00:00:00Z").len(), 2);
}

#[test]
fn silencing_takes_back_what_was_not_sent_yet() {
    let state = SqliteState::in_memory().unwrap();
    let silenced = suppression("alice");
    state.record_alerts(&[live(1), live(2)], &mail(false)).unwrap();
    let unknown = state.suppress_alerts(&[alert(1).id], &silenced.id).unwrap_err();
    assert!(matches!(unknown, StateError::Unknown { what: "suppression", .. }), "{unknown}");
    state.add_suppression(&silenced).unwrap();
    assert_eq!(state.suppress_alerts(&[alert(1).id], &silenced.id).unwrap(), 1);
    assert_eq!(state.suppress_alerts(&[alert(1).id], &silenced.id).unwrap(), 0);
    assert_eq!(pending(&state), [alert(2).id]);
}

#[test]
fn a_claim_keeps_others_away_until_it_ends_and_the_most_serious_goes_first() {
    let state = SqliteState::in_memory().unwrap();
    // Numbers 1 and 5: high and critical.
    state.record_alerts(&[live(1), live(5)], &mail(false)).unwrap();
    assert_eq!(claim(&state, "2026-01-31T00:00:00Z"), [], "not due yet");
    let claimed = claim(&state, "2026-02-01T00:00:00Z");
    assert_eq!(claimed.iter().map(|notification| &notification.alert).collect::<Vec<_>>(), [&live(5), &live(1)]);
    assert_eq!(claim(&state, "2026-02-01T00:59:59Z"), []);
    assert_eq!(claim(&state, "2026-02-01T01:00:00Z").len(), 2, "whoever claimed them is gone");
}

#[test]
fn an_attempt_ends_in_one_of_three_ways() {
    let state = SqliteState::in_memory().unwrap();
    state.record_alerts(&[live(1), live(2), live(3)], &mail(false)).unwrap();
    let now = "2026-02-01T00:00:00Z";
    assert_eq!(claim(&state, now).len(), 3);
    let after = time("2026-02-01T00:05:00Z");
    let settle = |number, outcome| state.settle("mail", &[(alert(number).id, outcome)]).unwrap();
    settle(1, Outcome::Sent { at: time(now), receipt: None });
    settle(2, Outcome::Retry { after, error: "timed out".to_owned() });
    settle(3, Outcome::Failed { at: time(now), error: "no such topic".to_owned() });

    let [sent] = state.outbox(Delivery::Sent, 9).unwrap().try_into().unwrap();
    assert_eq!((sent.alert, sent.attempts, sent.error), (alert(1).id, 1, None));
    let [failed] = state.outbox(Delivery::Failed, 9).unwrap().try_into().unwrap();
    assert_eq!((failed.alert, failed.error.as_deref()), (alert(3).id, Some("no such topic")));
    let [again] = claim(&state, "2026-02-01T00:05:00Z").try_into().unwrap();
    assert_eq!((again.alert.id, again.attempts), (alert(2).id, 1));

    // What was never given to a channel, or is no longer there, is passed over.
    state.settle("pager", &[(alert(1).id, Outcome::Sent { at: time(now), receipt: None })]).unwrap();
    assert_eq!(state.outbox(Delivery::Sent, 9).unwrap().len(), 1);
}

#[test]
fn a_courier_claims_holds_and_settles_its_own_channel() {
    let state = SqliteState::in_memory().unwrap();
    let channels = ["mail", "pager"].map(|name| Route::new(name, detect::Severity::Informational)).to_vec();
    let routes = Routes { channels, backfill: false };
    state.record_alerts(&[live(1), live(2), live(3)], &routes).unwrap();
    let (now, lease) = (time("2026-02-01T00:00:00Z"), time("2026-02-01T00:15:00Z"));
    let ids = |claimed: Vec<Notification>| claimed.into_iter().map(|each| each.alert.id).collect::<Vec<_>>();

    let claimed = state.claim("mail", now, lease, 2).unwrap();
    assert!(claimed.iter().all(|each| each.channel == "mail" && each.attempts == 0));
    // The most serious first: by the rank of their severities.
    assert_eq!(ids(claimed), [alert(1).id, alert(2).id]);
    assert_eq!(ids(state.claim("mail", now, lease, 9).unwrap()), [alert(3).id]);
    assert_eq!(ids(state.claim("mail", now, lease, 9).unwrap()), []);
    assert_eq!(ids(state.claim("pager", now, lease, 9).unwrap()).len(), 3);

    // Holding counts no attempt and does not touch another channel's.
    state.hold("mail", &[alert(3).id], now).unwrap();
    let [held] = state.claim("mail", now, lease, 9).unwrap().try_into().unwrap();
    assert_eq!((held.alert.id, held.attempts), (alert(3).id, 0));

    let silenced = suppression("alice");
    state.add_suppression(&silenced).unwrap();
    state.suppress_alerts(&[alert(2).id], &silenced.id).unwrap();
    let sent = |number| (alert(number).id, Outcome::Sent { at: now, receipt: None });
    let retry = (alert(3).id, Outcome::Retry { after: lease, error: "HTTP 500".to_owned() });
    state.settle("mail", &[sent(1), sent(2), retry]).unwrap();
    let [row] = state.outbox(Delivery::Sent, 9).unwrap().try_into().unwrap();
    assert_eq!((row.alert, row.channel), (alert(1).id, "mail".to_owned()));
    // What was sent is not held back into being sent again.
    state.hold("mail", &[alert(1).id], now).unwrap();
    assert_eq!(state.outbox(Delivery::Sent, 9).unwrap()[0].at, now);
    let [again] = state.claim("mail", lease, lease, 9).unwrap().try_into().unwrap();
    assert_eq!((again.alert.id, again.attempts), (alert(3).id, 1));
}

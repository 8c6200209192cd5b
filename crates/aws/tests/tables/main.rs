//! The tables of a deployment through the ports they stand behind, against a DynamoDB that moto plays on this machine.
//!
//! `TRAILHOUND_PYTHON` names an interpreter with moto installed; without it the tests say so and pass. What reads the
//! environment runs in a process of its own, which this program starts.

#![expect(clippy::unwrap_used, reason = "a test's set-up fails by panicking")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

mod alerts;
mod control;
mod events;
mod exports;
mod golden;
mod stage;
mod suppressions;

use stage::Stage;

#[test]
fn events_are_kept_once_whole_and_found() {
    Stage::play("events::process");
}

#[test]
fn large_events_do_not_pile_up() {
    Stage::play("events::large_ones");
}

#[test]
fn a_process_that_dies_between_two_batches_loses_nothing() {
    let Some(mut stage) = Stage::open() else { return };
    let ended = stage.run("events::dies", &[("FAILPOINTS", "aws::between-events=return")]);
    assert!(!ended.success);
    let items = stage.0.items("trail-events");
    assert!(!items.is_empty() && items.iter().all(|item| item["part_of"].is_object()), "parts without their head");
    stage.check("events::goes_on");
}

#[test]
fn what_is_known_of_streams_is_added_to_and_never_lost() {
    Stage::play("control::process");
}

#[test]
fn suppressions_are_added_taken_back_and_never_lost() {
    Stage::play("suppressions::process");
}

#[test]
fn what_is_silenced_or_seen_to_is_sent_by_nobody() {
    Stage::play("suppressions::silences");
}

#[test]
fn what_changed_since_an_export_is_known() {
    Stage::play("exports::process");
}

#[test]
fn an_alert_is_recorded_once_and_sent_by_one() {
    Stage::play("alerts::process");
}

/// What an earlier program wrote.
#[test]
fn old_items_are_read() {
    let Some(mut stage) = Stage::open() else { return };
    let classic: serde_json::Value = serde_json::from_str(include_str!("classic.json")).unwrap();
    for (table, items) in classic.as_object().unwrap() {
        for item in items.as_array().unwrap() {
            stage.0.put(table, item);
        }
    }
    stage.check("control::reads_old_items");
    stage.check("events::reads_old_items");
    stage.check("exports::reads_old_items");
}

//! Reading a trail against an adversary, on virtual time: messages come late, twice and out of order, objects cannot be
//! had or are cut off, processes die at every step. Once the world is quiet the store holds the truth, every message is
//! acknowledged behind its commit or set aside with its reason, and no object counts as read whose events are not stored.
//!
//! `TRAILHOUND_SEEDS=100000 cargo test -p pipeline --test trail` runs longer; `TRAILHOUND_SEED=17` runs one world.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod listing;
mod queue;
mod world;

/// How many worlds are run unless somebody asks for more.
const SEEDS: u64 = 600;

fn seeds() -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("TRAILHOUND_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("TRAILHOUND_SEEDS").unwrap_or(SEEDS)).collect(),
    }
}

fn failures(seeds: impl IntoIterator<Item = u64>, world: impl Fn(u64) -> Result<(), String>) -> Vec<String> {
    let failed = |seed| world(seed).err().map(|reason| format!("seed {seed}: {reason}"));
    seeds.into_iter().filter_map(failed).collect()
}

fn assert_none(failures: &[String]) {
    assert!(
        failures.is_empty(),
        "{} worlds failed:\n{}",
        failures.len(),
        failures[..failures.len().min(10)].join("\n")
    );
}

#[test]
fn an_adversary_at_the_queue_hides_nothing() {
    assert_none(&failures(seeds(), |seed| queue::run(seed, queue::Store::Ours)));
}

#[test]
fn a_commit_that_is_none_is_noticed() {
    let failures = failures(0..50, |seed| queue::run(seed, queue::Store::ForgetsCommits));
    assert!(failures.iter().any(|failure| failure.contains("before its commit")), "{failures:?}");
}

#[test]
fn an_adversary_at_the_bucket_hides_nothing() {
    assert_none(&failures(seeds(), |seed| listing::run(seed, listing::Ledger::Ours)));
}

#[test]
fn listing_after_the_last_key_loses_objects() {
    let failures = failures(0..100, |seed| listing::run(seed, listing::Ledger::LastKey));
    assert!(failures.iter().any(|failure| failure.contains("was not read")), "only {failures:?}");
}

#[test]
fn a_message_is_kept_from_others_while_it_is_read() {
    queue::slow_object();
}

#[test]
fn an_alert_waits_for_no_commit() {
    queue::slow_commit();
}

#[test]
fn a_queue_that_refuses_ends_the_run_and_says_why() {
    queue::refused();
}

#[test]
fn objects_that_are_denied_are_told_beside_a_queue_that_is_read() {
    queue::denied_objects();
}

#[test]
fn a_stop_gives_back_at_once_what_was_not_begun() {
    queue::stopped();
}

#[test]
fn folders_are_found_and_counted() {
    listing::folders();
}

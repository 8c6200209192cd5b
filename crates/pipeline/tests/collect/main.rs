//! Collecting against an adversary, on virtual time: whatever happens in between, once the world is quiet the store holds
//! the truth, the ledger never claimed what was not read, and no call was made in vain.
//!
//! `TRAILHOUND_SEEDS=100000 cargo test -p pipeline --test collect` runs longer; `TRAILHOUND_SEED=17` runs one world.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod scenario;
mod turns;

use scenario::{Ledger, run};

/// How many worlds are run unless somebody asks for more.
const SEEDS: u64 = 2500;

fn seeds() -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("TRAILHOUND_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("TRAILHOUND_SEEDS").unwrap_or(SEEDS)).collect(),
    }
}

/// Runs worlds on two threads; gives the seeds that failed, with what went wrong.
fn failures(seeds: &[u64], world: impl Fn(u64) -> Result<(), String> + Sync) -> Vec<String> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let failed = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(&seed) = seeds.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    if let Err(reason) = world(seed) {
                        failed.lock().unwrap().push(format!("seed {seed}: {reason}"));
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap()
}

fn assert_none(failures: &[String], of: usize) {
    assert!(
        failures.is_empty(),
        "{} of {of} worlds failed:\n{}",
        failures.len(),
        failures[..failures.len().min(10)].join("\n")
    );
}

#[test]
fn an_adversary_hides_nothing() {
    let seeds = seeds();
    assert_none(&failures(&seeds, |seed| run(seed, Ledger::Ours)), seeds.len());
}

#[test]
fn a_checkpoint_at_the_newest_event_loses_events() {
    // The same worlds, the same checks, the usual mistake. Not every world has late events to lose.
    let seeds: Vec<u64> = (0..100).collect();
    let failures = failures(&seeds, |seed| run(seed, Ledger::NewestEvent));
    assert!(failures.len() >= 5, "only {} of {} worlds noticed", failures.len(), seeds.len());
    assert!(failures.iter().any(|failure| failure.contains("was not read")), "{failures:?}");
}

#[test]
fn without_faults_no_call_is_in_vain() {
    let seeds: Vec<u64> = (0..200).collect();
    assert_none(&failures(&seeds, scenario::undisturbed), seeds.len());
}

#[test]
fn a_region_that_is_away_holds_up_the_others_once() {
    assert_eq!(scenario::away(), Ok(()));
}

#[test]
fn what_bars_one_region_or_stream_stops_no_other() {
    assert_eq!(scenario::barred(), Ok(()));
}

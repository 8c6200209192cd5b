//! Many threads give what one gives, whatever the files hold: the run loop, the lake and the ledger together.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use event::Timestamp;
use lake::{Lake, Scan, WriterOptions};
use local::LakeStore;
use local::aside::{JsonlAside, REJECTED, VARIANTS};
use local::state::SqliteState;
use pipeline::alert::{Arrival, Occasion};
use pipeline::filter::{FilterConfig, Filters};
use pipeline::ingest::{Ingest, Progress};
use pipeline::outbox::Routes;
use pipeline::report::Report;
use pipeline::source::{Content, Item, Source, Unreadable};
use pipeline::state::{AlertFilter, Page, StateStore};
use pipeline::store::Clock;
use pipeline::suppress::Suppressions;
use proptest::prelude::*;
use serde_json::{Value, json};

/// What a file holds at one place.
#[derive(Debug, Clone)]
enum Piece {
    /// The record of a number, the same wherever it stands.
    Record(u32),
    /// A record of its own, then another under its id.
    TwoVersions,
    /// Something that is no record.
    Rubbish(u8),
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        8 => (0u32..60).prop_map(Piece::Record),
        1 => Just(Piece::TwoVersions),
        1 => (0u8..4).prop_map(Piece::Rubbish),
    ]
}

fn record(number: u32) -> Value {
    let name = ["CreateUser", "ListUsers", "StopLogging", "GetObject"][number as usize % 4];
    let day = 1 + number % 3;
    testkit::event(name)
        .iam_user(["alice", "bob", "carol"][number as usize % 3])
        .id(&format!("00000000-0000-4000-8000-{number:012}"))
        .at(&format!("2026-01-{day:02}T10:00:{:02}Z", number % 60))
        .request(json!({ "userName": format!("user-{number}") }))
        .build()
}

/// The files, as bytes: some of them cut off in the middle of a record.
fn files(plan: &[(Vec<Piece>, bool)]) -> Vec<Vec<u8>> {
    let mut versions = 1_000_000;
    let mut file = |pieces: &[Piece], is_cut: bool| {
        let mut records = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Record(number) => records.push(record(*number)),
                Piece::TwoVersions => {
                    versions += 1;
                    let mut other = record(versions);
                    other["userAgent"] = json!("another");
                    records.extend([record(versions), other]);
                }
                Piece::Rubbish(number) => records.push(json!({ "rubbish": number })),
            }
        }
        let mut bytes = json!({ "Records": records }).to_string().into_bytes();
        if is_cut {
            bytes.truncate(bytes.len() - bytes.len().min(30));
        }
        bytes
    };
    plan.iter().map(|(pieces, is_cut)| file(pieces, *is_cut)).collect()
}

struct Files(VecDeque<(String, Vec<u8>)>);

impl Source for Files {
    fn next_item(&mut self) -> Option<Result<Item, Unreadable>> {
        let (name, bytes) = self.0.pop_front()?;
        Some(Ok(Item::new(name, Some(bytes.len() as u64), move || Ok(Content::Bytes(bytes)))))
    }
}

struct StoppedClock(Timestamp);

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// Everything that a run leaves behind.
#[derive(Debug, PartialEq)]
struct Outcome {
    report: Report,
    /// By id; of an id with two versions it is open which one came first.
    events: BTreeMap<String, Option<Value>>,
    alerts: BTreeSet<String>,
    rejected: BTreeSet<String>,
    variants: usize,
}

fn run(files: &[Vec<u8>], threads: usize, options: WriterOptions, commit_every: Duration) -> Outcome {
    let home = tempfile::tempdir().unwrap();
    let lake = Lake::open_or_create(&home.path().join("lake")).unwrap();
    let state = SqliteState::open(&home.path().join("state.db")).unwrap();
    let now = Timestamp::parse("2026-02-01T00:00:00Z").unwrap();
    let filters = FilterConfig { sources: vec!["iam".into(), "cloudtrail".into()], ..FilterConfig::default() };
    let named = files.iter().enumerate().map(|(number, bytes)| (format!("file-{number}"), bytes.clone()));
    let mut report = Ingest {
        store: &LakeStore::new(&lake, options).unwrap(),
        ledger: &state,
        aside: &JsonlAside::open(home.path()).unwrap(),
        clock: &StoppedClock(now),
        registry: &detect::Registry::default(),
        filters: &Filters::new(&filters).unwrap(),
        suppressions: &Suppressions::default(),
        routes: &Routes::default(),
        proving: None,
        occasion: Occasion { now, arrival: Arrival::Backfill, run: None },
        limits: event::decode::Limits::default(),
        threads,
        commit_every,
        progress: &Progress::default(),
        on_problem: &|_| {},
        stop: &AtomicBool::new(false),
    }
    .run(&mut Files(named.collect()))
    .unwrap();
    // It counts commits, and how many there are is open.
    report.version = None;

    let lines = |name: &str| -> Vec<String> {
        let text = std::fs::read_to_string(home.path().join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    let reason = |line: &String| {
        let line: Value = serde_json::from_str(line).unwrap();
        // The file that a repeated piece of rubbish was met in first is open.
        format!("{} {}", line["reason"], line["record"])
    };
    let variants = lines(VARIANTS);
    let open: BTreeSet<String> = variants
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["event_id"].as_str().unwrap().to_owned())
        .collect();
    let events = lake.scan(&Scan::default()).unwrap().map(|event| {
        let event = event.unwrap();
        let record = (!open.contains(event.id())).then(|| serde_json::from_str(&event.to_json()).unwrap());
        (event.id().to_owned(), record)
    });
    Outcome {
        report,
        events: events.collect(),
        alerts: state
            .alerts(&AlertFilter::default(), &Page::default())
            .unwrap()
            .into_iter()
            .map(|alert| alert.id.to_string())
            .collect(),
        rejected: lines(REJECTED).iter().map(reason).collect(),
        variants: variants.len(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn parallel_equals_serial(
        plan in proptest::collection::vec((proptest::collection::vec(piece(), 0..25), proptest::bool::weighted(0.15)), 1..10),
        threads in 2usize..9,
        file_rows in 1usize..40,
        buffered_bytes in 1usize..200_000,
        known_ids in 1usize..100,
        commit_millis in 1u64..20,
    ) {
        let files = files(&plan);
        let serial = run(&files, 1, WriterOptions::default(), Duration::from_secs(60));
        let options = WriterOptions { file_rows, buffered_bytes, known_ids, ..WriterOptions::default() };
        let parallel = run(&files, threads, options, Duration::from_millis(commit_millis));
        prop_assert_eq!(parallel, serial);
    }
}

//! Reading: the shortcuts (days, statistics, bloom filters, late columns, ranges of time) agree with looking at every
//! event.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use event::{Column, Event, Timestamp};
use lake::{CompactOptions, Lake, Order, Scan, WriterOptions};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::corpus::{DAY, START, append, events, now, records};

const EVENTS: u64 = 2500;

/// A lake of many files and row groups: some merged, some as they were written.
static LAKE: LazyLock<(TempDir, Lake, Vec<String>)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("folder");
    let lake = Lake::open_or_create(folder.path()).expect("lake");
    let options = WriterOptions { file_rows: 150, row_group_rows: 40, compacts: false, ..WriterOptions::default() };
    let writer = lake.writer(options).expect("writer");
    let records = records(0..EVENTS);
    append(&writer, &records[..1500]);
    writer.commit().expect("commit");
    lake.compact(&CompactOptions { file_rows: 400, ..CompactOptions::default() }).expect("compact");
    append(&writer, &records[1500..]);
    writer.commit().expect("commit");
    (folder, lake, records)
});

fn times() -> impl Strategy<Value = Option<Timestamp>> {
    let seconds = prop_oneof![START - DAY..START + 4 * DAY, (0i64..4).prop_map(|day| START + day * DAY)];
    proptest::option::of(seconds.prop_map(|seconds| Timestamp::from_seconds(seconds).expect("in bounds")))
}

fn conditions() -> impl Strategy<Value = Vec<(Column, Vec<String>)>> {
    // Values that events have, and ones that none has.
    let column = proptest::sample::select(vec![
        Column::EventId,
        Column::EventName,
        Column::EventSource,
        Column::AccountId,
        Column::AwsRegion,
        Column::UserName,
        Column::SessionName,
        Column::SourceIp,
        Column::AccessKeyId,
        Column::Target,
        Column::ErrorCode,
    ]);
    let values = proptest::collection::vec((any::<u64>(), prop::bool::weighted(0.9)), 1..3);
    let condition = (column, values).prop_map(|(column, values)| {
        let events = events(&LAKE.2[..200]);
        let value = |(number, real): (u64, bool)| {
            let mut having = events.iter().filter_map(|event| event.get(column));
            let found = having.clone().count().max(1) as u64;
            having.nth((number % found) as usize).filter(|_| real).unwrap_or("nobody").to_owned()
        };
        (column, values.into_iter().map(value).collect())
    });
    proptest::collection::vec(condition, 0..3)
}

fn scans() -> impl Strategy<Value = Scan> {
    let who = proptest::collection::vec(proptest::sample::select(vec!["ada", "grace", "Admin", "nobody"]), 0..2);
    let order = proptest::sample::select(vec![Order::Stored, Order::Newest, Order::Oldest]);
    let limit = proptest::option::of(0usize..40);
    let sort_rows = proptest::option::of(1usize..300);
    (times(), times(), conditions(), who, order, limit, sort_rows).prop_map(
        |(from, until, any_of, who, order, limit, sort_rows)| Scan {
            from,
            written_since: None,
            until,
            any_of,
            who: who.into_iter().map(str::to_owned).collect(),
            order,
            limit,
            sort_rows,
            columns: None,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, ..ProptestConfig::default() })]

    #[test]
    fn a_pruned_scan_equals_a_full_one(scan in scans()) {
        let (_, lake, records) = &*LAKE;
        let all = events(records);
        let mut expected: Vec<&Event<'_>> = all.iter().filter(|event| scan.accepts(event)).collect();
        expected.sort_by_key(|event| (event.event_time, event.id()));
        if scan.order == Order::Newest {
            expected.reverse();
        }
        let matching = expected.len();
        let found: Vec<Event<'static>> = lake.scan(&scan).expect("scan").map(|event| event.expect("row")).collect();
        prop_assert_eq!(found.len(), matching.min(scan.limit.unwrap_or(usize::MAX)));
        let id = |event: &Event<'_>| event.id().to_owned();
        if scan.order == Order::Stored {
            // Any of them, if there is a limit, but each once and none that does not match.
            let allowed: std::collections::BTreeSet<String> = expected.iter().map(|event| id(event)).collect();
            let found: std::collections::BTreeSet<String> = found.iter().map(id).collect();
            prop_assert!(found.is_subset(&allowed));
            prop_assert_eq!(found.len(), matching.min(scan.limit.unwrap_or(usize::MAX)));
        } else {
            expected.truncate(scan.limit.unwrap_or(usize::MAX));
            let expected: Vec<String> = expected.into_iter().map(id).collect();
            prop_assert_eq!(found.iter().map(id).collect::<Vec<_>>(), expected);
        }
        let mut batched = 0;
        lake.scan_batches(&scan, |batch| {
            batched += batch.len();
            ControlFlow::Continue(())
        }).expect("scan");
        prop_assert_eq!(batched, found.len());
    }
}

#[test]
fn columns_that_are_not_wanted_are_not_read() {
    let (_, lake, _) = &*LAKE;
    let scan = Scan { columns: Some(vec![Column::EventName]), limit: Some(5), ..Scan::default() };
    let found: Vec<Event<'static>> = lake.scan(&scan).expect("scan").map(|event| event.expect("row")).collect();
    assert_eq!(found.len(), 5);
    for event in found {
        assert!(event.event_name().is_some() && !event.id().is_empty());
        assert_eq!((event.user_identity(), event.source_ip()), (None, None));
    }
}

#[test]
fn provenance_comes_with_the_batches() {
    let (_, lake, _) = &*LAKE;
    let mut seen = 0;
    let scan = Scan { limit: Some(300), ..Scan::default() };
    lake.scan_batches(&scan, |batch| {
        for row in 0..batch.len() {
            assert!(batch.source_object(row).is_some_and(|name| name.starts_with("trail/")));
            assert_eq!(batch.ingested_at(row), Some(now()));
            seen += 1;
        }
        ControlFlow::Continue(())
    })
    .expect("scan");
    assert_eq!(seen, 300);
}

fn arbitrary_texts() -> impl Strategy<Value = Vec<Option<String>>> {
    let text = prop_oneof!["\\PC{0,12}", "[a-z]{0,3}", Just(String::new()), "(\u{0}|\u{7f}|\u{1b}|\"|\\\\|\n){1,4}"];
    proptest::collection::vec(proptest::option::weighted(0.7, text), Column::COUNT)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever an event holds comes back from the lake, also after a merge.
    #[test]
    fn any_event_comes_back(
        rows in proptest::collection::vec((arbitrary_texts(), 0i64..172_800_000_000, proptest::option::of(any::<bool>()), proptest::option::of(any::<bool>()), any::<bool>()), 1..40)
    ) {
        let folder = tempfile::tempdir().expect("folder");
        let lake = Lake::open_or_create(folder.path()).expect("lake");
        let writer = lake.writer(WriterOptions { row_group_rows: 7, ..WriterOptions::default() }).expect("writer");
        let made: Vec<Event<'_>> = rows.iter().enumerate().map(|(number, (texts, micros, read_only, mfa, derived))| {
            let mut event = Event::new(Timestamp::from_micros(START * 1_000_000 + micros).expect("in bounds"));
            (event.read_only, event.mfa_authenticated, event.id_derived) = (*read_only, *mfa, *derived);
            for (&column, text) in Column::ALL.iter().zip(texts) {
                event.set(column, text.as_deref().map(Cow::Borrowed));
            }
            event.set(Column::EventId, Cow::Owned(format!("{number} {}", texts[0].as_deref().unwrap_or_default())));
            event
        }).collect();
        for share in made.chunks(13) {
            writer.append(share, "x", now()).expect("append");
            writer.commit().expect("commit");
        }
        for merged in [false, true] {
            if merged {
                lake.compact(&CompactOptions::default()).expect("compact");
            }
            let mut found: Vec<Event<'static>> = lake.scan(&Scan::default()).expect("scan").map(|event| event.expect("row")).collect();
            found.sort_by_key(|event| event.id().split(' ').next().and_then(|number| number.parse::<usize>().ok()));
            prop_assert_eq!(found.len(), made.len());
            for (found, made) in found.iter().zip(&made) {
                prop_assert_eq!(found.event_time, made.event_time);
                prop_assert_eq!((found.read_only, found.mfa_authenticated, found.id_derived), (made.read_only, made.mfa_authenticated, made.id_derived));
                for &column in Column::ALL {
                    prop_assert_eq!(found.get(column), made.get(column), "{}", column.name());
                }
                prop_assert_eq!(found.content_hash(), made.content_hash());
            }
            prop_assert_eq!(lake.verify().expect("verify").problems, []);
        }
    }
}

#[test]
fn what_was_written_since_is_found_by_the_files() {
    let (_, lake, records) = &*LAKE;
    let newest = lake.active_files().expect("files").iter().map(|file| file.modified_millis()).max().expect("a file");
    let found = |millis: i64| {
        let since = Timestamp::from_micros(millis * 1_000);
        lake.scan(&Scan { written_since: since, ..Scan::default() }).expect("scan").count()
    };
    assert_eq!(found(946_684_800_000), events(records).len());
    assert!(found(newest) > 0);
    assert_eq!(found(newest + 1), 0);
}

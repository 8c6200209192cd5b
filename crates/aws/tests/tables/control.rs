use event::Timestamp;
use pipeline::collect::{Health, Pause, Scope, Stream, StreamChange, StreamStore, Trouble, TroubleKind, Unknown, Walk};
use pipeline::coverage::{Coverage, Interval};

use crate::stage::{tables, time};

pub(crate) fn covered(from: &str, to: &str) -> Coverage {
    Coverage::from_iter([Interval::new(time(from), time(to))])
}

pub(crate) fn trouble(message: &str) -> Trouble {
    let (since, last) = (time("2026-01-15T10:00:00Z"), time("2026-01-15T11:00:00.5Z"));
    Trouble { kind: TroubleKind::Throttled, message: message.to_owned(), since, last }
}

pub(crate) fn change(stream: &Stream, covered: Coverage) -> StreamChange {
    let window = Interval::new(time("2026-01-14T00:00:00Z"), time("2026-01-15T00:00:00Z"));
    let mut walk = Walk::new(window, time("2026-01-15T12:00:00.25Z"));
    walk.token = Some("t".repeat(2000));
    walk.reached = Some(time("2026-01-14T12:00:00Z"));
    walk.missed.add(Interval::new(time("2026-01-14T13:00:00Z"), time("2026-01-14T13:00:01Z")));
    (walk.tries, walk.empty) = (2, 3);
    let health = Health {
        last_run: Some(time("2026-01-15T12:00:00Z")),
        last_success: Some(time("2026-01-15T11:00:00Z")),
        last_event: None,
        events: 12,
        calls: 34,
        trouble: Some(trouble("no \"answer\"")),
    };
    let since = Some(time("2026-01-01T00:00:00Z"));
    StreamChange { stream: stream.clone(), since, covered, walks: vec![walk], health }
}

#[test]
#[ignore = "a process that another test starts"]
fn process() {
    let (table, other) = (tables().control(), tables().control());
    assert!(table.streams().unwrap().is_empty());
    let ours = Stream::new("111122223333", "us-east-1", "iam.amazonaws.com");
    let theirs = Stream::new("444455556666", "eu-west-1", "sso-directory.amazonaws.com");
    let first = change(&ours, covered("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"));
    table.save_streams(&[first.clone(), change(&theirs, Coverage::default())]).unwrap();
    let states = other.streams().unwrap();
    assert_eq!(states.iter().map(|state| &state.stream).collect::<Vec<_>>(), [&ours, &theirs]);
    assert_eq!((&states[0].walks, &states[0].health, states[0].since), (&first.walks, &first.health, first.since));
    assert_eq!(states[0].coverage, first.covered);

    // Two that collect at once, many times: nothing that either covered is lost.
    std::thread::scope(|scope| {
        for (table, half) in [(&table, 0), (&other, 1)] {
            let ours = &ours;
            scope.spawn(move || {
                for hour in 0..12 {
                    let from = time("2026-01-05T00:00:00Z").micros() + (hour * 2 + half) * 3_600_000_000;
                    let at = |micros| Timestamp::from_micros(micros).unwrap();
                    let covered = Coverage::from_iter([Interval::new(at(from), at(from + 3_600_000_000))]);
                    let change = StreamChange { walks: Vec::new(), since: None, ..change(ours, covered) };
                    table.save_streams(&[change]).unwrap();
                }
            });
        }
    });
    let state = &table.streams().unwrap()[0];
    let mut expected = covered("2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z");
    expected.union(&first.covered);
    assert_eq!((&state.coverage, state.since, state.walks.len()), (&expected, first.since, 0));

    // When it was first asked for is the earliest time that anybody wrote: a clock may have been ahead.
    let early = first.since.unwrap().micros() - 86_400_000_000;
    let early = StreamChange { since: Timestamp::from_micros(early), ..first.clone() };
    table.save_streams(std::slice::from_ref(&early)).unwrap();
    table.save_streams(std::slice::from_ref(&first)).unwrap();
    assert_eq!(table.streams().unwrap()[0].since, early.since);

    // A pause outlives whatever is written of the stream.
    let pause = Pause { at: time("2026-01-15T12:00:00Z"), by: "bob".to_owned(), reason: "noise".to_owned() };
    assert!(table.pause_stream(&ours, Some(&pause)).unwrap());
    assert!(!table.pause_stream(&ours, Some(&pause)).unwrap());
    other.save_streams(&[first]).unwrap();
    assert_eq!(table.streams().unwrap()[0].pause, Some(pause));
    assert!(table.pause_stream(&ours, None).unwrap());
    assert!(!table.pause_stream(&ours, None).unwrap());
    let state = &table.streams().unwrap()[0];
    assert_eq!((&state.pause, &state.health.trouble), (&None, &Some(trouble("no \"answer\""))));

    let scope = Scope {
        streams: vec![theirs, ours],
        unknown: vec![Unknown { subject: "organization".to_owned(), trouble: trouble("not allowed") }],
    };
    assert_eq!(table.scope().unwrap(), Scope::default());
    table.save_scope(&scope).unwrap();
    assert_eq!(other.scope().unwrap(), scope);
    assert_eq!(table.streams().unwrap().len(), 2);
}

#[test]
#[ignore = "a process that another test starts"]
fn reads_old_items() {
    let table = tables().control();
    let states = table.streams().unwrap();
    let names: Vec<String> = states.iter().map(|state| state.stream.to_string()).collect();
    assert_eq!(
        names,
        [
            "111122223333/eu-west-1/signin.amazonaws.com",
            "111122223333/us-east-1/iam.amazonaws.com",
            "444455556666/eu-west-1/sts.amazonaws.com"
        ]
    );
    let [signin, iam, sts] = &states[..] else { panic!("{states:?}") };
    assert_eq!(signin.health.trouble.as_ref().unwrap().message, "Rate exceeded");
    assert_eq!((iam.health.events, iam.health.last_run), (1234, Some(time("2025-08-10T18:30:00Z"))));
    // It never said what it had read: that is read again.
    assert!(iam.coverage.is_empty() && iam.pause.is_none());
    assert_eq!(sts.pause.as_ref().unwrap().by, "somebody");
    // It is the same item that is written now.
    table.save_streams(&[change(&iam.stream, Coverage::default())]).unwrap();
    assert_eq!(table.streams().unwrap().len(), 3);
}

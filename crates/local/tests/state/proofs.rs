//! What is read and what digests say, in any order, as often as one likes: the same end, by the rule.

use std::collections::BTreeMap;

use event::Timestamp;
use local::state::SqliteState;
use pipeline::proof::{
    Digest, Evidence, Examiner, Failure, Hashing, Metadata, Named, Place, Previous, ProofCounts, ProofStore, Provable,
    Proving, ReadLog, Signable, Signature, Standing,
};
use pipeline::state::{LakeFit, StateStore};
use proptest::prelude::*;

use crate::time;

fn place(number: u32, is_digest: bool) -> Place {
    let kind = if is_digest { "CloudTrail-Digest" } else { "CloudTrail" };
    Place {
        key: format!("AWSLogs/111122223333/{kind}/us-east-1/2026/01/30/{number}.json.gz"),
        is_digest,
        account: "111122223333".to_owned(),
        region: "us-east-1".to_owned(),
        delivered: Timestamp::from_micros(time("2026-01-30T10:00:00Z").micros() + i64::from(number) * 1_200_000_000),
    }
}

fn hash(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

fn log(number: u32, content: &str) -> Evidence {
    let name = format!("/copy/{number}.json.gz");
    Evidence::Log(ReadLog { place: place(number, false), name, hash: hash(content), records: u64::from(number) + 10 })
}

fn digest(number: u32, signature: Signature, previous: Option<u32>, names: &[(u32, &str)]) -> Evidence {
    Evidence::Digest(Digest {
        key: place(number, true).key,
        hash: format!("digest {number}"),
        signable: (signature != Signature::Good).then(|| signable(&number.to_string(), None)),
        signature,
        previous: previous.map(|number| Previous {
            key: place(number, true).key,
            hash: format!("digest {number}"),
            signature: None,
        }),
        names: names.iter().map(|&(log, content)| Named { place: place(log, false), hash: hash(content) }).collect(),
    })
}

fn signable(text: &str, signature: Option<&str>) -> Signable {
    Signable {
        text: text.to_owned(),
        fingerprint: "f".to_owned(),
        signed: time("2026-01-30T11:00:00Z"),
        signature: signature.map(str::to_owned),
    }
}

/// The same digest, with its own signature beside it and the one before it signed in it.
fn signed(evidence: Evidence, own: Option<&str>, carried: Option<&str>) -> Evidence {
    let Evidence::Digest(mut digest) = evidence else { panic!("a digest") };
    if let Some(signable) = &mut digest.signable {
        signable.signature = own.map(str::to_owned);
    }
    if let Some(previous) = &mut digest.previous {
        previous.signature = carried.map(str::to_owned);
    }
    Evidence::Digest(digest)
}

/// Somebody with the keys, or without: `signed TEXT` is the signature of TEXT.
struct Keys(bool);

impl Examiner for Keys {
    fn place(&self, _: &str) -> Option<Place> {
        None
    }

    fn hashing(&self) -> Box<dyn Hashing> {
        unreachable!("nothing is read")
    }

    fn examine(&self, _: &Place, _: &str, _: &[u8], _: &Metadata) -> Digest {
        unreachable!("nothing is read")
    }

    fn holds(&self, Provable { text, signature, .. }: &Provable) -> bool {
        self.0 && *signature == format!("signed {text}")
    }
}

/// Tries again what is not proven.
fn prove_late(state: &SqliteState, keys: bool) -> Vec<Failure> {
    Proving { examiner: &Keys(keys), store: state }.prove_late().unwrap()
}

fn unchecked() -> Signature {
    Signature::Unchecked("no signature".to_owned())
}

/// Some of everything.
pub(crate) fn some_evidence() -> Vec<Evidence> {
    vec![
        log(0, "a"),
        log(1, "b"),
        log(2, ""),
        log(3, "d"),
        digest(0, unchecked(), None, &[(0, "a"), (1, "x")]),
        digest(1, Signature::Good, Some(0), &[(2, "c"), (4, "e")]),
        digest(2, Signature::Forged("not signed".to_owned()), Some(1), &[(3, "d")]),
        signed(digest(4, unchecked(), Some(3), &[]), Some("signed 5"), Some("signed 3")),
    ]
}

pub(crate) fn proofs_of_some() -> ProofCounts {
    ProofCounts { proven: 1, pending: 1, failed: 2, missing: 1, digests: 2, unproven_digests: 2 }
}

fn add(state: &SqliteState, evidence: &[Evidence]) -> Vec<Failure> {
    state.add_evidence(evidence, time("2026-02-01T00:00:00Z")).unwrap()
}

#[test]
fn what_is_known_and_what_was_read_is_told() {
    let state = SqliteState::in_memory().unwrap();
    let failures = add(&state, &some_evidence());
    assert_eq!(state.count_proofs().unwrap(), proofs_of_some());
    let told: Vec<(&str, Option<&str>, Option<&str>)> = failures
        .iter()
        .map(|failure| (failure.name.as_str(), failure.read.as_deref(), failure.named.as_deref()))
        .collect();
    assert_eq!(told, [("/copy/1.json.gz", Some("b"), Some("x")), ("/copy/2.json.gz", None, Some("c"))]);
    let (from, to) = (time("2026-01-30T10:00:00Z"), time("2026-01-30T11:00:00Z"));
    let folder = "AWSLogs/111122223333/CloudTrail/us-east-1/";
    let read = state.contents_read(folder, from, to).unwrap();
    let read: Vec<(&str, u64)> = read.iter().map(|content| (content.hash.as_str(), content.records)).collect();
    assert_eq!(read, [("a", 10), ("b", 11), ("", 12)]);
    assert_eq!(state.contents_read(folder, to, time("2026-01-30T12:00:00Z")).unwrap().len(), 1);
    for other in ["AWSLogs/111122223333/CloudTrail/us-east/", "AWSLogs/111122223334/", "AWSLogs/o-exampleorgid/"] {
        assert_eq!(state.contents_read(other, from, to).unwrap(), [], "{other}");
    }
}

#[test]
fn a_failure_is_returned_until_it_is_told_and_when_it_is_met_again() {
    let state = SqliteState::in_memory().unwrap();
    add(&state, &[log(1, "b")]);
    // The process ends before the alert is recorded.
    let failures = add(&state, &[digest(0, Signature::Good, None, &[(1, "x")])]);
    assert_eq!(failures.len(), 1);
    assert_eq!(add(&state, &[log(7, "z")]), failures);
    state.failures_told(&failures).unwrap();
    assert_eq!(add(&state, &[log(7, "z")]), []);
    assert_eq!(add(&state, &[log(1, "b")]), failures);
}

#[test]
fn another_lake_forgets_what_was_read_and_not_what_was_named() {
    let state = SqliteState::in_memory().unwrap();
    state.fit_lake("one", &|| Ok(1)).unwrap();
    add(&state, &[log(1, "b"), digest(0, Signature::Good, None, &[(1, "b")])]);
    assert_eq!(state.count_proofs().unwrap(), ProofCounts { proven: 1, digests: 1, ..ProofCounts::default() });
    assert!(matches!(state.fit_lake("another", &|| Ok(1)).unwrap(), LakeFit::Restored { .. }));
    assert_eq!(state.count_proofs().unwrap(), ProofCounts { missing: 1, digests: 1, ..ProofCounts::default() });
}

#[test]
fn a_digest_is_proven_by_what_comes_later() {
    let named = |standing| ProofCounts { digests: 2, unproven_digests: 1, ..standing };
    // The signatures of a copy stand in the digests behind: of all but the newest.
    let state = SqliteState::in_memory().unwrap();
    add(&state, &[log(0, "a"), log(1, "changed")]);
    add(&state, &[digest(0, unchecked(), None, &[(0, "a")])]);
    add(&state, &[signed(digest(1, unchecked(), Some(0), &[(1, "b")]), None, Some("wrong"))]);
    assert_eq!(prove_late(&state, true), []);
    add(&state, &[signed(digest(2, unchecked(), Some(1), &[(1, "c")]), None, Some("signed 1"))]);
    assert_eq!(prove_late(&state, false), [], "without the keys");
    let failures = prove_late(&state, true);
    assert_eq!(failures.iter().map(|failure| failure.name.as_str()).collect::<Vec<_>>(), ["/copy/1.json.gz"]);
    // The one before the one that is proven is vouched for.
    let counts = named(ProofCounts { proven: 1, failed: 1, ..ProofCounts::default() });
    assert_eq!(state.count_proofs().unwrap(), counts);
    // Nobody knows yet that it was told.
    assert_eq!(prove_late(&state, true), failures);
    state.failures_told(&failures).unwrap();
    assert_eq!(prove_late(&state, true), []);

    // What stood beside it is tried with the keys that were not at hand, also where only it came again with that.
    let state = SqliteState::in_memory().unwrap();
    add(&state, &[log(0, "a"), digest(0, unchecked(), None, &[(0, "a")])]);
    prove_late(&state, true);
    assert_eq!(state.count_proofs().unwrap().digests, 0);
    add(&state, &[signed(digest(0, unchecked(), None, &[(0, "a")]), Some("signed 0"), None)]);
    assert_eq!(state.provable(None).unwrap().len(), 1);
    prove_late(&state, true);
    assert_eq!(state.count_proofs().unwrap(), ProofCounts { proven: 1, digests: 1, ..ProofCounts::default() });
    // Nothing is left of it to be tried, or to be kept.
    assert_eq!(state.provable(None).unwrap(), []);
}

#[test]
fn signatures_are_tried_one_heap_after_the_other() {
    let state = SqliteState::in_memory().unwrap();
    // Every other one is nobody's; each stands for itself.
    let own = |number: u32| if number.is_multiple_of(2) { format!("signed {number}") } else { "nobody's".to_owned() };
    let digests: Vec<Evidence> =
        (0..1500).map(|number| signed(digest(number, unchecked(), None, &[]), Some(&own(number)), None)).collect();
    add(&state, &digests);
    prove_late(&state, true);
    let counts = state.count_proofs().unwrap();
    assert_eq!((counts.digests, counts.unproven_digests), (750, 750));
}

/// What the rule says of all the evidence at once: digests that are signed, or that a proven one vouches for, count.
fn expected(evidence: &[Evidence]) -> BTreeMap<String, Standing> {
    let digests: Vec<&Digest> = evidence
        .iter()
        .filter_map(|piece| match piece {
            Evidence::Digest(digest) => Some(digest),
            Evidence::Log(_) => None,
        })
        .collect();
    let mut proven: Vec<&Digest> = digests
        .iter()
        .copied()
        .filter(|digest| digest.signature == Signature::Good || is_signed(digest, &digests))
        .collect();
    loop {
        let vouched: Vec<&Digest> = digests
            .iter()
            .copied()
            .filter(|digest| !proven.contains(digest))
            .filter(|digest| {
                let vouches = |previous: &Previous| previous.key == digest.key && previous.hash == digest.hash;
                proven.iter().any(|later| later.previous.as_ref().is_some_and(vouches))
            })
            .collect();
        if vouched.is_empty() {
            break;
        }
        proven.extend(vouched);
    }
    type Hashes = Vec<Option<String>>;
    let mut known: BTreeMap<String, (Hashes, Hashes)> = BTreeMap::new();
    for piece in evidence {
        if let Evidence::Log(log) = piece {
            known.entry(log.place.key.clone()).or_default().0.push(log.hash.clone());
        }
    }
    for named in proven.iter().flat_map(|digest| &digest.names) {
        known.entry(named.place.key.clone()).or_default().1.push(named.hash.clone());
    }
    known.into_iter().filter_map(|(key, (read, named))| Some((key, Standing::of(&read, &named)?))).collect()
}

/// Whether a signature of a digest stands beside it or in any other one.
fn is_signed(digest: &Digest, all: &[&Digest]) -> bool {
    let Some(signable) = &digest.signable else { return false };
    let beside = all.iter().filter(|other| other.key == digest.key);
    let beside = beside.filter_map(|other| other.signable.as_ref()?.signature.as_ref());
    let carried = all.iter().filter_map(|other| other.previous.as_ref());
    let carried =
        carried.filter(|previous| previous.key == digest.key).filter_map(|previous| previous.signature.as_ref());
    beside.chain(carried).any(|signature| *signature == format!("signed {}", signable.text))
}

fn any_evidence() -> impl Strategy<Value = Evidence> {
    let content = prop::sample::select(vec!["a", "b", ""]);
    let a_log = (0..6_u32, content.clone()).prop_map(|(number, content)| log(number, content));
    // A digest's names and its predecessor follow from its content, so from its number. What stands beside it does not.
    let a_digest = (0..5_u32, 0..4_u8).prop_map(|(number, beside)| {
        let names = [(number, "a"), (number + 1, if number == 3 { "" } else { "b" })];
        let signature = match beside {
            0 if number >= 3 => Signature::Good,
            1 => Signature::Forged("not signed".to_owned()),
            _ => unchecked(),
        };
        let own = ["signed by nobody".to_owned(), format!("signed {number}")];
        let own = own.get(usize::from(beside).wrapping_sub(2)).filter(|_| number.is_multiple_of(2));
        let carried = if number == 2 { "signed 7".to_owned() } else { format!("signed {}", number.saturating_sub(1)) };
        let carried = Some(carried.as_str()).filter(|_| number != 3);
        signed(digest(number, signature, number.checked_sub(1), &names), own.map(String::as_str), carried)
    });
    // Somebody's, in the place of another one.
    let edited = Just(()).prop_map(|()| {
        let Evidence::Digest(edited) = signed(digest(2, unchecked(), Some(1), &[(2, "b")]), Some("signed 2"), None)
        else {
            unreachable!("a digest")
        };
        let signable = edited.signable.map(|signable| Signable { text: "edited".to_owned(), ..signable });
        Evidence::Digest(Digest { hash: "edited".to_owned(), signable, ..edited })
    });
    prop_oneof![4 => a_log, 4 => a_digest, 1 => edited]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_order_and_the_number_of_arrivals_change_nothing(
        evidence in prop::collection::vec(any_evidence(), 0..24),
        again in 0..24_usize,
        at_once in 1..8_usize,
        tries in prop::collection::vec(0..3_u8, 48),
    ) {
        let expected = expected(&evidence);
        let mut counts = ProofCounts::default();
        expected.values().for_each(|standing| counts.add(*standing, 1));
        let mut failed: Vec<&String> =
            expected.iter().filter(|(_, standing)| **standing == Standing::Failed).map(|(key, _)| key).collect();
        failed.sort();

        // Some of it comes again, backwards.
        let mut shuffled = evidence.clone();
        shuffled.extend(evidence.iter().rev().take(again).cloned());
        let state = SqliteState::in_memory().unwrap();
        let mut met = std::collections::BTreeSet::new();
        let mut tell = |failures: Vec<Failure>| {
            state.failures_told(&failures).unwrap();
            met.extend(failures.into_iter().map(|failure| failure.key));
        };
        for (heap, tried) in shuffled.chunks(at_once).zip(tries) {
            tell(add(&state, heap));
            // Now and then signatures are tried, with the keys or without.
            if tried > 0 {
                tell(prove_late(&state, tried == 2));
            }
        }
        tell(prove_late(&state, true));
        let found = state.count_proofs().unwrap();
        prop_assert_eq!(ProofCounts { digests: 0, unproven_digests: 0, ..found }, counts);
        // Each one that stands failed was handed out by the piece that made it so.
        prop_assert_eq!(met.iter().collect::<Vec<_>>(), failed);
    }
}

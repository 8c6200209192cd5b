//! The chain: every digest carries the signature and the hash of the one before it.
//!
//! A digest is settled when the one after it is known: that one carries its signature, which a copy may have lost, and its
//! hash. A signature proves itself, whoever carries it; but where one does **not** fit, it may be its carrier that was
//! changed. So what a digest carries is held against others only once it is settled itself.

use event::Timestamp;
use serde::{Deserialize, Serialize};

use crate::hash::Sha256;
use crate::layout::{ChainName, Lane, Place};
use crate::ledger::Ledger;
use crate::report::{ChainSummary, Counts, Finding, HOUR, Kind, Status};

/// What is known of a digest from itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Proof {
    /// Its own signature holds.
    Signed,
    /// Its signature is not at hand.
    Absent,
    /// What stands beside its bytes is not what CloudTrail wrote there.
    Forged(String),
    /// It is no digest of this place.
    Bad(String),
    /// It cannot be judged.
    Unjudged(String),
}

/// What is signed, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Signable {
    pub(crate) text: String,
    pub(crate) fingerprint: String,
    pub(crate) generated: Option<Timestamp>,
}

/// The digest before, as a digest names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Back {
    /// Its key as CloudTrail wrote it; none where it lies in another bucket or under another prefix.
    pub(crate) key: Option<String>,
    pub(crate) hash: Option<Sha256>,
    pub(crate) signature: Option<String>,
}

/// A digest, as far as its chain needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    /// Its key, as CloudTrail wrote it.
    pub(crate) key: String,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    /// From when on it covers what happened: from the end of the one before it.
    since: Timestamp,
    pub(crate) proof: Proof,
    pub(crate) content: Option<Sha256>,
    pub(crate) signable: Option<Signable>,
    /// The signature that stands beside its bytes.
    pub(crate) signature: Option<String>,
    /// None at the start of a chain, and where it could not be read.
    pub(crate) back: Option<Back>,
    /// What came of the log files that it names.
    pub(crate) logs: Logs,
    /// What else stands against it.
    pub(crate) blame: Option<String>,
    /// What it says is missing before it, should it prove to be CloudTrail's.
    claims: Vec<Claim>,
}

/// What came of a digest's log files, to be counted if it proves to be CloudTrail's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Logs {
    /// The halves of the hashes of those keys that are there, and what is known of each.
    pub(crate) named: Vec<(u128, Timestamp, Status)>,
    /// Those that are not there.
    pub(crate) missing: Vec<Timestamp>,
    pub(crate) findings: Vec<Finding>,
}

impl Logs {
    pub(crate) fn is_empty(&self) -> bool {
        self.named.is_empty() && self.missing.is_empty()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    finding: Finding,
    from: Timestamp,
    to: Timestamp,
}

impl Link {
    pub(crate) fn new(key: String, start: Timestamp, end: Timestamp, proof: Proof) -> Link {
        Link {
            key,
            start,
            end,
            since: start,
            proof,
            content: None,
            signable: None,
            signature: None,
            back: None,
            logs: Logs::default(),
            blame: None,
            claims: Vec::new(),
        }
    }

    /// Takes the start that it gives itself.
    pub(crate) fn starts(&mut self, start: Timestamp) {
        (self.start, self.since) = (start, start);
    }

    /// What it says of the digest with this key.
    fn carries(&self, key: &str) -> Option<&Back> {
        self.back.as_ref().filter(|back| back.key.as_deref() == Some(key))
    }
}

/// Whether a signature is CloudTrail's for what is signable.
pub(crate) type Prove<'p> = &'p dyn Fn(&Signable, &str) -> bool;

/// How a chain is followed.
#[derive(Clone, Copy)]
pub(crate) struct Follow<'f> {
    pub(crate) lane: &'f Lane,
    pub(crate) place: &'f Place,
    pub(crate) prove: Prove<'f>,
    /// Whether the store has every object's metadata.
    pub(crate) keeps_metadata: bool,
    /// Digests that end no later than this were not looked for.
    pub(crate) from: Option<Timestamp>,
    /// The object that is to be told of even if nothing is wrong with it.
    pub(crate) focus: Option<&'f str>,
}

/// A chain that is being followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Chain {
    pub(crate) name: ChainName,
    summary: Option<ChainSummary>,
    /// The newest digest so far that may be one of this place.
    last: Option<Link>,
    /// What lies behind it under names of digests and is none: keys and times.
    bad: Vec<(String, Timestamp)>,
    /// The one before it, where the newest one's word stands against it.
    suspect: Option<(Link, String)>,
}

/// What is known in the end of a digest.
struct Verdict {
    status: Status,
    detail: String,
    /// Whether what it says is CloudTrail's word.
    is_proven: bool,
    by_successor: bool,
}

const UNKNOWN: &str =
    "its signature is unknown: the digest after it, which carries it, is not known to be sound itself";
/// How many of those that are none are remembered.
const BAD: usize = 10_000;
/// Ends and starts that are no farther apart than this belong together.
const SEAM: i64 = 60_000_000;
const DAY: i64 = 24 * HOUR;

fn before(time: Timestamp, micros: i64) -> Timestamp {
    Timestamp::from_micros(time.micros() - micros).unwrap_or(Timestamp::MIN)
}

impl Chain {
    pub(crate) fn new(name: ChainName) -> Chain {
        Chain { name, summary: None, last: None, bad: Vec::new(), suspect: None }
    }

    /// Takes the next digest by its end, and settles the one before it.
    pub(crate) fn follow(&mut self, mut next: Link, how: Follow<'_>, ledger: &mut Ledger) {
        self.count(&next);
        if let Proof::Bad(why) = &next.proof {
            // Whatever it is, it stands between no two digests.
            let (status, detail) = (Status::Tampered, why.clone());
            if self.bad.len() < BAD {
                self.bad.push((next.key.clone(), next.start));
            }
            return self.tell(next, Verdict { status, detail, is_proven: false, by_successor: false }, how, ledger);
        }
        self.join(&mut next, how);
        self.bad.clear();
        if let Some(last) = self.last.take() {
            self.settle(last, Some(&mut next), how, ledger);
        }
        self.last = Some(next);
    }

    /// Settles the newest digest by one that is not looked at itself.
    pub(crate) fn witness(&mut self, mut next: Link, how: Follow<'_>, ledger: &mut Ledger) {
        if let Some(last) = self.last.take() {
            self.settle(last, Some(&mut next), how, ledger);
        }
    }

    /// Settles what is left: no digest comes after it.
    pub(crate) fn end(&mut self, how: Follow<'_>, ledger: &mut Ledger) -> Option<ChainSummary> {
        if let Some(last) = self.last.take() {
            self.settle(last, None, how, ledger);
        }
        if let Some((suspect, _)) = self.suspect.take() {
            // Its witness was not looked at itself.
            let (status, detail) = (Status::Unjudged, UNKNOWN.to_owned());
            self.tell(suspect, Verdict { status, detail, is_proven: false, by_successor: false }, how, ledger);
        }
        self.summary.take()
    }

    fn count(&mut self, next: &Link) {
        let ChainName { trail, home_region, is_backfill } = &self.name;
        let summary = self.summary.get_or_insert_with(|| ChainSummary {
            trail: trail.clone(),
            home_region: home_region.clone(),
            is_backfill: *is_backfill,
            from: next.start,
            to: next.end,
            digests: 0,
        });
        summary.digests += 1;
        summary.from = summary.from.min(next.start);
        summary.to = summary.to.max(next.end);
    }

    /// Compares what a digest names as the one before it with what was there.
    fn join(&self, next: &mut Link, how: Follow<'_>) {
        let last = self.last.as_ref();
        let Some(named) = next.back.as_ref().and_then(|back| back.key.clone()) else { return };
        if last.is_some_and(|last| last.key == named) {
            // A chain has no holes: what lies between two of its digests is theirs.
            next.since = last.map_or(next.start, |last| last.end.min(next.start));
            return;
        }
        let name = how.place.here(&named).and_then(|here| how.lane.digest_name(&here));
        let end = name.filter(|name| name.chain == self.name).map(|name| name.end);
        let Some(end) = end else {
            next.blame = Some(format!("it names {named} as the digest before it, which is none of its chain"));
            return;
        };
        if let Some(last) = last.filter(|last| end <= last.end) {
            next.blame = Some(format!("it names {named} as the digest before it, but {} lies between them", last.key));
            return;
        }
        if how.from.is_some_and(|from| end <= from) {
            return;
        }
        let from = before(end, HOUR).max(last.map_or(Timestamp::MIN, |last| last.end));
        let is_there = self.bad.iter().any(|(key, _)| *key == named);
        let first = if is_there { self.bad.iter().map(|(_, start)| *start).min().unwrap_or(from) } else { from };
        if !is_there {
            let finding = Finding {
                kind: Kind::Digest,
                status: Status::Missing,
                from,
                to: None,
                trail: Some(self.name.trail.clone()),
                detail: format!("not found; {} names it as the digest before it", file_name(&next.key)),
                key: Some(named),
            };
            // A chain of backfilled digests has holes.
            let to = if self.name.is_backfill { end } else { end.max(next.start) };
            next.claims.push(Claim { finding, from, to });
        }
        if let Some(last) = last.filter(|last| last.end.micros() + SEAM < first.micros() && !self.name.is_backfill) {
            let finding = Finding {
                kind: Kind::Gap,
                status: Status::Missing,
                from: last.end,
                to: Some(first),
                trail: Some(self.name.trail.clone()),
                key: None,
                detail: format!("no digests between {} and {first}, in the middle of a chain", last.end),
            };
            next.claims.push(Claim { finding, from: last.end, to: first });
        }
    }

    /// The time of the digest that waits for the one after it: what it names is not known yet.
    pub(crate) fn waiting(&self) -> Option<(Timestamp, Timestamp)> {
        self.last.as_ref().map(|last| (before(last.since, HOUR), before(last.end, -HOUR)))
    }

    fn settle(&mut self, link: Link, next: Option<&mut Link>, how: Follow<'_>, ledger: &mut Ledger) {
        let carried = next.as_ref().and_then(|next| next.carries(&link.key)).cloned();
        let proves = |back: &Back| match (&link.signable, &back.signature) {
            (Some(signable), Some(signature)) => (how.prove)(signable, signature),
            _ => false,
        };
        let by_successor =
            matches!(link.proof, Proof::Absent | Proof::Forged(_)) && carried.as_ref().is_some_and(proves);
        let is_proven = link.proof == Proof::Signed || by_successor;
        let verdict = |status, detail: String| Verdict { status, detail, is_proven, by_successor };
        let differs = carried.as_ref().is_some_and(|back| back.hash.is_none() || back.hash != link.content);
        let mut is_suspect = None;
        let settled = match &link.proof {
            Proof::Signed => verdict(Status::Verified, String::new()),
            Proof::Forged(why) => verdict(Status::Tampered, with_content(why, by_successor)),
            Proof::Absent if how.keeps_metadata => {
                verdict(Status::Tampered, with_content("its metadata has no signature", by_successor))
            }
            Proof::Absent if by_successor => verdict(Status::Verified, String::new()),
            Proof::Absent => {
                is_suspect = carried.as_ref().map(|_| {
                    "signature verification failed: it is not what the signature that its successor carries was made of"
                });
                let why = "its signature is unknown: it lies in the metadata of the original object, and no digest after it carries it";
                verdict(Status::Unjudged, why.to_owned())
            }
            Proof::Bad(_) => unreachable!("told when it was met"),
            Proof::Unjudged(why) => {
                is_suspect = (differs && link.content.is_some())
                    .then_some("its content is not that whose hash its successor recorded");
                verdict(Status::Unjudged, why.clone())
            }
        };
        if let Some(next) = next.filter(|_| is_proven) {
            next.blame_by(&link, carried.as_ref());
        }
        // Now that it is known whether its own word counts.
        if let Some((suspect, why)) = self.suspect.take() {
            let status = if is_proven { Status::Tampered } else { Status::Unjudged };
            let detail = if is_proven { why } else { UNKNOWN.to_owned() };
            self.tell(suspect, Verdict { status, detail, is_proven: false, by_successor: false }, how, ledger);
        }
        match is_suspect {
            Some(why) => self.suspect = Some((link, why.to_owned())),
            None => self.tell(link, settled, how, ledger),
        }
    }

    /// Counts a settled digest, and what it says.
    fn tell(&mut self, link: Link, verdict: Verdict, how: Follow<'_>, ledger: &mut Ledger) {
        let Verdict { mut status, mut detail, is_proven, by_successor } = verdict;
        if let Some(blame) = &link.blame {
            detail = if detail.is_empty() { blame.clone() } else { format!("{detail}; {blame}") };
            status = status.max(Status::Tampered);
        }
        let mut counts = Counts::default();
        counts.digests.add(status);
        counts.listed_digests = 1;
        counts.backfills = u64::from(self.name.is_backfill);
        counts.quiet = u64::from(status == Status::Verified && link.logs.is_empty());
        counts.by_successor = u64::from(status == Status::Verified && by_successor);
        ledger.add(link.start, counts);
        let trail = Some(self.name.trail.clone());
        if status != Status::Verified || how.focus == Some(link.key.as_str()) {
            let detail = if detail.is_empty() { "valid".to_owned() } else { detail };
            let (key, from) = (Some(link.key), link.start);
            ledger.tell(Finding { kind: Kind::Digest, status, from, to: None, trail: trail.clone(), key, detail });
        }
        // What a digest says of its start that is not CloudTrail's is nobody's word: it would make years doubtful.
        let earliest = if is_proven { Timestamp::MIN } else { before(link.end, DAY) };
        match self.name.is_backfill {
            false => ledger.cover(link.since.max(earliest), link.end, is_proven),
            true if !is_proven => ledger.excuse(link.start.max(earliest), link.end),
            true => {}
        }
        if !is_proven {
            return;
        }
        for Claim { finding, from, to } in link.claims {
            let mut counts = Counts::default();
            match finding.kind {
                Kind::Gap => counts.gaps = 1,
                _ => counts.digests.missing = 1,
            }
            ledger.add(from, counts);
            ledger.tell(finding);
            match self.name.is_backfill {
                true => ledger.excuse(from, to),
                false => ledger.cover(from, to, false),
            }
        }
        ledger.name(link.logs, trail);
    }
}

impl Link {
    /// Takes note where what it carries is not what the digest before it, which is CloudTrail's, has.
    fn blame_by(&mut self, before: &Link, carried: Option<&Back>) {
        let Some(back) = carried else { return };
        let name = file_name(&before.key);
        if back.hash.is_none() || back.hash != before.content {
            self.blame = Some(format!("its previousDigestHashValue is not the hash of {name}"));
        } else if let (Proof::Signed, Some(own)) = (&before.proof, &before.signature)
            && !back.signature.as_ref().is_some_and(|carried| carried.eq_ignore_ascii_case(own))
        {
            self.blame = Some(format!("its previousDigestSignature is not the signature of {name}"));
        }
    }
}

fn with_content(why: &str, is_proven: bool) -> String {
    let proven = "; its content is proven by the signature that its successor carries";
    format!("{why}{}", if is_proven { proven } else { "" })
}

fn file_name(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

//! Which hours the digests of a bundle prove: what `integrity` says of a trail, said again from the bundle alone.
//!
//! A signed digest covers the time from the end of the one before it to its own end. An hour is proven where signed
//! digests cover all of it that lies behind the first of them and before the end of what was asked for, and where none
//! that they name is gone. What other digests say proves nothing.

use std::collections::{BTreeMap, BTreeSet};

use event::Timestamp;
use integrity::digest::Digest;
use integrity::layout::{ChainName, DigestName, Lane, delivered};
use integrity::report::{HOUR, hour_of};

use super::bundle::one_line;

/// Ends and starts that are no farther apart than this belong together.
const SEAM: i64 = 60_000_000;

/// What the digests of an account in a region prove. Its times are microseconds.
#[derive(Default)]
pub(super) struct Cover {
    hours: BTreeMap<Timestamp, Named>,
    chains: BTreeMap<ChainName, Chain>,
    /// Times that signed digests cover: once settled, in order and apart.
    signed: Vec<(i64, i64)>,
    /// Times of digests that others name and that are not there: once settled, in order and apart.
    lost: Vec<(i64, i64)>,
    /// The time of which there have to be lines: from the start of the first signed digest to the end of the last.
    told: Option<(i64, i64)>,
}

/// What there is of an hour.
#[derive(Default)]
struct Named {
    /// Signed digests that begin in it.
    digests: u64,
    /// Log files that digests name.
    files: u64,
    /// Those that a digest names which is not signed.
    unproven: u64,
}

/// The ends of a chain's signed digests, and of those that they name as the ones before them.
#[derive(Default)]
struct Chain {
    ends: BTreeSet<i64>,
    before: BTreeSet<i64>,
}

impl Cover {
    /// Takes in what a digest says; with its place, if it is signed.
    pub(super) fn add(&mut self, digest: &Digest, signed: Option<&(Lane, DigestName)>) {
        for file in &digest.log_files {
            let hour = hour_of(delivered(&file.key).unwrap_or(digest.start));
            let named = self.hours.entry(hour).or_default();
            named.files += 1;
            named.unproven += u64::from(signed.is_none());
        }
        let Some((lane, DigestName { chain, end })) = signed else { return };
        self.hours.entry(hour_of(digest.start)).or_default().digests += 1;
        let before = digest.previous.as_ref().filter(|previous| previous.bucket == digest.bucket);
        let before = before.and_then(|previous| lane.digest_name(&previous.key));
        let before = before.filter(|name| name.chain == *chain).map(|name| name.end.micros());
        let start = digest.start.micros();
        if !chain.is_backfill {
            // A chain has no holes: what lies between two of its digests is theirs.
            self.signed.push((before.map_or(start, |before| before.min(start)), end.micros()));
            let (first, last) = self.told.unwrap_or((start, end.micros()));
            self.told = Some((first.min(start), last.max(end.micros())));
        }
        let chain = self.chains.entry(chain.clone()).or_default();
        chain.ends.insert(end.micros());
        chain.before.extend(before);
    }

    /// Puts together what was taken in. Digests that end no later than `from` were not asked for.
    pub(super) fn settle(&mut self, from: Option<Timestamp>) {
        let from = from.map_or(i64::MIN, Timestamp::micros);
        for (name, Chain { ends, before }) in &self.chains {
            for &end in before.difference(ends).filter(|&&end| end > from) {
                let last = ends.range(..end).next_back();
                let start = last.map_or(end - HOUR, |&last| last.max(end - HOUR));
                // A backfilled digest covers nothing: it counts for the hour that it begins in.
                self.lost.push((start, if name.is_backfill { start + 1 } else { end }));
            }
        }
        join(&mut self.signed, SEAM);
        join(&mut self.lost, 0);
    }

    /// How many log files signed digests name in an hour, and how many all of them do.
    pub(super) fn files(&self, hour: Timestamp) -> (u64, u64) {
        self.hours.get(&hour).map_or((0, 0), |named| (named.files - named.unproven, named.files))
    }

    /// Whether signed digests prove an hour, once settled. Nothing was asked for behind `to`.
    pub(super) fn proves(&self, hour: Timestamp, to: Option<Timestamp>) -> bool {
        let (start, end) = (hour.micros(), hour.micros() + HOUR);
        let is_within = |span: Option<(i64, i64)>| span.is_some_and(|span| span.0 < end);
        if to.is_some_and(|to| hour >= to) || is_within(reaching_beyond(&self.lost, start)) {
            return false;
        }
        let is_known = self.hours.get(&hour).is_some_and(Named::is_proven);
        if !is_known && !is_within(reaching_beyond(&self.signed, start)) {
            return false;
        }
        let from = self.signed.first().map_or(end, |first| first.0.max(start));
        let until = to.map_or(end, |to| to.micros().min(end));
        let span = reaching_beyond(&self.signed, from);
        from >= until || span.is_some_and(|span| span.0 <= from && until <= span.1 + SEAM)
    }

    /// The hours of which a statement has to say something, in order: those that signed digests or log files that they name
    /// belong to, and every one from the first digest on to the end of what was asked for.
    pub(super) fn hours(&self, from: Option<Timestamp>, to: Option<Timestamp>) -> impl Iterator<Item = Timestamp> {
        let (first, last) = self.told.unwrap_or((i64::MAX, i64::MAX));
        let first = from.map_or(first, |from| from.micros().max(first));
        let span = first - first.rem_euclid(HOUR)..to.map_or(last, Timestamp::micros);
        let is_wanted = move |hour: &Timestamp| {
            from.is_none_or(|from| hour.micros() + HOUR > from.micros()) && to.is_none_or(|to| *hour < to)
        };
        let known = self.hours.iter().filter(|(_, named)| named.is_proven()).map(|(&hour, _)| hour).filter(is_wanted);
        let (start, end) = (span.start, span.end.max(span.start));
        let before = known.clone().filter(move |hour| hour.micros() < start);
        let behind = known.filter(move |hour| hour.micros() >= end);
        let within = span.step_by(HOUR as usize).filter_map(Timestamp::from_micros);
        before.chain(within).chain(behind)
    }
}

impl Named {
    fn is_proven(&self) -> bool {
        self.digests + self.files > self.unproven
    }
}

/// Where a digest lies by its own word, if that is where it is said to lie.
pub(super) fn lies_at(digest: &Digest, key: &str, account: &str, region: &str) -> Option<(Lane, DigestName)> {
    let lane = lane_of(&digest.key, account, region)?;
    let name = lane.digest_name(&digest.key)?;
    let is_there =
        one_line(&digest.key) == one_line(key) && (digest.account.as_str(), digest.end) == (account, name.end);
    is_there.then_some((lane, name))
}

/// The lane of an account in a region that a digest's key lies in.
pub(super) fn lane_of(key: &str, account: &str, region: &str) -> Option<Lane> {
    let at = key.rfind(&format!("{account}/CloudTrail-Digest/{region}/"))?;
    Some(Lane { above: key[..at].to_owned(), account: account.to_owned(), region: region.to_owned() })
}

/// Puts spans in order, and joins those that are no farther apart than `seam`.
fn join(spans: &mut Vec<(i64, i64)>, seam: i64) {
    spans.sort_unstable();
    spans.dedup_by(|next, last| {
        let belongs = next.0 <= last.1 + seam;
        if belongs {
            last.1 = last.1.max(next.1);
        }
        belongs
    });
}

/// The first of some joined spans that ends after a time.
fn reaching_beyond(spans: &[(i64, i64)], time: i64) -> Option<(i64, i64)> {
    spans.get(spans.partition_point(|span| span.1 <= time)).copied()
}

#[cfg(test)]
mod tests {
    use integrity::digest::{LogFile, Previous};

    use super::*;

    fn at(time: &str) -> Timestamp {
        Timestamp::parse(&format!("2026-01-30T{time}Z")).unwrap()
    }

    fn key(end: &str, suffix: &str) -> String {
        let folder = "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/01/30";
        let name = "111122223333_CloudTrail-Digest_us-east-1_main_us-east-1";
        format!("{folder}/{name}_20260130T{}Z{suffix}.json.gz", end.replace(':', ""))
    }

    fn digest(before: Option<&str>, start: &str, end: &str, logs: &[&str], suffix: &str) -> Digest {
        let previous = |end: &str| Previous { bucket: "bucket".to_owned(), key: key(end, suffix), hash: None };
        let log = |time: &&str| LogFile {
            elsewhere: None,
            key: format!("2026/01/30/111122223333_CloudTrail_us-east-1_20260130T{time}Z_x.json.gz").into(),
            hash: None,
            newest_event: None,
            oldest_event: None,
        };
        Digest {
            account: "111122223333".to_owned(),
            start: at(start),
            end: at(end),
            end_text: String::new(),
            bucket: "bucket".to_owned(),
            key: key(end, suffix),
            fingerprint: String::new(),
            newest_event: None,
            oldest_event: None,
            previous: before.map(previous),
            previous_signature: None,
            log_files: logs.iter().map(log).collect(),
        }
    }

    /// Four digests from six o'clock to two minutes past ten.
    fn chain() -> Vec<Digest> {
        let ends = ["06:00:00", "07:01:54", "08:01:54", "09:01:54", "10:01:54"];
        let link = |place: usize| {
            let before = (place > 0).then(|| ends[place]);
            digest(before, ends[place], ends[place + 1], &[], "")
        };
        (0..4).map(link).collect()
    }

    fn cover(signed: &[Digest], unsigned: &[Digest], from: Option<&str>) -> Cover {
        let mut cover = Cover::default();
        for digest in signed {
            let lane = Lane::of_key(&digest.key).unwrap();
            let name = lane.digest_name(&digest.key).unwrap();
            cover.add(digest, Some(&(lane, name)));
        }
        unsigned.iter().for_each(|digest| cover.add(digest, None));
        cover.settle(from.map(at));
        cover
    }

    /// Which of the hours from five to eleven are proven.
    fn proven(cover: &Cover, to: &str) -> Vec<u32> {
        (5..12).filter(|hour| cover.proves(at(&format!("{hour:02}:00:00")), Some(at(to)))).collect()
    }

    #[test]
    fn an_hour_is_proven_where_no_digest_of_it_lacks_its_signature_or_is_gone() {
        let all = chain();
        assert_eq!(proven(&cover(&all, &[], None), "12:00:00"), [6, 7, 8, 9]);
        assert_eq!(proven(&cover(&[], &all, None), "12:00:00"), [0; 0]);
        let without = |place: usize| {
            let mut rest = all.clone();
            let gone = rest.remove(place);
            (rest, [gone])
        };
        for (place, expected) in [(0, &[8, 9][..]), (1, &[6, 9]), (2, &[6, 7]), (3, &[6, 7, 8])] {
            let (rest, gone) = without(place);
            assert_eq!(proven(&cover(&rest, &gone, None), "12:00:00"), expected, "unsigned: {place}");
            assert_eq!(proven(&cover(&rest, &[], None), "12:00:00"), expected, "gone: {place}");
        }
    }

    #[test]
    fn what_was_not_asked_for_need_not_be_covered() {
        let all = chain();
        assert_eq!(proven(&cover(&all[1..], &[], Some("07:30:00")), "12:00:00"), [7, 8, 9]);
        assert_eq!(proven(&cover(&all, &[], None), "10:00:00"), [6, 7, 8, 9], "nothing was asked of ten o'clock");
        assert_eq!(proven(&cover(&all[..3], &[], None), "09:02:00"), [6, 7, 8, 9]);
    }

    #[test]
    fn every_hour_from_the_first_signed_digest_on_is_to_be_told_of() {
        let told = |cover: &Cover, from: Option<&str>, to: &str| -> Vec<String> {
            let hours = cover.hours(from.map(at), Some(at(to)));
            hours.map(|hour| hour.to_string()[11..13].to_owned()).collect()
        };
        let all = chain();
        assert_eq!(told(&cover(&all, &[], None), None, "12:00:00"), ["06", "07", "08", "09", "10", "11"]);
        assert_eq!(told(&cover(&all, &[], None), Some("07:30:00"), "09:30:00"), ["07", "08", "09"]);
        assert_eq!(told(&cover(&all[1..2], &all[..1], None), None, "09:00:00"), ["07", "08"]);
        assert_eq!(told(&cover(&[], &all, None), None, "12:00:00"), [""; 0]);
        // What was delivered early, and what was backfilled.
        let early = [digest(None, "07:00:30", "08:01:54", &["0559"], "")];
        assert_eq!(told(&cover(&early, &[], None), None, "08:00:00"), ["05", "07"]);
        let late = [digest(None, "07:01:54", "08:01:54", &["0735"], "_backfill")];
        assert_eq!(told(&cover(&late, &[], None), None, "12:00:00"), ["07"]);
    }

    #[test]
    fn log_files_are_proven_by_signed_digests_alone() {
        let early = [digest(None, "07:00:30", "08:01:54", &["0659", "0705"], "")];
        let signed = cover(&early, &[], None);
        assert_eq!(proven(&signed, "12:00:00"), [6, 7]);
        assert_eq!((signed.files(at("06:00:00")), signed.files(at("08:00:00"))), ((1, 1), (0, 0)));
        let planted = digest(None, "20:00:00", "21:00:00", &["0755"], "");
        let mixed = cover(&early, &[planted], None);
        assert_eq!((proven(&mixed, "12:00:00"), mixed.files(at("07:00:00"))), (vec![6, 7], (1, 2)));
        // Backfilled ones cover nothing, and are missed in the hour that they begin in.
        let late = [digest(Some("08:01:54"), "08:01:54", "09:01:54", &["0835"], "_backfill")];
        assert_eq!(proven(&cover(&late, &[], None), "12:00:00"), [8]);
        let all = [&chain()[..], &late].concat();
        assert_eq!(proven(&cover(&all, &[], None), "12:00:00"), [6, 8, 9]);
    }
}

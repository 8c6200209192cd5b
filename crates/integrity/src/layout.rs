//! Where the files of a trail lie, and what their names say.
//!
//! Logs: `[prefix/]AWSLogs/[o-ORG/]ACCOUNT/CloudTrail/REGION/YYYY/MM/DD/ACCOUNT_CloudTrail_REGION_YYYYMMDDTHHMMZ_x.json.gz`.
//! Digests: `…/CloudTrail-Digest/REGION/YYYY/MM/DD/ACCOUNT_CloudTrail-Digest_REGION_TRAIL_HOMEREGION_YYYYMMDDTHHMMSSZ.json.gz`,
//! `…Z_backfill.json.gz` where log files were added late.

use std::fmt;

use event::{Day, Timestamp};
use serde::{Deserialize, Serialize};

/// The folder that all services write under.
pub const ROOT: &str = "AWSLogs/";
const LOGS: &str = "CloudTrail";
const DIGESTS: &str = "CloudTrail-Digest";
const SUFFIX: &str = ".json.gz";
const BACKFILL: &str = "_backfill";

/// One account in one region: what is judged at once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lane {
    /// The folder that the account's folder stands in: ends with `AWSLogs/` or with the organisation's folder.
    pub above: String,
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
}

impl Lane {
    /// The folder of its digests.
    #[must_use]
    pub fn digests(&self) -> String {
        format!("{}{}/{DIGESTS}/{}/", self.above, self.account, self.region)
    }

    /// The folder of its log files.
    #[must_use]
    pub fn logs(&self) -> String {
        format!("{}{}/{LOGS}/{}/", self.above, self.account, self.region)
    }

    /// Whether some of its files lie below a prefix, such as an account's folder or a region's.
    #[must_use]
    pub fn is_below(&self, prefix: &str) -> bool {
        [self.digests(), self.logs()].iter().any(|folder| folder.starts_with(prefix) || prefix.starts_with(folder))
    }

    /// The lane that a key lies in, by its folders.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Lane> {
        let (before, rest) = split_root(key)?;
        let mut parts = rest[ROOT.len()..].split('/');
        let mut above = format!("{before}{ROOT}");
        let mut account = parts.next()?;
        if is_organization(account) {
            above = format!("{above}{account}/");
            account = parts.next()?;
        }
        let (kind, region) = (parts.next()?, parts.next()?);
        parts.next()?;
        let is_lane = is_account(account) && [LOGS, DIGESTS].contains(&kind);
        is_lane.then(|| Lane { above, account: account.to_owned(), region: region.to_owned() })
    }

    /// What the name of one of its digests says; none where it is no digest's.
    #[must_use]
    pub fn digest_name(&self, key: &str) -> Option<DigestName> {
        let folder_and_name = key.strip_prefix(&self.digests())?;
        let (folder, name) = folder_and_name.rsplit_once('/')?;
        let Lane { account, region, .. } = self;
        let rest = name.strip_prefix(&format!("{account}_{DIGESTS}_{region}_"))?.strip_suffix(SUFFIX)?;
        let (rest, is_backfill) = match rest.strip_suffix(BACKFILL) {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (rest, time) = rest.rsplit_once('_')?;
        // A trail's name may have underscores, a region's has none.
        let (trail, home_region) = rest.rsplit_once('_')?;
        let end = compact_time(time)?;
        if folder != day_path(end.day()) || trail.is_empty() || home_region.is_empty() {
            return None;
        }
        let chain = ChainName { trail: trail.to_owned(), home_region: home_region.to_owned(), is_backfill };
        Some(DigestName { chain, end })
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.account, self.region)
    }
}

/// The digests that follow one another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChainName {
    /// The trail's name.
    pub trail: String,
    /// The region the trail was made in.
    pub home_region: String,
    /// Whether they name log files that were delivered late.
    pub is_backfill: bool,
}

impl fmt::Display for ChainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.trail, if self.is_backfill { " (backfill)" } else { "" })
    }
}

/// What a digest's key says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestName {
    /// Which chain it belongs to.
    pub chain: ChainName,
    /// `digestEndTime`.
    pub end: Timestamp,
}

/// When a log file was delivered, to the minute, by its name; else the start of its folder's day.
#[must_use]
pub fn delivered(key: &str) -> Option<Timestamp> {
    let name = key.rsplit('/').next().unwrap_or(key);
    let of_name = name.split('_').rev().find_map(minute_time);
    of_name.or_else(|| {
        let mut parts = key.rsplit('/').skip(1);
        let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
        Day::parse(&format!("{year}-{month}-{day}"))?.start()
    })
}

/// When a log file in a day's folder was delivered: by its name, if that may be; else the start of the day.
#[must_use]
pub fn delivered_on(key: &str, day: Day) -> Option<Timestamp> {
    delivered(key).filter(|time| time.day().days().abs_diff(day.days()) <= 1).or_else(|| day.start())
}

/// `20150817T150131Z`.
fn compact_time(text: &str) -> Option<Timestamp> {
    if text.len() != 16 || !text.is_ascii() {
        return None;
    }
    let (date, time) = text.split_at(8);
    let date = format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..]);
    Timestamp::parse_canonical(&format!("{date}T{}:{}:{}Z", time.get(1..3)?, time.get(3..5)?, time.get(5..7)?))
        .filter(|_| time.starts_with('T') && time.ends_with('Z'))
}

/// `20150817T1501Z`.
fn minute_time(text: &str) -> Option<Timestamp> {
    let minute = text.strip_suffix('Z').filter(|minute| minute.len() == 13)?;
    compact_time(&format!("{minute}00Z"))
}

/// `2015/08/17`.
#[must_use]
pub fn day_path(day: Day) -> String {
    day.to_string().replace('-', "/")
}

/// Whether a folder's name is an account's number.
#[must_use]
pub fn is_account(name: &str) -> bool {
    name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a folder's name is an organisation's id.
#[must_use]
pub fn is_organization(name: &str) -> bool {
    name.strip_prefix("o-")
        .is_some_and(|id| (10..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Where the files lay when they were written, and where they lie now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The bucket that CloudTrail wrote to.
    pub bucket: String,
    /// What stood before `AWSLogs/` there: empty, or with a slash at its end.
    pub prefix: String,
    /// What stands before `AWSLogs/` where they are read.
    pub here: String,
}

impl Place {
    /// The key under which CloudTrail wrote what is read as `key`.
    #[must_use]
    pub fn original(&self, key: &str) -> String {
        match key.strip_prefix(&self.here) {
            Some(rest) => format!("{}{rest}", self.prefix),
            None => key.to_owned(),
        }
    }

    /// The key under which is read what CloudTrail wrote as `key`; none where it lay under another prefix.
    #[must_use]
    pub fn here(&self, key: &str) -> Option<String> {
        key.strip_prefix(&self.prefix).map(|rest| format!("{}{rest}", self.here))
    }
}

/// The part of a key before `AWSLogs/`, and that from there on.
#[must_use]
pub fn split_root(key: &str) -> Option<(&str, &str)> {
    let mut places = key.match_indices(ROOT).map(|(place, _)| place);
    let place = places.find(|&place| place == 0 || key.as_bytes()[place - 1] == b'/')?;
    Some(key.split_at(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane() -> Lane {
        Lane {
            above: "AWSLogs/o-exampleorgid/".to_owned(),
            account: "111122223333".to_owned(),
            region: "us-east-2".to_owned(),
        }
    }

    #[test]
    fn a_digests_name_says_its_trail_and_its_time() {
        let key = |name: &str| format!("{}2015/08/17/{name}", lane().digests());
        let name = |name: &str| lane().digest_name(&key(name));
        let start = "111122223333_CloudTrail-Digest_us-east-2_";
        let found = name(&format!("{start}my_odd.trail-1_eu-west-1_20150817T150131Z.json.gz")).unwrap();
        assert_eq!((found.chain.trail.as_str(), found.chain.home_region.as_str()), ("my_odd.trail-1", "eu-west-1"));
        assert_eq!((found.end.to_string().as_str(), found.chain.is_backfill), ("2015-08-17T15:01:31Z", false));
        let found = name(&format!("{start}t_us-east-2_20150817T150131Z_backfill.json.gz")).unwrap();
        assert!(found.chain.is_backfill);
        for wrong in [
            "t_us-east-2_20150817T150131Z.json",
            "t_us-east-2_20150818T150131Z.json.gz",
            "us-east-2_20150817T150131Z.json.gz",
            "t_us-east-2_20150817T1501Z.json.gz",
            "t_us-east-2_2015é817T150131Z.json.gz",
            "t_us-east-2_20159917T150131Z.json.gz",
            "_us-east-2_20150817T150131Z.json.gz",
            "t_us-east-2_20150817T150131Z_copy.json.gz",
        ] {
            assert_eq!(name(&format!("{start}{wrong}")), None, "{wrong}");
        }
        assert_eq!(name("999922223333_CloudTrail-Digest_us-east-2_t_us-east-2_20150817T150131Z.json.gz"), None);
    }

    #[test]
    fn a_key_says_which_lane_it_lies_in() {
        for folder in [lane().digests(), lane().logs()] {
            assert_eq!(Lane::of_key(&format!("{folder}2015/08/17/x.json.gz")), Some(lane()));
        }
        for other in ["AWSLogs/111122223333/Config/us-east-2/x", "AWSLogs/1/CloudTrail/us-east-2/x", "x", &lane().above]
        {
            assert_eq!(Lane::of_key(other), None, "{other}");
        }
        let account = "AWSLogs/o-exampleorgid/111122223333/";
        for prefix in ["", "AWSLogs/", account, &format!("{account}CloudTrail/us-east-2/2015/")] {
            assert!(lane().is_below(prefix), "{prefix}");
        }
        for prefix in ["AWSLogs/444455556666/", &format!("{account}CloudTrail/us-east-1/")] {
            assert!(!lane().is_below(prefix), "{prefix}");
        }
    }

    #[test]
    fn a_log_files_name_says_when_it_was_delivered() {
        let at = |key: &str| delivered(key).map(|time| time.to_string());
        let file = "AWSLogs/1/CloudTrail/us-east-1/2026/01/15/1_CloudTrail_us-east-1_20260115T0955Z_x_y.json.gz";
        assert_eq!(at(file).as_deref(), Some("2026-01-15T09:55:00Z"));
        assert_eq!(at("a/2026/01/15/planted.json.gz").as_deref(), Some("2026-01-15T00:00:00Z"));
        assert_eq!(at("planted.json.gz"), None);
        assert_eq!(at("a/2026/13/15/é_20260115T2555Z_.gz"), None);
    }

    #[test]
    fn keys_are_those_of_the_original_place() {
        let place = Place { bucket: "b".to_owned(), prefix: "trail/".to_owned(), here: "copy/of/".to_owned() };
        assert_eq!(place.original("copy/of/AWSLogs/1/x"), "trail/AWSLogs/1/x");
        assert_eq!(place.here("trail/AWSLogs/1/x").as_deref(), Some("copy/of/AWSLogs/1/x"));
        assert_eq!(place.here("other/AWSLogs/1/x"), None);
        assert_eq!(split_root("copy/of/AWSLogs/1/AWSLogs/x"), Some(("copy/of/", "AWSLogs/1/AWSLogs/x")));
        assert_eq!(split_root("AWSLogs/1"), Some(("", "AWSLogs/1")));
        assert_eq!(split_root("MyAWSLogs/1"), None);
    }
}

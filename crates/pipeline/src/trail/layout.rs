//! Where the files of a trail lie: `[prefix/]AWSLogs/[o-ORG/]ACCOUNT/CloudTrail/REGION/YYYY/MM/DD/…json.gz`.
//!
//! Source: "Finding your CloudTrail log files", AWS CloudTrail User Guide. Digest files stand under `CloudTrail-Digest`,
//! Insights under `CloudTrail-Insight`, beside the log files; other services write under the account, too.

use std::collections::BTreeSet;

use event::Day;

/// The folder that all services write under.
const ROOT: &str = "AWSLogs/";
/// The folder of an account's log files.
pub(crate) const LOGS: &str = "CloudTrail";
/// The folder of an account's digest files.
pub(crate) const DIGESTS: &str = "CloudTrail-Digest";

/// Which part of a bucket is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trail {
    /// The prefix that was given when the trail was created; may be empty.
    pub prefix: String,
    /// The accounts that are read; all where there are none.
    pub accounts: BTreeSet<String>,
    /// The regions that are read; all where there are none.
    pub regions: BTreeSet<String>,
}

impl Trail {
    /// The folder under which accounts and organisations stand.
    #[must_use]
    pub fn root(&self) -> String {
        let prefix = self.prefix.trim_matches('/');
        if prefix.is_empty() { ROOT.to_owned() } else { format!("{prefix}/{ROOT}") }
    }

    pub(crate) fn wants_account(&self, account: &str) -> bool {
        self.accounts.is_empty() || self.accounts.contains(account)
    }

    pub(crate) fn wants_region(&self, region: &str) -> bool {
        self.regions.is_empty() || self.regions.contains(region)
    }
}

/// Days from the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    /// The first day.
    pub first: Day,
    /// The last day.
    pub last: Day,
}

impl Days {
    /// Every day, the first first.
    pub fn iter(self) -> impl Iterator<Item = Day> {
        (self.first.days()..=self.last.days()).map(Day::from_days)
    }

    /// Whether a day is among them.
    #[must_use]
    pub fn contains(self, day: Day) -> bool {
        (self.first..=self.last).contains(&day)
    }
}

/// The folder of a day: `2026/01/15/`.
#[must_use]
pub fn day_folder(day: Day) -> String {
    format!("{}/", day.to_string().replace('-', "/"))
}

/// The folder of a day's month: `2026/01/`.
pub(crate) fn month_folder(day: Day) -> String {
    let mut folder = day_folder(day);
    folder.truncate("2026/01/".len());
    folder
}

/// Whether a folder's name is an account's number.
#[must_use]
pub fn is_account(name: &str) -> bool {
    name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a folder's name is an organisation's id, such as `o-exampleorgid`.
#[must_use]
pub fn is_organization(name: &str) -> bool {
    name.strip_prefix("o-")
        .is_some_and(|id| (10..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// What a folder under an account's holds, or an object in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// CloudTrail's log files.
    Logs,
    /// Digest files: read only where proof is asked for.
    Digests,
    /// Insight events: left for their own command.
    Insights,
    /// Another service's files, such as Config's.
    Foreign,
}

impl Kind {
    /// What a folder with this name holds.
    #[must_use]
    pub fn of(folder: &str) -> Kind {
        match folder {
            DIGESTS => Kind::Digests,
            "CloudTrail-Insight" => Kind::Insights,
            // Whatever CloudTrail keeps apart in later years is read, and what is no record there is rejected by name.
            _ if folder == LOGS || folder.starts_with("CloudTrail-") => Kind::Logs,
            _ => Kind::Foreign,
        }
    }

    /// What an object holds, by its key; `None` where it lies outside of the layout (a copy of a trail, for example).
    #[must_use]
    pub fn of_key(key: &str) -> Option<Kind> {
        let starts = key.match_indices(ROOT).map(|(start, _)| start);
        starts.filter(|&start| start == 0 || key[..start].ends_with('/')).find_map(|start| {
            let mut folders = key[start + ROOT.len()..].split('/');
            let mut account = folders.next()?;
            if is_organization(account) {
                account = folders.next()?;
            }
            let service = folders.next()?;
            // A file in the account's own folder belongs to nobody.
            folders.next()?;
            is_account(account).then(|| Kind::of(service))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).expect("a day")
    }

    #[test]
    fn days_become_folders() {
        let days = Days { first: day("2025-12-31"), last: day("2026-01-02") };
        let folders: Vec<String> = days.iter().map(day_folder).collect();
        assert_eq!(folders, ["2025/12/31/", "2026/01/01/", "2026/01/02/"]);
        assert_eq!(month_folder(days.first), "2025/12/");
        assert!(days.contains(day("2026-01-01")) && !days.contains(day("2026-01-03")));
    }

    #[test]
    fn a_prefix_may_be_written_with_slashes_or_without() {
        for prefix in ["logs/trail", "/logs/trail/"] {
            assert_eq!(Trail { prefix: prefix.to_owned(), ..Trail::default() }.root(), "logs/trail/AWSLogs/");
        }
        assert_eq!(Trail::default().root(), "AWSLogs/");
    }

    #[test]
    fn a_key_tells_what_it_holds() {
        let file = "us-east-1/2026/01/15/111122223333_CloudTrail_us-east-1_20260115T0000Z_x.json.gz";
        let kind = |start: &str| Kind::of_key(&format!("{start}/{file}"));
        assert_eq!(kind("AWSLogs/111122223333/CloudTrail"), Some(Kind::Logs));
        assert_eq!(kind("AWSLogs/o-exampleorgid/111122223333/CloudTrail"), Some(Kind::Logs));
        assert_eq!(kind("my/AWSLogs/AWSLogs/111122223333/CloudTrail-Digest"), Some(Kind::Digests));
        assert_eq!(kind("AWSLogs/111122223333/CloudTrail-Insight"), Some(Kind::Insights));
        assert_eq!(kind("AWSLogs/111122223333/Config"), Some(Kind::Foreign));
        assert_eq!(kind("MyAWSLogs/111122223333/CloudTrail"), None);
        assert_eq!(kind("AWSLogs/1111/CloudTrail"), None);
        assert_eq!(Kind::of_key("AWSLogs/111122223333/CloudTrail"), None);
    }
}

//! The log files below a folder, by account and region.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::civil::DateTime;
use jiff::tz::Offset;
use libdeflater::Decompressor;

use super::hex;
use crate::plan::SampleError;

/// An account's folder in a bucket: `[prefix/]AWSLogs/[o-ORG/]ACCOUNT`.
pub(super) type Home = String;

/// A log file: its key in the bucket and when it was delivered.
pub(super) struct Log {
    pub(super) key: String,
    pub(super) delivered: i64,
}

/// What a digest says of a log file.
pub(super) struct Content {
    /// The SHA-256 of the inflated file.
    pub(super) hash: String,
    /// The times of the events in it, as they stand there; `None` where it has none.
    pub(super) oldest: Option<String>,
    pub(super) newest: Option<String>,
}

/// Finds the log files of a trail: the files of each account's folder and region, in the order of delivery.
pub(super) fn find(root: &Path) -> Result<BTreeMap<(Home, String), Vec<Log>>, SampleError> {
    let mut found: BTreeMap<(Home, String), Vec<Log>> = BTreeMap::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let path = root.join(&folder);
        let unreadable = |source: io::Error| SampleError::Read { path: path.clone(), source };
        for entry in fs::read_dir(&path).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            // What is not named as CloudTrail names things is none of its files.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let key = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            if entry.file_type().map_err(unreadable)?.is_dir() {
                folders.push(key);
            } else if let Some((home, region, delivered)) = place(&key) {
                found.entry((home.to_owned(), region.to_owned())).or_default().push(Log { key, delivered });
            }
        }
    }
    for logs in found.values_mut() {
        logs.sort_by(|one, other| (one.delivered, &one.key).cmp(&(other.delivered, &other.key)));
    }
    Ok(found)
}

/// The account's folder, region and delivery time of a log file, by its key.
fn place(key: &str) -> Option<(&str, &str, i64)> {
    let (home, rest) = key.split_once("/CloudTrail/")?;
    let mut parts = rest.split('/');
    let region = parts.next()?;
    let name = parts.nth(3)?;
    let time = name.split('_').nth(3)?;
    let time = DateTime::strptime("%Y%m%dT%H%MZ", time).ok()?;
    let delivered = Offset::UTC.to_timestamp(time).ok()?.as_second();
    (parts.next().is_none() && home.contains("AWSLogs/")).then_some((home, region, delivered))
}

/// Reads a log file.
pub(super) fn read(path: &Path, decompressor: &mut Decompressor) -> Result<Content, SampleError> {
    let unreadable = |source: io::Error| SampleError::Read { path: path.to_owned(), source };
    let gz = fs::read(path).map_err(unreadable)?;
    let size = gz.last_chunk().map_or(0, |size| u32::from_le_bytes(*size) as usize);
    let mut json = vec![0; size];
    decompressor.gzip_decompress(&gz, &mut json).map_err(|error| unreadable(io::Error::other(error)))?;
    let times = || times(&json);
    Ok(Content {
        hash: hex(digest(&SHA256, &json).as_ref()),
        oldest: times().min().map(str::to_owned),
        newest: times().max().map(str::to_owned),
    })
}

/// The times of the events: each record's own member, for what is quoted inside of a text has other quotation marks.
fn times(json: &[u8]) -> impl Iterator<Item = &str> {
    const MEMBER: &str = "\"eventTime\":\"";
    const LENGTH: usize = "2026-07-01T00:08:20Z".len();
    let json = str::from_utf8(json).unwrap_or_default();
    json.match_indices(MEMBER).filter_map(move |(at, _)| json.get(at + MEMBER.len()..at + MEMBER.len() + LENGTH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_log_files_have_a_place() {
        let day = "us-east-1/2026/01/31";
        let log = format!(
            "my/AWSLogs/o-exampleorgid/111122223333/CloudTrail/{day}/111122223333_CloudTrail_us-east-1_20260131T0005Z_abcdefghijklmnop.json.gz"
        );
        assert_eq!(place(&log), Some(("my/AWSLogs/o-exampleorgid/111122223333", "us-east-1", 1_769_817_900)));
        for other in [
            log.replace("/CloudTrail/", "/CloudTrail-Digest/"),
            log.replace("/CloudTrail/", "/Config/"),
            log.replace("AWSLogs/", "Logs/"),
            log.replace("20260131T0005Z", "yesterday"),
            log.replace("2026/01/31/", "2026/01/31/more/"),
            "metadata.jsonl".to_owned(),
        ] {
            assert_eq!(place(&other), None, "{other}");
        }
    }

    #[test]
    fn times_are_the_records_own() {
        let json = br#"{"Records":[{"eventTime":"2026-01-31T00:00:02Z","requestParameters":{"body":"{\"eventTime\":\"1999-01-31T00:00:02Z\"}"}},{"eventTime":"2026-01-31T00:00:01Z"}]}"#;
        assert_eq!(times(json).collect::<Vec<_>>(), ["2026-01-31T00:00:02Z", "2026-01-31T00:00:01Z"]);
    }
}

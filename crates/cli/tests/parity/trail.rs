//! The trail that is tampered with: an afternoon of one account, its digests and what came late.

use std::fs;
use std::num::NonZero;
use std::path::Path;

use sample::Signing;
use serde_json::Value;

use crate::bucket::{Objects, gzip};

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const REGION: &str = "us-east-1";
pub(crate) const BUCKET: &str = "our-trail";
pub(crate) const PREFIX: &str = "audit";
pub(crate) const ARN: &str = "arn:aws:cloudtrail:us-east-1:111122223333:trail/main";
pub(crate) const FROM: &str = "2026-01-30T06:00:00Z";
pub(crate) const UNTIL: &str = "2026-01-31T00:10:00Z";
/// Hours with two log files each.
const BUSY: [u32; 9] = [7, 8, 9, 10, 11, 13, 14, 15, 16];

/// A signed trail as CloudTrail left it.
pub(crate) struct Trail {
    pub(crate) objects: Objects,
    /// The same log files and hours in the trail of another bucket.
    pub(crate) elsewhere: Objects,
    /// Keys of the digests, the oldest first.
    pub(crate) digests: Vec<String>,
    late_digests: Vec<String>,
    logs: Vec<String>,
    /// `PublicKeyList`.
    pub(crate) public_keys: Value,
}

impl Trail {
    /// Writes the trail below a folder, with `public-keys.json` in it.
    pub(crate) fn write(folder: &Path) -> Trail {
        let here = Trail::sign(folder, BUCKET);
        let other = folder.join("elsewhere");
        let elsewhere = Trail::sign(&other, "another-trail");
        let keys = |wanted: fn(&str) -> bool| here.0.keys().filter(move |key| wanted(key)).cloned().collect::<Vec<_>>();
        let list: Value = serde_json::from_slice(&fs::read(folder.join("public-keys.json")).unwrap()).unwrap();
        Trail {
            digests: keys(|key| key.contains("/CloudTrail-Digest/") && !key.contains("_backfill")),
            late_digests: keys(|key| key.contains("_backfill")),
            logs: keys(|key| key.contains("/CloudTrail/")),
            objects: here,
            elsewhere,
            public_keys: list["PublicKeyList"].clone(),
        }
    }

    fn sign(folder: &Path, bucket: &str) -> Objects {
        for (number, hour) in BUSY.into_iter().enumerate() {
            for minute in ["05", "35"] {
                let time = format!("2026-01-30T{:02}:{minute}:00Z", hour - 1);
                let id = |event: usize| format!("00000000-0000-4000-8000-{number:06}{minute}{event:04}");
                let record = |event| {
                    testkit::event("CreateUser").account(ACCOUNT).at(&time).iam_user("alice").id(&id(event)).build()
                };
                let text = serde_json::json!({"Records": [record(1), record(2)]}).to_string();
                let name =
                    format!("{ACCOUNT}_CloudTrail_{REGION}_20260130T{hour:02}{minute}Z_{number:014}{minute}.json.gz");
                let home = folder.join(PREFIX).join("AWSLogs").join(ACCOUNT).join("CloudTrail").join(REGION);
                let day = home.join("2026/01/30");
                fs::create_dir_all(&day).unwrap();
                fs::write(day.join(name), gzip(text.as_bytes())).unwrap();
            }
        }
        let signing = Signing {
            bucket: bucket.to_owned(),
            trail: "main".to_owned(),
            from: Some(FROM.parse().unwrap()),
            late_every: NonZero::new(5),
            ..Signing::organisation(UNTIL.parse().unwrap())
        };
        signing.sign(folder).unwrap();
        Objects::read(folder)
    }

    pub(crate) fn log(&self, number: usize) -> &str {
        &self.logs[number]
    }

    pub(crate) fn digest(&self, number: usize) -> &str {
        &self.digests[number]
    }

    pub(crate) fn late_digest(&self, number: usize) -> &str {
        &self.late_digests[number]
    }
}

/// An object by what it is and the time in its name, such as `log 10:35` and `digest 11:23:47`.
pub(crate) fn label(key: &str) -> String {
    let name = key.rsplit('/').next().unwrap_or(key);
    let is_digest = name.contains("CloudTrail-Digest");
    let kind = match (is_digest, name.contains("_backfill")) {
        (true, true) => "backfilled digest",
        (true, false) => "digest",
        (false, _) => "log",
    };
    let is_time = |part: &&str| part.len() >= 14 && part.starts_with("20") && part.as_bytes()[8] == b'T';
    let time = name.split(['_', '.']).find(is_time).unwrap_or(name);
    let digits: Vec<&str> = [9..11, 11..13, 13..15].into_iter().filter_map(|range| time.get(range)).collect();
    let clock: Vec<&str> =
        digits.into_iter().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit())).collect();
    format!("{kind} {}", clock.join(":"))
}

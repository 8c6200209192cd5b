//! A digest file, as the user guide describes it ("CloudTrail digest file structure").

use std::borrow::Cow;

use event::Timestamp;
use serde::Deserialize;

use crate::hash::Sha256;

/// How digests are signed; there is no other way so far.
pub const SIGNATURE_ALGORITHM: &str = "SHA256withRSA";
/// How files are hashed; there is no other way so far.
pub const HASH_ALGORITHM: &str = "SHA-256";

/// Why a text is no digest that can be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// It is no JSON object with the fields of a digest.
    #[error("it is no digest: {0}")]
    Format(String),
    /// It says that it is made another way than is known.
    #[error("it is of another version: its {field} is {value:?}")]
    Version {
        /// The field that says so.
        field: &'static str,
        /// What it says, cut short.
        value: String,
    },
}

/// What a digest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// `awsAccountId`.
    pub account: String,
    /// `digestStartTime`.
    pub start: Timestamp,
    /// `digestEndTime`.
    pub end: Timestamp,
    /// `digestEndTime` as it is written, which is what is signed.
    pub end_text: String,
    /// `digestS3Bucket`.
    pub bucket: String,
    /// `digestS3Object`.
    pub key: String,
    /// `digestPublicKeyFingerprint`.
    pub fingerprint: String,
    /// `newestEventTime`; none where nothing happened.
    pub newest_event: Option<Timestamp>,
    /// `oldestEventTime`; none where nothing happened.
    pub oldest_event: Option<Timestamp>,
    /// The digest before it; none at the start of a chain.
    pub previous: Option<Previous>,
    /// `previousDigestSignature` as it is written, which is what is signed.
    pub previous_signature: Option<String>,
    /// `logFiles`; none where nothing happened.
    pub log_files: Vec<LogFile>,
}

/// The digest before a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Previous {
    /// `previousDigestS3Bucket`.
    pub bucket: String,
    /// `previousDigestS3Object`.
    pub key: String,
    /// `previousDigestHashValue`; none where it is no hash.
    pub hash: Option<Sha256>,
}

/// A log file that a digest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// `s3Bucket`, where it is not the digest's own.
    pub elsewhere: Option<Box<str>>,
    /// `s3Object`.
    pub key: Box<str>,
    /// `hashValue`; none where it is no hash.
    pub hash: Option<Sha256>,
    /// `newestEventTime`.
    pub newest_event: Option<Timestamp>,
    /// `oldestEventTime`.
    pub oldest_event: Option<Timestamp>,
}

/// A digest as it is written. Fields that are not known are kept from nobody: they are part of what is hashed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    #[serde(borrow)]
    aws_account_id: Cow<'a, str>,
    #[serde(borrow)]
    digest_start_time: Cow<'a, str>,
    #[serde(borrow)]
    digest_end_time: Cow<'a, str>,
    #[serde(rename = "digestS3Bucket", borrow)]
    bucket: Cow<'a, str>,
    #[serde(rename = "digestS3Object", borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    digest_public_key_fingerprint: Cow<'a, str>,
    #[serde(borrow)]
    digest_signature_algorithm: Option<Cow<'a, str>>,
    #[serde(borrow)]
    newest_event_time: Option<Cow<'a, str>>,
    #[serde(borrow)]
    oldest_event_time: Option<Cow<'a, str>>,
    #[serde(rename = "previousDigestS3Bucket", borrow)]
    previous_bucket: Option<Cow<'a, str>>,
    #[serde(rename = "previousDigestS3Object", borrow)]
    previous_key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    previous_digest_hash_value: Option<Cow<'a, str>>,
    #[serde(borrow)]
    previous_digest_hash_algorithm: Option<Cow<'a, str>>,
    // Present even where it is null: without it nothing can have been signed.
    #[serde(borrow, deserialize_with = "present")]
    previous_digest_signature: Option<Cow<'a, str>>,
    #[serde(borrow)]
    log_files: Option<Vec<WrittenLogFile<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenLogFile<'a> {
    #[serde(rename = "s3Bucket", borrow)]
    bucket: Cow<'a, str>,
    #[serde(rename = "s3Object", borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    hash_value: Cow<'a, str>,
    #[serde(borrow)]
    hash_algorithm: Option<Cow<'a, str>>,
    #[serde(borrow)]
    newest_event_time: Option<Cow<'a, str>>,
    #[serde(borrow)]
    oldest_event_time: Option<Cow<'a, str>>,
}

/// Reads a value that may be null and may not be left out.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'de, str>>, D::Error> {
    Option::deserialize(deserializer)
}

impl Digest {
    /// Reads an inflated digest file.
    ///
    /// # Errors
    /// [`DigestError`].
    pub fn parse(text: &[u8]) -> Result<Digest, DigestError> {
        let written: Written<'_> =
            serde_json::from_slice(text).map_err(|error| DigestError::Format(error.to_string()))?;
        let time = |field: &'static str, text: &str| {
            Timestamp::parse(text).ok_or_else(|| DigestError::Format(format!("its {field} is no time")))
        };
        known("digestSignatureAlgorithm", written.digest_signature_algorithm.as_deref(), SIGNATURE_ALGORITHM)?;
        known("previousDigestHashAlgorithm", written.previous_digest_hash_algorithm.as_deref(), HASH_ALGORITHM)?;
        let start = time("digestStartTime", &written.digest_start_time)?;
        let end = time("digestEndTime", &written.digest_end_time)?;
        if start > end {
            return Err(DigestError::Format("it ends before it starts".to_owned()));
        }
        let previous = match (written.previous_bucket, written.previous_key) {
            (Some(bucket), Some(key)) => Some(Previous {
                bucket: bucket.into_owned(),
                key: key.into_owned(),
                hash: written.previous_digest_hash_value.as_deref().and_then(Sha256::parse),
            }),
            (None, None) => None,
            _ => return Err(DigestError::Format("it names a half of the digest before it".to_owned())),
        };
        let mut log_files = Vec::new();
        for file in written.log_files.unwrap_or_default() {
            known("hashAlgorithm", file.hash_algorithm.as_deref(), HASH_ALGORITHM)?;
            let elsewhere = (file.bucket != written.bucket).then(|| file.bucket.into());
            log_files.push(LogFile {
                elsewhere,
                key: file.key.into(),
                hash: Sha256::parse(&file.hash_value),
                newest_event: file.newest_event_time.as_deref().and_then(Timestamp::parse),
                oldest_event: file.oldest_event_time.as_deref().and_then(Timestamp::parse),
            });
        }
        Ok(Digest {
            account: written.aws_account_id.into_owned(),
            start,
            end,
            end_text: written.digest_end_time.into_owned(),
            bucket: written.bucket.into_owned(),
            key: written.key.into_owned(),
            fingerprint: written.digest_public_key_fingerprint.into_owned(),
            newest_event: written.newest_event_time.as_deref().and_then(Timestamp::parse),
            oldest_event: written.oldest_event_time.as_deref().and_then(Timestamp::parse),
            previous,
            previous_signature: written.previous_digest_signature.map(Cow::into_owned),
            log_files,
        })
    }
}

fn known(field: &'static str, value: Option<&str>, known: &str) -> Result<(), DigestError> {
    match value {
        Some(value) if value != known => Err(DigestError::Version { field, value: value.chars().take(40).collect() }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The example of the user guide, shortened.
    fn example() -> Value {
        json!({
            "awsAccountId": "111122223333",
            "digestStartTime": "2015-08-17T14:01:31Z",
            "digestEndTime": "2015-08-17T15:01:31Z",
            "digestS3Bucket": "bucket",
            "digestS3Object": "AWSLogs/111122223333/CloudTrail-Digest/us-east-2/2015/08/17/x.json.gz",
            "digestPublicKeyFingerprint": "31e8b5433410dfb61a9dc45cc65b22ff",
            "digestSignatureAlgorithm": "SHA256withRSA",
            "newestEventTime": "2015-08-17T14:52:27Z",
            "oldestEventTime": "2015-08-17T14:42:27Z",
            "previousDigestS3Bucket": "bucket",
            "previousDigestS3Object": "AWSLogs/111122223333/CloudTrail-Digest/us-east-2/2015/08/17/w.json.gz",
            "previousDigestHashValue": "97fb791cf91ffc440d274f8190dbdd9aa09c34432aba82739df18b6d3c13df2d",
            "previousDigestHashAlgorithm": "SHA-256",
            "previousDigestSignature": "50887c",
            "logFiles": [
                {"s3Bucket": "bucket", "s3Object": "AWSLogs/1/a.json.gz",
                 "hashValue": "9bb6196fc6b84d6f075a56548feca262bd99ba3c2de41b618e5b6e22c1fc71f6",
                 "hashAlgorithm": "SHA-256",
                 "newestEventTime": "2015-08-17T14:52:27Z", "oldestEventTime": "2015-08-17T14:42:27Z"},
                {"s3Bucket": "other", "s3Object": "AWSLogs/1/b.json.gz", "hashValue": "?", "hashAlgorithm": "SHA-256"},
            ],
            "whatWillBeThere": {"some": "day"},
        })
    }

    fn parse(value: &Value) -> Result<Digest, DigestError> {
        Digest::parse(value.to_string().as_bytes())
    }

    #[test]
    fn every_field_is_read() {
        let digest = parse(&example()).unwrap();
        assert_eq!((digest.account.as_str(), digest.bucket.as_str()), ("111122223333", "bucket"));
        assert_eq!(digest.start.to_string(), "2015-08-17T14:01:31Z");
        assert_eq!(
            (digest.end.to_string(), digest.end_text.as_str()),
            (digest.end_text.clone(), "2015-08-17T15:01:31Z")
        );
        assert_eq!(digest.newest_event.unwrap().to_string(), "2015-08-17T14:52:27Z");
        let previous = digest.previous.unwrap();
        assert!(previous.key.ends_with("w.json.gz") && previous.hash.is_some());
        assert_eq!(digest.previous_signature.as_deref(), Some("50887c"));
        let [own, other] = &digest.log_files[..] else { panic!("two files") };
        assert!(own.elsewhere.is_none() && own.hash.is_some() && own.oldest_event.is_some());
        assert_eq!((other.elsewhere.as_deref(), other.hash), (Some("other"), None));
    }

    #[test]
    fn the_start_of_a_chain_and_an_hour_without_activity() {
        let mut digest = example();
        for field in ["newestEventTime", "oldestEventTime"] {
            digest[field] = Value::Null;
        }
        for field in
            ["previousDigestS3Bucket", "previousDigestS3Object", "previousDigestHashValue", "previousDigestSignature"]
        {
            digest[field] = Value::Null;
        }
        digest["logFiles"] = json!([]);
        let read = parse(&digest).unwrap();
        assert!(read.previous.is_none() && read.previous_signature.is_none() && read.log_files.is_empty());
        digest["logFiles"] = Value::Null;
        assert!(parse(&digest).unwrap().log_files.is_empty());
    }

    #[test]
    fn what_is_no_digest_says_why() {
        for field in [
            "awsAccountId",
            "digestStartTime",
            "digestEndTime",
            "digestS3Bucket",
            "digestS3Object",
            "digestPublicKeyFingerprint",
            "previousDigestSignature",
            "previousDigestS3Object",
        ] {
            let mut digest = example();
            digest.as_object_mut().unwrap().remove(field);
            assert!(matches!(parse(&digest), Err(DigestError::Format(_))), "without {field}");
        }
        for other in [json!({"Records": []}), json!([]), json!(1)] {
            assert!(matches!(parse(&other), Err(DigestError::Format(_))));
        }
        assert!(matches!(Digest::parse(b"\xff"), Err(DigestError::Format(_))));
        assert!(matches!(Digest::parse("[".repeat(100_000).as_bytes()), Err(DigestError::Format(_))));
    }

    #[test]
    fn another_version_is_named() {
        for (field, value) in
            [("digestSignatureAlgorithm", "SHA512withRSA"), ("previousDigestHashAlgorithm", "SHA3-256")]
        {
            let mut digest = example();
            digest[field] = json!(value);
            assert_eq!(parse(&digest), Err(DigestError::Version { field, value: value.to_owned() }));
        }
        let mut digest = example();
        digest["logFiles"][0]["hashAlgorithm"] = json!("MD5");
        assert!(matches!(parse(&digest), Err(DigestError::Version { field: "hashAlgorithm", .. })));
    }
}

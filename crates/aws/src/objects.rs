//! Objects of a deployment's own buckets: what is uploaded to them, and how they are emptied.

use std::fmt;

use std::time::Duration;

use aws_smithy_types::base64;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use pipeline::service::CallError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::access::Account;
use crate::bucket::TrailBucket;
use crate::error::{AwsError, classify_store};
use crate::signed::{Raw, Signed};

/// How long one page of versions may take to be listed or deleted.
const PAGE: Duration = Duration::from_secs(60);
/// How often a page is asked for that is throttled or not answered, and the wait before the second time, which doubles.
const TRIES: u32 = 6;
const WAIT: Duration = Duration::from_millis(500);
/// What S3 answers of a bucket without tags, and of one that lies in another region.
const UNTAGGED: [&str; 4] =
    ["NoSuchTagSet", "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"];
/// The most bytes of a page: a thousand keys of a kilobyte, and what stands around them.
const PAGE_MAX: usize = 8 * 1024 * 1024;

/// A bucket that the deployment owns.
pub struct Artifacts {
    bucket: TrailBucket,
    region: String,
    signed: Signed,
    /// Where its objects are, as another service takes it.
    address: String,
}

/// A version of an object, or a marker that it was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    key: String,
    version_id: String,
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html>
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Versions {
    #[serde(default, rename = "Version")]
    versions: Vec<Version>,
    #[serde(default, rename = "DeleteMarker")]
    markers: Vec<Version>,
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Delete {
    quiet: bool,
    object: Vec<Version>,
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketTagging.html>
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tagging {
    #[serde(default, rename = "TagSet")]
    set: TagSet,
}

#[derive(Debug, Default, Deserialize)]
struct TagSet {
    #[serde(default, rename = "Tag")]
    tags: Vec<Tag>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    value: String,
}

/// What was not deleted.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Deleted {
    #[serde(default, rename = "Error")]
    errors: Vec<NotDeleted>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NotDeleted {
    code: String,
}

impl fmt::Debug for Artifacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Artifacts").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Artifacts {
    /// A bucket in a region. Asks nothing yet.
    ///
    /// # Errors
    /// [`AwsError::Bucket`]: the name or the endpoint is none.
    pub fn new(account: &Account, name: &str, region: &str) -> Result<Artifacts, AwsError> {
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let address = match TrailBucket::endpoint_of(account) {
            Some(endpoint) => format!("{}/{name}", endpoint.trim_end_matches('/')),
            None => format!("https://{name}.s3.{region}.{suffix}"),
        };
        let signed = Signed::new(&account.edge, &account.config).reading(PAGE_MAX);
        let (bucket, region) = (TrailBucket::new(account, name, region)?, region.to_owned());
        Ok(Artifacts { bucket, region, signed, address })
    }

    /// The address of an object, as CloudFormation takes it.
    #[must_use]
    pub fn url(&self, key: &str) -> String {
        format!("{}/{key}", self.address)
    }

    /// Whether an object is there.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn has(&self, key: &str) -> Result<bool, CallError> {
        match self.bucket.edge.run(self.bucket.store.head(&Path::from(key))) {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(classify_store("s3:GetObject", &self.address(key), &error)),
        }
    }

    /// Puts an object there.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn put(&self, key: &str, content: Vec<u8>) -> Result<(), CallError> {
        let path = Path::from(key);
        let put = self.bucket.store.put(&path, PutPayload::from_bytes(Bytes::from(content)));
        match self.bucket.edge.run(put) {
            Ok(_) => Ok(()),
            Err(error) => Err(classify_store("s3:PutObject", &self.address(key), &error)),
        }
    }

    /// The tags of the bucket; nothing where there is no bucket, and none of one in another region, which says nothing here.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn tags(&self) -> Result<Option<Vec<(String, String)>>, CallError> {
        match self.ask("s3:GetBucketTagging", "GET", "tagging=", String::new()) {
            Ok(answer) => {
                let Tagging { set } = read(&answer)?;
                Ok(Some(set.tags.into_iter().map(|Tag { key, value }| (key, value)).collect()))
            }
            Err(CallError::Refused(said)) if UNTAGGED.iter().any(|code| said.starts_with(code)) => Ok(Some(Vec::new())),
            Err(CallError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes the bucket if it is empty. Returns whether it is gone.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn remove(&self) -> Result<bool, CallError> {
        match self.ask("s3:DeleteBucket", "DELETE", "", String::new()) {
            Ok(_) | Err(CallError::NotFound(_)) => Ok(true),
            Err(CallError::Refused(said)) if said.starts_with("BucketNotEmpty") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes every object in all its versions. Returns how many there were.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn empty(&self) -> Result<u64, CallError> {
        let (mut deleted, mut last) = (0, Vec::new());
        loop {
            // What was listed is gone by the next time, so the first page is always the next one.
            let listed = self.ask("s3:ListBucketVersions", "GET", "versions=&max-keys=1000", String::new())?;
            let Versions { versions, markers } = read(&listed)?;
            let object: Vec<Version> = versions.into_iter().chain(markers).collect();
            if object.is_empty() {
                return Ok(deleted);
            }
            if object == last {
                return Err(CallError::Refused(format!("{}: what is deleted does not go", self.address(""))));
            }
            last.clone_from(&object);
            let number = object.len() as u64;
            let request = quick_xml::se::to_string(&Delete { quiet: true, object });
            let request = request.map_err(|_| CallError::Refused("the request cannot be written".to_owned()))?;
            let answer = self.ask("s3:DeleteObjectVersion", "POST", "delete=", request)?;
            if let Some(first) = read::<Deleted>(&answer)?.errors.first() {
                let (action, message) = ("s3:DeleteObjectVersion".to_owned(), self.address(""));
                return Err(match first.code.as_str() {
                    "AccessDenied" => CallError::AccessDenied { action, message },
                    code => CallError::Refused(format!("{message}: {code}")),
                });
            }
            deleted += number;
        }
    }

    /// Asks something of the bucket as a whole.
    fn ask(
        &self,
        permission: &'static str,
        method: &'static str,
        query: &str,
        body: String,
    ) -> Result<Vec<u8>, CallError> {
        let mut headers = Vec::new();
        if !body.is_empty() {
            headers.push(("content-type", "application/xml".to_owned()));
            headers.push(("x-amz-checksum-sha256", base64::encode(Sha256::digest(body.as_bytes()))));
        }
        let url = format!("{}/?{query}", self.address);
        let raw = Raw { permission, signed_for: "s3", method, url, headers, body };
        let mut wait = WAIT;
        for _ in 1..TRIES {
            match self.once(&raw) {
                Err(CallError::Throttled | CallError::Unavailable(_)) => {}
                outcome => return outcome,
            }
            self.bucket.edge.run(tokio::time::sleep(wait));
            wait *= 2;
        }
        self.once(&raw)
    }

    fn once(&self, raw: &Raw) -> Result<Vec<u8>, CallError> {
        let exchange = async { tokio::time::timeout(PAGE, self.signed.send(raw, &self.region)).await };
        let answer = self.bucket.edge.run(exchange);
        answer.unwrap_or_else(|_| Err(CallError::Unavailable("no answer in time".to_owned())))
    }

    fn address(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket.name)
    }
}

fn read<T: Default + for<'de> Deserialize<'de>>(answer: &[u8]) -> Result<T, CallError> {
    let text = std::str::from_utf8(answer).ok();
    // Some answer nothing at all where nothing went wrong.
    if text.is_some_and(|text| text.trim().is_empty()) {
        return Ok(T::default());
    }
    text.and_then(|text| quick_xml::de::from_str(text).ok())
        .ok_or_else(|| CallError::Refused("the answer is not what it should be".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(key: &str, id: &str) -> Version {
        Version { key: key.to_owned(), version_id: id.to_owned() }
    }

    #[test]
    fn versions_and_markers_are_read_however_they_are_mixed() {
        let listed = r#"<?xml version="1.0" encoding="UTF-8"?>
            <ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix/>
              <KeyMarker/><MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated><NextKeyMarker>z</NextKeyMarker>
              <Version><Key>a &amp; b</Key><VersionId>1</VersionId><IsLatest>false</IsLatest>
                <Owner><ID>x</ID></Owner><Size>3</Size></Version>
              <DeleteMarker><Key>a &amp; b</Key><VersionId>2</VersionId><IsLatest>true</IsLatest></DeleteMarker>
              <Version><Key>c</Key><VersionId>null</VersionId></Version>
            </ListVersionsResult>"#;
        let Versions { versions, markers } = read(listed.as_bytes()).unwrap();
        assert_eq!(
            (versions, markers),
            (vec![version("a & b", "1"), version("c", "null")], vec![version("a & b", "2")])
        );
        let none = "<ListVersionsResult><Name>b</Name><IsTruncated>false</IsTruncated></ListVersionsResult>";
        assert_eq!(read::<Versions>(none.as_bytes()).unwrap(), Versions::default());
        assert!(read::<Versions>(b"<html>").is_err());
    }

    #[test]
    fn tags_are_read_and_none_are_none() {
        let answer = r#"<?xml version="1.0"?><Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><TagSet>
            <Tag><Key>aws:cloudformation:stack-name</Key><Value>trailhound</Value></Tag>
            <Tag><Key>b</Key><Value/></Tag></TagSet></Tagging>"#;
        let tag = |key: &str, value: &str| Tag { key: key.to_owned(), value: value.to_owned() };
        let tags = read::<Tagging>(answer.as_bytes()).unwrap().set.tags;
        assert_eq!(tags, [tag("aws:cloudformation:stack-name", "trailhound"), tag("b", "")]);
        assert!(read::<Tagging>(b"<Tagging><TagSet/></Tagging>").unwrap().set.tags.is_empty());
    }

    #[test]
    fn what_is_deleted_is_written_as_s3_reads_it() {
        let request = Delete { quiet: true, object: vec![version("a & <b>", "1")] };
        assert_eq!(
            quick_xml::se::to_string(&request).unwrap(),
            "<Delete><Quiet>true</Quiet><Object><Key>a &amp; &lt;b&gt;</Key><VersionId>1</VersionId></Object></Delete>"
        );
        let answer =
            "<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>";
        assert_eq!(read::<Deleted>(answer.as_bytes()).unwrap().errors[0].code, "AccessDenied");
        assert!(read::<Deleted>(b"").unwrap().errors.is_empty());
    }
}

//! A bucket behind the port of reading trails: over `object_store`, with the credentials of an account.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use aws_config::Region;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsCredential};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{Attribute, Attributes, CredentialProvider, ObjectMeta, ObjectStoreExt, RetryConfig};
use pipeline::service::CallError;
use pipeline::source::Content;
use pipeline::trail::{Bucket, Listed, ListedPage, Object};
use tokio::sync::Mutex;

use crate::access::Account;
use crate::edge::Edge;
use crate::error::{AwsError, classify_store};

/// The permissions that are needed.
pub(crate) const LIST: &str = "s3:ListBucket";
pub(crate) const GET: &str = "s3:GetObject";

/// What stands beside a digest's bytes, without `x-amz-meta-`.
const METADATA: [&str; 3] = ["signature", "signature-algorithm", "backfill-generation-timestamp"];

/// How long a request is tried again where S3 does not answer.
const PATIENCE: Duration = Duration::from_secs(60);
const RETRIES: usize = 5;

/// Objects up to this size are read as a whole.
const SMALL: u64 = 1 << 20;

/// A bucket, as an account may read it.
pub struct TrailBucket {
    pub(crate) name: String,
    pub(crate) store: AmazonS3,
    pub(crate) edge: Arc<Edge>,
}

impl fmt::Debug for TrailBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its client would show what its credentials come from.
        f.debug_struct("TrailBucket").field("name", &self.name).finish_non_exhaustive()
    }
}

impl TrailBucket {
    /// A bucket in a region. Asks nothing yet.
    ///
    /// `AWS_ENDPOINT_URL_S3` and `AWS_ENDPOINT_URL` are honoured, also where they are plain HTTP.
    ///
    /// # Errors
    /// [`AwsError::Bucket`]: the name or the endpoint is none.
    pub fn new(account: &Account, name: &str, region: &str) -> Result<TrailBucket, AwsError> {
        Ok(TrailBucket { name: name.to_owned(), store: s3(account, name, region)?, edge: Arc::clone(&account.edge) })
    }

    /// The endpoint of S3 that the environment or the profile names.
    pub(crate) fn endpoint_of(account: &Account) -> Option<String> {
        let of_s3 = std::env::var("AWS_ENDPOINT_URL_S3").ok().filter(|endpoint| !endpoint.is_empty());
        of_s3.or_else(|| account.config.endpoint_url().map(str::to_owned))
    }

    /// The region of the configuration, where none is named for the bucket.
    #[must_use]
    pub fn region_of(account: &Account) -> String {
        let region = account.config.region().map(Region::as_ref);
        region.unwrap_or_else(|| account.partition.global_region()).to_owned()
    }

    pub(crate) fn page(
        &self,
        prefix: &str,
        options: PaginatedListOptions,
    ) -> Result<object_store::list::PaginatedListResult, CallError> {
        let page = self.edge.run(self.store.list_paginated(Some(prefix), options));
        page.map_err(|error| classify_store(LIST, &format!("bucket {}", self.name), &error))
    }
}

/// The client of a bucket, by the account's credentials.
pub(crate) fn s3(account: &Account, name: &str, region: &str) -> Result<AmazonS3, AwsError> {
    let wrong = |error: object_store::Error| AwsError::Bucket { name: name.to_owned(), reason: error.to_string() };
    let mut builder = AmazonS3Builder::new().with_bucket_name(name).with_region(region).with_retry(RetryConfig {
        max_retries: RETRIES,
        retry_timeout: PATIENCE,
        ..RetryConfig::default()
    });
    match TrailBucket::endpoint_of(account) {
        Some(endpoint) => {
            builder = builder.with_endpoint(&endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        // A name with dots fits no certificate as a host.
        None => builder = builder.with_virtual_hosted_style_request(!name.contains('.')),
    }
    if let Some(provider) = account.config.credentials_provider() {
        builder = builder.with_credentials(Arc::new(Credentials { provider, kept: Mutex::default() }));
    }
    builder.build().map_err(wrong)
}

impl Bucket for TrailBucket {
    fn name(&self) -> &str {
        &self.name
    }

    fn list(&self, prefix: &str, after: Option<&str>) -> Result<ListedPage, CallError> {
        let options = PaginatedListOptions { offset: after.map(str::to_owned), ..PaginatedListOptions::default() };
        let page = self.page(prefix, options)?;
        let objects = page.result.objects.into_iter().map(|object| Listed {
            key: object.location.into(),
            etag: unquoted(object.e_tag),
            size: object.size,
        });
        Ok(ListedPage { objects: objects.collect(), more: page.page_token.is_some() })
    }

    fn folders(&self, prefix: &str) -> Result<Vec<String>, CallError> {
        let mut names = Vec::new();
        let mut token = None;
        loop {
            let options = PaginatedListOptions {
                delimiter: Some("/".into()),
                page_token: token,
                ..PaginatedListOptions::default()
            };
            let page = self.page(prefix, options)?;
            // The paths come without the slash at their end.
            names.extend(page.result.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)));
            token = page.page_token;
            if token.is_none() {
                names.sort();
                return Ok(names);
            }
        }
    }

    fn get(&self, key: &str, limit: u64) -> Result<Object, CallError> {
        // A key that S3 would take and a path cannot be: with empty parts, for example.
        let path = Path::parse(key).map_err(|error| CallError::Refused(error.to_string()))?;
        let Fetched { meta, attributes, body } = self
            .fetch(path)
            .map_err(|error| classify_store(GET, &format!("object s3://{}/{key}", self.name), &error))?;
        let beside = |&name: &&'static str| {
            let value = attributes.get(&Attribute::Metadata(Cow::Borrowed(name)))?;
            Some((name.to_owned(), value.as_ref().to_owned()))
        };
        let metadata = METADATA.iter().filter_map(beside).collect();
        let (etag, size) = (unquoted(meta.e_tag), meta.size);
        if size > limit {
            return Err(CallError::TooLarge { size, limit });
        }
        Ok(Object { etag, size, metadata, content: Content::of(body, Some(size)) })
    }
}

fn unquoted(etag: Option<String>) -> String {
    etag.map(|etag| etag.trim_matches('"').to_owned()).unwrap_or_default()
}

/// What S3 answered, and the object's bytes.
pub(crate) struct Fetched {
    pub(crate) meta: ObjectMeta,
    pub(crate) attributes: Attributes,
    pub(crate) body: Body,
}

impl TrailBucket {
    /// Asks for an object. A small one is here as a whole: whoever waits is woken once, and not for each piece.
    pub(crate) fn fetch(&self, path: Path) -> object_store::Result<Fetched> {
        let (store, edge) = (self.store.clone(), Arc::clone(&self.edge));
        self.edge.run_inside(async move {
            let got = store.get(&path).await?;
            let (meta, attributes) = (got.meta.clone(), got.attributes.clone());
            let mut stream = got.into_stream();
            if meta.size <= SMALL {
                let pieces: Vec<object_store::Result<Bytes>> = stream.collect().await;
                stream = futures::stream::iter(pieces).boxed();
            }
            let body = Body { edge, stream, chunk: Bytes::new(), left: meta.size };
            Ok(Fetched { meta, attributes, body })
        })
    }
}

/// An object's bytes, as they come.
pub(crate) struct Body {
    edge: Arc<Edge>,
    stream: BoxStream<'static, object_store::Result<Bytes>>,
    chunk: Bytes,
    /// What is still to come.
    left: u64,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() && self.left > 0 {
            self.chunk = match self.edge.run(self.stream.next()) {
                Some(Ok(chunk)) => chunk,
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was cut")),
            };
        }
        let length = buffer.len().min(self.chunk.len());
        buffer[..length].copy_from_slice(&self.chunk.split_to(length));
        self.left = self.left.saturating_sub(length as u64);
        Ok(length)
    }
}

/// The account's credentials, as `object_store` asks for them: with each request. They are kept, since a provider may ask
/// somebody each time, STS or a program.
struct Credentials {
    provider: SharedCredentialsProvider,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    credential: Arc<AwsCredential>,
    until: Instant,
}

/// How long those are kept that do not say when they end, and how long before their end others are asked for: as the SDK
/// does with those of its own clients.
const KEPT: Duration = Duration::from_secs(15 * 60);
const BEFORE: Duration = Duration::from_secs(10);

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

#[async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        // Whoever comes meanwhile waits for the same answer.
        let mut kept = self.kept.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| Instant::now() < kept.until) {
            return Ok(Arc::clone(&kept.credential));
        }
        let failed = |error| object_store::Error::Generic { store: "S3", source: Box::new(error) };
        let credentials = self.provider.provide_credentials().await.map_err(failed)?;
        let credential = Arc::new(AwsCredential {
            key_id: credentials.access_key_id().to_owned(),
            secret_key: credentials.secret_access_key().to_owned(),
            token: credentials.session_token().map(str::to_owned),
        });
        let left = credentials.expiry().map_or(KEPT, |end| left(end).saturating_sub(BEFORE));
        *kept = Some(Kept { credential: Arc::clone(&credential), until: Instant::now() + left });
        Ok(credential)
    }
}

/// How long it is until then.
#[expect(clippy::disallowed_methods, reason = "credentials end by the clock of those who give them, not by an event's")]
fn left(end: SystemTime) -> Duration {
    end.duration_since(SystemTime::now()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_credential_types::Credentials as Given;
    use aws_credential_types::provider::future;

    use super::*;

    /// Counts how often it is asked.
    #[derive(Debug, Clone)]
    struct Provider {
        asked: Arc<AtomicUsize>,
        lasts: Option<Duration>,
    }

    impl ProvideCredentials for Provider {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let number = self.asked.fetch_add(1, Ordering::Relaxed);
            #[expect(clippy::disallowed_methods, reason = "the end of credentials is a time of the real clock")]
            let end = self.lasts.map(|lasts| SystemTime::now() + lasts);
            future::ProvideCredentials::ready(Ok(Given::new(format!("AKID{number}"), "secret", None, end, "test")))
        }
    }

    #[tokio::test]
    async fn credentials_are_asked_for_once_as_long_as_they_last() {
        let hour = Duration::from_secs(3600);
        for (lasts, expected) in [(Some(hour), 1), (None, 1), (Some(BEFORE), 3), (Some(Duration::ZERO), 3)] {
            let asked = Arc::new(AtomicUsize::new(0));
            let provider = SharedCredentialsProvider::new(Provider { asked: Arc::clone(&asked), lasts });
            let credentials = Credentials { provider, kept: Mutex::default() };
            let mut last = String::new();
            for _ in 0..3 {
                last.clone_from(&credentials.get_credential().await.unwrap().key_id);
            }
            assert_eq!(asked.load(Ordering::Relaxed), expected, "{lasts:?}");
            assert_eq!(last, format!("AKID{}", expected - 1), "{lasts:?}");
        }
    }
}

//! A bucket behind the port of reading trails: over `object_store`, with the credentials of an account.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::Region;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsCredential};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{Attribute, CredentialProvider, GetResultPayload, ObjectStoreExt, RetryConfig};
use pipeline::service::CallError;
use pipeline::source::Content;
use pipeline::trail::{Bucket, Listed, ListedPage, Object};

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
        builder = builder.with_credentials(Arc::new(Credentials { provider }));
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
        let got = self.edge.run(self.store.get(&path));
        let got = got.map_err(|error| classify_store(GET, &format!("object s3://{}/{key}", self.name), &error))?;
        let beside = |&name: &&'static str| {
            let value = got.attributes.get(&Attribute::Metadata(Cow::Borrowed(name)))?;
            Some((name.to_owned(), value.as_ref().to_owned()))
        };
        let metadata = METADATA.iter().filter_map(beside).collect();
        let (etag, size) = (unquoted(got.meta.e_tag.clone()), got.meta.size);
        if size > limit {
            return Err(CallError::TooLarge { size, limit });
        }
        let stream = match got.payload {
            GetResultPayload::Stream(stream) => stream,
            GetResultPayload::File(..) => return Err(CallError::Refused("S3 gave a file".to_owned())),
        };
        let body = Body::new(&self.edge, stream, size);
        Ok(Object { etag, size, metadata, content: Content::of(body, Some(size)) })
    }
}

fn unquoted(etag: Option<String>) -> String {
    etag.map(|etag| etag.trim_matches('"').to_owned()).unwrap_or_default()
}

/// An object's bytes, as they come.
pub(crate) struct Body {
    edge: Arc<Edge>,
    stream: BoxStream<'static, object_store::Result<Bytes>>,
    chunk: Bytes,
    /// What is still to come.
    left: u64,
}

impl Body {
    pub(crate) fn new(edge: &Arc<Edge>, stream: BoxStream<'static, object_store::Result<Bytes>>, size: u64) -> Body {
        Body { edge: Arc::clone(edge), stream, chunk: Bytes::new(), left: size }
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            self.chunk = match self.edge.run(self.stream.next()) {
                Some(Ok(chunk)) => chunk,
                Some(Err(error)) => return Err(io::Error::other(error)),
                None if self.left > 0 => {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was cut"));
                }
                None => return Ok(0),
            };
        }
        let length = buffer.len().min(self.chunk.len());
        buffer[..length].copy_from_slice(&self.chunk.split_to(length));
        self.left = self.left.saturating_sub(length as u64);
        Ok(length)
    }
}

/// The account's credentials, as `object_store` asks for them. The SDK keeps them until they end.
struct Credentials {
    provider: SharedCredentialsProvider,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

#[async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let failed = |error| object_store::Error::Generic { store: "S3", source: Box::new(error) };
        let credentials = self.provider.provide_credentials().await.map_err(failed)?;
        Ok(Arc::new(AwsCredential {
            key_id: credentials.access_key_id().to_owned(),
            secret_key: credentials.secret_access_key().to_owned(),
            token: credentials.session_token().map(str::to_owned),
        }))
    }
}

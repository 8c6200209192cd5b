//! A bucket as an object store, for who writes to it: the lake.
//!
//! Where a policy grants `s3:ListBucket` for some prefixes only, S3 answers 403 to whoever asks for an object that is not
//! there: the condition cannot hold for a request that names no prefix. The lake asks for the next entry of its log all the
//! time, so a refusal is looked into: who may list the key and does not find it has been told that there is none.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::aws::AmazonS3;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::access::Account;
use crate::bucket::{TrailBucket, s3};
use crate::error::AwsError;

impl Account {
    /// A bucket's objects, in a region or in that of the account's credentials. Asks nothing yet.
    ///
    /// An object is created on the condition that it is not there ([`object_store::PutMode::Create`]) by `If-None-Match`.
    /// `AWS_ENDPOINT_URL_S3` and `AWS_ENDPOINT_URL` are honoured, also where they are plain HTTP.
    ///
    /// # Errors
    /// [`AwsError::Bucket`]: the name or the endpoint is none.
    pub fn object_store(&self, bucket: &str, region: Option<&str>) -> Result<Arc<dyn ObjectStore>, AwsError> {
        let region = region.map_or_else(|| TrailBucket::region_of(self), str::to_owned);
        Ok(Arc::new(Objects { store: s3(self, bucket, &region)?, name: bucket.to_owned() }))
    }
}

struct Objects {
    store: AmazonS3,
    name: String,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its client would show what its credentials come from.
        f.debug_struct("Objects").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.name)
    }
}

impl Objects {
    /// What a refusal means: that there is no such object, if its name can be listed and is not found.
    async fn looked_into(&self, path: &Path, error: Error) -> Error {
        if !matches!(error, Error::PermissionDenied { .. }) {
            return error;
        }
        // Of the names that begin with it, it comes first.
        match self.store.list_paginated(Some(path.as_ref()), PaginatedListOptions::default()).await {
            Ok(page) if page.result.objects.iter().all(|object| object.location != *path) => {
                Error::NotFound { path: path.to_string(), source: Box::new(error) }
            }
            _ => error,
        }
    }
}

#[async_trait]
impl ObjectStore for Objects {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.store.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        match self.store.get_opts(location, options).await {
            Err(error) => Err(self.looked_into(location, error).await),
            got => got,
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.store.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream};

    use object_store::ObjectStoreExt;
    use object_store::aws::AmazonS3Builder;

    use super::*;

    /// S3, as it answers a role that may list some prefixes only: there is one object, which may not be read.
    fn answer(connection: &TcpStream) {
        let mut reader = BufReader::new(connection);
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if reader.read_line(&mut head).unwrap() == 0 {
                    return;
                }
            }
            let line = head.lines().next().unwrap();
            let is_list = line.contains("list-type=2") && !line.contains("hidden");
            let listed = "<Contents><Key>lake/there</Key><LastModified>2026-01-15T12:00:00Z</LastModified><Size>1</Size></Contents>";
            let listed = if line.contains("prefix=lake%2Fther") { listed } else { "" };
            let (status, body) = match is_list {
                true => (
                    "200 OK",
                    format!(
                        "<ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>"
                    ),
                ),
                false => ("403 Forbidden", "<Error><Code>AccessDenied</Code></Error>".to_owned()),
            };
            let body = if line.starts_with("HEAD") { "" } else { &body };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
            (&*connection).write_all(format!("{head}{body}").as_bytes()).unwrap();
        }
    }

    #[test]
    fn a_refusal_of_what_is_not_there_is_told_from_one_of_what_is() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                std::thread::spawn(move || answer(&connection));
            }
        });
        let store = AmazonS3Builder::new()
            .with_bucket_name("b")
            .with_region("us-east-1")
            .with_endpoint(endpoint)
            .with_allow_http(true)
            .with_access_key_id("AKID")
            .with_secret_access_key("secret");
        let objects = Objects { store: store.build().unwrap(), name: "b".to_owned() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let get = |path: &str| runtime.block_on(objects.get(&Path::from(path))).map(drop).unwrap_err();
        let head = |path: &str| runtime.block_on(objects.head(&Path::from(path))).map(drop).unwrap_err();
        assert!(matches!(get("lake/missing"), Error::NotFound { .. }));
        assert!(matches!(head("lake/missing"), Error::NotFound { .. }));
        // The name of another begins with it.
        assert!(matches!(get("lake/ther"), Error::NotFound { .. }));
        assert!(matches!(get("lake/there"), Error::PermissionDenied { .. }));
        assert!(matches!(head("lake/there"), Error::PermissionDenied { .. }));
        // Who may not list either has been told nothing.
        assert!(matches!(get("hidden/missing"), Error::PermissionDenied { .. }));
    }
}

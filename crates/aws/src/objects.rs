//! Objects of a deployment's own buckets: what is uploaded to them, and how they are emptied.

use std::fmt;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use pipeline::service::CallError;

use crate::access::Account;
use crate::bucket::TrailBucket;
use crate::error::{AwsError, classify_store};

/// A bucket that the deployment owns.
pub struct Artifacts {
    bucket: TrailBucket,
    /// Where its objects are, as another service takes it.
    address: String,
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
        Ok(Artifacts { bucket: TrailBucket::new(account, name, region)?, address })
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

    /// Deletes every object; in a versioned bucket their versions stay. Returns how many there were.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn empty(&self) -> Result<u64, CallError> {
        let store: &dyn ObjectStore = &self.bucket.store;
        let deleted = async {
            let mut deleted = 0;
            let keys = store.list(None).map_ok(|object| object.location);
            let mut deleting = store.delete_stream(Box::pin(keys));
            while deleting.try_next().await?.is_some() {
                deleted += 1;
            }
            Ok::<u64, object_store::Error>(deleted)
        };
        self.bucket.edge.run(deleted).map_err(|error| classify_store("s3:DeleteObject", &self.address(""), &error))
    }

    fn address(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket.name)
    }
}

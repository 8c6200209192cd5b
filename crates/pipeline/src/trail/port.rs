//! The ports to buckets and queues.

use std::time::Duration;

use event::Timestamp;

use crate::proof::Metadata;
use crate::service::CallError;
use crate::source::Content;
use crate::state::ObjectVersion;

/// The most messages that one call of a queue receives, extends or deletes.
pub const AT_ONCE: usize = 10;

/// One bucket. Calls may block and come from several threads; an adapter tries again what is worth another try.
pub trait Bucket: Send + Sync {
    /// Its name.
    fn name(&self) -> &str;

    /// The objects whose keys begin with `prefix` and come after `after`, in the order of their keys, a page of them.
    ///
    /// # Errors
    /// [`CallError`].
    fn list(&self, prefix: &str, after: Option<&str>) -> Result<ListedPage, CallError>;

    /// The names that follow `prefix` (which ends with `/`) up to the next `/`, sorted: its folders, all of them.
    ///
    /// # Errors
    /// [`CallError`].
    fn folders(&self, prefix: &str) -> Result<Vec<String>, CallError>;

    /// Opens an object. One of more than `limit` bytes is refused before it is read.
    ///
    /// # Errors
    /// [`CallError`]; [`CallError::NotFound`] where it is gone.
    fn get(&self, key: &str, limit: u64) -> Result<Object, CallError>;
}

/// Some of the keys that were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListedPage {
    /// In the order of their keys.
    pub objects: Vec<Listed>,
    /// Whether there are more behind them.
    pub more: bool,
}

/// An object, as a listing names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its entity tag, without quotes.
    pub etag: String,
    /// Its size in bytes.
    pub size: u64,
}

/// An object that is being read.
pub struct Object {
    /// Its entity tag, without quotes.
    pub etag: String,
    /// Its size in bytes.
    pub size: u64,
    /// What stands beside its bytes: names without `x-amz-meta-`, and values; as far as a digest has any.
    pub metadata: Metadata,
    /// What it holds, as stored.
    pub content: Content,
}

/// Where an object lies, as events and the ledger of objects name it.
#[must_use]
pub fn location(bucket: &str, key: &str) -> String {
    format!("s3://{bucket}/{key}")
}

impl Listed {
    /// The version of the object that was listed.
    #[must_use]
    pub fn version(&self, bucket: &str) -> ObjectVersion {
        ObjectVersion { location: location(bucket, &self.key), etag: self.etag.clone(), size: self.size }
    }
}

/// One queue. Calls may block and come from several threads; an adapter does not try again, and says what failed.
pub trait Queue: Send + Sync {
    /// Its name, for people and for [`source_object`](event::Event).
    fn name(&self) -> &str;

    /// Receives at most [`AT_ONCE`] messages, which nobody else sees for `visibility`. Waits so long for the first one.
    ///
    /// # Errors
    /// [`CallError`].
    fn receive(&self, wait: Duration, visibility: Duration) -> Result<Vec<Message>, CallError>;

    /// Keeps at most [`AT_ONCE`] messages, by their receipts, from everybody else for so long from now; zero gives them
    /// back at once. Returns those for which that could not be done.
    ///
    /// # Errors
    /// [`CallError`]: it was done for none.
    fn extend(&self, receipts: &[&str], visibility: Duration) -> Result<Vec<Undone>, CallError>;

    /// Deletes at most [`AT_ONCE`] messages, by their receipts. Returns those that could not be deleted.
    ///
    /// # Errors
    /// [`CallError`]: none was deleted.
    fn delete(&self, receipts: &[&str]) -> Result<Vec<Undone>, CallError>;
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it goes by, however often it is delivered.
    pub id: String,
    /// What this delivery of it goes by.
    pub receipt: String,
    /// What it says. A stranger's text.
    pub body: String,
    /// How often it was delivered so far, this time included, about.
    pub receives: u32,
    /// When it was sent, where that is known.
    pub sent: Option<Timestamp>,
}

/// A message for which a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    /// Its place among the receipts given.
    pub place: usize,
    /// Why.
    pub reason: String,
}

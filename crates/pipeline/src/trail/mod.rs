//! Reading a trail where CloudTrail delivers it: a bucket, by listing, or a queue that S3 or EventBridge fills. Without
//! knowing an SDK.
//!
//! **Owns** where a trail's files lie ([`layout`]), a bucket as a source ([`bucket`]), what a queue's messages mean
//! ([`message`]) and how a queue is worked off ([`queue`]). **Must not** know how an object or a message is fetched: those
//! are the ports [`Bucket`] and [`Queue`].
//!
//! The rules that make it complete: a day is compared with the ledger of objects as a whole, never after the last key,
//! because delivery is out of order; an object counts as read, and a message is acknowledged, only behind the commit of
//! all its events; what comes twice changes nothing, because an event is known by its id.
//!
//! Read in this order: [`port`], [`layout`], [`bucket`], [`message`], [`queue`].

pub mod bucket;
pub mod layout;
pub mod message;
mod parallel;
pub mod port;
pub mod queue;

pub use bucket::{BucketSource, Found};
pub use layout::{Days, Trail};
pub use port::{Bucket, Listed, ListedPage, Message, Object, Queue, Undone};
pub use queue::{Consumer, QueueReport, Session};

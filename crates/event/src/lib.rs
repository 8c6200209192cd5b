//! The CloudTrail record: every envelope it comes in, and the normalised [`Event`] it becomes.
//!
//! **Owns** gunzip and decoding ([`decode`]), the columns ([`mod@column`]), identity (`identity`), targets, times, ids,
//! ARNs and IAM policy documents. **Must not** do I/O beyond a reader it is handed, be asynchronous, or read a clock.
//!
//! Read in this order: [`mod@column`] (what an event holds), [`event`](Event), `record` (JSON to event), `render` (event
//! to JSON), [`decode`] (bytes to records).

pub mod arn;
pub mod column;
pub mod decode;
mod event;
mod id;
mod identity;
mod lenient;
pub mod policy;
mod record;
mod render;
mod target;
mod time;

pub use column::Column;
pub use event::{Event, same_record};
pub use id::EventKey;
pub use record::RecordError;
pub use time::{Day, Timestamp};

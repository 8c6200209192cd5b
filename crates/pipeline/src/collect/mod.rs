//! Collecting live from CloudTrail's event history (LookupEvents), without knowing an SDK.
//!
//! **Owns** which streams there are ([`stream`], [`sources`]), what to ask them for ([`plan`], [`walk`]), how fast
//! ([`bucket`]), one pass over all of them ([`pass`]) and what is remembered ([`state`]). **Must not** know how a page is
//! fetched or where the state lies: those are the ports [`Lookup`], [`Timer`] and [`StreamStore`].
//!
//! The rules that make it complete: a walk goes from the newest event to the oldest with frozen times; its position is
//! saved only behind the commit of what it read; a stretch of time is claimed only when the walk through it has ended and
//! its events are committed; and the newest minutes, in which events can still appear, are never claimed.
//!
//! Read in this order: [`stream`], [`port`], [`walk`], [`plan`], [`state`], [`pass`].

pub mod bucket;
pub mod pass;
pub mod plan;
pub mod port;
mod region;
pub mod report;
pub mod scope;
pub mod sources;
pub mod state;
pub mod stream;
pub mod walk;

pub use pass::{Collect, Options};
pub use plan::Rules;
pub use port::{Lookup, LookupError, LookupEvent, LookupPage, LookupRequest, Timer};
pub use region::Regions;
pub use report::{PassReport, StreamReport};
pub use scope::{Scope, Unknown};
pub use state::{Health, Pause, StreamChange, StreamState, StreamStore, Trouble, TroubleKind};
pub use stream::{AccountScope, Partition, Stream, streams};
pub use walk::Walk;

//! The ports that collecting needs: the event history, and time that can be waited for.

use std::time::Duration;

use event::Timestamp;

use super::stream::Stream;
use crate::coverage::Interval;
use crate::store::Clock;

pub use crate::service::CallError as LookupError;

/// The most events a page holds.
pub const PAGE: usize = 50;

/// CloudTrail's event history.
pub trait Lookup: Send + Sync {
    /// Asks for one page: one call, without retries of its own. It may block; calls come from several threads.
    ///
    /// # Errors
    /// [`LookupError`].
    fn page(&self, request: &LookupRequest<'_>) -> Result<LookupPage, LookupError>;
}

/// What is asked for: events of `stream.source`, newest first, [`PAGE`] at a time.
#[derive(Debug, Clone, Copy)]
pub struct LookupRequest<'a> {
    /// The account (whose credentials), the region and the event source.
    pub stream: &'a Stream,
    /// Half-open, and of whole seconds. The API's `EndTime` is inclusive: give it `window.to` less a millisecond, which
    /// names the same events, because events have whole seconds.
    pub window: Interval,
    /// The token of the page before, with everything else as it was then.
    pub token: Option<&'a str>,
}

/// One page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LookupPage {
    /// Newest first.
    pub events: Vec<LookupEvent>,
    /// What to ask for the next page with; `None` where this is the last one.
    pub next: Option<String>,
    /// The service's own clock (the answer's `Date`), where it is known. Coverage is claimed by it, not by ours.
    pub at: Option<Timestamp>,
}

/// One event of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupEvent {
    /// `EventTime`; `None` where it is missing or out of bounds.
    pub time: Option<Timestamp>,
    /// `CloudTrailEvent`: the record as JSON text, empty where it is missing.
    pub record: String,
}

/// A clock that can be waited on.
pub trait Timer: Clock {
    /// The time since some fixed instant, by a clock that never jumps.
    fn monotonic(&self) -> Duration;

    /// Waits. May return early, for example because the program is about to end.
    fn sleep(&self, duration: Duration);
}

//! Telling people: the port to a channel, what is sent over it, and when.
//!
//! A [`Courier`] takes one [`Channel`]'s notifications out of the [outbox](crate::outbox), makes [`Parcel`]s of them by the
//! channel's [`Policy`] (quiet hours, digests, "and 41 more like this"), hands them to the channel's [`Notifier`], and
//! writes down how it went. Each channel has a courier and a thread of its own ([`deliver()`]), so that one
//! that hangs keeps no other from its work.
//!
//! **Invariant:** a notification whose delivery was settled is never sent again. A process that dies between the
//! channel's answer and the settling sends it once more, under the same [key](Parcel::key).

mod backoff;
mod courier;
mod deliver;
mod health;
mod parcel;
mod policy;
mod trouble;
mod windows;

use std::time::Duration;

use event::Timestamp;

pub use backoff::Backoff;
pub use courier::{Channel, Courier, Office, Round};
pub use deliver::{Bell, deliver, flush};
pub use health::{ChannelHealth, health};
pub use parcel::{Kind, Parcel};
pub use policy::{Digest, Policy, QuietHours, RateLimit};
pub use trouble::{TROUBLE, trouble};

/// The port to one channel.
pub trait Notifier: Send + Sync {
    /// Tells of the parcel and says how it went. Returns within the channel's time limit, whatever the other end does.
    fn send(&self, parcel: &Parcel) -> Verdict;

    /// As [`send`](Notifier::send), with what the other end calls the message that it has taken, where it says so.
    fn send_for_receipt(&self, parcel: &Parcel) -> (Verdict, Option<String>) {
        (self.send(parcel), None)
    }

    /// Whether anything could be sent now, as far as is known without trying.
    ///
    /// # Errors
    /// Why not, fit to be shown.
    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    /// What [`send`](Notifier::send) would send, for people to look at: no secret stands in it.
    fn preview(&self, parcel: &Parcel) -> String;
}

/// How an attempt to send ended. The reasons are fit to be shown: they carry no secret, and no stranger's text that
/// could do harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The channel has taken it.
    Delivered,
    /// Not now.
    Retry {
        /// How long the channel asked to be left alone.
        after: Option<Duration>,
        /// What went wrong.
        reason: String,
    },
    /// Never: this message will be refused however often it is sent.
    Refused {
        /// What is wrong with it.
        reason: String,
    },
}

impl Verdict {
    /// To be tried again, whenever we like.
    #[must_use]
    pub fn retry(reason: impl Into<String>) -> Verdict {
        Verdict::Retry { after: None, reason: reason.into() }
    }

    /// Not to be tried again.
    #[must_use]
    pub fn refused(reason: impl Into<String>) -> Verdict {
        Verdict::Refused { reason: reason.into() }
    }
}

/// The instant so much later, within a timestamp's bounds.
fn later(time: Timestamp, by: Duration) -> Timestamp {
    let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(time.micros().saturating_add(micros)).unwrap_or(Timestamp::MAX)
}

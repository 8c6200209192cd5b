//! What a pass did.

use event::Timestamp;
use serde::Serialize;

use super::state::{Trouble, maybe_text};
use super::stream::Stream;
use crate::alert::as_text;
use crate::report::{AlertCounts, Report};

/// What a pass over all streams did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PassReport {
    /// When it began.
    #[serde(serialize_with = "as_text")]
    pub started: Timestamp,
    /// When it ended.
    #[serde(serialize_with = "as_text")]
    pub ended: Timestamp,
    /// Each stream's part, in the order in which they were given.
    pub streams: Vec<StreamReport>,
    /// What became of all records.
    pub totals: Report,
}

impl PassReport {
    /// Whether every stream that is not paused was read to its end.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.streams.iter().all(|stream| stream.complete || stream.paused)
    }

    /// The streams that were read, and have more.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = &Stream> {
        let is_left = |report: &&StreamReport| !report.complete && !report.paused && report.trouble.is_none();
        self.streams.iter().filter(is_left).map(|report| &report.stream)
    }

    /// Adds what a pass after this one did, for some of the same streams.
    pub(crate) fn go_on(&mut self, later: PassReport) {
        let PassReport { started: _, ended, streams, totals } = later;
        self.ended = ended;
        self.totals.add(&totals);
        self.totals.alerts.merge(&totals.alerts);
        self.totals.version = totals.version.or(self.totals.version);
        self.totals.interrupted = totals.interrupted;
        for stream in streams {
            if let Some(known) = self.streams.iter_mut().find(|known| known.stream == stream.stream) {
                known.go_on(stream);
            }
        }
    }

    /// The streams that could not be read, and why.
    pub fn troubles(&self) -> impl Iterator<Item = (&Stream, &Trouble)> {
        self.streams.iter().filter_map(|report| Some((&report.stream, report.trouble.as_ref()?)))
    }
}

/// What a pass did for one stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamReport {
    /// Which one.
    pub stream: Stream,
    /// Calls that were answered with a page.
    pub calls: u64,
    /// Calls that were not: throttled, failed, refused.
    pub failed_calls: u64,
    /// Records read: the sum of the next five, before what a commit finds to be stored by another process.
    pub events: u64,
    /// New in the store.
    pub stored: u64,
    /// In the store before.
    pub duplicates: u64,
    /// In the store before, with other content.
    pub variants: u64,
    /// Left out of the store by a filter.
    pub filtered: u64,
    /// No events.
    pub rejected: u64,
    /// Alerts.
    pub alerts: AlertCounts,
    /// The newest event it gave.
    #[serde(serialize_with = "maybe_text")]
    pub newest: Option<Timestamp>,
    /// Whether everything there was to read was read.
    pub complete: bool,
    /// Whether it is paused, and so was not asked.
    pub paused: bool,
    /// Why it could not be read.
    pub trouble: Option<Trouble>,
}

impl StreamReport {
    pub(crate) fn new(stream: Stream) -> StreamReport {
        StreamReport {
            stream,
            calls: 0,
            failed_calls: 0,
            events: 0,
            stored: 0,
            duplicates: 0,
            variants: 0,
            filtered: 0,
            rejected: 0,
            alerts: AlertCounts::default(),
            newest: None,
            complete: false,
            paused: false,
            trouble: None,
        }
    }

    fn go_on(&mut self, later: StreamReport) {
        self.calls += later.calls;
        self.failed_calls += later.failed_calls;
        self.events += later.events;
        self.stored += later.stored;
        self.duplicates += later.duplicates;
        self.variants += later.variants;
        self.filtered += later.filtered;
        self.rejected += later.rejected;
        self.alerts.merge(&later.alerts);
        self.newest = self.newest.max(later.newest);
        (self.complete, self.paused, self.trouble) = (later.complete, later.paused, later.trouble);
    }

    /// Adds what became of a page.
    pub(crate) fn add(&mut self, tally: &Report) {
        self.events += tally.read;
        self.stored += tally.stored;
        self.duplicates += tally.duplicates;
        self.variants += tally.variants;
        self.filtered += tally.left_out();
        self.rejected += tally.rejected;
        self.alerts.merge(&tally.alerts);
    }
}

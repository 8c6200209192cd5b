//! What became of messages and objects, in counts that add up.

use event::Timestamp;
use serde::Serialize;

use crate::alert::as_text;
use crate::collect::Trouble;
use crate::report::Report;

/// What was done with a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueueReport {
    /// The queue.
    pub queue: String,
    /// When it began.
    #[serde(serialize_with = "as_text")]
    pub started: Timestamp,
    /// When it ended.
    #[serde(serialize_with = "as_text")]
    pub ended: Timestamp,
    /// Calls for messages that were answered.
    pub calls: u64,
    /// Calls of the queue that were not.
    pub failed_calls: u64,
    /// Messages.
    pub messages: MessageCounts,
    /// Objects that messages told of.
    pub objects: ObjectCounts,
    /// What became of all records.
    pub totals: Report,
    /// Why the queue can be read no longer.
    pub trouble: Option<Trouble>,
    /// Why something that messages brought could not be read this time: the first of them.
    pub unread: Option<Trouble>,
}

/// Messages: `received = acknowledged + unacknowledged + returned`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MessageCounts {
    /// Deliveries: a message that came twice counts twice.
    pub received: u64,
    /// Committed and deleted.
    pub acknowledged: u64,
    /// Committed, but the queue did not delete them: they come again and change nothing.
    pub unacknowledged: u64,
    /// Left to come again: not read, not to the end, or not committed.
    pub returned: u64,
    /// Those that brought objects.
    pub objects: u64,
    /// Those that brought a record.
    pub records: u64,
    /// S3's tests.
    pub tests: u64,
    /// Those that only told of deletions and the like.
    pub others: u64,
    /// Those that could never be read, set aside with their reasons.
    pub poison: u64,
    /// Those that could not be read this time, and may come again; a part of those returned.
    pub failed: u64,
    /// How often a message was kept for longer.
    pub extended: u64,
    /// How often that failed: it may come again while it is worked on.
    pub lost: u64,
}

/// Objects: `told` is the sum of the others.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ObjectCounts {
    /// Told of.
    pub told: u64,
    /// Read.
    pub read: u64,
    /// Read before, in this very version.
    pub known: u64,
    /// Digest files that were left: where proof is asked for they are read.
    pub digests: u64,
    /// Insight events: left for their own command.
    pub insights: u64,
    /// Other services' files.
    pub foreign: u64,
    /// In a bucket that is not to be read, gone, or too large.
    pub refused: u64,
    /// Not read this time.
    pub failed: u64,
}

impl QueueReport {
    /// Checks that every message, object and record has exactly one fate.
    pub(crate) fn reconcile(&mut self) -> Result<(), String> {
        self.totals.reconcile()?;
        let MessageCounts { received, acknowledged, unacknowledged, returned, .. } = self.messages;
        if received != acknowledged + unacknowledged + returned {
            return Err(format!(
                "{received} messages received but {acknowledged} acknowledged + {unacknowledged} not acknowledged + \
                 {returned} returned"
            ));
        }
        let ObjectCounts { told, read, known, digests, insights, foreign, refused, failed } = self.objects;
        let fates = read + known + digests + insights + foreign + refused + failed;
        if told != fates {
            return Err(format!("{told} objects told of but {fates} accounted for: {:?}", self.objects));
        }
        Ok(())
    }
}

//! The lake as the store of events.

use event::{Event, Timestamp};
use lake::{Writer, WriterOptions};
use pipeline::store::{Appended, Committed, EventStore, StoreError, Variant};

/// A lake's writer behind the port.
#[derive(Debug)]
pub struct LakeStore(Writer);

impl LakeStore {
    /// A store that writes to the lake.
    ///
    /// # Errors
    /// The lake's log cannot be read.
    pub fn new(lake: &lake::Lake, options: WriterOptions) -> Result<LakeStore, lake::LakeError> {
        lake.writer(options).map(LakeStore)
    }
}

impl EventStore for LakeStore {
    fn append(
        &self,
        events: &[Event<'_>],
        source_object: &str,
        ingested_at: Timestamp,
    ) -> Result<Appended, StoreError> {
        let appended = self.0.append(events, source_object, ingested_at).map_err(failed)?;
        Ok(Appended {
            stored: appended.stored,
            duplicates: appended.duplicates,
            variants: appended.variants.into_iter().map(variant).collect(),
        })
    }

    fn commit(&self) -> Result<Committed, StoreError> {
        let committed = self.0.commit().map_err(failed)?;
        Ok(Committed {
            version: committed.version.and_then(|version| i64::try_from(version).ok()),
            late_duplicates: committed.late_duplicates,
            late_variants: committed.late_variants.into_iter().map(variant).collect(),
        })
    }
}

fn failed(error: lake::LakeError) -> StoreError {
    StoreError(Box::new(error))
}

fn variant(variant: lake::Variant) -> Variant {
    Variant { event_id: variant.event_id, record: variant.record, source_object: variant.source_object }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl pipeline::store::Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the port that the others get the time from")]
        let micros = jiff::Timestamp::now().as_microsecond();
        // A machine whose clock is set before 2000 or after 2099 gets the nearest time there is.
        Timestamp::from_micros(micros.clamp(Timestamp::MIN.micros(), Timestamp::MAX.micros())).unwrap_or(Timestamp::MIN)
    }
}

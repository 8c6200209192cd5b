//! What is read and not stored: in the function's log, where its text is bounded and its counts are metrics.

use std::io;

use pipeline::aside::{Aside, Rejection, VariantCopy};
use pipeline::escape::single_line;

/// The most characters of a record that are logged: one line of a log takes 256 KB, and costs by the byte.
const TEXT: usize = 20_000;

pub(crate) struct LogAside;

impl Aside for LogAside {
    fn rejected(&self, rejection: &Rejection<'_>) -> io::Result<bool> {
        let Rejection { source_object, number, reason, text } = *rejection;
        let text = single_line(text, TEXT);
        tracing::warn!(source_object, number, reason, %text, "a record was rejected");
        Ok(true)
    }

    fn variant(&self, variant: &VariantCopy<'_>) -> io::Result<bool> {
        let VariantCopy { event_id, source_object, record } = *variant;
        let record = single_line(record, TEXT);
        tracing::warn!(event_id, source_object, %record, "another copy of an event says something else");
        Ok(true)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

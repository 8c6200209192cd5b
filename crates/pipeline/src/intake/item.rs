//! One item, from its bytes to its counts.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use event::Event;
use event::decode::{self, Batch, Decoder};

use super::Intake;
use crate::alert::Occasion;
use crate::aside::Rejection;
use crate::ingest::IngestError;
use crate::proof::{Evidence, Metadata, Watching};
use crate::report::{Problem, Report};
use crate::source::Content;

/// How an item is read.
pub(crate) struct Reading<'r> {
    /// The `source_object` of its events.
    pub(crate) name: &'r str,
    /// Its size as stored, where known.
    pub(crate) size: Option<u64>,
    /// How, when and in which run the alerts of an event arose.
    pub(crate) occasion: &'r dyn Fn(&Event<'_>) -> Occasion,
    /// What stands beside its bytes.
    pub(crate) metadata: &'r Metadata,
    /// Ends the reading early.
    pub(crate) stop: &'r AtomicBool,
    /// Told of what is wrong with it.
    pub(crate) on_problem: &'r (dyn Fn(&Problem) + Sync),
}

/// What became of an item.
#[derive(Debug)]
pub(crate) struct ItemRead {
    /// Whether nobody stopped it. A damaged item, too, is read to its end.
    pub(crate) to_its_end: bool,
    /// What it proves, or is to be proven by; for the checkpoint that commits it.
    pub(crate) evidence: Option<Evidence>,
}

impl Intake<'_> {
    /// Reads an item, hands its records over and counts them.
    pub(crate) fn read(
        &self,
        reading: &Reading<'_>,
        content: &mut Content,
        decoder: &mut Decoder,
    ) -> Result<ItemRead, IngestError> {
        let Reading { name, size, occasion, metadata, stop, on_problem } = *reading;
        let stored_bytes = match (&*content, size) {
            (_, Some(size)) => size,
            (Content::Bytes(bytes), None) => bytes.len() as u64,
            (Content::Reader(_), None) => 0,
        };
        let mut tally = Report::default();
        let mut failure = None;
        let mut first_rejection: Option<String> = None;
        let mut sink = |batch: Batch<'_>| {
            if let Some(rejected) = batch.rejected.first().filter(|_| first_rejection.is_none()) {
                first_rejection = Some(format!("record {}: {}", rejected.number, rejected.reason));
            }
            match self.take(name, batch, occasion, &mut tally, || ()) {
                Ok(()) if stop.load(Ordering::Relaxed) => ControlFlow::Break(()),
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            }
        };
        let mut watching = Watching::new(self.proving, name);
        let content = match content {
            Content::Bytes(bytes) => decode::Content::Bytes(bytes),
            Content::Reader(reader) => decode::Content::Reader(reader.as_mut()),
        };
        let summary = match &mut watching {
            Some(watching) => decoder.decode_watched(content, &mut |bytes| watching.see(bytes), &mut sink),
            None => decoder.decode(content, &mut sink),
        };
        if let Some(error) = failure {
            return Err(error);
        }
        let records = summary.records();
        tally.items = 1;
        tally.bytes = stored_bytes;
        tally.inflated = summary.inflated;
        tally.insights = summary.insights;
        tally.digests = summary.digests;
        if summary.records() == 0 && summary.digests == 0 && summary.damage.is_none() {
            tally.empty = 1;
        }
        if !summary.stopped {
            // What was decoded must be what was handed over.
            tally.read = summary.records();
        } else {
            tally.read += summary.insights;
        }
        if let Some(damage) = summary.damage {
            tally.damaged = 1;
            self.unread(Problem { name: name.to_owned(), reason: damage }, on_problem)?;
        }
        if let Some(first) = first_rejection {
            let reason = match tally.rejected {
                1 => format!("1 record rejected: {first}"),
                count => format!("{count} records rejected, the first: {first}"),
            };
            self.problem(&Problem { name: name.to_owned(), reason }, on_problem);
        }
        self.progress.items.fetch_add(1, Ordering::Relaxed);
        self.progress.bytes.fetch_add(stored_bytes, Ordering::Relaxed);
        self.progress.inflated.fetch_add(summary.inflated, Ordering::Relaxed);
        self.progress.records.fetch_add(tally.read, Ordering::Relaxed);
        self.count(tally);
        let evidence = watching
            .filter(|_| !summary.stopped)
            .and_then(|watching| watching.end(name, summary.sealing, records, metadata));
        Ok(ItemRead { to_its_end: !summary.stopped, evidence })
    }

    /// Adds the counts of an item, whose alerts were counted as they were recorded.
    pub(crate) fn count(&self, tally: Report) {
        self.report().add(&tally);
    }

    /// Tells of an item of which not everything was read, and keeps that aside: it has no text, only a place and a reason.
    pub(crate) fn unread(&self, problem: Problem, on_problem: &(dyn Fn(&Problem) + Sync)) -> Result<(), IngestError> {
        self.aside.rejected(&Rejection {
            source_object: &problem.name,
            number: 0,
            reason: &problem.reason,
            text: "",
        })?;
        self.problem(&problem, on_problem);
        Ok(())
    }

    pub(crate) fn problem(&self, problem: &Problem, on_problem: &(dyn Fn(&Problem) + Sync)) {
        self.report().problems += 1;
        on_problem(problem);
    }
}

//! What becomes of some records, whoever brought them: detections on every event, then filters, then the store; and the
//! checkpoint that makes it durable in one order.
//!
//! **Invariant:** a checkpoint never commits an event whose alert it has not recorded, and never settles a position whose
//! events it has not committed.

pub(crate) mod item;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use detect::Registry;
use event::Event;
use event::decode::Batch;

use crate::alert::{Alert, Occasion};
use crate::aside::{Aside, Rejection, VariantCopy};
use crate::filter::Filters;
use crate::ingest::{IngestError, Progress};
use crate::outbox::Routes;
use crate::proof::{Evidence, Failure, Proving};
use crate::report::Report;
use crate::state::Ledger;
use crate::store::{Clock, EventStore, Variant};
use crate::suppress::Suppressions;

/// Alerts that are waiting to be recorded; each carries a whole record, so their number bounds memory.
const PENDING_ALERTS: usize = 512;

/// Where records go, for every thread of a run.
pub(crate) struct Intake<'a> {
    pub(crate) store: &'a dyn EventStore,
    pub(crate) ledger: &'a dyn Ledger,
    pub(crate) aside: &'a dyn Aside,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) registry: &'a Registry,
    pub(crate) filters: &'a Filters,
    pub(crate) suppressions: &'a Suppressions,
    pub(crate) routes: &'a Routes,
    pub(crate) progress: &'a Progress,
    pub(crate) proving: Option<Proving<'a>>,
    /// What the next checkpoint writes down of what was read.
    evidence: Mutex<Vec<Evidence>>,
    /// Log files that stand failed, by their keys.
    failed: Mutex<BTreeSet<String>>,
    /// Alerts waiting for the next checkpoint; with none waiting, they are recorded as they are found.
    pending: Option<Mutex<Vec<Alert>>>,
    /// Held for reading while alerts and events of one batch are handed over, for writing by a checkpoint.
    hand_over: RwLock<()>,
    report: Mutex<Report>,
}

/// The parts of an [`Intake`] that its user brings.
pub(crate) struct Parts<'a> {
    pub(crate) store: &'a dyn EventStore,
    pub(crate) ledger: &'a dyn Ledger,
    pub(crate) aside: &'a dyn Aside,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) registry: &'a Registry,
    pub(crate) filters: &'a Filters,
    pub(crate) suppressions: &'a Suppressions,
    pub(crate) routes: &'a Routes,
    pub(crate) progress: &'a Progress,
    pub(crate) proving: Option<Proving<'a>>,
}

/// When alerts are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recording {
    /// In heaps, at the latest by the next checkpoint.
    InHeaps,
    /// As they are found: somebody waits for them.
    AtOnce,
}

impl<'a> Intake<'a> {
    pub(crate) fn new(parts: Parts<'a>, recording: Recording) -> Intake<'a> {
        let Parts { store, ledger, aside, clock, registry, filters, suppressions, routes, progress, proving } = parts;
        Intake {
            store,
            ledger,
            aside,
            clock,
            registry,
            filters,
            suppressions,
            routes,
            progress,
            proving,
            evidence: Mutex::default(),
            failed: Mutex::default(),
            pending: (recording == Recording::InHeaps).then(Mutex::default),
            hand_over: RwLock::new(()),
            report: Mutex::default(),
        }
    }

    /// The counts of the whole run so far.
    pub(crate) fn report(&self) -> MutexGuard<'_, Report> {
        lock(&self.report)
    }

    /// The counts of the whole run.
    pub(crate) fn into_report(self) -> Result<Report, IngestError> {
        let proofs = self.proving.map(|proving| proving.store.count_proofs()).transpose()?;
        let failed_objects = lock(&self.failed).len() as u64;
        let report = self.report.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Report { proofs, failed_objects, ..report })
    }

    /// Takes some records of an item, and counts them in `tally`.
    ///
    /// `handed_over` is called once they are, before any checkpoint can begin: what it notes is settled by the checkpoint
    /// that commits these records, never by an earlier one.
    pub(crate) fn take(
        &self,
        name: &str,
        mut batch: Batch<'_>,
        occasion: &dyn Fn(&Event<'_>) -> Occasion,
        tally: &mut Report,
        handed_over: impl FnOnce(),
    ) -> Result<(), IngestError> {
        let mut alerts = Vec::new();
        for event in &batch.events {
            self.registry.check(event, &mut |finding| {
                let mut alert = Alert::new(event, finding, occasion(event));
                self.suppressions.apply(&mut alert);
                alerts.push(alert);
            });
        }
        let now = self.clock.now();
        let newest = batch.events.iter().map(|event| event.event_time).filter(|time| *time <= now).max();
        tally.newest = tally.newest.max(newest);
        let read = batch.events.len() + batch.rejected.len();
        tally.read += read as u64;
        tally.rejected += batch.rejected.len() as u64;
        for rejected in &batch.rejected {
            let rejection = Rejection {
                source_object: name,
                number: rejected.number,
                reason: &rejected.reason,
                text: &rejected.text,
            };
            self.aside.rejected(&rejection)?;
        }
        batch.events.retain(|event| match self.filters.leave_out(event) {
            None => true,
            Some(reason) => {
                *tally.filtered.entry(reason.as_str()).or_default() += 1;
                false
            }
        });
        self.progress.alerts.fetch_add(alerts.len() as u64, std::sync::atomic::Ordering::Relaxed);
        // What is recorded at once waits for no commit.
        if self.pending.is_none() {
            self.record(&alerts, tally)?;
        }
        let _handing_over = self.handing_over();
        if let Some(pending) = &self.pending {
            self.queue(pending, alerts)?;
        }
        let appended = self.store.append(&batch.events, name, now)?;
        tally.stored += appended.stored;
        tally.duplicates += appended.duplicates;
        tally.variants += appended.variants.len() as u64;
        self.keep(&appended.variants)?;
        handed_over();
        Ok(())
    }

    /// Notes something, behind what was handed over: the checkpoint that settles it commits all of that.
    pub(crate) fn note(&self, note: impl FnOnce()) {
        let _handing_over = self.handing_over();
        note();
    }

    /// Takes what the reading of an object brought. To be called where its reading is noted, in the same [`note`](Self::note).
    pub(crate) fn add_evidence(&self, evidence: Option<Evidence>) {
        lock(&self.evidence).extend(evidence);
    }

    /// Makes everything handed over so far durable: alerts, then what is kept aside, then events, then what they prove,
    /// and then whatever `settle` writes down about it.
    pub(crate) fn checkpoint(&self, settle: impl FnOnce() -> Result<(), IngestError>) -> Result<(), IngestError> {
        let _alone = self.hand_over.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(pending) = &self.pending {
            let alerts = std::mem::take(&mut *lock(pending));
            self.record(&alerts, &mut Report::default())?;
        }
        fail::fail_point!("pipeline::after-alerts", |_| std::process::abort());
        self.aside.sync()?;
        fail::fail_point!("pipeline::after-aside", |_| std::process::abort());
        let committed = self.store.commit()?;
        fail::fail_point!("pipeline::after-events", |_| std::process::abort());
        self.keep(&committed.late_variants)?;
        if !committed.late_variants.is_empty() {
            self.aside.sync()?;
        }
        let late_variants = committed.late_variants.len() as u64;
        {
            let mut report = self.report();
            report.late_duplicates += committed.late_duplicates;
            report.late_variants += late_variants;
            report.version = committed.version.or(report.version);
        }
        self.prove()?;
        settle()
    }

    /// Writes down what was read for proof, and the alerts of what failed. Who dies in between reads again: nothing of it
    /// counts as read yet.
    fn prove(&self) -> Result<(), IngestError> {
        let evidence = std::mem::take(&mut *lock(&self.evidence));
        let Some(proving) = self.proving.filter(|_| !evidence.is_empty()) else { return Ok(()) };
        fail::fail_point!("pipeline::before-proofs", |_| std::process::abort());
        let failures = proving.store.add_evidence(&evidence, self.clock.now())?;
        fail::fail_point!("pipeline::after-proofs", |_| std::process::abort());
        self.tell(proving, failures)?;
        match evidence.iter().any(|piece| matches!(piece, Evidence::Digest(_))) {
            true => self.prove_late(),
            false => Ok(()),
        }
    }

    /// Proves digests of which more is known now than when they were read. To be called before the first item, too.
    pub(crate) fn prove_late(&self) -> Result<(), IngestError> {
        let Some(proving) = self.proving else { return Ok(()) };
        let failures = proving.prove_late()?;
        fail::fail_point!("pipeline::after-late-proofs", |_| std::process::abort());
        self.tell(proving, failures)
    }

    /// Records the alerts of what failed.
    fn tell(&self, proving: Proving<'_>, failures: Vec<Failure>) -> Result<(), IngestError> {
        let now = self.clock.now();
        let alerts: Vec<Alert> = failures.iter().map(|failure| failure.alert(now)).collect();
        self.record(&alerts, &mut Report::default())?;
        fail::fail_point!("pipeline::after-proof-alerts", |_| std::process::abort());
        if !failures.is_empty() {
            proving.store.failures_told(&failures)?;
        }
        lock(&self.failed).extend(failures.into_iter().map(|failure| failure.key));
        Ok(())
    }

    fn handing_over(&self) -> RwLockReadGuard<'_, ()> {
        self.hand_over.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self, pending: &Mutex<Vec<Alert>>, alerts: Vec<Alert>) -> Result<(), IngestError> {
        let full = {
            let mut pending = lock(pending);
            pending.extend(alerts);
            if pending.len() < PENDING_ALERTS { Vec::new() } else { std::mem::take(&mut *pending) }
        };
        // Alerts of other items are among them: they count for the run, not for this item.
        let mut counts = Report::default();
        self.record(&full, &mut counts)
    }

    fn record(&self, alerts: &[Alert], tally: &mut Report) -> Result<(), IngestError> {
        if alerts.is_empty() {
            return Ok(());
        }
        let recorded = self.ledger.record_alerts(alerts, self.routes)?;
        tally.alerts.add(alerts.len(), &recorded);
        self.report().alerts.add(alerts.len(), &recorded);
        Ok(())
    }

    fn keep(&self, variants: &[Variant]) -> Result<(), IngestError> {
        for Variant { event_id, record, source_object } in variants {
            self.aside.variant(&VariantCopy { event_id, source_object, record })?;
        }
        Ok(())
    }
}

/// A panic in another thread ends the run anyway; it does not make what a mutex holds wrong.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

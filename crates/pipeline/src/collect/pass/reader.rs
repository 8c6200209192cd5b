//! One stream's part in a pass.

use std::sync::atomic::Ordering;
use std::time::Duration;

use event::decode::{self, Batch, Rejected};
use event::{Event, Timestamp};

use super::calls::Called;
use super::{Collect, Options, Shared};
use crate::alert::Occasion;
use crate::collect::port::{LookupError, LookupEvent, LookupPage, LookupRequest};
use crate::collect::report::StreamReport;
use crate::collect::state::{Health, StreamChange, StreamState, Trouble, TroubleKind};
use crate::collect::walk::{Step, Walk};
use crate::coverage::Coverage;
use crate::ingest::IngestError;
use crate::intake::lock;
use crate::report::Report;

pub(super) struct Reader<'r> {
    collect: &'r Collect<'r>,
    shared: &'r Shared<'r>,
    state: StreamState,
    since: Timestamp,
    covered: Coverage,
    report: StreamReport,
    chance: fastrand::Rng,
    /// How long a call is tried again.
    patience: Duration,
}

/// How a walk came to a rest.
enum Rest {
    Done,
    /// It goes on in the next pass.
    Left,
    /// The clock was wrong: what to ask for has to be thought over.
    Replan,
    Failed(LookupError),
}

impl<'r> Reader<'r> {
    pub(super) fn new(collect: &'r Collect<'r>, shared: &'r Shared<'r>, state: StreamState) -> Reader<'r> {
        let Options { patience, less_patience, .. } = *collect.options;
        let was_away = state.health.trouble.as_ref().is_some_and(|trouble| trouble.kind == TroubleKind::Unavailable);
        let mut reader = Reader {
            collect,
            shared,
            since: Timestamp::MIN,
            covered: Coverage::default(),
            report: StreamReport::new(state.stream.clone()),
            patience: if was_away { patience.min(less_patience) } else { patience },
            chance: fastrand::Rng::with_seed(collect.options.seed ^ hash(&state.stream.to_string())),
            state,
        };
        reader.since = reader.state.since.unwrap_or_else(|| reader.now());
        reader
    }

    /// Reads what there is to read. Returns the trouble that the other streams of the region would meet, too.
    pub(super) fn read(&mut self) -> Result<Option<Trouble>, IngestError> {
        if self.state.pause.is_some() {
            self.report.paused = true;
            return Ok(None);
        }
        let mut may_replan = true;
        'plan: loop {
            let walks = if self.shared.goes_on && !self.state.walks.is_empty() {
                self.state.walks.iter().rev().cloned().collect()
            } else {
                self.collect.options.rules.walks(&self.state, self.now())
            };
            let mut complete = true;
            for walk in walks {
                match self.walk(walk, may_replan)? {
                    Rest::Done => {}
                    Rest::Left => complete = false,
                    Rest::Replan => {
                        may_replan = false;
                        continue 'plan;
                    }
                    Rest::Failed(error) => return Ok(self.trouble(&error)),
                }
                if self.collect.is_halted(self.shared) {
                    return Ok(None);
                }
            }
            self.report.complete = complete;
            return Ok(None);
        }
    }

    /// Takes over what another stream of the region met.
    pub(super) fn bar(&mut self, trouble: &Trouble) {
        if self.state.pause.is_some() {
            self.report.paused = true;
        } else {
            self.meet(trouble.kind, trouble.message.clone());
        }
    }

    /// Writes down how it went.
    pub(super) fn finish(mut self) -> StreamReport {
        let StreamReport { calls, failed_calls, events, complete, paused, .. } = self.report;
        tracing::debug!(stream = %self.state.stream, calls, failed_calls, events, complete, paused, "a stream was read");
        if !self.report.paused {
            let now = self.collect.timer.now();
            self.state.health.last_run = Some(now);
            if self.report.complete {
                self.state.health.last_success = Some(now);
                if self.report.trouble.is_none() {
                    self.state.health.trouble = None;
                }
            }
            let change = self.change();
            lock(&self.shared.noted).insert(self.state.stream.clone(), change);
        }
        self.report
    }

    /// The time, corrected by what is known of the service's clock.
    fn now(&self) -> Timestamp {
        let Collect { timer, regions, options, .. } = self.collect;
        regions.corrected(&self.state.stream, options.rate, timer.monotonic(), timer.now())
    }

    fn walk(&mut self, mut walk: Walk, may_replan: bool) -> Result<Rest, IngestError> {
        let rules = self.collect.options.rules;
        let mut is_first = !walk.has_progress();
        let mut was_shortened = false;
        let calls = self.report.calls;
        loop {
            if self.collect.options.max_pages.is_some_and(|most| self.report.calls - calls >= most.max(1)) {
                return Ok(Rest::Left);
            }
            let (window, token) = walk.request();
            let request = LookupRequest { stream: &self.state.stream, window, token };
            let page = match self.collect.call(&request, self.patience, &mut self.chance, &mut self.report) {
                Called::Page(page) => {
                    self.patience = self.collect.options.patience;
                    page
                }
                Called::Stopped => return Ok(Rest::Left),
                Called::Failed(error) => {
                    let step = match &error {
                        LookupError::TokenExpired => {
                            let missed = walk.missed.clone();
                            let step = walk.token_lost();
                            if walk.missed != missed {
                                self.meet(TroubleKind::TooDense, too_dense(&walk));
                            }
                            step
                        }
                        LookupError::InvalidTimeRange(_) if !was_shortened => {
                            was_shortened = true;
                            walk.shorten(rules.history_begins(self.now()))
                        }
                        _ => Step::Stuck,
                    };
                    match step {
                        Step::More => self.remember(&walk),
                        Step::Done => return Ok(self.end(&walk)),
                        Step::Stuck => return Ok(Rest::Failed(error)),
                    }
                    continue;
                }
            };
            self.note_since(&page);
            if self.note_clock(&page) && is_first && may_replan {
                // What was asked for came from a wrong clock: its events are taken, and nothing is claimed.
                self.hand_over(&page)?;
                return Ok(Rest::Replan);
            }
            let step = walk.page(&page);
            let ended = match step {
                Step::Done => Some(self.end(&walk)),
                Step::More | Step::Stuck => {
                    self.remember(&walk);
                    None
                }
            };
            self.hand_over(&page)?;
            if let Some(rest) = ended {
                return Ok(rest);
            }
            match step {
                Step::More | Step::Done => {}
                Step::Stuck => {
                    self.forget(&walk);
                    return Ok(Rest::Failed(LookupError::Refused("its pages lead nowhere".to_owned())));
                }
            }
            is_first = false;
            if self.collect.is_halted(self.shared) {
                return Ok(Rest::Left);
            }
        }
    }

    /// Keeps the position of a walk among those that are open.
    fn remember(&mut self, walk: &Walk) {
        match self.state.walks.iter_mut().find(|known| known.window.to == walk.window.to && known.begun == walk.begun) {
            Some(known) => known.clone_from(walk),
            None => self.state.walks.push(walk.clone()),
        }
    }

    fn forget(&mut self, walk: &Walk) {
        self.state.walks.retain(|known| known.window.to != walk.window.to || known.begun != walk.begun);
    }

    /// Claims what a walk has read. Its last page is handed over by whoever calls this. Where it had to pass over something,
    /// the next pass tries again.
    fn end(&mut self, walk: &Walk) -> Rest {
        self.forget(walk);
        let rules = self.collect.options.rules;
        self.covered.union(&walk.claim(rules.settle, rules.history_begins(self.now())));
        self.state.coverage.union(&self.covered);
        if walk.missed.is_empty() { Rest::Done } else { Rest::Left }
    }

    /// Hands a page on: its position and what it claims are noted with it.
    fn hand_over(&mut self, page: &LookupPage) -> Result<(), IngestError> {
        let Collect { timer, options, progress, run, .. } = self.collect;
        let limits = options.limits;
        let now = timer.now();
        let corrected = self.now();
        let mut batch = Batch::default();
        for (place, LookupEvent { record, .. }) in page.events.iter().enumerate() {
            match decode::record_within(record, &limits) {
                Ok(event) => batch.events.push(event),
                Err(reason) => batch.rejected.push(rejected(place as u64 + 1, reason, record)),
            }
        }
        let newest = page.events.iter().filter_map(|event| event.time).max();
        self.report.newest = self.report.newest.max(newest);
        self.state.health.last_event = self.state.health.last_event.max(newest);
        self.state.health.calls += 1;

        let mut tally = Report { items: 1, empty: u64::from(page.events.is_empty()), ..Report::default() };
        tally.inflated = page.events.iter().map(|event| event.record.len() as u64).sum();
        let since = self.since;
        let occasion = |event: &Event<'_>| Occasion {
            now,
            arrival: options.rules.arrival(event.event_time, since, corrected),
            run: *run,
        };
        // It says how many events were new before this page; the next one says the rest.
        let change = self.change();
        let name = self.state.stream.object();
        let noted = &self.shared.noted;
        let stream = &self.state.stream;
        self.shared.intake.take(&name, batch, &occasion, &mut tally, || {
            lock(noted).insert(stream.clone(), change);
        })?;
        self.state.health.events += tally.stored;
        progress.items.fetch_add(1, Ordering::Relaxed);
        progress.inflated.fetch_add(tally.inflated, Ordering::Relaxed);
        progress.records.fetch_add(tally.read, Ordering::Relaxed);
        self.report.add(&tally);
        // The intake has counted the alerts already.
        tally.alerts = Default::default();
        self.shared.intake.report().add(&tally);
        self.collect.checkpoint_if_due(self.shared);
        Ok(())
    }

    /// When the stream was first asked for, by the service's clock: ours may have been wrong then, and what lies before it
    /// is told to nobody.
    fn note_since(&mut self, page: &LookupPage) {
        let Some(theirs) = page.at else { return };
        self.since = self.state.since.map_or(theirs, |since| since.min(theirs));
        self.state.since = Some(self.since);
    }

    fn note_clock(&self, page: &LookupPage) -> bool {
        let Collect { timer, regions, options, .. } = self.collect;
        page.at.is_some_and(|theirs| {
            regions.note_clock(&self.state.stream, options.rate, timer.monotonic(), timer.now(), theirs)
        })
    }

    fn change(&self) -> StreamChange {
        StreamChange {
            stream: self.state.stream.clone(),
            since: Some(self.since),
            covered: self.covered.clone(),
            walks: self.state.walks.iter().filter(|walk| walk.has_progress()).cloned().collect(),
            health: Health { last_run: Some(self.collect.timer.now()), ..self.state.health.clone() },
        }
    }

    /// Takes note of an error that ends the stream's part. Returns the trouble where it bars the whole region.
    fn trouble(&mut self, error: &LookupError) -> Option<Trouble> {
        let kind = TroubleKind::of(error);
        self.meet(kind, error.to_string());
        let bars_all = matches!(
            kind,
            TroubleKind::AccessDenied | TroubleKind::Credentials | TroubleKind::Throttled | TroubleKind::Unavailable
        );
        self.report.trouble.clone().filter(|_| bars_all)
    }

    fn meet(&mut self, kind: TroubleKind, message: String) {
        let last = self.collect.timer.now();
        let trouble = Trouble { kind, message, since: last, last }.continued(self.state.health.trouble.as_ref());
        self.state.health.trouble = Some(trouble.clone());
        self.report.trouble = Some(trouble);
    }
}

fn too_dense(walk: &Walk) -> String {
    let seconds: Vec<String> = walk.missed.intervals().iter().map(ToString::to_string).collect();
    format!("more events in a second than can be read before the page token expires: {}", seconds.join(", "))
}

fn rejected(number: u64, reason: String, text: &str) -> Rejected {
    let end = text.floor_char_boundary(text.len().min(Rejected::KEPT));
    Rejected { number, reason, text: text[..end].to_owned() }
}

/// A number of its own for every stream (FNV-1a), so that their waits differ.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

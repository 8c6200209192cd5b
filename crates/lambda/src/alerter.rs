//! `alerter`: what EventBridge delivers, judged and told within seconds.
//!
//! It takes an event as EventBridge gives it, or a batch of SQS messages, of which only those come again that are not done:
//! those whose alerts were not sent, and those that cannot be read, which end in the dead-letter queue. It stores no event:
//! the tracker does, and finds the same alerts recorded.
//!
//! Suppressions are read from the control table and kept for a while. Where they cannot be read, people are told all the same.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws::{Access, AlertTable, Aws, ControlTable};
use detect::Registry;
use event::Timestamp;
use event::decode::{Content, Decoder, Limits};
use local::SystemClock;
use pipeline::alert::{Alert, News, Occasion};
use pipeline::collect::Rules;
use pipeline::escape::single_line;
use pipeline::state::{Ledger, StateError};
use pipeline::store::Clock;
use pipeline::suppress::Suppressions;
use serde_json::{Value, json};

use crate::metrics;
use crate::runtime::{Failure, Function, Time};
use crate::settings::Settings;
use crate::topic::{InTime, Topic};
use crate::tracker::tables;

/// What a message may cost: EventBridge's largest has 256 KB.
const LIMITS: Limits = Limits { inflated: 4 << 20, record: 2 << 20, depth: 100 };
/// How long suppressions that were read are applied without being read again.
const KEPT: Duration = Duration::from_secs(60);
/// How long reading them may take: alerts wait for it.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most characters of a message that cannot be read that are logged.
const TEXT: usize = 2000;

/// The function, as it stays from one invocation to the next.
pub struct Alerter {
    stack: String,
    alerts: AlertTable,
    control: ControlTable,
    topic: Topic,
    registry: Registry,
    suppressions: Mutex<Kept>,
}

/// The suppressions, as they were read when.
#[derive(Default)]
struct Kept {
    suppressions: Arc<Suppressions>,
    read_at: Option<Timestamp>,
}

impl Kept {
    /// Whether they are still to be applied. Where the clock was set back they are not.
    fn is_fresh(&self, now: Timestamp) -> bool {
        let age = self.read_at.map(|at| now.micros().saturating_sub(at.micros()));
        age.is_some_and(|age| u128::try_from(age).is_ok_and(|age| age < KEPT.as_micros()))
    }
}

impl Alerter {
    /// Sets everything up by the environment.
    ///
    /// # Errors
    /// [`Failure`]: a variable says what it cannot mean, or there are no credentials.
    pub fn open(stop: &Arc<AtomicBool>) -> Result<Alerter, Failure> {
        let settings = Settings::read().map_err(|error| Failure::new("Configuration", error))?;
        let aws =
            Aws::open(&Access::default(), Some(Arc::clone(stop))).map_err(|error| Failure::new("Access", error))?;
        let tables = tables(&settings, &aws)?;
        Ok(Alerter {
            alerts: tables.alerts(settings.retention),
            control: tables.control(),
            topic: Topic::new(&aws, settings.topic.as_deref()),
            registry: Registry::new(&settings.detect).map_err(|error| Failure::new("Configuration", error))?,
            stack: settings.stack,
            suppressions: Mutex::default(),
        })
    }

    /// The suppressions in force; none where they cannot be read, which is said.
    fn suppressions(&self) -> Result<Arc<Suppressions>, StateError> {
        let mut kept = self.suppressions.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemClock.now();
        if !kept.is_fresh(now) {
            // Those of before do not outlive their time where others cannot be read.
            *kept = Kept::default();
            let read = self.control.suppressions_within(PATIENCE)?;
            *kept = Kept { suppressions: Arc::new(Suppressions::new(read)), read_at: Some(now) };
        }
        Ok(Arc::clone(&kept.suppressions))
    }

    /// What the detections say of a message's events.
    fn judge(&self, text: &str, suppressions: &Suppressions) -> Result<Vec<Alert>, String> {
        let now = SystemClock.now();
        let news = News { since: Timestamp::MIN, late: Rules::default().late };
        let (mut alerts, mut wrong) = (Vec::new(), None);
        let summary = Decoder::new(LIMITS).decode(Content::Bytes(text.as_bytes()), &mut |batch| {
            for event in &batch.events {
                let occasion = Occasion { now, arrival: news.arrival(event.event_time, now), run: None };
                self.registry.check(event, &mut |finding| {
                    let mut alert = Alert::new(event, finding, occasion);
                    suppressions.apply(&mut alert);
                    alerts.push(alert);
                });
            }
            wrong = wrong.take().or_else(|| batch.rejected.first().map(|rejected| rejected.reason.clone()));
            ControlFlow::Continue(())
        });
        let records = summary.records();
        match wrong.or(summary.damage) {
            Some(reason) => Err(reason),
            None if records == 0 => Err("it holds no CloudTrail record".to_owned()),
            None => Ok(alerts),
        }
    }

    /// Records and sends what messages hold. Returns which of them are to come again.
    fn take(&self, messages: &[(String, String)], silence: Instant) -> Result<BTreeSet<String>, Failure> {
        let state = |error: StateError| Failure::new("State", error);
        let suppressions = self.suppressions();
        if let Err(error) = &suppressions {
            tracing::error!(%error, "suppressions cannot be read: none is applied");
        }
        let errors = usize::from(suppressions.is_err());
        let suppressions = suppressions.unwrap_or_default();
        let (mut again, mut found) = (BTreeSet::new(), Vec::new());
        for (id, body) in messages {
            match self.judge(body, &suppressions) {
                Ok(alerts) => found.push((id, alerts)),
                Err(reason) => {
                    let text = single_line(body, TEXT);
                    tracing::error!(id, reason, %text, "a message cannot be read");
                    again.insert(id.clone());
                }
            }
        }
        let unread = again.len();
        let errors = errors + unread;
        let outbox = InTime::new(&self.alerts, silence);
        let (mut recorded, mut suppressed) = (0, 0);
        found.retain(|(id, alerts)| match outbox.record_alerts(alerts, &self.topic.routes) {
            Ok(new) => {
                recorded += new.new.len();
                suppressed += new.suppressed;
                true
            }
            // The others are sent all the same.
            Err(error) => {
                tracing::error!(id, %error, "alerts cannot be recorded");
                again.insert((*id).clone());
                false
            }
        });
        let sent = self.topic.send(&outbox).map_err(state)?;
        for (id, alerts) in found {
            for alert in &alerts {
                if outbox.is_pending(alert).map_err(state)? {
                    again.insert(id.clone());
                }
            }
        }
        if let Some(problem) = sent.problems.first() {
            tracing::error!(problem, retried = sent.retried, failed = sent.failed, "alerts were not delivered");
        }
        tracing::info!(
            messages = messages.len(),
            unread,
            recorded,
            suppressed,
            sent = sent.sent,
            again = again.len(),
            "done"
        );
        let failed = (sent.retried + sent.failed) as f64;
        metrics::put(
            &self.stack,
            SystemClock.now(),
            &[
                ("AlertsSent", "Count", sent.sent as f64),
                ("AlertsFailed", "Count", failed),
                ("Errors", "Count", errors as f64),
            ],
        );
        Ok(again)
    }
}

impl Function for Alerter {
    fn invoke(&self, event: Value, time: &Time) -> Result<Value, Failure> {
        let Some(messages) = messages(&event) else {
            let id = event["id"].as_str().unwrap_or("event").to_owned();
            return match self.take(&[(id, event.to_string())], time.silence)?.len() {
                0 => Ok(json!({"statusCode": 200})),
                // EventBridge tries again, and then gives it to the dead-letter queue.
                _ => Err(Failure::new(
                    "NotDone",
                    "the event could not be read, or its alerts not be sent: the log says why",
                )),
            };
        };
        let again = self.take(&messages, time.silence)?;
        let again: Vec<Value> = again.iter().map(|id| json!({"itemIdentifier": id})).collect();
        Ok(json!({"batchItemFailures": again}))
    }
}

/// The messages of a batch of SQS, by their ids; none where the event is another.
fn messages(event: &Value) -> Option<Vec<(String, String)>> {
    let records = event.get("Records")?.as_array()?;
    let text = |record: &Value, name: &str| record[name].as_str().map(str::to_owned);
    records
        .iter()
        .map(|record| {
            record["eventSource"].as_str().filter(|source| *source == "aws:sqs")?;
            Some((text(record, "messageId")?, text(record, "body")?))
        })
        .collect()
}

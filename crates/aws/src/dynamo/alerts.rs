//! The alerts, and which of them were sent: keyed by the event and `SEVERITY#detection-id`, so that two alerts of one event
//! never collide.
//!
//! An alert's row in the outbox stands in its item: `pending` names the channel until it was sent, and is what the sparse
//! index `pending-index` is entered by, with `due` as its range. A deployment has one channel, its topic.
//!
//! A row without `alert` is an earlier program's, which wrote it when it had told people: shown as far as it says, and
//! never sent.
//!
//! Who silences an alert or sees to it takes it out of the outbox with the same step: see [`triage`](super::triage).
//!
//! **Invariant:** whoever claims a row moves `due` under the condition that it is what it was, so that of two only one
//! sends. An index is a little behind its table, so a row that was just recorded here is claimed by its key.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use detect::Severity;
use event::{EventKey, Timestamp};
use pipeline::alert::{Acknowledgement, Alert, AlertId, Arrival};
use pipeline::outbox::{Delivery, Notification, Outbox, Outcome, Routes};
use pipeline::service::CallError;
use pipeline::state::{Ledger, Recorded, StateError};
use pipeline::suppress::SuppressionId;

use super::item::{Attributes, Item, long_text, number, text};
use super::{Tables, expiry, storage};
use crate::error::classify;

/// The least time that alerts are kept.
const LEAST: Duration = Duration::from_secs(100 * 24 * 3600);
/// The longest text that is a partition key here.
const KEY: usize = 1024;
/// The longest reason of a failure that is kept, in characters.
const REASON: usize = 300;
/// The most bytes of an alert's item: 400 KB, and room for the rest of it.
const ITEM: usize = 350 << 10;

/// The table of alerts.
#[derive(Debug)]
pub struct AlertTable {
    tables: Tables,
    retention: Option<Duration>,
    known: Mutex<Known>,
}

/// What this process knows of rows without asking.
#[derive(Debug, Default)]
struct Known {
    /// Where the alerts stand that were claimed here, and neither settled nor put off since.
    claimed: BTreeMap<AlertId, Item>,
    /// Where those stand that were recorded here, or met here as not sent yet, and not been claimed since: the most serious
    /// first.
    fresh: BTreeMap<(Reverse<Severity>, AlertId), Item>,
}

impl AlertTable {
    pub(super) fn new(tables: Tables, retention: Option<Duration>) -> AlertTable {
        AlertTable { tables, retention: retention.map(|retention| retention.max(LEAST)), known: Mutex::default() }
    }

    fn table(&self) -> &str {
        &self.tables.names.alerts
    }

    pub(super) fn failed(&self, error: CallError) -> StateError {
        storage(self.table(), error)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn item(&self, alert: &Alert, channel: Option<&str>) -> Item {
        let mut item = key(alert);
        let mut set = |name: &str, value| _ = item.insert(name.to_owned(), value);
        set("alert_id", text(alert.id.as_str()));
        set("title", text(&alert.title));
        set("event_time", text(alert.event_time.to_string()));
        set("first_seen", text(alert.first_seen.to_string()));
        set("arrival", text(alert.arrival.as_str()));
        if let Some(by) = &alert.suppressed_by {
            set("suppressed_by", text(by.as_str()));
        }
        set("alert", whole(alert));
        if let Some(retention) = self.retention {
            // An old event's alert is as new as any.
            set("ttl", number(expiry(alert.event_time.max(alert.first_seen), retention)));
        }
        if let Some(channel) = channel {
            set("pending", text(channel));
            set("due", number(alert.first_seen.micros()));
            set("attempts", number(0));
        }
        item
    }

    /// Records one alert. Returns whether it is new.
    fn record(&self, alert: &Alert, channel: Option<&str>) -> Result<bool, CallError> {
        let put = self
            .tables
            .client
            .put_item()
            .table_name(self.table())
            .set_item(Some(self.item(alert, channel)))
            .condition_expression("attribute_not_exists(event_id)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let outcome = self.tables.edge.run(async {
            match put.send().await {
                Ok(_) => Ok(None),
                Err(error) => match error.as_service_error() {
                    Some(PutItemError::ConditionalCheckFailedException(old)) => Ok(Some(old.item.clone())),
                    _ => Err(classify("dynamodb:PutItem", &error)),
                },
            }
        })?;
        let Some(old) = outcome else {
            if channel.is_some() {
                self.note(alert);
            }
            return Ok(true);
        };
        // It is there: from before, or from a try of this very call whose answer was lost.
        let old = old.unwrap_or_default();
        let is_pending = old.contains_key("pending");
        let is_told = is_pending || old.contains_key("delivery") || !old.contains_key("alert");
        let is_silenced = old.contains_key("suppressed_by") || old.contains_key("acknowledged_at");
        match channel {
            // A backfill came first, and now it is news.
            Some(channel) if !is_told && !is_silenced => self.enqueue(alert, channel)?,
            Some(_) if is_pending => self.note(alert),
            _ => {}
        }
        Ok(false)
    }

    /// Gives an alert that stands there and was sent to nobody to a channel.
    fn enqueue(&self, alert: &Alert, channel: &str) -> Result<(), CallError> {
        let update = self
            .update(key(alert))
            .condition_expression(
                "attribute_not_exists(pending) AND attribute_not_exists(delivery) AND attribute_not_exists(suppressed_by) AND attribute_not_exists(acknowledged_at)",
            )
            .update_expression("SET pending = :channel, due = :due, attempts = :none, arrival = :arrival")
            .expression_attribute_values(":channel", text(channel))
            .expression_attribute_values(":due", number(alert.first_seen.micros()))
            .expression_attribute_values(":none", number(0))
            .expression_attribute_values(":arrival", text(alert.arrival.as_str()));
        // Where it did not hold, somebody else did the same.
        let _ = self.conditional(update.send())?;
        self.note(alert);
        Ok(())
    }

    /// An update of one row, to be said.
    pub(super) fn update(&self, key: Item) -> UpdateItemFluentBuilder {
        self.tables.client.update_item().table_name(self.table()).set_key(Some(key))
    }

    fn note(&self, alert: &Alert) {
        self.known().fresh.insert((Reverse(alert.severity), alert.id.clone()), key(alert));
    }

    /// What stands there after an update; what stands there instead, if that was asked for, where its condition did not hold.
    pub(super) fn conditional(
        &self,
        update: impl Future<
            Output = Result<
                aws_sdk_dynamodb::operation::update_item::UpdateItemOutput,
                aws_smithy_runtime_api::client::result::SdkError<
                    UpdateItemError,
                    aws_smithy_runtime_api::client::orchestrator::HttpResponse,
                >,
            >,
        >,
    ) -> Result<Result<Item, Item>, CallError> {
        self.tables.edge.run(async {
            match update.await {
                Ok(done) => Ok(Ok(done.attributes.unwrap_or_default())),
                Err(error) => match error.as_service_error() {
                    Some(UpdateItemError::ConditionalCheckFailedException(old)) => {
                        Ok(Err(old.item.clone().unwrap_or_default()))
                    }
                    _ => Err(classify("dynamodb:UpdateItem", &error)),
                },
            }
        })
    }

    /// Claims at most `limit` rows that are due: first those that the index need not know of yet.
    fn claim_into(
        &self,
        claimed: &mut Vec<Notification>,
        channel: &str,
        (now, lease): (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<(), CallError> {
        while claimed.len() < limit {
            let Some(key) = self.next_fresh() else { break };
            claimed.extend(self.claim_one(key, channel, now, lease)?);
        }
        if claimed.len() < limit {
            for key in self.due(channel, now, limit - claimed.len())? {
                claimed.extend(self.claim_one(key, channel, now, lease)?);
            }
        }
        Ok(())
    }

    fn next_fresh(&self) -> Option<Item> {
        self.known().fresh.pop_first().map(|(_, key)| key)
    }

    /// Claims one row if it is due and still there.
    fn claim_one(
        &self,
        key: Item,
        channel: &str,
        now: Timestamp,
        lease: Timestamp,
    ) -> Result<Option<Notification>, CallError> {
        // Of this row and this call: a row that the index still shows as due when it was claimed is not claimed again.
        let claim = format!("{:016x}", fastrand::u64(..));
        let update = self
            .update(key.clone())
            .condition_expression("pending = :channel AND due <= :now AND attribute_not_exists(acknowledged_at)")
            .update_expression("SET due = :lease, claimed_by = :claim")
            .expression_attribute_values(":channel", text(channel))
            .expression_attribute_values(":now", number(now.micros()))
            .expression_attribute_values(":lease", number(lease.micros()))
            .expression_attribute_values(":claim", text(&claim))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let item = match self.conditional(update.send())? {
            Ok(item) => item,
            // By a try of this very call whose answer was lost.
            Err(old) if old.text("claimed_by") == Some(&claim) => old,
            Err(_) => return Ok(None),
        };
        if !item.contains_key("alert") {
            self.pass_over(key, channel)?;
            return Ok(None);
        }
        let alert = read(&item);
        let attempts = item.number("attempts").and_then(|attempts| u32::try_from(attempts).ok()).unwrap_or(0);
        self.known().claimed.insert(alert.id.clone(), key);
        Ok(Some(Notification { alert, channel: channel.to_owned(), attempts }))
    }

    /// Takes a row out of the outbox that is an earlier program's: it was told of then.
    fn pass_over(&self, key: Item, channel: &str) -> Result<(), CallError> {
        let update = self
            .update(key)
            .condition_expression("pending = :channel AND attribute_not_exists(alert)")
            .update_expression("SET delivery = :delivery REMOVE pending, due, claimed_by")
            .expression_attribute_values(":channel", text(channel))
            .expression_attribute_values(":delivery", text(Delivery::Sent.as_str()));
        self.conditional(update.send()).map(drop)
    }

    /// The keys of rows that are due, as the index knows them, the longest due first.
    fn due(&self, channel: &str, now: Timestamp, limit: usize) -> Result<Vec<Item>, CallError> {
        let call = self
            .tables
            .client
            .query()
            .table_name(self.table())
            .index_name("pending-index")
            .key_condition_expression("pending = :channel AND due <= :now")
            .expression_attribute_values(":channel", text(channel))
            .expression_attribute_values(":now", number(now.micros()))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let page = self.tables.call("dynamodb:Query", call.send())?;
        let keys = page.items.unwrap_or_default().into_iter().map(|mut item| {
            item.retain(|name, _| name == "event_id" || name == "alert_type");
            item
        });
        Ok(keys.collect())
    }

    /// Where an alert stands; none where it is not there, or was given to no channel.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn delivery(&self, alert: &Alert) -> Result<Option<Delivery>, StateError> {
        let call = self.tables.client.get_item().table_name(self.table()).set_key(Some(key(alert)));
        let call = call.consistent_read(true).projection_expression("pending, delivery");
        let item = self.tables.call("dynamodb:GetItem", call.send()).map_err(|error| self.failed(error))?.item;
        Ok(item.and_then(|item| delivery(&item)))
    }

    /// Where the alerts of an event stand, by detection.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn deliveries(&self, event: &str) -> Result<Vec<(String, Option<Delivery>)>, StateError> {
        let call = self
            .tables
            .client
            .query()
            .table_name(self.table())
            .key_condition_expression("event_id = :event")
            .expression_attribute_values(":event", text(event))
            .projection_expression("alert_type, pending, delivery")
            .consistent_read(true);
        let page = self.tables.call("dynamodb:Query", call.send()).map_err(|error| self.failed(error))?;
        let found = page.items.unwrap_or_default().into_iter().map(|item| {
            let detection = item.text("alert_type").and_then(|kind| kind.split_once('#')).map_or("", |(_, name)| name);
            (detection.to_owned(), delivery(&item))
        });
        Ok(found.collect())
    }

    /// Hands on every alert, a page at a time, in no order.
    ///
    /// # Errors
    /// [`StateError`], or what `take` says.
    pub fn each<E: From<StateError>>(&self, take: &mut dyn FnMut(Alert) -> Result<(), E>) -> Result<(), E> {
        let mut start = None;
        loop {
            let call = self.tables.client.scan().table_name(self.table()).set_exclusive_start_key(start);
            let page = self.tables.call("dynamodb:Scan", call.send()).map_err(|error| self.failed(error))?;
            for item in page.items.unwrap_or_default() {
                take(read(&item))?;
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(());
            }
        }
    }

    fn key_of(&self, alert: &AlertId) -> Option<Item> {
        self.known().claimed.get(alert).cloned()
    }
}

impl Ledger for AlertTable {
    fn record_alerts(&self, alerts: &[Alert], routes: &Routes) -> Result<Recorded, StateError> {
        let mut recorded = Recorded::default();
        for (place, alert) in alerts.iter().enumerate() {
            let channel = routes.channels_for(alert).next();
            if self.record(alert, channel).map_err(|error| self.failed(error))? {
                recorded.note(place, alert);
            }
        }
        Ok(recorded)
    }
}

impl Outbox for AlertTable {
    fn claim(
        &self,
        channel: &str,
        now: Timestamp,
        lease: Timestamp,
        limit: usize,
    ) -> Result<Vec<Notification>, StateError> {
        let mut claimed = Vec::new();
        let ended = self.claim_into(&mut claimed, channel, (now, lease), limit);
        // What was claimed is sent, whatever became of the rest: it is asked for again.
        if claimed.is_empty() {
            ended.map_err(|error| self.failed(error))?;
        }
        claimed.sort_by_key(|notification| (Reverse(notification.alert.severity), notification.alert.first_seen));
        Ok(claimed)
    }

    fn settle(&self, channel: &str, outcomes: &[(AlertId, Outcome)]) -> Result<(), StateError> {
        for (alert, outcome) in outcomes {
            // Whoever settles has claimed; what is settled twice was settled.
            let Some(key) = self.key_of(alert) else { continue };
            let update = self
                .update(key)
                .condition_expression("pending = :channel")
                .expression_attribute_values(":channel", text(channel))
                .expression_attribute_values(":one", number(1));
            let reason = |error: &str| text(error.chars().take(REASON).collect::<String>());
            let update = match outcome {
                Outcome::Sent { at, receipt } => {
                    let (named, update) = match receipt {
                        Some(id) => (", message_id = :id", update.expression_attribute_values(":id", text(id))),
                        None => ("", update),
                    };
                    update
                        .update_expression(format!(
                            "SET delivery = :delivery, sent_at = :at{named} ADD attempts :one REMOVE pending, due, claimed_by, last_error"
                        ))
                        .expression_attribute_values(":delivery", text(Delivery::Sent.as_str()))
                        .expression_attribute_values(":at", text(at.to_string()))
                }
                Outcome::Failed { at, error } => update
                    .update_expression(
                        "SET delivery = :delivery, failed_at = :at, last_error = :error ADD attempts :one REMOVE pending, due, claimed_by",
                    )
                    .expression_attribute_values(":delivery", text(Delivery::Failed.as_str()))
                    .expression_attribute_values(":at", text(at.to_string()))
                    .expression_attribute_values(":error", reason(error)),
                Outcome::Retry { after, error } => update
                    .update_expression("SET due = :due, last_error = :error ADD attempts :one")
                    .expression_attribute_values(":due", number(after.micros()))
                    .expression_attribute_values(":error", reason(error)),
            };
            let _ = self.conditional(update.send()).map_err(|error| self.failed(error))?;
            self.known().claimed.remove(alert);
        }
        Ok(())
    }

    fn hold(&self, channel: &str, alerts: &[AlertId], until: Timestamp) -> Result<(), StateError> {
        for alert in alerts {
            let Some(key) = self.key_of(alert) else { continue };
            let update = self
                .update(key)
                .condition_expression("pending = :channel")
                .update_expression("SET due = :due")
                .expression_attribute_values(":channel", text(channel))
                .expression_attribute_values(":due", number(until.micros()));
            let _ = self.conditional(update.send()).map_err(|error| self.failed(error))?;
            self.known().claimed.remove(alert);
        }
        Ok(())
    }
}

/// Where a row of the outbox stands; none where the alert was given to no channel.
fn delivery(item: &Item) -> Option<Delivery> {
    match item.text("delivery") {
        Some(name) => Delivery::ALL.into_iter().find(|delivery| delivery.as_str() == name),
        None => item.contains_key("pending").then_some(Delivery::Pending),
    }
}

/// The alert of a row; of one that has none, or none that can be read, what the row says beside.
fn read(item: &Item) -> Alert {
    let alert = item.long("alert").and_then(|text| Alert::from_json(&text)).unwrap_or_else(|| reduced(item));
    let arrival = item.text("arrival").and_then(|name| Arrival::ALL.into_iter().find(|at| at.as_str() == name));
    // What was done with it since it was recorded stands beside it.
    let suppressed_by = item.text("suppressed_by").map(|by| SuppressionId::from_stored(by.to_owned()));
    let said = |name: &str| item.text(name).unwrap_or_default().to_owned();
    let acknowledged = item.time("acknowledged_at").map(|at| Acknowledgement {
        at,
        by: said("acknowledged_by"),
        note: said("acknowledged_note"),
    });
    Alert { arrival: arrival.unwrap_or(alert.arrival), suppressed_by, acknowledged, ..alert }
}

/// An alert as far as the attributes say it that this program or the classic tracker gave its row. The tracker's
/// `alert_type` is a severity alone: `CRITICAL`, `HIGH` or `WARNING`.
fn reduced(item: &Item) -> Alert {
    let text = |names: &[&str]| names.iter().find_map(|name| item.text(name)).unwrap_or_default().to_owned();
    let event_id = text(&["event_id"]);
    let kind = text(&["alert_type"]);
    let (level, detection) = kind.split_once('#').unwrap_or((&kind, ""));
    let told_as = if detection.is_empty() { level } else { detection };
    let id = item.text("alert_id").map(|id| AlertId::from_stored(id.to_owned()));
    let title = text(&["title", "alert_title"]);
    let sent = item.time("sent_at").or_else(|| item.time("sent_timestamp"));
    let event_time = item.time("event_time").or(sent).unwrap_or(Timestamp::MIN);
    Alert {
        id: id.unwrap_or_else(|| AlertId::of(&event_id, told_as)),
        event_id,
        detection: detection.to_owned(),
        // Between `HIGH` and nothing there was `WARNING`.
        severity: Severity::ALL.into_iter().find(|known| severity(*known) == level).unwrap_or(Severity::Medium),
        summary: title.clone(),
        title,
        action_required: String::new(),
        techniques: Vec::new(),
        attempted: false,
        event_time,
        event_name: None,
        event_source: None,
        account: None,
        region: None,
        user: None,
        session: None,
        actor_arn: None,
        role_arn: None,
        source_ip: None,
        user_agent: None,
        arrival: Arrival::Backfill,
        first_seen: item.time("first_seen").unwrap_or(event_time),
        run: None,
        suppressed_by: None,
        acknowledged: None,
        record: "{}".to_owned(),
    }
}

/// The alert, whole; without its record where an item could not hold that, which stands with its event.
fn whole(alert: &Alert) -> aws_sdk_dynamodb::types::AttributeValue {
    let json = |alert: &Alert| serde_json::to_string(alert).unwrap_or_default();
    let kept = long_text(&json(alert));
    if super::item::stored_bytes(&kept) <= ITEM {
        return kept;
    }
    long_text(&json(&Alert { record: "{}".to_owned(), ..alert.clone() }))
}

/// The key of an alert.
pub(super) fn key(alert: &Alert) -> Item {
    let event = match alert.event_id.as_str() {
        id if !id.is_empty() && id.len() <= KEY => id.to_owned(),
        id => format!("#{:032x}", EventKey::of(id).bits()),
    };
    let kind = match (alert.detection.as_str(), alert.severity) {
        // The classic tracker's, as `reduced` reads them.
        ("", Severity::Medium) => "WARNING".to_owned(),
        ("", level) => severity(level),
        (detection, level) => format!("{}#{detection}", severity(level)),
    };
    Item::from([("event_id".to_owned(), text(event)), ("alert_type".to_owned(), text(kind))])
}

fn severity(severity: Severity) -> String {
    severity.as_str().to_ascii_uppercase()
}

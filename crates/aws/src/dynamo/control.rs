//! How far each stream has come: one item a stream, keyed `us-east-1-iam`, with `ACCOUNT/` before it for other accounts.
//!
//! An item is read, added to and written under the condition that it is still the one that was read, so that two that
//! collect at once lose nothing of each other. Each stream is written for itself: what is said of one holds without the
//! others.

use std::time::Duration;

use aws_sdk_dynamodb::operation::get_item::builders::GetItemFluentBuilder;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use event::Timestamp;
use pipeline::collect::{
    Health, Pause, Scope, Stream, StreamChange, StreamState, StreamStore, Trouble, TroubleKind, Walk,
};
use pipeline::coverage::{Coverage, Interval};
use pipeline::service::CallError;
use pipeline::state::StateError;
use serde_json::{Value, json};

use super::item::{Attributes, Item, long_text, number, text};
use super::{Tables, damaged, storage};
use crate::error::classify;

/// What the sources of the identity events end with.
const SUFFIX: &str = ".amazonaws.com";
/// Keys that are no stream's begin with it.
const OURS: char = '#';
const SCOPE: &str = "#scope";
/// How often an item is read again that somebody else wrote meanwhile.
const TRIES: usize = 20;

/// The table of streams.
#[derive(Debug)]
pub struct ControlTable {
    tables: Tables,
}

impl ControlTable {
    pub(super) fn new(tables: Tables) -> ControlTable {
        ControlTable { tables }
    }

    pub(super) fn table(&self) -> &str {
        &self.tables.names.control
    }

    fn failed(&self, error: CallError) -> StateError {
        storage(self.table(), error)
    }

    /// The key of a stream's item.
    fn key(&self, stream: &Stream) -> String {
        let name = format!("{}-{}", stream.region, stream.source.strip_suffix(SUFFIX).unwrap_or(&stream.source));
        if stream.account == self.tables.account { name } else { format!("{}/{name}", stream.account) }
    }

    /// The stream that an item is of.
    fn stream(&self, item: &Item) -> Option<Stream> {
        if let Some(stream) = item.text("stream") {
            return stream.parse().ok();
        }
        // An earlier program wrote no more than the key, and so does a person who pauses a stream by hand.
        let key = item.text("region")?;
        let (account, name) = key.split_once('/').unwrap_or((&self.tables.account, key));
        let (region, source) = region_and_source(name)?;
        format!("{account}/{region}/{source}{SUFFIX}").parse().ok()
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<Item>, StateError> {
        let answer = self.tables.call("dynamodb:GetItem", self.ask_for(key).send());
        Ok(answer.map_err(|error| self.failed(error))?.item)
    }

    /// The same, given up after so long.
    pub(super) fn get_within(&self, key: &str, limit: Duration) -> Result<Option<Item>, StateError> {
        let call = async { tokio::time::timeout(limit, self.ask_for(key).send()).await };
        let answer = match self.tables.edge.run(call) {
            Ok(answer) => answer.map_err(|error| classify("dynamodb:GetItem", &error)),
            Err(_) => Err(CallError::Unavailable(format!("no answer within {} ms", limit.as_millis()))),
        };
        Ok(answer.map_err(|error| self.failed(error))?.item)
    }

    fn ask_for(&self, key: &str) -> GetItemFluentBuilder {
        self.tables.client.get_item().table_name(self.table()).key("region", text(key)).consistent_read(true)
    }

    /// Changes an item. What `change` makes of it is written if nobody wrote to it meanwhile; else it is asked again. It
    /// may say that there is nothing to change.
    pub(super) fn change(
        &self,
        key: &str,
        change: &mut dyn FnMut(&mut Item) -> Result<bool, StateError>,
    ) -> Result<bool, StateError> {
        for _ in 0..TRIES {
            let old = self.get(key)?;
            let revision = old.as_ref().and_then(|item| item.number("revision"));
            let mut item = old.clone().unwrap_or_default();
            if !change(&mut item)? {
                return Ok(false);
            }
            item.insert("region".to_owned(), text(key));
            item.insert("revision".to_owned(), number(revision.unwrap_or(0) + 1));
            let put = self.tables.client.put_item().table_name(self.table()).set_item(Some(item));
            let put = match (&old, revision) {
                (None, _) => {
                    put.condition_expression("attribute_not_exists(#key)").expression_attribute_names("#key", "region")
                }
                (Some(_), None) => put.condition_expression("attribute_not_exists(revision)"),
                (Some(_), Some(revision)) => {
                    put.condition_expression("revision = :old").expression_attribute_values(":old", number(revision))
                }
            };
            if self.put(put)? {
                return Ok(true);
            }
        }
        Err(StateError::Busy { path: format!("dynamodb://{}/{key}", self.table()) })
    }

    /// Whether the item was still the one that was read.
    fn put(&self, put: PutItemFluentBuilder) -> Result<bool, StateError> {
        let call = async {
            match put.send().await {
                Ok(_) => Ok(true),
                Err(error) => match error.as_service_error() {
                    Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(false),
                    _ => Err(classify("dynamodb:PutItem", &error)),
                },
            }
        };
        self.tables.edge.run(call).map_err(|error| self.failed(error))
    }

    fn state(&self, stream: Stream, item: &Item) -> Result<StreamState, StateError> {
        let wrong = |what: &str| damaged(self.table(), format!("{what} of {stream}"));
        let coverage = match item.long("coverage") {
            None => Coverage::default(),
            Some(text) => coverage(&text).ok_or_else(|| wrong("the coverage"))?,
        };
        let walks = match item.long("walks") {
            None => Vec::new(),
            Some(text) => walks(&text).ok_or_else(|| wrong("the walks"))?,
        };
        let health = Health {
            last_run: item.time("last_execution_time"),
            last_success: item.time("last_success_time"),
            last_event: item.time("last_event_time"),
            events: item.number("events_processed_count").map_or(0, i64::unsigned_abs),
            calls: item.number("calls").map_or(0, i64::unsigned_abs),
            trouble: trouble(item),
        };
        let pause = (item.text("processing_status") == Some("paused")).then(|| Pause {
            // Whoever pauses by hand writes the status alone.
            at: item.time("paused_at").or(health.last_run).unwrap_or(Timestamp::MIN),
            by: item.text("paused_by").unwrap_or("somebody").to_owned(),
            reason: item.text("paused_reason").unwrap_or_default().to_owned(),
        });
        Ok(StreamState { since: item.time("since"), coverage, walks, health, pause, stream })
    }
}

impl StreamStore for ControlTable {
    fn streams(&self) -> Result<Vec<StreamState>, StateError> {
        let (mut found, mut start) = (Vec::new(), None);
        loop {
            let call = self.tables.client.scan().table_name(self.table()).consistent_read(true);
            let page = self.tables.call("dynamodb:Scan", call.set_exclusive_start_key(start).send());
            let page = page.map_err(|error| self.failed(error))?;
            for item in page.items.unwrap_or_default() {
                let is_ours = item.text("region").is_some_and(|key| key.starts_with(OURS));
                if let Some(stream) = self.stream(&item).filter(|_| !is_ours) {
                    found.push(self.state(stream, &item)?);
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        found.sort_by_cached_key(|state| state.stream.to_string());
        Ok(found)
    }

    fn save_streams(&self, changes: &[StreamChange]) -> Result<(), StateError> {
        for change in changes {
            let StreamChange { stream, since, covered, walks, health } = change;
            self.change(&self.key(stream), &mut |item| {
                let state = self.state(stream.clone(), item)?;
                let mut coverage = state.coverage;
                coverage.union(covered);
                let mut set = |name: &str, value| _ = item.insert(name.to_owned(), value);
                set("stream", text(stream.to_string()));
                set("coverage", long_text(&coverage_text(&coverage)));
                set("walks", long_text(&json!(walks.iter().map(walk_value).collect::<Vec<_>>()).to_string()));
                set("events_processed_count", number(health.events));
                set("calls", number(health.calls));
                let trouble = health.trouble.as_ref();
                if state.pause.is_none() {
                    set("processing_status", text(if trouble.is_some() { "error" } else { "active" }));
                }
                let times = [
                    ("since", [state.since, *since].into_iter().flatten().min()),
                    ("last_execution_time", health.last_run),
                    ("last_success_time", health.last_success),
                    ("last_event_time", health.last_event),
                    ("last_processed_timestamp", coverage.span().map(|span| span.to)),
                    ("trouble_since", trouble.map(|trouble| trouble.since)),
                    ("trouble_last", trouble.map(|trouble| trouble.last)),
                ];
                put_or_remove(item, times.map(|(name, time)| (name, time.map(|time| time.to_string()))));
                let words = [
                    ("last_error", trouble.map(|trouble| trouble.message.clone())),
                    ("trouble", trouble.map(|trouble| trouble.kind.as_str().to_owned())),
                ];
                put_or_remove(item, words);
                Ok(true)
            })?;
        }
        Ok(())
    }

    fn scope(&self) -> Result<Scope, StateError> {
        let Some(item) = self.get(SCOPE)? else { return Ok(Scope::default()) };
        let wrong = || damaged(self.table(), "what is to be collected");
        let document =
            item.long("scope").and_then(|text| serde_json::from_str::<Value>(&text).ok()).ok_or_else(wrong)?;
        let streams = document["streams"].as_array().into_iter().flatten();
        let streams = streams.map(|stream| stream.as_str().and_then(|stream| stream.parse().ok()).ok_or_else(wrong));
        let unknown = document["unknown"].as_array().into_iter().flatten().map(|unknown| {
            let text = |name: &str| unknown["trouble"][name].as_str();
            let time = |name: &str| text(name).and_then(Timestamp::parse);
            let trouble = Trouble {
                kind: text("kind").and_then(kind).ok_or_else(wrong)?,
                message: text("message").unwrap_or_default().to_owned(),
                since: time("since").ok_or_else(wrong)?,
                last: time("last").ok_or_else(wrong)?,
            };
            let subject = unknown["subject"].as_str().unwrap_or_default().to_owned();
            Ok(pipeline::collect::Unknown { subject, trouble })
        });
        let (streams, unknown) = (streams.collect::<Result<_, _>>()?, unknown.collect::<Result<_, StateError>>()?);
        Ok(Scope { streams, unknown })
    }

    fn save_scope(&self, scope: &Scope) -> Result<(), StateError> {
        let document = json!(scope).to_string();
        self.change(SCOPE, &mut |item| {
            item.insert("scope".to_owned(), long_text(&document));
            Ok(true)
        })?;
        Ok(())
    }

    fn pause_stream(&self, stream: &Stream, pause: Option<&Pause>) -> Result<bool, StateError> {
        self.change(&self.key(stream), &mut |item| {
            let is_paused = item.text("processing_status") == Some("paused");
            if is_paused == pause.is_some() {
                return Ok(false);
            }
            item.insert("stream".to_owned(), text(stream.to_string()));
            let status = match pause {
                Some(_) => "paused",
                None if item.contains_key("trouble") => "error",
                None => "active",
            };
            item.insert("processing_status".to_owned(), text(status));
            let words = [
                ("paused_at", pause.map(|pause| pause.at.to_string())),
                ("paused_by", pause.map(|pause| pause.by.clone())),
                ("paused_reason", pause.map(|pause| pause.reason.clone())),
            ];
            put_or_remove(item, words);
            Ok(true)
        })
    }
}

fn put_or_remove<const N: usize>(item: &mut Item, values: [(&str, Option<String>); N]) {
    for (name, value) in values {
        match value {
            Some(value) => _ = item.insert(name.to_owned(), text(value)),
            None => _ = item.remove(name),
        }
    }
}

fn kind(name: &str) -> Option<TroubleKind> {
    TroubleKind::ALL.into_iter().find(|kind| kind.as_str() == name)
}

fn trouble(item: &Item) -> Option<Trouble> {
    let message = item.text("last_error").filter(|message| !message.is_empty())?.to_owned();
    // An earlier program wrote the message alone.
    let kind = item.text("trouble").and_then(kind).unwrap_or(TroubleKind::Refused);
    let last = item.time("trouble_last").or_else(|| item.time("last_execution_time"))?;
    Some(Trouble { kind, message, since: item.time("trouble_since").unwrap_or(last), last })
}

fn coverage_text(coverage: &Coverage) -> String {
    let pairs = coverage.intervals().iter().map(|interval| [interval.from.to_string(), interval.to.to_string()]);
    json!(pairs.collect::<Vec<_>>()).to_string()
}

fn coverage(text: &str) -> Option<Coverage> {
    let pairs: Vec<[String; 2]> = serde_json::from_str(text).ok()?;
    pairs.iter().map(|[from, to]| Some(Interval::new(Timestamp::parse(from)?, Timestamp::parse(to)?))).collect()
}

fn walk_value(walk: &Walk) -> Value {
    let Walk { window, begun, asked_to, token, reached, missed, tries, empty } = walk;
    json!({
        "from": window.from.to_string(),
        "to": window.to.to_string(),
        "begun": begun.to_string(),
        "asked_to": asked_to.to_string(),
        "token": token,
        "reached": reached.map(|time| time.to_string()),
        "missed": coverage_text(missed),
        "tries": tries,
        "empty": empty,
    })
}

fn walks(text: &str) -> Option<Vec<Walk>> {
    let walks: Vec<Value> = serde_json::from_str(text).ok()?;
    let walk = |value: &Value| {
        let time = |name: &str| value[name].as_str().and_then(Timestamp::parse);
        let count = |name: &str| value[name].as_u64().and_then(|count| u32::try_from(count).ok());
        Some(Walk {
            window: Interval::new(time("from")?, time("to")?),
            begun: time("begun")?,
            asked_to: time("asked_to")?,
            token: value["token"].as_str().map(str::to_owned),
            reached: time("reached"),
            missed: coverage(value["missed"].as_str()?)?,
            tries: count("tries")?,
            empty: count("empty")?,
        })
    };
    walks.iter().map(walk).collect()
}

/// The two that a key names: `us-gov-west-1-sso-directory`. A region ends in its number.
fn region_and_source(name: &str) -> Option<(&str, &str)> {
    let splits = name.match_indices('-').map(|(at, _)| (&name[..at], &name[at + 1..]));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    splits.into_iter().find(|(region, source)| {
        region.rsplit_once('-').is_some_and(|(_, number)| is_number(number)) && !source.is_empty()
    })
}

//! The events: partition `event_date`, sort key `event_id`, found by user and by action through two indexes.
//!
//! What is new is asked of the table before it is written: reading an item costs a tenth of writing it, and most of what a
//! stream brings again is there already. Writing the same event twice leaves one item, so that a process that dies between
//! two batches, or two that write at once, do no harm.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, Select};
use event::column::Origin;
use event::decode::{Limits, record_within};
use event::{Column, Day, Event, EventKey, Timestamp, same_record};
use pipeline::service::CallError;
use pipeline::store::{Appended, Committed, EventStore, StoreError, Variant};

use super::exports::Changes;
use super::item::{Attributes, Item, inflated, long_text, number, read_long_text, stored_bytes, text};
use super::{Tables, expiry};
use crate::error::classify;

/// What an item may take: 400 KB, names and the rest of it included.
const ITEM: usize = 380 << 10;
/// What stands between an event's id and the number of a part of its record.
const PART: char = '#';
/// The longest text that is a sort key, and that an index is entered by.
const KEY: usize = 1024;
const INDEX_KEY: usize = 2048;
/// The longest text that stands in an attribute of its own; the record has all of it.
const ATTRIBUTE: usize = 1024;
/// How many events may wait for a commit. They are written before it where there are more: nothing is harmed by an event
/// that is there before the commit it belongs to, because whoever reads its source again finds it.
const WAITING: usize = 4000;
/// How many bytes of them, as they are written.
const WAITING_BYTES: usize = 16 << 20;
/// The least time that an event stays: whoever exports whole days must come to it, also where it was old when it was read.
const LEAST: Duration = Duration::from_secs(14 * 24 * 3600);
/// The most events that an index is asked for at once: one round of calls reads them.
const PAGE: i32 = 800;

/// The columns that stand in attributes of their own, beside the keys.
const COLUMNS: &[Column] = &[
    Column::EventName,
    Column::EventSource,
    Column::EventType,
    Column::AccountId,
    Column::AwsRegion,
    Column::UserName,
    Column::SessionName,
    Column::ActorArn,
    Column::AccessKeyId,
    Column::SourceIp,
    Column::UserAgent,
    Column::ErrorCode,
    Column::ErrorMessage,
    Column::Target,
];

/// The table of events.
#[derive(Debug)]
pub struct EventTable {
    tables: Tables,
    retention: Option<Duration>,
    buffer: Mutex<Buffer>,
    changes: Changes,
}

/// What was appended and is not written yet.
#[derive(Debug, Default)]
struct Buffer {
    waiting: BTreeMap<(Day, String), Waiting>,
    bytes: usize,
    /// How often it was written and emptied.
    flushes: u64,
}

#[derive(Debug)]
struct Waiting {
    hash: u64,
    record: String,
    /// The parts of a record that one item cannot hold, which are written first.
    parts: Vec<(Item, usize)>,
    head: (Item, usize),
}

impl Waiting {
    /// What it takes: the record as it is compared, and as it is written.
    fn bytes(&self) -> usize {
        self.record.len() + self.head.1 + self.parts.iter().map(|(_, size)| size).sum::<usize>()
    }
}

/// An event as the table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its day.
    pub day: Day,
    /// Its id, as the key has it.
    pub id: String,
    /// The record; none where an earlier program kept none. Or why it cannot be read.
    pub record: Result<Option<String>, String>,
    /// What stands in attributes of their own.
    pub columns: BTreeMap<String, String>,
    /// Where it was read.
    pub source_object: Option<String>,
    /// When.
    pub ingested_at: Option<Timestamp>,
}

impl EventTable {
    pub(super) fn new(tables: Tables, retention: Option<Duration>) -> EventTable {
        EventTable { changes: Changes::new(tables.clone()), tables, retention, buffer: Mutex::default() }
    }

    fn table(&self) -> &str {
        &self.tables.names.events
    }

    /// The items of an event.
    fn items(&self, event: &Event<'_>, source_object: &str, ingested_at: Timestamp) -> Waiting {
        let (record, hash) = (event.to_json(), event.content_hash());
        let (date, id) = (event.day().to_string(), id_of(event.id()).into_owned());
        let mut head = Item::new();
        let mut set = |name: &str, value: AttributeValue| _ = head.insert(name.to_owned(), value);
        set("event_date", text(&date));
        set("event_id", text(&id));
        set("event_time", text(event.event_time.to_string()));
        for &column in COLUMNS {
            let longest = if column == Column::UserName || column == Column::EventName { INDEX_KEY } else { ATTRIBUTE };
            // No index takes an empty text.
            if let Some(value) = event.get(column).filter(|value| !value.is_empty() && value.len() <= longest) {
                set(column.name(), text(value));
            }
        }
        set("source_object", text(bounded(source_object)));
        set("ingested_at", text(ingested_at.to_string()));
        set("content_hash", text(format!("{hash:016x}")));
        let ends = |retention| expiry(event.event_time, retention).max(expiry(ingested_at, LEAST));
        let ttl = self.retention.map(|retention| number(ends(retention)));
        if let Some(ttl) = &ttl {
            set("ttl", ttl.clone());
        }
        let mut kept = long_text(&record);
        let mut parts = Vec::new();
        if stored_bytes(&kept) > ITEM
            && let AttributeValue::B(bytes) = &kept
        {
            let bytes = bytes.as_ref().to_owned();
            let mut chunks = bytes.chunks(ITEM);
            kept = AttributeValue::B(Blob::new(chunks.next().unwrap_or_default()));
            for (place, chunk) in chunks.enumerate() {
                let mut part = Item::from([
                    ("event_date".to_owned(), text(&date)),
                    ("event_id".to_owned(), text(part_of(&id, place + 2))),
                    ("part_of".to_owned(), text(&id)),
                    ("record".to_owned(), AttributeValue::B(Blob::new(chunk))),
                ]);
                part.extend(ttl.clone().map(|ttl| ("ttl".to_owned(), ttl)));
                parts.push((part, chunk.len()));
            }
            set("parts", number(parts.len() + 1));
        }
        set("record", kept);
        let size = head.iter().map(|(name, value)| name.len() + stored_bytes(value)).sum();
        Waiting { hash, record, parts, head: (head, size) }
    }

    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes everything that waits, the parts of long records first: who finds an event finds all of it. That its days
    /// change is noted before, for whoever exports whole days. After a failure everything waits on.
    fn flush(&self, buffer: &mut Buffer) -> Result<(), CallError> {
        if buffer.waiting.is_empty() {
            return Ok(());
        }
        // An event may have waited for long: what counts is when it is written.
        let now = self.tables.client.config().time_source().unwrap_or_default().now();
        let micros = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros();
        let now = i64::try_from(micros).ok().and_then(Timestamp::from_micros).unwrap_or(Timestamp::MAX);
        self.changes.note(buffer.waiting.keys().map(|(day, _)| *day).collect(), now)?;
        let events = || buffer.waiting.values();
        let parts = events().flat_map(|event| event.parts.iter().cloned()).collect();
        let heads = events().map(|event| event.head.clone()).collect();
        self.tables.put_all(self.table(), parts)?;
        fail::fail_point!("aws::between-events", |how| match how {
            Some(_) => Err(CallError::Throttled),
            None => std::process::abort(),
        });
        self.tables.put_all(self.table(), heads)?;
        buffer.waiting.clear();
        buffer.bytes = 0;
        buffer.flushes += 1;
        Ok(())
    }

    /// Hands on the events of a day, a page at a time, in the order of their ids.
    ///
    /// # Errors
    /// [`CallError`], or what `take` says.
    pub fn of_day<E: From<CallError>>(
        &self,
        day: Day,
        take: &mut dyn FnMut(Vec<Stored>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.of_day_after(day, None, &mut |events| take(events).map(ControlFlow::Continue))
    }

    /// The same, behind an event of that day, until `take` breaks off.
    ///
    /// # Errors
    /// [`CallError`], or what `take` says.
    pub fn of_day_after<E: From<CallError>>(
        &self,
        day: Day,
        after: Option<&str>,
        take: &mut dyn FnMut(Vec<Stored>) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        // A page is on its way while the one before it is worked on.
        let ask = |start: Option<Item>| {
            let call = self
                .tables
                .client
                .query()
                .table_name(self.table())
                .key_condition_expression("event_date = :day")
                .filter_expression("attribute_not_exists(part_of)")
                .expression_attribute_values(":day", text(day.to_string()))
                .set_exclusive_start_key(start)
                .send();
            self.tables.edge.begin(async { call.await.map_err(|error| classify("dynamodb:Query", &error)) })
        };
        let mut coming = Some(ask(after.map(|id| key(day, id))));
        while let Some(page) = coming.take() {
            let page = self.tables.edge.finish(page)?;
            coming = page.last_evaluated_key.map(|last| ask(Some(last)));
            let events = page.items.unwrap_or_default().into_iter().map(|item| self.stored(item));
            if take(events.collect::<Result<Vec<_>, _>>()?)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Whether a day has any event.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn has_any(&self, day: Day) -> Result<bool, CallError> {
        let call = self
            .tables
            .client
            .query()
            .table_name(self.table())
            .key_condition_expression("event_date = :day")
            .expression_attribute_values(":day", text(day.to_string()))
            .select(Select::Count)
            .limit(1);
        Ok(self.tables.call("dynamodb:Query", call.send())?.count > 0)
    }

    /// Hands on the events of a user, or of an action, from a day up to another, that day included, a page at a time, until
    /// `take` breaks off: the newest day first, those of a day in any order.
    ///
    /// # Errors
    /// [`CallError`], or what `take` says.
    pub fn of<E: From<CallError>>(
        &self,
        column: Column,
        value: &str,
        (from, to): (Day, Day),
        take: &mut dyn FnMut(Vec<Stored>) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let name = column.name();
        let call = || {
            self.tables
                .client
                .query()
                .table_name(self.table())
                .index_name(format!("{name}-index"))
                .key_condition_expression("#name = :value AND event_date BETWEEN :from AND :to")
                .expression_attribute_names("#name", name)
                .expression_attribute_values(":value", text(value))
                .expression_attribute_values(":from", text(from.to_string()))
                .expression_attribute_values(":to", text(to.to_string()))
                .projection_expression("event_date, event_id")
                .select(Select::SpecificAttributes)
                .scan_index_forward(false)
                .limit(PAGE)
        };
        let mut start: Option<Item> = None;
        loop {
            let page = self.tables.call("dynamodb:Query", call().set_exclusive_start_key(start).send())?;
            let items = self.tables.get_all(self.table(), page.items.unwrap_or_default(), None)?;
            let events = items.into_iter().map(|item| self.stored(item));
            let flow = take(events.collect::<Result<Vec<_>, _>>()?)?;
            start = page.last_evaluated_key;
            if start.is_none() || flow.is_break() {
                return Ok(());
            }
        }
    }

    /// What an item says, the parts of a long record put together.
    fn stored(&self, mut item: Item) -> Result<Stored, CallError> {
        let wrong = |what: &str| CallError::Refused(format!("an item of {} has no {what}", self.table()));
        let day = item.text("event_date").and_then(Day::parse).ok_or_else(|| wrong("event_date"))?;
        let id = item.text("event_id").ok_or_else(|| wrong("event_id"))?.to_owned();
        let kept = item.remove("record");
        let record = match (item.number("parts"), kept) {
            (Some(parts), Some(AttributeValue::B(first))) => {
                self.joined(day, &id, first.into_inner(), parts)?.map(Some)
            }
            (_, Some(kept)) => {
                read_long_text(&kept).map(Some).ok_or_else(|| "its record cannot be inflated".to_owned())
            }
            (_, None) => Ok(None),
        };
        let (source_object, ingested_at) = (item.text("source_object").map(str::to_owned), item.time("ingested_at"));
        let columns = item.into_iter().filter_map(|(name, value)| match value {
            AttributeValue::S(value) => Some((name, value)),
            _ => None,
        });
        Ok(Stored { day, id, record, columns: columns.collect(), source_object, ingested_at })
    }

    /// A record of several parts, or why it cannot be read. Each part expires by itself.
    fn joined(&self, day: Day, id: &str, mut bytes: Vec<u8>, parts: i64) -> Result<Result<String, String>, CallError> {
        let call = || {
            self.tables
                .client
                .query()
                .table_name(self.table())
                .key_condition_expression("event_date = :day AND begins_with(event_id, :parts)")
                .expression_attribute_values(":day", text(day.to_string()))
                .expression_attribute_values(":parts", text(format!("{id}{PART}")))
                .consistent_read(true)
        };
        let (mut found, mut start): (Vec<Item>, Option<Item>) = Default::default();
        loop {
            let page = self.tables.call("dynamodb:Query", call().set_exclusive_start_key(start).send())?;
            found.extend(page.items.unwrap_or_default());
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        let place = |item: &Item| item.text("event_id").and_then(|id| id.rsplit(PART).next()?.parse::<i64>().ok());
        found.retain(|item| place(item).is_some_and(|place| (2..=parts).contains(&place)));
        found.sort_by_key(place);
        for item in &found {
            if let Some(AttributeValue::B(part)) = item.get("record") {
                bytes.extend_from_slice(part.as_ref());
            }
        }
        Ok(inflated(&bytes).ok_or_else(|| "a part of its record is lost or damaged".to_owned()))
    }
}

impl EventStore for EventTable {
    fn append(
        &self,
        events: &[Event<'_>],
        source_object: &str,
        ingested_at: Timestamp,
    ) -> Result<Appended, StoreError> {
        let failed = |error| StoreError(Box::new(error));
        let keys: Vec<(Day, String)> =
            events.iter().map(|event| (event.day(), id_of(event.id()).into_owned())).collect();
        // The table is asked while others append. What waited and was written meanwhile may be missing in its answer.
        let (mut buffer, stored) = loop {
            let (unknown, flushes) = {
                let buffer = self.buffer();
                let is_unknown = |key: &&(Day, String)| !buffer.waiting.contains_key(*key);
                (keys.iter().filter(is_unknown).collect(), buffer.flushes)
            };
            let stored = self.compare(events, &keys, unknown).map_err(failed)?;
            let buffer = self.buffer();
            if buffer.flushes == flushes {
                break (buffer, stored);
            }
        };
        let mut appended = Appended::default();
        for ((event, key), stored) in events.iter().zip(keys).zip(stored) {
            let is_same = match (buffer.waiting.get(&key), stored) {
                (Some(first), _) => first.hash == event.content_hash() || same_record(&first.record, &event.to_json()),
                (None, Some(is_same)) => is_same,
                (None, None) => {
                    let waiting = self.items(event, source_object, ingested_at);
                    buffer.bytes += waiting.bytes();
                    buffer.waiting.insert(key, waiting);
                    appended.stored += 1;
                    continue;
                }
            };
            if is_same {
                appended.duplicates += 1;
            } else {
                let (event_id, record) = (event.id().to_owned(), event.to_json());
                appended.variants.push(Variant { event_id, record, source_object: source_object.to_owned() });
            }
        }
        if buffer.waiting.len() >= WAITING || buffer.bytes >= WAITING_BYTES {
            self.flush(&mut buffer).map_err(failed)?;
        }
        Ok(appended)
    }

    fn commit(&self) -> Result<Committed, StoreError> {
        self.flush(&mut self.buffer()).map_err(|error| StoreError(Box::new(error)))?;
        Ok(Committed::default())
    }
}

impl EventTable {
    /// Says of each event whether the table has it, and then whether it says the same. Only what is `unknown` is asked for.
    fn compare(
        &self,
        events: &[Event<'_>],
        keys: &[(Day, String)],
        mut unknown: Vec<&(Day, String)>,
    ) -> Result<Vec<Option<bool>>, CallError> {
        unknown.sort_unstable();
        unknown.dedup();
        let unknown = unknown.into_iter().map(|(day, id)| key(*day, id)).collect();
        let found = self.tables.get_all(self.table(), unknown, Some("event_date, event_id, content_hash"))?;
        let hashes: BTreeMap<(Day, String), Option<u64>> = found
            .into_iter()
            .filter_map(|item| {
                let hash = item.text("content_hash").and_then(|hash| u64::from_str_radix(hash, 16).ok());
                Some(((Day::parse(item.text("event_date")?)?, item.text("event_id")?.to_owned()), hash))
            })
            .collect();
        let compare = |(event, key): (&Event<'_>, &(Day, String))| match hashes.get(key) {
            None => Ok(None),
            Some(Some(hash)) if *hash != event.content_hash() => self.is_same(key.0, &key.1, event).map(Some),
            // What an earlier program kept has no hash and no record to compare with.
            Some(_) => Ok(Some(true)),
        };
        events.iter().zip(keys).map(compare).collect()
    }

    /// Whether the stored copy of an event says the same, whatever the order of its keys. One that cannot be read does not.
    fn is_same(&self, day: Day, id: &str, event: &Event<'_>) -> Result<bool, CallError> {
        let found = self.tables.get_all(self.table(), vec![key(day, id)], None)?;
        let Some(item) = found.into_iter().next() else { return Ok(true) };
        let record = self.stored(item)?.record;
        Ok(record.is_ok_and(|record| record.is_none_or(|record| same_record(&record, &event.to_json()))))
    }
}

impl Stored {
    /// The event, decoded from its record; none where there is no record.
    ///
    /// # Errors
    /// Says why the record is none, or cannot be read.
    pub fn event(&self) -> Option<Result<Event<'_>, String>> {
        match &self.record {
            Ok(record) => Some(record_within(record.as_deref()?, &Limits::default())),
            Err(reason) => Some(Err(reason.clone())),
        }
    }

    /// The event, from its record, or from the columns where an earlier program kept no more.
    ///
    /// # Errors
    /// Says what is wrong with either.
    pub fn to_event(&self) -> Result<Event<'_>, String> {
        if let Some(event) = self.event() {
            return event;
        }
        let time = self.columns.get("event_time").and_then(|time| Timestamp::parse(time)).ok_or("it has no time")?;
        let mut event = Event::new(time);
        for &column in Column::ALL {
            let Some(value) = self.columns.get(column.name()).filter(|value| !value.is_empty()) else { continue };
            let is_json = matches!(column.origin(), Origin::Json(_) | Origin::Rest);
            event.set(column, if is_json { Cow::Owned(compact(value)) } else { Cow::Borrowed(value.as_str()) });
        }
        Ok(event)
    }
}

/// A text that should be JSON, as the columns have it; what is none becomes a string.
fn compact(value: &str) -> String {
    let parsed = serde_json::from_str(value).unwrap_or_else(|_| serde_json::Value::from(value));
    parsed.to_string()
}

/// The sort key of an event: its id, or what stands for one that is too long to be a key, or is none.
fn id_of(id: &str) -> Cow<'_, str> {
    // The sign that parts are told by, and the mark of what stands for an id, are nobody else's.
    if id.is_empty() || id.len() > KEY - 16 || id.contains('#') {
        Cow::Owned(format!("#{:032x}", EventKey::of(id).bits()))
    } else {
        Cow::Borrowed(id)
    }
}

fn part_of(id: &str, place: usize) -> String {
    format!("{id}{PART}{place}")
}

fn key(day: Day, id: &str) -> Item {
    Item::from([("event_date".to_owned(), text(day.to_string())), ("event_id".to_owned(), text(id))])
}

fn bounded(value: &str) -> &str {
    let end = (0..=value.len().min(ATTRIBUTE)).rev().find(|&end| value.is_char_boundary(end)).unwrap_or(0);
    &value[..end]
}

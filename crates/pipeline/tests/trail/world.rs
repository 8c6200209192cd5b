//! A bucket and a queue on virtual time, with everything that can go wrong with them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use event::Timestamp;
use pipeline::collect::Timer;
use pipeline::service::CallError;
use pipeline::source::Content;
use pipeline::store::Clock;
use pipeline::trail::{Bucket, Listed, ListedPage, Message, Object, Queue, Undone};
use testkit::memory::{Disk, Process};

pub(crate) const SECOND: i64 = 1_000_000;
/// 2026-04-01T12:00:00Z
pub(crate) const START: i64 = 1_775_044_800 * SECOND;
pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const BUCKET: &str = "trail";
pub(crate) const QUEUE: &str = "sqs://111122223333/trail";
/// At which delivery a message that cannot be read is given up.
pub(crate) const PATIENCE: u32 = 4;
/// The keys that one answer lists at most.
const PAGE: usize = 3;

/// How often calls fail, from 0 to 1.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) call: f64,
    pub(crate) cut: f64,
    /// A message that was received is seen by others at once.
    pub(crate) doubled: f64,
    /// One message of a call that deletes or extends several.
    pub(crate) partial: f64,
}

/// What an event is to come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Truth {
    pub(crate) id: String,
    pub(crate) is_found: bool,
}

#[derive(Debug, Clone)]
struct Waiting {
    body: String,
    visible_at: i64,
    receives: u32,
    /// The latest receipt, which alone is sure to be taken.
    receipt: Option<String>,
    /// The ids of the events it brings; nothing where it is to be set aside.
    brings: Option<Vec<String>>,
}

#[derive(Debug)]
struct Inner {
    now: i64,
    chance: fastrand::Rng,
    faults: Faults,
    objects: BTreeMap<String, Vec<u8>>,
    messages: BTreeMap<String, Waiting>,
    receipts: BTreeMap<String, String>,
    next: u64,
    /// What was done that must not be.
    crimes: Vec<String>,
    reads: u64,
}

/// The world.
#[derive(Debug, Clone)]
pub(crate) struct World(Arc<Mutex<Inner>>);

impl World {
    pub(crate) fn new(seed: u64) -> World {
        World(Arc::new(Mutex::new(Inner {
            now: START,
            chance: fastrand::Rng::with_seed(seed ^ 0x7a11),
            faults: Faults::default(),
            objects: BTreeMap::new(),
            messages: BTreeMap::new(),
            receipts: BTreeMap::new(),
            next: 0,
            crimes: Vec::new(),
            reads: 0,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    pub(crate) fn pass_time(&self, micros: i64) {
        self.lock().now += micros;
    }

    pub(crate) fn put(&self, key: &str, content: String) {
        self.lock().objects.insert(key.to_owned(), content.into_bytes());
    }

    /// The size and the entity tag of an object.
    pub(crate) fn version(&self, key: &str) -> (u64, String) {
        let content = self.lock().objects[key].clone();
        (content.len() as u64, etag(&content))
    }

    pub(crate) fn send(&self, body: String, brings: Option<Vec<String>>) {
        let mut inner = self.lock();
        inner.next += 1;
        let id = format!("m{}", inner.next);
        let visible_at = inner.now;
        inner.messages.insert(id, Waiting { body, visible_at, receives: 0, receipt: None, brings });
    }

    pub(crate) fn waiting(&self) -> usize {
        self.lock().messages.len()
    }

    pub(crate) fn crimes(&self) -> Vec<String> {
        self.lock().crimes.clone()
    }

    /// How many objects were opened.
    pub(crate) fn reads(&self) -> u64 {
        self.lock().reads
    }

    /// Which of these lie in the bucket and in the ledger.
    pub(crate) fn known(&self, disk: &Disk) -> BTreeSet<String> {
        let known = disk.objects.lock().unwrap();
        let inner = self.lock();
        let is_known = |(key, content): &(&String, &Vec<u8>)| {
            known.get(&format!("s3://{BUCKET}/{key}")).is_some_and(|(tag, _)| *tag == etag(content))
        };
        inner.objects.iter().filter(is_known).map(|(key, _)| key.clone()).collect()
    }
}

fn etag(content: &[u8]) -> String {
    format!("{:016x}", content.iter().fold(7u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(*byte))))
}

impl Inner {
    fn fails(&mut self, share: f64) -> bool {
        self.chance.f64() < share
    }

    fn call(&mut self) -> Result<(), CallError> {
        self.now += self.chance.i64(1_000..100_000);
        let share = self.faults.call;
        if !self.fails(share) {
            return Ok(());
        }
        Err(if self.chance.bool() { CallError::Throttled } else { CallError::Unavailable("HTTP 503".to_owned()) })
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.lock().now).unwrap()
    }
}

impl Timer for World {
    fn monotonic(&self) -> Duration {
        Duration::from_micros((self.lock().now - START) as u64)
    }

    fn sleep(&self, duration: Duration) {
        self.pass_time(duration.as_micros() as i64);
    }
}

impl Bucket for World {
    fn name(&self) -> &str {
        BUCKET
    }

    fn list(&self, prefix: &str, after: Option<&str>) -> Result<ListedPage, CallError> {
        let mut inner = self.lock();
        inner.call()?;
        let matching = inner.objects.iter().filter(|(key, _)| key.starts_with(prefix));
        let mut behind = matching.filter(|(key, _)| after.is_none_or(|after| key.as_str() > after)).peekable();
        let objects = behind.by_ref().take(PAGE).map(|(key, content)| Listed {
            key: key.clone(),
            etag: etag(content),
            size: content.len() as u64,
        });
        let objects = objects.collect();
        Ok(ListedPage { objects, more: behind.peek().is_some() })
    }

    fn folders(&self, prefix: &str) -> Result<Vec<String>, CallError> {
        let mut inner = self.lock();
        inner.call()?;
        let rest = inner.objects.keys().filter_map(|key| key.strip_prefix(prefix)?.split_once('/'));
        let names: BTreeSet<String> = rest.map(|(name, _)| name.to_owned()).collect();
        Ok(names.into_iter().collect())
    }

    fn get(&self, key: &str, limit: u64) -> Result<Object, CallError> {
        let mut inner = self.lock();
        inner.call()?;
        inner.reads += 1;
        let content = inner.objects.get(key).cloned().ok_or_else(|| CallError::NotFound(format!("object {key}")))?;
        let (size, etag) = (content.len() as u64, etag(&content));
        if size > limit {
            return Err(CallError::TooLarge { size, limit });
        }
        let share = inner.faults.cut;
        let cut = inner.fails(share).then(|| inner.chance.usize(..=content.len()));
        let content = match cut {
            Some(cut) => Content::Reader(Box::new(io::Cursor::new(content[..cut].to_vec()).chain(Cut))),
            None if inner.chance.bool() => Content::Bytes(content),
            None => Content::Reader(Box::new(io::Cursor::new(content))),
        };
        Ok(Object { etag, size, metadata: Vec::new(), content })
    }
}

/// A connection that is cut.
struct Cut;

impl Read for Cut {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::new(io::ErrorKind::ConnectionReset, "the connection was cut"))
    }
}

/// The queue, as one process sees it: every call is a step at which it may die.
pub(crate) struct SeenBy<'p> {
    pub(crate) world: World,
    pub(crate) process: &'p Process,
    pub(crate) disk: Arc<Disk>,
}

impl SeenBy<'_> {
    fn step<T>(&self, body: impl FnOnce(&mut Inner) -> Result<T, CallError>) -> Result<T, CallError> {
        let mut inner = self.world.lock();
        inner.call()?;
        let outcome = self.process.step(|| body(&mut inner));
        outcome.unwrap_or_else(|died| Err(CallError::Unavailable(died.to_string())))
    }

    /// Does something with messages by their receipts; some of it fails.
    fn some(
        &self,
        receipts: &[&str],
        body: impl Fn(&mut Inner, &str) -> Result<(), String>,
    ) -> Result<Vec<Undone>, CallError> {
        self.step(|inner| {
            let mut undone = Vec::new();
            for (place, receipt) in receipts.iter().enumerate() {
                let share = inner.faults.partial;
                let outcome = if inner.fails(share) { Err("InternalError".to_owned()) } else { body(inner, receipt) };
                undone.extend(outcome.err().map(|reason| Undone { place, reason }));
            }
            Ok(undone)
        })
    }
}

impl Queue for SeenBy<'_> {
    fn name(&self) -> &str {
        QUEUE
    }

    fn receive(&self, wait: Duration, visibility: Duration) -> Result<Vec<Message>, CallError> {
        self.step(|inner| {
            let now = inner.now;
            let visible = |(_, waiting): &(&String, &Waiting)| waiting.visible_at <= now;
            let mut ids: Vec<String> = inner.messages.iter().filter(visible).map(|(id, _)| id.clone()).collect();
            inner.chance.shuffle(&mut ids);
            let most = inner.chance.usize(1..=10);
            ids.truncate(most);
            if ids.is_empty() {
                inner.now += wait.as_micros() as i64;
            }
            let mut messages = Vec::new();
            for id in ids {
                inner.next += 1;
                let receipt = format!("r{}", inner.next);
                let share = inner.faults.doubled;
                let is_doubled = inner.fails(share);
                inner.receipts.insert(receipt.clone(), id.clone());
                let waiting = inner.messages.get_mut(&id).unwrap();
                waiting.receives += 1;
                waiting.receipt = Some(receipt.clone());
                waiting.visible_at = if is_doubled { now } else { now + visibility.as_micros() as i64 };
                let (body, receives) = (waiting.body.clone(), waiting.receives);
                messages.push(Message { id, receipt, body, receives, sent: None });
            }
            Ok(messages)
        })
    }

    fn extend(&self, receipts: &[&str], visibility: Duration) -> Result<Vec<Undone>, CallError> {
        self.some(receipts, |inner, receipt| {
            let now = inner.now;
            let id = inner.receipts.get(receipt).ok_or("no receipt")?;
            let waiting = inner.messages.get_mut(id).ok_or("deleted")?;
            if waiting.receipt.as_deref() != Some(receipt) {
                return Err("received by another".to_owned());
            }
            waiting.visible_at = now + visibility.as_micros() as i64;
            Ok(())
        })
    }

    fn delete(&self, receipts: &[&str]) -> Result<Vec<Undone>, CallError> {
        self.some(receipts, |inner, receipt| {
            let id = inner.receipts.get(receipt).ok_or("no receipt")?.clone();
            // Deleting twice is no mistake.
            let Some(waiting) = inner.messages.get(&id) else { return Ok(()) };
            if waiting.receipt.as_deref() != Some(receipt) && inner.chance.bool() {
                return Err("received by another".to_owned());
            }
            let waiting = inner.messages.remove(&id).unwrap();
            let crime = match &waiting.brings {
                Some(events) => {
                    let stored = self.disk.events.lock().unwrap();
                    let missing = events.iter().find(|event| !stored.contains_key(*event));
                    missing.map(|event| format!("{id} was acknowledged before its commit: {event} is not stored"))
                }
                None if waiting.receives < PATIENCE => Some(format!("{id} was given up too early")),
                None => {
                    let name = format!("{QUEUE}/{id}");
                    let aside = self.disk.rejected.lock().unwrap();
                    let is_there = aside.iter().any(|(item, ..)| *item == name);
                    (!is_there).then(|| format!("{id} was thrown away"))
                }
            };
            inner.crimes.extend(crime);
            Ok(())
        })
    }
}

//! One message: what it brings is read and handed over.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use event::Event;
use event::decode::{self, Batch, Decoder, Rejected};

use super::held::Place;
use super::session::Session;
use crate::alert::Occasion;
use crate::aside::Rejection;
use crate::collect::TroubleKind;
use crate::ingest::IngestError;
use crate::intake::item::Reading;
use crate::intake::lock;
use crate::report::{Problem, Report};
use crate::service::CallError;
use crate::state::ObjectVersion;
use crate::trail::bucket::{Version, open};
use crate::trail::layout::Kind;
use crate::trail::message::{self, Meaning, NewObject, shortened};
use crate::trail::port::{Bucket, Message, location};

/// Why something was not read.
pub(super) enum NotRead {
    /// It will never be: no message we know, an object that is not ours to read, gone, or too large.
    Never(String),
    /// It may be another time: the words for people, and what failed.
    ThisTime(String, CallError),
    /// Somebody wants the run to end.
    Stopped,
}

impl Session<'_> {
    /// Reads what a message brings. It comes again where that fails.
    pub(super) fn message(&self, place: Place, message: &Message, decoder: &mut Decoder) -> Result<(), IngestError> {
        let name = format!("{}/{}", self.consumer.queue.name(), message.id);
        match self.meaning(message, decoder)? {
            Ok(()) => self.hand_over(place),
            Err(NotRead::Never(reason)) if message.receives >= self.consumer.options.max_receives => {
                let end = message.body.floor_char_boundary(message.body.len().min(Rejected::KEPT));
                let text = &message.body[..end];
                self.consumer.aside.rejected(&Rejection { source_object: &name, number: 0, reason: &reason, text })?;
                self.counts().messages.poison += 1;
                self.hand_over(place);
                self.problem(name, format!("set aside: {reason}"));
            }
            Err(NotRead::Never(reason)) => self.leave(place, message, name, &reason),
            Err(NotRead::ThisTime(reason, error)) => {
                self.note_unread(TroubleKind::of(&error), &reason);
                self.leave(place, message, name, &reason);
            }
            Err(NotRead::Stopped) => self.give_back_at_once(place),
        }
        Ok(())
    }

    fn leave(&self, place: Place, message: &Message, name: String, reason: &str) {
        self.counts().messages.failed += 1;
        self.give_back(place);
        self.problem(name, format!("left in the queue (delivery {}): {reason}", message.receives));
    }

    fn problem(&self, name: String, reason: String) {
        self.intake.problem(&Problem { name, reason }, self.consumer.on_problem);
    }

    fn meaning(&self, message: &Message, decoder: &mut Decoder) -> Result<Result<(), NotRead>, IngestError> {
        let meaning = match message::read(&message.body) {
            Ok(meaning) => meaning,
            Err(reason) => return Ok(Err(NotRead::Never(reason))),
        };
        match meaning {
            Meaning::Test => self.counts().messages.tests += 1,
            Meaning::Record(record) => {
                self.counts().messages.records += 1;
                self.record(&record)?;
            }
            Meaning::Objects { objects, .. } => {
                let mut counts = self.counts();
                let kind = if objects.is_empty() { &mut counts.messages.others } else { &mut counts.messages.objects };
                *kind += 1;
                drop(counts);
                return self.objects(&objects, decoder);
            }
        }
        Ok(Ok(()))
    }

    /// A record that EventBridge handed on.
    fn record(&self, record: &str) -> Result<(), IngestError> {
        let name = self.consumer.queue.name();
        let mut batch = Batch::default();
        match decode::record_within(record, &self.consumer.options.limits) {
            Ok(event) => batch.events.push(event),
            Err(reason) => {
                self.problem(name.to_owned(), format!("1 record rejected: {reason}"));
                let end = record.floor_char_boundary(record.len().min(Rejected::KEPT));
                batch.rejected.push(Rejected { number: 1, reason, text: record[..end].to_owned() });
            }
        }
        let mut tally = Report { items: 1, inflated: record.len() as u64, ..Report::default() };
        self.intake.take(name, batch, &|event| self.occasion(event), &mut tally, || ())?;
        let progress = self.consumer.progress;
        progress.items.fetch_add(1, Ordering::Relaxed);
        progress.inflated.fetch_add(tally.inflated, Ordering::Relaxed);
        progress.records.fetch_add(tally.read, Ordering::Relaxed);
        self.intake.count(tally);
        Ok(())
    }

    /// All objects that a message tells of; what hinders one hinders no other.
    fn objects(&self, objects: &[NewObject], decoder: &mut Decoder) -> Result<Result<(), NotRead>, IngestError> {
        let mut worst = Ok(());
        for object in objects {
            let read = self.object(object, decoder)?;
            if rank(&read) > rank(&worst) {
                worst = read;
            }
        }
        Ok(worst)
    }

    fn object(&self, object: &NewObject, decoder: &mut Decoder) -> Result<Result<(), NotRead>, IngestError> {
        let outcome = self.try_object(object, decoder)?;
        let mut counts = self.counts();
        let counts = &mut counts.objects;
        counts.told += 1;
        *match &outcome {
            Ok(Fate::Read) => &mut counts.read,
            Ok(Fate::Known) => &mut counts.known,
            Ok(Fate::Left(Kind::Digests)) => &mut counts.digests,
            Ok(Fate::Left(Kind::Insights)) => &mut counts.insights,
            Ok(Fate::Left(Kind::Foreign | Kind::Logs)) => &mut counts.foreign,
            Err(NotRead::Never(_)) => &mut counts.refused,
            Err(NotRead::ThisTime(..) | NotRead::Stopped) => &mut counts.failed,
        } += 1;
        Ok(outcome.map(drop))
    }

    fn try_object(&self, object: &NewObject, decoder: &mut Decoder) -> Result<Result<Fate, NotRead>, IngestError> {
        let NewObject { bucket, key, etag, size } = object;
        let Some(bucket) = self.consumer.buckets.iter().find(|known| known.name() == bucket) else {
            let reason = format!("the bucket {} is none of those that are to be read", shortened(bucket));
            return Ok(Err(NotRead::Never(reason)));
        };
        match Kind::of_key(key) {
            None | Some(Kind::Logs) => {}
            Some(Kind::Digests) if self.consumer.proving.is_some() => {}
            Some(kind) => return Ok(Ok(Fate::Left(kind))),
        }
        if let (Some(etag), Some(size)) = (etag, *size) {
            let version = ObjectVersion { location: location(bucket.name(), key), etag: etag.clone(), size };
            if self.consumer.objects.seen_objects(&[version])? == [true] {
                return Ok(Ok(Fate::Known));
            }
        }
        self.read_object(&**bucket, key, *size, decoder)
    }

    fn read_object(
        &self,
        bucket: &dyn Bucket,
        key: &str,
        size: Option<u64>,
        decoder: &mut Decoder,
    ) -> Result<Result<Fate, NotRead>, IngestError> {
        let name = location(bucket.name(), key);
        let version: Version = Arc::new(Mutex::new(None));
        let (mut content, metadata) = match open(bucket, key, self.consumer.options.max_object, &version) {
            Ok(opened) => opened,
            Err(error) => {
                let reason = format!("{} cannot be read: {error}", shortened(&name));
                let is_final = matches!(error, CallError::NotFound(_) | CallError::TooLarge { .. });
                return Ok(Err(if is_final { NotRead::Never(reason) } else { NotRead::ThisTime(reason, error) }));
            }
        };
        let occasion = |event: &Event<'_>| self.occasion(event);
        let Session { consumer, .. } = self;
        let size = lock(&version).as_ref().map(|version| version.size).or(size);
        let reading = Reading {
            name: &name,
            size,
            occasion: &occasion,
            metadata: &metadata,
            stop: consumer.stop,
            on_problem: consumer.on_problem,
        };
        let read = self.intake.read(&reading, &mut content, decoder)?;
        if !read.to_its_end {
            return Ok(Err(NotRead::Stopped));
        }
        // The version is gone where the network failed; damage comes the same another time and counts as read.
        let Some(version) = lock(&version).take() else {
            let cut = CallError::Unavailable("the connection was cut".to_owned());
            return Ok(Err(NotRead::ThisTime(format!("{} was cut off", shortened(&name)), cut)));
        };
        self.note_object(version, read.evidence);
        Ok(Ok(Fate::Read))
    }

    fn occasion(&self, event: &Event<'_>) -> Occasion {
        let now = self.consumer.timer.now();
        Occasion { now, arrival: self.consumer.news.arrival(event.event_time, now), run: self.consumer.run }
    }
}

/// What hinders a message most: what will never be read is set aside only where nothing may come another time.
fn rank(read: &Result<(), NotRead>) -> u8 {
    match read {
        Ok(()) => 0,
        Err(NotRead::Never(_)) => 1,
        Err(NotRead::ThisTime(..)) => 2,
        Err(NotRead::Stopped) => 3,
    }
}

/// What became of an object.
enum Fate {
    Read,
    Known,
    Left(Kind),
}

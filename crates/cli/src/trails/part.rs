//! What is read of trails, and what it is remembered as.

use std::time::Duration;

use pipeline::collect::{Rules, Stream, StreamState};
use pipeline::status::{Expectation, trails as status};

use super::{ACCOUNT, ALL_DAYS, DELIVERY};
use crate::config::{Config, TrailConfig};
use crate::exit::usage;
use crate::live::expectation;

/// How soon a daily listing that failed is tried again: it may have failed in the middle of many days.
pub(super) const LIST_AGAIN: Duration = Duration::from_secs(3600);

/// How a part of a trail is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The bucket is listed.
    Listing,
    /// The bucket is listed once a day, for what a queue may not have told.
    DailyListing,
    /// The queue tells.
    Queue,
}

/// What is read of a trail by itself and remembered as a stream: a bucket that is listed, or a queue.
#[derive(Debug, Clone)]
pub(crate) struct Part<'t> {
    pub(super) trail: &'t TrailConfig,
    pub(super) way: Way,
    /// What it is remembered as, among the streams.
    pub(crate) stream: Stream,
}

impl<'t> Part<'t> {
    /// The parts of a trail: of one with a queue and a bucket the queue comes first.
    pub(super) fn of(trail: &'t TrailConfig) -> anyhow::Result<Vec<Part<'t>>> {
        let part = |way, name: &str| -> anyhow::Result<Part<'t>> {
            let region = trail.region.as_deref().unwrap_or("-");
            let text = Stream::new(ACCOUNT, region, name).to_string();
            let stream = text
                .parse()
                .map_err(|_| usage(format!("[[trails]]: {name:?} in {region:?} is no bucket and no queue")))?;
            Ok(Part { trail, way, stream })
        };
        let listed = trail.bucket.as_deref().map(|bucket| listed_name(bucket, &trail.prefix));
        match (&trail.queue, listed) {
            (Some(url), listed) => {
                let listing = listed.map(|name| part(Way::DailyListing, &name));
                std::iter::once(part(Way::Queue, queue_name(url))).chain(listing).collect()
            }
            (None, Some(name)) => Ok(vec![part(Way::Listing, &name)?]),
            (None, None) => Err(usage("[[trails]]: each needs a bucket or a queue")),
        }
    }

    /// The bucket or the queue.
    pub(super) fn name(&self) -> &'t str {
        match (self.way, &self.trail.queue) {
            (Way::Queue, Some(url)) => queue_name(url),
            _ => self.trail.bucket.as_deref().unwrap_or_default(),
        }
    }

    /// What `status` expects of it.
    fn expectation(&self, config: &Config) -> Option<Expectation> {
        let Expectation { rules, every } = expectation(config);
        let horizon = Duration::from_secs(u64::from(self.trail.days) * 86_400);
        let every = match self.way {
            Way::Queue => return None,
            Way::Listing => every,
            Way::DailyListing => every + ALL_DAYS + LIST_AGAIN,
        };
        Some(Expectation { rules: Rules { settle: DELIVERY, horizon, ..rules }, every })
    }
}

/// The parts of all trails. Buckets that several queues tell of are listed once.
pub(super) fn parts(trails: &[TrailConfig]) -> anyhow::Result<Vec<Part<'_>>> {
    let mut all: Vec<Part<'_>> = Vec::new();
    for part in trails.iter().map(Part::of).collect::<anyhow::Result<Vec<_>>>()?.into_iter().flatten() {
        let is_daily = |part: &Part<'_>| part.way == Way::DailyListing;
        match all.iter_mut().find(|known| known.stream == part.stream) {
            None => all.push(part),
            Some(_) if is_daily(&part) => {}
            Some(known) if is_daily(known) => *known = part,
            Some(_) => {
                let name = part.name();
                return Err(usage(format!(
                    "[[trails]]: {name} is named twice: name all its accounts and regions in one"
                )));
            }
        }
    }
    Ok(all)
}

/// What is remembered of all trails, and what is expected of them.
pub(crate) fn expected(config: &Config, known: &[StreamState]) -> anyhow::Result<Vec<status::Trail>> {
    let trail = |part: Part<'_>| {
        let state = known.iter().find(|state| state.stream == part.stream).cloned();
        let state = state.unwrap_or_else(|| StreamState::new(part.stream.clone()));
        status::Trail { state, expectation: part.expectation(config) }
    };
    Ok(parts(&config.trails)?.into_iter().map(trail).collect())
}

/// What trails are remembered as.
pub(crate) fn streams(trails: &[TrailConfig]) -> anyhow::Result<Vec<Stream>> {
    Ok(parts(trails)?.into_iter().map(|part| part.stream).collect())
}

/// The last part of a queue's address.
fn queue_name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or_default()
}

/// What a bucket is remembered as: trails with other prefixes in it are others.
fn listed_name(bucket: &str, prefix: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || "-_".contains(letter) { letter } else { '.' };
    match prefix.trim_matches('/') {
        "" => bucket.to_owned(),
        prefix => format!("{bucket}.{}", prefix.chars().map(plain).collect::<String>()),
    }
}

/// Finds mistakes in the configuration of trails.
pub(crate) fn check(trails: &[TrailConfig]) -> anyhow::Result<()> {
    parts(trails).map(drop)
}

/// What the history of runs calls the reading of a trail.
pub(super) fn command_of(stream: &Stream) -> String {
    format!("{ACCOUNT} {}", stream.source)
}

/// Whether a run of this command read a trail, of those that are remembered as `streams` or, without them, any.
pub(crate) fn is_command(command: &str, streams: Option<&[Stream]>) -> bool {
    match streams {
        Some(streams) => streams.iter().any(|stream| command_of(stream) == command),
        None => command.split(' ').next() == Some(ACCOUNT),
    }
}

/// Whether a stream is a trail.
pub(crate) fn is_trail(stream: &Stream) -> bool {
    stream.account == ACCOUNT
}

//! One UTC day: when each account and region is busy, and the records made so far.

use std::collections::HashMap;
use std::rc::Rc;

use crate::actions::Action;
use crate::calendar::{WINDOW, activity};
use crate::call::{Call, Scribe, Shared};
use crate::chance::Chance;
use crate::delivery::Batch;
use crate::identity::Caller;
use crate::organisation::{Organisation, STREAMS};
use crate::scene::Scene;

/// Everything a day's generation draws from and adds to.
pub(crate) struct Day<'a> {
    pub(crate) org: &'a Organisation,
    pub(crate) chance: Chance,
    pub(crate) batch: Batch,
    /// Events still to be made.
    pub(crate) left: usize,
    /// The starts of the busy windows of each of [`STREAMS`], in order. A quieter stream's windows are busy in every busier
    /// stream as well, so that what touches two of them happens in both at once.
    pub(crate) windows: Vec<Vec<i64>>,
    /// Role sessions in use, by stream, role and part of the day.
    pub(crate) sessions: HashMap<(usize, &'static str, usize), Rc<Caller>>,
    /// The day's first second.
    pub(crate) start: i64,
    /// When the leaked key is switched off.
    pub(crate) key_off: i64,
    scribe: Scribe,
}

/// What a day has to come to.
pub(crate) struct Quota {
    /// First second and the second after the last.
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// Events, planted ones not counted.
    pub(crate) events: usize,
    /// About how many files.
    pub(crate) files: usize,
    /// Whether it is the trail's last day.
    pub(crate) newest: bool,
    /// When the leaked key is switched off: its owner does not use it afterwards.
    pub(crate) key_off: i64,
}

impl<'a> Day<'a> {
    /// Begins a day.
    pub(crate) fn new(org: &'a Organisation, quota: &Quota, mut chance: Chance) -> Self {
        let windows = busy_windows(quota, &mut chance);
        let batch = Batch::with_capacity(quota.events);
        let sessions = HashMap::new();
        Self {
            org,
            chance,
            batch,
            left: quota.events,
            windows,
            sessions,
            start: quota.start,
            key_off: quota.key_off,
            scribe: Scribe::default(),
        }
    }

    /// Makes the record of an ordinary call. Nothing happens once the day is full.
    pub(crate) fn act(&mut self, scene: &mut Scene<'_>, caller: &Caller, action: &Action) {
        let call = Call::ordinary(action, caller, &mut self.chance);
        self.record(scene, caller, &call, None);
    }

    /// Makes the record of a call. Nothing happens once the day is full.
    pub(crate) fn record(&mut self, scene: &mut Scene<'_>, caller: &Caller, call: &Call, shared: Option<&Shared>) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        let start = self.batch.text.len();
        self.scribe.write(scene, caller, call, shared, &mut self.chance, &mut self.batch.text);
        let delivered = self.delivery(scene);
        self.batch.note(scene.account, scene.region, delivered, start);
    }

    /// One of the streams, by the weight of its traffic.
    pub(crate) fn any_stream(&mut self) -> usize {
        let total: f64 = STREAMS.iter().map(|(_, _, weight)| weight).sum();
        let mut left = self.chance.fraction() * total;
        for (stream, (_, _, weight)) in STREAMS.iter().enumerate() {
            left -= weight;
            if left < 0.0 {
                return stream;
            }
        }
        0
    }

    /// One of a stream's busy windows.
    pub(crate) fn any_window(&mut self, stream: usize) -> i64 {
        *self.chance.pick(&self.windows[stream])
    }

    /// A scene somewhere in a window of a stream, early enough to go on for a while.
    pub(crate) fn scene(&mut self, stream: usize, window: i64) -> Scene<'a> {
        let (account, region, _) = STREAMS[stream];
        Scene::new(self.org, account, region, window + self.chance.between(6, 200))
    }

    /// Lets a few seconds pass, without leaving the window.
    pub(crate) fn pass(&mut self, scene: &mut Scene<'_>) {
        let last = scene.time.div_euclid(WINDOW) * WINDOW + WINDOW - 1;
        let step = self.chance.between(0, 4);
        scene.next((scene.time + step).min(last));
    }

    /// When CloudTrail delivers what happens now: some five minutes after the window, now and then with the next file.
    fn delivery(&mut self, scene: &Scene<'_>) -> i64 {
        let window = scene.time.div_euclid(WINDOW) * WINDOW;
        if !self.chance.one_in(50) {
            return window + 2 * WINDOW;
        }
        let Some(stream) = stream_of(scene.account, scene.region) else { return window + 2 * WINDOW };
        let later = self.windows[stream].partition_point(|&busy| busy <= window);
        self.windows[stream].get(later).map_or(window, |&next| next) + 2 * WINDOW
    }
}

/// The stream of an account and region, if it is one of those in daily use.
pub(crate) fn stream_of(account: usize, region: usize) -> Option<usize> {
    STREAMS.iter().position(|&(a, r, _)| (a, r) == (account, region))
}

/// Chooses each stream's busy windows: all windows of the day are ranked once, busy hours first by chance, and a stream takes
/// as many from the top as its traffic earns. The trail's last window is always busy, so that the newest events are fresh.
fn busy_windows(quota: &Quota, chance: &mut Chance) -> Vec<Vec<i64>> {
    let first = quota.start.div_euclid(WINDOW) * WINDOW;
    let candidates = (0..).map(|number| first + number * WINDOW);
    let candidates =
        candidates.take_while(|window| window + WINDOW <= quota.end).filter(|window| *window >= quota.start);
    let mut ranked: Vec<(f64, i64)> =
        candidates.map(|window| (chance.fraction().powf(1.0 / activity(window)), window)).collect();
    if quota.newest
        && let Some(last) = ranked.last_mut()
    {
        last.0 = 2.0;
    }
    ranked.sort_by(|one, other| other.0.total_cmp(&one.0));
    // Quiet streams get more than their share of files: their traffic comes in small bits.
    let earned: f64 = STREAMS.iter().map(|(_, _, weight)| weight.powf(0.7)).sum();
    let windows = STREAMS.iter().map(|(_, _, weight)| {
        let count = (quota.files as f64 * weight.powf(0.7) / earned).round().max(1.0) as usize;
        let mut windows: Vec<i64> = ranked.iter().take(count).map(|(_, window)| *window).collect();
        windows.sort_unstable();
        windows
    });
    windows.collect()
}

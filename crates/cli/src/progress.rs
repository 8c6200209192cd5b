//! The progress bar of a run: files, speed and what is left, on standard error.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pipeline::ingest::Progress;
use pipeline::source::SizeHint;

use crate::output::{bytes, count};

/// A bar that follows a run's counts until it is finished.
pub(crate) struct Bar {
    bar: ProgressBar,
    done: Arc<AtomicBool>,
    follower: Option<JoinHandle<()>>,
}

impl Bar {
    /// Items are called `items`: files, pages.
    pub(crate) fn start(progress: &Arc<Progress>, size: SizeHint, items: &'static str, wanted: bool) -> Bar {
        let done = Arc::new(AtomicBool::new(false));
        if !wanted {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
            return Bar { bar, done, follower: None };
        }
        let bar = ProgressBar::with_draw_target(size.bytes, ProgressDrawTarget::stderr());
        let template = match size.bytes {
            Some(_) => "{bar:24.cyan} {percent:>3}%  {msg}  {eta} left",
            None => "{spinner:.cyan}  {msg}  {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let follower = std::thread::spawn({
            let (bar, done, progress) = (bar.clone(), Arc::clone(&done), Arc::clone(progress));
            move || follow(&bar, &done, &progress, size, items)
        });
        Bar { bar, done, follower: Some(follower) }
    }

    /// Runs something that writes to standard error, without the bar getting in its way.
    pub(crate) fn suspend(&self, write: impl FnOnce()) {
        self.bar.suspend(write);
    }

    /// Takes the bar away.
    pub(crate) fn finish(mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(follower) = self.follower.take() {
            follower.thread().unpark();
            // A bar that failed to draw has nothing to tell.
            let _ = follower.join();
        }
        self.bar.finish_and_clear();
    }
}

fn follow(bar: &ProgressBar, done: &AtomicBool, progress: &Progress, size: SizeHint, noun: &str) {
    while !done.load(Ordering::Relaxed) {
        std::thread::park_timeout(Duration::from_millis(100));
        let seconds = bar.elapsed().as_secs_f64().max(0.1);
        let items = progress.items.load(Ordering::Relaxed);
        let inflated = progress.inflated.load(Ordering::Relaxed);
        let records = progress.records.load(Ordering::Relaxed);
        let of = size.items.map(|all| format!("/{}", count(all))).unwrap_or_default();
        bar.set_position(progress.bytes.load(Ordering::Relaxed));
        bar.set_message(format!(
            "{}{of} {noun}  {}/s  {} events/s  {} alerts",
            count(items),
            bytes((inflated as f64 / seconds) as u64),
            count((records as f64 / seconds) as u64),
            count(progress.alerts.load(Ordering::Relaxed)),
        ));
    }
}

/// A bar that follows a verification until it is finished.
pub(crate) struct Verifying {
    bar: ProgressBar,
    done: Arc<AtomicBool>,
    follower: Option<JoinHandle<()>>,
}

impl Verifying {
    pub(crate) fn start(progress: &Arc<integrity::verify::Progress>, lanes: u64, wanted: bool) -> Verifying {
        let done = Arc::new(AtomicBool::new(false));
        let target = if wanted { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(lanes), target);
        if let Ok(style) =
            ProgressStyle::with_template("{bar:24.cyan} {pos}/{len} accounts and regions  {msg}  {elapsed}")
        {
            bar.set_style(style);
        }
        let follower = wanted.then(|| {
            let (bar, done, progress) = (bar.clone(), Arc::clone(&done), Arc::clone(progress));
            std::thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    std::thread::park_timeout(Duration::from_millis(100));
                    let seconds = bar.elapsed().as_secs_f64().max(0.1);
                    let number = |of: &std::sync::atomic::AtomicU64| of.load(Ordering::Relaxed);
                    bar.set_position(number(&progress.lanes));
                    bar.set_message(format!(
                        "{} digests  {} log files  {}/s",
                        count(number(&progress.digests)),
                        count(number(&progress.logs)),
                        bytes((number(&progress.inflated) as f64 / seconds) as u64),
                    ));
                }
            })
        });
        Verifying { bar, done, follower }
    }

    /// Takes the bar away.
    pub(crate) fn finish(mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(follower) = self.follower.take() {
            follower.thread().unpark();
            // A bar that failed to draw has nothing to tell.
            let _ = follower.join();
        }
        self.bar.finish_and_clear();
    }
}

//! Threads that do small pieces of work for several lanes at once.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;

use crate::inflate::Inflater;

/// Into how many parts for each thread work is divided.
const PARTS: usize = 4;

type Job<'env> = Box<dyn FnOnce(&mut Inflater) + Send + 'env>;

/// Hands out work. Its threads end when the last one of it is dropped.
#[derive(Clone)]
pub(crate) struct Pool<'env> {
    jobs: SyncSender<Job<'env>>,
    threads: usize,
}

impl<'env> Pool<'env> {
    pub(crate) fn start<'scope>(scope: &'scope Scope<'scope, 'env>, threads: usize) -> Pool<'env> {
        let threads = threads.max(1);
        let (jobs, queue) = sync_channel::<Job<'env>>(4 * threads);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads {
            let queue = Arc::clone(&queue);
            scope.spawn(move || {
                let mut inflater = Inflater::default();
                loop {
                    let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    match job {
                        Ok(job) => job(&mut inflater),
                        Err(_) => return,
                    }
                }
            });
        }
        Pool { jobs, threads }
    }

    /// Does `work` with each item. What comes of them is in the order of the items.
    pub(crate) fn each<C, T, R>(&self, context: C, items: Vec<T>, work: fn(C, &mut Inflater, T) -> R) -> Vec<R>
    where
        C: Copy + Send + 'env,
        T: Send + 'env,
        R: Send + 'env,
    {
        let mut ordered: Vec<Option<R>> = items.iter().map(|_| None).collect();
        // A piece of work on a local file is done sooner than a thread is awake: they are handed out a few at a time, as
        // long as each thread gets several.
        let at_once = (items.len() / (PARTS * self.threads)).max(1);
        let (done, results) = sync_channel(items.len());
        let mut items = items.into_iter().enumerate();
        loop {
            let part: Vec<(usize, T)> = items.by_ref().take(at_once).collect();
            if part.is_empty() {
                break;
            }
            let done = done.clone();
            let job: Job<'env> = Box::new(move |inflater| {
                let part: Vec<(usize, R)> =
                    part.into_iter().map(|(place, item)| (place, work(context, inflater, item))).collect();
                // Nobody waits where another thread has panicked, which ends the run.
                let _ = done.send(part);
            });
            assert!(self.jobs.send(job).is_ok(), "the threads end after those who hand out work");
        }
        drop(done);
        for (place, result) in results.into_iter().flatten() {
            ordered[place] = Some(result);
        }
        let all: Option<Vec<R>> = ordered.into_iter().collect();
        all.expect("a thread that panics ends the run")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_the_items() {
        for threads in [0, 1, 3] {
            let squares = std::thread::scope(|scope| {
                let pool = Pool::start(scope, threads);
                assert!(pool.each((), Vec::<u64>::new(), |(), _, number| number).is_empty());
                pool.each(7u64, (0..100).collect(), |add, _, number: u64| number * number + add)
            });
            assert_eq!(squares, (0..100).map(|number| number * number + 7).collect::<Vec<u64>>());
        }
    }
}

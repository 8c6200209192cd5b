//! Threads that do small pieces of work for several lanes at once.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;

use crate::inflate::Inflater;

type Job<'env> = Box<dyn FnOnce(&mut Inflater) + Send + 'env>;

/// Hands out work. Its threads end when the last one of it is dropped.
#[derive(Clone)]
pub(crate) struct Pool<'env> {
    jobs: SyncSender<Job<'env>>,
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
        Pool { jobs }
    }

    /// Does `work` with each item. What comes of them is in the order of the items.
    pub(crate) fn each<C, T, R>(&self, context: C, items: Vec<T>, work: fn(C, &mut Inflater, T) -> R) -> Vec<R>
    where
        C: Copy + Send + 'env,
        T: Send + 'env,
        R: Send + 'env,
    {
        let (done, results) = sync_channel(items.len());
        let mut ordered: Vec<Option<R>> = items.iter().map(|_| None).collect();
        for (place, item) in items.into_iter().enumerate() {
            let done = done.clone();
            let job: Job<'env> = Box::new(move |inflater| {
                // Nobody waits where another thread has panicked, which ends the run.
                let _ = done.send((place, work(context, inflater, item)));
            });
            assert!(self.jobs.send(job).is_ok(), "the threads end after those who hand out work");
        }
        drop(done);
        for (place, result) in results {
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

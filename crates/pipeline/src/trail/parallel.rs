//! A few things at once, in threads that end with them.

use std::sync::Mutex;

use crate::intake::lock;

/// Does `work` with each item, at most `threads` at once. What comes of them is in the order of the items.
pub(super) fn each<T: Send, R: Send>(threads: usize, items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let threads = threads.clamp(1, items.len().max(1));
    if threads == 1 {
        return items.into_iter().map(work).collect();
    }
    let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
    let next = Mutex::new(items.into_iter().zip(results.iter_mut()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Some((item, result)) = lock(&next).next() else { return };
                    *result = Some(work(item));
                }
            });
        }
    });
    drop(next);
    // A thread that panicked has ended this one, too.
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::each;

    #[test]
    fn results_keep_the_order_of_the_items() {
        for threads in [0, 1, 3, 100] {
            let squares = each(threads, (0..50).collect(), |number: u64| number * number);
            assert_eq!(squares, (0..50).map(|number| number * number).collect::<Vec<u64>>());
        }
        assert!(each(4, Vec::new(), |number: u64| number).is_empty());
    }
}

//! Threads that share work which is in pieces: whoever is free takes the next one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// What `work` makes of each number below `count`, in their order; done by this thread and `threads - 1` others.
pub fn each<T: Send>(threads: usize, count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    if threads <= 1 || count <= 1 {
        return (0..count).map(work).collect();
    }
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(count)));
    let some = || {
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= count {
                return;
            }
            let made = work(i);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((i, made));
        }
    };
    std::thread::scope(|scope| {
        (1..threads.min(count)).for_each(|_| {
            scope.spawn(some);
        });
        some();
    });
    let mut done: Vec<(usize, T)> = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, made)| made).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_done_once_and_told_in_order() {
        for threads in [1, 2, 7] {
            for count in [0, 1, 2, 100] {
                let calls = AtomicUsize::new(0);
                let made = each(threads, count, |i| {
                    calls.fetch_add(1, Ordering::Relaxed);
                    i * i
                });
                assert_eq!(made, (0..count).map(|i| i * i).collect::<Vec<_>>());
                assert_eq!(calls.into_inner(), count);
            }
        }
    }
}

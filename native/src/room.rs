//! Memory that whole files are read into, kept for the next ones: fresh memory costs as much as reading does.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

const MOST_KEPT_BYTES: usize = 64 << 20;

static KEPT: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

fn kept() -> MutexGuard<'static, Vec<Vec<u8>>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Some bytes, of which nobody may care what they are until they are written.
pub struct Room {
    memory: Vec<u8>,
    size: usize,
}

impl Room {
    pub fn of(size: usize) -> Self {
        let mut memory = kept().pop().unwrap_or_default();
        if memory.capacity() < size {
            memory = Vec::new();
            memory.reserve_exact(size);
        }
        if memory.len() < size {
            memory.resize(size, 0);
        }
        Self { memory, size }
    }
}

impl Deref for Room {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[..self.size]
    }
}

impl DerefMut for Room {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[..self.size]
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut kept = kept();
        if kept.iter().map(Vec::capacity).sum::<usize>() + self.memory.capacity() <= MOST_KEPT_BYTES {
            kept.push(std::mem::take(&mut self.memory));
        }
    }
}

/// Gives back what is kept.
pub fn let_go() {
    kept().clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_until_it_is_let_go() {
        let mut first = Room::of(1000);
        first.fill(7);
        let place = first.as_ptr();
        drop(first);
        let second = Room::of(10);
        assert_eq!((second.as_ptr(), second.len()), (place, 10));
        drop(second);
        assert_eq!(Room::of(5000).len(), 5000);
        drop(Room::of(MOST_KEPT_BYTES + 1));
        assert!(kept().iter().all(|memory| memory.capacity() <= MOST_KEPT_BYTES));
        let_go();
        assert!(kept().is_empty());
    }
}

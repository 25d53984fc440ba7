//! Memory that whole files are read into, kept for the next ones: fresh memory costs as much as reading does.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

const MOST_KEPT_BYTES: usize = 64 << 20;
/// Rooms are made as large as a multiple of this, so that the next ones, which are about as large, fit.
const STEP_BYTES: usize = 4 << 20;

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
        let memory = smallest_of(&mut kept(), size).unwrap_or_else(|| {
            let step = if size < STEP_BYTES { 1 } else { STEP_BYTES };
            vec![0; size.checked_next_multiple_of(step).unwrap_or(size)]
        });
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
        kept.push(std::mem::take(&mut self.memory));
        while kept.iter().map(Vec::len).sum::<usize>() > MOST_KEPT_BYTES {
            smallest_of(&mut kept, 0);
        }
    }
}

/// The smallest that has at least so many bytes.
fn smallest_of(kept: &mut Vec<Vec<u8>>, size: usize) -> Option<Vec<u8>> {
    let fitting = kept.iter().enumerate().filter(|(_, memory)| memory.len() >= size);
    let (i, _) = fitting.min_by_key(|(_, memory)| memory.len())?;
    Some(kept.swap_remove(i))
}

/// Gives back what is kept.
pub fn let_go() {
    kept().clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Other tests keep memory at the same time, of fewer bytes.
    const MANY: usize = 900;

    #[test]
    fn memory_is_used_again_until_it_is_let_go() {
        let mut first = Room::of(1000);
        first.fill(7);
        let place = first.as_ptr();
        drop(first);
        let second = Room::of(MANY);
        assert_eq!((second.as_ptr(), second.len()), (place, MANY));
        drop(second);
        assert_eq!(Room::of(5000).len(), 5000);
        assert_eq!(Room::of(MANY).as_ptr(), place);
        drop(Room::of(MOST_KEPT_BYTES + 1));
        assert!(kept().iter().map(Vec::len).sum::<usize>() <= MOST_KEPT_BYTES);
        assert_eq!(Room::of(STEP_BYTES + 1).memory.len(), 2 * STEP_BYTES);
        let_go();
        assert!(kept().iter().all(|memory| memory.len() < MANY));
    }
}

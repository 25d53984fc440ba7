//! What threads read columns in, kept for those who read next: fresh memory costs as much as reading does.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::lanes::Lanes;

use super::column::Room;

const MOST_KEPT_BYTES: usize = 24 << 20;

static KEPT: Mutex<Vec<Parts>> = Mutex::new(Vec::new());

fn kept() -> MutexGuard<'static, Vec<Parts>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a thread uses again and again.
#[derive(Default)]
pub struct Parts {
    rooms: Vec<Room>,
    lanes: Option<Lanes>,
}

impl Parts {
    pub fn of(&mut self, count: usize) -> &mut [Room] {
        while self.rooms.len() < count {
            self.rooms.push(Room::new());
        }
        &mut self.rooms[..count]
    }

    /// Lanes of at least so many rows, of which those are zero.
    pub fn lanes(&mut self, rows: usize) -> Lanes {
        match self.lanes.take() {
            Some(mut lanes) if lanes.len() >= rows => {
                lanes.rows(0, rows).clear();
                lanes
            }
            _ => Lanes::zeros(rows),
        }
    }

    /// Lanes that are not needed any more.
    pub fn give(&mut self, lanes: Lanes) {
        self.lanes = Some(lanes);
    }

    fn bytes(&self) -> usize {
        self.rooms.iter().map(Room::bytes).sum::<usize>() + self.lanes.as_ref().map_or(0, |lanes| 16 * lanes.len())
    }
}

/// Parts for the time of a reading.
pub struct Rooms(Parts);

impl Rooms {
    pub fn take() -> Self {
        Self(kept().pop().unwrap_or_default())
    }
}

impl Deref for Rooms {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl DerefMut for Rooms {
    fn deref_mut(&mut self) -> &mut Parts {
        &mut self.0
    }
}

impl Drop for Rooms {
    fn drop(&mut self) {
        let mut kept = kept();
        if kept.iter().map(Parts::bytes).sum::<usize>() + self.0.bytes() <= MOST_KEPT_BYTES {
            kept.push(std::mem::take(&mut self.0));
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
    fn what_was_read_in_is_used_again_and_zero_again() {
        let mut first = Rooms::take();
        let mut lanes = first.lanes(1000);
        lanes.rows(0, 1000).add_everywhere([7, 7]);
        first.give(lanes);
        drop(first);
        let mut second = Rooms::take();
        let lanes = second.lanes(10);
        assert_eq!((lanes.len(), lanes.pair(9)), (1000, [0, 0]));
        second.give(Lanes::zeros(MOST_KEPT_BYTES / 16 + 1));
        drop(second);
        assert!(kept().iter().map(Parts::bytes).sum::<usize>() <= MOST_KEPT_BYTES);
        let_go();
        assert!(kept().is_empty());
    }
}

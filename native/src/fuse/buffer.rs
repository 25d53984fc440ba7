//! Memory for what pages are decompressed into, kept for the next page of the same thread.

use std::cell::RefCell;
use std::ops::Deref;

const MOST_KEPT: usize = 4;
const MOST_KEPT_BYTES: usize = 2 << 20;

thread_local! {
    static KEPT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes in memory that is used again.
pub struct Buffer {
    memory: Vec<u8>,
    size: usize,
}

impl Buffer {
    /// `size` bytes, of which nobody may care what they are until they are written.
    pub fn of(size: usize) -> Self {
        let mut memory = KEPT.try_with(|kept| kept.borrow_mut().pop()).ok().flatten().unwrap_or_default();
        if memory.len() < size {
            memory.resize(size, 0);
        }
        Self { memory, size }
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.memory[..self.size]
    }

    /// Only the first `size` bytes.
    pub fn cut(&mut self, size: usize) {
        self.size = self.size.min(size);
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[..self.size]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        // A thread that ends has nothing to keep any more.
        let _ = KEPT.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            if kept.len() < MOST_KEPT && memory.capacity() <= MOST_KEPT_BYTES {
                kept.push(memory);
            }
        });
    }
}

/// Bytes of a file, or made of them.
pub enum Bytes<'a> {
    Lent(&'a [u8]),
    Made(Vec<u8>),
    Kept(Buffer),
}

impl Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Lent(bytes) => bytes,
            Self::Made(bytes) => bytes,
            Self::Kept(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_with_the_size_that_is_asked_for() {
        let mut first = Buffer::of(1000);
        first.bytes().fill(7);
        let place = first.as_ptr();
        drop(first);
        let second = Buffer::of(10);
        assert_eq!((second.as_ptr(), second.len()), (place, 10));
        assert_eq!(Buffer::of(5000).len(), 5000);
    }

    #[test]
    fn little_memory_is_kept() {
        drop(Buffer::of(MOST_KEPT_BYTES + 1));
        drop((0..20).map(|_| Buffer::of(100)).collect::<Vec<_>>());
        KEPT.with(|kept| {
            assert_eq!(kept.borrow().len(), MOST_KEPT);
            assert!(kept.borrow().iter().all(|memory| memory.capacity() <= MOST_KEPT_BYTES));
        });
    }
}

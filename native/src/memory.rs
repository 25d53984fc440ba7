//! Counts the memory that this package holds, so that tasks can be held to what they were promised. Arrow's own and Zstandard's are not in it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counted.
pub struct Counted;

/// Pieces of fewer bytes are counted beside the others, of each thread in one of a few places: threads that all counted in the same one would
/// wait for each other longer than it takes to get a piece.
const FEW_BYTES: usize = 2048;
const PLACES: usize = 16;

#[repr(align(128))]
struct Place(AtomicUsize);

static SMALL: [Place; PLACES] = [const { Place(AtomicUsize::new(0)) }; PLACES];

thread_local! {
    static HERE: u8 = const { 0 };
}

/// The place of this thread, by where its own memory is.
fn small() -> &'static AtomicUsize {
    let place = HERE.try_with(|here| (std::ptr::from_ref(here) as usize >> 12) % PLACES).unwrap_or(0);
    &SMALL[place].0
}

/// Bytes that are held now, and the most that were since this was asked before; the most of small pieces is what they are now.
pub fn held() -> (usize, usize) {
    let now = HELD.load(Relaxed);
    let most = MOST.swap(now, Relaxed).max(now);
    let small = SMALL.iter().fold(0usize, |sum, place| sum.wrapping_add(place.0.load(Relaxed)));
    (now.wrapping_add(small), most.wrapping_add(small))
}

fn grown(bytes: usize) {
    if bytes < FEW_BYTES {
        small().fetch_add(bytes, Relaxed);
        return;
    }
    let now = HELD.fetch_add(bytes, Relaxed).wrapping_add(bytes);
    if now > MOST.load(Relaxed) {
        MOST.fetch_max(now, Relaxed);
    }
}

fn shrunk(bytes: usize) {
    if bytes < FEW_BYTES {
        small().fetch_sub(bytes, Relaxed);
        return;
    }
    HELD.fetch_sub(bytes, Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came; to count allocates nothing and cannot panic.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller has promised what System asks for, here and below.
        let place = unsafe { System.alloc(layout) };
        if !place.is_null() {
            grown(layout.size());
        }
        place
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        let place = unsafe { System.alloc_zeroed(layout) };
        if !place.is_null() {
            grown(layout.size());
        }
        place
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) };
        shrunk(layout.size());
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        let moved = unsafe { System.realloc(place, layout, size) };
        if !moved.is_null() {
            shrunk(layout.size());
            grown(size);
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_and_given_back_is_counted_and_so_is_the_most_between() {
        let layout = Layout::from_size_align(1000, 8).expect("a layout");
        let larger = Layout::from_size_align(5000, 8).expect("a layout");
        assert_eq!(held(), (0, 0));
        // SAFETY: each place is given back once, with the layout that it has then.
        unsafe {
            let first = Counted.alloc(layout);
            let second = Counted.alloc_zeroed(layout);
            let first = Counted.realloc(first, layout, larger.size());
            assert_eq!(held(), (6000, 6000));
            Counted.dealloc(first, larger);
            assert_eq!(held(), (1000, 6000));
            assert_eq!(held(), (1000, 1000));
            Counted.dealloc(second, layout);
        }
        assert_eq!(held(), (0, 0));
    }
}

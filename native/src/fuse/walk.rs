//! Looks at several Snappy streams beside each other. Where an element begins is known only once the one before was read, so one stream
//! alone is mostly waited for; and which kind comes next cannot be foreseen, so a table says what each is instead of a branch.

use super::snappy::length;

/// Where a walk is shares a word with what it made, and a byte makes 64 at most: neither half may run over.
const MOST_BYTES: usize = 32 << 20;

/// What a tag says: how far the next element is and (in the upper half) how many bytes are made, before what a literal's own length adds to
/// both; which of the bytes behind it are that length, which are an offset, and what of an offset is in the tag.
#[derive(Clone, Copy)]
struct Kind {
    step: u64,
    offset: u32,
    high: u16,
    literal: u16,
    copies: u32,
}

static KINDS: [Kind; 256] = kinds();

const fn kinds() -> [Kind; 256] {
    let mut all = [Kind { step: 0, offset: 0, high: 0, literal: 0, copies: 0 }; 256];
    let mut tag = 0;
    while tag < all.len() {
        let upper = (tag >> 2) as u64;
        let (bytes, made, offset, high, literal, copies) = match tag & 3 {
            0 if upper < 60 => (upper + 2, upper + 1, 0, 0, 0, 0),
            0 if upper == 60 => (3, 1, 0, 0, 0xff, 0),
            0 if upper == 61 => (4, 1, 0, 0, 0xffff, 0),
            0 => (1, 0, 0, 0, 0, 1), // longer than pages are: a copy from nowhere, so that it is looked at otherwise
            1 => (2, (upper & 7) + 4, 0xff, (upper as u16 >> 3) << 8, 0, 1),
            2 => (3, upper + 1, 0xffff, 0, 0, 1),
            _ => (5, upper + 1, u32::MAX, 0, 0, 1),
        };
        all[tag] = Kind { step: bytes | made << 32, offset, high, literal, copies };
        tag += 1;
    }
    all
}

/// How far a stream was followed. `place`: of the next element, and in the upper half how many bytes are made; `bad`: negative once a copy
/// was of bytes that did not come before.
struct Walk<'a> {
    data: &'a [u8],
    place: u64,
    bad: i64,
}

impl<'a> Walk<'a> {
    fn new(data: &'a [u8], start: usize) -> Self {
        Self { data, place: start as u64, bad: 0 }
    }

    fn at(&self) -> usize {
        (self.place & u64::from(u32::MAX)) as usize
    }

    /// Passes the element that begins with these bytes.
    #[inline(always)]
    fn pass(&mut self, bytes: u64) {
        let kind = &KINDS[(bytes & 0xff) as usize];
        let behind = (bytes >> 8) as u32;
        let offset = (behind & kind.offset) | u32::from(kind.high);
        // An offset of nothing becomes one that is larger than all that could come before.
        let reach = u64::from(offset.wrapping_sub(kind.copies)) + u64::from(kind.copies);
        self.bad |= (self.place >> 32) as i64 - reach as i64;
        self.place += kind.step + u64::from(behind as u16 & kind.literal) * (1 | 1 << 32);
    }

    /// Passes an element, unless it is one of the last.
    #[inline(always)]
    fn step(&mut self) -> bool {
        let Some(bytes) = self.data.get(self.at()..).and_then(|rest| rest.first_chunk()) else { return false };
        self.pass(u64::from_le_bytes(*bytes));
        true
    }

    /// Passes all that are left; whether all of them are sound and make `size` bytes.
    fn ends_soundly(mut self, size: usize) -> bool {
        while self.step() {}
        while let Some(rest) = self.data.get(self.at()..).filter(|rest| !rest.is_empty()) {
            let mut bytes = [0; 8];
            bytes[..rest.len().min(8)].copy_from_slice(&rest[..rest.len().min(8)]);
            self.pass(u64::from_le_bytes(bytes));
        }
        self.bad >= 0 && self.at() == self.data.len() && self.place >> 32 == size as u64
    }
}

/// Of each of these streams and of how many bytes it is to make: true only where its elements make as many and every copy is of bytes that
/// came before. What is not surely so may be sound nevertheless: those that are left when the others went together are not looked at.
pub fn surely_sound(streams: &[(&[u8], usize)]) -> Vec<bool> {
    let begun = |i: usize| {
        let (data, size) = streams[i];
        let (told, start) = length(data).ok()?;
        (told == size && data.len().max(size) <= MOST_BYTES).then(|| (i, Walk::new(data, start)))
    };
    let mut walks = (0..streams.len()).filter_map(begun);
    let mut sound = vec![false; streams.len()];
    while let (Some(a), Some(b), Some(c), Some(d)) = (walks.next(), walks.next(), walks.next(), walks.next()) {
        let which = [a.0, b.0, c.0, d.0];
        let mut all = [a.1, b.1, c.1, d.1];
        while all.iter_mut().all(Walk::step) {}
        for (i, walk) in which.into_iter().zip(all) {
            sound[i] = walk.ends_soundly(streams[i].1);
        }
    }
    sound
}

#[cfg(test)]
mod tests {
    use super::super::snappy::check;
    use super::*;

    #[test]
    fn what_is_surely_sound_is_what_the_check_of_one_stream_passes() {
        let mut seed = 5u64;
        let mut next = move |most: usize| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as usize % most
        };
        let kinds: [fn(usize) -> Vec<u8>; 4] = [
            |n| (0..n as u64 * 9).flat_map(|i| (i * 7 / 3).to_le_bytes()).collect(),
            |n| (0..n * 5).flat_map(|i| format!("{:016x}-{i}", (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)).into_bytes()).collect(),
            |n| (0..n * 31).map(|i| (i % 7 * (i / 900)) as u8).collect(),
            |n| (0..n * 900).map(|i| ((i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 55) as u8).collect(),
        ];
        let mut passed = 0;
        for round in 0..2000 {
            let made: Vec<Vec<u8>> = (0..5).map(|i| kinds[(round + i) % 4](next(100))).collect();
            let mut stored: Vec<Vec<u8>> =
                made.iter().map(|data| snap::raw::Encoder::new().compress_vec(data).expect("compresses")).collect();
            for bad in stored.iter_mut().filter(|_| round > 0).take(1 + round % 4) {
                match next(3) {
                    0 => bad.truncate(bad.len() - next(bad.len() / 2 + 1)),
                    1 => bad.extend([0, 7]),
                    _ => {
                        let at = next(bad.len());
                        bad[at] = next(256) as u8;
                    }
                }
            }
            let streams: Vec<(&[u8], usize)> = stored.iter().zip(&made).map(|(stored, made)| (&stored[..], made.len())).collect();
            let sound = surely_sound(&streams);
            for ((data, size), sound) in streams.iter().zip(&sound) {
                assert!(!sound || check(data, *size) == Ok(()));
                passed += usize::from(*sound);
            }
            assert!(round > 0 || sound == [true, true, true, true, false]);
        }
        assert!(passed > 3000, "{passed}");
    }

    #[test]
    fn a_stream_that_makes_more_than_a_word_counts_is_not_sound() {
        let mut data = vec![8, 0, 1];
        data.resize(data.len() + 3 * (1 << 20), 0);
        data[3..].chunks_exact_mut(3).for_each(|copy| copy.copy_from_slice(&[63 << 2 | 2, 1, 0]));
        let long = (&data[..], 8);
        assert_eq!(surely_sound(&[long; 4]), [false; 4]);
        const { assert!((MOST_BYTES as u64) < (1 << 32) / 64) };
    }
}

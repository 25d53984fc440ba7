//! The arithmetic of row fingerprints, the same as compactor/rewriting/lanes.py, which says why it is as it is: two lanes of 64 bits a row,
//! to which every word of every value adds its product with two odd factors. What it computes is algorithm `rows-1` and may not change.

use std::sync::OnceLock;

const A: u64 = 0x9E37_79B9_7F4A_7C15;
const B: u64 = 0xD6E8_FEB8_6659_FD93;
const C: u64 = 0xC2B2_AE3D_27D4_EB4F;

/// Words of 64 bits in which Python hands over a key.
pub const KEY_WORDS: usize = 18;
const NEAR: usize = 16;
const FAR: usize = 1024;

/// Two factors, or two lanes of a row.
pub type Pair = [u64; 2];

/// A bijection that moves what differs upwards, and down again.
#[inline(always)]
pub fn scrambled(word: u64) -> u64 {
    word.wrapping_mul(A).swap_bytes()
}

/// Adds `scrambled`, times two factors, to two lanes.
#[inline(always)]
pub fn add(lanes: &mut Pair, scrambled: u64, factors: Pair) {
    lanes[0] = lanes[0].wrapping_add(scrambled.wrapping_mul(factors[0]));
    lanes[1] = lanes[1].wrapping_add(scrambled.wrapping_mul(factors[1]));
}

/// Adds one pair to another.
#[inline(always)]
pub fn add_pair(lanes: &mut Pair, other: Pair) {
    lanes[0] = lanes[0].wrapping_add(other[0]);
    lanes[1] = lanes[1].wrapping_add(other[1]);
}

/// A bijection in which each bit of the result depends on all bits of the word.
#[inline(always)]
fn mixed(mut word: u64) -> u64 {
    word ^= word >> 32;
    word = word.wrapping_mul(B);
    word ^= word >> 29;
    word = word.wrapping_mul(C);
    word ^ (word >> 29)
}

/// The 128 bits of a row, when all its values have been added.
#[inline(always)]
pub fn finished(lanes: Pair, keys: Pair) -> u128 {
    let high = mixed(lanes[0].wrapping_add(keys[0]));
    let low = mixed((lanes[1] ^ high).wrapping_add(keys[1]));
    (u128::from(high) << 64) | u128::from(low)
}

/// A column, or a place inside one, as the words that bind values to it.
#[derive(Debug)]
pub struct Key {
    pub starts: [u64; 4],
    pub factors: [Pair; 4],
    pub count: Pair,
    pub finish: Pair,
    bases: Pair,
    near: [Pair; NEAR],
    far: OnceLock<Box<[Pair]>>,
}

impl Key {
    /// From the words that `words_of_name` makes of a path.
    pub fn new(words: &[u64; KEY_WORDS]) -> Self {
        let odd = |i: usize| [words[i] | 1, words[i + 1] | 1];
        let bases = [words[16], words[17]];
        Self {
            starts: [words[0], words[1], words[2], words[3]],
            factors: [odd(4), odd(6), odd(8), odd(10)],
            count: odd(12),
            finish: [words[14], words[15]],
            bases,
            near: std::array::from_fn(|i| factors_of(bases, i)),
            far: OnceLock::new(),
        }
    }

    /// The factors of a place in a long value or list.
    #[inline(always)]
    pub fn factors_at(&self, position: usize) -> Pair {
        match self.near.get(position) {
            Some(pair) => *pair,
            None => self.factors_far(position),
        }
    }

    fn factors_far(&self, position: usize) -> Pair {
        let known = self.far.get_or_init(|| (0..FAR).map(|i| factors_of(self.bases, i)).collect());
        known.get(position).copied().unwrap_or_else(|| factors_of(self.bases, position))
    }
}

fn factors_of(bases: Pair, position: usize) -> Pair {
    let place = (position as u64).wrapping_mul(A);
    bases.map(|base| mixed(place.wrapping_add(base)) | 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::new(&std::array::from_fn(|i| (i as u64 + 1).wrapping_mul(A)))
    }

    #[test]
    fn factors_are_odd_and_do_not_depend_on_where_they_are_kept() {
        let key = key();
        for position in [0, NEAR - 1, NEAR, FAR - 1, FAR, 1 << 40] {
            let found = key.factors_at(position);
            assert_eq!(found, factors_of(key.bases, position));
            assert!(found.iter().all(|factor| factor & 1 == 1));
        }
    }

    #[test]
    fn each_lane_reaches_the_result() {
        let keys = key().finish;
        let all = [[0, 0], [1, 0], [0, 1], [1, 1]].map(|lanes| finished(lanes, keys));
        for (i, one) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|other| other != one));
        }
    }
}

//! The arithmetic of row fingerprints, the same as compactor/rewriting/lanes.py, which says why it is as it is: two lanes of 64 bits a row,
//! to which every word of every value adds its product with two odd factors. What it computes is algorithm `rows-1` and may not change.

use std::sync::OnceLock;

use crate::layout::word;
use crate::wide::over_rows;

const A: u64 = 0x9E37_79B9_7F4A_7C15;
const B: u64 = 0xD6E8_FEB8_6659_FD93;
const C: u64 = 0xC2B2_AE3D_27D4_EB4F;

/// Words of 64 bits in which Python hands over a key.
pub const KEY_WORDS: usize = 18;
const NEAR: usize = 16;
const FAR: usize = 1024;

/// Two factors, or what one row has in its two lanes.
pub type Pair = [u64; 2];

/// A bijection that moves what differs upwards, and down again.
#[inline(always)]
pub fn scrambled(word: u64) -> u64 {
    word.wrapping_mul(A).swap_bytes()
}

/// Kinds of entries that a table of weights has room for.
pub const MOST_LEVELS: usize = 32;

/// What entries of a list count for by their kind, lane by lane: outside of the list, and inside of it.
#[derive(Default)]
pub struct Weights {
    pub outside: [[u64; MOST_LEVELS]; 2],
    pub inside: [[u64; MOST_LEVELS]; 2],
}

/// Adds a scrambled word, times two factors.
#[inline(always)]
pub fn add(pair: &mut Pair, scrambled: u64, factors: Pair) {
    pair[0] = pair[0].wrapping_add(scrambled.wrapping_mul(factors[0]));
    pair[1] = pair[1].wrapping_add(scrambled.wrapping_mul(factors[1]));
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

/// The two lanes of some rows.
pub struct Lanes {
    first: Vec<u64>,
    second: Vec<u64>,
}

impl Lanes {
    /// Lanes to which nothing has been added.
    pub fn zeros(rows: usize) -> Self {
        Self { first: vec![0; rows], second: vec![0; rows] }
    }

    pub fn len(&self) -> usize {
        self.first.len()
    }

    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    pub fn rows(&mut self, from: usize, to: usize) -> Rows<'_> {
        Rows { first: &mut self.first[from..to], second: &mut self.second[from..to] }
    }

    /// Adds what other lanes of the same rows hold.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in [(&mut self.first, &other.first), (&mut self.second, &other.second)] {
            mine.iter_mut().zip(theirs).for_each(|(one, another)| *one = one.wrapping_add(*another));
        }
    }

    /// All rows but the last.
    pub fn pairs(&self) -> Vec<Pair> {
        let rows = self.first.len().saturating_sub(1);
        (0..rows).map(|row| self.pair(row)).collect()
    }

    /// The first rows, put behind a table.
    pub fn append_to(&self, rows: usize, table: &mut Vec<Pair>) {
        table.extend(self.first[..rows].iter().zip(&self.second[..rows]).map(|(first, second)| [*first, *second]));
    }

    pub fn pair(&self, row: usize) -> Pair {
        [self.first[row], self.second[row]]
    }
}

/// Some rows' lanes, to add to.
pub struct Rows<'a> {
    first: &'a mut [u64],
    second: &'a mut [u64],
}

impl Rows<'_> {
    pub fn len(&self) -> usize {
        self.first.len()
    }

    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// Some of these rows.
    pub fn part(&mut self, from: usize, to: usize) -> Rows<'_> {
        Rows { first: &mut self.first[from..to], second: &mut self.second[from..to] }
    }

    pub fn clear(&mut self) {
        self.first.fill(0);
        self.second.fill(0);
    }

    /// Adds to each row what follows from two numbers of its own.
    #[inline(always)]
    pub fn add_to_each(&mut self, ones: &[u64], others: &[u64], what: impl Fn(u64, u64) -> Pair) {
        for (((first, second), one), other) in self.first.iter_mut().zip(self.second.iter_mut()).zip(ones).zip(others) {
            let pair = what(*one, *other);
            *first = first.wrapping_add(pair[0]);
            *second = second.wrapping_add(pair[1]);
        }
    }

    /// Adds to row after row what each of these sums is more than the one before. The first is of row `from`, where it is not zero.
    pub fn add_steps(&mut self, from: usize, sums: &[Pair]) {
        if sums[0] != [0; 2] {
            self.add_pair(from, sums[0]);
        }
        let (count, from) = (sums.len() - 1, from.wrapping_add(1));
        let rows = self.first[from..from + count].iter_mut().zip(&mut self.second[from..from + count]);
        for ((first, second), pair) in rows.zip(sums.windows(2)) {
            *first = first.wrapping_add(pair[1][0].wrapping_sub(pair[0][0]));
            *second = second.wrapping_add(pair[1][1].wrapping_sub(pair[0][1]));
        }
    }

    /// Adds one pair to every row.
    pub fn add_everywhere(&mut self, pair: Pair) {
        if pair == [0; 2] {
            return;
        }
        self.first.iter_mut().for_each(|first| *first = first.wrapping_add(pair[0]));
        self.second.iter_mut().for_each(|second| *second = second.wrapping_add(pair[1]));
    }

    #[inline(always)]
    pub fn add_pair(&mut self, row: usize, pair: Pair) {
        self.first[row] = self.first[row].wrapping_add(pair[0]);
        self.second[row] = self.second[row].wrapping_add(pair[1]);
    }
}

over_rows! {
    /// One word a row; `start` is added to it, so that a value of zero is not nothing.
    fn add_words(rows: Rows<'_>, words: &[u64], start: u64, factors: Pair) {
        for ((first, second), word) in rows.first.iter_mut().zip(rows.second.iter_mut()).zip(words) {
            let scrambled = scrambled(word.wrapping_add(start));
            *first = first.wrapping_add(scrambled.wrapping_mul(factors[0]));
            *second = second.wrapping_add(scrambled.wrapping_mul(factors[1]));
        }
    }

    /// The same, where the mask of the row is all ones and not zero.
    fn add_masked_words(rows: Rows<'_>, words: &[u64], masks: &[u64], start: u64, factors: Pair) {
        for (((first, second), word), mask) in rows.first.iter_mut().zip(rows.second.iter_mut()).zip(words).zip(masks) {
            let scrambled = scrambled(word.wrapping_add(start)) & mask;
            *first = first.wrapping_add(scrambled.wrapping_mul(factors[0]));
            *second = second.wrapping_add(scrambled.wrapping_mul(factors[1]));
        }
    }

    /// What other rows have in their two lanes, times a factor each.
    fn add_products(rows: Rows<'_>, firsts: &[u64], seconds: &[u64], factors: Pair) {
        for (((first, second), one), other) in rows.first.iter_mut().zip(rows.second.iter_mut()).zip(firsts).zip(seconds) {
            *first = first.wrapping_add(one.wrapping_mul(factors[0]));
            *second = second.wrapping_add(other.wrapping_mul(factors[1]));
        }
    }

    /// Where each value begins and how long it is, by where all begin and end, of `limit` bytes or elements; nothing where the mask is zero.
    /// What was the mask is then what the value counts for: its length and its presence. The longest and all of them; None when any reaches
    /// beyond the limit or ends before it begins.
    fn spanned(
        ends: &[usize], limit: usize, masks: &mut [u64], froms: &mut [u64], lengths: &mut [u64]
    ) -> Option<(usize, usize)> {
        let (mut wrong, mut longest, mut total) = (0u64, 0u64, 0u64);
        let pairs = ends.iter().zip(&ends[1..]);
        for ((((from, to), mask), begin), size) in pairs.zip(masks.iter_mut()).zip(froms.iter_mut()).zip(lengths.iter_mut()) {
            let (from, to) = (*from as u64, *to as u64);
            let length = to.wrapping_sub(from) & *mask;
            wrong |= (u64::from(from > to) | u64::from(to > limit as u64)) & *mask;
            longest = longest.max(length);
            total = total.wrapping_add(length);
            *begin = from & *mask;
            *size = length;
            *mask &= length.wrapping_add(1);
        }
        if wrong == 0 { Some((longest as usize, total as usize)) } else { None }
    }

    /// Row i gets what `table` holds at indices[i]; false when an index lies beyond it.
    fn add_taken(rows: Rows<'_>, table: &[Pair], indices: &[u32]) -> bool {
        for ((first, second), index) in rows.first.iter_mut().zip(rows.second.iter_mut()).zip(indices) {
            let Some(pair) = table.get(*index as usize) else { return false };
            *first = first.wrapping_add(pair[0]);
            *second = second.wrapping_add(pair[1]);
        }
        true
    }

    /// The rows whose level is `wanted` get what `others` hold, one after the other.
    fn add_spread(rows: Rows<'_>, others: &Lanes, levels: &[u8], wanted: u8) {
        let (mut next, last) = (0, others.len() - 1);
        for ((first, second), level) in rows.first.iter_mut().zip(rows.second.iter_mut()).zip(levels) {
            let there = u64::from(*level == wanted); // no branch: nothing could foresee it
            let (one, other) = (others.first[next.min(last)], others.second[next.min(last)]);
            *first = first.wrapping_add(one & there.wrapping_neg());
            *second = second.wrapping_add(other & there.wrapping_neg());
            next += there as usize;
        }
    }

    /// Entries of a list, of which each has what its value is worth, get what they count for by their kind and their place in the list.
    fn weigh(rows: Rows<'_>, kinds: &[u8], places: &[u32], weights: &Weights, list: &Key) {
        let far = places.iter().fold(0, |most, place| most.max(*place)) as usize >= NEAR;
        for (lane, entries) in [rows.first, rows.second].into_iter().enumerate() {
            let near: [u64; NEAR] = std::array::from_fn(|place| list.near[place][lane]);
            let (outside, inside) = (&weights.outside[lane], &weights.inside[lane]);
            for ((entry, kind), place) in entries.iter_mut().zip(kinds).zip(places) {
                let (kind, place) = (usize::from(*kind) % MOST_LEVELS, *place as usize);
                let factor = if far { list.factors_at(place)[lane] } else { near[place % NEAR] };
                *entry = outside[kind].wrapping_add(inside[kind].wrapping_add(*entry).wrapping_mul(factor));
            }
        }
    }

    /// What other lanes of the same rows hold, where the mask is all ones.
    fn add_masked_lanes(rows: Rows<'_>, other: &Lanes, masks: &[u64]) {
        for (((first, second), (one, another)), mask) in
            rows.first.iter_mut().zip(rows.second.iter_mut()).zip(other.first.iter().zip(&other.second)).zip(masks)
        {
            *first = first.wrapping_add(one & mask);
            *second = second.wrapping_add(another & mask);
        }
    }

    /// The sum of the rows, when all their values have been added, as numbers of 128 bits.
    fn finished(rows: Rows<'_>, keys: Pair) -> u128 {
        let (mut high, mut middle, mut low) = (0u64, 0u64, 0u64);
        for (first, second) in rows.first.iter().zip(rows.second.iter()) {
            let upper = mixed(first.wrapping_add(keys[0]));
            let lower = mixed((second ^ upper).wrapping_add(keys[1]));
            high = high.wrapping_add(upper);
            middle += lower >> 32; // of fewer than 2^32 rows
            low += lower & 0xFFFF_FFFF;
        }
        (u128::from(high) << 64).wrapping_add(u128::from(middle) << 32).wrapping_add(u128::from(low))
    }
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

    /// What the words of a text add, which is the first `length` bytes: the last one filled up with zeros. Words of zero add nothing.
    #[inline(always)]
    pub fn text(&self, data: &[u8], length: usize) -> Pair {
        let (mut at, mut place, mut sum) = (0, 0, [0; 2]);
        while at + 8 <= length {
            add(&mut sum, scrambled(word(&data[at..at + 8])), self.factors_at(place));
            (at, place) = (at + 8, place + 1);
        }
        if at < length {
            let last = match data.get(at..at + 8) {
                Some(bytes) => word(bytes) & (u64::MAX >> (64 - 8 * (length - at))),
                None => data[at..length].iter().rev().fold(0, |last, byte| last << 8 | u64::from(*byte)),
            };
            add(&mut sum, scrambled(last), self.factors_at(place));
        }
        sum
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
mod tests;

//! One dictionary of the dictionaries of many chunks, built over encoded values, and given up early where it would become too large.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

use super::bounds::{Bounds, ints, longs};
use super::dense::Dense;
use super::metadata::Physical;
use super::order::Order;
use super::values::Values;

const ENOUGH_EXPECTED: f64 = 32.0;
/// Bytes of a text and its length, for room to be made beforehand.
const TYPICAL_TEXT: usize = 16;
const DENSE_BYTES: usize = 64 << 10;

/// PLAIN values without repetition, in the order of their first appearance.
pub struct Union {
    physical: Physical,
    pub plain: Vec<u8>,
    /// Where each value is, without its length, and where they end; of values of one width this is not kept.
    starts: Vec<u32>,
    count: usize,
    /// What each value is found by, and which it is.
    table: HashTable<(u64, u32)>,
    /// In place of the table, as long as values are whole numbers near each other.
    dense: Option<Dense>,
    /// Of each value, whether a row has it.
    used: Vec<bool>,
    /// Of the first so many values, rows have every one.
    settled: usize,
    state: DefaultHashBuilder,
    outlook: Outlook,
    /// With how many values it is still of use: where more must be expected, it is given up.
    pub most_values: f64,
}

impl Union {
    pub fn new(physical: Physical) -> Self {
        Self::expecting(physical, 0)
    }

    /// `coming`: how many values all the dictionaries have that will be added, where they may be given up before all have come.
    pub fn expecting(physical: Physical, coming: usize) -> Self {
        Self {
            physical,
            plain: Vec::new(),
            starts: Vec::new(),
            count: 0,
            table: HashTable::new(),
            dense: matches!(physical, Physical::Int32 | Physical::Int64).then(Dense::default),
            used: Vec::new(),
            settled: 0,
            state: DefaultHashBuilder::default(),
            outlook: Outlook { coming, ..Outlook::default() },
            most_values: f64::INFINITY,
        }
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn value(&self, i: u32) -> &[u8] {
        let i = i as usize;
        match self.physical.width() {
            Some(width) => &self.plain[i * width..][..width],
            None => {
                let start = self.starts[i] as usize;
                &self.plain[start..self.starts.get(i + 1).map_or(self.plain.len(), |next| *next as usize - 4)]
            }
        }
    }

    /// The indices here of the values of one dictionary; None when they are, or will be, more than `most_bytes` together.
    pub fn add(&mut self, dictionary: &[u8], most_bytes: usize) -> Option<Vec<u32>> {
        let before = self.count;
        let indices = match self.physical.width() {
            _ if self.is_dense(dictionary) => self.add_dense(dictionary, most_bytes),
            Some(4) => self.add_all(dictionary.as_chunks().0.iter().map(Word::<4>), dictionary.len() / 4, most_bytes),
            Some(8) => self.add_all(dictionary.as_chunks().0.iter().map(Word::<8>), dictionary.len() / 8, most_bytes),
            width => {
                let values = Values::new(dictionary, self.physical);
                self.add_all(values, dictionary.len() / width.unwrap_or(TYPICAL_TEXT), most_bytes)
            }
        }?;
        let fitting = most_bytes as f64 * self.count as f64 / self.plain.len().max(1) as f64;
        let bad = self.outlook.is_bad(before, indices.len(), self.count - before, fitting.min(self.most_values));
        (!bad).then_some(indices)
    }

    /// Whether these are whole numbers, not too far from each other and all that there are. Where they are no longer, the table takes over.
    fn is_dense(&mut self, dictionary: &[u8]) -> bool {
        let Some(dense) = &mut self.dense else { return false };
        let (low, high) = match self.physical {
            Physical::Int32 => {
                let (low, high) = ints(dictionary);
                (low.into(), high.into())
            }
            _ => longs(dictionary),
        };
        if low > high || dense.cover(low, high) {
            return true;
        }
        self.dense = None;
        let known = std::mem::take(&mut self.plain);
        self.count = 0;
        match self.physical {
            Physical::Int32 => self.add_all(known.as_chunks().0.iter().map(Word::<4>), 0, usize::MAX),
            _ => self.add_all(known.as_chunks().0.iter().map(Word::<8>), 0, usize::MAX),
        };
        false
    }

    fn add_dense(&mut self, dictionary: &[u8], most_bytes: usize) -> Option<Vec<u32>> {
        let dense = self.dense.as_mut()?;
        let mut indices = Vec::with_capacity(dictionary.len() / self.physical.width()?);
        // Not all at once: of a dictionary that is far too large little is made.
        for some in dictionary.chunks(DENSE_BYTES) {
            self.count = match self.physical {
                Physical::Int32 => dense.add(some.as_chunks().0, |value| i32::from_le_bytes(value).into(), &mut self.plain, &mut indices),
                _ => dense.add(some.as_chunks().0, i64::from_le_bytes, &mut self.plain, &mut indices),
            };
            if self.plain.len() > most_bytes {
                return None;
            }
        }
        Some(indices)
    }

    fn add_all<V: Key>(&mut self, values: impl Iterator<Item = V>, expected: usize, most_bytes: usize) -> Option<Vec<u32>> {
        let mut indices = Vec::with_capacity(expected);
        for value in values {
            let key = value.key(&self.state);
            let hash = V::hash(key, &self.state);
            if let Some((_, i)) = self.table.find(hash, |(other, i)| *other == key && value.same(|| self.value(*i))) {
                indices.push(*i);
                continue;
            }
            let i = self.count as u32;
            if self.physical.width().is_none() {
                self.plain.extend_from_slice(&(value.bytes().len() as u32).to_le_bytes());
                self.starts.push(self.plain.len() as u32);
            }
            self.plain.extend_from_slice(value.bytes());
            self.count += 1;
            if self.plain.len() > most_bytes {
                return None;
            }
            if self.table.len() == self.table.capacity() {
                let state = &self.state;
                self.table.reserve(self.table.len().max(512), |(key, _)| V::hash(*key, state));
            }
            self.table.insert_unique(hash, (key, i), |_| unreachable!("there is room"));
            indices.push(i);
        }
        Some(indices)
    }

    /// Makes indices of a dictionary, `map` of which are its values here, indices here, which rows have from now on.
    pub fn found(&mut self, map: &[u32], indices: &mut [u32]) {
        indices.iter_mut().for_each(|index| *index = map[*index as usize]);
        // Few dictionaries bring values that nobody had before.
        if map.iter().fold(0, |largest, index| largest.max(*index)) as usize >= self.settled {
            self.used(indices);
        }
    }

    /// Rows have these values from now on.
    pub fn used(&mut self, indices: &[u32]) {
        self.used.resize(self.count, false);
        indices.iter().for_each(|index| self.used[*index as usize] = true);
        self.settled += self.used[self.settled..].iter().take_while(|used| **used).count();
    }

    /// Bounds of the values that rows have.
    pub fn bounds_used(&self, order: Order) -> Bounds {
        if self.settled == self.count {
            return Bounds::of_plain(&self.plain, self.physical, order);
        }
        let used = self.used.iter().enumerate().filter(|(_, used)| **used);
        Bounds::of_values(used.map(|(i, _)| self.value(i as u32)), order)
    }
}

/// A value as the table looks for it.
trait Key {
    /// What the table keeps of it: the value itself if it can be, or a hash.
    fn key(&self, state: &DefaultHashBuilder) -> u64;
    fn hash(key: u64, state: &DefaultHashBuilder) -> u64;
    /// Whether it is this value, whose key is the same.
    fn same<'a>(&self, other: impl FnOnce() -> &'a [u8]) -> bool;
    fn bytes(&self) -> &[u8];
}

impl Key for &[u8] {
    fn key(&self, state: &DefaultHashBuilder) -> u64 {
        state.hash_one(self)
    }

    fn hash(key: u64, _: &DefaultHashBuilder) -> u64 {
        key
    }

    fn same<'a>(&self, other: impl FnOnce() -> &'a [u8]) -> bool {
        *self == other()
    }

    fn bytes(&self) -> &[u8] {
        self
    }
}

/// A value of four or eight bytes, which is compared and hashed as one number.
struct Word<'a, const N: usize>(&'a [u8; N]);

impl<const N: usize> Key for Word<'_, N> {
    fn key(&self, _: &DefaultHashBuilder) -> u64 {
        let mut wide = [0; 8];
        wide[..N].copy_from_slice(self.0);
        u64::from_le_bytes(wide)
    }

    fn hash(key: u64, state: &DefaultHashBuilder) -> u64 {
        state.hash_one(key)
    }

    fn same<'a>(&self, _: impl FnOnce() -> &'a [u8]) -> bool {
        true
    }

    fn bytes(&self) -> &[u8] {
        self.0
    }
}

/// What the values that came lately say of those that will: whether most of them are new.
#[derive(Default)]
struct Outlook {
    coming: usize,
    chances: f64,
    known: usize,
    new: usize,
}

impl Outlook {
    /// Whether a union of more than `most` values must be expected, after `came` values, of which `new` were not among the `before` known.
    ///
    /// That is so when as many new ones in what is still to come would be too many, and too few were known for values that are drawn from
    /// twice as many as may be. The first alone would give up what levels off, the second what comes in another part of the table with
    /// other values.
    fn is_bad(&mut self, before: usize, came: usize, new: usize, most: f64) -> bool {
        self.coming = self.coming.saturating_sub(came);
        if before == 0 || self.coming == 0 {
            return false;
        }
        self.chances += before as f64 * came as f64;
        self.known += came - new;
        self.new += new;
        let expected = self.chances / most.max(1.0);
        if expected < ENOUGH_EXPECTED {
            return false;
        }
        let share = self.new as f64 / (self.new + self.known) as f64;
        let many = (before + new) as f64 + self.coming as f64 * share > most;
        let seldom = (self.known as f64) < expected / 2.0;
        (self.chances, self.known, self.new) = (0.0, 0, 0);
        many && seldom
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 1 << 20;

    fn numbers(values: impl Iterator<Item = u64>) -> Vec<u8> {
        values.flat_map(u64::to_le_bytes).collect()
    }

    /// After how many of `sources` dictionaries a union is given up.
    fn given_up(sources: usize, each: usize, value: impl Fn(usize, usize) -> u64) -> Option<usize> {
        let mut union = Union::expecting(Physical::Int64, sources * each);
        (0..sources).find(|source| union.add(&numbers((0..each).map(|i| value(*source, i))), MOST).is_none())
    }

    fn scattered(seed: usize) -> u64 {
        let mut mixed = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    #[test]
    fn values_that_never_come_again_are_given_up_at_once() {
        assert_eq!(given_up(250, 4200, |source, i| (source * 4200 + i) as u64), Some(1));
        assert!(given_up(10_000, 90, |source, i| (source * 90 + i) as u64).expect("given up") < 60);
    }

    #[test]
    fn values_of_as_many_as_fit_are_kept() {
        assert_eq!(given_up(250, 4200, |source, i| scattered(source * 4200 + i) % 100_000), None);
        assert_eq!(given_up(10_000, 90, |source, i| scattered(source * 90 + i) % 100_000), None);
    }

    #[test]
    fn other_values_in_every_source_are_kept_while_all_of_them_fit() {
        assert_eq!(given_up(250, 400, |source, i| (source * 400 + i) as u64), None);
    }

    #[test]
    fn indices_find_the_values_of_their_dictionaries() {
        for (physical, dictionaries) in [
            (Physical::Int32, [5i32, 6, 7].map(|n| [n.to_le_bytes(), (n - 1).to_le_bytes()].concat())),
            (Physical::Int64, [5u64, 6, 7].map(|n| numbers([n, n - 1].into_iter()))),
            (Physical::Fixed(3), [5u8, 6, 7].map(|n| vec![n, 0, 0, n - 1, 0, 0])),
            (Physical::ByteArray, ["", "bb", "c"].map(|text| [&[text.len() as u8, 0, 0, 0], text.as_bytes(), &[1, 0, 0, 0, 33]].concat())),
        ] {
            let mut union = Union::expecting(physical, 6);
            for dictionary in dictionaries {
                let found = union.add(&dictionary, MOST).expect("few");
                let values: Vec<&[u8]> = found.iter().map(|i| union.value(*i)).collect();
                assert_eq!(values, Values::new(&dictionary, physical).collect::<Vec<_>>());
            }
            assert_eq!(union.len(), 4);
        }
    }
    #[test]
    fn numbers_are_counted_by_their_first_appearance_however_far_apart_they_are() {
        for physical in [Physical::Int32, Physical::Int64, Physical::Float, Physical::Double] {
            for round in 0..300 {
                let (mut union, mut known) = (Union::new(physical), Vec::new());
                for dictionary in 0..1 + round % 7 {
                    let far =
                        [0, 0, 0, 1 << 18, 1 << 30, 1 << 40, i64::MAX as usize][scattered(round * 8 + dictionary) as usize % 7] as i64;
                    let value = |i: usize| ((scattered(round * 999 + dictionary * 50 + i) % 60) as i64 - 30).wrapping_add(far);
                    let values: Vec<Vec<u8>> = (0..round % 40)
                        .map(|i| {
                            if physical.width() == Some(4) {
                                (value(i) as i32).to_le_bytes().to_vec()
                            } else {
                                value(i).to_le_bytes().to_vec()
                            }
                        })
                        .collect();
                    let found = union.add(&values.concat(), MOST).expect("few");
                    for value in &values {
                        if !known.contains(value) {
                            known.push(value.clone());
                        }
                    }
                    let slow: Vec<usize> =
                        values.iter().map(|value| known.iter().position(|other| other == value).expect("known")).collect();
                    assert_eq!(found.iter().map(|i| *i as usize).collect::<Vec<_>>(), slow);
                }
                assert_eq!((&union.plain, union.len()), (&known.concat(), known.len()));
            }
        }
    }

    #[test]
    fn bounds_are_those_of_values_that_rows_have() {
        let of = |low: u64, high: u64| Bounds::of_plain(&numbers([low, high].into_iter()), Physical::Int64, Order::Int64);
        let mut union = Union::new(Physical::Int64);
        assert_eq!(union.bounds_used(Order::Int64), Bounds::Empty);
        let map = union.add(&numbers(10..20), MOST).expect("few");
        assert_eq!(union.bounds_used(Order::Int64), Bounds::Empty);
        union.found(&map, &mut [0, 3, 5]);
        assert_eq!(union.bounds_used(Order::Int64), of(10, 15));
        let map = union.add(&numbers(8..14), MOST).expect("few");
        union.found(&map, &mut [2, 3, 3]);
        assert_eq!(union.bounds_used(Order::Int64), of(10, 15));
        union.found(&map, &mut [1, 0, 2]);
        assert_eq!(union.bounds_used(Order::Int64), of(8, 15));
        union.used(&(0..12).collect::<Vec<_>>());
        assert_eq!((union.settled, union.bounds_used(Order::Int64)), (12, of(8, 19)));
        let map = union.add(&numbers(20..21), MOST).expect("few");
        union.found(&map, &mut [0]);
        assert_eq!(union.bounds_used(Order::Int64), of(8, 20));
    }

    #[test]
    fn of_a_dictionary_that_is_far_too_large_little_is_made() {
        let mut union = Union::new(Physical::Int64);
        assert!(union.add(&numbers(0..400_000), MOST).is_none());
        assert!(union.plain.len() <= MOST + DENSE_BYTES);
    }
}

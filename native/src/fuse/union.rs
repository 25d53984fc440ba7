//! One dictionary of the dictionaries of many chunks, built over encoded values, and given up early where it would become too large.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

use super::metadata::Physical;
use super::values::Values;

const ENOUGH_EXPECTED: f64 = 32.0;
/// Bytes of a text and its length, for room to be made beforehand.
const TYPICAL_TEXT: usize = 16;

/// PLAIN values without repetition, in the order of their first appearance.
pub struct Union {
    physical: Physical,
    pub plain: Vec<u8>,
    /// Where each value is, without its length, and where they end; of values of one width this is not kept.
    starts: Vec<u32>,
    count: usize,
    /// What each value is found by, and which it is.
    table: HashTable<(u64, u32)>,
    /// Of each value, whether a row has it.
    pub used: Vec<bool>,
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
            used: Vec::new(),
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
            Some(4) => self.add_all(dictionary.as_chunks().0.iter().map(Word::<4>), dictionary.len() / 4, most_bytes),
            Some(8) => self.add_all(dictionary.as_chunks().0.iter().map(Word::<8>), dictionary.len() / 8, most_bytes),
            width => {
                let values = Values::new(dictionary, self.physical);
                self.add_all(values, dictionary.len() / width.unwrap_or(TYPICAL_TEXT), most_bytes)
            }
        }?;
        self.used.resize(self.count, false);
        let fitting = most_bytes as f64 * self.count as f64 / self.plain.len().max(1) as f64;
        let bad = self.outlook.is_bad(before, indices.len(), self.count - before, fitting.min(self.most_values));
        (!bad).then_some(indices)
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
        // Few dictionaries bring values that nobody had before.
        if map.iter().any(|index| !self.used[*index as usize]) {
            indices.iter().for_each(|index| self.used[map[*index as usize] as usize] = true);
        }
        indices.iter_mut().for_each(|index| *index = map[*index as usize]);
    }

    /// The values that rows have.
    pub fn values_used(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.count as u32).filter(|i| self.used[*i as usize]).map(|i| self.value(i))
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
}

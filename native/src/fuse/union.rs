//! One dictionary of the dictionaries of many chunks, built over encoded values.

use hashbrown::HashTable;
use std::hash::BuildHasher;

use super::metadata::Physical;
use super::values::Values;

/// PLAIN values without repetition, in the order of their first appearance.
pub struct Union {
    physical: Physical,
    pub plain: Vec<u8>,
    places: Vec<(u32, u32)>,
    table: HashTable<u32>,
    /// Of each value, whether a row has it.
    pub used: Vec<bool>,
    state: hashbrown::DefaultHashBuilder,
}

impl Union {
    pub fn new(physical: Physical) -> Self {
        Self {
            physical,
            plain: Vec::new(),
            places: Vec::new(),
            table: HashTable::new(),
            used: Vec::new(),
            state: hashbrown::DefaultHashBuilder::default(),
        }
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn value(&self, i: u32) -> &[u8] {
        let (start, length) = self.places[i as usize];
        &self.plain[start as usize..][..length as usize]
    }

    /// The indices here of the values of one dictionary; None when they are more than `most_bytes` together.
    pub fn add(&mut self, dictionary: &[u8], most_bytes: usize) -> Option<Vec<u32>> {
        let mut indices = Vec::new();
        for value in Values::new(dictionary, self.physical) {
            let hash = self.state.hash_one(value);
            let (plain, places) = (&self.plain, &self.places);
            let same = |i: &u32| {
                let (start, length) = places[*i as usize];
                &plain[start as usize..][..length as usize] == value
            };
            let index = match self.table.find(hash, same) {
                Some(i) => *i,
                None => {
                    let i = self.places.len() as u32;
                    if self.physical.width().is_none() {
                        self.plain.extend_from_slice(&(value.len() as u32).to_le_bytes());
                    }
                    self.places.push((self.plain.len() as u32, value.len() as u32));
                    self.plain.extend_from_slice(value);
                    if self.plain.len() > most_bytes {
                        return None;
                    }
                    let (plain, places, state) = (&self.plain, &self.places, &self.state);
                    self.table.insert_unique(hash, i, |i| {
                        let (start, length) = places[*i as usize];
                        state.hash_one(&plain[start as usize..][..length as usize])
                    });
                    i
                }
            };
            indices.push(index);
        }
        self.used.resize(self.places.len(), false);
        Some(indices)
    }

    /// The values that rows have.
    pub fn values_used(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.places.len() as u32).filter(|i| self.used[*i as usize]).map(|i| self.value(i))
    }
}

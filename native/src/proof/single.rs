//! Leaves below a single list, as most lists are: what their entries count for is looked up by their levels and added many at once, because no
//! branch could be foreseen.

use crate::lanes::{Key, Lanes, MOST_LEVELS, Pair, Rows, Weights, add_spread, weigh};

use super::nested::ENDED;
use super::schema::Leaf;
use super::values::BLOCK;
use super::{Result, refuse};

/// A block of entries, room for what is made of them, and where the one before them was.
pub struct Entries {
    taken: usize,
    pub repetitions: Vec<u8>,
    pub definitions: Vec<u8>,
    places: Vec<u32>,
    /// Of each entry the row, counted from the one that goes on.
    rows: Vec<u32>,
    worth: Lanes,
    sums: Vec<Pair>,
    place: u32,
    last: u8,
}

impl Default for Entries {
    fn default() -> Self {
        Self {
            taken: 0,
            repetitions: Vec::new(),
            definitions: Vec::new(),
            places: Vec::new(),
            rows: Vec::new(),
            worth: Lanes::zeros(0),
            sums: Vec::new(),
            place: 0,
            last: 0,
        }
    }
}

impl Entries {
    pub fn begin(&mut self) {
        (self.place, self.last) = (0, 0);
    }

    /// The next entries, at most a block of them.
    pub fn of(&mut self, taken: usize) -> &mut Self {
        if self.worth.is_empty() {
            self.worth = Lanes::zeros(BLOCK);
        }
        self.taken = taken;
        self.repetitions.resize(taken, 0);
        self.definitions.resize(taken, 0);
        self.places.resize(taken, 0);
        self.rows.resize(taken, 0);
        self.sums.resize(taken + 1, [0; 2]);
        self
    }

    /// The place of each entry in its list and its row. `elements`: the definition level from which on the list has some; what goes on has.
    fn place(&mut self, elements: u8) -> Result<()> {
        let (mut place, mut row, mut last, mut wrong) = (self.place, 0u32, self.last, false);
        let levels = self.repetitions.iter().zip(&self.definitions);
        for ((repetition, definition), (at, of)) in levels.zip(self.places.iter_mut().zip(&mut self.rows)) {
            let goes_on = u32::from(*repetition & 1);
            place = place.wrapping_add(1) & goes_on.wrapping_neg();
            row += 1 - goes_on;
            wrong |= (goes_on == 1) & (last.min(*definition) < elements);
            (*at, *of, last) = (place, row, *definition);
        }
        (self.place, self.last) = (place, last);
        if wrong { refuse(ENDED) } else { Ok(()) }
    }

    /// What all entries are worth up to the last one of each row. To add to rows one by one would be to wait for what was just stored.
    fn sum_up(&mut self) -> &[Pair] {
        let (mut sum, mut last) = ([0u64; 2], 0);
        self.sums[0] = [0; 2];
        for (i, row) in self.rows.iter().enumerate() {
            let pair = self.worth.pair(i);
            sum = [sum[0].wrapping_add(pair[0]), sum[1].wrapping_add(pair[1])];
            last = *row as usize;
            self.sums[last] = sum;
        }
        &self.sums[..=last]
    }
}

/// What entries count for by their levels: those that begin a row, then those that go on.
pub struct Table {
    weights: Weights,
    levels: u8,
    valued: bool,
}

impl Table {
    pub fn of(leaf: &Leaf) -> Option<Self> {
        let levels = leaf.definition.checked_add(1)?;
        if leaf.repetition != 1 || 2 * usize::from(levels) > MOST_LEVELS {
            return None;
        }
        let mut weights = Weights::default();
        for (repetition, definition) in (0..=1).flat_map(|repetition| (0..levels).map(move |definition| (repetition, definition))) {
            let at = usize::from(repetition * levels + definition);
            for lane in 0..2 {
                weights.outside[lane][at] = leaf.count(0, repetition, definition)[lane];
                weights.inside[lane][at] = leaf.count(1, repetition, definition)[lane];
            }
        }
        Some(Self { weights, levels, valued: leaf.key.is_some() })
    }

    /// Adds entries of which the values are in `lanes`; how many rows have begun then.
    pub fn add(
        &self,
        (list, elements): (&Key, u8),
        entries: &mut Entries,
        lanes: &Lanes,
        rows: &mut Rows<'_>,
        begun: usize,
    ) -> Result<usize> {
        entries.place(elements)?;
        let taken = entries.taken;
        entries.worth.rows(0, taken).clear();
        if self.valued {
            add_spread(entries.worth.rows(0, taken), lanes, &entries.definitions, self.levels - 1);
        }
        for (repetition, definition) in entries.repetitions.iter_mut().zip(&entries.definitions) {
            *repetition = (*repetition & 1) * self.levels + *definition;
        }
        weigh(entries.worth.rows(0, taken), &entries.repetitions, &entries.places, &self.weights, list);
        let sums = entries.sum_up();
        rows.add_steps(begun.wrapping_sub(1), sums);
        Ok(begun + sums.len() - 1)
    }
}

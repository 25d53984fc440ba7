//! Leaves below lists: their levels say where a row begins, and at which place of which list a value lies.

use crate::lanes::{Lanes, Pair, Rows};

use super::column::{Cursor, Room, count_of};
use super::levels::Numbers;
use super::schema::Leaf;
use super::single::{Entries, Table};
use super::values::BLOCK;
use super::{Result, refuse};

pub const ENDED: &str = "a list of it goes on that has no elements";

/// Where in its lists the last entry was, and what an entry there is multiplied by, list by list from the top.
#[derive(Default)]
pub struct Nest {
    places: Vec<usize>,
    factors: Vec<Pair>,
    /// The definition level of the last entry.
    last: u8,
    entries: Entries,
}

impl Nest {
    pub fn begin(&mut self, leaf: &Leaf) {
        self.entries.begin();
        self.places.clear();
        self.places.resize(leaf.lists.len(), 0);
        self.factors.clear();
        self.factors.resize(leaf.lists.len() + 1, [1, 1]);
    }

    /// On to the next entry. `level`: the deepest list that goes on; those below begin anew.
    #[inline(always)]
    fn step(&mut self, leaf: &Leaf, level: usize, definition: u8) -> Result<()> {
        if level > 0 {
            self.places[level - 1] += 1;
            if self.last.min(definition) < leaf.lists[level - 1].1 {
                return refuse(ENDED);
            }
        }
        self.last = definition;
        self.places[level..].fill(0);
        for depth in level.saturating_sub(1)..self.places.len() {
            self.factors[depth + 1] = times(self.factors[depth], leaf.lists[depth].0.factors_at(self.places[depth]));
        }
        Ok(())
    }
}

#[inline(always)]
fn times(one: Pair, other: Pair) -> Pair {
    [one[0].wrapping_mul(other[0]), one[1].wrapping_mul(other[1])]
}

#[inline(always)]
fn plus(one: Pair, other: Pair) -> Pair {
    [one[0].wrapping_add(other[0]), one[1].wrapping_add(other[1])]
}

/// Adds the entries of the next rows.
pub fn add(cursor: &mut Cursor<'_>, leaf: &Leaf, mut rows: Rows<'_>, room: &mut Room) -> Result<()> {
    let mut begun = 0;
    while cursor.ready(room)? {
        let count = (cursor.entries - cursor.at).min(BLOCK);
        let repetitions = some(cursor.repetitions, &room.repetitions, cursor.at, count);
        let taken = repetitions.until(rows.len() - begun, count);
        if taken == 0 {
            break;
        }
        let definitions = some(cursor.definitions, &room.definitions, cursor.at, taken);
        let defined = definitions.count(taken, leaf.definition);
        if leaf.key.is_some() && defined > 0 {
            cursor.gather(defined, room)?;
        }
        begun = add_entries(leaf, cursor, taken, &mut rows, begun, room)?;
        cursor.at += taken;
    }
    if begun == rows.len() { Ok(()) } else { refuse("a column has fewer rows than its row group") }
}

/// Adds entries of which the values are in the room's lanes; how many rows have begun then.
fn add_entries(leaf: &Leaf, cursor: &Cursor<'_>, taken: usize, rows: &mut Rows<'_>, begun: usize, room: &mut Room) -> Result<usize> {
    let Room { repetitions, definitions, lanes, nest, .. } = room;
    let repetitions = some(cursor.repetitions, repetitions, cursor.at, taken);
    let definitions = some(cursor.definitions, definitions, cursor.at, taken);
    if begun == 0 && taken > 0 && repetitions.at(0) != 0 {
        return refuse("a column begins in the middle of a row");
    }
    if let ([(list, elements)], Some(table)) = (leaf.lists.as_slice(), Table::of(leaf)) {
        let entries = nest.entries.of(taken);
        repetitions.copy(&mut entries.repetitions);
        definitions.copy(&mut entries.definitions);
        return table.add((list, *elements), entries, lanes, rows, begun);
    }
    add_deep(leaf, [repetitions, definitions], (taken, begun), rows, (lanes, nest))
}

/// Below lists in lists.
fn add_deep(
    leaf: &Leaf,
    [repetitions, definitions]: [Levels<'_>; 2],
    (taken, mut begun): (usize, usize),
    rows: &mut Rows<'_>,
    (lanes, nest): (&Lanes, &mut Nest),
) -> Result<usize> {
    let (depth, valued) = (leaf.lists.len(), leaf.key.is_some());
    let mut next = 0;
    for i in 0..taken {
        let (repetition, definition) = (repetitions.at(i), definitions.at(i));
        begun += usize::from(repetition == 0);
        nest.step(leaf, usize::from(repetition), definition)?;
        let mut sum = leaf.count(0, repetition, definition);
        for level in 1..=depth {
            sum = plus(sum, times(leaf.count(level, repetition, definition), nest.factors[level]));
        }
        if valued && definition == leaf.definition {
            sum = plus(sum, times(lanes.pair(next), nest.factors[depth]));
            next += 1;
        }
        rows.add_pair(begun - 1, sum);
    }
    Ok(begun)
}

/// Some levels of a page.
#[derive(Clone, Copy)]
enum Levels<'a> {
    Same(u8),
    Each(&'a [u8]),
}

fn some(numbers: Numbers, each: &[u8], at: usize, count: usize) -> Levels<'_> {
    match numbers {
        Numbers::Same(level) => Levels::Same(level as u8),
        Numbers::Each => Levels::Each(&each[at..at + count]),
    }
}

impl Levels<'_> {
    #[inline(always)]
    fn at(&self, i: usize) -> u8 {
        match self {
            Self::Same(level) => *level,
            Self::Each(each) => each[i],
        }
    }

    fn copy(&self, block: &mut [u8]) {
        match self {
            Self::Same(level) => block.fill(*level),
            Self::Each(each) => block.copy_from_slice(&each[..block.len()]),
        }
    }

    /// How many of the first `count` levels are the wanted one.
    fn count(&self, count: usize, wanted: u8) -> usize {
        match self {
            Self::Same(level) => usize::from(*level == wanted) * count,
            Self::Each(each) => count_of(each, wanted),
        }
    }

    /// How many of the first `count` entries are before row `rows`, counted from the next row that begins.
    fn until(&self, rows: usize, count: usize) -> usize {
        match self {
            Self::Same(0) => count.min(rows),
            Self::Same(_) => count,
            Self::Each(each) if count_of(each, 0) <= rows => count,
            Self::Each(each) => each.iter().enumerate().filter(|(_, level)| **level == 0).nth(rows).map_or(count, |(i, _)| i),
        }
    }
}

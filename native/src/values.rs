//! What the values of an Arrow array add to the lanes of their rows: compactor/rewriting/lane_values.py as compiled loops.
//!
//! Buffers may hold anything. `prepare` checks that they are as long as lengths and offsets say, and every index, offset and length that
//! stands inside a buffer is checked where it is used: what does not fit is a Fault, never a read beyond a buffer.

use std::ops::Deref;
use std::sync::Arc;

use crate::lanes::{Key, Lanes, Pair, Rows, add_masked_lanes, add_masked_words, add_products, add_words, finished, spanned};
use crate::layout::{BACKWARDS, Bits, SHORT, part, word};
pub use crate::layout::{Fault, Float, Integer, Offsets};

/// Rows taken at once: their lanes stay in the first-level cache while column after column is added.
const BLOCK: usize = 1024;
/// Nesting beyond this is refused before it can exhaust the stack.
const DEEPEST: usize = 128;
/// Texts and lists are taken side by side, a word or an element of each at a time, where that makes them at most so many times as long.
const PADDED: usize = 3;
/// Elements of a block of lists that are taken at once.
const MANY_ELEMENTS: usize = 8 * BLOCK;

/// The values of an array by layout; other layouts are brought to one of these beforehand.
pub enum Kind<B> {
    Nothing,
    Booleans(B),
    Integers(Integer, B),
    Floats(Float, B),
    /// Numbers of so many words of 64 bits.
    Words(usize, B),
    Bytes {
        offsets: Offsets,
        ends: B,
        data: B,
    },
    List {
        offsets: Offsets,
        ends: B,
        elements: Box<Values<B>>,
    },
    Struct(Vec<Values<B>>),
    Dictionary {
        kind: Integer,
        indices: B,
        values: Box<Values<B>>,
        table: Vec<Pair>,
    },
}

/// An Arrow array: `length` values from value `offset` of its buffers on.
pub struct Values<B> {
    pub kind: Kind<B>,
    pub key: Arc<Key>,
    pub length: usize,
    pub offset: usize,
    pub validity: Option<B>,
}

/// What is made on the way, one word a row: not kept from one array to the next.
struct Room {
    words: [u64; BLOCK],
    others: [u64; BLOCK],
    masks: [u64; BLOCK],
    ends: [usize; BLOCK + 1],
}

/// The sum of the rows of a table, modulo 2^128. Each column is its chunks in order, `rows` values altogether.
pub fn row_sum<B: Deref<Target = [u8]>>(rows: usize, finish: Pair, columns: &mut [Vec<Values<B>>]) -> Result<u128, Fault> {
    let mut room = Box::new(Room { words: [0; BLOCK], others: [0; BLOCK], masks: [0; BLOCK], ends: [0; BLOCK + 1] });
    for column in columns.iter_mut() {
        let mut counted = 0usize;
        for chunk in column.iter_mut() {
            chunk.prepare(0, &mut room)?;
            counted = counted.checked_add(chunk.length).ok_or(SHORT)?;
        }
        if counted != rows {
            return Err(Fault::Layout("a column has another number of rows than its table"));
        }
    }
    let mut places = vec![(0usize, 0usize); columns.len()];
    let mut lanes = Lanes::zeros(BLOCK.min(rows));
    let mut sum = 0u128;
    for start in (0..rows).step_by(BLOCK) {
        let count = BLOCK.min(rows - start);
        lanes.rows(0, count).clear();
        for (column, place) in columns.iter().zip(&mut places) {
            add_column(column, place, lanes.rows(0, count), &mut room)?;
        }
        sum = sum.wrapping_add(finished(lanes.rows(0, count), finish));
    }
    Ok(sum)
}

/// The next rows of a column. `place`: the chunk, and the value in it, at which they begin.
fn add_column<B: Deref<Target = [u8]>>(
    chunks: &[Values<B>],
    place: &mut (usize, usize),
    mut rows: Rows<'_>,
    room: &mut Room,
) -> Result<(), Fault> {
    let mut done = 0;
    while done < rows.len() {
        let chunk = &chunks[place.0];
        let count = (chunk.length - place.1).min(rows.len() - done);
        chunk.add(place.1, rows.part(done, done + count), room)?;
        done += count;
        place.1 += count;
        if place.1 == chunk.length {
            *place = (place.0 + 1, 0);
        }
    }
    Ok(())
}

impl<B: Deref<Target = [u8]>> Values<B> {
    /// Check that buffers are long enough, and make the lanes of dictionaries.
    fn prepare(&mut self, depth: usize, room: &mut Room) -> Result<(), Fault> {
        if depth > DEEPEST {
            return Err(Fault::Layout("values are nested too deeply"));
        }
        let end = self.offset.checked_add(self.length).filter(|end| *end <= isize::MAX as usize / 64).ok_or(SHORT)?;
        let fits = |buffer: &B, bytes: usize| if buffer.len() < bytes { Err(SHORT) } else { Ok(()) };
        if let Some(validity) = &self.validity {
            fits(validity, end.div_ceil(8))?;
        }
        match &mut self.kind {
            Kind::Nothing => Ok(()),
            Kind::Booleans(data) => fits(data, end.div_ceil(8)),
            Kind::Integers(kind, data) => fits(data, end * kind.width()),
            Kind::Floats(kind, data) => fits(data, end * kind.width()),
            Kind::Words(words, data) if (1..=4).contains(words) => fits(data, end * 8 * *words),
            Kind::Words(..) => Err(Fault::Layout("a number has too many words")),
            Kind::Bytes { offsets, ends, .. } if self.length > 0 => fits(ends, (end + 1) * offsets.width()),
            Kind::Bytes { .. } => Ok(()),
            Kind::List { offsets, ends, elements } => {
                if self.length > 0 {
                    fits(ends, (end + 1) * offsets.width())?;
                }
                elements.prepare(depth + 1, room)
            }
            Kind::Struct(fields) => fields.iter_mut().try_for_each(|field| {
                if field.length != self.length {
                    return Err(Fault::Layout("a field has another number of values than its struct"));
                }
                field.prepare(depth + 1, room)
            }),
            Kind::Dictionary { kind, indices, values, table } => {
                fits(indices, end * kind.width())?;
                values.prepare(depth + 1, room)?;
                *table = values.lanes_between(0, values.length, room)?.pairs();
                Ok(())
            }
        }
    }

    /// The lanes of values `from` to `to`, and one of zeros behind them. Only after `prepare`.
    fn lanes_between(&self, from: usize, to: usize, room: &mut Room) -> Result<Lanes, Fault> {
        let mut lanes = Lanes::zeros(to - from + 1);
        for start in (from..to).step_by(BLOCK) {
            self.add(start, lanes.rows(start - from, to.min(start + BLOCK) - from), room)?;
        }
        Ok(lanes)
    }

    /// Add values `start` and following to these rows, at most a block of them. Only after `prepare`.
    fn add(&self, start: usize, rows: Rows<'_>, room: &mut Room) -> Result<(), Fault> {
        let count = rows.len();
        let valid = self.validity.as_ref().map(|data| Bits { data, offset: self.offset + start });
        if count == 0 || valid.is_some_and(|bits| bits.none(count)) {
            return Ok(());
        }
        let valid = valid.filter(|bits| !bits.all(count));
        let (key, first) = (&*self.key, self.offset + start);
        match &self.kind {
            Kind::Nothing => {}
            Kind::Booleans(data) => {
                let bits = Bits { data, offset: first };
                room.words[..count].iter_mut().enumerate().for_each(|(i, word)| *word = u64::from(bits.at(i)));
                add_room(rows, key, 0, valid, room);
            }
            Kind::Integers(kind, data) => {
                kind.read(part(data, first, count, kind.width()), &mut room.words);
                add_room(rows, key, 0, valid, room);
            }
            Kind::Floats(kind, data) => {
                kind.read(part(data, first, count, kind.width()), &mut room.words);
                add_room(rows, key, 0, valid, room);
            }
            Kind::Words(words, data) => add_numbers(part(data, first, count, 8 * words), *words, rows, key, valid, room),
            Kind::Bytes { offsets, ends, data } => {
                offsets.read(part(ends, first, count + 1, offsets.width()), &mut room.ends);
                add_bytes(data, rows, key, valid, room)?;
            }
            Kind::List { offsets, ends, elements } => {
                offsets.read(part(ends, first, count + 1, offsets.width()), &mut room.ends);
                add_lists(elements, rows, key, valid, room)?;
            }
            Kind::Struct(fields) => add_struct(fields, start, rows, key, valid, room)?,
            Kind::Dictionary { kind, indices, table, .. } => {
                kind.read(part(indices, first, count, kind.width()), &mut room.words);
                add_dictionary(table, rows, valid, room)?;
            }
        }
        Ok(())
    }
}

/// The words in the room, as the `place`th of their numbers.
fn add_room(rows: Rows<'_>, key: &Key, place: usize, valid: Option<Bits<'_>>, room: &mut Room) {
    let count = rows.len();
    match valid {
        None => add_words(rows, &room.words[..count], key.starts[place], key.factors[place]),
        Some(bits) => {
            bits.masks(&mut room.masks[..count]);
            add_masked_words(rows, &room.words[..count], &room.masks[..count], key.starts[place], key.factors[place]);
        }
    }
}

fn add_numbers(data: &[u8], words: usize, mut rows: Rows<'_>, key: &Key, valid: Option<Bits<'_>>, room: &mut Room) {
    let count = rows.len();
    for place in 0..words {
        for (one, number) in room.words.iter_mut().zip(data.chunks_exact(8 * words)) {
            *one = word(&number[8 * place..8 * place + 8]);
        }
        add_room(rows.part(0, count), key, place, valid, room);
    }
}

fn add_dictionary(table: &[Pair], rows: Rows<'_>, valid: Option<Bits<'_>>, room: &mut Room) -> Result<(), Fault> {
    let count = rows.len();
    if let Some(bits) = valid {
        bits.masks(&mut room.masks[..count]);
    } else {
        room.masks[..count].fill(u64::MAX);
    }
    for ((one, other), mask) in room.words[..count].iter_mut().zip(&mut room.others).zip(&room.masks) {
        let index = usize::try_from(*one & mask).map_err(|_| Fault::Index)?;
        let pair = table.get(index).ok_or(Fault::Index)?;
        (*one, *other) = (pair[0] & mask, pair[1] & mask);
    }
    add_products(rows, &room.words[..count], &room.others[..count], [1, 1]);
    Ok(())
}

/// How long the longest of some values is, and all of them together.
struct Lengths {
    longest: usize,
    total: usize,
}

/// Where each value begins and how long it is, from the ends in the room to its words and others; nothing of a null, which is no value.
/// `limit`: of what they divide. Their lengths are counted, and a presence each.
fn spans(limit: usize, rows: &mut Rows<'_>, key: &Key, valid: Option<Bits<'_>>, room: &mut Room) -> Result<Lengths, Fault> {
    let count = rows.len();
    match valid {
        Some(bits) => bits.masks(&mut room.masks[..count]),
        None => room.masks[..count].fill(u64::MAX),
    }
    let found = spanned(&room.ends[..=count], limit, &mut room.masks[..count], &mut room.words[..count], &mut room.others[..count]);
    let Some((longest, total)) = found else { return Err(BACKWARDS) };
    add_products(rows.part(0, count), &room.masks[..count], &room.masks[..count], key.count);
    Ok(Lengths { longest, total })
}

/// Texts, whose ends are in the room: their lengths, and words, the last one filled up with zeros. Words of zero add nothing.
fn add_bytes(data: &[u8], mut rows: Rows<'_>, key: &Key, valid: Option<Bits<'_>>, room: &mut Room) -> Result<(), Fault> {
    spans(data.len(), &mut rows, key, valid, room)?;
    rows.add_to_each(&room.words, &room.others, |from, length| key.text(&data[from as usize..], length as usize));
    Ok(())
}

fn add_struct<B: Deref<Target = [u8]>>(
    fields: &[Values<B>],
    start: usize,
    mut rows: Rows<'_>,
    key: &Key,
    valid: Option<Bits<'_>>,
    room: &mut Room,
) -> Result<(), Fault> {
    let count = rows.len();
    let Some(bits) = valid else {
        rows.add_everywhere(key.count);
        return fields.iter().try_for_each(|field| field.add(start, rows.part(0, count), room));
    };
    let mut inside = Lanes::zeros(count);
    inside.rows(0, count).add_everywhere(key.count);
    fields.iter().try_for_each(|field| field.add(start, inside.rows(0, count), room))?;
    bits.masks(&mut room.masks[..count]);
    add_masked_lanes(rows, &inside, &room.masks[..count]);
    Ok(())
}

/// Lists, whose ends are in the room: their lengths, and each element bound to its position.
fn add_lists<B: Deref<Target = [u8]>>(
    elements: &Values<B>,
    mut rows: Rows<'_>,
    key: &Key,
    valid: Option<Bits<'_>>,
    room: &mut Room,
) -> Result<(), Fault> {
    let count = rows.len();
    let lengths = spans(elements.length, &mut rows, key, valid, room)?;
    let lists: Vec<(usize, usize)> = (0..count).map(|i| (room.words[i] as usize, room.others[i] as usize)).collect();
    let Some(low) = lists.iter().filter(|list| list.1 > 0).map(|list| list.0).min() else { return Ok(()) };
    let high = lists.iter().map(|list| list.0 + list.1).max().unwrap_or(low);
    if high - low > MANY_ELEMENTS || lengths.longest * count > PADDED * (lengths.total + count) {
        return add_long_lists(elements, &lists, rows, key, room);
    }
    let lanes = elements.lanes_between(low, high, room)?;
    for place in 0..lengths.longest {
        for (((from, length), one), other) in lists.iter().zip(&mut room.words).zip(&mut room.others) {
            let there = usize::from(place < *length); // no branch: nothing could foresee it
            let pair = lanes.pair((from + place).wrapping_sub(high).wrapping_mul(there).wrapping_add(high - low));
            (*one, *other) = (pair[0], pair[1]);
        }
        add_products(rows.part(0, count), &room.words[..count], &room.others[..count], key.factors_at(place));
    }
    Ok(())
}

/// Lists of very different lengths, or of very many elements: one after the other.
fn add_long_lists<B: Deref<Target = [u8]>>(
    elements: &Values<B>,
    lists: &[(usize, usize)],
    mut rows: Rows<'_>,
    key: &Key,
    room: &mut Room,
) -> Result<(), Fault> {
    let needed = lists.iter().map(|list| list.0 + list.1).max().unwrap_or(0);
    let (mut low, mut high, mut lanes) = (0, 0, Lanes::zeros(0)); // of elements low to high
    for (row, (from, length)) in lists.iter().enumerate() {
        for at in *from..from + length {
            if at < low || at >= high {
                (low, high) = (at, needed.min(at + BLOCK));
                lanes = elements.lanes_between(low, high, room)?;
            }
            let (pair, factors) = (lanes.pair(at - low), key.factors_at(at - from));
            rows.add_pair(row, [pair[0].wrapping_mul(factors[0]), pair[1].wrapping_mul(factors[1])]);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

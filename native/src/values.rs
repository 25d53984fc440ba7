//! What the values of an Arrow array add to the lanes of their rows: compactor/rewriting/lane_values.py as compiled loops.
//!
//! Buffers may hold anything. `prepare` checks that they are as long as lengths and offsets say, and every index, offset and length that
//! stands inside a buffer is checked where it is used: what does not fit is a Fault, never a read beyond a buffer.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::lanes::{Key, Pair, add, add_pair, finished, scrambled};

/// Rows taken at once: their lanes stay in the first-level cache while column after column is added.
const BLOCK: usize = 1024;
/// Nesting beyond this is refused before it can exhaust the stack.
const DEEPEST: usize = 128;
const NAN: u64 = 0x7FF8_0000_0000_0000;

/// An array that contradicts itself.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// An index lies beyond its dictionary.
    Index,
    /// Lengths, offsets and buffers do not fit together.
    Layout(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index => f.write_str("an index lies beyond its dictionary"),
            Self::Layout(what) => write!(f, "an array contradicts itself: {what}"),
        }
    }
}

const SHORT: Fault = Fault::Layout("a buffer is shorter than its values");
const BACKWARDS: Fault = Fault::Layout("offsets run backwards or beyond what they divide");

/// Stored integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integer {
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
}

impl Integer {
    fn width(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 => 4,
            Self::I64 | Self::U64 => 8,
        }
    }
}

/// Stored floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Float {
    F16,
    F32,
    F64,
}

impl Float {
    fn width(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

/// Whether offsets have 32 or 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offsets {
    Narrow,
    Wide,
}

impl Offsets {
    fn width(self) -> usize {
        match self {
            Self::Narrow => 4,
            Self::Wide => 8,
        }
    }
}

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

/// The sum of the rows of a table, modulo 2^128. Each column is its chunks in order, `rows` values altogether.
pub fn row_sum<B: Deref<Target = [u8]>>(rows: usize, finish: Pair, columns: &mut [Vec<Values<B>>]) -> Result<u128, Fault> {
    for column in columns.iter_mut() {
        let mut counted = 0usize;
        for chunk in column.iter_mut() {
            chunk.prepare(0)?;
            counted = counted.checked_add(chunk.length).ok_or(SHORT)?;
        }
        if counted != rows {
            return Err(Fault::Layout("a column has another number of rows than its table"));
        }
    }
    let mut places = vec![(0usize, 0usize); columns.len()];
    let mut lanes = [[0; 2]; BLOCK];
    let mut sum = 0u128;
    let mut start = 0;
    while start < rows {
        let block = &mut lanes[..BLOCK.min(rows - start)];
        block.fill([0; 2]);
        for (column, place) in columns.iter().zip(&mut places) {
            add_column(column, place, block)?;
        }
        for row in block.iter() {
            sum = sum.wrapping_add(finished(*row, finish));
        }
        start += block.len();
    }
    Ok(sum)
}

/// The next rows of a column. `place`: the chunk, and the value in it, at which they begin.
fn add_column<B: Deref<Target = [u8]>>(chunks: &[Values<B>], place: &mut (usize, usize), lanes: &mut [Pair]) -> Result<(), Fault> {
    let mut done = 0;
    while done < lanes.len() {
        let chunk = &chunks[place.0];
        let count = (chunk.length - place.1).min(lanes.len() - done);
        chunk.add(place.1, &mut lanes[done..done + count])?;
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
    fn prepare(&mut self, depth: usize) -> Result<(), Fault> {
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
                elements.prepare(depth + 1)
            }
            Kind::Struct(fields) => fields.iter_mut().try_for_each(|field| {
                if field.length != self.length {
                    return Err(Fault::Layout("a field has another number of values than its struct"));
                }
                field.prepare(depth + 1)
            }),
            Kind::Dictionary { kind, indices, values, table } => {
                fits(indices, end * kind.width())?;
                values.prepare(depth + 1)?;
                *table = vec![[0; 2]; values.length];
                for (number, block) in table.chunks_mut(BLOCK).enumerate() {
                    values.add(number * BLOCK, block)?;
                }
                Ok(())
            }
        }
    }

    /// Add values `start` and following to these lanes, one each. Only after `prepare`.
    fn add(&self, start: usize, lanes: &mut [Pair]) -> Result<(), Fault> {
        if lanes.is_empty() {
            return Ok(());
        }
        let valid = self.valid(start, lanes.len());
        if valid.is_some_and(|bits| bits.none(lanes.len())) {
            return Ok(());
        }
        let valid = valid.filter(|bits| !bits.all(lanes.len()));
        let key = &*self.key;
        let first = self.offset + start;
        match &self.kind {
            Kind::Nothing => {}
            Kind::Booleans(data) => {
                let bits = Bits { data, offset: first };
                add_words(lanes, key, 0, valid, (0..lanes.len()).map(|i| u64::from(bits.at(i))));
            }
            Kind::Integers(kind, data) => add_integers(*kind, part(data, first, lanes.len(), kind.width()), lanes, key, valid),
            Kind::Floats(kind, data) => add_floats(*kind, part(data, first, lanes.len(), kind.width()), lanes, key, valid),
            Kind::Words(words, data) => {
                let data = part(data, first, lanes.len(), 8 * words);
                for i in 0..*words {
                    add_words(lanes, key, i, valid, data.chunks_exact(8 * words).map(|number| word(&number[8 * i..8 * i + 8])));
                }
            }
            Kind::Bytes { offsets: Offsets::Narrow, ends, data } => {
                return add_bytes(part(ends, first, lanes.len() + 1, 4).chunks_exact(4).map(narrow), data, lanes, key, valid);
            }
            Kind::Bytes { offsets: Offsets::Wide, ends, data } => {
                return add_bytes(part(ends, first, lanes.len() + 1, 8).chunks_exact(8).map(wide), data, lanes, key, valid);
            }
            Kind::List { offsets: Offsets::Narrow, ends, elements } => {
                let ends = part(ends, first, lanes.len() + 1, 4).chunks_exact(4).map(narrow);
                return add_lists(ends, elements, lanes, key, valid);
            }
            Kind::List { offsets: Offsets::Wide, ends, elements } => {
                let ends = part(ends, first, lanes.len() + 1, 8).chunks_exact(8).map(wide);
                return add_lists(ends, elements, lanes, key, valid);
            }
            Kind::Struct(fields) => return add_struct(fields, start, lanes, key, valid),
            Kind::Dictionary { kind, indices, table, .. } => {
                return add_dictionary(*kind, part(indices, first, lanes.len(), kind.width()), table, lanes, valid);
            }
        }
        Ok(())
    }

    fn valid(&self, start: usize, count: usize) -> Option<Bits<'_>> {
        let bits = Bits { data: self.validity.as_ref()?, offset: self.offset + start };
        debug_assert!(bits.data.len() * 8 >= bits.offset + count);
        Some(bits)
    }
}

/// Bits of a bitmap from one of them on.
#[derive(Clone, Copy)]
struct Bits<'a> {
    data: &'a [u8],
    offset: usize,
}

impl Bits<'_> {
    #[inline(always)]
    fn at(&self, i: usize) -> bool {
        let bit = self.offset + i;
        self.data[bit >> 3] >> (bit & 7) & 1 == 1
    }

    fn all(&self, count: usize) -> bool {
        self.count_ones(count) == count
    }

    fn none(&self, count: usize) -> bool {
        self.count_ones(count) == 0
    }

    fn count_ones(&self, count: usize) -> usize {
        let (low, high) = (self.offset, self.offset + count);
        let (from, to) = (low.div_ceil(8), high / 8);
        if from >= to {
            return (0..count).filter(|i| self.at(*i)).count();
        }
        let edges = (low..from * 8).chain(to * 8..high).filter(|bit| self.at(bit - low)).count();
        self.data[from..to].iter().map(|byte| byte.count_ones() as usize).sum::<usize>() + edges
    }
}

/// The bytes of `count` values of `width` bytes from value `first` on.
fn part(data: &[u8], first: usize, count: usize, width: usize) -> &[u8] {
    &data[first * width..(first + count) * width]
}

#[inline(always)]
fn word(bytes: &[u8]) -> u64 {
    let mut room = [0; 8];
    room.copy_from_slice(bytes);
    u64::from_le_bytes(room)
}

/// An offset; a negative one lies beyond everything.
#[inline(always)]
fn narrow(bytes: &[u8]) -> usize {
    let mut room = [0; 4];
    room.copy_from_slice(bytes);
    usize::try_from(i32::from_le_bytes(room)).unwrap_or(usize::MAX)
}

#[inline(always)]
fn wide(bytes: &[u8]) -> usize {
    usize::try_from(word(bytes) as i64).unwrap_or(usize::MAX)
}

/// One word a value, the `place`th of its number.
#[inline(always)]
fn add_words(lanes: &mut [Pair], key: &Key, place: usize, valid: Option<Bits<'_>>, words: impl Iterator<Item = u64>) {
    let (start, factors) = (key.starts[place], key.factors[place]);
    match valid {
        None => {
            for (row, word) in lanes.iter_mut().zip(words) {
                add(row, scrambled(word.wrapping_add(start)), factors);
            }
        }
        Some(bits) => {
            for (i, (row, word)) in lanes.iter_mut().zip(words).enumerate() {
                let mask = u64::from(bits.at(i)).wrapping_neg();
                add(row, scrambled(word.wrapping_add(start)) & mask, factors);
            }
        }
    }
}

macro_rules! integers {
    ($data:expr, $kind:ty) => {
        $data.chunks_exact(size_of::<$kind>()).map(|bytes| {
            let mut room = [0; size_of::<$kind>()];
            room.copy_from_slice(bytes);
            <$kind>::from_le_bytes(room) as i64 as u64
        })
    };
}

/// Runs `$body` with `$words` as the stored integers, widened to 64 bits.
macro_rules! with_integers {
    ($integer:expr, $data:expr, |$words:ident| $body:expr) => {
        match $integer {
            Integer::I8 => {
                let $words = integers!($data, i8);
                $body
            }
            Integer::I16 => {
                let $words = integers!($data, i16);
                $body
            }
            Integer::I32 => {
                let $words = integers!($data, i32);
                $body
            }
            Integer::I64 => {
                let $words = integers!($data, i64);
                $body
            }
            Integer::U8 => {
                let $words = integers!($data, u8);
                $body
            }
            Integer::U16 => {
                let $words = integers!($data, u16);
                $body
            }
            Integer::U32 => {
                let $words = integers!($data, u32);
                $body
            }
            Integer::U64 => {
                let $words = integers!($data, u64);
                $body
            }
        }
    };
}

fn add_integers(kind: Integer, data: &[u8], lanes: &mut [Pair], key: &Key, valid: Option<Bits<'_>>) {
    with_integers!(kind, data, |words| add_words(lanes, key, 0, valid, words));
}

fn add_floats(kind: Float, data: &[u8], lanes: &mut [Pair], key: &Key, valid: Option<Bits<'_>>) {
    match kind {
        Float::F16 => {
            add_words(lanes, key, 0, valid, data.chunks_exact(2).map(|b| normal(double_of_half(u16::from_le_bytes([b[0], b[1]])))))
        }
        Float::F32 => {
            let doubles = data.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
            add_words(lanes, key, 0, valid, doubles.map(normal));
        }
        Float::F64 => add_words(lanes, key, 0, valid, data.chunks_exact(8).map(|b| normal(f64::from_bits(word(b))))),
    }
}

/// The bits of a double; all NaNs are one, and -0.0 is 0.0.
#[inline(always)]
fn normal(double: f64) -> u64 {
    if double.is_nan() { NAN } else { (double + 0.0).to_bits() }
}

fn double_of_half(half: u16) -> f64 {
    let (exponent, fraction) = (i32::from(half >> 10 & 31), f64::from(half & 1023));
    let size = match exponent {
        0 => fraction * power_of_two(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * power_of_two(exponent - 25),
    };
    if half >> 15 == 1 { -size } else { size }
}

/// For exponents of normal doubles.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(u64::from((1023 + exponent).unsigned_abs()) << 52)
}

fn add_dictionary(kind: Integer, data: &[u8], table: &[Pair], lanes: &mut [Pair], valid: Option<Bits<'_>>) -> Result<(), Fault> {
    with_integers!(kind, data, |indices| {
        for (i, (row, index)) in lanes.iter_mut().zip(indices).enumerate() {
            if valid.is_none_or(|bits| bits.at(i)) {
                add_pair(row, *usize::try_from(index).ok().and_then(|index| table.get(index)).ok_or(Fault::Index)?);
            }
        }
    });
    Ok(())
}

/// `ends`: where the first text begins, and where each one ends.
#[inline(always)]
fn add_bytes(
    mut ends: impl Iterator<Item = usize>,
    data: &[u8],
    lanes: &mut [Pair],
    key: &Key,
    valid: Option<Bits<'_>>,
) -> Result<(), Fault> {
    let mut begin = ends.next().unwrap_or(0);
    for (i, (row, end)) in lanes.iter_mut().zip(ends).enumerate() {
        let from = std::mem::replace(&mut begin, end);
        if valid.is_some_and(|bits| !bits.at(i)) {
            continue;
        }
        if from > end || end > data.len() {
            return Err(BACKWARDS);
        }
        add(row, (end - from) as u64 + 1, key.count);
        add_text(row, data, from, end, key);
    }
    Ok(())
}

/// The words of a text, the last one filled up with zeros: words of zero add nothing.
#[inline(always)]
fn add_text(row: &mut Pair, data: &[u8], mut from: usize, end: usize, key: &Key) {
    let mut place = 0;
    while end - from >= 8 {
        add(row, scrambled(word(&data[from..from + 8])), key.factors_at(place));
        from += 8;
        place += 1;
    }
    let rest = end - from;
    if rest == 0 {
        return;
    }
    let last = match data.get(from..from + 8) {
        Some(bytes) => word(bytes) & (u64::MAX >> (64 - 8 * rest)),
        None => data[from..end].iter().rev().fold(0, |last, byte| last << 8 | u64::from(*byte)),
    };
    add(row, scrambled(last), key.factors_at(place));
}

fn add_struct<B: Deref<Target = [u8]>>(
    fields: &[Values<B>],
    start: usize,
    lanes: &mut [Pair],
    key: &Key,
    valid: Option<Bits<'_>>,
) -> Result<(), Fault> {
    let Some(bits) = valid else {
        lanes.iter_mut().for_each(|row| add(row, 1, key.count));
        return fields.iter().try_for_each(|field| field.add(start, lanes));
    };
    let mut inside = vec![key.count; lanes.len()];
    fields.iter().try_for_each(|field| field.add(start, &mut inside))?;
    for (i, (row, pair)) in lanes.iter_mut().zip(inside).enumerate() {
        if bits.at(i) {
            add_pair(row, pair);
        }
    }
    Ok(())
}

/// `ends`: where the first list begins in the elements, and where each one ends.
fn add_lists<B: Deref<Target = [u8]>>(
    mut ends: impl DoubleEndedIterator<Item = usize> + Clone,
    elements: &Values<B>,
    lanes: &mut [Pair],
    key: &Key,
    valid: Option<Bits<'_>>,
) -> Result<(), Fault> {
    let needed = ends.clone().next_back().unwrap_or(0).min(elements.length); // elements beyond it are other lists'
    let mut room = vec![[0; 2]; BLOCK.min(elements.length)];
    let (mut low, mut high) = (0, 0); // the elements whose lanes are in `room`
    let mut begin = ends.next().unwrap_or(0);
    for (i, (row, end)) in lanes.iter_mut().zip(ends).enumerate() {
        let from = std::mem::replace(&mut begin, end);
        if valid.is_some_and(|bits| !bits.at(i)) {
            continue;
        }
        if from > end || end > elements.length {
            return Err(BACKWARDS);
        }
        add(row, (end - from) as u64 + 1, key.count);
        for at in from..end {
            if at < low || at >= high {
                (low, high) = (at, needed.min(at + BLOCK).max(at + 1));
                let part = &mut room[..high - low];
                part.fill([0; 2]);
                elements.add(low, part)?;
            }
            let (pair, factors) = (room[at - low], key.factors_at(at - from));
            add_pair(row, [pair[0].wrapping_mul(factors[0]), pair[1].wrapping_mul(factors[1])]);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::KEY_WORDS;

    fn array(kind: Kind<Vec<u8>>, length: usize, offset: usize, validity: Option<Vec<u8>>) -> Values<Vec<u8>> {
        let key = Key::new(&std::array::from_fn::<u64, KEY_WORDS, _>(|i| 0x1234_5678_9ABC_DEF1u64.wrapping_mul(i as u64 + 1)));
        Values { kind, key: Arc::new(key), length, offset, validity }
    }

    fn integers(values: &[i64]) -> Values<Vec<u8>> {
        array(Kind::Integers(Integer::I64, values.iter().flat_map(|value| value.to_le_bytes()).collect()), values.len(), 0, None)
    }

    fn ends(values: &[i32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn texts(offsets: &[i32], data: &[u8]) -> Values<Vec<u8>> {
        let kind = Kind::Bytes { offsets: Offsets::Narrow, ends: ends(offsets), data: data.to_vec() };
        array(kind, offsets.len() - 1, 0, None)
    }

    fn lists(offsets: &[i32], elements: Values<Vec<u8>>) -> Values<Vec<u8>> {
        let kind = Kind::List { offsets: Offsets::Narrow, ends: ends(offsets), elements: Box::new(elements) };
        array(kind, offsets.len() - 1, 0, None)
    }

    fn dictionary(indices: &[i64], distinct: i64) -> Values<Vec<u8>> {
        let Kind::Integers(kind, indices) = integers(indices).kind else { unreachable!() };
        let length = indices.len() / 8;
        let values = Box::new(integers(&(0..distinct).collect::<Vec<_>>()));
        array(Kind::Dictionary { kind, indices, values, table: Vec::new() }, length, 0, None)
    }

    fn sum(column: Values<Vec<u8>>) -> Result<u128, Fault> {
        row_sum(column.length, [1, 2], &mut [vec![column]])
    }

    #[test]
    fn sums_of_parts_add_up_beyond_a_block() {
        let all: Vec<i64> = (0..3 * BLOCK as i64 + 5).collect();
        let parts = [&all[..7], &all[7..BLOCK + 9], &all[BLOCK + 9..]];
        let apart = parts.iter().map(|part| sum(integers(part)).unwrap()).fold(0u128, u128::wrapping_add);
        assert_eq!(sum(integers(&all)), Ok(apart));
        let mut chunks = vec![parts.map(integers).into_iter().collect::<Vec<_>>()];
        assert_eq!(row_sum(all.len(), [1, 2], &mut chunks), Ok(apart));
    }

    #[test]
    fn nulls_add_nothing_whatever_lies_under_them() {
        let one = |value| sum(Values { validity: Some(vec![0b101]), ..integers(&[1, value, 3]) });
        assert_eq!(one(2), one(99));
        assert_ne!(one(2), sum(integers(&[1, 2, 3])));
    }

    #[test]
    fn a_dictionary_is_its_values() {
        assert_eq!(sum(dictionary(&[2, 0, 2, 1], 3)), sum(integers(&[2, 0, 2, 1])));
    }

    #[test]
    fn texts_at_the_end_of_a_buffer_are_read_to_their_end() {
        for length in 0..40 {
            let text = vec![b'x'; length as usize];
            let longer = [text.clone(), vec![b'y'; 20]].concat();
            assert_eq!(sum(texts(&[0, length], &text)), sum(texts(&[0, length], &longer)));
        }
    }

    #[test]
    fn what_points_elsewhere_is_a_fault() {
        assert_eq!(sum(dictionary(&[0, 3], 3)), Err(Fault::Index));
        assert_eq!(sum(dictionary(&[0, -1], 3)), Err(Fault::Index));
        for offsets in [[0, 4, 4], [0, 3, 1], [-1, 0, 1], [0, 0, i32::MAX], [0, 0, i32::MIN]] {
            assert_eq!(sum(texts(&offsets, b"abc")), Err(BACKWARDS), "{offsets:?}");
            assert_eq!(sum(lists(&offsets, integers(&[1, 2, 3]))), Err(BACKWARDS), "{offsets:?}");
        }
    }

    #[test]
    fn what_is_shorter_than_it_says_is_a_fault() {
        for (length, offset) in [(4, 0), (3, 1), (usize::MAX, 1), (1, usize::MAX), (usize::MAX / 8, 0)] {
            assert_eq!(Values { length, offset, ..integers(&[1, 2, 3]) }.prepare(0), Err(SHORT));
            assert_eq!(Values { length, offset, ..texts(&[0, 1, 2, 3], b"abc") }.prepare(0), Err(SHORT));
        }
        assert_eq!(Values { validity: Some(vec![]), ..integers(&[1]) }.prepare(0), Err(SHORT));
        assert!(matches!(array(Kind::Struct(vec![integers(&[1])]), 2, 0, None).prepare(0), Err(Fault::Layout(_))));
        assert!(matches!(row_sum(2, [1, 2], &mut [vec![integers(&[1])]]), Err(Fault::Layout(_))));
    }

    #[test]
    fn bits_are_counted_from_any_bit_to_any_other() {
        let data: Vec<u8> = (0..8u8).map(|i| i.wrapping_mul(37)).collect();
        for offset in 0..20 {
            for count in 0..40 {
                let bits = Bits { data: &data, offset };
                assert_eq!(bits.count_ones(count), (0..count).filter(|i| bits.at(*i)).count());
            }
        }
    }
}

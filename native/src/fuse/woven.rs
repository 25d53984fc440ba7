//! Weaves repeated values into compressed ones: where the rows of a chunk have the values of its dictionary in their order, and some of
//! them again, the dictionary's Snappy stream becomes that of all rows, with copies for what is repeated and without any value being made.
//!
//! Nearly all of what encoders make of values of one width are pairs for one value each: a literal of the bytes that differ, and a copy
//! of the others from a value before, which is where it is now. Other elements are taken apart where something comes between their bytes.

use super::Refusal;
use super::appearance::Appearance;
use super::buffer::Buffer;
use super::codec::damaged;
use super::pair::{Pair, ROOM, copied, put, room, window};
use super::snappy::{Elements, element, length};

type Result<T> = std::result::Result<T, Refusal>;

/// What an element may take more than it took before, and what one takes that is new.
const MOST_BYTES_OF_A_COPY: usize = 5;
const ENOUGH_OTHERS: usize = 256;

/// How many elements of a stream may be cut so that no more bytes come of it, but for one in 300 or so, than of values that are compressed anew.
pub fn most_cuts(data: &[u8]) -> usize {
    data.len() / 640
}

/// The elements of a Snappy stream of the values that rows have: those of `indices`, into the values of `width` bytes whose stream `data` is.
///
/// None where most elements are no pairs, or more than `most_cuts` would have to be cut, so that compressing anew takes less time or fewer bytes. Whatever is made of can be decompressed.
pub fn weave(data: &[u8], width: usize, indices: &[u32], appearance: &Appearance, most_cuts: usize) -> Result<Option<Buffer>> {
    match width {
        4 => Loom::<4>::new(data, indices, appearance)?.weave(most_cuts),
        5 => Loom::<5>::new(data, indices, appearance)?.weave(most_cuts),
        6 => Loom::<6>::new(data, indices, appearance)?.weave(most_cuts),
        7 => Loom::<7>::new(data, indices, appearance)?.weave(most_cuts),
        8 => Loom::<8>::new(data, indices, appearance)?.weave(most_cuts),
        9 => Loom::<9>::new(data, indices, appearance)?.weave(most_cuts),
        12 => Loom::<12>::new(data, indices, appearance)?.weave(most_cuts),
        16 => Loom::<16>::new(data, indices, appearance)?.weave(most_cuts),
        _ => Ok(None),
    }
}

struct Loom<'a, const W: usize> {
    data: &'a [u8],
    at: usize,
    indices: &'a [u32],
    appearance: &'a Appearance,
    count: usize,
    /// The value that is in the making, and how many of its bytes are made.
    value: usize,
    within: usize,
    /// The row that has each value last, so far or, where only the value before is ever repeated, at all.
    last: Vec<u32>,
    /// How often an element was cut for what comes between its bytes: that takes bytes that values compressed anew do not.
    cuts: usize,
    out: Elements,
}

impl<'a, const W: usize> Loom<'a, W> {
    fn new(data: &'a [u8], indices: &'a [u32], appearance: &'a Appearance) -> Result<Self> {
        let (size, at) = length(data)?;
        let count = appearance.first.len() - 1;
        if size != count * W {
            return Err(damaged());
        }
        let (first, next) = (&appearance.first[..count], &appearance.first[1..]);
        let last = if appearance.runs_only { next.iter().map(|row| row - 1).collect() } else { first.to_vec() };
        let room = data.len() + (count + indices.len()) * MOST_BYTES_OF_A_COPY + ROOM;
        Ok(Self { data, at, indices, appearance, count, value: 0, within: 0, last, cuts: 0, out: Elements::with_room(room) })
    }

    fn weave(mut self, most_cuts: usize) -> Result<Option<Buffer>> {
        let mut others = 0;
        loop {
            while self.within == 0 && self.values() {}
            self.pairs();
            if self.at >= self.data.len() {
                break;
            }
            self.other()?;
            others += 1;
            if others > ENOUGH_OTHERS + self.value || self.cuts > most_cuts {
                return Ok(None);
            }
        }
        if self.at == self.data.len() && (self.value, self.within) == (self.count, 0) { Ok(self.out.finish()) } else { Err(damaged()) }
    }

    /// Takes the values that are a literal and a copy, one after the other, until something else comes or is repeated; whether that is so.
    fn values(&mut self) -> bool {
        let (data, runs_only, last) = (self.data, self.appearance.runs_only, &self.last[..self.count]);
        let (mut value, mut at, out, mut end) = (self.value, self.at, self.out.rest(), 0);
        let mut rows = self.appearance.first[value..].windows(2);
        let mut repeated = false;
        while let (false, Some(&[row, next]), Some(window), Some(place)) = (repeated, rows.next(), window(data, at), room(out, end)) {
            let Some(pair) = Pair::of(window).filter(|pair| pair.literal + pair.length == W && pair.offset % W == 0) else { break };
            let Some(before) = last.get(value.wrapping_sub(pair.offset / W)) else { break };
            let (back, mut repeats) = (row.wrapping_sub(*before) as usize, next - row - 1);
            if repeats > 0 && !(runs_only && back == 1) {
                (repeats, repeated) = (0, true);
            }
            let Some((copy, size)) = copied(back.wrapping_mul(W), pair.length + repeats as usize * W) else {
                repeated = false;
                break;
            };
            end += put(place, window, pair.literal, copy, size);
            at += pair.size;
            value += 1;
        }
        self.out.skip(end);
        (self.value, self.at) = (value, at);
        if repeated {
            self.repeat(value - 1);
        }
        repeated
    }

    /// Takes literals of few bytes and copies behind them, as long as nothing comes between their bytes.
    fn pairs(&mut self) {
        let (data, first) = (self.data, &self.appearance.first[..]);
        let (mut value, mut within, mut at, out, mut end) = (self.value, self.within, self.at, self.out.rest(), 0);
        while let (Some(window), Some(place)) = (window(data, at), room(out, end)) {
            let Some(pair) = Pair::of(window) else { break };
            let to = value * W + within + pair.literal;
            let (until, Some(from)) = (to + pair.length, to.checked_sub(pair.offset)) else { break };
            let apart = |from: usize, to: usize| Some(*first.get(to)? as usize - first[from] as usize);
            let behind = (from + pair.length - 1) / W;
            let in_a_row = apart(value, until / W) == Some(until / W - value) && apart(from / W, behind) == Some(behind - from / W);
            if !in_a_row {
                break;
            }
            let back = (first[to / W] as usize * W + to % W).wrapping_sub(first[from / W] as usize * W + from % W);
            let Some((copy, size)) = copied(back, pair.length) else { break };
            end += put(place, window, pair.literal, copy, size);
            at += pair.size;
            (value, within) = (until / W, until % W);
        }
        self.out.skip(end);
        (self.value, self.within, self.at) = (value, within, at);
    }

    /// Takes an element.
    fn other(&mut self) -> Result<()> {
        let found = element(self.data, self.at)?;
        self.at = found.end;
        if found.offset > 0 {
            return self.copy(found.offset, found.length);
        }
        let bytes = self.data.get(found.end - found.length..found.end).ok_or_else(damaged)?;
        self.literal(bytes)
    }

    fn literal(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(self.in_a_row(self.value * W + self.within, bytes.len())?);
            self.out.literal(now);
            self.made(now.len());
            bytes = later;
            self.cuts += usize::from(!later.is_empty());
        }
        Ok(())
    }

    fn copy(&mut self, offset: usize, length: usize) -> Result<()> {
        let mut left = length;
        while left > 0 {
            let to = self.value * W + self.within;
            let from = to.checked_sub(offset).ok_or_else(damaged)?;
            let now = self.in_a_row(to, left)?.min(self.in_a_row(from, left)?);
            self.out.copy(self.place(to) - self.place(from), now);
            self.made(now);
            left -= now;
            self.cuts += usize::from(left > 0);
        }
        Ok(())
    }

    /// Where a byte of the dictionary is among those of the rows.
    fn place(&self, byte: usize) -> usize {
        self.appearance.first[byte / W] as usize * W + byte % W
    }

    /// How many bytes of the dictionary from this one on, up to `most`, have nothing between them.
    fn in_a_row(&self, byte: usize, most: usize) -> Result<usize> {
        let (mut value, mut bytes) = (byte / W, W - byte % W);
        if value >= self.count {
            return Err(damaged());
        }
        while bytes < most && value + 1 < self.count && self.appearance.repeats(value) == 0 {
            (value, bytes) = (value + 1, bytes + W);
        }
        Ok(bytes.min(most))
    }

    /// Notes that so many bytes were made, none of which but the last has repeats behind it, and makes these.
    fn made(&mut self, bytes: usize) {
        self.within += bytes;
        while self.within >= W {
            self.within -= W;
            self.value += 1;
        }
        if self.within == 0 {
            self.repeat(self.value - 1);
        }
    }

    /// Makes what is repeated behind a value.
    fn repeat(&mut self, value: usize) {
        if self.appearance.runs_only {
            self.out.copy(W, self.appearance.repeats(value) * W);
            return;
        }
        let (mut back, mut length) = (0, 0);
        for row in self.appearance.first[value] + 1..self.appearance.first[value + 1] {
            let repeated = self.indices[row as usize] as usize;
            let found = (row - self.last[repeated]) as usize * W;
            self.last[repeated] = row;
            if found != back {
                self.out.copy(back, length);
                (back, length) = (found, 0);
            }
            length += W;
        }
        self.out.copy(back, length);
    }
}

#[cfg(test)]
mod tests {
    use super::super::thrift::write_varint;
    use super::*;

    struct Chance(u64);

    impl Chance {
        fn below(&mut self, most: usize) -> usize {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (self.0 >> 33) as usize % most
        }

        /// A value that is not among most others: a number of few or many bytes, in one order or the other, or bytes as long as it.
        fn value(&mut self, kind: usize, i: usize, width: usize) -> Vec<u8> {
            let number = match kind / 2 {
                0 => i * 3 + self.below(3),
                1 => self.below(200_000),
                2 => self.below(10_000_000),
                _ => return (0..width).map(|_| self.below(256) as u8).collect(),
            };
            let mut bytes = (number as u128).to_le_bytes()[..width].to_vec();
            if kind % 2 == 1 {
                bytes.reverse();
            }
            bytes
        }

        /// The indices of rows that have `count` values in their order, and some again.
        fn rows(&mut self, count: usize) -> Vec<u32> {
            let (kind, seldom) = (self.below(3), [2, 3, 30, 1000][self.below(4)]);
            let mut rows = Vec::new();
            for i in 0..count {
                rows.push(i as u32);
                while rows.len() < count + i && self.below(seldom) == 0 {
                    rows.push(if kind == 0 { i } else { i - self.below(if kind == 1 { i + 1 } else { 4.min(i + 1) }) } as u32);
                }
            }
            rows
        }
    }

    fn decoded(data: &[u8], size: usize) -> Option<Vec<u8>> {
        let mut out = vec![0; size];
        (snap::raw::Decoder::new().decompress(data, &mut out) == Ok(size)).then_some(out)
    }

    fn packed(data: &[u8]) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(data).expect("compresses")
    }

    /// What rows with the values of this stream have, compressed, unless it is given up.
    fn woven(data: &[u8], width: usize, rows: &[u32], count: usize, most_cuts: usize) -> Result<Option<Vec<u8>>> {
        let appearance = Appearance::of(rows, count).expect("in their order");
        let elements = weave(data, width, rows, &appearance, most_cuts)?;
        Ok(elements.map(|elements| {
            let mut all = Vec::new();
            write_varint((rows.len() * width) as u64, &mut all);
            [all, elements.to_vec()].concat()
        }))
    }

    fn gathered(values: &[u8], width: usize, rows: &[u32]) -> Vec<u8> {
        rows.iter().flat_map(|row| &values[*row as usize * width..][..width]).copied().collect()
    }

    #[test]
    fn what_is_woven_decompresses_to_the_values_of_all_rows_and_what_does_not_decompress_is_refused() {
        let mut chance = Chance(9);
        let (mut kept, mut refused) = (0, 0);
        for round in 0..400 {
            let (width, count, kind) = ([4, 5, 6, 7, 8, 9, 12, 16][round % 8], 1 + chance.below(9000), chance.below(7));
            let values: Vec<u8> = (0..count).flat_map(|i| chance.value(kind, i, width)).collect();
            let (rows, good) = (chance.rows(count), packed(&values));
            for changes in 0..12 {
                let mut data = good.clone();
                for _ in 0..changes.min(2) {
                    let at = length(&good).expect("a length").1 + chance.below(good.len());
                    match data.get_mut(at) {
                        Some(byte) => *byte = chance.below(256) as u8,
                        None => data.truncate(good.len() - chance.below(good.len() / 2)),
                    }
                }
                match (woven(&data, width, &rows, count, usize::MAX), decoded(&data, values.len())) {
                    (Ok(Some(found)), Some(values)) => {
                        assert!(decoded(&found, rows.len() * width) == Some(gathered(&values, width, &rows)), "{round} {changes}");
                        kept += 1;
                    }
                    (Ok(Some(_)), None) => panic!("made of what cannot be decompressed, {round} {changes}"),
                    (Err(_), Some(_)) => panic!("refused what can be decompressed, {round} {changes}"),
                    (Err(_), None) => refused += 1,
                    (Ok(None), _) => {}
                }
            }
        }
        assert!(kept > 1000 && refused > 1000, "{kept} {refused}");
    }

    #[test]
    fn what_is_not_given_up_takes_as_few_bytes_as_if_it_were_compressed_anew() {
        let mut chance = Chance(3);
        for (kind, width, kept) in [(0, 8, 3), (2, 8, 2), (4, 8, 2), (2, 4, 1), (3, 7, 1), (5, 7, 1), (5, 16, 1)] {
            let values: Vec<u8> = (0..12_000).flat_map(|i| chance.value(kind, i, width)).collect();
            let of = |repeated: &dyn Fn(u32) -> Option<u32>| (0..12_000).flat_map(|i| [i].into_iter().chain(repeated(i))).collect();
            let rows: [Vec<u32>; 3] =
                [of(&|i| (i % 7 > 4).then_some(i)), of(&|i| (i % 20 == 0).then_some(i / 2)), of(&|i| (i % 1000 == 700).then_some(i / 2))];
            let found = rows.iter().map(|rows| {
                let data = packed(&values);
                let found = woven(&data, width, rows, 12_000, most_cuts(&data)).expect("sound");
                (found.map(|found| found.len()), packed(&gathered(&values, width, rows)).len())
            });
            let found: Vec<(Option<usize>, usize)> = found.collect();
            assert!(found[3 - kept..].iter().all(|(found, _)| found.is_some()), "{kind} {width} {found:?}");
            assert!(found.iter().all(|(found, anew)| found.is_none_or(|found| found < anew + anew / 500)), "{kind} {width} {found:?}");
        }
    }

    #[test]
    fn values_of_which_most_bytes_differ_are_given_up() {
        let mut chance = Chance(5);
        let values: Vec<u8> = (0..4000).flat_map(|_| [chance.value(6, 0, 8), vec![0; 8]].concat()).collect();
        let rows: Vec<u32> = (0..4000).chain([5]).collect();
        assert_eq!(woven(&packed(&values), 16, &rows, 4000, usize::MAX), Ok(None));
    }

    #[test]
    fn copies_from_nowhere_are_refused_wherever_they_are() {
        let mut chance = Chance(7);
        for width in [7, 8] {
            let values: Vec<u8> = (0..300).flat_map(|i| chance.value(2 + width % 2, i, width)).collect();
            let (good, rows) = (packed(&values), (0..300).chain([5, 9]).collect::<Vec<u32>>());
            let mut at = length(&good).expect("a length").1;
            while at < good.len() {
                let found = element(&good, at).expect("an element");
                let mut bad = good.clone();
                bad[at] &= if bad[at] & 3 == 1 { 0x1f } else { 0xff };
                bad[at + 1..found.end].fill(0);
                assert!(found.offset == 0 || woven(&bad, width, &rows, 300, usize::MAX).is_err(), "{width} {at}");
                at = found.end;
            }
        }
    }

    #[test]
    fn values_that_do_not_fill_the_stream_are_refused() {
        let values: Vec<u8> = (0..2000u64).flat_map(u64::to_le_bytes).collect();
        let rows: Vec<u32> = (0..2000).chain([5]).collect();
        assert!(woven(&packed(&values), 8, &rows, 2000, 0).is_ok_and(|found| found.is_some()));
        assert!(woven(&packed(&values[8..]), 8, &rows, 2000, 0).is_err());
        let mut other = packed(&values);
        other[0] ^= 1;
        assert!(woven(&other, 8, &rows, 2000, 0).is_err());
        assert!(woven(&packed(&values[..15_999]), 8, &rows, 2000, 0).is_err());
    }
}

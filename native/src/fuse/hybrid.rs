//! The hybrid of run lengths and packed bits that Parquet stores levels and indices of dictionaries in.

use super::Refusal;
use super::thrift::{Reader, write_varint};

type Result<T> = std::result::Result<T, Refusal>;

const MOST_GROUPS: usize = 63;
const EACH_BYTE: u64 = 0x0101_0101_0101_0101;

/// Bits that hold every number up to `most`.
pub fn bits_for(most: usize) -> u32 {
    usize::BITS - most.leading_zeros()
}

/// Numbers of one page: one that repeats, or each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Numbers<T> {
    Run(T, usize),
    Each(Vec<T>),
}

/// What levels and indices are held in.
pub trait Number: Copy + Eq + Default {
    fn narrow(value: u32) -> Self;
    fn wide(self) -> u32;

    /// How many of the first of these are `first`.
    fn run_of(first: Self, values: &[Self]) -> usize {
        values.iter().take_while(|other| **other == first).count()
    }

    /// Appends all numbers that are packed to `width` bits in whole groups, where there is a fast way; the largest of them.
    fn spread(_packed: &[u8], _width: u32, _found: &mut Vec<Self>) -> Option<u32> {
        None
    }

    /// Whether eight are the same.
    fn same(eight: &[Self; 8]) -> bool {
        eight.iter().fold(true, |same, other| same & (*other == eight[0]))
    }

    /// Appends eight of these, packed to `width` bits.
    fn pack(eight: &[Self; 8], width: u32, out: &mut Vec<u8>) {
        pack_eight(&eight.map(Self::wide), width, out);
    }
}

impl Number for u8 {
    fn narrow(value: u32) -> Self {
        value as u8
    }

    fn spread(packed: &[u8], width: u32, found: &mut Vec<Self>) -> Option<u32> {
        let before = found.len();
        match width {
            1 => packed.iter().for_each(|byte| found.extend_from_slice(&bits_of(*byte).to_le_bytes())),
            2 => packed.as_chunks().0.iter().for_each(|two| found.extend_from_slice(&pairs_of(*two).to_le_bytes())),
            _ => return None,
        }
        Some(found[before..].iter().fold(0, |largest, value| largest.max(*value)).into())
    }

    fn wide(self) -> u32 {
        u32::from(self)
    }

    fn run_of(first: Self, values: &[Self]) -> usize {
        let wanted = u64::from(first) * EACH_BYTE;
        let mut found = 0;
        for eight in values.chunks(8) {
            let differs = match eight.first_chunk() {
                Some(eight) => u64::from_le_bytes(*eight) ^ wanted,
                None => return found + eight.iter().take_while(|other| **other == first).count(),
            };
            if differs != 0 {
                return found + (differs.trailing_zeros() / 8) as usize;
            }
            found += 8;
        }
        found
    }

    fn same(eight: &[Self; 8]) -> bool {
        u64::from_le_bytes(*eight) == u64::from(eight[0]) * EACH_BYTE
    }

    fn pack(eight: &[Self; 8], width: u32, out: &mut Vec<u8>) {
        let bytes = u64::from_le_bytes(*eight);
        match width {
            1 => out.push((bytes.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8),
            2 => {
                let fours = (bytes | bytes >> 6) & 0x000f_000f_000f_000f;
                let halves = (fours | fours >> 12) & 0x0000_00ff_0000_00ff;
                out.extend_from_slice(&((halves | halves >> 24) as u16).to_le_bytes());
            }
            _ => pack_eight(&eight.map(Self::wide), width, out),
        }
    }
}

impl Number for u32 {
    fn narrow(value: u32) -> Self {
        value
    }

    fn wide(self) -> u32 {
        self
    }
}

/// `count` numbers of `width` bits, none above `most`.
pub fn decode<T: Number>(data: &[u8], width: u32, count: usize, most: u32) -> Result<Numbers<T>> {
    if width > 32 {
        return Err(Refusal::new("numbers of more than 32 bits"));
    }
    let mut found: Vec<T> = Vec::new();
    let mut run: Option<(T, usize)> = None;
    let mut reader = Reader::new(data);
    let mut left = count;
    while left > 0 {
        let head = reader.varint()?;
        let length = usize::try_from(head >> 1).map_err(|_| Refusal::new("a run is too long"))?;
        if head & 1 == 0 {
            let bytes = width.div_ceil(8) as usize;
            let stored = data.get(reader.at..reader.at + bytes).ok_or_else(|| Refusal::new("a run goes beyond its page"))?;
            reader.at += bytes;
            let value = stored.iter().rev().fold(0u32, |value, byte| value << 8 | u32::from(*byte));
            if length == 0 || value > most {
                return Err(Refusal::new("a level or an index is larger than there are"));
            }
            let taken = length.min(left);
            left -= taken;
            let value = T::narrow(value);
            match run {
                None if found.is_empty() => run = Some((value, taken)),
                Some((same, n)) if same == value => run = Some((same, n + taken)),
                _ => {
                    spill(&mut run, &mut found, count);
                    found.resize(found.len() + taken, value);
                }
            }
        } else {
            let taken = length.checked_mul(8).ok_or_else(|| Refusal::new("a run is too long"))?.min(left);
            let bytes = length.checked_mul(width as usize).ok_or_else(|| Refusal::new("a run is too long"))?;
            let packed = data[reader.at..].get(..bytes).filter(|_| length > 0);
            let packed = packed.ok_or_else(|| Refusal::new("packed numbers go beyond their page"))?;
            reader.at += packed.len();
            spill(&mut run, &mut found, count);
            if unpack(packed, width, taken, &mut found) > most {
                return Err(Refusal::new("a level or an index is larger than there are"));
            }
            left -= taken;
        }
    }
    Ok(match run {
        Some((value, n)) => Numbers::Run(value, n),
        None if count == 0 => Numbers::Run(T::default(), 0),
        None => Numbers::Each(found),
    })
}

fn spill<T: Number>(run: &mut Option<(T, usize)>, found: &mut Vec<T>, count: usize) {
    if found.capacity() == 0 {
        found.reserve_exact(count.min(1 << 20));
    }
    if let Some((value, n)) = run.take() {
        found.resize(found.len() + n, value);
    }
}

/// Appends blocks of eight numbers of `BITS` bits; the largest of them.
fn blocks_of<T: Number, const BITS: usize>(packed: &[u8], blocks: usize, found: &mut Vec<T>) -> u32 {
    let mut largest = 0;
    for block in 0..blocks {
        largest = largest.max(block_of(&packed[block * BITS..block * BITS + BITS + 8], BITS, found));
    }
    largest
}

/// The eight bits of a byte, each in a byte of its own.
fn bits_of(byte: u8) -> u64 {
    let each = (u64::from(byte) * EACH_BYTE) & 0x8040_2010_0804_0201;
    (each + 0x7f * EACH_BYTE) >> 7 & EACH_BYTE
}

/// The eight pairs of bits of two bytes, each in a byte of its own.
fn pairs_of(two: [u8; 2]) -> u64 {
    let packed = u64::from(u16::from_le_bytes(two));
    let halves = (packed | packed << 24) & 0x0000_00ff_0000_00ff;
    let fours = (halves | halves << 12) & 0x000f_000f_000f_000f;
    (fours | fours << 6) & 0x0303_0303_0303_0303
}

/// Appends the eight numbers that these bytes begin with, which eight bytes follow; the largest of them.
#[inline(always)]
fn block_of<T: Number>(bytes: &[u8], bits: usize, found: &mut Vec<T>) -> u32 {
    let mask = (1u64 << bits) - 1;
    let eight: [u32; 8] = std::array::from_fn(|i| {
        let window = u64::from_le_bytes(bytes[i * bits / 8..i * bits / 8 + 8].try_into().expect("eight bytes"));
        (window >> (i * bits % 8) & mask) as u32
    });
    found.extend_from_slice(&eight.map(T::narrow));
    eight.iter().fold(0, |largest, value| largest.max(*value))
}

/// Appends `count` packed numbers; the largest of them.
fn unpack<T: Number>(packed: &[u8], width: u32, count: usize, found: &mut Vec<T>) -> u32 {
    if width == 0 {
        found.resize(found.len() + count, T::default());
        return 0;
    }
    let (bits, mask) = (width as usize, (1u64 << width) - 1);
    let whole = count / 8 * bits;
    found.reserve(count);
    if let Some(largest) = T::spread(&packed[..whole], width, found) {
        return largest.max(unpack_rest(&packed[whole..], bits, mask, count % 8, found));
    }
    // Eight numbers are `bits` bytes; each, with the bits before it in its first byte, is within eight bytes: 32 + 7 < 64.
    let blocks = if packed.len() >= 8 { ((packed.len() - 8) / bits).min(count / 8) } else { 0 };
    let largest = match width {
        1 => blocks_of::<T, 1>(packed, blocks, found),
        2 => blocks_of::<T, 2>(packed, blocks, found),
        3 => blocks_of::<T, 3>(packed, blocks, found),
        4 => blocks_of::<T, 4>(packed, blocks, found),
        5 => blocks_of::<T, 5>(packed, blocks, found),
        6 => blocks_of::<T, 6>(packed, blocks, found),
        7 => blocks_of::<T, 7>(packed, blocks, found),
        8 => blocks_of::<T, 8>(packed, blocks, found),
        9 => blocks_of::<T, 9>(packed, blocks, found),
        10 => blocks_of::<T, 10>(packed, blocks, found),
        11 => blocks_of::<T, 11>(packed, blocks, found),
        12 => blocks_of::<T, 12>(packed, blocks, found),
        13 => blocks_of::<T, 13>(packed, blocks, found),
        14 => blocks_of::<T, 14>(packed, blocks, found),
        15 => blocks_of::<T, 15>(packed, blocks, found),
        16 => blocks_of::<T, 16>(packed, blocks, found),
        17 => blocks_of::<T, 17>(packed, blocks, found),
        18 => blocks_of::<T, 18>(packed, blocks, found),
        19 => blocks_of::<T, 19>(packed, blocks, found),
        20 => blocks_of::<T, 20>(packed, blocks, found),
        _ => (0..blocks).map(|block| block_of(&packed[block * bits..block * bits + bits + 8], bits, found)).max().unwrap_or(0),
    };
    largest.max(unpack_rest(&packed[blocks * bits..], bits, mask, count - blocks * 8, found))
}

/// Appends the first `count` numbers, which may be followed by nothing; the largest of them.
fn unpack_rest<T: Number>(packed: &[u8], bits: usize, mask: u64, count: usize, found: &mut Vec<T>) -> u32 {
    let mut largest = 0;
    for i in 0..count {
        let rest = &packed[i * bits / 8..];
        let mut window = [0u8; 8];
        let n = rest.len().min(8);
        window[..n].copy_from_slice(&rest[..n]);
        let value = (u64::from_le_bytes(window) >> (i * bits % 8) & mask) as u32;
        largest = largest.max(value);
        found.push(T::narrow(value));
    }
    largest
}

/// Appends the numbers, of `width` bits each.
pub fn encode<T: Number>(values: &[T], width: u32, out: &mut Vec<u8>) {
    let mut literal = 0;
    let mut at = 0;
    // Packed numbers come in groups of eight, so that a run is one only if it has such a group for itself.
    while let Some(eight) = values[at..].first_chunk() {
        if !T::same(eight) {
            at += 8;
            continue;
        }
        let run = 8 + T::run_of(eight[0], &values[at + 8..]);
        pack(&values[literal..at], width, out);
        encode_run(eight[0].wide(), run, width, out);
        at += run;
        literal = at;
    }
    pack(&values[literal..], width, out);
}

pub fn encode_run(value: u32, count: usize, width: u32, out: &mut Vec<u8>) {
    if count == 0 {
        return;
    }
    write_varint((count as u64) << 1, out);
    out.extend_from_slice(&value.to_le_bytes()[..width.div_ceil(8) as usize]);
}

fn pack<T: Number>(values: &[T], width: u32, out: &mut Vec<u8>) {
    for part in values.chunks(MOST_GROUPS * 8) {
        let groups = part.len().div_ceil(8);
        out.push((groups << 1 | 1) as u8);
        let (eights, rest) = part.as_chunks::<8>();
        eights.iter().for_each(|eight| T::pack(eight, width, out));
        if !rest.is_empty() {
            let mut eight = [T::default(); 8];
            eight[..rest.len()].copy_from_slice(rest);
            T::pack(&eight, width, out);
        }
    }
}

/// Appends eight numbers of `width` bits.
fn pack_eight(eight: &[u32; 8], width: u32, out: &mut Vec<u8>) {
    let four = |values: &[u32]| values.iter().rev().fold(0u128, |packed, value| packed << width | u128::from(*value));
    let bytes = width as usize;
    match width {
        1..=8 => {
            let packed = eight.iter().rev().fold(0u64, |packed, value| packed << width | u64::from(*value));
            out.extend_from_slice(&packed.to_le_bytes()[..bytes]);
        }
        9..=16 => {
            let [low, high] =
                [&eight[..4], &eight[4..]].map(|four| four.iter().rev().fold(0u64, |packed, value| packed << width | u64::from(*value)));
            let packed = u128::from(low) | u128::from(high) << (4 * width);
            out.extend_from_slice(&packed.to_le_bytes()[..bytes]);
        }
        _ => {
            // Four numbers are half of the bytes, which may end within one.
            let (low, high) = (four(&eight[..4]), four(&eight[4..]));
            let half = (4 * width) as usize;
            if half.is_multiple_of(8) {
                out.extend_from_slice(&low.to_le_bytes()[..half / 8]);
                out.extend_from_slice(&high.to_le_bytes()[..half / 8]);
            } else {
                let shared = (low >> (half - 4)) as u8 | (high << 4) as u8;
                out.extend_from_slice(&low.to_le_bytes()[..half / 8]);
                out.push(shared);
                out.extend_from_slice(&(high >> 4).to_le_bytes()[..half / 8]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_to_the_same_numbers() {
        let mut seed = 7u64;
        let mut next = move || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as u32
        };
        for width in 0..=32u32 {
            let mask = ((1u64 << width) - 1) as u32;
            for _ in 0..40 {
                let mut values: Vec<u32> = Vec::new();
                for _ in 0..next() % 12 {
                    let value = next() & mask;
                    match next() % 3 {
                        0 => values.extend(std::iter::repeat_n(value, (next() % 40) as usize)),
                        1 => values.extend((0..next() % 700).map(|_| next() & mask)),
                        _ => values.push(value),
                    }
                }
                let mut out = Vec::new();
                encode(&values, width, &mut out);
                let found = match decode::<u32>(&out, width, values.len(), mask).expect("decodes") {
                    Numbers::Run(value, n) => vec![value; n],
                    Numbers::Each(each) => each,
                };
                assert_eq!(found, values);
                if width <= 8 {
                    let narrow: Vec<u8> = values.iter().map(|value| *value as u8).collect();
                    let mut same = Vec::new();
                    encode(&narrow, width, &mut same);
                    assert_eq!(same, out);
                }
            }
        }
    }

    #[test]
    fn a_run_is_told_as_one() {
        let mut out = Vec::new();
        encode(&[1u8; 1000], 1, &mut out);
        assert_eq!(out.len(), 3);
        assert_eq!(decode::<u8>(&out, 1, 1000, 1).expect("decodes"), Numbers::Run(1, 1000));
    }

    #[test]
    fn what_is_too_large_or_too_short_is_refused() {
        let mut out = Vec::new();
        encode(&(0..100u32).collect::<Vec<_>>(), 7, &mut out);
        assert!(decode::<u32>(&out, 7, 100, 98).is_err());
        assert!(decode::<u32>(&out, 7, 1000, 127).is_err());
        assert!(decode::<u32>(&out[..20], 7, 100, 127).is_err());
        assert!(decode::<u8>(&[0, 1], 1, 10, 1).is_err());
    }
}

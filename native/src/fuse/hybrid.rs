//! The hybrid of run lengths and packed bits that Parquet stores levels and indices of dictionaries in.

use super::Refusal;
use super::packed::{SLACK, pack_eights, unpack_eights};
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

    /// Appends `count` numbers that are packed to `width` bits, at least one; no less than the largest of them, and it where that is above
    /// `most`.
    fn unpack(packed: &[u8], width: u32, count: usize, most: u32, found: &mut Vec<Self>) -> u32;

    /// Whether eight are the same.
    fn same(eight: &[Self; 8]) -> bool {
        eight.iter().fold(true, |same, other| same & (*other == eight[0]))
    }

    /// Appends these, packed to `width` bits.
    fn pack(eights: &[[Self; 8]], width: u32, out: &mut Vec<u8>);
}

impl Number for u8 {
    fn narrow(value: u32) -> Self {
        value as u8
    }

    fn unpack(packed: &[u8], width: u32, count: usize, most: u32, found: &mut Vec<Self>) -> u32 {
        let before = found.len();
        found.reserve(packed.len() * 8 / width as usize);
        match width {
            1 => packed.iter().for_each(|byte| found.extend_from_slice(&bits_of(*byte).to_le_bytes())),
            2 => packed.as_chunks().0.iter().for_each(|two| found.extend_from_slice(&pairs_of(*two).to_le_bytes())),
            _ => {
                let mut wide = Vec::new();
                let largest = u32::unpack(packed, width, count, most, &mut wide);
                found.extend(wide.into_iter().map(Self::narrow));
                return largest;
            }
        }
        found.truncate(before + count);
        found[before..].iter().fold(0, |largest, value| largest.max(*value)).into()
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

    fn pack(eights: &[[Self; 8]], width: u32, out: &mut Vec<u8>) {
        let words = eights.iter().map(|eight| u64::from_le_bytes(*eight));
        match width {
            1 => out.extend(words.map(|bytes| (bytes.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8)),
            2 => out.extend(words.flat_map(|bytes| {
                let fours = (bytes | bytes >> 6) & 0x000f_000f_000f_000f;
                let halves = (fours | fours >> 12) & 0x0000_00ff_0000_00ff;
                ((halves | halves >> 24) as u16).to_le_bytes()
            })),
            _ => eights.iter().for_each(|eight| u32::pack(&[eight.map(Self::wide)], width, out)),
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

    fn unpack(packed: &[u8], width: u32, count: usize, most: u32, found: &mut Vec<Self>) -> u32 {
        let before = found.len();
        found.resize(before + count.next_multiple_of(8), 0);
        let any = unpack_eights(packed, width, &mut found[before..]);
        found.truncate(before + count);
        // The numbers together have no bits that the largest may not have, nearly always.
        if any <= most { any } else { found[before..].iter().fold(0, |largest, value| largest.max(*value)) }
    }

    fn pack(eights: &[[Self; 8]], width: u32, out: &mut Vec<u8>) {
        let (start, size) = (out.len(), eights.len() * width as usize);
        out.resize(start + size + SLACK, 0);
        if width > 0 {
            pack_eights(eights.as_flattened(), width, &mut out[start..]);
        }
        out.truncate(start + size);
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
            if unpack(packed, width, taken, most, &mut found) > most {
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
        found.reserve_exact(count.min(1 << 20) + 8);
    }
    if let Some((value, n)) = run.take() {
        found.resize(found.len() + n, value);
    }
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

/// Appends `count` packed numbers; as Number has it.
fn unpack<T: Number>(packed: &[u8], width: u32, count: usize, most: u32, found: &mut Vec<T>) -> u32 {
    if width == 0 {
        found.resize(found.len() + count, T::default());
        return 0;
    }
    T::unpack(&packed[..count.div_ceil(8) * width as usize], width, count, most, found)
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
        T::pack(eights, width, out);
        if !rest.is_empty() {
            let mut eight = [T::default(); 8];
            eight[..rest.len()].copy_from_slice(rest);
            T::pack(&[eight], width, out);
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

    #[test]
    fn of_packed_numbers_beyond_those_that_are_asked_for_none_is_made() {
        let mut stored = Vec::new();
        write_varint(1 << 16 << 1 | 1, &mut stored);
        stored.resize(stored.len() + (1 << 16), 0);
        let Ok(Numbers::Each(found)) = decode::<u8>(&stored, 1, 9, 1) else { panic!("not decoded") };
        assert!(found.len() == 9 && found.capacity() < 100, "{} of {}", found.len(), found.capacity());
    }
}

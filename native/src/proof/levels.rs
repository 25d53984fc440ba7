//! Small numbers as Parquet packs them, in runs of one number or groups of eight by their bits: levels, indices, booleans.

use crate::layout::word;

use super::thrift::Stream;
use super::{Result, refuse};

/// Numbers of a page: one that repeats, or each in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    Same(u32),
    Each,
}

/// What numbers are unpacked into.
pub trait Small: Copy + Default + PartialEq {
    fn of(number: u32) -> Self;
}

impl Small for u8 {
    fn of(number: u32) -> Self {
        number as u8
    }
}

impl Small for u32 {
    fn of(number: u32) -> Self {
        number
    }
}

/// Reads `count` numbers of `width` bits, none of which is larger than `most`. Where not all are the same they are left in `out`, which
/// is as long then.
pub fn unpack<T: Small>(data: &[u8], width: usize, count: usize, most: u32, out: &mut Vec<T>) -> Result<Numbers> {
    if width > 32 {
        return refuse("packed numbers of more than 32 bits");
    }
    out.clear();
    let mut stream = Stream::new(data);
    let mut same = None;
    while out.len() < count {
        let head = stream.unsigned()?;
        let left = count - out.len();
        let Ok(length) = usize::try_from(head >> 1) else { return refuse("a run of numbers is too long") };
        if length == 0 {
            return refuse("a run of numbers is empty");
        }
        if head & 1 == 0 {
            let stored = stream.take(width.div_ceil(8))?;
            let number = stored.iter().rev().fold(0u32, |number, byte| number << 8 | u32::from(*byte));
            if number > most {
                return refuse("a level or an index is larger than there are");
            }
            if out.is_empty() && length >= count {
                same = Some(number);
                break;
            }
            out.resize(out.len() + length.min(left), T::of(number));
        } else {
            let Some(bytes) = length.checked_mul(width) else { return refuse("a run of numbers is too long") };
            let packed = stream.take(bytes)?;
            if unpack_bits(packed, width, left.min(length.saturating_mul(8)), most, out) > most {
                return refuse("a level or an index is larger than there are");
            }
        }
    }
    Ok(match same {
        Some(number) => Numbers::Same(number),
        None if count == 0 => Numbers::Same(0),
        None => Numbers::Each,
    })
}

/// Appends `count` numbers of `width` bits; the largest of them, where any could be larger than `most`.
fn unpack_bits<T: Small>(packed: &[u8], width: usize, count: usize, most: u32, out: &mut Vec<T>) -> u32 {
    macro_rules! by_width {
        ($($bits:literal)*) => {
            match width {
                $($bits if most >= (u32::MAX >> (32 - $bits)) => eights::<T, $bits, false>(packed, count, out),)*
                $($bits => eights::<T, $bits, true>(packed, count, out),)*
                _ => 0,
            }
        };
    }
    if width == 0 {
        out.resize(out.len() + count, T::default());
        return 0;
    }
    by_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32)
}

/// Eight numbers are as many bytes as one has bits. Each lies within eight bytes from the one in which it begins.
fn eights<T: Small, const BITS: usize, const BOUNDED: bool>(packed: &[u8], count: usize, out: &mut Vec<T>) -> u32 {
    let start = out.len();
    out.resize(start + count, T::default());
    let out = &mut out[start..];
    let mut largest = 0;
    // So many whole eights have eight bytes more behind them.
    let safe = (packed.len().saturating_sub(8) / BITS).min(count / 8);
    let (whole, rest) = out.split_at_mut(8 * safe);
    for (i, eight) in whole.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        largest = largest.max(eight_of::<T, BITS, BOUNDED>(&packed[i * BITS..i * BITS + BITS + 8], eight));
    }
    for (i, some) in rest.chunks_mut(8).enumerate() {
        let at = (safe + i) * BITS;
        let (mut room, mut eight) = ([0u8; 48], [T::default(); 8]);
        let stored = &packed[at..packed.len().min(at + BITS)];
        room[..stored.len()].copy_from_slice(stored);
        largest = largest.max(eight_of::<T, BITS, BOUNDED>(&room[..BITS + 8], &mut eight));
        some.copy_from_slice(&eight[..some.len()]);
    }
    largest
}

/// The largest of eight numbers, which come from the front of `window`; without BOUNDED nobody asks for it.
#[inline(always)]
fn eight_of<T: Small, const BITS: usize, const BOUNDED: bool>(window: &[u8], eight: &mut [T; 8]) -> u32 {
    let mask = ((1u64 << BITS) - 1) as u32;
    let mut largest = 0;
    for (n, one) in eight.iter_mut().enumerate() {
        let number = (word(&window[n * BITS / 8..n * BITS / 8 + 8]) >> (n * BITS % 8)) as u32 & mask;
        if BOUNDED {
            largest = largest.max(number);
        }
        *one = T::of(number);
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(numbers: &[u32], width: usize) -> Vec<u8> {
        let mut bits = vec![0u8; numbers.len().div_ceil(8) * width];
        for (i, number) in numbers.iter().enumerate() {
            (0..width).filter(|bit| number >> bit & 1 == 1).for_each(|bit| bits[(i * width + bit) / 8] |= 1 << ((i * width + bit) % 8));
        }
        let mut out = vec![(numbers.len().div_ceil(8) << 1 | 1) as u8];
        out.extend(bits);
        out
    }

    #[test]
    fn packed_numbers_of_every_width_are_read() {
        for width in 1..=32usize {
            let most = ((1u64 << width) - 1) as u32;
            for count in [1, 7, 8, 9, 64, 77] {
                let numbers: Vec<u32> = (0..count as u32).map(|i| i.wrapping_mul(0x9E37_79B9) & most).collect();
                let mut out = Vec::<u32>::new();
                assert_eq!(unpack(&packed(&numbers, width), width, count, most, &mut out), Ok(Numbers::Each));
                assert_eq!(out, numbers);
                if let Some(largest) = numbers.iter().max().filter(|largest| **largest > 0) {
                    assert!(unpack(&packed(&numbers, width), width, count, largest - 1, &mut out).is_err());
                }
            }
        }
    }

    #[test]
    fn runs_are_read_and_bounded() {
        let mut out = Vec::<u8>::new();
        assert_eq!(unpack(&[200, 1, 3], 2, 100, 3, &mut out), Ok(Numbers::Same(3)));
        assert_eq!(
            unpack(&[8, 1, 3, 0b1110_0100], 2, 8, 3, &mut out),
            Err(super::super::Refusal::new("it ends in the middle of a structure"))
        );
        assert_eq!(unpack(&[8, 1, 3, 0b1110_0100, 0], 2, 8, 3, &mut out), Ok(Numbers::Each));
        assert_eq!(out, [1, 1, 1, 1, 0, 1, 2, 3]);
        assert!(unpack(&[200, 1, 3], 2, 100, 2, &mut out).is_err());
        assert!(unpack(&[0, 3], 2, 4, 3, &mut out).is_err());
        assert!(unpack(&[8, 1], 2, 8, 3, &mut out).is_err());
    }
}

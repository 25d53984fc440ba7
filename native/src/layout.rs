//! How arrays lie in memory: what numbers and offsets are stored as, and bitmaps; and what is said of an array that contradicts itself.

use std::fmt;

/// Of all NaNs the one that counts.
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

pub const SHORT: Fault = Fault::Layout("a buffer is shorter than its values");
pub const BACKWARDS: Fault = Fault::Layout("offsets run backwards or beyond what they divide");

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
    pub fn width(self) -> usize {
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
    pub fn width(self) -> usize {
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
    pub fn width(self) -> usize {
        match self {
            Self::Narrow => 4,
            Self::Wide => 8,
        }
    }
}

impl Integer {
    /// The stored integers as words of 64 bits, extended by their sign.
    pub fn read(self, data: &[u8], words: &mut [u64]) {
        match self {
            Self::I8 => read(data, words, |[byte]: [u8; 1]| i64::from(byte as i8) as u64),
            Self::I16 => read(data, words, |bytes| i64::from(i16::from_le_bytes(bytes)) as u64),
            Self::I32 => read(data, words, |bytes| i64::from(i32::from_le_bytes(bytes)) as u64),
            Self::I64 | Self::U64 => read(data, words, u64::from_le_bytes),
            Self::U8 => read(data, words, |[byte]: [u8; 1]| u64::from(byte)),
            Self::U16 => read(data, words, |bytes| u64::from(u16::from_le_bytes(bytes))),
            Self::U32 => read(data, words, |bytes| u64::from(u32::from_le_bytes(bytes))),
        }
    }
}

impl Float {
    /// The stored floats as the bits of doubles, in their normal form.
    pub fn read(self, data: &[u8], words: &mut [u64]) {
        match self {
            Self::F16 => read(data, words, |bytes| normal(double_of_half(u16::from_le_bytes(bytes)))),
            Self::F32 => read(data, words, |bytes| normal(f64::from(f32::from_le_bytes(bytes)))),
            Self::F64 => read(data, words, |bytes| normal(f64::from_le_bytes(bytes))),
        }
    }
}

impl Offsets {
    /// Stored offsets; a negative one lies beyond everything.
    pub fn read(self, data: &[u8], ends: &mut [usize]) {
        match self {
            Self::Narrow => read(data, ends, |bytes| usize::try_from(i32::from_le_bytes(bytes)).unwrap_or(usize::MAX)),
            Self::Wide => read(data, ends, |bytes| usize::try_from(i64::from_le_bytes(bytes)).unwrap_or(usize::MAX)),
        }
    }
}

#[inline(always)]
fn read<T, const WIDTH: usize>(data: &[u8], found: &mut [T], meaning: impl Fn([u8; WIDTH]) -> T) {
    for (one, bytes) in found.iter_mut().zip(data.chunks_exact(WIDTH)) {
        let mut room = [0; WIDTH];
        room.copy_from_slice(bytes);
        *one = meaning(room);
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

/// Bits of a bitmap from one of them on.
#[derive(Clone, Copy)]
pub struct Bits<'a> {
    pub data: &'a [u8],
    pub offset: usize,
}

impl Bits<'_> {
    #[inline(always)]
    pub fn at(&self, i: usize) -> bool {
        let bit = self.offset + i;
        self.data[bit >> 3] >> (bit & 7) & 1 == 1
    }

    pub fn all(&self, count: usize) -> bool {
        self.count_ones(count) == count
    }

    pub fn none(&self, count: usize) -> bool {
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

    /// All ones where the bit is set, else zero.
    pub fn masks(&self, masks: &mut [u64]) {
        for (i, mask) in masks.iter_mut().enumerate() {
            *mask = u64::from(self.at(i)).wrapping_neg();
        }
    }
}

/// The bytes of `count` values of `width` bytes from value `first` on.
pub fn part(data: &[u8], first: usize, count: usize, width: usize) -> &[u8] {
    &data[first * width..(first + count) * width]
}

#[inline(always)]
pub fn word(bytes: &[u8]) -> u64 {
    let mut room = [0; 8];
    room.copy_from_slice(bytes);
    u64::from_le_bytes(room)
}

#[cfg(test)]
mod tests {
    use super::*;

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

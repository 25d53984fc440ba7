//! Values as PLAIN stores them: where each begins, and what they are worth as numbers.

use super::Refusal;
use super::metadata::Physical;

type Result<T> = std::result::Result<T, Refusal>;

const DAY_US: i64 = 86_400_000_000;
const JULIAN_DAY_OF_1970: i64 = 2_440_588;

/// Iterates over PLAIN values that were checked; of byte arrays without their lengths.
pub struct Values<'a> {
    rest: &'a [u8],
    width: Option<usize>,
}

impl<'a> Values<'a> {
    pub fn new(data: &'a [u8], physical: Physical) -> Self {
        Self { rest: data, width: physical.width() }
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (start, length) = match self.width {
            Some(width) => (0, width),
            None => (4, u32::from_le_bytes(self.rest.get(..4)?.try_into().expect("four bytes")) as usize),
        };
        let value = self.rest.get(start..)?.get(..length)?;
        self.rest = &self.rest[start + length..];
        Some(value)
    }
}

/// Raises nothing only for exactly `count` values.
pub fn check_plain(data: &[u8], physical: Physical, count: usize) -> Result<()> {
    let whole = match physical.width() {
        Some(width) => data.len() == count * width,
        None => {
            let mut values = Values::new(data, physical);
            let found = values.by_ref().take(count).count();
            found == count && values.rest.is_empty()
        }
    };
    if whole { Ok(()) } else { Err(Refusal::new("the values of a page do not add up to its size")) }
}

/// PLAIN values in the form `wanted`: decimals in any of their forms (whole numbers, or up to 16 bytes with the most significant first), and
/// timestamps of 96 bits.
pub fn converted(data: &[u8], stored: Physical, wanted: Physical) -> Result<Vec<u8>> {
    if stored == Physical::Int96 {
        return moments(data);
    }
    let (Some(width), Some(length)) = (stored.width(), wanted.width()) else { return Err(Refusal::new("a decimal that is no number")) };
    if width > 16 || length > 16 {
        return Err(Refusal::new("a decimal of more than 16 bytes"));
    }
    let mut out = Vec::with_capacity(data.len() / width * length);
    for value in data.chunks_exact(width) {
        match (stored, wanted) {
            (Physical::Fixed(1..=8), Physical::Int64) => out.extend_from_slice(&short(value).to_le_bytes()),
            (Physical::Fixed(1..=4), Physical::Int32) => out.extend_from_slice(&(short(value) as i32).to_le_bytes()),
            _ => out.extend_from_slice(&fitted(number(value, stored), wanted, length)?[16 - length..]),
        }
    }
    Ok(out)
}

/// Timestamps of 96 bits, nanoseconds of a day and its Julian number, as microseconds since 1970. What is finer is cut off, as Arrow does.
/// Day 0, which is before anything that writers hold, is 1970 to Arrow and not to others: refused.
fn moments(data: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(data.len() / 12 * 8);
    for value in data.chunks_exact(12) {
        let (nanoseconds, day) = value.split_at(8);
        let nanoseconds = u64::from_le_bytes(nanoseconds.try_into().expect("eight bytes"));
        let day = i64::from(u32::from_le_bytes(day.try_into().expect("four bytes")));
        if nanoseconds >= DAY_US as u64 * 1000 || day == 0 {
            return Err(Refusal::new("a timestamp of 96 bits is beyond its day, or before all days"));
        }
        let start = (day - JULIAN_DAY_OF_1970).checked_mul(DAY_US);
        let moment = start.and_then(|start| start.checked_add((nanoseconds / 1000) as i64));
        out.extend_from_slice(&moment.ok_or_else(|| Refusal::new("a timestamp of 96 bits is too far away"))?.to_le_bytes());
    }
    Ok(out)
}

/// Of one to eight bytes, the most significant first.
fn short(value: &[u8]) -> i64 {
    let mut bytes = if value[0] & 0x80 == 0 { [0; 8] } else { [0xff; 8] };
    bytes[8 - value.len()..].copy_from_slice(value);
    i64::from_be_bytes(bytes)
}

fn number(value: &[u8], stored: Physical) -> i128 {
    match stored {
        Physical::Int32 => i128::from(i32_of(value)),
        Physical::Int64 => i128::from(i64_of(value)),
        _ => value.iter().fold(if value[0] & 0x80 == 0 { 0 } else { -1 }, |number: i128, byte| number << 8 | i128::from(*byte)),
    }
}

/// A number whose last `length` bytes are it in the form `wanted`.
fn fitted(number: i128, wanted: Physical, length: usize) -> Result<[u8; 16]> {
    let mut bytes = number.to_be_bytes();
    let (dropped, kept) = bytes.split_at_mut(16 - length);
    let sign = if kept[0] & 0x80 == 0 { 0 } else { 0xff };
    if dropped.iter().any(|byte| *byte != sign) {
        return Err(Refusal::new("a decimal has more digits than its type"));
    }
    if matches!(wanted, Physical::Int32 | Physical::Int64) {
        kept.reverse();
    }
    Ok(bytes)
}

/// Where each of `count` PLAIN values begins, and at last where they end; lengths of byte arrays included.
pub fn starts(data: &[u8], physical: Physical, count: usize) -> Result<Vec<u32>> {
    check_plain(data, physical, count)?;
    let mut found = Vec::with_capacity(count + 1);
    found.push(0);
    let mut at = 0;
    let prefix = if physical.width().is_none() { 4 } else { 0 };
    for value in Values::new(data, physical) {
        at += value.len() + prefix;
        found.push(at as u32);
    }
    Ok(found)
}

/// Of four bytes.
pub fn i32_of(value: &[u8]) -> i32 {
    i32::from_le_bytes(value.try_into().expect("four bytes"))
}

/// Of eight bytes.
pub fn i64_of(value: &[u8]) -> i64 {
    i64::from_le_bytes(value.try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_of_any_form_become_any_other_or_are_refused() {
        use Physical::{Fixed, Int32, Int64};
        let values = [5i32.to_le_bytes(), (-2i32).to_le_bytes()].concat();
        assert_eq!(converted(&values, Int32, Fixed(3)).expect("fits"), [0, 0, 5, 0xff, 0xff, 0xfe]);
        assert!(converted(&200i32.to_le_bytes(), Int32, Fixed(1)).is_err());
        assert_eq!(converted(&[0xff, 0xff, 0xfe, 0, 1, 2], Fixed(3), Fixed(2)).expect("fits"), [0xff, 0xfe, 1, 2]);
        assert!(converted(&[1, 0, 0], Fixed(3), Fixed(2)).is_err());
        assert_eq!(converted(&i64::MIN.to_le_bytes(), Int64, Fixed(9)).expect("fits")[..3], [0xff, 0x80, 0]);
        for number in [0, 1, -1, 127, -128, 65_537, -65_537, i64::from(i32::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN] {
            let stored = i128::from(number).to_be_bytes();
            for width in 1..=16 {
                let bytes = &stored[16 - width..];
                if width < 8 && number >> (8 * width - 1) != 0 && number >> (8 * width - 1) != -1 {
                    continue;
                }
                assert_eq!(converted(bytes, Fixed(width), Int64).expect("fits"), number.to_le_bytes());
                match i32::try_from(number) {
                    Ok(small) => assert_eq!(converted(bytes, Fixed(width), Int32).expect("fits"), small.to_le_bytes()),
                    Err(_) => assert!(converted(bytes, Fixed(width), Int32).is_err()),
                }
            }
        }
        assert_eq!(converted(&7i32.to_le_bytes(), Int32, Int64).expect("fits"), 7i64.to_le_bytes());
        assert_eq!(converted(&(-7i64).to_le_bytes(), Int64, Int32).expect("fits"), (-7i32).to_le_bytes());
        assert!(converted(&[0; 17], Fixed(17), Int64).is_err());
    }

    #[test]
    fn timestamps_of_96_bits_become_microseconds_or_are_refused() {
        let of = |nanoseconds: u64, day: u32| {
            let stored = [&nanoseconds.to_le_bytes()[..], &day.to_le_bytes()[..]].concat();
            converted(&stored, Physical::Int96, Physical::Int64).map(|out| i64_of(&out))
        };
        assert_eq!(of(0, 2_440_588), Ok(0));
        assert_eq!(of(86_399_999_999_999, 2_440_587), Ok(-1));
        assert_eq!(of(1999, 2_440_589), Ok(86_400_000_001));
        assert_eq!(of(0, 1_721_426), Ok(-62_135_596_800_000_000)); // the first day of the year 1
        assert_eq!(of(86_399_999_999_000, 5_373_484), Ok(253_402_300_799_999_999)); // the last of the year 9999
        assert!(of(86_400_000_000_000, 2_440_588).is_err());
        assert!(of(0, u32::MAX).is_err());
        assert!(of(0, 0).is_err() && of(0, 1).is_ok());
    }

    #[test]
    fn values_that_do_not_end_with_their_page_are_refused() {
        let text = [&2u32.to_le_bytes()[..], b"ab", &1u32.to_le_bytes()[..], b"c"].concat();
        assert!(check_plain(&text, Physical::ByteArray, 2).is_ok());
        assert!(check_plain(&text, Physical::ByteArray, 1).is_err());
        assert!(check_plain(&text, Physical::ByteArray, 3).is_err());
        assert!(check_plain(&text[..text.len() - 1], Physical::ByteArray, 2).is_err());
        assert!(check_plain(&text, Physical::Int32, 2).is_err());
    }
}

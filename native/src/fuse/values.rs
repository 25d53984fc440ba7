//! Values as PLAIN stores them: where each begins, and what they are worth as numbers.

use super::Refusal;
use super::metadata::Physical;

type Result<T> = std::result::Result<T, Refusal>;

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

/// Decimals that are stored as whole numbers or in another number of bytes, as `length` bytes, most significant first.
pub fn widened(data: &[u8], stored: Physical, length: usize) -> Result<Vec<u8>> {
    let width = stored.width().ok_or_else(|| Refusal::new("a decimal that is no number"))?;
    let mut out = Vec::with_capacity(data.len() / width * length);
    for value in data.chunks_exact(width) {
        let number = match stored {
            Physical::Int32 => i128::from(i32_of(value)),
            Physical::Int64 => i128::from(i64_of(value)),
            _ => value.iter().fold(if value[0] & 0x80 == 0 { 0 } else { -1 }, |number: i128, byte| number << 8 | i128::from(*byte)),
        };
        let bytes = number.to_be_bytes();
        let (dropped, kept) = bytes.split_at(16 - length);
        let sign = if kept[0] & 0x80 == 0 { 0 } else { 0xff };
        if dropped.iter().any(|byte| *byte != sign) {
            return Err(Refusal::new("a decimal has more digits than its type"));
        }
        out.extend_from_slice(kept);
    }
    Ok(out)
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
    fn decimals_as_numbers_become_bytes_or_are_refused() {
        let values = [5i32.to_le_bytes(), (-2i32).to_le_bytes()].concat();
        assert_eq!(widened(&values, Physical::Int32, 3).expect("fits"), [0, 0, 5, 0xff, 0xff, 0xfe]);
        assert!(widened(&200i32.to_le_bytes(), Physical::Int32, 1).is_err());
        assert_eq!(widened(&[0xff, 0xff, 0xfe, 0, 1, 2], Physical::Fixed(3), 2).expect("fits"), [0xff, 0xfe, 1, 2]);
        assert!(widened(&[1, 0, 0], Physical::Fixed(3), 2).is_err());
        assert_eq!(widened(&i64::MIN.to_le_bytes(), Physical::Int64, 9).expect("fits")[..3], [0xff, 0x80, 0]);
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

//! Decodes what is not PLAIN into PLAIN: deltas, byte streams, and runs of booleans. Used where pages are too small to be kept.

use super::Refusal;
use super::hybrid::{Numbers, decode};
use super::metadata::Physical;
use super::thrift::Reader;
use super::{BYTE_STREAM_SPLIT, DELTA_BINARY_PACKED, DELTA_BYTE_ARRAY, DELTA_LENGTH_BYTE_ARRAY, MOST_PAGE_BYTES, PLAIN, RLE};

type Result<T> = std::result::Result<T, Refusal>;

fn broken() -> Refusal {
    Refusal::new("encoded values go beyond their page")
}

/// Whether values of this type may be in this encoding, and are known here.
pub fn known(encoding: i32, physical: Physical) -> bool {
    match encoding {
        PLAIN => true,
        RLE => physical == Physical::Boolean,
        DELTA_BINARY_PACKED => matches!(physical, Physical::Int32 | Physical::Int64),
        DELTA_LENGTH_BYTE_ARRAY => physical == Physical::ByteArray,
        DELTA_BYTE_ARRAY => matches!(physical, Physical::ByteArray | Physical::Fixed(_)),
        BYTE_STREAM_SPLIT => !matches!(physical, Physical::Boolean | Physical::ByteArray | Physical::Int96),
        _ => false,
    }
}

/// Appends `count` values of a page in this encoding, PLAIN.
pub fn to_plain(encoding: i32, body: &[u8], physical: Physical, count: usize, out: &mut Vec<u8>) -> Result<()> {
    match (encoding, physical) {
        (DELTA_BINARY_PACKED, Physical::Int32) => {
            let (values, _) = numbers(body, count)?;
            values.iter().for_each(|value| out.extend_from_slice(&(*value as i32).to_le_bytes()));
        }
        (DELTA_BINARY_PACKED, Physical::Int64) => {
            let (values, _) = numbers(body, count)?;
            values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
        }
        (DELTA_LENGTH_BYTE_ARRAY, Physical::ByteArray) => {
            let (lengths, at) = numbers(body, count)?;
            let mut rest = &body[at..];
            for length in lengths {
                let value = take(&mut rest, length)?;
                out.extend_from_slice(&(value.len() as u32).to_le_bytes());
                out.extend_from_slice(value);
            }
            if !rest.is_empty() {
                return Err(broken());
            }
        }
        (DELTA_BYTE_ARRAY, Physical::ByteArray | Physical::Fixed(_)) => prefixed(body, physical, count, out)?,
        (BYTE_STREAM_SPLIT, _) => {
            let width = physical.width().ok_or_else(broken)?;
            if body.len() != width * count {
                return Err(broken());
            }
            out.reserve(body.len());
            for i in 0..count {
                out.extend((0..width).map(|byte| body[byte * count + i]));
            }
        }
        _ => return Err(Refusal::new(format!("encoding {encoding} is not known for its type"))),
    }
    Ok(())
}

fn take<'a>(rest: &mut &'a [u8], length: i64) -> Result<&'a [u8]> {
    let length = usize::try_from(length).ok().filter(|length| *length <= rest.len()).ok_or_else(broken)?;
    let (value, after) = rest.split_at(length);
    *rest = after;
    Ok(value)
}

fn prefixed(body: &[u8], physical: Physical, count: usize, out: &mut Vec<u8>) -> Result<()> {
    let (prefixes, at) = numbers(body, count)?;
    let (suffixes, more) = numbers(&body[at..], count)?;
    let mut rest = &body[at + more..];
    let mut last: Vec<u8> = Vec::new();
    let start = out.len();
    for (prefix, suffix) in prefixes.into_iter().zip(suffixes) {
        let prefix = usize::try_from(prefix).ok().filter(|prefix| *prefix <= last.len()).ok_or_else(broken)?;
        last.truncate(prefix);
        last.extend_from_slice(take(&mut rest, suffix)?);
        match physical.width() {
            None => out.extend_from_slice(&(last.len() as u32).to_le_bytes()),
            Some(width) if width == last.len() => {}
            Some(_) => return Err(broken()),
        }
        out.extend_from_slice(&last);
        if out.len() - start > MOST_PAGE_BYTES {
            return Err(Refusal::new("a page is too large"));
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(broken()) }
}

/// Whether the differences in a page of this encoding are told in no more bits than the numbers have.
///
/// HAZARD: DuckDB computes those of 32-bit numbers, and of numbers that go from one end to the other, in 64 bits; some readers refuse them.
pub fn is_narrow(encoding: i32, body: &[u8], physical: Physical, count: usize) -> Result<bool> {
    let mut narrow = true;
    let mut look = |body: &[u8]| {
        parts(body, count, |part| {
            narrow &= part.width <= i32::BITS && i32::try_from(part.least).is_ok();
            Ok(())
        })
    };
    match (encoding, physical) {
        (DELTA_BINARY_PACKED, Physical::Int32) | (DELTA_LENGTH_BYTE_ARRAY, _) => look(body)?,
        (DELTA_BYTE_ARRAY, _) => {
            let at = look(body)?;
            look(&body[at..])?
        }
        _ => 0,
    };
    Ok(narrow)
}

/// `count` numbers of DELTA_BINARY_PACKED, and how many bytes they took.
fn numbers(data: &[u8], count: usize) -> Result<(Vec<i64>, usize)> {
    let (mut found, mut value) = (Vec::new(), 0i64);
    let taken = parts(data, count, |part| {
        for i in 0..part.values {
            value = value.wrapping_add(part.least).wrapping_add(unpacked(part.packed, i, part.width)? as i64);
            found.push(value);
        }
        Ok(())
    })?;
    Ok((found, taken))
}

/// Some numbers: each is more than the one before by `least` and what is packed for it.
struct Part<'a> {
    least: i64,
    width: u32,
    packed: &'a [u8],
    values: usize,
}

/// Shows the parts of `count` numbers of DELTA_BINARY_PACKED, of which the first is the first number alone; how many bytes they took.
fn parts<'a>(data: &'a [u8], count: usize, mut show: impl FnMut(Part<'a>) -> Result<()>) -> Result<usize> {
    let mut reader = Reader::new(data);
    let block = reader.varint()?;
    let parts = reader.varint()?;
    let total = reader.varint()?;
    let unzigzag = |value: u64| (value >> 1) as i64 ^ -((value & 1) as i64);
    let first = unzigzag(reader.varint()?);
    if total != count as u64 || block == 0 || block > 1 << 16 || block % 128 != 0 || parts == 0 || block % parts != 0 {
        return Err(Refusal::new("deltas of a shape that there is not"));
    }
    let part = (block / parts) as usize;
    if !part.is_multiple_of(32) {
        return Err(Refusal::new("deltas of a shape that there is not"));
    }
    let mut left = count.saturating_sub(1);
    if count > 0 {
        show(Part { least: first, width: 0, packed: &[], values: 1 })?;
    }
    while left > 0 {
        let least = unzigzag(reader.varint()?);
        let widths = data.get(reader.at..reader.at + parts as usize).ok_or_else(broken)?;
        reader.at += widths.len();
        for width in widths.iter().map(|width| u32::from(*width)) {
            if left == 0 {
                break; // what follows the last value is not stored
            }
            let packed = data.get(reader.at..reader.at + part / 8 * width as usize).ok_or_else(broken)?;
            reader.at += packed.len();
            let values = part.min(left);
            show(Part { least, width, packed, values })?;
            left -= values;
        }
    }
    Ok(reader.at)
}

fn unpacked(packed: &[u8], i: usize, width: u32) -> Result<u64> {
    if width == 0 {
        return Ok(0);
    }
    if width > 64 {
        return Err(broken());
    }
    let bit = i * width as usize;
    let rest = &packed[bit / 8..];
    let mut window = [0u8; 16];
    let n = rest.len().min(16);
    window[..n].copy_from_slice(&rest[..n]);
    let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
    Ok((u128::from_le_bytes(window) >> (bit % 8)) as u64 & mask)
}

/// `count` booleans, a byte each.
pub fn booleans(encoding: i32, body: &[u8], count: usize) -> Result<Numbers<u8>> {
    match encoding {
        PLAIN if body.len() == count.div_ceil(8) => {
            let mut values: Vec<u8> = Vec::with_capacity(8 * body.len());
            body.iter().for_each(|byte| values.extend_from_slice(&std::array::from_fn::<u8, 8, _>(|i| byte >> i & 1)));
            values.truncate(count);
            Ok(Numbers::Each(values))
        }
        PLAIN => Err(broken()),
        RLE => {
            let length = body.get(..4).ok_or_else(broken)?;
            let length = u32::from_le_bytes(length.try_into().expect("four bytes")) as usize;
            if body.len() - 4 != length {
                return Err(broken());
            }
            decode(&body[4..], 1, count, 1)
        }
        _ => Err(Refusal::new(format!("encoding {encoding} is not known for booleans"))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::thrift::write_varint;
    use super::*;

    #[test]
    fn differences_of_more_bits_than_numbers_have_are_told() {
        let page = |first: i64, least: i64, width: u8| {
            let mut page = Vec::new();
            for number in [128, 4, 3] {
                write_varint(number, &mut page);
            }
            let zigzag = |number: i64| (number << 1 ^ number >> 63) as u64;
            write_varint(zigzag(first), &mut page);
            write_varint(zigzag(least), &mut page);
            page.extend([width, 0, 0, 0]);
            page.resize(page.len() + 4 * usize::from(width), 0);
            page
        };
        let (low, high) = (i64::from(i32::MIN), i64::from(i32::MAX));
        let cases = [(0, 1, 32, true), (low, high, 7, true), (0, 1, 33, false), (0, low - 1, 7, false), (high + 1, 0, 7, false)];
        for (first, least, width, narrow) in cases {
            let page = page(first, least, width);
            let found = |encoding, body: &[u8], physical| is_narrow(encoding, body, physical, 3);
            assert_eq!(found(DELTA_BINARY_PACKED, &page, Physical::Int32), Ok(narrow));
            assert_eq!(found(DELTA_BINARY_PACKED, &page, Physical::Int64), Ok(true));
            assert_eq!(found(DELTA_LENGTH_BYTE_ARRAY, &page, Physical::ByteArray), Ok(narrow));
            let both = [&[128, 1, 4, 3, 0, 2, 0, 0, 0, 0], &page[..]].concat(); // behind as many small ones
            assert_eq!(found(DELTA_BYTE_ARRAY, &both, Physical::ByteArray), Ok(narrow));
        }
    }
}

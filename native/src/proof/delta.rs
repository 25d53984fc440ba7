//! Whole numbers stored by their differences (DELTA_BINARY_PACKED).

use super::thrift::Stream;
use super::{Result, refuse};

/// Appends `count` numbers, sums modulo 2^64, and returns what follows them.
pub fn numbers<'a>(data: &'a [u8], count: usize, out: &mut Vec<u64>) -> Result<&'a [u8]> {
    let mut stream = Stream::new(data);
    let block = stream.unsigned()? as usize;
    let parts = stream.unsigned()? as usize;
    let told = stream.unsigned()?;
    let mut number = stream.signed()? as u64;
    if told != count as u64 {
        return refuse("a page of differences has another number of values than its header says");
    }
    if parts == 0 || parts > 1024 || block == 0 || block > 1 << 20 || !block.is_multiple_of(parts) || !(block / parts).is_multiple_of(8) {
        return refuse("a page of differences is divided in a way that there is not");
    }
    let end = out.len() + count;
    if count > 0 {
        out.push(number);
    }
    while out.len() < end {
        let least = stream.signed()? as u64;
        let widths = stream.take(parts)?;
        for width in widths {
            if out.len() == end {
                break;
            }
            let width = usize::from(*width);
            if width > 64 {
                return refuse("differences of more than 64 bits");
            }
            let packed = stream.take(block / parts * width / 8)?;
            for i in 0..(block / parts).min(end - out.len()) {
                number = number.wrapping_add(least).wrapping_add(bits(packed, i * width, width));
                out.push(number);
            }
        }
    }
    Ok(stream.rest())
}

/// The number of `width` bits that begins at this bit.
fn bits(packed: &[u8], at: usize, width: usize) -> u64 {
    let (first, shift) = (at / 8, at % 8);
    let end = packed.len().min(first + 16);
    let mut window = [0u8; 16];
    window[..end - first.min(end)].copy_from_slice(&packed[first.min(end)..end]);
    let word = (u128::from_le_bytes(window) >> shift) as u64;
    if width == 64 { word } else { word & ((1 << width) - 1) }
}

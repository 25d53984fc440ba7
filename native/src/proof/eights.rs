//! Snappy streams of numbers that differ little from one to the next: of each number some new bytes, then a copy of those that it has in common
//! with the one eight bytes before. A decoder that reads such a copy from where it has just written to waits for that; here the last eight
//! bytes are kept in a register.

use crate::layout::word;

/// So many copies tell what a stream is like.
const LOOKED_AT: usize = 40;
const EIGHT: usize = 8;

enum Element<'a> {
    Literal(&'a [u8]),
    Copy { offset: usize, length: usize },
}

/// The element that begins here, and where the next one does.
fn element(data: &[u8], at: usize) -> Option<(Element<'_>, usize)> {
    let tag = *data.get(at)?;
    let (upper, more) = (usize::from(tag >> 2), data.get(at + 1..)?);
    let number = |bytes: usize| Some(more.get(..bytes)?.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)));
    let (told, length) = match tag & 3 {
        0 if upper < 60 => (0, upper + 1),
        0 => (upper - 59, number(upper - 59)? + 1),
        1 => return Some((Element::Copy { offset: upper >> 3 << 8 | number(1)?, length: (upper & 7) + 4 }, at + 2)),
        2 => return Some((Element::Copy { offset: number(2)?, length: upper + 1 }, at + 3)),
        _ => return Some((Element::Copy { offset: number(4)?, length: upper + 1 }, at + 5)),
    };
    Some((Element::Literal(more.get(told..)?.get(..length)?), at + 1 + told + length))
}

/// The length that a stream says it has, and where its elements begin.
fn head(data: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0;
    for (i, byte) in data.iter().enumerate().take(5) {
        length |= usize::from(byte & 127) << (7 * i);
        if *byte < 128 {
            return Some((length, i + 1));
        }
    }
    None
}

/// Whether nearly all of the first copies are of what lies eight bytes before.
pub fn repeats(data: &[u8]) -> bool {
    let Some((_, mut at)) = head(data) else { return false };
    let (mut copies, mut near) = (0, 0);
    while copies < LOOKED_AT {
        let Some((found, next)) = element(data, at) else { return false };
        if let Element::Copy { offset, length } = found {
            copies += 1;
            near += usize::from(offset == EIGHT && length <= EIGHT);
        }
        at = next;
    }
    near * 10 >= copies * 9
}

/// Decompresses a stream to all of `out`; None where it is not such a stream.
pub fn decompress(data: &[u8], out: &mut [u8]) -> Option<()> {
    let (length, mut at) = head(data)?;
    if length != out.len() {
        return None;
    }
    let mut end = 0;
    while at < data.len() {
        (at, end) = numbers(data, at, out, end);
        if at == data.len() {
            break;
        }
        let (found, next) = element(data, at)?;
        match found {
            Element::Literal(literal) => {
                out.get_mut(end..)?.get_mut(..literal.len())?.copy_from_slice(literal);
                end += literal.len();
            }
            Element::Copy { offset, length } => {
                if offset.wrapping_sub(1) >= end || length > out.len() - end {
                    return None;
                }
                for i in end..end + length {
                    out[i] = out[i - offset];
                }
                end += length;
            }
        }
        at = next;
    }
    (end == out.len()).then_some(())
}

/// Pairs of up to five new bytes and a copy of up to eight of the last eight, as long as there are such: where they end, in both.
fn numbers(data: &[u8], mut at: usize, out: &mut [u8], mut end: usize) -> (usize, usize) {
    let Some(before) = end.checked_sub(EIGHT) else { return (at, end) };
    let mut last = word(&out[before..end]);
    // What is written beyond a pair is written again by what follows it.
    while let (Some(stored), Some(room)) = (data.get(at..at + 8), out.get_mut(end..end + 16)) {
        let stored = word(stored);
        let new = (stored as u32 & 255) / 4 + 1;
        if stored & 3 != 0 || new > 5 {
            break;
        }
        // A copy with an offset of one byte, which is eight.
        let copy = (stored >> (8 * new + 8)) as u16;
        let common = u32::from(copy >> 2 & 7) + 4;
        if copy & 0xFFE3 != 0x0801 || common > 8 {
            break;
        }
        let literal = stored >> 8;
        last = last >> (8 * new) | literal << (64 - 8 * new);
        room[..8].copy_from_slice(&literal.to_le_bytes());
        room[new as usize..new as usize + 8].copy_from_slice(&last.to_le_bytes());
        last = last.rotate_right(8 * common);
        at += new as usize + 3;
        end += (new + common) as usize;
    }
    (at, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_snap(data: &[u8], size: usize) -> Option<Vec<u8>> {
        let mut out = vec![0; size];
        (snap::raw::Decoder::new().decompress(data, &mut out) == Ok(size)).then_some(out)
    }

    fn here(data: &[u8], size: usize) -> Option<Vec<u8>> {
        let mut out = vec![0xAA; size];
        decompress(data, &mut out).map(|()| out)
    }

    #[test]
    fn streams_are_decompressed_and_damaged_ones_are_refused_as_by_another_decoder() {
        let mut seed = 7u64;
        let mut next = move |most: usize| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as usize % most
        };
        let kinds: [fn(u64) -> Vec<u8>; 4] = [
            |i| i.to_le_bytes().to_vec(),
            |i| (1_700_000_000_000_000 + i * 1_234_567).to_le_bytes().to_vec(),
            |i| (i % 3 * 70_000 + i / 50).to_le_bytes().to_vec(),
            |i| format!("{}-{}", i % 17, i * i).into_bytes(),
        ];
        for round in 0..40 {
            let data: Vec<u8> = (0..next(700) as u64).flat_map(kinds[round % 4]).collect();
            let good = snap::raw::Encoder::new().compress_vec(&data).expect("compresses");
            assert!(here(&good, data.len()) == Some(data.clone()));
            assert!(here(&good, data.len() + 1).is_none());
            for _ in 0..200 {
                let mut bad = good.clone();
                let at = next(good.len() + good.len() / 8 + 1);
                match bad.get_mut(at) {
                    Some(byte) => *byte = next(256) as u8,
                    None => bad.truncate(good.len() - next(good.len() / 2 + 1)),
                }
                assert!(here(&bad, data.len()) == by_snap(&bad, data.len()));
            }
        }
    }

    #[test]
    fn pairs_of_new_bytes_and_a_copy_of_every_length_are_read() {
        for new in 1..=9usize {
            for offset in [7, 8, 9, 264, 520] {
                for length in 4..=11usize {
                    let mut elements = vec![61 << 2, (599 & 255) as u8, (599 >> 8) as u8];
                    elements.extend((0..600u32).map(|i| (i * 7 % 251) as u8));
                    let mut size = 600;
                    for pair in 0..20u8 {
                        elements.push((new as u8 - 1) << 2);
                        elements.extend((0..new as u8).map(|i| i.wrapping_mul(31) ^ pair));
                        elements.extend([1 | (length as u8 - 4) << 2 | ((offset >> 8) << 5) as u8, offset as u8]);
                        size += new + length;
                    }
                    let stream = [&[(size & 127) as u8 | 128, (size >> 7) as u8][..], &elements].concat();
                    let wanted = by_snap(&stream, size);
                    assert!(wanted.is_some() && here(&stream, size) == wanted, "{new} {offset} {length}");
                }
            }
        }
    }

    #[test]
    fn streams_are_known_by_their_first_copies() {
        let numbers: Vec<u8> = (0..500u64).flat_map(u64::to_le_bytes).collect();
        let others: Vec<u8> = (0..500u64).flat_map(|i| (i * i % 50 * 1000).to_le_bytes()).collect();
        let compressed = |data: &[u8]| snap::raw::Encoder::new().compress_vec(data).expect("compresses");
        assert!(repeats(&compressed(&numbers)));
        assert!(!repeats(&compressed(&others)) && !repeats(&compressed(&numbers[..80])) && !repeats(&[255; 9]) && !repeats(&[]));
    }
}

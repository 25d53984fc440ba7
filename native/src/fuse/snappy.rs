//! Raw Snappy streams: the length of what was compressed, and elements, each some bytes or a copy of bytes that came before.

use super::Refusal;
use super::codec::damaged;
use super::thrift::Reader;

type Result<T> = std::result::Result<T, Refusal>;

/// Bytes that `unpack` may write behind the last one.
pub const SLACK: usize = 64;
/// Elements of more than so many bytes, or with fewer bytes behind them, are read with more care.
const SHORT: usize = 32;

/// The length that a Snappy stream says it has, and where its elements begin.
pub fn length(data: &[u8]) -> Result<(usize, usize)> {
    let mut reader = Reader::new(data);
    let length = reader.varint().map_err(|_| damaged())?;
    let length = usize::try_from(length).ok().filter(|length| u32::try_from(*length).is_ok()).ok_or_else(damaged)?;
    Ok((length, reader.at))
}

/// The bytes of elements that are one literal of `size` bytes, as those are that do not compress.
pub fn only_literal(elements: &[u8], size: usize) -> Option<&[u8]> {
    let tag = usize::from(*elements.first()?);
    let more = (tag >> 2).saturating_sub(59);
    let (told, literal) = elements[1..].split_at_checked(more)?;
    let length = 1 + if more == 0 { tag >> 2 } else { told.iter().rev().fold(0, |length, byte| length << 8 | usize::from(*byte)) };
    (tag & 3 == 0 && length == size && literal.len() == size).then_some(literal)
}

/// Whether each element adds up, as `unpack` finds it, without making the bytes: every copy is of bytes that came before.
pub fn check(data: &[u8], size: usize) -> Result<()> {
    let (told, mut at) = length(data)?;
    if told != size {
        return Err(damaged());
    }
    let mut written = 0usize;
    // Each kind of element by itself: where the next one begins is then foreseen, and not waited for.
    while let Some(tag) = data.get(at) {
        let upper = usize::from(tag >> 2);
        let (length, offset) = match tag & 3 {
            0 if upper < 60 => {
                at += upper + 2;
                written += upper + 1;
                continue;
            }
            0 => {
                let told = data.get(at + 1..at + upper - 58).ok_or_else(damaged)?;
                let length = 1 + told.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte));
                at += told.len() + 1 + length;
                written += length;
                continue;
            }
            1 => {
                let low = *data.get(at + 1).ok_or_else(damaged)?;
                at += 2;
                ((upper & 7) + 4, upper >> 3 << 8 | usize::from(low))
            }
            2 => {
                let told = data.get(at + 1..at + 3).ok_or_else(damaged)?;
                at += 3;
                (upper + 1, usize::from(u16::from_le_bytes([told[0], told[1]])))
            }
            _ => {
                let told = data.get(at + 1..at + 5).ok_or_else(damaged)?;
                at += 5;
                (upper + 1, u32::from_le_bytes([told[0], told[1], told[2], told[3]]) as usize)
            }
        };
        if offset.wrapping_sub(1) >= written {
            return Err(damaged());
        }
        written += length;
    }
    if at == data.len() && written == size { Ok(()) } else { Err(damaged()) }
}

/// Fills `out`, but for SLACK bytes, with what these elements make; false where they do not make as many bytes.
///
/// As few decisions as there can be: how long the next element is nobody can foresee, so that more bytes are written than it has, and the
/// element behind it writes over them.
pub fn unpack(elements: &[u8], out: &mut [u8]) -> bool {
    let size = out.len() - SLACK;
    let (mut at, mut done) = (0, 0);
    while at + SHORT < elements.len() && done <= size {
        let tag = usize::from(elements[at]);
        let upper = tag >> 2;
        if tag & 3 == 0 {
            if upper < SHORT {
                out[done..done + SHORT].copy_from_slice(&elements[at + 1..at + 1 + SHORT]);
                (at, done) = (at + upper + 2, done + upper + 1);
                continue;
            }
            match long_literal(elements, at, out, done) {
                Some(next) => (at, done) = next,
                None => return false,
            }
            continue;
        }
        let following = u32::from_le_bytes(elements[at + 1..at + 5].try_into().expect("four bytes")) as usize;
        let (length, offset, more) = match tag & 3 {
            1 => ((upper & 7) + 4, upper >> 3 << 8 | following & 0xff, 1),
            2 => (upper + 1, following & 0xffff, 2),
            _ => (upper + 1, following, 4),
        };
        if !copy(out, done, offset, length) {
            return false;
        }
        (at, done) = (at + 1 + more, done + length);
    }
    last(elements, at, out, done) == Some(size)
}

/// Appends bytes from `offset` back; false where there are none. More than `length` may be written.
#[inline(always)]
fn copy(out: &mut [u8], done: usize, offset: usize, length: usize) -> bool {
    if offset.wrapping_sub(1) >= done || done + SLACK > out.len() {
        return false;
    }
    let from = done - offset;
    if offset < length {
        (0..length).for_each(|i| out[done + i] = out[from + i]);
    } else if length <= 16 {
        out.copy_within(from..from + 16, done);
    } else {
        out.copy_within(from..from + 64, done);
    }
    true
}

/// Appends a literal; where the next element begins, and how many bytes there are then.
#[cold]
fn long_literal(elements: &[u8], at: usize, out: &mut [u8], done: usize) -> Option<(usize, usize)> {
    let upper = usize::from(elements[at] >> 2);
    let told = elements.get(at + 1..at + 1 + upper.saturating_sub(59))?;
    let length = 1 + if told.is_empty() { upper } else { told.iter().rev().fold(0, |length, byte| length << 8 | usize::from(*byte)) };
    let start = at + 1 + told.len();
    let literal = elements.get(start..start.checked_add(length)?)?;
    out.get_mut(done..done.checked_add(length)?)?.copy_from_slice(literal);
    Some((start + length, done + length))
}

/// Appends the elements from `at` on; how many bytes there are then.
fn last(elements: &[u8], mut at: usize, out: &mut [u8], mut done: usize) -> Option<usize> {
    while let Some(tag) = elements.get(at) {
        let upper = usize::from(tag >> 2);
        let more = [0, 1, 2, 4][usize::from(tag & 3)];
        if more == 0 {
            (at, done) = long_literal(elements, at, out, done)?;
            continue;
        }
        let told = elements.get(at + 1..at + 1 + more)?.iter().rev().fold(0, |offset, byte| offset << 8 | usize::from(*byte));
        let (length, offset) = if more == 1 { ((upper & 7) + 4, upper >> 3 << 8 | told) } else { (upper + 1, told) };
        if !copy(out, done, offset, length) {
            return None;
        }
        (at, done) = (at + 1 + more, done + length);
    }
    Some(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What two decoders make of a stream.
    fn both(data: &[u8], size: usize) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let start = length(data).map_or(data.len(), |(_, start)| start);
        let mut out = vec![0xee; size + SLACK];
        let ours = unpack(&data[start..], &mut out).then(|| out[..size].to_vec());
        let mut theirs = vec![0; size];
        let written = snap::raw::Decoder::new().decompress(data, &mut theirs);
        (ours, (written == Ok(size)).then_some(theirs))
    }

    #[test]
    fn every_stream_is_what_another_decoder_makes_of_it_or_damaged_to_both() {
        let mut seed = 3u64;
        let mut next = move |most: usize| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as usize % most
        };
        let kinds: [Box<dyn Fn(usize) -> Vec<u8>>; 4] = [
            Box::new(|n| (0..n as u32 * 9).flat_map(|i| u64::from(i * 7 / 3).to_le_bytes()).collect()),
            Box::new(|n| {
                (0..n * 5).flat_map(|i| format!("{:016x}-{i}", (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)).into_bytes()).collect()
            }),
            Box::new(|n| (0..n * 31).map(|i| (i % 7 * (i / 900)) as u8).collect()),
            Box::new(|n| (0..n * 40).map(|i| ((i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 55) as u8).collect()),
        ];
        for round in 0..60 {
            let data = kinds[round % 4](next(100));
            let good = snap::raw::Encoder::new().compress_vec(&data).expect("compresses");
            assert_eq!(both(&good, data.len()), (Some(data.clone()), Some(data.clone())));
            for _ in 0..300 {
                let mut bad = good.clone();
                let at = length(&good).expect("a length").1 + next(good.len());
                if at < bad.len() {
                    bad[at] = next(256) as u8;
                } else {
                    bad.truncate(good.len() - next(good.len() / 2 + 1));
                }
                let (ours, theirs) = both(&bad, data.len());
                assert_eq!(ours, theirs);
                assert_eq!(check(&bad, data.len()).is_ok(), ours.is_some());
            }
        }
    }

    #[test]
    fn elements_of_every_kind_and_length_are_read() {
        for literal in [1usize, 31, 32, 33, 59, 60, 61, 64, 65, 300, 70_000] {
            for offset in [1usize, 2, 7, 8, 15, 16, 17, 63, 64, 65, 2047, 2048, 65_535, 65_536] {
                for length in [1usize, 4, 11, 12, 16, 17, 63, 64] {
                    for behind in [1usize, 40] {
                        let size = literal + length + behind;
                        let mut data = Vec::new();
                        super::super::thrift::write_varint(size as u64, &mut data);
                        let add = |n: usize, data: &mut Vec<u8>| {
                            match n {
                                0..=60 => data.push((n as u8 - 1) << 2),
                                61..=256 => data.extend([60 << 2, (n - 1) as u8]),
                                _ => data.extend([62 << 2, (n - 1) as u8, ((n - 1) >> 8) as u8, ((n - 1) >> 16) as u8]),
                            }
                            data.extend((0..n).map(|i| (i * 7 % 251) as u8));
                        };
                        add(literal, &mut data);
                        match (offset, length) {
                            (0..=2047, 4..=11) => data.extend([1 | (length as u8 - 4) << 2 | (offset >> 8 << 5) as u8, offset as u8]),
                            (0..=65_535, _) => data.extend([2 | (length as u8 - 1) << 2, offset as u8, (offset >> 8) as u8]),
                            _ => data.extend([3 | (length as u8 - 1) << 2, offset as u8, (offset >> 8) as u8, (offset >> 16) as u8, 0]),
                        }
                        add(behind, &mut data);
                        let (ours, theirs) = both(&data, size);
                        assert_eq!((ours.is_some(), &ours), (offset <= literal, &theirs));
                        assert_eq!(check(&data, size).is_ok(), offset <= literal);
                    }
                }
            }
        }
    }
}

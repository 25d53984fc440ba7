//! Raw Snappy streams: the length of what was compressed, and elements, each some bytes or a copy of bytes that came before.

use super::Refusal;
use super::buffer::Buffer;
use super::codec::damaged;
use super::thrift::Reader;

type Result<T> = std::result::Result<T, Refusal>;

const MOST_OF_A_COPY: usize = 64;

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

/// An element: how many bytes it makes, from how far back it copies them, or 0 where they are the last of its own, and where it ends.
pub struct Element {
    pub length: usize,
    pub offset: usize,
    pub end: usize,
}

/// The element that begins here. Its end may be beyond those of the data, and its copy from before the beginning.
#[inline(always)]
pub fn element(data: &[u8], at: usize) -> Result<Element> {
    let tag = *data.get(at).ok_or_else(damaged)?;
    let upper = usize::from(tag >> 2);
    let (length, offset, end) = match tag & 3 {
        0 if upper < 60 => return Ok(Element { length: upper + 1, offset: 0, end: at + upper + 2 }),
        0 => {
            let told = data.get(at + 1..at + upper - 58).ok_or_else(damaged)?;
            let length = 1 + told.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte));
            return Ok(Element { length, offset: 0, end: at + 1 + told.len() + length });
        }
        1 => {
            let low = *data.get(at + 1).ok_or_else(damaged)?;
            ((upper & 7) + 4, upper >> 3 << 8 | usize::from(low), at + 2)
        }
        2 => {
            let told = data.get(at + 1..at + 3).ok_or_else(damaged)?;
            (upper + 1, usize::from(u16::from_le_bytes([told[0], told[1]])), at + 3)
        }
        _ => {
            let told = data.get(at + 1..at + 5).ok_or_else(damaged)?;
            (upper + 1, u32::from_le_bytes([told[0], told[1], told[2], told[3]]) as usize, at + 5)
        }
    };
    if offset == 0 { Err(damaged()) } else { Ok(Element { length, offset, end }) }
}

/// Elements in the making.
pub struct Elements {
    bytes: Buffer,
    end: usize,
    /// Whether there were more than there was room for.
    full: bool,
}

impl Elements {
    /// Takes no more than `room` bytes.
    pub fn with_room(room: usize) -> Self {
        Self { bytes: Buffer::of(room), end: 0, full: false }
    }

    /// The room that is left.
    pub fn rest(&mut self) -> &mut [u8] {
        &mut self.bytes.bytes()[self.end..]
    }

    /// Notes that so many more bytes are elements.
    pub fn skip(&mut self, bytes: usize) {
        self.end += bytes;
    }

    /// Adds elements that copy `length` bytes from `offset` bytes back.
    pub fn copy(&mut self, offset: usize, mut length: usize) {
        while length > 0 {
            let now = length.min(MOST_OF_A_COPY);
            let upper = ((now - 1) << 2) as u8;
            let told = (offset as u32).to_le_bytes();
            match (offset, now) {
                (0..=2047, 4..=11) => self.add(&[1 | ((now - 4) << 2) as u8 | told[1] << 5, told[0]]),
                (0..=65_535, _) => self.add(&[2 | upper, told[0], told[1]]),
                _ => self.add(&[3 | upper, told[0], told[1], told[2], told[3]]),
            }
            length -= now;
        }
    }

    /// Adds an element of these bytes, at least one.
    pub fn literal(&mut self, bytes: &[u8]) {
        let last = bytes.len() - 1;
        if last < 60 {
            self.add(&[(last << 2) as u8]);
        } else {
            let more = 4 - (last as u32).leading_zeros() as usize / 8;
            self.add(&[((59 + more) << 2) as u8]);
            self.add(&(last as u32).to_le_bytes()[..more]);
        }
        self.add(bytes);
    }

    fn add(&mut self, bytes: &[u8]) {
        match self.rest().get_mut(..bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.end += bytes.len();
            }
            None => self.full = true,
        }
    }

    /// None if there was not room for all of them.
    pub fn finish(mut self) -> Option<Buffer> {
        self.bytes.cut(self.end);
        (!self.full).then_some(self.bytes)
    }
}

/// Raises nothing only where all elements together make `size` bytes and every copy is of bytes that came before. Makes none of them.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What a decoder makes of a stream.
    fn decoded(data: &[u8], size: usize) -> Option<Vec<u8>> {
        let mut out = vec![0; size];
        (snap::raw::Decoder::new().decompress(data, &mut out) == Ok(size)).then_some(out)
    }

    #[test]
    fn the_check_passes_what_a_decoder_decodes_and_nothing_else() {
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
            assert_eq!(check(&good, data.len()), Ok(()));
            for _ in 0..300 {
                let mut bad = good.clone();
                let at = length(&good).expect("a length").1 + next(good.len());
                if at < bad.len() {
                    bad[at] = next(256) as u8;
                } else {
                    bad.truncate(good.len() - next(good.len() / 2 + 1));
                }
                assert_eq!(check(&bad, data.len()).is_ok(), decoded(&bad, data.len()).is_some());
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
                        assert_eq!(decoded(&data, size).is_some(), offset <= literal);
                        assert_eq!(check(&data, size).is_ok(), offset <= literal);
                    }
                }
            }
        }
    }

    #[test]
    fn elements_that_there_is_no_room_for_are_not_left_out_unnoticed() {
        for (room, fits) in [(10, true), (9, false)] {
            let mut elements = Elements::with_room(room);
            elements.literal(b"abcd");
            elements.copy(4, 70);
            let found = elements.finish().map(|found| found.to_vec());
            assert_eq!(found, fits.then(|| vec![3 << 2, 97, 98, 99, 100, 2 | 63 << 2, 4, 0, 1 | 2 << 2, 4]));
        }
    }

    #[test]
    fn a_stream_of_one_literal_is_its_bytes_and_no_other_stream_is() {
        for size in [1usize, 59, 60, 61, 256, 257, 65_536, 70_000] {
            let data: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            let told = ((size - 1) as u32).to_le_bytes();
            let more = if size <= 60 { 0 } else { 4 - (size as u32 - 1).leading_zeros() as usize / 8 };
            let tag = if more == 0 { (size - 1) << 2 } else { (59 + more) << 2 };
            let elements = [&[tag as u8], &told[..more], &data].concat();
            assert!(only_literal(&elements, size) == Some(&data[..]), "{size}");
            assert!(only_literal(&elements, size + 1).is_none());
            assert!(only_literal(&elements[..elements.len() - 1], size).is_none());
            assert!(only_literal(&[&elements[..], &[0, 7]].concat(), size).is_none());
        }
        assert_eq!(only_literal(&[1 | 3 << 2, 1, 2, 3, 4], 4), None);
        assert_eq!(only_literal(&[63 << 2, 1], 2), None);
    }
}

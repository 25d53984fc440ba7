//! The pages of a column chunk, one after the other: their headers, and the bytes behind them.

use super::thrift::{BINARY, FALSE, I32, STRUCT, Stream, TRUE};
use super::{Result, refuse};

/// What a page is, and how its values and levels are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Dictionary { encoding: i32 },
    Data { encoding: i32, definitions: i32, repetitions: i32 },
    DataV2 { encoding: i32, definition_bytes: usize, repetition_bytes: usize, compressed: bool },
    Other,
}

/// A page: `values` entries in `body`, which are `size` bytes when they are not compressed.
pub struct Page<'a> {
    pub kind: Kind,
    pub values: usize,
    pub size: usize,
    pub body: &'a [u8],
}

/// The next page of these bytes, and what follows it.
pub fn next_page<'a>(chunk: &'a [u8], most_bytes: usize) -> Result<(Page<'a>, &'a [u8])> {
    let mut stream = Stream::new(chunk);
    let header = Header::read(&mut stream)?;
    if header.size > most_bytes {
        return refuse("a page is too large to be read at once");
    }
    let body = stream.take(header.stored)?;
    if header.checksum.is_some_and(|told| told as u32 != crc32fast::hash(body)) {
        return refuse("a page is not what its checksum says");
    }
    Ok((Page { kind: header.kind, values: header.values, size: header.size, body }, stream.rest()))
}

struct Header {
    kind: Kind,
    values: usize,
    size: usize,
    stored: usize,
    checksum: Option<i32>,
}

impl Header {
    fn read(stream: &mut Stream<'_>) -> Result<Self> {
        let (mut last, mut number, mut described) = (0, None, None);
        let (mut size, mut stored, mut checksum) = (None, None, None);
        while let Some(field) = stream.field(&mut last)? {
            match field {
                (1, I32) => number = Some(stream.int()?),
                (2, I32) => size = Some(stream.size()?),
                (3, I32) => stored = Some(stream.size()?),
                (4, I32) => checksum = Some(stream.int()?),
                (5, STRUCT) => described = Some((0, data(stream)?)),
                (7, STRUCT) => described = Some((2, dictionary(stream)?)),
                (8, STRUCT) => described = Some((3, data_v2(stream)?)),
                (_, kind) => stream.pass(kind)?,
            }
        }
        let (Some(number), Some(size), Some(stored)) = (number, size, stored) else { return refuse("a page's header lacks something") };
        let (kind, values) = match described {
            Some((of, found)) if of == number => found,
            _ if number == 1 => (Kind::Other, 0),
            _ => return refuse("a page's header does not fit its page"),
        };
        Ok(Self { kind, values, size, stored, checksum })
    }
}

fn data(stream: &mut Stream<'_>) -> Result<(Kind, usize)> {
    let (mut last, mut values, mut encodings) = (0, None, [None; 3]);
    while let Some(field) = stream.field(&mut last)? {
        match field {
            (1, I32) => values = Some(stream.size()?),
            (id @ 2..=4, I32) => encodings[id as usize - 2] = Some(stream.int()?),
            (_, kind) => stream.pass(kind)?,
        }
    }
    match (values, encodings) {
        (Some(values), [Some(encoding), Some(definitions), Some(repetitions)]) => {
            Ok((Kind::Data { encoding, definitions, repetitions }, values))
        }
        _ => refuse("a page's header lacks something"),
    }
}

fn dictionary(stream: &mut Stream<'_>) -> Result<(Kind, usize)> {
    let (mut last, mut values, mut encoding) = (0, None, None);
    while let Some(field) = stream.field(&mut last)? {
        match field {
            (1, I32) => values = Some(stream.size()?),
            (2, I32) => encoding = Some(stream.int()?),
            (_, kind) => stream.pass(kind)?,
        }
    }
    let (Some(values), Some(encoding)) = (values, encoding) else { return refuse("a page's header lacks something") };
    Ok((Kind::Dictionary { encoding }, values))
}

fn data_v2(stream: &mut Stream<'_>) -> Result<(Kind, usize)> {
    let (mut last, mut values, mut encoding, mut sizes, mut compressed) = (0, None, None, [None; 2], true);
    while let Some(field) = stream.field(&mut last)? {
        match field {
            (1, I32) => values = Some(stream.size()?),
            (4, I32) => encoding = Some(stream.int()?),
            (id @ 5..=6, I32) => sizes[id as usize - 5] = Some(stream.size()?),
            (7, TRUE) => compressed = true,
            (7, FALSE) => compressed = false,
            (_, BINARY) => stream.pass(BINARY)?,
            (_, kind) => stream.pass(kind)?,
        }
    }
    match (values, encoding, sizes) {
        (Some(values), Some(encoding), [Some(definition_bytes), Some(repetition_bytes)]) => {
            Ok((Kind::DataV2 { encoding, definition_bytes, repetition_bytes, compressed }, values))
        }
        _ => refuse("a page's header lacks something"),
    }
}

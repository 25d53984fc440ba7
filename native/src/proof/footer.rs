//! What a footer says: the nodes of the schema, and where the column chunks of each row group lie.

use super::thrift::{BINARY, I32, I64, LIST, STRUCT, Stream, TRUE};
use super::{Result, refuse};

const TRAILER: usize = 8;
const MARK: &[u8] = b"PAR1";

/// What the values of a node mean, however the file spells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meaning {
    Plain,
    Text,
    List,
    Map,
    Decimal { precision: i32, scale: i32 },
    Date,
    Microseconds,
    Signed(i32),
    Other,
}

/// An element of the schema, which is a list in depth-first order.
#[derive(Debug)]
pub struct Node {
    pub name: String,
    pub id: Option<i32>,
    pub repetition: i32,
    pub physical: Option<i32>,
    pub length: usize,
    pub meaning: Meaning,
    pub children: usize,
}

/// A column chunk: `values` entries in these bytes of the file.
pub struct Chunk {
    pub physical: i32,
    pub codec: i32,
    pub values: usize,
    pub start: usize,
    pub length: usize,
}

pub struct RowGroup {
    pub rows: usize,
    pub chunks: Vec<Chunk>,
}

/// A footer. `schema`: the bytes of the schema, by which files of one schema are known.
pub struct Footer<'a> {
    pub schema: &'a [u8],
    pub groups: Vec<RowGroup>,
}

/// The bytes of the footer of a file that ends like this. Refused where it begins before `tail`.
pub fn footer_of(tail: &[u8]) -> Result<&[u8]> {
    let Some(end) = tail.len().checked_sub(TRAILER) else { return refuse("it is too short for a footer") };
    let (rest, trailer) = tail.split_at(end);
    if &trailer[4..] != MARK {
        return refuse("it does not end as Parquet files do");
    }
    let length = u32::from_le_bytes([trailer[0], trailer[1], trailer[2], trailer[3]]) as usize;
    match rest.len().checked_sub(length) {
        Some(start) => Ok(&rest[start..]),
        None => refuse("its footer is longer than what is there of it"),
    }
}

impl<'a> Footer<'a> {
    pub fn read(footer: &'a [u8]) -> Result<Self> {
        let (mut stream, mut last) = (Stream::new(footer), 0);
        let (mut schema, mut groups, mut rows) = (None, None, None);
        while let Some(field) = stream.field(&mut last)? {
            match field {
                (2, LIST) => {
                    let before = stream.rest();
                    stream.pass(LIST)?;
                    schema = Some(&before[..before.len() - stream.rest().len()]);
                }
                (3, I64) => rows = Some(stream.size()?),
                (4, LIST) => groups = Some(row_groups(&mut stream)?),
                (8, _) => return refuse("it is encrypted"),
                (_, kind) => stream.pass(kind)?,
            }
        }
        if !stream.rest().is_empty() {
            return refuse("its footer ends early");
        }
        let (Some(schema), Some(groups), Some(rows)) = (schema, groups, rows) else { return refuse("its footer lacks something") };
        let counted = groups.iter().try_fold(0usize, |sum, group: &RowGroup| sum.checked_add(group.rows));
        if counted != Some(rows) {
            return refuse("its row groups have another number of rows than its footer says");
        }
        Ok(Self { schema, groups })
    }
}

/// The nodes of a schema.
pub fn nodes(schema: &[u8]) -> Result<Vec<Node>> {
    let mut stream = Stream::new(schema);
    let (kind, count) = stream.list()?;
    if kind != STRUCT {
        return refuse("its schema is no list of nodes");
    }
    (0..count).map(|_| node(&mut stream)).collect()
}

fn node(stream: &mut Stream<'_>) -> Result<Node> {
    let mut node = Node { name: String::new(), id: None, repetition: 0, physical: None, length: 0, meaning: Meaning::Plain, children: 0 };
    let (mut last, mut converted, mut scale, mut precision, mut logical) = (0, None, 0, 0, None);
    while let Some(field) = stream.field(&mut last)? {
        match field {
            (1, I32) => node.physical = Some(stream.int()?),
            (2, I32) => node.length = stream.size()?,
            (3, I32) => node.repetition = stream.int()?,
            (4, BINARY) => match String::from_utf8(stream.bytes()?.to_vec()) {
                Ok(name) => node.name = name,
                Err(_) => return refuse("a column's name is no text"),
            },
            (5, I32) => node.children = stream.size()?,
            (6, I32) => converted = Some(stream.int()?),
            (7, I32) => scale = stream.int()?,
            (8, I32) => precision = stream.int()?,
            (9, I32) => node.id = Some(stream.int()?),
            (10, STRUCT) => logical = logical_type(stream)?,
            (_, kind) => stream.pass(kind)?,
        }
    }
    node.meaning = match (logical, converted) {
        (Some(meaning), _) => meaning,
        (None, None) => Meaning::Plain,
        (None, Some(0)) => Meaning::Text,
        (None, Some(1 | 2)) => Meaning::Map,
        (None, Some(3)) => Meaning::List,
        (None, Some(5)) => Meaning::Decimal { precision, scale },
        (None, Some(6)) => Meaning::Date,
        (None, Some(10)) => Meaning::Microseconds,
        (None, Some(bits @ 15..=18)) => Meaning::Signed(8 << (bits - 15)),
        (None, Some(_)) => Meaning::Other,
    };
    Ok(node)
}

/// A union: a struct of one field. None where it is empty.
fn logical_type(stream: &mut Stream<'_>) -> Result<Option<Meaning>> {
    let (mut found, mut last) = (None, 0);
    while let Some((id, kind)) = stream.field(&mut last)? {
        found = Some(match (id, kind) {
            (5 | 8 | 10, STRUCT) => annotation(stream, id)?,
            (_, STRUCT) => {
                stream.pass(STRUCT)?;
                match id {
                    1 => Meaning::Text,
                    2 => Meaning::Map,
                    3 => Meaning::List,
                    6 => Meaning::Date,
                    _ => Meaning::Other,
                }
            }
            _ => return refuse("its schema has an annotation that is none"),
        });
    }
    Ok(found)
}

/// An annotation with something inside it: of a decimal, a timestamp, a whole number.
fn annotation(stream: &mut Stream<'_>, id: i16) -> Result<Meaning> {
    let (mut numbers, mut signed, mut unit, mut last) = ([0; 2], false, 0, 0);
    while let Some(field) = stream.field(&mut last)? {
        match field {
            (1 | 2, I32) => numbers[usize::from(field.0 == 2)] = stream.int()?,
            (1, super::thrift::BYTE) => numbers[0] = i32::from(stream.byte()?),
            (2, STRUCT) => {
                let mut inner = 0;
                while let Some((which, kind)) = stream.field(&mut inner)? {
                    unit = which;
                    stream.pass(kind)?;
                }
            }
            (2, TRUE) => signed = true,
            (_, kind) => stream.pass(kind)?,
        }
    }
    Ok(match id {
        5 => Meaning::Decimal { precision: numbers[1], scale: numbers[0] },
        8 if unit == 2 => Meaning::Microseconds,
        10 if signed => Meaning::Signed(numbers[0]),
        _ => Meaning::Other,
    })
}

fn row_groups(stream: &mut Stream<'_>) -> Result<Vec<RowGroup>> {
    let (kind, count) = stream.list()?;
    if kind != STRUCT {
        return refuse("its row groups are none");
    }
    let mut groups = Vec::new();
    for _ in 0..count {
        let (mut last, mut rows, mut chunks) = (0, None, Vec::new());
        while let Some(field) = stream.field(&mut last)? {
            match field {
                (1, LIST) => {
                    let (kind, count) = stream.list()?;
                    if kind != STRUCT {
                        return refuse("its column chunks are none");
                    }
                    for _ in 0..count {
                        chunks.push(chunk(stream)?);
                    }
                }
                (3, I64) => rows = Some(stream.size()?),
                (_, kind) => stream.pass(kind)?,
            }
        }
        let Some(rows) = rows else { return refuse("a row group does not say how many rows it has") };
        groups.push(RowGroup { rows, chunks });
    }
    Ok(groups)
}

fn chunk(stream: &mut Stream<'_>) -> Result<Chunk> {
    let (mut last, mut found) = (0, None);
    while let Some(field) = stream.field(&mut last)? {
        match field {
            (1, BINARY) => return refuse("its columns lie in other files"),
            (3, STRUCT) => found = Some(chunk_metadata(stream)?),
            (8 | 9, _) => return refuse("a column of it is encrypted"),
            (_, kind) => stream.pass(kind)?,
        }
    }
    found.map_or_else(|| refuse("a column chunk is not described"), Ok)
}

fn chunk_metadata(stream: &mut Stream<'_>) -> Result<Chunk> {
    let (mut last, mut physical, mut codec, mut values, mut length) = (0, None, None, None, None);
    let (mut data, mut dictionary) = (None, None);
    while let Some(field) = stream.field(&mut last)? {
        match field {
            (1, I32) => physical = Some(stream.int()?),
            (4, I32) => codec = Some(stream.int()?),
            (5, I64) => values = Some(stream.size()?),
            (7, I64) => length = Some(stream.size()?),
            (9, I64) => data = Some(stream.size()?),
            (11, I64) => dictionary = Some(stream.size()?),
            (_, kind) => stream.pass(kind)?,
        }
    }
    match (physical, codec, values, data, length) {
        (Some(physical), Some(codec), Some(values), Some(data), Some(length)) => {
            let start = dictionary.filter(|start| *start > 0 && *start < data).unwrap_or(data);
            Ok(Chunk { physical, codec, values, start, length })
        }
        _ => refuse("a column chunk is not described to the end"),
    }
}

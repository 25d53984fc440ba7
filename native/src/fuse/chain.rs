//! Whole small files, one behind the other, as the row groups of one file, for a reader that decodes them: pages stay as they are, only the
//! footer is new.
//!
//! A reader goes on from one row group to the next within a column and so would not notice rows that a file has too many of in one column
//! and the next file too few. So every column of every file must have exactly the rows that its footer counts, or the file is refused.

use super::Refusal;
use super::codec::Codec;
use super::metadata::{ColumnChunk, Footer, Statistics, fields_of, missing};
use super::pages::{Chunk, Deepest, open};
use super::schema::{Leaf, leaves, tree};
use super::thrift::{Field, Reader, Writer, kind};

type Result<T> = std::result::Result<T, Refusal>;

const MAGIC: &[u8] = b"PAR1";
const ARROW_SCHEMA: &[u8] = b"ARROW:schema";
const NEEDED: [i16; 8] = [1, 2, 3, 4, 5, 6, 7, 9];

/// Files as one: the bytes of each that are part of it, in order and behind a magic, and the footer behind them, its length and a magic too.
pub struct Chain {
    pub parts: Vec<(usize, usize)>,
    pub rows: Vec<usize>,
    pub tail: Vec<u8>,
}

/// What files must have in common, and where the first one has it.
struct Common<'a> {
    schema: &'a [u8],
    arrow: Option<&'a [u8]>,
    created_by: &'a [u8],
    key_values: Option<&'a [u8]>,
    leaves: Vec<Leaf>,
}

/// A footer, as far as a chain needs it.
#[derive(Default)]
struct Parts<'a> {
    schema: &'a [u8],
    rows: usize,
    groups: Vec<Group<'a>>,
    key_values: Option<&'a [u8]>,
    arrow: Option<&'a [u8]>,
    created_by: &'a [u8],
}

#[derive(Default)]
struct Group<'a> {
    links: Vec<Link<'a>>,
    size: usize,
    rows: usize,
}

/// A column chunk. Its encodings and its path stay encoded as they are.
#[derive(Default)]
struct Link<'a> {
    physical: i32,
    encodings: &'a [u8],
    path: &'a [u8],
    codec: i32,
    values: usize,
    uncompressed: usize,
    length: usize,
    data: usize,
    dictionary: Option<usize>,
}

impl Link<'_> {
    fn start(&self) -> usize {
        self.dictionary.unwrap_or(self.data)
    }
}

/// The files as one, or which of them cannot be part of it and why.
pub fn chain(files: &[&[u8]]) -> std::result::Result<Chain, (usize, Refusal)> {
    let mut common = None;
    let (mut parts, mut rows, mut groups, mut at) = (Vec::new(), Vec::new(), Vec::new(), MAGIC.len());
    for (i, file) in files.iter().enumerate() {
        let (found, footer) = parse(file).map_err(|refusal| (i, refusal))?;
        let common = match &common {
            None => common.insert(Common::of(&found, footer).map_err(|refusal| (i, refusal))?),
            Some(common) => common,
        };
        let (start, end) = check(common, &found, file, footer.0).map_err(|refusal| (i, refusal))?;
        rows.push(found.rows);
        parts.push((start, end));
        groups.extend(found.groups.into_iter().filter(|group| group.rows > 0).map(|group| (group, at - start)));
        at += end - start;
    }
    let Some(common) = common else { return Err((0, Refusal::new("there are no files"))) };
    Ok(Chain { parts, tail: tail(&common, rows.iter().sum(), &groups), rows })
}

type Place<'a> = (usize, &'a [u8]);

/// The footer taken apart; where it begins, and its bytes.
fn parse(file: &[u8]) -> Result<(Parts<'_>, Place<'_>)> {
    let start = Footer::start_of(file)?;
    let bytes = &file[start..file.len() - 8];
    Ok((Parts::of(bytes)?, (start, bytes)))
}

impl<'a> Common<'a> {
    fn of(first: &Parts<'a>, (_, footer): Place<'a>) -> Result<Self> {
        let (nodes, _) = tree(&Footer::schema_of(footer)?)?;
        Ok(Self {
            schema: first.schema,
            arrow: first.arrow,
            created_by: first.created_by,
            key_values: first.key_values,
            leaves: leaves(&nodes),
        })
    }
}

/// Holds a file against what the first one has, and its columns against its rows; where its pages begin and end.
fn check(common: &Common<'_>, parts: &Parts<'_>, file: &[u8], end: usize) -> Result<(usize, usize)> {
    if parts.schema != common.schema || parts.arrow != common.arrow || parts.created_by != common.created_by {
        return Err(Refusal::new("it has another schema or writer than the file before"));
    }
    let (mut rows, mut first, mut last) = (0usize, end, MAGIC.len());
    for group in parts.groups.iter().filter(|group| group.rows > 0) {
        if group.links.len() != common.leaves.len() {
            return Err(Refusal::new("a row group has not the columns of the schema"));
        }
        rows = rows.checked_add(group.rows).ok_or_else(|| Refusal::new("it counts too many rows"))?;
        for (link, leaf) in group.links.iter().zip(&common.leaves) {
            check_column(link, leaf, group.rows, &file[..end])?;
            first = first.min(link.start());
            last = last.max(link.start() + link.length);
        }
    }
    if rows != parts.rows {
        return Err(Refusal::new("its row groups have not the rows that its footer counts"));
    }
    Ok((first.min(last), last))
}

fn check_column(link: &Link<'_>, leaf: &Leaf, rows: usize, file: &[u8]) -> Result<()> {
    if link.physical != leaf.physical.number() {
        return Err(Refusal::new("a column chunk has not the type of its column"));
    }
    let column = ColumnChunk {
        physical: link.physical,
        codec: link.codec,
        values: link.values,
        start: link.start(),
        data: link.start(),
        length: link.length,
        statistics: Statistics::default(),
    };
    let chunk = Chunk::scan(file, &column)?;
    let found = if leaf.repetition == 0 { link.values } else { rows_of(&chunk, leaf)? };
    if found != rows {
        return Err(Refusal::new("a column has not the rows of its row group"));
    }
    Ok(())
}

/// The rows of a column below a list or map, by its levels.
fn rows_of(chunk: &Chunk<'_>, leaf: &Leaf) -> Result<usize> {
    let deepest = Deepest { definition: leaf.definition, repetition: leaf.repetition };
    let mut rows = 0;
    for (i, page) in chunk.pages.iter().enumerate() {
        let opened = open(page, chunk.codec, deepest)?;
        if i == 0 && !opened.begins_row() {
            return Err(Refusal::new("a column begins in the middle of a row"));
        }
        rows += opened.rows;
    }
    Ok(rows)
}

impl<'a> Parts<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self> {
        let mut found = Self::default();
        let (mut schema, mut rows) = (None, None);
        fields_of(bytes, |r, field| {
            match field.id {
                2 => schema = Some(raw(r, field, bytes)?),
                3 => rows = Some(r.size64(field)?),
                4 => found.groups = r.structs(field, |r| group(r, bytes))?,
                5 => {
                    let start = r.at;
                    r.structs(field, |r| key_value(r, &mut found.arrow, bytes))?;
                    found.key_values = Some(&bytes[start..r.at]);
                }
                6 => found.created_by = r.binary(field)?,
                8 | 9 => return Err(Refusal::new("it is encrypted")),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        found.schema = schema.ok_or_else(|| missing("a schema"))?;
        found.rows = rows.ok_or_else(|| missing("a number of rows"))?;
        Ok(found)
    }
}

/// A value that is passed over, as it is encoded.
fn raw<'a>(r: &mut Reader<'_>, field: Field, bytes: &'a [u8]) -> Result<&'a [u8]> {
    let start = r.at;
    if field.kind != kind::LIST {
        return Err(Refusal::new("a list of another type"));
    }
    r.skip(field.kind, false)?;
    Ok(&bytes[start..r.at])
}

fn key_value<'a>(r: &mut Reader<'_>, arrow: &mut Option<&'a [u8]>, bytes: &'a [u8]) -> Result<()> {
    let (mut is_schema, mut value) = (false, None);
    r.fields(|r, field| {
        match field.id {
            1 => is_schema = r.binary(field)? == ARROW_SCHEMA,
            2 => {
                let start = r.at;
                r.skip(field.kind, false)?;
                value = Some(&bytes[start..r.at]);
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    if is_schema {
        *arrow = value;
    }
    Ok(())
}

fn group<'a>(r: &mut Reader<'_>, bytes: &'a [u8]) -> Result<Group<'a>> {
    let mut found = Group::default();
    let (mut rows, mut size) = (None, None);
    r.fields(|r, field| {
        match field.id {
            1 => found.links = r.structs(field, |r| link(r, bytes))?,
            2 => size = Some(r.size64(field)?),
            3 => rows = Some(r.size64(field)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    found.rows = rows.ok_or_else(|| missing("the rows of a row group"))?;
    found.size = size.ok_or_else(|| missing("the size of a row group"))?;
    Ok(found)
}

fn link<'a>(r: &mut Reader<'_>, bytes: &'a [u8]) -> Result<Link<'a>> {
    let mut found = Link::default();
    let mut told = Vec::new();
    r.fields(|r, field| {
        match field.id {
            1 => return Err(Refusal::new("a column of it is in another file")),
            3 => r.nested(field, |r, field| {
                told.push(field.id);
                about(r, field, bytes, &mut found)
            })?,
            8 | 9 => return Err(Refusal::new("it is encrypted")),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let sound = found.data >= MAGIC.len() && found.dictionary.is_none_or(|at| (MAGIC.len()..found.data).contains(&at));
    if !sound || !NEEDED.iter().all(|id| told.contains(id)) {
        return Err(Refusal::new("a column chunk is not described as it should be"));
    }
    Codec::of(found.codec)?;
    Ok(found)
}

/// A field of a column's metadata.
fn about<'a>(r: &mut Reader<'_>, field: Field, bytes: &'a [u8], found: &mut Link<'a>) -> Result<bool> {
    match field.id {
        1 => found.physical = r.int32(field)?,
        2 => found.encodings = raw(r, field, bytes)?,
        3 => found.path = raw(r, field, bytes)?,
        4 => found.codec = r.int32(field)?,
        5 => found.values = r.size64(field)?,
        6 => found.uncompressed = r.size64(field)?,
        7 => found.length = r.size64(field)?,
        9 => found.data = r.size64(field)?,
        11 => found.dictionary = Some(r.size64(field)?),
        _ => return Ok(false),
    }
    Ok(true)
}

/// The footer, its length and a magic. groups: each with what is added to its offsets.
fn tail(common: &Common<'_>, rows: usize, groups: &[(Group<'_>, usize)]) -> Vec<u8> {
    let mut w = Writer::default();
    w.begin();
    w.int32(1, 2);
    w.raw(2, kind::LIST, common.schema);
    w.int64(3, rows as i64);
    w.structs(4, groups, |w, (group, shift)| {
        w.structs(1, &group.links, |w, link| write_link(w, link, *shift));
        w.int64(2, group.size as i64);
        w.int64(3, group.rows as i64);
    });
    if let Some(key_values) = common.key_values {
        w.raw(5, kind::LIST, key_values);
    }
    w.binary(6, common.created_by);
    w.end();
    let length = w.out.len() as u32;
    w.out.extend_from_slice(&length.to_le_bytes());
    w.out.extend_from_slice(MAGIC);
    w.out
}

fn write_link(w: &mut Writer, link: &Link<'_>, shift: usize) {
    let moved = |offset: usize| (offset + shift) as i64;
    w.int64(2, moved(link.start()));
    w.begin_struct(3);
    w.int32(1, link.physical);
    w.raw(2, kind::LIST, link.encodings);
    w.raw(3, kind::LIST, link.path);
    w.int32(4, link.codec);
    w.int64(5, link.values as i64);
    w.int64(6, link.uncompressed as i64);
    w.int64(7, link.length as i64);
    w.int64(9, moved(link.data));
    if let Some(at) = link.dictionary {
        w.int64(11, moved(at));
    }
    w.end();
}

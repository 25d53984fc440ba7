//! Headers of pages (apache/parquet-format, `parquet.thrift`), read and written.

use super::Refusal;
use super::thrift::{Field, Reader, Writer};

type Result<T> = std::result::Result<T, Refusal>;

/// What a page is, by its header.
#[derive(Clone, Debug)]
pub enum PageKind {
    Dictionary { values: usize, encoding: i32 },
    V1 { values: usize, encoding: i32, definitions: i32, repetitions: i32 },
    V2 { values: usize, nulls: usize, rows: usize, encoding: i32, definition_bytes: usize, repetition_bytes: usize, compressed: bool },
}

#[derive(Clone, Debug)]
pub struct PageHeader {
    pub kind: PageKind,
    pub compressed: usize,
    pub uncompressed: usize,
    pub crc: Option<u32>,
}

impl PageHeader {
    pub fn read(r: &mut Reader<'_>) -> Result<Self> {
        let (mut number, mut uncompressed, mut compressed, mut crc, mut kind) = (None, None, None, None, None);
        r.fields(|r, field| {
            match field.id {
                1 => number = Some(r.int32(field)?),
                2 => uncompressed = Some(r.size32(field)?),
                3 => compressed = Some(r.size32(field)?),
                4 => crc = Some(r.int32(field)? as u32),
                5 => kind = Some((0, page_v1(r, field)?)),
                7 => kind = Some((2, page_dictionary(r, field)?)),
                8 => kind = Some((3, page_v2(r, field)?)),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        match (number, kind, uncompressed, compressed) {
            (Some(number), Some((same, kind)), Some(uncompressed), Some(compressed)) if number == same => {
                Ok(Self { kind, compressed, uncompressed, crc })
            }
            _ => Err(Refusal::new("a page's header is not complete, or of a kind that is not known")),
        }
    }
}

fn page_v1(r: &mut Reader<'_>, of: Field) -> Result<PageKind> {
    let (mut values, mut encoding, mut definitions, mut repetitions) = (None, None, None, None);
    r.nested(of, |r, field| {
        match field.id {
            1 => values = Some(r.size32(field)?),
            2 => encoding = Some(r.int32(field)?),
            3 => definitions = Some(r.int32(field)?),
            4 => repetitions = Some(r.int32(field)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    match (values, encoding, definitions, repetitions) {
        (Some(values), Some(encoding), Some(definitions), Some(repetitions)) => {
            Ok(PageKind::V1 { values, encoding, definitions, repetitions })
        }
        _ => Err(Refusal::new("a page's header is not complete")),
    }
}

fn page_dictionary(r: &mut Reader<'_>, of: Field) -> Result<PageKind> {
    let (mut values, mut encoding) = (None, None);
    r.nested(of, |r, field| {
        match field.id {
            1 => values = Some(r.size32(field)?),
            2 => encoding = Some(r.int32(field)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    match (values, encoding) {
        (Some(values), Some(encoding)) => Ok(PageKind::Dictionary { values, encoding }),
        _ => Err(Refusal::new("a dictionary's header is not complete")),
    }
}

fn page_v2(r: &mut Reader<'_>, of: Field) -> Result<PageKind> {
    let (mut values, mut nulls, mut rows, mut encoding) = (None, None, None, None);
    let (mut definition_bytes, mut repetition_bytes, mut compressed) = (None, None, true);
    r.nested(of, |r, field| {
        match field.id {
            1 => values = Some(r.size32(field)?),
            2 => nulls = Some(r.size32(field)?),
            3 => rows = Some(r.size32(field)?),
            4 => encoding = Some(r.int32(field)?),
            5 => definition_bytes = Some(r.size32(field)?),
            6 => repetition_bytes = Some(r.size32(field)?),
            7 => compressed = field.truth()?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    match (values, nulls, rows, encoding, definition_bytes, repetition_bytes) {
        (Some(values), Some(nulls), Some(rows), Some(encoding), Some(definition_bytes), Some(repetition_bytes)) => {
            Ok(PageKind::V2 { values, nulls, rows, encoding, definition_bytes, repetition_bytes, compressed })
        }
        _ => Err(Refusal::new("a page's header is not complete")),
    }
}

/// The header of a data page of version 1, or of a dictionary.
pub fn write_page_header(values: usize, encoding: i32, uncompressed: usize, compressed: usize, dictionary: bool) -> Vec<u8> {
    let mut w = Writer::default();
    w.begin();
    w.int32(1, if dictionary { 2 } else { 0 });
    w.int32(2, uncompressed as i32);
    w.int32(3, compressed as i32);
    if dictionary {
        w.begin_struct(7);
        w.int32(1, values as i32);
        w.int32(2, encoding);
    } else {
        w.begin_struct(5);
        w.int32(1, values as i32);
        w.int32(2, encoding);
        w.int32(3, super::RLE);
        w.int32(4, super::RLE);
    }
    w.end();
    w.end();
    w.out
}

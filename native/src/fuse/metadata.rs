//! Parquet's footer and page headers (apache/parquet-format, `parquet.thrift`), as far as merging pages needs them.

use super::Refusal;
use super::thrift::{Field, Reader, Writer};

type Result<T> = std::result::Result<T, Refusal>;

/// Physical types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Physical {
    Boolean,
    Int32,
    Int64,
    Int96,
    Float,
    Double,
    ByteArray,
    Fixed(usize),
}

impl Physical {
    fn of(number: i32, length: i32) -> Result<Self> {
        Ok(match number {
            0 => Self::Boolean,
            1 => Self::Int32,
            2 => Self::Int64,
            3 => Self::Int96,
            4 => Self::Float,
            5 => Self::Double,
            6 => Self::ByteArray,
            7 => match usize::try_from(length) {
                Ok(length) if (1..=1 << 16).contains(&length) => Self::Fixed(length),
                _ => return Err(Refusal::new("a fixed width that is none")),
            },
            _ => return Err(Refusal::new(format!("physical type {number} is not known"))),
        })
    }

    pub fn number(self) -> i32 {
        match self {
            Self::Boolean => 0,
            Self::Int32 => 1,
            Self::Int64 => 2,
            Self::Int96 => 3,
            Self::Float => 4,
            Self::Double => 5,
            Self::ByteArray => 6,
            Self::Fixed(_) => 7,
        }
    }

    /// Bytes of each value as PLAIN stores it; None where that varies or is less than one.
    pub fn width(self) -> Option<usize> {
        match self {
            Self::Boolean | Self::ByteArray => None,
            Self::Int32 | Self::Float => Some(4),
            Self::Int64 | Self::Double => Some(8),
            Self::Int96 => Some(12),
            Self::Fixed(length) => Some(length),
        }
    }
}

/// What values mean, however an annotation spells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Meaning {
    Plain,
    Text,
    Map,
    List,
    Decimal { precision: i32, scale: i32 },
    Date,
    Time { unit: i16 },
    Timestamp { unit: i16, utc: bool },
    Integer { width: i32, signed: bool },
    Other { logical: bool, number: i32 },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repetition {
    Required,
    Optional,
    Repeated,
}

/// A node of the schema in its list, which is in depth-first order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Element {
    pub physical: Option<Physical>,
    pub repetition: Repetition,
    pub name: Vec<u8>,
    pub children: usize,
    pub field_id: Option<i32>,
    pub meaning: Meaning,
}

#[derive(Clone, Default, Debug)]
pub struct Statistics {
    pub null_count: Option<usize>,
    pub minimum: Option<Vec<u8>>,
    pub maximum: Option<Vec<u8>>,
    pub minimum_exact: Option<bool>,
    pub maximum_exact: Option<bool>,
}

/// A column chunk: `start` and `length` are the range of its pages.
#[derive(Clone, Debug)]
pub struct ColumnChunk {
    pub physical: i32,
    pub codec: i32,
    pub values: usize,
    pub start: usize,
    pub length: usize,
    pub statistics: Statistics,
}

#[derive(Clone, Debug)]
pub struct RowGroup {
    pub columns: Vec<ColumnChunk>,
    pub rows: usize,
}

#[derive(Clone, Debug)]
pub struct Footer {
    pub schema: Vec<Element>,
    pub rows: usize,
    pub row_groups: Vec<RowGroup>,
    pub created_by: String,
    /// Of each leaf, whether bounds are in the order that its type defines.
    pub ordered: Vec<bool>,
}

fn missing(what: &str) -> Refusal {
    Refusal::new(format!("its footer lacks {what}"))
}

impl Footer {
    /// The footer and its length, of a whole file.
    pub fn of_file(data: &[u8]) -> Result<(Self, usize)> {
        let start = Self::start_of(data)?;
        Ok((Self::parse(&data[start..data.len() - 8])?, data.len() - 8 - start))
    }

    /// Where the footer of a whole file begins; it ends eight bytes before the file does.
    pub fn start_of(data: &[u8]) -> Result<usize> {
        let n = data.len();
        if n < 12 || &data[..4] != b"PAR1" || &data[n - 4..] != b"PAR1" {
            return Err(Refusal::new("it does not begin and end as a Parquet file does"));
        }
        let length = u32::from_le_bytes([data[n - 8], data[n - 7], data[n - 6], data[n - 5]]) as usize;
        if length > n - 12 {
            return Err(Refusal::new("it is shorter than its footer claims"));
        }
        Ok(n - 8 - length)
    }

    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let (mut schema, mut rows, mut row_groups, mut created_by, mut ordered) = (None, None, None, String::new(), Vec::new());
        Reader::new(bytes).fields(|r, field| {
            match field.id {
                2 => schema = Some(r.structs(field, element)?),
                3 => rows = Some(r.size64(field)?),
                4 => row_groups = Some(r.structs(field, row_group)?),
                6 => created_by = String::from_utf8_lossy(r.binary(field)?).into_owned(),
                7 => ordered = r.structs(field, column_order)?,
                8 | 9 => return Err(Refusal::new("it is encrypted")),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(Self {
            schema: schema.ok_or_else(|| missing("a schema"))?,
            rows: rows.ok_or_else(|| missing("a number of rows"))?,
            row_groups: row_groups.ok_or_else(|| missing("row groups"))?,
            created_by,
            ordered,
        })
    }
}

fn column_order(r: &mut Reader<'_>) -> Result<bool> {
    let mut defined = false;
    r.fields(|_, field| {
        defined = field.id == 1;
        Ok(false)
    })?;
    Ok(defined)
}

fn element(r: &mut Reader<'_>) -> Result<Element> {
    let (mut physical, mut length, mut repetition, mut name, mut children) = (None, 0, None, None, 0);
    let (mut converted, mut scale, mut precision, mut field_id, mut logical) = (None, 0, 0, None, None);
    r.fields(|r, field| {
        match field.id {
            1 => physical = Some(r.int32(field)?),
            2 => length = r.int32(field)?,
            3 => repetition = Some(r.int32(field)?),
            4 => name = Some(std::str::from_utf8(r.binary(field)?).map_err(|_| Refusal::new("a column's name is no text"))?.into()),
            5 => children = r.size32(field)?,
            6 => converted = Some(r.int32(field)?),
            7 => scale = r.int32(field)?,
            8 => precision = r.int32(field)?,
            9 => field_id = Some(r.int32(field)?),
            10 => logical = logical_type(r, field)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let meaning = match (logical, converted) {
        (Some(logical), _) => logical,
        (None, Some(5)) => Meaning::Decimal { precision, scale },
        (None, Some(number)) => converted_type(number),
        (None, None) => Meaning::Plain,
    };
    Ok(Element {
        physical: physical.map(|number| Physical::of(number, length)).transpose()?,
        repetition: match repetition {
            None | Some(0) => Repetition::Required,
            Some(1) => Repetition::Optional,
            Some(2) => Repetition::Repeated,
            Some(_) => return Err(Refusal::new("a repetition that there is not")),
        },
        name: name.ok_or_else(|| missing("a column's name"))?,
        children,
        field_id,
        meaning,
    })
}

fn integer(width: i32, signed: bool) -> Meaning {
    if signed && width >= 32 { Meaning::Plain } else { Meaning::Integer { width, signed } }
}

fn converted_type(number: i32) -> Meaning {
    match number {
        0 => Meaning::Text,
        1 | 2 => Meaning::Map,
        3 => Meaning::List,
        6 => Meaning::Date,
        7 => Meaning::Time { unit: 1 },
        8 => Meaning::Time { unit: 2 },
        9 => Meaning::Timestamp { unit: 1, utc: true },
        10 => Meaning::Timestamp { unit: 2, utc: true },
        11..=14 => integer(8 << (number - 11), false),
        15..=18 => integer(8 << (number - 15), true),
        _ => Meaning::Other { logical: false, number },
    }
}

fn logical_type(r: &mut Reader<'_>, field: Field) -> Result<Option<Meaning>> {
    let mut found = None;
    r.nested(field, |r, which| {
        let (mut first, mut second, mut unit, mut flag_first, mut flag_second) = (0, 0, 0, false, false);
        r.nested(which, |r, inner| {
            match (which.id, inner.id) {
                (5, 1) => first = r.int32(inner)?,
                (5, 2) => second = r.int32(inner)?,
                (7 | 8, 1) => flag_first = inner.truth()?,
                (7 | 8, 2) => r.nested(inner, |_, of| {
                    unit = of.id;
                    Ok(false)
                })?,
                (10, 1) => first = r.int8(inner)?,
                (10, 2) => flag_second = inner.truth()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        found = Some(match which.id {
            1 => Meaning::Text,
            2 => Meaning::Map,
            3 => Meaning::List,
            5 => Meaning::Decimal { scale: first, precision: second },
            6 => Meaning::Date,
            7 => Meaning::Time { unit },
            8 => Meaning::Timestamp { unit, utc: flag_first },
            10 => integer(first, flag_second),
            number => Meaning::Other { logical: true, number: i32::from(number) },
        });
        Ok(true)
    })?;
    Ok(found)
}

fn row_group(r: &mut Reader<'_>) -> Result<RowGroup> {
    let (mut columns, mut rows) = (None, None);
    r.fields(|r, field| {
        match field.id {
            1 => columns = Some(r.structs(field, column_chunk)?),
            3 => rows = Some(r.size64(field)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(RowGroup {
        columns: columns.ok_or_else(|| missing("the columns of a row group"))?,
        rows: rows.ok_or_else(|| missing("the rows of a row group"))?,
    })
}

fn column_chunk(r: &mut Reader<'_>) -> Result<ColumnChunk> {
    let mut found = None;
    r.fields(|r, field| {
        match field.id {
            1 => return Err(Refusal::new("a column of it is in another file")),
            3 => found = Some(column_metadata(r, field)?),
            8 | 9 => return Err(Refusal::new("it is encrypted")),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    found.ok_or_else(|| missing("what a column chunk is"))
}

fn column_metadata(r: &mut Reader<'_>, field: Field) -> Result<ColumnChunk> {
    let (mut physical, mut codec, mut values, mut length) = (None, None, None, None);
    let (mut data, mut dictionary, mut found) = (None, None, Statistics::default());
    r.nested(field, |r, field| {
        match field.id {
            1 => physical = Some(r.int32(field)?),
            4 => codec = Some(r.int32(field)?),
            5 => values = Some(r.size64(field)?),
            7 => length = Some(r.size64(field)?),
            9 => data = Some(r.size64(field)?),
            11 => dictionary = Some(r.size64(field)?),
            12 => found = statistics(r, field)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let data = data.ok_or_else(|| missing("where a column is"))?;
    Ok(ColumnChunk {
        physical: physical.ok_or_else(|| missing("a physical type"))?,
        codec: codec.ok_or_else(|| missing("a codec"))?,
        values: values.ok_or_else(|| missing("a number of values"))?,
        start: dictionary.filter(|at| (4..data).contains(at)).unwrap_or(data),
        length: length.ok_or_else(|| missing("the size of a column"))?,
        statistics: found,
    })
}

fn statistics(r: &mut Reader<'_>, field: Field) -> Result<Statistics> {
    let mut found = Statistics::default();
    r.nested(field, |r, field| {
        match field.id {
            3 => found.null_count = Some(r.size64(field)?),
            5 => found.maximum = Some(r.binary(field)?.to_vec()),
            6 => found.minimum = Some(r.binary(field)?.to_vec()),
            7 => found.maximum_exact = Some(field.truth()?),
            8 => found.minimum_exact = Some(field.truth()?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(found)
}

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

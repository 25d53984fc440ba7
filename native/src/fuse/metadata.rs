//! Parquet's footer (apache/parquet-format, `parquet.thrift`), as far as merging pages needs it.

use std::borrow::Cow;
use std::sync::Arc;

use super::Refusal;
use super::row_groups::{Head, Heads, row_group};
use super::short::Short;
use super::thrift::{Field, Reader, kind};

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
    pub minimum: Option<Short>,
    pub maximum: Option<Short>,
    pub minimum_exact: Option<bool>,
    pub maximum_exact: Option<bool>,
    /// How long bounds of the kind of old are, whose order nobody defined.
    pub old: [Option<usize>; 2],
}

impl Statistics {
    /// Whether bounds have the length of their type, if it has one: Arrow refuses files with others.
    pub fn fit(&self, width: Option<usize>) -> bool {
        let lengths = [&self.minimum, &self.maximum].map(|bound| bound.as_ref().map(|bound| bound.len()));
        self.old.into_iter().chain(lengths).flatten().all(|length| width.is_none_or(|width| length == width))
    }
}

/// A column chunk: `start` and `length` are the range of its pages; `data`: where the first of them is that is no dictionary, if that is true.
#[derive(Clone, Debug)]
pub struct ColumnChunk {
    pub physical: i32,
    pub codec: i32,
    pub values: usize,
    pub start: usize,
    pub data: usize,
    pub length: usize,
    pub statistics: Statistics,
}

#[derive(Clone, Debug)]
pub struct RowGroup {
    pub columns: Vec<ColumnChunk>,
    pub rows: usize,
}

/// What footers in a row say in the same bytes, which need not be read again.
#[derive(Debug)]
pub struct Familiar {
    /// How the list of the schema is stored.
    pub schema: Vec<u8>,
    pub heads: Vec<Head>,
    pub orders: Orders<Vec<u8>>,
}

/// Of each leaf, whether bounds are in the order that its type defines, and how the list of that is stored.
#[derive(Clone, Default, Debug)]
pub struct Orders<T> {
    pub ordered: Arc<[bool]>,
    pub stored: T,
}

/// The schema of a file: the one that was known, or its elements and how they are stored.
#[derive(Clone, Debug)]
pub enum Schema<'a> {
    Known,
    Read { elements: Vec<Element>, stored: &'a [u8] },
}

#[derive(Clone, Debug)]
pub struct Footer<'a> {
    pub schema: Schema<'a>,
    pub rows: usize,
    pub row_groups: Vec<RowGroup>,
    pub created_by: Cow<'a, str>,
    /// Where the schema was read: how its columns begin.
    pub heads: Vec<Head>,
    pub orders: Orders<&'a [u8]>,
}

pub fn missing(what: &str) -> Refusal {
    Refusal::new(format!("its footer lacks {what}"))
}

impl<'a> Footer<'a> {
    /// The footer and its length, of a whole file. `known`: as `parse` takes it.
    pub fn of_file(data: &'a [u8], known: Option<&Familiar>) -> Result<(Self, usize)> {
        let start = Self::start_of(data)?;
        Ok((Self::parse(&data[start..data.len() - 8], known)?, data.len() - 8 - start))
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

    /// The schema of a footer, read whole.
    pub fn schema_of(bytes: &[u8]) -> Result<Vec<Element>> {
        match Footer::parse(bytes, None)?.schema {
            Schema::Read { elements, .. } => Ok(elements),
            Schema::Known => Err(missing("a schema")),
        }
    }

    /// `known`: of a footer that was read before.
    pub fn parse(bytes: &'a [u8], known: Option<&Familiar>) -> Result<Self> {
        let (mut schema, mut rows, mut groups, mut created_by, mut orders) = (None, None, None, Cow::default(), Orders::default());
        let mut heads = Heads::Seen(Vec::new());
        fields_of(bytes, |r, field| {
            let known = known.filter(|_| field.kind == kind::LIST);
            match (field.id, known) {
                (2, Some(known)) if r.pass(&known.schema) => (schema, heads) = (Some(Schema::Known), Heads::Known(&known.heads)),
                (2, _) => {
                    let start = r.at;
                    schema = Some(Schema::Read { elements: r.structs(field, element)?, stored: r.since(start) });
                }
                (3, _) => rows = Some(r.size64(field)?),
                (4, _) => groups = Some(r.structs(field, |r| row_group(r, &mut heads))?),
                (6, _) => created_by = String::from_utf8_lossy(r.binary(field)?),
                (7, Some(Familiar { orders: same, .. })) if r.pass(&same.stored) => orders.ordered = Arc::clone(&same.ordered),
                (7, _) => {
                    let start = r.at;
                    orders = Orders { ordered: r.structs(field, column_order)?.into(), stored: r.since(start) };
                }
                (8 | 9, _) => return Err(Refusal::new("it is encrypted")),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(Self {
            schema: schema.ok_or_else(|| missing("a schema"))?,
            rows: rows.ok_or_else(|| missing("a number of rows"))?,
            row_groups: groups.ok_or_else(|| missing("row groups"))?,
            created_by,
            heads: heads.seen(),
            orders,
        })
    }
}

/// The fields of a footer, which must take all of its bytes.
pub fn fields_of<'a>(bytes: &'a [u8], each: impl FnMut(&mut Reader<'a>, Field) -> Result<bool>) -> Result<()> {
    let mut reader = Reader::new(bytes);
    reader.fields(each)?;
    if reader.at == bytes.len() { Ok(()) } else { Err(Refusal::new("its footer ends early")) }
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

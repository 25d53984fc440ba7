//! Writes the pages of one column chunk: gathers levels and values until they make a page, and keeps what the indexes will say of it.

use super::bounds::Bounds;
use super::codec::{Compression, Packer, Piece};
use super::hybrid::{Numbers, bits_for, encode};
use super::levels::{Gathered, count_beginnings};
use super::order::Order;
use super::page_header::write_page_header;
use super::rope::{Kept, Rope};
use super::schema::Leaf;
use super::{PLAIN, RLE_DICTIONARY, Refusal, TINY};

type Result<T> = std::result::Result<T, Refusal>;

const ENOUGH_VALUES: usize = 20_000 / TINY;
const ENOUGH_BYTES: usize = (1 << 20) / TINY;

/// Where a page is: its offset from the beginning of the column's bytes, its size, and the row that it begins with.
#[derive(Clone, Copy)]
pub struct Location {
    pub offset: usize,
    pub size: usize,
    pub first_row: usize,
}

/// What the column index says of a page.
pub struct PageFacts {
    pub bounds: Bounds,
    pub nulls: usize,
}

/// A finished column chunk.
pub struct Column {
    pub bytes: Rope,
    pub dictionary: bool,
    pub data_offset: usize,
    pub values: usize,
    pub nulls: usize,
    pub rows: usize,
    /// Of a column below a list or map: how many rows begin with each definition level.
    pub beginnings: Vec<usize>,
    pub uncompressed: usize,
    pub bounds: Bounds,
    pub locations: Vec<Location>,
    pub facts: Vec<PageFacts>,
    /// Of each encoding of data pages, how many have it.
    pub encodings: Vec<(i32, usize)>,
}

/// Some values with their levels, which are those of outputs.
pub struct Unit<'a> {
    pub definitions: &'a Numbers<u8>,
    pub repetitions: &'a Numbers<u8>,
    pub values: usize,
    pub nulls: usize,
    pub rows: usize,
    pub begins_row: bool,
}

/// The stored values of a unit.
pub enum Stored<'a, 'b> {
    Nothing,
    Plain(&'b [u8]),
    /// PLAIN, compressed by the codec of outputs so that it joins.
    Compressed {
        data: &'a [u8],
        size: usize,
        kept: Kept,
    },
    /// As Compressed, but made of it: the elements of a Snappy stream alone.
    Elements {
        data: &'b [u8],
        size: usize,
    },
    /// Booleans, a byte each.
    Booleans(&'b Numbers<u8>),
    Indices(&'b [u32]),
}

enum Part<'a> {
    Fresh(usize),
    Compressed { data: &'a [u8], size: usize, kept: Kept },
    Elements { end: usize, size: usize },
}

pub struct ColumnWriter<'a> {
    leaf: &'a Leaf,
    order: Order,
    packer: Packer,
    index_width: u32,
    most_bytes: usize,
    column: Column,
    definitions: Gathered,
    repetitions: Gathered,
    plain: Vec<u8>,
    elements: Vec<u8>,
    parts: Vec<Part<'a>>,
    booleans: Vec<u8>,
    indices: Vec<u32>,
    values: usize,
    rows: usize,
    size: usize,
    facts: PageFacts,
    /// After a page that was kept as it is, the next one must begin a row.
    closed: bool,
}

fn nothing_yet() -> PageFacts {
    PageFacts { bounds: Bounds::Empty, nulls: 0 }
}

impl<'a> ColumnWriter<'a> {
    /// Refuses to write more than `most_bytes`.
    pub fn new(leaf: &'a Leaf, by: Compression, most_bytes: usize) -> Self {
        let column = Column {
            bytes: Rope::default(),
            dictionary: false,
            data_offset: 0,
            values: 0,
            nulls: 0,
            rows: 0,
            beginnings: if leaf.repetition > 0 { vec![0; usize::from(leaf.definition) + 1] } else { Vec::new() },
            uncompressed: 0,
            bounds: Bounds::Empty,
            locations: Vec::new(),
            facts: Vec::new(),
            encodings: Vec::new(),
        };
        Self {
            leaf,
            order: Order::of(leaf.physical, &leaf.meaning),
            packer: Packer::new(by),
            index_width: 0,
            most_bytes,
            column,
            definitions: Gathered::default(),
            repetitions: Gathered::default(),
            plain: Vec::new(),
            elements: Vec::new(),
            parts: Vec::new(),
            booleans: Vec::new(),
            indices: Vec::new(),
            values: 0,
            rows: 0,
            size: 0,
            facts: nothing_yet(),
            closed: false,
        }
    }

    /// The dictionary that all pages of the column are to have indices of. Nothing was added yet.
    pub fn dictionary(&mut self, plain: &[u8], count: usize) -> Result<()> {
        let body = self.packer.pack(plain)?;
        let header = write_page_header(count, PLAIN, plain.len(), body.len(), true);
        self.column.uncompressed += header.len() + plain.len();
        self.column.bytes.push(&header);
        self.column.bytes.push(&body);
        self.column.dictionary = true;
        self.column.data_offset = self.column.bytes.len();
        self.index_width = bits_for(count.saturating_sub(1));
        Ok(())
    }

    /// Add values. Pages end between units, where a row begins.
    pub fn add(&mut self, unit: &Unit<'_>, stored: Stored<'a, '_>, bounds: &Bounds) -> Result<()> {
        let size = match &stored {
            Stored::Plain(data) => data.len(),
            Stored::Compressed { size, .. } | Stored::Elements { size, .. } => *size,
            _ => 0,
        };
        self.make_room(unit, size)?;
        match stored {
            Stored::Nothing => {}
            Stored::Plain(data) => {
                self.plain.extend_from_slice(data);
                match self.parts.last_mut() {
                    Some(Part::Fresh(end)) => *end = self.plain.len(),
                    _ => self.parts.push(Part::Fresh(self.plain.len())),
                }
            }
            Stored::Compressed { data, size, kept } => self.parts.push(Part::Compressed { data, size, kept }),
            Stored::Elements { data, size } => {
                self.elements.extend_from_slice(data);
                self.parts.push(Part::Elements { end: self.elements.len(), size });
            }
            Stored::Booleans(Numbers::Run(value, n)) => self.booleans.resize(self.booleans.len() + n, *value),
            Stored::Booleans(Numbers::Each(values)) => self.booleans.extend_from_slice(values),
            Stored::Indices(indices) => self.indices.extend_from_slice(indices),
        }
        self.size += size;
        self.levels(unit, bounds);
        Ok(())
    }

    /// Values that are encoded otherwise: a page of their own.
    pub fn add_alone(&mut self, unit: &Unit<'_>, encoding: i32, body: &[u8], bounds: &Bounds) -> Result<()> {
        self.begin_alone(unit)?;
        self.levels(unit, bounds);
        let mut page = Vec::new();
        self.repetitions.write(self.leaf.repetition, &mut page);
        self.definitions.write(self.leaf.definition, &mut page);
        page.extend_from_slice(body);
        self.column.bytes.begin();
        self.column.bytes.push(&self.packer.pack(&page)?);
        self.closed = true;
        self.page(encoding, page.len())
    }

    /// A page of version 1 that stays as it is, levels and all.
    pub fn add_as_is(&mut self, unit: &Unit<'_>, encoding: i32, size: usize, body: Kept, bounds: &Bounds) -> Result<()> {
        self.begin_alone(unit)?;
        self.count(unit, bounds);
        self.closed = true;
        self.column.bytes.begin();
        self.column.bytes.keep(body);
        self.page(encoding, size)
    }

    /// Ends the page in the making, where a row ends.
    pub fn end_page(&mut self) -> Result<()> {
        self.flush()
    }

    fn begin_alone(&mut self, unit: &Unit<'_>) -> Result<()> {
        if !unit.begins_row {
            return Err(Refusal::new("a row goes on over pages"));
        }
        self.flush()
    }

    fn make_room(&mut self, unit: &Unit<'_>, size: usize) -> Result<()> {
        if !unit.begins_row {
            return if self.closed { Err(Refusal::new("a row goes on over pages")) } else { Ok(()) };
        }
        self.closed = false;
        let full = self.values >= ENOUGH_VALUES || self.size >= ENOUGH_BYTES;
        let over = self.values + unit.values > ENOUGH_VALUES * 3 / 2 || self.size + size > ENOUGH_BYTES * 3 / 2;
        if self.values > 0 && (full || over) { self.flush() } else { Ok(()) }
    }

    fn levels(&mut self, unit: &Unit<'_>, bounds: &Bounds) {
        self.definitions.add(unit.definitions);
        self.repetitions.add(unit.repetitions);
        if self.leaf.repetition > 0 {
            count_beginnings(unit, &mut self.column.beginnings);
        }
        self.count(unit, bounds);
    }

    fn count(&mut self, unit: &Unit<'_>, bounds: &Bounds) {
        self.values += unit.values;
        self.rows += unit.rows;
        self.facts.nulls += unit.nulls;
        if unit.nulls < unit.values {
            self.facts.bounds.widen(bounds, self.order);
        }
    }

    fn flush(&mut self) -> Result<()> {
        if self.values == 0 {
            return Ok(());
        }
        let mut head = Vec::new();
        self.repetitions.write(self.leaf.repetition, &mut head);
        self.definitions.write(self.leaf.definition, &mut head);
        let mut encoding = PLAIN;
        if self.column.dictionary {
            encoding = RLE_DICTIONARY;
            head.push(self.index_width as u8);
            encode(&self.indices, self.index_width, &mut head);
            self.indices.clear();
        } else if !self.booleans.is_empty() {
            head.extend(self.booleans.chunks(8).map(|bits| bits.iter().rev().fold(0, |byte, bit| byte << 1 | bit)));
            self.booleans.clear();
        }
        let size = head.len() + self.size;
        self.column.bytes.begin();
        // Frames of Zstandard cost something each: only what is compressed already is one of its own.
        if self.packer.joins_freely() || self.parts.iter().any(|part| !matches!(part, Part::Fresh(_))) {
            let mut pieces = vec![Piece::Fresh(&head)];
            let (mut start, mut begin) = (0, 0);
            for part in &self.parts {
                pieces.push(match *part {
                    Part::Fresh(end) => Piece::Fresh(&self.plain[std::mem::replace(&mut start, end)..end]),
                    Part::Compressed { data, size, kept } => Piece::Stored { data, size, kept },
                    Part::Elements { end, size } => Piece::Elements { data: &self.elements[std::mem::replace(&mut begin, end)..end], size },
                });
            }
            self.packer.join(&pieces, &mut self.column.bytes)?;
        } else {
            head.extend_from_slice(&self.plain);
            self.packer.join(&[Piece::Fresh(&head)], &mut self.column.bytes)?;
        }
        self.plain.clear();
        self.elements.clear();
        self.parts.clear();
        self.page(encoding, size)
    }

    /// Writes the page whose body is made, `size` bytes before it was compressed.
    fn page(&mut self, encoding: i32, size: usize) -> Result<()> {
        let column = &mut self.column;
        let stored = column.bytes.part_len();
        if size > i32::MAX as usize || stored > i32::MAX as usize || column.bytes.len() > self.most_bytes {
            return Err(Refusal::new("it would become much larger"));
        }
        let header = write_page_header(self.values, encoding, size, stored, false);
        column.locations.push(Location { offset: column.bytes.len() - stored, size: header.len() + stored, first_row: column.rows });
        column.bytes.push_ahead(&header);
        column.uncompressed += header.len() + size;
        column.values += self.values;
        column.rows += self.rows;
        column.nulls += self.facts.nulls;
        column.bounds.widen(&self.facts.bounds, self.order);
        column.facts.push(std::mem::replace(&mut self.facts, nothing_yet()));
        match column.encodings.iter_mut().find(|(other, _)| *other == encoding) {
            Some((_, pages)) => *pages += 1,
            None => column.encodings.push((encoding, 1)),
        }
        (self.values, self.rows, self.size) = (0, 0, 0);
        Ok(())
    }

    /// Rows added so far.
    pub fn rows(&self) -> usize {
        self.column.rows + self.rows
    }

    pub fn finish(mut self) -> Result<Column> {
        self.flush()?;
        Ok(self.column)
    }
}

//! What is read of the inputs of a column: their pages, as outputs have them, and what of their footers is believed.

use super::bounds::Bounds;
use super::buffer::Bytes;
use super::codec::Compression;
use super::delta::{known, to_plain};
use super::hybrid::Numbers;
use super::metadata::{Physical, Statistics};
use super::order::Order;
use super::pages::{Chunk, Deepest, Opened, Page, dictionary, open};
use super::rope::Kept;
use super::schema::{Leaf, Place};
use super::values::{check_plain, converted};
use super::writer::Unit;
use super::{PLAIN, Refusal};

type Result<T> = std::result::Result<T, Refusal>;

/// What one row group of one file, `source`, holds of the column; no chunk where the file lacks it.
pub struct Input<'a> {
    pub source: usize,
    pub rows: usize,
    pub place: &'a Place,
    pub chunk: Option<Chunk<'a>>,
    pub statistics: &'a Statistics,
    /// Whether the bounds of its writer's footers are known to be right.
    pub trusted: bool,
}

impl Input<'_> {
    /// Where the bytes of a page are.
    pub fn kept(&self, page: &Page<'_>) -> Kept {
        Kept { source: self.source, start: page.start, length: page.body.len() }
    }

    fn stored_as(&self, leaf: &Leaf) -> Physical {
        match self.place {
            Place::At { stored, .. } => *stored,
            Place::Missing => leaf.physical,
        }
    }
}

#[derive(Clone, Copy)]
pub struct Options {
    pub by: Compression,
    /// Bounds are looked for in the values where footers do not tell them.
    pub bounds: bool,
    /// Nothing is kept without having been decompressed once.
    pub verify: bool,
}

/// What became of the levels of a page.
pub struct Levels {
    definitions: Numbers<u8>,
    repetitions: Numbers<u8>,
    values: usize,
    pub defined: usize,
    rows: usize,
    begins_row: bool,
}

impl Levels {
    /// Takes the levels of a page out of it.
    pub fn of(page: &mut Opened<'_>, place: &Place) -> Self {
        let begins_row = page.begins_row();
        let (mut definitions, repetitions) = page.take_levels();
        let Opened { values, defined, rows, .. } = *page;
        if let (false, Place::At { levels, .. }) = (place.same_levels(), place) {
            match &mut definitions {
                Numbers::Run(level, _) => *level = levels[usize::from(*level)],
                Numbers::Each(each) => each.iter_mut().for_each(|level| *level = levels[usize::from(*level)]),
            }
        }
        Self { definitions, repetitions, values, defined, rows, begins_row }
    }

    pub fn unit(&self) -> Unit<'_> {
        Unit {
            definitions: &self.definitions,
            repetitions: &self.repetitions,
            values: self.values,
            nulls: self.values - self.defined,
            rows: self.rows,
            begins_row: self.begins_row,
        }
    }
}

/// How the inputs of one column are read.
pub struct Reading<'a> {
    pub leaf: &'a Leaf,
    pub order: Order,
    pub options: Options,
}

impl<'a> Reading<'a> {
    pub fn new(leaf: &'a Leaf, options: Options) -> Self {
        Self { leaf, order: Order::of(leaf.physical, &leaf.meaning), options }
    }

    /// A page taken apart, whose levels are sound.
    pub fn open<'b>(&self, input: &Input<'_>, chunk: &Chunk<'b>, page: &Page<'b>) -> Result<Opened<'b>> {
        let opened = open(page, chunk.codec, Deepest::of(input.place))?;
        let first = chunk.pages.first().is_some_and(|first| std::ptr::eq(first.body, page.body));
        if first && !opened.begins_row() {
            return Err(Refusal::new("a row goes on from one row group to the next"));
        }
        if matches!(input.place, Place::At { repeated, .. } if !opened.is_sound(repeated)) {
            return Err(Refusal::new("the levels of a list contradict themselves"));
        }
        Ok(opened)
    }

    /// Refuses an encoding of values that is not known.
    pub fn known(&self, input: &Input<'_>, encoding: i32) -> Result<()> {
        if known(encoding, input.stored_as(self.leaf)) {
            return Ok(());
        }
        Err(Refusal::new(format!("encoding {encoding} of its column {} is not known", self.leaf.name())))
    }

    /// The values of a page that stores them in it, PLAIN, checked, as outputs have them.
    pub fn values<'b>(&self, input: &Input<'_>, encoding: i32, page: &'b Opened<'_>) -> Result<Bytes<'b>> {
        self.known(input, encoding)?;
        let mut plain = Bytes::Lent(page.body());
        if encoding != PLAIN {
            let mut decoded = Vec::new();
            to_plain(encoding, page.body(), input.stored_as(self.leaf), page.defined, &mut decoded)?;
            plain = Bytes::Made(decoded);
        }
        self.of_outputs(input, plain, page.defined)
    }

    /// Whether values are stored in the input as they are in outputs.
    pub fn same_type(&self, input: &Input<'_>) -> bool {
        input.stored_as(self.leaf) == self.leaf.physical
    }

    /// PLAIN values of the input, checked, as outputs have them.
    fn of_outputs<'b>(&self, input: &Input<'_>, plain: Bytes<'b>, count: usize) -> Result<Bytes<'b>> {
        let stored = input.stored_as(self.leaf);
        check_plain(&plain, stored, count)?;
        match self.leaf.physical {
            same if same == stored => Ok(plain),
            wanted => Ok(Bytes::Made(converted(&plain, stored, wanted)?)),
        }
    }

    /// The values of a dictionary, checked, as outputs have them.
    pub fn dictionary<'b>(&self, input: &Input<'_>, chunk: &Chunk<'b>, page: &Page<'b>) -> Result<Bytes<'b>> {
        self.of_outputs(input, dictionary(page, chunk.codec)?, page.values())
    }

    /// Bounds that the footer tells, where it can be believed.
    pub fn trusted_bounds(&self, input: &Input<'_>, chunk: &Chunk<'_>) -> Bounds {
        let values: usize = chunk.pages.iter().map(Page::values).sum();
        match input.statistics.null_count {
            Some(nulls) if input.trusted && nulls <= values && self.same_type(input) => {
                let told = Bounds::of_footer(input.statistics, self.order, self.leaf.physical, values - nulls);
                if self.options.bounds && !told.exact() { Bounds::Unknown } else { told }
            }
            _ => Bounds::Unknown,
        }
    }

    /// The bounds of values that are at hand.
    pub fn bounds_of(&self, plain: &[u8]) -> Bounds {
        if self.options.bounds || self.order.in_footer() {
            Bounds::of_plain(plain, self.leaf.physical, self.order)
        } else {
            Bounds::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::RLE;
    use super::super::codec::Codec;
    use super::super::metadata::Meaning;
    use super::super::page_header::{PageHeader, PageKind};
    use super::*;

    #[test]
    fn bounds_of_a_footer_are_taken_from_writers_that_have_them_right_only() {
        let kind = PageKind::V1 { values: 2, encoding: PLAIN, definitions: RLE, repetitions: RLE };
        let page = Page { header: PageHeader { kind, compressed: 0, uncompressed: 0, crc: None }, body: &[], start: 4 };
        let chunk = Chunk { codec: Codec::None, dictionary: None, pages: vec![page] };
        let place = Place::At { column: 0, levels: vec![0], repeated: vec![], stored: Physical::Int32 };
        let leaf = Leaf { path: vec![], physical: Physical::Int32, meaning: Meaning::Plain, definition: 0, repetition: 0 };
        let reading = Reading::new(&leaf, Options { by: Compression { codec: Codec::None, level: 1 }, bounds: true, verify: false });
        let bound = |value: i32| Some(value.to_le_bytes()[..].into());
        let found = |null_count, trusted| {
            let statistics = Statistics { null_count, minimum: bound(1), maximum: bound(7), ..Statistics::default() };
            reading.trusted_bounds(&Input { source: 0, rows: 2, place: &place, chunk: None, statistics: &statistics, trusted }, &chunk)
        };
        assert!(matches!(found(Some(0), true), Bounds::Within { .. }));
        assert_eq!(found(Some(0), false), Bounds::Unknown);
        assert_eq!(found(None, true), Bounds::Unknown);
        assert_eq!(found(Some(3), true), Bounds::Unknown);
    }
}

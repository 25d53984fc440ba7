//! Chunks of a column that has no dictionary: values are stored as PLAIN, or pages and compressed bytes are kept as they are.
//!
//! Where a chunk's indices count from 0 to the end, its dictionary is its values, and its compressed bytes may become part of a page.

use std::borrow::Cow;

use super::ahead::{Ahead, KEPT_PIECE_BYTES};
use super::appearance::Appearance;
use super::bounds::Bounds;
use super::buffer::Bytes;
use super::codec::{Codec, check_joinable};
use super::delta::{booleans, is_narrow};
use super::hybrid::Numbers;
use super::input::{Input, Levels, Reading};
use super::metadata::Physical;
use super::order::Order;
use super::page_header::PageKind;
use super::pages::{Chunk, Page};
use super::rope::Kept;
use super::values::{check_plain, starts};
use super::woven::{most_cuts, weave};
use super::writer::{ColumnWriter, Stored, Unit};
use super::{BYTE_STREAM_SPLIT, MOST_PAGE_BYTES, PLAIN, PLAIN_DICTIONARY, RLE, Refusal, TINY};

type Result<T> = std::result::Result<T, Refusal>;

const KEPT_PAGE_BYTES: usize = (16 << 10) / TINY;

/// Adds chunks to a column that has no dictionary.
pub struct Plain<'w, 'a> {
    pub reading: &'w Reading<'a>,
    pub writer: &'w mut ColumnWriter<'a>,
}

impl<'a> Plain<'_, 'a> {
    /// Adds the rows of a chunk that was looked into.
    pub fn add(&mut self, input: &Input<'_>, chunk: &Chunk<'a>, ahead: Ahead) -> Result<()> {
        if self.reading.leaf.physical == Physical::Boolean {
            return chunk.pages.iter().try_for_each(|page| self.booleans(input, chunk, page));
        }
        if ahead.whole {
            return self.whole_dictionary(input, chunk, &ahead);
        }
        if ahead.indexed.len() == chunk.pages.len() && self.woven(input, chunk, &ahead.indexed)? {
            return Ok(());
        }
        let mut values: Option<(Bytes<'_>, Vec<u32>)> = None;
        let known_bounds = self.reading.trusted_bounds(input, chunk);
        let mut indexed = ahead.indexed.into_iter();
        for page in &chunk.pages {
            if !page.is_indices() {
                self.page(input, chunk, page, &known_bounds)?;
                continue;
            }
            if values.is_none() {
                let source = chunk.dictionary.as_ref().ok_or_else(|| Refusal::new("indices without a dictionary"))?;
                let plain = self.reading.dictionary(input, chunk, source)?;
                let starts = starts(&plain, self.reading.leaf.physical, source.values())?;
                values = Some((plain, starts));
            }
            let (levels, indices) = indexed.next().expect("one for each page of indices");
            let bounds = if chunk.pages.len() == 1 { &known_bounds } else { &Bounds::Unknown };
            self.gathered(&levels, indices, values.as_ref().expect("just made"), bounds)?;
        }
        Ok(())
    }

    /// Adds a chunk whose indices count from 0 to the end of its dictionary, which then is its values.
    fn whole_dictionary(&mut self, input: &Input<'_>, chunk: &Chunk<'a>, ahead: &Ahead) -> Result<()> {
        let Some(source) = &chunk.dictionary else { return Ok(()) };
        let (stored, bounds) = self.values_of(input, chunk, source, ahead)?;
        let alone = matches!(stored, Values::Compressed { counted: false, .. });
        if alone {
            self.writer.end_page()?;
        }
        let mut stored = Some(stored);
        // The first page brings the values of all; the others must stay in the same page, as rows that go on do.
        for (i, (levels, _)) in ahead.indexed.iter().enumerate() {
            let unit = Unit { begins_row: i == 0, ..levels.unit() };
            match stored.take() {
                Some(Values::Compressed { data, size, kept, .. }) => {
                    self.writer.add(&unit, Stored::Compressed { data, size, kept }, &bounds)?
                }
                Some(Values::Plain(plain)) => self.writer.add(&unit, Stored::Plain(&plain), &bounds)?,
                None => self.writer.add(&unit, Stored::Nothing, &bounds)?,
            }
        }
        if alone { self.writer.end_page() } else { Ok(()) }
    }

    /// The values of a dictionary, compressed as they are where that may be, and their bounds.
    fn values_of<'b>(&self, input: &Input<'_>, chunk: &Chunk<'b>, source: &Page<'b>, ahead: &Ahead) -> Result<(Values<'b>, Bounds)> {
        if !matches!(source.encoding(), PLAIN | PLAIN_DICTIONARY) {
            return Err(Refusal::new("a dictionary in an encoding that is not known"));
        }
        let size = source.header.uncompressed;
        let compressed = |counted| Values::Compressed { data: source.body, size, kept: input.kept(source), counted };
        let joinable = || ahead.sound || check_joinable(chunk.codec, source.body, size).is_ok();
        let trusted = self.reading.trusted_bounds(input, chunk);
        let told = trusted != Bounds::Unknown
            || (!self.reading.options.bounds && !self.reading.order.in_footer())
            || self.reading.order == Order::None;
        let counted = self.reading.leaf.physical.width().map(|width| source.values() * width == size);
        let sound = counted.unwrap_or(source.body.len() >= KEPT_PAGE_BYTES);
        if ahead.kept && sound && told && !self.reading.options.verify && joinable() {
            return Ok((compressed(counted.is_some()), trusted));
        }
        let plain = self.reading.dictionary(input, chunk, source)?;
        let bounds = if told && !self.reading.options.verify { trusted } else { self.reading.bounds_of(&plain) };
        // A stream of Snappy that could be decompressed by itself reaches back nowhere before its beginning.
        let joins = ahead.kept && (chunk.codec == Codec::Snappy || joinable());
        Ok((if joins { compressed(true) } else { Values::Plain(plain) }, bounds))
    }

    /// Adds a chunk whose indices nearly count to the end of its dictionary, whose compressed values then become those of the chunk with some
    /// repeated; false where that may not be.
    fn woven(&mut self, input: &Input<'_>, chunk: &Chunk<'a>, pages: &[(Levels, Numbers<u32>)]) -> Result<bool> {
        let (Some(source), Some(width)) = (&chunk.dictionary, self.reading.leaf.physical.width()) else { return Ok(false) };
        let trusted = self.reading.trusted_bounds(input, chunk);
        let size = source.header.uncompressed;
        let same = self.reading.same_type(input)
            && (chunk.codec, self.reading.options.by.codec) == (Codec::Snappy, Codec::Snappy)
            && matches!(source.encoding(), PLAIN | PLAIN_DICTIONARY)
            && source.body.len() >= KEPT_PIECE_BYTES
            && source.values() * width == size
            && !self.reading.options.verify;
        if !same || !self.told(&trusted) {
            return Ok(false);
        }
        let indices = in_one(pages);
        let Some(appearance) = Appearance::of(&indices, source.values()) else { return Ok(false) };
        let Some(elements) = weave(source.body, width, &indices, &appearance, most_cuts(source.body))? else { return Ok(false) };
        let mut stored = Stored::Elements { data: &elements, size: indices.len() * width };
        for (i, (levels, _)) in pages.iter().enumerate() {
            let unit = Unit { begins_row: i == 0, ..levels.unit() };
            self.writer.add(&unit, std::mem::replace(&mut stored, Stored::Nothing), &trusted)?;
        }
        Ok(true)
    }

    /// Whether these bounds will do, or nobody wants any.
    fn told(&self, bounds: &Bounds) -> bool {
        *bounds != Bounds::Unknown || (!self.reading.options.bounds && !self.reading.order.in_footer()) || self.reading.order == Order::None
    }

    /// Adds the values that these indices are of. `known_bounds`: of all of them, where they are known.
    fn gathered(&mut self, levels: &Levels, indices: Numbers<u32>, values: &(Bytes<'_>, Vec<u32>), known_bounds: &Bounds) -> Result<()> {
        let (plain, starts) = values;
        let each = match indices {
            Numbers::Run(index, n) => vec![index; n],
            Numbers::Each(each) => each,
        };
        let width = self.reading.leaf.physical.width();
        let mut out = Vec::new();
        if width.is_none_or(|width| !copied(width, plain, &each, &mut out)) {
            for index in &each {
                let index = *index as usize;
                out.extend_from_slice(&plain[starts[index] as usize..starts[index + 1] as usize]);
                if out.len() > MOST_PAGE_BYTES {
                    return Err(Refusal::new("a page would become too large"));
                }
            }
        }
        let bounds = match known_bounds {
            Bounds::Unknown if self.reading.options.bounds || self.reading.order.in_footer() => {
                let mut used = vec![false; starts.len() - 1];
                each.iter().for_each(|index| used[*index as usize] = true);
                let prefix = if width.is_none() { 4 } else { 0 };
                let values = (0..used.len()).filter(|i| used[*i]).map(|i| &plain[starts[i] as usize + prefix..starts[i + 1] as usize]);
                &Bounds::of_values(values, self.reading.order)
            }
            known => known,
        };
        self.writer.add(&levels.unit(), Stored::Plain(&out), bounds)
    }

    fn booleans(&mut self, input: &Input<'_>, chunk: &Chunk<'_>, page: &Page<'_>) -> Result<()> {
        let encoding = page.encoding();
        let mut page = self.reading.open(input, chunk, page)?;
        let values = booleans(encoding, page.body(), page.defined)?;
        let seen = |each: &[u8], value| each.contains(&value).then_some(if value == 0 { &[0][..] } else { &[1] });
        let bounds = match &values {
            Numbers::Run(_, 0) => Bounds::Empty,
            Numbers::Run(value, _) => Bounds::of_values(std::iter::once(&[*value][..]), self.reading.order),
            Numbers::Each(each) => Bounds::of_values([0, 1].into_iter().filter_map(|value| seen(each, value)), self.reading.order),
        };
        let levels = Levels::of(&mut page, input.place);
        self.writer.add(&levels.unit(), Stored::Booleans(&values), &bounds)
    }

    /// A page of values that are stored in it.
    fn page(&mut self, input: &Input<'_>, chunk: &Chunk<'_>, page: &Page<'_>, known_bounds: &Bounds) -> Result<()> {
        let encoding = page.encoding();
        self.reading.known(input, encoding)?;
        if self.kept(input, chunk, page, known_bounds)? {
            return Ok(());
        }
        let large = page.body.len() >= KEPT_PAGE_BYTES;
        let mut page = self.reading.open(input, chunk, page)?;
        let levels = Levels::of(&mut page, input.place);
        let plain = self.reading.values(input, encoding, &page)?;
        let bounds = self.reading.bounds_of(&plain);
        let other = large && encoding != PLAIN && encoding != BYTE_STREAM_SPLIT && self.reading.same_type(input);
        if other && is_narrow(encoding, page.body(), self.reading.leaf.physical, page.defined)? {
            return self.writer.add_alone(&levels.unit(), encoding, page.body(), &bounds);
        }
        self.writer.add(&levels.unit(), Stored::Plain(&plain), &bounds)
    }

    /// Adds a large page as it is, where everything that must be known of it is known without decompressing it.
    fn kept(&mut self, input: &Input<'_>, chunk: &Chunk<'_>, page: &Page<'_>, known_bounds: &Bounds) -> Result<bool> {
        let PageKind::V1 { values, definitions, encoding, .. } = page.header.kind else { return Ok(false) };
        let nulls = match input.statistics.null_count {
            _ if self.reading.leaf.definition == 0 => Some(0),
            Some(0) if input.trusted => Some(0),
            Some(nulls) if input.trusted && chunk.pages.len() == 1 => Some(nulls).filter(|nulls| *nulls <= values),
            _ => None,
        };
        let (Some(nulls), true) = (nulls, page.body.len() >= KEPT_PAGE_BYTES) else { return Ok(false) };
        let told = *known_bounds != Bounds::Unknown
            || (!self.reading.options.bounds && !self.reading.order.in_footer())
            || self.reading.order == Order::None;
        let same = self.reading.same_type(input)
            && chunk.codec == self.reading.options.by.codec
            && input.place.same_levels()
            && self.reading.leaf.repetition == 0;
        let levels_known = self.reading.leaf.definition == 0 || definitions == RLE;
        // HAZARD: Spark's vectorised reader does not know byte streams, which other writers only make when they are asked to.
        if !same || !told || !levels_known || encoding == BYTE_STREAM_SPLIT {
            return Ok(false);
        }
        if self.reading.options.verify || chunk.codec == Codec::None {
            let found = self.reading.open(input, chunk, page)?;
            if found.values - found.defined != nulls {
                return Err(Refusal::new("a page has not the nulls that the footer counts"));
            }
            if encoding == PLAIN {
                check_plain(found.body(), self.reading.leaf.physical, found.defined)?;
            }
        } else if chunk.codec == Codec::Snappy {
            check_joinable(chunk.codec, page.body, page.header.uncompressed)?;
        }
        let levels = Numbers::Run(0, 0);
        let unit = Unit { definitions: &levels, repetitions: &levels, values, nulls, rows: values, begins_row: true };
        let size = page.header.uncompressed;
        self.writer.add_as_is(&unit, encoding, size, input.kept(page), known_bounds)?;
        Ok(true)
    }
}

enum Values<'a> {
    Plain(Bytes<'a>),
    /// `counted`: there are as many as the page says. HAZARD: texts that nobody counted need a page of their own, because what is too many or
    /// too few of them would move those of other pieces.
    Compressed {
        data: &'a [u8],
        size: usize,
        kept: Kept,
        counted: bool,
    },
}

/// Appends the values of these indices, of `width` bytes each; false where that is a width that columns seldom have.
fn copied(width: usize, plain: &[u8], indices: &[u32], out: &mut Vec<u8>) -> bool {
    match width {
        4 => copy_all::<4>(plain, indices, out),
        5 => copy_all::<5>(plain, indices, out),
        6 => copy_all::<6>(plain, indices, out),
        7 => copy_all::<7>(plain, indices, out),
        8 => copy_all::<8>(plain, indices, out),
        9 => copy_all::<9>(plain, indices, out),
        12 => copy_all::<12>(plain, indices, out),
        16 => copy_all::<16>(plain, indices, out),
        _ => return false,
    }
    true
}

fn copy_all<const N: usize>(plain: &[u8], indices: &[u32], out: &mut Vec<u8>) {
    out.reserve(indices.len() * N);
    for index in indices {
        let index = *index as usize;
        let value: [u8; N] = plain[index * N..index * N + N].try_into().expect("as many bytes");
        out.extend_from_slice(&value);
    }
}

/// The indices of all these pages.
fn in_one(pages: &[(Levels, Numbers<u32>)]) -> Cow<'_, [u32]> {
    if let [(_, Numbers::Each(each))] = pages {
        return Cow::Borrowed(each);
    }
    let mut all = Vec::new();
    for (_, indices) in pages {
        match indices {
            Numbers::Run(index, n) => all.resize(all.len() + n, *index),
            Numbers::Each(each) => all.extend_from_slice(each),
        }
    }
    Cow::Owned(all)
}

#[cfg(test)]
mod tests {
    use super::super::codec::Compression;
    use super::super::input::Options;
    use super::super::metadata::{Meaning, Statistics};
    use super::super::page_header::PageHeader;
    use super::super::schema::{Leaf, Place};
    use super::*;

    #[test]
    fn nulls_that_a_footer_counts_are_believed_of_known_writers_only() {
        let body = vec![0; KEPT_PAGE_BYTES];
        let kind = PageKind::V1 { values: 9000, encoding: PLAIN, definitions: RLE, repetitions: RLE };
        let header = PageHeader { kind, compressed: body.len(), uncompressed: 36_000, crc: None };
        let chunk = Chunk { codec: Codec::Zstd, dictionary: None, pages: vec![Page { header, body: &body, start: 4 }] };
        let place = Place::At { column: 0, levels: vec![0, 1], repeated: vec![], stored: Physical::Int32 };
        let leaf = Leaf { path: vec![], physical: Physical::Int32, meaning: Meaning::Plain, definition: 1, repetition: 0 };
        let by = Compression { codec: Codec::Zstd, level: 1 };
        let reading = Reading::new(&leaf, Options { by, bounds: true, verify: false });
        for null_count in [Some(0), Some(7)] {
            for trusted in [true, false] {
                let statistics = Statistics { null_count, ..Statistics::default() };
                let input = Input { source: 0, rows: 9000, place: &place, chunk: None, statistics: &statistics, trusted };
                let mut writer = ColumnWriter::new(&leaf, by, 1 << 20);
                let kept = Plain { reading: &reading, writer: &mut writer }.kept(&input, &chunk, &chunk.pages[0], &Bounds::Empty);
                assert_eq!(kept, Ok(trusted));
            }
        }
    }

    #[test]
    fn texts_that_nobody_counted_stay_in_a_page_of_their_own() {
        let text = |mut seed: u64| -> Vec<u8> {
            let mut next = || {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (seed >> 33) as u8
            };
            (0..9000).map(|_| next()).collect()
        };
        let packed = |data: &[u8]| snap::raw::Encoder::new().compress_vec(data).expect("compresses");
        // the header counts two of three
        let plain: Vec<u8> = [7, 8, 9].into_iter().flat_map(|seed| [&9000u32.to_le_bytes()[..], &text(seed)].concat()).collect();
        let (stored, indices) = (packed(&plain), packed(&[1, 3, 0b10]));
        assert!(stored.len() >= KEPT_PAGE_BYTES, "{}", stored.len());
        let page = |kind, body: &'static [u8], uncompressed| {
            let header = PageHeader { kind, compressed: body.len(), uncompressed, crc: None };
            Page { header, body, start: 4 }
        };
        let (stored, indices): (&'static [u8], &'static [u8]) = (stored.leak(), indices.leak());
        let place = Place::At { column: 0, levels: vec![0], repeated: vec![], stored: Physical::ByteArray };
        let meaning = Meaning::Text;
        let leaf = Leaf { path: vec![], physical: Physical::ByteArray, meaning, definition: 0, repetition: 0 };
        let known = |seed| Some(text(seed)[..8].into());
        let exact = Some(true);
        let statistics = Statistics {
            null_count: Some(0),
            minimum: known(7),
            maximum: known(7),
            minimum_exact: exact,
            maximum_exact: exact,
            ..Statistics::default()
        };
        let input = |source| {
            let dictionary = Some(page(PageKind::Dictionary { values: 2, encoding: PLAIN }, stored, plain.len()));
            let kind = PageKind::V1 { values: 2, encoding: super::super::RLE_DICTIONARY, definitions: RLE, repetitions: RLE };
            let chunk = Some(Chunk { codec: Codec::Snappy, dictionary, pages: vec![page(kind, indices, 3)] });
            Input { source, rows: 2, place: &place, chunk, statistics: &statistics, trusted: true }
        };
        let inputs: Vec<Input<'_>> = (0..3).map(input).collect();
        let by = Compression { codec: Codec::Snappy, level: 0 };
        let reading = Reading::new(&leaf, Options { by, bounds: true, verify: false });
        let mut writer = ColumnWriter::new(&leaf, by, 1 << 20);
        for (input, ahead) in inputs.iter().zip(super::super::ahead::look(&reading, &inputs)) {
            let chunk = input.chunk.as_ref().expect("a chunk");
            Plain { reading: &reading, writer: &mut writer }.add(input, chunk, ahead.expect("sound")).expect("added");
        }
        let column = writer.finish().expect("written");
        assert_eq!((column.locations.len(), column.values), (3, 6));
        let mut out = vec![0; column.locations[1].size];
        column.bytes.copy(column.locations[1].offset, &mut out, |_| Some(&[&[0; 4][..], stored].concat().leak()[..])).expect("is there");
        assert!(out.ends_with(stored), "with nothing before it");
    }
}

//! Merges the chunks of one column.
//!
//! A column is either all indices of one dictionary, or has none: HAZARD: Spark's vectorised reader silently reads wrong values where a
//! dictionary-encoded page follows a PLAIN one. Where a chunk's indices count from 0 to the end, its dictionary is its values, and its
//! compressed bytes may become part of a page as they are. Where values repeat from file to file, although each file has too few for a
//! dictionary of its own, the merged column has one.

use super::buffer::Bytes;
use super::codec::{Codec, Compression, check_joinable, joins};
use super::delta::{booleans, known, to_plain};
use super::hybrid::Numbers;
use super::metadata::{PageKind, Physical, Statistics};
use super::pages::{Chunk, Deepest, Opened, Page, dictionary, indices, open};
use super::rope::Kept;
use super::sample::Sample;
use super::schema::{Leaf, Place};
use super::union::Union;
use super::values::{Bounds, Order, check_plain, starts, widened};
use super::writer::{Column, ColumnWriter, Stored, Unit};
use super::{BYTE_STREAM_SPLIT, MOST_PAGE_BYTES, PLAIN, Refusal};

type Result<T> = std::result::Result<T, Refusal>;

const MOST_DICTIONARY_BYTES: usize = 1 << 20;
const KEPT_PAGE_BYTES: usize = 16 << 10;
const KEPT_PIECE_BYTES: usize = 4 << 10;
const MOST_GROWTH: usize = 4;
const ROWS_OF_NULLS: usize = 20_000;

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

#[derive(Clone, Copy)]
pub struct Options {
    pub by: Compression,
    /// Bounds are looked for in the values where footers do not tell them.
    pub bounds: bool,
    /// Nothing is kept without having been decompressed once.
    pub verify: bool,
}

/// The merged column, or which input it cannot be made of and why.
pub fn merge(leaf: &Leaf, inputs: &[Input<'_>], options: Options) -> std::result::Result<Column, (usize, Refusal)> {
    let stored: usize = inputs.iter().filter_map(|input| input.chunk.as_ref()).map(stored_bytes).sum();
    let mut merger = Merger {
        leaf,
        order: Order::of(leaf.physical, &leaf.meaning),
        options,
        writer: ColumnWriter::new(leaf, options.by, stored.saturating_mul(MOST_GROWTH).saturating_add(1 << 20)),
    };
    let last = inputs.len().saturating_sub(1);
    let mut maps = merger.dictionaries(inputs)?;
    if let Some((union, _)) = &maps {
        merger.writer.dictionary(&union.plain, union.len()).map_err(|refusal| (last, refusal))?;
    }
    for (i, input) in inputs.iter().enumerate() {
        let before = merger.writer.rows();
        let done = match (&input.chunk, &mut maps) {
            (None, _) => merger.nulls(input.rows),
            (Some(chunk), Some((union, maps))) => merger.remapped(input, chunk, union, std::mem::take(&mut maps[i])),
            (Some(chunk), None) => merger.plain(input, chunk),
        };
        done.map_err(|refusal| (i, refusal))?;
        if merger.writer.rows() - before != input.rows {
            return Err((i, Refusal::new("a column has not the rows that the footer counts")));
        }
    }
    let used = maps.map(|(union, _)| Bounds::of_values(union.values_used(), merger.order));
    let mut column = merger.writer.finish().map_err(|refusal| (last, refusal))?;
    if let Some(bounds) = used {
        column.bounds = bounds;
    }
    Ok(column)
}

fn stored_bytes(chunk: &Chunk<'_>) -> usize {
    chunk.pages.iter().chain(&chunk.dictionary).map(|page| page.body.len()).sum()
}

fn stored_as(input: &Input<'_>, leaf: &Leaf) -> Physical {
    match input.place {
        Place::At { stored, .. } => *stored,
        Place::Missing => leaf.physical,
    }
}

/// What became of the levels of a page.
struct Levels {
    definitions: Numbers<u8>,
    repetitions: Numbers<u8>,
    values: usize,
    defined: usize,
    rows: usize,
    begins_row: bool,
}

impl Levels {
    /// Takes the levels of a page out of it.
    fn of(page: &mut Opened<'_>, place: &Place) -> Self {
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

    fn unit(&self) -> Unit<'_> {
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

/// A union of dictionaries, and for each input where its values are in it.
type Maps = (Union, Vec<Map>);

/// The indices of the values of an input's own dictionary, and its pages that are no indices, taken apart, with an index for each value.
#[derive(Default)]
struct Map {
    dictionary: Vec<u32>,
    pages: Vec<(Levels, Vec<u32>)>,
}

struct Merger<'a> {
    leaf: &'a Leaf,
    order: Order,
    options: Options,
    writer: ColumnWriter<'a>,
}

impl<'a> Merger<'a> {
    /// One dictionary for all inputs, where each has one for all its pages, or none at all, and that is worth it.
    fn dictionaries(&self, inputs: &[Input<'_>]) -> std::result::Result<Option<Maps>, (usize, Refusal)> {
        let chunks = || inputs.iter().filter_map(|input| input.chunk.as_ref()).filter(|chunk| !chunk.pages.is_empty());
        let mixed = chunks().any(|chunk| chunk.dictionary.is_some() && !chunk.all_indices());
        if chunks().next().is_none() || self.leaf.physical == Physical::Boolean || mixed || !self.repeats(inputs)? {
            return Ok(None);
        }
        let coming = chunks().filter_map(|chunk| chunk.dictionary.as_ref()).map(Page::values).sum();
        let mut union = Union::expecting(self.leaf.physical, coming);
        let mut maps = Vec::with_capacity(inputs.len());
        let mut values = 0;
        for (i, input) in inputs.iter().enumerate() {
            let mut map = Map::default();
            if let Some(chunk) = input.chunk.as_ref().filter(|chunk| !chunk.pages.is_empty()) {
                if !self.mapped(input, chunk, &mut union, &mut map).map_err(|refusal| (i, refusal))? {
                    return Ok(None);
                }
                values += chunk.pages.iter().map(Page::values).sum::<usize>();
            }
            maps.push(map);
        }
        let worth = inputs.len() == 1 || self.is_worth(inputs, &union, values);
        Ok(worth.then_some((union, maps)))
    }

    /// Whether a union and its indices take fewer bytes than as many values, compressed as well as those of the inputs.
    fn is_worth(&self, inputs: &[Input<'_>], union: &Union, values: usize) -> bool {
        let (mut size, mut stored) = (1, 1);
        for chunk in inputs.iter().filter_map(|input| input.chunk.as_ref()) {
            for page in chunk.pages.iter().filter(|page| !page.is_indices()).chain(&chunk.dictionary) {
                size += page.header.uncompressed;
                stored += page.body.len();
            }
        }
        let share = if self.options.by.codec == Codec::None { 1.0 } else { (stored as f64 / size as f64).min(1.0) };
        let width = union.plain.len() as f64 / union.len().max(1) as f64;
        let indices = values as f64 * f64::from(super::hybrid::bits_for(union.len().saturating_sub(1))) / 8.0;
        union.plain.len() as f64 * share + indices < values as f64 * width * share
    }

    /// Adds the values of one input; false when they have become too many.
    fn mapped(&self, input: &Input<'_>, chunk: &Chunk<'_>, union: &mut Union, map: &mut Map) -> Result<bool> {
        if let Some(page) = &chunk.dictionary {
            let plain = self.dictionary(input, chunk, page)?;
            map.dictionary = match union.add(&plain, MOST_DICTIONARY_BYTES) {
                Some(indices) => indices,
                None => return Ok(false),
            };
        }
        for page in chunk.pages.iter().filter(|page| !page.is_indices() || chunk.dictionary.is_none()) {
            let mut opened = self.open(input, chunk, page)?;
            let levels = Levels::of(&mut opened, input.place);
            let plain = self.values(input, page.encoding(), &opened)?;
            match union.add(&plain, MOST_DICTIONARY_BYTES) {
                Some(indices) => map.pages.push((levels, indices)),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Whether values of inputs without dictionaries repeat so often that one dictionary for all takes fewer bytes, as a sample tells.
    fn repeats(&self, inputs: &[Input<'_>]) -> std::result::Result<bool, (usize, Refusal)> {
        let bare = |input: &Input<'_>| input.chunk.as_ref().is_some_and(|chunk| !chunk.pages.is_empty() && chunk.dictionary.is_none());
        let (mut count, mut values, mut stored) = (0, 0, 0);
        for chunk in inputs.iter().filter(|input| bare(input)).filter_map(|input| input.chunk.as_ref()) {
            count += 1;
            values += chunk.pages.iter().map(Page::values).sum::<usize>();
            stored += stored_bytes(chunk);
        }
        if count == 0 {
            return Ok(true);
        }
        let mut sample = Sample::new(self.leaf.physical, count);
        for (i, input) in inputs.iter().enumerate().filter(|(_, input)| bare(input)) {
            let Some((chunk, true)) = input.chunk.as_ref().map(|chunk| (chunk, sample.wants())) else { continue };
            let page = &chunk.pages[chunk.pages.len() / 2];
            let opened = open(page, chunk.codec, Deepest::of(input.place)).map_err(|refusal| (i, refusal))?;
            sample.add(&self.values(input, page.encoding(), &opened).map_err(|refusal| (i, refusal))?);
        }
        Ok(sample.is_worth(values, stored, MOST_DICTIONARY_BYTES))
    }

    fn nulls(&mut self, rows: usize) -> Result<()> {
        let mut left = rows;
        while left > 0 {
            let n = left.min(ROWS_OF_NULLS);
            let levels = Numbers::Run(0, n);
            let unit = Unit { definitions: &levels, repetitions: &levels, values: n, nulls: n, rows: n, begins_row: true };
            self.writer.add(&unit, Stored::Nothing, &Bounds::Empty)?;
            left -= n;
        }
        Ok(())
    }

    fn remapped(&mut self, input: &Input<'_>, chunk: &Chunk<'_>, union: &mut Union, map: Map) -> Result<()> {
        let bounds = match self.trusted_bounds(input, chunk) {
            Bounds::Unknown => self.bounds_of_map(union, &map.dictionary),
            trusted => trusted,
        };
        let mut found = Vec::new();
        let mut apart = map.pages.into_iter();
        for page in &chunk.pages {
            if chunk.dictionary.is_none() {
                let (levels, indices) = apart.next().expect("one for each page that is no indices");
                indices.iter().for_each(|index| union.used[*index as usize] = true);
                let bounds = self.bounds_of_map(union, &indices);
                self.writer.add(&levels.unit(), Stored::Indices(&indices), &bounds)?;
                continue;
            }
            let mut page = self.open(input, chunk, page)?;
            let indices = indices(page.body(), page.defined, map.dictionary.len())?;
            found.clear();
            match indices {
                Numbers::Run(_, 0) => {}
                Numbers::Run(index, n) => {
                    union.used[map.dictionary[index as usize] as usize] = true;
                    found.resize(n, map.dictionary[index as usize]);
                }
                Numbers::Each(each) => found.extend(each.into_iter().map(|index| {
                    let index = map.dictionary[index as usize];
                    union.used[index as usize] = true;
                    index
                })),
            }
            let levels = Levels::of(&mut page, input.place);
            self.writer.add(&levels.unit(), Stored::Indices(&found), &bounds)?;
        }
        Ok(())
    }

    fn bounds_of_map(&self, union: &Union, map: &[u32]) -> Bounds {
        Bounds::of_values(map.iter().map(|index| union.value(*index)), self.order)
    }

    fn plain(&mut self, input: &Input<'_>, chunk: &Chunk<'a>) -> Result<()> {
        if self.leaf.physical == Physical::Boolean {
            return chunk.pages.iter().try_for_each(|page| self.booleans(input, chunk, page));
        }
        let mut indexed = Vec::new();
        for page in chunk.pages.iter().filter(|page| page.is_indices()) {
            let count = chunk.dictionary.as_ref().map_or(0, Page::values);
            let mut page = self.open(input, chunk, page)?;
            let indices = indices(page.body(), page.defined, count)?;
            indexed.push((Levels::of(&mut page, input.place), indices));
        }
        if indexed.len() == chunk.pages.len() && counts_up(&indexed, chunk.dictionary.as_ref()) {
            return self.whole_dictionary(input, chunk, &indexed);
        }
        let mut values: Option<(Bytes<'_>, Vec<u32>)> = None;
        let known_bounds = self.trusted_bounds(input, chunk);
        let mut indexed = indexed.into_iter();
        for page in &chunk.pages {
            if !page.is_indices() {
                self.page(input, chunk, page, &known_bounds)?;
                continue;
            }
            if values.is_none() {
                let source = chunk.dictionary.as_ref().ok_or_else(|| Refusal::new("indices without a dictionary"))?;
                let plain = self.dictionary(input, chunk, source)?;
                let starts = starts(&plain, self.leaf.physical, source.values())?;
                values = Some((plain, starts));
            }
            let (levels, indices) = indexed.next().expect("one for each page of indices");
            let bounds = if chunk.pages.len() == 1 { &known_bounds } else { &Bounds::Unknown };
            self.gathered(&levels, indices, values.as_ref().expect("just made"), bounds)?;
        }
        Ok(())
    }

    fn open<'b>(&self, input: &Input<'_>, chunk: &Chunk<'b>, page: &Page<'b>) -> Result<Opened<'b>> {
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

    fn known(&self, input: &Input<'_>, encoding: i32) -> Result<()> {
        if known(encoding, stored_as(input, self.leaf)) {
            return Ok(());
        }
        Err(Refusal::new(format!("encoding {encoding} of its column {} is not known", self.leaf.name())))
    }

    /// The values of a page that stores them in it, PLAIN, checked, as outputs have them.
    fn values<'b>(&self, input: &Input<'_>, encoding: i32, page: &'b Opened<'_>) -> Result<Bytes<'b>> {
        self.known(input, encoding)?;
        let mut plain = Bytes::Lent(page.body());
        if encoding != PLAIN {
            let mut decoded = Vec::new();
            to_plain(encoding, page.body(), stored_as(input, self.leaf), page.defined, &mut decoded)?;
            plain = Bytes::Made(decoded);
        }
        self.of_outputs(input, plain, page.defined)
    }

    /// Whether values are stored in the input as they are in outputs.
    fn same_type(&self, input: &Input<'_>) -> bool {
        stored_as(input, self.leaf) == self.leaf.physical
    }

    /// PLAIN values of the input, checked, as outputs have them.
    fn of_outputs<'b>(&self, input: &Input<'_>, plain: Bytes<'b>, count: usize) -> Result<Bytes<'b>> {
        let stored = stored_as(input, self.leaf);
        check_plain(&plain, stored, count)?;
        match self.leaf.physical {
            same if same == stored => Ok(plain),
            Physical::Fixed(length) => Ok(Bytes::Made(widened(&plain, stored, length)?)),
            _ => Err(Refusal::new("values of another type")),
        }
    }

    /// The values of a dictionary, checked, as outputs have them.
    fn dictionary<'b>(&self, input: &Input<'_>, chunk: &Chunk<'b>, page: &Page<'b>) -> Result<Bytes<'b>> {
        self.of_outputs(input, dictionary(page, chunk.codec)?, page.values())
    }

    /// Bounds that the footer tells, where it can be believed.
    fn trusted_bounds(&self, input: &Input<'_>, chunk: &Chunk<'_>) -> Bounds {
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
    fn bounds_of(&self, plain: &[u8]) -> Bounds {
        if self.options.bounds || self.order.in_footer() {
            Bounds::of_plain(plain, self.leaf.physical, self.order)
        } else {
            Bounds::Unknown
        }
    }

    /// Adds a chunk whose indices count from 0 to the end of its dictionary, which then is its values.
    fn whole_dictionary(&mut self, input: &Input<'_>, chunk: &Chunk<'a>, pages: &[(Levels, Numbers<u32>)]) -> Result<()> {
        let Some(source) = &chunk.dictionary else { return Ok(()) };
        let (stored, bounds) = self.values_of(input, chunk, source)?;
        let mut stored = Some(stored);
        // The first page brings the values of all; the others must stay in the same page, as rows that go on do.
        for (i, (levels, _)) in pages.iter().enumerate() {
            let unit = Unit { begins_row: i == 0, ..levels.unit() };
            match stored.take() {
                Some(Values::Compressed { data, size, kept }) => {
                    self.writer.add(&unit, Stored::Compressed { data, size, kept }, &bounds)?
                }
                Some(Values::Plain(plain)) => self.writer.add(&unit, Stored::Plain(&plain), &bounds)?,
                None => self.writer.add(&unit, Stored::Nothing, &bounds)?,
            }
        }
        Ok(())
    }

    /// The values of a dictionary, compressed as they are where that may be, and their bounds.
    fn values_of<'b>(&self, input: &Input<'_>, chunk: &Chunk<'b>, source: &Page<'b>) -> Result<(Values<'b>, Bounds)> {
        if !matches!(source.encoding(), super::PLAIN | super::PLAIN_DICTIONARY) {
            return Err(Refusal::new("a dictionary in an encoding that is not known"));
        }
        let size = source.header.uncompressed;
        let same =
            self.same_type(input) && chunk.codec == self.options.by.codec && joins(chunk.codec) && source.body.len() >= KEPT_PIECE_BYTES;
        let compressed = || Values::Compressed { data: source.body, size, kept: kept(input, source) };
        let joinable = || check_joinable(chunk.codec, source.body, size).is_ok();
        let trusted = self.trusted_bounds(input, chunk);
        let told = trusted != Bounds::Unknown || (!self.options.bounds && !self.order.in_footer()) || self.order == Order::None;
        let counted = self.leaf.physical.width().is_some_and(|width| source.values() * width == size);
        if same && counted && told && !self.options.verify && joinable() {
            return Ok((compressed(), trusted));
        }
        let plain = self.dictionary(input, chunk, source)?;
        let bounds = if told && !self.options.verify { trusted } else { self.bounds_of(&plain) };
        // A stream of Snappy that could be decompressed by itself reaches back nowhere before its beginning.
        let joins = same && (chunk.codec == Codec::Snappy || joinable());
        Ok((if joins { compressed() } else { Values::Plain(plain) }, bounds))
    }

    /// Adds the values that these indices are of. `known_bounds`: of all of them, where they are known.
    fn gathered(&mut self, levels: &Levels, indices: Numbers<u32>, values: &(Bytes<'_>, Vec<u32>), known_bounds: &Bounds) -> Result<()> {
        let (plain, starts) = values;
        let each = match indices {
            Numbers::Run(index, n) => vec![index; n],
            Numbers::Each(each) => each,
        };
        let width = self.leaf.physical.width();
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
            Bounds::Unknown if self.options.bounds || self.order.in_footer() => {
                let mut used = vec![false; starts.len() - 1];
                each.iter().for_each(|index| used[*index as usize] = true);
                let prefix = if width.is_none() { 4 } else { 0 };
                let values = (0..used.len()).filter(|i| used[*i]).map(|i| &plain[starts[i] as usize + prefix..starts[i + 1] as usize]);
                &Bounds::of_values(values, self.order)
            }
            known => known,
        };
        self.writer.add(&levels.unit(), Stored::Plain(&out), bounds)
    }

    fn booleans(&mut self, input: &Input<'_>, chunk: &Chunk<'_>, page: &Page<'_>) -> Result<()> {
        let encoding = page.encoding();
        let mut page = self.open(input, chunk, page)?;
        let values = booleans(encoding, page.body(), page.defined)?;
        let seen = |each: &[u8], value| each.contains(&value).then_some(if value == 0 { &[0][..] } else { &[1] });
        let bounds = match &values {
            Numbers::Run(_, 0) => Bounds::Empty,
            Numbers::Run(value, _) => Bounds::of_values(std::iter::once(&[*value][..]), self.order),
            Numbers::Each(each) => Bounds::of_values([0, 1].into_iter().filter_map(|value| seen(each, value)), self.order),
        };
        let levels = Levels::of(&mut page, input.place);
        self.writer.add(&levels.unit(), Stored::Booleans(&values), &bounds)
    }

    /// A page of values that are stored in it.
    fn page(&mut self, input: &Input<'_>, chunk: &Chunk<'_>, page: &Page<'_>, known_bounds: &Bounds) -> Result<()> {
        let encoding = page.encoding();
        self.known(input, encoding)?;
        if self.kept(input, chunk, page, known_bounds)? {
            return Ok(());
        }
        let large = page.body.len() >= KEPT_PAGE_BYTES;
        let mut page = self.open(input, chunk, page)?;
        let levels = Levels::of(&mut page, input.place);
        let plain = self.values(input, encoding, &page)?;
        let bounds = self.bounds_of(&plain);
        if large && encoding != PLAIN && encoding != BYTE_STREAM_SPLIT && self.same_type(input) {
            return self.writer.add_alone(&levels.unit(), encoding, page.body(), &bounds);
        }
        self.writer.add(&levels.unit(), Stored::Plain(&plain), &bounds)
    }

    /// Adds a large page as it is, where everything that must be known of it is known without decompressing it.
    fn kept(&mut self, input: &Input<'_>, chunk: &Chunk<'_>, page: &Page<'_>, known_bounds: &Bounds) -> Result<bool> {
        let PageKind::V1 { values, definitions, encoding, .. } = page.header.kind else { return Ok(false) };
        let nulls = match input.statistics.null_count {
            _ if self.leaf.definition == 0 => Some(0),
            Some(0) if input.trusted => Some(0),
            Some(nulls) if input.trusted && chunk.pages.len() == 1 => Some(nulls).filter(|nulls| *nulls <= values),
            _ => None,
        };
        let (Some(nulls), true) = (nulls, page.body.len() >= KEPT_PAGE_BYTES) else { return Ok(false) };
        let told = *known_bounds != Bounds::Unknown || (!self.options.bounds && !self.order.in_footer()) || self.order == Order::None;
        let same = self.same_type(input) && chunk.codec == self.options.by.codec && input.place.same_levels() && self.leaf.repetition == 0;
        let levels_known = self.leaf.definition == 0 || definitions == super::RLE;
        // HAZARD: Spark's vectorised reader does not know byte streams, which other writers only make when they are asked to.
        if !same || !told || !levels_known || encoding == BYTE_STREAM_SPLIT {
            return Ok(false);
        }
        if self.options.verify || chunk.codec == Codec::None {
            let found = self.open(input, chunk, page)?;
            if found.values - found.defined != nulls {
                return Err(Refusal::new("a page has not the nulls that the footer counts"));
            }
            if encoding == PLAIN {
                check_plain(found.body(), self.leaf.physical, found.defined)?;
            }
        } else if chunk.codec == Codec::Snappy {
            check_joinable(chunk.codec, page.body, page.header.uncompressed)?;
        }
        let levels = Numbers::Run(0, 0);
        let unit = Unit { definitions: &levels, repetitions: &levels, values, nulls, rows: values, begins_row: true };
        let size = page.header.uncompressed;
        self.writer.add_as_is(&unit, encoding, size, kept(input, page), known_bounds)?;
        Ok(true)
    }
}

/// Where the bytes of a page are.
fn kept(input: &Input<'_>, page: &Page<'_>) -> Kept {
    Kept { source: input.source, start: page.start, length: page.body.len() }
}

enum Values<'a> {
    Plain(Bytes<'a>),
    Compressed { data: &'a [u8], size: usize, kept: Kept },
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

/// Whether these indices count from 0 to the end of the dictionary.
fn counts_up(pages: &[(Levels, Numbers<u32>)], dictionary: Option<&Page<'_>>) -> bool {
    let mut at = 0u32;
    for (levels, indices) in pages {
        let in_order = match indices {
            Numbers::Run(_, 0) => true,
            Numbers::Run(index, n) => *n == 1 && *index == at,
            Numbers::Each(each) => each.iter().zip(at..).all(|(index, expected)| *index == expected),
        };
        if !in_order {
            return false;
        }
        at += levels.defined as u32;
    }
    dictionary.map_or(pages.is_empty(), |page| page.values() == at as usize)
}

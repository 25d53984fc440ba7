//! One dictionary for the whole of a column, made of the dictionaries of its inputs and of values without one: whether that is worth it,
//! and the indices that rows then have.
//!
//! Where values repeat from file to file, although each file has too few for a dictionary of its own, the merged column has one.

use super::bounds::Bounds;
use super::codec::Codec;
use super::column::expect_chunk;
use super::hybrid::Numbers;
use super::input::{Input, Levels, Reading};
use super::metadata::Physical;
use super::pages::{Chunk, Deepest, Page, indices, open};
use super::sample::Sample;
use super::union::Union;
use super::writer::{ColumnWriter, Stored};
use super::{INPUTS_AHEAD, Refusal};

type Result<T> = std::result::Result<T, Refusal>;

const MOST_DICTIONARY_BYTES: usize = 1 << 20;

/// A union of dictionaries, and for each input where its values are in it.
pub struct Joined {
    union: Union,
    maps: Vec<Map>,
}

/// The indices of the values of an input's own dictionary, and its pages that are no indices, taken apart, with an index for each value.
#[derive(Default)]
struct Map {
    dictionary: Vec<u32>,
    pages: Vec<(Levels, Vec<u32>)>,
}

impl Joined {
    /// One dictionary for all inputs, where each has one for all its pages, or none at all, and that is worth it.
    pub fn of(reading: &Reading<'_>, inputs: &[Input<'_>]) -> std::result::Result<Option<Self>, (usize, Refusal)> {
        let chunks = || inputs.iter().filter_map(|input| input.chunk.as_ref()).filter(|chunk| !chunk.pages.is_empty());
        let mixed = chunks().any(|chunk| chunk.dictionary.is_some() && !chunk.all_indices());
        if chunks().next().is_none() || reading.leaf.physical == Physical::Boolean || mixed || !repeats(reading, inputs)? {
            return Ok(None);
        }
        let coming = chunks().filter_map(|chunk| chunk.dictionary.as_ref()).map(Page::values).sum();
        let values = chunks().flat_map(|chunk| &chunk.pages).map(Page::values).sum();
        let mut union = Union::expecting(reading.leaf.physical, coming);
        let mut maps = Vec::with_capacity(inputs.len());
        let worth = |union: &Union| match inputs.len() {
            1 => f64::INFINITY,
            _ => most_worth(reading, inputs, union.plain.len() as f64 / union.len().max(1) as f64, values),
        };
        for (i, input) in inputs.iter().enumerate() {
            expect_chunk(inputs, i + INPUTS_AHEAD);
            let mut map = Map::default();
            if let Some(chunk) = input.chunk.as_ref().filter(|chunk| !chunk.pages.is_empty()) {
                if !mapped(reading, input, chunk, &mut union, &mut map).map_err(|refusal| (i, refusal))? {
                    return Ok(None);
                }
                if union.len() > 0 && union.most_values.is_infinite() {
                    union.most_values = worth(&union);
                }
            }
            maps.push(map);
        }
        let most = worth(&union);
        Ok(((union.len() as f64) < most).then_some(Self { union, maps }))
    }

    /// The values of the dictionary, PLAIN, and how many they are.
    pub fn dictionary(&self) -> (&[u8], usize) {
        (&self.union.plain, self.union.len())
    }

    /// Bounds of the values that rows have which were added.
    pub fn bounds_used(&self, reading: &Reading<'_>) -> Bounds {
        self.union.bounds_used(reading.order)
    }

    /// Adds the rows of input `i` as indices, once.
    pub fn add(
        &mut self,
        i: usize,
        reading: &Reading<'_>,
        input: &Input<'_>,
        chunk: &Chunk<'_>,
        writer: &mut ColumnWriter<'_>,
    ) -> Result<()> {
        let (union, map) = (&mut self.union, std::mem::take(&mut self.maps[i]));
        let bounds = match reading.trusted_bounds(input, chunk) {
            Bounds::Unknown => bounds_of_map(reading, union, &map.dictionary),
            trusted => trusted,
        };
        let mut apart = map.pages.into_iter();
        for page in &chunk.pages {
            if chunk.dictionary.is_none() {
                let (levels, indices) = apart.next().expect("one for each page that is no indices");
                union.used(&indices);
                let bounds = bounds_of_map(reading, union, &indices);
                writer.add(&levels.unit(), Stored::Indices(&indices), &bounds)?;
                continue;
            }
            let mut page = reading.open(input, chunk, page)?;
            let mut found = match indices(page.body(), page.defined, map.dictionary.len())? {
                Numbers::Run(index, n) => vec![index; n],
                Numbers::Each(each) => each,
            };
            union.found(&map.dictionary, &mut found);
            let levels = Levels::of(&mut page, input.place);
            writer.add(&levels.unit(), Stored::Indices(&found), &bounds)?;
        }
        Ok(())
    }
}

/// How many different values a dictionary may have at most so that it and the indices of `values` rows take fewer bytes than as many values,
/// compressed as well as those of the inputs. width: bytes of one value on average.
fn most_worth(reading: &Reading<'_>, inputs: &[Input<'_>], width: f64, values: usize) -> f64 {
    if width == 0.0 {
        return 0.0;
    }
    let (mut size, mut stored) = (1, 1);
    for chunk in inputs.iter().filter_map(|input| input.chunk.as_ref()) {
        for page in chunk.pages.iter().filter(|page| !page.is_indices()).chain(&chunk.dictionary) {
            size += page.header.uncompressed;
            stored += page.body.len();
        }
    }
    let share = if reading.options.by.codec == Codec::None { 1.0 } else { (stored as f64 / size as f64).min(1.0) };
    let spared = |bits: u32| values as f64 * (1.0 - f64::from(bits) / 8.0 / (width * share));
    (0..32).map(|bits| spared(bits).min(f64::from(bits).exp2())).fold(0.0, f64::max)
}

/// Adds the values of one input; false when they have become too many.
fn mapped(reading: &Reading<'_>, input: &Input<'_>, chunk: &Chunk<'_>, union: &mut Union, map: &mut Map) -> Result<bool> {
    if let Some(page) = &chunk.dictionary {
        let plain = reading.dictionary(input, chunk, page)?;
        map.dictionary = match union.add(&plain, MOST_DICTIONARY_BYTES) {
            Some(indices) => indices,
            None => return Ok(false),
        };
    }
    for page in chunk.pages.iter().filter(|page| !page.is_indices() || chunk.dictionary.is_none()) {
        let mut opened = reading.open(input, chunk, page)?;
        let levels = Levels::of(&mut opened, input.place);
        let plain = reading.values(input, page.encoding(), &opened)?;
        match union.add(&plain, MOST_DICTIONARY_BYTES) {
            Some(indices) => map.pages.push((levels, indices)),
            None => return Ok(false),
        }
    }
    Ok(true)
}

/// Whether values of inputs without dictionaries repeat so often that one dictionary for all takes fewer bytes, as a sample tells.
fn repeats(reading: &Reading<'_>, inputs: &[Input<'_>]) -> std::result::Result<bool, (usize, Refusal)> {
    let bare = |input: &Input<'_>| input.chunk.as_ref().is_some_and(|chunk| !chunk.pages.is_empty() && chunk.dictionary.is_none());
    let (mut count, mut values, mut stored) = (0, 0, 0);
    for chunk in inputs.iter().filter(|input| bare(input)).filter_map(|input| input.chunk.as_ref()) {
        count += 1;
        values += chunk.pages.iter().map(Page::values).sum::<usize>();
        stored += chunk.stored_bytes();
    }
    if count == 0 {
        return Ok(true);
    }
    let mut sample = Sample::new(reading.leaf.physical, count);
    for (i, input) in inputs.iter().enumerate().filter(|(_, input)| bare(input)) {
        let Some((chunk, true)) = input.chunk.as_ref().map(|chunk| (chunk, sample.wants())) else { continue };
        let page = &chunk.pages[chunk.pages.len() / 2];
        let opened = open(page, chunk.codec, Deepest::of(input.place)).map_err(|refusal| (i, refusal))?;
        sample.add(&reading.values(input, page.encoding(), &opened).map_err(|refusal| (i, refusal))?);
    }
    Ok(sample.is_worth(values, stored, MOST_DICTIONARY_BYTES))
}

fn bounds_of_map(reading: &Reading<'_>, union: &Union, map: &[u32]) -> Bounds {
    Bounds::of_values(map.iter().map(|index| union.value(*index)), reading.order)
}

#[cfg(test)]
mod tests {
    use super::super::codec::Compression;
    use super::super::input::Options;
    use super::super::metadata::{Meaning, Statistics};
    use super::super::page_header::{PageHeader, PageKind};
    use super::super::schema::{Leaf, Place};
    use super::super::{PLAIN, RLE, RLE_DICTIONARY};
    use super::*;

    fn page(kind: PageKind, body: &[u8]) -> Page<'_> {
        Page { header: PageHeader { kind, compressed: body.len(), uncompressed: body.len(), crc: None }, body, start: 4 }
    }

    #[test]
    fn dictionaries_are_not_read_once_the_first_tell_that_they_are_too_many() {
        let each = 4200;
        let place = Place::At { column: 0, levels: vec![0], repeated: vec![], stored: Physical::Int64 };
        let (count, statistics) = (each as usize, Statistics::default());
        let leaf = Leaf { path: vec![], physical: Physical::Int64, meaning: Meaning::Plain, definition: 0, repetition: 0 };
        let by = Compression { codec: Codec::None, level: 1 };
        let reading = Reading::new(&leaf, Options { by, bounds: false, verify: false });
        // of how many inputs, of which what is read of the sixth is an error; each begins so many values behind the one before
        let joined = |inputs: usize, step: u64| {
            let stored: Vec<Vec<u8>> = (0..6).map(|i| (i * step..i * step + each).flat_map(u64::to_le_bytes).collect()).collect();
            let input = |i: usize| {
                let encoding = if i < 5 { PLAIN } else { RLE };
                let dictionary = Some(page(PageKind::Dictionary { values: count, encoding }, &stored[i.min(5)]));
                let pages = vec![page(PageKind::V1 { values: count, encoding: RLE_DICTIONARY, definitions: RLE, repetitions: RLE }, &[])];
                let chunk = Some(Chunk { codec: Codec::None, dictionary, pages });
                Input { source: i, rows: count, place: &place, chunk, statistics: &statistics, trusted: false }
            };
            let inputs: Vec<Input<'_>> = (0..inputs).map(input).collect();
            Joined::of(&reading, &inputs).map(|found| found.is_some())
        };
        assert!(matches!(joined(250, each), Ok(false)), "more than a dictionary may have");
        assert!(matches!(joined(8, each), Ok(false)), "as many as there are rows");
        assert!(matches!(joined(8, 0), Err((5, _))), "the same in all");
        assert!(matches!(joined(8, each / 2), Err((5, _))), "half of them twice");
        assert!(matches!(joined(5, 0), Ok(true)));
    }
}

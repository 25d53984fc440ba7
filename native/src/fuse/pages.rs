//! Takes a column chunk apart into pages, and a page into levels and the bytes of its values. Every claim is checked before it is used.

use super::Refusal;
use super::buffer::Bytes;
use super::codec::{Codec, decompress};
use super::hybrid::{Numbers, bits_for, decode};
use super::metadata::ColumnChunk;
use super::page_header::{PageHeader, PageKind};
use super::schema::Place;
use super::thrift::Reader;
use super::{MOST_PAGE_BYTES, MOST_PAGE_VALUES, PLAIN, PLAIN_DICTIONARY, RLE, RLE_DICTIONARY};
use crate::wide::expect;

type Result<T> = std::result::Result<T, Refusal>;

const TYPICAL_HEADER: usize = 100;

/// A page: its header, its bytes as they are stored, and where in the file these begin.
#[derive(Clone)]
pub struct Page<'a> {
    pub header: PageHeader,
    pub body: &'a [u8],
    pub start: usize,
}

impl Page<'_> {
    pub fn values(&self) -> usize {
        match self.header.kind {
            PageKind::Dictionary { values, .. } | PageKind::V1 { values, .. } | PageKind::V2 { values, .. } => values,
        }
    }

    pub fn encoding(&self) -> i32 {
        match self.header.kind {
            PageKind::Dictionary { encoding, .. } | PageKind::V1 { encoding, .. } | PageKind::V2 { encoding, .. } => encoding,
        }
    }

    pub fn is_indices(&self) -> bool {
        matches!(self.encoding(), PLAIN_DICTIONARY | RLE_DICTIONARY)
    }
}

/// The pages of a column chunk; those without values are left out.
pub struct Chunk<'a> {
    pub codec: Codec,
    pub dictionary: Option<Page<'a>>,
    pub pages: Vec<Page<'a>>,
}

impl<'a> Chunk<'a> {
    pub fn scan(file: &'a [u8], column: &ColumnChunk) -> Result<Self> {
        let codec = Codec::of(column.codec)?;
        let end = column.start.checked_add(column.length).filter(|end| *end <= file.len() && column.start >= 4);
        let data = &file[column.start..end.ok_or_else(|| Refusal::new("a column goes beyond the file"))?];
        // Most chunks have one page.
        let (mut dictionary, mut pages, mut at, mut values) = (None, Vec::with_capacity(1), 0, 0usize);
        while at < data.len() {
            let mut reader = Reader::new(&data[at..]);
            let header = PageHeader::read(&mut reader)?;
            let start = at + reader.at;
            let end = start.checked_add(header.compressed).filter(|end| *end <= data.len());
            let end = end.ok_or_else(|| Refusal::new("a page goes beyond its column"))?;
            let page = Page { header, body: &data[start..end], start: column.start + start };
            at = end;
            check(&page)?;
            match page.header.kind {
                PageKind::Dictionary { .. } if dictionary.is_none() && pages.is_empty() && values == 0 => dictionary = Some(page),
                PageKind::Dictionary { .. } => return Err(Refusal::new("a dictionary that is not its column's first page")),
                _ => {
                    values += page.values();
                    if page.values() > 0 {
                        pages.push(page);
                    }
                }
            }
        }
        if values != column.values {
            return Err(Refusal::new("the pages of a column have not the values that the footer counts"));
        }
        Ok(Self { codec, dictionary, pages })
    }

    /// Asks for the memory of its pages.
    pub fn expect(&self) {
        self.pages.iter().chain(&self.dictionary).for_each(|page| expect(page.body));
    }

    pub fn all_indices(&self) -> bool {
        self.dictionary.is_some() && self.pages.iter().all(Page::is_indices)
    }

    /// Bytes of its pages, without their headers.
    pub fn stored_bytes(&self) -> usize {
        self.pages.iter().chain(&self.dictionary).map(|page| page.body.len()).sum()
    }
}

/// Asks for the memory in which the headers of a dictionary and of the first page behind it are.
pub fn expect_headers(file: &[u8], column: &ColumnChunk) {
    for at in [column.start, column.data] {
        let rest = file.get(at..).unwrap_or_default();
        expect(&rest[..rest.len().min(TYPICAL_HEADER)]);
    }
}

fn check(page: &Page<'_>) -> Result<()> {
    if page.values() > MOST_PAGE_VALUES || page.header.uncompressed > MOST_PAGE_BYTES || page.header.compressed > MOST_PAGE_BYTES {
        return Err(Refusal::new("a page is too large"));
    }
    if page.header.crc.is_some_and(|crc| crc != crc32fast::hash(page.body)) {
        return Err(Refusal::new("a page does not have its checksum"));
    }
    Ok(())
}

/// A page taken apart. Levels are the file's own; `defined`: how many values are stored.
pub struct Opened<'a> {
    pub values: usize,
    pub defined: usize,
    pub rows: usize,
    pub definitions: Numbers<u8>,
    pub repetitions: Numbers<u8>,
    data: Bytes<'a>,
    start: usize,
}

impl Opened<'_> {
    /// The stored values, encoded.
    pub fn body(&self) -> &[u8] {
        &self.data[self.start..]
    }

    /// Definition and repetition levels, which are told once.
    pub fn take_levels(&mut self) -> (Numbers<u8>, Numbers<u8>) {
        let none = || Numbers::Run(0, 0);
        (std::mem::replace(&mut self.definitions, none()), std::mem::replace(&mut self.repetitions, none()))
    }

    /// Whether every value that goes on with a list or map stands behind one in it, and is itself in it. `repeated`: as in Place.
    ///
    /// HAZARD: readers take levels that contradict themselves for lists that are longer than their values.
    pub fn is_sound(&self, repeated: &[u8]) -> bool {
        let deep = |definition: u8, repetition: u8| repetition == 0 || definition >= repeated[usize::from(repetition) - 1];
        match (&self.definitions, &self.repetitions) {
            (_, Numbers::Run(0, _)) => true,
            (Numbers::Run(definition, _), Numbers::Run(repetition, _)) => deep(*definition, *repetition),
            (Numbers::Run(definition, _), Numbers::Each(each)) => each.iter().all(|repetition| deep(*definition, *repetition)),
            (Numbers::Each(each), Numbers::Run(repetition, _)) => each.iter().all(|definition| deep(*definition, *repetition)),
            (Numbers::Each(definitions), Numbers::Each(repetitions)) => {
                let (behind, own) = (definitions.iter().zip(&repetitions[1..]), definitions.iter().zip(repetitions));
                if let [least] = repeated {
                    let wrong = |found, (definition, repetition): (&u8, &u8)| found | (*repetition > 0) & (definition < least);
                    return !own.fold(behind.fold(false, wrong), wrong);
                }
                own.chain(behind).all(|(definition, repetition)| deep(*definition, *repetition))
            }
        }
    }

    /// Whether the first value begins a row.
    pub fn begins_row(&self) -> bool {
        match &self.repetitions {
            Numbers::Run(level, _) => *level == 0,
            Numbers::Each(levels) => levels[0] == 0,
        }
    }
}

/// The largest levels of a column of a file.
#[derive(Clone, Copy)]
pub struct Deepest {
    pub definition: u8,
    pub repetition: u8,
}

impl Deepest {
    pub fn of(place: &Place) -> Self {
        match place {
            Place::Missing => Self { definition: 0, repetition: 0 },
            Place::At { levels, repeated, .. } => Self { definition: (levels.len() - 1) as u8, repetition: repeated.len() as u8 },
        }
    }
}

pub fn open<'a>(page: &Page<'a>, codec: Codec, deepest: Deepest) -> Result<Opened<'a>> {
    match page.header.kind {
        PageKind::V1 { values, definitions, repetitions, .. } => {
            let data = decompress(codec, page.body, page.header.uncompressed)?;
            let mut start = 0;
            let repetitions = levels_v1(&data, &mut start, deepest.repetition, values, repetitions)?;
            let definitions = levels_v1(&data, &mut start, deepest.definition, values, definitions)?;
            Ok(opened(data, start, deepest, definitions, repetitions))
        }
        PageKind::V2 { values, nulls, rows, definition_bytes, repetition_bytes, compressed, .. } => {
            let levels = definition_bytes.checked_add(repetition_bytes).filter(|n| *n <= page.body.len().min(page.header.uncompressed));
            let levels = levels.ok_or_else(|| Refusal::new("levels go beyond their page"))?;
            let repetitions = levels_of(&page.body[..repetition_bytes], deepest.repetition, values)?;
            let definitions = levels_of(&page.body[repetition_bytes..levels], deepest.definition, values)?;
            let (stored, size) = (&page.body[levels..], page.header.uncompressed - levels);
            let codec = if compressed && !stored.is_empty() { codec } else { Codec::None };
            let found = opened(decompress(codec, stored, size)?, 0, deepest, definitions, repetitions);
            if found.rows != rows || found.values - found.defined != nulls {
                return Err(Refusal::new("the levels of a page do not add up to its rows and nulls"));
            }
            Ok(found)
        }
        PageKind::Dictionary { .. } => Err(Refusal::new("a dictionary among data pages")),
    }
}

fn opened(data: Bytes<'_>, start: usize, deepest: Deepest, definitions: Numbers<u8>, repetitions: Numbers<u8>) -> Opened<'_> {
    let (values, defined) = count(&definitions, deepest.definition);
    let rows = count(&repetitions, 0).1;
    Opened { values, defined, rows, definitions, repetitions, data, start }
}

/// How many levels there are, and how many of them are `level`.
fn count(levels: &Numbers<u8>, level: u8) -> (usize, usize) {
    match levels {
        Numbers::Run(same, n) => (*n, if *same == level { *n } else { 0 }),
        Numbers::Each(each) => {
            (each.len(), each.chunks(255).map(|some| usize::from(some.iter().map(|other| u8::from(*other == level)).sum::<u8>())).sum())
        }
    }
}

fn levels_v1(data: &[u8], at: &mut usize, deepest: u8, values: usize, encoding: i32) -> Result<Numbers<u8>> {
    if deepest == 0 {
        return Ok(Numbers::Run(0, values));
    }
    if encoding != RLE {
        return Err(Refusal::new("levels in an encoding of old"));
    }
    let beyond = || Refusal::new("levels go beyond their page");
    let head = data.get(*at..*at + 4).ok_or_else(beyond)?;
    let length = u32::from_le_bytes(head.try_into().expect("four bytes")) as usize;
    let start = *at + 4;
    let stored = data.get(start..).and_then(|rest| rest.get(..length)).ok_or_else(beyond)?;
    *at = start + length;
    levels_of(stored, deepest, values)
}

fn levels_of(stored: &[u8], deepest: u8, values: usize) -> Result<Numbers<u8>> {
    if deepest == 0 {
        return if stored.is_empty() { Ok(Numbers::Run(0, values)) } else { Err(Refusal::new("levels where there are none")) };
    }
    decode(stored, bits_for(usize::from(deepest)), values, u32::from(deepest))
}

/// The indices of a page of them, none of which is `size` or larger.
pub fn indices(body: &[u8], count: usize, size: usize) -> Result<Numbers<u32>> {
    if count == 0 {
        return Ok(Numbers::Run(0, 0));
    }
    let (width, packed) = body.split_first().ok_or_else(|| Refusal::new("a page of indices is empty"))?;
    if size == 0 {
        return Err(Refusal::new("indices without a dictionary"));
    }
    decode(packed, u32::from(*width), count, (size - 1) as u32)
}

/// The values of a dictionary, PLAIN.
pub fn dictionary<'a>(page: &Page<'a>, codec: Codec) -> Result<Bytes<'a>> {
    if !matches!(page.encoding(), PLAIN | PLAIN_DICTIONARY) {
        return Err(Refusal::new("a dictionary in an encoding that is not known"));
    }
    decompress(codec, page.body, page.header.uncompressed)
}

#[cfg(test)]
mod tests {
    use super::super::hybrid::{encode, encode_run};
    use super::*;

    #[test]
    fn indices_beyond_their_dictionary_are_refused() {
        let (mut run, mut packed) = (vec![3], vec![3]);
        encode_run(5, 20, 3, &mut run);
        encode(&[0u32, 5, 1, 2, 5, 0, 3, 4], 3, &mut packed);
        for (body, count) in [(&run, 20), (&packed, 8)] {
            assert!(indices(body, count, 6).is_ok());
            assert!(indices(body, count, 5).is_err());
            assert!(indices(body, count, 0).is_err());
        }
    }
}

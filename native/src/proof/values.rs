//! The values of a page, added to rows one after the other, whatever they are encoded by.

use crate::lanes::{Key, Lanes, Pair, Rows, add_taken, add_words};
use crate::layout::{Float, Integer, part, word};

use super::counting::counts;
use super::levels::{Numbers, unpack};
use super::schema::Form;
use super::texts::{Spans, add_plain, add_spans, by_lengths, by_prefixes};
use super::{Result, delta, refuse};

/// Values taken at once: what is made of them on the way stays in the first-level cache.
pub const BLOCK: usize = 1024;

const PLAIN: i32 = 0;
const PLAIN_DICTIONARY: i32 = 2;
const RLE: i32 = 3;
const DELTA_BINARY_PACKED: i32 = 5;
const DELTA_LENGTH_BYTE_ARRAY: i32 = 6;
const DELTA_BYTE_ARRAY: i32 = 7;
const RLE_DICTIONARY: i32 = 8;
const BYTE_STREAM_SPLIT: i32 = 9;

/// Where the values of a page are, and how far they were taken.
enum Taken {
    /// In the page, from this byte on.
    Stored(usize),
    /// In the page as bits, from this one on.
    Bits(usize),
    /// In these rooms, from this one on.
    Words(usize),
    Indices(usize),
    Spans(usize),
    Texts(usize),
    Split(usize),
    /// In the dictionary, one after the other.
    Counted,
    /// All are this value of the dictionary, or this number.
    SameIndex(usize),
    SameWord(u64),
}

/// The values of a page, and room for what is made of them, which is used again for the next page.
pub struct Values {
    taken: Taken,
    left: usize,
    words: Vec<u64>,
    indices: Vec<u32>,
    spans: Spans,
    bytes: Vec<u8>,
    dictionary: Dictionary,
    table: Vec<Pair>,
    block: Box<[u64; BLOCK]>,
}

/// The dictionary of a column: how many values it has, and how many of them were taken one after the other, up to a byte of it.
#[derive(Default)]
struct Dictionary {
    count: usize,
    taken: usize,
    at: usize,
    /// Whether the table has what each is worth.
    learned: bool,
}

impl Values {
    pub fn new() -> Self {
        Self {
            taken: Taken::Bits(0),
            left: 0,
            words: Vec::new(),
            indices: Vec::new(),
            spans: Vec::new(),
            bytes: Vec::new(),
            dictionary: Dictionary { learned: true, ..Dictionary::default() },
            table: Vec::new(),
            block: Box::new([0; BLOCK]),
        }
    }

    /// A new column: there is no dictionary.
    pub fn clear(&mut self) {
        self.table.clear();
        self.dictionary = Dictionary { learned: true, ..Dictionary::default() };
        self.left = 0;
    }

    /// Memory that they take.
    pub fn bytes(&self) -> usize {
        let wide = self.words.capacity() + 2 * (self.spans.capacity() + self.table.capacity()) + BLOCK;
        8 * wide + 4 * self.indices.capacity() + self.bytes.capacity()
    }

    pub fn left(&self) -> usize {
        self.left
    }

    /// Whether what comes next lies in the dictionary.
    pub fn counted(&self) -> bool {
        matches!(self.taken, Taken::Counted)
    }

    /// The dictionary of a column, which is `data`. It must be there, as it is, whenever indices come.
    pub fn meet(&mut self, form: Form, data: &[u8], (count, encoding): (usize, i32)) -> Result<()> {
        if !matches!(encoding, PLAIN | PLAIN_DICTIONARY) || form == Form::Boolean {
            return refuse("its dictionary is encoded in a way that there is not");
        }
        if count > data.len() / width(form).unwrap_or(4) {
            return refuse("a dictionary has fewer values than its header says");
        }
        self.dictionary = Dictionary { count, ..Dictionary::default() };
        Ok(())
    }

    /// Whether the next page of indices takes the dictionary's values one after the other: they are taken so, and need not be learned.
    pub fn goes_on(&mut self, data: &[u8], count: usize) -> bool {
        let (known, Some((width, packed))) = (&self.dictionary, data.split_first()) else { return false };
        if known.learned || count == 0 || known.count - known.taken < count || !counts(packed, usize::from(*width), known.taken, count) {
            return false;
        }
        (self.taken, self.left) = (Taken::Counted, count);
        true
    }

    /// What each value of the dictionary is worth, unless that is known, or all of them were taken. `lanes`: room for a block of them.
    pub fn learn(&mut self, form: Form, key: &Key, data: &[u8], lanes: &mut Lanes, again: bool) -> Result<()> {
        let count = self.dictionary.count;
        if self.dictionary.learned || (self.dictionary.taken == count && !again) {
            return Ok(());
        }
        (self.taken, self.left, self.dictionary.learned) = (Taken::Stored(0), count, true);
        let mut table = std::mem::take(&mut self.table);
        table.clear();
        for start in (0..count).step_by(BLOCK) {
            let some = BLOCK.min(count - start);
            lanes.rows(0, some).clear();
            self.add(form, key, data, lanes.rows(0, some))?;
            lanes.append_to(some, &mut table);
        }
        self.table = table;
        Ok(())
    }

    /// The values of the next page, `count` of them. Room is taken for `most_bytes` at most.
    pub fn turn(&mut self, form: Form, encoding: i32, data: &[u8], count: usize, most_bytes: usize) -> Result<()> {
        self.left = count;
        let fixed = width(form);
        self.taken = match encoding {
            _ if count == 0 => Taken::Bits(0),
            PLAIN if form == Form::Boolean => {
                if data.len() < count.div_ceil(8) {
                    return refuse("a page is shorter than its values");
                }
                Taken::Bits(0)
            }
            PLAIN => match fixed {
                Some(width) if data.len() / width < count => return refuse("a page is shorter than its values"),
                _ => Taken::Stored(0),
            },
            PLAIN_DICTIONARY | RLE_DICTIONARY => {
                let Some((width, packed)) = data.split_first() else { return refuse("a page of indices is empty") };
                if self.table.is_empty() {
                    return refuse("indices without a dictionary");
                }
                // Whether each lies in the dictionary shows when it is looked up.
                match unpack(packed, usize::from(*width), count, u32::MAX, &mut self.indices)? {
                    Numbers::Same(index) => Taken::SameIndex(index as usize),
                    Numbers::Each => Taken::Indices(0),
                }
            }
            RLE if form == Form::Boolean => {
                let Some((head, packed)) = data.split_at_checked(4) else { return refuse("a page of booleans is empty") };
                let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
                let Some(packed) = packed.get(..length) else { return refuse("a page is shorter than its values") };
                match unpack(packed, 1, count, 1, &mut self.indices)? {
                    Numbers::Same(truth) => Taken::SameWord(u64::from(truth)),
                    Numbers::Each => {
                        self.words.clear();
                        self.words.extend(self.indices.iter().map(|truth| u64::from(*truth)));
                        Taken::Words(0)
                    }
                }
            }
            DELTA_BINARY_PACKED if matches!(form, Form::Int32(_) | Form::Int64 | Form::Narrow(_)) => {
                self.words.clear();
                delta::numbers(data, count, &mut self.words)?;
                if fixed == Some(4) {
                    self.words.iter_mut().for_each(|word| *word = i64::from(*word as i32) as u64);
                }
                Taken::Words(0)
            }
            DELTA_LENGTH_BYTE_ARRAY if form == Form::Bytes => {
                by_lengths(data, count, &mut self.words, &mut self.spans)?;
                Taken::Spans(0)
            }
            DELTA_BYTE_ARRAY if matches!(form, Form::Bytes | Form::Fixed(_)) => {
                by_prefixes(data, count, most_bytes, &mut self.words, &mut self.bytes, &mut self.spans)?;
                match fixed {
                    None => Taken::Texts(0),
                    Some(width) if self.spans.iter().all(|span| span.1 == width) => Taken::Split(0),
                    Some(_) => return refuse("a decimal has another number of bytes than its column"),
                }
            }
            BYTE_STREAM_SPLIT if form != Form::Boolean => {
                let Some(width) = fixed else { return refuse("texts in an encoding of numbers") };
                if data.len() / width < count {
                    return refuse("a page is shorter than its values");
                }
                let stride = data.len() / width;
                self.bytes.clear();
                self.bytes.extend((0..count).flat_map(|i| (0..width).map(move |byte| data[byte * stride + i])));
                Taken::Split(0)
            }
            _ => return refuse("a page is encoded in a way that is not read here"),
        };
        Ok(())
    }

    /// Adds the next values, one a row, at most a block of them. `data`: the page that they are of.
    pub fn add(&mut self, form: Form, key: &Key, data: &[u8], rows: Rows<'_>) -> Result<()> {
        let count = rows.len();
        if count > self.left {
            return refuse("a page has fewer values than its levels say");
        }
        self.left -= count;
        match &mut self.taken {
            Taken::Stored(at) => match width(form) {
                Some(width) => {
                    let from = *at;
                    *at += count * width;
                    add_fixed(form, key, &data[from..from + count * width], &mut self.block, rows)?;
                }
                None if form == Form::Bytes => *at += add_plain(&data[*at..], key, rows)?,
                None => *at += add_varying(&data[*at..], key, rows)?,
            },
            Taken::Counted => {
                let from = self.dictionary.at;
                self.dictionary.taken += count;
                self.dictionary.at += match width(form) {
                    Some(width) => {
                        add_fixed(form, key, &data[from..from + count * width], &mut self.block, rows)?;
                        count * width
                    }
                    None if form == Form::Bytes => add_plain(&data[from..], key, rows)?,
                    None => add_varying(&data[from..], key, rows)?,
                };
            }
            Taken::Split(at) => {
                let (Some(width), from) = (width(form), *at) else { return refuse("values without a width") };
                *at += count * width;
                add_fixed(form, key, &self.bytes[from..from + count * width], &mut self.block, rows)?;
            }
            Taken::Bits(at) => {
                let from = *at;
                *at += count;
                for (i, word) in self.block[..count].iter_mut().enumerate() {
                    *word = u64::from(data[(from + i) >> 3] >> ((from + i) & 7) & 1);
                }
                add_words(rows, &self.block[..count], key.starts[0], key.factors[0]);
            }
            Taken::Words(at) => {
                let from = *at;
                *at += count;
                self.block[..count].copy_from_slice(&self.words[from..from + count]);
                add_block(form, key, &mut self.block[..count], rows)?;
            }
            Taken::SameWord(word) => {
                self.block[..count].fill(*word);
                add_block(form, key, &mut self.block[..count], rows)?;
            }
            Taken::Indices(at) => {
                let from = *at;
                *at += count;
                if !add_taken(rows, &self.table, &self.indices[from..from + count]) {
                    return refuse("an index lies beyond its dictionary");
                }
            }
            Taken::SameIndex(index) => {
                let Some(pair) = self.table.get(*index) else { return refuse("an index lies beyond its dictionary") };
                let mut rows = rows;
                rows.add_everywhere(*pair);
            }
            Taken::Spans(at) | Taken::Texts(at) if count == 0 => *at += 0,
            Taken::Spans(at) => {
                let from = *at;
                *at += count;
                add_spans(data, &self.spans[from..from + count], key, rows);
            }
            Taken::Texts(at) => {
                let from = *at;
                *at += count;
                add_spans(&self.bytes, &self.spans[from..from + count], key, rows);
            }
        }
        Ok(())
    }
}

/// Bytes of a value, where all have as many.
fn width(form: Form) -> Option<usize> {
    match form {
        Form::Int32(_) | Form::Float => Some(4),
        Form::Int64 | Form::Double => Some(8),
        Form::Narrow(width) | Form::Fixed(width) => Some(width),
        Form::Boolean | Form::Varying | Form::Bytes => None,
    }
}

fn add_fixed(form: Form, key: &Key, data: &[u8], block: &mut [u64; BLOCK], rows: Rows<'_>) -> Result<()> {
    let count = rows.len();
    let words = &mut block[..count];
    match form {
        Form::Float => Float::F32.read(data, words),
        Form::Double => Float::F64.read(data, words),
        Form::Int32(_) | Form::Narrow(4) => Integer::I32.read(data, words),
        Form::Int64 | Form::Narrow(_) => Integer::I64.read(data, words),
        Form::Fixed(width) if width <= 8 => {
            for (i, word) in words.iter_mut().enumerate() {
                *word = big_endian(data, i * width, width) as u64;
            }
        }
        Form::Fixed(width) => return add_wide(key, data, width, words, rows),
        Form::Boolean | Form::Varying | Form::Bytes => return refuse("values without a width"),
    }
    add_block(form, key, words, rows)
}

/// Words of one number each; of decimals the second follows from its sign.
fn add_block(form: Form, key: &Key, words: &mut [u64], mut rows: Rows<'_>) -> Result<()> {
    if let Form::Int32(bits @ (8 | 16)) = form {
        let least = -(1i64 << (bits - 1));
        if words.iter().any(|word| !(least..-least).contains(&(*word as i64))) {
            return refuse("it holds whole numbers that are larger than its columns say");
        }
    }
    let count = rows.len();
    add_words(rows.part(0, count), words, key.starts[0], key.factors[0]);
    if matches!(form, Form::Narrow(_) | Form::Fixed(_)) {
        words.iter_mut().for_each(|word| *word = (*word as i64 >> 63) as u64);
        add_words(rows, words, key.starts[1], key.factors[1]);
    }
    Ok(())
}

/// Up to eight bytes, the highest first, as a number with a sign.
#[inline(always)]
fn big_endian(data: &[u8], at: usize, width: usize) -> i64 {
    let high = match data.get(at..at + 8) {
        Some(bytes) => word(bytes),
        None => data[at..at + width].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)),
    };
    high.swap_bytes() as i64 >> (64 - 8 * width)
}

fn add_wide(key: &Key, data: &[u8], width: usize, words: &mut [u64], mut rows: Rows<'_>) -> Result<()> {
    let count = rows.len();
    for (i, word) in words.iter_mut().enumerate() {
        *word = big_endian(data, i * width + width - 8, 8) as u64;
    }
    add_words(rows.part(0, count), words, key.starts[0], key.factors[0]);
    for (i, word) in words.iter_mut().enumerate() {
        *word = big_endian(part(data, i, 1, width), 0, width - 8) as u64;
    }
    add_words(rows, words, key.starts[1], key.factors[1]);
    Ok(())
}

/// Decimals of any number of bytes, each behind its length in four.
fn add_varying(data: &[u8], key: &Key, mut rows: Rows<'_>) -> Result<usize> {
    let mut rest = data;
    for row in 0..rows.len() {
        let (length, behind) = super::texts::text(rest)?;
        if !(1..=16).contains(&length) {
            return refuse("a decimal has a number of bytes that there is not");
        }
        let number = behind[..length].iter().fold(if behind[0] > 127 { -1i128 } else { 0 }, |number, byte| number << 8 | i128::from(*byte));
        let mut one = rows.part(row, row + 1);
        add_words(one.part(0, 1), &[number as u64], key.starts[0], key.factors[0]);
        add_words(one, &[(number >> 64) as u64], key.starts[1], key.factors[1]);
        rest = &behind[length..];
    }
    Ok(data.len() - rest.len())
}

//! The extremes of column chunks of floats, and whether a value is NaN, by a look at the values where they lie in a file of this machine:
//! compactor/rewriting/float_pages.py, which it spares the work, says what is looked at. What has no answer here is left to that.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::proof::codec::decompress;
use crate::proof::pages::{Kind, Page, next_page};

const PLAIN: i32 = 0;
const PLAIN_DICTIONARY: i32 = 2;
const RLE: i32 = 3;
const RLE_DICTIONARY: i32 = 8;
const MOST_PAGE_BYTES: usize = 8 << 20;
const PIECE_BYTES: usize = 1 << 20;
/// So many values are looked at side by side.
const LANES: usize = 8;

/// Where a column chunk lies.
#[derive(Clone, Copy)]
pub struct Place {
    pub start: u64,
    pub length: u64,
}

/// What the values of a column chunk are: `double` or single floats.
#[derive(Clone, Copy)]
pub struct Floats {
    pub codec: i32,
    pub double: bool,
    pub optional: bool,
}

/// What is in a chunk. values: with nulls; extremes: least and greatest, of a dictionary's values too; indirect: there are values that lie
/// in a dictionary only. With a NaN nothing else counts.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub struct Seen {
    pub values: usize,
    pub extremes: Option<(f64, f64)>,
    pub nan: bool,
    pub indirect: bool,
}

/// What is in each of these chunks of a file; None where that cannot be told here.
pub fn look(path: &Path, chunks: &[(Place, Floats)]) -> Vec<Option<Seen>> {
    let Ok(mut file) = File::open(path) else { return vec![None; chunks.len()] };
    let (mut window, mut room) = (Window::default(), Vec::new());
    chunks.iter().map(|(place, floats)| look_at(&mut file, *place, *floats, &mut window, &mut room)).collect()
}

/// A look at a chunk whose bytes come piece by piece.
pub struct Pieces {
    look: Option<Look>,
    held: Vec<u8>,
    room: Vec<u8>,
}

impl Pieces {
    pub fn new(floats: Floats) -> Self {
        Self { look: Some(Look::of(floats)), held: Vec::new(), room: Vec::new() }
    }

    /// The next bytes of the chunk; whether what follows them can still matter.
    pub fn add(&mut self, piece: &[u8]) -> bool {
        let Some(look) = &mut self.look else { return false };
        let mut held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            held.extend_from_slice(piece);
        }
        let mut left = if held.is_empty() { piece } else { &held };
        while !left.is_empty() && !look.seen.nan {
            let Ok((page, rest)) = next_page(left, MOST_PAGE_BYTES) else { break };
            if look.page(&page, &mut self.room).is_none() {
                self.look = None;
                return false;
            }
            left = rest;
        }
        if look.seen.nan || left.len() > 2 * MOST_PAGE_BYTES {
            self.look = self.look.take_if(|look| look.seen.nan);
            return false;
        }
        self.held = left.to_vec();
        true
    }

    /// What is in the chunk, all of which has come, unless it did not matter.
    pub fn seen(&self) -> Option<Seen> {
        self.look.as_ref().filter(|look| look.seen.nan || self.held.is_empty()).map(|look| look.seen)
    }
}

fn look_at(file: &mut File, place: Place, floats: Floats, window: &mut Window, room: &mut Vec<u8>) -> Option<Seen> {
    window.enter(file, place)?;
    let mut look = Look::of(floats);
    while !window.is_at_end() && !look.seen.nan {
        let used = loop {
            match next_page(window.here(), MOST_PAGE_BYTES) {
                Ok((page, rest)) => {
                    look.page(&page, room)?;
                    break window.here().len() - rest.len();
                }
                Err(_) => window.more(file)?,
            }
        };
        window.taken += used;
    }
    Some(look.seen)
}

/// The part of a chunk that is here. `left`: bytes of the chunk that are not.
#[derive(Default)]
struct Window {
    held: Vec<u8>,
    end: usize,
    taken: usize,
    left: usize,
}

impl Window {
    fn enter(&mut self, file: &mut File, place: Place) -> Option<()> {
        file.seek(SeekFrom::Start(place.start)).ok()?;
        (self.end, self.taken, self.left) = (0, 0, usize::try_from(place.length).ok()?);
        Some(())
    }

    fn here(&self) -> &[u8] {
        &self.held[self.taken..self.end]
    }

    fn is_at_end(&self) -> bool {
        self.taken == self.end && self.left == 0
    }

    /// Brings as much again as there is, and a piece at least; None when there is no more, or when the page is too long.
    fn more(&mut self, file: &mut File) -> Option<()> {
        self.held.copy_within(self.taken..self.end, 0);
        (self.end, self.taken) = (self.end - self.taken, 0);
        let size = self.left.min(self.end.max(PIECE_BYTES));
        if size == 0 || self.end > MOST_PAGE_BYTES {
            return None;
        }
        if self.held.len() < self.end + size {
            self.held.resize(self.end + size, 0);
        }
        file.read_exact(&mut self.held[self.end..self.end + size]).ok()?;
        self.end += size;
        self.left -= size;
        Some(())
    }
}

/// A chunk, page by page. `dictionary`: whether its dictionary was there.
struct Look {
    floats: Floats,
    dictionary: bool,
    seen: Seen,
}

impl Look {
    fn of(floats: Floats) -> Self {
        Self { floats, dictionary: false, seen: Seen::default() }
    }

    /// Adds what is in the next page; None where that cannot be told.
    fn page(&mut self, page: &Page<'_>, room: &mut Vec<u8>) -> Option<()> {
        let (behind, encoding, compressed) = match page.kind {
            Kind::Other => return Some(()),
            Kind::Dictionary { encoding } => {
                self.dictionary = true;
                return if matches!(encoding, PLAIN | PLAIN_DICTIONARY) { self.plain(page, 0, true, room) } else { None };
            }
            Kind::Data { encoding, definitions, .. } if !self.floats.optional || definitions == RLE => (None, encoding, true),
            Kind::Data { .. } => return None,
            Kind::DataV2 { encoding, definition_bytes, repetition_bytes, compressed } => {
                (Some(definition_bytes.checked_add(repetition_bytes)?), encoding, compressed)
            }
        };
        self.seen.values = self.seen.values.checked_add(page.values)?;
        match (encoding, behind) {
            (PLAIN_DICTIONARY | RLE_DICTIONARY, _) if self.dictionary => {
                self.seen.indirect = true;
                Some(())
            }
            (PLAIN, Some(levels)) => self.plain(page, levels, compressed, room),
            (PLAIN, None) if self.floats.optional => self.behind_levels(page, room),
            (PLAIN, None) => self.plain(page, 0, true, room),
            _ => None,
        }
    }

    /// The values of a page behind so many bytes that are not compressed.
    fn plain(&mut self, page: &Page<'_>, levels: usize, compressed: bool, room: &mut Vec<u8>) -> Option<()> {
        let (stored, size) = (page.body.get(levels..)?, page.size.checked_sub(levels)?);
        let data = unpacked(stored, size, if compressed { self.floats.codec } else { 0 }, room)?;
        extremes(data, page.values, self.floats.double, &mut self.seen)
    }

    /// The values of a page of version 1 behind its levels, which are compressed with them.
    fn behind_levels(&mut self, page: &Page<'_>, room: &mut Vec<u8>) -> Option<()> {
        let data = unpacked(page.body, page.size, self.floats.codec, room)?;
        let levels = u32::from_le_bytes(data.get(..4)?.try_into().ok()?) as usize;
        extremes(data.get(4..)?.get(levels..)?, page.values, self.floats.double, &mut self.seen)
    }
}

fn unpacked<'a>(data: &'a [u8], size: usize, codec: i32, room: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    if codec == 0 || data.is_empty() {
        return Some(data);
    }
    decompress(codec, data, size, room).ok()?;
    Some(&room[..size])
}

fn extremes(data: &[u8], most: usize, double: bool, seen: &mut Seen) -> Option<()> {
    let width = if double { 8 } else { 4 };
    if !data.len().is_multiple_of(width) || data.len() / width > most {
        return None;
    }
    let found = if double {
        found(data.as_chunks().0, f64::from_le_bytes)
    } else {
        found(data.as_chunks().0, |four| f64::from(f32::from_le_bytes(four)))
    };
    seen.nan |= found.is_some_and(|(low, _)| low.is_nan());
    seen.extremes = match (seen.extremes, found) {
        (Some(old), Some(new)) => Some((old.0.min(new.0), old.1.max(new.1))),
        (old, new) => old.or(new),
    };
    Some(())
}

/// Least and greatest of these values, NaN twice where one is NaN.
fn found<const N: usize>(values: &[[u8; N]], value: impl Fn([u8; N]) -> f64) -> Option<(f64, f64)> {
    let (mut low, mut high, mut nan) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES], [false; LANES]);
    let (blocks, rest) = values.as_chunks::<LANES>();
    for block in blocks {
        for i in 0..LANES {
            let one = value(block[i]);
            low[i] = if one < low[i] { one } else { low[i] };
            high[i] = if one > high[i] { one } else { high[i] };
            nan[i] |= one.is_nan();
        }
    }
    for one in rest.iter().copied().map(value) {
        low[0] = if one < low[0] { one } else { low[0] };
        high[0] = if one > high[0] { one } else { high[0] };
        nan[0] |= one.is_nan();
    }
    let least = low.into_iter().fold(f64::INFINITY, f64::min);
    let most = high.into_iter().fold(f64::NEG_INFINITY, f64::max);
    if values.is_empty() {
        None
    } else if nan.contains(&true) {
        Some((f64::NAN, f64::NAN))
    } else {
        Some((least, most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_are_found_wherever_they_lie() {
        for count in [1, 7, 8, 9, 100] {
            for at in 0..count {
                let mut values = vec![0.5f64; count];
                values[at] = -2.0;
                let bytes: Vec<[u8; 8]> = values.iter().map(|value| value.to_le_bytes()).collect();
                let most = if count == 1 { -2.0 } else { 0.5 };
                assert_eq!(found(&bytes, f64::from_le_bytes), Some((-2.0, most)));
                values[at] = f64::NAN;
                let bytes: Vec<[u8; 8]> = values.iter().map(|value| value.to_le_bytes()).collect();
                assert!(found(&bytes, f64::from_le_bytes).is_some_and(|(low, high)| low.is_nan() && high.is_nan()));
            }
        }
        assert_eq!(found(&[], f64::from_le_bytes), None);
    }
}

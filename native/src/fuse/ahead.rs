//! Looks into some chunks of a column without a dictionary before they are added: into their indices, and into dictionaries that may be kept
//! as they are, several at a time.

use super::codec::{Codec, joins};
use super::column::expect_chunk;
use super::hybrid::Numbers;
use super::input::{Input, Levels, Reading};
use super::metadata::Physical;
use super::pages::{Chunk, Page, indices};
use super::walk::surely_sound;
use super::{INPUTS_AHEAD, Refusal, TINY};

/// So many chunks are looked into together.
pub const CHUNKS: usize = 8;
/// What is smaller is not worth being kept apart.
pub const KEPT_PIECE_BYTES: usize = (4 << 10) / TINY;

/// A chunk that was looked into.
#[derive(Default)]
pub struct Ahead {
    /// Of each page of indices.
    pub indexed: Vec<(Levels, Numbers<u32>)>,
    /// Whether its indices count from 0 to the end of its dictionary, which then is its values.
    pub whole: bool,
    /// Whether the compressed bytes of such a dictionary may become a part of a page, as far as they need not be looked at.
    pub kept: bool,
    /// Whether they were looked at several at a time, and are sound.
    pub sound: bool,
}

/// Looks into the chunks of these inputs.
pub fn look(reading: &Reading<'_>, inputs: &[Input<'_>]) -> Vec<Result<Ahead, Refusal>> {
    let mut found: Vec<Result<Ahead, Refusal>> = (0..inputs.len())
        .map(|i| {
            expect_chunk(inputs, i + INPUTS_AHEAD);
            inputs[i].chunk.as_ref().map_or(Ok(Ahead::default()), |chunk| taken_apart(reading, &inputs[i], chunk))
        })
        .collect();
    let kept = |i: &usize| found[*i].as_ref().is_ok_and(|ahead| ahead.kept);
    // Of numbers, which kind of element comes next is mostly foreseen, and one stream alone takes no longer.
    let texts = reading.options.by.codec == Codec::Snappy && reading.leaf.physical.width().is_none();
    let looked_at: Vec<usize> = if texts { (0..inputs.len()).filter(kept).collect() } else { Vec::new() };
    let dictionary = |i: &usize| inputs[*i].chunk.as_ref().and_then(|chunk| chunk.dictionary.as_ref());
    let streams: Vec<(&[u8], usize)> = looked_at.iter().filter_map(dictionary).map(|page| (page.body, page.header.uncompressed)).collect();
    for (i, sound) in looked_at.iter().zip(surely_sound(&streams)) {
        if let Ok(ahead) = &mut found[*i] {
            ahead.sound = sound;
        }
    }
    found
}

fn taken_apart(reading: &Reading<'_>, input: &Input<'_>, chunk: &Chunk<'_>) -> Result<Ahead, Refusal> {
    let mut ahead = Ahead::default();
    if reading.leaf.physical == Physical::Boolean {
        return Ok(ahead);
    }
    for page in chunk.pages.iter().filter(|page| page.is_indices()) {
        let count = chunk.dictionary.as_ref().map_or(0, Page::values);
        let mut page = reading.open(input, chunk, page)?;
        let indices = indices(page.body(), page.defined, count)?;
        ahead.indexed.push((Levels::of(&mut page, input.place), indices));
    }
    ahead.whole = ahead.indexed.len() == chunk.pages.len() && counts_up(&ahead.indexed, chunk.dictionary.as_ref());
    ahead.kept = ahead.whole
        && reading.same_type(input)
        && chunk.codec == reading.options.by.codec
        && joins(chunk.codec)
        && chunk.dictionary.as_ref().is_some_and(|page| page.body.len() >= KEPT_PIECE_BYTES);
    Ok(ahead)
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

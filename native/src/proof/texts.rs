//! Values of any length: where each of a page lies, by the encodings that they come in.

use crate::lanes::{Key, Pair, Rows};

use super::delta::numbers;
use super::{Result, refuse};

/// Where values lie in some bytes: begin and length.
pub type Spans = Vec<(usize, usize)>;

/// What a text is worth.
#[inline(always)]
pub fn worth(key: &Key, data: &[u8], length: usize) -> Pair {
    let (mut sum, counted) = (key.text(data, length), (length as u64).wrapping_add(1));
    sum[0] = sum[0].wrapping_add(counted.wrapping_mul(key.count[0]));
    sum[1] = sum[1].wrapping_add(counted.wrapping_mul(key.count[1]));
    sum
}

/// Adds one text a row, each behind its length in four bytes. How many bytes all of them are.
pub fn add_plain(data: &[u8], key: &Key, mut rows: Rows<'_>) -> Result<usize> {
    let mut rest = data;
    for row in 0..rows.len() {
        let (length, behind) = text(rest)?;
        rows.add_pair(row, worth(key, behind, length));
        rest = &behind[length..];
    }
    Ok(data.len() - rest.len())
}

/// The length of the text that is next, and the bytes from its first on.
#[inline(always)]
pub fn text(data: &[u8]) -> Result<(usize, &[u8])> {
    let Some((head, behind)) = data.split_at_checked(4) else { return refuse("a text begins beyond the end of its page") };
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    if length > behind.len() { refuse("a text goes beyond the end of its page") } else { Ok((length, behind)) }
}

/// Adds one text a row, by where they lie.
pub fn add_spans(data: &[u8], spans: &[(usize, usize)], key: &Key, mut rows: Rows<'_>) {
    for (row, (from, length)) in spans.iter().enumerate().take(rows.len()) {
        rows.add_pair(row, worth(key, &data[*from..], *length));
    }
}

/// DELTA_LENGTH_BYTE_ARRAY: all lengths, then all texts.
pub fn by_lengths(data: &[u8], count: usize, words: &mut Vec<u64>, spans: &mut Spans) -> Result<()> {
    words.clear();
    let rest = numbers(data, count, words)?;
    lay_out(words, rest.len(), data.len() - rest.len(), spans)
}

/// Where values of these lengths lie one after the other from `start` on, of `limit` bytes.
fn lay_out(lengths: &[u64], limit: usize, start: usize, spans: &mut Spans) -> Result<()> {
    spans.clear();
    let mut at = 0usize;
    for length in lengths {
        let end = usize::try_from(*length).ok().and_then(|length| at.checked_add(length)).filter(|end| *end <= limit);
        let Some(end) = end else { return refuse("a text goes beyond the end of its page") };
        spans.push((start + at, end - at));
        at = end;
    }
    Ok(())
}

/// DELTA_BYTE_ARRAY: how much of the one before each begins with, and the rest. Made whole in `texts`, at most `most_bytes` of them.
pub fn by_prefixes(
    data: &[u8],
    count: usize,
    most_bytes: usize,
    words: &mut Vec<u64>,
    texts: &mut Vec<u8>,
    spans: &mut Spans,
) -> Result<()> {
    words.clear();
    let rest = numbers(data, count, words)?;
    let suffixes = numbers(rest, count, words)?;
    let (prefixes, lengths) = words.split_at(count);
    let mut ends = Spans::new();
    lay_out(lengths, suffixes.len(), 0, &mut ends)?;
    texts.clear();
    spans.clear();
    let mut before = (0usize, 0usize);
    for (prefix, (from, length)) in prefixes.iter().zip(&ends) {
        let Some(prefix) = usize::try_from(*prefix).ok().filter(|prefix| *prefix <= before.1) else {
            return refuse("a text begins with more than there is of the one before");
        };
        if texts.len() + prefix + length > most_bytes {
            return refuse("the texts of a page are too large to be read at once");
        }
        let start = texts.len();
        texts.extend_from_within(before.0..before.0 + prefix);
        texts.extend_from_slice(&suffixes[*from..from + length]);
        before = (start, prefix + length);
        spans.push(before);
    }
    Ok(())
}

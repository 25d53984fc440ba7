//! Merges the chunks of one column.
//!
//! A column is either all indices of one dictionary, or has none: HAZARD: Spark's vectorised reader silently reads wrong values where a
//! dictionary-encoded page follows a PLAIN one.

use super::ahead::{self, Ahead};
use super::bounds::Bounds;
use super::hybrid::Numbers;
use super::input::{Input, Options, Reading};
use super::joined::Joined;
use super::pages::Chunk;
use super::plain::Plain;
use super::schema::Leaf;
use super::writer::{Column, ColumnWriter, Stored, Unit};
use super::{INPUTS_AHEAD, Refusal, TINY};

type Result<T> = std::result::Result<T, Refusal>;

const MOST_GROWTH: usize = 4;
const ROWS_OF_NULLS: usize = 20_000 / TINY;

/// The merged column, or which input it cannot be made of and why.
pub fn merge(leaf: &Leaf, inputs: &[Input<'_>], options: Options) -> std::result::Result<Column, (usize, Refusal)> {
    let stored: usize = inputs.iter().filter_map(|input| input.chunk.as_ref()).map(Chunk::stored_bytes).sum();
    let mut writer = ColumnWriter::new(leaf, options.by, stored.saturating_mul(MOST_GROWTH).saturating_add(1 << 20));
    let reading = Reading::new(leaf, options);
    let last = inputs.len().saturating_sub(1);
    let mut joined = Joined::of(&reading, inputs)?;
    if let Some(joined) = &joined {
        let (plain, count) = joined.dictionary();
        writer.dictionary(plain, count).map_err(|refusal| (last, refusal))?;
    }
    let mut ahead = Vec::new().into_iter();
    for (i, input) in inputs.iter().enumerate() {
        if joined.is_none() && i % ahead::CHUNKS == 0 {
            ahead = ahead::look(&reading, &inputs[i..inputs.len().min(i + ahead::CHUNKS)]).into_iter();
        }
        let looked_into = ahead.next().unwrap_or_else(|| Ok(Ahead::default()));
        expect_chunk(inputs, i + INPUTS_AHEAD);
        let before = writer.rows();
        let done = match (&input.chunk, &mut joined) {
            (None, _) => nulls(input.rows, &mut writer),
            (Some(chunk), Some(joined)) => joined.add(i, &reading, input, chunk, &mut writer),
            (Some(chunk), None) => looked_into.and_then(|ahead| Plain { reading: &reading, writer: &mut writer }.add(input, chunk, ahead)),
        };
        done.map_err(|refusal| (i, refusal))?;
        if writer.rows() - before != input.rows {
            return Err((i, Refusal::new("a column has not the rows that the footer counts")));
        }
    }
    let used = joined.map(|joined| joined.bounds_used(&reading));
    let mut column = writer.finish().map_err(|refusal| (last, refusal))?;
    if let Some(bounds) = used {
        column.bounds = bounds;
    }
    Ok(column)
}

/// Asks for the memory of an input, if there is one.
pub fn expect_chunk(inputs: &[Input<'_>], i: usize) {
    if let Some(chunk) = inputs.get(i).and_then(|input| input.chunk.as_ref()) {
        chunk.expect();
    }
}

fn nulls(rows: usize, writer: &mut ColumnWriter<'_>) -> Result<()> {
    let mut left = rows;
    while left > 0 {
        let n = left.min(ROWS_OF_NULLS);
        let levels = Numbers::Run(0, n);
        let unit = Unit { definitions: &levels, repetitions: &levels, values: n, nulls: n, rows: n, begins_row: true };
        writer.add(&unit, Stored::Nothing, &Bounds::Empty)?;
        left -= n;
    }
    Ok(())
}

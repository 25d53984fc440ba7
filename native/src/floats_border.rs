//! What Python sees of a look at floats.

use std::path::PathBuf;

use pyo3::prelude::*;

use crate::floats::{Chunk, look};

/// Values, least and greatest, whether one is NaN, whether some lie in a dictionary only.
type Seen = (usize, Option<(f64, f64)>, bool, bool);

/// What is in each of these column chunks of a file: (start, length, codec, whether doubles, whether optional).
#[pyfunction]
pub fn float_extremes(py: Python<'_>, path: PathBuf, chunks: Vec<(u64, u64, i32, bool, bool)>) -> Vec<Option<Seen>> {
    let chunks: Vec<Chunk> =
        chunks.into_iter().map(|(start, length, codec, double, optional)| Chunk { start, length, codec, double, optional }).collect();
    let found = py.detach(|| look(&path, &chunks));
    found.into_iter().map(|seen| seen.map(|seen| (seen.values, seen.extremes, seen.nan, seen.indirect))).collect()
}

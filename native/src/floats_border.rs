//! What Python sees of a look at floats.

use std::path::PathBuf;

use pyo3::prelude::*;

use crate::floats::{self, Floats, Place};
use crate::fuse_border::Lent;

/// Values, least and greatest, whether one is NaN, whether some lie in a dictionary only.
type Seen = (usize, Option<(f64, f64)>, bool, bool);

fn told(seen: floats::Seen) -> Seen {
    (seen.values, seen.extremes, seen.nan, seen.indirect)
}

/// What is in each of these column chunks of a file: (start, length, codec, whether doubles, whether optional).
#[pyfunction]
pub fn float_extremes(py: Python<'_>, path: PathBuf, chunks: Vec<(u64, u64, i32, bool, bool)>) -> Vec<Option<Seen>> {
    let chunks: Vec<_> = chunks
        .into_iter()
        .map(|(start, length, codec, double, optional)| (Place { start, length }, Floats { codec, double, optional }))
        .collect();
    py.detach(|| floats::look(&path, &chunks)).into_iter().map(|seen| seen.map(told)).collect()
}

/// A look at a column chunk whose bytes come piece by piece.
#[pyclass(module = "compactor_native")]
pub struct FloatLook(floats::Pieces);

#[pymethods]
impl FloatLook {
    #[new]
    fn new(codec: i32, double: bool, optional: bool) -> Self {
        Self(floats::Pieces::new(Floats { codec, double, optional }))
    }

    fn add(&mut self, py: Python<'_>, piece: &Bound<'_, PyAny>) -> PyResult<bool> {
        let (lent, pieces) = (Lent::of(piece)?, &mut self.0);
        Ok(py.detach(|| pieces.add(lent.bytes())))
    }

    fn seen(&self) -> Option<Seen> {
        self.0.seen().map(told)
    }
}

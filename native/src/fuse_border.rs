//! What Python sees of the merging of pages: a target, sources held against it, and row groups made of them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::buffer::PyBuffer;
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::crew::each;
use crate::fuse::{Bounds, Codec, Compression, Group, Match, Merge, Refusal, Source, Target, fault, merge};

create_exception!(compactor_native, FuseRefused, PyException, "Why a file, or source number args[1], is not merged.");

fn refused(refusal: &Refusal) -> PyErr {
    FuseRefused::new_err((refusal.to_string(), None::<usize>))
}

/// The schema of outputs, how columns of files are found in it, and the codec of outputs.
#[pyclass(frozen, module = "compactor_native")]
pub struct FuseTarget(Target);

#[pymethods]
impl FuseTarget {
    /// `footer`: a FileMetaData with the outputs' schema. `codec`: none, snappy or zstd.
    #[new]
    fn new(footer: &[u8], by_id: bool, codec: &str, level: i32) -> PyResult<Self> {
        let codec = match codec {
            "none" => Codec::None,
            "snappy" => Codec::Snappy,
            "zstd" => Codec::Zstd,
            _ => return Err(refused(&Refusal::new(format!("outputs are compressed by {codec}")))),
        };
        let by = if by_id { Match::Id } else { Match::Name };
        Target::new(footer, by, Compression { codec, level }).map(Self).map_err(|refusal| refused(&refusal))
    }

    /// How many leaves outputs have.
    #[getter]
    fn leaves(&self) -> usize {
        self.0.leaves.len()
    }
}

/// A whole file in memory that, as far as its footer says, can be merged.
#[pyclass(frozen, module = "compactor_native")]
pub struct FuseSource {
    source: Source,
    data: Lent,
}

/// What becomes of each of these files: a source, or why it cannot be merged.
#[pyfunction]
pub fn fuse_sources(py: Python<'_>, target: &FuseTarget, files: Vec<Bound<'_, PyAny>>, threads: usize) -> PyResult<Vec<Py<PyAny>>> {
    let lent = files.iter().map(Lent::of).collect::<PyResult<Vec<_>>>()?;
    let of = |i: usize| catch_unwind(AssertUnwindSafe(|| Source::new(&target.0, lent[i].bytes()))).unwrap_or_else(|_| Err(fault()));
    let found = py.detach(|| each(threads, lent.len(), of));
    let told = found.into_iter().zip(lent).map(|(source, data)| match source {
        Ok(source) => Ok(Py::new(py, FuseSource { source, data })?.into_any()),
        Err(refusal) => Ok(PyString::new(py, &refusal.to_string()).into_any().unbind()),
    });
    told.collect()
}

#[pymethods]
impl FuseSource {
    #[getter]
    fn rows(&self) -> usize {
        self.source.rows
    }

    /// Bytes of the column chunks that are merged.
    #[getter]
    fn size_bytes(&self) -> usize {
        self.source.bytes
    }

    /// Columns of the target that the file lacks.
    #[getter]
    fn missing(&self) -> usize {
        self.source.missing()
    }
}

/// The bytes of an object that lends them and promises not to change them.
pub struct Lent(PyBuffer<u8>);

impl Lent {
    pub fn of(lender: &Bound<'_, PyAny>) -> PyResult<Self> {
        let lent = PyBuffer::<u8>::get(lender)?;
        if !lent.is_c_contiguous() || !lent.readonly() {
            return Err(PyValueError::new_err("the bytes of a file must be contiguous and read-only"));
        }
        Ok(Self(lent))
    }

    pub fn bytes(&self) -> &[u8] {
        if self.0.item_count() == 0 {
            return &[];
        }
        // SAFETY: the lender keeps this memory where it is, and as long, for as long as the PyBuffer lives, which outlives the slice.
        // It consists of single bytes, is contiguous, and read-only, as `of` has made sure.
        unsafe { std::slice::from_raw_parts(self.0.buf_ptr().cast(), self.0.item_count()) }
    }
}

/// A row group made of sources, some of whose bytes are part of it.
#[pyclass(frozen, module = "compactor_native")]
pub struct FusedRowGroup {
    group: Group,
    sources: Vec<Py<FuseSource>>,
}

/// Minimum, maximum, and whether each is exact.
type Known<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>, bool, bool);

#[pymethods]
impl FusedRowGroup {
    #[getter]
    fn rows(&self) -> usize {
        self.group.rows
    }

    #[getter]
    fn size_bytes(&self) -> usize {
        self.group.size_bytes()
    }

    /// Some of its bytes: those of its columns, one after the other.
    fn read<'py>(&self, py: Python<'py>, start: usize, length: usize) -> PyResult<Bound<'py, PyBytes>> {
        PyBytes::new_with(py, length, |out| {
            let found = self.group.copy(start, out, |i| self.sources.get(i).map(|source| source.get().data.bytes()));
            found.ok_or_else(|| PyValueError::new_err("a row group has not as many bytes"))
        })
    }

    /// The RowGroup for the footer of a file in which the row group begins at `base`.
    fn row_group<'py>(&self, py: Python<'py>, base: u64) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.group.row_group(base))
    }

    /// The OffsetIndex of each column.
    fn offset_indexes<'py>(&self, py: Python<'py>, base: u64) -> Vec<Bound<'py, PyBytes>> {
        self.group.offset_indexes(base).iter().map(|index| PyBytes::new(py, index)).collect()
    }

    /// The ColumnIndex of each column that has one.
    fn column_indexes<'py>(&self, py: Python<'py>) -> Vec<Option<Bound<'py, PyBytes>>> {
        self.group.column_indexes().iter().map(|index| index.as_ref().map(|index| PyBytes::new(py, index))).collect()
    }

    /// Of each column below a list or map: how many rows begin with each definition level; of others nothing.
    fn beginnings(&self) -> Vec<Vec<usize>> {
        self.group.columns.iter().map(|column| column.beginnings.clone()).collect()
    }

    /// Of each column: nulls, whether it is known what values there are, and their bounds as Parquet stores them.
    fn bounds<'py>(&self, py: Python<'py>) -> Vec<(usize, bool, Option<Known<'py>>)> {
        let known = |bounds: &Bounds| match bounds {
            Bounds::Empty | Bounds::Unknown => None,
            Bounds::Within { minimum, maximum, minimum_exact, maximum_exact } => {
                Some((PyBytes::new(py, minimum), PyBytes::new(py, maximum), *minimum_exact, *maximum_exact))
            }
        };
        let columns = self.group.columns.iter();
        columns.map(|column| (column.nulls, column.bounds != Bounds::Unknown, known(&column.bounds))).collect()
    }
}

/// One row group of the rows of all sources, in their order. `bounds`: of each leaf, whether its bounds must be known.
#[pyfunction]
pub fn fuse(
    py: Python<'_>,
    target: &FuseTarget,
    sources: Vec<Py<FuseSource>>,
    bounds: Vec<bool>,
    verify: bool,
    threads: usize,
) -> PyResult<FusedRowGroup> {
    let parts: Vec<(&Source, &[u8])> = sources.iter().map(|source| (&source.get().source, source.get().data.bytes())).collect();
    let how = Merge { target: &target.0, bounds: &bounds, verify, threads };
    let done = py.detach(|| merge(&how, &parts));
    match done {
        Ok(group) => Ok(FusedRowGroup { group, sources }),
        Err((i, refusal)) => Err(FuseRefused::new_err((refusal.to_string(), Some(i)))),
    }
}

/// Of files as one: the bytes of each that are part of it, the rows of each, and what comes behind them.
type Chained<'py> = (Vec<(usize, usize)>, Vec<usize>, Bound<'py, PyBytes>);

/// Whole files, one behind the other behind a magic, as the row groups of one file.
#[pyfunction]
pub fn chain<'py>(py: Python<'py>, files: Vec<Bound<'py, PyAny>>) -> PyResult<Chained<'py>> {
    let lent = files.iter().map(Lent::of).collect::<PyResult<Vec<_>>>()?;
    let bytes: Vec<&[u8]> = lent.iter().map(Lent::bytes).collect();
    match py.detach(|| crate::fuse::chain(&bytes)) {
        Ok(found) => Ok((found.parts, found.rows, PyBytes::new(py, &found.tail))),
        Err((i, refusal)) => Err(FuseRefused::new_err((refusal.to_string(), Some(i)))),
    }
}

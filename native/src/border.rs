//! What Python sees. Arrays come as tuples that compactor/rewriting/native_rows.py makes, their buffers by the buffer protocol: unlike
//! Arrow's C data interface it says how long a buffer is, so that nothing read from a file can lead beyond one.

use std::ops::Deref;
use std::sync::Arc;

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::lanes;
use crate::memory;
use crate::values::{Fault, Float, Integer, Kind, Offsets, Values, row_sum};

#[pymodule(name = "compactor_native")]
mod compactor_native {
    #[pymodule_export]
    use super::{Key, held_bytes, sum_of_rows};
    #[pymodule_export]
    use crate::files_border::{Files, let_go, read_files};
    #[pymodule_export]
    use crate::floats_border::{FloatLook, float_extremes};
    #[pymodule_export]
    use crate::fuse_border::{FuseRefused, FuseSource, FuseTarget, FusedRowGroup, chain, fuse, fuse_sources};
    #[pymodule_export]
    use crate::proof_border::{ProofFile, ProofRefused, ProofTarget, proof_sums};

    /// Raised together with compactor/rewriting/native.py whenever a function here changes.
    #[pymodule_export]
    const INTERFACE: u32 = 10;

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}

/// A column, or a place inside one, from the words that its path stands for.
#[pyclass(frozen, module = "compactor_native")]
pub struct Key(pub Arc<lanes::Key>);

#[pymethods]
impl Key {
    #[new]
    fn new(words: [u64; lanes::KEY_WORDS]) -> Self {
        Self(Arc::new(lanes::Key::new(&words)))
    }
}

/// The sum of the rows of a table, modulo 2^128. columns: of each the chunks, as tuples.
#[pyfunction]
fn sum_of_rows(py: Python<'_>, rows: usize, key: &Key, columns: Vec<Vec<Array>>) -> PyResult<u128> {
    let mut columns: Vec<Vec<_>> = columns.into_iter().map(|chunks| chunks.into_iter().map(|chunk| chunk.0).collect()).collect();
    let finish = key.0.finish;
    py.detach(|| row_sum(rows, finish, &mut columns)).map_err(|fault| match fault {
        Fault::Index => PyIndexError::new_err(fault.to_string()),
        Fault::Layout(_) => PyValueError::new_err(fault.to_string()),
    })
}

#[global_allocator]
static ALLOCATOR: memory::Counted = memory::Counted;

/// Bytes of memory that this package holds now, and the most that it has held since this was asked before.
#[pyfunction]
fn held_bytes() -> (usize, usize) {
    memory::held()
}

/// The bytes of an object that lends them.
struct Buffer(Option<PyBuffer<i8>>);

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Some(lent) if lent.item_count() > 0 => {
                // SAFETY: the lender keeps this memory where it is, and as long, for as long as `lent` lives, which outlives the slice; a
                // PyBuffer<i8> consists of single bytes, and `bytes_of` has refused those that are not contiguous. Nobody writes to it
                // meanwhile: Arrow's buffers are immutable once an array has them.
                unsafe { std::slice::from_raw_parts(lent.buf_ptr().cast(), lent.item_count()) }
            }
            _ => &[],
        }
    }
}

/// Buffer `i` of an array; an absent one is empty.
fn bytes_of(buffers: &Bound<'_, PyList>, i: usize) -> PyResult<Buffer> {
    let lender = buffers.get_item(i)?;
    if lender.is_none() {
        return Ok(Buffer(None));
    }
    let lent = PyBuffer::<i8>::get(&lender)?;
    if !lent.is_c_contiguous() {
        return Err(PyValueError::new_err("a buffer is not contiguous"));
    }
    Ok(Buffer(Some(lent)))
}

/// An array as a tuple: layout, key, length, offset, buffers, children.
struct Array(Values<Buffer>);

impl<'py> FromPyObject<'_, 'py> for Array {
    type Error = PyErr;

    fn extract(array: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let array = array.cast::<PyTuple>()?;
        let buffers = array.get_item(4)?.cast_into::<PyList>()?;
        let validity = if buffers.is_empty() || buffers.get_item(0)?.is_none() { None } else { Some(bytes_of(&buffers, 0)?) };
        let layout = array.get_item(0)?;
        Ok(Self(Values {
            kind: kind_of(layout.extract()?, &buffers, &array.get_item(5)?)?,
            key: Arc::clone(&array.get_item(1)?.cast::<Key>()?.get().0),
            length: array.get_item(2)?.extract()?,
            offset: array.get_item(3)?.extract()?,
            validity,
        }))
    }
}

fn kind_of(layout: &str, buffers: &Bound<'_, PyList>, children: &Bound<'_, PyAny>) -> PyResult<Kind<Buffer>> {
    let data = |i| bytes_of(buffers, i);
    let child = || Ok::<_, PyErr>(Box::new(children.get_item(0)?.extract::<Array>()?.0));
    Ok(match layout {
        "nothing" => Kind::Nothing,
        "bits" => Kind::Booleans(data(1)?),
        "float16" => Kind::Floats(Float::F16, data(1)?),
        "float32" => Kind::Floats(Float::F32, data(1)?),
        "float64" => Kind::Floats(Float::F64, data(1)?),
        "words2" => Kind::Words(2, data(1)?),
        "words4" => Kind::Words(4, data(1)?),
        "bytes32" => Kind::Bytes { offsets: Offsets::Narrow, ends: data(1)?, data: data(2)? },
        "bytes64" => Kind::Bytes { offsets: Offsets::Wide, ends: data(1)?, data: data(2)? },
        "list32" => Kind::List { offsets: Offsets::Narrow, ends: data(1)?, elements: child()? },
        "list64" => Kind::List { offsets: Offsets::Wide, ends: data(1)?, elements: child()? },
        "struct" => Kind::Struct(children.extract::<Vec<Array>>()?.into_iter().map(|field| field.0).collect()),
        _ => match layout.strip_prefix("dictionary-") {
            Some(kind) => Kind::Dictionary { kind: integer_of(kind)?, indices: data(1)?, values: child()?, table: Vec::new() },
            None => Kind::Integers(integer_of(layout)?, data(1)?),
        },
    })
}

fn integer_of(layout: &str) -> PyResult<Integer> {
    Ok(match layout {
        "int8" => Integer::I8,
        "int16" => Integer::I16,
        "int32" => Integer::I32,
        "int64" => Integer::I64,
        "uint8" => Integer::U8,
        "uint16" => Integer::U16,
        "uint32" => Integer::U32,
        "uint64" => Integer::U64,
        _ => return Err(PyTypeError::new_err(format!("values of layout {layout} are not known"))),
    })
}

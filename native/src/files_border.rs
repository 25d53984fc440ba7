//! What Python sees of files that are read at once.

use std::ffi::c_int;
use std::path::PathBuf;

use pyo3::exceptions::{PyBufferError, PyMemoryError};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::files::read_all;
use crate::proof;
use crate::room::{self, Room};

/// Files, one after the other with a byte more behind each; lends its bytes, which nobody can write to.
#[pyclass(frozen, module = "compactor_native")]
pub struct Files(Room);

#[pymethods]
impl Files {
    /// # Safety
    ///
    /// As Python calls it: `view` is null or can be written to.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("no view is asked for"));
        }
        let bytes: &[u8] = &slf.get().0;
        // SAFETY: `view` can be written to. The memory stays where it is, and as it is, for as long as this object lives, which the view
        // keeps alive: the class is frozen and nothing of it is ever written after it was made. It is lent for reading only.
        let failed = unsafe {
            ffi::PyBuffer_FillInfo(view, slf.as_ptr(), bytes.as_ptr().cast_mut().cast(), bytes.len() as ffi::Py_ssize_t, 1, flags)
        };
        if failed == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}

/// Files of these paths and sizes; whether each was there and of its size.
#[pyfunction]
pub fn read_files(py: Python<'_>, files: Vec<(PathBuf, usize)>, threads: usize) -> PyResult<(Files, Vec<bool>)> {
    let found = py.detach(|| read_all(&files, threads));
    found.map(|(room, whole)| (Files(room), whole)).ok_or_else(|| PyMemoryError::new_err("the files are larger than any memory"))
}

/// Gives back the memory that is kept for the next files, and for reading them.
#[pyfunction]
pub fn let_go(py: Python<'_>) {
    py.detach(|| {
        room::let_go();
        proof::let_go();
    });
}

//! What Python sees of the reader that proves: a target, and the sums of files and row groups that are held against it.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::border::Key;
use crate::fuse_border::Lent;
use crate::proof::{Footer, Plan, Refusal, RowGroup, Target, Type, Wanted, footer_of, sum_of_each, sum_of_group, sum_of_stored};

create_exception!(compactor_native, ProofRefused, PyException, "Why a file is not read natively.");

fn refused(refusal: &Refusal) -> PyErr {
    ProofRefused::new_err(refusal.to_string())
}

/// The columns of a table, and how they are found in files.
#[pyclass(frozen, module = "compactor_native")]
pub struct ProofTarget(Target);

#[pymethods]
impl ProofTarget {
    /// `key`: of the rows; each column a tuple, see compactor/rewriting/native_reader.py.
    #[new]
    fn new(key: &Key, columns: Vec<Column>, by_id: bool) -> Self {
        Self(Target { columns: columns.into_iter().map(|column| column.0).collect(), by_id, finish: key.0.finish })
    }
}

/// A column as a tuple: name, id, key, type, two numbers of the type, columns inside it, key of a map's entries.
struct Column(Wanted);

impl<'py> FromPyObject<'_, 'py> for Column {
    type Error = PyErr;

    fn extract(column: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let column = column.cast::<PyTuple>()?;
        let known = |i: usize| Ok::<_, PyErr>(Arc::clone(&column.get_item(i)?.cast::<Key>()?.get().0));
        let (bits, scale): (i32, i32) = column.get_item(4)?.extract()?;
        let mut inside = column.get_item(5)?.extract::<Vec<Self>>()?.into_iter().map(|inner| inner.0);
        let mut next = || inside.next().ok_or_else(|| PyTypeError::new_err("a column lacks what is inside it"));
        let of = match column.get_item(3)?.extract::<&str>()? {
            "boolean" => Type::Boolean,
            "integer" => Type::Integer(bits),
            "date" => Type::Date,
            "microseconds" => Type::Microseconds,
            "float" => Type::Float,
            "double" => Type::Double,
            "decimal" => Type::Decimal { precision: bits, scale },
            "text" => Type::Text,
            "bytes" => Type::Bytes,
            "list" => Type::List(Box::new(next()?)),
            "map" => Type::Map(known(6)?, Box::new([next()?, next()?])),
            "struct" => Type::Struct(inside.collect()),
            other => return Err(PyTypeError::new_err(format!("columns of type {other} are not known"))),
        };
        Ok(Self(Wanted { name: column.get_item(0)?.extract()?, id: column.get_item(1)?.extract()?, key: known(2)?, of }))
    }
}

/// The rows of each of these files, which are in memory; or why it is not read. Lets go of the interpreter while it works.
#[pyfunction]
pub fn proof_sums<'py>(
    py: Python<'py>,
    target: &ProofTarget,
    files: Vec<Bound<'py, PyAny>>,
    most_bytes: usize,
    threads: usize,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let lent = files.iter().map(Lent::of).collect::<PyResult<Vec<_>>>()?;
    let files: Vec<&[u8]> = lent.iter().map(Lent::bytes).collect();
    let found = py.detach(|| sum_of_each(&target.0, &files, most_bytes, threads));
    found
        .into_iter()
        .map(|one| match one {
            Ok(summed) => Ok(summed.into_pyobject(py)?.into_any()),
            Err(refusal) => Ok(refusal.to_string().into_pyobject(py)?.into_any()),
        })
        .collect()
}

/// A file by its footer.
#[pyclass(frozen, module = "compactor_native")]
pub struct ProofFile {
    plan: Plan,
    groups: Vec<RowGroup>,
}

#[pymethods]
impl ProofFile {
    /// `tail`: the end of the file, its whole footer included.
    #[new]
    fn new(target: &ProofTarget, tail: &Bound<'_, PyBytes>) -> PyResult<Self> {
        let read = || {
            let footer = Footer::read(footer_of(tail.as_bytes())?)?;
            Ok(Self { plan: Plan::new(footer.schema, &target.0)?, groups: footer.groups })
        };
        read().map_err(|refusal: Refusal| refused(&refusal))
    }

    #[getter]
    fn row_groups(&self) -> usize {
        self.groups.len()
    }

    /// Of a row group the begin and length of each column chunk that is read.
    fn chunks(&self, group: usize) -> PyResult<Vec<(usize, usize)>> {
        let Some(group) = self.groups.get(group) else { return Err(refused(&Refusal::new("it has not as many row groups"))) };
        let of = |column: usize| group.chunks.get(column).map(|chunk| (chunk.start, chunk.length));
        let found: Option<Vec<_>> = self.plan.leaves.iter().map(|leaf| of(leaf.column)).collect();
        found.ok_or_else(|| refused(&Refusal::new("a row group has another number of columns than the schema")))
    }

    /// The sum of the rows of a row group and how many they are. `data`: its chunks, as `chunks` tells of them. Raises ProofRefused.
    fn sum(
        &self,
        py: Python<'_>,
        target: &ProofTarget,
        group: usize,
        data: Vec<Bound<'_, PyAny>>,
        most_bytes: usize,
        threads: usize,
    ) -> PyResult<(u128, usize)> {
        let Some(group) = self.groups.get(group) else { return Err(refused(&Refusal::new("it has not as many row groups"))) };
        let lent = data.iter().map(Lent::of).collect::<PyResult<Vec<_>>>()?;
        let chunks: Vec<&[u8]> = lent.iter().map(Lent::bytes).collect();
        py.detach(|| sum_of_group(&target.0, group, &self.plan, &chunks, most_bytes, threads)).map_err(|refusal| refused(&refusal))
    }

    /// The same of a file at `path`, which is read here.
    fn sum_stored(
        &self,
        py: Python<'_>,
        target: &ProofTarget,
        group: usize,
        path: PathBuf,
        most_bytes: usize,
        threads: usize,
    ) -> PyResult<(u128, usize)> {
        let Some(group) = self.groups.get(group) else { return Err(refused(&Refusal::new("it has not as many row groups"))) };
        py.detach(|| sum_of_stored(&target.0, group, &self.plan, &path, most_bytes, threads)).map_err(|refusal| refused(&refusal))
    }
}

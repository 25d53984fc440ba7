//! The border to Python: takes arguments apart, lets go of the interpreter during work, and turns errors into exceptions.
//! Logic lives in the other modules, which know no Python.

#[cfg(feature = "python")]
#[pyo3::pymodule(name = "compactor_native")]
mod border {
    /// Raised together with compactor/rewriting/native.py whenever a function here changes.
    #[pymodule_export]
    const INTERFACE: u32 = 1;

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}

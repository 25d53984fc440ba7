//! The border to Python: takes arguments apart, lets go of the interpreter during work, and turns errors into exceptions.
//! Logic lives in the other modules, which know no Python.

mod crew;
pub mod files;
pub mod floats;
pub mod fuse;
pub mod lanes;
pub mod layout;
pub mod memory;
pub mod proof;
pub mod room;
pub mod values;
mod wide;

#[cfg(target_endian = "big")]
compile_error!("Arrow's buffers are read as little-endian.");

#[cfg(feature = "python")]
mod border;
#[cfg(feature = "python")]
mod files_border;
#[cfg(feature = "python")]
mod floats_border;
#[cfg(feature = "python")]
mod fuse_border;
#[cfg(feature = "python")]
mod proof_border;

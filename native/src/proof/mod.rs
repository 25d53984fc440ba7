//! Reads Parquet files for the proof: encoded pages in, the sum of the fingerprints of their rows out, without an array in between.
//!
//! It shares no code with the merging of pages (`fuse/`), so that a fault there cannot hide in the proof of what was merged; what a value
//! is worth is shared with `values.rs`. A file's bytes are hostile. Whatever is not understood, or does not add up, is refused with its
//! reason: Arrow reads that file then, and has the last word.

pub(crate) mod codec;
mod column;
mod counting;
mod delta;
mod eights;
mod file;
mod footer;
mod levels;
mod nested;
pub(crate) mod pages;
mod rooms;
mod schema;
mod shape;
mod single;
mod source;
mod texts;
mod thrift;
mod values;
mod wanted;

use std::fmt;

pub use file::{sum_of_each, sum_of_group, sum_of_stored};
pub use footer::{Footer, RowGroup, footer_of};
pub use rooms::let_go;
pub use schema::Plan;
pub use wanted::{Target, Type, Wanted};

/// Why a file is not read here, in words that go on from the name of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal(String);

type Result<T> = std::result::Result<T, Refusal>;

impl Refusal {
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

fn refuse<T>(why: &str) -> Result<T> {
    Err(Refusal::new(why))
}

//! Merges the row groups of many small Parquet files into one, page by page and without decoding values.
//!
//! A file's bytes are hostile. Whatever is not understood, or does not add up, is refused with its reason; nothing is guessed.

mod ahead;
mod appearance;
mod bounds;
mod buffer;
mod chain;
mod codec;
mod column;
mod delta;
mod dense;
mod group;
mod hybrid;
mod input;
mod joined;
mod levels;
mod metadata;
mod order;
mod packed;
mod page_header;
mod pages;
mod pair;
mod plain;
mod rope;
mod row_groups;
mod sample;
mod schema;
mod short;
mod snappy;
mod source;
mod thrift;
mod union;
mod values;
mod walk;
mod woven;
mod writer;

use std::fmt;

pub use bounds::Bounds;
pub use chain::{Chain, chain};
pub use codec::{Codec, Compression};
pub use group::{Group, Merge, fault, merge};
pub use schema::Match;
pub use source::{Source, Target};

const PLAIN: i32 = 0;
const PLAIN_DICTIONARY: i32 = 2;
const RLE: i32 = 3;
const DELTA_BINARY_PACKED: i32 = 5;
const DELTA_LENGTH_BYTE_ARRAY: i32 = 6;
const DELTA_BYTE_ARRAY: i32 = 7;
const RLE_DICTIONARY: i32 = 8;
const BYTE_STREAM_SPLIT: i32 = 9;

/// Where files are small, reading them is waiting for memory: that of so many inputs ahead is asked for.
const INPUTS_AHEAD: usize = 4;

const MOST_PAGE_BYTES: usize = 64 << 20;
/// What is only done from some size on is done from this part of it on where tiny files are changed to find faults.
const TINY: usize = if cfg!(feature = "fuzzing") { 512 } else { 1 };
const MOST_PAGE_VALUES: usize = 16 << 20;

/// Why something is not merged, in words that go on from the name of a file. One pointer: results that may be it, of which every number
/// read is one, then fit registers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal(Box<Box<str>>);

impl Refusal {
    #[cold]
    pub fn new(why: impl Into<Box<str>>) -> Self {
        Self(Box::new(why.into()))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

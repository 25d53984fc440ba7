//! Changes Parquet files and holds what the kernel merges of them against what another decoder reads.

pub mod chance;
pub mod change;
pub mod corpus;
pub mod judge;
pub mod model;
pub mod proof;
pub mod reference;
pub mod thrift;

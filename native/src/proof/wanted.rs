//! What is read: the columns of a table, as the proof knows them.

use std::sync::Arc;

use crate::lanes::Key;

/// The type of a column, or of what is inside one.
pub enum Type {
    Boolean,
    /// Whole numbers of so many bits.
    Integer(i32),
    Date,
    Microseconds,
    Float,
    Double,
    Decimal {
        precision: i32,
        scale: i32,
    },
    Text,
    Bytes,
    Struct(Vec<Wanted>),
    List(Box<Wanted>),
    /// By its entries: two fields, key and value. The key is that of the entry.
    Map(Arc<Key>, Box<[Wanted; 2]>),
}

/// A column, a field of a struct, or what a list holds.
pub struct Wanted {
    pub name: String,
    pub id: Option<i32>,
    pub key: Arc<Key>,
    pub of: Type,
}

/// The columns of a table, and how they are found in its files.
pub struct Target {
    pub columns: Vec<Wanted>,
    pub by_id: bool,
    pub finish: [u64; 2],
}

//! What another decoder reads of a file: the `parquet` crate, which shares no code with the kernel.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{AsBytes, DataType};
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};

const MOST_RECORDS: usize = 1 << 22;
const INT64: i32 = 2;
const INT96: i32 = 3;

/// A column: levels and values of all its rows. `shape`: physical type and largest levels.
#[derive(PartialEq, Eq, Debug)]
pub struct Leaf {
    pub path: String,
    pub shape: (i32, i16, i16),
    pub definitions: Vec<i16>,
    pub repetitions: Vec<i16>,
    /// Each value behind its length.
    pub values: Vec<u8>,
}

impl Leaf {
    /// Timestamps of 96 bits as the microseconds that outputs have instead.
    fn turn_to_micros(&mut self) {
        if self.shape.0 != INT96 {
            return;
        }
        self.shape.0 = INT64;
        let micros = |value: &[u8]| {
            let (nanoseconds, day) =
                (u64::from_le_bytes(value[4..12].try_into().unwrap()), u32::from_le_bytes(value[12..].try_into().unwrap()));
            (i128::from(day) - 2_440_588) * 86_400_000_000 + i128::from(nanoseconds / 1000)
        };
        let each =
            self.values.chunks_exact(16).map(micros).map(|moment| [&8u32.to_le_bytes()[..], &(moment as i64).to_le_bytes()].concat());
        self.values = each.collect::<Vec<_>>().concat();
    }
}

#[derive(PartialEq, Eq, Debug)]
pub struct Rows {
    pub count: usize,
    pub leaves: Vec<Leaf>,
}

impl Rows {
    pub fn leaf(&self, path: &str) -> Option<&Leaf> {
        self.leaves.iter().find(|leaf| leaf.path == path)
    }
}

/// The rows of a file, of these columns only (None: of all); None when it cannot be read.
pub fn decode(file: &[u8], wanted: Option<&Rows>) -> Option<Rows> {
    catch_unwind(AssertUnwindSafe(|| attempt(file, wanted))).ok().flatten()
}

fn attempt(file: &[u8], wanted: Option<&Rows>) -> Option<Rows> {
    let reader = SerializedFileReader::new(Bytes::copy_from_slice(file)).ok()?;
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let mut rows = Rows { count: 0, leaves: Vec::new() };
    let mut columns = Vec::new();
    for (i, column) in schema.columns().iter().enumerate() {
        let path = column.path().string();
        if wanted.is_some_and(|wanted| wanted.leaf(&path).is_none()) {
            continue;
        }
        let shape = (column.physical_type() as i32, column.max_def_level(), column.max_rep_level());
        rows.leaves.push(Leaf { path, shape, definitions: Vec::new(), repetitions: Vec::new(), values: Vec::new() });
        columns.push(i);
    }
    for i in 0..reader.num_row_groups() {
        let count = usize::try_from(reader.metadata().row_group(i).num_rows()).ok().filter(|count| *count < MOST_RECORDS)?;
        if count == 0 {
            continue;
        }
        let group = reader.get_row_group(i).ok()?;
        for (leaf, column) in rows.leaves.iter_mut().zip(&columns) {
            append(&*group, *column, count, leaf)?;
        }
        rows.count += count;
    }
    rows.leaves.iter_mut().for_each(Leaf::turn_to_micros);
    (rows.count as i64 == reader.metadata().file_metadata().num_rows()).then_some(rows)
}

fn append(group: &dyn RowGroupReader, column: usize, count: usize, leaf: &mut Leaf) -> Option<()> {
    match group.get_column_reader(column).ok()? {
        ColumnReader::BoolColumnReader(reader) => records(reader, count, leaf),
        ColumnReader::Int32ColumnReader(reader) => records(reader, count, leaf),
        ColumnReader::Int64ColumnReader(reader) => records(reader, count, leaf),
        ColumnReader::Int96ColumnReader(reader) => records(reader, count, leaf),
        ColumnReader::FloatColumnReader(reader) => records(reader, count, leaf),
        ColumnReader::DoubleColumnReader(reader) => records(reader, count, leaf),
        ColumnReader::ByteArrayColumnReader(reader) => records(reader, count, leaf),
        ColumnReader::FixedLenByteArrayColumnReader(reader) => records(reader, count, leaf),
    }
}

/// All records of a column chunk, which must be `count`.
fn records<T: DataType>(mut reader: ColumnReaderImpl<T>, count: usize, leaf: &mut Leaf) -> Option<()> {
    let (mut definitions, mut repetitions, mut values) = (Vec::new(), Vec::new(), Vec::<T::T>::new());
    let mut found = 0;
    loop {
        let (records, _, levels) =
            reader.read_records(count + 1 - found, Some(&mut definitions), Some(&mut repetitions), &mut values).ok()?;
        found += records;
        if levels == 0 || found > count {
            break;
        }
    }
    if found != count {
        return None;
    }
    leaf.definitions.extend(definitions);
    leaf.repetitions.extend(repetitions);
    for value in &values {
        let bytes = value.as_bytes();
        leaf.values.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        leaf.values.extend_from_slice(bytes);
    }
    Some(())
}

//! Small sound files: written here with every encoding, codec and page version, and those of a folder, by whatever writer.

use std::path::Path;
use std::sync::Arc;

use compactor_native::fuse::{Codec, Compression, Match, Target};
use parquet::basic::{Compression as Written, Encoding, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, Int32Type, Int64Type};
use parquet::errors::Result;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;

use crate::model::Model;
use crate::proof;
use crate::reference::{Rows, decode};
use crate::thrift::{I32, Value};

const TIMESTAMP_MICROS: i64 = 10;
const COLUMNS: [&str; 7] = [
    "required int64 id;",
    "optional int32 n;",
    "optional double x;",
    "optional binary s (UTF8);",
    "optional boolean ok;",
    "optional fixed_len_byte_array(5) d (DECIMAL(10, 2));",
    "optional group tags (LIST) { repeated group list { optional int32 element; } }",
];
/// Which of the columns the files of each schema have: few, so that a case is soon done and its change lies where something happens.
const SCHEMAS: [&[usize]; 6] = [&[0, 1], &[2], &[3], &[4, 5], &[6], &[0, 1, 2, 3, 4, 5, 6]];

pub const CODECS: [Compression; 3] = [
    Compression { codec: Codec::None, level: 0 },
    Compression { codec: Codec::Snappy, level: 0 },
    Compression { codec: Codec::Zstd, level: 1 },
];

/// A sound file.
pub struct Entry {
    pub name: String,
    pub data: Vec<u8>,
    pub rows: Rows,
    pub model: Model,
    pub family: usize,
}

/// Files of one schema, and the targets that they are merged for.
pub struct Family {
    pub footer: Value,
    pub targets: Vec<Target>,
    /// For the reader of the proof, where it knows all types.
    pub proof: Option<compactor_native::proof::Target>,
    pub members: Vec<usize>,
}

#[derive(Default)]
pub struct Corpus {
    pub entries: Vec<Entry>,
    pub families: Vec<Family>,
}

impl Corpus {
    /// What is written here.
    pub fn own() -> Self {
        let mut corpus = Self::default();
        for (family, columns) in SCHEMAS.iter().enumerate() {
            for (i, properties) in kinds().into_iter().enumerate() {
                let data = written(properties, i as i64 * 100, columns).expect("a sound file");
                corpus.add(format!("own-{family}-{i}"), data).expect("it can be read again");
            }
        }
        corpus
    }

    /// Adds the files of a folder, those of one schema as a family; those that cannot be read are passed over.
    pub fn add_folder(&mut self, folder: &Path) -> std::io::Result<()> {
        let mut paths: Vec<_> = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        for path in paths {
            let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            if self.add(name, std::fs::read(&path)?).is_none() {
                eprintln!("{} is left out: it cannot be taken apart.", path.display());
            }
        }
        Ok(())
    }

    fn add(&mut self, name: String, data: Vec<u8>) -> Option<()> {
        let rows = decode(&data, None)?;
        let model = Model::of(&data)?;
        let mut wanted = model.footer.clone();
        wanted.list_mut(2)?.iter_mut().for_each(without_96_bits);
        let known = self.families.iter().position(|family| family.footer.field(2) == wanted.field(2));
        let family = match known {
            Some(known) => known,
            None => {
                let bytes = wanted.write();
                let targets = CODECS.iter().map(|by| Target::new(&bytes, Match::Name, *by).ok()).collect::<Option<Vec<_>>>()?;
                let proof = proof::target(&wanted);
                self.families.push(Family { footer: wanted, targets, proof, members: Vec::new() });
                self.families.len() - 1
            }
        };
        self.families[family].members.push(self.entries.len());
        self.entries.push(Entry { name, data, rows, model, family });
        Some(())
    }
}

/// Outputs have timestamps in microseconds where a file has them in 96 bits.
fn without_96_bits(element: &mut Value) {
    if let Value::Struct(fields) = element
        && let Some((_, physical @ Value::Int(_, 3))) = fields.iter_mut().find(|(id, _)| *id == 1)
    {
        *physical = Value::Int(I32, 2);
        fields.retain(|(id, _)| *id != 6 && *id != 10);
        fields.push((6, Value::Int(I32, TIMESTAMP_MICROS)));
        fields.sort_by_key(|(id, _)| *id);
    }
}

fn kinds() -> Vec<WriterPropertiesBuilder> {
    let plain = || WriterProperties::builder().set_dictionary_enabled(false);
    let dictionary = WriterProperties::builder;
    let deltas = || {
        let of = |name: &str| ColumnPath::from(name);
        plain()
            .set_column_encoding(of("id"), Encoding::DELTA_BINARY_PACKED)
            .set_column_encoding(of("n"), Encoding::DELTA_BINARY_PACKED)
            .set_column_encoding(of("x"), Encoding::BYTE_STREAM_SPLIT)
            .set_column_encoding(of("s"), Encoding::DELTA_BYTE_ARRAY)
    };
    let second = WriterVersion::PARQUET_2_0;
    vec![
        dictionary().set_compression(Written::SNAPPY),
        plain().set_compression(Written::SNAPPY),
        dictionary().set_compression(Written::ZSTD(ZstdLevel::default())).set_writer_version(second),
        plain(),
        plain().set_statistics_enabled(EnabledStatistics::None).set_data_page_row_count_limit(10).set_write_batch_size(5),
        dictionary(),
        dictionary().set_writer_version(second).set_data_page_row_count_limit(10).set_write_batch_size(5),
        deltas(),
        deltas().set_column_encoding(ColumnPath::from("s"), Encoding::DELTA_LENGTH_BYTE_ARRAY).set_writer_version(second),
        dictionary().set_dictionary_page_size_limit(20).set_write_batch_size(5).set_data_page_row_count_limit(10),
        dictionary().set_compression(Written::LZ4_RAW),
        dictionary().set_compression(Written::GZIP(Default::default())).set_writer_version(second),
    ]
}

/// A file of two row groups with some of the columns.
fn written(properties: WriterPropertiesBuilder, first: i64, wanted: &[usize]) -> Result<Vec<u8>> {
    let columns: String = wanted.iter().map(|i| COLUMNS[*i]).collect();
    let schema = Arc::new(parse_message_type(&format!("message m {{ {columns} }}"))?);
    let properties = properties.set_created_by("parquet-rs version 60.1.0".into()).build();
    let mut data = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut data, schema, Arc::new(properties))?;
    for (start, rows) in [(first, 23), (first + 23, 9)] {
        let mut group = writer.next_row_group()?;
        for column in wanted {
            write(&mut group, *column, start, rows)?;
        }
        group.close()?;
    }
    writer.close()?;
    Ok(data)
}

fn write<W: std::io::Write + Send>(group: &mut SerializedRowGroupWriter<'_, W>, column: usize, start: i64, rows: i64) -> Result<()> {
    let ids: Vec<i64> = (start..start + rows).collect();
    let step = [1000, 6, 9, 4, 1000, 5, 1][column];
    let levels: Vec<i16> = ids.iter().map(|id| i16::from(id % step != 1)).collect();
    let some: Vec<i64> = ids.iter().copied().filter(|id| id % step != 1).collect();
    let mut writer = group.next_column()?.expect("as many columns as the schema has");
    match column {
        0 => writer.typed::<Int64Type>().write_batch(&ids, None, None)?,
        1 => {
            let values: Vec<i32> = some.iter().map(|id| (id % 5) as i32).collect();
            writer.typed::<Int32Type>().write_batch(&values, Some(&levels), None)?
        }
        2 => {
            let values: Vec<f64> = some.iter().map(|id| [0.5, -0.0, f64::NAN, 1e9][(id % 4) as usize]).collect();
            writer.typed::<DoubleType>().write_batch(&values, Some(&levels), None)?
        }
        3 => {
            let values: Vec<ByteArray> = some.iter().map(|id| "wörter".repeat((id % 4) as usize).as_str().into()).collect();
            writer.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?
        }
        4 => {
            let values: Vec<bool> = some.iter().map(|id| id % 3 == 0).collect();
            writer.typed::<BoolType>().write_batch(&values, Some(&levels), None)?
        }
        5 => {
            let bytes = some.iter().map(|id| ByteArray::from((id % 7 - 3).to_be_bytes()[3..].to_vec()));
            let values: Vec<FixedLenByteArray> = bytes.map(FixedLenByteArray::from).collect();
            writer.typed::<FixedLenByteArrayType>().write_batch(&values, Some(&levels), None)?
        }
        _ => {
            let (definitions, repetitions, elements) = lists(&ids);
            writer.typed::<Int32Type>().write_batch(&elements, Some(&definitions), Some(&repetitions))?
        }
    };
    writer.close()
}

/// Levels and elements of lists: null, empty, and some of whose elements are null.
fn lists(ids: &[i64]) -> (Vec<i16>, Vec<i16>, Vec<i32>) {
    let (mut definitions, mut repetitions, mut elements) = (Vec::new(), Vec::new(), Vec::new());
    for id in ids {
        let length = id % 5 - 1;
        if length < 1 {
            definitions.push((length + 1) as i16);
            repetitions.push(0);
        }
        for i in 0..length {
            let defined = (id + i) % 3 > 0;
            definitions.push(if defined { 3 } else { 2 });
            repetitions.push(i16::from(i > 0));
            elements.extend(defined.then_some((id + i) as i32));
        }
    }
    (definitions, repetitions, elements)
}

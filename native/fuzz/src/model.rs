//! A Parquet file taken apart into its footer and pages, and put together again with all places right.

use crate::thrift::{Value, read};

const MAGIC: &[u8; 4] = b"PAR1";

/// A page: its header, and its bytes as they are stored.
#[derive(Clone)]
pub struct Page {
    pub header: Value,
    pub body: Vec<u8>,
}

/// `chunks`: the pages of each column of each row group, row group after row group.
#[derive(Clone)]
pub struct Model {
    pub footer: Value,
    pub chunks: Vec<Vec<Page>>,
}

/// The bytes of the footer, and where they begin.
pub fn footer(file: &[u8]) -> Option<(&[u8], usize)> {
    let end = file.len().checked_sub(8)?;
    let length = u32::from_le_bytes(file[end..end + 4].try_into().ok()?) as usize;
    let start = end.checked_sub(length)?;
    Some((&file[start..end], start))
}

/// A file of these bytes before its footer.
pub fn closed(mut data: Vec<u8>, footer: &Value) -> Vec<u8> {
    let bytes = footer.write();
    data.extend_from_slice(&bytes);
    data.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    data.extend_from_slice(MAGIC);
    data
}

impl Model {
    pub fn of(file: &[u8]) -> Option<Self> {
        let (footer, _) = read(footer(file)?.0)?;
        let mut chunks = Vec::new();
        for group in footer.list(4) {
            for column in group.list(1) {
                let meta = column.field(3)?;
                let start = meta.int(11).filter(|at| *at > 0).map_or(meta.int(9)?, |at| at.min(meta.int(9).unwrap_or(at)));
                let end = start.checked_add(meta.int(7)?)?;
                chunks.push(pages(file.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)?)?);
            }
        }
        Some(Self { footer, chunks })
    }

    pub fn write(&self) -> Vec<u8> {
        let (mut data, mut footer) = (MAGIC.to_vec(), self.footer.clone());
        let mut chunks = self.chunks.iter();
        for group in footer.list_mut(4).into_iter().flatten() {
            for column in group.list_mut(1).into_iter().flatten() {
                let Some(pages) = chunks.next() else { break };
                let start = data.len();
                let mut first_data = start;
                for page in pages {
                    if page.header.int(1) == Some(2) {
                        first_data = data.len();
                    }
                    data.extend_from_slice(&page.header.write());
                    data.extend_from_slice(&page.body);
                    if page.header.int(1) == Some(2) {
                        first_data = data.len();
                    }
                }
                (4..8).for_each(|index| column.drop_field(index));
                if let Some(meta) = column.field_mut(3) {
                    meta.put(7, (data.len() - start) as i64);
                    meta.put(9, first_data as i64);
                    meta.put(11, start as i64);
                }
            }
        }
        closed(data, &footer)
    }
}

fn pages(mut data: &[u8]) -> Option<Vec<Page>> {
    let mut found = Vec::new();
    while !data.is_empty() {
        let (header, length) = read(data)?;
        let end = length.checked_add(usize::try_from(header.int(3)?).ok()?)?;
        found.push(Page { body: data.get(length..end)?.to_vec(), header });
        data = &data[end..];
    }
    Some(found)
}

//! One row group of the row groups of many files: columns are merged each by itself, by several threads, and told of in Thrift.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use super::Refusal;
use super::bounds::Bounds;
use super::codec::Compression;
use super::column::merge as merge_column;
use super::input::{Input, Options};
use super::metadata::Statistics;
use super::order::Order;
use super::pages::{Chunk, expect_headers};
use super::schema::{Leaf, Place};
use super::source::{Source, Target};
use super::thrift::Writer;
use super::writer::Column;
use super::{INPUTS_AHEAD, PLAIN, RLE};
use crate::crew::each;

/// How to merge. `bounds`: of each leaf, whether its bounds must be found where footers do not tell them.
pub struct Merge<'a> {
    pub target: &'a Target,
    pub bounds: &'a [bool],
    pub verify: bool,
    pub threads: usize,
}

/// A row group: the bytes of its columns, one after the other, and what footers and indexes say of them.
pub struct Group {
    pub rows: usize,
    pub columns: Vec<Column>,
    leaves: Vec<Leaf>,
    compression: Compression,
}

static NOTHING_KNOWN: Statistics =
    Statistics { null_count: None, minimum: None, maximum: None, minimum_exact: None, maximum_exact: None, old: [None; 2] };

type Refused = (usize, Refusal);

/// Of a value of which not a byte is stored, in bytes that take as long.
const COST_OF_VALUE: usize = 8;

/// The rows of all sources in their order, as one row group; or which source it cannot be made of and why.
pub fn merge(how: &Merge<'_>, sources: &[(&Source, &[u8])]) -> Result<Group, Refused> {
    let leaves = &how.target.leaves;
    let order = largest_first(leaves.len(), sources);
    let stop = AtomicBool::new(false);
    let mut done: Vec<(usize, Option<Result<Column, Refused>>)> = each(how.threads, leaves.len(), |i| {
        let leaf = order[i];
        if stop.load(Ordering::Relaxed) {
            return (leaf, None);
        }
        let found = catch_unwind(AssertUnwindSafe(|| one_column(how, sources, leaf))).unwrap_or_else(|_| Err((0, fault())));
        stop.fetch_or(found.is_err(), Ordering::Relaxed);
        (leaf, Some(found))
    });
    done.sort_unstable_by_key(|(leaf, _)| *leaf);
    let refused = |found: &(usize, Option<Result<Column, Refused>>)| found.1.as_ref().and_then(|column| column.as_ref().err()).cloned();
    if let Some(refused) = done.iter().find_map(refused) {
        return Err(refused);
    }
    let columns: Vec<Column> = done.into_iter().filter_map(|(_, column)| column.and_then(Result::ok)).collect();
    let rows = sources.iter().map(|(source, _)| source.rows).sum();
    Ok(Group { rows, columns, leaves: leaves.clone(), compression: how.target.compression })
}

/// What is said of a file that makes the kernel panic.
pub fn fault() -> Refusal {
    Refusal::new("the kernel has a fault that one of the files brings out")
}

/// The leaves in the order in which they are merged: what takes longest begins first, so that no thread is left with it at the end.
fn largest_first(leaves: usize, sources: &[(&Source, &[u8])]) -> Vec<usize> {
    let mut costs = vec![0usize; leaves];
    for (source, _) in sources {
        for (cost, place) in costs.iter_mut().zip(source.places.iter()) {
            let Place::At { column, .. } = place else { continue };
            for chunk in source.row_groups.iter().map(|group| &group.columns[*column]) {
                *cost = chunk.values.saturating_mul(COST_OF_VALUE).saturating_add(chunk.length).saturating_add(*cost);
            }
        }
    }
    let mut order: Vec<usize> = (0..leaves).collect();
    order.sort_by_key(|leaf| std::cmp::Reverse(costs[*leaf]));
    order
}

fn one_column(how: &Merge<'_>, sources: &[(&Source, &[u8])], leaf: usize) -> Result<Column, Refused> {
    let order = Order::of(how.target.leaves[leaf].physical, &how.target.leaves[leaf].meaning);
    let mut inputs = Vec::new();
    let mut of_source = Vec::new();
    for (i, (source, data)) in sources.iter().enumerate() {
        if let Some((coming, data)) = sources.get(i + INPUTS_AHEAD) {
            expect_column(coming, data, leaf);
        }
        for group in &source.row_groups {
            let place = &source.places[leaf];
            let (chunk, statistics, trusted) = match place {
                Place::Missing => (None, &NOTHING_KNOWN, false),
                Place::At { column, .. } => {
                    let stored = &group.columns[*column];
                    let chunk = Chunk::scan(data, stored).map_err(|refusal| (i, refusal))?;
                    let right = if order == Order::SignedBytes { source.decimals_right } else { source.right };
                    let ordered = right && source.ordered.get(*column).copied().unwrap_or(false);
                    (Some(chunk), &stored.statistics, ordered)
                }
            };
            inputs.push(Input { source: i, rows: group.rows, place, chunk, statistics, trusted });
            of_source.push(i);
        }
    }
    let options = Options { by: how.target.compression, bounds: how.bounds.get(leaf).copied().unwrap_or(true), verify: how.verify };
    merge_column(&how.target.leaves[leaf], &inputs, options).map_err(|(i, refusal)| (of_source.get(i).copied().unwrap_or(0), refusal))
}

/// Asks for the memory of the pages' headers of a leaf.
fn expect_column(source: &Source, data: &[u8], leaf: usize) {
    let (Place::At { column, .. }, [group, ..]) = (&source.places[leaf], &source.row_groups[..]) else { return };
    expect_headers(data, &group.columns[*column]);
}

impl Group {
    pub fn size_bytes(&self) -> usize {
        self.columns.iter().map(|column| column.bytes.len()).sum()
    }

    /// Fills `out` with its bytes from `start` on. `source`: the bytes of a source, by its place among those that were merged. None when
    /// there are not as many, or the sources are others.
    pub fn copy<'a>(&self, start: usize, out: &mut [u8], source: impl Fn(usize) -> Option<&'a [u8]>) -> Option<()> {
        let (mut begin, mut done) = (0, 0);
        for column in &self.columns {
            let end = begin + column.bytes.len();
            if start + done < end && done < out.len() {
                let n = (end - start - done).min(out.len() - done);
                column.bytes.copy(start + done - begin, &mut out[done..done + n], &source)?;
                done += n;
            }
            begin = end;
        }
        (done == out.len()).then_some(())
    }

    /// Where each column begins, of a row group that begins at `base`.
    fn starts(&self, base: u64) -> impl Iterator<Item = u64> {
        self.columns.iter().scan(base, |at, column| {
            let start = *at;
            *at += column.bytes.len() as u64;
            Some(start)
        })
    }

    /// The RowGroup of a footer, of a file in which its bytes begin at `base`.
    pub fn row_group(&self, base: u64) -> Vec<u8> {
        let starts: Vec<u64> = self.starts(base).collect();
        let each: Vec<usize> = (0..self.columns.len()).collect();
        let mut w = Writer::default();
        w.begin();
        w.structs(1, &each, |w, i| {
            w.int64(2, 0);
            w.begin_struct(3);
            self.column_metadata(w, *i, starts[*i]);
            w.end();
        });
        w.int64(2, self.columns.iter().map(|column| column.uncompressed as i64).sum());
        w.int64(3, self.rows as i64);
        w.int64(5, base as i64);
        w.int64(6, self.columns.iter().map(|column| column.bytes.len() as i64).sum());
        w.end();
        w.out
    }

    fn column_metadata(&self, w: &mut Writer, i: usize, start: u64) {
        let (column, leaf) = (&self.columns[i], &self.leaves[i]);
        let mut encodings: Vec<i32> = column.encodings.iter().map(|(encoding, _)| *encoding).chain([RLE]).collect();
        if column.dictionary {
            encodings.push(PLAIN);
        }
        encodings.sort_unstable();
        encodings.dedup();
        w.int32(1, leaf.physical.number());
        w.int32s(2, &encodings);
        w.binaries(3, &leaf.path);
        w.int32(4, self.compression.codec.number());
        w.int64(5, column.values as i64);
        w.int64(6, column.uncompressed as i64);
        w.int64(7, column.bytes.len() as i64);
        w.int64(9, (start + column.data_offset as u64) as i64);
        if column.dictionary {
            w.int64(11, start as i64);
        }
        w.begin_struct(12);
        w.int64(3, column.nulls as i64);
        if let (true, Bounds::Within { minimum, maximum, minimum_exact, maximum_exact }) = (self.order(i).in_footer(), &column.bounds) {
            w.binary(5, maximum);
            w.binary(6, minimum);
            w.boolean(7, *maximum_exact);
            w.boolean(8, *minimum_exact);
        }
        w.end();
        let pages: Vec<(i32, i32, usize)> = column
            .dictionary
            .then_some((2, PLAIN, 1))
            .into_iter()
            .chain(column.encodings.iter().map(|(encoding, pages)| (0, *encoding, *pages)))
            .collect();
        w.structs(13, &pages, |w, (kind, encoding, pages)| {
            w.int32(1, *kind);
            w.int32(2, *encoding);
            w.int32(3, *pages as i32);
        });
    }

    fn order(&self, i: usize) -> Order {
        Order::of(self.leaves[i].physical, &self.leaves[i].meaning)
    }

    /// The OffsetIndex of each column.
    pub fn offset_indexes(&self, base: u64) -> Vec<Vec<u8>> {
        let each = self.columns.iter().zip(self.starts(base));
        each.map(|(column, start)| {
            let mut w = Writer::default();
            w.begin();
            w.structs(1, &column.locations, |w, page| {
                w.int64(1, (start + page.offset as u64) as i64);
                w.int32(2, page.size as i32);
                w.int64(3, page.first_row as i64);
            });
            w.end();
            w.out
        })
        .collect()
    }

    /// The ColumnIndex of each column, where the bounds of all its pages are known.
    pub fn column_indexes(&self) -> Vec<Option<Vec<u8>>> {
        self.columns.iter().enumerate().map(|(i, column)| self.column_index(column, self.order(i))).collect()
    }

    fn column_index(&self, column: &Column, order: Order) -> Option<Vec<u8>> {
        if !order.in_footer() {
            return None;
        }
        let (mut empty, mut low, mut high): (Vec<bool>, Vec<&[u8]>, Vec<&[u8]>) = (Vec::new(), Vec::new(), Vec::new());
        for page in &column.facts {
            let (minimum, maximum): (&[u8], &[u8]) = match &page.bounds {
                Bounds::Unknown => return None,
                Bounds::Empty => (&[], &[]),
                Bounds::Within { minimum, maximum, .. } => (minimum, maximum),
            };
            empty.push(page.bounds == Bounds::Empty);
            low.push(minimum);
            high.push(maximum);
        }
        let nulls: Vec<i64> = column.facts.iter().map(|page| page.nulls as i64).collect();
        let mut w = Writer::default();
        w.begin();
        w.booleans(1, &empty);
        w.binaries(2, &low);
        w.binaries(3, &high);
        w.int32(4, 0);
        w.int64s(5, &nulls);
        w.end();
        Some(w.out)
    }
}

//! What footers say of row groups and their column chunks. How a column chunk begins, with its types, encodings and path, is the same in files
//! that one writer has made, and is not read again.

use super::Refusal;
use super::metadata::{ColumnChunk, RowGroup, Statistics, missing};
use super::thrift::{Field, Reader};

type Result<T> = std::result::Result<T, Refusal>;

/// How a column chunk is stored up to its codec, and what that says.
#[derive(Clone, Default, Debug)]
pub struct Head {
    stored: Vec<u8>,
    types: Types,
}

#[derive(Clone, Copy, Default, Debug)]
struct Types {
    physical: i32,
    codec: i32,
}

/// How the columns of a file begin: as in the file before, or as they are seen to.
pub enum Heads<'a> {
    Known(&'a [Head]),
    Seen(Vec<Head>),
}

impl Heads<'_> {
    pub fn seen(self) -> Vec<Head> {
        match self {
            Self::Known(_) => Vec::new(),
            Self::Seen(seen) => seen,
        }
    }

    /// What column `i` begins with, which is passed over, if it is what is known.
    fn pass(&self, i: usize, r: &mut Reader<'_>) -> Option<Types> {
        let Self::Known(known) = self else { return None };
        known.get(i).filter(|head| r.pass(&head.stored)).map(|head| head.types)
    }

    fn see(&mut self, i: usize, head: Option<(&[u8], Types)>) {
        match self {
            Self::Seen(seen) if seen.len() == i => {
                seen.push(head.map_or_else(Head::default, |(stored, types)| Head { stored: stored.to_vec(), types }))
            }
            _ => {}
        }
    }
}

pub fn row_group(r: &mut Reader<'_>, heads: &mut Heads<'_>) -> Result<RowGroup> {
    let (mut columns, mut rows) = (None, None);
    r.fields(|r, field| {
        match field.id {
            1 => {
                let mut i = 0;
                columns = Some(r.structs(field, |r| {
                    i += 1;
                    column_chunk(r, i - 1, heads)
                })?);
            }
            3 => rows = Some(r.size64(field)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(RowGroup {
        columns: columns.ok_or_else(|| missing("the columns of a row group"))?,
        rows: rows.ok_or_else(|| missing("the rows of a row group"))?,
    })
}

fn column_chunk(r: &mut Reader<'_>, i: usize, heads: &mut Heads<'_>) -> Result<ColumnChunk> {
    let (mut found, mut last, start) = (None, 0, r.at);
    if let Some(types) = heads.pass(i, r) {
        (found, last) = (Some(column_metadata(r, Some(types))?.0), 3);
    }
    r.fields_behind(last, |r, field| {
        match field.id {
            1 => return Err(Refusal::new("a column of it is in another file")),
            3 => {
                field.is_struct()?;
                let (chunk, head) = column_metadata(r, None)?;
                heads.see(i, head.map(|(end, types)| (&r.since(start)[..end - start], types)));
                found = Some(chunk);
            }
            8 | 9 => return Err(Refusal::new("it is encrypted")),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    found.ok_or_else(|| missing("what a column chunk is"))
}

/// A column chunk, and where its types are told, if that is ahead of everything else. `known`: these, where the reader is behind them.
fn column_metadata(r: &mut Reader<'_>, known: Option<Types>) -> Result<(ColumnChunk, Option<(usize, Types)>)> {
    let (mut physical, mut codec) = (known.map(|types| types.physical), known.map(|types| types.codec));
    let (mut values, mut length, mut data, mut dictionary) = (None, None, None, None);
    let (mut found, mut head, mut ahead) = (Statistics::default(), None, true);
    r.fields_behind(if known.is_some() { 4 } else { 0 }, |r, field| {
        ahead &= field.id <= 4;
        match field.id {
            1 => physical = Some(r.int32(field)?),
            4 => {
                let codec = *codec.insert(r.int32(field)?);
                head = physical.filter(|_| ahead).map(|physical| (r.at, Types { physical, codec }));
            }
            5 => values = Some(r.size64(field)?),
            7 => length = Some(r.size64(field)?),
            9 => data = Some(r.size64(field)?),
            11 => dictionary = Some(r.size64(field)?),
            12 => found = statistics(r, field)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let data = data.ok_or_else(|| missing("where a column is"))?;
    let chunk = ColumnChunk {
        physical: physical.ok_or_else(|| missing("a physical type"))?,
        codec: codec.ok_or_else(|| missing("a codec"))?,
        values: values.ok_or_else(|| missing("a number of values"))?,
        start: dictionary.filter(|at| (4..data).contains(at)).unwrap_or(data),
        data,
        length: length.ok_or_else(|| missing("the size of a column"))?,
        statistics: found,
    };
    Ok((chunk, head))
}

fn statistics(r: &mut Reader<'_>, field: Field) -> Result<Statistics> {
    let mut found = Statistics::default();
    r.nested(field, |r, field| {
        match field.id {
            1 | 2 => found.old[field.id as usize - 1] = Some(r.binary(field)?.len()),
            3 => found.null_count = Some(r.size64(field)?),
            5 => found.maximum = Some(r.binary(field)?.into()),
            6 => found.minimum = Some(r.binary(field)?.into()),
            7 => found.maximum_exact = Some(field.truth()?),
            8 => found.minimum_exact = Some(field.truth()?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::metadata::{Familiar, Footer, Orders, Schema};
    use super::super::thrift::{Writer, kind};
    use super::*;

    /// A footer of one column. `fields`: those of its metadata in their order, some of them known by a number.
    fn footer(fields: &[(i16, i64)], orders: usize) -> Vec<u8> {
        let mut w = Writer::default();
        w.begin();
        w.structs(2, &[()], |w, ()| w.binary(4, b"root"));
        w.int64(3, 9);
        w.structs(4, &[(), ()], |w, ()| {
            w.structs(1, &[()], |w, ()| {
                w.int64(2, 0);
                w.begin_struct(3);
                for (id, value) in fields {
                    match id {
                        1 | 4 => w.int32(*id, *value as i32),
                        2 => w.int32s(2, &[*value as i32]),
                        3 => w.binaries(3, &[value.to_le_bytes()]),
                        12 => {
                            w.begin_struct(12);
                            w.int64(3, *value);
                            w.end();
                        }
                        _ => w.int64(*id, *value),
                    }
                }
                w.end();
            });
            w.int64(3, 9);
        });
        if orders > 0 {
            w.structs(7, &vec![(); orders], |w, ()| {
                w.begin_struct(1);
                w.end();
            });
        }
        w.end();
        w.out
    }

    fn familiar(footer: &Footer<'_>) -> Familiar {
        let Schema::Read { stored, .. } = footer.schema else { panic!("not read") };
        let orders = Orders { ordered: footer.orders.ordered.clone(), stored: footer.orders.stored.to_vec() };
        Familiar { schema: stored.to_vec(), heads: footer.heads.clone(), orders }
    }

    #[test]
    fn a_footer_says_the_same_whichever_was_read_before() {
        let usual = [(1, 2), (2, 8), (3, 70), (4, 1), (5, 9), (7, 100), (9, 4), (12, 0)];
        let changed = |i: usize, value: (i16, i64)| usual.iter().enumerate().map(|(k, old)| if k == i { value } else { *old }).collect();
        let moved = |from: usize, to: usize| {
            let mut fields = usual.to_vec();
            let field = fields.remove(from);
            fields.insert(to, field);
            fields
        };
        let mut columns: Vec<Vec<(i16, i64)>> = vec![usual.to_vec(), moved(0, 3), moved(0, 4), moved(4, 0), moved(7, 1), moved(3, 7)];
        columns
            .extend([(0, (1, 6)), (1, (2, 3)), (2, (3, 71)), (3, (4, 6)), (4, (5, 300)), (7, (12, 5))].map(|(i, value)| changed(i, value)));
        columns.push([(1, 5)].iter().chain(&usual).chain(&[(4, 6), (1, 1)]).copied().collect());
        let footers: Vec<Vec<u8>> = columns.iter().flat_map(|fields| [0, 1, 2].map(|orders| footer(fields, orders))).collect();
        for first in &footers {
            let known = familiar(&Footer::parse(first, None).expect("a footer"));
            for second in &footers {
                let (alone, after) =
                    (Footer::parse(second, None).expect("a footer"), Footer::parse(second, Some(&known)).expect("a footer"));
                assert!(matches!(after.schema, Schema::Known));
                assert_eq!(format!("{:?}", after.row_groups), format!("{:?}", alone.row_groups));
                assert_eq!(after.orders.ordered, alone.orders.ordered);
            }
        }
    }

    #[test]
    fn what_a_column_begins_with_is_known_up_to_its_codec() {
        let read = footer(&[(1, 2), (2, 8), (3, 70), (4, 1), (5, 9), (7, 100), (9, 4)], 0);
        let heads = Footer::parse(&read, None).expect("a footer").heads;
        let [Head { stored, types: Types { physical: 2, codec: 1 } }] = &heads[..] else { panic!("not known") };
        assert_eq!(stored[..4], [0x26, 0, 0x10 | kind::STRUCT, 0x10 | kind::I32]);
        assert_eq!(stored[stored.len() - 2..], [0x10 | kind::I32, 2]);
    }
}

//! Changes to a file: to bytes before its footer, to pages taken apart, or to its footer. Places and sizes are made right again where that
//! brings a change to where it is looked at.

use crate::chance::Chance;
use crate::model::{Model, Page, closed, footer};
use crate::thrift::Value;

const STRIKING: [i64; 14] = [0, 1, -1, 2, 7, 8, 127, 128, 255, 65_535, i32::MAX as i64, i32::MIN as i64, i64::MAX, i64::MIN];

/// A file with something in it changed. `model`: the same file, taken apart.
pub fn changed(file: &[u8], model: &Model, chance: &mut Chance) -> Vec<u8> {
    match chance.below(10) {
        0..3 => bytes(file, chance),
        3..8 => {
            let mut model = model.clone();
            for _ in 0..chance.of(&[1, 1, 1, 2, 3]) {
                page(&mut model, chance);
            }
            model.write()
        }
        _ => of_footer(file, model, chance),
    }
}

/// Bytes anywhere before the footer.
fn bytes(file: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut data = file.to_vec();
    let end = footer(file).map_or(data.len(), |(_, start)| start);
    for _ in 0..chance.of(&[1, 1, 1, 2, 4]) {
        poke(&mut data[4.min(end)..end], chance);
    }
    data
}

/// Changes a few bytes without moving any.
fn poke(data: &mut [u8], chance: &mut Chance) {
    if data.is_empty() {
        return;
    }
    let (at, other) = (chance.below(data.len()), chance.below(data.len()));
    match chance.below(5) {
        0 => data[at] ^= 1 << chance.below(8),
        1 => data[at] = chance.of(&[0, 1, 2, 3, 4, 5, 127, 128, 255]),
        2 => data[at] = data[at].wrapping_add(chance.of(&[1, 255, 2, 254])),
        3 => data[at] = data[other],
        _ => {
            let n = chance.below(9).min(data.len() - at.max(other));
            data.copy_within(other..other + n, at);
        }
    }
}

/// One page of a file: its header, or what it holds, decompressed for that and compressed again.
fn page(model: &mut Model, chance: &mut Chance) {
    let filled: Vec<usize> = (0..model.chunks.len()).filter(|i| !model.chunks[*i].is_empty()).collect();
    if filled.is_empty() {
        return;
    }
    let chunk = chance.of(&filled);
    let codec = codec_of(&model.footer, chunk);
    let pages = &mut model.chunks[chunk];
    let at = chance.below(pages.len());
    match chance.below(12) {
        0..3 => node(&mut pages[at].header, chance),
        3 => {
            let twin = pages[at].clone();
            pages.insert(at, twin);
        }
        4 => {
            pages.remove(at);
        }
        5 => {
            let other = chance.below(pages.len());
            pages.swap(at, other);
        }
        _ => {
            let page = &mut pages[at];
            page.header.drop_field(4);
            body(page, codec, chance);
        }
    }
}

fn body(page: &mut Page, codec: i64, chance: &mut Chance) {
    let apart = page.header.int(1) == Some(3); // levels of version 2 are not compressed
    let v2 = page.header.field(8);
    let levels = v2.map_or(0, |v2| v2.int(5).unwrap_or(0).saturating_add(v2.int(6).unwrap_or(0))).max(0) as usize;
    let levels = if apart { levels.min(page.body.len()) } else { 0 };
    let packed = !matches!(v2.and_then(|v2| v2.field(7)), Some(Value::Bool(false)));
    let size = page.header.int(2).unwrap_or(0).max(0) as usize;
    let stored = page.body.split_off(levels);
    let codec = if packed { codec } else { 0 };
    let Some(values) = decompressed(codec, &stored, size.saturating_sub(levels)) else {
        page.body.extend(stored);
        poke(&mut page.body, chance);
        return;
    };
    let mut data = std::mem::take(&mut page.body);
    data.extend(values);
    let near = data.len().min(24);
    for _ in 0..chance.of(&[1, 1, 2, 3]) {
        let near = near.min(data.len());
        match chance.below(8) {
            0..4 => poke(&mut data[..near], chance),
            4 | 5 => poke(&mut data, chance),
            6 => data.insert(chance.below(data.len() + 1), chance.of(&[0, 1, 2, 3, 128, 255])),
            _ if data.is_empty() => {}
            _ => {
                data.remove(chance.below(data.len()));
            }
        }
    }
    let levels = levels.min(data.len());
    let values = data.split_off(levels);
    page.header.put(2, (data.len() + values.len()) as i64);
    data.extend(compressed(codec, &values));
    page.header.put(3, data.len() as i64);
    page.body = data;
}

fn codec_of(footer: &Value, chunk: usize) -> i64 {
    let columns = footer.list(4).iter().flat_map(|group| group.list(1));
    columns.into_iter().nth(chunk).and_then(|column| column.field(3)?.int(4)).unwrap_or(0)
}

fn decompressed(codec: i64, data: &[u8], size: usize) -> Option<Vec<u8>> {
    match codec {
        0 => Some(data.to_vec()),
        1 => snap::raw::Decoder::new().decompress_vec(data).ok(),
        6 => zstd::bulk::decompress(data, size.min(1 << 20)).ok(),
        _ => None,
    }
}

fn compressed(codec: i64, data: &[u8]) -> Vec<u8> {
    match codec {
        1 => snap::raw::Encoder::new().compress_vec(data).unwrap_or_default(),
        6 => zstd::bulk::compress(data, 1).unwrap_or_default(),
        _ => data.to_vec(),
    }
}

fn of_footer(file: &[u8], model: &Model, chance: &mut Chance) -> Vec<u8> {
    let start = footer(file).map_or(4, |(_, start)| start);
    let mut tree = model.footer.clone();
    for _ in 0..chance.of(&[1, 1, 1, 2]) {
        node(&mut tree, chance);
    }
    let mut file = closed(file[..start].to_vec(), &tree);
    if chance.below(8) == 0 {
        let end = file.len();
        poke(&mut file[start..end], chance);
    }
    file
}

/// One value of a tree.
fn node(tree: &mut Value, chance: &mut Chance) {
    let place = chance.below(tree.count());
    match tree.at(place) {
        Value::Bool(truth) => *truth = !*truth,
        Value::Byte(byte) => *byte = byte.wrapping_add(chance.of(&[1, 255, 8])),
        Value::Int(_, value) => {
            *value = match chance.below(4) {
                0 => chance.of(&STRIKING),
                1 => value.wrapping_add(chance.of(&[1, -1, 8, -8])),
                2 => chance.below(16) as i64,
                _ => value.wrapping_mul(2),
            }
        }
        Value::Double(bytes) => poke(bytes, chance),
        Value::Binary(bytes) => match chance.below(3) {
            0 => bytes.push(b'x'),
            1 => bytes.clear(),
            _ => poke(bytes, chance),
        },
        Value::List(_, values) if values.is_empty() => {}
        Value::List(_, values) => {
            let (at, other) = (chance.below(values.len()), chance.below(values.len()));
            match chance.below(3) {
                0 => values.swap(at, other),
                1 => values.insert(other, values[at].clone()),
                _ => {
                    values.remove(at);
                }
            }
        }
        Value::Struct(fields) if fields.is_empty() => {}
        Value::Struct(fields) => {
            let at = chance.below(fields.len());
            if chance.below(4) == 0 {
                fields.remove(at);
            } else {
                node(&mut fields[at].1, chance);
            }
        }
    }
}

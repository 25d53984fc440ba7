//! Compression, and how compressed pieces are joined without being decompressed: raw Snappy streams are a length and elements, whose
//! elements may follow each other; Zstandard frames may follow each other as they are.

use std::borrow::Cow;
use std::io::Read;

use super::Refusal;
use super::thrift::{Reader, write_varint};

type Result<T> = std::result::Result<T, Refusal>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Codec {
    None,
    Snappy,
    Gzip,
    Zstd,
    Lz4Raw,
}

impl Codec {
    pub fn of(number: i32) -> Result<Self> {
        Ok(match number {
            0 => Self::None,
            1 => Self::Snappy,
            2 => Self::Gzip,
            6 => Self::Zstd,
            7 => Self::Lz4Raw,
            3 => return Err(Refusal::new("it is compressed by LZO")),
            4 => return Err(Refusal::new("it is compressed by Brotli")),
            5 => return Err(Refusal::new("it is compressed by LZ4 in Hadoop's framing")),
            _ => return Err(Refusal::new(format!("codec {number} is not known"))),
        })
    }

    pub fn number(self) -> i32 {
        match self {
            Self::None => 0,
            Self::Snappy => 1,
            Self::Gzip => 2,
            Self::Zstd => 6,
            Self::Lz4Raw => 7,
        }
    }
}

/// What outputs are compressed by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Compression {
    pub codec: Codec,
    pub level: i32,
}

fn damaged() -> Refusal {
    Refusal::new("a page cannot be decompressed to the size that its header says")
}

/// The `size` bytes that `data` was. Allocates no more than about that.
pub fn decompress(codec: Codec, data: &[u8], size: usize) -> Result<Cow<'_, [u8]>> {
    match codec {
        Codec::None if data.len() == size => Ok(Cow::Borrowed(data)),
        Codec::None => Err(damaged()),
        Codec::Snappy => {
            if snappy_length(data)?.0 != size || size / 64 > data.len() {
                return Err(damaged());
            }
            let mut out = vec![0; size];
            let written = snap::raw::Decoder::new().decompress(data, &mut out).map_err(|_| damaged())?;
            if written == size { Ok(Cow::Owned(out)) } else { Err(damaged()) }
        }
        Codec::Zstd => read_all(zstd::stream::read::Decoder::new(data).map_err(|_| damaged())?, size),
        Codec::Gzip => read_all(flate2::read::MultiGzDecoder::new(data), size),
        Codec::Lz4Raw => {
            if size / 255 > data.len() {
                return Err(damaged());
            }
            let out = lz4_flex::block::decompress(data, size).map_err(|_| damaged())?;
            if out.len() == size { Ok(Cow::Owned(out)) } else { Err(damaged()) }
        }
    }
}

fn read_all(reader: impl Read, size: usize) -> Result<Cow<'static, [u8]>> {
    let mut out = Vec::with_capacity(size.min(1 << 20));
    reader.take(size as u64 + 1).read_to_end(&mut out).map_err(|_| damaged())?;
    if out.len() == size { Ok(Cow::Owned(out)) } else { Err(damaged()) }
}

/// Appends `data`, compressed.
pub fn compress(by: Compression, data: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let failed = |_| Refusal::new("a page cannot be compressed");
    match by.codec {
        Codec::None => out.extend_from_slice(data),
        Codec::Snappy => {
            let start = out.len();
            out.resize(start + snap::raw::max_compress_len(data.len()), 0);
            let written =
                snap::raw::Encoder::new().compress(data, &mut out[start..]).map_err(|_| Refusal::new("a page cannot be compressed"))?;
            out.truncate(start + written);
        }
        Codec::Zstd => {
            let start = out.len();
            out.resize(start + zstd::zstd_safe::compress_bound(data.len()), 0);
            let written = zstd::bulk::compress_to_buffer(data, &mut out[start..], by.level).map_err(failed)?;
            out.truncate(start + written);
        }
        Codec::Gzip | Codec::Lz4Raw => return Err(Refusal::new("outputs of this codec are not joined")),
    }
    Ok(())
}

/// Whether pieces compressed by `codec` can be joined as they are.
pub fn joins(codec: Codec) -> bool {
    matches!(codec, Codec::Snappy | Codec::Zstd)
}

/// Bytes of one page: some to be compressed, some compressed before.
pub enum Piece<'a> {
    Fresh(&'a [u8]),
    Stored { data: &'a [u8], size: usize },
}

/// Appends one compressed page of these pieces, compressed by a codec that joins.
pub fn join(by: Compression, pieces: &[Piece<'_>], out: &mut Vec<u8>) -> Result<()> {
    let snappy = by.codec == Codec::Snappy;
    if snappy {
        let total: usize = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Fresh(data) => data.len(),
                Piece::Stored { size, .. } => *size,
            })
            .sum();
        write_varint(total as u64, out);
    }
    let mut scratch = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Fresh([]) => {}
            Piece::Fresh(data) if !snappy => compress(by, data, out)?,
            Piece::Fresh(data) => {
                scratch.clear();
                compress(by, data, &mut scratch)?;
                let (_, start) = snappy_length(&scratch)?;
                out.extend_from_slice(&scratch[start..]);
            }
            Piece::Stored { data, .. } if !snappy => out.extend_from_slice(data),
            Piece::Stored { data, .. } => out.extend_from_slice(&data[snappy_length(data)?.1..]),
        }
    }
    Ok(())
}

/// The length that a Snappy stream says it has, and where its elements begin.
fn snappy_length(data: &[u8]) -> Result<(usize, usize)> {
    let mut reader = Reader::new(data);
    let length = reader.varint().map_err(|_| damaged())?;
    let length = usize::try_from(length).ok().filter(|length| u32::try_from(*length).is_ok()).ok_or_else(damaged)?;
    Ok((length, reader.at))
}

/// Raises nothing only for a compressed piece that decompresses, alone or joined to others, to the same `size` bytes.
///
/// HAZARD: an element of a damaged stream may reach back before its own beginning. Alone that is refused by every reader; behind another
/// piece it would read bytes of that one without anybody noticing. So every element is looked at, which is cheaper than following it.
/// A frame of Zstandard cannot reach before its beginning, but must say its size, which decompressors then hold it to.
pub fn check_joinable(codec: Codec, data: &[u8], size: usize) -> Result<()> {
    match codec {
        Codec::Snappy => check_snappy(data, size),
        Codec::Zstd => {
            let framed = zstd::zstd_safe::find_frame_compressed_size(data).ok() == Some(data.len());
            let sized = zstd::zstd_safe::get_frame_content_size(data).ok().flatten() == Some(size as u64);
            if framed && sized { Ok(()) } else { Err(Refusal::new("a frame that does not say its size")) }
        }
        _ => Err(Refusal::new("its codec does not join")),
    }
}

fn check_snappy(data: &[u8], size: usize) -> Result<()> {
    let (length, mut at) = snappy_length(data)?;
    if length != size {
        return Err(damaged());
    }
    let little = |at: usize, n: usize| -> Result<usize> {
        let bytes = data.get(at..at + n).ok_or_else(damaged)?;
        Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte)))
    };
    let mut written = 0usize;
    while at < data.len() {
        let tag = usize::from(data[at]);
        at += 1;
        let length = match tag & 3 {
            0 => {
                let mut length = tag >> 2;
                if length >= 60 {
                    let n = length - 59;
                    length = little(at, n)?;
                    at += n;
                }
                length += 1;
                if length > data.len() - at {
                    return Err(damaged());
                }
                at += length;
                length
            }
            copy => {
                let (length, offset, n) = match copy {
                    1 => ((tag >> 2 & 7) + 4, (tag >> 5) << 8 | little(at, 1)?, 1),
                    2 => ((tag >> 2) + 1, little(at, 2)?, 2),
                    _ => ((tag >> 2) + 1, little(at, 4)?, 4),
                };
                at += n;
                if offset == 0 || offset > written {
                    return Err(damaged());
                }
                length
            }
        };
        written += length;
        if written > size {
            return Err(damaged());
        }
    }
    if written == size { Ok(()) } else { Err(damaged()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNAPPY: Compression = Compression { codec: Codec::Snappy, level: 0 };
    const ZSTD: Compression = Compression { codec: Codec::Zstd, level: 1 };

    fn compressed(by: Compression, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        compress(by, data, &mut out).expect("compresses");
        out
    }

    #[test]
    fn joined_pieces_decompress_to_all_of_them() {
        for by in [SNAPPY, ZSTD] {
            let first: Vec<u8> = (0..200_000u32).flat_map(|i| (i / 3).to_le_bytes()).collect();
            let second = compressed(by, &first);
            check_joinable(by.codec, &second, first.len()).expect("joins");
            let pieces = [Piece::Fresh(b"levels"), Piece::Stored { data: &second, size: first.len() }, Piece::Fresh(&first[..100])];
            let mut out = Vec::new();
            join(by, &pieces, &mut out).expect("joins");
            let all = [b"levels", &first[..], &first[..100]].concat();
            assert_eq!(decompress(by.codec, &out, all.len()).expect("decompresses"), all);
        }
    }

    #[test]
    fn a_copy_from_before_the_beginning_of_its_piece_is_refused() {
        let reaching = [8u8, 3 << 2, 1, 2, 3, 4, 1, 5]; // four literal bytes, then four from five bytes back
        assert!(check_joinable(Codec::Snappy, &reaching, 8).is_err());
        let whole = [8u8, 3 << 2, 1, 2, 3, 4, 1, 4];
        assert!(check_joinable(Codec::Snappy, &whole, 8).is_ok());
        assert!(check_joinable(Codec::Snappy, &whole[..6], 8).is_err());
    }

    #[test]
    fn what_passes_the_check_of_elements_decompresses_and_the_other_way_round() {
        let data: Vec<u8> = (0..3000u32).flat_map(|i| (i % 97 * i % 13).to_le_bytes()).collect();
        let good = compressed(SNAPPY, &data);
        let mut seed = 11u64;
        for _ in 0..20_000 {
            let mut bad = good.clone();
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let at = (seed >> 33) as usize % bad.len();
            bad[at] = (seed >> 20) as u8;
            assert_eq!(check_joinable(Codec::Snappy, &bad, data.len()).is_ok(), decompress(Codec::Snappy, &bad, data.len()).is_ok());
        }
    }

    #[test]
    fn a_claim_of_a_huge_size_allocates_nothing() {
        for codec in [Codec::Snappy, Codec::Zstd, Codec::Gzip, Codec::Lz4Raw] {
            assert!(decompress(codec, &[0xff, 0xff, 0xff, 0xff, 0x0f, 0], u32::MAX as usize).is_err());
        }
    }
}

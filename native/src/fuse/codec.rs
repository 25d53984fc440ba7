//! Compression, and how compressed pieces are joined without being decompressed: raw Snappy streams are a length and elements, whose
//! elements may follow each other; Zstandard frames may follow each other as they are.

use std::cell::RefCell;
use std::io::Read;

use brotli_decompressor::BrotliDecoderParameter;

use super::Refusal;
use super::buffer::{Buffer, Bytes};
use super::rope::{Kept, Rope};
use super::snappy;
use super::thrift::write_varint;

type Result<T> = std::result::Result<T, Refusal>;

/// A block of Zstandard takes three bytes at least and makes no more than these.
const MOST_ZSTD_BLOCK: usize = 128 << 10;
const MOST_BROTLI_READ: usize = 4 << 10;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Codec {
    None,
    Snappy,
    Gzip,
    Brotli,
    Zstd,
    Lz4Raw,
}

impl Codec {
    pub fn of(number: i32) -> Result<Self> {
        Ok(match number {
            0 => Self::None,
            1 => Self::Snappy,
            2 => Self::Gzip,
            4 => Self::Brotli,
            6 => Self::Zstd,
            7 => Self::Lz4Raw,
            3 => return Err(Refusal::new("it is compressed by LZO")),
            5 => return Err(Refusal::new("it is compressed by LZ4 in Hadoop's framing")),
            _ => return Err(Refusal::new(format!("codec {number} is not known"))),
        })
    }

    pub fn number(self) -> i32 {
        match self {
            Self::None => 0,
            Self::Snappy => 1,
            Self::Gzip => 2,
            Self::Brotli => 4,
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

pub fn damaged() -> Refusal {
    Refusal::new("a page cannot be decompressed to the size that its header says")
}

thread_local! {
    static UNPACKER: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The `size` bytes that `data` was. Allocates no more than about that.
pub fn decompress(codec: Codec, data: &[u8], size: usize) -> Result<Bytes<'_>> {
    match codec {
        Codec::None if data.len() == size => Ok(Bytes::Lent(data)),
        Codec::None => Err(damaged()),
        Codec::Snappy => {
            let (length, start) = snappy::length(data)?;
            if length != size || size / 64 > data.len() {
                return Err(damaged());
            }
            if let Some(literal) = snappy::only_literal(&data[start..], size) {
                return Ok(Bytes::Lent(literal));
            }
            let mut out = Buffer::of(size);
            let written = snap::raw::Decoder::new().decompress(data, out.bytes()).map_err(|_| damaged())?;
            if written == size { Ok(Bytes::Kept(out)) } else { Err(damaged()) }
        }
        Codec::Zstd => {
            if size / MOST_ZSTD_BLOCK > data.len() {
                return Err(damaged());
            }
            let mut out = Buffer::of(size);
            if unpack(data, out.bytes())? == size { Ok(Bytes::Kept(out)) } else { Err(damaged()) }
        }
        Codec::Brotli => {
            let mut reader = brotli_decompressor::Decompressor::new(data, data.len().min(MOST_BROTLI_READ));
            reader.set_parameter(BrotliDecoderParameter::BROTLI_DECODER_PARAM_LARGE_WINDOW, 0);
            read_all(reader, size)
        }
        Codec::Gzip => read_all(flate2::read::MultiGzDecoder::new(data), size),
        Codec::Lz4Raw => {
            if size / 255 > data.len() {
                return Err(damaged());
            }
            let mut out = Buffer::of(size);
            let written = lz4_flex::block::decompress_into(data, out.bytes()).map_err(|_| damaged())?;
            if written == size { Ok(Bytes::Kept(out)) } else { Err(damaged()) }
        }
    }
}

/// Decompresses frames of Zstandard, all of which must fit `out`; how many bytes they are.
fn unpack(data: &[u8], out: &mut [u8]) -> Result<usize> {
    UNPACKER.with(|kept| {
        let mut kept = kept.borrow_mut();
        let unpacker = match kept.take() {
            Some(unpacker) => unpacker,
            None => zstd::bulk::Decompressor::new().map_err(|_| damaged())?,
        };
        kept.insert(unpacker).decompress_to_buffer(data, out).map_err(|_| damaged())
    })
}

fn read_all(reader: impl Read, size: usize) -> Result<Bytes<'static>> {
    let mut out = Vec::with_capacity(size.min(1 << 20));
    reader.take(size as u64 + 1).read_to_end(&mut out).map_err(|_| damaged())?;
    if out.len() == size { Ok(Bytes::Made(out)) } else { Err(damaged()) }
}

/// Compresses by the codec of outputs, with memory that it uses again.
pub struct Packer {
    by: Compression,
    snappy: snap::raw::Encoder,
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl Packer {
    pub fn new(by: Compression) -> Self {
        Self { by, snappy: snap::raw::Encoder::new(), zstd: None }
    }

    /// Whether pieces that are compressed each by itself take no more bytes than all of them at once.
    pub fn joins_freely(&self) -> bool {
        matches!(self.by.codec, Codec::None | Codec::Snappy)
    }

    /// `data`, compressed.
    pub fn pack<'a>(&mut self, data: &'a [u8]) -> Result<Bytes<'a>> {
        let failed = || Refusal::new("a page cannot be compressed");
        let mut out = match self.by.codec {
            Codec::None => return Ok(Bytes::Lent(data)),
            Codec::Snappy => Buffer::of(snap::raw::max_compress_len(data.len())),
            Codec::Zstd => Buffer::of(zstd::zstd_safe::compress_bound(data.len())),
            Codec::Brotli | Codec::Gzip | Codec::Lz4Raw => return Err(Refusal::new("outputs of this codec are not joined")),
        };
        let written = if self.by.codec == Codec::Snappy {
            self.snappy.compress(data, out.bytes()).map_err(|_| failed())?
        } else {
            let packer = match self.zstd.take() {
                Some(packer) => packer,
                None => zstd::bulk::Compressor::new(self.by.level).map_err(|_| failed())?,
            };
            self.zstd.insert(packer).compress_to_buffer(data, out.bytes()).map_err(|_| failed())?
        };
        out.cut(written);
        Ok(Bytes::Kept(out))
    }

    /// Appends one compressed page of these pieces to `out`. Where some are stored, the codec must be one that joins.
    pub fn join(&mut self, pieces: &[Piece<'_>], out: &mut Rope) -> Result<()> {
        if let [Piece::Fresh(data)] = pieces {
            out.push(&self.pack(data)?);
            return Ok(());
        }
        let snappy = self.by.codec == Codec::Snappy;
        if snappy {
            let total: usize = pieces.iter().map(Piece::size).sum();
            let mut length = Vec::new();
            write_varint(total as u64, &mut length);
            out.push(&length);
        }
        for piece in pieces {
            match piece {
                Piece::Fresh([]) => {}
                Piece::Fresh(data) => {
                    let packed = self.pack(data)?;
                    let start = if snappy { snappy::length(&packed)?.1 } else { 0 };
                    out.push(&packed[start..]);
                }
                Piece::Elements { data, .. } => out.push(data),
                Piece::Stored { data, kept, .. } => {
                    let skipped = if snappy { snappy::length(data)?.1 } else { 0 };
                    out.keep(Kept { start: kept.start + skipped, length: kept.length - skipped, ..*kept });
                }
            }
        }
        Ok(())
    }
}

/// Whether pieces compressed by `codec` can be joined as they are.
pub fn joins(codec: Codec) -> bool {
    matches!(codec, Codec::Snappy | Codec::Zstd)
}

/// Bytes of one page: some to be compressed, some compressed before, `size` bytes then, and where they are kept, or of those
/// the elements of Snappy alone.
pub enum Piece<'a> {
    Fresh(&'a [u8]),
    Stored { data: &'a [u8], size: usize, kept: Kept },
    Elements { data: &'a [u8], size: usize },
}

impl Piece<'_> {
    fn size(&self) -> usize {
        match self {
            Self::Fresh(data) => data.len(),
            Self::Stored { size, .. } | Self::Elements { size, .. } => *size,
        }
    }
}

/// Raises nothing only for a compressed piece that decompresses, alone or joined to others, to the same `size` bytes.
///
/// HAZARD: an element of a damaged stream may reach back before its own beginning. Alone that is refused by every reader; behind another
/// piece it would read bytes of that one without anybody noticing. So every element is looked at, which is cheaper than following it.
/// A frame of Zstandard cannot reach before its beginning, but must say its size, which decompressors then hold it to.
pub fn check_joinable(codec: Codec, data: &[u8], size: usize) -> Result<()> {
    match codec {
        Codec::Snappy => snappy::check(data, size),
        Codec::Zstd => {
            let framed = zstd::zstd_safe::find_frame_compressed_size(data).ok() == Some(data.len());
            let sized = zstd::zstd_safe::get_frame_content_size(data).ok().flatten() == Some(size as u64);
            if framed && sized { Ok(()) } else { Err(Refusal::new("a frame that does not say its size")) }
        }
        _ => Err(Refusal::new("its codec does not join")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNAPPY: Compression = Compression { codec: Codec::Snappy, level: 0 };
    const ZSTD: Compression = Compression { codec: Codec::Zstd, level: 1 };

    fn compressed(by: Compression, data: &[u8]) -> Vec<u8> {
        Packer::new(by).pack(data).expect("compresses").to_vec()
    }

    #[test]
    fn joined_pieces_decompress_to_all_of_them() {
        for by in [SNAPPY, ZSTD] {
            let first: Vec<u8> = (0..200_000u32).flat_map(|i| (i / 3).to_le_bytes()).collect();
            let second = compressed(by, &first);
            check_joinable(by.codec, &second, first.len()).expect("joins");
            let kept = Kept { source: 0, start: 0, length: second.len() };
            let stored = Piece::Stored { data: &second, size: first.len(), kept };
            let mut rope = Rope::default();
            Packer::new(by).join(&[Piece::Fresh(b"levels"), stored, Piece::Fresh(&first[..100])], &mut rope).expect("joins");
            let mut out = vec![0; rope.len()];
            rope.copy(0, &mut out, |_| Some(&second)).expect("is there");
            let all = [b"levels", &first[..], &first[..100]].concat();
            assert_eq!(decompress(by.codec, &out, all.len()).expect("decompresses")[..], all);
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
    fn a_claim_of_a_huge_size_allocates_nothing() {
        for codec in [Codec::Snappy, Codec::Zstd, Codec::Gzip, Codec::Brotli, Codec::Lz4Raw] {
            assert!(decompress(codec, &[0xff, 0xff, 0xff, 0xff, 0x0f, 0], u32::MAX as usize).is_err());
        }
    }
}

//! Decompression of pages into room that is used again.

use std::cell::RefCell;
use std::io::Read;

use super::{Result, eights, refuse};

thread_local! {
    static ZSTD: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Decompresses `data` to exactly `size` bytes at the front of `room`, which only grows. `size` is bounded by whoever asks.
pub fn decompress(codec: i32, data: &[u8], size: usize, room: &mut Vec<u8>) -> Result<()> {
    if room.len() < size {
        room.resize(size, 0);
    }
    let out = &mut room[..size];
    let written = match codec {
        1 if eights::repeats(data) => eights::decompress(data, out).map(|()| size),
        1 => snap::raw::Decoder::new().decompress(data, out).ok(),
        2 => whole(flate2::read::MultiGzDecoder::new(data), out),
        6 => ZSTD.with(|kept| {
            let mut kept = kept.borrow_mut();
            if kept.is_none() {
                *kept = zstd::bulk::Decompressor::new().ok();
            }
            kept.as_mut()?.decompress_to_buffer(data, out).ok()
        }),
        7 => lz4_flex::block::decompress_into(data, out).ok(),
        _ => return refuse("it is compressed in a way that is not read here"),
    };
    if written == Some(size) { Ok(()) } else { refuse("a page cannot be decompressed to the size that its header says") }
}

fn whole(mut reader: impl Read, out: &mut [u8]) -> Option<usize> {
    reader.read_exact(out).ok()?;
    let mut beyond = [0];
    if reader.read(&mut beyond).ok()? == 0 { Some(out.len()) } else { None }
}

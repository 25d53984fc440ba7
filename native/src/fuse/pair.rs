//! A literal and a copy behind it, which nearly all of a Snappy stream of values of one width is made of: read and written at once.

/// What is looked at of a stream at once are eight bytes, in which a literal of four ends and a copy behind it.
const MOST_TAG: u32 = 3 << 2;
/// For the literal and the copy that come of them.
pub const ROOM: usize = 16;

/// Of each tag of a copy with an offset of one or two bytes: its length, whether there are two, and what of the offset is in the tag and which
/// bits are behind it, 16 bits each. Of other tags a length that no value has.
const COPIES: [u64; 256] = {
    let mut found = [0; 256];
    let mut tag = 0;
    while tag < 256 {
        let upper = tag as u64 >> 2;
        found[tag] = match tag & 3 {
            1 => ((upper & 7) + 4) | (upper >> 3 << 40) | (0xff << 48),
            2 => (upper + 1) | (1 << 16) | (0xffff << 48),
            _ => 0xffff,
        };
        tag += 1;
    }
    found
};

/// A literal and a copy behind it.
pub struct Pair {
    pub literal: usize,
    pub length: usize,
    pub offset: usize,
    pub size: usize,
}

impl Pair {
    /// Those that these eight bytes begin with, if they show both.
    #[inline(always)]
    pub fn of(window: u64) -> Option<Self> {
        let tag = window as u32 & 0xff;
        let copy = window >> ((tag * 2 + 16) & 63);
        let found = COPIES[(copy & 0xff) as usize];
        let (literal, length, long) = (tag as usize / 4 + 1, found as u16 as usize, (found >> 16) as u16 as usize);
        let offset = ((copy >> 8 & found >> 48) | (found >> 32 & 0xffff)) as usize;
        (tag & !MOST_TAG == 0 && length <= 64).then_some(Self { literal, length, offset, size: literal + 3 + long })
    }
}

/// Puts a literal, with which `window` begins, and a copy of as many bytes as `size`; how many they are together.
#[inline(always)]
pub fn put(place: &mut [u8; ROOM], window: u64, literal: usize, copy: [u8; 4], size: usize) -> usize {
    place[..8].copy_from_slice(&window.to_le_bytes());
    place[(literal + 1) & 7..][..4].copy_from_slice(&copy);
    literal + 1 + size
}

#[inline(always)]
pub fn window(data: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*data.get(at..)?.first_chunk()?))
}

#[inline(always)]
pub fn room(out: &mut [u8], end: usize) -> Option<&mut [u8; ROOM]> {
    out.get_mut(end..)?.first_chunk_mut()
}

/// The bytes of one element that copies `length` bytes, at least one, from `offset` bytes back, and how many it has.
#[inline(always)]
pub fn copied(offset: usize, length: usize) -> Option<([u8; 4], usize)> {
    let short = u32::from((offset < 2048) & (length.wrapping_sub(4) < 8));
    let (far, more) = (offset as u32, length as u32);
    let two = 1 | more.wrapping_sub(4) << 2 | far >> 8 << 5 | (far & 0xff) << 8;
    let three = 2 | more.wrapping_sub(1) << 2 | far << 8;
    let word = three ^ ((three ^ two) & short.wrapping_neg());
    ((offset.wrapping_sub(1) < (1 << 16) - 1) & (length <= 64)).then_some((word.to_le_bytes(), 3 - short as usize))
}

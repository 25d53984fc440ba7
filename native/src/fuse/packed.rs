//! Numbers of 32 bits that are packed to fewer bits each, eight of them to as many bytes as a number has bits.

use crate::wide::over_rows;

/// Bytes that `pack_eights` may write behind its last number.
pub const SLACK: usize = 16;

/// Above these, numbers are unpacked one by one.
const MOST_BITS_TOGETHER: u32 = 20;

over_rows! {
    /// Fills `out`, some whole eights, with numbers of `width` bits, 1 to 32; the bits that any of them has.
    fn unpack_eights(packed: &[u8], width: u32, out: &mut [u32]) -> u32 {
        match width {
            1 => eights_of::<1>(packed, out),
            2 => eights_of::<2>(packed, out),
            3 => eights_of::<3>(packed, out),
            4 => eights_of::<4>(packed, out),
            5 => eights_of::<5>(packed, out),
            6 => eights_of::<6>(packed, out),
            7 => eights_of::<7>(packed, out),
            8 => eights_of::<8>(packed, out),
            9 => eights_of::<9>(packed, out),
            10 => eights_of::<10>(packed, out),
            11 => eights_of::<11>(packed, out),
            12 => eights_of::<12>(packed, out),
            13 => eights_of::<13>(packed, out),
            14 => eights_of::<14>(packed, out),
            15 => eights_of::<15>(packed, out),
            16 => eights_of::<16>(packed, out),
            17 => eights_of::<17>(packed, out),
            18 => eights_of::<18>(packed, out),
            19 => eights_of::<19>(packed, out),
            MOST_BITS_TOGETHER => eights_of::<20>(packed, out),
            _ => one_by_one(packed, width, out),
        }
    }

    /// Packs numbers, some whole eights, to `width` bits, 1 to 32; `out` has SLACK more bytes than they take.
    fn pack_eights(values: &[u32], width: u32, out: &mut [u8]) {
        match width {
            1 => packed_of::<1>(values, out),
            2 => packed_of::<2>(values, out),
            3 => packed_of::<3>(values, out),
            4 => packed_of::<4>(values, out),
            5 => packed_of::<5>(values, out),
            6 => packed_of::<6>(values, out),
            7 => packed_of::<7>(values, out),
            8 => packed_of::<8>(values, out),
            9 => packed_of::<9>(values, out),
            10 => packed_of::<10>(values, out),
            11 => packed_of::<11>(values, out),
            12 => packed_of::<12>(values, out),
            13 => packed_of::<13>(values, out),
            14 => packed_of::<14>(values, out),
            15 => packed_of::<15>(values, out),
            16 => packed_of::<16>(values, out),
            17 => packed_of::<17>(values, out),
            18 => packed_of::<18>(values, out),
            19 => packed_of::<19>(values, out),
            20 => packed_of::<20>(values, out),
            _ => packed_wide(values, width as usize, out),
        }
    }
}

/// How many of the numbers of an eight are within eight bytes that begin with the first of them.
const fn together(bits: usize) -> usize {
    if bits <= 8 {
        8
    } else if bits <= 16 {
        4
    } else {
        2
    }
}

#[inline(always)]
fn eights_of<const BITS: usize>(packed: &[u8], out: &mut [u32]) -> u32 {
    // The last eight bytes that are looked at begin before the eight ends and may end behind it.
    let reach = (8 - together(BITS)) * BITS / 8 + 8;
    let (eights, _) = out.as_chunks_mut::<8>();
    let whole = if packed.len() < reach { 0 } else { ((packed.len() - reach) / BITS + 1).min(eights.len()) };
    let (within, last) = eights.split_at_mut(whole);
    let mut any = [0u32; 8];
    for (i, eight) in within.iter_mut().enumerate() {
        eight_of::<BITS>(&packed[i * BITS..i * BITS + reach], eight, &mut any);
    }
    for (i, eight) in last.iter_mut().enumerate() {
        let rest = &packed[(whole + i) * BITS..];
        let mut filled = [0u8; 32];
        let n = rest.len().min(filled.len());
        filled[..n].copy_from_slice(&rest[..n]);
        eight_of::<BITS>(&filled[..reach], eight, &mut any);
    }
    any.iter().fold(0, |all, bits| all | bits)
}

#[inline(always)]
fn eight_of<const BITS: usize>(bytes: &[u8], eight: &mut [u32; 8], any: &mut [u32; 8]) {
    let n = together(BITS);
    for i in 0..8 {
        let first = i / n * n * BITS;
        let window = u64::from_le_bytes(bytes[first / 8..first / 8 + 8].try_into().expect("eight bytes"));
        let value = (window >> (first % 8 + i % n * BITS)) as u32 & ((1u64 << BITS) - 1) as u32;
        eight[i] = value;
        any[i] |= value;
    }
}

#[inline(always)]
fn one_by_one(packed: &[u8], width: u32, out: &mut [u32]) -> u32 {
    let (bits, mask) = (width as usize, (1u64 << width) - 1);
    let mut any = 0;
    for (i, value) in out.iter_mut().enumerate() {
        let rest = &packed[i * bits / 8..];
        let mut window = [0u8; 8];
        let n = rest.len().min(8);
        window[..n].copy_from_slice(&rest[..n]);
        *value = (u64::from_le_bytes(window) >> (i * bits % 8) & mask) as u32;
        any |= *value;
    }
    any
}

#[inline(always)]
fn packed_of<const BITS: usize>(values: &[u32], out: &mut [u8]) {
    if BITS > 16 {
        packed_wide(values, BITS, out);
        return;
    }
    let word = |values: &[u32]| values.iter().enumerate().fold(0u64, |word, (i, value)| word | u64::from(*value) << (i * BITS));
    for (i, eight) in values.as_chunks::<8>().0.iter().enumerate() {
        let bytes = &mut out[i * BITS..i * BITS + 16];
        if BITS <= 8 {
            bytes[..8].copy_from_slice(&word(eight).to_le_bytes());
        } else {
            let (low, high) = (word(&eight[..4]), word(&eight[4..]));
            // Four numbers may end within a byte, which the next four begin with.
            let shared = 4 * BITS % 8;
            let high = if shared == 0 { high } else { high << shared | low >> (4 * BITS - shared) };
            bytes[..8].copy_from_slice(&low.to_le_bytes());
            bytes[BITS / 2..BITS / 2 + 8].copy_from_slice(&high.to_le_bytes());
        }
    }
}

#[inline(always)]
fn packed_wide(values: &[u32], bits: usize, out: &mut [u8]) {
    for (i, eight) in values.as_chunks::<8>().0.iter().enumerate() {
        let bytes = &mut out[i * bits..i * bits + bits + 8];
        let mut low = 0u8;
        for (k, pair) in eight.as_chunks::<2>().0.iter().enumerate() {
            // Two numbers, with the bits before them in their first byte, are at most 70 bits: nine bytes.
            let first = 2 * k * bits;
            let window = (u128::from(pair[0]) | u128::from(pair[1]) << bits) << (first % 8) | u128::from(low);
            let end = first % 8 + 2 * bits;
            bytes[first / 8..][..8].copy_from_slice(&(window as u64).to_le_bytes());
            if end > 64 {
                bytes[first / 8 + 8] = (window >> 64) as u8;
            }
            low = (window >> (end / 8 * 8)) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_again_and_no_byte_behind_it_counts() {
        for width in 1..=32u32 {
            let mask = ((1u64 << width) - 1) as u32;
            for eights in 0..7usize {
                let values: Vec<u32> = (0..eights as u32 * 8).map(|i| i.wrapping_mul(0x9E37_79B9).rotate_left(i) & mask).collect();
                let size = eights * width as usize;
                let mut packed = vec![0xa5; size + SLACK];
                pack_eights(&values, width, &mut packed);
                let bit = |i: usize| packed[i / 8] >> (i % 8) & 1;
                let plain = |i: usize| (0..width as usize).fold(0u32, |n, k| n | u32::from(bit(i * width as usize + k)) << k);
                assert_eq!((0..values.len()).map(plain).collect::<Vec<_>>(), values, "{width} bits");
                for end in [size, size + SLACK] {
                    let mut out = vec![7; values.len()];
                    let any = unpack_eights(&packed[..end], width, &mut out);
                    assert_eq!((&out, any), (&values, values.iter().fold(0, |any, value| any | value)), "{width} bits");
                }
            }
        }
    }
}

//! Indices that count: those of a column whose values are all different are the numbers of its dictionary, in order. Its values are then
//! taken from the dictionary as they lie there, and no table of what each is worth is made and looked up.

use std::sync::OnceLock;

use super::thrift::Stream;

/// Indices of more bits are looked up.
const MOST_BITS: usize = 17;

static LADDERS: [OnceLock<Box<[u8]>>; MOST_BITS + 1] = [const { OnceLock::new() }; MOST_BITS + 1];

/// All numbers of so many bits, one after the other, packed.
fn ladder(width: usize) -> &'static [u8] {
    LADDERS[width].get_or_init(|| {
        let mut packed = vec![0u8; (width << width).div_ceil(8)];
        for number in 0..1usize << width {
            for bit in (0..width).filter(|bit| number >> bit & 1 == 1) {
                packed[(number * width + bit) / 8] |= 1 << ((number * width + bit) % 8);
            }
        }
        packed.into()
    })
}

/// Whether these packed numbers are `first` and those that follow it, `count` of them. False where that is not easily said.
pub fn counts(packed: &[u8], width: usize, first: usize, count: usize) -> bool {
    // Eight numbers begin at a byte; fewer than that are not divided evenly.
    if !(3..=MOST_BITS).contains(&width) || !first.is_multiple_of(8) || first + count > 1 << width {
        return false;
    }
    let (ladder, mut stream, mut at) = (ladder(width), Stream::new(packed), 0);
    while at < count {
        let Ok(head) = stream.unsigned() else { return false };
        let eights = usize::try_from(head >> 1).ok().filter(|eights| head & 1 == 1 && *eights > 0);
        let Some(bytes) = eights.and_then(|eights| eights.checked_mul(width)) else { return false };
        let Ok(stored) = stream.take(bytes) else { return false };
        let numbers = (bytes / width).saturating_mul(8).min(count - at);
        if !begins(stored, &ladder[(first + at) / 8 * width..], numbers * width) {
            return false;
        }
        at += numbers;
    }
    true
}

/// Whether the first bits of both are the same.
fn begins(stored: &[u8], wanted: &[u8], bits: usize) -> bool {
    let (whole, rest) = (bits / 8, bits % 8);
    stored[..whole] == wanted[..whole] && (rest == 0 || (stored[whole] ^ wanted[whole]) & ((1 << rest) - 1) == 0)
}

#[cfg(test)]
mod tests {
    use super::super::levels::{Numbers, unpack};
    use super::*;

    /// Runs of at most `eights` times eight numbers.
    fn packed(numbers: &[usize], width: usize, eights: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for run in numbers.chunks(8 * eights) {
            let mut bits = vec![0u8; run.len().div_ceil(8) * width];
            for (i, number) in run.iter().enumerate() {
                (0..width).filter(|bit| number >> bit & 1 == 1).for_each(|bit| bits[(i * width + bit) / 8] |= 1 << ((i * width + bit) % 8));
            }
            out.push((run.len().div_ceil(8) << 1 | 1) as u8);
            out.extend(bits);
        }
        out
    }

    #[test]
    fn numbers_that_count_are_known_and_any_other_bit_is_seen() {
        for (width, first, count) in [(3, 0, 8), (4, 0, 13), (5, 8, 20), (9, 64, 100), (17, 131_000, 71)] {
            for eights in [1, 3, 63] {
                let numbers: Vec<usize> = (first..first + count).collect();
                let good = packed(&numbers, width, eights);
                assert!(counts(&good, width, first, count), "{width} {first} {count}");
                assert!(!counts(&good, width, first + 8, count));
                assert!(!counts(&good[..good.len() - 1], width, first, count));
                for bit in 0..good.len() * 8 {
                    let mut bad = good.clone();
                    bad[bit / 8] ^= 1 << (bit % 8);
                    let mut out = Vec::<u32>::new();
                    let same = unpack(&bad, width, count, u32::MAX, &mut out) == Ok(Numbers::Each)
                        && out.iter().map(|number| *number as usize).eq(numbers.iter().copied());
                    assert!(same || !counts(&bad, width, first, count), "bit {bit}");
                }
            }
        }
    }
}

//! Guesses by a sample of a column's values whether they repeat so often that one dictionary for all of them takes fewer bytes.

use super::hybrid::bits_for;
use super::metadata::Physical;
use super::union::Union;
use super::values::Values;

const MOST_PLACES: usize = 16;
const MOST_VALUES: usize = 512;
/// More than a dictionary may have: large values are not gathered for the sake of a guess that they have decided already.
const MOST_KEPT_BYTES: usize = 4 << 20;

/// Values of places spread evenly over all of them.
pub struct Sample {
    union: Union,
    physical: Physical,
    places: usize,
    passed: usize,
    taken: usize,
}

impl Sample {
    /// `places`: how many there are to choose from.
    pub fn new(physical: Physical, places: usize) -> Self {
        Self { union: Union::new(physical), physical, places, passed: 0, taken: 0 }
    }

    /// Whether values of the next place are wanted. To be asked once for each of them.
    pub fn wants(&mut self) -> bool {
        let most = MOST_PLACES.min(self.places);
        let before = self.passed * most / self.places;
        self.passed += 1;
        self.passed * most / self.places > before
    }

    /// Takes some of these PLAIN values, no more than are kept.
    pub fn add(&mut self, plain: &[u8]) {
        if self.union.plain.len() > MOST_KEPT_BYTES {
            return;
        }
        let prefix = if self.physical.width().is_none() { 4 } else { 0 };
        let first: usize = Values::new(plain, self.physical).take(MOST_VALUES).map(|value| prefix + value.len()).sum();
        self.taken += self.union.add(&plain[..first], MOST_KEPT_BYTES).map_or(0, |indices| indices.len());
    }

    /// Whether a dictionary of at most `most_bytes` and the indices of `values` values are fewer bytes than the `stored` ones.
    pub fn is_worth(&self, values: usize, stored: usize, most_bytes: usize) -> bool {
        let Some(different) = different(self.taken, self.union.len()) else { return false };
        let bytes = different * self.union.plain.len() as f64 / self.union.len() as f64;
        let indices = values as f64 * f64::from(bits_for(different as usize)) / 8.0;
        bytes <= most_bytes as f64 && bytes + indices < stored as f64
    }
}

/// How many different values there are if `found` of `taken` were different, each as likely as any other. None: too many to tell.
fn different(taken: usize, found: usize) -> Option<f64> {
    if found == 0 || found == taken {
        return None;
    }
    let (taken, found) = (taken as f64, found as f64);
    let (mut low, mut high) = (found, 1e9);
    while high - low > 1.0 {
        let middle = (low + high) / 2.0;
        if middle * (1.0 - (-taken / middle).exp()) < found {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(values: impl Fn(usize) -> u64) -> Sample {
        let mut sample = Sample::new(Physical::Int64, 100);
        for place in 0..100 {
            let plain: Vec<u8> = (0..2000).flat_map(|i| values(place * 2000 + i).to_le_bytes()).collect();
            if sample.wants() {
                sample.add(&plain);
            }
        }
        assert_eq!(sample.taken, MOST_PLACES * MOST_VALUES);
        sample
    }

    fn scattered(i: usize) -> u64 {
        (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 17
    }

    #[test]
    fn values_that_repeat_from_place_to_place_are_worth_a_dictionary() {
        assert!(sample(|i| scattered(i) % 50).is_worth(200_000, 1_600_000, 1 << 20));
        assert!(sample(|i| scattered(i) % 10_000).is_worth(200_000, 1_600_000, 1 << 20));
    }

    #[test]
    fn values_of_which_most_are_different_are_not() {
        assert!(!sample(|i| i as u64).is_worth(200_000, 1_600_000, 1 << 20));
        assert!(!sample(|i| scattered(i) % 1_000_000).is_worth(200_000, 1_600_000, 1 << 20));
    }

    #[test]
    fn what_compresses_better_than_indices_is_left_as_it_is() {
        assert!(!sample(|i| scattered(i) % 50).is_worth(200_000, 100_000, 1 << 20));
    }

    #[test]
    fn of_large_values_few_are_kept_and_they_are_not_worth_a_dictionary() {
        let mut sample = Sample::new(Physical::ByteArray, 16);
        for place in 0..16u8 {
            let value = [&[0, 0, 16, 0], &vec![place; 1 << 20][..]].concat();
            sample.add(&value.repeat(2));
        }
        assert!(sample.union.plain.len() < MOST_KEPT_BYTES + (2 << 20));
        assert!(!sample.is_worth(1_000_000, 1 << 40, 1 << 20));
    }

    #[test]
    fn every_place_is_as_likely_to_be_asked_for_its_values() {
        for places in [1, 5, 16, 17, 1000] {
            let mut sample = Sample::new(Physical::Int64, places);
            assert_eq!((0..places).filter(|_| sample.wants()).count(), places.min(MOST_PLACES));
        }
    }
}

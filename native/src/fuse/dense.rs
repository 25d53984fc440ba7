//! Where values are found that are whole numbers near each other: at as many places as there are numbers between the lowest and the highest.

/// More places are no longer less memory than a table of the values that a dictionary may have.
const MOST_PLACES: usize = 1 << 19;
const FREE: u32 = u32::MAX;

/// Which value each number is, from `base` on.
#[derive(Default)]
pub struct Dense {
    base: i64,
    places: Vec<u32>,
    count: u32,
}

impl Dense {
    /// Makes places for numbers from `low` to `high`; false where they would be too many.
    pub fn cover(&mut self, low: i64, high: i64) -> bool {
        let known = self.places.len();
        let (low, high) = match known {
            0 => (low, high),
            _ => (low.min(self.base), high.max(self.base + (known as i64 - 1))),
        };
        let Some(span) = high.checked_sub(low).and_then(|span| usize::try_from(span).ok()).filter(|span| *span < MOST_PLACES) else {
            return false;
        };
        if known == 0 || low < self.base {
            // Twice as many at least, so that numbers that come in falling order do not move the others each time.
            let spare = known.min(MOST_PLACES - 1 - span) as i64;
            let base = low.checked_sub(spare).unwrap_or(low);
            let before = if known == 0 { 0 } else { (self.base - base) as usize };
            self.places.splice(0..0, std::iter::repeat_n(FREE, before));
            self.base = base;
        }
        self.places.resize((high - self.base) as usize + 1, FREE);
        true
    }

    /// Adds to `indices` those of numbers that are covered, and to `plain` those that were not known; how many are known then.
    pub fn add<const N: usize>(
        &mut self,
        values: &[[u8; N]],
        number: impl Fn([u8; N]) -> i64,
        plain: &mut Vec<u8>,
        indices: &mut Vec<u32>,
    ) -> usize {
        plain.resize((self.count as usize + values.len()) * N, 0);
        let known = plain.as_chunks_mut::<N>().0;
        // Whether a number is known nobody can foresee: it is written in any case, and the next one over it.
        indices.extend(values.iter().map(|value| {
            known[self.count as usize] = *value;
            let place = &mut self.places[number(*value).wrapping_sub(self.base) as usize];
            *place = (*place).min(self.count);
            self.count += u32::from(*place == self.count);
            *place
        }));
        plain.truncate(self.count as usize * N);
        self.count as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_falling_order_do_not_move_the_others_each_time() {
        let (mut dense, mut moved) = (Dense::default(), 0);
        for low in (0..200_000).rev().step_by(100) {
            let base = dense.base;
            assert!(dense.cover(low, low + 99));
            moved += usize::from(dense.base != base);
        }
        assert!(moved < 20, "{moved} times");
    }

    #[test]
    fn places_are_no_more_than_are_worth_their_memory() {
        for (low, high) in [(i64::MIN, i64::MAX), (0, MOST_PLACES as i64), (i64::MIN, 0), (-1, i64::MAX)] {
            assert!(!Dense::default().cover(low, high));
        }
        let mut lowest = Dense::default();
        assert!(lowest.cover(i64::MIN + 10, i64::MIN + 50) && lowest.cover(i64::MIN + 5, i64::MIN + 9));
        assert_eq!((lowest.base, lowest.places.len()), (i64::MIN + 5, 46));
        for edge in [i64::MIN, -7, i64::MAX - (MOST_PLACES as i64 - 1)] {
            let mut dense = Dense::default();
            assert!(dense.cover(edge, edge) && dense.cover(edge, edge + (MOST_PLACES as i64 - 1)));
            assert_eq!((dense.base, dense.places.len()), (edge, MOST_PLACES));
            assert!(edge == i64::MIN || !dense.cover(edge - 1, edge));
        }
    }
}

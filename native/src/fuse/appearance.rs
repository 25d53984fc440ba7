//! Where in the rows of a chunk each value of its dictionary comes first, if it is in the order of first appearance, as writers make it.

/// The most rows for each value of a dictionary.
const MOST_ROWS_OF_A_VALUE: usize = 2;

/// Where values first appear.
pub struct Appearance {
    /// Of each value, and at last how many rows there are.
    pub first: Vec<u32>,
    /// Whether nothing is repeated but the value before.
    pub runs_only: bool,
}

impl Appearance {
    /// None if the order is another, or too many rows repeat values that came before. All indices are below `count`.
    pub fn of(indices: &[u32], count: usize) -> Option<Self> {
        if indices.len() < count || indices.len() > count * MOST_ROWS_OF_A_VALUE || u32::try_from(indices.len()).is_err() {
            return None;
        }
        let mut first = vec![0; count + 1];
        let (mut next, mut runs_only) = (0u32, true);
        for (some, start) in indices.chunks(8).zip((0u32..).step_by(8)) {
            let begin = next as usize;
            if some.iter().zip(next..).fold(true, |new, (index, expected)| new & (*index == expected)) {
                first[begin..begin + some.len()].iter_mut().zip(start..).for_each(|(place, row)| *place = row);
                next += some.len() as u32;
                continue;
            }
            let mut beyond = false;
            for (index, row) in some.iter().zip(start..) {
                let new = *index == next;
                // Of the row that is the value's first the place is written last.
                first[next as usize] = row;
                beyond |= *index > next;
                runs_only &= new | (*index + 1 == next);
                next += u32::from(new);
            }
            if beyond {
                return None;
            }
        }
        first[count] = indices.len() as u32;
        (next as usize == count).then_some(Self { first, runs_only })
    }

    /// How many rows repeat values before the next one appears.
    pub fn repeats(&self, value: usize) -> usize {
        (self.first[value + 1] - self.first[value]) as usize - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_first_are_found_where_values_appear_in_their_order() {
        let found = |indices: &[u32], count| Appearance::of(indices, count).map(|found| (found.first, found.runs_only));
        assert_eq!(found(&[0, 0, 1, 1, 2, 3, 3], 4), Some((vec![0, 2, 4, 5, 7], true)));
        assert_eq!(found(&[0, 1, 0, 2], 3), Some((vec![0, 1, 3, 4], false)));
        let long: Vec<u32> = (0..20).chain([4]).chain(20..40).collect();
        assert_eq!(found(&long, 40), Some(((0..20).chain(21..42).collect(), false)));
        assert_eq!(found(&[1, 0], 2), None);
        assert_eq!(found(&[0, 2, 1, 2], 3), None);
        assert_eq!(found(&[0, 1, 1], 3), None);
        assert_eq!(found(&[0, 0, 0], 1), None);
    }
}

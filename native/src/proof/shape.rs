//! What the levels of one leaf say of the groups above it: the leaves of a struct or map must all say the same.
//!
//! Levels of a group are counted by one of its leaves only. Should those of another have been shifted, its values would be added to rows
//! or places where the file, read as a whole, has none.

use super::levels::Numbers;

const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

/// A group with several leaves: its number in the plan, and its levels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Group {
    pub number: usize,
    pub repetition: u8,
    pub definition: u8,
}

/// The instances of a group as one leaf tells of them, as a digest of runs.
pub struct Shape {
    pub group: Group,
    last: u32,
    run: u64,
    digest: u64,
}

impl Shape {
    pub fn new(group: Group) -> Self {
        Self { group, last: u32::MAX, run: 0, digest: 0 }
    }

    /// What was told, to be compared.
    pub fn told(&self) -> (usize, u64) {
        (self.group.number, mixed(mixed(self.digest, u64::from(self.last)), self.run))
    }

    /// The levels of a page.
    pub fn add(&mut self, repetitions: Numbers, definitions: Numbers, each: (&[u8], &[u8]), count: usize) {
        match (repetitions, definitions) {
            _ if count == 0 => {}
            (Numbers::Same(repetition), Numbers::Same(definition)) => self.step(repetition as u8, definition as u8, count as u64),
            (Numbers::Same(repetition), Numbers::Each) => each.1[..count].iter().for_each(|level| self.step(repetition as u8, *level, 1)),
            (Numbers::Each, Numbers::Same(definition)) => each.0[..count].iter().for_each(|level| self.step(*level, definition as u8, 1)),
            (Numbers::Each, Numbers::Each) => {
                each.0[..count].iter().zip(each.1).for_each(|(repetition, definition)| self.step(*repetition, *definition, 1));
            }
        }
    }

    #[inline(always)]
    fn step(&mut self, repetition: u8, definition: u8, count: u64) {
        if repetition > self.group.repetition {
            return;
        }
        let told = u32::from(repetition) << 8 | u32::from(definition.min(self.group.definition));
        if told != self.last {
            self.digest = mixed(mixed(self.digest, u64::from(self.last)), self.run);
            (self.last, self.run) = (told, 0);
        }
        self.run += count;
    }
}

fn mixed(digest: u64, word: u64) -> u64 {
    let word = (digest ^ word).wrapping_mul(FACTOR);
    (word ^ word >> 29).wrapping_mul(FACTOR).rotate_left(31)
}

/// Whether nobody contradicts anybody: all that is told of a group is the same.
pub fn agree(mut told: Vec<(usize, u64)>) -> bool {
    told.sort_unstable();
    told.windows(2).all(|pair| pair[0].0 != pair[1].0 || pair[0].1 == pair[1].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(group: Group, pages: &[(&[u8], &[u8])]) -> (usize, u64) {
        let mut shape = Shape::new(group);
        pages.iter().for_each(|page| shape.add(Numbers::Each, Numbers::Each, *page, page.0.len()));
        shape.told()
    }

    #[test]
    fn only_what_is_above_a_leaf_counts_however_its_pages_are_cut() {
        let group = Group { number: 0, repetition: 1, definition: 2 };
        let whole: (&[u8], &[u8]) = (&[0, 1, 2, 2, 0, 1], &[3, 2, 4, 4, 0, 2]);
        let told_whole = told(group, &[whole]);
        assert_eq!(told_whole, told(group, &[(&[0, 1, 0, 1], &[2, 2, 0, 3])]));
        assert_eq!(told_whole, told(group, &[(&whole.0[..3], &whole.1[..3]), (&whole.0[3..], &whole.1[3..])]));
        assert_ne!(told_whole, told(group, &[(&[0, 1, 0], &[2, 2, 0])]));
        assert_ne!(told_whole, told(group, &[(&[0, 1, 0, 1], &[2, 1, 0, 3])]));
        assert!(!agree(vec![told_whole, told(group, &[(&[0, 0, 0, 1], &[2, 2, 0, 3])])]));
    }
}

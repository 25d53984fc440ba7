//! Levels of the page in the making, and with which of them rows begin.

use super::hybrid::{Numbers, bits_for, encode, encode_run};
use super::writer::Unit;

/// Levels of the page in the making: one that repeats as long as that holds.
#[derive(Default)]
pub struct Gathered {
    run: Option<(u8, usize)>,
    each: Vec<u8>,
}

impl Gathered {
    pub fn add(&mut self, levels: &Numbers<u8>) {
        match levels {
            Numbers::Run(_, 0) => {}
            Numbers::Run(level, n) => match &mut self.run {
                Some((same, count)) if same == level => *count += n,
                None if self.each.is_empty() => self.run = Some((*level, *n)),
                _ => {
                    self.spill();
                    self.each.resize(self.each.len() + n, *level);
                }
            },
            Numbers::Each(levels) => {
                self.spill();
                self.each.extend_from_slice(levels);
            }
        }
    }

    fn spill(&mut self) {
        if let Some((level, n)) = self.run.take() {
            self.each.resize(self.each.len() + n, level);
        }
    }

    pub fn write(&mut self, deepest: u8, out: &mut Vec<u8>) {
        if deepest > 0 {
            let start = out.len();
            out.extend_from_slice(&[0; 4]);
            let width = bits_for(usize::from(deepest));
            match self.run.take() {
                Some((level, n)) => encode_run(u32::from(level), n, width, out),
                None => encode(&self.each, width, out),
            }
            let length = (out.len() - start - 4) as u32;
            out[start..start + 4].copy_from_slice(&length.to_le_bytes());
        }
        self.run = None;
        self.each.clear();
    }
}

/// Adds to `counts` how many rows of a unit begin with each definition level.
pub fn count_beginnings(unit: &Unit<'_>, counts: &mut [usize]) {
    match (unit.definitions, unit.repetitions) {
        (Numbers::Run(definition, n), Numbers::Run(0, _)) => counts[usize::from(*definition)] += n,
        (_, Numbers::Run(..)) if unit.rows == 0 => {}
        (Numbers::Each(definitions), Numbers::Run(..)) => {
            let of =
                |level| definitions.chunks(255).map(|some| count_of(some.iter().map(|definition| *definition == level))).sum::<usize>();
            counts.iter_mut().zip(0..).for_each(|(count, level)| *count += of(level));
        }
        (Numbers::Run(definition, _), _) => counts[usize::from(*definition)] += unit.rows,
        (Numbers::Each(definitions), Numbers::Each(repetitions)) => {
            let beginning = |level| move |(definition, repetition): (&u8, &u8)| (*definition == level) & (*repetition == 0);
            for (definitions, repetitions) in definitions.chunks(255).zip(repetitions.chunks(255)) {
                let of = |level| count_of(definitions.iter().zip(repetitions).map(beginning(level)));
                counts.iter_mut().zip(0..).for_each(|(count, level)| *count += of(level));
            }
        }
    }
}

/// How many of these, at most 255, are so.
fn count_of(each: impl Iterator<Item = bool>) -> usize {
    each.map(u8::from).sum::<u8>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_by_the_level_that_they_begin_with() {
        let level = |i: usize, most: usize| ((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8 % most as u8;
        for n in [1, 2, 254, 255, 256, 5000] {
            let each = |most| Numbers::Each((0..n).map(|i| level(i + most, most)).collect::<Vec<u8>>());
            let (deep, begins) = (each(4), each(2));
            for definitions in [deep.clone(), Numbers::Each(vec![3; n]), Numbers::Run(2, n)] {
                for repetitions in [begins.clone(), Numbers::Each(vec![0; n]), Numbers::Run(0, n), Numbers::Run(1, n)] {
                    let at = |levels: &Numbers<u8>, i: usize| match levels {
                        Numbers::Run(level, _) => *level,
                        Numbers::Each(each) => each[i],
                    };
                    let mut slow = vec![7; 4];
                    (0..n).filter(|i| at(&repetitions, *i) == 0).for_each(|i| slow[usize::from(at(&definitions, i))] += 1);
                    let (rows, mut counts) = (slow.iter().sum::<usize>() - 28, vec![7; 4]);
                    let unit = Unit { definitions: &definitions, repetitions: &repetitions, values: n, nulls: 0, rows, begins_row: true };
                    count_beginnings(&unit, &mut counts);
                    assert_eq!(counts, slow);
                }
            }
        }
    }
}

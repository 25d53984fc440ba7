//! Merges a changed file between two sound ones, and judges what comes out by what the reference reads.

use std::panic::{AssertUnwindSafe, catch_unwind};

use compactor_native::fuse::{Group, Merge, Refusal, Source, Target, merge};
use compactor_native::memory::held;

use crate::corpus::Corpus;
use crate::model::closed;
use crate::proof::sums;
use crate::reference::{Leaf, Rows, decode};
use crate::thrift::{Value, read};

/// What became of a changed file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It was not merged.
    Refused,
    /// The merged file holds what the reference reads of it.
    Equal,
    /// The reference refuses it, for side matters or for damage in what is kept compressed; the rows around it are whole.
    Lenient,
    /// The reference refuses it, and what was merged of it just so.
    AsDamaged,
    /// A column has another shape now, of which nothing is said; the rows around it are whole.
    Reshaped,
    /// The merged file holds other rows than the reference reads of it.
    Wrong,
    /// Rows of the files around it have changed.
    Neighbours,
    /// The reference reads it, but not the merged file.
    Unreadable,
    /// The kernel panicked.
    Fault,
    /// The kernel held more memory than a file of this size is worth, where whoever judges counts it.
    Greedy,
    /// The reader of the proof has a fault, or finds another sum in the merged file than in its parts.
    Unproven,
}

/// Twice the largest page that is merged, and something for everything else.
const MOST_HELD: usize = 160 << 20;

pub const OUTCOMES: [Outcome; 11] = [
    Outcome::Refused,
    Outcome::Equal,
    Outcome::Lenient,
    Outcome::AsDamaged,
    Outcome::Reshaped,
    Outcome::Wrong,
    Outcome::Neighbours,
    Outcome::Unreadable,
    Outcome::Fault,
    Outcome::Greedy,
    Outcome::Unproven,
];

impl Outcome {
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Wrong | Self::Neighbours | Self::Unreadable | Self::Fault | Self::Greedy | Self::Unproven)
    }
}

/// Merges `file` between entry `around` and itself, for the codec of this number.
pub fn judge(corpus: &Corpus, around: usize, file: &[u8], codec: usize) -> Outcome {
    let good = &corpus.entries[around];
    let family = &corpus.families[good.family];
    let target = &family.targets[codec];
    let (before, _) = held();
    let merged = catch_unwind(AssertUnwindSafe(|| merged(target, &[&good.data, file, &good.data])));
    if held().1.saturating_sub(before) > MOST_HELD {
        return Outcome::Greedy;
    }
    let group = match merged {
        Err(_) => return Outcome::Fault,
        Ok(Err(refusal)) if refusal.to_string().contains("fault") => return Outcome::Fault,
        Ok(Err(_)) => return Outcome::Refused,
        Ok(Ok(group)) => group,
    };
    let expected = decode(file, Some(&good.rows));
    let whole = as_file(&group, &family.footer, &[&good.data, file, &good.data]);
    if family.proof.as_ref().is_some_and(|proof| !adds_up(proof, &good.data, file, &whole)) {
        return Outcome::Unproven;
    }
    let Some(found) = decode(&whole, None) else {
        return if expected.is_some() { Outcome::Unreadable } else { Outcome::AsDamaged };
    };
    let whole = found.leaves.len() == good.rows.leaves.len()
        && found.leaves.iter().zip(&good.rows.leaves).all(|(leaf, good)| is_around(leaf, good));
    if !whole || found.count < 2 * good.rows.count {
        return Outcome::Neighbours;
    }
    let Some(expected) = expected else { return Outcome::Lenient };
    let mut outcome = if found.count == expected.count + 2 * good.rows.count { Outcome::Equal } else { Outcome::Wrong };
    for (leaf, good) in found.leaves.iter().zip(&good.rows.leaves) {
        match between(leaf, good, &expected) {
            Some(true) => {}
            Some(false) => return Outcome::Wrong,
            None if outcome == Outcome::Equal => outcome = Outcome::Reshaped,
            None => {}
        }
    }
    outcome
}

/// Whether the reader of the proof finds in `whole` the rows of `file` and twice those of `good`, where it reads all of them.
fn adds_up(target: &compactor_native::proof::Target, good: &[u8], file: &[u8], whole: &[u8]) -> bool {
    match &sums(target, &[good, file, whole])[..] {
        [Ok(good), Ok(file), Ok(whole)] => whole.0 == good.0.wrapping_add(good.0).wrapping_add(file.0) && whole.1 == 2 * good.1 + file.1,
        refused => !refused.iter().any(|one| one.as_ref().is_err_and(|why| why.contains("fault"))),
    }
}

fn merged(target: &Target, files: &[&[u8]]) -> Result<Group, Refusal> {
    let sources = files.iter().map(|file| Source::new(target, file)).collect::<Result<Vec<_>, _>>()?;
    let parts: Vec<(&Source, &[u8])> = sources.iter().zip(files).map(|(source, file)| (source, *file)).collect();
    let bounds = vec![true; target.leaves.len()];
    merge(&Merge { target, bounds: &bounds, verify: false, threads: 1 }, &parts).map_err(|(_, refusal)| refusal)
}

/// A file of the one row group.
fn as_file(group: &Group, footer: &Value, sources: &[&[u8]]) -> Vec<u8> {
    let mut data = b"PAR1".to_vec();
    let told = read(&group.row_group(data.len() as u64)).map(|(told, _)| told);
    for column in &group.columns {
        let start = data.len();
        data.resize(start + column.bytes.len(), 0);
        column.bytes.copy(0, &mut data[start..], |i| sources.get(i).copied()).expect("all bytes are there");
    }
    let mut footer = footer.clone();
    footer.put(3, group.rows as i64);
    if let Some(groups) = footer.list_mut(4) {
        *groups = told.into_iter().collect();
    }
    closed(data, &footer)
}

/// Whether a merged column begins and ends with all of `good`.
fn is_around(leaf: &Leaf, good: &Leaf) -> bool {
    fn both<T: PartialEq>(all: &[T], part: &[T]) -> bool {
        all.len() >= 2 * part.len() && all.starts_with(part) && all.ends_with(part)
    }
    leaf.shape == good.shape
        && both(&leaf.definitions, &good.definitions)
        && both(&leaf.repetitions, &good.repetitions)
        && both(&leaf.values, &good.values)
}

/// Whether a merged column holds between the rows of `good` what is expected; None where its shape is another.
fn between(leaf: &Leaf, good: &Leaf, expected: &Rows) -> Option<bool> {
    let (definitions, repetitions) = (middle(&leaf.definitions, &good.definitions), middle(&leaf.repetitions, &good.repetitions));
    let values = middle(&leaf.values, &good.values);
    let Some(expected) = expected.leaf(&leaf.path) else {
        return Some(values.is_empty() && definitions.iter().all(|level| *level == 0)).filter(|same| *same);
    };
    (expected.shape == leaf.shape)
        .then(|| definitions == expected.definitions && repetitions == expected.repetitions && values == expected.values)
}

fn middle<'a, T>(all: &'a [T], part: &[T]) -> &'a [T] {
    &all[part.len()..all.len() - part.len()]
}

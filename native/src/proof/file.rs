//! Sums of whole files and of row groups.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::lanes::{Lanes, finished};

use super::column::Cursor;
use super::footer::{Footer, RowGroup, footer_of};
use super::rooms::{Parts, Rooms};
use super::schema::{Leaf, Plan};
use super::shape::agree;
use super::source::Source;
use super::wanted::Target;
use super::{Result, refuse};

/// Of so many rows at once all columns are read that are read side by side.
const STEP: usize = 4096;
/// Row groups of so many rows are read column by column: their lanes stay in the cache.
const FEW_ROWS: usize = 1 << 16;
/// Row groups of more rows are read where their lanes fit what is there.
const MOST_ROWS: usize = 1 << 20;
/// What a column that is being read takes, mostly.
const COLUMN_BYTES: usize = 3 << 20;

const OTHER_COLUMNS: &str = "a row group has another number of columns than the schema";
const NOT_THERE: &str = "its chunks are not there to be read";
const CONTRADICTION: &str = "the columns of a struct or map contradict each other";

/// The sum of some rows modulo 2^128, and how many they are.
pub type Summed = (u128, usize);

/// The rows of each of these files, or why it is not read. `most_bytes`: of what is made of their pages on the way.
pub fn sum_of_each(target: &Target, files: &[&[u8]], most_bytes: usize, threads: usize) -> Vec<Result<Summed>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(files.len()));
    let work = || {
        let (mut rooms, mut known) = (Rooms::take(), None);
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = files.get(i) else { break };
            let found = guarded(|| sum_of_file(target, file, most_bytes, &mut rooms, &mut known));
            done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((i, found));
        }
    };
    std::thread::scope(|scope| {
        (1..threads.min(files.len())).for_each(|_| {
            scope.spawn(work);
        });
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, found)| found).collect()
}

fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| refuse("the reader has a fault that this file brings out"))
}

/// `known`: the schema that was seen last, and how files that have it are read.
fn sum_of_file<'a>(
    target: &Target,
    file: &'a [u8],
    most_bytes: usize,
    rooms: &mut Parts,
    known: &mut Option<(&'a [u8], Plan)>,
) -> Result<Summed> {
    let footer = Footer::read(footer_of(file)?)?;
    if known.as_ref().is_none_or(|(schema, _)| *schema != footer.schema) {
        *known = Some((footer.schema, Plan::new(footer.schema, target)?));
    }
    let Some((_, plan)) = known else { return refuse("it has no schema") };
    let (mut sum, mut rows) = (0u128, 0);
    for group in &footer.groups {
        let chunks = plan.leaves.iter().map(|leaf| chunk_of(group, plan, leaf, file)).collect::<Result<Vec<_>>>()?;
        sum = sum.wrapping_add(sum_of_columns(target, group, &plan.leaves, &chunks, most_bytes, rooms)?);
        rows += group.rows;
    }
    Ok((sum, rows))
}

fn chunk_of<'a>(group: &RowGroup, plan: &Plan, leaf: &Leaf, file: &'a [u8]) -> Result<&'a [u8]> {
    if group.chunks.len() != plan.columns {
        return refuse(OTHER_COLUMNS);
    }
    let chunk = &group.chunks[leaf.column];
    file.get(chunk.start..).and_then(|rest| rest.get(..chunk.length)).map_or_else(|| refuse("a column chunk goes beyond its file"), Ok)
}

/// The rows of one row group, of which the chunks of these leaves are here, in `threads` threads.
pub fn sum_of_group(target: &Target, group: &RowGroup, plan: &Plan, chunks: &[&[u8]], most_bytes: usize, threads: usize) -> Result<Summed> {
    if chunks.len() != plan.leaves.len() {
        return refuse(OTHER_COLUMNS);
    }
    let parts = parted(&chunks.iter().map(|chunk| chunk.len()).collect::<Vec<_>>(), threads);
    let parts = parts.iter().map(|part| part.iter().map(|i| (&plan.leaves[*i], Source::Lent(chunks[*i]))).collect()).collect();
    sum_of_parts(target, group, plan, parts, most_bytes)
}

/// The rows of one row group of a file of this machine, of which the chunks of these leaves are read piece by piece.
pub fn sum_of_stored(target: &Target, group: &RowGroup, plan: &Plan, path: &Path, most_bytes: usize, threads: usize) -> Result<Summed> {
    let Some(chunks) = plan.leaves.iter().map(|leaf| group.chunks.get(leaf.column)).collect::<Option<Vec<_>>>() else {
        return refuse(OTHER_COLUMNS);
    };
    let parts = parted(&chunks.iter().map(|chunk| chunk.length).collect::<Vec<_>>(), threads);
    // Each thread has a position of its own in the file.
    let Ok(files) = parts.iter().map(|_| File::open(path)).collect::<std::io::Result<Vec<_>>>() else { return refuse(NOT_THERE) };
    let end = chunks.iter().try_fold(0usize, |most, chunk| Some(most.max(chunk.start.checked_add(chunk.length)?)));
    let there = files.first().and_then(|file| usize::try_from(file.metadata().ok()?.len()).ok());
    if end.is_none_or(|end| there.is_none_or(|there| there < end)) {
        return refuse(NOT_THERE);
    }
    let stored = |file, i: usize| Source::Stored { file, start: chunks[i].start, length: chunks[i].length };
    let parts = parts.iter().zip(&files).map(|(part, file)| part.iter().map(|i| (&plan.leaves[*i], stored(file, *i))).collect()).collect();
    sum_of_parts(target, group, plan, parts, most_bytes)
}

/// Leaves and their chunks, which one thread reads.
type Part<'a> = Vec<(&'a Leaf, Source<'a>)>;

fn sum_of_parts(target: &Target, group: &RowGroup, plan: &Plan, parts: Vec<Part<'_>>, most_bytes: usize) -> Result<Summed> {
    if group.chunks.len() != plan.columns {
        return refuse(OTHER_COLUMNS);
    }
    let most_bytes = most_bytes / parts.len().max(1);
    let sums = crate::crew::each(parts.len(), parts.len(), |i| guarded(|| lanes_of(group, &parts[i], most_bytes, &mut Rooms::take())));
    let mut sums = sums.into_iter();
    let Some(first) = sums.next() else { return refuse("there is nothing to read") };
    let Read { mut lanes, mut told } = first?;
    for more in sums {
        let more = more?;
        lanes.add(&more.lanes);
        told.extend(more.told);
    }
    if !agree(told) {
        return refuse(CONTRADICTION);
    }
    let sum = total(target, &mut lanes, group.rows);
    Rooms::take().give(lanes);
    Ok((sum, group.rows))
}

/// Numbers of leaves whose chunks have these lengths, divided so that each part has about as many bytes.
fn parted(lengths: &[usize], parts: usize) -> Vec<Vec<usize>> {
    let mut leaves: Vec<usize> = (0..lengths.len()).collect();
    leaves.sort_by_key(|i| std::cmp::Reverse(lengths[*i]));
    let mut found = vec![(0, Vec::new()); parts.clamp(1, lengths.len().max(1))];
    for i in leaves {
        if let Some(least) = found.iter_mut().min_by_key(|part| part.0) {
            least.0 += lengths[i] + 1;
            least.1.push(i);
        }
    }
    found.into_iter().map(|(_, part)| part).collect()
}

fn sum_of_columns(
    target: &Target,
    group: &RowGroup,
    leaves: &[Leaf],
    chunks: &[&[u8]],
    most_bytes: usize,
    rooms: &mut Parts,
) -> Result<u128> {
    let part: Part<'_> = leaves.iter().zip(chunks.iter().copied().map(Source::Lent)).collect();
    let Read { mut lanes, told } = lanes_of(group, &part, most_bytes, rooms)?;
    if !agree(told) {
        return refuse(CONTRADICTION);
    }
    let sum = total(target, &mut lanes, group.rows);
    rooms.give(lanes);
    Ok(sum)
}

fn total(target: &Target, lanes: &mut Lanes, rows: usize) -> u128 {
    (0..rows).step_by(STEP).fold(0u128, |sum, from| sum.wrapping_add(finished(lanes.rows(from, rows.min(from + STEP)), target.finish)))
}

/// What columns add to rows, and what they tell of the groups above them.
struct Read {
    lanes: Lanes,
    told: Vec<(usize, u64)>,
}

/// What these columns add to the rows of a row group.
fn lanes_of(group: &RowGroup, part: &Part<'_>, most_bytes: usize, rooms: &mut Parts) -> Result<Read> {
    // Lanes are made of what a footer claims.
    if group.rows > MOST_ROWS.max(most_bytes / 16) {
        return refuse("a row group has too many rows to be read at once");
    }
    let (mut lanes, mut told) = (rooms.lanes(group.rows), Vec::new());
    let beside = if group.rows <= FEW_ROWS { 1 } else { (most_bytes / COLUMN_BYTES).clamp(1, 64) };
    for some in part.chunks(beside) {
        let rooms = rooms.of(some.len());
        let mut cursors = Vec::with_capacity(some.len());
        for ((leaf, source), room) in some.iter().zip(rooms.iter_mut()) {
            cursors.push(Cursor::new(leaf, &group.chunks[leaf.column], *source, most_bytes, room)?);
        }
        for from in (0..group.rows).step_by(STEP) {
            for (cursor, room) in cursors.iter_mut().zip(rooms.iter_mut()) {
                cursor.add(lanes.rows(from, group.rows.min(from + STEP)), room)?;
            }
        }
        for (cursor, room) in cursors.iter_mut().zip(rooms.iter_mut()) {
            told.extend(cursor.end(room)?);
        }
    }
    Ok(Read { lanes, told })
}

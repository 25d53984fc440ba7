//! `fuzz-native RUNS [--from CASE] [--folder FOLDER] [--keep FOLDER]`: changed files, each case the same for its number.
//!
//! Prints counts of outcomes every 250,000 and at the end, and each case of a bad one; its file is kept where --keep says. Ends with 1
//! after a bad outcome.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use compactor_native::memory::Counted;
use compactor_native_fuzz::chance::Chance;
use compactor_native_fuzz::change::changed;
use compactor_native_fuzz::corpus::Corpus;
use compactor_native_fuzz::judge::{OUTCOMES, Outcome, judge};

#[global_allocator]
static ALLOCATOR: Counted = Counted;

struct Told {
    runs: u64,
    from: u64,
    folder: Option<PathBuf>,
    keep: Option<PathBuf>,
}

fn told() -> Option<Told> {
    let mut told = Told { runs: 0, from: 0, folder: None, keep: None };
    let mut words = std::env::args().skip(1);
    told.runs = words.next()?.parse().ok()?;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--from" => told.from = words.next()?.parse().ok()?,
            "--folder" => told.folder = Some(words.next()?.into()),
            "--keep" => told.keep = Some(words.next()?.into()),
            _ => return None,
        }
    }
    Some(told)
}

/// The file of a case, the entry that it is merged between, and which codec the output has: seldom Zstandard, which is slow to begin with.
fn case(corpus: &Corpus, number: u64) -> (Vec<u8>, usize, usize) {
    let mut chance = Chance::new(number);
    let mut entry = &corpus.entries[chance.below(corpus.entries.len())];
    if entry.rows.leaves.len() > 2 && chance.below(4) > 0 {
        entry = &corpus.entries[chance.below(corpus.entries.len())]; // files of many columns take long
    }
    let around = chance.of(&corpus.families[entry.family].members);
    let codec = chance.of(&[0, 0, 0, 0, 1, 1, 1, 2]);
    (changed(&entry.data, &entry.model, &mut chance), around, codec)
}

fn main() -> ExitCode {
    let Some(told) = told() else {
        eprintln!("fuzz-native RUNS [--from CASE] [--folder FOLDER] [--keep FOLDER]");
        return ExitCode::from(2);
    };
    let mut corpus = Corpus::own();
    if let Some(Err(error)) = told.folder.as_deref().map(|folder| corpus.add_folder(folder)) {
        eprintln!("The files to change cannot be read: {error}.");
        return ExitCode::from(2);
    }
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        std::panic::set_hook(Box::new(|_| {})); // whoever panics is counted
    }
    let (started, mut counts) = (Instant::now(), [0u64; OUTCOMES.len()]);
    println!("{} files in {} schemas", corpus.entries.len(), corpus.families.len());
    for number in told.from..told.from + told.runs {
        let (file, around, codec) = case(&corpus, number);
        let outcome = judge(&corpus, around, &file, codec);
        counts[outcome as usize] += 1;
        if outcome.is_bad() {
            println!("case {number}: {outcome:?}, between {} twice", corpus.entries[around].name);
            if let Some(folder) = &told.keep {
                let kept = std::fs::write(folder.join(format!("case-{number}.parquet")), &file);
                kept.unwrap_or_else(|error| eprintln!("The file is not kept: {error}."));
            }
        }
        if (number + 1 - told.from) % 250_000 == 0 {
            println!("{}", summary(&counts, started));
        }
    }
    println!("{}", summary(&counts, started));
    let bad = OUTCOMES.iter().any(|outcome| outcome.is_bad() && counts[*outcome as usize] > 0);
    ExitCode::from(u8::from(bad))
}

fn summary(counts: &[u64; OUTCOMES.len()], started: Instant) -> String {
    let total: u64 = counts.iter().sum();
    let each: Vec<String> = OUTCOMES.iter().map(|outcome: &Outcome| format!("{outcome:?} {}", counts[*outcome as usize])).collect();
    format!("{total} runs in {} s: {}", started.elapsed().as_secs(), each.join(", "))
}

//! For libFuzzer: two bytes choose what the rest, a file, is merged between and for which codec. Files are changed as `fuzz-native` changes
//! them, and byte by byte; what reaches code that was not reached before is kept and changed again.
//!
//! FUZZ_FOLDER in the environment: a folder of more files to begin with.

#![no_main]

use std::sync::LazyLock;

use compactor_native_fuzz::chance::Chance;
use compactor_native_fuzz::change::changed;
use compactor_native_fuzz::corpus::{CODECS, Corpus};
use compactor_native_fuzz::judge::judge;
use compactor_native_fuzz::model::Model;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

const CHOICE: usize = 2;

static CORPUS: LazyLock<Corpus> = LazyLock::new(|| {
    let mut corpus = Corpus::own();
    if let Some(folder) = std::env::var_os("FUZZ_FOLDER") {
        corpus.add_folder(folder.as_ref()).expect("FUZZ_FOLDER is a folder of files");
    }
    corpus
});

fuzz_target!(
    init: {
        LazyLock::force(&CORPUS);
        std::panic::set_hook(Box::new(|_| {})); // the decoder that judges may panic; the kernel's panics are outcomes
    },
    |data: &[u8]| {
        let Some((choice, file)) = data.split_first_chunk::<CHOICE>() else { return };
        let choice = usize::from(u16::from_le_bytes(*choice));
        let outcome = judge(&CORPUS, choice / CODECS.len() % CORPUS.entries.len(), file, choice % CODECS.len());
        if outcome.is_bad() {
            eprintln!("{outcome:?}");
            std::process::abort();
        }
    }
);

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    match another(&data[..size], &mut Chance::new(seed.into())) {
        Some(file) if file.len() <= max_size => {
            data[..file.len()].copy_from_slice(&file);
            file.len()
        }
        _ => fuzzer_mutate(data, size, max_size),
    }
});

/// The input with its pages or footer changed, or now and then another of the files to begin with; None: its bytes may be changed anyhow.
fn another(data: &[u8], chance: &mut Chance) -> Option<Vec<u8>> {
    let Some((choice, file)) = data.split_first_chunk::<CHOICE>().filter(|_| chance.below(32) > 0) else {
        let entry = &CORPUS.entries[chance.below(CORPUS.entries.len())];
        let choice = chance.of(&CORPUS.families[entry.family].members) * CODECS.len() + chance.below(CODECS.len());
        return Some([&u16::try_from(choice).ok()?.to_le_bytes(), &*changed(&entry.data, &entry.model, chance)].concat());
    };
    if chance.below(8) == 0 {
        return None;
    }
    Some([choice, &*changed(file, &Model::of(file)?, chance)].concat())
}

//! For libFuzzer: the first byte chooses what the rest, a file, is merged between and for which codec.

#![no_main]

use std::sync::LazyLock;

use compactor_native_fuzz::corpus::{CODECS, Corpus};
use compactor_native_fuzz::judge::judge;
use libfuzzer_sys::fuzz_target;

static CORPUS: LazyLock<Corpus> = LazyLock::new(Corpus::own);

fuzz_target!(|data: &[u8]| {
    let Some((choice, file)) = data.split_first() else { return };
    let choice = usize::from(*choice);
    let outcome = judge(&CORPUS, choice / CODECS.len() % CORPUS.entries.len(), file, choice % CODECS.len());
    assert!(!outcome.is_bad(), "{outcome:?}");
});

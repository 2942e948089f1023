//! A very small model folder for tests.

use std::path::Path;

pub const TEXTS: [&str; 4] = ["the net in the tent", "nine", "a tin tea hen at ten in the heat at ten", "neat ant"];

/// The tiny BERT of the golden files with a tokenizer of few words, which fits it.
pub fn folder() -> tempfile::TempDir {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/bert");
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(golden.join(file), folder.path().join(file)).unwrap();
    }
    let words = "[PAD] [UNK] [CLS] [SEP] [MASK] the net in tent nine a tin tea hen at ten heat neat";
    std::fs::write(folder.path().join("vocab.txt"), words.replace(' ', "\n")).unwrap();
    folder
}

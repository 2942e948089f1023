//! Language models of the golden files with a tokenizer, for the tests of several crates.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// The tokens of the models that write, one letter each; behind them are those for padding and for the end.
pub const LETTERS: &str = " \n:.abcdefghijklmnopqrstuvwxyzUASPN0123456789,!?'-";

/// A tiny language model of the golden files with letters for tokens, after changes to its `config.json`.
pub fn model(folder: &Path, golden: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(golden);
    fs::create_dir_all(folder).unwrap();
    for name in ["model.safetensors", "generation_config.json"] {
        fs::copy(golden.join(name), folder.join(name)).unwrap();
    }
    let mut config: Value = serde_json::from_slice(&fs::read(golden.join("config.json")).unwrap()).unwrap();
    change(&mut config);
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let letters = LETTERS.chars().map(String::from).chain(["<pad>", "<end>"].map(String::from));
    let vocabulary: serde_json::Map<_, _> = letters.enumerate().map(|(id, letter)| (letter, id.into())).collect();
    let special = |id: u32, name: &str| {
        json!({"id": id, "content": name, "special": true, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false})
    };
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "pre_tokenizer": null,
        "post_processor": null, "decoder": {"type": "Fuse"},
        "added_tokens": [special(50, "<pad>"), special(51, "<end>")],
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    });
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    fs::write(folder.join("tokenizer_config.json"), json!({"eos_token": "<end>"}).to_string()).unwrap();
    folder.to_owned()
}

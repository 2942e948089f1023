//! A model folder is hostile until proven right: whatever is done to its files, reading it gives a model or an error,
//! never a panic and never memory for sizes that the weights do not bear out.

use std::fs;
use std::path::{Path, PathBuf};

use finetone_backend::Reference;
use finetone_model::ModelError;
use finetone_model::checkpoint::{HeadImport, ModelFolder};

fn golden(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(case)
}

fn read(folder: &Path) -> Result<(), ModelError> {
    let source = ModelFolder::open(folder)?;
    let backend = Reference::<f32>::new();
    source.load(&backend, source.config().clone(), HeadImport::FreshWhereMissing(1)).map(|_| ())
}

/// SplitMix64: the same damage on every machine.
struct Damage(u64);

impl Damage {
    fn next(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }

    /// Flips, inserts, removes or repeats bytes in the first `reach` of them, or cuts the file.
    fn spoil(&mut self, bytes: &mut Vec<u8>, reach: usize) {
        for _ in 0..=self.next(3) {
            let place = self.next(bytes.len().min(reach));
            match self.next(6) {
                0 => bytes[place] ^= 1 << self.next(8),
                1 => bytes[place] = b"0123456789-.\"{}[],:e"[self.next(20)],
                2 => bytes.insert(place, b'0' + self.next(10) as u8),
                3 => drop(bytes.remove(place)),
                4 => bytes.extend_from_within(..place),
                _ => bytes.truncate(place + 1),
            }
        }
    }
}

fn spoil_many(case: &str, file: &str, rounds: u64) {
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(golden(case).join(name), folder.path().join(name)).unwrap();
    }
    read(folder.path()).unwrap();
    let whole = fs::read(folder.path().join(file)).unwrap();
    // The header of a safetensors file is its length in eight bytes and so much JSON; damage further on is only numbers.
    let reach = if file.ends_with(".json") { whole.len() } else { 3000 };
    let mut refused = 0;
    for round in 0..rounds {
        let mut bytes = whole.clone();
        Damage(round).spoil(&mut bytes, reach);
        fs::write(folder.path().join(file), &bytes).unwrap();
        if let Err(error) = read(folder.path()) {
            assert!(error.hint().is_some(), "no hint for: {error}");
            refused += 1;
        }
    }
    assert!(refused > rounds / 2, "only {refused} of {rounds} damaged files were refused");
}

#[test]
fn damaged_weights_give_errors() {
    spoil_many("bert", "model.safetensors", 1500);
    spoil_many("gpt2", "model.safetensors", 500);
}

#[test]
fn damaged_configurations_give_errors() {
    for case in ["bert", "gpt2", "distilbert", "roberta", "llama", "qwen2"] {
        spoil_many(case, "config.json", 400);
    }
}

#[test]
fn a_configuration_of_absurd_sizes_is_refused_before_memory_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(golden("bert").join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
    let config = fs::read_to_string(golden("bert").join("config.json")).unwrap();
    for (field, value) in
        [("vocab_size", 1_000_000_000_u64), ("num_hidden_layers", 900_000_000), ("hidden_size", 1 << 29)]
    {
        let mut fields: serde_json::Value = serde_json::from_str(&config).unwrap();
        fields[field] = value.into();
        fs::write(folder.path().join("config.json"), fields.to_string()).unwrap();
        assert!(read(folder.path()).is_err(), "{field} = {value} was accepted");
    }
}

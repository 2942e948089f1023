//! Heads for masked places beside transformers: the models and logits of `generate.py`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use finetone_backend::{Backend, Real, Reference};
use finetone_backend_cpu::{Cpu, CpuOptions};
use finetone_model::checkpoint::{self, ModelFolder};
use finetone_model::{Model, ModelError, PackedBatch, Workspace};
use safetensors::SafeTensors;
use serde_json::{Map, Value};

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/masked")
}

fn golden() -> Value {
    serde_json::from_str(include_str!("masked.json")).unwrap()
}

fn load<B: Backend>(backend: &B, folder: &Path) -> Result<Model<B>, ModelError> {
    ModelFolder::open(folder)?.load_masked(backend)
}

fn sequences(golden: &Value) -> Vec<Vec<u32>> {
    serde_json::from_value(golden["sequences"].clone()).unwrap()
}

/// The logits of all masked places of some sequences in one batch, row by row.
fn logits<B: Backend>(backend: &B, model: &Model<B>, sequences: &[Vec<u32>], mask: u64) -> Vec<f64> {
    let mut batch = PackedBatch::pack(sequences.iter().map(Vec::as_slice), model.config.position_offset);
    let masked = (0..batch.tokens() as u32).filter(|&token| u64::from(batch.ids[token as usize]) == mask);
    let masked: Vec<u32> = masked.collect();
    batch.ask(masked.iter().copied());
    let mut workspace = Workspace::for_inference(backend, &model.config, (batch.tokens(), batch.tokens()));
    model.transformer.forward(&model.pass(backend, &batch, None), &mut workspace);
    let mut logits = vec![B::Real::default(); masked.len() * model.config.vocab_size];
    let all = 0..logits.len();
    backend.read(&mut logits, workspace.logits(), all);
    logits.into_iter().map(Real::to_f64).collect()
}

fn logits_are_transformers<B: Backend>(backend: &B, tolerance: f64) {
    let golden = golden();
    let (sequences, mask) = (sequences(&golden), golden["mask"].as_u64().unwrap());
    for case in golden["cases"].as_array().unwrap() {
        let name = case["model"].as_str().unwrap();
        let model = load(backend, &here().join(name)).unwrap();
        let ours = logits(backend, &model, &sequences, mask);
        let theirs: Vec<Vec<f64>> = serde_json::from_value(case["logits"].clone()).unwrap();
        assert_eq!(ours.len(), theirs.concat().len(), "{name}");
        for (a, b) in ours.iter().zip(theirs.concat()) {
            assert!((a - b).abs() <= tolerance, "{name} on {}: {a}, not {b}", backend.name());
        }
    }
}

#[test]
fn logits_of_masked_places_are_those_of_transformers() {
    logits_are_transformers(&Reference::<f64>::new(), 1e-9);
    logits_are_transformers(&Reference::<f32>::new(), 1e-4);
    logits_are_transformers(&Cpu::new(CpuOptions { threads: Some(2), ..CpuOptions::default() }).unwrap(), 1e-4);
}

#[test]
fn neighbours_in_the_batch_and_threads_change_no_bit() {
    let golden = golden();
    let (sequences, mask) = (sequences(&golden), golden["mask"].as_u64().unwrap());
    let bits = |threads, sequences: &[Vec<u32>]| {
        let cpu = Cpu::new(CpuOptions { threads: Some(threads), ..CpuOptions::default() }).unwrap();
        let model = load(&cpu, &here().join("roberta")).unwrap();
        logits(&cpu, &model, sequences, mask).into_iter().map(f64::to_bits).collect::<Vec<_>>()
    };
    let alone: Vec<u64> = sequences.chunks(1).flat_map(|one| bits(1, one)).collect();
    assert!(bits(3, &sequences) == alone);
}

/// The tensors of a file under other names, with a copy of its configuration, in a folder of their own.
fn renamed(name: &str, new: impl Fn(&str) -> Option<String>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(here().join(name).join("config.json"), folder.path().join("config.json")).unwrap();
    let bytes = std::fs::read(here().join(name).join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = file.iter().filter_map(|(name, view)| Some((new(name)?, view)));
    safetensors::serialize_to_file(tensors, None, &folder.path().join("model.safetensors")).unwrap();
    folder
}

#[test]
fn names_of_early_checkpoints_are_read() {
    let early = renamed("bert", |name| {
        let name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        Some(name.replace("cls.predictions.bias", "cls.predictions.decoder.bias"))
    });
    let (golden, exact) = (golden(), Reference::<f64>::new());
    let said = |folder: &Path| logits(&exact, &load(&exact, folder).unwrap(), &sequences(&golden), 4);
    assert_eq!(said(early.path()), said(&here().join("bert")));
}

#[test]
fn what_was_read_is_written_under_the_same_names_with_the_same_bits() {
    let exact = Reference::<f32>::new();
    for case in golden()["cases"].as_array().unwrap() {
        let name = case["model"].as_str().unwrap();
        let model = load(&exact, &here().join(name)).unwrap();
        let written = checkpoint::to_hugging_face(&model.config, &model.table, |id| {
            model.parameters.values(&exact, &model.table, id)
        });
        let written: BTreeMap<String, Vec<u8>> = written
            .into_iter()
            .map(|tensor| (tensor.name, tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect()))
            .collect();
        let bytes = std::fs::read(here().join(name).join("model.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut read: BTreeMap<String, Vec<u8>> =
            file.iter().map(|(name, view)| (name.to_owned(), view.data().to_vec())).collect();
        if name == "bert-untied" {
            // Nobody reads it: the layer that stands alone has a bias of its own.
            read.remove("cls.predictions.bias");
        }
        assert!(written == read, "{name}: {:?}, not {:?}", written.keys(), read.keys());
        let architecture = |config: &Map<String, Value>| config["architectures"][0].as_str().unwrap().to_owned();
        let exported = architecture(&checkpoint::exported_config(&model.config));
        // XLM-R is written as the RoBERTa that it is.
        assert!(architecture(&model.config.raw).ends_with(&exported), "{name}: {exported}");
    }
}

#[test]
fn folders_without_the_head_are_refused_with_what_to_do() {
    let exact = Reference::<f32>::new();
    let refused = |folder: &Path| {
        let error = load(&exact, folder).err().expect("there is no head");
        (error.to_string(), error.hint().unwrap())
    };
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    for name in ["bert", "bert-backbone", "roberta", "distilbert"] {
        let (error, hint) = refused(&golden.join(name));
        assert!(error.contains("no masked-language head") && error.contains("ForMaskedLM"), "{error}");
        assert!(hint.contains("sentence-transformers"), "{hint}");
    }
    let (error, hint) = refused(&golden.join("llama"));
    assert!(error.contains("`llama` reads texts in one direction") && hint.contains("RoBERTa"), "{error} {hint}");
    let damaged = renamed("distilbert", |name| (name != "vocab_layer_norm.bias").then(|| name.to_owned()));
    assert!(refused(damaged.path()).0.contains("`vocab_layer_norm.bias` is missing"));
}

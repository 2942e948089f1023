//! Runs with low-rank adapters: what they train, what they leave, and that they go on where they were stopped.

#[path = "../../../tests/python.rs"]
mod python;
mod workbench;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use finetone_classify::hub::HubConfig;
use finetone_classify::source::{FolderKind, ModelSource, ResolvedModel, SourceError};
use finetone_train::{Control, Outcome, RunConfig, RunFile, TrainEvent};
use safetensors::SafeTensors;
use workbench::{Recorder, config, cpu, run, sentence, weights};

/// Trains a small model to be the base; returns its run.
fn base(folder: &Path, settings: &[&str]) -> PathBuf {
    let run_folder = folder.join("base");
    let config = config(folder, 60, &[&["epochs=2", "batch_size=8", "learning_rate=1e-3"], settings].concat());
    run(&cpu(2), &config, &run_folder, &mut Recorder::default()).unwrap();
    run_folder
}

/// The settings of a run with adapters over a base.
fn adapted(folder: &Path, base: &Path, settings: &[&str]) -> RunConfig {
    let model = format!("model='{}'", base.display());
    let usual = [&model, "lora_rank=3", "epochs=2", "batch_size=8", "learning_rate=5e-3"];
    config(folder, 60, &[&usual, settings].concat())
}

/// The tensors of a file by name, as bytes.
fn tensors(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.iter().map(|(name, view)| (name.to_owned(), view.data().to_vec())).collect()
}

fn adapter_weights(run: &Path) -> Vec<u8> {
    fs::read(run.join("adapter/adapter_model.safetensors")).unwrap()
}

fn resolve(adapter: &Path, cache: &Path) -> Result<ResolvedModel, SourceError> {
    let hub = HubConfig { offline: true, cache: cache.to_owned(), ..HubConfig::from_variables(|_| None, None) };
    ModelSource::resolve(adapter.to_str().unwrap(), &hub, &mut ())
}

#[test]
fn adapters_and_head_are_trained_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let base = base(place.path(), &[]);
    let run_folder = place.path().join("run");
    let mut recorder = Recorder::default();
    let config = adapted(place.path(), &base, &["lora_targets=['query', 'value', 'intermediate.dense']"]);
    run(&cpu(2), &config, &run_folder, &mut recorder).unwrap();
    let started = recorder.events.iter().find_map(|event| match event {
        TrainEvent::Started { parameters, trainable, .. } => Some((*parameters, *trainable)),
        _ => None,
    });
    // Two blocks of width 32, with queries, values and a feed-forward layer of 64; a pooler, and two classes.
    let adapters = 2 * 3 * ((32 + 32) + (32 + 32) + (32 + 64));
    let (all, trained) = started.unwrap();
    assert_eq!(trained, adapters + (32 * 32 + 32) + (2 * 32 + 2));
    assert!(all > 5 * trained, "{trained} of {all}");

    let (before, after) =
        (tensors(&base.join("model/model.safetensors")), tensors(&run_folder.join("model/model.safetensors")));
    assert!(before.keys().eq(after.keys()), "the merged model has other tensors than its base");
    for (name, values) in &before {
        let is_target = ["query.weight", "value.weight", "intermediate.dense.weight"].iter().any(|t| name.ends_with(t));
        let is_head = name.contains("pooler") || name.starts_with("classifier");
        assert_eq!(values != &after[name], is_target || is_head, "{name}");
    }
}

#[test]
fn the_adapter_is_the_model_once_it_is_merged() {
    let place = tempfile::tempdir().unwrap();
    let base = base(place.path(), &[]);
    let run_folder = place.path().join("run");
    run(&cpu(1), &adapted(place.path(), &base, &["seeds=2"]), &run_folder, &mut Recorder::default()).unwrap();
    let (adapter, cache) = (run_folder.join("adapter"), place.path().join("cache"));
    let ResolvedModel::Folder { folder, kind } = resolve(&adapter, &cache).unwrap() else {
        panic!("an adapter is no model from scratch");
    };
    assert_eq!(kind, FolderKind::Adapter(adapter.clone()));
    assert!(tensors(&folder.join("model.safetensors")) == tensors(&run_folder.join("model/model.safetensors")));
    for file in ["config.json", "tokenizer.json"] {
        let read = |folder: &Path| fs::read_to_string(folder.join(file)).unwrap();
        assert_eq!(read(&folder), read(&run_folder.join("model")), "{file}");
    }
    // It is merged once, and again where the base is another one.
    let merged = || fs::read_dir(cache.join(".finetone")).unwrap().count();
    resolve(&adapter, &cache).unwrap();
    assert_eq!(merged(), 1);
    let weights = base.join("model/model.safetensors");
    fs::File::options().append(true).open(&weights).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    resolve(&adapter, &cache).unwrap();
    assert_eq!(merged(), 2);

    // Training goes on from it like from any model; without its base it is nothing.
    let settings = adapted(place.path(), &adapter, &["max_steps=1"]);
    let again = run(&cpu(1), &settings, &place.path().join("again"), &mut Recorder::default());
    assert!(matches!(again.unwrap(), Outcome::Finished(_)));
    fs::remove_dir_all(&base).unwrap();
    let error = resolve(&adapter, &cache).unwrap_err();
    assert!(error.to_string().contains("is an adapter of `"), "{error}");
    assert!(error.hint().unwrap().contains("base_model_name_or_path"));
}

/// Settings for a language model that learns to answer with a word.
fn chats(folder: &Path, settings: &[&str]) -> RunConfig {
    let path = folder.join("chats.jsonl");
    let line = |number: usize| {
        let (said, is_good) = sentence(number);
        let answer = if is_good { "Good" } else { "Bad" };
        let messages = [("user", said.as_str()), ("assistant", answer)]
            .map(|(role, content)| serde_json::json!({"role": role, "content": content}));
        serde_json::json!({ "messages": messages }).to_string() + "\n"
    };
    fs::write(&path, (0..60).map(line).collect::<String>()).unwrap();
    let mut file = RunFile::default();
    file.set("train", path.to_string_lossy().into_owned());
    let usual = ["task=chat", "epochs=2", "batch_size=8", "learning_rate=5e-3"];
    usual.iter().chain(settings).for_each(|setting| file.assign(setting).unwrap());
    file.resolve().unwrap()
}

/// A base that writes, and a run with adapters over it.
fn adapted_to_chats(place: &Path, recorder: &mut Recorder) -> PathBuf {
    let (base, run_folder) = (place.join("base"), place.join("run"));
    let config = chats(place, &["model=llama-tiny"]);
    run(&cpu(2), &config, &base, &mut Recorder::default()).unwrap();
    let model = format!("model='{}'", base.display());
    run(&cpu(2), &chats(place, &[&model, "lora_rank=3"]), &run_folder, recorder).unwrap();
    run_folder
}

#[test]
fn a_language_model_trains_its_adapters_alone() {
    let (place, mut recorder) = (tempfile::tempdir().unwrap(), Recorder::default());
    let run_folder = adapted_to_chats(place.path(), &mut recorder);
    let trained = recorder.events.iter().find_map(|event| match event {
        TrainEvent::Started { trainable, .. } => Some(*trainable),
        _ => None,
    });
    // Queries and values of two blocks of width 128.
    assert_eq!(trained, Some(2 * 2 * 3 * (128 + 128)));
    let cache = place.path().join("cache");
    let ResolvedModel::Folder { folder, .. } = resolve(&run_folder.join("adapter"), &cache).unwrap() else {
        panic!("an adapter is no model from scratch");
    };
    assert!(tensors(&folder.join("model.safetensors")) == tensors(&run_folder.join("model/model.safetensors")));
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        let read = |folder: &Path| fs::read_to_string(folder.join(file)).unwrap();
        assert_eq!(read(&folder), read(&run_folder.join("model")), "{file}");
    }
}

#[test]
fn a_stopped_run_goes_on_with_the_same_bits() {
    let place = tempfile::tempdir().unwrap();
    let base = base(place.path(), &[]);
    let settings = ["lora_dropout=0.2", "eval_every=4", "token_budget=64", "lora_targets=['all-linear']"];
    let config = adapted(place.path(), &base, &settings);
    let (whole, parts) = (place.path().join("whole"), place.path().join("parts"));
    run(&cpu(1), &config, &whole, &mut Recorder::default()).unwrap();
    for (stop, threads) in [(2, 2), (5, 1)] {
        let mut recorder = Recorder { stop_at: Some((stop, Control::default())), ..Recorder::default() };
        let outcome = run(&cpu(threads), &config, &parts, &mut recorder).unwrap();
        assert!(matches!(outcome, Outcome::Interrupted { step } if step == stop), "not stopped at {stop}");
        assert!(!parts.join("adapter").exists(), "an adapter before the end");
    }
    run(&cpu(2), &config, &parts, &mut Recorder::default()).unwrap();
    assert!(weights(&whole) == weights(&parts), "the weights differ");
    assert!(adapter_weights(&whole) == adapter_weights(&parts), "the adapters differ");
}

#[test]
fn a_checkpoint_holds_what_is_trained_and_knows_its_base() {
    let place = tempfile::tempdir().unwrap();
    let base = base(place.path(), &[]);
    let config = adapted(place.path(), &base, &[]);
    let run_folder = place.path().join("run");
    let stop = || Recorder { stop_at: Some((2, Control::default())), ..Recorder::default() };
    run(&cpu(2), &config, &run_folder, &mut stop()).unwrap();
    let kept = tensors(&run_folder.join("checkpoints/step-00000002.safetensors"));
    let is_trained = |name: &str| ["lora", "head", "moments"].iter().any(|part| name.contains(part));
    assert!(kept.len() > 3 && kept.keys().all(|name| is_trained(name)), "{:?}", kept.keys());

    let path = base.join("model/model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    // Another model: every weight has another sign.
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[header..].iter_mut().skip(3).step_by(4).for_each(|byte| *byte ^= 0x80);
    fs::write(&path, bytes).unwrap();
    let error = run(&cpu(2), &config, &run_folder, &mut Recorder::default()).err().unwrap().to_string();
    assert!(error.contains("the pretrained model has changed"), "{error}");
}

#[test]
fn what_cannot_be_adapted_is_refused_before_anything_is_written() {
    let place = tempfile::tempdir().unwrap();
    let base = base(place.path(), &[]);
    let run_folder = place.path().join("run");
    let scratch = config(place.path(), 60, &["lora_rank=2"]);
    let unknown = adapted(place.path(), &base, &["lora_targets=['q_proj']"]);
    for (config, wanted) in [(scratch, "starts from scratch"), (unknown, "no layer of the model is called `q_proj`")] {
        let error = run(&cpu(1), &config, &run_folder, &mut Recorder::default()).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
        assert!(error.hint().is_some() && !run_folder.exists(), "{error}");
    }
}

#[test]
fn peft_opens_the_adapter_over_its_base() {
    let Some(python) = python::interpreter() else { return };
    let gpt2 =
        r#"{"model_type": "gpt2", "vocab_size": 400, "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64}"#;
    let llama = r#"{"model_type": "llama", "vocab_size": 400, "hidden_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 48, "max_position_embeddings": 64}"#;
    let cases = [(None, "[]"), (None, "['all-linear']"), (Some(gpt2), "['c_attn', 'mlp.c_proj']"), (Some(llama), "[]")];
    let place = tempfile::tempdir().unwrap();
    let mut runs = Vec::new();
    for (number, (architecture, targets)) in cases.into_iter().enumerate() {
        let place = place.path().join(number.to_string());
        fs::create_dir(&place).unwrap();
        let path = place.join("other.json");
        let model = format!("model='{}'", path.display());
        let settings = architecture.map_or(vec![], |text| {
            fs::write(&path, text).unwrap();
            vec![model.as_str()]
        });
        let base = base(&place, &settings);
        let targets = format!("lora_targets={targets}");
        let config = adapted(&place, &base, &[&targets, "lora_alpha=7", "lora_rslora=true"]);
        runs.push(place.join("run"));
        run(&cpu(1), &config, &runs[number], &mut Recorder::default()).unwrap();
    }
    let chats = place.path().join("chats");
    fs::create_dir(&chats).unwrap();
    runs.push(adapted_to_chats(&chats, &mut Recorder::default()));
    let folders: Vec<PathBuf> = runs.iter().flat_map(|run| [run.join("adapter"), run.join("model")]).collect();
    let arguments: Vec<&std::ffi::OsStr> = folders.iter().map(|folder| folder.as_os_str()).collect();
    python::script(&python, "adapter.py", &arguments);
}

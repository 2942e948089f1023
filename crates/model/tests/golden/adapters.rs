//! Low-rank adapters against PEFT: logits, loss, the gradients of what is trained and ten steps, and the folders both ways.

use std::collections::BTreeSet;
use std::path::Path;

use finetone_backend::{Backend, Reference};
use finetone_model::checkpoint::{
    self, AdapterFolder, BaseModel, HeadImport, ModelFolder, NamedTensor, save_adapter, to_hugging_face,
};
use finetone_model::{DropoutKey, Family, LoraSettings, Memory, Model, ModelConfig, Part};
use serde_json::{Value, json};

use crate::case::{Case, Tensors, folder, tensors};
use crate::run::{self, Run};
use crate::{F32, F64, Tolerance, assert_close, every_cpu};

/// The folders of PEFT, and what they are adapters of.
const ADAPTERS: [(&str, &str); 6] = [
    ("adapter-bert", "bert"),
    ("adapter-gpt2", "gpt2"),
    ("adapter-roberta", "roberta"),
    ("adapter-distilbert", "distilbert"),
    ("adapter-llama", "llama"),
    ("adapter-qwen2", "qwen2-language"),
];

fn settings_of(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder(name).join("adapter_config.json")).unwrap()).unwrap()
}

/// The base with fresh adapters where PEFT's file says that some are; adapters and heads are trained.
fn fresh<B: Backend>(backend: &B, (name, base): (&str, &str), dropout: f64) -> Model<B> {
    let (model, said) = (run::load(backend, base), settings_of(name));
    let settings = LoraSettings {
        rank: said["r"].as_u64().unwrap() as usize,
        alpha: said["lora_alpha"].as_f64().unwrap(),
        rank_stabilised: said["use_rslora"].as_bool().unwrap(),
        dropout,
    };
    let names: Vec<String> = serde_json::from_value(said["target_modules"].clone()).unwrap();
    let mut config = model.config.clone();
    config.set_lora(settings, &names).unwrap();
    let mut model = model.adapted(backend, config, 7);
    let classifies = model.config.language.is_none();
    model.table.set_trainable(|spec| spec.adapter || (spec.part == Part::Head && classifies));
    model
}

/// The same with PEFT's values.
fn adapted<B: Backend>(backend: &B, case: (&str, &str), dropout: f64) -> Model<B> {
    let mut model = fresh(backend, case, dropout);
    let theirs = tensors(&folder(case.0).join("adapter_model.safetensors"));
    for (id, name) in adapter_parameters(&model) {
        let values: Vec<f32> = theirs[&name].1.iter().map(|&value| value as f32).collect();
        model.parameters.set_values(backend, id, &values);
    }
    model
}

/// The matrices of the adapters with PEFT's names.
fn adapter_parameters<B: Backend>(model: &Model<B>) -> Vec<(finetone_model::ParamId, String)> {
    let lora = model.config.lora.as_ref().unwrap();
    let matrices = lora.targets.iter().flat_map(|target| {
        [("lora_a", "lora_A"), ("lora_b", "lora_B")].map(|(ours, theirs)| {
            let name = format!("{}.{}.{ours}", target.layer, target.leaf());
            let id = model.table.find(&name).unwrap_or_else(|| panic!("there is no `{name}`"));
            (id, format!("base_model.model.{}.{theirs}.weight", target.module))
        })
    });
    matrices.collect()
}

/// What is trained, under PEFT's names, with these values.
fn trained<B: Backend>(
    model: &Model<B>,
    values: impl Fn(finetone_model::ParamId) -> Option<Vec<f64>>,
) -> Vec<NamedTensor> {
    let narrow = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect::<Vec<_>>();
    let nothing = |id| vec![f32::NAN; model.table.spec(id).shape.len()];
    let mut all = to_hugging_face(&model.config, &model.table, |id| values(id).map_or_else(|| nothing(id), narrow));
    all.retain(|tensor| !tensor.values[0].is_nan());
    all.iter_mut().for_each(|tensor| tensor.name.insert_str(0, "base_model.model."));
    for (id, name) in adapter_parameters(model) {
        let shape = model.table.spec(id).shape;
        let values = narrow(values(id).expect("adapters are trained"));
        all.push(NamedTensor { name, shape: vec![shape.rows, shape.columns], values });
    }
    all
}

fn training_is_pefts<B: Backend>(backend: &B, tolerance: &Tolerance) {
    for pair in ADAPTERS {
        let (name, case) = (pair.0, Case::read(pair.0));
        let mut run = Run::of(backend, &case, adapted(backend, pair, 0.0), Memory::Normal);
        let expected = case.answer("logits");
        let largest = expected.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
        for logits in run.logits() {
            assert_close(&format!("{name}: logits"), &logits, expected, tolerance.value * largest);
        }
        let loss = run.forward_backward();
        assert_close(&format!("{name}: loss"), &[loss], case.answer("loss"), tolerance.loss);
        case.compare_all("grad", &trained(&run.model, |id| run.gradient(id)), |tensor, ours, theirs| {
            let largest = theirs.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
            assert_close(&format!("{name}: gradient of {tensor}"), ours, theirs, tolerance.gradient * largest);
        });
        let mut run = Run::of(backend, &case, adapted(backend, pair, 0.0), Memory::Normal);
        for (step, expected) in case.answer("curve").iter().enumerate() {
            let loss = run.forward_backward();
            assert_close(&format!("{name}: loss at step {step}"), &[loss], &[*expected], tolerance.loss);
            run.step();
        }
        let weights = |id| run.model.table.span(id).map(|_| values(backend, &run.model, id));
        case.compare_all("final", &trained(&run.model, weights), |tensor, ours, theirs| {
            assert_close(&format!("{name}: final {tensor}"), ours, theirs, tolerance.parameter);
        });
    }
}

fn values<B: Backend>(backend: &B, model: &Model<B>, id: finetone_model::ParamId) -> Vec<f64> {
    model.parameters.values(backend, &model.table, id).into_iter().map(f64::from).collect()
}

#[test]
fn training_is_pefts_in_f64() {
    training_is_pefts(&Reference::<f64>::new(), &F64);
}

#[test]
fn training_is_pefts_on_the_processor() {
    every_cpu(2).iter().for_each(|cpu| training_is_pefts(cpu, &F32));
}

/// Only adapters and head have gradients and moments, and the rest of the model no place in either.
#[test]
fn frozen_weights_have_no_gradients() {
    for pair in ADAPTERS {
        let model = fresh(&Reference::<f32>::new(), pair, 0.0);
        let theirs = tensors(&folder(pair.0).join("adapter_model.safetensors"));
        let numbers: usize = theirs.values().map(|(_, values)| values.len()).sum();
        assert_eq!(model.table.gradient_len(), numbers, "{}", pair.0);
        assert!(numbers < model.table.numbers() / 2, "{}: {numbers} are trained", pair.0);
        assert_eq!(model.table.lowest_trainable(), Some(Part::Block(0)));
    }
}

/// B starts as zeros: the model is the base, bit by bit, and the first step moves B alone.
#[test]
fn a_fresh_adapter_changes_nothing() {
    let cpu = &every_cpu(1)[0];
    for pair in ADAPTERS {
        let case = Case::read(pair.0);
        let mut run = Run::of(cpu, &case, fresh(cpu, pair, 0.0), Memory::Normal);
        let base = Run::of(cpu, &case, run::load(cpu, pair.1), Memory::Normal).logits();
        assert_eq!(run.logits(), base, "{}", pair.0);
        run.forward_backward();
        for (id, name) in adapter_parameters(&run.model) {
            let moves = run.gradient(id).unwrap().iter().any(|&value| value != 0.0);
            assert_eq!(moves, name.contains("lora_B"), "{name}");
        }
    }
}

/// With dropout everywhere, in memory of both kinds: the masks of forward are those of backward.
#[test]
fn gradients_are_slopes_of_the_loss() {
    let backend = Reference::<f64>::new();
    for pair in ADAPTERS {
        let case = Case::read(pair.0);
        let new = |memory| {
            let mut run = Run::of(&backend, &case, adapted(&backend, pair, 0.3), memory);
            run.dropout = Some(DropoutKey { seed: 3, step: 4 });
            run
        };
        let (mut run, mut low) = (new(Memory::Normal), new(Memory::Low));
        run.forward_backward();
        low.forward_backward();
        for (id, name) in adapter_parameters(&run.model) {
            let gradient = run.gradient(id).unwrap();
            assert_eq!(low.gradient(id).unwrap(), gradient, "{name}: in little memory");
            let at = gradient.len() / 2;
            let mut moved = new(Memory::Normal);
            let mut loss_at = |offset: f64| {
                let mut weight = vec![0.0; gradient.len()];
                backend.read_weight(&mut weight, run.model.parameters.get(id), 0..gradient.len());
                weight[at] += offset;
                backend.write_weight(moved.model.parameters.get_mut(id), &weight);
                moved.forward_backward()
            };
            let slope = (loss_at(1e-5) - loss_at(-1e-5)) / 2e-5;
            let off = (slope - gradient[at]).abs();
            assert!(off <= 1e-6 * gradient[at].abs().max(1e-2), "{name}: {slope} against {}", gradient[at]);
        }
    }
}

/// Logits of a folder's model.
fn logits_of(place: &Path, case: &Case) -> Vec<f64> {
    let backend = Reference::<f32>::new();
    let opened = ModelFolder::open(place).unwrap();
    let mut config = opened.config().clone();
    if case.writes() {
        config.set_language_head().unwrap();
    }
    let (model, report) = opened.load(&backend, config, HeadImport::Required).unwrap();
    assert_eq!((report.fresh, report.unused), (vec![], vec![]), "{}", case.name);
    let [logits, _] = Run::of(&backend, case, model, Memory::Normal).logits();
    logits
}

fn merged(name: &str, base: &str) -> tempfile::TempDir {
    let out = tempfile::tempdir().unwrap();
    let adapter = AdapterFolder::open(&folder(name)).unwrap();
    assert_eq!(adapter.base(), BaseModel { name: format!("../{base}"), revision: None });
    adapter.merge(&ModelFolder::open(&folder(base)).unwrap(), out.path()).unwrap();
    out
}

#[test]
fn an_adapter_of_peft_is_merged_into_its_base() {
    for (name, base) in ADAPTERS {
        let case = Case::read(name);
        let out = merged(name, base);
        let expected = case.answer("logits");
        let largest = expected.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
        assert_close(&format!("{name}: merged"), &logits_of(out.path(), &case), expected, F32.value * largest);
    }
    // Ranks and factors by layer, and other classes than the base has.
    let case = Case::read("adapter-patterns");
    let out = merged(case.name, "bert");
    assert_close("patterns", &logits_of(out.path(), &case), case.answer("logits"), F32.value);
    let labels = ModelFolder::open(out.path()).unwrap().config().head.labels.clone();
    assert_eq!(labels, ["LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3"]);
}

/// A file by name, with its bits.
fn bits(tensors: Tensors) -> Vec<(String, Vec<usize>, Vec<u64>)> {
    let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect();
    tensors.into_iter().map(|(name, (shape, values))| (name, shape, bits(values))).collect()
}

#[test]
fn what_is_exported_is_what_peft_saved() {
    let backend = Reference::<f32>::new();
    for (name, base) in ADAPTERS {
        let model = adapted(&backend, (name, base), 0.0);
        let out = tempfile::tempdir().unwrap();
        let named = BaseModel { name: format!("../{base}"), revision: None };
        save_adapter(&backend, &model, &named, out.path()).unwrap();
        let read = |place: &Path| bits(tensors(&place.join("adapter_model.safetensors")));
        assert!(read(out.path()) == read(&folder(name)), "{name}: other tensors");

        let written: Value =
            serde_json::from_slice(&std::fs::read(out.path().join("adapter_config.json")).unwrap()).unwrap();
        let theirs = settings_of(name);
        for field in ["peft_type", "task_type", "r", "lora_alpha", "use_rslora", "bias", "base_model_name_or_path"] {
            assert_eq!(written[field], theirs[field], "{name}: {field}");
        }
        let is_gpt2 = model.config.family == Family::Gpt2;
        assert_eq!(written["fan_in_fan_out"], is_gpt2, "{name}");
        assert_eq!(selected(&model.config, &written), selected(&model.config, &theirs), "{name}: other layers");

        // The merged model and the adapter that is merged when it is read are the same.
        let whole = tempfile::tempdir().unwrap();
        checkpoint::save(&backend, &model, whole.path()).unwrap();
        let again = tempfile::tempdir().unwrap();
        let adapter = AdapterFolder::open(out.path()).unwrap();
        adapter.merge(&ModelFolder::open(&folder(base)).unwrap(), again.path()).unwrap();
        let read = |place: &Path| bits(tensors(&place.join("model.safetensors")));
        assert!(read(whole.path()) == read(again.path()), "{name}: merged before and after");
    }
}

/// Where a vocabulary has grown, its table is trained beside the adapters, and kept whole.
#[test]
fn a_table_of_tokens_is_saved_whole_and_stays_that_of_the_head() {
    let backend = Reference::<f32>::new();
    let mut model = adapted(&backend, ("adapter-qwen2", "qwen2-language"), 0.0);
    model.table.set_trainable(|spec| spec.adapter || spec.name == "embeddings.token");
    let tokens = model.table.find("embeddings.token").unwrap();
    let moved: Vec<f32> = values(&backend, &model, tokens).into_iter().map(|value| value as f32 + 0.5).collect();
    model.parameters.set_values(&backend, tokens, &moved);
    let (out, whole, again) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let base = BaseModel { name: "qwen".into(), revision: Some("a".into()) };
    save_adapter(&backend, &model, &base, out.path()).unwrap();
    checkpoint::save(&backend, &model, whole.path()).unwrap();
    let merge = || {
        let adapter = AdapterFolder::open(out.path()).unwrap();
        assert_eq!(adapter.base(), base);
        adapter.merge(&ModelFolder::open(&folder("qwen2-language")).unwrap(), again.path())
    };
    merge().unwrap();
    let read = |place: &Path| bits(tensors(&place.join("model.safetensors")));
    assert!(read(whole.path()) == read(again.path()));

    let path = out.path().join("adapter_config.json");
    let mut settings: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(settings["modules_to_save"], json!(["embed_tokens"]));
    settings["ensure_weight_tying"] = json!(false);
    std::fs::write(&path, settings.to_string()).unwrap();
    let error = merge().unwrap_err().to_string();
    assert!(error.contains("`embed_tokens.weight` was trained apart from the head"), "{error}");
}

/// The linear layers of the blocks that PEFT would choose by `target_modules`.
fn selected(config: &ModelConfig, settings: &Value) -> BTreeSet<String> {
    let names: Vec<String> = serde_json::from_value(settings["target_modules"].clone()).unwrap();
    let mut config = config.clone();
    config.set_lora(LoraSettings { rank: 1, alpha: 1.0, rank_stabilised: false, dropout: 0.0 }, &names).unwrap();
    config.lora.unwrap().targets.into_iter().map(|target| target.module).collect()
}

#[test]
fn layers_are_found_by_pefts_names_and_by_its_defaults() {
    let count = |base: &str, names: &[&str]| {
        let mut config = ModelFolder::open(&folder(base)).unwrap().config().clone();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let settings = LoraSettings { rank: 1, alpha: 1.0, rank_stabilised: false, dropout: 0.0 };
        config.set_lora(settings, &names).map(|()| config.lora.unwrap().targets.len() / config.num_hidden_layers)
    };
    for (base, usual, all) in
        [("bert", 2, 6), ("roberta", 2, 6), ("distilbert", 2, 6), ("gpt2", 1, 4), ("llama", 2, 7), ("qwen3", 2, 7)]
    {
        assert_eq!(count(base, &[]).unwrap(), usual, "{base}");
        assert_eq!(count(base, &["all-linear"]).unwrap(), all, "{base}");
    }
    assert_eq!(count("bert", &["dense", "attention.self.key"]).unwrap(), 4);
    // `uery` is the end of a name, but no part of it; a head is trained as a whole.
    for name in ["uery", "classifier", "dense.weight", ""] {
        let error = count("bert", &["query", name]).unwrap_err();
        assert!(error.to_string().contains(&format!("called `{name}`")), "{error}");
        assert_eq!(error.hint().as_deref(), Some("known layers: `dense`, `key`, `query`, `value`, or `all-linear`"));
    }
}

/// The adapter of `bert` with one field of its settings changed, or tensors that are other ones.
fn spoiled(change: impl FnOnce(&mut Value, &Path)) -> String {
    let place = tempfile::tempdir().unwrap();
    let mut settings = settings_of("adapter-bert");
    let weights = place.path().join("adapter_model.safetensors");
    std::fs::copy(folder("adapter-bert").join("adapter_model.safetensors"), &weights).unwrap();
    change(&mut settings, place.path());
    std::fs::write(place.path().join("adapter_config.json"), settings.to_string()).unwrap();
    let out = tempfile::tempdir().unwrap();
    let merge = |adapter: AdapterFolder| adapter.merge(&ModelFolder::open(&folder("bert")).unwrap(), out.path());
    let error = AdapterFolder::open(place.path()).and_then(merge).unwrap_err();
    assert!(error.hint().is_some(), "{error}");
    assert!(out.path().read_dir().unwrap().next().is_none(), "something was written");
    error.to_string()
}

#[test]
fn what_would_be_another_arithmetic_is_refused() {
    for (field, value, wanted) in [
        ("peft_type", json!("IA3"), "of the type `IA3`"),
        ("peft_type", json!(null), "`peft_type` is missing"),
        ("task_type", json!("SEQ_2_SEQ_LM"), "the task `SEQ_2_SEQ_LM`"),
        ("base_model_name_or_path", json!(""), "does not say which model"),
        ("use_dora", json!(true), "`use_dora` is true"),
        ("bias", json!("lora_only"), "`bias` is `lora_only`"),
        ("lora_bias", json!(true), "`lora_bias` is true"),
        ("layer_replication", json!([[0, 2]]), "`layer_replication` is [[0,2]]"),
        ("a_variant_of_next_year", json!({"x": 1}), "`a_variant_of_next_year` is"),
        ("init_lora_weights", json!("pissa"), "`init_lora_weights` is \"pissa\""),
        ("alpha_pattern", json!({"layer.[01].*": 3}), "`layer.[01].*`, which is no plain name"),
        ("alpha_pattern", json!({"value": "much"}), "no plain name with a number"),
        ("r", json!(0), "`r` or `lora_alpha`"),
        ("r", json!(4), "the configuration says [4, 20]"),
        ("lora_alpha", json!("5"), "`r` or `lora_alpha`"),
    ] {
        let error = spoiled(|settings, _| settings[field] = value);
        assert!(error.contains(wanted), "{field}: {error}");
    }
    let error = spoiled(|_, place| std::fs::remove_file(place.join("adapter_model.safetensors")).unwrap());
    assert!(error.contains("there is no `adapter_model.safetensors`"), "{error}");
    let error = spoiled(|_, place| std::fs::write(place.join("adapter_model.safetensors"), b"nothing").unwrap());
    assert!(error.contains("not a valid safetensors file"), "{error}");
    let other = folder("adapter-roberta").join("adapter_model.safetensors");
    let error = spoiled(|_, place| {
        std::fs::copy(other, place.join("adapter_model.safetensors")).unwrap();
    });
    assert!(error.contains("no place for the tensor `base_model.model."), "{error}");
}

//! Adapters in PEFT's format, both ways: `adapter_config.json` and `adapter_model.safetensors`
//!
//! A tensor is called after the module of Transformers that it belongs to, `base_model.model.<module>.lora_A.weight`; the head,
//! which is trained as a whole, is there under its own name. What is written opens over the base with
//! `PeftModel.from_pretrained`. What is read is merged into the base: the result is a model like any other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use finetone_backend::{Backend, Reference};
use serde_json::{Map, Value, json};

use super::adapter_settings::AdapterSettings;
use super::export::{in_their_layout, write_json, write_tensors};
use super::{HeadImport, Importer, ModelFolder, NamedTensor, Tensors, exported_config, rename, rules_of, save};
use crate::config::{ModelConfig, OURS};
use crate::error::ModelError;
use crate::families::read_config;
use crate::lora::{Lora, LoraTarget, add_product, linear_layers};
use crate::params::Part;
use crate::transformer::Model;

const WEIGHTS: &str = "adapter_model.safetensors";
/// Our table of tokens.
const TOKENS: &str = "embeddings.token";
/// What precedes the names of modules.
const PREFIX: &str = "base_model.model.";

/// The model that an adapter is for, as its file names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseModel {
    /// A folder, or an id of Hugging Face.
    pub name: String,
    /// The revision, where it is an id.
    pub revision: Option<String>,
}

/// Writes what was trained into an existing folder: the adapters, the head, and `config.json` with the labels. The caller makes it
/// atomic.
///
/// # Errors
/// A file that cannot be written.
///
/// # Panics
/// When the model has no adapters.
pub fn save_adapter<B: Backend>(
    backend: &B,
    model: &Model<B>,
    base: &BaseModel,
    folder: &Path,
) -> Result<(), ModelError> {
    let lora = model.config.lora.as_ref().expect("only a model with adapters is saved as one");
    let (mut tensors, modules) = saved_whole(backend, model);
    for target in &lora.targets {
        for (ours, theirs) in [("lora_a", "lora_A"), ("lora_b", "lora_B")] {
            let id = model.table.find(&target.parameter(ours)).expect("every target has declared its adapter");
            let shape = model.table.spec(id).shape;
            tensors.push(NamedTensor {
                name: format!("{}.{theirs}.weight", target.module),
                shape: vec![shape.rows, shape.columns],
                values: model.parameters.values(backend, &model.table, id),
            });
        }
    }
    tensors.iter_mut().for_each(|tensor| tensor.name.insert_str(0, PREFIX));
    write_json(&exported_config(&model.config), &folder.join("config.json"))?;
    write_json(&settings(&model.config, lora, base, &modules), &folder.join(AdapterFolder::CONFIG))?;
    write_tensors(&tensors, folder.join(WEIGHTS))
}

/// What is trained without an adapter, and the modules of Transformers that it makes up.
fn saved_whole<B: Backend>(backend: &B, model: &Model<B>) -> (Vec<NamedTensor>, BTreeSet<String>) {
    let Model { config, table, .. } = model;
    let (mut tensors, mut modules) = (Vec::new(), BTreeSet::new());
    for rule in rules_of(config, table, true) {
        let id = table.find(&rule.ours).expect("every rule names a parameter of the table");
        let spec = table.spec(id);
        let is_head = spec.part == Part::Head && config.language.is_none();
        if !is_head && !spec.trainable {
            continue;
        }
        for tensor in in_their_layout(&rule, spec, &model.parameters.values(backend, table, id)) {
            modules.insert(module_of(config, &tensor.name, is_head).to_owned());
            tensors.push(tensor);
        }
    }
    (tensors, modules)
}

/// The module that is saved for a tensor: of a head the whole, because PEFT takes a classifier whole.
fn module_of<'a>(config: &ModelConfig, tensor: &'a str, is_head: bool) -> &'a str {
    let module = tensor.rsplit_once('.').map_or(tensor, |(module, _)| module);
    if is_head {
        let module = module.strip_prefix(config.family.spec().prefix).unwrap_or(module);
        return module.split('.').next().unwrap_or(module);
    }
    module.rsplit('.').next().unwrap_or(module)
}

fn settings(config: &ModelConfig, lora: &Lora, base: &BaseModel, modules: &BTreeSet<String>) -> Map<String, Value> {
    let alpha = lora.settings.alpha;
    let fields = json!({
        "peft_type": "LORA",
        "task_type": if config.language.is_some() { "CAUSAL_LM" } else { "SEQ_CLS" },
        "base_model_name_or_path": base.name,
        "revision": base.revision,
        "inference_mode": true,
        "r": lora.settings.rank,
        // PEFT's is a whole number as a rule, and shown as one.
        "lora_alpha": if alpha.fract() == 0.0 { json!(alpha as i64) } else { json!(alpha) },
        "lora_dropout": lora.settings.dropout,
        "use_rslora": lora.settings.rank_stabilised,
        "use_dora": false,
        "bias": "none",
        // Where new tokens are trained in a table that the head shares, it goes on sharing it.
        "ensure_weight_tying": config.language.is_some_and(|head| head.tied) && !modules.is_empty(),
        "fan_in_fan_out": lora.targets.iter().any(|target| target.transposed),
        "init_lora_weights": true,
        "rank_pattern": {},
        "alpha_pattern": {},
        "target_modules": target_modules(config, lora),
        // A head of our own is no module of Transformers.
        "modules_to_save": if config.head.standard && !modules.is_empty() { json!(modules) } else { Value::Null },
    });
    fields.as_object().cloned().unwrap_or_default()
}

/// The last parts of the modules' names where they name nothing else in the model, else the whole names.
fn target_modules(config: &ModelConfig, lora: &Lora) -> BTreeSet<String> {
    let leaves: BTreeSet<String> = lora.targets.iter().map(|target| target.leaf().to_owned()).collect();
    let names_no_other = |leaf: &String| {
        let of_head = (config.family.spec().rules)(config).1;
        let in_head =
            of_head.iter().flat_map(|rule| &rule.theirs).any(|name| name.ends_with(&format!("{leaf}.weight")));
        let layers = linear_layers(config);
        !in_head && layers.iter().filter(|layer| layer.is_called(leaf)).all(|layer| lora.targets.contains(layer))
    };
    if leaves.iter().all(names_no_other) {
        leaves
    } else {
        lora.targets.iter().map(|target| target.module.clone()).collect()
    }
}

/// A folder with an adapter.
#[derive(Debug, Clone)]
pub struct AdapterFolder {
    folder: PathBuf,
    settings: AdapterSettings,
}

impl AdapterFolder {
    /// The file that makes a folder one with an adapter.
    pub const CONFIG: &'static str = "adapter_config.json";

    /// Reads `adapter_config.json`.
    ///
    /// # Errors
    /// No such file, one that is no JSON, another kind of adapter than LoRA, or a field that would change the arithmetic.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join(Self::CONFIG);
        let text = std::fs::read(&path).map_err(ModelError::io(&path))?;
        let raw: Map<String, Value> = serde_json::from_slice(&text).map_err(|error| {
            ModelError::config(&path, format!("not a JSON object: {error}"), "download or export the adapter again")
        })?;
        Ok(Self { folder: folder.to_owned(), settings: AdapterSettings::read(&raw, &path)? })
    }

    /// The model that it is for.
    pub fn base(&self) -> BaseModel {
        BaseModel { name: self.settings.base.clone(), revision: self.settings.revision.clone() }
    }

    /// The files whose content decides what is merged.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        [Self::CONFIG, WEIGHTS, "config.json"]
            .into_iter()
            .map(|name| self.folder.join(name))
            .filter(|path| path.is_file())
    }

    /// Writes the base with the adapter merged into it into an existing folder, as [`save`] writes a model.
    ///
    /// # Errors
    /// A file that cannot be read or written, tensors that the base has no place for, or a head that nobody has.
    pub fn merge(&self, base: &ModelFolder, out: &Path) -> Result<(), ModelError> {
        let path = self.folder.join(WEIGHTS);
        if !path.is_file() {
            let problem = format!("there is no `{WEIGHTS}`");
            return Err(ModelError::config(&self.folder, problem, "save the adapter as safetensors, as PEFT does now"));
        }
        let tensors = Tensors::open_file(path.clone())?;
        let config = self.config(base, &tensors)?;
        let backend = Reference::<f32>::new();
        let (mut model, report) = base.load(&backend, config, HeadImport::FreshWhereMissing(0))?;
        let mut left: BTreeSet<&str> = tensors.names().collect();
        let replaced = take_whole(&backend, &mut model, &tensors, &mut left)?;
        self.check_ties(&model.config, &replaced)?;
        for target in linear_layers(&model.config) {
            self.add(&backend, &mut model, &target, &tensors, &mut left)?;
        }
        if let Some(name) = left.first() {
            let hint = "the adapter is for another base model, or for layers that cannot be merged here (embeddings)";
            return Err(ModelError::config(&path, format!("the base has no place for the tensor `{name}`"), hint));
        }
        if let Some(name) = report.fresh.into_iter().find(|name| !replaced.contains(name)) {
            return Err(ModelError::MissingTensor { path, name });
        }
        save(&backend, &model, out)
    }

    /// The configuration of the merged model: the adapter's own where it has one, else the base's with as many classes as the
    /// adapter's classifier has.
    fn config(&self, base: &ModelFolder, tensors: &Tensors) -> Result<ModelConfig, ModelError> {
        let mut config = match self.folder.join("config.json").is_file() {
            true => ModelFolder::open(&self.folder)?.config,
            false => base.config.clone(),
        };
        let writes = match self.settings.task.as_deref() {
            Some(task) => task == "CAUSAL_LM",
            None => {
                let architecture = base.config.raw.get("architectures").and_then(|names| names[0].as_str());
                architecture.is_some_and(|name| Some(name) == config.family.spec().language_architecture)
            }
        };
        if writes {
            config.set_language_head()?;
            return Ok(config);
        }
        let (_, head) = (config.family.spec().rules)(&config);
        let classifier = head.iter().find(|rule| rule.ours == "head.classifier.weight");
        let shape = classifier.and_then(|rule| tensors.shape(&format!("{PREFIX}{}", rule.theirs[0])));
        match shape.as_deref() {
            Some(&[classes, _]) if classes != config.head.logits() => {
                let names: Map<String, Value> =
                    (0..classes).map(|i| (i.to_string(), json!(format!("LABEL_{i}")))).collect();
                let mut raw = config.raw.clone();
                raw.retain(|name, _| !["label2id", "num_labels", "problem_type", OURS].contains(&name.as_str()));
                raw.insert("id2label".into(), names.into());
                read_config(&raw, &self.folder.join(Self::CONFIG))
            }
            _ => Ok(config),
        }
    }

    /// Refuses a table of tokens that was trained apart from the head which shares it in the base.
    fn check_ties(&self, config: &ModelConfig, replaced: &BTreeSet<String>) -> Result<(), ModelError> {
        let tied = config.language.is_some_and(|head| head.tied) && replaced.contains(TOKENS);
        let rules = (config.family.spec().rules)(config).0;
        let table = rules.iter().find(|rule| tied && rule.ours == TOKENS).map(|rule| &rule.theirs[0]);
        match table.filter(|name| self.settings.unties(name)) {
            Some(name) => {
                let problem = format!("`{name}` was trained apart from the head, which shares it in the base");
                Err(ModelError::config(
                    &self.folder.join(Self::CONFIG),
                    problem,
                    "train it with `ensure_weight_tying=True`",
                ))
            }
            None => Ok(()),
        }
    }

    /// Adds the adapter of one layer, if there is one.
    fn add(
        &self,
        backend: &Reference<f32>,
        model: &mut Model<Reference<f32>>,
        target: &LoraTarget,
        tensors: &Tensors,
        left: &mut BTreeSet<&str>,
    ) -> Result<(), ModelError> {
        let [a, b] = ["A", "B"].map(|matrix| format!("{PREFIX}{}.lora_{matrix}.weight", target.module));
        let Some(shape) = tensors.shape(&a).or_else(|| tensors.shape(&b)) else { return Ok(()) };
        let rank = self.settings.rank.unwrap_or(*shape.iter().min().unwrap_or(&0)).max(1);
        let values_a = tensors.read(&a, &[rank, target.inputs])?;
        let values_b = tensors.read(&b, &[target.rows.len(), rank])?;
        left.retain(|&name| name != a && name != b);
        let id = model.table.find(&format!("{}.weight", target.layer)).expect("linear layers are of the table");
        let mut values = model.parameters.values(backend, &model.table, id);
        let scale = self.settings.scale(|name| target.is_called(name), rank);
        add_product(&mut values, target, (&values_a, &values_b), scale);
        model.parameters.set_values(backend, id, &values);
        Ok(())
    }
}

/// Takes over what the adapter saved as a whole; returns our names of it.
fn take_whole(
    backend: &Reference<f32>,
    model: &mut Model<Reference<f32>>,
    tensors: &Tensors,
    left: &mut BTreeSet<&str>,
) -> Result<BTreeSet<String>, ModelError> {
    let mut importer = Importer::new(tensors, &model.config, &model.table);
    importer.rules = rules_of(&model.config, &model.table, true);
    rename(&mut importer.rules, |name| format!("{PREFIX}{name}"));
    let mut taken = BTreeSet::new();
    for rule in &importer.rules {
        if !rule.theirs.iter().all(|name| tensors.contains(name)) {
            continue;
        }
        let id = model.table.find(&rule.ours).expect("every rule names a parameter of the table");
        let values = importer.read(rule, model.table.spec(id).shape)?;
        model.parameters.set_values(backend, id, &values);
        left.retain(|&name| !rule.theirs.iter().any(|taken| taken == name));
        taken.insert(rule.ours.clone());
    }
    Ok(taken)
}

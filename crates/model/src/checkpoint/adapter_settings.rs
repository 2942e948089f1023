//! `adapter_config.json` of PEFT: what an adapter is multiplied by, and what about it would be another arithmetic.
//!
//! PEFT gains variants of LoRA with every release, each a field that is empty where it is not used. So a field that is not
//! known must be empty; whatever else it says might change the result, and is refused.

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::ModelError;

/// Fields that say how an adapter was trained, or what its tensors say as well.
const HARMLESS: [&str; 26] = [
    "peft_type",
    "peft_version",
    "task_type",
    "auto_mapping",
    "base_model_name_or_path",
    "revision",
    "inference_mode",
    "r",
    "lora_alpha",
    "lora_dropout",
    "use_rslora",
    "rank_pattern",
    "alpha_pattern",
    "target_modules",
    "exclude_modules",
    "modules_to_save",
    "layers_to_transform",
    "layers_pattern",
    "fan_in_fan_out",
    "bias",
    "init_lora_weights",
    "megatron_core",
    "qalora_group_size",
    "runtime_config",
    "eva_config",
    "ensure_weight_tying",
];

/// Ways to start an adapter that leave the base as it is.
const PLAIN_STARTS: [&str; 3] = ["gaussian", "orthogonal", "eva"];

/// What `adapter_config.json` says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AdapterSettings {
    /// `base_model_name_or_path`.
    pub base: String,
    /// The revision of the base.
    pub revision: Option<String>,
    /// `SEQ_CLS`, `CAUSAL_LM`, or nothing.
    pub task: Option<String>,
    /// `modules_to_save`: what was trained as a whole.
    whole: Vec<String>,
    /// Whether a head that shares a table went on sharing it when that was trained as a whole.
    ties: bool,
    /// The rank of every adapter; none where some have another.
    pub rank: Option<usize>,
    rank_stabilised: bool,
    alpha: f64,
    /// α of the layers of these names.
    alphas: Vec<(String, f64)>,
}

impl AdapterSettings {
    pub fn read(raw: &Map<String, Value>, path: &Path) -> Result<Self, ModelError> {
        let wrong = |problem: String| {
            let hint =
                "merge the adapter in Python (`model.merge_and_unload().save_pretrained(FOLDER)`) and give that folder";
            ModelError::config(path, problem, hint)
        };
        check(raw).map_err(wrong)?;
        let text = |name: &str| raw.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name: &str| raw.get(name).and_then(Value::as_f64).filter(|value| value.is_finite());
        let base = text("base_model_name_or_path").filter(|base| !base.is_empty());
        let base = base.ok_or_else(|| {
            let hint = "write the folder or the Hugging Face id of the model it was trained on there";
            ModelError::config(path, "`base_model_name_or_path` does not say which model the adapter is for", hint)
        })?;
        let task = text("task_type");
        if let Some(other) = task.as_deref().filter(|task| !["SEQ_CLS", "CAUSAL_LM"].contains(task)) {
            return Err(wrong(format!("an adapter for the task `{other}` is not supported")));
        }
        let rank = raw.get("r").and_then(Value::as_u64).filter(|&rank| rank > 0);
        let (Some(rank), Some(alpha)) = (rank, number("lora_alpha")) else {
            return Err(wrong("`r` or `lora_alpha` is missing or no number".into()));
        };
        let same_rank = is_empty(raw.get("rank_pattern").unwrap_or(&Value::Null));
        Ok(Self {
            base,
            revision: text("revision"),
            whole: serde_json::from_value(raw.get("modules_to_save").cloned().unwrap_or_default()).unwrap_or_default(),
            ties: raw.get("ensure_weight_tying").and_then(Value::as_bool).unwrap_or(false),
            task,
            rank: same_rank.then_some(rank as usize),
            rank_stabilised: raw.get("use_rslora").and_then(Value::as_bool).unwrap_or(false),
            alpha,
            alphas: alphas(raw).map_err(wrong)?,
        })
    }

    /// Whether PEFT parted the table of this tensor from the head that shares it: only one of them was trained.
    pub fn unties(&self, tensor: &str) -> bool {
        let module = tensor.strip_suffix(".weight").unwrap_or(tensor);
        !self.ties && self.whole.iter().any(|name| module.ends_with(name.as_str()))
    }

    /// What the product of the adapter of a layer is multiplied by.
    pub fn scale(&self, is_called: impl Fn(&str) -> bool, rank: usize) -> f64 {
        let own = self.alphas.iter().find(|(name, _)| is_called(name));
        let rank = rank as f64;
        own.map_or(self.alpha, |(_, alpha)| *alpha) / if self.rank_stabilised { rank.sqrt() } else { rank }
    }
}

/// α by layer. PEFT takes the names for regular expressions; here they are names.
fn alphas(raw: &Map<String, Value>) -> Result<Vec<(String, f64)>, String> {
    let plain = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    let given = raw.get("alpha_pattern").and_then(Value::as_object).into_iter().flatten();
    let read = |(name, alpha): (&String, &Value)| match alpha.as_f64() {
        Some(alpha) if plain(name) => Ok((name.clone(), alpha)),
        _ => Err(format!("`alpha_pattern` has `{name}`, which is no plain name with a number")),
    };
    given.map(read).collect()
}

/// Whether a field has nothing to say.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

fn check(raw: &Map<String, Value>) -> Result<(), String> {
    match raw.get("peft_type").and_then(Value::as_str) {
        Some("LORA") => {}
        Some(other) => return Err(format!("an adapter of the type `{other}` is not supported, only `LORA`")),
        None => return Err("`peft_type` is missing".into()),
    }
    let bias = raw.get("bias").and_then(Value::as_str).unwrap_or("none");
    if bias != "none" {
        return Err(format!("`bias` is `{bias}`: an adapter that changes biases is not supported"));
    }
    let plain_start = match raw.get("init_lora_weights") {
        None | Some(Value::Null | Value::Bool(_)) => true,
        Some(start) => start.as_str().is_some_and(|start| PLAIN_STARTS.contains(&start)),
    };
    if !plain_start {
        return Err(format!("`init_lora_weights` is {}, which changes the base as well", raw["init_lora_weights"]));
    }
    let unknown = raw.iter().find(|(name, value)| !HARMLESS.contains(&name.as_str()) && !is_empty(value));
    match unknown {
        Some((name, value)) => Err(format!("`{name}` is {value}, which is not supported")),
        None => Ok(()),
    }
}

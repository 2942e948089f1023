//! A model to a Hugging Face folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use finetone_backend::Backend;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError};
use serde_json::{Map, Value, json};

use super::{rules_of, their_shapes, transpose};
use crate::config::{HeadConfig, HeadPooling, ModelConfig, OURS, Output};
use crate::error::ModelError;
use crate::families::{Layout, Rule};
use crate::params::{ParamId, ParamSpec, ParamTable};
use crate::transformer::Model;

/// A tensor as Hugging Face names and shapes it.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// Its name in `model.safetensors`.
    pub name: String,
    /// Its shape there.
    pub shape: Vec<usize>,
    /// Its numbers.
    pub values: Vec<f32>,
}

/// Values that follow the table (weights, or gradients) as tensors under Hugging Face's names.
pub fn to_hugging_face(
    config: &ModelConfig,
    table: &ParamTable,
    mut values: impl FnMut(ParamId) -> Vec<f32>,
) -> Vec<NamedTensor> {
    let mut tensors = Vec::new();
    for rule in rules_of(config, table, true) {
        let id = table.find(&rule.ours).expect("every rule names a parameter of the table");
        tensors.extend(in_their_layout(&rule, table.spec(id), &values(id)));
    }
    tensors
}

/// The tensors of one rule.
pub(super) fn in_their_layout(rule: &Rule, spec: &ParamSpec, values: &[f32]) -> Vec<NamedTensor> {
    let mut rest = values;
    let tensors = their_shapes(rule, spec.shape, !spec.decay).map(|(name, shape)| {
        let (part, after) = rest.split_at(shape.iter().product());
        rest = after;
        let values = match rule.layout {
            Layout::Same => part.to_vec(),
            Layout::Transposed => transpose(part, shape[1], shape[0]),
        };
        NamedTensor { name: name.to_owned(), shape, values }
    });
    tensors.collect()
}

/// Writes `config.json` and `model.safetensors`, with adapters merged into the weights, into an existing folder. The caller makes
/// it atomic.
///
/// # Errors
/// A file that cannot be written.
pub fn save<B: Backend>(backend: &B, model: &Model<B>, folder: &Path) -> Result<(), ModelError> {
    write_json(&exported_config(&model.config), &folder.join("config.json"))?;
    let tensors = to_hugging_face(&model.config, &model.table, |id| model.merged_values(backend, id));
    write_tensors(&tensors, folder.join("model.safetensors"))
}

pub(super) fn write_json(fields: &Map<String, Value>, path: &Path) -> Result<(), ModelError> {
    let text = serde_json::to_string_pretty(fields).expect("a JSON value can be written");
    std::fs::write(path, text + "\n").map_err(ModelError::io(path))
}

pub(super) fn write_tensors(tensors: &[NamedTensor], path: PathBuf) -> Result<(), ModelError> {
    let views = tensors.iter().map(|t| {
        let bytes = bytemuck::cast_slice(&t.values);
        let view = TensorView::new(Dtype::F32, t.shape.clone(), bytes).expect("shape and values of a weight agree");
        (t.name.as_str(), view)
    });
    // Transformers refuses a file that does not say which library's layout it has.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize_to_file(views, Some(metadata), &path).map_err(|error| match error {
        SafeTensorError::IoError(source) => ModelError::Io { path, source },
        other => ModelError::Safetensors { path, problem: other.to_string() },
    })
}

/// `config.json` as it was read, with the head as it is now.
pub fn exported_config(config: &ModelConfig) -> Map<String, Value> {
    let mut raw = config.raw.clone();
    let spec = config.family.spec();
    let architecture = match config.language {
        Some(head) => {
            let masked = spec.masked.as_ref().filter(|_| head.masked.is_some()).map(|masked| masked.architecture);
            masked
                .or(spec.language_architecture)
                .expect("only families that have such a class are given a language head")
        }
        None => {
            insert_classes(&mut raw, &config.head);
            spec.architecture
        }
    };
    raw.insert("architectures".to_owned(), json!([architecture]));
    raw.insert("dtype".to_owned(), json!("float32"));
    for stale in ["torch_dtype", "_name_or_path"] {
        raw.remove(stale);
    }
    raw
}

/// The names of the classes, what the logits mean, and what Transformers has no word for.
fn insert_classes(raw: &mut Map<String, Value>, head: &HeadConfig) {
    let names: Vec<&String> = match head.output {
        Output::OneLogit => head.labels.iter().skip(1).collect(),
        Output::Softmax | Output::MultiLabel => head.labels.iter().collect(),
    };
    let by_id: Map<String, Value> = names.iter().enumerate().map(|(i, name)| (i.to_string(), json!(name))).collect();
    let by_label: Map<String, Value> = names.iter().enumerate().map(|(i, name)| ((*name).clone(), json!(i))).collect();
    let (output, problem) = match head.output {
        Output::Softmax => ("softmax", "single_label_classification"),
        Output::OneLogit => ("one-logit", "multi_label_classification"),
        Output::MultiLabel => ("multi-label", "multi_label_classification"),
    };
    // Other entries of ours, such as the limit on tokens, stay as whoever put them there left them.
    let mut ours = raw.get(OURS).and_then(Value::as_object).cloned().unwrap_or_default();
    ours.insert("labels".into(), json!(head.labels));
    ours.insert("output".into(), json!(output));
    ours.remove("pooling");
    ours.remove("features");
    if !head.standard {
        let pooling = match head.pooling {
            HeadPooling::First => "first".to_owned(),
            HeadPooling::Last => "last".to_owned(),
            HeadPooling::Mean => "mean".to_owned(),
            HeadPooling::Attention { last } => format!("attention:{last}"),
        };
        ours.insert("pooling".into(), json!(pooling));
        if head.features > 0 {
            ours.insert("features".into(), json!(head.features));
        }
    }
    let fields = [
        ("id2label", Value::Object(by_id)),
        ("label2id", Value::Object(by_label)),
        ("problem_type", json!(problem)),
        (OURS, Value::Object(ours)),
    ];
    for (name, value) in fields {
        raw.insert(name.to_owned(), value);
    }
    raw.remove("num_labels");
}

//! A model to a Hugging Face folder.

use std::collections::HashMap;
use std::path::Path;

use finetone_backend::Backend;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError};
use serde_json::{Map, Value, json};

use super::{rules_of, their_shapes, transpose};
use crate::config::{HeadPooling, ModelConfig, Output};
use crate::error::ModelError;
use crate::families::Layout;
use crate::params::{ParamId, ParamTable};
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
        let spec = table.spec(id);
        let all = values(id);
        let mut rest = &all[..];
        for (name, shape) in their_shapes(&rule, spec.shape, !spec.decay) {
            let (part, after) = rest.split_at(shape.iter().product());
            rest = after;
            let values = match rule.layout {
                Layout::Same => part.to_vec(),
                Layout::Transposed => transpose(part, shape[1], shape[0]),
            };
            tensors.push(NamedTensor { name: name.to_owned(), shape, values });
        }
    }
    tensors
}

/// Writes `config.json` and `model.safetensors` into an existing folder. The caller makes it atomic.
///
/// # Errors
/// A file that cannot be written.
pub fn save<B: Backend>(backend: &B, model: &Model<B>, folder: &Path) -> Result<(), ModelError> {
    let path = folder.join("config.json");
    let text = serde_json::to_string_pretty(&exported_config(&model.config)).expect("a JSON value can be written");
    std::fs::write(&path, text + "\n").map_err(ModelError::io(&path))?;
    let tensors = to_hugging_face(&model.config, &model.table, |id| model.parameters.values(backend, &model.table, id));
    let views = tensors.iter().map(|t| {
        let bytes = bytemuck::cast_slice(&t.values);
        let view = TensorView::new(Dtype::F32, t.shape.clone(), bytes).expect("shape and values of a weight agree");
        (t.name.as_str(), view)
    });
    // Transformers refuses a file that does not say which library's layout it has.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let path = folder.join("model.safetensors");
    safetensors::serialize_to_file(views, Some(metadata), &path).map_err(|error| match error {
        SafeTensorError::IoError(source) => ModelError::Io { path, source },
        other => ModelError::Safetensors { path, problem: other.to_string() },
    })
}

/// `config.json` as it was read, with the head as it is now.
pub fn exported_config(config: &ModelConfig) -> Map<String, Value> {
    let head = &config.head;
    let mut raw = config.raw.clone();
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
    let mut ours = raw.get("finetone").and_then(Value::as_object).cloned().unwrap_or_default();
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
    let architecture = config.family.spec().architecture;
    let fields = [
        ("architectures", json!([architecture])),
        ("id2label", Value::Object(by_id)),
        ("label2id", Value::Object(by_label)),
        ("problem_type", json!(problem)),
        ("dtype", json!("float32")),
        ("finetone", Value::Object(ours)),
    ];
    for (name, value) in fields {
        raw.insert(name.to_owned(), value);
    }
    for stale in ["num_labels", "torch_dtype", "_name_or_path"] {
        raw.remove(stale);
    }
    raw
}

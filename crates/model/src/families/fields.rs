//! Reading fields of a `config.json`, with errors that name file and field.

use std::path::Path;

use finetone_backend::Activation;
use serde_json::{Map, Value};

use crate::config::{HeadConfig, ModelConfig, Output};
use crate::error::ModelError;

/// Far above any real model; keeps a damaged file from building a tower of blocks.
const MOST_LAYERS: usize = 1000;

/// More numbers beside a text than any table has columns; keeps a damaged file from asking for memory.
const MOST_FEATURES: u64 = 1 << 16;

/// The fields of one `config.json`.
pub struct Fields<'a> {
    raw: &'a Map<String, Value>,
    path: &'a Path,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(raw: &'a Map<String, Value>, path: &'a Path) -> Self {
        Self { raw, path }
    }

    /// The whole file, to be kept for the export.
    pub fn raw(&self) -> Map<String, Value> {
        self.raw.clone()
    }

    fn wrong(&self, name: &str, wanted: &str) -> ModelError {
        let found = self.raw.get(name).map_or("missing".to_owned(), |v| format!("`{v}`"));
        ModelError::config(
            self.path,
            format!("field `{name}` is {found}, expected {wanted}"),
            "the file should be the `config.json` that came with the weights",
        )
    }

    /// A text field.
    pub fn text(&self, name: &str) -> Result<String, ModelError> {
        self.raw.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| self.wrong(name, "a text"))
    }

    /// A positive whole number.
    pub fn size(&self, name: &str) -> Result<usize, ModelError> {
        match self.raw.get(name).and_then(Value::as_u64) {
            // A limit far above any real model keeps products of sizes within range.
            Some(n @ 1..=0x4000_0000) => Ok(n as usize),
            _ => Err(self.wrong(name, "a positive whole number")),
        }
    }

    /// A whole number that may be absent or null.
    pub fn optional_size(&self, name: &str, default: usize) -> Result<usize, ModelError> {
        match self.raw.get(name) {
            None | Some(Value::Null) => Ok(default),
            Some(Value::Number(n)) if n.as_u64() == Some(0) => Ok(0),
            Some(_) => self.size(name),
        }
    }

    /// A number that may be absent or null.
    pub fn number(&self, name: &str, default: f64) -> Result<f64, ModelError> {
        match self.raw.get(name) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => value.as_f64().filter(|v| v.is_finite()).ok_or_else(|| self.wrong(name, "a number")),
        }
    }

    /// A dropout rate in `[0, 1)`.
    pub fn rate(&self, name: &str, default: f64) -> Result<f64, ModelError> {
        let rate = self.number(name, default)?;
        if (0.0..1.0).contains(&rate) { Ok(rate) } else { Err(self.wrong(name, "a rate from 0 to below 1")) }
    }

    /// An activation by Hugging Face's name.
    pub fn activation(&self, name: &str, default: &str) -> Result<Activation, ModelError> {
        let found = self.raw.get(name).and_then(Value::as_str).unwrap_or(default);
        match found {
            "gelu" => Ok(Activation::GeluErf),
            "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
            "relu" => Ok(Activation::Relu),
            "tanh" => Ok(Activation::Tanh),
            _ => Err(self.wrong(name, "`gelu`, `gelu_new`, `gelu_pytorch_tanh`, `relu` or `tanh`")),
        }
    }

    /// Refuses any value of a field but the one that is implemented; an absent field means just that.
    pub fn only(&self, name: &str, implemented: Value) -> Result<(), ModelError> {
        match self.raw.get(name) {
            None | Some(Value::Null) => Ok(()),
            Some(value) if *value == implemented => Ok(()),
            Some(value) => Err(ModelError::config(
                self.path,
                format!("field `{name}` is `{value}`, which changes the arithmetic and is not supported"),
                format!("only `{implemented}` is supported; choose another checkpoint"),
            )),
        }
    }

    /// What the logits mean and the names of the classes: from our own entry, else from `id2label`, else two classes.
    pub fn labels(&self) -> Result<(Output, Vec<String>), ModelError> {
        if let Some(ours) = self.raw.get("finetone").and_then(Value::as_object) {
            let labels = ours
                .get("labels")
                .and_then(Value::as_array)
                .map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>());
            let output = match ours.get("output").and_then(Value::as_str) {
                Some("softmax") => Output::Softmax,
                Some("one-logit") => Output::OneLogit,
                Some("multi-label") => Output::MultiLabel,
                _ => return Err(self.wrong("finetone", "an entry with `labels` and `output`")),
            };
            let fits = |n: &Vec<String>| n.len() >= if output == Output::MultiLabel { 1 } else { 2 };
            let labels = labels.filter(fits).ok_or_else(|| self.wrong("finetone", "two labels or more"))?;
            return Ok((output, labels));
        }
        let multi = self.raw.get("problem_type").and_then(Value::as_str) == Some("multi_label_classification");
        let named = match self.raw.get("id2label").and_then(Value::as_object) {
            Some(names) => {
                let name = |i: usize| names.get(&i.to_string()).and_then(Value::as_str).map(str::to_owned);
                (0..names.len())
                    .map(name)
                    .collect::<Option<Vec<_>>>()
                    .ok_or_else(|| self.wrong("id2label", "a name for each id from 0"))?
            }
            None => (0..self.optional_size("num_labels", 2)?).map(|i| format!("LABEL_{i}")).collect(),
        };
        Ok(match (named.len(), multi) {
            (1, _) => (Output::OneLogit, vec![format!("not {}", named[0]), named[0].clone()]),
            (_, true) => (Output::MultiLabel, named),
            _ => (Output::Softmax, named),
        })
    }

    /// The family's own head, unless our entry says that the model was trained with another pooling.
    pub fn head(&self, standard: HeadConfig) -> Result<HeadConfig, ModelError> {
        use crate::config::HeadPooling::{Attention, First, Last, Mean};
        let ours = |name: &str| self.raw.get("finetone").and_then(|ours| ours.get(name));
        let features = match ours("features") {
            None => 0,
            Some(number) => number
                .as_u64()
                .filter(|&number| number <= MOST_FEATURES)
                .ok_or_else(|| self.wrong("finetone", "a number of `features` that a table may have"))?,
        };
        let pooling = match ours("pooling").and_then(Value::as_str) {
            None if features == 0 => return Ok(standard),
            None => return Err(self.wrong("finetone", "a `pooling` beside the `features`")),
            Some("first") => First,
            Some("last") => Last,
            Some("mean") => Mean,
            Some(other) => match other.strip_prefix("attention:").and_then(|n| n.parse().ok()) {
                Some(last) => Attention { last },
                None => return Err(self.wrong("finetone", "a pooling `first`, `last`, `mean` or `attention:N`")),
            },
        };
        Ok(HeadConfig { pooling, features: features as usize, ..standard.of_our_own() })
    }

    /// Checks what the sizes must have in common.
    pub(crate) fn check_sizes(&self, config: &ModelConfig) -> Result<(), ModelError> {
        if !config.hidden_size.is_multiple_of(config.num_attention_heads) {
            let (d, h) = (config.hidden_size, config.num_attention_heads);
            return Err(ModelError::config(
                self.path,
                format!("the hidden size {d} is not a multiple of the {h} attention heads"),
                "choose sizes that divide",
            ));
        }
        if config.num_hidden_layers > MOST_LAYERS {
            let problem = format!("{} layers are more than any model has", config.num_hidden_layers);
            return Err(ModelError::config(self.path, problem, "the file is damaged: download or export it again"));
        }
        if config.max_position_embeddings <= config.position_offset {
            return Err(self.wrong("max_position_embeddings", "more positions than the padding id"));
        }
        Ok(())
    }
}

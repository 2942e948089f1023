//! Reading fields of a `config.json`, with errors that name file and field.

use std::path::Path;

use finetone_backend::Activation;
use serde_json::{Map, Value, json};

use crate::config::{HeadConfig, ModelConfig, OURS, Output, Positions};
use crate::error::ModelError;
use crate::rotary::{Rotary, RotaryScaling};

/// Far above any real model; keeps a damaged file from building a tower of blocks.
const MOST_LAYERS: usize = 1000;

/// Far above any real model; keeps products of sizes within range.
const MOST_WIDTH: usize = 0x4000_0000;

/// More numbers beside a text than any table has columns; keeps a damaged file from asking for memory.
const MOST_FEATURES: u64 = 1 << 16;

/// θ of rotary positions where the file says nothing.
const USUAL_THETA: f64 = 10_000.0;

/// What an object that describes rotary positions may hold.
const ROTARY_FIELDS: [&str; 8] = [
    "rope_theta",
    "rope_type",
    "type",
    "factor",
    "low_freq_factor",
    "high_freq_factor",
    "original_max_position_embeddings",
    "partial_rotary_factor",
];

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

    pub(crate) fn wrong(&self, name: &str, wanted: &str) -> ModelError {
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
            Some(n) if (1..=MOST_WIDTH as u64).contains(&n) => Ok(n as usize),
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

    /// A positive whole number, or none where the field is null; `usual` where it is absent.
    pub fn size_or_null(&self, name: &str, usual: Option<usize>) -> Result<Option<usize>, ModelError> {
        match self.raw.get(name) {
            None => Ok(usual),
            Some(Value::Null) => Ok(None),
            Some(_) => self.size(name).map(Some),
        }
    }

    /// A number of blocks that a model may have.
    pub fn layers(&self, name: &str) -> Result<usize, ModelError> {
        match self.size(name)? {
            layers if layers <= MOST_LAYERS => Ok(layers),
            layers => {
                let problem = format!("{layers} layers are more than any model has");
                Err(ModelError::config(self.path, problem, "the file is damaged: download or export it again"))
            }
        }
    }

    /// A yes or no that may be absent or null.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, ModelError> {
        match self.raw.get(name) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| self.wrong(name, "`true` or `false`")),
        }
    }

    /// The size of each of so many heads that share a width.
    pub fn even_share(&self, width: usize, heads: usize) -> Result<usize, ModelError> {
        if width.is_multiple_of(heads) {
            return Ok(width / heads);
        }
        let problem = format!("the hidden size {width} is not a multiple of the {heads} attention heads");
        Err(ModelError::config(self.path, problem, "choose sizes that divide"))
    }

    /// Which blocks look back no further than a window, by `layer_types`, where there is such a field.
    pub fn sliding_layers(&self, blocks: usize) -> Result<Option<Vec<bool>>, ModelError> {
        let wrong = || self.wrong("layer_types", "`full_attention` or `sliding_attention` for each layer");
        let Some(types) = self.raw.get("layer_types").filter(|types| !types.is_null()) else { return Ok(None) };
        let types = types.as_array().filter(|types| types.len() == blocks).ok_or_else(wrong)?;
        let is_sliding = |name: &Value| match name.as_str() {
            Some("full_attention") => Ok(false),
            Some("sliding_attention") => Ok(true),
            _ => Err(wrong()),
        };
        types.iter().map(is_sliding).collect::<Result<Vec<_>, _>>().map(Some)
    }

    /// Rotary positions: of `rope_parameters`, or of `rope_theta` and `rope_scaling` as older files have them.
    pub fn rotary(&self) -> Result<Rotary, ModelError> {
        self.only("partial_rotary_factor", json!(1.0))?;
        let name = if self.raw.contains_key("rope_parameters") { "rope_parameters" } else { "rope_scaling" };
        let theta = self.number("rope_theta", USUAL_THETA)?;
        let inner = match self.raw.get(name) {
            None | Some(Value::Null) => return Ok(Rotary { theta, scaling: RotaryScaling::None }),
            Some(value) => value.as_object().ok_or_else(|| self.wrong(name, "an object"))?,
        };
        if let Some(unknown) = inner.keys().find(|key| !ROTARY_FIELDS.contains(&key.as_str())) {
            return Err(self.unsupported(
                &format!("{name}.{unknown}"),
                &inner[unknown],
                "`default`, `linear` and `llama3` are supported",
            ));
        }
        let inner = Fields::new(inner, self.path);
        inner.only("partial_rotary_factor", json!(1.0))?;
        let rotary = Rotary { theta: inner.number("rope_theta", theta)?, scaling: inner.rotary_scaling()? };
        if rotary.theta > 0.0 { Ok(rotary) } else { Err(self.wrong(name, "a `rope_theta` above 0")) }
    }

    fn rotary_scaling(&self) -> Result<RotaryScaling, ModelError> {
        let kind = ["rope_type", "type"].into_iter().find_map(|name| Some((name, self.raw.get(name)?)));
        let positive = |name: &str| match self.number(name, 0.0)? {
            number if number > 0.0 => Ok(number),
            _ => Err(self.wrong(name, "a number above 0")),
        };
        match kind.map(|(name, value)| (name, value, value.as_str())) {
            None | Some((_, _, Some("default"))) => Ok(RotaryScaling::None),
            Some((_, _, Some("linear"))) => Ok(RotaryScaling::Linear { factor: positive("factor")? }),
            Some((_, _, Some("llama3"))) => {
                let (low, high) = (positive("low_freq_factor")?, positive("high_freq_factor")?);
                if high <= low {
                    return Err(self.wrong("high_freq_factor", "a number above `low_freq_factor`"));
                }
                let original = positive("original_max_position_embeddings")?;
                Ok(RotaryScaling::Llama3 { factor: positive("factor")?, low, high, original })
            }
            Some((name, value, _)) => {
                Err(self.unsupported(name, value, "`default`, `linear` and `llama3` are supported"))
            }
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
            "silu" | "swish" => Ok(Activation::Silu),
            _ => Err(self.wrong(name, "`gelu`, `gelu_new`, `gelu_pytorch_tanh`, `relu`, `silu` or `tanh`")),
        }
    }

    /// Refuses any value of a field but the one that is implemented; an absent field means just that.
    pub fn only(&self, name: &str, implemented: Value) -> Result<(), ModelError> {
        match self.raw.get(name) {
            None | Some(Value::Null) => Ok(()),
            Some(value) if *value == implemented => Ok(()),
            Some(value) => Err(self.unsupported(name, value, &format!("only `{implemented}` is supported"))),
        }
    }

    fn unsupported(&self, name: &str, value: &Value, supported: &str) -> ModelError {
        ModelError::config(
            self.path,
            format!("field `{name}` is `{value}`, which changes the arithmetic and is not supported"),
            format!("{supported}; choose another checkpoint"),
        )
    }

    /// What the logits mean and the names of the classes: from our own entry, else from `id2label`, else two classes.
    pub fn labels(&self) -> Result<(Output, Vec<String>), ModelError> {
        // An entry about chats is that of a language model, which has no classes.
        let ours = self.raw.get(OURS).and_then(Value::as_object).filter(|ours| !ours.contains_key("chat"));
        if let Some(ours) = ours {
            let labels = ours
                .get("labels")
                .and_then(Value::as_array)
                .map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>());
            let output = match ours.get("output").and_then(Value::as_str) {
                Some("softmax") => Output::Softmax,
                Some("one-logit") => Output::OneLogit,
                Some("multi-label") => Output::MultiLabel,
                _ => return Err(self.wrong(OURS, "an entry with `labels` and `output`")),
            };
            let fits = |n: &Vec<String>| n.len() >= if output == Output::MultiLabel { 1 } else { 2 };
            let labels = labels.filter(fits).ok_or_else(|| self.wrong(OURS, "two labels or more"))?;
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
        let ours = |name: &str| self.raw.get(OURS).and_then(|ours| ours.get(name));
        let features = match ours("features") {
            None => 0,
            Some(number) => number
                .as_u64()
                .filter(|&number| number <= MOST_FEATURES)
                .ok_or_else(|| self.wrong(OURS, "a number of `features` that a table may have"))?,
        };
        let pooling = match ours("pooling").and_then(Value::as_str) {
            None if features == 0 => return Ok(standard),
            None => return Err(self.wrong(OURS, "a `pooling` beside the `features`")),
            Some("first") => First,
            Some("last") => Last,
            Some("mean") => Mean,
            Some(other) => match other.strip_prefix("attention:").and_then(|n| n.parse().ok()) {
                Some(last) => Attention { last },
                None => return Err(self.wrong(OURS, "a pooling `first`, `last`, `mean` or `attention:N`")),
            },
        };
        Ok(HeadConfig { pooling, features: features as usize, ..standard.of_our_own() })
    }

    /// Checks what the sizes must have in common.
    pub(crate) fn check_sizes(&self, config: &ModelConfig) -> Result<(), ModelError> {
        self.layers(config.family.spec().layers)?;
        let (heads, shared) = (config.num_attention_heads, config.num_key_value_heads);
        if shared == 0 || !heads.is_multiple_of(shared) {
            return Err(self.wrong("num_key_value_heads", &format!("a divisor of the {heads} attention heads")));
        }
        if heads.saturating_mul(config.head_dim) > MOST_WIDTH {
            return Err(self.wrong("head_dim", "a size that a head may have"));
        }
        if matches!(config.positions, Positions::Rotary(_)) && !config.head_dim.is_multiple_of(2) {
            let problem = format!("heads of {} values, the halves of which cannot be turned", config.head_dim);
            return Err(ModelError::config(self.path, problem, "rotary positions need an even `head_dim`"));
        }
        if config.max_position_embeddings <= config.position_offset {
            return Err(self.wrong("max_position_embeddings", "more positions than the padding id"));
        }
        Ok(())
    }
}

//! The families: how a `config.json` is read, and which tensor is which. Data, no arithmetic.

mod bert;
mod distilbert;
mod fields;
mod gpt2;
mod llama;
mod mistral;
mod qwen2;
mod qwen3;
mod roberta;

pub use fields::Fields;

use std::path::Path;

use finetone_backend::Activation;
use serde_json::{Map, Value};

use crate::config::{Family, ModelConfig};
use crate::error::ModelError;

/// How a tensor lies in the other side's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// As ours.
    Same,
    /// A linear weight stored inputs × outputs (GPT-2's `Conv1D`).
    Transposed,
}

/// One of our tensors is one or more of theirs, stacked by rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Our name.
    pub ours: String,
    /// Their names, in the order of the rows; several for separate queries, keys and values.
    pub theirs: Vec<String>,
    /// The rows that each of theirs has, in proportion: fewer keys than queries where heads share them.
    pub shares: Vec<usize>,
    /// How each lies in the file.
    pub layout: Layout,
}

impl Rule {
    pub(crate) fn same(ours: impl Into<String>, theirs: impl Into<String>) -> Self {
        Self { ours: ours.into(), theirs: vec![theirs.into()], shares: vec![1], layout: Layout::Same }
    }

    fn transposed(ours: impl Into<String>, theirs: impl Into<String>) -> Self {
        Self { layout: Layout::Transposed, ..Self::same(ours, theirs) }
    }

    /// Weight and bias of a linear layer.
    fn linear(ours: &str, theirs: &str) -> [Self; 2] {
        ["weight", "bias"].map(|part| Self::same(format!("{ours}.{part}"), format!("{theirs}.{part}")))
    }

    /// Weight and bias of a linear layer whose rows are several of theirs.
    fn stacked(ours: &str, theirs: &[String]) -> [Self; 2] {
        Self::stacked_unevenly(ours, theirs, &vec![1; theirs.len()])
    }

    /// The same where they have different numbers of rows, in these proportions.
    fn stacked_unevenly(ours: &str, theirs: &[String], shares: &[usize]) -> [Self; 2] {
        ["weight", "bias"].map(|part| Self {
            ours: format!("{ours}.{part}"),
            theirs: theirs.iter().map(|name| format!("{name}.{part}")).collect(),
            shares: shares.to_vec(),
            layout: Layout::Same,
        })
    }

    /// Their tensors with the rows that each has of `rows`.
    pub(crate) fn parts(&self, rows: usize) -> impl Iterator<Item = (&str, usize)> {
        let all: usize = self.shares.iter().sum();
        self.theirs.iter().zip(&self.shares).map(move |(name, share)| (name.as_str(), rows * share / all))
    }

    /// Gain and bias of a norm, which the others call weight and bias.
    fn norm(ours: &str, theirs: &str) -> [Self; 2] {
        [("gain", "weight"), ("bias", "bias")].map(|(o, t)| Self::same(format!("{ours}.{o}"), format!("{theirs}.{t}")))
    }
}

/// One family: a row of functions.
pub struct FamilySpec {
    /// The values of `model_type` it answers to.
    pub model_types: &'static [&'static str],
    /// What precedes the backbone's tensors in a model with a head (`bert.`); absent in a bare backbone.
    pub prefix: &'static str,
    /// The field of `config.json` with the number of blocks.
    pub layers: &'static str,
    /// The class that Transformers opens a classifier with.
    pub architecture: &'static str,
    /// The class that it opens a language model with; `None` for families that read in both directions.
    pub language_architecture: Option<&'static str>,
    /// The head with which it says what stands at masked places; `None` for families that read in one direction.
    pub masked: Option<MaskedHead>,
    /// Their names of the layers that carry adapters where none are asked for: those of PEFT.
    pub lora_targets: &'static [&'static str],
    /// `config.json` to our configuration.
    pub config: fn(&mut Fields<'_>) -> Result<ModelConfig, ModelError>,
    /// The rules of the backbone (without the prefix) and of the head.
    pub rules: fn(&ModelConfig) -> (Vec<Rule>, Vec<Rule>),
    /// Sizes to a `config.json` for a model from scratch.
    pub scratch: fn(&Sizes) -> Map<String, Value>,
}

/// How a family names its head for masked places: a dense layer, a function, a norm, and a linear layer to the vocabulary.
pub struct MaskedHead {
    /// The class that Transformers opens it with.
    pub architecture: &'static str,
    /// The function, where it is not that of the blocks.
    pub activation: Option<Activation>,
    /// The dense layer.
    pub dense: &'static str,
    /// The norm.
    pub norm: &'static str,
    /// The linear layer.
    pub linear: &'static str,
    /// Its bias, where its weight is the table of tokens.
    pub bias: &'static str,
}

impl MaskedHead {
    /// Its rules; the linear layer may share the table of tokens.
    pub(crate) fn rules(&self, tied: bool) -> Vec<Rule> {
        let mut rules = [Rule::linear("head.dense", self.dense), Rule::norm("head.norm", self.norm)].concat();
        match tied {
            true => rules.push(Rule::same("head.tokens.bias", self.bias)),
            false => rules.extend(Rule::linear("head.tokens", self.linear)),
        }
        rules
    }
}

/// Sizes of a model from scratch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Tokens in the vocabulary.
    pub vocab_size: usize,
    /// Width of a token, D.
    pub hidden_size: usize,
    /// Blocks, L.
    pub layers: usize,
    /// Attention heads, H.
    pub heads: usize,
    /// Width of the feed-forward layer, F.
    pub intermediate_size: usize,
    /// The longest sequence.
    pub max_tokens: usize,
    /// Id of the padding token, which no batch contains but `config.json` names.
    pub pad_token_id: u32,
}

impl Family {
    /// All families.
    pub const ALL: [Self; 8] =
        [Self::Gpt2, Self::Bert, Self::Roberta, Self::DistilBert, Self::Llama, Self::Mistral, Self::Qwen2, Self::Qwen3];

    /// The family's row.
    pub fn spec(self) -> &'static FamilySpec {
        match self {
            Self::Gpt2 => &gpt2::SPEC,
            Self::Bert => &bert::SPEC,
            Self::Roberta => &roberta::SPEC,
            Self::DistilBert => &distilbert::SPEC,
            Self::Llama => &llama::SPEC,
            Self::Mistral => &mistral::SPEC,
            Self::Qwen2 => &qwen2::SPEC,
            Self::Qwen3 => &qwen3::SPEC,
        }
    }

    /// The `model_type` that a model from scratch gets.
    pub fn model_type(self) -> &'static str {
        self.spec().model_types[0]
    }

    /// The family of this `model_type`.
    pub fn by_model_type(model_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.spec().model_types.contains(&model_type))
    }
}

/// Reads a parsed `config.json`; `path` is named in errors.
///
/// # Errors
/// A missing field, an unknown `model_type`, or a value that would change the arithmetic in a way we do not implement.
pub fn read_config(raw: &Map<String, Value>, path: &Path) -> Result<ModelConfig, ModelError> {
    let mut fields = Fields::new(raw, path);
    let model_type = fields.text("model_type")?;
    let family = Family::by_model_type(&model_type).ok_or_else(|| {
        let known: Vec<String> =
            Family::ALL.iter().flat_map(|f| f.spec().model_types).map(|name| format!("`{name}`")).collect();
        let hint = format!("known model types: {}", known.join(", "));
        ModelError::config(path, format!("model_type `{model_type}` is not supported"), hint)
    })?;
    let config = (family.spec().config)(&mut fields)?;
    fields.check_sizes(&config)?;
    Ok(config)
}

/// A configuration from scratch: a `config.json` of this family and these sizes, read as one.
///
/// # Errors
/// Sizes that do not fit, such as a width that the heads do not divide.
pub fn from_scratch(family: Family, sizes: &Sizes) -> Result<ModelConfig, ModelError> {
    read_config(&(family.spec().scratch)(sizes), Path::new("config.json"))
}

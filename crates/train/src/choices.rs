//! Settings that are one of several words.

use std::collections::BTreeMap;

use finetone_model::Memory;
use serde::{Deserialize, Serialize};

/// What a model learns to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// To answer, where the file holds chats and the model is a causal language model; otherwise to judge. The run decides
    /// before it begins and writes the decision in its place.
    #[default]
    Auto,
    /// To judge texts: to choose among the classes, or among the answers of chats.
    Classify,
    /// To answer chats.
    Chat,
}

/// Which part of a text over the limit is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Truncation {
    /// The start.
    #[default]
    #[serde(rename = "head")]
    Head,
    /// The end.
    #[serde(rename = "tail")]
    Tail,
    /// A quarter from the start, the rest from the end.
    #[serde(rename = "head+tail")]
    HeadTail,
    /// Everything, in several sequences whose pooled vectors are averaged.
    #[serde(rename = "windows")]
    Windows,
}

/// How rows are held out where no file is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitRule {
    /// At random, the same share of every class.
    #[default]
    Stratified,
    /// Whole groups at random: all rows with one value of `group_column` are on one side.
    Group,
    /// The newest by `time_column`.
    Time,
    /// By the text alone, so that a row stays on its side when the file grows.
    Hash,
}

/// How the learning rate runs over the steps, after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// In a straight line to zero.
    Linear,
    /// Along half a cosine to zero.
    #[default]
    Cosine,
    /// Not at all.
    Constant,
}

/// How much memory a step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemoryUse {
    /// As much as is fastest.
    #[default]
    Normal,
    /// The inputs of the model's blocks alone; the rest is computed again.
    Low,
}

impl From<MemoryUse> for Memory {
    fn from(setting: MemoryUse) -> Self {
        match setting {
            MemoryUse::Normal => Self::Normal,
            MemoryUse::Low => Self::Low,
        }
    }
}

/// Whether the output of the frozen blocks at the bottom of a model is computed once for each text and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CacheUse {
    /// Where it saves work and there is memory for it. The run decides before it begins and writes the decision in its
    /// place, so that it goes on in the same way when it is resumed.
    #[default]
    Auto,
    /// Always: too little memory is an error.
    On,
    /// Never.
    Off,
}

impl CacheUse {
    /// What was decided.
    pub(crate) fn decided(keep: bool) -> Self {
        if keep { Self::On } else { Self::Off }
    }
}

/// The numbers that matrix products multiply; sums, norms, losses and the weights themselves are f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainingPrecision {
    /// The fastest that training loses nothing by on this machine. Whoever chooses the backend decides, and writes the
    /// decision in its place before the run begins.
    #[default]
    Auto,
    /// 32 bits.
    F32,
    /// 16 bits with the exponent of f32.
    Bf16,
}

impl TrainingPrecision {
    /// The name that a user types.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

/// What the logits mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputKind {
    /// Softmax, or independent sigmoids where `multi_label` is given.
    #[default]
    Auto,
    /// Two classes with one logit.
    OneLogit,
}

/// Weights of the classes in the loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "`class_weights` must be `none`, `balanced`, `root-inverse`, `effective-number` or a table with a number for each label"
)]
pub enum ClassWeights {
    /// By a rule from the classes' frequencies.
    Named(WeightRule),
    /// A weight for each label by its name.
    Given(BTreeMap<String, f64>),
}

/// A rule for the weight `w_c` of a class with `n_c` of `n` rows. Every rule gives a mean weight of 1 over the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WeightRule {
    /// All ones.
    #[default]
    None,
    /// `w_c ∝ 1 / n_c`, which is `n / (C · n_c)`, as scikit-learn's `balanced`.
    Balanced,
    /// `w_c ∝ 1 / √n_c`: half way, on a logarithmic scale, between no weights and balanced ones.
    RootInverse,
    /// `w_c ∝ (1 − β) / (1 − β^n_c)`: the inverse of the effective number of rows by
    /// [Cui et al. 2019](https://arxiv.org/abs/1901.05555), with `effective_beta` for β.
    EffectiveNumber,
}

/// Which rows an epoch takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SamplingRule {
    /// Every row once.
    #[default]
    None,
    /// Draws with replacement, by weights from class and length.
    Weighted,
    /// Rows of small classes are repeated.
    Oversample,
    /// Rows of large classes are left out, other ones in each epoch.
    Undersample,
}

/// How sure a finished model is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Calibrate {
    /// As it is.
    None,
    /// By a temperature that is fitted on the validation texts, where there are any. No decision changes.
    #[default]
    Temperature,
}

/// Whether a finished model keeps its training texts as neighbours of texts to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NeighbourUse {
    /// It keeps none.
    #[default]
    Off,
    /// It keeps them, and they get the share of its answers that is best on the validation texts, which may be none.
    On,
}

/// How a decision is read from probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// As they are: the most probable class, or every label from one half on.
    #[default]
    Argmax,
    /// As if all classes were equally frequent.
    UniformPrior,
    /// With offsets that make the metric best on the validation texts.
    Fitted,
}

//! What was written, and what is used.
//!
//! [`RunFile`] is a table of keys as a recipe, the command line and `--set` wrote them, later ones over earlier ones.
//! [`RunConfig`] is complete and checked, and saved with the run as `run.toml`.

use std::path::{Path, PathBuf};

use finetone_classify::source::BUILT_IN;
use finetone_model::Memory;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::error::TrainError;

/// The model that is trained when none is named.
const DEFAULT_MODEL: &str = "tiny";
/// Learning rate and epochs of a model from scratch, unless written.
const FROM_SCRATCH_RATE: f64 = 5e-4;
const FROM_SCRATCH_EPOCHS: f64 = 10.0;

/// Fewer steps than this leave a fresh head half-trained.
const ENOUGH_STEPS: f64 = 400.0;

/// Epochs of a pretrained model unless written: three, and on small files as many as give 400 steps, at most ten.
pub(crate) fn usual_epochs(steps_per_epoch: u64) -> f64 {
    (ENOUGH_STEPS / steps_per_epoch as f64).ceil().clamp(3.0, 10.0)
}

/// Keys and values that a user wrote.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunFile {
    table: Table,
}

impl RunFile {
    /// Reads a recipe.
    ///
    /// # Errors
    /// A file that cannot be read or is not TOML.
    pub fn read(path: &Path) -> Result<Self, TrainError> {
        let text = std::fs::read_to_string(path).map_err(TrainError::io(path))?;
        let table = text.parse::<Table>().map_err(|error| TrainError::RunFile {
            path: path.to_owned(),
            problem: error.to_string(),
            hint: "a recipe is a TOML file of lines `key = value`".into(),
        })?;
        Ok(Self { table })
    }

    /// Sets a key, replacing what was written before.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.table.insert(key.to_owned(), value.into());
    }

    /// Sets a key from `key=value` on the command line. A value that is no TOML is a text.
    ///
    /// # Errors
    /// No `=` in the assignment.
    pub fn assign(&mut self, assignment: &str) -> Result<(), TrainError> {
        let (key, value) = assignment.split_once('=').ok_or_else(|| TrainError::Setting {
            problem: format!("`{assignment}` is not of the form `key=value`"),
            hint: "for example `--set learning_rate=3e-5`".into(),
        })?;
        let (key, value) = (key.trim(), value.trim());
        let parsed = format!("value = {value}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
        self.set(key, parsed.unwrap_or_else(|| Value::String(value.to_owned())));
        Ok(())
    }

    /// Lays another file over this one.
    pub fn overlay(&mut self, other: RunFile) {
        self.table.extend(other.table);
    }

    /// The complete configuration.
    ///
    /// # Errors
    /// An unknown key (the hint names the nearest known one), a value of the wrong type or out of range.
    pub fn resolve(&self) -> Result<RunConfig, TrainError> {
        let known = known_keys();
        if let Some(unknown) = self.table.keys().find(|key| !known.contains(key)) {
            let nearest = known.iter().max_by(|a, b| {
                let score = |key: &str| strsim::jaro_winkler(key, unknown);
                score(a).total_cmp(&score(b))
            });
            return Err(TrainError::Setting {
                problem: format!("there is no setting `{unknown}`"),
                hint: nearest.map_or_else(String::new, |key| format!("did you mean `{key}`?")),
            });
        }
        let mut table = self.table.clone();
        check_precision(&table)?;
        // A model from scratch wants other steps than a pretrained one; what was written goes first.
        let model = table.get("model").and_then(Value::as_str).unwrap_or(DEFAULT_MODEL);
        if BUILT_IN.iter().any(|built_in| built_in.name == model) || model.ends_with(".json") {
            table.entry("learning_rate").or_insert(Value::Float(FROM_SCRATCH_RATE));
            table.entry("epochs").or_insert(Value::Float(FROM_SCRATCH_EPOCHS));
        }
        if let Some(Value::Integer(epochs)) = table.get("epochs") {
            let epochs = *epochs as f64;
            table.insert("epochs".into(), Value::Float(epochs));
        }
        let config: RunConfig = table.try_into().map_err(|error: toml::de::Error| TrainError::Setting {
            problem: error.message().to_owned(),
            hint: format!("the settings as written: {}", self.table.to_string().trim().replace('\n', ", ")),
        })?;
        config.check()?;
        Ok(config)
    }
}

/// Names the precisions of training, and says where eight bits have their place.
fn check_precision(table: &Table) -> Result<(), TrainError> {
    let Some(asked) = table.get("precision") else { return Ok(()) };
    let asked = asked.as_str().map_or_else(|| asked.to_string(), str::to_owned);
    let (problem, hint) = match asked.as_str() {
        "auto" | "f32" | "bf16" => return Ok(()),
        "int8" => (
            "`int8` is for prediction, not for training",
            "train with `auto`, then `finetone predict --precision int8`",
        ),
        _ => ("`precision` has an unknown value", "known precisions: `auto`, `f32`, `bf16`"),
    };
    Err(TrainError::Setting { problem: problem.into(), hint: hint.into() })
}

fn known_keys() -> Vec<String> {
    // Every optional key is given a value, so that the table of a full configuration names all keys.
    let full = RunConfig {
        train: PathBuf::from("train.csv"),
        test: Some(PathBuf::new()),
        validation: Some(PathBuf::new()),
        text_column: Some(String::new()),
        label_column: Some(String::new()),
        multi_label: Some('|'),
        max_tokens: Some(1),
        tokenizer: Some(PathBuf::new()),
        pooling: Some(String::new()),
        dropout: Some(0.0),
        head_dropout: Some(0.0),
        epochs: Some(1.0),
        max_steps: Some(1),
        eval_every: Some(1),
        early_stopping: Some(1),
        ..RunConfig::default()
    };
    Table::try_from(full).map(|table| table.keys().cloned().collect()).unwrap_or_default()
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
#[serde(untagged)]
pub enum ClassWeights {
    /// `none`, or `balanced`: inversely to the classes' frequencies, `n / (C · n_c)`.
    Named(WeightRule),
    /// A weight for each label by its name.
    Given(std::collections::BTreeMap<String, f64>),
}

/// A rule for class weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightRule {
    /// All ones.
    #[default]
    None,
    /// `n / (C · n_c)`, as scikit-learn's `balanced`.
    Balanced,
}

/// Every setting of a run, with its default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// The file to learn from.
    pub train: PathBuf,
    /// The file to measure on at the end; without it, `test_fraction` of the rows is held out.
    pub test: Option<PathBuf>,
    /// The file that chooses the best checkpoint; without it, `validation_fraction` of the training rows is held out.
    pub validation: Option<PathBuf>,
    /// Share of the rows held out for the test when no test file is given.
    pub test_fraction: f64,
    /// Share of the training rows held out for validation when no file is given; 0 trains on all and keeps the last weights.
    pub validation_fraction: f64,
    /// The column with the texts; found by its name if not given.
    pub text_column: Option<String>,
    /// The column with the labels; found by its name if not given.
    pub label_column: Option<String>,
    /// Several labels in one cell, separated by this character.
    pub multi_label: Option<char>,
    /// The most tokens of a text; the tokenizer's or the model's limit if not given, at most 512.
    pub max_tokens: Option<usize>,
    /// Which part of a longer text is kept.
    pub truncation: Truncation,

    /// A Hugging Face id, a folder, a run, or the name of a built-in model from scratch.
    pub model: String,
    /// A folder with a tokenizer for a model from scratch; without it one is trained on the training texts.
    pub tokenizer: Option<PathBuf>,
    /// `first`, `last`, `mean` or `attention:N`; the family's own if not given.
    pub pooling: Option<String>,
    /// What the logits mean.
    pub output: OutputKind,
    /// Dropout of the backbone, instead of the model's own.
    pub dropout: Option<f64>,
    /// Dropout of the head, instead of the model's own.
    pub head_dropout: Option<f64>,

    /// Times every training text is seen; from 3 for many texts to 10 for few if not given, so that there are about 400 steps.
    pub epochs: Option<f64>,
    /// Ends the run after this many steps.
    pub max_steps: Option<u64>,
    /// Texts in a batch.
    pub batch_size: usize,
    /// Batches whose gradients add up to one optimiser step.
    pub accumulate: usize,
    /// The most tokens computed at a time; a batch is split to fit, with the same result.
    pub token_budget: usize,
    /// `low` computes the blocks of the model once more in the backward pass instead of keeping what they save; the
    /// result is the same to the last bit.
    pub memory: MemoryUse,
    /// Whether texts of like length are put into one batch.
    pub group_by_length: bool,
    /// Rate of the backbone.
    pub learning_rate: f64,
    /// The head's rate is this many times the backbone's.
    pub head_rate: f64,
    /// Each block's rate is this many times that of the block above it; 1 for all the same.
    pub layer_decay: f64,
    /// How the rate runs over the steps.
    pub schedule: Schedule,
    /// Share of the steps in which the rate rises from zero.
    pub warmup: f64,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// ε of AdamW.
    pub epsilon: f64,
    /// Gradients with a greater norm are scaled down to it; 0 for no clipping.
    pub max_grad_norm: f64,
    /// Share of the target spread over all classes.
    pub label_smoothing: f64,
    /// Weights of the classes in the loss.
    pub class_weights: ClassWeights,
    /// Focal exponent; 0 for the plain loss.
    pub focal_gamma: f64,
    /// What is not trained: `embeddings`, a number of blocks from the input (`4`), or patterns of parameter names with `*`.
    pub freeze: Vec<String>,
    /// Steps between evaluations; once an epoch if not given.
    pub eval_every: Option<u64>,
    /// Ends the run after this many evaluations without a better one.
    pub early_stopping: Option<u64>,
    /// The metric that chooses the best checkpoint.
    pub metric: String,
    /// The numbers that matrix products multiply.
    pub precision: TrainingPrecision,
    /// Of everything random: split, fresh weights, order, dropout.
    pub seed: u64,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            train: PathBuf::new(),
            test: None,
            validation: None,
            test_fraction: 0.1,
            validation_fraction: 0.1,
            text_column: None,
            label_column: None,
            multi_label: None,
            max_tokens: None,
            truncation: Truncation::default(),
            model: DEFAULT_MODEL.into(),
            tokenizer: None,
            pooling: None,
            output: OutputKind::default(),
            dropout: None,
            head_dropout: None,
            epochs: None,
            max_steps: None,
            batch_size: 16,
            accumulate: 1,
            token_budget: 4096,
            memory: MemoryUse::default(),
            group_by_length: true,
            learning_rate: 5e-5,
            head_rate: 1.0,
            layer_decay: 1.0,
            schedule: Schedule::default(),
            warmup: 0.06,
            weight_decay: 0.01,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            max_grad_norm: 1.0,
            label_smoothing: 0.0,
            class_weights: ClassWeights::Named(WeightRule::None),
            focal_gamma: 0.0,
            freeze: Vec::new(),
            eval_every: None,
            early_stopping: None,
            metric: "f1_macro".into(),
            precision: TrainingPrecision::default(),
            seed: 0,
        }
    }
}

impl RunConfig {
    /// Texts of one optimiser step.
    pub fn step_size(&self) -> usize {
        self.batch_size * self.accumulate
    }

    /// The file as it is saved with the run.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("every setting has a TOML form")
    }

    fn check(&self) -> Result<(), TrainError> {
        let share = |value: f64| (0.0..1.0).contains(&value);
        let checks = [
            (!self.train.as_os_str().is_empty(), "train", "a file"),
            (share(self.test_fraction), "test_fraction", "a share from 0 to below 1"),
            (share(self.validation_fraction), "validation_fraction", "a share from 0 to below 1"),
            (self.max_tokens.is_none_or(|n| n >= 3), "max_tokens", "at least 3"),
            (self.dropout.is_none_or(share), "dropout", "a share from 0 to below 1"),
            (self.head_dropout.is_none_or(share), "head_dropout", "a share from 0 to below 1"),
            (self.epochs.is_none_or(|n| n > 0.0 && n.is_finite()), "epochs", "more than 0"),
            (self.max_steps != Some(0), "max_steps", "at least 1"),
            (self.batch_size > 0, "batch_size", "at least 1"),
            (self.accumulate > 0, "accumulate", "at least 1"),
            (self.token_budget > 0, "token_budget", "at least 1"),
            (self.learning_rate >= 0.0 && self.learning_rate.is_finite(), "learning_rate", "a number from 0"),
            (self.head_rate >= 0.0 && self.head_rate.is_finite(), "head_rate", "a number from 0"),
            (self.layer_decay > 0.0 && self.layer_decay <= 1.0, "layer_decay", "above 0 and at most 1"),
            (share(self.warmup), "warmup", "a share from 0 to below 1"),
            (self.weight_decay >= 0.0, "weight_decay", "a number from 0"),
            (share(self.beta1), "beta1", "from 0 to below 1"),
            (share(self.beta2), "beta2", "from 0 to below 1"),
            (self.epsilon > 0.0, "epsilon", "more than 0"),
            (self.max_grad_norm >= 0.0, "max_grad_norm", "a number from 0"),
            (share(self.label_smoothing), "label_smoothing", "a share from 0 to below 1"),
            (self.focal_gamma >= 0.0, "focal_gamma", "a number from 0"),
            (self.eval_every != Some(0), "eval_every", "at least 1"),
            (self.early_stopping != Some(0), "early_stopping", "at least 1"),
        ];
        match checks.into_iter().find(|(fine, ..)| !fine) {
            Some((_, key, wanted)) => Err(TrainError::Setting {
                problem: format!("setting `{key}` is out of range"),
                hint: format!("`{key}` must be {wanted}"),
            }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(assignments: &[&str]) -> Result<RunConfig, TrainError> {
        let mut file = RunFile::default();
        file.set("train", "reviews.csv");
        for assignment in assignments {
            file.assign(assignment)?;
        }
        file.resolve()
    }

    #[test]
    fn settings_are_parsed_and_the_rest_has_defaults() {
        let config = resolve(&["learning_rate=3e-5", "pooling=attention:100", "class_weights=balanced"]).unwrap();
        assert_eq!(config.learning_rate, 3e-5);
        assert_eq!(config.pooling.as_deref(), Some("attention:100"));
        assert_eq!(config.class_weights, ClassWeights::Named(WeightRule::Balanced));
        assert_eq!(config.batch_size, 16);
    }

    #[test]
    fn a_resolved_configuration_survives_its_file() {
        let config = resolve(&["freeze=[\"embeddings\", \"2\"]", "class_weights={ good = 2.0, bad = 0.5 }"]).unwrap();
        let again: RunConfig = toml::from_str(&config.to_toml()).unwrap();
        assert_eq!(config, again);
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_one() {
        let error = resolve(&["learning_rat=1"]).unwrap_err();
        assert_eq!(error.to_string(), "there is no setting `learning_rat`");
        assert_eq!(error.hint().as_deref(), Some("did you mean `learning_rate`?"));
        assert_eq!(resolve(&["validtion=a"]).unwrap_err().hint().as_deref(), Some("did you mean `validation`?"));
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for wrong in ["epochs=0", "batch_size=0", "dropout=1.0", "warmup=-0.1", "eval_every=0", "layer_decay=0"] {
            assert!(resolve(&[wrong]).is_err(), "{wrong} was accepted");
        }
        assert!(resolve(&["epochs"]).is_err());
    }

    #[test]
    fn eight_bits_are_refused_for_training() {
        assert_eq!(resolve(&[]).unwrap().precision, TrainingPrecision::Auto);
        assert_eq!(resolve(&["precision=bf16"]).unwrap().precision, TrainingPrecision::Bf16);
        let error = resolve(&["precision=int8"]).unwrap_err();
        assert_eq!(error.to_string(), "`int8` is for prediction, not for training");
        assert!(error.hint().unwrap().contains("finetone predict --precision int8"));
        assert!(resolve(&["precision=16"]).unwrap_err().hint().unwrap().contains("`bf16`"));
    }
}

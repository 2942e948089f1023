//! What was recorded while a model was trained: its curves, its numbers, and what they say.

mod findings;
mod windows;

use serde::{Deserialize, Serialize};

use crate::report::quoted;

pub use findings::Finding;

/// A number that was recorded again and again during training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The name it is logged under, such as `eval_loss`.
    pub key: String,
    /// What it is, such as `validation loss`.
    pub name: String,
    /// Its unit, such as `nats`; empty for a norm or a score.
    pub unit: String,
    /// Step and value, steps ascending.
    pub points: Vec<(u64, f64)>,
}

/// Name in the log, name for people, unit.
const NAMES: [(&str, &str, &str); 21] = [
    ("loss", "training loss", "nats"),
    ("mean_token_accuracy", "training accuracy", "share right"),
    ("entropy", "entropy of the answers", "nats"),
    ("grad_norm", "gradient norm", ""),
    ("learning_rate", "learning rate", ""),
    ("epoch", "epochs", "epochs"),
    ("num_tokens", "tokens trained on", "tokens"),
    ("eval_loss", "validation loss", "nats"),
    ("eval_mean_token_accuracy", "validation accuracy", "share right"),
    ("eval_entropy", "validation entropy", "nats"),
    ("eval_f1_macro", "validation macro F1", ""),
    ("eval_f1_weighted", "validation weighted F1", ""),
    ("eval_ece", "validation calibration error", ""),
    ("eval_runtime", "time of a validation", "seconds"),
    ("eval_samples_per_second", "speed of validation", "texts/s"),
    ("eval_steps_per_second", "speed of validation, in groups", "groups/s"),
    ("train_runtime", "time of the training", "seconds"),
    ("train_samples_per_second", "speed of training", "texts/s"),
    ("train_steps_per_second", "speed of training, in steps", "steps/s"),
    ("train_loss", "mean training loss of all steps", "nats"),
    ("total_flos", "work of the training", "floating-point operations"),
];

/// How the name of a class's F1 begins in the log.
const F1_OF_CLASS: &str = "eval_f1_";

impl Curve {
    /// The curve that is logged as `key`, with its name for people and its unit.
    pub fn new(key: impl Into<String>, points: Vec<(u64, f64)>) -> Self {
        let key = key.into();
        let (name, unit) = match NAMES.iter().find(|(known, ..)| *known == key) {
            Some((_, name, unit)) => ((*name).to_owned(), *unit),
            None => match key.strip_prefix(F1_OF_CLASS) {
                Some(label) => (format!("validation F1 of {}", quoted(label)), ""),
                None => (key.clone(), ""),
            },
        };
        Self { key, name, unit: unit.into(), points }
    }

    /// The class whose F1 this is.
    pub fn class(&self) -> Option<&str> {
        self.key.strip_prefix(F1_OF_CLASS).filter(|_| self.place().is_none())
    }

    /// Where it stands among the names that every run logs.
    pub(crate) fn place(&self) -> Option<usize> {
        NAMES.iter().position(|(known, ..)| *known == self.key)
    }

    /// Whether it was measured on the validation texts.
    pub(crate) fn is_of_validation(&self) -> bool {
        self.key.starts_with("eval_")
    }

    /// Only the points that can be compared.
    fn finite(&self) -> Vec<(u64, f64)> {
        self.points.iter().copied().filter(|(_, value)| value.is_finite()).collect()
    }
}

/// What was recorded in one training.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Everything that was recorded more than once, or could have been.
    pub curves: Vec<Curve>,
    /// The numbers of the whole training, each a curve of one point.
    pub summary: Vec<Curve>,
    /// The step whose weights were kept, where validation texts chose it.
    pub best_step: Option<u64>,
    /// Share of the texts that were cut at the limit.
    pub truncated: f64,
    /// What all this says.
    pub findings: Vec<Finding>,
}

impl History {
    /// A history and what it says.
    pub fn new(curves: Vec<Curve>, summary: Vec<Curve>, best_step: Option<u64>, truncated: f64) -> Self {
        let history = Self { curves, summary, best_step, truncated, findings: Vec::new() };
        Self { findings: findings::of(&history), ..history }
    }

    /// The curve that is logged as `key`.
    pub fn curve(&self, key: &str) -> Option<&Curve> {
        self.curves.iter().find(|curve| curve.key == key)
    }

    /// The step from which the model overfits, if it does.
    pub fn overfits_from(&self) -> Option<u64> {
        self.findings.iter().find_map(|finding| match finding {
            Finding::Overfits { from, .. } => Some(*from),
            _ => None,
        })
    }

    fn finite(&self, key: &str) -> Vec<(u64, f64)> {
        self.curve(key).map(Curve::finite).unwrap_or_default()
    }
}

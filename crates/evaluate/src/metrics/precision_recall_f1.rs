//! Precision, recall and F1 with scikit-learn's definitions and `zero_division=0`.
//!
//! With `TP` the texts rightly given a class: precision is `TP / predicted`, recall `TP / support`, and
//! F1 = `2 TP / (predicted + support)`; a ratio without a denominator is zero. Averages are over all classes of the model,
//! also those that the rows never show: macro is the plain mean, weighted the mean by support, micro the scores of the
//! counts added up.

use std::iter::Sum;

/// How often a class was predicted, true, and both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ClassCounts {
    pub(crate) right: u64,
    pub(crate) predicted: u64,
    pub(crate) support: u64,
}

impl Sum for ClassCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, count| Self {
            right: sum.right + count.right,
            predicted: sum.predicted + count.predicted,
            support: sum.support + count.support,
        })
    }
}

/// Precision, recall and F1 of one class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ClassScores {
    pub(crate) precision: f64,
    pub(crate) recall: f64,
    pub(crate) f1: f64,
    pub(crate) support: u64,
}

impl ClassScores {
    pub(crate) fn new(counts: ClassCounts) -> Self {
        Self {
            precision: ratio(counts.right, counts.predicted),
            recall: ratio(counts.right, counts.support),
            f1: ratio(2 * counts.right, counts.predicted + counts.support),
            support: counts.support,
        }
    }
}

/// The mean of a score over the classes, each with its weight; zero where all weights are.
pub(crate) fn averaged(
    classes: &[ClassScores],
    weight: impl Fn(&ClassScores) -> f64,
    score: impl Fn(&ClassScores) -> f64,
) -> f64 {
    let weights: f64 = classes.iter().map(&weight).sum();
    if weights == 0.0 {
        return 0.0;
    }
    classes.iter().map(|class| weight(class) * score(class)).sum::<f64>() / weights
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

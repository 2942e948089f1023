//! Accuracy: the share of texts whose labels are all right.
//!
//! For one label per text this is the usual accuracy; for several it is the subset accuracy, where a text counts only if
//! every label agrees.

use crate::{Predictions, Truth};

/// Whether the predicted labels of a row are exactly the true ones.
pub(crate) fn is_right(predictions: &Predictions, row: usize) -> bool {
    match predictions.truth() {
        Truth::Single(truth) => truth[row] == predictions.most_probable(row),
        Truth::Multi(sets) => sets[row] == predictions.predicted(row),
    }
}

/// The share of drawn rows that are right.
pub(crate) fn share(correct: &[bool], weights: &[u32]) -> f64 {
    let right: u64 = correct.iter().zip(weights).map(|(&right, &w)| u64::from(right) * u64::from(w)).sum();
    right as f64 / super::total(weights) as f64
}

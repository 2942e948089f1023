//! Log-loss: the mean of `−ln p` of what was true.
//!
//! Probabilities are read as 64-bit numbers and kept within `[ε, 1 − ε]`, `ε` = 2⁻⁵², as scikit-learn 1.9 does, so that one
//! certain mistake costs 36 and not infinity. For several labels per text it is the mean binary log-loss of all labels.

use crate::{Predictions, Truth};

/// The loss of one row.
pub(crate) fn of_row(predictions: &Predictions, row: usize) -> f64 {
    let probabilities = predictions.row(row);
    match predictions.truth() {
        Truth::Single(truth) => -clipped(probabilities[truth[row]]).ln(),
        Truth::Multi(_) => {
            let losses = probabilities.iter().enumerate().map(|(class, &probability)| {
                let p = clipped(probability);
                if predictions.truth().contains(row, class) { -p.ln() } else { -(1.0 - p).ln() }
            });
            losses.sum::<f64>() / probabilities.len() as f64
        }
    }
}

fn clipped(probability: f32) -> f64 {
    f64::from(probability).clamp(f64::EPSILON, 1.0 - f64::EPSILON)
}

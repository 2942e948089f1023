//! The Brier score (1950): the mean squared distance between the probabilities and what happened.
//!
//! As in scikit-learn's `brier_score_loss`: two classes count the error of one of them (0 to 1), three and more add up the
//! errors of all classes (0 to 2). For several labels per text it is the mean over all labels (0 to 1).

use crate::Predictions;

/// The part of one row.
pub(crate) fn of_row(predictions: &Predictions, row: usize) -> f64 {
    let truth = predictions.truth();
    let sum: f64 = predictions
        .row(row)
        .iter()
        .enumerate()
        .map(|(class, &p)| (f64::from(p) - f64::from(u8::from(truth.contains(row, class)))).powi(2))
        .sum();
    match (predictions.is_multi_label(), predictions.classes()) {
        (true, classes) => sum / classes as f64,
        (false, 2) => sum / 2.0,
        (false, _) => sum,
    }
}

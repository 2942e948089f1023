//! The ROC and precision-recall curves of two classes, for drawing.

use crate::Predictions;

/// No chart shows more points than this, so none is kept.
const MOST_POINTS: usize = 400;

/// The curves of the second of two classes.
#[derive(Debug, Clone, PartialEq)]
pub struct BinaryCurves {
    /// False positive rate and true positive rate, from (0, 0) to (1, 1).
    pub roc: Vec<(f64, f64)>,
    /// Recall and precision, from the highest threshold to the lowest.
    pub precision_recall: Vec<(f64, f64)>,
}

/// The curves, if there are two classes with one label per text and both occur.
pub(crate) fn binary_curves(predictions: &Predictions) -> Option<BinaryCurves> {
    if predictions.is_multi_label() || predictions.classes() != 2 {
        return None;
    }
    let mut scored: Vec<(f32, bool)> =
        (0..predictions.rows()).map(|row| (predictions.row(row)[1], predictions.truth().contains(row, 1))).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let positives = scored.iter().filter(|(_, positive)| *positive).count();
    let negatives = scored.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    let mut curves = BinaryCurves { roc: vec![(0.0, 0.0)], precision_recall: Vec::new() };
    let (mut right, mut wrong) = (0, 0);
    for (i, &(score, positive)) in scored.iter().enumerate() {
        right += usize::from(positive);
        wrong += usize::from(!positive);
        if scored.get(i + 1).is_none_or(|next| next.0 != score) {
            let recall = right as f64 / positives as f64;
            curves.roc.push((wrong as f64 / negatives as f64, recall));
            curves.precision_recall.push((recall, right as f64 / (right + wrong) as f64));
        }
    }
    Some(BinaryCurves { roc: thinned(&curves.roc), precision_recall: thinned(&curves.precision_recall) })
}

fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let last = points.len() - 1;
    if last < MOST_POINTS {
        return points.to_vec();
    }
    (0..MOST_POINTS).map(|i| points[i * last / (MOST_POINTS - 1)]).collect()
}

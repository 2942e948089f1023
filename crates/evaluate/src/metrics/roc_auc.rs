//! Area under the ROC curve: the chance that a text of a class gets a higher probability for it than a text of another,
//! ties counting half.
//!
//! Two classes have one area. Three and more have one per class against the rest, and their plain mean (one-vs-rest macro),
//! as have several labels per text. A class that every text or no text shows has no area, and then the mean has none.

use crate::Predictions;

/// The rows in ascending order of their probability for one class.
struct Ranking {
    order: Vec<u32>,
    positive: Vec<bool>,
    /// Whether the next row has another probability.
    ends_tie: Vec<bool>,
}

impl Ranking {
    fn new(predictions: &Predictions, class: usize) -> Self {
        let score = |row: u32| predictions.row(row as usize)[class];
        let mut order: Vec<u32> = (0..predictions.rows() as u32).collect();
        order.sort_by(|&a, &b| score(a).total_cmp(&score(b)));
        let truth = predictions.truth();
        let positive = order.iter().map(|&row| truth.contains(row as usize, class)).collect();
        let ends_tie =
            (0..order.len()).map(|i| order.get(i + 1).is_none_or(|&next| score(next) != score(order[i]))).collect();
        Self { order, positive, ends_tie }
    }

    /// The area of the drawn rows, if both sides were drawn.
    fn area(&self, weights: &[u32]) -> Option<f64> {
        // Counted in halves of a pair, so that ties stay whole numbers.
        let (mut halves, mut below, mut positives) = (0_u64, 0_u64, 0_u64);
        let (mut tied_positive, mut tied_negative) = (0_u64, 0_u64);
        for ((&row, &positive), &ends_tie) in self.order.iter().zip(&self.positive).zip(&self.ends_tie) {
            let weight = u64::from(weights[row as usize]);
            if positive {
                tied_positive += weight;
            } else {
                tied_negative += weight;
            }
            if ends_tie {
                halves += tied_positive * (2 * below + tied_negative);
                below += tied_negative;
                positives += tied_positive;
                (tied_positive, tied_negative) = (0, 0);
            }
        }
        let pairs = positives * below;
        (pairs > 0).then(|| halves as f64 / (2 * pairs) as f64)
    }
}

/// The rankings of all classes, or of the second alone where there are two.
pub(crate) struct Rankings(Vec<Ranking>);

impl Rankings {
    pub(crate) fn new(predictions: &Predictions) -> Self {
        Self(classes(predictions).map(|class| Ranking::new(predictions, class)).collect())
    }

    pub(crate) fn areas(&self, weights: &[u32]) -> Vec<Option<f64>> {
        self.0.iter().map(|ranking| ranking.area(weights)).collect()
    }
}

fn classes(predictions: &Predictions) -> std::ops::Range<usize> {
    let binary = !predictions.is_multi_label() && predictions.classes() == 2;
    if binary { 1..2 } else { 0..predictions.classes() }
}

/// The mean over the classes, if all have an area.
pub(crate) fn mean_of_all(areas: &[Option<f64>]) -> Option<f64> {
    let sum: Option<f64> = areas.iter().copied().sum();
    sum.map(|sum| sum / areas.len() as f64)
}

/// The mean over the classes that have an area.
pub(crate) fn mean_of_defined(areas: &[Option<f64>]) -> Option<f64> {
    let defined: Vec<f64> = areas.iter().copied().flatten().collect();
    (!defined.is_empty()).then(|| defined.iter().sum::<f64>() / defined.len() as f64)
}

/// Which class stands in the way of an area.
pub(crate) fn reason(predictions: &Predictions) -> String {
    let (truth, rows) = (predictions.truth(), predictions.rows());
    for class in 0..predictions.classes() {
        let label = &predictions.labels()[class];
        let support = (0..rows).filter(|&row| truth.contains(row, class)).count();
        if support == 0 {
            return format!("no row is labelled `{label}`");
        }
        if support == rows {
            return format!("every row is labelled `{label}`");
        }
    }
    "every class has an area".into()
}

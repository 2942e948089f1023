//! Logistic regression with a penalty on the squares of the weights, solved to its one minimum.
//!
//! `½ ‖W‖² + c · Σ wᵢ ℓᵢ` is minimised, as scikit-learn's `LogisticRegression(class_weight="balanced")` has it: intercepts
//! are not penalised, and the classes weigh the same in sum. Two classes share one logit, more have a softmax, and
//! where a text may have several labels, each label is a question of its own (one against the rest).

use finetone_data::Target;
use finetone_model::Output;

use super::lbfgs::minimise;
use super::matrix::{Matrix, Row};
use crate::probabilities::fill;

/// Where the gradient of the mean loss counts as zero: probabilities are then settled to more digits than a report shows.
const TOLERANCE: f64 = 1e-7;

/// A fitted logistic regression.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Logistic {
    output: Output,
    /// Number of logits, K.
    logits: usize,
    /// `[width + 1, K]`: a row for each column of the matrix, then the intercepts.
    weights: Vec<f64>,
}

/// What a regression learns from: numbers of all texts, and their classes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Examples<'a> {
    /// The numbers, a row for each text.
    pub(super) matrix: &'a Matrix,
    /// The classes, one target for each text.
    pub(super) targets: &'a [Target],
    /// Number of classes.
    pub(super) classes: usize,
    /// Whether any number of classes may apply to a text.
    pub(super) multi_label: bool,
}

impl Examples<'_> {
    /// What the logits mean, and how many there are.
    fn output(&self) -> (Output, usize) {
        match (self.multi_label, self.classes) {
            (true, classes) => (Output::MultiLabel, classes),
            (false, 2) => (Output::OneLogit, 1),
            (false, classes) => (Output::Softmax, classes),
        }
    }

    /// Whether `class` is among the labels of the text `row`.
    pub(super) fn has(&self, row: usize, class: usize) -> bool {
        self.targets[row].classes().contains(&class)
    }
}

impl Logistic {
    /// Fits to the texts `rows` with regularisation `1 / c`. Where the search starts changes the time that it takes and not the
    /// result.
    pub(super) fn fit(examples: &Examples<'_>, rows: &[usize], c: f64, start: Option<&Self>) -> Self {
        let (output, logits) = examples.output();
        let objective = Objective::new(examples, rows, c);
        let zeros = || vec![0.0; (examples.matrix.width() + 1) * logits];
        let start = start.map_or_else(zeros, |start| start.weights.clone());
        let weights = minimise(start, TOLERANCE, |weights, gradient| objective.evaluate(weights, gradient));
        Self { output, logits, weights }
    }

    /// Probabilities of the classes for the texts `rows` of `matrix`, row-major `[rows, classes]`.
    pub(super) fn probabilities(&self, matrix: &Matrix, rows: impl ExactSizeIterator<Item = usize>) -> Vec<f32> {
        let classes = if self.output == Output::OneLogit { 2 } else { self.logits };
        let mut all = vec![0.0; rows.len() * classes];
        let mut logits = vec![0.0; self.logits];
        for (row, probabilities) in rows.zip(all.chunks_exact_mut(classes)) {
            fill_logits(&mut logits, &self.weights, matrix.row(row));
            fill(probabilities, &logits, self.output);
        }
        all
    }
}

/// `z = x W + b` of one row.
fn fill_logits(logits: &mut [f64], weights: &[f64], row: Row<'_>) {
    let count = logits.len();
    logits.copy_from_slice(&weights[weights.len() - count..]);
    row.for_each(|column, value| {
        let weights = &weights[column * count..][..count];
        logits.iter_mut().zip(weights).for_each(|(logit, weight)| *logit += value * weight);
    });
}

/// The function that is minimised, divided by the number of texts: its gradient then has one scale for all sizes of data.
struct Objective<'a> {
    matrix: &'a Matrix,
    rows: &'a [usize],
    output: Output,
    logits: usize,
    /// `[n, K]`: 1 where the logit's class is the truth.
    truth: Vec<f64>,
    /// `[n, K]`: weight of the row for the logit, divided by `n`. With a softmax they are the same for all logits.
    weights: Vec<f64>,
    /// Factor of the squared weights.
    penalty: f64,
}

impl<'a> Objective<'a> {
    fn new(examples: &Examples<'a>, rows: &'a [usize], c: f64) -> Self {
        let (output, logits) = examples.output();
        let n = rows.len() as f64;
        let texts = |class: usize| rows.iter().filter(|&&row| examples.has(row, class)).count() as f64;
        // Each of a logit's sides weighs half of all; each class of a softmax its share of those that occur.
        let counts: Vec<f64> = (0..examples.classes).map(texts).collect();
        let present = counts.iter().filter(|count| **count > 0.0).count() as f64;
        let (mut truth, mut weights) = (Vec::new(), Vec::new());
        for &row in rows {
            for logit in 0..logits {
                let class = if output == Output::OneLogit { 1 } else { logit };
                let is_true = examples.has(row, class);
                truth.push(f64::from(u8::from(is_true)));
                weights.push(match output {
                    Output::Softmax => {
                        let class = examples.targets[row].first().unwrap_or(0);
                        1.0 / (present * counts[class])
                    }
                    Output::OneLogit | Output::MultiLabel => {
                        let side = if is_true { counts[class] } else { n - counts[class] };
                        let sides = if counts[class] > 0.0 && counts[class] < n { 2.0 } else { 1.0 };
                        1.0 / (sides * side)
                    }
                });
            }
        }
        Self { matrix: examples.matrix, rows, output, logits, truth, weights, penalty: 1.0 / (c * n) }
    }

    /// The value at `weights`; overwrites the gradient.
    fn evaluate(&self, weights: &[f64], gradient: &mut [f64]) -> f64 {
        let slopes = &weights[..weights.len() - self.logits];
        let mut value = 0.5 * self.penalty * slopes.iter().map(|w| w * w).sum::<f64>();
        gradient.iter_mut().zip(slopes).for_each(|(g, w)| *g = self.penalty * w);
        // Intercepts are not penalised.
        gradient[slopes.len()..].fill(0.0);
        let mut change = vec![0.0; self.logits];
        for (index, &row) in self.rows.iter().enumerate() {
            let row = self.matrix.row(row);
            let range = index * self.logits..(index + 1) * self.logits;
            fill_logits(&mut change, weights, row);
            value += self.loss(&mut change, &self.truth[range.clone()], &self.weights[range]);
            add_outer(gradient, &change, row);
        }
        value
    }

    /// The loss of one row, whose logits give way to its gradient.
    fn loss(&self, logits: &mut [f64], truth: &[f64], weights: &[f64]) -> f64 {
        match self.output {
            Output::Softmax => {
                let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let log_sum = top + logits.iter().map(|z| (z - top).exp()).sum::<f64>().ln();
                let of_truth: f64 = logits.iter().zip(truth).map(|(z, t)| z * t).sum();
                let weight = weights[0];
                logits.iter_mut().zip(truth).for_each(|(z, t)| *z = weight * ((*z - log_sum).exp() - t));
                weight * (log_sum - of_truth)
            }
            Output::OneLogit | Output::MultiLabel => {
                let mut sum = 0.0;
                for ((z, truth), weight) in logits.iter_mut().zip(truth).zip(weights) {
                    // ln(1 + e^z) without overflow.
                    sum += weight * (z.max(0.0) + (-z.abs()).exp().ln_1p() - *z * truth);
                    *z = weight * (1.0 / (1.0 + (-*z).exp()) - truth);
                }
                sum
            }
        }
    }
}

/// `dW += xᵀ dz` and `db += dz` of one row.
fn add_outer(gradient: &mut [f64], change: &[f64], row: Row<'_>) {
    let count = change.len();
    let intercepts = gradient.len() - count;
    gradient[intercepts..].iter_mut().zip(change).for_each(|(g, c)| *g += c);
    row.for_each(|column, value| {
        let gradient = &mut gradient[column * count..][..count];
        gradient.iter_mut().zip(change).for_each(|(g, c)| *g += value * c);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 12 rows of two numbers whose classes overlap.
    fn small(classes: usize, multi_label: bool) -> (Matrix, Vec<Target>) {
        let values = (0..24).map(|i| ((i * 7 % 11) as f64 - 5.0) / 3.0).collect();
        let target = |row: usize| {
            if multi_label {
                Target::Classes((0..classes).filter(|c| (row + c).is_multiple_of(c + 2)).collect())
            } else {
                Target::Class(row * row % classes)
            }
        };
        (Matrix::Dense { width: 2, values }, (0..12).map(target).collect())
    }

    #[test]
    fn the_gradient_is_that_of_the_value() {
        for (classes, multi_label) in [(2, false), (4, false), (3, true)] {
            let (matrix, targets) = small(classes, multi_label);
            let examples = Examples { matrix: &matrix, targets: &targets, classes, multi_label };
            let rows: Vec<usize> = (0..11).collect();
            let objective = Objective::new(&examples, &rows, 2.0);
            let mut weights: Vec<f64> = (0..3 * objective.logits).map(|i| (i as f64 * 0.7).sin()).collect();
            let (mut gradient, mut unused) = (vec![0.0; weights.len()], vec![0.0; weights.len()]);
            objective.evaluate(&weights, &mut gradient);
            for i in 0..weights.len() {
                let at = weights[i];
                let mut value = |x: f64| {
                    weights[i] = x;
                    objective.evaluate(&weights, &mut unused)
                };
                let slope = (value(at + 1e-5) - value(at - 1e-5)) / 2e-5;
                weights[i] = at;
                assert!((slope - gradient[i]).abs() < 1e-9, "{classes} {i}: {slope} {}", gradient[i]);
            }
        }
    }

    #[test]
    fn dense_and_sparse_rows_give_the_same_model_from_any_start() {
        let (dense, targets) = small(3, false);
        let mut sparse = crate::baselines::matrix::Sparse::new(2);
        for row in 0..12 {
            let mut pairs = Vec::new();
            dense.row(row).for_each(|column, value| pairs.push((column as u32, value)));
            sparse.push(pairs.into_iter().filter(|(_, value)| *value != 0.0));
        }
        let sparse = Matrix::Sparse(sparse);
        let examples = |matrix| Examples { matrix, targets: &targets, classes: 3, multi_label: false };
        let rows: Vec<usize> = (0..12).collect();
        let one = Logistic::fit(&examples(&dense), &rows, 10.0, None);
        let start = Logistic::fit(&examples(&dense), &rows, 0.1, None);
        for other in [
            Logistic::fit(&examples(&sparse), &rows, 10.0, None),
            Logistic::fit(&examples(&dense), &rows, 10.0, Some(&start)),
        ] {
            let [ours, theirs] = [&one, &other].map(|model| model.probabilities(&dense, 0..12));
            assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-5), "{ours:?} {theirs:?}");
        }
    }

    #[test]
    fn a_class_that_never_occurs_gets_next_to_no_probability() {
        let (matrix, targets) = small(3, false);
        let examples = Examples { matrix: &matrix, targets: &targets, classes: 4, multi_label: false };
        let rows: Vec<usize> = (0..12).collect();
        let model = Logistic::fit(&examples, &rows, 1.0, None);
        assert!(model.probabilities(&matrix, 0..12).chunks_exact(4).all(|row| row[3] < 1e-3));
    }
}

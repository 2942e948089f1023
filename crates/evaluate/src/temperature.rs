//! A temperature: one number that makes a model as sure as it has reason to be.
//!
//! Logits are divided by `T`, which moves every probability and no decision
//! ([Guo, Pleiss, Sun and Weinberger 2017](https://arxiv.org/abs/1706.04599)). On probabilities that is
//!
//! ```text
//! one class for a text       p′(c) = p(c)^(1/T) / Σ_k p(k)^(1/T)
//! several labels for a text  logit p′(c) = logit p(c) / T
//! ```
//!
//! With `T > 1` a model becomes less sure. [`Temperature::fit`] finds the `T` under which labelled texts are least
//! surprising.

use crate::metric::Metric;
use crate::{EvaluateError, Predictions, Truth};

/// Texts that are added in thought, on which the model is exactly as sure as it should be. They keep the temperature of a
/// few texts near one: of ten texts it is half theirs, of a thousand hardly at all.
pub const ADDED_TEXTS: f64 = 10.0;

/// No temperature is further from one than this factor, on either side.
pub const MOST: f64 = 10.0;

/// Halvings of the range that is searched, after which it is as narrow as the numbers are fine.
const HALVINGS: usize = 60;

/// What logits are divided by; see the module.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Temperature(f64);

impl Temperature {
    /// The temperature that minimises the mean negative log-likelihood of `predictions`, which should be about texts that
    /// the model has not learnt from, and of `ADDED_TEXTS` texts more. These have the model's own probabilities as their
    /// labels: each is the mean of all texts, with the labels as likely as the model says.
    ///
    /// As a function of `1/T` that is convex, so its slope is searched for a zero by halving the range from `1/10` to 10.
    /// Where all probabilities are equal every temperature says the same, and it is one.
    pub fn fit(predictions: &Predictions) -> Self {
        let choices = Choices::of(predictions);
        if choices.slope(1.0).abs() < 1e-12 {
            return Self(1.0);
        }
        let (mut low, mut high) = (-MOST.ln(), MOST.ln());
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            let end = if choices.slope(middle.exp()) < 0.0 { &mut low } else { &mut high };
            *end = middle;
        }
        Self((-f64::midpoint(low, high)).exp())
    }

    /// One that was found before, above zero.
    pub(crate) fn of(value: f64) -> Self {
        Self(value)
    }

    /// What logits are divided by, above zero.
    pub fn value(self) -> f64 {
        self.0
    }

    /// Moves row-major probabilities `[n, C]`: rows that add up to one and still do so afterwards, or with `multi_label`
    /// independent probabilities.
    ///
    /// # Panics
    /// When the numbers do not fill rows of `classes`.
    pub fn apply(self, probabilities: &mut [f32], classes: usize, multi_label: bool) {
        let numbers = probabilities.len();
        assert!(numbers.is_multiple_of(classes), "{numbers} probabilities do not fill rows of {classes} classes");
        for row in probabilities.chunks_exact_mut(classes) {
            if multi_label {
                row.iter_mut().for_each(|p| *p = softmax(&logs(&[1.0 - *p, *p]), 1.0 / self.0)[1] as f32);
            } else {
                let moved = softmax(&logs(row), 1.0 / self.0);
                row.iter_mut().zip(moved).for_each(|(p, value)| *p = value as f32);
            }
        }
    }

    /// The predictions with moved probabilities.
    pub fn applied(self, predictions: &Predictions) -> Predictions {
        let mut probabilities = predictions.probabilities().to_vec();
        self.apply(&mut probabilities, predictions.classes(), predictions.is_multi_label());
        predictions.with_probabilities(probabilities)
    }
}

/// What a temperature changed on the texts it was fitted on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// It.
    pub temperature: Temperature,
    /// Texts that it was fitted on.
    pub texts: usize,
    /// The calibration error with `T = 1`.
    pub error_before: f64,
    /// The calibration error under the temperature.
    pub error_after: f64,
}

impl Calibration {
    /// Fits a temperature and measures both sides of it.
    ///
    /// # Errors
    /// None for valid predictions.
    pub fn fit(predictions: &Predictions) -> Result<Self, EvaluateError> {
        let temperature = Temperature::fit(predictions);
        Ok(Self {
            temperature,
            texts: predictions.rows(),
            error_before: Metric::Ece.compute(predictions)?,
            error_after: Metric::Ece.compute(&temperature.applied(predictions))?,
        })
    }
}

/// Choices of one thing among `width`: of a class for each text, or of yes or no for each label of each text.
struct Choices {
    width: usize,
    /// `ln p` of each thing, row-major.
    logs: Vec<f64>,
    /// What was right.
    truth: Vec<usize>,
    /// How much a row of the added texts weighs beside one that is there.
    added: f64,
}

impl Choices {
    fn of(predictions: &Predictions) -> Self {
        let added = ADDED_TEXTS / predictions.rows() as f64;
        if let Truth::Single(truth) = predictions.truth() {
            let logs = predictions.probabilities().chunks_exact(predictions.classes()).flat_map(logs).collect();
            return Self { width: predictions.classes(), logs, truth: truth.clone(), added };
        }
        let logs = predictions.probabilities().iter().flat_map(|&p| logs(&[1.0 - p, p])).collect();
        let decided = (0..predictions.rows()).flat_map(|row| (0..predictions.classes()).map(move |class| (row, class)));
        let truth = decided.map(|(row, class)| usize::from(predictions.truth().contains(row, class))).collect();
        Self { width: 2, logs, truth, added }
    }

    /// The slope of the negative log-likelihood over `b = 1/T`: of each row the mean of `ln p` under `softmax(b ln p)`, less
    /// that under its labels.
    fn slope(&self, b: f64) -> f64 {
        let of_row = |(logs, &truth): (&[f64], &usize)| {
            let mean = |power: f64| softmax(logs, power).iter().zip(logs).map(|(q, log)| q * log).sum::<f64>();
            (1.0 + self.added) * mean(b) - logs[truth] - self.added * mean(1.0)
        };
        self.logs.chunks_exact(self.width).zip(&self.truth).map(of_row).sum::<f64>() / self.truth.len() as f64
    }
}

/// Logarithms of probabilities. The least number of single precision stands for zero, so that each is finite.
fn logs(probabilities: &[f32]) -> Vec<f64> {
    probabilities.iter().map(|&p| f64::from(p.max(f32::MIN_POSITIVE)).ln()).collect()
}

/// `softmax(power · logs)`.
fn softmax(logs: &[f64], power: f64) -> Vec<f64> {
    let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let values: Vec<f64> = logs.iter().map(|log| (power * (log - top)).exp()).collect();
    let sum: f64 = values.iter().sum();
    values.into_iter().map(|value| value / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions(truth: Vec<usize>, probabilities: &[f32]) -> Predictions {
        let labels = vec!["no".into(), "yes".into()];
        Predictions::new(labels, Truth::Single(truth), probabilities.to_vec()).expect("valid")
    }

    /// `rows` answers of which `right` are right, all with the same confidence.
    fn sure(rows: usize, right: usize, confidence: f32) -> Predictions {
        predictions(
            (0..rows).map(|row| usize::from(row >= right)).collect(),
            &[confidence, 1.0 - confidence].repeat(rows),
        )
    }

    #[test]
    fn confidence_becomes_the_share_that_is_right() {
        let answers = sure(20_000, 16_000, 0.99);
        let moved = Temperature::fit(&answers).applied(&answers);
        assert!((moved.row(0)[0] - 0.8).abs() < 2e-3, "{:?}", moved.row(0));
        assert!(Temperature::fit(&sure(10_000, 9_900, 0.8)).value() < 0.5, "too timid");
        assert!((Temperature::fit(&sure(1_000, 900, 0.9)).value() - 1.0).abs() < 1e-6, "as it should be");
    }

    #[test]
    fn few_texts_move_little_and_none_leaves_the_range() {
        let values: Vec<f64> = [5, 50, 5_000].map(|rows| Temperature::fit(&sure(rows, rows, 0.9)).value()).to_vec();
        assert!(values[0] > values[1] && values[1] > values[2] && values[0] < 1.0, "{values:?}");
        assert!(values.iter().all(|value| *value >= 1.0 / MOST - 1e-9), "{values:?}");
        assert!((Temperature::fit(&sure(5_000, 0, 0.9)).value() - MOST).abs() < 1e-6, "always wrong");
        assert_eq!(Temperature::fit(&sure(5, 1, 0.5)).value(), 1.0, "nothing to divide");
    }

    #[test]
    fn no_decision_moves() {
        let temperature = Temperature(7.5);
        let mut rows = [0.5, 0.25, 0.25, 0.0, 1.0, 0.0, 0.3, 0.4, 0.3];
        let before: Vec<bool> = rows.windows(2).map(|pair| pair[0] < pair[1]).collect();
        temperature.apply(&mut rows, 3, false);
        assert_eq!(before, rows.windows(2).map(|pair| pair[0] < pair[1]).collect::<Vec<_>>());
        assert!(rows.chunks_exact(3).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-6), "{rows:?}");
        let mut labels = [0.0, 0.499, 0.5, 0.9, 1.0];
        temperature.apply(&mut labels, 5, true);
        assert!(labels.is_sorted() && labels[1] < 0.5 && labels[2] == 0.5, "{labels:?}");
    }
}

//! One number measured again and again: with several seeds, or on the folds of a cross-validation.
//!
//! Results of different seeds are taken as independent, and their mean has Student's t interval. Results of folds are not:
//! the training sets overlap, so the plain interval is too narrow. They have the corrected resampled t interval of Nadeau and
//! Bengio, *Inference for the Generalization Error*, Machine Learning 52 (2003), <https://doi.org/10.1023/A:1024068626366>,
//! which counts the variance of the mean as `(1/J + n_test/n_train) · s²` for J results instead of `s²/J`.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::evaluation::check_confidence;
use crate::{Estimate, EvaluateError};

/// What repeated results say together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Number of results.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation with `n − 1` in the denominator; `None` for a single result.
    pub standard_deviation: Option<f64>,
    /// The mean with its interval; `None` for a single result, which says nothing about the next one.
    pub interval: Option<Estimate>,
    /// Share of such intervals that hold the true mean.
    pub confidence: f64,
}

impl Spread {
    /// Results that do not depend on each other, such as those of different seeds: Student's t interval.
    ///
    /// # Errors
    /// No result, a result that is not finite, a confidence that is not between 0 and 1.
    pub fn of_independent(values: &[f64], confidence: f64) -> Result<Self, EvaluateError> {
        Self::new(values, 0.0, confidence)
    }

    /// Results on folds or other splits of the same rows: the corrected resampled t interval. `test_over_train` is the
    /// number of rows tested on over the number trained on: `1 / (k − 1)` for k folds, however often they are drawn.
    ///
    /// # Errors
    /// As [`Spread::of_independent`], and a `test_over_train` that is not above zero.
    pub fn of_folds(values: &[f64], test_over_train: f64, confidence: f64) -> Result<Self, EvaluateError> {
        if !(test_over_train > 0.0 && test_over_train.is_finite()) {
            return Err(EvaluateError::Option(format!("{test_over_train} is no ratio of tested to trained rows")));
        }
        Self::new(values, test_over_train, confidence)
    }

    fn new(values: &[f64], correction: f64, confidence: f64) -> Result<Self, EvaluateError> {
        if values.is_empty() {
            return Err(EvaluateError::Empty);
        }
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(EvaluateError::Option(format!("a repeated result is {value}, which has no mean")));
        }
        check_confidence(confidence)?;
        let n = values.len() as f64;
        let (mean, deviation) = (mean(values), standard_deviation(values));
        let interval = deviation.map(|deviation| {
            let student = StudentsT::new(0.0, 1.0, n - 1.0).expect("two results give a degree of freedom");
            let reach = student.inverse_cdf(0.5 + confidence / 2.0) * deviation * (1.0 / n + correction).sqrt();
            Estimate { value: mean, low: mean - reach, high: mean + reach }
        });
        Ok(Self { n: values.len(), mean, standard_deviation: deviation, interval, confidence })
    }
}

/// The mean of some values.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The standard deviation of some values with `n − 1` in the denominator; `None` for fewer than two.
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_result_has_no_spread_and_none_has_no_mean() {
        let one = Spread::of_independent(&[0.75], 0.95).expect("one result");
        assert_eq!((one.n, one.mean, one.standard_deviation, one.interval), (1, 0.75, None, None));
        assert_eq!(Spread::of_independent(&[], 0.95), Err(EvaluateError::Empty));
        assert!(Spread::of_independent(&[0.5, f64::NAN], 0.95).is_err());
        assert!(Spread::of_independent(&[0.5, 0.6], 1.0).is_err());
        assert!(Spread::of_folds(&[0.5, 0.6], 0.0, 0.95).is_err());
    }

    #[test]
    fn folds_are_less_sure_than_seeds() {
        let values = [0.70, 0.72, 0.68, 0.75, 0.71];
        let width = |spread: Spread| spread.interval.map(|interval| interval.high - interval.low).expect("an interval");
        let seeds = width(Spread::of_independent(&values, 0.95).expect("finite"));
        let folds = width(Spread::of_folds(&values, 0.25, 0.95).expect("finite"));
        // √(1/5 + 1/4) over √(1/5).
        assert!((folds / seeds - 1.5).abs() < 1e-12);
    }
}

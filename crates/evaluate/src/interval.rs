//! How sure a number is: an interval that holds the true value in 95 of 100 such tests.
//!
//! Accuracy has Wilson's score interval (1927), which stays sensible at 0, at 1 and for few rows. Every other metric has the
//! bootstrap over rows (Efron 1979): the rows are drawn anew with replacement, without stratification, and the interval
//! spans the middle 95 % of the replicates (linear interpolation between order statistics). The calibration error is the
//! exception: resampling adds to it, so its percentiles would all lie too high, and it has the reversed ("basic") interval,
//! mirrored at the estimate. An interval always includes its estimate.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

use crate::metric::Metric;
use crate::metrics::{Facts, Measures};
use crate::random::SplitMix64;

/// A value and the interval around it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The metric on the rows as they are.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Estimate {
    /// The share `right / n` with Wilson's interval, which holds the true share in `level` of such cases; nothing without rows.
    pub fn of_share(right: usize, n: usize, level: f64) -> Option<Self> {
        (n > 0).then(|| wilson(right as f64 / n as f64, n, level))
    }
}

/// How an interval was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IntervalMethod {
    /// Wilson's score interval of a share.
    Wilson,
    /// The percentiles of the bootstrap over rows.
    PercentileBootstrap,
    /// The percentiles of the bootstrap over rows, mirrored at the estimate.
    BasicBootstrap,
}

impl IntervalMethod {
    /// The method that `metric` gets.
    pub fn of(metric: &Metric) -> Self {
        match metric {
            Metric::Accuracy => Self::Wilson,
            Metric::Ece => Self::BasicBootstrap,
            _ => Self::PercentileBootstrap,
        }
    }
}

/// Wilson's score interval of a share of `n` rows.
pub(crate) fn wilson(share: f64, n: usize, confidence: f64) -> Estimate {
    let z = Normal::standard().inverse_cdf(0.5 + confidence / 2.0);
    let n = n as f64;
    let middle = (share + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let reach = (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt() * z / (1.0 + z * z / n);
    Estimate { value: share, low: (middle - reach).clamp(0.0, share), high: (middle + reach).clamp(share, 1.0) }
}

/// The replicates of every metric: one list for each, without the resamples where it is not defined.
pub(crate) struct Replicates(Vec<Vec<f64>>);

impl Replicates {
    /// Draws `resamples` times as many rows as there are; `metrics` come with the number of their class.
    pub(crate) fn draw(facts: &Facts, metrics: &[(Metric, usize)], rows: usize, resamples: usize, seed: u64) -> Self {
        let mut replicates = vec![Vec::with_capacity(resamples); metrics.len()];
        resample(rows, resamples, seed, |weights| {
            let measures: Measures = facts.measure(weights);
            for ((metric, class), values) in metrics.iter().zip(&mut replicates) {
                values.extend(measures.replicate(metric, *class));
            }
        });
        replicates.iter_mut().for_each(|values| values.sort_by(f64::total_cmp));
        Self(replicates)
    }

    /// The interval of the metric with number `index` around its estimate.
    pub(crate) fn interval(&self, index: usize, value: f64, method: IntervalMethod, confidence: f64) -> Estimate {
        let (mut low, mut high) = middle(&self.0[index], confidence);
        if method == IntervalMethod::BasicBootstrap {
            (low, high) = ((2.0 * value - high).max(0.0), 2.0 * value - low);
        }
        Estimate { value, low: low.min(value), high: high.max(value) }
    }
}

/// Draws as many rows as there are with replacement, `resamples` times, and hands over how often each was drawn.
pub(crate) fn resample(rows: usize, resamples: usize, seed: u64, mut measure: impl FnMut(&[u32])) {
    let mut random = SplitMix64::new(seed);
    let mut weights = vec![0_u32; rows];
    for _ in 0..resamples {
        weights.fill(0);
        (0..rows).for_each(|_| weights[random.below(rows)] += 1);
        measure(&weights);
    }
}

/// The ends of the middle share `confidence` of ascending replicates.
pub(crate) fn middle(replicates: &[f64], confidence: f64) -> (f64, f64) {
    let tail = (1.0 - confidence) / 2.0;
    (quantile(replicates, tail), quantile(replicates, 1.0 - tail))
}

/// The value below which the share `q` of ascending values lies, NumPy's default interpolation. Not a number if there is none.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    let place = q * (sorted.len() - 1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `statsmodels.stats.proportion.proportion_confint(k, n, method="wilson")`, also in Agresti and Coull 1998.
    #[test]
    fn wilson_is_the_textbook_interval() {
        let half = wilson(0.5, 10, 0.95);
        assert!((half.low - 0.236_593_09).abs() < 1e-7 && (half.high - 0.763_406_91).abs() < 1e-7);
        let none = wilson(0.0, 10, 0.95);
        assert!(none.low == 0.0 && (none.high - 0.277_532_8).abs() < 1e-6);
        let all = wilson(1.0, 10, 0.95);
        assert!(all.high == 1.0 && (all.low - 0.722_467_2).abs() < 1e-6);
    }

    #[test]
    fn quantiles_interpolate() {
        let values = [1.0, 2.0, 3.0, 5.0];
        assert_eq!(quantile(&values, 0.5), 2.5);
        assert_eq!(quantile(&values, 1.0), 5.0);
        assert!(quantile(&[], 0.5).is_nan());
    }
}

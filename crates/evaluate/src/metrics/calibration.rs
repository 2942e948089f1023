//! Calibration: of the decisions made with 80 % confidence, are 80 % right?
//!
//! Fifteen bins of equal width on the confidence, `[0, 1/15), [1/15, 2/15), … [14/15, 1]`, as Guo et al. 2017
//! (<https://arxiv.org/abs/1706.04599>). The confidence is the probability of the predicted class. For several labels per
//! text every label is a decision of its own, with the probability of what was decided, present or absent.

use serde::Serialize;

use crate::Predictions;

/// Number of bins.
pub const CALIBRATION_BINS: usize = 15;

/// The decisions whose confidence falls into one bin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// Least confidence of the bin.
    pub from: f64,
    /// Greatest confidence of the bin.
    pub to: f64,
    /// How many decisions fall into it.
    pub count: u64,
    /// Their mean confidence; the middle of the bin where it is empty.
    pub confidence: f64,
    /// The share of them that are right; zero where the bin is empty.
    pub accuracy: f64,
}

/// The confidence of every decision and whether it was right.
pub(crate) struct Decisions {
    per_row: usize,
    decisions: Vec<(u8, bool, f64)>,
}

impl Decisions {
    pub(crate) fn new(predictions: &Predictions) -> Self {
        let truth = predictions.truth();
        let decision = |confidence: f64, right| {
            let bin = (confidence * CALIBRATION_BINS as f64) as usize;
            (bin.min(CALIBRATION_BINS - 1) as u8, right, confidence)
        };
        let mut decisions = Vec::with_capacity(predictions.rows());
        for row in 0..predictions.rows() {
            if predictions.is_multi_label() {
                for (class, &probability) in predictions.row(row).iter().enumerate() {
                    let probability = f64::from(probability);
                    let present = predictions.predicts(row, class);
                    let confidence = if present { probability } else { 1.0 - probability };
                    let right = present == truth.contains(row, class);
                    decisions.push(decision(confidence, right));
                }
            } else {
                let class = predictions.most_probable(row);
                let right = truth.contains(row, class);
                decisions.push(decision(f64::from(predictions.row(row)[class]), right));
            }
        }
        Self { per_row: decisions.len() / predictions.rows(), decisions }
    }

    /// The bins of the drawn rows.
    pub(crate) fn bins(&self, weights: &[u32]) -> Bins {
        let mut bins = Bins([Bin::default(); CALIBRATION_BINS]);
        for (row, &weight) in self.decisions.chunks_exact(self.per_row).zip(weights) {
            for &(bin, right, confidence) in row {
                let bin = &mut bins.0[usize::from(bin)];
                bin.count += u64::from(weight);
                bin.right += u64::from(right) * u64::from(weight);
                bin.confidence += confidence * f64::from(weight);
            }
        }
        bins
    }
}

#[derive(Clone, Copy, Default)]
struct Bin {
    count: u64,
    right: u64,
    confidence: f64,
}

/// Counts and sums of the fifteen bins.
pub(crate) struct Bins([Bin; CALIBRATION_BINS]);

impl Bins {
    /// The mean distance between confidence and share of right decisions, weighted by the size of the bins.
    pub(crate) fn expected_calibration_error(&self) -> f64 {
        let count: u64 = self.0.iter().map(|bin| bin.count).sum();
        let gap: f64 = self.0.iter().map(|bin| (bin.right as f64 - bin.confidence).abs()).sum();
        gap / count as f64
    }

    pub(crate) fn reliability(&self) -> Vec<ReliabilityBin> {
        let width = 1.0 / CALIBRATION_BINS as f64;
        let edge = |i: usize| i as f64 * width;
        let bin = |(i, bin): (usize, &Bin)| {
            let count = bin.count as f64;
            let empty = bin.count == 0;
            ReliabilityBin {
                from: edge(i),
                to: if i + 1 == CALIBRATION_BINS { 1.0 } else { edge(i + 1) },
                count: bin.count,
                confidence: if empty { edge(i) + width / 2.0 } else { bin.confidence / count },
                accuracy: if empty { 0.0 } else { bin.right as f64 / count },
            }
        };
        self.0.iter().enumerate().map(bin).collect()
    }
}

/// The reliability diagram of all rows, fifteen bins.
pub(crate) fn reliability(predictions: &Predictions) -> Vec<ReliabilityBin> {
    Decisions::new(predictions).bins(&vec![1; predictions.rows()]).reliability()
}

//! The metrics, a file each, all computed from the same few facts about every row and a weight per row.
//!
//! A weight counts how often a row was drawn: all ones give the estimate, a resample gives one replicate of the bootstrap,
//! and because both take the same path an interval can not speak of another quantity than its estimate.

pub(crate) mod accuracy;
pub(crate) mod brier;
pub(crate) mod calibration;
pub(crate) mod confusion;
pub(crate) mod curves;
pub(crate) mod log_loss;
pub(crate) mod matthews;
pub(crate) mod precision_recall_f1;
pub(crate) mod roc_auc;

use crate::metric::{Average, ClassMetric, Metric};
use crate::{EvaluateError, Predictions};

use confusion::Cells;
use precision_recall_f1::{ClassScores, averaged};
use roc_auc::Rankings;

/// What every metric needs to know about the rows, worked out once.
pub(crate) struct Facts {
    cells: Cells,
    correct: Vec<bool>,
    losses: Vec<f64>,
    squares: Vec<f64>,
    decisions: calibration::Decisions,
    rankings: Option<Rankings>,
}

impl Facts {
    /// Everything, or without the sorting that only the area under the ROC curve needs.
    pub(crate) fn new(predictions: &Predictions, with_rankings: bool) -> Self {
        let rows = 0..predictions.rows();
        Self {
            cells: Cells::new(predictions),
            correct: rows.clone().map(|row| accuracy::is_right(predictions, row)).collect(),
            losses: rows.clone().map(|row| log_loss::of_row(predictions, row)).collect(),
            squares: rows.map(|row| brier::of_row(predictions, row)).collect(),
            decisions: calibration::Decisions::new(predictions),
            rankings: with_rankings.then(|| Rankings::new(predictions)),
        }
    }

    /// All metrics of the rows, each counted as often as its weight says; the weights are not all zero.
    pub(crate) fn measure(&self, weights: &[u32]) -> Measures {
        let table = self.cells.count(weights);
        Measures {
            accuracy: accuracy::share(&self.correct, weights),
            log_loss: weighted_mean(&self.losses, weights),
            brier: weighted_mean(&self.squares, weights),
            ece: self.decisions.bins(weights).expected_calibration_error(),
            mcc: table.square().map(matthews::correlation),
            roc_auc: self.rankings.as_ref().map(|r| r.areas(weights)).unwrap_or_default(),
            scores: table.class_counts().into_iter().map(ClassScores::new).collect(),
            micro: ClassScores::new(table.class_counts().into_iter().sum()),
        }
    }
}

/// The value of every metric on one sample.
pub(crate) struct Measures {
    accuracy: f64,
    log_loss: f64,
    brier: f64,
    ece: f64,
    mcc: Option<f64>,
    /// One for two classes, otherwise one per class.
    roc_auc: Vec<Option<f64>>,
    scores: Vec<ClassScores>,
    micro: ClassScores,
}

impl Measures {
    /// The value of `metric`, of class number `class` where it is about a class; `None` where it is not defined.
    pub(crate) fn value(&self, metric: &Metric, class: usize) -> Option<f64> {
        Some(match metric {
            Metric::Loss | Metric::LogLoss => self.log_loss,
            Metric::Accuracy => self.accuracy,
            Metric::Precision(average) => self.averaged(*average, |scores| scores.precision),
            Metric::Recall(average) => self.averaged(*average, |scores| scores.recall),
            Metric::F1(average) => self.averaged(*average, |scores| scores.f1),
            Metric::RocAuc => return roc_auc::mean_of_all(&self.roc_auc),
            Metric::Ece => self.ece,
            Metric::Brier => self.brier,
            Metric::Mcc => return self.mcc,
            Metric::Class(ClassMetric::Precision, _) => self.scores[class].precision,
            Metric::Class(ClassMetric::Recall, _) => self.scores[class].recall,
            Metric::Class(ClassMetric::F1, _) => self.scores[class].f1,
            Metric::Class(ClassMetric::RocAuc, _) => {
                return self.roc_auc[class.min(self.roc_auc.len() - 1)];
            }
        })
    }

    /// As [`Measures::value`], except that the mean over classes leaves out a class which a resample happens to miss.
    pub(crate) fn replicate(&self, metric: &Metric, class: usize) -> Option<f64> {
        match metric {
            Metric::RocAuc => roc_auc::mean_of_defined(&self.roc_auc),
            other => self.value(other, class),
        }
    }

    fn averaged(&self, average: Average, score: impl Fn(&ClassScores) -> f64) -> f64 {
        match average {
            Average::Micro => score(&self.micro),
            Average::Macro => averaged(&self.scores, |_| 1.0, score),
            Average::Weighted => averaged(&self.scores, |scores| scores.support as f64, score),
        }
    }
}

/// One metric on all rows, without intervals.
pub(crate) fn compute(predictions: &Predictions, metric: &Metric) -> Result<f64, EvaluateError> {
    if let (Metric::Loss, Some(loss)) = (metric, predictions.loss()) {
        return Ok(loss);
    }
    let class = metric.class_index(predictions.labels())?;
    let ranked = matches!(metric, Metric::RocAuc | Metric::Class(ClassMetric::RocAuc, _));
    let measures = Facts::new(predictions, ranked).measure(&vec![1; predictions.rows()]);
    measures.value(metric, class).ok_or_else(|| EvaluateError::Undefined {
        metric: metric.to_string(),
        reason: undefined_reason(predictions, metric),
    })
}

/// Why a metric has no value on these rows.
pub(crate) fn undefined_reason(predictions: &Predictions, metric: &Metric) -> String {
    match metric {
        Metric::Mcc => "several labels per text have no square confusion matrix".into(),
        _ => roc_auc::reason(predictions),
    }
}

fn weighted_mean(values: &[f64], weights: &[u32]) -> f64 {
    let sum: f64 = values.iter().zip(weights).map(|(value, &weight)| value * f64::from(weight)).sum();
    sum / total(weights) as f64
}

/// How many rows were drawn, with repetition.
pub(crate) fn total(weights: &[u32]) -> u64 {
    weights.iter().map(|&weight| u64::from(weight)).sum()
}

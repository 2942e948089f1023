//! Metrics with intervals and the report that shows them.
//!
//! Numbers go in, a report comes out: this crate knows no model and no data file. [`Predictions`] holds what a model said
//! about texts whose labels are known; [`Evaluation`] measures it, every number with an interval; [`Metric`] is one of those
//! numbers by its name, for choosing a checkpoint; and a [`Report`] shows evaluations to a person as HTML, Markdown or JSON.

mod error;
mod evaluation;
mod interval;
mod metric;
mod metrics;
mod predictions;
mod random;
mod report;

pub use error::EvaluateError;
pub use evaluation::{Evaluation, EvaluationOptions};
pub use interval::{Estimate, IntervalMethod};
pub use metric::{Average, ClassMetric, Metric};
pub use metrics::calibration::{CALIBRATION_BINS, ReliabilityBin};
pub use metrics::confusion::Confusion;
pub use metrics::curves::BinaryCurves;
pub use predictions::{MULTI_LABEL_THRESHOLD, Predictions, Truth};
pub use report::{Baseline, Curve, NamedEvaluation, Report, Section, Verdict, WorstError, verdict};

//! Metrics with intervals and the report that shows them.
//!
//! Numbers go in, a report comes out: this crate knows no model and no data file. [`Predictions`] holds what a model said
//! about texts whose labels are known; [`Evaluation`] measures it, every number with an interval; [`Metric`] is one of those
//! numbers by its name, for choosing a checkpoint; a [`Comparison`] says which of two models is better and whether that is more
//! than chance, a [`Spread`] what several seeds or folds say together; a [`History`] says what the curves of a training
//! show; and a [`Report`] shows evaluations to a person as HTML, Markdown or JSON. [`Drift`], [`FallDetector`] and
//! [`expected_accuracy`] judge a model on texts that came after its training.
//!
//! ```
//! use finetone_evaluate::{Evaluation, EvaluationOptions, Metric, Predictions, Truth};
//!
//! let labels = vec!["negative".to_owned(), "positive".to_owned()];
//! let truth = Truth::Single(vec![0, 1, 1, 0]);
//! let probabilities = vec![0.9, 0.1, 0.2, 0.8, 0.6, 0.4, 0.7, 0.3];
//! let predictions = Predictions::new(labels, truth, probabilities)?;
//!
//! let metric: Metric = "accuracy".parse()?;
//! assert_eq!(metric.compute(&predictions)?, 0.75);
//!
//! let evaluation = Evaluation::new(&predictions, &EvaluationOptions::default())?;
//! assert!(evaluation.accuracy().low < 0.5, "four texts say little");
//! # Ok::<(), finetone_evaluate::EvaluateError>(())
//! ```

mod abstention;
mod comparison;
mod decision;
mod drift;
mod error;
mod evaluation;
mod expected_accuracy;
mod fall;
mod history;
mod interpolation;
mod interval;
mod label_errors;
mod ladder;
mod metric;
mod metrics;
mod predictions;
mod random;
mod repeats;
mod report;
mod spread;
mod study;
mod temperature;
mod worth_labelling;

pub use abstention::{Abstention, Aim, Answered, RiskCoverage};
pub use comparison::{Comparison, Difference, mcnemar};
pub use decision::{DecisionRule, estimate_prior};
pub use drift::{DRIFT_LEVEL, Drift, DriftFinding, DriftKind, DriftSample, FreshnessScores};
pub use error::EvaluateError;
pub use evaluation::{Evaluation, EvaluationOptions};
pub use expected_accuracy::expected_accuracy;
pub use fall::{FALSE_ALARMS, Fall, FallDetector};
pub use history::{Curve, Finding, History};
pub use interpolation::{Interpolation, InterpolationFit, Vote};
pub use interval::{Estimate, IntervalMethod};
pub use label_errors::{LabelErrors, Suspect, by_margin};
pub use ladder::{Answers, Attempt, Ladder, Rung, Standing};
pub use metric::{Average, ClassMetric, Metric};
pub use metrics::calibration::{CALIBRATION_BINS, ReliabilityBin};
pub use metrics::confusion::Confusion;
pub use metrics::curves::BinaryCurves;
pub use predictions::{MULTI_LABEL_THRESHOLD, Predictions, Truth, confidence, most_probable};
pub use repeats::{CrossValidation, RepeatedMetric, Repeats};
pub use report::{
    Axis, Baseline, Cell, Chart, Disagreement, HardText, HardTexts, Mistake, NamedComparison, NamedEvaluation, Other,
    Page, PageSection, PageTable, Panel, ParallelAxes, Report, Said, Section, Thread, Verdict, Why, WhyPiece, WhyTurn,
    WorstError, p_in_words, verdict,
};
pub use spread::{Spread, standard_deviation};
pub use study::{Candidate, Published, Study, Training, Variant, choose};
pub use temperature::{Calibration, Temperature};
pub use worth_labelling::{far_apart, least_certain, margins};

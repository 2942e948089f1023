//! A metric by its name, as recipes and flags write it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::report::quoted;
use crate::{EvaluateError, Predictions, metrics};

/// How the scores of several classes become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Average {
    /// The plain mean over the classes: rare classes count as much as frequent ones.
    Macro,
    /// The mean weighted by how often each class is true.
    Weighted,
    /// The score of the counts of all classes added up; for one label per text this is the accuracy.
    Micro,
}

/// A metric that every class has for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClassMetric {
    /// Of the texts given this class, the share that have it.
    Precision,
    /// Of the texts that have this class, the share that were given it.
    Recall,
    /// The harmonic mean of precision and recall.
    F1,
    /// Area under the ROC curve of this class against the rest.
    RocAuc,
}

/// A number that says how good predictions are. The default is macro F1. It is written and read by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Metric {
    /// What training minimises, if the predictions carry it, otherwise the log-loss.
    Loss,
    /// Mean of `−ln p` of the truth.
    LogLoss,
    /// Share of texts whose labels are all right.
    Accuracy,
    /// Averaged precision.
    Precision(Average),
    /// Averaged recall.
    Recall(Average),
    /// Averaged F1.
    F1(Average),
    /// Area under the ROC curve; the mean over the classes if there are more than two.
    RocAuc,
    /// Expected calibration error.
    Ece,
    /// Brier score.
    Brier,
    /// Matthews correlation coefficient.
    Mcc,
    /// A metric of the class of this name, such as `f1.negative`.
    Class(ClassMetric, String),
}

impl Default for Metric {
    fn default() -> Self {
        Self::F1(Average::Macro)
    }
}

impl Metric {
    /// Every name without a class, most usual first. Those of a class are `f1.<class>`, `precision.<class>`,
    /// `recall.<class>` and `roc_auc.<class>`.
    pub const NAMES: &[&str] = &[
        "f1_macro",
        "f1_weighted",
        "f1_micro",
        "accuracy",
        "loss",
        "log_loss",
        "roc_auc",
        "precision_macro",
        "precision_weighted",
        "precision_micro",
        "recall_macro",
        "recall_weighted",
        "recall_micro",
        "ece",
        "brier",
        "mcc",
    ];

    /// What people call it within a sentence, such as `macro F1` or `recall of “positive”`.
    pub fn title(&self) -> String {
        match self {
            Self::Loss => "loss".into(),
            Self::LogLoss => "log-loss".into(),
            Self::Accuracy => "accuracy".into(),
            Self::Precision(average) => format!("{average} precision"),
            Self::Recall(average) => format!("{average} recall"),
            Self::F1(average) => format!("{average} F1"),
            Self::RocAuc => ClassMetric::RocAuc.title().into(),
            Self::Ece => "calibration error".into(),
            Self::Brier => "Brier score".into(),
            Self::Mcc => "Matthews correlation".into(),
            Self::Class(metric, class) => format!("{} of {}", metric.title(), quoted(class)),
        }
    }

    /// Whether a greater value is a better one: not for losses and calibration errors.
    pub fn higher_is_better(&self) -> bool {
        !matches!(self, Self::Loss | Self::LogLoss | Self::Ece | Self::Brier)
    }

    /// Whether `candidate` is better than `best`; never if it is not a number.
    pub fn is_better(&self, candidate: f64, best: f64) -> bool {
        if self.higher_is_better() { candidate > best } else { candidate < best }
    }

    /// The value on these predictions, without an interval: quick enough for every evaluation during training.
    ///
    /// # Errors
    /// [`EvaluateError::UnknownClass`] if it is about a class that the predictions do not have, and
    /// [`EvaluateError::Undefined`] if it has no value on these rows, as the area under the ROC curve when a class is missing.
    pub fn compute(&self, predictions: &Predictions) -> Result<f64, EvaluateError> {
        metrics::compute(predictions, self)
    }

    /// Refuses a metric about a class that is not among `labels`, before any training has been paid for.
    ///
    /// # Errors
    /// [`EvaluateError::UnknownClass`].
    pub fn check(&self, labels: &[String]) -> Result<(), EvaluateError> {
        self.class_index(labels).map(|_| ())
    }

    /// Number of the class it is about, zero for a metric about all.
    pub(crate) fn class_index(&self, labels: &[String]) -> Result<usize, EvaluateError> {
        let Self::Class(_, class) = self else { return Ok(0) };
        labels.iter().position(|label| label == class).ok_or_else(|| EvaluateError::UnknownClass {
            metric: self.to_string(),
            class: class.clone(),
            known: labels.to_vec(),
        })
    }

    /// Every metric that an evaluation reports, in the order of its output.
    pub(crate) fn reported(predictions: &Predictions) -> Vec<Self> {
        use Average::{Macro, Micro, Weighted};
        let multi_label = predictions.is_multi_label();
        let averages: &[Average] = if multi_label { &[Macro, Weighted, Micro] } else { &[Macro, Weighted] };
        let mut metrics = vec![Self::Accuracy];
        for family in [Self::F1, Self::Precision, Self::Recall] {
            metrics.extend(averages.iter().map(|&average| family(average)));
        }
        metrics.extend([Self::LogLoss, Self::RocAuc, Self::Ece, Self::Brier]);
        if !multi_label {
            metrics.push(Self::Mcc);
        }
        let mut class_metrics = vec![ClassMetric::F1, ClassMetric::Precision, ClassMetric::Recall];
        if multi_label || predictions.classes() > 2 {
            class_metrics.push(ClassMetric::RocAuc);
        }
        for metric in class_metrics {
            let labels = predictions.labels().iter();
            metrics.extend(labels.map(|label| Self::Class(metric, label.clone())));
        }
        metrics
    }
}

impl ClassMetric {
    /// Its name before the dot.
    pub fn name(self) -> &'static str {
        match self {
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::F1 => "f1",
            Self::RocAuc => "roc_auc",
        }
    }

    /// What people call it.
    fn title(self) -> &'static str {
        match self {
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::F1 => "F1",
            Self::RocAuc => "ROC AUC",
        }
    }

    /// Its name in JSON, where the values of the classes stand beside those of the mean.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::RocAuc => "roc_auc_by_class",
            other => other.name(),
        }
    }
}

impl fmt::Display for Average {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Macro => "macro",
            Self::Weighted => "weighted",
            Self::Micro => "micro",
        })
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loss => f.write_str("loss"),
            Self::LogLoss => f.write_str("log_loss"),
            Self::Accuracy => f.write_str("accuracy"),
            Self::Precision(average) => write!(f, "precision_{average}"),
            Self::Recall(average) => write!(f, "recall_{average}"),
            Self::F1(average) => write!(f, "f1_{average}"),
            Self::RocAuc => f.write_str("roc_auc"),
            Self::Ece => f.write_str("ece"),
            Self::Brier => f.write_str("brier"),
            Self::Mcc => f.write_str("mcc"),
            Self::Class(metric, class) => write!(f, "{}.{class}", metric.name()),
        }
    }
}

impl FromStr for Metric {
    type Err = EvaluateError;

    fn from_str(name: &str) -> Result<Self, EvaluateError> {
        let unknown = || EvaluateError::UnknownMetric { name: name.into(), nearest: nearest(name) };
        if let Some((metric, class)) = name.split_once('.') {
            use ClassMetric::{F1, Precision, Recall, RocAuc};
            let metric = [F1, Precision, Recall, RocAuc].into_iter().find(|m| m.name() == metric);
            return match metric {
                Some(metric) if !class.is_empty() => Ok(Self::Class(metric, class.into())),
                _ => Err(unknown()),
            };
        }
        let plain = [Self::Loss, Self::LogLoss, Self::Accuracy, Self::RocAuc, Self::Ece, Self::Brier, Self::Mcc];
        let averaged = [Average::Macro, Average::Weighted, Average::Micro]
            .into_iter()
            .flat_map(|average| [Self::Precision(average), Self::Recall(average), Self::F1(average)]);
        plain.into_iter().chain(averaged).find(|m| m.to_string() == name).ok_or_else(unknown)
    }
}

impl TryFrom<String> for Metric {
    type Error = EvaluateError;

    fn try_from(name: String) -> Result<Self, EvaluateError> {
        name.parse()
    }
}

impl From<Metric> for String {
    fn from(metric: Metric) -> Self {
        metric.to_string()
    }
}

fn nearest(name: &str) -> Option<String> {
    let name = name.to_lowercase().replace('-', "_");
    Metric::NAMES
        .iter()
        .map(|known| (strsim::jaro_winkler(&name, known), *known))
        .filter(|(similarity, _)| *similarity > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Truth;

    #[test]
    fn every_name_reads_back_as_itself() {
        let per_class = ["f1.so so", "precision.a.b", "recall.x", "roc_auc.x"];
        for name in Metric::NAMES.iter().chain(&per_class) {
            let metric: Metric = name.parse().expect(name);
            assert_eq!(metric.to_string(), *name);
            assert_eq!(serde_json::to_string(&metric).expect("a string"), format!("\"{name}\""));
            assert_eq!(serde_json::from_str::<Metric>(&format!("\"{name}\"")).expect(name), metric);
        }
        assert_eq!(Metric::default().to_string(), "f1_macro");
        assert!("f1.".parse::<Metric>().is_err());
    }

    #[test]
    fn people_have_names_of_their_own() {
        let title = |name: &str| name.parse::<Metric>().expect(name).title();
        assert_eq!([title("f1_macro"), title("recall_weighted")], ["macro F1", "weighted recall"]);
        assert_eq!([title("roc_auc.a.b"), title("ece")], ["ROC AUC of “a.b”", "calibration error"]);
    }

    #[test]
    fn a_misspelt_name_gets_its_neighbour() {
        let hint = |name: &str| name.parse::<Metric>().expect_err(name).hint().expect("a hint");
        assert_eq!(hint("f1-macro"), "did you mean `f1_macro`?");
        assert_eq!(hint("acuracy"), "did you mean `accuracy`?");
        assert!(hint("zzz").starts_with("known metrics: `f1_macro`, "));
    }

    #[test]
    fn losses_are_better_when_they_are_smaller() {
        assert!(Metric::LogLoss.is_better(0.1, 0.2) && !Metric::Accuracy.is_better(0.1, 0.2));
        assert!(!Metric::LogLoss.is_better(f64::NAN, 0.2) && !Metric::Mcc.is_better(f64::NAN, 0.2));
    }

    #[test]
    fn what_has_no_value_says_why() {
        let labels = vec!["bad".to_owned(), "good".to_owned()];
        let predictions = Predictions::new(labels, Truth::Single(vec![0, 0]), vec![0.5; 4]).expect("valid");
        let error = Metric::RocAuc.compute(&predictions).expect_err("one class");
        assert_eq!(error.to_string(), "`roc_auc` is not defined here: every row is labelled `bad`");
        let error = Metric::Class(ClassMetric::F1, "goud".into()).compute(&predictions);
        let hint = error.expect_err("no such class").hint();
        assert_eq!(hint.as_deref(), Some("known labels: `bad`, `good`"));
        let with_loss = predictions.with_loss(0.25);
        assert_eq!(Metric::Loss.compute(&with_loss), Ok(0.25));
    }
}

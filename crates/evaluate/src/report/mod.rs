//! The report of a run: how good the model is, how sure that is, and where it fails, for a person to read.
//!
//! The caller gives facts and evaluations, the report puts them into words, tables and charts. The HTML page is one file
//! that loads nothing from anywhere, and everything that came from a user is escaped in it.

mod chart;
mod comparison;
mod confusion;
mod hard_texts;
mod html;
mod ladder;
mod markdown;
mod page;
mod parallel;
mod repeats;
mod training;
mod verdict;
mod why;
mod words;

use serde::{Deserialize, Serialize};

use crate::{
    Answered, Average, CrossValidation, EvaluateError, Evaluation, History, Ladder, Metric, Predictions, Repeats, Truth,
};

pub use comparison::{Disagreement, NamedComparison};
pub use hard_texts::{HardText, HardTexts, Mistake, Other, Panel, Said};
pub(crate) use html::study_page;
pub use page::{Cell, Chart, Page, PageSection, PageTable};
pub use parallel::{Axis, ParallelAxes, Thread};
pub(crate) use verdict::of_100;
pub use verdict::{Verdict, verdict};
pub use why::{Why, WhyPiece, WhyTurn};
pub use words::p_in_words;
pub(crate) use words::{percent, quoted};

/// Everything that the report shows.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// The headline, such as the name of the run.
    pub title: String,
    /// How each set was predicted. The verdict is about the one called `test`, otherwise about the last.
    pub evaluations: Vec<NamedEvaluation>,
    /// Two models side by side. Where there are, the verdict is about their difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<NamedComparison>,
    /// What the folds of a cross-validation found, before this model was trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_validation: Option<CrossValidation>,
    /// What several seeds reach, of which this model is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seeds: Option<Repeats>,
    /// The model beside simpler ways to answer the same texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ladder: Option<Ladder>,
    /// What the reader should know before trusting the numbers.
    pub notices: Vec<String>,
    /// The wrong predictions that cost most, worst first, on the texts that the verdict is about.
    pub worst_errors: Vec<WorstError>,
    /// What went on during training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
    /// Facts about the data.
    pub data: Vec<Section>,
    /// Facts about the run: model, settings, time.
    pub run: Vec<Section>,
}

/// The evaluation of one set of texts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NamedEvaluation {
    /// `validation`, `test`, or what the caller calls it.
    pub name: String,
    /// The numbers.
    pub evaluation: Evaluation,
    /// What no model at all would reach on the same texts.
    pub baseline: Option<Baseline>,
    /// What becomes of the texts where the model leaves some to a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered: Option<Answered>,
}

impl NamedEvaluation {
    /// An evaluation with the baseline of its own texts.
    ///
    /// # Errors
    /// None for predictions that were evaluated.
    pub fn new(
        name: impl Into<String>,
        predictions: &Predictions,
        evaluation: Evaluation,
    ) -> Result<Self, EvaluateError> {
        let baseline = Some(Baseline::most_frequent(predictions)?);
        Ok(Self { name: name.into(), evaluation, baseline, answered: None })
    }
}

/// What always giving the same answer would reach.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Baseline {
    /// The answer: the most frequent class, or the most frequent set of labels.
    pub answer: String,
    /// Its accuracy.
    pub accuracy: f64,
    /// Its macro F1.
    pub f1_macro: f64,
}

impl Baseline {
    /// Always the most frequent answer of these texts; of equally frequent ones the first in the order of the classes.
    ///
    /// # Errors
    /// None for valid predictions.
    pub fn most_frequent(predictions: &Predictions) -> Result<Self, EvaluateError> {
        let mut answers: Vec<Vec<usize>> = (0..predictions.rows()).map(|row| predictions.true_classes(row)).collect();
        answers.sort();
        let runs = answers.chunk_by(|a, b| a == b);
        // `max_by_key` would keep the last of equals.
        let most = runs.rev().max_by_key(|run| run.len()).map(|run| run[0].clone());
        let answer = most.unwrap_or_default();
        let row = (0..predictions.classes()).map(|c| f32::from(u8::from(answer.contains(&c))));
        let row: Vec<f32> = row.collect();
        let constant = Predictions::new(
            predictions.labels().to_vec(),
            predictions.truth().clone(),
            row.repeat(predictions.rows()),
        )?;
        Ok(Self {
            answer: names(predictions, &answer),
            accuracy: Metric::Accuracy.compute(&constant)?,
            f1_macro: Metric::F1(Average::Macro).compute(&constant)?,
        })
    }
}

/// Facts that belong together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// What they are about.
    pub title: String,
    /// Name and value of each.
    pub facts: Vec<(String, String)>,
}

impl Section {
    /// A section without facts.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), facts: Vec::new() }
    }

    /// Adds a fact.
    pub fn fact(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.facts.push((name.into(), value.to_string()));
        self
    }
}

/// A wrong prediction with its text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorstError {
    /// Line of the text in its file.
    pub line: u64,
    /// The text.
    pub text: String,
    /// The label or labels that people gave.
    pub truth: String,
    /// The label or labels that the model gave.
    pub predicted: String,
    /// Probability of what was predicted; for several labels, of the decision that was most wrong.
    pub confidence: f64,
    /// Its log-loss in nats.
    pub loss: f64,
    /// What decided, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
}

impl WorstError {
    /// The wrong predictions that cost most, at most `limit`, worst first. `source` gives line and text of a row.
    pub fn rank(predictions: &Predictions, limit: usize, source: impl Fn(usize) -> (u64, String)) -> Vec<Self> {
        let mut wrong: Vec<(f64, usize)> = (0..predictions.rows())
            .filter(|&row| !predictions.is_right(row))
            .map(|row| (crate::metrics::log_loss::of_row(predictions, row), row))
            .collect();
        wrong.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        wrong.truncate(limit);
        let error = |(loss, row): (f64, usize)| {
            let (line, text) = source(row);
            Self {
                line,
                text,
                truth: names(predictions, &predictions.true_classes(row)),
                predicted: names(predictions, &predictions.predicted(row)),
                confidence: confidence(predictions, row),
                loss,
                why: None,
            }
        };
        wrong.into_iter().map(error).collect()
    }
}

fn confidence(predictions: &Predictions, row: usize) -> f64 {
    let probabilities = predictions.row(row);
    let Truth::Multi(_) = predictions.truth() else {
        return f64::from(probabilities[predictions.most_probable(row)]);
    };
    let wrong =
        (0..probabilities.len()).filter(|&c| predictions.predicts(row, c) != predictions.truth().contains(row, c));
    let decided = wrong.map(|c| f64::from(probabilities[c])).map(|p| if p < 0.5 { 1.0 - p } else { p });
    decided.fold(0.0, f64::max)
}

fn names(predictions: &Predictions, classes: &[usize]) -> String {
    if classes.is_empty() {
        return "no label".into();
    }
    let names: Vec<&str> = classes.iter().map(|&c| predictions.labels()[c].as_str()).collect();
    names.join(", ")
}

impl Report {
    /// The evaluation that the verdict is about: the one called `test`, otherwise the last.
    pub fn headline(&self) -> Option<&NamedEvaluation> {
        self.evaluations.iter().find(|e| e.name == "test").or(self.evaluations.last())
    }

    /// What the report says first: of two models which is better, otherwise how good the model is.
    pub fn verdict(&self) -> Option<Verdict> {
        self.comparison.as_ref().map(NamedComparison::verdict).or_else(|| self.headline().map(verdict))
    }

    /// One self-contained HTML page.
    ///
    /// # Errors
    /// [`EvaluateError::Render`] if the template fails, which no content should bring about.
    pub fn to_html(&self) -> Result<String, EvaluateError> {
        html::page(self)
    }

    /// The report as Markdown, without charts.
    pub fn to_markdown(&self) -> String {
        markdown::page(self)
    }

    /// The report as JSON, indented; keys are always in the same order.
    ///
    /// # Errors
    /// [`EvaluateError::Render`] if serialisation fails, which no content should bring about.
    pub fn to_json(&self) -> Result<String, EvaluateError> {
        serde_json::to_string_pretty(self).map_err(|error| EvaluateError::Render(error.to_string()))
    }
}

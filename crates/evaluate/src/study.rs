//! A study: two ways to a model of the same texts over several seeds, and what a ladder of baselines reaches, on one test.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::report::of_100;
use crate::{
    CrossValidation, Curve, EvaluateError, Evaluation, HardTexts, Ladder, Metric, NamedComparison, NamedEvaluation,
    RepeatedMetric, Repeats, Rung, Section, Verdict,
};

/// Below this many texts it must be said what one text weighs.
const FEW_TEXTS: usize = 200;

/// Everything that the report of a study shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    /// The headline of the page.
    pub title: String,
    /// The variant that starts from a pretrained model.
    pub finetuned: Variant,
    /// The variant that starts from nothing.
    pub scratch: Variant,
    /// What is made in seconds, the simplest first.
    pub ladder: Vec<Rung>,
    /// The ways of fine-tuning that were tried on folds of the training texts; at least one.
    pub candidates: Vec<Candidate>,
    /// The number of the one that the fine-tuned variant is, see [`choose`].
    pub chosen: usize,
    /// That candidate beside the baselines in the same folds: many more texts than a small test file has.
    pub out_of_fold: Ladder,
    /// Where the fine-tuned variant goes wrong, and what the others say there: on the test texts, and in the folds.
    pub hard_texts: Vec<HardTexts>,
    /// The fine-tuned model against the one from scratch, and against the best baseline.
    pub comparisons: Vec<NamedComparison>,
    /// What others report.
    pub published: Vec<Published>,
    /// What the reader should know before trusting the numbers.
    pub notices: Vec<String>,
    /// Facts about data, settings and machine.
    pub facts: Vec<Section>,
}

/// A way of fine-tuning that was tried on folds of the training texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// What it is called.
    pub name: String,
    /// The settings in which it differs from the recipe.
    pub detail: String,
    /// What the folds say.
    pub cross_validation: CrossValidation,
}

/// The number of the candidate with the best macro F1 over all rows of the training file, each judged by a model that had not
/// seen it; of equals the first. With a rare class the mean over folds would hang on a handful of rows in each of them.
pub fn choose(candidates: &[Candidate]) -> usize {
    let f1 = |number: usize| candidates[number].cross_validation.evaluation.f1_macro().value;
    (0..candidates.len()).reduce(|best, other| if f1(other) > f1(best) { other } else { best }).unwrap_or(0)
}

/// One way to a model, with several seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// What it is called, such as `fine-tuned`.
    pub name: String,
    /// The model it starts from.
    pub model: String,
    /// Numbers in the model.
    pub parameters: usize,
    /// What the seeds reach on the test texts.
    pub repeats: Repeats,
    /// The seed that did best on the validation texts, by its number; the first where there are none.
    pub kept: usize,
    /// That seed on the test texts.
    pub evaluation: NamedEvaluation,
    /// How each seed was trained.
    pub training: Vec<Training>,
}

/// How one seed was trained.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Training {
    /// Such as `seed 3`.
    pub name: String,
    /// Optimiser steps.
    pub steps: u64,
    /// The step whose weights are the model.
    pub best_step: u64,
    /// Value of the metric that chose the step, on the validation texts.
    pub validation: Option<f64>,
    /// Tokens trained on.
    pub tokens: u64,
    /// Seconds, of the process that finished it.
    pub seconds: f64,
    /// Tokens trained on in each of these seconds.
    pub tokens_per_second: f64,
    /// Losses and metrics over the steps.
    pub curves: Vec<Curve>,
}

impl Training {
    /// The curve that is logged as `key`.
    pub fn curve(&self, key: &str) -> Option<&Curve> {
        self.curves.iter().find(|curve| curve.key == key)
    }
}

/// Results of another study.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// What it is, such as `GPT-2, fine-tuned`.
    pub name: String,
    /// What it reached.
    pub values: Vec<(Metric, f64)>,
}

impl Variant {
    /// A metric over the seeds.
    pub fn get(&self, metric: &Metric) -> Option<&RepeatedMetric> {
        self.repeats.get(metric)
    }

    fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("model".into(), json!(self.model));
        object.insert("parameters".into(), json!(self.parameters));
        object.extend(self.repeats.to_json());
        object.insert("kept".into(), json!(self.training[self.kept].name));
        object.insert("evaluation".into(), self.evaluation.evaluation.to_json());
        object.insert("training".into(), json!(self.training));
        Value::Object(object)
    }
}

impl Serialize for Study {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let published = |one: &Published| {
            let values: Map<String, Value> =
                one.values.iter().map(|(metric, value)| (metric.to_string(), json!(value))).collect();
            (one.name.clone(), Value::Object(values))
        };
        let candidate = |(number, one): (usize, &Candidate)| {
            let f1_macro = one.cross_validation.evaluation.f1_macro().value;
            json!({
                "name": one.name,
                "settings": one.detail,
                "chosen": number == self.chosen,
                "f1_macro": f1_macro,
                "cross_validation": one.cross_validation,
            })
        };
        let whole = json!({
            "title": self.title,
            "verdict": self.verdict().headline,
            "finetuned": self.finetuned.to_json(),
            "scratch": self.scratch.to_json(),
            "ladder": self.ladder.iter().map(|rung| (rung.key.to_owned(), rung.to_json())).collect::<Map<String, Value>>(),
            "candidates": self.candidates.iter().enumerate().map(candidate).collect::<Vec<_>>(),
            "cross_validation": self.cross_validation(),
            "out_of_fold": self.out_of_fold,
            "hard_texts": self.hard_texts,
            "comparisons": self.comparisons,
            "published": self.published.iter().map(published).collect::<Map<String, Value>>(),
            "notices": self.notices,
            "facts": self.facts,
        });
        whole.serialize(serializer)
    }
}

impl Study {
    /// The study as JSON, indented; keys are always in the same order.
    ///
    /// # Errors
    /// [`EvaluateError::Render`] if serialisation fails, which no content should bring about.
    pub fn to_json(&self) -> Result<String, EvaluateError> {
        serde_json::to_string_pretty(self).map_err(|error| EvaluateError::Render(error.to_string()))
    }

    /// One self-contained HTML page.
    ///
    /// # Errors
    /// [`EvaluateError::Render`] if the template fails, which no content should bring about.
    pub fn to_html(&self) -> Result<String, EvaluateError> {
        crate::report::study_page(self)
    }

    /// The candidate that was chosen, on folds of the training texts.
    pub fn cross_validation(&self) -> &CrossValidation {
        &self.candidates[self.chosen].cross_validation
    }

    /// The baseline with the best accuracy on the test texts; of equals the first.
    pub fn best_rung(&self) -> Option<(&Rung, &Evaluation)> {
        let measured = self.ladder.iter().filter_map(|rung| Some((rung, &rung.result.as_ref().ok()?.evaluation)));
        measured.reduce(|best, other| if other.1.accuracy().value > best.1.accuracy().value { other } else { best })
    }

    /// What the study says, in plain words.
    pub fn verdict(&self) -> Verdict {
        let mean = |variant: &Variant| variant.get(&Metric::Accuracy).map(RepeatedMetric::estimate);
        let said = |variant: &Variant| match mean(variant) {
            Some(found) if found.low < found.high => {
                format!("{} of 100 texts ({} to {})", of_100(found.value), of_100(found.low), of_100(found.high))
            }
            Some(found) => format!("{} of 100 texts", of_100(found.value)),
            None => "an unknown number of texts".into(),
        };
        let mut headline = format!("{} is right on {}", capital(&self.finetuned.name), said(&self.finetuned));
        headline += &format!(", {} on {}", self.scratch.name, said(&self.scratch));
        if let Some((rung, evaluation)) = self.best_rung() {
            headline += &format!(", the best baseline ({}) on {}", rung.title, of_100(evaluation.accuracy().value));
        }
        Verdict { headline: headline + ".", remarks: self.remarks() }
    }

    fn remarks(&self) -> Vec<String> {
        let (seeds, n) = (self.finetuned.training.len(), self.finetuned.evaluation.evaluation.n());
        let mut remarks = vec![match seeds {
            1 => format!(
                "One seed, measured on {n} test texts, which were opened once, when nothing was left to choose."
            ),
            _ => format!(
                "Means of {seeds} seeds, in brackets the 95 % interval of the mean, on {n} test texts, which were opened once, \
                 when nothing was left to choose."
            ),
        }];
        if n < FEW_TEXTS {
            let (one, accuracy) = (100.0 / n as f64, self.finetuned.evaluation.evaluation.accuracy());
            remarks.push(format!(
                "One text is {one:.1} points: the seeds say how much training varies, not how much another {n} texts would. \
                 For one model that interval is {} to {} of 100.",
                of_100(accuracy.low),
                of_100(accuracy.high)
            ));
        }
        remarks.extend(self.comparisons.iter().map(|named| capital(&named.verdict().headline)));
        if let Some(compared) = &self.out_of_fold.comparison {
            let found = compared.verdict().headline;
            remarks.push(format!(
                "On the training file, each row judged by what had learnt from the other folds: {found}"
            ));
        }
        remarks
    }
}

/// A text that begins a sentence.
pub(crate) fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

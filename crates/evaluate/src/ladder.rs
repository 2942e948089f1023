//! The same texts answered in ever dearer ways, from always the same answer up to the model of a run: what the dearest bought.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::study::capital;
use crate::{Comparison, EvaluateError, Evaluation, EvaluationOptions, NamedComparison, Predictions};

/// Keys of an evaluation that a rung has in JSON.
const SHOWN: [&str; 4] = ["accuracy", "f1_macro", "f1_weighted", "f1"];

/// One way to answer the texts, before it is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Its name for programs, such as `tf_idf`.
    pub key: &'static str,
    /// Its name for people.
    pub title: String,
    /// What it answered, or why it has no answer here.
    pub answers: Result<Answers, String>,
}

/// What one way answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// Its predictions of the texts.
    pub predictions: Predictions,
    /// What it is, in a few words.
    pub detail: String,
    /// What it took to learn and to answer.
    pub seconds: f64,
}

/// One way to answer the texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Rung {
    /// Its name for programs.
    pub key: &'static str,
    /// Its name for people.
    pub title: String,
    /// How good it is, or why it has no answer here.
    pub result: Result<Standing, String>,
}

/// How good one way is.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Every number with its interval.
    pub evaluation: Evaluation,
    /// What it is, in a few words.
    pub detail: String,
    /// What it took to learn and to answer.
    pub seconds: f64,
}

/// A way with a name and predictions.
type Contestant = (String, Predictions);

/// All ways on the same texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Ladder {
    /// Name of the texts, such as `test`.
    pub measured_on: String,
    /// From the simplest to the dearest.
    pub rungs: Vec<Rung>,
    /// The model of the run against the best of the others, which is the first of the two; nothing where it is alone.
    pub comparison: Option<NamedComparison>,
}

impl Ladder {
    /// Measures every attempt. The one whose key is `model` is held against the best of the others: the one with the highest
    /// accuracy on these texts, then macro F1, then the simplest. Chosen on the texts it is measured on, that one looks a
    /// little better than it is, so the model's lead is rather too small than too large.
    ///
    /// # Errors
    /// Predictions of other texts or classes.
    pub fn new(measured_on: impl Into<String>, attempts: Vec<Attempt>, model: &str) -> Result<Self, EvaluateError> {
        let options = EvaluationOptions::default();
        let mut best: Option<((f64, f64), Contestant)> = None;
        let mut own: Option<Contestant> = None;
        let mut rungs = Vec::new();
        for Attempt { key, title, answers } in attempts {
            let Answers { predictions, detail, seconds } = match answers {
                Ok(answers) => answers,
                Err(reason) => {
                    rungs.push(Rung { key, title, result: Err(reason) });
                    continue;
                }
            };
            let evaluation = Evaluation::new(&predictions, &options)?;
            let score = (evaluation.accuracy().value, evaluation.f1_macro().value);
            if key == model {
                own = Some((title.clone(), predictions));
            } else if best.as_ref().is_none_or(|(highest, _)| score > *highest) {
                best = Some((score, (title.clone(), predictions)));
            }
            rungs.push(Rung { key, title, result: Ok(Standing { evaluation, detail, seconds }) });
        }
        let comparison = match (best, own) {
            (Some((_, (first, simpler))), Some((second, own))) => {
                let comparison = Comparison::new(&simpler, &own, &options)?;
                Some(NamedComparison { first, second, comparison, disagreements: Vec::new() })
            }
            _ => None,
        };
        Ok(Self { measured_on: measured_on.into(), rungs, comparison })
    }

    /// What the model of the run bought, in sentences, the most important one first.
    pub fn verdict(&self) -> Vec<String> {
        let Some(comparison) = &self.comparison else {
            return vec!["There is nothing simpler to hold the model against.".into()];
        };
        let verdict = comparison.verdict();
        std::iter::once(verdict.headline).chain(verdict.remarks).map(|sentence| capital(&sentence)).collect()
    }

    fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("measured_on".into(), json!(self.measured_on));
        object.insert("verdict".into(), json!(self.verdict().join(" ")));
        for rung in &self.rungs {
            object.insert(rung.key.into(), rung.to_json());
        }
        object.insert("comparison".into(), json!(self.comparison));
        Value::Object(object)
    }
}

impl Rung {
    pub(crate) fn to_json(&self) -> Value {
        let standing = match &self.result {
            Ok(standing) => standing,
            Err(reason) => return json!({ "title": self.title, "not_applicable": reason }),
        };
        let mut object = Map::new();
        object.insert("title".into(), json!(self.title));
        object.insert("detail".into(), json!(standing.detail));
        let all = standing.evaluation.to_json();
        object.extend(SHOWN.map(|key| (key.to_owned(), all[key].clone())));
        let intervals: Map<_, _> =
            SHOWN.map(|key| (key.to_owned(), all["intervals"][key].clone())).into_iter().collect();
        object.insert("intervals".into(), Value::Object(intervals));
        object.insert("seconds".into(), json!(standing.seconds));
        Value::Object(object)
    }
}

impl Serialize for Ladder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

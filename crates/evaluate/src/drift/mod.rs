//! Whether fresh texts are like those that a model was measured on: five questions, one verdict.
//!
//! | kind | question | effect, from 0 (the same) to 1 (nothing in common) | p-value |
//! |---|---|---|---|
//! | length | are texts as long? | the Kolmogorov-Smirnov distance | its test |
//! | vocabulary | are the same words used? | what a word tells about its source, above chance | permutation |
//! | meaning | can a classifier tell the vectors apart? | twice the area under its ROC curve, minus 1 | Mann and Whitney |
//! | predictions | are the classes predicted as often? | half the sum of the differences of their shares | χ² |
//! | confidence | is the model as sure? | the Kolmogorov-Smirnov distance | its test |
//!
//! Each question alone would now and then cry wolf, so the p-values are adjusted by Holm's method (1979,
//! <https://www.jstor.org/stable/4615733>): if nothing has changed, some kind of drift is found with a probability of at most the
//! level. An effect is read only where it is more than chance: with few texts each of the distances is far from 0.

mod two_samples;
mod vocabulary;

use serde::{Deserialize, Serialize};

use crate::EvaluateError;

/// If nothing has changed, some kind of drift is found with at most this probability.
pub const DRIFT_LEVEL: f64 = 0.01;

/// What is known of a set of texts, `n` of them, as numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DriftSample {
    /// How long each text is, such as in words, `[n]`.
    pub lengths: Vec<u32>,
    /// The words of each text, each once and as a number that stands for it, of all texts or of a sample of them.
    pub words: Vec<Vec<u32>>,
    /// The class that is predicted for each text, `[n]`.
    pub predicted: Vec<usize>,
    /// Probability of that class, `[n]`.
    pub confidences: Vec<f32>,
}

/// What a classifier that was trained to tell fresh texts from the reference says about texts it was not trained on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FreshnessScores {
    /// Texts of the reference.
    pub reference: Vec<f64>,
    /// Fresh texts; higher where the classifier is right.
    pub fresh: Vec<f64>,
}

/// What may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftKind {
    /// How long texts are.
    Length,
    /// Which words they are made of.
    Vocabulary,
    /// Where the model sees them.
    Meaning,
    /// Which classes are predicted.
    Predictions,
    /// How sure the model is.
    Confidence,
}

impl DriftKind {
    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Vocabulary => "vocabulary",
            Self::Meaning => "meaning",
            Self::Predictions => "predictions",
            Self::Confidence => "confidence",
        }
    }
}

/// The answer to one question.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DriftFinding {
    /// What may have changed.
    pub kind: DriftKind,
    /// How much, from 0 for the same to 1 for nothing in common.
    pub effect: f64,
    /// The chance of an effect as large, or larger, if nothing had changed.
    pub p_value: f64,
    /// The same with the other questions taken into account.
    pub p_adjusted: f64,
}

impl DriftFinding {
    /// Whether it is more than chance, at [`DRIFT_LEVEL`].
    pub fn is_clear(&self) -> bool {
        self.p_adjusted < DRIFT_LEVEL
    }
}

/// The answers to all questions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Drift {
    findings: Vec<DriftFinding>,
}

impl Drift {
    /// Compares fresh texts with the reference, over `classes` classes. `told_apart` holds the scores of a classifier of vectors
    /// by halves, each given by the classifier that was trained on the other half; without them the question is left out.
    ///
    /// # Errors
    /// [`EvaluateError::Empty`] where one side has no texts.
    pub fn new(
        (reference, fresh): (&DriftSample, &DriftSample),
        classes: usize,
        told_apart: &[FreshnessScores],
        seed: u64,
    ) -> Result<Self, EvaluateError> {
        if reference.lengths.is_empty() || fresh.lengths.is_empty() {
            return Err(EvaluateError::Empty);
        }
        let lengths = [reference, fresh].map(|side| side.lengths.iter().map(|&length| f64::from(length)).collect());
        let confidences = [reference, fresh].map(|side| side.confidences.iter().map(|&c| f64::from(c)).collect());
        let shares = [reference, fresh].map(|side| counts(&side.predicted, classes));
        let mut answers = vec![
            (DriftKind::Length, Some(two_samples::kolmogorov_smirnov(lengths))),
            (DriftKind::Vocabulary, vocabulary::compare([&reference.words, &fresh.words], seed)),
            (DriftKind::Meaning, two_samples::telling_apart(told_apart)),
            (DriftKind::Predictions, Some(two_samples::shares(&shares))),
            (DriftKind::Confidence, Some(two_samples::kolmogorov_smirnov(confidences))),
        ];
        let answers: Vec<_> = answers.drain(..).filter_map(|(kind, answer)| Some((kind, answer?))).collect();
        let adjusted = holm(&answers.iter().map(|(_, answer)| answer.p_value).collect::<Vec<_>>());
        let findings = answers
            .into_iter()
            .zip(adjusted)
            .map(|((kind, Answer { effect, p_value }), p_adjusted)| DriftFinding { kind, effect, p_value, p_adjusted });
        Ok(Self { findings: findings.collect() })
    }

    /// Every answer, in the order of [`DriftKind`].
    pub fn findings(&self) -> &[DriftFinding] {
        &self.findings
    }

    /// Those that are more than chance.
    pub fn clear(&self) -> impl Iterator<Item = &DriftFinding> {
        self.findings.iter().filter(|finding| finding.is_clear())
    }

    /// The largest effect that is more than chance; 0 where none is.
    pub fn size(&self) -> f64 {
        self.clear().map(|finding| finding.effect).fold(0.0, f64::max)
    }

    /// The smallest adjusted p-value: the chance of as clear a finding if nothing had changed.
    pub fn p_value(&self) -> f64 {
        self.findings.iter().map(|finding| finding.p_adjusted).fold(1.0, f64::min)
    }
}

/// An effect and its p-value.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Answer {
    effect: f64,
    p_value: f64,
}

fn counts(predicted: &[usize], classes: usize) -> Vec<u64> {
    let mut counts = vec![0; classes];
    predicted.iter().for_each(|&class| counts[class] += 1);
    counts
}

/// Holm's adjustment: the smallest of `k` p-values times `k`, the next times `k − 1`, and none below one before it.
fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut least: f64 = 0.0;
    for (place, &index) in order.iter().enumerate() {
        least = least.max((p_values.len() - place) as f64 * p_values[index]).min(1.0);
        adjusted[index] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjusted_values_keep_their_order_and_stay_probabilities() {
        // statsmodels.stats.multitest.multipletests([0.01, 0.04, 0.03, 0.5], method="holm")
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.5]);
        let expected = [0.04, 0.09, 0.09, 0.5];
        assert!(adjusted.iter().zip(expected).all(|(ours, theirs)| (ours - theirs).abs() < 1e-12), "{adjusted:?}");
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
    }

    #[test]
    fn a_sample_does_not_drift_from_itself_and_nothing_is_refused() {
        let lengths: Vec<u32> = (0..300).map(|i| 5 + i * 7 % 40).collect();
        let words = (0..300).map(|i| vec![i % 17, 20 + i % 31, 60]).collect();
        let predicted = (0..300).map(|i| i % 3).collect();
        let confidences = (0..300).map(|i| 0.5 + (i * 13 % 300) as f32 / 600.0).collect();
        let sample = DriftSample { lengths, words, predicted, confidences };
        let drift = Drift::new((&sample, &sample), 3, &[], 0).expect("compares");
        assert_eq!((drift.findings().len(), drift.clear().count(), drift.size()), (4, 0, 0.0));
        assert!(drift.p_value() > 0.9, "{drift:?}");
        let error = Drift::new((&sample, &DriftSample::default()), 3, &[], 0).expect_err("no texts");
        assert_eq!(error, EvaluateError::Empty);
    }
}

//! What a baseline says about the texts that it learns from: each is answered by a model that has not seen it.

use finetone_backend::Backend;

use super::embeddings::FrozenEmbeddings;
use super::linear::Featurise;
use super::logistic::Examples;
use super::strength::{FOLDS, cross_validate};
use super::tf_idf::TfIdf;
use super::{Baseline, Lesson, Pretrained};
use crate::ClassifyError;

/// The fewest texts that are divided into folds.
pub const LEAST_TEXTS: usize = 2 * FOLDS;

/// Probabilities of each text by a model of the other folds.
#[derive(Debug, Clone, PartialEq)]
pub struct OutOfFold {
    /// What the models are, in a few words.
    pub detail: String,
    /// Row-major `[n, C]`.
    pub probabilities: Vec<f32>,
    /// Mean of `−ln p` of the labels.
    pub log_loss: f64,
}

impl OutOfFold {
    /// The answers of a regression over a pretrained model's vectors where one is given, and over words: those with the
    /// smaller log-loss, by the strength of regularisation with the smallest. The vectors and the weights of the words are
    /// made from all texts, which tells nothing of any label.
    ///
    /// # Errors
    /// A folder of the pretrained model that cannot be read, a device that failed.
    ///
    /// # Panics
    /// With fewer than [`LEAST_TEXTS`] texts, or where a text may have several labels.
    pub fn best<B: Backend>(
        lesson: &Lesson<'_>,
        pretrained: Option<&Pretrained<'_, B>>,
    ) -> Result<Self, ClassifyError> {
        assert!(lesson.texts.len() >= LEAST_TEXTS, "{} texts are too few for folds", lesson.texts.len());
        assert!(!lesson.multi_label, "each text has one label");
        let words = Self::of(Baseline::TfIdf, TfIdf::fit(lesson.texts), lesson)?;
        let Some(pretrained) = pretrained else { return Ok(words) };
        let vectors = Self::of(Baseline::Embeddings, FrozenEmbeddings::open(pretrained)?, lesson)?;
        Ok(if vectors.log_loss < words.log_loss { vectors } else { words })
    }

    fn of(baseline: Baseline, mut featurise: impl Featurise, lesson: &Lesson<'_>) -> Result<Self, ClassifyError> {
        let (matrix, _) = featurise.features(lesson.texts)?;
        let Lesson { targets, labels, multi_label, .. } = *lesson;
        let examples = Examples { matrix: &matrix, targets, classes: labels.len(), multi_label };
        let tried = cross_validate(&examples, lesson.seed);
        let judged = tried.into_iter().map(|(c, said)| (log_loss(&examples, &said), c, said));
        let (log_loss, c, probabilities) = judged.min_by(|a, b| a.0.total_cmp(&b.0)).expect("some strength is tried");
        Ok(Self { detail: format!("{}, C = {c}", baseline.title()), probabilities, log_loss })
    }
}

fn log_loss(examples: &Examples<'_>, probabilities: &[f32]) -> f64 {
    let rows = examples.targets.iter().zip(probabilities.chunks_exact(examples.classes));
    let loss = |(target, p): (&finetone_data::Target, &[f32])| {
        target.first().map_or(0.0, |class| -f64::from(p[class]).max(f64::EPSILON).ln())
    };
    rows.map(loss).sum::<f64>() / examples.targets.len() as f64
}

#[cfg(test)]
mod tests {
    use finetone_backend::Reference;
    use finetone_data::{Preparation, Target};

    use super::*;

    #[test]
    fn no_text_is_answered_by_a_model_that_has_seen_its_label() {
        // Each text has a word of its own, which would tell its label to whoever has seen it.
        let texts: Vec<String> = (0..40).map(|i| format!("own{i} shared")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let targets: Vec<Target> = (0..40).map(|i| Target::Class(i % 2)).collect();
        let (preparation, labels) = (Preparation::default(), ["a".to_owned(), "b".to_owned()]);
        let lesson = Lesson {
            preparation: &preparation,
            texts: &texts,
            targets: &targets,
            labels: &labels,
            multi_label: false,
            seed: 1,
        };
        let found = OutOfFold::best::<Reference<f64>>(&lesson, None).unwrap();
        assert!(found.probabilities.iter().all(|p| (p - 0.5).abs() < 0.05), "{found:?}");
        assert!((found.log_loss - 2.0_f64.ln()).abs() < 0.01 && found.detail.starts_with("TF-IDF"), "{found:?}");
    }
}

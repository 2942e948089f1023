//! A logistic regression over the numbers that something makes of texts.

use super::logistic::{Examples, Logistic};
use super::matrix::Matrix;
use super::strength;
use super::{Fit, Lesson, TextClassifier};
use crate::{Classified, ClassifyError};

/// Turns texts into the numbers that a linear model reads.
pub(super) trait Featurise: Send {
    /// A row for each text, and how many of the texts were cut.
    ///
    /// # Errors
    /// A device that failed.
    fn features(&mut self, texts: &[&str]) -> Result<(Matrix, usize), ClassifyError>;
}

/// A way to make numbers of texts with a logistic regression behind it.
pub(super) struct LinearClassifier<F> {
    featurise: F,
    model: Logistic,
}

impl<F: Featurise + 'static> LinearClassifier<F> {
    /// Chooses the regularisation, fits to all training texts and describes the result.
    pub(super) fn fit(mut featurise: F, detail: String, lesson: &Lesson<'_>) -> Result<Fit, ClassifyError> {
        let (matrix, _) = featurise.features(lesson.texts)?;
        let Lesson { targets, labels, multi_label, .. } = *lesson;
        let examples = Examples { matrix: &matrix, targets, classes: labels.len(), multi_label };
        let c = strength::choose(&examples, lesson.seed);
        let rows: Vec<usize> = (0..targets.len()).collect();
        let model = Logistic::fit(&examples, &rows, c, None);
        Ok(Fit::of(Self { featurise, model }, format!("{detail}, C = {c}"), lesson))
    }
}

impl<F: Featurise> TextClassifier for LinearClassifier<F> {
    fn classify(&mut self, texts: &[&str]) -> Result<Classified, ClassifyError> {
        let (matrix, truncated) = self.featurise.features(texts)?;
        Ok(Classified {
            probabilities: self.model.probabilities(&matrix, 0..texts.len()),
            truncated,
            ..Classified::default()
        })
    }
}

//! What a model said about texts whose labels are known.

use std::collections::BTreeSet;

use crate::EvaluateError;

/// A label of a multi-label text is predicted where its probability reaches this.
pub const MULTI_LABEL_THRESHOLD: f32 = 0.5;

/// How far the probabilities of a row may be from adding up to one; half precision is about this coarse.
const SUM_TOLERANCE: f64 = 1e-2;

/// The labels that people gave, as indices into the list of classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    /// One class per text.
    Single(Vec<usize>),
    /// Any number of classes per text, none included. Each row is ascending and without repetition.
    Multi(Vec<Vec<usize>>),
}

impl Truth {
    /// Number of texts.
    pub fn len(&self) -> usize {
        match self {
            Self::Single(rows) => rows.len(),
            Self::Multi(rows) => rows.len(),
        }
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether class `class` is among the labels of row `row`.
    pub fn contains(&self, row: usize, class: usize) -> bool {
        match self {
            Self::Single(rows) => rows[row] == class,
            Self::Multi(rows) => rows[row].binary_search(&class).is_ok(),
        }
    }
}

/// Probabilities and truth of `n` texts over `C` classes, checked once when they are put together.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    labels: Vec<String>,
    truth: Truth,
    probabilities: Vec<f32>,
    loss: Option<f64>,
}

impl Predictions {
    /// Checks and keeps what it is given.
    ///
    /// `labels` are the `C ≥ 2` class names (`C ≥ 1` for multi-label) in the model's order. `probabilities` is row-major
    /// `[n, C]`: rows of a softmax for [`Truth::Single`] (a one-logit model gives `1 − p` and `p`), independent sigmoids
    /// for [`Truth::Multi`].
    ///
    /// # Errors
    /// Without rows or classes, with two classes of one name, with a wrong number of probabilities, a class out of range,
    /// or probabilities that are none.
    pub fn new(labels: Vec<String>, mut truth: Truth, probabilities: Vec<f32>) -> Result<Self, EvaluateError> {
        check_labels(&labels, &truth)?;
        let (rows, classes) = (truth.len(), labels.len());
        if rows == 0 {
            return Err(EvaluateError::Empty);
        }
        if Some(probabilities.len()) != rows.checked_mul(classes) {
            return Err(EvaluateError::Shape { found: probabilities.len(), rows, classes });
        }
        if let Truth::Multi(sets) = &mut truth {
            for set in sets {
                set.sort_unstable();
                set.dedup();
            }
        }
        check_truth(&truth, classes)?;
        check_probabilities(&truth, &probabilities, classes)?;
        Ok(Self { labels, truth, probabilities, loss: None })
    }

    /// Adds the loss that training minimises (smoothing, class weights and all), for [`crate::Metric::Loss`].
    pub fn with_loss(mut self, loss: f64) -> Self {
        self.loss = Some(loss);
        self
    }

    /// The same texts with other probabilities, of the same shape and as valid.
    pub(crate) fn with_probabilities(&self, probabilities: Vec<f32>) -> Self {
        Self { labels: self.labels.clone(), truth: self.truth.clone(), probabilities, loss: None }
    }

    /// Number of texts, `n`.
    pub fn rows(&self) -> usize {
        self.truth.len()
    }

    /// Number of classes, `C`.
    pub fn classes(&self) -> usize {
        self.labels.len()
    }

    /// Class names in the model's order.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The labels that people gave.
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// The loss that training minimises, if it was given.
    pub fn loss(&self) -> Option<f64> {
        self.loss
    }

    /// Whether a text can have several labels.
    pub fn is_multi_label(&self) -> bool {
        matches!(self.truth, Truth::Multi(_))
    }

    /// Probabilities of all texts, row-major `[n, C]`.
    pub fn probabilities(&self) -> &[f32] {
        &self.probabilities
    }

    /// Probabilities of one text, `[C]`.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.probabilities[row * self.classes()..][..self.classes()]
    }

    /// The most probable class of one text; of equals the first, as NumPy's `argmax` has it.
    pub fn most_probable(&self, row: usize) -> usize {
        most_probable(self.row(row))
    }

    /// Whether `class` is predicted for one text: the most probable one, or for multi-label every class whose
    /// probability reaches [`MULTI_LABEL_THRESHOLD`].
    pub fn predicts(&self, row: usize, class: usize) -> bool {
        match self.truth {
            Truth::Single(_) => self.most_probable(row) == class,
            Truth::Multi(_) => self.row(row)[class] >= MULTI_LABEL_THRESHOLD,
        }
    }

    /// The predicted classes of one text, ascending: exactly one, or for multi-label any number.
    pub fn predicted(&self, row: usize) -> Vec<usize> {
        match self.truth {
            Truth::Single(_) => vec![self.most_probable(row)],
            Truth::Multi(_) => (0..self.classes()).filter(|&class| self.predicts(row, class)).collect(),
        }
    }

    /// How sure the model is of one text; see [`confidence`].
    pub fn confidence(&self, row: usize) -> f64 {
        confidence(self.row(row), self.is_multi_label())
    }

    /// Whether all that was predicted for one text is true, and nothing else is.
    pub fn is_right(&self, row: usize) -> bool {
        self.predicted(row) == self.true_classes(row)
    }

    /// The true classes of one text, ascending.
    pub fn true_classes(&self, row: usize) -> Vec<usize> {
        match &self.truth {
            Truth::Single(rows) => vec![rows[row]],
            Truth::Multi(rows) => rows[row].clone(),
        }
    }
}

/// How sure a model is of its answer to a text: the greatest probability, or with several labels that of the least certain
/// decision about one of them.
pub fn confidence(probabilities: &[f32], multi_label: bool) -> f64 {
    let all = probabilities.iter().map(|&p| f64::from(p));
    if multi_label { all.map(|p| p.max(1.0 - p)).fold(1.0, f64::min) } else { all.fold(0.0, f64::max) }
}

/// The most probable class of the probabilities of one text, `[C]`; of equals the first.
pub fn most_probable(row: &[f32]) -> usize {
    (1..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best })
}

fn check_labels(labels: &[String], truth: &Truth) -> Result<(), EvaluateError> {
    let least = if matches!(truth, Truth::Single(_)) { 2 } else { 1 };
    if labels.len() < least {
        return Err(EvaluateError::TooFewClasses { found: labels.len(), least });
    }
    let mut seen = BTreeSet::new();
    match labels.iter().find(|label| !seen.insert(*label)) {
        Some(label) => Err(EvaluateError::DuplicateClass(label.clone())),
        None => Ok(()),
    }
}

fn check_truth(truth: &Truth, classes: usize) -> Result<(), EvaluateError> {
    let outside = match truth {
        Truth::Single(rows) => rows.iter().enumerate().find(|(_, class)| **class >= classes).map(|(r, c)| (r, *c)),
        Truth::Multi(rows) => rows
            .iter()
            .enumerate()
            .filter_map(|(row, set)| set.last().map(|class| (row, *class)))
            .find(|(_, class)| *class >= classes),
    };
    match outside {
        Some((row, class)) => Err(EvaluateError::ClassOutOfRange { row, class, classes }),
        None => Ok(()),
    }
}

fn check_probabilities(truth: &Truth, probabilities: &[f32], classes: usize) -> Result<(), EvaluateError> {
    for (row, values) in probabilities.chunks_exact(classes).enumerate() {
        // A sigmoid or softmax may overshoot one by a rounding, never by more.
        if let Some(&value) = values.iter().find(|v| !(-1e-6..=1.0 + 1e-6).contains(*v)) {
            return Err(EvaluateError::NotAProbability { row, value });
        }
        let sum: f64 = values.iter().map(|&value| f64::from(value)).sum();
        if matches!(truth, Truth::Single(_)) && (sum - 1.0).abs() > SUM_TOLERANCE {
            return Err(EvaluateError::NotNormalised { row, sum });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Vec<String> {
        vec!["bad".into(), "good".into()]
    }

    #[test]
    fn every_lie_is_told_by_name() {
        let single = |rows: &[usize]| Truth::Single(rows.to_vec());
        let new = Predictions::new;
        assert_eq!(new(labels(), single(&[]), vec![]), Err(EvaluateError::Empty));
        assert_eq!(new(labels(), single(&[0]), vec![1.0]), Err(EvaluateError::Shape { found: 1, rows: 1, classes: 2 }));
        assert_eq!(
            new(labels(), single(&[0, 2]), vec![0.5; 4]),
            Err(EvaluateError::ClassOutOfRange { row: 1, class: 2, classes: 2 })
        );
        assert_eq!(
            new(labels(), Truth::Multi(vec![vec![], vec![7, 0]]), vec![0.5; 4]),
            Err(EvaluateError::ClassOutOfRange { row: 1, class: 7, classes: 2 })
        );
        assert!(matches!(
            new(labels(), single(&[0]), vec![f32::NAN, 1.0]),
            Err(EvaluateError::NotAProbability { row: 0, .. })
        ));
        assert!(matches!(
            new(labels(), single(&[0]), vec![0.9, 0.9]),
            Err(EvaluateError::NotNormalised { row: 0, .. })
        ));
        assert_eq!(
            new(vec!["a".into(), "a".into()], single(&[0]), vec![0.5; 2]),
            Err(EvaluateError::DuplicateClass("a".into()))
        );
        assert_eq!(
            new(vec!["a".into()], single(&[0]), vec![1.0]),
            Err(EvaluateError::TooFewClasses { found: 1, least: 2 })
        );
    }

    #[test]
    fn ties_go_to_the_first_class_and_half_is_enough_for_a_label() {
        let single = Predictions::new(labels(), Truth::Single(vec![1]), vec![0.5, 0.5]).expect("valid");
        assert_eq!(single.predicted(0), [0]);
        let multi = Predictions::new(labels(), Truth::Multi(vec![vec![1, 0, 1]]), vec![0.5, 0.49]).expect("valid");
        assert_eq!(multi.predicted(0), [0]);
        assert_eq!(multi.true_classes(0), [0, 1]);
    }
}

//! Labels that are probably wrong, by confident learning
//! ([Northcutt, Jiang and Chuang 2021](https://arxiv.org/abs/1911.00068)).
//!
//! It takes probabilities of models that have not seen the row they are about, as folds give them. The model's mean
//! probability of a class on the rows with that label, `t_c`, says how sure it usually is of the class. A row that is at
//! least as sure of another class, `p(c) ≥ t_c`, more than of any other such class, belongs to that class in the *confident
//! joint*; where that is not its label, and the most probable class is not its label either, the label is suspected.
//!
//! Suspects are told in the order of their margin, the probability of the label less the greatest of the others. The same
//! order is defined for all rows ([`by_margin`]).

use serde::Serialize;

use crate::{EvaluateError, Predictions, Truth};

/// A row whose label is probably wrong.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Suspect {
    /// Its number, from 0.
    pub row: usize,
    /// The class that it was labelled with.
    pub given: usize,
    /// The most probable class.
    pub suggested: usize,
    /// The probability of the label less that of the suggested class, below zero.
    pub margin: f64,
}

/// What confident learning says about some rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelErrors {
    /// The suspects, the least margin first.
    pub suspects: Vec<Suspect>,
    /// The confident joint, `[C][C]`: rows by their label and by the class that they seem to have. Rows that seem to have
    /// none are not in it.
    pub joint: Vec<Vec<usize>>,
    /// Which share of the labels is probably wrong: of the joint what is not on its diagonal, after each label was given the
    /// weight of all its rows.
    pub share: f64,
}

impl LabelErrors {
    /// Suspects labels by out-of-fold predictions.
    ///
    /// # Errors
    /// Predictions of any number of labels for a text: of those none replaces another.
    pub fn find(predictions: &Predictions) -> Result<Self, EvaluateError> {
        let Truth::Single(labels) = predictions.truth() else {
            return Err(EvaluateError::Option("label errors are found only where a text has one label".into()));
        };
        let classes = predictions.classes();
        let counts = counts(labels, classes);
        let thresholds = thresholds(predictions, labels, &counts);
        let (mut joint, mut suspects) = (vec![vec![0; classes]; classes], Vec::new());
        for (row, &given) in labels.iter().enumerate() {
            let Some(seems) = confident(predictions.row(row), &thresholds) else { continue };
            joint[given][seems] += 1;
            let suggested = predictions.most_probable(row);
            if seems != given && suggested != given {
                suspects.push(Suspect { row, given, suggested, margin: margin(predictions, row, given) });
            }
        }
        suspects.sort_by(|a, b| a.margin.total_cmp(&b.margin).then(a.row.cmp(&b.row)));
        Ok(Self { suspects, share: share_wrong(&joint, &counts), joint })
    }
}

/// All rows, the one whose label is least believed first: by the probability of the label less the greatest of the others.
///
/// # Errors
/// As [`LabelErrors::find`].
pub fn by_margin(predictions: &Predictions) -> Result<Vec<usize>, EvaluateError> {
    let Truth::Single(labels) = predictions.truth() else {
        return Err(EvaluateError::Option("label errors are found only where a text has one label".into()));
    };
    let mut rows: Vec<(f64, usize)> =
        labels.iter().enumerate().map(|(row, &given)| (margin(predictions, row, given), row)).collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

fn counts(labels: &[usize], classes: usize) -> Vec<usize> {
    let mut counts = vec![0; classes];
    labels.iter().for_each(|&label| counts[label] += 1);
    counts
}

/// The mean probability of each class on the rows that are labelled so; a class without rows is never confident.
fn thresholds(predictions: &Predictions, labels: &[usize], counts: &[usize]) -> Vec<f64> {
    let mut sums = vec![0.0; counts.len()];
    labels.iter().enumerate().for_each(|(row, &label)| sums[label] += f64::from(predictions.row(row)[label]));
    sums.iter().zip(counts).map(|(sum, &count)| if count == 0 { f64::INFINITY } else { sum / count as f64 }).collect()
}

/// The class that a row seems to have: the most probable of those that it is confident of.
fn confident(probabilities: &[f32], thresholds: &[f64]) -> Option<usize> {
    // A mean of equal numbers may be a rounding above them.
    let sure = |class: &usize| f64::from(probabilities[*class]) >= thresholds[*class] - 1e-6;
    let better = |best: usize, class: usize| if probabilities[class] > probabilities[best] { class } else { best };
    (0..thresholds.len()).filter(sure).reduce(better)
}

fn margin(predictions: &Predictions, row: usize, given: usize) -> f64 {
    let probabilities = predictions.row(row);
    let others = probabilities.iter().enumerate().filter(|(class, _)| *class != given).map(|(_, &p)| f64::from(p));
    f64::from(probabilities[given]) - others.fold(0.0, f64::max)
}

fn share_wrong(joint: &[Vec<usize>], counts: &[usize]) -> f64 {
    let of_label = |(label, row): (usize, &Vec<usize>)| {
        let all: usize = row.iter().sum();
        let wrong = if all == 0 { 0.0 } else { (all - row[label]) as f64 / all as f64 };
        wrong * counts[label] as f64
    };
    joint.iter().enumerate().map(of_label).sum::<f64>() / counts.iter().sum::<usize>() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_confident_joint_by_hand() {
        // Thresholds: a (0.9 + 0.8 + 0.1) / 3 = 0.6, b (0.7 + 0.5) / 2 = 0.6.
        let rows = [(0, 0.9), (0, 0.8), (0, 0.1), (1, 0.3), (1, 0.5)];
        let truth = rows.iter().map(|(label, _)| *label).collect();
        let probabilities = rows.iter().flat_map(|&(_, p)| [p, 1.0 - p]).collect();
        let labels = vec!["a".into(), "b".into()];
        let predictions = Predictions::new(labels.clone(), Truth::Single(truth), probabilities).expect("valid");
        let found = LabelErrors::find(&predictions).expect("one label each");
        assert_eq!(found.joint, [[2, 1], [0, 1]]);
        assert_eq!(found.suspects.iter().map(|s| (s.row, s.given, s.suggested)).collect::<Vec<_>>(), [(2, 0, 1)]);
        assert!((found.suspects[0].margin + 0.8).abs() < 1e-6);
        assert!((found.share - 0.2).abs() < 1e-12, "a third of three fifths");
        assert_eq!(by_margin(&predictions).expect("one label each"), [2, 4, 3, 1, 0]);
        let several = Predictions::new(labels, Truth::Multi(vec![vec![0]]), vec![0.5, 0.5]).expect("valid");
        assert!(LabelErrors::find(&several).is_err() && by_margin(&several).is_err());
    }
}

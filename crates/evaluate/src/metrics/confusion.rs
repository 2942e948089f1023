//! The confusion matrix: what was true against what was predicted.

use serde::Serialize;

use super::precision_recall_f1::ClassCounts;
use crate::Predictions;

/// Counts of what was true against what was predicted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Confusion {
    /// `[C, C]`: rows are the true class, columns the predicted one.
    Square(Vec<Vec<u64>>),
    /// `[C, 2, 2]`, for several labels per text: for each label, rows are absent and present in truth, columns absent and
    /// present in the prediction.
    PerLabel(Vec<[[u64; 2]; 2]>),
}

impl Confusion {
    /// The `[C, C]` matrix, if there is one label per text.
    pub fn square(&self) -> Option<&[Vec<u64>]> {
        match self {
            Self::Square(matrix) => Some(matrix),
            Self::PerLabel(_) => None,
        }
    }

    /// True positives, predicted and true occurrences of each class.
    pub(crate) fn class_counts(&self) -> Vec<ClassCounts> {
        match self {
            Self::Square(matrix) => (0..matrix.len())
                .map(|class| ClassCounts {
                    right: matrix[class][class],
                    predicted: matrix.iter().map(|row| row[class]).sum(),
                    support: matrix[class].iter().sum(),
                })
                .collect(),
            Self::PerLabel(tables) => tables
                .iter()
                .map(|[[_, invented], [missed, right]]| ClassCounts {
                    right: *right,
                    predicted: right + invented,
                    support: right + missed,
                })
                .collect(),
        }
    }
}

/// The cell or cells of the confusion table into which each row falls.
pub(crate) struct Cells {
    classes: usize,
    multi_label: bool,
    cells: Vec<u32>,
}

impl Cells {
    pub(crate) fn new(predictions: &Predictions) -> Self {
        let (classes, truth) = (predictions.classes(), predictions.truth());
        let multi_label = predictions.is_multi_label();
        let rows = 0..predictions.rows();
        let cells = if multi_label {
            rows.flat_map(|row| {
                (0..classes).map(move |class| {
                    let present = usize::from(truth.contains(row, class));
                    let predicted = usize::from(predictions.predicts(row, class));
                    (class * 4 + present * 2 + predicted) as u32
                })
            })
            .collect()
        } else {
            rows.map(|row| {
                let true_class = predictions.true_classes(row)[0];
                (true_class * classes + predictions.most_probable(row)) as u32
            })
            .collect()
        };
        Self { classes, multi_label, cells }
    }

    /// The table of the drawn rows.
    pub(crate) fn count(&self, weights: &[u32]) -> Confusion {
        let width = self.cells.len() / weights.len();
        let size = self.classes * if self.multi_label { 4 } else { self.classes };
        let mut counts = vec![0_u64; size];
        for (row, &weight) in self.cells.chunks_exact(width).zip(weights) {
            for &cell in row {
                counts[cell as usize] += u64::from(weight);
            }
        }
        if self.multi_label {
            let tables = counts.chunks_exact(4).map(|c| [[c[0], c[1]], [c[2], c[3]]]);
            Confusion::PerLabel(tables.collect())
        } else {
            Confusion::Square(counts.chunks_exact(self.classes).map(<[u64]>::to_vec).collect())
        }
    }
}

/// The confusion of all rows.
pub(crate) fn confusion(predictions: &Predictions) -> Confusion {
    Cells::new(predictions).count(&vec![1; predictions.rows()])
}

//! The confusion matrix as rows of a table, for HTML and Markdown alike.

use crate::{Confusion, Evaluation};

/// One true class with the counts of what was predicted for it.
pub(super) struct Row {
    pub(super) label: String,
    pub(super) cells: Vec<Cell>,
}

/// One count.
pub(super) struct Cell {
    pub(super) count: u64,
    /// Its share of the row.
    pub(super) share: f64,
    pub(super) right: bool,
}

/// Names of the columns and the rows.
pub(super) struct Table {
    pub(super) corner: &'static str,
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Row>,
}

/// The table of an evaluation.
pub(super) fn table(evaluation: &Evaluation) -> Table {
    let labels = evaluation.labels();
    match evaluation.confusion() {
        Confusion::Square(matrix) => Table {
            corner: "true ↓ predicted →",
            columns: labels.to_vec(),
            rows: matrix
                .iter()
                .enumerate()
                .map(|(class, counts)| row(&labels[class], counts, |column| column == class))
                .collect(),
        },
        Confusion::PerLabel(tables) => Table {
            corner: "label",
            columns: ["found", "missed", "invented", "rightly absent"].map(str::to_owned).to_vec(),
            rows: tables
                .iter()
                .zip(labels)
                .map(|([[absent, invented], [missed, found]], label)| {
                    let counts = [*found, *missed, *invented, *absent];
                    row(label, &counts, |column| column == 0 || column == 3)
                })
                .collect(),
        },
    }
}

fn row(label: &str, counts: &[u64], right: impl Fn(usize) -> bool) -> Row {
    let total = counts.iter().sum::<u64>().max(1) as f64;
    let cell = |(column, &count): (usize, &u64)| Cell { count, share: count as f64 / total, right: right(column) };
    Row { label: label.to_owned(), cells: counts.iter().enumerate().map(cell).collect() }
}

impl Cell {
    /// Its share of the row in whole percent.
    pub(super) fn percent(&self) -> String {
        super::words::percent(self.share)
    }
}

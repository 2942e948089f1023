//! The confusion matrix as rows of a table, for HTML and Markdown alike.

use super::words::quoted;
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

/// More columns than this are drawn small.
const WIDE: usize = 8;

impl Table {
    /// Whether there are so many columns that the cells must be small.
    pub(super) fn is_wide(&self) -> bool {
        self.columns.len() > WIDE
    }

    /// The five most frequent confusions in words, where there are enough classes for that to be news.
    pub(super) fn most_frequent(&self) -> Vec<String> {
        if self.rows.len() < 3 || self.rows.len() != self.columns.len() {
            return Vec::new();
        }
        let mut wrong: Vec<(u64, &str, &str)> = Vec::new();
        for row in &self.rows {
            let cells = row.cells.iter().zip(&self.columns).filter(|(c, _)| !c.right && c.count > 0);
            wrong.extend(cells.map(|(c, column)| (c.count, row.label.as_str(), column.as_str())));
        }
        // A stable sort keeps equals in the order of the classes.
        wrong.sort_by_key(|(count, _, _)| std::cmp::Reverse(*count));
        let words = |(count, truth, said): &(u64, &str, &str)| {
            let taken = format!("{} was taken for {}", quoted(truth), quoted(said));
            if *count == 1 { format!("{taken} once") } else { format!("{taken} {count} times") }
        };
        wrong.iter().take(5).map(words).collect()
    }
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

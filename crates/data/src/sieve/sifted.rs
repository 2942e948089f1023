//! What became of the rows, in numbers.

use std::collections::HashMap;

use serde::Serialize;

use crate::copies::Copies;
use crate::labels::folded;

/// With more different labels than these a column is no column of labels, and its rows are not counted by it.
const MOST_CLASSES: usize = 1000;

/// What became of the rows of a file.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Sifted {
    /// The column of texts.
    pub text_column: String,
    /// The column of labels, where there is one.
    pub label_column: Option<String>,
    /// What was done to texts, in words.
    pub preparation: String,
    /// Rows that were read, faulty ones included.
    pub read: usize,
    /// Rows that were kept, before any balance.
    pub kept: usize,
    /// Rows that were written.
    pub written: usize,
    /// Rows whose text was changed.
    pub changed: usize,
    /// Kept rows without label, where there is a column of labels.
    pub unlabelled: usize,
    /// Rows that were not kept because they repeat an earlier one.
    pub copies: Copies,
    /// Rows that were not kept because they have no text, or none is left of it.
    pub empty: usize,
    /// Rows that cannot be read.
    pub malformed: usize,
    /// What is wrong with the first of them.
    pub first_malformed: Option<String>,
    /// Chats that were not kept because the weight of their answer is 0.
    pub left_out: usize,
    /// The classes by name, with rows read, kept and written.
    pub classes: Vec<ClassCounts>,
    /// What was looked at in part.
    pub notices: Vec<String>,
}

/// How many rows of a class there are on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassCounts {
    /// The label as it was first met.
    pub label: String,
    /// Rows that were read.
    pub read: usize,
    /// Rows that were kept.
    pub kept: usize,
    /// Rows that were written: others than those kept where classes were balanced.
    pub written: usize,
}

/// The labels met so far.
#[derive(Default)]
pub(super) struct Classes {
    by_name: HashMap<String, usize>,
    pub(super) counts: Vec<ClassCounts>,
    overflowed: bool,
}

impl Classes {
    /// The class of a label, whatever its case and how its accents are written; `None` where there are too many.
    pub(super) fn of(&mut self, label: &str) -> Option<usize> {
        let folded = folded(label);
        if let Some(class) = self.by_name.get(&folded) {
            return Some(*class);
        }
        if self.counts.len() == MOST_CLASSES {
            self.overflowed = true;
            return None;
        }
        self.by_name.insert(folded, self.counts.len());
        self.counts.push(ClassCounts { label: label.to_owned(), read: 0, kept: 0, written: 0 });
        Some(self.counts.len() - 1)
    }

    pub(super) fn notice(&self) -> Option<String> {
        self.overflowed.then(|| {
            format!(
                "there are more than {MOST_CLASSES} different labels: rows with later ones count as rows without label"
            )
        })
    }

    pub(super) fn finish(self) -> Vec<ClassCounts> {
        let mut counts = self.counts;
        counts.retain(|class| class.read > 0);
        counts.sort_by(|a, b| a.label.cmp(&b.label));
        counts
    }
}

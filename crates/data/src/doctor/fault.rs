//! What a fault is.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::dataset::line_list;

/// How bad a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Training would stop or be meaningless.
    Error,
    /// Training works and is likely worse for it.
    Warning,
    /// Something to know.
    Notice,
}

impl Severity {
    /// `error`, `warning` or `notice`.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Notice => "notice",
        }
    }
}

/// One fault, however many rows have it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fault {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, with its numbers.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// The file.
    pub file: PathBuf,
    /// The first lines that have it (at most ten), ascending; empty where the fault belongs to no line.
    pub lines: Vec<u64>,
    /// What is wrong, without the place.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

/// A class with few rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SmallClass {
    /// The label.
    pub label: String,
    /// How many rows it has.
    pub rows: usize,
}

/// The kinds of fault, each with its numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FaultKind {
    /// Reading had to stop before the end of the file.
    Unreadable,
    /// The file has no rows.
    NoRows,
    /// Rows with bytes that are not text.
    Undecodable {
        /// How many.
        rows: usize,
    },
    /// Rows with another number of fields than the header.
    Ragged {
        /// How many.
        rows: usize,
    },
    /// Lines that are not JSON objects.
    BadJson {
        /// How many.
        rows: usize,
    },
    /// Lines of a file of chats that are no chats.
    BadChats {
        /// How many.
        rows: usize,
    },
    /// Chats whose answer has the weight 0.
    LeftOut {
        /// How many.
        rows: usize,
    },
    /// Chats whose answers are no labels.
    OpenAnswers {
        /// How many different answers there are.
        answers: usize,
    },
    /// Rows with a list where one label is expected.
    LabelLists {
        /// How many.
        rows: usize,
    },
    /// Rows without text.
    EmptyTexts {
        /// How many.
        rows: usize,
    },
    /// Rows without label.
    MissingLabels {
        /// How many.
        rows: usize,
    },
    /// A label outside the label set.
    UnknownLabel {
        /// The label.
        label: String,
        /// The known label nearest in spelling.
        nearest: Option<String>,
        /// How many rows have it.
        rows: usize,
    },
    /// Labels that differ in spelling only.
    LabelSpellings {
        /// How many rows have another spelling than the one kept.
        rows: usize,
    },
    /// All rows have the same label.
    OneClass {
        /// The label.
        label: String,
    },
    /// Labels that are real numbers.
    FloatLabels {
        /// The first of them.
        value: String,
    },
    /// Nearly every row has a label of its own.
    TooManyLabels {
        /// How many different labels there are.
        labels: usize,
    },
    /// Classes with few rows.
    SmallClasses {
        /// They, smallest first.
        classes: Vec<SmallClass>,
    },
    /// Rows that repeat an earlier text with the same label.
    Duplicates {
        /// How many.
        rows: usize,
    },
    /// Rows that repeat an earlier text with another label.
    Contradictions {
        /// How many.
        rows: usize,
    },
    /// Rows of the test file whose text is in the training file.
    SharedRows {
        /// How many.
        rows: usize,
    },
    /// Very long texts.
    LongTexts {
        /// How many.
        rows: usize,
        /// The longest of them in bytes.
        longest: usize,
    },
    /// Texts longer than the model can read.
    Truncated {
        /// How many.
        rows: usize,
        /// Their share of all texts.
        share: f64,
        /// The limit in tokens.
        limit: usize,
    },
}

impl FaultKind {
    /// How many rows have the fault, where it is a fault of rows.
    pub fn rows(&self) -> Option<usize> {
        match self {
            FaultKind::Undecodable { rows }
            | FaultKind::Ragged { rows }
            | FaultKind::BadJson { rows }
            | FaultKind::BadChats { rows }
            | FaultKind::LeftOut { rows }
            | FaultKind::LabelLists { rows }
            | FaultKind::EmptyTexts { rows }
            | FaultKind::MissingLabels { rows }
            | FaultKind::UnknownLabel { rows, .. }
            | FaultKind::LabelSpellings { rows }
            | FaultKind::Duplicates { rows }
            | FaultKind::Contradictions { rows }
            | FaultKind::SharedRows { rows }
            | FaultKind::LongTexts { rows, .. }
            | FaultKind::Truncated { rows, .. } => Some(*rows),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    /// `file:line: message` for one line, `file: message (lines …)` for several.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match (self.lines.as_slice(), self.kind.rows()) {
            ([], _) => write!(formatter, "{file}: {}", self.message),
            ([line], None | Some(1)) => write!(formatter, "{file}:{line}: {}", self.message),
            (lines, rows) => {
                let total = rows.unwrap_or(lines.len());
                write!(formatter, "{file}: {} ({})", self.message, line_list(lines, total))
            }
        }
    }
}

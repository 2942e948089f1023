//! Every fault of a data file, with its lines and a fix.
//!
//! Where [`crate::dataset::Dataset::read`] stops at the first fault, the doctor goes on and lists all of them. Faults of
//! severity [`Severity::Error`] stop a training; the others are for the user to judge. Memory grows by a few words for
//! each row (its fingerprint, to find copies), not with the texts.

mod fault;
mod report;
mod scan;

pub use fault::{Fault, FaultKind, Severity, SmallClass};

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::dataset::ReadOptions;
use crate::error::DataError;
use crate::labels::LabelSet;
use crate::reader::Reader;
use scan::Scan;

/// A number of tokens.
pub type TokenCount = usize;

/// How long a text may be for a model, and how to measure it.
#[derive(Clone, Copy)]
pub struct TokenLimit<'a> {
    /// The number of tokens of a text, special tokens included.
    pub count: &'a dyn Fn(&str) -> TokenCount,
    /// The number above which a text is truncated.
    pub limit: TokenCount,
}

/// What the doctor should know.
#[derive(Clone)]
pub struct DoctorOptions<'a> {
    /// How the files are read: columns, known labels, several labels for a text.
    pub read: ReadOptions,
    /// The model's limit on the length of a text; `None`: truncation is not examined.
    pub tokens: Option<TokenLimit<'a>>,
    /// A class with fewer rows is called small (default 20).
    pub small_class: usize,
    /// A text with more bytes is called very long (default 100,000).
    pub long_text: usize,
}

impl Default for DoctorOptions<'_> {
    fn default() -> Self {
        DoctorOptions { read: ReadOptions::default(), tokens: None, small_class: 20, long_text: 100_000 }
    }
}

/// What the doctor found.
#[derive(Debug, Clone, Serialize)]
pub struct Checkup {
    /// The training file.
    pub file: PathBuf,
    /// The test file, if there is one.
    pub test_file: Option<PathBuf>,
    /// The column of texts in the training file.
    pub text_column: String,
    /// The column of labels in the training file, if there is one.
    pub label_column: Option<String>,
    /// Rows of the training file, faulty ones included.
    pub rows: usize,
    /// Rows of the test file, faulty ones included.
    pub test_rows: Option<usize>,
    /// The classes and how many rows each has.
    pub classes: Vec<ClassCount>,
    /// All faults: errors first, then warnings, then notices.
    pub faults: Vec<Fault>,
}

/// How many rows a class has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// The label.
    pub label: String,
    /// Rows in the training file.
    pub rows: usize,
    /// Rows in the test file, if there is one.
    pub test_rows: Option<usize>,
}

impl Checkup {
    /// Whether any fault stops a training.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many faults have a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.faults.iter().filter(|fault| fault.severity == severity).count()
    }

    /// The label set that the training file defines (or that was given).
    pub fn labels(&self) -> LabelSet {
        LabelSet::from_names(self.classes.iter().map(|class| class.label.clone()))
    }
}

/// Examines a training file and, if there is one, a test file against it.
///
/// # Errors
/// Only where nothing can be examined: a file that cannot be opened or whose columns are not found. Everything else is a
/// fault in the checkup.
pub fn examine(train: &Path, test: Option<&Path>, options: &DoctorOptions<'_>) -> Result<Checkup, DataError> {
    let train = Reader::open(train, &options.read.open)?;
    let test = test.map(|path| Reader::open(path, &options.read.open)).transpose()?;
    examine_readers(train, test, options)
}

/// Examines files that are open already.
///
/// # Errors
/// As [`examine`].
pub fn examine_readers(train: Reader, test: Option<Reader>, options: &DoctorOptions<'_>) -> Result<Checkup, DataError> {
    let train = Scan::run(train, None, options)?;
    let test = test.map(|reader| Scan::run(reader, Some(&train), options)).transpose()?;
    Ok(report::checkup(&train, test.as_ref(), options))
}

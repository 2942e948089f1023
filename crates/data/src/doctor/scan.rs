//! One pass over a file, counting what is wrong.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use super::DoctorOptions;
use crate::copies::{Met, Search};
use crate::dataset::{Columns, ReadOptions, Tally, refuse_non_labels, row_labels};
use crate::error::DataError;
use crate::labels::folded;
use crate::reader::{Reader, Row};

/// What one file has.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub file: PathBuf,
    pub text_column: String,
    pub label_column: Option<String>,
    pub rows: usize,
    pub texts: usize,
    /// Every spelling of a label and the rows that have it.
    pub labels: BTreeMap<String, Tally>,
    pub undecodable: Tally,
    /// What to do about the first of them.
    pub decoding: Option<String>,
    pub ragged: Tally,
    pub bad_json: Tally,
    pub bad_chats: Tally,
    pub left_out: Tally,
    pub label_lists: Tally,
    pub empty: Tally,
    pub missing: Tally,
    pub duplicates: Tally,
    pub contradictions: Tally,
    pub shared: Tally,
    pub long: Tally,
    pub longest: usize,
    pub truncated: Tally,
    /// The fault that ended the reading early, or the label column that is none.
    pub fatal: Option<DataError>,
    pub not_labels: Option<DataError>,
    /// The texts, of which copies are to be found.
    texts_seen: Search,
}

impl Scan {
    /// Reads a file to its end or to a fault that ends it. `train` is the file that must not share rows with this one.
    pub(super) fn run(
        mut reader: Reader,
        train: Option<&Scan>,
        options: &DoctorOptions<'_>,
    ) -> Result<Scan, DataError> {
        let columns = find_columns(&reader, train, &options.read)?;
        let source = reader.source();
        let mut scan = Scan {
            file: source.path.clone(),
            text_column: source.column(columns.text).to_owned(),
            label_column: columns.label.map(|column| source.column(column).to_owned()),
            ..Scan::default()
        };
        while let Some(next) = reader.next_row() {
            let outcome = next.and_then(|row| scan.row(&row, &columns, train, options));
            match outcome {
                Err(fault) if fault.is_row_fault() => scan.row_fault(&fault),
                Err(fault) => {
                    scan.fatal = Some(fault);
                    break;
                }
                Ok(()) => {}
            }
        }
        scan.judge_labels(&reader, &columns);
        Ok(scan)
    }

    fn row(
        &mut self,
        row: &Row,
        columns: &Columns,
        train: Option<&Scan>,
        options: &DoctorOptions<'_>,
    ) -> Result<(), DataError> {
        if options.read.leaves_out(row) {
            self.rows += 1;
            self.left_out.add(row.line);
            return Ok(());
        }
        let labels = match columns.label {
            Some(column) => row_labels(row, column, options.read.multi_label)?,
            None => None,
        };
        let text = row.text(columns.text)?;
        self.rows += 1;
        if labels.is_none() && columns.label.is_some() && options.read.labels_required {
            self.missing.add(row.line);
        }
        for label in labels.iter().flatten() {
            self.labels.entry(label.clone()).or_default().add(row.line);
        }
        let text = text.trim();
        if text.is_empty() {
            self.empty.add(row.line);
            return Ok(());
        }
        self.texts += 1;
        self.measure(row.line, text, options);
        self.compare(row.line, text, labels.as_deref(), train);
        Ok(())
    }

    fn measure(&mut self, line: u64, text: &str, options: &DoctorOptions<'_>) {
        if text.len() > options.long_text {
            self.long.add(line);
            self.longest = self.longest.max(text.len());
        }
        if options.tokens.is_some_and(|tokens| (tokens.count)(text) > tokens.limit) {
            self.truncated.add(line);
        }
    }

    /// Looks for the text among the earlier rows and in the training file.
    fn compare(&mut self, line: u64, text: &str, labels: Option<&[String]>, train: Option<&Scan>) {
        // A row without label contradicts one that has any.
        let label = hash(&labels.map(|labels| labels.iter().map(|label| folded(label)).collect::<Vec<_>>()));
        match self.texts_seen.meet(text, Met { line: Some(line), class: Some(label as usize) }) {
            None => {}
            Some(found) if found.contradicts => self.contradictions.add(line),
            Some(_) => self.duplicates.add(line),
        }
        if train.is_some_and(|train| train.texts_seen.knows(text)) {
            self.shared.add(line);
        }
    }

    fn row_fault(&mut self, fault: &DataError) {
        let line = fault.line().unwrap_or(0);
        self.rows += 1;
        match fault {
            DataError::Undecodable { .. } => {
                self.decoding = self.decoding.take().or_else(|| fault.hint());
                self.undecodable.add(line);
            }
            DataError::Ragged { .. } => self.ragged.add(line),
            DataError::LabelIsList { .. } => self.label_lists.add(line),
            DataError::NoChat { .. } => self.bad_chats.add(line),
            _ => self.bad_json.add(line),
        }
    }

    fn judge_labels(&mut self, reader: &Reader, columns: &Columns) {
        let Some(column) = columns.label else { return };
        let spellings =
            self.labels.iter().map(|(label, tally)| (label.clone(), (tally.rows, tally.lines[0]))).collect();
        let rows = self.texts - self.missing.rows.min(self.texts);
        self.not_labels = refuse_non_labels(reader, columns, column, &spellings, rows).err();
    }
}

/// A test file's columns are those of the training file where it has them. Answers that may be anything are no labels.
fn find_columns(reader: &Reader, train: Option<&Scan>, options: &ReadOptions) -> Result<Columns, DataError> {
    if options.open_answers {
        return Columns::find(reader, options).map(|columns| Columns { label: None, ..columns });
    }
    let Some(train) = train else { return Columns::find(reader, options) };
    let mut like_train = options.clone();
    like_train.text_column = Some(train.text_column.clone());
    like_train.label_column = train.label_column.clone();
    Columns::find(reader, &like_train).or_else(|_| Columns::find(reader, options))
}

/// A fingerprint. Two texts share one by accident with a chance of 1 in 2^64 for each pair, and all that follows is a
/// warning too many.
fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

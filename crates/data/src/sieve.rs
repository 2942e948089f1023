//! Which rows of a file are kept, what becomes of their texts, and why the others are not.
//!
//! A [`Sieve`] judges row by row, in memory that does not grow with the file. Only texts are changed, and only as a model
//! would change them ([`Beforehand`]); all other columns pass through. What is kept is kept again: to sift twice is to sift
//! once.

mod flow;
mod follow;
mod resume;
mod sifted;

use std::path::Path;

use crate::columns;
use crate::copies::{CopyRule, Match, Met, Search};
use crate::dataset::{Columns, ReadOptions, row_labels};
use crate::error::{DataError, Role};
use crate::preparation::Beforehand;
use crate::reader::{Format, Reader, Row, Source};
pub use flow::{Sinks, balanced, sift};
pub use follow::{Outputs, follow};
use sifted::Classes;
pub use sifted::{ClassCounts, Sifted};

/// What the caller wants of the rows.
#[derive(Debug, Clone)]
pub struct SieveOptions {
    /// How the file is read.
    pub read: ReadOptions,
    /// What is done to texts.
    pub beforehand: Beforehand,
    /// How copies are looked for; `None`: they are kept.
    pub copies: Option<CopyRule>,
}

/// Judges the rows of one file, or of several with the same columns.
pub struct Sieve {
    columns: Columns,
    options: SieveOptions,
    search: Option<Search>,
    classes: Classes,
    sifted: Sifted,
}

/// What becomes of a row.
#[derive(Debug, Clone, PartialEq)]
enum Verdict {
    /// It is kept, with this text if that is another than it had.
    Keep {
        text: Option<String>,
        class: Option<usize>,
    },
    Reject(Reason),
}

/// Why a row is not kept.
#[derive(Debug, Clone, PartialEq)]
enum Reason {
    /// It cannot be read.
    Malformed(String),
    /// A chat whose answer has the weight 0.
    LeftOut,
    /// It has no text, or none is left of it.
    Empty,
    /// It repeats an earlier row, which has the label named here.
    Copy(Match, Option<String>),
    /// Its class has more rows than balance allows, or it has none.
    Balance,
}

impl Sieve {
    /// A sieve for the rows of a file.
    ///
    /// # Errors
    /// A column that is not found; chats, where texts are to be rewritten.
    pub fn new(source: &Source, options: SieveOptions) -> Result<Sieve, DataError> {
        let columns = Columns::of(source, &options.read)?;
        if columns.text >= source.header.len() && !options.beforehand.is_identity() {
            return Err(DataError::ChatsStay { path: source.path.clone() });
        }
        let sifted = Sifted {
            text_column: source.column(columns.text).to_owned(),
            label_column: columns.label.map(|column| source.column(column).to_owned()),
            preparation: options.beforehand.to_string(),
            ..Sifted::default()
        };
        let search = options.copies.map(Search::new);
        Ok(Sieve { columns, options, search, classes: Classes::default(), sifted })
    }

    /// The column whose texts may be written anew.
    fn rewritten(&self) -> Option<usize> {
        (!self.options.beforehand.is_identity()).then_some(self.columns.text)
    }

    /// Judges the next row, or the fault of a single row in its place.
    ///
    /// # Errors
    /// A fault that is not one of a single row.
    fn judge(&mut self, row: &Result<Row, DataError>) -> Result<Verdict, DataError> {
        self.sifted.read += 1;
        let malformed = |fault: &DataError| Verdict::Reject(Reason::Malformed(fault.to_string()));
        let (line, verdict) = match row {
            Err(fault) => (fault.line().unwrap_or(0), malformed(fault)),
            Ok(row) => match self.judge_sound(row) {
                Err(fault) if fault.is_row_fault() => (row.line, malformed(&fault)),
                verdict => (row.line, verdict?),
            },
        };
        self.count(line, &verdict);
        Ok(verdict)
    }

    fn judge_sound(&mut self, row: &Row) -> Result<Verdict, DataError> {
        if self.options.read.leaves_out(row) {
            return Ok(Verdict::Reject(Reason::LeftOut));
        }
        let class = self.class(row, self.columns.label)?;
        if let Some(class) = class {
            self.classes.counts[class].read += 1;
        }
        let raw = row.text(self.columns.text)?;
        let text = self.options.beforehand.rewrite(&raw);
        if text.is_empty() {
            return Ok(Verdict::Reject(Reason::Empty));
        }
        let met = Met { line: Some(row.line), class };
        if let Some(found) = self.search.as_mut().and_then(|search| search.meet(&text, met)) {
            let label = found.earlier.class.map(|class| self.classes.counts[class].label.clone());
            return Ok(Verdict::Reject(Reason::Copy(found, label)));
        }
        let changed = *text != *raw && self.rewritten().is_some();
        Ok(Verdict::Keep { text: changed.then(|| text.into_owned()), class })
    }

    fn class(&mut self, row: &Row, column: Option<usize>) -> Result<Option<usize>, DataError> {
        let Some(column) = column else { return Ok(None) };
        let labels = row_labels(row, column, self.options.read.multi_label)?;
        Ok(labels.filter(|labels| !labels.is_empty()).and_then(|labels| self.classes.of(&labels.join("|"))))
    }

    fn count(&mut self, line: u64, verdict: &Verdict) {
        let sifted = &mut self.sifted;
        match verdict {
            Verdict::Keep { class, .. } => {
                sifted.kept += 1;
                match class {
                    Some(class) => self.classes.counts[*class].kept += 1,
                    None => sifted.unlabelled += usize::from(self.columns.label.is_some()),
                }
            }
            Verdict::Reject(Reason::Malformed(fault)) => {
                sifted.malformed += 1;
                sifted.first_malformed.get_or_insert_with(|| fault.clone());
            }
            Verdict::Reject(Reason::LeftOut) => sifted.left_out += 1,
            Verdict::Reject(Reason::Empty) => sifted.empty += 1,
            Verdict::Reject(Reason::Copy(found, _)) => sifted.copies.add(line, found),
            Verdict::Reject(Reason::Balance) => {}
        }
    }

    fn count_written(&mut self, class: Option<usize>, changed: bool, times: usize) {
        self.sifted.written += times;
        self.sifted.changed += usize::from(changed);
        class.into_iter().for_each(|class| self.classes.counts[class].written += times);
    }

    /// Remembers the rows of a file that an earlier sieve has kept, so that their copies are known.
    ///
    /// # Errors
    /// A file that cannot be read or has other columns than `source`.
    fn recall(&mut self, kept: &Path, source: &Source) -> Result<(), DataError> {
        let mut reader = match Reader::open(kept, &self.options.read.open) {
            Err(DataError::Empty { .. }) => return Ok(()),
            reader => reader?,
        };
        if reader.source().format != Format::Jsonl && reader.header() != source.header {
            return Err(DataError::BadOutput {
                path: kept.to_path_buf(),
                problem: "it has other columns than the file that is followed",
                advice: "name another file to write",
            });
        }
        let text = columns::find(reader.source(), Role::Text, Some(&self.sifted.text_column))?;
        let label = self.sifted.label_column.as_deref();
        let label = label.and_then(|label| columns::find(reader.source(), Role::Label, Some(label)).ok());
        while let Some(row) = reader.next_row() {
            let row = match row {
                Err(DataError::NoRows { .. }) => break,
                row => row?,
            };
            let met = Met { line: None, class: self.class(&row, label)? };
            let text = row.text(text)?;
            if let Some(search) = &mut self.search {
                search.meet(&text, met);
            }
        }
        Ok(())
    }

    /// What became of the rows.
    pub fn finish(self) -> Sifted {
        let notice = self.search.as_ref().and_then(Search::notice);
        let mut sifted = self.sifted;
        sifted.notices.extend(notice);
        sifted.notices.extend(self.classes.notice());
        sifted.copies = std::mem::take(&mut sifted.copies).finish();
        sifted.classes = self.classes.finish();
        sifted
    }
}

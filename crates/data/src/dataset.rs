//! A whole file of examples, checked.

mod notice;
mod refusal;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::chat::Chat;
use crate::columns;
use crate::error::{DataError, Role};
use crate::labels::{self, LabelSet, Target};
use crate::reader::{OpenOptions, Reader, Row, Source};

pub use notice::Notice;
pub(crate) use notice::{counted, line_list};
pub(crate) use refusal::refuse_non_labels;

/// How many lines a notice names.
pub const NAMED_LINES: usize = 10;

/// One text and what it is labelled with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Example {
    /// The text, as in the file without surrounding white space.
    pub text: String,
    /// Its class or classes; `None` in a file without labels.
    pub target: Option<Target>,
    /// The line on which its row starts, counting from 1; for Parquet the number of the row.
    pub line: u64,
    /// The values of the columns that [`ReadOptions::columns`] asks for, in that order; `None` where the file has a null.
    pub columns: Vec<Option<String>>,
    /// The whole chat, where [`ReadOptions::chats`] asks for it and the file holds chats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat: Option<Chat>,
}

impl Example {
    /// A text alone, from no file.
    pub fn from_text(text: &str) -> Example {
        Example { text: text.trim().to_owned(), ..Example::default() }
    }

    /// Its class, where it has one and no other.
    pub fn only_class(&self) -> Option<usize> {
        match self.target.as_ref()?.classes() {
            [class] => Some(*class),
            _ => None,
        }
    }

    /// The text of a row with the columns of these indices, and without its label.
    ///
    /// # Errors
    /// A Parquet column whose type has no plain text form.
    pub fn from_row(row: &Row, text: usize, columns: &[usize]) -> Result<Example, DataError> {
        let values = columns.iter().map(|&column| Ok(row.cell(column)?.map(Cow::into_owned)));
        let columns = values.collect::<Result<_, DataError>>()?;
        Ok(Example { text: row.text(text)?.trim().to_owned(), line: row.line, columns, ..Example::default() })
    }

    /// The same with the whole chat, where the row is one.
    ///
    /// # Errors
    /// A line that is no chat in a file of chats.
    pub fn with_chat(self, row: &Row) -> Result<Example, DataError> {
        let chat = row.source().chat.map(|_| Chat::from_row(row)).transpose()?;
        Ok(Example { chat, ..self })
    }
}

/// What the caller knows about a file of examples.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// How the file is written.
    pub open: OpenOptions,
    /// The column of texts; `None`: found by name.
    pub text_column: Option<String>,
    /// The column of labels; `None`: found by name.
    pub label_column: Option<String>,
    /// The labels that may occur; `None`: those that the file has.
    pub known: Option<LabelSet>,
    /// The separator between labels where a text can have several (`|` by custom; JSON arrays need none); `None`: every
    /// text has one label.
    pub multi_label: Option<char>,
    /// Whether a file without label column, or a row without label, is refused.
    pub labels_required: bool,
    /// Whether labels that a file has are passed over.
    pub ignore_labels: bool,
    /// Other columns whose values are wanted with each text.
    pub columns: Vec<String>,
    /// Whether the whole chat is wanted with each text of a file of chats.
    pub chats: bool,
    /// Whether the answers of chats may be anything. Then a chat is left out only if it teaches nothing, an answer that is not
    /// known or not to be learnt is no label, and answers that are no closed set are no labels at all.
    pub open_answers: bool,
}

impl Default for ReadOptions {
    fn default() -> Self {
        ReadOptions {
            open: OpenOptions::default(),
            text_column: None,
            label_column: None,
            known: None,
            multi_label: None,
            labels_required: true,
            ignore_labels: false,
            columns: Vec::new(),
            chats: false,
            open_answers: false,
        }
    }
}

impl ReadOptions {
    /// Whether nothing is to be learnt from a row.
    pub(crate) fn leaves_out(&self, row: &Row) -> bool {
        if self.open_answers { row.teaches_nothing() } else { row.is_left_out() }
    }
}

/// A file of examples, held in memory.
#[derive(Debug, Clone, Serialize)]
pub struct Dataset {
    /// The examples in the order of the file, without those whose text is empty.
    pub examples: Vec<Example>,
    /// The classes: those of the file, or those that were given.
    pub labels: LabelSet,
    /// What was done to the data.
    pub notices: Vec<Notice>,
    /// The file.
    pub source: PathBuf,
    /// The name of the column of texts.
    pub text_column: String,
    /// The name of the column of labels, where there is one.
    pub label_column: Option<String>,
}

impl Dataset {
    /// Reads a file and stops at its first fault.
    ///
    /// # Errors
    /// Everything that [`Reader`] refuses; a column that is not found; a missing or unknown label; a label column of
    /// real numbers, or with a value of its own in nearly every row; a file without any text.
    pub fn read(path: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
        Dataset::from_reader(Reader::open(path, &options.open)?, options)
    }

    /// Reads the rows of a file that is open already.
    ///
    /// # Errors
    /// As [`Dataset::read`].
    pub fn from_reader(mut reader: Reader, options: &ReadOptions) -> Result<Dataset, DataError> {
        let columns = Columns::find(&reader, options)?;
        let mut gathered = Gathered::default();
        while let Some(row) = reader.next_row() {
            gathered.take(&row?, &columns, options)?;
        }
        gathered.finish(&reader, columns, options)
    }

    /// How many examples each class has. A text with several labels counts for each.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.labels.len()];
        for class in self.examples.iter().filter_map(|example| example.target.as_ref()).flat_map(Target::classes) {
            counts[*class] += 1;
        }
        counts
    }
}

/// The columns in use, as indices into the header.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    pub text: usize,
    pub label: Option<usize>,
    pub others: Vec<usize>,
}

impl Columns {
    pub(crate) fn find(reader: &Reader, options: &ReadOptions) -> Result<Columns, DataError> {
        Columns::of(reader.source(), options)
    }

    pub(crate) fn of(source: &Source, options: &ReadOptions) -> Result<Columns, DataError> {
        let text = columns::find(source, Role::Text, options.text_column.as_deref())?;
        let label = match columns::find(source, Role::Label, options.label_column.as_deref()) {
            _ if options.ignore_labels => None,
            Ok(column) => Some(column).filter(|column| *column != text || options.label_column.is_some()),
            Err(_) if !options.labels_required && options.label_column.is_none() => None,
            Err(fault) => return Err(fault),
        };
        let others = columns::find_all(source, &options.columns)?;
        if let Some(column) = label.filter(|label| others.contains(label)) {
            return Err(DataError::LabelAsFeature {
                path: source.path.clone(),
                column: source.column(column).to_owned(),
            });
        }
        Ok(Columns { text, label, others })
    }
}

/// The labels of a row as the file writes them, tidied; `None` where there is no label.
pub(crate) fn row_labels(row: &Row, column: usize, separator: Option<char>) -> Result<Option<Vec<String>>, DataError> {
    let Some(separator) = separator else {
        if row.is_nested(column) {
            let source = row.source();
            let (path, column) = (source.path.clone(), source.column(column).to_owned());
            return Err(DataError::LabelIsList { path, line: row.line, column });
        }
        let label = row.text(column)?;
        return Ok((!labels::is_missing(&label)).then(|| vec![labels::tidy(&label)]));
    };
    let items = match row.list(column)? {
        Some(items) => items,
        None => {
            let text = row.text(column)?;
            if labels::is_missing(&text) {
                return Ok(None);
            }
            text.split(separator).map(str::to_owned).collect()
        }
    };
    Ok(Some(items.iter().map(|item| labels::tidy(item)).filter(|item| !item.is_empty()).collect()))
}

/// The number of rows with a spelling and the first line that has it.
type Spellings = BTreeMap<String, (usize, u64)>;

/// Rows read so far. Labels stay spellings until all of them are known.
#[derive(Default)]
struct Gathered {
    texts: Vec<(Example, Option<Vec<String>>)>,
    spellings: Spellings,
    empty: Tally,
    left_out: Tally,
}

/// How many rows something is said of, and the first of their lines.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub rows: usize,
    pub lines: Vec<u64>,
}

impl Tally {
    pub(crate) fn add(&mut self, line: u64) {
        self.rows += 1;
        if self.lines.len() < NAMED_LINES {
            self.lines.push(line);
        }
    }
}

impl Gathered {
    fn take(&mut self, row: &Row, columns: &Columns, options: &ReadOptions) -> Result<(), DataError> {
        if options.leaves_out(row) {
            self.left_out.add(row.line);
            return Ok(());
        }
        let label = match columns.label.filter(|_| !row.is_left_out()) {
            None => None,
            Some(column) => {
                let label = row_labels(row, column, options.multi_label)?;
                if label.is_none() && options.labels_required && !options.open_answers {
                    let source = row.source();
                    let column = source.column(column).to_owned();
                    return Err(DataError::MissingLabel { path: source.path.clone(), line: row.line, column });
                }
                label
            }
        };
        for spelling in label.iter().flatten() {
            self.spellings.entry(spelling.clone()).or_insert((0, row.line)).0 += 1;
        }
        let example = Example::from_row(row, columns.text, &columns.others)?;
        let example = if options.chats { example.with_chat(row)? } else { example };
        if example.text.is_empty() && example.chat.is_none() {
            self.empty.add(row.line);
        } else {
            self.texts.push((example, label));
        }
        Ok(())
    }

    fn finish(mut self, reader: &Reader, columns: Columns, options: &ReadOptions) -> Result<Dataset, DataError> {
        let source = reader.source();
        if self.texts.is_empty() {
            return Err(DataError::NoRows { path: source.path.clone() });
        }
        let labelled = self.texts.iter().filter(|(_, label)| label.is_some()).count();
        let known = options.known.as_ref();
        let refused = match (columns.label, known) {
            (Some(column), None) => refuse_non_labels(reader, &columns, column, &self.spellings, labelled).err(),
            _ => None,
        };
        match refused {
            Some(DataError::OpenAnswers { .. }) if options.open_answers => self.forget_labels(|_| false),
            Some(refusal) => return Err(refusal),
            None if options.open_answers => {
                self.forget_labels(|spelling| known.is_none_or(|known| known.class(spelling).is_some()));
            }
            None => {}
        }
        let (labels, classes) = resolve(&source.path, &self.spellings, known)?;
        let mut notices = normalisation(&self.spellings, &labels, &classes);
        if self.empty.rows > 0 {
            notices.push(Notice::EmptyTexts { rows: self.empty.rows, lines: self.empty.lines });
        }
        if self.left_out.rows > 0 {
            notices.push(Notice::LeftOut { rows: self.left_out.rows, lines: self.left_out.lines });
        }
        let multiple = options.multi_label.is_some();
        let examples = self.texts.into_iter().map(|(example, spellings)| {
            let target = spellings.map(|spellings| target(&spellings, &classes, multiple));
            Example { target, ..example }
        });
        Ok(Dataset {
            examples: examples.collect(),
            labels,
            notices,
            source: source.path.clone(),
            text_column: source.column(columns.text).to_owned(),
            label_column: columns.label.map(|column| source.column(column).to_owned()),
        })
    }

    /// Keeps only such labels as `are_labels` says.
    fn forget_labels(&mut self, are_labels: impl Fn(&str) -> bool) {
        self.spellings.retain(|spelling, _| are_labels(spelling));
        for (_, label) in &mut self.texts {
            label.take_if(|spellings| !spellings.iter().all(|spelling| are_labels(spelling)));
        }
    }
}

/// The label set and the class of every spelling.
fn resolve(
    path: &Path,
    spellings: &Spellings,
    known: Option<&LabelSet>,
) -> Result<(LabelSet, BTreeMap<String, usize>), DataError> {
    let Some(known) = known else {
        let vocabulary = labels::build(spellings.keys().map(String::as_str));
        return Ok((vocabulary.set, vocabulary.classes));
    };
    let mut classes = BTreeMap::new();
    let mut unknown: Option<(u64, &String)> = None;
    for (spelling, (_, line)) in spellings {
        match known.class(spelling) {
            Some(class) => {
                classes.insert(spelling.clone(), class);
            }
            None if unknown.is_none_or(|(first, _)| *line < first) => unknown = Some((*line, spelling)),
            None => {}
        }
    }
    match unknown {
        None => Ok((known.clone(), classes)),
        Some((line, label)) => Err(DataError::UnknownLabel {
            path: path.to_path_buf(),
            line,
            label: label.clone(),
            known: known.names().to_vec(),
        }),
    }
}

fn normalisation(spellings: &Spellings, labels: &LabelSet, classes: &BTreeMap<String, usize>) -> Vec<Notice> {
    let mut rows = 0;
    let mut changes = Vec::new();
    for (spelling, class) in classes {
        if labels.name(*class) != spelling {
            rows += spellings.get(spelling).map_or(0, |(count, _)| *count);
            changes.push((spelling.clone(), labels.name(*class).to_owned()));
        }
    }
    if changes.is_empty() { Vec::new() } else { vec![Notice::LabelsNormalised { rows, changes }] }
}

fn target(spellings: &[String], classes: &BTreeMap<String, usize>, multiple: bool) -> Target {
    let mut found: Vec<usize> = spellings.iter().filter_map(|spelling| classes.get(spelling).copied()).collect();
    found.sort_unstable();
    found.dedup();
    match found.first() {
        Some(class) if !multiple => Target::Class(*class),
        _ => Target::Classes(found),
    }
}

//! What can be wrong with a file of texts, and what to do about it.

mod hints;

use std::io;
use std::path::{Path, PathBuf};

pub(crate) use hints::{backticked, nearest, unknown_label_hint};
use hints::{
    column_hint, feature_hint, float_labels_hint, io_hint, not_found_hint, other_columns, speakers_hint,
    undecodable_hint,
};

use crate::chat;

/// Everything that stops the reading, checking or writing of a data file.
///
/// The message says what is wrong and where (`file:line`); [`DataError::hint`] says what to do. Line numbers count
/// from 1 and name the physical line on which a record starts; for Parquet they count rows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// There is no file at this path.
    #[error("{}: no such file", path.display())]
    NotFound {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The path names a directory.
    #[error("{}: is a directory, not a data file", path.display())]
    IsDirectory {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The file exists and may not be read, or reading failed on the way.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The file has no bytes, or nothing but blank lines.
    #[error("{}: the file is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file has a header and nothing below it, or a Parquet file has no rows.
    #[error("{}: the file has a header and no rows", path.display())]
    NoRows {
        /// The file.
        path: PathBuf,
    },
    /// The first bytes belong to another kind of file.
    #[error("{}: looks like {found}, not like CSV, TSV, JSON lines or Parquet", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What it looks like.
        found: &'static str,
        /// What to do about it.
        advice: &'static str,
    },
    /// Bytes that are not text in the file's encoding.
    #[error("{}:{line}: {} not {encoding} text{}", path.display(), byte_phrase(*byte), in_column(column))]
    Undecodable {
        /// The file.
        path: PathBuf,
        /// Where the record starts.
        line: u64,
        /// The column, where the record could be split.
        column: Option<String>,
        /// The first offending byte; `None` where the file is not UTF-8 and the byte is not known.
        byte: Option<u8>,
        /// The encoding the file was read as.
        encoding: &'static str,
        /// The encoding that its beginning looks like, where that is no UTF-8.
        likely: Option<&'static str>,
    },
    /// A file of UTF-8 that is to be read in another encoding.
    #[error("{}: the file is UTF-8, not {encoding}", path.display())]
    IsUtf8 {
        /// The file.
        path: PathBuf,
        /// The encoding that was asked for.
        encoding: &'static str,
    },
    /// A row with another number of fields than the header.
    #[error("{}:{line}: the row has {} and the header has {expected}", path.display(), fields(*found))]
    Ragged {
        /// The file.
        path: PathBuf,
        /// Where the row starts.
        line: u64,
        /// Fields in the row.
        found: usize,
        /// Fields in the header.
        expected: usize,
        /// The delimiter in use.
        delimiter: char,
    },
    /// A quoted field that runs to the end of the file.
    #[error("{}:{line}: a quoted field starts here and never ends", path.display())]
    UnclosedQuote {
        /// The file.
        path: PathBuf,
        /// Where the record starts.
        line: u64,
        /// The quote character in use.
        quote: char,
    },
    /// A record above the limit on its size.
    #[error("{}:{line}: the record is longer than {}", path.display(), mebibytes(*limit))]
    RecordTooLong {
        /// The file.
        path: PathBuf,
        /// Where the record starts.
        line: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// A line of a JSON-lines file that is not JSON.
    #[error("{}:{line}: not JSON: {message}", path.display())]
    BadJson {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u64,
        /// What the parser met.
        message: String,
    },
    /// A line of a JSON-lines file that is JSON and not an object.
    #[error("{}:{line}: expected a JSON object, found {found}", path.display())]
    NotAnObject {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u64,
        /// The kind of value there.
        found: &'static str,
    },
    /// A line of a file of chats that is no chat.
    #[error("{}:{line}: {fault}", path.display())]
    NoChat {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u64,
        /// The first thing that is wrong with it.
        fault: chat::Fault,
    },
    /// Chats whose answers are no labels, where labels are needed.
    #[error("{}: {answers} different answers in {rows} chats are no closed set of labels", path.display())]
    OpenAnswers {
        /// The file.
        path: PathBuf,
        /// How many different answers there are.
        answers: usize,
        /// How many chats have one.
        rows: usize,
    },
    /// A Parquet file that is cut short or contradicts itself.
    #[error("{}: not a readable Parquet file: {message}", path.display())]
    BadParquet {
        /// The file.
        path: PathBuf,
        /// What the library met.
        message: String,
    },
    /// A Parquet column whose values have no plain text form.
    #[error("{}: column `{column}` has type {found}, which cannot be read as text", path.display())]
    UnsupportedType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Its type.
        found: String,
    },
    /// No column fits a role, or the column asked for is not there.
    #[error("{}: {}", path.display(), missing_column(*role, wanted))]
    ColumnNotFound {
        /// The file.
        path: PathBuf,
        /// What the column was wanted for.
        role: Role,
        /// The name that was asked for, if one was.
        wanted: Option<String>,
        /// The columns the file has.
        columns: Vec<String>,
    },
    /// A row without a label.
    #[error("{}:{line}: the label is missing (column `{column}`)", path.display())]
    MissingLabel {
        /// The file.
        path: PathBuf,
        /// The row.
        line: u64,
        /// The label column.
        column: String,
    },
    /// A row without a value in the column that the rows are split by.
    #[error("{}:{line}: column `{column}` is empty, and the rows are split by it", path.display())]
    MissingValue {
        /// The file.
        path: PathBuf,
        /// The row.
        line: u64,
        /// The column.
        column: String,
    },
    /// A value that is no time in the column that the rows are split by.
    #[error("{}:{line}: `{value}` in column `{column}` is no time", path.display())]
    NoTime {
        /// The file.
        path: PathBuf,
        /// The row.
        line: u64,
        /// The column.
        column: String,
        /// What stands there.
        value: String,
    },
    /// A label outside a set that is already fixed.
    #[error("{}:{line}: label `{label}` is not in the label set", path.display())]
    UnknownLabel {
        /// The file.
        path: PathBuf,
        /// The first row that has it.
        line: u64,
        /// The label.
        label: String,
        /// The labels that exist.
        known: Vec<String>,
    },
    /// A label column of real numbers.
    #[error("{}:{line}: column `{column}` holds real numbers such as `{value}`, not classes", path.display())]
    FloatLabels {
        /// The file.
        path: PathBuf,
        /// The first row with a real number.
        line: u64,
        /// The label column.
        column: String,
        /// The number found there.
        value: String,
        /// The other columns of the file.
        others: Vec<String>,
    },
    /// A label column in which nearly every row has its own value.
    #[error("{}: column `{column}` has {labels} different values in {rows} rows: not a label", path.display())]
    TooManyLabels {
        /// The file.
        path: PathBuf,
        /// The label column.
        column: String,
        /// How many different values it has.
        labels: usize,
        /// How many rows have a value.
        rows: usize,
        /// The other columns of the file.
        others: Vec<String>,
    },
    /// A class that cannot be in every fold.
    #[error("label `{class}` has {texts} different texts, too few for {folds} folds")]
    FewerThanFolds {
        /// The class.
        class: String,
        /// How many different texts it has.
        texts: usize,
        /// How many folds were asked for.
        folds: usize,
    },
    /// A list of labels where one label is expected.
    #[error("{}:{line}: column `{column}` holds a list or an object, not one label", path.display())]
    LabelIsList {
        /// The file.
        path: PathBuf,
        /// The row.
        line: u64,
        /// The label column.
        column: String,
    },
    /// A feature is neither measured on the text nor a column of the file.
    #[error("{}: there is no column `{column}`, which is asked for as a feature", path.display())]
    NoFeatureColumn {
        /// The file.
        path: PathBuf,
        /// The column asked for.
        column: String,
        /// The columns the file has.
        columns: Vec<String>,
    },
    /// The column of labels is asked for as a feature.
    #[error("{}: column `{column}` holds the labels and cannot be a feature", path.display())]
    LabelAsFeature {
        /// The file.
        path: PathBuf,
        /// The label column.
        column: String,
    },
    /// A column of words with too many different values to be a feature.
    #[error("column `{column}` has more than {most} different values, too many for a feature")]
    TooManyCategories {
        /// The column.
        column: String,
        /// The most that a feature may have.
        most: usize,
    },
    /// Texts are to be taken apart as conversations, and no text has a known speaker.
    #[error("{}:{line}: no speaker is known in this text, nor in any other of the file", path.display())]
    NoSpeakers {
        /// The file.
        path: PathBuf,
        /// The first row.
        line: u64,
        /// Names that stand where a speaker's would, the commonest first.
        candidates: Vec<String>,
    },
    /// The customer's turns are to be read, and no text has one.
    #[error("{}:{line}: no turn of this text is the customer's, nor of any other of the file", path.display())]
    NoCustomer {
        /// The file.
        path: PathBuf,
        /// The first row.
        line: u64,
        /// Names of nobody known that stand where a speaker's would, the commonest first.
        candidates: Vec<String>,
    },
    /// A key that the output's fixed columns have no place for.
    #[error("{}:{line}: key `{key}` {problem}", path.display())]
    ExtraKey {
        /// The input file.
        path: PathBuf,
        /// The row.
        line: u64,
        /// The key.
        key: String,
        /// Why it cannot be written.
        problem: &'static str,
    },
    /// A value that a file without quoting cannot hold.
    #[error("{}: value `{value}` needs quotes, and the input file uses none", path.display())]
    NeedsQuotes {
        /// The output file.
        path: PathBuf,
        /// The value.
        value: String,
    },
    /// The texts of chats are to be rewritten, which are made of messages and stand in no column.
    #[error("{}: the texts of chats cannot be rewritten", path.display())]
    ChatsStay {
        /// The file.
        path: PathBuf,
    },
    /// A file that cannot be read while it grows.
    #[error("{}: {problem}", path.display())]
    CannotFollow {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: &'static str,
        /// What to do about it.
        advice: &'static str,
    },
    /// A file that was replaced while its last row was not complete.
    #[error("{}:{line}: the file ends in the middle of a row", path.display())]
    CutShort {
        /// The file.
        path: PathBuf,
        /// Where the row starts.
        line: u64,
    },
    /// The output could not be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Unwritable {
        /// The output file.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The output's format cannot go where it was sent.
    #[error("{}: {problem}", path.display())]
    BadOutput {
        /// The output file.
        path: PathBuf,
        /// Why not.
        problem: &'static str,
        /// What to do about it.
        advice: &'static str,
    },
}

/// What a column is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The texts.
    Text,
    /// The labels.
    Label,
    /// What keeps rows on one side of a split.
    Group,
    /// When the texts were written.
    Time,
}

impl Role {
    /// The word for this role in messages, settings and flags, such as `text`.
    pub fn word(self) -> &'static str {
        match self {
            Role::Text => "text",
            Role::Label => "label",
            Role::Group => "group",
            Role::Time => "time",
        }
    }
}

impl DataError {
    /// What the user can do about it, without a trailing period.
    pub fn hint(&self) -> Option<String> {
        self.row_hint().or_else(|| self.file_hint())
    }

    /// Advice for faults of single rows.
    fn row_hint(&self) -> Option<String> {
        Some(match self {
            DataError::Undecodable { byte: None, encoding, likely, .. }
                if likely.is_none_or(|one| one == *encoding) =>
            {
                format!(
                    "the row is damaged, or the file is in another encoding than {encoding}: save it again as UTF-8"
                )
            }
            DataError::Undecodable { likely, .. } => undecodable_hint(*likely),
            DataError::Ragged { delimiter, .. } => format!(
                "put quotes around fields that contain the delimiter (`{}`) or a line break, or give the delimiter",
                delimiter.escape_default()
            ),
            DataError::UnclosedQuote { quote, .. } => {
                format!("close the field with `{quote}`; a `{quote}` inside a quoted field is written twice")
            }
            DataError::RecordTooLong { .. } => {
                "check for a quote that is never closed or missing line breaks before this line".to_owned()
            }
            DataError::BadJson { .. } => "write one JSON object on each line, such as `{\"text\": \"…\"}`".to_owned(),
            DataError::NotAnObject { .. } => "each line must be an object such as `{\"text\": \"…\"}`".to_owned(),
            DataError::NoChat { fault, .. } => fault.kind.hint().to_owned(),
            DataError::MissingLabel { .. } => "fill in the label or remove the row".to_owned(),
            DataError::MissingValue { .. } => "fill in the value, remove the row, or split in another way".to_owned(),
            DataError::NoTime { .. } => {
                "write times as `2026-03-01`, `2026-03-01T10:30:00Z` or seconds since 1970".to_owned()
            }
            DataError::UnknownLabel { label, known, .. } => unknown_label_hint(label, known),
            DataError::FewerThanFolds { texts: 0 | 1, .. } => {
                "add texts of this label or merge it with another".to_owned()
            }
            DataError::FewerThanFolds { texts, .. } => {
                format!("ask for at most {texts} folds, add texts of this label, or merge it with another")
            }
            DataError::LabelIsList { .. } => "ask for multi-label classification with `--multi-label`".to_owned(),
            DataError::ExtraKey { .. } => "write to a `.jsonl` file, or rename the key in the input".to_owned(),
            DataError::NeedsQuotes { .. } => "write to a `.jsonl` file instead".to_owned(),
            _ => return None,
        })
    }

    /// Advice for faults of whole files.
    fn file_hint(&self) -> Option<String> {
        Some(match self {
            DataError::NotFound { path } => not_found_hint(path),
            DataError::IsDirectory { .. } => {
                "name a file inside it (`.csv`, `.tsv`, `.jsonl` or `.parquet`)".to_owned()
            }
            DataError::Unreadable { source, .. } | DataError::Unwritable { source, .. } => return io_hint(source),
            DataError::Empty { .. } => {
                "a data file has a header line such as `text,label` and one row for each text".to_owned()
            }
            DataError::NoRows { .. } => "add rows below the header".to_owned(),
            DataError::UnknownFormat { advice, .. }
            | DataError::BadOutput { advice, .. }
            | DataError::CannotFollow { advice, .. } => (*advice).to_owned(),
            DataError::ChatsStay { .. } => {
                "leave `conversation` off and `clean` empty here (`--set clean=[]`) and give them to `finetone train`, which does them to the texts it \
                 makes of chats"
                    .to_owned()
            }
            DataError::IsUtf8 { .. } => {
                "leave out `--encoding`; of several files, save all in one encoding, such as UTF-8".to_owned()
            }
            DataError::BadParquet { .. } => "the file may be cut short: copy or export it again".to_owned(),
            DataError::UnsupportedType { .. } => {
                "convert the column to text or whole numbers, or name another".to_owned()
            }
            DataError::ColumnNotFound { role, wanted, columns, .. } => column_hint(*role, wanted.as_deref(), columns),
            DataError::NoFeatureColumn { column, columns, .. } => feature_hint(column, columns),
            DataError::LabelAsFeature { .. } => {
                "take it out of `features`: a model that is told the answer learns nothing else".to_owned()
            }
            DataError::TooManyCategories { .. } => "take the column out of `features`, or group its values".to_owned(),
            DataError::NoSpeakers { candidates, .. } => speakers_hint("agent", candidates),
            DataError::NoCustomer { candidates, .. } => speakers_hint("customer", candidates),
            DataError::FloatLabels { value, others, .. } => float_labels_hint(value, others),
            DataError::OpenAnswers { .. } => {
                "an encoder chooses from a few answers: end each chat with one of a few labels, such as `Positive` or `Negative`; \
                 answers in free words are for a model that writes them"
                    .to_owned()
            }
            DataError::TooManyLabels { others, .. } => format!(
                "this looks like a text or identifier column: name the label column with `--label-column`{}",
                other_columns(others)
            ),
            _ => return None,
        })
    }

    /// Whether reading can go on with the next row.
    ///
    /// The doctor goes on after such a fault so that it can list all of them; everyone else stops.
    pub fn is_row_fault(&self) -> bool {
        matches!(
            self,
            DataError::Undecodable { .. }
                | DataError::Ragged { .. }
                | DataError::BadJson { .. }
                | DataError::NotAnObject { .. }
                | DataError::NoChat { .. }
                | DataError::LabelIsList { .. }
                | DataError::CutShort { .. }
        )
    }

    /// The line (or Parquet row) the error belongs to, counting from 1.
    pub fn line(&self) -> Option<u64> {
        match self {
            DataError::Undecodable { line, .. }
            | DataError::Ragged { line, .. }
            | DataError::UnclosedQuote { line, .. }
            | DataError::RecordTooLong { line, .. }
            | DataError::BadJson { line, .. }
            | DataError::NotAnObject { line, .. }
            | DataError::NoChat { line, .. }
            | DataError::MissingLabel { line, .. }
            | DataError::MissingValue { line, .. }
            | DataError::NoTime { line, .. }
            | DataError::UnknownLabel { line, .. }
            | DataError::FloatLabels { line, .. }
            | DataError::LabelIsList { line, .. }
            | DataError::NoSpeakers { line, .. }
            | DataError::NoCustomer { line, .. }
            | DataError::CutShort { line, .. }
            | DataError::ExtraKey { line, .. } => Some(*line),
            _ => None,
        }
    }

    /// An error of the operating system while opening or reading `path`.
    pub(crate) fn reading(path: &Path, source: io::Error) -> DataError {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::NotFound => DataError::NotFound { path },
            io::ErrorKind::IsADirectory => DataError::IsDirectory { path },
            _ => DataError::Unreadable { path, source },
        }
    }

    /// An error of the operating system while creating or writing `path`.
    pub(crate) fn writing(path: &Path, source: io::Error) -> DataError {
        DataError::Unwritable { path: path.to_path_buf(), source }
    }
}

fn byte_phrase(byte: Option<u8>) -> String {
    byte.map_or_else(|| "bytes that are".to_owned(), |byte| format!("byte 0x{byte:02X} is"))
}

fn in_column(column: &Option<String>) -> String {
    column.as_ref().map(|name| format!(" (column `{name}`)")).unwrap_or_default()
}

fn fields(count: usize) -> String {
    if count == 1 { "1 field".to_owned() } else { format!("{count} fields") }
}

fn mebibytes(bytes: usize) -> String {
    if bytes >= 1 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{bytes} bytes") }
}

fn missing_column(role: Role, wanted: &Option<String>) -> String {
    match wanted {
        Some(name) => format!("there is no column `{name}`"),
        None => format!("no column looks like the {}", role.word()),
    }
}

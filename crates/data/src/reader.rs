//! Data files read row by row: CSV, TSV, JSON lines and Parquet.
//!
//! [`Reader::open`] finds out what the file is and yields [`Row`]s; memory does not grow with the file. A row knows the
//! line on which it starts and keeps what the file said, so that [`crate::writer::Writer`] can write it back unchanged:
//! `007` stays `007`, `1.10` stays `1.10`, and a Parquet column keeps its type.
//!
//! The format follows from the extension (`.csv`, `.tsv`, `.tab`, `.jsonl`, `.ndjson`, `.json`, `.parquet`, `.pq`) and,
//! failing that, from the first bytes. JSON lines with lists of messages are chats ([`crate::chat`]). Text is in the encoding
//! that its byte-order mark says or else [`OpenOptions`] names: UTF-8 by default; it is never guessed. Delimiter and quote are found
//! from the first rows unless [`OpenOptions`] gives them. The name `-` means standard input.

mod columnar;
mod delimited;
mod encoding;
mod input;
mod json_lines;
mod row;
mod sniff;
mod tail;

pub use encoding::{TextEncoding, UnknownEncoding};
pub(crate) use json_lines::kind;
pub use row::Row;
pub(crate) use row::{Cells, number_text};
pub(crate) use tail::{Place, Tail};

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::SchemaRef;

use crate::chat::{ANSWER, ChatText, PROMPT};
use crate::error::DataError;

/// The formats that can be read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Delimited text, whatever the delimiter.
    Csv,
    /// Delimited text with tabs.
    Tsv,
    /// One JSON object on each line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// The format that the extension of `path` promises, if it promises one.
    pub fn from_extension(path: &Path) -> Option<Format> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "csv" => Some(Format::Csv),
            "tsv" | "tab" => Some(Format::Tsv),
            "jsonl" | "ndjson" | "json" => Some(Format::Jsonl),
            "parquet" | "pq" => Some(Format::Parquet),
            _ => None,
        }
    }
}

/// How fields of delimited text are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Dialect {
    /// The byte between two fields.
    pub delimiter: u8,
    /// The byte around a field with special characters; `None` where the file uses no quoting.
    pub quote: Option<u8>,
    /// Whether a quote inside a quoted field is written `\"` rather than `""`.
    pub backslash: bool,
}

impl Dialect {
    /// Commas and double quotes.
    pub const CSV: Dialect = Dialect { delimiter: b',', quote: Some(b'"'), backslash: false };
    /// Tabs and double quotes.
    pub const TSV: Dialect = Dialect { delimiter: b'\t', quote: Some(b'"'), backslash: false };
}

/// What the caller knows about a file; everything left out is found from the file.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// The format; `None`: by extension, then by content.
    pub format: Option<Format>,
    /// The delimiter of delimited text; `None`: found from the first rows.
    pub delimiter: Option<u8>,
    /// The encoding of text without a byte-order mark (default: UTF-8).
    pub encoding: TextEncoding,
    /// The largest size of one record in bytes (default 16 MiB). A longer record is refused before it is read.
    pub max_record_bytes: usize,
    /// Rows in a batch read from Parquet (default 1024).
    pub batch_rows: usize,
    /// How the messages of a chat become a text (default: the user's last message alone).
    pub chat: ChatText,
}

impl Default for OpenOptions {
    fn default() -> Self {
        let (encoding, chat) = (TextEncoding::default(), ChatText::default());
        OpenOptions { format: None, delimiter: None, encoding, max_record_bytes: 16 << 20, batch_rows: 1024, chat }
    }
}

/// What all rows of one file share.
#[derive(Debug)]
pub struct Source {
    /// The path as it was given.
    pub path: PathBuf,
    /// The columns, in the order of the file. For JSON lines: the keys of the first rows, in order of appearance.
    pub header: Vec<String>,
    /// The format found.
    pub format: Format,
    /// The text encoding that was read, such as `UTF-8` or `windows-1250`.
    pub encoding: &'static str,
    /// The encoding that the beginning of the file looks like, where that is not UTF-8.
    pub(crate) likely_encoding: Option<&'static str>,
    /// Whether the file started with a byte-order mark.
    pub byte_order_mark: bool,
    /// How messages become a text, where the rows are chats. These have two columns behind those of the header, made from the
    /// messages: [`PROMPT`] and [`ANSWER`].
    pub chat: Option<ChatText>,
    /// Delimiter and quoting of delimited text.
    pub(crate) dialect: Dialect,
    /// Whether lines end with `\r\n`.
    pub(crate) carriage_return: bool,
    /// The header line of delimited text as the file wrote it.
    pub(crate) raw_header: String,
    /// The schema of a Parquet file.
    pub(crate) schema: Option<SchemaRef>,
}

impl Source {
    /// The name of a column, those that are made from messages included.
    ///
    /// # Panics
    /// When there is no such column.
    pub fn column(&self, index: usize) -> &str {
        match index.checked_sub(self.header.len()) {
            None => &self.header[index],
            Some(0) => PROMPT,
            Some(_) => ANSWER,
        }
    }

    /// Whether a column of the header is what the chats are made of, and says nothing by itself.
    pub(crate) fn is_in_chats(&self, index: usize) -> bool {
        self.chat.is_some() && matches!(self.column(index), "messages" | "tools" | "functions")
    }

    /// The column of the text before the answer, and that of the answer, where the rows are chats.
    pub fn chat_columns(&self) -> Option<[usize; 2]> {
        self.chat.map(|_| [self.header.len(), self.header.len() + 1])
    }
}

/// A data file being read, row by row.
pub struct Reader {
    source: Arc<Source>,
    rows: Rows,
    /// Whether any row, sound or faulty, has come out yet.
    started: bool,
    finished: bool,
}

enum Rows {
    Delimited(Box<delimited::Records>),
    JsonLines(json_lines::Lines),
    Columnar(columnar::Batches),
}

impl Reader {
    /// Opens the file at `path` (`-` is standard input) and reads as far as its header.
    ///
    /// # Errors
    /// A path that is missing, a directory or unreadable; an empty file; another kind of file; a header that is
    /// undecodable or too long; a damaged Parquet footer.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Reader, DataError> {
        if path == Path::new("-") {
            return Reader::from_stream(path, Box::new(std::io::stdin()), options);
        }
        let mut file = input::open_file(path)?;
        let prefix = input::read_prefix(&mut file, path)?;
        match sniff::format(path, &prefix, options.format)? {
            Format::Parquet => Reader::columnar(path, input::reopen(path)?, options),
            format => Reader::textual(path, format, prefix, Box::new(file), options),
        }
    }

    /// Reads CSV, TSV or JSON lines from any stream; `name` stands for the path in messages and decides the format
    /// as a path would.
    ///
    /// # Errors
    /// As [`Reader::open`]; Parquet needs a file and is refused.
    pub fn from_stream(
        name: &Path,
        mut stream: Box<dyn Read + Send>,
        options: &OpenOptions,
    ) -> Result<Reader, DataError> {
        let prefix = input::read_prefix(&mut stream, name)?;
        match sniff::format(name, &prefix, options.format)? {
            Format::Parquet => Err(DataError::UnknownFormat {
                path: name.to_path_buf(),
                found: "Parquet in a stream",
                advice: "Parquet cannot be read from a pipe: give the path of the file",
            }),
            format => Reader::textual(name, format, prefix, stream, options),
        }
    }

    /// Lines of JSON without columns, whatever is wrong with the first of them.
    pub(crate) fn lines(path: &Path, options: &OpenOptions) -> Result<Reader, DataError> {
        match path == Path::new("-") {
            true => Reader::lines_of(path, Box::new(std::io::stdin()), options),
            false => Reader::lines_of(path, Box::new(input::open_file(path)?), options),
        }
    }

    /// Lines of JSON from a stream, as [`Reader::lines`].
    pub(crate) fn lines_of(
        name: &Path,
        mut stream: Box<dyn Read + Send>,
        options: &OpenOptions,
    ) -> Result<Reader, DataError> {
        let prefix = input::read_prefix(&mut stream, name)?;
        if sniff::format(name, &prefix, Some(Format::Jsonl))? == Format::Parquet {
            return Err(DataError::UnknownFormat {
                path: name.to_path_buf(),
                found: "Parquet",
                advice: "write one JSON object on each line",
            });
        }
        let text = input::decode(name, prefix, stream, options.encoding)?;
        let (source, lines) = json_lines::begin(name, text, options);
        Ok(Reader { source: Arc::new(source), rows: Rows::JsonLines(lines), started: false, finished: false })
    }

    /// The rows of a part of a file of text that is known; the first line of the part has this number.
    fn part(source: &Arc<Source>, bytes: Vec<u8>, line: u64, options: &OpenOptions) -> Reader {
        let stream: Box<dyn Read + Send> = Box::new(std::io::Cursor::new(bytes));
        let (stream, limit) = (std::io::BufReader::new(stream), options.max_record_bytes);
        let rows = match source.format {
            Format::Jsonl => Rows::JsonLines(json_lines::Lines::part(stream, source, line - 1, limit)),
            Format::Csv | Format::Tsv | Format::Parquet => {
                Rows::Delimited(Box::new(delimited::Records::part(stream, source, line, limit)))
            }
        };
        Reader { source: Arc::clone(source), rows, started: true, finished: false }
    }

    /// The bytes of delimited text that were taken as records, that of the header included.
    fn taken(&self) -> usize {
        match &self.rows {
            Rows::Delimited(records) => records.taken(),
            Rows::JsonLines(_) | Rows::Columnar(_) => 0,
        }
    }

    fn textual(
        path: &Path,
        format: Format,
        prefix: Vec<u8>,
        stream: Box<dyn Read + Send>,
        options: &OpenOptions,
    ) -> Result<Reader, DataError> {
        let text = input::decode(path, prefix, stream, options.encoding)?;
        let (source, rows) = if format == Format::Jsonl {
            let (source, lines) = json_lines::open(path, text, options)?;
            (source, Rows::JsonLines(lines))
        } else {
            let (source, records) = delimited::open(path, format, text, options)?;
            (source, Rows::Delimited(Box::new(records)))
        };
        Ok(Reader { source: Arc::new(source), rows, started: false, finished: false })
    }

    fn columnar(path: &Path, file: std::fs::File, options: &OpenOptions) -> Result<Reader, DataError> {
        let (source, batches) = columnar::open(path, file, options)?;
        Ok(Reader { source: Arc::new(source), rows: Rows::Columnar(batches), started: false, finished: false })
    }

    /// The columns, in the order of the file.
    pub fn header(&self) -> &[String] {
        &self.source.header
    }

    /// What is known of the file: path, format, encoding.
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The next row, or the fault found in its place.
    ///
    /// After a fault for which [`DataError::is_row_fault`] holds, reading goes on with the following row; after any
    /// other fault the reader is at its end. A file without any row yields [`DataError::NoRows`] once.
    pub fn next_row(&mut self) -> Option<Result<Row, DataError>> {
        if self.finished {
            return None;
        }
        let next = match &mut self.rows {
            Rows::Delimited(records) => records.next(&self.source),
            Rows::JsonLines(lines) => lines.next(&self.source),
            Rows::Columnar(batches) => batches.next(&self.source),
        };
        self.finished = match &next {
            None => true,
            Some(Err(fault)) => !fault.is_row_fault(),
            Some(Ok(_)) => false,
        };
        let empty = next.is_none() && !self.started;
        self.started = true;
        if empty { Some(Err(DataError::NoRows { path: self.source.path.clone() })) } else { next }
    }
}

impl Iterator for Reader {
    type Item = Result<Row, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_row()
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Reader").field("source", &self.source).finish_non_exhaustive()
    }
}

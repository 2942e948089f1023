//! One JSON object on each line.

use std::collections::{HashSet, VecDeque};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::input::Utf8Input;
use super::row::{Cells, Row};
use super::{Dialect, Format, OpenOptions, Source};
use crate::chat::is_chat;
use crate::error::DataError;

/// Rows looked at to find the columns.
const LOOKAHEAD_ROWS: usize = 100;
/// Bytes after which no further row is looked at.
const LOOKAHEAD_BYTES: usize = 1 << 20;

/// A line read and understood, or the fault in its place.
type Line = Result<(u64, String, Map<String, Json>), DataError>;

/// The rows of the file.
pub(super) struct Lines {
    stream: BufReader<Box<dyn Read + Send>>,
    /// Rows that were read to find the columns and not handed out yet.
    waiting: VecDeque<Line>,
    encoding: &'static str,
    likely_encoding: Option<&'static str>,
    limit: usize,
    line: u64,
    ended: bool,
}

/// Reads the first rows and takes their keys as columns.
pub(super) fn open(path: &Path, text: Utf8Input, options: &OpenOptions) -> Result<(Source, Lines), DataError> {
    let (source, mut lines) = begin(path, text, options);
    let header = lines.look_ahead(path);
    if header.is_empty() {
        // Without a single sound row there is nothing to find columns in: the first fault is the answer.
        match lines.waiting.pop_front() {
            None => return Err(DataError::Empty { path: path.to_path_buf() }),
            Some(Err(fault)) => return Err(fault),
            Some(sound) => lines.waiting.push_front(sound),
        }
    }
    let chat = lines.waiting.iter().flatten().any(|(_, _, object)| is_chat(object)).then_some(options.chat);
    Ok((Source { header, chat, ..source }, lines))
}

/// Begins without looking for columns, so that a fault in the first rows is one of a row like any other.
pub(super) fn begin(path: &Path, text: Utf8Input, options: &OpenOptions) -> (Source, Lines) {
    let source = Source {
        path: path.to_path_buf(),
        header: Vec::new(),
        format: Format::Jsonl,
        encoding: text.encoding,
        likely_encoding: text.likely,
        byte_order_mark: text.byte_order_mark,
        chat: None,
        dialect: Dialect::CSV,
        carriage_return: false,
        raw_header: String::new(),
        schema: None,
    };
    let lines = Lines {
        stream: text.stream,
        waiting: VecDeque::new(),
        encoding: text.encoding,
        likely_encoding: text.likely,
        limit: options.max_record_bytes,
        line: 0,
        ended: false,
    };
    (source, lines)
}

impl Lines {
    /// The lines of a part of a file whose columns are known.
    pub(super) fn part(stream: BufReader<Box<dyn Read + Send>>, source: &Source, before: u64, limit: usize) -> Lines {
        let (encoding, likely_encoding) = (source.encoding, source.likely_encoding);
        Lines { stream, waiting: VecDeque::new(), encoding, likely_encoding, limit, line: before, ended: false }
    }

    fn look_ahead(&mut self, path: &Path) -> Vec<String> {
        let (mut header, mut seen, mut bytes) = (Vec::new(), HashSet::new(), 0);
        while self.waiting.len() < LOOKAHEAD_ROWS && bytes < LOOKAHEAD_BYTES {
            let Some(line) = self.read(path) else { break };
            if let Ok((_, raw, object)) = &line {
                bytes += raw.len();
                header.extend(object.keys().filter(|key| seen.insert((*key).clone())).cloned());
            }
            self.waiting.push_back(line);
        }
        header
    }

    pub(super) fn next(&mut self, source: &Arc<Source>) -> Option<Result<Row, DataError>> {
        let line = match self.waiting.pop_front() {
            Some(line) => line,
            None => self.read(&source.path)?,
        };
        Some(line.map(|(line, raw, object)| Row {
            line,
            source: Arc::clone(source),
            cells: Cells::Json { raw, object },
        }))
    }

    /// The next line that is not blank.
    fn read(&mut self, path: &Path) -> Option<Line> {
        while !self.ended {
            let bytes = match self.read_bounded(path) {
                Ok(bytes) => bytes,
                Err(fault) => {
                    self.ended = true;
                    return Some(Err(fault));
                }
            };
            if !bytes.trim_ascii().is_empty() {
                return Some(self.parse(path, bytes));
            }
        }
        None
    }

    /// The bytes up to the next line end, of which no more than the limit is ever held.
    fn read_bounded(&mut self, path: &Path) -> Result<Vec<u8>, DataError> {
        self.line += 1;
        let mut bytes = Vec::new();
        let allowed = self.limit as u64 + 1;
        (&mut self.stream)
            .take(allowed)
            .read_until(b'\n', &mut bytes)
            .map_err(|error| DataError::reading(path, error))?;
        if bytes.len() > self.limit && bytes.last() != Some(&b'\n') {
            return Err(DataError::RecordTooLong { path: path.to_path_buf(), line: self.line, limit: self.limit });
        }
        self.ended = bytes.last() != Some(&b'\n');
        Ok(bytes)
    }

    fn parse(&self, path: &Path, bytes: Vec<u8>) -> Line {
        let (path, line) = (path.to_path_buf(), self.line);
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => text.trim(),
            Err(error) => {
                let byte = (self.encoding == "UTF-8").then(|| bytes[error.valid_up_to()]);
                let (encoding, likely) = (self.encoding, self.likely_encoding);
                return Err(DataError::Undecodable { path, line, column: None, byte, encoding, likely });
            }
        };
        match serde_json::from_str(text) {
            Ok(Json::Object(object)) => Ok((line, text.to_owned(), object)),
            Ok(other) => Err(DataError::NotAnObject { path, line, found: kind(&other) }),
            Err(error) => {
                let message = error.to_string();
                let message = message.split(" at line ").next().unwrap_or(&message);
                let message = format!("{message} (character {})", error.column());
                Err(DataError::BadJson { path, line, message })
            }
        }
    }
}

/// What a value is, in words.
pub(crate) fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}

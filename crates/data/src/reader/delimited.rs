//! Records of delimited text.
//!
//! The splitting is csv-core's; what it leaves to its caller is done here: a limit on the size of a record, the
//! record's bytes as the file wrote them, and the line on which a record really starts.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use csv_core::ReadRecordResult;

use super::input::Utf8Input;
use super::row::{Cells, Row};
use super::{Dialect, Format, OpenOptions, Source, sniff};
use crate::error::DataError;

/// The records below the header.
pub(super) struct Records {
    splitter: Splitter,
}

/// Reads the header and finds out how the file is written.
pub(super) fn open(
    path: &Path,
    format: Format,
    text: Utf8Input,
    options: &OpenOptions,
) -> Result<(Source, Records), DataError> {
    let named = named_delimiter(&text.sample);
    let table = &text.sample[named.map_or(0, |_| "sep=;".len())..];
    let dialect = sniff::dialect(table, text.whole, format, options.delimiter.or(named));
    let tabs = dialect.delimiter == b'\t' && options.format.is_none() && Format::from_extension(path).is_none();
    let mut source = Source {
        path: path.to_path_buf(),
        header: Vec::new(),
        format: if tabs { Format::Tsv } else { format },
        encoding: text.encoding,
        likely_encoding: text.likely,
        byte_order_mark: text.byte_order_mark,
        chat: None,
        dialect,
        carriage_return: text.sample.windows(2).find_map(line_end).unwrap_or(false),
        raw_header: String::new(),
        schema: None,
    };
    let mut splitter = Splitter::new(text.stream, dialect, options.max_record_bytes);
    if let Some(delimiter) = named {
        splitter.split(&source)?;
        let line_end = if source.carriage_return { "\r\n" } else { "\n" };
        source.raw_header = format!("sep={}{line_end}", char::from(delimiter));
    }
    let Some(line) = splitter.split(&source)? else {
        return Err(DataError::Empty { path: path.to_path_buf() });
    };
    let Cells::Delimited { raw, fields, ends } = splitter.cells(&source, line)? else {
        unreachable!("the splitter of delimited text makes delimited cells");
    };
    let mut start = 0;
    for end in ends {
        source.header.push(fields[start..end].trim().to_owned());
        start = end;
    }
    source.raw_header.push_str(&raw);
    Ok((source, Records { splitter }))
}

/// The delimiter that a first line names, such as `sep=;`, by which Excel is told how to read the file.
fn named_delimiter(sample: &[u8]) -> Option<u8> {
    match sample {
        [b's', b'e', b'p', b'=', delimiter @ (b',' | b';' | b'\t' | b'|'), b'\r' | b'\n', ..] => Some(*delimiter),
        _ => None,
    }
}

/// Whether the first line end of the file is `\r\n`.
fn line_end(pair: &[u8]) -> Option<bool> {
    match pair {
        [b'\r', b'\n'] => Some(true),
        [_, b'\n'] | [b'\n', _] => Some(false),
        _ => None,
    }
}

impl Records {
    /// The records of a part of a file whose header is known.
    pub(super) fn part(stream: BufReader<Box<dyn Read + Send>>, source: &Source, line: u64, limit: usize) -> Records {
        Records { splitter: Splitter { line, ..Splitter::new(stream, source.dialect, limit) } }
    }

    /// The bytes of all records so far, that of the header included.
    pub(super) fn taken(&self) -> usize {
        self.splitter.taken
    }

    pub(super) fn next(&mut self, source: &Arc<Source>) -> Option<Result<Row, DataError>> {
        let line = match self.splitter.split(source) {
            Ok(line) => line?,
            Err(fault) => return Some(Err(fault)),
        };
        Some(self.row(source, line))
    }

    fn row(&mut self, source: &Arc<Source>, line: u64) -> Result<Row, DataError> {
        let (found, expected) = (self.splitter.ends_used, source.header.len());
        if found != expected {
            let delimiter = char::from(source.dialect.delimiter);
            return Err(DataError::Ragged { path: source.path.clone(), line, found, expected, delimiter });
        }
        let cells = self.splitter.cells(source, line)?;
        Ok(Row { line, source: Arc::clone(source), cells })
    }
}

/// Cuts a stream into records and remembers the last one.
struct Splitter {
    stream: BufReader<Box<dyn Read + Send>>,
    core: csv_core::Reader,
    dialect: Dialect,
    limit: usize,
    raw: Vec<u8>,
    fields: Vec<u8>,
    ends: Vec<usize>,
    ends_used: usize,
    /// The bytes of all records so far.
    taken: usize,
    /// The line at which the next byte of the stream lies.
    line: u64,
    /// Whether the last byte was a `\r`, so that a following `\n` belongs to the same line end.
    after_return: bool,
}

impl Splitter {
    fn new(stream: BufReader<Box<dyn Read + Send>>, dialect: Dialect, limit: usize) -> Self {
        let mut builder = csv_core::ReaderBuilder::new();
        builder.delimiter(dialect.delimiter).quoting(dialect.quote.is_some());
        builder.quote(dialect.quote.unwrap_or(b'"'));
        if dialect.backslash {
            builder.escape(Some(b'\\')).double_quote(false);
        }
        Splitter {
            stream,
            core: builder.build(),
            dialect,
            limit,
            raw: Vec::new(),
            fields: vec![0; 4096],
            ends: vec![0; 64],
            ends_used: 0,
            taken: 0,
            line: 1,
            after_return: false,
        }
    }

    /// Reads the next record and returns the line on which it starts; `None` at the end of the stream.
    fn split(&mut self, source: &Source) -> Result<Option<u64>, DataError> {
        self.raw.clear();
        let (mut length, mut count) = (0, 0);
        loop {
            let input = self.stream.fill_buf().map_err(|error| DataError::reading(&source.path, error))?;
            let at_end = input.is_empty();
            let (result, read, written, ended) =
                self.core.read_record(input, &mut self.fields[length..], &mut self.ends[count..]);
            self.raw.extend_from_slice(&input[..read]);
            self.stream.consume(read);
            length += written;
            count += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => {
                    self.ends_used = count;
                    return self.place(source, at_end).map(Some);
                }
                ReadRecordResult::End => return Ok(None),
            }
            if self.raw.len() > self.limit {
                let line = self.start_line();
                return Err(DataError::RecordTooLong { path: source.path.clone(), line, limit: self.limit });
            }
        }
    }

    /// Strips line ends and blank lines around the record in `raw`, counts its lines, and returns its first line.
    fn place(&mut self, source: &Source, at_end: bool) -> Result<u64, DataError> {
        let start = self.start_line();
        let raw = std::mem::take(&mut self.raw);
        self.advance(&raw);
        let bytes = raw.len();
        let blank = raw.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.raw = raw;
        self.raw.drain(..blank);
        if at_end && self.runs_open() {
            let quote = char::from(self.dialect.quote.unwrap_or(b'"'));
            return Err(DataError::UnclosedQuote { path: source.path.clone(), line: start, quote });
        }
        // csv-core ends a record at the first byte of `\r\n`; the other one leads the next record and is blank there.
        if matches!(self.raw.last(), Some(b'\n' | b'\r')) {
            self.raw.pop();
        }
        self.taken += bytes;
        Ok(start)
    }

    /// Whether the last field of the last record starts with a quote that nothing closes.
    fn runs_open(&self) -> bool {
        let Some(quote) = self.dialect.quote else { return false };
        let (mut quoted, mut start, mut position) = (false, true, 0);
        while position < self.raw.len() {
            let byte = self.raw[position];
            if quoted && self.dialect.backslash && byte == b'\\' {
                position += 1;
            } else if byte == quote && (quoted || start) {
                quoted = !quoted;
                // A doubled quote closes and reopens the field, so `start` stays true right after a closing quote.
                start = true;
                position += 1;
                continue;
            }
            start = !quoted && byte == self.dialect.delimiter;
            position += 1;
        }
        quoted
    }

    /// The line on which the record in `raw` starts, its leading line ends skipped.
    fn start_line(&self) -> u64 {
        let (mut line, mut after_return) = (self.line, self.after_return);
        for byte in &self.raw {
            match byte {
                b'\n' => line += u64::from(!after_return),
                b'\r' => line += 1,
                _ => break,
            }
            after_return = *byte == b'\r';
        }
        line
    }

    fn advance(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' => self.line += u64::from(!self.after_return),
                b'\r' => self.line += 1,
                _ => {}
            }
            self.after_return = *byte == b'\r';
        }
    }

    /// The last record as text.
    fn cells(&mut self, source: &Source, line: u64) -> Result<Cells, DataError> {
        let ends = self.ends[..self.ends_used].to_vec();
        let bytes = &self.fields[..ends.last().copied().unwrap_or(0)];
        let undecodable = |position: usize, byte: u8| DataError::Undecodable {
            path: source.path.clone(),
            line,
            column: source.header.get(ends.partition_point(|end| *end <= position)).cloned(),
            byte: (source.encoding == "UTF-8").then_some(byte),
            encoding: source.encoding,
            likely: source.likely_encoding,
        };
        let fields = match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(error) => return Err(undecodable(error.valid_up_to(), bytes[error.valid_up_to()])),
        };
        // A character can be cut by a field's end only if a delimiter lies inside it, which ASCII delimiters never do.
        if let Some(end) = ends.iter().find(|end| !fields.is_char_boundary(**end)) {
            return Err(undecodable(*end, bytes[*end]));
        }
        let raw = String::from_utf8(std::mem::take(&mut self.raw)).map_err(|error| {
            let position = error.utf8_error().valid_up_to();
            undecodable(bytes.len().saturating_sub(1), error.as_bytes()[position])
        })?;
        Ok(Cells::Delimited { raw, fields, ends })
    }
}

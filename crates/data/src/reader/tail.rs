//! A file that grows, read as `tail -F` reads it: rows come out when they are complete, and a file that is cut short or
//! replaced is read from its start.

use std::fs::{File, Metadata};
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::input::{PREFIX_BYTES, open_file};
use super::{Dialect, Format, OpenOptions, Reader, Row, Source, TextEncoding};
use crate::error::DataError;
use crate::split::fingerprint;

/// Bytes that are read at a time.
const PIECE: u64 = 1 << 20;
/// Bytes by which a file is known again.
const HEAD: usize = 1024;

/// Where the reading of a file stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The bytes before the first row that was not read.
    offset: u64,
    /// The line on which it starts.
    line: u64,
    /// Device and number of the file, where the system has such.
    identity: Option<(u64, u64)>,
    /// So many bytes at the start of the file have this fingerprint.
    head: (usize, u64),
    /// The columns, and how fields are told apart: they stay, whatever later rows look like.
    header: Vec<String>,
    dialect: Dialect,
}

/// A file that grows.
pub(crate) struct Tail {
    path: PathBuf,
    options: OpenOptions,
    file: File,
    source: Arc<Source>,
    place: Place,
    /// Bytes that were read and are not known to be whole rows.
    pending: Vec<u8>,
    /// Whether the file was cut short, and has not been read from its start since.
    cut: bool,
    /// Whether the file is another one than the place was in.
    pub(crate) anew: bool,
}

/// Rows, or the faults in their places.
pub(crate) type Piece = Vec<Result<Row, DataError>>;

impl Tail {
    /// Opens a file at a place, if one is given and the file is still the same, and waits for its first row. Nothing is
    /// returned when `stop` becomes true before that.
    pub(crate) fn open(
        path: &Path,
        options: &OpenOptions,
        place: Option<Place>,
        stop: &AtomicBool,
        wait: &mut dyn FnMut(),
    ) -> Result<Option<Tail>, DataError> {
        let start = loop {
            match Start::of(path, options)? {
                Some(start) => break start,
                None if stop.load(Ordering::SeqCst) => return Ok(None),
                None => wait(),
            }
        };
        let mut now = start.place();
        let (mut source, mut anew) = (start.source, true);
        if let Some(place) = place {
            anew = !place.is_in(path, &start.file)?;
            (source.header, source.dialect) = (fitting(&source, &place.header)?, place.dialect);
            let (offset, line) = if anew { (now.offset, now.line) } else { (place.offset, place.line) };
            now = Place { offset, line, header: place.header, dialect: place.dialect, ..now };
        }
        let mut tail = Tail {
            path: path.to_path_buf(),
            options: options.clone(),
            file: start.file,
            source: Arc::new(source),
            place: now,
            pending: Vec::new(),
            cut: false,
            anew,
        };
        tail.seek()?;
        Ok(Some(tail))
    }

    pub(crate) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The place behind the rows that came out.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// The rows that were added since, at least one; nothing when `stop` becomes true.
    pub(crate) fn next(&mut self, stop: &AtomicBool, wait: &mut dyn FnMut()) -> Result<Option<Piece>, DataError> {
        while !stop.load(Ordering::SeqCst) {
            let rows = if self.fill()? {
                self.rows(false)?
            } else if let Some((start, replaced)) = self.successor()? {
                self.change_to(start, replaced)?
            } else {
                wait();
                continue;
            };
            if !rows.is_empty() {
                return Ok(Some(rows));
            }
        }
        Ok(None)
    }

    fn seek(&mut self) -> Result<(), DataError> {
        self.file.seek(SeekFrom::Start(self.place.offset)).map_err(|error| DataError::reading(&self.path, error))?;
        Ok(())
    }

    /// Reads on; says whether there was anything.
    fn fill(&mut self) -> Result<bool, DataError> {
        let read = (&mut self.file).take(PIECE).read_to_end(&mut self.pending);
        Ok(read.map_err(|error| DataError::reading(&self.path, error))? > 0)
    }

    /// The start of the file that took the place of this one, and whether it is another file rather than this one cut short.
    fn successor(&mut self) -> Result<Option<(Start, bool)>, DataError> {
        let reading = |error| DataError::reading(&self.path, error);
        let own = self.file.metadata().map_err(reading)?;
        let replaced = match std::fs::metadata(&self.path) {
            Ok(now) => identity(&now) != identity(&own),
            // Between the renaming of the old file and the creation of the new one there is none.
            Err(_) => return Ok(None),
        };
        // It may be as long as before by the time that its first row is whole.
        self.cut |= own.len() < self.place.offset + self.pending.len() as u64;
        if !replaced && !self.cut {
            return Ok(None);
        }
        match Start::of(&self.path, &self.options) {
            Err(DataError::NotFound { .. }) => Ok(None),
            start => Ok(start?.map(|start| (start, replaced))),
        }
    }

    /// Goes over to another start; gives what the old file had to its end.
    fn change_to(&mut self, start: Start, replaced: bool) -> Result<Piece, DataError> {
        let mut rows = Vec::new();
        if replaced {
            while self.fill()? {}
            rows = self.rows(true)?;
        }
        fitting(&start.source, &self.place.header)?;
        let Place { header, dialect, .. } = self.place.clone();
        self.place = Place { header, dialect, ..start.place() };
        self.file = start.file;
        self.pending.clear();
        self.cut = false;
        self.seek()?;
        Ok(rows)
    }

    /// The rows that are complete; with `ended`, the last one counts as well.
    fn rows(&mut self, ended: bool) -> Result<Piece, DataError> {
        let whole = self.pending.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let end = if ended { self.pending.len() } else { whole };
        if end == 0 {
            return self.refuse_endless().map(|()| Vec::new());
        }
        let bytes = self.pending[..end].to_vec();
        let mut reader = Reader::part(&self.source, bytes, self.place.line, &self.options);
        let (mut rows, mut cut) = (Vec::new(), false);
        while let Some(row) = reader.next_row() {
            match row {
                Err(DataError::UnclosedQuote { path, line, .. }) => {
                    cut = true;
                    if ended {
                        rows.push(Err(DataError::CutShort { path, line }));
                    }
                }
                Err(fault) if !fault.is_row_fault() => return Err(fault),
                row => rows.push(row),
            }
        }
        let mut taken = if cut && !ended { reader.taken() } else { end };
        if taken > 0 && self.pending[taken - 1] == b'\r' && self.pending.get(taken) == Some(&b'\n') {
            taken += 1;
        }
        self.place.offset += taken as u64;
        self.place.line += line_ends(&self.pending[..taken]);
        self.pending.drain(..taken);
        Ok(rows)
    }

    fn refuse_endless(&self) -> Result<(), DataError> {
        let limit = self.options.max_record_bytes;
        if self.pending.len() <= limit {
            return Ok(());
        }
        Err(DataError::RecordTooLong { path: self.path.clone(), line: self.place.line, limit })
    }
}

impl Place {
    /// Whether the file is the one that the place is in.
    fn is_in(&self, path: &Path, file: &File) -> Result<bool, DataError> {
        let reading = |error| DataError::reading(path, error);
        let metadata = file.metadata().map_err(reading)?;
        let mut head = Vec::new();
        let mut start = open_file(path)?.take(self.head.0 as u64);
        start.read_to_end(&mut head).map_err(reading)?;
        Ok(metadata.len() >= self.offset && identity(&metadata) == self.identity && print(&head) == self.head)
    }
}

/// The start of a file, up to where its rows begin.
struct Start {
    file: File,
    source: Source,
    head: (usize, u64),
    offset: u64,
    line: u64,
}

impl Start {
    /// Reads as far as the first row; nothing where the file is not that long yet.
    fn of(path: &Path, options: &OpenOptions) -> Result<Option<Start>, DataError> {
        let mut file = open_file(path)?;
        let mut bytes = Vec::new();
        (&mut file)
            .take(PREFIX_BYTES as u64)
            .read_to_end(&mut bytes)
            .map_err(|error| DataError::reading(path, error))?;
        refuse_unfollowable(path, &bytes, options)?;
        let Some(last) = bytes.iter().rposition(|byte| *byte == b'\n') else {
            let limit = PREFIX_BYTES;
            let endless = bytes.len() == limit;
            return if endless {
                Err(DataError::RecordTooLong { path: path.into(), line: 1, limit })
            } else {
                Ok(None)
            };
        };
        bytes.truncate(last + 1);
        let head = print(&bytes[..bytes.len().min(HEAD)]);
        let mut reader = match Reader::from_stream(path, Box::new(Cursor::new(bytes.clone())), options) {
            Err(DataError::Empty { .. }) => return Ok(None),
            Err(fault) if fault.is_row_fault() => return Ok(None),
            reader => reader?,
        };
        let mark = if reader.source().byte_order_mark { '\u{FEFF}'.len_utf8() } else { 0 };
        let mut offset = mark + reader.taken();
        if offset > 0 && bytes[offset - 1] == b'\r' && bytes.get(offset) == Some(&b'\n') {
            offset += 1;
        }
        if matches!(reader.next_row(), None | Some(Err(DataError::NoRows { .. } | DataError::UnclosedQuote { .. }))) {
            return Ok(None);
        }
        let line = 1 + line_ends(&bytes[..offset]);
        let Reader { source, rows, .. } = reader;
        drop(rows);
        let source = Arc::into_inner(source).expect("the row was dropped");
        Ok(Some(Start { file, source, head, offset: offset as u64, line }))
    }

    fn place(&self) -> Place {
        Place {
            offset: self.offset,
            line: self.line,
            identity: self.file.metadata().ok().as_ref().and_then(identity),
            head: self.head,
            header: self.source.header.clone(),
            dialect: self.source.dialect,
        }
    }
}

/// Rows are cut at line ends, which UTF-16 writes in two bytes and Parquet has none of, and places are counted in the bytes of the
/// file, of which other encodings have other numbers than the text that is read.
fn refuse_unfollowable(path: &Path, bytes: &[u8], options: &OpenOptions) -> Result<(), DataError> {
    let refused = |problem, advice| Err(DataError::CannotFollow { path: path.to_path_buf(), problem, advice });
    if bytes.starts_with(b"PAR1") || options.format == Some(Format::Parquet) {
        return refused("a Parquet file does not grow", "prepare it without `--follow`");
    }
    let marked = bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]);
    if marked || options.encoding != TextEncoding::default() {
        return refused("only UTF-8 can be followed", "write the file as UTF-8, or leave out `--follow`");
    }
    Ok(())
}

/// The columns that the rows have had so far, if the file still has them. Objects name theirs, so any will do.
fn fitting(source: &Source, header: &[String]) -> Result<Vec<String>, DataError> {
    if source.format == Format::Jsonl || source.header == header {
        return Ok(header.to_vec());
    }
    Err(DataError::CannotFollow {
        path: source.path.clone(),
        problem: "it begins with other columns than before",
        advice: "follow it into another output",
    })
}

fn print(head: &[u8]) -> (usize, u64) {
    (head.len(), fingerprint(&String::from_utf8_lossy(head), 0))
}

/// How many lines end in these bytes.
fn line_ends(bytes: &[u8]) -> u64 {
    let ends = |place: usize| match bytes[place] {
        b'\n' => true,
        b'\r' => bytes.get(place + 1) != Some(&b'\n'),
        _ => false,
    };
    (0..bytes.len()).filter(|place| ends(*place)).count() as u64
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Option<(u64, u64)> {
    None
}

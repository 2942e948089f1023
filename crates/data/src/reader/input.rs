//! From a path to a stream of UTF-8 bytes.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::TextEncoding;
use crate::error::DataError;

/// Bytes looked at to find format, delimiter and quoting. Wide enough for a few long conversations.
pub(super) const PREFIX_BYTES: usize = 256 << 10;
/// So many letters in a row that are sound UTF-8 are no accident: hardly one letter in five of another encoding is.
const LETTERS_OF_UTF_8: usize = 8;

/// Input as UTF-8 bytes, not yet validated, without byte-order mark.
pub(super) struct Utf8Input {
    pub(super) stream: BufReader<Box<dyn Read + Send>>,
    pub(super) encoding: &'static str,
    /// The encoding that the beginning looks like, where it is no UTF-8 and has no byte-order mark.
    pub(super) likely: Option<&'static str>,
    pub(super) byte_order_mark: bool,
    /// The first decoded bytes, which `stream` yields again.
    pub(super) sample: Vec<u8>,
    /// Whether `sample` is the whole input.
    pub(super) whole: bool,
}

/// Opens a file, refusing directories by name rather than by a failing read.
pub(super) fn open_file(path: &Path) -> Result<File, DataError> {
    let file = File::open(path).map_err(|error| DataError::reading(path, error))?;
    let metadata = file.metadata().map_err(|error| DataError::reading(path, error))?;
    if metadata.is_dir() {
        return Err(DataError::IsDirectory { path: path.to_path_buf() });
    }
    Ok(file)
}

/// Opens the file again from its start; Parquet reads its footer first and cannot use the prefix.
pub(super) fn reopen(path: &Path) -> Result<File, DataError> {
    open_file(path)
}

/// Reads up to [`PREFIX_BYTES`], however small the pieces in which the stream delivers them.
pub(super) fn read_prefix(stream: &mut dyn Read, path: &Path) -> Result<Vec<u8>, DataError> {
    let mut prefix = Vec::new();
    stream.take(PREFIX_BYTES as u64).read_to_end(&mut prefix).map_err(|error| DataError::reading(path, error))?;
    if prefix.is_empty() {
        return Err(DataError::Empty { path: path.to_path_buf() });
    }
    Ok(prefix)
}

/// Puts `prefix` back in front of `rest` and turns both into UTF-8. A byte-order mark goes before the encoding that was asked for.
pub(super) fn decode(
    path: &Path,
    prefix: Vec<u8>,
    rest: Box<dyn Read + Send>,
    asked: TextEncoding,
) -> Result<Utf8Input, DataError> {
    let (encoding, mark) = Encoding::for_bom(&prefix).unwrap_or((asked.decoder(), 0));
    refuse_binary(path, encoding, &prefix)?;
    refuse_utf_8(path, encoding, &prefix)?;
    let whole = prefix.len() < PREFIX_BYTES;
    let likely = if mark > 0 { None } else { likely_encoding(&prefix) };
    let mut joined = Cursor::new(prefix).chain(rest);
    io::copy(&mut (&mut joined).take(mark as u64), &mut io::sink()).map_err(|error| DataError::reading(path, error))?;
    let mut stream: Box<dyn Read + Send> =
        if encoding == UTF_8 { Box::new(joined) } else { Box::new(Transcoder::new(joined, encoding)) };
    let mut sample = Vec::new();
    let reading = |error| DataError::reading(path, error);
    (&mut stream).take(PREFIX_BYTES as u64).read_to_end(&mut sample).map_err(reading)?;
    let whole = whole && sample.len() < PREFIX_BYTES;
    let stream: Box<dyn Read + Send> = Box::new(Cursor::new(sample.clone()).chain(stream));
    Ok(Utf8Input {
        stream: BufReader::with_capacity(64 << 10, stream),
        encoding: encoding.name(),
        likely,
        byte_order_mark: mark > 0,
        sample,
        whole,
    })
}

/// What the beginning of a file that is not UTF-8 looks like: its letters are weighed by how common they are in the languages of each
/// encoding. One with more letters that are UTF-8 than bytes that are not is damaged UTF-8 and looks like nothing else.
fn likely_encoding(beginning: &[u8]) -> Option<&'static str> {
    let (mut sound, mut broken) = (0, 0);
    for chunk in beginning.utf8_chunks() {
        sound += chunk.valid().chars().filter(|letter| !letter.is_ascii()).count();
        broken += usize::from(!chunk.invalid().is_empty());
    }
    if broken <= sound {
        return None;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(beginning, false);
    Some(detector.guess(None, Utf8Detection::Deny).name())
}

/// Text has hardly any zero bytes; UTF-16 without a byte-order mark and binary files have many.
fn refuse_binary(path: &Path, encoding: &'static Encoding, prefix: &[u8]) -> Result<(), DataError> {
    let zeros = prefix.iter().filter(|byte| **byte == 0).count();
    if encoding == UTF_16LE || encoding == UTF_16BE || zeros * 10 < prefix.len() {
        return Ok(());
    }
    Err(DataError::UnknownFormat {
        path: path.to_path_buf(),
        found: "a binary file, or UTF-16 without byte-order mark",
        advice: "save the file as UTF-8",
    })
}

/// Read in another encoding, UTF-8 would become other letters without any error, and a model would learn them.
fn refuse_utf_8(path: &Path, encoding: &'static Encoding, prefix: &[u8]) -> Result<(), DataError> {
    if encoding == UTF_8 {
        return Ok(());
    }
    let sound = match std::str::from_utf8(prefix) {
        Ok(text) => text,
        // The last letter may be cut off by the end of the prefix.
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&prefix[..error.valid_up_to()]).unwrap_or(""),
        Err(_) => return Ok(()),
    };
    if sound.chars().filter(|letter| !letter.is_ascii()).count() < LETTERS_OF_UTF_8 {
        return Ok(());
    }
    Err(DataError::IsUtf8 { path: path.to_path_buf(), encoding: encoding.name() })
}

/// A stream of another encoding read as UTF-8.
///
/// What stands for no letter becomes the byte 0xFF, which no UTF-8 text contains: the check of the row that holds it then
/// fails with the row's line, exactly as for a damaged UTF-8 file.
struct Transcoder<R> {
    inner: R,
    decoder: Decoder,
    /// Whether every byte is a letter of its own.
    bytewise: bool,
    encoded: Vec<u8>,
    decoded: Vec<u8>,
    given: usize,
    ended: bool,
}

impl<R: Read> Transcoder<R> {
    fn new(inner: R, encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder_without_bom_handling();
        let bytewise = encoding.is_single_byte();
        Transcoder { inner, decoder, bytewise, encoded: vec![0; 16 << 10], decoded: Vec::new(), given: 0, ended: false }
    }

    /// Decodes the next piece of input into `decoded`.
    fn refill(&mut self) -> io::Result<()> {
        let count = loop {
            match self.inner.read(&mut self.encoded) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.ended = count == 0;
        self.decoded.clear();
        self.given = 0;
        let mut rest = &self.encoded[..count];
        loop {
            let room = self.decoder.max_utf8_buffer_length_without_replacement(rest.len()).unwrap_or(64 << 10);
            let start = self.decoded.len();
            self.decoded.resize(start + room, 0);
            let target = &mut self.decoded[start..];
            let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(rest, target, self.ended);
            self.decoded.truncate(start + written);
            rest = &rest[read..];
            match result {
                DecoderResult::InputEmpty => break,
                DecoderResult::Malformed(..) => self.decoded.push(0xFF),
                DecoderResult::OutputFull => {}
            }
        }
        if self.bytewise {
            mark_controls(&mut self.decoded);
        }
        Ok(())
    }
}

/// Marks the control characters U+0080 to U+009F: encodings of single bytes put them where they have no letter, so that
/// `š` of windows-1250 would pass for one of ISO-8859-2.
fn mark_controls(decoded: &mut [u8]) {
    for place in 1..decoded.len() {
        if decoded[place - 1] == 0xC2 && (0x80..0xA0).contains(&decoded[place]) {
            decoded[place] = 0xFF;
        }
    }
}

impl<R: Read> Read for Transcoder<R> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        while self.given == self.decoded.len() && !self.ended {
            self.refill()?;
        }
        let count = target.len().min(self.decoded.len() - self.given);
        target[..count].copy_from_slice(&self.decoded[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

//! What a file is, judged by its name and its first bytes.

use std::path::Path;

use super::{Dialect, Format};
use crate::error::DataError;

/// Decides the format: asked for, else by unmistakable content, else by extension, else by content.
pub(super) fn format(path: &Path, prefix: &[u8], asked: Option<Format>) -> Result<Format, DataError> {
    if prefix.starts_with(b"PAR1") {
        return Ok(Format::Parquet);
    }
    if let Some((found, advice)) = foreign(prefix) {
        return Err(DataError::UnknownFormat { path: path.to_path_buf(), found, advice });
    }
    if let Some(format) = asked.or_else(|| Format::from_extension(path)) {
        return Ok(format);
    }
    let first = prefix.trim_ascii_start();
    let first = first.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(first);
    Ok(if first.starts_with(b"{") { Format::Jsonl } else { Format::Csv })
}

/// Other kinds of file that people have at hand, known by their first bytes.
fn foreign(prefix: &[u8]) -> Option<(&'static str, &'static str)> {
    let known: [(&[u8], &str, &str); 6] = [
        (b"PK\x03\x04", "a spreadsheet or zip archive", "export the sheet as CSV, or unpack the archive first"),
        (b"\xD0\xCF\x11\xE0", "an old Excel file", "export the sheet as CSV"),
        (b"\x1F\x8B", "a gzip archive", "unpack it first: `gunzip FILE`"),
        (b"\x28\xB5\x2F\xFD", "a zstd archive", "unpack it first: `zstd -d FILE`"),
        (b"SQLite format 3", "an SQLite database", "export the table as CSV"),
        (b"%PDF-", "a PDF document", "save the texts as CSV or JSON lines"),
    ];
    known
        .into_iter()
        .find(|(magic, _, _)| prefix.starts_with(magic))
        .map(|(_, found, advice)| (found, advice))
        .or_else(|| json_array(prefix))
}

fn json_array(prefix: &[u8]) -> Option<(&'static str, &'static str)> {
    let inside = prefix.trim_ascii_start().strip_prefix(b"[")?.trim_ascii_start();
    inside
        .starts_with(b"{")
        .then_some(("a JSON array", "write one object on each line: `jq -c '.[]' FILE > FILE.jsonl`"))
}

/// Finds delimiter and quoting from the first rows.
///
/// Every candidate splits the sample; the best is the one under which most bytes lie in rows as wide as the header.
/// On a tie the earlier candidate wins: double quotes before none before single quotes, commas first.
pub(super) fn dialect(sample: &[u8], whole: bool, format: Format, given: Option<u8>) -> Dialect {
    let delimiters: Vec<u8> = match (given, format) {
        (Some(delimiter), _) => vec![delimiter],
        (None, Format::Tsv) => vec![b'\t'],
        (None, _) => vec![b',', b';', b'\t', b'|'],
    };
    let quotings = [(Some(b'"'), false), (Some(b'"'), true), (None, false), (Some(b'\''), false)];
    let mut best = (Score::default(), Dialect { delimiter: delimiters[0], ..Dialect::CSV });
    for (quote, backslash) in quotings {
        for &delimiter in &delimiters {
            // Tables without any quoting are tab- or bar-separated; elsewhere a stray quote is a fault to be shown.
            if quote.is_none() && !matches!(delimiter, b'\t' | b'|') {
                continue;
            }
            let dialect = Dialect { delimiter, quote, backslash };
            let score = score(sample, whole, dialect);
            if score.beats(&best.0) {
                best = (score, dialect);
            }
        }
    }
    best.1
}

/// How well a dialect explains a sample.
#[derive(Debug, Default, Clone, Copy)]
struct Score {
    /// Whether the header has more than one field.
    several: bool,
    /// Share of the sample's bytes in rows as wide as the header, in thousandths.
    even: usize,
    /// Fields in the header.
    width: usize,
}

impl Score {
    /// Better means: several columns rather than one, then more even rows, then a wider header.
    fn beats(&self, other: &Score) -> bool {
        if other.width == 0 {
            return true;
        }
        if self.several != other.several {
            // Headers hardly ever contain a delimiter by accident, while a single column is even whatever the rows are.
            return self.several;
        }
        (self.even, self.width) > (other.even, other.width)
    }
}

fn score(sample: &[u8], whole: bool, dialect: Dialect) -> Score {
    let mut records = Scan { rest: sample, dialect };
    let Some(header) = records.next_record(whole) else { return Score::default() };
    let (mut even, mut total, mut quoted) = (0, 0, header.quoted);
    while let Some(record) = records.next_record(whole) {
        total += record.bytes;
        quoted += record.quoted;
        if record.fields == header.fields && !record.malformed {
            even += record.bytes;
        }
    }
    let even = (even * 1000).checked_div(total).unwrap_or(1000);
    // Single quotes are also apostrophes: they must be seen at work to be believed.
    let idle = dialect.quote == Some(b'\'') && quoted == 0;
    let even = if header.malformed || idle { 0 } else { even };
    Score { several: header.fields > 1, even, width: header.fields }
}

/// A plain splitter that, unlike the real one, notices quotes in odd places.
struct Scan<'a> {
    rest: &'a [u8],
    dialect: Dialect,
}

struct Scanned {
    fields: usize,
    bytes: usize,
    /// Fields with a quote on both ends.
    quoted: usize,
    malformed: bool,
}

impl Scan<'_> {
    /// The next non-blank record; a last one that may be cut off counts only if the sample is the whole file.
    fn next_record(&mut self, whole: bool) -> Option<Scanned> {
        let blank = self.rest.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        self.rest = &self.rest[blank..];
        let (mut fields, mut closed, mut malformed, mut quoted, mut start) = (1, 0, false, false, true);
        let mut position = 0;
        while position < self.rest.len() {
            let byte = self.rest[position];
            let is_quote = Some(byte) == self.dialect.quote;
            if quoted {
                if self.dialect.backslash && byte == b'\\' {
                    position += 1;
                } else if is_quote {
                    let next = self.rest.get(position + 1).copied();
                    if !self.dialect.backslash && next == Some(byte) {
                        position += 1;
                    } else {
                        quoted = false;
                        let astray = next.is_some_and(|next| !self.ends_field(next));
                        malformed |= astray;
                        closed += usize::from(!astray);
                    }
                }
            } else if is_quote && start {
                quoted = true;
            } else if matches!(byte, b'\n' | b'\r') {
                self.rest = &self.rest[position..];
                return Some(Scanned { fields, bytes: position, quoted: closed, malformed });
            }
            start = !quoted && byte == self.dialect.delimiter;
            fields += usize::from(start);
            position += 1;
        }
        let bytes = self.rest.len();
        self.rest = &[];
        (bytes > 0 && whole).then_some(Scanned { fields, bytes, quoted: closed, malformed: malformed || quoted })
    }

    fn ends_field(&self, byte: u8) -> bool {
        byte == self.dialect.delimiter || byte == b'\n' || byte == b'\r'
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sample: &str) -> (char, Option<char>) {
        let dialect = dialect(sample.as_bytes(), true, Format::Csv, None);
        (char::from(dialect.delimiter), dialect.quote.map(char::from))
    }

    #[test]
    fn delimiters_are_told_apart() {
        assert_eq!(found("text,label\n\"a; b\",x\nc,y\n"), (',', Some('"')));
        assert_eq!(found("text;label\na, b;x\nc, d, e;y\n"), (';', Some('"')));
        assert_eq!(found("text\tlabel\na, b\tx\n"), ('\t', Some('"')));
        assert_eq!(found("id|text|label\n1|a, b|x\n"), ('|', Some('"')));
    }

    #[test]
    fn quotes_are_told_apart() {
        assert_eq!(found("text,label\n'a, b',x\n'c',y\n"), (',', Some('\'')));
        assert_eq!(found("text,label\nit's,x\n'tis,y\n"), (',', Some('"')));
        assert_eq!(found("label\ttext\n1\t\"Fine\" she said\n0\t\"Bad\n1\tgood\n"), ('\t', None));
    }

    #[test]
    fn a_backslash_before_a_quote_is_found() {
        let sample = b"text,label\n\"he said \\\"no, never\\\" twice\",x\n\"fine\",y\n";
        assert!(dialect(sample, true, Format::Csv, None).backslash);
        assert!(!dialect(b"text,label\n\"a \"\"b\"\"\",x\n", true, Format::Csv, None).backslash);
    }

    #[test]
    fn a_column_of_sentences_alone_is_one_column() {
        assert_eq!(found("text\nGood, very good, fine\nBad\n").0, ';');
        assert_eq!(found("text\n\"Good, very good\"\nBad\n").0, ',');
    }
}

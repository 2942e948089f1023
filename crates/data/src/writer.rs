//! Rows written back as they were read, with columns appended.
//!
//! Rows go out one by one, in order, and memory does not grow with the file. The format is the one that the extension
//! of the output promises, else the input's. Where the format stays the same nothing that was read is written anew:
//! a CSV record keeps its bytes and a JSON line keeps its key order, big integers and `1.10`; a Parquet file keeps its
//! columns and types. Text is UTF-8, with a byte-order mark where the input has one, whatever the
//! encoding of the input.
//!
//! The file appears under its name only at [`Writer::finish`]: until then it is a temporary file in the same folder, and
//! it is removed if anything fails. The name `-` means standard output, and devices and pipes are written directly.
//!
//! One column of texts may be written anew ([`Writer::replacing`]); rows whose text stays keep their bytes all the same.
//!
//! An appended column whose name the input has already is called `<name>_predicted` (then `<name>_predicted_2`, …).

mod columnar;
mod delimited;
mod json_lines;
mod output;

use std::path::{Path, PathBuf};

use crate::error::DataError;
use crate::reader::{Cells, Dialect, Format, Reader, Row, Source};
use output::Output;

/// The type of an appended column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// 64-bit floating point numbers.
    Number,
}

/// A column to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: Kind,
}

impl NewColumn {
    /// A column of texts.
    pub fn text(name: impl Into<String>) -> Self {
        NewColumn { name: name.into(), kind: Kind::Text }
    }

    /// A column of numbers.
    pub fn number(name: impl Into<String>) -> Self {
        NewColumn { name: name.into(), kind: Kind::Number }
    }
}

/// A value for an appended column.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A number, written as the shortest decimal that reads back as the same value.
    Number(f64),
    /// A whole number.
    Count(u64),
    /// No value: an empty field, a JSON null, a Parquet null.
    Missing,
}

/// A data file being written.
pub struct Writer {
    path: PathBuf,
    encoder: Encoder,
    /// The column whose texts are written anew.
    replaced: Option<usize>,
    appended: Vec<NewColumn>,
}

enum Encoder {
    Delimited(delimited::Encoder),
    JsonLines(json_lines::Encoder),
    Columnar(Box<columnar::Encoder>),
}

impl Writer {
    /// Starts a file at `path` (`-` is standard output) for the rows of `like`, with `appended` columns behind them.
    ///
    /// # Errors
    /// A folder that is missing, read-only or full; Parquet to standard output.
    pub fn create(path: &Path, like: &Reader, appended: &[NewColumn]) -> Result<Writer, DataError> {
        let layout = Layout { source: like.source(), replaced: None, appended };
        Writer::start(path, Output::create(path)?, true, layout)
    }

    /// The same, with a column of texts that [`Writer::write_text`] can replace; in Parquet it becomes one of strings.
    ///
    /// # Errors
    /// As [`Writer::create`].
    ///
    /// # Panics
    /// When there is no such column in the header.
    pub fn replacing(path: &Path, like: &Source, column: Option<usize>) -> Result<Writer, DataError> {
        Writer::start(path, Output::create(path)?, true, Layout { source: like, replaced: column, appended: &[] })
    }

    /// Goes on with a file at `path`, or starts it: rows are added behind those that it has, and are in the file after
    /// [`Writer::flush`].
    ///
    /// # Errors
    /// As [`Writer::create`]; Parquet, which is complete or nothing.
    ///
    /// # Panics
    /// When there is no such column in the header.
    pub fn growing(
        path: &Path,
        like: &Source,
        column: Option<usize>,
        appended: &[NewColumn],
    ) -> Result<Writer, DataError> {
        if output_format(path, like)? == Format::Parquet {
            return Err(DataError::BadOutput {
                path: path.to_path_buf(),
                problem: "Parquet cannot grow row by row",
                advice: "name a `.csv`, `.tsv` or `.jsonl` file",
            });
        }
        let (output, is_new) = Output::grow(path)?;
        Writer::start(path, output, is_new, Layout { source: like, replaced: column, appended })
    }

    fn start(path: &Path, output: Output, is_new: bool, layout: Layout<'_>) -> Result<Writer, DataError> {
        assert!(layout.replaced.is_none_or(|column| column < layout.source.header.len()), "a column of the header");
        let format = output_format(path, layout.source)?;
        let appended = rename(layout.appended, &layout.source.header);
        let layout = Layout { appended: &appended, ..layout };
        let encoder = match format {
            Format::Csv | Format::Tsv => {
                Encoder::Delimited(delimited::Encoder::start(path, output, format, is_new, layout)?)
            }
            Format::Jsonl => Encoder::JsonLines(json_lines::Encoder::start(path, output, is_new, layout)?),
            Format::Parquet => Encoder::Columnar(Box::new(columnar::Encoder::start(path, output, layout)?)),
        };
        Ok(Writer { path: path.to_path_buf(), encoder, replaced: layout.replaced, appended })
    }

    /// The names under which the appended columns are written, in order.
    pub fn appended(&self) -> impl Iterator<Item = &str> {
        self.appended.iter().map(|column| column.name.as_str())
    }

    /// Writes one row and its appended values.
    ///
    /// # Errors
    /// A full disk; a row of JSON lines with a key that the output has no place for.
    ///
    /// # Panics
    /// When the number of values is not the number of appended columns.
    pub fn write(&mut self, row: &Row, values: &[Value]) -> Result<(), DataError> {
        self.write_row(row, None, values)
    }

    /// Writes one row with this text in the column that is replaced.
    ///
    /// # Errors
    /// As [`Writer::write`]; a text with special characters in a file without quoting.
    ///
    /// # Panics
    /// When no column is replaced, or columns are appended.
    pub fn write_text(&mut self, row: &Row, text: &str) -> Result<(), DataError> {
        let column = self.replaced.expect("a text is replaced in a writer that was made for it");
        self.write_row(row, Some((column, text)), &[])
    }

    fn write_row(&mut self, row: &Row, text: Option<(usize, &str)>, values: &[Value]) -> Result<(), DataError> {
        assert_eq!(values.len(), self.appended.len(), "one value for each appended column");
        match &mut self.encoder {
            Encoder::Delimited(encoder) => encoder.write(&self.path, row, text, values),
            Encoder::JsonLines(encoder) => encoder.write(&self.path, row, text, &self.appended, values),
            Encoder::Columnar(encoder) => encoder.write(&self.path, row, text, values),
        }
    }

    /// Sends on what was written so far, where the output is no file that appears when it is complete.
    ///
    /// # Errors
    /// A full disk, or a reader that has gone.
    pub fn flush(&mut self) -> Result<(), DataError> {
        let output = match &mut self.encoder {
            Encoder::Delimited(encoder) => encoder.output(),
            Encoder::JsonLines(encoder) => encoder.output(),
            Encoder::Columnar(_) => return Ok(()),
        };
        std::io::Write::flush(output).map_err(|error| DataError::writing(&self.path, error))
    }

    /// Completes the file and gives it its name, replacing a file of that name.
    ///
    /// # Errors
    /// A full disk. Nothing is left behind then.
    pub fn finish(self) -> Result<(), DataError> {
        let output = match self.encoder {
            Encoder::Delimited(encoder) => encoder.into_output(),
            Encoder::JsonLines(encoder) => encoder.into_output(),
            Encoder::Columnar(encoder) => encoder.into_output(&self.path)?,
        };
        output.finish().map_err(|error| DataError::writing(&self.path, error))
    }
}

/// What the columns of an output are.
#[derive(Clone, Copy)]
struct Layout<'a> {
    source: &'a Source,
    /// The column whose texts are written anew.
    replaced: Option<usize>,
    appended: &'a [NewColumn],
}

fn output_format(path: &Path, source: &Source) -> Result<Format, DataError> {
    if path != Path::new("-") {
        return Ok(Format::from_extension(path).unwrap_or(source.format));
    }
    if source.format == Format::Parquet {
        return Err(DataError::BadOutput {
            path: path.to_path_buf(),
            problem: "Parquet cannot be written to standard output",
            advice: "name a file: `-o predictions.parquet`, or `-o predictions.jsonl`",
        });
    }
    Ok(source.format)
}

/// Gives appended columns names that the input does not have.
fn rename(appended: &[NewColumn], header: &[String]) -> Vec<NewColumn> {
    let mut taken: Vec<String> = header.to_vec();
    let mut renamed = Vec::with_capacity(appended.len());
    for column in appended {
        let second = std::iter::once(format!("{}_predicted", column.name));
        let further = (2..).map(|number| format!("{}_predicted_{number}", column.name));
        let mut names = std::iter::once(column.name.clone()).chain(second).chain(further);
        let name = names.find(|name| !taken.contains(name)).expect("the candidates never end");
        taken.push(name.clone());
        renamed.push(NewColumn { name, kind: column.kind });
    }
    renamed
}

/// Refuses a JSON row with a key outside the columns that the output has.
fn refuse_extra_keys(row: &Row) -> Result<(), DataError> {
    let Cells::Json { object, .. } = &row.cells else { return Ok(()) };
    let header = &row.source.header;
    match object.keys().find(|key| !header.contains(key)) {
        None => Ok(()),
        Some(key) => Err(DataError::ExtraKey {
            path: row.source.path.clone(),
            line: row.line,
            key: key.clone(),
            problem: "is not among the columns of the first rows",
        }),
    }
}

/// Delimiter and quoting for an output that is not in the input's own format.
fn fresh_dialect(format: Format) -> Dialect {
    if format == Format::Tsv { Dialect::TSV } else { Dialect::CSV }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_exist_get_a_suffix() {
        let header = ["label", "confidence", "confidence_predicted"].map(str::to_owned);
        let columns = [NewColumn::text("label"), NewColumn::number("confidence"), NewColumn::number("p")];
        let names: Vec<String> = rename(&columns, &header).into_iter().map(|column| column.name).collect();
        assert_eq!(names, ["label_predicted", "confidence_predicted_2", "p"]);
    }
}

//! Delimited text.

use std::io::Write;
use std::path::Path;

use super::output::Output;
use super::{Cells, Dialect, Format, Layout, Row, Value, fresh_dialect, refuse_extra_keys};
use crate::error::DataError;
use crate::reader::number_text;

pub(super) struct Encoder {
    output: Output,
    dialect: Dialect,
    line_end: &'static str,
    /// Whether records go out as the bytes that were read.
    verbatim: bool,
    line: String,
}

impl Encoder {
    /// Writes the header, where the file is new.
    pub(super) fn start(
        path: &Path,
        output: Output,
        format: Format,
        is_new: bool,
        layout: Layout<'_>,
    ) -> Result<Encoder, DataError> {
        let Layout { source, appended, .. } = layout;
        let verbatim = source.format == format;
        let dialect = if verbatim { source.dialect } else { fresh_dialect(format) };
        let line_end = if verbatim && source.carriage_return { "\r\n" } else { "\n" };
        let mut encoder = Encoder { output, dialect, line_end, verbatim, line: String::new() };
        if !is_new {
            return Ok(encoder);
        }
        if verbatim && source.byte_order_mark {
            encoder.line.push('\u{FEFF}');
        }
        if verbatim {
            encoder.line.push_str(&source.raw_header);
        } else {
            encoder.fields(path, source.header.iter().map(String::as_str))?;
        }
        for column in appended {
            encoder.append(path, &column.name)?;
        }
        encoder.end_line(path)?;
        Ok(encoder)
    }

    pub(super) fn write(
        &mut self,
        path: &Path,
        row: &Row,
        text: Option<(usize, &str)>,
        values: &[Value],
    ) -> Result<(), DataError> {
        match &row.cells {
            Cells::Delimited { raw, .. } if self.verbatim && text.is_none() => self.line.push_str(raw),
            _ => {
                refuse_extra_keys(row)?;
                let mut texts = Vec::with_capacity(row.source.header.len());
                for column in 0..row.source.header.len() {
                    texts.push(match row.list(column)? {
                        Some(items) => serde_json::Value::from(items).to_string().into(),
                        None => row.text(column)?,
                    });
                }
                if let Some((column, text)) = text {
                    texts[column] = text.into();
                }
                self.fields(path, texts.iter().map(AsRef::as_ref))?;
            }
        }
        for value in values {
            match value {
                Value::Text(text) => self.append(path, text)?,
                Value::Number(number) => self.append(path, &number_text(*number))?,
                Value::Count(count) => self.append(path, &count.to_string())?,
                Value::Missing => self.append(path, "")?,
            }
        }
        self.end_line(path)
    }

    fn fields<'a>(&mut self, path: &Path, fields: impl ExactSizeIterator<Item = &'a str>) -> Result<(), DataError> {
        // A lone empty field without quotes would be a blank line, which readers skip.
        let alone = fields.len() == 1;
        for (index, field) in fields.enumerate() {
            if index > 0 {
                self.line.push(char::from(self.dialect.delimiter));
            }
            if alone && field.is_empty() {
                self.line.push_str("\"\"");
            } else {
                self.field(path, field)?;
            }
        }
        Ok(())
    }

    fn append(&mut self, path: &Path, field: &str) -> Result<(), DataError> {
        self.line.push(char::from(self.dialect.delimiter));
        self.field(path, field)
    }

    fn field(&mut self, path: &Path, field: &str) -> Result<(), DataError> {
        let quote = self.dialect.quote;
        let special = |byte: u8| byte == self.dialect.delimiter || matches!(byte, b'\n' | b'\r') || Some(byte) == quote;
        if !field.bytes().any(special) {
            self.line.push_str(field);
            return Ok(());
        }
        let Some(quote) = quote.map(char::from) else {
            return Err(DataError::NeedsQuotes { path: path.to_path_buf(), value: field.to_owned() });
        };
        self.line.push(quote);
        for character in field.chars() {
            match (self.dialect.backslash, character) {
                (false, character) if character == quote => self.line.push(quote),
                (true, character) if character == quote || character == '\\' => self.line.push('\\'),
                _ => {}
            }
            self.line.push(character);
        }
        self.line.push(quote);
        Ok(())
    }

    fn end_line(&mut self, path: &Path) -> Result<(), DataError> {
        self.line.push_str(self.line_end);
        let written = self.output.write_all(self.line.as_bytes());
        self.line.clear();
        written.map_err(|error| DataError::writing(path, error))
    }

    pub(super) fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    pub(super) fn into_output(self) -> Output {
        self.output
    }
}

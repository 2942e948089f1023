//! One row, as the file wrote it.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use serde_json::{Map, Value as Json};

use super::{Format, Source};
use crate::chat::Chat;
use crate::error::DataError;

/// One row of a data file.
#[derive(Debug, Clone)]
pub struct Row {
    /// The line on which the row starts, counting from 1; for Parquet the number of the row.
    pub line: u64,
    pub(crate) source: Arc<Source>,
    pub(crate) cells: Cells,
}

/// What the file said, kept so that it can be said again.
#[derive(Debug, Clone)]
pub(crate) enum Cells {
    /// `raw` is the record without its line end; `fields[ends[i - 1]..ends[i]]` is field `i` without its quotes.
    Delimited { raw: String, fields: String, ends: Vec<usize> },
    /// `raw` is the line without surrounding white space.
    Json { raw: String, object: Map<String, Json> },
    /// Row `index` of a batch.
    Columnar { batch: Arc<RecordBatch>, index: usize },
}

impl Row {
    /// A row in which nothing stands, in place of one that cannot be read.
    pub(crate) fn blank(source: &Arc<Source>, line: u64) -> Row {
        let columns = source.header.len();
        let cells = match source.format {
            Format::Jsonl | Format::Parquet => Cells::Json { raw: "{}".to_owned(), object: Map::new() },
            Format::Csv | Format::Tsv => {
                let between = char::from(source.dialect.delimiter).to_string();
                let raw = if columns == 1 { "\"\"".to_owned() } else { between.repeat(columns.saturating_sub(1)) };
                Cells::Delimited { raw, fields: String::new(), ends: vec![0; columns] }
            }
        };
        Row { line, source: Arc::clone(source), cells }
    }

    /// The value of a column as text; `None` where the file has a null or the key is missing.
    ///
    /// Delimited fields come without their quotes. JSON and Parquet numbers are written as the shortest text with the
    /// same value (JSON: exactly as in the file), booleans as `true` and `false`, JSON arrays and objects as JSON.
    ///
    /// # Errors
    /// A Parquet column whose type has no plain text form; a line that is no chat where one is asked for.
    ///
    /// # Panics
    /// When `column` is not an index into the header.
    pub fn cell(&self, column: usize) -> Result<Option<Cow<'_, str>>, DataError> {
        match &self.cells {
            Cells::Delimited { fields, ends, .. } => {
                let start = if column == 0 { 0 } else { ends[column - 1] };
                Ok(Some(Cow::Borrowed(&fields[start..ends[column]])))
            }
            Cells::Json { object, .. } => match self.source.header.get(column) {
                Some(key) => Ok(object.get(key).and_then(json_text)),
                None => self.chat_cell(column),
            },
            Cells::Columnar { batch, index } => {
                arrow_text(batch.column(column), *index).map_err(|found| self.unsupported(column, found))
            }
        }
    }

    /// The value of a column as text; a null is the empty text.
    ///
    /// # Errors
    /// As [`Row::cell`].
    pub fn text(&self, column: usize) -> Result<Cow<'_, str>, DataError> {
        Ok(self.cell(column)?.unwrap_or(Cow::Borrowed("")))
    }

    /// The elements of a JSON array or Parquet list; `None` where the value is anything else.
    ///
    /// # Errors
    /// A list whose elements have no plain text form.
    pub fn list(&self, column: usize) -> Result<Option<Vec<String>>, DataError> {
        match &self.cells {
            Cells::Delimited { .. } => Ok(None),
            Cells::Json { object, .. } => Ok(match self.source.header.get(column).and_then(|key| object.get(key)) {
                Some(Json::Array(items)) => Some(items.iter().filter_map(json_text).map(Cow::into_owned).collect()),
                _ => None,
            }),
            Cells::Columnar { batch, index } => {
                arrow_list(batch.column(column), *index).map_err(|found| self.unsupported(column, found))
            }
        }
    }

    /// Whether the value is a list or an object rather than one value.
    pub fn is_nested(&self, column: usize) -> bool {
        match &self.cells {
            Cells::Delimited { .. } => false,
            Cells::Json { object, .. } => {
                let value = self.source.header.get(column).and_then(|key| object.get(key));
                matches!(value, Some(Json::Array(_) | Json::Object(_)))
            }
            Cells::Columnar { batch, .. } => batch.column(column).data_type().is_nested(),
        }
    }

    /// The JSON object of the line; `None` in other formats.
    pub(crate) fn object(&self) -> Option<&Map<String, Json>> {
        match &self.cells {
            Cells::Json { object, .. } => Some(object),
            Cells::Delimited { .. } | Cells::Columnar { .. } => None,
        }
    }

    /// Whether the row is a chat whose answer is not to be learnt. One that cannot be read is not left out: it is a fault.
    pub fn is_left_out(&self) -> bool {
        self.source.chat.is_some() && Chat::from_row(self).is_ok_and(|chat| chat.is_left_out())
    }

    /// Whether the row is a chat of which nothing is to be learnt. One that cannot be read is a fault instead.
    pub fn teaches_nothing(&self) -> bool {
        self.source.chat.is_some() && Chat::from_row(self).is_ok_and(|chat| chat.teaches_nothing())
    }

    /// What a chat asks or answers.
    fn chat_cell(&self, column: usize) -> Result<Option<Cow<'_, str>>, DataError> {
        let chat = Chat::from_row(self)?;
        let rule = self.source.chat.unwrap_or_default();
        Ok(match self.source.chat_columns() {
            Some([prompt, _]) if column == prompt => Some(Cow::Owned(rule.text(chat.prompt()))),
            _ => chat.answer().map(|answer| Cow::Owned(answer.content.trim().to_owned())),
        })
    }

    /// The file the row came from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    fn unsupported(&self, column: usize, found: String) -> DataError {
        DataError::UnsupportedType { path: self.source.path.clone(), column: self.source.header[column].clone(), found }
    }
}

fn json_text(value: &Json) -> Option<Cow<'_, str>> {
    match value {
        Json::Null => None,
        Json::String(text) => Some(Cow::Borrowed(text)),
        other => Some(Cow::Owned(other.to_string())),
    }
}

/// The shortest decimal that reads back as the same number.
pub(crate) fn number_text(value: f64) -> String {
    format!("{value}")
}

/// One value of an array as text, or the name of a type that has none.
fn arrow_text(array: &dyn Array, index: usize) -> Result<Option<Cow<'_, str>>, String> {
    if array.is_null(index) {
        return Ok(None);
    }
    let text = match array.data_type() {
        DataType::Utf8 => Cow::Borrowed(array.as_string::<i32>().value(index)),
        DataType::LargeUtf8 => Cow::Borrowed(array.as_string::<i64>().value(index)),
        DataType::Utf8View => Cow::Borrowed(array.as_string_view().value(index)),
        DataType::Boolean => Cow::Owned(array.as_boolean().value(index).to_string()),
        DataType::Null => return Ok(None),
        DataType::Dictionary(_, _) => return dictionary_text(array, index),
        _ => Cow::Owned(number(array, index)?),
    };
    Ok(Some(text))
}

fn number(array: &dyn Array, index: usize) -> Result<String, String> {
    Ok(match array.data_type() {
        DataType::Int8 => array.as_primitive::<Int8Type>().value(index).to_string(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(index).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(index).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(index).to_string(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(index).to_string(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(index).to_string(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(index).to_string(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(index).to_string(),
        DataType::Float16 => number_text(array.as_primitive::<Float16Type>().value(index).to_f64()),
        DataType::Float32 => array.as_primitive::<Float32Type>().value(index).to_string(),
        DataType::Float64 => number_text(array.as_primitive::<Float64Type>().value(index)),
        other => return Err(other.to_string()),
    })
}

fn dictionary_text(array: &dyn Array, index: usize) -> Result<Option<Cow<'_, str>>, String> {
    let dictionary = array.as_any_dictionary();
    let keys = dictionary.keys();
    let Some(key) = arrow_text(keys, index)?.and_then(|key| key.parse::<usize>().ok()) else { return Ok(None) };
    if key >= dictionary.values().len() {
        return Ok(None);
    }
    arrow_text(dictionary.values(), key)
}

fn arrow_list(array: &dyn Array, index: usize) -> Result<Option<Vec<String>>, String> {
    if array.is_null(index) {
        return Ok(None);
    }
    let items = match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().value(index),
        DataType::LargeList(_) => array.as_list::<i64>().value(index),
        _ => return Ok(None),
    };
    let mut texts = Vec::with_capacity(items.len());
    for item in 0..items.len() {
        texts.extend(arrow_text(&items, item)?.map(Cow::into_owned));
    }
    Ok(Some(texts))
}

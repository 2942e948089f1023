//! JSON lines.

use std::io::Write;
use std::path::Path;

use serde_json::{Map, Number, Value as Json};

use super::output::Output;
use super::{Cells, Format, Layout, NewColumn, Row, Value};
use crate::error::DataError;

pub(super) struct Encoder {
    output: Output,
    line: String,
}

impl Encoder {
    pub(super) fn start(
        path: &Path,
        mut output: Output,
        is_new: bool,
        layout: Layout<'_>,
    ) -> Result<Encoder, DataError> {
        let Layout { source, .. } = layout;
        if is_new && source.format == Format::Jsonl && source.byte_order_mark {
            output.write_all("\u{FEFF}".as_bytes()).map_err(|error| DataError::writing(path, error))?;
        }
        Ok(Encoder { output, line: String::new() })
    }

    pub(super) fn write(
        &mut self,
        path: &Path,
        row: &Row,
        text: Option<(usize, &str)>,
        appended: &[NewColumn],
        values: &[Value],
    ) -> Result<(), DataError> {
        self.line.clear();
        let spaced = match (&row.cells, text) {
            (Cells::Json { raw, object }, None) => {
                refuse_clash(row, object, appended)?;
                self.line.push_str(raw);
                raw.contains("\": ")
            }
            (_, text) => {
                let mut object = object(row)?;
                if let Some((column, text)) = text {
                    object.insert(row.source.header[column].clone(), Json::from(text));
                }
                self.line.push_str(&Json::Object(object).to_string());
                false
            }
        };
        // The line is an object, so it ends with a brace; what is appended goes before it, and the rest stays as it was.
        self.line.pop();
        self.line.truncate(self.line.trim_end().len());
        for (column, value) in appended.iter().zip(values) {
            if !self.line.ends_with('{') || self.line.len() > 1 {
                self.line.push_str(if spaced { ", " } else { "," });
            }
            self.line.push_str(&Json::from(column.name.as_str()).to_string());
            self.line.push_str(if spaced { ": " } else { ":" });
            self.line.push_str(&json(value).to_string());
        }
        self.line.push_str("}\n");
        self.output.write_all(self.line.as_bytes()).map_err(|error| DataError::writing(path, error))
    }

    pub(super) fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    pub(super) fn into_output(self) -> Output {
        self.output
    }
}

/// A later row may have a key that the first rows lack; an object must not have one key twice.
fn refuse_clash(row: &Row, object: &Map<String, Json>, appended: &[NewColumn]) -> Result<(), DataError> {
    match appended.iter().find(|column| object.contains_key(&column.name)) {
        None => Ok(()),
        Some(column) => Err(DataError::ExtraKey {
            path: row.source.path.clone(),
            line: row.line,
            key: column.name.clone(),
            problem: "has the name of an appended column, and the first rows do not have it",
        }),
    }
}

fn json(value: &Value) -> Json {
    match value {
        Value::Text(text) => Json::from(text.as_str()),
        Value::Number(number) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
        Value::Count(count) => Json::from(*count),
        Value::Missing => Json::Null,
    }
}

/// A row as an object: one of JSON lines as it is; delimited fields are strings, Parquet values keep their kind.
fn object(row: &Row) -> Result<Map<String, Json>, DataError> {
    if let Cells::Json { object, .. } = &row.cells {
        return Ok(object.clone());
    }
    let mut object = Map::new();
    for (column, name) in row.source.header.iter().enumerate() {
        let value = match row.list(column)? {
            Some(items) => Json::from(items),
            None => row.cell(column)?.map_or(Json::Null, |text| typed(row, column, &text)),
        };
        object.insert(name.clone(), value);
    }
    Ok(object)
}

fn typed(row: &Row, column: usize, text: &str) -> Json {
    let Cells::Columnar { batch, .. } = &row.cells else { return Json::from(text) };
    let kind = batch.column(column).data_type().clone();
    let bare = kind.is_numeric() || kind == arrow_schema::DataType::Boolean;
    if bare { serde_json::from_str(text).unwrap_or(Json::Null) } else { Json::from(text) }
}

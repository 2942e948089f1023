//! Parquet.

use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{Float64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::output::Output;
use super::{Cells, Kind, Layout, NewColumn, Row, Value, refuse_extra_keys};
use crate::error::DataError;

/// Bytes of encoded rows after which a row group is written out.
const ROW_GROUP_BYTES: usize = 64 << 20;
/// Rows after which waiting rows are encoded.
const BATCH_ROWS: usize = 1024;
/// Bytes of text after which waiting rows are encoded.
const BATCH_BYTES: usize = 8 << 20;

pub(super) struct Encoder {
    writer: ArrowWriter<Output>,
    schema: SchemaRef,
    originals: Originals,
    /// The column whose texts are written anew, and those of the rows that wait.
    replaced: Option<(usize, StringBuilder)>,
    appended: Vec<Builder>,
    waiting: usize,
}

/// The columns that were read, for the rows that wait to be encoded.
enum Originals {
    /// Rows `start..start + waiting` of a batch that was read: no value is copied.
    Slice { batch: Option<Arc<RecordBatch>>, start: usize },
    /// Texts of another format.
    Texts { columns: Vec<StringBuilder>, bytes: usize },
}

enum Builder {
    Text(StringBuilder),
    Number(Float64Builder),
}

impl Encoder {
    pub(super) fn start(path: &Path, output: Output, layout: Layout<'_>) -> Result<Encoder, DataError> {
        let Layout { source, replaced, appended } = layout;
        let (mut fields, metadata) = match &source.schema {
            Some(schema) => (schema.fields().to_vec(), schema.metadata().clone()),
            None => (source.header.iter().map(|name| text_field(name)).collect(), Default::default()),
        };
        if let Some(column) = replaced {
            fields[column] = Arc::new(fields[column].as_ref().clone().with_data_type(DataType::Utf8));
        }
        let originals = match &source.schema {
            Some(_) => Originals::Slice { batch: None, start: 0 },
            None => {
                Originals::Texts { columns: source.header.iter().map(|_| StringBuilder::new()).collect(), bytes: 0 }
            }
        };
        fields.extend(appended.iter().map(|column| match column.kind {
            Kind::Text => text_field(&column.name),
            Kind::Number => Arc::new(Field::new(&column.name, DataType::Float64, true)),
        }));
        let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
        let compression = Compression::ZSTD(ZstdLevel::default());
        let properties = WriterProperties::builder().set_compression(compression).build();
        let writer = ArrowWriter::try_new(output, Arc::clone(&schema), Some(properties))
            .map_err(|error| failure(path, error))?;
        let replaced = replaced.map(|column| (column, StringBuilder::new()));
        let appended = appended.iter().map(Builder::of).collect();
        Ok(Encoder { writer, schema, originals, replaced, appended, waiting: 0 })
    }

    pub(super) fn write(
        &mut self,
        path: &Path,
        row: &Row,
        text: Option<(usize, &str)>,
        values: &[Value],
    ) -> Result<(), DataError> {
        if !self.continues(row) {
            self.encode(path)?;
        }
        match &mut self.originals {
            Originals::Slice { batch, start } => {
                if let (Cells::Columnar { batch: read, index }, 0) = (&row.cells, self.waiting) {
                    (*batch, *start) = (Some(Arc::clone(read)), *index);
                }
            }
            Originals::Texts { columns, bytes } => {
                refuse_extra_keys(row)?;
                for (column, builder) in columns.iter_mut().enumerate() {
                    let cell = row.cell(column)?;
                    *bytes += cell.as_ref().map_or(0, |text| text.len());
                    builder.append_option(cell);
                }
            }
        }
        match (&mut self.replaced, text) {
            (Some((_, texts)), Some((_, text))) => texts.append_value(text),
            (Some((column, texts)), None) => texts.append_option(row.cell(*column)?),
            (None, _) => {}
        }
        for (builder, value) in self.appended.iter_mut().zip(values) {
            builder.push(value);
        }
        self.waiting += 1;
        Ok(())
    }

    /// Whether a row can join the rows that wait.
    fn continues(&self, row: &Row) -> bool {
        match (&self.originals, &row.cells) {
            (Originals::Slice { batch: Some(batch), start }, Cells::Columnar { batch: read, index }) => {
                Arc::ptr_eq(batch, read) && *index == start + self.waiting
            }
            (Originals::Texts { bytes, .. }, _) => self.waiting < BATCH_ROWS && *bytes < BATCH_BYTES,
            _ => false,
        }
    }

    fn encode(&mut self, path: &Path) -> Result<(), DataError> {
        if self.waiting == 0 {
            return Ok(());
        }
        let mut arrays: Vec<ArrayRef> = match &mut self.originals {
            Originals::Slice { batch, start } => {
                let batch = batch.take().expect("rows that wait were sliced from a batch");
                batch.slice(*start, self.waiting).columns().to_vec()
            }
            Originals::Texts { columns, bytes } => {
                *bytes = 0;
                columns.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef).collect()
            }
        };
        if let Some((column, texts)) = &mut self.replaced {
            arrays[*column] = Arc::new(texts.finish());
        }
        arrays.extend(self.appended.iter_mut().map(Builder::finish));
        self.waiting = 0;
        let batch =
            RecordBatch::try_new(Arc::clone(&self.schema), arrays).map_err(|error| failure(path, error.into()))?;
        self.writer.write(&batch).map_err(|error| failure(path, error))?;
        if self.writer.in_progress_size() > ROW_GROUP_BYTES {
            self.writer.flush().map_err(|error| failure(path, error))?;
        }
        Ok(())
    }

    pub(super) fn into_output(mut self, path: &Path) -> Result<Output, DataError> {
        self.encode(path)?;
        self.writer.into_inner().map_err(|error| failure(path, error))
    }
}

fn text_field(name: &str) -> Arc<Field> {
    Arc::new(Field::new(name, DataType::Utf8, true))
}

/// The operating system's error where the library wrapped one.
fn failure(path: &Path, error: ParquetError) -> DataError {
    let source = match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(error) => *error,
            Err(other) => std::io::Error::other(other),
        },
        other => std::io::Error::other(other),
    };
    DataError::writing(path, source)
}

impl Builder {
    fn of(column: &NewColumn) -> Builder {
        match column.kind {
            Kind::Text => Builder::Text(StringBuilder::new()),
            Kind::Number => Builder::Number(Float64Builder::new()),
        }
    }

    fn push(&mut self, value: &Value) {
        match (self, value) {
            (Builder::Text(builder), Value::Text(text)) => builder.append_value(text),
            (Builder::Text(builder), Value::Number(number)) => {
                builder.append_value(crate::reader::number_text(*number))
            }
            (Builder::Text(builder), Value::Count(count)) => builder.append_value(count.to_string()),
            (Builder::Text(builder), Value::Missing) => builder.append_null(),
            (Builder::Number(builder), Value::Number(number)) => builder.append_value(*number),
            (Builder::Number(builder), Value::Count(count)) => builder.append_value(*count as f64),
            (Builder::Number(builder), Value::Text(_) | Value::Missing) => builder.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Text(builder) => Arc::new(builder.finish()),
            Builder::Number(builder) => Arc::new(builder.finish()),
        }
    }
}

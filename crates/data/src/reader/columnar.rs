//! Parquet, batch by batch.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::row::{Cells, Row};
use super::{Dialect, Format, OpenOptions, Source};
use crate::error::DataError;

/// The rows of the file.
pub(super) struct Batches {
    reader: ParquetRecordBatchReader,
    current: Option<Arc<RecordBatch>>,
    index: usize,
    line: u64,
}

/// Reads the footer.
pub(super) fn open(path: &Path, file: File, options: &OpenOptions) -> Result<(Source, Batches), DataError> {
    let (schema, reader) = guarded(path, || {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string())?;
        let schema = Arc::clone(builder.schema());
        let reader = builder.with_batch_size(options.batch_rows).build().map_err(|error| error.to_string())?;
        Ok((schema, reader))
    })?;
    let source = Source {
        path: path.to_path_buf(),
        header: schema.fields().iter().map(|field| field.name().clone()).collect(),
        format: Format::Parquet,
        encoding: "UTF-8",
        likely_encoding: None,
        byte_order_mark: false,
        chat: None,
        dialect: Dialect::CSV,
        carriage_return: false,
        raw_header: String::new(),
        schema: Some(schema),
    };
    Ok((source, Batches { reader, current: None, index: 0, line: 0 }))
}

impl Batches {
    pub(super) fn next(&mut self, source: &Arc<Source>) -> Option<Result<Row, DataError>> {
        while self.current.as_ref().is_none_or(|batch| self.index >= batch.num_rows()) {
            let reader = &mut self.reader;
            match guarded(&source.path, || reader.next().transpose().map_err(|error| error.to_string())) {
                Ok(batch) => self.current = Some(Arc::new(batch?)),
                Err(fault) => return Some(Err(fault)),
            }
            self.index = 0;
        }
        let batch = Arc::clone(self.current.as_ref()?);
        self.line += 1;
        self.index += 1;
        let cells = Cells::Columnar { batch, index: self.index - 1 };
        Some(Ok(Row { line: self.line, source: Arc::clone(source), cells }))
    }
}

/// Runs the Parquet library so that a hostile file ends in an error.
///
/// The library checks most of what a file claims; where it asserts instead, the panic is caught here, since a damaged
/// file of the user is no fault of the program. Whatever the closure held is dropped or never used again.
fn guarded<T>(path: &Path, call: impl FnOnce() -> Result<T, String>) -> Result<T, DataError> {
    let outcome =
        catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err("its parts contradict each other".into()));
    outcome.map_err(|message| DataError::BadParquet { path: path.to_path_buf(), message })
}

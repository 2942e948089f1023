//! The rows that are worth labelling, as a file to fill in.
//!
//! What the model says about them is left out: who sees an answer tends to agree with it.

use std::collections::HashSet;
use std::path::Path;

use finetone_data::{NewColumn, Reader, Role, Value, Writer, columns};
use finetone_train::MonitorOptions;

use crate::failure::Failure;
use crate::found::Found;

/// What the file is like, known before anything is computed.
pub struct Template {
    reader: Reader,
    /// The column to fill in, where the fresh file has none.
    added: Option<String>,
}

impl Template {
    /// Looks at the fresh file.
    pub fn new(options: &MonitorOptions, found: &Found) -> Result<Self, Failure> {
        let reader = Reader::open(&options.fresh, &options.read.open)?;
        let source = reader.source();
        if source.chat_columns().is_some() {
            let message = format!("{}: rows of chats have no column for a label", options.fresh.display());
            return Err(Failure::new(message, "give the texts as CSV or JSON lines for `--to-label`".to_owned()));
        }
        let named = options.read.label_column.as_deref();
        let has_column = columns::find(source, Role::Label, named).is_ok();
        let of_run = found.config.as_ref().and_then(|config| config.label_column.clone());
        let added = (!has_column).then(|| of_run.unwrap_or_else(|| "label".to_owned()));
        Ok(Self { reader, added })
    }

    /// Writes the rows that begin on `lines`, in the order of the file, and gives their number; none are no file.
    pub fn write(mut self, out: &Path, lines: &[u64]) -> Result<usize, Failure> {
        if lines.is_empty() {
            return Ok(0);
        }
        let added: Vec<NewColumn> = self.added.iter().map(NewColumn::text).collect();
        let wanted: HashSet<u64> = lines.iter().copied().collect();
        let mut writer = Writer::create(out, &self.reader, &added)?;
        while let Some(row) = self.reader.next_row() {
            let row = row?;
            if wanted.contains(&row.line) {
                writer.write(&row, &vec![Value::Missing; added.len()])?;
            }
        }
        writer.finish()?;
        Ok(lines.len())
    }
}

//! Columns that hold no labels, and answers of chats that are none.

use std::path::Path;

use super::{Columns, Spellings};
use crate::decimal::decimal;
use crate::error::DataError;
use crate::labels;
use crate::reader::Reader;

/// Rows from which on a column with a label of its own for nearly every row is refused.
const ENOUGH_ROWS: usize = 20;

/// The most answers of chats that are taken for labels.
const MOST_ANSWERS: usize = 50;
/// Chats from which on answers that mostly occur once are no labels.
const ENOUGH_CHATS: usize = 10;

/// Refuses a column that holds numbers to predict, or texts, rather than classes.
pub(crate) fn refuse_non_labels(
    reader: &Reader,
    columns: &Columns,
    column: usize,
    spellings: &Spellings,
    rows: usize,
) -> Result<(), DataError> {
    let source = reader.source();
    if source.chat_columns().is_some_and(|[_, answer]| column == answer) {
        return refuse_open_answers(&source.path, spellings, rows);
    }
    let header = &source.header;
    let others = || {
        let indices = (0..header.len()).filter(|index| *index != column && *index != columns.text);
        indices.map(|index| header[index].clone()).collect()
    };
    let numeric = spellings.keys().all(|label| decimal(label).is_some());
    let first_real = spellings.iter().filter(|(label, _)| labels::is_real(label)).min_by_key(|(_, (_, line))| *line);
    if let (true, Some((value, (_, line)))) = (numeric, first_real) {
        return Err(DataError::FloatLabels {
            path: source.path.clone(),
            line: *line,
            column: source.column(column).to_owned(),
            value: value.clone(),
            others: others(),
        });
    }
    if rows >= ENOUGH_ROWS && spellings.len() * 10 >= rows * 9 {
        return Err(DataError::TooManyLabels {
            path: source.path.clone(),
            column: source.column(column).to_owned(),
            labels: spellings.len(),
            rows,
            others: others(),
        });
    }
    Ok(())
}

/// Refuses answers that nobody could choose from: too many, or mostly such as occur once.
fn refuse_open_answers(path: &Path, spellings: &Spellings, rows: usize) -> Result<(), DataError> {
    let single = spellings.values().filter(|(rows, _)| *rows == 1).count();
    if spellings.len() <= MOST_ANSWERS && (rows < ENOUGH_CHATS || single * 2 <= rows) {
        return Ok(());
    }
    Err(DataError::OpenAnswers { path: path.to_path_buf(), answers: spellings.len(), rows })
}

//! The columns of a file that can be features, where nobody names them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::MOST_CATEGORIES;
use crate::decimal::decimal;
use crate::error::{DataError, Role};
use crate::labels::is_missing;
use crate::reader::Reader;
use crate::{ReadOptions, columns};

/// A feature of this name stands for every usable column.
pub const ALL_COLUMNS: &str = "columns";

/// What the rows say about one column.
#[derive(Default)]
struct Seen {
    rows: usize,
    numbers: usize,
    whole_numbers: usize,
    /// Different values with their numbers by first appearance, up to one more value than a feature may have.
    values: BTreeMap<String, u64>,
    /// The numbers of all rows as one. Columns that say the same in other words have the same.
    pattern: u64,
    /// Whether there are more.
    many: bool,
}

/// The columns besides text and label that tell rows apart without naming them: numbers that are not all different whole
/// numbers, as row numbers are, and words that occur twice on average. Of columns that say the same in other words the first
/// is taken. The whole file is read.
///
/// # Errors
/// A file that cannot be read, a text or label column that is not found.
pub fn usable_columns(path: &Path, options: &ReadOptions) -> Result<Vec<String>, DataError> {
    let mut reader = Reader::open(path, &options.open)?;
    let header = reader.source().header.clone();
    let taken = [
        columns::find(reader.source(), Role::Text, options.text_column.as_deref())?,
        columns::find(reader.source(), Role::Label, options.label_column.as_deref())?,
    ];
    let others: Vec<usize> =
        (0..header.len()).filter(|&column| !taken.contains(&column) && !reader.source().is_in_chats(column)).collect();
    let mut seen: Vec<Seen> = others.iter().map(|_| Seen::default()).collect();
    while let Some(row) = reader.next_row() {
        let row = row?;
        for (&column, seen) in others.iter().zip(&mut seen) {
            seen.take(row.text(column)?.trim());
        }
    }
    let mut patterns = BTreeSet::new();
    let usable = others.iter().zip(seen).filter(|(_, seen)| seen.is_usable() && patterns.insert(seen.pattern));
    Ok(usable.map(|(&column, _)| header[column].clone()).collect())
}

impl Seen {
    fn take(&mut self, cell: &str) {
        let number = match (is_missing(cell), self.values.get(cell)) {
            (true, _) => u64::MAX,
            (_, Some(number)) => *number,
            (_, None) => self.values.len() as u64,
        };
        self.pattern = (self.pattern ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
        if is_missing(cell) {
            return;
        }
        self.rows += 1;
        self.numbers += usize::from(decimal(cell).is_some());
        self.whole_numbers += usize::from(cell.parse::<i64>().is_ok());
        if self.values.len() <= MOST_CATEGORIES {
            self.values.entry(cell.to_owned()).or_insert(number);
        }
        self.many |= self.values.len() > MOST_CATEGORIES;
    }

    fn is_usable(&self) -> bool {
        let different = self.values.len();
        let numbers_rows = self.whole_numbers == self.rows && (self.many || different == self.rows);
        let numeric = self.numbers == self.rows && !numbers_rows;
        different >= 2 && (numeric || (!self.many && 2 * different <= self.rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_a_row_or_says_nothing_new_is_no_feature() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.csv");
        let mut text = String::from("id,text,label,tier,price,note,always,level\n");
        for row in 0..30 {
            let (label, tier) = (["good", "bad"][row % 2], ["gold", "silver", ""][row % 3]);
            let level = ["one", "two", ""][row % 3];
            text.push_str(&format!("{row},text {row},{label},{tier},{}.5,note {row},yes,{level}\n", row * 7));
        }
        std::fs::write(&path, text).unwrap();
        assert_eq!(usable_columns(&path, &ReadOptions::default()).unwrap(), ["tier", "price"]);
    }
}

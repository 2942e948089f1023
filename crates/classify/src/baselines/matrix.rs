//! The numbers that a linear model reads of each text: a few of many, or all of few.

/// Numbers of `n` texts, a row for each.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Matrix {
    /// All numbers, row-major `[n, width]`.
    Dense {
        /// Numbers of a row.
        width: usize,
        /// All rows.
        values: Vec<f64>,
    },
    /// Only those that are not zero.
    Sparse(Sparse),
}

/// Rows of which only the numbers other than zero are kept.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sparse {
    width: usize,
    starts: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f64>,
}

impl Sparse {
    /// No rows yet, of this width.
    pub(super) fn new(width: usize) -> Self {
        Self { width, starts: vec![0], columns: Vec::new(), values: Vec::new() }
    }

    /// Adds a row of columns, ascending and below the width, with their values.
    pub(super) fn push(&mut self, row: impl IntoIterator<Item = (u32, f64)>) {
        for (column, value) in row {
            self.columns.push(column);
            self.values.push(value);
        }
        self.starts.push(self.columns.len());
    }
}

/// The numbers of one text.
#[derive(Clone, Copy)]
pub(super) enum Row<'a> {
    Dense(&'a [f64]),
    Sparse(&'a [u32], &'a [f64]),
}

impl Row<'_> {
    /// Visits the columns that count, ascending, each with its value.
    pub(super) fn for_each(self, mut visit: impl FnMut(usize, f64)) {
        match self {
            Self::Dense(values) => values.iter().enumerate().for_each(|(column, &value)| visit(column, value)),
            Self::Sparse(columns, values) => {
                columns.iter().zip(values).for_each(|(&column, &value)| visit(column as usize, value));
            }
        }
    }
}

impl Matrix {
    /// Number of columns.
    pub(super) fn width(&self) -> usize {
        match self {
            Self::Dense { width, .. } => *width,
            Self::Sparse(sparse) => sparse.width,
        }
    }

    pub(super) fn row(&self, row: usize) -> Row<'_> {
        match self {
            Self::Dense { width, values } => Row::Dense(&values[row * width..(row + 1) * width]),
            Self::Sparse(sparse) => {
                let range = sparse.starts[row]..sparse.starts[row + 1];
                Row::Sparse(&sparse.columns[range.clone()], &sparse.values[range])
            }
        }
    }
}

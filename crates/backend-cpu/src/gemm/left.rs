//! Left matrices: a block of rows, packed for one thread.

use super::kernel::ROWS;
use super::words::{Rows, Runs, pairs, quads, scale_of, spread_over_groups};
use super::{BLOCK_ROWS, DEPTH, Left};
use crate::{Isa, Precision};

/// Rows of a tile, and words in one.
pub(super) const TILE: usize = 16;
/// Words in a tile.
pub(super) const TILE_WORDS: usize = TILE * TILE;

/// The sums of a few words of each row, which are added to the whole sums together: that keeps the rounding small.
struct Partial([f32; BLOCK_ROWS]);

impl Default for Partial {
    fn default() -> Self {
        Self([0.0; BLOCK_ROWS])
    }
}

impl Partial {
    /// Words that are summed before they are added to the whole.
    const WORDS: usize = 32;

    /// Where the numbers of this word are to be added, if anywhere.
    fn of(&mut self, word: usize, whole: &mut [f32]) -> &mut [f32] {
        if word > 0 && word.is_multiple_of(Self::WORDS) {
            self.flush(whole);
        }
        &mut self.0[..whole.len()]
    }

    fn flush(&mut self, whole: &mut [f32]) {
        for (whole, partial) in whole.iter_mut().zip(&mut self.0) {
            *whole += std::mem::take(partial);
        }
    }
}

/// A block of rows of the left matrix and a chunk of its sums.
#[derive(Clone, Copy)]
pub(super) struct Chunk<'a> {
    pub isa: Isa,
    pub precision: Precision,
    pub a: Left<'a>,
    /// Rows and products of the whole matrix.
    pub whole: (usize, usize),
    /// First row and number of rows of the block.
    pub rows: (usize, usize),
    /// First word and number of words of the chunk.
    pub words: (usize, usize),
}

impl Chunk<'_> {
    /// The numbers of row `row` of the block in this chunk; for matrices given row by row.
    fn row<'v>(&self, values: &'v [f32], row: usize) -> &'v [f32] {
        let (k, per_word) = (self.whole.1, self.precision.per_word());
        let first = (self.rows.0 + row) * k;
        let (start, end) = (self.words.0 * per_word, (self.words.0 + self.words.1) * per_word);
        &values[first + start..first + end.min(k)]
    }

    /// The rows of the whole matrix that one word of the sums comes from, at this block's columns of it; for matrices
    /// given column by column.
    fn column<'v>(&self, values: &'v [f32], word: usize) -> Rows<'v> {
        let (m, per_word) = (self.whole.0, self.precision.per_word());
        let (first, last) = ((self.words.0 + word) * per_word, (self.words.0 + word + 1) * per_word);
        let rows = &values[first * m..(last * m).min(values.len())];
        Rows { values: &rows[self.rows.0..], stride: m, n: self.rows.1 }
    }

    /// The words of a column to `runs`, and its numbers added to `sums`; for matrices given column by column.
    fn spread(&self, runs: Runs, values: &[f32], word: usize, sums: &mut [f32]) {
        spread_over_groups(self.isa, runs, self.column(values, word), self.precision, sums);
    }

    /// The words of a row.
    fn pack_row(&self, to: &mut [f32], values: &[f32], row: usize, reciprocals: &[f32]) {
        let from = self.row(values, row);
        match self.precision {
            Precision::F32 => to.copy_from_slice(from),
            Precision::Bf16 => pairs(self.isa, to, from),
            Precision::Int8 => quads(self.isa, to, from, reciprocals[row], 128),
        }
    }

    /// Rows of a group, as even as possible: a sum takes as long as its rows. Columns are spread over the tallest.
    pub fn group(a: Left<'_>, rows: usize) -> usize {
        match a {
            Left::Rows(_) => rows.div_ceil(rows.div_ceil(ROWS)),
            Left::Columns(..) => ROWS,
        }
    }

    /// Rows as the vector kernels read them: where they begin, and the distances from a group to the next, a row to the
    /// next, and a word to the next. Numbers in f32 that lie row by row stay where they are.
    ///
    /// To `sums`, one for each row or none, the sums of rows that lie column by column are added.
    pub fn streams(&self, to: &mut [f32], reciprocals: &[f32], sums: &mut [f32]) -> (*const f32, [usize; 3]) {
        let (_, count) = self.words;
        let (group, mut partial) = (Self::group(self.a, self.rows.1), Partial::default());
        match self.a {
            Left::Rows(values) if self.precision == Precision::F32 => {
                let k = self.whole.1;
                (values[self.rows.0 * k + self.words.0..].as_ptr(), [group * k, k, 1])
            }
            Left::Rows(values) => {
                for (row, to) in to.chunks_exact_mut(count).take(self.rows.1).enumerate() {
                    self.pack_row(to, values, row, reciprocals);
                }
                (to.as_ptr(), [group * count, count, 1])
            }
            Left::Columns(values, _) => {
                assert!(to.len() >= self.rows.1.next_multiple_of(ROWS) * count, "room for {} rows", self.rows.1);
                for word in 0..count {
                    // SAFETY: there is room for `count` words of every group of rows.
                    let runs = unsafe { Runs::new(to.as_mut_ptr().add(word * ROWS), ROWS * count) };
                    self.spread(runs, values, word, partial.of(word, sums));
                }
                partial.flush(sums);
                (to.as_ptr(), [ROWS * count, 1, ROWS])
            }
        }
    }

    /// Rows in tiles of sixteen rows by sixteen words, those of the same rows one after the other: where they begin, and
    /// the distance from sixteen rows to the next sixteen. Missing rows and words are zero.
    pub fn tiles(&self, to: &mut [f32], reciprocals: &[f32], sums: &mut [f32]) -> (*const f32, [usize; 3]) {
        let (_, count) = self.words;
        let steps = count.div_ceil(TILE);
        let (mut line, mut partial) = ([0.0; DEPTH], Partial::default());
        to[..self.rows.1.div_ceil(TILE) * steps * TILE_WORDS].fill(0.0);
        match self.a {
            Left::Rows(values) => {
                for row in 0..self.rows.1 {
                    self.pack_row(&mut line[..count], values, row, reciprocals);
                    for (step, from) in line[..count].chunks(TILE).enumerate() {
                        let place = (row / TILE * steps + step) * TILE_WORDS + row % TILE * TILE;
                        to[place..][..from.len()].copy_from_slice(from);
                    }
                }
            }
            Left::Columns(values, _) => {
                for word in 0..count {
                    // SAFETY: the line has room for all rows of a block.
                    let runs = unsafe { Runs::new(line.as_mut_ptr(), ROWS) };
                    self.spread(runs, values, word, partial.of(word, sums));
                    for (row, &value) in line[..self.rows.1].iter().enumerate() {
                        let place = (row / TILE * steps + word / TILE) * TILE_WORDS;
                        to[place + row % TILE * TILE + word % TILE] = value;
                    }
                }
                partial.flush(sums);
            }
        }
        (to.as_ptr(), [steps * TILE_WORDS; 3])
    }
}

/// The scale of each of the block's rows and its reciprocal, for eight bits.
pub(super) fn row_scales(
    isa: Isa,
    (scales, reciprocals): (&mut [f32], &mut [f32]),
    a: Left<'_>,
    k: usize,
    first: usize,
) {
    let Left::Rows(values) = a else { unreachable!("eight bits are for forward, whose left matrix lies row by row") };
    let rows = values[first * k..].chunks_exact(k);
    for ((scale, reciprocal), row) in scales.iter_mut().zip(reciprocals).zip(rows) {
        (*scale, *reciprocal) = scale_of(isa, row);
    }
}

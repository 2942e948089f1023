//! Right matrices in panels of columns: for each word of a sum a row of [`WIDTH`] words, one panel after the other, with
//! zeros where the last panel has no columns.

use super::DEPTH_OF_BYTES;
use super::left::TILE;
use super::words::{Rows, Runs, columns, scale_of, spread_over_panels};
use crate::buffer::Buffer;
use crate::parallel::Disjoint;
use crate::{Cpu, Isa, Precision};

/// Columns of a panel: two of the widest vectors.
pub(crate) const WIDTH: usize = 32;

/// Words of a sum of `k` products, without padding.
pub(super) fn words(precision: Precision, k: usize) -> usize {
    k.div_ceil(precision.per_word())
}

/// Rows of words in a panel. For tiles, those of fewer than 32 bits a number are padded with zeros to whole tiles.
pub(super) fn panel_rows(precision: Precision, k: usize) -> usize {
    match precision {
        Precision::F32 => k,
        _ => words(precision, k).next_multiple_of(TILE),
    }
}

/// Words in the panels of a matrix of `k` rows and `n` columns.
pub(super) fn panels_len(precision: Precision, k: usize, n: usize) -> usize {
    n.div_ceil(WIDTH) * WIDTH * panel_rows(precision, k)
}

/// The transpose of a weight `[n, k]` in panels, kept between products.
#[derive(Debug)]
pub(crate) struct Panels {
    pub(super) precision: Precision,
    words: Buffer,
    /// Rows and columns of the matrix.
    pub(super) k: usize,
    pub(super) n: usize,
    /// One for each panel of eight bits; empty for other precisions.
    scales: Vec<PanelScales>,
}

/// What turns the whole numbers of a panel of eight bits into numbers.
#[derive(Debug)]
struct PanelScales {
    /// The scale of each column.
    columns: [f32; WIDTH],
    /// What the sum of each column begins with, for each chunk of the sums.
    begins: Vec<[i32; WIDTH]>,
}

impl Panels {
    /// Packs the transpose of `matrix[n, k]`: the weights of a layer with `n` outputs and `k` inputs.
    pub(crate) fn new(isa: Isa, precision: Precision, matrix: &[f32], k: usize) -> Self {
        let n = matrix.len() / k;
        let mut words = Buffer::zeros(panels_len(precision, k, n));
        let panels = words.chunks_mut(WIDTH * panel_rows(precision, k)).zip(matrix.chunks(WIDTH * k));
        let scales = panels.filter_map(|(panel, rows)| pack_transposed(isa, precision, panel, rows, k)).collect();
        Self { precision, words, k, n, scales }
    }

    /// How products read them.
    pub(super) fn view(&self) -> View<'_> {
        View {
            precision: self.precision,
            words: &self.words,
            rows: panel_rows(self.precision, self.k),
            scales: &self.scales,
        }
    }
}

/// Panels as products read them.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub precision: Precision,
    pub words: &'a [f32],
    /// Rows of words in a panel.
    pub rows: usize,
    /// The scales of eight-bit panels.
    scales: &'a [PanelScales],
}

impl<'a> View<'a> {
    /// Panels without scales.
    pub fn new(precision: Precision, words: &'a [f32], k: usize) -> Self {
        Self { precision, words, rows: panel_rows(precision, k), scales: &[] }
    }

    /// The words of a panel from row `depth` on.
    pub fn panel(self, panel: usize, depth: usize) -> *const f32 {
        self.words[(panel * self.rows + depth) * WIDTH..].as_ptr()
    }

    /// The scales of a panel of eight bits, and where the sums of its columns begin in the chunk from row `depth` on.
    pub fn scales(self, panel: usize, depth: usize) -> Option<(&'a [f32; WIDTH], &'a [i32; WIDTH])> {
        let PanelScales { columns, begins } = self.scales.get(panel)?;
        Some((columns, &begins[depth / DEPTH_OF_BYTES]))
    }
}

/// Packs at most [`WIDTH`] rows of `rows[.., k]` as the columns of a panel; gives the scales of eight bits.
fn pack_transposed(isa: Isa, precision: Precision, panel: &mut [f32], rows: &[f32], k: usize) -> Option<PanelScales> {
    let (mut scales, mut reciprocals) = ([0.0; WIDTH], [1.0; WIDTH]);
    let eight = precision == Precision::Int8;
    if eight {
        for (column, row) in rows.chunks_exact(k).enumerate() {
            (scales[column], reciprocals[column]) = scale_of(isa, row);
        }
    }
    columns(isa, panel, rows, k, precision, &reciprocals);
    let begins = || panel.chunks(DEPTH_OF_BYTES * WIDTH).map(begin_of).collect();
    eight.then(|| PanelScales { columns: scales, begins: begins() })
}

/// Left numbers are stored with 128 added, so the sum of every column of a chunk begins at -128 times its numbers.
fn begin_of(chunk: &[f32]) -> [i32; WIDTH] {
    let mut begin = [0; WIDTH];
    for row in chunk.chunks_exact(WIDTH) {
        for (begin, word) in begin.iter_mut().zip(row) {
            let sum: i32 = word.to_bits().to_le_bytes().into_iter().map(|byte| i32::from(byte as i8)).sum();
            *begin -= 128 * sum;
        }
    }
    begin
}

/// Packs the transpose of `matrix[n, k]` to panels, on all threads.
pub(super) fn pack_columns(cpu: &Cpu, precision: Precision, panels: &mut [f32], matrix: &[f32], k: usize) {
    let words = WIDTH * panel_rows(precision, k);
    cpu.chunks([(panels, words)], |i, [panel]| {
        let rows = &matrix[i * WIDTH * k..matrix.len().min((i + 1) * WIDTH * k)];
        pack_transposed(cpu.isa(), precision, panel, rows, k);
    });
}

/// Rows of words that a piece of work packs.
const PACKED_ROWS: usize = 32;

/// Packs `k` rows of `n` values to panels, on all threads.
pub(super) fn pack_rows(cpu: &Cpu, precision: Precision, panels: &mut [f32], matrix: &[f32], n: usize) {
    let k = matrix.len() / n;
    let (per_word, rows) = (precision.per_word(), panel_rows(precision, k));
    assert!(panels.len() >= panels_len(precision, k, n), "{} words for panels of {k} by {n}", panels.len());
    let to = Disjoint::new(panels);
    cpu.parallel(rows.div_ceil(PACKED_ROWS), |piece| {
        for word in piece * PACKED_ROWS..rows.min((piece + 1) * PACKED_ROWS) {
            let from = &matrix[(word * per_word * n).min(k * n)..((word + 1) * per_word * n).min(k * n)];
            if from.is_empty() {
                for panel in 0..n.div_ceil(WIDTH) {
                    // SAFETY: every row of every panel belongs to one piece.
                    unsafe { to.slice((panel * rows + word) * WIDTH..(panel * rows + word + 1) * WIDTH) }.fill(0.0);
                }
            } else {
                // SAFETY: as above; the last panel begins within the memory, and has this row as every panel does.
                let runs = unsafe { Runs::new(to.pointer(word * WIDTH), rows * WIDTH) };
                spread_over_panels(cpu.isa(), runs, Rows { values: from, stride: n, n }, precision);
            }
        }
    });
}

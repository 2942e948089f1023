//! Right matrices in panels of columns: `k` rows of [`WIDTH`] values each, one panel after the other, with zeros where
//! the last panel has no columns.

use crate::Cpu;

/// Columns of a panel: two of the widest vectors.
pub(crate) const WIDTH: usize = 32;

/// Values in the panels of a matrix of `k` rows and `n` columns.
pub(crate) fn panels_len(k: usize, n: usize) -> usize {
    n.div_ceil(WIDTH) * WIDTH * k
}

/// Copies `n` columns of `k` rows, `stride` apart, to a panel.
pub(super) fn pack_rows(panel: &mut [f32], from: &[f32], stride: usize, n: usize) {
    for (to, from) in panel.chunks_exact_mut(WIDTH).zip(from.chunks(stride)) {
        if n == WIDTH {
            to.copy_from_slice(&from[..WIDTH]);
        } else {
            to[..n].copy_from_slice(&from[..n]);
            to[n..].fill(0.0);
        }
    }
}

/// Packs the transpose of `matrix[n, k]`: the weights of a layer with `n` outputs and `k` inputs.
pub(crate) fn pack_transposed(panels: &mut [f32], matrix: &[f32], k: usize) {
    let panels = panels.chunks_exact_mut(WIDTH * k);
    panels.zip(matrix.chunks(WIDTH * k)).for_each(|(panel, rows)| pack_columns(panel, rows, k));
}

/// As [`pack_transposed`], on all threads.
pub(crate) fn pack_transposed_together(cpu: &Cpu, panels: &mut [f32], matrix: &[f32], k: usize) {
    let size = WIDTH * k;
    cpu.chunks([(panels, size)], |i, [panel]| {
        pack_columns(panel, &matrix[i * size..matrix.len().min((i + 1) * size)], k);
    });
}

/// Writes each row of `rows[.., k]` as a column of the panel, in blocks that fill whole cache lines.
fn pack_columns(panel: &mut [f32], rows: &[f32], k: usize) {
    const BLOCK: usize = 16;
    if rows.len() < WIDTH * k {
        panel.fill(0.0);
    }
    for first in (0..k).step_by(BLOCK) {
        let count = BLOCK.min(k - first);
        let to = &mut panel[first * WIDTH..(first + count) * WIDTH];
        for (column, row) in rows.chunks_exact(k).enumerate() {
            for (to, &value) in to.chunks_exact_mut(WIDTH).zip(&row[first..first + count]) {
                to[column] = value;
            }
        }
    }
}

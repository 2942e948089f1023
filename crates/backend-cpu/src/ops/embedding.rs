//! Rows of tables.

use crate::ops::activation::add_block;
use crate::parallel::Disjoint;
use crate::{Cpu, Weight};
use finetone_backend::EmbeddingShape;

/// Tokens in a piece of forward.
const TOKENS: usize = 64;
/// Columns in a piece of backward.
const COLUMNS: usize = 64;

/// `y[n] = Σ_t table_t[ids_t[n]]`.
pub(crate) fn forward(cpu: &Cpu, y: &mut [f32], terms: &[(&[u32], &Weight)], shape: EmbeddingShape) {
    let width = shape.width;
    cpu.chunks([(y, TOKENS * width)], |i, [y]| {
        for (n, y) in y.chunks_exact_mut(width).enumerate() {
            let mut first = true;
            for (ids, table) in terms {
                let row = &table.master()[ids[i * TOKENS + n] as usize * width..][..width];
                if first {
                    y.copy_from_slice(row);
                } else {
                    add_block(cpu.isa(), y, row);
                }
                first = false;
            }
        }
    });
}

/// `dtable[ids[n]] += dy[n]` in the order of `n`: each piece of work owns a range of columns of the whole table.
pub(crate) fn backward(cpu: &Cpu, dtable: &mut [f32], dy: &[f32], ids: &[u32], shape: EmbeddingShape) {
    let width = shape.width;
    let dtable = Disjoint::new(dtable);
    cpu.parallel(width.div_ceil(COLUMNS), |i| {
        let (first, end) = (i * COLUMNS, width.min((i + 1) * COLUMNS));
        for (&id, dy) in ids.iter().zip(dy.chunks_exact(width)) {
            let start = id as usize * width;
            // SAFETY: these columns belong to this piece of work alone.
            let row = unsafe { dtable.slice(start + first..start + end) };
            add_block(cpu.isa(), row, &dy[first..end]);
        }
    });
}

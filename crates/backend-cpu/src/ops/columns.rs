//! Sums of some columns of a matrix, row by row.

use crate::Cpu;
use crate::parallel::GRAIN;
use crate::simd::{Vector, kernel};
use finetone_backend::ColumnsShape;

#[inline(always)]
fn add_scaled_body<V: Vector>(y: &mut [f32], x: &[f32], factor: f32) {
    let whole = y.len() - y.len() % V::LANES;
    for (y, x) in y.chunks_exact_mut(V::LANES).zip(x.chunks_exact(V::LANES)) {
        (V::load(y) + V::load(x) * V::splat(factor)).store(y);
    }
    for (y, x) in y[whole..].iter_mut().zip(&x[whole..]) {
        *y += x * factor;
    }
}

kernel!(
    /// `y += factor x`, slices of the same length, on this thread.
    add_scaled(y: &mut [f32], x: &[f32], factor: f32) = add_scaled_body
);

/// `y += factor x` in the columns that the shape names.
pub(crate) fn add(cpu: &Cpu, y: &mut [f32], x: &[f32], factor: f32, shape: ColumnsShape) {
    let ColumnsShape { count, to, from, .. } = shape;
    let rows = (GRAIN / count.max(1)).max(1);
    cpu.chunks([(y, rows * to.of)], |i, [y]| {
        for (y, x) in y.chunks_exact_mut(to.of).zip(x[i * rows * from.of..].chunks_exact(from.of)) {
            add_scaled(cpu.isa(), &mut y[to.first..][..count], &x[from.first..][..count], factor);
        }
    });
}

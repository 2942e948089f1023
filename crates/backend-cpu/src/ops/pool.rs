//! One row per sequence, without parameters. These touch each value once per step; plain loops are enough.

use crate::Cpu;
use finetone_backend::{PoolShape, Pooling};

/// The tokens of sequence `s`.
fn tokens(starts: &[u32], s: usize) -> std::ops::Range<usize> {
    let range = starts[s] as usize..starts[s + 1] as usize;
    assert!(!range.is_empty(), "sequence {s} is empty: {range:?}");
    range
}

/// `y[S, D]` from `x[N, D]`.
pub(crate) fn forward(cpu: &Cpu, y: &mut [f32], x: &[f32], pooling: Pooling, shape: PoolShape<'_>) {
    let width = shape.width;
    cpu.chunks([(y, width)], |s, [y]| {
        let range = tokens(shape.starts, s);
        match pooling {
            Pooling::First => y.copy_from_slice(&x[range.start * width..][..width]),
            Pooling::Last => y.copy_from_slice(&x[(range.end - 1) * width..][..width]),
            Pooling::Mean => {
                y.fill(0.0);
                for row in x[range.start * width..range.end * width].chunks_exact(width) {
                    y.iter_mut().zip(row).for_each(|(y, x)| *y += x);
                }
                let share = 1.0 / range.len() as f32;
                y.iter_mut().for_each(|y| *y *= share);
            }
        }
    });
}

/// Overwrites `dx[N, D]` by `dy[S, D]`.
pub(crate) fn backward(dx: &mut [f32], dy: &[f32], pooling: Pooling, shape: PoolShape<'_>) {
    let width = shape.width;
    for (s, dy) in dy.chunks_exact(width).enumerate() {
        let range = tokens(shape.starts, s);
        let dx = &mut dx[range.start * width..range.end * width];
        match pooling {
            Pooling::First => {
                dx[width..].fill(0.0);
                dx[..width].copy_from_slice(dy);
            }
            Pooling::Last => {
                let last = dx.len() - width;
                dx[..last].fill(0.0);
                dx[last..].copy_from_slice(dy);
            }
            Pooling::Mean => {
                let share = 1.0 / range.len() as f32;
                for row in dx.chunks_exact_mut(width) {
                    row.iter_mut().zip(dy).for_each(|(dx, dy)| *dx = dy * share);
                }
            }
        }
    }
}

//! Gated products `f(gate) · value`, row by row while a row is in a cache.

use super::activation::{Form, both_block, forward_block};
use crate::Cpu;
use crate::parallel::GRAIN;
use crate::simd::{Vector, kernel};
use finetone_backend::{Activation, GatedShape};

#[inline(always)]
fn multiply_body<V: Vector>(y: &mut [f32], x: &[f32]) {
    let whole = y.len() - y.len() % V::LANES;
    for (y, x) in y.chunks_exact_mut(V::LANES).zip(x.chunks_exact(V::LANES)) {
        (V::load(y) * V::load(x)).store(y);
    }
    for (y, x) in y[whole..].iter_mut().zip(&x[whole..]) {
        *y *= x;
    }
}

kernel!(
    /// `y *= x`, slices of the same length, on this thread.
    multiply_block(y: &mut [f32], x: &[f32]) = multiply_body
);

/// Rows of a piece of work.
fn rows(width: usize) -> usize {
    (GRAIN / (2 * width)).max(1)
}

/// `y[N, F]` from `x[N, 2 F]`.
pub(crate) fn forward(cpu: &Cpu, y: &mut [f32], x: &[f32], activation: Activation, shape: GatedShape) {
    let (form, width) = (Form::of(cpu, activation), shape.width);
    let step = rows(width) * width;
    cpu.chunks([(y, step)], |i, [y]| {
        for (y, x) in y.chunks_exact_mut(width).zip(x[2 * i * step..].chunks_exact(2 * width)) {
            let (gate, value) = x.split_at(width);
            forward_block(cpu.isa(), y, gate, form);
            multiply_block(cpu.isa(), y, value);
        }
    });
}

/// Overwrites `dx[N, 2 F]`; `y[N, F]` holds its gradient before and the result of [`forward`] after.
pub(crate) fn backward(cpu: &Cpu, dx: &mut [f32], y: &mut [f32], x: &[f32], activation: Activation, shape: GatedShape) {
    let (form, width) = (Form::of(cpu, activation), shape.width);
    let step = rows(width) * width;
    cpu.chunks([(dx, 2 * step), (y, step)], |i, [dx, y]| {
        let rows = dx.chunks_exact_mut(2 * width).zip(y.chunks_exact_mut(width));
        for ((dx, y), x) in rows.zip(x[2 * i * step..].chunks_exact(2 * width)) {
            let ((dgate, dvalue), (gate, value)) = (dx.split_at_mut(width), x.split_at(width));
            dvalue.copy_from_slice(y);
            both_block(cpu.isa(), dgate, y, gate, form);
            multiply_block(cpu.isa(), dgate, value);
            multiply_block(cpu.isa(), dvalue, y);
            multiply_block(cpu.isa(), y, value);
        }
    });
}
